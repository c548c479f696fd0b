//! How the mesh stands, for the status document.

use std::time::Duration;

use crate::ident::{HsId, Incarnation, NodeId, PeerKey};
use crate::message::{Endpoint, JoinRefusal, Path, Refusal, Token};

/// What a member is to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Known, and not heard yet since we or it began.
    Joining,
    /// Heard.
    Alive,
    /// Missed at least one heartbeat.
    Suspect,
    /// Missed all that it may, on every path.
    Dead,
    /// Said goodbye.
    Left,
}

/// How the mesh stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshView {
    /// Our own incarnation.
    pub incarnation: Incarnation,
    /// We are not in yet.
    pub joining: Option<JoiningView>,
    /// We said goodbye, or were removed.
    pub gone: bool,
    /// A digest of names and states: equal on all nodes when they agree.
    pub view: u64,
    /// Since when every peer is out of sight while our tor works.
    pub partitioned: Option<Duration>,
    /// How many nodes there should be, ourselves included.
    pub expected: usize,
    /// Where we say our WireGuard socket is.
    pub endpoint: Option<Endpoint>,
    /// Everybody but ourselves, by name. Those that were removed are not here.
    pub peers: Vec<PeerView>,
    /// What was refused: whose (`None`: a stranger), how it came, why, how often.
    pub refused: Vec<(Option<NodeId>, Path, Refusal, u64)>,
    /// How long ago somebody else who has our keys spoke; `None`: nobody does, as far as is known.
    pub twin: Option<Duration>,
    /// The invitations.
    pub tokens: Vec<Token>,
}

/// How far a newcomer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoiningView {
    /// Doors knocked at so far.
    pub attempts: u32,
    /// When it knocks again.
    pub again: Duration,
    /// Nobody will let it in: this is why.
    pub refused: Option<JoinRefusal>,
}

/// How one peer stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerView {
    /// Its name.
    pub name: NodeId,
    /// Its sessions' key.
    pub key: PeerKey,
    /// Where it says its WireGuard socket is.
    pub endpoint: Option<Endpoint>,
    /// Its coordination onion service.
    pub onion: Option<HsId>,
    /// What it is to us.
    pub state: PeerState,
    /// Missed in a row.
    pub missed: u32,
    /// Heard last so long ago; `None`: never.
    pub last_heard: Option<Duration>,
    /// Heard last over WireGuard and over Tor so long ago; `None`: never. A path that is not in use
    /// and was heard lately stands ready.
    pub heard_over: [Option<Duration>; 2],
    /// The path of our heartbeats; `None`: none works.
    pub path: Option<Path>,
    /// The last round trip.
    pub rtt: Option<Duration>,
    /// Another member that hears it although we do not.
    pub vouched_by: Option<NodeId>,
    /// Introduction points it offers.
    pub points: u8,
    /// Its tor works; `None`: not known.
    pub tor: Option<bool>,
    /// Its application answers; `None`: not known or not checked.
    pub app: Option<bool>,
    /// Its clock minus ours, in seconds; `None`: not known.
    pub clock_ahead_s: Option<i64>,
    /// Its clock is further off than tolerated: it is barred from the lease.
    pub clock_bad: bool,
    /// Its program's version.
    pub version: Option<String>,
    /// Its incarnation.
    pub incarnation: Incarnation,
    /// It may let others in.
    pub bootstrap: bool,
    /// It may publish.
    pub publisher: bool,
    /// It serves only when others do not.
    pub spare: bool,
    /// It is to leave the descriptor.
    pub drained: bool,
    /// Its digest of the view differs from ours.
    pub disagrees: bool,
    /// It comes and goes: its introduction points wait so long.
    pub damped: Option<Duration>,
    /// It asked us to wait so long.
    pub busy: Option<Duration>,
    /// Heartbeats sent over WireGuard and over Tor.
    pub sent: [u64; 2],
    /// Frames received over WireGuard and over Tor.
    pub received: [u64; 2],
    /// How often it was declared dead.
    pub deaths: u32,
}
