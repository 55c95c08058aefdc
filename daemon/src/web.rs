//! Serves HTTP pages to strangers: so many connections at a time, so long for each, heads of so many bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Extension};
use hexad_api::Problem;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};

use crate::source::plain;

/// Listens where `--http` says.
///
/// # Errors
/// When that is not possible.
pub(crate) fn bind(address: SocketAddr) -> Result<(std::net::TcpListener, SocketAddr), Problem> {
    let bound = || {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    bound().map_err(|wrong: std::io::Error| {
        Problem::new(format!("{address} cannot be listened at: {}", plain(&wrong)))
            .hint("choose another address with --http; port 0 lets the system choose")
    })
}

/// What strangers may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Connections at a time; others wait in the system's queue.
    pub(crate) connections_max: usize,
    /// How long a client may take to say what it wants, the first time and each time after.
    pub(crate) head_deadline: Duration,
    /// How long a connection may last, whatever goes over it.
    pub(crate) connection_deadline: Duration,
    /// Bytes of a request's head; a longer one is answered with 431 or 414. At least 8192.
    pub(crate) head_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 1000,
            head_deadline: Duration::from_secs(10),
            connection_deadline: Duration::from_secs(60),
            head_bytes_max: 16 << 10,
        }
    }
}

/// Serves `pages` until `quitting` resolves; what is being answered then is cut off with the runtime. Pages find the client's address in
/// `ConnectInfo<SocketAddr>`.
pub(crate) async fn serve(listener: TcpListener, pages: Router, limits: Limits, mut quitting: oneshot::Receiver<()>) {
    let room = Arc::new(Semaphore::new(limits.connections_max));
    loop {
        let accepted = async {
            // The semaphore is never closed.
            let permit = room.clone().acquire_owned().await.ok()?;
            Some((permit, listener.accept().await))
        };
        let (permit, stream, from) = tokio::select! {
            _ = &mut quitting => return,
            accepted = accepted => match accepted {
                Some((permit, Ok((stream, from)))) => (permit, stream, from),
                Some((_, Err(wrong))) => {
                    // Out of descriptors, mostly: some come back when connections end.
                    tracing::warn!(%wrong, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
                None => return,
            },
        };
        let pages = pages.clone();
        tokio::spawn(async move {
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(limits.head_deadline).max_buf_size(limits.head_bytes_max);
            let service = TowerToHyperService::new(pages.layer(Extension(ConnectInfo::<SocketAddr>(from))));
            let served = tokio::time::timeout(limits.connection_deadline, http.serve_connection(TokioIo::new(stream), service)).await;
            if let Ok(Err(wrong)) = served {
                tracing::debug!(%from, %wrong, "a connection has ended badly");
            }
            drop(permit);
        });
    }
}
