/* What the dialogs share that change something: they ask, say what came of it, and want a reason. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { problemFrom, type Problem } from "./api";

export interface Asking<Step extends string> {
  busy: Step | "";
  problem: Problem | null;
  /* What was asked before, and an answer to a dialog that is closed, count for nothing. */
  ask: <T>(step: Step, question: Promise<T>, then: (answer: T) => void) => void;
}

export function useAsking<Step extends string>(): Asking<Step> {
  const [busy, setBusy] = useState<Step | "">("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const turn = useRef(0);
  useEffect(() => () => void turn.current++, []);
  const ask = <T,>(step: Step, question: Promise<T>, then: (answer: T) => void) => {
    const mine = ++turn.current;
    setBusy(step);
    setProblem(null);
    question.then(
      (answer) => {
        if (mine !== turn.current) return;
        setBusy("");
        then(answer);
      },
      (error: unknown) => {
        if (mine !== turn.current) return;
        setBusy("");
        setProblem(problemFrom(error));
      },
    );
  };
  return { busy, problem, ask };
}

/* { reason } where there is one. */
export function reasonOf(reason: string): { reason?: string } {
  return reason.trim() ? { reason: reason.trim() } : {};
}

export function ReasonField({ reason, set, wanted }: { reason: string; set: (reason: string) => void; wanted?: string }) {
  return (
    <label class="field">
      <span>Reason{wanted ? " (" + wanted + ")" : ", for the audit log"}</span>
      <input value={reason} maxLength={1000} required={wanted !== undefined} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
}

export function ConfirmField({ value, set, children }: { value: string; set: (value: string) => void; children: ComponentChildren }) {
  return (
    <label class="field">
      <span>{children}</span>
      <input value={value} autocomplete="off" spellcheck={false} onInput={(event) => set(event.currentTarget.value)} />
    </label>
  );
}

/* The end of a dialog: what is to be known, Close, and the button that does it. */
export function Foot({ close, note, children }: { close: () => void; note?: ComponentChildren; children?: ComponentChildren }) {
  return (
    <footer class="dialog-foot">
      {note}
      <div class="buttons">
        <button type="button" onClick={close}>
          Close
        </button>
        {children}
      </div>
    </footer>
  );
}
