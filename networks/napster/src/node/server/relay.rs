//! Users of other servers that share our catalogue: what ours want of them, and what they want of ours.

use hexad_core::{Answer, Ask, ConnId, Context, IndexOwner, Level as NoteLevel};

use super::elsewhere::{about, name_of};
use super::files::word;
use super::login::Asked;
use super::transfers::{Asker, Promise};
use super::{Out, Server, error, whisper};
use crate::wire::{Card, Letter, Text, ToClient, ToServer};

impl Server {
    /// Looks up elsewhere whom a message is about, when nobody of that name is here. Returns the message when that is not to be done.
    pub(super) fn look_elsewhere(
        &mut self,
        conn: ConnId,
        message: ToServer,
        cx: &Context<'_>,
        tickets: &mut u64,
        out: &mut Out,
    ) -> Option<ToServer> {
        let name = about(&message).filter(|_| self.may_ask_elsewhere()).filter(|nick| self.visitors.find(nick).is_none()).map(name_of);
        let Some(name) = name else { return Some(message) };
        let talk = matches!(message, ToServer::PrivateMessage { .. } | ToServer::Ping { .. } | ToServer::Pong { .. });
        if !talk || self.may_talk(conn, cx, out) {
            self.elsewhere.asking += 1;
            self.ask(Ask::Owner(name), Asked::Owner(conn, Box::new(message)), tickets, out);
        }
        None
    }

    /// It is known whether somebody is elsewhere.
    pub(super) fn on_owner(
        &mut self,
        conn: ConnId,
        message: ToServer,
        answer: Answer,
        cx: &mut Context<'_>,
        tickets: &mut u64,
        out: &mut Out,
    ) {
        self.elsewhere.asking = self.elsewhere.asking.saturating_sub(1);
        if self.user(conn).is_none() {
            return;
        }
        let there = match answer {
            Answer::Owner(Some(owner)) if owner.machine != 0 => Card::read(&owner.card).map(|card| (owner, card)),
            _ => None,
        };
        match there {
            Some((owner, card)) => self.pass_on_elsewhere(conn, message, &owner, card, out),
            // As if nobody had been asked; he may have come here meanwhile.
            None if matches!(message, ToServer::PrivateMessage { .. } | ToServer::Ping { .. } | ToServer::Pong { .. }) => {
                error(conn, "User is not currently online.", out);
            }
            None => self.on_user_message_here(conn, message, cx, tickets, out),
        }
    }

    fn pass_on_elsewhere(&mut self, conn: ConnId, message: ToServer, owner: &IndexOwner, card: Card, out: &mut Out) {
        let Some(me) = self.card(conn) else { return };
        let machine = owner.machine;
        let mut deliver = |message: ToClient| {
            let letter = Letter::Deliver { to: owner.name.as_str().into(), from: me.nick.clone(), message };
            self.tell(machine, &letter);
        };
        let nick = || card.nick.clone().into();
        match message {
            ToServer::PrivateMessage { text, .. } => {
                let text = self.cut(&text.0).into();
                let message = ToClient::PrivateMessage { nick: me.nick.clone().into(), text };
                let letter = Letter::Deliver { to: owner.name.as_str().into(), from: me.nick, message };
                self.tell(machine, &letter);
            }
            ToServer::Ping { .. } => deliver(ToClient::Ping { nick: me.nick.clone().into() }),
            ToServer::Pong { .. } => deliver(ToClient::Pong { nick: me.nick.clone().into() }),
            ToServer::DataPortError { .. } => deliver(ToClient::DataPortError { nick: me.nick.clone().into() }),
            ToServer::DirectBrowse { .. } => {
                let (ip, port) = if card.port == 0 { (Some(me.ip), Some(me.port.into())) } else { (None, None) };
                deliver(ToClient::DirectBrowse { nick: me.nick.clone().into(), ip, port });
            }
            ToServer::DirectBrowseAccept { .. } => {
                deliver(ToClient::DirectBrowseAck { nick: me.nick.clone().into(), ip: me.ip, port: me.port.into() });
            }
            ToServer::DirectBrowseError { text, .. } => {
                deliver(ToClient::DirectBrowseError { nick: me.nick.clone().into(), text });
            }
            ToServer::SpeedAsk { .. } => out.send_to(conn, ToClient::Speed { nick: nick(), speed: card.speed }.into()),
            ToServer::Whois { .. } => {
                // What only his own server knows is left open.
                let answer = ToClient::WhoisAnswer {
                    nick: nick(),
                    level: "User".into(),
                    seconds: 0,
                    channels: " ".into(),
                    status: "Active".into(),
                    shared: 0,
                    downloads: 0,
                    uploads: 0,
                    speed: card.speed,
                    client: card.client.clone().into(),
                    more: Vec::new(),
                };
                out.send_to(conn, answer.into());
            }
            ToServer::Download { path, .. } if card.port == 0 => {
                let ack = ToClient::DownloadAck { nick: nick(), ip: card.ip, port: 0, path, hash: word(b""), speed: card.speed };
                out.send_to(conn, ack.into());
            }
            ToServer::Push { .. } if card.port != 0 => error(conn, format!("{} is not firewalled", card.nick), out),
            ToServer::Push { path, .. } if me.port == 0 => {
                let hash = "firewallerror".into();
                out.send_to(conn, ToClient::DownloadAck { nick: nick(), ip: card.ip, port: 0, path, hash, speed: card.speed }.into());
            }
            ToServer::Download { path, .. } => {
                let letter = Letter::Request { asker: me, owner: owner.name.as_str().into(), path: path.0, push: false };
                self.tell(machine, &letter);
            }
            ToServer::Push { path, .. } => {
                let letter = Letter::Request { asker: me, owner: owner.name.as_str().into(), path: path.0, push: true };
                self.tell(machine, &letter);
            }
            _ => {}
        }
    }

    /// A letter of another server.
    pub(super) fn on_letter(&mut self, machine: u64, letter: Letter, cx: &Context<'_>, out: &mut Out) {
        match letter {
            Letter::Deliver { to, from, message } => {
                let Some(conn) = self.visitors.find(to.bytes()) else {
                    return out.note(NoteLevel::Debug, "letter_for_nobody", None, "");
                };
                let talk = matches!(message, ToClient::PrivateMessage { .. } | ToClient::Ping { .. } | ToClient::Pong { .. });
                if !talk || !self.ignores(conn, &from) {
                    whisper(conn, message, cx, out);
                }
            }
            Letter::Request { asker, owner, path, push } => {
                let Some(conn) = self.visitors.find(owner.bytes()) else {
                    let message = ToClient::GetError { nick: owner.clone().into(), path: path.into() };
                    let letter = Letter::Deliver { to: asker.nick, from: owner, message };
                    return self.tell(machine, &letter);
                };
                let name = Asker::There(Text::from(name_of(asker.nick.bytes())));
                let promise = Promise { since: cx.now, push, far: Some(Box::new((machine, asker))) };
                self.promise(conn, name, path.into(), promise, cx, out);
            }
            Letter::Ghost { nick } => {
                if let Some(conn) = self.visitors.find(nick.bytes()) {
                    self.throw_ghost_out(conn, cx, out);
                }
            }
        }
    }
}
