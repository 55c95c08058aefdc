use std::sync::Arc;

use bytes::Bytes;
use hexad_chord::{Chord, Config, Place, Request, Settings};
use hexad_core::{Address as _, Endpoint, Network as _, Operation, Query, Span};
use hexad_lab::{Death, Faults, Lab, LabConfig, NodeIndex, Purpose, State, dice};

/// Forty join one after the other, put, get and search, come and go, over links that lose and repeat.
fn world<A: Place>(codec: bool, threads: usize, seed: u64) -> Lab<Chord<A>> {
    let mut lab = Lab::<Chord<A>>::new(LabConfig { seed, codec, threads, keep_reports: false, ..LabConfig::default() });
    let settings =
        Settings { successors: 6, stabilise_every: Span::from_secs(5), repair_every: Span::from_secs(30), ..Settings::default() };
    lab.add_nodes(40, Config(Arc::new(settings)));
    lab.set_faults(Faults {
        loss_ppm: 20_000,
        duplicate_ppm: 10_000,
        delay_ppm: 50_000,
        delay_max: Span::from_millis(300),
        ..Faults::default()
    });
    for node in 0..40 {
        let bootstrap = if node == 0 { Vec::new() } else { vec![Endpoint::of_lab_node(node / 2)] };
        lab.start(NodeIndex(node), Operation::Join { bootstrap });
        lab.run_for(Span::from_secs(2));
    }
    for number in 0..200 {
        let mut dice = dice(seed, Purpose::Workload, 0, number);
        let node = NodeIndex(u32::try_from(dice.below(40)).unwrap());
        let value = Bytes::from(vec![7; usize::try_from(dice.below(3000)).unwrap()]);
        let name = format!("value {}", dice.below(20));
        let operation = match dice.below(4) {
            0 => Operation::Own(Request::Put { name: Some(name), value }),
            1 => Operation::Own(Request::Put { name: None, value }),
            2 => Operation::Own(Request::Get(hexad_chord::Key::of_name(&name))),
            _ => Operation::Search { query: Query::Words { words: vec!["value".into()], wanted: 5 } },
        };
        lab.start(node, operation);
        lab.run_for(Span::from_millis(300));
        if number % 20 == 19 {
            let gone = NodeIndex(u32::try_from(20 + number / 20).unwrap());
            lab.kill(gone, Death::Vanish);
            lab.run_for(Span::from_secs(8));
            lab.restart(gone, State::Lost);
            lab.start(gone, Operation::Join { bootstrap: vec![Endpoint::of_lab_node(1)] });
        }
    }
    lab.run_for(Span::from_secs(60));
    lab
}

fn check<A: Place>() {
    let plain = world::<A>(false, 1, 5);
    assert!(plain.tally().events > 20_000, "{} events of {}", plain.tally().events, Chord::<A>::NAME);
    let coded = world::<A>(true, 1, 5);
    assert_eq!(coded.digest(), plain.digest(), "with every message as bytes");
    assert_eq!((coded.tally().codec_differences, coded.tally().malformed), (0, 0));
    assert_eq!(world::<A>(false, 3, 5).digest(), plain.digest(), "on three threads");
    assert_ne!(world::<A>(false, 1, 6).digest(), plain.digest(), "another seed");
    let fired = plain.fired();
    assert!(fired.lost > 0 && fired.duplicated > 0 && fired.delayed > 0 && fired.vanished > 0, "{fired:?}");
}

#[test]
fn one_seed_gives_one_digest_with_numbers_for_addresses() {
    check::<u32>();
}

#[test]
fn one_seed_gives_one_digest_with_sockets_for_addresses() {
    check::<Endpoint>();
}
