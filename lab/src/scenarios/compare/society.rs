//! The world that all six networks see: who there is, who has which file, who asks for what, who comes and goes. Every draw is from a counter of
//! the lab's streams, so that it is the same whatever network runs in it.

use hexad_core::{Address as _, Dice, Endpoint, Span};

use crate::scenario::Params;
use crate::{Purpose, dice};

/// Streams of the workload, apart from those of other scenarios.
const PLACEMENT: u32 = 0x5000_0000;
const QUESTIONS: u32 = 0x5000_0001;
const ACQUAINTANCES: u32 = 0x5000_0002;
const ORDER: u32 = 0x5000_0003;
const HOMES: u32 = 0x5000_0004;
/// No file has more copies than one user in so many.
const LARGEST_SHARE: u32 = 10;

/// Which files are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taste {
    /// As popular as they are.
    Popular,
    /// Those of which there is one copy only.
    Rare,
    /// Any.
    Even,
}

/// The world, before any network is in it.
pub(super) struct Society {
    pub(super) seed: u64,
    /// Nodes `0..users`; newcomers have the numbers after theirs.
    pub(super) users: u32,
    pub(super) newcomers: u32,
    /// Who has file number `r`, in the order of their numbers; file 0 is the most popular.
    pub(super) owners: Vec<Vec<u32>>,
    /// Of what all periods are made.
    pub(super) window: Span,
    pub(super) queries: u32,
    pub(super) taste: Taste,
    /// One user in so many is fit to serve others: never behind a translator, and a supernode where there are any.
    pub(super) fit_each: u32,
    pub(super) nat_percent: u32,
    pub(super) slow_percent: u32,
    pub(super) slow_by: Span,
    pub(super) ttl: u8,
    pub(super) training: u32,
    /// Answers that are enough.
    pub(super) wanted: usize,
    cumulative: Vec<f64>,
}

impl Society {
    pub(super) fn new(params: &Params) -> Result<Self, String> {
        let (users, seed) = (params.nodes(), params.seed());
        if users < 20 {
            return Err("nodes: expected at least 20".into());
        }
        let copies = (f64::from(users) * params.number("files-each")).max(1.0);
        let distinct = ((f64::from(users) * params.number("distinct-each")) as usize).clamp(1, 1 << 22);
        let weights: Vec<f64> = (1..=distinct).map(|rank| (rank as f64).powf(-params.number("zipf"))).collect();
        let all: f64 = weights.iter().sum();
        let mut cumulative = Vec::with_capacity(distinct);
        let mut owners = Vec::with_capacity(distinct);
        let mut sum = 0.0;
        for (rank, weight) in (0_u32..).zip(&weights) {
            sum += weight / all;
            cumulative.push(sum);
            let wanted = ((copies * weight / all).round() as usize).clamp(1, (users / LARGEST_SHARE).max(1) as usize);
            let mut dice = dice(seed, Purpose::Workload, PLACEMENT, rank.into());
            let mut having = hexad_core::Set::new();
            while having.len() < wanted {
                having.insert(below(&mut dice, users));
            }
            owners.push(having.into_iter().collect());
        }
        Ok(Self {
            seed,
            users,
            newcomers: params.small_count("newcomers").min(users),
            owners,
            window: params.span("window"),
            queries: params.small_count("queries"),
            taste: match params.choice("ask") {
                "rare" => Taste::Rare,
                "even" => Taste::Even,
                _ => Taste::Popular,
            },
            fit_each: params.small_count("leaves").max(1),
            nat_percent: params.small_count("nat-percent").min(100),
            slow_percent: params.small_count("slow-percent").min(100),
            slow_by: params.span("slow-by"),
            ttl: u8::try_from(params.count("ttl")).unwrap_or(u8::MAX),
            training: params.small_count("training").min(20),
            wanted: 100,
            cumulative,
        })
    }

    /// How many copies there are in all.
    pub(super) fn copies(&self) -> usize {
        self.owners.iter().map(Vec::len).sum()
    }

    /// The word that is in the name of a file, and in no other's.
    pub(super) fn word(file: u32) -> String {
        format!("f{file}x")
    }

    /// Whether a user is fit to serve others.
    pub(super) fn is_fit(&self, user: u32) -> bool {
        user.is_multiple_of(self.fit_each)
    }

    pub(super) fn is_behind_nat(&self, user: u32) -> bool {
        self.nat_percent > 0
            && !self.is_fit(user)
            && dice(self.seed, Purpose::Topology, HOMES, user.into()).below(100) < self.nat_percent.into()
    }

    pub(super) fn is_slow(&self, user: u32) -> bool {
        let mut dice = dice(self.seed, Purpose::Topology, HOMES, (1 << 32) | u64::from(user));
        self.slow_percent > 0 && !self.is_fit(user) && dice.below(100) < self.slow_percent.into()
    }

    /// Whom somebody knows when he joins for the `turn`th time: some of those who came before him and can be reached.
    pub(super) fn acquaintances(&self, user: u32, turn: u64, count: usize, fit_only: bool) -> Vec<u32> {
        let before = user.min(self.users);
        let before = if turn == 0 { before } else { self.users };
        let mut dice = dice(self.seed, Purpose::Topology, ACQUAINTANCES, mixed(user, turn));
        let mut known = Vec::new();
        for _ in 0..count * 50 {
            if known.len() == count || before == 0 {
                break;
            }
            let mut other = below(&mut dice, before);
            if fit_only {
                other -= other % self.fit_each;
            }
            if other != user && !known.contains(&other) && !self.is_behind_nat(other) {
                known.push(other);
            }
        }
        known
    }

    /// The same as addresses.
    pub(super) fn bootstrap(&self, user: u32, turn: u64, count: usize, fit_only: bool) -> Vec<Endpoint> {
        self.acquaintances(user, turn, count, fit_only).into_iter().map(Endpoint::of_lab_node).collect()
    }

    /// Question number `number` of a series: who asks for which file. Nobody asks for what he has; `up` says who is there, and a file of which
    /// nobody else who is there has a copy is not asked for, unless there is no other. Where there is an `only` file, all ask for that.
    pub(super) fn question(&self, series: u64, number: u64, only: Option<u32>, up: &dyn Fn(u32) -> bool) -> Option<(u32, u32)> {
        let mut dice = dice(self.seed, Purpose::Workload, QUESTIONS, (series << 32) | number);
        for _ in 0..200 {
            let file = only.unwrap_or_else(|| self.file(&mut dice));
            let owners = &self.owners[file as usize];
            let asker = below(&mut dice, self.users);
            if up(asker) && owners.binary_search(&asker).is_err() && owners.iter().any(|&owner| up(owner)) {
                return Some((asker, file));
            }
        }
        None
    }

    fn file(&self, dice: &mut Dice) -> u32 {
        let count = u32::try_from(self.owners.len()).unwrap_or(u32::MAX);
        let popular = |dice: &mut Dice| {
            let draw = dice.unit();
            u32::try_from(self.cumulative.partition_point(|&sum| sum < draw)).unwrap_or(0).min(count - 1)
        };
        match self.taste {
            Taste::Popular => popular(dice),
            Taste::Even => below(dice, count),
            Taste::Rare => {
                let first = u32::try_from(self.owners.partition_point(|owners| owners.len() > 1)).unwrap_or(0).min(count - 1);
                first + below(dice, count - first)
            }
        }
    }

    /// All users in an order by chance.
    pub(super) fn shuffled(&self, turn: u64) -> Vec<u32> {
        let mut all: Vec<u32> = (0..self.users).collect();
        dice(self.seed, Purpose::Churn, ORDER, turn).shuffle(&mut all);
        all
    }

    /// When users go and come within a period, from who is there at its beginning: how long after it, who, whether he comes. Sessions last `mean` on
    /// average, and so does a quarter of it what lies between them; both are exponential.
    pub(super) fn comings(&self, rung: u64, mean: Span, period: Span, up: &dyn Fn(u32) -> bool) -> Vec<(Span, u32, bool)> {
        let mut all = Vec::new();
        for user in 0..self.users {
            let mut dice = dice(self.seed, Purpose::Churn, user, rung);
            let (mut at, mut here) = (Span::ZERO, up(user));
            loop {
                let mean = if here { mean } else { mean / 4 };
                at += mean.mul_f64(-(1.0 - dice.unit()).max(1e-12).ln());
                if at >= period {
                    break;
                }
                here = !here;
                all.push((at, user, here));
            }
        }
        all.sort_unstable();
        all
    }
}

/// A number below a bound.
pub(super) fn below(dice: &mut Dice, bound: u32) -> u32 {
    u32::try_from(dice.below(bound.max(1).into())).unwrap_or(0)
}

fn mixed(user: u32, turn: u64) -> u64 {
    (turn << 32) | u64::from(user)
}
