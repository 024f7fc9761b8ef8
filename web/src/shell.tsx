/* What stands around every page: the way about, whether it is live, and the keys. */
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useLiveState } from "./live";
import { useOverview } from "./overview";
import { go, Link, type Place } from "./router";
import { setSettings, settings, useSettings } from "./settings";
import { Coverage, Dialog } from "./ui";

const pages: [string, string, string][] = [
  ["/", "Overview", "o"],
  ["/groups", "Failures", "f"],
  ["/letters", "Records", "l"],
  ["/redrives", "Redrives", "r"],
  ["/keys", "Keys", "k"],
  ["/audit", "Audit", "a"],
  ["/config", "Configuration", "c"],
];

const liveWords = {
  connecting: "Connecting",
  live: "Live",
  away: "Not connected, trying again",
};

function Live() {
  const state = useLiveState();
  return (
    <span class={"live live-" + state} role="status" title={liveWords[state]}>
      <span class="live-dot" aria-hidden="true" />
      <span class="live-word">{state === "away" ? "Not connected" : liveWords[state]}</span>
    </span>
  );
}

function Help({ close }: { close: () => void }) {
  const { shortcuts } = useSettings();
  const keys: [string, string][] = [
    ["/", "Search"],
    ...pages.map(([, name, key]): [string, string] => ["g " + key, name]),
    ["↑ ↓ or j k", "Move in a list"],
    ["Page Up, Page Down, Home, End", "Further in a list"],
    ["Enter", "Open the row"],
    ["Space or x", "Choose the row"],
    ["r", "Redrive what the page shows"],
    ["Esc", "Close"],
    ["?", "This help"],
  ];
  return (
    <Dialog title="Keyboard" close={close}>
      <div class="dialog-body">
        <table class="keys">
          <tbody>
            {keys.map(([key, what]) => (
              <tr key={key}>
                <th scope="row">
                  <kbd>{key}</kbd>
                </th>
                <td>{what}</td>
              </tr>
            ))}
          </tbody>
        </table>
        <label class="check">
          <input type="checkbox" checked={shortcuts} onChange={(event) => setSettings({ shortcuts: event.currentTarget.checked })} />
          <span>Single-key shortcuts</span>
        </label>
      </div>
    </Dialog>
  );
}

function isTyping(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && (target.isContentEditable || /^(INPUT|TEXTAREA|SELECT)$/.test(target.tagName));
}

function useShortcuts(help: () => void): void {
  const led = useRef(0); /* until when a "g" waits for its second key, whatever is drawn meanwhile */
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (!settings().shortcuts || isTyping(event.target) || document.querySelector("dialog[open]")) return;
      const second = Date.now() < led.current ? pages.find(([, , key]) => key === event.key) : undefined;
      led.current = 0;
      if (second) go(second[0]);
      else if (event.key === "g") led.current = Date.now() + 1500;
      else if (event.key === "?") help();
      else if (event.key === "/") {
        const search = document.getElementById("search");
        if (search) search.focus();
        else go("/letters");
      } else if (event.key === "r") document.querySelector<HTMLElement>("[data-shortcut=r]")?.click();
      else return;
      event.preventDefault();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, [help]);
}

export function Shell({ place, children }: { place: Place; children: ComponentChildren }) {
  const [menu, setMenu] = useState(false);
  const [help, setHelp] = useState(false);
  const { theme, utc } = useSettings();
  const { data } = useOverview();
  const first = "/" + (place.segments[0] ?? "");
  const path = place.segments.join("/");
  useShortcuts(useCallback(() => setHelp(true), []));
  useEffect(() => setMenu(false), [path]);
  const themes = { auto: "light", light: "dark", dark: "auto" } as const;
  const themeWords = { auto: "Auto: colours of the system", light: "Light colours", dark: "Dark colours" };
  return (
    <>
      <a class="skip" href="#title">
        To the content
      </a>
      <header class="top">
        <Link to="/" class="brand">
          oncegate
        </Link>
        <button type="button" class="menu" aria-expanded={menu} aria-controls="nav" onClick={() => setMenu(!menu)}>
          Menu
        </button>
        <nav id="nav" class={menu ? "nav nav-open" : "nav"} aria-label="Pages">
          <ul>
            {pages.map(([to, name]) => (
              <li key={to}>
                <Link to={to} aria-current={first === to ? "page" : undefined}>
                  {name}
                </Link>
              </li>
            ))}
          </ul>
        </nav>
        <div class="top-right">
          <Live />
          <button type="button" class="small" aria-pressed={utc} onClick={() => setSettings({ utc: !utc })}>
            UTC
          </button>
          <button type="button" class="small" onClick={() => setSettings({ theme: themes[theme] })} title={themeWords[theme]} aria-label={themeWords[theme]}>
            {theme === "auto" ? "Auto" : theme === "light" ? "Light" : "Dark"}
          </button>
          <button type="button" class="small" aria-label="Keyboard help" onClick={() => setHelp(true)}>
            ?
          </button>
        </div>
      </header>
      <main>
        {data && first !== "/groups" && first !== "/letters" ? <Coverage covered={data.covered} /> : null}
        {children}
      </main>
      {help ? <Help close={() => setHelp(false)} /> : null}
    </>
  );
}
