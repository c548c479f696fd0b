//! Nodes that leave, and nodes that are removed.

use std::time::Duration;

use crate::yard::{Plan, Yard, entry, wait_agreed};

const SOON: Duration = Duration::from_secs(10);

/// `EX_CONFIG`: a restart changes nothing, only the operator does.
const LASTING: i32 = 78;

#[test]
fn a_node_that_leaves_says_goodbye_and_does_not_come_back_by_itself() {
    let yard = Yard::new();
    let all = yard.cluster(["node-a", "node-b", "node-c"].map(Plan::new));
    let [a, b, c] = &all[..] else { panic!("three") };
    let mark = a.mark();
    let screen = c.run(&["leave"], b"").done();
    assert!(screen.contains("To come back"), "{screen}");
    assert_eq!(c.node.wait_exit(SOON).unwrap(), 0);
    a.wait_sees(c, "left");
    b.wait_sees(c, "left");
    a.wait_log(mark, "Node node-c left the cluster");

    c.start();
    assert_eq!(c.node.wait_exit(SOON).unwrap(), LASTING);
    assert!(c.node.log_tail(1).contains("has left its cluster"), "{}", c.node.log_tail(3));
    assert!(c.node.log_tail(1).contains("rustbalance join"), "{}", c.node.log_tail(3));
    assert_eq!(entry(&a.node.status().unwrap(), "node-c")["state"], "left");
    let again = c.join(&a.invite(&["--name", "node-c"]));
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.err.contains("has left its cluster"), "{again:?}");
    assert!(!a.news(mark).contains("DEAD"), "{}", a.news(mark));

    let config = c.node.config_path();
    std::fs::rename(&config, config.with_extension("old")).unwrap();
    c.join(&a.invite(&["--name", "node-c"])).done();
    c.start();
    wait_agreed(&[a, b, c]);
}

#[test]
fn a_removed_node_gets_nothing_and_says_so() {
    let yard = Yard::new();
    let all = yard.cluster(["node-a", "node-b", "node-c"].map(Plan::new));
    let [a, b, c] = &all[..] else { panic!("three") };
    let alive = a.run(&["remove", "node-c"], b"");
    assert_eq!(alive.code, 1, "{alive:?}");
    assert!(alive.err.contains("--force"), "{alive:?}");
    c.node.kill();
    a.wait_sees(c, "dead");
    a.run(&["remove", "node-c"], b"").done();
    wait_agreed(&[a, b]);

    let (mark, own) = (b.mark(), c.mark());
    c.start();
    c.wait_log(own, "This node was removed from the cluster");
    let checks = c.node.status().unwrap()["checks"].clone();
    assert!(checks.to_string().contains("NOT_JOINED"), "{checks}");
    wait_agreed(&[a, b]);
    assert!(!b.news(mark).contains("node-c came back"), "{}", b.news(mark));

    c.node.stop().unwrap();
    c.start();
    assert_eq!(c.node.wait_exit(SOON).unwrap(), LASTING);
    assert!(c.node.log_tail(1).contains("was removed from its cluster"), "{}", c.node.log_tail(3));
    let keys = c.state_dir().join("keys");
    for thing in [c.node.config_path(), keys.join("wireguard.key"), keys.join("node.key")] {
        std::fs::rename(&thing, thing.with_extension("old")).unwrap();
    }
    c.join(&a.invite(&["--name", "node-c"])).done();
    c.start();
    wait_agreed(&[a, b, c]);
}

#[test]
fn a_node_that_is_removed_while_it_lives_is_told() {
    let yard = Yard::new();
    let all = yard.cluster(["node-a", "node-b"].map(Plan::new));
    let mark = all[1].mark();
    all[0].run(&["remove", "node-b", "--force"], b"").done();
    all[1].wait_log(mark, "This node was removed from the cluster");
    wait_agreed(&[&all[0]]);
    let oneself = all[0].run(&["remove", "node-a", "--force"], b"");
    assert_eq!(oneself.code, 1, "{oneself:?}");
}
