//! Web seeds: files of a torrent that stand on HTTP servers. BEP 19, "GetRight style".
//!
//! How a swarm works with them:
//!
//! 1. [`WebSeeds::add`] when the swarm knows its layout, [`WebSeeds::remove`] when it ends.
//! 2. Whenever the swarm is [`WebSeedNews::Ready`] (once after `add`, then whenever a seed has room), and whenever a lease brings more to fetch, it
//!    calls [`WebSeeds::feed`] with the bytes of all whole pieces that nobody is asked for. It gets back what was **taken**: those pieces are to be
//!    treated as if a peer had been asked for every block of them. The part takes from the start of the largest gap, so that peers, who get
//!    single rare pieces, leave long runs (BEP 19, gap rule).
//! 3. What comes is pushed as `Output::Deliver` under the lease. When all of a run is there nothing is said but `Ready`: the verdicts tell.
//! 4. What does not come is [`WebSeedNews::GaveBack`], in whole pieces: these may be asked for again, from peers or here. Blocks of them may have been
//!    delivered, or be on their way still; that does no harm.
//! 5. The swarm hands every verdict to [`WebSeeds::judged`]; a seed whose piece is bad is dropped. Of a piece that was given back, a part may have come
//!    from here all the same: as long as [`WebSeeds::has_given`] says so, whoever gave the rest is not to blame.

mod seed;
mod urls;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use hexad_content::{Layout, Ranges};
use hexad_core::{Answer, Ask, HttpMethod, HttpRequest, LeaseId, Level, Map, Outbox, Output, Payload, Span, Ticket, Time, Verdict};

use self::seed::{Outcome, Part, REQUEST_BYTES_MAX, Seed, WHOLE_BYTES_MAX};
use self::urls::BaseUrl;
use super::{Node, Timer};

/// Web seeds of one torrent; more are left out.
const SEEDS_MAX: usize = 8;
/// Requests of one torrent under way.
const SWARM_REQUESTS_MAX: usize = 12;
/// Requests of all torrents under way.
const REQUESTS_MAX: usize = 64;
/// Requests that one run of pieces may take; a piece of more small files is left to peers.
const RUN_PARTS_MAX: usize = 64;
/// For a request, and for each 64 KiB of it another second.
const DEADLINE: Span = Span::from_secs(20);
/// Gaps that are looked at for the next run.
const GAPS_MAX: usize = 64;
/// Zeros of padding files (BEP 47), which nobody stores.
static ZEROS: [u8; 1 << 16] = [0; 1 << 16];

/// What comes of web seeds, per swarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WebSeedNews {
    /// A seed has room: call [`WebSeeds::feed`].
    Ready,
    /// These bytes, whole pieces, were taken and will not come.
    GaveBack(Range<u64>),
}

/// How one web seed stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebSeedStatus {
    /// Its URL.
    pub url: String,
    /// Bytes it has delivered, good or not.
    pub delivered_bytes: u64,
    /// Never to be asked again.
    pub dropped: bool,
    /// Why it failed last; `None` after a success.
    pub failure: Option<String>,
}

/// Pieces that one seed was given to fetch.
#[derive(Debug)]
struct Run {
    seed: usize,
    lease: LeaseId,
    /// To be asked for, last first.
    waiting: Vec<Part>,
    /// Under way.
    out: usize,
    /// Pieces of it that have not been given back.
    kept: Ranges,
}

#[derive(Debug)]
struct Client {
    layout: Arc<Layout>,
    piece_bytes: u64,
    seeds: Vec<Seed>,
    runs: Map<u64, Run>,
    wake: Option<Time>,
}

#[derive(Debug)]
struct Request {
    swarm: [u8; 20],
    run: u64,
    part: Part,
    asked: Time,
}

/// All web seeds of all torrents.
#[derive(Debug)]
pub struct WebSeeds {
    clients: Map<[u8; 20], Client>,
    requests: Map<Ticket, Request>,
    tickets: u64,
    runs: u64,
}

impl Default for WebSeeds {
    fn default() -> Self {
        Self::new()
    }
}

impl WebSeeds {
    /// The tickets of questions that this part puts to the host carry this in their top byte.
    pub const TICKETS: u8 = 0x73;

    /// No torrent yet.
    pub const fn new() -> Self {
        Self { clients: Map::new(), requests: Map::new(), tickets: 0, runs: 0 }
    }

    /// Whether the answer to `ticket` is for this part.
    pub fn owns(ticket: Ticket) -> bool {
        ticket.0 >> 56 == u64::from(Self::TICKETS)
    }

    /// Makes the web seeds of a torrent known. What of the URLs is of no use is noted. `Ready` is not reported for it: call [`Self::feed`] at once.
    pub fn add(&mut self, swarm: [u8; 20], urls: &[String], layout: &Arc<Layout>, piece_bytes: u64, out: &mut Outbox<Node>) {
        let mut seeds: Vec<Seed> = Vec::new();
        for url in urls {
            match BaseUrl::read(url) {
                Ok(base) if seeds.len() < SEEDS_MAX && seeds.iter().all(|seed| seed.base != base) => seeds.push(Seed::new(base)),
                Ok(_) => {}
                Err(why) => out.note(Level::Warn, "web_seed_refused", None, why),
            }
        }
        if !seeds.is_empty() && piece_bytes > 0 {
            self.clients.entry(swarm).or_insert_with(|| Client {
                layout: layout.clone(),
                piece_bytes,
                seeds,
                runs: Map::new(),
                wake: None,
            });
        }
    }

    /// Ends a torrent. What is under way is dropped when it comes.
    pub fn remove(&mut self, swarm: &[u8; 20]) {
        self.clients.remove(swarm);
        self.requests.retain(|_, request| request.swarm != *swarm);
    }

    /// How the web seeds of a torrent stand.
    pub fn status(&self, swarm: &[u8; 20]) -> Vec<WebSeedStatus> {
        let seeds = self.clients.get(swarm).map_or(&[][..], |client| &client.seeds);
        let status = |seed: &Seed| WebSeedStatus {
            url: seed.base.to_string(),
            delivered_bytes: seed.delivered_bytes,
            dropped: seed.dropped,
            failure: seed.failure.clone(),
        };
        seeds.iter().map(status).collect()
    }

    /// `free`: what is wanted under `lease` and asked of nobody. Returns what was taken of it, in whole pieces, and asks the host for it.
    pub fn feed(&mut self, swarm: [u8; 20], lease: LeaseId, free: &Ranges, now: Time, out: &mut Outbox<Node>) -> Vec<Range<u64>> {
        let mut taken = Vec::new();
        let Some(client) = self.clients.get_mut(&swarm) else { return taken };
        let mut free = client.whole_pieces(free);
        while let Some((seed, pieces, parts)) = client.next_run(&free, now) {
            free.remove(pieces.clone());
            self.runs += 1;
            let mut waiting = Vec::new();
            for part in parts {
                if client.layout.files()[part.file].padding {
                    deliver_zeros(lease, &part, out);
                } else {
                    waiting.push(part);
                }
            }
            waiting.reverse();
            if !waiting.is_empty() {
                client.runs.insert(self.runs, Run { seed, lease, waiting, out: 0, kept: Ranges::of(pieces.clone()) });
            }
            taken.push(pieces);
            // Requests count from when they are put, so the next seed is chosen after that.
            ask_on(&mut self.requests, &mut self.tickets, swarm, client, now, out);
            if self.requests.len() >= REQUESTS_MAX {
                break;
            }
        }
        taken
    }

    /// Whether something of `range` has come from a web seed and has not been judged yet.
    pub fn has_given(&self, swarm: &[u8; 20], range: &Range<u64>) -> bool {
        self.clients.get(swarm).is_some_and(|client| client.seeds.iter().any(|seed| seed.has_given(range)))
    }

    /// A verdict on a range of the torrent's lease has come.
    pub fn judged(&mut self, swarm: [u8; 20], range: Range<u64>, verdict: Verdict, out: &mut Outbox<Node>) -> Vec<([u8; 20], WebSeedNews)> {
        let mut news = Vec::new();
        let Some(client) = self.clients.get_mut(&swarm) else { return news };
        if verdict == Verdict::Lie {
            return news;
        }
        for index in 0..client.seeds.len() {
            let all = client.seeds[index].judged(range.clone());
            if all && verdict == Verdict::Bad && !client.seeds[index].dropped {
                client.drop_seed(swarm, index, "its data is not the torrent's", out, &mut news);
            }
        }
        news
    }

    /// A wake that was asked for has come.
    pub fn on_timer(&mut self, swarm: [u8; 20], now: Time, out: &mut Outbox<Node>) -> Vec<([u8; 20], WebSeedNews)> {
        let Some(client) = self.clients.get_mut(&swarm) else { return Vec::new() };
        if client.wake.is_some_and(|at| at <= now) {
            client.wake = None;
        }
        client.plan(swarm, now, out);
        if client.has_room(now) { vec![(swarm, WebSeedNews::Ready)] } else { Vec::new() }
    }

    /// The host has answered a question of ours (see [`Self::owns`]).
    pub fn on_answer(&mut self, ticket: Ticket, answer: Answer, now: Time, out: &mut Outbox<Node>) -> Vec<([u8; 20], WebSeedNews)> {
        let mut news = Vec::new();
        let Some(Request { swarm, run, part, asked }) = self.requests.remove(&ticket) else { return news };
        let Some(client) = self.clients.get_mut(&swarm) else { return news };
        // A run whose seed was dropped is gone, and nothing of that seed is wanted.
        let Some((index, lease)) = client.runs.get_mut(&run).map(|run| {
            run.out -= 1;
            (run.seed, run.lease)
        }) else {
            return news;
        };
        let seed = &mut client.seeds[index];
        seed.busy -= 1;
        if let Answer::Http(response) = &answer
            && let (Some(url), 200 | 206) = (&response.moved_to, response.status)
        {
            seed.has_moved(part.file, url.clone());
        }
        match part.judge(answer, client.layout.files()[part.file].length) {
            Outcome::Bytes(payload) => {
                seed.succeeded(part.at..part.at + payload.len(), now.since(asked));
                out.push(Output::Deliver(lease, part.at, payload));
            }
            Outcome::Later(wait, why) => {
                out.note(Level::Info, "web_seed_failed", None, format!("{}: {why}", seed.base));
                seed.failed(part.file, wait, why, now);
                client.give_back(swarm, run, &part, &mut news);
            }
            Outcome::Missing(why) => {
                out.note(Level::Info, "web_seed_file_missing", None, format!("{}: {why}", seed.base));
                seed.failure = Some(why);
                let pieces = client.pieces_around(client.layout.file_range(part.file));
                let useful = client.seeds[index].lacks_pieces(pieces);
                if client.layout.is_single() || !useful {
                    client.drop_seed(swarm, index, "it does not have the files", out, &mut news);
                } else {
                    client.give_back(swarm, run, &part, &mut news);
                }
            }
            Outcome::Useless(why) => client.drop_seed(swarm, index, why, out, &mut news),
        }
        client.runs.retain(|_, run| run.out > 0 || !run.waiting.is_empty());
        ask_on(&mut self.requests, &mut self.tickets, swarm, client, now, out);
        client.plan(swarm, now, out);
        if client.has_room(now) {
            news.push((swarm, WebSeedNews::Ready));
        }
        news
    }
}

/// Puts the requests of runs that wait, as far as there is room.
fn ask_on(requests: &mut Map<Ticket, Request>, tickets: &mut u64, swarm: [u8; 20], client: &mut Client, now: Time, out: &mut Outbox<Node>) {
    for (&number, run) in &mut client.runs {
        let seed = &mut client.seeds[run.seed];
        while requests.len() < REQUESTS_MAX
            && seed.has_room(now)
            && let Some(part) = run.waiting.pop()
        {
            // Runs are made of files that the seed has a URL for.
            let Some(url) = seed.url(&client.layout, part.file) else { continue };
            let file_bytes = client.layout.files()[part.file].length;
            let bytes = part.range.end - part.range.start;
            let whole = bytes == file_bytes;
            let request = HttpRequest {
                method: HttpMethod::Get,
                url,
                range: (!whole).then(|| part.range.clone()),
                answer_bytes_max: if file_bytes <= WHOLE_BYTES_MAX { file_bytes } else { bytes },
                deadline: DEADLINE + Span::from_secs(bytes >> 16),
            };
            seed.busy += 1;
            run.out += 1;
            *tickets = (*tickets + 1) & ((1 << 56) - 1);
            let ticket = Ticket(u64::from(WebSeeds::TICKETS) << 56 | *tickets);
            requests.insert(ticket, Request { swarm, run: number, part, asked: now });
            out.push(Output::Ask(ticket, Ask::Http(Box::new(request))));
        }
    }
}

fn deliver_zeros(lease: LeaseId, part: &Part, out: &mut Outbox<Node>) {
    let end = part.at + (part.range.end - part.range.start);
    let mut at = part.at;
    while at < end {
        let bytes = usize::try_from(end - at).unwrap_or(ZEROS.len()).min(ZEROS.len());
        out.push(Output::Deliver(lease, at, Payload::Bytes(Bytes::from_static(&ZEROS[..bytes]))));
        at += bytes as u64;
    }
}

impl Client {
    /// Whether a seed would take something.
    fn has_room(&self, now: Time) -> bool {
        self.busy() < SWARM_REQUESTS_MAX && (0..self.seeds.len()).any(|seed| self.is_idle(seed, now))
    }

    fn busy(&self) -> usize {
        self.seeds.iter().map(|seed| seed.busy).sum()
    }

    /// Whether that seed has room, and nothing waits for it.
    fn is_idle(&self, seed: usize, now: Time) -> bool {
        self.seeds[seed].has_room(now) && self.runs.values().all(|run| run.seed != seed || run.waiting.is_empty())
    }

    /// The pieces that have a byte in `range`.
    fn pieces_around(&self, range: Range<u64>) -> Range<u64> {
        let start = range.start / self.piece_bytes * self.piece_bytes;
        let end = range.end.div_ceil(self.piece_bytes).saturating_mul(self.piece_bytes).min(self.layout.total_bytes());
        start..end
    }

    /// Those stretches of `free` that are whole pieces.
    fn whole_pieces(&self, free: &Ranges) -> Ranges {
        let total = self.layout.total_bytes();
        let whole = |span: Range<u64>| {
            let start = span.start.div_ceil(self.piece_bytes).saturating_mul(self.piece_bytes);
            let end = if span.end >= total { total } else { span.end / self.piece_bytes * self.piece_bytes };
            start..end.max(start)
        };
        free.iter().map(whole).collect()
    }

    /// The next seed to be asked, for which pieces, in which requests.
    fn next_run(&self, free: &Ranges, now: Time) -> Option<(usize, Range<u64>, Vec<Part>)> {
        if self.busy() >= SWARM_REQUESTS_MAX {
            return None;
        }
        for seed in (0..self.seeds.len()).filter(|&seed| self.is_idle(seed, now)) {
            let mut has = free.clone();
            has.remove_all(&self.seeds[seed].lacks);
            let mut gaps: Vec<Range<u64>> = has.iter().collect();
            gaps.sort_by_key(|gap| (std::cmp::Reverse(gap.end - gap.start), gap.start));
            for gap in gaps.into_iter().take(GAPS_MAX) {
                if let Some((pieces, parts)) = self.run_in(seed, gap) {
                    return Some((seed, pieces, parts));
                }
            }
        }
        None
    }

    /// Pieces at the start of `gap`, as many as a run may have and as few requests can fetch; `None` when not even the first one can be had.
    fn run_in(&self, seed: usize, gap: Range<u64>) -> Option<(Range<u64>, Vec<Part>)> {
        let wanted = (self.seeds[seed].run_bytes / self.piece_bytes).max(1).saturating_mul(self.piece_bytes);
        let mut pieces = gap.start..gap.end.min(gap.start.saturating_add(wanted));
        loop {
            if let Some(parts) = self.parts(seed, pieces.clone()) {
                return Some((pieces, parts));
            }
            let halves = (pieces.end - pieces.start).div_ceil(self.piece_bytes) / 2;
            if halves == 0 {
                return None;
            }
            pieces.end = pieces.start + halves * self.piece_bytes;
        }
    }

    /// The requests for `pieces`; `None` when they are too many, or a file has no URL.
    fn parts(&self, seed: usize, pieces: Range<u64>) -> Option<Vec<Part>> {
        let mut parts = Vec::new();
        for span in self.layout.spans(pieces) {
            let padding = self.layout.files()[span.file].padding;
            if !padding {
                self.seeds[seed].url(&self.layout, span.file)?;
            }
            let start = self.layout.file_range(span.file).start;
            let mut offset = span.offset;
            let end = span.offset + span.length;
            while offset < end {
                let until = if padding { end } else { end.min(offset + REQUEST_BYTES_MAX) };
                parts.push(Part { file: span.file, range: offset..until, at: start + offset });
                offset = until;
            }
            if parts.len() > RUN_PARTS_MAX {
                return None;
            }
        }
        Some(parts)
    }

    /// A part will not come, and what of its run has not been asked for will not either.
    fn give_back(&mut self, swarm: [u8; 20], run: u64, part: &Part, news: &mut Vec<([u8; 20], WebSeedNews)>) {
        let Some(mut lost) = self.runs.get_mut(&run).map(|run| std::mem::take(&mut run.waiting)) else { return };
        lost.push(part.clone());
        for part in lost {
            let pieces = self.pieces_around(part.at..part.at + (part.range.end - part.range.start));
            if let Some(run) = self.runs.get_mut(&run) {
                for kept in run.kept.within(pieces.clone()).iter() {
                    news.push((swarm, WebSeedNews::GaveBack(kept)));
                }
                run.kept.remove(pieces);
            }
        }
    }

    /// A seed is of no use: all that it was given is given back.
    fn drop_seed(
        &mut self,
        swarm: [u8; 20],
        index: usize,
        why: &'static str,
        out: &mut Outbox<Node>,
        news: &mut Vec<([u8; 20], WebSeedNews)>,
    ) {
        let seed = &mut self.seeds[index];
        seed.dropped = true;
        seed.busy = 0;
        seed.failure = Some(why.to_owned());
        out.note(Level::Warn, "web_seed_dropped", None, format!("{}: {why}", seed.base));
        self.runs.retain(|_, run| {
            if run.seed == index {
                news.extend(run.kept.iter().map(|kept| (swarm, WebSeedNews::GaveBack(kept))));
            }
            run.seed != index
        });
    }

    fn plan(&mut self, swarm: [u8; 20], now: Time, out: &mut Outbox<Node>) {
        if let Some(at) = self.seeds.iter().filter_map(|seed| seed.waits_until(now)).min()
            && self.wake.is_none_or(|wake| at < wake)
        {
            self.wake = Some(at);
            out.wake(at, Timer::WebSeed(swarm));
        }
    }
}
