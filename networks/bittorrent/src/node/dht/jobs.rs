//! What is being looked up: each job is one lookup in every address family that we take part in.

use std::net::SocketAddr;

use hexad_core::{Map, Set, Span, Time};

use super::id::NodeId;
use super::lookups::Lookup;
use super::quests::Quest;

/// Announces, searches and the like under way at a time; what is beyond waits.
const WANTED_MAX: usize = 8;
/// Refreshes of buckets under way at a time.
const REFRESHES_MAX: usize = 2;
/// A job is over after this, whoever still dangles nearer nodes before it.
const DEADLINE: Span = Span::from_secs(20);
/// Peers taken in one job.
const PEERS_MAX: usize = 500;

/// What a job is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// To find our neighbours.
    Join,
    /// To keep a bucket alive.
    Refresh,
    /// To find the peers of a torrent of ours, and to announce ourselves.
    Announce([u8; 20]),
    /// To find the peers of a torrent, for whoever asked under that key.
    Search(u64),
    /// To find a stored value, for whoever asked under that key.
    Get(u64),
    /// To have a value stored, for whoever asked under that key.
    Put(u64),
    /// To count who is in a swarm, for whoever asked under that key.
    Scrape(u64),
    /// To hear of torrents, for whoever asked under that key.
    Sample(u64),
}

impl Goal {
    /// Whether peers are looked for, or just nodes.
    pub fn wants_peers(self) -> bool {
        matches!(self, Self::Announce(_) | Self::Search(_))
    }

    /// Whether it is somebody's wish, and not for our table.
    fn is_wanted(self) -> bool {
        !matches!(self, Self::Join | Self::Refresh)
    }
}

/// One job.
#[derive(Debug)]
pub(super) struct Job {
    pub goal: Goal,
    pub target: NodeId,
    /// IPv4, IPv6.
    pub lookups: [Option<Lookup>; 2],
    /// Peers found.
    pub peers: Set<SocketAddr>,
    /// What of stored values is wanted.
    pub quest: Option<Box<Quest>>,
    until: Time,
}

impl Job {
    /// Takes in peers that an answer names, and returns those that are new.
    pub fn found(&mut self, peers: impl Iterator<Item = SocketAddr>) -> Vec<SocketAddr> {
        let room = PEERS_MAX.saturating_sub(self.peers.len());
        let fresh: Vec<SocketAddr> = peers.filter(|peer| !self.peers.contains(peer)).take(room).collect();
        self.peers.extend(&fresh);
        fresh
    }

    /// Has come to enough.
    pub fn end(&mut self, now: Time) {
        self.until = self.until.min(now);
    }

    /// Whether it is over.
    pub fn is_done(&self, now: Time) -> bool {
        now >= self.until || self.lookups.iter().flatten().all(|lookup| lookup.is_done(now))
    }

    /// When [`Self::is_done`] may say something else without anything being heard.
    pub fn next_look(&self, now: Time) -> Time {
        self.lookups.iter().flatten().filter_map(|lookup| lookup.next_look(now)).min().map_or(self.until, |at| at.min(self.until))
    }

    /// How many nodes near the target have answered, in all families.
    pub fn answered(&self) -> usize {
        self.lookups.iter().flatten().map(|lookup| lookup.closest().count()).sum()
    }
}

/// All jobs under way.
#[derive(Debug)]
pub(super) struct Jobs {
    running: Map<u64, Job>,
    last: u64,
}

impl Jobs {
    pub const fn new() -> Self {
        Self { running: Map::new(), last: 0 }
    }

    /// Whether another job of that kind may begin.
    pub fn has_room_for(&self, goal: Goal) -> bool {
        let running = |same: fn(Goal) -> bool| self.running.values().filter(|job| same(job.goal)).count();
        match goal {
            Goal::Join => running(|goal| goal == Goal::Join) == 0,
            Goal::Refresh => running(|goal| goal == Goal::Refresh) < REFRESHES_MAX,
            Goal::Announce(_) | Goal::Search(_) | Goal::Get(_) | Goal::Put(_) | Goal::Scrape(_) | Goal::Sample(_) => {
                running(Goal::is_wanted) < WANTED_MAX
            }
        }
    }

    /// Begins a job; returns its number.
    pub fn begin(&mut self, goal: Goal, target: NodeId, lookups: [Option<Lookup>; 2], now: Time) -> u64 {
        self.last += 1;
        self.running.insert(self.last, Job { goal, target, lookups, peers: Set::new(), quest: None, until: now + DEADLINE });
        self.last
    }

    /// The job of that number.
    pub fn get_mut(&mut self, number: u64) -> Option<&mut Job> {
        self.running.get_mut(&number)
    }

    /// All jobs.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Job)> {
        self.running.iter_mut().map(|(&number, job)| (number, job))
    }

    /// Reads it, see [`super::Dht::warm`].
    pub fn warm(&self) -> usize {
        self.running.len()
    }

    /// Takes one that is over.
    pub fn take_done(&mut self, now: Time) -> Option<Job> {
        let number = self.running.iter().find(|(_, job)| job.is_done(now)).map(|(&number, _)| number)?;
        self.running.remove(&number)
    }

    /// Drops what is done for a torrent that is no longer announced.
    pub fn drop_announce(&mut self, info_hash: &[u8; 20]) {
        self.running.retain(|_, job| job.goal != Goal::Announce(*info_hash));
    }

    /// When the next job may be over, or may ask on.
    pub fn next_look(&self, now: Time) -> Option<Time> {
        self.running.values().map(|job| job.next_look(now)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_and_what_they_find_are_bounded() {
        let mut jobs = Jobs::new();
        let lookups = || [Some(Lookup::new(NodeId([0; 20]), false)), None];
        let mut begun = 0;
        while jobs.has_room_for(Goal::Search(begun)) {
            jobs.begin(Goal::Search(begun), NodeId([0; 20]), lookups(), Time::ZERO);
            begun += 1;
        }
        assert_eq!(begun, WANTED_MAX as u64);
        assert!(jobs.has_room_for(Goal::Join) && jobs.has_room_for(Goal::Refresh) && !jobs.has_room_for(Goal::Announce([0; 20])));
        let (_, job) = jobs.iter_mut().next().unwrap();
        let flood = (0..60_000).map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        assert_eq!(job.found(flood.clone()).len(), PEERS_MAX);
        assert!(job.found(flood).is_empty());
    }

    #[test]
    fn a_job_ends_at_its_deadline_however_many_nearer_nodes_are_dangled() {
        let mut jobs = Jobs::new();
        let mut lookup = Lookup::new(NodeId([0; 20]), false);
        lookup.add(None, SocketAddr::from(([127, 0, 0, 1], 1)), None);
        jobs.begin(Goal::Join, NodeId([0; 20]), [Some(lookup), None], Time::ZERO);
        assert!(jobs.take_done(Time::ZERO + Span::from_secs(19)).is_none());
        assert!(jobs.take_done(Time::ZERO + DEADLINE).is_some());
        assert_eq!(jobs.next_look(Time::ZERO), None);
    }
}
