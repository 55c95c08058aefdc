//! Streams arrive whole and in order, whatever the line does, and end as they should.

use hexad_core::{Span, Time};
use hexad_utp::{Config, End};
use proptest::prelude::*;

use super::line::{Carries as _, Line, Manner, address, bytes};

fn settle(line: &mut Line, span: Span) {
    let until = line.after(span);
    while line.step(until) {}
}

#[test]
fn a_clean_line_is_filled() {
    let mut line = Line::new(Manner { queue_bytes: 4 << 20, ..Manner::default() }, &Config::default(), 1);
    let pair = line.connect();
    line.carry(pair, &bytes(10 << 20), Span::from_secs(10));
    let sent = bytes(20 << 20);
    let took = line.carry(pair, &sent, Span::from_secs(10));
    // Headers take 3.4 % of 10 MB/s, and the last bytes 50 ms to arrive.
    let rate = sent.len() as f64 / took.as_secs_f64();
    assert!(rate > 9_200_000.0, "{rate} bytes a second over a line of 10 MB/s and 100 ms");
    assert_eq!(line.lost, 0, "what nobody else fills is not overfilled");
}

#[test]
fn packets_become_as_long_as_the_line_carries_them_and_none_is_stuck() {
    for (mtu_bytes, least) in [(0, 1_472), (1_500, 1_472), (1_492, 1_448), (1_400, 1_356), (1_280, 1_232), (1_260, 1_232)] {
        for loss in [0, 200] {
            let manner = Manner { loss, queue_bytes: 4 << 20, ..Manner::default() };
            let mut line = Line::new(manner, &Config::default(), 21);
            line.mtu_bytes = mtu_bytes;
            let pair = line.connect();
            line.carry(pair, &bytes(20 << 20), Span::from_secs(400));
            let long = line.hubs[0].connection(pair.0).unwrap().packet_bytes();
            let most = if mtu_bytes == 0 { 1_472 } else { usize::try_from(mtu_bytes).unwrap() - 28 };
            assert!(long <= most && (loss > 0 || long >= least), "{mtu_bytes}: {long}");
            assert!(line.refused.is_empty(), "{:?}", line.refused);
            if loss == 0 {
                assert!(line.lost <= 20, "what was tried, and nothing else: {}", line.lost);
            }
        }
    }
}

#[test]
fn a_line_that_becomes_narrower_holds_nothing_up() {
    for (mtu_bytes, loss) in [(1_400, 0), (1_280, 0), (1_400, 200), (1_280, 200)] {
        let manner = Manner { loss, queue_bytes: 4 << 20, ..Manner::default() };
        let mut line = Line::new(manner, &Config::default(), 22);
        let pair = line.connect();
        line.carry(pair, &bytes(10 << 20), Span::from_secs(200));
        let long = |line: &Line| line.hubs[0].connection(pair.0).unwrap().packet_bytes();
        assert!(long(&line) == 1_472 || loss > 0, "{}", long(&line));

        // All that is under way is too long from now on.
        let sent = bytes(3 << 20);
        assert_eq!(line.hubs[0].write(pair.0, &sent), sent.len());
        let until = line.after(Span::from_millis(60));
        while line.step(until) {}
        line.mtu_bytes = mtu_bytes;
        let mut came = Vec::new();
        let until = line.after(Span::from_secs(if loss == 0 { 20 } else { 100 }));
        while came.len() < sent.len() {
            assert!(line.step(until), "{mtu_bytes}, {loss}: {} of {} bytes", came.len(), sent.len());
            line.drain(1, pair.1, &mut came);
        }
        assert!(came == sent);
        assert!(line.fragmented > 0, "what had a number was sent again as it was");
        line.carry(pair, &bytes(10 << 20), Span::from_secs(200));
        let most = usize::try_from(mtu_bytes).unwrap() - 28;
        assert!(long(&line) <= most, "{mtu_bytes}: {}", long(&line));
        let (fragmented, lost) = (line.fragmented, line.lost);
        line.carry(pair, &bytes(10 << 20), Span::from_secs(200));
        assert_eq!(line.fragmented, fragmented, "new ones are as short as they have to be");
        assert!(loss > 0 || line.lost - lost <= 20, "{} lost", line.lost - lost);
    }
}

#[test]
fn a_line_that_loses_some_is_not_taken_for_a_narrower_one() {
    let manner = Manner { loss: 50, queue_bytes: 1 << 18, ..Manner::default() };
    let mut line = Line::new(manner, &Config::default(), 23);
    let pair = line.connect();
    line.carry(pair, &bytes(2 << 20), Span::from_secs(400));
    while line.hubs[0].connection(pair.0).unwrap().packet_bytes() < 1_472 {
        line.carry(pair, &bytes(1 << 20), Span::from_secs(400));
    }
    for _ in 0..10 {
        line.carry(pair, &bytes(1 << 20), Span::from_secs(400));
        assert_eq!(line.hubs[0].connection(pair.0).unwrap().packet_bytes(), 1_472);
    }
}

#[test]
fn a_window_does_not_leave_at_once() {
    // Half a megabyte is under way, and a tenth of that finds room where the line begins.
    let manner = Manner { rate: 20_000_000, delay: Span::from_millis(12), queue_bytes: 70_000, ..Manner::default() };
    let mut line = Line::new(manner, &Config::default(), 13);
    let pair = line.connect();
    line.carry(pair, &bytes(20 << 20), Span::from_secs(60));
    let before = line.lost;
    for _ in 0..20 {
        // Somebody who writes a second's worth from time to time.
        settle(&mut line, Span::from_secs(2));
        line.carry(pair, &bytes(2 << 20), Span::from_secs(5));
    }
    let lost = line.lost - before;
    assert!(lost < 20 * 75, "{lost} of 30,000 packets lost");
}

#[test]
fn a_line_without_delay_whose_buffer_is_short_is_used_all_the_same() {
    // Loopback: the receiver's socket is the queue, and a round trip is next to nothing.
    let manner = Manner { rate: 100_000_000, delay: Span::from_micros(50), queue_bytes: 130_000, ..Manner::default() };
    let mut line = Line::new(manner, &Config::default(), 14);
    let pair = line.connect();
    let sent = bytes(64 << 20);
    let took = line.carry(pair, &sent, Span::from_secs(60));
    let rate = sent.len() as f64 / took.as_secs_f64();
    assert!(rate > 60_000_000.0, "{rate} of 100,000,000 bytes a second, {} packets lost", line.lost);
}

#[test]
fn a_line_that_loses_repeats_and_overtakes_costs_time_and_no_byte() {
    for (seed, loss, disorder) in [(1, 100, 0), (2, 20, 0), (3, 0, 10), (4, 50, 20)] {
        let manner = Manner { rate: 2_000_000, delay: Span::from_millis(20), loss, disorder, ..Manner::default() };
        let mut line = Line::new(manner, &Config::default(), seed);
        let pair = line.connect();
        line.carry(pair, &bytes(3 << 20), Span::from_secs(120));
    }
}

#[test]
fn a_short_queue_is_shared_with_loss_and_still_used() {
    let manner = Manner { rate: 2_000_000, delay: Span::from_millis(20), queue_bytes: 60_000, ..Manner::default() };
    let mut line = Line::new(manner, &Config::default(), 5);
    let pair = line.connect();
    let sent = bytes(20 << 20);
    let took = line.carry(pair, &sent, Span::from_secs(120));
    let rate = sent.len() as f64 / took.as_secs_f64();
    assert!(rate > 1_400_000.0, "{rate} of 2,000,000 bytes a second");
}

#[test]
fn both_ends_close_in_order_and_are_forgotten() {
    let mut line = Line::new(Manner { loss: 5, ..Manner::default() }, &Config::default(), 6);
    let (ours, theirs) = line.connect();
    line.carry((ours, theirs), &bytes(10_000), Span::from_secs(60));
    line.hubs[0].finish(ours);
    settle(&mut line, Span::from_secs(20));
    assert!(line.hubs[1].connection(theirs).unwrap().is_read_out());
    assert_eq!(line.hubs[1].connection(theirs).unwrap().end(), None, "it may go on sending");
    assert_eq!(line.hubs[1].write(theirs, b"goodbye"), 7);
    line.hubs[1].finish(theirs);
    settle(&mut line, Span::from_secs(30));
    let mut came = Vec::new();
    line.drain(0, ours, &mut came);
    assert_eq!(came, b"goodbye");
    assert_eq!(line.hubs[0].connection(ours).unwrap().end(), Some(End::InOrder));
    assert_eq!(line.hubs[1].connection(theirs).unwrap().end(), Some(End::InOrder));
    let now = line.now;
    line.hubs[0].release(ours, now);
    line.hubs[1].release(theirs, now);
    settle(&mut line, Span::from_secs(20));
    assert_eq!((line.hubs[0].connections(), line.hubs[1].connections()), (0, 0));
    assert_eq!((line.hubs[0].wake(), line.hubs[1].wake()), (None, None));
}

#[test]
fn what_was_written_before_a_connection_was_let_go_still_arrives() {
    let mut line = Line::new(Manner::default(), &Config::default(), 7);
    let (ours, theirs) = line.connect();
    let sent = bytes(100_000);
    assert_eq!(line.hubs[0].write(ours, &sent), sent.len());
    let now = line.now;
    line.hubs[0].release(ours, now);
    settle(&mut line, Span::from_secs(5));
    let mut came = Vec::new();
    line.drain(1, theirs, &mut came);
    assert!(came == sent && line.hubs[1].connection(theirs).unwrap().is_read_out());
}

#[test]
fn a_reader_that_pauses_stops_the_sender_and_not_the_connection() {
    let config = Config { receive_bytes_max: 50_000, ..Config::default() };
    let mut line = Line::new(Manner::default(), &config, 8);
    let (ours, theirs) = line.connect();
    let sent = bytes(200_000);
    assert_eq!(line.hubs[0].write(ours, &sent), sent.len());
    settle(&mut line, Span::from_secs(200));
    let waiting = line.hubs[1].connection(theirs).unwrap().readable_bytes();
    assert!((40_000..=50_000).contains(&waiting), "{waiting}");
    assert_eq!(line.hubs[0].connection(ours).unwrap().end(), None);
    let mut came = Vec::new();
    let until = line.after(Span::from_secs(10));
    while came.len() < sent.len() {
        line.drain(1, theirs, &mut came);
        assert!(line.step(until), "{} bytes", came.len());
    }
    assert!(came == sent);
}

#[test]
fn a_peer_that_vanishes_is_given_up_and_a_silent_one_is_not() {
    let mut line = Line::new(Manner::default(), &Config::default(), 9);
    let (ours, theirs) = line.connect();
    settle(&mut line, Span::from_secs(600));
    assert_eq!((line.hubs[0].connection(ours).unwrap().end(), line.hubs[1].connection(theirs).unwrap().end()), (None, None));
    line.manner.loss = 1;
    line.hubs[0].write(ours, b"anybody there?");
    settle(&mut line, Span::from_secs(200));
    assert_eq!(line.hubs[0].connection(ours).unwrap().end(), Some(End::TimedOut));
}

#[test]
fn dialling_nobody_fails() {
    let mut line = Line::new(Manner { loss: 1, ..Manner::default() }, &Config::default(), 10);
    let now = line.now;
    let ours = line.hubs[0].connect(address(1), now).unwrap();
    settle(&mut line, Span::from_secs(200));
    assert_eq!(line.hubs[0].connection(ours).unwrap().end(), Some(End::TimedOut));
}

#[test]
fn a_peer_that_has_forgotten_us_says_so() {
    let mut line = Line::new(Manner::default(), &Config::default(), 11);
    let (ours, _) = line.connect();
    line.hubs[1] = hexad_utp::Hub::new(Config::default(), hexad_core::Dice::counter(99, 99));
    line.hubs[0].write(ours, b"still there?");
    settle(&mut line, Span::from_secs(1));
    assert_eq!(line.hubs[0].connection(ours).unwrap().end(), Some(End::Reset));
}

#[test]
fn one_seed_gives_one_history() {
    let run = || {
        let mut line = Line::new(Manner { loss: 30, disorder: 30, ..Manner::default() }, &Config::default(), 12);
        let pair = line.connect();
        let took = line.carry(pair, &bytes(2 << 20), Span::from_secs(60));
        (took, line.lost, line.now)
    };
    assert_eq!(run(), run());
    assert!(run().2 > Time::ZERO);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_line_that_lets_something_through_carries_everything(
        seed in any::<u64>(),
        rate in 20_000_u64..50_000_000,
        delay_ms in 0_u64..400,
        queue_bytes in 5_000_u64..500_000,
        loss in prop_oneof![Just(0), 8_u64..1_000],
        disorder in prop_oneof![Just(0), 2_u64..100],
        length in 1_usize..60_000,
    ) {
        let manner = Manner { rate, delay: Span::from_millis(delay_ms), queue_bytes, loss, disorder };
        let mut line = Line::new(manner, &Config::default(), seed);
        let pair = line.connect();
        line.carry(pair, &bytes(length), Span::from_secs(600));
    }
}
