// What the mock's peers offer: names, sizes and kinds that look like what people share under free licences.

const ARTISTS = ['Blue Ferry', 'Nora Klein', 'The Paper Lanterns', 'Ostinato Trio', 'Kettle & Moth', 'Field Recordings Vol. 3', 'Hanna Wirth', 'Low Tide Choir'];
const SONGS = ['Blue Harbour', 'A Film for Nobody', 'Night Train to Ulm', 'Copper Rain', 'Second Summer', 'Letters', 'Slow Weather', 'Blue in Green Water', 'The Long Gallery', 'Static'];
const FILMS = ['Blue Film (2019)', 'Cathedral of Sand (2021)', 'Sintel Remastered', 'Night of the Open Gate', 'The Last Lighthouse', 'Big Buck Bunny', 'Elephants Dream', 'Tears of Steel'];
const BOOKS = ['Kropotkin - Mutual Aid', 'A Field Guide to Film Stock', 'Blue Notebook', 'Melville - Moby-Dick', 'Distributed Systems, lecture notes', 'Atlas of Small Harbours'];
const IMAGES = ['debian-13.2.0-amd64-netinst', 'archlinux-2026.11.01-x86_64', 'fedora-workstation-43', 'blue-marble-texture-86400x43200', 'openstreetmap-planet-extract'];

export function name(dice) {
  const kind = dice.pick(['audio', 'audio', 'audio', 'video', 'video', 'text', 'archive', 'program', 'image']);
  switch (kind) {
    case 'audio': {
      const bitrate = dice.pick([128, 192, 256, 320, 900]);
      const seconds = Math.floor(dice.between(140, 520));
      return { kind, name: `${dice.pick(ARTISTS)} - ${dice.pick(SONGS)}.${bitrate > 320 ? 'flac' : dice.pick(['mp3', 'ogg', 'mp3'])}`, size: Math.floor((bitrate * 1000 * seconds) / 8), bitrate, seconds };
    }
    case 'video': {
      const seconds = Math.floor(dice.between(600, 7400));
      return { kind, name: `${dice.pick(FILMS)} ${dice.pick(['1080p', '2160p', '720p'])}.${dice.pick(['mkv', 'mp4', 'webm'])}`, size: Math.floor(seconds * dice.between(3e5, 1.9e6)), seconds };
    }
    case 'text': return { kind, name: `${dice.pick(BOOKS)}.${dice.pick(['epub', 'pdf'])}`, size: Math.floor(dice.between(3e5, 6e7)) };
    case 'archive': return { kind, name: `${dice.pick(ARTISTS)} - ${dice.pick(SONGS)} (session files).tar.zst`, size: Math.floor(dice.between(2e8, 9e9)) };
    case 'program': return { kind, name: `${dice.pick(IMAGES)}.iso`, size: Math.floor(dice.between(6e8, 5e9)) };
    default: return { kind, name: `${dice.pick(['blue', 'harbour', 'contact-sheet', 'film-scan'])}-${dice.below(9000) + 1000}.${dice.pick(['tif', 'jpg', 'png'])}`, size: Math.floor(dice.between(8e5, 9e7)) };
  }
}

/** Something whose name holds the words that were asked for. */
export function matching(dice, words) {
  const one = name(dice);
  const asked = words.map((word) => word[0].toUpperCase() + word.slice(1)).join(' ');
  const dot = one.name.lastIndexOf('.');
  const stem = one.name.slice(0, dot);
  const has = words.every((word) => one.name.toLowerCase().includes(word.toLowerCase()));
  const lead = stem.split(' - ')[0].replace(/ (1080p|2160p|720p)$/, '');
  return has ? one : { ...one, name: `${dice.next() < 0.5 ? `${lead} - ${asked}` : `${asked} (${lead})`}${one.name.slice(dot)}` };
}

/** A digest that follows from the words, so that a name has the same link each time. */
export function digestOf(text, digits) {
  let out = '';
  for (let round = 0; out.length < digits; round += 1) {
    let hash = 2166136261 ^ (round * 0x9e3779b9);
    for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 16777619);
    out += (hash >>> 0).toString(16).padStart(8, '0');
  }
  return out.slice(0, digits);
}

export const magnet = (named, size) => `magnet:?xt=urn:hexad:${digestOf(named, 64)}&xl=${size}&dn=${encodeURIComponent(named)}`;
