//! One client's conversation. It hears messages and how the node gets on, and says what is to be sent and done; sockets are the daemon's.

use bytes::Bytes;
use hexad_core::{Failure, Map, Progress};

use super::codec::Message;
use super::codes::{GetFailed, ProtocolError, PutFailed};
use crate::keys::{Uri, UriError, base64};
use crate::node::{Counts, PutFile, Reply, Request};

/// Requests of one client under way.
const REQUESTS_MAX: usize = 256;
/// The most that is fetched when the client does not say.
const BYTES_MAX: u64 = 64 << 20;
/// Bit of `Verbosity` that asks for progress.
const VERBOSE_PROGRESS: u64 = 1;

/// What follows from something heard.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// Send this to the client.
    Say(Message),
    /// Start this at the node, and tell the session under that number how it gets on.
    Start(u64, Request),
    /// Take that back.
    Cancel(u64),
    /// The client has this name from here on: an older connection of the same name is to be closed.
    Named(String),
    /// Close the connection when everything is sent.
    Close,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Get { returns: bool, verbosity: u64 },
    Put { verbosity: u64 },
    MakeKey,
    Node,
    Subscribe { uri: Box<Uri> },
}

#[derive(Clone, Debug)]
struct Task {
    identifier: String,
    kind: Kind,
    /// What was told, for a put: its key.
    uri: Option<Uri>,
}

/// A conversation.
#[derive(Clone, Debug)]
pub struct Session {
    connection: [u8; 16],
    greeted: bool,
    over: bool,
    tasks: Map<u64, Task>,
    last_task: u64,
}

impl Session {
    /// A fresh one; `connection` identifies it and nothing else.
    #[must_use]
    pub const fn new(connection: [u8; 16]) -> Self {
        Self { connection, greeted: false, over: false, tasks: Map::new(), last_task: 0 }
    }

    /// One that hears a single request, which is kept for longer than a connection.
    pub(super) const fn kept() -> Self {
        Self { connection: [0; 16], greeted: true, over: false, tasks: Map::new(), last_task: 0 }
    }

    /// Whether it has been greeted, and what it hears may be for the queue.
    #[must_use]
    pub const fn is_greeted(&self) -> bool {
        self.greeted && !self.over
    }

    /// What is to be cancelled when the client has gone: requests of a connection end with it.
    #[must_use]
    pub fn ends(&mut self) -> Vec<Effect> {
        self.over = true;
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
    pub fn hears(&mut self, message: Message) -> Vec<Effect> {
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
            return self.on_hello(&message);
        }
        let refuse = |code| vec![Effect::Say(protocol_error(code, None, identifier.as_deref(), false))];
        match message.name.as_str() {
            "ClientHello" => refuse(ProtocolError::NoLateClientHellos),
            "Void" | "WatchGlobal" => Vec::new(),
            "Disconnect" => {
                let mut effects = self.ends();
                effects.push(Effect::Close);
                effects
            }
            "Shutdown" => refuse(ProtocolError::AccessDenied),
            "ClientGet" => self.on_get(&message),
            "ClientPut" => self.on_put(&message),
            "ClientPutComplexDir" => self.on_put_directory(&message),
            "ClientPutDiskDir" | "AddPeer" | "ModifyPeer" | "RemovePeer" | "ModifyConfig" => refuse(ProtocolError::AccessDenied),
            "GenerateSSK" => self.start(identifier.unwrap_or_default(), Kind::MakeKey, Request::MakeKey),
            "GetNode" => self.start(identifier.unwrap_or_default(), Kind::Node, Request::Status),
            "SubscribeUSK" => self.on_subscribe(&message),
            "UnsubscribeUSK" | "RemoveRequest" | "RemovePersistentRequest" => self.on_remove(&message),
            "GetRequestStatus" | "ModifyPersistentRequest" => refuse(ProtocolError::NoSuchIdentifier),
            "ListPersistentRequests" => vec![Effect::Say(ended("EndListPersistentRequests", identifier.as_deref()))],
            "ListPeers" => vec![Effect::Say(ended("EndListPeers", identifier.as_deref()))],
            "ListPeerNotes" => vec![Effect::Say(ended("EndListPeerNotes", identifier.as_deref()))],
            "ListPeer" | "ModifyPeerNote" => {
                let named = message.field("NodeIdentifier").unwrap_or_default();
                vec![Effect::Say(Message::new("UnknownNodeIdentifier").with("NodeIdentifier", named))]
            }
            "TestDDARequest" => on_test_dda(&message),
            "TestDDAResponse" => vec![Effect::Say(
                Message::new("TestDDAComplete")
                    .with("Directory", message.field("Directory").unwrap_or_default())
                    .with("ReadDirectoryAllowed", false)
                    .with("WriteDirectoryAllowed", false),
            )],
            "FCPPluginMessage" => refuse(ProtocolError::NoSuchPlugin),
            "GetPluginInfo" | "LoadPlugin" | "ReloadPlugin" | "RemovePlugin" => refuse(ProtocolError::PluginsDisabled),
            "GetConfig" | "ProbeRequest" | "Filter" => refuse(ProtocolError::NotSupported),
            _ => refuse(ProtocolError::InvalidMessage),
        }
    }

    fn on_hello(&mut self, message: &Message) -> Vec<Effect> {
        let missing = |field: &str| vec![Effect::Say(protocol_error(ProtocolError::MissingField, Some(field), None, false))];
        let Some(name) = message.field("Name") else { return missing("Name") };
        if message.field("ExpectedVersion").is_none() {
            return missing("ExpectedVersion");
        }
        self.greeted = true;
        let connection: String = self.connection.iter().map(|byte| format!("{byte:02x}")).collect();
        let hello = Message::new("NodeHello")
            .with("FCPVersion", "2.0")
            .with("Node", "Hexad")
            .with("Version", "Hexad,0.1,1.0,1506")
            .with("Build", 1506)
            .with("Revision", env!("CARGO_PKG_VERSION"))
            .with("ExtBuild", 29)
            .with("ExtRevision", "none")
            .with("Testnet", false)
            .with("CompressionCodecs", "4 - GZIP(0), BZIP2(1), LZMA(2), LZMA_NEW(3)")
            .with("ConnectionIdentifier", connection)
            .with("NodeLanguage", "ENGLISH");
        vec![Effect::Named(name.to_owned()), Effect::Say(hello)]
    }

    fn start(&mut self, identifier: String, kind: Kind, request: Request) -> Vec<Effect> {
        let error = |code| vec![Effect::Say(protocol_error(code, None, Some(&identifier), false))];
        if self.tasks.len() >= REQUESTS_MAX {
            return error(ProtocolError::Internal);
        }
        let taken = !identifier.is_empty() && self.tasks.values().any(|task| task.identifier == identifier);
        if taken && !matches!(kind, Kind::MakeKey | Kind::Node) {
            return vec![Effect::Say(Message::new("IdentifierCollision").with("Identifier", identifier).with("Global", false))];
        }
        self.last_task += 1;
        self.tasks.insert(self.last_task, Task { identifier, kind, uri: None });
        vec![Effect::Start(self.last_task, request)]
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

    fn on_get(&mut self, message: &Message) -> Vec<Effect> {
        let (identifier, uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let returns = match message.field("ReturnType").unwrap_or("direct") {
            "direct" => true,
            "none" => false,
            "disk" => {
                let error = protocol_error(ProtocolError::DirectDiskAccessDenied, None, Some(&identifier), false);
                return vec![Effect::Say(error)];
            }
            _ => return vec![Effect::Say(protocol_error(ProtocolError::InvalidField, Some("ReturnType"), Some(&identifier), false))],
        };
        let bytes_max = match message.field("MaxSize").map(str::parse::<u64>) {
            None => BYTES_MAX,
            Some(Ok(size)) => size.min(BYTES_MAX),
            Some(Err(_)) => {
                return vec![Effect::Say(protocol_error(ProtocolError::NumberParse, Some("MaxSize"), Some(&identifier), false))];
            }
        };
        if let Err(UriError::Unusable(why)) = usable(&uri) {
            return vec![Effect::Say(get_failed(GetFailed::InvalidUri, why, &identifier, None))];
        }
        let retries = match message.field("MaxRetries").map(|text| text.trim().parse::<i64>()) {
            None => 0,
            // Minus one is for ever.
            Some(Ok(retries)) => u32::try_from(retries).unwrap_or(u32::MAX),
            Some(Err(_)) => {
                return vec![Effect::Say(protocol_error(ProtocolError::NumberParse, Some("MaxRetries"), Some(&identifier), false))];
            }
        };
        let verbosity = verbosity(message);
        self.start(identifier, Kind::Get { returns, verbosity }, Request::Get { uri: uri.to_string(), bytes_max, retries })
    }

    fn on_put(&mut self, message: &Message) -> Vec<Effect> {
        let (identifier, uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let refuse = |code, extra: Option<&str>| vec![Effect::Say(protocol_error(code, extra, Some(&identifier), false))];
        let mut redirect = None;
        let bytes = match message.field("UploadFrom").unwrap_or("direct") {
            "direct" => match &message.data {
                Some(data) => data.clone(),
                None => return refuse(ProtocolError::MissingField, Some("DataLength")),
            },
            "redirect" => {
                let Some(target) = message.field("TargetURI") else { return refuse(ProtocolError::MissingField, Some("TargetURI")) };
                if Uri::parse(target).is_err() {
                    return refuse(ProtocolError::UriParse, Some("TargetURI"));
                }
                redirect = Some(target.to_owned());
                Bytes::new()
            }
            "disk" => return refuse(ProtocolError::DirectDiskAccessDenied, None),
            _ => return refuse(ProtocolError::InvalidField, Some("UploadFrom")),
        };
        let mut uri = uri;
        if let Some(name) = message.field("TargetFilename").filter(|name| !name.is_empty()) {
            if name.contains('/') {
                return refuse(ProtocolError::InvalidField, Some("TargetFilename"));
            }
            if uri.wants_key() && uri.path.is_empty() {
                uri.path.push(name.to_owned());
            }
        }
        let mime = message.field("Metadata.ContentType").filter(|mime| !mime.is_empty()).map(str::to_owned);
        let files = vec![PutFile { path: String::new(), mime, bytes, redirect }];
        self.put(message, identifier, &uri, files, None)
    }

    fn put(
        &mut self,
        message: &Message,
        identifier: String,
        uri: &Uri,
        files: Vec<PutFile>,
        directory: Option<Option<String>>,
    ) -> Vec<Effect> {
        let verbosity = verbosity(message);
        let key_only = message.flag("GetCHKOnly", false);
        let writable = uri.wants_key() || uri.insert().is_ok();
        if !writable {
            return vec![Effect::Say(put_failed(PutFailed::InvalidUri, "the key cannot be written to", &identifier))];
        }
        let text = private_text(uri);
        self.start(identifier, Kind::Put { verbosity }, Request::Put { uri: text, files, directory, key_only })
    }

    fn on_put_directory(&mut self, message: &Message) -> Vec<Effect> {
        let (identifier, uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let refuse = |code, extra: Option<&str>| vec![Effect::Say(protocol_error(code, extra, Some(&identifier), false))];
        let mut files = Vec::new();
        let mut payload = message.data.clone().unwrap_or_default();
        for number in 0.. {
            let field = |what: &str| message.field(&format!("Files.{number}.{what}"));
            let Some(path) = field("Name") else { break };
            let mime = field("Metadata.ContentType").filter(|mime| !mime.is_empty()).map(str::to_owned);
            let mut file = PutFile { path: path.trim_start_matches('/').to_owned(), mime, bytes: Bytes::new(), redirect: None };
            match field("UploadFrom").unwrap_or("direct") {
                "direct" => {
                    let Some(length) = field("DataLength").and_then(|text| text.parse::<usize>().ok()) else {
                        return refuse(ProtocolError::MissingField, Some("Files.N.DataLength"));
                    };
                    if length > payload.len() {
                        return refuse(ProtocolError::MessageParse, Some("the files are longer than the payload"));
                    }
                    file.bytes = payload.split_to(length);
                }
                "redirect" => {
                    let Some(target) = field("TargetURI") else { return refuse(ProtocolError::MissingField, Some("Files.N.TargetURI")) };
                    file.redirect = Some(target.to_owned());
                }
                "disk" => return refuse(ProtocolError::DirectDiskAccessDenied, None),
                _ => return refuse(ProtocolError::InvalidField, Some("Files.N.UploadFrom")),
            }
            files.push(file);
        }
        if files.is_empty() {
            return refuse(ProtocolError::MissingField, Some("Files.0.Name"));
        }
        let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        if paths.windows(2).any(|pair| pair[0] == pair[1] || pair[1].starts_with(&format!("{}/", pair[0]))) {
            return refuse(ProtocolError::InvalidMessage, Some("a name is used twice, or for a file and a directory"));
        }
        let default = message.field("DefaultName").map(str::to_owned);
        self.put(message, identifier, &uri, files, Some(default))
    }

    fn on_subscribe(&mut self, message: &Message) -> Vec<Effect> {
        let (identifier, uri) = match Self::asked(message) {
            Ok(asked) => asked,
            Err(effects) => return effects,
        };
        let Some(edition) = uri.edition else {
            return vec![Effect::Say(protocol_error(ProtocolError::InvalidField, Some("URI"), Some(&identifier), false))];
        };
        let subscribed = Message::new("SubscribedUSK").with("URI", &uri).with("DontPoll", message.flag("DontPoll", false));
        let mut effects = vec![Effect::Say(subscribed.with("Identifier", &identifier))];
        let newest = Uri { edition: Some(-edition.abs().max(1)), ..uri.clone() };
        let request = Request::Get { uri: newest.to_string(), bytes_max: BYTES_MAX, retries: 0 };
        effects.extend(self.start(identifier, Kind::Subscribe { uri: Box::new(uri) }, request));
        effects
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

    /// The node tells how a request gets on.
    #[must_use]
    pub fn told(&mut self, number: u64, progress: Progress<Reply>) -> Vec<Effect> {
        let Some(task) = self.tasks.get_mut(&number) else { return Vec::new() };
        let identifier = task.identifier.clone();
        let say = |message: Message| Effect::Say(message.with("Identifier", &identifier).with("Global", false));
        match progress {
            Progress::Own(Reply::Got { uri, mime, bytes }) => {
                let kind = task.kind.clone();
                self.tasks.remove(&number);
                if let Kind::Subscribe { uri: asked } = kind {
                    let edition = uri.edition.or(asked.edition).unwrap_or(0).abs();
                    let update =
                        Message::new("SubscribedUSKUpdate").with("Edition", edition).with("URI", asked.at_edition(edition.unsigned_abs()));
                    return vec![say(update.with("NewKnownGood", true).with("NewSlotToo", true))];
                }
                let described = |name: &str| {
                    let message = Message::new(name).with("Metadata.ContentType", mime.as_deref().unwrap_or("application/octet-stream"));
                    message.with("DataLength", bytes.len()).with("StartupTime", 0).with("CompletionTime", 0)
                };
                let mut effects = vec![say(described("DataFound"))];
                if matches!(kind, Kind::Get { returns: true, .. }) {
                    let all = described("AllData").with("Identifier", &identifier).with("Global", false);
                    effects.push(Effect::Say(Message { data: Some(bytes.clone()), ..all }));
                }
                effects
            }
            Progress::Own(Reply::Put(uri)) => {
                let generated = say(Message::new("URIGenerated").with("URI", &uri));
                task.uri = Some(uri);
                vec![generated]
            }
            Progress::Own(Reply::Counted(counts)) => match task.kind {
                Kind::Get { verbosity, .. } | Kind::Put { verbosity } if verbosity & VERBOSE_PROGRESS != 0 => {
                    vec![say(progress_of(&counts))]
                }
                _ => Vec::new(),
            },
            Progress::Own(Reply::KeyPair(pair)) => {
                vec![say(Message::new("SSKKeypair").with("InsertURI", private_text(&pair.0)).with("RequestURI", &pair.1))]
            }
            Progress::Own(Reply::Status(status)) => {
                let location = status.location.map_or(-1.0, crate::keys::Location::unit);
                let node = Message::new("NodeData")
                    .with("identity", base64(&self.connection))
                    .with("myName", "Hexad")
                    .with("version", "Hexad,0.1,1.0,1506")
                    .with("location", location)
                    .with("opennet", true)
                    .with("volatile.numberOfPeers", status.peers)
                    .with("volatile.storedBlocks", status.blocks);
                vec![say(node)]
            }
            Progress::Done => {
                let Some(task) = self.tasks.remove(&number) else { return Vec::new() };
                match (task.kind, task.uri) {
                    (Kind::Put { .. }, Some(uri)) => {
                        vec![say(Message::new("PutSuccessful").with("URI", uri).with("StartupTime", 0).with("CompletionTime", 0))]
                    }
                    _ => Vec::new(),
                }
            }
            Progress::Failed(failure) => {
                let Some(task) = self.tasks.remove(&number) else { return Vec::new() };
                vec![Effect::Say(match task.kind {
                    Kind::Put { .. } => put_failed(put_code(&failure), &failure.to_string(), &identifier),
                    Kind::Get { .. } => get_failed(get_code(&failure), &failure.to_string(), &identifier, None),
                    // Nothing newer is no answer to a subscription.
                    Kind::Subscribe { .. } => Message::new("SubscribedUSKRoundFinished").with("Identifier", &identifier),
                    Kind::MakeKey | Kind::Node => {
                        protocol_error(ProtocolError::Internal, Some(&failure.to_string()), Some(&identifier), false)
                    }
                })]
            }
            Progress::Ended => {
                self.tasks.remove(&number);
                Vec::new()
            }
            Progress::Own(_) | Progress::Hit(_) | Progress::Described(_) => Vec::new(),
        }
    }
}

fn verbosity(message: &Message) -> u64 {
    message.field("Verbosity").and_then(|text| text.parse().ok()).unwrap_or(0)
}

fn progress_of(counts: &Counts) -> Message {
    let message = Message::new("SimpleProgress").with("Total", counts.total).with("Required", counts.required);
    let message = message.with("Failed", 0).with("FatallyFailed", counts.failed).with("Succeeded", counts.succeeded);
    message.with("FinalizedTotal", counts.is_final)
}

/// A URI with its private key: what only its owner is told.
fn private_text(uri: &Uri) -> String {
    uri.to_string()
}

fn usable(uri: &Uri) -> Result<(), UriError> {
    if uri.kind == crate::keys::Kind::Chk { uri.chk().map(drop) } else { uri.request().map(drop) }
}

fn ended(name: &str, identifier: Option<&str>) -> Message {
    let message = Message::new(name);
    match identifier {
        Some(identifier) => message.with("Identifier", identifier),
        None => message,
    }
}

fn on_test_dda(message: &Message) -> Vec<Effect> {
    let Some(directory) = message.field("Directory") else {
        return vec![Effect::Say(protocol_error(ProtocolError::MissingField, Some("Directory"), None, false))];
    };
    if !message.flag("WantReadDirectory", false) && !message.flag("WantWriteDirectory", false) {
        return vec![Effect::Say(protocol_error(ProtocolError::InvalidMessage, Some("neither is wanted"), None, false))];
    }
    // No file is named: neither is allowed.
    vec![Effect::Say(Message::new("TestDDAReply").with("Directory", directory))]
}

pub(super) fn protocol_error(code: ProtocolError, extra: Option<&str>, identifier: Option<&str>, fatal: bool) -> Message {
    let mut message = Message::new("ProtocolError").with("Code", code.number()).with("CodeDescription", code.words());
    if let Some(extra) = extra {
        message = message.with("ExtraDescription", extra);
    }
    message = message.with("Fatal", fatal).with("Global", false);
    match identifier {
        Some(identifier) => message.with("Identifier", identifier),
        None => message,
    }
}

fn get_failed(code: GetFailed, extra: &str, identifier: &str, redirect: Option<&Uri>) -> Message {
    let message = Message::new("GetFailed")
        .with("Code", code.number())
        .with("CodeDescription", code.words())
        .with("ShortCodeDescription", code.words())
        .with("ExtraDescription", extra)
        .with("Fatal", code.is_fatal())
        .with("Identifier", identifier)
        .with("Global", false);
    match redirect {
        Some(uri) => message.with("RedirectURI", uri),
        None => message,
    }
}

fn put_failed(code: PutFailed, extra: &str, identifier: &str) -> Message {
    Message::new("PutFailed")
        .with("Code", code.number())
        .with("CodeDescription", code.words())
        .with("ShortCodeDescription", code.words())
        .with("ExtraDescription", extra)
        .with("Fatal", code.is_fatal())
        .with("Identifier", identifier)
        .with("Global", false)
}

fn get_code(failure: &Failure) -> GetFailed {
    match failure {
        Failure::NotFound(what) if what.starts_with("can't find") => GetFailed::NotInArchive,
        Failure::NotFound(what) if what.starts_with("nobody was left") => GetFailed::RouteNotFound,
        Failure::NotFound(what) if what.starts_with("looked for a moment ago") => GetFailed::RecentlyFailed,
        Failure::NotFound(_) | Failure::TimedOut(_) => GetFailed::DataNotFound,
        Failure::Unusable(why) if why.starts_with("too many path") => GetFailed::TooManyPath,
        Failure::Unusable(why) if why.starts_with("not enough path") => GetFailed::NotEnoughPath,
        Failure::Unusable(why) if why.contains("more than") => GetFailed::TooBig,
        Failure::Unusable(_) => GetFailed::InvalidUri,
        Failure::Full(_) => GetFailed::RejectedOverload,
        Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => GetFailed::Internal,
    }
}

fn put_code(failure: &Failure) -> PutFailed {
    match failure {
        Failure::Refused(why) if why.starts_with("collision") => PutFailed::Collision,
        Failure::NotFound(_) | Failure::TimedOut(_) => PutFailed::RouteNotFound,
        Failure::Unusable(why) if why.contains("more than") => PutFailed::TooBig,
        Failure::Unusable(_) => PutFailed::InvalidUri,
        Failure::Full(_) => PutFailed::RejectedOverload,
        Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => PutFailed::Internal,
    }
}
