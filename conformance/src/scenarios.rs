//! The scenarios. Each knows the four verbs only, and holds for every network in every world.

use hexad_core::Abilities;

use crate::world::{Fetching as _, Folder, Outcome, Peer as _, World};

const MIB: u64 = 1 << 20;

/// Says why a scenario does not apply. A network that cannot do something by nature says so in its abilities; nobody pretends.
fn skipped(what: &str, can: bool) -> bool {
    if !can {
        eprintln!("skipped: the network has no {what}");
    }
    !can
}

fn cannot_move_files(abilities: Abilities) -> bool {
    skipped("publishing", abilities.publish) || skipped("fetching", abilities.fetch)
}

/// Who looks a digest up finds who has published it, and fetches it from there.
pub fn a_published_file_is_found_by_digest_and_fetched(world: &mut impl World) {
    let abilities = world.abilities();
    if cannot_move_files(abilities) || skipped("search by digest", abilities.search_digest) {
        return;
    }
    let [alice, bob, _carol] = world.joined();
    let folder = Folder::file("blue.ogg", 3 * MIB + 4711);
    let published = alice.publish(&folder);
    let hits = bob.search(published.digest);
    let hit = hits.first().expect("at least one hit");
    assert!(hit.digests.contains(&published.digest), "the hit names what was asked for: {hit:?}");
    let fetch = bob.fetch(&folder, &hit.source);
    assert_eq!(fetch.ends(), Outcome::Complete);
    assert!(fetch.is_whole());
}

/// A search for what nobody has is answered all the same.
pub fn a_search_for_what_nobody_has_ends(world: &mut impl World) {
    let abilities = world.abilities();
    if cannot_move_files(abilities) || skipped("search by digest", abilities.search_digest) {
        return;
    }
    let [alice, bob] = world.joined();
    let published = alice.publish(&Folder::file("blue.ogg", MIB));
    let other = match published.digest {
        hexad_content::Digest::TorrentV1(mut hash) => {
            hash.0[7] ^= 1;
            hexad_content::Digest::TorrentV1(hash)
        }
        hexad_content::Digest::TorrentV2(mut hash) => {
            hash.0[7] ^= 1;
            hexad_content::Digest::TorrentV2(hash)
        }
        other => other,
    };
    assert_eq!(bob.search(other), []);
}

/// A cancelled fetch is confirmed, and nothing of it stays behind in the engine.
pub fn a_cancelled_fetch_ends_and_leaves_no_lease(world: &mut impl World) {
    if cannot_move_files(world.abilities()) {
        return;
    }
    let [alice, bob] = world.joined();
    let folder = Folder::file("blue.ogg", 8 * MIB);
    let published = alice.publish(&folder);
    alice.gives_only(2 * MIB);
    let fetch = bob.fetch(&folder, &published.source);
    fetch.reaches(MIB);
    assert_eq!(bob.downloads(), 1);
    fetch.cancel();
    assert_eq!(bob.downloads(), 0);
    alice.gives_all();
    // Nothing of the first stands in the way of a second.
    let again = bob.fetch(&folder, &published.source);
    assert_eq!(again.ends(), Outcome::Complete);
    assert!(again.is_whole());
}

/// Of two sources one dies half-way.
pub fn a_source_that_dies_does_not_stop_the_fetch(world: &mut impl World) {
    let abilities = world.abilities();
    if cannot_move_files(abilities) || skipped("fetching from many", abilities.many_sources) {
        return;
    }
    let [alice, mallory, bob] = world.joined();
    let folder = Folder::file("blue.ogg", 8 * MIB);
    let published = alice.publish(&folder);
    let other = mallory.publish(&folder);
    alice.gives_only(2 * MIB);
    mallory.gives_only(2 * MIB);
    let fetch = bob.fetch(&folder, &published.and(&other));
    fetch.reaches(2 * MIB);
    mallory.dies();
    alice.gives_all();
    assert_eq!(fetch.ends(), Outcome::Complete);
    assert!(fetch.is_whole());
}

/// Of two sources one gives wrong bytes: they are told from the right ones, and the source is not asked for ever.
pub fn a_source_that_lies_is_found_out(world: &mut impl World) {
    let abilities = world.abilities();
    if cannot_move_files(abilities) || skipped("fetching from many", abilities.many_sources) {
        return;
    }
    let [alice, mallory, bob] = world.joined();
    let folder = Folder::file("blue.ogg", 8 * MIB);
    let published = alice.publish(&folder);
    let other = mallory.publish(&folder);
    // However slow the liar's machine is, it is asked before everything has come from the other.
    alice.gives_only(0);
    mallory.lies();
    let fetch = bob.fetch(&folder, &other.and(&published));
    bob.bans();
    alice.gives_all();
    assert_eq!(fetch.ends(), Outcome::Complete);
    assert!(fetch.is_whole(), "no wrong byte is left");
    assert!(mallory.lies_told() > 0, "the fault has struck");
    assert_eq!(bob.banned(), 1, "the liar and nobody else is banned");
}

/// What was proven before a restart is not fetched again.
pub fn a_fetch_restarted_in_the_middle_fetches_nothing_twice(world: &mut impl World) {
    if cannot_move_files(world.abilities()) {
        return;
    }
    let [alice, bob] = world.joined();
    let folder = Folder::file("blue.ogg", 8 * MIB);
    let published = alice.publish(&folder);
    alice.gives_only(4 * MIB);
    let fetch = bob.fetch(&folder, &published.source);
    fetch.reaches(2 * MIB);
    bob.dies();
    let before = fetch.verified_bytes();
    let received = bob.taken_bytes();
    assert!(before < folder.bytes());
    alice.gives_all();
    bob.restarts();
    let again = bob.fetch(&folder, &published.source);
    assert_eq!(again.ends(), Outcome::Complete);
    assert!(again.is_whole());
    let after = bob.taken_bytes() - received;
    assert!(after <= folder.bytes() - before, "{before} bytes were proven, and {after} of {} were fetched afterwards", folder.bytes());
}

/// A file without bytes is a file.
pub fn an_empty_file_can_be_shared(world: &mut impl World) {
    if cannot_move_files(world.abilities()) {
        return;
    }
    let [alice, bob] = world.joined();
    let folder = Folder::file("silence.ogg", 0);
    let published = alice.publish(&folder);
    let fetch = bob.fetch(&folder, &published.source);
    assert_eq!(fetch.ends(), Outcome::Complete);
    assert!(fetch.is_whole());
}

/// Files of a folder arrive under their names, empty ones and small ones too.
pub fn a_folder_arrives_with_all_its_files(world: &mut impl World) {
    if cannot_move_files(world.abilities()) {
        return;
    }
    let [alice, bob] = world.joined();
    let files =
        [("cover.png", 70_000), ("side a/one.ogg", MIB + 1), ("side a/two.ogg", 3), ("side b/größe — 大きさ.ogg", 900_001), ("empty", 0)];
    let folder = Folder::of("album", &files);
    let published = alice.publish(&folder);
    let fetch = bob.fetch(&folder, &published.source);
    assert_eq!(fetch.ends(), Outcome::Complete);
    assert!(fetch.is_whole());
}

/// Several fetch the same at the same time, and know of one source only.
pub fn many_fetch_the_same_at_the_same_time(world: &mut impl World) {
    if cannot_move_files(world.abilities()) {
        return;
    }
    let [alice] = world.joined();
    let crowd: [_; 6] = world.joined();
    let folder = Folder::file("blue.ogg", 4 * MIB);
    let published = alice.publish(&folder);
    let fetches = crowd.map(|peer| peer.fetch(&folder, &published.source));
    for fetch in fetches {
        assert_eq!(fetch.ends(), Outcome::Complete);
        assert!(fetch.is_whole());
    }
}
