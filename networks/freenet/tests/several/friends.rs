//! Friends and invitations: who is let in by what, what is refused and counted, what is known after a restart; questions that walk at random, and places
//! that are swapped among friends.

use crate::table::{JOIN, Table, at};
use hexad_core::{Endpoint, Failure, Progress, Set, Span};
use hexad_freenet::wire::{Decline, Finding, Inquire, Inquiry, Message, Untold};
use hexad_freenet::{FriendChange, FriendOf, FriendWords, Given, Invitation, InvitationWanted, Mode, Reply, Request, Settings, Tuning};

fn friends_only() -> Settings {
    Settings { mode: Mode::Darknet(Set::new()), swap_every: None, ..Settings::default() }
}

fn invitation_of(table: &mut Table, seat: usize, uses: u16, lasts_s: u64) -> (Given, Invitation) {
    let wanted = InvitationWanted { name: "bob".into(), lasts_s, uses, more: Vec::new() };
    let reports = table.asks(seat, Request::Invite(wanted));
    let [Progress::Own(Reply::Invitation(given)), Progress::Done] = &reports[..] else { panic!("{reports:?}") };
    let text = given.text.clone().expect("it is said once");
    (Given::clone(given), text.parse().expect("an invitation"))
}

fn invited(invitation: &Invitation) -> Settings {
    Settings { invitation: Some(invitation.clone()), swap_every: None, ..Settings::default() }
}

fn friends(table: &mut Table, seat: usize) -> Vec<FriendOf> {
    let reports = table.asks(seat, Request::Status);
    let [Progress::Own(Reply::Status(status)), Progress::Done] = &reports[..] else { panic!("{reports:?}") };
    status.friends.clone()
}

fn failure(table: &Table, seat: usize) -> Failure {
    let reports = table.reports(seat, JOIN);
    let [Progress::Failed(failure)] = &reports[..] else { panic!("{reports:?}") };
    failure.clone()
}

#[test]
fn whoever_is_invited_becomes_a_friend_and_both_know_it_after_a_restart() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let (given, invitation) = invitation_of(&mut table, alice, 1, 3600);
    assert!(invitation.is_darknet && given.uses_left == 1);
    let bob = table.joins(invited(&invitation), &[]);
    assert!(table.has_joined(bob) && table.are_neighbours(alice, bob));
    assert!(table.seats[bob].node.node.is_darknet(), "whoever joins a network of friends speaks to friends only");
    let known = friends(&mut table, alice);
    assert_eq!((known.len(), &known[0].at, known[0].words.name.as_str(), known[0].is_connected), (1, &at(2), "bob", true));
    let known = friends(&mut table, bob);
    assert_eq!((known.len(), &known[0].at, known[0].was_met), (1, &at(1), true));
    let location = table.seats[bob].node.node.location();
    // Kill both: what each knows of the other is on the disk.
    table.dies(alice);
    table.dies(bob);
    table.rises(bob, |settings| settings.invitation = None);
    table.join(bob, &[]);
    assert!(table.has_joined(bob), "a member with friends, though none of them is there");
    assert!(table.seats[bob].node.node.is_darknet());
    assert_eq!(table.seats[bob].node.node.location(), location);
    table.rises(alice, |_| {});
    table.join(alice, &[]);
    assert!(table.has_joined(alice));
    table.pass(Span::from_secs(1));
    assert!(table.are_neighbours(alice, bob));
    let list = table.asks(alice, Request::Invitations);
    let [Progress::Own(Reply::Invitations(all)), Progress::Done] = &list[..] else { panic!("{list:?}") };
    assert_eq!((all.len(), all[0].uses_left, all[0].used, &all[0].text), (1, 0, 1, &None));
}

#[test]
fn a_stranger_is_refused_where_nobody_is_invited_and_hears_nothing_where_somebody_is() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let (conn, said) = table.stranger(alice, &at(9));
    assert!(said.iter().any(|output| matches!(output, hexad_core::Output::Close(closed, _) if *closed == conn)), "{said:?}");
    invitation_of(&mut table, alice, 1, 3600);
    let (conn, said) = table.stranger(alice, &at(9));
    assert!(said.is_empty(), "not even a greeting: {said:?}");
    assert_eq!(table.stranger_says(alice, conn, Message::Inserted(3)), [None], "an invitation or nothing");
    assert_eq!(table.count(alice, "guest_spoke"), 1);
    // So many at a time, and each for so long.
    for guest in 10..18 {
        assert!(table.stranger(alice, &at(guest)).1.is_empty());
    }
    let (_, said) = table.stranger(alice, &at(30));
    assert!(said.iter().any(|output| matches!(output, hexad_core::Output::Close(..))), "{said:?}");
    table.pass(Span::from_secs(11));
    assert_eq!(table.count(alice, "guest_silent"), 8);
    assert!(table.stranger(alice, &at(31)).1.is_empty());
}

#[test]
fn an_invitation_that_is_used_up_expired_taken_back_or_guessed_is_refused_with_its_reason() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let (_, once) = invitation_of(&mut table, alice, 1, 3600);
    let (_, short) = invitation_of(&mut table, alice, 1, 60);
    let (back, taken_back) = invitation_of(&mut table, alice, 5, 3600);
    let bob = table.joins(invited(&once), &[]);
    assert!(table.has_joined(bob));
    // Bob shows it again, as one does who has not heard the answer: he is a friend, and nothing is used up.
    let carol = table.joins(invited(&once), &[]);
    assert_eq!(failure(&table, carol), Failure::Refused(Decline::Used.words().into()));
    assert_eq!(table.asks(alice, Request::Revoke(back.number)), [Progress::Done]);
    assert!(matches!(table.asks(alice, Request::Revoke(back.number))[..], [Progress::Failed(Failure::NotFound(_))]));
    let dave = table.joins(invited(&taken_back), &[]);
    assert_eq!(failure(&table, dave), Failure::Refused(Decline::Unknown.words().into()));
    assert!(!table.seats[dave].node.node.is_darknet(), "he is in no network of friends");
    // Whoever is invited looks at the clock himself; one who does not is refused.
    let (conn, _) = table.stranger(alice, &at(20));
    table.pass(Span::from_secs(5));
    let still = table.stranger_says(alice, conn, Message::Introduce([1; 16]));
    assert_eq!(still, [Some(Message::Declined(Decline::Unknown)), None]);
    table.pass(Span::from_secs(60));
    let late = table.joins(invited(&short), &[]);
    assert_eq!(failure(&table, late), Failure::Refused(Decline::Expired.words().into()));
    let (conn, _) = table.stranger(alice, &at(21));
    // Nobody is waited for when no invitation is good any more.
    assert_eq!(table.stranger_says(alice, conn, Message::Introduce(short.token)), []);
    invitation_of(&mut table, alice, 1, 3600);
    let (conn, _) = table.stranger(alice, &at(21));
    assert_eq!(table.stranger_says(alice, conn, Message::Introduce(short.token)), [Some(Message::Declined(Decline::Expired)), None]);
    for (code, count) in [("invitation_used_up", 1), ("invitation_unknown", 2), ("invitation_expired", 1), ("invitation_used", 1)] {
        assert_eq!(table.count(alice, code), count, "{code}");
    }
    assert_eq!(friends(&mut table, alice).len(), 1);
}

#[test]
fn nobody_may_guess_often_whatever_keys_he_has() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let (_, good) = invitation_of(&mut table, alice, 1, 3 * 3600);
    let host = |key: u8| Endpoint::Key([key; 32], std::net::SocketAddr::from(([10, 0, 9, 9], 4000 + u16::from(key))));
    for key in 50..55 {
        let (conn, _) = table.stranger(alice, &host(key));
        assert_eq!(table.stranger_says(alice, conn, Message::Introduce([key; 16])), [Some(Message::Declined(Decline::Unknown)), None]);
    }
    let (_, said) = table.stranger(alice, &host(55));
    assert!(said.iter().any(|output| matches!(output, hexad_core::Output::Close(..))), "a sixth is not even heard: {said:?}");
    // Others are, and the hour goes by.
    let bob = table.joins(invited(&good), &[]);
    assert!(table.has_joined(bob));
    invitation_of(&mut table, alice, 1, 3 * 3600);
    table.pass(Span::from_secs(3601));
    assert!(table.stranger(alice, &host(56)).1.is_empty());
}

#[test]
fn an_invitation_works_in_an_open_network_and_for_a_node_that_runs() {
    let mut table = Table::new();
    let open = || Settings { swap_every: None, ..Settings::default() };
    let alice = table.joins(open(), &[]);
    let bob = table.joins(open(), &[alice]);
    assert!(table.are_neighbours(alice, bob));
    let (_, invitation) = invitation_of(&mut table, alice, 2, 3600);
    assert!(!invitation.is_darknet);
    let reports = table.asks(bob, Request::Accept(Box::new(invitation.clone())));
    assert!(matches!(&reports[..], [Progress::Own(Reply::Friend(friend)), Progress::Done] if friend.key == [1; 32]), "{reports:?}");
    // Again, which uses nothing up; and one who joins by it.
    let reports = table.asks(bob, Request::Accept(Box::new(invitation.clone())));
    assert!(matches!(reports.last(), Some(Progress::Done)));
    let carol = table.joins(invited(&invitation), &[]);
    assert!(table.has_joined(carol) && !table.seats[carol].node.node.is_darknet());
    let mut known: Vec<[u8; 32]> = friends(&mut table, alice).iter().map(|friend| friend.key).collect();
    known.sort_unstable();
    assert_eq!(known, [[2; 32], [3; 32]]);
    let forged = Invitation { token: [0; 16], ..invitation };
    let dave = table.joins(open(), &[bob]);
    let reports = table.asks(dave, Request::Accept(Box::new(forged.clone())));
    assert_eq!(reports, [Progress::Failed(Failure::Refused(Decline::Unknown.words().into()))]);
    let own = table.asks(alice, Request::Accept(Box::new(forged)));
    assert!(matches!(&own[..], [Progress::Failed(Failure::Unusable(_))]), "{own:?}");
}

#[test]
fn whoever_invites_and_has_gone_is_given_up_in_time() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let (_, invitation) = invitation_of(&mut table, alice, 1, 3600);
    table.dies(alice);
    let bob = table.joins(invited(&invitation), &[]);
    assert!(matches!(failure(&table, bob), Failure::NotFound(_)));
    // One that is there and never answers.
    let carol = table.joins(Settings { swap_every: None, ..Settings::default() }, &[]);
    let silent = Invitation { key: [200; 32], sockets: vec![at(200).socket().expect("it has one")], ..invitation };
    let op = table.begins(carol, Request::Accept(Box::new(silent)));
    table.pass(Span::from_secs(31));
    assert!(matches!(table.reports(carol, op)[..], [Progress::Failed(_)]));
}

#[test]
fn an_inviter_who_is_killed_behind_his_welcome_knows_his_friend() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let (_, invitation) = invitation_of(&mut table, alice, 1, 3600);
    let (conn, _) = table.stranger(alice, &at(40));
    let answers = table.stranger_says(alice, conn, Message::Introduce(invitation.token));
    assert!(matches!(&answers[..], [Some(Message::Welcome), Some(Message::Hello(_))]), "{answers:?}");
    table.dies(alice);
    table.rises(alice, |_| {});
    table.join(alice, &[]);
    assert!(table.seats[alice].node.node.has_friend(&[40; 32]));
    // The token is used, also after the restart.
    invitation_of(&mut table, alice, 1, 3600);
    let (conn, _) = table.stranger(alice, &at(41));
    let answers = table.stranger_says(alice, conn, Message::Introduce(invitation.token));
    assert_eq!(answers, [Some(Message::Declined(Decline::Used)), None]);
}

#[test]
fn invitations_and_friends_are_bounded() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    for _ in 0..64 {
        invitation_of(&mut table, alice, 1, 100);
    }
    let wanted = InvitationWanted { name: String::new(), lasts_s: 100, uses: 1, more: Vec::new() };
    assert_eq!(table.asks(alice, Request::Invite(wanted.clone())), [Progress::Failed(Failure::Full("invitations"))]);
    table.pass(Span::from_secs(101));
    assert!(matches!(table.asks(alice, Request::Invite(wanted)).last(), Some(Progress::Done)), "those that are over make room");
    let mut full = None;
    for number in 0..300_u16 {
        let [high, low] = number.to_be_bytes();
        let mut key = [7; 32];
        (key[0], key[1]) = (high, low);
        let friend = Endpoint::Key(key, std::net::SocketAddr::from(([10, 1, high, low], 4000)));
        if let Some(Progress::Failed(failure)) = table.asks(alice, Request::Befriend(friend, Box::default())).first() {
            full.get_or_insert((number, failure.clone()));
        }
    }
    assert_eq!(full, Some((256, Failure::Full("friends"))));
}

#[test]
fn a_friend_is_noted_kept_away_and_forgotten() {
    let mut table = Table::new();
    let alice = table.joins(friends_only(), &[]);
    let bob = table.sits(friends_only());
    let words = FriendWords { name: "bob".into(), ..FriendWords::default() };
    assert!(matches!(table.asks(alice, Request::Befriend(at(2), Box::new(words)))[..], [Progress::Own(Reply::Friend(_)), Progress::Done]));
    assert!(matches!(table.asks(alice, Request::Befriend(at(2), Box::default()))[..], [Progress::Failed(Failure::Refused(_))]));
    assert!(matches!(table.asks(alice, Request::Befriend(at(1), Box::default()))[..], [Progress::Failed(Failure::Unusable(_))]));
    table.seats[bob].node.node.befriend(at(1), FriendWords::default()).expect("there is room");
    table.join(bob, &[alice]);
    assert!(table.has_joined(bob) && table.are_neighbours(alice, bob));
    let change =
        |note: Option<&str>, is_disabled| FriendChange { key: [2; 32], note: note.map(str::to_owned), is_disabled, is_listen_only: None };
    table.asks(alice, Request::ChangeFriend(Box::new(change(Some("met at a fair"), None))));
    assert!(table.are_neighbours(alice, bob));
    table.asks(alice, Request::ChangeFriend(Box::new(change(None, Some(true)))));
    assert!(!table.are_neighbours(alice, bob));
    table.pass(Span::from_secs(40));
    assert!(!table.are_neighbours(alice, bob), "nor when he calls");
    table.asks(alice, Request::ChangeFriend(Box::new(change(None, Some(false)))));
    assert!(table.are_neighbours(alice, bob));
    assert_eq!(friends(&mut table, alice)[0].words.note, "met at a fair");
    assert_eq!(table.asks(alice, Request::Unfriend(Box::new([2; 32]))), [Progress::Done]);
    assert!(!table.are_neighbours(alice, bob) && friends(&mut table, alice).is_empty());
    assert!(matches!(table.asks(alice, Request::Unfriend(Box::new([2; 32])))[..], [Progress::Failed(Failure::NotFound(_))]));
}

#[test]
fn friends_of_an_open_node_are_not_told_to_others() {
    let mut table = Table::new();
    let open = || Settings { swap_every: None, replace_source: (0, 1), ..Settings::default() };
    let alice = table.joins(open(), &[]);
    let bob = table.joins(friends_only(), &[]);
    let (_, invitation) = invitation_of(&mut table, bob, 1, 3600);
    table.asks(alice, Request::Accept(Box::new(invitation)));
    let carol = table.joins(open(), &[alice]);
    assert!(table.are_neighbours(alice, bob) && table.are_neighbours(alice, carol) && !table.are_neighbours(bob, carol));
    let block = hexad_freenet::keys::ClientChk::encode(b"blue", false).expect("it fits a block").1;
    table.asks(bob, Request::PutBlock(Box::new(block.clone()), 0));
    let key = block.key;
    table.asks(bob, Request::PutBlock(Box::new(block), 5));
    table.said.clear();
    let got = table.asks(carol, Request::GetBlock(key, 10));
    assert!(matches!(&got[..], [Progress::Own(Reply::Block(_)), Progress::Done]), "{got:?}");
    let named: Vec<&Endpoint> = table
        .said
        .iter()
        .filter(|(_, to, _)| *to == carol)
        .filter_map(|(_, _, message)| if let Message::Found(found) = message { found.source.as_ref() } else { None })
        .collect();
    assert!(!named.contains(&&at(2)), "{named:?}");
}

#[test]
fn a_question_walks_at_random_and_whoever_asks_does_not_learn_whom() {
    let mut table = Table::new();
    let open = || Settings { swap_every: None, ..Settings::default() };
    let first = table.joins(open(), &[]);
    for _ in 0..5 {
        table.joins(open(), &[first]);
    }
    table.pass(Span::from_secs(10));
    let mut numbers = Set::new();
    for _ in 0..20 {
        let reports = table.asks(first, Request::Inquire(Inquiry::Identifier, 5));
        let [Progress::Own(Reply::Told(finding)), Progress::Done] = &reports[..] else { panic!("{reports:?}") };
        let Finding::Identifier(number, _) = **finding else { panic!("{finding:?}") };
        numbers.insert(number);
        table.pass(Span::from_secs(4));
    }
    assert!(numbers.len() > 1, "not always the same one");
    for what in Inquiry::ALL {
        let reports = table.asks(first, Request::Inquire(what, 0));
        assert!(matches!(&reports[..], [Progress::Own(Reply::Told(_)), Progress::Done]), "{reports:?}");
    }
    let reports = table.asks(first, Request::Inquire(Inquiry::Bandwidth, 0));
    let [Progress::Own(Reply::Told(finding)), _] = &reports[..] else { panic!("{reports:?}") };
    let Finding::Bandwidth(rate) = **finding else { panic!("{finding:?}") };
    assert!(rate != 4 << 20 && rate.abs_diff(4 << 20) < 2 << 20, "blurred: {rate}");
}

#[test]
fn questions_are_bounded_refused_and_end_in_time() {
    let mut table = Table::new();
    let lone = table.joins(Settings::default(), &[]);
    let reports = table.asks(lone, Request::Inquire(Inquiry::Build, 5));
    assert_eq!(reports, [Progress::Own(Reply::Untold(Untold::CannotForward)), Progress::Done]);
    // A flood of one neighbour.
    let (conn, _) = table.stranger(lone, &at(9));
    let mut refused = 0;
    for uid in 0..100 {
        let answers = table.stranger_says(lone, conn, Message::Inquire(Inquire { uid, htl: 1, what: Inquiry::Build }));
        refused += answers.iter().filter(|answer| matches!(answer, Some(Message::Untold(_, Untold::Overload)))).count();
    }
    assert_eq!(refused, 80);
    // He is all there is to be asked, and says nothing.
    let op = table.begins(lone, Request::Inquire(Inquiry::Build, 5));
    table.pass(Span::from_secs(61));
    assert_eq!(table.reports(lone, op), [Progress::Own(Reply::Untold(Untold::Timeout)), Progress::Done]);
    let answers = table.stranger_says(lone, conn, Message::Told(77, Box::new(Finding::Build(1))));
    assert_eq!((answers.len(), table.count(lone, "unasked_answer")), (0, 1));
    let quiet = table.joins(Settings { answers_inquiries: false, ..Settings::default() }, &[]);
    let (conn, _) = table.stranger(quiet, &at(9));
    let answers = table.stranger_says(quiet, conn, Message::Inquire(Inquire { uid: 1, htl: 0, what: Inquiry::Location }));
    assert_eq!(answers, [Some(Message::Untold(1, Untold::Refused))]);
}

#[test]
fn what_may_be_tuned_holds_at_once() {
    let mut table = Table::new();
    let node = table.joins(Settings::default(), &[]);
    let reports = table.asks(node, Request::Tune(Tuning { up_bytes_per_s: Some(12_345), peers_wanted: Some(1000) }));
    let [Progress::Own(Reply::Status(status)), Progress::Done] = &reports[..] else { panic!("{reports:?}") };
    assert_eq!((status.up_bytes_per_s, status.peers_wanted), (12_345, 64), "no more than there may be at all");
}

mod swapping {
    //! Places among friends, and friends who lie about theirs.

    use super::*;
    use hexad_freenet::keys::Location;
    use hexad_freenet::wire::{Bid, Swap};

    /// A founder of a network of friends, with a friend of the settings who is played by hand; and the link to him.
    fn with_liar(table: &mut Table) -> (usize, hexad_core::ConnId) {
        let mode = Mode::Darknet([[9; 32], [8; 32]].into());
        let alice = table.joins(Settings { mode, swap_every: Some(Span::from_secs(8)), ..Settings::default() }, &[]);
        let (conn, _) = table.stranger(alice, &at(9));
        (alice, conn)
    }

    fn bid(random: u8, location: u64) -> Bid {
        Bid { random: [random; 32], location: Location(location), neighbours: vec![Location(location + 1)] }
    }

    fn swap(uid: u64, hash: [u8; 32]) -> Message<Endpoint> {
        Message::SwapRequest(Box::new(Swap { uid, htl: 1, hash }))
    }

    #[test]
    fn two_who_show_what_they_have_committed_to_swap_and_greet_from_their_new_places() {
        let mut table = Table::new();
        let mode = || Mode::Darknet([[1; 32], [2; 32], [3; 32]].into());
        let settings = || Settings { mode: mode(), swap_every: Some(Span::from_secs(8)), on_disk: false, ..Settings::default() };
        let alice = table.joins(settings(), &[]);
        let [bob, carol] = [(); 2].map(|()| table.joins(settings(), &[alice]));
        let places = |table: &Table| -> Set<u64> {
            [alice, bob, carol].iter().filter_map(|seat| table.seats[*seat].node.node.location()).map(|place| place.0).collect()
        };
        let before = places(&table);
        assert_eq!(before.len(), 3);
        table.pass(Span::from_secs(300));
        let moves: u64 = [alice, bob, carol].iter().map(|seat| table.seats[*seat].node.node.moves().0).sum();
        assert!(moves >= 2 && moves.is_multiple_of(2), "both ends of each: {moves}");
        assert_eq!(places(&table), before, "places are swapped, and none is made or lost");
        for (one, other) in [(alice, bob), (bob, alice), (alice, carol)] {
            let node = &table.seats[one].node.node;
            let seen = node.links().open().find(|(addr, _)| **addr == table.seats[other].at).and_then(|(_, peer)| peer.location);
            assert_eq!(seen, table.seats[other].node.node.location(), "everybody knows where his friends are");
        }
    }

    #[test]
    fn a_bid_that_is_not_what_was_committed_to_moves_nobody() {
        let mut table = Table::new();
        let (alice, liar) = with_liar(&mut table);
        let place = table.seats[alice].node.node.location();
        let answers = table.stranger_says(alice, liar, swap(5, bid(1, 1 << 60).hash()));
        assert!(matches!(&answers[..], [Some(Message::SwapReply(5, _))]), "{answers:?}");
        let answers = table.stranger_says(alice, liar, Message::SwapCommit(5, Box::new(bid(2, 1 << 60))));
        assert_eq!((answers.len(), table.count(alice, "swap_broken")), (0, 1));
        assert_eq!(table.seats[alice].node.node.location(), place);
        // Nor does one that nobody has asked for.
        table.stranger_says(alice, liar, Message::SwapComplete(77, Box::new(bid(2, 1 << 60))));
        assert_eq!((table.count(alice, "unasked_swap"), table.seats[alice].node.node.location()), (1, place));
    }

    #[test]
    fn wishes_to_swap_are_bounded_and_one_is_decided_at_a_time() {
        let mut table = Table::new();
        let (alice, liar) = with_liar(&mut table);
        let answers = table.stranger_says(alice, liar, swap(1, [0; 32]));
        assert!(matches!(&answers[..], [Some(Message::SwapReply(1, _))]), "{answers:?}");
        let mut refused = 0;
        for uid in 2..400 {
            let answers = table.stranger_says(alice, liar, swap(uid, [0; 32]));
            refused += answers.iter().filter(|answer| matches!(answer, Some(Message::SwapRejected(_)))).count();
        }
        assert_eq!((refused, table.count(alice, "swap_flood")), (398, 399 - 240));
        // Whoever keeps silent keeps nobody from swapping for long.
        table.pass(Span::from_secs(90));
        let answers = table.stranger_says(alice, liar, swap(1000, [0; 32]));
        assert!(matches!(&answers[..], [Some(Message::SwapReply(..) | Message::SwapRejected(_))]), "{answers:?}");
    }

    #[test]
    fn who_misses_what_he_has_inserted_goes_where_it_belongs() {
        let mut table = Table::new();
        let mode = Mode::Darknet([[9; 32]].into());
        let settings = Settings { mode, trial_every: Span::from_secs(100), on_disk: false, ..Settings::default() };
        let alice = table.joins(settings, &[]);
        let (friend, _) = table.stranger(alice, &at(9));
        let before = table.seats[alice].node.node.location();
        // The friend takes everything that is inserted, and has nothing of it later on.
        let mut jumped = false;
        for _ in 0..40 {
            for output in table.seats[alice].node.pass(Span::from_secs(50)) {
                let hexad_core::Output::Send(hexad_core::Link::Conn(to), message) = output else { continue };
                assert_eq!(to, friend);
                match message {
                    Message::Insert(walk) => {
                        table.stranger_says(alice, friend, Message::AllClear(walk.uid));
                        table.stranger_says(alice, friend, Message::Inserted(walk.uid));
                    }
                    Message::Request(walk) => {
                        table.stranger_says(alice, friend, Message::NotFound(walk.uid));
                    }
                    _ => {}
                }
            }
            jumped |= table.seats[alice].node.node.moves().1 > 0;
        }
        assert!(jumped && table.seats[alice].node.node.location() != before);
    }
}
