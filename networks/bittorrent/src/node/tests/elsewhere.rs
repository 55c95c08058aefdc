use hexad_content::Ranges;
use hexad_core::{ConnId, Input, Output, Verdict};

use super::bench::*;
use crate::wire::Message;

fn at(piece: u32) -> u64 {
    u64::from(piece) * PIECE
}

fn brought(bench: &mut Bench, pieces: std::ops::Range<u32>) -> Said {
    bench.hears(Input::Elsewhere(LEASE, Ranges::of(at(pieces.start)..at(pieces.end))))
}

fn claims(said: &Said) -> Vec<Ranges> {
    said.iter().filter_map(|output| if let Output::Claim(LEASE, ranges) = output { Some(ranges.clone()) } else { None }).collect()
}

fn pieces_asked(conn: ConnId, said: &Said) -> hexad_core::Set<u32> {
    requests(conn, said).into_iter().map(|block| block.piece).collect()
}

#[test]
fn who_is_alone_in_a_download_says_nothing_of_what_it_asks_for() {
    let mut bench = Bench::joined(config(), 30).fetches();
    let (conn, said) = bench.meets_seed(1);
    assert!(!requests(conn, &said).is_empty() && claims(&said).is_empty());
    let all = bench.gives_all(conn, &said);
    assert!(claims(&all).is_empty());
}

#[test]
fn what_other_networks_bring_is_not_asked_for_until_it_is_given_back() {
    let mut bench = Bench::joined(config(), 30).fetches();
    assert_eq!(brought(&mut bench, 10..30), []);
    let (conn, mut said) = bench.meets_seed(1);
    let mut all = said.clone();
    all.extend(bench.gives_all(conn, &said));
    assert_eq!(pieces_asked(conn, &all), (0..10).collect());
    let said_so = claims(&all);
    assert_eq!(said_so.iter().flat_map(|claim| claim.iter().collect::<Vec<_>>()).collect::<Ranges>(), Ranges::of(0..at(10)));
    assert_eq!(said_so.iter().filter(|claim| claim.is_empty()).count(), 1, "that there is nothing left is said once: {said_so:?}");
    said = brought(&mut bench, 20..30);
    all = said.clone();
    all.extend(bench.gives_all(conn, &said));
    assert_eq!(pieces_asked(conn, &all), (10..20).collect());
}

#[test]
fn what_was_under_way_before_others_came_is_claimed_and_what_they_bring_of_it_is_taken_back() {
    let mut bench = Bench::joined(config(), 30).fetches();
    let (conn, said) = bench.meets_seed(1);
    let asked = requests(conn, &said);
    let begun = asked[0];
    bench.gives(conn, begun);
    let said = brought(&mut bench, 0..30);
    let cancelled: hexad_core::Set<u32> = told(conn, &said)
        .into_iter()
        .filter_map(|message| if let Message::Cancel(block) = message { Some(block.piece) } else { None })
        .collect();
    assert!(!cancelled.is_empty() && !cancelled.contains(&begun.piece), "{cancelled:?}");
    assert_eq!(claims(&said)[0], Ranges::of(at(begun.piece)..at(begun.piece + 1)));
}

#[test]
fn a_download_that_others_complete_is_done() {
    let mut bench = Bench::joined(config(), 3).fetches();
    brought(&mut bench, 0..3);
    bench.meets_seed(1);
    let said: Vec<Said> = (0..3).map(|piece| bench.judged(piece, Verdict::Good)).collect();
    assert_eq!(reports(FETCH, &said[2]).len(), 1);
}
