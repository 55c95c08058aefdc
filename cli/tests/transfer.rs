//! Real files between two `hexad` processes on loopback.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{ALONE, Running, free_address, number, run, start, tree, write_file};
use hexad_bittorrent::wire::metainfo::MetainfoBuilder;
use hexad_content::{FileEntry, Layout, Sha1Digest, safe_names};
use tempfile::TempDir;

struct Scene {
    folder: TempDir,
    address: String,
}

impl Scene {
    fn new() -> Self {
        Self { folder: TempDir::new().expect("a temporary folder"), address: free_address() }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn create(&self, data: &str) {
        let said = run(self.path(), ["torrent", "create", &self.at(data), "-o", &self.at("it.torrent")]);
        assert!(said.ok, "{}", said.err);
    }

    fn seed(&self) -> Running {
        let (torrent, data) = (self.at("it.torrent"), self.at("seed"));
        let mut seed = start(
            self.path(),
            ["publish", "--torrent", &torrent, "--data", &data, "--listen", &self.address, "--json"].into_iter().chain(ALONE),
        );
        seed.await_event("seeding");
        seed
    }

    fn fetch(&self, more: &[&str]) -> Running {
        let (torrent, into) = (self.at("it.torrent"), self.at("leech"));
        let own = ["fetch", &torrent, "--into", &into, "--peer", &self.address, "--listen", "127.0.0.1:0", "--json"];
        start(self.path(), own.into_iter().chain(ALONE).chain(more.iter().copied()))
    }
}

#[test]
fn a_folder_arrives_as_it_was() {
    let scene = Scene::new();
    for (number, (name, bytes)) in
        [("a.bin", 3_000_000), ("sub/b.bin", 70_000), ("sub/empty", 0), ("größe 大.txt", 17)].into_iter().enumerate()
    {
        write_file(&scene.path().join("seed/album").join(name), number as u64, bytes);
    }
    scene.create("seed/album");
    let _seed = scene.seed();
    let mut fetch = scene.fetch(&[]);
    fetch.await_event("started");
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert_eq!(tree(&scene.path().join("leech")), tree(&scene.path().join("seed")));
    assert!(!scene.path().join("leech/.hexad").exists(), "the journal goes when the download is complete");
}

#[test]
fn a_magnet_link_is_enough() {
    let scene = Scene::new();
    write_file(&scene.path().join("seed/film.bin"), 1, 2_000_000);
    scene.create("seed/film.bin");
    let _seed = scene.seed();
    let shown = run(scene.path(), ["torrent", "show", &scene.at("it.torrent")]);
    let magnet = shown.out.lines().find_map(|line| line.strip_prefix("magnet      ")).expect("a magnet link").to_owned();
    let into = scene.at("leech");
    let mut fetch = start(
        scene.path(),
        ["fetch", &magnet, "--into", &into, "--peer", &scene.address, "--listen", "127.0.0.1:0", "--json"].into_iter().chain(ALONE),
    );
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert_eq!(tree(&scene.path().join("leech")), tree(&scene.path().join("seed")));
}

#[test]
fn a_killed_fetch_goes_on_where_it_stopped() {
    let scene = Scene::new();
    let bytes = 192 << 20;
    write_file(&scene.path().join("seed/film.bin"), 1, bytes);
    scene.create("seed/film.bin");
    let _seed = scene.seed();
    let mut fetch = scene.fetch(&[]);
    let verified = fetch.await_line("a part of it", |line| line.contains("\"verified\"") && number(line, "verified_bytes") > bytes / 8);
    let verified = number(&verified, "verified_bytes");
    fetch.kill();
    let mut again = scene.fetch(&[]);
    let complete = again.await_event("complete");
    assert!(again.finish());
    let downloaded = number(&complete, "downloaded_bytes");
    assert!(downloaded <= bytes - verified, "{verified} bytes were verified, yet {downloaded} of {bytes} came again");
    assert_eq!(tree(&scene.path().join("leech")), tree(&scene.path().join("seed")));
}

#[test]
fn what_is_complete_is_not_fetched_again() {
    let scene = Scene::new();
    write_file(&scene.path().join("seed/film.bin"), 1, 1_000_000);
    write_file(&scene.path().join("leech/film.bin"), 1, 1_000_000);
    scene.create("seed/film.bin");
    let before = fs::metadata(scene.path().join("leech/film.bin")).and_then(|found| found.modified()).expect("a time");
    // Nobody seeds.
    let mut fetch = scene.fetch(&[]);
    let complete = fetch.await_event("complete");
    assert!(fetch.finish());
    assert_eq!(number(&complete, "downloaded_bytes"), 0);
    let after = fs::metadata(scene.path().join("leech/film.bin")).and_then(|found| found.modified()).expect("a time");
    assert_eq!(before, after);
}

#[test]
fn a_file_of_somebody_else_is_never_overwritten() {
    let scene = Scene::new();
    write_file(&scene.path().join("seed/film.bin"), 1, 1_000_000);
    scene.create("seed/film.bin");
    write_file(&scene.path().join("leech/film.bin"), 2, 5_000);
    let _seed = scene.seed();
    let mut fetch = scene.fetch(&[]);
    let failed = fetch.await_event("failed");
    assert!(!fetch.finish());
    assert!(failed.contains("film.bin"), "{failed}");
    assert_eq!(fs::metadata(scene.path().join("leech/film.bin")).expect("still there").len(), 5_000);
}

#[test]
fn only_the_selected_files_arrive() {
    let scene = Scene::new();
    for (number, name) in ["a.flac", "b.flac", "c.txt"].into_iter().enumerate() {
        write_file(&scene.path().join("seed/album").join(name), number as u64, 300_000);
    }
    scene.create("seed/album");
    let _seed = scene.seed();
    let mut fetch = scene.fetch(&["--select", "*.flac"]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    let names: Vec<_> = tree(&scene.path().join("leech")).into_iter().map(|(name, _)| name.display().to_string()).collect();
    assert_eq!(names, ["album/a.flac", "album/b.flac"]);
}

#[test]
fn twenty_thousand_small_files_arrive() {
    let scene = Scene::new();
    for number in 0..20_000_u64 {
        let name = format!("seed/many/{:02}/{number}.txt", number % 50);
        write_file(&scene.path().join(name), number, number % 600);
    }
    scene.create("seed/many");
    let _seed = scene.seed();
    let mut fetch = scene.fetch(&[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert!(tree(&scene.path().join("leech")) == tree(&scene.path().join("seed")));
}

#[test]
fn unsafe_names_are_renamed_and_nothing_leaves_the_folder() {
    let scene = Scene::new();
    let long = "x".repeat(300);
    let raw: Vec<Vec<&str>> = vec![
        vec!["..", "..", "escaped.txt"],
        vec!["/etc/absolute.txt"],
        vec!["CON"],
        vec!["same.txt"],
        vec!["SAME.TXT"],
        vec![&long],
        vec!["fine.txt"],
    ];
    let files: Vec<FileEntry> =
        raw.iter().map(|path| FileEntry::plain(path.iter().map(|element| (*element).to_owned()).collect(), 1000)).collect();
    let layout = Arc::new(Layout::folder("../album".to_owned(), files).expect("a layout"));
    let mut all = Vec::new();
    for (number, path) in safe_names(&layout).paths.iter().enumerate() {
        let place = scene.path().join("seed").join(path.as_ref().expect("no padding").iter().collect::<std::path::PathBuf>());
        write_file(&place, number as u64, 1000);
        all.extend(fs::read(&place).expect("just written"));
    }
    let hashes: Vec<Sha1Digest> = all.chunks(16 << 10).map(|piece| hexad_content::sha1_lanes::sha1_many(&[piece])[0]).collect();
    let metainfo = MetainfoBuilder::new(layout, 16 << 10, hashes).build().expect("a torrent");
    fs::write(scene.at("it.torrent"), metainfo.encode()).expect("written");
    let _seed = scene.seed();
    let mut fetch = scene.fetch(&[]);
    fetch.await_event("complete");
    assert!(fetch.finish());
    assert!(fetch.seen.iter().filter(|line| line.contains("\"renamed\"")).count() >= 5, "{:?}", fetch.seen);
    assert_eq!(tree(&scene.path().join("leech")), tree(&scene.path().join("seed")));
    assert!(!scene.path().join("escaped.txt").exists());
    let top: Vec<_> =
        fs::read_dir(scene.path()).expect("a folder").flatten().map(|entry| entry.file_name().into_string().expect("text")).collect();
    assert!(top.iter().all(|name| ["seed", "leech", "it.torrent", "state"].contains(&name.as_str())), "{top:?}");
}
