//! What a network must say of itself to be run by the suite.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Layout, Magnet, Proof, Ranges, Sha1Digest, TreeProof, info};
use hexad_core::{Door, Endpoint, Network, Operation, Share, Source, What};

/// A network of the suite.
pub trait Adapter: Network {
    /// A peer that listens at `listen`, finds others by what [`Self::join`] tells it, and asks nobody outside.
    fn config(listen: SocketAddr) -> Self::Config;

    /// The same peer, with the public key by which others know it; for networks in which that matters.
    fn identified(config: Self::Config, _public_key: [u8; 32]) -> Self::Config {
        config
    }

    /// Where others reach a peer that has this key and listens there.
    fn address(listen: SocketAddr, _public_key: [u8; 32]) -> Endpoint {
        Endpoint::Ip(listen)
    }

    /// For networks that have a centre: a node that is there before all others, listening at `listen`, and what it is started with. Its address is
    /// the first of those that [`Self::join`] is told.
    fn centre(_listen: SocketAddr) -> Option<Centre<Self>> {
        None
    }

    /// How a peer joins when `others` are there already.
    fn join(others: &[Endpoint]) -> Operation<<Self::Node as hexad_core::Node>::Request>;

    /// The door at which others reach a peer.
    fn door() -> Door;

    /// Bytes of a part that is proven by itself.
    fn piece_bytes(total_bytes: u64) -> u64;

    /// Files as they are offered; all of it is held.
    fn share(layout: &Arc<Layout>, hashes: Vec<Sha1Digest>) -> Share;

    /// The same for a network whose files are proven by a tree each, with parts of [`Self::piece_bytes`]; `trees_of` tells those of the files as they
    /// are laid out there. `None` where [`Self::share`] is what is wanted.
    fn share_by_trees(_layout: &Arc<Layout>, _trees_of: &dyn Fn(&Layout) -> Vec<TreeProof>) -> Option<Share> {
        None
    }

    /// By what a share is looked up.
    fn digest(share: &Share) -> Digest;

    /// Where a share can be got, as a friend would tell.
    fn source(share: &Share, peers: Vec<Endpoint>) -> Source;
}

/// A node in the middle of a network.
pub struct Centre<N: Network> {
    /// Its configuration.
    pub config: N::Config,
    /// What it is started with; `Done` when it is ready.
    pub operation: Operation<<N::Node as hexad_core::Node>::Request>,
    /// The door at which others reach it.
    pub door: Door,
}

/// A share that is proven by pieces and has no .torrent: what is looked up is its info hash.
pub fn share_of_pieces(layout: &Arc<Layout>, piece_bytes: u64, hashes: Vec<Sha1Digest>) -> Share {
    let total_bytes = layout.total_bytes();
    let digest = Digest::TorrentV1(info::hash(&info::write(layout, piece_bytes, &hashes)));
    let proof = Proof::V1Pieces { piece_bytes, total_bytes, hashes: hashes.into() };
    Share {
        layout: layout.clone(),
        digests: [digest].into_iter().collect(),
        proof: Some(proof),
        held: Ranges::of(0..total_bytes),
        torrent: Bytes::new(),
    }
}

/// The only digest of such a share.
pub fn digest_of_pieces(share: &Share) -> Digest {
    *share.digests.iter().next().expect("a share has a digest")
}

/// A link with all digests of a share.
pub fn magnet_source(share: &Share, peers: Vec<Endpoint>) -> Source {
    let magnet = Magnet { digests: share.digests.clone(), ..Magnet::default() };
    Source { what: What::Magnet(Box::new(magnet)), peers }
}
