// The stream of changes. It is opened again by the browser when it breaks, and by us when the browser gives up; what the page shows
// meanwhile is old, and says so.

import { CHANGES, type Change } from './types';

export type Line = { state: 'connecting' | 'live' | 'broken'; since: number; retry_at?: number };

/** How long to wait before the n-th try in a row, milliseconds. */
export function patience(tries: number): number {
  return Math.min(15_000, 500 * 2 ** Math.min(tries, 6));
}

/** One stream at a time to `address`; `hear` gets every change, `say` how the line is. */
export class Stream {
  private source: EventSource | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private tries = 0;
  private line: Line = { state: 'connecting', since: Date.now() };

  constructor(
    private readonly address: string,
    private readonly hear: (change: Change) => void,
    private readonly say: (line: Line) => void,
  ) {}

  open(): void {
    clearTimeout(this.timer);
    this.source?.close();
    const source = new EventSource(this.address);
    this.source = source;
    const read = (event: MessageEvent<string>) => {
      if (this.line.state !== 'live') this.become('live');
      this.tries = 0;
      this.hear(JSON.parse(event.data) as Change);
    };
    for (const kind of CHANGES) source.addEventListener(kind, read);
    source.onerror = () => {
      source.close();
      this.tries += 1;
      const wait = patience(this.tries - 1);
      this.become('broken', Date.now() + wait);
      this.timer = setTimeout(() => this.open(), wait);
    };
  }

  close(): void {
    clearTimeout(this.timer);
    this.source?.close();
  }

  private become(state: Line['state'], retry_at?: number): void {
    const since = state === this.line.state ? this.line.since : Date.now();
    this.line = retry_at === undefined ? { state, since } : { state, since, retry_at };
    this.say(this.line);
  }
}
