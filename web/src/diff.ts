/* What changed between two texts, by lines. */
export interface DiffLine {
  kind: "same" | "out" | "in";
  text: string;
}

const MIDDLE_MAX = 400; /* lines of which the longest common part is looked for */

/* Lengths of the longest common parts of a[i..] and b[j..]. */
function common(a: string[], b: string[]): number[][] {
  const table = Array.from({ length: a.length + 1 }, () => new Array<number>(b.length + 1).fill(0));
  for (let i = a.length - 1; i >= 0; i--) {
    const row = table[i] as number[];
    const below = table[i + 1] as number[];
    for (let j = b.length - 1; j >= 0; j--) row[j] = a[i] === b[j] ? (below[j + 1] as number) + 1 : Math.max(below[j] as number, row[j + 1] as number);
  }
  return table;
}

function middle(a: string[], b: string[]): DiffLine[] {
  const out: DiffLine[] = [];
  if (a.length > MIDDLE_MAX || b.length > MIDDLE_MAX) {
    for (const text of a) out.push({ kind: "out", text });
    for (const text of b) out.push({ kind: "in", text });
    return out;
  }
  const table = common(a, b);
  let i = 0;
  let j = 0;
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      out.push({ kind: "same", text: a[i++] as string });
      j++;
    } else if (j >= b.length || (i < a.length && (table[i + 1]?.[j] ?? 0) >= (table[i]?.[j + 1] ?? 0))) {
      out.push({ kind: "out", text: a[i++] as string });
    } else {
      out.push({ kind: "in", text: b[j++] as string });
    }
  }
  return out;
}

export function diffLines(before: string, after: string): DiffLine[] {
  const a = before.split("\n");
  const b = after.split("\n");
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head++;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail++;
  const same = (text: string): DiffLine => ({ kind: "same", text });
  return [...a.slice(0, head).map(same), ...middle(a.slice(head, a.length - tail), b.slice(head, b.length - tail)), ...a.slice(a.length - tail).map(same)];
}

/* Without the lines that are the same and far from any change. */
export function nearChanges(lines: DiffLine[], around: number): (DiffLine | number)[] {
  const near = new Set<number>();
  lines.forEach((line, at) => {
    if (line.kind !== "same") for (let i = at - around; i <= at + around; i++) near.add(i);
  });
  const out: (DiffLine | number)[] = [];
  lines.forEach((line, at) => {
    const last = out[out.length - 1];
    if (near.has(at)) out.push(line);
    else if (typeof last === "number") out[out.length - 1] = last + 1;
    else out.push(1);
  });
  return out;
}
