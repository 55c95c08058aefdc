//! Who becomes a supernode, and who stops being one.

use hexad_core::{Input, Operation, Span, Why};
use hexad_kazaa::wire::{Entry, Message, Purpose, Status};
use hexad_kazaa::{Request, Settings, Switch};

use crate::stage::{Stage, closed, noted, opened, sent, supernode};

fn small() -> Settings {
    Settings { leaves_target: 4, leaves_max: 20, backup_leaves: 100, ..Settings::default() }
}

/// Says yes to every call that is asked for, over any of these connections, for so long; returns all that was said.
fn pass_and_call(stage: &mut Stage, conns: &[hexad_core::ConnId], seconds: u64) -> Vec<hexad_core::Outbound<hexad_kazaa::Node<u32>>> {
    let mut all = Vec::new();
    for second in 0..seconds {
        let said = stage.pass(1000);
        let calls: Vec<(hexad_core::ConnId, u64)> = conns
            .iter()
            .flat_map(|&conn| {
                sent(&said, conn)
                    .into_iter()
                    .filter_map(move |message| if let Message::CallBack(_, nonce) = message { Some((conn, *nonce)) } else { None })
            })
            .collect();
        all.extend(said);
        for (conn, nonce) in calls {
            all.extend(stage.says(conn, Message::Called(nonce, true)));
        }
        if second % 5 == 0 {
            for &conn in conns {
                all.extend(stage.says(conn, Message::Ping(1)));
            }
        }
    }
    all
}

#[test]
fn a_supernode_with_too_many_leaves_asks_one_that_is_fit_and_can_be_reached() {
    let mut stage = Stage::founder(small());
    let leaves: Vec<_> = (10..18).map(|leaf| stage.leaf_comes(leaf)).collect();
    let said = pass_and_call(&mut stage, &leaves, 120);
    let asked: Vec<_> = leaves.iter().filter(|&&leaf| sent(&said, leaf).contains(&&Message::Promote)).copied().collect();
    assert!(!asked.is_empty());
    let before = stage.node.node.leaves();
    let said = stage.says(asked[0], Message::Promoted(true));
    assert!(closed(&said, asked[0]));
    assert_eq!(stage.node.node.leaves(), before - 1);
}

#[test]
fn nobody_is_asked_who_was_not_reached_or_does_not_want_to() {
    let mut stage = Stage::founder(small());
    let mut leaves = Vec::new();
    for leaf in 10..18 {
        let card = hexad_kazaa::wire::Card { willing: false, uplink_kbps: 10_000, uptime_s: 3600 };
        leaves.push(stage.comes(leaf, Purpose::Leaf(card)).0);
    }
    let said = pass_and_call(&mut stage, &leaves, 90);
    assert!(noted(&said).contains(&"nobody_to_promote"));
    assert!(leaves.iter().all(|&leaf| !sent(&said, leaf).contains(&&Message::Promote)));
}

#[test]
fn a_leaf_that_is_asked_becomes_a_supernode_unless_its_user_forbids_it() {
    for (switch, yes) in [(Switch::Auto, true), (Switch::Never, false)] {
        let (mut stage, parents) = Stage::leaf(Settings { switch, ..Settings::default() }, &[10]);
        let said = stage.says(parents[0], Message::Promote);
        assert_eq!(sent(&said, parents[0])[0], &Message::Promoted(yes));
        assert_eq!(stage.node.node.is_supernode(), yes);
        assert_eq!(closed(&said, parents[0]), yes);
        if yes {
            // It links itself to the supernode whose leaf it was.
            assert!(matches!(opened(&said)[..], [(_, 10)]), "{said:?}");
        }
    }
    let (mut stage, parents) = Stage::leaf(Settings { metered: true, ..Settings::default() }, &[10]);
    stage.says(parents[0], Message::Promote);
    assert!(!stage.node.node.is_supernode());
}

#[test]
fn leaves_without_any_supernode_become_one_in_time() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let mut said = stage.hears(Input::Closed(parents[0], Why::Broken));
    for _ in 0..30 {
        for (conn, _) in opened(&said) {
            stage.hears(Input::Closed(conn, Why::Unreachable));
        }
        if stage.node.node.is_supernode() {
            break;
        }
        assert!(!stage.node.node.is_at_home());
        said = stage.pass(1000);
    }
    assert!(stage.node.node.is_supernode());
}

#[test]
fn a_supernode_with_little_to_do_tells_its_leaves_where_to_go_and_becomes_a_leaf() {
    let settings = Settings { supernode_min: Span::from_secs(60), election_gain_percent: 100, ..Settings::default() };
    let mut stage = Stage::founder(settings);
    let leaf = stage.leaf_comes(5);
    let others: Vec<_> = (10..16).map(|peer| stage.peer_comes(peer)).collect();
    let mut welcomed = None;
    'time: for _ in 0..600 {
        let said = stage.pass(1000);
        stage.says(leaf, Message::Ping(1));
        for &other in &others {
            stage.says(other, Message::Load(Status { leaves: 0, ..supernode() }));
        }
        let pings: Vec<(u32, u32)> = said
            .iter()
            .filter_map(|output| match output {
                hexad_core::Output::Send(hexad_core::Link::Datagram(_, to), Message::Ping(nonce)) => Some((*to, *nonce)),
                _ => None,
            })
            .collect();
        for (to, nonce) in pings {
            let said = stage.datagram(to, Message::Pong(nonce, supernode(), Vec::new()));
            if let Some(&(conn, peer)) = opened(&said).first() {
                stage.hears(Input::Opened { conn, peer, via: hexad_core::Via::Dialled });
                assert!(stage.node.node.is_supernode(), "until there is somebody else");
                welcomed = Some(stage.says(conn, Message::Welcome(crate::stage::US, supernode(), Vec::new())));
                break 'time;
            }
        }
    }
    let said = welcomed.expect("it has found a supernode");
    assert!(!stage.node.node.is_supernode() && stage.node.node.is_at_home());
    let [Message::Leave(elsewhere)] = sent(&said, leaf)[..] else { panic!("{said:?}") };
    assert!(elsewhere.len() >= 5 && closed(&said, leaf));
}

#[test]
fn the_user_has_the_last_word() {
    let (mut stage, _) = Stage::leaf(Settings::default(), &[10]);
    stage.start(Operation::Own(Request::Switch(Switch::Always)));
    assert!(stage.node.node.is_supernode());
}

#[test]
fn a_leaf_moves_where_it_is_asked_to_and_leaves_when_the_other_has_it() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    stage.says(parents[0], Message::Resume(true));
    let entry = Entry { addr: 20, load: 3, age_min: 0, heir: false };
    let mut said = stage.says(parents[0], Message::Move(vec![entry]));
    let mut moved = None;
    for _ in 0..20 {
        let pings: Vec<(u32, u32)> = said
            .iter()
            .filter_map(|output| match output {
                hexad_core::Output::Send(hexad_core::Link::Datagram(_, to), Message::Ping(nonce)) => Some((*to, *nonce)),
                _ => None,
            })
            .collect();
        for (to, nonce) in pings {
            said.extend(stage.datagram(to, Message::Pong(nonce, supernode(), Vec::new())));
        }
        if let Some(&(conn, peer)) = opened(&said).first() {
            stage.hears(Input::Opened { conn, peer, via: hexad_core::Via::Dialled });
            stage.says(conn, Message::Welcome(crate::stage::US, supernode(), Vec::new()));
            stage.says(conn, Message::Resume(true));
            moved = Some((conn, peer));
            break;
        }
        said = stage.pass(1000);
    }
    assert_eq!(moved.map(|(_, peer)| peer), Some(20));
    let said = stage.pass(3000);
    assert_eq!(sent(&said, parents[0]).last(), Some(&&Message::Leave(Vec::new())));
    assert!(closed(&said, parents[0]) && stage.node.node.is_at_home());
}

#[test]
fn the_first_heir_takes_over_at_once_and_the_others_come_to_it() {
    let heir = |addr, load| Entry { addr, load, age_min: 0, heir: true };
    // We are the first of the heirs.
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let said = stage.pass(2600);
    let pinged = |said: &[hexad_core::Outbound<hexad_kazaa::Node<u32>>], parent| {
        sent(said, parent).into_iter().find_map(|message| if let Message::Ping(nonce) = message { Some(*nonce) } else { None })
    };
    let nonce = pinged(&said, parents[0]).expect("a leaf asks whether its supernode is there");
    stage.says(parents[0], Message::Pong(nonce, supernode(), vec![heir(crate::stage::US, 0), heir(21, 1)]));
    let said = stage.hears(Input::Closed(parents[0], Why::Broken));
    assert!(stage.node.node.is_supernode() && noted(&said).contains(&"heir_becomes_supernode"));

    // We are none of them: the first that answers is dialled, though it is not a supernode yet.
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let said = stage.pass(2600);
    let nonce = pinged(&said, parents[0]).expect("a leaf asks whether its supernode is there");
    stage.says(parents[0], Message::Pong(nonce, supernode(), vec![heir(20, 0), heir(21, 1)]));
    let said = stage.hears(Input::Closed(parents[0], Why::Broken));
    assert!(!stage.node.node.is_supernode());
    let asked: Vec<(u32, u32)> = said
        .iter()
        .filter_map(|output| match output {
            hexad_core::Output::Send(hexad_core::Link::Datagram(_, to), Message::Ping(nonce)) => Some((*to, *nonce)),
            _ => None,
        })
        .collect();
    let mut said = Vec::new();
    for heir in [21, 20] {
        let nonce = asked.iter().find(|(to, _)| *to == heir).expect("both heirs are asked").1;
        let leaf = Status { supernode: false, leaves: 0, ..supernode() };
        said.extend(stage.datagram(heir, Message::Pong(nonce, leaf, Vec::new())));
    }
    said.extend(stage.pass(1000));
    assert!(matches!(opened(&said)[..], [(_, 20)]), "{said:?}");
}

#[test]
fn heirs_are_believed_of_ones_own_supernode_only() {
    let (mut stage, parents) = Stage::leaf(Settings::default(), &[10]);
    let stranger = Entry { addr: 66, load: 0, age_min: 0, heir: true };
    stage.says(parents[0], Message::List(vec![stranger]));
    let said = stage.hears(Input::Closed(parents[0], Why::Broken));
    let asked =
        |to| said.iter().any(|output| matches!(output, hexad_core::Output::Send(hexad_core::Link::Datagram(_, who), _) if *who == to));
    assert!(!asked(66));
}
