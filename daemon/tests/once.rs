//! A file that a node has already is not fetched again, whichever torrent or network wants it.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::sources::source;
use common::{Home, await_that, bytes, gnutella, kazaa, kazaa_founder, quiet_bittorrent};
use hexad_api::node::{Daemon, DownloadDetail, DownloadState, LibraryQuery, NewDownload, ShareState};
use hexad_api::{CreateRequest, GnutellaMode, NetworkSettings, TorrentVersion, Torrents as _};
use hexad_daemon::open_node;
use rustix::fs::ioctl_ficlone;

const FILM_BYTES: usize = 3_000_000;

/// A torrent of a folder that has the film and something of its own in it, and which files it has.
fn album(home: &Home, name: &str, version: TorrentVersion, files: &[(&str, Vec<u8>)]) -> String {
    let folder = home.folder("made").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    for (name, content) in files {
        fs::write(folder.join(name), content).expect("written");
    }
    let out = home.folder("made").join(format!("{name}.torrent"));
    let request = CreateRequest { path: folder, out: out.clone(), version, ..CreateRequest::default() };
    hexad_daemon::torrents().create_torrent(request, &|_, _| {}).expect("a .torrent");
    out.display().to_string()
}

fn film() -> Vec<u8> {
    bytes(FILM_BYTES, common::sources::FILM)
}

fn detail(node: &dyn Daemon, id: u64) -> DownloadDetail {
    node.download(id).expect("it stays")
}

fn await_complete(node: &dyn Daemon, id: u64) -> DownloadDetail {
    await_that("it to be complete", || matches!(detail(node, id).download.state, DownloadState::Complete | DownloadState::Seeding));
    detail(node, id)
}

fn begin(node: &dyn Daemon, source: &str, into: &Path, peers: &[String]) -> u64 {
    let into = Some(into.display().to_string());
    let request = NewDownload { source: source.to_owned(), into, peers: peers.to_vec(), ..NewDownload::default() };
    node.begin_download(request).expect("a download").id
}

fn node(home: &Home, networks: Vec<NetworkSettings>) -> Arc<dyn Daemon> {
    let names: Vec<&str> = networks.iter().map(NetworkSettings::name).collect();
    let node = open_node(home.settings(networks.clone(), &names)).expect("a node");
    names.iter().for_each(|name| drop(common::door(&*node, name)));
    node
}

/// Whether the file system below a folder shares blocks between files: then two files take the room of one, and are two all the same.
fn shares_blocks(folder: &Path) -> bool {
    let (one, other) = (folder.join("probe"), folder.join("copied"));
    fs::write(&one, "probe").expect("written");
    let shares = File::create(&other).is_ok_and(|copy| ioctl_ficlone(copy, File::open(&one).expect("it is there")).is_ok());
    [one, other].into_iter().for_each(|path| fs::remove_file(path).expect("removed"));
    shares
}

fn is_one_file(one: &Path, other: &Path) -> bool {
    let inode = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    inode(one).is_some() && inode(one) == inode(other)
}

/// A node that offers two folders, each with the film and something of its own; their links, and where it is reached.
fn two_albums(home: &Home, version: TorrentVersion) -> (Arc<dyn Daemon>, [String; 2], Vec<String>) {
    let alice = node(home, vec![quiet_bittorrent()]);
    for (name, other) in [("first", 1), ("second", 2)] {
        let folder: PathBuf = home.folder("albums").join(name);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("film.mkv"), film()).expect("written");
        fs::write(folder.join("notes.txt"), bytes(50_000, other)).expect("written");
        alice.share(&folder, Some(version)).expect("a share");
    }
    let shares = || alice.library(&LibraryQuery::default()).items;
    await_that("both to be offered", || {
        shares().iter().filter(|share| share.state == ShareState::Offered && !share.networks.is_empty()).count() == 2
    });
    let link = |name: &str| shares().into_iter().find(|share| share.name == name).and_then(|share| share.link).expect("a link");
    let peer = common::door(&*alice, "bittorrent");
    let links = ["first", "second"].map(link);
    (alice, links, vec![peer])
}

#[test]
fn two_torrents_with_the_same_file_are_one_file_on_disk() {
    for version in [TorrentVersion::V1, TorrentVersion::V2, TorrentVersion::Hybrid] {
        let (alice_home, home) = (Home::new(), Home::new());
        let (_alice, links, peers) = two_albums(&alice_home, version);
        let bob = node(&home, vec![quiet_bittorrent()]);
        let folders = [home.folder("a"), home.folder("b")];
        let first = begin(&*bob, &links[0], &folders[0], &peers);
        assert!(await_complete(&*bob, first).download.downloaded_bytes >= FILM_BYTES as u64);
        let second = begin(&*bob, &links[1], &folders[1], &peers);
        let detail = await_complete(&*bob, second);
        let films = [folders[0].join("first/film.mkv"), folders[1].join("second/film.mkv")];
        assert!(films.iter().all(|path| fs::read(path).is_ok_and(|content| content == film())), "{version:?}");
        assert!(fs::read(folders[1].join("second/notes.txt")).is_ok_and(|content| content == bytes(50_000, 2)));
        let came = detail.download.downloaded_bytes;
        assert!(came < 400_000, "{version:?}: only what is the second's own comes, and pieces at its border: {came}");
        assert!(detail.warnings.iter().any(|said| said.contains("was not fetched")), "{:?}", detail.warnings);
        // At the border of a v1 torrent's files there are pieces of two files, and who writes those has bytes of his own.
        if version != TorrentVersion::V1 {
            assert!(shares_blocks(&folders[0]) || is_one_file(&films[0], &films[1]), "{version:?}");
        }
    }
}

#[test]
fn what_one_download_completes_another_that_is_under_way_does_not_fetch() {
    let (alice_home, home) = (Home::new(), Home::new());
    let (_alice, links, peers) = two_albums(&alice_home, TorrentVersion::V2);
    let bob = node(&home, vec![quiet_bittorrent()]);
    // The one that nobody gives is begun first.
    let lonely = album(&home, "lonely", TorrentVersion::Hybrid, &[("its film.mkv", film())]);
    let waits = begin(&*bob, &lonely, &home.folder("b"), &[]);
    await_that("it to be known what it wants", || detail(&*bob, waits).download.wanted_bytes == FILM_BYTES as u64);
    let first = begin(&*bob, &links[0], &home.folder("a"), &peers);
    await_complete(&*bob, first);
    let came = await_complete(&*bob, waits);
    assert_eq!(came.download.downloaded_bytes, 0);
    assert!(fs::read(home.folder("b").join("lonely/its film.mkv")).is_ok_and(|content| content == film()));
}

#[test]
fn what_is_in_the_library_completes_a_torrent_and_stays_its_owners() {
    let home = Home::new();
    let own = home.folder("shared").join("my film.mkv");
    fs::write(&own, film()).expect("written");
    let bob = node(&home, vec![quiet_bittorrent()]);
    // A folder of one file is no folder in a torrent of version 2.
    let wants = |name: &str, version| album(&home, name, version, &[("again.mkv", film()), ("film.mkv", film())]);
    let early = begin(&*bob, &wants("early", TorrentVersion::V2), &home.folder("downloads"), &[]);
    await_complete(&*bob, early);
    await_that("the film to be offered", || {
        bob.library(&LibraryQuery::default()).items.first().is_some_and(|share| share.state == ShareState::Offered)
    });
    for (name, version) in [("one", TorrentVersion::V1), ("two", TorrentVersion::V2), ("both", TorrentVersion::Hybrid)] {
        let id = begin(&*bob, &wants(name, version), &home.folder(name), &[]);
        let came = await_complete(&*bob, id);
        assert_eq!(came.download.downloaded_bytes, 0);
        let path = home.folder(name).join(name).join("film.mkv");
        assert!(fs::read(&path).is_ok_and(|content| content == film()), "{name}");
        // What he does to his own file is nobody else's business.
        assert!(!is_one_file(&own, &path));
    }
    fs::write(&own, "another film").expect("written over");
    assert!(fs::read(home.folder("two").join("two/film.mkv")).is_ok_and(|content| content == film()));
}

#[test]
fn what_gnutella_and_kazaa_bring_completes_a_torrent() {
    const OTHER_BYTES: usize = 700_000;
    let (_servent_home, _servent, servent, link) = source(gnutella(GnutellaMode::Ultrapeer, &[]), FILM_BYTES, 0);
    let (_supernode_home, _node, supernode, other) = source(kazaa_founder(), OTHER_BYTES, 0);
    let home = Home::new();
    let bob = node(&home, vec![quiet_bittorrent(), gnutella(GnutellaMode::Ultrapeer, &[servent]), kazaa(&supernode)]);
    let files = [("film.mkv", film()), ("short.mkv", bytes(OTHER_BYTES, common::sources::FILM))];
    let torrent = album(&home, "films", TorrentVersion::Hybrid, &files);
    let request = NewDownload { source: torrent, on: vec!["bittorrent".into()], ..NewDownload::default() };
    let waits = bob.begin_download(request).expect("a download").id;
    await_that("it to be known what it wants", || detail(&*bob, waits).download.wanted_bytes == (FILM_BYTES + OTHER_BYTES) as u64);
    for (network, source) in [("gnutella", link), ("kazaa", other)] {
        let into = Some(home.folder(network).display().to_string());
        let request = NewDownload { source, into, on: vec![network.into()], ..NewDownload::default() };
        let id = bob.begin_download(request).expect("a download").id;
        let came = await_complete(&*bob, id);
        assert!(came.by_network.iter().any(|from| from.name == network && from.bytes > 0), "{:?}", came.by_network);
    }
    let came = await_complete(&*bob, waits);
    assert_eq!(came.download.downloaded_bytes, 0, "no peer of the torrent has given anything");
    for (name, content) in files {
        assert!(fs::read(home.folder("downloads").join("films").join(name)).is_ok_and(|came| came == content), "{name}");
    }
}
