//! The other nodes in the document.

use serde::{Deserialize, Serialize};

/// One node of the cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What it does; `None`: not known.
    pub role: Option<Role>,
    /// Whether it is there.
    pub state: NodeState,
    /// Heartbeats that it missed in a row.
    #[serde(default)]
    pub missed: u32,
    /// How many of them make it dead.
    pub dead_at: Option<u32>,
    /// How long ago it was heard last; `None`: never, or it is the node itself.
    pub seen_s: Option<u64>,
    /// How long ago it was heard over WireGuard.
    #[serde(default)]
    pub seen_wg_s: Option<u64>,
    /// How long ago it was heard over Tor; while WireGuard carries the heartbeats, less than a
    /// minute means that the way over Tor stands ready.
    #[serde(default)]
    pub seen_tor_s: Option<u64>,
    /// The way heartbeats go; `None`: none works, or it is the node itself.
    pub path: Option<PathName>,
    /// The last round trip.
    pub rtt_s: Option<f64>,
    /// Introduction points that stand there.
    pub intro_established: Option<u32>,
    /// Introduction points its own descriptor names.
    pub intro_wanted: Option<u32>,
    /// How many of them are in the confirmed descriptor that clients fetch now.
    pub intro_in_descriptor: Option<u32>,
    /// Its tor works.
    pub tor: Option<bool>,
    /// Its application answers; `None` also where it is not checked.
    pub app: Option<bool>,
    /// Its clock minus that of the node that wrote this, in seconds.
    pub clock_offset_s: Option<i64>,
    /// Its program's version.
    pub version: Option<String>,
    /// Another node that hears it although this one does not.
    pub vouched_by: Option<String>,
    /// It may let others in.
    #[serde(default)]
    pub bootstrap: bool,
    /// It may publish.
    #[serde(default)]
    pub publisher: bool,
}

impl Node {
    /// A node of which nothing is known but its name.
    pub fn new(name: &str, state: NodeState) -> Node {
        Node {
            name: name.to_owned(),
            role: None,
            state,
            missed: 0,
            dead_at: None,
            seen_s: None,
            seen_wg_s: None,
            seen_tor_s: None,
            path: None,
            rtt_s: None,
            intro_established: None,
            intro_wanted: None,
            intro_in_descriptor: None,
            tor: None,
            app: None,
            clock_offset_s: None,
            version: None,
            vouched_by: None,
            bootstrap: false,
            publisher: false,
        }
    }
}

/// What a node does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// It publishes.
    Publisher,
    /// It could publish.
    Standby,
    /// It serves and may not publish.
    Front,
    /// It serves only when others do not.
    Spare,
    /// It is to leave the descriptor.
    Drained,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// Whether a node is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Known and not heard yet.
    Joining,
    /// Heard.
    Alive,
    /// Missed at least one heartbeat.
    Suspect,
    /// Missed all that it may.
    Dead,
    /// Said goodbye.
    Left,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// The way heartbeats go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PathName {
    /// WireGuard.
    Wg,
    /// An onion stream.
    Tor,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// What was refused from one sender over one path for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFrames {
    /// Whose; `None`: a stranger's.
    pub peer: Option<String>,
    /// How it came.
    pub path: PathName,
    /// Why, in words.
    pub reason: String,
    /// How often since the start.
    pub count: u64,
}
