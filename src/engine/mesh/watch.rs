//! Who is there: heartbeats, misses, suspicion, death, and the path to each peer.
//!
//! Knows names, paths and time; neither entries, keys nor addresses.
#![expect(dead_code, reason = "under construction")]

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::rng::Rng;
use super::PeerState;
use crate::ident::NodeId;
use crate::message::Path;
use crate::time::Mono;

/// What the watch was told once.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    pub(super) dead_threshold: u32,
    pub(super) wireguard: bool,
    pub(super) tor_fallback: bool,
}

/// What is to be done or said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Send this heartbeat (a try again has the same number).
    Beat { peer: NodeId, path: Path, beat: u64 },
    /// Ask `of` when it heard `about`.
    AskSeen { of: NodeId, about: NodeId },
    /// `missed` in a row, `left` more until dead.
    Missed { peer: NodeId, missed: u32, left: u32 },
    /// Alive or joining after having been dead, or heard for the first time.
    Alive { peer: NodeId, away: Option<Duration>, damped: Duration },
    /// It is dead.
    Dead { peer: NodeId },
    /// Heartbeats go another way.
    PathChanged { peer: NodeId, path: Path, silent: Duration },
    /// A heartbeat failed: a matter of registration.
    BeatFailed { peer: NodeId },
    /// Every peer is out of sight, and we are not the slow one.
    Partition,
    /// And no more.
    PartitionHealed { after: Duration },
}

/// Everybody's liveness.
#[derive(Debug)]
pub(super) struct Watch {
    pace: Pace,
    peers: BTreeMap<NodeId, ()>,
}

impl Watch {
    pub(super) fn new(pace: Pace) -> Watch {
        Watch { pace, peers: BTreeMap::new() }
    }

    /// A member to be watched from now on. Its first heartbeat goes out at once.
    pub(super) fn admit(&mut self, peer: &NodeId, now: Mono) {
        let _ = (peer, now);
    }

    /// A member that left or was removed.
    pub(super) fn dismiss(&mut self, peer: &NodeId) {
        let _ = peer;
    }

    /// Any frame of the peer came: it lives.
    pub(super) fn heard(&mut self, peer: &NodeId, path: Path, now: Mono, out: &mut Vec<Signal>) {
        let _ = (peer, path, now, out);
    }

    /// The peer answered a heartbeat ([`heard`](Self::heard) was told before).
    pub(super) fn answered(
        &mut self,
        peer: &NodeId,
        path: Path,
        beat: u64,
        now: Mono,
        out: &mut Vec<Signal>,
    ) {
        let _ = (peer, path, beat, now, out);
    }

    /// The peer asked us not to come back before `until`.
    pub(super) fn busy(&mut self, peer: &NodeId, until: Mono) {
        let _ = (peer, until);
    }

    /// `by` heard `about` so long ago.
    pub(super) fn seen(&mut self, about: &NodeId, by: &NodeId, ago: Option<Duration>, now: Mono) {
        let _ = (about, by, ago, now);
    }

    /// How long ago we heard the peer ourselves, over any path.
    pub(super) fn last_heard(&self, peer: &NodeId, now: Mono) -> Option<Duration> {
        let _ = (peer, now);
        None
    }

    /// A session was established or a transport failed: a hint.
    pub(super) fn link_changed(&mut self, peer: &NodeId, path: Path, up: bool, now: Mono) {
        let _ = (peer, path, up, now);
    }

    /// Somebody says the peer is dead: look at once.
    pub(super) fn rumoured_dead(&mut self, peer: &NodeId, now: Mono) {
        let _ = (peer, now);
    }

    /// Our own tor can call peers, or cannot.
    pub(super) fn tor_path(&mut self, ready: bool, now: Mono) {
        let _ = (ready, now);
    }

    /// We were slow or asleep until now: what was not answered meanwhile proves nothing.
    pub(super) fn was_slow(&mut self, now: Mono) {
        let _ = now;
    }

    /// Recomputes everything that time alone changes.
    pub(super) fn advance(&mut self, now: Mono, rng: &mut Rng, out: &mut Vec<Signal>) {
        let _ = (now, rng, out);
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        None
    }

    /// The path over which anything is to be sent to the peer now.
    pub(super) fn path(&self, peer: &NodeId) -> Path {
        let _ = peer;
        if self.pace.wireguard { Path::WireGuard } else { Path::Tor }
    }

    pub(super) fn state(&self, peer: &NodeId) -> PeerState {
        let _ = peer;
        PeerState::Joining
    }
}
