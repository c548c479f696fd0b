//! What speaks against a death: others, our own faults, the peer's wish.

use super::*;

#[test]
fn a_vouched_peer_stays_suspect_until_the_vouches_end() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    bench.silence("a");
    bench.until(missed("a"));
    for _ in 0..60 {
        bench.pass(secs(2));
        bench.watch.seen(&id("a"), &id("b"), Some(secs(1)), bench.now);
    }
    assert_eq!(bench.state("a"), PeerState::Suspect);
    assert!(bench.count(|s| matches!(s, Signal::Missed { left: 0, .. })) > 20);
    let left = bench.until(dead("a"));
    assert!((secs(4)..secs(9)).contains(&left), "{left:?}");
}

#[test]
fn a_vouch_from_before_the_first_missed_beat_is_none() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    bench.silence("a");
    bench.until(missed("a"));
    bench.watch.seen(&id("a"), &id("b"), Some(secs(3)), bench.now);
    bench.watch.seen(&id("a"), &id("c"), None, bench.now);
    bench.watch.seen(&id("a"), &id("a"), Some(Duration::ZERO), bench.now);
    assert_eq!(view_of(&bench, "a").vouched_by, None);
    assert!(bench.until(dead("a")) <= Duration::from_millis(4400));
}

#[test]
fn all_silent_at_once_die_after_twice_the_time_and_then_it_is_a_partition() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    let peers = ["a", "b", "c"];
    peers.iter().for_each(|name| bench.silence(name));
    bench.pass(secs(10));
    assert!(peers.iter().all(|name| bench.state(name) == PeerState::Suspect));
    let took = secs(10) + bench.until(|s| *s == Signal::Partition);
    assert!((Duration::from_millis(10_800)..secs(16)).contains(&took), "{took:?}");
    assert_eq!(bench.count(|s| matches!(s, Signal::Dead { .. })), 3);
    assert!(bench.watch.partitioned(bench.now).is_some());
    bench.unblock("b", Path::Tor);
    bench.until(|s| matches!(s, Signal::PartitionHealed { .. }));
    assert_eq!(bench.watch.partitioned(bench.now), None);
    assert_eq!(bench.state("b"), PeerState::Alive);
}

#[test]
fn one_of_two_dies_in_the_usual_time_also_when_the_other_follows_later() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.silence("a");
    assert!(bench.until(dead("a")) <= Duration::from_millis(8800));
    bench.silence("b");
    assert!(bench.until(dead("b")) <= Duration::from_millis(8800));
    assert_eq!(bench.count(|s| *s == Signal::Partition), 1);
}

#[test]
fn without_our_own_tor_there_is_no_partition() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.watch.tor_path(false, bench.now);
    bench.silence("a");
    bench.silence("b");
    bench.pass(secs(60));
    assert_eq!([bench.state("a"), bench.state("b")], [PeerState::Dead; 2]);
    assert_eq!(bench.count(|s| *s == Signal::Partition), 0);
    bench.watch.tor_path(true, bench.now);
    bench.until(|s| *s == Signal::Partition);
}

#[test]
fn without_our_own_tor_death_takes_twice_the_time_unless_another_misses_the_peer_too() {
    for (denied, at_least, at_most) in [(false, 10_800, 15_500), (true, 5_400, 8_800)] {
        let mut bench = Bench::of(pace(), &["a", "b"]);
        bench.watch.tor_path(false, bench.now);
        bench.silence("a");
        let mut took = bench.until(missed("a"));
        if denied {
            bench.watch.seen(&id("a"), &id("b"), Some(secs(3)), bench.now);
        }
        took += bench.until(dead("a"));
        let within = Duration::from_millis(at_least)..=Duration::from_millis(at_most);
        assert!(within.contains(&took), "{denied}: {took:?}");
    }
}

#[test]
fn whoever_was_slow_itself_accuses_nobody() {
    let mut bench = Bench::of(pace(), &["a", "b", "c"]);
    for name in ["a", "b", "c"] {
        bench.silence(name);
    }
    for _ in 0..200 {
        bench.pass(Duration::from_millis(1700));
        bench.now = bench.now + secs(3);
        bench.watch.was_slow(bench.now);
    }
    assert_eq!(bench.count(|s| matches!(s, Signal::Missed { .. })), 0);
    bench.pass(secs(20));
    assert_eq!(bench.state("a"), PeerState::Dead);
}

#[test]
fn a_busy_peer_is_left_alone_until_then() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.silence("a");
    bench.watch.busy(&id("a"), bench.now + secs(60));
    bench.watch.rumoured_dead(&id("a"), bench.now);
    bench.pass(secs(59));
    assert_eq!(bench.count(|s| matches!(s, Signal::Beat { peer, .. } if *peer == id("a"))), 0);
    assert_eq!(bench.news(), Vec::<&Signal>::new());
    bench.pass(secs(1));
    assert_eq!(bench.beats("a", Path::WireGuard), [bench.now]);
    assert!(bench.until(dead("a")) <= secs(7));
}

#[test]
fn a_rumour_is_looked_into_at_once_on_both_paths() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.watch.rumoured_dead(&id("a"), bench.now);
    bench.settle();
    for path in Path::BOTH {
        assert_eq!(bench.beats("a", path), [bench.now]);
    }
}

#[test]
fn many_rumours_neither_flood_the_peer_nor_keep_it_from_dying() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.silence("a");
    for _ in 0..90 {
        bench.watch.rumoured_dead(&id("a"), bench.now);
        bench.pass(Duration::from_millis(100));
    }
    assert_eq!(bench.state("a"), PeerState::Dead);
    assert!(bench.beats("a", Path::WireGuard).len() <= 10);
}
