//! The loop's part for the other nodes.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::{Done, Shell};
use crate::config::Socks;
use crate::control::Event;
use crate::daemon::join::{JoinError, Joined};
use crate::daemon::peers::{self, Came};
use crate::daemon::wishes::Asked;
use crate::daemon::{StartError, api, clock, socket};
use crate::engine::{Input, MeshReport, RequestError};
use crate::transport;

/// How long a newcomer knocks. Over Tor alone it takes minutes until a service can be found.
const JOIN_PATIENCE: Duration = Duration::from_secs(300);

/// How long it waits for the keys once it is in.
const KEYS_PATIENCE: Duration = Duration::from_secs(60);

impl Shell {
    /// What came from a peer.
    pub(super) fn on_peer(&mut self, event: transport::Event) {
        let Some(peers) = &mut self.peers else { return };
        match peers.read(event, &self.signer) {
            Came::Input(input) => self.tell(input),
            Came::Master(key) => {
                self.signer.add(key);
                self.on_secret();
            }
            Came::Certifier => self.on_secret(),
            Came::Nothing => {}
        }
    }

    fn on_secret(&mut self) {
        if self.peers.as_ref().is_some_and(|peers| peers.is_complete(&self.signer)) {
            self.tell(Input::SecretsStored);
        }
    }

    pub(super) fn on_mesh_report(&mut self, report: MeshReport) {
        if let (MeshReport::Joined { welcome, .. }, Some(peers)) = (&report, &mut self.peers) {
            peers.welcomed(welcome);
        }
        self.news.push(report);
    }

    /// An operator wants more than to know how things are.
    pub(super) fn on_wish(&mut self, command: socket::Command) {
        let mesh = self.snapshot().mesh;
        let (Some(peers), Some(mesh)) = (&self.peers, &mesh) else {
            return command.answer(&api::Refused::from(RequestError::NoCluster));
        };
        let now = clock::now().wall;
        let asked = Asked { config: &self.config, mesh, peers, now };
        if let Some(input) = self.wishes.ask(command, &asked) {
            self.tell(input);
        }
    }

    /// Tor is there, or has read its torrc again: how are the other nodes called over it?
    pub(super) fn find_socks(&mut self) {
        if self.peers.is_none() {
            return;
        }
        match self.config.tor.socks {
            Socks::None => {}
            Socks::Port(port) => self.on_socks(Some(port)),
            Socks::Auto => self.ask(|control| async move {
                let ports = control.socks_listeners().await.ok()?;
                Some(Done::Socks(ports.first().copied()))
            }),
        }
    }

    pub(super) fn on_socks(&mut self, port: Option<SocketAddr>) {
        let Some(peers) = &mut self.peers else { return };
        let known = self.socks.replace(port);
        if known == Some(port) {
            return;
        }
        peers.set_socks(port);
        match port {
            None => tracing::warn!(
                event = "no_socks",
                "Tor has no SOCKS port: the other nodes are called over WireGuard alone. Set \
                 SocksPort in the torrc, or [tor] socks"
            ),
            Some(_) if known.is_some() => {
                tracing::info!(event = "socks", "Tor has a SOCKS port now");
            }
            Some(_) => {}
        }
        self.tell(Input::TorPathChanged(port.is_some()));
    }

    /// Tor is gone, and with it our services and the way to others'.
    pub(super) fn on_tor_lost(&mut self) {
        self.socks = None;
        if let Some(peers) = &mut self.peers {
            peers.tor_lost();
            self.tell(Input::TorPathChanged(false));
        }
    }

    /// Tells tor which onion services of ours it is to keep, when that has changed.
    pub(super) fn tell_tor_of_peers(&mut self) {
        let Some(peers) = &mut self.peers else { return };
        peers.retry(clock::now().mono);
        if !self.tor.is_up() {
            return;
        }
        let steps = peers.steps();
        if !steps.is_empty() {
            self.ask(|control| async move {
                let told = peers::tell(control, steps).await;
                if let Err(error) = &told {
                    tracing::warn!(event = "onions_refused", "Tor refused a service: {error}");
                }
                Some(Done::OnionsTold(told.is_ok()))
            });
        }
    }

    pub(super) fn on_onions_told(&mut self, all: bool) {
        if let Some(peers) = &mut self.peers {
            peers.told(all);
        }
    }
}

impl Shell {
    /// Goes round until this node is in its cluster, or will not be let in.
    pub(in crate::daemon) async fn join(
        mut self,
        mut events: mpsc::Receiver<Event>,
        told: &mut dyn FnMut(&MeshReport),
    ) -> Result<Joined, JoinError> {
        let broken = |error: std::io::Error| JoinError::from(StartError::Runtime(error.into()));
        let mut terminate = signal(SignalKind::terminate()).map_err(broken)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(broken)?;
        let mut welcome = None;
        let mut give_up = Box::pin(tokio::time::sleep(JOIN_PATIENCE));
        self.tell(Input::Woken);
        loop {
            for report in std::mem::take(&mut self.news) {
                told(&report);
                match report {
                    MeshReport::JoinFailed { why } => return Err(JoinError::Refused(why)),
                    MeshReport::Joined { welcome: ours, .. } => {
                        welcome = Some(ours);
                        give_up = Box::pin(tokio::time::sleep(KEYS_PATIENCE));
                    }
                    _ => {}
                }
            }
            let complete = self.peers.as_ref().is_some_and(|p| p.is_complete(&self.signer));
            if let Some(welcome) = welcome.as_ref().filter(|_| complete) {
                return Ok(Joined::new(welcome, self.snapshot().mesh.as_ref()));
            }
            self.tell_tor_of_peers();
            let sleep = self.until_deadline();
            tokio::select! {
                Some(event) = events.recv() => self.on_event(event),
                Some(Ok(done)) = self.tasks.join_next() => self.on_done(done),
                Some(event) = next(&mut self.peer_events) => self.on_peer(event),
                () = tokio::time::sleep(sleep) => self.tell(Input::Woken),
                () = &mut give_up => break,
                _ = terminate.recv() => return Err(JoinError::Interrupted),
                _ = interrupt.recv() => return Err(JoinError::Interrupted),
            }
        }
        Err(match welcome {
            Some(welcome) => {
                let mesh = self.snapshot().mesh;
                JoinError::NoKeys(Box::new(Joined::new(&welcome, mesh.as_ref())))
            }
            None => JoinError::NobodyAnswered,
        })
    }
}

/// The next event of the peers; for ever none when this node is alone.
pub(super) async fn next(
    events: &mut Option<mpsc::Receiver<transport::Event>>,
) -> Option<transport::Event> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}
