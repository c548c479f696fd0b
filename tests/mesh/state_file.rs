//! What is written down gets lost or damaged: a node finds everybody again.

use std::fs;

use crate::yard::{Machine, Plan, Yard, wait_agreed};

struct Cluster {
    all: Vec<Machine>,
    _yard: Yard,
}

impl Cluster {
    fn new() -> Cluster {
        let yard = Yard::new();
        let all = yard.cluster(["node-a", "node-b", "node-c"].map(Plan::new));
        Cluster { all, _yard: yard }
    }

    /// Stops the last node, does this to its state file, starts it, and waits until it sees
    /// everybody. Gives what its log says.
    fn after(&self, damage: impl Fn(&std::path::Path)) -> String {
        let victim = &self.all[2];
        assert!(victim.node.stop().unwrap());
        let file = victim.state_dir().join("mesh.json");
        damage(&file);
        let mark = victim.mark();
        victim.start();
        wait_agreed(&self.all.iter().collect::<Vec<_>>());
        victim.news(mark)
    }

    fn kept_aside(&self, suffix: &str) -> Vec<u8> {
        fs::read(self.all[2].state_dir().join(format!("mesh.json.{suffix}"))).unwrap()
    }
}

#[test]
fn a_state_file_that_is_damaged_or_gone_costs_nothing() {
    let cluster = Cluster::new();
    let log = cluster.after(|file| {
        let whole = fs::read(file).unwrap();
        fs::write(file, &whole[..whole.len() / 2]).unwrap();
    });
    assert!(log.contains("WARN") && log.contains("cut off"), "{log}");
    assert!(cluster.kept_aside("damaged").starts_with(b"{"));

    let log = cluster.after(|file| fs::write(file, [0xff; 4096]).unwrap());
    assert!(log.contains("mesh.json.damaged.2"), "{log}");
    assert_eq!(cluster.kept_aside("damaged.2"), [0xff; 4096]);

    let log = cluster.after(|file| fs::write(file, "").unwrap());
    assert!(log.contains("mesh.json.damaged.3"), "{log}");

    let log = cluster.after(|file| fs::remove_file(file).unwrap());
    assert!(!log.contains("WARN store"), "{log}");

    let written = fs::read_to_string(cluster.all[2].state_dir().join("mesh.json")).unwrap();
    for name in ["node-a", "node-b", "node-c"] {
        assert!(written.contains(name), "{written}");
    }
    for machine in &cluster.all {
        assert!(!machine.node.log().contains("panicked"), "{}", machine.node.log());
    }
}

#[test]
fn a_state_file_that_cannot_be_written_is_said_once_and_the_node_goes_on() {
    let cluster = Cluster::new();
    let victim = &cluster.all[2];
    let log = cluster.after(|file| {
        fs::remove_file(file).unwrap();
        fs::create_dir(file).unwrap();
        fs::write(file.join("in-the-way"), "").unwrap();
    });
    assert_eq!(log.matches("Cannot write ").count(), 1, "{log}");
    let file = victim.state_dir().join("mesh.json");
    let mark = victim.mark();
    fs::remove_dir_all(&file).unwrap();
    victim.wait_log(mark, "can be written again");
    assert!(fs::read_to_string(&file).unwrap().contains("node-b"));
}
