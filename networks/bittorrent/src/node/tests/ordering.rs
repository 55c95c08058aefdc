use hexad_content::Ranges;
use hexad_core::{ConnId, Input, OpId, Operation, Span, Verdict};

use super::bench::*;
use crate::node::{Order, Request};

const OWN: OpId = OpId(9);

fn orders(bench: &mut Bench, order: Order) {
    bench.hears(Input::Start(OWN, Operation::Own(Request::Order(SHARE, order))));
}

fn reads(bench: &mut Bench, bytes: std::ops::Range<u64>) -> Said {
    bench.hears(Input::Start(OWN, Operation::Own(Request::Reader(SHARE, Some(bytes)))))
}

fn at(piece: u32) -> u64 {
    u64::from(piece) * PIECE
}

/// The pieces that are asked of a peer as long as it gives what is asked for, each once.
fn order_of(bench: &mut Bench, conn: ConnId, said: &Said) -> Vec<u32> {
    let mut queue: std::collections::VecDeque<_> = requests(conn, said).into();
    let mut order = Vec::new();
    while let Some(block) = queue.pop_front() {
        if !order.contains(&block.piece) {
            order.push(block.piece);
        }
        let said = bench.gives(conn, block);
        queue.extend(requests(conn, &said));
    }
    order
}

#[test]
fn in_sequence_the_first_comes_first() {
    let mut bench = Bench::joined(config(), 30).fetches();
    orders(&mut bench, Order { sequential: true, ..Order::default() });
    let (conn, said) = bench.meets_seed(1);
    let order = order_of(&mut bench, conn, &said);
    assert_eq!(order, (0..30).collect::<Vec<_>>());
}

#[test]
fn an_order_that_is_given_before_the_torrent_is_known_holds() {
    let mut bench = Bench::joined(config(), 30);
    let link = bench.link();
    bench.starts_fetch(link, Vec::new());
    orders(&mut bench, Order { sequential: true, ..Order::default() });
    let (conn, _) = bench.meets(1, true);
    bench.says(conn, crate::wire::Message::HaveAll);
    let info = bench.torrent.info.bytes.clone();
    let size = u32::try_from(info.len()).unwrap();
    let extended = bench.extended(Some(size));
    bench.says(conn, extended);
    bench.says(conn, crate::wire::Message::Metadata(crate::wire::MetadataMessage::Data { piece: 0, total_bytes: size, data: info }));
    let total = bench.total();
    bench.leases(0..total);
    let said = bench.says(conn, crate::wire::Message::Unchoke);
    assert_eq!(order_of(&mut bench, conn, &said), (0..30).collect::<Vec<_>>());
}

#[test]
fn what_is_wanted_first_comes_before_the_rest_and_what_is_wanted_last_after_it() {
    let mut bench = Bench::joined(config(), 30).fetches();
    // Half of piece 12 belongs to what can wait, so it does not wait.
    let order = Order { sequential: false, first: Ranges::of(at(20)..at(23)), last: Ranges::of(at(5)..at(12) + PIECE / 2) };
    orders(&mut bench, order);
    let (conn, said) = bench.meets_seed(1);
    let order = order_of(&mut bench, conn, &said);
    let sorted = |part: &[u32]| part.iter().copied().collect::<hexad_core::Set<u32>>().into_iter().collect::<Vec<_>>();
    assert_eq!(sorted(&order[..3]), [20, 21, 22]);
    assert_eq!(sorted(&order[23..]), [5, 6, 7, 8, 9, 10, 11]);
}

#[test]
fn a_reader_is_served_in_order_from_where_it_reads() {
    let mut bench = Bench::joined(config(), 30).fetches();
    reads(&mut bench, at(10)..at(16));
    let (conn, said) = bench.meets_seed(1);
    let order = order_of(&mut bench, conn, &said);
    assert_eq!(order[..6], [10, 11, 12, 13, 14, 15]);
    assert_eq!(order.len(), 30, "and the rest as ever");
}

#[test]
fn a_reader_that_jumps_is_served_where_it_lands() {
    let mut bench = Bench::joined(config(), 60).fetches();
    reads(&mut bench, at(0)..at(8));
    let (conn, said) = bench.meets_seed(1);
    let first = requests(conn, &said);
    assert!(first.iter().all(|block| block.piece < 8), "{first:?}");
    reads(&mut bench, at(40)..at(48));
    let mut next = Vec::new();
    for block in first {
        let said = bench.gives(conn, block);
        next.extend(requests(conn, &said));
    }
    let order: Vec<u32> = next.iter().map(|block| block.piece).collect();
    assert_eq!(order[..16], [40, 40, 41, 41, 42, 42, 43, 43, 44, 44, 45, 45, 46, 46, 47, 47]);
}

#[test]
fn what_a_reader_waits_for_is_asked_of_a_second_peer_and_what_comes_later_is_not() {
    let mut bench = Bench::joined(config(), 60).fetches();
    reads(&mut bench, at(0)..at(2));
    let (slow, said) = bench.meets_seed(1);
    assert_eq!(requests(slow, &said)[..4].iter().map(|block| block.piece).collect::<Vec<_>>(), [0, 0, 1, 1]);
    let (quick, said) = bench.meets_seed(2);
    let asked = requests(quick, &said);
    assert_eq!(asked.iter().filter(|block| block.piece == 0).count(), 2, "{asked:?}");
    assert_eq!(asked.iter().filter(|block| block.piece == 1).count(), 0, "{asked:?}");
    let said = bench.gives(quick, asked[0]);
    assert!(told(slow, &said).contains(&crate::wire::Message::Cancel(asked[0])), "{said:?}");
}

#[test]
fn without_a_reader_everything_is_as_before() {
    let mut bench = Bench::joined(config(), 60).fetches();
    reads(&mut bench, at(0)..at(8));
    bench.hears(Input::Start(OWN, Operation::Own(Request::Reader(SHARE, None))));
    let (conn, said) = bench.meets_seed(1);
    let order = order_of(&mut bench, conn, &said);
    assert_ne!(order[..8], [0, 1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(order.len(), 60);
    for piece in 0..60 {
        bench.judged(piece, Verdict::Good);
    }
    bench.pass(Span::from_secs(1));
}
