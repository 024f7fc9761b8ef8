/* What fails, in groups: one line of reading for thousands of records. */
import { useMemo } from "preact/hooks";
import { useAnswer } from "../api";
import { FilterBar, filterOf, filterQuery } from "../filter";
import { codeHint, count, some } from "../format";
import { LetterList, letterPath } from "../letters";
import { groupOfRoute, useOverview } from "../overview";
import { Link, withQuery } from "../router";
import { Line, plain } from "../text";
import type { Group, Groups } from "../types";
import { Answered, Coverage, Empty, Facts, Spark, Time, Title } from "../ui";
import { ListActions, useSelection } from "./letters";

const carried = ["topic", "status", "key", "since", "until", "text", "state"];

function groupPath(group: Group, query: URLSearchParams): string {
  const kept = new URLSearchParams();
  for (const name of carried) query.getAll(name).forEach((value) => kept.append(name, value));
  if (group.route) kept.set("route", group.route);
  return withQuery("/groups/" + encodeURIComponent(group.signature), kept);
}

export function titleOf(group: Group): string {
  return group.title || group.code || "no error is told";
}

export function GroupItem({ group, query, heading: Heading = "h3" }: { group: Group; query: URLSearchParams; heading?: "h2" | "h3" }) {
  const rest = group.resolved + group.archived;
  return (
    <li class="group">
      <div class="group-count">
        <strong>{count(group.open)}</strong>
        <span class="muted">open</span>
        {group.redriving ? <span class="muted">{count(group.redriving)} redriving</span> : null}
      </div>
      <div class="group-text">
        <Heading class="group-title">
          <Link to={groupPath(group, query)}>
            <Line text={titleOf(group)} max={300} />
          </Link>
        </Heading>
        <p class="group-facts">
          {group.route ? (
            <span>
              route <Line text={group.route} max={60} />
            </span>
          ) : null}
          <span class="mono">
            <Line text={group.code || "no code"} max={60} />
          </span>
          <span>{some(group.keys, "key")}</span>
          <span>{some(group.attempts, "attempt")}</span>
          <span>
            first <Time at={group.first} form="ago" />
          </span>
          <span>
            last <Time at={group.last} form="ago" />
          </span>
          {rest ? <span>{count(group.resolved)} resolved{group.archived ? ", " + count(group.archived) + " archived" : ""}</span> : null}
        </p>
      </div>
      <div class="group-spark">
        <Spark values={group.spark} unitMs={group.spark_unit_ms} end={group.spark_end} />
      </div>
    </li>
  );
}

export function GroupsPage({ query }: { query: URLSearchParams }) {
  const text = query.toString();
  const filter = useMemo(() => filterOf(new URLSearchParams(text)), [text]);
  const answer = useAnswer<Groups>(withQuery("/groups", filterQuery(filter)), ["groups"]);
  return (
    <>
      <Title text="Failures" />
      <FilterBar path="/groups" filter={filter} />
      <Answered answer={answer} what="the failures">
        {(data) => (
          <>
            <Coverage covered={data.covered} text={filter.text !== undefined} />
            {data.groups.length === 0 ? (
              <Empty title={data.covered.complete ? "Nothing fails." : "Nothing fails in what was read so far."}>
                {text ? "No failure fits the filter." : "No dead letter is open. New ones appear here by themselves."}
              </Empty>
            ) : (
              <>
                <p class="muted" role="status">
                  {some(data.groups.length, "kind")} of failure, the largest first.
                </p>
                <ul class="groups">
                  {data.groups.map((group) => (
                    <GroupItem key={group.signature + "/" + group.route} group={group} query={query} heading="h2" />
                  ))}
                </ul>
              </>
            )}
          </>
        )}
      </Answered>
    </>
  );
}

function GroupHead({ group }: { group: Group }) {
  return (
    <section class="panel" aria-label="About this failure">
      <div class="group-head">
        <Facts
          rows={[
            ["Open", <strong>{count(group.open)}</strong>],
            ["Redriving", count(group.redriving)],
            ["Resolved", count(group.resolved)],
            ["Archived", count(group.archived)],
            ["Keys affected", count(group.keys)],
            ["Attempts", count(group.attempts)],
            ["First", <Time at={group.first} form="both" />],
            ["Last", <Time at={group.last} form="both" />],
            ["Route", group.route ? <Line text={group.route} max={80} /> : <span class="muted">unknown</span>],
            ["Error code", <span class="mono"><Line text={group.code || "none"} max={80} /></span>],
          ]}
        />
        <div class="group-over-time">
          <h2>Over time</h2>
          <Spark values={group.spark} unitMs={group.spark_unit_ms} end={group.spark_end} />
          <p class="muted spark-legend">
            <span>{Math.round((group.spark_unit_ms * group.spark.length) / 3600000)} h ago</span>
            <span>at most {count(Math.max(0, ...group.spark))} {group.spark_unit_ms === 3600000 ? "an hour" : "in " + Math.round(group.spark_unit_ms / 3600000) + " h"}</span>
            <span>now</span>
          </p>
        </div>
      </div>
      <h2>The handler's answer, an example</h2>
      <p class="muted">
        {group.http_status ? "HTTP " + group.http_status + ". " : null}
        {codeHint(group.code) ? codeHint(group.code) + ". " : null}
        {group.example ? (
          <Link to={letterPath(group.example)}>
            Open <span class="mono">{plain(group.example)}</span>
          </Link>
        ) : null}
      </p>
      {group.example_detail ? (
        <blockquote class="answer">
          <Line text={group.example_detail} max={4000} />
        </blockquote>
      ) : (
        <p class="muted">It said nothing beyond that.</p>
      )}
    </section>
  );
}

export function GroupPage({ signature, query }: { signature: string; query: URLSearchParams }) {
  const text = query.toString();
  const filter = useMemo(() => ({ ...filterOf(new URLSearchParams(text)), signature }), [text, signature]);
  const answer = useAnswer<Groups>("/groups/" + encodeURIComponent(signature), ["groups"]);
  const selection = useSelection();
  const overview = useOverview().data;
  const first = answer.data?.groups.find((one) => one.route === filter.route) ?? answer.data?.groups[0];
  const path = "/groups/" + encodeURIComponent(signature);
  const narrowed = ["topic", "code", "status", "key", "key_hex", "since", "until", "text", "state"].some((name) => query.has(name));
  return (
    <>
      <p class="crumbs">
        <Link to="/groups">Failures</Link>
      </p>
      <Title text={first ? plain(titleOf(first), 60) : "Failure"}>{first ? <Line text={titleOf(first)} max={300} /> : "Failure"}</Title>
      <Answered answer={answer} what="the failure">
        {() =>
          first ? (
            <>
              <GroupHead group={first} />
              <h2>Records</h2>
              <FilterBar path={path} filter={filter} fixed={["signature"]} />
              <ListActions filter={filter} group={groupOfRoute(overview, first.route)} title={titleOf(first)} selection={selection} />
              <LetterList filter={filter} total={narrowed ? undefined : first.open + first.redriving} selection={selection} />
            </>
          ) : null
        }
      </Answered>
    </>
  );
}
