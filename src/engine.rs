//! Every decision, and nothing else: what to gather, what to merge, what to publish and when.
//!
//! The engine knows no network, no clock and no chance. It is told what happened
//! ([`Engine::handle`]), says what to do ([`Engine::poll_action`]) and when to wake it
//! ([`Engine::next_deadline`]). Seed, monotonic and wall time are arguments, so equal inputs give
//! equal actions.
//!
//! It is level-triggered: every input and every wake recomputes all consequences, so no event can
//! be forgotten; a lost one costs a slow poll at most.

mod action;
mod fetch;
mod gather;
mod merge;
mod mesh;
mod publish;
mod rng;
mod roster;
mod settings;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

pub use self::action::{
    Action, Blocked, ConsensusView, FetchId, Fetched, Input, MeshReport, MeshState, PeerLink,
    ReadError, Report, Request, RequestError, RequestId, Reregistration, Responsible, Returned,
    RoundReason, Upload, UploadError, UploadId,
};
pub use self::gather::FrontView;
pub use self::merge::Plan;
pub use self::mesh::{JoiningView, MeshView, PeerState, PeerView};
pub use self::publish::{DescriptorView, HsDirView};
pub use self::roster::{Reading, Roster};
pub use self::settings::{MeshSettings, Settings};

use self::gather::Gather;
use self::merge::{Desired, Offer, merge};
use self::mesh::Mesh;
use self::publish::{Context, Lanes, Publisher};
use self::rng::Rng;
use crate::ident::HsId;
use crate::time::{Mono, Now, Slot, TimePeriod, Wall};

/// How often the consensus is looked at although tor announced none.
const CONSENSUS_POLL: Duration = Duration::from_secs(600);

/// How soon it is asked for again after it could not be read.
const CONSENSUS_RETRY: Duration = Duration::from_secs(5);

/// How soon it is read again while microdescriptors are missing; doubled while nothing changes.
const MISSING_RETRY: Duration = Duration::from_secs(10);

/// Tor goes on using a consensus for so long after it ran out, and so do clients.
const CONSENSUS_GRACE: Duration = Duration::from_secs(24 * 3600);

/// A clock may be so far before the consensus: authorities vote ahead of time.
const CLOCK_BEHIND_MAX: Duration = Duration::from_secs(30 * 60);

/// Why the engine wants to be woken: the room whose timer it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The consensus is to be looked at.
    Consensus,
    /// A front is to be asked, or has not answered.
    Gather,
    /// A round, an upload, a retry or a fetch-back is due.
    Publish,
    /// A heartbeat, a knock, a try again or a sweep is due.
    Mesh,
}

/// The deterministic core of a node.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    rng: Rng,
    tor_up: bool,
    consensus_due: Option<Mono>,
    consensus_asked: bool,
    missing_retry: Duration,
    view: Option<Arc<ConsensusView>>,
    gather: Gather,
    publishers: BTreeMap<HsId, Publisher>,
    lanes: Lanes,
    next_id: u64,
    blocked: Option<Blocked>,
    mesh: Option<Mesh>,
    /// When the consequences were computed last: nothing older is due.
    handled_at: Mono,
    /// When and why it is to be woken: nothing changes that but what it is told.
    wake: Option<(Mono, Reason)>,
    actions: VecDeque<Action>,
}

/// How everything stands, for the status document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The control connection stands.
    pub tor_up: bool,
    /// Why nothing is published.
    pub blocked: Option<Blocked>,
    /// The period of each descriptor and which of them clients fetch.
    pub view: Option<(TimePeriod, TimePeriod, Slot)>,
    /// The fronts, this node first.
    pub fronts: Vec<FrontView>,
    /// The services with their descriptors, earlier period first.
    pub services: Vec<(HsId, Vec<DescriptorView>)>,
    /// The mesh; `None`: this node is alone.
    pub mesh: Option<MeshView>,
}

impl Engine {
    /// An engine that knows nothing yet but its settings.
    pub fn new(settings: Settings) -> Engine {
        let publishers = settings.services.iter().map(|id| (*id, Publisher::new(*id, &settings)));
        Engine {
            rng: Rng::new(settings.seed),
            tor_up: false,
            consensus_due: None,
            consensus_asked: false,
            missing_retry: MISSING_RETRY,
            view: None,
            gather: Gather::new(&settings),
            publishers: publishers.collect(),
            lanes: Lanes::new(),
            next_id: 0,
            blocked: Some(Blocked::NoTor),
            mesh: settings.mesh.clone().map(|mesh| Mesh::new(&settings, mesh)),
            wake: None,
            handled_at: Mono::default(),
            actions: VecDeque::new(),
            settings,
        }
    }

    /// Takes what happened at `now` and recomputes all consequences.
    ///
    /// A refused frame has none but its count: a flood of them must cost next to nothing.
    pub fn handle(&mut self, input: Input, now: Now) {
        if let (Input::FrameRefused { .. }, Some(mesh)) = (&input, &mut self.mesh) {
            mesh.take(input, now);
            self.actions.extend(mesh.take_actions());
            return;
        }
        let mut actions = Vec::new();
        if let Some(mesh) = &mut self.mesh {
            mesh.woke(self.wake.map(|(at, _)| at), now);
        }
        self.take(input, now, &mut actions);
        self.advance(now, &mut actions);
        self.handled_at = now.mono;
        if let Some(mesh) = &mut self.mesh {
            self.actions.extend(mesh.take_actions());
        }
        self.actions.extend(actions);
        self.wake = self.earliest_deadline();
    }

    /// The next thing to do.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Woken`] at the latest, and why.
    pub fn next_deadline(&self) -> Option<(Mono, Reason)> {
        self.wake
    }

    fn earliest_deadline(&self) -> Option<(Mono, Reason)> {
        let mesh = self.mesh.as_ref().and_then(Mesh::deadline).map(|at| (at, Reason::Mesh));
        mesh.into_iter().chain(self.tor_deadline().filter(|_| self.tor_up)).min()
    }

    fn tor_deadline(&self) -> Option<(Mono, Reason)> {
        let current = self.view.as_deref().map(ConsensusView::current);
        let publish = |p: &Publisher| p.deadline(self.handled_at, &self.settings, current);
        let publish = match self.blocked {
            None => self.publishers.values().filter_map(publish).min(),
            Some(_) => None,
        };
        let consensus = self.consensus_due.filter(|_| !self.consensus_asked);
        [
            consensus.map(|at| (at, Reason::Consensus)),
            self.gather.deadline().map(|at| (at, Reason::Gather)),
            publish.map(|at| (at, Reason::Publish)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// How everything stands.
    pub fn snapshot(&self, now: Now) -> Snapshot {
        let view = self.view.as_deref();
        let current = view.map(ConsensusView::current);
        Snapshot {
            tor_up: self.tor_up,
            blocked: self.blocked,
            view: view.map(|v| (v.first, v.second, v.window.client_facing())),
            fronts: self.fronts(current, now.mono),
            services: self.publishers.iter().map(|(id, p)| (*id, p.views(now.mono))).collect(),
            mesh: self.mesh.as_ref().map(|mesh| mesh.view(now)),
        }
    }

    fn fronts(&self, period: Option<TimePeriod>, now: Mono) -> Vec<FrontView> {
        let own = self.gather.fronts(period, now).into_iter();
        own.chain(self.mesh.iter().flat_map(|mesh| mesh.fronts(period, now))).collect()
    }

    fn take(&mut self, input: Input, now: Now, actions: &mut Vec<Action>) {
        let mono = now.mono;
        let report = |report: Report| Action::Report(report);
        match input {
            Input::TorConnected => {
                self.tor_up = true;
                self.consensus_due = Some(mono);
                self.consensus_asked = false;
                self.gather.tor_connected(mono);
                self.publishers.values_mut().for_each(Publisher::tor_returned);
            }
            Input::TorLost => {
                self.tor_up = false;
                self.gather.tor_lost();
                self.publishers.values_mut().for_each(|publisher| publisher.tor_lost(mono));
                self.lanes.clear();
            }
            Input::ConsensusArrived => self.consensus_due = Some(mono),
            Input::ConsensusRead(result) => actions.extend(self.consensus_read(result, mono)),
            Input::InstanceTouched => self.gather.touched(mono),
            Input::InstanceRead(result) => {
                actions.extend(self.gather.instance_read(result, mono).into_iter().map(report));
            }
            Input::IntroCircuitsRead(result) => self.gather.circuits_read(result, mono),
            Input::InstanceUploaded(hsdir) => {
                if let Some(view) = &self.view {
                    self.gather.instance_uploaded(view, hsdir);
                }
            }
            Input::FetchFinished(id, result) => self.fetch_finished(id, &result, now, actions),
            Input::UploadFinished(id, result) => {
                if result == Err(UploadError::UnknownHsDir) {
                    self.consensus_due = Some(mono);
                }
                self.each_publisher(now, actions, |publisher, ctx| {
                    publisher.upload_finished(id, &result, ctx)
                });
            }
            Input::Asked(id, _) if self.mesh.is_none() => {
                actions.push(Action::Reply(id, Err(RequestError::NoCluster)));
            }
            Input::FrameReceived { .. }
            | Input::FrameRefused { .. }
            | Input::LinkChanged { .. }
            | Input::TorPathChanged(_)
            | Input::Announced(_)
            | Input::Certified(_)
            | Input::Succeeded(_)
            | Input::TokenIssued(_)
            | Input::SecretsStored
            | Input::Asked(..) => {
                if let Some(mesh) = &mut self.mesh {
                    mesh.take(input, now);
                }
            }
            Input::Woken => {}
        }
    }

    fn consensus_read(
        &mut self,
        result: Result<Box<ConsensusView>, String>,
        now: Mono,
    ) -> Option<Action> {
        self.consensus_asked = false;
        let view = match result {
            Ok(view) => *view,
            Err(why) => {
                self.consensus_due = Some(now + CONSENSUS_RETRY);
                return Some(Action::Report(Report::ConsensusUnusable { why }));
            }
        };
        self.plan_next_consensus(&view, now);
        let day = |view: &ConsensusView| (view.window, view.first, view.second);
        let crossed = self.view.as_deref().is_none_or(|old| day(old) != day(&view));
        self.gather.consensus_read(&view, crossed, now);
        for publisher in self.publishers.values_mut() {
            publisher.consensus_read(&view, now);
        }
        let awaited: BTreeSet<UploadId> =
            self.publishers.values().flat_map(Publisher::awaited).map(|(_, id)| id).collect();
        self.lanes.retain(|_, id| awaited.contains(id));
        self.view = Some(Arc::new(view));
        None
    }

    /// The next look at the consensus: soon while tor still lacks microdescriptors, and ever less
    /// often while it goes on lacking the same ones.
    fn plan_next_consensus(&mut self, view: &ConsensusView, now: Mono) {
        let of = |view: &ConsensusView| (view.valid_after, view.missing);
        let news = self.view.as_deref().is_none_or(|old| of(old) != of(view));
        self.missing_retry = match view.missing {
            0 => CONSENSUS_POLL,
            _ if news => MISSING_RETRY,
            _ => CONSENSUS_POLL.min(self.missing_retry * 2),
        };
        if self.consensus_due.is_none() {
            self.consensus_due = Some(now + self.rng.around(self.missing_retry));
        }
    }

    fn fetch_finished(
        &mut self,
        id: FetchId,
        result: &Result<Fetched, ReadError>,
        now: Now,
        actions: &mut Vec<Action>,
    ) {
        if let Some(view) = &self.view
            && let Some(reports) =
                self.gather.fetch_finished(id, result, view, now.mono, &mut self.rng)
        {
            actions.extend(reports.into_iter().map(Action::Report));
            return;
        }
        self.each_publisher(now, actions, |publisher, ctx| {
            publisher.fetch_finished(id, result, ctx)
        });
    }

    /// Offers something to the publishers until one says that it was its own.
    fn each_publisher(
        &mut self,
        now: Now,
        actions: &mut Vec<Action>,
        mut offer: impl FnMut(&mut Publisher, &mut Context<'_>) -> bool,
    ) {
        let mut ctx = Context {
            now,
            settings: &self.settings,
            rng: &mut self.rng,
            lanes: &mut self.lanes,
            next_id: &mut self.next_id,
            actions,
        };
        for publisher in self.publishers.values_mut() {
            if offer(publisher, &mut ctx) {
                return;
            }
        }
    }

    fn advance(&mut self, now: Now, actions: &mut Vec<Action>) {
        if self.tor_up {
            if !self.consensus_asked && self.consensus_due.is_some_and(|due| due <= now.mono) {
                self.consensus_asked = true;
                self.consensus_due = None;
                actions.push(Action::ReadConsensus);
            }
            let view = self.view.as_deref();
            self.gather.advance(now.mono, view, &mut self.next_id, &mut self.rng, actions);
        }
        self.advance_mesh(now);
        let desired = self.desired();
        let blocked = self.find_block(&desired, now.wall);
        let blocked = match &mut self.mesh {
            Some(mesh) => mesh.permits(blocked, now.mono).err(),
            None => blocked,
        };
        if blocked != self.blocked {
            self.blocked = blocked;
            actions.push(Action::Report(Report::Blocked(blocked)));
        }
        let Some(view) = self.view.clone().filter(|_| blocked.is_none()) else { return };
        self.each_publisher(now, actions, |publisher, ctx| {
            if let Some(desired) = desired.get(publisher.service()) {
                publisher.advance(&view, desired, ctx);
            }
            false
        });
    }

    fn advance_mesh(&mut self, now: Now) {
        let Some(mesh) = &mut self.mesh else { return };
        let view = self.view.as_deref().filter(|_| self.tor_up);
        let offers = view.map(|view| self.gather.own_offers(view)).unwrap_or_default();
        mesh.advance(view.is_some(), &offers, now);
    }

    /// The merged content of every descriptor, as the fronts offer it now.
    fn desired(&self) -> BTreeMap<HsId, BTreeMap<TimePeriod, Desired>> {
        let Some(view) = &self.view else { return BTreeMap::new() };
        let max = self.settings.max_intro_points;
        let offers = Slot::BOTH.map(|slot| {
            let period = view.period(slot);
            let peers = self.mesh.iter().flat_map(|mesh| mesh.offers(period));
            (period, self.gather.offers(period).into_iter().chain(peers).collect::<Vec<_>>())
        });
        let of_service = |(id, publisher): (&HsId, &Publisher)| {
            let plan = |(period, offers): &(TimePeriod, Vec<Offer<'_>>)| {
                let previous = publisher.plan(period);
                let removes = previous.is_some_and(|plan| plan.outlives(offers));
                merge(offers, previous, max).map(|plan| (*period, Desired { plan, removes }))
            };
            (*id, offers.iter().filter_map(plan).collect())
        };
        self.publishers.iter().map(of_service).collect()
    }

    fn find_block(
        &self,
        desired: &BTreeMap<HsId, BTreeMap<TimePeriod, Desired>>,
        wall: Wall,
    ) -> Option<Blocked> {
        let Some(view) = self.view.as_ref().filter(|_| self.tor_up) else {
            return Some(if self.tor_up { Blocked::NoConsensus } else { Blocked::NoTor });
        };
        if wall > view.valid_until + CONSENSUS_GRACE {
            Some(Blocked::ConsensusExpired)
        } else if wall + CLOCK_BEHIND_MAX < view.valid_after {
            Some(Blocked::ClockBehind)
        } else if !self.gather.settled() {
            Some(Blocked::Gathering)
        } else if desired.values().all(BTreeMap::is_empty) {
            Some(Blocked::NoPoints)
        } else {
            None
        }
    }
}
