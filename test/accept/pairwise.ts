/** One choice for each name. */
export type Row = { readonly [name: string]: unknown };

/** Rows in which any two choices of any two names occur together at least once; few, though not as few as could be. */
export function pairwise(choices: { readonly [name: string]: readonly unknown[] }): Row[] {
  const names = Object.keys(choices);
  const open = new Set<string>();
  for (const [index, a] of names.entries())
    for (const b of names.slice(index + 1))
      for (const x of choices[a] ?? []) for (const y of choices[b] ?? []) open.add(pair(a, x, b, y));
  const rows: Row[] = [];
  while (open.size > 0) {
    // A pair that is still open begins the row; the rest is chosen to close as many as possible.
    const [first = ''] = open;
    const [a, x, b, y] = JSON.parse(first) as [string, unknown, string, unknown];
    const row: Record<string, unknown> = { [a]: x, [b]: y };
    for (const name of names) {
      if (Object.hasOwn(row, name)) continue;
      const gain = (value: unknown): number =>
        Object.entries(row).filter(([other, chosen]) => open.has(ordered(names, other, chosen, name, value))).length;
      row[name] = (choices[name] ?? []).toSorted((p, q) => gain(q) - gain(p))[0];
    }
    for (const [index, one] of names.entries())
      for (const other of names.slice(index + 1)) open.delete(pair(one, row[one], other, row[other]));
    rows.push(row);
  }
  return rows;
}

function pair(a: string, x: unknown, b: string, y: unknown): string {
  return JSON.stringify([a, x, b, y]);
}

function ordered(names: readonly string[], a: string, x: unknown, b: string, y: unknown): string {
  return names.indexOf(a) < names.indexOf(b) ? pair(a, x, b, y) : pair(b, y, a, x);
}
