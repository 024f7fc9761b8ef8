/* Dead letters, newest first. */
import type { ComponentChildren } from "preact";
import { useMemo, useState } from "preact/hooks";
import { Actions } from "../actions";
import { Export, Import } from "../carry";
import { FilterBar, filterOf } from "../filter";
import { some } from "../format";
import { LetterList } from "../letters";
import { groupOfRoute, useOverview } from "../overview";
import type { Filter } from "../types";
import { Title } from "../ui";

export function useSelection() {
  const [ids, setIds] = useState<ReadonlySet<string>>(() => new Set());
  const toggle = (id: string) => {
    const next = new Set(ids);
    if (!next.delete(id)) next.add(id);
    setIds(next);
  };
  return { ids, toggle, clear: () => setIds(new Set()) };
}

/* What the buttons act on: what is chosen, else all that fits. */
export function ListActions({ filter, group, title, selection, children }: { filter: Filter; group?: string; title?: string; selection: ReturnType<typeof useSelection>; children?: ComponentChildren }) {
  const chosen = selection.ids.size;
  const what = chosen ? "the chosen records" : "all that fit the filter";
  const acted: Filter = chosen ? { id: [...selection.ids] } : filter;
  return (
    <div class="act">
      <span role="status">{chosen ? some(chosen, "record") + " chosen" : "All that fit"}</span>
      {chosen ? (
        <button type="button" class="small" onClick={selection.clear}>
          Choose none
        </button>
      ) : null}
      <Actions filter={acted} group={group} title={title} what={what} done={selection.clear} />
      <Export filter={acted} what={what} />
      {children}
    </div>
  );
}

export function LettersPage({ query }: { query: URLSearchParams }) {
  const text = query.toString();
  const filter = useMemo(() => filterOf(new URLSearchParams(text)), [text]);
  const selection = useSelection();
  const overview = useOverview().data;
  const groups = new Set((overview?.routes ?? []).map((route) => route.group));
  const group = groupOfRoute(overview, filter.route) ?? (groups.size === 1 ? [...groups][0] : undefined);
  return (
    <>
      <Title text="Records" />
      <FilterBar path="/letters" filter={filter} />
      <ListActions filter={filter} group={group} selection={selection}>
        <Import />
      </ListActions>
      <LetterList filter={filter} selection={selection} />
    </>
  );
}
