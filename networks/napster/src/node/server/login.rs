//! Coming in: logins, registrations, and what may be said before.

use bytes::Bytes;
use hexad_core::{Answer, Ask, ConnId, Context, CpuJob, CpuResult, Level as NoteLevel, Output, Payload, Set};

use super::accounts::{ACCOUNTS, Account, Level, is_nick, key_of, same};
use super::elsewhere::name_of;
use super::files::Found;
use super::limits::Bucket;
use super::moderation::BanLoad;
use super::users::{Login, Stage, User, Visitor};
use super::{Out, Server, error};
use crate::wire::{Card, Letter, Quoted, Text, ToClient, ToServer, Word};

/// What the host was asked, and what for.
#[derive(Debug)]
pub(super) enum Asked {
    /// The account of who logs in.
    Login(ConnId),
    /// The hash of the password that he gave.
    Password(ConnId, Box<Account>),
    /// To store a registration.
    Registered(ConnId, Box<Account>),
    /// Whether a name is registered.
    NickCheck(ConnId),
    /// The account of somebody whose password is to be checked.
    CheckAccount(ConnId, Vec<u8>),
    /// The hash of that password.
    CheckPassword(ConnId, Vec<u8>),
    /// The hash of a password that is to be changed.
    NewPassword(ConnId, Box<Account>),
    /// To store the account whose password was changed.
    PasswordStored(ConnId),
    /// The account of who was asked for and is not there.
    Whowas(ConnId, Text),
    /// The account of who gets another level.
    Promote(ConnId, Text, Level),
    /// The ban list.
    Bans(BanLoad),
    /// To store or forget something; nobody waits for it.
    Kept,
    /// To change the shared catalogue.
    Deeds,
    /// What other servers have to tell.
    Letters,
    /// What is elsewhere.
    Found(ConnId, Found),
    /// Whether whom a message is about is elsewhere.
    Owner(ConnId, Box<ToServer>),
    /// Whether who logs in is elsewhere.
    Elsewhere(ConnId, Option<Box<Account>>),
}

impl Server {
    /// A message of somebody who is not logged in.
    pub(super) fn on_early_message(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        match message {
            ToServer::Login { nick, password, dataport, client, speed, more } => {
                self.on_login(conn, (nick, password, dataport, client, speed, more), false, cx, tickets, out);
            }
            ToServer::Register { nick, password, dataport, client, speed, more } => {
                self.on_login(conn, (nick, password, dataport, client, speed, more), true, cx, tickets, out);
            }
            ToServer::NickCheck { nick } => {
                let name = nick.bytes();
                if !is_nick(name, self.config.nick_bytes_max) {
                    out.send_to(conn, ToClient::NickInvalid { text: "".into() }.into());
                } else if self.visitors.find(name).is_some() {
                    out.send_to(conn, ToClient::NickTaken {}.into());
                } else if self.may_ask(conn, cx, out) {
                    self.ask(Ask::Load(ACCOUNTS, key_of(name).bytes().to_vec()), Asked::NickCheck(conn), tickets, out);
                }
            }
            ToServer::PasswordCheck { nick, password } => {
                let Some(visitor) = self.visitors.visitor_mut(conn) else { return };
                visitor.checks += 1;
                if visitor.checks > 3 {
                    return self.refuse(conn, "too many password checks", cx, out);
                }
                if self.may_ask(conn, cx, out) {
                    let asked = Asked::CheckAccount(conn, password.bytes().to_vec());
                    self.ask(Ask::Load(ACCOUNTS, key_of(nick.bytes()).bytes().to_vec()), asked, tickets, out);
                }
            }
            ToServer::VersionCheck { .. } => out.send_to(conn, ToClient::VersionOk {}.into()),
            ToServer::Survey { .. } | ToServer::SurveyMore { .. } | ToServer::Greeting { .. } | ToServer::AlternativePort { .. } => {}
            ToServer::Unreadable { number: 2 | 6, .. } => {
                error(conn, "Too few parameters for login.", out);
                self.throw_out(conn, "a login that cannot be read", cx, out);
            }
            _ => self.refuse(conn, "invalid command", cx, out),
        }
    }

    fn on_login(
        &mut self,
        conn: ConnId,
        (nick, password, port, client, speed, more): (Word, Word, u16, Quoted, u32, Vec<Word>),
        registers: bool,
        cx: &mut Context<'_>,
        tickets: &mut u64,
        out: &mut Out,
    ) {
        let name = nick.bytes();
        if !is_nick(name, self.config.nick_bytes_max) {
            out.send_to(conn, ToClient::NickInvalid { text: format!("Invalid nick: {}", nick.0).into() }.into());
            return self.throw_out(conn, "an invalid name", cx, out);
        }
        if speed > 10 {
            return self.refuse(conn, format!("{speed}: invalid speed"), cx, out);
        }
        if self.bans.covers_name(name) {
            out.note(NoteLevel::Drop, "banned_name", None, "");
            return self.refuse(conn, "you are banned from this server", cx, out);
        }
        if registers && !self.config.registration {
            return self.refuse(conn, "names cannot be registered here", cx, out);
        }
        let email = more.first().filter(|email| email.bytes().contains(&b'@')).map(|email| email.0.clone()).unwrap_or_default();
        let login = Login {
            nick: nick.0,
            password: password.bytes().to_vec(),
            port,
            client: client.0,
            speed,
            email,
            registers,
            early: Vec::new(),
            early_bytes: 0,
        };
        if let Some(visitor) = self.visitors.visitor_mut(conn) {
            visitor.stage = Stage::LoggingIn(Box::new(login));
            if self.logging_in.len() > self.visitors.len() {
                // Some have gone meanwhile.
                let visitors = &self.visitors;
                self.logging_in.retain(|&conn| visitors.visitor(conn).is_some());
            }
            self.logging_in.push_back(conn);
            self.look_at_logins(tickets, out);
        }
    }

    /// Begins with logins that wait, as many as may be looked at at a time. After a restart of the server everybody comes at once.
    pub(super) fn look_at_logins(&mut self, tickets: &mut u64, out: &mut Out) {
        while self.asked.len() < self.config.questions_max
            && let Some(conn) = self.logging_in.pop_front()
        {
            if let Some(key) = self.login(conn).map(|login| key_of(login.nick.bytes())) {
                self.ask(Ask::Load(ACCOUNTS, key.bytes().to_vec()), Asked::Login(conn), tickets, out);
            }
        }
    }

    /// Whether the host may be asked one more thing; if not, the visitor is told so.
    fn may_ask(&mut self, conn: ConnId, cx: &Context<'_>, out: &mut Out) -> bool {
        let may = self.asked.len() < self.config.questions_max;
        if !may {
            out.note(NoteLevel::Drop, "too_many_questions", None, "");
            self.refuse(conn, "too many questions at once, try again", cx, out);
        }
        may
    }

    fn refuse(&mut self, conn: ConnId, why: impl Into<Text>, cx: &Context<'_>, out: &mut Out) {
        out.send_to(conn, ToClient::LoginError { text: why.into().into() }.into());
        self.throw_out(conn, "the login was refused", cx, out);
    }

    /// The host has answered.
    pub(super) fn on_asked(&mut self, asked: Asked, answer: Answer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        if let Answer::Failed(why) = &answer {
            out.note(NoteLevel::Warn, "ask_failed", None, why.to_string());
        }
        let failed = matches!(answer, Answer::Failed(_));
        let (asked, answer) = match (asked, answer) {
            (Asked::Deeds, _) => return self.on_deeds(failed, cx, out),
            (Asked::Letters, answer) => return self.on_letters(answer, cx, tickets, out),
            (Asked::Found(conn, found), answer) => return self.on_found(conn, &found, answer, out),
            (Asked::Owner(conn, message), answer) => return self.on_owner(conn, *message, answer, cx, tickets, out),
            (Asked::Elsewhere(conn, account), answer) => {
                return self.on_elsewhere(conn, account.map(|account| *account), answer, cx, tickets, out);
            }
            other => other,
        };
        let account = match &answer {
            Answer::Loaded(Some(Payload::Bytes(bytes))) => Account::read(bytes),
            _ => None,
        };
        let hash = match answer {
            Answer::Worked(CpuResult::Bytes(hash)) => Some(hash),
            Answer::Loaded(ref loaded) => {
                if let Asked::Bans(load) = asked {
                    return self.on_bans_loaded(load, loaded.as_ref(), tickets, out);
                }
                None
            }
            _ => None,
        };
        match asked {
            Asked::Login(conn) | Asked::Password(conn, _) | Asked::Registered(conn, _) if failed => {
                self.refuse(conn, "this server cannot check names at the moment", cx, out);
            }
            Asked::Login(conn) => self.on_account(conn, account, cx, tickets, out),
            Asked::Password(conn, account) => self.on_password(conn, *account, hash, cx, tickets, out),
            Asked::Registered(conn, account) => self.let_in(conn, Some(*account), cx, tickets, out),
            Asked::NickCheck(conn) if self.knows(conn) => {
                out.send_to(conn, if account.is_some() { ToClient::NickTaken {} } else { ToClient::NickFree {} }.into());
            }
            Asked::CheckAccount(conn, password) => match account {
                Some(account) => {
                    let job = CpuJob::Argon2 { password, salt: account.salt.to_vec() };
                    self.ask(Ask::Work(job), Asked::CheckPassword(conn, account.hash), tickets, out);
                }
                None => self.on_check(conn, false, out),
            },
            Asked::CheckPassword(conn, expected) => self.on_check(conn, hash.is_some_and(|hash| same(&hash, &expected)), out),
            Asked::NewPassword(conn, mut account) => {
                let Some(hash) = hash else { return error(conn, "the password could not be changed", out) };
                account.hash = hash.to_vec();
                if let Some(user) = self.visitors.user_mut(conn) {
                    user.account = Some((*account).clone());
                }
                // As with a registration: it is so before it is said.
                let value = Payload::Bytes(account.write().into());
                let ask = Ask::Store(ACCOUNTS, key_of(account.nick.bytes()).bytes().to_vec(), value);
                self.ask(ask, Asked::PasswordStored(conn), tickets, out);
            }
            Asked::PasswordStored(conn) if self.knows(conn) => {
                error(conn, if failed { "the password could not be changed" } else { "your password was changed" }, out);
            }
            Asked::Whowas(conn, nick) => self.on_whowas(conn, &nick, account.as_ref(), out),
            Asked::Promote(conn, nick, level) => self.on_promote(conn, &nick, level, account, tickets, out),
            _ => {}
        }
    }

    fn on_check(&mut self, conn: ConnId, right: bool, out: &mut Out) {
        if self.knows(conn) {
            let answer = if right { ToClient::PasswordRight {} } else { ToClient::LoginError { text: "Invalid Password".into() } };
            out.send_to(conn, answer.into());
        }
    }

    fn login(&mut self, conn: ConnId) -> Option<&mut Login> {
        match &mut self.visitors.visitor_mut(conn)?.stage {
            Stage::LoggingIn(login) => Some(login),
            _ => None,
        }
    }

    fn on_account(&mut self, conn: ConnId, account: Option<Account>, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        let (guests, unix_s) = (self.config.guests, cx.unix_s());
        let Some(login) = self.login(conn) else { return };
        let password = login.password.clone();
        let account = match account {
            Some(account) => account,
            None if login.registers => Account {
                nick: login.nick.clone(),
                salt: cx.dice.bytes(),
                hash: Vec::new(),
                level: Level::User,
                muzzled: false,
                created: unix_s,
                seen: unix_s,
                email: login.email.clone(),
            },
            None if guests => return self.let_in(conn, None, cx, tickets, out),
            None => return self.refuse(conn, "your name is not registered here", cx, out),
        };
        let job = CpuJob::Argon2 { password, salt: account.salt.to_vec() };
        self.ask(Ask::Work(job), Asked::Password(conn, Box::new(account)), tickets, out);
    }

    fn on_password(
        &mut self,
        conn: ConnId,
        mut account: Account,
        hash: Option<Bytes>,
        cx: &mut Context<'_>,
        tickets: &mut u64,
        out: &mut Out,
    ) {
        if self.login(conn).is_none() {
            return;
        }
        let hash = hash.unwrap_or_default();
        if account.hash.is_empty() {
            account.hash = hash.to_vec();
            if self.config.admins.iter().any(|admin| admin.as_bytes().eq_ignore_ascii_case(account.nick.bytes())) {
                account.level = Level::Admin;
            }
            // Who is told that he is registered must be so even if the server is killed the next moment.
            let value = Payload::Bytes(account.write().into());
            let ask = Ask::Store(ACCOUNTS, key_of(account.nick.bytes()).bytes().to_vec(), value);
            return self.ask(ask, Asked::Registered(conn, Box::new(account)), tickets, out);
        }
        if !same(&hash, &account.hash) {
            out.note(NoteLevel::Drop, "invalid_password", None, "");
            return self.refuse(conn, "Invalid Password", cx, out);
        }
        account.seen = cx.unix_s();
        self.store(&account, tickets, out);
        self.let_in(conn, Some(account), cx, tickets, out);
    }

    /// Stores an account; nobody waits for it.
    pub(super) fn store(&mut self, account: &Account, tickets: &mut u64, out: &mut Out) {
        let value = Payload::Bytes(account.write().into());
        self.ask(Ask::Store(ACCOUNTS, key_of(account.nick.bytes()).bytes().to_vec(), value), Asked::Kept, tickets, out);
    }

    /// Whoever is logged in under that name already leaves, if it is the same person: by password, or by address.
    fn makes_room(&mut self, conn: ConnId, nick: &[u8], proven: bool, cx: &Context<'_>, out: &mut Out) -> bool {
        let Some(other) = self.visitors.find(nick) else { return true };
        let address = |conn| self.visitors.visitor(conn).map(|visitor| visitor.address);
        if !proven && address(other) != address(conn) {
            return false;
        }
        self.throw_ghost_out(other, cx, out);
        true
    }

    /// Somebody has logged in under the name of one who is here.
    pub(super) fn throw_ghost_out(&mut self, other: ConnId, cx: &Context<'_>, out: &mut Out) {
        out.send_to(other, ToClient::Ghost {}.into());
        error(other, "Someone else is logging in as you, disconnecting.", out);
        out.send_to(other, ToClient::Disconnecting { text: "0".into() }.into());
        self.throw_out(other, "logged in again from elsewhere", cx, out);
    }

    fn let_in(&mut self, conn: ConnId, account: Option<Account>, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        let Some(nick) = self.login(conn).map(|login| login.nick.clone()) else { return };
        if !self.makes_room(conn, nick.bytes(), account.is_some(), cx, out) {
            return self.refuse(conn, format!("{nick} is already active"), cx, out);
        }
        if self.config.shared.is_some() {
            let asked = Asked::Elsewhere(conn, account.map(Box::new));
            return self.ask(Ask::Owner(name_of(nick.bytes())), asked, tickets, out);
        }
        self.settle_in(conn, account, cx, tickets, out);
    }

    /// It is known whether somebody of that name is logged in at another server. When that cannot be told, he is let in.
    fn on_elsewhere(
        &mut self,
        conn: ConnId,
        account: Option<Account>,
        answer: Answer,
        cx: &mut Context<'_>,
        tickets: &mut u64,
        out: &mut Out,
    ) {
        let Some(nick) = self.login(conn).map(|login| login.nick.clone()) else { return };
        if let Answer::Owner(Some(owner)) = answer
            && owner.machine != 0
        {
            let same = Card::read(&owner.card).map(|card| card.ip) == self.visitors.visitor(conn).map(Visitor::ip);
            if account.is_none() && !same {
                return self.refuse(conn, format!("{nick} is already active"), cx, out);
            }
            self.tell(owner.machine, &Letter::Ghost { nick: nick.clone() });
        }
        // Another login of that name may have been quicker.
        if !self.makes_room(conn, nick.bytes(), account.is_some(), cx, out) {
            return self.refuse(conn, format!("{nick} is already active"), cx, out);
        }
        self.settle_in(conn, account, cx, tickets, out);
    }

    fn settle_in(&mut self, conn: ConnId, account: Option<Account>, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        let Some(visitor) = self.visitors.visitor_mut(conn) else { return };
        let Stage::LoggingIn(login) = std::mem::replace(&mut visitor.stage, Stage::Fresh) else { return };
        let Login { nick, port, client, speed, early, .. } = *login;
        let user = User {
            nick: nick.clone(),
            level: account.as_ref().map_or(Level::User, |account| account.level),
            muzzled: account.as_ref().is_some_and(|account| account.muzzled),
            account,
            port,
            speed,
            client,
            since: cx.now,
            owner: None,
            downloads: 0,
            uploads: 0,
            downloading: 0,
            uploading: 0,
            hotlist: Set::new(),
            ignored: Set::new(),
            channels: Set::new(),
            searching: false,
            searches: Bucket::full(self.config.searches_burst, cx.now),
            talk: Bucket::full(self.config.talk_burst, cx.now),
            share_errors: 0,
        };
        self.visitors.log_in(conn, user);
        self.logins += 1;
        self.enter(conn);
        out.send_to(conn, ToClient::LoginAck { email: format!("anon@{}", self.config.name).into() }.into());
        self.say_motd(conn, out);
        out.send_to(conn, self.statistics().into());
        self.tell_watchers(&nick, &ToClient::UserOn { nick: nick.clone().into(), speed }, cx, out);
        for message in early {
            self.on_message(conn, message, cx, tickets, out);
        }
    }

    pub(super) fn say_motd(&self, conn: ConnId, out: &mut Out) {
        let first = [format!("VERSION hexad {}", env!("CARGO_PKG_VERSION")), format!("SERVER {}", self.config.name)];
        for line in first.iter().chain(&self.config.motd) {
            out.send_to(conn, ToClient::Motd { text: line.as_str().into() }.into());
        }
    }

    /// Another password or address for e-mail.
    pub(super) fn on_account_change(&mut self, conn: ConnId, message: ToServer, cx: &mut Context<'_>, tickets: &mut u64, out: &mut Out) {
        let Some(mut account) = self.user(conn).and_then(|user| user.account.clone()) else {
            return error(conn, "your name is not registered", out);
        };
        match message {
            ToServer::ChangePassword { password } => {
                if self.asked.len() >= self.config.questions_max {
                    return error(conn, "the server is busy, try again", out);
                }
                account.salt = cx.dice.bytes();
                let job = CpuJob::Argon2 { password: password.bytes().to_vec(), salt: account.salt.to_vec() };
                self.ask(Ask::Work(job), Asked::NewPassword(conn, Box::new(account)), tickets, out);
            }
            ToServer::ChangeEmail { email } => {
                account.email = email.0;
                self.store(&account, tickets, out);
                if let Some(user) = self.visitors.user_mut(conn) {
                    user.account = Some(account);
                }
            }
            _ => {}
        }
    }

    /// Takes a name out of the store.
    pub(super) fn forget_account(&mut self, nick: &[u8], tickets: &mut u64, out: &mut Out) {
        self.ask(Ask::Forget(ACCOUNTS, key_of(nick).bytes().to_vec()), Asked::Kept, tickets, out);
    }

    /// Asks the store for a name; the answer goes on as `asked` says.
    pub(super) fn load_account(&mut self, nick: &[u8], asked: Asked, tickets: &mut u64, out: &mut Out) {
        self.ask(Ask::Load(ACCOUNTS, key_of(nick).bytes().to_vec()), asked, tickets, out);
    }

    /// Closes what a moderator wants closed.
    pub(super) fn kick(&mut self, conn: ConnId, text: String, cx: &Context<'_>, out: &mut Out) {
        error(conn, text, out);
        out.send_to(conn, ToClient::Disconnecting { text: "0".into() }.into());
        out.push(Output::Close(conn, "thrown out by a moderator".into()));
        self.on_closed(conn, cx, out);
    }
}
