// Requests to the node. Addresses are relative to the page, so that any prefix works; whatever changes something says it is JSON,
// which the node asks for so that no other page can send it.

import type {
  Download, DownloadChange, DownloadDetail, Folder, LabRun, LabScenario, NetworkStatus, NewDownload, NewSearch, Page, Problem, Search, SearchDetail,
  Share, ShareChange, ShareDetail, Status, UpSettings,
} from './types';

/** What the node answered that is not a success, or that nothing answered at all (`status` 0). */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem,
  ) {
    super(problem.message);
  }
}

export function address(path: string): string {
  return new URL(`api/${path}`, document.baseURI).href;
}

function isProblem(value: unknown): value is Problem {
  return typeof value === 'object' && value !== null && typeof (value as Problem).message === 'string';
}

/** The problem in a response's body, or one made of its status. */
export function problemOf(status: number, body: string): Problem {
  try {
    const value: unknown = JSON.parse(body);
    if (isProblem(value)) return value;
  } catch {
    // Something between the node and the page has answered.
  }
  return { message: `The node answered with status ${status}.`, hint: 'Is something else in front of it, a proxy perhaps?' };
}

async function ask<T>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  let response: Response;
  try {
    response = await fetch(address(path), {
      method,
      headers: method === 'GET' ? {} : { 'content-type': 'application/json' },
      body: body === undefined ? null : JSON.stringify(body),
      credentials: 'same-origin',
      signal: signal ?? null,
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Refused(0, { message: 'The node cannot be reached.', hint: 'Is hexad still running? The page tries again by itself.' });
  }
  const text = await response.text();
  if (!response.ok) throw new Refused(response.status, problemOf(response.status, text));
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

function query(values: Record<string, string | number | undefined>): string {
  const given = Object.entries(values).filter((pair): pair is [string, string | number] => pair[1] !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

export const PAGE_MAX = 1000;

/** Every page of a list in turn; `hear` gets each as it comes. Returns how many the node says there are. */
export async function everyPage<T>(path: string, hear: (items: T[]) => void): Promise<number> {
  for (let offset = 0; ; ) {
    const page = await ask<Page<T>>('GET', `${path}${query({ offset, limit: PAGE_MAX })}`);
    hear(page.items);
    offset += page.items.length;
    if (page.items.length === 0 || offset >= page.total) return page.total;
  }
}

const part = encodeURIComponent;

export const api = {
  status: () => ask<Status>('GET', 'status'),
  network: (name: string) => ask<NetworkStatus>('GET', `networks/${part(name)}`),
  join: (name: string) => ask<void>('POST', `networks/${part(name)}/join`),
  leave: (name: string) => ask<void>('POST', `networks/${part(name)}/leave`),

  beginSearch: (search: NewSearch) => ask<Search>('POST', 'searches', search),
  search: (id: number, offset: number, limit: number) => ask<SearchDetail>('GET', `searches/${id}${query({ offset, limit })}`),
  searchMore: (id: number) => ask<Search>('POST', `searches/${id}/more`),
  endSearch: (id: number) => ask<void>('DELETE', `searches/${id}`),

  beginDownload: (download: NewDownload) => ask<Download>('POST', 'downloads', download),
  download: (id: number, signal?: AbortSignal) => ask<DownloadDetail>('GET', `downloads/${id}`, undefined, signal),
  changeDownload: (id: number, change: DownloadChange) => ask<Download>('PATCH', `downloads/${id}`, change),
  pause: (id: number) => ask<Download | undefined>('POST', `downloads/${id}/pause`),
  resume: (id: number) => ask<Download | undefined>('POST', `downloads/${id}/resume`),
  removeDownload: (id: number) => ask<void>('DELETE', `downloads/${id}`),

  share: (path: string) => ask<Share>('POST', 'library', { path }),
  shared: (id: number) => ask<ShareDetail>('GET', `library/${id}`),
  changeShare: (id: number, change: ShareChange) => ask<Share>('PATCH', `library/${id}`, change),
  unshare: (id: number) => ask<void>('DELETE', `library/${id}`),
  folders: () => ask<Folder[]>('GET', 'library/folders'),
  addFolder: (path: string) => ask<Folder | undefined>('POST', 'library/folders', { path }),
  removeFolder: (path: string) => ask<void>('DELETE', 'library/folders', { path }),

  settings: () => ask<UpSettings>('GET', 'settings'),
  setSettings: (settings: UpSettings) => ask<UpSettings>('PUT', 'settings', settings),

  scenarios: () => ask<LabScenario[]>('GET', 'lab/scenarios'),
  beginRun: (scenario: string, set: Record<string, string>) => ask<{ id: number }>('POST', 'lab/runs', { scenario, set }),
  run: (id: number) => ask<LabRun>('GET', `lab/runs/${id}`),
};

/** Sends a file to the shared folder; `hear` learns how many bytes have gone. XMLHttpRequest, since fetch does not tell. */
export function upload(file: File, hear: (sent: number) => void): { done: Promise<Share>; stop: () => void } {
  const request = new XMLHttpRequest();
  const done = new Promise<Share>((resolve, reject) => {
    request.open('PUT', address(`library/files/${part(file.name)}`));
    request.setRequestHeader('content-type', 'application/octet-stream');
    request.upload.onprogress = (event) => hear(event.loaded);
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as Share);
      else reject(new Refused(request.status, problemOf(request.status, request.responseText)));
    };
    request.onerror = () => reject(new Refused(0, { message: `“${file.name}” did not reach the node.`, hint: 'Is hexad still running? Drop it again then.' }));
    request.onabort = () => reject(new Refused(0, { message: `“${file.name}” was not shared: stopped.` }));
    request.send(file);
  });
  return { done, stop: () => request.abort() };
}
