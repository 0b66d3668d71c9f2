/** One choice for each name. */
export type Row = { readonly [name: string]: unknown };

/**
 * Rows in which any `strength` choices of as many names occur together at least once; few, though not as few as could be.
 * Names with fewer others than that are taken as a whole product.
 */
export function covering(choices: { readonly [name: string]: readonly unknown[] }, strength: number): Row[] {
  const names = Object.keys(choices);
  const groups = subsets(names, Math.min(strength, names.length));
  const open = new Set(groups.flatMap((group) => product(group, choices).map((row) => keyOf(group, row))));
  const rows: Row[] = [];
  while (open.size > 0) {
    // A combination that is still open begins the row; the rest is chosen to close as many as possible.
    const [first = '[]'] = open;
    const row: Record<string, unknown> = Object.fromEntries(JSON.parse(first) as [string, unknown][]);
    for (const name of names) {
      if (Object.hasOwn(row, name)) continue;
      const touched = groups.filter(
        (group) => group.every((other) => other === name || Object.hasOwn(row, other)) && group.includes(name),
      );
      const gain = (value: unknown): number =>
        touched.filter((group) => open.has(keyOf(group, { ...row, [name]: value }))).length;
      const gains = (choices[name] ?? []).map((value) => ({ value, gain: gain(value) }));
      row[name] = gains.toSorted((p, q) => q.gain - p.gain)[0]?.value;
    }
    for (const group of groups) open.delete(keyOf(group, row));
    rows.push(row);
  }
  return rows;
}

function subsets(names: readonly string[], size: number): string[][] {
  if (size === 0) return [[]];
  return names.flatMap((name, index) => subsets(names.slice(index + 1), size - 1).map((rest) => [name, ...rest]));
}

function product(names: readonly string[], choices: { readonly [name: string]: readonly unknown[] }): Row[] {
  return names.reduce<Row[]>(
    (rows, name) => rows.flatMap((row) => (choices[name] ?? []).map((value) => ({ ...row, [name]: value }))),
    [{}],
  );
}

function keyOf(group: readonly string[], row: Row): string {
  return JSON.stringify(group.map((name) => [name, row[name]]));
}
