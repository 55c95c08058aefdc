//! One publish: files hashed or checked, then seeded.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

use hexad_api::{CreateRequest, Event, Problem, PublishRequest};
use hexad_bittorrent::SwarmStatus;
use hexad_bittorrent::wire::metainfo::Metainfo;
use hexad_content::Ranges;
use hexad_core::{Endpoint, OpId, Share, ShareId};

use crate::books::Books;
use crate::desk;
use crate::fetch::progress;
use crate::session::Happening;
use crate::source;

/// Files that are ready to be seeded.
pub(crate) struct Prepared {
    /// What hosts see of them.
    pub(crate) share: Share,
    /// Where each file of the layout stands; `None` for padding.
    pub(crate) paths: Vec<Option<PathBuf>>,
    /// What describes them.
    pub(crate) metainfo: Metainfo,
    /// The .torrent that was written.
    pub(crate) written: Option<PathBuf>,
}

struct Seeding {
    op: OpId,
    share: ShareId,
    metainfo: Metainfo,
    written: Option<PathBuf>,
}

/// The books of one publish.
pub(crate) struct Publish {
    /// The task's name.
    pub(crate) task: OpId,
    request: PublishRequest,
    events: Sender<Event>,
    seeding: Vec<Seeding>,
    over: bool,
}

impl Publish {
    /// Books for `request`; its files are hashed or checked away from the loop, which then hears `Happening::Prepared`.
    pub(crate) fn begin(books: &mut Books, request: PublishRequest, events: Sender<Event>, happenings: Sender<Happening>) -> Self {
        let task = books.op();
        let asked = request.clone();
        thread::spawn(move || {
            let progress = |checked_bytes, total_bytes| {
                let _ = happenings.send(Happening::Tell(task, Event::Checking { checked_bytes, total_bytes }));
            };
            let prepared = prepare(&asked, &progress);
            let _ = happenings.send(Happening::Prepared(task, prepared));
        });
        Self { task, request, events, seeding: Vec::new(), over: false }
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn tell(&self, event: Event) {
        let _ = self.events.send(event);
    }

    /// Over without success, once.
    pub(crate) fn fail(&mut self, problem: &Problem) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(Event::Failed { message: problem.message.clone(), hint: problem.hint.clone() });
        }
    }

    /// `op` seeds `share` from now on.
    pub(crate) fn add(&mut self, op: OpId, share: ShareId, prepared: Prepared) {
        self.seeding.push(Seeding { op, share, metainfo: prepared.metainfo, written: prepared.written });
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
        self.request.peers.iter().filter_map(|peer| source::endpoint(peer).ok()).collect()
    }

    /// A publish is in effect.
    pub(crate) fn on_done(&mut self, op: OpId) {
        if let Some(seeding) = self.seeding.iter().find(|seeding| seeding.op == op) {
            let layout = &seeding.metainfo.info.layout;
            self.tell(Event::Seeding {
                name: layout.name().to_owned(),
                info_hash: hexad_content::Sha1Digest(seeding.metainfo.info.info_hash).to_string(),
                magnet: seeding.metainfo.magnet().to_string(),
                torrent: seeding.written.clone(),
                bytes: layout.total_bytes(),
            });
        }
    }

    /// How the swarms are doing.
    pub(crate) fn on_swarms(&mut self, swarms: &[SwarmStatus]) {
        for seeding in &self.seeding {
            if let Some(swarm) = swarms.iter().find(|swarm| swarm.share == Some(seeding.share)) {
                let bytes = seeding.metainfo.info.layout.total_bytes();
                self.tell(progress(swarm, bytes, bytes));
            }
        }
    }
}

/// The link that leads to a .torrent; empty when it cannot be read.
pub(crate) fn magnet_of(torrent: &bytes::Bytes) -> String {
    Metainfo::parse(torrent).map(|metainfo| metainfo.magnet().to_string()).unwrap_or_default()
}

fn prepare(request: &PublishRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Vec<Prepared>, Problem> {
    for peer in &request.peers {
        source::endpoint(peer)?;
    }
    if let (Some(torrent), Some(data)) = (&request.torrent, &request.data) {
        return Ok(vec![prepare_torrent(torrent, data, progress)?]);
    }
    if request.out.is_some() && request.paths.len() > 1 {
        return Err(Problem::new(format!("one --out names one .torrent, but {} paths are to be published", request.paths.len()))
            .hint("publish them one by one, or leave --out away"));
    }
    request.paths.iter().map(|path| prepare_path(path, request, progress)).collect()
}

fn prepare_torrent(torrent: &Path, data: &Path, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Prepared, Problem> {
    let metainfo = desk::read(torrent)?;
    let checked = desk::check(&metainfo, data, progress)?;
    if !checked.report.is_complete() {
        let report = checked.report;
        return Err(Problem::new(format!(
            "{}: {} of {} bytes match in {}",
            report.name,
            report.good_bytes,
            report.total_bytes,
            data.display()
        ))
        .hint(format!("hexad fetch {} --into {} brings the rest", torrent.display(), data.display())));
    }
    Ok(prepared(metainfo, checked.paths, None))
}

fn prepare_path(path: &Path, request: &PublishRequest, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<Prepared, Problem> {
    let asked = CreateRequest { path: path.to_owned(), tiers: request.tiers.clone(), ..CreateRequest::default() };
    let made = desk::make(&asked, progress)?;
    if let Some(out) = &request.out {
        fs::write(out, made.metainfo.encode()).map_err(|wrong| Problem::new(format!("{}: {wrong}", out.display())))?;
    }
    Ok(prepared(made.metainfo, made.paths, request.out.clone()))
}

fn prepared(metainfo: Metainfo, paths: Vec<Option<PathBuf>>, written: Option<PathBuf>) -> Prepared {
    let layout = metainfo.info.layout.clone();
    let share = Share {
        held: Ranges::of(0..layout.total_bytes()),
        layout: Arc::clone(&layout),
        digests: metainfo.digests(),
        proof: Some(metainfo.info.proof()),
        torrent: metainfo.encode().into(),
    };
    Prepared { share, paths, metainfo, written }
}
