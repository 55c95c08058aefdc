//! Bounds of one socket's connections.

use hexad_core::Span;

/// Bounds and times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Connections at a time, half open ones included; a SYN beyond them is not answered.
    pub connections_max: usize,
    /// Accepted connections whose peer has not shown yet that it gets our answers. 0 accepts nobody.
    pub half_open_max: usize,
    /// Bytes of one datagram, header included, that arrive whatever the way is: IPv6 wants every link to carry 1,280 with its headers.
    pub packet_bytes: usize,
    /// Bytes that are the most that is tried, over IPv4: an Ethernet carries 1,500 with headers.
    pub packet_bytes_max: usize,
    /// Bytes that a connection holds for sending, under way included.
    pub send_bytes_max: usize,
    /// Bytes that a connection holds until they are read, those that came out of order included; what is advertised as window.
    pub receive_bytes_max: usize,
    /// First wait for an answer; doubled each time. libutp: 3 s, BEP 29: 1 s.
    pub first_timeout: Span,
    /// The shortest wait for an acknowledgement. BEP 29, libtorrent: 500 ms.
    pub timeout_min: Span,
    /// Waits without an answer after which a connection is given up.
    pub timeouts_max: u32,
    /// A silent connection says something after this long, so that NATs remember it. libutp: 29 s.
    pub keep_alive: Span,
    /// The queue we allow ourselves at the bottleneck. RFC 6817: at most 100 ms.
    pub target_delay: Span,
    /// Bytes by which the window may grow within a round trip while there is no queue at all.
    pub gain_bytes: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            connections_max: 1_000,
            half_open_max: 200,
            packet_bytes: 1_232,
            packet_bytes_max: 1_472,
            send_bytes_max: 4 << 20,
            receive_bytes_max: 4 << 20,
            first_timeout: Span::from_secs(1),
            timeout_min: Span::from_millis(500),
            timeouts_max: 6,
            keep_alive: Span::from_secs(29),
            target_delay: Span::from_millis(100),
            gain_bytes: 3_000,
        }
    }
}
