//! What is measured in the common world, and the tables that say it. The names of rows are what `comparison` finds them by.

use hexad_core::{Map, Span};

use super::drive::{Asked, answered};
use super::settled::State;
use super::society::Society;
use crate::outcome::{Cell, Outcome, Table};
use crate::tally::Tally;

/// Counts at a moment, or between two.
pub(super) struct Counted {
    kinds: Map<&'static str, u64>,
    kind_bytes: Map<&'static str, u64>,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    consulted: u64,
}

impl Counted {
    pub(super) fn of(tally: &Tally, consulted: u64) -> Self {
        let kinds = tally.kinds();
        Self {
            messages: kinds.values().map(|count| count.messages).sum(),
            bytes: kinds.values().map(|count| count.bytes).sum(),
            kind_bytes: kinds.iter().map(|(&name, count)| (name, count.bytes)).collect(),
            kinds: kinds.into_iter().map(|(name, count)| (name, count.messages)).collect(),
            consulted,
        }
    }

    pub(super) fn since(&self, before: &Self) -> Self {
        let less = |now: &Map<&'static str, u64>, then: &Map<&'static str, u64>| {
            now.iter().map(|(&name, count)| (name, count - then.get(name).copied().unwrap_or(0))).collect()
        };
        Self {
            kinds: less(&self.kinds, &before.kinds),
            kind_bytes: less(&self.kind_bytes, &before.kind_bytes),
            messages: self.messages - before.messages,
            bytes: self.bytes - before.bytes,
            consulted: self.consulted.saturating_sub(before.consulted),
        }
    }

    pub(super) fn rate(self, span: Span) -> Rate {
        Rate { over: span.as_secs_f64(), counted: self }
    }

    fn of_kinds(&self, kinds: &[&str]) -> (u64, u64) {
        let sum = |of: &Map<&'static str, u64>| kinds.iter().filter_map(|kind| of.get(kind)).sum();
        (sum(&self.kinds), sum(&self.kind_bytes))
    }
}

/// Counts of a time in which nobody wanted anything.
pub(super) struct Rate {
    over: f64,
    counted: Counted,
}

/// What each node had to do while questions were asked.
pub(super) struct Load {
    /// Bytes over its link.
    pub(super) bytes: Vec<u64>,
    /// Queries for which it looked into its index, or saw that it had done so before.
    pub(super) queries: Vec<u64>,
}

/// What came of questions.
pub(super) struct Searches<'a> {
    pub(super) asked: &'a [Asked],
    pub(super) came: &'a Counted,
    pub(super) quiet: &'a Rate,
    pub(super) kinds: &'a [&'static str],
    /// Parts of answers, of which only bytes count.
    pub(super) parts: &'a [&'static str],
    /// How long they were asked and waited for.
    pub(super) elapsed: Span,
    /// A mean delay between two users.
    pub(super) delay: Span,
    pub(super) wanted: usize,
}

/// All that was measured.
pub(super) struct Figures<'a> {
    society: &'a Society,
    main: Table,
    popularity: Table,
    load: Table,
    churn: Table,
    failures: Table,
    attacks: Table,
}

impl<'a> Figures<'a> {
    pub(super) fn new(society: &'a Society) -> Self {
        let mut main = Table::new("figures", "What was measured", &[("figure", ""), ("value", ""), ("unit", "")]);
        let mut say = |figure: &str, value: Cell| main.row([figure.into(), value, "".into()]);
        say("users", society.users.into());
        say("distinct files", society.owners.len().into());
        say("copies of files", society.copies().into());
        say("copies of the most popular file", society.owners[0].len().into());
        Self {
            society,
            main,
            popularity: Table::new(
                "popularity",
                "By the popularity of what was asked for",
                &[("rank from", ""), ("questions", ""), ("answered", "share"), ("recall", "share")],
            ),
            load: Table::new(
                "load",
                "Bytes over a node's link while questions are asked, and queries it handles, over their means",
                &[("share of nodes", ""), ("bytes over mean", ""), ("queries over mean", "")],
            ),
            churn: Table::new("churn", "Users go and come", &[("mean session", "s"), ("answered", "share"), ("bytes of a node", "B/s")]),
            failures: Table::new(
                "failures",
                "Users vanish",
                &[("gone", "share"), ("answered at once", "share"), ("answered after repair", "share")],
            ),
            attacks: Table::new(
                "attacks",
                "The one percent that matters most dies",
                &[("chosen", ""), ("killed", ""), ("answered at once", "share"), ("answered after repair", "share")],
            ),
        }
    }

    fn say(&mut self, figure: &str, value: f64, unit: &str) {
        self.main.row([figure.into(), value.into(), unit.into()]);
    }

    pub(super) fn published(&mut self, begun: usize, done: usize, came: Counted) {
        self.say("publications in effect", share(done, begun), "share");
        self.say("messages while publishing, for each publication", came.messages as f64 / begun.max(1) as f64, "");
    }

    pub(super) fn quiet(&mut self, rate: &Rate) {
        let nodes = f64::from(self.society.users) * rate.over;
        self.say("maintenance messages of a node", rate.counted.messages as f64 / nodes, "1/s");
        self.say("maintenance bytes of a node", rate.counted.bytes as f64 / nodes, "B/s");
    }

    pub(super) fn searched(&mut self, searches: &Searches<'_>) {
        let Searches { asked, came, quiet, kinds, parts, elapsed, delay, wanted } = *searches;
        // What would have been sent anyhow is not the questions'.
        let less = |all: u64, idle: u64| (all as f64 - idle as f64 / quiet.over * elapsed.as_secs_f64()).max(0.0);
        let ((messages, bytes), (idle_messages, idle_bytes)) = (came.of_kinds(kinds), quiet.counted.of_kinds(kinds));
        let bytes = bytes + came.of_kinds(parts).1;
        let count = asked.len().max(1) as f64;
        let good = asked.iter().filter(|asked| asked.first.is_some()).count();
        let messages = less(messages, idle_messages);
        self.say("questions asked", asked.len() as f64, "");
        self.say("messages of a search", messages / count, "");
        self.say("messages of a successful search", if good > 0 { messages / good as f64 } else { f64::INFINITY }, "");
        self.say("bytes of a search", less(bytes, idle_bytes) / count, "B");
        self.say("indexes consulted by a search", less(came.consulted, quiet.counted.consulted) / count, "");
        self.say("searches answered", answered(asked), "share");
        self.say("recall", recall(asked, wanted), "share");
        let mut times: Vec<f64> = asked.iter().filter_map(|asked| asked.first).map(|first| first.as_secs_f64()).collect();
        times.sort_by(f64::total_cmp);
        let at = |part: f64| quantile(&times, part);
        self.say("first answer, median", at(0.5), "s");
        self.say("first answer, 99th percentile", at(0.99), "s");
        self.say("first answer, mean", times.iter().sum::<f64>() / times.len().max(1) as f64, "s");
        self.say("first answer, median, in mean delays", at(0.5) / delay.as_secs_f64(), "");
        let mut from = 0_u32;
        let ranks = u32::try_from(self.society.owners.len()).unwrap_or(u32::MAX);
        for step in 0.. {
            let until = bound(step).min(ranks);
            let here: Vec<&Asked> = asked.iter().filter(|asked| (from..until).contains(&asked.file)).collect();
            if !here.is_empty() {
                let good = here.iter().filter(|asked| asked.first.is_some()).count();
                let named: f64 = here.iter().map(|asked| recalled(asked, wanted)).sum::<f64>() / here.len() as f64;
                self.popularity.row([(from + 1).into(), here.len().into(), share(good, here.len()).into(), named.into()]);
            }
            from = until;
            if from >= ranks {
                break;
            }
        }
    }

    pub(super) fn load(&mut self, load: &Load) {
        let [bytes, queries] = [&load.bytes, &load.queries].map(|load| {
            let mut all: Vec<f64> = load.iter().map(|&load| load as f64).collect();
            all.sort_by(f64::total_cmp);
            let mean = (all.iter().sum::<f64>() / all.len().max(1) as f64).max(1e-9);
            all.iter().map(|load| load / mean).collect::<Vec<f64>>()
        });
        self.say("busiest node over mean", bytes.last().copied().unwrap_or(0.0), "");
        self.say("Gini coefficient of load", gini(&bytes), "");
        self.say("most queries of a node over mean", queries.last().copied().unwrap_or(0.0), "");
        self.say("Gini coefficient of queries handled", gini(&queries), "");
        for part in [0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99, 0.999, 1.0] {
            self.load.row([part.into(), quantile(&bytes, part).into(), quantile(&queries, part).into()]);
        }
    }

    pub(super) fn joined(&mut self, newcomers: u32, messages: u64, bytes: u64, took: &[Span]) {
        let count = f64::from(newcomers.max(1));
        self.say("newcomers who joined", took.len() as f64 / count, "share");
        self.say("messages at a newcomer in two windows", messages as f64 / count, "");
        self.say("bytes at a newcomer in two windows", bytes as f64 / count, "B");
        let mut took: Vec<f64> = took.iter().map(Span::as_secs_f64).collect();
        took.sort_by(f64::total_cmp);
        self.say("a join takes, median", quantile(&took, 0.5), "s");
    }

    pub(super) fn states(&mut self, users: &[State], centre: Option<State>) {
        let all: Vec<State> = users.iter().copied().chain(centre).collect();
        let count = users.len().max(1) as f64;
        for (name, of) in [
            ("routing entries", (|state: &State| state.routing) as fn(&State) -> u64),
            ("entries kept for others", |state| state.kept),
            ("bytes of state", |state| state.bytes),
        ] {
            self.say(&format!("{name} of a user"), users.iter().map(of).sum::<u64>() as f64 / count, "");
            self.say(&format!("{name}, the most of any node"), all.iter().map(of).max().unwrap_or(0) as f64, "");
        }
    }

    pub(super) fn churned(&mut self, mean_s: f64, asked: &[Asked], bytes_per_s: f64) {
        self.churn.row([mean_s.into(), answered(asked).into(), bytes_per_s.into()]);
    }

    pub(super) fn failed(&mut self, gone: f64, before: f64, after: f64) {
        self.failures.row([gone.into(), before.into(), after.into()]);
    }

    pub(super) fn attacked(&mut self, how: &str, killed: usize, before: f64, after: f64) {
        self.attacks.row([how.into(), killed.into(), before.into(), after.into()]);
    }

    pub(super) fn tell(self, outcome: &mut Outcome, how: &str, asked: &str) {
        let tables = [self.main, self.popularity, self.load, self.churn, self.failures, self.attacks];
        outcome.tables.extend(tables.into_iter().filter(|table| !table.rows.is_empty()));
        outcome.remarks.push(format!("{how} Questions are put {asked}."));
    }
}

fn share(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}

fn recalled(asked: &Asked, wanted: usize) -> f64 {
    if asked.thing {
        return 1.0;
    }
    // Who asks for the content and is told of a place behind a translator has found one.
    let named = asked.named.len().max(usize::from(asked.first.is_some()));
    share(named, asked.existing.min(wanted)).min(1.0)
}

fn recall(asked: &[Asked], wanted: usize) -> f64 {
    asked.iter().map(|asked| recalled(asked, wanted)).sum::<f64>() / asked.len().max(1) as f64
}

/// A value of sorted values.
fn quantile(sorted: &[f64], part: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    sorted[((sorted.len() - 1) as f64 * part).round() as usize]
}

/// How unequal sorted values are: 0 where all are the same, 1 where one has all.
fn gini(sorted: &[f64]) -> f64 {
    let (count, sum) = (sorted.len() as f64, sorted.iter().sum::<f64>());
    if sum <= 0.0 {
        return 0.0;
    }
    let weighted: f64 = sorted.iter().enumerate().map(|(at, value)| (at as f64 + 1.0) * value).sum();
    2.0 * weighted / (count * sum) - (count + 1.0) / count
}

/// Ranks below 1, 3, 10, 32, 100 …
fn bound(step: u32) -> u32 {
    let power = 10_u32.saturating_pow(step / 2);
    if step.is_multiple_of(2) { power } else { power.saturating_mul(3) }
}
