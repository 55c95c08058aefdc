//! UPnP internet gateway devices: what is searched, read of a description, and asked by SOAP. UPnP Device Architecture 1.1; `WANIPConnection:1`, `:2`
//! and `WANPPPConnection:1`.

use std::net::{IpAddr, SocketAddr};

use super::{Kind, Want};

/// Whom a search is sent to.
pub(crate) const GROUP: &str = "239.255.255.250:1900";
/// What connections go by, those that routers have most often first.
const SERVICES: [&str; 3] = [
    "urn:schemas-upnp-org:service:WANIPConnection:1",
    "urn:schemas-upnp-org:service:WANIPConnection:2",
    "urn:schemas-upnp-org:service:WANPPPConnection:1",
];
/// Longer descriptions are not read.
pub(crate) const BODY_BYTES_MAX: usize = 256 << 10;

/// One HTTP request to a gateway.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Where.
    pub at: SocketAddr,
    /// Path and query.
    pub path: String,
    /// A SOAP call; `None` reads the description.
    pub call: Option<Call>,
}

/// A SOAP call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Value of the `SOAPAction` header, quotes included.
    pub action: String,
    /// The envelope.
    pub body: String,
}

/// Where a router is controlled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Control {
    pub(crate) at: SocketAddr,
    pub(crate) path: String,
    pub(crate) service: String,
}

/// A search for one kind of service.
pub(crate) fn search(service: usize) -> Option<Vec<u8>> {
    let service = SERVICES.get(service)?;
    let text = format!("M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}\r\nMAN: \"ssdp:discover\"\r\nMX: 2\r\nST: {service}\r\n\r\n");
    Some(text.into_bytes())
}

/// Where the description of whoever has answered a search is: only at its own address, so that nobody has us ask others.
pub(crate) fn location(from: SocketAddr, answer: &[u8]) -> Option<Exchange> {
    let text = std::str::from_utf8(answer.get(..answer.len().min(4096))?).ok()?;
    let mut lines = text.lines();
    lines.next().filter(|first| first.starts_with("HTTP/1.") && first.contains(" 200"))?;
    let url = lines.filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim().eq_ignore_ascii_case("location"))?.1.trim();
    let (at, path) = at_and_path(url)?;
    (at.ip() == from.ip()).then_some(Exchange { at, path, call: None })
}

/// `http://IP:PORT/path` in parts.
fn at_and_path(url: &str) -> Option<(SocketAddr, String)> {
    let rest = url.strip_prefix("http://")?;
    let (host, path) = rest.split_once('/').map_or((rest, String::from("/")), |(host, path)| (host, format!("/{path}")));
    let at = host.parse().ok().or_else(|| Some(SocketAddr::new(host.trim_matches(['[', ']']).parse().ok()?, 80)))?;
    let plain = path.bytes().all(|byte| byte.is_ascii_graphic());
    plain.then_some((at, path))
}

/// What stands between the first `<name>` and its end.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let start = text.find(&format!("<{name}>"))? + name.len() + 2;
    let length = text[start..].find(&format!("</{name}>"))?;
    Some(text[start..start + length].trim())
}

/// Where a description says that connections are controlled.
pub(crate) fn control(description: &str, at: SocketAddr) -> Option<Control> {
    let services: Vec<&str> = description.split("<service>").skip(1).filter_map(|rest| rest.split("</service>").next()).collect();
    for service in SERVICES {
        let found = services.iter().find(|text| element(text, "serviceType") == Some(service));
        let Some(url) = found.and_then(|text| element(text, "controlURL")) else { continue };
        let url = url.replace("&amp;", "&");
        let path = if url.starts_with("http://") {
            let (other, path) = at_and_path(&url)?;
            // The port may be another one, the machine not.
            if other.ip() != at.ip() {
                continue;
            }
            return Some(Control { at: other, path, service: service.to_owned() });
        } else if url.starts_with('/') {
            url
        } else {
            format!("/{url}")
        };
        if path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Some(Control { at, path, service: service.to_owned() });
        }
    }
    None
}

impl Control {
    fn call(&self, action: &str, arguments: &[(&str, String)]) -> Exchange {
        let arguments: String = arguments.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
        let body = format!(
            "<?xml version=\"1.0\"?>\r\n<s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" \
             s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:{action} xmlns:u=\"{service}\">{arguments}</u:{action}>\
             </s:Body></s:Envelope>\r\n",
            service = self.service
        );
        let action = format!("\"{}#{action}\"", self.service);
        Exchange { at: self.at, path: self.path.clone(), call: Some(Call { action, body }) }
    }

    pub(crate) fn add(&self, want: Want, external: u16, own: IpAddr, lifetime_s: u32) -> Exchange {
        self.call(
            "AddPortMapping",
            &[
                ("NewRemoteHost", String::new()),
                ("NewExternalPort", external.to_string()),
                ("NewProtocol", protocol(want.kind).into()),
                ("NewInternalPort", want.port.to_string()),
                ("NewInternalClient", own.to_string()),
                ("NewEnabled", "1".into()),
                ("NewPortMappingDescription", "Hexad".into()),
                ("NewLeaseDuration", lifetime_s.to_string()),
            ],
        )
    }

    pub(crate) fn delete(&self, want: Want, external: u16) -> Exchange {
        let arguments =
            [("NewRemoteHost", String::new()), ("NewExternalPort", external.to_string()), ("NewProtocol", protocol(want.kind).into())];
        self.call("DeletePortMapping", &arguments)
    }

    pub(crate) fn address(&self) -> Exchange {
        self.call("GetExternalIPAddress", &[])
    }
}

const fn protocol(kind: Kind) -> &'static str {
    match kind {
        Kind::Tcp => "TCP",
        Kind::Udp => "UDP",
    }
}

/// The code of a SOAP error.
pub(crate) fn error_code(answer: &str) -> Option<u16> {
    element(answer, "errorCode")?.parse().ok()
}

/// The address that a router says it has outside.
pub(crate) fn external_ip(answer: &str) -> Option<IpAddr> {
    element(answer, "NewExternalIPAddress")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router() -> SocketAddr {
        SocketAddr::from(([192, 168, 1, 1], 49152))
    }

    #[test]
    fn a_router_is_found_at_its_own_address_only() {
        let answer = |url: &str| format!("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nLocation: {url}\r\nST: x\r\n\r\n");
        let from = SocketAddr::from(([192, 168, 1, 1], 1900));
        let found = location(from, answer("http://192.168.1.1:49152/desc.xml").as_bytes());
        assert_eq!(found, Some(Exchange { at: router(), path: "/desc.xml".into(), call: None }));
        for elsewhere in
            ["http://192.168.1.2:49152/desc.xml", "http://example.org/desc.xml", "ftp://192.168.1.1/", "http://192.168.1.1:1/a b"]
        {
            assert_eq!(location(from, answer(elsewhere).as_bytes()), None, "{elsewhere}");
        }
        assert_eq!(location(from, b"NOTIFY * HTTP/1.1\r\nLocation: http://192.168.1.1:49152/\r\n\r\n"), None);
    }

    #[test]
    fn descriptions_say_where_connections_are_controlled() {
        let service = |kind: &str, url: &str| format!("<service><serviceType>{kind}</serviceType><controlURL>{url}</controlURL></service>");
        let of = |services: &str| control(&format!("<root><device><serviceList>{services}</serviceList></device></root>"), router());
        let both = service("urn:schemas-upnp-org:service:Layer3Forwarding:1", "/l3") + &service(SERVICES[0], "ctl/IPConn?a=1&amp;b=2");
        let found = of(&both).expect("a control address");
        assert_eq!((found.path.as_str(), found.service.as_str()), ("/ctl/IPConn?a=1&b=2", SERVICES[0]));
        assert_eq!(of(&service(SERVICES[2], "http://192.168.1.1:5000/ppp")).map(|found| found.at.port()), Some(5000));
        assert_eq!(of(&service(SERVICES[0], "http://192.168.1.99:5000/ppp")), None, "another machine");
        assert_eq!(of("<service><serviceType>"), None);
    }

    #[test]
    fn calls_and_answers_are_soap() {
        let control = Control { at: router(), path: "/ctl".into(), service: SERVICES[0].into() };
        let call = control.add(Want { kind: Kind::Udp, port: 6881 }, 7000, IpAddr::from([192, 168, 1, 7]), 3600).call.expect("a call");
        assert_eq!(call.action, "\"urn:schemas-upnp-org:service:WANIPConnection:1#AddPortMapping\"");
        for part in [
            "<NewExternalPort>7000<",
            "<NewProtocol>UDP<",
            "<NewInternalPort>6881<",
            "<NewInternalClient>192.168.1.7<",
            "<NewLeaseDuration>3600<",
        ] {
            assert!(call.body.contains(part), "{part} in {}", call.body);
        }
        assert_eq!(error_code("<UPnPError><errorCode>725</errorCode></UPnPError>"), Some(725));
        assert_eq!(external_ip("<NewExternalIPAddress>203.0.113.9</NewExternalIPAddress>"), Some(IpAddr::from([203, 0, 113, 9])));
    }
}
