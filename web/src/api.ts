/*
 * Questions to the API, and what the page knows of the answers. An answer that was there before is
 * shown at once and read again behind, so that going back is instant and a live page never flickers.
 */
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { onEvent } from "./live";

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly detail: string,
  ) {
    super(detail);
  }
}

export function problemFrom(error: unknown): Problem {
  return error instanceof Problem ? error : new Problem(0, String(error));
}

const base = "/api/v1";

/* For a link of the page: the browser asks by itself. */
export function addressOf(path: string): string {
  return base + path;
}

async function problemOf(answer: Response): Promise<Problem> {
  let detail = answer.statusText || "the answer was " + answer.status;
  try {
    const body: unknown = await answer.json();
    if (body && typeof body === "object" && typeof (body as { detail?: unknown }).detail === "string")
      detail = (body as { detail: string }).detail;
  } catch {
    /* not JSON: the status has to do */
  }
  return new Problem(answer.status, detail);
}

async function ask(path: string, init: RequestInit): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(base + path, { ...init, credentials: "same-origin", cache: "no-store" });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new Problem(0, "the console does not answer: is it running?");
  }
  if (!answer.ok) throw await problemOf(answer);
  return answer;
}

async function call<T>(path: string, init: RequestInit): Promise<T> {
  return (await (await ask(path, init)).json()) as T;
}

export function get<T>(path: string, signal?: AbortSignal): Promise<T> {
  return call<T>(path, { signal });
}

function posted(body: BodyInit, type: string, signal?: AbortSignal): RequestInit {
  return { method: "POST", headers: { "Content-Type": type }, body, signal };
}

export function post<T>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
  return call<T>(path, posted(JSON.stringify(body), "application/json", signal));
}

/* Lines of JSON as they are. */
export function postLines<T>(path: string, lines: Blob): Promise<T> {
  return call<T>(path, posted(lines, "application/x-ndjson"));
}

/* An answer that is no JSON, whole: one that breaks off is a Problem. */
export async function postForBlob(path: string, body: unknown): Promise<Blob> {
  const answer = await ask(path, posted(JSON.stringify(body), "application/json"));
  try {
    return await answer.blob();
  } catch {
    throw new Problem(0, "the answer broke off before its end");
  }
}

/* ---- answers that were there before ---- */

const KEPT = 40;
const kept = new Map<string, unknown>();

function keep(path: string, data: unknown): void {
  kept.delete(path);
  kept.set(path, data);
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT) break;
    kept.delete(oldest);
  }
}

export interface Answer<T> {
  data: T | null;
  problem: Problem | null;
  loading: boolean;
  reload: () => void;
}

/* Where a page moves by itself it is read again at most so often. */
const LIVE_MS = 1000;

/* Calls reload soon after one of the named events, and not too often. */
function useLive(path: string | null, wanted: string, reload: () => void): void {
  useEffect(() => {
    if (path === null || wanted === "") return;
    let timer = 0;
    let last = Date.now();
    const names = new Set(wanted.split(" "));
    const stop = onEvent((name) => {
      if (timer || !(names.has(name) || name === "reset")) return;
      timer = window.setTimeout(
        () => {
          timer = 0;
          last = Date.now();
          reload();
        },
        Math.max(0, last + LIVE_MS - Date.now()),
      );
    });
    return () => {
      stop();
      clearTimeout(timer);
    };
  }, [path, wanted, reload]);
}

/*
 * The answer to a path (null: nothing is asked), read again whenever one of the named events comes.
 * The old answer stays until the new one is there; a failed reading keeps it, and says so.
 */
export function useAnswer<T>(path: string | null, events: readonly string[] = []): Answer<T> {
  const [, draw] = useState(0);
  const held = useRef<{ path: string | null; problem: Problem | null; loading: boolean }>({
    path: null,
    problem: null,
    loading: false,
  });
  const wanted = events.join(" ");
  const [turn, setTurn] = useState(0);
  const reload = useCallback(() => setTurn((n) => n + 1), []);

  if (held.current.path !== path) held.current = { path, problem: null, loading: path !== null };

  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    const mine = held.current;
    mine.loading = true;
    get<T>(path, abort.signal).then(
      (data) => {
        if (abort.signal.aborted) return;
        keep(path, data);
        mine.problem = null;
        mine.loading = false;
        draw((n) => n + 1);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        mine.problem = problemFrom(error);
        mine.loading = false;
        draw((n) => n + 1);
      },
    );
    return () => abort.abort();
  }, [path, turn]);

  useLive(path, wanted, reload);

  return {
    data: path === null ? null : ((kept.get(path) as T | undefined) ?? null),
    problem: held.current.problem,
    loading: held.current.loading,
    reload,
  };
}

/* ---- lists in pages ---- */

export interface Pages<T> extends Answer<T[]> {
  more: (() => void) | null; /* null: there is no more */
}

/*
 * A list whose answers name the cursor of the next: the pages that were asked for so far. When
 * something moves they are all read again, so that none is missing between two of them.
 */
export function usePages<T extends { next: string }>(path: string, events: readonly string[] = []): Pages<T> {
  const [, draw] = useState(0);
  const [turn, setTurn] = useState(0);
  const held = useRef<{ path: string; wanted: number; problem: Problem | null; loading: boolean }>({ path: "", wanted: 1, problem: null, loading: false });
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  const name = "pages " + path;
  const known = kept.get(name) as T[] | undefined;
  if (held.current.path !== path) held.current = { path, wanted: Math.max(1, known?.length ?? 1), problem: null, loading: true };

  useEffect(() => {
    const abort = new AbortController();
    const mine = held.current;
    const read = async () => {
      const pages: T[] = [];
      do {
        const cursor = pages[pages.length - 1]?.next;
        pages.push(await get<T>(path + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""), abort.signal));
      } while (pages.length < mine.wanted && pages[pages.length - 1]?.next);
      return pages;
    };
    mine.loading = true;
    read().then(
      (pages) => {
        if (abort.signal.aborted) return;
        keep(name, pages);
        mine.problem = null;
        mine.loading = false;
        draw((n) => n + 1);
      },
      (error: unknown) => {
        if (abort.signal.aborted) return;
        mine.problem = error instanceof Problem ? error : new Problem(0, String(error));
        mine.loading = false;
        draw((n) => n + 1);
      },
    );
    return () => abort.abort();
  }, [path, name, turn]);
  useLive(path, events.join(" "), reload);

  const last = known?.[known.length - 1];
  const more = () => {
    held.current.wanted = (known?.length ?? 0) + 1;
    reload();
  };
  return { data: known ?? null, problem: held.current.problem, loading: held.current.loading, reload, more: last?.next ? more : null };
}
