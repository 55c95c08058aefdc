//! Who is active and who waits: of all downloads that want to be, as many as the settings say, in the order of their places.
//!
//! Downloads that are not complete and complete ones that are given on are two queues in one order. Who is begun by his user's word however many others
//! are active does not count, and neither does a download that has brought nothing for long: it goes on, and the next one beside it.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use hexad_api::node::{DownloadState, QueueMove, UpSettings};
use hexad_api::{Problem, ProblemKind};
use hexad_bittorrent::wire::metainfo::Metainfo;
use hexad_core::What;

use super::downloads::{Downloads, Item};
use super::store::{Keep, described_bytes};
use super::{House, State};
use crate::source;

/// In which of the two queues one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Downloads,
    Seeds,
}

/// How many may be active, and when one is not counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    downloads: u32,
    seeds: u32,
    stalled: Duration,
}

/// What is to follow from the order.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arranged {
    begin: Vec<u64>,
    wait: Vec<u64>,
}

impl Room {
    fn of(settings: &UpSettings, stalled: Duration) -> Self {
        let (downloads, seeds) = (settings.active_downloads.unwrap_or(0), settings.active_seeds.unwrap_or(0));
        Self { downloads, seeds, stalled }
    }

    fn is_bounded(self) -> bool {
        self.downloads > 0 || self.seeds > 0
    }

    /// Whether one more may be active beside `active` others.
    fn has_place(self, line: Line, active: usize) -> bool {
        let most = match line {
            Line::Downloads => self.downloads,
            Line::Seeds => self.seeds,
        };
        most == 0 || active < usize::try_from(most).unwrap_or(usize::MAX)
    }
}

impl Item {
    fn line(&self) -> Line {
        if self.is_complete() { Line::Seeds } else { Line::Downloads }
    }

    /// Whether it is active or wants to be. One that is being moved comes back.
    fn is_in_line(&self) -> bool {
        !self.is_over() || self.kept.moving.as_ref().is_some_and(super::moving::Moving::comes_back)
    }

    /// Whether it takes a place. It does not where its user wants it at once, or only to know what it holds, and where nothing comes.
    fn is_counted(&self, room: Room, now: Instant) -> bool {
        let stalls = self.line() == Line::Downloads && self.runs() && now.duration_since(self.brought_at) >= room.stalled;
        !self.kept.now && !self.kept.request.choose && !stalls
    }
}

impl Downloads {
    /// Who is to begin and who is to wait, so that those are active whose turn it is.
    fn arranged(&self, room: Room, now: Instant) -> Arranged {
        let mut line: Vec<(i64, u64, &Item)> =
            self.items.iter().filter(|(_, item)| item.is_in_line()).map(|(id, item)| (item.place(*id), *id, item)).collect();
        line.sort_unstable_by_key(|(place, id, _)| (*place, *id));
        let mut arranged = Arranged::default();
        let (mut downloads, mut seeds) = (0, 0);
        for (_, id, item) in line {
            let active = if item.line() == Line::Downloads { &mut downloads } else { &mut seeds };
            let is_counted = item.is_counted(room, now);
            let may = !is_counted || room.has_place(item.line(), *active);
            *active += usize::from(is_counted);
            if item.kept.moving.is_some() {
                // It is seen to when it is there.
            } else if may && !item.runs() {
                arranged.begin.push(id);
            } else if !may && item.state() != DownloadState::Queued {
                arranged.wait.push(id);
            }
        }
        arranged
    }

    /// Whether it is the turn of one that wants to be active.
    fn is_turn_of(&self, id: u64, room: Room, now: Instant) -> bool {
        let Some(item) = self.items.get(&id) else { return false };
        if !room.is_bounded() || !item.is_counted(room, now) {
            return true;
        }
        let mine = (item.place(id), id);
        let before = |(other, one): &(&u64, &Item)| {
            one.line() == item.line() && (one.place(**other), **other) < mine && one.is_in_line() && one.is_counted(room, now)
        };
        room.has_place(item.line(), self.items.iter().filter(before).count())
    }

    /// Gives one another place.
    fn move_in_queue(&mut self, id: u64, to: QueueMove) -> Result<(), Problem> {
        let item = self.find(id)?;
        let (line, mine) = (item.line(), (item.place(id), id));
        item.kept.now = to == QueueMove::Now;
        let others = self.items.iter().filter(|(_, other)| other.is_in_line() && other.line() == line && !other.kept.now);
        let places = others.map(|(other, item)| (item.place(*other), *other)).filter(|place| *place != mine);
        let beside = match to {
            QueueMove::Top => {
                self.first_place -= 1;
                self.find(id)?.kept.place = Some(self.first_place);
                None
            }
            QueueMove::Bottom => {
                self.last_place += 1;
                self.find(id)?.kept.place = Some(self.last_place);
                None
            }
            QueueMove::Up => places.filter(|place| *place < mine).max(),
            QueueMove::Down => places.filter(|place| *place > mine).min(),
            QueueMove::Now => None,
        };
        if let Some((place, other)) = beside {
            self.find(id)?.kept.place = Some(place);
            self.find(other)?.kept.place = Some(mine.0);
            self.touch(other);
        }
        self.touch(id);
        Ok(())
    }
}

impl House {
    fn room(&self, state: &State) -> Room {
        Room::of(&state.settings, self.given.stalled)
    }

    /// Has those be active whose turn it is, and the others wait.
    pub(super) fn arrange(&self, state: &mut State) {
        if self.ending.load(Ordering::Acquire) {
            return;
        }
        state.downloads.unsettled = false;
        let Arranged { begin, wait } = state.downloads.arranged(self.room(state), Instant::now());
        for id in wait {
            let runs = state.downloads.find(id).is_ok_and(|item| item.runs());
            if runs && let Err(problem) = self.rest(state, id) {
                tracing::warn!(%problem, id, "a download does not wait");
            }
            state.downloads.set_queued(id);
        }
        for id in begin {
            if let Err(problem) = self.start(state, id) {
                if self.ending.load(Ordering::Acquire) {
                    // The next run of the node begins it.
                    return state.downloads.set_queued(id);
                }
                state.downloads.fail(id, problem);
            }
        }
    }

    /// The same when something may have changed about it.
    pub(super) fn arrange_again(&self, state: &mut State, a_second_went_by: bool) {
        if state.downloads.unsettled || a_second_went_by && self.room(state).is_bounded() {
            self.arrange(state);
        }
    }

    /// Begins a download, or goes on with it, when it is its turn; until then it waits.
    ///
    /// # Errors
    /// When its source cannot be used.
    pub(super) fn begin_download(&self, state: &mut State, id: u64) -> Result<(), Problem> {
        state.downloads.set_queued(id);
        if state.downloads.is_turn_of(id, self.room(state), Instant::now()) {
            return self.start(state, id);
        }
        self.look_at_source(state, id)
    }

    /// Finds out of one that waits what can be known without anybody else.
    fn look_at_source(&self, state: &mut State, id: u64) -> Result<(), Problem> {
        let request = state.downloads.find(id)?.kept.request.clone();
        if !state.downloads.find(id)?.kept.is_unnamed() || source::is_address(&request.source) {
            return Ok(());
        }
        let found = source::find(&request.source, &request.peers, &self.names_of(state, &request.on), &self.outside)?;
        state.downloads.find(id)?.kept.name = found.name;
        if let What::Torrent(torrent) = &found.source.what
            && let Ok(metainfo) = Metainfo::parse(torrent)
        {
            // Its file may be gone when it begins.
            let description = metainfo.description();
            state.keep.push(Keep::Described(id, described_bytes(&description)));
            state.downloads.on_known(id, description.layout);
        }
        Ok(())
    }

    /// Gives a download another place in the queue; one that its user wants at once goes on also where it rests.
    ///
    /// # Errors
    /// When there is no such download, or it is complete and not given on.
    pub(super) fn queue(&self, id: u64, to: QueueMove) -> Result<(), Problem> {
        let mut state = self.state();
        let item = state.downloads.find_still(id)?;
        if item.state() == DownloadState::Complete {
            return Err(Problem::new(format!("download {id} is complete, and waits for nothing"))
                .hint("what waits is listed by hexad downloads list --state queued")
                .kind(ProblemKind::Conflict));
        }
        let rests = matches!(item.state(), DownloadState::Paused | DownloadState::Failed);
        state.downloads.move_in_queue(id, to)?;
        if rests && to == QueueMove::Now {
            state.downloads.set_queued(id);
        }
        self.arrange(&mut state);
        Ok(())
    }
}
