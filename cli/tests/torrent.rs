//! `hexad torrent create | show | check` as a user runs them.

mod common;

use std::fs;

use common::{Said, run, write_file};
use hexad_bittorrent::wire::metainfo::Metainfo;
use tempfile::TempDir;

/// A folder with files of these lengths, in an otherwise empty home.
fn home(files: &[(&str, u64)]) -> TempDir {
    let home = TempDir::new().expect("a temporary folder");
    for (number, (name, bytes)) in files.iter().enumerate() {
        write_file(&home.path().join(name), number as u64, *bytes);
    }
    home
}

fn hexad(home: &TempDir, line: &str) -> Said {
    run(home.path(), line.split_whitespace())
}

fn read(home: &TempDir, name: &str) -> Metainfo {
    Metainfo::parse(&fs::read(home.path().join(name)).expect("a .torrent").into()).expect("a good .torrent")
}

#[test]
fn what_create_is_told_stands_in_the_torrent() {
    let home = home(&[("album/a.bin", 100_000), ("album/b/c.bin", 50_000), ("album/empty", 0)]);
    let made = hexad(
        &home,
        "torrent create album -o it.torrent --piece-length 32KiB --tracker http://a.example/announce,udp://b.example:1 \
         --tracker http://c.example/announce --web-seed http://d.example/files/ --private --comment words --source salt",
    );
    assert!(made.ok, "{}", made.err);
    let it = read(&home, "it.torrent");
    assert_eq!(it.info.piece_bytes, 32 << 10);
    assert_eq!(it.info.hashes.len(), 5);
    assert_eq!(it.tiers, [vec!["http://a.example/announce", "udp://b.example:1"], vec!["http://c.example/announce"]]);
    assert_eq!(it.web_seeds, ["http://d.example/files/"]);
    assert_eq!((it.comment.as_deref(), it.info.source.as_deref(), it.info.private), (Some("words"), Some("salt"), true));
    assert_eq!(it.info.layout.name(), "album");
    let paths: Vec<String> = it.info.layout.files().iter().map(|file| file.path.join("/")).collect();
    assert_eq!(paths, ["a.bin", "b/c.bin", "empty"]);
    assert_eq!(made.out.trim_end(), it.magnet().to_string(), "the magnet link is the data");
    let shown = hexad(&home, "torrent show it.torrent");
    assert!(shown.ok);
    for word in ["album", "150000 bytes", "5 of 32.00 KiB", "http://c.example/announce", "private     yes", "words", "salt", "b/c.bin"] {
        assert!(shown.out.contains(word), "{word} in\n{}", shown.out);
    }
}

#[test]
fn what_was_made_from_a_folder_is_found_in_it_whatever_its_names() {
    let names = ["README", "Readme", "CON", "Vol./a", "back\\slash", "What?.mp3", ".hexad"];
    let files: Vec<(String, u64)> = names.iter().zip(1000..).map(|(name, bytes)| (format!("odd/{name}"), bytes)).collect();
    let home = home(&files.iter().map(|(name, bytes)| (name.as_str(), *bytes)).collect::<Vec<_>>());
    assert!(hexad(&home, "torrent create odd -o odd.torrent").ok);
    let checked = hexad(&home, "torrent check odd.torrent --data .");
    assert!(checked.ok, "{}{}", checked.out, checked.err);
    fs::rename(home.path().join("odd"), home.path().join("other")).expect("renamed");
    assert!(!hexad(&home, "torrent check odd.torrent --data .").ok);
}

#[test]
fn log_lines_in_a_file_have_no_colours() {
    let home = home(&[]);
    let said = hexad(&home, "-vv fetch nothing.torrent --no-dht --no-lsd --no-pex --listen 127.0.0.1:0");
    assert!(said.err.contains("DEBUG"), "{}", said.err);
    assert!(!said.err.contains('\u{1b}'), "{}", said.err);
}

#[test]
fn the_piece_length_follows_from_the_size() {
    let home = home(&[("small", 1000), ("large", 80 << 20)]);
    for (name, piece_bytes) in [("small", 16 << 10), ("large", 64 << 10)] {
        assert!(hexad(&home, &format!("torrent create {name} -o {name}.torrent")).ok);
        assert_eq!(read(&home, &format!("{name}.torrent")).info.piece_bytes, piece_bytes, "{name}");
    }
}

#[test]
fn json_is_one_object() {
    let home = home(&[("film.bin", 70_000)]);
    for line in ["torrent create film.bin -o film.torrent --json", "torrent show film.torrent --json", "torrent check film.torrent --json"]
    {
        let said = hexad(&home, line);
        assert!(said.ok && said.out.ends_with("}\n") && said.out.lines().count() == 1, "{line}: {} {}", said.out, said.err);
        assert!(said.out.contains("\"name\":\"film.bin\""), "{}", said.out);
    }
}

#[test]
fn an_existing_file_is_written_over_only_by_force() {
    let home = home(&[("film.bin", 70_000)]);
    fs::write(home.path().join("it.torrent"), "kept").expect("written");
    assert!(!hexad(&home, "torrent create film.bin -o it.torrent").ok);
    assert_eq!(fs::read_to_string(home.path().join("it.torrent")).expect("still there"), "kept");
    assert!(hexad(&home, "torrent create film.bin -o it.torrent --force").ok);
    assert_eq!(read(&home, "it.torrent").info.layout.name(), "film.bin");
    let left: Vec<_> = fs::read_dir(home.path()).expect("a folder").flatten().map(|entry| entry.file_name()).collect();
    assert_eq!(left.len(), 2, "nothing else is left behind: {left:?}");
}

#[test]
fn links_are_left_out_and_said() {
    let home = home(&[("album/a.bin", 100)]);
    std::os::unix::fs::symlink("/etc/passwd", home.path().join("album/link")).expect("a link");
    let made = hexad(&home, "torrent create album -o it.torrent");
    assert!(made.ok && made.err.contains("left out") && made.err.contains("album/link: a symbolic link"), "{}", made.err);
    assert_eq!(read(&home, "it.torrent").info.layout.files().len(), 1);
}

/// What check says after `change` was done to the data of a .torrent.
fn check_after(change: impl FnOnce(&std::path::Path)) -> Said {
    let home = home(&[("seed/album/a.bin", 100_000), ("seed/album/b.bin", 50_000), ("seed/album/empty", 0)]);
    assert!(hexad(&home, "torrent create seed/album -o it.torrent").ok);
    change(&home.path().join("seed/album"));
    hexad(&home, "torrent check it.torrent --data seed")
}

#[test]
fn a_check_succeeds_only_when_everything_is_there() {
    let whole = check_after(|_| {});
    assert!(whole.ok && whole.out.contains("10 of 10 pieces match"), "{}", whole.out);

    let flipped = check_after(|album| {
        let mut bytes = fs::read(album.join("b.bin")).expect("a file");
        bytes[49_000] ^= 1;
        fs::write(album.join("b.bin"), bytes).expect("written");
    });
    assert!(!flipped.ok && flipped.out.contains("9 of 10 pieces match\nincomplete  b.bin"), "{}", flipped.out);

    let missing = check_after(|album| fs::remove_file(album.join("a.bin")).expect("removed"));
    assert!(!missing.ok && missing.out.contains("incomplete  a.bin"), "{}", missing.out);

    let without_the_empty = check_after(|album| fs::remove_file(album.join("empty")).expect("removed"));
    assert!(
        !without_the_empty.ok && without_the_empty.out.contains("10 of 10 pieces match\nincomplete  empty"),
        "{}",
        without_the_empty.out
    );

    let longer = check_after(|album| {
        let mut bytes = fs::read(album.join("b.bin")).expect("a file");
        bytes.push(0);
        fs::write(album.join("b.bin"), bytes).expect("written");
    });
    assert!(!longer.ok && longer.out.contains("10 of 10 pieces match\nincomplete  b.bin"), "{}", longer.out);
    assert!(longer.err.contains("not all files are of the right length"), "{}", longer.err);

    let elsewhere = check_after(|album| fs::rename(album, album.with_extension("moved")).expect("renamed"));
    assert!(!elsewhere.ok && elsewhere.err.contains("there is no 'album' in seed"), "{}", elsewhere.err);
}

#[test]
fn a_file_of_no_bytes_has_a_torrent() {
    let home = home(&[("void", 0)]);
    assert!(hexad(&home, "torrent create void -o void.torrent").ok);
    let checked = hexad(&home, "torrent check void.torrent");
    assert!(checked.ok && checked.out.contains("0 of 0 pieces match"), "{}", checked.out);
}

#[test]
fn a_reader_that_leaves_is_no_crash() {
    let home = home(&[("album/a.bin", 100)]);
    for number in 0..3000 {
        write_file(&home.path().join(format!("album/{number}")), number, 0);
    }
    assert!(hexad(&home, "torrent create album -o it.torrent").ok);
    let mut child = common::hexad(home.path())
        .args(["torrent", "show", "it.torrent"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("hexad starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("hexad ends");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn a_hybrid_whose_halves_belong_to_different_files_is_said_to_be_one() {
    let home = home(&[("film.bin", 200_000)]);
    let made = hexad(&home, "torrent create film.bin -o it.torrent --piece-length 32KiB --hybrid");
    assert!(made.ok, "{}", made.err);
    let path = home.path().join("it.torrent");
    let mut bytes = fs::read(&path).expect("the torrent");
    let field = b"6:pieces140:";
    let at = bytes.windows(field.len()).position(|window| window == field).expect("seven hashes of v1");
    bytes[at + field.len()] ^= 1;
    fs::write(&path, bytes).expect("written");
    let checked = hexad(&home, "torrent check it.torrent");
    assert!(
        !checked.ok && checked.err.contains("this torrent contradicts itself") && !checked.err.contains("brings the rest"),
        "{}",
        checked.err
    );
}

#[test]
fn torrents_of_version_2_and_hybrids_are_made_shown_and_checked() {
    let home = home(&[("album/a.bin", 100_000), ("album/b/c.bin", 50_000), ("album/empty", 0), ("film.bin", 200_000)]);
    for (what, version, pieces) in [("album", "--v2", 6), ("album", "--hybrid", 6), ("film.bin", "--v2", 7), ("film.bin", "--hybrid", 7)] {
        let made = hexad(&home, &format!("torrent create {what} -o it.torrent --piece-length 32KiB --force {version}"));
        assert!(made.ok, "{}", made.err);
        let it = read(&home, "it.torrent");
        assert_eq!((it.info.version.has_v1(), it.info.version.has_v2()), (version == "--hybrid", true));
        let long = it.info.info_hash_v2.expect("a v2 info hash").to_string();
        assert!(
            made.out.contains(&format!("urn:btmh:1220{long}")) && made.out.contains("urn:btih:") == (version == "--hybrid"),
            "{}",
            made.out
        );
        let shown = hexad(&home, "torrent show it.torrent");
        let kind = if version == "--v2" { "version     2\n" } else { "version     1 and 2 (hybrid)\n" };
        assert!(shown.out.contains(&long) && shown.out.contains(kind) && !shown.out.contains(".pad"), "{}", shown.out);
        let checked = hexad(&home, "torrent check it.torrent");
        assert!(checked.ok, "{}", checked.err);
        assert!(checked.out.contains(&format!("{pieces} of {pieces} pieces match")), "{}", checked.out);
        let file = home.path().join(if what == "album" { "album/a.bin" } else { what });
        let good = fs::read(&file).expect("the file");
        let mut bad = good.clone();
        bad[40_000] ^= 1;
        fs::write(&file, bad).expect("written");
        let checked = hexad(&home, "torrent check it.torrent");
        assert!(!checked.ok && checked.out.contains(&format!("{} of {pieces} pieces match", pieces - 1)), "{}", checked.out);
        fs::write(&file, good).expect("written");
    }
    let both = hexad(&home, "torrent create album -o it.torrent --v2 --hybrid");
    assert!(!both.ok && both.err.contains("cannot be used with"), "{}", both.err);
}
