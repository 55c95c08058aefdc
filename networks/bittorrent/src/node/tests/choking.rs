//! Choking as it looks from outside, second by second: what is claimed of it (BT1, BT3, BT5).

use std::collections::VecDeque;

use hexad_core::{ConnId, Input, Map, Set, Span, Why};

use super::bench::*;
use crate::node::Config;
use crate::wire::{BlockRef, Message};

/// Peers that want something and have nearly everything, played second by second.
struct Crowd {
    bench: Bench,
    peers: Vec<ConnId>,
    asked: Map<ConnId, VecDeque<BlockRef>>,
    /// Second, who, and whether it was choked.
    changes: Vec<(u64, ConnId, bool)>,
    second: u64,
}

impl Crowd {
    /// A leecher among `count` such peers, who unchoke it where `giving`.
    fn new(config: Config, count: u8, giving: impl Fn(u8) -> bool) -> Self {
        let bench = Bench::joined(Config { swarm_connections_max: 50, ..config }, 200).fetches();
        let mut crowd = Self { bench, peers: Vec::new(), asked: Map::new(), changes: Vec::new(), second: 0 };
        for last in 1..=count {
            let (conn, said) = crowd.bench.meets(last, true);
            crowd.peers.push(conn);
            crowd.hear(&said);
            let bits = [vec![0xff; 24], vec![0xfe]].concat();
            for message in [Some(Message::Bitfield(bits.into())), Some(Message::Interested), giving(last).then_some(Message::Unchoke)] {
                let said = message.map(|message| crowd.bench.says(conn, message)).unwrap_or_default();
                crowd.hear(&said);
            }
        }
        crowd
    }

    fn hear(&mut self, said: &Said) {
        for &conn in &self.peers {
            assert_eq!(closed(conn, said), None);
            for message in told(conn, said) {
                match message {
                    Message::Choke | Message::Unchoke => self.changes.push((self.second, conn, message == Message::Choke)),
                    Message::Request(block) => self.asked.entry(conn).or_default().push_back(block),
                    Message::Cancel(block) => self.asked.entry(conn).or_default().retain(|asked| *asked != block),
                    _ => {}
                }
            }
        }
    }

    /// A second goes by; then those who are named give a block each, if they were asked for one.
    fn lives(&mut self, givers: &[usize]) {
        self.second += 1;
        let said = self.bench.pass(Span::from_secs(1));
        self.hear(&said);
        for conn in givers.iter().map(|&giver| self.peers[giver]).collect::<Vec<_>>() {
            if let Some(block) = self.asked.get_mut(&conn).and_then(VecDeque::pop_front) {
                let said = self.bench.gives(conn, block);
                self.hear(&said);
            }
        }
        if self.second.is_multiple_of(30) {
            for conn in self.peers.clone() {
                let said = self.bench.says(conn, Message::KeepAlive);
                self.hear(&said);
            }
        }
    }

    /// Who is unchoked after all changes up to that second.
    fn unchoked(&self, second: u64) -> Set<ConnId> {
        let mut unchoked = Set::new();
        for &(_, conn, choked) in self.changes.iter().filter(|(at, ..)| *at <= second) {
            if choked {
                unchoked.remove(&conn)
            } else {
                unchoked.insert(conn)
            };
        }
        unchoked
    }
}

/// BT1: whom we choke is decided every ten seconds, nobody is choked or unchoked twice inside, and but for that everything stays as it is. Who takes a place that
/// somebody has left does not wait for it.
#[test]
fn choking_is_decided_every_ten_seconds_and_at_no_other_time() {
    let mut crowd = Crowd::new(config(), 12, |_| true);
    for second in 0..300 {
        // Those who give best change every 25 s.
        let best = second / 25 * 3;
        crowd.lives(&[(best + second % 5) % 12, (best + second % 2) % 12]);
    }
    let steady: Vec<_> = crowd.changes.iter().filter(|(at, ..)| *at > 0).collect();
    let rounds: Set<u64> = steady.iter().map(|(at, ..)| *at).collect();
    assert!(rounds.iter().all(|at| at.is_multiple_of(10)), "{rounds:?}");
    assert!(rounds.len() >= 12, "there was cause to change something in most rounds: {rounds:?}");
    for conn in &crowd.peers {
        let of: Vec<u64> = crowd.changes.iter().filter(|(_, other, _)| other == conn).map(|(at, ..)| *at).collect();
        assert!(of.windows(2).all(|pair| pair[1] - pair[0] >= 10), "{of:?}");
    }
    for second in 0..=300 {
        assert!(crowd.unchoked(second).len() <= 5, "four by merit and one by chance");
    }
    // Second 303: somebody goes, and somebody has his place in the same breath.
    (0..3).for_each(|_| crowd.lives(&[]));
    let gone = *crowd.unchoked(303).first().unwrap();
    crowd.peers.retain(|conn| *conn != gone);
    let said = crowd.bench.hears(Input::Closed(gone, Why::PeerClosed));
    let given: Vec<&ConnId> = crowd.peers.iter().filter(|&&conn| told(conn, &said).contains(&Message::Unchoke)).collect();
    assert_eq!(given.len(), 1);
}

/// BT3: who is unchoked by chance has that place through three rounds, and then somebody else has it.
#[test]
fn the_place_by_chance_goes_to_another_with_every_third_round() {
    let mut crowd = Crowd::new(Config { upload_slots: 0, ..config() }, 8, |_| false);
    (0..600).for_each(|_| crowd.lives(&[]));
    let moves: Vec<u64> = crowd.changes.iter().filter(|(at, _, choked)| !choked && *at > 0).map(|(at, ..)| *at).collect();
    assert_eq!(moves, (1..=20).map(|round| round * 30).collect::<Vec<_>>());
    assert!((0..=600).all(|second| crowd.unchoked(second).len() == 1));
}

/// BT4: three by merit and one by chance are four uploads to who is interested; with a place by merit more, as it is unless somebody says so, five.
#[test]
fn three_places_by_merit_and_one_by_chance_are_four_uploads() {
    for (by_merit, uploads) in [(3, 4), (Config::default().upload_slots, 5)] {
        let mut crowd = Crowd::new(Config { upload_slots: by_merit, ..config() }, 12, |_| true);
        for second in 0..300 {
            let best = second / 25 * 3;
            crowd.lives(&[(best + second % 5) % 12, (best + second % 2) % 12]);
        }
        assert!((0..=300).all(|second| crowd.unchoked(second).len() == uploads), "{by_merit} by merit");
    }
}

/// BT5: who gives nothing for a minute though he is asked loses the place that he had earned, at the next round. Rates are remembered for long here, so that it is
/// the silence and nothing else that costs it.
#[test]
fn who_falls_silent_for_a_minute_loses_his_place_by_merit() {
    let long = Span::from_secs(100_000);
    let config = Config { upload_slots: 2, rate_window: long, optimistic_interval: long, ..config() };
    let mut crowd = Crowd::new(config, 6, |last| last <= 2);
    let [silent, steady] = [crowd.peers[0], crowd.peers[1]];
    (0..25).for_each(|_| crowd.lives(&[0, 0, 1]));
    for second in 25..300 {
        crowd.lives(if second % 20 == 0 { &[1] } else { &[] });
    }
    let choked = |who: ConnId| crowd.changes.iter().find(|(_, conn, choked)| *conn == who && *choked).map(|(at, ..)| *at);
    let at = choked(silent).expect("it has lost its place");
    assert!((25 + 60..=25 + 60 + 11).contains(&at), "{at}");
    assert!(!crowd.unchoked(300).contains(&silent), "and does not get it back");
    assert_eq!(choked(steady), None, "who gives less, but gives, keeps his");
    assert_eq!(crowd.unchoked(300).len(), 3, "somebody else has it");
}
