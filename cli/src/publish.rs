//! `hexad publish`.

use hexad_api::{Problem, PublishRequest, Session as _};

use crate::args::{PublishArgs, tiers};
use crate::fetch::follow;

/// Seeds until stopped.
pub fn run(given: PublishArgs) -> Result<(), Problem> {
    let session = hexad_daemon::open(given.network.settings())?;
    let request = PublishRequest {
        paths: given.paths,
        torrent: given.torrent,
        data: given.data,
        out: given.out,
        tiers: tiers(&given.trackers),
        peers: given.network.peers,
    };
    follow(session.publish(request)?, given.json, false)
}
