/* Numbers, sizes and times as people read them. */

const grouped = new Intl.NumberFormat("en-US");

export function count(n: number): string {
  return grouped.format(n);
}

/* "1 record", "41,200 records" */
export function some(n: number, one: string, many = one + "s"): string {
  return count(n) + " " + (n === 1 ? one : many);
}

export function size(bytes: number): string {
  if (bytes < 1024) return bytes === 1 ? "1 byte" : bytes + " bytes";
  if (bytes < 1024 * 1024) return (bytes / 1024).toFixed(1) + " KiB";
  return (bytes / 1024 / 1024).toFixed(1) + " MiB";
}

export function duration(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return s + " s";
  if (s < 3600) return Math.round(s / 60) + " min";
  if (s < 48 * 3600) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " days";
}

const two = (n: number) => String(n).padStart(2, "0");

/* 2026-01-02 03:04:05, in the reader's zone or in UTC. */
export function clock(at: Date, utc: boolean, millis = false): string {
  const parts = utc
    ? [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate(), at.getUTCHours(), at.getUTCMinutes(), at.getUTCSeconds()]
    : [at.getFullYear(), at.getMonth(), at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()];
  const [y, mo, d, h, mi, s] = parts as [number, number, number, number, number, number];
  const ms = "." + String(at.getUTCMilliseconds()).padStart(3, "0");
  return `${y}-${two(mo + 1)}-${two(d)} ${two(h)}:${two(mi)}:${two(s)}${millis ? ms : ""}`;
}

export function zone(at: Date, utc: boolean): string {
  if (utc) return "UTC";
  const minutes = -at.getTimezoneOffset();
  const sign = minutes < 0 ? "-" : "+";
  const abs = Math.abs(minutes);
  return "UTC" + sign + two(Math.floor(abs / 60)) + ":" + two(abs % 60);
}

export function ago(at: Date, now: number): string {
  const ms = now - at.getTime();
  if (ms < 0) return "just now";
  if (ms < 1500) return "just now";
  return duration(ms) + " ago";
}

const codeWords: Record<string, string> = {
  timeout: "the handler did not answer in time",
  connect: "no connection to the handler",
  reset: "the handler closed the connection",
};

export function codeHint(code: string): string {
  return codeWords[code] ?? "";
}
