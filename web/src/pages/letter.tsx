/* One dead letter with all that is known of it. */
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { Actions } from "../actions";
import { useAnswer } from "../api";
import { Export } from "../carry";
import { Edit, editRows } from "../edit";
import { keyIsWhole, keySegment, SEGMENT_MAX } from "../bytes";
import { codeHint, size, some } from "../format";
import { FewLetters, letterPath } from "../letters";
import { groupOfRoute, useOverview } from "../overview";
import { Headers, Payload } from "../payload";
import { decode, go, Link, withQuery } from "../router";
import { Line, Lines, plain } from "../text";
import type { Bytes, Letter, RecordParts, SameKey, WholeLetter } from "../types";
import { Answered, Copy, Coverage, Empty, Facts, KeyText, Notice, Scroller, StateTag, Time, Title } from "../ui";
import { keyPath, KeyState } from "./keys";

function Failure({ letter, record }: { letter: Letter; record: RecordParts | null }) {
  const numbered = letter.sequence !== null;
  return (
    <section class="panel" aria-labelledby="failure">
      <h2 id="failure">What failed</h2>
      {letter.detail ? (
        <blockquote class="answer">
          <Line text={letter.detail} max={5000} />
        </blockquote>
      ) : (
        <p class="muted">The handler said nothing beyond its code.</p>
      )}
      <Facts
        rows={[
          ["Error code", <><span class="mono"><Line text={letter.code || "none"} max={80} /></span>{codeHint(letter.code) ? <span class="muted"> {codeHint(letter.code)}</span> : null}</>],
          ["HTTP status", letter.http_status || <span class="muted">none</span>],
          ["Attempts", letter.attempts],
          ["First failed", <Time at={letter.first_failed} form="both" millis />],
          ["Last failed", <Time at={letter.last_failed} form="both" millis />],
          ["Dead letter since", <Time at={letter.written} form="both" millis />],
          [
            "Redriven",
            letter.redrive_count === 0 ? (
              "never"
            ) : (
              <>
                {some(letter.redrive_count, "time")}
                {letter.redrive_id ? (
                  <>
                    , last by{" "}
                    <Link to={"/redrives/" + encodeURIComponent(letter.redrive_id)} class="mono">
                      <Line text={letter.redrive_id} max={80} />
                    </Link>
                  </>
                ) : null}
              </>
            ),
          ],
          ["Route", letter.route ? <Line text={letter.route} max={100} /> : <span class="muted">unknown</span>],
          ["Origin", letter.origin_topic ? <span class="mono"><Line text={`${letter.origin_topic}/${letter.origin_partition}/${letter.origin_offset}`} max={300} /></span> : <span class="muted">unknown</span>],
          ["Number", numbered ? <>sequence {letter.sequence}{letter.epoch !== null ? ", epoch " + letter.epoch : ""}</> : <span class="muted">none</span>],
          ["Written by", <Line text={letter.writer} max={80} />],
          ["Its newest copy", letter.latest && letter.latest !== letter.id ? <Link to={letterPath(letter.latest)} class="mono"><Line text={letter.latest} max={300} /></Link> : "this one"],
          ...editRows(letter, record).map(([name, id]): [string, ComponentChildren] => [name, <Link to={letterPath(id)} class="mono"><Line text={id} max={300} /></Link>]),
        ]}
      />
      <p>
        <Link to={"/groups/" + encodeURIComponent(letter.signature)}>All of this failure</Link>
      </p>
    </section>
  );
}

function KeyPart({ letter, whole }: { letter: Letter; whole: Bytes | null }) {
  const entire = whole && !whole.cut ? whole : keyIsWhole(letter) ? letter.key : null;
  const overview = useOverview().data;
  const key = entire && entire.size <= SEGMENT_MAX && keySegment(entire).length <= SEGMENT_MAX ? entire : null;
  if (letter.key.encoding === "null" && (!whole || whole.encoding === "null")) return <p class="muted">The record has no key.</p>;
  return (
    <>
      <p>
        <KeyText value={whole ?? letter.key} size={letter.key_size} max={300} />
        <span class="muted"> {size(letter.key_size)}</span>
      </p>
      {key && letter.origin_topic && groupOfRoute(overview, letter.route) ? (
        <>
          <KeyState route={encodeURIComponent(letter.route)} topic={encodeURIComponent(letter.origin_topic)} segment={keySegment(key)} />
          <p>
            <Link to={keyPath(letter.route, letter.origin_topic, key)}>All about this key</Link>
          </p>
        </>
      ) : (
        <p class="muted">{!key ? "The key is too long to be asked for." : overview ? "Its route or origin is unknown here, so the ledger cannot be asked." : "Reading the routes…"}</p>
      )}
    </>
  );
}

function Others({ same, letter }: { same: SameKey; letter: Letter }) {
  const others = same.letters.filter((one) => one.id !== letter.id);
  return (
    <>
      <Coverage covered={same.covered} />
      {others.length === 0 ? (
        <p class="muted">No other record of this key is a dead letter of this topic.</p>
      ) : (
        <>
          <FewLetters letters={same.letters} current={letter.id} label="Dead letters of the same key, newest first" />
          {same.more ? <p class="muted">The newest are shown; there are more.</p> : null}
        </>
      )}
    </>
  );
}

function Whole({ data, reload, query }: { data: WholeLetter; reload: () => void; query: URLSearchParams }) {
  const { letter, record, same_key: same } = data;
  const filter = useMemo(() => ({ id: [letter.id] }), [letter.id]);
  const choose = (view: string) => {
    const next = new URLSearchParams(query);
    next.set("view", view);
    go(withQuery(letterPath(letter.id), next), true);
  };
  return (
    <>
      <div class="act">
        <StateTag state={letter.state} />
        <Copy text={location.origin + letterPath(letter.id)} label="Copy link" />
        <Actions filter={filter} group={letter.group || undefined} what="this record" done={reload} purge={{ topic: letter.topic, partition: letter.partition, before: letter.offset + 1 }} />
        <Edit letter={letter} record={record} done={reload} />
        <Export filter={filter} what="this record" />
      </div>
      <div class="two">
        <div>
          <Failure letter={letter} record={record} />
          <section class="panel" aria-labelledby="key">
            <h2 id="key">Key, and its state in the ledger</h2>
            <KeyPart letter={letter} whole={record?.key ?? null} />
          </section>
          <section class="panel" aria-labelledby="same">
            <h2 id="same">The same key, earlier and later</h2>
            {same ? <Others same={same} letter={letter} /> : <p class="muted">{record ? "The record has no key." : "Not known without the record."}</p>}
          </section>
        </div>
        <div>
          {record ? (
            <>
              <section class="panel" aria-labelledby="value">
                <h2 id="value">Value</h2>
                <Payload value={record.value} view={query.get("view")} choose={choose} label="the value" />
              </section>
              <section class="panel" aria-labelledby="headers">
                <h2 id="headers">Headers of the application</h2>
                <Headers headers={record.headers} none="The application set none." />
              </section>
              <section class="panel" aria-labelledby="own">
                <h2 id="own">Headers of oncegate</h2>
                <Headers headers={record.own_headers} none="None: another program wrote it." />
              </section>
              {record.curl !== undefined ? (
                <section class="panel" aria-labelledby="curl">
                  <h2 id="curl">The delivery again, by hand</h2>
                  {record.curl ? (
                    <>
                      <p class="muted">For bash or zsh. It goes past the ledger, unsigned, and without secrets.</p>
                      <Scroller label="curl command">
                        <pre class="code wrap">
                          <Lines text={record.curl} />
                        </pre>
                      </Scroller>
                      <Copy text={record.curl} label="Copy the command" />
                    </>
                  ) : (
                    <p class="muted">
                      There is no command for it: <Line text={record.curl_why ?? "it is not said why"} max={400} />.
                    </p>
                  )}
                </section>
              ) : null}
            </>
          ) : (
            <section class="panel" aria-labelledby="value">
              <h2 id="value">Value</h2>
              <Notice kind="warn">
                <p>
                  <Line text={data.record_why ?? "The record cannot be read."} max={500} />
                </p>
              </Notice>
              <Empty title="The record is not shown.">What the index keeps of it stands beside.</Empty>
            </section>
          )}
        </div>
      </div>
    </>
  );
}

export function LetterPage({ topic, partition, offset, query }: { topic: string; partition: string; offset: string; query: URLSearchParams }) {
  const path = topic + "/" + partition + "/" + offset;
  const id = decode(topic) + "/" + decode(partition) + "/" + decode(offset);
  const answer = useAnswer<WholeLetter>("/letters/" + path, ["groups"]);
  return (
    <>
      <p class="crumbs">
        <Link to="/letters">Records</Link>
        {answer.data ? (
          <>
            {" / "}
            <Link to={"/groups/" + encodeURIComponent(answer.data.letter.signature)}>its failure</Link>
          </>
        ) : null}
      </p>
      <Title text={plain(id)}>
        <span class="mono">
          <Line text={id} max={300} />
        </span>
      </Title>
      <Answered answer={answer} what="the record">
        {(data) => <Whole data={data} reload={answer.reload} query={query} />}
      </Answered>
    </>
  );
}
