// Which of a lab's tables can be drawn as curves, and how: first column numbers that grow, others numbers.

import type { LabColumn, LabTable } from '../api/types';

export type Curves = {
  x: { name: string; values: number[]; log: boolean };
  lines: { name: string; values: (number | null)[] }[];
};

export const LINES_MAX = 6;

export const heading = (column: LabColumn) => (column.unit === '' ? column.name : `${column.name} (${column.unit})`);

/** Curves of a table; nothing where it is a list of things. Columns of other units than the first are left to the table. */
export function curves(table: LabTable): Curves | undefined {
  const [first, ...rest] = table.columns;
  if (first === undefined || table.rows.length < 3) return undefined;
  const xs = table.rows.map((row) => row[0]);
  if (!xs.every((x): x is number => typeof x === 'number')) return undefined;
  if (xs.some((x, at) => at > 0 && x <= (xs[at - 1] ?? x))) return undefined;
  const numeric = rest
    .map((column, at) => ({ column, values: table.rows.map((row) => row[at + 1] ?? null) }))
    .filter((one): one is { column: LabColumn; values: (number | null)[] } => one.values.every((value) => value === null || typeof value === 'number'))
    .filter((one) => one.values.some((value) => value !== null));
  const unit = numeric[0]?.column.unit;
  const lines = numeric.filter((one) => one.column.unit === unit).slice(0, LINES_MAX);
  if (lines.length === 0) return undefined;
  const [low, high] = [xs[0] ?? 0, xs.at(-1) ?? 0];
  return {
    x: { name: heading(first), values: xs, log: low > 0 && high / low >= 30 },
    lines: lines.map(({ column, values }) => ({ name: heading(column), values })),
  };
}
