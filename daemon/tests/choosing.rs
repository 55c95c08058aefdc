//! Which files of a download come and how it is carried out, through a node's public face: chosen before it begins, changed while it runs and
//! afterwards.

mod common;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use common::{Home, await_that, quiet_bittorrent};
use hexad_api::node::{
    Daemon, DownloadChange, DownloadDetail, DownloadFile, DownloadState, FileQuery, FileTurn, LibraryQuery, NewDownload, ShareState,
};
use hexad_api::{How, Limits};
use hexad_daemon::open_node;

/// The files of the album in the order of their torrent, and their lengths.
const FILES: [(&str, usize); 3] = [("a.bin", 700_000), ("b.bin", 300_000), ("notes/c.txt", 200_000)];

/// A node that offers the album, and one that knows nothing yet; then a request for the album.
fn scene(alice_home: &Home, bob_home: &Home) -> (Arc<dyn Daemon>, Arc<dyn Daemon>, NewDownload) {
    let album = alice_home.folder("album");
    fs::create_dir_all(album.join("notes")).expect("a folder");
    for (seed, (path, length)) in (1..).zip(FILES) {
        fs::write(album.join(path), common::bytes(length, seed)).expect("written");
    }
    let alice = open_node(alice_home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    let peer = common::door(&*alice, "bittorrent");
    alice.share(&album, None).expect("a share");
    let offered = || {
        let shares = alice.library(&LibraryQuery::default()).items;
        shares.first().is_some_and(|share| share.state == ShareState::Offered && !share.networks.is_empty())
    };
    await_that("the album to be offered", offered);
    let source = alice.library(&LibraryQuery::default()).items[0].link.clone().expect("a link");
    let bob = open_node(bob_home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    common::door(&*bob, "bittorrent");
    (alice, bob, NewDownload { source, peers: vec![peer], ..NewDownload::default() })
}

fn detail(node: &dyn Daemon, id: u64) -> DownloadDetail {
    node.download(id).expect("it stays")
}

fn state(node: &dyn Daemon, id: u64) -> DownloadState {
    detail(node, id).download.state
}

fn files(node: &dyn Daemon, id: u64) -> Vec<DownloadFile> {
    node.download_files(id, &FileQuery::default()).expect("it stays").items
}

fn select(patterns: &[&str]) -> DownloadChange {
    DownloadChange { select: Some(patterns.iter().map(|pattern| (*pattern).to_owned()).collect()), ..DownloadChange::default() }
}

fn how(how: How) -> DownloadChange {
    DownloadChange { how: Some(how), ..DownloadChange::default() }
}

fn slow(down_bytes_per_s: u64) -> How {
    How { limits: Limits { down_bytes_per_s, up_bytes_per_s: 0 }, ..How::default() }
}

/// Which files of the album stand there whole.
fn arrived(home: &Home) -> Vec<&'static str> {
    let whole = |(seed, (path, length)): &(u64, (&str, usize))| {
        fs::read(home.folder("downloads").join("album").join(path)).is_ok_and(|bytes| bytes == common::bytes(*length, *seed))
    };
    (1..).zip(FILES).filter(whole).map(|(_, (path, _))| path).collect()
}

#[test]
fn files_are_chosen_before_any_comes_and_more_of_them_afterwards() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, bob, request) = scene(&alice_home, &bob_home);
    let id = bob.begin_download(NewDownload { choose: true, ..request }).expect("a download").id;
    await_that("it to be known what there is", || state(&*bob, id) == DownloadState::Paused);
    let known = detail(&*bob, id);
    assert_eq!((known.files, known.wanted_files, known.download.wanted_bytes), (3, 3, 1_200_000), "{known:?}");
    assert!(!Path::new(&bob_home.folder("downloads").join("album")).exists(), "nothing is written before somebody has chosen");
    let listed: Vec<(usize, String, u64, bool)> =
        files(&*bob, id).into_iter().map(|file| (file.index, file.path, file.length_bytes, file.wanted)).collect();
    let expected = (0..).zip(FILES).map(|(index, (path, length))| (index, path.to_owned(), length as u64, true));
    assert_eq!(listed, expected.collect::<Vec<_>>());
    let matching = bob.download_files(id, &FileQuery { q: Some("NOTES".into()), ..FileQuery::default() }).expect("it stays");
    assert_eq!((matching.total, matching.items[0].index), (1, 2));

    let chosen = bob.change_download(id, select(&["1"])).expect("a file of it");
    assert_eq!((chosen.state, chosen.wanted_bytes), (DownloadState::Paused, 300_000), "it goes on when somebody says so");
    bob.resume(id).expect("it goes on");
    await_that("the chosen file to be complete", || state(&*bob, id) == DownloadState::Complete);
    assert_eq!(arrived(&bob_home), ["b.bin"]);
    assert_eq!(files(&*bob, id)[1].verified_bytes, Some(300_000));

    let more = bob.change_download(id, select(&[])).expect("all of them");
    assert_ne!(more.state, DownloadState::Complete, "what is wanted now is not there");
    await_that("the others to be complete as well", || state(&*bob, id) == DownloadState::Complete);
    assert_eq!(arrived(&bob_home), ["a.bin", "b.bin", "notes/c.txt"]);
    let whole = detail(&*bob, id);
    assert!(whole.download.downloaded_bytes < 1_200_000 + 300_000, "what was verified has not come again: {:?}", whole.download);
}

#[test]
fn files_are_changed_while_it_runs_and_what_was_verified_stays() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, bob, request) = scene(&alice_home, &bob_home);
    // At this rate all of it would take longer than any test waits; in the order of files, the first one comes first.
    let first = How { sequential: true, ..slow(100_000) };
    let id = bob.begin_download(NewDownload { how: first.clone(), ..request }).expect("a download").id;
    await_that("some of the first file to be verified", || {
        files(&*bob, id).first().is_some_and(|file| file.verified_bytes > Some(100_000))
    });
    let wrong = bob.change_download(id, select(&["0", "*.flac"])).expect_err("there is none");
    assert!(wrong.message.contains("'*.flac'"), "{wrong}");
    assert_eq!(detail(&*bob, id).wanted_files, 3, "nothing is changed then");

    bob.change_download(id, select(&["0-1"])).expect("files of it");
    let all = || files(&*bob, id);
    await_that("it to be taken up with what was verified", || {
        let detail = detail(&*bob, id);
        detail.download.state == DownloadState::Fetching && detail.download.verified_bytes > 100_000
    });
    assert_eq!(all().iter().map(|file| file.wanted).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!((detail(&*bob, id).wanted_files, detail(&*bob, id).download.wanted_bytes), (2, 1_000_000));
    assert_ne!(state(&*bob, id), DownloadState::Complete);

    // The limit goes at once, without a stop.
    bob.change_download(id, how(How { last: vec!["0".into()], ..slow(0) })).expect("a way to go on");
    assert_eq!((all()[0].turn, all()[1].turn), (FileTurn::Last, FileTurn::Usual));
    await_that("both files to be complete", || state(&*bob, id) == DownloadState::Complete);
    assert_eq!(arrived(&bob_home), ["a.bin", "b.bin"]);
    let came = detail(&*bob, id).download.downloaded_bytes;
    assert!(came < 1_200_000, "what was verified has not come again: {came}");
}

#[test]
fn whether_it_goes_on_giving_is_changed_afterwards_and_all_of_it_is_kept() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, bob, request) = scene(&alice_home, &bob_home);
    let id = bob.begin_download(NewDownload { select: vec!["b.bin".into()], ..request }).expect("a download").id;
    await_that("it to be complete", || state(&*bob, id) == DownloadState::Complete);
    let seed = |seed| DownloadChange { seed: Some(seed), ..DownloadChange::default() };
    bob.change_download(id, seed(true)).expect("it can give");
    await_that("it to be given on", || state(&*bob, id) == DownloadState::Seeding);
    bob.change_download(id, how(How { ratio_percent: Some(200), ..slow(5) })).expect("a goal");
    bob.close();

    let bob = open_node(bob_home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    await_that("it to be given on as before", || state(&*bob, id) == DownloadState::Seeding);
    let kept = detail(&*bob, id);
    assert_eq!((kept.select, kept.seed, kept.how.ratio_percent), (vec!["b.bin".to_owned()], true, Some(200)));
    assert_eq!((kept.files, kept.wanted_files, kept.download.limits.down_bytes_per_s), (3, 1, 5));
    bob.change_download(id, seed(false)).expect("it can stop");
    assert_eq!(state(&*bob, id), DownloadState::Complete);
}
