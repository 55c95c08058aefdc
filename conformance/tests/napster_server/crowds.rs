//! Many, slow, silent and malicious: others are not disturbed, and memory stays bounded.

use std::io::{Read as _, Write as _};

use hexad_driver::host::HostConfig;
use hexad_napster::ServerConfig;

use crate::house::{Bare, House, Neighbour, framed, loopback};

/// How many connections this process may have beside a server's: its descriptors, but for what the tests themselves need.
fn idle_max() -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let hard = limit.maximum;
    rustix::process::setrlimit(rustix::process::Resource::Nofile, rustix::process::Rlimit { current: hard, maximum: hard }).unwrap();
    let descriptors = hard.map_or(usize::MAX, |hard| usize::try_from(hard).unwrap_or(usize::MAX));
    // The host takes half of the descriptors at most; the child inherits the limit.
    (descriptors / 2).saturating_sub(100)
}

#[test]
fn ten_thousand_idle_connections_do_not_disturb_who_works() {
    let home = tempfile::tempdir().unwrap();
    let idle = idle_max().min(10_000);
    assert!(idle >= 400, "this machine allows {idle} connections");
    let server = Neighbour::start(home.path());
    let mut alice = Bare::joined(server.address, "alice");
    alice.say(100, "\"C:\\a blue song.mp3\" x 1 2 3 4");
    assert!(alice.is_served());
    let before = server.resident_bytes();
    // They log in and say nothing more, from many addresses.
    let mut crowd: Vec<Bare> = (0..idle)
        .map(|number| {
            let last = u8::try_from(2 + number / 500).unwrap_or(255);
            let mut bare = Bare::connect_from(last, server.address);
            bare.say(2, format!("idle{number} guest 0 \"bare 1\" 4"));
            bare
        })
        .collect();
    for bare in &mut crowd {
        bare.hears(3);
    }
    let each = server.resident_bytes().saturating_sub(before) / idle as u64;
    assert!(each < 16 << 10, "an idle connection takes {each} bytes");
    let mut carol = Bare::joined(server.address, "carol");
    carol.say(200, "FILENAME CONTAINS \"blue\" MAX_RESULTS 5");
    assert!(carol.hears(201).contains("alice"));
    carol.hears(202);
    drop(crowd);
    assert!(alice.is_served());
}

#[test]
fn who_asks_without_end_and_never_reads_is_left_and_others_go_on() {
    // As a server that faces strangers is run: little may wait for anybody.
    let host = HostConfig { send_queue_mark_bytes: 64 << 10, send_queue_bytes_max: 512 << 10, ..HostConfig::default() };
    let house =
        House::new(ServerConfig { searches_per_minute: 0, browse_max: u32::MAX, listen: loopback(), ..ServerConfig::default() }, host);
    let mut alice = Bare::joined(house.address, "alice");
    for number in 0..400 {
        alice.say(100, format!("\"C:\\{} {number}.mp3\" x 1 2 3 4", "long song ".repeat(20)));
    }
    assert!(alice.is_served());
    let mut slow = Bare::joined(house.address, "slow");
    slow.stream.set_nonblocking(true).unwrap();
    let ask = framed(211, b"alice 400");
    // Until the server has had enough; our own socket takes a while to notice.
    let mut asked = 0;
    let error = loop {
        match slow.stream.write(&ask) {
            Ok(_) => asked += 1,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                assert!(alice.is_served(), "others are served meanwhile");
            }
            Err(error) => break error,
        }
        assert!(asked < 1_000_000, "nobody stops it");
    };
    assert!(matches!(error.kind(), std::io::ErrorKind::ConnectionReset | std::io::ErrorKind::BrokenPipe), "{error}");
    assert!(alice.is_served());
    let notes = house.handle.note_counts();
    assert!(notes.contains_key("reads_too_slowly") || notes.contains_key("slow_reader"), "{notes:?}");
}

#[test]
fn one_address_and_one_server_have_so_many_connections_and_no_more() {
    let house = House::new(
        ServerConfig { address_connections_max: 3, connections_max: 5, listen: loopback(), ..ServerConfig::default() },
        HostConfig::default(),
    );
    let mut first: Vec<Bare> = (0..3).map(|number| Bare::joined(house.address, &format!("first{number}"))).collect();
    let refused = |mut bare: Bare| bare.hears_out();
    assert_eq!(refused(Bare::connect(house.address)), [(0, "too many connections from your address".to_owned())]);
    let mut others: Vec<Bare> = (0..2).map(|_| Bare::connect_from(7, house.address)).collect();
    for (number, bare) in others.iter_mut().enumerate() {
        bare.say(2, format!("other{number} guest 0 \"bare 1\" 4"));
        bare.hears(3);
    }
    assert_eq!(refused(Bare::connect_from(8, house.address)), [(0, "the server is full".to_owned())]);
    assert!(first.iter_mut().chain(&mut others).all(Bare::is_served));
}

#[test]
fn nonsense_is_answered_or_ends_the_connection_that_it_came_by() {
    let house = House::new(ServerConfig { listen: loopback(), ..ServerConfig::default() }, HostConfig::default());
    let mut alice = Bare::joined(house.address, "alice");
    let mut eve = Bare::joined(house.address, "eve");
    eve.say(999, "x");
    assert_eq!(eve.hears(404), "Unknown command code 999");
    eve.say(100, b"\"C:\\never closed x 1 2 3 4");
    assert_eq!(eve.hears(404), "parameters are unparsable");
    eve.say(100, b"\"C:\\Bj\xf6rk \xff\xfe.mp3\" x 1 2 3 4");
    eve.say(200, "FILENAME CONTAINS \"open");
    assert_eq!(eve.hears(404), "invalid search request");
    eve.hears(202);
    alice.say(200, "FILENAME CONTAINS \"bj\u{f6}rk\" MAX_RESULTS 3");
    assert!(alice.hears(201).contains("eve"));
    // A length that no message may have.
    eve.stream.write_all(&[0xff, 0xff, 2, 0]).unwrap();
    eve.hears_out();
    // A length and nothing behind it, a command that belongs elsewhere, bytes that are nothing.
    for bytes in [&[0x10, 0, 2, 0][..], b"GET eve \"x\" 0", b"SENDLIST eve\n", &[0, 0, 0, 0], &[0x80; 300]] {
        let mut odd = Bare::connect(house.address);
        odd.stream.write_all(bytes).unwrap();
        odd.stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        let _ = odd.stream.read_to_end(&mut answer);
    }
    assert!(alice.is_served());
}

#[test]
fn a_burst_of_a_whole_library_with_the_login_is_taken() {
    let house = House::new(ServerConfig { listen: loopback(), ..ServerConfig::default() }, HostConfig::default());
    let mut alice = Bare::connect(house.address);
    let mut burst = framed(2, b"alice guest 6699 \"bare 1\" 4");
    for number in 0..2000 {
        burst.extend(framed(100, format!("\"C:\\Music\\song {number}.mp3\" x 1 2 3 4").as_bytes()));
    }
    burst.extend(framed(214, b""));
    alice.stream.write_all(&burst).unwrap();
    alice.hears(3);
    while alice.hears(214) != "1 2000 0" {}
}
