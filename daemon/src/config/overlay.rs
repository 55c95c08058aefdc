//! Settings that come from elsewhere than the file: `HEXAD_HTTP_LISTEN` is `http.listen`, and so is `--set http.listen=…`.

use hexad_api::Problem;
use toml::{Table, Value};

use super::Config;

/// Every setting, as it is called in variables and flags.
pub const KEYS: &[&str] = &[
    "download_dir",
    "shared_dirs",
    "watch_dir",
    "seed",
    "state_dir",
    "interface",
    "proxy",
    "limits.down_bytes_per_s",
    "limits.up_bytes_per_s",
    "limits.active_downloads",
    "limits.active_seeds",
    "http.listen",
    "http.base_path",
    "http.allowed_hosts",
    "http.token",
    "networks.join",
    "networks.bittorrent.listen",
    "networks.bittorrent.dht",
    "networks.bittorrent.pex",
    "networks.bittorrent.lsd",
    "networks.bittorrent.encryption",
    "networks.bittorrent.utp",
    "networks.bittorrent.seed_choking",
    "networks.bittorrent.version",
    "networks.bittorrent.dht_bootstrap",
    "networks.bittorrent.map_ports",
    "networks.bittorrent.block_lists",
    "networks.chord.listen",
    "networks.chord.bootstrap",
    "networks.chord.found",
    "networks.freenet.listen",
    "networks.freenet.bootstrap",
    "networks.freenet.found",
    "networks.freenet.friends",
    "networks.freenet.darknet",
    "networks.freenet.invitation",
    "networks.freenet.store_bytes",
    "networks.gnutella.listen",
    "networks.gnutella.bootstrap",
    "networks.gnutella.mode",
    "networks.gnutella.firewalled",
    "networks.gnutella.web_caches",
    "networks.kazaa.listen",
    "networks.kazaa.bootstrap",
    "networks.kazaa.found",
    "networks.kazaa.supernode",
    "networks.kazaa.fasttrack",
    "networks.napster.servers",
    "networks.napster.name",
    "networks.napster.password",
    "networks.napster.register",
    "networks.napster.listen",
    "networks.napster.firewalled",
];

/// Settings that are lists: what comes from elsewhere separates their items by commas.
const LISTS: &[&str] = &[
    "shared_dirs",
    "http.allowed_hosts",
    "networks.join",
    "networks.bittorrent.dht_bootstrap",
    "networks.bittorrent.block_lists",
    "networks.chord.bootstrap",
    "networks.freenet.bootstrap",
    "networks.freenet.friends",
    "networks.gnutella.bootstrap",
    "networks.gnutella.web_caches",
    "networks.kazaa.bootstrap",
    "networks.napster.servers",
];

/// Settings that are `true` or `false`.
const SWITCHES: &[&str] = &[
    "seed",
    "networks.bittorrent.dht",
    "networks.bittorrent.pex",
    "networks.bittorrent.lsd",
    "networks.bittorrent.map_ports",
    "networks.chord.found",
    "networks.freenet.found",
    "networks.freenet.darknet",
    "networks.gnutella.firewalled",
    "networks.kazaa.found",
    "networks.napster.register",
    "networks.napster.firewalled",
];

/// Settings that are whole numbers.
const NUMBERS: &[&str] =
    &["limits.down_bytes_per_s", "limits.up_bytes_per_s", "limits.active_downloads", "limits.active_seeds", "networks.freenet.store_bytes"];

/// One setting from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Which setting, as in [`KEYS`].
    pub key: String,
    /// What it is to be.
    pub value: String,
    /// Where it comes from, for messages.
    pub from: String,
}

/// The variable of a setting.
#[must_use]
pub fn variable(key: &str) -> String {
    format!("HEXAD_{}", key.replace('.', "_").to_ascii_uppercase())
}

impl Overlay {
    /// What the environment says.
    #[must_use]
    pub fn from_environment() -> Vec<Self> {
        let set = KEYS.iter().filter_map(|key| {
            let name = variable(key);
            let value = std::env::var(&name).ok().filter(|value| !value.is_empty())?;
            Some(Self { key: (*key).to_owned(), value, from: name })
        });
        set.collect()
    }

    /// What `KEY=VALUE` says.
    ///
    /// # Errors
    /// When it is no such thing.
    pub fn from_flag(text: &str) -> Result<Self, Problem> {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Problem::new(format!("--set: expected KEY=VALUE, came '{text}'")).hint("for example --set networks.bittorrent.dht=false")
        })?;
        Ok(Self { key: key.trim().to_owned(), value: value.to_owned(), from: format!("--set {}", key.trim()) })
    }
}

/// The configuration of a file, and over it what comes from elsewhere. The file itself is known to be good.
pub(super) fn lay(text: &str, overlays: &[Overlay]) -> Result<Config, Problem> {
    let mut table: Table = text.parse().map_err(|wrong| Problem::new(format!("the configuration cannot be read: {wrong}")))?;
    let mut config = Config::default();
    for overlay in overlays {
        if !KEYS.contains(&overlay.key.as_str()) {
            return Err(
                Problem::new(format!("{}: there is no such setting", overlay.from)).hint("`hexad config init --print` shows them all")
            );
        }
        put(&mut table, &overlay.key, value_of(&overlay.key, &overlay.value));
        config = table.clone().try_into().map_err(|wrong: toml::de::Error| {
            let message = wrong.message().split_whitespace().collect::<Vec<_>>().join(" ");
            Problem::new(format!("{}: {message}, came '{}'", overlay.from, overlay.value))
                .hint("`hexad config init --print` shows every setting and what it may be")
        })?;
    }
    Ok(config)
}

fn value_of(key: &str, text: &str) -> Value {
    if LISTS.contains(&key) {
        return Value::Array(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect());
    }
    if SWITCHES.contains(&key) {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" => return true.into(),
            "false" | "no" | "off" | "0" => return false.into(),
            _ => {}
        }
    }
    if let Some(number) = text.trim().parse::<i64>().ok().filter(|_| NUMBERS.contains(&key)) {
        return number.into();
    }
    text.into()
}

fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((first, rest)) => {
            if let Value::Table(below) = table.entry(first).or_insert_with(|| Value::Table(Table::new())) {
                put(below, rest, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid(text: &str, overlays: &[&str]) -> Result<Config, String> {
        let overlays: Vec<Overlay> = overlays.iter().map(|text| Overlay::from_flag(text).expect("KEY=VALUE")).collect();
        lay(text, &overlays).map_err(|problem| problem.message)
    }

    #[test]
    fn what_comes_later_counts() {
        let config = laid(
            "seed = false\n[networks.chord]\nfound = true",
            &[
                "seed=yes",
                "http.listen=127.0.0.1:1",
                "http.listen=127.0.0.1:2",
                "networks.chord.bootstrap=a@1,b@2",
                "networks.gnutella.mode=leaf",
            ],
        );
        let config = config.expect("a configuration");
        assert!(config.seed && config.networks.chord.found, "what nobody else says is as the file says");
        assert_eq!(config.http.listen.port(), 2);
        assert_eq!(config.networks.chord.bootstrap, ["a@1", "b@2"]);
        assert_eq!(config.networks.gnutella.mode, hexad_api::GnutellaMode::Leaf);
    }

    #[test]
    fn what_cannot_be_used_is_said_with_where_it_comes_from() {
        let wrong = laid("", &["seed=perhaps"]).expect_err("no switch");
        assert!(wrong.starts_with("--set seed: ") && wrong.ends_with("came 'perhaps'"), "{wrong}");
        assert_eq!(laid("", &["sead=true"]).expect_err("no setting"), "--set sead: there is no such setting");
        assert_eq!(variable("networks.bittorrent.dht"), "HEXAD_NETWORKS_BITTORRENT_DHT");
    }

    #[test]
    fn every_setting_can_be_set_from_elsewhere() {
        for key in KEYS {
            let value = match *key {
                "seed" | "networks.bittorrent.dht" | "networks.bittorrent.pex" | "networks.bittorrent.lsd" => "false",
                _ if SWITCHES.contains(key) => "true",
                _ if NUMBERS.contains(key) => "1000",
                _ if LISTS.contains(key) => "chord",
                key if key.ends_with("listen") || key.ends_with("fasttrack") => "127.0.0.1:7",
                "networks.bittorrent.encryption" => "required",
                "networks.bittorrent.utp" => "first",
                "networks.bittorrent.seed_choking" => "anti_leech",
                "networks.bittorrent.version" => "hybrid",
                "networks.gnutella.mode" => "flat",
                "networks.kazaa.supernode" => "never",
                _ => "text",
            };
            let config = laid("", &[&format!("{key}={value}")]);
            assert_ne!(config, Ok(Config::default()), "{key}");
            assert!(config.is_ok(), "{config:?}");
        }
    }
}
