//! One fetch, from a source to verified files.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Instant;

use hexad_api::{Event, FetchRequest, Problem};
use hexad_bittorrent::SwarmStatus;
use hexad_content::{Layout, safe_names};
use hexad_core::{Description, LeaseId, OpId, Share, ShareId};
use hexad_driver::transfers::{Opened, StoreError, Target, Transfers, TransfersEvent};

use crate::books::Books;
use crate::publish::magnet_of;
use crate::session::{Happening, shown};

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
    verified_bytes: u64,
    wanted_bytes: u64,
    downloaded_bytes: u64,
    over: bool,
}

impl Fetch {
    /// Books for `request`; `name` is what the source is called until it is described.
    pub(crate) fn begin(books: &mut Books, request: FetchRequest, name: String, events: Sender<Event>) -> Self {
        Self {
            op: books.op(),
            lease: books.lease(),
            share: books.share(),
            publishing: None,
            request,
            events,
            began: Instant::now(),
            name,
            description: None,
            path: PathBuf::new(),
            verified_bytes: 0,
            wanted_bytes: 0,
            downloaded_bytes: 0,
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
            self.tell(Event::Failed { message: problem.message.clone(), hint: problem.hint.clone() });
        }
    }

    /// It is known what the source holds: prepare the target folder, away from the loop.
    pub(crate) fn on_described(&mut self, description: Description, transfers: &Arc<Transfers>, happenings: &Sender<Happening>) {
        let layout = description.layout.clone();
        let Some(proof) = description.proof.clone() else {
            return self.fail(&Problem::new("nothing proves the bytes of this source"));
        };
        let wanted = match self.request.select.mask(&paths(&layout)) {
            Ok(wanted) => wanted,
            Err(wrong) => {
                return self.fail(&Problem::new(wrong.to_string()).hint("hexad torrent show FILE lists the files with their indices"));
            }
        };
        let names = safe_names(&layout);
        for renamed in &names.renamed {
            self.tell(Event::Renamed { from: renamed.from.clone(), to: renamed.to.clone(), reason: renamed.reason.to_string() });
        }
        let selected = || layout.files().iter().zip(&wanted).filter(|(file, on)| **on && !file.padding);
        self.name = names.root.clone();
        self.path = self.request.into.join(&names.root);
        self.wanted_bytes = selected().map(|(file, _)| file.length).sum();
        self.tell(Event::Started {
            name: self.name.clone(),
            info_hash: info_hash(&description),
            files: selected().count(),
            wanted_bytes: self.wanted_bytes,
        });
        let identity = info_hash(&description);
        self.description = Some(description);
        let target = Target { share: self.share, layout, proof, names, wanted, folder: self.request.into.clone(), identity };
        let (transfers, happenings, op) = (transfers.clone(), happenings.clone(), self.op);
        thread::spawn(move || {
            let checking = happenings.clone();
            let opened = transfers.open_download(target, &|checked_bytes, total_bytes| {
                let _ = checking.send(Happening::Tell(op, Event::Checking { checked_bytes, total_bytes }));
            });
            let _ = happenings.send(Happening::Opened(op, opened));
        });
    }

    /// The target folder is prepared; returns what hosts are to see of it, or `None` when it cannot be used.
    pub(crate) fn on_opened(&mut self, opened: Result<Opened, StoreError>, _books: &mut Books) -> Option<Share> {
        let opened = match opened {
            Ok(opened) => opened,
            Err(wrong) => {
                let hint = wrong.hint().unwrap_or_else(|| "choose another folder with --into".to_string());
                self.fail(&Problem::new(wrong.to_string()).hint(hint));
                return None;
            }
        };
        let description = self.description.as_ref()?;
        Some(Share {
            layout: description.layout.clone(),
            digests: description.digests.clone(),
            proof: description.proof.clone(),
            held: opened.held,
            torrent: description.torrent.clone(),
        })
    }

    /// What the transfers say; returns whether the swarm can be left.
    pub(crate) fn on_transfers(&mut self, event: TransfersEvent, transfers: &Transfers) -> bool {
        match event {
            TransfersEvent::Verified { verified_bytes, .. } => {
                self.verified_bytes = verified_bytes;
                self.tell(Event::Verified { verified_bytes, wanted_bytes: self.wanted_bytes });
                false
            }
            TransfersEvent::Complete { .. } if !self.over => {
                self.over = true;
                self.verified_bytes = self.wanted_bytes;
                if let Err(wrong) = transfers.finish(self.share) {
                    self.over = false;
                    self.fail(&Problem::new(wrong.to_string()));
                    return true;
                }
                self.tell(Event::Complete {
                    name: self.name.clone(),
                    path: self.path.clone(),
                    bytes: self.wanted_bytes,
                    downloaded_bytes: self.downloaded_bytes,
                    seconds: self.began.elapsed().as_secs_f64(),
                });
                if self.request.seed
                    && let Some(description) = &self.description
                {
                    self.tell(Event::Seeding {
                        name: self.name.clone(),
                        info_hash: info_hash(description),
                        magnet: magnet_of(&description.torrent),
                        torrent: None,
                        bytes: self.wanted_bytes,
                    });
                }
                !self.request.seed
            }
            TransfersEvent::Complete { .. } => false,
            TransfersEvent::Failed { reason, .. } => {
                let problem = Problem::new(reason)
                    .hint(format!("what was verified stays in {}; run the same command again to go on", shown(&self.request.into)));
                self.fail(&problem);
                true
            }
        }
    }

    /// How the swarms are doing.
    pub(crate) fn on_swarms(&mut self, swarms: &[SwarmStatus], _transfers: &Transfers) {
        let Some(swarm) = swarms.iter().find(|swarm| swarm.lease == Some(self.lease) || swarm.share == Some(self.share)) else { return };
        self.downloaded_bytes = swarm.downloaded_bytes;
        self.tell(progress(swarm, self.verified_bytes, self.wanted_bytes));
    }
}

/// A swarm's status as an event.
pub(crate) fn progress(swarm: &SwarmStatus, verified_bytes: u64, wanted_bytes: u64) -> Event {
    Event::Progress {
        verified_bytes,
        wanted_bytes,
        down_bytes_per_s: swarm.down_bytes_per_s,
        up_bytes_per_s: swarm.up_bytes_per_s,
        downloaded_bytes: swarm.downloaded_bytes,
        uploaded_bytes: swarm.uploaded_bytes,
        peers: swarm.peers_connected,
        seeds: swarm.seeds_connected,
        peers_known: swarm.peers_known,
    }
}

/// The raw paths of a layout, as selections see them.
pub(crate) fn paths(layout: &Layout) -> Vec<String> {
    layout.files().iter().map(|file| file.path.join("/")).collect()
}

fn info_hash(description: &Description) -> String {
    description
        .digests
        .iter()
        .find_map(|digest| match digest {
            hexad_content::Digest::TorrentV1(hash) => Some(hash.to_string()),
            _ => None,
        })
        .unwrap_or_default()
}
