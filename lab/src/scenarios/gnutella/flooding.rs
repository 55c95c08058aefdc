//! What a flood costs and how far it reaches, hop by hop (GN1 to GN6).

use hexad_gnutella::Strategy;

use super::overlay::{Overlay, Plan, float, on_paper, regular};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;

/// The scenario `gnutella/flood`.
pub static FLOOD: Scenario = Scenario {
    name: "gnutella/flood",
    about: "A query floods among equals with 4 and with 8 neighbours each: messages and nodes reached for every number of hops",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "degrees", default: Preset::Counts(&[4]), help: "neighbours of every node, one world each" },
        Parameter { name: "ttls", default: Preset::Counts(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14]), help: "hops of a query" },
        Parameter { name: "searches", default: Preset::Count(20), help: "queries for each number of hops, from nodes at random" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[
        Claim { id: "GN1", says: "among 10^5 nodes of 4 neighbours a query costs what the table says", source: "claims C" },
        Claim { id: "GN2", says: "the same among 10^4 nodes, where it saturates", source: "claims C" },
        Claim { id: "GN3", says: "the same among 10^5 nodes of 8 neighbours", source: "claims C" },
        Claim { id: "GN4", says: "a query reaches everybody once C^D exceeds the number of nodes", source: "mission Q" },
        Claim { id: "GN6", says: "the users in reach are the sum of C(C-1)^(t-1)", source: "Ritter 2001" },
    ],
    small: &[("nodes", "1000"), ("degrees", "4,8"), ("searches", "10")],
    full: &[("nodes", "100k"), ("degrees", "4,8"), ("searches", "40")],
    seeds: (1, 3),
    run: flood,
};

/// The scenario `gnutella/answers`.
pub static ANSWERS: Scenario = Scenario {
    name: "gnutella/answers",
    about: "How many hops an answer takes, there and back, for files that few and files that many have",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "degree", default: Preset::Count(4), help: "neighbours of every node" },
        Parameter { name: "ttl", default: Preset::Count(7), help: "hops of a query" },
        Parameter { name: "searches", default: Preset::Count(30), help: "queries for each file" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim { id: "GN5", says: "a search takes at most 2D hops, and popular files are found much earlier", source: "mission Q" }],
    small: &[("nodes", "1000"), ("searches", "10")],
    full: &[("nodes", "100k"), ("searches", "100")],
    seeds: (1, 3),
    run: answers,
};

/// The figures of the table for one size and degree: hops, messages, nodes reached (0: not said).
fn figures(nodes: u32, degree: u64) -> (&'static str, &'static [(u8, f64, f64)]) {
    match (nodes, degree) {
        (100_000, 4) => (
            "GN1",
            &[
                (3, 52.0, 0.0),
                (4, 160.0, 0.0),
                (5, 484.0, 0.0),
                (6, 1454.0, 0.0),
                (7, 4344.0, 4281.0),
                (8, 12_848.0, 0.0),
                (9, 36_937.0, 0.0),
            ],
        ),
        (10_000, 4) => ("GN2", &[(7, 4081.0, 3547.0), (9, 21_968.0, 9804.0), (14, 29_994.0, 0.0)]),
        (100_000, 8) => ("GN3", &[(5, 22_024.0, 20_028.0), (6, 140_200.0, 79_114.0), (7, 553_780.0, 99_997.0), (14, 699_969.0, 0.0)]),
        (_, 8) => ("GN3", &[]),
        (_, _) => ("GN1", &[]),
    }
}

/// Sum of C(C-1)^(t-1): the nodes of a tree.
fn tree(degree: f64, ttl: u8) -> f64 {
    (0..i32::from(ttl)).map(|hop| degree * (degree - 1.0).powi(hop)).sum()
}

fn flood(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let columns = [
        ("nodes", ""),
        ("neighbours", ""),
        ("hops D", ""),
        ("messages", ""),
        ("reached", ""),
        ("reached", "%"),
        ("duplicates", "%"),
        ("C·D", ""),
        ("tree", ""),
        ("2E−N+1", ""),
    ];
    let mut table = Table::new("flood", "Messages and reach of a flooded query", &columns);
    let mut plot = Plot::new(
        "messages-by-hops",
        "How many messages does a query cost?",
        Axis::linear("hops D", ""),
        Axis::logarithmic("messages", ""),
    );
    // The table's figures for 10^4 nodes are measured along with those for 10^5.
    let mut sizes = vec![params.nodes()];
    if params.nodes() == 100_000 {
        sizes.insert(0, 10_000);
    }
    for &nodes in &sizes {
        for &degree in params.counts("degrees") {
            if nodes != params.nodes() && degree != 4 {
                continue;
            }
            let small_degree = u32::try_from(degree).map_err(|_| "degrees: too large")?;
            if !(2..nodes).contains(&small_degree) {
                return Err("degrees: expected 2 up to the number of nodes".into());
            }
            let graph = regular(nodes, small_degree, params.seed());
            let mut overlay = Overlay::new(&Plan::of(params), graph, gauge)?;
            gauge.phase(&format!("flood {nodes} × {degree}"));
            let saturation = float(nodes) * float(degree) - float(nodes) + 1.0;
            let (claim, known) = figures(nodes, degree);
            let (mut measured, mut reach, mut worst) = (Vec::new(), Vec::new(), 0.0_f64);
            for &ttl in params.counts("ttls") {
                let ttl = u8::try_from(ttl.clamp(1, 250)).unwrap_or(250);
                let (mut messages, mut reached) = (0, 0);
                // Where nearly everybody is reached, one flood is like another.
                let searches =
                    if tree(float(degree), ttl) > float(nodes) { params.count("searches").div_ceil(8) } else { params.count("searches") };
                for number in 0..searches {
                    let origin = overlay.somebody(params.seed(), number * 1000 + u64::from(ttl));
                    let searched = overlay.search(origin, "nobody-has-this", Strategy::Flood, ttl, 1, u64::from(ttl));
                    if number < 3 {
                        let paper = on_paper(&overlay.graph, origin, ttl);
                        let off = (float(searched.messages) - float(paper.0)).abs() + (float(searched.reached) - float(paper.1)).abs();
                        worst = worst.max(off / float(paper.0));
                    }
                    messages += searched.messages;
                    reached += searched.reached;
                }
                let (messages, reached) = (float(messages) / float(searches), float(reached) / float(searches));
                table.row([
                    nodes.into(),
                    degree.into(),
                    u32::from(ttl).into(),
                    messages.into(),
                    reached.into(),
                    (reached / float(nodes - 1) * 100.0).into(),
                    ((1.0 - reached / messages) * 100.0).into(),
                    (float(degree) * f64::from(ttl)).into(),
                    tree(float(degree), ttl).into(),
                    saturation.into(),
                ]);
                measured.push((f64::from(ttl), messages));
                reach.push((ttl, reached / float(nodes - 1)));
                if let Some(&(_, expected, expected_reach)) = known.iter().find(|(hops, ..)| *hops == ttl) {
                    outcome.find(claim, format!("messages, D={ttl}"), Expected::AboutPercent { value: expected, percent: 2.0 }, messages);
                    if expected_reach > 0.0 {
                        let expected = Expected::AboutPercent { value: expected_reach, percent: 2.0 };
                        outcome.find(claim, format!("nodes reached, D={ttl}"), expected, reached);
                    }
                }
            }
            outcome.find(
                claim,
                format!("messages and reach against the same graph on paper, N={nodes}, off by"),
                Expected::AtMost(0.02),
                worst,
            );
            scope(nodes, degree, &reach, &mut outcome);
            if let Some(&(hops, messages)) = measured.last().filter(|(hops, _)| float(degree).powf(*hops) > 100.0 * float(nodes)) {
                let claim = if degree == 8 { "GN3" } else { "GN2" };
                let row = format!("messages over 2E−N+1, N={nodes}, C={degree}, D={hops}");
                outcome.find(claim, row, Expected::AboutPercent { value: 1.0, percent: 2.0 }, messages / saturation);
            }
            plot.add(format!("{nodes} nodes, {degree} neighbours"), Style::Line, measured.clone());
            let hops = || measured.iter().map(|point| point.0);
            if nodes == params.nodes() {
                plot.add(format!("C·D, C={degree}"), Style::Reference, hops().map(|hop| (hop, float(degree) * hop)));
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "hops are small")]
                let trees = hops().map(|hop| (hop, tree(float(degree), hop as u8)));
                plot.add(format!("sum of C(C−1)^(t−1), C={degree}"), Style::Reference, trees.filter(|point| point.1 < 4.0 * saturation));
                plot.add(format!("2E−N+1, C={degree}"), Style::Reference, hops().map(|hop| (hop, saturation)));
            }
            overlay.end(&mut outcome);
        }
    }
    ritter(&mut outcome);
    outcome.remarks.push(
        "Messages follow the exponential of the tree while few nodes are met twice, and then the saturation 2E−N+1, since every node \
         passes a query on once. C·D would hold for a ring or for a walk."
            .into(),
    );
    outcome.tables.insert(0, table);
    outcome.plots.push(plot);
    Ok(outcome)
}

/// The S of the search scope: next to nobody while C^D is small against N, next to everybody once it is large.
fn scope(nodes: u32, degree: u64, reach: &[(u8, f64)], outcome: &mut Outcome) {
    let power = |ttl: u8| float(degree).powi(i32::from(ttl)) / float(nodes);
    if let Some((ttl, share)) = reach.iter().rev().find(|(ttl, _)| power(*ttl) < 0.05) {
        let row = format!("share of nodes reached before C^D is N/20, N={nodes}, C={degree}, D={ttl}");
        outcome.find("GN4", row, Expected::AtMost(0.05), *share);
    }
    if let Some((ttl, share)) = reach.iter().find(|(ttl, _)| power(*ttl) > 100.0) {
        let row = format!("share of nodes reached once C^D is 100 N, N={nodes}, C={degree}, D={ttl}");
        outcome.find("GN4", row, Expected::AtLeast(0.95), *share);
    }
}

/// The table of Ritter's paper.
fn ritter(outcome: &mut Outcome) {
    const QUERY_BYTES: f64 = 83.0;
    let mut columns = vec![("neighbours", "")];
    let names: Vec<String> = (1..=8).map(|hops| format!("D={hops}")).collect();
    columns.extend(names.iter().map(|name| (name.as_str(), "")));
    let mut table = Table::new("users-in-reach", "Users in reach by neighbours and hops (Ritter 2001)", &columns);
    for degree in 2..=8_u32 {
        let mut row: Vec<Cell> = vec![degree.into()];
        row.extend((1..=8).map(|hops| Cell::from(tree(f64::from(degree), hops))));
        table.rows.push(row);
    }
    outcome.tables.push(table);
    outcome.find("GN6", "users in reach, C=4, D=7", Expected::exactly(4372.0), tree(4.0, 7));
    outcome.find("GN6", "users in reach, C=8, D=8", Expected::exactly(7_686_400.0), tree(8.0, 8));
    outcome.remarks.push(format!(
        "A query of {QUERY_BYTES} bytes (Ritter's) to 8 neighbours and 8 hops moves {:.0} MB.",
        tree(8.0, 8) * QUERY_BYTES / 1e6
    ));
}

fn answers(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let graph = regular(params.nodes(), params.small_count("degree"), params.seed());
    let mut overlay = Overlay::new(&Plan::of(params), graph, gauge)?;
    gauge.phase("search");
    let ttl = u8::try_from(params.count("ttl").clamp(1, 100)).unwrap_or(7);
    let columns = [("copies", "%"), ("searches that found", "%"), ("first hit", "hops"), ("last hit", "hops"), ("hits", "")];
    let mut table = Table::new("answers", "Hops until an answer is back", &columns);
    let (mut latest, mut first) = (0.0_f64, Vec::new());
    for (word, per_mille) in [("seldom", 2_u32), ("sometimes", 10), ("popular", 100)] {
        let copies = (params.nodes() * per_mille / 1000).max(1);
        overlay.spread(word, copies, params.seed());
        let (mut firsts, mut lasts, mut all) = (Vec::new(), Vec::new(), 0);
        for number in 0..params.count("searches") {
            let origin = overlay.somebody(params.seed(), 7000 + number);
            let searched = overlay.search(origin, word, Strategy::Flood, ttl, usize::MAX, 2 * u64::from(ttl));
            all += searched.hits.len();
            firsts.extend(searched.hits.iter().copied().reduce(f64::min));
            lasts.extend(searched.hits.iter().copied().reduce(f64::max));
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / float(values.len().max(1));
        table.row([
            (f64::from(per_mille) / 10.0).into(),
            (float(firsts.len()) / float(params.count("searches")) * 100.0).into(),
            mean(&firsts).into(),
            mean(&lasts).into(),
            (float(all) / float(params.count("searches"))).into(),
        ]);
        latest = lasts.iter().copied().fold(latest, f64::max);
        first.push(mean(&firsts));
    }
    outcome.find("GN5", format!("hops of the latest answer, D={ttl}"), Expected::AtMost(2.0 * f64::from(ttl) + 0.01), latest);
    if let [seldom, .., popular] = first[..] {
        outcome.find("GN5", "hops until the first answer: popular over seldom", Expected::AtMost(0.7), popular / seldom);
    }
    overlay.end(&mut outcome);
    outcome.tables.push(table);
    Ok(outcome)
}
