//! The suite for BitTorrent.

use hexad_bittorrent::BitTorrent;

hexad_conformance::suite!(BitTorrent);
