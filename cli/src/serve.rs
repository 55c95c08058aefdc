//! `hexad serve`.

use hexad_api::{Problem, Roles as _, TrackerRequest};

use crate::args::ServeCommand;
use crate::follow::{Until, follow};
use crate::render::Screen;

/// Serves until stopped.
///
/// # Errors
/// When it cannot.
pub fn run(command: ServeCommand, logs: bool) -> Result<(), Problem> {
    let ServeCommand::Tracker(given) = command;
    let request =
        TrackerRequest { http: given.http, udp: given.udp, interval_s: given.interval, requests_per_minute_max: given.rate_limit };
    follow(hexad_daemon::roles().serve_tracker(request), Screen::new(given.json, logs), Until::Serving)
}
