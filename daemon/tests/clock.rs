//! A clock on the wall that leaps by a year, while a node runs and between two runs: nothing is lost, what depends on it follows, and it is said.

mod common;

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::{Home, await_that, bytes, chord, quiet_bittorrent};
use hexad_api::node::{
    Change, Changes, Daemon, DownloadDetail, DownloadQuery, DownloadState, LibraryQuery, NewDownload, NewSearch, SearchState, ShareState,
};
use hexad_api::{Hours, How, Limits, TimedLimits};
use hexad_daemon::{NodeSettings, open_node};

const YEAR_S: u64 = 365 * 86_400;
const AHEAD: i64 = 365 * 86_400;

/// A file that was last written to a year from now.
fn write_in_a_year(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
    let file = File::options().write(true).open(path).expect("it is there");
    file.set_modified(SystemTime::now() + Duration::from_secs(YEAR_S)).expect("dated");
}

fn is_offered(node: &dyn Daemon, name: &str) -> bool {
    node.library(&LibraryQuery::default()).items.iter().any(|share| share.name == name && share.state == ShareState::Offered)
}

/// The next sentence about the clock.
fn said(changes: &mut Changes) -> String {
    let mut said = None;
    await_that("the clock to be spoken of", || {
        while let Some(change) = changes.try_next() {
            if let Change::Warning { message } = &*change
                && message.contains("the clock of this machine")
            {
                said = Some(message.clone());
                return true;
            }
        }
        false
    });
    said.unwrap_or_default()
}

/// A node that waits for files to be left alone, as nodes do that are not tested.
fn settled(home: &Home) -> NodeSettings {
    NodeSettings { quiet: Duration::from_millis(500), ..home.settings(vec![quiet_bittorrent()], &["bittorrent"]) }
}

#[test]
fn files_of_a_time_to_come_are_offered_and_taken_up_when_nobody_writes_to_them() {
    let home = Home::new();
    let inbox = home.folder("inbox");
    write_in_a_year(&home.folder("shared").join("song.ogg"), b"a song");
    let link = format!("magnet:?xt=urn:btih:{}&dn=film", "ab".repeat(20));
    write_in_a_year(&inbox.join("film.magnet"), link.as_bytes());
    let node = open_node(NodeSettings { watch_dir: Some(inbox.clone()), ..settled(&home) }).expect("a node");
    await_that("the song to be offered", || is_offered(&*node, "song.ogg"));
    await_that("the link to be taken up", || inbox.join("film.magnet.added").exists());
    assert_eq!(node.downloads(&DownloadQuery::default()).total, 1);
}

#[test]
fn a_clock_that_is_set_while_a_node_runs_takes_nothing_away() {
    let (home, alice_home) = (Home::new(), Home::new());
    fs::write(alice_home.folder("shared").join("film.mkv"), bytes(3_000_000, 1)).expect("written");
    let alice = open_node(alice_home.settings(vec![quiet_bittorrent()], &["bittorrent"])).expect("a node");
    let peer = common::door(&*alice, "bittorrent");
    await_that("the film to be offered", || is_offered(&*alice, "film.mkv"));
    let source = alice.library(&LibraryQuery::default()).items[0].link.clone().expect("a link");

    fs::write(home.folder("shared").join("before.txt"), "before").expect("written");
    let wall = hexad_driver::wall::Wall::default();
    let node = open_node(NodeSettings { wall: wall.clone(), ..settled(&home) }).expect("a node");
    common::door(&*node, "bittorrent");
    await_that("the first file to be offered", || is_offered(&*node, "before.txt"));
    let how = How { limits: Limits { down_bytes_per_s: 250_000, up_bytes_per_s: 0 }, ..How::default() };
    let request = NewDownload { source, peers: vec![peer], how, ..NewDownload::default() };
    let id = node.begin_download(request).expect("a download").id;
    let detail = || -> DownloadDetail { node.download(id).expect("it stays") };
    await_that("rates to be seen", || detail().rates.len() >= 3);
    let mut changes = node.changes();
    for (ahead, way) in [(-AHEAD, "was set back by 365 days"), (AHEAD, "was set forward by 730 days"), (0, "was set back by 365 days")] {
        let before = detail().download.verified_bytes;
        wall.set_ahead(ahead);
        let said = said(&mut changes);
        assert!(said.contains(way) && said.contains("everything goes on"), "{said}");
        let name = format!("{ahead}.txt");
        fs::write(home.folder("shared").join(&name), &name).expect("written");
        await_that("a file of another year to be offered", || is_offered(&*node, &name));
        assert!(is_offered(&*node, "before.txt"));
        await_that("the download to go on", || detail().download.verified_bytes > before || detail().download.completed_s.is_some());
        await_that("rates to be seen by the clock as it is set", || {
            detail().rates.last().is_some_and(|rate| rate.at_s.abs_diff(wall.unix_s()) < 60)
        });
        let times: Vec<u64> = detail().rates.iter().map(|rate| rate.at_s).collect();
        assert!(
            times.is_sorted() && times[0] + 120 > times[times.len() - 1],
            "what was seen so long ago is as long ago as before: {times:?}"
        );
    }
    node.change_download(id, hexad_api::node::DownloadChange { how: Some(How::default()), ..Default::default() }).expect("no limits");
    await_that("the film to be complete", || detail().download.state == DownloadState::Complete);
}

#[test]
fn limits_of_the_hour_follow_a_clock_that_is_set() {
    let home = Home::new();
    let wall = hexad_driver::wall::Wall::default();
    // Whatever day it is: three days on it is another.
    let days = ["mon,tue,wed", "thu,fri,sat,sun"];
    let schedule: Vec<TimedLimits> = (1..)
        .zip(days)
        .map(|(rate, days)| TimedLimits {
            days: days.parse().expect("days"),
            hours: Hours::default(),
            down_bytes_per_s: rate * 1000,
            up_bytes_per_s: 0,
        })
        .collect();
    let node = open_node(NodeSettings { wall: wall.clone(), schedule, ..home.settings(vec![], &[]) }).expect("a node");
    let mut changes = node.changes();
    let holds = || node.status().totals.limits.down_bytes_per_s;
    let mut seen = std::collections::BTreeSet::new();
    for days in 0..7 {
        wall.set_ahead(days * 86_400);
        if days > 0 {
            assert!(said(&mut changes).contains("limits by weekday and hour follow it"));
        }
        seen.insert(holds());
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [1000, 2000]);
}

#[test]
fn a_node_that_starts_a_year_earlier_than_it_ended_has_what_it_had_and_others_find_it() {
    let (home, bob_home) = (Home::new(), Home::new());
    fs::write(home.folder("shared").join("blue film.mkv"), bytes(300_000, 1)).expect("written");
    let bob = open_node(bob_home.settings(vec![chord(&[])], &["chord"])).expect("a node");
    let ring = common::door(&*bob, "chord");
    let finds = || {
        let search = bob.begin_search(NewSearch { words: vec!["blue".into()], ..NewSearch::default() }).expect("a search");
        await_that("the search to be over", || bob.search(search.id, 0, 10).is_ok_and(|found| found.state != SearchState::Running));
        bob.search(search.id, 0, 10).is_ok_and(|found| found.total == 1)
    };
    let mut ids = Vec::new();
    // Twice a year ahead of what follows, so that what it has published and withdrawn is of a later time than what it publishes then.
    for (ahead, says) in [(AHEAD, None), (0, Some("365 days behind")), (-AHEAD, Some("365 days behind")), (AHEAD, None)] {
        let wall = hexad_driver::wall::Wall::default();
        wall.set_ahead(ahead);
        let settings = home.settings(vec![chord(std::slice::from_ref(&ring))], &["chord"]);
        let node = open_node(NodeSettings { wall, ..settings }).expect("a node");
        if let Some(says) = says {
            let said = said(&mut node.changes());
            assert!(said.contains(says) && said.contains("nothing is lost"), "{said}");
        }
        await_that("the film to be offered", || {
            let share = node.library(&LibraryQuery::default()).items.into_iter().next();
            share.is_some_and(|share| share.state == ShareState::Offered && share.networks == ["chord"])
        });
        ids.push(node.library(&LibraryQuery::default()).items[0].id);
        await_that("somebody to find it", finds);
        node.close();
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "it was hashed once: {ids:?}");
}
