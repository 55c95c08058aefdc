//! A client that says exactly what a test wants it to say.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What was answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|wrong| panic!("{wrong}: {}", self.text()))
    }

    /// Whether it is a problem: a message, and a hint where there is one.
    pub fn is_problem(&self) -> bool {
        let json = self.json();
        let members = json.as_object().expect("an object");
        members.get("message").is_some_and(|message| message.as_str().is_some_and(|message| !message.is_empty()))
            && members.keys().all(|key| key == "message" || key == "hint")
    }
}

/// A connection that is kept.
pub struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

impl Client {
    pub fn new(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("it listens");
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a socket");
        Self { stream: BufReader::new(stream), host: address.to_string() }
    }

    /// Sends a request and leaves the answer where it is.
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head += &format!("host: {}\r\n", self.host);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length")) {
            head += &format!("content-length: {}\r\n", body.len());
        }
        head += "\r\n";
        let all = [head.as_bytes(), body].concat();
        self.stream.get_mut().write_all(&all).expect("sent");
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }

    /// The head of an answer.
    pub fn head(&mut self) -> Answer {
        let status = self.line().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let mut headers = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Answer { status, headers, body: Vec::new() }
    }

    pub fn ask(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.send(method, path, headers, body);
        let mut answer = self.head();
        let length = answer.header("content-length").and_then(|length| length.parse::<usize>().ok());
        if method == "HEAD" || answer.status == 204 || answer.status == 304 {
            return answer;
        }
        if let Some(length) = length {
            answer.body = vec![0; length];
            self.stream.read_exact(&mut answer.body).expect("the body");
        } else if answer.header("transfer-encoding") == Some("chunked") {
            loop {
                let length = usize::from_str_radix(&self.line(), 16).expect("a chunk's length");
                let mut chunk = vec![0; length];
                self.stream.read_exact(&mut chunk).expect("a chunk");
                self.line();
                if length == 0 {
                    break;
                }
                answer.body.extend_from_slice(&chunk);
            }
        } else {
            self.stream.read_to_end(&mut answer.body).expect("the body");
        }
        answer
    }
}

/// Asks once.
pub fn ask(address: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    Client::new(address).ask(method, path, headers, body.as_bytes())
}

/// Gets a path.
pub fn get(address: SocketAddr, path: &str) -> Answer {
    ask(address, "GET", path, &[], "")
}

/// Changes something.
pub fn change(address: SocketAddr, method: &str, path: &str, body: &str) -> Answer {
    ask(address, method, path, &[("content-type", "application/json")], body)
}
