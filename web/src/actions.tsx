/*
 * What changes something: redrive, archive, purge. Each first asks the server what would happen and
 * shows it; what cannot be taken back wants a word typed.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { post, Problem } from "./api";
import { filterWords } from "./filter";
import { count, some } from "./format";
import { useWhyNot } from "./overview";
import { go } from "./router";
import { Line } from "./text";
import type { Archived, Filter, Job, JobOrder, Mode, Plan, Purged, Skipped } from "./types";
import { Dialog, Facts, Notice, ProblemNotice } from "./ui";

const skippedWords: [keyof Skipped, string][] = [
  ["on_its_way", "already redriven, on their way"],
  ["resolved", "already resolved"],
  ["archived", "archived"],
  ["gone", "too old: retention has taken the record"],
  ["not_found", "not there"],
  ["no_route", "no route or redrive topic any more"],
  ["foreign", "written by another program"],
  ["refused", "refused by Kafka"],
];

export function skippedRows(skipped: Skipped): [string, number][] {
  return skippedWords.filter(([name]) => skipped[name] > 0).map(([name, words]) => [words, skipped[name]]);
}

function problemOf(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, String(error));
}

/* A job without a time or a state would take what was not seen, so a filter is passed on whole. */
interface RedriveProps {
  filter: Filter;
  group?: string;
  title?: string; /* of the failure that the filter names */
  close: () => void;
}

function Ordering({ plan, mode }: { plan: Plan | null; mode: Mode }) {
  if (!plan) return null;
  const known = plan.overtaken > 0;
  return (
    <div class="ordering">
      <p>
        <strong>Ordering. </strong>
        Records are sent in the order of their origins, those of one key behind each other.
      </p>
      {known ? (
        <p>
          Of {count(plan.overtaken)} a later number of their key has succeeded already:{" "}
          {mode === "force" ? <strong>force delivers them all the same, over newer work.</strong> : <>they end as superseded and are not delivered.</>}
        </p>
      ) : null}
      {plan.overtaken_unknown > 0 ? (
        <p>
          Of {count(plan.overtaken_unknown)} it is unknown whether later records of their key are done
          {plan.overtaken_why ? (
            <>
              : <Line text={plan.overtaken_why} />
            </>
          ) : null}
          .
        </p>
      ) : null}
      {!known && plan.overtaken_unknown === 0 ? <p>No later number of any of their keys has succeeded.</p> : null}
    </div>
  );
}

function PlanView({ plan }: { plan: Plan }) {
  const { counts } = plan;
  const rows: [string, ComponentChildren][] = [
    ["Asked for", count(counts.total)],
    ["Eligible", <strong>{count(counts.eligible)}</strong>],
  ];
  if (plan.overtaken > 0) rows.push(["Of these overtaken", count(plan.overtaken)]);
  if (plan.overtaken_unknown > 0) rows.push(["Of these perhaps overtaken", count(plan.overtaken_unknown)]);
  if (plan.sends !== counts.eligible) rows.push(["Sent by this job", <strong>{count(plan.sends)}</strong>]);
  for (const [words, n] of skippedRows(counts.skipped)) rows.push(["Not sent: " + words, count(n)]);
  return <Facts rows={rows} />;
}

export function RedriveDialog({ filter, group, title, close }: RedriveProps) {
  const [mode, setMode] = useState<Mode>("if-newer");
  const [rate, setRate] = useState("50");
  const [limit, setLimit] = useState("");
  const [reason, setReason] = useState("");
  const [confirm, setConfirm] = useState("");
  const [plan, setPlan] = useState<Plan | null>(null);
  const [busy, setBusy] = useState<"" | "plan" | "start">("plan");
  const [problem, setProblem] = useState<Problem | null>(null);
  const planned = useRef(0);

  const order = (): JobOrder => {
    const out: JobOrder = { filter, mode };
    if (group) out.group = group;
    if (Number(rate) > 0) out.rate = Number(rate);
    if (Number(limit) > 0) out.limit = Number(limit);
    if (reason.trim()) out.reason = reason.trim();
    if (mode === "force") out.confirm = confirm;
    return out;
  };

  const ask = () => {
    const turn = ++planned.current;
    setBusy("plan");
    setProblem(null);
    const asked = order();
    delete asked.confirm;
    post<Plan>("/jobs/dry-run", { ...asked, mode: "if-newer" }).then(
      (answer) => {
        if (turn !== planned.current) return;
        setPlan(answer);
        setBusy("");
      },
      (error: unknown) => {
        if (turn !== planned.current) return;
        setProblem(problemOf(error));
        setBusy("");
      },
    );
  };
  /* What is asked does not depend on the mode; the limit does change it. */
  useEffect(ask, [limit]);
  useEffect(() => () => void planned.current++, []);

  const start = (event: Event) => {
    event.preventDefault();
    setBusy("start");
    setProblem(null);
    post<Job>("/jobs", order()).then(
      (job) => {
        close();
        go("/redrives/" + encodeURIComponent(job.id));
      },
      (error: unknown) => {
        setProblem(problemOf(error));
        setBusy("");
      },
    );
  };
  const ready = busy === "" && plan !== null && plan.sends > 0 && (mode !== "force" || (confirm === "force" && reason.trim() !== ""));
  return (
    <Dialog title="Redrive" close={close}>
      <form onSubmit={start} class="dialog-body">
        <p>
          Sends again: <Line text={filterWords(filter, title)} max={400} />.
        </p>
        <section aria-label="Dry run" aria-busy={busy === "plan"}>
          <h3>Dry run</h3>
          {busy === "plan" ? (
            <p class="muted" role="status">
              Reading the topics and asking the ledger… nothing is sent.
            </p>
          ) : null}
          {plan ? <PlanView plan={plan} /> : null}
          {plan && busy === "" ? (
            <p class="sr" role="status">
              {some(plan.sends, "record")} will be sent.
            </p>
          ) : null}
        </section>
        {problem ? <ProblemNotice problem={problem} again={busy === "" && !plan ? ask : undefined} /> : null}
        <fieldset class="choices">
          <legend>Mode</legend>
          <label>
            <input type="radio" name="mode" checked={mode === "if-newer"} onChange={() => setMode("if-newer")} />
            <span>
              <strong>if-newer</strong> <span class="muted">records that were overtaken are not delivered</span>
            </span>
          </label>
          <label>
            <input type="radio" name="mode" checked={mode === "force"} onChange={() => setMode("force")} />
            <span>
              <strong>force</strong> <span class="muted">delivers them too, over newer work of their key</span>
            </span>
          </label>
        </fieldset>
        <div class="fields">
          <label class="field">
            <span>Rate, records per second</span>
            <input type="number" min="0" max="1000000" inputMode="numeric" value={rate} onInput={(event) => setRate(event.currentTarget.value)} />
          </label>
          <label class="field">
            <span>At most, records</span>
            <input type="number" min="0" max="4294967295" inputMode="numeric" placeholder="all" value={limit} onChange={(event) => setLimit(event.currentTarget.value)} />
          </label>
        </div>
        <label class="field">
          <span>Reason{mode === "force" ? " (force wants one)" : ", for the audit log"}</span>
          <input value={reason} maxLength={1000} required={mode === "force"} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        {mode === "force" ? (
          <label class="field">
            <span>
              Type <code>force</code> to confirm
            </span>
            <input value={confirm} autocomplete="off" spellcheck={false} onInput={(event) => setConfirm(event.currentTarget.value)} />
          </label>
        ) : null}
        <footer class="dialog-foot">
          <Ordering plan={plan} mode={mode} />
          <div class="buttons">
            <button type="button" onClick={close}>
              Close
            </button>
            <button type="submit" class={mode === "force" ? "danger" : "primary"} disabled={!ready}>
              {busy === "start" ? "Starting…" : plan ? "Redrive " + some(plan.sends, "record") : "Redrive"}
            </button>
          </div>
        </footer>
      </form>
    </Dialog>
  );
}

export function ArchiveDialog({ filter, title, close, done }: { filter: Filter; title?: string; close: () => void; done: () => void }) {
  const [reason, setReason] = useState("");
  const [plan, setPlan] = useState<Archived | null>(null);
  const [result, setResult] = useState<Archived | null>(null);
  const [busy, setBusy] = useState(true);
  const [problem, setProblem] = useState<Problem | null>(null);
  const ask = (dry: boolean) => {
    setBusy(true);
    setProblem(null);
    const order = { filter, dry_run: dry, ...(reason.trim() ? { reason: reason.trim() } : {}) };
    post<Archived>("/archive", order).then(
      (answer) => {
        setBusy(false);
        if (dry) setPlan(answer);
        else {
          setResult(answer);
          done();
        }
      },
      (error: unknown) => {
        setBusy(false);
        setProblem(problemOf(error));
      },
    );
  };
  useEffect(() => ask(true), []);
  return (
    <Dialog title="Archive" close={close}>
      <form
        class="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          ask(false);
        }}
      >
        <p>
          Puts away: <Line text={filterWords(filter, title)} max={400} />. Nothing is deleted; archived ones are shown with State: Archived.
        </p>
        {busy ? <p class="muted" role="status">{plan ? "Archiving…" : "Counting…"}</p> : null}
        {result ? (
          <Notice kind="good" live>
            <p>
              {some(result.archived, "dead letter")} archived.
              {result.more ? " There are more: archive once again." : ""}
            </p>
          </Notice>
        ) : plan ? (
          <Facts rows={[["Will be archived", <strong>{count(plan.matched)}{plan.more ? ", then more" : ""}</strong>]]} />
        ) : null}
        {problem ? <ProblemNotice problem={problem} /> : null}
        {result ? null : (
          <label class="field">
            <span>Reason, for the audit log</span>
            <input value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} />
          </label>
        )}
        <footer class="dialog-foot">
          <div class="buttons">
            <button type="button" onClick={close}>
              Close
            </button>
            {result ? null : (
              <button type="submit" class="primary" disabled={busy || !plan || plan.matched === 0}>
                Archive
              </button>
            )}
          </div>
        </footer>
      </form>
    </Dialog>
  );
}

/* All that Kafka can delete is the beginning of a partition. */
export function PurgeDialog({ topic, partition, before, close }: { topic: string; partition: number; before: number; close: () => void }) {
  const [confirm, setConfirm] = useState("");
  const [reason, setReason] = useState("");
  const [plan, setPlan] = useState<Purged | null>(null);
  const [busy, setBusy] = useState(true);
  const [problem, setProblem] = useState<Problem | null>(null);
  const ask = (dry: boolean) => {
    setBusy(true);
    setProblem(null);
    const order = { topic, partition, before, dry_run: dry, ...(reason.trim() ? { reason: reason.trim() } : {}), ...(dry ? {} : { confirm }) };
    post<Purged>("/purge", order).then(
      (answer) => {
        setBusy(false);
        setPlan(answer);
      },
      (error: unknown) => {
        setBusy(false);
        setProblem(problemOf(error));
      },
    );
  };
  useEffect(() => ask(true), []);
  return (
    <Dialog title="Purge" close={close}>
      <form
        class="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          ask(false);
        }}
      >
        <p>
          Deletes every dead letter of partition {partition} of <code><Line text={topic} /></code> up to and with offset {count(before - 1)}, for ever.
          Kafka can delete the beginning of a partition and nothing else: no single record, and no filter.
        </p>
        {busy ? <p class="muted" role="status">Asking…</p> : null}
        {plan ? (
          <>
            <Facts
              rows={[
                [plan.deleted ? "Deleted" : "Will be deleted", <strong>{some(plan.letters, "dead letter")}</strong>],
                ["Of these open or redriving", <strong>{count(plan.open)}</strong>],
              ]}
            />
            {plan.note ? (
              <Notice kind={plan.deleted ? "good" : "warn"} live>
                <p>
                  <Line text={plan.note} />
                </p>
              </Notice>
            ) : null}
          </>
        ) : null}
        {problem ? <ProblemNotice problem={problem} /> : null}
        {plan?.deleted ? null : (
          <>
            <label class="field">
              <span>Reason, for the audit log</span>
              <input value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} />
            </label>
            <label class="field">
              <span>
                Type the topic's name, <code><Line text={topic} /></code>, to confirm
              </span>
              <input value={confirm} autocomplete="off" spellcheck={false} onInput={(event) => setConfirm(event.currentTarget.value)} />
            </label>
          </>
        )}
        <footer class="dialog-foot">
          <div class="buttons">
            <button type="button" onClick={close}>
              Close
            </button>
            {plan?.deleted ? null : (
              <button type="submit" class="danger" disabled={busy || !plan || confirm !== topic}>
                Delete for ever
              </button>
            )}
          </div>
        </footer>
      </form>
    </Dialog>
  );
}

/* The buttons of a page, or why there are none. */
export function Actions({ filter, group, title, what, done, purge }: { filter: Filter; group?: string; title?: string; what: string; done: () => void; purge?: { topic: string; partition: number; before: number } }) {
  const [open, setOpen] = useState<"" | "redrive" | "archive" | "purge">("");
  const why = useWhyNot("operator");
  const whyNoPurge = useWhyNot("admin");
  const close = () => setOpen("");
  if (why) return <p class="muted actions-none">{why}</p>;
  return (
    <div class="buttons" role="group" aria-label={"Actions on " + what}>
      <button type="button" class="primary" data-shortcut="r" onClick={() => setOpen("redrive")}>
        Redrive…
      </button>
      <button type="button" onClick={() => setOpen("archive")}>
        Archive…
      </button>
      {purge && !whyNoPurge ? (
        <button type="button" onClick={() => setOpen("purge")}>
          Purge up to here…
        </button>
      ) : null}
      {open === "redrive" ? <RedriveDialog filter={filter} group={group} title={title} close={close} /> : null}
      {open === "archive" ? <ArchiveDialog filter={filter} title={title} close={close} done={done} /> : null}
      {open === "purge" && purge ? <PurgeDialog {...purge} close={close} /> : null}
    </div>
  );
}
