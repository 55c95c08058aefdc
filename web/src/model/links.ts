// Tells a link from words: one field takes both.

/** What somebody has typed, pasted or dropped. */
export type Wish = { is: 'link'; link: string; name: string } | { is: 'words'; words: string[] } | { is: 'nothing' };

const FREENET = /^(freenet:)?(CHK|SSK|USK|KSK)@\S+/;
const HEX_DIGEST = /^([0-9a-f]{40}|[0-9a-f]{64})$/i;

export function wish(text: string): Wish {
  const line = text.trim();
  if (line === '') return { is: 'nothing' };
  if (!/\s/.test(line)) {
    if (/^magnet:\?/i.test(line)) return { is: 'link', link: line, name: magnetName(line) };
    if (FREENET.test(line)) return { is: 'link', link: line.replace(/^freenet:/, ''), name: line.split('/').at(-1) || line };
    if (/^urn:/i.test(line)) return { is: 'link', link: `magnet:?xt=${line}`, name: line };
    if (/^https?:\/\/\S+\.torrent([?#]\S*)?$/i.test(line)) return { is: 'link', link: line, name: lastPart(line) };
    if (/^[0-9a-f]{40}$/i.test(line)) return { is: 'link', link: `magnet:?xt=urn:btih:${line}`, name: line };
  }
  return { is: 'words', words: line.split(/\s+/) };
}

/** The links in a dropped or pasted text, one a line; nothing when a line is something else. */
export function links(text: string): string[] {
  const wishes = text.split(/\r?\n/).filter((line) => line.trim() !== '' && !line.startsWith('#')).map(wish);
  return wishes.every((one) => one.is === 'link') ? wishes.map((one) => (one.is === 'link' ? one.link : '')) : [];
}

function magnetName(link: string): string {
  const params = new URLSearchParams(link.slice(link.indexOf('?') + 1));
  const name = params.get('dn') ?? params.get('xt') ?? 'a magnet link';
  return HEX_DIGEST.test(name) ? `${name.slice(0, 12)}…` : name;
}

function lastPart(address: string): string {
  const path = address.split(/[?#]/)[0] ?? address;
  try {
    return decodeURIComponent(path.slice(path.lastIndexOf('/') + 1));
  } catch {
    return path;
  }
}
