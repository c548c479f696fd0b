//! UDP between two of three nodes is lost, and there is no Tor to go round: the third hears both.

use crate::yard::{Machine, Plan, Yard, entry, wait_agreed};

struct Triangle {
    all: Vec<Machine>,
    _yard: Yard,
}

impl Triangle {
    fn new() -> Triangle {
        let yard = Yard::new();
        let all =
            yard.cluster(["node-a", "node-b", "node-c"].map(|name| Plan::new(name).relayed()));
        Triangle { all, _yard: yard }
    }

    /// Loses everything from `from` to `to`: what goes through the relay of `to`, and what goes
    /// back through that of `from`.
    fn block(&self, from: usize, to: usize) {
        let (from, to) = (&self.all[from], &self.all[to]);
        to.relay.as_ref().expect("all have one").block_to_node(from.socket);
        from.relay.as_ref().expect("all have one").block_from_node(to.socket);
    }

    fn heal(&self) {
        self.all.iter().filter_map(|machine| machine.relay.as_ref()).for_each(|r| r.heal());
    }

    /// Waits until `who` does not hear `about` and says that node-c does.
    fn wait_vouched(&self, who: usize, about: usize) {
        let name = &self.all[about].name;
        let status = self.all[who].wait("vouched for", |status| {
            let peer = entry(status, name);
            // More than enough to be dead without a vouch.
            peer["vouched_by"] == "node-c" && peer["missed"].as_u64() >= Some(8)
        });
        assert_eq!(entry(&status, name)["state"], "suspect");
        let checks = status["checks"].as_array().unwrap();
        let said = |check: &&serde_json::Value| {
            check["code"] == "PEER_SUSPECT" && check["subject"] == name.as_str()
        };
        let check = checks.iter().find(said).expect("the status names it");
        assert!(check["message"].as_str().unwrap().contains("node-c hears it"), "{check}");
        let screen = self.all[who].run(&["status"], b"").out;
        assert!(screen.contains("node-c hears it"), "{screen}");
    }

    fn wait_healed_without_a_death(&self, marks: &[usize]) {
        self.heal();
        wait_agreed(&self.all.iter().collect::<Vec<_>>());
        for (machine, mark) in self.all.iter().zip(marks) {
            let news = machine.news(*mark);
            assert!(!news.contains("DEAD"), "{}:\n{news}", machine.name);
        }
    }
}

#[test]
fn a_broken_link_kills_nobody_whom_a_third_node_hears() {
    let triangle = Triangle::new();
    let marks: Vec<usize> = triangle.all.iter().map(Machine::mark).collect();
    triangle.block(0, 1);
    triangle.block(1, 0);
    triangle.wait_vouched(0, 1);
    triangle.wait_vouched(1, 0);
    assert_eq!(entry(&triangle.all[2].node.status().unwrap(), "node-a")["state"], "alive");
    triangle.wait_healed_without_a_death(&marks);
}

#[test]
fn a_link_that_is_broken_in_one_direction_kills_nobody_either() {
    let triangle = Triangle::new();
    let marks: Vec<usize> = triangle.all.iter().map(Machine::mark).collect();
    triangle.block(0, 1);
    triangle.wait_vouched(1, 0);
    triangle.wait_healed_without_a_death(&marks);
}

#[test]
fn a_node_that_nobody_hears_is_dead_to_all_and_returns_when_it_is_heard() {
    let triangle = Triangle::new();
    let [a, b, c] = &triangle.all[..] else { panic!("three") };
    for other in [0, 1] {
        triangle.block(2, other);
        triangle.block(other, 2);
    }
    a.wait_sees(c, "dead");
    b.wait_sees(c, "dead");
    c.wait_sees(a, "dead");
    c.wait_sees(b, "dead");
    assert_eq!(entry(&a.node.status().unwrap(), "node-b")["state"], "alive");
    triangle.heal();
    wait_agreed(&[a, b, c]);
}
