//! Requests that outlive the connection on which they were made: those of a client by its name, and those of the global queue, which belongs to all.
//!
//! Each is a session of its own whose words are kept, told to whoever is there to hear them, and told again to who comes later. A request that is to
//! live forever is written down before it begins, and begun again after a restart unless its end was written down too.

use bytes::BytesMut;
use hexad_core::{Failure, Map, Progress};

use super::codec::{Codec, Message, write};
use super::codes::ProtocolError;
use super::disk::Disk;
use super::session::{Effect as Said, Session};
use super::words::protocol_error;
use crate::node::{Reply, Request};

/// Requests that are kept.
const KEPT_MAX: usize = 1000;
/// Bytes that they keep: what is to be put, and what was got.
const KEPT_BYTES_MAX: usize = 256 << 20;
/// Words of one request that are kept.
const WORDS_MAX: usize = 32;
/// Under which the owner of a request is written down.
const OWNER: &str = "Hexad.Owner";

/// Whose a request is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Owner {
    Global,
    Client(String),
}

/// What follows.
#[derive(Clone, Debug, PartialEq)]
pub enum Queued {
    /// Send this to that client.
    Say(u64, Message),
    /// Start this at the node, and tell the queue under that number how it gets on.
    Start(u64, Request),
    /// Take that back.
    Cancel(u64),
    /// Write this down under that number, in the place of what was there, before anything else is done.
    Keep(u64, Vec<u8>),
    /// Forget what was written down under that number.
    Forget(u64),
}

#[derive(Debug)]
struct Kept {
    owner: Owner,
    /// As it came, without its payload once that is not needed any more.
    asked: Message,
    session: Session,
    /// What was said so far, but for the data.
    words: Vec<Message>,
    data: Option<Message>,
    over: bool,
}

impl Kept {
    fn identifier(&self) -> &str {
        self.asked.field("Identifier").unwrap_or_default()
    }

    fn lasts_forever(&self) -> bool {
        self.asked.field("Persistence") == Some("forever")
    }

    fn bytes(&self) -> usize {
        let of = |message: Option<&Message>| message.and_then(|message| message.data.as_ref()).map_or(0, bytes::Bytes::len);
        of(Some(&self.asked)) + of(self.data.as_ref())
    }

    fn is_put(&self) -> bool {
        self.asked.name != "ClientGet"
    }

    /// What is said of the request itself.
    fn echo(&self) -> Message {
        let name = match self.asked.name.as_str() {
            "ClientGet" => "PersistentGet",
            "ClientPut" => "PersistentPut",
            _ => "PersistentPutDir",
        };
        let mut echo = Message::new(name);
        let told = |key: &str| !matches!(key, "Global" | "DataLength" | OWNER);
        echo.fields = self.asked.fields.iter().filter(|(key, _)| told(key)).cloned().collect();
        if name == "PersistentPutDir" {
            echo = echo.with("PutDirType", if self.asked.name == "ClientPutDiskDir" { "disk" } else { "complex" });
        }
        let bytes = self.asked.data.as_ref().map_or(0, bytes::Bytes::len);
        if self.is_put() && bytes > 0 {
            echo = echo.with("DataLength", bytes);
        }
        echo.with("Started", true).with("Global", self.owner == Owner::Global)
    }

    /// The same with the right word on whose it is.
    fn owned(&self, mut message: Message) -> Message {
        message.fields.retain(|(key, _)| key != "Global");
        message.with("Global", self.owner == Owner::Global)
    }

    fn written(&self) -> Vec<u8> {
        let mut out = BytesMut::new();
        let owner = match &self.owner {
            Owner::Global => "",
            Owner::Client(name) => name,
        };
        let mut asked = self.asked.clone();
        asked.fields.insert(0, (OWNER.to_owned(), owner.to_owned()));
        if asked.data.is_none() {
            asked.fields.retain(|(key, _)| !key.ends_with("DataLength"));
        }
        write(&asked, &mut out);
        self.words.iter().for_each(|word| write(word, &mut out));
        out.to_vec()
    }
}

#[derive(Debug)]
struct Client {
    name: String,
    watches: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Queue {
    kept: Map<u64, Kept>,
    clients: Map<u64, Client>,
    last: u64,
}

impl Queue {
    /// A client has said its name; what was kept for it is told again.
    #[must_use]
    pub fn arrives(&mut self, client: u64, name: &str) -> Vec<Queued> {
        self.clients.insert(client, Client { name: name.to_owned(), watches: false });
        let owner = Owner::Client(name.to_owned());
        self.kept.values().filter(|kept| kept.owner == owner).flat_map(|kept| tell_all(kept, client)).collect()
    }

    /// A client is gone; its requests stay.
    pub fn leaves(&mut self, client: u64) {
        self.clients.remove(&client);
    }

    /// Whether a message is for the queue and not for the session of the connection.
    #[must_use]
    pub fn is_for(message: &Message) -> bool {
        match message.name.as_str() {
            "ClientGet" | "ClientPut" | "ClientPutComplexDir" | "ClientPutDiskDir" => {
                message.flag("Global", false) || message.field("Persistence").is_some_and(|persistence| persistence != "connection")
            }
            "WatchGlobal" | "ListPersistentRequests" | "GetRequestStatus" | "ModifyPersistentRequest" => true,
            _ => false,
        }
    }

    /// Hears a client. `None` when it means something that is not kept here.
    #[must_use]
    pub fn hears(&mut self, disk: &dyn Disk, client: u64, message: Message) -> Option<Vec<Queued>> {
        let name = self.clients.get(&client)?.name.clone();
        let owner = if message.flag("Global", false) { Owner::Global } else { Owner::Client(name.clone()) };
        let identifier = message.field("Identifier").map(str::to_owned);
        let say = |message: Message| Some(vec![Queued::Say(client, message)]);
        let refuse = |code, extra: Option<&str>| say(protocol_error(code, extra, identifier.as_deref(), false));
        match message.name.as_str() {
            "ClientGet" | "ClientPut" | "ClientPutComplexDir" | "ClientPutDiskDir" => Some(self.begin(disk, client, owner, message)),
            "WatchGlobal" => {
                let watches = message.flag("Enabled", true);
                if let Some(client) = self.clients.get_mut(&client) {
                    client.watches = watches;
                }
                Some(Vec::new())
            }
            "ListPersistentRequests" => {
                let theirs = |kept: &&Kept| kept.owner == Owner::Global || kept.owner == Owner::Client(name.clone());
                let mut effects: Vec<Queued> = self.kept.values().filter(theirs).flat_map(|kept| tell_all(kept, client)).collect();
                let mut end = Message::new("EndListPersistentRequests");
                if let Some(identifier) = &identifier {
                    end = end.with("Identifier", identifier);
                }
                effects.push(Queued::Say(client, end));
                Some(effects)
            }
            "GetRequestStatus" | "ModifyPersistentRequest" | "RemoveRequest" | "RemovePersistentRequest" => {
                let Some(asked) = &identifier else { return refuse(ProtocolError::MissingField, Some("Identifier")) };
                let found = self.kept.iter().find(|(_, kept)| kept.owner == owner && kept.identifier() == asked).map(|(number, _)| *number);
                match (found, message.name.as_str()) {
                    (Some(number), "GetRequestStatus") => Some(self.status(client, number, message.flag("OnlyData", false))),
                    (Some(number), "ModifyPersistentRequest") => Some(self.modify(number, &message)),
                    (Some(number), _) => Some(self.remove(client, number)),
                    // It may be one of the connection.
                    (None, "RemoveRequest" | "RemovePersistentRequest") if owner != Owner::Global => None,
                    (None, _) => refuse(ProtocolError::NoSuchIdentifier, None),
                }
            }
            _ => None,
        }
    }

    fn bytes(&self) -> usize {
        self.kept.values().map(Kept::bytes).sum()
    }

    fn begin(&mut self, disk: &dyn Disk, client: u64, owner: Owner, asked: Message) -> Vec<Queued> {
        let identifier = asked.field("Identifier").map(str::to_owned);
        let refuse = |code, extra: &str| vec![Queued::Say(client, protocol_error(code, Some(extra), identifier.as_deref(), false))];
        match asked.field("Persistence").unwrap_or("connection") {
            "reboot" | "forever" => {}
            "connection" => return refuse(ProtocolError::NotSupported, "a global request needs Persistence=reboot or forever"),
            _ => return refuse(ProtocolError::InvalidField, "Persistence"),
        }
        let taken = |kept: &Kept| kept.owner == owner && Some(kept.identifier()) == identifier.as_deref();
        if self.kept.values().any(taken) {
            let collision = Message::new("IdentifierCollision").with("Identifier", identifier.unwrap_or_default());
            return vec![Queued::Say(client, collision.with("Global", owner == Owner::Global))];
        }
        let bytes = self.bytes() + asked.data.as_ref().map_or(0, bytes::Bytes::len);
        if self.kept.len() >= KEPT_MAX || bytes > KEPT_BYTES_MAX {
            return refuse(ProtocolError::Internal, "too much is kept already; remove requests that are over");
        }
        let (kept, request) = match open(disk, owner, asked) {
            Ok(opened) => opened,
            Err(words) => return words.into_iter().map(|word| Queued::Say(client, word)).collect(),
        };
        self.last += 1;
        let number = self.last;
        let mut effects = Vec::new();
        if kept.lasts_forever() {
            effects.push(Queued::Keep(number, kept.written()));
        }
        effects.extend(self.hearers(&kept.owner, Some(client)).into_iter().map(|to| Queued::Say(to, kept.echo())));
        effects.push(Queued::Start(number, request));
        self.kept.insert(number, kept);
        effects
    }

    /// Takes up what was written down in an earlier life under that number. `false` when it cannot be read.
    pub fn resume(&mut self, disk: &dyn Disk, number: u64, bytes: &[u8], effects: &mut Vec<Queued>) -> bool {
        let mut input = BytesMut::from(bytes);
        let mut codec = Codec::default();
        let mut messages = Vec::new();
        while let Ok(Some(message)) = codec.decode(&mut input) {
            messages.push(message);
        }
        if messages.is_empty() || !input.is_empty() {
            return false;
        }
        let mut asked = messages.remove(0);
        let owner = match asked.field(OWNER) {
            Some("") => Owner::Global,
            Some(name) => Owner::Client(name.to_owned()),
            None => return false,
        };
        asked.fields.retain(|(key, _)| key != OWNER);
        self.last = self.last.max(number);
        if messages.iter().any(|word| is_end(&word.name)) {
            let kept = Kept { owner, asked, session: Session::kept(), words: messages, data: None, over: true };
            self.kept.insert(number, kept);
            return true;
        }
        let Ok((kept, request)) = open(disk, owner, asked) else { return false };
        effects.push(Queued::Start(number, request));
        self.kept.insert(number, kept);
        true
    }

    /// The node tells how a request gets on.
    #[must_use]
    pub fn told(&mut self, disk: &dyn Disk, number: u64, progress: Progress<Reply>) -> Vec<Queued> {
        let room = KEPT_BYTES_MAX.saturating_sub(self.bytes());
        let progress = match progress {
            Progress::Own(Reply::Got { bytes, .. }) if bytes.len() > room => {
                Progress::Failed(Failure::Full("too much is kept already; remove requests that are over"))
            }
            progress => progress,
        };
        let Some(kept) = self.kept.get_mut(&number) else { return Vec::new() };
        let mut fresh = Vec::new();
        // A session calls everything that it starts by the number one, and has started one thing.
        for effect in kept.session.told(disk, 1, progress) {
            let Said::Say(word) = effect else { continue };
            let word = kept.owned(word);
            if word.name == "AllData" {
                kept.data = Some(word);
                continue;
            }
            kept.over |= is_end(&word.name);
            // The last word on how far it is takes the place of those before.
            kept.words.retain(|said| word.name != "SimpleProgress" || said.name != word.name);
            if kept.words.len() < WORDS_MAX {
                kept.words.push(word.clone());
            }
            fresh.push(word);
        }
        if fresh.is_empty() {
            return Vec::new();
        }
        let mut effects = Vec::new();
        if kept.over {
            kept.asked.data = None;
            // What was got is not written down: the node has it, and gets it again after a restart. What is in a file is there.
            let is_over_for_good =
                kept.is_put() || kept.asked.field("ReturnType") == Some("disk") || kept.words.iter().any(|word| word.name == "GetFailed");
            if kept.lasts_forever() && is_over_for_good {
                effects.push(Queued::Keep(number, kept.written()));
            }
        }
        let owner = kept.owner.clone();
        for to in self.hearers(&owner, None) {
            effects.extend(fresh.iter().map(|word| Queued::Say(to, word.clone())));
        }
        effects
    }

    /// Those who hear of requests of that owner.
    fn hearers(&self, owner: &Owner, asker: Option<u64>) -> Vec<u64> {
        let hears = |number: u64, client: &Client| match owner {
            Owner::Global => client.watches || Some(number) == asker,
            Owner::Client(name) => client.name == *name,
        };
        self.clients.iter().filter(|(number, client)| hears(**number, client)).map(|(number, _)| *number).collect()
    }

    fn status(&self, client: u64, number: u64, only_data: bool) -> Vec<Queued> {
        let Some(kept) = self.kept.get(&number) else { return Vec::new() };
        let mut effects = if only_data { Vec::new() } else { tell_all(kept, client) };
        effects.extend(kept.data.clone().map(|data| Queued::Say(client, data)));
        effects
    }

    fn modify(&mut self, number: u64, message: &Message) -> Vec<Queued> {
        let Some(kept) = self.kept.get_mut(&number) else { return Vec::new() };
        let mut told = Message::new("PersistentRequestModified").with("Identifier", kept.identifier());
        for key in ["ClientToken", "PriorityClass"] {
            if let Some(value) = message.field(key) {
                kept.asked.fields.retain(|(known, _)| known != key);
                kept.asked.fields.push((key.to_owned(), value.to_owned()));
                told = told.with(key, value);
            }
        }
        let told = kept.owned(told);
        let mut effects = Vec::new();
        if kept.lasts_forever() && (!kept.over || kept.is_put()) {
            effects.push(Queued::Keep(number, kept.written()));
        }
        let owner = kept.owner.clone();
        effects.extend(self.hearers(&owner, None).into_iter().map(|to| Queued::Say(to, told.clone())));
        effects
    }

    fn remove(&mut self, client: u64, number: u64) -> Vec<Queued> {
        let Some(kept) = self.kept.remove(&number) else { return Vec::new() };
        let mut effects = Vec::new();
        if !kept.over {
            effects.push(Queued::Cancel(number));
        }
        if kept.lasts_forever() {
            effects.push(Queued::Forget(number));
        }
        let told = kept.owned(Message::new("PersistentRequestRemoved").with("Identifier", kept.identifier()));
        effects.extend(self.hearers(&kept.owner, Some(client)).into_iter().map(|to| Queued::Say(to, told.clone())));
        effects
    }
}

/// Reads a request as a session of a connection does. What is wrong with it is said in that session's words.
fn open(disk: &dyn Disk, owner: Owner, asked: Message) -> Result<(Kept, Request), Vec<Message>> {
    let mut plain = asked.clone();
    plain.fields.retain(|(key, _)| !matches!(key.as_str(), "Persistence" | "Global"));
    let mut session = Session::kept();
    let mut words = Vec::new();
    for effect in session.hears(disk, &plain) {
        match effect {
            Said::Start(_, request) => {
                return Ok((Kept { owner, asked, session, words: Vec::new(), data: None, over: false }, request));
            }
            Said::Say(word) => words.push(word),
            Said::Cancel(_) | Said::Later(..) | Said::Named(_) | Said::Close | Said::Stop => {}
        }
    }
    Err(words)
}

fn tell_all(kept: &Kept, client: u64) -> Vec<Queued> {
    let words = std::iter::once(kept.echo()).chain(kept.words.iter().cloned());
    words.map(|word| Queued::Say(client, word)).collect()
}

fn is_end(name: &str) -> bool {
    matches!(name, "DataFound" | "GetFailed" | "PutSuccessful" | "PutFailed")
}
