//! A relay for datagrams in front of one node's UDP port: it can lose them, all or some, per sender.
//!
//! Whoever sends to it gets a socket of its own towards the node, so the node sees every sender
//! apart and its answers find their way back. One thread; it ends on drop.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Result;

/// Larger than any datagram that nodes exchange.
const DATAGRAM_MAX_BYTES: usize = 2048;

/// The most datagrams that are recorded.
const RECORDED_MAX: usize = 4096;

/// How long it sleeps when nothing came.
const PAUSE: Duration = Duration::from_millis(1);

/// The relay of one node.
#[derive(Debug)]
pub struct UdpRelay {
    address: SocketAddr,
    rules: Arc<Mutex<Rules>>,
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Rules {
    /// Whose datagrams to the node are lost.
    unheard: BTreeSet<SocketAddr>,
    /// To whom the node's answers are lost.
    unanswered: BTreeSet<SocketAddr>,
    block_all: bool,
    carried: u64,
    dropped: u64,
    /// Datagrams to the node; `None`: they are not recorded.
    recorded: Option<Vec<Vec<u8>>>,
}

impl Rules {
    fn carries(&mut self, sender: SocketAddr, to_node: bool) -> bool {
        let blocked = if to_node { &self.unheard } else { &self.unanswered };
        let carries = !self.block_all && !blocked.contains(&sender);
        *(if carries { &mut self.carried } else { &mut self.dropped }) += 1;
        carries
    }

    fn record(&mut self, datagram: &[u8]) {
        let recorded = self.recorded.as_mut().filter(|recorded| recorded.len() < RECORDED_MAX);
        recorded.into_iter().for_each(|recorded| recorded.push(datagram.to_vec()));
    }
}

impl UdpRelay {
    /// Relays to `target` on loopback, which need not be there yet.
    ///
    /// # Errors
    /// Fails when no socket can be had.
    pub fn start(target: SocketAddr) -> Result<UdpRelay> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_nonblocking(true)?;
        let address = socket.local_addr()?;
        let rules = Arc::new(Mutex::new(Rules::default()));
        let ended = Arc::new(AtomicBool::new(false));
        let (its_rules, its_end) = (Arc::clone(&rules), Arc::clone(&ended));
        let thread = std::thread::spawn(move || relay(&socket, target, &its_rules, &its_end));
        Ok(UdpRelay { address, rules, ended, thread: Some(thread) })
    }

    /// Where others send to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Loses what `sender` sends to the node and the node's answers to it.
    pub fn block(&self, sender: SocketAddr) {
        self.block_to_node(sender);
        self.block_from_node(sender);
    }

    /// Loses what `sender` sends to the node; the node's answers arrive.
    pub fn block_to_node(&self, sender: SocketAddr) {
        self.rules().unheard.insert(sender);
    }

    /// Loses what the node answers to `sender`, whom it hears.
    pub fn block_from_node(&self, sender: SocketAddr) {
        self.rules().unanswered.insert(sender);
    }

    /// Records from now on what is carried to the node, at most 4,096 datagrams.
    pub fn record(&self) {
        self.rules().recorded.get_or_insert_default();
    }

    /// What was recorded so far.
    pub fn recorded(&self) -> Vec<Vec<u8>> {
        self.rules().recorded.clone().unwrap_or_default()
    }

    /// Loses everything.
    pub fn block_all(&self) {
        self.rules().block_all = true;
    }

    /// Carries everything again.
    pub fn heal(&self) {
        let mut rules = self.rules();
        rules.unheard.clear();
        rules.unanswered.clear();
        rules.block_all = false;
    }

    /// Datagrams carried and lost so far.
    pub fn counts(&self) -> (u64, u64) {
        let rules = self.rules();
        (rules.carried, rules.dropped)
    }

    fn rules(&self) -> std::sync::MutexGuard<'_, Rules> {
        self.rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Drop for UdpRelay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn relay(socket: &UdpSocket, target: SocketAddr, rules: &Mutex<Rules>, ended: &AtomicBool) {
    let mut flows: BTreeMap<SocketAddr, UdpSocket> = BTreeMap::new();
    let mut buffer = [0; DATAGRAM_MAX_BYTES];
    let rules = || rules.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    while !ended.load(Ordering::Relaxed) {
        let mut idle = true;
        while let Some((length, sender)) = receive(socket, &mut buffer) {
            idle = false;
            if rules().carries(sender, true)
                && let Some(flow) = flow(&mut flows, sender)
            {
                rules().record(&buffer[..length]);
                let _ = flow.send_to(&buffer[..length], target);
            }
        }
        for (sender, flow) in &flows {
            while let Some((length, _)) = receive(flow, &mut buffer) {
                idle = false;
                if rules().carries(*sender, false) {
                    let _ = socket.send_to(&buffer[..length], sender);
                }
            }
        }
        if idle {
            std::thread::sleep(PAUSE);
        }
    }
}

fn flow(flows: &mut BTreeMap<SocketAddr, UdpSocket>, sender: SocketAddr) -> Option<&UdpSocket> {
    match flows.entry(sender) {
        Entry::Occupied(known) => Some(known.into_mut()),
        Entry::Vacant(new) => {
            let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
            socket.set_nonblocking(true).ok()?;
            Some(new.insert(socket))
        }
    }
}

/// A datagram, if one waits. A refused earlier send shows up as an error here and means nothing.
fn receive(socket: &UdpSocket, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
    loop {
        match socket.recv_from(buffer) {
            Ok(received) => return Some(received),
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket() -> UdpSocket {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        socket
    }

    #[test]
    fn one_direction_can_be_blocked_alone() {
        let (node, near) = (socket(), socket());
        let relay = UdpRelay::start(node.local_addr().unwrap()).unwrap();
        let mut buffer = [0; 16];
        relay.block_from_node(near.local_addr().unwrap());
        near.send_to(b"heard", relay.address()).unwrap();
        let (_, to_near) = node.recv_from(&mut buffer).unwrap();
        node.send_to(b"lost", to_near).unwrap();
        assert!(near.recv_from(&mut buffer).is_err());
        relay.heal();
        relay.block_to_node(near.local_addr().unwrap());
        near.send_to(b"lost", relay.address()).unwrap();
        node.send_to(b"heard", to_near).unwrap();
        assert_eq!(near.recv_from(&mut buffer).unwrap(), (5, relay.address()));
        assert!(node.recv_from(&mut buffer).is_err());
    }

    #[test]
    fn datagrams_go_both_ways_until_their_sender_is_blocked() {
        let (node, near, far) = (socket(), socket(), socket());
        let relay = UdpRelay::start(node.local_addr().unwrap()).unwrap();
        relay.record();
        let mut buffer = [0; 16];
        near.send_to(b"near", relay.address()).unwrap();
        let (length, to_near) = node.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"near");
        node.send_to(b"back", to_near).unwrap();
        let (length, from) = near.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"back"[..], relay.address()));

        relay.block(near.local_addr().unwrap());
        near.send_to(b"lost", relay.address()).unwrap();
        node.send_to(b"lost", to_near).unwrap();
        far.send_to(b"far", relay.address()).unwrap();
        let (length, to_far) = node.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"far");
        assert_ne!(to_far, to_near);
        assert!(node.recv_from(&mut buffer).is_err());
        assert!(near.recv_from(&mut buffer).is_err());

        relay.heal();
        near.send_to(b"again", relay.address()).unwrap();
        assert_eq!(node.recv_from(&mut buffer).unwrap().1, to_near);
        assert_eq!(relay.counts().1, 2);
        assert_eq!(relay.recorded(), [&b"near"[..], b"far", b"again"]);
    }
}
