//! Several watches joined by a network that loses, delays and blocks, in virtual time.
//!
//! Knows what travels between watches (beats, answers, questions about third ones) and nothing of
//! frames or sessions. Equal seeds give equal runs.

mod scenarios;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, VecDeque};
use std::time::Duration;

use super::super::super::rng::Rng;
use super::{Pace, Signal, Watch};
use crate::ident::NodeId;
use crate::message::Path;
use crate::time::Mono;

/// A shell that is later than this says that it was slow.
const LATE: Duration = Duration::from_millis(500);

/// What travels. Peers are numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Beat(u64),
    Answer(u64),
    AskSeen(usize),
    Seen(usize, Option<Duration>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Arrived { to: usize, from: usize, path: Path, word: Word },
    Woken(usize),
    Resumed(usize),
}

/// How datagrams fare. Onion streams lose nothing, keep the order and take 0.025 to 1 s.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// How many of a thousand datagrams are lost.
    loss_permille: usize,
    /// Every link goes dark for a mean of 2 s in a mean of 200 s, both ways.
    bursts: bool,
    /// How long a datagram takes: at least and at most.
    delay_ms: [u64; 2],
}

/// The network between two nodes, one way.
#[derive(Clone, Copy, Debug, Default)]
struct Link {
    cut: bool,
    /// Nothing on the stream overtakes what was sent before.
    stream_free: Mono,
    dark_from: Mono,
    dark_until: Mono,
}

struct Node {
    watch: Watch,
    rng: Rng,
    wake: Option<Mono>,
    up: bool,
    paused: bool,
    queue: VecDeque<(usize, Path, Word)>,
}

/// One thing that a node said.
#[derive(Clone, Debug)]
struct Said {
    at: Mono,
    by: usize,
    what: Signal,
}

struct World {
    now: Mono,
    pace: Pace,
    weather: Weather,
    nodes: Vec<Node>,
    names: Vec<NodeId>,
    links: Vec<Link>,
    events: BinaryHeap<Reverse<(Mono, u64, Event)>>,
    order: u64,
    chance: Rng,
    /// Everything but beats and questions; misses are only counted.
    said: Vec<Said>,
    misses: Vec<u64>,
    beats: u64,
}

impl World {
    fn new(size: usize, pace: &Pace, weather: Weather, seed: u64) -> World {
        let names: Vec<NodeId> = (0..size).map(|n| format!("n{n:03}").parse().unwrap()).collect();
        let node = |n: usize| Node {
            watch: Watch::new(pace.clone()),
            rng: Rng::new(seed.wrapping_mul(1000).wrapping_add(n as u64)),
            wake: None,
            up: false,
            paused: false,
            queue: VecDeque::new(),
        };
        let mut world = World {
            now: Mono(Duration::from_secs(1)),
            pace: pace.clone(),
            weather,
            nodes: (0..size).map(node).collect(),
            names,
            links: vec![Link::default(); size * size],
            events: BinaryHeap::new(),
            order: 0,
            chance: Rng::new(seed),
            said: Vec::new(),
            misses: vec![0; size],
            beats: 0,
        };
        for n in 0..size {
            world.start(n);
        }
        world
    }

    /// Starts a node that knows the names of all others and nothing else.
    fn start(&mut self, n: usize) {
        let mut watch = Watch::new(self.pace.clone());
        watch.tor_path(true, self.now);
        for (other, name) in self.names.iter().enumerate() {
            if other != n {
                watch.admit(name, self.now);
            }
        }
        self.nodes[n].watch = watch;
        self.nodes[n].up = true;
        self.settle(n);
    }

    fn kill(&mut self, n: usize) {
        self.nodes[n].up = false;
        self.nodes[n].wake = None;
    }

    /// Stops a node for a while: what comes meanwhile waits.
    fn pause(&mut self, n: usize, pause: Duration) {
        self.nodes[n].paused = true;
        self.push(self.now + pause, Event::Resumed(n));
    }

    /// Blocks datagrams from one node to another, or lets them pass again.
    fn cut(&mut self, from: usize, to: usize, cut: bool) {
        let size = self.nodes.len();
        self.links[from * size + to].cut = cut;
    }

    fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    fn run_until(&mut self, end: Mono) {
        while let Some(Reverse((at, _, event))) = self.events.peek().copied() {
            if at > end {
                break;
            }
            self.events.pop();
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Woken(n) => {
                let node = &mut self.nodes[n];
                if node.wake == Some(self.now) && !node.paused {
                    node.wake = None;
                    self.settle(n);
                }
            }
            Event::Arrived { to, from, path, word } => {
                let node = &mut self.nodes[to];
                if !node.up {
                } else if node.paused {
                    node.queue.push_back((from, path, word));
                } else {
                    self.take(to, from, path, word);
                }
            }
            Event::Resumed(n) => {
                let node = &mut self.nodes[n];
                node.paused = false;
                if node.watch.deadline().is_some_and(|at| self.now - at > LATE) {
                    node.watch.was_slow(self.now);
                }
                while let Some((from, path, word)) = self.nodes[n].queue.pop_front() {
                    self.take(n, from, path, word);
                }
                self.settle(n);
            }
        }
    }

    fn take(&mut self, n: usize, from: usize, path: Path, word: Word) {
        let now = self.now;
        let mut out = Vec::new();
        let watch = &mut self.nodes[n].watch;
        let name = &self.names[from];
        watch.heard(name, path, now, &mut out);
        let reply = match word {
            Word::Beat(beat) => Some(Word::Answer(beat)),
            Word::Answer(beat) => {
                watch.answered(name, path, beat, now, &mut out);
                None
            }
            Word::AskSeen(about) => {
                Some(Word::Seen(about, watch.last_heard(&self.names[about], now)))
            }
            Word::Seen(about, ago) => {
                watch.seen(&self.names[about], name, ago, now);
                None
            }
        };
        self.obey(n, out);
        if let Some(word) = reply {
            self.send(n, from, path, word);
        }
        self.settle(n);
    }

    /// What every input ends with: time's consequences, and the next wake.
    fn settle(&mut self, n: usize) {
        let mut out = Vec::new();
        let node = &mut self.nodes[n];
        node.watch.advance(self.now, &mut node.rng, &mut out);
        let deadline = node.watch.deadline();
        assert!(deadline.is_none_or(|at| at > self.now), "a deadline in the past");
        if deadline != node.wake {
            node.wake = deadline;
            if let Some(at) = deadline {
                self.push(at, Event::Woken(n));
            }
        }
        self.obey(n, out);
    }

    fn obey(&mut self, by: usize, out: Vec<Signal>) {
        for what in out {
            match what {
                Signal::Beat { peer, path, beat } => {
                    self.beats += 1;
                    self.send(by, number(&peer), path, Word::Beat(beat));
                }
                Signal::AskSeen { of, about } => {
                    let path = self.nodes[by].watch.path(&of);
                    self.send(by, number(&of), path, Word::AskSeen(number(&about)));
                }
                Signal::Missed { .. } => self.misses[by] += 1,
                Signal::BeatFailed { .. } => {}
                what => self.said.push(Said { at: self.now, by, what }),
            }
        }
    }

    fn send(&mut self, from: usize, to: usize, path: Path, word: Word) {
        let size = self.nodes.len();
        let at = match path {
            Path::WireGuard => {
                let lost = self.chance.below(1000) < self.weather.loss_permille;
                if lost || self.links[from * size + to].cut || self.dark(from, to) {
                    return;
                }
                let [min, max] = self.weather.delay_ms.map(ms);
                self.now + self.chance.between(min, max)
            }
            Path::Tor => {
                let at = self.now + self.chance.between(ms(25), ms(1000));
                let link = &mut self.links[from * size + to];
                link.stream_free = link.stream_free.max(at);
                link.stream_free
            }
        };
        self.push(at, Event::Arrived { to, from, path, word });
    }

    /// Whether a burst of loss is on between the two.
    fn dark(&mut self, a: usize, b: usize) -> bool {
        if !self.weather.bursts {
            return false;
        }
        let link = &mut self.links[a.min(b) * self.nodes.len() + a.max(b)];
        while link.dark_until <= self.now {
            link.dark_from = link.dark_until + exponential(&mut self.chance, 198.0);
            link.dark_until = link.dark_from + exponential(&mut self.chance, 2.0);
        }
        link.dark_from <= self.now
    }

    fn push(&mut self, at: Mono, event: Event) {
        self.order += 1;
        self.events.push(Reverse((at, self.order, event)));
    }

    /// Who was declared dead: when, by whom, and who.
    fn deaths(&self) -> Vec<(Mono, usize, usize)> {
        let death = |said: &Said| match &said.what {
            Signal::Dead { peer } => Some((said.at, said.by, number(peer))),
            _ => None,
        };
        self.said.iter().filter_map(death).collect()
    }

    /// When `by` first went over to this path for `peer` since `since`.
    fn path_changed(&self, by: usize, peer: usize, to: Path, since: Mono) -> Option<Duration> {
        let change = |said: &Said| match &said.what {
            Signal::PathChanged { peer: about, path, .. } => {
                said.by == by && number(about) == peer && *path == to && said.at >= since
            }
            _ => false,
        };
        self.said.iter().find(|said| change(said)).map(|said| said.at - since)
    }

    /// The peers that this node sees in one of these states.
    fn seen_dead(&self, n: usize) -> BTreeSet<usize> {
        let dead = |name: &&NodeId| self.nodes[n].watch.state(name) == super::PeerState::Dead;
        self.names.iter().filter(dead).map(number).collect()
    }
}

/// The number in a node's name.
fn number(name: &NodeId) -> usize {
    name.as_str()[1..].parse().unwrap()
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn exponential(chance: &mut Rng, mean_s: f64) -> Duration {
    let steps = 1_u32 << 30;
    let drawn = chance.below(steps as usize) as f64 + 1.0;
    Duration::from_secs_f64(-(drawn / f64::from(steps)).ln() * mean_s)
}
