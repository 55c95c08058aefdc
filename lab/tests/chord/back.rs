use hexad_chord::{Chord, Config, Settings, Stage};
use hexad_core::{Address as _, Endpoint, Operation, Progress, Span};
use hexad_lab::{Death, Lab, LabConfig, NodeIndex, State};

/// Thirty in a ring that has come to rest.
fn ring(seed: u64) -> Lab<Chord<u32>> {
    let mut lab = Lab::<Chord<u32>>::new(LabConfig { seed, ..LabConfig::default() });
    let settings = Settings { successors: 6, stabilise_every: Span::from_secs(10), ..Settings::default() };
    lab.add_nodes(30, Config::from(settings));
    for node in 0..30 {
        let bootstrap = if node == 0 { Vec::new() } else { vec![Endpoint::of_lab_node(0)] };
        lab.start(NodeIndex(node), Operation::Join { bootstrap });
        lab.run_for(Span::from_secs(2));
    }
    lab.run_for(Span::from_secs(120));
    lab
}

/// Its neighbours still take it for a member, and point to it.
#[test]
fn a_node_that_restarts_joins_again_before_anybody_has_noticed_that_it_was_gone() {
    for node in [NodeIndex(7), NodeIndex(19), NodeIndex(29)] {
        let mut lab = ring(3);
        lab.kill(node, Death::Vanish);
        lab.restart(node, State::Lost);
        let op = lab.start(node, Operation::Join { bootstrap: vec![Endpoint::of_lab_node(0)] });
        lab.run_for(Span::from_secs(20));
        assert_eq!(lab.outcome(node, op).map(|report| &report.progress), Some(&Progress::Done), "{node:?}");
        lab.run_for(Span::from_secs(60));
        let ring = &lab.node(node).expect("it lives").rings()[0];
        assert_eq!((ring.stage, ring.succ.len()), (Stage::Member, 6));
        let successor = NodeIndex(hexad_chord::Contact::addr(&ring.succ[0]));
        assert_eq!(lab.node(successor).expect("it lives").rings()[0].prdc, Some(ring.me));
    }
}

/// ToN 2003, section VI-D: whoever has a nearer predecessor tells the one before.
#[test]
fn who_precedes_a_newcomer_knows_it_before_its_time_to_stabilise_comes() {
    let mut lab = Lab::<Chord<u32>>::new(LabConfig::default());
    let settings = Settings { successors: 4, stabilise_every: Span::from_secs(10), ..Settings::default() };
    let slow = Settings { stabilise_every: Span::from_secs(100_000), ..settings.clone() };
    lab.add_nodes(20, Config::from(settings));
    for node in 0..20 {
        let bootstrap = if node == 0 { Vec::new() } else { vec![Endpoint::of_lab_node(0)] };
        lab.start(NodeIndex(node), Operation::Join { bootstrap });
        lab.run_for(Span::from_secs(2));
    }
    lab.run_for(Span::from_secs(120));
    let newcomer = lab.add_node(Config::from(slow));
    let before = lab.tally().of("nearer").messages;
    lab.start(newcomer, Operation::Join { bootstrap: vec![Endpoint::of_lab_node(0)] });
    lab.run_for(Span::from_secs(3));
    let me = lab.node(newcomer).expect("it lives").rings()[0].me;
    let knows = |node: u32| lab.node(NodeIndex(node)).is_some_and(|node| node.rings()[0].succ.first() == Some(&me));
    assert_eq!((0..20).filter(|&node| knows(node)).count(), 1);
    assert_eq!(lab.tally().of("nearer").messages, before + 1);
}
