//! Newcomers, and those who are not let in.

use std::sync::OnceLock;
use std::time::Duration;

use rustbalance::ident::ClusterId;
use rustbalance::wire::Invitation;

use crate::yard::{Answer, Machine, PATIENCE, Plan, Yard, poll, wait_agreed};

/// A cluster of two bootstrap nodes that tests may ask for invitations; nobody is killed in it.
struct Hosts {
    yard: Yard,
    nodes: Vec<Machine>,
}

fn hosts() -> &'static Hosts {
    static HOSTS: OnceLock<Hosts> = OnceLock::new();
    HOSTS.get_or_init(|| {
        let yard = Yard::new();
        let nodes = yard.cluster(["node-a", "node-b"].map(Plan::new));
        Hosts { yard, nodes }
    })
}

/// Not let in, and told so in these words.
#[track_caller]
fn assert_refused(answer: &Answer, words: &str) {
    assert_eq!(answer.code, 1, "{answer:?}");
    assert!(answer.err.contains(words), "{answer:?}");
    assert!(answer.err.contains("Nothing but keys was written; try again."), "{answer:?}");
}

fn newcomer(name: &str) -> Machine {
    hosts().yard.machine(Plan::new(name))
}

fn inviter() -> &'static Machine {
    &hosts().nodes[0]
}

/// The id of the invitation that was made last for this name, from `rustbalance tokens --json`.
fn token_row(host: &Machine, name: &str) -> serde_json::Value {
    let listed = host.run(&["tokens", "--json"], b"").done();
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let rows = listed["tokens"].as_array().unwrap();
    rows.iter().rfind(|row| row["name"] == name).expect("it is listed").clone()
}

#[test]
fn an_invitation_is_good_for_one_node() {
    let token = inviter().invite(&["--name", "used-once"]);
    newcomer("used-once").join(&token).done();
    assert_eq!(token_row(inviter(), "used-once")["state"], "used");

    let mark = inviter().mark();
    assert_refused(&newcomer("used-once").join(&token), "another node has used this invitation");
    inviter().wait_log(mark, "Did not let node used-once in: another node has used this");
    let status = inviter().node.status().unwrap();
    let counted = status["refused"]
        .as_array()
        .unwrap()
        .iter()
        .any(|row| row["peer"].is_null() && row["reason"] == "not for its sender to say");
    assert!(counted, "{}", status["refused"]);

    let id = token_row(inviter(), "used-once")["id"].as_str().unwrap().to_owned();
    let revoked = inviter().run(&["revoke", &id], b"");
    assert_eq!(revoked.code, 1, "{revoked:?}");
    assert!(revoked.err.contains("used"), "{revoked:?}");
}

#[test]
fn a_node_that_is_in_joins_again_without_an_effect() {
    let token = inviter().invite(&["--name", "twice"]);
    let machine = newcomer("twice");
    machine.join(&token).done();
    let before = std::fs::read(machine.node.config_path()).unwrap();
    let again = machine.join(&token).done();
    assert!(again.contains("in a cluster already: nothing to do"), "{again}");
    assert_eq!(std::fs::read(machine.node.config_path()).unwrap(), before);
}

#[test]
fn a_join_that_was_cut_off_after_the_welcome_can_be_repeated() {
    let token = inviter().invite(&["--name", "interrupted"]);
    let machine = newcomer("interrupted");
    machine.join(&token).done();
    std::fs::remove_file(machine.node.config_path()).unwrap();
    machine.join(&token).done();
    machine.start();
    machine.wait_sees(inviter(), "alive");
}

#[test]
fn a_revoked_invitation_lets_nobody_in_at_any_bootstrap_node() {
    let other = &hosts().nodes[1];
    let token = inviter().invite(&["--name", "unwanted"]);
    let id = token_row(inviter(), "unwanted")["id"].as_str().unwrap()[..8].to_owned();
    inviter().run(&["revoke", &id], b"").done();
    assert_eq!(token_row(inviter(), "unwanted")["state"], "revoked");
    assert_refused(&newcomer("unwanted").join(&token), "the invitation was revoked");
    let told =
        poll(PATIENCE, || (token_row(other, "unwanted")["state"] == "revoked").then_some(()));
    assert!(told.is_some(), "the other bootstrap node does not know");
    let screen = inviter().run(&["tokens"], b"").done();
    assert!(screen.contains("revoked"), "{screen}");
}

#[test]
fn an_invitation_for_another_name_and_a_taken_name_are_refused() {
    let token = inviter().invite(&["--name", "expected"]);
    assert_refused(&newcomer("unexpected").join(&token), "is for a node of another name");
    let mark = inviter().mark();
    let token = inviter().invite(&[]);
    assert_refused(&newcomer("node-b").join(&token), "another member has this name");
    inviter().wait_log(mark, "Did not let node node-b in: another member has this name");
}

#[test]
fn a_text_that_is_no_invitation_is_refused_at_once() {
    let token = inviter().invite(&["--name", "typist"]);
    let mut typo: Vec<char> = token.chars().collect();
    let last = typo.len() - 3;
    typo[last] = if typo[last] == 'a' { 'b' } else { 'a' };
    for text in [typo.into_iter().collect::<String>(), token[..token.len() / 2].to_owned()] {
        let answer = newcomer("typist").join(&text);
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.err.contains("no usable invitation: "), "{answer:?}");
    }
}

#[test]
fn an_invitation_of_another_cluster_opens_no_door_and_is_seen() {
    let yard = Yard::new();
    let first = yard.founder(Plan::new("node-a"));
    let theirs: Invitation = first.invite(&["--name", "astray"]).parse().unwrap();
    let foreign = ClusterId([7; 16]);
    let astray = Invitation::generate(foreign, theirs.doors().to_vec(), &mut rand::rng()).unwrap();
    let mark = first.mark();
    let machine = yard.machine(Plan::new("astray"));
    std::thread::scope(|scope| {
        let knocking =
            scope.spawn(|| machine.join_for(&astray.to_string(), Duration::from_secs(12)));
        first.wait_log(mark, "Refused a message from a stranger over WireGuard: not authentic");
        let answer = knocking.join().unwrap();
        assert!(answer.out.contains("over WireGuard, try 2"), "{answer:?}");
        assert_eq!(answer.code, 1, "{answer:?}");
        assert!(answer.err.contains("interrupted\nNothing but keys was written"), "{answer:?}");
    });
    assert!(!machine.node.config_path().exists());
    let refused = first.node.status().unwrap()["refused"].clone();
    assert_eq!(refused[0]["peer"], serde_json::Value::Null, "{refused}");
    assert!(refused[0]["count"].as_u64() >= Some(1), "{refused}");
}

#[test]
fn who_was_invited_by_a_node_that_was_removed_since_is_not_let_in() {
    let yard = Yard::new();
    let all = yard.cluster(["node-a", "node-b", "node-c"].map(Plan::new));
    let token = all[2].invite(&["--name", "late"]);
    all[0].run(&["remove", "node-c", "--force"], b"").done();
    all[1].wait("node-c removed", |status| {
        status["nodes"].as_array().is_some_and(|nodes| nodes.len() == 2)
    });
    let late = yard.machine(Plan::new("late"));
    let answer = late.join_for(&token, Duration::from_secs(40));
    assert_refused(&answer, "may not invite any more");
}

#[test]
fn a_newcomer_goes_to_the_next_door_while_the_first_is_shut() {
    let yard = Yard::new();
    let all = yard.cluster(["node-a", "node-b"].map(Plan::new));
    let token = all[0].invite(&["--name", "node-c"]);
    let known = poll(PATIENCE, || {
        let listed = all[1].run(&["tokens"], b"").out;
        listed.contains("node-c").then_some(())
    });
    assert!(known.is_some(), "node-b was not told of the invitation");
    all[0].node.kill();
    let newcomer = yard.machine(Plan::new("node-c"));
    let screen = newcomer.join(&token).done();
    assert!(screen.contains("bootstrap node 2 over WireGuard"), "{screen}");
    newcomer.start();
    all[0].start();
    wait_agreed(&[&all[0], &all[1], &newcomer]);
}

#[test]
fn two_newcomers_at_once_both_come_in() {
    let yard = Yard::new();
    let first = yard.founder(Plan::new("node-a"));
    let newcomers = ["node-b", "node-c"].map(|name| yard.machine(Plan::new(name)));
    std::thread::scope(|scope| {
        for newcomer in &newcomers {
            let token = first.invite(&["--name", &newcomer.name]);
            scope.spawn(move || newcomer.join(&token).done());
        }
    });
    newcomers.iter().for_each(Machine::start);
    wait_agreed(&[&first, &newcomers[0], &newcomers[1]]);
}

#[test]
#[ignore = "an invitation lives at least a minute"]
fn an_expired_invitation_lets_nobody_in() {
    let yard = Yard::new();
    let first = yard.founder(Plan::new("node-a"));
    let token = first.invite(&["--name", "late", "--ttl", "1m"]);
    let expired =
        poll(2 * PATIENCE, || (token_row(&first, "late")["state"] == "expired").then_some(()));
    assert!(expired.is_some(), "it does not expire");
    assert_refused(&yard.machine(Plan::new("late")).join(&token), "the invitation has expired");
}
