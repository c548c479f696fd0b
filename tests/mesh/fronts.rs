//! What a front offers is known to the others, and its death takes it away.

use rustbalance::hs::address;
use rustbalance::hs::keys::MasterKey;

use crate::fake_tor::FakeTor;
use crate::fake_tor::world::{World, network_at};
use crate::site::{POINTS, instance, points_of};
use crate::yard::{Plan, Yard, entry, wait_agreed};

/// A tor whose onion service has [`POINTS`] introduction points.
fn front() -> (FakeTor, String) {
    let (network, key) = (network_at(3, 16), MasterKey::generate(&mut rand::rng()));
    let mut world = World::new(&network, key.id());
    let points = points_of(0);
    world.instance.1 = Some(instance(&key, &world.current(), &points));
    world.standing = points.iter().map(|point| point.relay).collect();
    (FakeTor::new(world), address::onion(&key.id()))
}

#[test]
fn the_dead_take_their_points_with_them_after_the_grace() {
    let yard = Yard::new();
    let (tor, onion) = front();
    let beside_tor = Plan::new("node-b").with_tor(&tor.socket(), &onion);
    let all = yard.cluster([Plan::new("node-a"), beside_tor, Plan::new("node-c")]);
    let [a, b, c] = &all[..] else { panic!("three") };
    for machine in [a, c] {
        machine.wait("told of the points", |status| {
            entry(status, "node-b")["intro_established"] == POINTS
        });
    }
    let marks = [a, c].map(|machine| machine.mark());
    b.node.kill();
    for (machine, mark) in [a, c].into_iter().zip(marks) {
        machine.wait_log(
            mark,
            "Peer node-b declared DEAD, removing 3 intro points in 30s unless it returns",
        );
    }
    b.start();
    for (machine, mark) in [a, c].into_iter().zip(marks) {
        machine.wait_log(mark, "Peer node-b came back! Adding to mesh (away ");
        machine.wait_log(mark, "Peer node-b came back within the grace period");
    }
    wait_agreed(&[a, b, c]);
}
