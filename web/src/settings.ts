/* What the reader chose, kept in the browser: colours, zone, single-key shortcuts. */
import { useEffect, useState } from "preact/hooks";

export interface Settings {
  theme: "auto" | "light" | "dark";
  utc: boolean;
  shortcuts: boolean;
}

const STORED = "oncegate-console";
const listeners = new Set<() => void>();

function load(): Settings {
  const out: Settings = { theme: "auto", utc: false, shortcuts: true };
  try {
    const stored = JSON.parse(localStorage.getItem(STORED) ?? "{}") as Partial<Settings>;
    if (stored.theme === "light" || stored.theme === "dark") out.theme = stored.theme;
    if (stored.utc === true) out.utc = true;
    if (stored.shortcuts === false) out.shortcuts = false;
  } catch {
    /* nothing is stored, or may not be read */
  }
  return out;
}

let current = load();

const dark = matchMedia("(prefers-color-scheme: dark)");

function apply(): void {
  const theme = current.theme !== "auto" ? current.theme : dark.matches ? "dark" : "light";
  document.documentElement.setAttribute("data-theme", theme);
}

export function applySettings(): void {
  apply();
  dark.addEventListener("change", apply);
}

export function settings(): Settings {
  return current;
}

export function setSettings(change: Partial<Settings>): void {
  current = { ...current, ...change };
  try {
    localStorage.setItem(STORED, JSON.stringify(current));
  } catch {
    /* for this visit only, then */
  }
  apply();
  listeners.forEach((listener) => listener());
}

export function useSettings(): Settings {
  const [seen, setSeen] = useState(current);
  useEffect(() => {
    const changed = () => setSeen(current);
    changed();
    listeners.add(changed);
    return () => void listeners.delete(changed);
  }, []);
  return seen;
}
