//! HTTP as nodes see it, against a small server of the test's own.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use hexad_core::{Answer, Ask, AskFailure, HttpMethod, HttpRequest, HttpResponse, Payload, Span};
use hexad_driver::host::HostConfig;

use crate::puppet::{Config, Puppets};
use crate::rig::{Machine, Shelf, loopback, noise};

type Handler = Arc<dyn Fn(&str) -> Vec<u8> + Send + Sync>;

/// Answers each request, headers and all, with what `handler` makes of it; then closes. Nothing is written when that is empty, and the
/// connection is left open.
fn serve(handler: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(loopback()).expect("a port");
    let at = listener.local_addr().expect("an address");
    let handler: Handler = Arc::new(handler);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let handler = handler.clone();
            thread::spawn(move || converse(stream, &handler));
        }
    });
    at
}

fn converse(mut stream: impl Read + Write, handler: &Handler) {
    let mut request = Vec::new();
    let mut some = [0; 4096];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return,
            Ok(length) => request.extend_from_slice(&some[..length]),
        }
    }
    let answer = handler(&String::from_utf8_lossy(&request));
    if answer.is_empty() {
        // Until the other side gives up.
        let _ = stream.read(&mut some);
        return;
    }
    let _ = stream.write_all(&answer);
    let _ = stream.flush();
}

fn ok(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

fn moved(to: &str) -> Vec<u8> {
    format!("HTTP/1.1 302 Found\r\nConnection: close\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n").into_bytes()
}

fn request(url: String) -> HttpRequest {
    HttpRequest { method: HttpMethod::Get, url, range: None, answer_bytes_max: 1 << 20, deadline: Span::from_secs(20) }
}

fn ask(request: HttpRequest) -> Answer {
    Machine::<Puppets>::new().answer(Ask::Http(Box::new(request)))
}

fn body(answer: Answer) -> Vec<u8> {
    match answer {
        Answer::Http(response) => match response.body {
            Payload::Bytes(bytes) => bytes.to_vec(),
            Payload::Token(_) => panic!("no real bytes"),
        },
        other => panic!("expected an answer, came {other:?}"),
    }
}

fn why(answer: Answer) -> String {
    match answer {
        Answer::Failed(failure) => failure.to_string(),
        other => panic!("expected a failure, came {other:?}"),
    }
}

#[test]
fn an_answer_of_any_status_is_an_answer() {
    let at = serve(|request| {
        assert!(request.to_lowercase().contains("user-agent: hexad/"), "{request}");
        b"HTTP/1.1 503 Busy\r\nConnection: close\r\nRetry-After: 17\r\nContent-Length: 5\r\n\r\nlater".to_vec()
    });
    let expected = HttpResponse { status: 503, retry_after_s: Some(17), moved_to: None, body: Payload::Bytes("later".into()) };
    assert_eq!(ask(request(format!("http://{at}/announce?x=%00"))), Answer::Http(Box::new(expected)));
}

#[test]
fn a_range_is_asked_for_as_it_is() {
    let at = serve(|request| {
        let request = request.to_lowercase();
        assert!(request.contains("range: bytes=100-199\r\n") && request.contains("accept-encoding: identity"), "{request}");
        let mut answer = b"HTTP/1.1 206 Partial\r\nConnection: close\r\nContent-Length: 100\r\n\r\n".to_vec();
        answer.extend(std::iter::repeat_n(7, 100));
        answer
    });
    let range = HttpRequest { range: Some(100..200), answer_bytes_max: 100, ..request(format!("http://{at}/file")) };
    assert_eq!(body(ask(range)), vec![7; 100]);
    let empty = HttpRequest { range: Some(5..5), ..request(format!("http://{at}/file")) };
    assert!(why(ask(empty)).contains("is empty"));
}

#[test]
fn a_head_brings_no_body() {
    let at = serve(|request| {
        assert!(request.starts_with("HEAD "));
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9999999999\r\n\r\n".to_vec()
    });
    let head = HttpRequest { method: HttpMethod::Head, ..request(format!("http://{at}/")) };
    assert!(body(ask(head)).is_empty());
}

#[test]
fn redirects_are_followed_and_told() {
    let at = serve(|request| match request.split(' ').nth(1) {
        Some("/a") => moved("/b?c=d"),
        Some("/b?c=d") => ok("", b"here"),
        _ => moved("/round"),
    });
    let Answer::Http(response) = ask(request(format!("http://{at}/a"))) else { panic!("no answer") };
    assert_eq!(response.moved_to, Some(format!("http://{at}/b?c=d")));
    assert_eq!(response.body, Payload::Bytes("here".into()));
    assert!(why(ask(request(format!("http://{at}/round")))).contains("redirects"));
}

#[test]
fn nothing_but_http_is_followed() {
    let at = serve(|_| moved("file:///etc/passwd"));
    assert_eq!(ask(request(format!("http://{at}/"))), Answer::Failed(AskFailure::Forbidden("'file' is not HTTP".into())));
    assert!(why(ask(request("nonsense".into()))).contains("no address"));
}

#[test]
fn a_host_that_stays_inside_asks_nobody_outside() {
    let host = HostConfig { outside: false, ..HostConfig::default() };
    let at = serve(|_| moved("http://11.1.2.3/"));
    let mut alice = Machine::<Puppets>::with(Config::default(), host, Shelf::default());
    let answer = alice.answer(Ask::Http(Box::new(request(format!("http://{at}/")))));
    assert_eq!(answer, Answer::Failed(AskFailure::Forbidden("11.1.2.3 is outside".into())));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut zipping = GzEncoder::new(Vec::new(), Compression::best());
    zipping.write_all(bytes).expect("memory");
    zipping.finish().expect("memory")
}

#[test]
fn what_is_gzipped_is_inflated() {
    let text = noise(1, 1000).repeat(20);
    let zipped = gzip(&text);
    assert!(zipped.len() < text.len() / 4);
    let at = serve(move |request| {
        assert!(request.to_lowercase().contains("accept-encoding: gzip"), "{request}");
        ok("Content-Encoding: gzip\r\n", &zipped)
    });
    assert_eq!(body(ask(request(format!("http://{at}/")))), text);
}

#[test]
fn a_gzip_bomb_is_put_out() {
    let bomb = gzip(&vec![0; 256 << 20]);
    assert!(bomb.len() < 1 << 20);
    let at = serve(move |_| ok("Content-Encoding: gzip\r\n", &bomb));
    assert_eq!(ask(request(format!("http://{at}/"))), Answer::Failed(AskFailure::TooLarge(1 << 20)));
}

#[test]
fn too_much_is_refused_whether_it_is_declared_or_not() {
    let declared = serve(|_| ok("", &[1; 2000]));
    let endless = serve(|_| [b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", &[1; 2000][..]].concat());
    for at in [declared, endless] {
        let small = HttpRequest { answer_bytes_max: 1999, ..request(format!("http://{at}/")) };
        assert_eq!(ask(small), Answer::Failed(AskFailure::TooLarge(1999)));
        let enough = HttpRequest { answer_bytes_max: 2000, ..request(format!("http://{at}/")) };
        assert_eq!(body(ask(enough)), vec![1; 2000]);
    }
}

#[test]
fn a_silent_server_times_out() {
    let at = serve(|_| Vec::new());
    let begun = Instant::now();
    let hasty = HttpRequest { deadline: Span::from_millis(200), ..request(format!("http://{at}/")) };
    assert_eq!(ask(hasty), Answer::Failed(AskFailure::TimedOut));
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn nobody_home_is_a_failure_with_a_reason() {
    let at = TcpListener::bind(loopback()).expect("a port").local_addr().expect("an address");
    assert!(why(ask(request(format!("http://{at}/")))).to_lowercase().contains("refused"));
}

/// An authority of the test's own, and a server that it vouches for.
fn serve_tls(handler: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> (SocketAddr, Vec<u8>) {
    use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
    let authority_key = KeyPair::generate().expect("a key");
    let mut authority = CertificateParams::new(Vec::new()).expect("no names");
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let root = authority.self_signed(&authority_key).expect("a certificate").der().to_vec();
    let issuer = Issuer::new(authority, authority_key);
    let key = KeyPair::generate().expect("a key");
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = CertificateParams::new(names).expect("names").signed_by(&key, &issuer).expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let private = rustls::pki_types::PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)
        .expect("a certificate that fits its key");
    let (config, handler): (_, Handler) = (Arc::new(config), Arc::new(handler));
    let listener = TcpListener::bind(loopback()).expect("a port");
    let at = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let (config, handler) = (config.clone(), handler.clone());
            thread::spawn(move || {
                let connection = rustls::ServerConnection::new(config).expect("a good configuration");
                let mut stream = rustls::StreamOwned::new(connection, stream);
                converse(&mut stream, &handler);
                stream.conn.send_close_notify();
                let _ = stream.flush();
            });
        }
    });
    (at, root)
}

#[test]
fn https_is_spoken_with_whom_an_authority_vouches_for() {
    let (at, root) = serve_tls(|_| ok("", b"secret"));
    let host = HostConfig { extra_root_certificates: vec![root], ..HostConfig::default() };
    let mut trusting = Machine::<Puppets>::with(Config::default(), host, Shelf::default());
    for host in ["127.0.0.1", "localhost"] {
        let answer = trusting.answer(Ask::Http(Box::new(request(format!("https://{host}:{}/", at.port())))));
        assert_eq!(body(answer), b"secret");
    }
    let distrusting = ask(request(format!("https://{at}/")));
    assert!(why(distrusting).to_lowercase().contains("certificate"));
}

#[test]
fn the_session_gets_files_as_well() {
    let at = serve(|request| match request.split(' ').nth(1) {
        Some("/a.torrent") => ok("", b"d4:infode"),
        _ => b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n".to_vec(),
    });
    let get = |path: &str, most| hexad_driver::http::get(&format!("http://{at}{path}"), most, Duration::from_secs(20), None, None);
    assert_eq!(get("/a.torrent", 100).expect("a file"), "d4:infode");
    assert_eq!(get("/a.torrent", 5), Err(AskFailure::TooLarge(5)));
    assert_eq!(get("/b.torrent", 100), Err(AskFailure::Other("the server answers 404".into())));
}
