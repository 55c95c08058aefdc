//! Ten nodes on machines that have much else to do: disks and links are slow, and what is said to be inserted is there all the same.

use hexad_core::{Failure, Operation, Span};
use hexad_freenet::keys::{Block, ClientChk};
use hexad_freenet::{Reply, Request};
use hexad_lab::{Death, LabConfig, Latency, NodeIndex};

use super::keys::{Few, noise};

const NODES: u32 = 10;

/// Inserts at the first node, which leaves, and asks at the last.
fn outlives_its_inserter(few: &mut Few, bytes: usize) {
    let text = noise(bytes);
    let uri = few.put("CHK@", &text, None).expect("it is inserted").to_string();
    few.lab.kill(NodeIndex(0), Death::Crash);
    assert_eq!(few.get_trying(&uri, 2).map(|(bytes, _)| bytes == text), Ok(true));
}

#[test]
fn what_is_inserted_is_there_however_slow_the_disks_are() {
    let config = LabConfig { ask_delay: Span::from_secs(3), latency: Latency::constant(Span::from_millis(1)), ..LabConfig::default() };
    outlives_its_inserter(&mut Few::of(NODES, config), 8 << 20);
}

#[test]
fn what_is_inserted_is_there_however_slow_the_nodes_are() {
    let mut few = Few::of(NODES, LabConfig::default());
    // A way through all of them takes longer than a walk may last.
    for node in 0..NODES {
        few.lab.set_slow(NodeIndex(node), Span::from_millis(400));
    }
    outlives_its_inserter(&mut few, 1 << 20);
}

fn block(number: u64) -> Block {
    ClientChk::encode(&number.to_be_bytes(), false).expect("it fits a block").1
}

#[test]
fn a_block_that_is_said_to_be_inserted_is_held_by_somebody_even_when_disks_fail() {
    let mut few = Few::of(NODES, LabConfig::default());
    few.lab.set_faults(hexad_lab::Faults { ask_ppm: 300_000, ..hexad_lab::Faults::default() });
    for number in 0..100 {
        let block = block(number);
        let key = block.key;
        let told = few.does(0, Request::PutBlock(Box::new(block), 18));
        let holds = |node: u32| few.lab.node(NodeIndex(node)).is_some_and(|node| node.store().holds(&key));
        assert!(told != Ok(Reply::Inserted(None)) || (1..NODES).any(holds), "{number}");
    }
}

#[test]
fn a_fetch_waits_for_what_comes_while_it_looks() {
    let mut few = Few::of(NODES, LabConfig::default());
    let text = b"late";
    let uri = hexad_freenet::keys::Uri::of_chk(&ClientChk::encode(text, false).expect("it fits a block").0, Vec::new()).to_string();
    let asks = |few: &mut Few, retries| {
        let request = Request::Get { uri: uri.clone(), bytes_max: 100, retries };
        few.lab.start(NodeIndex(NODES - 1), Operation::Own(request))
    };
    let (once, again) = (asks(&mut few, 0), asks(&mut few, 2));
    few.lab.run_for(Span::from_secs(1));
    few.put("CHK@", text, None).expect("it is inserted");
    let until = few.lab.now() + Span::from_secs(60);
    let last = NodeIndex(NODES - 1);
    few.lab.run_while(|lab| lab.outcome(last, again).is_none(), until);
    assert!(few.lab.is_done(last, again));
    let failed = few.lab.outcome(last, once).map(|report| report.progress.clone());
    assert!(matches!(failed, Some(hexad_core::Progress::Failed(Failure::NotFound(_)))), "{failed:?}");
}

#[test]
fn that_others_have_looked_in_vain_does_not_end_a_fetch() {
    let mut few = Few::of(NODES, LabConfig::default());
    let text = b"late";
    let uri = hexad_freenet::keys::Uri::of_chk(&ClientChk::encode(text, false).expect("it fits a block").0, Vec::new()).to_string();
    // So often that everybody has had enough of it.
    for _ in 0..30 {
        assert!(matches!(few.get_trying(&uri, 0), Err(Failure::NotFound(_))));
    }
    let refused = few.get_trying(&uri, 0);
    assert!(matches!(&refused, Err(Failure::NotFound(why)) if why.starts_with("looked for a moment ago")), "{refused:?}");
    let op = few.lab.start(NodeIndex(NODES - 1), Operation::Own(Request::Get { uri: uri.clone(), bytes_max: 100, retries: 2 }));
    few.lab.run_for(Span::from_secs(1));
    few.put("CHK@", text, None).expect("it is inserted");
    let until = few.lab.now() + Span::from_secs(300);
    few.lab.run_while(|lab| lab.outcome(NodeIndex(NODES - 1), op).is_none(), until);
    assert!(few.lab.is_done(NodeIndex(NODES - 1), op));
}
