//! Some of the supernodes die at the same time (KZ4).

use std::collections::BTreeMap;

use hexad_core::Span;

use super::town::{Plan, Town, float};
use crate::gauge::Gauge;
use crate::outcome::{Expected, Outcome, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Death, NodeIndex, Purpose, dice};

/// The scenario `kazaa/loss`.
pub static LOSS: Scenario = Scenario {
    name: "kazaa/loss",
    about: "A part of the supernodes dies at the same time: what is found before, at once, and when leaves have found others",
    nodes: 3000,
    parameters: &[
        Parameter { name: "supernodes", default: Preset::Count(40), help: "how many of the nodes are supernodes" },
        Parameter { name: "links", default: Preset::Count(20), help: "links that a supernode has to others" },
        Parameter { name: "killed-percent", default: Preset::Count(30), help: "supernodes that die, percent" },
        Parameter { name: "vanish", default: Preset::Switch(false), help: "they do not close their connections" },
        Parameter { name: "parents", default: Preset::Count(2), help: "supernodes of a leaf" },
        Parameter { name: "searches", default: Preset::Count(200), help: "searches each time" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim {
        id: "KZ4",
        says: "when supernodes die, their leaves find others, and everything is found again within one period of reconnecting",
        source: "claims D",
    }],
    small: &[("nodes", "400"), ("supernodes", "10"), ("links", "9"), ("searches", "60")],
    full: &[("nodes", "10k"), ("supernodes", "120"), ("links", "40")],
    seeds: (1, 5),
    run: loss,
};

/// A leaf that has lost a supernode has another one, which knows its files, within so long: a ping, and some dials.
const PERIOD: Span = Span::from_secs(60);

fn recall(town: &mut Town, from: u64, count: u64, alive: &dyn Fn(NodeIndex) -> bool) -> f64 {
    let asked: Vec<_> = (0..count).map(|number| town.search_somebodys(from + number, alive)).collect();
    town.lab.run_for(Span::from_secs(13));
    float(asked.into_iter().filter(|&search| town.has_found(search)).count()) / float(count)
}

fn loss(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let supernodes = params.small_count("supernodes");
    let plan = Plan {
        seed: params.seed(),
        threads: params.threads,
        codec: params.switch("codec"),
        supernodes,
        leaves: params.nodes().saturating_sub(supernodes),
        files: 2,
        file_bytes: 1 << 20,
        parents: usize::try_from(params.count("parents")).unwrap_or(2),
        links: usize::try_from(params.count("links")).unwrap_or(1),
        hops: 2,
        ping: Span::from_secs(10),
        up: None,
    };
    let mut town = Town::new(&plan, gauge)?;
    let count = params.count("searches");
    let everybody: &dyn Fn(NodeIndex) -> bool = &|_| true;
    let before = recall(&mut town, 0, count, everybody);
    // Not the first one, whom everybody knows: chance among the others.
    let mut victims: Vec<u32> = (1..supernodes).collect();
    dice(plan.seed, Purpose::Churn, 0, 1).shuffle(&mut victims);
    victims.truncate((supernodes * params.small_count("killed-percent") / 100) as usize);
    let death = if params.switch("vanish") { Death::Vanish } else { Death::Crash };
    let died = town.lab.now();
    victims.iter().for_each(|&victim| town.lab.kill(NodeIndex(victim), death));
    // When each of those who have lost all is at home again.
    let mut since: BTreeMap<u32, Span> = BTreeMap::new();
    let mut waits: Vec<f64> = Vec::new();
    gauge.phase("find others");
    while town.lab.now() < died + PERIOD {
        town.lab.run_for(Span::from_millis(100));
        let now = town.lab.now().since(died);
        for leaf in 0..plan.leaves {
            if !town.is_at_home(leaf) {
                since.entry(leaf).or_insert(now);
            } else if let Some(began) = since.remove(&leaf) {
                waits.push((now - began).as_secs_f64());
            }
        }
    }
    gauge.end();
    let (left, at_once) = (since.len(), waits.len() + since.len());
    let after = recall(&mut town, 10_000, count, everybody);
    waits.sort_by(f64::total_cmp);
    let p99 = waits.get(waits.len() * 99 / 100).or(waits.last()).copied().unwrap_or(0.0);
    outcome.find("KZ4", "recall before", Expected::AtLeast(0.98), before);
    outcome.find("KZ4", "recall a minute after", Expected::AtLeast(0.98), after);
    outcome.find("KZ4", "leaves that never found another supernode", Expected::exactly(0.0), float(left));
    outcome.find(
        "KZ4",
        "time until 99 % of those who had lost all have a supernode again, s",
        Expected::AtMost(if death == Death::Vanish { 30.0 } else { 5.0 }),
        p99,
    );
    let mut table = Table::new("loss", "Supernodes die", &[("figure", ""), ("value", ""), ("unit", "")]);
    table.row(["supernodes that died".into(), victims.len().into(), "".into()]);
    table.row(["leaves that lost all their supernodes".into(), at_once.into(), "".into()]);
    table.row(["time until they have one, median".into(), waits.get(waits.len() / 2).copied().unwrap_or(0.0).into(), "s".into()]);
    table.row(["time until they have one, 99 %".into(), p99.into(), "s".into()]);
    table.row(["recall before".into(), (before * 100.0).into(), "%".into()]);
    table.row(["recall a minute after".into(), (after * 100.0).into(), "%".into()]);
    outcome.tables.push(table);
    outcome.absorb(&town.lab);
    if town.lab.tally().codec_differences > 0 {
        return Err(format!("{} messages were read as something else", town.lab.tally().codec_differences));
    }
    Ok(outcome)
}
