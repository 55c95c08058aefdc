//! One fetch, from a source to verified files: one download that any number of networks feed.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use hexad_api::{Event, FetchRequest, How, Problem, Selection};
use hexad_content::{Proof, Ranges, safe_names};
use hexad_core::{Description, LeaseId, OpId, Share, ShareId, Source};
use hexad_driver::transfers::{Opened, StoreError, Target, Transfers, TransfersEvent};

use crate::books::Books;
use crate::description::{identity_in_folder, is_same, listing, paths};
use crate::listener::{Listener, PartLook, Word};
use crate::networks::{Order, TransferStanding};
use crate::pace::Pace;
use crate::part::Part;
use crate::publish::{Identity, link_of};
use crate::session::{Happening, Manner, Streaming, shown};
use crate::source::{Found, unnumbered};
use crate::stream::{self, Running};

/// How long a part that has failed rests in a fetch that does not give up, at first and at most.
const REST: Duration = Duration::from_secs(15);
const REST_MAX: Duration = Duration::from_secs(600);
/// How long a network may think that all is done before it is asked again.
const IDLE: Duration = Duration::from_secs(3);

/// How often a folder that another has is tried again, and after how long the user is told.
const BUSY: Duration = Duration::from_secs(1);
const BUSY_QUIET: Duration = Duration::from_secs(15);

/// Below the target folder: what nothing proves.
pub(crate) const UNPROVEN: &str = "unproven";

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
    /// Through what it is read while it comes.
    pub(crate) running: Option<Running>,
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
            running: None,
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

    /// Lets a network take part.
    pub(crate) fn add(&mut self, books: &mut Books, network: usize, network_name: &'static str, is_swarm: bool) -> &mut Part {
        self.parts.push(Part::new(network, network_name, is_swarm, books.lease()));
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    /// Whether `op` is one of this task's.
    pub(crate) fn owns(&self, op: OpId) -> bool {
        self.parts.iter().any(|part| part.ops().any(|own| own == op))
    }

    /// The part that `op` belongs to.
    pub(crate) fn part_of(&mut self, op: OpId) -> Option<&mut Part> {
        self.parts.iter_mut().find(|part| part.ops().any(|own| own == op))
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

    /// Whether a network that is joined later is to take part.
    pub(crate) fn takes_any_network(&self) -> bool {
        self.is_patient() && !self.over && self.request.on.is_empty()
    }

    /// That network is not joined, or no longer.
    pub(crate) fn network_down(&mut self, network: usize, problem: &Problem) {
        self.parts.iter_mut().filter(|part| part.network == network).for_each(|part| {
            part.down = true;
            part.retry = None;
            (part.lookup, part.fetch, part.publishing) = (None, None, None);
            part.untried.clear();
        });
        self.part_failed(network, problem);
    }

    /// The parts that are to be begun again: of networks that are joined once more, and those that have rested.
    pub(crate) fn due(&mut self, now: Instant, is_joined: impl Fn(usize) -> bool, is_complete: bool) -> Vec<usize> {
        if self.over || is_complete {
            return Vec::new();
        }
        let opened = self.opened;
        let due = |part: &&mut Part| {
            let failed = part.problem.is_some() && (part.down || part.retry.is_some_and(|(at, _)| at <= now));
            let idle = opened && part.is_on() && part.idle_since.is_some_and(|since| now >= since + IDLE);
            is_joined(part.network) && (failed || idle)
        };
        let patient = self.is_patient();
        let parts = self.parts.iter_mut().filter(due).filter(|part| patient || part.problem.is_none());
        parts
            .map(|part| {
                (part.problem, part.down, part.idle_since, part.described) = (None, false, None, false);
                part.untried.clear();
                part.network
            })
            .collect()
    }

    /// What the source says is nothing for that network: time changes nothing about it.
    pub(crate) fn never_again(&mut self, network: usize) {
        self.parts.iter_mut().filter(|part| part.network == network).for_each(|part| part.retry = None);
    }

    /// Nothing can come from that network, as it turned out at once.
    pub(crate) fn part_useless(&mut self, network: usize, problem: &Problem) {
        for part in self.parts.iter_mut().filter(|part| part.network == network) {
            part.problem = Some(problem.clone());
            part.retry = None;
            let name = part.network_name;
            let message = format!("nothing comes from {name}: {}", unnumbered(&problem.message));
            self.events.send(Event::Warning { message });
        }
    }

    /// Fails where no network is of any use.
    pub(crate) fn fail_where_hopeless(&mut self) {
        if let Some((network, problem)) = self.parts.iter().rev().find_map(|part| Some((part.network, part.problem.clone()?))) {
            if !self.parts.iter().any(Part::is_on) {
                self.part_failed(network, &problem);
            }
        } else if self.parts.is_empty() && !self.is_patient() {
            self.fail(&Problem::new("no network is joined").hint("join one first"));
        }
    }

    /// Nothing comes from that network any more; where nothing comes from any other either, the fetch has failed.
    pub(crate) fn part_failed(&mut self, network: usize, problem: &Problem) {
        for part in self.parts.iter_mut().filter(|part| part.network == network) {
            if part.problem.is_none() {
                part.problem = Some(problem.clone());
                let pause = part.retry.map_or(REST, |(_, pause)| (pause * 2).min(REST_MAX));
                part.retry = Some((Instant::now() + pause, pause));
            }
        }
        if self.parts.iter().any(Part::is_on) {
            if self.parts.iter().any(|part| part.network == network) && !self.over {
                let name = self.parts.iter().find(|part| part.network == network).map_or("", |part| part.network_name);
                self.tell(Event::Warning { message: format!("nothing comes from {name}: {}", unnumbered(&problem.message)) });
            }
            return;
        }
        // What is known of it is kept, and whoever comes back is asked again.
        if self.is_patient() && (self.description.is_some() || self.parts.iter().any(|part| part.down)) {
            return;
        }
        let problem = match &self.parts[..] {
            [_, _, ..] => {
                let say = |part: &Part| format!("{}: {}", part.network_name, part.problem.as_ref().map_or("", |problem| &problem.message));
                let said: Vec<String> = self.parts.iter().map(say).collect();
                Problem { message: said.join("; "), ..problem.clone() }
            }
            _ => problem.clone(),
        };
        self.fail(&problem);
    }

    /// A network says what the source holds.
    pub(crate) fn on_described(
        &mut self,
        op: OpId,
        description: Description,
        transfers: &Arc<Transfers>,
        happenings: &Sender<Happening>,
    ) -> Described {
        let share = self.share;
        let name = self.name.clone();
        let opened = self.opened;
        let Some(part) = self.parts.iter_mut().find(|part| part.fetch == Some(op)) else { return Described::Leave };
        let network = part.network;
        if let Some(known) = &mut self.description {
            if is_same(known, &description) {
                // Each network knows names of its own.
                description.digests.iter().for_each(|digest| known.digests.insert(*digest));
                known.private |= description.private;
                if known.torrent.is_empty() {
                    known.torrent = description.torrent;
                }
                part.described = true;
                return if opened { Described::Lend } else { Described::Preparing };
            }
            self.part_failed(network, &Problem::new(format!("it has something else under that name than '{name}'")));
            return Described::Leave;
        }
        let layout = description.layout.clone();
        let only = self.parts.iter().filter(|part| part.is_on()).count() == 1;
        let proof = match description.proof.clone() {
            // Nobody else can prove it, so it is taken as it comes and kept apart.
            None if only && layout.is_single() => Some(Proof::Unproven { total_bytes: layout.total_bytes() }),
            proof => proof,
        };
        let Some(part) = self.parts.iter_mut().find(|part| part.fetch == Some(op)) else { return Described::Leave };
        let Some(proof) = proof else {
            let problem = Problem::new(format!("nothing proves the bytes of '{name}'"));
            self.part_failed(network, &problem.hint("take a result that is proven, or the same file from another network"));
            return Described::Leave;
        };
        part.described = true;
        let wanted = match self.request.select.mask(&paths(&layout)) {
            Ok(wanted) => wanted,
            Err(wrong) => {
                self.fail(&Problem::new(wrong.to_string()).hint(listing(&layout)));
                return Described::Leave;
            }
        };
        let ordered = [&self.request.how.first, &self.request.how.last].map(|patterns| Selection { patterns: patterns.clone() });
        if let Some(wrong) = ordered.iter().find_map(|selection| selection.mask(&paths(&layout)).err()) {
            self.fail(&Problem::new(wrong.to_string()).hint(listing(&layout)));
            return Described::Leave;
        }
        if let Some(streaming) = &self.streaming {
            let files = streaming.stage.opened(share, layout.clone(), wanted.clone());
            for (index, path) in files {
                self.tell(stream::listening(stream::address_of(streaming.at, index, &path)));
            }
        }
        let names = safe_names(&layout);
        let selected = || layout.files().iter().zip(&wanted).filter(|(_, on)| **on).map(|(file, _)| file);
        self.name.clone_from(&names.root);
        if !proof.is_proof() {
            self.request.into = self.request.into.join(UNPROVEN);
            let message =
                format!("'{}' is unproven: nothing but its sender says what it is; it goes to {}", names.root, shown(&self.request.into));
            self.tell(Event::Warning { message });
        }
        self.path = self.request.into.join(&names.root);
        self.wanted_bytes = selected().map(|file| file.length).sum();
        let Identity { info_hash, content_id } = Identity::of(&description.digests, Some(&proof));
        self.tell(Event::Started {
            name: self.name.clone(),
            info_hash,
            content_id,
            files: selected().count(),
            wanted_bytes: self.wanted_bytes,
        });
        for renamed in &names.renamed {
            self.tell(Event::Renamed { from: renamed.from.clone(), to: renamed.to.clone(), reason: renamed.reason.to_string() });
        }
        let description = Description { proof: Some(proof), ..description };
        self.events.say(Word::Described(share, Box::new(description.clone())));
        self.description = Some(description);
        if self.manner == Manner::Describe {
            self.over = true;
            return Described::Leave;
        }
        self.open(transfers, happenings);
        Described::Preparing
    }

    /// Has its target folder prepared.
    fn open(&self, transfers: &Arc<Transfers>, happenings: &Sender<Happening>) {
        let Some(Description { layout, digests, proof: Some(proof), .. }) = self.description.clone() else { return };
        // What names nothing was said when the files became known.
        let wanted = self.request.select.mask(&paths(&layout)).unwrap_or_default();
        let (share, folder, names) = (self.share, self.request.into.clone(), safe_names(&layout));
        let identity = identity_in_folder(&digests, &proof);
        let target = Target { share, layout, proof, names, wanted, folder, identity };
        let (transfers, happenings, op) = (transfers.clone(), happenings.clone(), self.task);
        thread::spawn(move || {
            let checking = happenings.clone();
            let opened = transfers.open_download(target, &|checked_bytes, total_bytes| {
                let _ = checking.send(Happening::Tell(op, Event::Checking { checked_bytes, total_bytes }));
            });
            let _ = happenings.send(Happening::Opened { op, share, opened });
        });
    }

    /// Has its target folder prepared once more, where another had it and it is time.
    pub(crate) fn reopen(&mut self, now: Instant, transfers: &Arc<Transfers>, happenings: &Sender<Happening>) {
        if let Some((since, _)) = self.busy.filter(|(_, at)| *at <= now) {
            // No further try before it is known what has come of this one.
            self.busy = Some((since, now + REST_MAX));
            self.open(transfers, happenings);
        }
    }

    /// The target folder is prepared, or cannot be.
    pub(crate) fn on_opened(&mut self, opened: Result<Opened, StoreError>, transfers: &Transfers) -> Next {
        let busy = self.busy.take();
        let opened = match opened {
            Ok(opened) => opened,
            // A run of the same download that was stopped a moment ago may still be comparing what is there.
            Err(wrong @ StoreError::Busy { .. }) if self.is_patient() => {
                let now = Instant::now();
                let since = busy.map_or(now, |(since, _)| since);
                if now >= since + BUSY_QUIET {
                    self.tell(Event::Warning { message: format!("{wrong}; it is tried again") });
                }
                self.busy = Some((since, now + BUSY));
                return Next::Wait;
            }
            Err(wrong) => {
                let hint = wrong.hint().unwrap_or_else(|| "choose another folder with --into".to_owned());
                self.fail(&Problem::new(wrong.to_string()).hint(hint));
                return Next::Leave;
            }
        };
        self.opened = true;
        self.has_news();
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

    /// Says what has come from where; `came` is for the leases that go on: bytes, and bytes that were wrong.
    pub(crate) fn tell_parts(&mut self, came: impl Fn(LeaseId) -> (u64, u64)) {
        let mut warnings = Vec::new();
        let mut looks = Vec::with_capacity(self.parts.len());
        for part in &mut self.parts {
            let (bytes, bad_bytes) = came(part.lease);
            let (bytes, bad_bytes) = (bytes + part.settled_bytes, bad_bytes + part.settled_bad_bytes);
            if bad_bytes > part.warned_bad_bytes {
                let wrong = bad_bytes - part.warned_bad_bytes;
                part.warned_bad_bytes = bad_bytes;
                warnings.push(format!(
                    "{wrong} bytes from {} were wrong and come again; who alone has sent them is asked no more",
                    part.network_name
                ));
            }
            looks.push(PartLook { network: part.network_name, bytes, bad_bytes, peers: part.peers, problem: part.problem.clone() });
        }
        if self.is_patient() {
            warnings.into_iter().for_each(|message| self.tell(Event::Warning { message }));
        }
        self.events.say(Word::Parts(looks));
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
