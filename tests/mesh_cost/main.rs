//! What the mesh costs: nodes on loopback without tor, a minute of nothing but heartbeats.
//!
//! `cargo test --release --test mesh_cost -- --ignored --nocapture` prints the rows of the table in
//! `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "../support/yard.rs"]
mod yard;

use std::time::Duration;

use yard::{Machine, Plan, Yard, poll, wait_agreed};

/// How long nothing but heartbeats happens.
const STEADY: Duration = Duration::from_secs(60);

/// How long the cluster may still talk about those that came in last.
const SETTLING: Duration = Duration::from_secs(20);

/// Of a core, per peer, in percent.
const CPU_PER_PEER_MAX: f64 = 0.02;

/// Headers of IPv4 and UDP.
const HEADERS_BYTES: usize = 28;

/// For how long the node's threads have run.
fn cpu(machine: &Machine) -> Duration {
    let tasks = format!("/proc/{}/task", machine.node.pid().unwrap());
    let nanoseconds = std::fs::read_dir(tasks).unwrap().map(|task| {
        let text = std::fs::read_to_string(task.unwrap().path().join("schedstat")).unwrap();
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    });
    Duration::from_nanos(nanoseconds.sum())
}

fn pass(time: Duration) {
    poll(time, || None::<()>);
}

/// One row: nodes, CPU of a node and of one of its peers in percent of a core, memory of a node.
fn measure(count: usize) {
    let yard = Yard::new();
    let all = yard.cluster((0..count).map(|n| Plan::new(&format!("node-{n}"))));
    pass(SETTLING);
    let before: Vec<Duration> = all.iter().map(cpu).collect();
    pass(STEADY);
    let used = all.iter().zip(&before).map(|(machine, before)| cpu(machine) - *before);
    let used = used.sum::<Duration>().as_secs_f64();
    let count = f64::from(u32::try_from(count).unwrap());
    let percent = 100.0 * used / STEADY.as_secs_f64() / count;
    let per_peer = percent / (count - 1.0).max(1.0);
    let memory: u64 = all.iter().map(|m| m.node.memory_bytes("VmRSS").unwrap()).sum();
    let memory = memory as f64 / count / 1e6;
    println!("| {count} | {percent:.3} % | {per_peer:.4} % | {memory:.1} MB |");
    wait_agreed(&all.iter().collect::<Vec<_>>());
    assert!(count < 10.0 || per_peer <= CPU_PER_PEER_MAX, "{per_peer} % of a core for each peer");
}

#[test]
#[ignore = "takes minutes, and the machine must be idle"]
fn cpu_and_memory_by_the_number_of_nodes() {
    std::thread::scope(|scope| {
        for count in [1, 2, 3, 10, 30] {
            scope.spawn(move || measure(count));
        }
    });
}

#[test]
#[ignore = "takes a minute"]
fn bytes_between_two_nodes() {
    let yard = Yard::new();
    let all = yard.cluster([Plan::new("node-a").relayed(), Plan::new("node-b").relayed()]);
    pass(SETTLING);
    let relays: Vec<_> = all.iter().filter_map(|machine| machine.relay.as_ref()).collect();
    relays.iter().for_each(|relay| relay.record());
    pass(STEADY);
    // A node answers to where it was called from, so one of the relays may be left out.
    let recorded = relays.iter().map(|relay| relay.recorded()).max_by_key(Vec::len).unwrap();
    let bytes: usize = recorded.iter().map(|datagram| datagram.len() + HEADERS_BYTES).sum();
    let per_second = bytes as f64 / STEADY.as_secs_f64();
    println!("{per_second:.0} bytes/s each way, {} datagrams a minute", recorded.len());
    assert!((200.0..1000.0).contains(&per_second));
}
