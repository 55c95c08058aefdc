//! The tables that runs of the common world make together.

use super::{Over, Runs};
use crate::fit::Fit;
use crate::outcome::{Cell, Table, figure};

/// What the document and the designs' papers lead one to expect, in words: claims.md A.
const EXPECTED: &[(&str, [&str; 6])] = &[
    (
        "napster",
        [
            "2",
            "1 server",
            "2",
            "client O(1), server O(N·F)",
            "1 + F records",
            "all online files found; the server is the one point of failure",
        ],
    ),
    (
        "gnutella",
        [
            "Σ C(C-1)^(t-1), at most 2E-N+1",
            "up to N",
            "up to D out, D back",
            "O(C)",
            "O(C) and pings",
            "none beyond the horizon; no single point",
        ],
    ),
    (
        "kazaa",
        [
            "1 + flood among S",
            "up to S supernodes",
            "2 + 2D'",
            "leaf O(1), supernode O(N/S·F)",
            "1 + F records",
            "none; a supernode's loss hits its leaves",
        ],
    ),
    (
        "bittorrent",
        [
            "O(log N) by DHT",
            "1 swarm",
            "2 (tracker)",
            "peer set 40–80",
            "1 announce and handshakes",
            "completes while one distributed copy exists",
        ],
    ),
    (
        "freenet",
        [
            "at most HTL times a small factor",
            "at most HTL nodes",
            "O(log² N) in an ideal small world",
            "table and store",
            "O(1) and learning",
            "none; data may vanish",
        ],
    ),
    (
        "chord",
        [
            "½ log2 N lookups' hops, there and back",
            "1 owner and copies",
            "½ log2 N",
            "O(log N) + r",
            "O(log² N)",
            "found if stored and the ring is whole",
        ],
    ),
];

pub(super) fn all(runs: &Runs<'_>) -> Vec<Table> {
    vec![main(runs), expected(runs), slopes(runs), seldom(runs), raw(runs)]
}

/// A mean with its interval, where there is one.
fn said(over: Option<Over>) -> Cell {
    match over {
        None => Cell::Empty,
        Some(Over { mean, interval }) if interval > 0.0 => with_interval(mean, interval).into(),
        Some(Over { mean, .. }) => mean.into(),
    }
}

/// Two digits of the interval, and no digit of the mean that it makes doubtful.
fn with_interval(mean: f64, interval: f64) -> String {
    let digits = (1.0 - interval.log10().floor()).clamp(0.0, 9.0) as usize;
    format!("{mean:.digits$} ±{interval:.digits$}")
}

/// The figures of the main table: its column, unit, and the row of a run.
const MAIN: &[(&str, &str, &str)] = &[
    ("messages of a search", "", "messages of a search"),
    ("of a successful one", "", "messages of a successful search"),
    ("indexes consulted", "", "indexes consulted by a search"),
    ("first answer", "s", "first answer, median"),
    ("in mean delays", "", "first answer, median, in mean delays"),
    ("searches answered", "share", "searches answered"),
    ("recall", "share", "recall"),
    ("bytes of a search", "B", "bytes of a search"),
    ("routing entries", "", "routing entries of a user"),
    ("bytes of state", "B", "bytes of state of a user"),
    ("the most of any node", "B", "bytes of state, the most of any node"),
    ("messages of a join", "", "messages at a newcomer in two windows"),
    ("a join takes", "s", "a join takes, median"),
    ("maintenance", "B/s", "maintenance bytes of a node"),
    ("busiest over mean", "", "busiest node over mean"),
    ("Gini", "", "Gini coefficient of load"),
    ("Gini of queries", "", "Gini coefficient of queries handled"),
];

/// The six-way table, each network at its largest.
fn main(runs: &Runs<'_>) -> Table {
    let columns: Vec<(&str, &str)> =
        [("network", ""), ("users", "")].into_iter().chain(MAIN.iter().map(|&(name, unit, _)| (name, unit))).collect();
    let mut table = Table::new("networks", "Networks in the same world: what was measured", &columns);
    for name in &runs.networks {
        let size = runs.largest(name);
        let cells = MAIN.iter().map(|(_, _, row)| said(runs.figure(name, size, row)));
        table.rows.push([Cell::from(*name), size.into()].into_iter().chain(cells).collect());
    }
    table
}

fn expected(runs: &Runs<'_>) -> Table {
    let columns = [
        ("network", ""),
        ("search messages", ""),
        ("scope", ""),
        ("hops", ""),
        ("state of a node", ""),
        ("join", ""),
        ("guarantee and weakness", ""),
    ];
    let mut table = Table::new("expected", "What the designs promise (claims A), to be held against the table above", &columns);
    for (name, words) in EXPECTED.iter().filter(|(name, _)| runs.networks.contains(name)) {
        table.rows.push(std::iter::once(Cell::from(*name)).chain(words.iter().map(|&word| word.into())).collect());
    }
    table
}

/// How messages of a search grow with the number of users.
fn slopes(runs: &Runs<'_>) -> Table {
    let columns = [
        ("network", ""),
        ("sizes", ""),
        ("exponent of messages", ""),
        ("R² of messages over log N", ""),
        ("exponent of indexes consulted", ""),
        ("exponent of bytes of state", ""),
        ("exponent of messages of a join", ""),
    ];
    let mut table = Table::new(
        "growth",
        "How figures grow with the number of users N: the slope of log over log, 0 for constant, 1 for linear",
        &columns,
    );
    for name in &runs.networks {
        let sizes = runs.sizes(name);
        let points = |row: &str| -> Vec<(f64, f64)> {
            sizes.iter().filter_map(|&size| Some((f64::from(size), runs.figure(name, size, row)?.mean))).collect()
        };
        let exponent = |row: &str| -> Cell {
            let logs: Vec<(f64, f64)> = points(row).into_iter().filter(|(_, y)| *y > 0.0).map(|(x, y)| (x.ln(), y.ln())).collect();
            if logs.len() < 2 { Cell::Empty } else { Fit::of(&logs).slope.into() }
        };
        let logarithmic: Vec<(f64, f64)> = points("messages of a search").into_iter().map(|(x, y)| (x.ln(), y)).collect();
        let explained = match Fit::of(&logarithmic).explained {
            _ if logarithmic.len() < 3 => Cell::Empty,
            Some(share) => share.into(),
            None => "no variation".into(),
        };
        table.rows.push(vec![
            (*name).into(),
            sizes.len().into(),
            exponent("messages of a search"),
            explained,
            exponent("indexes consulted by a search"),
            exponent("bytes of state of a user"),
            exponent("messages at a newcomer in two windows"),
        ]);
    }
    table
}

/// Under churn, failures and attacks.
fn seldom(runs: &Runs<'_>) -> Table {
    let columns =
        [("network", ""), ("trouble", ""), ("answered at once", "share"), ("answered after repair", "share"), ("bytes of a node", "B/s")];
    let mut table = Table::new("trouble", "Searches answered when users go and come, vanish, or are killed", &columns);
    for name in &runs.networks {
        let size = runs.largest(name);
        for (mean, row) in runs.rows(name, size, "churn") {
            let words = format!("sessions of {} s", mean.words());
            table.row([(*name).into(), words.into(), said(row[0]), Cell::Empty, said(row[1])]);
        }
        for (gone, row) in runs.rows(name, size, "failures") {
            let words = format!("{} of users gone", gone.words());
            table.row([(*name).into(), words.into(), said(row[0]), said(row[1]), Cell::Empty]);
        }
        for (how, row) in runs.rows(name, size, "attacks") {
            let words = format!("the first {} {} killed", figure(row[0].map_or(0.0, |killed| killed.mean)), how.words());
            table.row([(*name).into(), words.into(), said(row[1]), said(row[2]), Cell::Empty]);
        }
    }
    table
}

/// All figures of all runs.
fn raw(runs: &Runs<'_>) -> Table {
    let mut table = Table::new(
        "figures",
        "All figures of all runs",
        &[("network", ""), ("users", ""), ("seed", ""), ("figure", ""), ("value", ""), ("unit", "")],
    );
    for run in &runs.runs {
        let users = super::users(run).unwrap_or(0);
        for row in run.tables.iter().filter(|given| given.name == "figures").flat_map(|given| &given.rows) {
            if let [figure, value, unit] = &row[..] {
                table.row([super::network(run).into(), users.into(), run.run.seed.into(), figure.clone(), value.clone(), unit.clone()]);
            }
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_has_no_digit_that_its_interval_makes_doubtful() {
        assert_eq!(with_interval(576.8, 62.39), "577 ±62");
        assert_eq!(with_interval(3.0, 2.4), "3.0 ±2.4");
        assert_eq!(with_interval(0.0906, 0.01703), "0.091 ±0.017");
    }

    #[test]
    fn what_sums_leave_over_is_no_interval() {
        let third = super::super::over(vec![0.1 + 0.2, 0.3, 0.3]);
        assert!(matches!(said(third), Cell::Number(_)), "{third:?}");
        assert_eq!(said(Some(Over { mean: 6.92, interval: 0.4449 })), "6.92 ±0.44".into());
    }
}
