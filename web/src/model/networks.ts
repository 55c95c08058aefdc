// What people should know of each network, in one line, and how its figures read.

import type { NetworkName, OverlayKind } from '../api/types';

export const NETWORK: Record<NetworkName, { title: string; design: string; kind: OverlayKind; words: string }> = {
  bittorrent: { title: 'BitTorrent', design: 'swarm', kind: 'swarm', words: 'Peers of one file give each other pieces.' },
  chord: { title: 'Chord', design: 'ring', kind: 'ring', words: 'Every key has one owner on a ring, found in a few hops.' },
  freenet: { title: 'Freenet', design: 'neighbourhood', kind: 'neighbourhood', words: 'Requests walk to where similar keys gather.' },
  gnutella: { title: 'Gnutella', design: 'mesh', kind: 'mesh', words: 'Questions flood a mesh of equals.' },
  kazaa: { title: 'Kazaa', design: 'two tiers', kind: 'tiers', words: 'Strong nodes keep the lists of weaker ones.' },
  napster: { title: 'Napster', design: 'index', kind: 'index', words: 'One server knows who has what.' },
};

export const title = (name: string) => NETWORK[name as NetworkName]?.title ?? name;
