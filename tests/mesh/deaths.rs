//! Nodes are killed and come back.

use crate::yard::{Machine, Plan, Yard, wait_agreed};

/// What is said of a node that had nothing to remove, as its tor does not run.
const NO_POINTS: &str = "it had no intro points in the descriptor";

fn five(yard: &Yard) -> Vec<Machine> {
    yard.cluster(["node-a", "node-b", "node-c", "node-d", "node-e"].map(Plan::new))
}

/// Kills these, waits until the others say in the log that they are dead, and starts them again.
fn die_and_return(all: &[Machine], victims: &[usize]) {
    let survivors: Vec<&Machine> =
        all.iter().enumerate().filter(|(n, _)| !victims.contains(n)).map(|(_, m)| m).collect();
    let victims: Vec<&Machine> = victims.iter().map(|n| &all[*n]).collect();
    let marks: Vec<usize> = survivors.iter().map(|machine| machine.mark()).collect();
    victims.iter().for_each(|victim| victim.node.kill());
    for (survivor, mark) in survivors.iter().zip(&marks) {
        for victim in &victims {
            let name = &victim.name;
            survivor.wait_log(*mark, &format!("Peer {name} declared DEAD, {NO_POINTS}"));
            let suspected = format!("Peer {name} missed 2 heartbeats, 1 more until dead");
            assert!(survivor.news(*mark).contains(&suspected), "{}", survivor.news(*mark));
            survivor.wait_sees(victim, "dead");
        }
    }
    victims.iter().for_each(|victim| victim.start());
    for (survivor, mark) in survivors.iter().zip(&marks) {
        for victim in &victims {
            let name = &victim.name;
            survivor.wait_log(*mark, &format!("Peer {name} came back! Adding to mesh (away "));
        }
    }
    wait_agreed(&all.iter().collect::<Vec<_>>());
    for (survivor, mark) in survivors.iter().zip(&marks) {
        let dead = survivor.news(*mark).matches("declared DEAD").count();
        assert_eq!(dead, victims.len(), "{}:\n{}", survivor.name, survivor.news(*mark));
    }
}

#[test]
fn five_nodes_that_joined_through_one_notice_who_is_killed_and_who_returns() {
    let yard = Yard::new();
    let all = five(&yard);
    for victims in [&[2][..], &[1, 4], &[0]] {
        die_and_return(&all, victims);
    }
}
