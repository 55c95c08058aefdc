//! The one proxy through which everything goes, where there is one: SOCKS5 (RFC 1928, 1929) or HTTP CONNECT (RFC 9110, 9.3.6).
//!
//! Names go to the proxy as names; who has a proxy looks up none. The proxy itself is therefore named by its address.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use data_encoding::BASE64;
use hexad_core::Endpoint;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest head of an answer to CONNECT.
const HEAD_BYTES_MAX: usize = 8 << 10;
/// The longest name, user and password of SOCKS5.
const TEXT_BYTES_MAX: usize = 255;
/// Commands of SOCKS5.
const CONNECT: u8 = 1;
const UDP_ASSOCIATE: u8 = 3;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Socks5,
    Http,
}

/// A proxy. Shown without its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    kind: Kind,
    at: SocketAddr,
    user: Option<(String, String)>,
}

/// Why a text names no proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoProxy {
    /// Another scheme, or none.
    #[error("a proxy begins with socks5:// or http://")]
    Scheme,
    /// No IP address with a port.
    #[error("a proxy is named by its IP address and port: nothing looks up names beside the proxy")]
    Address,
    /// SOCKS5 has no room for them.
    #[error("user and password have 1 to 255 characters each, and no colon before the password's")]
    User,
}

impl FromStr for Proxy {
    type Err = NoProxy;

    fn from_str(text: &str) -> Result<Self, NoProxy> {
        let (scheme, rest) = text.split_once("://").ok_or(NoProxy::Scheme)?;
        let kind = match scheme {
            "socks5" | "socks5h" => Kind::Socks5,
            "http" => Kind::Http,
            _ => return Err(NoProxy::Scheme),
        };
        let (user, at) = match rest.rsplit_once('@') {
            Some((user, at)) => {
                let (name, password) = user.split_once(':').ok_or(NoProxy::User)?;
                if [name, password].iter().any(|text| text.is_empty() || text.len() > TEXT_BYTES_MAX || text.contains(char::is_control)) {
                    return Err(NoProxy::User);
                }
                (Some((name.to_owned(), password.to_owned())), at)
            }
            None => (None, rest),
        };
        let at = at.trim_end_matches('/').parse().map_err(|_| NoProxy::Address)?;
        Ok(Self { kind, at, user })
    }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.kind == Kind::Http { "http" } else { "socks5" }, self.at)
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({self})")
    }
}

impl Proxy {
    /// Where it is.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.at
    }

    /// The same for the HTTP client.
    pub(crate) fn for_http(&self) -> reqwest::Result<reqwest::Proxy> {
        let scheme = if self.kind == Kind::Http { "http" } else { "socks5h" };
        let proxy = reqwest::Proxy::all(format!("{scheme}://{}", self.at))?;
        Ok(match &self.user {
            Some((name, password)) => proxy.basic_auth(name, password),
            None => proxy,
        })
    }

    /// Has the proxy connect `stream`, which leads to it, to `to`.
    ///
    /// # Errors
    /// When it does not, or speaks something else.
    pub(crate) async fn lead(&self, stream: &mut TcpStream, to: &Endpoint) -> io::Result<()> {
        match self.kind {
            Kind::Socks5 => self.lead_by_socks(stream, to).await,
            Kind::Http => self.lead_by_connect(stream, to).await,
        }
    }

    /// Whether it carries datagrams, or might.
    #[must_use]
    pub fn may_carry_datagrams(&self) -> bool {
        self.kind == Kind::Socks5
    }

    /// Has the proxy relay datagrams as long as `stream`, which leads to it, stands. Returns whither they are to be sent.
    ///
    /// # Errors
    /// When it does not, or speaks something else.
    pub(crate) async fn associate(&self, stream: &mut TcpStream) -> io::Result<SocketAddr> {
        if !self.may_carry_datagrams() {
            return Err(refused("only SOCKS5 carries datagrams"));
        }
        self.greet(stream).await?;
        // Whence they will come is not known before.
        let relay = ask(stream, UDP_ASSOCIATE, &[1, 0, 0, 0, 0, 0, 0]).await?;
        let relay = relay.ok_or_else(|| refused("the proxy names its relay by a name"))?;
        // Many say that it is where they are.
        Ok(if relay.ip().is_unspecified() { SocketAddr::new(self.at.ip(), relay.port()) } else { relay })
    }

    async fn lead_by_socks(&self, stream: &mut TcpStream, to: &Endpoint) -> io::Result<()> {
        self.greet(stream).await?;
        let place = match to {
            Endpoint::Ip(at) => place(*at),
            Endpoint::Name(name) => named(&name.host, name.port)?,
            Endpoint::Key(..) => return Err(refused("no connection is led to a key")),
        };
        ask(stream, CONNECT, &place).await.map(drop)
    }

    /// Says who we are, where that is asked.
    async fn greet(&self, stream: &mut TcpStream) -> io::Result<()> {
        let method = if self.user.is_some() { 2 } else { 0 };
        stream.write_all(&[5, 1, method]).await?;
        let mut chosen = [0; 2];
        stream.read_exact(&mut chosen).await?;
        if chosen != [5, method] {
            return Err(refused("the proxy does not take us so"));
        }
        if let Some((name, password)) = &self.user {
            let mut told = vec![1];
            for text in [name, password] {
                told.push(length(text)?);
                told.extend_from_slice(text.as_bytes());
            }
            stream.write_all(&told).await?;
            let mut answer = [0; 2];
            stream.read_exact(&mut answer).await?;
            if answer != [1, 0] {
                return Err(refused("the proxy does not know us"));
            }
        }
        Ok(())
    }

    async fn lead_by_connect(&self, stream: &mut TcpStream, to: &Endpoint) -> io::Result<()> {
        let to = match to {
            Endpoint::Ip(at) => at.to_string(),
            Endpoint::Name(name) if name.host.chars().all(|c| c.is_ascii_graphic()) => format!("{}:{}", name.host, name.port),
            Endpoint::Name(_) | Endpoint::Key(..) => return Err(refused("no connection is led there")),
        };
        let user = match &self.user {
            Some((name, password)) => format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(format!("{name}:{password}").as_bytes())),
            None => String::new(),
        };
        stream.write_all(format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n{user}\r\n").as_bytes()).await?;
        // Byte by byte: what follows the head is the peer's.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            if head.len() == HEAD_BYTES_MAX {
                return Err(refused("the proxy's answer has no end"));
            }
            head.push(stream.read_u8().await?);
        }
        let status = head.split(|byte| *byte == b' ').nth(1);
        if head.starts_with(b"HTTP/1.") && status.is_some_and(|status| status.len() == 3 && status.starts_with(b"2")) {
            Ok(())
        } else {
            Err(refused("the proxy did not get there"))
        }
    }
}

/// Puts a request of SOCKS5, and returns the address that the answer names; `None` where that is a name.
async fn ask(stream: &mut TcpStream, command: u8, place: &[u8]) -> io::Result<Option<SocketAddr>> {
    let request = [&[5, command, 0][..], place].concat();
    stream.write_all(&request).await?;
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, reply, _, kind] = head;
    if version != 5 || reply != 0 {
        return Err(refused(if reply == 7 { "the proxy does not do that" } else { "the proxy did not get there" }));
    }
    let rest = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await?),
        _ => return Err(refused("no SOCKS5")),
    };
    let mut whence = [0; TEXT_BYTES_MAX + 2];
    let whence = whence.get_mut(..rest + 2).ok_or_else(|| refused("no SOCKS5"))?;
    stream.read_exact(whence).await?;
    Ok(place_of(kind, whence))
}

/// A place as SOCKS5 writes it.
fn place(at: SocketAddr) -> Vec<u8> {
    let mut bytes = match at {
        SocketAddr::V4(at) => [&[1][..], &at.ip().octets()].concat(),
        SocketAddr::V6(at) => [&[4][..], &at.ip().octets()].concat(),
    };
    bytes.extend_from_slice(&at.port().to_be_bytes());
    bytes
}

fn named(host: &str, port: u16) -> io::Result<Vec<u8>> {
    Ok([&[3, length(host)?][..], host.as_bytes(), &port.to_be_bytes()].concat())
}

/// Reads address and port; `None` where that is a name.
fn place_of(kind: u8, bytes: &[u8]) -> Option<SocketAddr> {
    let (ip, port) = bytes.split_at_checked(bytes.len().checked_sub(2)?)?;
    let port = u16::from_be_bytes(port.try_into().ok()?);
    let ip: IpAddr = match kind {
        1 => <[u8; 4]>::try_from(ip).ok()?.into(),
        4 => <[u8; 16]>::try_from(ip).ok()?.into(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// What a datagram begins with that the proxy is to carry there (RFC 1928, section 7).
pub(crate) fn letter_to(at: SocketAddr) -> Vec<u8> {
    [vec![0, 0, 0], place(at)].concat()
}

/// The same for a name.
///
/// # Errors
/// When it is too long.
pub(crate) fn letter_to_name(host: &str, port: u16) -> io::Result<Vec<u8>> {
    Ok([vec![0, 0, 0], named(host, port)?].concat())
}

/// From whom a datagram comes that the proxy has carried, and where what he said begins. `None` for one in parts, or from a name.
pub(crate) fn read_letter(bytes: &[u8]) -> Option<(SocketAddr, usize)> {
    let (&[_, _, part, kind], _) = bytes.split_first_chunk::<4>()?;
    let end = match (part, kind) {
        (0, 1) => 10,
        (0, 4) => 22,
        _ => return None,
    };
    Some((place_of(kind, bytes.get(4..end)?)?, end))
}

fn refused(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionRefused, why)
}

fn length(text: &str) -> io::Result<u8> {
    u8::try_from(text.len()).map_err(|_| refused("too long for SOCKS5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_written_and_read_as_rfc_1928_has_them() {
        let v4: SocketAddr = "192.0.2.7:6881".parse().expect("an address");
        assert_eq!(letter_to(v4), [0, 0, 0, 1, 192, 0, 2, 7, 0x1A, 0xE1]);
        assert_eq!(letter_to_name("dht.test", 258).expect("short"), *b"\0\0\0\x03\x08dht.test\x01\x02");
        for at in [v4, "[2001:db8::1]:80".parse().expect("an address")] {
            let letter = [letter_to(at), b"said".to_vec()].concat();
            let (from, head) = read_letter(&letter).expect("a letter");
            assert_eq!((from, &letter[head..]), (at, &b"said"[..]));
            for cut in 0..head {
                assert_eq!(read_letter(&letter[..cut]), None, "{cut}");
            }
        }
        let in_parts = [0, 0, 1, 1, 192, 0, 2, 7, 0, 80];
        assert_eq!(read_letter(&in_parts), None);
        assert_eq!(read_letter(&letter_to_name("dht.test", 258).expect("short")), None);
        assert!(letter_to_name(&"x".repeat(256), 1).is_err());
    }

    #[test]
    fn a_proxy_is_read_and_shown_without_its_password() {
        let proxy: Proxy = "socks5://me:sec:ret@127.0.0.1:1080".parse().expect("a proxy");
        assert_eq!(proxy.user, Some(("me".into(), "sec:ret".into())));
        assert_eq!(format!("{proxy} {proxy:?}"), "socks5://127.0.0.1:1080 Proxy(socks5://127.0.0.1:1080)");
        for (text, why) in [
            ("127.0.0.1:1080", NoProxy::Scheme),
            ("socks4://127.0.0.1:1080", NoProxy::Scheme),
            ("socks5://localhost:1080", NoProxy::Address),
            ("http://127.0.0.1", NoProxy::Address),
            ("http://me@127.0.0.1:8080", NoProxy::User),
        ] {
            assert_eq!(text.parse::<Proxy>(), Err(why), "{text}");
        }
    }
}
