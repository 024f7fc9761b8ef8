/* One key: what the ledger knows of it, in words, and its dead letters. */
import { useState } from "preact/hooks";
import { useAnswer } from "../api";
import { keySegment } from "../bytes";
import { some } from "../format";
import { FewLetters } from "../letters";
import { useOverview } from "../overview";
import { decode, go, Link } from "../router";
import { Line, Lines, plain } from "../text";
import type { Bytes, KeyWords } from "../types";
import { Answered, Coverage, Empty, Notice, Title } from "../ui";

export function keyPath(route: string, topic: string, key: Bytes): string {
  return "/keys/" + encodeURIComponent(route) + "/" + encodeURIComponent(topic) + "/" + keySegment(key);
}

export function KeyState({ route, topic, segment }: { route: string; topic: string; segment: string }) {
  const answer = useAnswer<KeyWords>("/keys/" + route + "/" + topic + "/" + segment, ["groups"]);
  return (
    <Answered answer={answer} what="the ledger">
      {(data) => <LedgerWords data={data} />}
    </Answered>
  );
}

function LedgerWords({ data }: { data: KeyWords }) {
  if (!data.found)
    return (
      <Notice>
        <p>The ledger knows nothing of this key: nothing of it is done, parked or under way.</p>
      </Notice>
    );
  return (
    <pre class="words">
      <Lines text={data.words.trimEnd()} />
    </pre>
  );
}

export function KeysPage() {
  const overview = useOverview().data;
  const [route, setRoute] = useState("");
  const [topic, setTopic] = useState("");
  const [key, setKey] = useState("");
  const routes = overview?.routes ?? [];
  const chosen = route || (routes.length === 1 ? (routes[0]?.name ?? "") : "");
  const look = (event: Event) => {
    event.preventDefault();
    if (!chosen || !topic.trim() || !key) return;
    go(keyPath(chosen, topic.trim(), { encoding: "text", text: key, size: key.length, cut: false }));
  };
  return (
    <>
      <Title text="Keys" />
      <p class="muted lead">What is done of a key, what of it waits, who holds it, and which of its records are dead letters.</p>
      <form class="panel form" onSubmit={look} aria-label="Which key">
        <label class="field">
          <span>Route</span>
          <select required value={chosen} onChange={(event) => setRoute(event.currentTarget.value)}>
            <option value="">Choose one</option>
            {routes.map((one) => (
              <option key={one.name} value={one.name}>
                {one.name}
              </option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>Source topic</span>
          <input required value={topic} autocomplete="off" spellcheck={false} onInput={(event) => setTopic(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Key</span>
          <input id="search" required value={key} autocomplete="off" spellcheck={false} onInput={(event) => setKey(event.currentTarget.value)} />
        </label>
        <button type="submit" class="primary">
          Look it up
        </button>
      </form>
      <p class="muted">Keys that are no text are reached from their records: a record's page links its key.</p>
    </>
  );
}

export function KeyPage({ route, topic, value }: { route: string; topic: string; value: string }) {
  const answer = useAnswer<KeyWords>("/keys/" + route + "/" + topic + "/" + value, ["groups"]);
  const key = decode(value);
  return (
    <>
      <p class="crumbs">
        <Link to="/keys">Keys</Link>
      </p>
      <Title text={"Key " + plain(key, 60)}>
        Key <span class="mono"><Line text={key} max={200} /></span>
      </Title>
      <p class="muted">
        Route <Line text={decode(route)} max={100} />, topic <Line text={decode(topic)} max={250} />
      </p>
      <Answered answer={answer} what="the ledger">
        {(data) => (
          <>
            <section aria-labelledby="ledger">
              <h2 id="ledger">In the ledger</h2>
              <LedgerWords data={data} />
            </section>
            <section aria-labelledby="letters">
              <h2 id="letters">Its dead letters</h2>
              {data.covered ? <Coverage covered={data.covered} /> : null}
              {data.letters === undefined ? null : data.letters.length === 0 ? (
                <Empty title="None of its records is a dead letter." />
              ) : (
                <>
                  <FewLetters letters={data.letters} label="Dead letters of this key" />
                  {data.more ? <p class="muted">The newest {some(data.letters.length, "record")}; there are more.</p> : null}
                </>
              )}
            </section>
          </>
        )}
      </Answered>
    </>
  );
}
