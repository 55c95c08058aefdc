//! A network that grows from a few nodes, each newcomer announcing itself to some that are there (FR2), with the papers' node or with ours.

use hexad_freenet::Settings;

use super::world::{GREETING, Net, SHIPPING_HTL, shipping};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;

/// `freenet/growth`.
pub static GROWTH: Scenario = Scenario {
    name: "freenet/growth",
    about: "A network grows from twenty nodes while it is used, and the way to a key is measured on the way",
    nodes: 5000,
    parameters: &[
        Parameter { name: "node", default: Preset::Choice(&["paper", "shipping"]), help: "learned entries only, or what the daemon runs" },
        Parameter { name: "steps-each", default: Preset::Count(5), help: "inserts and requests for each newcomer" },
        Parameter { name: "probes", default: Preset::Count(300), help: "probes of each measurement" },
        Parameter {
            name: "sizes",
            default: Preset::Counts(&[50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000]),
            help: "nodes at which is measured",
        },
    ],
    claims: &[Claim { id: "FR2", says: "The way to a key grows slowly with the network", source: "Clarke et al. 2000" }],
    small: &[("nodes", "300")],
    full: &[("nodes", "5000")],
    seeds: (1, 10),
    run,
};

fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed, probes) = (params.nodes(), params.seed(), params.count("probes"));
    let paper = params.choice("node") == "paper";
    let (settings, htl, far) = if paper { (Settings::paper(), 20, 500) } else { (shipping(), SHIPPING_HTL, SHIPPING_HTL) };
    let mut net = Net::empty(seed, params.threads, settings);
    let mut outcome = Outcome::default();
    let title = if paper { "The node of the papers" } else { "The shipping node" };
    let columns = [("nodes", ""), ("median", "hops"), ("mean", "hops"), ("not met", "share"), ("events", "")];
    let mut table = Table::new("growth", title, &columns);
    let mut curve = Vec::new();
    gauge.phase("growing");
    while net.nodes < nodes {
        net.arrive();
        if net.nodes >= 20 {
            net.live(params.count("steps-each"), htl);
        }
        if params.counts("sizes").contains(&net.nodes.into()) || net.nodes == nodes {
            if !paper {
                net.lab.run_for(GREETING);
            }
            let ways = net.ways(probes, far);
            table.row([net.nodes.into(), ways.median.into(), ways.mean.into(), ways.lost.into(), net.lab.tally().events.into()]);
            curve.push((f64::from(net.nodes), ways.median));
            gauge.step(f64::from(net.nodes) / f64::from(nodes), net.lab.tally().events);
        }
    }
    gauge.end();
    let last = curve.last().map_or(0.0, |point| point.1);
    if paper {
        outcome.find("FR2", format!("median hops among {nodes} nodes"), Expected::AtMost(25.0), last);
    }
    let mut plot =
        Plot::new("growth", "How far is it to a key in a larger network?", Axis::logarithmic("nodes", ""), Axis::linear("median", "hops"));
    plot.add(title, Style::Line, curve);
    outcome.tables.push(table);
    outcome.plots.push(plot);
    outcome.absorb(&net.lab);
    Ok(outcome)
}
