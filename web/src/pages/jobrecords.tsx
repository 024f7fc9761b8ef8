/* What became of each record of a redrive job. */
import { skippedCount, skippedWhy } from "../actions";
import { usePages } from "../api";
import { some } from "../format";
import { letterPath } from "../letters";
import { go, Link, withQuery } from "../router";
import { More, Table } from "../table";
import { Line } from "../text";
import type { Job, JobRecord, JobRecords, JobResult } from "../types";
import { Answered, Coverage, Empty, KeyText, StateTag, Time } from "../ui";

const words: Record<JobResult, string> = {
  on_its_way: "on its way",
  resolved: "resolved",
  superseded: "superseded",
  dropped: "dropped",
  duplicate: "retried elsewhere",
  failed: "failed again",
  unknown: "ended, how was not kept",
  skipped: "not sent",
};

const ended = new Set<Job["status"]>(["finished", "cancelled", "failed"]);
const results = Object.keys(words) as JobResult[];

function Result({ record }: { record: JobRecord }) {
  return (
    <>
      <span class={"nowrap" + (record.result === "failed" ? " bad" : "")}>{words[record.result]}</span>
      {record.skipped ? <span class="muted sub">{skippedWhy(record.skipped)}</span> : null}
      {record.code ? (
        <span class="mono sub">
          <Line text={record.code} max={60} />
        </span>
      ) : null}
    </>
  );
}

function Now({ record }: { record: JobRecord }) {
  return (
    <>
      {record.letter ? <StateTag state={record.letter.state} /> : <span class="muted">{record.skipped === "not_found" ? "not there" : "retention has taken it"}</span>}
      {record.since ? (
        <span class="muted sub">
          sent again by{" "}
          <Link to={"/redrives/" + encodeURIComponent(record.since)} class="mono">
            <Line text={record.since} max={60} />
          </Link>
        </span>
      ) : null}
    </>
  );
}

function cells(record: JobRecord) {
  const { letter } = record;
  return [
    <Result record={record} />,
    <span class="nowrap">
      <Time at={record.at} />
    </span>,
    letter ? (
      <span class="job-key">
        <KeyText value={letter.key} size={letter.key_size} max={60} />
      </span>
    ) : null,
    letter ? (
      <Link to={letterPath(record.id)}>
        <Line text={letter.detail || letter.code || record.id} max={160} />
      </Link>
    ) : (
      <span class="mono">
        <Line text={record.id} max={120} />
      </span>
    ),
    <Now record={record} />,
  ];
}

export function JobRecordList({ job, query }: { job: Job; query: URLSearchParams }) {
  const wanted = results.find((one) => one === query.get("result"));
  const path = "/jobs/" + encodeURIComponent(job.id) + "/records?limit=100" + (wanted ? "&result=" + wanted : "");
  const answer = usePages<JobRecords>(path, ["job", "groups"]);
  const left = skippedCount(job.counts.skipped) - job.skipped_listed;
  const unlisted = ended.has(job.status) && left > 0 && (!wanted || wanted === "skipped") ? left : 0;
  const show = (result: string) => {
    const next = new URLSearchParams(query);
    if (result) next.set("result", result);
    else next.delete("result");
    go(withQuery("/redrives/" + encodeURIComponent(job.id), next), true);
  };
  return (
    <>
      <h2>What became of each record</h2>
      <form class="filters" aria-label="Filter of its records" onSubmit={(event) => event.preventDefault()}>
        <label class="field">
          <span>Result</span>
          <select value={wanted ?? ""} onChange={(event) => show(event.currentTarget.value)}>
            <option value="">Any</option>
            {results.map((result) => (
              <option key={result} value={result}>
                {words[result]}
              </option>
            ))}
          </select>
        </label>
      </form>
      <Answered answer={answer} what="its records">
        {(pages) => {
          const records = pages.flatMap((page) => page.records);
          const last = pages[pages.length - 1];
          return (
            <>
              {last ? <Coverage covered={last.covered} /> : null}
              {records.length === 0 && !last?.next ? (
                <Empty title={wanted ? "None of its records ended like this." : "It has no records yet."}>{unlisted ? null : "What it sends, and what it skips, appears here."}</Empty>
              ) : (
                <Table
                  label="Records of the job"
                  columns={["Result", "When", "Key", "Record", "Now"]}
                  rows={records.map((record) => ({ key: record.id, cells: cells(record) }))}
                />
              )}
              <More answer={answer} what="records" />
              {unlisted && !last?.next ? (
                <p class="muted list-foot">
                  {some(unlisted, "skipped record")} {unlisted === 1 ? "is" : "are"} counted above and not listed: lists are kept of the newest jobs, as far as their size allows.
                </p>
              ) : null}
              {records.length > 0 && !last?.next ? <p class="muted list-foot">All {some(records.length, "record")}.</p> : null}
            </>
          );
        }}
      </Answered>
    </>
  );
}
