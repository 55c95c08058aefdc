//! Freenet in the suite: a share is inserted block by block, found by the name that its digest has as a keyword key, and fetched from wherever
//! its blocks have come to lie.

use std::net::SocketAddr;
use std::sync::Arc;

use hexad_content::{Digest, Layout, Sha1Digest};
use hexad_core::{Door, Endpoint, Operation, Share, Source};
use hexad_freenet::{Config, Freenet, Place, Request, Settings, doors};

use crate::adapter::{Adapter, digest_of_pieces, magnet_source, share_of_pieces};

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
        share_of_pieces(layout, Self::piece_bytes(layout.total_bytes()), hashes)
    }

    fn digest(share: &Share) -> Digest {
        digest_of_pieces(share)
    }

    /// Nobody is named: who has a block is nobody's business.
    fn source(share: &Share, _: Vec<Endpoint>) -> Source {
        magnet_source(share, Vec::new())
    }
}
