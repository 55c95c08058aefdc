//! Shares that are moved to another folder, through a node's public face.

mod common;

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Home, await_that, quiet_bittorrent};
use hexad_api::ProblemKind;
use hexad_api::node::{Daemon, DownloadState, LibraryQuery, NewDownload, Share, ShareChange, ShareState};
use hexad_daemon::open_node;
use tempfile::TempDir;

const FILES: [(&str, usize); 3] = [("a.bin", 1_700_000), ("b.bin", 300_000), ("notes/c.txt", 200_000)];

fn node(home: &Home) -> Arc<dyn Daemon> {
    let node = open_node(home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    common::door(&*node, "bittorrent");
    node
}

fn write(album: &Path) {
    fs::create_dir_all(album.join("notes")).expect("a folder");
    for (seed, (path, length)) in (1..).zip(FILES) {
        fs::write(album.join(path), common::bytes(length, seed)).expect("written");
    }
}

/// Offers what stands there.
fn offer(node: &dyn Daemon, path: &Path) -> Share {
    let id = node.share(path, None).expect("a share").id;
    await_offered(node, id)
}

fn view(node: &dyn Daemon, id: u64) -> Share {
    node.shared(id).expect("it stays").share
}

fn await_offered(node: &dyn Daemon, id: u64) -> Share {
    await_that("it to be offered", || {
        let share = view(node, id);
        share.state == ShareState::Offered && !share.networks.is_empty()
    });
    view(node, id)
}

fn change(into: &Path) -> ShareChange {
    ShareChange { into: Some(into.display().to_string()), mutable: None }
}

/// Has it moved; how it stands then.
fn move_to(node: &dyn Daemon, id: u64, into: &Path) -> Share {
    node.change_share(id, change(into)).expect("it can be moved");
    await_that("it to be moved", || view(node, id).moving_to.is_none());
    await_offered(node, id)
}

fn is_whole(album: &Path) -> bool {
    (1..).zip(FILES).all(|(seed, (path, length))| fs::read(album.join(path)).is_ok_and(|bytes| bytes == common::bytes(length, seed)))
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").file_name().display().to_string()).collect();
    names.sort();
    names
}

/// A folder of a file system of its own, where this machine has one for programs.
fn elsewhere(than: &Path) -> Option<TempDir> {
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let folder = TempDir::with_prefix_in("hexad-", "/dev/shm").ok()?;
    (device(folder.path()) != device(than)).then_some(folder)
}

#[test]
fn what_is_offered_is_offered_from_the_other_folder_and_not_hashed_again() {
    let (home, carol_home) = (Home::new(), Home::new());
    let from = home.folder("music");
    write(&from.join("album"));
    let alice = node(&home);
    let share = offer(&*alice, &from.join("album"));
    let other_disk = elsewhere(&from);
    let there = other_disk.as_ref().map_or_else(|| home.folder("there"), |folder| folder.path().join("new/folder"));
    let back = home.folder("back");

    let mut hashed = false;
    for folder in [&there, &back] {
        alice.change_share(share.id, change(folder)).expect("it can be moved");
        await_that("it to be moved", || {
            let share = view(&*alice, share.id);
            hashed |= share.state == ShareState::Hashing;
            share.moving_to.is_none()
        });
        let moved = await_offered(&*alice, share.id);
        assert_eq!(moved.path, folder.join("album").display().to_string());
        assert_eq!((moved.link, moved.problem, hashed), (share.link.clone(), None, false));
        assert!(is_whole(&folder.join("album")));
    }
    assert_eq!((names(&from), names(&there)), (vec![], vec![]));

    // Over a restart too, and others can fetch it.
    alice.close();
    drop(alice);
    let alice = node(&home);
    let again = await_offered(&*alice, share.id);
    assert_eq!(again.path, back.join("album").display().to_string());
    let carol = node(&carol_home);
    let (source, peers) = (again.link.expect("a link"), vec![common::door(&*alice, "bittorrent")]);
    let id = carol.begin_download(NewDownload { source, peers, ..NewDownload::default() }).expect("a download").id;
    await_that("carol to have it", || carol.download(id).is_ok_and(|detail| detail.download.state == DownloadState::Complete));
    assert!(is_whole(&carol_home.folder("downloads").join("album")));
}

#[test]
fn a_file_of_a_watched_folder_is_the_same_share_wherever_it_is_moved() {
    let home = Home::new();
    let (music, more) = (home.folder("music"), home.folder("more"));
    fs::write(music.join("a.bin"), common::bytes(400_000, 1)).expect("written");
    let alice = node(&home);
    alice.add_folder(&music).expect("a folder");
    alice.add_folder(&more).expect("a folder");
    let first = || alice.library(&LibraryQuery::default()).items.first().cloned();
    await_that("it to be found", || first().is_some());
    let id = first().expect("it stays").id;
    await_offered(&*alice, id);
    let other_disk = elsewhere(&music);
    let there: PathBuf = other_disk.as_ref().map_or_else(|| home.folder("there"), |folder| folder.path().to_owned());
    // Watched, not watched, and watched again.
    for (folder, watched) in [(&more, true), (&there, false), (&music, true)] {
        let moved = move_to(&*alice, id, folder);
        assert_eq!(moved.path, folder.join("a.bin").display().to_string());
        // What stands in a watched folder cannot be taken out of the library, since it would come back.
        let all = alice.library(&LibraryQuery::default()).items;
        assert_eq!(all.iter().map(|share| share.id).collect::<Vec<_>>(), [id]);
        let in_watched: usize = alice.folders().iter().map(|folder| folder.shares).sum();
        assert_eq!(in_watched, usize::from(watched));
    }
    assert_eq!((names(&more), names(&music)), (vec![], vec!["a.bin".to_owned()]));
}

#[test]
fn where_it_cannot_be_moved_it_stays_and_is_offered_and_says_why() {
    let home = Home::new();
    let from = home.folder("music");
    write(&from.join("album"));
    let alice = node(&home);
    let id = offer(&*alice, &from.join("album")).id;
    let other = home.folder("other");
    fs::create_dir(other.join("album")).expect("a folder");
    fs::write(other.join("album/b.bin"), "mine").expect("written");
    let stays = move_to(&*alice, id, &other);
    assert_eq!(stays.path, from.join("album").display().to_string());
    assert!(stays.problem.as_ref().is_some_and(|problem| problem.message.contains("album/b.bin is in the way")), "{:?}", stays.problem);
    assert!(is_whole(&from.join("album")));
    assert_eq!(fs::read(other.join("album/b.bin")).expect("it is there"), b"mine");

    let refused = |into: &str| {
        let change = ShareChange { into: Some(into.to_owned()), mutable: None };
        let problem = alice.change_share(id, change).expect_err("it cannot be");
        (problem.kind, problem.message)
    };
    let (kind, message) = refused("other");
    assert_eq!((kind, message.contains("full path")), (ProblemKind::BadRequest, true));
    let (kind, message) = refused(&from.join("album/in").display().to_string());
    assert_eq!((kind, message.contains("into itself")), (ProblemKind::BadRequest, true));
    assert!(!from.join("album/in").exists());
    assert_eq!(alice.change_share(99, change(&other)).expect_err("there is none").kind, ProblemKind::NotFound);
}

#[test]
fn a_node_that_starts_again_goes_on_with_a_move() {
    let home = Home::new();
    let from = home.folder("films");
    let film = common::bytes(32 << 20, 7);
    fs::write(from.join("film.bin"), &film).expect("written");
    let other_disk = elsewhere(&from);
    let there = other_disk.as_ref().map_or_else(|| home.folder("there"), |folder| folder.path().to_owned());
    let alice = node(&home);
    let share = offer(&*alice, &from.join("film.bin"));
    for (folder, before) in [(&there, &from), (&from, &there)] {
        let alice = node_again(&home, &alice);
        await_offered(&*alice, share.id);
        alice.change_share(share.id, change(folder)).expect("it can be moved");
        let alice = node_again(&home, &alice);
        await_that("it to be moved", || view(&*alice, share.id).moving_to.is_none());
        let moved = await_offered(&*alice, share.id);
        assert_eq!((&moved.path, &moved.link), (&folder.join("film.bin").display().to_string(), &share.link));
        assert!(fs::read(folder.join("film.bin")).is_ok_and(|bytes| bytes == film));
        assert_eq!(names(before), [""; 0]);
        alice.close();
    }
}

/// The same node once more.
fn node_again(home: &Home, before: &Arc<dyn Daemon>) -> Arc<dyn Daemon> {
    before.close();
    node(home)
}
