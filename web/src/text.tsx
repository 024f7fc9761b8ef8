/*
 * Text of strangers. It is put into text nodes only; what would not be seen, or would turn what
 * stands around it (control characters, marks of direction, blanks without width, lone surrogates),
 * is written out as \x1b or \u{202e}, set apart so that it is not taken for the data's own letters.
 */
import type { ComponentChildren } from "preact";

// eslint-disable-next-line no-control-regex
const unseen = /[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\udb40[\udc00-\udc7f]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g;
const breaks = /[\t\n]/g;

const SPANS_MAX = 500;

function escapeOf(char: string): string {
  const code = char.codePointAt(0) ?? 0;
  if (char === "\n") return "\\n";
  if (char === "\t") return "\\t";
  if (char === "\r") return "\\r";
  if (code < 0x100) return "\\x" + code.toString(16).padStart(2, "0");
  return "\\u{" + code.toString(16) + "}";
}

function pieces(text: string, pattern: RegExp): ComponentChildren {
  pattern.lastIndex = 0;
  if (!pattern.test(text)) return text;
  const out: ComponentChildren[] = [];
  let from = 0;
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match; match = pattern.exec(text)) {
    if (match.index > from) out.push(text.slice(from, match.index));
    if (out.length >= SPANS_MAX) {
      out.push(<span class="esc">{text.slice(match.index).replace(pattern, escapeOf)}</span>);
      return out;
    }
    let run = escapeOf(match[0]);
    from = match.index + match[0].length;
    /* neighbours go into one span */
    for (;;) {
      const at = pattern.lastIndex;
      const next = pattern.exec(text);
      if (!next || next.index !== from) {
        pattern.lastIndex = at;
        break;
      }
      run += escapeOf(next[0]);
      from += next[0].length;
    }
    out.push(<span class="esc">{run}</span>);
  }
  if (from < text.length) out.push(text.slice(from));
  return out;
}

const unseenInLine = new RegExp(unseen.source + "|" + breaks.source, "g");

/* Of one line: line ends are written out too. max: letters, then "…" */
export function Line({ text, max = 2000 }: { text: string; max?: number }) {
  const cut = text.length > max;
  return (
    <bdi>
      {pieces(cut ? text.slice(0, max) : text, unseenInLine)}
      {cut ? "…" : null}
    </bdi>
  );
}

/* Of many lines, to stand in a <pre>. */
export function Lines({ text }: { text: string }) {
  return <>{pieces(text, unseen)}</>;
}

/* The same in plain text, for labels and titles. */
export function plain(text: string, max = 200): string {
  const cut = text.length > max ? text.slice(0, max) + "…" : text;
  return cut.replace(unseenInLine, escapeOf);
}
