//! One peer: its beats, what they prove, and the path that they take.
//!
//! Knows nobody but this peer: what others say about it, and whether everybody is silent, is
//! judged by the parent.

use std::time::Duration;

use super::super::{PeerState, PeerView};
use super::comeback::Comeback;
use super::damping::Damping;
use super::lane::{Lane, Lapse, Rhythm};
use super::{Means, Rng, Signal};
use crate::ident::NodeId;
use crate::message::Path;
use crate::time::Mono;

/// The Tor link is asked so often while WireGuard works, so that it stands when it is needed.
const WARM: Duration = Duration::from_secs(25);

/// A dead peer is tried at the usual rhythm for so long,
const TRIED_HARD: Duration = Duration::from_secs(60);

/// and then so often, plus or minus a fifth.
const TRIED: Duration = Duration::from_secs(10);

/// How long an answer may take over the path that is not in use before its absence proves
/// anything: Tor's round trips go up to about 2 s.
const PATIENCE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(3)];

/// What a peer needs of the world when time passes.
pub(super) struct Tick<'a> {
    pub(super) now: Mono,
    pub(super) means: &'a Means,
    pub(super) rng: &'a mut Rng,
    pub(super) out: &'a mut Vec<Signal>,
}

/// One interval: within it the peer is to be heard.
#[derive(Clone, Copy, Debug)]
struct Pulse {
    began: Mono,
    ends: Mono,
}

/// Since the first of the beats missed in a row.
#[derive(Clone, Debug)]
pub(super) struct Suspicion {
    /// When that beat began.
    pub(super) began: Mono,
    /// When it was missed.
    pub(super) raised: Mono,
    /// Another peer that heard it since then, and when.
    vouch: Option<(NodeId, Mono)>,
    /// Another peer has not heard it since then either.
    pub(super) denied: bool,
}

/// One peer's liveness.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) name: NodeId,
    pub(super) state: PeerState,
    pub(super) path: Path,
    pub(super) lanes: [Lane; 2],
    pub(super) missed: u32,
    pub(super) heard: Option<Mono>,
    pub(super) suspicion: Option<Suspicion>,
    pub(super) deaths: u32,
    pub(super) damping: Damping,
    pub(super) damped_until: Option<Mono>,
    pub(super) busy: Option<Mono>,
    number: u64,
    pulse: Option<Pulse>,
    /// When the next pulse begins if none runs; `None`: there is no path to send it on.
    next: Option<Mono>,
    /// When the other path was asked first since the last sign of life.
    other_asked: Option<Mono>,
    /// The transport said since then that the other path cannot be used.
    other_broke: bool,
    /// When both paths are to be asked, whatever the pulse is at.
    urgent: Option<Mono>,
    /// When that was done last.
    looked: Option<Mono>,
    comeback: Comeback,
    /// When the idle Tor link is to be used.
    warm: Option<Mono>,
    died: Option<Mono>,
}

impl Peer {
    pub(super) fn new(name: NodeId, means: &Means, now: Mono) -> Peer {
        let path = if means.pace.wireguard { Path::WireGuard } else { Path::Tor };
        Peer {
            name,
            state: PeerState::Joining,
            path,
            lanes: [Lane::default(), Lane::default()],
            missed: 0,
            heard: None,
            suspicion: None,
            deaths: 0,
            damping: Damping::default(),
            damped_until: None,
            busy: None,
            number: 0,
            pulse: None,
            next: Some(now),
            other_asked: None,
            other_broke: false,
            urgent: None,
            looked: None,
            comeback: Comeback::new(),
            warm: means.usable(Path::Tor).then_some(now),
            died: None,
        }
    }

    pub(super) fn lane(&mut self, path: Path) -> &mut Lane {
        &mut self.lanes[usize::from(path == Path::Tor)]
    }

    /// Anything of it came.
    pub(super) fn heard(&mut self, path: Path, now: Mono, out: &mut Vec<Signal>) {
        let away = self.heard.map(|heard| now - heard);
        self.heard = Some(now);
        self.lane(path).heard = Some(now);
        self.missed = 0;
        self.suspicion = None;
        self.other_asked = None;
        self.other_broke = false;
        if matches!(self.state, PeerState::Dead | PeerState::Joining) {
            if self.state == PeerState::Dead {
                self.begin_anew(now);
            }
            let damped = self.damping.delay(now);
            self.damped_until = Some(now + damped);
            out.push(Signal::Alive { peer: self.name.clone(), away, damped });
        }
        self.state = PeerState::Alive;
    }

    /// Back from the dead, on the path that it had: what failed meanwhile says nothing about it.
    fn begin_anew(&mut self, now: Mono) {
        self.next = Some(now);
        self.pulse = None;
        self.died = None;
        for lane in &mut self.lanes {
            lane.forget();
            lane.failing = None;
        }
    }

    /// It answered a heartbeat.
    pub(super) fn answered(&mut self, path: Path, number: u64, now: Mono, out: &mut Vec<Signal>) {
        if !self.lane(path).answered(number, now) {
            return;
        }
        if path != self.path {
            let back = path == Path::WireGuard && self.comeback.answered(now);
            if back {
                self.take(path, now, out);
            } else {
                self.avoid_failing(now, out);
            }
        }
    }

    /// It asked us not to come back before `until`.
    pub(super) fn busy(&mut self, until: Mono) {
        self.busy = Some(until);
        self.pulse = None;
        self.next = Some(until);
        self.urgent = None;
        self.lanes.iter_mut().for_each(Lane::forget);
    }

    /// Another peer heard it, or not since we did.
    pub(super) fn seen(&mut self, by: &NodeId, ago: Option<Duration>, now: Mono) {
        let Some(suspicion) = &mut self.suspicion else { return };
        match ago.filter(|ago| *ago < now - suspicion.began) {
            None => suspicion.denied = true,
            Some(ago) => {
                let at = Mono(now.0.saturating_sub(ago));
                if suspicion.vouch.as_ref().is_none_or(|(_, known)| *known < at) {
                    suspicion.vouch = Some((by.clone(), at));
                }
            }
        }
    }

    /// Who heard it lately although we do not. A word is worth as long as a silence of our own.
    pub(super) fn vouched_by(&self, means: &Means, now: Mono) -> Option<&NodeId> {
        let worth = means.interval(self.path) * means.pace.dead_threshold;
        let (by, at) = self.suspicion.as_ref()?.vouch.as_ref()?;
        (now - *at <= worth).then_some(by)
    }

    /// Neither path gave a sign of life, and both had time enough for one.
    pub(super) fn silent_everywhere(&self, means: &Means, now: Mono) -> bool {
        let other = self.path.other();
        let patience = PATIENCE[usize::from(other == Path::Tor)];
        let asked = self.other_asked.is_some_and(|at| self.other_broke || now - at >= patience);
        !means.usable(other) || asked
    }

    /// It is dead from now on.
    pub(super) fn die(&mut self, now: Mono, out: &mut Vec<Signal>) {
        self.state = PeerState::Dead;
        self.died = Some(now);
        if self.heard.is_some() {
            self.deaths = self.deaths.saturating_add(1);
            self.damping.died(now);
            self.damped_until = None;
            out.push(Signal::Dead { peer: self.name.clone() });
        }
    }

    /// Somebody says it is dead: it is asked over both paths, without losing the running pulse.
    pub(super) fn look(&mut self, interval: Duration, now: Mono) {
        let lately = self.looked.is_some_and(|at| now - at < interval);
        if !self.resting() && !lately {
            self.urgent = Some(now);
        }
    }

    /// A hint from the transport.
    pub(super) fn link_changed(&mut self, path: Path, up: bool, now: Mono) {
        if !up {
            self.lane(path).broke();
            self.other_broke |= path != self.path;
            return;
        }
        if path != self.path {
            self.other_broke = false;
        }
        let lane = self.lane(path);
        lane.mended(now);
        let wanted = lane.failing.is_some() && !lane.waits();
        if self.busy.is_none() && (wanted || self.state == PeerState::Dead) {
            self.urgent = Some(now);
        }
    }

    /// Our own tor can call it from now on, and does so after `spread`, or cannot any more.
    pub(super) fn tor_path(&mut self, ready: bool, spread: Duration, now: Mono) {
        if ready {
            self.warm = Some(now + spread);
            if self.pulse.is_none() && self.next.is_none() {
                self.next = Some(now + spread);
            }
            return;
        }
        self.lane(Path::Tor).forget();
        self.warm = None;
        if self.path == Path::Tor {
            self.void(now);
        }
    }

    /// What was not answered until now proves nothing.
    pub(super) fn void(&mut self, now: Mono) {
        if self.pulse.take().is_some() {
            self.next = Some(now);
        }
        self.other_asked = None;
        self.other_broke = false;
        self.lanes.iter_mut().for_each(Lane::forget);
    }

    /// Sends again what was not answered, asks over the other path in time, and leaves a path that
    /// does not answer.
    pub(super) fn try_again(&mut self, tick: &mut Tick<'_>) {
        for path in Path::BOTH {
            while let Some(lapse) = self.lane(path).lapse(tick.now) {
                match lapse {
                    Lapse::Again { number, worrying } => {
                        tick.out.push(Signal::Beat { peer: self.name.clone(), path, beat: number });
                        if worrying && path == self.path && self.state != PeerState::Dead {
                            self.ask_other(number, tick);
                        }
                    }
                    Lapse::Overdue if path == self.path => self.avoid_failing(tick.now, tick.out),
                    Lapse::Overdue if path == Path::WireGuard => self.comeback.failed(),
                    Lapse::Overdue => {}
                }
            }
        }
    }

    /// Ends a pulse whose time is over: whether it was missed.
    pub(super) fn missed(&mut self, now: Mono) -> bool {
        let Some(pulse) = self.pulse.filter(|pulse| pulse.ends <= now) else { return false };
        self.pulse = None;
        self.next = Some(now);
        if self.heard >= Some(pulse.began) || self.state == PeerState::Dead {
            return false;
        }
        self.missed = self.missed.saturating_add(1);
        if self.state == PeerState::Alive {
            self.state = PeerState::Suspect;
        }
        let fresh = Suspicion { began: pulse.began, raised: now, vouch: None, denied: false };
        self.suspicion.get_or_insert(fresh);
        true
    }

    /// Begins what is due: a pulse, a probe of WireGuard, a use of the idle Tor link.
    pub(super) fn ask(&mut self, tick: &mut Tick<'_>) {
        let now = tick.now;
        if self.busy.is_some_and(|until| until <= now) {
            self.busy = None;
        }
        if self.next.is_some_and(|at| at <= now) {
            self.pulse(tick);
        }
        if self.urgent.take().is_some() && tick.means.usable(self.path) {
            self.looked = Some(now);
            self.number = self.number.saturating_add(1);
            self.beat(self.path, self.number, tick);
            self.ask_other(self.number, tick);
        }
        if self.probe_due().is_some_and(|at| at <= now) {
            self.number = self.number.saturating_add(1);
            self.comeback.probed(now);
            self.beat(Path::WireGuard, self.number, tick);
        }
        if self.warm_due().is_some_and(|at| at <= now) {
            self.number = self.number.saturating_add(1);
            self.beat(Path::Tor, self.number, tick);
        }
    }

    /// When something is to be done at the latest.
    pub(super) fn deadline(&self) -> Option<Mono> {
        [
            self.pulse.map(|pulse| pulse.ends),
            self.next.filter(|_| self.pulse.is_none()),
            self.urgent,
            self.lanes[0].deadline(),
            self.lanes[1].deadline(),
            self.probe_due(),
            self.warm_due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Writes what is known here into the peer's view.
    pub(super) fn fill(&self, view: &mut PeerView, means: &Means, now: Mono) {
        let lane = &self.lanes[usize::from(self.path == Path::Tor)];
        let works = self.state != PeerState::Dead && means.usable(self.path);
        let left = |until: Option<Mono>| until.filter(|at| *at > now).map(|at| at - now);
        view.state = self.state;
        view.missed = self.missed;
        view.last_heard = self.heard.map(|heard| now - heard);
        view.heard_over = [0, 1].map(|lane| self.lanes[lane].heard.map(|heard| now - heard));
        view.path = Some(self.path).filter(|_| works && lane.failing.is_none());
        view.rtt = lane.rtt;
        view.vouched_by = self.vouched_by(means, now).cloned();
        view.damped = left(self.damped_until);
        view.busy = left(self.busy);
        view.sent = [self.lanes[0].sent, self.lanes[1].sent];
        view.deaths = self.deaths;
    }

    fn resting(&self) -> bool {
        self.busy.is_some() || self.state == PeerState::Dead
    }

    fn probe_due(&self) -> Option<Mono> {
        self.comeback.deadline().filter(|_| !self.resting())
    }

    fn warm_due(&self) -> Option<Mono> {
        self.warm.filter(|_| self.path == Path::WireGuard && !self.resting())
    }

    fn pulse(&mut self, tick: &mut Tick<'_>) {
        self.next = None;
        if !tick.means.usable(self.path) {
            if !tick.means.usable(self.path.other()) {
                return;
            }
            self.take(self.path.other(), tick.now, tick.out);
        }
        self.number = self.number.saturating_add(1);
        let number = self.number;
        let interval = match self.died {
            Some(died) if tick.now - died >= TRIED_HARD => tick.rng.around(TRIED),
            _ => about(tick.means.interval(self.path), tick.rng),
        };
        self.pulse = Some(Pulse { began: tick.now, ends: tick.now + interval });
        if self.state == PeerState::Dead {
            let other = self.path.other();
            let turn = number.is_multiple_of(2) && tick.means.usable(other);
            return self.beat(if turn { other } else { self.path }, number, tick);
        }
        if self.missed == 0 {
            self.other_asked = None;
            self.other_broke = false;
        }
        self.beat(self.path, number, tick);
        if self.missed > 0 || self.lane(self.path).failing.is_some() {
            self.ask_other(number, tick);
        }
    }

    fn ask_other(&mut self, number: u64, tick: &mut Tick<'_>) {
        let other = self.path.other();
        if tick.means.usable(other) {
            self.beat(other, number, tick);
            self.other_asked.get_or_insert(tick.now);
        }
    }

    fn beat(&mut self, path: Path, number: u64, tick: &mut Tick<'_>) {
        let rhythm = Rhythm::of(path, tick.means.pace.interval);
        self.lane(path).ask(number, rhythm, tick.now);
        if path == Path::Tor {
            self.warm = Some(tick.now + about(WARM, tick.rng));
        }
        tick.out.push(Signal::Beat { peer: self.name.clone(), path, beat: number });
    }

    /// Goes over to the other path when that one answers what this one did not.
    fn avoid_failing(&mut self, now: Mono, out: &mut Vec<Signal>) {
        let other = self.path.other();
        let proved = self.lane(other).proved;
        let failing = self.lane(self.path).failing;
        if failing.is_some_and(|since| proved >= Some(since)) {
            self.take(other, now, out);
        }
    }

    /// Sends heartbeats over this path from now on.
    fn take(&mut self, path: Path, now: Mono, out: &mut Vec<Signal>) {
        let lane = self.lane(self.path);
        let silent = lane.heard.or(lane.failing).map_or(Duration::ZERO, |since| now - since);
        self.path = path;
        match path {
            Path::WireGuard => self.comeback.returned(now),
            Path::Tor => self.comeback.left(now),
        }
        out.push(Signal::PathChanged { peer: self.name.clone(), path, silent });
    }
}

/// `duration` plus or minus a tenth of it.
fn about(duration: Duration, rng: &mut Rng) -> Duration {
    rng.between(duration * 9 / 10, duration * 11 / 10)
}
