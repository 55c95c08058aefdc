//! `hexad demo` as somebody runs it who has just built it.

mod common;

use std::fs;

use tempfile::TempDir;

#[test]
fn the_demo_says_ok_for_each_network_and_for_all_at_once_and_leaves_nothing_behind() {
    let home = TempDir::new().expect("a temporary folder");
    let scratch = home.path().join("tmp");
    fs::create_dir(&scratch).expect("a folder");
    let output = common::hexad(home.path()).args(["demo", "--size", "16"]).env("TMPDIR", &scratch).output().expect("hexad starts");
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let lines: Vec<&str> = out.lines().collect();
    let networks: Vec<&str> = lines.iter().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(networks, ["bittorrent", "napster", "gnutella", "kazaa", "chord", "freenet", "merged"], "{out}");
    let (merged, each) = lines.split_last().expect("lines");
    for line in each {
        assert!(line.ends_with(" ok") && line.contains("23 files") && line.contains("MiB/s"), "{out}");
    }
    // One result, whoever has it.
    let searched = ["chord", "gnutella", "kazaa", "napster"];
    assert!(merged.ends_with(" ok") && merged.contains("1 result of ") && searched.iter().all(|name| merged.contains(name)), "{out}");
    assert_eq!(fs::read_dir(&scratch).expect("a folder").count(), 0);
}

#[test]
fn a_demo_that_cannot_write_fails() {
    let home = TempDir::new().expect("a temporary folder");
    let output = common::hexad(home.path()).arg("demo").env("TMPDIR", home.path().join("nowhere")).output().expect("hexad starts");
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(err.starts_with("error: a temporary folder cannot be made") && err.contains("\nhint: TMPDIR"), "{err}");
}
