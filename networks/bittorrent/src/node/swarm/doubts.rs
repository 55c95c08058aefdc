//! Pieces of version 2 that were wrong: the hashes of their blocks are asked for (BEP 52), so that each block is proven by itself from then on.
//!
//! A long piece is on the disk when it is judged. It is held back until the hashes have come, then read again: what of it is right is delivered once
//! more from there, the wrong blocks name who gave them, and only they are fetched again. Of a short one all is fetched again, block by proven block.

use std::ops::Range;

use bytes::Bytes;
use hexad_content::{PartLeaves, Sha256Digest, leaf_hashes};
use hexad_core::{Level, Map, Output, Payload, Span, Ticket, Time};

use super::blame::Sentence;
use super::leaves::{RUN_BYTES, part_of};
use super::{Slot, Swarm};
use crate::node::home::Turn;
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::{HashSpan, Message};

/// Pieces of a swarm that are in doubt at a time.
const DOUBTS_MAX: usize = 16;
/// Blocks of a piece that are asked about: 16 MiB.
const BLOCKS_MAX: usize = 1024;
/// The engine writes longer parts as they come.
const ON_DISK_BYTES: u64 = 2 << 20;
/// For an answer.
const DEADLINE: Span = Span::from_secs(5);
/// Nobody is asked after this …
const HELD_MAX: Span = Span::from_secs(10);
/// … and no piece is held back for longer than this.
const SALVAGE_MAX: Span = Span::from_secs(30);

/// One piece that was wrong.
#[derive(Debug)]
struct Doubt {
    tree: usize,
    part: usize,
    since: Time,
    leaves: Option<PartLeaves>,
    asked: Option<(Slot, Time)>,
    tried: Vec<Slot>,
    /// Nobody is asked for its blocks until it is known which are right.
    held: bool,
    salvage: Option<Salvage>,
}

/// What is read again from the disk.
#[derive(Debug)]
struct Salvage {
    ticket: Ticket,
    /// Of each block that was read, whether it is right.
    right: Vec<bool>,
}

/// All pieces that are in doubt.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    pieces: Map<u32, Doubt>,
}

impl Doubts {
    /// Whether a block is known not to be what it should.
    pub(super) fn refutes(&self, piece: u32, block: u32, data: &Payload) -> bool {
        let leaves = self.pieces.get(&piece).and_then(|doubt| doubt.leaves.as_ref());
        let (Some(leaves), Payload::Bytes(bytes)) = (leaves, data) else { return false };
        leaves.blocks().get(block as usize).is_some_and(|leaf| leaf_hashes(bytes) != [*leaf])
    }

    /// A peer is gone.
    pub(super) fn gone(&mut self, slot: Slot) {
        for doubt in self.pieces.values_mut() {
            doubt.asked.take_if(|(other, _)| *other == slot);
            doubt.tried.retain(|other| *other != slot);
        }
    }

    /// A piece is right.
    pub(super) fn settled(&mut self, piece: u32) {
        self.pieces.remove(&piece);
    }

    /// What was held back is picked like all else from now on, and nothing is read for it. Returns what that was.
    pub(super) fn let_go(&mut self) -> Vec<u32> {
        let held = self.pieces.iter_mut().filter(|(_, doubt)| doubt.held);
        held.map(|(piece, doubt)| {
            (doubt.held, doubt.salvage) = (false, None);
            *piece
        })
        .collect()
    }
}

impl Swarm {
    /// A piece was wrong: it is in doubt, and held back where it lies on the disk, when somebody could tell its hashes.
    pub(super) fn doubt(&mut self, piece: u32, t: &mut Turn<'_, '_>) {
        let Self { torrent: Some(torrent), doubts, peers, picker, .. } = self else { return };
        let Some(trees) = torrent.metainfo.trees() else { return };
        let blocks = torrent.geometry.blocks(piece) as usize;
        let Some((tree, part)) = part_of(trees, piece).filter(|_| (2..=BLOCKS_MAX).contains(&blocks)) else { return };
        // Blocks that were proven one by one make no wrong piece; who says so all the same is not helped by asking again.
        if doubts.pieces.contains_key(&piece) || doubts.pieces.len() >= DOUBTS_MAX || !peers.iter().flatten().any(|peer| peer.v2) {
            return;
        }
        let mut doubt = Doubt { tree, part, since: t.cx.now, leaves: None, asked: None, tried: Vec::new(), held: false, salvage: None };
        if u64::from(torrent.geometry.bytes(piece)) > ON_DISK_BYTES && picker.free().get(piece) {
            picker.lend(piece);
            doubt.held = true;
        }
        doubts.pieces.insert(piece, doubt);
    }

    /// Once a second, and when something is new: asks those who have not been asked, and gives up on what nobody tells.
    pub(super) fn look_at_doubts(&mut self, t: &mut Turn<'_, '_>) {
        let now = t.cx.now;
        let Self { torrent: Some(torrent), doubts, peers, .. } = self else { return };
        let Some(trees) = torrent.metainfo.trees() else { return };
        let mut over = Vec::new();
        for (&piece, doubt) in doubts.pieces.iter_mut().filter(|(_, doubt)| doubt.leaves.is_none()) {
            if let Some((slot, _)) = doubt.asked.take_if(|(_, since)| now.since(*since) >= DEADLINE) {
                doubt.tried.push(slot);
            }
            if doubt.asked.is_some() && !(doubt.held && now.since(doubt.since) >= HELD_MAX) {
                continue;
            }
            let span = span_of(&trees[doubt.tree], doubt.part);
            let tells =
                |peer: &&mut Box<super::Peer>| peer.v2 && (peer.bits.get(piece) || peer.is_seed()) && !doubt.tried.contains(&peer.slot);
            // Who is under suspicion is asked last, though he can say nothing wrong unnoticed.
            let next = peers.iter_mut().flatten().filter(tells).min_by_key(|peer| (peer.watched, peer.slot));
            match next.filter(|_| now.since(doubt.since) < HELD_MAX) {
                Some(peer) => {
                    doubt.asked = Some((peer.slot, now));
                    peer.say(Message::HashRequest(Box::new(span)), t);
                }
                None => over.push(piece),
            }
        }
        for piece in over {
            self.end_doubt(piece, t);
        }
        let late = |doubt: &Doubt| doubt.held && now.since(doubt.since) >= SALVAGE_MAX;
        let late: Vec<u32> = self.doubts.pieces.iter().filter(|(_, doubt)| late(doubt)).map(|(piece, _)| *piece).collect();
        for piece in late {
            self.resume(piece, &[], t);
        }
    }

    /// Nobody tells the hashes of a piece.
    fn end_doubt(&mut self, piece: u32, t: &mut Turn<'_, '_>) {
        if let Some(doubt) = self.doubts.pieces.remove(&piece)
            && doubt.held
        {
            self.picker.give_back(piece);
            self.stir(t);
        }
    }

    /// Which piece a span was asked for, of that peer.
    fn doubt_asked(&self, slot: Slot, span: &HashSpan) -> Option<u32> {
        let trees = self.torrent.as_ref()?.metainfo.trees()?;
        let asked = |doubt: &Doubt| doubt.asked.is_some_and(|(other, _)| other == slot) && span_of(&trees[doubt.tree], doubt.part) == *span;
        self.doubts.pieces.iter().find(|(_, doubt)| asked(doubt)).map(|(piece, _)| *piece)
    }

    /// Hashes of blocks came; false when it was not these that were asked for.
    pub(super) fn on_doubt_told(&mut self, slot: Slot, span: &HashSpan, hashes: &[Sha256Digest], t: &mut Turn<'_, '_>) -> bool {
        let Some(piece) = self.doubt_asked(slot, span) else { return false };
        let Self { torrent: Some(torrent), doubts, .. } = self else { return false };
        let (Some(trees), Some(doubt)) = (torrent.metainfo.trees(), doubts.pieces.get_mut(&piece)) else { return false };
        doubt.asked = None;
        // A proof that nobody has asked for would follow them.
        let hashes = hashes.get(..span.length as usize).unwrap_or_default().to_vec();
        doubt.leaves = PartLeaves::new(&trees[doubt.tree], doubt.part, hashes);
        if doubt.leaves.is_none() {
            self.ban(slot, "wrong_hashes", t);
            self.look_at_doubts(t);
        } else if doubt.held {
            self.salvage(piece, Vec::new(), t);
        }
        true
    }

    /// A peer does not tell them; false when it was not asked.
    pub(super) fn on_doubt_rejected(&mut self, slot: Slot, span: &HashSpan, t: &mut Turn<'_, '_>) -> bool {
        let Some(piece) = self.doubt_asked(slot, span) else { return false };
        if let Some(doubt) = self.doubts.pieces.get_mut(&piece) {
            doubt.asked = None;
            doubt.tried.push(slot);
        }
        self.look_at_doubts(t);
        true
    }

    /// Reads the next run of a piece that is held back; of what comes before it is known what is right.
    fn salvage(&mut self, piece: u32, right: Vec<bool>, t: &mut Turn<'_, '_>) {
        let (Some(fetch), Some(run)) = (self.fetch, self.run_of(piece, right.len())) else { return self.resume(piece, &right, t) };
        let ticket = self.read(fetch.share, run, t);
        if let Some(doubt) = self.doubts.pieces.get_mut(&piece) {
            doubt.salvage = Some(Salvage { ticket, right });
        }
    }

    /// The bytes of a piece that are read after so many blocks; `None` behind the last.
    fn run_of(&self, piece: u32, blocks: usize) -> Option<Range<u64>> {
        let range = self.torrent.as_ref()?.geometry.range(piece);
        let start = range.start + blocks as u64 * u64::from(BLOCK_BYTES);
        (start < range.end).then(|| start..range.end.min(start + RUN_BYTES))
    }

    pub(super) fn on_doubt_read(&mut self, ticket: Ticket, bytes: Option<Bytes>, t: &mut Turn<'_, '_>) {
        let waits = |doubt: &Doubt| doubt.salvage.as_ref().is_some_and(|salvage| salvage.ticket == ticket);
        let Some(piece) = self.doubts.pieces.iter().find(|(_, doubt)| waits(doubt)).map(|(piece, _)| *piece) else { return };
        let run = self.doubts.pieces.get(&piece).and_then(|doubt| doubt.salvage.as_ref()).map_or(0, |salvage| salvage.right.len());
        let (Some(fetch), Some(range)) = (self.fetch, self.run_of(piece, run)) else { return };
        let Some(doubt) = self.doubts.pieces.get_mut(&piece) else { return };
        let (Some(Salvage { mut right, .. }), Some(leaves)) = (doubt.salvage.take(), &doubt.leaves) else { return };
        let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 == range.end - range.start) else {
            return self.resume(piece, &right, t);
        };
        let same = leaf_hashes(&bytes).into_iter().zip(&leaves.blocks()[run..]).map(|(found, expected)| found == *expected);
        right.extend(same);
        // What follows one another is delivered in one.
        let mut block = run;
        for same in right[run..].chunk_by(|one, other| one == other) {
            let from = (block - run) * BLOCK_BYTES as usize;
            block += same.len();
            let to = ((block - run) * BLOCK_BYTES as usize).min(bytes.len());
            if same[0] {
                t.out.push(Output::Deliver(fetch.lease, range.start + from as u64, Payload::Bytes(bytes.slice(from..to))));
            }
        }
        self.salvage(piece, right, t);
    }

    /// What can be known of a piece is: the rest is fetched, and whoever gave what was wrong is banned.
    fn resume(&mut self, piece: u32, right: &[bool], t: &mut Turn<'_, '_>) {
        let Some(doubt) = self.doubts.pieces.get_mut(&piece) else { return };
        if !std::mem::replace(&mut doubt.held, false) {
            return;
        }
        let kept = right.iter().filter(|right| **right).count();
        let blame = &self.blame;
        self.picker.go_on_with(piece, right, |block| blame.giver_of(piece, block));
        t.out.note(Level::Info, "piece_salvaged", None, format!("piece {piece}: {kept} of {} blocks are right", right.len()));
        // Where most is wrong, it may be that the disk has not kept what was judged.
        if kept * 2 > right.len() {
            let wrong = (0_u32..).zip(right).filter(|(_, right)| !**right);
            let ban = wrong.filter_map(|(block, _)| self.blame.lied(piece, block)).collect();
            self.carry_out(&Sentence { ban, ..Sentence::default() }, t);
        }
        self.stir(t);
    }
}

/// All leaves of a part. What proves them is known.
fn span_of(tree: &hexad_content::TreeProof, part: usize) -> HashSpan {
    let height = PartLeaves::height(tree);
    let index = u32::try_from((part as u64) << height).unwrap_or(u32::MAX);
    HashSpan { root: tree.content().root, base_layer: 0, index, length: 1 << height, proof_layers: 0 }
}
