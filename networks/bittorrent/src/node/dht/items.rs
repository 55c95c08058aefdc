//! Values that others have us store. BEP 44.

use std::net::IpAddr;

use bytes::Bytes;
use hexad_core::{Map, Span, Time};

use crate::wire::stored::{SALT_BYTES_MAX, Signed, VALUE_BYTES_MAX, immutable_target, is_value, mutable_target};

/// What is not put again is forgotten after this. BEP 44.
const LIFE: Span = Span::from_secs(2 * 3600);

/// Why a value is not stored: code and text of the error that is answered.
pub(super) type Refusal = (i64, &'static str);

/// A stored value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Bencoded.
    pub value: Bytes,
    /// Where it can be changed.
    pub signed: Option<Box<Signed>>,
    /// Who has put it last.
    from: IpAddr,
    at: Time,
}

/// All values.
#[derive(Debug)]
pub(super) struct Items {
    items: Map<[u8; 20], Item>,
    max: usize,
    swept: Time,
}

/// Where a value is stored.
pub(super) fn target_of(value: &[u8], signed: Option<&Signed>) -> [u8; 20] {
    signed.map_or_else(|| immutable_target(value), |signed| mutable_target(&signed.key, &signed.salt))
}

impl Items {
    pub const fn new(max: usize) -> Self {
        Self { items: Map::new(), max, swept: Time::ZERO }
    }

    /// Takes a value in from whoever has shown that he is at `from`. Where there is no room, the one who has put most gives up what he put longest ago:
    /// who floods displaces his own.
    ///
    /// # Errors
    /// When it is too long, not signed by its owner, older than what is known, or does not follow what `cas` says.
    pub fn put(&mut self, value: &Bytes, signed: Option<&Signed>, cas: Option<i64>, from: IpAddr, now: Time) -> Result<(), Refusal> {
        if value.len() > VALUE_BYTES_MAX {
            return Err((205, "value too big"));
        }
        if signed.is_some_and(|signed| signed.salt.len() > SALT_BYTES_MAX) {
            return Err((207, "salt too big"));
        }
        if !is_value(value) {
            return Err((203, "value not bencoded"));
        }
        self.expire(now);
        let target = target_of(value, signed);
        let known = self.items.get(&target);
        if let (Some(signed), Some(Item { value: before, signed: Some(known), .. })) = (signed, known) {
            if cas.is_some_and(|cas| cas != known.seq) {
                return Err((301, "sequence number not as expected"));
            }
            if signed.seq < known.seq || signed.seq == known.seq && before != value {
                return Err((302, "sequence number too old"));
            }
        }
        // Last, for it costs most.
        if signed.is_some_and(|signed| !signed.holds(value)) {
            return Err((206, "signature wrong"));
        }
        if known.is_none() && self.items.len() >= self.max {
            self.make_room();
        }
        self.items.insert(target, Item { value: value.clone(), signed: signed.map(|signed| Box::new(signed.clone())), from, at: now });
        Ok(())
    }

    /// What is stored there.
    pub fn at(&self, target: &[u8; 20], now: Time) -> Option<&Item> {
        self.items.get(target).filter(|item| now.since(item.at) < LIFE)
    }

    /// How many values are stored.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    fn make_room(&mut self) {
        let mut counts: Map<IpAddr, usize> = Map::new();
        self.items.values().for_each(|item| *counts.entry(item.from).or_default() += 1);
        let Some(greediest) = counts.iter().max_by_key(|(_, count)| **count).map(|(ip, _)| *ip) else { return };
        let oldest =
            self.items.iter().filter(|(_, item)| item.from == greediest).min_by_key(|(_, item)| item.at).map(|(target, _)| *target);
        if let Some(target) = oldest {
            self.items.remove(&target);
        }
    }

    fn expire(&mut self, now: Time) {
        // Once a minute is enough: what is read is looked at one by one anyway.
        if now.since(self.swept) >= Span::from_secs(60) {
            self.swept = now;
            self.items.retain(|_, item| now.since(item.at) < LIFE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELLO: Bytes = Bytes::from_static(b"5:hello");

    fn ip(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn at(seconds: u64) -> Time {
        Time::ZERO + Span::from_secs(seconds)
    }

    fn signed(seq: i64, value: &Bytes) -> Signed {
        Signed::new(&[7; 32], Bytes::from_static(b"s"), seq, value)
    }

    #[test]
    fn a_value_is_found_at_its_hash_for_two_hours() {
        let mut items = Items::new(10);
        items.put(&HELLO, None, None, ip(1), at(0)).unwrap();
        let target = immutable_target(&HELLO);
        assert_eq!(items.at(&target, at(7199)).map(|item| &item.value), Some(&HELLO));
        assert_eq!(items.at(&target, at(7200)), None);
        items.put(&HELLO, None, None, ip(1), at(7000)).unwrap();
        assert!(items.at(&target, at(14_000)).is_some(), "put again, it stays");
        items.put(&Bytes::from_static(b"i1e"), None, None, ip(1), at(99_999)).unwrap();
        assert_eq!(items.len(), 1);
    }

    #[test]
    fn only_its_owner_changes_a_value_and_only_forwards() {
        let mut items = Items::new(10);
        let (one, two) = (Bytes::from_static(b"i1e"), Bytes::from_static(b"i2e"));
        let mut put = |seq, value: &Bytes, cas| items.put(value, Some(&signed(seq, value)), cas, ip(1), at(0)).map_err(|(code, _)| code);
        assert_eq!(put(5, &one, None), Ok(()));
        assert_eq!(put(5, &one, None), Ok(()), "the same again");
        assert_eq!((put(5, &two, None), put(4, &two, None)), (Err(302), Err(302)));
        assert_eq!((put(6, &two, Some(4)), put(6, &two, Some(5))), (Err(301), Ok(())));
        let target = mutable_target(&signed(0, &one).key, b"s");
        assert_eq!(items.at(&target, at(1)).map(|item| (item.value.clone(), item.signed.as_ref().unwrap().seq)), Some((two.clone(), 6)));
        let forged = Signed { seq: 7, ..signed(6, &two) };
        assert_eq!(items.put(&two, Some(&forged), None, ip(9), at(1)), Err((206, "signature wrong")));
        let salt = Signed { salt: vec![0; 65].into(), ..forged };
        assert_eq!(items.put(&two, Some(&salt), None, ip(9), at(1)), Err((207, "salt too big")));
    }

    #[test]
    fn what_is_no_value_is_refused() {
        let mut items = Items::new(10);
        let long: Bytes = [b"998:".to_vec(), vec![0; 998]].concat().into();
        assert_eq!(items.put(&long, None, None, ip(1), at(0)), Err((205, "value too big")));
        assert_eq!(items.put(&long.slice(..1000), None, None, ip(1), at(0)), Err((203, "value not bencoded")));
        assert_eq!(items.put(&Bytes::new(), None, None, ip(1), at(0)), Err((203, "value not bencoded")));
        let fits: Bytes = [b"996:".to_vec(), vec![0; 996]].concat().into();
        assert_eq!(items.put(&fits, None, None, ip(1), at(0)), Ok(()));
    }

    #[test]
    fn whoever_floods_displaces_his_own() {
        let mut items = Items::new(20);
        for last in 0..5 {
            items.put(&format!("i{last}e").into(), None, None, ip(last), at(u64::from(last))).unwrap();
        }
        for number in 100..1000_u64 {
            items.put(&format!("i{number}e").into(), None, None, ip(99), at(number / 100)).unwrap();
        }
        assert_eq!(items.len(), 20);
        assert!((0..5).all(|last| items.at(&immutable_target(format!("i{last}e").as_bytes()), at(60)).is_some()));
    }
}
