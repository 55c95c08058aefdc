//! The curves X1 to X8: questions across networks, one picture each.

use super::Runs;
use crate::outcome::{Axis, Plot, Style};

pub(super) fn all(runs: &Runs<'_>) -> Vec<Plot> {
    let users = || Axis::logarithmic("users", "");
    let mut plots = vec![
        by_size(
            runs,
            "x1-messages",
            "X1. What does a search cost that finds something?",
            Axis::logarithmic("messages of a successful search", ""),
            "messages of a successful search",
        ),
        popularity(runs, "x2-answered", "X2. Are rare files found?", "searches answered", 1),
        popularity(runs, "x2-recall", "X2. How many of the copies are named?", "recall", 2),
        rows(
            runs,
            "x3-at-once",
            "X3. How many failures does it take? At once",
            ("users that have vanished", false),
            "searches answered",
            "failures",
            0,
        ),
        rows(
            runs,
            "x3-repaired",
            "X3. How many failures does it take? After repair",
            ("users that have vanished", false),
            "searches answered",
            "failures",
            1,
        ),
        rows(runs, "x4-answered", "X4. How long must users stay?", ("mean session (s)", true), "searches answered", "churn", 0),
        rows(runs, "x4-bytes", "X4. What do short sessions cost?", ("mean session (s)", true), "bytes of a node (B/s)", "churn", 1),
        load(runs),
        by_size(
            runs,
            "x6-state",
            "X6. How much does a node keep?",
            Axis::logarithmic("bytes of state of a user", "B"),
            "bytes of state of a user",
        ),
        by_size(
            runs,
            "x6-most",
            "X6. How much does the fullest node keep?",
            Axis::logarithmic("bytes of state", "B"),
            "bytes of state, the most of any node",
        ),
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
    ];
    // Two more that the promised hops want.
    plots.push(by_size(
        runs,
        "time",
        "How long does the first answer take?",
        Axis::linear("mean delays until the first answer, median", ""),
        "first answer, median, in mean delays",
    ));
    plots.push(by_size(
        runs,
        "scope",
        "How many indexes does a search consult?",
        Axis::logarithmic("indexes consulted", ""),
        "indexes consulted by a search",
    ));
    plots.retain(|plot| plot.series.iter().any(|series| !series.points.is_empty()));
    for plot in &mut plots {
        if plot.x.label == "users" {
            plot.x = users();
        }
    }
    plots
}

fn by_size(runs: &Runs<'_>, name: &str, question: &str, y: Axis, row: &str) -> Plot {
    let mut plot = Plot::new(name, question, Axis::logarithmic("users", ""), y);
    for network in &runs.networks {
        let points = runs.sizes(network).into_iter().filter_map(|size| Some((f64::from(size), runs.figure(network, size, row)?.mean)));
        plot.add(*network, Style::Line, points.collect::<Vec<_>>());
    }
    plot
}

fn popularity(runs: &Runs<'_>, name: &str, question: &str, label: &str, column: usize) -> Plot {
    rows(runs, name, question, ("rank of the file asked for, from", true), label, "popularity", column)
}

fn rows(runs: &Runs<'_>, name: &str, question: &str, (x, logarithmic): (&str, bool), y: &str, table: &str, column: usize) -> Plot {
    let x = if logarithmic { Axis::logarithmic(x, "") } else { Axis::linear(x, "share") };
    let unit = if y.ends_with(')') { "" } else { "share" };
    let mut plot = Plot::new(name, question, x, Axis::linear(y, unit));
    for network in &runs.networks {
        let rows = runs.rows(network, runs.largest(network), table);
        plot.add(*network, Style::Line, rows.iter().filter_map(|(key, row)| Some((super::number(key)?, *row.get(column)?))));
    }
    plot
}

fn load(runs: &Runs<'_>) -> Plot {
    let mut plot = Plot::new(
        "x5-load",
        "X5. How evenly is the load spread?",
        Axis::logarithmic("bytes over the mean of all nodes", ""),
        Axis::linear("nodes with at most so much", "share"),
    );
    for network in &runs.networks {
        let rows = runs.rows(network, runs.largest(network), "load");
        plot.add(*network, Style::Line, rows.iter().filter_map(|(share, row)| Some((*row.first()?, super::number(share)?))));
    }
    plot
}

fn attacks(runs: &Runs<'_>) -> Plot {
    let names: Vec<String> = (1..).zip(&runs.networks).map(|(number, name)| format!("{number} {name}")).collect();
    let mut plot = Plot::new(
        "x8-attacks",
        "X8. Who survives the death of the one percent that matters most?",
        Axis::linear(&names.join(" · "), ""),
        Axis::linear("searches answered", "share"),
    );
    for (how, column, words) in [
        ("by load", 1, "busiest, at once"),
        ("by load", 2, "busiest, repaired"),
        ("by links", 1, "best linked, at once"),
        ("by links", 2, "best linked, repaired"),
    ] {
        let point = |(number, network): (u32, &&str)| {
            let rows = runs.rows(network, runs.largest(network), "attacks");
            let row = rows.into_iter().find(|(key, _)| super::tables::text(key) == how)?;
            Some((f64::from(number), *row.1.get(column)?))
        };
        plot.add(words, Style::Points, (1..).zip(&runs.networks).filter_map(point));
    }
    plot
}
