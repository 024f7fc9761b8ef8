/*
 * Dead letters as files of JSON lines, and back. A download goes through the browser alone, so that it
 * may be of any length; only a selection that no address holds is asked for by the page.
 */
import { useState } from "preact/hooks";
import { addressOf, postForBlob, postLines } from "./api";
import { Foot, ReasonField, reasonOf, useAsking } from "./asking";
import { filterQuery } from "./filter";
import { count, some } from "./format";
import { useWhyNot } from "./overview";
import { Line } from "./text";
import type { Filter, Imported } from "./types";
import { Dialog, Facts, Notice, ProblemNotice } from "./ui";

const ADDRESS_MAX = 4000;
const IDS_MAX = 20;

interface End {
  letters: number;
  complete: boolean;
  why: string | null;
}

/* The last line tells whether it is whole. */
async function endOf(lines: Blob): Promise<End | null> {
  const tail = (await lines.slice(-4000).text()).trimEnd().split("\n").pop() ?? "";
  try {
    return (JSON.parse(tail) as { end: End }).end;
  } catch {
    return null;
  }
}

function save(lines: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(lines);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60000);
}

function ExportChosen({ filter }: { filter: Filter }) {
  const { busy, problem, ask } = useAsking<"export">();
  const [said, setSaid] = useState("");
  const fetchAll = async () => {
    const lines = await postForBlob("/export", { filter });
    return { lines, end: await endOf(lines) };
  };
  const start = () => {
    setSaid("");
    ask("export", fetchAll(), ({ lines, end }) => {
      save(lines, "dead-letters.jsonl");
      setSaid(!end ? "It is not whole: its end is missing." : end.complete ? some(end.letters, "record") + " exported" : "Not whole: " + (end.why ?? ""));
    });
  };
  return (
    <>
      <button type="button" disabled={busy !== ""} onClick={start}>
        {busy ? "Exporting…" : "Export"}
      </button>
      <span class="said" role="status">
        <Line text={said} max={300} />
      </span>
      {problem ? <ProblemNotice problem={problem} /> : null}
    </>
  );
}

/* Anybody who may look may take it along; what is hidden from them is hidden there too. */
export function Export({ filter, what }: { filter: Filter; what: string }) {
  const query = filterQuery(filter).toString();
  if ((filter.id?.length ?? 0) > IDS_MAX || query.length > ADDRESS_MAX) return <ExportChosen filter={filter} />;
  return (
    <a class="button" download="" href={addressOf("/export" + (query ? "?" + query : ""))} aria-label={"Export " + what}>
      Export
    </a>
  );
}

function BadLines({ found }: { found: Imported }) {
  if (found.bad === 0) return null;
  const more = found.bad - found.problems.length;
  return (
    <>
      <Notice kind="bad">
        <p>
          <strong>{some(found.bad, "bad line")}. </strong>
          Nothing is produced while one is bad, unless they are left out.
        </p>
      </Notice>
      <ul class="bad-lines" aria-label="Bad lines" tabIndex={0}>
        {found.problems.map((one) => (
          <li key={one.line + ":" + one.column}>
            line {count(one.line)}, column {count(one.column)}: <Line text={one.text} max={300} />
          </li>
        ))}
        {more > 0 ? <li class="muted">and {some(more, "bad line")} more</li> : null}
      </ul>
    </>
  );
}

function ImportDialog({ close }: { close: () => void }) {
  const [file, setFile] = useState<File | null>(null);
  const [found, setFound] = useState<Imported | null>(null);
  const [skip, setSkip] = useState(false);
  const [reason, setReason] = useState("");
  const { busy, problem, ask } = useAsking<"look" | "import">();
  const result = found && !found.dry_run ? found : null;

  const choose = (chosen: File | null) => {
    setFile(chosen);
    setFound(null);
    setSkip(false);
    if (chosen) ask("look", postLines<Imported>("/import?dry_run=true", chosen), setFound);
  };
  const start = (event: Event) => {
    event.preventDefault();
    if (!file) return;
    const query = new URLSearchParams(reasonOf(reason));
    if (skip) query.set("skip_bad", "true");
    ask("import", postLines<Imported>("/import?" + query.toString(), file), setFound);
  };
  const ready = busy === "" && found !== null && found.letters > 0 && (found.bad === 0 || skip);
  return (
    <Dialog title="Import" close={close}>
      <form onSubmit={start} class="dialog-body">
        <p>
          Writes exported lines back into their dead-letter topics, byte for byte, as new records: what is imported twice is there twice. Nothing is delivered by that. A file of any length takes{" "}
          <code>oncegate dlq import</code>.
        </p>
        {result ? null : (
          <label class="field">
            <span>File of JSON lines, as Export writes it</span>
            <input type="file" accept=".jsonl,.ndjson,.json,.txt" onChange={(event) => choose(event.currentTarget.files?.[0] ?? null)} />
          </label>
        )}
        {busy ? (
          <p class="muted" role="status">
            {busy === "look" ? "Looking at every line… nothing is produced." : "Importing…"}
          </p>
        ) : null}
        {result ? (
          <Notice kind="good" live>
            <p>{some(result.produced, "dead letter")} imported.</p>
          </Notice>
        ) : found ? (
          <section aria-label="Dry run" role="status">
            <Facts
              rows={[
                ["Will be produced", <strong>{some(found.letters, "dead letter")}</strong>],
                ...found.topics.map((one): [string, string] => ["To " + one.topic, count(one.letters)]),
              ]}
            />
          </section>
        ) : null}
        {found && !result ? <BadLines found={found} /> : null}
        {found && !result && found.bad > 0 && found.letters > 0 ? (
          <label class="check">
            <input type="checkbox" checked={skip} onChange={(event) => setSkip(event.currentTarget.checked)} />
            <span>Leave the bad lines out</span>
          </label>
        ) : null}
        {problem ? <ProblemNotice problem={problem} /> : null}
        {result ? null : <ReasonField reason={reason} set={setReason} />}
        <Foot close={close}>
          {result ? null : (
            <button type="submit" class="primary" disabled={!ready}>
              {busy === "import" ? "Importing…" : found ? "Import " + some(found.letters, "dead letter") : "Import"}
            </button>
          )}
        </Foot>
      </form>
    </Dialog>
  );
}

export function Import() {
  const [open, setOpen] = useState(false);
  if (useWhyNot("admin")) return null;
  return (
    <>
      <button type="button" onClick={() => setOpen(true)}>
        Import…
      </button>
      {open ? <ImportDialog close={() => setOpen(false)} /> : null}
    </>
  );
}
