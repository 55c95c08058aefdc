//! A web cache for hosts that look for others, at our own port: `http://ADDRESS/gwc`, in both versions of GWebCache. Spec §17.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddrV4};

use hexad_core::{ConnId, Context, Level, Map, Span, Time};

use super::hosts::is_usable;
use super::settings::Kind;
use super::{Node, Out};
use crate::locator::unescaped;
use crate::wire::Headers;

/// Where it is.
pub(crate) const PATH: &str = "/gwc";
/// Hosts of one answer.
const HOSTS_MAX: usize = 20;
/// Whoever tells of himself is believed so often.
const UPDATE_EVERY: Span = Span::from_secs(55 * 60);
/// Addresses that have told of themselves and are remembered.
const TOLD_MAX: usize = 4096;

/// Who has told of himself, and when.
#[derive(Debug, Default)]
pub(crate) struct WebCache {
    told: Map<IpAddr, Time>,
    asked: u64,
}

impl WebCache {
    /// Whether somebody may tell of himself, which then counts.
    fn may_tell(&mut self, ip: IpAddr, now: Time) -> bool {
        if self.told.len() >= TOLD_MAX {
            self.told.retain(|_, at| now.since(*at) < UPDATE_EVERY);
        }
        if self.told.len() >= TOLD_MAX || self.told.get(&ip).is_some_and(|at| now.since(*at) < UPDATE_EVERY) {
            return false;
        }
        self.told.insert(ip, now);
        true
    }
}

impl Node {
    /// Answers whoever asks the cache. Leaves are none: what they know is what their ultrapeers do.
    pub(crate) fn answer_web_cache(&mut self, conn: ConnId, query: &str, cx: &mut Context<'_>, out: &mut Out) {
        if self.kind == Kind::Leaf {
            return self.answer_plainly(conn, 404, Headers::new(), out);
        }
        let cache = self.web_cache.get_or_insert_default();
        cache.asked += 1;
        let asked = cache.asked;
        let pairs: Vec<(String, String)> = query
            .split('&')
            .take(16)
            .filter_map(|pair| pair.split_once('='))
            .filter_map(|(key, value)| Some((key.to_ascii_lowercase(), unescaped(value)?)))
            .collect();
        let find = |key: &str| pairs.iter().find(|(other, _)| other == key).map(|(_, value)| value.as_str());
        let is = |key: &str| find(key) == Some("1");
        let second = is("get") || is("update") || find("net").is_some();
        let mut body = String::new();
        if second && find("net").is_some_and(|net| !net.eq_ignore_ascii_case("gnutella")) {
            return self.answer_bytes(conn, "text/plain", "I|net-not-supported\r\n".into(), out);
        }
        if is("ping") {
            let name = concat!("Hexad ", env!("CARGO_PKG_VERSION"));
            let _ = if second { write!(body, "I|pong|{name}|gnutella\r\n") } else { write!(body, "PONG {name}\r\n") };
        }
        let told = find("ip").map(|ip| self.told_of(conn, ip, cx, out));
        if second {
            if let Some(told) = told.filter(|_| is("update")) {
                body.push_str(if told { "I|update|OK\r\n" } else { "I|update|WARNING|not taken\r\n" });
            }
        } else if let Some(told) = told {
            body.push_str(if told { "OK\r\n" } else { "ERROR: not taken\r\n" });
        } else if find("url").is_some() {
            body.push_str("ERROR: this cache knows of no others\r\n");
        }
        if is("hostfile") || is("get") {
            let own = self.own().filter(|_| self.reached);
            for (at, age) in own.map(|own| (own, Span::ZERO)).into_iter().chain(self.hosts.freshest_since(HOSTS_MAX, cx.now)) {
                let _ = if second { write!(body, "H|{at}|{}\r\n", age.as_secs()) } else { write!(body, "{at}\r\n") };
            }
        }
        if is("statfile") {
            let _ = write!(body, "{asked}\r\n{asked}\r\n0\r\n");
        }
        self.answer_bytes(conn, "text/plain", body.into_bytes().into(), out);
    }

    /// Somebody tells of himself: only of himself, so that nobody is sent to knock at somebody else's door.
    fn told_of(&mut self, conn: ConnId, ip: &str, cx: &Context<'_>, out: &mut Out) -> bool {
        let peer = self.peers.get(&conn).map(|peer| peer.peer.clone());
        let teller = peer.as_ref().and_then(hexad_core::Endpoint::ip);
        let own = self.own();
        let at: Option<SocketAddrV4> = ip.parse().ok();
        let fits = |at: &SocketAddrV4| teller == Some(IpAddr::V4(*at.ip())) && is_usable(*at, teller) && own != Some(*at);
        let Some((at, teller)) = at.filter(fits).zip(teller) else {
            out.note(Level::Drop, "web_cache_told_of_another", peer, "");
            return false;
        };
        let fine = self.web_cache.get_or_insert_default().may_tell(teller, cx.now);
        if fine {
            self.hosts.add(at, true, cx.now);
        }
        fine
    }
}
