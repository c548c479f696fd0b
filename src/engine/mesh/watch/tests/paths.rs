//! Which path the beats take.

use super::*;

fn changed(to: Path) -> impl Fn(&Signal) -> bool {
    move |signal| matches!(signal, Signal::PathChanged { path, .. } if *path == to)
}

#[test]
fn an_answered_beat_goes_out_once_per_interval_and_the_tor_link_is_kept_warm() {
    let mut bench = Bench::of(pace(), &["a"]);
    bench.pass(secs(600));
    let within = |gap: &Duration, s: u64| (secs(s) * 9 / 10..=secs(s) * 11 / 10).contains(gap);
    let beats = bench.beats("a", Path::WireGuard);
    assert!(gaps(&beats).iter().all(|gap| within(gap, 2)));
    assert!(beats.len() > 270);
    let warm = bench.beats("a", Path::Tor);
    assert!(gaps(&warm).iter().all(|gap| within(gap, 25)));
    assert!(warm.len() > 20);
    assert_eq!(bench.news(), Vec::<&Signal>::new());
}

#[test]
fn a_blocked_path_is_left_at_once_and_nobody_is_missed() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.block("a", Path::WireGuard);
    let took = bench.until(changed(Path::Tor));
    assert!(took <= secs(4), "{took:?}");
    assert_eq!(bench.watch.path(&id("a")), Path::Tor);
    assert_eq!(bench.watch.path(&id("b")), Path::WireGuard);
    bench.said.clear();
    bench.pass(secs(120));
    assert_eq!(bench.news(), Vec::<&Signal>::new());
    let beats = gaps(&bench.beats("a", Path::Tor));
    let rhythm = Duration::from_millis(3600)..=Duration::from_millis(4400);
    assert!(beats[1..].iter().all(|gap| rhythm.contains(gap)), "{beats:?}");
    let probes: Vec<u64> =
        gaps(&bench.beats("a", Path::WireGuard)).iter().map(Duration::as_secs).collect();
    assert_eq!(probes[..4], [2, 4, 8, 15]);
    assert!(probes[4..].iter().all(|gap| *gap == 15));
}

#[test]
fn a_path_that_only_brings_the_peers_frames_is_left_too() {
    let mut bench = Bench::of(pace(), &["a"]);
    bench.block("a", Path::WireGuard);
    bench.heard.insert(id("a"));
    assert!(bench.until(changed(Path::Tor)) <= secs(4));
    assert_eq!(bench.count(missed("a")), 0);
}

#[test]
fn wireguard_is_taken_back_after_two_answers_in_a_row() {
    let mut bench = Bench::of(pace(), &["a"]);
    bench.block("a", Path::WireGuard);
    bench.pass(secs(200));
    bench.said.clear();
    bench.unblock("a", Path::WireGuard);
    let took = bench.until(changed(Path::WireGuard));
    assert!(took <= secs(18), "{took:?}");
    assert_eq!(bench.beats("a", Path::WireGuard).len(), 2);
}

#[test]
fn a_path_that_comes_and_goes_is_taken_back_ever_later() {
    let mut bench = Bench::of(pace(), &["a"]);
    let mut probes = Vec::new();
    for _ in 0..6 {
        bench.block("a", Path::WireGuard);
        bench.until(changed(Path::Tor));
        bench.unblock("a", Path::WireGuard);
        bench.said.clear();
        let took = bench.until(changed(Path::WireGuard));
        assert!(took <= secs(60), "{took:?}");
        probes.push(bench.beats("a", Path::WireGuard).len());
    }
    assert_eq!(probes, [2, 4, 8, 16, 16, 16]);
}

#[test]
fn when_tor_fails_wireguard_is_taken_without_more_proof() {
    let mut bench = Bench::of(pace(), &["a"]);
    bench.block("a", Path::WireGuard);
    bench.until(changed(Path::Tor));
    bench.pass(secs(100));
    bench.block("a", Path::Tor);
    bench.unblock("a", Path::WireGuard);
    assert!(bench.until(changed(Path::WireGuard)) <= secs(18));
    assert_eq!(bench.count(dead("a")), 0);
}

#[test]
fn when_our_own_tor_goes_wireguard_is_tried_again_at_once() {
    let mut bench = Bench::of(pace(), &["a", "b"]);
    bench.block("a", Path::WireGuard);
    bench.until(changed(Path::Tor));
    bench.watch.tor_path(false, bench.now);
    bench.settle();
    assert_eq!(bench.watch.path(&id("a")), Path::WireGuard);
    bench.said.clear();
    bench.pass(secs(5));
    assert!(bench.beats("a", Path::Tor).is_empty());
    assert_eq!(bench.state("a"), PeerState::Suspect);
    bench.watch.tor_path(true, bench.now);
    bench.until(changed(Path::Tor));
    assert_eq!(bench.state("a"), PeerState::Alive);
}

#[test]
fn tor_only_beats_half_as_often_and_never_over_wireguard() {
    let mut bench = Bench::of(Pace { wireguard: false, ..pace() }, &["a", "b"]);
    bench.pass(secs(400));
    assert!((90..=112).contains(&bench.beats("a", Path::Tor).len()));
    bench.silence("a");
    let took = bench.until(dead("a"));
    assert!((Duration::from_millis(10_800)..Duration::from_millis(17_700)).contains(&took));
    assert!(bench.beats("a", Path::WireGuard).is_empty());
}

#[test]
fn tor_only_without_tor_accuses_nobody() {
    let mut bench = Bench::of(Pace { wireguard: false, ..pace() }, &["a", "b"]);
    bench.silence("a");
    bench.silence("b");
    bench.watch.tor_path(false, bench.now);
    bench.watch.rumoured_dead(&id("a"), bench.now);
    bench.pass(secs(600));
    assert_eq!(bench.said, []);
    bench.watch.tor_path(true, bench.now);
    bench.until(missed("a"));
}

#[test]
fn without_the_fallback_tor_is_never_used() {
    let mut bench = Bench::of(Pace { tor_fallback: false, ..pace() }, &["a", "b"]);
    bench.silence("a");
    assert!(bench.until(dead("a")) <= Duration::from_millis(8800));
    bench.pass(secs(300));
    assert_eq!(bench.count(|s| matches!(s, Signal::Beat { path: Path::Tor, .. })), 0);
}

#[test]
fn a_peer_whose_tor_link_breaks_is_not_waited_for() {
    let slow = Pace { dead_threshold: 1, ..pace() };
    let mut times = Vec::new();
    for broken in [false, true] {
        let mut bench = Bench::of(slow.clone(), &["a", "b"]);
        bench.silence("a");
        let asked = |s: &Signal| matches!(s, Signal::Beat { peer, path: Path::Tor, .. } if *peer == id("a"));
        bench.until(asked);
        if broken {
            bench.watch.link_changed(&id("a"), Path::Tor, false, bench.now);
        }
        times.push(bench.until(dead("a")));
    }
    assert!(times[1] + secs(1) < times[0], "{times:?}");
}

#[test]
fn a_link_that_stands_again_carries_at_once_what_waits() {
    for broke in [false, true] {
        let mut bench = Bench::of(pace(), &["a", "b"]);
        bench.silence("a");
        bench.until(missed("a"));
        if broke {
            bench.watch.link_changed(&id("a"), Path::Tor, false, bench.now);
        }
        bench.unblock("a", Path::Tor);
        bench.watch.link_changed(&id("a"), Path::Tor, true, bench.now);
        bench.settle();
        assert_eq!(bench.state("a"), PeerState::Alive, "{broke}");
        assert_eq!(bench.watch.path(&id("a")), Path::Tor, "{broke}");
    }
}
