//! Networks side by side: the runs of the common world, one for each network, size and seed; what is left of them on disk; and the tables and
//! curves that they make together.

mod curves;
mod jobs;
mod question;
mod tables;

use crate::dice::mix;
use crate::outcome::{Cell, Plot, Table};
use crate::outputs::Stored;

pub use jobs::Plan;
pub use question::{EXAMPLES, Question};

/// What the runs came to together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Comparison {
    /// Figures.
    pub tables: Vec<Table>,
    /// Curves.
    pub plots: Vec<Plot>,
    /// What a reader should know beside them.
    pub remarks: Vec<String>,
    /// Over all runs, in order.
    pub digest: u64,
    /// How many runs there were.
    pub runs: usize,
    /// The line of every run.
    pub lines: Vec<String>,
}

/// Makes tables and curves of runs of the common world; others are left out.
#[must_use]
pub fn compare(runs: &[Stored]) -> Comparison {
    let mut runs: Vec<&Stored> = runs.iter().filter(|run| run.run.scenario.starts_with(PREFIX)).collect();
    runs.sort_by_key(|run| (place(network(run)), run.run.nodes, run.run.seed));
    let all = Runs::of(&runs);
    let digest = runs.iter().fold(0_u64, |sum, run| mix(sum).wrapping_add(run.run.digest));
    let mut remarks = Vec::new();
    for run in &runs {
        for remark in &run.run.remarks {
            let remark = format!("{}: {remark}", network(run));
            if !remarks.contains(&remark) {
                remarks.push(remark);
            }
        }
    }
    remarks.push(
        "All six have the same users, files, questions, distances, comings and goings. One world lives through everything in this order: foundation, \
         publication, rest, questions, newcomers, churn from long sessions to short ones, vanishing users, attacks; between these, whoever has gone comes back."
            .into(),
    );
    Comparison {
        tables: tables::all(&all),
        plots: curves::all(&all),
        remarks,
        digest,
        runs: runs.len(),
        lines: runs.iter().map(|run| run.run.line.clone()).collect(),
    }
}

/// Before the name of a network in the names of the scenarios.
const PREFIX: &str = "compare/";

fn network(run: &Stored) -> &str {
    run.run.scenario.trim_start_matches(PREFIX)
}

fn place(network: &str) -> usize {
    let all = &crate::scenarios::compare::ALL;
    all.iter().position(|scenario| scenario.name.trim_start_matches(PREFIX) == network).unwrap_or(all.len())
}

/// Figures by network, users and seed.
struct Runs<'a> {
    /// Networks that there are, in order.
    networks: Vec<&'a str>,
    runs: Vec<&'a Stored>,
}

/// A figure over seeds.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Over {
    mean: f64,
    /// With 95 % the true mean is at most so far away; 0 for one seed, and where all seeds came to the same.
    interval: f64,
}

impl<'a> Runs<'a> {
    fn of(runs: &[&'a Stored]) -> Self {
        let mut networks = Vec::new();
        for run in runs {
            if !networks.contains(&network(run)) {
                networks.push(network(run));
            }
        }
        Self { networks, runs: runs.to_vec() }
    }

    fn of_network(&self, name: &str) -> impl Iterator<Item = &'a Stored> {
        self.runs.iter().copied().filter(move |run| network(run) == name)
    }

    /// Numbers of users for which a network was run.
    fn sizes(&self, name: &str) -> Vec<u32> {
        let mut sizes: Vec<u32> = self.of_network(name).filter_map(users).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    fn largest(&self, name: &str) -> u32 {
        self.sizes(name).last().copied().unwrap_or(0)
    }

    /// A figure of a network with so many users, over all seeds.
    fn figure(&self, name: &str, size: u32, figure: &str) -> Option<Over> {
        let runs = self.of_network(name).filter(|run| users(run) == Some(size));
        over(runs.filter_map(|run| value(run, figure)).collect())
    }

    /// Rows of a table with so many users: its first cell, and the others over seeds, in the order in which they come.
    fn rows(&self, name: &str, size: u32, table: &str) -> Vec<(Cell, Vec<Option<Over>>)> {
        let mut rows: Vec<(Cell, Vec<Vec<f64>>)> = Vec::new();
        for run in self.of_network(name).filter(|run| users(run) == Some(size)) {
            for row in run.tables.iter().filter(|given| given.name == table).flat_map(|given| &given.rows) {
                let Some((key, cells)) = row.split_first() else { continue };
                let at = rows.iter().position(|(known, _)| same(known, key)).unwrap_or_else(|| {
                    rows.push((key.clone(), vec![Vec::new(); cells.len()]));
                    rows.len() - 1
                });
                for (values, cell) in rows[at].1.iter_mut().zip(cells) {
                    values.extend(number(cell));
                }
            }
        }
        rows.into_iter().map(|(key, columns)| (key, columns.into_iter().map(over).collect())).collect()
    }
}

fn same(a: &Cell, b: &Cell) -> bool {
    a == b || matches!((number(a), number(b)), (Some(a), Some(b)) if (a - b).abs() < 1e-12)
}

fn number(cell: &Cell) -> Option<f64> {
    match cell {
        Cell::Count(count) => Some(*count as f64),
        Cell::Number(number) => Some(*number),
        Cell::Text(_) | Cell::Empty => None,
    }
}

/// A figure of a run.
fn value(run: &Stored, figure: &str) -> Option<f64> {
    let rows = run.tables.iter().filter(|table| table.name == "figures").flat_map(|table| &table.rows);
    rows.filter(|row| matches!(&row[0], Cell::Text(name) if name == figure)).find_map(|row| number(&row[1]))
}

fn users(run: &Stored) -> Option<u32> {
    value(run, "users").map(|users| users as u32)
}

fn over(values: Vec<f64>) -> Option<Over> {
    let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
    if values.is_empty() {
        return None;
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0).max(1.0);
    let interval = crate::trial::student(values.len()) * (variance / count).sqrt();
    // What is left of sums of equal numbers is no interval.
    Some(Over { mean, interval: if interval > mean.abs() * 1e-9 { interval } else { 0.0 } })
}
