//! Downloads that stay: what was asked for, how far it is, and what came from where, over all runs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use hexad_api::node::{
    ByNetwork, Download, DownloadCounts, DownloadDetail, DownloadQuery, DownloadSort, DownloadState, NewDownload, Page, RateAt,
};
use hexad_api::{Event, How, Problem, ProblemKind};
use hexad_content::{Layout, Ranges};
use hexad_core::{OpId, ShareId};
use hexad_driver::wall::Wall;
use serde::{Deserialize, Serialize};

use super::files::Holding;
use super::following::Following;
use super::moving::Moving;
use super::{cut, not_found};
use crate::listener::PartLook;

/// Downloads that are remembered.
const DOWNLOADS_MAX: usize = 10_000;
/// Seconds of rates that are remembered.
const RATES_MAX: usize = 300;
/// Warnings that are remembered.
const WARNINGS_MAX: usize = 50;
/// Parts of a block map.
const BLOCKS_MAX: u64 = 400;
/// Shorter parts tell nobody more.
const BLOCK_BYTES_MIN: u64 = 16 << 10;

/// What is kept of a download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    pub(super) request: NewDownload,
    pub(super) name: String,
    state: DownloadState,
    wanted_bytes: u64,
    verified_bytes: u64,
    /// All bytes of the layout, wanted or not.
    total_bytes: u64,
    by_network: BTreeMap<String, u64>,
    /// Of those bytes, what was wrong.
    #[serde(default)]
    bad_by_network: BTreeMap<String, u64>,
    uploaded_bytes: u64,
    added_s: u64,
    completed_s: Option<u64>,
    pub(super) path: Option<String>,
    pub(super) unproven: bool,
    problem: Option<Problem>,
    blocks: Vec<u8>,
    /// How much of each file was good when it was last laid to rest; nothing where that is not known.
    #[serde(default)]
    pub(super) verified_of_files: Vec<u64>,
    /// It is on its way to another folder.
    #[serde(default)]
    pub(super) moving: Option<Moving>,
    /// Its link can be changed by its owner.
    #[serde(default)]
    pub(super) following: Option<Following>,
    /// Its place in the queue; that of its number where none was given.
    #[serde(default)]
    pub(super) place: Option<i64>,
    /// It goes on however many others are active.
    #[serde(default)]
    pub(super) now: bool,
}

/// One download.
pub(super) struct Item {
    pub(super) kept: Kept,
    /// Under which it runs in the session.
    pub(super) op: Option<OpId>,
    pub(super) share: Option<ShareId>,
    /// Which of its runs counts.
    pub(super) run: u64,
    /// It is offered from the shelf, which needs no task.
    pub(super) shelved: bool,
    /// When it has brought something last, or was begun.
    pub(super) brought_at: Instant,
    parts: Vec<PartLook>,
    uploaded_now: u64,
    down_bytes_per_s: u64,
    up_bytes_per_s: u64,
    peers: Option<usize>,
    seeds: Option<usize>,
    rates: VecDeque<RateAt>,
    warnings: Vec<String>,
}

/// All downloads.
#[derive(Default)]
pub(super) struct Downloads {
    pub(super) items: BTreeMap<u64, Item>,
    /// The least and the greatest place that was given.
    pub(super) first_place: i64,
    pub(super) last_place: i64,
    /// Others may have to be active than are.
    pub(super) unsettled: bool,
    last: u64,
    runs: u64,
    changed: BTreeSet<u64>,
    unkept: BTreeSet<u64>,
    wall: Wall,
}

/// What follows from an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    Nothing,
    /// Its task has nothing left to do.
    Stop,
}

impl Kept {
    /// It is called by what it was asked for by, of which the first letters are kept.
    pub(super) fn is_unnamed(&self) -> bool {
        self.request.source.starts_with(&self.name)
    }

    /// Other files are wanted, of so many bytes; `adds` when they are more than before.
    pub(super) fn rewant(&mut self, wanted_bytes: u64, wanted: &[bool], adds: bool) {
        let known = self.verified_of_files.len() == wanted.len();
        if self.completed_s.is_some() && !adds {
            self.verified_bytes = wanted_bytes;
        } else if known {
            self.verified_bytes = self.verified_of_files.iter().zip(wanted).filter(|(_, wanted)| **wanted).map(|(bytes, _)| bytes).sum();
        }
        self.verified_bytes = self.verified_bytes.min(wanted_bytes);
        self.wanted_bytes = wanted_bytes;
        if adds {
            (self.completed_s, self.path) = (None, None);
        }
    }
}

impl Item {
    pub(super) fn is_over(&self) -> bool {
        matches!(self.kept.state, DownloadState::Complete | DownloadState::Paused | DownloadState::Failed)
    }

    /// Something is being done for it.
    pub(super) fn runs(&self) -> bool {
        !self.is_over() && (self.run != 0 || self.shelved)
    }

    pub(super) fn place(&self, id: u64) -> i64 {
        self.kept.place.unwrap_or_else(|| i64::try_from(id).unwrap_or(i64::MAX))
    }

    pub(super) fn is_complete(&self) -> bool {
        self.kept.completed_s.is_some()
    }

    pub(super) fn seeds(&self) -> bool {
        self.kept.request.seed == Some(true) && !self.kept.unproven
    }

    pub(super) fn state(&self) -> DownloadState {
        self.kept.state
    }

    /// How it is to be carried out from here on: what earlier runs have given counts.
    pub(super) fn how_left(&self) -> How {
        let kept = &self.kept;
        let given = u128::from(kept.uploaded_bytes) * 100 / u128::from(kept.wanted_bytes.max(1));
        let given = u64::try_from(given).unwrap_or(u64::MAX);
        How { ratio_percent: kept.request.how.ratio_percent.map(|goal| goal.saturating_sub(given)), ..kept.request.how.clone() }
    }

    /// Where its files are being written.
    pub(super) fn target(&self) -> PathBuf {
        PathBuf::from(self.kept.request.into.clone().unwrap_or_default()).join(&self.kept.name)
    }

    fn downloaded_bytes(&self) -> u64 {
        self.kept.by_network.values().sum::<u64>() + self.parts.iter().map(|part| part.bytes).sum::<u64>()
    }

    fn view(&self, id: u64) -> Download {
        let kept = &self.kept;
        let left = kept.wanted_bytes.saturating_sub(kept.verified_bytes);
        let eta_s = (kept.state == DownloadState::Fetching).then(|| left.checked_div(self.down_bytes_per_s)).flatten();
        let mut on: Vec<String> = kept.request.on.clone();
        if on.is_empty() {
            on = self.parts.iter().map(|part| part.network.to_owned()).collect();
        }
        if on.is_empty() {
            on = kept.by_network.keys().cloned().collect();
        }
        Download {
            id,
            name: kept.name.clone(),
            state: kept.state,
            source: kept.request.source.clone(),
            on,
            into: kept.request.into.clone().unwrap_or_default(),
            moving_to: kept.moving.as_ref().map(|moving| moving.to.clone()),
            wanted_bytes: kept.wanted_bytes,
            verified_bytes: kept.verified_bytes,
            down_bytes_per_s: self.down_bytes_per_s,
            up_bytes_per_s: self.up_bytes_per_s,
            limits: kept.request.how.limits,
            downloaded_bytes: self.downloaded_bytes(),
            uploaded_bytes: kept.uploaded_bytes + self.uploaded_now,
            peers: self.peers,
            seeds: self.seeds,
            eta_s,
            place: self.place(id),
            added_s: kept.added_s,
            completed_s: kept.completed_s,
            path: kept.path.clone(),
            seq: kept.following.as_ref().and_then(|following| Some(following.known.as_ref()?.seq)),
            newer: kept.following.as_ref().and_then(|following| following.newer),
            unproven: kept.unproven,
            problem: kept.problem.clone(),
        }
    }

    fn by_network(&self) -> Vec<ByNetwork> {
        let (bytes, bad_bytes) = self.counted();
        let networks = bytes.keys().cloned().chain(self.parts.iter().map(|part| part.network.to_owned())).collect::<BTreeSet<_>>();
        let one = |name: String| {
            let part = self.parts.iter().find(|part| part.network == name);
            ByNetwork {
                bytes: bytes.get(&name).copied().unwrap_or(0),
                bad_bytes: bad_bytes.get(&name).copied().unwrap_or(0),
                peers: part.and_then(|part| part.peers),
                problem: part.and_then(|part| part.problem.clone()),
                name,
            }
        };
        networks.into_iter().map(one).collect()
    }

    /// Bytes from each network, and those of them that were wrong, the run that goes on included.
    fn counted(&self) -> (BTreeMap<String, u64>, BTreeMap<String, u64>) {
        let (mut bytes, mut bad_bytes) = (self.kept.by_network.clone(), self.kept.bad_by_network.clone());
        for part in self.parts.iter().filter(|part| part.bytes > 0) {
            *bytes.entry(part.network.to_owned()).or_default() += part.bytes;
            *bad_bytes.entry(part.network.to_owned()).or_default() += part.bad_bytes;
        }
        (bytes, bad_bytes)
    }

    /// Says something of it that goes by.
    pub(super) fn warn(&mut self, message: String) {
        if !self.warnings.contains(&message) {
            self.warnings.push(message);
            if self.warnings.len() > WARNINGS_MAX {
                self.warnings.remove(0);
            }
        }
    }

    /// Its run is over: what it has brought is added up.
    fn fold(&mut self) {
        (self.kept.by_network, self.kept.bad_by_network) = self.counted();
        self.parts.clear();
        self.kept.uploaded_bytes += std::mem::take(&mut self.uploaded_now);
        (self.down_bytes_per_s, self.up_bytes_per_s, self.peers, self.seeds) = (0, 0, None, None);
        self.op = None;
        self.share = None;
    }
}

impl Downloads {
    pub(super) fn new(wall: Wall) -> Self {
        Self { wall, ..Self::default() }
    }

    /// A download of an earlier run.
    pub(super) fn load(&mut self, id: u64, kept: Kept) {
        self.last = self.last.max(id);
        let item = Self::item_of(kept);
        let place = item.place(id);
        (self.first_place, self.last_place) = (self.first_place.min(place), self.last_place.max(place));
        self.items.insert(id, item);
    }

    fn item_of(kept: Kept) -> Item {
        Item {
            kept,
            op: None,
            share: None,
            run: 0,
            shelved: false,
            brought_at: Instant::now(),
            parts: Vec::new(),
            uploaded_now: 0,
            down_bytes_per_s: 0,
            up_bytes_per_s: 0,
            peers: None,
            seeds: None,
            rates: VecDeque::new(),
            warnings: Vec::new(),
        }
    }

    /// A download that is to be begun.
    pub(super) fn add(&mut self, request: NewDownload) -> Result<u64, Problem> {
        if self.items.len() >= DOWNLOADS_MAX {
            let problem = Problem::new(format!("there are {DOWNLOADS_MAX} downloads already")).hint("remove some");
            return Err(problem.kind(ProblemKind::Unavailable));
        }
        self.last += 1;
        self.last_place += 1;
        let kept = Kept {
            name: request.source.chars().take(200).collect(),
            following: Following::of(&request.source),
            request,
            state: DownloadState::Looking,
            wanted_bytes: 0,
            verified_bytes: 0,
            total_bytes: 0,
            by_network: BTreeMap::new(),
            bad_by_network: BTreeMap::new(),
            uploaded_bytes: 0,
            added_s: self.wall.unix_s(),
            completed_s: None,
            path: None,
            unproven: false,
            problem: None,
            blocks: Vec::new(),
            verified_of_files: Vec::new(),
            moving: None,
            place: Some(self.last_place),
            now: false,
        };
        self.items.insert(self.last, Self::item_of(kept));
        self.touch(self.last);
        Ok(self.last)
    }

    pub(super) fn find(&mut self, id: u64) -> Result<&mut Item, Problem> {
        self.items.get_mut(&id).ok_or_else(|| not_found("download", id))
    }

    /// One that is not on its way to another folder.
    pub(super) fn find_still(&mut self, id: u64) -> Result<&mut Item, Problem> {
        let item = self.find(id)?;
        match &item.kept.moving {
            None => Ok(item),
            Some(moving) => {
                let problem = Problem::new(format!("download {id} is being moved to {}", moving.to)).hint("wait until it is there");
                Err(problem.kind(ProblemKind::Conflict))
            }
        }
    }

    /// One whose files stand at that path, or around or below it.
    pub(super) fn standing_at(&self, path: &Path) -> Option<u64> {
        let is_one = |item: &Item| {
            let target = item.kept.path.as_ref().map_or_else(|| item.target(), PathBuf::from);
            target.starts_with(path) || path.starts_with(&target)
        };
        self.items.iter().find(|(_, item)| is_one(item)).map(|(id, _)| *id)
    }

    /// Those that are complete and proven, except that one.
    pub(super) fn complete_but(&self, id: u64) -> Vec<u64> {
        let is_one =
            |(other, item): &(&u64, &Item)| **other != id && item.is_complete() && !item.kept.unproven && item.kept.moving.is_none();
        self.items.iter().filter(is_one).map(|(id, _)| *id).collect()
    }

    /// Those that are being fetched.
    pub(super) fn under_way(&self) -> Vec<u64> {
        let is_one = |(_, item): &(&u64, &Item)| item.op.is_some() && !item.is_complete() && item.kept.moving.is_none();
        self.items.iter().filter(is_one).map(|(id, _)| *id).collect()
    }

    /// Those whose links are followed: all that neither rest nor have handed that on, and those that have failed before it was known what they are of.
    pub(super) fn followed(&self) -> impl Iterator<Item = (u64, &Following)> {
        self.items.iter().filter_map(|(id, item)| {
            let following = item.kept.following.as_ref().filter(|following| following.newer.is_none())?;
            let rests = match item.kept.state {
                DownloadState::Paused => true,
                DownloadState::Failed => item.kept.total_bytes > 0,
                _ => false,
            };
            (!rests).then_some((*id, following))
        })
    }

    /// The downloads of older versions of the same link.
    pub(super) fn older_than(&self, id: u64) -> Vec<u64> {
        let newer = |item: &Item| item.kept.following.as_ref().and_then(|following| following.newer);
        let mut found = Vec::new();
        let mut next = vec![id];
        while let Some(id) = next.pop() {
            let older = self.items.iter().filter(|(_, item)| newer(item) == Some(id)).map(|(older, _)| *older);
            let older: Vec<u64> = older.filter(|older| !found.contains(older)).collect();
            found.extend(&older);
            next.extend(older);
        }
        found
    }

    /// The folder that one goes to, and which of its files.
    pub(super) fn place_of(&self, id: u64) -> Option<(PathBuf, Vec<String>)> {
        let request = &self.items.get(&id)?.kept.request;
        Some((PathBuf::from(request.into.clone().unwrap_or_default()), request.select.clone()))
    }

    pub(super) fn ids(&self) -> Vec<u64> {
        self.items.keys().copied().collect()
    }

    pub(super) fn view(&self, id: u64) -> Result<Download, Problem> {
        self.items.get(&id).map(|item| item.view(id)).ok_or_else(|| not_found("download", id))
    }

    /// All that is known of one; `files` is how many it has and how many of them are wanted.
    pub(super) fn detail(&self, id: u64, held: Option<&Ranges>, files: (usize, usize)) -> Result<DownloadDetail, Problem> {
        let item = self.items.get(&id).ok_or_else(|| not_found("download", id))?;
        let blocks = match held {
            Some(held) => blocks_of(held, item.kept.total_bytes),
            None if item.is_complete() => blocks_of(&Ranges::of(0..item.kept.total_bytes), item.kept.total_bytes),
            None => item.kept.blocks.clone(),
        };
        Ok(DownloadDetail {
            download: item.view(id),
            files: files.0,
            wanted_files: files.1,
            select: item.kept.request.select.clone(),
            seed: item.kept.request.seed == Some(true),
            how: item.kept.request.how.clone(),
            by_network: item.by_network(),
            blocks,
            rates: item.rates.iter().copied().collect(),
            warnings: item.warnings.clone(),
        })
    }

    pub(super) fn page(&self, query: &DownloadQuery) -> Page<Download> {
        let wanted = query.q.as_ref().map(|q| q.to_lowercase()).filter(|q| !q.is_empty());
        let fits = |item: &Item| {
            query.state.is_none_or(|state| state == item.kept.state)
                && wanted.as_ref().is_none_or(|wanted| item.kept.name.to_lowercase().contains(wanted))
        };
        let mut found: Vec<(&u64, &Item)> = self.items.iter().filter(|(_, item)| fits(item)).collect();
        let done = |item: &Item| u128::from(item.kept.verified_bytes) * 1_000_000 / u128::from(item.kept.wanted_bytes.max(1));
        match query.sort {
            DownloadSort::Added => found.reverse(),
            DownloadSort::Name => found.sort_by_cached_key(|(id, item)| (item.kept.name.to_lowercase(), **id)),
            DownloadSort::Progress => found.sort_by_key(|(id, item)| (done(item), **id)),
            DownloadSort::Queue => found.sort_by_key(|(id, item)| (item.place(**id), **id)),
            DownloadSort::Rate => found.sort_by_key(|(id, item)| (std::cmp::Reverse(item.down_bytes_per_s + item.up_bytes_per_s), **id)),
        }
        let limit = cut(query.limit.unwrap_or(100));
        let items = found.iter().skip(query.offset).take(limit).map(|(id, item)| item.view(**id)).collect();
        Page { total: found.len(), offset: query.offset, items }
    }

    pub(super) fn counts(&self) -> DownloadCounts {
        let count = |fits: &dyn Fn(&Item) -> bool| self.items.values().filter(|item| fits(item)).count();
        DownloadCounts {
            active: count(&|item| !item.is_over() && item.kept.state != DownloadState::Queued),
            queued: count(&|item| item.kept.state == DownloadState::Queued),
            complete: count(&|item| item.is_complete()),
            failed: count(&|item| item.kept.state == DownloadState::Failed),
            total: self.items.len(),
        }
    }

    /// Bytes a second that come.
    pub(super) fn down_bytes_per_s(&self) -> u64 {
        self.items.values().map(|item| item.down_bytes_per_s).sum()
    }

    /// A run begins; returns its number, by which what it says is told from what an earlier one says late.
    pub(super) fn begin_run(&mut self, id: u64) -> Result<u64, Problem> {
        self.runs += 1;
        let run = self.runs;
        let item = self.find(id)?;
        item.fold();
        item.run = run;
        item.shelved = false;
        item.brought_at = Instant::now();
        (item.kept.state, item.kept.problem) = (DownloadState::Looking, None);
        self.touch(id);
        Ok(run)
    }

    /// It is given on without a task.
    pub(super) fn set_shelved(&mut self, id: u64) {
        if let Ok(item) = self.find(id) {
            item.shelved = true;
            (item.kept.state, item.kept.problem) = (DownloadState::Seeding, None);
            self.touch(id);
        }
    }

    /// It waits for its turn, or is to be begun at once.
    pub(super) fn set_queued(&mut self, id: u64) {
        if let Ok(item) = self.find(id) {
            (item.kept.state, item.kept.problem) = (DownloadState::Queued, None);
            item.run = 0;
            self.touch(id);
        }
    }

    /// What it is of is known before it was begun.
    pub(super) fn on_known(&mut self, id: u64, layout: Arc<Layout>) {
        if let Ok(item) = self.find(id) {
            item.kept.total_bytes = layout.total_bytes();
            let holding = Holding::of(layout, &item.kept.request.select);
            item.kept.rewant(holding.wanted_bytes(), &holding.wanted, false);
            self.touch(id);
        }
    }

    /// It rests; returns the task to stop.
    pub(super) fn rest(&mut self, id: u64, held: Option<&Ranges>) -> Result<Option<OpId>, Problem> {
        let item = self.find(id)?;
        if let Some(held) = held {
            item.kept.blocks = blocks_of(held, item.kept.total_bytes);
        }
        let op = item.op;
        item.fold();
        item.run = 0;
        item.shelved = false;
        item.kept.state = if item.is_complete() { DownloadState::Complete } else { DownloadState::Paused };
        self.touch(id);
        Ok(op)
    }

    pub(super) fn fail(&mut self, id: u64, problem: Problem) {
        if let Ok(item) = self.find(id) {
            item.fold();
            (item.kept.state, item.kept.problem) = (DownloadState::Failed, Some(problem));
            self.touch(id);
        }
    }

    pub(super) fn remove(&mut self, id: u64) -> Result<Item, Problem> {
        self.changed.remove(&id);
        self.unkept.remove(&id);
        self.unsettled = true;
        self.items.remove(&id).ok_or_else(|| not_found("download", id))
    }

    pub(super) fn on_described(&mut self, id: u64, run: u64, share: ShareId, total_bytes: u64) {
        if let Some(item) = self.items.get_mut(&id).filter(|item| item.run == run) {
            item.share = Some(share);
            item.kept.total_bytes = total_bytes;
        }
    }

    pub(super) fn on_parts(&mut self, id: u64, run: u64, parts: Vec<PartLook>) {
        if let Some(item) = self.items.get_mut(&id).filter(|item| item.run == run && item.parts != parts) {
            let before = item.downloaded_bytes();
            item.parts = parts;
            if item.downloaded_bytes() > before {
                item.brought_at = Instant::now();
            }
            self.changed.insert(id);
        }
    }

    /// A task says something.
    pub(super) fn on_event(&mut self, id: u64, run: u64, event: Event) -> Follows {
        let Some(item) = self.items.get_mut(&id).filter(|item| item.run == run) else { return Follows::Nothing };
        let kept = &mut item.kept;
        let mut matters = false;
        match event {
            Event::Looking { peers, .. } => item.peers = Some(peers),
            Event::Started { name, wanted_bytes, .. } => {
                (kept.name, kept.wanted_bytes) = (name, wanted_bytes);
                item.brought_at = Instant::now();
                matters = true;
            }
            Event::Checking { .. } if kept.completed_s.is_none() => {
                kept.state = DownloadState::Checking;
                item.brought_at = Instant::now();
            }
            Event::Verified { verified_bytes, wanted_bytes } => {
                if verified_bytes > kept.verified_bytes {
                    item.brought_at = Instant::now();
                }
                (kept.verified_bytes, kept.wanted_bytes) = (verified_bytes, wanted_bytes);
                if matches!(kept.state, DownloadState::Looking | DownloadState::Checking) {
                    kept.state = DownloadState::Fetching;
                    matters = true;
                }
            }
            Event::Progress { down_bytes_per_s, up_bytes_per_s, uploaded_bytes, peers, seeds, .. } => {
                item.down_bytes_per_s = if item.kept.state == DownloadState::Fetching { down_bytes_per_s } else { 0 };
                item.up_bytes_per_s = up_bytes_per_s;
                item.uploaded_now = uploaded_bytes;
                (item.peers, item.seeds) = (peers, seeds);
            }
            Event::Complete { name, path, bytes, unproven, .. } => {
                (kept.name, kept.path, kept.verified_bytes, kept.unproven) = (name, Some(path), bytes, unproven);
                kept.completed_s.get_or_insert_with(|| self.wall.unix_s());
                kept.now = false;
                item.down_bytes_per_s = 0;
                let seeds = item.seeds();
                item.kept.state = if seeds { DownloadState::Seeding } else { DownloadState::Complete };
                self.touch(id);
                return if seeds { Follows::Nothing } else { Follows::Stop };
            }
            Event::Done if kept.completed_s.is_some() => {
                // Enough was given: it does not begin to give once more.
                kept.request.seed = Some(false);
                self.touch(id);
                return Follows::Stop;
            }
            Event::Failed { message, hint } => {
                self.fail(id, Problem { hint, ..Problem::new(message) });
                return Follows::Stop;
            }
            Event::Warning { message } => item.warn(message),
            Event::Renamed { from, to, reason } => item.warnings.push(format!("'{from}' is stored as '{to}': {reason}")),
            _ => return Follows::Nothing,
        }
        self.changed.insert(id);
        if matters {
            self.unkept.insert(id);
        }
        Follows::Nothing
    }

    /// A second has gone by.
    pub(super) fn on_second(&mut self) {
        let at_s = self.wall.unix_s();
        for item in self.items.values_mut().filter(|item| item.op.is_some()) {
            let last = RateAt { at_s, down_bytes_per_s: item.down_bytes_per_s, up_bytes_per_s: item.up_bytes_per_s };
            // A clock that was corrected must not make two of one second.
            if item.rates.back().is_none_or(|before| before.at_s != at_s) {
                item.rates.push_back(last);
            }
            while item.rates.len() > RATES_MAX {
                item.rates.pop_front();
            }
        }
    }

    /// The clock on the wall was set: what was seen so long ago is as long ago as before.
    pub(super) fn on_clock_set(&mut self, by_s: i64) {
        for rate in self.items.values_mut().flat_map(|item| &mut item.rates) {
            rate.at_s = rate.at_s.saturating_add_signed(by_s);
        }
    }

    /// Everything about one that is running is to be kept.
    pub(super) fn mark_running_unkept(&mut self) {
        self.unkept.extend(self.items.iter().filter(|(_, item)| item.op.is_some()).map(|(id, _)| *id));
    }

    /// Something of it that is kept is different.
    pub(super) fn touch(&mut self, id: u64) {
        self.changed.insert(id);
        self.unkept.insert(id);
        self.unsettled = true;
    }

    pub(super) fn take_changed(&mut self) -> Vec<Download> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().filter_map(|id| self.view(id).ok()).collect()
    }

    /// What is to be kept: with what the runs that go on have brought so far.
    pub(super) fn take_unkept(&mut self) -> Vec<(u64, Kept)> {
        let unkept = std::mem::take(&mut self.unkept);
        let kept = |id: u64| {
            let item = self.items.get(&id)?;
            let mut kept = item.kept.clone();
            (kept.by_network, kept.bad_by_network) = item.counted();
            kept.uploaded_bytes += item.uploaded_now;
            Some((id, kept))
        };
        unkept.into_iter().filter_map(kept).collect()
    }
}

/// Parts of `total_bytes` in order, each 0 to 100: how much of it is in `held`.
fn blocks_of(held: &Ranges, total_bytes: u64) -> Vec<u8> {
    let count = total_bytes.div_ceil(BLOCK_BYTES_MIN).min(BLOCKS_MAX);
    let edge = |part: u64| u64::try_from(u128::from(total_bytes) * u128::from(part) / u128::from(count.max(1))).unwrap_or(u64::MAX);
    (0..count)
        .map(|part| {
            let range = edge(part)..edge(part + 1);
            let bytes = (range.end - range.start).max(1);
            u8::try_from(held.within(range).total() * 100 / bytes).unwrap_or(100)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_map_has_a_part_for_each_block_up_to_four_hundred() {
        let block = BLOCK_BYTES_MIN;
        assert_eq!(blocks_of(&Ranges::of(0..block + block / 2), 3 * block), [100, 50, 0]);
        assert!(blocks_of(&Ranges::new(), 0).is_empty());
        let long = blocks_of(&Ranges::of(0..1 << 39), 1 << 40);
        assert_eq!((long.len(), long[199], long[200]), (400, 100, 0));
    }

    #[test]
    fn what_came_from_a_network_adds_up_over_runs() {
        let mut downloads = Downloads::default();
        let id = downloads.add(NewDownload { source: "magnet:?".into(), ..NewDownload::default() }).expect("a download");
        for (bytes, expected) in [(5, 5), (7, 12)] {
            let run = downloads.begin_run(id).expect("there");
            let part = PartLook { network: "chord", bytes, bad_bytes: 1, peers: None, problem: None };
            downloads.on_parts(id, run, vec![part]);
            downloads.on_parts(id, run + 1, Vec::new());
            let detail = downloads.detail(id, None, (0, 0)).expect("there");
            assert_eq!((detail.by_network[0].bytes, detail.download.downloaded_bytes), (expected, expected));
            downloads.rest(id, None).expect("there");
        }
        assert_eq!(downloads.view(id).map(|download| download.state), Ok(DownloadState::Paused));
    }
}
