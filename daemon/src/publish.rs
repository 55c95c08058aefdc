//! One publish: files hashed or checked, then seeded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::thread;

use hexad_api::{CreateRequest, Event, Problem, PublishRequest};
use hexad_bittorrent::SwarmStatus;
use hexad_bittorrent::wire::metainfo::Metainfo;
use hexad_content::{Ranges, Sha1Digest};
use hexad_core::{Endpoint, OpId, Share, ShareId};

use crate::books::Books;
use crate::desk;
use crate::fetch::progress;
use crate::session::{Happening, shown};
use crate::source::{self, plain, unnumbered};

/// Files that are ready to be seeded.
pub(crate) struct Prepared {
    /// What hosts see of them.
    pub(crate) share: Share,
    /// Where each file of the layout stands; `None` for padding.
    pub(crate) paths: Vec<Option<PathBuf>>,
    /// What describes them.
    pub(crate) metainfo: Metainfo,
    /// The .torrent on disk that does so.
    pub(crate) torrent: Option<PathBuf>,
}

struct Seeding {
    op: OpId,
    share: ShareId,
    metainfo: Metainfo,
    torrent: Option<PathBuf>,
}

/// The books of one publish.
pub(crate) struct Publish {
    /// The task's name.
    pub(crate) task: OpId,
    peers: Vec<Endpoint>,
    events: Sender<Event>,
    seeding: Vec<Seeding>,
    over: bool,
}

impl Publish {
    /// Books for `request`; its files are hashed or checked away from the loop, which then hears `Happening::Prepared`.
    pub(crate) fn begin(books: &mut Books, request: PublishRequest, events: Sender<Event>, happenings: Sender<Happening>) -> Self {
        let task = books.op();
        let peers = request.peers.iter().filter_map(|peer| source::endpoint(peer).ok()).collect();
        thread::spawn(move || {
            let tell = |event| {
                let _ = happenings.send(Happening::Tell(task, event));
            };
            let prepared = prepare(&request, &tell);
            let _ = happenings.send(Happening::Prepared(task, prepared));
        });
        Self { task, peers, events, seeding: Vec::new(), over: false }
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Over without success, once.
    pub(crate) fn fail(&mut self, problem: &Problem) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(Event::Failed { message: unnumbered(&problem.message), hint: problem.hint.clone() });
        }
    }

    /// `op` seeds `share` from now on.
    pub(crate) fn add(&mut self, op: OpId, share: ShareId, prepared: Prepared) {
        self.seeding.push(Seeding { op, share, metainfo: prepared.metainfo, torrent: prepared.torrent });
    }

    /// Whether `op` is one of this task's.
    pub(crate) fn owns(&self, op: OpId) -> bool {
        self.seeding.iter().any(|seeding| seeding.op == op)
    }

    /// The operations of this task.
    pub(crate) fn ops(&self) -> Vec<OpId> {
        self.seeding.iter().map(|seeding| seeding.op).collect()
    }

    /// The shares of this task.
    pub(crate) fn shares(&self) -> Vec<ShareId> {
        self.seeding.iter().map(|seeding| seeding.share).collect()
    }

    /// The peers to connect to at once.
    pub(crate) fn peers(&self) -> Vec<Endpoint> {
        self.peers.clone()
    }

    /// A publish is in effect.
    pub(crate) fn on_done(&self, op: OpId) {
        if let Some(seeding) = self.seeding.iter().find(|seeding| seeding.op == op) {
            let layout = &seeding.metainfo.info.layout;
            self.tell(Event::Seeding {
                name: layout.name().to_owned(),
                info_hash: Sha1Digest(seeding.metainfo.info.info_hash).to_string(),
                magnet: seeding.metainfo.magnet().to_string(),
                torrent: seeding.torrent.as_deref().map(shown),
                bytes: layout.total_bytes(),
            });
        }
    }

    /// How the swarms are doing.
    pub(crate) fn on_swarms(&self, swarms: &[SwarmStatus]) {
        for seeding in &self.seeding {
            if let Some(swarm) = swarms.iter().find(|swarm| swarm.share == Some(seeding.share)) {
                let bytes = seeding.metainfo.info.layout.total_bytes();
                self.tell(progress(swarm, bytes, bytes, swarm.downloaded_bytes));
            }
        }
    }
}

/// The link that leads to a .torrent; empty when it cannot be read.
pub(crate) fn magnet_of(torrent: &bytes::Bytes) -> String {
    Metainfo::parse(torrent).map(|metainfo| metainfo.magnet().to_string()).unwrap_or_default()
}

/// What is wrong with a request, as far as it shows without looking at files.
pub(crate) fn validate(request: &PublishRequest) -> Result<(), Problem> {
    for peer in &request.peers {
        source::endpoint(peer)?;
    }
    if request.out.is_some() && request.paths.len() > 1 {
        return Err(Problem::new(format!("one --out names one .torrent, but {} paths are to be published", request.paths.len()))
            .hint("publish them one by one, or leave --out away"));
    }
    if request.paths.is_empty() && (request.torrent.is_none() || request.data.is_none()) {
        return Err(Problem::new("expected files to publish, came none").hint("name a path, or --torrent FILE --data DIR"));
    }
    Ok(())
}

fn prepare(request: &PublishRequest, tell: &(dyn Fn(Event) + Sync)) -> Result<Vec<Prepared>, Problem> {
    let progress = |checked_bytes, total_bytes| tell(Event::Checking { checked_bytes, total_bytes });
    if let (Some(torrent), Some(data)) = (&request.torrent, &request.data) {
        return Ok(vec![prepare_torrent(torrent, data, &progress)?]);
    }
    request.paths.iter().map(|path| prepare_path(path, request, tell, &progress)).collect()
}

fn prepare_torrent(torrent: &Path, data: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Prepared, Problem> {
    let metainfo = desk::read(torrent)?;
    let checked = desk::check(&metainfo, data, progress)?;
    let report = &checked.report;
    if !report.found {
        return Err(Problem::new(format!("there is no '{}' in {}", report.name, data.display()))
            .hint(format!("--data is the folder in which '{}' stands", report.name)));
    }
    if !report.is_complete() {
        let message = if report.good_bytes == report.total_bytes {
            let files = report.incomplete.len();
            format!("{files} of the files of '{}' in {} are not of the right length", report.name, data.display())
        } else {
            format!("only {} of {} bytes of '{}' in {} match", report.good_bytes, report.total_bytes, report.name, data.display())
        };
        return Err(Problem::new(message).hint(format!(
            "hexad torrent check {} --data {} lists the files that differ",
            torrent.display(),
            data.display()
        )));
    }
    Ok(prepared(metainfo, checked.paths, Some(torrent.to_owned())))
}

fn prepare_path(
    path: &Path,
    request: &PublishRequest,
    tell: &(dyn Fn(Event) + Sync),
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<Prepared, Problem> {
    let asked = CreateRequest { path: path.to_owned(), tiers: request.tiers.clone(), ..CreateRequest::default() };
    let made = desk::make(&asked, progress)?;
    for left_out in &made.left_out {
        tell(Event::Warning { message: format!("left out {left_out}") });
    }
    let out = match &request.out {
        Some(out) => out.clone(),
        None => usual_place(path, made.metainfo.info.layout.name())?,
    };
    let same = |there: Metainfo| there.info.info_hash == made.metainfo.info.info_hash && there.tiers == made.metainfo.tiers;
    let says_so_already = fs::symlink_metadata(&out).is_ok() && desk::read(&out).is_ok_and(same);
    if !says_so_already {
        desk::write(&out, &made.metainfo.encode(), request.force)?;
    }
    Ok(prepared(made.metainfo, made.paths, Some(out)))
}

/// `NAME.torrent` in the current folder; beside what is published when the current folder is inside of it, or the .torrent would be a part of
/// what it describes.
fn usual_place(published: &Path, name: &str) -> Result<PathBuf, Problem> {
    let file = format!("{name}.torrent");
    let trouble = |wrong: std::io::Error| Problem::new(format!("{}: {}", published.display(), plain(&wrong)));
    let real = fs::canonicalize(published).map_err(trouble)?;
    let here = fs::canonicalize(".").map_err(trouble)?;
    match real.parent() {
        Some(beside) if here.starts_with(&real) => Ok(beside.join(file)),
        _ => Ok(PathBuf::from(file)),
    }
}

fn prepared(metainfo: Metainfo, paths: Vec<Option<PathBuf>>, torrent: Option<PathBuf>) -> Prepared {
    Prepared { share: share_of(&metainfo), paths, metainfo, torrent }
}

/// All of what a .torrent describes, as nodes see it.
pub(crate) fn share_of(metainfo: &Metainfo) -> Share {
    let layout = metainfo.info.layout.clone();
    Share {
        held: Ranges::of(0..layout.total_bytes()),
        layout,
        digests: metainfo.digests(),
        proof: Some(metainfo.proof()),
        torrent: metainfo.encode().into(),
    }
}
