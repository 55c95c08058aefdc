//! Transcripts of a client with its trackers: what it says, what they answer, what they had better not.

use super::*;
use hexad_core::{AskFailure, HttpResponse, Link, Name, Output};

use crate::doors;
use crate::node::Timer;
use crate::wire::Message;

const SWARM: [u8; 20] = [7; 20];
const TRACKER: &str = "192.0.2.1:6969";

/// A client on a table.
struct Bench {
    trackers: Trackers,
    now: Time,
    dice: Dice,
    standing: Standing,
    wakes: Vec<(Time, TrackersTimer)>,
    notes: Vec<&'static str>,
}

impl Bench {
    fn new(announce_to_all: bool) -> Self {
        let mut dice = Dice::counter(11, 0);
        let standing = Standing {
            peer_id: [1; 20],
            listen: Some("0.0.0.0:6881".parse().unwrap()),
            uploaded: 1,
            downloaded: 2,
            left: 3,
            peers_wanted: 200,
            obfuscation: true,
        };
        Self { trackers: Trackers::new(announce_to_all, &mut dice), now: Time::ZERO, dice, standing, wakes: Vec::new(), notes: Vec::new() }
    }

    /// Does something and returns what the client wants of the world, and what it tells the swarm.
    fn does<T>(&mut self, act: impl FnOnce(&mut Trackers, Standings<'_>, Time, &mut Dice, &mut Outbox<Node>) -> T) -> (Vec<Said>, T) {
        let mut out = Outbox::new();
        let standing = self.standing.clone();
        let told = act(&mut self.trackers, &|_| Some(standing.clone()), self.now, &mut self.dice, &mut out);
        let mut said = Vec::new();
        for output in out.drain() {
            match output {
                Output::Wake(at, Timer::Trackers(timer)) => self.wakes.push((at, timer)),
                Output::Send(Link::Datagram(doors::DATAGRAMS, Endpoint::Ip(to)), Message::Tracker(datagram)) => {
                    said.push(Said::Datagram(to, *datagram))
                }
                Output::Send(Link::Datagram(doors::DATAGRAMS, Endpoint::Name(to)), Message::Tracker(datagram)) => {
                    said.push(Said::Named(to, *datagram))
                }
                Output::Ask(ticket, Ask::Http(request)) => said.push(Said::Http(ticket, request.url)),
                Output::Ask(ticket, Ask::Resolve(name)) => said.push(Said::Resolve(ticket, name)),
                Output::Note(note) => self.notes.push(note.code),
                other => panic!("{other:?}"),
            }
        }
        (said, told)
    }

    fn adds(&mut self, tiers: &[&[&str]]) -> Vec<Said> {
        self.adds_as(tiers, false)
    }

    fn adds_as(&mut self, tiers: &[&[&str]], private: bool) -> Vec<Said> {
        let tiers: Vec<Vec<String>> = tiers.iter().map(|tier| tier.iter().map(|&url| url.into()).collect()).collect();
        self.does(|trackers, standings, now, dice, out| trackers.add(SWARM, &tiers, private, standings, now, dice, out)).0
    }

    fn hears(&mut self, from: &str, datagram: TrackerDatagram) -> (Vec<Said>, Vec<TrackerNews>) {
        let from = from.parse().unwrap();
        let (said, news) =
            self.does(|trackers, standings, now, dice, out| trackers.on_datagram(from, &datagram, standings, now, dice, out));
        (said, news.into_iter().map(|(swarm, news)| (assert_eq!(swarm, SWARM), news).1).collect())
    }

    fn is_answered(&mut self, ticket: Ticket, answer: Answer) -> (Vec<Said>, Vec<TrackerNews>) {
        assert!(Trackers::owns(ticket));
        let (said, news) = self.does(|trackers, standings, now, dice, out| trackers.on_answer(ticket, answer, standings, now, dice, out));
        (said, news.into_iter().map(|(_, news)| news).collect())
    }

    fn is_answered_by_http(&mut self, ticket: Ticket, status: u16, body: &str) -> (Vec<Said>, Vec<TrackerNews>) {
        let body = Payload::from(bytes::Bytes::copy_from_slice(body.as_bytes()));
        self.is_answered(ticket, Answer::Http(Box::new(HttpResponse { status, retry_after_s: None, moved_to: None, body })))
    }

    /// Lets time go by; what was said, with the second in which it was.
    fn passes(&mut self, span: Span) -> Vec<(u64, Said)> {
        let until = self.now + span;
        let mut all = Vec::new();
        while let Some(next) = (0..self.wakes.len()).filter(|&i| self.wakes[i].0 <= until).min_by_key(|&i| (self.wakes[i].0, i)) {
            let (at, timer) = self.wakes.remove(next);
            self.now = self.now.max(at);
            let (said, _) = self.does(|trackers, standings, now, dice, out| trackers.on_timer(timer, standings, now, dice, out));
            all.extend(said.into_iter().map(|said| (at.as_micros() / 1_000_000, said)));
        }
        self.now = until;
        all
    }

    /// Answers the connect request in `said`, and the announce that follows with `peers`; returns the announce and the news.
    fn serves_udp(&mut self, said: &[Said], interval_s: u32, peers: &[u8]) -> (TrackerAnnounce, Vec<TrackerNews>) {
        let [Said::Datagram(to, TrackerDatagram::ConnectRequest { transaction })] = said else { panic!("{said:?}") };
        let to = to.to_string();
        let (said, _) = self.hears(&to, TrackerDatagram::ConnectAnswer { transaction: *transaction, connection: 42 });
        let [Said::Datagram(_, TrackerDatagram::AnnounceRequest { connection: 42, transaction, announce })] = &said[..] else {
            panic!("{said:?}")
        };
        let answer = TrackerDatagram::AnnounceAnswer {
            transaction: *transaction,
            interval_s,
            leechers: 3,
            seeders: 4,
            peers: peers.to_vec().into(),
        };
        let (_, news) = self.hears(&to, answer);
        (announce.clone(), news)
    }
}

/// What the client wants of the world.
#[derive(Clone, Debug, PartialEq)]
enum Said {
    Datagram(SocketAddr, TrackerDatagram),
    Named(Name, TrackerDatagram),
    Http(Ticket, String),
    Resolve(Ticket, Name),
}

fn http_url(said: &[Said]) -> (Ticket, &str) {
    let [Said::Http(ticket, url)] = said else { panic!("{said:?}") };
    (*ticket, url)
}

const PEERS: &[u8] = &[192, 0, 2, 9, 0x1a, 0xe1];

#[test]
fn a_udp_tracker_is_asked_at_once_and_again_after_its_interval() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://192.0.2.1:6969/announce"]]);
    let (announce, news) = bench.serves_udp(&said, 1000, PEERS);
    assert_eq!((announce.event, announce.left, announce.port, announce.peers_wanted), (TrackerEvent::Started, 3, 6881, Some(200)));
    assert_eq!(announce.url_path, "/announce");
    assert_eq!(news, [TrackerNews::Peers(vec!["192.0.2.9:6881".parse().unwrap()])]);
    assert_eq!(bench.trackers.counts(&SWARM), (Some(4), Some(3)));
    assert!(bench.passes(Span::from_secs(999)).is_empty());
    let said = bench.passes(Span::from_secs(2));
    assert_eq!(said.len(), 1);
    assert_eq!(said[0].0, 1000);
    let (announce, _) = bench.serves_udp(&[said[0].1.clone()], 1000, &[]);
    assert_eq!(announce.event, TrackerEvent::None);
}

#[test]
fn a_connection_id_serves_all_torrents_for_a_minute() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://192.0.2.1:6969/announce"]]);
    let other: [u8; 20] = [8; 20];
    let tiers = [vec!["udp://192.0.2.1:6969/announce".to_owned()]];
    let (waiting, ()) = bench.does(|trackers, standings, now, dice, out| trackers.add(other, &tiers, false, standings, now, dice, out));
    assert!(waiting.is_empty(), "one connect request is enough");
    let [Said::Datagram(_, TrackerDatagram::ConnectRequest { transaction })] = said[..] else { panic!("{said:?}") };
    let (said, _) = bench.hears(TRACKER, TrackerDatagram::ConnectAnswer { transaction, connection: 42 });
    assert_eq!(said.len(), 2);
    let (said, ()) = bench.does(|trackers, standings, now, dice, out| trackers.add([9; 20], &tiers, false, standings, now, dice, out));
    assert!(matches!(said[..], [Said::Datagram(_, TrackerDatagram::AnnounceRequest { connection: 42, .. })]));
    bench.now = Time::ZERO + Span::from_secs(60);
    let (said, ()) = bench.does(|trackers, standings, now, dice, out| trackers.add([10; 20], &tiers, false, standings, now, dice, out));
    assert!(matches!(said[..], [Said::Datagram(_, TrackerDatagram::ConnectRequest { .. })]));
}

#[test]
fn only_the_tracker_itself_can_answer() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://192.0.2.1:6969/announce"]]);
    let [Said::Datagram(_, TrackerDatagram::ConnectRequest { transaction })] = said[..] else { panic!("{said:?}") };
    let connect = |transaction| TrackerDatagram::ConnectAnswer { transaction, connection: 42 };
    for (from, datagram) in [
        ("192.0.2.2:6969", connect(transaction)),
        ("192.0.2.1:6970", connect(transaction)),
        (TRACKER, connect(transaction ^ 1)),
        (TRACKER, TrackerDatagram::AnnounceAnswer { transaction, interval_s: 1, leechers: 1, seeders: 1, peers: PEERS.into() }),
        (TRACKER, TrackerDatagram::ConnectRequest { transaction }),
    ] {
        assert_eq!(bench.hears(from, datagram), (vec![], vec![]));
    }
    assert_eq!(bench.notes, ["tracker_datagram_unasked"; 5]);
    let (said, _) = bench.hears(TRACKER, connect(transaction));
    assert_eq!(said.len(), 1);
    assert_eq!(bench.hears(TRACKER, connect(transaction)).0, [], "an answer counts once");
}

#[test]
fn a_lost_datagram_is_repeated_and_a_dead_tracker_is_left_after_15_seconds() {
    let mut bench = Bench::new(false);
    bench.adds(&[&["udp://192.0.2.1:6969"], &["udp://192.0.2.2:6969"]]);
    let said = bench.passes(Span::from_secs(16));
    let to: Vec<(u64, String)> = said
        .iter()
        .map(|(at, said)| {
            (*at, matches!(said, Said::Datagram(to, _) if { let _ = to; true }).then(|| format!("{said:?}")).unwrap_or_default())
        })
        .collect();
    assert_eq!(to.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [5, 10, 15]);
    assert!(to[2].1.contains("192.0.2.2"), "{to:?}");
    let status = bench.trackers.status(&SWARM);
    assert_eq!((status[0].fails, status[0].failure.as_deref()), (1, Some("no answer")));
    assert_eq!(bench.notes, ["tracker_failed"]);
}

#[test]
fn a_name_is_resolved_and_both_families_are_asked() {
    let mut bench = Bench::new(false);
    bench.standing.listen = Some("[::]:6881".parse().unwrap());
    let said = bench.adds(&[&["udp://t.example:6969/announce"]]);
    let [Said::Resolve(ticket, name)] = &said[..] else { panic!("{said:?}") };
    assert_eq!((name.host.as_str(), name.port), ("t.example", 6969));
    let ips = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "127.0.0.1"].map(|ip| ip.parse().unwrap());
    let (said, _) = bench.is_answered(*ticket, Answer::Resolved(ips.to_vec()));
    let [
        Said::Datagram(four, TrackerDatagram::ConnectRequest { transaction }),
        Said::Datagram(six, TrackerDatagram::ConnectRequest { transaction: t6 }),
    ] = &said[..]
    else {
        panic!("{said:?}")
    };
    assert_eq!((four.to_string().as_str(), six.to_string().as_str()), (TRACKER, "[2001:db8::1]:6969"));
    bench.hears(TRACKER, TrackerDatagram::Error { transaction: *transaction, message: "no".into() });
    assert_eq!(bench.trackers.status(&SWARM)[0].fails, 0, "the other family may still answer");
    let (said, _) = bench.hears("[2001:db8::1]:6969", TrackerDatagram::ConnectAnswer { transaction: *t6, connection: 1 });
    let [Said::Datagram(_, TrackerDatagram::AnnounceRequest { transaction, .. })] = &said[..] else { panic!("{said:?}") };
    let mut peer = "2001:db8::9".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec();
    peer.extend([0x1a, 0xe1]);
    let answer =
        TrackerDatagram::AnnounceAnswer { transaction: *transaction, interval_s: 1800, leechers: 0, seeders: 0, peers: peer.into() };
    let (_, news) = bench.hears("[2001:db8::1]:6969", answer);
    assert_eq!(news, [TrackerNews::Peers(vec!["[2001:db8::9]:6881".parse().unwrap()])]);
}

#[test]
fn a_name_that_only_a_proxy_looks_up_is_asked_as_it_is_and_answers_by_its_id() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://t.example:6969/announce"]]);
    let [Said::Resolve(ticket, _)] = &said[..] else { panic!("{said:?}") };
    let (said, _) = bench.is_answered(*ticket, Answer::Failed(AskFailure::Forbidden("the proxy does that".into())));
    let [Said::Named(name, TrackerDatagram::ConnectRequest { transaction })] = &said[..] else { panic!("{said:?}") };
    assert_eq!((name.host.as_str(), name.port), ("t.example", 6969));
    let guessed = TrackerDatagram::ConnectAnswer { transaction: transaction ^ 1, connection: 666 };
    assert_eq!(bench.hears(TRACKER, guessed).0.len(), 0);
    let (said, _) = bench.hears(TRACKER, TrackerDatagram::ConnectAnswer { transaction: *transaction, connection: 42 });
    let [Said::Named(_, TrackerDatagram::AnnounceRequest { connection: 42, transaction, .. })] = &said[..] else { panic!("{said:?}") };
    let peers = bytes::Bytes::from_static(PEERS);
    let answer = TrackerDatagram::AnnounceAnswer { transaction: *transaction, interval_s: 1800, leechers: 0, seeders: 1, peers };
    assert_eq!(bench.hears(TRACKER, answer).1, [TrackerNews::Peers(vec!["192.0.2.9:6881".parse().unwrap()])]);
}

#[test]
fn only_a_name_of_the_local_network_leads_into_it() {
    let calls = |url: &str, ip: &str| {
        let mut bench = Bench::new(false);
        let said = bench.adds(&[&[url]]);
        let [Said::Resolve(ticket, _)] = &said[..] else { panic!("{said:?}") };
        let (said, _) = bench.is_answered(*ticket, Answer::Resolved(vec![ip.parse().unwrap()]));
        assert_eq!(bench.trackers.status(&SWARM)[0].fails, u32::from(said.is_empty()));
        !said.is_empty()
    };
    for inside in ["127.0.0.1", "::ffff:127.0.0.1", "192.168.0.1", "10.1.2.3", "169.254.169.254"] {
        assert!(!calls("udp://evil.example:53/", inside) && !calls("udp://evil.example:53/announce", inside), "{inside}");
    }
    assert!(calls("udp://tracker.example:53/", "192.0.2.1"));
    assert!(calls("udp://tracker.lan:6969", "192.168.0.1") && calls("udp://nas:6969", "10.1.2.3"));
    assert!(!calls("udp://nas:6969", "127.0.0.1") && calls("udp://nas:6969/announce", "127.0.0.1"));
    assert!(calls("udp://localhost:6969", "127.0.0.1"));
}

#[test]
fn a_lying_tracker_is_bounded() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://192.0.2.1:6969"]]);
    let mut peers = Vec::new();
    for bad in [[127, 0, 0, 1], [0, 0, 0, 0], [255, 255, 255, 255], [224, 0, 0, 1]] {
        peers.extend(bad);
        peers.extend([0x1a, 0xe1]);
    }
    for port in [0, 80, 1023_u16] {
        for host in [[192, 0, 2, 9], [192, 168, 0, 1], [10, 0, 0, 1]] {
            peers.extend(host);
            peers.extend(port.to_be_bytes());
        }
    }
    for n in 0..60_000_u16 {
        peers.extend([198, 51, (n >> 8) as u8, n as u8, 4, 0]);
    }
    let (_, news) = bench.serves_udp(&said, u32::MAX, &peers);
    let [TrackerNews::Peers(taken)] = &news[..] else { panic!("{news:?}") };
    assert_eq!(taken.len(), PEERS_MAX);
    assert!(taken.iter().all(|peer| peer.to_string().starts_with("198.51.") && peer.port() == 1024));
    assert_eq!(bench.notes, ["tracker_peers_undialable", "tracker_peers_dropped"]);
    assert_eq!(bench.passes(Span::from_secs(6 * 3600 + 1)).len(), 1, "a huge interval is not believed");
}

/// Torrents of one tracker share one connect request and its repetitions, and each says how it stands when its announce leaves.
#[test]
fn many_torrents_knock_at_a_tracker_once() {
    let mut bench = Bench::new(false);
    let add = |bench: &mut Bench, number: u8| {
        let tiers = [vec![format!("udp://{TRACKER}")]];
        bench.does(|trackers, standings, now, dice, out| trackers.add([number; 20], &tiers, false, standings, now, dice, out)).0
    };
    let said: Vec<Said> = (0..100).flat_map(|number| add(&mut bench, number)).collect();
    assert!(matches!(&said[..], [Said::Datagram(_, TrackerDatagram::ConnectRequest { .. })]), "{said:?}");
    let said = bench.passes(Span::from_secs(14));
    assert_eq!(said.iter().map(|(second, _)| *second).collect::<Vec<_>>(), [5, 10]);
    // One who comes late has more patience than those who were first.
    assert!(add(&mut bench, 100).is_empty());
    let said = bench.passes(Span::from_secs(2));
    let [(15, Said::Datagram(to, TrackerDatagram::ConnectRequest { transaction }))] = &said[..] else { panic!("{said:?}") };
    assert_eq!(bench.notes, ["tracker_failed"; 100]);
    bench.standing.left = 0;
    let answer = TrackerDatagram::ConnectAnswer { transaction: *transaction, connection: 42 };
    let (said, _) = bench.hears(&to.to_string(), answer);
    let [Said::Datagram(_, TrackerDatagram::AnnounceRequest { announce, .. })] = &said[..] else { panic!("{said:?}") };
    assert_eq!((announce.info_hash, announce.left, announce.event), ([100; 20], 0, TrackerEvent::Started));
}

/// Two torrents, and a tracker that answers the second connect request: each announces once, and is answered.
#[test]
fn who_has_waited_is_as_patient_as_who_has_asked() {
    let mut bench = Bench::new(false);
    let tiers = [vec![format!("udp://{TRACKER}")]];
    for number in [1, 2] {
        bench.does(|trackers, standings, now, dice, out| trackers.add([number; 20], &tiers, false, standings, now, dice, out));
    }
    let said = bench.passes(Span::from_secs(6));
    let [(5, Said::Datagram(to, TrackerDatagram::ConnectRequest { transaction }))] = &said[..] else { panic!("{said:?}") };
    let to = to.to_string();
    let (said, _) = bench.hears(&to, TrackerDatagram::ConnectAnswer { transaction: *transaction, connection: 42 });
    let asked = |said: &Said| match said {
        Said::Datagram(_, TrackerDatagram::AnnounceRequest { transaction, announce, .. }) => (*transaction, announce.info_hash),
        other => panic!("{other:?}"),
    };
    let asked: Vec<_> = said.iter().map(asked).collect();
    assert_eq!(asked.iter().map(|(_, swarm)| swarm[0]).collect::<Vec<_>>(), [1, 2]);
    assert!(bench.passes(Span::from_secs(4)).is_empty());
    for (transaction, _) in asked {
        let peers = bytes::Bytes::new();
        let answer = TrackerDatagram::AnnounceAnswer { transaction, interval_s: 1800, leechers: 0, seeders: 1, peers };
        let from = to.parse().unwrap();
        bench.does(|trackers, standings, now, dice, out| trackers.on_datagram(from, &answer, standings, now, dice, out));
    }
    for swarm in [1, 2] {
        assert!(bench.trackers.status(&[swarm; 20])[0].working, "{swarm}");
    }
    assert!(bench.notes.is_empty(), "{:?}", bench.notes);
}

/// What a tracker answers to one who asks for a connection id, it says to all who wait for it: nobody goes on asking.
#[test]
fn a_tracker_that_refuses_is_asked_once() {
    let mut bench = Bench::new(false);
    let tiers = [vec![format!("udp://{TRACKER}")]];
    let add = |bench: &mut Bench, number: u8| {
        bench.does(|trackers, standings, now, dice, out| trackers.add([number; 20], &tiers, false, standings, now, dice, out)).0
    };
    let said: Vec<Said> = (0..10).flat_map(|number| add(&mut bench, number)).collect();
    let [Said::Datagram(to, TrackerDatagram::ConnectRequest { transaction })] = &said[..] else { panic!("{said:?}") };
    let from = *to;
    let refusal = TrackerDatagram::Error { transaction: *transaction, message: "overloaded".into() };
    let (said, _) = bench.does(|trackers, standings, now, dice, out| trackers.on_datagram(from, &refusal, standings, now, dice, out));
    assert!(said.is_empty(), "{said:?}");
    assert!((0..10).all(|number| bench.trackers.status(&[number; 20])[0].failure.as_deref() == Some("overloaded")));
    // Each waits before it asks again, and then they share a request again.
    let said = bench.passes(Span::from_secs(18));
    assert!(matches!(&said[..], [(17, Said::Datagram(_, TrackerDatagram::ConnectRequest { .. }))]), "{said:?}");
}

/// What is removed while it waits for a connection id is not announced any more.
#[test]
fn who_has_gone_is_not_announced() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://192.0.2.1:6969"]]);
    let [Said::Datagram(to, TrackerDatagram::ConnectRequest { transaction })] = &said[..] else { panic!("{said:?}") };
    let standing = bench.standing.clone();
    let (said, ()) = bench.does(|trackers, _, now, dice, out| trackers.remove(SWARM, &standing, now, dice, out));
    assert!(said.is_empty(), "{said:?}");
    let (said, _) = bench.hears(&to.to_string(), TrackerDatagram::ConnectAnswer { transaction: *transaction, connection: 42 });
    assert!(said.is_empty(), "{said:?}");
    assert!(bench.passes(Span::from_secs(100)).is_empty());
}

/// A tracker of our own site knows its neighbours, and they may listen where they like; of hosts elsewhere it knows no more than others do.
#[test]
fn a_tracker_in_our_site_may_name_any_port_of_it() {
    let site = [192, 168, 0, 9, 0, 80];
    for (url, taken) in [("udp://192.168.0.1:6969", 1), ("udp://192.0.2.1:6969", 0)] {
        let mut bench = Bench::new(false);
        let said = bench.adds(&[&[url]]);
        let (_, news) = bench.serves_udp(&said, 1800, &[site, [198, 51, 100, 1, 0, 80]].concat());
        let peers: Vec<String> = news
            .iter()
            .flat_map(|news| if let TrackerNews::Peers(peers) = news { peers.clone() } else { vec![] })
            .map(|peer| peer.to_string())
            .collect();
        assert_eq!(peers, vec!["192.168.0.9:80"; taken], "{url}");
    }
}

#[test]
fn our_own_address_is_not_among_the_peers() {
    let mut bench = Bench::new(false);
    bench.standing.listen = Some("127.0.0.1:6881".parse().unwrap());
    let said = bench.adds(&[&["udp://127.0.0.1:6969/announce"]]);
    let (_, news) = bench.serves_udp(&said, 1800, &[127, 0, 0, 1, 0x1a, 0xe1, 127, 0, 0, 1, 0x1a, 0xe2]);
    assert_eq!(news, [TrackerNews::Peers(vec!["127.0.0.1:6882".parse().unwrap()])]);
}

#[test]
fn the_one_that_answers_comes_first_and_the_next_tier_only_when_a_whole_one_failed() {
    let mut bench = Bench::new(false);
    let mut said = bench.adds(&[&["http://a.example/announce", "http://b.example/announce"], &["http://c.example/announce"]]);
    let mut order = Vec::new();
    for _ in 0..2 {
        let (ticket, url) = http_url(&said);
        order.push(url[7..8].to_owned());
        said = bench.is_answered(ticket, Answer::Failed(AskFailure::TimedOut)).0;
    }
    assert_eq!(
        {
            let mut sorted = order.clone();
            sorted.sort();
            sorted
        },
        ["a", "b"]
    );
    let (ticket, url) = http_url(&said);
    assert!(url.starts_with("http://c.example/"));
    bench.is_answered_by_http(ticket, 200, "d8:intervali1800e5:peers0:e");
    let said = bench.passes(Span::from_secs(18));
    assert_eq!(said.len(), 1, "the first tier is tried again once its back-off of 17.5 s is over, one tracker at a time: {said:?}");
    let Said::Http(ticket, _) = &said[0].1 else { panic!("{said:?}") };
    let (said, _) = bench.is_answered(*ticket, Answer::Failed(AskFailure::TimedOut));
    let (ticket, url) = http_url(&said);
    let second = url[7..8].to_owned();
    assert_eq!(second, order[1]);
    bench.is_answered_by_http(ticket, 200, "d8:intervali1800e5:peers0:e");
    assert_eq!(&bench.trackers.status(&SWARM)[0].url[7..8], second);
}

#[test]
fn all_are_told_when_so_wished() {
    let mut bench = Bench::new(true);
    let said = bench.adds(&[&["http://a.example/announce", "http://b.example/announce"], &["http://c.example/announce"]]);
    assert_eq!(said.len(), 3);
    let mut private = Bench::new(true);
    assert_eq!(private.adds_as(&[&["http://a.example/announce"], &["http://c.example/announce"]], true).len(), 1);
}

#[test]
fn a_private_torrent_that_changes_its_tracker_forgets_its_peers() {
    let mut bench = Bench::new(false);
    let said = bench.adds_as(&[&["http://a.example/announce"], &["http://b.example/announce"]], true);
    let body = "d8:intervali60e5:peers6:\u{1}\u{2}\u{3}\u{4}\u{1a}\u{61}e";
    let (ticket, _) = http_url(&said);
    let (_, news) = bench.is_answered_by_http(ticket, 200, body);
    assert_eq!(news.len(), 1);
    let said = bench.passes(Span::from_secs(61));
    let (said, _) = bench.is_answered(http_url(&[said[0].1.clone()]).0, Answer::Failed(AskFailure::TimedOut));
    let (_, news) = bench.is_answered_by_http(http_url(&said).0, 200, body);
    assert_eq!(news[0], TrackerNews::Switched);
}

#[test]
fn a_torrent_that_turns_out_to_be_private_is_treated_so_from_there_on() {
    let mut bench = Bench::new(true);
    let tiers: [&[&str]; 2] = [&["http://a.example/announce"], &["http://b.example/announce"]];
    let said = bench.adds(&tiers);
    assert_eq!(said.len(), 2, "its link does not say that it is");
    let body = "d8:intervali60e5:peers6:\u{1}\u{2}\u{3}\u{4}\u{1a}\u{61}e";
    for said in said {
        bench.is_answered_by_http(http_url(&[said]).0, 200, body);
    }
    assert_eq!(bench.adds_as(&tiers, true).len(), 0);
    let said = bench.passes(Span::from_secs(61));
    assert_eq!(said.len(), 1, "one tracker at a time: {said:?}");
    let (_, news) = bench.is_answered_by_http(http_url(&[said[0].1.clone()]).0, 200, body);
    assert_eq!(news[0], TrackerNews::Switched);
}

#[test]
fn completion_is_told_at_once_and_once() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["udp://192.0.2.1:6969"]]);
    bench.serves_udp(&said, 1800, &[]);
    bench.standing.left = 0;
    let (said, ()) = bench.does(|trackers, standings, now, dice, out| trackers.complete(SWARM, standings, now, dice, out));
    let [Said::Datagram(_, TrackerDatagram::AnnounceRequest { transaction, announce, .. })] = &said[..] else { panic!("{said:?}") };
    assert_eq!((announce.event, announce.left), (TrackerEvent::Completed, 0));
    let answer = TrackerDatagram::AnnounceAnswer {
        transaction: *transaction,
        interval_s: 1800,
        leechers: 0,
        seeders: 1,
        peers: bytes::Bytes::new(),
    };
    bench.hears(TRACKER, answer);
    let said = bench.passes(Span::from_secs(1801));
    let (announce, _) = bench.serves_udp(&[said[0].1.clone()], 1800, &[]);
    assert_eq!(announce.event, TrackerEvent::None);
}

#[test]
fn a_swarm_short_of_peers_asks_early_but_never_before_the_minimum() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["http://a.example/announce"]]);
    bench.is_answered_by_http(http_url(&said).0, 200, "d8:intervali1800e12:min intervali300e5:peers0:e");
    for _ in 0..3 {
        bench.does(|trackers, standings, now, dice, out| trackers.hurry(SWARM, standings, now, dice, out));
        assert!(bench.passes(Span::from_secs(90)).is_empty());
    }
    let said = bench.passes(Span::from_secs(40));
    assert_eq!(said.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [300]);
}

#[test]
fn failures_are_kept_for_the_user_and_waits_grow() {
    let mut bench = Bench::new(false);
    let said = bench.adds(&[&["http://a.example/announce"]]);
    let mut ticket = http_url(&said).0;
    let mut waits = Vec::new();
    for _ in 0..4 {
        bench.is_answered_by_http(ticket, 200, "d14:failure reason11:banned.....e");
        let before = bench.now;
        let status = bench.trackers.status(&SWARM);
        assert_eq!(status[0].failure.as_deref(), Some("banned....."));
        waits.push(status[0].next_announce.since(before).as_secs());
        let said = bench.passes(status[0].next_announce.since(before));
        ticket = http_url(&[said[0].1.clone()]).0;
    }
    assert_eq!(waits, [17, 55, 117, 205]);
    for body in ["", "x", "d8:intervali-5e5:peers3:abce", "i1e", "d5:peersi1ee", "de"] {
        bench.is_answered_by_http(ticket, 200, body);
        let wait = bench.trackers.status(&SWARM)[0].next_announce.since(bench.now);
        let said = bench.passes(wait);
        if let [(_, Said::Http(next, _))] = &said[..] {
            ticket = *next;
        }
    }
    bench.is_answered_by_http(ticket, 404, "nothing here");
    let status = bench.trackers.status(&SWARM);
    assert!(status[0].failure.as_deref().unwrap().contains("404"), "{status:?}");
}

#[test]
fn who_leaves_says_so_where_it_is_known() {
    let mut bench = Bench::new(true);
    let said = bench.adds(&[&["udp://192.0.2.1:6969"], &["http://a.example/announce"], &["http://b.example/announce"]]);
    let udp: Vec<Said> = said.iter().filter(|said| matches!(said, Said::Datagram(..))).cloned().collect();
    bench.serves_udp(&udp, 1800, &[]);
    let a = said.iter().find_map(|said| match said {
        Said::Http(ticket, url) if url.contains("a.example") => Some(*ticket),
        _ => None,
    });
    bench.is_answered_by_http(a.unwrap(), 200, "d8:intervali1800e5:peers0:e");
    let standing = bench.standing.clone();
    let (said, ()) = bench.does(|trackers, _, now, dice, out| trackers.remove(SWARM, &standing, now, dice, out));
    assert_eq!(said.len(), 2, "b has never heard of us: {said:?}");
    for said in said {
        match said {
            Said::Datagram(_, TrackerDatagram::AnnounceRequest { announce, .. }) => {
                assert_eq!((announce.event, announce.peers_wanted), (TrackerEvent::Stopped, Some(0)));
            }
            Said::Http(_, url) => assert!(url.contains("event=stopped") && url.contains("numwant=0"), "{url}"),
            other => panic!("{other:?}"),
        }
    }
    let said = bench.passes(Span::from_secs(4000));
    assert!(said.is_empty(), "{said:?}");
}

#[test]
fn useless_urls_are_noted_and_too_many_are_left_out() {
    let mut bench = Bench::new(true);
    let many: Vec<String> = (0..300).map(|n| format!("http://t{n}.example/announce")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let said =
        bench.adds(&[&["wss://x.example", "http://127.0.0.1/admin", "http://a.example/announce", "http://a.example/announce"], &many]);
    assert_eq!(said.len(), 100);
    assert_eq!(bench.notes, ["tracker_refused"; 3]);
}
