//! One fetch, from a source to verified files: one download that any number of networks feed.

pub(crate) mod folder;
mod parts;

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hexad_api::{Event, FetchRequest, How, Problem, Selection};
use hexad_content::{Proof, Ranges};
use hexad_core::{Description, OpId, Share, ShareId, Source};
use hexad_driver::transfers::{Transfers, TransfersEvent};

use crate::books::Books;
use crate::description::paths;
use crate::known::Known;
use crate::listener::Listener;
use crate::networks::{Order, TransferStanding};
use crate::pace::Pace;
use crate::part::Part;
use crate::publish::{Identity, link_of};
use crate::session::{Manner, Streaming, shown};
use crate::source::{Found, unnumbered};
use crate::stream::Running;

/// The longest pause before something is tried again.
const REST_MAX: Duration = Duration::from_secs(600);

/// The books of one fetch.
pub(crate) struct Fetch {
    /// The task's name.
    pub(crate) task: OpId,
    /// What it becomes.
    pub(crate) share: ShareId,
    pub(crate) parts: Vec<Part>,
    request: FetchRequest,
    /// Where it comes from, for networks that take part later.
    pub(crate) source: Source,
    manner: Manner,
    events: Listener,
    began: Instant,
    /// Another has its folder: since when, and when it is tried again.
    busy: Option<(Instant, Instant)>,
    name: String,
    description: Option<Description>,
    path: PathBuf,
    /// Its target folder is prepared, and more is wanted.
    pub(crate) opened: bool,
    verified_bytes: u64,
    wanted_bytes: u64,
    pace: Pace,
    over: bool,
    /// Since when all is there and given on.
    seeds_since: Option<Instant>,
    given_bytes: u64,
    done: bool,
    streaming: Option<Streaming>,
    /// Where a player reads, in the layout.
    pub(crate) reading: Option<Range<u64>>,
    /// The transfers were told of an order.
    pub(crate) is_ordered: bool,
    /// Through what it is read while it comes.
    pub(crate) running: Option<Running>,
    /// Who knows where its files may stand already.
    pub(crate) known: Known,
}

/// What becomes of a fetch whose target folder is prepared.
pub(crate) enum Next {
    /// It is tried again.
    Wait,
    /// It cannot go on, or there is nothing left to do for the networks.
    Leave,
    /// What has arrived is offered to others, and what is missing is lent to the networks.
    Go(Box<Share>),
}

/// What becomes of a part whose network has described what it fetches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Described {
    /// The target folder is being prepared.
    Preparing,
    /// It is what the download is of, and more of it is wanted.
    Lend,
    /// It is not, or the fetch is over.
    Leave,
}

impl Fetch {
    /// Books for `request`; `found` is what its source turned out to be.
    pub(crate) fn begin(
        books: &mut Books,
        mut request: FetchRequest,
        found: &Found,
        manner: Manner,
        streaming: Option<Streaming>,
        events: Listener,
    ) -> Self {
        if request.select.patterns.is_empty() {
            request.select = found.select.clone();
        }
        Self {
            task: books.op(),
            share: books.share(),
            parts: Vec::new(),
            request,
            source: found.source.clone(),
            manner,
            events,
            began: Instant::now(),
            busy: None,
            name: found.name.clone(),
            description: None,
            path: PathBuf::new(),
            opened: false,
            verified_bytes: 0,
            wanted_bytes: 0,
            pace: Pace::default(),
            over: false,
            seeds_since: None,
            given_bytes: 0,
            done: false,
            streaming,
            reading: None,
            is_ordered: false,
            running: None,
            known: Known::default(),
        }
    }

    /// It waits for networks that are not joined, and for peers, however long that takes.
    fn is_patient(&self) -> bool {
        self.manner != Manner::Once
    }

    /// It is to be done in another way; returns whether its bytes are to come in another order.
    pub(crate) fn change(&mut self, how: How, seed: bool) -> bool {
        let before = std::mem::replace(&mut self.request.how, how);
        let after = &self.request.how;
        self.request.seed = seed;
        (before.sequential, before.first, before.last) != (after.sequential, after.first.clone(), after.last.clone())
    }

    /// How it is to be done.
    pub(crate) fn how(&self) -> &How {
        &self.request.how
    }

    /// In which order it is to come, where that is not left to the network.
    pub(crate) fn order(&self) -> Option<Order> {
        let how = &self.request.how;
        if !how.sequential && how.first.is_empty() && how.last.is_empty() {
            return None;
        }
        let layout = &self.description.as_ref()?.layout;
        let ranges = |patterns: &[String]| {
            if patterns.is_empty() {
                return Ranges::new();
            }
            // What names nothing was said when the files became known.
            let mask = Selection { patterns: patterns.to_vec() }.mask(&paths(layout)).unwrap_or_default();
            mask.iter().enumerate().filter(|(_, on)| **on).map(|(index, _)| layout.file_range(index)).collect()
        };
        Some(Order { sequential: how.sequential, first: ranges(&how.first), last: ranges(&how.last) })
    }

    /// What comes before what, whichever network brings it: where somebody reads, then as the user wants it. Empty where nothing does, or where one swarm
    /// brings everything, which has the same order of its own and more to think of.
    pub(crate) fn preferred(&self) -> Vec<Ranges> {
        if !self.parts.iter().any(|part| part.is_on() && part.lent == Some(part.lease) && !part.is_swarm) {
            return Vec::new();
        }
        let reading = self.reading.iter().flat_map(|window| [window.clone(), window.start..u64::MAX]).map(Ranges::of);
        let mut order: Vec<Ranges> = reading.collect();
        if let Some(Order { first, last, .. }) = self.order() {
            let mut others = Ranges::of(0..u64::MAX);
            others.remove_all(&last);
            order.extend([first, others]);
        }
        order
    }

    /// Whether the user's goal of giving is reached.
    pub(crate) fn has_given_enough(&self, now: Instant) -> bool {
        let Some(since) = self.seeds_since.filter(|_| !self.done) else { return false };
        self.request.how.is_enough(self.given_bytes, self.wanted_bytes, now.duration_since(since).as_secs())
    }

    /// It ends in order.
    pub(crate) fn done_seeding(&mut self) {
        self.done = true;
        self.tell(Event::Done);
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event);
    }

    /// Over without success, once.
    pub(crate) fn fail(&mut self, problem: &Problem) {
        if !std::mem::replace(&mut self.over, true) {
            self.tell(Event::Failed { message: unnumbered(&problem.message), hint: problem.hint.clone() });
        }
    }

    /// Whether what arrives may be given on there.
    pub(crate) fn may_publish(&self, is_swarm: bool) -> bool {
        // A torrent's swarm is made of its .torrent; a private one (BEP 27) never leaves it.
        let proven = |known: &Description| known.proof.as_ref().is_some_and(Proof::is_proof);
        self.description
            .as_ref()
            .filter(|known| proven(known))
            .is_some_and(|known| if is_swarm { !known.torrent.is_empty() } else { !known.private })
    }

    /// What the transfers say, when so much has arrived; returns whether the networks can be left.
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

    fn has_news(&self) {
        if let Some(streaming) = &self.streaming {
            streaming.stage.happened();
        }
    }

    fn on_verified(&mut self, verified_bytes: u64) {
        self.verified_bytes = verified_bytes;
        self.has_news();
        self.tell(Event::Verified { verified_bytes, wanted_bytes: self.wanted_bytes });
    }

    /// Every wanted byte is there; returns whether the networks can be left.
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
        self.has_news();
        self.seeds_since = self.request.seed.then(Instant::now);
        self.tell(Event::Complete {
            name: self.name.clone(),
            path: shown(&self.path),
            bytes: self.wanted_bytes,
            downloaded_bytes: arrived_bytes,
            seconds: self.began.elapsed().as_secs_f64(),
            unproven: self.description.as_ref().and_then(|known| known.proof.as_ref()).is_some_and(|proof| !proof.is_proof()),
        });
        if self.request.seed
            && let Some(description) = &self.description
        {
            let Identity { info_hash, content_id } = Identity::of(&description.digests, description.proof.as_ref());
            let magnet = link_of(&description.torrent, &description.layout, &description.digests);
            for part in self.parts.iter().filter(|part| part.is_on() && self.may_publish(part.is_swarm)) {
                self.tell(Event::Seeding {
                    network: part.network_name.into(),
                    name: self.name.clone(),
                    info_hash: info_hash.clone(),
                    content_id: content_id.clone(),
                    magnet: magnet.clone(),
                    torrent: None,
                    bytes: self.wanted_bytes,
                });
            }
        }
        !self.request.seed
    }

    /// How the shares of a network are doing.
    pub(crate) fn on_standing(&mut self, network: usize, standings: &[TransferStanding], arrived_bytes: u64) {
        let Some(part) = self.parts.iter_mut().find(|part| part.network == network) else { return };
        let lease = part.lease;
        let Some(standing) = standings.iter().find(|standing| standing.lease == Some(lease) || standing.share == Some(self.share)) else {
            return;
        };
        part.peers = Some(standing.peers);
        if self.over && !self.request.seed || self.done {
            return;
        }
        self.given_bytes = standing.uploaded_bytes;
        if self.description.is_none() {
            return self.tell(Event::Looking { peers: standing.peers, peers_known: standing.peers_known });
        }
        if self.parts.len() > 1 {
            let mut standing = standing.clone();
            standing.down_bytes_per_s = self.pace.look(Instant::now(), arrived_bytes);
            return self.tell(progress(&standing, self.verified_bytes, self.wanted_bytes, arrived_bytes));
        }
        self.tell(progress(standing, self.verified_bytes, self.wanted_bytes, arrived_bytes));
    }

    /// The share as networks are to see it, once its folder is prepared.
    pub(crate) fn content(&self, held: Ranges) -> Option<Share> {
        let Description { layout, digests, proof, torrent, .. } = self.description.clone().filter(|_| self.opened)?;
        Some(Share { layout, digests, proof, held, torrent })
    }

    /// Says how it goes where no network does.
    pub(crate) fn on_tick(&mut self, arrived_bytes: u64) {
        if self.over || self.description.is_none() {
            return;
        }
        let down_bytes_per_s = self.pace.look(Instant::now(), arrived_bytes);
        self.tell(Event::Progress {
            verified_bytes: self.verified_bytes,
            wanted_bytes: self.wanted_bytes,
            down_bytes_per_s,
            up_bytes_per_s: 0,
            downloaded_bytes: arrived_bytes,
            uploaded_bytes: 0,
            peers: None,
            seeds: None,
            peers_known: None,
        });
    }
}

/// How a share stands as an event.
pub(crate) fn progress(standing: &TransferStanding, verified_bytes: u64, wanted_bytes: u64, downloaded_bytes: u64) -> Event {
    Event::Progress {
        verified_bytes,
        wanted_bytes,
        down_bytes_per_s: standing.down_bytes_per_s,
        up_bytes_per_s: standing.up_bytes_per_s,
        downloaded_bytes,
        uploaded_bytes: standing.uploaded_bytes,
        peers: Some(standing.peers),
        seeds: Some(standing.seeds),
        peers_known: Some(standing.peers_known),
    }
}
