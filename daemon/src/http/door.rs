//! Who may come in: by the name under which we were called, by the page that calls, by a token.
//!
//! A name that somebody else has let point at this machine (DNS rebinding) is not ours. A page of somebody else cannot call us: browsers say from
//! where a page comes, and what changes something needs a kind of content that forms cannot have.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE, HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode};
use hexad_api::{Problem, ProblemKind};
use subtle::ConstantTimeEq as _;

use super::answer::Refused;
use super::guesses::Guesses;

/// What the cookie with the token is called.
pub(super) const COOKIE_NAME: &str = "hexad_token";
/// A token that is shorter can be guessed.
const TOKEN_LETTERS_MIN: usize = 16;

/// Who may come in.
#[derive(Debug)]
pub(super) struct Door {
    bound: IpAddr,
    /// Lower case, without ports.
    names: Vec<String>,
    token: Option<String>,
    guesses: Guesses,
}

impl Door {
    /// A door at `bound`, for callers who use one of `names`; with `token` only for those who know it.
    ///
    /// # Errors
    /// When a token is needed and there is none, or it is too short.
    pub(super) fn new(bound: SocketAddr, names: &[String], token: Option<String>) -> Result<Self, Problem> {
        if let Some(short) = token.as_ref().map(|token| token.chars().count()).filter(|letters| *letters < TOKEN_LETTERS_MIN) {
            return Err(Problem::new(format!("expected a token of at least {TOKEN_LETTERS_MIN} letters, came one of {short}"))
                .hint("leave it away, and one is made"));
        }
        if token.is_none() && !bound.ip().to_canonical().is_loopback() {
            return Err(Problem::new(format!("{bound} can be reached from other machines, and there is no token")).hint("set a token"));
        }
        let names = names.iter().map(|name| host_of(name).unwrap_or_else(|| name.to_ascii_lowercase())).collect();
        Ok(Self { bound: bound.ip().to_canonical(), names, token, guesses: Guesses::default() })
    }

    /// Whether callers need a token.
    pub(super) fn is_locked(&self) -> bool {
        self.token.is_some()
    }

    /// Whether it is us whom the caller means, and he no page of somebody else.
    pub(super) fn admit(&self, method: &Method, authority: Option<&Authority>, headers: &HeaderMap) -> Result<(), Refused> {
        let host = match authority {
            Some(authority) => Some(authority.as_str()),
            None => headers.get(HOST).and_then(|host| host.to_str().ok()),
        };
        let Some(host) = host else {
            return Err(Refused::with(StatusCode::BAD_REQUEST, Problem::new("the request does not say whom it is for (Host)")));
        };
        if !self.is_ours(host) {
            let problem = Problem::new(format!("'{host}' is no name of this node"))
                .hint("call it by its address, or add the name to allowed_hosts in the configuration");
            return Err(Refused::with(StatusCode::FORBIDDEN, problem));
        }
        if let Some(origin) = headers.get(ORIGIN) {
            let same =
                origin.to_str().ok().and_then(|origin| origin.split_once("://")).is_some_and(|(_, from)| from.eq_ignore_ascii_case(host));
            if !same {
                let problem = Problem::new("a page of another origin may not call this node").hint("open the node's own page");
                return Err(Refused::with(StatusCode::FORBIDDEN, problem));
            }
        }
        // Where a browser says that another site asks, only its reader may come, who follows a link to the page.
        let from_elsewhere = headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
        let follows_a_link = *method == Method::GET && headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        if from_elsewhere && !follows_a_link {
            let problem = Problem::new("another site may not call this node").hint("open the node's own page");
            return Err(Refused::with(StatusCode::FORBIDDEN, problem));
        }
        Ok(())
    }

    /// Whether the caller knows the token, where one is needed.
    pub(super) fn check(&self, from: IpAddr, headers: &HeaderMap) -> Result<(), Refused> {
        let said = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, said) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(said.trim())
        });
        let kept = || {
            let cookies = headers.get_all(COOKIE).iter().filter_map(|cookies| cookies.to_str().ok());
            let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
            pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
        };
        match said.or_else(kept) {
            Some(said) => self.check_said(from, said),
            None if self.is_locked() => Err(token_is_missing()),
            None => Ok(()),
        }
    }

    /// Whether what the caller has said is the token, where one is needed. Who has guessed too often is not heard for a while.
    pub(super) fn check_said(&self, from: IpAddr, said: &str) -> Result<(), Refused> {
        let Some(token) = &self.token else { return Ok(()) };
        let now = Instant::now();
        if let Some(pause) = self.guesses.pause(from, now) {
            let seconds = pause.as_secs() + 1;
            let problem = Problem::new("too many wrong tokens came from this address").hint(format!("wait {seconds} s"));
            return Err(Refused::with(StatusCode::TOO_MANY_REQUESTS, problem).retry_after(seconds));
        }
        if is_same(said, token) {
            return Ok(());
        }
        self.guesses.on_wrong(from, said, now);
        Err(token_is_missing())
    }

    fn is_ours(&self, authority: &str) -> bool {
        let Some(host) = host_of(authority) else { return false };
        if self.names.contains(&host) {
            return true;
        }
        match host.parse::<IpAddr>() {
            // An address cannot be made to point elsewhere as a name can, so any will do where we listen at all of ours.
            Ok(ip) => ip.to_canonical() == self.bound || self.bound.is_unspecified() || (self.bound.is_loopback() && ip.is_loopback()),
            Err(_) => host == "localhost" && (self.bound.is_loopback() || self.bound.is_unspecified()),
        }
    }
}

/// What changes something says what it brings, which forms of other pages cannot.
pub(super) fn says_what_it_brings(method: &Method, path: &str, headers: &HeaderMap) -> Result<(), Refused> {
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let wanted =
        if *method == Method::PUT && path.starts_with("/api/library/files/") { "application/octet-stream" } else { "application/json" };
    let said = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
    if said.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let came = if said.is_empty() { "none".to_owned() } else { format!("'{said}'") };
    let problem = Problem::new(format!("expected the content type {wanted}, came {came}")).hint(format!("send content-type: {wanted}"));
    Err(Refused::with(StatusCode::UNSUPPORTED_MEDIA_TYPE, problem))
}

/// That a token is needed.
fn token_is_missing() -> Refused {
    let problem = Problem::new("this node wants to know who asks")
        .hint("send `authorization: Bearer TOKEN`, or open the page once as /?token=TOKEN")
        .kind(ProblemKind::BadRequest);
    Refused::with(StatusCode::UNAUTHORIZED, problem)
}

/// Takes as long whatever was said, but for its length.
fn is_same(said: &str, token: &str) -> bool {
    said.as_bytes().ct_eq(token.as_bytes()).into()
}

/// The host of `HOST:PORT` in lower case, an IPv6 address without its brackets.
fn host_of(authority: &str) -> Option<String> {
    let authority: Authority = authority.parse().ok()?;
    if authority.as_str().contains('@') {
        return None;
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn door(bound: &str, names: &[&str]) -> Door {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Door::new(bound.parse().expect("an address"), &names, Some("a token of some letters".into())).expect("a door")
    }

    #[test]
    fn a_door_on_loopback_is_called_by_names_of_loopback_only() {
        let door = door("127.0.0.1:4080", &["node.example:80"]);
        for ours in ["127.0.0.1:4080", "localhost", "LocalHost:1", "[::1]:4080", "127.0.0.2", "node.example:4080", "localhost."] {
            assert!(door.is_ours(ours), "{ours}");
        }
        for others in ["evil.example:4080", "192.0.2.1", "localhost.evil.example", "user@localhost", "", ":80", "2130706433", "a b"] {
            assert!(!door.is_ours(others), "{others}");
        }
    }

    #[test]
    fn a_door_at_all_addresses_is_called_by_any_address_and_by_no_name() {
        let door = door("0.0.0.0:4080", &[]);
        assert!(door.is_ours("192.0.2.1:4080") && door.is_ours("[2001:db8::1]:4080") && door.is_ours("localhost:4080"));
        assert!(!door.is_ours("evil.example:4080"));
    }

    #[test]
    fn beyond_loopback_there_is_no_door_without_a_token() {
        assert!(Door::new(([0, 0, 0, 0], 1).into(), &[], None).is_err());
        assert!(Door::new(([0, 0, 0, 0], 1).into(), &[], Some("short".into())).is_err());
        assert!(Door::new(([127, 0, 0, 1], 1).into(), &[], None).is_ok());
    }
}
