/*
 * Where the reader is: the address says all of it, so that every view is a link. Segments are kept
 * as they are sent (a key may be any bytes) and decoded by who reads them.
 */
import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

export interface Place {
  segments: string[]; /* not decoded */
  query: URLSearchParams;
}

const MOVED = "oncegate-moved";

function here(): Place {
  return {
    segments: location.pathname.split("/").filter((segment) => segment !== ""),
    query: new URLSearchParams(location.search),
  };
}

export function usePlace(): Place {
  const [place, setPlace] = useState(here);
  useEffect(() => {
    const moved = () => setPlace(here());
    addEventListener("popstate", moved);
    addEventListener(MOVED, moved);
    return () => {
      removeEventListener("popstate", moved);
      removeEventListener(MOVED, moved);
    };
  }, []);
  return place;
}

/* replace: the same view in another light (a filter, a tab); it keeps focus and scroll. */
export function go(to: string, replace = false): void {
  if (to === location.pathname + location.search) return;
  if (replace) {
    history.replaceState(history.state, "", to);
  } else {
    history.pushState(null, "", to);
    scrollTo(0, 0);
  }
  dispatchEvent(new Event(MOVED));
}

interface LinkProps extends Omit<JSX.HTMLAttributes<HTMLAnchorElement>, "href"> {
  to: string;
  children: ComponentChildren;
  class?: string;
  tabIndex?: number;
}

export function Link({ to, children, ...rest }: LinkProps) {
  const click = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={click} {...rest}>
      {children}
    </a>
  );
}

export function decode(segment: string | undefined): string {
  try {
    return decodeURIComponent(segment ?? "");
  } catch {
    return segment ?? "";
  }
}

export function withQuery(path: string, query: URLSearchParams): string {
  const text = query.toString();
  return text ? path + "?" + text : path;
}
