//! What tor's consensus says about HSDirs, time periods and shared random values.
//!
//! Reads the text of `GETINFO dir/status-vote/current/consensus-microdesc` and of `GETINFO md/all`
//! (lines end with LF, dots unstuffed). Tor has verified both already: signatures are not checked
//! again. Keeps only what the hash ring needs; every derived value is computed from the
//! consensus's own valid-after time, as C tor does, and not from a clock.

mod listing;
mod microdesc;
mod schedule;

pub use listing::Listing;

use std::fmt;

use schedule::Schedule;

use super::digest::sha3_256;
use crate::ident::RelayId;
use crate::time::{Slot, TimePeriod, Wall, Window};

/// A relay that stores onion-service descriptors.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct HsDir {
    /// Its RSA identity, by which the control port knows it.
    pub relay: RelayId,
    /// Its Ed25519 identity, by which the hash ring knows it.
    pub ed25519: [u8; 32],
}

impl fmt::Debug for HsDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HsDir({})", self.relay)
    }
}

/// The numbers by which clients and services agree where descriptors lie, clamped as C tor does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// `hsdir_n_replicas`: places on the ring per descriptor, 1 to 16.
    pub replicas: u8,
    /// `hsdir_spread_store`: HSDirs per place that store it, 1 to 128.
    pub spread_store: u8,
    /// `hsdir_spread_fetch`: HSDirs per place that clients ask, 1 to 128.
    pub spread_fetch: u8,
    /// `hsdir_interval`: length of a time period in minutes, 30 to 14,400; a testing network
    /// derives it from the voting interval instead.
    pub interval_min: u64,
}

/// A consensus with the identities of its HSDirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consensus {
    /// It is valid from here,
    pub valid_after: Wall,
    /// a newer one should exist from here,
    pub fresh_until: Wall,
    /// and it is valid until here.
    pub valid_until: Wall,
    /// `shared-rand-previous-value`.
    pub srv_previous: Option<[u8; 32]>,
    /// `shared-rand-current-value`.
    pub srv_current: Option<[u8; 32]>,
    /// Where descriptors lie.
    pub params: Params,
    /// The HSDirs with a known Ed25519 identity, in the order of their RSA identities.
    pub hsdirs: Vec<HsDir>,
    /// HSDirs left out because their microdescriptor, or the identity in it, is not at hand.
    pub missing_microdescriptors: usize,
    schedule: Schedule,
}

impl Consensus {
    /// Reads both texts; [`Listing`] does the same in two steps, one text at a time.
    ///
    /// `testing_network` says that tor runs with `TestingTorNetwork 1`.
    pub fn parse(
        consensus_microdesc: &[u8],
        microdescs: &[u8],
        testing_network: bool,
    ) -> Result<Consensus, ConsensusError> {
        Listing::parse(consensus_microdesc, testing_network)?.resolve(microdescs)
    }

    /// Which descriptor clients fetch by this consensus (`hs_in_period_between_tp_and_srv`).
    pub fn window(&self) -> Window {
        self.schedule.window()
    }

    /// The time period of a descriptor by this consensus.
    pub fn period(&self, slot: Slot) -> TimePeriod {
        self.schedule.period(slot)
    }

    /// The random value that places a descriptor: the older one for the first, the newer for the
    /// second, and where the network has none the disaster value of the period.
    pub fn srv(&self, slot: Slot) -> [u8; 32] {
        let agreed = match slot {
            Slot::First => self.srv_previous,
            Slot::Second => self.srv_current,
        };
        agreed.unwrap_or_else(|| disaster_srv(&self.period(slot)))
    }
}

/// What stands in for a shared random value that the authorities could not agree on
/// (rend-spec-v3, section PUB-SHAREDRANDOM).
fn disaster_srv(period: &TimePeriod) -> [u8; 32] {
    let (length, number) = (period.length_min.to_be_bytes(), period.number.to_be_bytes());
    sha3_256(&[b"shared-random-disaster", &length, &number])
}

/// Why a consensus cannot be used. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusError {
    /// The text is not a consensus of the microdescriptor flavour.
    #[error("tor's answer is no microdescriptor consensus: is this really tor's control port?")]
    NotAConsensus,
    /// A line cannot be read.
    #[error("the consensus cannot be read at line {line}: {what}")]
    Garbage {
        /// Where it stands.
        line: usize,
        /// What was expected there.
        what: &'static str,
    },
    /// The text ends before its signatures do.
    #[error("the consensus breaks off before its signatures: it will be asked for again")]
    Truncated,
    /// One of the three times is not there.
    #[error("the consensus has no {0} line")]
    MissingTime(&'static str),
    /// The three times are not in order.
    #[error("the consensus's times are not in order: valid-after, fresh-until, valid-until")]
    TimesOutOfOrder,
    /// A testing network votes so fast that a time period has no minute.
    #[error(
        "the voting interval of {0} s is too short: tor needs at least 3 s (24 rounds must \
             make a minute)"
    )]
    VotingTooFast(u64),
    /// Two entries have the same identity.
    #[error("the consensus lists relay {relay} twice, again at line {line}")]
    DuplicateRelay {
        /// The relay.
        relay: RelayId,
        /// Where its second entry stands.
        line: usize,
    },
    /// No relay stores descriptors.
    #[error("the consensus lists {relays} relays but no HSDir: nothing can be published")]
    NoHsDirs {
        /// How many relays there are.
        relays: usize,
    },
    /// Most microdescriptors are not at hand.
    #[error(
        "microdescriptors of {missing} of {hsdirs} HSDirs are missing: tor is still fetching \
             them; the ring would be wrong"
    )]
    MissingMicrodescriptors {
        /// How many are missing.
        missing: usize,
        /// How many HSDirs the consensus lists.
        hsdirs: usize,
    },
}

#[cfg(test)]
mod tests;
