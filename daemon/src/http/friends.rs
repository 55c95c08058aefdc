//! Friends on Freenet, and their invitations.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use hexad_api::node::{Daemon, FreenetFriend, FreenetInvitation, NewInvitation, UsedInvitation};
use hexad_api::{Event, Own, Problem, ProblemKind};

use super::Here;
use super::answer::{Answer, Given, Named, Numbered, Refused, ask};

fn invitations_of(answers: Vec<Event>) -> Vec<FreenetInvitation> {
    answers.into_iter().filter_map(|answer| if let Event::Invitation(given) = answer { Some(given) } else { None }).collect()
}

fn friends_of(answers: Vec<Event>) -> Vec<FreenetFriend> {
    answers.into_iter().filter_map(|answer| if let Event::Friend(friend) = answer { Some(friend) } else { None }).collect()
}

/// The only answer there is to be.
fn one<T>(mut all: Vec<T>) -> Result<T, Problem> {
    all.pop().ok_or_else(|| Problem::new("the network has not answered").kind(ProblemKind::Internal))
}

/// Lists the invitations that were given on Freenet
#[utoipa::path(get, path = "/api/freenet/invitations", responses((status = 200, body = Vec<FreenetInvitation>), Refused))]
pub(super) async fn invitations(State(face): Here) -> Answer<Json<Vec<FreenetInvitation>>> {
    let answers = ask(&face, |daemon: &dyn Daemon| daemon.own(Own::FreenetInvitations)).await??;
    Ok(Json(invitations_of(answers)))
}

/// Invites somebody on Freenet
#[utoipa::path(post, path = "/api/freenet/invitations", request_body = NewInvitation, responses((status = 201, body = FreenetInvitation), Refused))]
pub(super) async fn invite(State(face): Here, Given(wanted): Given<NewInvitation>) -> Answer<(StatusCode, Json<FreenetInvitation>)> {
    let NewInvitation { name, lasts_s, uses, addresses } = wanted;
    let own = Own::FreenetInvite { name, lasts_s, uses, addresses };
    let answers = ask(&face, move |daemon| daemon.own(own)).await??;
    Ok((StatusCode::CREATED, Json(one(invitations_of(answers))?)))
}

/// Takes an invitation back; who has used it stays a friend
#[utoipa::path(delete, path = "/api/freenet/invitations/{id}", params(("id" = u64, Path)), responses((status = 204), Refused))]
pub(super) async fn revoke(State(face): Here, Numbered(id): Numbered) -> Answer<StatusCode> {
    ask(&face, move |daemon| daemon.own(Own::FreenetRevoke { id })).await??;
    Ok(StatusCode::NO_CONTENT)
}

/// Lists friends on Freenet
#[utoipa::path(get, path = "/api/freenet/friends", responses((status = 200, body = Vec<FreenetFriend>), Refused))]
pub(super) async fn friends(State(face): Here) -> Answer<Json<Vec<FreenetFriend>>> {
    let answers = ask(&face, |daemon: &dyn Daemon| daemon.own(Own::FreenetFriends)).await??;
    Ok(Json(friends_of(answers)))
}

/// Makes use of an invitation on Freenet; whoever has given it is a friend from then on
#[utoipa::path(post, path = "/api/freenet/friends", request_body = UsedInvitation, responses((status = 201, body = FreenetFriend), Refused))]
pub(super) async fn accept(State(face): Here, Given(used): Given<UsedInvitation>) -> Answer<(StatusCode, Json<FreenetFriend>)> {
    let own = Own::FreenetAccept { invitation: used.invitation };
    let answers = ask(&face, move |daemon| daemon.own(own)).await??;
    Ok((StatusCode::CREATED, Json(one(friends_of(answers))?)))
}

/// Forgets a friend on Freenet
#[utoipa::path(delete, path = "/api/freenet/friends/{key}", params(("key" = String, Path)), responses((status = 204), Refused))]
pub(super) async fn unfriend(State(face): Here, Named(key): Named) -> Answer<StatusCode> {
    ask(&face, move |daemon| daemon.own(Own::FreenetUnfriend { key })).await??;
    Ok(StatusCode::NO_CONTENT)
}
