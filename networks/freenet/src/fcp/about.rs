//! What a node says of itself, its peers and its settings.

use hexad_core::Endpoint;

use super::codec::Message;
use super::words::named;
use crate::keys::{CHK_DATA_BYTES, Location, base64};
use crate::node::{Neighbour, Status};

/// What programs take for the version of the node: build numbers of Hyphanet say what they may expect.
pub(super) const VERSION: &str = "Hexad,0.1,1.0,1506";
/// The number in it.
pub(super) const BUILD: u32 = 1506;

/// One setting of the node, as `GetConfig` tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setting {
    /// Its name, such as `node.storeSize`.
    pub name: &'static str,
    /// What it is.
    pub current: String,
    /// What it is when nobody says anything.
    pub default: String,
    /// `string`, `number` or `boolean`.
    pub kind: &'static str,
    /// What it is for.
    pub about: &'static str,
}

/// What the host knows of the node that a session tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The node's public key.
    pub identity: Option<[u8; 32]>,
    /// Its settings.
    pub settings: Vec<Setting>,
    /// Nobody else knows it; what programs have to find on the disk is made of it.
    pub secret: [u8; 32],
}

/// `ConfigData`: the settings, in as many ways as are asked for.
pub(super) fn config_data(facts: &Facts, asked: &Message) -> Message {
    type Of = fn(&Setting, usize) -> String;
    let ways: [(&str, &str, Of); 8] = [
        ("WithCurrent", "current", |setting, _| setting.current.clone()),
        ("WithDefaults", "default", |setting, _| setting.default.clone()),
        ("WithSortOrder", "sortOrder", |_, number| number.to_string()),
        ("WithExpertFlag", "expertFlag", |_, _| "false".into()),
        // None can be changed from here.
        ("WithForceWriteFlag", "forceWriteFlag", |_, _| "false".into()),
        ("WithShortDescription", "shortDescription", |setting, _| setting.about.into()),
        ("WithLongDescription", "longDescription", |setting, _| setting.about.into()),
        ("WithDataTypes", "dataType", |setting, _| setting.kind.into()),
    ];
    let mut message = Message::new("ConfigData");
    for (_, prefix, of) in ways.iter().filter(|(flag, ..)| asked.flag(flag, false)) {
        for (number, setting) in facts.settings.iter().enumerate() {
            message = message.with(&format!("{prefix}.{}", setting.name), of(setting, number));
        }
    }
    named(message, asked.field("Identifier"))
}

/// `NodeData`.
pub(super) fn node_data(facts: &Facts, status: &Status, with_volatile: bool) -> Message {
    let node = Message::new("NodeData")
        .with("identity", base64(&facts.identity.unwrap_or_default()))
        .with("myName", "Hexad")
        .with("version", VERSION)
        .with("lastGoodVersion", VERSION)
        .with("location", unit(status.location))
        .with("opennet", !status.is_darknet);
    if !with_volatile {
        return node;
    }
    let node = node.with("volatile.numberOfPeers", status.peers).with("volatile.storedBlocks", status.blocks);
    node.with("volatile.overallSize", status.capacity_blocks as u64 * CHK_DATA_BYTES as u64)
        .with("volatile.overallKeys", status.capacity_blocks)
        .with("volatile.numRequests", status.walks)
}

fn unit(location: Option<Location>) -> f64 {
    location.map_or(-1.0, Location::unit)
}

/// How a peer is called in messages: its key, and where it is reached.
fn names(at: &Endpoint) -> (Option<String>, String) {
    match at {
        Endpoint::Key(key, socket) => (Some(base64(key)), socket.to_string()),
        other => (None, other.to_string()),
    }
}

/// `Peer`.
fn peer(neighbour: &Neighbour, is_darknet: bool, with_volatile: bool) -> Message {
    let (identity, socket) = names(&neighbour.at);
    let mut message = Message::new("Peer");
    if let Some(identity) = identity {
        message = message.with("identity", identity);
    }
    message = message.with("physical.udp", socket).with("location", unit(neighbour.location)).with("opennet", !is_darknet);
    message = message.with("seed", false).with("version", VERSION);
    if with_volatile {
        message = message.with("volatile.status", if neighbour.backed_off { "BACKED OFF" } else { "CONNECTED" });
    }
    message
}

/// All peers, and the end of them.
pub(super) fn peers(status: &Status, with_volatile: bool, identifier: &str) -> Vec<Message> {
    let identifier = Some(identifier).filter(|identifier| !identifier.is_empty());
    let told = status.neighbours.iter().map(|neighbour| peer(neighbour, status.is_darknet, with_volatile));
    told.chain([Message::new("EndListPeers")]).map(|message| named(message, identifier)).collect()
}

/// The peer of that name.
pub(super) fn one_peer(status: &Status, wanted: &str, identifier: &str) -> Message {
    let is_it = |neighbour: &&Neighbour| {
        let (identity, socket) = names(&neighbour.at);
        identity.as_deref() == Some(wanted) || socket == wanted
    };
    let message = match status.neighbours.iter().find(is_it) {
        Some(neighbour) => peer(neighbour, status.is_darknet, true),
        None => Message::new("UnknownNodeIdentifier").with("NodeIdentifier", wanted),
    };
    named(message, Some(identifier).filter(|identifier| !identifier.is_empty()))
}

/// What a probe finds. Our messages have none that walks at random, so that it only finds ourselves, where it has no hops to live; elsewhere it
/// says that it cannot go on.
pub(super) fn probed(status: &Status, facts: &Facts, what: &str, hops: u64) -> Message {
    let error = |kind: &str, why: &str| Message::new("ProbeError").with("Type", kind).with("Description", why).with("Local", true);
    let known = matches!(
        what,
        "BANDWIDTH"
            | "BUILD"
            | "IDENTIFIER"
            | "LINK_LENGTHS"
            | "LOCATION"
            | "STORE_SIZE"
            | "UPTIME_48H"
            | "UPTIME_7D"
            | "REJECT_STATS"
            | "OVERALL_BULK_OUTPUT_CAPACITY_USAGE"
    );
    if !known {
        return error("UNRECOGNIZED_TYPE", "there is no such probe");
    }
    if hops > 0 {
        return error("CANNOT_FORWARD", "probes do not walk in this network: HopsToLive=0 asks this node");
    }
    match (what, status.location) {
        ("BUILD", _) => Message::new("ProbeBuild").with("Build", BUILD),
        ("LOCATION", Some(location)) => Message::new("ProbeLocation").with("Location", location.unit()),
        ("LINK_LENGTHS", Some(location)) => {
            let length = |neighbour: &Neighbour| neighbour.location.map(|other| Location(location.distance(other)).unit().to_string());
            let lengths: Vec<String> = status.neighbours.iter().filter_map(length).collect();
            Message::new("ProbeLinkLengths").with("LinkLengths", lengths.join(";"))
        }
        ("STORE_SIZE", _) => {
            #[expect(clippy::cast_precision_loss, reason = "a size for people, in GiB")]
            let size = (status.capacity_blocks as u64 * CHK_DATA_BYTES as u64) as f64 / f64::from(1 << 30);
            Message::new("ProbeStoreSize").with("StoreSize", size)
        }
        ("BANDWIDTH", _) => {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people, in KiB a second")]
            let rate = status.up_bytes_per_s as f64 / 1024.0;
            Message::new("ProbeBandwidth").with("OutputBandwidth", rate)
        }
        ("IDENTIFIER", _) => {
            let mut number = [0; 8];
            number.copy_from_slice(&crate::keys::sha256(&[&facts.identity.unwrap_or_default()])[..8]);
            Message::new("ProbeIdentifier").with("ProbeIdentifier", i64::from_be_bytes(number))
        }
        _ => error("UNKNOWN", "this node does not measure that"),
    }
}
