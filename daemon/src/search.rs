//! One search: the same words asked of several networks, their answers merged into results.
//!
//! A result is what has one name, one size and one identity. Answers that name the same content by a digest that proves it are one result,
//! whichever networks they come from; an answer with no such digest is a result of its own, and shown as unproven.

use std::time::{Duration, Instant};

use hexad_api::{Event, Own, Problem, SearchRequest};
use hexad_content::{Digest, Digests, Magnet, Strength};
use hexad_core::{Endpoint, Hit, OpId, Query, What};

use crate::books::Books;
use crate::listener::{Listener, Word};
use crate::source::unnumbered;

/// Results of one search at most, whatever is asked for.
const RESULTS_MAX: usize = 10_000;
/// Longer than this nobody waits.
const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// How long all that a user offers may take.
const BROWSE_TIMEOUT_S: u64 = 60;
/// Peers that a link names.
const LINK_PEERS_MAX: usize = 3;

/// One result.
struct Found {
    name: String,
    size_bytes: Option<u64>,
    digests: Digests,
    /// What fetches it where no digest does.
    locator: Option<String>,
    /// On which networks, and by whom.
    sources: Vec<(&'static str, String)>,
    /// Peers of our own overlays who have it.
    peers: Vec<Endpoint>,
}

impl Found {
    fn proven(&self) -> bool {
        self.digests.iter().any(looks_up)
    }

    fn link(&self) -> String {
        match &self.locator {
            Some(locator) if !self.proven() => locator.clone(),
            _ => Magnet {
                digests: self.digests.iter().filter(|digest| digest.strength() != Strength::Hint).copied().collect(),
                name: Some(self.name.clone()),
                size_bytes: self.size_bytes,
                peers: self.peers.iter().take(LINK_PEERS_MAX).map(ToString::to_string).collect(),
                ..Magnet::default()
            }
            .to_string(),
        }
    }
}

/// Whether a file can be looked up and proven by it.
fn looks_up(digest: &Digest) -> bool {
    matches!(digest, Digest::Content(_) | Digest::TorrentV1(_) | Digest::TorrentV2(_))
}

/// One network's part in a search.
struct Part {
    network: usize,
    network_name: &'static str,
    op: OpId,
    pending: bool,
    problem: Option<Problem>,
}

/// The books of one search.
pub(crate) struct Search {
    /// The task's name.
    pub(crate) task: OpId,
    request: SearchRequest,
    events: Listener,
    parts: Vec<Part>,
    results: Vec<Found>,
    until: Instant,
    over: bool,
}

impl Search {
    /// Books for `request`.
    pub(crate) fn begin(books: &mut Books, request: SearchRequest, events: Listener) -> Self {
        let until = Instant::now() + Duration::from_secs(request.timeout_s).min(TIMEOUT_MAX);
        Self { task: books.op(), request, events, parts: Vec::new(), results: Vec::new(), until, over: false }
    }

    /// What each network is asked.
    pub(crate) fn query(&self) -> Query {
        let words = self.request.words.iter().flat_map(|word| word.split_whitespace()).map(str::to_lowercase).collect();
        Query::Words { words, wanted: self.request.results_max.clamp(1, RESULTS_MAX) }
    }

    /// Begins once more with these bounds; returns which networks took part. What was found stays.
    pub(crate) fn again(&mut self, results_max: usize, timeout_s: u64) -> Vec<usize> {
        (self.request.results_max, self.request.timeout_s) = (results_max, timeout_s);
        self.until = Instant::now() + Duration::from_secs(timeout_s).min(TIMEOUT_MAX);
        self.over = false;
        std::mem::take(&mut self.parts).into_iter().map(|part| part.network).collect()
    }

    /// Lets a network take part.
    pub(crate) fn add(&mut self, network: usize, network_name: &'static str, op: OpId) {
        self.parts.push(Part { network, network_name, op, pending: true, problem: None });
    }

    /// Tells whoever watches; nobody may.
    pub(crate) fn tell(&self, event: Event) {
        self.events.send(event);
    }

    /// Whether `op` is one of this task's.
    pub(crate) fn owns(&self, op: OpId) -> bool {
        self.parts.iter().any(|part| part.op == op)
    }

    /// Whether that network is asked.
    pub(crate) fn asks(&self, network: usize) -> bool {
        self.parts.iter().any(|part| part.network == network)
    }

    /// The operations that go on, and where.
    pub(crate) fn ops(&self) -> Vec<(usize, OpId)> {
        self.parts.iter().filter(|part| part.pending).map(|part| (part.network, part.op)).collect()
    }

    /// A network has an answer.
    pub(crate) fn on_hit(&mut self, op: OpId, hit: Hit) {
        let Some(network) = self.parts.iter().find(|part| part.op == op).map(|part| part.network_name) else { return };
        if self.over {
            return;
        }
        let locator = if let What::Locator(text) = &hit.source.what { Some(text.clone()) } else { None };
        let sources = source_names(&hit, locator.as_deref());
        let same = |found: &Found| found.name == hit.name && found.size_bytes == hit.size_bytes && found.digests.same_content(&hit.digests);
        let place = match self.results.iter().position(same) {
            Some(place) => place,
            None if self.results.len() >= self.request.results_max.clamp(1, RESULTS_MAX) => return,
            None => {
                let Hit { name, size_bytes, .. } = &hit;
                let (name, size_bytes) = (name.clone(), *size_bytes);
                self.results.push(Found { name, size_bytes, digests: Digests::new(), locator, sources: Vec::new(), peers: Vec::new() });
                self.results.len() - 1
            }
        };
        let found = &mut self.results[place];
        hit.digests.iter().for_each(|digest| found.digests.insert(*digest));
        for peer in hit.source.peers.iter().filter(|peer| matches!(peer, Endpoint::Key(..))) {
            if !found.peers.contains(peer) {
                found.peers.push(peer.clone());
            }
        }
        let sound = crate::networks::sound_of(&hit.source.what);
        let before = found.sources.len();
        for source in sources {
            if !found.sources.iter().any(|known| *known == (network, source.clone())) {
                found.sources.push((network, source));
            }
        }
        if found.sources.len() > before {
            self.tell_found(place);
        }
        if let Some((bitrate_kbps, seconds)) = sound {
            self.events.say(Word::Sounds { result: place + 1, bitrate_kbps, seconds });
        }
    }

    fn tell_found(&self, place: usize) {
        let found = &self.results[place];
        let mut networks: Vec<String> = Vec::new();
        for (network, _) in &found.sources {
            if !networks.iter().any(|known| known == network) {
                networks.push((*network).to_owned());
            }
        }
        self.tell(Event::Found {
            result: place + 1,
            name: found.name.clone(),
            size_bytes: found.size_bytes,
            link: found.link(),
            proven: found.proven(),
            networks,
            sources: found.sources.len(),
        });
    }

    /// A network has answered in full.
    pub(crate) fn on_done(&mut self, op: OpId) {
        self.parts.iter_mut().filter(|part| part.op == op).for_each(|part| part.pending = false);
        self.see_whether_over();
    }

    /// A network cannot answer.
    pub(crate) fn network_failed(&mut self, network: usize, problem: &Problem) {
        for part in self.parts.iter_mut().filter(|part| part.network == network && part.pending) {
            part.pending = false;
            part.problem = Some(problem.clone());
        }
        self.see_whether_over();
    }

    /// One of this task's operations has failed.
    pub(crate) fn on_failed(&mut self, op: OpId, problem: &Problem) {
        if let Some(network) = self.parts.iter().find(|part| part.op == op).map(|part| part.network) {
            self.network_failed(network, problem);
        }
    }

    /// Looks at the time; returns what is to be cancelled.
    pub(crate) fn on_tick(&mut self, now: Instant) -> Vec<(usize, OpId)> {
        if self.over || now < self.until {
            return Vec::new();
        }
        let late = self.ops();
        let problem = Problem::new(format!("no answer within {} s", self.request.timeout_s)).hint("wait longer with --timeout");
        for part in self.parts.iter_mut().filter(|part| part.pending) {
            part.pending = false;
            part.problem = Some(problem.clone());
        }
        self.see_whether_over();
        late
    }

    fn see_whether_over(&mut self) {
        if self.over || self.parts.iter().any(|part| part.pending) {
            return;
        }
        self.over = true;
        let failed = |part: &Part| part.problem.clone().map(|problem| (part.network_name, problem));
        let problems: Vec<(&str, Problem)> = self.parts.iter().filter_map(failed).collect();
        if !self.results.is_empty() {
            for (network, problem) in problems {
                self.tell(Event::Warning { message: format!("{network} has not answered in full: {}", unnumbered(&problem.message)) });
            }
            return self.tell(Event::Done);
        }
        let names: Vec<&str> = self.parts.iter().map(|part| part.network_name).collect();
        let (message, hint) = match problems.into_iter().next() {
            Some((network, problem)) => (format!("{network}: {}", unnumbered(&problem.message)), problem.hint),
            None => (
                format!("nothing on {} has all of the words '{}' in its name", names.join(", "), self.request.words.join(" ")),
                Some("try fewer words".to_owned()),
            ),
        };
        self.tell(Event::Failed { message, hint });
    }
}

/// Whoever offers it, as far as that can be told apart.
fn source_names(hit: &Hit, locator: Option<&str>) -> Vec<String> {
    match locator {
        Some(locator) => vec![locator.to_owned()],
        None => hit.source.peers.iter().map(ToString::to_string).collect(),
    }
}

/// A request that only one network understands, as a search, when hits answer it.
pub(crate) fn of_own(own: &Own) -> Option<SearchRequest> {
    let (words, results_max, timeout_s) = match own {
        Own::NapsterSearch { words, results_max, timeout_s, .. } => (words.clone(), *results_max, *timeout_s),
        Own::NapsterBrowse { name } => (vec![name.clone()], RESULTS_MAX, BROWSE_TIMEOUT_S),
        _ => return None,
    };
    Some(SearchRequest { words, on: Vec::new(), results_max, timeout_s })
}

/// What is wrong with a request.
pub(crate) fn validate(request: &SearchRequest, on: &[&str]) -> Result<(), Problem> {
    if request.words.iter().all(|word| word.trim().is_empty()) {
        return Err(
            Problem::new("expected words to search for, came none").hint("hexad search blue ogg --on chord finds what has both words")
        );
    }
    if on.is_empty() {
        return Err(Problem::new("expected a network to search on, came none").hint("name one with --on"));
    }
    if request.results_max == 0 {
        return Err(Problem::new("expected a limit of at least 1 result, came 0").hint("leave --limit away"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use hexad_content::{ContentId, Sha1Digest, Sha256Digest};
    use hexad_core::Source;

    use super::*;

    fn hit(digests: &[Digest], what: What, peer: &str) -> Hit {
        let peers = crate::source::endpoint(peer).into_iter().collect();
        Hit { name: "a.ogg".into(), size_bytes: Some(7), digests: digests.iter().copied().collect(), source: Source { what, peers } }
    }

    /// A search on two networks, whose operations are 1 and 2, and what it says.
    fn search() -> (Search, mpsc::Receiver<Event>) {
        let (events, heard) = mpsc::channel();
        let request = SearchRequest { words: vec!["A".into()], on: Vec::new(), results_max: 2, timeout_s: 60 };
        let mut search = Search::begin(&mut Books::default(), request, events.into());
        search.add(0, "chord", OpId(1));
        search.add(1, "napster", OpId(2));
        (search, heard)
    }

    const CONTENT: Digest = Digest::Content(ContentId { size: 7, root: Sha256Digest([1; 32]) });

    #[test]
    fn the_same_content_on_two_networks_is_one_result() {
        let (mut search, heard) = search();
        let (torrent, key) = (Digest::TorrentV1(Sha1Digest([2; 20])), format!("{}@192.0.2.1:7", "0a".repeat(32)));
        search.on_hit(OpId(1), hit(&[CONTENT, torrent], What::Magnet(Box::default()), &key));
        search.on_hit(OpId(2), hit(&[CONTENT], What::Locator("napster:nick=b&path=a.ogg".into()), ""));
        // The same answer once more is no news.
        search.on_hit(OpId(2), hit(&[CONTENT], What::Locator("napster:nick=b&path=a.ogg".into()), ""));
        search.on_done(OpId(1));
        search.on_done(OpId(2));
        let told: Vec<Event> = heard.try_iter().collect();
        let [Event::Found { .. }, Event::Found { result, link, proven, networks, sources, .. }, Event::Done] = &told[..] else {
            panic!("{told:?}");
        };
        assert_eq!((*result, *proven, networks.join(","), *sources), (1, true, "chord,napster".to_owned(), 2));
        assert!(
            link.contains("urn:btih:") && link.contains("urn:hexad:") && link.contains(&format!("x.pe={}", key.replace('@', "%40"))),
            "{link}"
        );
    }

    #[test]
    fn what_nothing_proves_stays_by_itself() {
        let (mut search, heard) = search();
        let hint = Digest::Md5Prefix([3; 16]);
        search.on_hit(OpId(2), hit(&[hint], What::Locator("napster:nick=b&path=a.ogg".into()), ""));
        search.on_hit(OpId(2), hit(&[hint], What::Locator("napster:nick=c&path=a.ogg".into()), ""));
        // As many as were asked for.
        search.on_hit(OpId(2), hit(&[hint], What::Locator("napster:nick=d&path=a.ogg".into()), ""));
        let links: Vec<(String, bool)> = heard
            .try_iter()
            .filter_map(|event| if let Event::Found { link, proven, .. } = event { Some((link, proven)) } else { None })
            .collect();
        assert_eq!(links, [("napster:nick=b&path=a.ogg".to_owned(), false), ("napster:nick=c&path=a.ogg".to_owned(), false)]);
    }

    #[test]
    fn a_network_that_is_silent_does_not_take_away_what_others_have_found() {
        let (mut search, heard) = search();
        search.on_hit(OpId(1), hit(&[CONTENT], What::Magnet(Box::default()), "192.0.2.1:7"));
        search.on_done(OpId(1));
        assert_eq!(search.on_tick(Instant::now()), []);
        assert_eq!(search.on_tick(Instant::now() + Duration::from_secs(61)), [(1, OpId(2))]);
        let told: Vec<Event> = heard.try_iter().collect();
        assert!(matches!(&told[..], [Event::Found { .. }, Event::Warning { .. }, Event::Done]), "{told:?}");
    }

    #[test]
    fn a_search_that_finds_nothing_has_failed() {
        let (mut search, heard) = search();
        search.on_done(OpId(1));
        search.on_done(OpId(2));
        let told: Vec<Event> = heard.try_iter().collect();
        assert!(matches!(&told[..], [Event::Failed { message, .. }] if message.contains("nothing on chord, napster")), "{told:?}");
    }
}
