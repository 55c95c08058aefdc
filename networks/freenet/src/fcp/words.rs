//! What is said when something goes wrong, in the words and numbers that programs know.

use hexad_core::Failure;

use super::codec::Message;
use super::codes::{GetFailed, ProtocolError, PutFailed};

pub(super) fn protocol_error(code: ProtocolError, extra: Option<&str>, identifier: Option<&str>, fatal: bool) -> Message {
    let mut message = Message::new("ProtocolError").with("Code", code.number()).with("CodeDescription", code.words());
    if let Some(extra) = extra {
        message = message.with("ExtraDescription", extra);
    }
    named(message.with("Fatal", fatal).with("Global", false), identifier)
}

/// The same with the identifier of what it answers, where that had one.
pub(super) fn named(message: Message, identifier: Option<&str>) -> Message {
    match identifier {
        Some(identifier) => message.with("Identifier", identifier),
        None => message,
    }
}

pub(super) fn get_failed(code: GetFailed, extra: &str, identifier: &str) -> Message {
    failed(Message::new("GetFailed").with("Code", code.number()), code.words(), code.is_fatal(), extra, identifier)
}

pub(super) fn put_failed(code: PutFailed, extra: &str, identifier: &str) -> Message {
    failed(Message::new("PutFailed").with("Code", code.number()), code.words(), code.is_fatal(), extra, identifier)
}

/// What follows the code of a request that has failed.
fn failed(with_code: Message, words: &str, is_fatal: bool, extra: &str, identifier: &str) -> Message {
    with_code
        .with("CodeDescription", words)
        .with("ShortCodeDescription", words)
        .with("ExtraDescription", extra)
        .with("Fatal", is_fatal)
        .with("Identifier", identifier)
        .with("Global", false)
}

pub(super) fn get_code(failure: &Failure) -> GetFailed {
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

pub(super) fn put_code(failure: &Failure) -> PutFailed {
    match failure {
        Failure::Refused(why) if why.starts_with("collision") => PutFailed::Collision,
        Failure::NotFound(_) | Failure::TimedOut(_) => PutFailed::RouteNotFound,
        Failure::Unusable(why) if why.contains("more than") => PutFailed::TooBig,
        Failure::Unusable(_) => PutFailed::InvalidUri,
        Failure::Full(_) => PutFailed::RejectedOverload,
        Failure::Refused(_) | Failure::NotReady(_) | Failure::Host(_) => PutFailed::Internal,
    }
}
