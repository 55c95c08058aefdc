// How downloads are listed: by state, words, order; and how a state reads.

import type { Download, DownloadState } from '../api/types';

export type DownloadFilter = 'all' | 'active' | 'queued' | 'complete' | 'paused' | 'failed';
export const FILTERS: { id: DownloadFilter; name: string }[] = [
  { id: 'all', name: 'All' }, { id: 'active', name: 'Active' }, { id: 'queued', name: 'Queued' }, { id: 'complete', name: 'Complete' }, { id: 'paused', name: 'Paused' }, { id: 'failed', name: 'Failed' },
];

const GROUP: Record<DownloadState, DownloadFilter> = {
  queued: 'queued', looking: 'active', checking: 'active', fetching: 'active', seeding: 'complete', complete: 'complete', paused: 'paused', failed: 'failed',
};

/** Its name, or what it was asked for by, as long as nobody has told the name. */
export const nameOf = (download: Download) => download.name || download.source;

/** Whether all of it is there; it may wait to be given on. */
export const isWhole = (download: Download) => download.state === 'complete' || download.state === 'seeding' || (download.state === 'queued' && download.completed_s !== undefined);

export const groupOf = (download: Download): DownloadFilter => GROUP[download.state];

export function counts(downloads: Iterable<Download>): Record<DownloadFilter, number> {
  const out = { all: 0, active: 0, queued: 0, complete: 0, paused: 0, failed: 0 };
  for (const download of downloads) {
    out.all += 1;
    out[groupOf(download)] += 1;
  }
  return out;
}

export function admitting(filter: DownloadFilter, words: string): (download: Download) => boolean {
  const wanted = words.toLowerCase().split(/\s+/).filter((word) => word !== '');
  return (download) => {
    if (filter !== 'all' && groupOf(download) !== filter) return false;
    const name = wanted.length > 0 ? download.name.toLowerCase() : '';
    return wanted.every((word) => name.includes(word));
  };
}

export type DownloadSort = 'queue' | 'added' | 'name' | 'progress' | 'rate' | 'size';

const share = (download: Download) => (download.wanted_bytes > 0 ? download.verified_bytes / download.wanted_bytes : 0);

export function comparing(sort: DownloadSort, down: boolean): (one: Download, other: Download) => number {
  const sign = down ? -1 : 1;
  const first: Record<DownloadSort, (one: Download, other: Download) => number> = {
    queue: (one, other) => (one.place ?? one.id) - (other.place ?? other.id),
    added: (one, other) => one.added_s - other.added_s,
    // Comparing ten thousand names by the rules of a language costs a hundred times as much as by their letters.
    name: (one, other) => (one.name < other.name ? -1 : one.name > other.name ? 1 : 0),
    progress: (one, other) => share(one) - share(other),
    rate: (one, other) => one.down_bytes_per_s + one.up_bytes_per_s - other.down_bytes_per_s - other.up_bytes_per_s,
    size: (one, other) => one.wanted_bytes - other.wanted_bytes,
  };
  return (one, other) => sign * first[sort](one, other) || other.id - one.id;
}

export type Tone = 'accent' | 'good' | 'quiet' | 'bad' | 'warn';
export const TONE: Record<DownloadState, Tone> = {
  queued: 'quiet', looking: 'quiet', checking: 'warn', fetching: 'accent', seeding: 'good', complete: 'good', paused: 'quiet', failed: 'bad',
};
export const STATE: Record<DownloadState, string> = {
  queued: 'Queued', looking: 'Looking for it', checking: 'Checking', fetching: 'Fetching', seeding: 'Seeding', complete: 'Complete', paused: 'Paused', failed: 'Failed',
};
