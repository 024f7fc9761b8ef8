/*
 * An edited copy of a dead letter. What is written is sent as it was typed, byte for byte: nothing is
 * parsed and written again, so that no number is rounded. What changed is shown before anything is
 * sent; what is locked the server says.
 */
import { useMemo, useState } from "preact/hooks";
import { post } from "./api";
import { bytesOf, toBase64 } from "./bytes";
import { Foot, ReasonField, reasonOf, useAsking } from "./asking";
import { diffLines, nearChanges } from "./diff";
import { size, some } from "./format";
import { layOut } from "./json";
import { letterPath } from "./letters";
import { useOverview, useWhyNot } from "./overview";
import { Link } from "./router";
import { Line } from "./text";
import type { Bytes, Edited, EditedBytes, EditedHeader, Header, Letter, RecordParts } from "./types";
import { Dialog, Facts, Notice, ProblemNotice, Scroller } from "./ui";

const AROUND = 3;

/* Fields of a page make other line ends of some: what has those is edited in base64. */
function editedBytes(value: Bytes, lost: RegExp): EditedBytes {
  if (value.encoding === "null") return { encoding: "null" };
  if (value.encoding === "base64") return { encoding: "base64", text: value.text };
  if (lost.test(value.text)) return { encoding: "base64", text: toBase64(bytesOf(value)) };
  return { encoding: "text", text: value.text };
}

function headerOf(header: Header): EditedHeader {
  return { name: header.name, ...editedBytes(header, /[\r\n]/) };
}

/* "": it is JSON. */
function jsonTrouble(text: string): string {
  try {
    JSON.parse(text);
    return "";
  } catch (error) {
    return error instanceof Error ? error.message : "it cannot be read";
  }
}

function laidOut(value: EditedBytes): string | null {
  const tokens = value.encoding === "text" ? layOut(value.text ?? "") : null;
  return tokens ? tokens.map((one) => one.text).join("") : null;
}

/* JSON laid out, so that the lines tell something; as it is, where only blanks differ. */
function compared(before: EditedBytes, after: EditedBytes): [string, string] {
  const a = laidOut(before);
  const b = laidOut(after);
  if (a !== null && b !== null && a !== b) return [a, b];
  const raw = (value: EditedBytes) => (value.encoding === "null" ? "null" : (value.text ?? ""));
  return [raw(before), raw(after)];
}

function Diff({ before, after }: { before: EditedBytes; after: EditedBytes }) {
  const lines = useMemo(() => nearChanges(diffLines(...compared(before, after)), AROUND), [before, after]);
  return (
    <Scroller label="What changes in the value">
      <pre class="code diff">
        {lines.map((line, at) =>
          typeof line === "number" ? (
            <span key={at} class="diff-same">
              … {some(line, "line")} as before
            </span>
          ) : (
            <span key={at} class={"diff-" + line.kind}>
              <span aria-hidden="true">{line.kind === "in" ? "+ " : line.kind === "out" ? "- " : "  "}</span>
              {line.kind === "same" ? null : <span class="sr">{line.kind === "in" ? "new: " : "gone: "}</span>}
              <Line text={line.text} max={2000} />
            </span>
          ),
        )}
      </pre>
    </Scroller>
  );
}

function HeaderRows({ headers, set }: { headers: EditedHeader[]; set: (headers: EditedHeader[]) => void }) {
  const change = (at: number, part: Partial<EditedHeader>) => set(headers.map((one, i) => (i === at ? { ...one, ...part } : one)));
  return (
    <fieldset class="edit-headers">
      <legend>Headers of the application</legend>
      {headers.map((header, at) => (
        <div key={at} class="edit-header">
          <input aria-label={`Name of header ${at + 1}`} value={header.name} spellcheck={false} autocomplete="off" onInput={(event) => change(at, { name: event.currentTarget.value })} />
          <input
            aria-label={`Value of header ${at + 1}${header.encoding === "base64" ? ", in base64" : ""}`}
            value={header.text ?? ""}
            placeholder={header.encoding === "null" ? "null" : ""}
            spellcheck={false}
            autocomplete="off"
            onInput={(event) => change(at, { text: event.currentTarget.value, encoding: header.encoding === "base64" ? "base64" : "text" })}
          />
          <button type="button" class="small" aria-label={`Remove header ${at + 1}`} onClick={() => set(headers.filter((_, i) => i !== at))}>
            Remove
          </button>
        </div>
      ))}
      <button type="button" class="small" onClick={() => set([...headers, { name: "", encoding: "text", text: "" }])}>
        Add a header
      </button>
    </fieldset>
  );
}

function Result({ done, close }: { done: Edited; close: () => void }) {
  return (
    <div class="dialog-body">
      <Notice kind="good" live>
        <p>The copy is a dead letter of its own, and a redrive sends it. This one is archived and names it.</p>
      </Notice>
      <Facts
        rows={[
          ["The copy", done.copy ? <Link to={letterPath(done.copy)} class="mono"><Line text={done.copy} max={300} /></Link> : "none"],
          ["Its redrive", done.job ? <Link to={"/redrives/" + encodeURIComponent(done.job)} class="mono"><Line text={done.job} max={100} /></Link> : "none"],
        ]}
      />
      <Foot close={close} />
    </div>
  );
}

function EditDialog({ letter, record, close, done }: { letter: Letter; record: RecordParts; close: () => void; done: () => void }) {
  const first = useMemo(() => ({ value: editedBytes(record.value, /\r/), headers: record.headers.map(headerOf) }), []);
  const [value, setValue] = useState<EditedBytes>(first.value);
  const [headers, setHeaders] = useState(first.headers);
  const [plain, setPlain] = useState(false);
  const [reason, setReason] = useState("");
  const [plan, setPlan] = useState<Edited | null>(null);
  const [result, setResult] = useState<Edited | null>(null);
  const { busy, problem, ask } = useAsking<"look" | "send">();
  const wasJson = record.value.encoding === "json";
  const trouble = wasJson && value.encoding === "text" ? jsonTrouble(value.text ?? "") : "";

  const order = () => ({
    ...(JSON.stringify(value) === JSON.stringify(first.value) ? {} : { value }),
    ...(JSON.stringify(headers) === JSON.stringify(first.headers) ? {} : { headers }),
    ...reasonOf(reason),
  });
  const path = letterPath(letter.id) + "/edit";
  const submit = (event: Event) => {
    event.preventDefault();
    if (!plan) return ask("look", post<Edited>(path, { ...order(), dry_run: true }), setPlan);
    ask("send", post<Edited>(path, order()), (answer) => {
      setResult(answer);
      done();
    });
  };
  if (result) {
    return (
      <Dialog title="Edited copy" close={close} wide>
        <Result done={result} close={close} />
      </Dialog>
    );
  }
  return (
    <Dialog title="Edited copy" close={close} wide>
      <form onSubmit={submit} class="dialog-body">
        <p>Sends a copy with other bytes round again, in the place of this record in the order of its key. Key, identity and oncegate's headers are locked.</p>
        {plan ? (
          <section aria-label="What changes">
            <h3>What changes</h3>
            <Facts
              rows={[
                ["Value", plan.changed.value ? `${size(plan.changed.value_size.was)} to ${size(plan.changed.value_size.is)}` : "as it is"],
                ["Headers", plan.changed.headers.length ? <Line text={plan.changed.headers.join(", ")} max={1000} /> : "as they are"],
              ]}
            />
            {plan.changed.value ? <Diff before={first.value} after={value} /> : null}
          </section>
        ) : (
          <>
            <label class="field">
              <span>Value{value.encoding === "base64" ? ", in base64: as text its bytes would not be kept" : value.encoding === "null" ? ", null at present" : wasJson ? ", JSON" : ", text"}</span>
              <textarea
                class="mono"
                rows={12}
                spellcheck={false}
                value={value.text ?? ""}
                onInput={(event) => setValue({ encoding: value.encoding === "base64" ? "base64" : "text", text: event.currentTarget.value })}
              />
            </label>
            {trouble ? (
              <Notice kind="warn" live>
                <p>
                  <strong>This is no JSON. </strong>
                  <Line text={trouble} max={300} />
                </p>
                <label class="check">
                  <input type="checkbox" checked={plain} onChange={(event) => setPlain(event.currentTarget.checked)} />
                  <span>Send it all the same</span>
                </label>
              </Notice>
            ) : null}
            <HeaderRows headers={headers} set={setHeaders} />
          </>
        )}
        {problem ? <ProblemNotice problem={problem} /> : null}
        {plan ? <ReasonField reason={reason} set={setReason} wanted="an edit wants one, for the audit log" /> : null}
        <Foot close={close}>
          {plan ? (
            <button type="button" onClick={() => setPlan(null)}>
              Go on editing
            </button>
          ) : null}
          <button type="submit" class="primary" disabled={busy !== "" || (trouble !== "" && !plain) || (plan !== null && reason.trim() === "")}>
            {busy === "look" ? "Checking…" : busy === "send" ? "Sending…" : plan ? "Send the edited copy" : "Show what changes"}
          </button>
        </Foot>
      </form>
    </Dialog>
  );
}

function canEdit(letter: Letter, record: RecordParts | null): record is RecordParts {
  const whole = record !== null && !record.value.cut && record.value.encoding !== "hidden" && record.headers.every((one) => one.encoding !== "hidden" && !one.cut);
  return whole && letter.state === "open" && letter.writer === "oncegate";
}

/* Offered only where it would be taken. */
export function Edit({ letter, record, done }: { letter: Letter; record: RecordParts | null; done: () => void }) {
  const [open, setOpen] = useState(false);
  const allowed = useOverview().data?.allow_edits === true;
  const why = useWhyNot("admin");
  const [held, setHeld] = useState<RecordParts | null>(null); /* what is edited does not change underneath */
  if (!open && (!allowed || why || !canEdit(letter, record))) return null;
  return (
    <>
      <button
        type="button"
        onClick={() => {
          setHeld(record);
          setOpen(true);
        }}
      >
        Edit a copy…
      </button>
      {open && held ? <EditDialog letter={letter} record={held} close={() => setOpen(false)} done={done} /> : null}
    </>
  );
}

/* The letter that this one was made of, and the one that goes on in its place. */
export function editRows(letter: Letter, record: RecordParts | null): [string, string][] {
  const from = record?.own_headers.find((one) => one.name === "oncegate-edited-from" && one.encoding === "text")?.text;
  const rows: [string, string][] = [];
  if (from && /^[^/]+\/\d+\/\d+$/.test(from)) rows.push(["Edited copy of", from]);
  if (letter.edited_to && /^[^/]+\/\d+\/\d+$/.test(letter.edited_to)) rows.push(["Went on as", letter.edited_to]);
  return rows;
}
