use hexad_core::{Address, Answer, Ask, Endpoint, Name, Operation, Payload, Progress, Span, Time, Why};
use hexad_lab::{Death, Lab, LabConfig, Latency, NodeIndex, Purpose, State, dice};

use crate::echo::{Config, Echo, Message, Reply, Request};

/// A lab with `count` joined nodes of 10 ms distance.
pub fn joined<A: Address + 'static>(count: u32, config: LabConfig) -> Lab<Echo<A>> {
    let mut lab = Lab::new(config);
    lab.add_nodes(count, Config::default());
    for node in 0..count {
        lab.start(NodeIndex(node), Operation::Join { bootstrap: Vec::new() });
    }
    lab.run_for(Span::from_millis(1));
    lab
}

pub fn ten_ms() -> LabConfig {
    LabConfig { latency: Latency::constant(Span::from_millis(10)), ..LabConfig::default() }
}

/// What a node was told by others, and when.
pub fn heard<A: Address + 'static>(lab: &Lab<Echo<A>>, node: u32) -> Vec<(Time, Reply<A>)> {
    let own = |report: &hexad_lab::Report<Reply<A>>| match &report.progress {
        Progress::Own(reply) => Some((report.at, reply.clone())),
        _ => None,
    };
    lab.reports(NodeIndex(node)).iter().filter_map(own).collect()
}

fn check_ping<A: Address + 'static>() {
    let mut lab = joined::<A>(2, ten_ms());
    let sent = lab.now();
    let to = lab.address(NodeIndex(1));
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to.clone(), 5)));
    lab.run_for(Span::from_secs(1));
    assert_eq!(heard(&lab, 0), [(sent + Span::from_millis(20), Reply::Heard(to, Message::Pong(5)))]);
}

#[test]
fn a_datagram_takes_its_time_there_and_back() {
    check_ping::<Endpoint>();
    check_ping::<u32>();
}

#[test]
fn a_connection_takes_one_round_trip_to_open_and_another_for_the_answer() {
    let mut lab = joined::<Endpoint>(2, ten_ms());
    let sent = lab.now();
    let to = lab.address(NodeIndex(1));
    lab.start(NodeIndex(0), Operation::Own(Request::Call(to.clone(), 5)));
    lab.run_for(Span::from_secs(1));
    assert_eq!(heard(&lab, 0), [(sent + Span::from_millis(40), Reply::Heard(to, Message::Pong(5)))]);
    assert_eq!(lab.connections(NodeIndex(0)), 1);
    assert_eq!(lab.connections(NodeIndex(1)), 1);
}

#[test]
fn who_does_not_listen_refuses() {
    let mut lab = joined::<Endpoint>(1, ten_ms());
    let sleeper = lab.add_node(Config::default());
    let sent = lab.now();
    let to = lab.address(sleeper);
    lab.start(NodeIndex(0), Operation::Own(Request::Call(to, 5)));
    lab.run_for(Span::from_secs(9));
    assert_eq!(heard(&lab, 0), [(sent + Span::from_millis(20), Reply::Broken(Why::Unreachable))]);
}

#[test]
fn a_crashed_node_refuses_and_a_vanished_one_is_waited_for() {
    for (death, after, why) in [(Death::Crash, Span::from_millis(20), Why::Unreachable), (Death::Vanish, Span::from_secs(5), Why::TimedOut)]
    {
        let mut lab = joined::<Endpoint>(2, ten_ms());
        lab.kill(NodeIndex(1), death);
        let sent = lab.now();
        let to = lab.address(NodeIndex(1));
        lab.start(NodeIndex(0), Operation::Own(Request::Call(to, 5)));
        lab.run_for(Span::from_secs(9));
        assert_eq!(heard(&lab, 0), [(sent + after, Reply::Broken(why))]);
        assert_eq!(lab.fired().into_the_void, 1);
    }
}

#[test]
fn a_crash_breaks_open_connections() {
    let mut lab = joined::<Endpoint>(2, ten_ms());
    let to = lab.address(NodeIndex(1));
    lab.start(NodeIndex(0), Operation::Own(Request::Call(to, 5)));
    lab.run_for(Span::from_secs(1));
    lab.kill(NodeIndex(1), Death::Crash);
    lab.run_for(Span::from_secs(1));
    assert_eq!(heard(&lab, 0).last().map(|(_, reply)| reply.clone()), Some(Reply::Broken(Why::Broken)));
    assert_eq!(lab.connections(NodeIndex(0)), 0);
    assert_eq!(lab.fired().crashed, 1);
}

#[test]
fn multicast_stays_on_its_site() {
    let mut lab = joined::<Endpoint>(4, ten_ms());
    for (node, site) in [(0, 1), (1, 1), (2, 2), (3, 1)] {
        lab.place(NodeIndex(node), site);
    }
    lab.start(NodeIndex(0), Operation::Own(Request::Shout(9)));
    lab.run_for(Span::from_secs(1));
    assert_eq!(lab.tally().of("ping").messages, 3, "the shouter hears itself, as with real sockets");
}

#[test]
fn what_is_stored_survives_a_restart_unless_the_state_is_lost() {
    for (state, kept) in [(State::Kept, true), (State::Lost, false)] {
        let mut lab = joined::<Endpoint>(1, ten_ms());
        let node = NodeIndex(0);
        let value = Payload::Bytes("three".into());
        lab.start(node, Operation::Own(Request::Ask(Ask::Store("numbers", b"3".to_vec(), value.clone()))));
        lab.run_for(Span::from_secs(1));
        lab.kill(node, Death::Crash);
        lab.restart(node, state);
        lab.start(node, Operation::Own(Request::Ask(Ask::Load("numbers", b"3".to_vec()))));
        lab.run_for(Span::from_secs(1));
        let loaded = Answer::Loaded(kept.then_some(value));
        assert_eq!(heard(&lab, 0).last().map(|(_, reply)| reply.clone()), Some(Reply::Answered(loaded)));
    }
}

#[test]
fn names_and_addresses_resolve_to_lab_nodes() {
    let mut lab = joined::<Endpoint>(2, ten_ms());
    lab.name("tracker.lab", NodeIndex(1));
    for host in ["tracker.lab", "11.0.0.1"] {
        lab.start(NodeIndex(0), Operation::Own(Request::Ask(Ask::Resolve(Name { host: host.into(), port: 1 }))));
        lab.run_for(Span::from_secs(1));
        let ip = lab.address(NodeIndex(1)).ip().unwrap();
        assert_eq!(heard(&lab, 0).last().map(|(_, reply)| reply.clone()), Some(Reply::Answered(Answer::Resolved(vec![ip]))));
    }
    let named = Endpoint::Name(Name { host: "tracker.lab".into(), port: 6881 });
    lab.start(NodeIndex(0), Operation::Own(Request::Call(named, 5)));
    lab.run_for(Span::from_secs(1));
    assert!(matches!(heard(&lab, 0).last(), Some((_, Reply::Heard(_, Message::Pong(5))))));
}

/// Everybody ticks, and pings somebody every now and then.
fn gossip(seed: u64, codec: bool) -> Lab<Echo<Endpoint>> {
    let mut lab = Lab::new(LabConfig { seed, codec, ..LabConfig::default() });
    lab.add_nodes(50, Config { tick: Some(Span::from_secs(1)), ..Config::default() });
    for node in 0..50 {
        lab.start(NodeIndex(node), Operation::Join { bootstrap: Vec::new() });
    }
    for event in 0..500 {
        let mut dice = dice(seed, Purpose::Workload, 0, event);
        let (from, to) = (dice.below(50) as u32, dice.below(50) as u32);
        let to = lab.address(NodeIndex(to));
        let request = if dice.chance(1, 2) { Request::Ping(to, event) } else { Request::Call(to, event) };
        lab.start_at(Time::ZERO + Span::from_millis(10 * event), NodeIndex(from), Operation::Own(request));
    }
    lab.run_for(Span::from_secs(20));
    lab
}

#[test]
fn one_seed_gives_one_digest_with_and_without_codec() {
    let first = gossip(7, false);
    assert_eq!(first.digest(), gossip(7, false).digest());
    assert_ne!(first.digest(), gossip(8, false).digest());
    let coded = gossip(7, true);
    assert_eq!(coded.digest(), first.digest());
    assert_eq!((coded.tally().codec_differences, coded.tally().malformed), (0, 0));
    // The same on every machine and in every profile.
    assert_eq!(first.digest(), 16_434_264_936_362_785_555, "{} events", first.tally().events);
}

#[test]
fn run_while_ends_with_its_condition_or_its_deadline() {
    let mut lab: Lab<Echo<Endpoint>> = Lab::new(ten_ms());
    let node = lab.add_node(Config { tick: Some(Span::from_secs(1)), ..Config::default() });
    lab.start(node, Operation::Join { bootstrap: Vec::new() });
    let ticks = move |lab: &Lab<Echo<Endpoint>>| lab.node(node).map_or(0, |node| node.ticks);
    assert!(lab.run_while(|lab| ticks(lab) < 5, Time::ZERO + Span::from_secs(60)));
    assert_eq!(ticks(&lab), 5);
    assert!(!lab.run_while(|lab| ticks(lab) < 500, Time::ZERO + Span::from_secs(60)));
    assert_eq!(lab.now(), Time::ZERO + Span::from_secs(60));
}
