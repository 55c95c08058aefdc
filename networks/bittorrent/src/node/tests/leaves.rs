//! Hashes of blocks (BEP 52): given from the disk, and asked for where a piece was wrong.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Layout, Ranges, Sha256Digest, TreeLayers, TreeProof, leaf_hashes};
use hexad_core::{Answer, Ask, AskFailure, ConnId, Input, Level, Output, Payload, ShareId, Span, Ticket, Verdict};

use super::bench::*;
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::metainfo::{Metainfo, MetainfoBuilder, Version};
use crate::wire::{BlockRef, HashSpan, Message};

/// Long enough that the engine has it on the disk when it is judged.
const LONG: u64 = 4 << 20;

/// A file whose blocks all differ.
fn content(length: u64) -> Bytes {
    (0..length).map(|at| (at / u64::from(BLOCK_BYTES) * 7 + at % 251) as u8).collect::<Vec<u8>>().into()
}

fn torrent(bytes: &[u8], piece_bytes: u64) -> Metainfo {
    let size = bytes.len() as u64;
    let parts = bytes.chunks(usize::try_from(piece_bytes).unwrap());
    let hashes: Vec<Sha256Digest> = parts.map(|part| TreeProof::hash_of_part(size, piece_bytes, part)).collect();
    let trees = vec![TreeProof::of_layer(size, piece_bytes, hashes).unwrap()];
    let layout = Arc::new(Layout::single("blue.ogg".into(), size).unwrap());
    MetainfoBuilder::new(layout, piece_bytes, Vec::new()).with_trees(trees, Version::V2).build().unwrap()
}

struct Table {
    bench: Bench,
    bytes: Bytes,
}

impl Table {
    fn new(length: u64, piece_bytes: u64) -> Self {
        let bytes = content(length);
        Self { bench: Bench::of(config(), torrent(&bytes, piece_bytes)).joins(), bytes }
    }

    fn root(&self) -> Sha256Digest {
        self.bench.torrent.info.contents[0].root
    }

    fn slice(&self, range: &Range<u64>) -> Bytes {
        self.bytes.slice(usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap())
    }

    /// Answers what is asked of the disk, as `read` has it, until nothing is; returns all that was said.
    fn disk(&mut self, said: Said, read: impl Fn(&Self, &Range<u64>) -> Answer) -> Said {
        let (mut all, mut latest) = (Said::new(), said);
        loop {
            let asked = reads(&latest);
            all.append(&mut latest);
            if asked.is_empty() {
                return all;
            }
            for (ticket, share, range) in asked {
                assert!(share == SHARE && range.end - range.start <= 256 << 10, "{range:?}");
                let answer = read(self, &range);
                latest.extend(self.bench.hears(Input::Answered(ticket, answer)));
            }
        }
    }

    /// Gives a block as it is in the file, or with its first byte another.
    fn gives(&mut self, conn: ConnId, block: BlockRef, right: bool) -> Said {
        let start = u64::from(block.piece) * self.bench.torrent.info.piece_bytes + u64::from(block.begin);
        let mut bytes = self.slice(&(start..start + u64::from(block.length))).to_vec();
        bytes[0] ^= u8::from(!right);
        self.bench.says(conn, Message::Piece { piece: block.piece, begin: block.begin, data: Payload::Bytes(bytes.into()) })
    }

    fn leaves_of(&self, span: &HashSpan) -> Vec<Sha256Digest> {
        let mut leaves = leaf_hashes(&self.bytes);
        leaves.resize(leaves.len().next_power_of_two(), Sha256Digest([0; 32]));
        leaves[span.index as usize..][..span.length as usize].to_vec()
    }
}

fn reads(said: &Said) -> Vec<(Ticket, ShareId, Range<u64>)> {
    let read = |output: &_| match output {
        Output::Ask(ticket, Ask::Read(share, range)) => Some((*ticket, *share, range.clone())),
        _ => None,
    };
    said.iter().filter_map(read).collect()
}

fn right(table: &Table, range: &Range<u64>) -> Answer {
    Answer::Loaded(Some(Payload::Bytes(table.slice(range))))
}

fn hash_requests(conn: ConnId, said: &Said) -> Vec<HashSpan> {
    let span = |message| if let Message::HashRequest(span) = message { Some(*span) } else { None };
    told(conn, said).into_iter().filter_map(span).collect()
}

#[test]
fn leaves_are_read_from_the_disk_and_proven_up_to_the_root() {
    let mut table = Table::new(5 * PIECE + 100, PIECE);
    table.bench = table.bench.seeds();
    let (conn, _) = table.bench.meets(1, true);
    let reference =
        TreeLayers::of(&TreeProof::of_layer(table.bytes.len() as u64, u64::from(BLOCK_BYTES), leaf_hashes(&table.bytes)).unwrap());
    for (index, length, proof_layers) in [(0, 2, 0), (4, 2, 3), (8, 4, 2), (0, 16, 3), (10, 2, 0)] {
        let span = HashSpan { root: table.root(), base_layer: 0, index, length, proof_layers };
        let said = table.bench.says(conn, Message::HashRequest(Box::new(span.clone())));
        let said = table.disk(said, right);
        let hashes = reference.span(0, index.into(), length.into(), proof_layers.into()).unwrap();
        assert_eq!(told(conn, &said), [Message::Hashes(Box::new(span), hashes)], "{index} {length} {proof_layers}");
    }
    // What was read once is remembered.
    let span = HashSpan { root: table.root(), base_layer: 0, index: 0, length: 16, proof_layers: 0 };
    let said = table.bench.says(conn, Message::HashRequest(Box::new(span)));
    assert_eq!((reads(&said).len(), told(conn, &said).len()), (0, 1));
}

#[test]
fn what_a_peer_makes_us_read_is_bounded() {
    let mut table = Table::new(3 * (8 << 20), 8 << 20);
    table.bench = table.bench.seeds();
    let (conn, _) = table.bench.meets(1, true);
    let span = |piece: u32, length: u32| HashSpan { root: table.root(), base_layer: 0, index: piece * 512, length, proof_layers: 0 };
    let (whole, halves) = (span(0, 2048), [span(0, 512), span(1, 512), span(2, 512), span(0, 256), span(1, 256)]);
    let said = table.bench.says(conn, Message::HashRequest(Box::new(whole.clone())));
    assert_eq!(told(conn, &said), [Message::HashReject(Box::new(whole))], "24 MiB for one answer");
    let mut first = Said::new();
    for wanted in halves.iter().take(4) {
        first.extend(table.bench.says(conn, Message::HashRequest(Box::new(wanted.clone()))));
    }
    assert_eq!((told(conn, &first).len(), reads(&first).len()), (0, 1), "one piece is read at a time");
    let said = table.bench.says(conn, Message::HashRequest(Box::new(halves[4].clone())));
    assert_eq!(told(conn, &said), [Message::HashReject(Box::new(halves[4].clone()))], "four wait");
    let said = table.disk(first, right);
    assert_eq!(told(conn, &said).len(), 4);
    assert!(told(conn, &said).iter().all(|message| matches!(message, Message::Hashes(..))));
}

#[test]
fn what_the_disk_does_not_give_or_has_otherwise_is_rejected() {
    let mut table = Table::new(4 * PIECE, PIECE);
    table.bench = table.bench.seeds();
    let (conn, _) = table.bench.meets(1, true);
    let span = HashSpan { root: table.root(), base_layer: 0, index: 2, length: 2, proof_layers: 0 };
    let failing = |_: &Table, _: &Range<u64>| Answer::Failed(AskFailure::Other("gone".into()));
    let other = |_: &Table, range: &Range<u64>| Answer::Loaded(Some(Payload::Bytes(vec![9; (range.end - range.start) as usize].into())));
    let said = table.bench.says(conn, Message::HashRequest(Box::new(span.clone())));
    assert_eq!(told(conn, &table.disk(said, failing)), [Message::HashReject(Box::new(span.clone()))]);
    let said = table.bench.says(conn, Message::HashRequest(Box::new(span.clone())));
    let said = table.disk(said, other);
    assert_eq!(told(conn, &said), [Message::HashReject(Box::new(span.clone()))]);
    assert_eq!(notes(Level::Warn, &said), ["piece_changed_on_disk"]);
    // Who is gone is not read for.
    let said = table.bench.says(conn, Message::HashRequest(Box::new(span)));
    table.bench.hears(Input::Closed(conn, hexad_core::Why::PeerClosed));
    assert_eq!(told(conn, &table.disk(said, right)), []);
}

/// Two seeds have given the first piece, the second one a wrong block; returns them, what is said to the verdict, and the block.
fn spoiled(table: &mut Table) -> (ConnId, ConnId, Said, BlockRef) {
    table.bench = std::mem::replace(&mut table.bench, Bench::new(config(), 1)).fetches();
    let (honest, said) = table.bench.meets_seed(1);
    let (liar, more) = table.bench.meets_seed(2);
    let mut queues = [(honest, requests(honest, &said)), (liar, requests(liar, &more))];
    let mut wrong = None;
    let mut blocks = table.bench.torrent.info.piece_bytes / u64::from(BLOCK_BYTES);
    // Each gives what it is asked for of the first piece, in turn.
    while blocks > 0 {
        for (who, queue) in &mut queues {
            let Some(block) = queue.pop() else { continue };
            let lies = *who == liar && wrong.is_none();
            if lies {
                wrong = Some(block);
            }
            let said = table.gives(*who, block, !lies);
            blocks -= delivered(&said).len() as u64;
            queue.extend(requests(*who, &said));
        }
    }
    let piece_bytes = table.bench.torrent.info.piece_bytes;
    let said = table.bench.hears(Input::Judged(LEASE, 0..piece_bytes, Verdict::Bad));
    (honest, liar, said, wrong.expect("the second gives something"))
}

#[test]
fn of_a_long_piece_only_the_wrong_block_is_fetched_again_and_names_who_gave_it() {
    let mut table = Table::new(LONG, LONG);
    let (honest, liar, said, wrong) = spoiled(&mut table);
    let asked: Vec<_> = [honest, liar].into_iter().flat_map(|conn| hash_requests(conn, &said)).collect();
    let whole = HashSpan { root: table.root(), base_layer: 0, index: 0, length: 256, proof_layers: 0 };
    assert_eq!(asked, std::slice::from_ref(&whole));
    assert_eq!((requests(honest, &said), requests(liar, &said)), (Vec::new(), Vec::new()), "nothing is asked for until more is known");
    let who = if hash_requests(honest, &said).is_empty() { liar } else { honest };

    let leaves = table.leaves_of(&whole);
    let said = table.bench.says(who, Message::Hashes(Box::new(whole), leaves));
    let on_disk = move |table: &Table, range: &Range<u64>| {
        let mut bytes = table.slice(range).to_vec();
        if let Some(at) = u64::from(wrong.begin).checked_sub(range.start).filter(|_| u64::from(wrong.begin) < range.end) {
            bytes[at as usize] ^= 1;
        }
        Answer::Loaded(Some(Payload::Bytes(bytes.into())))
    };
    let said = table.disk(said, on_disk);
    let kept: Ranges = delivered(&said).iter().map(|&(at, bytes)| at..at + bytes).collect();
    let start = u64::from(wrong.begin);
    let expected: Ranges = [0..start, start + u64::from(BLOCK_BYTES)..LONG].into_iter().filter(|range| !range.is_empty()).collect();
    assert_eq!(kept, expected);
    assert_eq!((notes(Level::Ban, &said), closed(liar, &said).as_deref()), (vec!["wrong_data"], Some("wrong_data")));
    assert_eq!(requests(honest, &said), [wrong]);
    let said = table.gives(honest, wrong, true);
    assert_eq!(delivered(&said), [(start, u64::from(BLOCK_BYTES))]);
    let said = table.bench.hears(Input::Judged(LEASE, 0..LONG, Verdict::Good));
    assert_eq!(reports(FETCH, &said), [&hexad_core::Progress::Done]);
}

#[test]
fn a_short_piece_is_fetched_again_block_by_proven_block() {
    let mut table = Table::new(8 * u64::from(BLOCK_BYTES), 8 * u64::from(BLOCK_BYTES));
    let (honest, liar, said, _) = spoiled(&mut table);
    let who = if hash_requests(honest, &said).is_empty() { liar } else { honest };
    let [span] = &hash_requests(who, &said)[..] else { panic!("{said:?}") };
    let leaves = table.leaves_of(span);
    let more = table.bench.says(who, Message::Hashes(Box::new(span.clone()), leaves));
    assert_eq!(reads(&more), [], "it was in memory");
    let mut asked = requests(liar, &said);
    asked.extend(requests(liar, &more));
    let (conn, block) = match asked.pop() {
        Some(block) => (liar, block),
        None => (honest, *requests(honest, &said).first().expect("somebody is asked")),
    };
    let said = table.gives(conn, block, false);
    assert_eq!((delivered(&said), notes(Level::Ban, &said)), (Vec::new(), vec!["wrong_block"]));
}

#[test]
fn a_piece_that_is_held_back_and_no_longer_wanted_is_not_waited_for() {
    let mut table = Table::new(LONG, LONG);
    let (_, _, said, _) = spoiled(&mut table);
    assert_eq!(notes(Level::Ban, &said), [] as [&str; 0]);
    let said = table.bench.hears(Input::Leased(LEASE, Ranges::new()));
    assert_eq!(reports(FETCH, &said), [&hexad_core::Progress::Done]);
}

#[test]
fn who_tells_other_hashes_is_banned_and_where_nobody_tells_the_piece_is_fetched_as_before() {
    let mut table = Table::new(LONG, LONG);
    let (honest, liar, said, _) = spoiled(&mut table);
    let who = if hash_requests(honest, &said).is_empty() { liar } else { honest };
    let [span] = &hash_requests(who, &said)[..] else { panic!("{said:?}") };
    let mut leaves = table.leaves_of(span);
    leaves[3].0[3] ^= 1;
    let said = table.bench.says(who, Message::Hashes(Box::new(span.clone()), leaves));
    assert_eq!(notes(Level::Ban, &said), ["wrong_hashes"]);
    let other = if who == honest { liar } else { honest };
    assert_eq!(hash_requests(other, &said), std::slice::from_ref(span));
    let said = table.bench.says(other, Message::HashReject(Box::new(span.clone())));
    assert!(!requests(other, &said).is_empty(), "{said:?}");

    // Nor is a piece held back for good where the answer does not come.
    let mut table = Table::new(LONG, LONG);
    let (honest, liar, _, _) = spoiled(&mut table);
    let mut asked = 0;
    for _ in 0..12 {
        let said = table.bench.pass(Span::from_secs(1));
        asked += requests(honest, &said).len() + requests(liar, &said).len();
    }
    assert!(asked > 0);
}
