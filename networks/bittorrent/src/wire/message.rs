//! All that a BitTorrent node says and hears. A value of these types is always legal on the wire.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use hexad_core::{Map, Payload};

/// A block inside a piece. BEP 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlockRef {
    /// Piece index.
    pub piece: u32,
    /// Offset in the piece, bytes.
    pub begin: u32,
    /// Length, bytes; 16 KiB but for the last block of a piece.
    pub length: u32,
}

/// The 68 bytes both sides begin with. BEP 3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// Extension bits. BEP 4.
    pub reserved: [u8; 8],
    /// Which torrent: v1 info hash, or the first 20 bytes of the v2 one.
    pub info_hash: [u8; 20],
    /// Who.
    pub peer_id: [u8; 20],
    /// Came in through an MSE handshake; ignored when sent.
    pub obfuscated: bool,
}

/// BEP 10 handshake: extended message 0.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtendedHandshake {
    /// `m`: extension name → id the sender wants it under; 0 switches it off.
    pub extensions: Map<String, u8>,
    /// `v`: client name and version.
    pub client: Option<String>,
    /// `p`: the sender's TCP listen port.
    pub listen_port: Option<u16>,
    /// `yourip`: our address as the sender sees it.
    pub your_ip: Option<IpAddr>,
    /// `reqq`: outstanding requests the sender accepts.
    pub requests_max: Option<u32>,
    /// `metadata_size`: bytes of the info dictionary. BEP 9.
    pub metadata_bytes: Option<u32>,
    /// `upload_only`. BEP 21.
    pub upload_only: Option<bool>,
    /// `e`: the sender prefers obfuscation.
    pub prefers_obfuscation: Option<bool>,
}

/// ut_metadata, BEP 9.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MetadataMessage {
    /// Asks for one 16 KiB block of the info dictionary.
    Request {
        /// Block index.
        piece: u32,
    },
    /// One block.
    Data {
        /// Block index.
        piece: u32,
        /// Size of the whole info dictionary.
        total_bytes: u32,
        /// At most 16 KiB.
        data: Bytes,
    },
    /// The sender will not give that block.
    Reject {
        /// Block index.
        piece: u32,
    },
}

/// One peer in a PEX message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PexPeer {
    /// Where it listens.
    pub address: SocketAddr,
    /// Flags of BEP 11: 0x01 prefers obfuscation, 0x02 seed, 0x04 uTP, 0x08 holepunch, 0x10 reachable.
    pub flags: u8,
}

/// ut_pex, BEP 11.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pex {
    /// Peers the sender has connected to since its last message.
    pub added: Vec<PexPeer>,
    /// Peers it has lost.
    pub dropped: Vec<SocketAddr>,
}

/// One KRPC packet of the DHT. BEP 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Krpc {
    // The owner of `wire` writes the variants: queries, answers, errors, each with transaction id, `ro`, `v`, `ip`.
}

/// UDP tracker packets. BEP 15, BEP 41.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerDatagram {
    // The owner of `wire` writes the variants: connect, announce, scrape, each as request and answer, and error.
}

/// Local service discovery. BEP 14.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LsdAnnounce {
    /// The sender's TCP listen port.
    pub port: u16,
    /// The torrents it has.
    pub info_hashes: Vec<[u8; 20]>,
    /// So that a sender recognises its own.
    pub cookie: Option<String>,
}

/// All messages, over connections and as datagrams.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// First on every connection, both ways.
    Handshake(Handshake),
    /// Length 0.
    KeepAlive,
    /// 0.
    Choke,
    /// 1.
    Unchoke,
    /// 2.
    Interested,
    /// 3.
    NotInterested,
    /// 4.
    Have(u32),
    /// 5: bits, most significant first; spare bits 0.
    Bitfield(Bytes),
    /// 6.
    Request(BlockRef),
    /// 7. Sent with `Output::SendShare`, whose body takes the place of `data`.
    Piece {
        /// Piece index.
        piece: u32,
        /// Offset in the piece.
        begin: u32,
        /// The block.
        data: Payload,
    },
    /// 8.
    Cancel(BlockRef),
    /// 9: UDP port of the sender's DHT node. BEP 5.
    Port(u16),
    /// 13. BEP 6.
    SuggestPiece(u32),
    /// 14. BEP 6.
    HaveAll,
    /// 15. BEP 6.
    HaveNone,
    /// 16. BEP 6.
    RejectRequest(BlockRef),
    /// 17. BEP 6.
    AllowedFast(u32),
    /// 20, id 0. BEP 10.
    ExtendedHandshake(ExtendedHandshake),
    /// 20, ut_metadata. The codec numbers it as the peer asked; encoding to a peer that did not list it is a bug of ours and writes nothing.
    Metadata(MetadataMessage),
    /// 20, ut_pex.
    Pex(Pex),
    /// Any other id, with its payload; ignored, but counted.
    Unknown(u8, Bytes),
    /// Datagram: DHT.
    Krpc(Krpc),
    /// Datagram: UDP tracker, either direction.
    Tracker(TrackerDatagram),
    /// Multicast: local service discovery.
    Lsd(LsdAnnounce),
}
