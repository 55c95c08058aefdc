//! Rings that took no time, and who knows what is right in them.

use hexad_chord::id::RingId as _;
use hexad_chord::{Chord, Config, Contact as _, Found, Key, Packed, Place as _, Reply, Request, Ring, Settings, Stage, Table};
use hexad_core::{Operation, Progress, Span, Time};

use crate::{Lab, LabConfig, Latency, NodeIndex, Purpose, dice};

pub(super) type ChordLab = Lab<Chord<u32>>;

/// All places of a world, in the order of the ring.
#[derive(Clone, Debug)]
pub(super) struct Oracle {
    /// Sorted by id.
    places: Vec<(u64, Packed)>,
}

impl Oracle {
    /// All virtual nodes of nodes `0..hosts` that `lives` lets through.
    pub(super) fn new(hosts: u32, settings: &Settings, lives: impl Fn(u32) -> bool) -> Self {
        let vnodes = settings.vnodes.max(1);
        let mut places: Vec<(u64, Packed)> = (0..hosts)
            .filter(|&host| lives(host))
            .flat_map(|host| (0..vnodes).filter_map(move |vnode| host.contact(settings.first_vnode.wrapping_add(vnode))))
            .map(|contact| (contact.id(), contact))
            .collect();
        places.sort_unstable();
        assert!(places.windows(2).all(|pair| pair[0].0 != pair[1].0), "no two nodes have one id");
        Self { places }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Who owns a place.
    pub(super) fn owner(&self, place: u64) -> Packed {
        self.at(self.places.partition_point(|&(id, _)| id < place))
    }

    pub(super) fn owner_of(&self, key: &Key) -> Packed {
        self.owner(u64::of_key(key))
    }

    /// The place of a contact in the order of the ring.
    pub(super) fn index(&self, contact: Packed) -> usize {
        self.places.partition_point(|&(id, _)| id < contact.id())
    }

    /// The contact so many places on; counts on round the ring.
    pub(super) fn at(&self, index: usize) -> Packed {
        self.places[index % self.places.len()].1
    }

    /// The pointers of every place as they ought to be, in the order of the ring.
    pub(super) fn rings(&self, settings: &Settings) -> Vec<Ring<u32>> {
        let count = self.places.len();
        // For each finger, where the search for the one of the place before has ended: starts only move clockwise.
        let mut cursors: Vec<usize> =
            (0..64).map(|bit| self.places.partition_point(|&(id, _)| id < self.places[0].0.wrapping_add(1 << bit))).collect();
        let mut wrapped: Vec<bool> = (0..64).map(|bit| self.places[0].0.checked_add(1 << bit).is_none()).collect();
        let mut rings = Vec::with_capacity(count);
        for (index, &(id, me)) in self.places.iter().enumerate() {
            let mut ring = Ring::new(me, Stage::Member);
            let reach = settings.successors.min(count - 1);
            ring.succ = (1..=reach).map(|step| self.at(index + step)).collect();
            ring.prdc = (count > 1).then(|| self.at(index + count - 1));
            ring.nursery = count <= settings.successors;
            match settings.table {
                Table::Fingers => {
                    let gap = if count > 1 { id.wrapping_neg().wrapping_add(self.at(index + 1).id()) } else { u64::MAX };
                    for bit in 0..64_u8 {
                        let start = id.wrapping_add(1 << bit);
                        let cursor = &mut cursors[usize::from(bit)];
                        if start < id && !wrapped[usize::from(bit)] {
                            wrapped[usize::from(bit)] = true;
                            *cursor = 0;
                        }
                        while *cursor < count && self.places[*cursor].0 < start {
                            *cursor += 1;
                        }
                        if 1 << bit <= gap {
                            continue;
                        }
                        let finger = self.at(*cursor);
                        if finger != me && ring.fingers.last() != Some(&finger) && ring.succ.first() != Some(&finger) {
                            ring.fingers.push(finger);
                        }
                    }
                }
                Table::Everybody(_) => ring.fingers = (2..count).map(|step| self.at(index + step)).collect(),
                Table::SuccessorOnly => {}
            }
            rings.push(ring);
        }
        rings
    }

    /// How many of the living nodes' first successors are not what they ought to be.
    pub(super) fn wrong_successors(&self, lab: &ChordLab) -> usize {
        self.count(lab, |ring, index| ring.succ.first() != Some(&self.at(index + 1)))
    }

    /// How many nodes do not have exactly the predecessor and the successor list that they ought to have.
    pub(super) fn not_ideal(&self, lab: &ChordLab, successors: usize) -> usize {
        let count = self.len();
        let reach = successors.min(count - 1);
        self.count(lab, |ring, index| {
            ring.prdc != Some(self.at(index + count - 1))
                || ring.succ.len() < reach
                || (0..reach).any(|step| ring.succ[step] != self.at(index + 1 + step))
        })
    }

    fn count(&self, lab: &ChordLab, wrong: impl Fn(&Ring<u32>, usize) -> bool) -> usize {
        let single = self.len() == 1;
        let wrong = |(index, (_, contact)): (usize, &(u64, Packed))| {
            let ring = lab.node(NodeIndex(contact.addr())).and_then(|node| node.rings().iter().find(|ring| ring.me == *contact));
            !single && ring.is_none_or(|ring| ring.stage != Stage::Member || wrong(ring, index))
        };
        self.places.iter().enumerate().filter(|place| wrong(*place)).count()
    }
}

/// Settings of a ring that nobody maintains, and that believes in nothing but its pointers: what is measured is routing.
pub(super) fn still(successors: usize) -> Settings {
    Settings {
        successors,
        stabilise_every: Span::ZERO,
        repair_every: Span::ZERO,
        round_trips_max: 0,
        suspects_max: 0,
        answer_first: Span::from_millis(500),
        answer_min: Span::from_millis(500),
        answer_max: Span::from_millis(500),
        tries: 1,
        copies: 1,
        copies_acked: 1,
        owner_distance_max: 0,
        ..Settings::default()
    }
}

/// A world of `hosts` nodes in an ideal ring.
pub(super) fn ideal(hosts: u32, settings: &Settings, world: LabConfig) -> (ChordLab, Oracle) {
    let mut lab = Lab::new(LabConfig { keep_reports: false, ..world });
    lab.add_nodes(hosts, Config::from(settings.clone()));
    let oracle = Oracle::new(hosts, settings, |_| true);
    let rings = oracle.rings(settings);
    settle(&mut lab, rings);
    (lab, oracle)
}

/// Gives every node its rings.
pub(super) fn settle(lab: &mut ChordLab, mut rings: Vec<Ring<u32>>) {
    rings.sort_by_key(|ring| (ring.me.addr(), ring.me.vnode()));
    let mut rings = rings.into_iter().peekable();
    while let Some(first) = rings.next() {
        let addr = first.me.addr();
        let mut own = vec![first];
        while let Some(next) = rings.next_if(|ring| ring.me.addr() == addr) {
            own.push(next);
        }
        lab.touch(NodeIndex(addr), |node, context, out| node.adopt(addr, own, context, out));
    }
}

/// A latency for all pairs of about what the paper's simulations have.
pub(super) fn flat(seed: u64) -> LabConfig {
    LabConfig { seed, latency: Latency::constant(Span::from_millis(50)), ..LabConfig::default() }
}

/// One lookup that was asked for, and what came of it.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) from: u32,
    pub(super) key: Key,
    pub(super) found: Option<Found<u32>>,
}

/// Random keys.
pub(super) fn random_key(seed: u64, number: u64) -> Key {
    let mut key = [0; 20];
    dice(seed, Purpose::Workload, 1, number).fill(&mut key);
    Key(key)
}

/// Lets `count` lookups happen, spread over `over`, from random nodes that `may` ask, and returns how each ended. Nothing else may report.
pub(super) fn look_up(
    lab: &mut ChordLab,
    seed: u64,
    count: u64,
    over: Span,
    may: impl Fn(u32) -> bool,
    key_of: impl Fn(u64) -> Key,
) -> Vec<Asked> {
    const CHUNK: u64 = 20_000;
    let mut all = Vec::new();
    let mut number = 0;
    while number < count {
        let mut asked = hexad_core::Map::new();
        let chunk = CHUNK.min(count - number);
        let span = over.mul_f64(fraction(chunk, count));
        let start = lab.now();
        for at in 0..chunk {
            let mut dice = dice(seed, Purpose::Workload, 0, number + at);
            let nodes = u64::from(lab.node_count());
            let from = (0..1000).map(|_| u32::try_from(dice.below(nodes)).unwrap_or(0)).find(|&node| may(node)).unwrap_or(0);
            let key = key_of(number + at);
            let op = lab.start_at(start + span.mul_f64(fraction(at, chunk)), NodeIndex(from), Operation::Own(Request::Lookup(key)));
            asked.insert(op, Asked { from, key, found: None });
        }
        lab.run_until(start + span + Span::from_secs(20));
        for (_, report) in lab.take_reports() {
            if let Progress::Own(Reply::Owner(found)) = report.progress
                && let Some(asked) = asked.get_mut(&report.op)
            {
                asked.found = Some(found);
            }
        }
        all.extend(asked.into_values());
        number += chunk;
    }
    all
}

#[expect(clippy::cast_precision_loss, reason = "a share")]
pub(super) fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// Mean, and values below which 1 %, 50 % and 99 % lie.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    pub(super) mean: f64,
    pub(super) p1: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "figures")]
pub(super) fn spread(mut values: Vec<f64>) -> Spread {
    if values.is_empty() {
        return Spread::default();
    }
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[((values.len() - 1) as f64 * share).round() as usize];
    Spread { mean: values.iter().sum::<f64>() / values.len() as f64, p1: at(0.01), p50: at(0.5), p99: at(0.99), max: at(1.0) }
}

/// How lookups went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lookups {
    pub(super) hops: Spread,
    pub(super) timeouts: Spread,
    /// Share that found nobody.
    pub(super) failed: f64,
    /// Share that found another than the oracle.
    pub(super) wrong: f64,
}

pub(super) fn judge(asked: &[Asked], oracle: &Oracle) -> Lookups {
    let found: Vec<&Found<u32>> = asked.iter().filter_map(|asked| asked.found.as_ref()).collect();
    let wrong = asked.iter().filter(|asked| asked.found.as_ref().is_some_and(|found| found.owner != oracle.owner_of(&asked.key))).count();
    let count = asked.len() as u64;
    Lookups {
        hops: spread(found.iter().map(|found| f64::from(found.hops)).collect()),
        timeouts: spread(found.iter().map(|found| f64::from(found.timeouts)).collect()),
        failed: fraction(count - found.len() as u64, count),
        wrong: fraction(wrong as u64, count),
    }
}

/// Seconds of virtual time.
pub(super) fn seconds(from: Time, to: Time) -> f64 {
    to.since(from).as_secs_f64()
}
