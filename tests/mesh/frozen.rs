//! A node that stands still for a while: swapping, a suspended virtual machine, SIGSTOP.

use std::time::Duration;

use crate::yard::{Machine, Plan, Yard, wait_agreed, watch};

/// What a log says when a node thinks that another one is missing.
const ACCUSATIONS: [&str; 2] = ["missed", "DEAD"];

fn three(yard: &Yard) -> Vec<Machine> {
    let plan = |name| Plan::new(name).line("[node]", "log_level = \"debug\"");
    yard.cluster(["node-a", "node-b", "node-c"].map(plan))
}

fn accuses(log: &str) -> bool {
    ACCUSATIONS.iter().any(|word| log.contains(word))
}

#[test]
fn three_seconds_of_standing_still_accuse_nobody_and_kill_nobody() {
    let yard = Yard::new();
    let all = three(&yard);
    let frozen = &all[1];
    for _ in 0..2 {
        let marks: Vec<usize> = all.iter().map(Machine::mark).collect();
        frozen.node.freeze().unwrap();
        watch(&all[0], Duration::from_secs(3));
        frozen.node.thaw().unwrap();
        wait_agreed(&all.iter().collect::<Vec<_>>());
        // Two heartbeats and their answers: what it could have accused others of is decided.
        watch(frozen, Duration::from_secs(5));
        assert!(!accuses(&frozen.news(marks[1])), "{}", frozen.news(marks[1]));
        for n in [0, 2] {
            let news = all[n].news(marks[n]);
            assert!(!news.contains("DEAD"), "{}:\n{news}", all[n].name);
        }
    }
}

#[test]
fn twelve_seconds_of_standing_still_are_a_death_from_which_it_returns_by_itself() {
    let yard = Yard::new();
    let all = three(&yard);
    let (frozen, others) = (&all[2], [&all[0], &all[1]]);
    let marks = others.map(Machine::mark);
    let own = frozen.mark();
    frozen.node.freeze().unwrap();
    for (other, mark) in others.iter().zip(marks) {
        other.wait_log(mark, "Peer node-c missed 2 heartbeats, 1 more until dead");
        other.wait_log(mark, "Peer node-c declared DEAD, ");
    }
    watch(others[0], Duration::from_secs(4));
    frozen.node.thaw().unwrap();
    for (other, mark) in others.iter().zip(marks) {
        other.wait_log(mark, "Peer node-c came back! Adding to mesh (away ");
    }
    wait_agreed(&all.iter().collect::<Vec<_>>());
    watch(frozen, Duration::from_secs(5));
    assert!(!accuses(&frozen.news(own)), "{}", frozen.news(own));
}
