//! The lab from the command line.

mod common;

use common::run;
use tempfile::TempDir;

#[test]
fn every_help_text_of_the_lab_is_as_reviewed() {
    let home = TempDir::new().expect("a temporary folder");
    for command in ["lab", "lab list", "lab run", "lab replay", "lab claims"] {
        let said = run(home.path(), command.split_whitespace().chain(["--help"]));
        assert!(said.ok);
        insta::assert_snapshot!(format!("help {command}").replace(' ', "-"), said.out);
    }
}

#[test]
fn a_run_prints_one_line_that_repeats_it() {
    let home = TempDir::new().expect("a temporary folder");
    let ran = run(home.path(), ["lab", "run", "lab/hops", "--nodes", "300", "--seed", "7", "--set", "time=1s", "--out", "plots"]);
    assert!(ran.ok, "{}", ran.err);
    let line = ran.out.lines().last().expect("a line").to_owned();
    assert!(line.starts_with("lab/hops ") && line.contains(" seed=7 "), "{line}");
    assert!(home.path().join("plots/lab-hops-7.jsonl").exists() && home.path().join("plots/lab-hops-7.cost.csv").exists());

    let same = run(home.path(), ["lab", "replay", &line, "--threads", "2"]);
    assert!(same.ok, "{}", same.err);
    assert!(same.err.contains("the same digest"), "{}", same.err);

    let (said, _) = line.split_once('#').expect("a digest");
    let changed = run(home.path(), ["lab", "replay", &format!("{said}#0000000000000001")]);
    assert!(!changed.ok);
    assert!(changed.err.contains("THE RUN HAS CHANGED") && changed.err.contains("hint: "), "{}", changed.err);
}

#[test]
fn a_script_can_read_what_a_run_came_to() {
    let home = TempDir::new().expect("a temporary folder");
    let ran = run(home.path(), ["lab", "run", "lab/hops", "--nodes", "300", "--set", "time=1s", "--json"]);
    assert!(ran.ok, "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 1);
    for name in ["line", "seed", "nodes", "events", "cpu_s", "peak_memory_bytes", "digest", "phases", "tables"] {
        assert!(ran.out.contains(&format!("\"{name}\":")), "{name}");
    }
    let listed = run(home.path(), ["lab", "list", "--json"]);
    assert!(listed.out.lines().any(|line| line.contains("\"bittorrent/swarm\"")));
}

#[test]
fn what_the_lab_cannot_do_is_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    let lines: [&[&str]; 6] = [
        &["lab", "run", "lab/nothing"],
        &["lab", "run", "lab/hops", "--set", "tokens=1"],
        &["lab", "run", "lab/hops", "--nodes", "many"],
        &["lab", "replay", "lab/hops nonsense"],
        &["lab", "list", "zebra"],
        &["lab", "claims", "zebra"],
    ];
    for words in lines {
        let said = run(home.path(), words.iter().copied());
        assert!(!said.ok, "{words:?}");
        assert_eq!(said.out, "", "{words:?}");
        let told: Vec<&str> = said.err.lines().collect();
        assert!(matches!(told[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")), "{words:?}: {told:?}");
    }
}
