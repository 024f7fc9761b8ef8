/*
 * What changes something: redrive, archive, purge. Each first asks the server what would happen and
 * shows it; what cannot be taken back wants a word typed.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { post } from "./api";
import { ConfirmField, Foot, ReasonField, reasonOf, useAsking } from "./asking";
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

export function skippedWhy(name: keyof Skipped): string {
  return skippedWords.find(([one]) => one === name)?.[1] ?? name;
}

export function skippedCount(skipped: Skipped): number {
  return skippedWords.reduce((sum, [name]) => sum + skipped[name], 0);
}

export function skippedRows(skipped: Skipped): [string, number][] {
  return skippedWords.filter(([name]) => skipped[name] > 0).map(([name, words]) => [words, skipped[name]]);
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
  const { busy, problem, ask } = useAsking<"plan" | "start">();

  const order = (): JobOrder => {
    const out: JobOrder = { filter, mode, ...reasonOf(reason) };
    if (group) out.group = group;
    if (Number(rate) > 0) out.rate = Number(rate);
    if (Number(limit) > 0) out.limit = Number(limit);
    if (mode === "force") out.confirm = confirm;
    return out;
  };

  const tryOut = () => {
    const asked = order();
    delete asked.confirm;
    ask("plan", post<Plan>("/jobs/dry-run", { ...asked, mode: "if-newer" }), setPlan);
  };
  /* What is asked does not depend on the mode; the limit does change it. */
  useEffect(tryOut, [limit]);

  const start = (event: Event) => {
    event.preventDefault();
    ask("start", post<Job>("/jobs", order()), (job) => {
      close();
      go("/redrives/" + encodeURIComponent(job.id));
    });
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
        {problem ? <ProblemNotice problem={problem} again={busy === "" && !plan ? tryOut : undefined} /> : null}
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
        <ReasonField reason={reason} set={setReason} wanted={mode === "force" ? "force wants one" : undefined} />
        {mode === "force" ? (
          <ConfirmField value={confirm} set={setConfirm}>
            Type <code>force</code> to confirm
          </ConfirmField>
        ) : null}
        <Foot close={close} note={<Ordering plan={plan} mode={mode} />}>
          <button type="submit" class={mode === "force" ? "danger" : "primary"} disabled={!ready}>
            {busy === "start" ? "Starting…" : plan ? "Redrive " + some(plan.sends, "record") : "Redrive"}
          </button>
        </Foot>
      </form>
    </Dialog>
  );
}

export function ArchiveDialog({ filter, title, close, done }: { filter: Filter; title?: string; close: () => void; done: () => void }) {
  const [reason, setReason] = useState("");
  const [plan, setPlan] = useState<Archived | null>(null);
  const [result, setResult] = useState<Archived | null>(null);
  const { busy, problem, ask } = useAsking<"plan" | "archive">();
  const send = (dry: boolean) => {
    const order = { filter, dry_run: dry, ...reasonOf(reason) };
    ask(dry ? "plan" : "archive", post<Archived>("/archive", order), (answer) => {
      if (dry) return setPlan(answer);
      setResult(answer);
      done();
    });
  };
  useEffect(() => send(true), []);
  return (
    <Dialog title="Archive" close={close}>
      <form
        class="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          send(false);
        }}
      >
        <p>
          Puts away: <Line text={filterWords(filter, title)} max={400} />. Nothing is deleted; archived ones are shown with State: Archived.
        </p>
        {busy ? <p class="muted" role="status">{busy === "archive" ? "Archiving…" : "Counting…"}</p> : null}
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
        {result ? null : <ReasonField reason={reason} set={setReason} />}
        <Foot close={close}>
          {result ? null : (
            <button type="submit" class="primary" disabled={busy !== "" || !plan || plan.matched === 0}>
              Archive
            </button>
          )}
        </Foot>
      </form>
    </Dialog>
  );
}

/* All that Kafka can delete is the beginning of a partition. */
export function PurgeDialog({ topic, partition, before, close }: { topic: string; partition: number; before: number; close: () => void }) {
  const [confirm, setConfirm] = useState("");
  const [reason, setReason] = useState("");
  const [plan, setPlan] = useState<Purged | null>(null);
  const { busy, problem, ask } = useAsking<"plan" | "purge">();
  const send = (dry: boolean) => {
    const order = { topic, partition, before, dry_run: dry, ...reasonOf(reason), ...(dry ? {} : { confirm }) };
    ask(dry ? "plan" : "purge", post<Purged>("/purge", order), setPlan);
  };
  useEffect(() => send(true), []);
  return (
    <Dialog title="Purge" close={close}>
      <form
        class="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          send(false);
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
            <ReasonField reason={reason} set={setReason} />
            <ConfirmField value={confirm} set={setConfirm}>
              Type the topic's name, <code><Line text={topic} /></code>, to confirm
            </ConfirmField>
          </>
        )}
        <Foot close={close}>
          {plan?.deleted ? null : (
            <button type="submit" class="danger" disabled={busy !== "" || !plan || confirm !== topic}>
              Delete for ever
            </button>
          )}
        </Foot>
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
