//! Tasks that a node does which runs on: what it tells of them becomes the events that a task of this program has.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use hexad_api::node::{
    Change, Download, DownloadState, NewDownload, NewSearch, PAGE_MAX, SearchDetail, SearchResult, SearchState, Share, ShareChange,
    ShareState,
};
use hexad_api::{Event, Problem, ProblemKind, Stop, Task, TorrentVersion, json_line};
use hexad_daemon::remote::{Remote, RemoteChanges};

use crate::node::absolute;
use crate::out::{self, tame};
use crate::torrent::bar;

/// How often somebody looks whether he is to stop.
const PATIENCE: Duration = Duration::from_millis(200);
/// After so long without news the node is asked.
const SILENCE_MAX: Duration = Duration::from_secs(3);

/// Stops looking; for searches, the search as well.
struct Quit {
    over: Arc<AtomicBool>,
    events: Sender<Event>,
    node: Arc<Remote>,
    search: Option<u64>,
}

impl Stop for Quit {
    fn stop(&mut self) {
        if !self.over.swap(true, Ordering::Relaxed) {
            let _ = self.events.send(Event::Stopped);
        }
        if let Some(id) = self.search.take() {
            // A node that has gone has forgotten it anyway.
            let _ = self.node.end_search(id);
        }
    }
}

impl Drop for Quit {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Lets a node search.
///
/// # Errors
/// When it does not begin.
pub fn search(node: Remote, search: &NewSearch) -> Result<Task, Problem> {
    let mut changes = node.changes()?;
    let id = node.begin_search(search)?.id;
    let node = Arc::new(node);
    let (events, watched) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let quit = Quit { over: over.clone(), events: events.clone(), node: node.clone(), search: Some(id) };
    thread::spawn(move || {
        let outcome = follow_search(&node, id, &mut changes, &over, &events);
        if !over.swap(true, Ordering::Relaxed) {
            let _ = events.send(outcome.unwrap_or_else(failed));
        }
    });
    Ok(Task { events: watched, stop: Box::new(quit) })
}

/// Tells what is found until all is; returns with what the task ends with.
fn follow_search(node: &Remote, id: u64, changes: &mut RemoteChanges, over: &AtomicBool, events: &Sender<Event>) -> Result<Event, Problem> {
    let mut known: BTreeMap<usize, Event> = BTreeMap::new();
    let mut tell = |result: SearchResult| {
        let (number, found) = (result.result, found(result));
        if known.get(&number) != Some(&found) {
            known.insert(number, found.clone());
            let _ = events.send(found);
        }
    };
    let mut heard = Instant::now();
    while !over.load(Ordering::Relaxed) {
        let look = match changes.next(PATIENCE)? {
            Some(Change::Result { search, result }) if search == id => {
                tell(result);
                false
            }
            Some(Change::Search { search }) => search.id == id && search.state != SearchState::Running,
            Some(Change::Hello { .. }) => true,
            _ => heard.elapsed() > SILENCE_MAX,
        };
        if !look {
            continue;
        }
        heard = Instant::now();
        let mut offset = 0;
        loop {
            let SearchDetail { state, problem, total, results, .. } = node.search(id, offset, PAGE_MAX)?;
            offset += results.len();
            let is_last = results.is_empty() || offset >= total;
            results.into_iter().for_each(&mut tell);
            if !is_last {
                continue;
            }
            match state {
                SearchState::Running => break,
                SearchState::Done => return Ok(Event::Done),
                SearchState::Failed => {
                    return Err(problem.unwrap_or_else(|| Problem::new("nothing was found").hint("try other words, or other networks")));
                }
            }
        }
    }
    Ok(Event::Stopped)
}

fn found(result: SearchResult) -> Event {
    let SearchResult { result, name, size_bytes, link, proven, networks, sources, .. } = result;
    Event::Found { result, name, size_bytes, link, proven, networks, sources }
}

fn failed(problem: Problem) -> Event {
    Event::Failed { message: problem.message, hint: problem.hint }
}

/// Lets a node fetch, and tells how it goes until it is complete. The node goes on with it whoever looks.
///
/// # Errors
/// When it does not begin.
pub fn fetch(node: Remote, wanted: &NewDownload) -> Result<Task, Problem> {
    let changes = node.changes()?;
    let begun = node.begin_download(wanted)?;
    Ok(watch(node, changes, begun))
}

/// Lets a node go on with a download that rests, and tells how it goes until it is complete.
///
/// # Errors
/// When it does not go on.
pub fn go_on(node: Remote, id: u64) -> Result<Task, Problem> {
    let changes = node.changes()?;
    let begun = node.resume(id)?;
    Ok(watch(node, changes, begun))
}

/// Lets a node find out what a download holds; it rests then.
///
/// # Errors
/// When it does not begin, or that cannot be found out.
pub fn described(node: &Remote, wanted: &NewDownload) -> Result<Download, Problem> {
    let changes = node.changes()?;
    let mut download = node.begin_download(wanted)?;
    let id = download.id;
    let mut heard = Instant::now();
    loop {
        match download.state {
            DownloadState::Paused | DownloadState::Complete | DownloadState::Seeding => return Ok(download),
            DownloadState::Failed => {
                return Err(download.problem.unwrap_or_else(|| Problem::new("the download has failed").hint("run the same command again")));
            }
            _ => {}
        }
        if let Some(said) = next_of_download(node, &changes, id, heard)? {
            download = said;
            heard = Instant::now();
        }
    }
}

/// Waits a moment for word of a download, which was last heard of at that time; where a node is silent for long, it is asked.
fn next_of_download(node: &Remote, changes: &RemoteChanges, id: u64, heard: Instant) -> Result<Option<Download>, Problem> {
    Ok(match changes.next(PATIENCE)? {
        Some(Change::Download { download }) if download.id == id => Some(download),
        Some(Change::DownloadRemoved { id: gone }) if gone == id => {
            return Err(Problem::new(format!("download {id} was removed from the node")).hint("run the same command again"));
        }
        Some(Change::Hello { .. }) => Some(node.download(id)?.download),
        None if heard.elapsed() > SILENCE_MAX => Some(node.download(id)?.download),
        _ => None,
    })
}

fn watch(node: Remote, changes: RemoteChanges, begun: Download) -> Task {
    let node = Arc::new(node);
    let (events, watched) = mpsc::channel();
    let over = Arc::new(AtomicBool::new(false));
    let quit = Quit { over: over.clone(), events: events.clone(), node: node.clone(), search: None };
    thread::spawn(move || {
        let mut teller = Teller { began: Instant::now(), started: false, waits: false, events: events.clone() };
        let outcome = follow_download(&node, begun, &changes, &over, &mut teller);
        if !over.swap(true, Ordering::Relaxed) {
            let _ = events.send(outcome.unwrap_or_else(failed));
        }
    });
    Task { events: watched, stop: Box::new(quit) }
}

fn follow_download(
    node: &Remote,
    begun: Download,
    changes: &RemoteChanges,
    over: &AtomicBool,
    teller: &mut Teller,
) -> Result<Event, Problem> {
    let id = begun.id;
    let mut latest = Some(begun);
    let mut heard = Instant::now();
    while !over.load(Ordering::Relaxed) {
        if let Some(download) = latest.take() {
            heard = Instant::now();
            if let Some(last) = teller.tell(download)? {
                return Ok(last);
            }
        }
        latest = next_of_download(node, changes, id, heard)?;
    }
    Ok(Event::Stopped)
}

/// Makes events of how a download stands.
struct Teller {
    began: Instant,
    started: bool,
    /// It was said that it waits.
    waits: bool,
    events: Sender<Event>,
}

impl Teller {
    /// Returns what the task ends with, when it has come to that.
    fn tell(&mut self, download: Download) -> Result<Option<Event>, Problem> {
        if download.wanted_bytes > 0 && !self.started {
            self.started = true;
            let (name, wanted_bytes) = (download.name.clone(), download.wanted_bytes);
            self.say(Event::Started { name, info_hash: String::new(), content_id: None, files: 0, wanted_bytes });
        }
        match download.state {
            DownloadState::Queued if download.completed_s.is_none() => {
                if !std::mem::replace(&mut self.waits, true) {
                    let message =
                        format!("it waits until fewer downloads are active; `hexad downloads queue {} now` begins it", download.id);
                    self.say(Event::Warning { message });
                }
            }
            DownloadState::Looking => {
                let peers = download.peers.unwrap_or(0);
                self.say(Event::Looking { peers, peers_known: peers });
            }
            DownloadState::Checking => {
                self.say(Event::Checking { checked_bytes: download.verified_bytes, total_bytes: download.wanted_bytes });
            }
            DownloadState::Fetching => self.say(Event::Progress {
                verified_bytes: download.verified_bytes,
                wanted_bytes: download.wanted_bytes,
                down_bytes_per_s: download.down_bytes_per_s,
                up_bytes_per_s: download.up_bytes_per_s,
                downloaded_bytes: download.downloaded_bytes,
                uploaded_bytes: download.uploaded_bytes,
                peers: download.peers,
                seeds: download.seeds,
                peers_known: None,
            }),
            DownloadState::Seeding | DownloadState::Complete | DownloadState::Queued => {
                return Ok(Some(Event::Complete {
                    path: download.path.clone().unwrap_or_else(|| format!("{}/{}", download.into, download.name)),
                    name: download.name,
                    bytes: download.wanted_bytes,
                    downloaded_bytes: download.downloaded_bytes,
                    seconds: self.began.elapsed().as_secs_f64(),
                    unproven: download.unproven,
                }));
            }
            DownloadState::Paused => {
                return Err(Problem::new(format!("download {} rests", download.id))
                    .hint(format!("`hexad downloads resume {}` goes on with it", download.id)));
            }
            DownloadState::Failed => {
                return Err(download.problem.unwrap_or_else(|| Problem::new("the download has failed").hint("run the same command again")));
            }
        }
        Ok(None)
    }

    fn say(&self, event: Event) {
        let _ = self.events.send(event);
    }
}

/// A source as a node finds it that has another current folder.
///
/// # Errors
/// When there is no current folder.
pub fn source(given: &str) -> Result<String, Problem> {
    if given.contains("://") || !Path::new(given).exists() {
        return Ok(given.to_owned());
    }
    Ok(absolute(Path::new(given))?.display().to_string())
}

/// Lets a node offer files, and prints the link of each as soon as it is offered. The node goes on offering them.
///
/// # Errors
/// When it does not, or they cannot be offered.
pub fn publish(
    node: &Remote,
    paths: &[PathBuf],
    version: Option<TorrentVersion>,
    mutable: Option<String>,
    json: bool,
) -> Result<(), Problem> {
    if mutable.is_some() {
        hexad_daemon::fits_one_link(paths.len())?;
    }
    let changes = node.changes()?;
    for path in paths {
        let mut share = node.share(&absolute(path)?, version)?;
        if mutable.is_some() {
            share = node.change_share(share.id, &ShareChange { mutable: mutable.clone(), into: None })?;
        }
        while share.state == ShareState::Hashing {
            share = next_of_share(node, &changes, &share)?;
        }
        if json {
            out::line(&json_line(&share)?)?;
        }
        match (share.state, share.problem) {
            (ShareState::Offered, _) if json => {}
            (ShareState::Offered, _) => {
                let networks =
                    if share.networks.is_empty() { "on no network yet".to_owned() } else { format!("on {}", share.networks.join(", ")) };
                eprintln!("{}: the node offers it {networks}", tame(&share.name));
                if let Some(link) = &share.link {
                    out::line(link)?;
                }
                if let Some(link) = &share.mutable_link {
                    eprintln!("this link leads to it, and later to what is published in its place:");
                    out::line(link)?;
                }
            }
            (_, Some(problem)) => return Err(problem),
            (_, None) => return Err(Problem::new(format!("{} cannot be offered", tame(&share.path))).hint("is it still there?")),
        }
    }
    Ok(())
}

/// Lets a node move a share to another folder, and shows how far it is. The node goes on with it whoever looks.
///
/// # Errors
/// When it does not begin, or the share stays where it was.
pub fn move_share(node: &Remote, id: u64, into: &Path, json: bool) -> Result<Share, Problem> {
    let changes = node.changes()?;
    let into = absolute(into)?.display().to_string();
    let mut share = node.change_share(id, &ShareChange { into: Some(into.clone()), mutable: None })?;
    let bar = bar();
    bar.set_length(share.bytes);
    while share.moving_to.is_some() {
        bar.set_position(share.moved_bytes);
        if json {
            out::line(&json_line(&share)?)?;
        }
        let before = share.clone();
        while share == before && share.moving_to.is_some() {
            share = next_of_share(node, &changes, &share)?;
        }
    }
    bar.finish_and_clear();
    match share.problem.take() {
        Some(problem) => Err(problem),
        None => Ok(share),
    }
}

/// What is said next of a share; or how it stands, where nothing was said for long or something may have been missed.
fn next_of_share(node: &Remote, changes: &RemoteChanges, share: &Share) -> Result<Share, Problem> {
    let gone =
        || Problem::new(format!("{} was taken out of the node's library", tame(&share.path))).hint("`hexad library` lists what is there");
    let began = Instant::now();
    loop {
        match changes.next(PATIENCE)? {
            Some(Change::Share { share: said }) if said.id == share.id => return Ok(said),
            Some(Change::ShareRemoved { id }) if id == share.id => return Err(gone()),
            Some(Change::Hello { .. }) => break,
            None if began.elapsed() > SILENCE_MAX => break,
            _ => {}
        }
    }
    let now = node.shared(share.id).map(|detail| detail.share);
    now.map_err(|problem| if problem.kind == ProblemKind::NotFound { gone() } else { problem })
}
