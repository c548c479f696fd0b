//! How long it takes until a killed node is dead to the others.

use std::time::{Duration, SystemTime};

use crate::yard::{Machine, wait_agreed, watch};

/// Clusters whose nodes are killed at the same time, and how often in each.
pub(crate) const CLUSTERS: usize = 5;
pub(crate) const KILLS_PER_CLUSTER: usize = 20;

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

/// Kills the nodes of a cluster in turn; gives for each kill the seconds until the slowest
/// survivor's log says it.
pub(crate) fn kill_in_turn(all: &[Machine]) -> Vec<f64> {
    let kill = |number: usize| {
        let victim = &all[number % all.len()];
        let survivors: Vec<&Machine> = all.iter().filter(|m| m.name != victim.name).collect();
        // Anywhere between two heartbeats.
        watch(survivors[0], Duration::from_millis(rand::random_range(0..2_000)));
        let marks: Vec<usize> = survivors.iter().map(|survivor| survivor.mark()).collect();
        let killed = wall();
        victim.node.kill();
        let took = survivors.iter().zip(&marks).map(|(survivor, mark)| {
            let dead = declared_dead(survivor, *mark, &victim.name);
            dead.duration_since(killed).unwrap().as_secs_f64()
        });
        let slowest = took.fold(0.0, f64::max);
        victim.start();
        wait_agreed(&all.iter().collect::<Vec<_>>());
        slowest
    };
    (0..KILLS_PER_CLUSTER).map(kill).collect()
}

/// Prints the figures of all kills, and fails when they break the promise.
pub(crate) fn judge(mut took: Vec<f64>) {
    took.sort_by(f64::total_cmp);
    let percentile = |percent: usize| took[(took.len() * percent).div_ceil(100) - 1];
    let (p50, p95, p99) = (percentile(50), percentile(95), percentile(99));
    let max = percentile(100);
    println!("| {} kills | {p50:.1} s | {p95:.1} s | {p99:.1} s | {max:.1} s |", took.len());
    assert!(p50 <= P50_MAX_S && p99 <= P99_MAX_S, "{took:.1?}");
}
