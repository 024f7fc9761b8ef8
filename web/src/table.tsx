/* A table that becomes a list of cards where the window is narrow. Roles are said outright, since a
 * layout that is no table's takes them away in some browsers. */
import type { ComponentChildren } from "preact";
import type { Pages } from "./api";

export interface TableRow {
  key: string;
  cells: ComponentChildren[];
  current?: boolean;
}

export function Table({ label, columns, rows, numbers = [] }: { label: string; columns: string[]; rows: TableRow[]; numbers?: number[] }) {
  return (
    <table class="table" role="table" aria-label={label}>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map((name, i) => (
            <th role="columnheader" scope="col" key={name} class={numbers.includes(i) ? "num" : undefined}>
              {name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr role="row" key={row.key} class={row.current ? "current" : undefined}>
            {row.cells.map((cell, i) => (
              <td role="cell" key={i} data-label={columns[i]} class={(numbers.includes(i) ? "num" : "") + (cell === null ? " none" : "")}>
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/* Under a list that comes in pages. */
export function More({ answer, what }: { answer: Pages<unknown>; what: string }) {
  if (!answer.more) return null;
  return (
    <button type="button" disabled={answer.loading} onClick={answer.more}>
      More {what}
    </button>
  );
}
