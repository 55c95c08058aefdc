//! A node and its disk: what is killed has lost nothing, what is full or broken is said and costs no more than what lay there.

use bytes::Bytes;
use hexad_core::{Payload, Progress, Span};
use hexad_freenet::keys::{Block, ClientChk};
use hexad_freenet::{Reply, Request, Settings};

use crate::table::Table;

const HTL: u16 = 10;

/// Who asks and keeps nothing, and who keeps.
fn two() -> (Table, usize, usize) {
    let mut table = Table::new();
    let asker = table.joins(Settings { store_blocks: 0, cache_blocks: 0, ..Settings::default() }, &[]);
    let keeper = table.joins(Settings::default(), &[asker]);
    table.pass(Span::from_secs(5));
    assert!(table.are_neighbours(asker, keeper));
    (table, asker, keeper)
}

fn block(number: u8) -> Block {
    ClientChk::encode(&[number; 1000], false).expect("it fits a block").1
}

fn puts(table: &mut Table, asker: usize, block: &Block) -> bool {
    let reports = table.asks(asker, Request::PutBlock(Box::new(block.clone()), HTL));
    table.pass(Span::from_secs(1));
    match &reports[..] {
        [Progress::Own(Reply::Inserted(_)), Progress::Done] => true,
        [Progress::Failed(_)] => false,
        _ => panic!("{reports:?}"),
    }
}

fn gets(table: &mut Table, asker: usize, block: &Block) -> bool {
    let reports = table.asks(asker, Request::GetBlock(block.key, HTL));
    table.pass(Span::from_secs(1));
    match &reports[..] {
        [Progress::Own(Reply::Block(got)), Progress::Done] => {
            assert_eq!(**got, *block);
            true
        }
        [Progress::Failed(_)] => false,
        _ => panic!("{reports:?}"),
    }
}

#[test]
fn a_node_that_is_killed_has_lost_no_block_that_it_has_confirmed() {
    let (mut table, asker, keeper) = two();
    let blocks: Vec<Block> = (0..20).map(block).collect();
    for block in &blocks {
        assert!(puts(&mut table, asker, block));
    }
    // No word of farewell, and no second for anything that was to be written later.
    table.dies(keeper);
    assert!(blocks.iter().all(|block| !gets(&mut table, asker, block)), "nobody else has them");
    table.rises(keeper, |_| {});
    table.join(keeper, &[asker]);
    table.pass(Span::from_secs(5));
    assert!(table.are_neighbours(asker, keeper));
    assert!(blocks.iter().all(|block| gets(&mut table, asker, block)));
}

#[test]
fn a_full_disk_is_said_and_costs_nothing_that_was_there_before() {
    let (mut table, asker, keeper) = two();
    assert!(puts(&mut table, asker, &block(1)));
    table.seats[keeper].disk_is_full = true;
    assert!(!puts(&mut table, asker, &block(2)), "nobody has kept it, and the one who inserts it is told");
    assert!(table.count(keeper, "store_failed") > 0);
    assert!(gets(&mut table, asker, &block(1)) && !gets(&mut table, asker, &block(2)));
    table.seats[keeper].disk_is_full = false;
    assert!(puts(&mut table, asker, &block(2)) && gets(&mut table, asker, &block(2)));
}

#[test]
fn a_block_that_the_disk_gives_back_as_another_is_said_and_dropped_and_can_be_inserted_again() {
    let (mut table, asker, keeper) = two();
    assert!(puts(&mut table, asker, &block(1)) && puts(&mut table, asker, &block(2)));
    let sound = table.seats[keeper].disk.clone();
    for bytes in table.seats[keeper].disk.values_mut().filter(|bytes| bytes.len() > 1000) {
        let Payload::Bytes(whole) = bytes else { panic!("bytes") };
        let mut broken = whole.to_vec();
        broken[500] ^= 1;
        *bytes = Payload::Bytes(Bytes::from(broken));
    }
    assert_ne!(sound, table.seats[keeper].disk, "there are blocks");
    assert!(!gets(&mut table, asker, &block(1)));
    assert_eq!(table.count(keeper, "bad_block"), 1);
    assert!(puts(&mut table, asker, &block(1)) && gets(&mut table, asker, &block(1)));
    assert!(!gets(&mut table, asker, &block(2)));
    assert_eq!(table.count(keeper, "bad_block"), 2);
}
