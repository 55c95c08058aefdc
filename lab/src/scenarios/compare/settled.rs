//! What a network must say of itself to live in the common world: how it is put there, and which of its words mean what. No protocol is in it;
//! one file for each network has it.

use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Layout, Proof, Ranges, Sha1Digest, info};
use hexad_core::{Hit, Input, Message as _, Network, Node, Operation, Progress, Query, Share, Span, Time};

use super::society::Society;
use crate::gauge::Gauge;
use crate::{Lab, NodeIndex, Purpose, Watched, dice};

/// What a user may ask of a network beside the four verbs.
pub(super) type Req<N> = <<N as Network>::Node as Node>::Request;
/// What it answers.
pub(super) type Rep<N> = <<N as Network>::Node as Node>::Reply;

/// Bytes of every file, which is one piece.
pub(super) const FILE_BYTES: u64 = 32 << 10;

/// What a node keeps for others and for its place in the network.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct State {
    /// Links, contacts, ways back.
    pub(super) routing: u64,
    /// Records, references and blocks of others.
    pub(super) kept: u64,
    /// Bytes of both.
    pub(super) bytes: u64,
}

/// An answer.
pub(super) enum Answer<'a> {
    /// With whom to fetch from.
    Hit(&'a Hit),
    /// The thing itself, from nobody knows whom.
    Thing,
}

/// A network in the common world.
pub(super) trait Settled: Network {
    /// How it is put into the world, for the report.
    const HOW: &'static str;
    /// How a question is put.
    const ASKED: &'static str;
    /// Kinds of messages that searches cause.
    const SEARCHING: &'static [&'static str];
    /// Kinds of messages that are parts of one answer: their bytes count, and they do not.
    const PARTS: &'static [&'static str] = &[];
    /// Kinds of messages whose arrival means that an index was consulted.
    const CONSULTING: &'static [&'static str];
    /// How long the last answer may take.
    const PATIENCE: Span;
    /// Every owner publishes, and not only the first.
    const ALL_PUBLISH: bool = true;

    /// Adds users and newcomers, and what else there is.
    fn populate(society: &Society, lab: &mut Lab<Self>);

    /// Has all users join, and waits until they have.
    fn settle(society: &Society, lab: &mut Lab<Self>, gauge: &mut Gauge<'_>) {
        arrive(society, lab, gauge, Time::ZERO + Span::from_secs(1));
    }

    /// The node in the middle, where there is one, and what it is started with.
    fn centre(_society: &Society) -> Option<(NodeIndex, Operation<Req<Self>>)> {
        None
    }

    /// What a process of the lab has to be told when it begins.
    fn begin(_lab: &mut Lab<Self>, _node: NodeIndex) {}

    /// How somebody joins, for the `turn`th time.
    fn join(society: &Society, user: u32, turn: u64) -> Operation<Req<Self>> {
        Operation::Join { bootstrap: society.bootstrap(user, turn, 4, false) }
    }

    /// A file as it is shared.
    fn share(society: &Society, file: u32) -> Share {
        let (layout, hash) = file_of(society, file);
        let digest = Digest::TorrentV1(info::hash(&info::write(&layout, FILE_BYTES, &[hash])));
        let proof = Proof::V1Pieces { piece_bytes: FILE_BYTES, total_bytes: FILE_BYTES, hashes: [hash].as_slice().into() };
        Share {
            layout,
            digests: [digest].into_iter().collect(),
            proof: Some(proof),
            held: Ranges::of(0..FILE_BYTES),
            torrent: Bytes::new(),
        }
    }

    /// How a file is published, where that is not by its share.
    fn publish(_society: &Society, _file: u32) -> Option<Operation<Req<Self>>> {
        None
    }

    /// How a file is searched for.
    fn search(society: &Society, file: u32) -> Operation<Req<Self>> {
        Operation::Search { query: Query::Words { words: vec![Society::word(file)], wanted: society.wanted } }
    }

    /// Whether a report is an answer to a search.
    fn answer(progress: &Progress<Rep<Self>>) -> Option<Answer<'_>> {
        match progress {
            Progress::Hit(hit) => Some(Answer::Hit(hit)),
            _ => None,
        }
    }

    /// Whom a hit names.
    fn named(hit: &Hit) -> Vec<u32> {
        hit.source.peers.iter().filter_map(hexad_core::Address::lab_node).collect()
    }

    /// How often an index was consulted since the beginning.
    fn consulted(lab: &Lab<Self>) -> u64 {
        let kinds = lab.tally().kinds();
        Self::CONSULTING.iter().filter_map(|kind| kinds.get(kind)).map(|count| count.messages).sum()
    }

    /// Whether it is seen here that a node looks into its index, or sees that it did so before.
    fn handles(watched: &Watched<'_, Self>) -> bool {
        matches!(watched, Watched::Heard(Input::Received(_, message)) if Self::CONSULTING.contains(&message.kind()))
    }

    /// What a node keeps.
    fn state(lab: &Lab<Self>, node: NodeIndex) -> State;
}

/// The layout of a file, and the hash that stands for its bytes.
pub(super) fn file_of(society: &Society, file: u32) -> (Arc<Layout>, Sha1Digest) {
    let layout = Layout::single(Society::word(file), FILE_BYTES).expect("a short file fits a layout");
    (Arc::new(layout), Sha1Digest(dice(society.seed, Purpose::Workload, 0x5100_0000, file.into()).bytes()))
}

/// The digest of a share.
pub(super) fn digest_of<N: Settled>(society: &Society, file: u32) -> Digest {
    *N::share(society, file).digests.iter().next().expect("a share has a digest")
}

/// Has all users join one after the other, two thousand a second at most and in at least ten seconds; lets a window pass.
pub(super) fn arrive<N: Settled>(society: &Society, lab: &mut Lab<N>, gauge: &mut Gauge<'_>, from: Time) {
    let over = (Span::from_micros(500) * society.users).max(Span::from_secs(10)).max(society.window / 2);
    for user in 0..society.users {
        let at = from + over.mul_f64(f64::from(user) / f64::from(society.users));
        lab.start_at(at, NodeIndex(user), N::join(society, user, 0));
    }
    gauge.run_until("join", lab, from + over + society.window);
}
