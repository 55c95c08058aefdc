//! `hexad serve`.

use hexad_api::{Problem, Roles as _, TrackerRequest};

use crate::args::ServeCommand;
use crate::render::Screen;
use crate::signals::Stopper;

/// Serves until stopped.
pub fn run(command: ServeCommand) -> Result<(), Problem> {
    let ServeCommand::Tracker(given) = command;
    let request =
        TrackerRequest { http: given.http, udp: given.udp, interval_s: given.interval, announces_per_minute_max: given.rate_limit };
    let task = hexad_daemon::roles().serve_tracker(request)?;
    let mut screen = Screen::new(given.json);
    let stopper = Stopper::watch(task.stop);
    let mut outcome = Ok(());
    for event in &task.events {
        if let hexad_api::Event::Listening { address, purpose } = &event
            && !given.json
        {
            eprintln!("{purpose} at {address}");
        }
        screen.show(&event)?;
        match event {
            hexad_api::Event::Failed { message, hint } => {
                outcome = Err(Problem { message, hint });
                break;
            }
            hexad_api::Event::Stopped => break,
            _ => {}
        }
    }
    stopper.stop();
    outcome
}
