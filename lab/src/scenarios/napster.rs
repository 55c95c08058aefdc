//! Napster: what a central index costs as its users grow, and what breaks when it dies.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Digest, Digests, FileEntry, Layout, Proof, Ranges, Sha1Digest};
use hexad_core::{Address as _, Endpoint, Hit, OpId, Operation, Progress, Query, Share, Span, Time};
use hexad_napster::{ClientConfig, Napster, Request, ServerConfig, ServerStatus};

use crate::fit::Fit;
use crate::gauge::Gauge;
use crate::outcome::{Axis, Cell, Expected, Outcome, Plot, Style, Table};
use crate::scenario::{Claim, Parameter, Params, Scenario};
use crate::value::Preset;
use crate::{Death, FetchIds, FetchPlan, Lab, LabConfig, Links, NodeIndex, Purpose, content_of, dice};

/// The scenario `napster/scale`.
pub static SCALE: Scenario = Scenario {
    name: "napster/scale",
    about: "A central index at growing numbers of users: messages of a search, what the server keeps, and what it has to answer",
    nodes: 10_000,
    parameters: &[
        Parameter { name: "sizes", default: Preset::Counts(&[1000, 3000, 10_000]), help: "numbers of users, one world each, up to nodes" },
        Parameter { name: "files", default: Preset::Count(5), help: "files of a user" },
        Parameter { name: "searches", default: Preset::Count(200), help: "searches whose messages are counted, in each world" },
        Parameter { name: "period", default: Preset::Seconds(60.0), help: "every user searches so often while the server's load is taken" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[
        Claim { id: "NA1", says: "a search costs a question and an answer, however many users there are", source: "mission N6" },
        Claim { id: "NA2", says: "the server's state grows with the files of all users", source: "mission N7" },
        Claim { id: "NA3", says: "the server's load grows with its users", source: "mission N8" },
    ],
    small: &[("nodes", "1000"), ("sizes", "100,300,1000"), ("searches", "50")],
    // A million users with two files each take 15 GiB.
    full: &[("nodes", "1M"), ("sizes", "1000,10k,100k,1M"), ("files", "2"), ("searches", "1000")],
    seeds: (1, 3),
    run: scale,
};

/// The scenario `napster/failure`.
pub static FAILURE: Scenario = Scenario {
    name: "napster/failure",
    about: "A central index that dies while files move, and users who vanish without a word",
    nodes: 1000,
    parameters: &[
        Parameter { name: "files", default: Preset::Count(3), help: "files of a user" },
        Parameter { name: "transfers", default: Preset::Count(40), help: "files that move when the server dies" },
        Parameter { name: "file-bytes", default: Preset::Count(2 << 20), help: "bytes of a file that moves" },
        Parameter { name: "up", default: Preset::Count(64 << 10), help: "uplink of everybody, bytes a second" },
        Parameter { name: "leaving-percent", default: Preset::Count(20), help: "users who vanish, percent" },
        Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
    ],
    claims: &[
        Claim { id: "NA4", says: "without the server nobody finds anything, and what moves goes on", source: "mission N9" },
        Claim { id: "NA5", says: "whatever is online is found; who has vanished is named until he is missed", source: "claims B" },
        Claim { id: "NA6", says: "files never pass through the server", source: "mission N4" },
    ],
    small: &[("nodes", "120"), ("transfers", "12"), ("file-bytes", "1048576")],
    // A million users need what a machine has: `--nodes 1M --set files=1`.
    full: &[("nodes", "10k"), ("transfers", "200")],
    seeds: (1, 5),
    run: failure,
};

const SERVER: NodeIndex = NodeIndex(0);
const PORT: u16 = 6881;
/// A user logs in somewhere in this time for every thousand of them.
const ARRIVALS_PER_THOUSAND: Span = Span::from_secs(2);
const PIECE_BYTES: u64 = 64 << 10;

/// A user of a world.
struct User {
    node: NodeIndex,
    content: u64,
}

struct World {
    lab: Lab<Napster>,
    users: Vec<User>,
    files: u64,
}

/// What a world is made of.
struct Plan {
    seed: u64,
    users: u32,
    files: u64,
    file_bytes: u64,
    links: Links,
    codec: bool,
    threads: usize,
    /// How often the server speaks to everybody.
    statistics_every: Option<Span>,
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn float(count: impl TryInto<u64>) -> f64 {
    count.try_into().unwrap_or(u64::MAX) as f64
}

/// The files of a user: each has a word of its own, and one that a tenth of a hundred users share.
fn share(user: u32, files: u64, file_bytes: u64) -> Share {
    let names = (0..files).map(|file| FileEntry::plain(vec![format!("group{} track u{user}x{file}.ogg", user / 10)], file_bytes));
    let layout = Arc::new(Layout::folder(format!("user {user}"), names.collect()).expect("the files of a scenario fit a layout"));
    let mut name = [0x17; 20];
    name[..4].copy_from_slice(&user.to_le_bytes());
    let total_bytes = layout.total_bytes();
    let hashes = (0..total_bytes.div_ceil(PIECE_BYTES)).map(|_| Sha1Digest(name)).collect();
    let digests: Digests = [Digest::TorrentV1(Sha1Digest(name))].into_iter().collect();
    let proof = Some(Proof::V1Pieces { piece_bytes: PIECE_BYTES, total_bytes, hashes });
    Share { layout, digests, proof, held: Ranges::of(0..total_bytes), torrent: Bytes::new() }
}

impl World {
    /// A server and its users, all logged in, all files known.
    fn new(plan: &Plan, gauge: &mut Gauge<'_>) -> Result<Self, String> {
        let config = LabConfig { seed: plan.seed, codec: plan.codec, threads: plan.threads, ..LabConfig::default() };
        let mut lab = Lab::<Napster>::new(config);
        let listen = SocketAddr::from(([0, 0, 0, 0], PORT));
        let server = ServerConfig {
            listen,
            connections_max: usize::MAX,
            questions_max: usize::MAX,
            searches_per_minute: 0,
            statistics_every: plan.statistics_every,
            catalogue: hexad_napster::CatalogueConfig { owners_max: u32::MAX, files_max: u32::MAX, ..Default::default() },
            ..ServerConfig::default()
        };
        lab.add_node(server.into());
        lab.start(SERVER, Operation::Own(Request::Serve));
        // The server's own bounds are what is measured elsewhere; here nobody waits for it in vain.
        let client = ClientConfig {
            listen: Some(listen),
            join_deadline: Span::from_secs(3600),
            retry_max: Span::from_secs(10),
            ..ClientConfig::default()
        };
        let first = lab.add_nodes(plan.users, client.into());
        let arrivals = ARRIVALS_PER_THOUSAND * plan.users.div_ceil(1000).max(1);
        let mut users = Vec::new();
        for user in 0..plan.users {
            let node = NodeIndex(first.0 + user);
            lab.set_links(node, plan.links);
            let share = share(user, plan.files, plan.file_bytes);
            let content = share.proof.as_ref().map_or(0, content_of);
            let id = lab.add_share(node, share, content);
            let micros = dice(plan.seed, Purpose::Workload, node.0, 1).below(u64::try_from(arrivals.as_micros()).unwrap_or(u64::MAX));
            let at = Time::ZERO + Span::from_secs(1) + Span::from_micros(micros);
            lab.start_at(at, node, Operation::Join { bootstrap: vec![Endpoint::of_lab_node(SERVER.0)] });
            lab.start_at(at + Span::from_millis(1), node, Operation::Publish { share: id });
            users.push(User { node, content });
        }
        gauge.run_until("log in", &mut lab, Time::ZERO + Span::from_secs(1) + arrivals + Span::from_secs(5));
        let mut world = Self { lab, users, files: plan.files };
        let all = u64::from(plan.users) * plan.files;
        let deadline = world.lab.now() + Span::from_secs(60);
        world.lab.run_while(|lab| status(lab).usage.files as u64 != all, deadline);
        let status = status(&world.lab);
        if status.usage.files as u64 != all {
            return Err(format!("{} users are logged in and {} of {all} files are known", status.users, status.usage.files));
        }
        world.lab.run_for(Span::from_secs(2));
        Ok(world)
    }

    fn search(&mut self, user: usize, word: String, wanted: usize) -> (usize, OpId) {
        let node = self.users[user].node;
        (user, self.lab.start(node, Operation::Search { query: Query::Words { words: vec![word], wanted } }))
    }

    /// All hits of a search, and whether it has ended well.
    fn hits(&self, (user, op): (usize, OpId)) -> (Vec<Hit>, bool) {
        let node = self.users[user].node;
        let hits = self.lab.reports(node).iter().filter(|report| report.op == op).filter_map(|report| match &report.progress {
            Progress::Hit(hit) => Some((**hit).clone()),
            _ => None,
        });
        (hits.collect(), self.lab.is_done(node, op))
    }

    /// Another user than `user`, and one of his files.
    fn somebody_elses(&self, user: usize, number: u64, seed: u64) -> (usize, u64) {
        let mut dice = dice(seed, Purpose::Workload, u32::try_from(user).unwrap_or(u32::MAX), 1000 + number);
        let other = dice.index(self.users.len() - 1).unwrap_or(0);
        (if other >= user { other + 1 } else { other }, dice.below(self.files))
    }
}

fn status(lab: &Lab<Napster>) -> ServerStatus {
    lab.node(SERVER).and_then(|node| node.server_status()).unwrap_or_default()
}

fn scale(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let sizes: Vec<u32> = params
        .counts("sizes")
        .iter()
        .filter_map(|&size| u32::try_from(size).ok())
        .filter(|&size| size >= 2 && size <= params.nodes())
        .collect();
    if sizes.is_empty() {
        return Err("sizes: expected numbers from 2 up to nodes".into());
    }
    let (files, searches, period) = (params.count("files"), params.count("searches"), params.span("period"));
    let mut outcome = Outcome::default();
    let columns = [
        ("users", ""),
        ("messages of a search", ""),
        ("hops", ""),
        ("answers found", ""),
        ("files known", ""),
        ("bytes of records", "B"),
        ("searches a second", "1/s"),
        ("messages a second", "1/s"),
    ];
    let mut table = Table::new("central-index", "A central index at growing numbers of users", &columns);
    let (mut messages, mut state, mut bytes, mut load) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for &users in &sizes {
        let plan = Plan {
            seed: params.seed(),
            users,
            files,
            file_bytes: 1 << 20,
            links: Links::UNLIMITED,
            codec: params.switch("codec"),
            threads: params.threads,
            statistics_every: None,
        };
        let mut world = World::new(&plan, gauge)?;
        let counted = |lab: &Lab<Napster>| {
            let kinds = lab.tally().kinds();
            let of = |kind: &str| kinds.get(kind).map_or(0, |count| count.messages);
            (of("search") + of("search end"), of("search result"), kinds.values().map(|count| count.messages).sum::<u64>())
        };
        // One search at a time, so that nothing else is counted; the answer's lines are counted apart from its end.
        let before = counted(&world.lab);
        let mut asked = Vec::new();
        for number in 0..searches {
            let user = usize::try_from(number).unwrap_or(0) % world.users.len();
            let (other, file) = world.somebody_elses(user, number, plan.seed);
            asked.push(world.search(user, format!("u{other}x{file}"), 5));
        }
        gauge.run_for("search", &mut world.lab, Span::from_secs(10));
        let after = counted(&world.lab);
        let found: usize = asked.iter().map(|&search| world.hits(search)).map(|(hits, done)| usize::from(done && hits.len() == 1)).sum();
        let per_search = float(after.0 - before.0) / float(searches);
        let status_here = status(&world.lab);
        // Everybody searches in his own time.
        let rates = (status_here.searches, counted(&world.lab).2);
        let began = world.lab.now();
        for user in 0..world.users.len() {
            let phase = dice(plan.seed, Purpose::Workload, world.users[user].node.0, 2)
                .below(u64::try_from(period.as_micros()).unwrap_or(u64::MAX));
            let (other, file) = world.somebody_elses(user, searches + 1, plan.seed);
            let query = Query::Words { words: vec![format!("u{other}x{file}")], wanted: 5 };
            world.lab.start_at(began + Span::from_micros(phase), world.users[user].node, Operation::Search { query });
        }
        gauge.run_for("load", &mut world.lab, period + Span::from_secs(5));
        let seconds = period.as_secs_f64();
        let rate = float(status(&world.lab).searches - rates.0) / seconds;
        let all_rate = float(counted(&world.lab).2 - rates.1) / seconds;
        table.row([
            users.into(),
            per_search.into(),
            2_u32.into(),
            found.into(),
            status_here.usage.files.into(),
            status_here.record_bytes.into(),
            rate.into(),
            all_rate.into(),
        ]);
        let size = float(users);
        messages.push((size, per_search));
        state.push((size, float(status_here.usage.files)));
        bytes.push((size, float(status_here.record_bytes)));
        load.push((size, rate));
        outcome.find("NA1", format!("messages of a search at {users} users"), Expected::exactly(2.0), per_search);
        outcome.find(
            "NA1",
            format!("share of searches that found the one file at {users} users"),
            Expected::exactly(1.0),
            float(found) / float(searches),
        );
        outcome.find(
            "NA2",
            format!("files known, per file shared, at {users} users"),
            Expected::exactly(1.0),
            float(status_here.usage.files) / (size * float(files)),
        );
        outcome.absorb(&world.lab);
        if world.lab.tally().codec_differences > 0 {
            return Err(format!("{} messages were read as something else", world.lab.tally().codec_differences));
        }
    }
    outcome.find(
        "NA1",
        "messages more for a thousand users more",
        Expected::About { value: 0.0, by: 1e-9 },
        Fit::of(&messages).slope * 1000.0,
    );
    outcome.find("NA2", "R² of a straight line through files known", Expected::AtLeast(0.999), Fit::explained_growth(&state));
    outcome.find("NA2", "R² of a straight line through bytes of records", Expected::AtLeast(0.999), Fit::explained_growth(&bytes));
    outcome.find("NA3", "R² of a straight line through searches a second", Expected::AtLeast(0.999), Fit::explained_growth(&load));
    outcome.find(
        "NA3",
        "searches a second of a thousand users",
        Expected::AboutPercent { value: 1000.0 / period.as_secs_f64(), percent: 1.0 },
        Fit::of(&load).slope * 1000.0,
    );
    let axis = || Axis::logarithmic("users", "");
    let mut plot = Plot::new("messages", "How many messages does a search cost?", axis(), Axis::linear("messages", ""));
    plot.add("measured", Style::Line, messages);
    plot.add("question and answer", Style::Reference, sizes.iter().map(|&size| (float(size), 2.0)));
    outcome.plots.push(plot);
    let mut plot = Plot::new("state", "How much does the server have to know?", axis(), Axis::logarithmic("files", ""));
    plot.add("measured", Style::Line, state);
    plot.add("files of all users", Style::Reference, sizes.iter().map(|&size| (float(size), float(size) * float(files))));
    outcome.plots.push(plot);
    let mut plot = Plot::new("load", "How much does the server have to answer?", axis(), Axis::logarithmic("searches", "1/s"));
    plot.add("measured", Style::Line, load);
    outcome.plots.push(plot);
    outcome.tables.push(table);
    outcome
        .remarks
        .push("A search is one question and one message that ends the answer; every hit is a message of its own, sent with it.".into());
    Ok(outcome)
}

#[expect(clippy::too_many_lines, reason = "one story from beginning to end")]
fn failure(params: &Params, gauge: &mut Gauge<'_>) -> Result<Outcome, String> {
    let plan = Plan {
        seed: params.seed(),
        users: params.nodes(),
        files: params.count("files"),
        file_bytes: params.count("file-bytes"),
        links: Links { up_bytes_per_s: Some(params.count("up")), down_bytes_per_s: None },
        codec: params.switch("codec"),
        threads: params.threads,
        statistics_every: ServerConfig::default().statistics_every,
    };
    let transfers = usize::try_from(params.count("transfers")).unwrap_or(usize::MAX);
    if plan.users < 20 || transfers * 2 > plan.users as usize || plan.files == 0 || plan.file_bytes == 0 {
        return Err("nodes: expected at least 20 and twice as many as transfers, and files with bytes".into());
    }
    let mut outcome = Outcome::default();
    let mut world = World::new(&plan, gauge)?;
    let users = world.users.len();

    // All that is online is found: ten users share a word, and somebody who is not the first of them asks for it.
    let mut asked = Vec::new();
    for group in 0..users.div_ceil(10) {
        let (asker, _) = world.somebody_elses(group * 10, 1, plan.seed);
        asked.push((group, world.search(asker, format!("group{group}"), 1000)));
    }
    gauge.run_for("search", &mut world.lab, Span::from_secs(10));
    let files = usize::try_from(plan.files).unwrap_or(usize::MAX);
    let existing = |group: usize, asker: usize| {
        let others = (group * 10..(group * 10 + 10).min(users)).filter(|&user| user != asker).count();
        (others * files).min(100)
    };
    let (mut found, mut there) = (0, 0);
    for (group, search) in &asked {
        found += world.hits(*search).0.len();
        there += existing(*group, search.0);
    }
    outcome.find("NA5", "recall of what is online", Expected::exactly(1.0), float(found) / float(there));

    // Some vanish without a word.
    let gone = users * usize::try_from(params.count("leaving-percent")).unwrap_or(0) / 100;
    for user in users - gone..users {
        world.lab.kill(world.users[user].node, Death::Vanish);
    }
    world.lab.run_for(Span::from_millis(500));
    let stale = |world: &mut World, gauge: &mut Gauge<'_>, name: &str| {
        let asked: Vec<_> =
            (0..gone.min(users - gone)).map(|number| world.search(number, format!("u{}x0", users - gone + number), 5)).collect();
        gauge.run_for(name, &mut world.lab, Span::from_secs(2));
        let named = asked.iter().filter(|&&search| !world.hits(search).0.is_empty()).count();
        float(named) / float(asked.len().max(1))
    };
    let at_once = stale(&mut world, gauge, "search for the vanished");
    // A silent connection is missed once something was sent on it: the server tells everybody how much there is every minute.
    world.lab.run_for(Span::from_secs(120));
    let later = stale(&mut world, gauge, "search for the missed");
    if gone > 0 {
        outcome.find("NA5", "share of vanished users that are named half a second later", Expected::exactly(1.0), at_once);
        outcome.find("NA5", "share of vanished users that are named two minutes later", Expected::exactly(0.0), later);
    }

    // Files move; the server dies in the middle.
    let online = users - gone;
    let mut sought = Vec::new();
    for number in 0..transfers.min(online / 2) {
        sought.push((online - 1 - number, world.search(number, format!("u{}x0", online - 1 - number), 1)));
    }
    world.lab.run_for(Span::from_secs(2));
    let mut fetches: Vec<(NodeIndex, FetchIds)> = Vec::new();
    for (owner, search) in &sought {
        let Some(hit) = world.hits(*search).0.into_iter().next() else { continue };
        let plan = FetchPlan { source: hit.source, content: world.users[*owner].content, seed: false };
        let node = world.users[search.0].node;
        let fetch = world.lab.fetch(node, plan);
        fetches.push((node, fetch));
    }
    gauge.run_for("fetch", &mut world.lab, Span::from_secs(8));
    let complete = |world: &World| fetches.iter().filter(|(node, fetch)| world.lab.completed_at(*node, *fetch).is_some()).count();
    let under_way = fetches.len() - complete(&world);
    let moved_before: u64 = world.users.iter().map(|user| world.lab.traffic(user.node).received_share_bytes).sum();
    let server = world.lab.traffic(SERVER);
    world.lab.kill(SERVER, Death::Crash);
    world.lab.run_for(Span::from_secs(1));
    let mut asked = Vec::new();
    for user in 0..online.min(200) {
        asked.push(world.search(user, format!("group{}", user / 10), 10));
    }
    gauge.run_for("without the server", &mut world.lab, Span::from_secs(30));
    let answered = asked.iter().filter(|&&search| !world.hits(search).0.is_empty()).count();
    let deadline = world.lab.now() + Span::from_secs(1200);
    world.lab.run_while(|lab| fetches.iter().any(|(node, fetch)| lab.completed_at(*node, *fetch).is_none()), deadline);
    let finished = complete(&world);
    let moved: u64 = world.users.iter().map(|user| world.lab.traffic(user.node).received_share_bytes).sum();
    outcome.find("NA4", "searches that find something without the server", Expected::exactly(0.0), float(answered));
    outcome.find("NA4", "transfers under way when the server died", Expected::AtLeast(1.0), float(under_way));
    outcome.find("NA4", "share of transfers that finish", Expected::exactly(1.0), float(finished) / float(fetches.len().max(1)));
    outcome.find(
        "NA6",
        "bytes of files through the server",
        Expected::exactly(0.0),
        float(server.sent_share_bytes + server.received_share_bytes),
    );
    outcome.find("NA6", "bytes of files from user to user", Expected::AtLeast(1.0), float(moved));
    let mut table = Table::new("failure", "A central index dies", &[("figure", ""), ("value", ""), ("unit", "")]);
    let mut say = |figure: &str, value: Cell, unit: &str| table.row([figure.into(), value, unit.into()]);
    say("users", users.into(), "");
    say("hits of what is online", found.into(), "");
    say("files that are online", there.into(), "");
    say("vanished users still named at once", (at_once * 100.0).into(), "%");
    say("vanished users still named two minutes later", (later * 100.0).into(), "%");
    say("transfers", fetches.len().into(), "");
    say("under way when the server died", under_way.into(), "");
    say("finished", finished.into(), "");
    say("searches with hits before", asked.len().into(), "");
    say("searches with hits afterwards", answered.into(), "");
    say("bytes from user to user before and after", format!("{moved_before} and {}", moved - moved_before).into(), "B");
    say("bytes of messages through the server", (server.sent_bytes + server.received_bytes).into(), "B");
    outcome.tables.push(table);
    outcome.absorb(&world.lab);
    if world.lab.tally().codec_differences > 0 {
        return Err(format!("{} messages were read as something else", world.lab.tally().codec_differences));
    }
    Ok(outcome)
}
