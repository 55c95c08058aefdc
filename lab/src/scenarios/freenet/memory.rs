//! What a network remembers and what it forgets: copies follow demand (FR5), and what nobody asks for is lost (FR6).

use hexad_core::Operation;
use hexad_freenet::Request;

use super::world::Net;
use crate::fit::Fit;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Purpose, dice};

/// `freenet/memory`.
pub static MEMORY: Scenario = Scenario {
    name: "freenet/memory",
    about: "Some keys are asked for often, some seldom, some never, while others are inserted and push them out",
    nodes: 1000,
    parameters: &[
        Parameter { name: "steps", default: Preset::Count(2000), help: "inserts and requests before anything is measured" },
        Parameter { name: "keys", default: Preset::Count(200), help: "keys that are asked for, the n-th with weight 1/n" },
        Parameter { name: "silent", default: Preset::Count(100), help: "keys that nobody asks for" },
        Parameter { name: "requests", default: Preset::Count(4000), help: "requests, with an insert after every second one" },
    ],
    claims: &[
        Claim { id: "FR5", says: "What is asked for more is in more places", source: "the user's document" },
        Claim { id: "FR6", says: "What nobody asks for is lost when room is needed", source: "the user's document" },
    ],
    small: &[("nodes", "150"), ("steps", "400"), ("keys", "60"), ("silent", "40"), ("requests", "2400")],
    full: &[("nodes", "1000"), ("requests", "20000")],
    seeds: (1, 5),
    run,
};

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    const HTL: u16 = 20;
    let (nodes, seed) = (params.nodes(), params.seed());
    if nodes < 20 {
        return Err("nodes: expected 20 or more".into());
    }
    let mut net = Net::ring(nodes, seed, params.threads, hexad_freenet::Settings::paper());
    gauge.phase("learning");
    net.live(params.count("steps"), HTL);
    gauge.end();
    gauge.phase("using");
    let mut pick = dice(seed, Purpose::Workload, 4, 0);
    let mut somebody = |net: &Net| u32::try_from(pick.below(net.nodes.into())).unwrap_or(0);
    let mut fresh = |net: &mut Net, count: u64| -> Vec<_> {
        (0..count)
            .map(|_| {
                let who = somebody(net);
                net.insert(who, HTL)
            })
            .collect()
    };
    let asked = fresh(&mut net, params.count("keys"));
    let silent = fresh(&mut net, params.count("silent"));
    let weights: Vec<f64> = (1..=asked.len()).map(|rank| 1.0 / rank as f64).collect();
    let total: f64 = weights.iter().sum();
    let mut counts = vec![0_u64; asked.len()];
    let mut table = Table::new(
        "forgetting",
        "What nobody asks for",
        &[("inserts since", ""), ("still somewhere", "share"), ("copies", "of each, mean")],
    );
    let mut curve = Vec::new();
    let requests = params.count("requests");
    let slices = 10;
    let mut dice = dice(seed, Purpose::Workload, 5, 0);
    let mut inserted = 0_u64;
    for slice in 0..=slices {
        let copies: Vec<u32> = silent.iter().map(|key| net.copies(key)).collect();
        let left = copies.iter().filter(|copies| **copies > 0).count() as f64 / silent.len().max(1) as f64;
        let mean = copies.iter().map(|copies| f64::from(*copies)).sum::<f64>() / silent.len().max(1) as f64;
        table.row([inserted.into(), left.into(), mean.into()]);
        curve.push((inserted as f64, left));
        if slice == slices {
            break;
        }
        for turn in 0..requests / slices {
            let mut left = dice.unit() * total;
            let rank = weights.iter().position(|weight| {
                left -= weight;
                left <= 0.0
            });
            let rank = rank.unwrap_or(0);
            counts[rank] += 1;
            let who = u32::try_from(dice.below(nodes.into())).unwrap_or(0);
            net.perform(&[(who, Operation::Own(Request::GetBlock(asked[rank], HTL)))]);
            if turn % 2 == 1 {
                fresh(&mut net, 1);
                inserted += 1;
            }
        }
        gauge.step((slice + 1) as f64 / slices as f64, net.lab.tally().events);
    }
    gauge.end();
    let points: Vec<(f64, f64)> = asked
        .iter()
        .zip(&counts)
        .filter(|(_, count)| **count > 0)
        .map(|(key, count)| (*count as f64, f64::from(net.copies(key))))
        .collect();
    let logs: Vec<(f64, f64)> =
        points.iter().filter(|(_, copies)| *copies > 0.0).map(|(count, copies)| (count.ln(), copies.ln())).collect();
    outcome_of(&net, table, curve, points, Fit::of(&logs).slope)
}

fn outcome_of(net: &Net, table: Table, curve: Vec<(f64, f64)>, points: Vec<(f64, f64)>, slope: f64) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let (first, last) = (curve.first().map_or(0.0, |point| point.1), curve.last().map_or(0.0, |point| point.1));
    outcome.find("FR5", "slope of copies over requests, both logarithmic", Expected::AtLeast(0.1), slope);
    outcome.find(
        "FR6",
        "never asked for and still somewhere, at the end over the beginning",
        Expected::AtMost(0.5),
        last / first.max(1e-9),
    );
    let mut plot = Plot::new(
        "copies",
        "Is what is asked for more in more places?",
        Axis::logarithmic("requests", ""),
        Axis::logarithmic("copies", ""),
    );
    plot.add("keys", Style::Points, points);
    outcome.plots.push(plot);
    let mut plot = Plot::new(
        "forgetting",
        "What becomes of what nobody asks for?",
        Axis::linear("inserts since", ""),
        Axis::linear("still somewhere", "share"),
    );
    plot.add("never asked for", Style::Line, curve);
    outcome.plots.push(plot);
    outcome.tables.push(table);
    outcome.absorb(&net.lab);
    Ok(outcome)
}
