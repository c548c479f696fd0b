//! The status document: what one node knows of itself, its services and the fronts at one moment.
//!
//! The daemon fills it and writes it to its local socket as JSON; the commands read and show it.
//! Fields are only ever added within a schema, and absent or `null` means *not known*, never
//! *well*. Nothing here is healthier than what was confirmed. No clock, no I/O, no rendering.

use serde::{Deserialize, Serialize};

use crate::time::Wall;

mod build;
mod node;
mod verdict;

pub use node::{Node, NodeState, PathName, RefusedFrames, Role};

pub use verdict::{
    DESCRIPTOR_AGE_CRIT_S, DESCRIPTOR_AGE_WARN_S, PARTITION, STARTING_S, Verdict, health,
    is_served, verdict,
};

/// The schema that this program writes and fully understands.
pub const SCHEMA: u32 = 1;

/// The whole document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`] of the program that wrote it.
    pub schema: u32,
    /// The cluster's name; `None` while there is no cluster.
    pub cluster: Option<String>,
    /// The name of the node that wrote it.
    pub node: String,
    /// That program's version.
    pub version: String,
    /// When it was written: RFC 3339, UTC, whole seconds (see [`rfc3339`]).
    pub as_of: String,
    /// The daemon's process.
    pub pid: u32,
    /// How long the daemon has been running.
    pub uptime_s: u64,
    /// The verdict in one word: what [`health`] says of this document.
    pub health: Health,
    /// This front's own tor.
    pub tor: Tor,
    /// One entry per master address, in the order of the configuration.
    #[serde(default)]
    pub services: Vec<Service>,
    /// One entry per front, this node first.
    #[serde(default)]
    pub fronts: Vec<Front>,
    /// One entry per node of the cluster, the one that wrote this first, those that were removed
    /// left out; empty while there is no cluster.
    #[serde(default)]
    pub nodes: Vec<Node>,
    /// A digest of the nodes' names and states: equal on all nodes when they agree.
    #[serde(default)]
    pub view_hash: Option<String>,
    /// What was refused from others.
    #[serde(default)]
    pub refused: Vec<RefusedFrames>,
    /// Problems, worst first.
    #[serde(default)]
    pub checks: Vec<Check>,
}

/// How well things are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Everything that should be confirmed is confirmed.
    Ok,
    /// Users are served, as far as is known, but something is amiss or not confirmed.
    Warn,
    /// Users are probably not served, or soon will not be.
    Crit,
}

/// This front's own tor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tor {
    /// Whether its control port answers.
    pub state: TorState,
    /// What it says its version is, such as `0.4.9.11`.
    pub version: Option<String>,
    /// 0 to 100.
    pub bootstrap_percent: Option<u8>,
    /// How long it has been in `state`.
    pub since_s: Option<u64>,
    /// Why the connection was last lost or refused; kept after it is back.
    pub last_error: Option<String>,
}

/// Whether tor's control port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TorState {
    /// Connected and authenticated.
    Up,
    /// Not connected.
    Down,
    /// Trying for the first time since the start.
    Connecting,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// One master address.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// The address, whole or shortened.
    pub onion: String,
    /// Whether this node publishes its descriptors now.
    pub publishing: bool,
    /// At most two: the one of the earlier period first.
    #[serde(default)]
    pub descriptors: Vec<Descriptor>,
}

/// Which of a service's two descriptors it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotName {
    /// Of the earlier time period.
    First,
    /// Of the later one.
    Second,
}

/// One of a service's two descriptors, and how far it got.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Descriptor {
    /// Which of the two.
    pub slot: SlotName,
    /// Whether clients fetch this one now; the other one is for later.
    pub client_facing: Option<bool>,
    /// The number of its time period.
    pub period: u64,
    /// The revision counter of what was last signed.
    pub revision: Option<u64>,
    /// The second at which that was signed: Unix time.
    pub signed_at: Option<u64>,
    /// How long ago an HSDir last confirmed an upload of it.
    pub age_s: Option<u64>,
    /// The document's length; HSDirs take less than 50,000.
    pub size_bytes: Option<u64>,
    /// How many introduction points it names.
    pub intro_points: Option<u32>,
    /// How many of the responsible HSDirs confirmed the current content.
    pub hsdirs_confirmed: u32,
    /// How many are responsible; 0 while that is not known.
    pub hsdirs_target: u32,
    /// When it was last fetched back and found equal: Unix time.
    pub verified_at_s: Option<u64>,
    /// How long until it is published again although nothing changed.
    pub next_refresh_s: Option<u64>,
    /// One entry per responsible HSDir.
    #[serde(default)]
    pub hsdirs: Vec<HsDir>,
}

/// One HSDir and one descriptor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HsDir {
    /// The relay's fingerprint.
    pub id: String,
    /// Where the upload stands.
    pub state: HsDirState,
    /// Uploads that failed since the last round began, or since the HSDir lost the document, which
    /// counts as one; 0 once it has confirmed.
    pub tries: u32,
    /// How the last of them ended, such as `ok` or `timeout`.
    pub last_result: Option<String>,
    /// How long ago it last confirmed any upload of this descriptor.
    pub confirmed_age_s: Option<u64>,
    /// How long until the next try; `None` when none is planned.
    pub next_try_s: Option<u64>,
}

/// Where an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HsDirState {
    /// It said that it has the current content.
    Confirmed,
    /// Under way.
    Uploading,
    /// To be done.
    Waiting,
    /// The last try failed; another follows.
    Failed,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// One front.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Front {
    /// Its name in the configuration.
    pub name: String,
    /// What runs there.
    pub kind: FrontKind,
    /// The address of its own onion service, whole or shortened.
    pub onion: Option<String>,
    /// Whether it serves.
    pub state: FrontState,
    /// Introduction points whose circuit stands; of backends that is never known.
    pub intro_established: Option<u32>,
    /// Introduction points its own descriptor names.
    pub intro_wanted: Option<u32>,
    /// How many of them are in the *confirmed* descriptor that clients fetch now.
    pub intro_in_descriptor: Option<u32>,
    /// How long ago its introduction points were last read.
    pub roster_age_s: Option<u64>,
    /// Why they could not be read the last time; `None` when they could.
    pub last_error: Option<String>,
}

/// What runs on a front.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrontKind {
    /// A RustBalance node.
    Node,
    /// A plain Onionbalance backend.
    Backend,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// Whether a front serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FrontState {
    /// Its introduction points were read and are used.
    Serving,
    /// Its introduction points were read before; the last tries failed, and they are still used.
    Suspect,
    /// It has no introduction points to use.
    Gone,
    /// Nothing was read from it yet.
    Unknown,
    /// A word of a later schema.
    #[serde(other)]
    Other,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// What kind, such as `TOR_DOWN`: stable, for scripts.
    pub code: String,
    /// How bad.
    pub severity: Health,
    /// Which front or service; `None` for the node as a whole.
    pub subject: Option<String>,
    /// How long it has been so.
    pub since_s: Option<u64>,
    /// What is wrong and what follows from it: whole sentences.
    pub message: String,
    /// Commands or actions that help, most likely first.
    #[serde(default)]
    pub hints: Vec<String>,
}

/// A moment as `2026-11-20T14:05:03Z`.
pub fn rfc3339(at: Wall) -> String {
    let seconds = i64::try_from(at.0).unwrap_or(i64::MAX);
    match chrono::DateTime::from_timestamp(seconds, 0) {
        Some(moment) => moment.format("%Y-%m-%dT%H:%M:%SZ").to_string(),
        None => format!("@{}", at.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_written_as_rfc_3339() {
        assert_eq!(rfc3339(Wall(1_795_183_503)), "2026-11-20T14:05:03Z");
        assert_eq!(rfc3339(Wall(u64::MAX)), format!("@{}", u64::MAX));
    }

    #[test]
    fn what_is_not_known_is_null() {
        let document = Status::new("a", "1.0.0", Wall(0), 1, 0);
        let json = serde_json::to_value(&document).unwrap();
        assert!(json["tor"]["bootstrap_percent"].is_null());
        assert!(json.get("cluster").is_some_and(serde_json::Value::is_null));
        assert_eq!(serde_json::from_value::<Status>(json).unwrap(), document);
    }

    #[test]
    fn fields_and_words_of_a_later_program_do_no_harm() {
        let document = Status::new("a", "1.0.0", Wall(0), 1, 0);
        let mut json = serde_json::to_value(&document).unwrap();
        json["mesh"] = "new".into();
        json["tor"]["state"] = "hibernating".into();
        let read: Status = serde_json::from_value(json).unwrap();
        assert_eq!(read.tor.state, TorState::Other);
    }

    #[test]
    fn the_worst_problem_comes_first() {
        let mut document = Status::new("a", "1.0.0", Wall(0), 1, 0);
        document.checks =
            vec![Check::new(Health::Warn, "B", "b"), Check::new(Health::Crit, "A", "a")];
        let concluded = document.conclude();
        assert_eq!(concluded.checks[0].code, "A");
        assert_eq!(concluded.health, health(&concluded));
    }

    #[test]
    fn confirmed_hsdirs_are_counted() {
        let dirs = [HsDirState::Confirmed, HsDirState::Failed, HsDirState::Confirmed];
        let dirs = dirs.map(|state| HsDir::new("AA", state)).to_vec();
        let descriptor = Descriptor::new(SlotName::First, 1).with_hsdirs(dirs);
        assert_eq!((descriptor.hsdirs_confirmed, descriptor.hsdirs_target), (2, 3));
    }
}
