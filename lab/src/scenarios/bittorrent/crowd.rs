//! What was said about flash crowds: even pieces, full uplinks, distribution near the optimum, free riders, and the last copy
//! (BT6, BT10, BT11, BT14, BT15).

use hexad_core::{Span, Time};

use super::{Swarm, SwarmPlan, SwarmReport, count, swarm_timed};
use crate::gauge::Gauge;
use crate::outcome::{Expected, Outcome, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Death, NodeIndex};

const PIECES: Parameter = Parameter { name: "pieces", default: Preset::Count(400), help: "pieces of the torrent" };
const PIECE_BYTES: Parameter = Parameter { name: "piece-bytes", default: Preset::Count(64 << 10), help: "bytes of a piece" };
const SEED_UP: Parameter = Parameter { name: "seed-up", default: Preset::Count(256 << 10), help: "uplink of a seed, bytes a second" };
const UP: Parameter = Parameter { name: "up", default: Preset::Count(128 << 10), help: "uplink of a leecher, bytes a second" };

/// The scenario `bittorrent/crowd`.
pub static CROWD: Scenario = Scenario {
    name: "bittorrent/crowd",
    about: "A flash crowd of equals at one seed that stays: how even pieces are, how full uplinks, how near the optimum",
    nodes: 200,
    parameters: &[PIECES, PIECE_BYTES, SEED_UP, UP],
    claims: &[
        Claim { id: "BT6", says: "rarest first spreads pieces more evenly than chance", source: "Legout 2006" },
        Claim { id: "BT14", says: "uplinks are full", source: "Bharambe 2006" },
        Claim { id: "BT15", says: "distribution is near the optimum", source: "Kumar and Ross; the factor is ours" },
    ],
    small: &[("nodes", "60")],
    // Bharambe's: 100 MiB in pieces of 256 KiB, 400 kbit/s up, and a seed of 6 Mbit/s.
    full: &[("nodes", "1000"), ("pieces", "400"), ("piece-bytes", "262144"), ("up", "51200"), ("seed-up", "768000")],
    seeds: (1, 3),
    run: crowd,
};

/// The scenario `bittorrent/free-riders`.
pub static FREE_RIDERS: Scenario = Scenario {
    name: "bittorrent/free-riders",
    about: "How much longer those take who give nothing, where upload is scarce and where it is not",
    nodes: 200,
    parameters: &[PIECES, PIECE_BYTES, SEED_UP, UP],
    claims: &[Claim { id: "BT11", says: "free riders get less where upload is scarce", source: "the document; Qiu and Srikant 2004" }],
    small: &[("nodes", "80")],
    full: &[("nodes", "500")],
    seeds: (1, 5),
    run: free_riders,
};

/// The scenario `bittorrent/last-copy`.
pub static LAST_COPY: Scenario = Scenario {
    name: "bittorrent/last-copy",
    about: "The only seed vanishes: when everything is out once, and shortly before",
    nodes: 100,
    parameters: &[PIECES, PIECE_BYTES, SEED_UP, UP],
    claims: &[Claim { id: "BT10", says: "everyone completes as long as one distributed copy exists", source: "the document" }],
    small: &[("nodes", "40")],
    full: &[("nodes", "500")],
    seeds: (2, 10),
    run: last_copy,
};

fn plan(params: &Params) -> SwarmPlan {
    SwarmPlan {
        seed: params.seed(),
        leechers: params.nodes(),
        free_riders_percent: 0,
        pieces: params.small_count("pieces").max(8),
        piece_bytes: params.count("piece-bytes").max(1),
        seed_up_bytes_per_s: params.count("seed-up").max(1),
        up_bytes_per_s: vec![params.count("up").max(1)],
        arrivals: Span::from_secs(5),
        stay: true,
        threads: params.threads,
        ..SwarmPlan::default()
    }
}

/// Runs a swarm and adds it to what was run.
fn swarm(plan: &SwarmPlan, gauge: &mut Gauge<'_>, outcome: &mut Outcome) -> SwarmReport {
    let (report, run) = swarm_timed(plan, gauge);
    outcome.absorb_counts(run.nodes, run.events, Span::from_micros(run.virtual_us), run.digest);
    report
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn crowd(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let plan = plan(params);
    let rarest = swarm(&plan, gauge, &mut outcome);
    let random = swarm(&SwarmPlan { random_picking: true, ..plan.clone() }, gauge, &mut outcome);
    let file = f64::from(plan.pieces) * plan.piece_bytes as f64;
    let (seed, down) = (plan.seed_up_bytes_per_s as f64, plan.down_bytes_per_s as f64);
    let up = f64::from(plan.leechers) * plan.up_bytes_per_s[0] as f64;
    let all = f64::from(plan.leechers) * file;
    let bound_s = (file / seed).max(file / down).max(all / (seed + up));
    let last_s = |report: &SwarmReport| match report.groups.iter().all(|group| group.completed == group.members) {
        true => report.groups.iter().flat_map(|group| &group.times_s).copied().fold(0.0, f64::max),
        false => f64::INFINITY,
    };
    let mut table = Table::new(
        "crowd",
        "A flash crowd, by how pieces are chosen",
        &[("pieces", ""), ("last complete", "s"), ("no sooner than", "s"), ("copies vary", "of mean"), ("all out of the seed", "s")],
    );
    for (name, report) in [("rarest first", &rarest), ("random", &random)] {
        table.row([name.into(), last_s(report).into(), bound_s.into(), report.replication_cv.into(), report.first_copy_s.into()]);
    }
    outcome.tables.push(table);
    let variation = rarest.replication_cv / random.replication_cv;
    outcome.find("BT6", "variation of copies, rarest first over random", Expected::AtMost(0.9), variation);
    let first_copy = rarest.first_copy_s / random.first_copy_s;
    outcome.find("BT6", "time until all is out of the seed, rarest first over random", Expected::AtMost(0.75), first_copy);
    // As in the paper, who is complete goes: what everybody gave while he was there, of what his uplink could have carried.
    let leaving = swarm(&SwarmPlan { stay: false, ..plan.clone() }, gauge, &mut outcome);
    let used: f64 = leaving.groups.iter().map(|group| group.given_bytes as f64 * count(group.members)).sum();
    let free: f64 = leaving.groups.iter().map(|group| group.mean_s * count(group.members)).sum::<f64>() * plan.up_bytes_per_s[0] as f64;
    outcome.find("BT14", "uplinks' use while fetching, share", Expected::AtLeast(0.95), used / free);
    outcome.find("BT15", "time until the last is complete over the bound", Expected::AtMost(1.3), last_s(&rarest) / bound_s);
    let whole = all / ((seed + up) * last_s(&rarest));
    outcome.remarks.push(format!(
        "BT14: of leechers that go when they are complete, the beginning, in which only the seed has anything, included. Where all stay until the last is \
         complete, {:.0} % of all uplinks are used.",
        whole * 100.0
    ));
    outcome.remarks.push("BT6: the paper says 'well below'; the bounds are those that our test of a swarm of two hundred has.".into());
    Ok(outcome)
}

fn free_riders(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    // Whoever is complete goes, so that nothing is left over; or there are as many seeds as half of all who fetch.
    let scarce = SwarmPlan { free_riders_percent: 20, stay: false, ..plan(params) };
    let plenty = SwarmPlan { seeds: (scarce.leechers / 2).max(1), seed_up_bytes_per_s: scarce.seed_up_bytes_per_s * 4, ..scarce.clone() };
    let mut table = Table::new(
        "free-riders",
        "Mean times until complete",
        &[("upload", ""), ("contributors", "s"), ("free riders", "s"), ("free riders over contributors", "")],
    );
    let mut ratios = Vec::new();
    for (name, plan) in [("scarce", &scarce), ("plenty", &plenty)] {
        let report = swarm(plan, gauge, &mut outcome);
        let ratio = report.free_rider_ratio();
        if let [givers, riders] = &report.groups[..] {
            table.row([name.into(), givers.mean_s.into(), riders.mean_s.into(), ratio.into()]);
        }
        ratios.push(ratio);
    }
    outcome.tables.push(table);
    outcome.find("BT11", "free riders' time over contributors', upload scarce", Expected::AtLeast(2.0), ratios[0]);
    outcome.find("BT11", "free riders' time over contributors', upload plenty", Expected::About { value: 1.0, by: 0.2 }, ratios[1]);
    outcome.remarks.push("BT11: who is not complete when the run ends counts with its length.".into());
    Ok(outcome)
}

/// How long those that are left may go on without a seed.
const WITHOUT_SEED: Span = Span::from_secs(1800);
/// How often it is looked what is out.
const LOOK: Span = Span::from_millis(250);
const SEED: NodeIndex = NodeIndex(1);

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn last_copy(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let plan = plan(params);
    let columns = [("the seed vanishes", ""), ("pieces not out", ""), ("complete", "share")];
    let mut table = Table::new("last-copy", "A swarm without a seed", &columns);
    let mut shares = Vec::new();
    for (name, at_most) in [("shortly before everything is out once", plan.pieces as usize / 8), ("when everything is out once", 0)] {
        gauge.phase(name);
        let mut swarm = Swarm::new(&plan);
        let deadline = Time::ZERO + plan.deadline;
        while swarm.not_out() > at_most && swarm.lab.now() < deadline {
            swarm.lab.run_for(LOOK);
        }
        let not_out = swarm.not_out();
        swarm.lab.kill(SEED, Death::Vanish);
        let until = swarm.lab.now() + WITHOUT_SEED;
        while swarm.unfinished(|_| true) > 0 && swarm.lab.now() < until {
            swarm.lab.run_for(Span::from_secs(5));
        }
        gauge.end();
        outcome.absorb(&swarm.lab);
        let share = 1.0 - swarm.unfinished(|_| true) as f64 / count(plan.leechers as usize);
        table.row([name.into(), not_out.into(), share.into()]);
        if at_most > 0 && not_out == 0 {
            return Err("everything was out at once: take more pieces".into());
        }
        shares.push(share);
    }
    outcome.tables.push(table);
    outcome.find("BT10", "complete when the seed vanished shortly before, share", Expected::exactly(0.0), shares[0]);
    outcome.find("BT10", "complete when the seed vanished with one copy out, share", Expected::exactly(1.0), shares[1]);
    Ok(outcome)
}
