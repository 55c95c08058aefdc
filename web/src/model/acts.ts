// What a person does: fetch, share, pause, remove, search. Each says what has happened, and offers the way back where there is one.

import { api, Refused, upload } from '../api/client';
import type { Download, DownloadChange, Result, Share } from '../api/types';
import { nameOf } from './downloads';
import { bytes, plural } from './format';
import { wish } from './links';
import { node } from './node.svelte';
import { attempt, notices } from './notices.svelte';
import { router } from './route.svelte';
import { screen } from './screen.svelte';
import { magnetOf, NotATorrent } from './torrent';
import { uploads } from './uploads.svelte';

const quoted = (name: string) => `“${name}”`;

export async function fetchLink(source: string, name: string, on: string[] = []): Promise<void> {
  await attempt(async () => {
    const { choose } = screen;
    const download = await api.beginDownload({ source, ...(on.length > 0 ? { on } : {}), ...(choose ? { choose } : {}) });
    node.downloads.put(download);
    // Until peers have said what a link stands for, the node calls it by the link.
    const called = download.name === '' || source.startsWith(download.name) ? name : download.name;
    if (choose) router.go('downloads', download.id);
    notices.say(choose ? `Asking what ${quoted(called)} holds; nothing comes before you have chosen.` : `Fetching ${quoted(called)}.`, { name: 'Show', run: () => router.go('downloads', download.id) });
  });
}

/** From wherever there are sources, and not only where it was found. */
export const fetchResult = (result: Result) => fetchLink(result.link, result.name);

/** A search by words; a link is fetched instead. */
export async function searchOrFetch(text: string, on: string[]): Promise<void> {
  const wanted = wish(text);
  if (wanted.is === 'nothing') return;
  if (wanted.is === 'link') {
    await fetchLink(wanted.link, wanted.name);
    return;
  }
  await attempt(async () => {
    const search = await api.beginSearch(on.length > 0 ? { words: wanted.words, on } : { words: wanted.words });
    node.searches.put(search);
    router.go('search', search.id);
  });
}

export async function pauseOrResume(download: Download): Promise<void> {
  await attempt(async () => {
    const stopped = download.state === 'paused' || download.state === 'failed';
    const after = stopped ? await api.resume(download.id) : await api.pause(download.id);
    if (after) node.downloads.put(after);
  });
}

/** Carries a download out in another way, and goes on with it where `resume`. Whether the node does it. */
export async function changeDownload(download: Download, change: DownloadChange, resume = false): Promise<boolean> {
  return attempt(async () => {
    if (Object.keys(change).length > 0) node.downloads.put(await api.changeDownload(download.id, change));
    const after = resume ? await api.resume(download.id) : undefined;
    if (after) node.downloads.put(after);
  });
}

export async function removeDownload(download: Download): Promise<void> {
  await attempt(async () => {
    await api.removeDownload(download.id);
    node.downloads.remove(download.id);
    notices.say(`Removed ${quoted(nameOf(download))} from the list. Its files stay where they are.`, {
      name: 'Fetch again', run: () => void fetchLink(download.source, nameOf(download), download.on),
    });
  });
}

export type Bulk = 'pause' | 'resume' | 'remove';

const AT_A_TIME = 8;

/** Does the same to many downloads; the first refusal stops it and is said. */
export async function toAll(downloads: readonly Download[], what: Bulk): Promise<void> {
  const waiting = [...downloads];
  let done = 0;
  const work = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      if (what === 'remove') {
        await api.removeDownload(next.id);
        node.downloads.remove(next.id);
      } else {
        const after = await (what === 'pause' ? api.pause(next.id) : api.resume(next.id));
        if (after) node.downloads.put(after);
      }
      done += 1;
    }
  };
  await attempt(async () => {
    try {
      await Promise.all(Array.from({ length: AT_A_TIME }, work));
    } finally {
      waiting.length = 0;
    }
  });
  const many = plural(done, 'download');
  if (done > 0) notices.say(what === 'remove' ? `Removed ${many} from the list. Their files stay where they are.` : what === 'pause' ? `Paused ${many}.` : `Resumed ${many}.`);
}

/** Has a share moved to another folder, under its name. */
export async function moveShare(share: Share, into: string): Promise<boolean> {
  return attempt(async () => node.shares.put(await api.changeShare(share.id, { into })));
}

export async function unshare(share: Share): Promise<void> {
  await attempt(async () => {
    await api.unshare(share.id);
    node.shares.remove(share.id);
    notices.say(`${quoted(share.name)} is no longer offered. No file was deleted.`, {
      name: 'Share again', run: () => void sharePath(share.path),
    });
  });
}

export async function sharePath(path: string): Promise<boolean> {
  return attempt(async () => {
    const share = await api.share(path);
    node.shares.put(share);
    notices.say(`Sharing ${quoted(share.name)} as soon as it is hashed.`);
  });
}

export async function copy(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Beyond this machine a page over plain http has no clipboard of the modern kind.
    const field = document.createElement('textarea');
    field.value = text;
    field.className = 'unseen';
    (document.querySelector('dialog[open]') ?? document.body).append(field);
    field.select();
    document.execCommand('copy');
    field.remove();
  }
  notices.say(`${what} copied.`);
}

/** Dropped or pasted files: a .torrent is fetched, everything else is shared. */
export async function takeFiles(files: File[]): Promise<void> {
  const described = files.filter((file) => file.name.toLowerCase().endsWith('.torrent'));
  const shared = files.filter((file) => !described.includes(file));
  for (const file of described) await fetchTorrent(file);
  if (shared.length > 0) {
    const all = shared.reduce((sum, file) => sum + file.size, 0);
    notices.say(`Sharing ${shared.length === 1 ? quoted(shared[0]?.name ?? '') : plural(shared.length, 'file')}, ${bytes(all)}.`, {
      name: 'Show', run: () => router.go('library'),
    });
  }
  // One after the other: the disk and the line are shared anyway, and the first is offered sooner.
  for (const file of shared) await shareFile(file);
}

async function fetchTorrent(file: File): Promise<void> {
  try {
    await fetchLink(await magnetOf(new Uint8Array(await file.arrayBuffer())), file.name.replace(/\.torrent$/i, ''));
  } catch (error) {
    if (!(error instanceof NotATorrent)) throw error;
    notices.complain(new Refused(0, {
      message: `${quoted(file.name)} cannot be read as a torrent: ${error.message}.`, hint: 'On the command line: hexad fetch FILE',
    }));
  }
}

async function shareFile(file: File): Promise<void> {
  const task = uploads.add(file.name, file.size);
  const sending = upload(file, (sent) => uploads.sent(task, sent));
  uploads.stoppable(task, sending.stop);
  await attempt(async () => node.shares.put(await sending.done));
  uploads.end(task);
}
