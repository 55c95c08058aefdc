//! Hashes of the blocks of pieces, for those who ask: they stand in no .torrent, and are computed from what is on the disk (BEP 52, *hash request* of a
//! base layer below the pieces').
//!
//! One piece of a swarm is read at a time, a run of a few blocks at a time, so that no answer holds the node up. What waits is bounded for each
//! peer and in all; beyond that the answer is no.

use std::collections::VecDeque;
use std::ops::Range;

use hexad_content::{PartLeaves, Sha256Digest, TreeLayers, TreeProof, leaf_hashes, span_below};
use hexad_core::{Answer, Ask, ConnId, Level, Map, Output, Payload, ShareId, Ticket};

use super::{Slot, Swarm, SwarmId};
use crate::node::home::Turn;
use crate::wire::{HashSpan, Message};

/// What is read and hashed at once: 16 blocks.
pub(super) const RUN_BYTES: u64 = 256 << 10;
/// What one request may make us read.
const SPAN_BYTES_MAX: u64 = 16 << 20;
/// What one peer may make us read at once …
pub(super) const CREDIT_BYTES_MAX: u64 = 32 << 20;
/// … and a second.
pub(super) const CREDIT_BYTES_PER_S: u64 = 1 << 20;
/// Requests of one peer that wait …
const WAITING_PER_PEER_MAX: usize = 4;
/// … and of all peers of a swarm.
const WAITING_MAX: usize = 32;
/// Leaves of pieces that are remembered once read; those asked for longest ago leave.
const LEAVES_MAX: usize = 16 << 10;

/// A request that waits for the disk.
#[derive(Debug)]
struct Wanted {
    slot: Slot,
    conn: ConnId,
    span: HashSpan,
    /// Which of the torrent's trees.
    tree: usize,
    pieces: Range<u32>,
}

/// A piece that is being read.
#[derive(Debug)]
struct Reading {
    ticket: Ticket,
    piece: u32,
    tree: usize,
    range: Range<u64>,
    leaves: Vec<Sha256Digest>,
}

/// What waits, what is being read, and what was read.
#[derive(Debug, Default)]
pub(super) struct Desk {
    waiting: VecDeque<Wanted>,
    reading: Option<Reading>,
    known: Map<u32, (u64, PartLeaves)>,
    leaves: usize,
    used: u64,
}

impl Desk {
    /// The first of these pieces whose leaves are not known.
    fn missing(&mut self, pieces: Range<u32>) -> Option<u32> {
        self.used += 1;
        for piece in pieces {
            match self.known.get_mut(&piece) {
                Some((used, _)) => *used = self.used,
                None => return Some(piece),
            }
        }
        None
    }

    fn keep(&mut self, piece: u32, leaves: PartLeaves) {
        self.leaves += leaves.blocks().len();
        self.known.insert(piece, (self.used, leaves));
        while self.leaves > LEAVES_MAX
            && let Some(oldest) = self.known.iter().filter(|(other, _)| **other != piece).min_by_key(|(_, (used, _))| *used)
        {
            let (oldest, count) = (*oldest.0, oldest.1.1.blocks().len());
            self.known.remove(&oldest);
            self.leaves -= count;
        }
    }
}

/// The tickets of what swarms ask the host carry this in their top byte, the swarm's number below it.
const TICKETS: u64 = 0x74;

/// Whose question an answer is for, when it is a swarm's.
pub(crate) fn swarm_of(ticket: Ticket) -> Option<SwarmId> {
    (ticket.0 >> 56 == TICKETS).then(|| u32::try_from(ticket.0 >> 24 & u64::from(u32::MAX)).unwrap_or(u32::MAX))
}

/// The piece with which the file of each tree begins, where it is this tree's turn.
pub(super) fn first_piece(trees: &[TreeProof], tree: usize) -> u32 {
    trees[..tree].iter().map(|tree| u32::try_from(tree.hashes().len()).unwrap_or(u32::MAX)).fold(0, u32::saturating_add)
}

/// Which tree proves a piece, and as which of its parts.
pub(super) fn part_of(trees: &[TreeProof], piece: u32) -> Option<(usize, usize)> {
    let mut left = piece as usize;
    for (number, tree) in trees.iter().enumerate() {
        if left < tree.hashes().len() {
            return Some((number, left));
        }
        left -= tree.hashes().len();
    }
    None
}

impl Swarm {
    /// Asks the host for bytes of a share, at most [`RUN_BYTES`] of them.
    pub(super) fn read(&mut self, share: ShareId, range: Range<u64>, t: &mut Turn<'_, '_>) -> Ticket {
        self.reads = (self.reads + 1) & ((1 << 24) - 1);
        let ticket = Ticket(TICKETS << 56 | u64::from(self.id) << 24 | u64::from(self.reads));
        t.out.push(Output::Ask(ticket, Ask::Read(share, range)));
        ticket
    }

    /// What was read has come.
    pub(crate) fn on_read(&mut self, ticket: Ticket, answer: Answer, t: &mut Turn<'_, '_>) {
        let bytes = match answer {
            Answer::Loaded(Some(Payload::Bytes(bytes))) => Some(bytes),
            _ => None,
        };
        if self.desk.reading.as_ref().is_some_and(|reading| reading.ticket == ticket) {
            self.on_leaves_read(bytes.as_deref(), t);
        } else {
            self.on_doubt_read(ticket, bytes, t);
        }
    }

    /// Somebody asks for hashes below the piece layer. Returns false where the answer is no.
    pub(super) fn on_leaf_request(&mut self, slot: Slot, span: &HashSpan, t: &mut Turn<'_, '_>) -> bool {
        let Some((tree, pieces)) = self.leaves_asked(span) else { return false };
        let Self { torrent: Some(torrent), desk, peers, .. } = self else { return false };
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return false };
        let unknown = pieces.clone().filter(|piece| !desk.known.contains_key(piece));
        let bytes: u64 = unknown.map(|piece| u64::from(torrent.geometry.bytes(piece))).sum();
        let waiting = desk.waiting.iter().filter(|wanted| wanted.slot == slot).count();
        if bytes > SPAN_BYTES_MAX.min(peer.leaf_credit) || waiting >= WAITING_PER_PEER_MAX || desk.waiting.len() >= WAITING_MAX {
            return false;
        }
        peer.leaf_credit -= bytes;
        desk.waiting.push_back(Wanted { slot, conn: peer.conn, span: span.clone(), tree, pieces });
        self.go_on_with_leaves(t);
        true
    }

    /// Which tree a span is of, and which pieces, all of which we have, are under it.
    fn leaves_asked(&self, span: &HashSpan) -> Option<(usize, Range<u32>)> {
        let trees = self.torrent.as_ref()?.metainfo.trees()?;
        let fits = |(number, tree): (usize, &TreeProof)| {
            let parts = PartLeaves::parts_under(tree, span.base_layer.into(), span.index.into(), span.length.into())?;
            let first = first_piece(trees, number);
            let pieces = first + u32::try_from(parts.start).ok()?..first + u32::try_from(parts.end).ok()?;
            pieces.clone().all(|piece| self.have.get(piece)).then_some((number, pieces))
        };
        // The same file twice in a torrent has one root.
        trees.iter().enumerate().filter(|(_, tree)| tree.content().root == span.root).find_map(fits)
    }

    /// Answers whom it can, and reads for the next.
    fn go_on_with_leaves(&mut self, t: &mut Turn<'_, '_>) {
        while self.desk.reading.is_none()
            && let Some(Wanted { slot, conn, tree, pieces, .. }) = self.desk.waiting.front()
        {
            let (slot, conn, tree, pieces) = (*slot, *conn, *tree, pieces.clone());
            if self.peer(slot).is_none_or(|peer| peer.conn != conn) {
                self.desk.waiting.pop_front();
                continue;
            }
            match self.desk.missing(pieces) {
                Some(piece) => self.read_leaves(piece, tree, t),
                None => self.answer_with_leaves(true, t),
            }
        }
    }

    /// Begins to read a piece.
    fn read_leaves(&mut self, piece: u32, tree: usize, t: &mut Turn<'_, '_>) {
        let range = self.torrent.as_ref().map(|torrent| torrent.geometry.range(piece)).unwrap_or_default();
        let Some(share) = self.offers.iter().find(|offer| offer.have.get(piece)).map(|offer| offer.share) else {
            return self.answer_with_leaves(false, t);
        };
        let ticket = self.read(share, range.start..range.end.min(range.start + RUN_BYTES), t);
        self.desk.reading = Some(Reading { ticket, piece, tree, range, leaves: Vec::new() });
    }

    fn on_leaves_read(&mut self, bytes: Option<&[u8]>, t: &mut Turn<'_, '_>) {
        let Some(mut reading) = self.desk.reading.take() else { return };
        let at = reading.range.start + reading.leaves.len() as u64 * u64::from(crate::wire::frames::BLOCK_BYTES);
        let expected = (reading.range.end - at).min(RUN_BYTES);
        let (Some(bytes), Some(share)) = (
            bytes.filter(|bytes| bytes.len() as u64 == expected),
            self.offers.iter().find(|offer| offer.have.get(reading.piece)).map(|offer| offer.share),
        ) else {
            self.answer_with_leaves(false, t);
            return self.go_on_with_leaves(t);
        };
        reading.leaves.extend(leaf_hashes(bytes));
        let next = at + expected;
        if next < reading.range.end {
            reading.ticket = self.read(share, next..reading.range.end.min(next + RUN_BYTES), t);
            self.desk.reading = Some(reading);
            return;
        }
        let trees = self.torrent.as_ref().and_then(|torrent| torrent.metainfo.trees());
        let leaves = trees.and_then(|trees| {
            let part = reading.piece.checked_sub(first_piece(trees, reading.tree))?;
            PartLeaves::new(trees.get(reading.tree)?, part as usize, reading.leaves)
        });
        match leaves {
            Some(leaves) => self.desk.keep(reading.piece, leaves),
            None => {
                t.out.note(Level::Warn, "piece_changed_on_disk", None, format!("piece {}", reading.piece));
                self.answer_with_leaves(false, t);
            }
        }
        self.go_on_with_leaves(t);
    }

    /// Answers who has waited longest; with no where the leaves cannot be had.
    fn answer_with_leaves(&mut self, readable: bool, t: &mut Turn<'_, '_>) {
        let Some(Wanted { slot, span, tree, .. }) = self.desk.waiting.pop_front() else { return };
        let Self { torrent, trees, desk, peers, .. } = self;
        let hashes = torrent.as_ref().filter(|_| readable).and_then(|torrent| {
            let proofs = torrent.metainfo.trees()?;
            let (proof, first) = (proofs.get(tree)?, first_piece(proofs, tree));
            let above = trees.of(span.root, || Some(TreeLayers::of(proof)))?;
            let leaves = |part: usize| desk.known.get(&(first + u32::try_from(part).ok()?)).map(|(_, leaves)| leaves);
            span_below(proof, above, leaves, (span.base_layer.into(), span.index.into(), span.length.into(), span.proof_layers.into()))
        });
        let Some(peer) = peers.get_mut(slot as usize).and_then(Option::as_deref_mut) else { return };
        match hashes {
            Some(hashes) => {
                t.out.note(Level::Info, "leaves_given", Some(peer.remote.clone()), "");
                peer.say(Message::Hashes(Box::new(span), hashes), t);
            }
            None => {
                t.out.note(Level::Debug, "hashes_refused", Some(peer.remote.clone()), "leaves");
                peer.say(Message::HashReject(Box::new(span)), t);
            }
        }
    }
}
