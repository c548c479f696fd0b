//! A world of whole engines: nodes in one virtual time, and a network that delays, loses and cuts.
//!
//! Signatures are filled in and never checked: what is forged does not reach an engine.

mod machine;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::rng::Rng;
use super::super::testing::member;
use super::super::*;
use super::world;
use crate::ident::{ClusterKey, Incarnation, IntroPoint, PeerKey, Revision, TokenId};
use crate::message::{Answer, Body, Frame, Party, Path, Refusal, Succession, Verdict};
use crate::time::Wall;

pub(super) use self::machine::{Machine, Place, entry, heartbeat, key, name, token};
use self::machine::{door, mesh_settings};

pub(super) struct MeshWorld {
    pub(super) nodes: Vec<Machine>,
    pub(super) mono: Mono,
    /// Of 1000 datagrams so many are lost.
    pub(super) loss: usize,
    cuts: BTreeSet<(Place, Place, Path)>,
    /// Which newcomer speaks in a session of an invitation at this node.
    guests: BTreeMap<(Place, TokenId), Place>,
    queue: BTreeMap<(Mono, u64), (Place, u32, Input)>,
    sequence: u64,
    rng: Rng,
    pub(super) sent: usize,
    /// Answers that asked to wait.
    pub(super) busy: usize,
    /// Every action of every node, to compare runs; `None`: nobody wants to.
    pub(super) trace: Option<u64>,
}

impl MeshWorld {
    /// One founder, running.
    pub(super) fn new(seed: u64) -> MeshWorld {
        let founder = member(name(0).as_str(), 1, 0).certificate;
        let mut world = MeshWorld {
            nodes: vec![Machine::new(0, mesh_settings(0, Some(founder)), seed)],
            mono: Mono(Duration::from_secs(1)),
            loss: 0,
            cuts: BTreeSet::new(),
            guests: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            rng: Rng::new(seed),
            sent: 0,
            busy: 0,
            trace: None,
        };
        world.start(0);
        world
    }

    /// So many nodes that know each other already.
    pub(super) fn of(count: usize, seed: u64) -> MeshWorld {
        let mut world = MeshWorld::new(seed);
        for place in 1..count {
            world.join(place, 10 + u8::try_from(place).unwrap());
        }
        world.run(20.0);
        world.assert_agreed();
        world
    }

    /// Adds a node that comes in by an invitation of the founder, and starts it.
    pub(super) fn join(&mut self, place: Place, number: u8) {
        self.say(0, Input::TokenIssued(Box::new(token(number, 0))));
        self.add_newcomer(place, number);
        self.start(place);
    }

    /// A node that holds an invitation and knocks at the founder.
    pub(super) fn add_newcomer(&mut self, place: Place, number: u8) {
        assert_eq!(place, self.nodes.len());
        let mut mesh = mesh_settings(place, None);
        mesh.doors = vec![door(0)];
        let seed = self.nodes[0].settings.seed + 100;
        let mut machine = Machine::new(place, mesh, seed);
        machine.invitation = Some(TokenId([number; 16]));
        self.nodes.push(machine);
    }

    pub(super) fn now(&self, place: Place) -> Now {
        let wall = Wall(1_800_000_000) + self.mono.0;
        let wall = Wall(wall.0.saturating_add_signed(self.nodes[place].clock_ahead_s));
        Now { mono: self.mono, wall }
    }

    /// Starts the machine's node from what was written down.
    pub(super) fn start(&mut self, place: Place) {
        let machine = &mut self.nodes[place];
        let file = machine.file.clone();
        machine.mesh().state = file;
        machine.engine = Some(Engine::new(machine.settings.clone()));
        machine.life += 1;
        (machine.admitted, machine.banned) = (BTreeMap::new(), BTreeSet::new());
        machine.doors = Vec::new();
        self.say(place, Input::TorPathChanged(true));
        if self.nodes[place].tor {
            self.say(place, Input::TorConnected);
        }
    }

    pub(super) fn kill(&mut self, place: Place) {
        let machine = &mut self.nodes[place];
        machine.engine = None;
        machine.life += 1;
    }

    pub(super) fn lose_file(&mut self, place: Place) {
        self.nodes[place].file = MeshState::default();
    }

    /// Its tor comes up, with these introduction points.
    pub(super) fn give_tor(&mut self, place: Place, points: Vec<IntroPoint>) {
        self.nodes[place].tor = true;
        self.nodes[place].points = points;
        self.say(place, Input::TorConnected);
    }

    pub(super) fn cut(&mut self, a: Place, b: Place, paths: &[Path]) {
        self.cuts.extend(paths.iter().flat_map(|&path| [(a, b, path), (b, a, path)]));
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn say(&mut self, place: Place, input: Input) {
        let now = self.now(place);
        let Some(engine) = &mut self.nodes[place].engine else { return };
        engine.handle(input, now);
        self.drain(place);
    }

    /// A frame that no engine made, in the session of a member that runs.
    pub(super) fn forge(&mut self, to: Place, from: Place, body: Body) {
        let incarnation = self.view(from).incarnation;
        self.inject(to, Party::Peer(key(from)), incarnation.0, body);
    }

    /// A frame that no engine made.
    pub(super) fn inject(&mut self, to: Place, from: Party, incarnation: u64, body: Body) {
        if let Party::Peer(key) = from {
            self.nodes[to].spoken.insert(key);
        }
        let frame = Box::new(Frame { incarnation: Incarnation(incarnation), sequence: 0, body });
        self.say(to, Input::FrameReceived { from, path: Path::WireGuard, frame });
    }

    /// Lets virtual time pass.
    pub(super) fn run(&mut self, seconds: f64) {
        let end = self.mono + Duration::from_secs_f64(seconds);
        loop {
            let event = self.queue.first_key_value().map(|((at, _), (place, ..))| (*at, *place));
            let awake = self.nodes.iter().enumerate().filter(|(_, machine)| !machine.paused);
            let wake = awake.filter_map(|(place, machine)| {
                Some((machine.engine.as_ref()?.next_deadline()?.0, place))
            });
            let wake = wake.min();
            let next = event.into_iter().chain(wake).min().filter(|(at, _)| *at <= end);
            let Some((at, place)) = next else { break };
            self.mono = self.mono.max(at);
            if event.is_some_and(|(at, _)| at <= self.mono) {
                let (_, (place, life, input)) = self.queue.pop_first().unwrap();
                if self.nodes[place].life == life {
                    self.say(place, input);
                }
            } else {
                self.wake(place);
            }
        }
        self.mono = end;
    }

    fn wake(&mut self, place: Place) {
        let machine = &mut self.nodes[place];
        let spins = machine.woken == self.mono;
        machine.idle_wakes = if spins { machine.idle_wakes + 1 } else { 0 };
        machine.woken = self.mono;
        let asked = machine.engine.as_ref().and_then(Engine::next_deadline);
        assert!(machine.idle_wakes < 20, "{} spins: {asked:?}", machine.settings.node);
        self.say(place, Input::Woken);
    }

    fn later(&mut self, delay: Duration, place: Place, input: Input) {
        self.sequence += 1;
        let life = self.nodes[place].life;
        self.queue.insert((self.mono + delay, self.sequence), (place, life, input));
    }

    fn drain(&mut self, place: Place) {
        let soon = Duration::from_millis(1);
        let mut first = true;
        while let Some(action) = self.nodes[place].engine.as_mut().and_then(Engine::poll_action) {
            self.note(place, &action);
            let leads = std::mem::take(&mut first);
            match action {
                Action::Persist(state) => {
                    assert!(leads, "written down before anything else");
                    self.nodes[place].file = *state;
                    self.nodes[place].writes += 1;
                }
                Action::Send { to, path, frame } => self.send(place, to, path, frame),
                Action::Admit(link) => {
                    self.nodes[place].banned.remove(&link.key);
                    self.nodes[place].admitted.insert(link.key, link);
                }
                Action::Dismiss { key, banned } => {
                    self.nodes[place].admitted.remove(&key);
                    if banned {
                        self.nodes[place].banned.insert(key);
                    }
                }
                Action::OpenDoors(doors) => self.nodes[place].doors = doors,
                Action::Knock { .. } => {}
                Action::Announce(mut said) => {
                    said.signature = [1; 64];
                    self.later(soon, place, Input::Announced(said));
                }
                Action::Certify(mut certificate) => {
                    certificate.signature = [1; 64];
                    certificate.generation = self.nodes[place].mesh().certifier.unwrap();
                    self.later(soon, place, Input::Certified(certificate));
                }
                Action::Succeed => {
                    let next = self.nodes[place].mesh().certifier.unwrap() + 1;
                    self.nodes[place].mesh().certifier = Some(next);
                    let key = ClusterKey([u8::try_from(next).unwrap(); 32]);
                    let succession = Succession { generation: next, key, signature: [1; 64] };
                    self.later(soon, place, Input::Succeeded(Some(Box::new(succession))));
                }
                Action::SendSecrets { to, bootstrap, .. } => {
                    let to = self.at(to).unwrap();
                    if bootstrap {
                        let certifier = self.nodes[place].mesh().certifier;
                        self.nodes[to].mesh().certifier = certifier;
                    }
                    self.nodes[to].secrets += 1;
                    self.later(soon * 20, to, Input::SecretsStored);
                }
                Action::Reply(id, answer) => self.nodes[place].replies.push((id, answer)),
                Action::Report(Report::Mesh(report)) => self.reported(place, report),
                Action::Report(_) => {}
                action => self.tor(place, action),
            }
        }
    }

    fn note(&mut self, place: Place, action: &Action) {
        if let Some(trace) = &mut self.trace {
            let line = format!("{:?} {place} {action:?}", self.mono);
            let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
            *trace = line.bytes().fold(*trace, step);
        }
    }

    fn reported(&mut self, place: Place, report: MeshReport) {
        let machine = &mut self.nodes[place];
        if let MeshReport::Joined { welcome, .. } = &report {
            machine.mesh().certificate = Some(welcome.certificate.clone());
            machine.mesh().cluster_key = welcome.key;
            let own = &welcome.certificate;
            machine.mesh().certifier = own.bootstrap.then_some(own.generation);
            machine.mesh().has_master_keys = welcome.certificate.publisher;
        }
        machine.reports.push((self.mono, report));
    }

    /// What the machine's tor answers.
    fn tor(&mut self, place: Place, action: Action) {
        let (soon, machine) = (Duration::from_millis(20), &mut self.nodes[place]);
        let answer = match action {
            Action::ReadConsensus => {
                let mut view = world::view();
                view.rings.insert(machine.settings.instance, Responsible::default());
                Input::ConsensusRead(Ok(Box::new(view)))
            }
            Action::ReadInstance => {
                let period = world::view().first;
                let roster = Roster::new(period, machine.points.clone(), None);
                let reading =
                    roster.map(|roster| Reading { roster, revision: Revision(1), pow: false });
                Input::InstanceRead(reading.ok_or(ReadError::NotFound))
            }
            Action::ReadIntroCircuits => {
                let relays = machine.points.iter().map(|point| point.relay).collect();
                Input::IntroCircuitsRead(Ok(relays))
            }
            Action::Upload(upload) => {
                machine.plan = Some(upload.plan.clone());
                machine.uploads += 1;
                Input::UploadFinished(upload.id, Ok(()))
            }
            Action::Fetch { id, .. } => Input::FetchFinished(id, Err(ReadError::NotFound)),
            other => panic!("nobody does {other:?}"),
        };
        self.later(soon, place, answer);
    }

    pub(super) fn at(&self, key: PeerKey) -> Option<Place> {
        self.nodes
            .iter()
            .position(|machine| machine.settings.mesh.as_ref().is_some_and(|mesh| mesh.key == key))
    }

    fn send(&mut self, from: Place, to: Party, path: Path, frame: Box<Frame>) {
        let machine = &self.nodes[from];
        let own = machine.settings.mesh.as_ref().unwrap().key;
        let (place, as_party) = match to {
            Party::Peer(key) => {
                let known = machine.admitted.contains_key(&key) || machine.spoken.contains(&key);
                let farewell = matches!(frame.body, Body::Members(_) | Body::LeaveSeen);
                assert!(known || farewell, "no session with {key} for {frame:?}");
                (self.at(key), Party::Peer(own))
            }
            Party::Door(number) => {
                let key = machine.settings.mesh.as_ref().unwrap().doors[usize::from(number)].key;
                let id = machine.invitation.unwrap();
                let place = self.at(key);
                let open = place.filter(|&p| self.nodes[p].doors.iter().any(|(t, _)| *t == id));
                if let Some(place) = open {
                    self.guests.insert((place, id), from);
                }
                (open, Party::Token(id))
            }
            Party::Token(id) => (self.guests.get(&(from, id)).copied(), Party::Door(0)),
        };
        self.sent += 1;
        let busy = |answer: &Answer| matches!(answer.verdict, Verdict::Busy { .. });
        self.busy += usize::from(matches!(&frame.body, Body::Answer(answer) if busy(answer)));
        let Some(place) = place else { return };
        if self.cuts.contains(&(from, place, path)) || self.rng.below(1000) < self.loss {
            return;
        }
        let (min, max) = match path {
            Path::WireGuard => (5, 40),
            Path::Tor => (200, 900),
        };
        let ms = Duration::from_millis;
        let delay = self.rng.between(ms(min), ms(max));
        self.deliver(place, as_party, own, path, frame, delay);
    }

    fn deliver(
        &mut self,
        place: Place,
        from: Party,
        key: PeerKey,
        path: Path,
        frame: Box<Frame>,
        delay: Duration,
    ) {
        let machine = &mut self.nodes[place];
        if machine.paused || machine.engine.is_none() {
            return;
        }
        let input = if machine.banned.contains(&key) {
            let reason = Refusal::Removed;
            Input::FrameRefused { from: Some(key), path, reason }
        } else {
            machine.spoken.insert(key);
            Input::FrameReceived { from, path, frame }
        };
        self.later(delay, place, input);
    }

    pub(super) fn view(&self, place: Place) -> MeshView {
        let engine = self.nodes[place].engine.as_ref().expect("it runs");
        engine.snapshot(self.now(place)).mesh.expect("it has a mesh")
    }

    pub(super) fn state(&self, of: Place, at: Place) -> Option<PeerState> {
        let view = self.view(at);
        view.peers.iter().find(|peer| peer.name == name(of)).map(|peer| peer.state)
    }

    /// Where the transport of `at` was told that `of` is.
    pub(super) fn endpoint(&self, of: Place, at: Place) -> Option<std::net::SocketAddr> {
        self.nodes[at].admitted.get(&key(of))?.announcement.as_ref()?.endpoint
    }

    fn running(&self) -> impl Iterator<Item = Place> {
        (0..self.nodes.len()).filter(|&place| self.nodes[place].engine.is_some())
    }

    /// All that run see each other alive, and agree on everything.
    pub(super) fn assert_agreed(&self) {
        let running: Vec<Place> = self.running().collect();
        let views: BTreeSet<u64> = running.iter().map(|&place| self.view(place).view).collect();
        for &at in &running {
            for &of in running.iter().filter(|&&of| of != at) {
                let state = self.state(of, at);
                assert_eq!(state, Some(PeerState::Alive), "{} at {}", name(of), name(at));
            }
            let view = self.view(at);
            assert!(view.peers.iter().all(|peer| !peer.disagrees), "{} {view:?}", name(at));
        }
        assert_eq!(views.len(), 1, "one view");
    }
}
