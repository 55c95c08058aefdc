use std::time::Instant;

use hexad_core::{Operation, Span};
use hexad_lab::{Lab, LabConfig, NodeIndex};

use crate::echo::{Config, Echo};

/// Every node ticks once a second, for five seconds.
fn ticking(nodes: u32) -> (u64, f64) {
    let mut lab = Lab::<Echo<u32>>::new(LabConfig::default());
    lab.add_nodes(nodes, Config { tick: Some(Span::from_secs(1)), ..Config::default() });
    for node in 0..nodes {
        lab.start(NodeIndex(node), Operation::Join { bootstrap: Vec::new() });
    }
    let began = Instant::now();
    lab.run_for(Span::from_secs(5));
    (lab.tally().events, began.elapsed().as_secs_f64())
}

#[test]
fn a_hundred_thousand_nodes_fit() {
    let (events, seconds) = ticking(100_000);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{events} events, {seconds:.2} s, {memory}");
    assert!(events > 700_000);
}
