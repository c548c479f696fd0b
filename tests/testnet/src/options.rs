//! How large and how fast a network is.

use std::time::Duration;

/// The shape of a [`Network`](crate::Network).
#[derive(Clone, Debug)]
pub struct Options {
    /// Directory authorities; each is an HSDir as well. At least 1, three by default.
    pub authorities: usize,
    /// Further relays, all of them HSDirs. Authorities and relays together should be 11 or more,
    /// or the two replicas of a descriptor share HSDirs. Circuits and introduction points use these
    /// only, each with the same chance: authorities have next to no bandwidth in a consensus.
    pub relays: usize,
    /// Tor clients. A client can forget what it knows only every ten seconds, so whoever wants
    /// fresh views more often takes several in turn.
    pub clients: usize,
    /// Seconds between two consensuses: 10 or more, and a multiple of 5, so that a time period of
    /// 24 of them is a whole number of minutes. At 20 a period lasts 8 minutes.
    pub voting_interval_s: u64,
    /// Give the authorities two shared random values to start from, as an old network has. Without
    /// them the first consensuses have none, for 4 to 12 minutes at 20 s, and everybody falls back
    /// on the disaster value.
    pub shared_random: bool,
    /// Further `name=value` words for the authorities' `ConsensusParams`.
    pub consensus_params: Vec<String>,
    /// How long the start may take altogether.
    pub deadline: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            authorities: 3,
            relays: 9,
            clients: 3,
            voting_interval_s: 20,
            shared_random: true,
            consensus_params: Vec::new(),
            deadline: Duration::from_secs(150),
        }
    }
}

impl Options {
    /// The length of a time period and of a shared random protocol run, in seconds.
    pub fn period_s(&self) -> u64 {
        24 * self.voting_interval_s
    }
}

/// The shape of a front's onion service.
#[derive(Clone, Debug)]
pub struct FrontOptions {
    /// Introduction points per descriptor, 1 to 20 (tor takes 3 to 20).
    pub intro_points: usize,
    /// Open a TCP control port beside the control socket.
    pub control_port: bool,
    /// Further lines for the torrc.
    pub torrc: Vec<String>,
    /// How long its tor may take to bootstrap.
    pub deadline: Duration,
}

impl Default for FrontOptions {
    fn default() -> FrontOptions {
        FrontOptions {
            intro_points: 3,
            control_port: false,
            torrc: Vec::new(),
            deadline: Duration::from_secs(90),
        }
    }
}
