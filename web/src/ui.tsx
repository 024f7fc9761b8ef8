/* Small parts that all pages are made of. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type { Answer, Problem } from "./api";
import { ago, clock, count, some, zone } from "./format";
import { useSettings } from "./settings";
import { Line } from "./text";
import type { Bytes, Covered, Job, State } from "./types";

/* ---- time ---- */

const tickers = new Set<(now: number) => void>();
setInterval(() => tickers.forEach((ticker) => ticker(Date.now())), 10000);

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    tickers.add(setNow);
    return () => void tickers.delete(setNow);
  }, []);
  return now;
}

/* form: how long ago, when, or both; the other zone is told on hover. */
export function Time({ at, form = "when", millis }: { at: string | null; form?: "ago" | "when" | "both"; millis?: boolean }) {
  const now = useNow();
  const { utc } = useSettings();
  if (!at) return <span class="muted">unknown</span>;
  const date = new Date(at);
  if (isNaN(date.getTime())) return <Line text={at} max={40} />;
  const title = clock(date, true, true) + " UTC";
  const when = clock(date, utc, millis);
  return (
    <time dateTime={at} title={form === "ago" ? when + " " + zone(date, utc) + "\n" + title : title}>
      {form === "ago" ? ago(date, now) : when}
      {form === "both" ? <span class="muted"> {zone(date, utc)}, {ago(date, now)}</span> : null}
    </time>
  );
}

/* ---- states ---- */

export function StateTag({ state }: { state: State | Job["status"] }) {
  return <span class={"tag tag-" + state}>{state}</span>;
}

/* ---- notices ---- */

export function Notice({ kind = "info", children, live }: { kind?: "info" | "warn" | "bad" | "good"; children: ComponentChildren; live?: boolean }) {
  return (
    <div class={"notice notice-" + kind} role={live ? "status" : undefined}>
      {children}
    </div>
  );
}

export function ProblemNotice({ problem, again }: { problem: Problem; again?: () => void }) {
  return (
    <div class="notice notice-bad" role="alert">
      <p>
        <strong>{problem.status === 0 ? "No answer. " : "It did not work (" + problem.status + "). "}</strong>
        <Line text={problem.detail} />
      </p>
      {again ? (
        <button type="button" onClick={again}>
          Try again
        </button>
      ) : null}
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children ? <p class="muted">{children}</p> : null}
    </div>
  );
}

export function Loading({ what }: { what: string }) {
  return (
    <div class="loading" role="status">
      <span class="loading-bar" aria-hidden="true" />
      Reading {what}…
    </div>
  );
}

/* One of the four: loading, failed, old data with a failure above, data. */
export function Answered<T>({ answer, what, children }: { answer: Answer<T>; what: string; children: (data: T) => ComponentChildren }) {
  const { data, problem, reload } = answer;
  if (data === null) return problem ? <ProblemNotice problem={problem} again={reload} /> : <Loading what={what} />;
  return (
    <>
      {problem ? <ProblemNotice problem={problem} again={reload} /> : null}
      {children(data)}
    </>
  );
}

/* How much of what there is an answer covers. Silent where it is all. */
export function Coverage({ covered, text }: { covered: Covered; text?: boolean }) {
  if (covered.complete) return null;
  const rows = covered.rows_read < covered.rows_total;
  const words = text && covered.text_read < covered.rows_total;
  return (
    <Notice kind="warn" live>
      <p>
        <strong>Not everything is here yet. </strong>
        {rows ? <>Scanned {count(covered.rows_read)} of {count(covered.rows_total)} records of the dead-letter topics. </> : null}
        {words ? <>Words are indexed of {count(covered.text_read)} of {count(covered.rows_total)}. </> : null}
        {!rows && !words ? <>This answer stopped half-way: there is more that fits. </> : null}
      </p>
      {rows || words ? (
        <progress
          aria-label="read so far"
          max={Math.max(1, covered.rows_total)}
          value={rows ? covered.rows_read : covered.text_read}
        />
      ) : null}
    </Notice>
  );
}

/* ---- bytes in a line ---- */

export function KeyText({ value, size: whole, max = 80 }: { value: Bytes; size?: number; max?: number }) {
  if (value.encoding === "null") return <span class="muted">no key</span>;
  if (value.encoding === "hidden") return <span class="muted">hidden</span>;
  const cut = value.cut || (whole !== undefined && whole > value.size);
  return (
    <span class="mono">
      {value.encoding === "base64" ? <span class="muted">base64 </span> : null}
      {value.text === "" ? <span class="muted">empty</span> : <Line text={value.text} max={max} />}
      {cut && value.text.length <= max ? "…" : null}
    </span>
  );
}

/* ---- a line of bars ---- */

export function Spark({ values, unitMs, end }: { values: number[]; unitMs: number; end: string | null }) {
  const peak = Math.max(1, ...values);
  const total = values.reduce((sum, value) => sum + value, 0);
  const hours = Math.max(1, Math.round(unitMs / 3600000));
  const span = hours * values.length;
  const label = `${some(total, "failure")} in the last ${span} hours, at most ${count(peak)} ${hours === 1 ? "in an hour" : "in " + hours + " hours"}` + (end ? "" : "");
  return (
    <svg class="spark" viewBox={`0 0 ${values.length * 3} 24`} preserveAspectRatio="none" role="img" aria-label={label}>
      <title>{label}</title>
      {values.map((value, i) =>
        value > 0 ? <rect x={i * 3} width={2} y={24 - Math.max(2, (22 * value) / peak)} height={Math.max(2, (22 * value) / peak)} /> : <rect class="spark-none" x={i * 3} width={2} y={23} height={1} />,
      )}
    </svg>
  );
}

/* ---- copying ---- */

export function Copy({ text, label }: { text: string; label: string }) {
  const [said, setSaid] = useState("");
  const copy = () => {
    navigator.clipboard?.writeText(text).then(
      () => setSaid("Copied"),
      () => setSaid("The browser refused"),
    ) ?? setSaid("The browser refused");
    setTimeout(() => setSaid(""), 2500);
  };
  return (
    <>
      <button type="button" class="small" onClick={copy}>
        {label}
      </button>
      <span class="said" role="status">
        {said}
      </span>
    </>
  );
}

/* ---- headings that take the focus when a page opens ---- */

export function Title({ text, children }: { text: string; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = text + " · oncegate";
  }, [text]);
  return (
    <h1 id="title" tabIndex={-1}>
      {children ?? text}
    </h1>
  );
}

/* ---- dialogs: the browser's own, which keeps the focus inside and closes on Escape ---- */

export function Dialog({ title, close, children, wide }: { title: string; close: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    const dialog = ref.current;
    dialog?.showModal();
    return () => {
      dialog?.close(); /* while it is open nothing beside it takes the focus */
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const cancel = (event: Event) => {
    event.preventDefault();
    close();
  };
  return (
    <dialog ref={ref} class={wide ? "wide" : undefined} aria-labelledby="dialog-title" onCancel={cancel}>
      <header class="dialog-head">
        <h2 id="dialog-title">{title}</h2>
        <button type="button" class="plain" aria-label="Close" onClick={close}>
          ✕
        </button>
      </header>
      {children}
    </dialog>
  );
}

/* ---- names with their values ---- */

export function Facts({ rows }: { rows: [string, ComponentChildren][] }) {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  );
}

/* A region that scrolls sideways can be reached and scrolled by keyboard. */
export function Scroller({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <div class="scroller" role="region" aria-label={label} tabIndex={0}>
      {children}
    </div>
  );
}
