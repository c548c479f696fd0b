//! How long the engine takes to decide; figures are in `docs/performance.md`.
//!
//! Every input recomputes all consequences (`rustbalance::engine`), the merge of every service
//! included, so the price of one event is the price of everything.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::collections::BTreeMap;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use rustbalance::engine::{
    Action, ConsensusView, Engine, Fetched, Input, Reading, Responsible, Roster, Settings,
};
use rustbalance::ident::{HsId, IntroPoint, NodeId, RelayId, Revision};
use rustbalance::time::{Mono, Now, TimePeriod, Wall, Window};

const FIRST: TimePeriod = TimePeriod { number: 20_776, length_min: 1440, offset_s: 43_200 };
const START: Wall = Wall(1_795_176_000);
const POINTS_PER_FRONT: u8 = 3;

/// The own instance; backends have the numbers after it.
const OWN: u8 = 1;
/// The first master address; further ones have the numbers after it.
const MASTER: u8 = 100;

fn address(number: u8) -> HsId {
    HsId([number; 32])
}

fn name(front: u8) -> NodeId {
    format!("front-{front}").parse().unwrap()
}

/// An engine with a tor that answers everything at once.
struct World {
    engine: Engine,
    fronts: u8,
    services: u8,
    mono: Mono,
    uploads: usize,
}

impl World {
    /// Runs until every descriptor is published, every upload confirmed.
    fn settled(fronts: u8, services: u8) -> World {
        let settings = Settings {
            node: name(OWN),
            instance: address(OWN),
            services: (0..services).map(|n| address(MASTER + n)).collect(),
            backends: (OWN + 1..=fronts).map(|n| (name(n), address(n))).collect(),
            poll: Duration::from_secs(60),
            backend_poll: Duration::from_secs(300),
            refresh_min: Duration::from_secs(3600),
            refresh_max: Duration::from_secs(7200),
            burst: 4,
            burst_refill: Duration::from_secs(60),
            debounce: Duration::from_millis(300),
            max_intro_points: None,
            verify: false,
            quick_retries: 3,
            upload_timeout: Duration::from_secs(60),
            seed: 1,
            mesh: None,
        };
        let engine = Engine::new(settings);
        let mut world = World { engine, fronts, services, mono: Mono::default(), uploads: 0 };
        world.say(Input::TorConnected);
        while world.mono < Mono(Duration::from_secs(50)) {
            world.mono = world.engine.next_deadline().unwrap().0;
            world.say(Input::Woken);
        }
        assert_eq!(world.uploads, 16 * usize::from(services), "two descriptors at eight HSDirs");
        world
    }

    fn now(&self) -> Now {
        Now { mono: self.mono, wall: START + self.mono.0 }
    }

    /// Tells the engine something and answers all that it asks, until it is quiet.
    fn say(&mut self, input: Input) {
        self.engine.handle(input, self.now());
        while let Some(action) = self.engine.poll_action() {
            if let Some(answer) = self.answer(&action) {
                self.engine.handle(answer, self.now());
            }
        }
    }

    fn answer(&mut self, action: &Action) -> Option<Input> {
        match action {
            Action::ReadConsensus => Some(Input::ConsensusRead(Ok(Box::new(self.view())))),
            Action::ReadInstance => Some(Input::InstanceRead(Ok(self.reading(OWN, 0)))),
            Action::ReadIntroCircuits => {
                let standing = self.roster(OWN, 0).into_iter().map(|point| point.relay);
                Some(Input::IntroCircuitsRead(Ok(standing.collect())))
            }
            Action::Fetch { id, address, .. } => {
                let reading = self.reading(address.0[0], 0);
                Some(Input::FetchFinished(*id, Ok(Fetched::Roster(reading))))
            }
            Action::Upload(upload) => {
                self.uploads += 1;
                Some(Input::UploadFinished(upload.id, Ok(())))
            }
            _ => None,
        }
    }

    fn view(&self) -> ConsensusView {
        let ring = |of: u8| {
            let hsdirs = |first: u8| (first..first + 8).map(|n| RelayId([of ^ n; 20])).collect();
            Responsible { first: hsdirs(0), second: hsdirs(8), fetch: hsdirs(0) }
        };
        let services = MASTER..MASTER + self.services;
        let rings = (OWN..=self.fronts).chain(services).map(|n| (address(n), ring(n)));
        ConsensusView {
            valid_after: START,
            valid_until: START + Duration::from_secs(3 * 3600),
            window: Window::SrvToPeriod,
            first: FIRST,
            second: FIRST.next(),
            missing: 0,
            rings: rings.collect::<BTreeMap<_, _>>(),
        }
    }

    /// A front's points: neighbours share one relay, so that the merge has clashes to settle.
    fn roster(&self, front: u8, generation: u8) -> Vec<IntroPoint> {
        let point = |n: u8| {
            let relay = front * (POINTS_PER_FRONT - 1) + n;
            IntroPoint {
                relay: RelayId([relay; 20]),
                link_specifiers: vec![relay; 65],
                onion_key: [relay; 32],
                auth_key: [front.wrapping_mul(37) ^ n ^ generation << 7; 32],
                enc_key: [front ^ n; 32],
            }
        };
        (0..POINTS_PER_FRONT).map(point).collect()
    }

    fn reading(&self, front: u8, generation: u8) -> Reading {
        let (points, flow_control) = (self.roster(front, generation), Some("1-2 31".to_owned()));
        let roster = Roster::new(FIRST, points, flow_control).unwrap();
        Reading { roster, revision: Revision(u64::from(generation)), pow: false }
    }

    /// One input without answering what comes of it.
    fn handle(&mut self, input: Input) {
        self.engine.handle(input, self.now());
        while let Some(action) = self.engine.poll_action() {
            std::hint::black_box(action);
        }
    }
}

fn events(c: &mut Criterion) {
    for (fronts, services) in [(3, 1), (20, 1), (3, 16), (20, 16)] {
        let shape = format!("{fronts} fronts, {services} services");
        let mut world = World::settled(fronts, services);
        c.bench_function(&format!("an event that changes nothing: {shape}"), |b| {
            b.iter(|| world.handle(Input::Woken));
        });
        let mut generation = 0;
        c.bench_function(&format!("a front's points change, merge: {shape}"), |b| {
            b.iter(|| {
                generation ^= 1;
                let reading = world.reading(OWN, generation);
                world.handle(Input::InstanceRead(Ok(reading)));
            });
        });
        c.bench_function(&format!("a snapshot for status: {shape}"), |b| {
            b.iter(|| std::hint::black_box(world.engine.snapshot(world.now())));
        });
    }
}

criterion_group!(benches, events);
criterion_main!(benches);
