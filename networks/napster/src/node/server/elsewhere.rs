//! A catalogue that several servers share: what our users have is put into it, what is elsewhere is found by it, and letters go through it.
//!
//! Our own index stays the first to be asked, and the only one while the shared catalogue is away. Changes are put in by batches, one after the
//! other; whatever fails is answered by entering everything again, since nobody knows what of it has come about. A user who shares faster than
//! the catalogue takes it falls behind, and is entered as a whole when it has caught up.

use std::collections::VecDeque;

use hexad_catalogue::{Kind, NewFile};
use hexad_core::{Answer, Ask, ConnId, Context, IndexDeed, IndexFile, IndexHit, IndexOwner, IndexQuery, Level as NoteLevel, Set, Span};

use super::accounts::key_of;
use super::files::{Found, size_for, word};
use super::login::Asked;
use super::{Out, Server, ServerTimer};
use crate::node::Timer;
use crate::wire::{Card, Hertz, Ip, Letter, Search, Text, ToClient, ToServer};

/// How long we wait for letters before we ask again.
const LETTERS_PATIENCE: Span = Span::from_secs(10);
const PAUSE_MIN: Span = Span::from_secs(1);
const PAUSE_MAX: Span = Span::from_secs(30);

/// Bounds of what goes through a shared catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedConfig {
    /// Changes that wait. Whose files find no room falls behind.
    pub waiting_max: usize,
    /// Changes that are put in at a time.
    pub batch_max: usize,
    /// Questions at a time; when there are more, only our own index is asked.
    pub questions_max: usize,
    /// A question takes no longer.
    pub deadline: Span,
}

impl Default for SharedConfig {
    fn default() -> Self {
        Self { waiting_max: 50_000, batch_max: 1000, questions_max: 256, deadline: Span::from_secs(5) }
    }
}

/// What waits for the shared catalogue.
#[derive(Debug, Default)]
pub(super) struct Elsewhere {
    waiting: VecDeque<IndexDeed>,
    /// A batch is being put in, or a pause is being made.
    busy: bool,
    /// Who has left, of the batch that is being put in.
    leaving: Vec<IndexDeed>,
    /// Users who are to be entered as a whole.
    behind: Set<ConnId>,
    pause: Span,
    /// Questions that are being answered.
    pub(super) asking: usize,
}

/// By which name the others know a user.
pub(super) fn name_of(nick: &[u8]) -> String {
    String::from_utf8_lossy(key_of(nick).bytes()).into_owned()
}

fn number_of(kind: Kind) -> u32 {
    Kind::ALL.iter().zip(0..).find(|(other, _)| **other == kind).map_or(0, |(_, number)| number)
}

impl Server {
    fn shares(&self) -> bool {
        self.config.shared.is_some()
    }

    pub(super) fn card(&self, conn: ConnId) -> Option<Card> {
        let (ip, user) = self.visitors.known(conn)?;
        Some(Card { nick: user.nick.clone(), ip, port: user.port, speed: user.speed, client: user.client.clone() })
    }

    fn index_owner(&self, conn: ConnId) -> Option<IndexOwner> {
        let card = self.card(conn)?;
        let marks = [card.port.into(), card.speed];
        Some(IndexOwner { name: name_of(card.nick.bytes()), machine: 0, marks, card: card.write() })
    }

    /// Lets letters come; called once.
    pub(super) fn begin_to_share(&mut self, tickets: &mut u64, out: &mut Out) {
        if self.shares() {
            self.ask(Ask::Letters(LETTERS_PATIENCE), Asked::Letters, tickets, out);
        }
    }

    /// A user is here: all others shall know.
    pub(super) fn enter(&mut self, conn: ConnId) {
        if self.shares()
            && let Some(owner) = self.index_owner(conn)
        {
            self.elsewhere.waiting.push_back(IndexDeed::Enter(owner));
        }
    }

    /// What others must know of a user is no longer what it was.
    pub(super) fn change(&mut self, conn: ConnId) {
        if self.shares()
            && let Some(owner) = self.index_owner(conn)
        {
            self.elsewhere.waiting.push_back(IndexDeed::Change(owner));
        }
    }

    /// A user is gone.
    pub(super) fn leave_elsewhere(&mut self, conn: ConnId, nick: &Text) {
        if self.shares() {
            self.elsewhere.behind.remove(&conn);
            self.elsewhere.waiting.push_back(IndexDeed::Leave(name_of(nick.bytes())));
        }
    }

    /// A user's files are others.
    pub(super) fn put_in(&mut self, conn: ConnId, deed: impl FnOnce(String) -> IndexDeed) {
        let Some(shared) = &self.config.shared else { return };
        let Some(user) = self.visitors.user(conn) else { return };
        if self.elsewhere.behind.contains(&conn) {
            return;
        }
        if self.elsewhere.waiting.len() >= shared.waiting_max {
            self.elsewhere.behind.insert(conn);
        } else {
            self.elsewhere.waiting.push_back(deed(name_of(user.nick.bytes())));
        }
    }

    pub(super) fn tell(&mut self, machine: u64, letter: &Letter) {
        if self.shares() {
            self.elsewhere.waiting.push_back(IndexDeed::Tell(machine, letter.write()));
        }
    }

    pub(super) fn index_file(&self, file: &NewFile<'_>) -> IndexFile {
        IndexFile {
            name: file.path.to_vec(),
            words: self.catalogue.words_of(file.path),
            token: file.token.to_vec(),
            size_bytes: file.size_bytes,
            marks: [file.bitrate_kbps, file.frequency_hz, file.seconds, number_of(file.kind)],
        }
    }

    /// Puts in the next batch, if there is something and nothing is under way. Called after every input.
    pub(crate) fn put_in_next(&mut self, tickets: &mut u64, out: &mut Out) {
        let Some(batch_max) = self.config.shared.as_ref().map(|shared| shared.batch_max) else { return };
        if self.elsewhere.busy {
            return;
        }
        if self.elsewhere.waiting.is_empty()
            && let Some(conn) = self.elsewhere.behind.pop_first()
        {
            self.enter_as_a_whole(conn);
        }
        let Self { elsewhere, .. } = self;
        let count = elsewhere.waiting.len().min(batch_max);
        if count == 0 {
            return;
        }
        let batch: Vec<IndexDeed> = elsewhere.waiting.drain(..count).collect();
        elsewhere.leaving = batch.iter().filter(|deed| matches!(deed, IndexDeed::Leave(_))).cloned().collect();
        elsewhere.busy = true;
        self.ask(Ask::Index(batch), Asked::Deeds, tickets, out);
    }

    fn enter_as_a_whole(&mut self, conn: ConnId) {
        let Some(owner) = self.index_owner(conn) else { return };
        let name = owner.name.clone();
        self.elsewhere.waiting.push_back(IndexDeed::Enter(owner));
        let Some(id) = self.user(conn).and_then(|user| user.owner) else { return };
        let files: Vec<IndexFile> = self
            .catalogue
            .files(id)
            .map(|file| {
                let (path, token) = (file.path(), file.token());
                self.index_file(&NewFile {
                    path: &path,
                    token: &token,
                    size_bytes: file.size_bytes,
                    bitrate_kbps: file.bitrate_kbps,
                    frequency_hz: file.frequency_hz,
                    seconds: file.seconds,
                    kind: file.kind,
                })
            })
            .collect();
        self.elsewhere.waiting.extend(files.into_iter().map(|file| IndexDeed::Add(name.clone(), file)));
    }

    /// A batch was put in, or not.
    pub(super) fn on_deeds(&mut self, failed: bool, cx: &Context<'_>, out: &mut Out) {
        let Self { elsewhere, visitors, .. } = self;
        if !failed {
            elsewhere.busy = false;
            elsewhere.pause = Span::ZERO;
            return;
        }
        // Who has left must not stay in the catalogue, and everybody else is entered again.
        let left = std::mem::take(&mut elsewhere.leaving).into_iter();
        elsewhere.waiting = left.chain(elsewhere.waiting.drain(..).filter(|deed| matches!(deed, IndexDeed::Leave(_)))).collect();
        elsewhere.behind = visitors.logged_in().collect();
        elsewhere.pause = (elsewhere.pause * 2).clamp(PAUSE_MIN, PAUSE_MAX);
        out.wake(cx.now + elsewhere.pause, Timer::Server(ServerTimer::Share));
    }

    /// The server stops: nobody of ours is to be found any longer.
    pub(super) fn leave_all(&mut self, tickets: &mut u64, out: &mut Out) {
        if self.shares() {
            let gone = self.visitors.logged_in().filter_map(|conn| self.user(conn)).map(|user| name_of(user.nick.bytes()));
            let deeds = gone.map(IndexDeed::Leave).collect();
            self.ask(Ask::Index(deeds), Asked::Deeds, tickets, out);
        }
    }

    pub(super) fn go_on_sharing(&mut self) {
        self.elsewhere.busy = false;
    }

    /// Letters have come, or none.
    pub(super) fn on_letters(&mut self, answer: Answer, cx: &Context<'_>, tickets: &mut u64, out: &mut Out) {
        let Answer::Letters(letters) = answer else {
            return out.wake(cx.now + PAUSE_MIN * 2, Timer::Server(ServerTimer::Letters));
        };
        for (machine, letter) in letters {
            match Letter::read(&letter) {
                Some(letter) => self.on_letter(machine, letter, cx, out),
                None => out.note(NoteLevel::Drop, "letter_unreadable", None, ""),
            }
        }
        self.begin_to_share(tickets, out);
    }

    /// Whether one more question may be put to the shared catalogue.
    pub(super) fn may_ask_elsewhere(&self) -> bool {
        self.config.shared.as_ref().is_some_and(|shared| self.elsewhere.asking < shared.questions_max)
    }

    /// Asks for what others have, when it is allowed. Returns whether an answer will come.
    pub(super) fn ask_elsewhere(&mut self, conn: ConnId, query: IndexQuery, found: Found, tickets: &mut u64, out: &mut Out) -> bool {
        let Some(shared) = &self.config.shared else { return false };
        let busy = self.user(conn).is_none_or(|user| user.searching);
        if query.wanted == 0 || busy || !self.may_ask_elsewhere() {
            return false;
        }
        let query = IndexQuery { elsewhere: true, deadline: shared.deadline, ..query };
        if let Some(user) = self.visitors.user_mut(conn) {
            user.searching = true;
        }
        self.elsewhere.asking += 1;
        self.ask(Ask::Query(Box::new(query)), Asked::Found(conn, found), tickets, out);
        true
    }

    /// What others have has come.
    pub(super) fn on_found(&mut self, conn: ConnId, found: &Found, answer: Answer, out: &mut Out) {
        self.elsewhere.asking = self.elsewhere.asking.saturating_sub(1);
        let Some(user) = self.visitors.user_mut(conn) else { return };
        user.searching = false;
        let client = user.client.clone();
        let hits = if let Answer::Found(hits) = answer { hits } else { Vec::new() };
        let mut place: Option<Ip> = None;
        for hit in hits {
            let Some(card) = Card::read(&hit.owner.card) else {
                out.note(NoteLevel::Drop, "card_unreadable", None, "");
                continue;
            };
            place = Some(card.ip);
            out.send_to(conn, found.message(&client, card, hit).into());
        }
        out.send_to(conn, found.end(place).into());
    }

    /// What of a search is asked elsewhere.
    pub(super) fn query_elsewhere(&self, conn: ConnId, search: &Search, query: &hexad_catalogue::Query, wanted: usize) -> IndexQuery {
        let filter = &query.filter;
        let kind = filter.kind.map(number_of);
        let reachable = if self.user(conn).is_some_and(|me| me.port == 0) { 1 } else { 0 };
        IndexQuery {
            words: query.words.clone(),
            without: query.without.clone(),
            size_bytes: filter.size_bytes.clone(),
            file_marks: [
                filter.bitrate_kbps.clone(),
                filter.frequency_hz.clone(),
                filter.seconds.clone(),
                kind.map_or(0..=u32::MAX, |kind| kind..=kind),
            ],
            owner_marks: [reachable..=u32::MAX, search.speeds()],
            wanted,
            ..IndexQuery::default()
        }
    }
}

impl Found {
    /// One answer, as `client` can read it.
    fn message(&self, client: &Text, card: Card, hit: IndexHit) -> ToClient {
        let IndexFile { name, token, size_bytes, marks: [bitrate, frequency, seconds, _], .. } = hit.file;
        let (path, hash, size) = (name.into(), word(&token), size_for(client.bytes(), size_bytes));
        let Card { nick, ip, port, speed, .. } = card;
        let (nick, frequency) = (nick.into(), Hertz(frequency));
        match self {
            Self::Search => ToClient::SearchResult { path, hash, size, bitrate, frequency, seconds, nick, ip, speed, weight: None },
            Self::Resume => ToClient::ResumeResult { nick, ip, port: port.into(), path, hash, size, speed },
            Self::Browse(_) => ToClient::BrowseEntry { nick, path, hash, size, bitrate, frequency, seconds },
        }
    }

    fn end(&self, ip: Option<Ip>) -> ToClient {
        match self {
            Self::Search => ToClient::SearchEnd {},
            Self::Resume => ToClient::ResumeEnd {},
            Self::Browse(nick) => ToClient::BrowseEnd { nick: nick.clone().into(), ip },
        }
    }
}

/// Whom a message is about, when it may be somebody who is logged in at another server.
pub(super) fn about(message: &ToServer) -> Option<&[u8]> {
    match message {
        ToServer::Download { nick, .. }
        | ToServer::Push { nick, .. }
        | ToServer::PrivateMessage { nick, .. }
        | ToServer::Ping { nick }
        | ToServer::Pong { nick }
        | ToServer::DataPortError { nick }
        | ToServer::DirectBrowse { nick }
        | ToServer::DirectBrowseAccept { nick }
        | ToServer::DirectBrowseError { nick, .. }
        | ToServer::SpeedAsk { nick }
        | ToServer::Whois { nick } => Some(nick.bytes()),
        _ => None,
    }
}
