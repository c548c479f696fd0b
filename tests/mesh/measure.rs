//! How long it takes until a killed node is dead to the others.

use std::time::{Duration, SystemTime};

use crate::yard::{Machine, Plan, Yard, wait_agreed, watch};

const YARDS: usize = 5;
const KILLS_PER_YARD: usize = 20;

/// What is promised at the defaults, in seconds.
const P50_MAX_S: f64 = 8.0;
const P99_MAX_S: f64 = 10.0;

#[expect(clippy::disallowed_methods, reason = "compared with the log of a process")]
fn wall() -> SystemTime {
    SystemTime::now()
}

/// When the log says after `mark` that this node is dead, by the log's own clock.
fn declared_dead(survivor: &Machine, mark: usize, victim: &str) -> SystemTime {
    let text = format!("Peer {victim} declared DEAD, ");
    survivor.wait_log(mark, &text);
    let news = survivor.news(mark);
    let line = news.lines().find(|line| line.contains(&text)).expect("it was there");
    let stamp = line.split_whitespace().next().expect("a line begins with the time");
    chrono::DateTime::parse_from_rfc3339(stamp).unwrap().into()
}

/// Kills them in turn; gives for each kill the seconds until the slowest survivor's log says it.
fn kills() -> Vec<f64> {
    let yard = Yard::new();
    let all = yard.cluster(["node-a", "node-b", "node-c"].map(Plan::new));
    let mut took = Vec::new();
    for kill in 0..KILLS_PER_YARD {
        let victim = &all[kill % all.len()];
        let survivors: Vec<&Machine> = all.iter().filter(|m| m.name != victim.name).collect();
        // Anywhere between two heartbeats.
        watch(survivors[0], Duration::from_millis(rand::random_range(0..2_000)));
        let marks: Vec<usize> = survivors.iter().map(|survivor| survivor.mark()).collect();
        let killed = wall();
        victim.node.kill();
        let slowest = survivors.iter().zip(&marks).map(|(survivor, mark)| {
            let dead = declared_dead(survivor, *mark, &victim.name);
            dead.duration_since(killed).unwrap().as_secs_f64()
        });
        took.push(slowest.fold(0.0, f64::max));
        victim.start();
        wait_agreed(&all.iter().collect::<Vec<_>>());
    }
    took
}

#[test]
#[ignore = "100 kills take minutes"]
fn a_killed_node_is_dead_within_the_promised_time() {
    let mut took: Vec<f64> = std::thread::scope(|scope| {
        let yards: Vec<_> = (0..YARDS).map(|_| scope.spawn(kills)).collect();
        yards.into_iter().flat_map(|yard| yard.join().unwrap()).collect()
    });
    took.sort_by(f64::total_cmp);
    let percentile = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    let (p50, p95, p99) = (percentile(50), percentile(95), percentile(99));
    let max = percentile(100);
    println!("| {} kills | {p50:.1} s | {p95:.1} s | {p99:.1} s | {max:.1} s |", took.len());
    assert!(p50 <= P50_MAX_S && p99 <= P99_MAX_S, "{took:.1?}");
}
