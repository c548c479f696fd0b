//! The boundaries of the onion-service day, crossed while users keep fetching.
//!
//! Time period and shared random value change in turn, each every 24 voting rounds: four minutes
//! from one boundary to the next in the private network, twelve hours on the public one.

#![expect(clippy::unwrap_used, reason = "a test may end where it fails")]

#[path = "../support/cluster.rs"]
mod cluster;
#[path = "../support/day.rs"]
mod day;
#[path = "../support/observer.rs"]
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
mod observer;
mod report;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster::{Cluster, FRONTS};
use day::Day;
use observer::{Observer, client_facing};
use rustbalance::hs::descriptor::Received;
use rustbalance::time::Window;
use serde_json::Value;
use testnet::watcher::WatchOptions;
use testnet::{FrontOptions, Network, Options};

/// A client can forget only every eleven seconds: so many of them have a fresh view each second.
const CLIENTS: usize = 12;

/// How long the network and the node may take for one step on a busy machine.
const SOON: Duration = Duration::from_secs(90);

/// How long fetching goes on beyond a boundary that everybody has crossed.
const BEYOND: Duration = Duration::from_secs(60);

/// A run over both boundaries lasts at least this long.
const LONG_RUN: Duration = Duration::from_secs(8 * 60 + 10);

/// What the node may warn of, and why that is no fault of it.
const EXPLAINED: [(&str, &str); 1] = [(
    "Tor's consensus cannot be used yet",
    "tor fetches microdescriptors after the consensus that names them",
)];

#[test]
fn a_boundary_is_crossed_without_an_outage() {
    run(|_, crossed| crossed.len() == 1);
}

#[test]
#[ignore = "takes 10 minutes"]
fn both_boundaries_are_crossed_without_an_outage() {
    run(|elapsed, crossed| crossed.len() >= 2 && elapsed >= LONG_RUN);
}

/// A boundary that everybody has crossed.
struct Crossed {
    into: Window,
    /// Since the watcher's start.
    at: Duration,
}

struct Stage {
    network: Network,
    cluster: Cluster,
}

/// Crosses boundaries until `enough`, fetching all the time, and judges what was seen.
fn run(enough: impl Fn(Duration, &[Crossed]) -> bool) {
    static ONE_NETWORK_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_NETWORK_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let stage = Stage::set();
    let watcher = stage.network.watch(&stage.cluster.onion, WatchOptions::default());
    let began = now();
    let mut crossed = Vec::new();
    let mut held = Vec::new();
    while !enough(now() - began, &crossed) {
        let into = stage.cross();
        crossed.push(Crossed { into, at: now() - began });
        std::thread::sleep(BEYOND);
        held.push(stage.hsdirs_hold_what_the_fronts_offer());
    }
    let samples = watcher.stop();
    let marks: Vec<_> = crossed.iter().map(|it| (it.at, it.into)).collect();
    eprintln!("{}", report::table(&samples, &marks, &FRONTS));
    let log = stage.cluster.node.log();
    if !samples.lost().is_empty() || held.iter().any(Result::is_err) {
        eprintln!("{log}");
    }
    for held in held {
        held.unwrap();
    }
    assert!(samples.lost().is_empty(), "{} fetches are lost", samples.lost().len());
    for Crossed { into, at } in &crossed {
        let after = samples.0.iter().filter(|sample| sample.at > *at);
        let answered: BTreeSet<_> =
            after.filter_map(|sample| sample.outcome.as_deref().ok()).collect();
        assert_eq!(answered, BTreeSet::from(FRONTS), "after crossing into {into:?}");
    }
    assert_eq!(report::unexplained(&log, &EXPLAINED), Vec::<&str>::new());
}

impl Stage {
    /// A network, three fronts and a node that has everything confirmed.
    fn set() -> Stage {
        let options = Options { clients: CLIENTS, ..Options::default() };
        let network = Network::start(options, |line| eprintln!("{line}")).unwrap();
        let binary = Path::new(env!("CARGO_BIN_EXE_rustbalance"));
        let cluster = Cluster::new(&network, binary, &FrontOptions::default()).unwrap();
        cluster.wait_instances(SOON).unwrap();
        cluster.node.start(&network).unwrap();
        cluster.node.wait_confirmed(SOON).unwrap();
        network.wait_reachable(&cluster.onion, SOON).unwrap();
        Stage { network, cluster }
    }

    /// Waits for the next boundary until all clients and the node are on its other side.
    fn cross(&self) -> Window {
        let before = Day::of(self.network.client(0)).unwrap();
        let period = self.network.until_period_change();
        let shared_random = self.network.until_shared_random_change();
        std::thread::sleep(period.min(shared_random));
        let mut after = before;
        wait_for("all clients to cross", || {
            after = Day::of(self.network.client(0)).unwrap();
            let clients = self.network.clients().iter();
            after != before && clients.skip(1).all(|client| Day::of(client).unwrap() == after)
        });
        self.cluster.node.wait_status(SOON, |status| is_confirmed_for(status, &after)).unwrap();
        after.window
    }

    /// Every HSDir returns the same descriptor, of the revision that the status names, and each of
    /// its points is one that a front offers.
    ///
    /// A front may change its points between two of these fetches: then all are fetched again.
    fn hsdirs_hold_what_the_fronts_offer(&self) -> Result<()> {
        let began = now();
        loop {
            match self.hsdirs_agree() {
                Err(error) if began.elapsed() > SOON => return Err(error),
                Err(_) => {}
                Ok(()) => return Ok(()),
            }
        }
    }

    fn hsdirs_agree(&self) -> Result<()> {
        let (network, onion) = (&self.network, &self.cluster.onion);
        let client = network.client(0);
        let mut observer = Observer::new(client)?;
        let day = Day::of(client)?;
        let status = self.cluster.node.status()?;
        ensure!(is_confirmed_for(&status, &day), "not confirmed for {day:?}: {status}");
        let hsdirs = day::responsible(client, onion)?;
        let seen = hsdirs.iter().map(|hsdir| Ok(observer.fetch(onion, hsdir, network)?.content));
        let seen: Vec<Received> = seen.collect::<Result<_>>()?;
        let descriptor = client_facing(&status)?;
        ensure!(seen.len() as u64 == descriptor["hsdirs_target"], "{} HSDirs", seen.len());
        let points: Vec<BTreeSet<_>> =
            seen.iter().map(|it| it.points.iter().cloned().collect()).collect();
        let facing = day.client_facing();
        for (document, at) in seen.iter().zip(&points) {
            ensure!(document.period == facing, "of {} instead of {facing}", document.period);
            ensure!(*at == points[0], "HSDirs hold different points");
            ensure!(Some(document.revision.0) >= descriptor["revision"].as_u64(), "an old one");
        }
        ensure!(points[0].len() as u64 == descriptor["intro_points"], "{} points", points[0].len());
        let mut left = points[0].clone();
        for front in &self.cluster.fronts {
            let offered = day::fetch_any(network, front.onion())?.points;
            let listed = offered.iter().filter(|point| left.remove(point)).count();
            ensure!(listed > 0, "{} offers {offered:?}, listed are {points:?}", front.name());
        }
        ensure!(left.is_empty(), "no front offers {left:?}");
        Ok(())
    }
}

/// Both descriptors are those of `day`, and every HSDir has confirmed them.
fn is_confirmed_for(status: &Value, day: &Day) -> bool {
    let descriptors = &status["services"][0]["descriptors"];
    let facing = match day.window {
        Window::SrvToPeriod => 0,
        Window::PeriodToSrv => 1,
    };
    [day.first, day.second].iter().enumerate().all(|(slot, period)| {
        let descriptor = &descriptors[slot];
        descriptor["period"] == period.number
            && descriptor["client_facing"] == (slot == facing)
            && descriptor["hsdirs_target"] == 8
            && descriptor["hsdirs_confirmed"] == 8
    })
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
fn now() -> Instant {
    Instant::now()
}

fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let began = now();
    while !happened() {
        assert!(began.elapsed() < SOON, "waited {SOON:?} for {what}");
        std::thread::sleep(Duration::from_millis(250));
    }
}
