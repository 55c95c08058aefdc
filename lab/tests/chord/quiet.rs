//! What a ring does when nothing happens, and how soon it is awake again when something does.

use std::cell::Cell;
use std::rc::Rc;

use hexad_chord::{Chord, Config, Contact as _, Settings, Timer};
use hexad_core::{Address as _, Endpoint, Input, Message as _, Operation, Output, Span};
use hexad_lab::{Death, Lab, LabConfig, NodeIndex, State, Watched};

const NODES: u32 = 120;
const EVERY: Span = Span::from_secs(10);

/// A ring that has come to rest.
fn ring() -> Lab<Chord<u32>> {
    let mut lab = Lab::<Chord<u32>>::new(LabConfig { seed: 5, ..LabConfig::default() });
    lab.add_nodes(NODES, Config::from(Settings { successors: 4, stabilise_every: EVERY, ..Settings::default() }));
    for node in 0..NODES {
        let bootstrap = if node == 0 { Vec::new() } else { vec![Endpoint::of_lab_node(0)] };
        lab.start(NodeIndex(node), Operation::Join { bootstrap });
        lab.run_for(Span::from_secs(1));
    }
    lab.run_for(Span::from_secs(1200));
    lab
}

/// What was counted in a while.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    ticks: u64,
    wakes: u64,
    states: u64,
}

impl Count {
    /// Fingers asked about, for each stabilisation: what is asked about state beside the successor.
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    fn looks(self) -> f64 {
        (self.states as f64 - self.ticks as f64) / self.ticks as f64
    }
}

/// What is heard in a while by those who live.
fn count(lab: &mut Lab<Chord<u32>>, span: Span) -> Count {
    let counted = Rc::new(Cell::new(Count::default()));
    let count = counted.clone();
    lab.watch(move |_, _, watched| {
        let Watched::Heard(input) = watched else { return };
        let mut sum = count.get();
        match input {
            Input::Elapsed(Timer::Tick) => sum.ticks += 1,
            Input::Elapsed(_) => sum.wakes += 1,
            Input::Received(_, message) => sum.states += u64::from(message.kind() == "state"),
            _ => {}
        }
        count.set(sum);
    });
    lab.run_for(span);
    lab.unwatch();
    counted.get()
}

/// Fingers that point to nobody.
fn dead_fingers(lab: &Lab<Chord<u32>>) -> usize {
    let living = |node: u32| lab.node(NodeIndex(node));
    let rings = (0..NODES).filter_map(living).flat_map(|node| node.rings());
    rings.flat_map(|ring| &ring.fingers).filter(|finger| living(finger.addr()).is_none()).count()
}

#[test]
fn fingers_are_seldom_looked_at_while_nothing_changes_and_often_when_some_are_gone() {
    let mut lab = ring();
    let rest = count(&mut lab, EVERY * 16);
    assert!(rest.looks() < 0.25, "at rest {rest:?}");

    for node in (1..NODES).step_by(5) {
        lab.kill(NodeIndex(node), Death::Vanish);
    }
    let dead = dead_fingers(&lab);
    assert!(dead > 50, "{dead}");
    let after = count(&mut lab, EVERY * 8);
    assert!(after.looks() > 3.0 * rest.looks(), "at rest {rest:?}, with many gone {after:?}");
    lab.run_for(EVERY * 12);
    // Whose neighbours are all there, and who is not asked for anything, finds its one dead finger within a slow round.
    assert!(dead_fingers(&lab) < dead / 4, "{} of {dead}", dead_fingers(&lab));
    lab.run_for(EVERY * 40);
    assert_eq!(dead_fingers(&lab), 0);
    lab.run_for(Span::from_secs(1200));
    let rest = count(&mut lab, EVERY * 16);
    assert!(rest.looks() < 0.25, "at rest again {rest:?}");
}

#[test]
fn at_rest_a_node_wakes_twice_for_each_stabilisation() {
    let mut lab = ring();
    let rest = count(&mut lab, EVERY * 16);
    assert!(rest.ticks > 15 * u64::from(NODES));
    // Once to ask, and once to see that all have answered.
    assert!(rest.wakes * 100 <= rest.ticks * 103, "{rest:?}");
}

#[test]
fn whoever_is_gone_is_asked_once_a_minute_and_then_less_often_and_many_who_come_back_make_little_work() {
    let mut lab = ring();
    let gone: Vec<NodeIndex> = (1..NODES).step_by(4).map(NodeIndex).collect();
    for &node in &gone {
        lab.kill(node, Death::Vanish);
    }
    lab.run_for(Span::from_secs(300));
    let suspects =
        |lab: &Lab<Chord<u32>>| -> usize { (0..NODES).filter_map(|node| lab.node(NodeIndex(node))).map(|node| node.gone().count()).sum() };
    let lost = suspects(&lab);
    assert!(lost > 150, "{lost}");
    let pings = Rc::new(Cell::new(0));
    let counted = pings.clone();
    lab.watch(move |_, _, watched| {
        if let Watched::Said(Output::Send(_, message)) = watched {
            counted.set(counted.get() + usize::from(message.kind() == "ping"));
        }
    });
    lab.run_for(Span::from_secs(600));
    lab.unwatch();
    assert!((lost / 2..lost * 2).contains(&pings.get()), "{} pings to {lost} in ten minutes", pings.get());
    let lookups = lab.tally().of("find_next").messages;

    for &node in &gone {
        lab.restart(node, State::Lost);
        lab.start(node, Operation::Join { bootstrap: vec![Endpoint::of_lab_node(0)] });
    }
    lab.run_for(Span::from_secs(2400));
    assert_eq!(suspects(&lab), 0, "whoever is back is no longer gone");
    // The joins take some; a lookup of oneself for each of those who are back would take more than that many steps.
    let steps = lab.tally().of("find_next").messages - lookups;
    assert!(steps < 3000, "{steps} steps for {lost} who were lost");
}
