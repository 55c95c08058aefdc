//! What real programs said.

use hexad_napster::wire::{Message, NapsterCodec, ToClient, ToServer};

macro_rules! recordings {
    ($($name:literal)*) => {
        [$(($name, include_bytes!(concat!("../../vectors/", $name, ".c2s.bin")).as_slice(), include_bytes!(concat!("../../vectors/", $name, ".s2c.bin")).as_slice())),*]
    };
}

type Recording = (&'static str, &'static [u8], &'static [u8]);

fn conversations() -> Vec<Recording> {
    recordings!(
        "ng-cmp-alice" "ng-cmp-bob-sharer" "ng-cmp-carol" "ng-cmp-carol2" "ng-cmp-carol3" "ng-cmp-dora-firewalled" "ng-cmp-login-bad-nick"
        "ng-cmp-login-command-before-login" "ng-cmp-login-extra-fields" "ng-cmp-login-nick-active" "ng-cmp-login-password-check"
        "ng-cmp-login-speed-11" "ng-cmp-login-too-few-fields" "ng-cmp-login-wrong-password" "ng-cmp-prelogin-7-6" "ng-cmp-split-bytes"
        "ng-perl-bert-open-sharer" "ng-perl-dora-firewalled-sharer" "ng-perl-queue-limit" "ng-perl-register" "ng-perl-register-library-raw6"
        "ng-perl-session" "ng-perl-wrong-password" "ng-raw-carl" "ng-raw-fred-both-firewalled" "ng-raw-gus-queue" "ng-raw-quinn-queue"
        "ng-raw-ralf" "ng-teknap-session" "o36-cmp-alice" "o36-cmp-bob-sharer" "o36-cmp-carol" "o36-cmp-carol2" "o36-cmp-carol3"
        "o36-cmp-dora-firewalled" "o36-cmp-login-bad-nick" "o36-cmp-login-command-before-login" "o36-cmp-login-extra-fields"
        "o36-cmp-login-nick-active" "o36-cmp-login-password-check" "o36-cmp-login-speed-11" "o36-cmp-login-too-few-fields"
        "o36-cmp-login-wrong-password" "o36-cmp-prelogin-7-6" "o36-cmp-split-bytes" "o36-fw-dora" "o36-fw-fred" "o36-fw-gus-open"
        "o36-teknap-session"
    )
    .to_vec()
}

/// Reads one direction whole and byte by byte; both must give the same.
fn both_ways(name: &str, make: impl Fn() -> NapsterCodec, bytes: &[u8]) -> Vec<Message> {
    let (whole, rest, malformed) = crate::read(&mut make(), bytes, bytes.len());
    let (single, _, _) = crate::read(&mut make(), bytes, 1);
    assert_eq!(whole, single, "{name}");
    // Two recordings end with a message of 5000 bytes, to see what a server does about it.
    assert_eq!(
        malformed.is_some(),
        name.ends_with("cmp-alice") && !matches!(whole.first(), Some(Message::ToClient(_))),
        "{name}: {malformed:?}"
    );
    assert!(rest.is_empty() || malformed.is_some(), "{name}: {} bytes are left", rest.len());
    whole
}

#[test]
fn all_that_clients_said_is_read() {
    let mut seen = 0;
    for (name, said, _) in conversations() {
        for message in both_ways(name, crate::accepted, said) {
            let Message::ToServer(message) = message else { panic!("{name}: {message:?}") };
            seen += 1;
            match &message {
                ToServer::Unknown { number, .. } => assert!([999, 3000].contains(number), "{name}: {message:?}"),
                // Sent to see what a server does about them: a broken quote, too few fields, no search, a refusal that looks like a password.
                ToServer::Unreadable { number, data } => {
                    let text = data.shown().into_owned();
                    let known = match number {
                        2 => text == "joe pw",
                        100 => text.contains("broken") || text.contains("y z.mp3"),
                        200 => text.contains("WMA-FILE") || text.contains("quote") || text.contains("\"song\""),
                        _ => false,
                    };
                    assert!(known, "{name}: {message:?}");
                }
                _ => {}
            }
            let mut again = bytes::BytesMut::new();
            message.write(&mut again);
            assert_eq!(ToServer::read(message.number(), &again[4..]), message, "{name}: written, it is read as the same");
        }
    }
    assert!(seen > 300, "{seen} messages");
}

#[test]
fn all_that_servers_said_is_read() {
    let mut seen = 0;
    for (name, _, said) in conversations() {
        for message in both_ways(name, crate::of_client, said) {
            let Message::ToClient(message) = message else { panic!("{name}: {message:?}") };
            seen += 1;
            assert!(!matches!(message, ToClient::Unknown { .. } | ToClient::Unreadable { .. }), "{name}: {message:?}");
            let mut again = bytes::BytesMut::new();
            message.write(&mut again);
            assert_eq!(ToClient::read(message.number(), &again[4..]), message, "{name}: written, it is read as the same");
        }
    }
    assert!(seen > 500, "{seen} messages");
}

/// Servers write as we do, so nearly all they said must come out byte for byte.
#[test]
fn what_servers_said_is_written_back_byte_for_byte() {
    for (name, _, said) in conversations() {
        let mut again = bytes::BytesMut::new();
        for message in both_ways(name, crate::of_client, said) {
            let Message::ToClient(message) = message else { panic!("{name}: {message:?}") };
            message.write(&mut again);
        }
        assert_eq!(again, said, "{name}");
    }
}
