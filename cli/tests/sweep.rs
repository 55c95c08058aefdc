//! A sweep of the lab whose question and whose parts travel over a network, as `lab/examples/sweep-by-hexad.sh` does it.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{DEADLINE, Running, Said, hexad, run, said, start, text};
use tempfile::TempDir;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../lab/examples/sweep-by-hexad.sh");
const QUESTION: &str = "question = 'What does a central index cost?'\nnetworks = ['napster']\nmeasures = ['messages', 'answered']\nseeds = 2\n\
                        [population]\nnodes = 40\nnewcomers = 2\n[workload]\nqueries = 20\nwindow_s = 20\n";

/// A machine with a node of a ring.
struct Machine {
    home: TempDir,
    _node: Running,
    url: String,
}

impl Machine {
    /// Joins the ring by that entry; begins one where there is none.
    fn new(entry: Option<&str>) -> Self {
        let home = TempDir::new().expect("a temporary folder");
        let way_in = entry.map_or("networks.chord.found=true".to_owned(), |entry| format!("networks.chord.bootstrap={entry}"));
        let set = ["networks.join=chord", "networks.chord.listen=127.0.0.1:0", &way_in];
        let words = ["up", "--json", "--http", "127.0.0.1:0", "--downloads", "downloads"];
        let mut node = start(home.path(), words.into_iter().chain(set.into_iter().flat_map(|set| ["--set", set])));
        let url = text(&node.await_event("listening"), "address").to_owned();
        Self { home, _node: node, url }
    }

    /// `KEY@IP:PORT` of its node, once it has joined.
    fn entry(&self) -> String {
        let until = Instant::now() + DEADLINE;
        loop {
            let shown = run(self.home.path(), ["networks", "show", "chord", "--json", "--daemon", &self.url]);
            if shown.out.contains("\"joined\"") && shown.out.contains("@127.0.0.1:") {
                let door = shown.out.split('"').find(|word| word.contains("@127.0.0.1:")).expect("it contains one");
                return door.to_owned();
            }
            assert!(Instant::now() < until, "the ring was not joined: {}{}", shown.out, shown.err);
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    fn script(&self, words: &[&str]) -> Said {
        let mut command = Command::new("timeout");
        let known = hexad(self.home.path());
        let known = known.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
        command.arg(DEADLINE.as_secs().to_string()).args(["sh", SCRIPT]).args(words).envs(known);
        command.env("HEXAD", env!("CARGO_BIN_EXE_hexad")).env("HEXAD_DAEMON", &self.url).current_dir(self.home.path());
        let told = said(&mut command);
        assert!(told.ok, "{words:?}: {}{}", told.out, told.err);
        told
    }
}

/// The tables of a report, without the seconds that it took.
fn figures(folder: &Path) -> String {
    let page = fs::read_to_string(folder.join("report.md")).expect("a report");
    page.lines().filter(|line| !line.contains("s of computing")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_parts_of_a_sweep_come_back_over_a_ring() {
    let first = Machine::new(None);
    let second = Machine::new(Some(&first.entry()));
    second.entry();
    fs::write(first.home.path().join("mine.toml"), QUESTION).expect("a file");
    first.script(&["ask", "indexcosts", "mine.toml"]);
    // Whoever has asked works as well.
    for (machine, part) in [(&second, "2/2"), (&first, "1/2")] {
        let worked = machine.script(&["work", "indexcosts", part]);
        assert!(worked.err.contains("[1/1] compare/napster"), "{}", worked.err);
        assert!(worked.out.starts_with("magnet:"), "{}", worked.out);
    }
    let collected = first.script(&["collect", "indexcosts", "2"]);
    assert_eq!(collected.err.matches("was there").count(), 2, "nothing is run again: {}", collected.err);
    assert!(collected.out.contains("What does a central index cost?") && collected.out.contains("2 runs"), "{}", collected.out);

    let alone = run(first.home.path(), ["lab", "run", "mine.toml", "--out", "alone"]);
    assert!(alone.ok, "{}", alone.err);
    assert_eq!(figures(&first.home.path().join("indexcosts")), figures(&first.home.path().join("alone")));
}
