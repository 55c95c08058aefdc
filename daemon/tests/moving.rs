//! Downloads that are moved to another folder, through a node's public face.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Home, await_that, quiet_bittorrent};
use hexad_api::node::{Daemon, Download, DownloadChange, DownloadDetail, DownloadState, LibraryQuery, NewDownload, ShareState};
use hexad_api::{How, Limits, ProblemKind};
use hexad_daemon::open_node;
use tempfile::TempDir;

const FILES: [(&str, usize); 3] = [("a.bin", 1_700_000), ("b.bin", 300_000), ("notes/c.txt", 200_000)];
const BYTES: u64 = 2_200_000;

/// A node that offers the album, and a request for it.
fn scene(home: &Home) -> (Arc<dyn Daemon>, NewDownload) {
    let album = home.folder("album");
    fs::create_dir_all(album.join("notes")).expect("a folder");
    for (seed, (path, length)) in (1..).zip(FILES) {
        fs::write(album.join(path), common::bytes(length, seed)).expect("written");
    }
    let alice = node(home);
    let peer = common::door(&*alice, "bittorrent");
    alice.share(&album, None).expect("a share");
    await_that("the album to be offered", || {
        let shares = alice.library(&LibraryQuery::default()).items;
        shares.first().is_some_and(|share| share.state == ShareState::Offered && !share.networks.is_empty())
    });
    let source = alice.library(&LibraryQuery::default()).items[0].link.clone().expect("a link");
    (alice, NewDownload { source, peers: vec![peer], ..NewDownload::default() })
}

fn node(home: &Home) -> Arc<dyn Daemon> {
    let node = open_node(home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    common::door(&*node, "bittorrent");
    node
}

fn detail(node: &dyn Daemon, id: u64) -> DownloadDetail {
    node.download(id).expect("it stays")
}

fn view(node: &dyn Daemon, id: u64) -> Download {
    detail(node, id).download
}

fn move_to(node: &dyn Daemon, id: u64, into: &Path) -> Download {
    let into = Some(into.display().to_string());
    node.change_download(id, DownloadChange { into, ..DownloadChange::default() }).expect("it can be moved")
}

fn has_moved(node: &dyn Daemon, id: u64, into: &Path) {
    await_that("it to be moved", || view(node, id).moving_to.is_none());
    let warnings = detail(node, id).warnings;
    assert_eq!(view(node, id).into, into.display().to_string(), "{warnings:?}");
}

/// Whether the album stands whole in that folder, and nothing beside it.
fn is_whole(folder: &Path) -> bool {
    let whole = |(seed, (path, length)): (u64, (&str, usize))| {
        fs::read(folder.join("album").join(path)).is_ok_and(|bytes| bytes == common::bytes(length, seed))
    };
    (1..).zip(FILES).all(whole) && names(folder) == ["album"]
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

fn slow(down_bytes_per_s: u64) -> How {
    How { limits: Limits { down_bytes_per_s, up_bytes_per_s: 0 }, ..How::default() }
}

/// A folder of a file system of its own, where this machine has one for programs.
fn elsewhere(than: &Path) -> Option<TempDir> {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let folder = TempDir::with_prefix_in("hexad-", "/dev/shm").ok()?;
    (device(folder.path()) != device(than)).then_some(folder)
}

#[test]
fn what_is_given_on_is_given_on_from_the_other_folder() {
    let (alice_home, bob_home, carol_home) = (Home::new(), Home::new(), Home::new());
    let (alice, request) = scene(&alice_home);
    let bob = node(&bob_home);
    let id = bob.begin_download(NewDownload { seed: Some(true), ..request.clone() }).expect("a download").id;
    await_that("all of it to be there", || view(&*bob, id).state == DownloadState::Seeding);
    alice.close();

    let other = bob_home.folder("other");
    let begun = move_to(&*bob, id, &other);
    assert_eq!(begun.moving_to, Some(other.display().to_string()));
    has_moved(&*bob, id, &other);
    assert!(is_whole(&other));
    assert_eq!(names(&bob_home.folder("downloads")), [""; 0]);
    assert_eq!(view(&*bob, id).path, Some(other.join("album").display().to_string()));
    await_that("it to be given on", || view(&*bob, id).state == DownloadState::Seeding);

    let carol = node(&carol_home);
    let peers = vec![common::door(&*bob, "bittorrent")];
    let hers = carol.begin_download(NewDownload { peers, ..request }).expect("a download").id;
    await_that("carol to have it from bob", || view(&*carol, hers).state == DownloadState::Complete);
    assert!(is_whole(&carol_home.folder("downloads")));
}

#[test]
fn what_still_comes_goes_on_in_the_other_folder_and_nothing_comes_twice() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, request) = scene(&alice_home);
    let other_disk = elsewhere(&bob_home.folder("downloads"));
    let there = other_disk.as_ref().map_or_else(|| bob_home.folder("there"), |folder| folder.path().to_owned());
    let back = bob_home.folder("back");
    let bob = node(&bob_home);
    let id = bob.begin_download(NewDownload { how: slow(300_000), ..request }).expect("a download").id;
    for (share, folder) in [(0.1, &there), (0.4, &back)] {
        await_that("some of it to be there", || view(&*bob, id).verified_bytes as f64 > BYTES as f64 * share);
        move_to(&*bob, id, folder);
        has_moved(&*bob, id, folder);
        assert_ne!(view(&*bob, id).state, DownloadState::Paused);
    }
    bob.change_download(id, DownloadChange { how: Some(How::default()), ..DownloadChange::default() }).expect("no limits");
    await_that("all of it to be there", || view(&*bob, id).state == DownloadState::Complete);
    await_that("the books to be closed", || is_whole(&back));
    assert_eq!((names(&there), names(&bob_home.folder("downloads"))), (vec![], vec![]));
    let came = view(&*bob, id).downloaded_bytes;
    assert!(came < BYTES + BYTES / 3, "{came} bytes have come for {BYTES}: parts that were not whole may come again, and nothing else");
}

#[test]
fn where_something_is_in_the_way_it_stays_and_goes_on() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, request) = scene(&alice_home);
    let bob = node(&bob_home);
    let id = bob.begin_download(request).expect("a download").id;
    await_that("all of it to be there", || view(&*bob, id).state == DownloadState::Complete);
    let other = bob_home.folder("other");
    fs::create_dir(other.join("album")).expect("a folder");
    fs::write(other.join("album/b.bin"), "mine").expect("written");
    move_to(&*bob, id, &other);
    await_that("the move to be given up", || view(&*bob, id).moving_to.is_none());
    let stays = detail(&*bob, id);
    assert_eq!(stays.download.into, bob_home.folder("downloads").display().to_string());
    assert!(stays.warnings.iter().any(|warning| warning.contains("album/b.bin is in the way")), "{:?}", stays.warnings);
    assert!(is_whole(&bob_home.folder("downloads")));
    assert_eq!(fs::read(other.join("album/b.bin")).expect("it is there"), b"mine");

    let wrong =
        bob.change_download(id, DownloadChange { into: Some("other".into()), ..DownloadChange::default() }).expect_err("no full path");
    assert_eq!((wrong.kind, wrong.message.contains("full path")), (ProblemKind::BadRequest, true));
}

#[test]
fn a_node_that_starts_again_goes_on_with_a_move() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, request) = scene(&alice_home);
    let other_disk = elsewhere(&bob_home.folder("downloads"));
    let other: PathBuf = other_disk.as_ref().map_or_else(|| bob_home.folder("other"), |folder| folder.path().to_owned());
    let bob = node(&bob_home);
    let id = bob.begin_download(NewDownload { how: slow(400_000), ..request }).expect("a download").id;
    await_that("some of it to be there", || view(&*bob, id).verified_bytes > BYTES / 4);
    move_to(&*bob, id, &other);
    bob.close();
    drop(bob);
    let again = node(&bob_home);
    has_moved(&*again, id, &other);
    again.change_download(id, DownloadChange { how: Some(How::default()), ..DownloadChange::default() }).expect("no limits");
    await_that("all of it to be there", || view(&*again, id).state == DownloadState::Complete);
    await_that("the books to be closed", || is_whole(&other));
    assert_eq!(names(&bob_home.folder("downloads")), [""; 0]);
}
