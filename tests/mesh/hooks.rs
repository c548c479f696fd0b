//! What operators have run on events.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::Value;

use crate::yard::{PATIENCE, Plan, Yard, poll};

/// What a run of the hook wrote down: its variables, and its standard input.
fn runs(directory: &Path, event: &str, peer: &str) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(directory).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let whole = text.strip_suffix("end\n");
        let Some((variables, input)) = whole.and_then(|text| text.split_once("input\n")) else {
            continue;
        };
        let says = |line: String| variables.lines().any(|other| other == line);
        if says(format!("RB_EVENT={event}")) && says(format!("RB_PEER={peer}")) {
            found.push((variables.to_owned(), serde_json::from_str(input).unwrap()));
        }
    }
    found
}

#[test]
fn hooks_are_run_on_a_death_a_return_and_a_newcomer_with_what_they_need_to_know() {
    let yard = Yard::new();
    let plan = Plan::new("node-a");
    let first = yard.machine(plan);
    let (script, told) = (first.node.directory().join("hook"), first.node.directory().join("told"));
    std::fs::create_dir(&told).unwrap();
    let text =
        format!("#!/bin/sh\nexec > '{}'/$$\nenv\npwd\necho input\ncat\necho end\n", told.display());
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o700)).unwrap();
    first.init().done();
    let hook = format!(
        "[[hook]]\non = [\"peer_dead\", \"peer_recovered\", \"node_joined\"]\ncommand = [\"{}\"]",
        script.display()
    );
    first.configure("", &hook);
    first.start();
    first.wait_ready();
    let other = yard.joined(&first, &[], Plan::new("node-b"));
    first.wait_sees(&other, "alive");
    other.node.kill();
    first.wait_sees(&other, "dead");
    other.start();
    first.wait_sees(&other, "alive");

    let expected = [("node_joined", "info"), ("peer_dead", "warn"), ("peer_recovered", "info")];
    for (event, severity) in expected {
        let found = poll(PATIENCE, || Some(runs(&told, event, "node-b")).filter(|r| !r.is_empty()));
        let found = found.unwrap_or_else(|| panic!("no {event}:\n{}", first.node.log()));
        let [(variables, input)] = &found[..] else { panic!("{event} once: {found:?}") };
        for line in [
            "RB_CLUSTER=newsroom".to_owned(),
            "RB_NODE=node-a".to_owned(),
            format!("RB_SEVERITY={severity}"),
            "/".to_owned(),
        ] {
            assert!(variables.lines().any(|other| other == line), "{line}: {variables}");
        }
        assert!(!variables.contains("HOME="), "{variables}");
        assert_eq!(input["event"], event);
        assert_eq!(input["peer"], "node-b");
        assert_eq!(input["cluster"], "newsroom");
    }
    let dead = &runs(&told, "peer_dead", "node-b")[0].1;
    assert!(dead["message"].as_str().unwrap().starts_with("Peer node-b declared DEAD, "), "{dead}");
}
