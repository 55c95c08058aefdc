//! The BitTorrent node, told a story that is made of bytes: users, peers, trackers and time, all of them as hostile as the bytes like.
//!
//! [`world`] is a host that keeps count of everything and holds the node to the contract; [`story`] turns bytes into what happens next.

mod story;
mod world;

use hexad_core::{Endpoint, Input, Operation, Span};

use self::story::{Bytes, happen};
use self::world::World;

/// A story: the first byte chooses the kind of node, the rest what happens to it. At the end time passes, and the node leaves.
pub fn bittorrent_node(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let mut world = World::new(bytes.byte());
    let join = world.fresh_op();
    world.hear(Input::Start(join, Operation::Join { bootstrap: vec![Endpoint::Ip(([10, 0, 0, 77], 6881).into())] }));
    world.open_doors(true);
    let mut steps = 0;
    while !bytes.0.is_empty() && steps < 400 {
        happen(&mut world, &mut bytes);
        steps += 1;
    }
    for _ in 0..12 {
        world.pass(Span::from_secs(15));
    }
    world.check_swarms();
    world.hear(Input::Cancel(join));
    world.check_that_all_has_ended();
}
