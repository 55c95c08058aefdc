//! Where a file is, as one text: `gnutella:token=…&urn=…&guid=…`, each value percent-encoded.

use std::net::SocketAddrV4;

use hexad_content::{Digest, Digests, PercentEncoded, percent_decoded};

use crate::wire::{Guid, digests_of, urn_of};

/// What a locator says beside the addresses of peers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locator {
    /// By what programs like ours know the share; they describe it and prove its parts. Empty where the owner is another program.
    pub token: String,
    /// Names of the content.
    pub digests: Digests,
    /// Bytes.
    pub size_bytes: Option<u64>,
    /// What the owner calls it.
    pub name: String,
    /// The owner.
    pub servent: Option<Guid>,
    /// The owner's number for it.
    pub index: u32,
    /// The owner accepts no connections.
    pub push: bool,
    /// Ultrapeers that can tell the owner to connect.
    pub proxies: Vec<SocketAddrV4>,
    /// Kilobits a second of music, by the owner's account; 0 where it says nothing.
    pub bitrate_kbps: u32,
    /// How long music plays; 0 where it says nothing.
    pub seconds: u32,
}

const SCHEME: &str = "gnutella:";
/// Proxies that are read.
const PROXIES_MAX: usize = 8;

impl Locator {
    /// As text.
    #[must_use]
    pub fn write(&self) -> String {
        let mut out = String::from(SCHEME);
        let mut put = |key: &str, value: &str| {
            if value.is_empty() {
                return;
            }
            if !out.ends_with(':') {
                out.push('&');
            }
            out.push_str(key);
            out.push('=');
            out.push_str(&escaped(value));
        };
        put("token", &self.token);
        for digest in self.digests.iter() {
            put("urn", &urn_of(digest));
        }
        put("size", &self.size_bytes.map(|size| size.to_string()).unwrap_or_default());
        put("name", &self.name);
        put("guid", &self.servent.map(|servent| servent.to_string()).unwrap_or_default());
        put("index", &if self.index > 0 { self.index.to_string() } else { String::new() });
        put("push", if self.push { "1" } else { "" });
        let number = |number: u32| if number > 0 { number.to_string() } else { String::new() };
        put("bitrate", &number(self.bitrate_kbps));
        put("seconds", &number(self.seconds));
        for proxy in &self.proxies {
            put("proxy", &proxy.to_string());
        }
        out
    }

    /// Reads a locator; `None` when it is none, or says nothing by which a file could be asked for.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let mut locator = Self::default();
        let mut digests: Vec<Digest> = Vec::new();
        for pair in text.strip_prefix(SCHEME)?.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=')?;
            let value = unescaped(value)?;
            match key {
                "token" => locator.token = value,
                "urn" => digests.extend(digests_of(&value).iter()),
                "size" => locator.size_bytes = Some(value.parse().ok()?),
                "name" => locator.name = value,
                "guid" => locator.servent = Some(Guid::of_hex(&value)?),
                "index" => locator.index = value.parse().ok()?,
                "bitrate" => locator.bitrate_kbps = value.parse().ok()?,
                "seconds" => locator.seconds = value.parse().ok()?,
                "push" => locator.push = value == "1",
                "proxy" if locator.proxies.len() < PROXIES_MAX => locator.proxies.push(value.parse().ok()?),
                // What a later version adds is not in the way of this one.
                _ => {}
            }
        }
        locator.digests = digests.into_iter().collect();
        let named = !locator.token.is_empty() || locator.digests.iter().next().is_some() || !locator.name.is_empty();
        named.then_some(locator)
    }

    /// What an owner is asked for, in the manner of its program.
    #[must_use]
    pub fn target(&self) -> String {
        let sha1 = self.digests.iter().find(|digest| matches!(digest, Digest::Sha1(_)));
        match sha1 {
            _ if !self.token.is_empty() => format!("/uri-res/N2R?{}", self.token),
            Some(digest) => format!("/uri-res/N2R?{}", urn_of(digest)),
            None => format!("/get/{}/{}", self.index, escaped(&self.name)),
        }
    }
}

/// Percent-encoded, whatever could mean something in a path.
pub(crate) fn escaped(text: &str) -> String {
    PercentEncoded(text, ":/").to_string()
}

/// Undoes percent-encoding; `None` when it is wrong or not UTF-8.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    String::from_utf8(percent_decoded(text)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hexad_content::Sha1Digest;

    #[test]
    fn a_locator_is_read_as_what_was_written() {
        let locator = Locator {
            token: "urn:btih:ABC".into(),
            digests: [Digest::Sha1(Sha1Digest([7; 20]))].into_iter().collect(),
            size_bytes: Some(5_000_000_000),
            name: "Größe & Co 100%=.ogg".into(),
            servent: Some(Guid([9; 16])),
            index: 7,
            push: true,
            proxies: vec!["127.0.0.1:6346".parse().unwrap()],
            bitrate_kbps: 128,
            seconds: 240,
        };
        assert_eq!(Locator::read(&locator.write()), Some(locator.clone()));
        assert_eq!(locator.target(), "/uri-res/N2R?urn:btih:ABC");
        let plain = Locator { name: "a b".into(), index: 3, ..Locator::default() };
        assert_eq!(plain.target(), "/get/3/a%20b");
    }

    #[test]
    fn what_is_no_locator_is_refused() {
        for text in
            ["", "gnutella:", "magnet:?x", "gnutella:size=1", "gnutella:name=%zz", "gnutella:name=a&guid=1", "gnutella:name=a&size=x"]
        {
            assert_eq!(Locator::read(text), None, "{text}");
        }
    }
}
