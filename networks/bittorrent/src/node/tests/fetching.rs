use hexad_content::Ranges;
use hexad_core::{Input, Level, Operation, Progress, Span, Verdict};

use super::bench::*;
use crate::wire::{Message, MetadataMessage};

#[test]
fn a_torrent_is_described_fetched_and_done() {
    let mut bench = Bench::joined(config(), 4);
    let what = hexad_core::What::Torrent(bench.torrent.encode().into());
    let said = bench.starts_fetch(what, Vec::new());
    let [Progress::Described(description)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
    assert_eq!(description.layout, bench.torrent.info.layout);
    let total = bench.total();
    bench.leases(0..total);
    let (conn, said) = bench.meets_seed(1);
    let said = bench.gives_all(conn, &said);
    let mut blocks = delivered(&said);
    blocks.sort_unstable();
    assert_eq!(blocks.iter().map(|&(at, bytes)| at..at + bytes).collect::<Ranges>(), Ranges::of(0..total));
    assert_eq!(blocks.len(), 8, "each once");
    for piece in 0..3 {
        assert_eq!(reports(FETCH, &bench.judged(piece, Verdict::Good)), [] as [&Progress<_>; 0]);
    }
    let said = bench.judged(3, Verdict::Good);
    assert_eq!(reports(FETCH, &said), [&Progress::Done]);
}

#[test]
fn a_torrent_of_which_nothing_is_missing_is_done_at_once() {
    let mut bench = Bench::joined(config(), 4);
    let what = hexad_core::What::Torrent(bench.torrent.encode().into());
    bench.starts_fetch(what, Vec::new());
    let said = bench.hears(Input::Leased(LEASE, Ranges::new()));
    assert_eq!(reports(FETCH, &said), [&Progress::Done]);
}

#[test]
fn interest_is_shown_as_soon_as_a_peer_has_something_and_withdrawn_when_it_has_nothing() {
    let mut bench = Bench::joined(config(), 2).fetches();
    let (conn, _) = bench.meets(1, true);
    let said = bench.says(conn, Message::HaveNone);
    assert_eq!(told(conn, &said), []);
    let said = bench.says(conn, Message::Have(1));
    assert_eq!(told(conn, &said), [Message::Interested]);
    let said = bench.says(conn, Message::Unchoke);
    let asked = requests(conn, &said);
    assert_eq!(asked.len() as u32, BLOCKS);
    bench.gives_all(conn, &said);
    let said = bench.judged(1, Verdict::Good);
    assert!(told(conn, &said).contains(&Message::NotInterested));
}

#[test]
fn what_is_good_is_told_to_all_who_lack_it() {
    let mut bench = Bench::joined(config(), 2).fetches();
    let (seed, said) = bench.meets_seed(1);
    let (other, _) = bench.meets(2, true);
    bench.says(other, Message::HaveNone);
    bench.gives_all(seed, &said);
    let said = bench.judged(0, Verdict::Good);
    assert_eq!(told(other, &said), [Message::Have(0)]);
    assert!(!told(seed, &said).contains(&Message::Have(0)));
}

#[test]
fn a_choke_gives_the_blocks_to_others() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (slow, said) = bench.meets(1, false);
    assert!(told(slow, &said).len() >= 2, "our handshake and the extended one: {said:?}");
    bench.says(slow, Message::Bitfield(vec![0x80].into()));
    let said = bench.says(slow, Message::Unchoke);
    assert_eq!(requests(slow, &said).len(), 2);
    let said = bench.says(slow, Message::Choke);
    assert_eq!(requests(slow, &said), []);
    let (fast, said) = bench.meets_seed(2);
    assert_eq!(requests(fast, &said).len(), 2);
}

#[test]
fn with_the_fast_extension_a_choke_keeps_requests_until_they_are_rejected() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (first, said) = bench.meets_seed(1);
    let asked = requests(first, &said);
    bench.says(first, Message::Choke);
    let said = bench.gives(first, asked[0]);
    assert_eq!(delivered(&said).len(), 1, "a block that was on its way is taken");
    let (second, _) = bench.meets_seed(2);
    let said = bench.says(first, Message::RejectRequest(asked[1]));
    assert_eq!(requests(second, &said), [], "the second took it over in the endgame already");
    let said = bench.gives(second, asked[1]);
    assert_eq!(delivered(&said).len(), 1);
}

#[test]
fn in_the_endgame_the_loser_is_told() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (slow, said) = bench.meets_seed(1);
    let asked = requests(slow, &said);
    assert_eq!(asked.len(), 2);
    let (quick, said) = bench.meets_seed(2);
    let again = requests(quick, &said);
    assert!(!again.is_empty(), "an idle peer takes over what is under way");
    let said = bench.gives(quick, again[0]);
    assert_eq!(told(slow, &said), [Message::Cancel(again[0])]);
    let said = bench.gives(slow, again[0]);
    assert_eq!((delivered(&said), closed(slow, &said)), (vec![], None), "what crosses the cancel is no offence");
}

#[test]
fn a_peer_that_stops_giving_is_snubbed_after_a_minute() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (silent, said) = bench.meets_seed(1);
    let asked = requests(silent, &said);
    let said = bench.pass(Span::from_secs(62));
    let cancelled = told(silent, &said).into_iter().filter(|message| matches!(message, Message::Cancel(_))).count();
    assert_eq!(cancelled, asked.len());
    let (other, said) = bench.meets_seed(2);
    assert!(!requests(other, &said).is_empty());
}

#[test]
fn while_choked_what_is_allowed_is_asked_for() {
    let mut bench = Bench::joined(config(), 8).fetches();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::HaveAll);
    let said = bench.says(conn, Message::AllowedFast(5));
    let asked = requests(conn, &said);
    assert_eq!(asked.iter().map(|block| block.piece).collect::<Vec<_>>(), [5, 5]);
}

#[test]
fn a_link_becomes_a_torrent() {
    let mut bench = Bench::joined(config(), 3);
    let what = bench.link();
    bench.starts_fetch(what, Vec::new());
    let info = bench.torrent.info.bytes.clone();
    let size = u32::try_from(info.len()).unwrap();
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, Message::Bitfield(vec![0b1010_0000].into()));
    let said = bench.says(conn, bench.extended(Some(size)));
    assert_eq!(told(conn, &said), [Message::Metadata(MetadataMessage::Request { piece: 0 })]);
    let said = bench.says(conn, Message::Metadata(MetadataMessage::Data { piece: 0, total_bytes: size, data: info }));
    let [Progress::Described(description)] = reports(FETCH, &said)[..] else { panic!("{said:?}") };
    assert_eq!(description.layout, bench.torrent.info.layout);
    assert!(told(conn, &said).contains(&Message::Interested), "what it said before we could understand it counts");
    let total = bench.total();
    bench.leases(0..total);
    let said = bench.says(conn, Message::Unchoke);
    let mut pieces: Vec<u32> = requests(conn, &said).iter().map(|block| block.piece).collect();
    pieces.sort_unstable();
    assert_eq!(pieces, [0, 0, 2, 2]);
}

#[test]
fn wrong_metadata_costs_the_liar_its_place_and_another_is_asked() {
    let mut bench = Bench::joined(config(), 3);
    let what = bench.link();
    bench.starts_fetch(what, Vec::new());
    let info = bench.torrent.info.bytes.clone();
    let size = u32::try_from(info.len()).unwrap();
    let (liar, _) = bench.meets(1, true);
    bench.says(liar, bench.extended(Some(size)));
    let (honest, _) = bench.meets(2, true);
    bench.says(honest, bench.extended(Some(size)));
    let wrong = vec![0; info.len()].into();
    let said = bench.says(liar, Message::Metadata(MetadataMessage::Data { piece: 0, total_bytes: size, data: wrong }));
    assert_eq!(notes(Level::Ban, &said), ["wrong_metadata"]);
    assert_eq!(told(honest, &said), [Message::Metadata(MetadataMessage::Request { piece: 0 })]);
}

#[test]
fn a_link_that_nobody_answers_waits_and_can_be_cancelled() {
    let mut bench = Bench::joined(config(), 3);
    let what = bench.link();
    bench.starts_fetch(what, Vec::new());
    let said = bench.pass(Span::from_secs(600));
    assert_eq!(reports(FETCH, &said), [] as [&Progress<_>; 0]);
    let said = bench.hears(Input::Cancel(FETCH));
    assert_eq!(reports(FETCH, &said), [&Progress::Ended]);
}

#[test]
fn two_fetches_of_one_torrent_are_refused() {
    let mut bench = Bench::joined(config(), 3).fetches();
    let source = hexad_core::Source { what: bench.link(), peers: Vec::new() };
    let operation = Operation::Fetch { source, lease: hexad_core::LeaseId(9), share: hexad_core::ShareId(9) };
    let said = bench.hears(Input::Start(PUBLISH, operation));
    assert!(matches!(reports(PUBLISH, &said)[..], [Progress::Failed(_)]));
}

#[test]
fn a_new_lease_fetches_again_what_the_engine_may_have_forgotten() {
    let mut bench = Bench::joined(config(), 1).fetches();
    let (conn, said) = bench.meets_seed(1);
    bench.gives_all(conn, &said);
    let said = bench.hears(Input::Leased(LEASE, Ranges::new()));
    assert_eq!(requests(conn, &said), []);
    let said = bench.hears(Input::Leased(LEASE, Ranges::of(0..PIECE)));
    assert_eq!(requests(conn, &said).len(), 2);
}

#[test]
fn the_pipeline_is_filled_in_one_batch() {
    let mut bench = Bench::joined(config(), 200).fetches();
    let (conn, said) = bench.meets_seed(1);
    let first = requests(conn, &said).len();
    assert_eq!(first, 16);
    let mut asked = requests(conn, &said);
    let mut outstanding = asked.len();
    let mut most = outstanding;
    for _ in 0..300 {
        let block = asked.remove(0);
        let said = bench.gives(conn, block);
        let more = requests(conn, &said);
        outstanding = outstanding - 1 + more.len();
        most = most.max(outstanding);
        asked.extend(more);
        if asked.is_empty() {
            break;
        }
    }
    assert!(most >= 100, "{most} blocks under way");
}
