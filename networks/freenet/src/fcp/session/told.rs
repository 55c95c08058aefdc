//! What a session says of how its requests get on.

use bytes::Bytes;
use hexad_core::Progress;

use super::super::about::{self, Whom};
use super::super::codec::Message;
use super::super::codes::{GetFailed, ProtocolError};
use super::super::disk::Disk;
use super::super::words::{get_code, get_failed, named, protocol_error, put_code, put_failed};
use super::peers::{self, Errand};
use super::{Effect, Kind, Session, Task, VERBOSE_HASHES, asker, hashes_of, private_text};
use crate::node::{Counts, Reply};

/// Bit of `Verbosity` (spec B4).
const VERBOSE_COMPATIBILITY: u64 = 4;
/// Bit of `Verbosity` (spec B4).
const VERBOSE_MIME: u64 = 32;
/// Bit of `Verbosity` (spec B4).
const VERBOSE_LENGTH: u64 = 64;
/// Bit of `Verbosity` (spec B4).
const VERBOSE_COOLDOWN: u64 = 128;
/// Bit of `Verbosity` (spec B4).
const VERBOSE_FETCHABLE: u64 = 256;
/// Bit of `Verbosity` (spec B4).
const VERBOSE_COMPRESSION: u64 = 512;
/// Bit of `Verbosity` that asks for progress.
const VERBOSE_PROGRESS: u64 = 1;

impl Session {
    /// The node tells how a request gets on.
    #[must_use]
    pub fn told(&mut self, disk: &dyn Disk, number: u64, progress: Progress<Reply>) -> Vec<Effect> {
        let Some(task) = self.tasks.get_mut(&number) else { return Vec::new() };
        let identifier = task.identifier.clone();
        if let Kind::Subscribe(subscription) = &mut task.kind {
            return subscription.told(number, &identifier, &progress);
        }
        let say = |message: Message| Effect::Say(message.with("Identifier", &identifier).with("Global", false));
        match progress {
            Progress::Own(Reply::Got { mime, bytes, .. }) => {
                let (kind, was_expected) = (task.kind.clone(), std::mem::take(&mut task.was_expected));
                self.tasks.remove(&number);
                let Kind::Get { verbosity, .. } = kind else { return Vec::new() };
                let mut effects = Vec::new();
                if !was_expected {
                    effects.extend(expected(mime.as_deref(), bytes.len() as u64, verbosity).into_iter().map(say));
                }
                if verbosity & VERBOSE_HASHES != 0 {
                    effects.push(say(hashes_of(&bytes)));
                }
                effects.extend(on_got(disk, &kind, &identifier, mime.as_deref(), &bytes));
                effects
            }
            Progress::Own(Reply::Expected { mime, bytes }) => match task.kind {
                Kind::Get { verbosity, .. } if !task.was_expected => {
                    task.was_expected = true;
                    expected(mime.as_deref(), bytes, verbosity).into_iter().map(say).collect()
                }
                _ => Vec::new(),
            },
            Progress::Own(Reply::Rests(until_ms)) => match task.kind {
                Kind::Get { verbosity, .. } if verbosity & VERBOSE_COOLDOWN != 0 => {
                    vec![say(Message::new("EnterFiniteCooldown").with("WakeupTime", until_ms))]
                }
                _ => Vec::new(),
            },
            Progress::Own(Reply::Compressing) => match task.kind {
                Kind::Put { verbosity } if verbosity & VERBOSE_COMPRESSION != 0 => {
                    vec![say(Message::new("StartedCompression").with("Codec", "GZIP"))]
                }
                _ => Vec::new(),
            },
            Progress::Own(Reply::Compressed { from, to, is_kept }) => match task.kind {
                Kind::Put { verbosity } if verbosity & VERBOSE_COMPRESSION != 0 => {
                    let (codec, name) = if is_kept { (0, "GZIP") } else { (-1, "NONE") };
                    let finished = Message::new("FinishedCompression").with("Codec", codec).with("Codec.Name", name);
                    vec![say(finished.with("OriginalSize", from).with("CompressedSize", to))]
                }
                _ => Vec::new(),
            },
            Progress::Own(Reply::Metadata(bytes)) => {
                let generated = Message::new("GeneratedMetadata").with("Identifier", &identifier).with("Global", false);
                self.tasks.remove(&number);
                vec![Effect::Say(Message { data: Some(bytes.clone()), ..generated.with("DataLength", bytes.len()) })]
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
            Progress::Own(Reply::Told(finding)) => vec![Effect::Say(about::probed(&finding).with("Identifier", &identifier))],
            Progress::Own(Reply::Untold(why)) => vec![Effect::Say(about::unprobed(why).with("Identifier", &identifier))],
            Progress::Own(Reply::Friend(friend)) => vec![Effect::Say(match &task.kind {
                Kind::Noted(wanted) => named(peers::note_message(wanted, &friend.words.note), asker(&identifier)),
                _ => named(about::peer(Whom { friend: Some(&friend), neighbour: None }, true, true, true), asker(&identifier)),
            })],
            Progress::Own(Reply::Status(status)) => match &task.kind {
                Kind::Peers { with_metadata, with_volatile } => {
                    about::peers(&status, *with_metadata, *with_volatile, &identifier).into_iter().map(Effect::Say).collect()
                }
                Kind::Peer(wanted, errand) => {
                    let (wanted, errand) = (wanted.clone(), Errand::clone(errand));
                    self.on_peer_known(&status, &wanted, errand, &identifier)
                }
                Kind::Config(asked) => vec![Effect::Say(about::config_data(&self.facts, &status, asked))],
                Kind::Node { with_volatile } => vec![say(about::node_data(&self.facts, &status, *with_volatile))],
                _ => Vec::new(),
            },
            Progress::Done => match self.tasks.remove(&number) {
                Some(Task { kind: Kind::Put { verbosity }, uri: Some(uri), .. }) => {
                    let fetchable = say(Message::new("PutFetchable").with("URI", &uri));
                    let fetchable = Some(fetchable).filter(|_| verbosity & VERBOSE_FETCHABLE != 0);
                    fetchable
                        .into_iter()
                        .chain([say(Message::new("PutSuccessful").with("URI", uri).with("StartupTime", 0).with("CompletionTime", 0))])
                        .collect()
                }
                Some(Task { kind: Kind::Removed { wanted, key }, .. }) => {
                    vec![Effect::Say(named(Whom::removed(&wanted, &key), asker(&identifier)))]
                }
                _ => Vec::new(),
            },
            Progress::Failed(failure) => {
                let Some(task) = self.tasks.remove(&number) else { return Vec::new() };
                vec![Effect::Say(match task.kind {
                    Kind::Put { .. } => put_failed(put_code(&failure), &failure.to_string(), &identifier),
                    Kind::Get { .. } => get_failed(get_code(&failure), &failure.to_string(), &identifier),
                    Kind::Added | Kind::Noted(_) | Kind::Removed { .. } => {
                        protocol_error(peers::peer_error(&failure), Some(&failure.to_string()), asker(&identifier), false)
                    }
                    _ => protocol_error(ProtocolError::Internal, Some(&failure.to_string()), Some(&identifier), false),
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

/// What was got goes to the program, or into its file.
fn on_got(disk: &dyn Disk, kind: &Kind, identifier: &str, mime: Option<&str>, bytes: &Bytes) -> Vec<Effect> {
    let Kind::Get { returns, file, .. } = kind else { return Vec::new() };
    if let Some(Err(wrong)) = file.as_ref().map(|file| disk.create(file, bytes)) {
        let why = format!("the file cannot be written: {wrong:?}");
        return vec![Effect::Say(get_failed(GetFailed::Bucket, &why, identifier))];
    }
    let described = |name: &str| {
        let message = Message::new(name).with("Metadata.ContentType", mime.unwrap_or("application/octet-stream"));
        let message = message.with("DataLength", bytes.len()).with("StartupTime", 0).with("CompletionTime", 0);
        message.with("Identifier", identifier).with("Global", false)
    };
    let mut effects = vec![Effect::Say(described("DataFound"))];
    if *returns {
        effects.push(Effect::Say(Message { data: Some(bytes.clone()), ..described("AllData") }));
    }
    effects
}

/// What is known of a file before it has come.
fn expected(mime: Option<&str>, bytes: u64, verbosity: u64) -> Vec<Message> {
    let mut told = Vec::new();
    if verbosity & VERBOSE_COMPATIBILITY != 0 {
        // Blocks are cut and enciphered as no version of Hyphanet does it.
        let mode = Message::new("CompatibilityMode").with("Min", "COMPAT_UNKNOWN").with("Max", "COMPAT_UNKNOWN");
        told.push(mode.with("Min.Number", 0).with("Max.Number", 0).with("Definitive", true).with("DontCompress", false));
    }
    if verbosity & VERBOSE_MIME != 0 {
        told.push(Message::new("ExpectedMIME").with("Metadata.ContentType", mime.unwrap_or("application/octet-stream")));
    }
    if verbosity & VERBOSE_LENGTH != 0 {
        told.push(Message::new("ExpectedDataLength").with("DataLength", bytes));
    }
    told
}

fn progress_of(counts: &Counts) -> Message {
    let message = Message::new("SimpleProgress").with("Total", counts.total).with("Required", counts.required);
    let message = message.with("Failed", 0).with("FatallyFailed", counts.failed).with("Succeeded", counts.succeeded);
    message.with("FinalizedTotal", counts.is_final)
}
