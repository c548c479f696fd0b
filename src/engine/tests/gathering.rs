//! What is gathered from whom, in both windows.

use super::super::testing::{address, at, front, period, relay};
use super::super::*;
use super::world::{BACKEND, MASTER, OWN, World, points, settings};
use crate::time::Window;

#[test]
fn all_fronts_are_gathered_before_the_first_round() {
    let mut world = World::new();
    world.run(10.0);
    assert_eq!(world.rounds().len(), 1);
    for slot in Slot::BOTH {
        let plan = world.agreed(slot);
        for name in ["node-a", "web-b", "web-c"] {
            assert_eq!(plan.count_of(&front(name)), 2, "{slot} {name}");
        }
        assert_eq!(plan.flow_control.as_deref(), Some("1-2 31"));
    }
}

#[test]
fn a_backend_that_does_not_answer_delays_the_first_round_but_does_not_stop_it() {
    let mut world = World::new();
    world.backends.insert(address(BACKEND), None);
    world.run(30.0);
    assert_eq!(world.rounds().len(), 1);
    assert_eq!(world.agreed(Slot::First).count_of(&front("web-b")), 0);
}

#[test]
fn in_the_first_window_both_descriptors_carry_what_tor_shows() {
    let mut world = World::new();
    world.run(5.0);
    for slot in Slot::BOTH {
        let plan = world.agreed(slot);
        let own: Vec<_> =
            plan.points.iter().filter(|(f, _)| *f == front("node-a")).map(|(_, p)| p).collect();
        assert!(own.iter().all(|p| points(1, 3).contains(p)), "{own:?}");
    }
    assert!(world.fetches.iter().all(|(_, of, _)| *of != address(OWN)));
}

#[test]
fn in_the_second_window_the_client_facing_one_is_fetched_and_the_other_is_not() {
    let mut world = World::new();
    world.run(5.0);
    world.consensus(|view| view.window = Window::PeriodToSrv);
    world.run(5.0);
    let own = |slot| {
        let plan = world.agreed(slot);
        let own = plan.points.iter().filter(|(f, _)| *f == front("node-a"));
        own.map(|(_, p)| p.relay).collect::<Vec<_>>()
    };
    assert!(own(Slot::First).iter().all(|r| (1..=3).map(relay).any(|k| k == *r)));
    assert!(own(Slot::Second).iter().all(|r| (4..=6).map(relay).any(|k| k == *r)));
    assert!(world.fetches.iter().any(|(_, of, _)| *of == address(OWN)));
}

#[test]
fn at_a_new_shared_random_value_the_second_descriptor_becomes_the_first() {
    let mut world = World::new();
    world.consensus(|view| view.window = Window::PeriodToSrv);
    world.run(5.0);
    world.own.remove(&period(5));
    world.own.insert(period(7), points(7, 9));
    world.standing = (4..=9).map(relay).collect();
    world.consensus(|view| {
        view.window = Window::SrvToPeriod;
        view.first = period(6);
        view.second = period(7);
        for ring in view.rings.values_mut() {
            ring.first = ring.second.clone();
            ring.second = (160..168).map(relay).collect();
            ring.fetch = ring.first[..6].to_vec();
        }
    });
    world.run(5.0);
    for slot in Slot::BOTH {
        let plan = world.agreed(slot);
        let own = plan.points.iter().filter(|(f, _)| *f == front("node-a"));
        assert!(own.clone().all(|(_, p)| points(4, 6).contains(p)), "{slot}");
        assert_eq!(own.count(), 2);
    }
}

#[test]
fn an_upload_of_the_own_tor_in_the_second_window_is_fetched_at_once() {
    let mut world = World::new();
    world.consensus(|view| view.window = Window::PeriodToSrv);
    world.run(10.0);
    world.own.insert(period(6), points(41, 43));
    world.standing = (1..=3).chain(41..=43).map(relay).collect();
    world.say(Input::InstanceTouched);
    let hsdir = world.view.rings[&address(OWN)].second[7];
    world.say(Input::InstanceUploaded(hsdir));
    world.run(2.0);
    let plan = world.agreed(Slot::Second);
    assert!(
        plan.points
            .iter()
            .filter(|(f, _)| *f == front("node-a"))
            .all(|(_, p)| { points(41, 43).contains(p) })
    );
}

#[test]
fn fetching_from_fronts_and_fetching_back_do_not_get_in_each_others_way() {
    let mut world = World::with(Settings { backend_poll: Duration::from_secs(1), ..settings() });
    world.run(60.0);
    assert!(world.fetches.iter().any(|(_, of, _)| *of == address(MASTER)), "fetched back");
    assert_eq!(world.said(|r| matches!(r, Report::ReadingRefused { .. })), 0);
    assert_eq!(world.said(|r| matches!(r, Report::VerifyFailed { .. })), 0);
}

#[test]
fn a_circuit_that_is_rebuilt_quickly_changes_nothing_and_one_that_stays_down_does() {
    let mut world = World::new();
    world.run(10.0);
    let listed = world.agreed(Slot::First);
    let own = listed.points.iter().find(|(f, _)| *f == front("node-a")).unwrap().1.relay;
    world.standing.remove(&own);
    world.say(Input::InstanceTouched);
    world.run(1.0);
    world.standing.insert(own);
    world.say(Input::InstanceTouched);
    world.run(30.0);
    assert_eq!(world.rounds().len(), 1);
    world.standing.remove(&own);
    world.say(Input::InstanceTouched);
    world.run(2.6);
    for slot in Slot::BOTH {
        let plan = world.agreed(slot);
        assert!(plan.points.iter().all(|(_, p)| p.relay != own), "{slot}");
        assert_eq!(plan.count_of(&front("node-a")), 2, "the spare takes its place");
    }
}

#[test]
fn a_circuit_that_comes_back_without_an_event_is_noticed_soon() {
    let mut world = World::new();
    world.run(10.0);
    let lost = world.standing.pop_first().unwrap();
    world.say(Input::InstanceTouched);
    world.run(5.0);
    let offered = |world: &World| world.engine.snapshot(world.now()).fronts[0].offered;
    assert_eq!(offered(&world), Some(2));
    world.standing.insert(lost);
    world.run(2.1);
    assert_eq!(offered(&world), Some(3));
}

#[test]
fn a_backend_that_no_hsdir_knows_any_more_leaves_and_returns() {
    let mut world = World::new();
    world.run(10.0);
    world.backends.insert(address(BACKEND), None);
    world.run(600.0);
    assert_eq!(world.said(|r| *r == Report::FrontGone { front: front("web-b") }), 1);
    assert_eq!(world.agreed(Slot::First).count_of(&front("web-b")), 0);
    world.backends.insert(address(BACKEND), Some(points(31, 33)));
    world.run(120.0);
    assert_eq!(world.agreed(Slot::First).count_of(&front("web-b")), 2);
}

#[test]
fn a_forged_descriptor_is_refused_reported_and_another_hsdir_is_asked() {
    let mut engine = Engine::new(settings());
    let world = World::new();
    engine.handle(Input::TorConnected, at(0.0));
    engine.handle(Input::ConsensusRead(Ok(Box::new(world.view.clone()))), at(0.0));
    let fetch = |engine: &mut Engine| {
        std::iter::from_fn(|| engine.poll_action()).find_map(|action| match action {
            Action::Fetch { id, address: of, from } if of == address(BACKEND) => Some((id, from)),
            _ => None,
        })
    };
    let (id, first) = fetch(&mut engine).expect("the backend is asked for");
    while engine.poll_action().is_some() {}
    let why = "the signature does not match".to_owned();
    engine.handle(Input::FetchFinished(id, Err(ReadError::Refused(why.clone()))), at(0.1));
    let refused = Report::ReadingRefused { front: front("web-b"), why };
    assert!(
        std::iter::from_fn(|| engine.poll_action())
            .any(|action| matches!(action, Action::Report(report) if report == refused))
    );
    engine.handle(Input::Woken, at(1.0));
    let (_, second) = fetch(&mut engine).expect("another HSDir is asked");
    assert_ne!(first, second);
}
