/* The effective configuration, as `oncegate config show` prints it. */
import { useAnswer } from "../api";
import { Lines } from "../text";
import { Answered, Copy, Scroller, Title } from "../ui";

export function ConfigPage() {
  const answer = useAnswer<{ yaml: string }>("/config");
  return (
    <>
      <Title text="Configuration" />
      <p class="muted lead">What is in effect: the file, and the defaults of all that it does not say. Secrets are shown as ***.</p>
      <Answered answer={answer} what="the configuration">
        {(data) => (
          <>
            <div class="buttons">
              <Copy text={data.yaml} label="Copy" />
            </div>
            <Scroller label="Effective configuration">
              <pre class="code">
                {data.yaml.split("\n").map((line, i) => (
                  <YamlLine key={i} line={line} />
                ))}
              </pre>
            </Scroller>
          </>
        )}
      </Answered>
    </>
  );
}

function YamlLine({ line }: { line: string }) {
  const match = /^(\s*(?:- )?)([^\s#"'{[:][^:"']*)(:)(.*)$/.exec(line);
  if (!match) return <>{/^\s*#/.test(line) ? <span class="t-space"><Lines text={line} /></span> : <Lines text={line} />}{"\n"}</>;
  return (
    <>
      {match[1]}
      <span class="t-name"><Lines text={match[2] ?? ""} /></span>
      <span class="t-mark">:</span>
      <Lines text={match[4] ?? ""} />
      {"\n"}
    </>
  );
}
