//! `hexad fetch`.

use hexad_api::node::NewDownload;
use hexad_api::{FetchRequest, How, Problem, Selection, Session as _, Task};
use hexad_daemon::remote::Remote;

use crate::args::FetchArgs;
use crate::by_node;
use crate::follow::{Until, follow};
use crate::how::OrderArgs;
use crate::node::absolute;
use crate::render::Screen;

/// Fetches, and goes on seeding if asked; returns without error only when every selected byte is verified on disk.
///
/// # Errors
/// When it cannot, or is stopped before it is complete.
pub fn run(given: FetchArgs, logs: bool) -> Result<(), Problem> {
    if let Some(node) = given.by_node.open() {
        return follow(node.and_then(|node| by_node(node, &given)), Screen::new(given.json, logs), Until::ByNode);
    }
    let session = given.network.settings(&given.source).and_then(|settings| hexad_daemon::open(&settings));
    // A goal of giving is for whoever gives.
    let seed = given.seed || given.goal.is_given();
    let how = how(&given);
    let request = FetchRequest {
        source: given.source,
        on: Vec::new(),
        into: given.into.unwrap_or_else(|| ".".into()),
        peers: given.network.peers,
        select: Selection { patterns: given.select },
        seed,
        how,
    };
    let begun = session.as_ref().map_err(Problem::clone).and_then(|session| session.fetch(request));
    follow(begun, Screen::new(given.json, logs), if seed { Until::Seeding } else { Until::Complete })
}

/// In which order it comes, and when there is an end to seeding.
fn how(given: &FetchArgs) -> How {
    let OrderArgs { sequential, first, last } = given.order.clone();
    How { sequential, first, last, ..given.goal.how() }
}

fn by_node(node: Remote, given: &FetchArgs) -> Result<Task, Problem> {
    let into = given.into.as_deref().map(absolute).transpose()?;
    let wanted = NewDownload {
        source: by_node::source(&given.source)?,
        on: given.network.on.iter().map(|name| name.word()).collect(),
        into: into.map(|path| path.display().to_string()),
        peers: given.network.peers.clone(),
        select: given.select.clone(),
        seed: given.seed.then_some(true),
        // Here the limits are those of a whole session, there they are this download's.
        how: How { limits: given.network.limits.limits(), ..how(given) },
        choose: false,
    };
    by_node::fetch(node, &wanted)
}
