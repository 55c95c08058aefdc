//! What a tracker's URL says: how to reach it, and whether we may.

use std::borrow::Cow;
use std::net::IpAddr;

use hexad_core::Name;

use crate::node::dht::is_local;

/// No tracker URL is longer; what is comes from somebody who means no good.
const URL_BYTES_MAX: usize = 2048;

/// How a tracker is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// By HTTP or HTTPS. BEP 3.
    Http,
    /// By datagrams. BEP 15.
    Udp {
        /// Host and port.
        name: Name,
        /// Path and query, sent along as BEP 41 URL data.
        path: String,
    },
}

/// A tracker URL that we understand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TrackerUrl {
    /// How to reach it.
    pub place: Place,
    /// Whether it stands on this very machine.
    pub loopback: bool,
    /// Whether it says by itself that it stands in our own site, this machine included.
    pub neighbour: bool,
}

/// Reads a tracker URL.
///
/// # Errors
/// What is wrong with it, in lower case. A torrent's author chooses the URLs that we call, so what could make us call something that is
/// no tracker is refused (libtorrent's `ssrf_mitigation`): on loopback, or in a private network, only a path that ends in `/announce` is called, and no URL may bring
/// parameters that the announce itself adds.
pub(super) fn read(url: &str) -> Result<TrackerUrl, Cow<'static, str>> {
    if url.len() > URL_BYTES_MAX {
        return Err(format!("expected at most {URL_BYTES_MAX} bytes of url, came {}", url.len()).into());
    }
    if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("blank or control character in the url".into());
    }
    let Some((scheme, rest)) = url.split_once("://") else { return Err("expected scheme://host".into()) };
    let rest = rest.split('#').next().unwrap_or(rest);
    let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path_and_query) = rest.split_at(authority_end);
    let host_port = authority.rsplit_once('@').map_or(authority, |(_, host_port)| host_port);
    let (host, port) = split_host(host_port)?;
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let loopback = is_loopback(host);
    if brings_announce_parameters(query) {
        return Err("the url brings announce parameters of its own".into());
    }
    let place = match scheme.to_ascii_lowercase().as_str() {
        "http" | "https" => {
            if is_local_host(host) && !path.ends_with("/announce") {
                return Err("a tracker on this machine or in a private network must be called /announce".into());
            }
            Place::Http
        }
        "udp" => {
            let port = port.ok_or("expected a port in a udp url")?;
            Place::Udp { name: Name { host: host.to_owned(), port }, path: path_and_query.to_owned() }
        }
        other => return Err(format!("expected http, https or udp, came {:?}", other.chars().take(16).collect::<String>()).into()),
    };
    let neighbour = loopback || host.parse::<IpAddr>().is_ok_and(is_local);
    Ok(TrackerUrl { place, loopback, neighbour })
}

fn split_host(host_port: &str) -> Result<(&str, Option<u16>), Cow<'static, str>> {
    let (host, port) = if let Some(rest) = host_port.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("expected ] after an IPv6 address")?;
        (host, after.strip_prefix(':'))
    } else {
        host_port.rsplit_once(':').map_or((host_port, None), |(host, port)| (host, Some(port)))
    };
    if host.is_empty() || host.len() > 253 {
        return Err("expected a host of 1 to 253 bytes".into());
    }
    match port {
        None | Some("") => Ok((host, None)),
        Some(port) => match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok((host, Some(port))),
            _ => Err("expected a port of 1 to 65535".into()),
        },
    }
}

/// Whether a host is written as this machine, or as an address of a private network.
pub(in crate::node) fn is_local_host(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(is_local)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

fn brings_announce_parameters(query: &str) -> bool {
    const OURS: [&str; 9] = ["info_hash", "peer_id", "port", "uploaded", "downloaded", "left", "event", "numwant", "key"];
    query.split('&').any(|pair| OURS.contains(&pair.split('=').next().unwrap_or(pair)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_schemes_are_read() {
        assert_eq!(read("http://t.example/announce").unwrap().place, Place::Http);
        assert_eq!(read("https://t.example:443/x/announce?passkey=1").unwrap().place, Place::Http);
        let udp = read("udp://t.example:6969/announce").unwrap();
        assert_eq!(udp.place, Place::Udp { name: Name { host: "t.example".into(), port: 6969 }, path: "/announce".into() });
        let six = read("udp://[::1]:6969").unwrap();
        assert_eq!(six.place, Place::Udp { name: Name { host: "::1".into(), port: 6969 }, path: String::new() });
        assert!(six.loopback);
    }

    #[test]
    fn what_is_no_tracker_is_refused() {
        for url in [
            "ws://t.example/announce",
            "t.example/announce",
            "udp://t.example",
            "udp://t.example:0",
            "udp://t.example:70000",
            "http:///announce",
            "http://t.example/ann ounce",
            "http://t.example/announce?info_hash=x",
            "http://127.0.0.1:9091/transmission/rpc",
            "http://localhost/",
            "http://[::ffff:127.0.0.1]/x",
            "http://192.168.1.1/reboot",
            "http://169.254.169.254/latest/meta-data",
            "http://[fd00::1]/x",
        ] {
            assert!(read(url).is_err(), "{url}");
        }
        assert!(read(&format!("http://t.example/{}", "a".repeat(3000))).is_err());
    }

    #[test]
    fn a_tracker_nearby_may_be_called_announce() {
        assert!(read("http://127.0.0.1:8080/announce").is_ok());
        assert!(read("http://10.0.0.2:8080/announce").is_ok());
        assert!(read("http://localhost:8080/x/announce?passkey=2").is_ok());
    }
}
