//! The world around one engine: a tor, backends and HSDirs that answer after a while.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::testing::{address, front, period, point, relay};
use super::super::*;
use crate::ident::{IntroPoint, RelayId, Revision};
use crate::time::{Wall, Window};

/// The address of the only service.
pub(super) const MASTER: u8 = 100;
/// The own instance.
pub(super) const OWN: u8 = 1;
/// The first backend; the second is the next number.
pub(super) const BACKEND: u8 = 2;

/// How an HSDir behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Fine,
    /// Never answers.
    Dead,
    /// Refuses every upload.
    Refusing,
    /// Tor does not know it.
    Unknown,
    /// Takes documents and forgets them.
    Forgetful,
    /// Answers an upload after its time-out, and takes it only then.
    Slow,
}

/// What an HSDir holds for one period of the master address.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) signed_at: Wall,
    pub(super) ours: bool,
    pub(super) plan: Option<Arc<Plan>>,
}

/// An upload as an HSDir saw it.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) at: Mono,
    pub(super) upload: Upload,
}

pub(super) struct World {
    started: bool,
    pub(super) engine: Engine,
    pub(super) mono: Mono,
    /// What the wall clock shows at time zero.
    pub(super) wall_start: Wall,
    pub(super) view: ConsensusView,
    pub(super) moods: BTreeMap<RelayId, Mood>,
    pub(super) stored: BTreeMap<(RelayId, TimePeriod), Stored>,
    /// The own instance's points per period; `GETINFO` shows the first descriptor's.
    pub(super) own: BTreeMap<TimePeriod, Vec<IntroPoint>>,
    pub(super) standing: BTreeSet<RelayId>,
    /// The backends' points; `None`: no HSDir has a descriptor.
    pub(super) backends: BTreeMap<HsId, Option<Vec<IntroPoint>>>,
    pub(super) uploads: Vec<Seen>,
    pub(super) fetches: Vec<(Mono, HsId, RelayId)>,
    fetch_ids: BTreeSet<FetchId>,
    /// Uploads that a slow HSDir has not looked at yet.
    pub(super) slow: Vec<Upload>,
    /// How often the consensus was read.
    pub(super) consensus_reads: usize,
    /// All instances' descriptors ask for proof of work.
    pub(super) pow: bool,
    pub(super) reports: Vec<(Mono, Report)>,
    pub(super) tor_up: bool,
    queue: BTreeMap<(Mono, u64), Input>,
    sequence: u64,
}

pub(super) fn settings() -> Settings {
    Settings {
        node: front("node-a"),
        instance: address(OWN),
        services: vec![address(MASTER)],
        backends: vec![(front("web-b"), address(BACKEND)), (front("web-c"), address(BACKEND + 1))],
        poll: Duration::from_secs(60),
        backend_poll: Duration::from_secs(300),
        refresh_min: Duration::from_secs(3600),
        refresh_max: Duration::from_secs(7200),
        burst: 4,
        burst_refill: Duration::from_secs(60),
        debounce: Duration::from_millis(300),
        max_intro_points: None,
        verify: true,
        quick_retries: 3,
        upload_timeout: Duration::from_secs(60),
        seed: 7,
        mesh: None,
    }
}

/// Points at relays `from` to `to`, with keys of the same numbers.
pub(super) fn points(from: u8, to: u8) -> Vec<IntroPoint> {
    (from..=to).map(|n| point(n, n)).collect()
}

/// A consensus in window A with eight HSDirs a descriptor, six of them asked by clients.
pub(super) fn view() -> ConsensusView {
    let ring = |first: u8| Responsible {
        first: (first..first + 8).map(relay).collect(),
        second: (first + 20..first + 28).map(relay).collect(),
        fetch: (first..first + 6).map(relay).collect(),
    };
    let addresses = [OWN, BACKEND, BACKEND + 1, MASTER];
    ConsensusView {
        valid_after: Wall(1_800_000_000),
        valid_until: Wall(1_800_000_000) + Duration::from_secs(3 * 3600),
        window: Window::SrvToPeriod,
        first: period(5),
        second: period(6),
        missing: 0,
        rings: addresses.iter().map(|&a| (address(a), ring(120))).collect(),
    }
}

impl World {
    pub(super) fn new() -> World {
        World::with(settings())
    }

    pub(super) fn with(settings: Settings) -> World {
        World {
            started: false,
            engine: Engine::new(settings),
            mono: Mono::default(),
            wall_start: Wall(1_800_000_000),
            view: view(),
            moods: BTreeMap::new(),
            stored: BTreeMap::new(),
            own: BTreeMap::from([(period(5), points(1, 3)), (period(6), points(4, 6))]),
            standing: (1..=6).map(relay).collect(),
            backends: BTreeMap::from([
                (address(BACKEND), Some(points(11, 13))),
                (address(BACKEND + 1), Some(points(21, 23))),
            ]),
            uploads: Vec::new(),
            fetches: Vec::new(),
            fetch_ids: BTreeSet::new(),
            slow: Vec::new(),
            consensus_reads: 0,
            pow: false,
            reports: Vec::new(),
            tor_up: true,
            queue: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub(super) fn now(&self) -> Now {
        Now { mono: self.mono, wall: self.wall_start + self.mono.0 }
    }

    /// Tells the engine something now.
    pub(super) fn say(&mut self, input: Input) {
        let now = self.now();
        self.engine.handle(input, now);
        self.drain();
    }

    /// A new consensus arrives, changed by `change`.
    pub(super) fn consensus(&mut self, change: impl FnOnce(&mut ConsensusView)) {
        change(&mut self.view);
        self.view.valid_after = self.now().wall;
        self.view.valid_until = self.view.valid_after + Duration::from_secs(3 * 3600);
        self.say(Input::ConsensusArrived);
    }

    /// Lets virtual time pass.
    pub(super) fn run(&mut self, seconds: f64) {
        if !std::mem::replace(&mut self.started, true) {
            self.say(Input::TorConnected);
        }
        let end = self.mono + Duration::from_secs_f64(seconds);
        let mut idle_wakes = 0;
        loop {
            let event = self.queue.keys().next().map(|(at, _)| *at);
            let wake = self.engine.next_deadline().map(|(at, _)| at);
            let next = event.into_iter().chain(wake).min().filter(|at| *at <= end);
            let Some(next) = next else { break };
            idle_wakes = if next > self.mono { 0 } else { idle_wakes + 1 };
            assert!(idle_wakes < 200, "spins: {:?}", self.engine.next_deadline());
            self.mono = self.mono.max(next);
            match self.queue.first_entry().filter(|entry| entry.key().0 <= self.mono) {
                Some(entry) => {
                    let input = entry.remove();
                    self.say(input);
                }
                None => self.say(Input::Woken),
            }
        }
        self.mono = end;
    }

    pub(super) fn lose_tor(&mut self) {
        self.tor_up = false;
        self.queue.clear();
        self.say(Input::TorLost);
    }

    pub(super) fn return_tor(&mut self) {
        self.tor_up = true;
        self.say(Input::TorConnected);
    }

    /// What the HSDirs of a slot hold: the plans' owners, or nothing.
    pub(super) fn published(&self, slot: Slot) -> Vec<Option<Arc<Plan>>> {
        let ring = &self.view.rings[&address(MASTER)];
        let period = self.view.period(slot);
        let stored = |hsdir: &RelayId| self.stored.get(&(*hsdir, period))?.plan.clone();
        ring.store(slot).iter().map(stored).collect()
    }

    /// The plan that every HSDir of the slot holds.
    pub(super) fn agreed(&self, slot: Slot) -> Arc<Plan> {
        let mut plans = self.published(slot);
        let first = plans.pop().flatten().expect("the HSDir has one");
        assert!(plans.iter().all(|plan| plan.as_ref() == Some(&first)), "{plans:?}");
        first
    }

    pub(super) fn said(&self, wanted: impl Fn(&Report) -> bool) -> usize {
        self.reports.iter().filter(|(_, report)| wanted(report)).count()
    }

    pub(super) fn confirmed_rounds(&self) -> usize {
        self.said(|report| matches!(report, Report::PublishConfirmed { .. }))
    }

    /// The moments at which rounds began.
    pub(super) fn rounds(&self) -> Vec<(Mono, RoundReason)> {
        let round = |(at, report): &(Mono, Report)| match report {
            Report::PublishStarted { why, .. } => Some((*at, *why)),
            _ => None,
        };
        self.reports.iter().filter_map(round).collect()
    }

    fn later(&mut self, delay_ms: u64, input: Input) {
        self.sequence += 1;
        self.queue.insert((self.mono + Duration::from_millis(delay_ms), self.sequence), input);
    }

    fn mood(&self, hsdir: &RelayId) -> Mood {
        self.moods.get(hsdir).copied().unwrap_or(Mood::Fine)
    }

    fn drain(&mut self) {
        while let Some(action) = self.engine.poll_action() {
            assert!(self.tor_up || matches!(action, Action::Report(_)), "no tor for {action:?}");
            match action {
                Action::Report(report) => self.reports.push((self.mono, report)),
                Action::ReadConsensus => {
                    self.consensus_reads += 1;
                    let view = Box::new(self.view.clone());
                    self.later(20, Input::ConsensusRead(Ok(view)));
                }
                Action::ReadInstance => {
                    let read = self.own_reading(self.view.first);
                    self.later(2, Input::InstanceRead(read));
                }
                Action::ReadIntroCircuits => {
                    let standing = self.standing.clone();
                    self.later(2, Input::IntroCircuitsRead(Ok(standing)));
                }
                Action::Fetch { id, address, from } => self.fetch(id, address, from),
                Action::Upload(upload) => self.upload(upload),
                other => panic!("a node alone must not {other:?}"),
            }
        }
    }

    fn reading(
        &self,
        points: Option<&Vec<IntroPoint>>,
        of: TimePeriod,
    ) -> Result<Reading, ReadError> {
        let points = points.cloned().ok_or(ReadError::NotFound)?;
        let flow_control = Some("1-2 31".to_owned());
        let roster = Roster::new(of, points, flow_control).ok_or(ReadError::NotFound)?;
        let revision = Revision(self.now().wall.seconds_since(Wall(0)).unsigned_abs());
        Ok(Reading { roster, revision, pow: self.pow })
    }

    fn own_reading(&self, of: TimePeriod) -> Result<Reading, ReadError> {
        self.reading(self.own.get(&of), of)
    }

    fn fetch(&mut self, id: FetchId, of: HsId, from: RelayId) {
        assert!(self.fetch_ids.insert(id), "{id:?} names two fetches");
        self.fetches.push((self.mono, of, from));
        let current = self.view.current();
        let answer = match self.mood(&from) {
            Mood::Dead => return,
            Mood::Unknown => Err(ReadError::Failed("unknown".into())),
            _ if of == address(MASTER) => match self.stored.get(&(from, current)) {
                Some(stored) => Ok(Fetched::Master(Returned {
                    period: current,
                    signed_at: Some(stored.signed_at),
                    ours: stored.ours,
                })),
                None => Err(ReadError::NotFound),
            },
            _ if of == address(OWN) => self.own_reading(current).map(Fetched::Roster),
            _ => {
                let points = self.backends.get(&of).and_then(Option::as_ref);
                self.reading(points, current).map(Fetched::Roster)
            }
        };
        self.later(200, Input::FetchFinished(id, answer));
    }

    fn upload(&mut self, upload: Upload) {
        self.uploads.push(Seen { at: self.mono, upload: upload.clone() });
        let mood = self.mood(&upload.to);
        if mood == Mood::Dead {
            return;
        }
        if mood == Mood::Slow {
            self.slow.push(upload);
            return;
        }
        let key = (upload.to, upload.period);
        let newer = self.stored.get(&key).is_none_or(|stored| stored.signed_at < upload.signed_at);
        let answer = match mood {
            Mood::Unknown => Err(UploadError::UnknownHsDir),
            Mood::Refusing => Err(UploadError::Rejected),
            _ if !newer => Err(UploadError::Rejected),
            _ => Ok(()),
        };
        if answer.is_ok() && mood != Mood::Forgetful {
            let stored =
                Stored { signed_at: upload.signed_at, ours: true, plan: Some(upload.plan.clone()) };
            self.stored.insert(key, stored);
        }
        self.later(100, Input::UploadFinished(upload.id, answer));
    }
}
