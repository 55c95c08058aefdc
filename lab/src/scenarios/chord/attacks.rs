//! Liars in the ring: disjoint paths, and whether what is claimed is plausible (CH19; issue 3, point 3).

use std::sync::{Arc, Mutex, PoisonError};

use hexad_chord::id::{RingId as _, between};
use hexad_chord::wire::{Body, Step};
use hexad_chord::{Chord, Config, Contact as _, Key, Message, Place as _, Ring, Settings, Stage};
use hexad_core::{Address as _, Endpoint, Input, Link, Map, Operation, Output, Set, Span};

use super::oracle::{ChordLab, Oracle, flat, fraction, ideal, judge, look_up, random_key, still};
use super::routing::ring_of;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Lab, LabConfig, NodeIndex, Purpose, Watched, dice};

/// `chord/attackers`: CH19.
pub static ATTACKERS: Scenario = Scenario {
    name: "chord/attackers",
    about: "Some of the nodes work together and name one of them as the owner of whatever they are asked for, or answer nothing",
    nodes: 1000,
    parameters: &[
        Parameter { name: "liars", default: Preset::Numbers(&[0.0, 0.1, 0.2, 0.3, 0.4, 0.5]), help: "shares of nodes that lie" },
        Parameter { name: "paths", default: Preset::Counts(&[1, 2, 4, 8]), help: "disjoint paths of a lookup" },
        Parameter { name: "few-liars", default: Preset::Number(0.005), help: "the share that lies where plausibility is looked at" },
        Parameter { name: "lookups", default: Preset::Count(4000), help: "lookups of each kind" },
    ],
    claims: &[
        Claim {
            id: "CH19",
            says: "With d disjoint paths a lookup finds the owner although a share f of the nodes lies: about 1-(1-(1-f)^h)^d at most",
            source: "chord.md 10; Baumgart and Mies 2007 (from memory)",
        },
        Claim {
            id: "SEC",
            says: "Owners too far from their keys are not believed, and one network cannot fill a table",
            source: "chord.md 10; Castro et al. 2002",
        },
    ],
    small: &[("liars", "0,0.2"), ("paths", "1,8"), ("lookups", "1000")],
    full: &[],
    seeds: (1, 5),
    run: attackers,
};

/// What liars do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lie {
    /// They name the first of them behind the key as its owner, and that one says that it is.
    Name,
    /// They do not answer.
    Silence,
}

#[expect(clippy::cast_precision_loss, reason = "a number of lookups")]
fn attackers(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let (nodes, seed, lookups) = (params.nodes(), params.seed(), params.count("lookups"));
    let mut outcome = Outcome::default();
    let columns = [
        ("liars", ""),
        ("paths", ""),
        ("right owner", ""),
        ("1-(1-(1-f)^h)^d", ""),
        ("next honest node, liars silent", ""),
        ("messages of a lookup", ""),
    ];
    let mut table = Table::new("attackers", "Lookups among liars", &columns);
    let mut plot = Plot::new(
        "attackers",
        "Do lookups find the owner among liars?",
        Axis::linear("share of liars", ""),
        Axis::linear("right owner", ""),
    );
    // How many are asked before the owner, by lookup, among honest nodes.
    let mut steps = Vec::new();
    for &paths in params.counts("paths") {
        let mut curve = Vec::new();
        for &share in params.numbers("liars") {
            gauge.phase("attackers");
            let settings = Settings {
                paths: u8::try_from(paths).unwrap_or(1),
                owner_distance_max: 64,
                lookup_deadline: Span::from_secs(60),
                first_vnode: ring_of(seed),
                ..still(16)
            };
            let named = among_liars(&settings, nodes, seed, share, Lie::Name, lookups, &mut outcome);
            let silent = among_liars(&settings, nodes, seed, share, Lie::Silence, lookups, &mut outcome);
            if steps.is_empty() {
                steps.clone_from(&named.steps);
            }
            let chance = |steps: &i32| 1.0 - (1.0 - (1.0 - share).powi(*steps)).powi(i32::try_from(paths).unwrap_or(1));
            let guide = steps.iter().map(chance).sum::<f64>() / steps.len().max(1) as f64;
            table.row([
                Cell::from(share),
                Cell::from(paths),
                Cell::from(named.right),
                Cell::from(guide),
                Cell::from(silent.right),
                Cell::from(named.messages),
            ]);
            curve.push((share, named.right));
            let percent = format!("{:.0} % liars, {paths} paths", share * 100.0);
            if share <= 0.0 {
                outcome.find("CH19", format!("right owners, {percent}"), Expected::exactly(1.0), named.right);
            } else {
                // A guide from above: paths end near one owner, so that they are not independent of each other. Nodes with long arcs before them
                // are asked more often, so that a ring's liars may have a larger or smaller share of what is asked than of the nodes.
                let row = format!("right owners less 1-(1-(1-f)^h)^d, {percent} (tolerance ours)");
                outcome.find("CH19", row, Expected::Between(-0.15, 0.1), named.right - guide);
            }
            if paths == 8 && (share - 0.2).abs() < 1e-9 {
                outcome.find("CH19", format!("right owners, {percent} (tolerance ours)"), Expected::AtLeast(0.95), named.right);
            }
            let row = format!("next honest node where liars are silent, {percent} (tolerance ours)");
            outcome.find("CH19", row, Expected::AtLeast(0.999), silent.right);
        }
        plot.add(format!("{paths} paths"), Style::Line, curve);
    }
    outcome.tables.push(table);
    outcome.plots.push(plot);
    outcome.remarks.push(
        "CH19: liars know each other and the key: the nearest of them behind it is named as the owner and claims it with a predecessor that fits, \
         which no answer by itself gives away. Keys that a liar owns are left out, since there the liar is the owner. h is the number of nodes \
         asked before the owner where nobody lies; the formula is taken for each lookup and then its mean. The paths of one lookup end near one owner and so are not independent: the formula is a guide \
         from above, and from 30 percent of liars on many paths are in each other's way: eight of them leave no way round for the last one, so that \
         not all lookups end where half of the nodes are silent. S/Kademlia's 0.99 at f = 0.2 and d = 8 is from memory; 0.95 is asked for here."
            .into(),
    );
    plausible(params, &mut outcome, gauge);
    crowds(params, &mut outcome, gauge)?;
    Ok(outcome)
}

/// How lookups of honest nodes went.
struct Went {
    right: f64,
    /// Share that ended with somebody else.
    believed: f64,
    /// Who was asked before the owner, by lookup.
    steps: Vec<i32>,
    messages: f64,
}

fn among_liars(settings: &Settings, nodes: u32, seed: u64, share: f64, lie: Lie, lookups: u64, outcome: &mut Outcome) -> Went {
    let (mut lab, oracle) = ideal(nodes, settings, flat(seed));
    let liars = liars(nodes, seed, share);
    match lie {
        Lie::Name => collude(&mut lab, &liars, settings),
        Lie::Silence => {
            let liars = liars.clone();
            lab.tamper(move |node, output| {
                let answers = matches!(output, Output::Send(_, Message { body: Body::Next(..), .. }));
                !(answers && liars.contains(&node))
            });
        }
    }
    let before = lab.tally().of("find_next").messages;
    let honest = |node: u32| !liars.contains(&node);
    let mut asked = look_up(&mut lab, seed, lookups, Span::from_secs(300), honest, |number| random_key(seed, number));
    let judged_by = match lie {
        // A liar who owns a key is its owner all the same: what is of interest is whether others' keys are found.
        Lie::Name => {
            asked.retain(|asked| honest(oracle.owner_of(&asked.key).addr()));
            oracle
        }
        // Who never answers is gone, as far as anybody can tell.
        Lie::Silence => Oracle::new(nodes, settings, honest),
    };
    let came = judge(&asked, &judged_by);
    let steps = asked.iter().filter_map(|asked| Some(i32::from(asked.found.as_ref()?.hops.saturating_sub(1)))).collect();
    let messages = fraction(lab.tally().of("find_next").messages - before, lookups);
    outcome.absorb(&lab);
    Went { right: 1.0 - came.failed - came.wrong, believed: came.wrong, steps, messages }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of nodes")]
fn liars(nodes: u32, seed: u64, share: f64) -> Set<u32> {
    let mut all: Vec<u32> = (0..nodes).collect();
    dice(seed, Purpose::Churn, 9, 0).shuffle(&mut all);
    all.into_iter().take((f64::from(nodes) * share).round() as usize).collect()
}

/// By liar, asker and number of the question: which key was asked for.
type Asked = Arc<Mutex<Map<(u32, u32, u32), Key>>>;

/// Makes liars name the first of them behind a key as its owner, and that one claim it.
fn collude(lab: &mut ChordLab, liars: &Set<u32>, settings: &Settings) {
    let gang = Oracle::new(lab.node_count(), settings, |node| liars.contains(&node));
    if gang.len() == 0 {
        return;
    }
    let asked = Asked::default();
    let (heard, members) = (asked.clone(), liars.clone());
    lab.watch(move |_, node, seen| {
        if let Watched::Heard(Input::Received(Link::Datagram(_, from), Message { query, body: Body::FindNext { key, .. }, .. })) = seen
            && members.contains(&node)
        {
            heard.lock().unwrap_or_else(PoisonError::into_inner).insert((node, *from, *query), *key);
        }
    });
    let members = liars.clone();
    lab.forge(move |node, output| {
        let Output::Send(Link::Datagram(door, to), Message { from, to: vnode, query, body: Body::Next(step, contacts) }) = output else {
            return None;
        };
        if !members.contains(&node) || *step == Step::Mine {
            return None;
        }
        let key = asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&(node, *to, *query))?;
        let claimant = gang.owner_of(&key);
        let body = if claimant.addr() == node {
            // Its predecessor is said to be somebody before the key.
            let before = contacts.iter().find(|contact| between(contact.id(), u64::of_key(&key), claimant.id())).copied();
            Body::Next(Step::Mine, vec![before.unwrap_or(claimant)])
        } else {
            Body::Next(Step::Successor, vec![claimant])
        };
        Some(Output::Send(Link::Datagram(*door, *to), Message { from: *from, to: *vnode, query: *query, body }))
    });
}

/// Few liars stand far from most keys, and an owner so far away is not believed.
fn plausible(params: &Params, outcome: &mut Outcome, gauge: &mut Gauge<'_>) {
    let (nodes, seed, share) = (params.nodes(), params.seed(), params.number("few-liars"));
    let mut table = Table::new(
        "density",
        "Few liars, one path",
        &[("owners believed up to", "mean distances"), ("right owner", ""), ("another believed", "")],
    );
    let mut believed = [0.0; 2];
    for (at, max) in [0, 64].into_iter().enumerate() {
        gauge.phase("density");
        let settings = Settings { owner_distance_max: max, first_vnode: ring_of(seed), ..still(16) };
        let went = among_liars(&settings, nodes, seed, share, Lie::Name, params.count("lookups"), outcome);
        believed[at] = went.believed;
        let reach = if max == 0 { Cell::from("any distance") } else { Cell::from(max) };
        table.row([reach, Cell::from(went.right), Cell::from(went.believed)]);
    }
    outcome.tables.push(table);
    // Of liars 1/f mean distances apart, the nearest is within 64 of them with probability 1-e^(-64 f).
    let expected = 1.0 - (-64.0 * share).exp();
    let row = "wrong owners believed with the density test over those without";
    outcome.find("SEC", row, Expected::AtMost(1.5 * expected), believed[1] / believed[0].max(f64::MIN_POSITIVE));
}

/// A quarter of the nodes are in one /24, all others in one of their own: how much of the tables they get.
fn crowds(params: &Params, outcome: &mut Outcome, gauge: &mut Gauge<'_>) -> Result<(), String> {
    // Addresses of the lab end with the number of their node.
    const NET: u32 = 256;
    const MEMBERS: u32 = 200;
    const NEWCOMERS: u32 = 10;
    let seed = params.seed();
    let columns = [("at most from one /24", ""), ("fingers of a node in the crowded one", ""), ("fingers of a node", "")];
    let mut table = Table::new("crowds", "A quarter of all nodes in one /24", &columns);
    for max in [0, 2] {
        gauge.phase("crowds");
        let settings = Settings { per_neighbourhood_max: max, stabilise_every: Span::from_secs(30), fingers_each: 1, ..still(8) };
        let mut lab = Lab::<Chord<Endpoint>>::new(LabConfig { keep_reports: false, ..flat(seed) });
        lab.add_nodes((MEMBERS + NEWCOMERS + 1) * NET, Config::from(settings));
        let members: Vec<u32> = (0..MEMBERS / 3).chain((1..=MEMBERS).map(|net| net * NET)).collect();
        let mut places: Vec<_> = members.iter().filter_map(|&node| Endpoint::of_lab_node(node).contact(0)).collect();
        places.sort();
        for (at, place) in places.iter().enumerate() {
            let next = |step: usize| places[(at + step) % places.len()].clone();
            let mut ring = Ring::<Endpoint>::new(place.clone(), Stage::Member);
            ring.succ = (1..=8).map(next).collect();
            ring.prdc = Some(next(places.len() - 1));
            ring.nursery = false;
            let node = place.addr().lab_node().ok_or("a node of the lab has an address of the lab")?;
            lab.touch(NodeIndex(node), |node, context, out| node.adopt(place.addr(), vec![ring], context, out));
        }
        // Nobody has fingers: all look for them in turn, and then some come who copy tables.
        lab.run_for(Span::from_secs(1800));
        for newcomer in 1..=NEWCOMERS {
            lab.start(NodeIndex((MEMBERS + newcomer) * NET), Operation::Join { bootstrap: vec![Endpoint::of_lab_node(NET)] });
            lab.run_for(Span::from_secs(60));
        }
        let net = Endpoint::of_lab_node(0).neighbourhood();
        let (mut kin, mut most, mut all, mut nodes) = (0, 0, 0, 0);
        for node in 0..lab.node_count() {
            let Some(ring) = lab.node(NodeIndex(node)).and_then(|node| node.rings().first()) else { continue };
            let of_it = ring.fingers.iter().filter(|finger| finger.addr().neighbourhood() == net).count();
            kin += of_it as u64;
            most = most.max(of_it);
            all += ring.fingers.len() as u64;
            nodes += 1;
        }
        let bound = if max == 0 { Cell::from("any number") } else { Cell::from(max) };
        table.row([bound, Cell::from(fraction(kin, nodes)), Cell::from(fraction(all, nodes))]);
        outcome.absorb(&lab);
        if max > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a number of fingers")]
            outcome.find("SEC", format!("most fingers of any node in one /24, bound {max}"), Expected::AtMost(max as f64), most as f64);
        }
    }
    outcome.tables.push(table);
    Ok(())
}
