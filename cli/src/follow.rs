//! Follows a task from its first event to its last, and makes of it what the command ends with.

use hexad_api::{Event, Problem, Task};

use crate::render::Screen;
use crate::signals::Stopper;

/// What a task is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Over as soon as everything is there.
    Complete,
    /// The same, while a node does it that goes on whether somebody watches or not.
    ByNode,
    /// Goes on until the user stops it, and is in effect when others can fetch.
    Seeding,
    /// Goes on until the user stops it, and is in effect when players can connect.
    Streaming,
    /// Goes on until the user stops it, and is in effect at once.
    Serving,
    /// Goes on until the user stops it, and is in effect when the network is joined.
    Joined,
    /// Over as soon as all answers were told.
    Done,
}

/// Shows a task's events until it is over or the user stops it; with `json`, a task that cannot even begin is told as an event as well.
///
/// # Errors
/// When the task failed, or was stopped before what it was for was in effect.
pub fn follow(begun: Result<Task, Problem>, mut screen: Screen, until: Until) -> Result<(), Problem> {
    let task = match begun {
        Ok(task) => task,
        Err(problem) => {
            screen.show(&Event::Failed { message: problem.message.clone(), hint: problem.hint.clone() })?;
            return Err(problem);
        }
    };
    let stopper = Stopper::watch(task.stop);
    let mut in_effect = until == Until::Serving;
    let outcome = loop {
        let Ok(event) = task.events.recv() else {
            break Err(Problem::new("the session ended before the task did").hint("run the same command again"));
        };
        if let Err(problem) = screen.show(&event) {
            break Err(problem);
        }
        match event {
            Event::Complete { .. } if matches!(until, Until::Complete | Until::ByNode) => break Ok(()),
            Event::Done => break Ok(()),
            Event::Seeding { .. } => in_effect = true,
            Event::Listening { purpose, .. } if purpose == "stream" => in_effect = true,
            Event::Joined { .. } if until == Until::Joined => in_effect = true,
            Event::Failed { message, hint } => break Err(Problem { hint, ..Problem::new(message) }),
            Event::Stopped if in_effect => break Ok(()),
            Event::Stopped if until == Until::Done => {
                break Err(Problem::new("stopped before all answers were there").hint("run the same command again"));
            }
            Event::Stopped if until == Until::Joined => {
                break Err(Problem::new("stopped before the network was joined").hint("run the same command again, and leave it more time"));
            }
            Event::Stopped if until == Until::ByNode => {
                break Err(Problem::new("stopped watching before it was complete; the node goes on with it")
                    .hint("`hexad downloads` says how it stands, and pauses or removes it"));
            }
            Event::Stopped => {
                break Err(Problem::new("stopped before it was complete").hint("run the same command again to go on where it stopped"));
            }
            _ => {}
        }
    };
    stopper.stop();
    outcome
}
