//! When rounds begin, and what reaches the HSDirs.

use std::time::Duration;

use super::super::testing::{address, front, period, relay};
use super::super::*;
use super::world::{BACKEND, MASTER, World, points, settings};

#[test]
fn the_first_round_reaches_every_hsdir_of_both_periods_once() {
    let mut world = World::new();
    world.run(30.0);
    let mut sent: Vec<_> = world.uploads.iter().map(|s| (s.upload.period, s.upload.to)).collect();
    sent.sort();
    let ring = &world.view.rings[&address(MASTER)];
    let of = |period, hsdirs: &[crate::ident::RelayId]| {
        hsdirs.iter().map(move |hsdir| (period, *hsdir)).collect::<Vec<_>>()
    };
    let expected = [of(period(5), &ring.first), of(period(6), &ring.second)].concat();
    assert_eq!(sent, expected);
    assert_eq!(world.confirmed_rounds(), 1);
    let seconds: std::collections::BTreeSet<_> =
        world.uploads.iter().map(|s| s.upload.signed_at).collect();
    assert_eq!(seconds.len(), 1, "one revision a round");
}

#[test]
fn a_changed_roster_is_everywhere_within_a_second_of_being_read() {
    let mut world = World::new();
    world.run(30.0);
    world.own.insert(period(5), points(51, 53));
    world.standing = (51..=53).map(relay).collect();
    world.say(Input::InstanceTouched);
    world.run(1.0 + gather::CIRCUIT_GRACE.as_secs_f64());
    for slot in Slot::BOTH {
        let plan = world.agreed(slot);
        assert_eq!(plan.count_of(&front("node-a")), 2);
        assert!(plan.points.iter().all(|(_, p)| !points(1, 3).contains(p)));
    }
}

#[test]
fn nothing_is_published_for_nothing() {
    let mut world = World::new();
    world.run(3000.0);
    assert_eq!(world.rounds().len(), 1);
    assert_eq!(world.uploads.len(), 16);
}

#[test]
fn each_period_is_refreshed_at_its_own_random_moment() {
    let mut world = World::new();
    world.run(7300.0);
    world.consensus(|_| {});
    world.run(4.0 * 3600.0);
    let mut gaps = std::collections::BTreeSet::new();
    for slot in Slot::BOTH {
        let wanted = world.view.period(slot);
        let at: std::collections::BTreeSet<Mono> =
            world.uploads.iter().filter(|s| s.upload.period == wanted).map(|s| s.at).collect();
        let at: Vec<Mono> = at.into_iter().collect();
        assert!(at.len() >= 3, "{at:?}");
        for pair in at.windows(2) {
            let gap = pair[1] - pair[0];
            assert!((3600..=7201).contains(&gap.as_secs()), "{gap:?}");
            assert!(gaps.insert(gap), "random, so never twice the same");
        }
    }
}

#[test]
fn every_hsdir_sees_strictly_growing_seconds() {
    let mut world = World::new();
    for n in 0..40u8 {
        world.own.insert(period(5), points(30 + n, 32 + n));
        world.standing = (30 + n..=32 + n).map(relay).collect();
        world.say(Input::InstanceTouched);
        world.run(0.5);
        if n == 20 {
            world.wall_start = crate::time::Wall(world.wall_start.0 - 600);
        }
    }
    world.run(300.0);
    let mut last = BTreeMap::new();
    for seen in &world.uploads {
        let key = (seen.upload.to, seen.upload.period);
        let previous = last.insert(key, seen.upload.signed_at);
        assert!(previous < Some(seen.upload.signed_at), "{key:?}");
    }
}

#[test]
fn bursts_become_few_rounds_and_the_last_content_is_never_lost() {
    let mut world = World::new();
    world.run(30.0);
    for n in 0..60u8 {
        world.own.insert(period(5), points(30 + n, 32 + n));
        world.standing = (30 + n..=32 + n).map(relay).collect();
        world.say(Input::InstanceTouched);
        world.run(2.0);
    }
    let rounds = world.rounds().len();
    assert!((4..=7).contains(&rounds), "{rounds} rounds in 150 s");
    world.run(120.0);
    let plan = world.agreed(Slot::First);
    let own = plan.points.iter().filter(|(f, _)| *f == front("node-a"));
    assert!(own.clone().all(|(_, p)| points(89, 91).contains(p)));
    assert_eq!(own.count(), 2);
}

#[test]
fn additions_wait_for_company_while_few_tokens_are_left() {
    let mut world = World::with(Settings { burst: 2, ..settings() });
    world.backends.insert(address(BACKEND), None);
    world.run(60.0);
    world.consensus(|_| {});
    world.run(130.0);
    let before = world.rounds().len();
    world.backends.insert(address(BACKEND), Some(points(11, 13)));
    let mut learned = None;
    for _ in 0..4000 {
        world.run(0.1);
        let changed = |r: &Report| matches!(r, Report::RosterChanged { front: f, .. } if *f == front("web-b"));
        if world.said(changed) > 0 {
            learned.get_or_insert(world.mono);
        }
        if world.rounds().len() > before {
            break;
        }
    }
    let waited = world.mono - learned.expect("the backend came back");
    assert!((Duration::from_secs(29)..Duration::from_secs(32)).contains(&waited), "{waited:?}");
}

#[test]
fn other_hsdirs_get_a_round_of_their_own() {
    let mut world = World::new();
    world.run(30.0);
    world.consensus(|view| {
        let ring = view.rings.get_mut(&address(MASTER)).unwrap();
        ring.first[7] = relay(200);
    });
    world.run(5.0);
    assert_eq!(world.rounds().last().unwrap().1, RoundReason::RingChanged);
    assert_eq!(world.published(Slot::First).iter().flatten().count(), 8);
}

#[test]
fn every_hsdir_of_the_client_facing_descriptor_is_verified() {
    let mut world = World::new();
    world.run(60.0);
    let verified = |world: &World| {
        let (_, descriptors) = world.engine.snapshot(world.now()).services.remove(0);
        descriptors
            .iter()
            .map(|d| d.hsdirs.iter().filter(|h| h.verified_age.is_some()).count())
            .collect::<Vec<_>>()
    };
    assert_eq!(verified(&world), [8, 0]);
    let fetched = world.fetches.iter().filter(|(_, of, _)| *of == address(MASTER)).count();
    assert_eq!(fetched, 8, "once each");
}

#[test]
fn without_verify_nothing_is_fetched_back() {
    let mut world = World::with(Settings { verify: false, ..settings() });
    world.run(600.0);
    assert!(world.fetches.iter().all(|(_, of, _)| *of != address(MASTER)));
}
