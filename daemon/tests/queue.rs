//! How many downloads are active at a time, and in which order the others wait, through the node's public face.

mod common;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::{Home, await_that, bytes, door, quiet_bittorrent};
use hexad_api::node::{
    Daemon, Download, DownloadChange, DownloadQuery, DownloadSort, DownloadState, LibraryQuery, NewDownload, QueueMove, ShareState,
    UpSettings,
};
use hexad_api::{CreateRequest, How, Limits, ProblemKind, Torrents as _};
use hexad_daemon::{NodeSettings, open_node};

use DownloadState::{Complete, Failed, Fetching, Looking, Paused, Queued, Seeding};

fn state(node: &dyn Daemon, id: u64) -> DownloadState {
    node.download(id).expect("it stays").download.state
}

fn states<const N: usize>(node: &dyn Daemon, ids: [u64; N]) -> [DownloadState; N] {
    ids.map(|id| state(node, id))
}

/// All downloads as they follow in the queue.
fn order(node: &dyn Daemon) -> Vec<u64> {
    let query = DownloadQuery { sort: DownloadSort::Queue, ..DownloadQuery::default() };
    node.downloads(&query).items.into_iter().map(|download| download.id).collect()
}

/// Begins to look for something that nobody has.
fn look_for(node: &dyn Daemon, number: u8) -> u64 {
    let source = format!("magnet:?xt=urn:btih:{}&dn=film+{number}", format!("{number:02x}").repeat(20));
    node.begin_download(NewDownload { source, ..NewDownload::default() }).expect("a download").id
}

fn moved(node: &dyn Daemon, id: u64, to: QueueMove) -> Download {
    node.change_download(id, DownloadChange { queue: Some(to), ..DownloadChange::default() }).expect("it can be moved")
}

fn allow(node: &dyn Daemon, downloads: u32, seeds: u32) {
    let settings = UpSettings { active_downloads: Some(downloads), active_seeds: Some(seeds), ..node.settings() };
    let set = node.set_settings(settings).expect("they can be set");
    assert_eq!((set.active_downloads, set.active_seeds), (Some(downloads), Some(seeds)));
}

/// A node that offers `count` films: where it is reached, and the links to them.
fn giver(home: &Home, count: u64) -> (Arc<dyn Daemon>, String, Vec<String>) {
    for number in 0..count {
        fs::write(home.folder("shared").join(format!("film {number}.mkv")), bytes(300_000, number)).expect("written");
    }
    let node = open_node(home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    let peer = door(&*node, "bittorrent");
    let shares = || node.library(&LibraryQuery::default()).items;
    await_that("the films to be offered", || {
        let all = shares();
        all.len() == usize::try_from(count).unwrap_or(0) && all.iter().all(|one| one.state == ShareState::Offered)
    });
    let mut links: Vec<(String, String)> = shares().into_iter().map(|share| (share.name, share.link.expect("a link"))).collect();
    links.sort();
    (node, peer, links.into_iter().map(|(_, link)| link).collect())
}

/// Begins to fetch, from one peer, so slowly that it does not end by itself.
fn crawl(node: &dyn Daemon, source: &str, peer: &str) -> u64 {
    let how = How { limits: Limits { down_bytes_per_s: 1_000, up_bytes_per_s: 0 }, ..How::default() };
    let request = NewDownload { source: source.to_owned(), peers: vec![peer.to_owned()], how, ..NewDownload::default() };
    node.begin_download(request).expect("a download").id
}

fn hurry(node: &dyn Daemon, id: u64) {
    node.change_download(id, DownloadChange { how: Some(How::default()), ..DownloadChange::default() }).expect("no limits");
}

#[test]
fn the_next_one_begins_when_one_is_complete_rests_fails_or_is_removed() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, peer, links) = giver(&alice_home, 3);
    let settings = NodeSettings { active_downloads: 1, ..bob_home.settings(vec![quiet_bittorrent()], &["bittorrent"]) };
    let bob = open_node(settings).expect("a node");
    let ids @ [first, second, third] = [0, 1, 2].map(|number| crawl(&*bob, &links[number], &peer));
    await_that("the first to come", || state(&*bob, first) == Fetching);
    assert_eq!(states(&*bob, ids), [Fetching, Queued, Queued]);
    assert_eq!(order(&*bob), ids);
    let counts = bob.status().totals.downloads;
    assert_eq!((counts.active, counts.queued, counts.total), (1, 2, 3));
    assert_eq!(bob.download(third).map(|third| third.download.name).as_deref(), Ok("film 2.mkv"), "its link says so");

    hurry(&*bob, first);
    await_that("the second to come", || states(&*bob, ids) == [Complete, Fetching, Queued]);
    assert_eq!(bob.pause(second).map(|second| second.state), Ok(Paused));
    await_that("the third to come", || states(&*bob, ids) == [Complete, Paused, Fetching]);

    // Nobody is there at that address.
    let fourth = bob.begin_download(NewDownload { source: "http://127.0.0.1:1/x.torrent".into(), ..NewDownload::default() });
    let (fourth, fifth) = (fourth.expect("it waits").id, look_for(&*bob, 5));
    assert_eq!(states(&*bob, [fourth, fifth]), [Queued, Queued]);
    bob.remove(third).expect("removed");
    await_that("the fourth to have failed, and the fifth to begin", || states(&*bob, [fourth, fifth]) == [Failed, Looking]);
    assert_eq!(states(&*bob, [first, second]), [Complete, Paused], "who rests begins for nobody's sake");

    assert_eq!(bob.pause(fifth).map(|fifth| fifth.state), Ok(Paused));
    let resumed = bob.resume(second).expect("it goes on").state;
    assert!([Looking, Fetching].contains(&resumed), "{resumed:?}");
    hurry(&*bob, second);
    await_that("the second to be complete", || state(&*bob, second) == Complete);
}

#[test]
fn whoever_is_moved_before_those_that_are_active_takes_the_place_of_the_last_of_them() {
    let home = Home::new();
    let node = open_node(NodeSettings { active_downloads: 1, ..home.settings(vec![], &[]) }).expect("a node");
    let ids @ [first, second, third] = [1, 2, 3].map(|number| look_for(&*node, number));
    assert_eq!(states(&*node, ids), [Looking, Queued, Queued]);

    assert_eq!(moved(&*node, third, QueueMove::Top).state, Looking);
    assert_eq!((order(&*node), states(&*node, ids)), (vec![third, first, second], [Queued, Queued, Looking]));
    moved(&*node, second, QueueMove::Up);
    assert_eq!((order(&*node), states(&*node, ids)), (vec![third, second, first], [Queued, Queued, Looking]));
    moved(&*node, third, QueueMove::Down);
    assert_eq!((order(&*node), states(&*node, ids)), (vec![second, third, first], [Queued, Looking, Queued]));
    moved(&*node, first, QueueMove::Down);
    moved(&*node, second, QueueMove::Up);
    assert_eq!(order(&*node), [second, third, first], "there is nothing beyond the ends");
    moved(&*node, second, QueueMove::Bottom);
    assert_eq!((order(&*node), states(&*node, ids)), (vec![third, first, second], [Queued, Queued, Looking]));
    assert!(look_for(&*node, 4) == 4 && order(&*node).last() == Some(&4), "who comes last is last");

    // At once, whoever else is active.
    assert_eq!(moved(&*node, second, QueueMove::Now).state, Looking);
    assert_eq!(states(&*node, ids), [Queued, Looking, Looking]);
    node.pause(third).expect("it rests");
    await_that("the next one to begin", || states(&*node, ids) == [Looking, Looking, Paused]);
    moved(&*node, second, QueueMove::Bottom);
    assert_eq!(states(&*node, ids), [Looking, Queued, Paused], "it is one of them again");
    assert_eq!(moved(&*node, third, QueueMove::Now).state, Looking, "one that rests goes on");

    let nobody = node.change_download(77, DownloadChange { queue: Some(QueueMove::Top), ..DownloadChange::default() });
    assert_eq!(nobody.expect_err("there is none").kind, ProblemKind::NotFound);
}

#[test]
fn how_many_may_be_active_is_changed_while_they_are_and_holds_in_later_runs() {
    let home = Home::new();
    let settings = || home.settings(vec![], &[]);
    let node = open_node(settings()).expect("a node");
    assert_eq!((node.settings().active_downloads, node.settings().active_seeds), (Some(0), Some(0)), "as many as there are");
    let ids = [1, 2, 3].map(|number| look_for(&*node, number));
    assert_eq!(states(&*node, ids), [Looking; 3]);
    for (limit, expected) in
        [(2, [Looking, Looking, Queued]), (1, [Looking, Queued, Queued]), (0, [Looking; 3]), (1, [Looking, Queued, Queued])]
    {
        allow(&*node, limit, 0);
        assert_eq!(states(&*node, ids), expected);
    }
    let same = node.set_settings(UpSettings { active_downloads: None, ..node.settings() }).expect("it can be left out");
    assert_eq!(same.active_downloads, Some(1), "what is left out is not changed");
    moved(&*node, ids[2], QueueMove::Top);
    moved(&*node, ids[1], QueueMove::Now);
    node.close();

    // The file says what it said before.
    let node = open_node(settings()).expect("a node");
    assert_eq!(order(&*node), [ids[2], ids[0], ids[1]]);
    await_that("those to be active that were", || states(&*node, ids) == [Queued, Looking, Looking]);
    node.close();
    let node = open_node(NodeSettings { active_downloads: 2, ..settings() }).expect("a node");
    assert_eq!(node.settings().active_downloads, Some(2));
    await_that("one more to be active", || states(&*node, ids) == [Looking; 3]);
}

#[test]
fn who_brings_nothing_for_long_holds_up_nobody() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, peer, links) = giver(&alice_home, 1);
    let stalled = Duration::from_secs(2);
    let settings = bob_home.settings(vec![quiet_bittorrent()], &["bittorrent"]);
    let bob = open_node(NodeSettings { active_downloads: 1, stalled, ..settings }).expect("a node");
    let nobody_has_it = look_for(&*bob, 1);
    let request = NewDownload { source: links[0].clone(), peers: vec![peer], ..NewDownload::default() };
    let film = bob.begin_download(request).expect("a download").id;
    assert_eq!(states(&*bob, [nobody_has_it, film]), [Looking, Queued]);
    await_that("the film to be complete", || state(&*bob, film) == Complete);
    assert_eq!(state(&*bob, nobody_has_it), Looking, "it is looked for as before");
}

#[test]
fn complete_ones_wait_to_be_given_on_likewise() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, peer, links) = giver(&alice_home, 2);
    let settings = || {
        let settings = bob_home.settings(vec![quiet_bittorrent()], &["bittorrent"]);
        NodeSettings { seed: true, active_seeds: 1, ..settings }
    };
    let bob = open_node(settings()).expect("a node");
    let fetch = |link: &String| NewDownload { source: link.clone(), peers: vec![peer.clone()], ..NewDownload::default() };
    let ids @ [first, second] = [0, 1].map(|number| bob.begin_download(fetch(&links[number])).expect("a download").id);
    await_that("one to be given on, and the other to wait", || states(&*bob, ids) == [Seeding, Queued]);
    assert!(bob.download(second).is_ok_and(|second| second.download.completed_s.is_some()), "it is complete");
    moved(&*bob, second, QueueMove::Top);
    await_that("the second to be given on", || states(&*bob, ids) == [Queued, Seeding]);
    bob.close();

    let bob = open_node(settings()).expect("a node");
    await_that("the second to be given on as before", || states(&*bob, ids) == [Queued, Seeding]);
    let seed = |seed| DownloadChange { seed: Some(seed), ..DownloadChange::default() };
    assert_eq!(bob.change_download(second, seed(false)).map(|second| second.state), Ok(Complete));
    await_that("the first to be given on", || states(&*bob, ids) == [Seeding, Complete]);
    bob.change_download(second, seed(true)).expect("it is given on once more");
    await_that("the second to take its place again", || states(&*bob, ids) == [Queued, Seeding]);
    assert_eq!(bob.change_download(first, seed(false)).map(|first| first.state), Ok(Complete), "who waits need not");
    let whole = bob.change_download(first, DownloadChange { queue: Some(QueueMove::Top), ..DownloadChange::default() });
    assert_eq!(whole.expect_err("it waits for nothing").kind, ProblemKind::Conflict);
    assert_eq!(states(&*bob, ids), [Complete, Seeding]);
}

#[test]
fn of_a_torrent_that_waits_all_is_known_that_its_file_says() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, peer, _) = giver(&alice_home, 1);
    let torrent = bob_home.folder("torrents").join("film.torrent");
    let film = alice_home.folder("shared").join("film 0.mkv");
    // As a node describes what it shares.
    let piece_bytes = Some(hexad_content::TreeProof::part_bytes_for(300_000));
    let create = CreateRequest { path: film, out: torrent.clone(), piece_bytes, ..CreateRequest::default() };
    hexad_daemon::torrents().create_torrent(create, &|_, _| {}).expect("a .torrent");
    let settings = bob_home.settings(vec![quiet_bittorrent()], &["bittorrent"]);
    let bob = open_node(NodeSettings { active_downloads: 1, ..settings }).expect("a node");
    let other = look_for(&*bob, 1);
    let source = torrent.display().to_string();
    let request = NewDownload { source, peers: vec![peer], ..NewDownload::default() };
    let waits = bob.begin_download(request.clone()).expect("it waits");
    assert_eq!((waits.state, waits.name.as_str(), waits.wanted_bytes), (Queued, "film 0.mkv", 300_000));
    fs::remove_file(&torrent).expect("removed");
    assert!(bob.begin_download(request).is_err(), "what cannot be read is refused at once");
    bob.remove(other).expect("removed");
    await_that("it to be complete", || state(&*bob, waits.id) == Complete);
}
