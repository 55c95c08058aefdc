//! Which networks have a part in a fetch, which of them are to be tried once more, and when nothing can come from any.

use std::time::{Duration, Instant};

use hexad_api::{Event, Problem};
use hexad_core::{LeaseId, OpId};

use super::{Fetch, REST_MAX};
use crate::books::Books;
use crate::listener::{PartLook, Word};
use crate::part::Part;
use crate::source::unnumbered;

/// How long a part that has failed rests in a fetch that does not give up, at first.
const REST: Duration = Duration::from_secs(15);
/// How long a network may think that all is done before it is asked again.
const IDLE: Duration = Duration::from_secs(3);

impl Fetch {
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
}
