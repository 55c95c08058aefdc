//! A player that is started as soon as there is an address to play, and with whose end the streaming ends.

use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;

use hexad_api::{Event, Problem, Task};

/// The same task, which starts `program` (and its first words, as `mpv --fs`) with the first address for players, and is done when that ends.
pub fn with_player(task: Task, program: &str) -> Task {
    let Task { events, stop } = task;
    let (says, heard) = mpsc::channel();
    let program = program.to_owned();
    thread::spawn(move || {
        let mut plays = false;
        for event in events {
            let address = match &event {
                Event::Listening { purpose, address, .. } if purpose == "stream" && !plays => Some(address.clone()),
                _ => None,
            };
            if says.send(event).is_err() {
                return;
            }
            let Some(address) = address else { continue };
            plays = true;
            match start(&program, &address) {
                Ok(player) => end_with(player, program.clone(), says.clone()),
                Err(Problem { message, hint, .. }) => drop(says.send(Event::Failed { message, hint })),
            }
        }
    });
    Task { events: heard, stop }
}

fn start(program: &str, address: &str) -> Result<Child, Problem> {
    let mut words = program.split_whitespace();
    let name = words.next().unwrap_or_default();
    // Data goes to our stdout, and what a player says is none.
    let child = Command::new(name).args(words).arg(address).stdout(Stdio::null()).spawn();
    child.map_err(|wrong| {
        Problem::new(format!("'{name}' cannot be started: {wrong}")).hint("is it installed? The address works in any player")
    })
}

/// Says that all is done when the player has ended; how it ended is its own affair.
fn end_with(mut player: Child, program: String, says: Sender<Event>) {
    thread::spawn(move || {
        match player.wait() {
            Ok(status) if status.success() => {}
            Ok(status) => drop(says.send(Event::Warning { message: format!("'{program}' has ended: {status}") })),
            Err(wrong) => drop(says.send(Event::Warning { message: format!("'{program}' cannot be waited for: {wrong}") })),
        }
        let _ = says.send(Event::Done);
    });
}
