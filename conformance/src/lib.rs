//! One suite of scenarios for every network, in two worlds.
//!
//! A scenario is a plain function over a [`World`]: it knows peers, the four verbs and what users see, and nothing of the network or of what
//! runs it. [`LabWorld`] runs it in virtual time, [`RealWorld`] on loopback sockets and temporary folders. What a network needs to be run so is
//! its [`Adapter`], one file each.

mod adapter;
mod bittorrent;
mod bittorrent_v2;
mod chord;
mod freenet;
mod gnutella;
mod kazaa;
mod lab_world;
mod machine;
mod napster;
mod real_world;
pub mod scenarios;
mod world;

pub use adapter::{Adapter, Centre};
pub use bittorrent_v2::BitTorrentV2;
pub use lab_world::LabWorld;
pub use real_world::RealWorld;
pub use world::{Fetching, Folder, Outcome, Peer, Published, World};

/// Hands the scenarios of the suite to one of the macros below. Whatever is to be run everywhere is named here.
#[doc(hidden)]
#[macro_export]
macro_rules! each_scenario {
    ($suite:ident, $network:ty) => {
        $crate::$suite!(
            @ $network:
            a_published_file_is_found_by_digest_and_fetched,
            a_search_for_what_nobody_has_ends,
            a_cancelled_fetch_ends_and_leaves_no_lease,
            a_source_that_dies_does_not_stop_the_fetch,
            a_source_that_lies_is_found_out,
            a_fetch_restarted_in_the_middle_fetches_nothing_twice,
            an_empty_file_can_be_shared,
            a_folder_arrives_with_all_its_files,
            many_fetch_the_same_at_the_same_time,
        );
    };
}

/// All scenarios for one network as tests in the lab, with every message as it is and as bytes: for a network that has other addresses there
/// than on real sockets.
#[macro_export]
macro_rules! lab_suite {
    (@ $network:ty: $($scenario:ident,)*) => {
        mod lab {
            use super::*;
            $(#[test]
            fn $scenario() {
                $crate::scenarios::$scenario(&mut $crate::LabWorld::<$network>::new(1, false));
            })*
        }
        mod lab_with_codec {
            use super::*;
            $(#[test]
            fn $scenario() {
                let mut world = $crate::LabWorld::<$network>::new(1, true);
                $crate::scenarios::$scenario(&mut world);
                assert_eq!(world.codec_differences(), 0, "every message is read as what was sent");
            })*
        }
    };
    ($network:ty) => {
        $crate::each_scenario!(lab_suite, $network);
    };
}

/// All scenarios for one network as tests on real sockets: the other half of [`lab_suite`].
#[macro_export]
macro_rules! real_suite {
    (@ $network:ty: $($scenario:ident,)*) => {
        mod real {
            use super::*;
            $(#[test]
            fn $scenario() {
                $crate::scenarios::$scenario(&mut $crate::RealWorld::<$network>::default());
            })*
        }
    };
    ($network:ty) => {
        $crate::each_scenario!(real_suite, $network);
    };
}

/// All scenarios for one network as tests: in the lab, in the lab with every message as bytes, and on real sockets.
#[macro_export]
macro_rules! suite {
    ($network:ty) => {
        $crate::lab_suite!($network);
        $crate::real_suite!($network);
    };
}
