use hexad_core::{Dice, Time};

use super::{Key, Next, Post, Queue};

/// Puts events in at random, some while others are taken out, and compares with a sorted list.
fn check(seed: u64, spread_us: u64, steps: u64) {
    let mut dice = Dice::counter(seed, 0);
    let mut queue: Queue<Key, Key> = Queue::new();
    let mut waiting: Vec<Key> = Vec::new();
    let mut now = Time::ZERO;
    for step in 0..steps {
        for _ in 0..dice.below(8) {
            let ahead = if dice.chance(1, 4) { dice.below(50) } else { dice.below(spread_us) };
            let at = Time::from_micros(now.as_micros() + ahead);
            let (to, wakes) = (dice.below(5) as u32, dice.chance(1, 2));
            let from = if wakes { to } else { 100 + dice.below(5) as u32 };
            let key = Key { at, to, from, sequence: (step * 8) as u32 + waiting.len() as u32 };
            waiting.push(key);
            if wakes {
                queue.push_wake(at, to, key.sequence, 0, key);
            } else {
                queue.push(Post { key, event: key });
            }
        }
        waiting.sort();
        let until = Time::from_micros(now.as_micros() + dice.below(spread_us / 4));
        assert!(queue.next_bound() <= waiting.first().map(|key| key.at), "the bound is a lower one");
        while let Some((key, next)) = queue.pop_until(until) {
            let (Next::Event(inside) | Next::Wake { timer: inside, .. }) = next;
            assert_eq!((key, inside), (waiting[0], waiting[0]));
            waiting.remove(0);
        }
        assert!(waiting.first().is_none_or(|key| key.at > until));
        assert_eq!(queue.len(), waiting.len());
        now = until;
    }
}

#[test]
fn events_come_in_the_order_of_their_keys() {
    for (seed, spread_us) in [(1, 200), (2, 20_000), (3, 3_000_000), (4, 600_000_000), (5, 100_000_000_000)] {
        check(seed, spread_us, 400);
    }
}

#[test]
fn what_lies_far_ahead_does_not_hide_what_comes_next() {
    let mut queue: Queue<u32, ()> = Queue::new();
    let at = |us: u64, sequence: u32| Key { at: Time::from_micros(us), to: 0, from: 1, sequence };
    queue.push(Post { key: at(3_600_000_000, 1), event: 1 });
    assert!(queue.pop_until(Time::from_micros(1000)).is_none());
    queue.push(Post { key: at(2000, 2), event: 2 });
    assert!(queue.pop_until(Time::from_micros(1999)).is_none());
    assert!(matches!(queue.pop_until(Time::from_micros(2000)), Some((_, Next::Event(2)))));
    assert!(matches!(queue.pop_until(Time::from_micros(3_600_000_000)), Some((_, Next::Event(1)))));
    assert_eq!(queue.len(), 0);
}
