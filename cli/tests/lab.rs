//! The lab from the command line.

mod common;

use std::process::Stdio;

use common::{hexad, run};
use tempfile::TempDir;

#[test]
fn every_help_text_of_the_lab_is_as_reviewed() {
    let home = TempDir::new().expect("a temporary folder");
    for command in ["lab", "lab list", "lab run", "lab replay", "lab claims", "lab compare", "lab report", "lab merge"] {
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
    let lines: [&[&str]; 13] = [
        &["lab", "run", "lab/nothing"],
        &["lab", "run", "lab/hops", "--set", "tokens=1"],
        &["lab", "run", "lab/hops", "--nodes", "many"],
        &["lab", "replay", "lab/hops nonsense"],
        &["lab", "list", "zebra"],
        &["lab", "claims", "zebra"],
        &["lab", "compare", "--networks", "zebra"],
        &["lab", "compare", "--shard", "5/4", "--out", "part"],
        &["lab", "claims", "--shard", "5/4", "--out", "part"],
        &["lab", "run", "lab/hops", "--shard", "1/2", "--out", "part"],
        &["lab", "report", "."],
        &["lab", "merge", "nowhere", "--into", "somewhere"],
        &["lab", "run", "no-such-question.toml"],
    ];
    for words in lines {
        let said = run(home.path(), words.iter().copied());
        assert!(!said.ok, "{words:?}");
        assert_eq!(said.out, "", "{words:?}");
        let told: Vec<&str> = said.err.lines().collect();
        assert!(matches!(told[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")), "{words:?}: {told:?}");
    }
}

#[test]
fn shards_of_a_comparison_make_the_same_report_as_one_run() {
    let home = TempDir::new().expect("a temporary folder");
    let common = [
        "lab",
        "compare",
        "--nodes",
        "60",
        "--sizes",
        "40,60",
        "--networks",
        "napster,chord",
        "--set",
        "window=20s",
        "--set",
        "queries=20",
    ];
    let more = ["--set", "newcomers=2", "--set", "sessions=60", "--set", "failed=0.3"];
    let command = |last: &[&'static str]| common.iter().chain(&more).chain(last).copied().collect::<Vec<_>>();
    let whole = run(home.path(), command(&["--out", "whole", "--jobs", "2"]));
    assert!(whole.ok, "{}", whole.err);
    assert!(whole.err.contains("[4/4]") && whole.out.contains("messages of a search"), "{}{}", whole.err, whole.out);
    for (shard, folder) in [("1/2", "part-1"), ("2/2", "part-2")] {
        let part = run(home.path(), command(&["--shard", shard, "--out", folder]));
        assert!(part.ok && part.err.contains("[2/2]"), "{}", part.err);
    }
    let merged = run(home.path(), ["lab", "merge", "part-1", "part-2", "--into", "merged"]);
    assert!(merged.ok && merged.err.contains("copied 4 files"), "{}", merged.err);
    let told = run(home.path(), ["lab", "report", "merged"]);
    assert!(told.ok, "{}", told.err);
    for file in ["report.md", "compare.networks.csv", "compare.x1-messages.csv", "compare.x1-messages.svg", "compare.x8-attacks.svg"] {
        assert!(told.out.contains(&format!("merged/{file}")), "{file}: {}", told.out);
    }
    let page = |folder: &str| std::fs::read_to_string(home.path().join(folder).join("report.html")).expect("a page");
    // Only the seconds that it took may differ.
    let without_time = |page: String| page.lines().filter(|line| !line.contains("s of computing")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(without_time(page("merged")), without_time(page("whole")));
    assert!(!page("whole").contains("<script") && !page("whole").contains("src=") && page("whole").matches("<svg").count() >= 13);

    // What is there already is not run again.
    let again = run(home.path(), command(&["--out", "whole"]));
    assert!(again.ok && again.err.matches("was there").count() == 4, "{}", again.err);
    assert_eq!(again.out, whole.out);
}

#[test]
fn a_run_of_several_ends_with_whoever_wants_it() {
    let home = TempDir::new().expect("a temporary folder");
    let mut started = hexad(home.path());
    started.args(["lab", "carry", "compare/gnutella nodes=20000"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = started.spawn().expect("hexad starts");
    drop(child.stdin.take());
    assert!(!child.wait().expect("a status").success(), "it went on to its end, which takes minutes");

    let mut started = hexad(home.path());
    started.args(["lab", "carry", "lab/hops nodes=300 time=1s seed=7"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = started.spawn().expect("hexad starts");
    let stdin = child.stdin.take();
    let output = child.wait_with_output().expect("it ends");
    drop(stdin);
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).starts_with("{\"kind\":\"run\""));
}

#[test]
fn parts_of_claims_are_judged_together_as_if_they_were_one() {
    let home = TempDir::new().expect("a temporary folder");
    let command =
        |last: &[&'static str]| ["lab", "claims", "napster/scale", "--seeds", "3"].iter().chain(last).copied().collect::<Vec<_>>();
    let whole = run(home.path(), command(&["--out", "whole", "--jobs", "2"]));
    assert!(whole.ok && whole.err.contains("[3/3]") && whole.out.contains("holds"), "{}{}", whole.out, whole.err);
    for (shard, folder) in [("1/2", "part-1"), ("2/2", "part-2")] {
        let part = run(home.path(), command(&["--shard", shard, "--out", folder]));
        assert!(part.ok, "{}", part.err);
        assert_eq!(part.out, "", "nothing is judged by a part");
    }
    let merged = run(home.path(), ["lab", "merge", "part-1", "part-2", "--into", "merged"]);
    assert!(merged.ok && merged.err.contains("copied 3 files"), "{}", merged.err);
    let judged = run(home.path(), command(&["--out", "merged"]));
    assert_eq!(judged.err.matches("was there").count(), 3, "{}", judged.err);
    assert_eq!(judged.out, whole.out);
    // What the runs draw stands in the report behind the verdicts, and they are no scenarios of their own there.
    let told = run(home.path(), ["lab", "report", "merged"]);
    assert!(told.ok && told.out.contains("merged/claims.csv"), "{}{}", told.out, told.err);
    let page = std::fs::read_to_string(home.path().join("merged/report.md")).expect("a report");
    assert!(!page.contains("Scenario napster/scale"), "{page}");
}

#[test]
fn claims_that_nothing_measures_are_shown_and_kept() {
    let home = TempDir::new().expect("a temporary folder");
    let said = run(home.path(), ["lab", "claims", "--only", "NA1", "--only", "CH21", "--out", "kept"]);
    assert!(said.ok, "{}", said.err);
    assert!(said.out.contains("absent") && said.out.contains("CH21 †") && said.out.contains("holds"), "{}", said.out);
    let told = run(home.path(), ["lab", "report", "kept"]);
    assert!(told.ok && told.out.contains("kept/claims.csv"), "{}{}", told.out, told.err);
}

#[test]
fn a_question_in_a_file_is_answered_with_what_it_asks_for() {
    let home = TempDir::new().expect("a temporary folder");
    let text = "question = 'Who finds more?'\nnetworks = ['napster', 'kazaa']\nmeasures = ['answered', 'join']\n\
                [population]\nnodes = 60\nfit_each = 10\nnewcomers = 2\n[workload]\nqueries = 20\nwindow_s = 20\n";
    std::fs::write(home.path().join("mine.toml"), text).expect("a file");
    let said = run(home.path(), ["lab", "run", "mine.toml"]);
    assert!(said.ok, "{}", said.err);
    assert!(said.out.contains("Who finds more?") && said.out.contains("searches answered") && !said.out.contains("Gini"), "{}", said.out);
}

#[test]
fn a_report_goes_to_the_node_of_a_configuration() {
    let home = TempDir::new().expect("a temporary folder");
    let kept = run(home.path(), ["lab", "claims", "--only", "NA1", "--out", "kept"]);
    assert!(kept.ok, "{}", kept.err);
    let state = home.path().join("state");
    let set = format!("state_dir={}", state.display());
    let place = state.join("lab-report/index.html");

    let only_here = run(home.path(), ["lab", "report", "kept", "--set", &set]);
    assert!(only_here.ok && !state.exists(), "{}", only_here.err);

    std::fs::create_dir_all(state.join("lab-report")).expect("a folder");
    std::fs::write(&place, "an older page").expect("a file");
    let told = run(home.path(), ["lab", "report", "kept", "--to-node", "--set", &set]);
    assert!(told.ok, "{}", told.err);
    assert_eq!(told.out.lines().last(), place.to_str());
    let read = |path: &std::path::Path| std::fs::read_to_string(path).expect("a page");
    assert_eq!(read(&place), read(&home.path().join("kept/report.html")));
    // Nothing half stays beside it.
    assert_eq!(std::fs::read_dir(state.join("lab-report")).expect("a folder").count(), 1);

    std::fs::write(home.path().join("file"), "").expect("a file");
    let blocked = run(home.path(), ["lab", "report", "kept", "--to-node", "--set", "state_dir=file"]);
    assert!(!blocked.ok && blocked.err.contains("file/lab-report/index.html cannot be written"), "{}", blocked.err);
}

/// The line of `lab/README.md` that runs shards with GNU parallel.
#[test]
fn gnu_parallel_runs_the_shards_of_a_sweep() {
    let found = std::env::var_os("PATH").is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join("parallel").is_file()));
    if !found {
        eprintln!("GNU parallel is not here: not tried");
        return;
    }
    let home = TempDir::new().expect("a temporary folder");
    let line = "parallel --will-cite \"$HEXAD\" lab compare --sizes 40,60 --networks napster --seeds 2 --set window=20s --set queries=20 \
                --set newcomers=2 --set sessions=60 --set failed=0.3 --shard {}/3 --out part-{} ::: 1 2 3 && \
                \"$HEXAD\" lab merge part-1 part-2 part-3 --into all && \"$HEXAD\" lab report all";
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", line]).env("HEXAD", env!("CARGO_BIN_EXE_hexad")).env("HOME", home.path()).current_dir(home.path());
    let ran = common::said(&mut shell);
    assert!(ran.ok, "{}", ran.err);
    assert!(ran.out.contains("all/report.html"), "{}", ran.out);
    let runs = std::fs::read_dir(home.path().join("all")).expect("a folder").flatten();
    assert_eq!(runs.filter(|entry| entry.path().extension().is_some_and(|end| end == "jsonl")).count(), 4);
}
