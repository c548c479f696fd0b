//! Deadlines, cost, and whatever comes in whatever order.

use proptest::prelude::*;

use super::*;

#[test]
fn a_hundred_peers_wake_us_no_more_often_than_their_beats_need() {
    let names: Vec<String> = (0..100).map(|n| format!("n{n:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut bench = Bench::of(pace(), &names);
    bench.pass(secs(60));
    bench.wakes = 0;
    bench.said.clear();
    bench.pass(secs(60));
    assert!(bench.wakes <= bench.said.len() + 1, "{} for {}", bench.wakes, bench.said.len());
    assert!(bench.said.len() <= 100 * (34 + 3), "{}", bench.said.len());
}

/// Something that happens to a watch of peers `a` to `d`.
#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Late(u64),
    Heard(usize, bool),
    Answered(usize, bool, u64),
    Seen(usize, usize, Option<u64>),
    Link(usize, bool, bool),
    Busy(usize, u64),
    Rumour(usize),
    Tor(bool),
    Admit(usize),
    Dismiss(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let peer = 0..4_usize;
    prop_oneof![
        6 => (0..5000_u64).prop_map(Step::Pass),
        1 => (500..5000_u64).prop_map(Step::Late),
        3 => (peer.clone(), any::<bool>()).prop_map(|(p, tor)| Step::Heard(p, tor)),
        4 => (peer.clone(), any::<bool>(), 0..60_u64)
            .prop_map(|(p, tor, beat)| Step::Answered(p, tor, beat)),
        2 => (peer.clone(), peer.clone(), proptest::option::of(0..9000_u64))
            .prop_map(|(about, by, ago)| Step::Seen(about, by, ago)),
        1 => (peer.clone(), any::<bool>(), any::<bool>())
            .prop_map(|(p, tor, up)| Step::Link(p, tor, up)),
        1 => (peer.clone(), 0..60_000_u64).prop_map(|(p, ms)| Step::Busy(p, ms)),
        1 => peer.clone().prop_map(Step::Rumour),
        1 => any::<bool>().prop_map(Step::Tor),
        1 => peer.clone().prop_map(Step::Admit),
        1 => peer.prop_map(Step::Dismiss),
    ]
}

fn perform(bench: &mut Bench, step: &Step) {
    let name = |p: &usize| id(["a", "b", "c", "d"][*p]);
    let path = |tor: &bool| if *tor { Path::Tor } else { Path::WireGuard };
    let (now, ms) = (bench.now, Duration::from_millis);
    let mut out = Vec::new();
    let watch = &mut bench.watch;
    match step {
        Step::Pass(time) => bench.pass(ms(*time)),
        Step::Late(time) => {
            bench.now = now + ms(*time);
            watch.was_slow(bench.now);
        }
        Step::Heard(p, tor) => watch.heard(&name(p), path(tor), now, &mut out),
        Step::Answered(p, tor, beat) => {
            watch.heard(&name(p), path(tor), now, &mut out);
            watch.answered(&name(p), path(tor), *beat, now, &mut out);
        }
        Step::Seen(about, by, ago) => watch.seen(&name(about), &name(by), ago.map(ms), now),
        Step::Link(p, tor, up) => watch.link_changed(&name(p), path(tor), *up, now),
        Step::Busy(p, time) => watch.busy(&name(p), now + ms(*time)),
        Step::Rumour(p) => watch.rumoured_dead(&name(p), now),
        Step::Tor(ready) => watch.tor_path(*ready, now),
        Step::Admit(p) => watch.admit(&name(p), now),
        Step::Dismiss(p) => watch.dismiss(&name(p)),
    }
    bench.said.extend(out.into_iter().map(|signal| (now, signal)));
    bench.settle();
}

proptest! {
    #[test]
    fn whatever_happens_deadlines_lie_ahead_and_what_is_said_makes_sense(
        steps in proptest::collection::vec(step(), 1..120),
        wireguard: bool,
        tor_fallback: bool,
    ) {
        let pace = Pace { wireguard, tor_fallback, ..pace() };
        let usable = |path| if path == Path::WireGuard { wireguard } else { tor_fallback || !wireguard };
        let mut bench = Bench::unheard(pace.clone(), &["a", "b", "c", "d"]);
        let mut again = Bench::unheard(pace, &["a", "b", "c", "d"]);
        for step in &steps {
            perform(&mut bench, step);
            perform(&mut again, step);
            prop_assert!(bench.watch.deadline().is_none_or(|at| at > bench.now));
        }
        prop_assert_eq!(&bench.said, &again.said);
        let mut partitioned = false;
        for (_, signal) in &bench.said {
            match signal {
                Signal::Beat { path, .. } | Signal::PathChanged { path, .. } => {
                    prop_assert!(usable(*path), "{signal:?}");
                }
                Signal::AskSeen { of, about } => prop_assert_ne!(of, about),
                Signal::Partition => prop_assert!(!std::mem::replace(&mut partitioned, true)),
                Signal::PartitionHealed { .. } => {
                    prop_assert!(std::mem::replace(&mut partitioned, false));
                }
                Signal::Missed { missed, .. } => prop_assert!(*missed >= 1),
                _ => {}
            }
        }
    }
}
