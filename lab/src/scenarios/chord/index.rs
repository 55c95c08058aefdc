//! What the keyword index costs (CH18).

use std::sync::Arc;

use bytes::Bytes;
use hexad_chord::Settings;
use hexad_content::{Digest, Layout, Proof, Ranges, Sha1Digest, info};
use hexad_core::{Map, Operation, Progress, Query, Share, Span};

use super::oracle::{ChordLab, flat, fraction, ideal, still};
use super::routing::ring_of;
use crate::fit::Fit;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{NodeIndex, Purpose, dice};

/// `chord/index`: CH18.
pub static INDEX: Scenario = Scenario {
    name: "chord/index",
    about: "Messages and bytes of publishing and searching by words, by how many words a name has",
    nodes: 1000,
    parameters: &[
        Parameter { name: "words", default: Preset::Counts(&[1, 2, 4, 8, 12]), help: "words of a name" },
        Parameter { name: "files", default: Preset::Count(200), help: "files of each kind" },
    ],
    claims: &[Claim {
        id: "CH18",
        says: "Publishing costs one lookup and one put for each word; a search one lookup for each of its words",
        source: "chord.md 9",
    }],
    small: &[("nodes", "200"), ("words", "1,4,8"), ("files", "40")],
    full: &[],
    seeds: (1, 5),
    run: index,
};

/// A vocabulary in which some words are frequent.
fn word(seed: u64, number: u64) -> String {
    let mut dice = dice(seed, Purpose::Workload, 4, number);
    // The lesser of three draws: low numbers come often.
    let draw = (0..3).map(|_| dice.below(400)).min().unwrap_or(0);
    format!("word{draw}x")
}

fn name_of(seed: u64, file: u64, words: u64) -> String {
    let mut name: Vec<String> = Vec::new();
    let mut number = file * 1000;
    while (name.len() as u64) < words {
        let word = word(seed, number);
        number += 1;
        if !name.contains(&word) {
            name.push(word);
        }
    }
    name.join(" ")
}

fn share(seed: u64, name: &str) -> Share {
    let layout = Arc::new(Layout::single(name.into(), 1 << 16).expect("a small file fits a layout"));
    let hash =
        Sha1Digest(dice(seed, Purpose::Workload, 5, name.bytes().fold(7, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte))).bytes());
    let hashes: Arc<[Sha1Digest]> = vec![hash].into();
    let digest = Digest::TorrentV1(info::hash(&info::write(&layout, 1 << 16, &hashes)));
    Share {
        layout,
        digests: [digest].into_iter().collect(),
        proof: Some(Proof::V1Pieces { piece_bytes: 1 << 16, total_bytes: 1 << 16, hashes }),
        held: Ranges::of(0..1 << 16),
        torrent: Bytes::new(),
    }
}

fn counted(lab: &ChordLab) -> (u64, u64) {
    lab.tally().kinds().values().fold((0, 0), |(messages, bytes), kind| (messages + kind.messages, bytes + kind.bytes))
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn index(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed, files) = (params.nodes(), params.seed(), params.count("files"));
    let mut outcome = Outcome::default();
    let columns = [
        ("words", ""),
        ("messages of a publish", ""),
        ("bytes", "B"),
        ("for each key", ""),
        ("messages of a search", ""),
        ("lookups of a search", ""),
        ("recall", ""),
    ];
    let mut table = Table::new("index", "The keyword index", &columns);
    let mut points = Vec::new();
    for &words in params.counts("words") {
        gauge.phase("index");
        let settings = Settings { copies: 1, copies_acked: 1, first_vnode: ring_of(seed), ..still(16) };
        let (mut lab, _) = ideal(nodes, &settings, flat(seed));
        let mut names: Map<String, u32> = Map::new();
        let before = counted(&lab);
        for file in 0..files {
            let name = name_of(seed, file, words);
            let node = NodeIndex(u32::try_from(dice(seed, Purpose::Workload, 6, file).below(nodes.into())).unwrap_or(0));
            *names.entry(name.clone()).or_default() += 1;
            let share = lab.add_share(node, share(seed, &name), file);
            lab.start(node, Operation::Publish { share });
        }
        lab.run_for(Span::from_secs(40));
        let done = lab.take_reports().iter().filter(|(_, report)| report.progress == Progress::Done).count() as u64;
        if done != files {
            return Err(format!("{done} of {files} files were published"));
        }
        let after = counted(&lab);
        let published = fraction(after.0 - before.0, files);
        let bytes = fraction(after.1 - before.1, files);
        let keys = words + 1;
        points.push((words as f64, published));
        // Two words of a name, or the only one.
        let wanted = words.min(2);
        let before = (counted(&lab).0, lab.tally().of("get").messages);
        let (mut found, mut ops) = (0, Map::new());
        for file in 0..files {
            let name = name_of(seed, file, words);
            let asked: Vec<String> = name.split(' ').take(wanted as usize).map(str::to_owned).collect();
            let node = NodeIndex(u32::try_from(dice(seed, Purpose::Workload, 7, file).below(nodes.into())).unwrap_or(0));
            ops.insert(lab.start(node, Operation::Search { query: Query::Words { words: asked, wanted: 1000 } }), name);
        }
        lab.run_for(Span::from_secs(60));
        let mut ended = 0;
        for (_, report) in lab.take_reports() {
            match report.progress {
                Progress::Hit(hit) if ops.get(&report.op) == Some(&hit.name) => found += 1,
                Progress::Done => ended += 1,
                _ => {}
            }
        }
        let searched = fraction(counted(&lab).0 - before.0, files);
        // Each question goes to one owner after one lookup, but for the last one of several words, whose owner is known by then.
        let gets = fraction(lab.tally().of("get").messages - before.1, files);
        let lookups = if wanted > 1 { gets - 1.0 } else { gets };
        let recall = fraction(found, files);
        table.row([
            Cell::from(words),
            Cell::from(published),
            Cell::from(bytes),
            Cell::from(published / keys as f64),
            Cell::from(searched),
            Cell::from(lookups),
            Cell::from(recall),
        ]);
        outcome.absorb(&lab);
        outcome.find("CH18", format!("lookups of a search by {wanted} of {words} words"), Expected::AtMost(2.0), lookups);
        outcome.find("CH18", format!("share of names of {words} words that are found"), Expected::exactly(1.0), recall);
        outcome.find("CH18", format!("share of searches that end, {words} words"), Expected::exactly(1.0), fraction(ended, files));
        // A lookup among N is half of log2 N questions with as many answers, or less; then a put with its answer.
        let one = 2.0 * (f64::from(nodes).log2() / 2.0 + 0.86) + 2.0;
        outcome.find(
            "CH18",
            format!("messages of a publish for each key, {words} words"),
            Expected::Between(2.0, one),
            published / keys as f64,
        );
    }
    outcome.find("CH18", "R^2 of messages of a publish over words", Expected::AtLeast(0.99), Fit::explained_growth(&points));
    let mut plot = Plot::new("index", "What does it cost to publish?", Axis::linear("words of the name", ""), Axis::linear("messages", ""));
    plot.add("measured", Style::Line, points);
    outcome.tables.push(table);
    outcome.plots.push(plot);
    Ok(outcome)
}
