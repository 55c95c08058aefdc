//! Searches that stay: what was asked, how it stands, and what was found, the best first.

use std::collections::{BTreeMap, BTreeSet};

use hexad_api::Problem;
use hexad_api::node::{NewSearch, Page, Search, SearchDetail, SearchResult, SearchState};
use hexad_core::OpId;

use super::ranking::{Worth, kind_of, worth};
use super::{cut, not_found};

/// Searches that are remembered; the oldest one that is over goes first.
const SEARCHES_MAX: usize = 100;
/// Results that are enough where nobody says it, and at most.
const RESULTS: usize = 200;
pub(super) const RESULTS_MAX: usize = 10_000;
/// How long a search lasts where nobody says it, and at most.
const TIMEOUT_S: u64 = 30;
const TIMEOUT_S_MAX: u64 = 3600;

/// One search.
pub(super) struct Asked {
    pub(super) request: NewSearch,
    pub(super) on: Vec<String>,
    /// Under which it runs in the session; asks for more.
    pub(super) op: Option<OpId>,
    state: SearchState,
    problem: Option<Problem>,
    /// By their numbers; those of the wrong size are not there.
    found: BTreeMap<usize, SearchResult>,
    /// Numbers of results, the best first; empty when it has to be made again.
    order: Vec<usize>,
}

/// All searches.
#[derive(Default)]
pub(super) struct Searches {
    asked: BTreeMap<u64, Asked>,
    last: u64,
    /// What has changed since the last tick: searches, and results of them.
    changed: BTreeSet<u64>,
    changed_results: BTreeSet<(u64, usize)>,
}

impl Asked {
    fn view(&self, id: u64) -> Search {
        Search {
            id,
            words: self.request.words.clone(),
            on: self.on.clone(),
            state: self.state,
            results: self.found.len(),
            problem: self.problem.clone(),
        }
    }

    /// Puts the results in order, and tells each its place.
    fn rank(&mut self) {
        if self.order.len() == self.found.len() {
            return;
        }
        let words = &self.request.words;
        let mut order: Vec<(Worth, usize)> =
            self.found.values().map(|found| (worth(words, &found.name, found.proven, found.sources), found.result)).collect();
        // The best first; of equals the one that came first.
        order.sort_by(|(left, left_number), (right, right_number)| right.cmp(left).then(left_number.cmp(right_number)));
        self.order = order.into_iter().map(|(_, number)| number).collect();
        for (rank, number) in self.order.iter().enumerate() {
            if let Some(found) = self.found.get_mut(number) {
                found.rank = rank;
            }
        }
    }

    pub(super) fn results_max(&self) -> usize {
        self.request.results_max.unwrap_or(RESULTS)
    }

    pub(super) fn timeout_s(&self) -> u64 {
        self.request.timeout_s.unwrap_or(TIMEOUT_S)
    }
}

impl Searches {
    /// Books for a search that is to be begun.
    ///
    /// # Errors
    /// When it is written wrongly.
    pub(super) fn add(&mut self, request: NewSearch, on: Vec<String>) -> Result<u64, Problem> {
        let bounds: [(&str, Option<u64>, u64); 2] = [
            ("results_max", request.results_max.map(|max| max as u64), RESULTS_MAX as u64),
            ("timeout_s", request.timeout_s, TIMEOUT_S_MAX),
        ];
        for (name, value, max) in bounds {
            if let Some(value) = value.filter(|value| *value == 0 || *value > max) {
                return Err(Problem::new(format!("expected {name} from 1 to {max}, came {value}")).hint("leave it away"));
            }
        }
        if request.words.iter().all(|word| word.trim().is_empty()) {
            return Err(Problem::new("expected words to search for, came none").hint("name at least one"));
        }
        if request.words.len() > 32 || request.words.iter().map(String::len).sum::<usize>() > 1000 {
            return Err(Problem::new("expected at most 32 words of 1000 bytes in all, came more").hint("search for fewer"));
        }
        if self.asked.len() >= SEARCHES_MAX
            && let Some(oldest) = self.asked.iter().find(|(_, asked)| asked.state != SearchState::Running).map(|(id, _)| *id)
        {
            self.asked.remove(&oldest);
        }
        self.last += 1;
        let asked = Asked { request, on, op: None, state: SearchState::Running, problem: None, found: BTreeMap::new(), order: Vec::new() };
        self.asked.insert(self.last, asked);
        self.changed.insert(self.last);
        Ok(self.last)
    }

    pub(super) fn find(&mut self, id: u64) -> Result<&mut Asked, Problem> {
        self.asked.get_mut(&id).ok_or_else(|| not_found("search", id))
    }

    pub(super) fn view(&self, id: u64) -> Result<Search, Problem> {
        self.asked.get(&id).map(|asked| asked.view(id)).ok_or_else(|| not_found("search", id))
    }

    pub(super) fn is_running(&self, id: u64) -> bool {
        self.asked.get(&id).is_some_and(|asked| asked.state == SearchState::Running)
    }

    /// It runs once more, for more.
    pub(super) fn again(&mut self, id: u64) -> Result<&Asked, Problem> {
        self.changed.insert(id);
        let asked = self.find(id)?;
        asked.state = SearchState::Running;
        asked.problem = None;
        asked.request.results_max = Some((asked.results_max() * 2).min(RESULTS_MAX));
        Ok(asked)
    }

    pub(super) fn page(&self, offset: usize, limit: usize) -> Page<Search> {
        let items = self.asked.iter().rev().skip(offset).take(cut(limit)).map(|(id, asked)| asked.view(*id)).collect();
        Page { total: self.asked.len(), offset, items }
    }

    pub(super) fn detail(&mut self, id: u64, offset: usize, limit: usize) -> Result<SearchDetail, Problem> {
        let asked = self.find(id)?;
        asked.rank();
        let Search { words, on, state, problem, results: total, .. } = asked.view(id);
        let results = asked.order.iter().skip(offset).take(cut(limit)).filter_map(|number| asked.found.get(number).cloned()).collect();
        Ok(SearchDetail { id, words, on, state, problem, total, offset, results })
    }

    pub(super) fn remove(&mut self, id: u64) -> Result<Asked, Problem> {
        self.asked.remove(&id).ok_or_else(|| not_found("search", id))
    }

    /// A result, or what more is known of it.
    pub(super) fn on_found(&mut self, id: u64, result: SearchResult) {
        let Ok(asked) = self.find(id) else { return };
        let bytes = result.size_bytes;
        let too_small = asked.request.at_least_bytes.is_some_and(|least| bytes.is_none_or(|bytes| bytes < least));
        let too_large = asked.request.at_most_bytes.is_some_and(|most| bytes.is_none_or(|bytes| bytes > most));
        if too_small || too_large {
            return;
        }
        let number = result.result;
        let before = asked.found.get(&number);
        let (bitrate_kbps, seconds) = before.map_or((None, None), |before| (before.bitrate_kbps, before.seconds));
        let result = SearchResult { kind: kind_of(&result.name), bitrate_kbps, seconds, ..result };
        asked.found.insert(number, result);
        asked.order.clear();
        self.changed.insert(id);
        self.changed_results.insert((id, number));
    }

    /// How a result sounds.
    pub(super) fn on_sounds(&mut self, id: u64, number: usize, bitrate_kbps: u32, seconds: u32) {
        let Some(found) = self.asked.get_mut(&id).and_then(|asked| asked.found.get_mut(&number)) else { return };
        found.bitrate_kbps = Some(bitrate_kbps).filter(|rate| *rate > 0).or(found.bitrate_kbps);
        found.seconds = Some(seconds).filter(|seconds| *seconds > 0).or(found.seconds);
        self.changed_results.insert((id, number));
    }

    /// It is over; with a problem when nothing was found.
    pub(super) fn on_over(&mut self, id: u64, problem: Option<Problem>) {
        let Ok(asked) = self.find(id) else { return };
        // What was found before stays found.
        let problem = problem.filter(|_| asked.found.is_empty());
        asked.state = if problem.is_some() { SearchState::Failed } else { SearchState::Done };
        asked.problem = problem;
        self.changed.insert(id);
    }

    /// What has changed since this was last asked for.
    pub(super) fn take_changed(&mut self) -> (Vec<Search>, Vec<(u64, SearchResult)>) {
        let searches = std::mem::take(&mut self.changed);
        let results = std::mem::take(&mut self.changed_results);
        for id in results.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>() {
            if let Some(asked) = self.asked.get_mut(&id) {
                asked.rank();
            }
        }
        let result = |(id, number): (u64, usize)| Some((id, self.asked.get(&id)?.found.get(&number)?.clone()));
        (searches.into_iter().filter_map(|id| self.view(id).ok()).collect(), results.into_iter().filter_map(result).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn result(number: usize, name: &str, bytes: u64, sources: usize) -> SearchResult {
        SearchResult {
            result: number,
            name: name.into(),
            size_bytes: Some(bytes),
            link: format!("link {number}"),
            proven: true,
            networks: vec!["chord".into()],
            sources,
            kind: None,
            bitrate_kbps: None,
            seconds: None,
            rank: 0,
        }
    }

    #[test]
    fn results_are_ranked_counted_and_of_the_size_asked_for() {
        let mut searches = Searches::default();
        let request = NewSearch { words: vec!["blue".into()], at_least_bytes: Some(10), ..NewSearch::default() };
        let id = searches.add(request, vec!["chord".into()]).expect("a search");
        searches.on_found(id, result(1, "blue and green.ogg", 10, 1));
        searches.on_found(id, result(2, "blue.ogg", 9, 1));
        searches.on_found(id, result(3, "blue.ogg", 11, 1));
        searches.on_found(id, result(1, "blue and green.ogg", 10, 5));
        let (changed, results) = searches.take_changed();
        assert_eq!(
            (changed.len(), results.iter().map(|(_, result)| (result.result, result.rank)).collect::<Vec<_>>()),
            (1, vec![(1, 1), (3, 0)])
        );
        let detail = searches.detail(id, 0, 1).expect("there");
        assert_eq!((detail.total, detail.results[0].link.as_str()), (2, "link 3"));
        searches.on_over(id, Some(Problem::new("too late")));
        assert_eq!(searches.view(id).map(|search| search.state), Ok(SearchState::Done));
        assert_eq!(searches.again(id).map(Asked::results_max), Ok(400));
    }
}
