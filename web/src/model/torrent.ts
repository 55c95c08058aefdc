// A magnet link from a .torrent file that was dropped: the node takes links, and the file itself never leaves the browser. BEP 3, 9, 52.

type Bencoded = { end: number; value: unknown };

const DEPTH_MAX = 64;

/** Why a file is not a torrent. */
export class NotATorrent extends Error {}

class Reader {
  /** Where the value of the outermost `info` begins and ends. */
  info: [number, number] | undefined;

  constructor(private readonly bytes: Uint8Array) {}

  value(at: number, depth: number): Bencoded {
    if (depth > DEPTH_MAX) throw new NotATorrent('too deep');
    const first = this.bytes[at];
    if (first === 0x69 /* i */) {
      const end = this.find(0x65, at + 1);
      return { end: end + 1, value: Number(this.ascii(at + 1, end)) };
    }
    if (first === 0x6c /* l */) {
      const items: unknown[] = [];
      let next = at + 1;
      while (this.bytes[next] !== 0x65) {
        const item = this.value(next, depth + 1);
        items.push(item.value);
        next = item.end;
      }
      return { end: next + 1, value: items };
    }
    if (first === 0x64 /* d */) {
      const items = new Map<string, unknown>();
      let next = at + 1;
      while (this.bytes[next] !== 0x65) {
        const key = this.text(next);
        const item = this.value(key.end, depth + 1);
        if (depth === 0 && key.value === 'info') this.info = [key.end, item.end];
        items.set(key.value as string, item.value);
        next = item.end;
      }
      return { end: next + 1, value: items };
    }
    return this.text(at);
  }

  private text(at: number): Bencoded {
    const colon = this.find(0x3a, at);
    const length = this.ascii(at, colon);
    if (!/^\d{1,10}$/.test(length)) throw new NotATorrent(`no length at byte ${at}`);
    const end = colon + 1 + Number(length);
    if (end > this.bytes.length) throw new NotATorrent('ends too early');
    return { end, value: new TextDecoder().decode(this.bytes.subarray(colon + 1, end)) };
  }

  private find(byte: number, from: number): number {
    const at = this.bytes.subarray(from, from + 24).indexOf(byte);
    if (at < 0) throw new NotATorrent(`not bencoded at byte ${from}`);
    return from + at;
  }

  private ascii(from: number, to: number): string {
    return String.fromCharCode(...this.bytes.subarray(from, to));
  }
}

const hex = (digest: ArrayBuffer) => Array.from(new Uint8Array(digest), (byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * The magnet link of a .torrent: v1, v2 or both digests, its name, its trackers.
 * Throws `NotATorrent` for anything else, and where the page may not compute digests (plain http beyond this machine).
 */
export async function magnetOf(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const reader = new Reader(bytes);
  const { value } = reader.value(0, 0);
  if (!(value instanceof Map) || reader.info === undefined) throw new NotATorrent('nothing is described in it');
  const info = value.get('info');
  if (!(info instanceof Map)) throw new NotATorrent('nothing is described in it');
  if (globalThis.crypto?.subtle === undefined) throw new NotATorrent('a page over plain http cannot compute its digest');
  const span = bytes.slice(...reader.info);
  const parts: string[] = [];
  if (info.has('pieces')) parts.push(`xt=urn:btih:${hex(await crypto.subtle.digest('SHA-1', span))}`);
  if (info.get('meta version') === 2) parts.push(`xt=urn:btmh:1220${hex(await crypto.subtle.digest('SHA-256', span))}`);
  if (parts.length === 0) throw new NotATorrent('it has no pieces');
  const name = info.get('name');
  if (typeof name === 'string' && name !== '') parts.push(`dn=${encodeURIComponent(name)}`);
  for (const tracker of trackers(value)) parts.push(`tr=${encodeURIComponent(tracker)}`);
  return `magnet:?${parts.join('&')}`;
}

function trackers(torrent: Map<string, unknown>): Set<string> {
  const tiers = torrent.get('announce-list');
  const all = [torrent.get('announce'), ...(Array.isArray(tiers) ? tiers.flat() : [])];
  return new Set(all.filter((one): one is string => typeof one === 'string' && one !== ''));
}
