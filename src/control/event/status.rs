//! `STATUS_CLIENT` (control-spec, section "Status events").

use crate::control::words::{self, Words};

/// What tor says about itself as a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientStatus {
    /// `BOOTSTRAP`: how far tor has come.
    Bootstrap {
        /// 0 to 100.
        progress_percent: u8,
        /// What it does now, as a word.
        tag: String,
        /// What it does now, for people.
        summary: String,
        /// What keeps it from going on, for people.
        warning: Option<String>,
    },
    /// `CONSENSUS_ARRIVED`: a new consensus is there. The first one after a start may come before the
    /// certificates that prove it; it is told again once it is in use.
    ConsensusArrived,
    /// `ENOUGH_DIR_INFO`: circuits can be built.
    EnoughDirInfo,
    /// `NOT_ENOUGH_DIR_INFO`: they cannot, any more.
    NotEnoughDirInfo,
    /// `CIRCUIT_ESTABLISHED`: the first circuit stands.
    CircuitEstablished,
    /// `CIRCUIT_NOT_ESTABLISHED`: no circuit stands any more.
    CircuitNotEstablished,
    /// Anything else: tor's word for it.
    Other(String),
}

impl ClientStatus {
    /// Reads the words after `STATUS_CLIENT`.
    pub(super) fn parse(mut words: Words<'_>) -> Option<ClientStatus> {
        let severity = words.next()?;
        if !["NOTICE", "WARN", "ERR"].contains(&severity) {
            return None;
        }
        match words.next()? {
            "BOOTSTRAP" => ClientStatus::bootstrap(words),
            "CONSENSUS_ARRIVED" => Some(ClientStatus::ConsensusArrived),
            "ENOUGH_DIR_INFO" => Some(ClientStatus::EnoughDirInfo),
            "NOT_ENOUGH_DIR_INFO" => Some(ClientStatus::NotEnoughDirInfo),
            "CIRCUIT_ESTABLISHED" => Some(ClientStatus::CircuitEstablished),
            "CIRCUIT_NOT_ESTABLISHED" => Some(ClientStatus::CircuitNotEstablished),
            other => Some(ClientStatus::Other(other.to_owned())),
        }
    }

    /// Reads `GETINFO status/bootstrap-phase`, which is this event without its keyword.
    pub fn parse_bootstrap_phase(text: &str) -> Option<ClientStatus> {
        ClientStatus::parse(Words::new(text))
    }

    fn bootstrap(words: Words<'_>) -> Option<ClientStatus> {
        let (mut progress, mut tag, mut summary, mut warning) = (None, None, None, None);
        for word in words {
            let Some((key, value)) = words::pair(word) else { continue };
            let value = words::unquote(value).into_owned();
            match key {
                "PROGRESS" => progress = value.parse().ok().filter(|p| *p <= 100),
                "TAG" => tag = Some(value),
                "SUMMARY" => summary = Some(value),
                "WARNING" => warning = Some(value),
                _ => {}
            }
        }
        Some(ClientStatus::Bootstrap {
            progress_percent: progress?,
            tag: tag.unwrap_or_default(),
            summary: summary.unwrap_or_default(),
            warning,
        })
    }
}
