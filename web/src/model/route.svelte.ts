// Where the page is: behind the `#`, so that the node serves one document under any prefix. `#/downloads/7` shows download 7.

export const PAGES = ['search', 'downloads', 'library', 'networks', 'lab', 'settings'] as const;
export type PageName = (typeof PAGES)[number];
export type Route = { page: PageName; rest: string };

export const TITLES: Record<PageName, string> = {
  search: 'Search', downloads: 'Downloads', library: 'Library', networks: 'Networks', lab: 'Lab', settings: 'Settings',
};

export function parse(hash: string): Route {
  const [page = '', rest = ''] = hash.replace(/^#\/?/, '').split('/', 2);
  const known = PAGES.find((one) => one === page);
  return known === undefined ? { page: 'search', rest: '' } : { page: known, rest: decodeURIComponent(rest) };
}

export const link = (page: PageName, rest: string | number = '') => (rest === '' ? `#/${page}` : `#/${page}/${encodeURIComponent(rest)}`);

class Router {
  now = $state.raw<Route>(parse(location.hash));

  constructor() {
    addEventListener('hashchange', () => (this.now = parse(location.hash)));
  }

  go(page: PageName, rest: string | number = ''): void {
    location.hash = link(page, rest);
  }

  /** Changes the address without a step in the history: what is selected inside a page. */
  settle(page: PageName, rest: string | number = ''): void {
    history.replaceState(null, '', link(page, rest));
    this.now = parse(location.hash);
  }

  get id(): number | undefined {
    const id = Number(this.now.rest);
    return this.now.rest !== '' && Number.isInteger(id) ? id : undefined;
  }
}

export const router = new Router();
