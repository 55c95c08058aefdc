//! Where a file is, as one text: `napster:server=…&nick=…&path=…&size=…&hash=…&kbps=…&seconds=…`, each value percent-encoded, since names are bytes.

use std::net::SocketAddr;

use hexad_content::{ContentId, Digest, Digests, Sha1Digest, Sha256Digest, percent_decoded};
use hexad_core::{Endpoint, Name};

use crate::wire::Text;

/// What a locator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locator {
    /// The server at which the owner is logged in; none where the owner's own address is known.
    pub server: Option<Endpoint>,
    /// The owner.
    pub nick: Text,
    /// His name for the file.
    pub path: Text,
    /// Bytes of the file.
    pub size_bytes: Option<u64>,
    /// What he says stands for its content.
    pub hash: Text,
    /// How it sounds, as he says: kilobits a second, and seconds; 0 where he does not.
    pub sound: (u32, u32),
}

const SCHEME: &str = "napster:";

impl Locator {
    /// As text.
    #[must_use]
    pub fn write(&self) -> String {
        let mut out = String::from(SCHEME);
        let mut put = |key: &str, value: &[u8]| {
            if !value.is_empty() {
                if !out.ends_with(':') {
                    out.push('&');
                }
                out.push_str(key);
                out.push('=');
                for &byte in value {
                    if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
                        out.push(char::from(byte));
                    } else {
                        out.push_str(&format!("%{byte:02X}"));
                    }
                }
            }
        };
        put("server", self.server.as_ref().map(ToString::to_string).unwrap_or_default().as_bytes());
        put("nick", self.nick.bytes());
        put("path", self.path.bytes());
        put("size", self.size_bytes.map(|size| size.to_string()).unwrap_or_default().as_bytes());
        put("hash", self.hash.bytes());
        let known = |number: u32| Some(number).filter(|number| *number > 0).map(|number| number.to_string()).unwrap_or_default();
        put("kbps", known(self.sound.0).as_bytes());
        put("seconds", known(self.sound.1).as_bytes());
        out
    }

    /// Reads a locator; `None` when it is not one of this network, or names no file.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut locator = Self::default();
        for pair in text.strip_prefix(SCHEME)?.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let value = percent_decoded(value)?;
            match key {
                "server" => locator.server = Some(endpoint(std::str::from_utf8(&value).ok()?)?),
                "nick" => locator.nick = value.into(),
                "path" => locator.path = value.into(),
                "size" => locator.size_bytes = Some(std::str::from_utf8(&value).ok()?.parse().ok()?),
                "hash" => locator.hash = value.into(),
                "kbps" => locator.sound.0 = std::str::from_utf8(&value).ok()?.parse().ok()?,
                "seconds" => locator.sound.1 = std::str::from_utf8(&value).ok()?.parse().ok()?,
                // What a later version adds is not in the way of this one.
                _ => {}
            }
        }
        (!locator.path.is_empty() || !locator.hash.is_empty()).then_some(locator)
    }
}

fn endpoint(text: &str) -> Option<Endpoint> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some(Endpoint::Ip(socket));
    }
    let (host, port) = text.rsplit_once(':')?;
    Some(Endpoint::Name(Name { host: host.into(), port: port.parse().ok()? }))
}

/// What Hexad's programs put in the place of the hash: `hx`, a letter for the kind, and the digest in base 32. Servers keep it as it is, clients
/// that only know MD5 find nobody else with it, and ours know that they can ask for what proves the file.
#[must_use]
pub fn token_of(digests: &Digests, single_file: bool, shape_sha1: impl FnOnce() -> Sha1Digest) -> Text {
    let base32 = |bytes: &[u8]| data_encoding::BASE32_NOPAD.encode(bytes).to_ascii_lowercase();
    let ranks = |digest: &&Digest| match digest {
        Digest::Content(_) if single_file => 0,
        Digest::TorrentV2(_) => 1,
        Digest::TorrentV1(_) => 2,
        Digest::Sha1(_) if single_file => 3,
        _ => 9,
    };
    let token = match digests.iter().min_by_key(ranks).filter(|digest| ranks(digest) < 9) {
        Some(Digest::Content(id)) => format!("hxc{}", base32(&id.root.0)),
        Some(Digest::TorrentV2(hash)) => format!("hxu{}", base32(&hash.0)),
        Some(Digest::TorrentV1(hash)) => format!("hxt{}", base32(&hash.0)),
        Some(Digest::Sha1(hash)) => format!("hxs{}", base32(&hash.0)),
        _ => format!("hxp{}", base32(&shape_sha1().0)),
    };
    token.into()
}

/// The token by which a digest can be looked up, and the size that goes with it (0: any).
#[must_use]
pub fn token_to_look_up(digest: &Digest) -> Option<(Text, u64)> {
    match digest {
        Digest::Md5Prefix(hash) => Some((data_encoding::HEXLOWER.encode(hash).into(), 0)),
        Digest::Sha256(_) | Digest::TigerTree(_) => None,
        Digest::Content(id) => Some((token_of(&[*digest].into_iter().collect(), true, || Sha1Digest([0; 20])), id.size)),
        _ => Some((token_of(&[*digest].into_iter().collect(), true, || Sha1Digest([0; 20])), 0)),
    }
}

/// Whether a token is one of Hexad's.
#[must_use]
pub fn is_ours(token: &[u8]) -> bool {
    token.len() > 3 && token[..2].eq_ignore_ascii_case(b"hx")
}

/// The digests that a token of a file of that size stands for.
#[must_use]
pub fn digests_of(token: &[u8], size_bytes: Option<u64>) -> Digests {
    let digest = || -> Option<Digest> {
        if !is_ours(token) {
            let hash = data_encoding::HEXLOWER_PERMISSIVE.decode(token).ok()?;
            return hash.try_into().ok().filter(|hash: &[u8; 16]| *hash != [0; 16] && *hash != [0xaa; 16]).map(Digest::Md5Prefix);
        }
        let bytes = data_encoding::BASE32_NOPAD.decode(&token[3..].to_ascii_uppercase()).ok()?;
        match token[2].to_ascii_lowercase() {
            b'c' => Some(Digest::Content(ContentId { size: size_bytes?, root: Sha256Digest(bytes.try_into().ok()?) })),
            b'u' => Some(Digest::TorrentV2(Sha256Digest(bytes.try_into().ok()?))),
            b't' => Some(Digest::TorrentV1(Sha1Digest(bytes.try_into().ok()?))),
            b's' => Some(Digest::Sha1(Sha1Digest(bytes.try_into().ok()?))),
            _ => None,
        }
    };
    digest().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_locator_is_read_as_what_was_written_whatever_the_bytes() {
        let locator = Locator {
            server: Some(Endpoint::Ip(SocketAddr::from(([127, 0, 0, 1], 8888)))),
            nick: "bob".into(),
            path: b"C:\\Bj\xf6rk & Co\\100%=\xff.mp3".as_slice().into(),
            size_bytes: Some(5_000_000_000),
            hash: "nomd5computed".into(),
            sound: (192, 0),
        };
        assert_eq!(Locator::read(&locator.write()), Some(locator.clone()));
        let named = Locator { server: Some(Endpoint::Name(Name { host: "index.example".into(), port: 7777 })), ..locator };
        assert_eq!(Locator::read(&named.write()), Some(named));
    }

    #[test]
    fn what_is_no_locator_is_refused() {
        for text in [
            "",
            "napster:",
            "magnet:?xt=x",
            "napster:nick=bob",
            "napster:path=%zz",
            "napster:path=%+1",
            "napster:path=a&size=x",
            "napster:path=a&server=x",
        ] {
            assert_eq!(Locator::read(text), None, "{text}");
        }
    }

    #[test]
    fn tokens_stand_for_digests() {
        let content = Digest::Content(ContentId { size: 7, root: Sha256Digest([9; 32]) });
        for digest in [
            content,
            Digest::Sha1(Sha1Digest([1; 20])),
            Digest::TorrentV1(Sha1Digest([2; 20])),
            Digest::TorrentV2(Sha256Digest([3; 32])),
            Digest::Md5Prefix([4; 16]),
        ] {
            let (token, _) = token_to_look_up(&digest).unwrap();
            assert!(token.bytes().len() <= 64, "servers keep 64 bytes");
            assert!(digests_of(token.bytes(), Some(7)).contains(&digest), "{token}");
            assert!(digests_of(&token.bytes().to_ascii_uppercase(), Some(7)).contains(&digest), "in any case");
        }
        assert_eq!(digests_of(b"nomd5computed", Some(7)), Digests::new());
        assert_eq!(digests_of(b"00000000000000000000000000000000", Some(7)), Digests::new());
    }

    proptest! {
        #[test]
        fn no_text_harms_the_reader(text in ".{0,80}", token in proptest::collection::vec(any::<u8>(), 0..70)) {
            let _ = Locator::read(&text);
            let _ = Locator::read(&format!("napster:{text}"));
            let _ = digests_of(&token, Some(1));
        }
    }
}
