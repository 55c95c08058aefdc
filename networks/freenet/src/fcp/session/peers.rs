//! Peers, as a program lists and changes them: friends are taken in, noted and forgotten; whoever else is a neighbour can only be seen.

use data_encoding::BASE64;
use hexad_core::{Endpoint, Failure};

use super::super::about::{self, Whom};
use super::super::codec::Message;
use super::super::codes::ProtocolError;
use super::super::disk::{Disk, code_of};
use super::super::words::{named, protocol_error};
use super::{Effect, Kind, Session};
use crate::invitation::Invitation;
use crate::keys::of_base64;
use crate::node::{FriendChange, FriendWords, Request, Status, Trust, Visibility};

/// A reference in a file is no longer than this.
const REFERENCE_BYTES_MAX: usize = 16 << 10;
/// The only kind of notes there is: those for the user's own eyes.
const PRIVATE_NOTE: &str = "1";

/// What is to be done with a peer once it is known which it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Errand {
    /// Tell it.
    Show,
    /// Tell what is noted of it.
    Notes,
    /// Note this.
    Note(String),
    /// Change it.
    Change(FriendChange),
    /// Forget it.
    Remove,
}

/// A wish that cannot be granted: the code, and which field it is about.
type Wrong = (ProtocolError, String);

impl Session {
    /// `AddPeer`: a reference in the message or in a file, or an invitation.
    pub(super) fn on_add_peer(&mut self, disk: &dyn Disk, message: &Message) -> Vec<Effect> {
        let identifier = message.field("Identifier").unwrap_or_default().to_owned();
        match self.peer_wanted(disk, message) {
            Ok(request) => self.start(identifier, Kind::Added, request),
            Err((code, extra)) => vec![Effect::Say(protocol_error(code, Some(&extra), message.field("Identifier"), false))],
        }
    }

    fn peer_wanted(&self, disk: &dyn Disk, message: &Message) -> Result<Request, Wrong> {
        let words = words_of(message)?;
        if let Some(text) = message.field("Invitation") {
            let invitation: Invitation = text.parse().map_err(|wrong| (ProtocolError::ReferenceParse, wrong))?;
            return Ok(Request::Accept(Box::new(invitation)));
        }
        if let Some(url) = message.field("URL") {
            // A node that fetched what a program names would show others on the line whom it is about to know.
            let is_one = ["http://", "https://"].iter().any(|scheme| url.len() > scheme.len() && url.starts_with(scheme));
            let code = if is_one { ProtocolError::NotSupported } else { ProtocolError::UrlParse };
            return Err((code, "URL".into()));
        }
        let from_file;
        let reference = match message.field("File") {
            None => message,
            Some(path) => {
                if !self.access.may_read(path) {
                    return Err((ProtocolError::DirectDiskAccessDenied, "File".into()));
                }
                let bytes = disk.read(path, REFERENCE_BYTES_MAX).map_err(|wrong| (code_of(&wrong), "File".into()))?;
                from_file = reference_of(&bytes)?;
                &from_file
            }
        };
        let key = reference.field("identity").ok_or((ProtocolError::ReferenceParse, "identity".to_owned()))?;
        let key: Option<[u8; 32]> = of_base64(key).and_then(|key| key.try_into().ok());
        let key = key.ok_or((ProtocolError::ReferenceParse, "identity".to_owned()))?;
        if Some(key) == self.facts.identity {
            return Err((ProtocolError::PeerIsSelf, "identity".into()));
        }
        // Hyphanet writes several sockets with a semicolon between them.
        let sockets = reference.field("physical.udp").ok_or((ProtocolError::ReferenceParse, "physical.udp".to_owned()))?;
        let socket = sockets.split(';').find_map(|socket| socket.trim().parse().ok());
        let socket = socket.ok_or((ProtocolError::ReferenceParse, "physical.udp".to_owned()))?;
        let name = reference.field("myName").unwrap_or_default().to_owned();
        Ok(Request::Befriend(Endpoint::Key(key, socket), Box::new(FriendWords { name, ..words })))
    }

    /// A message that is about one peer.
    pub(super) fn on_peer_errand(&mut self, message: &Message) -> Vec<Effect> {
        let identifier = message.field("Identifier");
        let refuse = |(code, extra): Wrong| vec![Effect::Say(protocol_error(code, Some(&extra), identifier, false))];
        let Some(wanted) = message.field("NodeIdentifier") else {
            return refuse((ProtocolError::MissingField, "NodeIdentifier".into()));
        };
        let errand = match message.name.as_str() {
            "ModifyPeer" => change_of(message).map(Errand::Change),
            "RemovePeer" => Ok(Errand::Remove),
            "ListPeerNotes" => Ok(Errand::Notes),
            "ModifyPeerNote" => match message.field("PeerNoteType") {
                None => Err((ProtocolError::MissingField, "PeerNoteType".to_owned())),
                Some(PRIVATE_NOTE) => note_of(message).map(Errand::Note),
                Some(other) => {
                    let unknown = Message::new("UnknownPeerNoteType").with("PeerNoteType", other);
                    return vec![Effect::Say(named(unknown, identifier))];
                }
            },
            _ => Ok(Errand::Show),
        };
        match errand {
            Ok(errand) => {
                let kind = Kind::Peer(wanted.to_owned(), Box::new(errand));
                self.start(identifier.unwrap_or_default().to_owned(), kind, Request::Status)
            }
            Err(wrong) => refuse(wrong),
        }
    }

    /// The node has said who its peers are.
    pub(super) fn on_peer_known(&mut self, status: &Status, wanted: &str, errand: Errand, identifier: &str) -> Vec<Effect> {
        let asker = Some(identifier).filter(|identifier| !identifier.is_empty());
        let whom = about::whom(status, wanted);
        let friend = whom.and_then(|whom| whom.friend);
        let (request, kind) = match (whom, friend, errand) {
            (Some(whom), _, Errand::Show) => return vec![Effect::Say(named(about::peer(whom, status.is_darknet, true, true), asker))],
            (_, Some(friend), Errand::Notes) => {
                let mut told = Vec::new();
                if !friend.words.note.is_empty() {
                    told.push(note_message(wanted, &friend.words.note));
                }
                told.push(Message::new("EndListPeerNotes").with("NodeIdentifier", wanted));
                return told.into_iter().map(|message| Effect::Say(named(message, asker))).collect();
            }
            (_, Some(friend), Errand::Note(note)) => {
                let change = FriendChange { key: friend.key, note: Some(note), ..FriendChange::default() };
                (Request::ChangeFriend(Box::new(change)), Kind::Noted(wanted.to_owned()))
            }
            (_, Some(friend), Errand::Change(change)) => {
                (Request::ChangeFriend(Box::new(FriendChange { key: friend.key, ..change })), Kind::Added)
            }
            (_, Some(friend), Errand::Remove) => {
                let kind = Kind::Removed { wanted: wanted.to_owned(), key: friend.key };
                (Request::Unfriend(Box::new(friend.key)), kind)
            }
            // Nobody is a neighbour by our wish but friends: the others come and go by themselves.
            (Some(_), None, Errand::Notes | Errand::Note(_) | Errand::Change(_) | Errand::Remove) => {
                let error = protocol_error(ProtocolError::DarknetOnly, Some("NodeIdentifier"), asker, false);
                return vec![Effect::Say(error)];
            }
            (None, ..) => {
                let unknown = Message::new("UnknownNodeIdentifier").with("NodeIdentifier", wanted);
                return vec![Effect::Say(named(unknown, asker))];
            }
        };
        self.start(identifier.to_owned(), kind, request)
    }
}

/// Why somebody cannot be taken in, or is not let in elsewhere.
pub(super) fn peer_error(failure: &Failure) -> ProtocolError {
    match failure {
        Failure::Refused(why) if why.contains("already") => ProtocolError::DuplicatePeer,
        Failure::Refused(_) => ProtocolError::AccessDenied,
        Failure::Unusable(why) if why.contains("own") => ProtocolError::PeerIsSelf,
        Failure::Unusable(_) => ProtocolError::ReferenceParse,
        _ => ProtocolError::Internal,
    }
}

pub(super) fn note_message(wanted: &str, note: &str) -> Message {
    let message = Message::new("PeerNote").with("NodeIdentifier", wanted).with("PeerNoteType", PRIVATE_NOTE);
    message.with("NoteText", BASE64.encode(note.as_bytes()))
}

fn words_of(message: &Message) -> Result<FriendWords, Wrong> {
    let missing = |field: &str| (ProtocolError::MissingField, field.to_owned());
    let invalid = |field: &str| (ProtocolError::InvalidField, field.to_owned());
    let trust = match message.field("Trust").ok_or_else(|| missing("Trust"))? {
        "LOW" => Trust::Low,
        "NORMAL" => Trust::Normal,
        "HIGH" => Trust::High,
        _ => return Err(invalid("Trust")),
    };
    let visibility = match message.field("Visibility").ok_or_else(|| missing("Visibility"))? {
        "YES" => Visibility::Yes,
        "NAME_ONLY" => Visibility::NameOnly,
        "NO" => Visibility::No,
        _ => return Err(invalid("Visibility")),
    };
    Ok(FriendWords { trust, visibility, ..FriendWords::default() })
}

/// Lines of a file, up to the one that ends it.
fn reference_of(bytes: &[u8]) -> Result<Message, Wrong> {
    let text = std::str::from_utf8(bytes).map_err(|_| (ProtocolError::ReferenceParse, "File".to_owned()))?;
    let mut reference = Message::new("reference");
    for line in text.lines().map(str::trim).take_while(|line| !line.starts_with("End")) {
        if let Some((key, value)) = line.split_once('=') {
            reference = reference.with(key, value);
        }
    }
    Ok(reference)
}

fn change_of(message: &Message) -> Result<FriendChange, Wrong> {
    let flag = |field: &str| match message.field(field).map(str::to_ascii_lowercase).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err((ProtocolError::InvalidField, field.to_owned())),
    };
    // What our links have no choice about: their addresses may be any, they do not come in bursts, and ports are what they are.
    for (field, holds) in [("AllowLocalAddresses", true), ("IsBurstOnly", false), ("IgnoreSourcePort", false)] {
        if flag(field)?.is_some_and(|wanted| wanted != holds) {
            return Err((ProtocolError::NotSupported, field.to_owned()));
        }
    }
    Ok(FriendChange { is_disabled: flag("IsDisabled")?, is_listen_only: flag("IsListenOnly")?, ..FriendChange::default() })
}

fn note_of(message: &Message) -> Result<String, Wrong> {
    let text = message.field("NoteText").ok_or((ProtocolError::MissingField, "NoteText".to_owned()))?;
    let note = BASE64.decode(text.as_bytes()).ok().and_then(|note| String::from_utf8(note).ok());
    note.ok_or((ProtocolError::InvalidField, "NoteText".to_owned()))
}

impl Whom<'_> {
    /// What `PeerRemoved` calls it.
    pub(super) fn removed(wanted: &str, key: &[u8; 32]) -> Message {
        Message::new("PeerRemoved").with("Identity", crate::keys::base64(key)).with("NodeIdentifier", wanted)
    }
}
