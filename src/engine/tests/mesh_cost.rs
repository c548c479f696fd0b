//! What deciding costs in a large cluster, in virtual time.
//!
//! `cargo test --release --lib mesh_cost -- --ignored --nocapture` prints the row of the table in
//! `docs/performance.md`.

use rustix::time::{ClockId, clock_gettime};

use super::mesh_world::MeshWorld;

const NODES: u32 = 100;

/// Virtual seconds.
const STEADY_S: u32 = 60;

fn cpu_s() -> f64 {
    let used = clock_gettime(ClockId::ProcessCPUTime);
    used.tv_sec as f64 + used.tv_nsec as f64 / 1e9
}

#[test]
#[ignore = "a measurement"]
fn a_hundred_nodes_in_virtual_time() {
    let mut world = MeshWorld::of(NODES as usize, 50);
    let (sent, used) = (world.sent, cpu_s());
    world.run(STEADY_S.into());
    let (sent, used) = (world.sent - sent, cpu_s() - used);
    let frames_per_s = sent as f64 / f64::from(STEADY_S);
    let (nodes, peers) = (f64::from(NODES), f64::from(NODES - 1));
    let percent = 100.0 * used / f64::from(STEADY_S) / nodes;
    println!(
        "{NODES} engines: {frames_per_s:.0} frames/s, {:.0} CPU s per hour, {percent:.3} % of a \
         core for each node, {:.4} % for each of its peers, {:.1} µs per frame",
        used * 3600.0 / f64::from(STEADY_S),
        percent / peers,
        1e6 * used / sent as f64,
    );
    world.assert_agreed();
    assert!(percent / peers <= 0.02, "{percent} % of a core for each node");
}
