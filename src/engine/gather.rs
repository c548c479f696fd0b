//! Gathering the fronts' introduction points.
//!
//! The own instance is read from the own tor: event-driven, with a slow poll as safety net. Tor
//! shows only its *current* descriptor there. From a new time period until the next shared random
//! value clients use the other one, so in that window it is fetched from the HSDirs, as every
//! plain backend's is always.
//!
//! Tor goes on showing points whose circuit is gone until all replacements stand, so only points
//! whose relay has an established introduction circuit are offered.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::action::{Action, ConsensusView, FetchId, Fetched, ReadError, Report, Responsible};
use super::fetch::{Failed, FetchCycle};
use super::merge::Offer;
use super::rng::Rng;
use super::roster::{Learned, Reading, Roster, Rosters};
use super::settings::Settings;
use crate::ident::{HsId, IntroPoint, NodeId, RelayId};
use crate::time::{Mono, Slot, TimePeriod, Window};

/// A closed introduction circuit is first rebuilt to the same point: so long the point stays.
pub(super) const CIRCUIT_GRACE: Duration = Duration::from_millis(1500);

/// How often tor is asked while it has no descriptor yet, did not answer, or lacks a circuit.
const READ_RETRY: Duration = Duration::from_secs(2);

/// After the first consensus of a connection: how long to wait for every front's first answer.
const SETTLE: Duration = Duration::from_secs(15);

/// A descriptor that no HSDir could be asked for so long has certainly expired there.
const ROSTER_LIFETIME: Duration = Duration::from_secs(180 * 60);

/// So many cycles over all HSDirs must find nothing before a backend counts as gone.
const NOWHERE_CYCLES: u32 = 2;

/// Everything about the fronts and their rosters.
#[derive(Debug)]
pub(super) struct Gather {
    own: Own,
    backends: Vec<Backend>,
    settling: Settling,
}

/// The first round waits until every front could say what it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settling {
    /// For a consensus.
    Waiting,
    Until(Mono),
    Done,
}

/// One question to tor that is asked again when something was touched meanwhile.
#[derive(Debug, Default)]
struct Ask {
    due: Option<Mono>,
    in_flight: bool,
}

impl Ask {
    fn by(&mut self, when: Mono) {
        self.due = Some(self.due.map_or(when, |due| due.min(when)));
    }

    fn take(&mut self, now: Mono) -> bool {
        let ready = !self.in_flight && self.due.is_some_and(|due| due <= now);
        if ready {
            *self = Ask { due: None, in_flight: true };
        }
        ready
    }

    fn answered(&mut self, again: Mono) {
        self.in_flight = false;
        self.by(again);
    }

    fn deadline(&self) -> Option<Mono> {
        self.due.filter(|_| !self.in_flight)
    }
}

#[derive(Debug)]
struct Own {
    name: NodeId,
    poll: Duration,
    instance: Ask,
    circuits: Ask,
    /// The relays with an introduction circuit, and since when it is gone; `None` before the
    /// first answer.
    standing: Option<BTreeMap<RelayId, Option<Mono>>>,
    rosters: Rosters,
    cycle: FetchCycle,
    fetch_answered: bool,
    /// Why tor could not be asked, or its descriptor not be used.
    read_error: Option<String>,
    /// Why the client-facing descriptor could not be fetched, in the window where it is.
    fetch_error: Option<String>,
}

#[derive(Debug)]
struct Backend {
    name: NodeId,
    rosters: Rosters,
    cycle: FetchCycle,
    answered: bool,
    nowhere: u32,
    last_error: Option<String>,
}

/// How one front stands, for the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontView {
    /// Its name.
    pub name: NodeId,
    /// Its address; this node's instance or a backend's.
    pub address: HsId,
    /// It is a plain backend, without a node.
    pub backend: bool,
    /// Introduction points in its client-facing roster; `None`: not known.
    pub named: Option<usize>,
    /// Those of them that are offered: at this node, those whose circuit stands.
    pub offered: Option<usize>,
    /// Since the last reading.
    pub age: Option<Duration>,
    /// Its descriptor asks clients for proof of work, which is left out.
    pub pow: bool,
    /// What has gone wrong since then.
    pub last_error: Option<String>,
}

impl Gather {
    pub(super) fn new(settings: &Settings) -> Gather {
        let backend = |(name, address): &(NodeId, HsId)| Backend {
            name: name.clone(),
            rosters: Rosters::default(),
            cycle: FetchCycle::new(*address, settings.backend_poll),
            answered: false,
            nowhere: 0,
            last_error: None,
        };
        Gather {
            own: Own {
                name: settings.node.clone(),
                poll: settings.poll,
                instance: Ask::default(),
                circuits: Ask::default(),
                standing: None,
                rosters: Rosters::default(),
                cycle: FetchCycle::new(settings.instance, settings.backend_poll),
                fetch_answered: false,
                read_error: None,
                fetch_error: None,
            },
            backends: settings.backends.iter().map(backend).collect(),
            settling: Settling::Waiting,
        }
    }

    /// Tor is back: whatever was known of the own instance may be another process's.
    pub(super) fn tor_connected(&mut self, now: Mono) {
        self.own.instance = Ask { due: Some(now), in_flight: false };
        self.own.circuits = Ask { due: Some(now), in_flight: false };
        self.settling = Settling::Waiting;
        self.backends.iter_mut().for_each(|backend| {
            backend.answered = false;
            backend.cycle.stop();
        });
        self.own.cycle.stop();
    }

    pub(super) fn tor_lost(&mut self) {
        self.own.standing = None;
        self.own.rosters.clear();
        self.own.fetch_answered = false;
        self.own.instance = Ask::default();
        self.own.circuits = Ask::default();
        self.own.cycle.stop();
        self.backends.iter_mut().for_each(|backend| backend.cycle.stop());
    }

    /// A consensus was read; `crossed`: it is in another window or period than the one before.
    pub(super) fn consensus_read(&mut self, view: &ConsensusView, crossed: bool, now: Mono) {
        self.own.rosters.retain_from(view.first);
        for backend in &mut self.backends {
            backend.rosters.retain_from(view.first);
            if crossed || backend.cycle.deadline().is_none() {
                backend.cycle.start(now);
            }
        }
        match view.window {
            Window::SrvToPeriod => {
                self.own.cycle.stop();
                self.own.fetch_error = None;
            }
            Window::PeriodToSrv if crossed || self.own.cycle.deadline().is_none() => {
                self.own.fetch_answered = false;
                self.own.cycle.start(now);
            }
            Window::PeriodToSrv => {}
        }
        if crossed {
            self.touched(now);
        }
    }

    /// Tor touched the instance's descriptor or circuits.
    pub(super) fn touched(&mut self, now: Mono) {
        self.own.instance.by(now);
        self.own.circuits.by(now);
    }

    /// Tor uploaded a descriptor of the instance; only those of the second one are a hint.
    pub(super) fn instance_uploaded(&mut self, view: &ConsensusView, hsdir: RelayId) {
        let second = view
            .rings
            .get(self.own.cycle.address())
            .is_some_and(|ring| ring.second.contains(&hsdir));
        if view.window == Window::PeriodToSrv && second {
            self.own.cycle.hint(hsdir);
        }
    }

    pub(super) fn instance_read(
        &mut self,
        result: Result<Reading, ReadError>,
        now: Mono,
    ) -> Vec<Report> {
        let read = result.is_ok();
        let report = match result {
            Ok(reading) => {
                self.own.read_error = None;
                let news = News::before(&self.own.rosters, &reading);
                let learned = self.own.rosters.replace(reading, now);
                news.reports(&self.own.name, learned)
            }
            Err(error) => {
                self.own.read_error = Some(error.to_string());
                refusal(&self.own.name, error)
            }
        };
        self.own.instance.answered(now + if read { self.own.poll } else { READ_RETRY });
        report
    }

    pub(super) fn circuits_read(&mut self, result: Result<BTreeSet<RelayId>, String>, now: Mono) {
        let again = match result {
            Ok(established) => {
                let standing = self.own.standing.get_or_insert_default();
                for (_, gone) in standing.iter_mut().filter(|(r, _)| !established.contains(r)) {
                    gone.get_or_insert(now);
                }
                standing.extend(established.into_iter().map(|relay| (relay, None)));
                let stands = |relay| standing.get(relay).is_some_and(Option::is_none);
                let all = self.own.rosters.points().all(|point| stands(&point.relay));
                if all { self.own.poll } else { READ_RETRY }
            }
            Err(why) => {
                self.own.read_error = Some(why);
                READ_RETRY
            }
        };
        self.own.circuits.answered(now + again);
    }

    /// Takes the answer of a fetch that belongs to a front; `None` when it does not.
    pub(super) fn fetch_finished(
        &mut self,
        id: FetchId,
        result: &Result<Fetched, ReadError>,
        view: &ConsensusView,
        now: Mono,
        rng: &mut Rng,
    ) -> Option<Vec<Report>> {
        let ring = |address: &HsId| view.rings.get(address).map_or(&[][..], |r| &r.fetch);
        if self.own.cycle.expects(id) {
            return Some(self.own.fetch_finished(result, view, now, rng));
        }
        let backend = self.backends.iter_mut().find(|backend| backend.cycle.expects(id))?;
        let ring = ring(backend.cycle.address());
        Some(backend.fetch_finished(result, ring, now, rng))
    }

    /// Asks what is due.
    pub(super) fn advance(
        &mut self,
        now: Mono,
        view: Option<&ConsensusView>,
        next_id: &mut u64,
        rng: &mut Rng,
        actions: &mut Vec<Action>,
    ) {
        if let Some(standing) = &mut self.own.standing {
            standing.retain(|_, gone| gone.is_none_or(|since| since + CIRCUIT_GRACE > now));
        }
        if self.own.circuits.take(now) {
            actions.push(Action::ReadIntroCircuits);
        }
        if self.own.instance.take(now) {
            actions.push(Action::ReadInstance);
        }
        let Some(view) = view else { return };
        self.settle(view, now);
        let none = Responsible::default();
        let ring = |address: &HsId| view.rings.get(address).unwrap_or(&none);
        let timeout = Err(ReadError::Failed("no answer in time".to_owned()));
        if self.own.cycle.timed_out(now) {
            let reports = self.own.fetch_finished(&timeout, view, now, rng);
            actions.extend(reports.into_iter().map(Action::Report));
        }
        let own_ring = ring(self.own.cycle.address());
        actions.extend(self.own.cycle.advance(now, &own_ring.fetch, next_id, rng));
        for backend in &mut self.backends {
            let ring = &ring(backend.cycle.address()).fetch;
            if backend.cycle.timed_out(now) {
                let reports = backend.fetch_finished(&timeout, ring, now, rng);
                actions.extend(reports.into_iter().map(Action::Report));
            }
            actions.extend(backend.cycle.advance(now, ring, next_id, rng));
        }
    }

    /// Whether every front has been asked since tor came, or has had time enough to answer.
    pub(super) fn settled(&self) -> bool {
        self.settling == Settling::Done
    }

    fn settle(&mut self, view: &ConsensusView, now: Mono) {
        let everyone = self.own.answered(view) && self.backends.iter().all(|b| b.answered);
        self.settling = match self.settling {
            Settling::Waiting => Settling::Until(now + SETTLE),
            Settling::Until(until) if everyone || until <= now => Settling::Done,
            unchanged => unchanged,
        };
    }

    /// What every front offers for `period`.
    pub(super) fn offers(&self, period: TimePeriod) -> Vec<Offer<'_>> {
        let own = self.own.offer(period);
        own.into_iter().chain(self.backends.iter().filter_map(|b| b.offer(period))).collect()
    }

    /// What this node offers itself, each with the period that it was read for.
    pub(super) fn own_offers(&self, view: &ConsensusView) -> Vec<(TimePeriod, Offer<'_>)> {
        let read_for = |slot| self.own.rosters.serving(view.period(slot)).map(Roster::period);
        let mut periods: Vec<TimePeriod> = Slot::BOTH.into_iter().filter_map(read_for).collect();
        periods.dedup();
        periods.into_iter().filter_map(|period| Some((period, self.own.offer(period)?))).collect()
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        let grace = self.own.standing.iter().flat_map(BTreeMap::values);
        let grace = grace.flatten().map(|since| *since + CIRCUIT_GRACE);
        let own = [
            self.own.circuits.deadline(),
            self.own.instance.deadline(),
            self.own.cycle.deadline(),
            match self.settling {
                Settling::Until(until) => Some(until),
                Settling::Waiting | Settling::Done => None,
            },
        ];
        let backends = self.backends.iter().map(|backend| backend.cycle.deadline());
        own.into_iter().chain(backends).flatten().chain(grace).min()
    }

    pub(super) fn fronts(&self, period: Option<TimePeriod>, now: Mono) -> Vec<FrontView> {
        let offered = |offer: Option<Offer<'_>>| offer.map(|offer| offer.points.len());
        let named = |rosters: &Rosters| Some(rosters.serving(period?)?.points().len());
        let own = FrontView {
            name: self.own.name.clone(),
            address: *self.own.cycle.address(),
            backend: false,
            offered: offered(period.and_then(|period| self.own.offer(period))),
            named: named(&self.own.rosters),
            age: self.own.rosters.last_read().map(|at| now - at),
            pow: self.own.rosters.pow(),
            last_error: self.own.read_error.clone().or_else(|| self.own.fetch_error.clone()),
        };
        let backends = self.backends.iter().map(|backend| FrontView {
            name: backend.name.clone(),
            address: *backend.cycle.address(),
            backend: true,
            offered: offered(period.and_then(|period| backend.offer(period))),
            named: named(&backend.rosters),
            age: backend.rosters.last_read().map(|at| now - at),
            pow: backend.rosters.pow(),
            last_error: backend.last_error.clone(),
        });
        std::iter::once(own).chain(backends).collect()
    }
}

impl Own {
    fn answered(&self, view: &ConsensusView) -> bool {
        let read = self.rosters.last_read().is_some() && self.standing.is_some();
        read && (view.window == Window::SrvToPeriod || self.fetch_answered)
    }

    fn offer(&self, period: TimePeriod) -> Option<Offer<'_>> {
        let standing = self.standing.as_ref()?;
        let roster = self.rosters.serving(period)?;
        let stands = |point: &&IntroPoint| standing.contains_key(&point.relay);
        Some(Offer {
            front: &self.name,
            points: roster.points().iter().filter(stands).collect(),
            flow_control: roster.flow_control(),
        })
    }

    fn fetch_finished(
        &mut self,
        result: &Result<Fetched, ReadError>,
        view: &ConsensusView,
        now: Mono,
        rng: &mut Rng,
    ) -> Vec<Report> {
        let ring = view.rings.get(self.cycle.address()).map_or(&[][..], |r| &r.fetch);
        let (answer, reports) =
            take_fetched(&self.name, result, &mut self.rosters, &mut self.cycle, ring, now, rng);
        match answer {
            Answer::Good => {
                self.fetch_answered = true;
                self.fetch_error = None;
            }
            Answer::Bad(Failed::OthersLeft, _) => {}
            Answer::Bad(_, why) => {
                self.fetch_answered = true;
                self.fetch_error = Some(why);
            }
        }
        reports
    }
}

impl Backend {
    fn offer(&self, period: TimePeriod) -> Option<Offer<'_>> {
        let roster: &Roster = self.rosters.serving(period)?;
        Some(Offer {
            front: &self.name,
            points: roster.points().iter().collect(),
            flow_control: roster.flow_control(),
        })
    }

    fn fetch_finished(
        &mut self,
        result: &Result<Fetched, ReadError>,
        ring: &[RelayId],
        now: Mono,
        rng: &mut Rng,
    ) -> Vec<Report> {
        let (answer, mut reports) =
            take_fetched(&self.name, result, &mut self.rosters, &mut self.cycle, ring, now, rng);
        match answer {
            Answer::Good => {
                self.answered = true;
                self.nowhere = 0;
                self.last_error = None;
            }
            Answer::Bad(Failed::OthersLeft, _) => {}
            Answer::Bad(failed, why) => {
                self.answered = true;
                self.nowhere += u32::from(failed == Failed::NowhereFound);
                self.last_error = Some(why);
                let old = |at: Mono| now - at >= ROSTER_LIFETIME;
                let expired = self.rosters.last_read().is_some_and(old);
                if self.rosters.last_read().is_some() && (expired || self.nowhere >= NOWHERE_CYCLES)
                {
                    self.rosters.clear();
                    reports.push(Report::FrontGone { front: self.name.clone() });
                }
            }
        }
        reports
    }
}

enum Answer {
    Good,
    Bad(Failed, String),
}

fn take_fetched(
    name: &NodeId,
    result: &Result<Fetched, ReadError>,
    rosters: &mut Rosters,
    cycle: &mut FetchCycle,
    ring: &[RelayId],
    now: Mono,
    rng: &mut Rng,
) -> (Answer, Vec<Report>) {
    let error = match result {
        Ok(Fetched::Roster(reading)) => {
            let news = News::before(rosters, reading);
            match rosters.learn(reading.clone(), now) {
                Learned::Stale => ReadError::Failed("it has an older one than others".to_owned()),
                learned => {
                    cycle.succeeded(now, learned == Learned::Changed, rng);
                    return (Answer::Good, news.reports(name, learned));
                }
            }
        }
        Ok(Fetched::Master(_)) => ReadError::Refused("a master descriptor".to_owned()),
        Err(error) => error.clone(),
    };
    let failed = cycle.failed(now, ring, &error, rng);
    (Answer::Bad(failed, error.to_string()), refusal(name, error))
}

/// What a reading would tell that was not known before it.
struct News {
    points: usize,
    pow: bool,
}

impl News {
    fn before(rosters: &Rosters, reading: &Reading) -> News {
        News { points: reading.roster.points().len(), pow: reading.pow && !rosters.pow() }
    }

    fn reports(&self, front: &NodeId, learned: Learned) -> Vec<Report> {
        let (front, points) = (front.clone(), self.points);
        let pow = self.pow.then(|| Report::PowIgnored { front: front.clone() });
        let changed = learned == Learned::Changed;
        changed.then_some(Report::RosterChanged { front, points }).into_iter().chain(pow).collect()
    }
}

fn refusal(front: &NodeId, error: ReadError) -> Vec<Report> {
    match error {
        ReadError::Refused(why) => vec![Report::ReadingRefused { front: front.clone(), why }],
        ReadError::NotFound | ReadError::Failed(_) => Vec::new(),
    }
}
