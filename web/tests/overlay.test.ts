import { expect, test } from 'vitest';
import type { Neighbour, Overlay, OverlayKind } from '../src/api/types';
import { draw, DRAWN_MAX, onCircle } from '../src/model/overlay';

const peer = (id: string, role: string, more: Partial<Neighbour> = {}): Neighbour => ({ id, role, ...more });
const me = peer('me', 'self', { place: 0.25 });
const drawn = (kind: OverlayKind, peers: Neighbour[], self = me) => draw({ kind, me: self, peers } as Overlay, 400, 300);
const KINDS: OverlayKind[] = ['swarm', 'ring', 'neighbourhood', 'mesh', 'tiers', 'index'];
const ROLES = ['finger', 'successor', 'predecessor', 'supernode', 'leaf', 'ultrapeer', 'neighbour', 'server', 'peer', 'seed'];

test.each(KINDS)('every peer of a %s stands inside its drawing, with this node, each under a key of its own', (kind) => {
  const peers = Array.from({ length: 60 }, (_, at) => peer(`p${at % 50}`, ROLES[at % ROLES.length] ?? 'peer', { latency_ms: at * 7 }));
  const { nodes, links } = drawn(kind, peers);
  expect(nodes).toHaveLength(61);
  for (const node of nodes) {
    expect([node.x >= 0, node.x <= 400, node.y >= 0, node.y <= 300]).toEqual([true, true, true, true]);
  }
  expect(new Set(nodes.map((node) => node.key)).size).toBe(61);
  expect(new Set(links.map((link) => link.key)).size).toBe(links.length);
  expect(links.every((link) => !link.path.includes('NaN'))).toBe(true);
});

test.each(KINDS)('a %s of nobody is this node alone', (kind) => {
  const { nodes, links } = drawn(kind, []);
  expect([nodes.map((node) => node.id), links]).toEqual([['me'], []]);
});

test('places on a ring are where the identifiers are: 0 at the top, a quarter to the right', () => {
  const centre = { x: 0, y: 0 };
  expect(onCircle(centre, 10, 0).y).toBeCloseTo(-10);
  expect(onCircle(centre, 10, 0.25).x).toBeCloseTo(10);
  const { nodes } = drawn('ring', [peer('across', 'finger', { place: 0.75 })]);
  expect(nodes.find((node) => node.id === 'across')?.x).toBeLessThan(nodes.find((node) => node.id === 'me')?.x ?? 0);
});

test('supernodes stand above leaves, and this node in its own tier', () => {
  const peers = [peer('s', 'supernode'), peer('l', 'leaf')];
  const at = (id: string, self: Neighbour) => drawn('tiers', id === 'me' && self.role === 'leaf' ? [peer('s', 'supernode')] : peers, self).nodes.find((node) => node.id === id)?.y ?? NaN;
  expect(at('s', me)).toBeLessThan(at('l', me));
  expect(at('me', peer('me', 'supernode'))).toBeCloseTo(at('s', me));
  expect(at('me', peer('me', 'leaf'))).toBeGreaterThan(200);
});

test('a peer that leaves a swarm does not make the others change sides', () => {
  const peers = Array.from({ length: 40 }, (_, at) => peer(`peer ${at}`, 'peer', { latency_ms: 50 }));
  const before = new Map(drawn('swarm', peers).nodes.map((node) => [node.id, node]));
  for (const node of drawn('swarm', peers.slice(1)).nodes) {
    const old = before.get(node.id);
    expect(Math.hypot(node.x - (old?.x ?? 0), node.y - (old?.y ?? 0))).toBeLessThan(40);
  }
});

test('a crowd is drawn up to a bound', () => {
  const peers = Array.from({ length: 5000 }, (_, at) => peer(`${at}`, 'peer'));
  expect(drawn('swarm', peers).nodes).toHaveLength(DRAWN_MAX + 1);
});
