//! Help texts and errors, word for word.

mod common;

use std::fs;
use std::path::Path;

use common::{hexad, run, said, write_file};
use tempfile::TempDir;

#[test]
fn every_help_text_is_as_reviewed() {
    let home = TempDir::new().expect("a temporary folder");
    for command in [
        "",
        "up",
        "status",
        "networks",
        "networks join",
        "library",
        "library list",
        "library move",
        "downloads",
        "downloads list",
        "downloads files",
        "downloads set",
        "top",
        "config",
        "config init",
        "config show",
        "completions",
        "man",
        "join",
        "join chord",
        "join freenet",
        "join gnutella",
        "join napster",
        "publish",
        "search",
        "fetch",
        "stream",
        "bittorrent",
        "bittorrent scrape",
        "bittorrent sample",
        "chord",
        "chord put",
        "chord get",
        "napster",
        "napster search",
        "napster browse",
        "napster whois",
        "napster say",
        "freenet",
        "freenet make-key",
        "freenet invite",
        "freenet invitations",
        "freenet revoke",
        "freenet accept",
        "freenet friends",
        "freenet unfriend",
        "torrent",
        "torrent create",
        "torrent show",
        "torrent check",
        "serve",
        "serve tracker",
        "serve napster",
        "serve fcp",
        "demo",
    ] {
        let said = said(hexad(home.path()).args(command.split_whitespace()).arg("--help").env_remove("HEXAD_LISTEN"));
        assert!(said.ok, "{command}: {}", said.err);
        assert_eq!(said.err, "");
        let name = if command.is_empty() { "help".to_owned() } else { format!("help {command}").replace(' ', "-") };
        insta::assert_snapshot!(name, said.out);
    }
}

/// What each command line says on stderr when it fails, which it must, with nothing on stdout.
fn check(name: &str, home: &Path, lines: &[&str]) {
    let place = home.display().to_string();
    let mut all = String::new();
    for line in lines {
        let said = run(home, line.split_whitespace().map(|word| word.replace('~', &place)));
        assert!(!said.ok, "{line}");
        assert_eq!(said.out, "", "{line}: data goes to stdout, errors do not");
        let words: Vec<&str> = said.err.lines().collect();
        assert!(matches!(words[..], [error, hint] if error.starts_with("error: ") && hint.starts_with("hint: ")), "{line}: {words:?}");
        all += &format!("$ hexad {line}\n{}\n", said.err.replace(&place, "~"));
    }
    insta::assert_snapshot!(name, all);
}

#[test]
fn what_cannot_be_read_is_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    check(
        "errors-typed",
        home.path(),
        &[
            "fetch",
            "fetch x.torrent --pear 127.0.0.1:1",
            "fetch x.torrent --listen nonsense",
            "fetch x.torrent --no-encryption --require-encryption",
            "fetch x.torrent --max-down fast",
            "fetch x.torrent --seed-ratio much",
            "publish",
            "publish --torrent x.torrent",
            "publish x --data y",
            "torrent make x",
            "torrent create x",
            "torrent create x -o y --piece-length 3furlongs",
            "serve tracker",
            "serve tracker --http 127.0.0.1:0 --interval 0",
            "demo --size 0",
            "join kad",
            "join napster",
            "search",
            "search blue --on kad",
            "search blue --limit 0",
            "chord put greeting",
            "serve napster",
        ],
    );
}

#[test]
fn a_network_that_cannot_be_entered_is_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("film.bin"), 1, 1000);
    write_file(&home.path().join("large.bin"), 1, 70_000);
    fs::create_dir_all(home.path().join("bad-state/chord")).expect("a folder");
    fs::write(home.path().join("bad-state/chord/node-key"), "no key").expect("written");
    check(
        "errors-networks",
        home.path(),
        &[
            "search blue",
            "search blue --on bittorrent",
            "search blue --on chord",
            "search blue --on napster",
            "search blue --on chord --server 127.0.0.1:1",
            "search blue --server nonsense",
            "search blue --server 127.0.0.1:1 --nick a\u{a0}b",
            "join chord --bootstrap 00ff@127.0.0.1:1",
            "join chord --state ~/film.bin",
            "join chord --state ~/bad-state",
            "publish film.bin --on chord",
            "publish film.bin --on napster --server 127.0.0.1:1 -o x.torrent",
            "fetch napster:nick=bob&path=a --on bittorrent",
            "fetch magnet:?xt=urn:hexad:0000000000000000000000000000000000000000000000000000000000000001-7",
            "fetch magnet:?xt=urn:hexad:00-7 --on chord",
            "chord put greeting hello",
            "chord put large --file large.bin",
            "chord put gone --file no-such-file",
            "chord get 00 --hex --bootstrap 0000000000000000000000000000000000000000000000000000000000000001@127.0.0.1:1",
            "serve napster --listen 127.0.0.1:0 --server-name a\u{a0}b",
            "serve napster --listen 127.0.0.1:0 --motd-file no-such-file",
        ],
    );
}

#[test]
fn a_source_that_cannot_be_used_is_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("noise.torrent"), 1, 100);
    for (name, text) in [
        ("empty", ""),
        ("deep", &"l".repeat(200_000)),
        ("no-info", "d8:announce3:urle"),
        ("short", "d4:infod6:lengthi5e4:name1:a"),
        ("huge-length", "d4:infod6:lengthi99999999999999999999e4:name1:a12:piece lengthi16384e6:pieces0:ee"),
        ("few-pieces", "d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces0:ee"),
        ("v2", "d4:infod9:file treede12:meta versioni2e4:name1:a12:piece lengthi16384eee"),
    ] {
        fs::write(home.path().join(format!("{name}.torrent")), text).expect("written");
    }
    check(
        "errors-sources",
        home.path(),
        &[
            "fetch no-such-file.torrent",
            "fetch ~",
            "fetch ~/noise.torrent",
            "fetch ~/empty.torrent",
            "fetch ~/deep.torrent",
            "fetch ~/no-info.torrent",
            "fetch ~/short.torrent",
            "fetch ~/huge-length.torrent",
            "fetch ~/few-pieces.torrent",
            "fetch ~/v2.torrent",
            "fetch ~/noise.torrent --peer nonsense",
            "fetch magnet:?dn=nothing",
            "fetch magnet:?xt=urn:btih:123",
            "fetch magnet:?xt=urn:btmh:1220abc",
            "fetch magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&so=a",
            "fetch http://127.0.0.1:1/x.torrent",
            "torrent show ~/noise.torrent",
            "torrent check ~/noise.torrent",
        ],
    );
}

#[test]
fn files_that_cannot_be_shared_are_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    write_file(&home.path().join("film.bin"), 1, 100_000);
    fs::create_dir(home.path().join("void")).expect("a folder");
    fs::write(home.path().join("there.torrent"), "kept").expect("written");
    let made = run(home.path(), ["torrent", "create", &home.path().join("film.bin").display().to_string(), "-o", "film.torrent"]);
    assert!(made.ok, "{}", made.err);
    check(
        "errors-files",
        home.path(),
        &[
            "torrent create no-such-folder -o x.torrent",
            "torrent create void -o x.torrent",
            "torrent create film.bin -o there.torrent",
            "torrent create film.bin -o no-such-folder/x.torrent",
            "torrent create film.bin -o x.torrent --piece-length 100000",
            "torrent create film.bin -o x.torrent --piece-length 1024",
            "publish no-such-file",
            "publish film.bin -o there.torrent",
            "publish film.bin void -o x.torrent",
            "publish film.bin --peer nonsense",
            "publish --torrent film.torrent --data void",
            "publish --torrent there.torrent --data .",
        ],
    );
    assert_eq!(fs::read_to_string(home.path().join("there.torrent")).expect("still there"), "kept");
    assert!(!home.path().join("x.torrent").exists());
}

#[test]
fn what_a_node_cannot_be_told_is_one_sentence_and_a_hint() {
    let home = TempDir::new().expect("a temporary folder");
    fs::write(home.path().join("broken.toml"), "seed = true\n[http]\nlisten = \"nowhere\"\n").expect("written");
    fs::write(home.path().join("unknown.toml"), "[networks.chord]\nbotstrap = []\n").expect("written");
    write_file(&home.path().join("film.bin"), 1, 1000);
    check(
        "errors-node",
        home.path(),
        &[
            "up --config ~/none.toml",
            "up --config ~/broken.toml",
            "up --config ~/unknown.toml",
            "up --set seed=perhaps",
            "up --set sead=true",
            "up --set seed",
            "up --set networks.join=usenet",
            "up --http 127.0.0.1:0 --set http.token=short",
            "up --http 127.0.0.1:0 --set http.base_path=/a?b",
            "status --daemon http://127.0.0.1:1",
            "status --daemon nonsense://x",
            "networks join kazaa --daemon http://127.0.0.1:1",
            "search blue --daemon=http://127.0.0.1:1",
            "fetch film.bin --daemon=http://127.0.0.1:1 --bootstrap 127.0.0.1:1",
            "publish film.bin --daemon=http://127.0.0.1:1 -o x.torrent",
            "downloads pause first",
            "top --daemon http://127.0.0.1:1",
            "completions csh",
            "config init --config ~/film.bin",
        ],
    );
}
