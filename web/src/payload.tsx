/* What is in a record: as JSON, as text or in hex, with its size and how it is encoded said. */
import { useMemo, useState } from "preact/hooks";
import { bytesOf, hexDump } from "./bytes";
import { count, size } from "./format";
import { layOut } from "./json";
import { Line, Lines } from "./text";
import type { Bytes, Header } from "./types";
import { Copy, Empty, Scroller } from "./ui";

type View = "json" | "text" | "hex";

const FIRST = 32 * 1024; /* shown at once; all of it on demand */
const TOKENS_MAX = 20000;

function JsonView({ text }: { text: string }) {
  const tokens = useMemo(() => layOut(text), [text]);
  if (!tokens) return <Lines text={text} />;
  if (tokens.length > TOKENS_MAX) return <Lines text={tokens.map((one) => one.text).join("")} />;
  return (
    <>
      {tokens.map((one, i) =>
        one.kind === "space" ? one.text : (
          <span key={i} class={"t-" + one.kind}>
            <Lines text={one.text} />
          </span>
        ),
      )}
    </>
  );
}

function encodingWords(value: Bytes): string {
  if (value.encoding === "json") return "JSON, UTF-8";
  if (value.encoding === "text") return "text, UTF-8";
  return "bytes that are no UTF-8";
}

export function Payload({ value, view, choose, label }: { value: Bytes; view: string | null; choose: (view: View) => void; label: string }) {
  const [all, setAll] = useState(false);
  const bytes = useMemo(() => bytesOf(value), [value]);
  if (value.encoding === "null")
    return <Empty title="No value">The record is a tombstone: its value is null, which is not the same as empty.</Empty>;
  if (value.encoding === "hidden") return <Empty title={"Hidden, " + size(value.size)}>{value.why ?? ""}</Empty>;
  const views: View[] = value.encoding === "base64" ? ["text", "hex"] : value.encoding === "json" ? ["json", "text", "hex"] : ["text", "hex"];
  const first: View = value.encoding === "base64" ? "hex" : (views[0] as View);
  const now: View = views.includes(view as View) ? (view as View) : first;
  const text = value.encoding === "base64" && now === "text" ? new TextDecoder().decode(bytes) : value.text;
  const most = all ? Infinity : FIRST;
  const length = now === "hex" ? bytes.length : text.length;
  const cutHere = length > most && now !== "json";
  const cutJson = now === "json" && length > most;
  return (
    <div class="payload">
      <div class="payload-head">
        <div class="tabs" role="group" aria-label={"Show " + label + " as"}>
          {views.map((one) => (
            <button key={one} type="button" class="tab" aria-pressed={one === now} onClick={() => choose(one)}>
              {one === "json" ? "JSON" : one === "text" ? "Text" : "Hex"}
            </button>
          ))}
        </div>
        <span class="muted">
          {size(value.size)}
          {value.size >= 1024 ? " (" + count(value.size) + " bytes)" : ""}, {encodingWords(value)}
          {value.cut ? ", cut by the server to " + size(bytes.length) : ""}
        </span>
        <Copy text={value.text} label={value.encoding === "base64" ? "Copy as base64" : "Copy"} />
      </div>
      {value.masked?.length ? (
        <p class="muted">
          Hidden here: <Line text={value.masked.join(", ")} max={400} />
        </p>
      ) : null}
      {value.size === 0 ? (
        <p class="muted">Empty: 0 bytes.</p>
      ) : (
        <Scroller label={label}>
          <pre class={"code" + (now === "hex" ? " hex" : " wrap")} data-view={now}>
            {now === "hex" ? (
              hexDump(bytes, most)
            ) : now === "json" && !cutJson ? (
              <JsonView text={text} />
            ) : (
              <Lines text={cutHere || cutJson ? text.slice(0, FIRST) : text} />
            )}
          </pre>
        </Scroller>
      )}
      {cutHere || cutJson ? (
        <p>
          <span class="muted">The first {size(FIRST)} are shown. </span>
          <button type="button" class="small" onClick={() => setAll(true)}>
            Show all {size(length)}
          </button>
        </p>
      ) : null}
    </div>
  );
}

function HeaderValue({ header }: { header: Header }) {
  if (header.encoding === "null") return <span class="muted">null</span>;
  if (header.encoding === "hidden") return <span class="muted">hidden, {size(header.size)}</span>;
  return (
    <>
      {header.encoding === "base64" ? <span class="muted">base64 </span> : null}
      {header.text === "" ? <span class="muted">empty</span> : <Line text={header.text} max={4000} />}
      {header.cut ? <span class="muted"> cut, {size(header.size)}</span> : null}
    </>
  );
}

export function Headers({ headers, none }: { headers: Header[]; none: string }) {
  if (headers.length === 0) return <p class="muted">{none}</p>;
  return (
    <dl class="headers">
      {headers.map((header, i) => (
        <div key={i}>
          <dt>
            <Line text={header.name} max={300} />
          </dt>
          <dd>
            <HeaderValue header={header} />
          </dd>
        </div>
      ))}
    </dl>
  );
}
