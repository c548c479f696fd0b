//! `CIRC` and `CIRC_MINOR` events and the lines of `GETINFO circuit-status`, which have the same shape.

use crate::control::words::{self, Words};
use crate::ident::RelayId;

/// Where a circuit stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CircuitStatus {
    /// `LAUNCHED`: begun.
    Launched,
    /// `BUILT`: all hops are there.
    Built,
    /// `GUARD_WAIT`: built, but a better guard may come.
    GuardWait,
    /// `EXTENDED`: one hop more.
    Extended,
    /// `FAILED`: was not built.
    Failed,
    /// `CLOSED`: is gone.
    Closed,
    /// `PURPOSE_CHANGED`: stands, and serves another purpose or is in another state of it.
    PurposeChanged,
    /// `CANNIBALIZED`: stands, and was taken for another purpose.
    Cannibalized,
}

/// What tor says about one circuit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Circuit {
    /// Tor's name for it, unique while tor runs.
    pub id: String,
    /// Where it stands.
    pub status: CircuitStatus,
    /// Its relays so far, the guard first.
    pub path: Vec<RelayId>,
    /// `PURPOSE=`, such as `HS_SERVICE_INTRO`.
    pub purpose: Option<String>,
    /// `HS_STATE=`, such as `HSSI_ESTABLISHED`.
    pub hs_state: Option<String>,
    /// `REND_QUERY=`: the onion service it is for, 56 characters without `.onion`.
    pub address: Option<String>,
    /// `REASON=`: why it is gone, as our tor says.
    pub reason: Option<String>,
    /// `REMOTE_REASON=`: why it is gone, as the relay said.
    pub remote_reason: Option<String>,
}

impl Circuit {
    /// Reads the words of a `circuit-status` line, or those after `CIRC` or `CIRC_MINOR`.
    pub(super) fn parse(mut words: Words<'_>) -> Option<Circuit> {
        let id = words.next().filter(|id| !id.contains('='))?.to_owned();
        let status = match words.next()? {
            "LAUNCHED" => CircuitStatus::Launched,
            "BUILT" => CircuitStatus::Built,
            "GUARD_WAIT" => CircuitStatus::GuardWait,
            "EXTENDED" => CircuitStatus::Extended,
            "FAILED" => CircuitStatus::Failed,
            "CLOSED" => CircuitStatus::Closed,
            "PURPOSE_CHANGED" => CircuitStatus::PurposeChanged,
            "CANNIBALIZED" => CircuitStatus::Cannibalized,
            _ => return None,
        };
        let mut circuit = Circuit {
            id,
            status,
            path: Vec::new(),
            purpose: None,
            hs_state: None,
            address: None,
            reason: None,
            remote_reason: None,
        };
        for word in words {
            let owned = |value: &str| Some(value.to_owned());
            match words::pair(word) {
                Some(("PURPOSE", value)) => circuit.purpose = owned(value),
                Some(("HS_STATE", value)) => circuit.hs_state = owned(value),
                Some(("REND_QUERY", value)) => circuit.address = owned(value),
                Some(("REASON", value)) => circuit.reason = owned(value),
                Some(("REMOTE_REASON", value)) => circuit.remote_reason = owned(value),
                Some(_) => {}
                None => circuit.path = word.split(',').map(words::relay).collect::<Option<_>>()?,
            }
        }
        match &circuit.address {
            Some(address) if !words::is_address(address) => None,
            _ => Some(circuit),
        }
    }

    /// The relay of an introduction point that works: the end of a circuit on which it is
    /// established.
    pub fn established_intro(&self) -> Option<RelayId> {
        let established = self.status == CircuitStatus::Built
            && self.purpose.as_deref() == Some("HS_SERVICE_INTRO")
            && self.hs_state.as_deref() == Some("HSSI_ESTABLISHED");
        if established { self.path.last().copied() } else { None }
    }
}

/// Reads the answer to `GETINFO circuit-status`; gives also how many lines were not understood.
pub fn circuits(text: &str) -> (Vec<Circuit>, usize) {
    let mut unparsed = 0;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let circuits = lines.filter_map(|line| {
        let circuit = Circuit::parse(Words::new(line));
        unparsed += usize::from(circuit.is_none());
        circuit
    });
    (circuits.collect(), unparsed)
}
