//! Channels: rooms in which everybody hears everybody.

use hexad_core::{ConnId, Context, Map, Set};

use super::accounts::key_of;
use super::users::User;
use super::{Level, Out, Server, error, whisper};
use crate::wire::{Text, ToClient, ToServer, Word};

/// Bytes of a channel's name.
const NAME_BYTES_MAX: usize = 32;
/// Bytes of a channel's topic.
const TOPIC_BYTES_MAX: usize = 64;

/// One channel. It lasts as long as somebody is in it.
#[derive(Debug)]
struct Channel {
    name: Text,
    topic: Text,
    members: Set<ConnId>,
    /// Who opened it may set its topic.
    operator: ConnId,
}

/// All channels, by name in lower case.
#[derive(Debug, Default)]
pub(super) struct Channels {
    all: Map<Text, Channel>,
}

impl Channels {
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }
}

/// A channel's name with its `#`; `None` when it cannot be one.
fn name_of(channel: &Word) -> Option<Text> {
    let bytes = channel.bytes();
    let name = if bytes.starts_with(b"#") { bytes.to_vec() } else { [b"#", bytes].concat() };
    let fine = (2..=NAME_BYTES_MAX).contains(&name.len()) && name.iter().all(|byte| byte.is_ascii_graphic() || *byte >= 0x80);
    (fine && !name.contains(&b'"') && !name.contains(&b',')).then(|| name.into())
}

impl Server {
    pub(super) fn on_channel(&mut self, conn: ConnId, message: ToServer, cx: &Context<'_>, out: &mut Out) {
        match message {
            ToServer::Join { channel } => self.on_join(conn, &channel, cx, out),
            ToServer::Part { channel } => match self.within(conn, &channel) {
                Some(key) => {
                    let name = self.channels.all.get(&key).map(|channel| channel.name.clone()).unwrap_or_default();
                    out.send_to(conn, ToClient::Parted { channel: name.into() }.into());
                    if let Some(user) = self.visitors.user_mut(conn) {
                        user.channels.remove(&key);
                    }
                    let Some(user) = self.visitors.user(conn) else { return };
                    let left = (user.nick.clone(), self.shared_by(user.owner), user.speed);
                    self.leave(conn, &key, &left, cx, out);
                }
                None => error(conn, "part channel failed: you are not in that channel", out),
            },
            ToServer::ChannelSay { channel, text } => {
                let text = self.cut(&text.0);
                self.say(conn, &channel, |channel, nick| ToClient::ChannelMessage { channel, nick, text: text.clone().into() }, cx, out);
            }
            ToServer::Emote { channel, text } => {
                let text = self.cut(&text.0);
                self.say(conn, &channel, |channel, nick| ToClient::Emote { channel, nick, text: text.clone().into() }, cx, out);
            }
            ToServer::SetTopic { channel, text } => self.on_topic(conn, &channel, &text.0, cx, out),
            ToServer::ChannelList {} => {
                for channel in self.channels.all.values() {
                    let users = u32::try_from(channel.members.len()).unwrap_or(u32::MAX);
                    let entry = ToClient::ChannelEntry { channel: channel.name.clone().into(), users, topic: channel.topic.clone().into() };
                    whisper(conn, entry, cx, out);
                }
                out.send_to(conn, ToClient::ChannelListEnd {}.into());
            }
            ToServer::AllChannels {} => {
                for channel in self.channels.all.values() {
                    let entry = ToClient::ChannelEntryFull {
                        channel: channel.name.clone().into(),
                        users: u32::try_from(channel.members.len()).unwrap_or(u32::MAX),
                        lasting: 0,
                        level: 1,
                        limit: 0,
                        topic: channel.topic.clone().into(),
                    };
                    whisper(conn, entry, cx, out);
                }
                out.send_to(conn, ToClient::AllChannelsEnd {}.into());
            }
            ToServer::ChannelUsers { channel } => {
                if let Some(channel) = name_of(&channel).and_then(|name| self.channels.all.get(&key_of(name.bytes()))) {
                    for user in channel.members.iter().filter_map(|&member| self.user(member)) {
                        let (nick, shared) = (user.nick.clone().into(), self.shared_by(user.owner));
                        let entry = ToClient::ChannelUser { channel: channel.name.clone().into(), nick, shared, speed: user.speed };
                        whisper(conn, entry, cx, out);
                    }
                }
                out.send_to(conn, ToClient::ChannelUsersEnd {}.into());
            }
            _ => {}
        }
    }

    /// The key of a channel that a user is in.
    fn within(&self, conn: ConnId, channel: &Word) -> Option<Text> {
        let key = key_of(name_of(channel)?.bytes());
        self.user(conn)?.channels.contains(&key).then_some(key)
    }

    fn on_join(&mut self, conn: ConnId, channel: &Word, cx: &Context<'_>, out: &mut Out) {
        let Some(name) = name_of(channel) else { return error(conn, "join channel failed: invalid channel name", out) };
        let key = key_of(name.bytes());
        let (most, all) = (self.config.user_channels_max, self.config.channels_max);
        let Some(user) = self.visitors.user_mut(conn) else { return };
        if user.channels.contains(&key) {
            return error(conn, "join channel failed: you are in that channel already", out);
        }
        if user.channels.len() >= most {
            return error(conn, format!("join channel failed: you may be in {most} channels only"), out);
        }
        if !self.channels.all.contains_key(&key) && self.channels.all.len() >= all {
            return error(conn, "join channel failed: there are too many channels", out);
        }
        user.channels.insert(key.clone());
        let (nick, speed, owner) = (user.nick.clone(), user.speed, user.owner);
        let shared = self.shared_by(owner);
        let topic = format!("Welcome to the {name} channel.");
        let channel = self.channels.all.entry(key.clone()).or_insert_with(|| Channel {
            name,
            topic: topic.into(),
            members: Set::new(),
            operator: conn,
        });
        channel.members.insert(conn);
        let Some(channel) = self.channels.all.get(&key) else { return };
        out.send_to(conn, ToClient::Joined { channel: channel.name.clone().into() }.into());
        for &member in &channel.members {
            if member != conn {
                let joined = ToClient::MemberJoined { channel: channel.name.clone().into(), nick: nick.clone().into(), shared, speed };
                whisper(member, joined, cx, out);
            }
            if let Some(user) = self.user(member) {
                let (nick, shared) = (user.nick.clone().into(), self.shared_by(user.owner));
                whisper(conn, ToClient::Member { channel: channel.name.clone().into(), nick, shared, speed: user.speed }, cx, out);
            }
        }
        out.send_to(conn, ToClient::MembersEnd { channel: channel.name.clone().into() }.into());
        out.send_to(conn, ToClient::Topic { channel: channel.name.clone().into(), text: channel.topic.clone().into() }.into());
    }

    fn say(&mut self, conn: ConnId, channel: &Word, make: impl Fn(Word, Word) -> ToClient, cx: &Context<'_>, out: &mut Out) {
        if !self.may_talk(conn, cx, out) {
            return;
        }
        let Some(key) = self.within(conn, channel) else { return error(conn, "you are not in that channel", out) };
        let Some(channel) = self.channels.all.get(&key) else { return };
        let nick = self.nick_of(conn);
        for &member in channel.members.iter().filter(|&&member| !self.ignores(member, &nick.0)) {
            whisper(member, make(channel.name.clone().into(), nick.clone()), cx, out);
        }
    }

    fn on_topic(&mut self, conn: ConnId, channel: &Word, text: &Text, cx: &Context<'_>, out: &mut Out) {
        let Some(key) = self.within(conn, channel) else { return error(conn, "topic change failed: you are not in that channel", out) };
        let moderates = self.user(conn).is_some_and(|user| user.level >= Level::Moderator);
        let Some(channel) = self.channels.all.get_mut(&key) else { return };
        if channel.operator != conn && !moderates {
            return error(conn, "topic change failed: permission denied", out);
        }
        channel.topic = text.bytes()[..text.bytes().len().min(TOPIC_BYTES_MAX)].into();
        for &member in &channel.members {
            whisper(member, ToClient::Topic { channel: channel.name.clone().into(), text: channel.topic.clone().into() }, cx, out);
        }
    }

    /// Somebody has gone: the others in his channels are told so.
    pub(super) fn leave_channels(&mut self, conn: ConnId, user: &User, cx: &Context<'_>, out: &mut Out) {
        let left = (user.nick.clone(), self.shared_by(user.owner), user.speed);
        for key in &user.channels {
            self.leave(conn, key, &left, cx, out);
        }
    }

    fn leave(&mut self, conn: ConnId, key: &Text, (nick, shared, speed): &(Text, u32, u32), cx: &Context<'_>, out: &mut Out) {
        let Some(channel) = self.channels.all.get_mut(key) else { return };
        channel.members.remove(&conn);
        for &member in &channel.members {
            let (channel, nick) = (channel.name.clone().into(), nick.clone().into());
            whisper(member, ToClient::MemberLeft { channel, nick, shared: *shared, speed: *speed }, cx, out);
        }
        if channel.members.is_empty() {
            self.channels.all.remove(key);
        }
    }
}
