//! One file from one source and from several (KZ6).

use hexad_content::Magnet;
use hexad_core::{Endpoint, Operation, Source, Span, What};

use super::town::{Plan, Town, float, share};
use crate::gauge::Gauge;
use crate::outcome::{Axis, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{FetchPlan, Links, content_of};

/// The scenario `kazaa/sources`.
pub static SOURCES: Scenario = Scenario {
    name: "kazaa/sources",
    about: "One file fetched from one source and from several at once, looked up by its digest at a supernode",
    nodes: 12,
    parameters: &[
        Parameter { name: "sources", default: Preset::Counts(&[1, 2, 4, 8]), help: "how many have the file, one world each" },
        Parameter { name: "file-bytes", default: Preset::Count(16 << 20), help: "its size" },
        Parameter { name: "up", default: Preset::Count(256 << 10), help: "uplink of a source, bytes a second" },
        Parameter { name: "down", default: Preset::Count(1 << 20), help: "downlink of who fetches, bytes a second" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[Claim {
        id: "KZ6",
        says: "names by hash let several sources be used: the time is the size over what they give together, or over what the fetcher takes",
        source: "claims D, mission K6",
    }],
    small: &[("file-bytes", "4194304")],
    full: &[("file-bytes", "67108864")],
    seeds: (1, 3),
    run: sources,
};

fn sources(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let mut outcome = Outcome::default();
    let (bytes, up, down) = (params.count("file-bytes"), params.count("up"), params.count("down"));
    let mut table = Table::new(
        "sources",
        "One file from several sources",
        &[("sources", ""), ("time", "s"), ("size over capacity", "s"), ("ratio", "")],
    );
    let (mut measured, mut ideal) = (Vec::new(), Vec::new());
    for &count in params.counts("sources") {
        let leaves = u32::try_from(count).unwrap_or(1) + 1;
        let plan = Plan {
            seed: params.seed(),
            threads: params.threads,
            codec: params.switch("codec"),
            supernodes: 2,
            leaves,
            files: 0,
            file_bytes: bytes,
            parents: 1,
            links: 1,
            hops: 2,
            ping: Span::from_secs(10),
            up: Some(up),
        };
        let mut town = Town::new(&plan, gauge)?;
        let share = share(0, 0, bytes);
        let content = share.proof.as_ref().map_or(0, content_of);
        for leaf in 1..leaves {
            let node = town.leaf(leaf);
            let id = town.lab.add_share(node, share.clone(), content);
            town.lab.start(node, Operation::Publish { share: id });
        }
        town.lab.run_for(Span::from_secs(2));
        let asker = town.leaf(0);
        town.lab.set_links(asker, Links { up_bytes_per_s: Some(up), down_bytes_per_s: Some(down) });
        let magnet = Magnet { digests: share.digests.clone(), ..Magnet::default() };
        let began = town.lab.now();
        let source = Source { what: What::Magnet(Box::new(magnet)), peers: Vec::<Endpoint>::new() };
        let fetch = town.lab.fetch(asker, FetchPlan { source, content, seed: false });
        gauge.phase("fetch");
        town.lab.run_while(|lab| lab.completed_at(asker, fetch).is_none(), began + Span::from_secs(3600));
        gauge.end();
        let Some(done) = town.lab.completed_at(asker, fetch) else {
            return Err(format!("the fetch from {count} sources has not ended: {:?}", town.lab.outcome(asker, fetch.op)));
        };
        let took = done.since(began).as_secs_f64();
        let best = float(bytes) / float(down.min(up * count));
        table.row([count.into(), took.into(), best.into(), (took / best).into()]);
        outcome.find("KZ6", format!("time over size by capacity, {count} sources"), Expected::Between(0.95, 1.25), took / best);
        measured.push((float(count), took));
        ideal.push((float(count), best));
        outcome.absorb(&town.lab);
        if town.lab.tally().codec_differences > 0 {
            return Err(format!("{} messages were read as something else", town.lab.tally().codec_differences));
        }
    }
    let mut plot =
        Plot::new("sources", "How long does a file take from several sources?", Axis::linear("sources", ""), Axis::linear("time", "s"));
    plot.add("measured", Style::Line, measured);
    plot.add("size over capacity", Style::Reference, ideal);
    outcome.plots.push(plot);
    outcome.tables.push(table);
    Ok(outcome)
}
