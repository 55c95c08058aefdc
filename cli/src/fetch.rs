//! `hexad fetch`.

use std::io::{IsTerminal as _, stdin};

use hexad_api::node::{Download, DownloadChange, NewDownload};
use hexad_api::{FetchRequest, How, Problem, Selection, Session as _, Task, json_line};
use hexad_daemon::remote::Remote;

use crate::args::FetchArgs;
use crate::by_node;
use crate::downloads;
use crate::follow::{Until, follow};
use crate::how::OrderArgs;
use crate::node::absolute;
use crate::out::{self, tame};
use crate::render::Screen;

/// Fetches, and goes on seeding if asked; returns without error only when every selected byte is verified on disk.
///
/// # Errors
/// When it cannot, or is stopped before it is complete.
pub fn run(given: FetchArgs, logs: bool) -> Result<(), Problem> {
    if let Some(node) = given.by_node.open() {
        if given.choose {
            return choose(node?, &given, logs);
        }
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
    by_node::fetch(node, &wanted(given)?)
}

/// Has the node find out what there is, and lists it. At a terminal it is asked which files come, and they are fetched; elsewhere the download rests until
/// somebody says so.
fn choose(node: Remote, given: &FetchArgs, logs: bool) -> Result<(), Problem> {
    let known = by_node::described(&node, &wanted(given)?)?;
    let id = known.id;
    if given.json {
        out::line(&json_line(&known)?)?;
    }
    downloads::files(&node, id, None, given.json)?;
    let later = format!(
        "download {id} rests: `hexad downloads set {id} --select FILES` says which of these come, `hexad downloads resume {id}` has it go on"
    );
    if given.json || !stdin().is_terminal() {
        eprintln!("{later}");
        return Ok(());
    }
    while let Some(select) = asked(&known)? {
        let change = DownloadChange { select: Some(select), ..DownloadChange::default() };
        match node.change_download(id, &change) {
            Ok(_) => return follow(by_node::go_on(node, id), Screen::new(given.json, logs), Until::ByNode),
            Err(problem) => eprintln!("{}", tame(&problem.message)),
        }
    }
    eprintln!("{later}");
    Ok(())
}

/// Which files somebody at the terminal names; nothing when he goes away.
fn asked(known: &Download) -> Result<Option<Vec<String>>, Problem> {
    eprintln!("which files of {}? (0,2-5 or '*.flac', several apart by blanks; all when nothing is said)", tame(&known.name));
    let mut line = String::new();
    let read = stdin().read_line(&mut line).map_err(|wrong| Problem::new(format!("no answer can be read: {}", wrong.kind())))?;
    let words = line.split_whitespace().map(|word| word.trim_matches(['\'', '"']).to_owned());
    Ok((read > 0).then(|| if line.trim() == "all" { Vec::new() } else { words.collect() }))
}

/// What the node is asked for.
fn wanted(given: &FetchArgs) -> Result<NewDownload, Problem> {
    let into = given.into.as_deref().map(absolute).transpose()?;
    Ok(NewDownload {
        source: by_node::source(&given.source)?,
        on: given.network.on.iter().map(|name| name.word()).collect(),
        into: into.map(|path| path.display().to_string()),
        peers: given.network.peers.clone(),
        select: given.select.clone(),
        seed: given.seed.then_some(true),
        // Here the limits are those of a whole session, there they are this download's.
        how: How { limits: given.network.limits.limits(), ..how(given) },
        choose: given.choose,
    })
}
