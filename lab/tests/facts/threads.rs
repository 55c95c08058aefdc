use hexad_core::{Endpoint, Link, Operation, Output, Span, Time};
use hexad_lab::{Death, Faults, Fired, Lab, LabConfig, Latency, NodeIndex, Purpose, State, dice};

use crate::echo::{Config, Echo, Message, Request};

const NODES: u32 = 60;

/// Everybody ticks, calls and pings; everything goes wrong that can.
fn rough_world(threads: usize, floor: Span, codec: bool) -> Lab<Echo<Endpoint>> {
    let latency = Latency { floor, ..Latency::default() };
    let mut lab = Lab::new(LabConfig { seed: 11, latency, threads, codec, ..LabConfig::default() });
    lab.add_nodes(NODES, Config { tick: Some(Span::from_millis(300)), ..Config::default() });
    for node in (0..NODES).map(NodeIndex) {
        lab.start(node, Operation::Join { bootstrap: Vec::new() });
        lab.place(node, node.0 / 10);
    }
    lab.set_faults(Faults {
        loss_ppm: 50_000,
        duplicate_ppm: 50_000,
        delay_ppm: 100_000,
        delay_max: Span::from_millis(200),
        resend_after: Span::from_millis(250),
        ask_ppm: 500_000,
    });
    lab.set_slow(NodeIndex(7), Span::from_millis(40));
    lab.set_nat(NodeIndex(3), true);
    lab.set_cut(NodeIndex(4), NodeIndex(5), true);
    lab.tamper(|node, output| node != 8 || !matches!(output, Output::Send(Link::Datagram(..), Message::Pong(_))));
    lab.forge(|node, output| match output {
        Output::Send(link, Message::Pong(number)) if node == 9 => Some(Output::Send(link.clone(), Message::Pong(number + 1))),
        _ => None,
    });
    for event in 0..3000 {
        let mut dice = dice(11, Purpose::Workload, 0, event);
        let (from, to) = (dice.below(NODES.into()) as u32, dice.below(NODES.into()) as u32);
        let to = lab.address(NodeIndex(to));
        let request = match dice.below(4) {
            0 => Request::Call(to, event),
            1 => Request::Shout(event),
            2 => Request::Ask(hexad_core::Ask::Load("a", vec![1])),
            _ => Request::Ping(to, event),
        };
        lab.start_at(Time::ZERO + Span::from_millis(2 * event), NodeIndex(from), Operation::Own(request));
    }
    lab.start_at(Time::ZERO + Span::from_millis(500), NodeIndex(4), Operation::Own(Request::Ping(Endpoint::of(5), 1)));
    lab.run_for(Span::from_secs(2));
    lab.kill(NodeIndex(20), Death::Crash);
    lab.kill(NodeIndex(21), Death::Vanish);
    lab.run_for(Span::from_secs(1));
    lab.restart(NodeIndex(20), State::Kept);
    lab.restart(NodeIndex(21), State::Lost);
    lab.start(NodeIndex(20), Operation::Join { bootstrap: Vec::new() });
    lab.partition(|node| node.0 % 2);
    lab.run_for(Span::from_secs(1));
    lab.heal();
    lab.run_until(Time::ZERO + Span::from_secs(20));
    lab
}

trait OfLab {
    fn of(node: u32) -> Self;
}

impl OfLab for Endpoint {
    fn of(node: u32) -> Self {
        <Self as hexad_core::Address>::of_lab_node(node)
    }
}

fn figures(lab: &Lab<Echo<Endpoint>>) -> (u64, u64, Fired, u64) {
    let reports: usize = (0..NODES).map(|node| lab.reports(NodeIndex(node)).len()).sum();
    (lab.digest(), lab.tally().events, lab.fired(), reports as u64)
}

#[test]
fn any_number_of_threads_runs_the_same_world() {
    let one = rough_world(1, Span::from_millis(1), false);
    for threads in [2, 3, 7] {
        let many = rough_world(threads, Span::from_millis(1), false);
        assert_eq!(figures(&many), figures(&one), "{threads} threads");
        assert_eq!(many.tally().kinds(), one.tally().kinds());
        assert_eq!(many.tally().notes(), one.tally().notes());
    }
    // The same on every machine and in every profile.
    assert_eq!(one.digest(), 11_840_552_193_738_998_242, "{} events", one.tally().events);
}

#[test]
fn threads_keep_the_world_the_same_however_short_the_shortest_way_is() {
    for floor in [Span::from_micros(1), Span::from_micros(50), Span::from_millis(30)] {
        assert_eq!(figures(&rough_world(3, floor, false)), figures(&rough_world(1, floor, false)), "{floor:?}");
    }
}

#[test]
fn threads_keep_the_world_the_same_when_messages_are_bytes() {
    assert_eq!(figures(&rough_world(2, Span::from_millis(1), true)), figures(&rough_world(1, Span::from_millis(1), true)));
}

#[test]
fn who_watches_a_world_of_threads_sees_it_in_order() {
    use std::{cell::RefCell, rc::Rc};
    let seen = |threads| {
        let mut lab = Lab::<Echo<Endpoint>>::new(LabConfig { threads, ..LabConfig::default() });
        lab.add_nodes(10, Config { tick: Some(Span::from_millis(100)), ..Config::default() });
        for node in (0..10).map(NodeIndex) {
            lab.start(node, Operation::Join { bootstrap: Vec::new() });
            let to = lab.address(NodeIndex((node.0 + 1) % 10));
            lab.start(node, Operation::Own(Request::Call(to, 1)));
        }
        let all = Rc::new(RefCell::new(Vec::new()));
        let list = all.clone();
        lab.watch(move |at, node, watched| list.borrow_mut().push(format!("{at} {node} {watched:?}")));
        lab.run_for(Span::from_secs(5));
        all.take()
    };
    let (one, three) = (seen(1), seen(3));
    assert!(one.len() > 1000);
    for (number, (one, three)) in one.iter().zip(&three).enumerate() {
        assert_eq!(one, three, "line {number}");
    }
    assert_eq!(one.len(), three.len());
}

#[test]
fn every_fault_that_is_injected_strikes() {
    let fired = rough_world(1, Span::from_millis(1), false).fired();
    // Lies about shares have a world of their own, in `transfers`.
    let silent: Vec<&str> = fired.named().into_iter().filter(|&(_, count)| count == 0).map(|(name, _)| name).collect();
    assert_eq!(silent, ["lied"]);
}

#[test]
fn a_node_that_fails_an_assertion_ends_the_run_and_not_in_silence() {
    let failed = std::panic::catch_unwind(|| {
        let mut lab = Lab::<Echo<Endpoint>>::new(LabConfig { threads: 2, ..LabConfig::default() });
        lab.add_nodes(4, Config::default());
        lab.tamper(|node, _| {
            assert_ne!(node, 3, "node 3 is beside itself");
            true
        });
        for node in (0..4).map(NodeIndex) {
            lab.start(node, Operation::Join { bootstrap: Vec::new() });
        }
        lab.run_for(Span::from_secs(5));
    });
    assert!(failed.unwrap_err().downcast_ref::<String>().is_some_and(|words| words.contains("beside itself")));
}
