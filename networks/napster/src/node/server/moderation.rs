//! Keeping order: who is thrown out, let in no longer, or silenced, and who may decide that.

use std::net::IpAddr;

use hexad_core::{Ask, ConnId, Context, Level as NoteLevel, Map, Payload};

use super::accounts::{Account, BANS, key_of};
use super::login::Asked;
use super::{Level, Out, Server, error, whisper};
use crate::wire::{Text, ToClient, ToServer, Word};

/// The ban list is asked for when the server starts.
#[derive(Debug)]
pub(super) struct BanLoad;

#[derive(Clone, Debug)]
struct Ban {
    by: Text,
    reason: Text,
    at_unix_s: u64,
}

/// Names in lower case, and addresses as text, that are not let in.
#[derive(Debug, Default)]
pub(super) struct Bans(Map<Text, Ban>);

impl Bans {
    pub(super) fn covers_name(&self, nick: &[u8]) -> bool {
        !self.0.is_empty() && self.0.contains_key(&key_of(nick))
    }

    pub(super) fn covers_address(&self, address: IpAddr) -> bool {
        !self.0.is_empty() && self.0.contains_key(&Text::from(address.to_string()))
    }

    /// One line each: who, by whom, when, why; tabs between them.
    fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (who, Ban { by, reason, at_unix_s }) in &self.0 {
            let plain = |text: &Text| text.bytes().iter().map(|&byte| if byte < b' ' { b' ' } else { byte }).collect::<Vec<u8>>();
            out.extend([plain(who), plain(by), at_unix_s.to_string().into_bytes(), plain(reason)].join(&b'\t'));
            out.push(b'\n');
        }
        out
    }

    fn read(bytes: &[u8], max: usize) -> Self {
        let line = |line: &[u8]| {
            let mut parts = line.splitn(4, |&byte| byte == b'\t');
            let (who, by, at, reason) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let at_unix_s = std::str::from_utf8(at).ok()?.parse().ok()?;
            Some((who.into(), Ban { by: by.into(), reason: reason.into(), at_unix_s }))
        };
        Self(bytes.split(|&byte| byte == b'\n').filter_map(line).take(max).collect())
    }
}

impl Server {
    pub(super) fn load_bans(&mut self, tickets: &mut u64, out: &mut Out) {
        self.ask(Ask::Load(BANS, b"all".to_vec()), Asked::Bans(BanLoad), tickets, out);
    }

    pub(super) fn on_bans_loaded(&mut self, _: BanLoad, stored: Option<&Payload>, _: &mut u64, _: &mut Out) {
        if let Some(Payload::Bytes(bytes)) = stored {
            self.bans = Bans::read(bytes, self.config.bans_max);
        }
    }

    fn store_bans(&mut self, tickets: &mut u64, out: &mut Out) {
        self.ask(Ask::Store(BANS, b"all".to_vec(), Payload::Bytes(self.bans.write().into())), Asked::Kept, tickets, out);
    }

    pub(super) fn on_moderation(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        let Some((me, level)) = self.user(conn).map(|user| (user.nick.clone(), user.level)) else { return };
        let needed = match message {
            ToServer::SetLevel { .. } | ToServer::Nuke { .. } => Level::Admin,
            _ => Level::Moderator,
        };
        if level < needed {
            let what = match message {
                ToServer::SetLevel { .. } => "set user level failed: permission denied",
                ToServer::Kill { .. } => "kill failed: permission denied",
                _ => "permission denied",
            };
            out.note(NoteLevel::Drop, "permission_denied", None, "");
            return error(conn, what, out);
        }
        match message {
            ToServer::Kill { nick, reason } => {
                let Some(other) = self.below(conn, &nick, level, out) else { return };
                self.kick(other, format!("You were killed by {me}: {}", reason.0), cx, out);
                error(conn, format!("{} was killed", nick.0), out);
            }
            ToServer::Ban { who, reason } => self.on_ban(conn, who, &me, reason.0, level, cx, tickets, out),
            ToServer::Unban { who } => {
                let removed = self.bans.0.remove(&key_of(who.bytes())).is_some();
                if removed {
                    self.store_bans(tickets, out);
                }
                error(conn, format!("{} {}", who.0, if removed { "is no longer banned" } else { "was not banned" }), out);
            }
            ToServer::BanList {} => {
                for (who, Ban { by, reason, at_unix_s }) in &self.bans.0 {
                    let entry = ToClient::BanEntry {
                        who: who.clone().into(),
                        by: by.clone().into(),
                        reason: reason.clone().into(),
                        at: *at_unix_s,
                    };
                    whisper(conn, entry, cx, out);
                }
                out.send_to(conn, ToClient::BanListEnd {}.into());
            }
            ToServer::Muzzle { nick, .. } => self.set_muzzled(conn, &nick, true, level, tickets, out),
            ToServer::Unmuzzle { nick, .. } => self.set_muzzled(conn, &nick, false, level, tickets, out),
            ToServer::SetDataPort { nick, port } => {
                if let Some(other) = self.below(conn, &nick, level, out) {
                    whisper(other, ToClient::DataPortAsked { port }, cx, out);
                }
            }
            ToServer::Nuke { nick } => {
                if let Some(other) = self.visitors.find(nick.bytes()) {
                    let Some(user) = self.visitors.user_mut(other).filter(|user| user.level < level) else {
                        return error(conn, "permission denied", out);
                    };
                    user.account = None;
                    user.level = Level::User;
                }
                self.forget_account(nick.bytes(), tickets, out);
                error(conn, format!("{} is no longer registered", nick.0), out);
            }
            ToServer::SetLevel { nick, level: name } => match Level::of(name.bytes()).filter(|&wanted| wanted < level) {
                Some(wanted) => self.load_account(nick.bytes(), Asked::Promote(conn, nick.0.clone(), wanted), tickets, out),
                None => error(conn, "set user level failed: permission denied", out),
            },
            ToServer::Wallop { text } => {
                let moderators: Vec<ConnId> = self
                    .visitors
                    .logged_in()
                    .filter(|&other| self.user(other).is_some_and(|user| user.level >= Level::Moderator))
                    .collect();
                for other in moderators {
                    whisper(other, ToClient::Wallop { nick: me.clone().into(), text: text.clone() }, cx, out);
                }
            }
            ToServer::Announce { text } => {
                for other in self.visitors.logged_in() {
                    whisper(other, ToClient::Announce { nick: me.clone().into(), text: text.clone() }, cx, out);
                }
            }
            ToServer::ServerVersion {} => error(conn, format!("hexad {}", env!("CARGO_PKG_VERSION")), out),
            _ => {}
        }
    }

    /// Somebody who is there and over whom one of that level may decide.
    fn below(&self, conn: ConnId, nick: &Word, level: Level, out: &mut Out) -> Option<ConnId> {
        let other = self.visitors.find(nick.bytes());
        let Some(other) = other else {
            error(conn, "User is not currently online.", out);
            return None;
        };
        if self.user(other).is_none_or(|user| user.level >= level) {
            error(conn, "permission denied", out);
            return None;
        }
        Some(other)
    }

    #[expect(clippy::too_many_arguments, reason = "who, whom, why, and the four that every step has")]
    fn on_ban(
        &mut self,
        conn: ConnId,
        who: Word,
        me: &Text,
        reason: Text,
        level: Level,
        cx: &Context<'_>,
        tickets: &mut u64,
        out: &mut Out,
    ) {
        let address: Option<IpAddr> = who.0.shown().parse().ok();
        let there = self.visitors.find(who.bytes());
        if there.and_then(|other| self.user(other)).is_some_and(|user| user.level >= level) {
            return error(conn, "permission denied", out);
        }
        if self.bans.0.len() >= self.config.bans_max || who.bytes().len() > 64 {
            return error(conn, "the ban list is full", out);
        }
        let reason: Text = reason.bytes()[..reason.bytes().len().min(96)].into();
        let key = address.map_or_else(|| key_of(who.bytes()), |address| address.to_string().into());
        self.bans.0.insert(key, Ban { by: me.clone(), reason: reason.clone(), at_unix_s: cx.unix_s() });
        self.store_bans(tickets, out);
        let gone: Vec<ConnId> = match address {
            Some(address) => {
                let same = |other: &ConnId| self.visitors.visitor(*other).is_some_and(|visitor| visitor.address == address);
                self.visitors.conns().filter(|other| *other != conn && same(other)).collect()
            }
            None => there.into_iter().collect(),
        };
        for other in gone {
            self.kick(other, format!("You were banned by {me}: {reason}"), cx, out);
        }
        error(conn, format!("{} is banned", who.0), out);
    }

    fn set_muzzled(&mut self, conn: ConnId, nick: &Word, muzzled: bool, level: Level, tickets: &mut u64, out: &mut Out) {
        let Some(other) = self.below(conn, nick, level, out) else { return };
        let Some(user) = self.visitors.user_mut(other) else { return };
        user.muzzled = muzzled;
        if let Some(account) = &mut user.account {
            account.muzzled = muzzled;
            let account = account.clone();
            self.store(&account, tickets, out);
        }
        error(other, if muzzled { "you have been muzzled" } else { "you may speak again" }, out);
        error(conn, format!("{} was {}", nick.0, if muzzled { "muzzled" } else { "unmuzzled" }), out);
    }

    /// The account of who gets another level was loaded.
    pub(super) fn on_promote(
        &mut self,
        conn: ConnId,
        nick: &Text,
        level: Level,
        account: Option<Account>,
        tickets: &mut u64,
        out: &mut Out,
    ) {
        let mine = self.user(conn).map_or(Level::Leech, |user| user.level);
        let Some(mut account) = account else { return error(conn, format!("{nick} is not registered"), out) };
        if account.level >= mine {
            return error(conn, "set user level failed: permission denied", out);
        }
        account.level = level;
        self.store(&account, tickets, out);
        if let Some(other) = self.visitors.find(nick.bytes()) {
            if let Some(user) = self.visitors.user_mut(other) {
                user.level = level;
                user.account = Some(account);
            }
            error(other, format!("you are {} from here on", level.name()), out);
        }
        error(conn, format!("{nick} is {} from here on", level.name()), out);
    }
}
