//! What the engine was told once: who we are, whom we gather from, how often things happen.

use std::time::Duration;

use crate::ident::{ClusterKey, HsId, NodeId, NodeKey, PeerKey};
use crate::message::{Announcement, Certificate, Door};

use super::action::MeshState;

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
    /// The cluster; `None`: this node is alone and publishes by itself.
    pub mesh: Option<MeshSettings>,
}

/// What the mesh was told once.
#[derive(Clone, Debug)]
pub struct MeshSettings {
    /// The cluster's name; a newcomer's is a placeholder.
    pub cluster: NodeId,
    /// The first of the keys that certify; all zero for a newcomer, who learns it.
    pub cluster_key: ClusterKey,
    /// Our sessions' key.
    pub key: PeerKey,
    /// The key that signs our announcements.
    pub node_key: NodeKey,
    /// What we announce of ourselves; incarnation and signature are not filled in.
    pub announcement: Announcement,
    /// The cluster's word on us; `None`: a newcomer who knocks at the doors.
    pub certificate: Option<Certificate>,
    /// The number of the key that certifies members which we have; 0 is the first.
    pub certifier: Option<u32>,
    /// We have every master key.
    pub has_master_keys: bool,
    /// What was written down last; empty after the file was lost.
    pub state: MeshState,
    /// Bootstrap nodes that can be asked before anything is known: those of the invitation, or of
    /// the configuration. At most 8.
    pub doors: Vec<Door>,
    /// The pace of heartbeats, plus or minus a tenth.
    pub heartbeat_interval: Duration,
    /// How many missed in a row on every path make a peer dead.
    pub dead_threshold: u32,
    /// How long the introduction points of the dead stay.
    pub removal_grace: Duration,
    /// WireGuard is used; otherwise everything goes over Tor.
    pub wireguard: bool,
    /// Tor is used when WireGuard fails.
    pub tor_fallback: bool,
    /// A clock further off than this bars a node from the lease.
    pub clock_tolerance: Duration,
    /// How many nodes there should be, ourselves included; `None`: as many as are known.
    pub expect: Option<usize>,
}
