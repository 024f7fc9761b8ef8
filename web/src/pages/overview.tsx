/* What there is at a glance, and first of all what is stuck and why. */
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { useAnswer } from "../api";
import { count, duration, some } from "../format";
import { useOverview } from "../overview";
import { Link } from "../router";
import { Table } from "../table";
import { Line } from "../text";
import type { Gateway, Groups, Jobs, Overview, StatusRoute } from "../types";
import { Answered, Empty, Notice, ProblemNotice, StateTag, Title } from "../ui";
import { GroupItem } from "./groups";
import { Progress } from "./redrives";

/* A route as all gateways and workers together tell of it. */
interface RouteView {
  states: string[];
  whys: string[];
  breaker: string;
  lag: number | null;
  waiting: { tier: string; records: number }[];
  inFlight: number;
  told: boolean;
}

const calm = new Set(["running", "idle"]);

function tierOf(topic: string, group: string): string {
  const prefix = "retry." + group + ".";
  const rest = topic.startsWith(prefix) ? topic.slice(prefix.length) : topic;
  return rest.slice(rest.lastIndexOf(".") + 1);
}

function seconds(tier: string): number {
  const match = /^(\d+)(ms|s|m|h|d)$/.exec(tier);
  const units: Record<string, number> = { ms: 0.001, s: 1, m: 60, h: 3600, d: 86400 };
  return match ? Number(match[1]) * (units[match[2] ?? "s"] ?? 1) : Infinity;
}

function routesOf(gateways: Gateway[], name: string): StatusRoute[] {
  return gateways.flatMap((gateway) => gateway.status?.routes ?? []).filter((route) => route.name === name);
}

function viewOf(gateways: Gateway[], name: string, group: string): RouteView {
  const all = routesOf(gateways, name);
  const tiers = new Map<string, number>();
  let lag: number | null = null;
  for (const part of all.flatMap((route) => route.partitions ?? [])) {
    if (part.lag === undefined) continue;
    if (part.kind === "tier") {
      const tier = tierOf(part.topic ?? "", group);
      tiers.set(tier, (tiers.get(tier) ?? 0) + part.lag);
    } else if (part.kind !== "redrive") {
      lag = (lag ?? 0) + part.lag;
    }
  }
  const breakers = all.map((route) => route.breaker ?? "closed").filter((state) => state !== "closed");
  return {
    states: [...new Set(all.map((route) => route.state ?? "unknown"))],
    whys: [...new Set(all.map((route) => route.why ?? "").filter((why) => why !== ""))],
    breaker: all.length === 0 ? "" : (breakers[0] ?? "closed"),
    lag,
    waiting: [...tiers].map(([tier, records]) => ({ tier, records })).sort((a, b) => seconds(a.tier) - seconds(b.tier)),
    inFlight: all.reduce((sum, route) => sum + (route.in_flight_records ?? 0), 0),
    told: all.length > 0,
  };
}

interface Trouble {
  key: string;
  where: ComponentChildren;
  why: string;
  since?: number;
}

function troublesOf(overview: Overview): Trouble[] {
  const out: Trouble[] = [];
  const gateways = overview.gateways ?? [];
  if (overview.feed.trouble) out.push({ key: "feed", where: "Reading the dead-letter topics", why: overview.feed.trouble });
  for (const gateway of gateways) {
    if (!gateway.reached)
      out.push({ key: "gw" + gateway.address, where: "Gateway " + gateway.address, why: gateway.why ?? "it does not answer" });
    for (const route of gateway.status?.routes ?? []) {
      const name = route.name ?? "";
      if (!calm.has(route.state ?? "running"))
        out.push({ key: gateway.address + name + route.worker, where: <>Route {name}: {route.state}</>, why: route.why || "it does not say why" });
      for (const part of route.partitions ?? []) {
        if (part.stuck_ms === undefined) continue;
        out.push({ key: name + part.topic + part.partition, where: <>Partition <span class="mono">{part.topic}/{part.partition}</span></>, why: part.why ?? "", since: part.stuck_ms });
      }
      for (const stuck of route.stuck ?? []) {
        out.push({
          key: name + stuck.topic + stuck.partition + "@" + stuck.offset,
          where: (
            <>
              Record <span class="mono">{stuck.topic}/{stuck.partition}/{stuck.offset}</span>
              {stuck.key !== undefined ? <> of key <span class="mono"><Line text={stuck.key} max={60} /></span></> : null}
            </>
          ),
          why: stuck.why ?? "",
          since: stuck.ms,
        });
      }
    }
  }
  return out;
}

function Troubles({ overview }: { overview: Overview }) {
  const troubles = troublesOf(overview);
  const gateways = overview.gateways ?? [];
  if (troubles.length === 0)
    return (
      <Notice kind={gateways.length ? "good" : "info"}>
        <p>{gateways.length ? "Nothing is stuck." : "No gateway is known to ask: lag, breakers and what is stuck are not shown."}</p>
      </Notice>
    );
  return (
    <ul class="troubles">
      {troubles.slice(0, 50).map((trouble) => (
        <li key={trouble.key}>
          <strong>{trouble.where}</strong>
          {trouble.since !== undefined ? <span class="muted"> for {duration(trouble.since)}</span> : null}
          <p>
            <Line text={trouble.why} max={500} />
          </p>
        </li>
      ))}
      {troubles.length > 50 ? <li class="muted">And {count(troubles.length - 50)} more: see `oncegate status`.</li> : null}
    </ul>
  );
}

function StateOf({ view }: { view: RouteView }) {
  if (!view.told) return <span class="muted">not told</span>;
  return (
    <>
      {view.states.map((state) => (
        <span key={state} class={"tag " + (calm.has(state) ? "tag-resolved" : "tag-open")}>
          {state}
        </span>
      ))}
    </>
  );
}

function Waiting({ view }: { view: RouteView }) {
  const waiting = view.waiting.filter((tier) => tier.records > 0);
  if (!view.told) return <span class="muted">–</span>;
  if (waiting.length === 0) return <span class="muted">none</span>;
  return (
    <span class="tiers">
      {waiting.map((tier) => (
        <span key={tier.tier} class="tier">
          <span class="muted">{tier.tier}</span> {count(tier.records)}
        </span>
      ))}
    </span>
  );
}

function Routes({ overview }: { overview: Overview }) {
  const gateways = overview.gateways ?? [];
  return (
    <Table
      label="Routes"
      columns={["Route", "State", "Lag", "In flight", "Breaker", "Retries waiting", "Dead letters open", "Redriving"]}
      numbers={[2, 3, 6, 7]}
      rows={overview.routes.map((route) => {
        const view = viewOf(gateways, route.name, route.group);
        const query = "?" + new URLSearchParams({ route: route.name }).toString();
        return {
          key: route.name,
          cells: [
            <>
              <strong><Line text={route.name} max={80} /></strong>
              <span class="muted sub">group {route.group}</span>
            </>,
            <StateOf view={view} />,
            view.lag === null ? <span class="muted">–</span> : count(view.lag),
            view.told ? count(view.inFlight) : <span class="muted">–</span>,
            view.told ? <span class={view.breaker === "closed" ? undefined : "bad"}>{view.breaker}</span> : <span class="muted">–</span>,
            <Waiting view={view} />,
            route.open ? <Link to={"/groups" + query}>{count(route.open)}</Link> : "0",
            route.redriving ? <Link to={"/letters?" + new URLSearchParams({ route: route.name, state: "redriving" }).toString()}>{count(route.redriving)}</Link> : "0",
          ],
        };
      })}
    />
  );
}

const shown = 8;

function Largest() {
  const answer = useAnswer<Groups>("/groups", ["groups"]);
  return (
    <Answered answer={answer} what="the failures">
      {(data) =>
        data.groups.length === 0 ? (
          <Empty title={data.covered.complete ? "Nothing fails." : "Nothing fails in what was read so far."}>No dead letter is open. New ones appear here by themselves.</Empty>
        ) : (
          <>
            <ul class="groups">
              {data.groups.slice(0, shown).map((group) => (
                <GroupItem key={group.signature + "/" + group.route} group={group} query={new URLSearchParams()} />
              ))}
            </ul>
            {data.groups.length > shown ? (
              <p>
                <Link to="/groups">All {some(data.groups.length, "kind")} of failure</Link>
              </p>
            ) : null}
          </>
        )
      }
    </Answered>
  );
}

function Running() {
  const answer = useAnswer<Jobs>("/jobs?limit=20", ["job"]);
  const live = (answer.data?.jobs ?? []).filter((job) => !["finished", "cancelled", "failed"].includes(job.status));
  if (live.length === 0) return null;
  return (
    <section aria-labelledby="running">
      <h2 id="running">Redrives at work</h2>
      <ul class="few">
        {live.map((job) => (
          <li key={job.id}>
            <StateTag state={job.status} />
            <Link to={"/redrives/" + encodeURIComponent(job.id)} class="mono">
              {job.id}
            </Link>
            <Progress job={job} />
          </li>
        ))}
      </ul>
    </section>
  );
}

export function OverviewPage() {
  const { data, problem, reload } = useOverview();
  /* Lag and breakers move without an event. */
  useEffect(() => {
    const timer = setInterval(() => document.visibilityState === "visible" && reload(), 5000);
    return () => clearInterval(timer);
  }, [reload]);
  return (
    <>
      <Title text="Overview" />
      {problem ? <ProblemNotice problem={problem} again={reload} /> : null}
      {data ? (
        <>
          <section aria-labelledby="stuck">
            <h2 id="stuck">What is stuck, and why</h2>
            <Troubles overview={data} />
          </section>
          <section aria-labelledby="routes">
            <h2 id="routes">Routes</h2>
            <Routes overview={data} />
          </section>
        </>
      ) : problem ? null : (
        <div class="loading" role="status">
          <span class="loading-bar" aria-hidden="true" />
          Reading the overview…
        </div>
      )}
      <Running />
      <section aria-labelledby="failures">
        <h2 id="failures">Failures</h2>
        <Largest />
      </section>
    </>
  );
}
