//! BitTorrent in the common world: swarms as large as files are popular, which find each other by the distributed hash table.

use bytes::Bytes;
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_bittorrent::{BitTorrent, Config, Encryption, Request};
use hexad_content::{Digest, Ranges, Sha1Digest};
use hexad_core::{Operation, Query, Share, Span};

use super::settled::{FILE_BYTES, Settled, State, digest_of, file_of};
use super::society::Society;
use crate::{Lab, NodeIndex};

/// Id, address and port of a node; address and port of a peer.
const NODE_BYTES: usize = 26;
const PEER_BYTES: usize = 6;

impl Settled for BitTorrent {
    const HOW: &'static str = "Everybody is in the distributed hash table, joined by four who came before; whoever has a file seeds it and says so there. \
        Search is out of band in this network; what is measured is the lookup of a swarm's peers by info hash. No tracker. A join is reported when the doors are open, before the table is filled.";
    const ASKED: &'static str = "by info hash";
    const SEARCHING: &'static [&'static str] = &["get_peers", "krpc answer", "krpc error"];
    const CONSULTING: &'static [&'static str] = &["get_peers"];
    const PATIENCE: Span = Span::from_secs(35);

    fn populate(society: &Society, lab: &mut Lab<Self>) {
        let config = Config {
            listen: Some(([0, 0, 0, 0], 6881).into()),
            encryption: Encryption::Off,
            // Addresses of the lab follow each other.
            dht_one_per_site: false,
            lsd: false,
            ..Config::default()
        };
        lab.add_nodes(society.users + society.newcomers, config);
    }

    fn share(society: &Society, file: u32) -> Share {
        let (layout, hash) = file_of(society, file);
        let metainfo = MetainfoBuilder::new(layout.clone(), FILE_BYTES, vec![hash]).build().expect("one hash for one piece");
        Share {
            layout,
            digests: [Digest::TorrentV1(Sha1Digest(metainfo.info.info_hash))].into_iter().collect(),
            proof: Some(metainfo.proof()),
            held: Ranges::of(0..FILE_BYTES),
            torrent: Bytes::from(metainfo.encode()),
        }
    }

    fn search(society: &Society, file: u32) -> Operation<Request> {
        Operation::Search { query: Query::Digest { digest: digest_of::<Self>(society, file), wanted: society.wanted } }
    }

    fn state(lab: &Lab<Self>, node: NodeIndex) -> State {
        let Some((nodes, torrents)) = lab.node(node).map(|node| node.dht_counts()) else { return State::default() };
        let links = lab.connections(node);
        let bytes = nodes * NODE_BYTES + links * PEER_BYTES + torrents * (20 + PEER_BYTES);
        State { routing: (nodes + links) as u64, kept: torrents as u64, bytes: bytes as u64 }
    }
}
