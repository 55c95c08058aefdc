//! What a search costs and finds: with hops, with links, with the number of leaves (KZ1, KZ2, KZ3).

use hexad_core::Span;

use super::town::{Plan, Town, float};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;

/// How long leaves may take, in all, that supernodes have sent elsewhere and that are at both meanwhile.
const MOVES_S: u32 = 120;

/// The scenario `kazaa/search`.
pub static SEARCH: Scenario = Scenario {
    name: "kazaa/search",
    about: "Searches for what one leaf has: messages beside those of a flood among all, and what they miss, by how far they travel",
    nodes: 5000,
    parameters: &[
        Parameter { name: "supernodes", default: Preset::Count(60), help: "how many of the nodes are supernodes" },
        Parameter { name: "links", default: Preset::Count(10), help: "links that a supernode has to others" },
        Parameter {
            name: "hops",
            default: Preset::Counts(&[0, 1, 2]),
            help: "how far a question travels beyond the first supernode, one world each",
        },
        Parameter { name: "files", default: Preset::Count(2), help: "files of a leaf" },
        Parameter { name: "searches", default: Preset::Count(300), help: "searches in each world" },
        Parameter { name: "parents", default: Preset::Count(1), help: "supernodes of a leaf" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[
        Claim {
            id: "KZ1",
            says: "a search reaches as much with fewer messages than a flood among all, about as many times fewer as a supernode has leaves",
            source: "mission K5; Liang 2004",
        },
        Claim { id: "KZ2", says: "what exists is not always found; it depends on how far questions travel", source: "mission K9" },
        Claim { id: "KZ3", says: "a supernode knows the files of its leaves and no others", source: "claims D" },
    ],
    small: &[("nodes", "600"), ("supernodes", "12"), ("links", "4"), ("searches", "60")],
    full: &[("nodes", "100k"), ("supernodes", "1000"), ("links", "40"), ("searches", "1000")],
    seeds: (1, 3),
    run: search,
};

fn search(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let supernodes = params.small_count("supernodes");
    if supernodes < 2 || supernodes * 2 > params.nodes() {
        return Err("supernodes: expected at least 2, and at most half of all nodes".into());
    }
    let columns = [
        ("hops", ""),
        ("recall", "%"),
        ("questions sent", ""),
        ("all messages", ""),
        ("supernodes asked", ""),
        ("flood among all, at least", ""),
        ("times fewer", ""),
        ("first hit, median", "ms"),
    ];
    let mut table = Table::new("search", "Searches among supernodes, for what one leaf has", &columns);
    let (mut recalls, mut fewer) = (Vec::new(), Vec::new());
    let leaves = params.nodes() - supernodes;
    let each = float(leaves) * float(params.count("parents")) / float(supernodes);
    for &hops in params.counts("hops") {
        let plan = Plan {
            seed: params.seed(),
            threads: params.threads,
            codec: params.switch("codec"),
            supernodes,
            leaves,
            files: params.count("files"),
            file_bytes: 1 << 20,
            parents: usize::try_from(params.count("parents")).unwrap_or(1),
            links: usize::try_from(params.count("links")).unwrap_or(1),
            hops: u8::try_from(hops).unwrap_or(3),
            ping: Span::from_secs(30),
            up: None,
        };
        let mut town = Town::new(&plan, gauge)?;
        let count = params.count("searches");
        let kinds = |town: &Town| {
            let of = |kind: &str| town.lab.tally().of(kind).messages;
            (of("query"), of("query") + of("query_end") + of("results"))
        };
        let before = kinds(&town);
        let mut asked = Vec::new();
        for number in 0..count {
            asked.push((town.lab.now(), town.search_somebodys(number, |_| true)));
            town.lab.run_for(Span::from_millis(50));
        }
        gauge.run_for("search", &mut town.lab, Span::from_secs(13));
        let mut times: Vec<Span> = asked.iter().filter_map(|&(began, search)| town.found_after(search, began)).collect();
        let found = times.len() as u64;
        let after = kinds(&town);
        times.sort_unstable();
        let median = times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1000.0);
        let recall = float(found) / float(count);
        let questions = float(after.0 - before.0) / float(count);
        // The first question goes to the supernode; every supernode that is asked for the first time costs at least one.
        let scope = (recall * float(supernodes)).max(1.0);
        // A flood that is to find that much has to come to that share of all nodes: at least a message to each.
        let flood = recall * float(params.nodes());
        let times_fewer = if questions > 0.0 { flood / questions } else { 0.0 };
        table.row([
            hops.into(),
            (recall * 100.0).into(),
            questions.into(),
            (float(after.1 - before.1) / float(count)).into(),
            scope.into(),
            flood.into(),
            times_fewer.into(),
            median.into(),
        ]);
        recalls.push((float(hops), recall));
        fewer.push(times_fewer);
        if hops == 0 {
            // KZ3: what each supernode has is what its leaves offer, once nobody is between two supernodes.
            for _ in 0..MOVES_S {
                if !(0..leaves).any(|leaf| town.node(town.leaf(leaf)).is_some_and(|node| node.parents().count() > plan.parents)) {
                    break;
                }
                gauge.run_for("moves", &mut town.lab, Span::from_secs(1));
            }
            let mut wrong = 0_u64;
            let mut records = 0_u64;
            for node in 0..supernodes {
                let Some(node) = town.node(crate::NodeIndex(node)) else { continue };
                let known = node.index().map_or(0, hexad_kazaa::node::Index::len) as u64;
                records += known;
                wrong += known.abs_diff(node.leaves() as u64 * plan.files);
            }
            outcome.find("KZ3", "records that a supernode has beside those of its leaves, or lacks", Expected::exactly(0.0), float(wrong));
            outcome.find(
                "KZ3",
                "records of a supernode, as part of files times leaves over supernodes",
                Expected::About { value: 1.0, by: 0.0 },
                float(records) / float(supernodes) / (each * float(plan.files)),
            );
        }
        outcome.absorb(&town.lab);
        if town.lab.tally().codec_differences > 0 {
            return Err(format!("{} messages were read as something else", town.lab.tally().codec_differences));
        }
    }
    let first = recalls.first().map_or(0.0, |point| point.1);
    let last = recalls.last().map_or(0.0, |point| point.1);
    outcome.find("KZ2", "recall of questions that do not travel", Expected::AtMost(0.5), first);
    outcome.find("KZ2", "how much more is found by those that travel furthest", Expected::AtLeast(0.2), last - first);
    outcome.find("KZ2", "falls of recall with further travel", Expected::exactly(0.0), float(falls(&recalls)));
    // Between "asks every supernode once" and "asks each of them several times", since questions meet.
    let best = fewer.iter().copied().fold(0.0, f64::max);
    outcome.find(
        "KZ1",
        "times fewer messages than a flood among all, over leaves of a supernode, at best",
        Expected::Between(0.5, 2.0),
        best / each,
    );
    let mut plot = Plot::new(
        "recall",
        "How much of what exists does a search find?",
        Axis::linear("hops beyond the first supernode", ""),
        Axis::linear("recall", ""),
    );
    plot.add("found", Style::Line, recalls);
    outcome.plots.push(plot);
    outcome.tables.push(table);
    Ok(outcome)
}

/// How often more travel found less, by more than chance.
fn falls(points: &[(f64, f64)]) -> usize {
    points.windows(2).filter(|pair| pair[1].1 + 0.05 < pair[0].1).count()
}
