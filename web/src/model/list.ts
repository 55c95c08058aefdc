// A list that is loaded page by page while changes to it arrive: what a change has said is never put back by an older page.

/** Items by their key, with no order of their own. Plain values; whoever shows them asks for a view. */
export class ListStore<T> {
  private readonly items = new Map<number, T>();
  /** Keys that a change has spoken of since the running load began; `undefined` when none runs. */
  private spoken: Set<number> | undefined;
  private paged: Set<number> | undefined;

  constructor(private readonly key: (item: T) => number) {}

  get size(): number {
    return this.items.size;
  }

  get(key: number): T | undefined {
    return this.items.get(key);
  }

  values(): IterableIterator<T> {
    return this.items.values();
  }

  /** A change: the item is like this. */
  put(item: T): void {
    const key = this.key(item);
    this.items.set(key, item);
    this.spoken?.add(key);
  }

  /** A change: the item is gone. Whether it was there. */
  remove(key: number): boolean {
    this.spoken?.add(key);
    return this.items.delete(key);
  }

  clear(): void {
    this.items.clear();
  }

  /** A load begins; one that was running is forgotten. */
  beginLoad(): void {
    this.spoken = new Set();
    this.paged = new Set();
  }

  /** A page of the running load. */
  page(items: readonly T[]): void {
    for (const item of items) {
      const key = this.key(item);
      this.paged?.add(key);
      if (!this.spoken?.has(key)) this.items.set(key, item);
    }
  }

  /** The load is complete: what neither a page nor a change has named is gone. */
  endLoad(): void {
    const { paged, spoken } = this;
    if (paged === undefined || spoken === undefined) return;
    for (const key of this.items.keys()) {
      if (!paged.has(key) && !spoken.has(key)) this.items.delete(key);
    }
    this.spoken = undefined;
    this.paged = undefined;
  }

  /** Those that `admits` lets through, in the order of `compare`. */
  view(admits: (item: T) => boolean, compare: (one: T, other: T) => number): T[] {
    const out: T[] = [];
    for (const item of this.items.values()) if (admits(item)) out.push(item);
    return out.sort(compare);
  }
}

/**
 * The order to show: as `wanted`, or, while `held` (somebody is about to click), as it was before, with newcomers at the end.
 * What is gone is gone either way.
 */
export function arrange(before: readonly number[], wanted: readonly number[], held: boolean): readonly number[] {
  if (!held || before.length === 0) return wanted;
  const present = new Set(wanted);
  const kept = before.filter((key) => present.has(key));
  const known = new Set(kept);
  return [...kept, ...wanted.filter((key) => !known.has(key))];
}
