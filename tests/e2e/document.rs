//! What is published looks as a plain tor's does.

use std::time::Duration;

use rustbalance::hs::keys::MasterKey;
use rustbalance::hs::revision::RevisionScale;
use testnet::FrontOptions;

use crate::observer::{Observer, Seen, client_facing, current_period, hsdirs, now};
use crate::{SOON, Stage, stage};

/// The size of a document of up to eight points without the digits of its revision.
const SMALL_BYTES: usize = 14_101;

fn digits(seen: &Seen) -> usize {
    seen.content.revision.to_string().len()
}

fn published(stage: &Stage) -> Seen {
    let status = stage.cluster.node.status().unwrap();
    let hsdir = hsdirs(client_facing(&status).unwrap()).remove(0);
    let mut observer = Observer::new(stage.network.client(1)).unwrap();
    observer.fetch(&stage.cluster.onion, &hsdir, &stage.network).unwrap()
}

/// The first words of all lines that are not base64.
fn keywords(seen: &Seen) -> Vec<&str> {
    let lines = seen.text.lines().filter(|line| line.contains(' ') || line.len() < 60);
    let word = |line: &'_ str| line.split(' ').next().map_or(0, str::len);
    lines.map(|line| &line[..word(line)]).filter(|word| !word.ends_with('=')).collect()
}

#[test]
fn size_shape_and_revision_are_a_plain_tors() {
    let stage = stage();
    let ours = published(&stage);
    assert_eq!(ours.text.len(), SMALL_BYTES + digits(&ours));
    assert_eq!(ours.content.flow_control.as_deref(), Some("1-2 31"));
    assert!(!ours.content.pow);

    let started = now();
    let plain = stage.network.add_service("plain", FrontOptions::default()).unwrap();
    plain.wait_published(SOON).unwrap();
    stage.network.wait_reachable(plain.onion(), SOON).unwrap();
    let mut observer = Observer::new(stage.network.client(2)).unwrap();
    let relays = stage.network.relays();
    let fetch = |relay: &testnet::Relay| {
        observer.fetch(plain.onion(), relay.fingerprint(), &stage.network).ok()
    };
    let theirs = relays.iter().find_map(fetch).expect("some HSDir has it");

    assert_eq!(theirs.text.len() - digits(&theirs), ours.text.len() - digits(&ours));
    assert_eq!(theirs.content.flow_control, ours.content.flow_control);
    assert_eq!(theirs.content.lifetime_min, ours.content.lifetime_min);
    assert_eq!(keywords(&theirs), keywords(&ours));

    let key = std::fs::read(plain.service_dir().join("hs_ed25519_secret_key")).unwrap();
    let key = MasterKey::parse(&key).unwrap();
    let period = current_period(&stage.network, now());
    let period = [period, period.previous(), period.next()]
        .into_iter()
        .find(|period| *period == theirs.content.period)
        .unwrap();
    let scale = RevisionScale::new(&key.blind(&period), &period);
    let second = scale.second_of(theirs.content.revision).unwrap();
    assert_eq!(scale.at(second), theirs.content.revision, "C tor's own formula");
    assert!(started <= second && second <= now(), "{started:?} {second:?}");
}

#[test]
fn a_front_whose_points_change_is_published_within_seconds() {
    let stage = stage();
    let (node, front) = (&stage.cluster.node, &stage.cluster.fronts[0]);
    let mut control = front.tor().control().unwrap();
    let address = front.onion().trim_end_matches(".onion").to_owned();
    let circuits = control.getinfo("circuit-status").unwrap();
    let intro = |line: &&str| line.contains("HSSI_ESTABLISHED") && line.contains(&address);
    let ids: Vec<&str> =
        circuits.lines().filter(intro).filter_map(|line| line.split(' ').next()).collect();
    assert!(ids.len() >= 3, "{circuits}");
    let from = node.log().len();
    for id in ids {
        control.command(&format!("CLOSECIRCUIT {id}")).unwrap();
    }
    node.wait_status(SOON, |status| status["fronts"][0]["intro_established"] == 3).unwrap();
    node.wait_confirmed(SOON).unwrap();
    let page = stage.network.wait_reachable(&stage.cluster.onion, Duration::from_secs(60));
    assert!(page.is_ok(), "{page:?}\n{}", node.log().get(from..).unwrap_or_default());
}
