//! One connection of a swarm, from the finished handshake to its end: what both sides have said.

use std::net::SocketAddr;

use bytes::Bytes;
use hexad_core::{ConnId, Endpoint, Span, Time};

use super::bits::Bits;
use super::holes::INTRODUCTIONS_PER_S;
use super::leaves::{CREDIT_BYTES_MAX, CREDIT_BYTES_PER_S};
use super::picker::{GiverId, Slot};
use super::requests::Requests;
use super::super_seeding::Shown;
use super::uploads::Uploads;
use crate::node::pex::{PexReceiver, PexSender};
use crate::node::rates::Meter;
use crate::wire::{Handshake, reserved};

/// Pieces remembered that a peer suggested, or allows to be asked for while choked.
pub(super) const HINTS_MAX: usize = 64;
/// Metadata blocks that a peer may ask for at once …
const METADATA_CREDIT_MAX: u32 = 256;
/// … and a second.
const METADATA_CREDIT_PER_S: u32 = 32;

/// Spans of hashes that a peer may ask for at once …
const HASH_CREDIT_MAX: u32 = 256;
/// … and a second: at 512 pieces a span that is enough for any torrent.
const HASH_CREDIT_PER_S: u32 = 64;

/// What a peer says it has before we know how many pieces there are.
#[derive(Debug, Default)]
pub(super) struct Early {
    pub(super) bitfield: Option<Bytes>,
    pub(super) all: bool,
    pub(super) haves: Vec<u32>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(super) conn: ConnId,
    pub(super) slot: Slot,
    pub(super) giver: GiverId,
    /// The other end of the connection.
    pub(super) remote: Endpoint,
    /// Under which name it stands among the candidates: where it listens.
    pub(super) known_as: Option<Endpoint>,
    pub(super) id: [u8; 20],
    pub(super) outgoing: bool,
    /// The connection goes over uTP.
    pub(super) utp: bool,
    pub(super) fast: bool,
    pub(super) extended: bool,
    pub(super) dht: bool,
    pub(super) obfuscated: bool,
    /// The connection is one of version 2: hashes may be asked for (BEP 52).
    pub(super) v2: bool,
    /// It says that it speaks version 2, whatever was agreed on.
    pub(super) offers_v2: bool,
    pub(super) since: Time,
    pub(super) heard: Time,
    pub(super) said: Time,

    /// It chokes us.
    pub(super) choking_us: bool,
    /// It is interested in us.
    pub(super) interested: bool,
    pub(super) bits: Bits,
    pub(super) early: Early,
    /// It has said what it has, if only by silence.
    pub(super) told: bool,
    /// Pieces it has that we need.
    pub(super) needs: u32,
    /// Nothing it has can be picked until something changes.
    pub(super) dry: bool,
    pub(super) upload_only: bool,
    pub(super) suggested: Vec<u32>,
    pub(super) allowed: Vec<u32>,
    /// It wants ut_metadata, ut_pex.
    pub(super) wants_metadata: bool,
    pub(super) wants_pex: bool,
    /// It takes lt_donthave, ut_holepunch.
    pub(super) wants_dont_have: bool,
    pub(super) wants_holepunch: bool,
    /// Introductions that it may still ask for; refilled with time.
    pub(super) introductions: u32,
    /// What it was shown of what we have; `None` when it was told all.
    pub(super) shown: Option<Shown>,
    pub(super) metadata_bytes: Option<u32>,
    pub(super) pex_sender: PexSender,
    pub(super) pex_receiver: PexReceiver,
    pub(super) listen: Option<SocketAddr>,

    /// We choke it.
    pub(super) choked: bool,
    /// We have told it that we are interested.
    pub(super) we_want: bool,
    pub(super) allowed_by_us: Vec<u32>,
    pub(super) unchoked_since: Option<Time>,
    pub(super) taken_since: u64,
    /// Of first copies: what it was given in this turn, and the piece that it was suggested.
    pub(super) turn_bytes: u64,
    pub(super) promised: Option<u32>,
    pub(super) waiting_since: Time,

    pub(super) requests: Requests,
    /// The piece it works on.
    pub(super) current: Option<u32>,
    pub(super) watched: bool,
    pub(super) uploads: Uploads,
    pub(super) down: Meter,
    pub(super) up: Meter,
    /// What it had given at the last looks of the leecher's eviction.
    pub(super) given_before: [u64; 2],
    /// Metadata blocks that it may still ask for; refilled with time.
    pub(super) metadata_credit: u32,
    /// Spans of hashes that it may still ask for; refilled with time.
    pub(super) hash_credit: u32,
    /// Bytes that it may still have us read for hashes; refilled with time.
    pub(super) leaf_credit: u64,
    /// Messages that are of no use and cost it the connection when they become too many.
    pub(super) nonsense: u32,
}

impl Peer {
    pub(super) fn new(
        (conn, slot, giver): (ConnId, Slot, GiverId),
        remote: Endpoint,
        dialled: Option<Endpoint>,
        handshake: &Handshake,
        window: Span,
        now: Time,
    ) -> Self {
        Self {
            conn,
            slot,
            giver,
            listen: remote.socket().filter(|_| dialled.is_some()),
            outgoing: dialled.is_some(),
            utp: false,
            known_as: dialled,
            remote,
            id: handshake.peer_id,
            fast: reserved::fast(&handshake.reserved),
            extended: reserved::extended(&handshake.reserved),
            dht: reserved::dht(&handshake.reserved),
            obfuscated: handshake.obfuscated,
            v2: false,
            offers_v2: reserved::v2(&handshake.reserved),
            since: now,
            heard: now,
            said: now,
            choking_us: true,
            interested: false,
            bits: Bits::new(0),
            early: Early::default(),
            told: false,
            needs: 0,
            dry: false,
            upload_only: false,
            suggested: Vec::new(),
            allowed: Vec::new(),
            wants_metadata: false,
            wants_pex: false,
            wants_dont_have: false,
            wants_holepunch: false,
            introductions: INTRODUCTIONS_PER_S,
            shown: None,
            metadata_bytes: None,
            pex_sender: PexSender::new(),
            pex_receiver: PexReceiver::new(now),
            choked: true,
            we_want: false,
            allowed_by_us: Vec::new(),
            unchoked_since: None,
            taken_since: 0,
            turn_bytes: 0,
            promised: None,
            waiting_since: now,
            requests: Requests::new(now),
            current: None,
            watched: false,
            uploads: Uploads::new(now),
            down: Meter::new(window, now),
            up: Meter::new(window, now),
            given_before: [0; 2],
            metadata_credit: METADATA_CREDIT_MAX,
            hash_credit: HASH_CREDIT_MAX,
            leaf_credit: CREDIT_BYTES_MAX,
            nonsense: 0,
        }
    }

    /// Whether it has everything.
    pub(super) fn is_seed(&self) -> bool {
        (self.bits.len() > 0 && self.bits.is_full()) || self.early.all
    }

    /// Once a second: what it may ask for grows again, and queues follow the rates.
    pub(super) fn pace(&mut self, now: Time) {
        self.metadata_credit = (self.metadata_credit + METADATA_CREDIT_PER_S).min(METADATA_CREDIT_MAX);
        self.hash_credit = (self.hash_credit + HASH_CREDIT_PER_S).min(HASH_CREDIT_MAX);
        self.leaf_credit = (self.leaf_credit + CREDIT_BYTES_PER_S).min(CREDIT_BYTES_MAX);
        self.introductions = INTRODUCTIONS_PER_S;
        self.uploads.pace();
        self.requests.pace(&mut self.down, now);
        self.dry = false;
    }

    /// Where a datagram reaches it: over uTP it has come through its NAT from there; of TCP only the port where it listens says anything of UDP.
    pub(super) fn datagrams(&self) -> Option<SocketAddr> {
        if self.utp { self.remote.socket() } else { self.listen.or_else(|| self.remote.socket()) }
    }

    /// Whether it has nothing that it could give to anybody. Not all tell us of what they have from us: what it was given counts as well.
    pub(super) fn is_empty(&self, piece_bytes: u64) -> bool {
        self.bits.count() == 0 && self.up.total() < piece_bytes
    }

    /// Where it is to be banned.
    pub(super) fn place(&self) -> Option<SocketAddr> {
        self.listen.or_else(|| self.remote.socket())
    }
}
