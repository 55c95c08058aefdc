//! Settings, as a program reads and changes them.

use super::super::about;
use super::super::codec::Message;
use super::super::codes::ProtocolError;
use super::super::words::protocol_error;
use super::{Effect, Kind, Session};
use crate::node::{Request, Tuning};

/// Settings that may be changed while a node runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tunable {
    /// [`Tuning::up_bytes_per_s`].
    UpBytesPerS,
    /// [`Tuning::peers_wanted`].
    PeersWanted,
}

impl Session {
    /// `GetConfig`: what the node has at the moment belongs to it.
    pub(super) fn on_get_config(&mut self, message: &Message) -> Vec<Effect> {
        let identifier = message.field("Identifier").unwrap_or_default().to_owned();
        self.start(identifier, Kind::Config(Box::new(message.clone())), Request::Status)
    }

    /// `ModifyConfig`: all of it or nothing.
    pub(super) fn on_modify_config(&mut self, message: &Message) -> Vec<Effect> {
        let identifier = message.field("Identifier");
        let refuse = |code, extra: &str| vec![Effect::Say(protocol_error(code, Some(extra), identifier, false))];
        let mut tuning = Tuning::default();
        for (name, value) in message.fields.iter().filter(|(name, _)| name != "Identifier") {
            let Some(setting) = self.facts.settings.iter().find(|setting| setting.name == name) else {
                return refuse(ProtocolError::InvalidField, name);
            };
            let Some(tunable) = setting.tunable else {
                // What is so already needs no change.
                if *value == setting.current {
                    continue;
                }
                return refuse(ProtocolError::NotSupported, name);
            };
            let Ok(number) = value.trim().parse::<u64>() else { return refuse(ProtocolError::NumberParse, name) };
            match tunable {
                Tunable::UpBytesPerS if number < about::UP_BYTES_PER_S_MIN => return refuse(ProtocolError::InvalidField, name),
                Tunable::UpBytesPerS => tuning.up_bytes_per_s = Some(number),
                Tunable::PeersWanted if number == 0 => return refuse(ProtocolError::InvalidField, name),
                Tunable::PeersWanted => tuning.peers_wanted = Some(usize::try_from(number).unwrap_or(usize::MAX)),
            }
        }
        let asked = Message::new("GetConfig").with("WithCurrent", true);
        let asked = super::super::words::named(asked, identifier);
        self.start(identifier.unwrap_or_default().to_owned(), Kind::Config(Box::new(asked)), Request::Tune(tuning))
    }
}
