//! The parts of the configuration that concern the other nodes, and the hooks.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::ident::{ClusterKey, HsId, NodeId, PeerKey};

/// The most `[[peer]]`s.
pub const PEERS_MAX: usize = 8;

/// The usual UDP port of the nodes.
pub const DEFAULT_PORT: u16 = 51820;

/// Where the WireGuard socket is opened when the configuration does not say.
pub const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), DEFAULT_PORT);

/// `[cluster]`: whom this node belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// The cluster's name, for people.
    pub name: NodeId,
    /// The first of the keys that certify its members.
    pub key: ClusterKey,
    /// How many nodes there should be, this one included: 1 to 128. `None` (in the file 0): as
    /// many as are known.
    pub expect: Option<usize>,
}

/// `[[peer]]`: a bootstrap node to ask when the state file is lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its WireGuard key.
    pub key: PeerKey,
    /// Its WireGuard socket.
    pub endpoint: Option<SocketAddr>,
    /// Its coordination onion service. Of the two at least one is there.
    pub onion: Option<HsId>,
}

/// `[wireguard]`: the direct way to the other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wireguard {
    /// Whether it is used; otherwise everything goes over Tor.
    pub enabled: bool,
    /// The UDP socket; port 0: any.
    pub listen: SocketAddr,
    /// What the others are told; `None` (in the file ""): they use what they see.
    pub endpoint: Option<SocketAddr>,
    /// A further secret of all members: an absolute path.
    pub preshared_key_file: Option<PathBuf>,
    /// How often an idle session says something, so that firewalls keep it open.
    pub keepalive: Duration,
}

/// `[coordination]`: how the nodes talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordination {
    /// The pace of heartbeats, plus or minus a tenth.
    pub heartbeat_interval: Duration,
    /// A clock further off than this bars a node from publishing.
    pub clock_skew_tolerance: Duration,
    /// The port on loopback to which this node's coordination onion service leads; 0: any.
    pub stream_port: u16,
}

/// `[hooks]` and `[[hook]]`: commands that are run on events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hooks {
    /// How long a command may take before it is killed.
    pub timeout: Duration,
    /// At most 16.
    pub hooks: Vec<Hook>,
}

/// `[[hook]]`: one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// On what: at least one.
    pub on: Vec<HookEvent>,
    /// An absolute path and its arguments: 1 to 32 texts.
    pub command: Vec<String>,
}

macro_rules! hook_events {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// What a hook can be run on. The names are those of the log's events.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum HookEvent {
            $($(#[$doc])* $variant,)*
        }

        impl HookEvent {
            /// Each with its name in the configuration.
            pub const ALL: &[(&str, HookEvent)] = &[$(($name, HookEvent::$variant)),*];

            /// As the configuration and the log call it.
            pub fn name(self) -> &'static str {
                match self {
                    $(HookEvent::$variant => $name,)*
                }
            }
        }
    };
}

hook_events! {
    /// A peer has missed its first heartbeats.
    PeerSuspect = "peer_suspect";
    /// A peer is dead.
    PeerDead = "peer_dead";
    /// A dead peer came back.
    PeerRecovered = "peer_recovered";
    /// This node publishes from now on.
    PublisherGained = "publisher_gained";
    /// Another node publishes from now on.
    PublisherLost = "publisher_lost";
    /// A descriptor is confirmed everywhere.
    PublishOk = "publish_ok";
    /// A descriptor was confirmed nowhere.
    PublishFailed = "publish_failed";
    /// No peer is in sight although tor works.
    Partition = "partition";
    /// Somebody else publishes too.
    SplitPublisher = "split_publisher";
    /// Tor's control port is gone.
    TorDown = "tor_down";
    /// Tor's control port is back.
    TorUp = "tor_up";
    /// A clock is wrong: ours or a peer's.
    ClockBad = "clock_bad";
    /// The application does not answer.
    AppDown = "app_down";
    /// The application answers again.
    AppUp = "app_up";
    /// A node joined the cluster.
    NodeJoined = "node_joined";
    /// A node left the cluster or was removed.
    NodeLeft = "node_left";
}
