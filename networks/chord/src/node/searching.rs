//! Searches (C2): by digest one lookup; by words the rarest word's owner is asked for what has all of them.

use hexad_content::{Magnet, Strength};
use hexad_core::{Context, Failure, Hit, Map, OpId, Progress, Query, Source, Span, What};

use super::errands::{Ended, Whom};
use super::{Node, Out, Timer, failed};
use crate::id::Key;
use crate::place::Place;
use crate::wire::{Get, Items, Record, Value, key_of_digest};

/// A search ends so much after the last of its errands may.
const GRACE: Span = Span::from_secs(5);

/// One search under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Search<A: Place> {
    words: Vec<String>,
    wanted: usize,
    /// How many there are of each word, and who has told it.
    counts: Map<usize, (u32, A::Contact)>,
    /// Counts that are awaited.
    waiting: usize,
}

impl<A: Place> Node<A> {
    pub(super) fn start_search(&mut self, op: OpId, query: Query, cx: &mut Context<'_>, out: &mut Out<A>) {
        if !self.is_member() {
            return failed(op, Failure::NotReady("not in a ring".into()), out);
        }
        let limit = self.config.0.answer_items_max;
        let (words, wanted) = match query {
            Query::Digest { digest, wanted } => {
                self.begin_search(op, Vec::new(), wanted, cx, out);
                let get = Get { key: key_of_digest(&digest), words: Vec::new(), limit };
                return self.start_errand(super::errands::Deed::Get(Box::new(get)), Whom::Search(op, 0, false), cx, out);
            }
            Query::Words { words, wanted } => (words, wanted),
        };
        // What was given as one word may be several to us.
        let words: Vec<String> = crate::words::words_of(&words.join(" ")).collect();
        if words.is_empty() {
            return failed(op, Failure::Unusable("expected a word of more than one letter, came none".into()), out);
        }
        let single = words.len() == 1;
        self.begin_search(op, words.clone(), wanted, cx, out);
        if let Some(search) = self.busy().searches.get_mut(&op) {
            search.waiting = words.len();
        }
        for (at, word) in words.iter().enumerate() {
            // Where there is one word, there is nothing to compare it with.
            let get = Get { key: Key::of_word(word), words: words.clone(), limit: if single { limit } else { 0 } };
            self.start_errand(super::errands::Deed::Get(Box::new(get)), Whom::Search(op, at, !single), cx, out);
        }
    }

    fn begin_search(&mut self, op: OpId, words: Vec<String>, wanted: usize, cx: &mut Context<'_>, out: &mut Out<A>) {
        let deadline = cx.now + self.config.0.errand_deadline * 2 + GRACE;
        out.wake(deadline, Timer::Search(op));
        self.busy().searches.insert(op, Search { words, wanted, counts: Map::new(), waiting: 0 });
    }

    /// An errand of a search is over.
    pub(super) fn on_searched(&mut self, op: OpId, word: usize, counted: bool, ended: Ended<A>, cx: &mut Context<'_>, out: &mut Out<A>) {
        let limit = self.config.0.answer_items_max;
        let Some(search) = self.busy().searches.get_mut(&op) else { return };
        match (counted, ended) {
            (false, Ended::Found(found, _)) => self.report_hits(op, found, out),
            // One word that nobody has used is enough to know that nothing has all of them.
            (_, Ended::Nothing) => self.end_search(op, out),
            (true, Ended::Found(found, who)) => {
                search.counts.insert(word, (found.total, who));
                if search.counts.len() < search.waiting {
                    return;
                }
                let Some((&rarest, (_, holder))) = search.counts.iter().min_by_key(|(word, (total, _))| (*total, **word)) else { return };
                let (holder, words) = (holder.clone(), search.words.clone());
                let get = Get { key: Key::of_word(&words[rarest]), words, limit };
                self.start_errand_at(holder, get, Whom::Search(op, rarest, false), cx, out);
            }
            (_, Ended::Refused(reason)) => {
                self.busy().searches.remove(&op);
                failed(op, Failure::Refused(reason.words().into()), out);
            }
            (_, Ended::TimedOut | Ended::Stored(_)) => {
                self.busy().searches.remove(&op);
                failed(op, Failure::TimedOut(self.config.0.errand_deadline.as_secs()), out);
            }
        }
    }

    fn report_hits(&mut self, op: OpId, found: Items<A>, out: &mut Out<A>) {
        let wanted = self.busy().searches.get(&op).map_or(0, |search| search.wanted);
        // All who have the same are one hit with several peers.
        let mut hits: Vec<Hit> = Vec::new();
        for item in found.items {
            let Value::Reference(record) = item.value else { continue };
            let hit = hit_of(&record);
            let same = hits.iter_mut().find(|other| {
                let strong = |hit: &Hit| hit.digests.iter().find(|digest| digest.strength() == Strength::Ranged).copied();
                other.name == hit.name && strong(other) == strong(&hit)
            });
            match same {
                Some(other) => other.source.peers.extend(hit.source.peers),
                None => hits.push(hit),
            }
        }
        for hit in hits.into_iter().take(wanted) {
            out.report(op, Progress::Hit(Box::new(hit)));
        }
        self.end_search(op, out);
    }

    fn end_search(&mut self, op: OpId, out: &mut Out<A>) {
        if self.busy().searches.remove(&op).is_some() {
            out.report(op, Progress::Done);
        }
    }

    pub(super) fn on_search_late(&mut self, op: OpId, out: &mut Out<A>) {
        if self.busy.as_mut().is_some_and(|busy| busy.searches.remove(&op).is_some()) {
            failed(op, Failure::TimedOut((self.config.0.errand_deadline * 2 + GRACE).as_secs()), out);
        }
    }

    pub(super) fn cancel_search(&mut self, op: OpId, out: &mut Out<A>) {
        if self.busy().searches.remove(&op).is_some() {
            out.report(op, Progress::Ended);
        }
    }
}

/// A reference as users see it.
fn hit_of<A: Place>(record: &Record<A>) -> Hit {
    let digests: hexad_content::Digests = record.digests.iter().copied().collect();
    let magnet =
        Magnet { digests: digests.clone(), name: Some(record.name.clone()), size_bytes: Some(record.size_bytes), ..Magnet::default() };
    Hit {
        name: record.name.clone(),
        size_bytes: Some(record.size_bytes),
        digests,
        source: Source { what: What::Magnet(Box::new(magnet)), peers: vec![record.publisher.to_endpoint()] },
    }
}
