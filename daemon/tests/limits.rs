//! How fast a node moves bytes and how it carries out a download, through its public face: set while it runs, kept, and counted by word.

mod common;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::{Home, await_that, kazaa_founder};
use hexad_api::node::{Change, Daemon, DownloadState, LibraryQuery, NewDownload, UpSettings};
use hexad_api::{How, Limits, TimedLimits};
use hexad_daemon::{NodeSettings, open_node};

fn down(down_bytes_per_s: u64) -> Limits {
    Limits { down_bytes_per_s, up_bytes_per_s: 0 }
}

/// A node that offers a film of so many bytes on a network of its own, where others get in, and the link to the film.
fn giver(home: &Home, film_bytes: usize) -> (Arc<dyn Daemon>, String, String) {
    fs::write(home.folder("shared").join("film.mkv"), common::bytes(film_bytes, 7)).expect("written");
    let node = open_node(home.settings(vec![kazaa_founder()], &["kazaa"])).expect("a node");
    let door = common::door(&*node, "kazaa");
    let offered = || node.library(&LibraryQuery::default()).items.first().is_some_and(|share| share.networks == ["kazaa"]);
    await_that("the film to be offered", offered);
    let link = node.library(&LibraryQuery::default()).items[0].link.clone().expect("a link");
    (node, door, link)
}

fn state(node: &dyn Daemon, id: u64) -> DownloadState {
    node.download(id).expect("it stays").download.state
}

#[test]
fn limits_set_while_a_node_runs_hold_in_later_runs_until_the_file_says_something_else() {
    let home = Home::new();
    let settings = |limits| {
        let mut settings: NodeSettings = home.settings(vec![], &[]);
        settings.session.limits = limits;
        settings
    };
    let node = open_node(settings(down(5_000))).expect("a node");
    assert_eq!(node.settings().limits, Some(down(5_000)));
    let set = node.set_settings(UpSettings { limits: Some(down(7_000)), ..node.settings() }).expect("they can be set");
    assert_eq!(set.limits, Some(down(7_000)));
    let set = node.set_settings(UpSettings { limits: None, ..node.settings() }).expect("they can be left out");
    assert_eq!(set.limits, Some(down(7_000)), "what is left out is not changed");
    node.close();
    for (file, holds) in [(5_000, 7_000), (9_000, 9_000)] {
        let node = open_node(settings(down(file))).expect("a node");
        assert_eq!(node.settings().limits, Some(down(holds)));
        node.close();
    }
}

#[test]
fn at_certain_times_other_limits_hold_and_those_of_the_first_that_fits() {
    let home = Home::new();
    let timed = |days: &str, down_bytes_per_s| TimedLimits {
        days: days.parse().expect("days"),
        hours: "00:00-24:00".parse().expect("hours"),
        down_bytes_per_s,
        up_bytes_per_s: 0,
    };
    let mut settings = home.settings(vec![], &[]);
    settings.session.limits = down(5_000);
    let always = vec![timed("mon-sun", 3_000), timed("mon-sun", 4_000)];
    settings.schedule.clone_from(&always);
    let node = open_node(settings).expect("a node");
    let totals = node.status().totals;
    assert_eq!((totals.limits, totals.limits_by_schedule.as_deref()), (down(3_000), Some("mon-sun 00:00-24:00")));
    assert_eq!((node.settings().limits, node.settings().schedule), (Some(down(5_000)), Some(always)));

    let holds = |schedule: Vec<TimedLimits>| {
        node.set_settings(UpSettings { schedule: Some(schedule), ..node.settings() }).expect("it can be set");
        node.status().totals.limits
    };
    assert_eq!(holds(vec![timed("mon,wed,fri,sun", 1_000), timed("tue,thu,sat", 1_000)]), down(1_000));
    assert_eq!(holds(Vec::new()), down(5_000));
    let many = vec![timed("mon", 1); 101];
    let wrong = node.set_settings(UpSettings { schedule: Some(many), ..node.settings() }).expect_err("so many");
    assert!(wrong.message.contains("at most 100"), "{wrong}");
    assert_eq!(node.settings().schedule, Some(Vec::new()), "nothing is changed then");
}

#[test]
fn a_limit_is_lifted_while_a_download_runs() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, door, link) = giver(&alice_home, 700_000);
    let bob = open_node(bob_home.settings(vec![common::kazaa(&door)], &["kazaa"])).expect("a node");
    common::door(&*bob, "kazaa");
    // At this rate it would take longer than any test waits.
    bob.set_settings(UpSettings { limits: Some(down(2_000)), ..bob.settings() }).expect("set");
    let id = bob.begin_download(NewDownload { source: link, ..NewDownload::default() }).expect("a download").id;
    await_that("the download to have found its source", || bob.download(id).is_ok_and(|detail| detail.download.wanted_bytes == 700_000));
    assert_ne!(state(&*bob, id), DownloadState::Complete);
    bob.set_settings(UpSettings { limits: Some(down(0)), ..bob.settings() }).expect("set");
    await_that("the download to be complete", || state(&*bob, id) == DownloadState::Complete);
}

#[test]
fn a_download_keeps_to_its_own_limit_and_ends_giving_at_its_own_goal() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, door, link) = giver(&alice_home, 400_000);
    let settings = || bob_home.settings(vec![common::kazaa(&door)], &["kazaa"]);
    let bob = open_node(settings()).expect("a node");
    common::door(&*bob, "kazaa");
    let how = How { limits: down(200_000), seed_s: Some(0), sequential: true, ..How::default() };
    let begun = Instant::now();
    let id = bob.begin_download(NewDownload { source: link, how, ..NewDownload::default() }).expect("a download").id;
    await_that("the download to be complete, and its giving to end", || state(&*bob, id) == DownloadState::Complete);
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?} for two seconds' bytes", begun.elapsed());
    bob.close();

    let bob = open_node(settings()).expect("a node");
    assert_eq!(state(&*bob, id), DownloadState::Complete, "it does not begin to give once more");
}

#[test]
fn giving_ends_when_it_has_gone_on_for_as_long_as_was_wanted() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, door, link) = giver(&alice_home, 40_000);
    let bob = open_node(bob_home.settings(vec![common::kazaa(&door)], &["kazaa"])).expect("a node");
    let mut changes = bob.changes();
    common::door(&*bob, "kazaa");
    let how = How { seed_s: Some(2), ..How::default() };
    let id = bob.begin_download(NewDownload { source: link, how, ..NewDownload::default() }).expect("a download").id;
    let mut given_since = None;
    await_that("its giving to have begun, and to end", || {
        while let Some(change) = changes.try_next() {
            match &*change {
                Change::Download { download } if download.id == id => match download.state {
                    DownloadState::Seeding => drop(given_since.get_or_insert_with(Instant::now)),
                    DownloadState::Complete => return true,
                    _ => {}
                },
                _ => {}
            }
        }
        false
    });
    let given = given_since.expect("it was given on").elapsed();
    // What is told of it comes up to half a second late.
    assert!(given > Duration::from_millis(1_000), "{given:?}");
    assert!(!bob.download(id).expect("it stays").seed, "it does not begin to give once more");
}

#[test]
fn a_download_remembers_its_limit_over_a_restart() {
    let (alice_home, bob_home) = (Home::new(), Home::new());
    let (_alice, door, link) = giver(&alice_home, 400_000);
    let bob = open_node(bob_home.settings(vec![common::kazaa(&door)], &[])).expect("a node");
    let how = How { limits: down(200_000), ..How::default() };
    let id = bob.begin_download(NewDownload { source: link, how, ..NewDownload::default() }).expect("a download").id;
    bob.close();

    let begun = Instant::now();
    let bob = open_node(bob_home.settings(vec![common::kazaa(&door)], &["kazaa"])).expect("a node");
    bob.join("kazaa").expect("it can be joined");
    await_that("the download to be complete", || state(&*bob, id) == DownloadState::Complete);
    assert!(begun.elapsed() > Duration::from_millis(1_500), "{:?} for two seconds' bytes", begun.elapsed());
}
