// Six networks with overlays that live: peers come, go, and answer faster or slower.

import { Dice } from './dice.mjs';

export const NAMES = ['bittorrent', 'chord', 'freenet', 'gnutella', 'kazaa', 'napster'];

const SHAPES = {
  bittorrent: { kind: 'swarm', me: 'self', roles: ['peer', 'peer', 'seed'], many: 46, doors: [['0.0.0.0:6881', 'peers'], ['0.0.0.0:6881/udp', 'DHT']], search: false },
  chord: { kind: 'ring', me: 'self', roles: ['finger'], many: 17, doors: [['0.0.0.0:4000/udp', 'ring']], search: true },
  freenet: { kind: 'neighbourhood', me: 'self', roles: ['neighbour'], many: 21, doors: [['0.0.0.0:4001/udp', 'neighbours']], search: false },
  gnutella: { kind: 'mesh', me: 'ultrapeer', roles: ['ultrapeer', 'ultrapeer', 'leaf'], many: 26, doors: [['0.0.0.0:6346', 'peers']], search: true },
  kazaa: { kind: 'tiers', me: 'supernode', roles: ['supernode', 'leaf', 'leaf'], many: 24, doors: [['0.0.0.0:4002/udp', 'supernodes and leaves']], search: true },
  napster: { kind: 'index', me: 'peer', roles: ['peer'], many: 18, doors: [['0.0.0.0:6699', 'files']], search: true },
};

export class Networks {
  constructor(dice, { fewer = false } = {}) {
    this.dice = dice;
    this.all = new Map(NAMES.map((name) => [name, this.make(name, fewer)]));
  }

  make(name, fewer) {
    const shape = SHAPES[name];
    const dice = new Dice(NAMES.indexOf(name) * 7919 + 17);
    const overlay = { kind: shape.kind, me: { id: dice.hex(16), role: shape.me, address: '192.0.2.7:4000' }, peers: [] };
    if (shape.kind === 'ring' || shape.kind === 'neighbourhood') overlay.me.place = dice.next();
    if (name === 'napster') overlay.peers.push({ id: 'server', address: 'index.example:8888', role: 'server', latency_ms: 31 });
    const network = { name, state: 'joined', shape, dice, overlay };
    const many = fewer ? 6 : shape.many;
    for (let at = 0; at < many; at += 1) this.add(network, at, many);
    return network;
  }

  add(network, at, many) {
    const { shape, dice, overlay } = network;
    const peer = { id: dice.hex(16), address: `198.51.100.${1 + dice.below(250)}:${1024 + dice.below(60000)}`, role: dice.pick(shape.roles), latency_ms: Math.round(8 + 210 * dice.next() ** 2) };
    if (shape.kind === 'ring') {
      // Fingers stand at half the ring, a quarter, an eighth; the nearest are successors, and one is behind.
      peer.place = (overlay.me.place + (at === 0 ? 0.975 : 0.5 ** ((at + 1) / 2) * (1 + 0.12 * dice.next()))) % 1;
      peer.role = at === 0 ? 'predecessor' : at === many - 1 ? 'successor' : 'finger';
      if (peer.role === 'successor') peer.place = (overlay.me.place + 0.02) % 1;
    }
    if (shape.kind === 'neighbourhood') peer.place = (overlay.me.place + (dice.next() < 0.5 ? 1 : -1) * 0.5 * dice.next() ** 2.6 + 1) % 1;
    overlay.peers.push(peer);
  }

  /** A peer comes, goes, or is slower than before. Which network has changed, if one has. */
  tick() {
    const name = this.dice.pick(NAMES);
    const network = this.all.get(name);
    if (network.state !== 'joined') return undefined;
    const { overlay, dice, shape } = network;
    if (shape.kind === 'ring') {
      // Another node has joined where a finger pointed to: the same place, another peer.
      const finger = dice.pick(overlay.peers.filter((peer) => peer.role === 'finger'));
      Object.assign(finger, { id: dice.hex(16), place: (finger.place + 0.004) % 1, latency_ms: 10 + dice.below(160) });
      return name;
    }
    const movable = overlay.peers.filter((peer) => !['server', 'successor', 'predecessor'].includes(peer.role));
    if (movable.length > 4 && dice.next() < 0.5) overlay.peers.splice(overlay.peers.indexOf(dice.pick(movable)), 1);
    else if (overlay.peers.length < shape.many * 1.2) this.add(network, 2 + dice.below(10), shape.many);
    for (const peer of dice.some(overlay.peers, 0.3)) peer.latency_ms = Math.max(4, Math.round(peer.latency_ms * dice.between(0.85, 1.18)));
    return name;
  }

  overlay(name) {
    return this.all.get(name).overlay;
  }

  status(name) {
    const { state, shape, overlay } = this.all.get(name);
    const joined = state === 'joined';
    const count = (role) => overlay.peers.filter((peer) => peer.role === role).length;
    const figures = {
      bittorrent: { torrents: 9, dht_nodes: 312 }, chord: { nodes_estimated: 1840, items_held: 214, bytes_held: 884736 },
      freenet: { blocks_held: 5120, requests: 3 }, gnutella: { ultrapeers: count('ultrapeer'), leaves: count('leaf'), equals: 0, hosts_known: 418 },
      kazaa: { supernode: 1, leaves: count('leaf'), links: count('supernode'), records_held: 2874 }, napster: { connections: 1, files: 48210, searches: 12 },
    }[name];
    return {
      name, state, peers: joined ? overlay.peers.length : 0, figures: joined ? figures : {},
      doors: joined ? shape.doors.map(([address, purpose]) => ({ address, purpose })) : [],
      abilities: { search: shape.search, lookup: name !== 'gnutella', publish: true, fetch: true },
    };
  }
}
