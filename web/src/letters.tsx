/*
 * The list of dead letters. Of any length: only the rows that are seen are in the document, pages are
 * fetched as the end comes near, and of each row only what is shown is kept. What arrives while
 * somebody reads does not move the rows; it is told above them.
 */
import { useCallback, useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { get, problemFrom, type Problem } from "./api";
import { filterQuery } from "./filter";
import { count, some } from "./format";
import { onEvent } from "./live";
import { go, Link } from "./router";
import { Line, plain } from "./text";
import type { Bytes, Covered, Filter, Letter, Letters, State } from "./types";
import { Coverage, Empty, KeyText, Loading, Notice, ProblemNotice, StateTag, Time } from "./ui";

const PAGE = 500;
const FIRST_PAGE = 100;
const SPARE = 8; /* rows beyond what is seen */

interface Row {
  id: string;
  written: string | null;
  state: State;
  route: string;
  code: string;
  detail: string;
  key: Bytes;
  key_size: number;
  attempts: number;
}

export function letterPath(id: string): string {
  const at = id.split("/");
  return "/letters/" + at.map(encodeURIComponent).join("/");
}

const texts = new Map<string, string>();

/* One copy of what repeats. */
function shared(text: string): string {
  const known = texts.get(text);
  if (known !== undefined) return known;
  if (texts.size > 5000) texts.clear();
  texts.set(text, text);
  return text;
}

function rowOf(letter: Letter): Row {
  const { id, written, key, key_size, attempts } = letter;
  return {
    id,
    written,
    key,
    key_size,
    attempts,
    state: shared(letter.state) as State,
    route: shared(letter.route),
    code: shared(letter.code),
    detail: shared(letter.detail.slice(0, 200)),
  };
}

/* Pages of one question, kept while the reader looks elsewhere, so that going back is where one was. */
class Store {
  rows: Row[] = [];
  next: string | null = null; /* null: nothing was asked yet; "": that was all */
  covered: Covered | null = null;
  problem: Problem | null = null;
  loading = false;
  fresh = false; /* something moved since */
  active = 0; /* the row that the keyboard was at */
  draw: () => void = () => undefined;
  private turn = 0;

  constructor(readonly query: string) {}

  async more(): Promise<void> {
    if (this.loading || this.next === "") return;
    const turn = ++this.turn;
    this.loading = true;
    this.problem = null;
    try {
      const page = await this.ask(this.next, this.next === null ? FIRST_PAGE : PAGE);
      if (turn !== this.turn) return;
      for (const letter of page.letters) this.rows.push(rowOf(letter));
      this.next = page.next;
      this.covered = page.covered;
    } catch (error) {
      if (turn !== this.turn) return;
      this.problem = problemFrom(error);
    }
    this.loading = false;
    this.draw();
  }

  /* From the beginning, in place: the rows stand until the new ones are there. */
  async again(): Promise<void> {
    const turn = ++this.turn;
    this.loading = true;
    try {
      const page = await this.ask(null, FIRST_PAGE);
      if (turn !== this.turn) return;
      this.rows = page.letters.map(rowOf);
      this.next = page.next;
      this.covered = page.covered;
      this.problem = null;
      this.fresh = false;
    } catch (error) {
      if (turn !== this.turn) return;
      this.problem = problemFrom(error);
    }
    this.loading = false;
    this.draw();
  }

  private ask(cursor: string | null, limit: number): Promise<Letters> {
    const query = new URLSearchParams(this.query);
    query.set("limit", String(limit));
    if (cursor) query.set("cursor", cursor);
    return get<Letters>("/letters?" + query.toString());
  }
}

const stores = new Map<string, Store>();

function storeOf(query: string): Store {
  const known = stores.get(query);
  const store = known ?? new Store(query);
  stores.delete(query);
  stores.set(query, store);
  for (const oldest of stores.keys()) {
    if (stores.size <= 4) break;
    stores.delete(oldest);
  }
  return store;
}

export interface Selection {
  ids: ReadonlySet<string>;
  toggle: (id: string) => void;
}

function RowView({ row, index, top, current, selection, focus }: { row: Row; index: number; top: number; current: boolean; selection?: Selection; focus: (index: number) => void }) {
  const chosen = selection?.ids.has(row.id) ?? false;
  return (
    <div
      role="row"
      class={"row" + (chosen ? " row-chosen" : "")}
      aria-rowindex={index + 2}
      aria-selected={selection ? chosen : undefined}
      data-index={index}
      tabIndex={current ? 0 : -1}
      style={{ top: top + "px" }}
      onFocus={() => focus(index)}
      onClick={(event) => {
        if (event.target instanceof Element && event.target.closest("a, input, label")) return;
        go(letterPath(row.id));
      }}
    >
      {selection ? (
        <span role="gridcell" class="c-pick">
          <input type="checkbox" tabIndex={-1} checked={chosen} aria-label={"Choose " + plain(row.id)} onChange={() => selection.toggle(row.id)} />
        </span>
      ) : null}
      <span role="gridcell" class="c-time">
        <Time at={row.written} />
      </span>
      <span role="gridcell" class="c-state">
        <StateTag state={row.state} />
      </span>
      <span role="gridcell" class="c-route">
        <Line text={row.route} max={60} />
      </span>
      <span role="gridcell" class="c-code">
        <Line text={row.code || "no code"} max={60} />
      </span>
      <span role="gridcell" class="c-key">
        <KeyText value={row.key} size={row.key_size} max={60} />
      </span>
      <span role="gridcell" class="c-detail">
        <Link to={letterPath(row.id)} tabIndex={-1}>
          {row.detail ? <Line text={row.detail} max={200} /> : <Line text={row.id} />}
        </Link>
      </span>
      <span role="gridcell" class="c-attempts">
        {row.attempts}
      </span>
    </div>
  );
}

const headings: [string, string][] = [
  ["c-time", "Written"],
  ["c-state", "State"],
  ["c-route", "Route"],
  ["c-code", "Code"],
  ["c-key", "Key"],
  ["c-detail", "Detail"],
  ["c-attempts", "Attempts"],
];

interface Range {
  from: number;
  to: number;
  height: number;
}

function Grid({ store, selection }: { store: Store; selection?: Selection }) {
  const body = useRef<HTMLDivElement>(null);
  const probe = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<Range>({ from: 0, to: 30, height: 32 });
  const [active, setActive] = useState(store.active);
  const [held, setHeld] = useState(false); /* the focus is on a row */
  const wanted = useRef(-1);
  const total = store.rows.length;
  store.active = active;

  const measure = useCallback(() => {
    if (!body.current || !probe.current) return;
    const height = Math.max(16, probe.current.getBoundingClientRect().height);
    const above = -body.current.getBoundingClientRect().top;
    const from = Math.max(0, Math.floor(above / height) - SPARE);
    const to = Math.ceil((above + innerHeight) / height) + SPARE;
    setRange((old) => (old.from === from && old.to === to && old.height === height ? old : { from, to, height }));
  }, []);

  useLayoutEffect(measure);
  useEffect(() => {
    let frame = 0;
    const moved = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(measure);
    };
    addEventListener("scroll", moved, { passive: true });
    addEventListener("resize", moved);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", moved);
      removeEventListener("resize", moved);
    };
  }, [measure]);

  const end = Math.min(total, range.to);
  useEffect(() => {
    if (range.to + 50 >= total && !store.problem) void store.more();
  }, [range.to, total, store, store.next, store.problem]);

  /* A row that is asked for by key is scrolled to and, once it is there, gets the focus. */
  useEffect(() => {
    if (wanted.current < 0) return;
    const row = body.current?.querySelector<HTMLElement>(`[data-index="${wanted.current}"]`);
    if (!row) return;
    wanted.current = -1;
    row.focus({ preventScroll: true });
  });

  const move = (to: number) => {
    const index = Math.max(0, Math.min(total - 1, to));
    const top = (body.current?.getBoundingClientRect().top ?? 0) + index * range.height;
    const margin = range.height * 2;
    if (top < margin + 48) scrollBy(0, top - margin - 48);
    else if (top + margin > innerHeight) scrollBy(0, top + margin - innerHeight);
    wanted.current = index;
    setActive(index);
    setHeld(true);
  };

  const keyed = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(innerHeight / range.height) - 4);
    const steps: Record<string, number> = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page };
    const step = steps[event.key];
    if (step !== undefined) move(active + step);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(total - 1);
    else if (event.key === "Enter" && store.rows[active]) go(letterPath((store.rows[active] as Row).id));
    else if ((event.key === " " || event.key === "x") && selection && store.rows[active]) selection.toggle((store.rows[active] as Row).id);
    else return;
    event.preventDefault();
  };

  const shown: number[] = [];
  for (let i = range.from; i < end; i++) shown.push(i);
  if (held && active < total && (active < range.from || active >= end)) shown.push(active);
  const stop = shown.includes(active) ? active : (shown[0] ?? 0);

  return (
    <div
      class={"grid" + (selection ? " grid-pick" : "")}
      role="grid"
      aria-label="Dead letters"
      aria-rowcount={store.next === "" ? total + 1 : -1}
      aria-multiselectable={selection ? true : undefined}
      onKeyDown={keyed}
      onBlur={(event) => {
        if (!(event.relatedTarget instanceof Node && event.currentTarget.contains(event.relatedTarget))) setHeld(false);
      }}
    >
      <div role="row" class="row row-head" aria-rowindex={1}>
        {selection ? (
          <span role="columnheader" class="c-pick">
            <span class="sr">Choose</span>
          </span>
        ) : null}
        {headings.map(([name, label]) => (
          <span role="columnheader" class={name} key={name}>
            {label}
          </span>
        ))}
      </div>
      <div ref={probe} class="row-probe" aria-hidden="true" />
      <div ref={body} role="rowgroup" class="rows" style={{ height: total * range.height + "px" }}>
        {shown.map((index) => {
          const row = store.rows[index] as Row;
          return (
            <RowView
              key={row.id}
              row={row}
              index={index}
              top={index * range.height}
              current={index === stop}
              selection={selection}
              focus={(at) => {
                setActive(at);
                setHeld(true);
              }}
            />
          );
        })}
      </div>
    </div>
  );
}

/* total: how many there are, where that is known from elsewhere. */
export function LetterList({ filter, total, selection }: { filter: Filter; total?: number; selection?: Selection }) {
  const query = filterQuery(filter).toString();
  const store = storeOf(query);
  const [, draw] = useState(0);
  store.draw = () => draw((n) => n + 1);

  useEffect(() => {
    if (store.next === null && !store.loading) void store.more();
  }, [store]);

  useEffect(() => {
    let timer = 0;
    const stop = onEvent((name) => {
      if (timer || (name !== "groups" && name !== "reset")) return;
      timer = window.setTimeout(() => {
        timer = 0;
        const quiet = scrollY < 400 && store.rows.length <= FIRST_PAGE && !document.activeElement?.closest(".rows");
        if (quiet) {
          void store.again();
        } else {
          store.fresh = true;
          store.draw();
        }
      }, 1000);
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [store]);

  if (store.next === null) {
    return store.problem ? <ProblemNotice problem={store.problem} again={() => void store.more()} /> : <Loading what="dead letters" />;
  }
  return (
    <section aria-label="Dead letters">
      {store.covered ? <Coverage covered={store.covered} text={filter.text !== undefined} /> : null}
      {store.fresh ? (
        <Notice live>
          <p>
            Things have moved since this list was read.{" "}
            <button type="button" class="small" onClick={() => void store.again()}>
              Show the newest
            </button>
          </p>
        </Notice>
      ) : null}
      {store.rows.length === 0 && store.next === "" ? (
        <Empty title={store.covered?.complete === false ? "None in what was read so far." : "No dead letter fits."}>
          {filter.state?.length ? "Other states may hold some." : "Resolved and archived ones are shown with State: Any state."}
        </Empty>
      ) : (
        <Grid key={store.query} store={store} selection={selection} />
      )}
      {store.problem ? <ProblemNotice problem={store.problem} again={() => void store.more()} /> : null}
      <p class="muted list-foot" role="status">
        {store.rows.length > 0
          ? store.next === ""
            ? "All " + some(store.rows.length, "dead letter") + "."
            : count(store.rows.length) + (total && total > store.rows.length ? " of " + count(total) : "") + " loaded, more follow as you scroll."
          : ""}
      </p>
    </section>
  );
}

/* A short list that is there already: the same key's others. */
export function FewLetters({ letters, current, label }: { letters: Letter[]; current?: string; label: string }) {
  return (
    <ul class="few" aria-label={label}>
      {letters.map((letter) => (
        <li key={letter.id} aria-current={letter.id === current ? "true" : undefined}>
          <StateTag state={letter.state} />
          <Time at={letter.written} />
          <span class="mono">
            <Line text={letter.origin_topic ? `${letter.origin_topic}/${letter.origin_partition}/${letter.origin_offset}` : letter.id} max={100} />
          </span>
          {letter.id === current ? (
            <span>
              <Line text={letter.code} max={60} /> <span class="muted">(this one)</span>
            </span>
          ) : (
            <Link to={letterPath(letter.id)}>
              <Line text={letter.code || letter.detail || letter.id} max={80} />
            </Link>
          )}
        </li>
      ))}
    </ul>
  );
}
