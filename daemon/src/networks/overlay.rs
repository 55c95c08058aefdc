//! Who is whose neighbour, in words that all networks have: what a page draws.

use hexad_api::node::{Neighbour, Overlay, OverlayKind};
use hexad_core::{Endpoint, Span};

/// Neighbours of one overlay at most.
const PEERS_MAX: usize = 200;

/// An overlay with us in it; of too many neighbours the first count.
pub(super) fn overlay(kind: OverlayKind, me: Neighbour, peers: impl IntoIterator<Item = Neighbour>) -> Overlay {
    let mut overlay = Overlay { kind, me, peers: Vec::new() };
    for peer in peers {
        if overlay.peers.len() >= PEERS_MAX {
            break;
        }
        // The first role that somebody has is the one that he is drawn with.
        if !overlay.peers.iter().any(|known| known.id == peer.id && known.place == peer.place) {
            overlay.peers.push(peer);
        }
    }
    overlay
}

/// Ourselves.
pub(super) fn me(at: Option<&Endpoint>, place: Option<f64>) -> Neighbour {
    Neighbour { id: "self".into(), address: at.map(ToString::to_string), role: "self".into(), place, latency_ms: None }
}

/// Somebody else.
pub(super) fn neighbour(at: &Endpoint, role: &str, place: Option<f64>) -> Neighbour {
    let address = at.to_string();
    // Of a key the beginning says enough.
    let id = match address.split_once('@') {
        Some((key, _)) => key.chars().take(16).collect(),
        None => address.clone(),
    };
    Neighbour { id, address: Some(address), role: role.to_owned(), place, latency_ms: None }
}

/// The same, so far away by round trip, where that was measured.
pub(super) fn at_distance(neighbour: Neighbour, round_trip: Option<Span>) -> Neighbour {
    let millis = |span: Span| u64::try_from((span.as_micros() + 500) / 1000).unwrap_or(u64::MAX);
    Neighbour { latency_ms: round_trip.map(millis), ..neighbour }
}

/// A place on a circle of 2^64, from 0 to 1.
pub(super) fn on_circle(place: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for drawing")]
    let share = place as f64 / 18_446_744_073_709_551_616.0;
    share.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_shares_of_the_circle() {
        assert_eq!([0, 1 << 63, u64::MAX].map(on_circle), [0.0, 0.5, 1.0]);
    }

    #[test]
    fn who_has_two_roles_is_drawn_once() {
        let at = Endpoint::Ip(([192, 0, 2, 1], 7).into());
        let peers = ["successor", "finger"].map(|role| neighbour(&at, role, Some(0.25)));
        let drawn = overlay(OverlayKind::Ring, me(None, Some(0.5)), peers);
        assert_eq!(drawn.peers.iter().map(|peer| peer.role.as_str()).collect::<Vec<_>>(), ["successor"]);
    }
}
