// Which files of a download are chosen, in the words of the node: indices and ranges of them.

/** `[0, 1, 2, 5]` → `0-2,5`. */
export function ranges(indices: Iterable<number>): string {
  const out: string[] = [];
  let [from, to] = [-1, -1];
  const close = () => from >= 0 && out.push(from === to ? `${from}` : `${from}-${to}`);
  for (const index of [...indices].sort((one, other) => one - other)) {
    if (index === to + 1 && from >= 0) to = index;
    else {
      close();
      [from, to] = [index, index];
    }
  }
  close();
  return out.join(',');
}

/** What is said to the node: nothing when all files are chosen, which is what it does by itself. */
export function patterns(chosen: ReadonlySet<number>, files: number): string[] {
  return chosen.size === files || chosen.size === 0 ? [] : [ranges(chosen)];
}
