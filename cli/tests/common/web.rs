//! A small web server for one folder: whole files, and ranges of them. HTTP/1.1, one request per connection.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Serves as long as the test runs.
pub struct Web {
    pub address: SocketAddr,
    sent: Arc<AtomicU64>,
}

impl Web {
    pub fn serve(folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let sent = Arc::new(AtomicU64::new(0));
        let (folder, counted) = (folder.to_owned(), sent.clone());
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, counted) = (folder.clone(), counted.clone());
                thread::spawn(move || answer(stream, &folder, &counted));
            }
        });
        Self { address, sent }
    }

    /// Bytes of files that were sent.
    pub fn sent_bytes(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

fn answer(mut stream: TcpStream, folder: &Path, sent: &AtomicU64) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
    let path = PathBuf::from(lines.next()?.split(' ').nth(1)?.trim_start_matches('/').replace("%20", " "));
    let range = lines.filter_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned)).last();
    let Ok(bytes) = fs::read(folder.join(path)) else {
        return stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").ok();
    };
    let (status, part) = match range.as_deref().and_then(|range| range.split_once('-')) {
        Some((first, last)) => {
            let first: usize = first.parse().ok()?;
            let last = last.parse().map_or(bytes.len() - 1, |last: usize| last.min(bytes.len() - 1));
            (format!("206 Partial Content\r\nContent-Range: bytes {first}-{last}/{}", bytes.len()), &bytes[first..=last])
        }
        None => ("200 OK".to_owned(), &bytes[..]),
    };
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", part.len());
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(part).ok()?;
    sent.fetch_add(part.len() as u64, Ordering::Relaxed);
    Some(())
}
