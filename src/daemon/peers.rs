//! Everything between the engine and the other nodes: sessions, signatures, secrets, and what is
//! remembered on disk.
//!
//! It performs what the engine decides and tells it what came. It decides nothing: not who is a
//! member, nor what is said.

mod onions;
mod proof;
mod start;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use zeroize::Zeroizing;

use self::onions::Onions;
pub(super) use self::onions::{Step, tell};
use self::proof::Proof;
pub(super) use self::start::Member;
pub use self::start::MembershipOver;
use super::identity::{Identity, KeyDir};
use super::signer::Signer;
use super::store::Store;
use crate::engine::{Action, Input, PeerLink};
use crate::hs::keys::MasterKey;
use crate::ident::{HsId, Incarnation, NodeId, PeerKey, TokenId};
use crate::message::{
    Body, Certificate, Door, Frame, Party, Path, Refusal, Succession, Token, Welcome,
};
use crate::time::{Mono, Wall};
use crate::transport::{Event, Peer, Transport};
use crate::wire::invitation::DOORS_MAX;
use crate::wire::{
    Authority, Certifier, Content, DoorKeys, Invitation, Secret, SecretKind, encode, encode_secret,
};

/// How often what could not be written is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(10);

/// What came of an event of the transport.
pub(super) enum Came {
    /// For the engine.
    Input(Input),
    /// A master key that this node may have.
    Master(MasterKey),
    /// The key that certifies, which is kept already.
    Certifier,
    Nothing,
}

/// The mesh's side of the shell.
pub(super) struct Peers {
    transport: Transport,
    proof: Proof,
    identity: Identity,
    keys: KeyDir,
    store: Store,
    certifier: Option<Certifier>,
    /// What the cluster says of this node.
    certificate: Option<Certificate>,
    services: BTreeSet<HsId>,
    invitation: Option<Invitation>,
    incarnation: Incarnation,
    onions: Onions,
    retried_at: Option<Mono>,
}

impl Peers {
    /// Performs one of the engine's actions for the mesh; some are answered at once.
    pub(super) fn perform(&mut self, action: Action, signer: &Signer) -> Option<Input> {
        match action {
            Action::Send { to, path, frame } => self.send(to, path, &frame),
            Action::Admit(link) => self.admit(&link),
            Action::Dismiss { key, banned } => {
                self.transport.dismiss(key, banned);
                self.onions.dismiss(&key);
            }
            Action::OpenDoors(doors) => self.open_doors(&doors),
            Action::Knock { door, path } => self.knock(door, path),
            Action::Announce(announcement) => {
                self.incarnation = announcement.incarnation;
                return match self.identity.node.sign_announcement(*announcement) {
                    Ok(signed) => Some(Input::Announced(Box::new(signed))),
                    Err(error) => {
                        tracing::error!(event = "unsignable", "cannot announce: {error}");
                        None
                    }
                };
            }
            Action::Certify(certificate) => {
                let signed = self.certifier.as_ref()?.sign_certificate(*certificate);
                return Some(Input::Certified(Box::new(signed)));
            }
            Action::Succeed => return Some(Input::Succeeded(self.succeed().map(Box::new))),
            Action::SendSecrets { to, path, bootstrap, publisher } => {
                self.send_secrets(to, path, (bootstrap, publisher), signer);
            }
            Action::Persist(state) => {
                self.store.save(&state);
            }
            _ => tracing::error!(event = "unperformed", "an action that nobody performs"),
        }
        None
    }

    fn send(&self, to: Party, path: Path, frame: &Frame) {
        match encode(frame) {
            Ok(payload) => self.transport.send(to, path, payload),
            Err(error) => tracing::error!(event = "unsendable", "a frame was not sent: {error}"),
        }
    }

    fn admit(&mut self, link: &PeerLink) {
        let said = link.announcement.as_ref();
        let onion = said.and_then(|said| said.onion);
        let endpoint = said.and_then(|said| said.endpoint);
        self.transport.admit(Peer { key: link.key, endpoint, onion });
        self.onions.admit(link.key, onion, said.and_then(|said| said.client_key));
    }

    fn open_doors(&mut self, doors: &[(TokenId, PeerKey)]) {
        let keys: Vec<DoorKeys> = doors.iter().map(|(token, _)| DoorKeys::of(token)).collect();
        self.onions.expect_newcomers(keys.iter().map(|keys| keys.client_key));
        let doors = doors.iter().zip(keys);
        self.transport
            .open_doors(doors.map(|((id, key), keys)| (*id, *key, keys.preshared_key)).collect());
    }

    fn knock(&mut self, place: u8, path: Path) {
        let Some(invitation) = &self.invitation else { return };
        let Some(door) = invitation.doors().get(usize::from(place)) else { return };
        let keys = invitation.door_keys();
        if let (Path::Tor, Some(onion)) = (path, door.onion) {
            self.onions.knock_at(onion, *keys.client_secret);
        }
        let secret = invitation.session_secret();
        self.transport.knock(place, door.clone(), secret, keys.preshared_key, path);
    }

    fn send_secrets(
        &self,
        to: PeerKey,
        path: Path,
        (bootstrap, publisher): (bool, bool),
        signer: &Signer,
    ) {
        let certifier = self.certifier.as_ref().filter(|_| bootstrap).map(|certifier| {
            let what = SecretKind::ClusterKey { generation: certifier.generation() };
            (what, Zeroizing::new(certifier.seed().to_vec()))
        });
        let masters = signer
            .masters()
            .filter(|_| publisher)
            .map(|key| (SecretKind::MasterKey(key.id()), Zeroizing::new(key.expanded().to_vec())));
        for (what, bytes) in certifier.into_iter().chain(masters) {
            let secret = Secret { incarnation: self.incarnation, sequence: 0, what, bytes };
            match encode_secret(&secret) {
                Ok(payload) => self.transport.send(Party::Peer(to), path, payload),
                Err(error) => tracing::error!(event = "unsendable", "a key was not sent: {error}"),
            }
        }
    }

    /// Reads what came from a peer.
    pub(super) fn read(&mut self, event: Event, signer: &Signer) -> Came {
        let (from, path, payload) = match event {
            Event::Received { from, path, payload } => (from, path, payload),
            Event::LinkChanged { peer, path, up } => {
                return Came::Input(Input::LinkChanged { peer, path, up });
            }
            Event::Refused { from, path, reason } => {
                return Came::Input(Input::FrameRefused { from, path, reason });
            }
        };
        let known = match from {
            Party::Peer(key) => self.onions.knows(&key),
            Party::Door(_) => true,
            Party::Token(_) => false,
        };
        let read = self.proof.content(&payload, known);
        if let Ok(Content::Frame(Frame { body: Body::Successions(_), .. })) = &read {
            self.keep_successions();
        }
        let read = read.and_then(|content| match content {
            Content::Frame(frame) => {
                let frame = Box::new(frame);
                Ok(Came::Input(Input::FrameReceived { from, path, frame }))
            }
            Content::Secret(secret) => match from {
                Party::Peer(_) if known => self.keep(&secret, signer).map_err(Some),
                _ => Err(Some(Refusal::Stranger)),
            },
        });
        read.unwrap_or_else(|dropped| match dropped {
            Some(reason) => {
                let from = match from {
                    Party::Peer(key) => Some(key),
                    Party::Token(_) | Party::Door(_) => None,
                };
                Came::Input(Input::FrameRefused { from, path, reason })
            }
            None => Came::Nothing,
        })
    }

    /// The key after ours, kept before it is used: first the statement that makes it the cluster's.
    fn succeed(&mut self) -> Option<Succession> {
        let authority = self.proof.authority()?;
        let own = self.certifier.as_ref().filter(|own| own.generation() == authority.newest())?;
        let (succession, next) = own.succeed(&mut rand::rng());
        let all = authority.successions().chain([&succession]);
        let kept = self.keys.keep_successions(all).and_then(|()| self.keys.keep_certifier(&next));
        if let Err(error) = kept {
            tracing::error!(event = "key_unkept", "The next key cannot be kept: {error}");
            return None;
        }
        self.proof.learn(&succession).ok()?;
        self.certifier = Some(next);
        Some(succession)
    }

    fn keep_successions(&self) {
        let Some(authority) = self.proof.authority() else { return };
        if let Err(error) = self.keys.keep_successions(authority.successions()) {
            tracing::error!(event = "key_unkept", "The successions cannot be kept: {error}");
        }
    }

    /// A key that came: it proves itself, because its public half is known. One that is here already
    /// changes nothing.
    fn keep(&mut self, secret: &Secret, signer: &Signer) -> Result<Came, Refusal> {
        let certificate = self.certificate.as_ref().ok_or(Refusal::NotAllowed)?;
        let kept = match secret.what {
            SecretKind::ClusterKey { generation } => {
                if !certificate.bootstrap {
                    return Err(Refusal::NotAllowed);
                }
                let authority = self.proof.authority().ok_or(Refusal::NotAllowed)?;
                let certifier = authority.certifier(generation, &secret.bytes);
                let certifier = certifier.map_err(|_| Refusal::Forged)?;
                let newer = |own: &Certifier| own.generation() >= generation;
                if self.certifier.as_ref().is_some_and(newer) {
                    return Ok(Came::Nothing);
                }
                let kept = self.keys.keep_certifier(&certifier);
                self.certifier = Some(certifier);
                kept.map(|()| Came::Certifier)
            }
            SecretKind::MasterKey(onion) => {
                if !certificate.publisher || !self.services.contains(&onion) {
                    return Err(Refusal::NotAllowed);
                }
                let bytes: [u8; 64] =
                    secret.bytes.as_slice().try_into().map_err(|_| Refusal::Malformed)?;
                let key = MasterKey::from_expanded(Zeroizing::new(bytes));
                let key = key.filter(|key| key.id() == onion).ok_or(Refusal::Forged)?;
                if signer.masters().any(|held| held.id() == onion) {
                    return Ok(Came::Nothing);
                }
                self.keys.keep_master(&key).map(|_| Came::Master(key))
            }
        };
        Ok(kept.unwrap_or_else(|error| {
            tracing::error!(event = "key_unkept", "A key came and cannot be kept: {error}");
            Came::Nothing
        }))
    }

    /// A newcomer is in: its certificate is kept, and what the cluster is.
    pub(super) fn welcomed(&mut self, welcome: &Welcome) {
        if let Err(error) = self.keys.keep_certificate(&welcome.certificate) {
            tracing::error!(event = "key_unkept", "The certificate cannot be kept: {error}");
        }
        self.certificate = Some(welcome.certificate.clone());
        self.services.extend(&welcome.services);
    }

    /// Whether it has every key that its certificate entitles it to.
    pub(super) fn is_complete(&self, signer: &Signer) -> bool {
        let Some(certificate) = &self.certificate else { return false };
        let masters: BTreeSet<HsId> = signer.masters().map(MasterKey::id).collect();
        let publishes = !certificate.publisher || self.services.is_subset(&masters);
        let newest = self.proof.authority().map(Authority::newest);
        let own = self.certifier.as_ref().map(Certifier::generation);
        publishes && (!certificate.bootstrap || (own.is_some() && own == newest))
    }

    /// Whether it has the key that certifies.
    pub(super) fn certifies(&self) -> bool {
        self.certifier.is_some()
    }

    /// A new invitation to this cluster, and its record.
    ///
    /// `others`: further bootstrap nodes where the newcomer may knock.
    pub(super) fn invite(
        &self,
        terms: Token,
        endpoint: Option<SocketAddr>,
        others: Vec<Door>,
    ) -> Option<(Invitation, Token)> {
        let certifier = self.certifier.as_ref()?;
        let own = Door { key: self.identity.key(), endpoint, onion: self.onions.join_address() };
        let doors = std::iter::once(own)
            .chain(others)
            .filter(|door| door.endpoint.is_some() || door.onion.is_some())
            .take(DOORS_MAX)
            .collect();
        let cluster = self.proof.authority()?.cluster();
        let invitation = Invitation::generate(cluster, doors, &mut rand::rng()).ok()?;
        let (id, key) = (invitation.token(), invitation.session_key());
        let record = certifier.sign_token(Token { id, key, ..terms });
        Some((invitation, record))
    }

    /// What our tor is to be told now.
    pub(super) fn steps(&mut self) -> Vec<Step> {
        self.onions.steps()
    }

    /// Tor was told.
    pub(super) fn told(&mut self, all: bool) {
        self.onions.told(all);
    }

    /// Tor is there, with this SOCKS port; `None`: it is not, or has none.
    pub(super) fn set_socks(&mut self, port: Option<SocketAddr>) {
        self.transport.set_socks(port);
    }

    /// Tor is gone, and forgets what it was told.
    pub(super) fn tor_lost(&mut self) {
        self.transport.set_socks(None);
        self.onions.tor_lost();
    }

    /// Tries again, now and then, to write down what could not be written.
    pub(super) fn retry(&mut self, now: Mono) {
        if self.retried_at.is_none_or(|at| now - at >= RETRY_EVERY) {
            self.retried_at = Some(now);
            self.store.retry();
        }
    }
}

/// The terms of an invitation, to be completed by [`Peers::invite`].
pub(super) fn terms(
    issuer: NodeId,
    invited: Option<NodeId>,
    (bootstrap, publisher): (bool, bool),
    expires: Wall,
) -> Token {
    Token {
        id: TokenId([0; 16]),
        key: PeerKey([0; 32]),
        issuer,
        invited,
        bootstrap,
        publisher,
        expires,
        generation: 0,
        signature: [0; 64],
        used_by: None,
        revoked: false,
    }
}
