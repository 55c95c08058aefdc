//! One world, six networks: the same users, files, questions, distances, comings and goings, whatever network runs among them.
//!
//! `society` is the world, `drive` what happens in it, `figures` what is measured; `settled` is what a network has to say of itself, and
//! each network says it in a file of its own. `comparison` runs these scenarios side by side and draws the curves.

mod bittorrent;
mod chord;
mod drive;
mod figures;
mod freenet;
mod gnutella;
mod kazaa;
mod napster;
mod settled;
mod society;

use crate::scenario::{Parameter, Scenario};
use crate::value::Preset;

/// What can be set in the common world; the same for all networks.
const PARAMETERS: &[Parameter] = &[
    Parameter { name: "files-each", default: Preset::Number(1.0), help: "copies of files, for each user" },
    Parameter { name: "distinct-each", default: Preset::Number(0.2), help: "distinct files, for each user" },
    Parameter { name: "zipf", default: Preset::Number(0.8), help: "exponent of the popularity of files" },
    Parameter {
        name: "ask",
        default: Preset::Choice(&["popular", "rare", "even"]),
        help: "for which files: by popularity, of one copy, any",
    },
    Parameter { name: "queries", default: Preset::Count(400), help: "questions in a world at rest; half as many in each other period" },
    Parameter { name: "window", default: Preset::Seconds(60.0), help: "of what all periods are made: longer is quieter, and costs more" },
    Parameter { name: "newcomers", default: Preset::Count(20), help: "whose joining is measured" },
    Parameter {
        name: "leaves",
        default: Preset::Count(50),
        help: "one user in so many is fit to be a supernode, and never behind a translator",
    },
    Parameter { name: "ttl", default: Preset::Count(7), help: "hops of a flood" },
    Parameter { name: "training", default: Preset::Count(5), help: "requests of every user before Freenet is measured, at most 20" },
    Parameter { name: "latency", default: Preset::Choice(&["space", "constant"]), help: "distances of a square, or 50 ms for all" },
    Parameter { name: "nat-percent", default: Preset::Count(0), help: "users whom nobody can dial, percent of those who are not fit" },
    Parameter { name: "slow-percent", default: Preset::Count(0), help: "users on slow lines, percent of those who are not fit" },
    Parameter { name: "slow-by", default: Preset::Seconds(0.15), help: "how much longer messages take there, each way" },
    Parameter { name: "loss-ppm", default: Preset::Count(0), help: "messages lost, of a million" },
    Parameter { name: "whole", default: Preset::Switch(true), help: "churn, failures and attacks as well" },
    Parameter {
        name: "sessions",
        default: Preset::Numbers(&[28_800.0, 3600.0, 300.0, 60.0]),
        help: "mean sessions under churn, seconds, one after the other; a quarter of it lies between two",
    },
    Parameter {
        name: "failed",
        default: Preset::Numbers(&[0.1, 0.3, 0.5, 0.7, 0.9]),
        help: "shares of users that have vanished, in growing order",
    },
    Parameter { name: "codec", default: Preset::Switch(false), help: "every message becomes bytes on its way" },
];

macro_rules! scenario {
    ($static:ident, $name:literal, $about:literal, $network:ty) => {
        #[doc = concat!("`", $name, "`: ", $about, ".")]
        pub static $static: Scenario =
            Scenario { name: $name, about: $about, nodes: 1000, parameters: PARAMETERS, run: drive::live::<$network>, ..Scenario::PLAIN };
    };
}

scenario!(NAPSTER, "compare/napster", "The common world with a central index", hexad_napster::Napster);
scenario!(GNUTELLA, "compare/gnutella", "The common world with query flooding", hexad_gnutella::Gnutella);
scenario!(KAZAA, "compare/kazaa", "The common world with supernodes", hexad_kazaa::Kazaa<u32>);
scenario!(BITTORRENT, "compare/bittorrent", "The common world with swarms and a distributed hash table", hexad_bittorrent::BitTorrent);
scenario!(FREENET, "compare/freenet", "The common world with storage that routes by key", hexad_freenet::Freenet<u32>);
scenario!(CHORD, "compare/chord", "The common world with a ring", hexad_chord::Chord<u32>);

/// The six, in the order of the document.
pub static ALL: [&Scenario; 6] = [&NAPSTER, &GNUTELLA, &KAZAA, &BITTORRENT, &FREENET, &CHORD];
