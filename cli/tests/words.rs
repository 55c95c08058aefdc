//! Help texts and errors, word for word.

mod common;

use common::{run, write_file};
use tempfile::TempDir;

#[test]
fn every_help_text_is_as_reviewed() {
    let home = TempDir::new().expect("a temporary folder");
    for command in ["", "fetch", "publish", "torrent", "torrent create", "torrent show", "torrent check", "serve", "serve tracker", "demo"]
    {
        let words = command.split_whitespace().chain(["--help"]);
        let said = run(home.path(), words);
        assert!(said.ok);
        let name = if command.is_empty() { "help".to_owned() } else { format!("help {command}").replace(' ', "-") };
        insta::assert_snapshot!(name, said.out);
    }
}

#[test]
fn an_error_is_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("noise.torrent"), 1, 100);
    let noise = home.path().join("noise.torrent").display().to_string();
    let lines: [&[&str]; 7] = [
        &["fetch", "no-such-file.torrent"],
        &["fetch", &noise],
        &["fetch", "magnet:?dn=nothing"],
        &["fetch", &noise, "--peer", "nonsense"],
        &["torrent", "show", &noise],
        &["torrent", "create", "no-such-folder", "-o", "x.torrent"],
        &["torrent", "create", &noise, "-o", &noise],
    ];
    let mut all = String::new();
    for words in lines {
        let said = run(
            home.path(),
            words.iter().copied().chain((words[0] == "fetch").then_some(["--listen", "127.0.0.1:0"]).into_iter().flatten()),
        );
        assert!(!said.ok, "{words:?}");
        assert_eq!(said.out, "", "data goes to stdout, errors do not");
        let shown = words.join(" ").replace(&home.path().display().to_string(), "~");
        all += &format!("$ hexad {shown}\n{}\n", said.err.replace(&home.path().display().to_string(), "~"));
    }
    insta::assert_snapshot!("errors", all);
}
