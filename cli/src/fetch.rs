//! `hexad fetch`.

use hexad_api::{FetchRequest, How, Problem, Selection, Session as _};

use crate::args::FetchArgs;
use crate::follow::{Until, follow};
use crate::how::OrderArgs;
use crate::render::Screen;

/// Fetches, and goes on seeding if asked; returns without error only when every selected byte is verified on disk.
///
/// # Errors
/// When it cannot, or is stopped before it is complete.
pub fn run(given: FetchArgs, logs: bool) -> Result<(), Problem> {
    let session = given.network.settings(&given.source).and_then(|settings| hexad_daemon::open(&settings));
    // A goal of giving is for whoever gives.
    let seed = given.seed || given.goal.is_given();
    let OrderArgs { sequential, first, last } = given.order;
    let request = FetchRequest {
        source: given.source,
        on: Vec::new(),
        into: given.into,
        peers: given.network.peers,
        select: Selection { patterns: given.select },
        seed,
        how: How { sequential, first, last, ..given.goal.how() },
    };
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.fetch(request));
    follow(begun, Screen::new(given.json, logs), if seed { Until::Seeding } else { Until::Complete })
}
