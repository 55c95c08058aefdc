// A node that does not exist: the contract's state, kept in memory and moved on four times a second.

import { digestOf, magnet, matching, name } from './catalogue.mjs';
import { Dice } from './dice.mjs';
import { Laboratory } from './laboratory.mjs';
import { NAMES, Networks } from './overlays.mjs';

const VERSION = '0.9.0-mock';
const TICK_MS = 250;
const RATES = 300;
const seconds = () => Math.floor(Date.now() / 1000);

/** What is wrong with a folder to which something is to be moved, if anything is. */
const wrongFolder = (into) => (into.startsWith('/') ? undefined : { problem: { message: `expected a full path, came '${into}'`, hint: 'begin it with /' } });

export class World {
  /** `downloads`, `shares`: how many there are at first; `size`: bytes of what a fetch brings, when all are to be the same. */
  constructor({ downloads = 24, shares = 40, seed = 7, size = undefined } = {}) {
    this.dice = new Dice(seed);
    this.began = Date.now();
    this.size = size;
    this.listeners = new Set();
    this.networks = new Networks(new Dice(seed + 1));
    this.lab = new Laboratory((change) => this.tell(change));
    this.downloads = new Map();
    this.detail = new Map();
    this.searches = new Map();
    this.shares = new Map();
    this.dirs = new Map([['/home/ada/Shared', true], ['/srv/media/music', true]]);
    this.next = 1;
    this.ticks = 0;
    this.settings = { download_dir: '/home/ada/Downloads', shared_dirs: [...this.dirs.keys()], seed: true, limits: { down_bytes_per_s: 0, up_bytes_per_s: 0 }, active_downloads: 0, active_seeds: 0, networks: Object.fromEntries(NAMES.map((one) => [one, true])) };
    for (let at = 0; at < downloads; at += 1) this.oldDownload(at);
    for (let at = 0; at < shares; at += 1) this.oldShare(at);
  }

  start() {
    this.timer = setInterval(() => this.tick(), TICK_MS);
    this.timer.unref?.();
  }

  tell(change) {
    for (const hear of this.listeners) hear(change);
  }

  // Downloads.

  oldDownload(at) {
    const { dice } = this;
    const { name: named, size } = name(dice);
    const state = at % 11 === 4 ? 'failed' : at % 7 === 3 ? 'paused' : at === 2 ? 'looking' : at === 8 ? 'checking' : at % 3 === 0 && at < 60 ? 'fetching' : dice.next() < 0.3 ? 'seeding' : 'complete';
    const share = state === 'complete' || state === 'seeding' ? 1 : state === 'looking' ? 0 : dice.between(0.05, 0.9);
    const download = this.newDownload(named, state === 'looking' ? 0 : size, magnet(named, size), dice.some(NAMES, 0.4));
    Object.assign(download, { state, verified_bytes: Math.floor(share * download.wanted_bytes), added_s: seconds() - at * 2600 - 30 });
    download.downloaded_bytes = Math.floor(download.verified_bytes * 1.01);
    download.uploaded_bytes = Math.floor(download.verified_bytes * dice.between(0, 1.8));
    if (share === 1) Object.assign(download, { completed_s: download.added_s + 900, path: `${download.into}/${named}` });
    if (state === 'failed') download.problem = { message: 'Nobody has offered it for a day.', hint: 'Resume asks again; search for its name may find another copy.' };
    if (state === 'seeding') download.up_bytes_per_s = Math.floor(dice.between(2e4, 9e5));
    this.fill(download);
  }

  newDownload(named, size, source, on) {
    const id = this.next++;
    const download = {
      id, name: named, state: 'fetching', source, on: on.length > 0 ? on : ['bittorrent'], into: this.settings.download_dir, wanted_bytes: size, verified_bytes: 0,
      down_bytes_per_s: 0, up_bytes_per_s: 0, downloaded_bytes: 0, uploaded_bytes: 0, added_s: seconds(), unproven: this.dice.next() < 0.06,
    };
    this.downloads.set(id, download);
    this.detail.set(id, { seed: this.settings.seed, how: { limits: { down_bytes_per_s: 0, up_bytes_per_s: 0 }, sequential: false, first: [], last: [], super_seed: false }, select: [], files: undefined, pace: this.dice.between(4e5, 6e6), rates: [], order: undefined, weights: download.on.map(() => this.dice.between(0.2, 1)) });
    return download;
  }

  /** Its files: every fourth download is a folder of fourteen. */
  filesOf(download) {
    const detail = this.detail.get(download.id);
    if (download.wanted_bytes === 0) return [];
    if (detail.files) return detail.files;
    const many = download.id % 4 === 1 ? 14 : 1;
    const at = (index) => Math.floor((download.wanted_bytes * index) / many);
    const path = (index) => (many === 1 ? download.name : index === 13 ? 'cover.jpg' : `disc ${1 + Math.floor(index / 7)}/${(index % 7) + 1} - ${['Harbour', 'Copper', 'Letters', 'Static', 'Rain', 'Ferry', 'Weather'][index % 7]}.flac`);
    return (detail.files = Array.from({ length: many }, (_, index) => ({ index, path: path(index), length_bytes: at(index + 1) - at(index), wanted: true, turn: 'usual' })));
  }

  /** Files as the contract lists them: what is verified is spread over those that are wanted. */
  fileViews(download) {
    const share = download.wanted_bytes > 0 ? download.verified_bytes / download.wanted_bytes : 0;
    return this.filesOf(download).map((file) => ({ ...file, verified_bytes: file.wanted ? Math.floor(file.length_bytes * share) : 0 }));
  }

  /** Another folder. */
  changeShare(share, { into }) {
    if (into !== undefined) {
      const wrong = wrongFolder(into);
      if (wrong) return wrong;
      Object.assign(share, { moving_to: into, moved_bytes: 0 });
    }
    this.tell({ kind: 'share', share: { ...share } });
    return share;
  }

  /** Other files, another order, other limits, another folder. */
  change(download, { how, select, seed, into }) {
    if (into !== undefined) {
      const wrong = wrongFolder(into);
      if (wrong) return wrong;
      download.into = into;
    }
    const detail = this.detail.get(download.id);
    const files = this.filesOf(download);
    const named = (patterns) => {
      const all = patterns.flatMap((pattern) => pattern.split(',')).map((part) => (part === '*' ? [0, Infinity] : part.split('-').map(Number)));
      return (index) => all.some(([from, to = from]) => index >= from && index <= to);
    };
    if (select) {
      if (select.length > 0 && !files.some((file) => named(select)(file.index))) return { problem: { message: `“${select[0]}” selects none of the files.` } };
      const before = download.verified_bytes / Math.max(1, download.wanted_bytes);
      for (const file of files) file.wanted = select.length === 0 || named(select)(file.index);
      download.wanted_bytes = files.reduce((sum, file) => sum + (file.wanted ? file.length_bytes : 0), 0);
      download.verified_bytes = Math.floor(before * download.wanted_bytes);
      detail.select = select;
    }
    if (how) {
      detail.how = how;
      download.limits = how.limits;
      for (const file of files) file.turn = named(how.first)(file.index) ? 'first' : named(how.last)(file.index) ? 'last' : 'usual';
    }
    detail.seed = seed ?? detail.seed;
    this.tell({ kind: 'download', download: { ...download } });
    return download;
  }

  /** The order in which its parts come: random, with a rarest-first look. */
  orderOf(download) {
    const detail = this.detail.get(download.id);
    if (detail.order) return detail.order;
    const parts = Math.max(1, Math.min(400, Math.ceil(download.wanted_bytes / 262144)));
    const dice = new Dice(download.id * 31 + 5);
    const order = Array.from({ length: parts }, (_, at) => at);
    for (let at = parts - 1; at > 0; at -= 1) {
      const to = dice.below(at + 1);
      [order[at], order[to]] = [order[to], order[at]];
    }
    return (detail.order = order);
  }

  fill(download) {
    const detail = this.detail.get(download.id);
    if (download.state !== 'fetching') return;
    const now = seconds();
    for (let back = 240; back > 0; back -= 1) {
      const wave = 0.7 + 0.3 * Math.sin(back / 17 + download.id) + this.dice.between(-0.08, 0.08);
      detail.rates.push({ at_s: now - back, down_bytes_per_s: Math.floor(detail.pace * wave), up_bytes_per_s: Math.floor(detail.pace * 0.18 * wave) });
    }
  }

  moveDownload(download) {
    const detail = this.detail.get(download.id);
    const { dice } = this;
    if (download.state === 'looking') {
      if (detail.choose && this.ticks >= detail.choose) {
        Object.assign(download, { state: 'paused', wanted_bytes: this.size ?? Math.floor(dice.between(2e7, 3e9)) });
        delete detail.choose;
        this.tell({ kind: 'download', download: { ...download } });
        return false;
      }
      if (!detail.choose && download.wanted_bytes === 0 && this.ticks % 40 === 39 && download.id !== 3) Object.assign(download, { state: 'fetching', wanted_bytes: this.size ?? Math.floor(dice.between(2e7, 3e9)) });
      return false;
    }
    if (download.state === 'checking') {
      download.verified_bytes = Math.min(download.wanted_bytes, download.verified_bytes + download.wanted_bytes / 80);
      if (download.verified_bytes >= download.wanted_bytes * 0.9) download.state = 'fetching';
      return true;
    }
    if (download.state === 'seeding') {
      download.up_bytes_per_s = Math.max(0, Math.floor(download.up_bytes_per_s * dice.between(0.9, 1.1)));
      download.uploaded_bytes += download.up_bytes_per_s / (1000 / TICK_MS);
      return this.ticks % 4 === download.id % 4 && download.id < 200;
    }
    if (download.state !== 'fetching') return false;
    const wave = 0.7 + 0.3 * Math.sin(this.ticks / 30 + download.id) + dice.between(-0.1, 0.1);
    const most = download.limits?.down_bytes_per_s || Infinity;
    const pace = Math.min(detail.pace * wave, most);
    const step = Math.min(download.wanted_bytes - download.verified_bytes, pace / (1000 / TICK_MS));
    download.verified_bytes = Math.floor(download.verified_bytes + step);
    download.downloaded_bytes = Math.floor(download.verified_bytes * 1.01);
    download.down_bytes_per_s = Math.floor(pace);
    download.up_bytes_per_s = Math.floor(detail.pace * wave * 0.18);
    download.uploaded_bytes = Math.floor(download.uploaded_bytes + step * 0.18);
    download.peers = 4 + ((download.id * 7 + Math.floor(this.ticks / 20)) % 40);
    download.seeds = Math.floor(download.peers / 3);
    download.eta_s = Math.ceil((download.wanted_bytes - download.verified_bytes) / Math.max(1, download.down_bytes_per_s));
    if (download.wanted_bytes - download.verified_bytes <= 1) {
      Object.assign(download, { verified_bytes: download.wanted_bytes, state: detail.seed ? 'seeding' : 'complete', down_bytes_per_s: 0, completed_s: seconds(), path: `${download.into}/${download.name}` });
      delete download.eta_s;
    }
    if (this.ticks % 4 === 0) {
      detail.rates.push({ at_s: seconds(), down_bytes_per_s: download.down_bytes_per_s, up_bytes_per_s: download.up_bytes_per_s });
      if (detail.rates.length > RATES) detail.rates.shift();
    }
    return true;
  }

  downloadDetail(id) {
    const download = this.downloads.get(id);
    if (!download) return undefined;
    const detail = this.detail.get(id);
    const order = this.orderOf(download);
    const blocks = new Array(order.length).fill(0);
    const done = (download.verified_bytes / Math.max(1, download.wanted_bytes)) * order.length;
    order.forEach((part, at) => {
      blocks[part] = at < Math.floor(done) ? 100 : at < done ? Math.floor((done % 1) * 100) : at < done + 6 && download.state === 'fetching' ? ((part * 37) % 70) + 10 : 0;
    });
    const sum = detail.weights.reduce((all, one) => all + one, 0);
    const by_network = download.on.map((one, at) => ({ name: one, bytes: Math.floor((download.downloaded_bytes * detail.weights[at]) / sum), peers: 1 + ((id + at * 5) % 14) }));
    if (by_network.length > 2 && id % 2 === 0) by_network[2] = { name: by_network[2].name, bytes: 0, problem: { message: 'Its server has closed the connection.' } };
    const files = this.filesOf(download);
    const asked = { files: files.length, wanted_files: files.filter((file) => file.wanted).length, select: detail.select, seed: detail.seed, how: detail.how };
    return { ...download, ...asked, by_network, blocks: download.wanted_bytes > 0 ? blocks : [], rates: detail.rates, warnings: id % 13 === 0 ? ['A peer lied about 2 blocks and was left.'] : [] };
  }

  beginDownload({ source, on = [], into, choose = false }) {
    if (typeof source !== 'string' || !/^(magnet:|https?:|CHK@|SSK@|USK@|KSK@|\/)/.test(source)) {
      return { problem: { message: `“${String(source).slice(0, 60)}” is not something that can be fetched.`, hint: 'A magnet link, a Freenet key, or the address of a .torrent.' } };
    }
    const old = [...this.downloads.values()].find((one) => one.source === source);
    if (old) return { problem: { message: `“${old.name}” is already in the list.` }, status: 409 };
    const params = new URLSearchParams(source.slice(source.indexOf('?') + 1));
    const size = this.size ?? (Number(params.get('xl')) || Math.floor(this.dice.between(2e7, 9e8)));
    const found = [...this.searches.values()].flatMap((one) => one.found).find((result) => result.link === source);
    const download = this.newDownload(params.get('dn') ?? source.split('/').at(-1), size, source, on.length > 0 ? on : (found?.networks ?? this.dice.some(NAMES, 0.5)));
    if (into) download.into = into;
    if (choose) {
      Object.assign(download, { state: 'looking', wanted_bytes: 0 });
      this.detail.get(download.id).choose = this.ticks + 4;
    }
    this.tell({ kind: 'download', download: { ...download } });
    return download;
  }

  // Searches.

  beginSearch({ words, on }) {
    if (!Array.isArray(words) || words.length === 0) return { problem: { message: 'No words to search for.' } };
    const asked = (on?.length ? on : NAMES).filter((one) => this.networks.status(one).abilities.search && this.networks.status(one).state === 'joined');
    const search = { id: this.next++, words, on: asked, state: 'running', results: 0 };
    const dice = new Dice(digestOf(words.join(' '), 8).split('').reduce((sum, digit) => sum * 16 + parseInt(digit, 16), 0));
    const nothing = words.some((word) => word.startsWith('zzz'));
    // What this node shares itself is found as well, as if another node had answered.
    const ours = [...this.shares.values()].filter((share) => share.state === 'offered' && words.every((word) => share.name.toLowerCase().includes(word.toLowerCase())));
    const found = ours.slice(0, 5).map((share, at) => ({ result: at, name: share.name, size_bytes: share.bytes, link: share.link, proven: true, networks: asked, sources: 90 - at, rank: -1 }));
    this.searches.set(search.id, { search, found, dice, left: nothing ? 0 : 60 + dice.below(90), until: this.ticks + 24 });
    this.tell({ kind: 'search', search: { ...search } });
    return search;
  }

  searchMore(id) {
    const one = this.searches.get(id);
    if (!one) return undefined;
    one.search.state = 'running';
    one.left += 12;
    one.until = this.ticks + 12;
    this.tell({ kind: 'search', search: { ...one.search } });
    return one.search;
  }

  moveSearch(one) {
    const { search, found, dice } = one;
    if (search.state !== 'running') return;
    const many = Math.min(one.left, 1 + dice.below(9));
    one.left -= many;
    for (let at = 0; at < many; at += 1) {
      const again = found.length > 8 && dice.next() < 0.3 ? dice.pick(found) : undefined;
      if (again) {
        again.sources += 1 + dice.below(3);
        again.networks = [...new Set([...again.networks, dice.pick(search.on)])].sort();
        again.rank = -1;
        continue;
      }
      const { name: named, size, kind, bitrate, seconds: length } = matching(dice, search.words);
      const proven = dice.next() < 0.7;
      const networks = [...new Set([dice.pick(search.on), ...dice.some(search.on, 0.25)])].sort();
      const sources = 1 + Math.floor(40 * dice.next() ** 4);
      const result = { result: found.length, name: named, size_bytes: size, link: magnet(named, size), proven, networks, sources, kind, rank: -1 };
      if (bitrate) result.bitrate_kbps = bitrate;
      if (length) result.seconds = length;
      found.push(result);
    }
    this.rank(search, found);
    search.results = found.length;
    if (this.ticks >= one.until || (one.left === 0 && this.ticks >= one.until - 12)) {
      search.state = 'done';
    }
    this.tell({ kind: 'search', search: { ...search } });
  }

  /** Proven first, then those with more sources; tells every result whose place or sources have changed. */
  rank(search, found) {
    const order = [...found].sort((a, b) => Number(b.proven) - Number(a.proven) || b.sources - a.sources || a.result - b.result);
    order.forEach((result, rank) => {
      if (result.rank === rank) return;
      result.rank = rank;
      this.tell({ kind: 'result', search: search.id, result: { ...result } });
    });
  }

  // Library.

  oldShare(at) {
    const { name: named, size } = name(this.dice);
    const state = at < 3 ? 'hashing' : at === 5 ? 'missing' : 'offered';
    this.addShare(named, `/srv/media/music/${named}`, size, state, at % 9 === 4 ? 12 : 1);
  }

  addShare(named, path, bytes, state, files = 1) {
    const share = { id: this.next++, name: named, path, bytes, files, state, hashed_bytes: state === 'hashing' ? Math.floor(bytes * this.dice.next() * 0.4) : bytes, networks: [] };
    if (state === 'offered') Object.assign(share, { link: magnet(named, bytes), networks: [...NAMES] });
    if (state === 'missing') share.problem = { message: `${path} is not there any more.` };
    this.shares.set(share.id, share);
    return share;
  }

  share(path, bytes) {
    if (typeof path !== 'string' || !path.startsWith('/')) return { problem: { message: `${path} is not an absolute path.`, hint: 'For example /home/ada/film.mkv' } };
    if (path.includes('nowhere')) return { problem: { message: `${path} is not there.`, hint: 'Is it spelt right, and may hexad read it?' } };
    const share = this.addShare(path.split('/').filter(Boolean).at(-1) ?? path, path, bytes ?? 48_000_000, 'hashing');
    share.hashed_bytes = 0;
    this.tell({ kind: 'share', share: { ...share } });
    return share;
  }

  moveShare(share) {
    if (share.state !== 'hashing') return;
    share.hashed_bytes = Math.min(share.bytes, share.hashed_bytes + Math.max(24_000_000, share.bytes / 60));
    if (share.hashed_bytes >= share.bytes) Object.assign(share, { state: 'offered', link: magnet(share.name, share.bytes), networks: NAMES.filter((one) => this.networks.status(one).state === 'joined') });
    this.tell({ kind: 'share', share: { ...share } });
  }

  folders() {
    return [...this.dirs.keys()].map((path) => ({ path, shares: [...this.shares.values()].filter((share) => share.path.startsWith(`${path}/`)).length }));
  }

  // The whole.

  totals() {
    const all = [...this.downloads.values()];
    const shares = [...this.shares.values()];
    const sum = (list, key) => list.reduce((total, one) => total + one[key], 0);
    const among = (...states) => all.filter((one) => states.includes(one.state)).length;
    return {
      version: VERSION, uptime_s: Math.floor((Date.now() - this.began) / 1000) + 93_600, down_bytes_per_s: sum(all, 'down_bytes_per_s'), up_bytes_per_s: sum(all, 'up_bytes_per_s'), limits: this.settings.limits,
      downloads: { active: among('looking', 'checking', 'fetching'), complete: among('complete', 'seeding'), failed: among('failed'), total: all.length },
      library: { shares: shares.length, bytes: sum(shares, 'bytes'), hashing: shares.filter((one) => one.state === 'hashing').length },
      memory_bytes: 74_300_000 + (this.ticks % 50) * 10_000, download_dir: this.settings.download_dir,
    };
  }

  join(name) {
    const network = this.networks.all.get(name);
    network.state = 'joining';
    network.joins = this.ticks + 6;
    this.tell({ kind: 'network', network: this.networks.status(name) });
  }

  leave(name) {
    this.networks.all.get(name).state = 'left';
    this.tell({ kind: 'network', network: this.networks.status(name) });
  }

  tick() {
    this.ticks += 1;
    for (const download of this.downloads.values()) {
      const moved = this.moveDownload(download);
      if (moved && this.ticks % 2 === download.id % 2) this.tell({ kind: 'download', download: { ...download } });
    }
    for (const one of this.searches.values()) this.moveSearch(one);
    for (const share of this.shares.values()) this.moveShare(share);
    for (const [name, network] of this.networks.all) {
      if (network.state === 'joining' && this.ticks >= network.joins) {
        network.state = 'joined';
        this.tell({ kind: 'network', network: this.networks.status(name) });
      }
    }
    const changed = this.networks.tick();
    if (changed) {
      this.tell({ kind: 'overlay', name: changed, overlay: this.networks.overlay(changed) });
      this.tell({ kind: 'network', network: this.networks.status(changed) });
    }
    this.lab.tick();
    if (this.ticks % 4 === 0) this.tell({ kind: 'status', status: this.totals() });
  }
}
