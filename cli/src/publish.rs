//! `hexad publish`.

use hexad_api::{How, Problem, PublishRequest, Session as _};

use crate::args::{PublishArgs, tiers};
use crate::follow::{Until, follow};
use crate::render::Screen;

/// Seeds until stopped.
///
/// # Errors
/// When it cannot, or is stopped before it seeds.
pub fn run(given: PublishArgs, logs: bool) -> Result<(), Problem> {
    let session = given.network.settings("").and_then(|settings| hexad_daemon::open(&settings));
    let request = PublishRequest {
        paths: given.paths,
        on: Vec::new(),
        torrent: given.torrent,
        data: given.data,
        out: given.out,
        force: given.force,
        tiers: tiers(&given.trackers),
        peers: given.network.peers,
        how: How { super_seed: given.super_seed, ..given.goal.how() },
    };
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.publish(request));
    follow(begun, Screen::new(given.json, logs), Until::Seeding)
}
