//! What a join costs, what joins at the same time do to each other, which failures a successor list survives, and what published rules lead to
//! (CH12–CH15).

use hexad_chord::model::{World, search};
use hexad_chord::{Contact as _, Fill, Place as _, Rules, Settings};
use hexad_core::{Address as _, Endpoint, Operation, Span};

use super::oracle::{ChordLab, Oracle, flat, ideal, judge, look_up, random_key, still};
use super::routing::ring_of;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Death, NodeIndex, Purpose, dice};

fn messages(lab: &ChordLab) -> u64 {
    lab.tally().kinds().values().map(|kind| kind.messages).sum()
}

fn bootstrap(node: u32) -> Vec<Endpoint> {
    vec![Endpoint::of_lab_node(node)]
}

/// `chord/join`: CH12.
pub static JOIN: Scenario = Scenario {
    name: "chord/join",
    about: "Messages until a newcomer's neighbours and fingers are right, by the size of the ring and by how it fills its table",
    nodes: 4096,
    parameters: &[
        Parameter { name: "powers", default: Preset::Counts(&[6, 7, 8, 9, 10, 11, 12, 13, 14]), help: "k: rings of 2^k nodes" },
        Parameter { name: "joins", default: Preset::Count(10), help: "newcomers in each, one after the other" },
    ],
    claims: &[Claim {
        id: "CH12",
        says: "A join costs O(log^2 N) messages, and about 3 log2 N where the successor's table is copied",
        source: "the user's document; SIGCOMM 2001",
    }],
    small: &[("powers", "6,8,10"), ("joins", "4")],
    full: &[],
    seeds: (1, 15),
    run: join,
};

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn join(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let seed = params.seed();
    let mut outcome = Outcome::default();
    let columns = [
        ("nodes", ""),
        ("copied table", ""),
        ("a lookup for each finger", ""),
        ("and others told", ""),
        ("3 log2 N", ""),
        ("2 log2^2 N", ""),
    ];
    let mut table = Table::new("join", "Messages of a join", &columns);
    let kinds = [(Fill::Copy, Rules::Corrected), (Fill::Lookups, Rules::Corrected), (Fill::Lookups, Rules::UpdateOthers)];
    let mut curves: [Vec<(f64, f64)>; 3] = Default::default();
    for &power in params.counts("powers") {
        gauge.phase("join");
        let nodes = 1_u32 << power;
        let log = power as f64;
        let mut means = [0.0; 3];
        for (at, (fill, rules)) in kinds.into_iter().enumerate() {
            let mut sum = 0;
            for newcomer in 0..params.count("joins") {
                // Each newcomer of each seed stands somewhere else: where it stands decides what its join costs.
                let world = seed.wrapping_mul(params.count("joins")) + newcomer;
                let (cost, right) = one_join(world, nodes, fill, rules, &mut outcome)?;
                sum += cost;
                if !right {
                    return Err(format!("a newcomer among {nodes} does not have the right fingers and neighbours ({fill:?}, {rules:?})"));
                }
            }
            means[at] = sum as f64 / params.count("joins").max(1) as f64;
            curves[at].push((f64::from(nodes), means[at]));
        }
        let (copied, textbook) = (3.0 * log, 2.0 * log * log);
        let cells = [f64::from(nodes), means[0], means[1], means[2], copied, textbook];
        table.row(cells.map(Cell::from));
        outcome.find("CH12", format!("messages of a join among {nodes}, a lookup for each finger"), Expected::AtMost(textbook), means[1]);
        outcome.find(
            "CH12",
            format!("questions with their answers of a join among {nodes}, table copied, over log2 N (tolerance ours)"),
            Expected::About { value: 3.0, by: 0.75 },
            means[0] / log / 2.0,
        );
    }
    for (curve, name) in curves.iter().zip(["copied", "looked up", "looked up, others told"]) {
        if let (Some(first), Some(last)) = (curve.first(), curve.last())
            && last.0 > first.0
        {
            // The power of log2 N with which the messages grow.
            let grows = (last.1 / first.1).ln() / (last.0.log2() / first.0.log2()).ln();
            let expected = if name == "copied" { Expected::AtMost(1.3) } else { Expected::Between(1.5, 2.5) };
            outcome.find("CH12", format!("messages grow with this power of log2 N, {name} (tolerance ours)"), expected, grows);
        }
    }
    let mut plot = Plot::new("join", "What does a join cost?", Axis::logarithmic("nodes", ""), Axis::linear("messages", ""));
    let [copied, looked_up, told] = curves;
    plot.add("3 log2 N", Style::Reference, copied.iter().map(|&(x, _)| (x, 3.0 * x.log2())));
    plot.add("2 log2^2 N", Style::Reference, copied.iter().map(|&(x, _)| (x, 2.0 * x.log2().powi(2))));
    plot.add("table copied", Style::Line, copied);
    plot.add("a lookup for each finger", Style::Line, looked_up);
    plot.add("and others told", Style::Line, told);
    outcome.tables.push(table);
    outcome.plots.push(plot);
    outcome.remarks.push(
        "CH12: 3 log2 N is taken to count a question and its answer as one, since copying a table and looking at each entry takes 2 log2 N \
         messages alone; all other figures count both. Nodes keep two successors here, so that a newcomer's list does not stand in for fingers.          What a join costs grows with how far the newcomer stands from its successor (each finger of the copied table is a step off for every          node in as long an arc), so single joins differ by a factor of five and the mean needs a hundred of them."
            .into(),
    );
    outcome.remarks.push(
        "CH12: messages are those of a run with the join less those of the same run without it, over a minute in which everybody else stabilises \
         as ever: what the neighbours do about the newcomer counts, its own later stabilisations do not."
            .into(),
    );
    Ok(outcome)
}

/// The cost of one join, and whether the newcomer and its neighbours are right afterwards.
fn one_join(seed: u64, nodes: u32, fill: Fill, rules: Rules, outcome: &mut Outcome) -> Result<(u64, bool), String> {
    let settings = Settings { stabilise_every: Span::from_secs(30), fingers_each: 0, rules, first_vnode: ring_of(seed), ..still(2) };
    let all = Oracle::new(nodes + 1, &settings, |_| true);
    let mut counts = [0; 2];
    let mut right = false;
    for (at, joins) in [false, true].into_iter().enumerate() {
        let (mut lab, _) = ideal(nodes, &settings, flat(seed));
        let quiet = Settings { fill, stabilise_every: Span::ZERO, ..settings.clone() };
        let newcomer = lab.add_node(hexad_chord::Config::from(quiet));
        lab.run_for(Span::from_secs(1));
        let before = messages(&lab);
        if joins {
            let via = u32::try_from(dice(seed, Purpose::Churn, 7, 0).below(nodes.into())).unwrap_or(0);
            lab.start(newcomer, Operation::Join { bootstrap: bootstrap(via) });
        }
        lab.run_for(Span::from_secs(60));
        counts[at] = messages(&lab) - before;
        if joins {
            let ideal = all.rings(&settings);
            let own = ideal.iter().find(|ring| ring.me.addr() == newcomer.0).ok_or("the newcomer has a place")?;
            let has = lab.node(newcomer).and_then(|node| node.rings().first()).ok_or("the newcomer has joined")?;
            right = has.fingers == own.fingers && all.wrong_successors(&lab) == 0 && has.prdc == own.prdc;
            outcome.absorb(&lab);
        }
    }
    Ok((counts[1].saturating_sub(counts[0]), right))
}

/// `chord/gap`: CH13 and CH14.
pub static GAP: Scenario = Scenario {
    name: "chord/gap",
    about: "All but one of a node's successors fail, or all of them; and two join in one gap, by the naive join and by the corrected one",
    nodes: 200,
    parameters: &[
        Parameter { name: "successors", default: Preset::Count(8), help: "R" },
        Parameter { name: "trials", default: Preset::Count(10), help: "nodes before the gap, pairs of newcomers" },
    ],
    claims: &[
        Claim {
            id: "CH13",
            says: "The ring survives R-1 failures at the same time, and a node all of whose successors are gone knows it",
            source: "the user's document",
        },
        Claim {
            id: "CH14",
            says: "The naive join is right for one newcomer at a time; stabilisation repairs joins at the same time",
            source: "the user's document; chord.md 12",
        },
    ],
    small: &[("nodes", "100"), ("trials", "3")],
    full: &[("nodes", "1000"), ("successors", "20"), ("trials", "5")],
    seeds: (1, 10),
    run: gap,
};

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn gap(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed, trials) = (params.nodes(), params.seed(), params.count("trials"));
    let r = usize::try_from(params.count("successors")).unwrap_or(8);
    let mut outcome = Outcome::default();
    let columns = [("killed", ""), ("wrong neighbours after", ""), ("wrong lookups", ""), ("nodes that knew", "")];
    let mut table = Table::new("consecutive", "Consecutive failures", &columns);
    for killed in [r - 1, r] {
        gauge.phase("consecutive failures");
        let (mut wrong, mut lookups, mut knew) = (0, 0.0, 0);
        for trial in 0..trials {
            let settings = Settings {
                stabilise_every: Span::from_secs(10),
                suspects_max: 32,
                fingers_each: 1,
                first_vnode: ring_of(seed),
                ..still(r)
            };
            let (mut lab, oracle) = ideal(nodes, &settings, flat(seed + trial));
            lab.run_for(Span::from_secs(5));
            let first = usize::try_from(dice(seed, Purpose::Churn, 8, trial).below(nodes.into())).unwrap_or(0);
            let dead: Vec<u32> = (1..=killed).map(|step| oracle.at(first + step).addr()).collect();
            for &node in &dead {
                lab.kill(NodeIndex(node), Death::Vanish);
            }
            lab.run_for(Span::from_secs(600));
            let living = Oracle::new(nodes, &settings, |node| !dead.contains(&node));
            wrong += living.not_ideal(&lab, r);
            let asked = look_up(&mut lab, seed, 100, Span::from_secs(10), |node| !dead.contains(&node), |number| random_key(seed, number));
            let came = judge(&asked, &living);
            lookups += came.wrong + came.failed;
            knew += lab.tally().notes().get("all_successors_gone").copied().unwrap_or(0);
            outcome.absorb(&lab);
        }
        table.row([Cell::from(killed), Cell::from(wrong), Cell::from(lookups), Cell::from(knew)]);
        if killed < r {
            outcome.find("CH13", "nodes with wrong neighbours after R-1 failures in a row", Expected::exactly(0.0), wrong as f64);
            outcome.find("CH13", "lookups that fail or find another after R-1 failures, share", Expected::exactly(0.0), lookups);
            outcome.find("CH13", "nodes that lost all successors to R-1 failures", Expected::exactly(0.0), knew as f64);
        } else {
            outcome.find(
                "CH13",
                "share of nodes that knew that all R successors were gone",
                Expected::AtLeast(1.0),
                knew as f64 / trials.max(1) as f64,
            );
        }
    }
    outcome.tables.push(table);
    pairs(params, &mut outcome, gauge);
    Ok(outcome)
}

/// CH14: newcomers in one gap.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn pairs(params: &Params, outcome: &mut Outcome, gauge: &mut Gauge<'_>) {
    let (nodes, seed, trials) = (params.nodes(), params.seed(), params.count("trials"));
    let columns = [("join", ""), ("together", ""), ("wrong successors", ""), ("right again after", "s")];
    let mut table = Table::new("gap", "Two newcomers in one gap", &columns);
    for (name, rules, together) in [
        ("naive", Rules::UpdateOthers, false),
        ("naive", Rules::UpdateOthers, true),
        ("corrected", Rules::Corrected, false),
        ("corrected", Rules::Corrected, true),
    ] {
        gauge.phase("two in one gap");
        let (mut wrong, mut slowest) = (0, 0.0_f64);
        for trial in 0..trials {
            let settings =
                Settings { stabilise_every: Span::from_secs(10), fingers_each: 0, rules, first_vnode: ring_of(seed), ..still(8) };
            let (mut lab, ring) = ideal(nodes, &settings, flat(seed + trial));
            // Newcomers are drawn until two of them fall into one gap.
            let candidates: Vec<u32> = (nodes..nodes * 3).collect();
            let gap_of = |node: u32| node.contact(settings.first_vnode).map_or(0, |contact| ring.index(contact));
            let skip = usize::try_from(trial).unwrap_or(0) * 7;
            let pair = candidates
                .iter()
                .skip(skip)
                .find_map(|&one| candidates.iter().find(|&&other| other > one && gap_of(other) == gap_of(one)).map(|&other| (one, other)));
            let Some((one, other)) = pair else { continue };
            lab.add_nodes(nodes * 2, hexad_chord::Config::from(settings.clone()));
            lab.run_for(Span::from_secs(1));
            lab.start(NodeIndex(one), Operation::Join { bootstrap: bootstrap(0) });
            if !together {
                lab.run_for(Span::from_secs(60));
            }
            lab.start(NodeIndex(other), Operation::Join { bootstrap: bootstrap(0) });
            let all = Oracle::new(nodes * 3, &settings, |node| node < nodes || node == one || node == other);
            let start = lab.now();
            let mut right = false;
            for _ in 0..60 {
                lab.run_for(Span::from_secs(2));
                if all.wrong_successors(&lab) == 0 {
                    right = true;
                    slowest = slowest.max(super::oracle::seconds(start, lab.now()));
                    break;
                }
            }
            wrong += if right { 0 } else { all.wrong_successors(&lab) };
            outcome.absorb(&lab);
        }
        table.row([name.into(), Cell::from(if together { "yes" } else { "no" }), Cell::from(wrong), Cell::from(slowest)]);
        let how = if together { "at the same time" } else { "one after the other" };
        let row = format!("wrong successors two minutes after two joins {how}, {name}");
        let expected = if rules == Rules::UpdateOthers && together { Expected::AtLeast(1.0) } else { Expected::exactly(0.0) };
        outcome.find("CH14", row, expected, wrong as f64);
        if rules == Rules::Corrected && together {
            outcome.find(
                "CH14",
                "seconds until two joins at the same time are right, corrected (tolerance ours)",
                Expected::AtMost(60.0),
                slowest,
            );
        }
    }
    outcome.tables.push(table);
}

/// `chord/rules`: CH15.
pub static RULES: Scenario = Scenario {
    name: "chord/rules",
    about: "Every order of joins, failures and messages in rings of three to five: the corrected rules, and two that were published",
    nodes: 5,
    parameters: &[Parameter { name: "worlds", default: Preset::Count(200_000), help: "worlds that are looked at at most" }],
    claims: &[Claim { id: "CH15", says: "The published protocol can break; the corrected one does not", source: "Zave 2015; chord.md 12" }],
    small: &[("worlds", "20000")],
    full: &[],
    seeds: (1, 1),
    run: rules,
};

/// Rules, who is in the ring, who comes, how many may fail, and whether what can still be repaired counts as unbroken.
type Case = (&'static str, Rules, &'static [u32], &'static [u32], u8, bool);

fn rules(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let most = usize::try_from(params.count("worlds")).unwrap_or(usize::MAX);
    let mut outcome = Outcome::default();
    let columns =
        [("rules", ""), ("members", ""), ("newcomers", ""), ("failures", ""), ("worlds", ""), ("all", ""), ("broken", ""), ("steps", "")];
    let mut table = Table::new("rules", "Rules of maintenance in every order of events", &columns);
    let cases: [Case; 5] = [
        ("corrected", Rules::Corrected, &[8, 24, 40], &[32], 1, true),
        ("corrected", Rules::Corrected, &[8, 24, 40], &[28, 32], 0, true),
        ("corrected", Rules::Corrected, &[8, 24, 40, 56], &[], 2, true),
        ("successor's predecessor adopted unseen", Rules::Published, &[8, 24, 40], &[32], 1, true),
        ("newcomer with one successor", Rules::OneSuccessor, &[8, 24, 40, 56], &[32], 1, false),
    ];
    for (name, rules, members, outside, fails, repairable) in cases {
        gauge.phase(name);
        let searched = search(&World::new(rules, 2, members, outside, fails), most, repairable);
        let (broken, steps) = searched.broken.map_or((Cell::Empty, 0), |(broken, steps)| (Cell::from(format!("{broken:?}")), steps.len()));
        table.row([
            name.into(),
            Cell::from(members.len()),
            Cell::from(outside.len()),
            Cell::from(u32::from(fails)),
            Cell::from(searched.worlds),
            Cell::from(if searched.complete { "yes" } else { "no" }),
            broken,
            Cell::from(steps),
        ]);
        outcome.events += searched.worlds as u64;
        let row = format!("counter-examples, {name}, {} members, {} newcomers, {fails} failures", members.len(), outside.len());
        outcome.find("CH15", row, Expected::exactly(if rules == Rules::Corrected { 0.0 } else { 1.0 }), f64::from(u8::from(steps > 0)));
    }
    outcome.nodes = 5;
    outcome.tables.push(table);
    Ok(outcome)
}
