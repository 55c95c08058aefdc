//! All that a BitTorrent node says and hears. A value of these types is always legal on the wire.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use bytes::Bytes;
use hexad_content::Sha256Digest;
use hexad_core::{Map, Payload};

use super::bloom::Filter;
use super::stored::Signed;

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

/// Hashes of one layer of a file's tree, as they are asked for. BEP 52.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashSpan {
    /// Whose tree: `pieces root`.
    pub root: Sha256Digest,
    /// Which layer; 0 is that of the 16 KiB leaves.
    pub base_layer: u8,
    /// The first hash, a multiple of [`Self::length`].
    pub index: u32,
    /// How many hashes: a power of two from 2 to [`Self::LENGTH_MAX`].
    pub length: u32,
    /// How many layers above the base layer are to be proven, whether or not their hashes are sent.
    pub proof_layers: u8,
}

impl HashSpan {
    /// Longest span: the leaves of a piece of 128 MiB, which is what libtorrent answers.
    pub const LENGTH_MAX: u32 = 8192;
    /// A tree has no more layers than this: 2^56 bytes are 2^42 leaves.
    pub const LAYERS_MAX: u8 = 42;
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
    /// `ipv6`: where the sender listens by IPv6.
    pub ipv6: Option<Ipv6Addr>,
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

/// ut_holepunch, BEP 55.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolePunch {
    /// What is to be done.
    pub kind: HolePunchKind,
    /// Who the message is about.
    pub at: SocketAddr,
}

/// What a ut_holepunch message is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolePunchKind {
    /// 0: asks a peer to introduce us.
    Rendezvous,
    /// 1: dial each other now.
    Connect,
    /// 2: there is no way, and why.
    Error(u32),
}

impl HolePunchKind {
    /// The address is nobody's.
    pub const NO_SUCH_PEER: Self = Self::Error(1);
    /// Known, and not connected.
    pub const NOT_CONNECTED: Self = Self::Error(2);
    /// Does not speak it.
    pub const NO_SUPPORT: Self = Self::Error(3);
    /// Whoever is asked himself.
    pub const NO_SELF: Self = Self::Error(4);
}

/// A DHT node as others name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeContact {
    /// Its id.
    pub id: [u8; 20],
    /// Where it is reached.
    pub address: SocketAddr,
}

/// Which families of contacts an asker wants. BEP 32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// `n4`.
    pub v4: bool,
    /// `n6`.
    pub v6: bool,
}

/// What a DHT node asks. BEP 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KrpcQuery {
    /// Are you there?
    Ping,
    /// Who is near `target`?
    FindNode {
        /// Any id.
        target: [u8; 20],
        /// BEP 32; `None` when not said.
        want: Option<Want>,
    },
    /// Who is in the swarm of `info_hash`?
    GetPeers {
        /// The torrent.
        info_hash: [u8; 20],
        /// BEP 32; `None` when not said.
        want: Option<Want>,
        /// BEP 33: no seeds, please.
        no_seeds: bool,
        /// BEP 33: how many are there?
        scrape: bool,
    },
    /// I am in the swarm of `info_hash`.
    AnnouncePeer {
        /// The torrent.
        info_hash: [u8; 20],
        /// Where the asker listens.
        port: u16,
        /// The packet's own source port counts, not `port`.
        implied_port: bool,
        /// From the answer to a `get_peers`.
        token: Bytes,
        /// BEP 33: the asker has everything.
        seed: bool,
    },
    /// What is stored at `target`? BEP 44.
    Get {
        /// The hash of the value, or of its owner's key and salt.
        target: [u8; 20],
        /// BEP 32; `None` when not said.
        want: Option<Want>,
        /// Of what can be changed: only something newer than this.
        seq: Option<i64>,
    },
    /// Store this. BEP 44.
    Put {
        /// From the answer to a `get`.
        token: Bytes,
        /// Bencoded.
        value: Bytes,
        /// Where it can be changed.
        signed: Option<Box<Signed>>,
        /// Only where this is stored.
        cas: Option<i64>,
    },
    /// Some torrents that others have announced to you, and who is near `target`. BEP 51.
    SampleInfohashes {
        /// Any id.
        target: [u8; 20],
        /// BEP 32; `None` when not said.
        want: Option<Want>,
    },
    /// A method that is not known, but names a target: answered like `find_node`.
    Unknown {
        /// `q`.
        method: Bytes,
        /// `target`, or `info_hash`.
        target: Option<[u8; 20]>,
    },
}

/// What a DHT node answers. One shape for all queries; what a query does not ask for is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct KrpcAnswer {
    /// Nodes near the target.
    pub nodes: Vec<NodeContact>,
    /// Peers of the swarm.
    pub peers: Vec<SocketAddr>,
    /// To be shown with a later `announce_peer` or `put`.
    pub token: Option<Bytes>,
    /// What is asked for more rarely.
    pub more: Option<Box<KrpcMore>>,
}

impl fmt::Debug for KrpcAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = f.debug_struct("KrpcAnswer");
        said.field("nodes", &self.nodes).field("peers", &self.peers).field("token", &self.token);
        if let Some(more) = &self.more {
            said.field("more", more);
        }
        said.finish()
    }
}

/// What a DHT node answers to rarer questions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KrpcMore {
    /// A stored value, bencoded. BEP 44.
    pub value: Option<Bytes>,
    /// Its sequence number, where it can be changed; said without the value where that is not newer than what was asked for.
    pub seq: Option<i64>,
    /// Its owner's key, and word for it.
    pub signed: Option<Box<([u8; 32], [u8; 64])>>,
    /// Seeds of the torrent, and others. BEP 33.
    pub scrape: Option<Box<(Filter, Filter)>>,
    /// Torrents. BEP 51.
    pub samples: Option<Samples>,
}

/// Some of the torrents that a DHT node knows. BEP 51.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Other ones are told after so many seconds.
    pub interval_s: u32,
    /// How many it knows.
    pub known: u32,
    /// Some of them.
    pub info_hashes: Vec<[u8; 20]>,
}

/// What a KRPC packet is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KrpcBody {
    /// `y` = `q`.
    Query {
        /// The asker's id.
        id: [u8; 20],
        /// What it asks.
        query: KrpcQuery,
        /// BEP 43: the asker answers nobody; it must not enter a routing table.
        read_only: bool,
    },
    /// `y` = `r`.
    Answer {
        /// The answerer's id.
        id: [u8; 20],
        /// What it says.
        answer: KrpcAnswer,
    },
    /// `y` = `e`.
    Error {
        /// 201 generic, 202 server, 203 protocol, 204 unknown method.
        code: i64,
        /// Free text.
        text: String,
    },
}

/// One KRPC packet of the DHT. BEP 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Krpc {
    /// Chosen by the asker, given back by the answerer; 2 bytes are usual.
    pub transaction: Bytes,
    /// What it is about.
    pub body: KrpcBody,
    /// `ip`: the receiver's address as the sender of an answer sees it. BEP 42.
    pub seen_as: Option<SocketAddr>,
    /// `v`: the sender's program.
    pub version: Option<Bytes>,
}

/// Counts of one torrent in a scrape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScrapeCounts {
    /// Peers that have everything.
    pub seeders: u32,
    /// How often somebody became complete.
    pub completed: u32,
    /// Peers that have not.
    pub leechers: u32,
}

/// Why a peer announces, in numbers of BEP 15.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrackerEvent {
    /// 0: it is time.
    None,
    /// 1: the torrent has become complete.
    Completed,
    /// 2: the first announce.
    Started,
    /// 3: the last one.
    Stopped,
}

/// The fields of an announce by datagram. BEP 15, BEP 41.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerAnnounce {
    /// Which torrent.
    pub info_hash: [u8; 20],
    /// Who.
    pub peer_id: [u8; 20],
    /// Bytes received since `started`.
    pub downloaded: u64,
    /// Bytes still wanted.
    pub left: u64,
    /// Bytes sent since `started`.
    pub uploaded: u64,
    /// Why.
    pub event: TrackerEvent,
    /// So that a tracker recognises a peer whose address changes.
    pub key: u32,
    /// How many peers it would like; `None` leaves it to the tracker.
    pub peers_wanted: Option<u32>,
    /// Where it listens.
    pub port: u16,
    /// BEP 41 URL data: path and query of the tracker's URL; empty when not sent.
    pub url_path: String,
}

/// UDP tracker packets. BEP 15, BEP 41.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackerDatagram {
    /// Asks for a connection id.
    ConnectRequest {
        /// Chosen by the asker.
        transaction: u32,
    },
    /// Gives one.
    ConnectAnswer {
        /// As asked.
        transaction: u32,
        /// To be shown with what follows.
        connection: u64,
    },
    /// Announces.
    AnnounceRequest {
        /// From a connect answer.
        connection: u64,
        /// Chosen by the asker.
        transaction: u32,
        /// What is announced.
        announce: TrackerAnnounce,
    },
    /// Tells peers.
    AnnounceAnswer {
        /// As asked.
        transaction: u32,
        /// Seconds to the next announce.
        interval_s: u32,
        /// Peers that have not everything.
        leechers: u32,
        /// Peers that have.
        seeders: u32,
        /// Compact peers, 6 or 18 bytes each: which of the two is told by the family of the packet's sender alone.
        peers: Bytes,
    },
    /// Asks for counts.
    ScrapeRequest {
        /// From a connect answer.
        connection: u64,
        /// Chosen by the asker.
        transaction: u32,
        /// At most 74.
        info_hashes: Vec<[u8; 20]>,
    },
    /// Gives counts in the order asked for.
    ScrapeAnswer {
        /// As asked.
        transaction: u32,
        /// One each.
        counts: Vec<ScrapeCounts>,
    },
    /// Refuses.
    Error {
        /// As asked.
        transaction: u32,
        /// Why.
        message: String,
    },
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
    ExtendedHandshake(Box<ExtendedHandshake>),
    /// 20, ut_metadata. The codec numbers it as the peer asked; encoding to a peer that did not list it is a bug of ours and writes nothing.
    Metadata(MetadataMessage),
    /// 20, ut_pex.
    Pex(Pex),
    /// 20, lt_donthave: the sender has that piece no longer. BEP 54.
    DontHave(u32),
    /// 20, upload_only: whether the sender takes nothing any more. BEP 21.
    UploadOnly(bool),
    /// 20, ut_holepunch. BEP 55.
    HolePunch(HolePunch),
    /// 21. BEP 52, as the two that follow.
    HashRequest(Box<HashSpan>),
    /// 22: as many hashes as asked for, then the uncles that prove them, from below.
    Hashes(Box<HashSpan>, Vec<Sha256Digest>),
    /// 23.
    HashReject(Box<HashSpan>),
    /// Any other id, with its payload; ignored, but counted.
    Unknown(u8, Bytes),
    /// Datagram: DHT. Boxed, like what follows: a block's message must stay small, and these are rare.
    Krpc(Box<Krpc>),
    /// Datagram: UDP tracker, either direction.
    Tracker(Box<TrackerDatagram>),
    /// Multicast: local service discovery.
    Lsd(Box<LsdAnnounce>),
}

impl From<Krpc> for Message {
    fn from(krpc: Krpc) -> Self {
        Self::Krpc(Box::new(krpc))
    }
}

impl From<TrackerDatagram> for Message {
    fn from(datagram: TrackerDatagram) -> Self {
        Self::Tracker(Box::new(datagram))
    }
}

impl From<LsdAnnounce> for Message {
    fn from(announce: LsdAnnounce) -> Self {
        Self::Lsd(Box::new(announce))
    }
}

impl From<ExtendedHandshake> for Message {
    fn from(handshake: ExtendedHandshake) -> Self {
        Self::ExtendedHandshake(Box::new(handshake))
    }
}

impl hexad_core::Message for Message {
    fn kind(&self) -> &'static str {
        match self {
            Self::Handshake(_) => "handshake",
            Self::KeepAlive => "keep-alive",
            Self::Choke => "choke",
            Self::Unchoke => "unchoke",
            Self::Interested => "interested",
            Self::NotInterested => "not interested",
            Self::Have(_) => "have",
            Self::Bitfield(_) => "bitfield",
            Self::Request(_) => "request",
            Self::Piece { .. } => "piece",
            Self::Cancel(_) => "cancel",
            Self::Port(_) => "port",
            Self::SuggestPiece(_) => "suggest piece",
            Self::HaveAll => "have all",
            Self::HaveNone => "have none",
            Self::RejectRequest(_) => "reject request",
            Self::AllowedFast(_) => "allowed fast",
            Self::ExtendedHandshake(_) => "extended handshake",
            Self::Metadata(_) => "ut_metadata",
            Self::Pex(_) => "ut_pex",
            Self::DontHave(_) => "lt_donthave",
            Self::UploadOnly(_) => "upload_only",
            Self::HolePunch(_) => "ut_holepunch",
            Self::HashRequest(_) => "hash request",
            Self::Hashes(..) => "hashes",
            Self::HashReject(_) => "hash reject",
            Self::Unknown(..) => "unknown",
            Self::Krpc(krpc) => match &krpc.body {
                KrpcBody::Query { query: KrpcQuery::Ping, .. } => "ping",
                KrpcBody::Query { query: KrpcQuery::FindNode { .. }, .. } => "find_node",
                KrpcBody::Query { query: KrpcQuery::GetPeers { .. }, .. } => "get_peers",
                KrpcBody::Query { query: KrpcQuery::AnnouncePeer { .. }, .. } => "announce_peer",
                KrpcBody::Query { query: KrpcQuery::Get { .. }, .. } => "get",
                KrpcBody::Query { query: KrpcQuery::Put { .. }, .. } => "put",
                KrpcBody::Query { query: KrpcQuery::SampleInfohashes { .. }, .. } => "sample_infohashes",
                KrpcBody::Query { query: KrpcQuery::Unknown { .. }, .. } => "unknown query",
                KrpcBody::Answer { .. } => "krpc answer",
                KrpcBody::Error { .. } => "krpc error",
            },
            Self::Tracker(datagram) => match **datagram {
                TrackerDatagram::ConnectRequest { .. } => "tracker connect",
                TrackerDatagram::ConnectAnswer { .. } => "tracker connect answer",
                TrackerDatagram::AnnounceRequest { .. } => "tracker announce",
                TrackerDatagram::AnnounceAnswer { .. } => "tracker announce answer",
                TrackerDatagram::ScrapeRequest { .. } => "tracker scrape",
                TrackerDatagram::ScrapeAnswer { .. } => "tracker scrape answer",
                TrackerDatagram::Error { .. } => "tracker error",
            },
            Self::Lsd(_) => "local announce",
        }
    }

    fn wire_bytes(&self) -> u64 {
        super::codec::wire_bytes(self)
    }

    fn warm(&self, depth: u8) -> usize {
        // Nothing else comes as often as packets of the DHT.
        let Self::Krpc(krpc) = self else { return 0 };
        let nodes: &[NodeContact] = if let KrpcBody::Answer { answer, .. } = &krpc.body { &answer.nodes } else { &[] };
        match depth {
            0 => krpc.transaction.len() ^ nodes.len() ^ usize::from(krpc.seen_as.is_some()) ^ usize::from(krpc.version.is_some()),
            1 => nodes.iter().fold(usize::from(krpc.transaction.first() > Some(&0)), |sum, node| sum ^ usize::from(node.id[0])),
            _ => 0,
        }
    }

    fn with_body(self, body: Payload) -> Self {
        match self {
            Self::Piece { piece, begin, .. } => Self::Piece { piece, begin, data: body },
            other => other,
        }
    }
}
