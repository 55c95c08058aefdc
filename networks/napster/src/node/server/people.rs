//! People: who is there, who wants to know, and what they say to each other.

use hexad_core::{ConnId, Context, Level as NoteLevel, Set};

use super::accounts::{Account, key_of};
use super::login::Asked;
use super::{Level, Out, Server, error, whisper};
use crate::wire::{Line, Text, ToClient, ToServer, Word};

impl Server {
    pub(super) fn on_people(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, out: &mut Out) {
        match message {
            ToServer::PrivateMessage { nick, text } => self.on_private_message(conn, &nick, &text, cx, out),
            ToServer::HotlistAdd { nick } | ToServer::HotlistAddEarly { nick } => self.on_hotlist_add(conn, nick, out),
            ToServer::HotlistRemove { nick } => {
                let key = key_of(nick.bytes());
                if self.visitors.user_mut(conn).is_some_and(|user| user.hotlist.remove(&key)) {
                    self.unwatch(&key, conn);
                }
            }
            ToServer::SpeedAsk { nick } => match self.visitors.find(nick.bytes()).and_then(|other| self.user(other)) {
                Some(user) => out.send_to(conn, ToClient::Speed { nick: user.nick.clone().into(), speed: user.speed }.into()),
                None => error(conn, "User is not currently online.", out),
            },
            ToServer::ChangeSpeed { speed } => {
                if let Some(user) = self.visitors.user_mut(conn).filter(|_| speed <= 10) {
                    user.speed = speed;
                    self.tell_sharer(conn);
                    self.change(conn);
                } else {
                    error(conn, "invalid speed", out);
                }
            }
            ToServer::ChangeDataPort { port } => {
                if let Some(user) = self.visitors.user_mut(conn) {
                    user.port = port;
                    self.tell_sharer(conn);
                    self.change(conn);
                }
            }
            ToServer::ServerPing { .. } => {
                out.send_to(conn, ToClient::ServerPing { text: format!("{} ", self.config.name).into() }.into());
            }
            ToServer::Ping { nick } | ToServer::Pong { nick } if !self.may_talk(conn, cx, out) => drop(nick),
            ToServer::Ping { nick } => self.pass_on(conn, &nick, |nick| ToClient::Ping { nick }, cx, out),
            ToServer::Pong { nick } => self.pass_on(conn, &nick, |nick| ToClient::Pong { nick }, cx, out),
            ToServer::IgnoreList {} | ToServer::IgnoreAdd { .. } | ToServer::IgnoreRemove { .. } | ToServer::IgnoreClear {} => {
                self.on_ignore(conn, message, out);
            }
            ToServer::ServerUsage {} => {
                let usage = self.catalogue.usage();
                let text = format!(
                    "{} 0 {} {} {} {} {} {} 0 0 0 0 0 0 0 0 0",
                    self.visitors.users(),
                    self.visitors.users(),
                    usage.files,
                    usage.file_bytes >> 30,
                    self.channels.len(),
                    self.started_unix_s,
                    cx.unix_s().saturating_sub(self.started_unix_s),
                );
                out.send_to(conn, ToClient::ServerUsage { text: text.into() }.into());
            }
            _ => {}
        }
    }

    /// Whether a user may say something to others; if not, he is told why.
    pub(super) fn may_talk(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) -> bool {
        let (rate, burst) = (self.config.talk_per_minute, self.config.talk_burst);
        let Some(user) = self.visitors.user_mut(conn) else { return false };
        let why = if user.muzzled {
            "you have been muzzled"
        } else if user.level < Level::Moderator && !user.talk.take(rate, burst, cx.now) {
            "you say too much, wait a while"
        } else {
            return true;
        };
        out.note(NoteLevel::Drop, "too_much_talk", None, "");
        error(conn, why, out);
        false
    }

    /// What may be passed on of a text.
    pub(super) fn cut(&self, text: &Text) -> Text {
        let bytes = text.bytes();
        bytes[..bytes.len().min(self.config.talk_bytes_max)].into()
    }

    /// Whether `to` wants to hear nothing of `from`.
    pub(super) fn ignores(&self, to: ConnId, from: &Text) -> bool {
        self.user(to).is_some_and(|user| user.ignored.contains(&key_of(from.bytes())))
    }

    fn on_private_message(&mut self, conn: ConnId, nick: &Word, text: &Line, cx: &Context<'_>, out: &mut Out) {
        if !self.may_talk(conn, cx, out) {
            return;
        }
        let Some(other) = self.visitors.find(nick.bytes()) else { return error(conn, "User is not currently online.", out) };
        let from = self.nick_of(conn);
        if !self.ignores(other, &from.0) {
            let text = self.cut(&text.0).into();
            whisper(other, ToClient::PrivateMessage { nick: from, text }, cx, out);
        }
    }

    fn pass_on(&mut self, conn: ConnId, nick: &Word, make: impl FnOnce(Word) -> ToClient, cx: &Context<'_>, out: &mut Out) {
        let Some(other) = self.visitors.find(nick.bytes()) else { return error(conn, "User is not currently online.", out) };
        let from = self.nick_of(conn);
        if !self.ignores(other, &from.0) {
            whisper(other, make(from), cx, out);
        }
    }

    fn on_hotlist_add(&mut self, conn: ConnId, nick: Word, out: &mut Out) {
        let max = self.config.list_max;
        let key = key_of(nick.bytes());
        let Some(user) = self.visitors.user_mut(conn) else { return };
        let fits = nick.bytes().len() <= 64 && (user.hotlist.len() < max || user.hotlist.contains(&key));
        if !fits {
            return out.send_to(conn, ToClient::HotlistError { nick }.into());
        }
        user.hotlist.insert(key.clone());
        self.watchers.entry(key).or_default().insert(conn);
        out.send_to(conn, ToClient::HotlistOk { nick: nick.clone() }.into());
        if let Some(other) = self.visitors.find(nick.bytes()).and_then(|other| self.user(other)) {
            out.send_to(conn, ToClient::UserOn { nick: other.nick.clone().into(), speed: other.speed }.into());
        }
    }

    pub(super) fn unwatch(&mut self, key: &Text, conn: ConnId) {
        if let Some(watchers) = self.watchers.get_mut(key) {
            watchers.remove(&conn);
            if watchers.is_empty() {
                self.watchers.remove(key);
            }
        }
    }

    /// Tells those who want to know that somebody has come or gone.
    pub(super) fn tell_watchers(&self, nick: &Text, message: &ToClient, cx: &Context<'_>, out: &mut Out) {
        for &conn in self.watchers.get(&key_of(nick.bytes())).into_iter().flatten() {
            whisper(conn, message.clone(), cx, out);
        }
    }

    fn on_ignore(&mut self, conn: ConnId, message: ToServer, out: &mut Out) {
        let max = self.config.list_max;
        let Some(user) = self.visitors.user_mut(conn) else { return };
        let count = |ignored: &Set<Text>| Some(u32::try_from(ignored.len()).unwrap_or(u32::MAX));
        match message {
            ToServer::IgnoreList {} => {
                for nick in &user.ignored {
                    out.send_to(conn, ToClient::IgnoreEntry { nick: nick.clone().into() }.into());
                }
                out.send_to(conn, ToClient::IgnoreEnd { count: count(&user.ignored) }.into());
            }
            ToServer::IgnoreAdd { nick } => {
                if user.ignored.len() >= max || nick.bytes().len() > 64 {
                    return error(conn, "your ignore list is full", out);
                }
                let added = user.ignored.insert(key_of(nick.bytes()));
                out.send_to(conn, if added { ToClient::IgnoreAdded { nick } } else { ToClient::AlreadyIgnored { nick } }.into());
            }
            ToServer::IgnoreRemove { nick } => {
                let removed = user.ignored.remove(&key_of(nick.bytes()));
                out.send_to(conn, if removed { ToClient::IgnoreRemoved { nick } } else { ToClient::NotIgnored { nick } }.into());
            }
            ToServer::IgnoreClear {} => {
                let cleared = ToClient::IgnoreCleared { count: count(&user.ignored) };
                user.ignored.clear();
                out.send_to(conn, cleared.into());
            }
            _ => {}
        }
    }

    pub(super) fn on_whois(&mut self, conn: ConnId, nick: Word, cx: &Context<'_>, tickets: &mut u64, out: &mut Out) {
        let Some((ip, user)) = self.visitors.find(nick.bytes()).and_then(|other| self.visitors.known(other)) else {
            if self.asked.len() < self.config.questions_max {
                self.load_account(nick.bytes(), Asked::Whowas(conn, nick.0.clone()), tickets, out);
            } else {
                error(conn, "User is not currently online.", out);
            }
            return;
        };
        let channels: String = user.channels.iter().map(|channel| format!("{channel} ")).collect();
        let mut more = Vec::new();
        if self.user(conn).is_some_and(|me| me.level >= Level::Moderator) {
            let email = user.account.as_ref().map(|account| account.email.clone()).unwrap_or_default();
            let number = u32::from_le_bytes(ip.0.octets()).to_string();
            more =
                [user.downloads.to_string(), user.uploads.to_string(), number, "0".into(), user.port.to_string()].map(Word::from).to_vec();
            more.push(email.into());
        }
        let answer = ToClient::WhoisAnswer {
            nick: user.nick.clone().into(),
            level: user.level.name().into(),
            seconds: cx.now.since(user.since).as_secs(),
            channels: if channels.is_empty() { " ".into() } else { channels.into() },
            status: "Active".into(),
            shared: self.shared_by(user.owner),
            downloads: user.downloading,
            uploads: user.uploading,
            speed: user.speed,
            client: user.client.clone().into(),
            more,
        };
        out.send_to(conn, answer.into());
    }

    pub(super) fn on_whowas(&mut self, conn: ConnId, nick: &Text, account: Option<&Account>, out: &mut Out) {
        if !self.knows(conn) {
            return;
        }
        match account {
            Some(account) => {
                let answer =
                    ToClient::Whowas { nick: account.nick.clone().into(), level: account.level.name().into(), lastseen: account.seen };
                out.send_to(conn, answer.into());
            }
            None => {
                error(conn, format!("user {nick} is not a known user"), out);
                error(conn, "User is not currently online.", out);
            }
        }
    }
}
