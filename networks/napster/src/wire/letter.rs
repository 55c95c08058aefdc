//! What servers that share a catalogue tell each other by it: `u8` kind, then fields of `u16` length each, little-endian.

use std::net::Ipv4Addr;

use bytes::BytesMut;

use super::fields::{Ip, Text};
use super::message::{HEAD_BYTES, ToClient};

/// What must be known of a user who is logged in at another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    /// His name as he spells it.
    pub nick: Text,
    /// His address.
    pub ip: Ip,
    /// His data port; 0 is firewalled.
    pub port: u16,
    /// His link.
    pub speed: u32,
    /// His program.
    pub client: Text,
}

/// One letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Letter {
    /// A message for one of your users.
    Deliver {
        /// For whom.
        to: Text,
        /// Of whom.
        from: Text,
        /// What.
        message: ToClient,
    },
    /// One of our users wants a file of one of yours.
    Request {
        /// Who wants it.
        asker: Card,
        /// Whose it is.
        owner: Text,
        /// Which one.
        path: Text,
        /// He wants to be connected to.
        push: bool,
    },
    /// Somebody has logged in here who was with you before.
    Ghost {
        /// Under which name.
        nick: Text,
    },
}

fn put(out: &mut Vec<u8>, field: &[u8]) {
    let length = u16::try_from(field.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&field[..usize::from(length)]);
}

fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, after) = rest.split_first_chunk::<2>()?;
    let (field, after) = after.split_at_checked(u16::from_le_bytes(*length).into())?;
    *rest = after;
    Some(field)
}

impl Card {
    /// As bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.nick.bytes());
        put(&mut out, &self.ip.0.octets());
        put(&mut out, &self.port.to_le_bytes());
        put(&mut out, &self.speed.to_le_bytes());
        put(&mut out, self.client.bytes());
        out
    }

    /// Reads what [`Self::write`] has written; what a later version adds behind it is not in the way.
    #[must_use]
    pub fn read(mut bytes: &[u8]) -> Option<Self> {
        let rest = &mut bytes;
        Some(Self {
            nick: take(rest)?.into(),
            ip: Ip(Ipv4Addr::from(<[u8; 4]>::try_from(take(rest)?).ok()?)),
            port: u16::from_le_bytes(take(rest)?.try_into().ok()?),
            speed: u32::from_le_bytes(take(rest)?.try_into().ok()?),
            client: take(rest)?.into(),
        })
    }
}

impl Letter {
    /// As bytes.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Deliver { to, from, message } => {
                out.push(1);
                put(&mut out, to.bytes());
                put(&mut out, from.bytes());
                let mut framed = BytesMut::new();
                message.write(&mut framed);
                put(&mut out, &framed[2..]);
            }
            Self::Request { asker, owner, path, push } => {
                out.push(2);
                put(&mut out, &asker.write());
                put(&mut out, owner.bytes());
                put(&mut out, path.bytes());
                put(&mut out, &[u8::from(*push)]);
            }
            Self::Ghost { nick } => {
                out.push(3);
                put(&mut out, nick.bytes());
            }
        }
        out
    }

    /// Reads a letter; `None` when it is none that this version knows.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let (&kind, mut bytes) = bytes.split_first()?;
        let rest = &mut bytes;
        match kind {
            1 => {
                let (to, from, framed) = (take(rest)?, take(rest)?, take(rest)?);
                let (number, data) = framed.split_first_chunk::<{ HEAD_BYTES - 2 }>()?;
                Some(Self::Deliver { to: to.into(), from: from.into(), message: ToClient::read(u16::from_le_bytes(*number), data) })
            }
            2 => {
                let asker = Card::read(take(rest)?)?;
                Some(Self::Request { asker, owner: take(rest)?.into(), path: take(rest)?.into(), push: take(rest)? == [1] })
            }
            3 => Some(Self::Ghost { nick: take(rest)?.into() }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_letter_is_read_as_what_was_written_and_never_when_it_is_cut() {
        let asker = Card { nick: "Bob".into(), ip: Ip(Ipv4Addr::LOCALHOST), port: 6699, speed: 8, client: b"t\xf6st 1".as_slice().into() };
        let path = || Text::from(b"C:\\Bj\xf6rk.mp3".as_slice());
        for letter in [
            Letter::Request { asker, owner: "carol".into(), path: path(), push: true },
            Letter::Deliver {
                to: "bob".into(),
                from: "carol".into(),
                message: ToClient::GetError { nick: "carol".into(), path: path().into() },
            },
            Letter::Ghost { nick: "bob".into() },
        ] {
            let bytes = letter.write();
            assert_eq!(Letter::read(&bytes), Some(letter));
            for end in 0..bytes.len() {
                assert_eq!(Letter::read(&bytes[..end]), None);
            }
        }
    }

    proptest! {
        #[test]
        fn no_bytes_harm_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = Letter::read(&bytes);
            let _ = Card::read(&bytes);
        }
    }
}
