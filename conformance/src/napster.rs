//! Napster in the suite: a server in the middle, and clients that are all logged in to it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_bittorrent::BitTorrent;
use hexad_content::{Digest, Layout, Sha1Digest};
use hexad_core::{Door, Endpoint, Operation, Share, Source, What};
use hexad_napster::{ClientConfig, Config, Locator, Napster, Request, ServerConfig, doors, token_of};

use crate::adapter::{Adapter, Centre};

impl Adapter for Napster {
    fn config(listen: SocketAddr) -> Config {
        ClientConfig { listen: Some(listen), ..ClientConfig::default() }.into()
    }

    fn centre(listen: SocketAddr) -> Option<Centre<Self>> {
        let config = ServerConfig { listen, ..ServerConfig::default() }.into();
        Some(Centre { config, operation: Operation::Own(Request::Serve), door: doors::SERVER })
    }

    fn join(others: &[Endpoint]) -> Operation<Request> {
        Operation::Join { bootstrap: others.iter().take(1).cloned().collect() }
    }

    fn door() -> Door {
        doors::PEERS
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
        let hash = token_of(&share.digests, share.layout.files().len() == 1, || Sha1Digest([0; 20]));
        Source { what: What::Locator(Locator { hash, ..Locator::default() }.write()), peers }
    }
}
