//! The curves X1 to X8: questions across networks, one picture each.

use super::{Over, Runs};
use crate::outcome::{Axis, Plot, Style};

pub(super) fn all(runs: &Runs<'_>) -> Vec<Plot> {
    let messages = || Axis::logarithmic("messages of a successful search", "");
    let state = || Axis::logarithmic("bytes of state", "B");
    let gone = ("users that have vanished", "share", false);
    let session = ("mean session", "s", true);
    let (answered, recall) = (("searches answered", "share"), ("recall", "share"));
    let mut plots = vec![
        by_size(runs, "x1-messages", "X1. What does a search cost that finds something?", messages(), "messages of a successful search"),
        popularity(runs, "x2-answered", "X2. Are rare files found?", answered, 1),
        popularity(runs, "x2-recall", "X2. How many of the copies are named?", recall, 2),
        rows(runs, "x3-at-once", "X3. How many failures does it take? At once", gone, answered, "failures", 0),
        rows(runs, "x3-repaired", "X3. How many failures does it take? After repair", gone, answered, "failures", 1),
        rows(runs, "x4-answered", "X4. How long must users stay?", session, answered, "churn", 0),
        rows(runs, "x4-bytes", "X4. What do short sessions cost?", session, ("bytes of a node", "B/s"), "churn", 1),
        load(
            runs,
            "x5-load",
            ("X5. How evenly is the load spread? In bytes", "bytes over the mean of all nodes"),
            "Gini coefficient of load",
            0,
        ),
        load(
            runs,
            "x5-queries",
            ("X5. How evenly is the load spread? In queries handled", "queries over the mean of all nodes"),
            "Gini coefficient of queries handled",
            1,
        ),
        by_size(runs, "x6-state", "X6. How much does a node keep?", state(), "bytes of state of a user"),
        by_size(runs, "x6-most", "X6. How much does the fullest node keep?", state(), "bytes of state, the most of any node"),
        by_size(
            runs,
            "x7-join",
            "X7. What does it cost to join?",
            Axis::logarithmic("messages at a newcomer", ""),
            "messages at a newcomer in two windows",
        ),
        by_size(
            runs,
            "x7-bytes",
            "X7. What does it cost to join, in bytes?",
            Axis::logarithmic("bytes at a newcomer", "B"),
            "bytes at a newcomer in two windows",
        ),
        attacks(runs),
        // Two more that the promised hops want.
        by_size(
            runs,
            "time",
            "How long does the first answer take?",
            Axis::linear("median until the first answer", "mean delays"),
            "first answer, median, in mean delays",
        ),
        by_size(
            runs,
            "scope",
            "How many indexes does a search consult?",
            Axis::logarithmic("indexes consulted", ""),
            "indexes consulted by a search",
        ),
    ];
    plots.retain(|plot| plot.series.iter().any(|series| !series.points.is_empty()));
    plots
}

/// A point, and how far away from it the true value may be upwards.
fn upright(x: f64, over: Over) -> ((f64, f64), (f64, f64)) {
    ((x, over.mean), (0.0, over.interval))
}

fn by_size(runs: &Runs<'_>, name: &str, question: &str, y: Axis, row: &str) -> Plot {
    let mut plot = Plot::new(name, question, Axis::logarithmic("users", ""), y);
    for network in &runs.networks {
        let points = runs.sizes(network).into_iter().filter_map(|size| Some(upright(f64::from(size), runs.figure(network, size, row)?)));
        plot.add_spread(*network, Style::Line, points);
    }
    plot
}

fn popularity(runs: &Runs<'_>, name: &str, question: &str, y: (&str, &str), column: usize) -> Plot {
    rows(runs, name, question, ("rank of the file asked for, from", "", true), y, "popularity", column)
}

fn rows(
    runs: &Runs<'_>,
    name: &str,
    question: &str,
    (x, x_unit, logarithmic): (&str, &str, bool),
    (y, y_unit): (&str, &str),
    table: &str,
    column: usize,
) -> Plot {
    let x = if logarithmic { Axis::logarithmic(x, x_unit) } else { Axis::linear(x, x_unit) };
    let mut plot = Plot::new(name, question, x, Axis::linear(y, y_unit));
    for network in &runs.networks {
        let rows = runs.rows(network, runs.largest(network), table);
        let points = rows.iter().filter_map(|(key, row)| Some(upright(super::number(key)?, (*row.get(column)?)?)));
        plot.add_spread(*network, Style::Line, points);
    }
    plot
}

/// How a load is spread over nodes: of the table `load`, with its Gini coefficient.
fn load(runs: &Runs<'_>, name: &str, (question, axis): (&str, &str), gini: &str, column: usize) -> Plot {
    let mut plot = Plot::new(name, question, Axis::logarithmic(axis, ""), Axis::linear("nodes with at most so much", "share"));
    for network in &runs.networks {
        let size = runs.largest(network);
        let label = match runs.figure(network, size, gini) {
            Some(gini) => format!("{network}, Gini {:.2}", gini.mean),
            None => (*network).to_owned(),
        };
        let rows = runs.rows(network, size, "load");
        let points = rows.iter().filter_map(|(share, row)| {
            let load = (*row.get(column)?)?;
            Some(((load.mean, super::number(share)?), (load.interval, 0.0)))
        });
        plot.add_spread(label, Style::Line, points);
    }
    plot
}

/// Points of several series stand beside each other so far apart.
const APART: f64 = 0.12;

fn attacks(runs: &Runs<'_>) -> Plot {
    let mut plot = Plot::new(
        "x8-attacks",
        "X8. Who survives the death of the one percent that matters most?",
        Axis::of_names("network", runs.networks.iter().copied()),
        Axis::linear("searches answered", "share"),
    );
    let shown = [
        ("by load", 1, "busiest, at once"),
        ("by load", 2, "busiest, repaired"),
        ("by links", 1, "best linked, at once"),
        ("by links", 2, "best linked, repaired"),
        ("next to a key", 1, "next to a key, at once"),
        ("next to a key", 2, "next to a key, repaired"),
    ];
    for ((how, column, words), beside) in shown.into_iter().zip(-2_i32..) {
        let at = f64::from(beside) * APART - APART / 2.0;
        let point = |(number, network): (u32, &&str)| {
            let rows = runs.rows(network, runs.largest(network), "attacks");
            let row = rows.into_iter().find(|(key, _)| key.words() == how)?;
            Some(upright(f64::from(number) + at, (*row.1.get(column)?)?))
        };
        plot.add_spread(words, Style::Points, (1..).zip(&runs.networks).filter_map(point));
    }
    plot
}
