/*
 * JSON laid out for reading, from its text: parsed and written again it would be another one where
 * numbers are large or a member stands twice. Never recursive, since depth is a stranger's to choose.
 */

export type TokenKind = "name" | "string" | "number" | "word" | "mark" | "space";

export interface Token {
  kind: TokenKind;
  text: string;
}

const INDENT_MAX = 40;
const token = /\s+|"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*|true|false|null|[{}[\],:]/y;

function indent(depth: number): string {
  return "\n" + "  ".repeat(Math.min(depth, INDENT_MAX));
}

/* null: it is no JSON, or was cut in its middle, so it is to be shown as the text that it is. */
export function layOut(text: string): Token[] | null {
  const out: Token[] = [];
  const open: string[] = [];
  let fresh = false; /* directly behind an opening bracket */
  let at = 0;
  const space = (value: string) => out.push({ kind: "space", text: value });
  while (at < text.length) {
    token.lastIndex = at;
    const match = token.exec(text);
    if (!match) return null;
    const word = match[0];
    at = token.lastIndex;
    const first = word[0] as string;
    if (/\s/.test(first)) continue;
    if (first === "}" || first === "]") {
      if (open.pop() !== (first === "}" ? "{" : "[")) return null;
      if (!fresh) space(indent(open.length));
      out.push({ kind: "mark", text: word });
      fresh = false;
      continue;
    }
    if (fresh) space(indent(open.length));
    fresh = false;
    if (first === "{" || first === "[") {
      out.push({ kind: "mark", text: word });
      open.push(first);
      fresh = true;
    } else if (first === ",") {
      out.push({ kind: "mark", text: word });
      space(indent(open.length));
    } else if (first === ":") {
      const before = out[out.length - 1];
      if (before?.kind === "string") before.kind = "name";
      out.push({ kind: "mark", text: word });
      space(" ");
    } else {
      out.push({ kind: first === '"' ? "string" : /[-\d]/.test(first) ? "number" : "word", text: word });
    }
  }
  return open.length === 0 && out.length > 0 ? out : null;
}
