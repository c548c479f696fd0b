//! HSDirs, tor, the consensus and the clock in trouble.

use super::super::testing::{address, front, period, relay};
use super::super::*;
use super::world::{BACKEND, MASTER, Mood, Stored, World, points, settings};
use crate::time::Wall;

fn uploads_to(world: &World, hsdir: u8) -> Vec<f64> {
    let to = world.uploads.iter().filter(|seen| seen.upload.to == relay(hsdir));
    to.map(|seen| seen.at.0.as_secs_f64()).collect()
}

#[test]
fn a_dead_hsdir_is_tried_quickly_then_slowly_and_never_given_up() {
    let mut world = World::new();
    world.moods.insert(relay(123), Mood::Dead);
    world.run(3000.0);
    let tries = uploads_to(&world, 123);
    assert!(tries[3] < 270.0, "one try and three more: {tries:?}");
    let slow: Vec<f64> = tries[3..].windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(slow.len() >= 3, "{tries:?}");
    assert!(slow.iter().all(|gap| (600.0..=790.0).contains(gap)), "{slow:?}");
    assert_eq!(world.said(|r| matches!(r, Report::PublishPartial { .. })), 1);
    assert_eq!(world.published(Slot::First).iter().flatten().count(), 7, "the others have it");
    world.moods.clear();
    world.run(800.0);
    world.agreed(Slot::First);
    assert_eq!(world.confirmed_rounds(), 1);
}

#[test]
fn an_hsdir_that_left_the_ring_with_an_upload_on_its_way_is_used_again_when_it_returns() {
    let mut world = World::new();
    world.moods.insert(relay(123), Mood::Dead);
    world.run(30.0);
    let replace = |from: u8, to: u8| {
        move |view: &mut ConsensusView| {
            let ring = view.rings.get_mut(&address(MASTER)).unwrap();
            ring.first.iter_mut().filter(|r| **r == relay(from)).for_each(|r| *r = relay(to));
        }
    };
    world.consensus(replace(123, 200));
    world.run(30.0);
    world.moods.clear();
    world.consensus(replace(200, 123));
    world.run(60.0);
    assert!(world.published(Slot::First).iter().all(Option::is_some));
}

#[test]
fn a_period_that_ends_with_an_upload_on_its_way_blocks_no_hsdir_of_the_next() {
    let mut world = World::new();
    world.moods.insert(relay(123), Mood::Dead);
    world.run(10.0);
    world.moods.clear();
    world.own.insert(period(7), points(7, 9));
    world.consensus(|view| {
        view.first = period(6);
        view.second = period(7);
        for ring in view.rings.values_mut() {
            std::mem::swap(&mut ring.first, &mut ring.second);
        }
    });
    world.run(60.0);
    assert!(world.published(Slot::Second).iter().all(Option::is_some));
}

#[test]
fn a_late_answer_to_an_earlier_upload_is_not_taken_for_the_last_one() {
    let mut world = World::with(Settings { verify: false, ..settings() });
    world.moods.insert(relay(141), Mood::Slow);
    world.run(70.0);
    let [first, second] = [0, 1].map(|n| world.slow[n].id);
    assert_ne!(first, second);
    world.say(Input::UploadFinished(second, Ok(())));
    let state = |world: &World| {
        let (_, views) = world.engine.snapshot(world.now()).services.remove(0);
        views[1].hsdirs.iter().find(|h| h.relay == relay(141)).unwrap().clone()
    };
    assert!(state(&world).confirmed);
    let sent = uploads_to(&world, 141).len();
    world.moods.clear();
    world.run(400.0);
    assert_eq!(uploads_to(&world, 141).len(), sent + 1, "once more, to be certain");
    assert!(state(&world).confirmed);
    world.agreed(Slot::Second);
}

#[test]
fn missing_microdescriptors_are_looked_for_ever_less_often() {
    let mut world = World::new();
    world.view.missing = 1;
    for _ in 0..24 {
        world.consensus(|_| {});
        world.run(3600.0);
    }
    assert!(world.consensus_reads < 24 * 15, "{} reads in a day", world.consensus_reads);
    world.consensus(|view| view.missing = 2);
    let before = world.consensus_reads;
    world.run(60.0);
    assert!(world.consensus_reads >= before + 2, "news is followed soon");
}

#[test]
fn a_front_that_asks_for_proof_of_work_is_named_once() {
    let mut world = World::new();
    world.pow = true;
    world.run(2000.0);
    let named = |name| world.said(|r| *r == Report::PowIgnored { front: front(name) });
    assert_eq!(["node-a", "web-b", "web-c"].map(named), [1; 3]);
    assert!(world.engine.snapshot(world.now()).fronts.iter().all(|front| front.pow));
}

#[test]
fn an_hsdir_that_is_behind_the_others_is_no_reason_to_warn() {
    let mut engine = Engine::new(settings());
    let world = World::new();
    let now = super::super::testing::at;
    engine.handle(Input::TorConnected, now(0.0));
    engine.handle(Input::ConsensusRead(Ok(Box::new(world.view.clone()))), now(0.0));
    let ask = |seconds: f64, revision: u64, engine: &mut Engine| {
        engine.handle(Input::Woken, now(seconds));
        let fetch = std::iter::from_fn(|| engine.poll_action()).find_map(|action| match action {
            Action::Fetch { id, address: of, .. } if of == address(BACKEND) => Some(id),
            _ => None,
        });
        let roster = Roster::new(period(5), points(11, 13), None).unwrap();
        let revision = crate::ident::Revision(revision);
        let read = Fetched::Roster(Reading { roster, revision, pow: false });
        engine.handle(Input::FetchFinished(fetch.unwrap(), Ok(read)), now(seconds));
        let reports: Vec<_> = std::iter::from_fn(|| engine.poll_action()).collect();
        !reports.iter().any(|a| matches!(a, Action::Report(Report::ReadingRefused { .. })))
    };
    assert!(ask(0.1, 10, &mut engine));
    assert!(ask(400.0, 9, &mut engine), "an older one");
    let front = &engine.snapshot(now(400.0)).fronts[1];
    assert_eq!((front.offered, &front.last_error), (Some(3), &None));
}

#[test]
fn total_failure_is_quiet() {
    let mut world = World::new();
    for hsdir in 120..150 {
        world.moods.insert(relay(hsdir), Mood::Refusing);
    }
    world.run(600.0);
    for hsdir in (120..128).chain(140..148) {
        assert!(uploads_to(&world, hsdir).len() <= 4, "{:?}", uploads_to(&world, hsdir));
    }
    assert!(world.reports.len() < 20, "{:?}", world.reports);
}

#[test]
fn an_unknown_hsdir_makes_the_consensus_be_read_again_and_hurts_no_other() {
    let mut world = World::new();
    world.moods.insert(relay(121), Mood::Unknown);
    world.run(300.0);
    assert_eq!(uploads_to(&world, 121).len(), 1);
    assert_eq!(world.said(|r| matches!(r, Report::PublishPartial { confirmed: 15, .. })), 1);
    assert_eq!(world.published(Slot::First).iter().flatten().count(), 7);
    world.consensus(|view| {
        let ring = view.rings.get_mut(&address(MASTER)).unwrap();
        ring.first[1] = relay(199);
    });
    world.run(10.0);
    world.agreed(Slot::First);
}

#[test]
fn a_rival_with_a_later_second_is_read_reported_and_overtaken() {
    let mut world = World::new();
    let ahead = world.now().wall + Duration::from_secs(90);
    for hsdir in 120..128 {
        let stored = Stored { signed_at: ahead, ours: false, plan: None };
        world.stored.insert((relay(hsdir), period(5)), stored);
    }
    world.run(120.0);
    assert!(world.said(|r| matches!(r, Report::RivalDescriptor { .. })) >= 1);
    let plan = world.agreed(Slot::First);
    assert_eq!(plan.points.len(), 6);
    assert!(world.stored[&(relay(120), period(5))].signed_at > ahead);
}

#[test]
fn refusals_that_cannot_be_read_back_are_overtaken_in_jumps() {
    let mut world = World::new();
    let ahead = world.now().wall + Duration::from_secs(300);
    for hsdir in 140..148 {
        let stored = Stored { signed_at: ahead, ours: false, plan: None };
        world.stored.insert((relay(hsdir), period(6)), stored);
    }
    world.run(120.0);
    assert_eq!(world.agreed(Slot::Second).points.len(), 6);
}

#[test]
fn one_hsdir_that_refuses_moves_nothing_else() {
    let mut world = World::new();
    world.moods.insert(relay(141), Mood::Refusing);
    world.run(300.0);
    let latest = world.uploads.iter().map(|s| s.upload.signed_at).max().unwrap();
    assert!(latest <= world.now().wall, "no jump for one of them");
    assert_eq!(world.published(Slot::Second).iter().flatten().count(), 7);
}

#[test]
fn an_hsdir_that_forgets_is_noticed_and_gets_it_again() {
    let mut world = World::new();
    world.moods.insert(relay(124), Mood::Forgetful);
    world.run(30.0);
    assert!(world.said(|r| matches!(r, Report::VerifyFailed { .. })) >= 1);
    world.moods.clear();
    world.run(900.0);
    world.agreed(Slot::First);
}

#[test]
fn while_tor_is_gone_nothing_is_asked_and_afterwards_everything_is_read_anew() {
    let mut world = World::new();
    world.run(30.0);
    let uploads = world.uploads.len();
    world.lose_tor();
    world.run(600.0);
    assert_eq!(world.uploads.len(), uploads);
    assert_eq!(world.engine.snapshot(world.now()).blocked, Some(Blocked::NoTor));
    world.own.insert(period(5), points(61, 63));
    world.standing = (61..=63).map(relay).collect();
    world.return_tor();
    world.run(10.0);
    for slot in Slot::BOTH {
        let plan = world.agreed(slot);
        let own = plan.points.iter().filter(|(f, _)| *f == front("node-a"));
        assert!(own.clone().all(|(_, p)| points(61, 63).contains(p)));
        assert_eq!(own.count(), 2);
    }
}

#[test]
fn a_restarted_tor_without_points_leaves_the_other_fronts() {
    let mut world = World::new();
    world.run(30.0);
    world.lose_tor();
    world.standing.clear();
    world.own.clear();
    world.return_tor();
    world.run(30.0);
    let plan = world.agreed(Slot::First);
    assert_eq!(plan.count_of(&front("node-a")), 0);
    assert_eq!(plan.count_of(&front("web-b")), 3);
}

#[test]
fn an_upload_in_flight_when_tor_goes_is_sent_again() {
    let mut world = World::new();
    while world.uploads.is_empty() {
        world.run(0.01);
    }
    world.lose_tor();
    world.stored.clear();
    world.run(5.0);
    world.return_tor();
    world.run(60.0);
    world.agreed(Slot::First);
    world.agreed(Slot::Second);
}

#[test]
fn nobody_offering_publishes_nothing_and_says_so() {
    let mut world = World::with(Settings { backends: Vec::new(), ..settings() });
    world.own.clear();
    world.run(60.0);
    assert!(world.uploads.is_empty());
    assert_eq!(world.engine.snapshot(world.now()).blocked, Some(Blocked::NoPoints));
    world.own.insert(period(5), points(1, 3));
    world.say(Input::InstanceTouched);
    world.run(5.0);
    assert_eq!(world.agreed(Slot::First).points.len(), 3);
}

#[test]
fn a_consensus_that_ran_out_a_day_ago_or_begins_later_stops_publishing() {
    for (wall, blocked) in [
        (Wall(1_800_000_000 + 28 * 3600), Blocked::ConsensusExpired),
        (Wall(1_800_000_000 - 2000), Blocked::ClockBehind),
    ] {
        let mut world = World::new();
        world.wall_start = wall;
        world.run(60.0);
        assert!(world.uploads.is_empty(), "{blocked:?}");
        assert_eq!(world.engine.snapshot(world.now()).blocked, Some(blocked));
        world.consensus(|_| {});
        world.run(60.0);
        world.agreed(Slot::First);
    }
}

#[test]
fn a_clock_a_little_behind_signs_no_earlier_than_the_period_counts() {
    let mut world = World::new();
    let start = world.now().wall;
    world.view.second = period((start.0 + 600) / 86_400 + 1);
    world.view.first = world.view.second.previous();
    world.wall_start = Wall(world.view.second.srv_start().0 - 600);
    world.own = [(world.view.first, points(1, 3))].into();
    world.consensus(|_| {});
    world.view.valid_after = world.view.second.srv_start();
    world.run(60.0);
    let second = world.view.second;
    let signed: Vec<Wall> = world
        .uploads
        .iter()
        .filter(|seen| seen.upload.period == second)
        .map(|seen| seen.upload.signed_at)
        .collect();
    assert_eq!(signed, vec![second.srv_start(); 8]);
}

#[test]
fn an_unreadable_consensus_is_asked_for_again() {
    let mut engine = Engine::new(settings());
    let now = super::super::testing::at;
    engine.handle(Input::TorConnected, now(0.0));
    while engine.poll_action().is_some() {}
    engine.handle(Input::ConsensusRead(Err("no HSDirs".into())), now(0.1));
    let report = engine.poll_action();
    assert!(matches!(report, Some(Action::Report(Report::ConsensusUnusable { .. }))), "{report:?}");
    engine.handle(Input::Woken, now(5.2));
    assert!(
        std::iter::from_fn(|| engine.poll_action()).any(|a| matches!(a, Action::ReadConsensus))
    );
}

#[test]
fn a_descriptor_that_nobody_confirms_any_more_becomes_urgent_in_time() {
    let mut world = World::with(Settings {
        refresh_min: std::time::Duration::from_secs(10_700),
        refresh_max: std::time::Duration::from_secs(10_700),
        ..settings()
    });
    world.run(30.0);
    world.run(9100.0);
    assert_eq!(world.said(|r| matches!(r, Report::DescriptorLapsing { .. })), 2);
    assert_eq!(world.rounds().last().unwrap().1, RoundReason::Lapsing);
}

#[test]
fn a_backend_whose_hsdirs_are_all_dead_keeps_its_points_until_they_expired() {
    let mut world = World::new();
    world.run(10.0);
    let ring = &mut world.view.rings.get_mut(&address(BACKEND)).unwrap();
    ring.fetch = (210..216).map(relay).collect();
    for hsdir in 210..216 {
        world.moods.insert(relay(hsdir), Mood::Dead);
    }
    world.consensus(|_| {});
    world.run(3600.0);
    assert_eq!(world.agreed(Slot::First).count_of(&front("web-b")), 2);
    world.consensus(|_| {});
    world.run(8000.0);
    assert_eq!(world.said(|r| *r == Report::FrontGone { front: front("web-b") }), 1);
}

#[test]
fn equal_seeds_and_inputs_give_equal_traces() {
    let trace = || {
        let mut world = World::new();
        world.moods.insert(relay(123), Mood::Dead);
        world.run(2000.0);
        world.uploads.iter().map(|s| (s.at, s.upload.to, s.upload.signed_at)).collect::<Vec<_>>()
    };
    assert_eq!(trace(), trace());
}

#[test]
fn an_hsdir_that_refuses_what_it_does_not_have_never_confirmed_it() {
    let mut world = World::new();
    world.moods.insert(relay(121), Mood::Refusing);
    world.run(300.0);
    assert_eq!(world.said(|r| matches!(r, Report::VerifyFailed { .. })), 0);
    let snapshot = world.engine.snapshot(world.now());
    let mut hsdirs = snapshot.services[0].1.iter().flat_map(|view| &view.hsdirs);
    let refusing = hsdirs.find(|hsdir| hsdir.relay == relay(121)).unwrap();
    assert_eq!(refusing.last_error, Some(UploadError::Rejected.to_string()));
}

#[test]
fn what_was_confirmed_is_not_confirmed_any_more_once_something_else_is_wanted() {
    let mut world = World::new();
    world.run(60.0);
    let confirmed = |world: &World| {
        let snapshot = world.engine.snapshot(world.now());
        let hsdirs = snapshot.services[0].1[0].hsdirs.clone();
        hsdirs.iter().filter(|hsdir| hsdir.confirmed).count()
    };
    assert_eq!(confirmed(&world), 8);
    world.own.insert(period(5), points(21, 23));
    world.standing = (21..24).map(relay).collect();
    world.say(Input::InstanceTouched);
    world.run(0.1);
    assert_eq!(confirmed(&world), 0);
    world.run(10.0);
    assert_eq!(confirmed(&world), 8);
}
