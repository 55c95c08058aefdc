//! BitTorrent in the suite: swarms that find each other by DHT.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_bittorrent::{BitTorrent, Config, Request, doors};
use hexad_content::{Digest, Digests, Layout, Ranges, Sha1Digest};
use hexad_core::{Door, Endpoint, Operation, Share, Source, What};

use crate::adapter::Adapter;

impl Adapter for BitTorrent {
    fn config(listen: SocketAddr) -> Config {
        Config { listen: Some(listen), dht_one_per_site: false, lsd: false, ..Config::default() }
    }

    fn join(others: &[Endpoint]) -> Operation<Request> {
        Operation::Join { bootstrap: others.to_vec() }
    }

    fn door() -> Door {
        doors::PEERS
    }

    fn piece_bytes(_: u64) -> u64 {
        256 << 10
    }

    fn share(layout: &Arc<Layout>, hashes: Vec<Sha1Digest>) -> Share {
        let piece_bytes = Self::piece_bytes(layout.total_bytes());
        let metainfo = MetainfoBuilder::new(layout.clone(), piece_bytes, hashes).build().expect("the hashes fit the layout");
        let digest = Digest::TorrentV1(Sha1Digest(metainfo.info.info_hash));
        Share {
            layout: layout.clone(),
            digests: [digest].into_iter().collect::<Digests>(),
            proof: Some(metainfo.proof()),
            held: Ranges::of(0..layout.total_bytes()),
            torrent: Bytes::from(metainfo.encode()),
        }
    }

    fn digest(share: &Share) -> Digest {
        *share.digests.iter().next().expect("a torrent has an info hash")
    }

    fn source(share: &Share, peers: Vec<Endpoint>) -> Source {
        Source { what: What::Torrent(share.torrent.clone()), peers }
    }
}
