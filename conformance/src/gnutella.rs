//! Gnutella in the suite: the first peer is an ultrapeer, the others are its leaves and reach each other through it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_bittorrent::BitTorrent;
use hexad_content::{Digest, Layout, Sha1Digest};
use hexad_core::{Door, Endpoint, Operation, Share, Source, Span, What};
use hexad_gnutella::node::token_of;
use hexad_gnutella::{Config, Gnutella, Locator, Request, Settings, doors};

use crate::adapter::Adapter;

impl Adapter for Gnutella {
    fn config(listen: SocketAddr) -> Config {
        Settings { listen: Some(listen), search_deadline: Span::from_secs(3), tick: Span::from_secs(1), ..Settings::default() }.into()
    }

    fn join(others: &[Endpoint]) -> Operation<Request> {
        Operation::Join { bootstrap: others.to_vec() }
    }

    fn door() -> Door {
        doors::STREAM
    }

    fn piece_bytes(total_bytes: u64) -> u64 {
        BitTorrent::piece_bytes(total_bytes)
    }

    fn share(layout: &Arc<Layout>, hashes: Vec<Sha1Digest>) -> Share {
        // An info hash is a name that a folder can have; there is no .torrent here.
        Share { torrent: Bytes::new(), ..BitTorrent::share(layout, hashes) }
    }

    fn digest(share: &Share) -> Digest {
        *share.digests.iter().next().expect("it was given a name")
    }

    fn source(share: &Share, peers: Vec<Endpoint>) -> Source {
        let locator = Locator { token: token_of(share), ..Locator::default() };
        Source { what: What::Locator(locator.write()), peers }
    }
}
