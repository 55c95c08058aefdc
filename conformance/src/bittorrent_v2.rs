//! BitTorrent v2 in the suite (BEP 52): the same node, with torrents that have a tree for each file and links that say no more than their name.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use hexad_bittorrent::wire::metainfo::{MetainfoBuilder, Version};
use hexad_bittorrent::{BitTorrent, Config, Message, Node, Request, wire};
use hexad_content::{Digest, Layout, Magnet, Ranges, Sha1Digest, TreeProof};
use hexad_core::{Abilities, Dial, Dice, Door, Endpoint, Malformed, Network, Operation, Role, Share, Source, What};

use crate::adapter::Adapter;

/// BitTorrent where all torrents are of version 2 only.
pub enum BitTorrentV2 {}

impl Network for BitTorrentV2 {
    const NAME: &'static str = BitTorrent::NAME;
    const ABILITIES: Abilities = BitTorrent::ABILITIES;

    type Config = Config;
    type Node = Node;
    type Codec = wire::PeerCodec;
    type Secrets = wire::Secrets;

    fn node(config: Config, dice: &mut Dice) -> Node {
        BitTorrent::node(config, dice)
    }

    fn secrets(node: &Node) -> wire::Secrets {
        BitTorrent::secrets(node)
    }

    fn codec(role: Role, dial: Option<&Dial>, secrets: &wire::Secrets, dice: &mut Dice) -> wire::PeerCodec {
        BitTorrent::codec(role, dial, secrets, dice)
    }

    fn encode_datagram(message: &Message, out: &mut BytesMut) {
        BitTorrent::encode_datagram(message, out);
    }

    fn decode_datagram(door: Door, bytes: &[u8]) -> Result<Message, Malformed> {
        BitTorrent::decode_datagram(door, bytes)
    }
}

impl Adapter for BitTorrentV2 {
    fn config(listen: SocketAddr) -> Config {
        BitTorrent::config(listen)
    }

    fn join(others: &[Endpoint]) -> Operation<Request> {
        BitTorrent::join(others)
    }

    fn door() -> Door {
        BitTorrent::door()
    }

    fn piece_bytes(total_bytes: u64) -> u64 {
        BitTorrent::piece_bytes(total_bytes)
    }

    fn share(layout: &Arc<Layout>, hashes: Vec<Sha1Digest>) -> Share {
        BitTorrent::share(layout, hashes)
    }

    fn share_by_trees(layout: &Arc<Layout>, trees_of: &dyn Fn(&Layout) -> Vec<TreeProof>) -> Option<Share> {
        let piece_bytes = Self::piece_bytes(layout.total_bytes());
        // A file tree has its files in the order of their names.
        let mut files = layout.files().to_vec();
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let sorted = match layout.is_single() {
            true => layout.as_ref().clone(),
            false => Layout::folder(layout.name().to_owned(), files).expect("a small layout"),
        };
        let layout = Arc::new(sorted.aligned(piece_bytes, false).expect("a small layout"));
        let builder = MetainfoBuilder::new(layout.clone(), piece_bytes, Vec::new()).with_trees(trees_of(&layout), Version::V2);
        let metainfo = builder.build().expect("the trees fit the layout");
        Some(Share {
            held: Ranges::of(0..layout.total_bytes()),
            layout,
            digests: metainfo.digests(),
            proof: Some(metainfo.proof()),
            torrent: Bytes::from(metainfo.encode()),
        })
    }

    fn digest(share: &Share) -> Digest {
        let v2 = share.digests.iter().find(|digest| matches!(digest, Digest::TorrentV2(_)));
        *v2.expect("a torrent of version 2 has an info hash of 32 bytes")
    }

    fn source(share: &Share, peers: Vec<Endpoint>) -> Source {
        let digests = [Self::digest(share)].into_iter().collect();
        Source { what: What::Magnet(Box::new(Magnet { digests, ..Magnet::default() })), peers }
    }
}
