//! Whether a search finds anything, and what other ways of searching save (GN11, GN12).

use hexad_gnutella::Strategy;

use super::overlay::{HOP, Overlay, Plan, float, on_paper, regular};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;

/// The scenario `gnutella/success`.
pub static SUCCESS: Scenario = Scenario {
    name: "gnutella/success",
    about: "How often a search with so many hops finds a file that one host in so many has, and what it costs",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "degree", default: Preset::Count(4), help: "neighbours of every node" },
        Parameter { name: "ttls", default: Preset::Counts(&[1, 2, 3, 4, 5, 6, 7, 8]), help: "hops of a query" },
        Parameter { name: "searches", default: Preset::Count(60), help: "searches for each number of hops and each file" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim { id: "GN11", says: "a search succeeds with 1-(1-rho)^reach: hops trade load for success", source: "mission Q" }],
    small: &[("nodes", "2000"), ("searches", "100"), ("ttls", "1,2,3,4,5,6,7")],
    full: &[("nodes", "100k"), ("searches", "200")],
    seeds: (1, 3),
    run: success,
};

/// The scenario `gnutella/strategies`.
pub static STRATEGIES: Scenario = Scenario {
    name: "gnutella/strategies",
    about: "Messages of a successful search: flooding, expanding rings and random walks",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "degree", default: Preset::Count(4), help: "neighbours of every node" },
        Parameter { name: "copies-per-mille", default: Preset::Count(10), help: "hosts of a thousand that have the file" },
        Parameter { name: "ttl", default: Preset::Count(7), help: "hops of a flood, and of the largest ring" },
        Parameter { name: "walkers", default: Preset::Count(4), help: "walkers of a search" },
        Parameter { name: "steps", default: Preset::Count(128), help: "steps of a walker" },
        Parameter { name: "searches", default: Preset::Count(60), help: "searches in each manner" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim { id: "GN12", says: "random walks and expanding rings save most of a flood's messages", source: "Lv 2002" }],
    small: &[("nodes", "10000"), ("searches", "30")],
    full: &[("nodes", "10000"), ("searches", "300")],
    seeds: (1, 3),
    run: strategies,
};

fn success(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let graph = regular(params.nodes(), params.small_count("degree"), params.seed());
    let mut overlay = Overlay::new(&Plan::of(params), graph, gauge)?;
    gauge.phase("search");
    let columns = [("copies", "%"), ("hops D", ""), ("found", "%"), ("1−(1−ρ)^reach", "%"), ("messages", ""), ("reached", "")];
    let mut table = Table::new("success", "Success and cost by hops", &columns);
    let mut plot = Plot::new("success-by-hops", "How often is it found?", Axis::linear("hops D", ""), Axis::linear("found", "%"));
    for (word, per_myriad) in [("scarce", 1_u32), ("rare", 10), ("common", 100)] {
        let copies = (params.nodes() * per_myriad / 10_000).max(1);
        let share = f64::from(copies) / float(params.nodes());
        overlay.spread(word, copies, params.seed());
        let (mut off, mut count, mut measured, mut theory) = (0.0, 0.0, Vec::new(), Vec::new());
        for &ttl in params.counts("ttls") {
            let ttl = u8::try_from(ttl.clamp(1, 100)).unwrap_or(7);
            let (mut found, mut expected, mut messages, mut reached) = (0_u64, 0.0, 0, 0);
            for number in 0..params.count("searches") {
                let origin = overlay.somebody(params.seed(), 100_000 + number * 100 + u64::from(ttl));
                let searched = overlay.search(origin, word, Strategy::Flood, ttl, 1, 2 * u64::from(ttl));
                found += u64::from(!searched.hits.is_empty());
                messages += searched.messages;
                reached += searched.reached;
                expected += 1.0 - (1.0 - share).powf(float(on_paper(&overlay.graph, origin, ttl).1));
            }
            let searches = float(params.count("searches"));
            let (found, expected) = (float(found) / searches, expected / searches);
            table.row([
                (share * 100.0).into(),
                u32::from(ttl).into(),
                (found * 100.0).into(),
                (expected * 100.0).into(),
                (float(messages) / searches).into(),
                (float(reached) / searches).into(),
            ]);
            measured.push((f64::from(ttl), found * 100.0));
            theory.push((f64::from(ttl), expected * 100.0));
            off += (found - expected).abs();
            count += 1.0;
        }
        // Beside chance, the few copies of a scarce file lie where they lie: the formula is a mean over all ways to place them.
        let expected = Expected::AtMost(if copies < 20 { 0.1 } else { 0.05 });
        outcome.find("GN11", format!("mean distance from the formula, {word}"), expected, off / count);
        plot.add(format!("{copies} copies"), Style::Line, measured);
        plot.add(format!("formula, {copies} copies"), Style::Reference, theory);
    }
    overlay.end(&mut outcome);
    outcome.tables.push(table);
    outcome.plots.push(plot);
    Ok(outcome)
}

fn strategies(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let ttl = u8::try_from(params.count("ttl").clamp(1, 100)).unwrap_or(7);
    let small = |name: &str| u16::try_from(params.count(name)).unwrap_or(u16::MAX);
    let (walkers, steps) = (small("walkers"), small("steps"));
    let ring = Strategy::ExpandingRing { first: 1, step: 1, wait_per_hop: HOP * 2 + HOP / 10 };
    let rings: u64 = (1..=u64::from(ttl)).map(|hops| 2 * hops + 1).sum();
    let manners = [
        ("flood", Strategy::Flood, false, 2 * u64::from(ttl)),
        ("flood that stops at an answer", Strategy::Flood, true, 2 * u64::from(ttl)),
        ("expanding ring", ring, false, rings + 2),
        ("random walks", Strategy::RandomWalks { walkers, steps }, false, 2 * u64::from(steps)),
    ];
    let columns = [("manner", ""), ("found", "%"), ("messages", ""), ("messages of a success", ""), ("first hit", "hops")];
    let mut table = Table::new("strategies", "What a successful search costs", &columns);
    let mut costs = Vec::new();
    for (name, strategy, stop_at_answer, hops) in manners {
        let graph = regular(params.nodes(), params.small_count("degree"), params.seed());
        let plan = Plan { stop_at_answer, ..Plan::of(params) };
        let mut overlay = Overlay::new(&plan, graph, gauge)?;
        gauge.phase(name);
        let copies = (params.nodes() * params.small_count("copies-per-mille") / 1000).max(1);
        overlay.spread("wanted", copies, params.seed());
        let (mut found, mut messages, mut first) = (0_u64, 0, Vec::new());
        for number in 0..params.count("searches") {
            let origin = overlay.somebody(params.seed(), 500 + number);
            let searched = overlay.search(origin, "wanted", strategy, ttl, 1, hops);
            found += u64::from(!searched.hits.is_empty());
            messages += searched.messages;
            first.extend(searched.hits.iter().copied().reduce(f64::min));
        }
        let (searches, success) = (float(params.count("searches")), float(found));
        let cost = float(messages) / success.max(1.0);
        let mean = first.iter().sum::<f64>() / float(first.len().max(1));
        table.row([name.into(), (success / searches * 100.0).into(), (float(messages) / searches).into(), cost.into(), mean.into()]);
        costs.push((cost, success / searches));
        overlay.end(&mut outcome);
    }
    let flood = costs[0].0;
    outcome.find("GN12", "a flood's messages over those of random walks", Expected::Between(10.0, 100.0), flood / costs[3].0);
    outcome.find("GN12", "a flood's messages over those of expanding rings", Expected::AtLeast(3.0), flood / costs[2].0);
    outcome.find("GN12", "searches by random walks that found", Expected::AtLeast(0.9), costs[3].1);
    outcome.tables.push(table);
    Ok(outcome)
}
