//! Links whose owners change what they lead to (BEP 46): published by one node, followed by another, over restarts of both.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{Home, await_that, bytes, loopback};
use hexad_api::node::{Daemon, Download, DownloadQuery, DownloadState, LibraryQuery, NewDownload, ShareChange, ShareState};
use hexad_api::{BittorrentSettings, NetworkSettings};
use hexad_daemon::open_node;

const FILM_BYTES: usize = 2_000_000;

/// A node whose DHT begins at these addresses.
fn node(home: &Home, bootstrap: &[String]) -> (Arc<dyn Daemon>, String) {
    let settings = BittorrentSettings {
        listen: loopback(),
        dht_bootstrap: bootstrap.to_vec(),
        pex: false,
        lsd: false,
        ..BittorrentSettings::default()
    };
    let node = open_node(home.settings(vec![NetworkSettings::Bittorrent(settings)], &["bittorrent"])).expect("a node");
    let address = common::door(&*node, "bittorrent");
    (node, address)
}

/// A folder with the film, and notes of its own.
fn version(home: &Home, folder: &str, notes: u64) -> PathBuf {
    let path = home.folder(folder).join("show");
    fs::create_dir_all(&path).expect("a folder");
    fs::write(path.join("film.mkv"), bytes(FILM_BYTES, 7)).expect("written");
    fs::write(path.join("notes.txt"), bytes(50_000, notes)).expect("written");
    path
}

/// Has the link `show` lead to that; the link.
fn publish(node: &dyn Daemon, path: &Path) -> String {
    let share = node.share(path, None).expect("a share");
    let named = node.change_share(share.id, ShareChange { mutable: Some("show".into()), into: None }).expect("a name");
    await_offered(node, named.id)
}

fn await_offered(node: &dyn Daemon, id: u64) -> String {
    let share = || node.shared(id).expect("it stays").share;
    await_that("it to be offered", || share().state == ShareState::Offered && !share().networks.is_empty());
    share().mutable_link.expect("a link")
}

/// The download of the newest version, once it is complete.
fn await_newest(node: &dyn Daemon, versions: usize) -> Download {
    let newest = || {
        let items = node.downloads(&DownloadQuery::default()).items;
        let newest = items.iter().find(|download| download.newer.is_none() && download.completed_s.is_some()).cloned();
        newest.filter(|_| items.len() == versions)
    };
    await_that(&format!("version {versions} to be complete"), || newest().is_some());
    newest().expect("it stays")
}

fn notes(download: &Download) -> Vec<u8> {
    let path = download.path.clone().expect("it stands somewhere");
    assert!(fs::read(Path::new(&path).join("film.mkv")).is_ok_and(|film| film == bytes(FILM_BYTES, 7)), "{path}");
    fs::read(Path::new(&path).join("notes.txt")).expect("they are there")
}

#[test]
fn a_link_is_followed_from_version_to_version_and_kept_alive_over_restarts() {
    let (carol_home, alice_home, home) = (Home::new(), Home::new(), Home::new());
    let (_carol, carol) = node(&carol_home, &[]);
    let (alice, _) = node(&alice_home, std::slice::from_ref(&carol));
    let link = publish(&*alice, &version(&alice_home, "one", 1));
    assert!(link.starts_with("magnet:?xs=urn:btpk:"), "{link}");

    let (bob, _) = node(&home, std::slice::from_ref(&carol));
    let wanted = NewDownload { source: link.clone(), seed: Some(true), ..NewDownload::default() };
    let first = bob.begin_download(wanted).expect("a download").id;
    let one = await_newest(&*bob, 1);
    assert_eq!((one.id, notes(&one) == bytes(50_000, 1)), (first, true));
    await_that("its version to be known", || bob.download(first).is_ok_and(|detail| detail.download.seq.is_some()));

    // Another folder under the same name takes its place, and whoever comes back hears of it at once.
    drop(bob);
    let other = version(&alice_home, "two", 2);
    assert_eq!(publish(&*alice, &other), link);
    let (bob, _) = node(&home, std::slice::from_ref(&carol));
    let two = await_newest(&*bob, 2);
    assert!(two.source == link && notes(&two) == bytes(50_000, 2));
    assert!(two.downloaded_bytes < 400_000, "the film is there already: {}", two.downloaded_bytes);
    let one = bob.download(first).expect("it stays");
    assert!(two.seq > one.download.seq && one.download.seq.is_some(), "{:?} {:?}", two.seq, one.download.seq);
    assert_eq!((one.download.newer, notes(&one.download) == bytes(50_000, 1)), (Some(two.id), true));
    assert!(one.warnings.iter().any(|said| said.contains("newer version")), "{:?}", one.warnings);
    await_that("the older one to be given on no longer", || {
        bob.download(first).is_ok_and(|detail| detail.download.state == DownloadState::Complete)
    });

    // What is shared has changed where it stands.
    fs::write(other.join("notes.txt"), bytes(50_000, 3)).expect("written over");
    let shared = alice.library(&LibraryQuery::default()).items;
    let [_, share] = &shared[..] else { panic!("{shared:?}") };
    let seq_before = two.seq;
    await_that("it to be hashed anew", || alice.shared(share.id).is_ok_and(|now| now.share.link.is_some() && now.share.link != share.link));
    await_offered(&*alice, share.id);
    bob.pause(two.id).expect("it rests");
    assert!(bob.resume(two.id).is_ok());
    let three = await_newest(&*bob, 3);
    assert!(three.seq > seq_before && notes(&three) == bytes(50_000, 3));
    let stands = alice.shared(share.id).expect("it stays").mutable.expect("a link");
    assert_eq!((&stands.link, Some(stands.now.seq), stands.newer), (&link, three.seq, None));

    // Nobody of those who have stored it is left but its owner, who has it stored again.
    drop((alice, bob, _carol));
    let (_carol, carol) = node(&Home::new(), &[]);
    let (_alice, _) = node(&alice_home, std::slice::from_ref(&carol));
    let dave_home = Home::new();
    let (dave, _) = node(&dave_home, &[carol]);
    dave.begin_download(NewDownload { source: link, ..NewDownload::default() }).expect("a download");
    let came = await_newest(&*dave, 1);
    assert_eq!(notes(&came), bytes(50_000, 3));
    await_that("its version to be known", || dave.download(came.id).is_ok_and(|detail| detail.download.seq == three.seq));
}

#[test]
fn an_owner_is_told_that_somebody_else_has_his_key_and_has_named_something_newer() {
    let (carol_home, alice_home, mallory_home) = (Home::new(), Home::new(), Home::new());
    let (_carol, carol) = node(&carol_home, &[]);
    let (alice, _) = node(&alice_home, std::slice::from_ref(&carol));
    let link = publish(&*alice, &version(&alice_home, "one", 1));
    let id = alice.library(&LibraryQuery::default()).items[0].id;
    let mutable = |node: &dyn Daemon| node.shared(id).expect("it stays").mutable.expect("a link");
    let ours = mutable(&*alice);
    assert_eq!((&ours.link, &ours.newer), (&link, &None));
    alice.close();
    drop(alice);

    let stolen = mallory_home.folder("state").join("bittorrent");
    fs::create_dir_all(&stolen).expect("a folder");
    fs::copy(alice_home.folder("state").join("bittorrent/owner-key"), stolen.join("owner-key")).expect("the key");
    let (mallory, _) = node(&mallory_home, std::slice::from_ref(&carol));
    assert_eq!(publish(&*mallory, &version(&mallory_home, "other", 2)), link);
    let theirs = mallory.library(&LibraryQuery::default()).items[0].id;
    let theirs = mallory.shared(theirs).expect("it stays").mutable.expect("a link").now;

    let (alice, _) = node(&alice_home, &[carol]);
    await_that("the newer one to be heard of", || mutable(&*alice).newer.is_some());
    let stands = mutable(&*alice);
    assert_eq!((stands.now, stands.newer), (ours.now.clone(), Some(theirs.clone())));
    assert!(theirs.seq > ours.now.seq && theirs.info_hash != ours.now.info_hash);
}
