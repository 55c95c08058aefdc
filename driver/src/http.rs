//! HTTP(S) for nodes (trackers, web seeds, host caches) and for the session (.torrent files).
//!
//! Redirects are followed here and not by the client, so that each hop is looked at: from a public address nothing leads to a private one,
//! neither by its text nor by what its name resolves to. What nodes ask for was named by strangers, the author of a torrent say: there a name that is not
//! one of the local network leads to no private address either. Bodies are counted as they are inflated, so that a small answer cannot become a large one.

use std::error::Error as _;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Once;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use hexad_core::{AskFailure, HttpMethod, HttpRequest, HttpResponse, is_local_name};
use reqwest::dns::{Addrs, Resolve, Resolving};
use reqwest::header::{ACCEPT_ENCODING, LOCATION, RANGE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Method, Response, Url};

use crate::host::HostConfig;
use crate::host::reach::{Names, is_private};
use crate::proxy::Proxy;

/// Redirects that are followed.
const REDIRECTS_MAX: usize = 10;
/// Connections that are kept for the next request, and how long.
const IDLE_PER_HOST_MAX: usize = 2;
const IDLE_MAX: Duration = Duration::from_secs(20);
/// What an answer may declare and still gets its memory in one piece.
const RESERVED_BYTES_MAX: u64 = 1 << 20;

/// Which addresses may be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// The user has typed the address.
    Any,
    /// What the address says: only a name of the local network leads into one.
    AsNamed,
    /// This machine and private networks: the user wants nothing from outside.
    Private,
    /// Whoever has led here is public.
    Public,
}

impl Rule {
    /// Whether an address must not be reached that `host` stands for; an address written as text stands for itself.
    fn refuses(self, host: &str, ip: IpAddr) -> Option<Refusal> {
        match self {
            Self::Private if !is_private(ip) => Some(Refusal::Outside(ip)),
            Self::AsNamed if is_private(ip) && address_in(host).is_none() && !is_local_name(host) => Some(Refusal::Inside(ip)),
            Self::Public if is_private(ip) => Some(Refusal::Inside(ip)),
            _ => None,
        }
    }
}

/// Why an address is not reached.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    Outside(IpAddr),
    Inside(IpAddr),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(ip) => write!(f, "{ip} is outside"),
            Self::Inside(ip) => write!(f, "a public address leads to {ip}, which is private"),
        }
    }
}

impl std::error::Error for Refusal {}

/// Resolves names, and gives only addresses that may be reached.
struct Resolver(Rule, Names);

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let (rule, names) = (self.0, self.1.clone());
        Box::pin(async move {
            let found = names.resolve(name.as_str(), 0).await?;
            let refuses = |socket: &SocketAddr| rule.refuses(name.as_str(), socket.ip());
            let refusal = found.iter().find_map(refuses);
            let allowed: Vec<_> = found.into_iter().filter(|socket| refuses(socket).is_none()).collect();
            match refusal {
                Some(refusal) if allowed.is_empty() => Err(refusal.into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// A client with its connections.
#[derive(Clone, Debug)]
pub(crate) struct Http {
    /// For the first hop, and for what private addresses lead to.
    first: Client,
    first_rule: Rule,
    /// For what public addresses lead to.
    public: Client,
    /// Whether a proxy stands between, so that a peer's address is the proxy's.
    led: bool,
}

impl Http {
    /// For what nodes ask for.
    ///
    /// # Errors
    /// When a certificate of the settings cannot be read.
    pub(crate) fn new(config: &HostConfig, names: &Names) -> Result<Self, AskFailure> {
        Self::beginning_with(Rule::AsNamed, config, names)
    }

    fn beginning_with(rule: Rule, config: &HostConfig, names: &Names) -> Result<Self, AskFailure> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Whoever has chosen another one before has his reasons.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let first_rule = if config.outside { rule } else { Rule::Private };
        let (first, public) = (client(config, first_rule, names)?, client(config, Rule::Public, names)?);
        Ok(Self { first, first_rule, public, led: config.proxy.is_some() })
    }

    /// Does one exchange, redirects included, within its deadline.
    pub(crate) async fn exchange(&self, request: &HttpRequest) -> Result<HttpResponse, AskFailure> {
        tokio::time::timeout(request.deadline, self.follow(request)).await.unwrap_or(Err(AskFailure::TimedOut))
    }

    async fn follow(&self, request: &HttpRequest) -> Result<HttpResponse, AskFailure> {
        let mut url = Url::parse(&request.url).map_err(|wrong| AskFailure::Other(format!("'{}' is no address: {wrong}", request.url)))?;
        let (mut client, mut rule) = (&self.first, self.first_rule);
        let mut moved = false;
        for _ in 0..=REDIRECTS_MAX {
            let response = ask(client, rule, request, &url).await?;
            let Some(next) = redirect(&response, &url) else { return read(response, request, moved.then(|| url.to_string())).await };
            // A peer whose address is not known is taken for a public one.
            let peer = if self.led { literal(&url) } else { response.remote_addr().map(|peer| peer.ip()) };
            if !peer.is_some_and(is_private) {
                (client, rule) = (&self.public, Rule::Public);
            }
            (url, moved) = (next, true);
        }
        Err(AskFailure::Other(format!("more than {REDIRECTS_MAX} redirects")))
    }
}

/// A client that reaches what `rule` lets it. A name cannot be held against the rule where a proxy looks it up, so then only what is private by
/// its text is refused.
fn client(config: &HostConfig, rule: Rule, names: &Names) -> Result<Client, AskFailure> {
    let unusable = |wrong: reqwest::Error| AskFailure::Other(format!("HTTP cannot be spoken: {}", told(&wrong)));
    let extra = || config.extra_root_certificates.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>();
    let builder = || {
        let mut builder = Client::builder()
            .user_agent(&config.user_agent)
            .local_address(config.source)
            .no_proxy()
            .redirect(Policy::none())
            .gzip(true)
            .pool_max_idle_per_host(IDLE_PER_HOST_MAX)
            .pool_idle_timeout(IDLE_MAX)
            .dns_resolver(Resolver(rule, names.clone()));
        if let Some(interface) = &config.interface {
            builder = builder.interface(interface);
        }
        if let Some(proxy) = &config.proxy {
            builder = builder.local_address(None).proxy(proxy.for_http()?);
        }
        Ok(builder)
    };
    // A machine without any certificates of its own still speaks plain HTTP, and HTTPS with the authorities it was given.
    let certificates = extra().map_err(unusable)?;
    builder()
        .and_then(|builder: reqwest::ClientBuilder| builder.tls_certs_merge(certificates).build())
        .or_else(|_| builder()?.tls_certs_only(extra()?).build())
        .map_err(unusable)
}

/// The address that is written in another.
fn literal(url: &Url) -> Option<IpAddr> {
    url.host_str().and_then(address_in)
}

/// The address that a host is written as.
fn address_in(host: &str) -> Option<IpAddr> {
    host.trim_matches(['[', ']']).parse().ok()
}

/// Asks one server.
async fn ask(client: &Client, rule: Rule, request: &HttpRequest, url: &Url) -> Result<Response, AskFailure> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(AskFailure::Forbidden(format!("'{}' is not HTTP", url.scheme())));
    }
    // Addresses written as text pass by the resolver.
    if let Some(refusal) = literal(url).and_then(|ip| rule.refuses(url.host_str().unwrap_or_default(), ip)) {
        return Err(AskFailure::Forbidden(refusal.to_string()));
    }
    let method = match request.method {
        HttpMethod::Get => Method::GET,
        HttpMethod::Head => Method::HEAD,
    };
    let mut asking = client.request(method, url.clone());
    if let Some(range) = &request.range {
        let last = range.end.checked_sub(1).filter(|last| *last >= range.start);
        let last = last.ok_or_else(|| AskFailure::Other(format!("the range {}..{} is empty", range.start, range.end)))?;
        // A range of what is compressed is of no use.
        asking = asking.header(RANGE, format!("bytes={}-{last}", range.start)).header(ACCEPT_ENCODING, "identity");
    }
    asking.send().await.map_err(|wrong| failure(&wrong))
}

/// Where a redirect leads.
fn redirect(response: &Response, url: &Url) -> Option<Url> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return None;
    }
    url.join(response.headers().get(LOCATION)?.to_str().ok()?).ok()
}

async fn read(mut response: Response, request: &HttpRequest, moved_to: Option<String>) -> Result<HttpResponse, AskFailure> {
    let most = request.answer_bytes_max;
    let declared = response.content_length().filter(|_| request.method == HttpMethod::Get).unwrap_or(0);
    if declared > most {
        return Err(AskFailure::TooLarge(most));
    }
    let retry_after_s = response.headers().get(RETRY_AFTER).and_then(|text| text.to_str().ok()?.trim().parse().ok());
    let status = response.status().as_u16();
    let mut body = BytesMut::with_capacity(usize::try_from(declared.min(RESERVED_BYTES_MAX)).unwrap_or(0));
    while let Some(chunk) = response.chunk().await.map_err(|wrong| failure(&wrong))? {
        if (body.len() + chunk.len()) as u64 > most {
            return Err(AskFailure::TooLarge(most));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status, retry_after_s, moved_to, body: body.freeze().into() })
}

fn failure(wrong: &reqwest::Error) -> AskFailure {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = wrong.source();
    while let Some(deeper) = cause {
        if let Some(refusal) = deeper.downcast_ref::<Refusal>() {
            return AskFailure::Forbidden(refusal.to_string());
        }
        // An io error says what it carries only when asked.
        if let Some(refusal) = deeper.downcast_ref::<io::Error>().and_then(|io| io.get_ref()?.downcast_ref::<Refusal>()) {
            return AskFailure::Forbidden(refusal.to_string());
        }
        cause = deeper.source();
    }
    AskFailure::Other(told(wrong))
}

/// What went wrong and why, without the address, which the asker knows.
fn told(wrong: &reqwest::Error) -> String {
    let mut causes = Vec::new();
    let mut cause = wrong.source();
    while let Some(deeper) = cause {
        causes.push(deeper.to_string());
        cause = deeper.source();
    }
    // Each cause tends to repeat the ones below it.
    causes.last().cloned().unwrap_or_else(|| wrong.to_string())
}

/// Gets a file of at most `bytes_max` bytes that the user has named, over `interface` and through `proxy` where they are named. Blocks; for threads of the session.
///
/// # Errors
/// When it is not there, too large, or does not come in time.
pub fn get(url: &str, bytes_max: u64, deadline: Duration, interface: Option<&str>, proxy: Option<&Proxy>) -> Result<Bytes, AskFailure> {
    let config = HostConfig { interface: interface.map(str::to_owned), proxy: proxy.cloned(), ..HostConfig::default() };
    let request = HttpRequest { method: HttpMethod::Get, url: url.to_owned(), range: None, answer_bytes_max: bytes_max, deadline };
    let names = if proxy.is_some() { Names::by_proxy() } else { Names::new(1, interface) };
    // On a thread of its own, since the caller's may belong to a runtime.
    let asking = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|wrong| AskFailure::Other(wrong.to_string()))?;
        let answer = runtime.block_on(async { Http::beginning_with(Rule::Any, &config, &names)?.exchange(&request).await });
        runtime.shutdown_background();
        answer
    });
    let answer = asking.join().map_err(|_| AskFailure::Other("the exchange has panicked".to_owned()))??;
    match (answer.status, answer.body) {
        (200..=299, hexad_core::Payload::Bytes(body)) => Ok(body),
        (status, _) => Err(AskFailure::Other(format!("the server answers {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of a hop that a public address has led to.
    fn led_to(url: &str) -> Result<Response, AskFailure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let http = Http::new(&HostConfig::default(), &Names::new(1, None)).expect("a client");
        let request = HttpRequest {
            method: HttpMethod::Get,
            url: url.to_owned(),
            range: None,
            answer_bytes_max: 1,
            deadline: Duration::from_secs(10),
        };
        let url = Url::parse(url).expect("an address");
        runtime.block_on(ask(&http.public, Rule::Public, &request, &url))
    }

    #[test]
    fn what_strangers_name_leads_into_a_local_network_by_local_names_only() {
        let private: IpAddr = [192, 168, 0, 1].into();
        for name in ["tracker.example", "192.168.0.1.example.", "localhost.example", "notlan.evil.org"] {
            assert!(Rule::AsNamed.refuses(name, private).is_some(), "{name}");
            assert!(Rule::AsNamed.refuses(name, [192, 0, 2, 1].into()).is_none() && Rule::Any.refuses(name, private).is_none(), "{name}");
        }
        for name in ["localhost", "nas", "NAS.local", "tracker.lan.", "box.home.arpa", "192.168.0.1", "[fd00::1]"] {
            assert!(Rule::AsNamed.refuses(name, private).is_none(), "{name}");
        }
    }

    #[test]
    fn a_public_address_does_not_lead_to_a_private_one() {
        for host in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "169.254.169.254", "[::1]", "[fd00::1]", "[::ffff:10.0.0.1]", "localhost"] {
            let led = led_to(&format!("http://{host}:9/"));
            assert!(matches!(&led, Err(AskFailure::Forbidden(why)) if why.contains("which is private")), "{host}: {led:?}");
        }
    }
}
