//! The trackers of one torrent, in tiers (BEP 12): who is asked next, and when.

use bytes::Bytes;
use hexad_core::{Dice, Endpoint, Span, Time};

use super::TrackerStatus;
use super::url::{self, TrackerUrl};
use crate::wire::TrackerEvent;

/// More trackers than this, all tiers together, are left out.
const TRACKERS_MAX: usize = 100;
/// What trackers mean when they do not say: BEP 3's usual half hour.
const INTERVAL_DEFAULT: Span = Span::from_secs(1800);
/// Nobody is asked more often, whatever it says.
const INTERVAL_MIN: Span = Span::from_secs(30);
/// A tracker that says longer wants to be forgotten, or to starve us.
const INTERVAL_MAX: Span = Span::from_secs(6 * 3600);
/// An early announce waits this long when the tracker sets no minimum of its own.
const EARLY_DEFAULT: Span = Span::from_secs(120);
/// UDP answers carry no minimum; libtorrent's `min_announce_interval`.
const EARLY_DEFAULT_UDP: Span = Span::from_secs(300);
/// A tracker that never wants to see us again (BEP 31) is asked once a day.
const RETRY_MAX: Span = Span::from_secs(24 * 3600);
/// Whoever has not answered by then, in whatever way it is asked, has failed.
const ANSWER_MAX: Span = Span::from_secs(45);

/// One tracker of one torrent; never used twice in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TrackerId(pub u32);

/// What a tracker has told us when it answered an announce.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    /// How long to wait before the next announce.
    pub interval: Option<Span>,
    /// How long to wait at least.
    pub interval_min: Option<Span>,
    /// To be sent along the next time.
    pub tracker_id: Option<Bytes>,
    /// Peers that have everything.
    pub seeds: Option<u32>,
    /// Peers that have not.
    pub leechers: Option<u32>,
    /// How often the torrent has been completed.
    pub completed: Option<u32>,
    /// A sentence for the user.
    pub warning: Option<String>,
}

#[derive(Clone, Copy, Debug)]
struct InFlight {
    event: TrackerEvent,
    /// How many transports are still expected to answer: a UDP tracker is asked over IPv4 and over IPv6.
    open: u8,
    answered: bool,
    give_up: Time,
}

/// One tracker.
#[derive(Debug)]
pub(super) struct Tracker {
    pub id: TrackerId,
    pub url: String,
    pub reach: TrackerUrl,
    /// Addresses of a UDP tracker, and until when we trust them.
    pub resolved: Option<(Vec<Endpoint>, Time)>,
    /// To be sent back as `trackerid`.
    pub tracker_id: Option<Bytes>,
    /// When it was last asked for counts only.
    pub scraped: Option<Time>,
    fails: u32,
    next: Time,
    early: Time,
    in_flight: Option<InFlight>,
    started: bool,
    completed_due: bool,
    seeds: Option<u32>,
    leechers: Option<u32>,
    completed: Option<u32>,
    failure: Option<String>,
    warning: Option<String>,
}

/// The tiers of one torrent.
#[derive(Debug)]
pub(super) struct Tiers {
    tiers: Vec<Vec<Tracker>>,
    announce_to_all: bool,
    private: bool,
    working: Option<TrackerId>,
}

impl Tiers {
    /// No tracker yet. A private torrent talks to one tracker at a time, whatever `announce_to_all` says (BEP 27).
    pub fn new(private: bool, announce_to_all: bool) -> Self {
        Self { tiers: Vec::new(), announce_to_all: announce_to_all && !private, private, working: None }
    }

    /// The torrent turns out to be private, as that of a link may: one tracker at a time from here on.
    pub fn become_private(&mut self) {
        self.private = true;
        self.announce_to_all = false;
    }

    /// Adds tiers below those that are there, each in random order (BEP 12). Returns what could not be used, and why.
    pub fn add(&mut self, tiers: &[Vec<String>], next_id: &mut u32, now: Time, dice: &mut Dice) -> Vec<String> {
        let mut refused = Vec::new();
        for urls in tiers {
            let mut tier = Vec::new();
            for url in urls {
                let url = url.trim();
                if self.all().chain(&tier).any(|tracker| tracker.url == url) {
                    continue;
                }
                if self.all().count() + tier.len() >= TRACKERS_MAX {
                    refused.push(format!("more than {TRACKERS_MAX} trackers"));
                    break;
                }
                match url::read(url) {
                    Ok(reach) => {
                        *next_id = next_id.wrapping_add(1);
                        tier.push(Tracker::new(TrackerId(*next_id), url.to_owned(), reach, now));
                    }
                    Err(why) => refused.push(format!("{}: {why}", url.chars().take(100).collect::<String>())),
                }
            }
            dice.shuffle(&mut tier);
            if !tier.is_empty() {
                self.tiers.push(tier);
            }
        }
        refused
    }

    /// All trackers in order.
    pub fn all(&self) -> impl Iterator<Item = &Tracker> {
        self.tiers.iter().flatten()
    }

    /// The tracker of that id.
    pub fn get(&self, id: TrackerId) -> Option<&Tracker> {
        self.all().find(|tracker| tracker.id == id)
    }

    /// The tracker of that id, to be changed.
    pub fn get_mut(&mut self, id: TrackerId) -> Option<&mut Tracker> {
        self.tiers.iter_mut().flatten().find(|tracker| tracker.id == id)
    }

    /// The tracker that answered last.
    pub fn working(&self) -> Option<&Tracker> {
        self.working.and_then(|id| self.get(id))
    }

    /// Marks and returns those to be asked at this time, and for what.
    ///
    /// Tiers in order; inside a tier the next one only when those before it have failed; the next tier only when a whole one has (BEP 12).
    pub fn due(&mut self, now: Time) -> Vec<(TrackerId, TrackerEvent)> {
        let mut due = Vec::new();
        for tier in &mut self.tiers {
            let mut alive = false;
            for tracker in tier.iter_mut() {
                if alive && !self.announce_to_all {
                    break;
                }
                if tracker.in_flight.is_some() {
                    alive = true;
                } else if now >= tracker.next {
                    alive = true;
                    due.push((tracker.id, tracker.begin(now)));
                } else {
                    alive |= tracker.fails == 0;
                }
            }
            if alive && !self.announce_to_all {
                break;
            }
        }
        due
    }

    /// When to look again, if ever.
    pub fn next_look(&self) -> Option<Time> {
        let mut first: Option<Time> = None;
        for tier in &self.tiers {
            let mut alive = false;
            for tracker in tier {
                if alive && !self.announce_to_all {
                    break;
                }
                let at = tracker.in_flight.map_or(tracker.next, |flight| flight.give_up);
                first = Some(first.map_or(at, |first| first.min(at)));
                alive |= tracker.in_flight.is_some() || tracker.fails == 0;
            }
            if alive && !self.announce_to_all {
                break;
            }
        }
        first
    }

    /// Those that have been silent for too long; they count as failed from then on.
    pub fn overdue(&mut self, now: Time) -> Vec<TrackerId> {
        let late = |tracker: &&mut Tracker| tracker.in_flight.is_some_and(|flight| now >= flight.give_up);
        let mut silent = Vec::new();
        for tracker in self.tiers.iter_mut().flatten().filter(late) {
            if let Some(flight) = &mut tracker.in_flight {
                flight.open = 1;
            }
            silent.push(tracker.id);
        }
        silent
    }

    /// Says that a tracker is asked in `transports` ways at once.
    pub fn asked(&mut self, id: TrackerId, transports: u8) {
        if let Some(flight) = self.get_mut(id).and_then(|tracker| tracker.in_flight.as_mut()) {
            flight.open = transports;
        }
    }

    /// The event of the announce that is under way.
    pub fn under_way(&self, id: TrackerId) -> Option<TrackerEvent> {
        self.get(id)?.in_flight.map(|flight| flight.event)
    }

    /// A tracker has answered. True when a private torrent has changed its tracker: its peers must go (BEP 27).
    pub fn succeeded(&mut self, id: TrackerId, told: Told, now: Time) -> bool {
        let Some((tier, place)) = self.find(id) else { return false };
        let tier = &mut self.tiers[tier];
        if tier[place].finish(told, now) && place > 0 {
            let tracker = tier.remove(place);
            tier.insert(0, tracker);
        }
        let switched = self.private && self.working.is_some_and(|before| before != id);
        self.working = Some(id);
        switched
    }

    /// One of the ways in which a tracker was asked has come to nothing. True when that was the last one and none has answered.
    pub fn failed(&mut self, id: TrackerId, why: String, retry_in: Option<Span>, now: Time) -> bool {
        let Some(tracker) = self.get_mut(id) else { return false };
        let Some(flight) = &mut tracker.in_flight else { return false };
        flight.open = flight.open.saturating_sub(1);
        if flight.open > 0 {
            return false;
        }
        let answered = flight.answered;
        tracker.in_flight = None;
        if answered {
            return false;
        }
        tracker.fails = tracker.fails.saturating_add(1);
        tracker.next = now + back_off(tracker.fails).max(retry_in.unwrap_or_default().min(RETRY_MAX));
        tracker.resolved = None;
        tracker.failure = Some(why);
        true
    }

    /// The torrent is complete: every tracker that knows us as a leecher is told, once.
    pub fn complete(&mut self, now: Time) {
        for tracker in self.tiers.iter_mut().flatten().filter(|tracker| tracker.started) {
            tracker.completed_due = true;
            tracker.next = tracker.next.min(now);
        }
        // One that is being told that we have started does not know yet that we have finished.
        for tracker in self.tiers.iter_mut().flatten().filter(|tracker| tracker.in_flight.is_some()) {
            tracker.completed_due = true;
        }
    }

    /// Moves announces forward to the earliest time that the trackers allow.
    pub fn hurry(&mut self, now: Time) {
        for tracker in self.tiers.iter_mut().flatten().filter(|tracker| tracker.fails == 0) {
            tracker.next = tracker.next.min(tracker.early.max(now));
        }
    }

    /// Those that believe us to be there.
    pub fn started(&self) -> impl Iterator<Item = &Tracker> {
        self.all().filter(|tracker| tracker.started)
    }

    /// Takes in counts of a scrape.
    pub fn counted(&mut self, id: TrackerId, seeds: u32, leechers: u32, completed: u32) {
        if let Some(tracker) = self.get_mut(id) {
            tracker.seeds = Some(seeds);
            tracker.leechers = Some(leechers);
            tracker.completed = Some(completed);
        }
    }

    /// How each of them stands.
    pub fn status(&self) -> Vec<TrackerStatus> {
        let of = |(tier, tracker): (usize, &Tracker)| TrackerStatus {
            url: tracker.url.clone(),
            tier,
            working: tracker.started && tracker.fails == 0,
            fails: tracker.fails,
            next_announce: tracker.next,
            seeds: tracker.seeds,
            leechers: tracker.leechers,
            completed: tracker.completed,
            failure: tracker.failure.clone(),
            warning: tracker.warning.clone(),
        };
        self.tiers.iter().enumerate().flat_map(|(tier, trackers)| trackers.iter().map(move |tracker| (tier, tracker))).map(of).collect()
    }

    fn find(&self, id: TrackerId) -> Option<(usize, usize)> {
        self.tiers.iter().enumerate().find_map(|(tier, trackers)| Some((tier, trackers.iter().position(|tracker| tracker.id == id)?)))
    }
}

impl Tracker {
    fn new(id: TrackerId, url: String, reach: TrackerUrl, now: Time) -> Self {
        Self {
            id,
            url,
            reach,
            resolved: None,
            tracker_id: None,
            scraped: None,
            fails: 0,
            next: now,
            early: now,
            in_flight: None,
            started: false,
            completed_due: false,
            seeds: None,
            leechers: None,
            completed: None,
            failure: None,
            warning: None,
        }
    }

    fn begin(&mut self, now: Time) -> TrackerEvent {
        let event = match (self.started, self.completed_due) {
            (false, _) => TrackerEvent::Started,
            (true, true) => TrackerEvent::Completed,
            (true, false) => TrackerEvent::None,
        };
        self.in_flight = Some(InFlight { event, open: 1, answered: false, give_up: now + ANSWER_MAX });
        event
    }

    /// Peers that have everything, as it last said.
    pub fn seeds(&self) -> Option<u32> {
        self.seeds
    }

    /// Peers that have not.
    pub fn leechers(&self) -> Option<u32> {
        self.leechers
    }

    /// Takes an answer in. True when it is the first one to this announce.
    fn finish(&mut self, told: Told, now: Time) -> bool {
        let Some(flight) = &mut self.in_flight else { return false };
        flight.open = flight.open.saturating_sub(1);
        let first = !flight.answered;
        flight.answered = true;
        let event = flight.event;
        if flight.open == 0 {
            self.in_flight = None;
        }
        let interval = told.interval.unwrap_or(INTERVAL_DEFAULT).clamp(INTERVAL_MIN, INTERVAL_MAX);
        let early_default = if self.reach.is_udp() { EARLY_DEFAULT_UDP } else { EARLY_DEFAULT };
        let early = told.interval_min.unwrap_or(early_default).clamp(INTERVAL_MIN, INTERVAL_MAX).min(interval);
        self.fails = 0;
        self.failure = None;
        self.warning = told.warning;
        self.seeds = told.seeds.or(self.seeds);
        self.leechers = told.leechers.or(self.leechers);
        self.completed = told.completed.or(self.completed);
        self.tracker_id = told.tracker_id.or(self.tracker_id.take());
        self.early = now + early;
        match event {
            TrackerEvent::Completed => self.completed_due = false,
            _ => self.started = true,
        }
        // `completed` is an event of its own and waits for no interval (BEP 3).
        self.next = if self.completed_due { now } else { now + interval };
        first
    }
}

impl TrackerUrl {
    fn is_udp(&self) -> bool {
        matches!(self.place, url::Place::Udp { .. })
    }
}

/// libtorrent's `announce_entry.cpp` with `tracker_backoff` 250 %.
fn back_off(fails: u32) -> Span {
    let fails = u64::from(fails.min(100));
    Span::from_millis(5_000 + fails * fails * 12_500).min(Span::from_secs(3600))
}
