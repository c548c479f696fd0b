//! Who is there: heartbeats, misses, suspicion, death, and the path to each peer.
//!
//! Knows names, paths and time; neither entries, keys nor addresses.
//!
//! # When is a peer dead?
//!
//! In every interval (2 s, on Tor twice as long, plus or minus a tenth) each peer gets a beat on
//! its path, on WireGuard tried four times within it. The beat is *missed* when its interval ends and
//! nothing at all was heard of the peer since it began. Whoever missed one is suspect. Dead is a
//! suspect of whom all of this is true:
//!
//! * `dead_threshold` beats in a row were missed;
//! * the other path, asked with the third try of the first of them and in every interval since,
//!   brought nothing, and had 3 s (WireGuard: 1 s) for it;
//! * no other peer has lately heard it after the first missed beat began. Such a vouch is worth as
//!   long as `dead_threshold` of our own intervals, and is renewed as long as it is true.
//!
//! Whoever may be at fault itself waits twice as long: when all peers (two or more) fell silent
//! within one and a half intervals, or when the own tor cannot be used and no other peer says that
//! it misses the suspect too. The caller says when this node itself was late
//! ([`Watch::was_slow`]); what was under way then proves nothing.
//!
//! # Which path?
//!
//! WireGuard, until a beat on it comes to nothing (which is before its interval ends) while Tor
//! answers. It does not matter whether the peer is still heard over it: a path is good when *our*
//! beats come back. Tor is asked together with the third try, so that even with a round trip of 2 s
//! the change is made 5 s after a block. Two answered probes in a row take WireGuard back.
//!
//! ```text
//!                 heard                    heard
//!           ┌───────────────┐   ┌───────────────────────┐
//!           ▼               │   ▼                       │
//! joining ─heard─▶ alive ─missed─▶ suspect ─all silent─▶ dead
//!    └──────────────── all silent ───────────────────────▲
//! ```

mod comeback;
mod damping;
mod lane;
mod peer;
#[cfg(test)]
mod sim;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::peer::{Peer, Tick};
use super::super::rng::Rng;
use super::{PeerState, PeerView};
use crate::ident::NodeId;
use crate::message::Path;
use crate::time::Mono;

/// How many others are asked about a suspect with every beat.
const ASKED_MAX: usize = 3;

/// Idle Tor links are opened one after the other when our tor comes back.
const SPREAD: Duration = Duration::from_millis(250);

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
    /// `missed` in a row, `left` more until dead. None left: something still speaks for it.
    Missed { peer: NodeId, missed: u32, left: u32 },
    /// Alive or joining after having been dead, or heard for the first time.
    Alive { peer: NodeId, away: Option<Duration>, damped: Duration },
    /// It is dead. Not said of those that were never heard.
    Dead { peer: NodeId },
    /// Heartbeats go another way.
    PathChanged { peer: NodeId, path: Path, silent: Duration },
    /// A heartbeat failed: a matter of registration. Not said of the dead.
    BeatFailed { peer: NodeId },
    /// Every peer is out of sight, and we are not the slow one.
    Partition,
    /// And no more.
    PartitionHealed { after: Duration },
}

/// What there is to reach peers with.
#[derive(Clone, Debug)]
struct Means {
    pace: Pace,
    tor_ready: bool,
}

impl Means {
    /// Tor may be used at all.
    fn tor(&self) -> bool {
        self.pace.tor_fallback || !self.pace.wireguard
    }

    fn usable(&self, path: Path) -> bool {
        match path {
            Path::WireGuard => self.pace.wireguard,
            Path::Tor => self.tor() && self.tor_ready,
        }
    }

    fn interval(&self, path: Path) -> Duration {
        match path {
            Path::WireGuard => self.pace.interval,
            Path::Tor => self.pace.interval * 2,
        }
    }
}

/// Everybody's liveness.
#[derive(Debug)]
pub(super) struct Watch {
    means: Means,
    /// By name.
    peers: Vec<Peer>,
    /// Whose turn it is to be asked about suspects.
    turn: usize,
    partitioned: Option<Mono>,
}

impl Watch {
    pub(super) fn new(pace: Pace) -> Watch {
        let means = Means { pace, tor_ready: false };
        Watch { means, peers: Vec::new(), turn: 0, partitioned: None }
    }

    /// A member to be watched from now on. Its first heartbeat goes out at once.
    pub(super) fn admit(&mut self, peer: &NodeId, now: Mono) {
        if let Err(place) = self.place(peer) {
            self.peers.insert(place, Peer::new(peer.clone(), &self.means, now));
        }
    }

    /// A member that left or was removed.
    pub(super) fn dismiss(&mut self, peer: &NodeId) {
        if let Ok(place) = self.place(peer) {
            self.peers.remove(place);
        }
    }

    /// Any frame of the peer came: it lives.
    pub(super) fn heard(&mut self, peer: &NodeId, path: Path, now: Mono, out: &mut Vec<Signal>) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.heard(path, now, out);
        }
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
        if let Some(peer) = self.peer_mut(peer) {
            peer.answered(path, beat, now, out);
        }
    }

    /// The peer asked us not to come back before `until`.
    pub(super) fn busy(&mut self, peer: &NodeId, until: Mono) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.busy(until);
        }
    }

    /// `by` heard `about` so long ago.
    pub(super) fn seen(&mut self, about: &NodeId, by: &NodeId, ago: Option<Duration>, now: Mono) {
        if let Some(peer) = self.peer_mut(about).filter(|_| about != by) {
            peer.seen(by, ago, now);
        }
    }

    /// How long ago we heard the peer ourselves, over any path.
    pub(super) fn last_heard(&self, peer: &NodeId, now: Mono) -> Option<Duration> {
        Some(now - self.peer(peer)?.heard?)
    }

    /// A session was established or a transport failed: a hint.
    pub(super) fn link_changed(&mut self, peer: &NodeId, path: Path, up: bool, now: Mono) {
        if let Some(peer) = self.peer_mut(peer) {
            peer.link_changed(path, up, now);
        }
    }

    /// Somebody says the peer is dead: look at once.
    pub(super) fn rumoured_dead(&mut self, peer: &NodeId, now: Mono) {
        let interval = self.means.pace.interval;
        if let Some(peer) = self.peer_mut(peer) {
            peer.look(interval, now);
        }
    }

    /// Our own tor can call peers, or cannot.
    pub(super) fn tor_path(&mut self, ready: bool, now: Mono) {
        if self.means.tor() && self.means.tor_ready != ready {
            self.means.tor_ready = ready;
            for (spread, peer) in (0..).zip(&mut self.peers) {
                peer.tor_path(ready, SPREAD * spread, now);
            }
        }
    }

    /// We were slow or asleep until now: what was not answered meanwhile proves nothing.
    pub(super) fn was_slow(&mut self, now: Mono) {
        self.peers.iter_mut().for_each(|peer| peer.void(now));
    }

    /// Recomputes everything that time alone changes.
    pub(super) fn advance(&mut self, now: Mono, rng: &mut Rng, out: &mut Vec<Signal>) {
        for place in 0..self.peers.len() {
            let mut tick = Tick { now, means: &self.means, rng, out };
            let peer = &mut self.peers[place];
            if peer.deadline().is_none_or(|at| at > now) {
                continue;
            }
            peer.try_again(&mut tick);
            if peer.missed(now) {
                self.judge(place, now, out);
            }
            let mut tick = Tick { now, means: &self.means, rng, out };
            self.peers[place].ask(&mut tick);
        }
        self.look_around(now, out);
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.peers.iter().filter_map(Peer::deadline).min()
    }

    /// The path over which anything is to be sent to the peer now.
    pub(super) fn path(&self, peer: &NodeId) -> Path {
        let first = if self.means.pace.wireguard { Path::WireGuard } else { Path::Tor };
        self.peer(peer).map_or(first, |peer| peer.path)
    }

    pub(super) fn state(&self, peer: &NodeId) -> PeerState {
        self.peer(peer).map_or(PeerState::Joining, |peer| peer.state)
    }

    /// Since when every peer is out of sight.
    pub(super) fn partitioned(&self, now: Mono) -> Option<Duration> {
        self.partitioned.map(|since| now - since)
    }

    /// Writes what is known here into the view of the peer of that name.
    pub(super) fn fill(&self, view: &mut PeerView, now: Mono) {
        if let Some(peer) = self.peer(&view.name) {
            peer.fill(view, &self.means, now);
        }
    }

    /// A beat was missed: is the peer dead, and who might know?
    fn judge(&mut self, place: usize, now: Mono, out: &mut Vec<Signal>) {
        let needed = self.needed(place);
        let means = &self.means;
        let peer = &mut self.peers[place];
        out.push(Signal::BeatFailed { peer: peer.name.clone() });
        let vouched = peer.vouched_by(means, now).is_some();
        if peer.missed >= needed && peer.silent_everywhere(means, now) && !vouched {
            peer.die(now, out);
            return;
        }
        let (missed, left) = (peer.missed, needed.saturating_sub(peer.missed));
        out.push(Signal::Missed { peer: peer.name.clone(), missed, left });
        self.ask_around(place, out);
    }

    /// How many beats in a row must be missed: twice as many when we may be at fault.
    fn needed(&self, place: usize) -> u32 {
        let Means { pace, .. } = &self.means;
        let denied = self.peers[place].suspicion.as_ref().is_some_and(|s| s.denied);
        let tor_down = self.means.tor() && !self.means.tor_ready && !denied;
        let doubt = tor_down || self.all_silent_at_once();
        if doubt { pace.dead_threshold.saturating_mul(2) } else { pace.dead_threshold }
    }

    /// Two or more were there, and all of them fell silent within one and a half intervals.
    fn all_silent_at_once(&self) -> bool {
        let mut fell: Option<(Mono, Mono)> = None;
        let mut silent = 0_usize;
        for peer in &self.peers {
            match (peer.state, &peer.suspicion) {
                (PeerState::Alive, _) => return false,
                (PeerState::Suspect, Some(suspicion)) => {
                    let at = suspicion.raised;
                    let (first, last) = fell.unwrap_or((at, at));
                    fell = Some((first.min(at), last.max(at)));
                    silent += 1;
                }
                _ => {}
            }
        }
        let together = self.means.pace.interval * 3 / 2;
        silent >= 2 && fell.is_some_and(|(first, last)| last - first <= together)
    }

    /// Asks a few others, each time others, whether they hear the suspect.
    fn ask_around(&mut self, place: usize, out: &mut Vec<Signal>) {
        let about = &self.peers[place].name;
        let alive = |peer: &&Peer| peer.state == PeerState::Alive && peer.name != *about;
        let count = self.peers.iter().filter(alive).count();
        if count == 0 {
            return;
        }
        let others = self.peers.iter().filter(alive).cycle().skip(self.turn % count);
        let ask = |of: &Peer| Signal::AskSeen { of: of.name.clone(), about: about.clone() };
        out.extend(others.take(count.min(ASKED_MAX)).map(ask));
        self.turn = (self.turn + ASKED_MAX) % count;
    }

    /// Whether everybody who was ever heard is dead, and that was more than one.
    fn look_around(&mut self, now: Mono, out: &mut Vec<Signal>) {
        let known = || self.peers.iter().filter(|peer| peer.heard.is_some());
        let dark = known().all(|peer| peer.state == PeerState::Dead);
        match self.partitioned {
            None => {
                let able = !self.means.tor() || self.means.tor_ready;
                if dark && able && known().count() >= 2 {
                    self.partitioned = Some(now);
                    out.push(Signal::Partition);
                }
            }
            Some(since) => {
                if !dark || self.peers.is_empty() {
                    self.partitioned = None;
                    out.push(Signal::PartitionHealed { after: now - since });
                }
            }
        }
    }

    fn place(&self, name: &NodeId) -> Result<usize, usize> {
        self.peers.binary_search_by(|peer| peer.name.cmp(name))
    }

    fn peer(&self, name: &NodeId) -> Option<&Peer> {
        self.place(name).ok().map(|place| &self.peers[place])
    }

    fn peer_mut(&mut self, name: &NodeId) -> Option<&mut Peer> {
        self.place(name).ok().map(|place| &mut self.peers[place])
    }
}
