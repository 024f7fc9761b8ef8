/* What every page needs to know: the routes, who the reader is, and what is allowed. */
import { createContext, type ComponentChildren } from "preact";
import { useContext } from "preact/hooks";
import { useAnswer, type Answer } from "./api";
import type { Overview, Role } from "./types";

const none: Answer<Overview> = { data: null, problem: null, loading: true, reload: () => undefined };
const Context = createContext<Answer<Overview>>(none);

export function WithOverview({ children }: { children: ComponentChildren }) {
  const answer = useAnswer<Overview>("/overview", ["groups", "feed"]);
  return <Context.Provider value={answer}>{children}</Context.Provider>;
}

export function useOverview(): Answer<Overview> {
  return useContext(Context);
}

const rank: Record<Role, number> = { viewer: 1, operator: 2, admin: 3 };

/* "": yes. Else why not, in words. */
export function useWhyNot(need: Role): string {
  const { data } = useOverview();
  if (!data) return "who may do this is not known yet";
  if (!data.allow_changes) return "Read-only: console.allow_changes is false.";
  if (rank[data.role] < rank[need]) return "You are " + data.role + ": this takes " + need + ".";
  return "";
}

export function groupOfRoute(overview: Overview | null, route: string | undefined): string | undefined {
  return overview?.routes.find((one) => one.name === route)?.group;
}
