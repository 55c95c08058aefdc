//! One web seed of one torrent: what it has, how it behaves, and when it may be asked.

use std::ops::Range;

use hexad_content::{Layout, Ranges};
use hexad_core::{Answer, AskFailure, BoundedMap, HttpResponse, Payload, Span, Time, Token};

use super::urls::BaseUrl;

/// Requests under way at one seed.
pub(super) const REQUESTS_MAX: usize = 4;
/// Longest request, unless that is less than it needs to be for the rest of a piece; bodies are held in memory.
pub(super) const REQUEST_BYTES_MAX: u64 = 2 << 20;
/// The first run is this long, or one piece; runs that come fast double the next one.
const RUN_BYTES_FIRST: u64 = 256 << 10;
/// A request that takes less makes runs longer; one that takes twice as much makes them shorter.
const FAST: Span = Span::from_secs(4);
/// A server that ignores ranges is put up with when its files are no longer than this.
pub(super) const WHOLE_BYTES_MAX: u64 = 2 << 20;
/// Wait after a failure, doubled with each further one.
const RETRY_MIN: Span = Span::from_secs(30);
const RETRY_MAX: Span = Span::from_secs(30 * 60);
/// No `Retry-After` keeps us away for longer.
const RETRY_AFTER_MAX: Span = Span::from_secs(3600);
/// Redirected files that are remembered.
const MOVED_MAX: usize = 256;
/// Separate stretches that a seed may lack, or may have delivered without a verdict.
const SPANS_MAX: usize = 1024;

/// What an answer is worth.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// What was asked for.
    Bytes(Payload),
    /// Not now; ask again after that, if it says when.
    Later(Option<Span>, String),
    /// It does not have this file.
    Missing(String),
    /// It is of no use at all.
    Useless(&'static str),
}

/// A stretch of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Index in the layout.
    pub file: usize,
    /// Which bytes of it.
    pub range: Range<u64>,
    /// Where they begin in the layout.
    pub at: u64,
}

impl Part {
    /// What `answer` is worth, when the file has `file_bytes`.
    pub fn judge(&self, answer: Answer, file_bytes: u64) -> Outcome {
        match answer {
            Answer::Http(response) => self.judge_response(*response, file_bytes),
            Answer::Failed(AskFailure::TooLarge(_)) => Outcome::Useless("it sends more than it was asked for"),
            Answer::Failed(AskFailure::Forbidden(_)) => Outcome::Useless("it may not be called"),
            Answer::Failed(failure) => Outcome::Later(None, failure.to_string()),
            _ => Outcome::Later(None, "the host answered something else".into()),
        }
    }

    fn judge_response(&self, response: HttpResponse, file_bytes: u64) -> Outcome {
        let wanted = self.range.end - self.range.start;
        let came = response.body.len();
        match response.status {
            206 if came == wanted => Outcome::Bytes(response.body),
            206 => Outcome::Useless("a part has the wrong length"),
            200 if came == file_bytes => {
                slice(response.body, self.range.clone()).map_or(Outcome::Useless("a part has the wrong length"), Outcome::Bytes)
            }
            200 => Outcome::Useless("it knows no ranges, or its file has another length"),
            status @ (429 | 503) => Outcome::Later(response.retry_after_s.map(Span::from_secs), format!("http status {status}")),
            status @ (408 | 500..) => Outcome::Later(None, format!("http status {status}")),
            status => Outcome::Missing(format!("http status {status}")),
        }
    }
}

fn slice(payload: Payload, range: Range<u64>) -> Option<Payload> {
    match payload {
        Payload::Bytes(bytes) => {
            let range = usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?;
            (range.end <= bytes.len()).then(|| Payload::Bytes(bytes.slice(range)))
        }
        Payload::Token(token) => {
            let range = token.range.start + range.start..token.range.start + range.end;
            (range.end <= token.range.end).then_some(Payload::Token(Token { range, ..token }))
        }
    }
}

/// One web seed.
#[derive(Debug)]
pub(super) struct Seed {
    pub base: BaseUrl,
    /// Where redirects led, per file.
    moved: BoundedMap<usize, String>,
    /// Pieces that it cannot serve in full.
    pub lacks: Ranges,
    /// Delivered, and not judged yet.
    unjudged: Ranges,
    /// Requests under way.
    pub busy: usize,
    pub run_bytes: u64,
    fails: u32,
    wait_until: Time,
    pub delivered_bytes: u64,
    /// Why it failed last.
    pub failure: Option<String>,
    /// Never to be asked again.
    pub dropped: bool,
}

impl Seed {
    pub fn new(base: BaseUrl) -> Self {
        Self {
            base,
            moved: BoundedMap::new(MOVED_MAX),
            lacks: Ranges::new(),
            unjudged: Ranges::new(),
            busy: 0,
            run_bytes: RUN_BYTES_FIRST,
            fails: 0,
            wait_until: Time::ZERO,
            delivered_bytes: 0,
            failure: None,
            dropped: false,
        }
    }

    /// Whether another request may go out.
    pub fn has_room(&self, now: Time) -> bool {
        !self.dropped && self.busy < self.requests_max() && now >= self.wait_until
    }

    /// After a failure one request tries whether it is well again.
    fn requests_max(&self) -> usize {
        if self.fails > 0 { 1 } else { REQUESTS_MAX }
    }

    /// When it may be asked again, if it waits for that.
    pub fn waits_until(&self, now: Time) -> Option<Time> {
        (!self.dropped && self.wait_until > now).then_some(self.wait_until)
    }

    /// Where that file is.
    pub fn url(&self, layout: &Layout, file: usize) -> Option<String> {
        self.moved.get(&file).cloned().or_else(|| self.base.of_file(layout, file))
    }

    /// A redirect led there.
    pub fn has_moved(&mut self, file: usize, url: String) {
        let _ = self.moved.insert(file, url);
    }

    /// A request was answered in full, after `took`.
    pub fn succeeded(&mut self, range: Range<u64>, took: Span) {
        self.fails = 0;
        self.failure = None;
        self.delivered_bytes += range.end - range.start;
        if took < FAST {
            self.run_bytes = (self.run_bytes * 2).min(REQUEST_BYTES_MAX);
        } else if took > FAST * 2 {
            self.run_bytes = (self.run_bytes / 2).max(RUN_BYTES_FIRST);
        }
        // Who owes so many verdicts is owed to by nobody: the engine stands still.
        if self.unjudged.span_count() >= SPANS_MAX {
            self.unjudged = Ranges::new();
        }
        self.unjudged.insert(range);
    }

    /// It is not well: nobody asks it for a while.
    pub fn failed(&mut self, file: usize, wait: Option<Span>, why: String, now: Time) {
        self.moved.remove(&file);
        self.failure = Some(why);
        if let Some(wait) = wait {
            self.fails = self.fails.max(1);
            self.wait_until = self.wait_until.max(now + wait.clamp(Span::from_secs(1), RETRY_AFTER_MAX));
            return;
        }
        // Requests that were out together fail together, and count once.
        if self.wait_until <= now {
            self.wait_until = now + RETRY_MIN.saturating_mul(1 << self.fails.min(16)).min(RETRY_MAX);
            self.fails = self.fails.saturating_add(1);
        }
    }

    /// It lacks these pieces. False when it lacks too much to be of use.
    pub fn lacks_pieces(&mut self, pieces: Range<u64>) -> bool {
        self.lacks.insert(pieces);
        self.lacks.span_count() < SPANS_MAX
    }

    /// Whether something of `range` came from here and has not been judged.
    pub fn has_given(&self, range: &Range<u64>) -> bool {
        !self.unjudged.within(range.clone()).is_empty()
    }

    /// A verdict has come on a range. True when all of it came from this seed, and nothing of it may have come from others before.
    pub fn judged(&mut self, range: Range<u64>) -> bool {
        let all = self.unjudged.covers(range.clone());
        self.unjudged.remove(range);
        all
    }
}
