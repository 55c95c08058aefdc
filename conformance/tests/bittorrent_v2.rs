//! The suite for BitTorrent v2.

use hexad_conformance::BitTorrentV2;

hexad_conformance::suite!(BitTorrentV2);
