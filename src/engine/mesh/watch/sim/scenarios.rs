//! What must hold when the network is bad and nodes stop or die.

use std::time::Duration;

use super::super::super::super::rng::Rng;
use super::super::{Pace, PeerState, Signal};
use super::{Weather, World, ms};
use crate::message::Path;

const HOUR: Duration = Duration::from_secs(3600);

fn pace() -> Pace {
    Pace {
        interval: Duration::from_secs(2),
        dead_threshold: 3,
        wireguard: true,
        tor_fallback: true,
    }
}

/// A cluster in which everybody has heard everybody.
fn settled(size: usize, pace: &Pace, weather: Weather, seed: u64) -> World {
    let mut world = World::new(size, pace, weather, seed);
    world.run_for(Duration::from_secs(20));
    assert_eq!(world.deaths(), [], "seed {seed}");
    world.said.clear();
    world
}

/// The value below which `percent` of all lie.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100]
}

/// Nobody dies although nobody was killed: how many deaths there were.
fn false_deaths(hours: u32, pace: &Pace, weather: Weather, seed: u64) -> usize {
    let mut world = settled(5, pace, weather, seed);
    world.run_for(HOUR * hours);
    let changes =
        world.said.iter().filter(|said| matches!(said.what, Signal::PathChanged { .. })).count();
    println!(
        "{} node-hours, {weather:?}, seed {seed}: {} false deaths, {} misses, {changes} changes \
         of path, {} beats",
        hours * 5,
        world.deaths().len(),
        world.misses.iter().sum::<u64>(),
        world.beats,
    );
    world.deaths().len()
}

const FINE: Weather = Weather { loss_permille: 0, bursts: false, delay_ms: [5, 60] };
const LOSSY: Weather = Weather { loss_permille: 50, ..FINE };
const BURSTS: Weather = Weather { bursts: true, ..FINE };
const SLOW: Weather = Weather { loss_permille: 100, bursts: false, delay_ms: [600, 1000] };

#[test]
fn five_percent_loss_kills_nobody() {
    assert_eq!(false_deaths(1, &pace(), LOSSY, 1), 0, "seed 1");
}

#[test]
#[ignore = "takes 80 s: 1,000 node-hours"]
fn five_percent_loss_kills_nobody_in_a_thousand_node_hours() {
    let deaths: usize = (1..=4).map(|seed| false_deaths(50, &pace(), LOSSY, seed)).sum();
    assert_eq!(deaths, 0, "seeds 1 to 4");
}

#[test]
fn bursts_of_loss_kill_nobody() {
    assert_eq!(false_deaths(1, &pace(), BURSTS, 5), 0, "seed 5");
}

#[test]
#[ignore = "takes 110 s: 60 node-days"]
fn bursts_of_loss_kill_at_most_one_in_thirty_node_days() {
    let deaths: usize = (1..=4).map(|seed| false_deaths(72, &pace(), BURSTS, seed)).sum();
    assert!(deaths <= 2, "{deaths} deaths in 60 node-days, seeds 1 to 4");
}

#[test]
fn without_the_fallback_the_others_vouch_for_whom_a_burst_hides() {
    let pace = Pace { tor_fallback: false, ..pace() };
    assert_eq!(false_deaths(4, &pace, BURSTS, 18), 0, "seed 18");
}

#[test]
fn a_slow_and_lossy_network_kills_nobody() {
    assert_eq!(false_deaths(1, &pace(), SLOW, 19), 0, "seed 19");
}

/// One node is stopped for 3 s in every 30 s.
fn stopped(hours: u32, weather: Weather, seed: u64) -> World {
    let mut world = settled(5, &pace(), weather, seed);
    let mut chance = Rng::new(seed);
    let end = world.now + HOUR * hours;
    while world.now < end {
        world.pause(0, Duration::from_secs(3));
        world.run_for(chance.between(ms(29_000), ms(31_000)));
    }
    println!(
        "{hours} h, {weather:?}, seed {seed}: misses by the stopped node {}, by the others {:?}, \
         deaths {:?}",
        world.misses[0],
        &world.misses[1..],
        world.deaths()
    );
    world
}

#[test]
fn a_node_that_is_stopped_now_and_then_accuses_nobody_and_stays() {
    let world = stopped(1, FINE, 3);
    assert_eq!(world.deaths(), [], "seed 3");
    assert_eq!(world.misses[0], 0, "seed 3");
}

#[test]
#[ignore = "takes 30 s: 300 node-hours"]
fn a_node_that_is_stopped_for_long_accuses_nobody_and_stays() {
    for (weather, seed) in [(FINE, 4), (LOSSY, 5), (BURSTS, 6)] {
        assert_eq!(stopped(20, weather, seed).deaths(), [], "{weather:?} seed {seed}");
    }
}

/// Kills a node as often, and returns how long each of the others took to say so.
fn kills(count: usize, pace: &Pace, weather: Weather, seed: u64) -> Vec<Duration> {
    let mut world = settled(5, pace, weather, seed);
    let mut chance = Rng::new(seed);
    let mut times = Vec::new();
    for kill in 0..count {
        world.run_for(chance.between(ms(20_000), ms(30_000)));
        let (victim, killed) = (kill % 5, world.now);
        world.said.clear();
        world.kill(victim);
        world.run_for(Duration::from_secs(30));
        let deaths = world.deaths();
        assert!(deaths.iter().all(|(_, _, who)| *who == victim), "seed {seed}: {deaths:?}");
        assert_eq!(deaths.len(), 4, "seed {seed}, kill {kill}: {deaths:?}");
        times.extend(deaths.iter().map(|(at, _, _)| *at - killed));
        world.start(victim);
        world.run_for(Duration::from_secs(15));
        for n in 0..5 {
            assert!(world.seen_dead(n).is_empty(), "seed {seed}: not back at {n}");
        }
    }
    times
}

fn assert_deaths_are_quick(count: usize, weather: Weather, seed: u64) {
    let mut times = kills(count, &pace(), weather, seed);
    let [p50, p99, max] = [50, 99, 100].map(|p| percentile(&mut times, p));
    println!(
        "{count} kills, {} observations, {weather:?}, seed {seed}: p50 {p50:?}, p99 {p99:?}, \
         max {max:?}",
        times.len()
    );
    assert!(p50 <= Duration::from_secs(8), "seed {seed}: p50 {p50:?}");
    assert!(p99 <= Duration::from_secs(10), "seed {seed}: p99 {p99:?}");
}

#[test]
fn a_killed_peer_is_dead_within_ten_seconds() {
    assert_deaths_are_quick(25, FINE, 7);
}

#[test]
#[ignore = "takes 30 s: 2,000 kills"]
fn a_killed_peer_is_dead_within_ten_seconds_each_of_a_thousand_times() {
    assert_deaths_are_quick(1000, FINE, 8);
    assert_deaths_are_quick(1000, LOSSY, 9);
}

#[test]
fn over_tor_alone_a_killed_peer_is_dead_within_twenty_seconds() {
    let pace = Pace { wireguard: false, ..pace() };
    let mut times = kills(25, &pace, FINE, 17);
    let [p50, max] = [50, 100].map(|p| percentile(&mut times, p));
    println!("25 kills, Tor only, seed 17: p50 {p50:?}, max {max:?}");
    assert!(max <= Duration::from_secs(20), "seed 17: {max:?}");
}

/// Datagrams between two nodes are blocked and let through again: how long each of the two took
/// to go over to Tor, and back.
fn blocks(count: usize, one_way: bool, weather: Weather, seed: u64) -> [Vec<Duration>; 2] {
    let mut world = settled(5, &pace(), weather, seed);
    let mut chance = Rng::new(seed);
    let mut times = [Vec::new(), Vec::new()];
    for block in 0..count {
        world.run_for(chance.between(ms(10_000), ms(60_000)));
        let [a, b] = [block % 5, (block + 1) % 5];
        world.said.clear();
        let since = world.now;
        let set = |world: &mut World, cut: bool| {
            world.cut(a, b, cut);
            world.cut(b, a, cut && !one_way);
        };
        set(&mut world, true);
        world.run_for(chance.between(ms(10_000), ms(90_000)));
        times[0].extend([(a, b), (b, a)].map(|(by, peer)| {
            let over = world.path_changed(by, peer, Path::Tor, since);
            over.unwrap_or_else(|| panic!("seed {seed}, block {block}: not on Tor"))
        }));
        let since = world.now;
        set(&mut world, false);
        world.run_for(Duration::from_secs(70));
        times[1].extend([(a, b), (b, a)].map(|(by, peer)| {
            let back = world.path_changed(by, peer, Path::WireGuard, since);
            back.unwrap_or_else(|| panic!("seed {seed}, block {block}: not back"))
        }));
        assert_eq!(world.deaths(), [], "seed {seed}, block {block}");
    }
    times
}

fn assert_tor_takes_over(count: usize, one_way: bool, weather: Weather, seed: u64) {
    let [mut over, mut back] = blocks(count, one_way, weather, seed);
    let [over_p50, over_max] = [50, 100].map(|p| percentile(&mut over, p));
    let [back_p50, back_max] = [50, 100].map(|p| percentile(&mut back, p));
    println!(
        "{count} blocks, one way {one_way}, {weather:?}, seed {seed}: on Tor p50 {over_p50:?}, max \
         {over_max:?}; back p50 {back_p50:?}, max {back_max:?}"
    );
    assert!(over_max <= Duration::from_secs(5), "seed {seed}: {over_max:?}");
    assert!(back_max <= Duration::from_secs(60), "seed {seed}: {back_max:?}");
}

#[test]
fn blocked_datagrams_move_beats_to_tor_and_back() {
    assert_tor_takes_over(20, false, FINE, 10);
    assert_tor_takes_over(20, true, FINE, 11);
}

#[test]
#[ignore = "takes 30 s: 1,500 blocks"]
fn blocked_datagrams_move_beats_to_tor_and_back_each_time() {
    assert_tor_takes_over(500, false, FINE, 12);
    assert_tor_takes_over(500, true, FINE, 13);
    assert_tor_takes_over(500, false, LOSSY, 14);
}

#[test]
fn a_peer_that_only_one_node_cannot_reach_is_vouched_for() {
    let pace = Pace { tor_fallback: false, ..pace() };
    let mut world = settled(4, &pace, FINE, 15);
    world.cut(0, 1, true);
    world.cut(1, 0, true);
    world.run_for(HOUR);
    assert_eq!(world.deaths(), []);
    let name = world.names[1].clone();
    assert_eq!(world.nodes[0].watch.state(&name), PeerState::Suspect);
    world.kill(1);
    let killed = world.now;
    world.run_for(Duration::from_secs(30));
    assert_eq!(world.deaths().len(), 3);
    let by_zero = world.deaths().into_iter().find(|(_, by, _)| *by == 0).unwrap();
    assert!(by_zero.0 - killed <= Duration::from_secs(10), "{:?}", by_zero.0 - killed);
}

#[test]
fn a_node_cut_off_from_all_says_partition_after_twice_the_time() {
    let pace = Pace { tor_fallback: false, ..pace() };
    let mut world = settled(4, &pace, FINE, 16);
    let since = world.now;
    let cut_off = |world: &mut World, cut: bool| {
        for other in 1..4 {
            world.cut(0, other, cut);
            world.cut(other, 0, cut);
        }
    };
    cut_off(&mut world, true);
    world.run_for(HOUR);
    let partition = world.said.iter().find(|said| said.what == Signal::Partition).unwrap();
    assert_eq!(partition.by, 0);
    let took = partition.at - since;
    assert!((ms(10_800)..ms(16_000)).contains(&took), "{took:?}");
    let healed = world.now;
    cut_off(&mut world, false);
    world.run_for(Duration::from_secs(20));
    let back = world.said.iter().find(|said| matches!(said.what, Signal::PartitionHealed { .. }));
    assert!(back.unwrap().at - healed <= Duration::from_secs(15));
    assert!((0..4).all(|n| world.seen_dead(n).is_empty()));
}
