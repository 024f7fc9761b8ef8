/* Who changed what, when and why. */
import { usePages } from "../api";
import { go, Link, withQuery } from "../router";
import { useOverview } from "../overview";
import { Line, Lines } from "../text";
import type { Audit, AuditEntry } from "../types";
import { Answered, Empty, Time, Title } from "../ui";
import { More, Table } from "../table";

function onWhat(entry: AuditEntry) {
  if (entry.action.startsWith("redrive."))
    return (
      <Link to={"/redrives/" + encodeURIComponent(entry.on)} class="mono">
        <Line text={entry.on} max={80} />
      </Link>
    );
  return (
    <span class="mono">
      <Line text={entry.on} max={120} />
    </span>
  );
}

function Details({ entry }: { entry: AuditEntry }) {
  if (entry.details_hidden) return <span class="muted">hidden</span>;
  if (entry.details === null) return null;
  return (
    <details>
      <summary>Show</summary>
      <pre class="code small-code">
        <Lines text={JSON.stringify(entry.details, null, 2)} />
      </pre>
    </details>
  );
}

export function AuditPage({ query }: { query: URLSearchParams }) {
  const since = query.get("since") ?? "";
  const group = query.get("group") ?? "";
  const asked = new URLSearchParams({ limit: "100" });
  if (since) asked.set("since", since);
  if (group) asked.set("group", group);
  const answer = usePages<Audit>("/audit?" + asked.toString(), ["job"]);
  const groups = [...new Set((useOverview().data?.routes ?? []).map((route) => route.group))];
  const show = (change: Record<string, string>) => {
    const next = new URLSearchParams(query);
    for (const [name, value] of Object.entries(change)) {
      if (value) next.set(name, value);
      else next.delete(name);
    }
    go(withQuery("/audit", next), true);
  };
  return (
    <>
      <Title text="Audit" />
      <p class="muted lead">Every change, as it stands in the groups' audit topics. Kafka keeps them for a year.</p>
      <form class="filters" aria-label="Filter" onSubmit={(event) => event.preventDefault()}>
        <label class="field">
          <span>Since</span>
          <select value={since} onChange={(event) => show({ since: event.currentTarget.value })}>
            <option value="">The beginning</option>
            <option value="1h">An hour ago</option>
            <option value="24h">A day ago</option>
            <option value="7d">A week ago</option>
            <option value="30d">30 days ago</option>
            {since && !["1h", "24h", "7d", "30d"].includes(since) ? <option value={since}>{since}</option> : null}
          </select>
        </label>
        {groups.length > 1 || group ? (
          <label class="field">
            <span>Consumer group</span>
            <select value={group} onChange={(event) => show({ group: event.currentTarget.value })}>
              <option value="">All</option>
              {groups.map((name) => (
                <option key={name}>{name}</option>
              ))}
            </select>
          </label>
        ) : null}
      </form>
      <Answered answer={answer} what="the audit log">
        {(pages) =>
          pages.every((page) => page.entries.length === 0 && !page.next) ? (
            <Empty title="Nothing was changed.">Redrives, archivings and purges will stand here, with who, when and why.</Empty>
          ) : (
            <>
              <Table
                label="Changes, the newest first"
                columns={["When", "Who", "What", "On", "Why", "Result", "Details"]}
                rows={pages.flatMap((page) => page.entries).map((entry, i) => ({
                  key: (entry.at ?? "") + entry.action + entry.on + i,
                  cells: [
                    <Time at={entry.at} />,
                    <Line text={entry.by} max={80} />,
                    <Line text={entry.action} max={60} />,
                    onWhat(entry),
                    entry.reason === null ? <span class="muted">no reason given</span> : <Line text={entry.reason} max={300} />,
                    <Line text={entry.result} max={200} />,
                    <Details entry={entry} />,
                  ],
                }))}
              />
              <More answer={answer} what="entries" />
            </>
          )
        }
      </Answered>
    </>
  );
}
