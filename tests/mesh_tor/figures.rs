//! How long changes of the way take, and what a cluster at rest costs. They print what
//! `docs/performance.md` says; long, so not run by default.

use std::time::Duration;

use crate::kills::{CLUSTERS, judge, kill_in_turn};
use crate::machines::{Machine, is_warm};
use crate::paths::{BACK_WITHIN, left, returned};
use crate::yard::{Plan, Yard, entry, now};
use crate::{LATER, MEMBERS, SOON, stage};

/// Cuts of one pair after the other, each held so long by turns.
const CUTS: usize = 12;
const HELD_S: [u64; 4] = [2, 5, 10, 20];

/// How long a cluster at rest is watched, after it was left alone for a while.
const WATCHED: Duration = Duration::from_secs(60);
const LEFT_ALONE: Duration = Duration::from_secs(20);

/// A node at rest: a share of one core, and bytes.
const CPU_SHARE_MAX: f64 = 0.002;
const RESIDENT_MAX_BYTES: u64 = 15_000_000;

#[test]
#[ignore = "minutes of cuts"]
fn how_long_until_tor_carries_heartbeats_and_until_wireguard_does_again() {
    let stage = stage();
    let [a, b, c] = MEMBERS.map(|name| stage.member(name));
    let (mut to_tor, mut to_wireguard) = (Vec::new(), Vec::new());
    for (number, held_s) in (0..CUTS).zip(HELD_S.into_iter().cycle()) {
        let (one, other) = [(a, b), (b, c), (a, c)][number % 3];
        to_tor.extend(both_write(one, other, left, SOON, || one.cut(other)));
        rest(Duration::from_secs(held_s));
        to_wireguard.extend(both_write(one, other, returned, BACK_WITHIN, || {
            one.heal();
            other.heal();
        }));
    }
    show("from a block to Tor", &mut to_tor);
    show("from the end of a block to WireGuard", &mut to_wireguard);
    assert!(to_tor.iter().all(|took| *took <= Duration::from_secs(5)), "{to_tor:?}");
}

#[test]
#[ignore = "100 kills take minutes"]
fn a_killed_node_is_dead_within_the_promised_time_although_tor_works() {
    let stage = stage();
    let plan = |front: &Machine| {
        let (control, instance) = (front.front.control_socket(), front.front.onion());
        Plan::new(&front.name).binary(&stage.binary).with_tor(&control, instance)
    };
    let plans: Vec<Plan> = stage.members.iter().map(plan).collect();
    let kills = || {
        let yard = Yard::new();
        let all = yard.cluster(plans.iter().cloned());
        for one in &all {
            let others = || all.iter().filter(|other| other.name != one.name);
            let warm = |status: &_| others().all(|other| is_warm(&entry(status, &other.name)));
            one.node.wait_status(LATER, warm).unwrap();
        }
        kill_in_turn(&all)
    };
    judge(std::thread::scope(|scope| {
        let yards: Vec<_> = (0..CLUSTERS).map(|_| scope.spawn(kills)).collect();
        yards.into_iter().flat_map(|yard| yard.join().expect("it ended")).collect()
    }));
}

#[test]
#[ignore = "a minute of rest"]
fn what_a_node_costs_in_a_cluster_at_rest() {
    let stage = stage();
    println!("the program: {}", stage.binary.parent().unwrap().file_name().unwrap().display());
    stage.network.keep_clear_of_boundaries(WATCHED + LEFT_ALONE, SOON);
    rest(LEFT_ALONE);
    let used = || -> Vec<Duration> {
        stage.members.iter().map(|machine| machine.node.cpu_time().unwrap()).collect()
    };
    let before = used();
    rest(WATCHED);
    let after = used();
    for ((machine, before), after) in stage.members.iter().zip(before).zip(after) {
        let share = (after - before).as_secs_f64() / WATCHED.as_secs_f64();
        let resident = machine.node.memory_bytes("VmRSS").unwrap();
        println!("{}: {:.2} % of a core, {resident} bytes", machine.name, 100.0 * share);
        assert!(share <= CPU_SHARE_MAX, "{share}");
        assert!(resident <= RESIDENT_MAX_BYTES, "{resident}");
    }
    let alive = |machine: &Machine, other: &str| machine.sees(other)["state"] == "alive";
    assert!(stage.pairs().all(|(one, other)| alive(one, &other.name)));
}

/// How long after `what` each of both writes its line about the other.
fn both_write(
    one: &Machine,
    other: &Machine,
    line: fn(&str) -> String,
    within: Duration,
    what: impl FnOnce(),
) -> [Duration; 2] {
    let since = [one, other].map(|machine| machine.node.log().len());
    let began = now();
    what();
    std::thread::scope(|scope| {
        let wait = |machine: &Machine, peer: &Machine, from| {
            machine.node.wait_log(from, &line(&peer.name), within).unwrap();
            now() - began
        };
        let first = scope.spawn(move || wait(one, other, since[0]));
        let second = wait(other, one, since[1]);
        [first.join().expect("it was written"), second]
    })
}

fn show(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let (middle, last) = (took[took.len() / 2], took[took.len() - 1]);
    println!("{what}: p50 {middle:.1?}, max {last:.1?} of {}: {took:.1?}", took.len());
}

/// Time that is part of what is measured.
fn rest(time: Duration) {
    std::thread::sleep(time);
}
