//! Carries out on real sockets what a [`Mapper`] wants.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread;
use std::time::Duration;

use hexad_core::Time;
use socket2::Type;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout};

use super::igd::BODY_BYTES_MAX;
use super::{Deed, Exchange, Gateway, Mapper, Outcome, Want};
use crate::host::{connect, socket};

/// For one exchange with a router.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(5);
/// How long closing may take in all.
const FAREWELL: Duration = Duration::from_secs(2);

/// Ports that are kept open. Dropping it closes them, within two seconds.
#[derive(Debug)]
pub struct Running {
    quit: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.quit.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Has `gateway` let others in to these ports of ours at `own`, and goes on doing so; over `interface` and no other, where one is named. `tell` hears
/// what comes of it.
///
/// # Errors
/// When the thread cannot be started.
pub fn run(
    gateway: Gateway,
    own: IpAddr,
    interface: Option<String>,
    wants: Vec<Want>,
    tell: impl Fn(Outcome) + Send + 'static,
) -> io::Result<Running> {
    let (quit, quitting) = oneshot::channel();
    let thread = thread::Builder::new().name("hexad-mapping".into()).spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = runtime.and_then(|runtime| runtime.block_on(keep_open(gateway, own, interface.as_deref(), &wants, tell, quitting)));
        if let Err(error) = outcome {
            tracing::warn!(%error, "the router cannot be asked to let others in");
        }
    })?;
    Ok(Running { quit: Some(quit), thread: Some(thread) })
}

async fn keep_open(
    gateway: Gateway,
    own: IpAddr,
    interface: Option<&str>,
    wants: &[Want],
    tell: impl Fn(Outcome),
    mut quitting: oneshot::Receiver<()>,
) -> io::Result<()> {
    let at = SocketAddr::new(own, 0);
    let socket = socket(at, Type::DGRAM, interface)?;
    socket.bind(&at.into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    let start = Instant::now();
    let now = || Time::from_micros(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).map_err(|error| io::Error::other(error.to_string()))?;
    let mut mapper = Mapper::new(gateway, own, wants, nonce, now());
    let mut bytes = vec![0; 4096];
    loop {
        carry_out(&mut mapper, &socket, interface, &tell, &now).await;
        let wake = mapper.wake().map(|at| start + Duration::from_micros(at.as_micros()));
        tokio::select! {
            _ = &mut quitting => break,
            // A gateway that is not there is told by the system as an error of what was sent before.
            received = socket.recv_from(&mut bytes) => if let Ok((length, from)) = received {
                mapper.hear(from, &bytes[..length], now());
            },
            () = async {
                match wake {
                    Some(wake) => tokio::time::sleep_until(wake).await,
                    None => std::future::pending().await,
                }
            } => mapper.tick(now()),
        }
    }
    mapper.stop();
    let _ = timeout(FAREWELL, carry_out(&mut mapper, &socket, interface, &tell, &now)).await;
    Ok(())
}

async fn carry_out(mapper: &mut Mapper, socket: &UdpSocket, interface: Option<&str>, tell: &impl Fn(Outcome), now: &impl Fn() -> Time) {
    while let Some(deed) = mapper.next_deed() {
        match deed {
            Deed::Send(to, datagram) => {
                if let Err(error) = socket.send_to(&datagram, to).await {
                    tracing::debug!(%to, %error, "a question to the router cannot be sent");
                }
            }
            Deed::Exchange(exchange) => {
                let answer = match timeout(EXCHANGE_DEADLINE, ask(&exchange, interface)).await {
                    Ok(Ok(answer)) => Some(answer),
                    Ok(Err(error)) => {
                        tracing::debug!(at = %exchange.at, %error, "the router does not answer");
                        None
                    }
                    Err(_) => None,
                };
                mapper.answered(answer, now());
            }
            Deed::Tell(outcome) => tell(outcome),
        }
    }
}

/// One HTTP/1.1 exchange over a connection of its own.
async fn ask(exchange: &Exchange, interface: Option<&str>) -> io::Result<(u16, String)> {
    let mut stream = connect(exchange.at, None, interface).await?;
    let Exchange { at, path, call } = exchange;
    let request = match call {
        None => format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n"),
        Some(call) => format!(
            "POST {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Type: text/xml; charset=\"utf-8\"\r\nSOAPAction: {}\r\n\
             Content-Length: {}\r\n\r\n{}",
            call.action,
            call.body.len(),
            call.body
        ),
    };
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Some routers do not close the connection; what they declare is enough then.
    let mut chunk = vec![0; 16 << 10];
    loop {
        let length = stream.read(&mut chunk).await?;
        answer.extend_from_slice(&chunk[..length]);
        if length == 0 || answer.len() > BODY_BYTES_MAX || is_whole(&answer) {
            break;
        }
    }
    let text = String::from_utf8_lossy(&answer[..answer.len().min(BODY_BYTES_MAX)]).into_owned();
    let status = text.strip_prefix("HTTP/1.").and_then(|rest| rest.split_whitespace().nth(1)).and_then(|status| status.parse().ok());
    let body = text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default();
    status.map(|status| (status, body)).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is no HTTP"))
}

/// Whether as much is there as was declared.
fn is_whole(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let declared = head.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length = declared.and_then(|(_, length)| length.trim().parse::<usize>().ok());
    length.is_some_and(|length| answer.len() >= head.len() + 4 + length)
}

/// The gateway of this machine's default route (IPv4), as Linux tells it; of the one over `interface`, where that is named.
#[must_use]
pub fn default_gateway(interface: Option<&str>) -> Option<IpAddr> {
    gateway_of(&std::fs::read_to_string("/proc/net/route").ok()?, interface)
}

/// This machine's address on the way to another, over `interface` where that is named. No packet is sent for that.
#[must_use]
pub fn address_towards(to: SocketAddr, interface: Option<&str>) -> Option<IpAddr> {
    let socket = socket(to, Type::DGRAM, interface).ok()?;
    socket.connect(&to.into()).ok()?;
    let own = socket.local_addr().ok()?.as_socket()?.ip();
    (!own.is_unspecified()).then_some(own)
}

fn gateway_of(routes: &str, interface: Option<&str>) -> Option<IpAddr> {
    routes.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        if interface.is_some_and(|interface| fields.first() != Some(&interface)) {
            return None;
        }
        let (destination, gateway) = (fields.get(1)?, fields.get(2)?);
        // Addresses stand there as the machine's own words.
        let word = u32::from_str_radix(gateway, 16).ok()?;
        (*destination == "00000000" && word != 0).then(|| IpAddr::V4(Ipv4Addr::from(word.to_ne_bytes())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_that_of_the_default_route() {
        let routes = "Iface\tDestination\tGateway \tFlags\neth0\t0001A8C0\t00000000\t0001\neth0\t00000000\t0101A8C0\t0003\n";
        let expected = IpAddr::V4(Ipv4Addr::from(0x0101_a8c0_u32.to_ne_bytes()));
        assert_eq!(gateway_of(routes, None), Some(expected));
        assert_eq!((gateway_of(routes, Some("eth0")), gateway_of(routes, Some("tun0"))), (Some(expected), None));
        assert_eq!(gateway_of("Iface\n", None), None);
    }
}
