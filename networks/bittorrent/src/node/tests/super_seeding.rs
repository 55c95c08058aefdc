use hexad_core::{ConnId, Input, OpId, Operation, Output, Span};

use super::bench::*;
use crate::node::Request;
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::{BlockRef, Message};

const OWN: OpId = OpId(9);
const PIECES: u32 = 8;

fn seed() -> Bench {
    let mut bench = Bench::joined(config(), PIECES).seeds();
    bench.hears(Input::Start(OWN, Operation::Own(Request::SuperSeed(SHARE, true))));
    bench
}

/// A peer with nothing; returns which pieces it was shown.
fn newcomer(bench: &mut Bench, last: u8) -> (ConnId, Vec<u32>) {
    let (conn, said) = bench.meets(last, true);
    assert!(told(conn, &said).contains(&Message::HaveNone), "{said:?}");
    let said = bench.says(conn, Message::HaveNone);
    (conn, shown(conn, &said))
}

fn shown(conn: ConnId, said: &Said) -> Vec<u32> {
    told(conn, said)
        .into_iter()
        .filter_map(|message| match message {
            Message::Have(piece) => Some(piece),
            _ => None,
        })
        .collect()
}

#[test]
fn each_newcomer_is_shown_one_piece_and_all_of_them_different_ones() {
    let mut bench = seed();
    let mut seen: Vec<u32> = (1..=8)
        .map(|last| {
            let (_, shown) = newcomer(&mut bench, last);
            assert_eq!(shown.len(), 1);
            shown[0]
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..PIECES).collect::<Vec<_>>());
}

#[test]
fn the_next_piece_is_shown_when_another_peer_has_the_last_one() {
    let mut bench = seed();
    let (first, shown_first) = newcomer(&mut bench, 1);
    let (second, _) = newcomer(&mut bench, 2);
    let said = bench.says(first, Message::Have(shown_first[0]));
    assert_eq!(shown(first, &said), [] as [u32; 0], "that it has it itself shows nothing of its generosity");
    let said = bench.says(second, Message::Have(shown_first[0]));
    let next = shown(first, &said);
    assert_eq!(next.len(), 1);
    assert_ne!(next, shown_first);
}

#[test]
fn only_what_was_shown_is_given() {
    let mut bench = seed();
    let (conn, shown) = newcomer(&mut bench, 1);
    bench.says(conn, Message::Interested);
    let given = |said: &Said| said.iter().any(|output| matches!(output, Output::SendShare(..)));
    let block = |piece| BlockRef { piece, begin: 0, length: BLOCK_BYTES };
    let other = (shown[0] + 1) % PIECES;
    let said = bench.says(conn, Message::Request(block(other)));
    assert!(!given(&said) && told(conn, &said).contains(&Message::RejectRequest(block(other))), "{said:?}");
    assert!(given(&bench.says(conn, Message::Request(block(shown[0])))));
}

#[test]
fn who_is_alone_is_shown_the_next_piece_when_it_was_given_the_last() {
    let mut bench = seed();
    let (conn, first) = newcomer(&mut bench, 1);
    bench.says(conn, Message::Interested);
    let mut said = Said::new();
    for block in 0..BLOCKS {
        said.extend(bench.says(conn, Message::Request(BlockRef { piece: first[0], begin: block * BLOCK_BYTES, length: BLOCK_BYTES })));
    }
    assert_eq!(shown(conn, &said).len(), 1, "it does not say that it has what it knows us to have: {said:?}");
}

#[test]
fn a_peer_that_knows_nobody_is_not_left_with_one_piece() {
    let mut bench = seed();
    let (conn, first) = newcomer(&mut bench, 1);
    let (_, _) = newcomer(&mut bench, 2);
    bench.says(conn, Message::Have(first[0]));
    let mut said = Said::new();
    for _ in 0..40 {
        said.extend(bench.pass(Span::from_secs(1)));
    }
    assert_eq!(shown(conn, &said).len(), 1);
}

#[test]
fn when_others_cover_the_swarm_everything_is_shown() {
    let mut bench = seed();
    let (conn, first) = newcomer(&mut bench, 1);
    // Each piece is at two of three, none of whom has everything.
    for (last, bits) in [(2, 0b1111_1100), (3, 0b1100_1111), (4, 0b0011_1111)] {
        let (other, _) = bench.meets(last, true);
        bench.says(other, Message::Bitfield(vec![bits].into()));
    }
    let said = bench.pass(Span::from_secs(2));
    let mut seen = [shown(conn, &said), first].concat();
    seen.sort_unstable();
    assert_eq!(seen, (0..PIECES).collect::<Vec<_>>());
    let (late, said) = bench.meets(5, true);
    assert!(told(late, &said).contains(&Message::HaveAll), "{said:?}");
}

#[test]
fn it_does_not_say_that_it_only_gives() {
    let mut bench = seed();
    let (conn, said) = bench.meets(1, true);
    let extended = told(conn, &said).into_iter().find_map(|message| match message {
        Message::ExtendedHandshake(handshake) => Some(handshake),
        _ => None,
    });
    assert_eq!(extended.expect("an extended handshake").upload_only, None);
}

#[test]
fn who_shows_us_one_piece_after_the_other_hears_that_we_have_it() {
    let mut bench = Bench::joined(config(), PIECES).fetches();
    let (giver, _) = bench.meets(1, true);
    bench.says(giver, Message::HaveNone);
    bench.says(giver, Message::Have(5));
    let said = bench.says(giver, Message::Unchoke);
    bench.gives_all(giver, &said);
    assert_eq!(shown(giver, &bench.judged(5, hexad_core::Verdict::Good)), [5]);
    // A leecher like us, who has said what it has, knows that we have it from what it gave, and is not told.
    let (leecher, _) = bench.meets(2, true);
    bench.says(leecher, Message::HaveNone);
    bench.says(leecher, Message::Interested);
    bench.says(leecher, Message::Have(6));
    let said = bench.says(leecher, Message::Unchoke);
    bench.gives_all(leecher, &said);
    assert_eq!(shown(leecher, &bench.judged(6, hexad_core::Verdict::Good)), [] as [u32; 0]);
}
