//! Registered names: hashed by Argon2id in the real host, and kept whatever happens to the process.

use crate::house::{Bare, Neighbour};

const PASSWORD: &str = "correct-horse-battery";

fn refused(address: std::net::SocketAddr, nick: &str, password: &str) -> Vec<(u16, String)> {
    let mut bare = Bare::connect(address);
    bare.say(2, format!("{nick} {password} 0 \"bare 1\" 4"));
    bare.hears_out()
}

#[test]
fn accounts_outlive_a_server_that_is_killed() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Neighbour::start(home.path());
    // Several at once, and the server is killed as soon as each of them has been told that he is registered.
    let mut registering: Vec<Bare> = (0..5)
        .map(|number| {
            let mut bare = Bare::connect(server.address);
            bare.say(6, format!("Bob{number} {PASSWORD}{number} 0 \"bare 1\" 4 bob@example.org"));
            bare
        })
        .collect();
    for bare in &mut registering {
        bare.hears(3);
    }
    server.kill();
    for bare in &mut registering {
        bare.hears_out();
    }
    let mut server = Neighbour::start(home.path());
    for number in 0..5 {
        assert_eq!(refused(server.address, &format!("bob{number}"), "guessed"), [(0, "Invalid Password".to_owned())]);
        let mut bare = Bare::connect(server.address);
        bare.say(7, format!("bob{number}"));
        bare.hears(9);
        bare.say(11, format!("bob{number} {PASSWORD}{number}"));
        bare.hears(12);
        bare.say(2, format!("bob{number} {PASSWORD}{number} 0 \"bare 1\" 4"));
        bare.hears(3);
        bare.say(603, format!("bob{number}"));
        assert!(bare.hears(604).contains("\"Active\""), "the name is known");
    }
    server.kill();
    let state = std::fs::read(home.path().join("napster").join("state.redb")).unwrap();
    assert!(!state.windows(PASSWORD.len()).any(|bytes| bytes == PASSWORD.as_bytes()), "the password itself is nowhere on the disk");
}

#[test]
fn a_changed_password_is_the_one_that_counts_after_a_kill() {
    let home = tempfile::tempdir().unwrap();
    let mut server = Neighbour::start(home.path());
    let mut bare = Bare::connect(server.address);
    bare.say(6, "carol first-one 0 \"bare 1\" 4");
    bare.hears(3);
    bare.say(701, "second-one");
    while !bare.hears(404).contains("was changed") {}
    server.kill();
    let server = Neighbour::start(home.path());
    assert_eq!(refused(server.address, "carol", "first-one"), [(0, "Invalid Password".to_owned())]);
    let mut bare = Bare::connect(server.address);
    bare.say(2, "carol second-one 0 \"bare 1\" 4");
    bare.hears(3);
}
