// Narrowing a list of results: by kind, network, size, proof. Counts are of what the other filters leave.

import { NETWORKS, type MediaKind, type NetworkName, type Result } from '../api/types';

export const KINDS: MediaKind[] = ['audio', 'video', 'image', 'text', 'archive', 'program', 'other'];

export const SIZES = [
  { id: 'any', name: 'Any size', from: 0, to: Infinity },
  { id: 'small', name: 'Under 10 MB', from: 0, to: 1e7 },
  { id: 'middle', name: '10–100 MB', from: 1e7, to: 1e8 },
  { id: 'large', name: '100 MB – 1 GB', from: 1e8, to: 1e9 },
  { id: 'huge', name: 'Over 1 GB', from: 1e9, to: Infinity },
] as const;
export type SizeId = (typeof SIZES)[number]['id'];

export type Filter = { kind: MediaKind | 'all'; networks: readonly NetworkName[]; size: SizeId; proven: boolean };
export const NO_FILTER: Filter = { kind: 'all', networks: [], size: 'any', proven: false };

export const kindOf = (result: Result): MediaKind => result.kind ?? 'other';

const ofKind = (result: Result, filter: Filter) => filter.kind === 'all' || kindOf(result) === filter.kind;
const onNetwork = (result: Result, filter: Filter) =>
  filter.networks.length === 0 || filter.networks.some((name) => result.networks.includes(name));

function ofSize(result: Result, filter: Filter): boolean {
  if (filter.size === 'any') return true;
  const range = SIZES.find((one) => one.id === filter.size);
  return range !== undefined && result.size_bytes !== undefined && result.size_bytes >= range.from && result.size_bytes < range.to;
}

const ofProof = (result: Result, filter: Filter) => !filter.proven || result.proven;

export function admits(result: Result, filter: Filter): boolean {
  return ofKind(result, filter) && onNetwork(result, filter) && ofSize(result, filter) && ofProof(result, filter);
}

export type Facets = { all: number; kinds: Map<MediaKind, number>; networks: Map<NetworkName, number> };

/** How many results each choice would show, the other filters being as they are. */
export function facets(results: Iterable<Result>, filter: Filter): Facets {
  const out: Facets = { all: 0, kinds: new Map(), networks: new Map(NETWORKS.map((name) => [name, 0])) };
  for (const result of results) {
    if (!ofSize(result, filter) || !ofProof(result, filter)) continue;
    if (onNetwork(result, filter)) {
      out.all += 1;
      out.kinds.set(kindOf(result), (out.kinds.get(kindOf(result)) ?? 0) + 1);
    }
    if (ofKind(result, filter)) {
      for (const name of result.networks as NetworkName[]) out.networks.set(name, (out.networks.get(name) ?? 0) + 1);
    }
  }
  return out;
}

export type ResultSort = 'rank' | 'name' | 'sources' | 'size';

export function comparing(sort: ResultSort, down: boolean): (one: Result, other: Result) => number {
  const sign = down ? -1 : 1;
  return (one, other) => {
    const first =
      sort === 'name' ? one.name.localeCompare(other.name, undefined, { numeric: true })
      : sort === 'sources' ? one.sources - other.sources
      : sort === 'size' ? (one.size_bytes ?? -1) - (other.size_bytes ?? -1)
      : one.rank - other.rank;
    return sign * first || one.rank - other.rank || one.result - other.result;
  };
}

/** `name` cut where it holds one of the words, so that they can be marked. */
export function marked(name: string, words: readonly string[]): { text: string; hit: boolean }[] {
  const wanted = words.filter((word) => word.length > 1).map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  if (wanted.length === 0) return [{ text: name, hit: false }];
  const parts = name.split(new RegExp(`(${wanted.join('|')})`, 'gi'));
  return parts.map((text, index) => ({ text, hit: index % 2 === 1 })).filter((part) => part.text !== '');
}
