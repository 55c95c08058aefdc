//! Transcripts of a tracker with its peers, the wicked ones among them.

use super::*;
use hexad_core::Output;

use crate::wire::TrackerAnnounce;

const TORRENT: [u8; 20] = [7; 20];

/// A tracker on a table.
struct Bench {
    tracker: TrackerRole,
    now: Time,
    dice: Dice,
}

fn config() -> TrackerConfig {
    TrackerConfig {
        udp: None,
        torrents_max: 100,
        torrent_peers_max: 1000,
        interval: Span::from_secs(1800),
        peer_expiry: Span::from_secs(2700),
        requests_per_minute_max: 100_000,
    }
}

impl Bench {
    fn new(config: TrackerConfig) -> Self {
        let mut dice = Dice::counter(21, 0);
        Self { tracker: TrackerRole::new(config, &mut dice), now: Time::ZERO, dice }
    }

    fn announces(&mut self, peer: &str, left: u64, event: TrackerEvent) -> Result<PeerTold, TrackerRefusal> {
        self.announces_to(TORRENT, peer, left, event)
    }

    fn announces_to(&mut self, info_hash: [u8; 20], peer: &str, left: u64, event: TrackerEvent) -> Result<PeerTold, TrackerRefusal> {
        let announce = PeerAnnounce { info_hash, peer: peer.parse().unwrap(), left, event, peers_wanted: None };
        self.tracker.announce(&announce, self.now, &mut self.dice)
    }

    fn scrapes(&mut self, from: &str, info_hashes: &[[u8; 20]]) -> Result<Vec<ScrapeCounts>, TrackerRefusal> {
        self.tracker.scrape(from.parse().unwrap(), info_hashes, self.now, &mut self.dice)
    }

    fn hears(&mut self, from: &str, datagram: TrackerDatagram) -> Option<TrackerDatagram> {
        let mut out = Outbox::new();
        let from: SocketAddr = from.parse().unwrap();
        self.tracker.on_datagram(from, &datagram, self.now, &mut self.dice, &mut out);
        let mut answers = out.drain().filter_map(|output| match output {
            Output::Send(Link::Datagram(doors::TRACKER, Endpoint::Ip(to)), Message::Tracker(answer)) if to == from => Some(*answer),
            Output::Note(_) => None,
            other => panic!("{other:?}"),
        });
        let answer = answers.next();
        assert!(answers.next().is_none());
        answer
    }

    fn connects(&mut self, from: &str) -> u64 {
        match self.hears(from, TrackerDatagram::ConnectRequest { transaction: 5 }) {
            Some(TrackerDatagram::ConnectAnswer { transaction: 5, connection }) => connection,
            other => panic!("{other:?}"),
        }
    }

    fn sweeps(&mut self) {
        let mut out = Outbox::new();
        for _ in 0..4 {
            self.tracker.on_timer(self.now, &mut out);
        }
    }
}

fn announce_request(connection: u64, port: u16, left: u64) -> TrackerDatagram {
    let announce = TrackerAnnounce {
        info_hash: TORRENT,
        peer_id: [1; 20],
        downloaded: 0,
        left,
        uploaded: 0,
        event: TrackerEvent::Started,
        key: 1,
        peers_wanted: None,
        port,
        url_path: String::new(),
    };
    TrackerDatagram::AnnounceRequest { connection, transaction: 6, announce }
}

fn counts(seeders: u32, completed: u32, leechers: u32) -> ScrapeCounts {
    ScrapeCounts { seeders, completed, leechers }
}

#[test]
fn peers_learn_of_each_other_but_not_of_themselves() {
    let mut bench = Bench::new(config());
    let first = bench.announces("192.0.2.1:1", 5, TrackerEvent::Started).unwrap();
    assert_eq!((first.peers, first.counts), (vec![], counts(0, 0, 1)));
    let second = bench.announces("192.0.2.2:2", 0, TrackerEvent::Started).unwrap();
    assert_eq!((second.peers, second.counts), (vec!["192.0.2.1:1".parse().unwrap()], counts(1, 0, 1)));
    let six = bench.announces("[2001:db8::1]:3", 5, TrackerEvent::Started).unwrap();
    assert_eq!(six.peers.len(), 2);
    let again = bench.announces("192.0.2.1:1", 5, TrackerEvent::None).unwrap();
    assert_eq!(again.peers.iter().map(SocketAddr::port).collect::<Vec<_>>(), [2, 3], "its own family first");
    assert_eq!(again.interval, Span::from_secs(1800));
}

#[test]
fn a_seed_is_not_told_of_seeds() {
    let mut bench = Bench::new(config());
    bench.announces("192.0.2.1:1", 0, TrackerEvent::Started).unwrap();
    bench.announces("192.0.2.2:2", 1, TrackerEvent::Started).unwrap();
    let told = bench.announces("192.0.2.3:3", 0, TrackerEvent::Started).unwrap();
    assert_eq!(told.peers, ["192.0.2.2:2".parse().unwrap()]);
}

/// aria2 with a magnet link says at first that nothing is left, and would never meet anybody.
#[test]
fn who_begins_as_a_seed_is_told_of_seeds_where_there_is_nobody_else() {
    let mut bench = Bench::new(config());
    bench.announces("192.0.2.1:1", 0, TrackerEvent::Started).unwrap();
    assert_eq!(bench.announces("192.0.2.2:2", 0, TrackerEvent::Started).unwrap().peers, ["192.0.2.1:1".parse().unwrap()]);
    assert_eq!(bench.announces("192.0.2.2:2", 0, TrackerEvent::None).unwrap().peers, []);
}

#[test]
fn completions_count_once_and_counts_follow_who_comes_and_goes() {
    let mut bench = Bench::new(config());
    bench.announces("192.0.2.1:1", 5, TrackerEvent::Started).unwrap();
    for _ in 0..3 {
        assert_eq!(bench.announces("192.0.2.1:1", 0, TrackerEvent::Completed).unwrap().counts, counts(1, 1, 0));
    }
    assert_eq!(bench.announces("192.0.2.1:1", 0, TrackerEvent::Stopped).unwrap().counts, counts(0, 1, 0));
    assert_eq!(bench.announces("192.0.2.1:1", 0, TrackerEvent::Stopped).unwrap().counts, counts(0, 1, 0));
    assert_eq!(bench.scrapes("192.0.2.1", &[TORRENT, [9; 20]]), Ok(vec![counts(0, 1, 0), counts(0, 0, 0)]));
    assert_eq!(bench.announces_to([9; 20], "192.0.2.1:1", 0, TrackerEvent::Stopped).unwrap().counts, counts(0, 0, 0));
    assert_eq!(bench.tracker.totals().torrents, 1, "who leaves a torrent that is not known does not make it known");
}

#[test]
fn who_is_silent_is_forgotten() {
    let mut bench = Bench::new(config());
    for n in 1..=100_u8 {
        bench.announces(&format!("192.0.2.{n}:1"), u64::from(n % 2), TrackerEvent::Started).unwrap();
    }
    bench.announces("[2001:db8::1]:3", 0, TrackerEvent::Started).unwrap();
    bench.now = Time::ZERO + Span::from_secs(2000);
    bench.announces("192.0.2.1:1", 1, TrackerEvent::None).unwrap();
    bench.now = Time::ZERO + Span::from_secs(2720);
    let told = bench.announces("192.0.2.200:1", 1, TrackerEvent::Started).unwrap();
    assert_eq!(told.peers, ["192.0.2.1:1".parse().unwrap()], "the expired are not handed out, swept or not");
    bench.sweeps();
    assert_eq!(bench.scrapes("192.0.2.1", &[TORRENT]), Ok(vec![counts(0, 0, 2)]));
    assert_eq!(bench.tracker.totals().expired, 100);
    bench.now = Time::ZERO + Span::from_secs(6000);
    bench.sweeps();
    assert_eq!(bench.tracker.totals().torrents, 0);
}

#[test]
fn bounds_hold() {
    let mut bench = Bench::new(TrackerConfig { torrents_max: 3, torrent_peers_max: 100, ..config() });
    for n in 0..3 {
        bench.announces_to([n; 20], "192.0.2.1:1", 5, TrackerEvent::Started).unwrap();
    }
    assert_eq!(bench.announces_to([3; 20], "192.0.2.1:1", 5, TrackerEvent::Started), Err(TrackerRefusal::Full));
    for n in 0..1000_u32 {
        bench.now = Time::ZERO + Span::from_secs(u64::from(n));
        let [_, _, c, d] = n.to_be_bytes();
        bench.announces_to([0; 20], &format!("198.51.{c}.{d}:1"), u64::from(n % 2), TrackerEvent::Started).unwrap();
    }
    let all = bench.scrapes("192.0.2.1", &[[0; 20]]).unwrap()[0];
    assert_eq!((all.seeders, all.leechers), (50, 50));
    let told = bench.announces_to([0; 20], "192.0.2.77:1", 5, TrackerEvent::Started).unwrap();
    assert!(told.peers.iter().all(|peer| peer.to_string().as_str() > "198.51.3."), "those who announced last have stayed: {told:?}");
    let peer = "192.0.2.99:1".parse().unwrap();
    let greedy = PeerAnnounce { info_hash: [0; 20], peer, left: 1, event: TrackerEvent::None, peers_wanted: Some(u32::MAX) };
    assert!(bench.tracker.announce(&greedy, bench.now, &mut bench.dice).unwrap().peers.len() <= 200);
    assert_eq!(bench.announces("192.0.2.1:0", 5, TrackerEvent::Started), Err(TrackerRefusal::Port));
    assert_eq!(bench.scrapes("192.0.2.1", &[]), Err(TrackerRefusal::ScrapeSize(0)));
    assert_eq!(bench.scrapes("192.0.2.1", &[[0; 20]; 75]), Err(TrackerRefusal::ScrapeSize(75)));
}

#[test]
fn an_address_that_asks_too_often_is_refused_and_others_are_not() {
    let mut bench = Bench::new(TrackerConfig { requests_per_minute_max: 3, ..config() });
    for _ in 0..3 {
        bench.announces("192.0.2.1:1", 5, TrackerEvent::None).unwrap();
    }
    assert_eq!(bench.announces("192.0.2.1:2", 5, TrackerEvent::None), Err(TrackerRefusal::TooOften));
    assert_eq!(bench.scrapes("192.0.2.1", &[TORRENT]), Err(TrackerRefusal::TooOften), "a scrape costs as much");
    bench.announces("192.0.2.2:1", 5, TrackerEvent::None).unwrap();
    bench.scrapes("192.0.2.2", &[TORRENT]).unwrap();
    assert_eq!(bench.tracker.totals().refused, 2);
}

#[test]
fn by_datagram_only_who_has_connected_is_served() {
    let mut bench = Bench::new(config());
    let id = bench.connects("192.0.2.1:9");
    assert_eq!(bench.hears("192.0.2.2:9", announce_request(id, 1, 5)), None, "an id of another address");
    assert_eq!(bench.hears("192.0.2.1:9", announce_request(id ^ 1, 1, 5)), None, "an invented id");
    let scrape = |connection| TrackerDatagram::ScrapeRequest { connection, transaction: 7, info_hashes: vec![TORRENT] };
    assert_eq!(bench.hears("192.0.2.2:9", scrape(id)), None);
    let Some(TrackerDatagram::AnnounceAnswer { transaction: 6, interval_s: 1800, leechers: 1, seeders: 0, peers }) =
        bench.hears("192.0.2.1:10", announce_request(id, 1, 5))
    else {
        panic!("an id holds for all ports of its address")
    };
    assert!(peers.is_empty());
    bench.now = Time::ZERO + Span::from_secs(121);
    assert_eq!(bench.hears("192.0.2.1:9", announce_request(id, 1, 5)), None, "an id of long ago");
    let id = bench.connects("192.0.2.2:9");
    let Some(TrackerDatagram::AnnounceAnswer { peers, .. }) = bench.hears("192.0.2.2:9", announce_request(id, 1, 0)) else { panic!() };
    assert_eq!(peers[..], [192, 0, 2, 1, 0, 1]);
    assert_eq!(
        bench.hears("192.0.2.2:9", scrape(id)),
        Some(TrackerDatagram::ScrapeAnswer { transaction: 7, counts: vec![counts(1, 0, 1)] })
    );
    assert!(matches!(bench.hears("192.0.2.2:9", announce_request(id, 0, 5)), Some(TrackerDatagram::Error { transaction: 6, .. })));
    assert_eq!(
        bench.hears("192.0.2.2:9", TrackerDatagram::Error { transaction: 1, message: String::new() }),
        None,
        "answers are not answered"
    );
}

#[test]
fn a_datagram_carries_peers_of_its_own_family() {
    let mut bench = Bench::new(config());
    bench.announces("192.0.2.1:1", 5, TrackerEvent::Started).unwrap();
    bench.announces("[2001:db8::1]:1", 5, TrackerEvent::Started).unwrap();
    let id = bench.connects("[2001:db8::2]:9");
    let Some(TrackerDatagram::AnnounceAnswer { peers, .. }) = bench.hears("[2001:db8::2]:9", announce_request(id, 1, 5)) else { panic!() };
    assert_eq!(peers.len(), 18);
    let id = bench.connects("[::ffff:192.0.2.9]:9");
    let Some(TrackerDatagram::AnnounceAnswer { peers, .. }) = bench.hears("[::ffff:192.0.2.9]:9", announce_request(id, 1, 5)) else {
        panic!()
    };
    assert_eq!(peers[..], [192, 0, 2, 1, 0, 1]);
}

#[test]
fn a_million_peers_take_few_bytes_each() {
    let mut bench = Bench::new(TrackerConfig { torrents_max: 1_000_000, torrent_peers_max: 1_000_000, ..config() });
    let mut dice = Dice::counter(1, 9);
    let peers = 200_000_u32;
    for n in 0..peers {
        let ip = std::net::Ipv4Addr::from_bits(0x1000_0000 + n * 17);
        let mut info_hash = [0; 20];
        info_hash[0] = u8::try_from(dice.below(5)).unwrap();
        let announce =
            PeerAnnounce { info_hash, peer: SocketAddr::from((ip, 6881)), left: 1, event: TrackerEvent::Started, peers_wanted: Some(0) };
        bench.tracker.announce(&announce, bench.now, &mut bench.dice).unwrap();
    }
    let totals = bench.tracker.totals();
    assert_eq!(totals.peers_v4, peers as usize);
    let bytes = totals.peer_bytes / peers as usize;
    assert!(bytes <= 20, "{bytes} bytes a peer");
}
