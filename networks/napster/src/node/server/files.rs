//! What users share, and how it is found.

use std::ops::RangeInclusive;

use hexad_catalogue::{Filter, Kind, NewFile, OwnerId, Query, Refusal, words_of};
use hexad_core::{ConnId, Context, IndexDeed, IndexQuery, Level as NoteLevel, Span};

use super::elsewhere::name_of;
use super::{Out, Server, ServerTimer, error};
use crate::node::Timer;
use crate::wire::{Clause, Hertz, Measure, Search, Text, ToClient, ToServer, Word, kind_of};

/// Answers to shares that cannot be taken, for one user.
const SHARE_ERRORS_MAX: u32 = 100;
/// Files of programs like ours have their true size; others count to 2^32.
const OURS: &[u8] = b"Hexad";

/// What was looked for elsewhere.
#[derive(Debug)]
pub(super) enum Found {
    /// Words.
    Search,
    /// A token.
    Resume,
    /// All that somebody has.
    Browse(Text),
}

/// What stands for a content, without the size that some hang on.
fn token(hash: &[u8]) -> &[u8] {
    match hash.iter().rposition(|&byte| byte == b'-') {
        Some(dash) if dash > 0 && dash + 1 < hash.len() && hash[dash + 1..].iter().all(u8::is_ascii_digit) => &hash[..dash],
        _ => hash,
    }
}

/// A size as the program at the other end can read it.
pub(super) fn size_for(client: &[u8], size_bytes: u64) -> u64 {
    if client.starts_with(OURS) { size_bytes } else { size_bytes.min(u32::MAX.into()) }
}

impl Server {
    pub(super) fn on_share(&mut self, conn: ConnId, message: ToServer, cx: &Context<'_>, out: &mut Out) {
        match message {
            ToServer::Share { path, hash, size, bitrate, frequency: Hertz(frequency_hz), seconds } => {
                let file = NewFile {
                    path: path.bytes(),
                    token: token(hash.bytes()),
                    size_bytes: size,
                    bitrate_kbps: bitrate,
                    frequency_hz,
                    seconds,
                    kind: Kind::Mp3,
                };
                self.share(conn, &file, out);
            }
            ToServer::ShareFolder { folder, files } => {
                for file in files {
                    let mut path = folder.bytes().to_vec();
                    if !path.ends_with(b"\\") {
                        path.push(b'\\');
                    }
                    path.extend_from_slice(file.file.bytes());
                    let file = NewFile {
                        path: &path,
                        token: token(file.hash.bytes()),
                        size_bytes: file.size,
                        bitrate_kbps: file.bitrate,
                        frequency_hz: file.frequency.0,
                        seconds: file.seconds,
                        kind: Kind::Mp3,
                    };
                    self.share(conn, &file, out);
                }
            }
            ToServer::ShareAny { path, size, hash, kind } => match kind_of(kind.bytes()) {
                Some(kind) => {
                    let file = NewFile { path: path.bytes(), token: token(hash.bytes()), size_bytes: size, kind, ..NewFile::default() };
                    self.share(conn, &file, out);
                }
                None => self.share_error(conn, format!("{} is not a valid type", kind.0), out),
            },
            ToServer::Unshare { path } => {
                // Unquoted by the specification; some quote it all the same.
                let path = path.bytes().trim_ascii_end();
                let path = path.strip_prefix(b"\"").and_then(|path| path.strip_suffix(b"\"")).unwrap_or(path);
                match self.user(conn).and_then(|user| user.owner) {
                    None => error(conn, "Not sharing any files", out),
                    Some(owner) => {
                        if self.catalogue.remove(owner, path) {
                            let path = path.to_vec();
                            self.put_in(conn, |name| IndexDeed::Remove(name, path));
                        } else {
                            error(conn, "Not sharing that file", out);
                        }
                    }
                }
            }
            ToServer::UnshareAll {} => {
                let Some(owner) = self.visitors.user_mut(conn).map(|user| user.owner.take()) else { return };
                let count = owner.map_or(0, |owner| self.catalogue.owner_files(owner));
                self.forget_files(owner, cx, out);
                self.put_in(conn, IndexDeed::Clear);
                out.send_to(conn, ToClient::UnsharedAll { count: Some(u32::try_from(count).unwrap_or(u32::MAX)) }.into());
            }
            _ => {}
        }
    }

    fn share(&mut self, conn: ConnId, file: &NewFile<'_>, out: &mut Out) {
        let Self { visitors, catalogue, .. } = self;
        let Some(user) = visitors.user_mut(conn) else { return };
        let owner = match user.owner {
            Some(owner) => owner,
            None => match catalogue.add_owner() {
                Some(owner) => {
                    user.owner = Some(owner);
                    self.tell_sharer(conn);
                    owner
                }
                None => return self.share_error(conn, "the server has no room for more files", out),
            },
        };
        if file.path.is_empty() {
            return self.share_error(conn, "parameters are unparsable", out);
        }
        let text = match self.catalogue.add(owner, file) {
            Ok(()) => {
                if self.config.shared.is_some() {
                    let file = self.index_file(file);
                    self.put_in(conn, |name| IndexDeed::Add(name, file));
                }
                return;
            }
            Err(Refusal::OwnerFull) => format!("You may only share {} files", self.catalogue.config().owner_files_max),
            Err(refusal) => refusal.to_string(),
        };
        self.share_error(conn, text, out);
    }

    /// Says why a file was not taken, unless that was said too often already.
    fn share_error(&mut self, conn: ConnId, text: impl Into<crate::wire::Text>, out: &mut Out) {
        let Some(user) = self.visitors.user_mut(conn) else { return };
        user.share_errors = user.share_errors.saturating_add(1);
        if user.share_errors <= SHARE_ERRORS_MAX {
            error(conn, text, out);
        } else {
            out.note(NoteLevel::Drop, "share_refused", None, "");
        }
    }

    /// Takes an owner out of all answers; what he leaves is cleared slice by slice.
    pub(super) fn forget_files(&mut self, owner: Option<OwnerId>, cx: &Context<'_>, out: &mut Out) {
        let Some(owner) = owner else { return };
        self.sharers.remove(owner);
        self.catalogue.begin_remove(owner);
        if !self.clearing {
            self.clearing = true;
            out.wake(cx.now + Span::from_millis(1), Timer::Server(ServerTimer::Clear));
        }
    }

    pub(super) fn shared_by(&self, owner: Option<OwnerId>) -> u32 {
        owner.map_or(0, |owner| u32::try_from(self.catalogue.owner_files(owner)).unwrap_or(u32::MAX))
    }

    pub(super) fn statistics(&self) -> ToClient {
        let usage = self.catalogue.usage();
        ToClient::Statistics { users: self.visitors.users() as u64, files: usage.files as u64, gigabytes: usage.file_bytes >> 30 }
    }

    /// Whether a user may search once more.
    fn may_search(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) -> bool {
        let (rate, burst) = (self.config.searches_per_minute, self.config.searches_burst);
        let may = self.visitors.user_mut(conn).is_some_and(|user| user.searches.take(rate, burst, cx.now));
        if !may {
            out.note(NoteLevel::Drop, "too_many_searches", None, "");
            error(conn, "search failed: too many searches, wait a while", out);
        }
        may
    }

    pub(super) fn on_search(&mut self, conn: ConnId, search: &Search, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        if self.user(conn).is_some_and(|user| user.searching) {
            // The end of the one that is being answered is still to come.
            return error(conn, "search failed: too many pending searches", out);
        }
        if self.may_search(conn, cx, out) {
            self.searches += 1;
            let query = self.query(search, u32::try_from(cx.dice.bits() >> 32).unwrap_or(0));
            if query.words.is_empty() {
                error(conn, "search failed: request contained no valid words", out);
            } else {
                let left = query.wanted - self.find(conn, &query, &search.speeds(), out).min(query.wanted);
                let local_only = search.clauses.contains(&Clause::LocalOnly);
                if self.config.shared.is_some() && !local_only {
                    let query = self.query_elsewhere(conn, search, &query, left);
                    if self.ask_elsewhere(conn, query, Found::Search, tickets, out) {
                        return;
                    }
                }
            }
        }
        // Whoever searches waits for this, whatever happened.
        out.send_to(conn, ToClient::SearchEnd {}.into());
    }

    /// What is asked of the catalogue.
    fn query(&self, search: &Search, start: u32) -> Query {
        let mut query = Query { start, filter: Filter { kind: Some(Kind::Mp3), ..Filter::default() }, ..Query::default() };
        let mut wanted = 0;
        for clause in &search.clauses {
            match clause {
                Clause::Contains(text) => {
                    for part in text.bytes().split(|byte| byte.is_ascii_whitespace()) {
                        match part.strip_prefix(b"-") {
                            Some(part) => collect(part, &mut query.without),
                            None => collect(part, &mut query.words),
                        }
                    }
                }
                Clause::Excludes(text) => collect(text.bytes(), &mut query.without),
                Clause::MaxResults(count) => wanted = *count,
                Clause::Type(kind) => query.filter.kind = *kind,
                Clause::LocalOnly => {}
                Clause::Measured(measure, compare, number) => {
                    let small = u32::try_from(*number).unwrap_or(u32::MAX);
                    let narrow = |range: &mut std::ops::RangeInclusive<u32>| {
                        *range = compare.narrowed(range, small);
                    };
                    match measure {
                        Measure::Bitrate => narrow(&mut query.filter.bitrate_kbps),
                        Measure::Freq => narrow(&mut query.filter.frequency_hz),
                        Measure::Duration => narrow(&mut query.filter.seconds),
                        Measure::Size => {
                            query.filter.size_bytes = compare.narrowed(&query.filter.size_bytes, *number);
                        }
                        Measure::LineSpeed => {}
                    }
                }
            }
        }
        let max = self.config.results_max;
        query.wanted = usize::try_from(if wanted == 0 { max } else { wanted.min(max) }).unwrap_or(0);
        query
    }

    /// Answers with what our own users have; returns how many answers that were.
    fn find(&mut self, conn: ConnId, query: &Query, speeds: &RangeInclusive<u32>, out: &mut Out) -> usize {
        let Self { visitors, catalogue, sharers, .. } = self;
        let Some((_, me)) = visitors.known(conn) else { return 0 };
        let outcome = catalogue.search(query, |owner, file| {
            let Some(sharer) = sharers.get(owner) else { return false };
            // Two who can both not be reached cannot give each other anything.
            let reachable = me.port != 0 || sharer.port != 0;
            if sharer.conn == conn || !reachable || !speeds.contains(&sharer.speed) {
                return false;
            }
            let result = ToClient::SearchResult {
                path: file.path().into(),
                hash: word(&file.token()),
                size: size_for(me.client.bytes(), file.size_bytes),
                bitrate: file.bitrate_kbps,
                frequency: Hertz(file.frequency_hz),
                seconds: file.seconds,
                nick: sharer.nick.clone().into(),
                ip: sharer.ip,
                speed: sharer.speed,
                weight: None,
            };
            out.send_to(conn, result.into());
            true
        });
        if outcome.cut {
            out.note(NoteLevel::Debug, "search_cut", None, "");
        }
        outcome.taken
    }

    /// Who else has a file of that hash.
    pub(super) fn on_resume(&mut self, conn: ConnId, hash: &[u8], size: u64, cx: &Context<'_>, tickets: &mut u64, out: &mut Out) {
        if self.may_search(conn, cx, out) {
            self.searches += 1;
            let Self { visitors, catalogue, sharers, config, .. } = self;
            let Some((_, me)) = visitors.known(conn) else { return };
            let mut left = config.results_max;
            catalogue.with_token(token(hash), |owner, file| {
                let Some(sharer) = sharers.get(owner) else { return true };
                let fits = size == 0 || file.size_bytes == size || size_for(me.client.bytes(), file.size_bytes) == size;
                if sharer.conn == conn || !fits || (me.port == 0 && sharer.port == 0) {
                    return true;
                }
                let result = ToClient::ResumeResult {
                    nick: sharer.nick.clone().into(),
                    ip: sharer.ip,
                    port: sharer.port.into(),
                    path: file.path().into(),
                    hash: word(&file.token()),
                    size: size_for(me.client.bytes(), file.size_bytes),
                    speed: sharer.speed,
                };
                out.send_to(conn, result.into());
                left -= 1;
                left > 0
            });
            let me_port = me.port;
            let query = IndexQuery {
                token: Some(token(hash).to_vec()),
                size_bytes: if size == 0 { 0..=u64::MAX } else { size..=size },
                owner_marks: [u32::from(me_port == 0)..=u32::MAX, 0..=u32::MAX],
                wanted: usize::try_from(left).unwrap_or(0),
                ..IndexQuery::default()
            };
            if self.ask_elsewhere(conn, query, Found::Resume, tickets, out) {
                return;
            }
        }
        out.send_to(conn, ToClient::ResumeEnd {}.into());
    }

    pub(super) fn on_browse(&mut self, conn: ConnId, nick: &Word, max: Option<u32>, cx: &Context<'_>, tickets: &mut u64, out: &mut Out) {
        if !self.may_search(conn, cx, out) {
            return out.send_to(conn, ToClient::BrowseEnd { nick: nick.clone(), ip: None }.into());
        }
        let max = max.filter(|&max| max > 0).unwrap_or(u32::MAX).min(self.config.browse_max);
        if self.visitors.find(nick.bytes()).is_none() {
            let (owner, wanted) = (Some(name_of(nick.bytes())), usize::try_from(max).unwrap_or(0));
            let query = IndexQuery { owner, wanted, ..IndexQuery::default() };
            if self.ask_elsewhere(conn, query, Found::Browse(nick.0.clone()), tickets, out) {
                return;
            }
        }
        let Some((ip, user)) = self.visitors.find(nick.bytes()).and_then(|sharer| self.visitors.known(sharer)) else {
            out.send_to(conn, ToClient::UserOff { nick: nick.clone() }.into());
            return out.send_to(conn, ToClient::BrowseEnd { nick: nick.clone(), ip: None }.into());
        };
        let ours = self.user(conn).map(|me| me.client.clone()).unwrap_or_default();
        // A list that does not fit into what the other end has room for is cut.
        let mut room = cx.room(conn);
        let files = user.owner.into_iter().flat_map(|owner| self.catalogue.files(owner)).take(usize::try_from(max).unwrap_or(0));
        for file in files {
            let entry = ToClient::BrowseEntry {
                nick: user.nick.clone().into(),
                path: file.path().into(),
                hash: word(&file.token()),
                size: size_for(ours.bytes(), file.size_bytes),
                bitrate: file.bitrate_kbps,
                frequency: Hertz(file.frequency_hz),
                seconds: file.seconds,
            };
            room = room.saturating_sub(entry.wire_bytes());
            if room == 0 {
                out.note(NoteLevel::Drop, "slow_reader", None, "");
                break;
            }
            out.send_to(conn, entry.into());
        }
        out.send_to(conn, ToClient::BrowseEnd { nick: user.nick.clone().into(), ip: Some(ip) }.into());
    }
}

/// A hash as a field; one that was never given has a word all the same.
pub(super) fn word(token: &[u8]) -> Word {
    if token.is_empty() { "00000000000000000000000000000000".into() } else { token.into() }
}

fn collect(text: &[u8], words: &mut Vec<String>) {
    words_of(text, |word| {
        words.push(word.to_owned());
        words.len() < 64
    });
}
