//! The one task that owns sockets, streams and sessions, and reads the clock for them.

use std::collections::BTreeMap;
use std::future::pending;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::links::{Links, Output};
use super::session::{DATAGRAM_MAX_BYTES, Remote};
use super::stream::{self, Heard, Writer};
use super::{BindError, Command, Event, Settings, Shared};
use crate::time::Mono;

/// How often the sessions look at the clock.
const TICK: Duration = Duration::from_millis(250);

/// How many datagrams of all streams together may wait for the task; then the streams wait.
const HEARD_MAX: usize = 256;

/// The sockets, bound.
pub(super) struct Sockets {
    udp: Option<UdpSocket>,
    streams: Option<TcpListener>,
}

impl Sockets {
    /// Binds what the settings ask for; streams come in on loopback.
    pub(super) async fn bind(settings: &Settings) -> Result<Sockets, BindError> {
        let udp = match settings.listen {
            Some(address) => {
                let opened = open_udp(address).await;
                Some(opened.map_err(|cause| BindError::Udp { address, cause })?)
            }
            None => None,
        };
        let streams = match settings.stream_port {
            Some(port) => {
                let opened = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
                Some(opened.map_err(|cause| BindError::Streams { port, cause })?)
            }
            None => None,
        };
        Ok(Sockets { udp, streams })
    }

    pub(super) fn local_endpoint(&self) -> Option<SocketAddr> {
        self.udp.as_ref()?.local_addr().ok()
    }

    pub(super) fn stream_port(&self) -> Option<SocketAddr> {
        self.streams.as_ref()?.local_addr().ok()
    }
}

async fn open_udp(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address).await?;
    // Until the runtime has seen it writable, it takes no datagram.
    socket.writable().await?;
    Ok(socket)
}

pub(super) struct Task {
    links: Links,
    sockets: Sockets,
    /// Whether the socket has IPv6 addresses, which IPv4 ones are then mapped into.
    maps_ipv4: bool,
    socks: Option<SocketAddr>,
    writers: BTreeMap<u64, Writer>,
    inbox: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Event>,
    heard: mpsc::Sender<Heard>,
    hearing: mpsc::Receiver<Heard>,
    shared: Arc<Shared>,
    started: Instant,
    untransmitted: u64,
    unheard: u64,
}

impl Task {
    pub(super) fn new(
        settings: &Settings,
        sockets: Sockets,
        inbox: mpsc::UnboundedReceiver<Command>,
        events: mpsc::Sender<Event>,
        shared: Arc<Shared>,
    ) -> Task {
        let (heard, hearing) = mpsc::channel(HEARD_MAX);
        Task {
            links: Links::new(settings, rand::random()),
            sockets,
            maps_ipv4: settings.listen.is_some_and(|address| address.is_ipv6()),
            socks: None,
            writers: BTreeMap::new(),
            inbox,
            events,
            heard,
            hearing,
            shared,
            started: Instant::now(),
            untransmitted: 0,
            unheard: 0,
        }
    }

    /// Runs until all handles are dropped. What strangers can make busy comes last.
    pub(super) async fn run(mut self) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut buffer = [0; DATAGRAM_MAX_BYTES + 1];
        loop {
            tokio::select! {
                biased;
                command = self.inbox.recv() => match command {
                    Some(command) => self.obey(command),
                    None => return,
                },
                _ = ticks.tick() => self.links.tick(self.now()),
                heard = self.hearing.recv() => {
                    self.hear(heard.expect("the task holds a sender"));
                }
                accepted = accept(self.sockets.streams.as_ref()) => self.accept(accepted),
                received = receive(self.sockets.udp.as_ref(), &mut buffer) => {
                    if let Ok((len, from)) = received {
                        let from = Remote::Udp(canonical(from));
                        self.links.receive(from, &buffer[..len], self.now());
                    }
                }
            }
            self.perform();
        }
    }

    fn now(&self) -> Mono {
        Mono(self.started.elapsed())
    }

    fn obey(&mut self, command: Command) {
        let now = self.now();
        match command {
            Command::Admit(peer) => self.links.admit(peer),
            Command::Dismiss(key, banned) => self.links.dismiss(key, banned),
            Command::OpenDoors(doors) => self.links.open_doors(doors),
            Command::Knock { place, door, secret, preshared_key, path } => {
                self.links.knock(place, door, &secret, preshared_key, path, now);
            }
            Command::Send(to, path, payload) => {
                self.shared.sends_waiting.fetch_sub(1, Ordering::Relaxed);
                self.links.send(to, path, &payload, now);
            }
            Command::SetSocks(port) => {
                self.socks = port;
                self.links.set_can_dial(port.is_some());
            }
            Command::Counters(answer) => {
                let mut counters = self.links.counters(now);
                counters.untransmitted = self.untransmitted;
                counters.unheard = self.unheard;
                // Whoever asked may have gone.
                let _ = answer.send(counters);
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        let now = self.now();
        match heard {
            Heard::Datagram(id, datagram) => {
                if self.writers.contains_key(&id) {
                    self.links.receive(Remote::Stream(id), &datagram, now);
                }
            }
            Heard::Closed(id) => self.close(id),
            Heard::Dialled(id, stream) => {
                self.writers.insert(id, stream::run(id, stream, self.heard.clone()));
                self.links.stream_dialled(id, now);
            }
            Heard::DialFailed(id) => self.links.dial_failed(id, rand::random(), now),
        }
    }

    /// Takes a stream in, or drops it when there are too many.
    fn accept(&mut self, accepted: io::Result<(TcpStream, SocketAddr)>) {
        let Ok((stream, _)) = accepted else { return };
        if let Some(id) = self.links.stream_accepted(self.now()) {
            self.writers.insert(id, stream::run(id, stream, self.heard.clone()));
        }
    }

    fn close(&mut self, id: u64) {
        self.writers.remove(&id);
        self.links.stream_closed(id, rand::random(), self.now());
    }

    fn perform(&mut self) {
        while let Some(output) = self.links.poll_output() {
            match output {
                Output::Transmit { to, datagram } => self.transmit(to, datagram),
                Output::Dial { stream, onion } => match self.socks {
                    Some(socks) => stream::dial(stream, socks, onion, self.heard.clone()),
                    None => self.links.dial_failed(stream, rand::random(), self.now()),
                },
                Output::Close(id) => self.close(id),
                Output::Event(event) => self.tell(event),
            }
        }
    }

    fn transmit(&mut self, to: Remote, datagram: Vec<u8>) {
        let taken = match to {
            Remote::Udp(address) => self.sockets.udp.as_ref().is_some_and(|udp| {
                let address = if self.maps_ipv4 { mapped(address) } else { address };
                udp.try_send_to(&datagram, address).is_ok()
            }),
            Remote::Stream(id) => self.writers.get(&id).is_some_and(|writer| writer.send(datagram)),
        };
        self.untransmitted += u64::from(!taken);
    }

    /// Refusals must not take the room of what is worth reading.
    fn tell(&mut self, event: Event) {
        let crowded = self.events.capacity() < self.events.max_capacity().div_ceil(2);
        if matches!(event, Event::Refused { .. }) && crowded {
            return;
        }
        self.unheard += u64::from(self.events.try_send(event).is_err());
    }
}

async fn receive(socket: Option<&UdpSocket>, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
    match socket {
        Some(socket) => socket.recv_from(buffer).await,
        None => pending().await,
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    let Some(listener) = listener else { return pending().await };
    let accepted = listener.accept().await;
    if accepted.is_err() {
        // Out of file descriptors, most likely: trying at once would only keep the task busy.
        tokio::time::sleep(TICK).await;
    }
    accepted
}

/// An IPv4 address as such, not mapped into IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

fn mapped(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) => SocketAddr::new(ip.to_ipv6_mapped().into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
