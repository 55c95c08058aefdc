//! Freenet in the suite: a share is inserted block by block, found by the name that its digest has as a keyword key, and fetched from wherever
//! its blocks have come to lie.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, Layout, Magnet, Proof, Ranges, Sha1Digest, info};
use hexad_core::{Door, Endpoint, Operation, Share, Source, What};
use hexad_freenet::{Config, Freenet, Place, Request, Settings, doors};

use crate::adapter::Adapter;

impl<A: Place> Adapter for Freenet<A> {
    fn config(listen: SocketAddr) -> Config {
        Settings { listen: Some(listen), ..Settings::default() }.into()
    }

    fn identified(config: Config, public_key: [u8; 32]) -> Config {
        Settings { identity: Some(public_key), ..Settings::clone(&config.0) }.into()
    }

    fn address(listen: SocketAddr, public_key: [u8; 32]) -> Endpoint {
        Endpoint::Key(public_key, listen)
    }

    fn join(others: &[Endpoint]) -> Operation<Request> {
        Operation::Join { bootstrap: others.to_vec() }
    }

    fn door() -> Door {
        doors::NETWORK
    }

    fn piece_bytes(_: u64) -> u64 {
        256 << 10
    }

    fn share(layout: &Arc<Layout>, hashes: Vec<Sha1Digest>) -> Share {
        let total_bytes = layout.total_bytes();
        let piece_bytes = Self::piece_bytes(total_bytes);
        let digest = Digest::TorrentV1(info::hash(&info::write(layout, piece_bytes, &hashes)));
        let proof = Proof::V1Pieces { piece_bytes, total_bytes, hashes: hashes.into() };
        Share {
            layout: layout.clone(),
            digests: [digest].into_iter().collect::<Digests>(),
            proof: Some(proof),
            held: Ranges::of(0..total_bytes),
            torrent: Bytes::new(),
        }
    }

    fn digest(share: &Share) -> Digest {
        *share.digests.iter().next().expect("a share has a digest")
    }

    /// Nobody is named: who has a block is nobody's business.
    fn source(share: &Share, _: Vec<Endpoint>) -> Source {
        let magnet = Magnet { digests: share.digests.clone(), ..Magnet::default() };
        Source { what: What::Magnet(Box::new(magnet)), peers: Vec::new() }
    }
}
