//! `hexad publish`.

use hexad_api::{How, Problem, PublishRequest, Session as _, TorrentVersion};

use crate::args::{PublishArgs, tiers};
use crate::by_node;
use crate::follow::{Until, follow};
use crate::render::Screen;

/// Seeds until stopped.
///
/// # Errors
/// When it cannot, or is stopped before it seeds.
pub fn run(given: PublishArgs, logs: bool) -> Result<(), Problem> {
    let version = match (given.v2, given.hybrid) {
        (true, _) => Some(TorrentVersion::V2),
        (_, true) => Some(TorrentVersion::Hybrid),
        _ => None,
    };
    if let Some(node) = given.by_node.open() {
        if given.torrent.is_some() || given.out.is_some() || given.force || !given.trackers.is_empty() {
            return Err(Problem::new(
                "a node offers files as they are: --torrent, --out, --force and --tracker are for a publish without --daemon",
            )
            .hint("leave them away, or leave --daemon away"));
        }
        return by_node::publish(&node?, &given.paths, version, given.mutable, given.json);
    }
    let session = given.network.settings("").and_then(|settings| hexad_daemon::open(&settings));
    let request = PublishRequest {
        paths: given.paths,
        on: Vec::new(),
        torrent: given.torrent,
        data: given.data,
        out: given.out,
        force: given.force,
        tiers: tiers(&given.trackers),
        version,
        peers: given.network.peers,
        mutable: given.mutable,
        how: How { super_seed: given.super_seed, ..given.goal.how() },
    };
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.publish(request));
    follow(begun, Screen::new(given.json, logs), Until::Seeding)
}
