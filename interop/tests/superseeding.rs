//! Super-seeding (BEP 16): `hexad` gives two leechers who know each other little more than one copy, though it could give two at once; and takes what
//! libtorrent gives so.

use std::time::Duration;

use anyhow::{Result, ensure};
use hexad_interop::{Job, Program, Scene, have, until};

const PATIENCE: Duration = Duration::from_secs(90);
const BYTES: u64 = 4 << 20;
/// libtorrent shows two pieces at a time, and the next ones ten seconds later to who does not say that it has them: 64 pieces would not come in time.
const PIECE_BYTES: u64 = 64 << 10;
/// What leechers may give to each other: the seed, who may give all that it can, would be done with both of them long before they could give half.
const LEECHERS_GIVE: u64 = 1 << 20;

/// How many copies `seed` gives to two leechers.
fn copies_given(seed: Program, leech: Program, super_seeds: bool) -> Option<f64> {
    if !have(&[seed.needs(), leech.needs()].concat()) {
        return None;
    }
    let scene = Scene::new().expect("a stage");
    let outcome = play(&scene, seed, leech, super_seeds);
    let copies = scene.explain(outcome).unwrap_or_else(|error| panic!("{seed} -> {leech}: {error:#}"));
    eprintln!("{seed} -> two of {leech}, super-seeding {super_seeds}: {copies:.2} copies");
    Some(copies)
}

fn play(scene: &Scene, seed: Program, leech: Program, super_seeds: bool) -> Result<f64> {
    let torrent = scene.torrent(BYTES, PIECE_BYTES, &[])?;
    let leecher = |name: &str, peers| Job { peers, stays: true, gives_max: Some(LEECHERS_GIVE), ..scene.leech(name, &torrent) };
    let first = leecher("first", Vec::new());
    let second = leecher("second", vec![first.at]);
    let mut leechers = [leech.leech(&first)?, leech.leech(&second)?];
    // Before there is anything to give, so that nobody is alone with the seed.
    until(PATIENCE, "two leechers that are connected", || Ok(scene.net.is_connected(first.at).then_some(())))?;

    let mut seeder = seed.seed(&Job { peers: vec![first.at, second.at], super_seeds, ..scene.seed(&torrent) })?;
    for (leecher, job) in leechers.iter_mut().zip([&first, &second]) {
        leecher.complete(PATIENCE)?;
        scene.arrived(&torrent, job)?;
    }
    let said = seeder.given_bytes().len();
    // The next telling may be under way, the one after it knows all.
    let given = until(PATIENCE, "a seed that tells what it has given", || {
        ensure!(seeder.process().ended()?.is_none(), "the seed has ended");
        Ok(seeder.given_bytes().get(said + 1).copied())
    })?;
    ensure!(given >= BYTES, "nobody else had it, and the seed has given {given} bytes");
    for client in leechers.iter_mut().chain([&mut seeder]) {
        client.process().stop()?;
    }
    Ok(given as f64 / BYTES as f64)
}

#[test]
fn hexad_gives_two_of_libtorrent_little_more_than_one_copy() {
    if let Some(copies) = copies_given(Program::Hexad, Program::Libtorrent, true) {
        assert!(copies < 1.5, "{copies:.2} copies");
    }
}

/// How much it gives is its own affair: it shows a peer the next piece as soon as that peer itself says that it has the last one.
#[test]
fn two_of_hexad_get_all_from_a_libtorrent_that_super_seeds() {
    copies_given(Program::Libtorrent, Program::Hexad, true);
}

/// So it is the flag that makes the difference.
#[test]
fn a_seed_that_shows_all_it_has_gives_more() {
    if let Some(copies) = copies_given(Program::Hexad, Program::Libtorrent, false) {
        assert!(copies > 1.6, "{copies:.2} copies");
    }
}
