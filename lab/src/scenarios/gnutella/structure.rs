//! Overlays as they were found in the wild: how far apart hosts are, and what they survive (GN8, GN9).

use hexad_gnutella::Strategy;

use super::overlay::{Overlay, Plan, TTL_MAX, float, grown, mean_degree, power_law};
use crate::gauge::Gauge;
use crate::outcome::{Expected, Outcome, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Purpose, dice};

/// The scenario `gnutella/diameter`.
pub static DIAMETER: Scenario = Scenario {
    name: "gnutella/diameter",
    about: "Which share of all hosts a query with 7 hops reaches in a grown overlay of 3.4 links a host",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "searches", default: Preset::Count(30), help: "queries from nodes at random" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim { id: "GN8", says: "95 % of all pairs of hosts are at most 7 hops apart", source: "Ripeanu 2001" }],
    small: &[("nodes", "2000"), ("searches", "10")],
    full: &[("nodes", "40k"), ("searches", "100")],
    seeds: (1, 3),
    run: diameter,
};

/// The scenario `gnutella/loss`.
pub static LOSS: Scenario = Scenario {
    name: "gnutella/loss",
    about: "What is left of a power-law overlay when hosts go: any of them, or those with most links",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "exponent", default: Preset::Number(2.3), help: "of the power law of degrees" },
        Parameter { name: "random-percent", default: Preset::Count(30), help: "hosts that go, whoever they are" },
        Parameter { name: "top-percent", default: Preset::Count(4), help: "hosts with most links that go" },
        Parameter { name: "probes", default: Preset::Count(40), help: "hosts from which it is measured how many can still be reached" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim {
        id: "GN9",
        says: "it stays in one large part when 30 % of all hosts go, and is shattered when the 4 % with most links go",
        source: "Saroiu 2002",
    }],
    small: &[("nodes", "2000"), ("probes", "20")],
    full: &[("nodes", "40k"), ("probes", "60")],
    seeds: (1, 3),
    run: loss,
};

fn diameter(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let graph = grown(params.nodes(), 7, params.seed());
    let degree = mean_degree(&graph);
    let mut overlay = Overlay::new(&Plan::of(params), graph, gauge)?;
    gauge.phase("flood");
    let mut table = Table::new("reach-by-hops", "Share of hosts within so many hops", &[("hops", ""), ("hosts", "%")]);
    let mut within_seven = 0.0;
    for ttl in 1..=10_u8 {
        let mut reached = 0;
        for number in 0..params.count("searches") {
            let origin = overlay.somebody(params.seed(), number);
            reached += overlay.search(origin, "nobody-has-this", Strategy::Flood, ttl, 1, u64::from(ttl)).reached;
        }
        let share = float(reached) / float(params.count("searches")) / float(params.nodes() - 1) * 100.0;
        table.row([u32::from(ttl).into(), share.into()]);
        if ttl == 7 {
            within_seven = share;
        }
    }
    outcome.find("GN8", "mean number of links", Expected::About { value: 3.4, by: 0.1 }, degree);
    // In a smaller world hosts are nearer to each other, so there it can only be more.
    let expected = if params.nodes() >= 40_000 { Expected::About { value: 95.0, by: 2.0 } } else { Expected::AtLeast(95.0) };
    outcome.find("GN8", "pairs within 7 hops, percent", expected, within_seven);
    overlay.end(&mut outcome);
    outcome.tables.push(table);
    Ok(outcome)
}

fn loss(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let nodes = params.nodes();
    let mut table =
        Table::new("largest-part", "The largest part that is left", &[("who goes", ""), ("hosts gone", ""), ("largest part", "%")]);
    let mut measured = Vec::new();
    for who in ["nobody", "any", "those with most links"] {
        let graph = power_law(nodes, params.number("exponent"), params.seed());
        let gone = match who {
            "any" => {
                let mut all: Vec<u32> = (0..nodes).collect();
                dice(params.seed(), Purpose::Workload, 2, 0).shuffle(&mut all);
                all.truncate(nodes as usize * usize::try_from(params.count("random-percent")).unwrap_or(0) / 100);
                all
            }
            "nobody" => Vec::new(),
            _ => {
                let mut all: Vec<u32> = (0..nodes).collect();
                all.sort_by_key(|&node| std::cmp::Reverse(graph[node as usize].len()));
                all.truncate(nodes as usize * usize::try_from(params.count("top-percent")).unwrap_or(0) / 100);
                all
            }
        };
        let mut overlay = Overlay::new(&Plan::of(params), graph, gauge)?;
        overlay.remove(&gone);
        gauge.phase("flood");
        let mut largest = 0;
        let mut probes = 0;
        for number in 0.. {
            let origin = overlay.somebody(params.seed(), number);
            if gone.contains(&origin) {
                continue;
            }
            // Without a clamp on hops a flood reaches exactly the part that its origin lies in.
            let searched = overlay.search(origin, "nobody-has-this", Strategy::Flood, TTL_MAX, 1, 60);
            largest = largest.max(searched.reached + 1);
            probes += 1;
            if probes >= params.count("probes") {
                break;
            }
        }
        let left = float(nodes as usize - gone.len());
        let share = float(largest) / left * 100.0;
        table.row([who.into(), gone.len().into(), share.into()]);
        measured.push(share);
        overlay.end(&mut outcome);
    }
    outcome.find("GN9", "largest part after random loss, percent of who is left", Expected::AtLeast(40.0), measured[1]);
    outcome.find("GN9", "largest part after the best connected have gone, percent of who is left", Expected::AtMost(5.0), measured[2]);
    outcome.tables.push(table);
    Ok(outcome)
}
