//! Freenet URIs: reading leniently, writing one way.

use std::fmt;

use thiserror::Error;

use super::text::{escape, unescape};
use super::{CHK_ALGORITHM, ClientChk, InsertSsk, KeyPair, RequestSsk, SSK_ALGORITHM, base64, ksk, of_base64};

/// Longest URI that is looked at.
const URI_BYTES_MAX: usize = 4096;
/// Longest routing part: a Java number of Hyphanet's private keys has 33 bytes.
const ROUTING_BYTES_MAX: usize = 64;
const PREFIXES: [&str; 5] = ["freenet:", "hyphanet:", "hypha:", "web+freenet:", "ext+freenet:"];

/// What kind of key a URI has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Content hash key.
    Chk,
    /// Signed subspace key.
    Ssk,
    /// Updatable subspace key: a site with editions.
    Usk,
    /// Keyword signed key.
    Ksk,
}

/// A URI that can be read; whether its key can be used is said by what makes a key of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Uri {
    /// What kind of key it has.
    pub kind: Kind,
    /// Routing key, hash of a public key, or private key; `None` for `CHK@` and for KSK.
    pub routing: Option<Vec<u8>>,
    /// Cipher key.
    pub crypto: Option<[u8; 32]>,
    /// What says by which algorithm.
    pub extra: Option<[u8; 5]>,
    /// Document's name (SSK, KSK) or site (USK).
    pub name: Option<String>,
    /// Edition of a site.
    pub edition: Option<i64>,
    /// The path inside.
    pub path: Vec<String>,
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_insert() { write!(f, "a private {:?} URI", self.kind) } else { write!(f, "{self}") }
    }
}

/// Why a text is no URI, or its key not usable.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UriError {
    /// It cannot be read at all.
    #[error("{0}")]
    Malformed(&'static str),
    /// It can be read, and its key is none of those that can be used here.
    #[error("{0}")]
    Unusable(&'static str),
}

impl Uri {
    /// Reads a URI as people write it.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        let malformed = UriError::Malformed;
        let text = text.trim();
        if text.len() > URI_BYTES_MAX {
            return Err(malformed("expected a URI of at most 4096 bytes"));
        }
        let lower = text.to_ascii_lowercase();
        let mut text = PREFIXES.iter().find(|prefix| lower.starts_with(**prefix)).map_or(text, |prefix| &text[prefix.len()..]);
        if lower.starts_with("http://") || lower.starts_with("https://") {
            let host_at = text.find("://").map_or(0, |at| at + 3);
            text = text[host_at..].split_once('/').map(|(_, path)| path).ok_or(malformed("expected a key after the host"))?;
            let lower = text.to_ascii_lowercase();
            text = PREFIXES.iter().find(|prefix| lower.starts_with(**prefix)).map_or(text, |prefix| &text[prefix.len()..]);
        }
        let text = text.split('?').next().unwrap_or(text);
        let (kind, rest) = text.split_once('@').ok_or(malformed("expected CHK@, SSK@, USK@ or KSK@"))?;
        let kind = match kind.to_ascii_uppercase().as_str() {
            "CHK" => Kind::Chk,
            "SSK" => Kind::Ssk,
            "USK" => Kind::Usk,
            "KSK" => Kind::Ksk,
            _ => return Err(malformed("expected CHK@, SSK@, USK@ or KSK@")),
        };
        let mut elements = rest.split('/');
        let base = elements.next().unwrap_or("");
        let mut path = Vec::new();
        for element in elements {
            path.push(unescape(element).ok_or(malformed("expected two hex digits after a percent sign, and UTF-8"))?);
        }
        let mut uri = Self { kind, routing: None, crypto: None, extra: None, name: None, edition: None, path };
        if kind == Kind::Ksk {
            let name = unescape(base).ok_or(malformed("expected two hex digits after a percent sign, and UTF-8"))?;
            if name.is_empty() {
                return Err(malformed("expected a name after KSK@"));
            }
            uri.name = Some(name);
            return Ok(uri);
        }
        uri.read_parts(base)?;
        match kind {
            Kind::Ssk => {
                let empty = uri.path.is_empty();
                uri.name = (!empty).then(|| uri.path.remove(0));
                if empty {
                    return Err(malformed("expected a name after the key"));
                }
            }
            Kind::Usk => {
                if uri.path.len() < 2 {
                    return Err(malformed("expected a site and an edition after the key"));
                }
                uri.name = Some(uri.path.remove(0)).filter(|site| !site.is_empty());
                let edition = uri.path.remove(0);
                uri.edition = Some(edition.parse().map_err(|_| malformed("expected a number for the edition"))?);
                if uri.name.is_none() {
                    return Err(malformed("expected a site and an edition after the key"));
                }
            }
            Kind::Chk | Kind::Ksk => {}
        }
        Ok(uri)
    }

    fn read_parts(&mut self, base: &str) -> Result<(), UriError> {
        let malformed = UriError::Malformed;
        // A file's ending directly behind the key.
        let base = if self.kind == Kind::Chk { base.rsplit_once('.').map_or(base, |(base, _)| base) } else { base };
        let mut parts = base.split(',');
        let routing = parts.next().unwrap_or("");
        if !routing.is_empty() {
            let bytes = of_base64(routing).filter(|bytes| bytes.len() <= ROUTING_BYTES_MAX);
            self.routing = Some(bytes.ok_or(malformed("expected a key in Freenet's base64"))?);
        }
        if let Some(crypto) = parts.next() {
            let bytes = of_base64(crypto).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            self.crypto = Some(bytes.ok_or(malformed("expected a cipher key of 32 bytes in Freenet's base64"))?);
        }
        if let Some(extra) = parts.next() {
            let bytes = of_base64(extra).and_then(|bytes| <[u8; 5]>::try_from(bytes).ok());
            self.extra = Some(bytes.ok_or(malformed("expected 5 extra bytes in Freenet's base64"))?);
        }
        if parts.next().is_some() {
            return Err(malformed("expected at most three parts before the first slash"));
        }
        Ok(())
    }

    /// A content hash key with a path behind it.
    #[must_use]
    pub fn of_chk(key: &ClientChk, path: Vec<String>) -> Self {
        Self {
            kind: Kind::Chk,
            routing: Some(key.routing.to_vec()),
            crypto: Some(key.crypto),
            extra: Some(key.extra()),
            name: None,
            edition: None,
            path,
        }
    }

    /// The URI by which a subspace's documents are read, or written where `insert`.
    #[must_use]
    pub fn of_pair(pair: &KeyPair, name: &str, insert: bool) -> Self {
        let routing = if insert { pair.seed } else { pair.owner() };
        Self {
            kind: Kind::Ssk,
            routing: Some(routing.to_vec()),
            crypto: Some(pair.crypto),
            extra: Some([1, u8::from(insert), SSK_ALGORITHM, 0, 1]),
            name: Some(name.to_owned()),
            edition: None,
            path: Vec::new(),
        }
    }

    /// A keyword key.
    #[must_use]
    pub fn of_ksk(name: &str) -> Self {
        Self { kind: Kind::Ksk, routing: None, crypto: None, extra: None, name: Some(name.to_owned()), edition: None, path: Vec::new() }
    }

    /// Whether it writes: it holds a private key.
    #[must_use]
    pub fn is_insert(&self) -> bool {
        matches!(self.kind, Kind::Ssk | Kind::Usk) && self.extra.is_some_and(|extra| extra[1] == 1)
    }

    /// Whether it is `CHK@` alone, which asks for a key to be made.
    #[must_use]
    pub fn wants_key(&self) -> bool {
        self.kind == Kind::Chk && self.routing.is_none()
    }

    /// The content hash key.
    ///
    /// # Errors
    /// When it is none, or one of an algorithm that is not known here.
    pub fn chk(&self) -> Result<ClientChk, UriError> {
        let unusable = UriError::Unusable;
        if self.kind != Kind::Chk {
            return Err(unusable("expected a CHK"));
        }
        let routing = self.routing.as_deref().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let (Some(routing), Some(crypto), Some(extra)) = (routing, self.crypto, self.extra) else {
            return Err(unusable("a CHK needs its routing key, cipher key and extra bytes"));
        };
        if extra[0] != 0 || extra[1] != CHK_ALGORITHM {
            return Err(unusable("Wrong extra bytes: a CHK of an algorithm that is not known here"));
        }
        Ok(ClientChk { routing, crypto, control: extra[2] & 2 != 0, codec: i16::from_be_bytes([extra[3], extra[4]]) })
    }

    /// What reads a document of a subspace, the edition of a site included.
    ///
    /// # Errors
    /// When it is no key of that kind, or one of an algorithm that is not known here.
    pub fn request(&self) -> Result<RequestSsk, UriError> {
        match self.kind {
            Kind::Ksk => Ok(ksk(self.name.as_deref().unwrap_or_default()).request()),
            Kind::Ssk | Kind::Usk => {
                let routing = self.subspace(0)?;
                Ok(RequestSsk { owner: routing, crypto: self.crypto.unwrap_or_default(), name: self.document() })
            }
            Kind::Chk => Err(UriError::Unusable("expected an SSK, USK or KSK")),
        }
    }

    /// What writes a document of a subspace.
    ///
    /// # Errors
    /// When it holds no private key of an algorithm that is known here.
    pub fn insert(&self) -> Result<InsertSsk, UriError> {
        match self.kind {
            Kind::Ksk => Ok(ksk(self.name.as_deref().unwrap_or_default())),
            Kind::Ssk | Kind::Usk => {
                let seed = self.subspace(1)?;
                Ok(InsertSsk { seed, crypto: self.crypto.unwrap_or_default(), name: self.document() })
            }
            Kind::Chk => Err(UriError::Unusable("expected an SSK, USK or KSK")),
        }
    }

    fn subspace(&self, insert: u8) -> Result<[u8; 32], UriError> {
        let unusable = UriError::Unusable;
        let (Some(routing), Some(_), Some(extra)) = (&self.routing, self.crypto, self.extra) else {
            return Err(unusable("a subspace key needs its key, cipher key and extra bytes"));
        };
        if extra[0] != 1 || extra[1] != insert {
            return Err(unusable(if insert == 0 {
                "Wrong extra bytes: expected a key that reads, came a private one"
            } else {
                "Wrong extra bytes: expected a private key"
            }));
        }
        if extra[2] != SSK_ALGORITHM {
            return Err(unusable("Wrong extra bytes: a subspace of an algorithm that is not known here"));
        }
        <[u8; 32]>::try_from(routing.as_slice()).map_err(|_| unusable("expected a key of 32 bytes"))
    }

    fn document(&self) -> String {
        let name = self.name.clone().unwrap_or_default();
        match self.edition {
            Some(edition) if self.kind == Kind::Usk => super::edition_name(&name, edition.unsigned_abs()),
            _ => name,
        }
    }

    /// The same site at another edition.
    #[must_use]
    pub fn at_edition(&self, edition: u64) -> Self {
        Self { edition: Some(i64::try_from(edition).unwrap_or(i64::MAX)), ..self.clone() }
    }

    /// The URI that only reads, for one that writes; every other one as it is.
    ///
    /// # Errors
    /// When its private key is none of an algorithm that is known here.
    pub fn public(&self) -> Result<Self, UriError> {
        if !self.is_insert() {
            return Ok(self.clone());
        }
        let mut extra = self.extra.unwrap_or_default();
        extra[1] = 0;
        let pair = KeyPair { seed: self.insert()?.seed, crypto: self.crypto.unwrap_or_default() };
        Ok(Self { routing: Some(pair.owner().to_vec()), extra: Some(extra), ..self.clone() })
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Chk => "CHK",
            Kind::Ssk => "SSK",
            Kind::Usk => "USK",
            Kind::Ksk => "KSK",
        };
        write!(f, "{kind}@")?;
        if let Some(routing) = &self.routing {
            f.write_str(&base64(routing))?;
        }
        if let Some(crypto) = &self.crypto {
            write!(f, ",{}", base64(crypto))?;
        }
        if let Some(extra) = &self.extra {
            write!(f, ",{}", base64(extra))?;
        }
        match (self.kind, &self.name) {
            (Kind::Ksk, Some(name)) => f.write_str(&escape(name))?,
            (_, Some(name)) => write!(f, "/{}", escape(name))?,
            (_, None) => {}
        }
        if let Some(edition) = self.edition {
            write!(f, "/{edition}")?;
        }
        self.path.iter().try_for_each(|element| write!(f, "/{}", escape(element)))
    }
}
