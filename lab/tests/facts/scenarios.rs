use hexad_lab::scenarios::{SCENARIOS, toy};
use hexad_lab::{
    Claim, Expected, Gauge, Line, Outcome, Parameter, Params, Preset, Progress, Scenario, Silent, Size, Value, find, replay, test_claims,
};

fn hops(given: &[(&str, &str)], threads: usize) -> hexad_lab::Run {
    let mut params = toy::HOPS.params(given.iter().copied()).unwrap();
    params.threads = threads;
    toy::HOPS.execute(&params, &mut Silent).unwrap()
}

#[test]
fn a_line_repeats_a_run_on_any_number_of_threads() {
    let run = hops(&[("nodes", "500"), ("seed", "7"), ("period", "300ms")], 1);
    assert!(run.outcome.events > 5000);
    let line: Line = run.line.parse().unwrap();
    for threads in [1, 2, 3] {
        let again = replay(&line, SCENARIOS, threads, &mut Silent).unwrap();
        assert!(again.is_same(), "{threads} threads: {} {}", run.line, again.run.line);
        assert_eq!(again.run.line, run.line);
    }
    // The same on every machine and in every profile.
    assert_eq!(run.line, "lab/hops codec=off nodes=500 period=300ms seed=7 time=5s tokens-percent=10 #433d556245046269");
}

#[test]
fn a_run_that_has_changed_is_noticed() {
    let run = hops(&[("nodes", "50")], 1);
    let line = Line { digest: Some(run.outcome.digest ^ 1), ..run.line.parse().unwrap() };
    assert!(!replay(&line, SCENARIOS, 1, &mut Silent).unwrap().is_same());
    let other = Line { set: vec![("nodes".into(), "50".into()), ("seed".into(), "2".into())], ..line };
    assert!(!replay(&other, SCENARIOS, 1, &mut Silent).unwrap().is_same());
}

#[test]
fn messages_as_bytes_make_the_same_run() {
    let digest = |codec| hops(&[("nodes", "200"), ("codec", codec)], 1).outcome.digest;
    assert_eq!(digest("on"), digest("off"));
}

#[test]
fn phases_are_timed_and_told() {
    #[derive(Default)]
    struct Ear {
        phases: Vec<String>,
        last: f64,
    }
    impl Progress for Ear {
        fn on_phase(&mut self, name: &str) {
            self.phases.push(name.into());
        }

        fn on_step(&mut self, done: f64, _: u64) {
            assert!((0.0..=1.0).contains(&done));
            self.last = done;
        }
    }
    let mut ear = Ear::default();
    let run = toy::HOPS.execute(&toy::HOPS.params([("nodes", "100")]).unwrap(), &mut ear).unwrap();
    assert_eq!(ear.phases, ["set-up", "steady"]);
    assert!((ear.last - 1.0).abs() < f64::EPSILON);
    assert_eq!(run.phases[1].events, run.outcome.events);
    assert!(run.cpu_s > 0.0 && run.wall_s > 0.0 && run.peak_memory_bytes > 0);
}

#[test]
fn every_scenario_has_a_name_of_its_own_and_defaults_that_can_be_read() {
    for scenario in SCENARIOS {
        assert_eq!(SCENARIOS.iter().filter(|other| other.name == scenario.name).count(), 1, "{}", scenario.name);
        assert!(scenario.name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "/-".contains(letter)));
        assert!(!scenario.about.is_empty() && !scenario.about.ends_with('.'), "{}: one sentence, as lists show it", scenario.name);
        let params = scenario.params([]).unwrap();
        let line: Line = Line::of(scenario.name, &params, None).to_string().parse().unwrap();
        assert_eq!(scenario.params(line.given()).unwrap(), params);
        for size in [Size::Small, Size::Full] {
            assert!(scenario.claims.is_empty() || scenario.claim_params(size, 1).is_ok(), "{}", scenario.name);
        }
    }
}

#[test]
fn what_cannot_be_set_is_told_with_what_can() {
    let wrong = |given: (&'static str, &'static str)| toy::HOPS.params([given]).unwrap_err();
    assert!(wrong(("nods", "5")).contains("nodes"));
    assert!(wrong(("period", "soon")).contains("90s"));
    assert!(wrong(("nodes", "0")).contains("1 to"));
    assert!(find(SCENARIOS, "lab/nothing").err().is_some_and(|words| words.contains("lab/hops")));
}

fn weigh(params: &Params, _: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let weight = params.number("weight");
    #[expect(clippy::cast_precision_loss, reason = "a small seed")]
    outcome.find("T1", "weight, kg", Expected::About { value: 10.0, by: 0.5 }, weight + params.seed() as f64 - 2.0);
    outcome.find("T2", "weight, kg", Expected::AtMost(9.0), weight);
    outcome.remarks.push("weighed".into());
    Ok(outcome)
}

static SCALES: Scenario = Scenario {
    name: "test/scales",
    parameters: &[Parameter { name: "weight", default: Preset::Number(1.0), help: "kg" }],
    claims: &[
        Claim { id: "T1", says: "It weighs ten.", source: "us" },
        Claim { id: "T2", says: "It weighs less than nine.", source: "us" },
        Claim { id: "T3", says: "It floats.", source: "us" },
    ],
    small: &[("weight", "10"), ("nodes", "1")],
    full: &[("weight", "20"), ("nodes", "1")],
    seeds: (3, 2),
    run: weigh,
    ..Scenario::PLAIN
};

#[test]
fn claims_are_judged_by_the_mean_over_seeds_and_silence_is_no_proof() {
    let report = test_claims(&SCALES, Size::Small, None, 1, &mut Silent).unwrap();
    let [first, second] = &report.verdicts[..] else { panic!("{report:?}") };
    assert_eq!((first.claim, first.measured, first.least, first.most, first.seeds, first.holds), ("T1", 10.0, 9.0, 11.0, 3, true));
    assert!((first.interval - 4.303 / 3_f64.sqrt()).abs() < 1e-9, "{}", first.interval);
    assert!(!second.holds);
    assert_eq!(report.silent, ["T3"]);
    assert_eq!(report.remarks, ["weighed"]);
    assert_eq!(report.lines.len(), 3);
    assert!(!report.holds());
    let full = test_claims(&SCALES, Size::Full, Some(1), 1, &mut Silent).unwrap();
    assert_eq!((full.verdicts[0].measured, full.verdicts[0].seeds), (19.0, 1));
}

#[test]
fn claims_come_to_the_same_on_one_thread_and_on_several() {
    for name in ["napster/scale", "gnutella/flood", "kazaa/sources", "freenet/memory", "chord/gap"] {
        let scenario = find(SCENARIOS, name).unwrap();
        let report = |threads| test_claims(scenario, Size::Small, Some(1), threads, &mut Silent).unwrap();
        let once = report(1);
        assert!(once.lines[0].contains(" #") && !once.verdicts.is_empty(), "{name}: the line has a digest");
        assert_eq!(report(2), once, "{name}");
    }
}

#[test]
fn a_parameter_of_another_kind_is_the_scenarios_mistake() {
    let params = SCALES.params([]).unwrap();
    assert_eq!(params.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["nodes", "seed", "weight"]);
    assert!(matches!(params.iter().last(), Some((_, Value::Number(_)))));
    assert!(std::panic::catch_unwind(|| params.count("weight")).is_err());
}
