//! `hexad top`: a node, live in a terminal.

mod model;
mod view;

use std::io::IsTerminal as _;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use clap::Args;
use hexad_api::Problem;
use hexad_api::node::{DownloadQuery, DownloadSort, PAGE_MAX};
use hexad_daemon::remote::Remote;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};

use crate::node::NodeArgs;
use model::{Deed, Model, Seen};

/// Examples for its help.
pub const EXAMPLES: &str = "\
Examples:
  hexad top
  hexad top --daemon http://node.example.org:4080/ --token …

Keys: arrows select a download, p pauses it, r goes on with it, s sorts by something else, q ends the view (and not the node).";

/// How often the node is looked at.
const PACE: Duration = Duration::from_secs(1);
/// How often keys are looked for.
const KEYS: Duration = Duration::from_millis(100);

/// `hexad top`.
#[derive(Debug, Args)]
pub struct TopArgs {
    /// Which node
    #[command(flatten)]
    pub node: NodeArgs,
}

/// Shows a node until the user has seen enough.
///
/// # Errors
/// When it does not answer at the beginning, or there is no terminal.
pub fn run(given: &TopArgs) -> Result<(), Problem> {
    if given.node.json || !std::io::stdout().is_terminal() {
        return Err(Problem::new("hexad top draws on a terminal").hint("hexad status --json is for programs"));
    }
    let node = given.node.open()?;
    let mut model = Model::new(node.url());
    model.take(look(&node, DownloadSort::Rate));
    if let Some(problem) = &model.problem {
        return Err(problem.clone());
    }
    let (asks, asked) = mpsc::channel();
    let (tells, told) = mpsc::channel();
    thread::spawn(move || attend(&node, &asked, &tells));
    let trouble = |wrong: std::io::Error| Problem::new(format!("the terminal cannot be used: {}", wrong.kind())).hint("try hexad status");
    let mut terminal = ratatui::try_init().map_err(trouble)?;
    let outcome = loop {
        while let Ok(seen) = told.try_recv() {
            model.take(seen);
        }
        if let Err(wrong) = terminal.draw(|frame| view::draw(frame, &mut model)) {
            break Err(trouble(wrong));
        }
        match key() {
            Ok(Some(key)) => match model.press(key) {
                Some(Deed::Quit) => break Ok(()),
                Some(deed) => {
                    let _ = asks.send(deed);
                }
                None => {}
            },
            Ok(None) => {}
            Err(wrong) => break Err(trouble(wrong)),
        }
    };
    ratatui::restore();
    outcome
}

/// The key that was pressed, where one was.
fn key() -> std::io::Result<Option<KeyCode>> {
    if !event::poll(KEYS)? {
        return Ok(None);
    }
    let Event::Key(key) = event::read()? else { return Ok(None) };
    if key.kind == KeyEventKind::Release {
        return Ok(None);
    }
    // In raw mode it is a key like others.
    let ends = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    Ok(Some(if ends { KeyCode::Char('q') } else { key.code }))
}

/// Looks at the node once a second, and at once after each deed, on a thread that may wait for it.
fn attend(node: &Remote, asked: &Receiver<Deed>, tells: &Sender<Seen>) {
    let mut sort = DownloadSort::Rate;
    loop {
        let problem = match asked.recv_timeout(PACE) {
            Ok(Deed::Pause(id)) => node.pause(id).err(),
            Ok(Deed::Resume(id)) => node.resume(id).err(),
            Ok(Deed::Sort(by)) => {
                sort = by;
                None
            }
            Ok(Deed::Quit) | Err(RecvTimeoutError::Disconnected) => return,
            Err(RecvTimeoutError::Timeout) => None,
        };
        let seen = look(node, sort);
        let seen = Seen { note: problem.map(|problem| problem.message), ..seen };
        if tells.send(seen).is_err() {
            return;
        }
    }
}

fn look(node: &Remote, sort: DownloadSort) -> Seen {
    let query = DownloadQuery { limit: Some(PAGE_MAX), sort, ..DownloadQuery::default() };
    let status = node.status().and_then(|status| Ok((status, node.downloads(&query)?)));
    Seen { status, note: None }
}
