//! The common world, small: all six networks live through it, and it is the same on one thread and on several.

use hexad_lab::scenarios::SCENARIOS;
use hexad_lab::{Cell, Run, Silent, find};

const SMALL: [(&str, &str); 8] = [
    ("nodes", "200"),
    ("queries", "60"),
    ("window", "30s"),
    ("newcomers", "5"),
    ("leaves", "20"),
    ("training", "3"),
    ("sessions", "600,60"),
    ("failed", "0.2,0.5"),
];

fn run(network: &str, set: &[(&str, &str)], threads: usize) -> Run {
    let scenario = find(SCENARIOS, &format!("compare/{network}")).expect("a scenario for each network");
    let mut params = scenario.params(SMALL.iter().chain(set).copied()).expect("they can be set");
    params.threads = threads;
    scenario.execute(&params, &mut Silent).expect("it runs")
}

fn figure(run: &Run, name: &str) -> f64 {
    let rows = run.outcome.tables.iter().filter(|table| table.name == "figures").flat_map(|table| &table.rows);
    let found = rows.filter(|row| row[0] == Cell::from(name)).find_map(|row| match row[1] {
        Cell::Count(count) => Some(count as f64),
        Cell::Number(number) => Some(number),
        _ => None,
    });
    found.unwrap_or_else(|| panic!("no figure '{name}' in {:?}", run.outcome.tables))
}

/// Lives it all on one thread and on two, with and without the codec; returns the first.
fn check(network: &str) -> Run {
    let once = run(network, &[], 1);
    for table in &once.outcome.tables {
        println!("{network} {}: {:?}", table.name, table.rows);
    }
    println!("{network}: {} events in {:.1} s", once.outcome.events, once.cpu_s);
    assert_eq!(run(network, &[], 2).outcome, once.outcome, "threads change nothing");
    // Freenet's blocks are stand-ins here, which have no bytes.
    let codec = if network == "freenet" { "off" } else { "on" };
    let short = [("whole", "off")];
    assert_eq!(
        run(network, &[("whole", "off"), ("codec", codec)], 1).outcome.digest,
        run(network, &short, 1).outcome.digest,
        "nor do bytes"
    );
    assert_eq!(figure(&once, "publications in effect"), 1.0);
    assert_eq!(figure(&once, "newcomers who joined"), 1.0);
    for table in ["figures", "popularity", "load", "churn", "failures", "attacks"] {
        assert!(once.outcome.tables.iter().any(|given| given.name == table), "{network} has no {table}");
    }
    once
}

#[test]
fn a_central_index_answers_every_question_with_one_message() {
    let run = check("napster");
    assert_eq!(figure(&run, "searches answered"), 1.0);
    assert_eq!(figure(&run, "messages of a search"), 2.0);
    assert_eq!(figure(&run, "recall"), 1.0);
    assert_eq!(figure(&run, "indexes consulted by a search"), 1.0);
    let attacks = run.outcome.tables.iter().find(|table| table.name == "attacks").expect("attacks");
    assert_eq!(attacks.rows[0][2], Cell::Number(0.0), "whoever kills the busiest node has killed the server");
}

#[test]
fn a_flood_reaches_all_of_a_small_network() {
    let run = check("gnutella");
    assert!(figure(&run, "searches answered") > 0.95);
    assert!(figure(&run, "messages of a search") > 200.0, "a flood costs a message for each link at least");
}

#[test]
fn supernodes_are_asked_for_their_leaves() {
    let run = check("kazaa");
    assert!(figure(&run, "searches answered") > 0.95);
    // Ten supernodes all have links to each other, so that a question comes to most of them several times.
    assert!(figure(&run, "messages of a search") < 250.0);
}

#[test]
fn swarms_are_looked_up_in_a_table() {
    let run = check("bittorrent");
    assert!(figure(&run, "searches answered") > 0.95);
}

#[test]
fn keys_are_found_where_they_were_routed_to() {
    let run = check("freenet");
    assert!(figure(&run, "searches answered") > 0.8);
}

#[test]
fn a_ring_finds_what_was_put_into_it() {
    let run = check("chord");
    assert_eq!(figure(&run, "searches answered"), 1.0);
    assert!(figure(&run, "indexes consulted by a search") < 1.5);
}

#[test]
fn networks_see_the_same_world() {
    let world = |network| {
        let run = run(network, &[("whole", "off")], 1);
        ["users", "distinct files", "copies of files", "copies of the most popular file", "questions asked"].map(|name| figure(&run, name))
    };
    assert_eq!(world("napster"), world("chord"));
}

#[test]
fn examples_of_questions_are_answered() {
    use hexad_lab::comparison::{EXAMPLES, Question, compare};
    use hexad_lab::sweep::{Shard, here, sweep};
    for (name, text) in EXAMPLES {
        let mut question = Question::read(text).expect("an example can be read");
        question.plan.sizes = vec!["60".into()];
        question.plan.seeds = 1;
        let small = [("queries", "12"), ("window", "15s"), ("newcomers", "2"), ("sessions", "60"), ("failed", "0.5"), ("training", "2")];
        question.plan.set.extend(small.map(|(name, value)| (name.to_owned(), value.to_owned())));
        let jobs = question.plan.jobs().expect("jobs");
        let runs = sweep(&jobs, Shard::WHOLE, None, 2, &here, |_| {}).unwrap_or_else(|wrong| panic!("{name}: {wrong}"));
        assert_eq!(runs.failed, []);
        let answer = question.show(compare(&runs.runs));
        assert_eq!(answer.runs, jobs.len(), "{name}");
        assert!(
            answer.tables.iter().all(|table| ["networks", "trouble"].contains(&table.name.as_str())),
            "{name} shows what was not asked for"
        );
        assert!(!answer.tables.is_empty() && answer.remarks[0].ends_with('?'), "{name}");
    }
}
