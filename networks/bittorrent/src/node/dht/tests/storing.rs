//! Values that are stored in the DHT and found in it.

use super::*;
use crate::wire::bloom::{self, Filter};
use crate::wire::stored::{Signed, immutable_target};
use crate::wire::{KrpcMore, Samples};

const SECRET: [u8; 32] = [3; 32];

fn owned(seq: i64, value: &'static [u8]) -> StoredItem {
    StoredItem { value: Bytes::from_static(value), signed: Some(Box::new(Signed::new(&SECRET, Bytes::from_static(b"salt"), seq, value))) }
}

fn owner() -> ItemName {
    ItemName::Owner(Signed::new(&SECRET, Bytes::new(), 0, b"").key, Bytes::from_static(b"salt"))
}

impl World {
    fn put(&mut self, index: usize, item: &StoredItem, cas: Option<i64>) -> usize {
        self.news.clear();
        self.act(index, |dht, now, dice, out| dht.put(1, item.clone(), cas, now, dice, out));
        self.pass(Span::from_secs(30));
        let told = self.news.iter().filter_map(|(_, _, news)| if let DhtNews::Stored(1, told) = news { Some(*told) } else { None });
        let [told] = told.collect::<Vec<_>>()[..] else { panic!("{:?}", self.news) };
        told
    }

    fn get(&mut self, index: usize, name: ItemName) -> Option<StoredItem> {
        self.news.clear();
        self.act(index, |dht, now, dice, out| dht.get(2, name, now, dice, out));
        self.pass(Span::from_secs(30));
        let found = self.news.iter().filter_map(|(_, _, news)| if let DhtNews::Item(2, found) = news { Some(found) } else { None });
        let [found] = found.collect::<Vec<_>>()[..] else { panic!("{:?}", self.news) };
        found.clone()
    }

    fn query(&mut self, to: usize, from: SocketAddr, query: KrpcQuery) -> KrpcBody {
        let body = KrpcBody::Query { id: [7; 20], query, read_only: true };
        let packet = Krpc { transaction: Bytes::from_static(b"aa"), body, seen_as: None, version: None };
        let mut out = Outbox::new();
        let now = self.now;
        let Member::Honest(dht) = &mut self.members[to] else { panic!("not honest") };
        dht.on_datagram(from, &packet, now, &mut self.dice, &mut out);
        let said: Vec<_> = out.drain().collect();
        let answer = said.into_iter().find_map(|said| match said {
            Output::Send(_, Message::Krpc(packet)) if !matches!(packet.body, KrpcBody::Query { .. }) => Some(packet.body),
            _ => None,
        });
        answer.expect("an answer")
    }

    fn asked(&mut self, to: usize, from: SocketAddr, query: KrpcQuery) -> KrpcAnswer {
        match self.query(to, from, query) {
            KrpcBody::Answer { answer, .. } => answer,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_one_has_stored_all_find_and_only_its_owner_changes_it() {
    let mut world = network(30, 40, public);
    let hello = StoredItem { value: Bytes::from_static(b"12:Hello World!"), signed: None };
    assert!(world.put(3, &hello, None) >= 8);
    assert_eq!(world.get(20, ItemName::Hash(immutable_target(&hello.value))), Some(hello));
    assert_eq!(world.get(20, ItemName::Hash([9; 20])), None);

    assert_eq!(world.get(20, owner()), None);
    world.put(3, &owned(1, b"i1e"), None);
    assert_eq!(world.get(20, owner()), Some(owned(1, b"i1e")));
    world.put(7, &owned(2, b"i2e"), Some(1));
    assert_eq!(world.get(20, owner()), Some(owned(2, b"i2e")));
    world.put(8, &owned(1, b"i1e"), None);
    world.put(8, &owned(3, b"i3e"), Some(1));
    assert_eq!(world.get(21, owner()), Some(owned(2, b"i2e")), "neither backwards nor past what was expected");
    let forged = StoredItem { value: Bytes::from_static(b"i9e"), ..owned(9, b"i8e") };
    world.put(9, &forged, None);
    assert_eq!(world.get(21, owner()), Some(owned(2, b"i2e")));
    assert!((0..30).map(|index| world.dht(index).stored_items()).sum::<usize>() >= 16);
    world.pass(Span::from_secs(2 * 3600));
    assert_eq!(world.get(22, owner()), None, "what nobody puts again is forgotten");
}

#[test]
fn a_value_of_the_greatest_length_fits_into_a_packet() {
    let mut world = network(20, 41, public);
    let value: Bytes = [b"996:".to_vec(), vec![b'x'; 996]].concat().into();
    let long = StoredItem { signed: Some(Box::new(Signed::new(&SECRET, vec![b's'; 64].into(), i64::MAX, &value))), value };
    world.put(3, &long, None);
    let name = ItemName::Owner(long.signed.as_ref().unwrap().key, vec![b's'; 64].into());
    assert_eq!(world.get(9, name), Some(long));
}

#[test]
fn storing_needs_a_token_for_that_value_and_says_what_is_wrong() {
    let mut world = network(2, 42, local);
    let from: SocketAddr = "10.1.1.1:5".parse().unwrap();
    let item = owned(5, b"i5e");
    let get = |item: &StoredItem, seq| KrpcQuery::Get { target: item.target(), want: None, seq };
    let token = world.asked(0, from, get(&item, None)).token.unwrap();
    let put = |item: &StoredItem, cas| KrpcQuery::Put { token: token.clone(), value: item.value.clone(), signed: item.signed.clone(), cas };
    let code = |body: KrpcBody| if let KrpcBody::Error { code, .. } = body { code } else { 0 };
    assert_eq!(code(world.query(0, "10.1.1.2:5".parse().unwrap(), put(&item, None))), 203, "another's token");
    let other = StoredItem { value: Bytes::from_static(b"i5e"), signed: None };
    assert_eq!(code(world.query(0, from, put(&other, None))), 203, "another value's token");
    assert_eq!(code(world.query(0, from, put(&item, None))), 0);
    assert_eq!(code(world.query(0, from, put(&owned(4, b"i4e"), None))), 302);
    assert_eq!(code(world.query(0, from, put(&owned(6, b"i6e"), Some(4)))), 301);
    let forged = StoredItem { value: Bytes::from_static(b"i7e"), ..owned(7, b"i6e") };
    assert_eq!(code(world.query(0, from, put(&forged, None))), 206);

    let newer = world.asked(0, from, get(&item, Some(4))).more.unwrap();
    assert_eq!((newer.value, newer.seq, newer.signed.is_some()), (Some(item.value.clone()), Some(5), true));
    let known = world.asked(0, from, get(&item, Some(5))).more.unwrap();
    assert_eq!(*known, KrpcMore { seq: Some(5), ..KrpcMore::default() });
}

#[test]
fn whoever_asks_hears_how_many_there_are_and_some_torrents() {
    let mut world = network(2, 43, local);
    for last in 1..=40 {
        let from = SocketAddr::from(([10, 1, 1, last], 5));
        let token =
            world.asked(0, from, KrpcQuery::GetPeers { info_hash: HASH, want: None, no_seeds: false, scrape: false }).token.unwrap();
        let announce = KrpcQuery::AnnouncePeer { info_hash: HASH, port: 9, implied_port: false, token, seed: last <= 10 };
        world.asked(0, from, announce);
        world.pass(Span::from_secs(1));
    }
    let from = SocketAddr::from(([10, 1, 2, 1], 5));
    let ask = |no_seeds, scrape| KrpcQuery::GetPeers { info_hash: HASH, want: None, no_seeds, scrape };
    let counted = world.asked(0, from, ask(false, true));
    let scrape = counted.more.and_then(|more| more.scrape).expect("filters");
    assert!((scrape.0.estimate() - 10.0).abs() < 2.0 && (scrape.1.estimate() - 30.0).abs() < 3.0, "{scrape:?}");
    assert!(counted.peers.len() <= 6 && world.asked(0, from, ask(false, false)).peers.len() == 40);
    assert_eq!(world.asked(0, from, ask(true, false)).peers.len(), 30);
    let samples = world.asked(0, from, KrpcQuery::SampleInfohashes { target: [1; 20], want: None }).more.and_then(|more| more.samples);
    assert_eq!(samples, Some(Samples { interval_s: 3600, known: 1, info_hashes: vec![HASH] }));
}

#[test]
fn a_swarm_is_counted_by_what_all_nodes_near_it_know() {
    let mut world = network(30, 44, public);
    let announce = |world: &mut World, first: u8, seed: bool| {
        for last in first..first + 20 {
            let from = SocketAddr::from(([198, 51, 100, last], 5));
            // Each is known to a third of the nodes only.
            for to in (usize::from(last % 3)..30).step_by(3) {
                let query = KrpcQuery::GetPeers { info_hash: HASH, want: None, no_seeds: false, scrape: false };
                let token = world.asked(to, from, query).token.unwrap();
                let announce = KrpcQuery::AnnouncePeer { info_hash: HASH, port: 9, implied_port: false, token, seed };
                world.asked(to, from, announce);
            }
            world.pass(Span::from_secs(3));
        }
    };
    announce(&mut world, 1, true);
    announce(&mut world, 101, false);
    announce(&mut world, 131, false);
    let mut scrape = |index: usize, info_hash| {
        world.news.clear();
        world.act(index, |dht, now, dice, out| dht.scrape(3, info_hash, now, dice, out));
        world.pass(Span::from_secs(30));
        let census = world.news.iter().filter_map(|(_, _, news)| if let DhtNews::Scraped(3, census) = news { Some(census) } else { None });
        let [census] = census.collect::<Vec<_>>()[..] else { panic!("{:?}", world.news) };
        (census.nodes, census.seeds.count(), census.leechers.count())
    };
    let (nodes, seeds, leechers) = scrape(4, HASH);
    assert!(nodes >= 8 && (19..=21).contains(&seeds) && (38..=42).contains(&leechers), "{nodes} {seeds} {leechers}");
    let (_, seeds, leechers) = scrape(4, [9; 20]);
    assert_eq!((seeds, leechers), (0, 0), "nobody is there");
}

#[test]
fn whoever_fills_his_filters_hides_nobody() {
    let full = Filter([0xff; bloom::FILTER_BYTES]);
    let mut real = Filter::default();
    (1..=10).for_each(|last| real.insert(IpAddr::from([192, 0, 2, last])));
    let mut quest = Quest::Scrape(HASH, Box::default());
    for scrape in [(real.clone(), Filter::default()), (full.clone(), Filter::default()), (Filter::default(), full)] {
        quest.hear(&KrpcMore { scrape: Some(Box::new(scrape)), ..KrpcMore::default() });
    }
    let Quest::Scrape(_, census) = quest else { panic!() };
    assert_eq!((census.nodes, census.seeds, census.leechers), (1, real, Filter::default()));
}

#[test]
fn torrents_that_nodes_know_are_heard_of_by_asking_for_samples() {
    let mut world = network(30, 45, public);
    for number in 0..30_u8 {
        let info_hash = [number; 20];
        let from = SocketAddr::from(([198, 51, 100, number], 5));
        let query = KrpcQuery::GetPeers { info_hash, want: None, no_seeds: false, scrape: false };
        let token = world.asked(usize::from(number), from, query).token.unwrap();
        world.asked(usize::from(number), from, KrpcQuery::AnnouncePeer { info_hash, port: 9, implied_port: false, token, seed: false });
    }
    world.act(4, |dht, now, dice, out| dht.sample(3, Set::new(), now, dice, out));
    world.pass(Span::from_secs(30));
    let found = world.news.iter().find_map(|(_, _, news)| if let DhtNews::Sampled(3, walk) = news { Some(&walk.found) } else { None });
    let found = found.expect("an answer");
    assert!(found.len() >= 8 && found.iter().all(|hash| hash[0] < 30), "{found:?}");
}
