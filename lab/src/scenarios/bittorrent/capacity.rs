//! Consumers are producers: what a swarm hands out in a second grows with whoever wants it, and what a server hands out does not.

use hexad_core::Span;

use super::{GroupReport, SwarmPlan, SwarmReport, count, swarm_timed};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Outcome, Plot, Style, Table};
use crate::scenario::{Parameter, Params, Scenario};
use crate::value::Preset;

/// The scenario `bittorrent/capacity`.
pub static CAPACITY: Scenario = Scenario {
    name: "bittorrent/capacity",
    about: "Throughput against the number of peers, of a swarm and of a server with the same uplink",
    nodes: 64,
    parameters: &[
        Parameter {
            name: "peers",
            default: Preset::Counts(&[1, 2, 4, 8, 16, 32, 64]),
            help: "how many fetch; those above `nodes` are left out",
        },
        Parameter { name: "pieces", default: Preset::Count(64), help: "pieces of the torrent" },
        Parameter { name: "piece-bytes", default: Preset::Count(64 << 10), help: "bytes of a piece" },
        Parameter { name: "seed-up", default: Preset::Count(256 << 10), help: "uplink of the seed and of the server, bytes a second" },
        Parameter { name: "up", default: Preset::Count(128 << 10), help: "uplink of a peer, bytes a second" },
        Parameter { name: "down", default: Preset::Count(2 << 20), help: "downlink of a peer, bytes a second" },
    ],
    run,
    ..Scenario::PLAIN
};

fn run(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut table = Table::new(
        "throughput",
        "What all get together in a second, until the last is complete",
        &[("peers", ""), ("swarm", "KiB/s"), ("server", "KiB/s"), ("swarm, last complete", "s"), ("server, last complete", "s")],
    );
    let (mut swarms, mut servers) = (Vec::new(), Vec::new());
    let mut outcome = Outcome::default();
    for &peers in params.counts("peers").iter().filter(|&&peers| (1..=u64::from(params.nodes())).contains(&peers)) {
        let plan = SwarmPlan {
            seed: params.seed(),
            leechers: u32::try_from(peers).unwrap_or(u32::MAX),
            free_riders_percent: 0,
            pieces: params.small_count("pieces").max(1),
            piece_bytes: params.count("piece-bytes").max(1),
            seed_up_bytes_per_s: params.count("seed-up"),
            up_bytes_per_s: vec![params.count("up")],
            down_bytes_per_s: params.count("down"),
            arrivals: Span::from_secs(1),
            stay: true,
            threads: params.threads,
            ..SwarmPlan::default()
        };
        let [swarm, server] = [0, 100].map(|free_riders_percent| {
            let (report, run) = swarm_timed(&SwarmPlan { free_riders_percent, ..plan.clone() }, gauge);
            outcome.absorb_counts(run.nodes, run.events, Span::from_micros(run.virtual_us), run.digest);
            throughput(&report)
        });
        table.row([peers.into(), swarm.0.into(), server.0.into(), swarm.1.into(), server.1.into()]);
        #[expect(clippy::cast_precision_loss, reason = "a point of a curve")]
        let at = peers as f64;
        swarms.push((at, swarm.0));
        servers.push((at, server.0));
    }
    let mut plot = Plot::new(
        "throughput",
        "Does capacity grow with demand?",
        Axis::logarithmic("peers that fetch", ""),
        Axis::logarithmic("bytes that all get together", "KiB/s"),
    );
    #[expect(clippy::cast_precision_loss, reason = "a line in a picture")]
    let uplink = params.count("seed-up") as f64 / 1024.0;
    let line: Vec<_> = servers.iter().map(|&(at, _)| (at, uplink)).collect();
    plot.add("swarm", Style::Line, swarms);
    plot.add("server", Style::Line, servers);
    plot.add("the server's uplink", Style::Reference, line);
    outcome.tables = vec![table];
    outcome.plots = vec![plot];
    outcome.remarks = vec![
        "The server is the seed of the same program, and those who fetch from it unchoke nobody: all that they get is from it. \
         In the swarm they do, and whoever is complete goes on as a seed."
            .into(),
    ];
    Ok(outcome)
}

/// KiB a second of all together, and when the last was complete.
fn throughput(report: &SwarmReport) -> (f64, f64) {
    let members = || report.groups.iter().filter(|group| group.members > 0);
    let taken: f64 = members().map(|GroupReport { members, taken_bytes, .. }| count(*members) * super::mib(*taken_bytes) * 1024.0).sum();
    let is_whole = members().all(|group| group.completed == group.members);
    let last_s = members().flat_map(|group| &group.times_s).copied().fold(0.0, f64::max);
    let over_s = if is_whole { last_s } else { report.virtual_s };
    (taken / over_s.max(1e-9), over_s)
}
