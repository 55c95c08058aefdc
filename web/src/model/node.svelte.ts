// All that the page knows of the node: loaded once, kept true by the stream of changes, loaded again after every `hello`.

import { address, api, everyPage, PAGE_MAX, Refused } from '../api/client';
import { Stream, type Line } from '../api/events';
import {
  NETWORKS, type Change, type Download, type LabEvent, type NetworkName, type NetworkStatus, type Overlay, type RateAt, type Result,
  type Search, type Share, type Totals,
} from '../api/types';
import { isWhole } from './downloads';
import { sentence } from './format';
import { Live } from './live.svelte';
import { notices } from './notices.svelte';
import { router } from './route.svelte';

/** How much of the node's own rates the page remembers, seconds. */
const RATES_S = 300;

export class Node {
  line = $state.raw<Line>({ state: 'connecting', since: Date.now() });
  totals = $state.raw<Totals | undefined>();
  networks = $state.raw<NetworkStatus[]>([]);
  overlays = $state.raw<Partial<Record<NetworkName, Overlay>>>({});
  rates = $state.raw<RateAt[]>([]);
  /** The node wants a token that this browser does not have. */
  locked = $state(false);
  labEvents = $state.raw<Record<number, LabEvent>>({});

  readonly downloads = new Live<Download>((one) => one.id);
  readonly shares = new Live<Share>((one) => one.id);
  readonly searches = new Live<Search>((one) => one.id);
  readonly #results = new Map<number, Live<Result>>();
  /** Computed when somebody asks, once for each look that has changed. */
  readonly #bySource = $derived.by(() => {
    void this.downloads.version;
    return new Map(Array.from(this.downloads.store.values(), (download) => [download.source, download]));
  });

  #stream = new Stream(address('events'), (change) => this.hear(change), (line) => this.#lineIs(line));
  /** Counts loads, so that the end of an earlier one does not speak for a later one. */
  #load = 0;
  /** Networks that a change has spoken of since the running load began: what was asked for before is older. */
  #heardOf = new Set<string>();

  begin(): void {
    this.#stream.open();
    addEventListener('online', () => this.#stream.open());
  }

  again(): void {
    this.#stream.open();
  }

  /** What is shown is what the node says at this moment. */
  get live(): boolean {
    return this.line.state === 'live';
  }

  network(name: string): NetworkStatus | undefined {
    return this.networks.find((network) => network.name === name);
  }

  results(search: number): Live<Result> {
    let live = this.#results.get(search);
    if (live === undefined) {
      live = new Live<Result>((one) => one.result);
      this.#results.set(search, live);
    }
    return live;
  }

  /** The download that a link has begun. */
  downloadOf(link: string): Download | undefined {
    return this.#bySource.get(link);
  }

  hear(change: Change): void {
    switch (change.kind) {
      case 'hello': void this.#loadAll(); break;
      case 'status': this.#statusIs(change.status); break;
      case 'network': this.#heardOf.add(change.network.name); this.#networkIs(change.network); break;
      case 'overlay': this.overlays = { ...this.overlays, [change.name]: change.overlay }; break;
      case 'download': this.#downloadIs(change.download); break;
      case 'download_removed': this.downloads.remove(change.id); break;
      case 'search': this.searches.put(change.search); break;
      case 'result': this.results(change.search).put(change.result); break;
      case 'share': this.shares.put(change.share); break;
      case 'share_removed': this.shares.remove(change.id); break;
      case 'lab': this.labEvents = { ...this.labEvents, [change.run]: change.event }; break;
      case 'warning': notices.say(sentence(change.message)); break;
    }
  }

  /** All results that the node has of a search; those that stream in meanwhile are kept. */
  async loadResults(search: number): Promise<void> {
    await this.results(search).load(async (hear) => {
      for (let offset = 0; ; ) {
        const detail = await api.search(search, offset, PAGE_MAX);
        hear(detail.results);
        offset += detail.results.length;
        const total = detail.total ?? offset;
        if (detail.results.length < PAGE_MAX || offset >= total) return total;
      }
    });
  }

  async loadOverlays(): Promise<void> {
    await Promise.all(
      NETWORKS.map(async (name) => {
        const { overlay, ...network } = await api.network(name);
        this.#networkIs(network);
        if (overlay) this.overlays = { ...this.overlays, [name]: overlay };
      }),
    );
  }

  forgetSearch(id: number): void {
    this.searches.remove(id);
    this.#results.delete(id);
  }

  async #loadAll(): Promise<void> {
    const load = ++this.#load;
    this.#heardOf.clear();
    try {
      const { networks, ...totals } = await api.status();
      if (load !== this.#load) return;
      this.locked = false;
      this.networks = networks.map((network) => (this.#heardOf.has(network.name) ? (this.network(network.name) ?? network) : network));
      this.#statusIs(totals);
      await Promise.all([
        this.downloads.load((hear) => everyPage<Download>('downloads', hear)),
        this.searches.load((hear) => everyPage<Search>('searches', hear)),
        this.shares.load((hear) => everyPage<Share>('library', hear)),
        ...Array.from(this.#results.keys(), (search) => this.loadResults(search).catch(() => this.forgetSearch(search))),
      ]);
    } catch (error) {
      if (load !== this.#load) return;
      if (error instanceof Refused && error.status === 0) this.#stream.open();
      else notices.complain(error);
    }
  }

  #statusIs(totals: Totals): void {
    this.totals = totals;
    const at_s = Date.now() / 1000;
    const rate = { at_s, down_bytes_per_s: totals.down_bytes_per_s, up_bytes_per_s: totals.up_bytes_per_s };
    this.rates = [...this.rates.filter((one) => one.at_s > at_s - RATES_S), rate];
  }

  #downloadIs(download: Download): void {
    const before = this.downloads.store.get(download.id);
    this.downloads.put(download);
    if (isWhole(download) && before?.state === 'fetching') notices.say(`“${download.name}” is complete.`, { name: 'Show', run: () => router.go('downloads', download.id) });
  }

  #networkIs(network: NetworkStatus): void {
    const known = this.networks.some((one) => one.name === network.name);
    this.networks = known ? this.networks.map((one) => (one.name === network.name ? network : one)) : [...this.networks, network];
  }

  #lineIs(line: Line): void {
    const broke = line.state === 'broken' && this.line.state !== 'broken';
    this.line = line;
    // A stream that is refused says nothing of why; a plain request does.
    if (broke) void api.status().catch((error: unknown) => (this.locked = error instanceof Refused && error.status === 401));
  }
}

export const node = new Node();
