// A list that components can watch: changes are gathered and shown at most once a frame, however many a second arrive.

import { ListStore } from './list';

export class Live<T> {
  readonly store: ListStore<T>;
  /** Grows when something has changed; reading it is what makes a component look again. */
  #version = $state(0);
  #loaded = $state(false);
  #waiting = false;

  constructor(readonly key: (item: T) => number) {
    this.store = new ListStore(key);
  }

  /** Reads the list's version, so that whoever computes something from `store` does it again when it changes. */
  get version(): number {
    return this.#version;
  }

  /** Whether the node has been asked once, so that an empty list is truly empty. */
  get loaded(): boolean {
    return this.#loaded;
  }

  get size(): number {
    void this.#version;
    return this.store.size;
  }

  get(key: number | undefined): T | undefined {
    void this.#version;
    return key === undefined ? undefined : this.store.get(key);
  }

  view(admits: (item: T) => boolean, compare: (one: T, other: T) => number): T[] {
    void this.#version;
    return this.store.view(admits, compare);
  }

  put(item: T): void {
    this.store.put(item);
    this.#touch();
  }

  remove(key: number): void {
    if (this.store.remove(key)) this.#touch();
  }

  /** Loads all pages; what changes meanwhile is kept. */
  async load(pages: (hear: (items: T[]) => void) => Promise<number>): Promise<void> {
    this.store.beginLoad();
    await pages((items) => {
      this.store.page(items);
      this.#touch();
    });
    this.store.endLoad();
    // Both at once: who hears that all is loaded must find it.
    this.#version += 1;
    this.#loaded = true;
  }

  #touch(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    // A tab in the background gets no frames, and needs none before it is looked at.
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.#version += 1;
    });
  }
}
