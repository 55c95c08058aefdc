use hexad_core::{ConnId, Input, Operation, Output, Progress, Span};

use super::bench::*;
use crate::node::{Config, Reply, Request};
use crate::wire::frames::BLOCK_BYTES;
use crate::wire::{BlockRef, Message, MetadataMessage};

fn block(piece: u32, block: u32) -> BlockRef {
    BlockRef { piece, begin: block * BLOCK_BYTES, length: BLOCK_BYTES }
}

/// A peer that has nothing and wants everything.
fn hungry(bench: &mut Bench, last: u8, fast: bool) -> (ConnId, Said) {
    let (conn, mut said) = bench.meets(last, fast);
    if fast {
        said.extend(bench.says(conn, Message::HaveNone));
    }
    said.extend(bench.says(conn, Message::Interested));
    (conn, said)
}

fn sent(said: &Said) -> Vec<(ConnId, std::ops::Range<u64>)> {
    said.iter()
        .filter_map(|output| match output {
            Output::SendShare(conn, Message::Piece { .. }, SHARE, range) => Some((*conn, range.clone())),
            _ => None,
        })
        .collect()
}

#[test]
fn a_seed_says_what_it_has_and_gives_what_is_asked_for() {
    let mut bench = Bench::joined(config(), 20).seeds();
    let (conn, said) = hungry(&mut bench, 1, true);
    let told = told(conn, &said);
    assert!(matches!(told[..], [Message::Handshake(_), Message::HaveAll, Message::ExtendedHandshake(_), ..]), "{told:?}");
    assert!(told.contains(&Message::Unchoke), "a free slot waits for no round");
    let said = bench.says(conn, Message::Request(block(3, 1)));
    let start = 3 * PIECE + u64::from(BLOCK_BYTES);
    assert_eq!(sent(&said), [(conn, start..start + u64::from(BLOCK_BYTES))]);
}

#[test]
fn without_the_fast_extension_a_bitfield_says_it() {
    let mut bench = Bench::joined(config(), 9).seeds();
    let (conn, said) = hungry(&mut bench, 1, false);
    assert!(told(conn, &said).contains(&Message::Bitfield(vec![0xff, 0x80].into())));
    assert!(!told(conn, &said).iter().any(|message| matches!(message, Message::AllowedFast(_) | Message::HaveAll)));
}

#[test]
fn four_are_given_to_by_merit_and_one_by_chance() {
    let mut bench = Bench::joined(config(), 20).seeds();
    let unchoked = (1..=8).filter(|&last| {
        let (conn, said) = hungry(&mut bench, last, true);
        told(conn, &said).contains(&Message::Unchoke)
    });
    assert_eq!(unchoked.count(), 5);
}

#[test]
fn a_slot_that_becomes_free_is_taken_at_once() {
    let mut bench = Bench::joined(config(), 20).seeds();
    let peers: Vec<ConnId> = (1..=6).map(|last| hungry(&mut bench, last, true).0).collect();
    let said = bench.hears(Input::Closed(peers[0], hexad_core::Why::PeerClosed));
    assert!(matches!(told(peers[5], &said)[..], [Message::SuggestPiece(_), Message::Unchoke]), "{said:?}");
}

/// What a seed suggests to a peer as it gives it a turn.
fn suggested(conn: ConnId, said: &Said) -> u32 {
    match told(conn, said)[..] {
        [.., Message::SuggestPiece(piece), Message::Unchoke] => piece,
        ref other => panic!("a suggestion and a turn, and not {other:?}"),
    }
}

#[test]
fn a_seed_gives_what_nobody_has_in_turns_of_one_piece_and_each_piece_to_another() {
    let mut bench = Bench::joined(Config { upload_slots: 1, ..config() }, 3).seeds();
    let mut turns = Vec::new();
    let mut waiting = Vec::new();
    for last in 1..=4 {
        let (conn, said) = hungry(&mut bench, last, true);
        if told(conn, &said).contains(&Message::Unchoke) { turns.push((conn, suggested(conn, &said))) } else { waiting.push(conn) }
    }
    assert_eq!((turns.len(), waiting.len()), (2, 2), "one by merit and one by chance");
    bench.pass(Span::from_secs(1));
    let (conn, piece) = turns[0];
    let mut said = Said::new();
    for number in 0..BLOCKS {
        assert!(!told(conn, &said).contains(&Message::Choke), "the piece is not whole");
        said = bench.says(conn, Message::Request(block(piece, number)));
        assert_eq!(sent(&said).len(), 1);
    }
    assert!(told(conn, &said).contains(&Message::Choke), "its turn was of one piece");
    let next = waiting[0];
    let pieces: hexad_core::Set<u32> = [piece, turns[1].1, suggested(next, &said)].into();
    assert_eq!(pieces.len(), 3, "nobody is suggested what another has, or is being given");
}

/// A seed of what others have too, that has given so many bytes, with a peer that has a piece and asks for ten blocks, of which the host has the first four,
/// and one that has nothing and asks for its first piece.
fn one_waits_for_a_first_piece(given_before: u64) -> (Bench, ConnId, ConnId) {
    let mut bench = Bench::joined(config(), 20).seeds();
    let (other, _) = bench.meets(9, true);
    bench.says(other, Message::HaveAll);
    let [old, another] = [1, 3].map(|last| hungry(&mut bench, last, true).0);
    for conn in [old, another] {
        bench.says(conn, Message::Have(0));
    }
    let asked: Said = (1..11).flat_map(|piece| bench.says(old, Message::Request(block(piece, 0)))).collect();
    assert_eq!(sent(&asked).len(), 4, "the host takes a second's worth");
    bench.hears(Input::Sent(another, given_before));
    bench.pass(Span::from_secs(1));
    let (new, said) = hungry(&mut bench, 2, true);
    assert!(told(new, &said).contains(&Message::Unchoke));
    let said: Said = (0..BLOCKS).flat_map(|number| bench.says(new, Message::Request(block(7, number)))).collect();
    assert_eq!(sent(&said).len(), BLOCKS as usize);
    (bench, old, new)
}

const A_BLOCK: u64 = BLOCK_BYTES as u64;

#[test]
fn who_has_nothing_is_given_its_first_piece_while_others_wait() {
    let (mut bench, old, new) = one_waits_for_a_first_piece(0);
    assert_eq!(sent(&bench.hears(Input::Sent(old, A_BLOCK))), [], "it waits");
    for left in (1..BLOCKS).rev() {
        assert_eq!(sent(&bench.hears(Input::Sent(new, A_BLOCK))), [], "{left} blocks of the first piece are to leave");
    }
    let said = bench.hears(Input::Sent(new, A_BLOCK));
    assert!(!sent(&said).is_empty() && sent(&said).iter().all(|(conn, _)| *conn == old), "the other goes on: {said:?}");
    bench.says(new, Message::Request(block(8, 0)));
    let said = bench.hears(Input::Sent(old, A_BLOCK));
    assert_eq!(sent(&said).len(), 1, "nobody comes first twice");
}

#[test]
fn nobody_waits_for_who_takes_nothing_or_is_gone() {
    let (mut bench, old, _) = one_waits_for_a_first_piece(0);
    assert_eq!(sent(&bench.hears(Input::Sent(old, A_BLOCK))), []);
    assert_eq!(sent(&bench.pass(Span::from_secs(2))), []);
    assert_eq!(sent(&bench.pass(Span::from_secs(2))).len(), 1, "nothing has left for three seconds");

    let (mut bench, old, new) = one_waits_for_a_first_piece(0);
    assert_eq!(sent(&bench.hears(Input::Sent(old, A_BLOCK))), []);
    let said = bench.hears(Input::Closed(new, hexad_core::Why::PeerClosed));
    assert_eq!(sent(&said).len(), 1);
}

#[test]
fn on_a_fast_uplink_others_wait_for_a_moment_only() {
    let (mut bench, old, _) = one_waits_for_a_first_piece(1 << 30);
    bench.pass(Span::from_millis(5));
    assert_eq!(sent(&bench.hears(Input::Sent(old, A_BLOCK))).len(), 1, "two pieces have had the time to leave");
}

#[test]
fn on_an_uplink_too_slow_for_a_piece_nobody_comes_first() {
    let (mut bench, old, _) = one_waits_for_a_first_piece(1000);
    assert_eq!(sent(&bench.hears(Input::Sent(old, A_BLOCK))).len(), 1, "a piece would take half a minute");
}

#[test]
fn what_others_have_is_not_suggested() {
    let mut bench = Bench::joined(config(), 20).seeds();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveAll);
    let (conn, said) = hungry(&mut bench, 2, true);
    assert!(told(conn, &said).contains(&Message::Unchoke));
    assert!(!told(conn, &said).iter().any(|message| matches!(message, Message::SuggestPiece(_))));
}

#[test]
fn who_is_choked_is_told_no_but_for_what_it_is_allowed() {
    let mut bench = Bench::joined(Config { upload_slots: 1, ..config() }, 20).seeds();
    hungry(&mut bench, 1, true);
    hungry(&mut bench, 2, true);
    let (slow, said) = hungry(&mut bench, 3, false);
    assert!(!told(slow, &said).contains(&Message::Unchoke));
    let said = bench.says(slow, Message::Request(block(0, 0)));
    assert_eq!((sent(&said), told(slow, &said)), (vec![], vec![]), "without the fast extension a request while choked is simply dropped");
    let (choked, said) = hungry(&mut bench, 4, true);
    assert!(!told(choked, &said).contains(&Message::Unchoke));
    let said = bench.says(choked, Message::Request(block(0, 0)));
    assert_eq!(told(choked, &said), [Message::RejectRequest(block(0, 0))]);
}

#[test]
fn a_poor_peer_may_ask_for_five_pieces_while_choked() {
    let mut bench = Bench::joined(Config { upload_slots: 1, ..config() }, 40).seeds();
    // Not of a seed that has what nobody else has: the set is the same for many.
    let (other, said) = bench.meets(9, true);
    assert!(!told(other, &said).iter().any(|message| matches!(message, Message::AllowedFast(_))));
    bench.says(other, Message::HaveAll);
    let (conn, said) = bench.meets(1, true);
    assert_eq!(closed(conn, &said), None);
    let said = bench.says(conn, Message::HaveNone);
    let allowed: Vec<u32> = told(conn, &said)
        .iter()
        .filter_map(|message| if let Message::AllowedFast(piece) = message { Some(*piece) } else { None })
        .collect();
    assert_eq!(allowed.len(), 5);
    let said = bench.says(conn, Message::Request(block(allowed[2], 0)));
    assert_eq!(sent(&said).len(), 1, "it never showed interest and is choked");
    let (other, _) = bench.meets(2, true);
    let said = bench.says(other, Message::HaveNone);
    assert_eq!(told(other, &said), [], "only so many at a time: with one slot, one");
}

#[test]
fn a_cancel_is_answered_and_a_choke_answers_all_that_wait() {
    let mut bench = Bench::joined(Config { upload_slots: 1, ..config() }, 40).seeds();
    let (conn, _) = hungry(&mut bench, 1, true);
    // The host takes a second's worth at first: four blocks. The others wait here.
    let said: Said = (0..8).flat_map(|piece| bench.says(conn, Message::Request(block(piece, 0)))).collect();
    assert_eq!(sent(&said).len(), 4);
    let said = bench.says(conn, Message::Cancel(block(5, 0)));
    assert_eq!(told(conn, &said), [Message::RejectRequest(block(5, 0))]);
    let said = bench.hears(Input::Sent(conn, u64::from(BLOCK_BYTES)));
    assert_eq!(sent(&said).len(), 1, "as one leaves, the next follows");
    let status = bench.hears(Input::Start(FETCH, Operation::Own(Request::Swarms)));
    let [Progress::Own(Reply::Swarms(swarms)), Progress::Done] = reports(FETCH, &status)[..] else { panic!("{status:?}") };
    assert_eq!((swarms[0].uploaded_bytes, swarms[0].peers_connected), (u64::from(BLOCK_BYTES), 1));
    let said = bench.hears(Input::Cancel(PUBLISH));
    assert_eq!(closed(conn, &said).as_deref(), Some("swarm_left"));
    assert_eq!(reports(PUBLISH, &said), [&Progress::Ended]);
}

#[test]
fn what_is_not_there_is_not_given() {
    let mut bench = Bench::joined(config(), 4);
    let half = bench.share(hexad_content::Ranges::of(0..2 * PIECE));
    bench.talk.shares = bench.talk.shares.with(SHARE, half);
    bench.hears(Input::Start(PUBLISH, Operation::Publish { share: SHARE }));
    let (conn, said) = hungry(&mut bench, 1, true);
    assert!(told(conn, &said).contains(&Message::Bitfield(vec![0b1100_0000].into())));
    let said = bench.says(conn, Message::Request(block(3, 0)));
    assert_eq!((sent(&said), told(conn, &said)), (vec![], vec![Message::RejectRequest(block(3, 0))]));
}

#[test]
fn metadata_is_given_to_who_asks_and_not_without_end() {
    let mut bench = Bench::joined(config(), 4).seeds();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, bench.extended(None));
    let info = bench.torrent.info.bytes.clone();
    let data = Message::Metadata(MetadataMessage::Data { piece: 0, total_bytes: u32::try_from(info.len()).unwrap(), data: info });
    let ask = |bench: &mut Bench, piece| {
        let said = bench.says(conn, Message::Metadata(MetadataMessage::Request { piece }));
        told(conn, &said)
    };
    assert_eq!(ask(&mut bench, 0), [data]);
    assert_eq!(ask(&mut bench, 1), [Message::Metadata(MetadataMessage::Reject { piece: 1 })], "there is no such block");
    let rejected = |answer: &[Message]| matches!(answer, [Message::Metadata(MetadataMessage::Reject { .. })]);
    let given = (0..10_000).take_while(|_| !rejected(&ask(&mut bench, 0))).count();
    assert!(given < 500, "{given} blocks at once");
    bench.pass(Span::from_secs(5));
    assert!(!rejected(&ask(&mut bench, 0)));
}

#[test]
fn the_optimistic_unchoke_moves_on_every_thirty_seconds() {
    let mut bench = Bench::joined(Config { upload_slots: 1, ..config() }, 20).seeds();
    let peers: Vec<ConnId> = (1..=8).map(|last| hungry(&mut bench, last, true).0).collect();
    let mut lucky = hexad_core::Set::new();
    for _ in 0..8 {
        // They stay alive.
        for &conn in &peers {
            bench.says(conn, Message::KeepAlive);
        }
        let said = bench.pass(Span::from_secs(31));
        lucky.extend(peers.iter().filter(|&&conn| told(conn, &said).contains(&Message::Unchoke)).copied());
    }
    assert!(lucky.len() >= 4, "{lucky:?}");
}
