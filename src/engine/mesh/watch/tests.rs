//! The rules one by one, in virtual time.

mod bounds;
mod death;
mod doubt;
mod paths;

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::super::rng::Rng;
use super::super::{PeerState, PeerView};
use super::{Pace, Signal, Watch};
use crate::ident::{Incarnation, NodeId, PeerKey};
use crate::message::Path;
use crate::time::Mono;

/// A watch whose beats are answered at once by whom the test wants to answer.
struct Bench {
    watch: Watch,
    rng: Rng,
    now: Mono,
    /// Who answers over which path.
    answers: BTreeSet<(NodeId, Path)>,
    /// Who is heard over WireGuard whenever a beat goes to it, although it does not answer.
    heard: BTreeSet<NodeId>,
    said: Vec<(Mono, Signal)>,
    wakes: usize,
}

fn pace() -> Pace {
    Pace {
        interval: Duration::from_secs(2),
        dead_threshold: 3,
        wireguard: true,
        tor_fallback: true,
    }
}

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn secs(s: u64) -> Duration {
    Duration::from_secs(s)
}

impl Bench {
    /// Everybody is there and has been heard; our tor can be used.
    fn of(pace: Pace, peers: &[&str]) -> Bench {
        let mut bench = Bench::unheard(pace, peers);
        let both = |name: &&str| Path::BOTH.map(|path| (id(name), path));
        bench.answers = peers.iter().flat_map(both).collect();
        bench.pass(secs(5));
        bench.said.clear();
        bench
    }

    fn unheard(pace: Pace, peers: &[&str]) -> Bench {
        let mut bench = Bench {
            watch: Watch::new(pace),
            rng: Rng::new(9),
            now: Mono(secs(100)),
            answers: BTreeSet::new(),
            heard: BTreeSet::new(),
            said: Vec::new(),
            wakes: 0,
        };
        bench.watch.tor_path(true, bench.now);
        for name in peers {
            bench.watch.admit(&id(name), bench.now);
        }
        bench
    }

    /// Nothing comes back from this peer any more.
    fn silence(&mut self, name: &str) {
        self.answers.retain(|(peer, _)| *peer != id(name));
    }

    fn block(&mut self, name: &str, path: Path) {
        self.answers.remove(&(id(name), path));
    }

    fn unblock(&mut self, name: &str, path: Path) {
        self.answers.insert((id(name), path));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(at) = self.watch.deadline().filter(|at| *at <= end) {
            assert!(at > self.now, "a deadline in the past");
            self.now = at;
            self.settle();
        }
        self.now = end;
    }

    /// What every input ends with.
    fn settle(&mut self) {
        self.wakes += 1;
        let mut out = Vec::new();
        self.watch.advance(self.now, &mut self.rng, &mut out);
        while !out.is_empty() {
            let mut more = Vec::new();
            for signal in out {
                if let Signal::Beat { peer, path, beat } = &signal {
                    let answers = self.answers.contains(&(peer.clone(), *path));
                    if answers || self.heard.contains(peer) {
                        self.watch.heard(peer, *path, self.now, &mut more);
                    }
                    if answers {
                        self.watch.answered(peer, *path, *beat, self.now, &mut more);
                    }
                }
                self.said.push((self.now, signal));
            }
            self.watch.advance(self.now, &mut self.rng, &mut more);
            out = more;
        }
    }

    /// Passes time until this was said, for 10 minutes at most; how long it took.
    fn until(&mut self, wanted: impl Fn(&Signal) -> bool) -> Duration {
        let from = self.now;
        let known = self.said.len();
        while self.now - from < secs(600) {
            self.pass(Duration::from_millis(100));
            if let Some((at, _)) = self.said[known..].iter().find(|(_, signal)| wanted(signal)) {
                return *at - from;
            }
        }
        panic!("not said within 10 minutes");
    }

    /// The times of the beats to this peer over this path; tries again are not counted.
    fn beats(&self, name: &str, path: Path) -> Vec<Mono> {
        let mut seen = BTreeSet::new();
        let mut times = Vec::new();
        for (at, signal) in &self.said {
            match signal {
                Signal::Beat { peer, path: by, beat }
                    if *peer == id(name) && *by == path && seen.insert(*beat) =>
                {
                    times.push(*at);
                }
                _ => {}
            }
        }
        times
    }

    /// Everything that was said but beats and questions.
    fn news(&self) -> Vec<&Signal> {
        let news = |signal: &&Signal| {
            !matches!(
                signal,
                Signal::Beat { .. } | Signal::AskSeen { .. } | Signal::BeatFailed { .. }
            )
        };
        self.said.iter().map(|(_, signal)| signal).filter(news).collect()
    }

    fn count(&self, wanted: impl Fn(&Signal) -> bool) -> usize {
        self.said.iter().filter(|(_, signal)| wanted(signal)).count()
    }

    fn state(&self, name: &str) -> PeerState {
        self.watch.state(&id(name))
    }
}

fn dead(name: &'static str) -> impl Fn(&Signal) -> bool {
    move |signal| matches!(signal, Signal::Dead { peer } if *peer == id(name))
}

fn missed(name: &'static str) -> impl Fn(&Signal) -> bool {
    move |signal| matches!(signal, Signal::Missed { peer, .. } if *peer == id(name))
}

fn gaps(times: &[Mono]) -> Vec<Duration> {
    times.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

/// How the watch says that this peer stands.
fn view_of(bench: &Bench, name: &str) -> PeerView {
    let mut view = PeerView {
        name: id(name),
        key: PeerKey([0; 32]),
        endpoint: None,
        onion: None,
        state: PeerState::Joining,
        missed: 0,
        last_heard: None,
        heard_over: [None; 2],
        path: None,
        rtt: None,
        vouched_by: None,
        points: 0,
        tor: None,
        app: None,
        clock_ahead_s: None,
        clock_bad: false,
        version: None,
        incarnation: Incarnation(0),
        bootstrap: false,
        publisher: false,
        spare: false,
        drained: false,
        disagrees: false,
        damped: None,
        busy: None,
        sent: [0; 2],
        received: [0; 2],
        deaths: 0,
    };
    bench.watch.fill(&mut view, bench.now);
    view
}
