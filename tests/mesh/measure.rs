//! How long it takes until a killed node is dead to the others, WireGuard being the only path.

use crate::kills::{CLUSTERS, judge, kill_in_turn};
use crate::yard::{Plan, Yard};

#[test]
#[ignore = "100 kills take minutes"]
fn a_killed_node_is_dead_within_the_promised_time() {
    let kills = || {
        let yard = Yard::new();
        kill_in_turn(&yard.cluster(["node-a", "node-b", "node-c"].map(Plan::new)))
    };
    judge(std::thread::scope(|scope| {
        let yards: Vec<_> = (0..CLUSTERS).map(|_| scope.spawn(kills)).collect();
        yards.into_iter().flat_map(|yard| yard.join().unwrap()).collect()
    }));
}
