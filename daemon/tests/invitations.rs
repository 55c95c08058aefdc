//! Invitations to a network of friends between running nodes, on real sockets: who has one is let in, once and no more, and both know each other after a
//! restart.

mod common;

use std::sync::Arc;

use common::{Home, await_that, door, loopback};
use hexad_api::node::{Daemon, FreenetFriend, FreenetInvitation, NetworkState};
use hexad_api::{Event, FreenetSettings, NetworkSettings, Own};
use hexad_daemon::open_node;

fn node(home: &Home, change: impl FnOnce(&mut FreenetSettings)) -> Arc<dyn Daemon> {
    let mut settings = FreenetSettings { listen: loopback(), ..FreenetSettings::default() };
    change(&mut settings);
    open_node(home.settings(vec![NetworkSettings::Freenet(settings)], &["freenet"])).expect("a node")
}

fn invite(node: &dyn Daemon, uses: u16) -> FreenetInvitation {
    let own = Own::FreenetInvite { name: "bob".into(), lasts_s: 600, uses, addresses: Vec::new() };
    let answers = node.own(own).expect("it invites");
    let [Event::Invitation(given)] = &answers[..] else { panic!("{answers:?}") };
    given.clone()
}

fn friends(node: &dyn Daemon) -> Vec<FreenetFriend> {
    let one = |event| if let Event::Friend(friend) = event { friend } else { panic!("{event:?}") };
    node.own(Own::FreenetFriends).expect("it has friends").into_iter().map(one).collect()
}

#[test]
fn whoever_has_an_invitation_is_let_in_once_and_is_a_friend_after_a_restart() {
    let [alices, bobs, carols] = [Home::new(), Home::new(), Home::new()];
    let alice = node(&alices, |settings| (settings.darknet, settings.found) = (true, true));
    let address = door(&*alice, "freenet");
    let given = invite(&*alice, 1);
    let text = given.invitation.clone().expect("it is said when it is made");
    let bob = node(&bobs, |settings| settings.invitation = Some(text.clone()));
    door(&*bob, "freenet");
    assert_eq!(friends(&*bob)[0].at, address);
    let known = friends(&*alice);
    assert_eq!((known.len(), known[0].name.as_str(), known[0].connected), (1, "bob", true));
    // The same invitation again, by somebody else.
    let carol = node(&carols, |settings| settings.invitation = Some(text.clone()));
    await_that("carol to be refused", || carol.network("freenet").is_ok_and(|network| network.problem.is_some()));
    let problem = carol.network("freenet").expect("a network").problem.expect("a problem");
    assert!(problem.message.contains("addresses of the invitation"), "{problem:?}");
    carol.close();
    let listed = alice.own(Own::FreenetInvitations).expect("a list");
    assert!(matches!(&listed[..], [Event::Invitation(given)] if given.used == 1 && given.invitation.is_none()), "{listed:?}");
    alice.own(Own::FreenetRevoke { id: given.id }).expect("it is taken back");
    assert!(alice.own(Own::FreenetRevoke { id: given.id }).is_err());
    // Both are stopped; bob comes back without any invitation, and alice at the same address.
    bob.close();
    alice.close();
    let socket = address.split_once('@').and_then(|(_, socket)| socket.parse().ok());
    let bob = node(&bobs, |_| ());
    let alice = node(&alices, |settings| (settings.darknet, settings.found, settings.listen) = (true, true, socket));
    await_that("both to meet", || {
        let joined = |node: &dyn Daemon| node.network("freenet").is_ok_and(|network| network.state == NetworkState::Joined);
        joined(&*alice) && joined(&*bob) && friends(&*alice).iter().chain(&friends(&*bob)).all(|friend| friend.connected)
    });
}

#[test]
fn a_running_node_accepts_an_invitation_and_refuses_what_is_none() {
    let [alices, bobs] = [Home::new(), Home::new()];
    let alice = node(&alices, |settings| settings.found = true);
    let address = door(&*alice, "freenet");
    let text = invite(&*alice, 1).invitation.expect("it is said when it is made");
    let bob = node(&bobs, |settings| settings.found = true);
    door(&*bob, "freenet");
    let accept = |text: &str| bob.own(Own::FreenetAccept { invitation: text.to_owned() });
    assert!(accept("CHK@nonsense").is_err_and(|problem| problem.hint.is_some()));
    let mut forged: hexad_freenet::Invitation = text.parse().expect("an invitation");
    forged.token = [0; 16];
    assert!(accept(&forged.to_string()).is_err_and(|problem| problem.message.contains("has not")));
    let answers = accept(&text).expect("it is good");
    assert!(matches!(&answers[..], [Event::Friend(friend)] if friend.at == address && friend.connected), "{answers:?}");
    let key = friends(&*alice)[0].key.clone();
    alice.own(Own::FreenetUnfriend { key }).expect("there is such a friend");
    assert!(friends(&*alice).is_empty());
}
