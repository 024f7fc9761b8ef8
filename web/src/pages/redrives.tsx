/* Redrive jobs: what was asked for, how far it is, how each record ended. */
import { useState } from "preact/hooks";
import { post, Problem, useAnswer, usePages } from "../api";
import { skippedRows } from "../actions";
import { filterQuery, filterWords } from "../filter";
import { count, some } from "../format";
import { useWhyNot } from "../overview";
import { Link, withQuery } from "../router";
import { More, Table } from "../table";
import { Line } from "../text";
import type { Counts, Filter, Job, JobGroup, Jobs } from "../types";
import { Answered, Dialog, Empty, Facts, Notice, ProblemNotice, StateTag, Time, Title } from "../ui";
import { JobRecordList } from "./jobrecords";

const ended = new Set(["finished", "cancelled", "failed"]);

function toSend(job: Job): number {
  return job.limit > 0 ? Math.min(job.limit, job.counts.eligible) : job.counts.eligible;
}

/* Whether eligible was counted already: a job that waits has counted nothing. */
function isCounted(job: Job): boolean {
  return job.counts.total > 0 || ended.has(job.status);
}

export function Progress({ job }: { job: Job }) {
  if (!isCounted(job)) return <span class="muted">not begun</span>;
  const all = toSend(job);
  return (
    <span class="job-progress">
      <progress aria-label={"Progress of " + job.id} max={Math.max(1, all)} value={all === 0 ? 1 : job.counts.sent} />
      <span>
        {count(job.counts.sent)} of {count(all)} sent
      </span>
    </span>
  );
}

function endsOf(counts: Counts): [string, number][] {
  const all: [string, number][] = [
    ["resolved", counts.resolved],
    ["superseded", counts.superseded],
    ["dropped", counts.dropped],
    ["duplicate", counts.duplicate],
    ["failed again", counts.failed],
    ["on their way", counts.on_their_way],
  ];
  return all.filter(([, n]) => n > 0);
}

function Ends({ counts }: { counts: Counts }) {
  const ends = endsOf(counts);
  if (ends.length === 0) return <span class="muted">none yet</span>;
  return (
    <span class="tiers">
      {ends.map(([words, n]) => (
        <span key={words} class={"tier" + (words === "failed again" ? " bad" : "")}>
          {count(n)} {words}
        </span>
      ))}
    </span>
  );
}

const jobsOf = (pages: Jobs[]): Job[] => pages.flatMap((page) => page.jobs);
const groupsOf = (pages: Jobs[]): JobGroup[] => pages[0]?.groups ?? [];

export function RedrivesPage() {
  const answer = usePages<Jobs>("/jobs?limit=50", ["job"]);
  return (
    <>
      <Title text="Redrives" />
      <Answered answer={answer} what="the redrives">
        {(pages) => (
          <>
            {groupsOf(pages)
              .filter((group) => group.trouble || !group.known)
              .map((group) => (
                <Notice kind="warn" key={group.group}>
                  <p>
                    <strong>Group <Line text={group.group} />: </strong>
                    {group.trouble ? <Line text={group.trouble} max={400} /> : "its jobs are not read yet."}
                  </p>
                </Notice>
              ))}
            {jobsOf(pages).length === 0 ? (
              <Empty title="Nothing was redriven.">
                A redrive begins at a <Link to="/groups">failure</Link> or at <Link to="/letters">records</Link>: Redrive…
              </Empty>
            ) : (
              <Table
                label="Redrive jobs, the newest first"
                columns={["Job", "Status", "Progress", "Ends", "What", "Mode", "By, and why", "Begun"]}
                rows={jobsOf(pages).map((job) => ({
                  key: job.id,
                  cells: [
                    <Link to={"/redrives/" + encodeURIComponent(job.id)} class="mono nowrap">
                      <Line text={job.id} />
                    </Link>,
                    <StateTag state={job.status} />,
                    <Progress job={job} />,
                    <Ends counts={job.counts} />,
                    job.filter_hidden ? <span class="muted">hidden</span> : <Line text={filterWords(job.filter)} max={160} />,
                    <span class={job.mode === "force" ? "nowrap bad" : "nowrap"}>{job.mode}</span>,
                    <>
                      <span><Line text={job.by ?? "not told"} max={60} /></span>
                      <span class="muted sub">{job.reason ? <Line text={job.reason} max={160} /> : "no reason given"}</span>
                    </>,
                    <span class="nowrap"><Time at={job.created} form="ago" /></span>,
                  ],
                }))}
              />
            )}
            <More answer={answer} what="redrives" />
            <RunnerWords groups={groupsOf(pages)} />
          </>
        )}
      </Answered>
    </>
  );
}

function RunnerWords({ groups }: { groups: JobGroup[] }) {
  if (groups.length === 0) return null;
  const here = groups.filter((group) => group.runs_here).map((group) => group.group);
  return (
    <p class="muted">
      {here.length ? "This console runs the jobs of " + here.join(", ") + "." : "This console runs no jobs: another console or command does."}
    </p>
  );
}

function CancelDialog({ job, close, done }: { job: Job; close: () => void; done: () => void }) {
  const [reason, setReason] = useState("");
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const cancel = (event: Event) => {
    event.preventDefault();
    setBusy(true);
    post<Job>("/jobs/" + encodeURIComponent(job.id) + "/cancel", reason.trim() ? { reason: reason.trim() } : {}).then(
      () => {
        done();
        close();
      },
      (error: unknown) => {
        setBusy(false);
        setProblem(error instanceof Problem ? error : new Problem(0, String(error)));
      },
    );
  };
  return (
    <Dialog title="Cancel the redrive" close={close}>
      <form class="dialog-body" onSubmit={cancel}>
        <p>It sends nothing more. {some(job.counts.sent, "record")} sent already {job.counts.sent === 1 ? "goes" : "go"} on to the handler.</p>
        <label class="field">
          <span>Reason, for the audit log</span>
          <input value={reason} maxLength={1000} onInput={(event) => setReason(event.currentTarget.value)} />
        </label>
        {problem ? <ProblemNotice problem={problem} /> : null}
        <footer class="dialog-foot">
          <div class="buttons">
            <button type="button" onClick={close}>
              Let it go on
            </button>
            <button type="submit" class="danger" disabled={busy}>
              Cancel the redrive
            </button>
          </div>
        </footer>
      </form>
    </Dialog>
  );
}

/* What the job could take: what its filter takes, whatever became of it, and was there when it was asked for. */
function lettersOf(job: Job): Filter {
  const until = job.filter.until ?? job.created ?? undefined;
  return { ...job.filter, state: ["any"], ...(until && !job.filter.id ? { until } : {}) };
}

function JobView({ job, query, reload }: { job: Job; query: URLSearchParams; reload: () => void }) {
  const [asking, setAsking] = useState(false);
  const why = useWhyNot("operator");
  const over = ended.has(job.status);
  const skipped = skippedRows(job.counts.skipped);
  const ends = endsOf(job.counts);
  return (
    <>
      <div class="two">
      <section class="panel" aria-label="Progress">
        <p class="job-line">
          <StateTag state={job.status} /> <Progress job={job} />
          {over || job.status === "cancelling" ? null : why ? (
            <span class="muted">{why}</span>
          ) : (
            <button type="button" onClick={() => setAsking(true)}>
              Cancel…
            </button>
          )}
        </p>
        {job.note ? (
          <Notice kind={job.status === "failed" ? "bad" : "warn"} live>
            <p>
              <Line text={job.note} max={1000} />
            </p>
          </Notice>
        ) : null}
        <h2>How they ended</h2>
        {ends.length ? <Facts rows={ends.map(([words, n]) => [words, count(n)])} /> : <p class="muted">{over ? "Nothing was sent." : "None has ended yet."}</p>}
        {skipped.length ? (
          <>
            <h2>Not sent</h2>
            <Facts rows={skipped.map(([words, n]) => [words, count(n)])} />
          </>
        ) : null}
      </section>
      <section class="panel" aria-label="What was asked for">
        <h2>What was asked for</h2>
        <Facts
          rows={[
            [
              "Which",
              job.filter_hidden ? (
                <span class="muted">hidden</span>
              ) : (
                <Link to={withQuery("/letters", filterQuery(lettersOf(job)))}>
                  <Line text={filterWords(job.filter)} max={400} />
                </Link>
              ),
            ],
            ["Consumer group", <Line text={job.group} max={120} />],
            ["Mode", <span class={job.mode === "force" ? "bad" : undefined}>{job.mode}</span>],
            ["Rate", job.rate ? count(job.rate) + " per second" : "as fast as it goes"],
            ["At most", job.limit ? some(job.limit, "record") : "all"],
            ["Why", job.reason ? <Line text={job.reason} max={1000} /> : <span class="muted">no reason given</span>],
            ["By", job.by ? <Line text={job.by} max={120} /> : <span class="muted">not told</span>],
            ["Begun", <Time at={job.created} form="both" />],
            ["Last word", <Time at={job.updated} form="both" />],
            ["Run by", job.owner ? <Line text={job.owner} max={120} /> : <span class="muted">nobody yet</span>],
          ]}
        />
      </section>
      </div>
      <JobRecordList job={job} query={query} />
      {asking ? <CancelDialog job={job} close={() => setAsking(false)} done={reload} /> : null}
    </>
  );
}

export function RedrivePage({ id, query }: { id: string; query: URLSearchParams }) {
  const answer = useAnswer<Job>("/jobs/" + encodeURIComponent(id), ["job"]);
  return (
    <>
      <p class="crumbs">
        <Link to="/redrives">Redrives</Link>
      </p>
      <Title text={"Redrive " + id}>
        Redrive <span class="mono"><Line text={id} max={80} /></span>
      </Title>
      <Answered answer={answer} what="the redrive">
        {(job) => <JobView job={job} query={query} reload={answer.reload} />}
      </Answered>
    </>
  );
}
