//! Freenet as a part of a session.

use std::net::SocketAddr;
use std::path::Path;

use hexad_api::node::{FreenetFriend, FreenetInvitation, Overlay, OverlayKind};
use hexad_api::{Event, FreenetSettings, Own, Problem};
use hexad_core::{Door, Endpoint, Failure, Set, What};
use hexad_driver::host::HostConfig;
use hexad_freenet::keys::{CHK_DATA_BYTES, KeyPair, Uri};
use hexad_freenet::{Freenet, FriendOf, Given, Invitation, InvitationWanted, Mode, Reply, Request, Settings, Status, doors};

use super::keyed::{Wanted, fresh_key, shown};
use super::overlay::{me, neighbour, on_circle, overlay};
use super::{InSession, Plan, ReplyOf, RequestOf, Standing, Told, Wish};

const NAME: &str = "freenet";

/// A node of the network that the settings or earlier runs know.
pub(crate) fn plan(settings: &FreenetSettings, state_dir: Option<&Path>) -> Result<Plan<Freenet<Endpoint>>, Problem> {
    let FreenetSettings { listen, found, .. } = settings;
    let invitation = settings.invitation.as_deref().map(invitation).transpose()?;
    let mut bootstrap = settings.bootstrap.clone();
    bootstrap.extend(invitation.iter().flat_map(Invitation::endpoints).map(|at| at.to_string()));
    let entry = Wanted { network: NAME, whole: "network", listen: *listen, bootstrap: &bootstrap, found: *found }.enter(state_dir)?;
    let mode = if settings.friends.is_empty() && !settings.darknet {
        Mode::Opennet
    } else {
        Mode::Darknet(settings.friends.iter().map(|text| friend(text)).collect::<Result<Set<_>, _>>()?)
    };
    let [store_blocks, cache_blocks] = shelves(settings.store_bytes)?;
    let (listen, identity) = (Some(entry.listen), Some(entry.key.public()));
    let node = Settings { listen, identity, mode, store_blocks, cache_blocks, invitation, ..Settings::default() };
    // What is stored survives only where the key does.
    let state_dir = entry.home.as_ref().and(state_dir).map(Path::to_owned);
    Ok(entry.plan(node.into(), HostConfig { state_dir, ..HostConfig::default() }))
}

/// Blocks of the store and of the cache.
fn shelves(bytes: u64) -> Result<[usize; 2], Problem> {
    if bytes < FreenetSettings::STORE_BYTES_MIN {
        return Err(
            Problem::new(format!("expected a store of 1 MiB or more, came {bytes} bytes")).hint("1 GiB is kept when nothing is said")
        );
    }
    // Places on a shelf are numbered with 32 bits.
    let each = u32::try_from(bytes / CHK_DATA_BYTES as u64 / 2).ok().and_then(|each| usize::try_from(each).ok());
    let each = each.ok_or_else(|| Problem::new(format!("expected a store of less than 256 TiB, came {bytes} bytes")))?;
    Ok([each, each])
}

pub(crate) fn friend(text: &str) -> Result<[u8; 32], Problem> {
    // A whole address will do as well.
    let key = text.split('@').next().unwrap_or(text);
    let key = data_encoding::HEXLOWER_PERMISSIVE.decode(key.as_bytes()).ok().and_then(|key| key.try_into().ok());
    key.ok_or_else(|| {
        Problem::new(format!("expected a friend's public key of 64 hex digits, came '{text}'"))
            .hint("it is what stands before the @ in the line that hexad join freenet prints")
    })
}

/// An invitation, as its text says.
pub(crate) fn invitation(text: &str) -> Result<Invitation, Problem> {
    text.parse().map_err(|wrong: String| Problem::new(wrong).hint("copy the whole line that hexad freenet invite has printed"))
}

/// A fresh subspace: the key that writes, and the key that reads.
pub(crate) fn make_key() -> Result<(String, String), Problem> {
    let pair = KeyPair { seed: fresh_key()?.seed(), crypto: fresh_key()?.seed() };
    Ok((Uri::of_pair(&pair, "", true).to_string(), Uri::of_pair(&pair, "", false).to_string()))
}

impl InSession for Freenet<Endpoint> {
    const TELLS_TRANSFERS: bool = false;

    fn takes(what: &What) -> bool {
        matches!(what, What::Locator(_) | What::Magnet(_))
    }

    fn door(door: Door, address: SocketAddr, key: Option<[u8; 32]>) -> Option<(String, &'static str)> {
        (door == doors::NETWORK).then(|| (shown(address, key), "network"))
    }

    fn request(wish: Wish) -> Option<RequestOf<Self>> {
        match wish {
            Wish::Standing => Some(Request::Status),
            Wish::Own(Own::FreenetInvite { name, lasts_s, uses, addresses }) => {
                Some(Request::Invite(InvitationWanted { name, lasts_s, uses, more: addresses }))
            }
            Wish::Own(Own::FreenetInvitations) => Some(Request::Invitations),
            Wish::Own(Own::FreenetRevoke { id }) => Some(Request::Revoke(id)),
            Wish::Own(Own::FreenetAccept { invitation }) => Some(Request::Accept(Box::new(invitation.parse().ok()?))),
            Wish::Own(Own::FreenetFriends) => Some(Request::Friends),
            Wish::Own(Own::FreenetUnfriend { key }) => Some(Request::Unfriend(Box::new(friend(&key).ok()?))),
            Wish::Meet(..) | Wish::Sounds(..) | Wish::Tree(..) | Wish::Own(_) | Wish::Order(..) | Wish::Reader(..) | Wish::SuperSeed(_) => {
                None
            }
        }
    }

    fn told(reply: ReplyOf<Self>) -> Told {
        match reply {
            Reply::Put(uri) => Told::Answers(vec![Event::Inserted { network: NAME.into(), key: uri.to_string() }]),
            Reply::Status(status) => Told::Standing(Standing {
                overlay: Some(neighbourhood(&status)),
                peers: status.peers as u64,
                known: status.known,
                figures: vec![("blocks_held", status.blocks as u64), ("requests", status.walks as u64)],
            }),
            Reply::Invitation(given) => Told::Answers(vec![Event::Invitation(shown_invitation(*given))]),
            Reply::Invitations(all) => Told::Answers(all.into_iter().map(|given| Event::Invitation(shown_invitation(given))).collect()),
            Reply::Friend(friend) => Told::Answers(vec![Event::Friend(shown_friend(*friend))]),
            Reply::Friends(all) => Told::Answers(all.into_iter().map(|friend| Event::Friend(shown_friend(friend))).collect()),
            Reply::Counted(_)
            | Reply::Expected { .. }
            | Reply::Rests(_)
            | Reply::Compressing
            | Reply::Compressed { .. }
            | Reply::Metadata(_)
            | Reply::Told(_)
            | Reply::Untold(_)
            | Reply::Edition(_)
            | Reply::Got { .. }
            | Reply::KeyPair(_)
            | Reply::Block(_)
            | Reply::Inserted(_)
            | Reply::Hops(_) => Told::Nothing,
        }
    }

    fn hint(failure: &Failure) -> &'static str {
        match failure {
            Failure::NotFound(_) => "what nobody asks for is forgotten: whoever has the file can publish it again under the same key",
            Failure::TimedOut(_) => "is anybody of the network still there? join by another node with --bootstrap KEY@IP:PORT",
            Failure::Unusable(_) => "a key looks like CHK@…,…,AAMC--8; put it in quotes",
            Failure::Full("invitations") => "hexad freenet invitations lists them, and hexad freenet revoke takes one back",
            Failure::Full(_) => "stop something else first",
            Failure::Refused(_) => "whoever has given the invitation can give another one: hexad freenet invite",
            Failure::NotReady(_) | Failure::Host(_) => "hexad -v shows what happens on the way there",
        }
    }
}

fn shown_invitation(given: Given) -> FreenetInvitation {
    let Given { number, name, until_s, uses_left, used, text } = given;
    FreenetInvitation { id: number, name, until_s, uses_left, used, invitation: text }
}

fn shown_friend(friend: FriendOf) -> FreenetFriend {
    FreenetFriend {
        key: data_encoding::HEXLOWER.encode(&friend.key),
        at: friend.at.to_string(),
        name: friend.words.name,
        connected: friend.is_connected,
        met: friend.was_met,
    }
}

/// The circle as we see it.
fn neighbourhood(status: &Status) -> Overlay {
    let peers = status.neighbours.iter().map(|peer| neighbour(&peer.at, "neighbour", peer.location.map(|place| on_circle(place.0))));
    overlay(OverlayKind::Neighbourhood, me(None, status.location.map(|place| on_circle(place.0))), peers)
}
