//! From the first miss to death and back.

use super::*;

#[test]
fn a_silent_peer_is_suspect_then_dead_and_every_step_is_said() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    bench.silence("a");
    let first = bench.until(missed("a"));
    assert!(first <= Duration::from_millis(4400), "{first:?}");
    assert_eq!(bench.state("a"), PeerState::Suspect);
    bench.until(dead("a"));
    assert_eq!(bench.state("a"), PeerState::Dead);
    let missed = |missed, left| Signal::Missed { peer: id("a"), missed, left };
    assert_eq!(bench.news(), [&missed(1, 2), &missed(2, 1), &Signal::Dead { peer: id("a") }]);
    assert_eq!(bench.count(|s| *s == Signal::BeatFailed { peer: id("a") }), 3);
    assert_eq!([bench.state("b"), bench.state("c")], [PeerState::Alive; 2]);
}

#[test]
fn the_other_path_and_the_others_are_asked_about_a_suspect_with_every_beat() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    bench.pass(secs(1));
    bench.said.clear();
    bench.silence("a");
    bench.until(dead("a"));
    assert!(bench.beats("a", Path::Tor).len() >= 3);
    let asked = |of| Signal::AskSeen { of: id(of), about: id("a") };
    for of in ["b", "c"] {
        assert_eq!(bench.count(|s| *s == asked(of)), 2);
    }
    assert_eq!(bench.count(|s| *s == asked("a")), 0);
}

#[test]
fn at_most_three_others_are_asked_and_each_time_others() {
    let mut bench = Bench::of(pace(), &["a", "b", "c", "d", "e", "f", "g"]);
    bench.silence("a");
    bench.until(dead("a"));
    let asked = |signal: &Signal| match signal {
        Signal::AskSeen { of, .. } => Some(of.clone()),
        _ => None,
    };
    let asked: Vec<NodeId> = bench.said.iter().filter_map(|(_, s)| asked(s)).collect();
    assert_eq!(asked.len(), 6);
    assert_eq!(asked.iter().collect::<BTreeSet<_>>().len(), 6);
}

#[test]
fn a_sign_of_life_ends_suspicion_without_a_word() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.silence("a");
    bench.until(missed("a"));
    bench.said.clear();
    bench.watch.heard(&id("a"), Path::Tor, bench.now, &mut Vec::new());
    assert_eq!(bench.state("a"), PeerState::Alive);
    bench.until(missed("a"));
    assert_eq!(bench.news(), [&Signal::Missed { peer: id("a"), missed: 1, left: 2 }]);
}

#[test]
fn a_tor_answer_that_is_under_way_for_two_seconds_saves_the_peer() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.silence("a");
    for _ in 0..10 {
        let asked = |s: &Signal| matches!(s, Signal::Beat { peer, path: Path::Tor, .. } if *peer == id("a"));
        bench.until(asked);
        bench.pass(secs(2));
        bench.watch.heard(&id("a"), Path::Tor, bench.now, &mut Vec::new());
    }
    assert_eq!(bench.count(dead("a")), 0);
}

#[test]
fn the_dead_are_tried_on_over_both_paths_and_ever_less_often() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    bench.silence("a");
    bench.until(dead("a"));
    bench.said.clear();
    bench.pass(secs(60));
    for path in Path::BOTH {
        assert!((12..=18).contains(&bench.beats("a", path).len()));
    }
    bench.pass(secs(10));
    bench.said.clear();
    bench.pass(secs(600));
    let tried = Path::BOTH.map(|path| bench.beats("a", path).len());
    assert!((54..=70).contains(&(tried[0] + tried[1])), "{tried:?}");
    assert!(tried[0].abs_diff(tried[1]) <= 1, "{tried:?}");
    assert_eq!(bench.count(missed("a")) + bench.count(dead("a")), 0);
}

#[test]
fn the_dead_come_back_with_the_time_they_were_away_and_a_growing_delay() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    let mut delays = Vec::new();
    for _ in 0..4 {
        bench.silence("a");
        bench.until(dead("a"));
        bench.pass(secs(30));
        bench.said.clear();
        for path in Path::BOTH {
            bench.unblock("a", path);
        }
        bench.until(|s| matches!(s, Signal::Alive { .. }));
        let [Signal::Alive { peer, away: Some(away), damped }] = bench.news()[..] else {
            panic!("{:?}", bench.news());
        };
        assert_eq!(*peer, id("a"));
        assert!((secs(35)..secs(50)).contains(away), "{away:?}");
        delays.push(damped.as_secs());
        assert_eq!(bench.state("a"), PeerState::Alive);
        bench.pass(secs(20));
    }
    assert_eq!(delays, [0, 10, 20, 40]);
}

#[test]
fn who_was_never_heard_dies_without_a_word_and_is_greeted_later() {
    let mut bench = Bench::unheard(pace(), &["a", "b"]);
    bench.unblock("b", Path::WireGuard);
    bench.pass(secs(1));
    let greeting = Signal::Alive { peer: id("b"), away: None, damped: Duration::ZERO };
    assert_eq!(bench.news(), [&greeting]);
    assert_eq!(bench.state("a"), PeerState::Joining);
    bench.pass(secs(10));
    assert_eq!(bench.state("a"), PeerState::Dead);
    assert_eq!(bench.count(dead("a")), 0);
    bench.said.clear();
    bench.unblock("a", Path::WireGuard);
    bench.until(|s| matches!(s, Signal::Alive { peer, away: None, .. } if *peer == id("a")));
}

#[test]
fn a_dismissed_peer_is_not_thought_of_again() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.watch.dismiss(&id("a"));
    bench.pass(secs(60));
    assert!(bench.beats("a", Path::WireGuard).is_empty());
    assert_eq!(bench.watch.last_heard(&id("a"), bench.now), None);
    assert_eq!(bench.news(), Vec::<&Signal>::new());
}

#[test]
fn the_view_says_how_a_peer_stands() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    let view = view_of(&bench, "a");
    assert_eq!((view.state, view.missed, view.deaths), (PeerState::Alive, 0, 0));
    assert_eq!((view.path, view.rtt), (Some(Path::WireGuard), Some(Duration::ZERO)));
    assert!(view.sent[0] >= 3 && view.sent[1] == 1, "{:?}", view.sent);
    bench.silence("a");
    bench.until(missed("a"));
    bench.watch.seen(&id("a"), &id("c"), Some(Duration::ZERO), bench.now);
    let view = view_of(&bench, "a");
    assert_eq!((view.state, view.missed, view.path), (PeerState::Suspect, 1, None));
    assert_eq!(view.vouched_by, Some(id("c")));
    bench.until(dead("a"));
    let view = view_of(&bench, "a");
    assert_eq!((view.state, view.deaths, view.vouched_by), (PeerState::Dead, 1, None));
    assert!(view.last_heard > Some(secs(6)));
    bench.watch.busy(&id("b"), bench.now + secs(9));
    assert_eq!(view_of(&bench, "b").busy, Some(secs(9)));
}
