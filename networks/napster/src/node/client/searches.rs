//! Searching: the same question to all servers, their answers as hits.

use hexad_core::{Context, Endpoint, Failure, Hit, OpId, Progress, Query, Set, Source, Time, What};

use super::locator::{Locator, digests_of, is_ours, token_to_look_up};
use super::offers::base_name;
use super::servers::{Question, ServerId};
use super::{Client, ClientTimer, Out};
use crate::node::{Reply, Timer};
use crate::wire::{Clause, Ip, Search, Text, ToClient};

/// A search, or another question whose answers somebody waits for.
#[derive(Debug)]
pub(super) struct Asking {
    /// Servers that have not ended their answer.
    pending: usize,
    wanted: usize,
    hits: usize,
    /// Whether silence of all servers is a failure.
    must_find: bool,
    pub(super) until: Time,
    /// What was told already: who and which file.
    seen: Set<(Text, Text)>,
}

/// What is found in a search for words: names of every kind.
fn by_words(words: &[String], wanted: usize) -> Search {
    let text = words.join(" ").replace('"', "'");
    let max = u32::try_from(wanted).unwrap_or(u32::MAX);
    Search { clauses: vec![Clause::Contains(text.into()), Clause::MaxResults(max), Clause::Type(None)] }
}

impl Client {
    pub(super) fn search(&mut self, op: OpId, query: Query, cx: &Context<'_>, out: &mut Out) {
        match query {
            Query::Words { words, wanted } => {
                let words: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
                if words.is_empty() {
                    return out
                        .report(op, Progress::Failed(Failure::Unusable("expected at least one word to search for, came none".into())));
                }
                self.start_asking(op, &Question::Search(by_words(&words, wanted)), wanted, false, cx, out);
            }
            Query::Digest { digest, wanted } => match token_to_look_up(&digest) {
                Some((token, size)) => self.start_asking(op, &Question::Resume(token, size), wanted, false, cx, out),
                None => out.report(op, Progress::Failed(Failure::Unusable("this network has no such digest".into()))),
            },
        }
    }

    /// Puts a question to every server that we are logged in to.
    pub(super) fn start_asking(&mut self, op: OpId, question: &Question, wanted: usize, must_find: bool, cx: &Context<'_>, out: &mut Out) {
        if self.askings.len() >= self.config.searches_max {
            return out.report(op, Progress::Failed(Failure::Full("searches")));
        }
        let servers = self.servers_in();
        let pending = servers.into_iter().filter(|&id| self.ask_server(id, op, question.clone(), out)).count();
        if pending == 0 {
            return out.report(op, Progress::Failed(Failure::NotReady("no server was joined".into())));
        }
        let until = cx.now + self.config.search_deadline;
        self.askings.insert(op, Asking { pending, wanted, hits: 0, must_find, until, seen: Set::new() });
        out.wake(until, Timer::Client(ClientTimer::Search(op)));
    }

    /// A server has answered in full, or is gone.
    pub(super) fn on_question_over(&mut self, op: OpId, out: &mut Out) {
        if let Some(times) = self.again.get_mut(&op) {
            *times -= 1;
            if *times == 0 {
                self.again.remove(&op);
            }
            return;
        }
        if let Some(asking) = self.askings.get_mut(&op) {
            asking.pending = asking.pending.saturating_sub(1);
            if asking.pending == 0 {
                self.end_asking(op, out);
            }
        }
    }

    /// The search has taken long enough.
    pub(super) fn on_search_deadline(&mut self, op: OpId, cx: &Context<'_>, out: &mut Out) {
        if self.askings.get(&op).is_some_and(|asking| asking.until <= cx.now) {
            self.end_asking(op, out);
        }
    }

    fn end_asking(&mut self, op: OpId, out: &mut Out) {
        let Some(asking) = self.askings.remove(&op) else { return };
        self.forget_questions(op);
        let progress = if asking.must_find && asking.hits == 0 {
            Progress::Failed(Failure::NotFound("nobody of that name".into()))
        } else {
            Progress::Done
        };
        out.report(op, progress);
    }

    /// Who somebody is: told as it came.
    pub(super) fn on_known(&mut self, op: OpId, message: ToClient, out: &mut Out) {
        if !matches!(message, ToClient::WhoisAnswer { .. } | ToClient::Whowas { .. }) {
            return;
        }
        if let Some(asking) = self.askings.get_mut(&op) {
            asking.hits += 1;
            out.report(op, Progress::Own(Reply::Whois(Box::new(message))));
        }
    }

    /// A server names a file.
    pub(super) fn on_found(&mut self, id: ServerId, message: ToClient, cx: &mut Context<'_>, out: &mut Out) {
        let Some((op, _)) = self.asked(id) else { return };
        let (nick, path, hash, size, place, sound) = match message {
            ToClient::SearchResult { nick, path, hash, size, bitrate, seconds, .. }
            | ToClient::BrowseEntry { nick, path, hash, size, bitrate, seconds, .. } => {
                (nick.0, path.0, hash.0, size, None, (bitrate, seconds))
            }
            ToClient::ResumeResult { nick, path, hash, size, ip, port, .. } => (nick.0, path.0, hash.0, size, Some((ip, port)), (0, 0)),
            _ => return,
        };
        let place = place.and_then(|(ip, port)| endpoint_of(ip, port));
        if self.fetches.contains_key(&op) {
            return self.on_source(op, place, cx, out);
        }
        let server = self.servers.get(&id).map(|server| server.endpoint.clone());
        let Some(asking) = self.askings.get_mut(&op) else { return };
        if asking.hits >= asking.wanted || !asking.seen.insert((nick.clone(), path.clone())) {
            return;
        }
        // An old server's greatest number means that it does not know.
        let size_bytes = Some(size).filter(|&size| size != u64::from(u32::MAX) || is_ours(hash.bytes()));
        asking.hits += 1;
        let enough = asking.hits >= asking.wanted;
        let locator = Locator { server, nick, path: path.clone(), size_bytes, hash: hash.clone(), sound };
        let hit = Hit {
            name: hexad_catalogue::text_of(base_name(path.bytes())).into_owned(),
            size_bytes,
            digests: digests_of(hash.bytes(), size_bytes),
            source: Source { what: What::Locator(locator.write()), peers: place.filter(|_| is_ours(hash.bytes())).into_iter().collect() },
        };
        out.report(op, Progress::Hit(Box::new(hit)));
        if enough {
            self.end_asking(op, out);
        }
    }
}

/// Where somebody can be reached; `None` behind a firewall.
pub(super) fn endpoint_of(ip: Ip, port: u32) -> Option<Endpoint> {
    let port = u16::try_from(port).ok().filter(|&port| port != 0)?;
    (ip != Ip::NONE).then(|| Endpoint::Ip((ip.0, port).into()))
}
