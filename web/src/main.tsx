/* The page of oncegate console: a view of its API, and nothing that the API does not say. */
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { startLive } from "./live";
import { WithOverview } from "./overview";
import { AuditPage } from "./pages/audit";
import { ConfigPage } from "./pages/config";
import { GroupPage, GroupsPage } from "./pages/groups";
import { KeyPage, KeysPage } from "./pages/keys";
import { LetterPage } from "./pages/letter";
import { LettersPage } from "./pages/letters";
import { OverviewPage } from "./pages/overview";
import { RedrivePage, RedrivesPage } from "./pages/redrives";
import { decode, Link, usePlace, type Place } from "./router";
import { applySettings } from "./settings";
import { Shell } from "./shell";
import { Empty, Title } from "./ui";

function Nowhere() {
  return (
    <>
      <Title text="There is no such page" />
      <Empty title="This address leads nowhere.">
        <Link to="/">To the overview</Link>
      </Empty>
    </>
  );
}

function Page({ place }: { place: Place }) {
  const [first, a, b, c, ...rest] = place.segments;
  if (rest.length) return <Nowhere />;
  const depth = place.segments.length;
  switch (first) {
    case undefined:
      return <OverviewPage />;
    case "groups":
      if (depth === 1) return <GroupsPage query={place.query} />;
      return depth === 2 ? <GroupPage key={a} signature={decode(a)} query={place.query} /> : <Nowhere />;
    case "letters":
      if (depth === 1) return <LettersPage query={place.query} />;
      return depth === 4 ? <LetterPage key={place.segments.join("/")} topic={a ?? ""} partition={b ?? ""} offset={c ?? ""} query={place.query} /> : <Nowhere />;
    case "redrives":
      if (depth === 1) return <RedrivesPage />;
      return depth === 2 ? <RedrivePage key={a} id={decode(a)} query={place.query} /> : <Nowhere />;
    case "keys":
      if (depth === 1) return <KeysPage />;
      return depth === 4 ? <KeyPage key={place.segments.join("/")} route={a ?? ""} topic={b ?? ""} value={c ?? ""} /> : <Nowhere />;
    case "audit":
      return depth === 1 ? <AuditPage query={place.query} /> : <Nowhere />;
    case "config":
      return depth === 1 ? <ConfigPage /> : <Nowhere />;
    default:
      return <Nowhere />;
  }
}

function App() {
  const place = usePlace();
  const path = place.segments.join("/");
  const opened = useRef(path);
  /* A new page is read out from its heading on; the first one is the browser's own affair. */
  useEffect(() => {
    if (opened.current === path) return;
    opened.current = path;
    document.getElementById("title")?.focus({ preventScroll: true });
  }, [path]);
  return (
    <WithOverview>
      <Shell place={place}>
        <Page place={place} />
      </Shell>
    </WithOverview>
  );
}

applySettings();
startLive();
const root = document.getElementById("app");
if (root) render(<App />, root);
