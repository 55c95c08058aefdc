//! A node that runs on, through its public face: it keeps what it knows, notices what happens to files, and takes part in networks while it runs.

mod common;

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{Home, await_that, kazaa_founder, quiet_bittorrent};
use hexad_api::node::{
    Change, Daemon, DownloadQuery, DownloadState, LibraryQuery, Neighbour, NetworkState, NewDownload, NewSearch, OverlayKind, SearchState,
    ShareState,
};
use hexad_api::{BittorrentSettings, CreateRequest, NetworkSettings, ProblemKind, TorrentVersion, Torrents as _};
use hexad_daemon::open_node;

/// The states of all shares by their names.
fn shares(node: &dyn Daemon) -> Vec<(String, ShareState)> {
    let mut all: Vec<_> = node.library(&LibraryQuery::default()).items.into_iter().map(|share| (share.name, share.state)).collect();
    all.sort_by(|left, right| left.0.cmp(&right.0));
    all
}

fn offered(names: &[&str]) -> Vec<(String, ShareState)> {
    names.iter().map(|name| ((*name).to_owned(), ShareState::Offered)).collect()
}

#[test]
fn a_watched_folder_is_hashed_once_and_renames_and_removals_are_noticed() {
    let home = Home::new();
    let shared = home.folder("shared");
    fs::write(shared.join("one.ogg"), vec![1; 300_000]).expect("written");
    fs::write(shared.join("two.txt"), "two").expect("written");
    let node = open_node(home.settings(vec![], &[])).expect("a node");
    await_that("both files to be offered", || shares(&*node) == offered(&["one.ogg", "two.txt"]));
    let before = node.library(&LibraryQuery { q: Some("ONE".into()), ..LibraryQuery::default() });
    let (id, link) = (before.items[0].id, before.items[0].link.clone().expect("a link"));
    assert!(before.total == 1 && link.contains("urn:btih:") && link.contains("urn:hexad:"), "{link}");

    fs::rename(shared.join("one.ogg"), shared.join("renamed.ogg")).expect("renamed");
    fs::remove_file(shared.join("two.txt")).expect("removed");
    await_that("the rename and the removal to be noticed", || shares(&*node) == offered(&["renamed.ogg"]));
    let after = &node.library(&LibraryQuery::default()).items[0];
    assert_eq!(after.id, id, "the same share under another name");
    assert!(after.link.as_ref().is_some_and(|after| after.contains("renamed.ogg") && *after != link));
    node.close();

    // What was hashed is known in the next run, which begins with it.
    let node = open_node(home.settings(vec![], &[])).expect("a node");
    assert_eq!(shares(&*node), offered(&["renamed.ogg"]));
    assert_eq!(node.library(&LibraryQuery::default()).items[0].id, id);
    node.remove_folder(&shared).expect("it is watched");
    await_that("the folder's files to be forgotten", || shares(&*node).is_empty());
    assert!(shared.join("renamed.ogg").exists(), "no file is deleted");
}

#[test]
fn what_is_named_is_shared_until_it_is_not() {
    let home = Home::new();
    let album = home.folder("album");
    fs::write(album.join("a.txt"), "a").expect("written");
    fs::write(album.join("b.txt"), "bb").expect("written");
    let node = open_node(home.settings(vec![], &[])).expect("a node");
    let mut changes = node.changes();
    assert!(matches!(changes.try_next().as_deref(), Some(Change::Hello { .. })));
    let share = node.share(&album, None).expect("a share");
    assert_eq!((share.name.as_str(), share.bytes, share.state), ("album", 3, ShareState::Hashing));
    await_that("the folder to be offered", || node.library(&LibraryQuery::default()).items[0].state == ShareState::Offered);
    assert_eq!(node.library(&LibraryQuery::default()).items[0].files, 2);
    await_that(
        "the change to be told",
        || matches!(changes.try_next().as_deref(), Some(Change::Share { share }) if share.state == ShareState::Offered),
    );
    fs::write(album.join("c.txt"), "ccc").expect("written");
    await_that("the change to be noticed", || {
        let share = &node.library(&LibraryQuery::default()).items[0];
        share.files == 3 && share.bytes == 6 && share.state == ShareState::Offered
    });
    node.unshare(share.id).expect("it is shared");
    assert_eq!(node.unshare(share.id).expect_err("it is not").kind, ProblemKind::NotFound);
    assert_eq!(node.share(Path::new("/nowhere/at/all"), None).expect_err("nothing there").kind, ProblemKind::NotFound);
    assert!(node.place_for("../x").is_err() && node.place_for("x.txt").is_ok());
}

#[test]
fn what_is_shared_is_a_torrent_of_the_version_that_was_asked_for() {
    let home = Home::new();
    let album = home.folder("album");
    for name in ["a.bin", "b.bin", "c.bin"] {
        fs::write(album.join(name), vec![name.as_bytes()[0]; 100_000]).expect("written");
    }
    let bittorrent = BittorrentSettings { version: TorrentVersion::Hybrid, ..BittorrentSettings::default() };
    let names = |node: &dyn Daemon, id: u64| {
        let all = node.library(&LibraryQuery::default()).items;
        let link = all.into_iter().find(|share| share.id == id).and_then(|share| share.link).unwrap_or_default();
        ["urn:btih:", "urn:btmh:"].map(|name| link.contains(name))
    };
    let settings = home.settings(vec![NetworkSettings::Bittorrent(bittorrent)], &[]);
    let node = open_node(settings.clone()).expect("a node");
    let share = |path: &Path, version| node.share(path, version).expect("a share").id;
    let ids = [
        share(&album, None),
        share(&album.join("a.bin"), Some(TorrentVersion::V1)),
        share(&album.join("b.bin"), Some(TorrentVersion::V2)),
        share(&album.join("c.bin"), Some(TorrentVersion::Hybrid)),
    ];
    let expected = [[true, true], [true, false], [false, true], [true, true]];
    await_that("all to be offered", || node.library(&LibraryQuery::default()).items.iter().all(|share| share.state == ShareState::Offered));
    assert_eq!(ids.map(|id| names(&*node, id)), expected);
    assert_eq!(node.share(&album.join("b.bin"), Some(TorrentVersion::V1)).expect_err("it is of version 2").kind, ProblemKind::Conflict);
    assert_eq!(share(&album.join("b.bin"), None), ids[2]);
    drop(node);

    // Asked for once, it is so for good, whatever becomes of the bytes.
    fs::write(album.join("b.bin"), vec![9; 200_000]).expect("written");
    let node = open_node(settings).expect("a node");
    await_that("the change to be noticed", || {
        node.library(&LibraryQuery::default()).items.iter().any(|share| share.id == ids[2] && share.bytes == 200_000)
    });
    await_that("all to be offered", || node.library(&LibraryQuery::default()).items.iter().all(|share| share.state == ShareState::Offered));
    assert_eq!(ids.map(|id| names(&*node, id)), expected);
}

#[test]
fn what_is_put_into_the_watched_inbox_is_taken_up_once() {
    let home = Home::new();
    let (data, inbox) = (home.folder("data"), home.folder("inbox"));
    fs::write(data.join("it.bin"), vec![5; 100_000]).expect("written");
    let create = CreateRequest { path: data.join("it.bin"), out: data.join("it.torrent"), ..CreateRequest::default() };
    let link = hexad_daemon::torrents().create_torrent(create, &|_, _| {}).expect("a .torrent").magnet;
    let settings =
        || hexad_daemon::NodeSettings { watch_dir: Some(inbox.clone()), ..home.settings(vec![quiet_bittorrent()], &["bittorrent"]) };
    let node = open_node(settings()).expect("a node");
    fs::copy(data.join("it.torrent"), inbox.join("it.torrent")).expect("copied");
    fs::write(inbox.join("other.magnet"), format!("\n{}\n", link.replace("it.bin", "other"))).expect("written");
    fs::write(inbox.join("nothing.magnet"), "").expect("written");
    fs::write(inbox.join("notes.txt"), "no").expect("written");
    let names = || {
        let mut names: Vec<String> =
            fs::read_dir(&inbox).expect("the inbox").flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    };
    let expected = ["it.torrent.added", "notes.txt", "nothing.magnet.refused", "other.magnet.added"];
    await_that("all to be taken up", || names() == expected);
    let count = |node: &dyn Daemon| node.downloads(&DownloadQuery::default()).total;
    assert_eq!(count(&*node), 2);
    node.close();

    // As if it had been killed before the file had its other name.
    fs::rename(inbox.join("it.torrent.added"), inbox.join("it.torrent")).expect("renamed");
    let node = open_node(settings()).expect("a node");
    await_that("it to be recognised", || names() == expected);
    assert_eq!(count(&*node), 2);
}

#[test]
fn a_file_is_shared_found_by_words_fetched_and_still_there_after_a_restart() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let film = alice_home.folder("shared").join("blue film.mkv");
    fs::write(&film, common::bytes(700_000, 1)).expect("written");
    let alice = open_node(alice_home.settings(vec![kazaa_founder()], &["kazaa"])).expect("a node");
    let door = common::door(&*alice, "kazaa");
    await_that("the file to be offered", || {
        alice.library(&LibraryQuery::default()).items.first().is_some_and(|share| share.networks == ["kazaa"])
    });
    let settings = || bob_home.settings(vec![common::kazaa(&door)], &["kazaa"]);
    let bob = open_node(settings()).expect("a node");
    common::door(&*bob, "kazaa");
    let draws = |node: &dyn Daemon, role: &str| {
        let overlay = node.network("kazaa").expect("a network").overlay;
        overlay.is_some_and(|overlay| overlay.kind == OverlayKind::Tiers && overlay.peers.iter().any(|peer| peer.role == role))
    };
    await_that("each to be drawn as what it is", || draws(&*alice, "leaf") && draws(&*bob, "supernode"));
    let search = bob.begin_search(NewSearch { words: vec!["Blue".into()], ..NewSearch::default() }).expect("a search");
    await_that("the search to be over", || bob.search(search.id, 0, 10).is_ok_and(|found| found.state != SearchState::Running));
    let found = bob.search(search.id, 0, 10).expect("it stays");
    assert_eq!((found.state, found.total), (SearchState::Done, 1), "{found:?}");
    assert!(found.results[0].proven && found.results[0].name == "blue film.mkv", "{found:?}");

    let request = NewDownload { source: found.results[0].link.clone(), seed: Some(true), ..NewDownload::default() };
    let download = bob.begin_download(request).expect("a download");
    let state = |node: &dyn Daemon| node.download(download.id).map(|detail| detail.download.state);
    await_that("the download to be complete", || state(&*bob) == Ok(DownloadState::Seeding));
    let detail = bob.download(download.id).expect("it stays");
    let path = detail.download.path.clone().expect("a path");
    assert_eq!(fs::read(&path).expect("readable"), fs::read(&film).expect("readable"));
    assert!(detail.blocks.iter().all(|block| *block == 100) && detail.download.verified_bytes == 700_000, "{detail:?}");
    await_that("what came from where to be told", || {
        bob.download(download.id).is_ok_and(|detail| detail.by_network.iter().any(|from| from.name == "kazaa" && from.bytes >= 700_000))
    });
    bob.search_more(search.id).expect("it is over");
    await_that("the search to be over once more", || bob.search(search.id, 0, 10).is_ok_and(|found| found.state == SearchState::Done));
    bob.close();

    let bob = open_node(settings()).expect("a node");
    assert_eq!(state(&*bob), Ok(DownloadState::Seeding));
    let paused = bob.pause(download.id).expect("it can rest");
    assert_eq!((paused.state, bob.downloads(&DownloadQuery::default()).total), (DownloadState::Complete, 1));
    bob.resume(download.id).expect("it goes on");
    assert_eq!(state(&*bob), Ok(DownloadState::Seeding));
    bob.remove(download.id).expect("it is there");
    assert_eq!(bob.downloads(&DownloadQuery::default()).total, 0);
    assert!(Path::new(&path).exists(), "the file stays");
    alice.close();
}

#[test]
fn an_overlay_is_shown_with_who_is_whose_neighbour_where_and_how_far_away() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let joined = ["chord", "kazaa"];
    let alice = open_node(alice_home.settings(vec![common::chord(&[]), kazaa_founder()], &joined)).expect("a node");
    let doors = joined.map(|name| common::door(&*alice, name));
    let networks = vec![common::chord(&doors[..1]), common::kazaa(&doors[1])];
    let bob = open_node(bob_home.settings(networks, &joined)).expect("a node");
    for (name, kind, role, door) in
        [("chord", OverlayKind::Ring, "successor", &doors[0]), ("kazaa", OverlayKind::Tiers, "supernode", &doors[1])]
    {
        await_that(&format!("the {role} on {name} to be measured"), || {
            let Some(overlay) = bob.network(name).expect("a network").overlay else { return false };
            let is_there = |peer: &Neighbour| peer.address.as_ref() == Some(door) && peer.latency_ms.is_some();
            overlay.kind == kind && overlay.peers.iter().any(|peer| is_there(peer) && ["predecessor", role].contains(&peer.role.as_str()))
        });
    }
    // On the ring all know where they stand; among tiers there is no such place.
    let places = |name: &str| {
        let overlay = bob.network(name).expect("a network").overlay.expect("it was there");
        overlay.me.place.is_some() && overlay.peers.iter().all(|peer| peer.place.is_some())
    };
    assert!(places("chord") && !places("kazaa"));
}

#[test]
fn networks_are_joined_and_left_while_it_runs_and_one_that_cannot_be_holds_up_no_other() {
    let home = Home::new();
    let lost = common::kazaa(&format!("{}@127.0.0.1:9", "ab".repeat(32)));
    let node = open_node(home.settings(vec![lost, quiet_bittorrent()], &["bittorrent", "kazaa", "chord"])).expect("a node");
    let state = |name: &str| node.network(name).expect("a network").state;
    await_that("BitTorrent to be joined", || state("bittorrent") == NetworkState::Joined);
    // Nobody told it of a node of the ring.
    await_that("Chord to have failed", || state("chord") == NetworkState::Failed);
    assert!(node.network("chord").expect("a network").problem.is_some_and(|problem| problem.hint.is_some()));
    assert_eq!(state("napster"), NetworkState::Left);
    node.leave("bittorrent").expect("a network");
    await_that("BitTorrent to be left", || state("bittorrent") == NetworkState::Left);
    node.join("bittorrent").expect("a network");
    await_that("BitTorrent to be joined again", || state("bittorrent") == NetworkState::Joined);
    let set = node.settings();
    assert!(set.networks["bittorrent"] && !set.networks["napster"]);
    assert_eq!(node.join("usenet").expect_err("unknown").kind, ProblemKind::NotFound);
}

#[test]
fn a_second_node_does_not_take_the_state_of_the_first() {
    let home = Home::new();
    let _first = open_node(home.settings(vec![], &[])).expect("a node");
    let problem = open_node(home.settings(vec![], &[])).err().expect("it is taken");
    assert_eq!(problem.kind, ProblemKind::Conflict);
}

/// `cargo test -p hexad-daemon --test node -- --ignored --nocapture ten_thousand`
#[test]
#[ignore = "a measurement"]
fn ten_thousand_shares_are_there_within_a_second() {
    let home = Home::new();
    let shared = home.folder("shared");
    for number in 0..10_000_u32 {
        fs::write(shared.join(format!("file {number:05}.txt")), number.to_le_bytes().repeat(100)).expect("written");
    }
    let settings =
        || hexad_daemon::NodeSettings { rescan: Duration::from_secs(3600), ..home.settings(vec![quiet_bittorrent()], &["bittorrent"]) };
    let began = Instant::now();
    let node = open_node(settings()).expect("a node");
    let all = LibraryQuery { limit: Some(1), ..LibraryQuery::default() };
    common::await_within(Duration::from_secs(600), "everything to be hashed", || {
        node.library(&all).total == 10_000 && node.status().totals.library.hashing == 0
    });
    println!("hashed in {:.2} s", began.elapsed().as_secs_f64());
    node.close();
    let began = Instant::now();
    let node = open_node(settings()).expect("a node");
    let total = node.library(&all).total;
    println!("{total} shares are there after {:.3} s", began.elapsed().as_secs_f64());
    assert!(total == 10_000 && began.elapsed() < Duration::from_secs(1));
    common::await_within(Duration::from_secs(60), "the first to be offered", || {
        node.library(&all).items.first().is_some_and(|share| share.networks == ["bittorrent"])
    });
    println!("the first is offered after {:.3} s", began.elapsed().as_secs_f64());
    let mut slowest = Duration::ZERO;
    for offset in (0..10_000).step_by(100) {
        let asked = Instant::now();
        assert_eq!(node.library(&LibraryQuery { offset, limit: Some(100), q: None }).items.len(), 100);
        slowest = slowest.max(asked.elapsed());
    }
    println!("a page of 100 takes {:.2} ms at most", slowest.as_secs_f64() * 1000.0);
    println!("memory: {} MiB", node.status().totals.memory_bytes >> 20);
    node.close();
}

#[test]
fn a_node_that_is_killed_has_what_it_had_a_moment_before() {
    let (alice_home, bob_home, killed_home) = (Home::new(), Home::new(), Home::new());
    fs::write(alice_home.folder("shared").join("film.mkv"), common::bytes(400_000, 3)).expect("written");
    let alice = open_node(alice_home.settings(vec![kazaa_founder()], &["kazaa"])).expect("a node");
    let door = common::door(&*alice, "kazaa");
    await_that("the file to be offered", || shares(&*alice) == offered(&["film.mkv"]));
    let link = alice.library(&LibraryQuery::default()).items[0].link.clone().expect("a link");

    fs::write(bob_home.folder("shared").join("song.ogg"), common::bytes(100_000, 4)).expect("written");
    // Its network is not joined, so the download waits.
    let bob = open_node(bob_home.settings(vec![common::kazaa(&door)], &[])).expect("a node");
    await_that("the song to be offered", || shares(&*bob) == offered(&["song.ogg"]));
    let into = killed_home.folder("downloads").display().to_string();
    let request = NewDownload { source: link, into: Some(into), ..NewDownload::default() };
    let download = bob.begin_download(request).expect("a download");
    assert_eq!(download.state, DownloadState::Looking);
    // What is on the disk at this moment is all that a kill leaves.
    await_that("the share to be kept", || {
        fs::copy(bob_home.folder("state").join("node.redb"), killed_home.folder("state").join("node.redb")).expect("copied");
        let settings = hexad_daemon::NodeSettings {
            shared_dirs: vec![bob_home.folder("shared")],
            ..killed_home.settings(vec![common::kazaa(&door)], &["kazaa"])
        };
        let next = open_node(settings).expect("a node");
        let there = shares(&*next) == offered(&["song.ogg"]) && next.downloads(&DownloadQuery::default()).total == 1;
        if there {
            await_that("the download to go on and be complete", || {
                next.download(download.id).is_ok_and(|detail| detail.download.state == DownloadState::Complete)
            });
        }
        there
    });
}

/// BitTorrent at that address of loopback, with these lists of whom it does not speak to.
fn bittorrent_at(ip: [u8; 4], block_lists: Vec<PathBuf>) -> NetworkSettings {
    let settings =
        BittorrentSettings { listen: Some((ip, 0).into()), dht: false, pex: false, lsd: false, block_lists, ..Default::default() };
    NetworkSettings::Bittorrent(settings)
}

#[test]
fn whoever_is_on_a_block_list_is_not_dialled() {
    let alice_home = Home::new();
    fs::write(alice_home.folder("shared").join("film.mkv"), common::bytes(300_000, 1)).expect("written");
    let alice = open_node(alice_home.settings(vec![bittorrent_at([127, 0, 0, 2], Vec::new())], &["bittorrent"])).expect("a node");
    let peer = common::door(&*alice, "bittorrent");
    await_that("the film to be offered", || shares(&*alice) == offered(&["film.mkv"]));
    let source = alice.library(&LibraryQuery::default()).items[0].link.clone().expect("a link");

    for (line, is_blocked) in [("# nobody", false), ("somebody:127.0.0.1-127.0.0.1", true), ("127.0.0.1/32", true)] {
        let home = Home::new();
        let list = home.folder("lists").join("bad.p2p");
        fs::write(&list, format!("{line}\n")).expect("written");
        let trap = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        trap.set_nonblocking(true).expect("a socket");
        let settings = home.settings(vec![bittorrent_at([127, 0, 0, 1], vec![list])], &["bittorrent"]);
        let bob = open_node(settings).expect("a node");
        let peers = vec![trap.local_addr().expect("an address").to_string(), peer.clone()];
        let id = bob.begin_download(NewDownload { source: source.clone(), peers, ..NewDownload::default() }).expect("a download").id;
        // Both are dialled at the same time, where they may be.
        await_that("the film to be complete", || bob.download(id).is_ok_and(|film| film.download.state == DownloadState::Complete));
        if is_blocked {
            assert!(trap.accept().is_err(), "{line}: nobody is called there");
        } else {
            await_that("the other one to be dialled", || trap.accept().is_ok());
        }
    }
}

#[test]
fn a_block_list_that_cannot_be_read_is_said_and_nobody_is_spoken_to_without_it() {
    let home = Home::new();
    let list = home.folder("lists").join("bad.p2p");
    let settings = home.settings(vec![bittorrent_at([127, 0, 0, 1], vec![list.clone()])], &["bittorrent"]);
    let node = open_node(settings).expect("a node");
    let network = || node.network("bittorrent").expect("there is one");
    await_that("it to be said", || network().state == NetworkState::Failed);
    let problem = network().problem.expect("a problem");
    assert!(problem.message.contains("bad.p2p cannot be read"), "{problem}");
    assert!(problem.hint.is_some_and(|hint| hint.contains("--block-list")));
    assert!(network().doors.is_empty());
    fs::write(&list, "127.0.0.9/32\n").expect("written");
    node.join("bittorrent").expect("it can be tried again");
    common::door(&*node, "bittorrent");
}
