use hexad_core::{Ask, Endpoint, Operation, Span};
use hexad_lab::{Faults, Lab, LabConfig, NodeIndex};

use crate::echo::{Echo, Request};
use crate::world::{heard, joined, ten_ms};

const HUNDRED: u32 = 100;

/// A hundred pings to node 1 with faults; returns the lab and how many were answered.
fn pings(faults: Faults) -> (Lab<Echo<Endpoint>>, usize) {
    let mut lab = joined::<Endpoint>(2, ten_ms());
    lab.set_faults(faults);
    let to = lab.address(NodeIndex(1));
    for number in 0..HUNDRED {
        lab.start(NodeIndex(0), Operation::Own(Request::Ping(to.clone(), number.into())));
        lab.run_for(Span::from_secs(1));
    }
    let answers = heard(&lab, 0).len();
    (lab, answers)
}

#[test]
fn lost_datagrams_do_not_arrive_and_are_counted() {
    let (lab, answers) = pings(Faults { loss_ppm: 300_000, ..Faults::default() });
    let lost = lab.fired().lost;
    assert!((20..100).contains(&lost), "{lost}");
    assert_eq!(answers as u64, u64::from(HUNDRED) - lost);
}

#[test]
fn duplicates_arrive_twice_and_are_counted() {
    let (lab, answers) = pings(Faults { duplicate_ppm: 300_000, ..Faults::default() });
    let twins = lab.fired().duplicated;
    assert!((20..200).contains(&twins), "{twins}");
    assert!(answers > HUNDRED as usize);
}

#[test]
fn delays_are_counted_and_nothing_is_lost_by_them() {
    let (lab, answers) = pings(Faults { delay_ppm: 500_000, delay_max: Span::from_millis(300), ..Faults::default() });
    assert!(lab.fired().delayed > 50);
    assert_eq!(answers, HUNDRED as usize);
}

#[test]
fn a_slow_node_answers_later() {
    let mut lab = joined::<Endpoint>(2, ten_ms());
    lab.set_slow(NodeIndex(1), Span::from_secs(1));
    let (sent, to) = (lab.now(), lab.address(NodeIndex(1)));
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to, 1)));
    lab.run_for(Span::from_secs(9));
    assert_eq!(heard(&lab, 0)[0].0, sent + Span::from_millis(2020));
    assert_eq!(lab.fired().slowed, 2);
}

#[test]
fn a_partition_keeps_everything_apart_until_it_heals() {
    let mut lab = joined::<Endpoint>(2, LabConfig { silence: Span::from_secs(30), ..ten_ms() });
    let to = lab.address(NodeIndex(1));
    lab.partition(|node| node.0);
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to.clone(), 1)));
    lab.start(NodeIndex(0), Operation::Own(Request::Call(to.clone(), 2)));
    lab.run_for(Span::from_secs(60));
    assert_eq!(heard(&lab, 0).len(), 1, "only the dial has timed out");
    assert_eq!(lab.fired().parted, 2);
    lab.heal();
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to, 3)));
    lab.run_for(Span::from_secs(1));
    assert_eq!(heard(&lab, 0).len(), 2);
}

#[test]
fn a_failing_host_is_counted() {
    let mut lab = joined::<Endpoint>(1, ten_ms());
    lab.set_faults(Faults { ask_ppm: 1_000_000, ..Faults::default() });
    lab.start(NodeIndex(0), Operation::Own(Request::Ask(Ask::Load("a", Vec::new()))));
    lab.run_for(Span::from_secs(1));
    assert_eq!(lab.fired().asks_failed, 1);
    assert_eq!(heard(&lab, 0).len(), 1);
}

#[test]
fn a_misbehaving_node_is_counted() {
    let mut lab = joined::<Endpoint>(2, ten_ms());
    lab.tamper(|node, output| node != 1 || !matches!(output, hexad_core::Output::Send(..)));
    let to = lab.address(NodeIndex(1));
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to, 1)));
    lab.run_for(Span::from_secs(9));
    assert_eq!(heard(&lab, 0).len(), 0);
    assert_eq!(lab.fired().withheld, 1);
}

#[test]
fn nobody_reaches_a_node_behind_a_translator_unless_it_has_asked() {
    let mut lab = joined::<Endpoint>(3, ten_ms());
    let home = NodeIndex(1);
    lab.set_nat(home, true);
    let to = lab.address(home);
    let outside = lab.address(NodeIndex(0));
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to.clone(), 1)));
    lab.start(NodeIndex(0), Operation::Own(Request::Call(to.clone(), 2)));
    lab.run_for(Span::from_secs(9));
    assert_eq!(heard(&lab, 0).len(), 1, "the dial has timed out");
    assert_eq!(lab.fired().nat_blocked, 2);
    lab.start(home, Operation::Own(Request::Ping(outside, 3)));
    lab.run_for(Span::from_secs(1));
    assert_eq!(heard(&lab, 1).len(), 1, "the answer comes in");
    lab.start(NodeIndex(0), Operation::Own(Request::Ping(to.clone(), 4)));
    lab.start(NodeIndex(2), Operation::Own(Request::Ping(to, 5)));
    lab.run_for(Span::from_secs(1));
    assert_eq!((heard(&lab, 0).len(), heard(&lab, 2).len()), (2, 0), "who was asked may speak, others may not");
}
