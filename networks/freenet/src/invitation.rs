//! An invitation as text, to be handed to a friend: who invites, where, by which token, until when. Whoever has the text can use it.
//!
//! Behind the scheme there is base64 (RFC 4648 for URLs, without padding) of `1 · flags u8 (1: a darknet) · until u64 · token 16 · key 32 · count u8 ·
//! (family u8 · ip · port u16)* · check 4`; the check is what SHA-256 of all before it begins with.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use data_encoding::BASE64URL_NOPAD;
use hexad_core::{Endpoint, Malformed};

use crate::keys::sha256;
use crate::wire::Fields;

/// What an invitation begins with.
pub const SCHEME: &str = "hexad:freenet-invitation:";
/// Sockets that one invitation names.
pub const SOCKETS_MAX: usize = 4;
const VERSION: u8 = 1;
const CHECK_BYTES: usize = 4;

/// What proves that its holder was invited: nobody guesses one of 2^128.
pub type Token = [u8; 16];

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The public key of whoever invites.
    pub key: [u8; 32],
    /// Where it is reached, from 1 to [`SOCKETS_MAX`].
    pub sockets: Vec<SocketAddr>,
    /// See [`Token`].
    pub token: Token,
    /// It is good until then, in seconds since 1970.
    pub until_s: u64,
    /// Whoever invites speaks to friends only.
    pub is_darknet: bool,
}

impl Invitation {
    /// Where whoever invites is reached.
    pub fn endpoints(&self) -> impl Iterator<Item = Endpoint> {
        self.sockets.iter().map(|socket| Endpoint::Key(self.key, *socket))
    }

    fn bytes(&self) -> Vec<u8> {
        let sockets = &self.sockets[..self.sockets.len().min(SOCKETS_MAX)];
        let mut bytes = vec![VERSION, self.is_darknet.into()];
        bytes.extend_from_slice(&self.until_s.to_be_bytes());
        bytes.extend_from_slice(&self.token);
        bytes.extend_from_slice(&self.key);
        bytes.push(u8::try_from(sockets.len()).unwrap_or(0));
        for socket in sockets {
            match socket.ip() {
                IpAddr::V4(ip) => {
                    bytes.push(4);
                    bytes.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    bytes.push(6);
                    bytes.extend_from_slice(&ip.octets());
                }
            }
            bytes.extend_from_slice(&socket.port().to_be_bytes());
        }
        let check = sha256(&[&bytes]);
        bytes.extend_from_slice(&check[..CHECK_BYTES]);
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut fields = Fields::new(bytes);
        let said = fields.take(bytes.len().saturating_sub(CHECK_BYTES))?;
        if fields.take(fields.left())? != &sha256(&[said])[..CHECK_BYTES] {
            return Err(fields.wrong("expected the check at its end to fit: something was cut off or changed"));
        }
        let mut fields = Fields::new(said);
        let version = fields.u8()?;
        if version != VERSION {
            return Err(fields.wrong(format!("expected version {VERSION}, came {version}")));
        }
        let is_darknet = fields.flag()?;
        let (until_s, token, key) = (fields.u64()?, fields.array()?, fields.array()?);
        let count = usize::from(fields.u8()?);
        if !(1..=SOCKETS_MAX).contains(&count) {
            return Err(fields.wrong(format!("expected 1 to {SOCKETS_MAX} addresses, came {count}")));
        }
        let socket = |fields: &mut Fields<'_>| {
            let ip = match fields.u8()? {
                4 => IpAddr::from(Ipv4Addr::from(fields.array::<4>()?)),
                6 => IpAddr::from(Ipv6Addr::from(fields.array::<16>()?)),
                other => return Err(fields.wrong(format!("expected an address of family 4 or 6, came {other}"))),
            };
            Ok(SocketAddr::new(ip, fields.u16()?))
        };
        let sockets = (0..count).map(|_| socket(&mut fields)).collect::<Result<_, _>>()?;
        if !fields.is_empty() {
            return Err(fields.wrong("expected the end"));
        }
        Ok(Self { key, sockets, token, until_s, is_darknet })
    }
}

impl fmt::Display for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", BASE64URL_NOPAD.encode(&self.bytes()))
    }
}

impl FromStr for Invitation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let coded = text.trim().strip_prefix(SCHEME).ok_or_else(|| format!("expected an invitation, which begins with {SCHEME}"))?;
        // The longest there is, and nothing is decoded that is longer.
        if coded.len() > 256 {
            return Err(format!("expected an invitation of at most 256 letters behind {SCHEME}, came {}", coded.len()));
        }
        let bytes = BASE64URL_NOPAD.decode(coded.as_bytes()).map_err(|_| "the invitation has letters that none has".to_owned())?;
        Self::read(&bytes).map_err(|wrong| format!("the invitation cannot be read: {wrong}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn invitation() -> Invitation {
        let sockets = vec![SocketAddr::from(([192, 0, 2, 1], 4000)), "[2001:db8::6]:6406".parse().expect("an address")];
        Invitation { key: [6; 32], sockets, token: [7; 16], until_s: 1_800_000_000, is_darknet: true }
    }

    #[test]
    fn an_invitation_is_read_as_it_was_written() {
        // Made in Python from the form on top of this file.
        let text = "hexad:freenet-invitation:AQEAAAAAa0nSAAcHBwcHBwcHBwcHBwcHBwcGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgYGBgIEwAACAQ-gBiABDbgAAAAAAAAAAAAAAAYZBpyCWw8";
        assert_eq!(invitation().to_string(), text);
        assert_eq!(text.parse(), Ok(invitation()));
        assert_eq!(format!(" {text}\n").parse(), Ok(invitation()), "mail adds white space");
    }

    #[test]
    fn what_is_no_invitation_is_refused_with_a_reason() {
        let check = |text: &str, reason: &str| {
            let wrong = text.parse::<Invitation>().expect_err(text);
            assert!(wrong.contains(reason), "{wrong}");
        };
        let text = invitation().to_string();
        check("CHK@", "begins with");
        check(&text[..text.len() - 3], "check");
        check(&text.replace("AQEA", "AQIA"), "check");
        check(&format!("{SCHEME}?"), "letters");
        check(&format!("{SCHEME}{}", "A".repeat(300)), "at most");
        check(SCHEME, "expected");
        for sockets in [0, 5] {
            let mut none = invitation();
            none.sockets = vec![SocketAddr::from(([192, 0, 2, 1], 4000)); sockets];
            if sockets == 0 {
                check(&none.to_string(), "addresses");
            } else {
                assert_eq!(none.to_string().parse::<Invitation>().expect("the first are written").sockets.len(), SOCKETS_MAX);
            }
        }
    }
}
