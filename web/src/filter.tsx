/*
 * Which dead letters: the same names in the address of a page, in the API's queries and in a job. The
 * bar writes the address and nothing else, so that what is seen can be pasted to somebody.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { useOverview } from "./overview";
import { go, withQuery } from "./router";
import { Line, plain } from "./text";
import type { Filter } from "./types";

const single = ["route", "topic", "code", "status", "signature", "key", "key_hex", "since", "until", "text"] as const;
type Single = (typeof single)[number];

const words: Record<Single | "state" | "id", string> = {
  route: "route",
  topic: "topic",
  code: "code",
  status: "status",
  signature: "failure",
  key: "key",
  key_hex: "key (hex)",
  since: "since",
  until: "until",
  text: "text",
  state: "state",
  id: "record",
};

export function filterOf(query: URLSearchParams): Filter {
  const filter: Filter = {};
  for (const name of single) {
    const value = query.get(name);
    if (value !== null && value !== "") filter[name] = value;
  }
  const states = query.getAll("state").filter((state) => state !== "");
  const ids = query.getAll("id").filter((id) => id !== "");
  if (states.length) filter.state = states;
  if (ids.length) filter.id = ids;
  return filter;
}

export function filterQuery(filter: Filter): URLSearchParams {
  const query = new URLSearchParams();
  for (const name of single) {
    const value = filter[name];
    if (value !== undefined && value !== "") query.set(name, value);
  }
  filter.state?.forEach((state) => query.append("state", state));
  filter.id?.forEach((id) => query.append("id", id));
  return query;
}

export function filterIsEmpty(filter: Filter): boolean {
  return filterQuery(filter).toString() === "";
}

/* "route orders, code http-503, since 2h"; title: of the failure that it names, where it is known. */
export function filterWords(filter: Filter, title?: string): string {
  const parts: string[] = [];
  for (const name of single) {
    const value = filter[name];
    if (value && name === "signature" && title) parts.push("failure “" + plain(title, 120) + "”");
    else if (value) parts.push(words[name] + " " + plain(value, 80));
  }
  if (filter.state?.length) parts.push("state " + filter.state.join(" or "));
  if (filter.id?.length) parts.push(filter.id.length === 1 ? "record " + plain(filter.id[0] as string) : filter.id.length + " chosen records");
  return parts.join(", ") || "everything that is open or redriving";
}

const states: [string, string][] = [
  ["", "Open, redriving"],
  ["open", "Open"],
  ["redriving", "Redriving"],
  ["resolved", "Resolved"],
  ["archived", "Archived"],
  ["any", "Any state"],
];

interface BarProps {
  path: string;
  filter: Filter;
  fixed?: readonly Single[]; /* parts that belong to the page, and are not to be taken off */
}

function Field({ name, label, hint, filter, set }: { name: Single; label: string; hint?: string; filter: Filter; set: (name: Single, value: string) => void }) {
  const [value, setValue] = useState(filter[name] ?? "");
  useEffect(() => setValue(filter[name] ?? ""), [filter[name]]);
  return (
    <label class="field">
      <span>{label}</span>
      <input
        name={name}
        value={value}
        placeholder={hint}
        autocomplete="off"
        spellcheck={false}
        onInput={(event) => setValue(event.currentTarget.value)}
        onChange={() => set(name, value)}
      />
    </label>
  );
}

export function FilterBar({ path, filter, fixed = [] }: BarProps) {
  const overview = useOverview();
  const routes = overview.data?.routes ?? [];
  const hidden = (["code", "status", "key", "topic", "since", "until"] as const).filter((name) => !fixed.includes(name));
  const used = hidden.filter((name) => filter[name]).length;
  const [more, setMore] = useState(used > 0);
  const [text, setText] = useState(filter.text ?? "");
  const timer = useRef(0);
  useEffect(() => setText(filter.text ?? ""), [filter.text]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const show = (change: Partial<Filter>) => {
    clearTimeout(timer.current);
    const next = { ...filter, ...change };
    const query = filterQuery(next);
    fixed.forEach((name) => query.delete(name));
    go(withQuery(path, query), true);
  };
  const set = (name: Single, value: string) => show({ [name]: value.trim() === "" ? undefined : value });
  const typed = (value: string) => {
    setText(value);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => set("text", value), 400);
  };
  const submit = (event: Event) => {
    event.preventDefault();
    set("text", text);
  };
  const chips = single.filter((name) => filter[name] && !fixed.includes(name));
  const state = filter.state?.length === 1 ? (filter.state[0] as string) : "";

  return (
    <search>
      <form class="filters" onSubmit={submit} aria-label="Filter">
        <label class="field field-text">
          <span>Text</span>
          <input
            id="search"
            type="search"
            value={text}
            placeholder="words of key, value, headers, detail; ord*"
            autocomplete="off"
            spellcheck={false}
            onInput={(event) => typed(event.currentTarget.value)}
          />
        </label>
        {fixed.includes("route") || routes.length < 2 ? null : (
          <label class="field">
            <span>Route</span>
            <select value={filter.route ?? ""} onChange={(event) => set("route", event.currentTarget.value)}>
              <option value="">All routes</option>
              {filter.route && !routes.some((route) => route.name === filter.route) ? <option value={filter.route}>{plain(filter.route)}</option> : null}
              {routes.map((route) => (
                <option key={route.name} value={route.name}>
                  {route.name}
                </option>
              ))}
            </select>
          </label>
        )}
        <label class="field">
          <span>State</span>
          <select
            value={state}
            onChange={(event) => show({ state: event.currentTarget.value ? [event.currentTarget.value] : undefined })}
          >
            {states.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <button type="button" aria-expanded={more} aria-controls="more-filters" onClick={() => setMore(!more)}>
          More filters{used ? " (" + used + ")" : ""}
        </button>
        <div id="more-filters" class="filters-more" hidden={!more}>
          {hidden.includes("code") ? <Field name="code" label="Error code" hint="http-503" filter={filter} set={set} /> : null}
          {hidden.includes("status") ? <Field name="status" label="HTTP status" hint="404 or 5xx" filter={filter} set={set} /> : null}
          {hidden.includes("key") ? <Field name="key" label="Key" filter={filter} set={set} /> : null}
          {hidden.includes("topic") ? <Field name="topic" label="Dead-letter topic" filter={filter} set={set} /> : null}
          {hidden.includes("since") ? <Field name="since" label="Since" hint="2h, 7d or 2026-01-02T03:04:05Z" filter={filter} set={set} /> : null}
          {hidden.includes("until") ? <Field name="until" label="Until" hint="as since" filter={filter} set={set} /> : null}
        </div>
      </form>
      {chips.length || filter.id?.length || (filter.state?.length ?? 0) > 0 ? (
        <ul class="chips" aria-label="Filters in use">
          {chips.map((name) => (
            <li key={name}>
              <span class="muted">{words[name]}</span> <Line text={filter[name] ?? ""} max={60} />
              <button type="button" class="plain" aria-label={"Remove " + words[name]} onClick={() => show({ [name]: undefined })}>
                ✕
              </button>
            </li>
          ))}
          {filter.state?.length ? (
            <li>
              <span class="muted">state</span> {filter.state.join(", ")}
              <button type="button" class="plain" aria-label="Remove state" onClick={() => show({ state: undefined })}>
                ✕
              </button>
            </li>
          ) : null}
          {filter.id?.length ? (
            <li>
              <span class="muted">chosen records</span> {filter.id.length}
              <button type="button" class="plain" aria-label="Remove chosen records" onClick={() => show({ id: undefined })}>
                ✕
              </button>
            </li>
          ) : null}
        </ul>
      ) : null}
    </search>
  );
}
