//! What the DHT remembers between runs: its ids and some good nodes, as bytes of our own.

use std::net::SocketAddr;

use crate::wire::compact;

use super::id::NodeId;

/// First byte of what we write.
const VERSION: u8 = 2;
/// Nodes of one family that are written.
pub(super) const NODES_MAX: usize = 200;

/// What is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    /// Our id among IPv4 nodes, and among IPv6 nodes.
    pub ids: [NodeId; 2],
    /// Nodes of both families.
    pub nodes: Vec<(NodeId, SocketAddr)>,
}

impl State {
    /// The state as bytes.
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend_from_slice(&self.ids[0].0);
        bytes.extend_from_slice(&self.ids[1].0);
        for &(id, address) in &self.nodes {
            bytes.push(if address.is_ipv4() { 4 } else { 6 });
            bytes.extend_from_slice(&id.0);
            compact::write_peer(address, &mut bytes);
        }
        bytes
    }

    /// The state in `bytes`; `None` when we did not write them. Nodes after a broken one are left out.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(&[VERSION])?;
        let (ids, mut rest) = rest.split_at_checked(40)?;
        let mut nodes = Vec::new();
        while let [family, after @ ..] = rest {
            let (size, family) = if *family == 4 { (6, compact::Family::V4) } else { (18, compact::Family::V6) };
            let Some((id, after)) = after.split_first_chunk() else { break };
            let Some((address, after)) = after.split_at_checked(size) else { break };
            nodes.extend(compact::peers(address, family).take(1).map(|address| (NodeId(*id), address)));
            rest = after;
            if nodes.len() >= 2 * NODES_MAX {
                break;
            }
        }
        let [a, b] = [ids[..20].try_into().ok()?, ids[20..].try_into().ok()?];
        Some(Self { ids: [NodeId(a), NodeId(b)], nodes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_anything_else_is_not() {
        let nodes = [("192.0.2.1:1", 7), ("[2001:db8::1]:2", 8), ("127.0.0.1:3", 9)];
        let nodes = nodes.map(|(address, id)| (NodeId([id; 20]), address.parse().unwrap())).to_vec();
        let state = State { ids: [NodeId([1; 20]), NodeId([2; 20])], nodes };
        let bytes = state.write();
        assert_eq!(State::read(&bytes), Some(state));
        for cut in 0..bytes.len() {
            assert!(State::read(&bytes[..cut]).is_none_or(|state| state.nodes.len() < 3));
        }
        assert_eq!(State::read(&[9; 100]), None);
    }
}
