// Where the peers of a network stand in its drawing: each kind of overlay as what it is. Only what the node knows is drawn, which is
// whom it itself is linked with; what peers have among themselves is theirs.

import type { Neighbour, Overlay } from '../api/types';

export type Point = { x: number; y: number };
export type Mark = 'dot' | 'square' | 'hexagon' | 'self';
export type DrawnNode = Point & { key: string; id: string; role: string; mark: Mark; size: number; peer: Neighbour; label: string };
export type DrawnLink = { key: string; id: string; path: string; role: string };
export type Drawing = {
  width: number;
  height: number;
  /** Circles, lines and ticks that stand for the design itself. */
  guides: string[];
  texts: (Point & { text: string; anchor: 'start' | 'middle' | 'end' })[];
  links: DrawnLink[];
  nodes: DrawnNode[];
};

/** More than this many peers are not told apart in a drawing; the table has them all. */
export const DRAWN_MAX = 160;

const n = (value: number) => value.toFixed(1);
const line = (from: Point, to: Point) => `M${n(from.x)} ${n(from.y)}L${n(to.x)} ${n(to.y)}`;
const circle = (c: Point, r: number) => `M${n(c.x - r)} ${n(c.y)}a${n(r)} ${n(r)} 0 1 0 ${n(2 * r)} 0a${n(r)} ${n(r)} 0 1 0 ${n(-2 * r)} 0`;

/** On a circle: 0 at the top, growing clockwise. */
export function onCircle(centre: Point, radius: number, place: number): Point {
  const angle = place * 2 * Math.PI - Math.PI / 2;
  return { x: centre.x + radius * Math.cos(angle), y: centre.y + radius * Math.sin(angle) };
}

/** A number in 0..1 that depends on the id only, so that a peer stays where it is while others come and go. */
export function dice(id: string): number {
  let hash = 2166136261;
  for (let index = 0; index < id.length; index += 1) hash = Math.imul(hash ^ id.charCodeAt(index), 16777619);
  hash ^= hash >>> 15;
  return (Math.imul(hash, 2246822519) >>> 0) / 4294967296;
}

export function label(peer: Neighbour): string {
  const parts = [peer.role === 'self' ? 'this node' : peer.role, peer.address ?? peer.id];
  if (peer.place !== undefined) parts.push(`at ${peer.place.toFixed(3)}`);
  if (peer.latency_ms !== undefined) parts.push(`${Math.round(peer.latency_ms)} ms`);
  return parts.join(', ');
}

function node(peer: Neighbour, at: Point, mark: Mark, size: number): DrawnNode {
  return { ...at, key: '', id: peer.id, role: peer.role, mark, size, peer, label: label(peer) };
}

export function draw(overlay: Overlay, width: number, height: number): Drawing {
  const drawing: Drawing = { width, height, guides: [], texts: [], links: [], nodes: [] };
  // In an order of their own, so that one who leaves hardly moves the others.
  const peers = overlay.peers.slice(0, DRAWN_MAX).sort((one, other) => dice(one.id) - dice(other.id));
  switch (overlay.kind) {
    case 'ring': ring(drawing, overlay.me, peers); break;
    case 'neighbourhood': neighbourhood(drawing, overlay.me, peers); break;
    case 'tiers': tiers(drawing, overlay.me, peers); break;
    case 'mesh': mesh(drawing, overlay.me, peers); break;
    case 'index': index(drawing, overlay.me, peers); break;
    case 'swarm': swarm(drawing, overlay.me, peers); break;
  }
  // One peer may stand in two places, as a finger and as the successor.
  for (const list of [drawing.nodes, drawing.links]) {
    const seen = new Map<string, number>();
    for (const one of list) {
      const name = `${one.role} ${one.id}`;
      const times = seen.get(name) ?? 0;
      seen.set(name, times + 1);
      one.key = `${name} ${times}`;
    }
  }
  return drawing;
}

const middle = (drawing: Drawing): Point => ({ x: drawing.width / 2, y: drawing.height / 2 });
const room = (drawing: Drawing) => Math.min(drawing.width, drawing.height) / 2;

/** Chord: the circle of identifiers, fingers straight across it, successor and predecessor along it. */
function ring(drawing: Drawing, me: Neighbour, peers: Neighbour[]): void {
  const [centre, radius] = [middle(drawing), room(drawing) - 16];
  drawing.guides.push(circle(centre, radius));
  for (let tick = 0; tick < 32; tick += 1) {
    drawing.guides.push(line(onCircle(centre, radius, tick / 32), onCircle(centre, radius + (tick % 8 === 0 ? 7 : 4), tick / 32)));
  }
  const mine = me.place ?? 0;
  const self = onCircle(centre, radius, mine);
  for (const peer of peers) {
    const place = peer.place ?? dice(peer.id);
    const at = onCircle(centre, radius, place);
    const near = peer.role === 'successor' || peer.role === 'predecessor';
    if (near) {
      const clockwise = peer.role === 'successor' ? 1 : 0;
      const ahead = peer.role === 'successor' ? (place - mine + 1) % 1 : (mine - place + 1) % 1;
      drawing.links.push({
        key: '', id: peer.id, role: peer.role,
        path: `M${n(self.x)} ${n(self.y)}A${n(radius)} ${n(radius)} 0 ${ahead > 0.5 ? 1 : 0} ${clockwise} ${n(at.x)} ${n(at.y)}`,
      });
    } else {
      drawing.links.push({ key: '', id: peer.id, role: peer.role, path: line(self, at) });
    }
    drawing.nodes.push(node(peer, at, 'dot', near ? 4 : 3.2));
  }
  drawing.nodes.push(node(me, self, 'self', 6));
}

/** Freenet: locations on a circle, links bent towards its middle, so that near and far can be told apart. */
function neighbourhood(drawing: Drawing, me: Neighbour, peers: Neighbour[]): void {
  const [centre, radius] = [middle(drawing), room(drawing) - 20];
  drawing.guides.push(circle(centre, radius));
  for (const [place, anchor] of [[0, 'middle'], [0.25, 'start'], [0.5, 'middle'], [0.75, 'end']] as const) {
    const at = onCircle(centre, radius + 10, place);
    drawing.texts.push({ x: at.x, y: at.y + (place === 0 ? 0 : place === 0.5 ? 7 : 3.5), text: place.toString(), anchor });
  }
  const mine = me.place ?? 0;
  const self = onCircle(centre, radius, mine);
  for (const peer of peers) {
    const place = peer.place ?? dice(peer.id);
    const at = onCircle(centre, radius, place);
    const apart = Math.abs(place - mine);
    const angle = Math.PI * Math.min(apart, 1 - apart);
    // As far from the middle as the shortest way in a disc whose rim is infinitely far: shallow for neighbours nearby, straight across.
    const out = angle > 1.5 ? 0 : (1 - Math.sin(angle)) / Math.cos(angle);
    const bend = onCircle(centre, radius * out, (place + mine) / 2 + (apart > 0.5 ? 0.5 : 0));
    drawing.links.push({ key: '', id: peer.id, role: peer.role, path: `M${n(self.x)} ${n(self.y)}Q${n(bend.x)} ${n(bend.y)} ${n(at.x)} ${n(at.y)}` });
    drawing.nodes.push(node(peer, at, 'dot', 3.4));
  }
  drawing.nodes.push(node(me, self, 'self', 6));
}

/** Places for `many` things in a row. */
function row(drawing: Drawing, many: number, y: number): Point[] {
  const gap = (drawing.width - 40) / Math.max(many, 1);
  return Array.from({ length: many }, (_, at) => ({ x: 20 + gap * (at + 0.5), y }));
}

/** Kazaa: supernodes above, leaves below, and a line between the tiers. */
function tiers(drawing: Drawing, me: Neighbour, peers: Neighbour[]): void {
  const { width, height } = drawing;
  const [above, below] = [height * 0.27, height * 0.78];
  drawing.guides.push(line({ x: 12, y: height * 0.52 }, { x: width - 12, y: height * 0.52 }));
  drawing.texts.push({ x: 12, y: height * 0.52 - 6, text: 'supernodes', anchor: 'start' }, { x: 12, y: height * 0.52 + 14, text: 'leaves', anchor: 'start' });
  const high = me.role === 'supernode' || peers.some((peer) => peer.role === 'leaf');
  const supers = peers.filter((peer) => peer.role !== 'leaf');
  const leaves = peers.filter((peer) => peer.role === 'leaf');
  // This node stands in the middle of its own tier.
  const top: (Neighbour | undefined)[] = [...supers];
  const bottom: (Neighbour | undefined)[] = [...leaves];
  (high ? top : bottom).splice(Math.floor((high ? top : bottom).length / 2), 0, undefined);
  const stagger = (at: Point, index: number, many: number, by: number) => ({ x: at.x, y: at.y + (many > 10 ? ((index % 3) - 1) * by : 0) });
  const tops = row(drawing, top.length, above).map((at, index) => stagger(at, index, top.length, 16));
  const bottoms = row(drawing, bottom.length, below).map((at, index) => stagger(at, index, bottom.length, 15));
  const mineAt = (high ? top : bottom).indexOf(undefined);
  const self = (high ? tops : bottoms)[mineAt] ?? middle(drawing);
  top.forEach((peer, index) => {
    const at = tops[index];
    if (peer === undefined || at === undefined) return;
    const bend = `M${n(self.x)} ${n(self.y)}Q${n((self.x + at.x) / 2)} ${n(Math.min(self.y, at.y) - 14 - Math.abs(self.x - at.x) * 0.12)} ${n(at.x)} ${n(at.y)}`;
    drawing.links.push({ key: '', id: peer.id, role: peer.role, path: high ? bend : line(self, at) });
    drawing.nodes.push(node(peer, at, 'hexagon', 7));
  });
  bottom.forEach((peer, index) => {
    const at = bottoms[index];
    if (peer === undefined || at === undefined) return;
    drawing.links.push({ key: '', id: peer.id, role: peer.role, path: line(self, at) });
    drawing.nodes.push(node(peer, at, 'dot', 3.4));
  });
  drawing.nodes.push(node(me, self, 'self', high ? 7.5 : 6));
}

/** Gnutella: equals around us, each with stubs to others that we cannot see; leaves close by. */
function mesh(drawing: Drawing, me: Neighbour, peers: Neighbour[]): void {
  const centre = middle(drawing);
  const [rx, ry] = [drawing.width / 2 - 44, drawing.height / 2 - 36];
  const far = peers.filter((peer) => peer.role !== 'leaf');
  const leaves = peers.filter((peer) => peer.role === 'leaf');
  far.forEach((peer, index) => {
    const angle = ((index + 0.5 + (dice(peer.id) - 0.5) * 0.35) / far.length) * 2 * Math.PI - Math.PI / 2;
    const out = 0.72 + 0.28 * dice(`${peer.id}r`);
    const at = { x: centre.x + rx * out * Math.cos(angle), y: centre.y + ry * out * Math.sin(angle) };
    for (const turn of [-0.5, 0, 0.5]) {
      const end = { x: at.x + 19 * Math.cos(angle + turn), y: at.y + 19 * Math.sin(angle + turn) };
      drawing.guides.push(line(at, end));
    }
    drawing.links.push({ key: '', id: peer.id, role: peer.role, path: line(centre, at) });
    drawing.nodes.push(node(peer, at, 'hexagon', 6.5));
  });
  leaves.forEach((peer, index) => {
    const angle = (index / leaves.length) * 2 * Math.PI + 0.3;
    const out = 0.3 + 0.16 * (index % 2);
    const at = { x: centre.x + rx * out * Math.cos(angle), y: centre.y + ry * out * Math.sin(angle) };
    drawing.links.push({ key: '', id: peer.id, role: peer.role, path: line(centre, at) });
    drawing.nodes.push(node(peer, at, 'dot', 2.8));
  });
  drawing.nodes.push(node(me, centre, 'self', 7));
}

/** Napster: one server (or a few) that everybody is at, this node among them; whom we fetch from is reached straight. */
function index(drawing: Drawing, me: Neighbour, peers: Neighbour[]): void {
  const centre = middle(drawing);
  const servers = peers.filter((peer) => peer.role === 'server');
  const others = peers.filter((peer) => peer.role !== 'server');
  const [rx, ry] = [drawing.width / 2 - 30, drawing.height / 2 - 22];
  const hubs = servers.map((peer, at) => ({ peer, at: { x: centre.x + (at - (servers.length - 1) / 2) * 54, y: centre.y } }));
  const hub = hubs[0]?.at ?? centre;
  const iServe = me.role === 'server';
  const around = iServe ? others : [undefined, ...others];
  let self = centre;
  around.forEach((peer, at) => {
    const angle = (at / around.length) * 2 * Math.PI + Math.PI / 2;
    const place = { x: centre.x + rx * Math.cos(angle) * 0.92, y: centre.y + ry * Math.sin(angle) };
    if (peer === undefined) {
      self = place;
      return;
    }
    drawing.guides.push(line(iServe ? centre : hub, place));
    drawing.nodes.push(node(peer, place, 'dot', 3.4));
  });
  for (const one of hubs) {
    drawing.links.push({ key: '', id: one.peer.id, role: one.peer.role, path: line(self, one.at) });
    drawing.nodes.push(node(one.peer, one.at, 'square', 10));
  }
  drawing.nodes.push(node(me, self, 'self', iServe ? 9 : 6));
}

/** BitTorrent: a crowd around us, whoever answers sooner nearer; seeds are squares. */
function swarm(drawing: Drawing, me: Neighbour, peers: Neighbour[]): void {
  const centre = middle(drawing);
  const [rx, ry] = [drawing.width / 2 - 14, drawing.height / 2 - 12];
  const furthest = Math.max(60, ...peers.map((peer) => peer.latency_ms ?? 0));
  peers.forEach((peer, at) => {
    const out = 0.3 + 0.7 * Math.sqrt((peer.latency_ms ?? furthest * (0.3 + 0.7 * dice(`${peer.id}r`))) / furthest);
    const angle = ((at + 0.5) / peers.length) * 2 * Math.PI - Math.PI / 2;
    const place = { x: centre.x + rx * out * Math.cos(angle), y: centre.y + ry * out * Math.sin(angle) };
    drawing.links.push({ key: '', id: peer.id, role: peer.role, path: line(centre, place) });
    drawing.nodes.push(node(peer, place, peer.role === 'seed' ? 'square' : 'dot', peer.role === 'seed' ? 4.2 : 3.2));
  });
  drawing.nodes.push(node(me, centre, 'self', 7));
}
