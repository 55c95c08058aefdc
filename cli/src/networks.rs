//! Which networks a command is for, and how to get into them.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use hexad_api::{
    BittorrentSettings, ChordSettings, FreenetSettings, GnutellaSettings, KazaaSettings, NapsterSettings, NetworkSettings, Problem,
    Settings,
};

/// A network that can be named with `--on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum NetworkName {
    /// Swarms that share what a .torrent describes
    Bittorrent,
    /// A ring that finds files by words and by what proves them
    Chord,
    /// Storage that keeps files wherever they are asked for, under keys that only their holders can read
    Freenet,
    /// Queries that flood among neighbours
    Gnutella,
    /// Supernodes that know the files of their leaves
    Kazaa,
    /// Central index servers that know who has which file
    Napster,
}

/// Where what networks know is kept.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// Where networks keep their keys, peers and accounts [default: $XDG_STATE_HOME/hexad or ~/.local/state/hexad]
    #[arg(long = "state", value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

impl StateArgs {
    /// The folder that was named, or the usual one.
    pub fn folder(&self) -> Option<PathBuf> {
        self.state_dir.clone().or_else(usual_state_dir)
    }
}

/// `$XDG_STATE_HOME/hexad`, or `~/.local/state/hexad`.
fn usual_state_dir() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state"))).map(|base| base.join("hexad"))
}

impl NetworkName {
    /// As it is written on the command line.
    pub fn word(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

/// Networks of which a node is named with its key.
const KEYED: [NetworkName; 3] = [NetworkName::Chord, NetworkName::Freenet, NetworkName::Kazaa];

/// How to get into networks other than BitTorrent.
#[derive(Debug, Args)]
pub struct EntryArgs {
    /// Chord, Freenet, Kazaa (KEY@IP:PORT), Gnutella (HOST:PORT): a node to begin with, as hexad join prints it; may be repeated
    #[arg(long, value_name = "NODE")]
    pub bootstrap: Vec<String>,
    /// Napster: a server to log in to; may be repeated
    #[arg(long = "server", value_name = "HOST:PORT")]
    pub servers: Vec<String>,
    /// Napster: our name there; one is invented when not given
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    pub nick: String,
    /// Napster: the password of that name; a guest's when not given
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "HEXAD_NAPSTER_PASSWORD",
        hide_env_values = true,
        default_value = "",
        hide_default_value = true
    )]
    pub password: String,
    /// Where networks keep what they know
    #[command(flatten)]
    pub state: StateArgs,
}

impl EntryArgs {
    /// The nodes that are named with a key, or without one.
    fn keyed(&self, keyed: bool) -> Vec<String> {
        self.bootstrap.iter().filter(|node| node.contains('@') == keyed).cloned().collect()
    }

    /// The networks that were named; those of which a way in was given, where none was.
    pub fn chosen(&self, named: &[NetworkName]) -> Vec<NetworkName> {
        let mut chosen = Vec::new();
        let ways_in = [
            (NetworkName::Chord, !self.keyed(true).is_empty()),
            (NetworkName::Gnutella, !self.keyed(false).is_empty()),
            (NetworkName::Napster, !self.servers.is_empty()),
        ];
        let given = ways_in.iter().filter(|(_, given)| *given && named.is_empty()).map(|(name, _)| name);
        for name in named.iter().chain(given) {
            if !chosen.contains(name) {
                chosen.push(*name);
            }
        }
        chosen
    }

    /// The settings of a session on these networks. An address with a port can be had once only: the first network has it, others any port.
    ///
    /// # Errors
    /// When a way in was given for a network that is not among them.
    pub fn settings(
        &self,
        on: &[NetworkName],
        listen: Option<SocketAddr>,
        bittorrent: impl Fn() -> BittorrentSettings,
    ) -> Result<Settings, Problem> {
        let keyed: Vec<NetworkName> = KEYED.iter().copied().filter(|name| on.contains(name)).collect();
        // Nodes of one network are none of the other.
        if keyed.len() > 1 && !self.keyed(true).is_empty() {
            let names: Vec<String> = keyed.iter().map(|name| name.word()).collect();
            return Err(Problem::new(format!(
                "--bootstrap with a key is for one network, and of this command's it may be for {}",
                names.join(" or ")
            ))
            .hint("hexad join each of them first: their nodes are remembered"));
        }
        let plain = on.contains(&NetworkName::Gnutella);
        // Of a node that is written wrongly, the network that is asked for says what it expects.
        let served = plain || !keyed.is_empty();
        for (name, option, given, served) in [
            (NetworkName::Chord, "--bootstrap", !self.keyed(true).is_empty(), served),
            (NetworkName::Gnutella, "--bootstrap", !self.keyed(false).is_empty(), served),
            (NetworkName::Napster, "--server", !self.servers.is_empty(), on.contains(&NetworkName::Napster)),
        ] {
            if given && !served {
                let word = name.word();
                return Err(Problem::new(format!("{option} is for {word}, which is not among the networks of this command"))
                    .hint(format!("add --on {word}")));
            }
        }
        let ways_in = |with_key| if !keyed.is_empty() && plain { self.keyed(with_key) } else { self.bootstrap.clone() };
        let mut listen = listen;
        let networks = on.iter().map(|name| {
            let ours = listen;
            if let Some(address) = &mut listen {
                address.set_port(0);
            }
            match name {
                NetworkName::Bittorrent => NetworkSettings::Bittorrent(BittorrentSettings { listen: ours, ..bittorrent() }),
                NetworkName::Chord => {
                    let bootstrap = ways_in(true);
                    NetworkSettings::Chord(ChordSettings { listen: ours, bootstrap, found: false })
                }
                NetworkName::Gnutella => {
                    let bootstrap = ways_in(false);
                    NetworkSettings::Gnutella(GnutellaSettings { listen: ours, bootstrap, ..GnutellaSettings::default() })
                }
                NetworkName::Freenet => {
                    NetworkSettings::Freenet(FreenetSettings { listen: ours, bootstrap: ways_in(true), ..FreenetSettings::default() })
                }
                NetworkName::Kazaa => {
                    NetworkSettings::Kazaa(KazaaSettings { listen: ours, bootstrap: ways_in(true), ..KazaaSettings::default() })
                }
                NetworkName::Napster => NetworkSettings::Napster(NapsterSettings {
                    servers: self.servers.clone(),
                    name: self.nick.clone(),
                    password: self.password.clone(),
                    listen: ours,
                    ..NapsterSettings::default()
                }),
            }
        });
        Ok(Settings { networks: networks.collect(), state_dir: self.state.folder(), ..Settings::default() })
    }
}
