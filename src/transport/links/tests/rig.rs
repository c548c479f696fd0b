//! Nodes, and a network between them that carries, loses, copies and moves what the test says.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use super::super::{Links, Output};
use crate::ident::{ClusterId, HsId, PeerKey};
use crate::message::{Party, Path, Refusal};
use crate::time::Mono;
use crate::transport::session::Remote;
use crate::transport::{Event, Peer, Settings, public_key};

pub(super) fn secret(number: u8) -> [u8; 32] {
    [number; 32]
}

pub(super) fn key(number: u8) -> PeerKey {
    public_key(&secret(number))
}

pub(super) fn address(number: u8) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, number], 51_820))
}

pub(super) fn onion(number: u8) -> HsId {
    HsId([number; 32])
}

pub(super) fn peer(number: u8) -> Peer {
    Peer { key: key(number), endpoint: Some(address(number)), onion: Some(onion(number)) }
}

pub(super) fn settings(number: u8) -> Settings {
    Settings {
        private_key: Zeroizing::new(secret(number)),
        preshared_key: Some(Zeroizing::new([99; 32])),
        cluster: ClusterId([1; 16]),
        listen: Some(address(number)),
        stream_port: Some(0),
        keepalive: Duration::from_secs(25),
    }
}

/// A node, where it is, and what came out of it.
pub(super) struct Node {
    pub(super) links: Links,
    pub(super) at: SocketAddr,
    pub(super) events: Vec<Event>,
    pub(super) dials: Vec<(u64, HsId)>,
    pub(super) closed: Vec<u64>,
}

impl Node {
    pub(super) fn payloads(&mut self) -> Vec<(Party, Path, Vec<u8>)> {
        let mut payloads = Vec::new();
        self.events.retain(|event| match event {
            Event::Received { from, path, payload } => {
                payloads.push((*from, *path, payload.to_vec()));
                false
            }
            _ => true,
        });
        payloads
    }

    pub(super) fn refusals(&self) -> Vec<(Option<PeerKey>, Refusal)> {
        let refused = |event: &Event| match event {
            Event::Refused { from, reason, .. } => Some((*from, *reason)),
            _ => None,
        };
        self.events.iter().filter_map(refused).collect()
    }

    pub(super) fn changes(&self) -> Vec<(Path, bool)> {
        let changed = |event: &Event| match event {
            Event::LinkChanged { path, up, .. } => Some((*path, *up)),
            _ => None,
        };
        self.events.iter().filter_map(changed).collect()
    }
}

/// A datagram under way, with the node that sent it.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) sender: u8,
    pub(super) from: SocketAddr,
    pub(super) to: Remote,
    pub(super) datagram: Vec<u8>,
}

/// The nodes by number, and the wires.
pub(super) struct Net {
    pub(super) nodes: BTreeMap<u8, Node>,
    pub(super) now: Mono,
    /// Everything that was sent over UDP, for those who copy it.
    pub(super) log: Vec<Flight>,
    /// Open streams: each end, as node and number, with the other.
    pub(super) streams: BTreeMap<(u8, u64), (u8, u64)>,
    pub(super) lost: bool,
}

impl Net {
    pub(super) fn new() -> Net {
        Net {
            nodes: BTreeMap::new(),
            now: Mono::default(),
            log: Vec::new(),
            streams: BTreeMap::new(),
            lost: false,
        }
    }

    /// Nodes 1 and 2 that are members to each other.
    pub(super) fn pair() -> Net {
        let mut net = Net::new();
        net.add(1);
        net.add(2);
        net.introduce(1, 2);
        net
    }

    pub(super) fn add(&mut self, number: u8) {
        self.add_with(number, &settings(number));
    }

    pub(super) fn add_with(&mut self, number: u8, settings: &Settings) {
        let links = Links::new(settings, u32::from(number) << 12);
        let (events, dials, closed) = (Vec::new(), Vec::new(), Vec::new());
        let mut node = Node { links, at: address(number), events, dials, closed };
        node.links.set_can_dial(true);
        self.nodes.insert(number, node);
    }

    pub(super) fn introduce(&mut self, a: u8, b: u8) {
        self.node(a).links.admit(peer(b));
        self.node(b).links.admit(peer(a));
    }

    pub(super) fn node(&mut self, number: u8) -> &mut Node {
        self.nodes.get_mut(&number).unwrap()
    }

    pub(super) fn send(&mut self, from: u8, to: u8, payload: &[u8]) {
        self.send_over(from, to, Path::WireGuard, payload);
    }

    pub(super) fn send_over(&mut self, from: u8, to: u8, path: Path, payload: &[u8]) {
        let now = self.now;
        self.node(from).links.send(Party::Peer(key(to)), path, payload, now);
        self.run();
    }

    /// Lets time pass, with a tick every 250 ms.
    pub(super) fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.now < end {
            self.now = self.now + Duration::from_millis(250);
            let now = self.now;
            self.nodes.values_mut().for_each(|node| node.links.tick(now));
            self.run();
        }
    }

    /// Carries everything until all are quiet.
    pub(super) fn run(&mut self) {
        loop {
            let mut flights = VecDeque::new();
            for (&sender, node) in &mut self.nodes {
                while let Some(output) = node.links.poll_output() {
                    match output {
                        Output::Transmit { to, datagram } => {
                            let from = node.at;
                            flights.push_back(Flight { sender, from, to, datagram });
                        }
                        Output::Dial { stream, onion } => node.dials.push((stream, onion)),
                        Output::Close(id) => node.closed.push(id),
                        Output::Event(event) => node.events.push(event),
                    }
                }
            }
            self.close_streams();
            if flights.is_empty() && self.nodes.values().all(|node| node.closed.is_empty()) {
                return;
            }
            flights.into_iter().for_each(|flight| self.carry(flight));
        }
    }

    fn carry(&mut self, flight: Flight) {
        if matches!(flight.to, Remote::Udp(_)) {
            self.log.push(flight.clone());
        }
        if !self.lost {
            self.deliver(flight);
        }
    }

    /// Brings a datagram to whoever is at its address.
    pub(super) fn deliver(&mut self, flight: Flight) {
        let now = self.now;
        match flight.to {
            Remote::Udp(to) => {
                let receiver = self.nodes.values_mut().find(|node| node.at == to);
                if let Some(node) = receiver {
                    node.links.receive(Remote::Udp(flight.from), &flight.datagram, now);
                }
            }
            Remote::Stream(id) => {
                if let Some(&(node, id)) = self.streams.get(&(flight.sender, id)) {
                    self.node(node).links.receive(Remote::Stream(id), &flight.datagram, now);
                }
            }
        }
    }

    /// The tor of `from` opens the stream that was asked for last, to node `to`.
    pub(super) fn open_stream(&mut self, from: u8, to: u8) -> (u64, u64) {
        let now = self.now;
        let (id, _) = self.node(from).dials.pop().expect("a stream is wanted");
        let other = self.node(to).links.stream_accepted(now).expect("there is room");
        self.streams.insert((from, id), (to, other));
        self.streams.insert((to, other), (from, id));
        self.node(from).links.stream_dialled(id, now);
        self.run();
        (id, other)
    }

    /// Ends a stream at both ends.
    pub(super) fn break_stream(&mut self, node: u8, id: u64) {
        let now = self.now;
        self.node(node).links.stream_closed(id, 0.0, now);
        if let Some((other, other_id)) = self.streams.remove(&(node, id)) {
            self.streams.remove(&(other, other_id));
            self.node(other).links.stream_closed(other_id, 0.0, now);
        }
    }

    fn close_streams(&mut self) {
        let numbers: Vec<u8> = self.nodes.keys().copied().collect();
        for number in numbers {
            for id in std::mem::take(&mut self.node(number).closed) {
                self.break_stream(number, id);
            }
        }
    }
}
