//! A little proxy: SOCKS5 with datagrams, CONNECT and plain HTTP, on loopback, which knows names that nobody else does.

use std::io::{self, Read, Write as _};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;

/// A proxy that runs until the test ends.
pub struct LittleProxy {
    pub at: SocketAddr,
    /// Whither it was asked to lead, or whose letters to carry.
    pub asked: Receiver<String>,
    relays: Arc<Mutex<Vec<TcpStream>>>,
}

#[derive(Clone)]
struct Manner {
    /// As SOCKS5 has them, and as HTTP does.
    user: Option<(&'static str, &'static str, &'static str)>,
    names: Vec<(&'static str, SocketAddr)>,
    asked: Sender<String>,
    /// Whether it carries datagrams.
    carries: bool,
    /// The connections on which its carrying depends.
    relays: Arc<Mutex<Vec<TcpStream>>>,
}

impl LittleProxy {
    /// Takes whoever knows this user: name, password, and both in base64.
    pub fn start(user: Option<(&'static str, &'static str, &'static str)>, names: &[(&'static str, SocketAddr)]) -> Self {
        Self::that(true, user, names)
    }

    /// One that carries no datagrams.
    pub fn stern(names: &[(&'static str, SocketAddr)]) -> Self {
        Self::that(false, None, names)
    }

    /// Carries datagrams for nobody any more who has asked so far.
    pub fn forget_letters(&self) {
        self.relays.lock().expect("nobody panics").drain(..).for_each(|control| drop(control.shutdown(Shutdown::Both)));
    }

    fn that(carries: bool, user: Option<(&'static str, &'static str, &'static str)>, names: &[(&'static str, SocketAddr)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let (tell, asked) = channel();
        let relays = Arc::<Mutex<Vec<TcpStream>>>::default();
        let manner = Manner { user, names: names.to_vec(), asked: tell, carries, relays: relays.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let manner = manner.clone();
                thread::spawn(move || manner.serve(stream));
            }
        });
        Self { at, asked, relays }
    }
}

impl Manner {
    fn serve(&self, mut from: TcpStream) -> io::Result<()> {
        let mut first = [0];
        from.read_exact(&mut first)?;
        if first == [5] { self.socks(from) } else { self.http(from, first.to_vec()) }
    }

    fn lead(&self, host: &str, port: u16) -> io::Result<TcpStream> {
        let _ = self.asked.send(format!("{host}:{port}"));
        let known = self.names.iter().find(|(name, _)| *name == host).map(|(_, at)| *at);
        let at = known.or_else(|| Some(SocketAddr::new(host.parse().ok()?, port))).ok_or(io::ErrorKind::NotFound)?;
        TcpStream::connect(at)
    }

    fn socks(&self, mut from: TcpStream) -> io::Result<()> {
        let methods = some(&mut from, None)?;
        let method = if self.user.is_some() { 2 } else { 0 };
        if !methods.contains(&method) {
            return from.write_all(&[5, 255]);
        }
        from.write_all(&[5, method])?;
        if let Some((name, password, _)) = self.user {
            some(&mut from, Some(1))?;
            let told = (some(&mut from, None)?, some(&mut from, None)?);
            let known = told == (name.into(), password.into());
            from.write_all(&[1, u8::from(!known)])?;
            if !known {
                return Ok(());
            }
        }
        let head = some(&mut from, Some(4))?;
        if head[1] == 3 {
            some(&mut from, Some(6))?;
            return if self.carries { self.carry(from) } else { from.write_all(&[5, 7, 0, 1, 0, 0, 0, 0, 0, 0]) };
        }
        let host = match head[3] {
            1 => some(&mut from, Some(4))?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            3 => String::from_utf8_lossy(&some(&mut from, None)?).into_owned(),
            _ => return Ok(()),
        };
        let port = some(&mut from, Some(2))?;
        match self.lead(&host, u16::from_be_bytes([port[0], port[1]])) {
            Ok(to) => {
                from.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
                join(from, to)
            }
            Err(_) => from.write_all(&[5, 4, 0, 1, 0, 0, 0, 0, 0, 0]),
        }
    }

    /// Carries datagrams as long as the connection stands.
    fn carry(&self, mut control: TcpStream) -> io::Result<()> {
        let (inner, outer) = (UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?);
        let port = inner.local_addr()?.port().to_be_bytes();
        let _ = self.asked.send("letters".to_owned());
        self.relays.lock().expect("nobody panics").push(control.try_clone()?);
        // As many do, it does not say where it is.
        control.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, port[0], port[1]])?;
        let client = Arc::new(Mutex::new(None));
        let (back, back_to, back_from) = (inner.try_clone()?, client.clone(), outer.try_clone()?);
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((length, from)) = back_from.recv_from(&mut buffer) {
                let IpAddr::V4(ip) = from.ip() else { continue };
                let letter = [&[0, 0, 0, 1][..], &ip.octets(), &from.port().to_be_bytes(), &buffer[..length]].concat();
                if let Some(to) = *back_to.lock().expect("nobody panics") {
                    let _ = back.send_to(&letter, to);
                }
            }
        });
        let (names, asked) = (self.names.clone(), self.asked.clone());
        let carrying = inner.try_clone()?;
        thread::spawn(move || {
            let mut buffer = [0; 2000];
            while let Ok((length, from)) = carrying.recv_from(&mut buffer) {
                *client.lock().expect("nobody panics") = Some(from);
                let (to, head) = if buffer[3] == 3 {
                    let end = 5 + usize::from(buffer[4]);
                    let host = String::from_utf8_lossy(&buffer[5..end]).into_owned();
                    let _ = asked.send(format!("letter to {host}:{}", u16::from_be_bytes([buffer[end], buffer[end + 1]])));
                    let Some((_, at)) = names.iter().find(|(name, _)| *name == host) else { continue };
                    (*at, end + 2)
                } else {
                    let ip = [buffer[4], buffer[5], buffer[6], buffer[7]];
                    (SocketAddr::from((ip, u16::from_be_bytes([buffer[8], buffer[9]]))), 10)
                };
                let _ = outer.send_to(&buffer[head..length], to);
            }
        });
        let _ = control.read(&mut [0]);
        // Whoever reads has an end by that: nobody answers there any more.
        let _ = control.shutdown(Shutdown::Both);
        drop(inner);
        Ok(())
    }

    fn http(&self, mut from: TcpStream, mut head: Vec<u8>) -> io::Result<()> {
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(some(&mut from, Some(1))?);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        let known =
            self.user.is_none_or(|(_, _, base64)| head.to_ascii_lowercase().contains("proxy-authorization:") && head.contains(base64));
        if !known {
            return from.write_all(b"HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n");
        }
        let target = head.split(' ').nth(1).unwrap_or_default();
        let plain = target.strip_prefix("http://");
        let place = plain.map_or(target, |rest| rest.split('/').next().unwrap_or_default());
        let (host, port) = place.rsplit_once(':').unwrap_or((place, "80"));
        match (self.lead(host, port.parse().unwrap_or(80)), plain) {
            (Ok(to), None) => {
                from.write_all(b"HTTP/1.1 200 Led\r\nVia: little\r\n\r\n")?;
                join(from, to)
            }
            (Ok(mut to), Some(_)) => {
                to.write_all(head.replacen(&format!("http://{place}"), "", 1).as_bytes())?;
                join(from, to)
            }
            (Err(_), _) => from.write_all(b"HTTP/1.1 502 Not there\r\nContent-Length: 0\r\n\r\n"),
        }
    }
}

/// So many bytes, or as many as the next byte says.
fn some(from: &mut TcpStream, length: Option<u8>) -> io::Result<Vec<u8>> {
    let mut one = [0];
    let length = match length {
        Some(length) => length,
        None => {
            from.read_exact(&mut one)?;
            one[0]
        }
    };
    let mut bytes = vec![0; usize::from(length)];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn join(from: TcpStream, to: TcpStream) -> io::Result<()> {
    let (mut up, mut down) = ((from.try_clone()?, to.try_clone()?), (to, from));
    thread::spawn(move || {
        let _ = io::copy(&mut up.0, &mut up.1);
        let _ = up.1.shutdown(Shutdown::Write);
    });
    io::copy(&mut down.0, &mut down.1)?;
    down.1.shutdown(Shutdown::Write)
}
