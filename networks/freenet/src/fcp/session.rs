//! One client's conversation. It hears messages and how the node gets on, and says what is to be sent and done; sockets are the daemon's.

mod peers;
mod settings;
mod told;

use std::sync::Arc;

use data_encoding::HEXLOWER;
use hexad_core::{Map, Span};

use super::about::{self, Facts};
use super::codec::Message;
use super::codes::{GetFailed, ProtocolError, PutFailed};
use super::disk::{Access, Disk};
use super::putting::asked_to_put;
use super::subscription::Subscription;
use super::words::{get_failed, named, protocol_error, put_failed};
use crate::gateway;
use crate::keys::{Uri, UriError, sha256};
use crate::node::{INQUIRY_HTL_MAX, Request};
use peers::Errand;
pub use settings::Tunable;

/// Requests of one client under way.
const REQUESTS_MAX: usize = 256;
/// The most that is fetched when the client does not say.
pub(super) const BYTES_MAX: u64 = 64 << 20;
/// Bit of `Verbosity` that asks for `SendingToNetwork` (spec B4); `told.rs` has the others.
const VERBOSE_SENDING: u64 = 2;
/// Bit that asks for hashes.
const VERBOSE_HASHES: u64 = 8;

/// What follows from something heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this to the client.
    Say(Message),
    /// Start this at the node, and tell the session under that number how it gets on.
    Start(u64, Request),
    /// Take that back.
    Cancel(u64),
    /// Wake the session under that number after so long ([`Session::woken`]).
    Later(u64, Span),
    /// The client has this name from here on: an older connection of the same name is to be closed.
    Named(String),
    /// Close the connection when everything is sent.
    Close,
    /// Stop the node.
    Stop,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    /// Whether the data is sent, or to which file it goes.
    Get {
        returns: bool,
        file: Option<String>,
        verbosity: u64,
    },
    Put {
        verbosity: u64,
    },
    MakeKey,
    Node {
        with_volatile: bool,
    },
    Peers {
        with_metadata: bool,
        with_volatile: bool,
    },
    /// A peer, and what is to be done with it.
    Peer(String, Box<Errand>),
    /// Somebody is taken in, or changed.
    Added,
    Noted(String),
    Removed {
        wanted: String,
        key: [u8; 32],
    },
    /// Settings, as that message asks for them.
    Config(Box<Message>),
    Probe,
    Subscribe(Box<Subscription>),
}

#[derive(Clone, Debug)]
struct Task {
    identifier: String,
    kind: Kind,
    /// What was told, for a put: its key.
    uri: Option<Uri>,
    /// For a get: it was told what is expected.
    was_expected: bool,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Session {
    connection: [u8; 16],
    facts: Arc<Facts>,
    access: Access,
    /// It may change the node itself.
    is_trusted: bool,
    greeted: bool,
    over: bool,
    tasks: Map<u64, Task>,
    last_task: u64,
}

impl Session {
    /// A fresh one; `connection` identifies it and nothing else.
    #[must_use]
    pub fn new(connection: [u8; 16], facts: Arc<Facts>) -> Self {
        Self {
            connection,
            facts,
            access: Access::default(),
            is_trusted: false,
            greeted: false,
            over: false,
            tasks: Map::new(),
            last_task: 0,
        }
    }

    /// One whose program may change the node itself: its peers, its settings, and whether it runs.
    #[must_use]
    pub fn trusted(self) -> Self {
        Self { is_trusted: true, ..self }
    }

    /// One that hears a single request, which is kept for longer than a connection.
    pub(super) fn kept() -> Self {
        Self { greeted: true, access: Access::all(), ..Self::new([0; 16], Arc::default()) }
    }

    /// Whether it has been greeted, and what it hears may be for the queue.
    #[must_use]
    pub const fn is_greeted(&self) -> bool {
        self.greeted && !self.over
    }

    /// What is to be said to a request that is to outlive the connection and has files read or written which the connection may not use.
    #[must_use]
    pub fn refuses(&self, disk: &dyn Disk, message: &Message) -> Option<Message> {
        let identifier = message.field("Identifier");
        let may_read = |path: &str, hash: Option<&str>| self.may_read(disk, path, identifier.unwrap_or_default(), hash);
        let file = message.field("Filename").unwrap_or_default();
        let allowed = match message.name.as_str() {
            "ClientGet" if message.field("ReturnType") == Some("disk") => self.access.may_write(file),
            "ClientPut" if message.field("UploadFrom") == Some("disk") => may_read(file, message.field("FileHash")),
            "ClientPutDiskDir" => may_read(&format!("{}/", file.trim_end_matches('/')), None),
            "ClientPutComplexDir" => {
                let files = message.fields.iter().filter(|(key, _)| key.starts_with("Files.") && key.ends_with(".Filename"));
                files.map(|(_, file)| file).all(|file| may_read(file, None))
            }
            _ => true,
        };
        (!allowed).then(|| protocol_error(ProtocolError::DirectDiskAccessDenied, None, identifier, false))
    }

    /// What is to be cancelled when the client has gone: requests of a connection end with it.
    #[must_use]
    pub fn ends(&mut self, disk: &dyn Disk) -> Vec<Effect> {
        self.over = true;
        self.access.close(disk);
        std::mem::take(&mut self.tasks).into_keys().map(Effect::Cancel).collect()
    }

    /// The client's bytes are no message.
    #[must_use]
    pub fn garbled(&mut self) -> Vec<Effect> {
        self.over = true;
        vec![Effect::Say(protocol_error(ProtocolError::MessageParse, None, None, true)), Effect::Close]
    }

    /// Hears a message.
    #[must_use]
    pub fn hears(&mut self, disk: &dyn Disk, message: &Message) -> Vec<Effect> {
        if self.over {
            return Vec::new();
        }
        let identifier = message.field("Identifier").map(str::to_owned);
        if !self.greeted {
            if message.name != "ClientHello" {
                self.over = true;
                let error = protocol_error(ProtocolError::ClientHelloMustBeFirst, None, None, true);
                return vec![Effect::Say(error), Effect::Close];
            }
            return self.on_hello(message);
        }
        let refuse = |code| vec![Effect::Say(protocol_error(code, None, identifier.as_deref(), false))];
        let asker = || identifier.clone().unwrap_or_default();
        match message.name.as_str() {
            "ClientHello" => refuse(ProtocolError::NoLateClientHellos),
            "Void" | "WatchGlobal" => Vec::new(),
            "Disconnect" => {
                let mut effects = self.ends(disk);
                effects.push(Effect::Close);
                effects
            }
            "Shutdown" | "AddPeer" | "ModifyPeer" | "RemovePeer" | "ModifyPeerNote" | "ModifyConfig" if !self.is_trusted => {
                refuse(ProtocolError::AccessDenied)
            }
            "Shutdown" => {
                let error = protocol_error(ProtocolError::ShuttingDown, Some("The node is shutting down"), identifier.as_deref(), true);
                vec![Effect::Say(error), Effect::Close, Effect::Stop]
            }
            "ClientGet" => self.on_get(disk, message),
            "ClientPut" | "ClientPutComplexDir" | "ClientPutDiskDir" => self.on_put(disk, message),
            "AddPeer" => self.on_add_peer(disk, message),
            "ListPeer" | "ModifyPeer" | "RemovePeer" | "ListPeerNotes" | "ModifyPeerNote" => self.on_peer_errand(message),
            "GenerateSSK" => self.start(asker(), Kind::MakeKey, Request::MakeKey),
            "GetNode" if message.flag("WithPrivate", false) => refuse(ProtocolError::AccessDenied),
            "GetNode" => self.start(asker(), Kind::Node { with_volatile: message.flag("WithVolatile", false) }, Request::Status),
            "SubscribeUSK" => self.on_subscribe(message),
            "UnsubscribeUSK" | "RemoveRequest" | "RemovePersistentRequest" => self.on_remove(message),
            "GetRequestStatus" | "ModifyPersistentRequest" => refuse(ProtocolError::NoSuchIdentifier),
            "ListPersistentRequests" => vec![Effect::Say(named(Message::new("EndListPersistentRequests"), identifier.as_deref()))],
            "ListPeers" => {
                let (with_metadata, with_volatile) = (message.flag("WithMetadata", false), message.flag("WithVolatile", false));
                self.start(asker(), Kind::Peers { with_metadata, with_volatile }, Request::Status)
            }
            "TestDDARequest" => {
                let secret = sha256(&[&self.facts.secret, &self.connection]);
                vec![Effect::Say(self.access.begin(disk, &secret, message))]
            }
            "TestDDAResponse" => vec![Effect::Say(self.access.end(disk, message))],
            "GetConfig" => self.on_get_config(message),
            "ModifyConfig" => self.on_modify_config(message),
            "ProbeRequest" => self.on_probe(message),
            "Filter" => vec![Effect::Say(self.on_filter(disk, message))],
            "FCPPluginMessage" => refuse(ProtocolError::NoSuchPlugin),
            "GetPluginInfo" | "LoadPlugin" | "ReloadPlugin" | "RemovePlugin" => refuse(ProtocolError::PluginsDisabled),
            _ => refuse(ProtocolError::InvalidMessage),
        }
    }

    fn connection_text(&self) -> String {
        HEXLOWER.encode(&self.connection)
    }

    fn on_hello(&mut self, message: &Message) -> Vec<Effect> {
        let missing = |field: &str| vec![Effect::Say(protocol_error(ProtocolError::MissingField, Some(field), None, false))];
        let Some(name) = message.field("Name") else { return missing("Name") };
        if message.field("ExpectedVersion").is_none() {
            return missing("ExpectedVersion");
        }
        self.greeted = true;
        let hello = Message::new("NodeHello")
            .with("FCPVersion", "2.0")
            .with("Node", "Hexad")
            .with("Version", about::VERSION)
            .with("Build", crate::node::BUILD)
            .with("Revision", env!("CARGO_PKG_VERSION"))
            .with("ExtBuild", 29)
            .with("ExtRevision", "none")
            .with("Testnet", false)
            .with("CompressionCodecs", "4 - GZIP(0), BZIP2(1), LZMA(2), LZMA_NEW(3)")
            .with("ConnectionIdentifier", self.connection_text())
            .with("NodeLanguage", "ENGLISH");
        vec![Effect::Named(name.to_owned()), Effect::Say(hello)]
    }

    /// Room for a task; its number.
    fn begin(&mut self, identifier: String, kind: Kind) -> Result<u64, Vec<Effect>> {
        if self.tasks.len() >= REQUESTS_MAX {
            return Err(vec![Effect::Say(protocol_error(ProtocolError::Internal, None, Some(&identifier), false))]);
        }
        let lasts = matches!(kind, Kind::Get { .. } | Kind::Put { .. } | Kind::Subscribe(_));
        if lasts && !identifier.is_empty() && self.tasks.values().any(|task| task.identifier == identifier) {
            let collision = Message::new("IdentifierCollision").with("Identifier", identifier).with("Global", false);
            return Err(vec![Effect::Say(collision)]);
        }
        self.last_task += 1;
        self.tasks.insert(self.last_task, Task { identifier, kind, uri: None, was_expected: false });
        Ok(self.last_task)
    }

    fn start(&mut self, identifier: String, kind: Kind, request: Request) -> Vec<Effect> {
        match self.begin(identifier, kind) {
            Ok(task) => vec![Effect::Start(task, request)],
            Err(effects) => effects,
        }
    }

    /// What a get and a put have in common: both fields, and a URI that can be read.
    fn asked(message: &Message) -> Result<(String, Uri), Vec<Effect>> {
        let identifier = message.field("Identifier");
        let error = |code, extra: &str| vec![Effect::Say(protocol_error(code, Some(extra), identifier, false))];
        let Some(named) = identifier else { return Err(error(ProtocolError::MissingField, "Identifier")) };
        let Some(uri) = message.field("URI") else { return Err(error(ProtocolError::MissingField, "URI")) };
        if message.flag("Global", false) || message.field("Persistence").is_some_and(|persistence| persistence != "connection") {
            return Err(error(ProtocolError::NotSupported, "only requests of a connection are kept"));
        }
        Uri::parse(uri).map(|uri| (named.to_owned(), uri)).map_err(|wrong| error(ProtocolError::UriParse, &wrong.to_string()))
    }

    fn on_get(&mut self, disk: &dyn Disk, message: &Message) -> Vec<Effect> {
        let (identifier, uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let refuse = |code, extra: Option<&str>| vec![Effect::Say(protocol_error(code, extra, Some(&identifier), false))];
        let (mut returns, mut file) = (false, None);
        match message.field("ReturnType").unwrap_or("direct") {
            "direct" => returns = true,
            "none" => {}
            "disk" => {
                let Some(path) = message.field("Filename") else { return refuse(ProtocolError::MissingField, Some("Filename")) };
                if !self.access.may_write(path) {
                    return refuse(ProtocolError::DirectDiskAccessDenied, None);
                }
                if disk.read(path, 0) != Err(super::DiskError::NotFound) {
                    return refuse(ProtocolError::DiskTargetExists, Some("Filename"));
                }
                file = Some(path.to_owned());
            }
            _ => return refuse(ProtocolError::InvalidField, Some("ReturnType")),
        }
        let bytes_max = match message.field("MaxSize").map(str::parse::<u64>) {
            None => BYTES_MAX,
            Some(Ok(size)) => size.min(BYTES_MAX),
            Some(Err(_)) => return refuse(ProtocolError::NumberParse, Some("MaxSize")),
        };
        let retries = match message.field("MaxRetries").map(|text| text.trim().parse::<i64>()) {
            None => 0,
            // Minus one is for ever.
            Some(Ok(retries)) => u32::try_from(retries).unwrap_or(u32::MAX),
            Some(Err(_)) => return refuse(ProtocolError::NumberParse, Some("MaxRetries")),
        };
        if let Err(UriError::Unusable(why)) = usable(&uri) {
            return vec![Effect::Say(get_failed(GetFailed::InvalidUri, why, &identifier))];
        }
        let kind = Kind::Get { returns, file, verbosity: verbosity(message) };
        let mut effects = self.start(identifier.clone(), kind, Request::Get { uri: uri.to_string(), bytes_max, retries });
        if verbosity(message) & VERBOSE_SENDING != 0 && matches!(effects.last(), Some(Effect::Start(..))) {
            effects.insert(0, Effect::Say(Message::new("SendingToNetwork").with("Identifier", identifier).with("Global", false)));
        }
        effects
    }

    /// Whether the program may have a file read: it has shown that it can read the folder, or knows what is in the file.
    fn may_read(&self, disk: &dyn Disk, path: &str, identifier: &str, hash: Option<&str>) -> bool {
        let knows = |hash: &str| {
            let bytes = disk.read(path, usize::try_from(BYTES_MAX).unwrap_or(0));
            bytes.is_ok_and(|bytes| super::disk::file_hash(&self.connection_text(), identifier, &bytes) == hash)
        };
        self.access.may_read(path) || hash.is_some_and(knows)
    }

    fn on_put(&mut self, disk: &dyn Disk, message: &Message) -> Vec<Effect> {
        let (identifier, mut uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let may_read = |path: &str, hash: Option<&str>| self.may_read(disk, path, &identifier, hash);
        let put = match asked_to_put(disk, &may_read, message, &mut uri) {
            Ok(put) => put,
            Err((code, extra)) => return vec![Effect::Say(protocol_error(code, extra, Some(&identifier), false))],
        };
        let total: u64 = put.files.iter().map(|file| file.bytes.len() as u64).sum();
        if total > BYTES_MAX {
            return vec![Effect::Say(put_failed(PutFailed::TooBig, "expected at most 64 MiB", &identifier))];
        }
        if !uri.wants_key() && uri.insert().is_err() {
            return vec![Effect::Say(put_failed(PutFailed::InvalidUri, "the key cannot be written to", &identifier))];
        }
        let key_only = message.flag("GetCHKOnly", false);
        let Ok(metadata_max) = message.field("MetadataThreshold").map_or(Ok(0), |text| text.trim().parse::<i64>()) else {
            return vec![Effect::Say(protocol_error(ProtocolError::NumberParse, Some("MetadataThreshold"), Some(&identifier), false))];
        };
        // Minus one is what programs say who want none.
        let metadata_max = usize::try_from(metadata_max).unwrap_or(0);
        let request = Request::Put { uri: private_text(&uri), files: put.files, directory: put.directory, key_only, metadata_max };
        let hashes = match &request {
            Request::Put { files, directory: None, .. } if files[0].redirect.is_none() => Some(hashes_of(&files[0].bytes)),
            _ => None,
        };
        let verbosity = verbosity(message);
        let mut effects = self.start(identifier.clone(), Kind::Put { verbosity }, request);
        if let (Some(hashes), Some(Effect::Start(..))) = (hashes.filter(|_| verbosity & VERBOSE_HASHES != 0), effects.last()) {
            effects.insert(0, Effect::Say(hashes.with("Identifier", identifier).with("Global", false)));
        }
        effects
    }

    fn on_subscribe(&mut self, message: &Message) -> Vec<Effect> {
        let (identifier, uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let Some(subscription) = Subscription::of(uri, message.flag("SparsePoll", false)) else {
            return vec![Effect::Say(protocol_error(ProtocolError::InvalidField, Some("URI"), Some(&identifier), false))];
        };
        let polls = !message.flag("DontPoll", false);
        let subscribed = Message::new("SubscribedUSK").with("URI", subscription.uri()).with("DontPoll", !polls);
        let task = match self.begin(identifier.clone(), Kind::Subscribe(Box::new(subscription))) {
            Ok(task) => task,
            Err(effects) => return effects,
        };
        let mut effects = vec![Effect::Say(subscribed.with("Identifier", &identifier))];
        if polls {
            effects.extend(self.woken(task));
        }
        effects
    }

    /// The time has come that was asked for by [`Effect::Later`].
    #[must_use]
    pub fn woken(&mut self, number: u64) -> Vec<Effect> {
        let Some(task) = self.tasks.get(&number) else { return Vec::new() };
        let Kind::Subscribe(subscription) = &task.kind else { return Vec::new() };
        let sending = Message::new("SubscribedUSKSendingToNetwork").with("Identifier", &task.identifier);
        vec![Effect::Say(sending), Effect::Start(number, subscription.request())]
    }

    fn on_probe(&mut self, message: &Message) -> Vec<Effect> {
        let identifier = message.field("Identifier");
        let error = |code, extra: &str| vec![Effect::Say(protocol_error(code, Some(extra), identifier, false))];
        let Some(asker) = identifier else { return error(ProtocolError::MissingField, "Identifier") };
        let Some(what) = message.field("Type") else { return error(ProtocolError::MissingField, "Type") };
        let Ok(hops) = message.field("HopsToLive").map_or(Ok(u64::from(INQUIRY_HTL_MAX)), str::parse::<u64>) else {
            return error(ProtocolError::NumberParse, "HopsToLive");
        };
        let Some(what) = about::inquiry_of(&what.to_ascii_uppercase()) else {
            return vec![Effect::Say(about::probe_error("UNRECOGNIZED_TYPE", true).with("Identifier", asker))];
        };
        let hops = u16::try_from(hops).unwrap_or(INQUIRY_HTL_MAX).min(INQUIRY_HTL_MAX);
        self.start(asker.to_owned(), Kind::Probe, Request::Inquire(what, hops))
    }

    /// What the gateway's filter makes of something.
    fn on_filter(&self, disk: &dyn Disk, message: &Message) -> Message {
        let identifier = message.field("Identifier");
        let error = |code, extra: &str| protocol_error(code, Some(extra), identifier, false);
        let Some(asker) = identifier else { return error(ProtocolError::MissingField, "Identifier") };
        match message.field("Operation").map(str::to_ascii_uppercase).as_deref() {
            Some("READ" | "BOTH") => {}
            Some("WRITE") => return error(ProtocolError::NotSupported, "only what is read is filtered"),
            Some(_) => return error(ProtocolError::InvalidField, "Operation"),
            None => return error(ProtocolError::MissingField, "Operation"),
        }
        let file = message.field("Filename");
        let bytes = match message.field("DataSource").map(str::to_ascii_uppercase).as_deref() {
            Some("DIRECT") => match &message.data {
                Some(data) => data.clone(),
                None => return error(ProtocolError::MissingField, "DataLength"),
            },
            Some("DISK") => {
                let Some(path) = file else { return error(ProtocolError::MissingField, "Filename") };
                if !self.access.may_read(path) {
                    return error(ProtocolError::DirectDiskAccessDenied, "Filename");
                }
                match disk.read(path, usize::try_from(BYTES_MAX).unwrap_or(0)) {
                    Ok(bytes) => bytes,
                    Err(wrong) => return error(super::disk::code_of(&wrong), "Filename"),
                }
            }
            Some(_) => return error(ProtocolError::InvalidField, "DataSource"),
            None => return error(ProtocolError::MissingField, "DataSource"),
        };
        let Some(mime) = message.field("MimeType").or_else(|| file.and_then(gateway::mime_of_name)) else {
            return error(ProtocolError::BadMime, "MimeType");
        };
        let result = Message::new("FilterResult").with("Identifier", asker);
        match gateway::filtered(mime, &bytes) {
            Some((clean, bytes)) => {
                let charset = clean.split_once("charset=").map_or("", |(_, charset)| charset);
                let result = result.with("MimeType", clean.split(';').next().unwrap_or_default()).with("Charset", charset);
                let result = result.with("UnsafeContentType", false).with("DataLength", bytes.len());
                Message { data: Some(bytes), ..result }
            }
            None => result.with("MimeType", mime).with("UnsafeContentType", true),
        }
    }

    fn on_remove(&mut self, message: &Message) -> Vec<Effect> {
        let Some(identifier) = message.field("Identifier") else {
            return vec![Effect::Say(protocol_error(ProtocolError::MissingField, Some("Identifier"), None, false))];
        };
        let Some(task) = self.tasks.iter().find(|(_, task)| task.identifier == identifier).map(|(number, _)| *number) else {
            return vec![Effect::Say(protocol_error(ProtocolError::NoSuchIdentifier, None, Some(identifier), false))];
        };
        self.tasks.remove(&task);
        let mut effects = vec![Effect::Cancel(task)];
        if message.name != "UnsubscribeUSK" {
            effects.push(Effect::Say(Message::new("PersistentRequestRemoved").with("Identifier", identifier).with("Global", false)));
        }
        effects
    }
}

/// Who asked, where he has said so.
fn asker(identifier: &str) -> Option<&str> {
    Some(identifier).filter(|identifier| !identifier.is_empty())
}

fn hashes_of(bytes: &[u8]) -> Message {
    Message::new("ExpectedHashes").with("Hashes.SHA256", HEXLOWER.encode(&sha256(&[bytes])))
}

fn verbosity(message: &Message) -> u64 {
    message.field("Verbosity").and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// A URI with its private key: what only its owner is told.
fn private_text(uri: &Uri) -> String {
    uri.to_string()
}

fn usable(uri: &Uri) -> Result<(), UriError> {
    if uri.kind == crate::keys::Kind::Chk { uri.chk().map(drop) } else { uri.request().map(drop) }
}
