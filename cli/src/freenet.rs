//! `hexad freenet`: what only Freenet can do.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use hexad_api::node::{FreenetFriend, FreenetInvitation, NewInvitation, UsedInvitation};
use hexad_api::{Problem, json_line};
use indicatif::HumanDuration;

use crate::how::parse_time;
use crate::node::NodeArgs;
use crate::out::{self, tame};

/// `hexad freenet`.
#[derive(Debug, Args)]
pub struct FreenetArgs {
    /// What to do
    #[command(subcommand)]
    pub command: FreenetCommand,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum FreenetCommand {
    /// Make a subspace of one's own: prints the key that writes, to be kept, and the key that reads, to be given away
    #[command(after_help = "Example:\n  hexad freenet make-key")]
    MakeKey,
    /// Let a running node invite somebody: prints the invitation, which is good for whoever has it
    #[command(
        after_help = "Examples:\n  hexad freenet invite --name bob\n  hexad freenet invite --expires 1h --uses 5 --address 203.0.113.4:4000"
    )]
    Invite {
        /// What whoever uses it is called here
        #[arg(long, value_name = "FRIEND", default_value = "", hide_default_value = true)]
        name: String,
        /// How long it is good (90s, 30m, 2h, 7d)
        #[arg(long, value_name = "TIME", default_value = "7d", value_parser = parse_time)]
        expires: u64,
        /// How many may use it
        #[arg(long, value_name = "COUNT", default_value_t = 1)]
        uses: u16,
        /// Where the node is reached beside the address that it knows itself, such as that of a router; may be repeated
        #[arg(long = "address", value_name = "IP:PORT")]
        addresses: Vec<SocketAddr>,
        /// Which node
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List the invitations that a running node has given
    Invitations {
        /// Which node
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Take an invitation back; who has used it stays a friend
    Revoke {
        /// Its number, as hexad freenet invitations lists it
        id: u64,
        /// Which node
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Let a running node make use of an invitation; whoever has given it is a friend from then on
    Accept {
        /// The invitation, as it was given
        invitation: String,
        /// Which node
        #[command(flatten)]
        node: NodeArgs,
    },
    /// List the friends of a running node
    Friends {
        /// Which node
        #[command(flatten)]
        node: NodeArgs,
    },
    /// Forget a friend
    Unfriend {
        /// His key, 64 hex digits, as hexad freenet friends lists it
        key: String,
        /// Which node
        #[command(flatten)]
        node: NodeArgs,
    },
}

/// Does it.
///
/// # Errors
/// When it cannot be done.
pub fn run(command: FreenetCommand) -> Result<(), Problem> {
    match command {
        FreenetCommand::MakeKey => {
            let (writes, reads) = hexad_daemon::make_freenet_key()?;
            out::line(&writes)?;
            out::line(&reads)
        }
        FreenetCommand::Invite { name, expires, uses, addresses, node } => {
            let given = node.open()?.invite(&NewInvitation { name, lasts_s: expires, uses, addresses })?;
            if node.json {
                return out::line(&json_line(&given)?);
            }
            out::line(&tame(given.invitation.as_deref().unwrap_or_default()))?;
            let lasts = HumanDuration(std::time::Duration::from_secs(expires));
            eprintln!("number {}, good for {lasts} and {uses} at most: whoever has it can use it", given.id);
            Ok(())
        }
        FreenetCommand::Invitations { node } => {
            let all = node.open()?.invitations()?;
            all.iter().try_for_each(|given| out::line(&if node.json { json_line(given)? } else { invitation(given) }))
        }
        FreenetCommand::Revoke { id, node } => node.open()?.revoke(id),
        FreenetCommand::Accept { invitation, node } => {
            let friend = node.open()?.accept(&UsedInvitation { invitation })?;
            out::line(&if node.json { json_line(&friend)? } else { tame(&friend.at) })
        }
        FreenetCommand::Friends { node } => {
            let all = node.open()?.friends()?;
            all.iter().try_for_each(|one| out::line(&if node.json { json_line(one)? } else { friend(one) }))
        }
        FreenetCommand::Unfriend { key, node } => node.open()?.unfriend(&key),
    }
}

fn invitation(given: &FreenetInvitation) -> String {
    let FreenetInvitation { id, name, until_s, uses_left, used, .. } = given;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let stands = match (until_s.checked_sub(now).filter(|left| *left > 0), uses_left) {
        (_, 0) => "used up".to_owned(),
        (None, _) => "expired".to_owned(),
        (Some(left), _) => format!("{uses_left} more within {}", HumanDuration(std::time::Duration::from_secs(left))),
    };
    format!("{id}  {}  used {used}, {stands}", tame(name))
}

fn friend(friend: &FreenetFriend) -> String {
    let stands = if friend.connected {
        "connected"
    } else if friend.met {
        "away"
    } else {
        "never met"
    };
    format!("{}  {}  {stands}", tame(&friend.at), tame(&friend.name))
}
