//! What a node says of itself, its peers and its settings.

use hexad_core::Endpoint;

use super::codec::Message;
use super::session::Tunable;
use super::words::named;
use crate::keys::{CHK_DATA_BYTES, Location, base64};
use crate::node::{FriendOf, Neighbour, Status, Trust, Visibility};
use crate::wire::{Finding, Inquiry, Untold};

/// What programs take for the version of the node: build numbers of Hyphanet say what they may expect.
pub(super) const VERSION: &str = "Hexad,0.1,1.0,1506";
/// Nobody may promise less: one block in three seconds (spec A5).
pub(super) const UP_BYTES_PER_S_MIN: u64 = 10 << 10;

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
    /// Which of those it is that may be changed while the node runs.
    pub tunable: Option<Tunable>,
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
pub(super) fn config_data(facts: &Facts, status: &Status, asked: &Message) -> Message {
    type Of = fn(&Setting, &Status, usize) -> String;
    let ways: [(&str, &str, Of); 8] = [
        ("WithCurrent", "current", current),
        ("WithDefaults", "default", |setting, _, _| setting.default.clone()),
        ("WithSortOrder", "sortOrder", |_, _, number| number.to_string()),
        ("WithExpertFlag", "expertFlag", |_, _, _| "false".into()),
        // None that can be changed from here waits for a restart.
        ("WithForceWriteFlag", "forceWriteFlag", |_, _, _| "false".into()),
        ("WithShortDescription", "shortDescription", |setting, _, _| setting.about.into()),
        ("WithLongDescription", "longDescription", |setting, _, _| setting.about.into()),
        ("WithDataTypes", "dataType", |setting, _, _| setting.kind.into()),
    ];
    let mut message = Message::new("ConfigData");
    for (_, prefix, of) in ways.iter().filter(|(flag, ..)| asked.flag(flag, false)) {
        for (number, setting) in facts.settings.iter().enumerate() {
            message = message.with(&format!("{prefix}.{}", setting.name), of(setting, status, number));
        }
    }
    named(message, asked.field("Identifier"))
}

/// What a setting is at the moment.
fn current(setting: &Setting, status: &Status, _: usize) -> String {
    match setting.tunable {
        Some(Tunable::UpBytesPerS) => status.up_bytes_per_s.to_string(),
        Some(Tunable::PeersWanted) => status.peers_wanted.to_string(),
        None => setting.current.clone(),
    }
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

/// Somebody of whom messages speak: a friend, a neighbour, or both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whom<'a> {
    pub(super) friend: Option<&'a FriendOf>,
    pub(super) neighbour: Option<&'a Neighbour>,
}

impl Whom<'_> {
    fn at(&self) -> Option<&Endpoint> {
        self.neighbour.map(|neighbour| &neighbour.at).or(self.friend.map(|friend| &friend.at))
    }

    fn answers_to(&self, wanted: &str) -> bool {
        let named = self.friend.is_some_and(|friend| !wanted.is_empty() && friend.words.name == wanted);
        named || self.at().map(names).is_some_and(|(identity, socket)| identity.as_deref() == Some(wanted) || socket == wanted)
    }
}

/// Friends, there or not, and all other neighbours.
fn all(status: &Status) -> impl Iterator<Item = Whom<'_>> {
    let key = |at: &Endpoint| if let Endpoint::Key(key, _) = at { Some(*key) } else { None };
    let friends = status.friends.iter().map(move |friend| {
        let neighbour = status.neighbours.iter().find(|neighbour| key(&neighbour.at) == Some(friend.key));
        Whom { friend: Some(friend), neighbour }
    });
    let others =
        status.neighbours.iter().filter(move |neighbour| !status.friends.iter().any(|friend| key(&neighbour.at) == Some(friend.key)));
    friends.chain(others.map(|neighbour| Whom { friend: None, neighbour: Some(neighbour) }))
}

/// The peer that is so called: by its name, its identity, or its socket.
pub(super) fn whom<'a>(status: &'a Status, wanted: &str) -> Option<Whom<'a>> {
    all(status).find(|whom| whom.answers_to(wanted))
}

/// How a peer is called in messages: its key, and where it is reached.
fn names(at: &Endpoint) -> (Option<String>, String) {
    match at {
        Endpoint::Key(key, socket) => (Some(base64(key)), socket.to_string()),
        other => (None, other.to_string()),
    }
}

/// `Peer`.
pub(super) fn peer(whom: Whom<'_>, is_darknet: bool, with_metadata: bool, with_volatile: bool) -> Message {
    let mut message = Message::new("Peer");
    if let Some((identity, socket)) = whom.at().map(names) {
        if let Some(identity) = identity {
            message = message.with("identity", identity);
        }
        message = message.with("physical.udp", socket);
    }
    if let Some(friend) = whom.friend {
        message = message.with("myName", &friend.words.name);
    }
    message = message.with("location", unit(whom.neighbour.and_then(|neighbour| neighbour.location)));
    message = message.with("opennet", !is_darknet && whom.friend.is_none()).with("seed", false).with("version", VERSION);
    if let Some(friend) = whom.friend.filter(|_| with_metadata) {
        let words = &friend.words;
        let trust = match words.trust {
            Trust::Low => "LOW",
            Trust::Normal => "NORMAL",
            Trust::High => "HIGH",
        };
        let visibility = match words.visibility {
            Visibility::Yes => "YES",
            Visibility::NameOnly => "NAME_ONLY",
            Visibility::No => "NO",
        };
        message = message.with("metadata.neverConnected", !friend.was_met).with("metadata.isDisabled", words.is_disabled);
        message = message.with("metadata.isListenOnly", words.is_listen_only);
        message = message.with("metadata.trustLevel", trust).with("metadata.ourVisibility", visibility);
    }
    if with_volatile {
        message = message.with("volatile.status", standing(whom));
    }
    message
}

fn standing(whom: Whom<'_>) -> &'static str {
    match (whom.neighbour, whom.friend) {
        (Some(neighbour), _) if neighbour.backed_off => "BACKED OFF",
        (Some(_), _) => "CONNECTED",
        (None, Some(friend)) if friend.is_connected => "CONNECTED",
        (None, Some(friend)) if friend.words.is_disabled => "DISABLED",
        (None, Some(friend)) if friend.words.is_listen_only => "LISTEN ONLY",
        (None, Some(friend)) if !friend.was_met => "NEVER CONNECTED",
        (None, _) => "DISCONNECTED",
    }
}

/// All peers, and the end of them.
pub(super) fn peers(status: &Status, with_metadata: bool, with_volatile: bool, identifier: &str) -> Vec<Message> {
    let identifier = Some(identifier).filter(|identifier| !identifier.is_empty());
    let told = all(status).map(|whom| peer(whom, status.is_darknet, with_metadata, with_volatile));
    told.chain([Message::new("EndListPeers")]).map(|message| named(message, identifier)).collect()
}

/// What a program asks with `ProbeRequest`; `None` for what nobody knows.
pub(super) fn inquiry_of(what: &str) -> Option<Inquiry> {
    Some(match what {
        "BANDWIDTH" => Inquiry::Bandwidth,
        "BUILD" => Inquiry::Build,
        "IDENTIFIER" => Inquiry::Identifier,
        "LINK_LENGTHS" => Inquiry::LinkLengths,
        "LOCATION" => Inquiry::Location,
        "STORE_SIZE" => Inquiry::StoreSize,
        "UPTIME_48H" => Inquiry::Uptime48h,
        "UPTIME_7D" => Inquiry::Uptime7d,
        "REJECT_STATS" => Inquiry::RejectStats,
        "OVERALL_BULK_OUTPUT_CAPACITY_USAGE" => Inquiry::CapacityUsage,
        _ => return None,
    })
}

/// What a probe has found.
pub(super) fn probed(finding: &Finding) -> Message {
    let part = |part: u16| f64::from(part) / 65_536.0;
    match finding {
        Finding::Bandwidth(rate) => {
            #[expect(clippy::cast_precision_loss, reason = "a rate for people, in KiB a second")]
            let rate = *rate as f64 / 1024.0;
            Message::new("ProbeBandwidth").with("OutputBandwidth", rate)
        }
        Finding::Build(build) => Message::new("ProbeBuild").with("Build", build),
        Finding::Identifier(number, percent) => {
            Message::new("ProbeIdentifier").with("ProbeIdentifier", number.cast_signed()).with("UptimePercentage", percent)
        }
        Finding::LinkLengths(lengths) => {
            let lengths: Vec<String> = lengths.iter().map(|length| part(*length).to_string()).collect();
            Message::new("ProbeLinkLengths").with("LinkLengths", lengths.join(";"))
        }
        Finding::Location(place) => Message::new("ProbeLocation").with("Location", part(*place)),
        Finding::StoreSize(bytes) => {
            #[expect(clippy::cast_precision_loss, reason = "a size for people, in GiB")]
            let size = *bytes as f64 / f64::from(1 << 30);
            Message::new("ProbeStoreSize").with("StoreSize", size)
        }
        Finding::Uptime(percent) => Message::new("ProbeUptime").with("UptimePercent", percent),
        Finding::RejectStats(percents) => {
            let names = ["Request.CHK", "Request.SSK", "Insert.CHK", "Insert.SSK"];
            names.iter().zip(percents).fold(Message::new("ProbeRejectStats"), |message, (name, percent)| {
                // Minus one where nothing has come.
                message.with(&format!("Rejects.Bulk.{name}"), percent.cast_signed())
            })
        }
        Finding::CapacityUsage(percent) => {
            Message::new("ProbeOverallBulkOutputCapacityUsage").with("CapacityUsage", f64::from(*percent) / 100.0)
        }
    }
}

/// Why a probe has found nothing.
pub(super) fn unprobed(why: Untold) -> Message {
    match why {
        Untold::Disconnected => probe_error("DISCONNECTED", false),
        Untold::Overload => probe_error("OVERLOAD", false),
        Untold::Timeout => probe_error("TIMEOUT", true),
        Untold::CannotForward => probe_error("CANNOT_FORWARD", true),
        Untold::Refused => Message::new("ProbeRefused"),
    }
}

/// `ProbeError`; whether it is one of this node.
pub(super) fn probe_error(kind: &str, is_local: bool) -> Message {
    Message::new("ProbeError").with("Type", kind).with("Local", is_local)
}
