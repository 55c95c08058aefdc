//! All messages between a client and a server: one table for each direction, since a number often means another thing on the way back.
//!
//! Fields are named as the specification names them. What cannot be read, or has an unknown number, is kept as it came: the server answers it.

use bytes::{BufMut as _, BytesMut};

use super::fields::{Counter, Field, Fields, Hertz, Ip, Line, Quoted, Sink, Text, Word, Writer};
use super::search::Search;

/// Bytes in front of every message: length and number, little-endian.
pub const HEAD_BYTES: usize = 4;

/// So that a macro's arm can end early.
fn attempt<T>(read: impl FnOnce() -> Option<T>) -> Option<T> {
    read()
}

macro_rules! messages {
    (
        $(#[$meta:meta])*
        $enum:ident {
            $($(#[$doc:meta])* $number:literal $name:ident $kind:literal { $($field:ident: $type:ty),* $(,)? })*
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "fields are named as the specification names them")]
        pub enum $enum {
            $($(#[$doc])* $name { $($field: $type),* },)*
            /// A number that this page does not know.
            Unknown { number: u16, data: Text },
            /// A known number whose fields cannot be read: too few, a quote that is not closed, a word where a number belongs.
            Unreadable { number: u16, data: Text },
        }

        impl $enum {
            /// All numbers and their names.
            pub const TABLE: &'static [(u16, &'static str)] = &[$(($number, $kind)),*];

            /// The message's number.
            #[must_use]
            pub fn number(&self) -> u16 {
                match self {
                    $(Self::$name { .. } => $number,)*
                    Self::Unknown { number, .. } | Self::Unreadable { number, .. } => *number,
                }
            }

            /// Its name, for counting.
            #[must_use]
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $kind,)*
                    Self::Unknown { .. } => "unknown number",
                    Self::Unreadable { .. } => "unreadable",
                }
            }

            /// Reads the data of a message.
            #[must_use]
            pub fn read(number: u16, data: &[u8]) -> Self {
                #[allow(unused_mut, unused_variables, reason = "not all messages have fields")]
                let mut fields = Fields::new(data);
                let read = match number {
                    $($number => attempt(|| Some(Self::$name { $($field: Field::read(&mut fields)?),* })),)*
                    _ => return Self::Unknown { number, data: data.into() },
                };
                read.unwrap_or_else(|| Self::Unreadable { number, data: data.into() })
            }

            fn write_data<S: Sink>(&self, out: &mut S) {
                match self {
                    $(Self::$name { $($field),* } => {
                        #[allow(unused_mut, unused_variables, reason = "not all messages have fields")]
                        let mut writer = Writer::new(out);
                        $(Field::write($field, &mut writer);)*
                    })*
                    Self::Unknown { data, .. } | Self::Unreadable { data, .. } => out.put(data.bytes()),
                }
            }

            /// How many bytes it takes, its head included.
            #[must_use]
            pub fn wire_bytes(&self) -> u64 {
                let mut counter = Counter(0);
                self.write_data(&mut counter);
                counter.0 + HEAD_BYTES as u64
            }

            /// Appends it, head and data. What is over 65,535 bytes is cut.
            pub fn write(&self, out: &mut BytesMut) {
                let start = out.len();
                out.put_u16_le(0);
                out.put_u16_le(self.number());
                self.write_data(out);
                out.truncate(start + HEAD_BYTES + usize::from(u16::MAX));
                let length = u16::try_from(out.len() - start - HEAD_BYTES).unwrap_or(u16::MAX);
                out[start..start + 2].copy_from_slice(&length.to_le_bytes());
            }
        }
    };
}

/// One file of [`ToServer::ShareFolder`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FolderFile {
    /// Its name below the folder.
    pub file: Quoted,
    /// Whatever stands for its content.
    pub hash: Word,
    /// Bytes.
    pub size: u64,
    /// Kilobits a second.
    pub bitrate: u32,
    /// Hertz.
    pub frequency: Hertz,
    /// How long it plays.
    pub seconds: u32,
}

impl Field for FolderFile {
    fn read(fields: &mut Fields<'_>) -> Option<Self> {
        Some(Self {
            file: Field::read(fields)?,
            hash: Field::read(fields)?,
            size: Field::read(fields)?,
            bitrate: Field::read(fields)?,
            frequency: Field::read(fields)?,
            seconds: Field::read(fields)?,
        })
    }

    fn write<S: Sink>(&self, out: &mut Writer<'_, S>) {
        let Self { file, hash, size, bitrate, frequency, seconds } = self;
        file.write(out);
        hash.write(out);
        size.write(out);
        bitrate.write(out);
        frequency.write(out);
        seconds.write(out);
    }
}

impl ToServer {
    /// Whether it is answered only when something is wrong with it: a library comes as thousands of these.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Share { .. } | Self::ShareAny { .. } | Self::ShareFolder { .. } | Self::Unshare { .. })
    }
}

messages! {
    /// What a client says.
    ToServer {
        /// Log in. `more` is an e-mail address, a build number, a compression level: whatever programs add.
        2 Login "login" { nick: Word, password: Word, dataport: u16, client: Quoted, speed: u32, more: Vec<Word> }
        /// Are we the newest version? The empty answer is awaited by some.
        4 VersionCheck "version check" { version: Line }
        /// Register a name, and log in.
        6 Register "register" { nick: Word, password: Word, dataport: u16, client: Quoted, speed: u32, more: Vec<Word> }
        /// Is a name free?
        7 NickCheck "nick check" { nick: Line }
        /// Is this the password of that name?
        11 PasswordCheck "password check" { nick: Word, password: Word }
        /// Answers to a survey. Not looked at.
        14 Survey "survey" { text: Line }
        /// More of a survey.
        15 SurveyMore "survey more" { text: Line }
        /// Share a file.
        100 Share "share file" { path: Quoted, hash: Word, size: u64, bitrate: u32, frequency: Hertz, seconds: u32 }
        /// Share it no longer. The name is not quoted.
        102 Unshare "unshare file" { path: Line }
        /// Share nothing any longer.
        110 UnshareAll "unshare all" {}
        /// Search.
        200 Search "search" { search: Search }
        /// Ask for a file of somebody.
        203 Download "download request" { nick: Word, path: Quoted }
        /// Say something to one user.
        205 PrivateMessage "private message" { nick: Word, text: Line }
        /// Tell me when that user comes and goes.
        207 HotlistAdd "hotlist add" { nick: Word }
        /// The same, while logging in.
        208 HotlistAddEarly "hotlist add early" { nick: Word }
        /// All files of a user.
        211 Browse "browse" { nick: Word, max: Option<u32> }
        /// How many users, files, gigabytes?
        214 Statistics "statistics" {}
        /// Who else has this file? Size 0 asks for any.
        215 Resume "resume search" { hash: Word, size: u64 }
        /// A download has begun.
        218 DownloadStart "download start" {}
        /// A download has ended.
        219 DownloadEnd "download end" {}
        /// An upload has begun.
        220 UploadStart "upload start" {}
        /// An upload has ended.
        221 UploadEnd "upload end" {}
        /// Another data port.
        300 AlternativePort "alternative port" { port: u16 }
        /// Tell me no longer.
        303 HotlistRemove "hotlist remove" { nick: Word }
        /// Whom do I ignore?
        320 IgnoreList "ignore list" {}
        /// Ignore a user.
        322 IgnoreAdd "ignore add" { nick: Word }
        /// Ignore him no longer.
        323 IgnoreRemove "ignore remove" { nick: Word }
        /// Ignore nobody.
        326 IgnoreClear "ignore clear" {}
        /// Enter a channel.
        400 Join "join" { channel: Word }
        /// Leave it.
        401 Part "part" { channel: Word }
        /// Say something to all in a channel.
        402 ChannelSay "channel say" { channel: Word, text: Line }
        /// Set a channel's topic.
        410 SetTopic "set topic" { channel: Word, text: Line }
        /// Ask a firewalled user to send a file.
        500 Push "push request" { nick: Word, path: Quoted }
        /// How fast is a user's link?
        600 SpeedAsk "link speed ask" { nick: Word }
        /// Who is that?
        603 Whois "whois" { nick: Word }
        /// Make somebody a moderator, or no longer.
        606 SetLevel "set level" { nick: Word, level: Word }
        /// The request for a file (607) is accepted.
        608 UploadAccept "upload accept" { nick: Word, path: Quoted }
        /// It is refused.
        609 UploadRefuse "upload refuse" { nick: Word, path: Quoted }
        /// Throw a user out.
        610 Kill "kill" { nick: Word, reason: Line }
        /// Forget a registered name.
        611 Nuke "nuke" { nick: Word }
        /// Let a name or an address in no longer.
        612 Ban "ban" { who: Word, reason: Line }
        /// Tell a user to take another data port.
        613 SetDataPort "set data port" { nick: Word, port: Line }
        /// Let it in again.
        614 Unban "unban" { who: Word }
        /// Who is banned?
        615 BanList "ban list" {}
        /// Which channels are there?
        617 ChannelList "channel list" {}
        /// As many uploads as there may be: `limit` is that number, or the place in the queue.
        619 QueueLimit "queue limit (client)" { nick: Word, path: Quoted, limit: u32 }
        /// The message of the day again.
        621 Motd "motd ask" {}
        /// Let a user say nothing to others.
        622 Muzzle "muzzle" { nick: Word, reason: Line }
        /// Let him speak again.
        623 Unmuzzle "unmuzzle" { nick: Word, reason: Line }
        /// Somebody's data port cannot be reached.
        626 DataPortError "data port error" { nick: Word }
        /// To all moderators.
        627 Wallop "wallop" { text: Line }
        /// To all users.
        628 Announce "announce" { text: Line }
        /// Ask a user for his list, from program to program.
        640 DirectBrowse "direct browse request" { nick: Word }
        /// That is accepted.
        641 DirectBrowseAccept "direct browse accept" { nick: Word }
        /// That is refused.
        642 DirectBrowseError "direct browse refuse" { nick: Word, text: Quoted }
        /// Another link.
        700 ChangeSpeed "change speed" { speed: u32 }
        /// Another password.
        701 ChangePassword "change password" { password: Word }
        /// Another address for e-mail.
        702 ChangeEmail "change email" { email: Word }
        /// Another data port; 0 is firewalled.
        703 ChangeDataPort "change data port" { port: u16 }
        /// Is the server there?
        750 ServerPing "server ping" { text: Line }
        /// Is a user there?
        751 Ping "user ping" { nick: Word }
        /// Here.
        752 Pong "user pong" { nick: Word }
        /// Which server is this?
        801 ServerVersion "server version" {}
        /// Does something.
        824 Emote "emote" { channel: Word, text: Quoted }
        /// All channels.
        827 AllChannels "all channels" {}
        /// Who is in a channel?
        830 ChannelUsers "channel users" { channel: Word }
        /// Beta-8 greeting. Not looked at.
        920 Greeting "greeting" { text: Line }
        /// Which servers are linked?
        10112 ServerLinks "server links" {}
        /// How is the server?
        10115 ServerUsage "server usage" {}
        /// Share any kind of file; the size stands before the hash.
        10300 ShareAny "share any file" { path: Quoted, size: u64, hash: Word, kind: Word }
        /// Share files of one folder.
        870 ShareFolder "share directory" { folder: Quoted, files: Vec<FolderFile> }
    }
}

messages! {
    /// What a server says.
    ToClient {
        /// The login is refused, and the connection closed.
        0 LoginError "error (login)" { text: Line }
        /// Logged in.
        3 LoginAck "login ack" { email: Line }
        /// The version is fine.
        4 VersionOk "version check" {}
        /// Get a newer program: never acted on.
        5 Upgrade "upgrade" { text: Line }
        /// The name is free.
        8 NickFree "nick free" {}
        /// It is registered, or in use.
        9 NickTaken "nick taken" {}
        /// It cannot be a name.
        10 NickInvalid "nick invalid" { text: Line }
        /// The password is right.
        12 PasswordRight "password right" {}
        /// What was said before the login, as the official server echoes it.
        13 Echo "echo" { text: Line }
        /// Nothing is shared any longer.
        110 UnsharedAll "unshared all" { count: Option<u32> }
        /// One answer to a search.
        201 SearchResult "search result" {
            path: Quoted, hash: Word, size: u64, bitrate: u32, frequency: Hertz, seconds: u32, nick: Word, ip: Ip, speed: u32, weight: Option<u32>,
        }
        /// No more answers.
        202 SearchEnd "search end" {}
        /// Where to get it; port 0 is firewalled.
        204 DownloadAck "download ack" { nick: Word, ip: Ip, port: u32, path: Quoted, hash: Word, speed: u32 }
        /// Somebody says something to us.
        205 PrivateMessage "private message" { nick: Word, text: Line }
        /// It cannot be got.
        206 GetError "get error" { nick: Word, path: Quoted }
        /// A user of our hotlist is here.
        209 UserOn "user on" { nick: Word, speed: u32 }
        /// He is not.
        210 UserOff "user off" { nick: Word }
        /// One file of a user.
        212 BrowseEntry "browse entry" { nick: Word, path: Quoted, hash: Word, size: u64, bitrate: u32, frequency: Hertz, seconds: u32 }
        /// No more files.
        213 BrowseEnd "browse end" { nick: Word, ip: Option<Ip> }
        /// How much there is.
        214 Statistics "statistics" { users: u64, files: u64, gigabytes: u64 }
        /// Somebody who has the file.
        216 ResumeResult "resume result" { nick: Word, ip: Ip, port: u32, path: Quoted, hash: Word, size: u64, speed: u32 }
        /// No more who have it.
        217 ResumeEnd "resume end" {}
        /// On the hotlist.
        301 HotlistOk "hotlist ok" { nick: Word }
        /// Not on the hotlist.
        302 HotlistError "hotlist error" { nick: Word }
        /// About to be disconnected.
        316 Disconnecting "disconnecting" { text: Line }
        /// End of the ignore list.
        320 IgnoreEnd "ignore end" { count: Option<u32> }
        /// One who is ignored.
        321 IgnoreEntry "ignore entry" { nick: Word }
        /// Ignored.
        322 IgnoreAdded "ignore added" { nick: Word }
        /// Ignored no longer.
        323 IgnoreRemoved "ignore removed" { nick: Word }
        /// Was not ignored.
        324 NotIgnored "not ignored" { nick: Word }
        /// Was ignored already.
        325 AlreadyIgnored "already ignored" { nick: Word }
        /// Nobody is ignored any longer.
        326 IgnoreCleared "ignore cleared" { count: Option<u32> }
        /// We have left a channel.
        401 Parted "parted" { channel: Word }
        /// Somebody says something to all.
        403 ChannelMessage "channel message" { channel: Word, nick: Word, text: Line }
        /// Something is wrong, or worth knowing. Never fatal.
        404 Error "error text" { text: Line }
        /// We have entered a channel.
        405 Joined "join ack" { channel: Word }
        /// Somebody has.
        406 MemberJoined "user joined" { channel: Word, nick: Word, shared: u32, speed: u32 }
        /// Somebody has left it.
        407 MemberLeft "user left" { channel: Word, nick: Word, shared: u32, speed: u32 }
        /// One who is in it.
        408 Member "channel member" { channel: Word, nick: Word, shared: u32, speed: u32 }
        /// All were named.
        409 MembersEnd "member list end" { channel: Word }
        /// A channel's topic.
        410 Topic "topic" { channel: Word, text: Line }
        /// To whom to connect, and what to send.
        501 PushOrder "push order" { nick: Word, ip: Ip, port: u32, path: Quoted, hash: Word, speed: u32 }
        /// A user's link.
        601 Speed "link speed" { nick: Word, speed: u32 }
        /// Who that is. `more` is told to moderators.
        604 WhoisAnswer "whois answer" {
            nick: Word, level: Quoted, seconds: u64, channels: Quoted, status: Quoted, shared: u32, downloads: u32, uploads: u32, speed: u32,
            client: Quoted, more: Vec<Word>,
        }
        /// Who that was.
        605 Whowas "whowas answer" { nick: Word, level: Quoted, lastseen: u64 }
        /// Somebody asks for a file of ours.
        607 UploadRequest "upload request" { nick: Word, path: Quoted, speed: Option<u32> }
        /// Take another data port.
        613 DataPortAsked "data port asked" { port: Line }
        /// End of the ban list.
        615 BanListEnd "ban list end" {}
        /// One who is banned.
        616 BanEntry "ban entry" { who: Word, by: Word, reason: Quoted, at: u64 }
        /// End of the channels.
        617 ChannelListEnd "channel list end" {}
        /// One channel.
        618 ChannelEntry "channel entry" { channel: Word, users: u32, topic: Line }
        /// The other's queue is full, or we are so far back in it.
        620 QueueLimit "queue limit" { nick: Word, path: Quoted, size: u64, limit: u32 }
        /// One line of the message of the day.
        621 Motd "motd" { text: Line }
        /// Our data port cannot be reached, says that user.
        626 DataPortError "data port error" { nick: Word }
        /// To all moderators.
        627 Wallop "wallop" { nick: Word, text: Line }
        /// To all.
        628 Announce "announce" { nick: Word, text: Line }
        /// Somebody asks for our list; the address only when we must connect to him.
        640 DirectBrowse "direct browse request" { nick: Word, ip: Option<Ip>, port: Option<u32> }
        /// Where to get a list.
        641 DirectBrowseAck "direct browse ack" { nick: Word, ip: Ip, port: u32 }
        /// It cannot be got.
        642 DirectBrowseError "direct browse error" { nick: Word, text: Quoted }
        /// Somebody else has logged in under our name.
        748 Ghost "kicked by second login" {}
        /// Here.
        750 ServerPing "server ping" { text: Line }
        /// Are we there?
        751 Ping "user ping" { nick: Word }
        /// He is.
        752 Pong "user pong" { nick: Word }
        /// Go there instead.
        821 Redirect "redirect" { server: Word, port: u32 }
        /// Ask that metaserver.
        822 Cycle "cycle" { metaserver: Word }
        /// Somebody does something.
        824 Emote "emote" { channel: Word, nick: Word, text: Quoted }
        /// One who is in a channel.
        825 ChannelUser "channel user" { channel: Word, nick: Word, shared: u32, speed: u32 }
        /// End of all channels.
        827 AllChannelsEnd "all channels end" {}
        /// One channel in full: users, whether it lasts, least level, most users, topic.
        828 ChannelEntryFull "channel entry (full)" { channel: Word, users: u32, lasting: u32, level: u32, limit: u32, topic: Quoted }
        /// End of a channel's users.
        830 ChannelUsersEnd "channel users end" {}
        /// End of the linked servers.
        10112 ServerLinksEnd "server links end" {}
        /// How the server is.
        10115 ServerUsage "server usage" { text: Line }
    }
}
