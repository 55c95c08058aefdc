//! What a node is told before it starts: one commented TOML file, over it the environment, over that what the command line says.
//!
//! A file that cannot be used is refused with its line; a variable or flag that cannot be used is refused with its name. Every setting is in
//! [`TEMPLATE`], which is what `hexad config init` writes.

mod overlay;

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hexad_api::{
    BittorrentSettings, ChordSettings, FreenetSettings, GnutellaSettings, KazaaSettings, Limits, NapsterSettings, NetworkSettings, Problem,
    ProblemKind, Settings, TimedLimits,
};
use serde::{Deserialize, Serialize};

use crate::http::HttpSettings;
use crate::node::NodeSettings;
use crate::source::plain;

pub use overlay::{KEYS, Overlay, variable};

/// The file with every setting, as a comment where it says what holds anyway.
pub const TEMPLATE: &str = include_str!("template.toml");

/// Bytes of a file that is read.
const FILE_BYTES_MAX: u64 = 1 << 20;
const NETWORKS: [&str; 6] = ["bittorrent", "chord", "freenet", "gnutella", "kazaa", "napster"];

/// All that a node is told before it starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where downloads go that say nothing else.
    pub download_dir: Option<PathBuf>,
    /// Folders whose files are offered.
    pub shared_dirs: Vec<PathBuf>,
    /// The folder whose .torrent and .magnet files are fetched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watch_dir: Option<PathBuf>,
    /// Whether downloads that say nothing else go on seeding when complete.
    pub seed: bool,
    /// Where the node keeps what it knows.
    pub state_dir: Option<PathBuf>,
    /// The one interface of this machine over which the networks go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
    /// The proxy through which everything goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// How fast bytes may come and go on all networks together.
    pub limits: LimitsConfig,
    /// The API and the page.
    pub http: HttpConfig,
    /// How to take part in each network.
    pub networks: NetworksConfig,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            download_dir: None,
            shared_dirs: Vec::new(),
            watch_dir: None,
            seed: true,
            state_dir: None,
            interface: None,
            proxy: None,
            limits: LimitsConfig::default(),
            http: HttpConfig::default(),
            networks: NetworksConfig::default(),
        }
    }
}

/// How fast bytes may come and go, in bytes a second, and how many downloads at a time; 0 has no limit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitsConfig {
    /// What may come.
    pub down_bytes_per_s: u64,
    /// What may go.
    pub up_bytes_per_s: u64,
    /// Downloads that are not complete and active at a time; 0 has no limit.
    pub active_downloads: u32,
    /// Complete ones that are given on at a time; 0 has no limit.
    pub active_seeds: u32,
    /// What holds in their place at certain times.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub schedule: Vec<TimedLimits>,
}

impl LimitsConfig {
    /// What holds where the schedule says nothing.
    #[must_use]
    pub fn usual(&self) -> Limits {
        Limits { down_bytes_per_s: self.down_bytes_per_s, up_bytes_per_s: self.up_bytes_per_s }
    }

    /// Changes that.
    pub fn set_usual(&mut self, limits: Limits) {
        (self.down_bytes_per_s, self.up_bytes_per_s) = (limits.down_bytes_per_s, limits.up_bytes_per_s);
    }
}

/// The API and the page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Where they are.
    pub listen: SocketAddr,
    /// What comes before every path.
    pub base_path: String,
    /// Names by which others call this node.
    pub allowed_hosts: Vec<String>,
    /// What callers must know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Default for HttpConfig {
    fn default() -> Self {
        let HttpSettings { listen, base_path, .. } = HttpSettings::default();
        Self { listen, base_path, allowed_hosts: Vec::new(), token: None }
    }
}

/// How to take part in each network.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworksConfig {
    /// Which are joined; when absent, BitTorrent and those of which a way in is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub join: Option<Vec<String>>,
    /// BitTorrent.
    pub bittorrent: BittorrentSettings,
    /// Chord.
    pub chord: ChordSettings,
    /// Freenet.
    pub freenet: FreenetSettings,
    /// Gnutella.
    pub gnutella: GnutellaSettings,
    /// Kazaa.
    pub kazaa: KazaaSettings,
    /// Napster, as a client.
    pub napster: NapsterSettings,
}

impl Config {
    /// Reads a file, where one is named or stands where it usually does, and lays `overlays` over it, in order. A usual file that is not there is none.
    ///
    /// # Errors
    /// When something of it cannot be read or used.
    pub fn read(file: Option<&Path>, overlays: &[Overlay]) -> Result<Self, Problem> {
        let usual = usual_file();
        let text = match (file, &usual) {
            (Some(named), _) => read_file(named)?.ok_or_else(|| {
                Problem::new(format!("{} is not there", named.display()))
                    .hint("`hexad config init` writes a configuration")
                    .kind(ProblemKind::NotFound)
            })?,
            (None, Some(usual)) => read_file(usual)?.unwrap_or_default(),
            (None, None) => String::new(),
        };
        let path = file.or(usual.as_deref()).unwrap_or(Path::new("config.toml"));
        let mut config = Self::parse(&text, path)?;
        if !overlays.is_empty() {
            config = overlay::lay(&text, overlays)?;
        }
        config.check()?;
        Ok(config.at_home())
    }

    /// Reads the text of a file; `path` is for messages.
    fn parse(text: &str, path: &Path) -> Result<Self, Problem> {
        toml::from_str(text).map_err(|wrong: toml::de::Error| {
            let before = &text[..wrong.span().map_or(0, |span| span.start).min(text.len())];
            let line = before.matches('\n').count() + 1;
            // toml says what field it is about in a message of its own line.
            let message = wrong.message().split_whitespace().collect::<Vec<_>>().join(" ");
            let field = field_of(text, line).map(|field| format!(" ({field})")).unwrap_or_default();
            Problem::new(format!("{}, line {line}{field}: {message}", path.display()))
                .hint("`hexad config init --print` shows every setting and what it may be")
        })
    }

    fn check(&self) -> Result<(), Problem> {
        crate::node::check_schedule(&self.limits.schedule)
            .map_err(|problem| Problem { message: format!("limits.schedule: {}", problem.message), ..problem })?;
        let unknown = self.networks.join.iter().flatten().find(|name| !NETWORKS.contains(&name.as_str()));
        match unknown {
            Some(name) => Err(Problem::new(format!("networks.join: expected names of networks, came '{name}'"))
                .hint(format!("there are {}", NETWORKS.join(", ")))),
            None => Ok(()),
        }
    }

    /// The same with folders at their usual places where none is named.
    fn at_home(mut self) -> Self {
        let home = variable_path("HOME");
        let base = |name: &str, below: &str| variable_path(name).or_else(|| Some(home.as_ref()?.join(below)));
        self.state_dir = self.state_dir.or_else(|| Some(base("XDG_STATE_HOME", ".local/state")?.join("hexad")));
        self.download_dir = self.download_dir.or_else(|| base("XDG_DOWNLOAD_DIR", "Downloads"));
        let expand = |path: PathBuf| match (path.strip_prefix("~"), &home) {
            (Ok(below), Some(home)) => home.join(below),
            _ => path,
        };
        self.state_dir = self.state_dir.map(expand);
        self.download_dir = self.download_dir.map(expand);
        self.watch_dir = self.watch_dir.map(expand);
        self.shared_dirs = self.shared_dirs.into_iter().map(expand).collect();
        self
    }

    /// Whether a network is joined at the start.
    #[must_use]
    pub fn joins(&self, name: &str) -> bool {
        let NetworksConfig { join, chord, freenet, gnutella, kazaa, napster, .. } = &self.networks;
        if let Some(join) = join {
            return join.iter().any(|joined| joined == name);
        }
        match name {
            "bittorrent" => true,
            "chord" => chord.found || !chord.bootstrap.is_empty(),
            "freenet" => freenet.found || freenet.invitation.is_some() || !freenet.bootstrap.is_empty(),
            "gnutella" => !gnutella.bootstrap.is_empty() || !gnutella.web_caches.is_empty(),
            "kazaa" => kazaa.found || !kazaa.bootstrap.is_empty(),
            "napster" => !napster.servers.is_empty(),
            _ => false,
        }
    }

    /// How to take part in all six networks, whether they are joined at the start or not.
    #[must_use]
    pub fn session(&self) -> Settings {
        let NetworksConfig { bittorrent, chord, freenet, gnutella, kazaa, napster, .. } = self.networks.clone();
        let networks = vec![
            NetworkSettings::Bittorrent(bittorrent),
            NetworkSettings::Chord(chord),
            NetworkSettings::Freenet(freenet),
            NetworkSettings::Gnutella(gnutella),
            NetworkSettings::Kazaa(kazaa),
            NetworkSettings::Napster(napster),
        ];
        Settings {
            state_dir: self.state_dir.clone(),
            networks,
            interface: self.interface.clone(),
            proxy: self.proxy.clone(),
            limits: self.limits.usual(),
        }
    }

    /// What the node is told.
    ///
    /// # Errors
    /// When there is no place for downloads.
    pub fn node(&self) -> Result<NodeSettings, Problem> {
        let download_dir = self.download_dir.clone().ok_or_else(|| {
            Problem::new("there is no folder for downloads: HOME is not set").hint("set download_dir, or give --downloads DIR")
        })?;
        let join = NETWORKS.into_iter().filter(|name| self.joins(name)).map(String::from).collect();
        let (shared_dirs, watch_dir, seed) = (self.shared_dirs.clone(), self.watch_dir.clone(), self.seed);
        let LimitsConfig { schedule, active_downloads, active_seeds, .. } = self.limits.clone();
        Ok(NodeSettings {
            session: self.session(),
            schedule,
            active_downloads,
            active_seeds,
            join,
            download_dir,
            shared_dirs,
            watch_dir,
            seed,
            ..NodeSettings::default()
        })
    }

    /// How the node is reached over HTTP. Beyond loopback there is a token, which is kept beside the state where none is set.
    ///
    /// # Errors
    /// When a token is needed and cannot be kept.
    pub fn http(&self) -> Result<HttpSettings, Problem> {
        let HttpConfig { listen, base_path, allowed_hosts, token } = self.http.clone();
        let token = match (token, &self.state_dir) {
            (None, Some(state)) if !listen.ip().to_canonical().is_loopback() => Some(crate::http::kept_token(state)?),
            (token, _) => token,
        };
        Ok(HttpSettings { listen, base_path, allowed_hosts, token, lab_report: self.lab_report() })
    }

    /// The report of the lab that the node's page shows, where there is a place for it.
    #[must_use]
    pub fn lab_report(&self) -> Option<PathBuf> {
        Some(self.state_dir.as_ref()?.join("lab-report").join("index.html"))
    }

    /// All of it as TOML, secrets left out.
    ///
    /// # Errors
    /// When a path is no text.
    pub fn to_toml(&self) -> Result<String, Problem> {
        toml::to_string(&self.without_secrets()).map_err(|wrong| Problem::new(format!("this cannot be written as TOML: {wrong}")))
    }

    /// What may be shown to others.
    #[must_use]
    pub fn without_secrets(&self) -> Self {
        let mut shown = self.clone();
        let hidden = || "(set)".to_owned();
        shown.http.token = shown.http.token.map(|_| hidden());
        shown.proxy = shown.proxy.map(|proxy| if proxy.contains('@') { hidden() } else { proxy });
        if !shown.networks.napster.password.is_empty() {
            shown.networks.napster.password = hidden();
        }
        shown
    }
}

/// Where the file usually is: `$XDG_CONFIG_HOME/hexad/config.toml`, or `~/.config/hexad/config.toml`.
#[must_use]
pub fn usual_file() -> Option<PathBuf> {
    let base = variable_path("XDG_CONFIG_HOME").or_else(|| Some(variable_path("HOME")?.join(".config")))?;
    Some(base.join("hexad").join("config.toml"))
}

fn variable_path(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The text of a file; `None` when it is not there.
fn read_file(path: &Path) -> Result<Option<String>, Problem> {
    let trouble = |why: String| {
        Problem::new(format!("{} cannot be read: {why}", path.display()))
            .hint("name another file with --config")
            .kind(ProblemKind::Unavailable)
    };
    match fs::metadata(path) {
        Err(wrong) if wrong.kind() == ErrorKind::NotFound => return Ok(None),
        Ok(found) if found.len() > FILE_BYTES_MAX => return Err(trouble(format!("it has {} bytes", found.len()))),
        _ => {}
    }
    fs::read_to_string(path).map(Some).map_err(|wrong| trouble(plain(&wrong)))
}

/// What a line sets: `networks.chord.bootstrap`.
fn field_of(text: &str, line: usize) -> Option<String> {
    let (name, _) = text.lines().nth(line - 1)?.split_once('=')?;
    let table = text.lines().take(line).filter_map(|line| line.trim().strip_prefix('[')?.strip_suffix(']')).last();
    // A table of a list has two of each.
    let table = table.map(|name| name.trim_matches(['[', ']']));
    let name = name.trim();
    Some(table.map_or_else(|| name.to_owned(), |table| format!("{table}.{name}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> String {
        Config::parse(text, Path::new("config.toml")).map_or_else(|problem| problem.message, |config| format!("{config:?}"))
    }

    #[test]
    fn every_setting_of_the_template_is_one_and_says_what_holds_anyway() {
        let is_setting = |line: &str| line.strip_prefix('#').is_some_and(|line| line.starts_with(|first: char| first.is_ascii_lowercase()));
        let text: Vec<String> = TEMPLATE
            .lines()
            // What has no value by itself is shown with an example.
            .filter(|line| !line.contains("# example"))
            .map(|line| if is_setting(line) { line[1..].to_owned() } else { line.to_owned() })
            .collect();
        assert_eq!(Config::parse(&text.join("\n"), Path::new("template.toml")), Ok(Config::default()));
        assert_eq!(Config::parse(TEMPLATE, Path::new("template.toml")), Ok(Config::default()));
        let named = |key: &&&str| {
            let name = key.rsplit('.').next().unwrap_or(key);
            !TEMPLATE
                .lines()
                .any(|line| line.strip_prefix('#').and_then(|line| line.split_once(" = ")).is_some_and(|(found, _)| found == name))
        };
        let missing: Vec<_> = KEYS.iter().filter(named).collect();
        assert!(missing.is_empty(), "{missing:?} are not in the template");
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said_with_line_and_field() {
        let wrong_kind = problem("seed = true\n\n[http]\nlisten = 7\n");
        assert!(wrong_kind.starts_with("config.toml, line 4 (http.listen): "), "{wrong_kind}");
        let unknown = problem("[networks.chord]\nbotstrap = []\n");
        assert!(unknown.starts_with("config.toml, line 2 (networks.chord.botstrap): unknown field `botstrap`"), "{unknown}");
        let no_day = problem("[limits]\nup_bytes_per_s = 1\n\n[[limits.schedule]]\ndays = 'monday'\n");
        let expected = "config.toml, line 5 (limits.schedule.days): expected days such as mon, mon-fri or sat,sun, came 'monday'";
        assert_eq!(no_day, expected);
        let no_hour = problem("[[limits.schedule]]\nhours = '08:00-18:00'\n\n[[limits.schedule]]\ndays = 'sat'\nhours = '8-18'\n");
        assert_eq!(no_hour, "config.toml, line 6 (limits.schedule.hours): expected hours such as 08:00-18:30, came '8-18'");
        let no_rate = problem("[[limits.schedule]]\nup_bytes_per_s = '1M'\n");
        assert!(no_rate.starts_with("config.toml, line 2 (limits.schedule.up_bytes_per_s): "), "{no_rate}");
        let broken = problem("seed = true\nshared_dirs = [\n");
        assert!(broken.starts_with("config.toml, line "), "{broken}");
        assert!(!broken.contains('\n'), "{broken}");
    }

    #[test]
    fn networks_are_joined_whose_way_in_is_known() {
        let config = |text| Config::parse(text, Path::new("config.toml")).expect("a configuration");
        let joined = |text| NETWORKS.into_iter().filter(|name| config(text).joins(name)).collect::<Vec<_>>();
        assert_eq!(joined(""), ["bittorrent"]);
        assert_eq!(joined("[networks.kazaa]\nfound = true\n[networks.napster]\nservers = ['a:1']"), ["bittorrent", "kazaa", "napster"]);
        assert_eq!(joined("[networks]\njoin = ['chord']"), ["chord"]);
        assert!(config("[networks]\njoin = ['usenet']").check().is_err());
    }
}
