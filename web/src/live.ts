/*
 * Server-sent events: one stream for the page. It is closed while nobody looks (browsers allow few
 * connections to one host, and so does the console), and opened again with the event "reset", which
 * says: read everything anew.
 */
import { useEffect, useState } from "preact/hooks";

export type LiveState = "connecting" | "live" | "away";

type Listener = (name: string, data: unknown) => void;

const listeners = new Set<Listener>();
const watchers = new Set<(state: LiveState) => void>();
const names = ["groups", "feed", "job", "reset"];

let source: EventSource | null = null;
let state: LiveState = "connecting";
let again = 0;
let patience = 2000;
let missed = false;

function become(next: LiveState): void {
  if (next === state) return;
  state = next;
  watchers.forEach((watcher) => watcher(next));
}

function tell(name: string, data: unknown): void {
  listeners.forEach((listener) => listener(name, data));
}

function close(): void {
  clearTimeout(again);
  source?.close();
  source = null;
}

function open(): void {
  close();
  const mine = new EventSource("/api/v1/events");
  source = mine;
  mine.onopen = () => {
    patience = 2000;
    become("live");
    if (missed) tell("reset", null);
    missed = false;
  };
  mine.onerror = () => {
    become("away");
    missed = true;
    if (mine.readyState !== EventSource.CLOSED) return; /* the browser tries again */
    again = window.setTimeout(open, patience);
    patience = Math.min(patience * 2, 30000);
  };
  for (const name of names) {
    mine.addEventListener(name, (event) => {
      let data: unknown = null;
      try {
        data = JSON.parse((event as MessageEvent<string>).data);
      } catch {
        return;
      }
      tell(name, data);
    });
  }
}

export function startLive(): void {
  open();
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") {
      if (!source) open();
    } else {
      missed = true;
      close();
      become("connecting");
    }
  });
}

/* Returns what ends it. */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

export function useLiveState(): LiveState {
  const [seen, setSeen] = useState(state);
  useEffect(() => {
    setSeen(state);
    watchers.add(setSeen);
    return () => void watchers.delete(setSeen);
  }, []);
  return seen;
}
