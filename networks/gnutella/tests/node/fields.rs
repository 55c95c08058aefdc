//! Structured queries: what they restrict, what is put out with hits, and what is read of them.

use std::sync::Arc;

use bytes::Bytes;
use hexad_core::{ConnId, Operation, Outbound, Output, Progress, ShareId};
use hexad_gnutella::wire::ggep::Block;
use hexad_gnutella::wire::{Body, Extensions, Fields, Guid, Packet, Query, QueryHit, Record, Schema, Trailer, flags};
use hexad_gnutella::{Audio, Locator, Mode, Node, Request};

use crate::stage::{Stage, drops, packets, queries, settings};

fn sounds(stage: &mut Stage, share: ShareId, bitrate_kbps: u32, seconds: u32) {
    let (op, said) =
        stage.starts(Operation::Own(Request::Audio { share, files: vec![(0, Audio { bitrate_kbps, seconds, ..Audio::default() })] }));
    assert!(said.iter().any(|output| matches!(output, Output::Report(of, Progress::Done) if *of == op)));
}

fn rich(id: u8, text: &str, fields: &Fields) -> Packet {
    let ext = Extensions { texts: vec![Fields::write(&[(None, fields.clone())])], ..Extensions::default() }.bytes();
    asks(id, text, ext)
}

fn asks(id: u8, text: &str, ext: Bytes) -> Packet {
    let query = Query { flags: flags::MARK | flags::XML, text: text.into(), ext };
    Packet { muid: Guid([id; 16]), ttl: 1, hops: 1, body: Body::Query(Arc::new(query)) }
}

fn hits(said: &[Outbound<Node>], to: ConnId) -> Vec<Arc<QueryHit>> {
    packets(said, to).into_iter().filter_map(|packet| if let Body::Hit(hit) = packet.body { Some(hit) } else { None }).collect()
}

fn names(said: &[Outbound<Node>], to: ConnId) -> Vec<String> {
    let records = hits(said, to).into_iter().flat_map(|hit| hit.records.clone());
    records.map(|record| String::from_utf8_lossy(&record.name).into_owned()).collect()
}

/// An ultrapeer with three songs and a text, and a neighbour.
fn record_shop() -> (Stage, ConnId) {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    for (name, bitrate_kbps) in [("blue sky.ogg", 128), ("blue sea.ogg", 320), ("blue moon.ogg", 0)] {
        let share = stage.offers(name);
        sounds(&mut stage, share, bitrate_kbps, 200);
    }
    stage.offers("blue text.txt");
    let up = stage.neighbour(Some(true));
    (stage, up)
}

#[test]
fn numbers_and_kinds_of_a_structured_query_restrict() {
    let (mut stage, up) = record_shop();
    let audio = |bitrate: &str| Fields::new(Schema::Audio).with("bitrate", bitrate);
    assert_eq!(names(&stage.hears_packet(up, rich(1, "blue", &audio("128"))), up), ["blue sky.ogg"]);
    assert_eq!(names(&stage.hears_packet(up, rich(2, "blue", &audio("100-"))), up).len(), 2);
    assert_eq!(names(&stage.hears_packet(up, rich(3, "blue", &audio("129-320"))), up), ["blue sea.ogg"]);
    assert_eq!(names(&stage.hears_packet(up, rich(4, "blue", &audio("loud"))), up).len(), 0);
    assert_eq!(names(&stage.hears_packet(up, rich(5, "blue", &Fields::new(Schema::Document))), up), ["blue text.txt"]);
    assert_eq!(names(&stage.hears_packet(up, rich(6, "blue", &Fields::new(Schema::Audio).with("year", "1999"))), up).len(), 0);
}

#[test]
fn words_of_fields_are_words_of_the_query() {
    let (mut stage, up) = record_shop();
    let title = Fields::new(Schema::Audio).with("title", "Sea").with("artist", "blue");
    assert_eq!(names(&stage.hears_packet(up, rich(1, "", &title)), up), ["blue sea.ogg"]);
    let nothing = Fields::new(Schema::Audio).with("bitrate", "128");
    assert_eq!(drops(&stage.hears_packet(up, rich(2, "", &nothing))), ["query_for_nothing"]);
}

#[test]
fn a_structured_query_goes_to_leaves_that_have_its_words() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let leaf = stage.leaf_with(&["orange"]);
    stage.leaf_with(&["green"]);
    let up = stage.neighbour(Some(true));
    let said = stage.hears_packet(up, rich(1, "", &Fields::new(Schema::Audio).with("title", "Orange")));
    assert_eq!(queries(&said).iter().map(|(conn, ..)| *conn).collect::<Vec<_>>(), [leaf]);
}

#[test]
fn how_songs_sound_is_put_out_with_hits_to_whoever_reads_it() {
    let (mut stage, up) = record_shop();
    let said = stage.hears_packet(up, asks(1, "blue sky", Bytes::new()));
    let hit = hits(&said, up).remove(0);
    let trailer = hit.trailer.clone().unwrap();
    let fields = Fields::new(Schema::Audio).with("bitrate", "128").with("seconds", "200").with("index", "0");
    assert_eq!(trailer.fields(), [(0, fields)]);
    assert!(trailer.ggep().find("BH").is_some());
    let mut plain = asks(2, "blue sky", Bytes::new());
    plain.body = Body::Query(Arc::new(Query { flags: flags::MARK, text: "blue sky".into(), ext: Bytes::new() }));
    let said = stage.hears_packet(up, plain);
    assert_eq!(hits(&said, up)[0].trailer.as_ref().unwrap().fields(), []);
}

#[test]
fn whats_new_is_answered_by_the_latest_files() {
    let (mut stage, up) = record_shop();
    let ext = Extensions { ggep: Block::default().with("WH", Bytes::from_static(&[1])), ..Extensions::default() }.bytes();
    assert_eq!(names(&stage.hears_packet(up, asks(1, "WhatIsNewXOXO", ext)), up), ["blue text.txt", "blue moon.ogg", "blue sea.ogg"]);
}

#[test]
fn what_a_hit_says_of_a_file_counts_as_its_words_and_is_told() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let up = stage.neighbour(Some(true));
    let fields = Fields::new(Schema::Audio).with("title", "Purple Rain");
    let (op, said) = stage.starts(Operation::Own(Request::SearchFields { words: vec!["rain".into()], fields, wanted: 5 }));
    let sent = packets(&said, up);
    let [Packet { muid, body: Body::Query(query), .. }] = &sent[..] else { panic!("{sent:?}") };
    assert_eq!(Fields::wanted(&query.extensions()).unwrap().find("title"), Some("Purple Rain"));
    assert!(query.has(flags::XML));
    let record =
        |index: u32, name: &'static str| Record { index, size: 1000, name: Bytes::from_static(name.as_bytes()), ext: Bytes::new() };
    let said = Fields::new(Schema::Audio).with("title", "Purple Rain").with("bitrate", "192").with("seconds", "520");
    let hit = QueryHit {
        at: "198.51.100.9:6346".parse().unwrap(),
        speed_kbps: 100,
        records: vec![record(1, "advertisement.exe"), record(2, "track 9.mp3")],
        trailer: Some(Trailer::new(*b"LIME", false, false, &Block::default()).with_xml(&Fields::write(&[(Some(1), said)]))),
        servent: Guid([8; 16]),
    };
    let said = stage.hears_packet(up, Packet { muid: *muid, ttl: 2, hops: 1, body: Body::Hit(Arc::new(hit)) });
    let found = said.iter().find_map(|output| match output {
        Output::Report(of, Progress::Hit(hit)) if *of == op => Some(hit.clone()),
        _ => None,
    });
    let found = found.expect("a hit");
    assert_eq!(found.name, "track 9.mp3");
    let hexad_core::What::Locator(locator) = &found.source.what else { panic!("{found:?}") };
    let locator = Locator::read(locator).unwrap();
    assert_eq!((locator.bitrate_kbps, locator.seconds), (192, 520));
    assert!(drops(&said).contains(&"hit_not_asked_for"));
}

#[test]
fn what_tags_say_is_found_and_put_out() {
    let mut stage = Stage::new(settings(Mode::Ultrapeer));
    let share = ShareId(102);
    let audio = Audio { title: "Blue Sky".into(), artist: "The <Clouds>".into(), ..Audio::default() };
    stage.starts(Operation::Own(Request::Audio { share, files: vec![(0, audio)] }));
    assert_eq!(stage.offers("track 7.ogg"), share);
    let up = stage.neighbour(Some(true));
    let said = stage.hears_packet(up, rich(1, "clouds", &Fields::new(Schema::Audio).with("title", "sky")));
    assert_eq!(names(&said, up), ["track 7.ogg"]);
    let fields = hits(&said, up)[0].trailer.as_ref().unwrap().fields();
    assert_eq!((fields[0].1.find("title"), fields[0].1.find("artist")), (Some("Blue Sky"), Some("The <Clouds>")));
    assert_eq!(names(&stage.hears_packet(up, asks(2, "green clouds", Bytes::new())), up).len(), 0);
}
