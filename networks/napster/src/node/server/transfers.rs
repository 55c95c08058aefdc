//! Bringing two users together: who wants which file of whom, and who has to connect to whom.

use hexad_core::{ConnId, Context, Map, Time};

use super::accounts::key_of;
use super::files::word;
use super::{Out, Server, ServerTimer, error, whisper};
use crate::node::Timer;
use crate::wire::{Card, Ip, Letter, Quoted, Text, ToClient, ToServer, Word};

/// Who asks for a file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Asker {
    /// Somebody of ours.
    Here(ConnId),
    /// Somebody of another server, by his name in lower case.
    There(Text),
}

/// A request for a file that its owner has not answered.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) since: Time,
    /// The downloader asked to be connected to.
    pub(super) push: bool,
    /// The downloader's server, and what it says of him.
    pub(super) far: Option<Box<(u64, Card)>>,
}

/// Requests that wait, by owner, asker and path.
#[derive(Debug, Default)]
pub(super) struct Promises {
    all: Map<(ConnId, Asker, Text), Promise>,
    by_asker: Map<Asker, usize>,
    watched: bool,
}

impl Promises {
    fn add(&mut self, owner: ConnId, asker: Asker, path: Text, promise: Promise) {
        if self.all.insert((owner, asker.clone(), path), promise).is_none() {
            *self.by_asker.entry(asker).or_insert(0) += 1;
        }
    }

    fn take(&mut self, owner: ConnId, asker: &Asker, path: &Text) -> Option<Promise> {
        let promise = self.all.remove(&(owner, asker.clone(), path.clone()))?;
        self.uncount(asker);
        Some(promise)
    }

    fn uncount(&mut self, asker: &Asker) {
        if let Some(count) = self.by_asker.get_mut(asker) {
            *count -= 1;
            if *count == 0 {
                self.by_asker.remove(asker);
            }
        }
    }

    fn take_all(&mut self, which: impl Fn(ConnId, &Asker, &Promise) -> bool) -> Vec<((ConnId, Asker, Text), Promise)> {
        let gone: Vec<_> = self.all.extract_if(.., |(owner, asker, _), promise| which(*owner, asker, promise)).collect();
        for ((_, asker, _), _) in &gone {
            self.uncount(asker);
        }
        gone
    }
}

impl Server {
    pub(super) fn on_transfer(&mut self, conn: ConnId, message: ToServer, cx: &Context<'_>, out: &mut Out) {
        match message {
            ToServer::Download { nick, path } => self.on_download(conn, &nick, path, cx, out),
            ToServer::Push { nick, path } => self.on_push(conn, &nick, path, cx, out),
            ToServer::UploadAccept { nick, path } => self.on_accept(conn, &nick, path, cx, out),
            ToServer::UploadRefuse { nick, path } => {
                if let Some((asker, promise)) = self.asker(conn, &nick, &path) {
                    let nick = self.nick_of(conn);
                    self.answer_asker(&asker, &promise, ToClient::GetError { nick, path }, cx, out);
                }
            }
            ToServer::QueueLimit { nick, path, limit } => {
                if let Some((asker, promise)) = self.asker(conn, &nick, &path) {
                    let size = self.file_of(conn, &path).map_or(0, |(_, size)| size);
                    let nick = self.nick_of(conn);
                    self.answer_asker(&asker, &promise, ToClient::QueueLimit { nick, path, size, limit }, cx, out);
                }
            }
            ToServer::DataPortError { nick } => {
                if let Some(other) = self.visitors.find(nick.bytes()) {
                    let nick = self.nick_of(conn);
                    whisper(other, ToClient::DataPortError { nick }, cx, out);
                }
            }
            ToServer::DirectBrowse { nick } => self.on_direct_browse(conn, nick, cx, out),
            ToServer::DirectBrowseAccept { nick } => {
                let (Some(other), Some((ip, user))) = (self.visitors.find(nick.bytes()), self.visitors.known(conn)) else { return };
                let ack = ToClient::DirectBrowseAck { nick: user.nick.clone().into(), ip, port: user.port.into() };
                whisper(other, ack, cx, out);
            }
            ToServer::DirectBrowseError { nick, text } => {
                if let Some(other) = self.visitors.find(nick.bytes()) {
                    let nick = self.nick_of(conn);
                    whisper(other, ToClient::DirectBrowseError { nick, text }, cx, out);
                }
            }
            other => {
                let Some(user) = self.visitors.user_mut(conn) else { return };
                match other {
                    ToServer::DownloadStart {} => {
                        user.downloading = user.downloading.saturating_add(1);
                        user.downloads = user.downloads.saturating_add(1);
                    }
                    ToServer::DownloadEnd {} => user.downloading = user.downloading.saturating_sub(1),
                    ToServer::UploadStart {} => {
                        user.uploading = user.uploading.saturating_add(1);
                        user.uploads = user.uploads.saturating_add(1);
                    }
                    ToServer::UploadEnd {} => user.uploading = user.uploading.saturating_sub(1),
                    _ => {}
                }
            }
        }
    }

    pub(super) fn nick_of(&self, conn: ConnId) -> Word {
        self.user(conn).map(|user| user.nick.clone()).unwrap_or_default().into()
    }

    /// Hash and size of a file that somebody shares.
    fn file_of(&self, conn: ConnId, path: &Quoted) -> Option<(Word, u64)> {
        let file = self.catalogue.file(self.user(conn)?.owner?, path.bytes())?;
        Some((word(&file.token()), file.size_bytes))
    }

    /// Who waits for that file of `owner`; he waits no longer.
    fn asker(&mut self, owner: ConnId, nick: &Word, path: &Quoted) -> Option<(Asker, Promise)> {
        let here = self.visitors.find(nick.bytes()).map(Asker::Here);
        let there = Asker::There(key_of(nick.bytes()));
        here.into_iter().chain([there]).find_map(|asker| self.promises.take(owner, &asker, &path.0).map(|promise| (asker, promise)))
    }

    /// Tells who waits for a file what has become of it.
    fn answer_asker(&mut self, asker: &Asker, promise: &Promise, message: ToClient, cx: &Context<'_>, out: &mut Out) {
        match (asker, &promise.far) {
            (Asker::Here(conn), _) => whisper(*conn, message, cx, out),
            (Asker::There(name), Some(far)) => {
                let letter = Letter::Deliver { to: name.clone(), from: Text::default(), message };
                self.tell(far.0, &letter);
            }
            (Asker::There(_), None) => {}
        }
    }

    fn on_download(&mut self, conn: ConnId, nick: &Word, path: Quoted, cx: &Context<'_>, out: &mut Out) {
        let owner = self.visitors.find(nick.bytes()).filter(|&owner| owner != conn);
        let Some((owner, (ip, user))) = owner.and_then(|owner| Some((owner, self.visitors.known(owner)?))) else {
            return out.send_to(conn, ToClient::GetError { nick: nick.clone(), path }.into());
        };
        if user.port != 0 {
            return self.promise(owner, Asker::Here(conn), path, Promise { since: cx.now, push: false, far: None }, cx, out);
        }
        // Who cannot be reached is asked to push.
        let hash = self.file_of(owner, &path).map_or_else(|| word(b""), |(hash, _)| hash);
        let ack = ToClient::DownloadAck { nick: user.nick.clone().into(), ip, port: 0, path, hash, speed: user.speed };
        out.send_to(conn, ack.into());
    }

    fn on_push(&mut self, conn: ConnId, nick: &Word, path: Quoted, cx: &Context<'_>, out: &mut Out) {
        let owner = self.visitors.find(nick.bytes()).filter(|&owner| owner != conn);
        let Some((owner, (ip, user))) = owner.and_then(|owner| Some((owner, self.visitors.known(owner)?))) else {
            return out.send_to(conn, ToClient::GetError { nick: nick.clone(), path }.into());
        };
        if user.port != 0 {
            return error(conn, format!("{} is not firewalled", user.nick), out);
        }
        if self.user(conn).is_some_and(|me| me.port == 0) {
            let hash = "firewallerror".into();
            let ack = ToClient::DownloadAck { nick: user.nick.clone().into(), ip, port: 0, path, hash, speed: user.speed };
            return out.send_to(conn, ack.into());
        }
        self.promise(owner, Asker::Here(conn), path, Promise { since: cx.now, push: true, far: None }, cx, out);
    }

    /// Passes a request on to the owner of a file. What he has shared is his own to check: the index may not know what a direct browse showed.
    pub(super) fn promise(&mut self, owner: ConnId, asker: Asker, path: Quoted, promise: Promise, cx: &Context<'_>, out: &mut Out) {
        let waiting = self.promises.by_asker.get(&asker).copied().unwrap_or(0);
        if waiting >= self.config.requests_max || cx.room(owner) == 0 {
            if let Asker::Here(conn) = asker {
                error(conn, "too many requests for files at once", out);
            }
            let nick = self.nick_of(owner);
            return self.answer_asker(&asker, &promise, ToClient::GetError { nick, path }, cx, out);
        }
        let nick = match (&asker, &promise.far) {
            (Asker::Here(conn), _) => self.nick_of(*conn),
            (Asker::There(_), Some(far)) => far.1.nick.clone().into(),
            (Asker::There(name), None) => name.clone().into(),
        };
        self.promises.add(owner, asker, path.0.clone(), promise);
        if !self.promises.watched {
            self.promises.watched = true;
            out.wake(cx.now + self.config.request_deadline, Timer::Server(ServerTimer::Requests));
        }
        out.send_to(owner, ToClient::UploadRequest { nick, path, speed: None }.into());
    }

    fn on_accept(&mut self, conn: ConnId, nick: &Word, path: Quoted, cx: &Context<'_>, out: &mut Out) {
        let Some((asker, promise)) = self.asker(conn, nick, &path) else {
            return out.note(hexad_core::Level::Drop, "accept_nobody_asked", None, "");
        };
        let hash = self.file_of(conn, &path).map_or_else(|| word(b""), |(hash, _)| hash);
        let card = match (&asker, &promise.far) {
            (Asker::Here(asker), _) => self.card(*asker),
            (Asker::There(_), far) => far.as_ref().map(|far| far.1.clone()),
        };
        let (Some((owner_ip, owner)), Some(card)) = (self.visitors.known(conn), card) else { return };
        if promise.push || owner.port == 0 {
            let Card { nick, ip, port, speed, .. } = card;
            out.send_to(conn, ToClient::PushOrder { nick: nick.into(), ip, port: port.into(), path, hash, speed }.into());
        } else {
            let (nick, port, speed) = (owner.nick.clone().into(), owner.port.into(), owner.speed);
            let ack = ToClient::DownloadAck { nick, ip: owner_ip, port, path, hash, speed };
            self.answer_asker(&asker, &promise, ack, cx, out);
        }
    }

    fn on_direct_browse(&mut self, conn: ConnId, nick: Word, cx: &Context<'_>, out: &mut Out) {
        let (Some(other), Some((ip, me))) = (self.visitors.find(nick.bytes()), self.visitors.known(conn)) else {
            return out.send_to(conn, ToClient::DirectBrowseError { nick, text: "user is not online".into() }.into());
        };
        // Only who must connect himself has to know where to.
        let firewalled = self.user(other).is_some_and(|user| user.port == 0);
        let (ip, port): (Option<Ip>, Option<u32>) = if firewalled { (Some(ip), Some(me.port.into())) } else { (None, None) };
        whisper(other, ToClient::DirectBrowse { nick: me.nick.clone().into(), ip, port }, cx, out);
    }

    /// Somebody has gone: who waits for his files is told so.
    pub(super) fn break_promises(&mut self, conn: ConnId, nick: &Text, cx: &Context<'_>, out: &mut Out) {
        for ((owner, asker, path), promise) in self.promises.take_all(|owner, asker, _| owner == conn || *asker == Asker::Here(conn)) {
            if owner == conn {
                let message = ToClient::GetError { nick: nick.clone().into(), path: path.into() };
                self.answer_asker(&asker, &promise, message, cx, out);
            }
        }
    }

    pub(super) fn look_at_promises(&mut self, cx: &Context<'_>, out: &mut Out) {
        let deadline = self.config.request_deadline;
        for ((owner, asker, path), promise) in self.promises.take_all(|_, _, promise| cx.now.since(promise.since) >= deadline) {
            let nick = self.nick_of(owner);
            self.answer_asker(&asker, &promise, ToClient::GetError { nick, path: path.into() }, cx, out);
        }
        self.promises.watched = !self.promises.all.is_empty();
        if let Some(oldest) = self.promises.all.values().map(|promise| promise.since).min() {
            out.wake(oldest + deadline, Timer::Server(ServerTimer::Requests));
        }
    }
}
