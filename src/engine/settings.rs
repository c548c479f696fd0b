//! What the engine was told once: who we are, whom we gather from, how often things happen.

use std::time::Duration;

use crate::ident::{HsId, NodeId};

/// The engine's settings. The shell makes them from the checked configuration.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// The address of this node's own onion service.
    pub instance: HsId,
    /// The master addresses; each has its own descriptors.
    pub services: Vec<HsId>,
    /// Plain Onionbalance backends, whose descriptors are fetched from the HSDirs.
    pub backends: Vec<(NodeId, HsId)>,
    /// How often the own tor is read although it reported nothing.
    pub poll: Duration,
    /// How often a backend's descriptor is fetched.
    pub backend_poll: Duration,
    /// The shortest time until a descriptor is uploaded again unchanged.
    pub refresh_min: Duration,
    /// The longest such time; the actual one is random in between.
    pub refresh_max: Duration,
    /// Rounds of uploads that may follow each other at once.
    pub burst: u32,
    /// The time after which one more such round is allowed.
    pub burst_refill: Duration,
    /// How long a change waits for others to join its round.
    pub debounce: Duration,
    /// The most introduction points in a descriptor; `None`: as few as give each front two.
    pub max_intro_points: Option<usize>,
    /// Fetch descriptors back after their upload and compare.
    pub verify: bool,
    /// Quick tries again per HSDir and round, before the slow rhythm begins.
    pub quick_retries: u32,
    /// How long an upload may stay without an answer (a dead HSDir gives none).
    pub upload_timeout: Duration,
    /// Where the spread of timers starts from.
    pub seed: u64,
}
