//! One fetch, from a source to verified files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Instant;

use hexad_api::{Event, FetchRequest, Problem};
use hexad_bittorrent::SwarmStatus;
use hexad_content::{Digest, Digests, Layout, safe_names};
use hexad_core::{Description, LeaseId, OpId, Share, ShareId};
use hexad_driver::transfers::{Opened, StoreError, Target, Transfers, TransfersEvent};

use crate::books::Books;
use crate::publish::magnet_of;
use crate::session::{Happening, shown};
use crate::source::{Found, unnumbered};

/// The books of one fetch.
pub(crate) struct Fetch {
    /// The network's fetch, and the task's name.
    pub(crate) op: OpId,
    /// What is delivered under it.
    pub(crate) lease: LeaseId,
    /// What it becomes.
    pub(crate) share: ShareId,
    /// Gives on what has arrived; goes on after the fetch when seeding.
    pub(crate) publishing: Option<OpId>,
    request: FetchRequest,
    events: Sender<Event>,
    began: Instant,
    name: String,
    description: Option<Description>,
    path: PathBuf,
    /// Its target folder is prepared.
    opened: bool,
    verified_bytes: u64,
    wanted_bytes: u64,
    over: bool,
}

/// What becomes of a fetch whose target folder is prepared.
pub(crate) enum Next {
    /// It cannot go on, or there is nothing left to do for the network.
    Leave,
    /// What has arrived is offered to others, and what is missing is lent to the network.
    Go(Box<Share>),
}

impl Fetch {
    /// Books for `request`; `found` is what its source turned out to be.
    pub(crate) fn begin(books: &mut Books, mut request: FetchRequest, found: &Found, events: Sender<Event>) -> Self {
        if request.select.patterns.is_empty() {
            request.select = found.select.clone();
        }
        Self {
            op: books.op(),
            lease: books.lease(),
            share: books.share(),
            publishing: None,
            request,
            events,
            began: Instant::now(),
            name: found.name.clone(),
            description: None,
            path: PathBuf::new(),
            opened: false,
            verified_bytes: 0,
            wanted_bytes: 0,
            over: false,
        }
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

    /// It is known what the source holds: prepare the target folder, away from the loop. Returns whether the fetch goes on.
    pub(crate) fn on_described(&mut self, description: Description, transfers: &Arc<Transfers>, happenings: &Sender<Happening>) -> bool {
        let layout = description.layout.clone();
        let Some(proof) = description.proof.clone() else {
            self.fail(&Problem::new(format!("nothing proves the bytes of '{}'", self.name)));
            return false;
        };
        let wanted = match self.request.select.mask(&paths(&layout)) {
            Ok(wanted) => wanted,
            Err(wrong) => {
                self.fail(&Problem::new(wrong.to_string()).hint(listing(&layout)));
                return false;
            }
        };
        let names = safe_names(&layout);
        let selected = || layout.files().iter().zip(&wanted).filter(|(_, on)| **on).map(|(file, _)| file);
        self.name.clone_from(&names.root);
        self.path = self.request.into.join(&names.root);
        self.wanted_bytes = selected().map(|file| file.length).sum();
        let identity = info_hash(&description.digests);
        self.tell(Event::Started {
            name: self.name.clone(),
            info_hash: identity.clone(),
            files: selected().count(),
            wanted_bytes: self.wanted_bytes,
        });
        for renamed in &names.renamed {
            self.tell(Event::Renamed { from: renamed.from.clone(), to: renamed.to.clone(), reason: renamed.reason.to_string() });
        }
        self.description = Some(description);
        let target = Target { share: self.share, layout, proof, names, wanted, folder: self.request.into.clone(), identity };
        let (transfers, happenings, op, share) = (transfers.clone(), happenings.clone(), self.op, self.share);
        thread::spawn(move || {
            let checking = happenings.clone();
            let opened = transfers.open_download(target, &|checked_bytes, total_bytes| {
                let _ = checking.send(Happening::Tell(op, Event::Checking { checked_bytes, total_bytes }));
            });
            let _ = happenings.send(Happening::Opened { op, share, opened });
        });
        true
    }

    /// The target folder is prepared, or cannot be.
    pub(crate) fn on_opened(&mut self, opened: Result<Opened, StoreError>, transfers: &Transfers) -> Next {
        let opened = match opened {
            Ok(opened) => opened,
            Err(wrong) => {
                let hint = wrong.hint().unwrap_or_else(|| "choose another folder with --into".to_owned());
                self.fail(&Problem::new(wrong.to_string()).hint(hint));
                return Next::Leave;
            }
        };
        self.opened = true;
        let verified_bytes = opened.wanted.iter().map(|range| opened.held.within(range).total()).sum();
        self.on_verified(verified_bytes);
        if opened.complete && self.complete(0, transfers) {
            return Next::Leave;
        }
        let Some(description) = &self.description else { return Next::Leave };
        Next::Go(Box::new(Share {
            layout: description.layout.clone(),
            digests: description.digests.clone(),
            proof: description.proof.clone(),
            held: opened.held,
            torrent: description.torrent.clone(),
        }))
    }

    /// What the transfers say, when so much has arrived; returns whether the swarm can be left.
    pub(crate) fn on_transfers(&mut self, event: TransfersEvent, arrived_bytes: u64, transfers: &Transfers) -> bool {
        match event {
            TransfersEvent::Verified { verified_bytes, .. } => {
                self.on_verified(verified_bytes);
                false
            }
            // What was complete from the start is said when it is opened.
            TransfersEvent::Complete { .. } => self.opened && self.complete(arrived_bytes, transfers),
            TransfersEvent::Failed { reason, hint, .. } => {
                let stays = format!("what was verified stays in {}; run the same command again to go on", shown(&self.request.into));
                self.fail(&Problem::new(reason).hint(hint.unwrap_or(stays)));
                true
            }
        }
    }

    fn on_verified(&mut self, verified_bytes: u64) {
        self.verified_bytes = verified_bytes;
        self.tell(Event::Verified { verified_bytes, wanted_bytes: self.wanted_bytes });
    }

    /// Every wanted byte is there; returns whether the swarm can be left.
    fn complete(&mut self, arrived_bytes: u64, transfers: &Transfers) -> bool {
        if self.over {
            return !self.request.seed;
        }
        self.verified_bytes = self.wanted_bytes;
        if let Err(wrong) = transfers.finish(self.share) {
            let hint = wrong.hint().unwrap_or_else(|| "run the same command again".to_owned());
            self.fail(&Problem::new(wrong.to_string()).hint(hint));
            return true;
        }
        self.over = true;
        self.tell(Event::Complete {
            name: self.name.clone(),
            path: shown(&self.path),
            bytes: self.wanted_bytes,
            downloaded_bytes: arrived_bytes,
            seconds: self.began.elapsed().as_secs_f64(),
        });
        if self.request.seed
            && let Some(description) = &self.description
        {
            self.tell(Event::Seeding {
                name: self.name.clone(),
                info_hash: info_hash(&description.digests),
                magnet: magnet_of(&description.torrent),
                torrent: None,
                bytes: self.wanted_bytes,
            });
        }
        !self.request.seed
    }

    /// How the swarms are doing.
    pub(crate) fn on_swarms(&self, swarms: &[SwarmStatus], arrived_bytes: u64) {
        let Some(swarm) = swarms.iter().find(|swarm| swarm.lease == Some(self.lease) || swarm.share == Some(self.share)) else { return };
        if self.over && !self.request.seed {
            return;
        }
        if self.description.is_none() {
            return self.tell(Event::Looking { peers: swarm.peers_connected, peers_known: swarm.peers_known });
        }
        self.tell(progress(swarm, self.verified_bytes, self.wanted_bytes, arrived_bytes));
    }
}

/// How to see what can be selected.
fn listing(layout: &Layout) -> String {
    let first = layout.files().iter().enumerate().filter(|(_, file)| !file.padding).take(3);
    let first: Vec<String> = first.map(|(index, file)| format!("{index} is '{}'", file.path.join("/"))).collect();
    format!("{}; hexad torrent show lists all files of a .torrent", first.join(", "))
}

/// A swarm's status as an event.
pub(crate) fn progress(swarm: &SwarmStatus, verified_bytes: u64, wanted_bytes: u64, downloaded_bytes: u64) -> Event {
    Event::Progress {
        verified_bytes,
        wanted_bytes,
        down_bytes_per_s: swarm.down_bytes_per_s,
        up_bytes_per_s: swarm.up_bytes_per_s,
        downloaded_bytes,
        uploaded_bytes: swarm.uploaded_bytes,
        peers: swarm.peers_connected,
        seeds: swarm.seeds_connected,
        peers_known: swarm.peers_known,
    }
}

/// The raw paths of a layout, as selections see them.
fn paths(layout: &Layout) -> Vec<Option<String>> {
    layout.files().iter().map(|file| (!file.padding).then(|| file.path.join("/"))).collect()
}

/// The v1 info hash in hex, which names a download in its target folder; empty when there is none.
fn info_hash(digests: &Digests) -> String {
    let hash = digests.iter().find_map(|digest| match digest {
        Digest::TorrentV1(hash) => Some(hash.to_string()),
        _ => None,
    });
    hash.unwrap_or_default()
}
