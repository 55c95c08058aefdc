//! Web seeds by conversation: what the host is asked for, what is delivered and what is given back.

use hexad_content::FileEntry;
use hexad_core::{AskFailure, HttpResponse};

use super::*;

const SWARM: [u8; 20] = [7; 20];
const LEASE: LeaseId = LeaseId(3);
const PIECE: u64 = 64 << 10;

struct Bench {
    seeds: WebSeeds,
    layout: Arc<Layout>,
    /// The bytes of the layout.
    content: Vec<u8>,
    now: Time,
    asked: Map<Ticket, HttpRequest>,
    delivered: Ranges,
    news: Vec<WebSeedNews>,
    notes: Vec<&'static str>,
    wakes: Vec<Time>,
    free: Ranges,
}

impl Bench {
    fn new(layout: Layout, urls: &[&str]) -> Self {
        let layout = Arc::new(layout);
        let total = layout.total_bytes();
        let mut content: Vec<u8> = (0..total).map(|at| (at * 31 % 251) as u8 + 1).collect();
        for (index, file) in layout.files().iter().enumerate().filter(|(_, file)| file.padding) {
            let range = layout.file_range(index);
            content[range.start as usize..][..file.length as usize].fill(0);
        }
        let mut bench = Self {
            seeds: WebSeeds::new(),
            content,
            now: Time::ZERO,
            asked: Map::new(),
            delivered: Ranges::new(),
            news: Vec::new(),
            notes: Vec::new(),
            wakes: Vec::new(),
            free: Ranges::of(0..total),
            layout,
        };
        let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
        let layout = bench.layout.clone();
        bench.does(|seeds, _, out| {
            seeds.add(SWARM, &urls, &layout, PIECE, out);
            Vec::new()
        });
        bench
    }

    fn does(&mut self, act: impl FnOnce(&mut WebSeeds, Time, &mut Outbox<Node>) -> Vec<([u8; 20], WebSeedNews)>) {
        let mut out = Outbox::new();
        for (swarm, news) in act(&mut self.seeds, self.now, &mut out) {
            assert_eq!(swarm, SWARM);
            if let WebSeedNews::GaveBack(range) = &news {
                assert!(self.free.within(range.clone()).is_empty(), "given back once");
                self.free.insert(range.clone());
            }
            self.news.push(news);
        }
        for output in out.drain() {
            match output {
                Output::Ask(ticket, Ask::Http(request)) => {
                    assert!(WebSeeds::owns(ticket));
                    self.asked.insert(ticket, *request);
                }
                Output::Deliver(lease, at, Payload::Bytes(bytes)) => {
                    assert_eq!(lease, LEASE);
                    assert_eq!(bytes[..], self.content[at as usize..][..bytes.len()]);
                    self.delivered.insert(at..at + bytes.len() as u64);
                }
                Output::Wake(at, Timer::WebSeed(SWARM)) => self.wakes.push(at),
                Output::Note(note) => self.notes.push(note.code),
                other => panic!("{other:?}"),
            }
        }
    }

    fn feeds(&mut self) -> Vec<Range<u64>> {
        let mut taken = Vec::new();
        let free = self.free.clone();
        self.does(|seeds, now, out| {
            taken = seeds.feed(SWARM, LEASE, &free, now, out);
            Vec::new()
        });
        for range in &taken {
            assert!(self.free.covers(range.clone()));
            self.free.remove(range.clone());
        }
        taken
    }

    fn is_answered(&mut self, ticket: Ticket, answer: Answer) {
        self.asked.remove(&ticket);
        self.does(|seeds, now, out| seeds.on_answer(ticket, answer, now, out));
    }

    /// The answer of a good server.
    fn served(&self, request: &HttpRequest) -> Answer {
        let find =
            |index: &usize| BaseUrl::read("http://w.example/").unwrap().of_file(&self.layout, *index).is_some_and(|url| request.url == url);
        let Some(index) = (0..self.layout.files().len()).find(find) else { return http(404, &[]) };
        let file = self.layout.file_range(index);
        assert!(!self.layout.files()[index].padding, "padding is not asked for");
        let range = request.range.clone().unwrap_or(0..file.end - file.start);
        let bytes = &self.content[(file.start + range.start) as usize..(file.start + range.end) as usize];
        assert!(bytes.len() as u64 <= request.answer_bytes_max);
        http(if request.range.is_some() { 206 } else { 200 }, bytes)
    }

    fn runs_to_its_end(&mut self) {
        for _ in 0..10_000 {
            self.feeds();
            let Some((&ticket, request)) = self.asked.first_key_value() else { return };
            let answer = self.served(request);
            self.is_answered(ticket, answer);
        }
        panic!("no end");
    }

    fn first(&self) -> (Ticket, HttpRequest) {
        self.asked.first_key_value().map(|(ticket, request)| (*ticket, request.clone())).unwrap()
    }
}

fn http(status: u16, body: &[u8]) -> Answer {
    Answer::Http(Box::new(HttpResponse { status, retry_after_s: None, moved_to: None, body: Payload::Bytes(Bytes::copy_from_slice(body)) }))
}

fn single(bytes: u64) -> Layout {
    Layout::single("a file".into(), bytes).unwrap()
}

fn folder() -> Layout {
    let file = |name: &str, length| FileEntry::plain(vec!["sub".into(), name.into()], length);
    let mut pad = file("pad", PIECE - 1000);
    pad.padding = true;
    let files = vec![file("a", 3 * PIECE + 1000), pad, file("empty", 0), file("b", 10), file("c", 5 * PIECE)];
    Layout::folder("album".into(), files).unwrap()
}

#[test]
fn a_whole_file_is_fetched_in_runs_that_grow_and_several_at_a_time() {
    let mut bench = Bench::new(single(20 * 1024 * 1024 + 5), &["http://w.example/"]);
    let taken = bench.feeds();
    assert_eq!(taken.len(), 4);
    assert_eq!(taken[0], 0..4 * PIECE);
    let (_, request) = bench.first();
    assert_eq!((request.url.as_str(), request.range), ("http://w.example/a%20file", Some(0..4 * PIECE)));
    bench.runs_to_its_end();
    assert_eq!(bench.delivered, Ranges::of(0..20 * 1024 * 1024 + 5));
    assert!(bench.free.is_empty());
    assert!(bench.seeds.tickets < 25, "{} requests", bench.seeds.tickets);
    assert!(bench.notes.is_empty());
}

#[test]
fn pieces_across_files_take_a_request_for_each_and_padding_takes_none() {
    let mut bench = Bench::new(folder(), &["http://w.example/"]);
    bench.runs_to_its_end();
    assert_eq!(bench.delivered, Ranges::of(0..bench.layout.total_bytes()));
    assert!(bench.notes.is_empty());
}

#[test]
fn the_largest_gap_comes_first_and_broken_pieces_are_left_to_peers() {
    let mut bench = Bench::new(single(100 * PIECE), &["http://w.example/"]);
    bench.free = [5 * PIECE..7 * PIECE, 10 * PIECE + 1..40 * PIECE, 50 * PIECE..52 * PIECE].into_iter().collect();
    assert_eq!(bench.feeds()[0], 11 * PIECE..15 * PIECE);
}

#[test]
fn a_server_without_ranges_serves_small_files_and_is_dropped_over_large_ones() {
    let mut bench = Bench::new(single(10 * PIECE), &["http://w.example/"]);
    bench.feeds();
    while let Some((&ticket, _)) = bench.asked.first_key_value() {
        let whole = http(200, &bench.content.clone());
        bench.is_answered(ticket, whole);
        bench.feeds();
    }
    assert_eq!(bench.delivered, Ranges::of(0..10 * PIECE));
    for answer in [Answer::Failed(AskFailure::TooLarge(1)), http(200, &[1; 100]), http(206, &[1; 100]), http(206, &[])] {
        let mut bench = Bench::new(single(1000 * PIECE), &["http://w.example/"]);
        bench.feeds();
        let (ticket, request) = bench.first();
        assert_eq!(request.answer_bytes_max, 4 * PIECE);
        bench.is_answered(ticket, answer);
        assert_eq!(bench.notes, ["web_seed_dropped"]);
        assert_eq!(bench.free, Ranges::of(0..1000 * PIECE), "all is given back");
        assert!(bench.feeds().is_empty());
        let late: Vec<Ticket> = bench.asked.keys().copied().collect();
        for ticket in late {
            bench.is_answered(ticket, http(206, &[0; 4 * PIECE as usize]));
        }
        assert!(bench.delivered.is_empty() && bench.seeds.requests.is_empty());
    }
}

#[test]
fn a_busy_server_is_left_alone_as_long_as_it_says_and_a_broken_one_for_longer_each_time() {
    let mut bench = Bench::new(single(1000 * PIECE), &["http://w.example/"]);
    bench.feeds();
    let tickets: Vec<Ticket> = bench.asked.keys().copied().collect();
    let busy = HttpResponse { status: 503, retry_after_s: Some(77), moved_to: None, body: Payload::EMPTY };
    for ticket in tickets {
        bench.is_answered(ticket, Answer::Http(Box::new(busy.clone())));
    }
    assert_eq!(bench.free, Ranges::of(0..1000 * PIECE));
    assert_eq!(bench.wakes.first().copied(), Some(Time::ZERO + Span::from_secs(77)));
    assert!(bench.feeds().is_empty());
    let mut waits = Vec::new();
    bench.now = bench.wakes.pop().unwrap();
    for _ in 0..4 {
        bench.news.clear();
        bench.does(|seeds, now, out| seeds.on_timer(SWARM, now, out));
        assert_eq!(bench.news, [WebSeedNews::Ready]);
        assert_eq!(bench.feeds().len(), 1, "one tries whether it is well");
        let (ticket, _) = bench.first();
        bench.is_answered(ticket, Answer::Failed(AskFailure::TimedOut));
        let at = bench.wakes.pop().unwrap();
        waits.push(at.since(bench.now).as_secs());
        bench.now = at;
    }
    assert!(waits.windows(2).all(|two| two[1] >= 2 * two[0]), "{waits:?}");
    bench.does(|seeds, now, out| seeds.on_timer(SWARM, now, out));
    bench.runs_to_its_end();
    assert_eq!(bench.delivered, Ranges::of(0..1000 * PIECE));
}

#[test]
fn a_missing_file_costs_its_pieces_only() {
    let mut bench = Bench::new(folder(), &["http://w.example/"]);
    for _ in 0..100 {
        bench.feeds();
        let Some((&ticket, request)) = bench.asked.first_key_value() else { break };
        let answer = if request.url.ends_with("/b") { http(404, &[]) } else { bench.served(request) };
        bench.is_answered(ticket, answer);
    }
    assert_eq!(bench.free, Ranges::of(4 * PIECE..5 * PIECE));
    assert_eq!(bench.notes, ["web_seed_file_missing"]);
    assert!(!bench.seeds.status(&SWARM)[0].dropped);
    let mut bench = Bench::new(single(9), &["http://w.example/"]);
    bench.feeds();
    bench.is_answered(bench.first().0, http(404, &[]));
    assert!(bench.seeds.status(&SWARM)[0].dropped);
}

#[test]
fn a_seed_whose_data_is_bad_is_dropped_and_another_takes_over() {
    let mut bench = Bench::new(single(100 * PIECE), &["http://bad.example/", "http://w.example/"]);
    bench.feeds();
    let (ticket, request) = bench.first();
    assert!(request.url.starts_with("http://bad.example/"));
    let answer = http(206, &bench.content[..4 * PIECE as usize]);
    bench.is_answered(ticket, answer);
    bench.does(|seeds, _, out| seeds.judged(SWARM, 0..PIECE, Verdict::Good, out));
    assert!(!bench.seeds.status(&SWARM)[0].dropped);
    bench.does(|seeds, _, out| seeds.judged(SWARM, PIECE..2 * PIECE, Verdict::Bad, out));
    bench.does(|seeds, _, out| seeds.judged(SWARM, 2 * PIECE..3 * PIECE, Verdict::Bad, out));
    assert!(bench.seeds.status(&SWARM)[0].dropped);
    assert_eq!(bench.notes, ["web_seed_dropped"], "said once");
    bench.asked.retain(|_, request| request.url.starts_with("http://w.example/"));
    bench.free.insert(0..4 * PIECE);
    bench.runs_to_its_end();
    assert_eq!(bench.delivered, Ranges::of(0..100 * PIECE));
    bench.does(|seeds, _, out| seeds.judged(SWARM, 0..1, Verdict::Bad, out));
    assert!(bench.seeds.status(&SWARM)[1].dropped);
}

#[test]
fn redirects_are_remembered_until_they_fail() {
    let mut bench = Bench::new(single(1000 * PIECE), &["http://w.example/"]);
    bench.feeds();
    let (ticket, _) = bench.first();
    let body = Payload::Bytes(Bytes::copy_from_slice(&bench.content[..4 * PIECE as usize]));
    let moved = HttpResponse { status: 206, retry_after_s: None, moved_to: Some("http://mirror.example/x".into()), body };
    bench.is_answered(ticket, Answer::Http(Box::new(moved)));
    bench.feeds();
    let last = bench.asked.last_key_value().map(|(ticket, request)| (*ticket, request.url.clone())).unwrap();
    assert_eq!(last.1, "http://mirror.example/x");
    bench.is_answered(last.0, Answer::Failed(AskFailure::TimedOut));
    assert_eq!(bench.seeds.clients[&SWARM].seeds[0].url(&bench.layout, 0).unwrap(), "http://w.example/a%20file");
}

#[test]
fn requests_are_bounded_and_what_is_removed_is_forgotten() {
    let urls: Vec<String> = (0..50).map(|n| format!("http://w{n}.example/")).collect();
    let mut bench = Bench::new(single(10_000 * PIECE), &urls.iter().map(String::as_str).collect::<Vec<_>>());
    bench.feeds();
    assert_eq!(bench.asked.len(), SWARM_REQUESTS_MAX);
    assert_eq!(bench.seeds.status(&SWARM).len(), SEEDS_MAX);
    bench.does(|seeds, _, _| {
        seeds.remove(&SWARM);
        Vec::new()
    });
    let (ticket, request) = bench.first();
    let answer = bench.served(&HttpRequest { url: "http://w.example/a%20file".into(), ..request });
    bench.is_answered(ticket, answer);
    assert!(bench.delivered.is_empty() && bench.seeds.requests.is_empty());
}
