//! `hexad fetch`.

use hexad_api::{Event, FetchRequest, Problem, Selection, Session as _};

use crate::args::FetchArgs;
use crate::render::Screen;
use crate::signals::Stopper;

/// Fetches, and goes on seeding if asked; returns without error only when every selected byte is verified on disk.
pub fn run(given: FetchArgs) -> Result<(), Problem> {
    let session = hexad_daemon::open(given.network.settings())?;
    let request = FetchRequest {
        source: given.source,
        into: given.into,
        peers: given.network.peers,
        select: Selection { patterns: given.select },
        seed: given.seed,
    };
    let task = session.fetch(request)?;
    follow(task, given.json, !given.seed)
}

/// Shows a task's events until it is over, or the user stops it with Ctrl-C. `until_complete`: it is over when complete.
///
/// # Errors
/// When the task failed, or was stopped before what it was for was in effect.
pub fn follow(task: hexad_api::Task, json: bool, until_complete: bool) -> Result<(), Problem> {
    let mut screen = Screen::new(json);
    let stopper = Stopper::watch(task.stop);
    let mut in_effect = false;
    let outcome = loop {
        let Ok(event) = task.events.recv() else {
            break Err(Problem::new("the session ended before the task did"));
        };
        screen.show(&event)?;
        match event {
            Event::Complete { .. } => {
                in_effect = true;
                if until_complete {
                    break Ok(());
                }
            }
            Event::Seeding { .. } => in_effect = true,
            Event::Failed { message, hint } => break Err(Problem { message, hint }),
            Event::Stopped if in_effect => break Ok(()),
            Event::Stopped => {
                break Err(Problem::new("stopped before it was complete").hint("run the same command again to go on where it stopped"));
            }
            _ => {}
        }
    };
    stopper.stop();
    outcome
}
