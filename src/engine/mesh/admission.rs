//! Letting others in, coming in, and getting the secrets that a certificate entitles to.

use std::time::Duration;

use super::super::action::{Action, MeshReport};
use super::Mesh;
use super::door::Admission;
use super::joining::{Move, Ways};
use super::refusals::Rarely;
use super::table::Merged;
use crate::ident::{NodeId, PeerKey, TokenId};
use crate::message::{
    Body, Certificate, JoinRefusal, JoinRequest, Member, Party, Path, Refusal, Welcome,
};
use crate::time::{Mono, Now};

/// Secrets that did not come are asked for again after so long, up to
const WANTED_MIN: Duration = Duration::from_secs(5);

/// this.
const WANTED_MAX: Duration = Duration::from_secs(60);

/// Secrets go to one peer no more often within a second.
const SECRETS_TO_PEER_MAX: u32 = 2;

/// The secrets that the own certificate entitles to, and that are not here.
#[derive(Debug, Default)]
pub(super) struct Wanting {
    due: Option<Mono>,
    pause: Duration,
    turn: usize,
    master_keys: bool,
    /// Newcomers that were refused, and why.
    refused: Rarely<(NodeId, u8)>,
}

impl Wanting {
    /// What the certificate entitles to came.
    pub(super) fn stored(&mut self, own: Option<&Certificate>) {
        (self.due, self.pause) = (None, Duration::ZERO);
        self.master_keys = own.is_some_and(|own| own.publisher);
    }

    pub(super) fn has_master_keys(&self) -> bool {
        self.master_keys
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.due
    }
}

impl Mesh {
    /// A newcomer, in the session of its invitation.
    pub(super) fn hear_newcomer(&mut self, id: TokenId, path: Path, body: Body, now: Now) {
        let Body::Join(request) = body else {
            self.refuse(None, path, Refusal::Stranger, now.mono);
            return;
        };
        if !self.is_member() {
            return;
        }
        let can_certify = self.can_certify();
        match self.door.check(&id, &request, &self.table, can_certify, now.wall) {
            Ok(Admission::Again) => self.welcome(id, path, &request.key),
            Ok(Admission::New(certificate)) => {
                if self.door.certify(id, *request, path, now.mono) {
                    self.outbox.act(Action::Certify(certificate));
                }
            }
            Err(why) => {
                self.outbox.send(Party::Token(id), path, Body::JoinRefused(why));
                self.join_refused(&request, why, path, now.mono);
            }
        }
    }

    fn join_refused(&mut self, request: &JoinRequest, why: JoinRefusal, path: Path, now: Mono) {
        self.refusals.count(None, path, Refusal::NotAllowed, now);
        let name = request.name.clone();
        if self.wanting.refused.allows((name.clone(), why as u8), now) {
            self.outbox.report(MeshReport::JoinRefused { name, why });
        }
    }

    /// A certificate is signed: of a newcomer, or of a member that is removed.
    pub(super) fn certified(&mut self, certificate: Certificate, now: Now) {
        let (id, key) = (certificate.token, certificate.key);
        if certificate.removed {
            self.removal_certified(certificate, now);
            return;
        }
        let Some(newcomer) = self.door.certified(&certificate) else {
            self.recertified(certificate);
            return;
        };
        let (name, path) = (newcomer.request.name.clone(), newcomer.path);
        let announcement = Some(newcomer.request.announcement);
        match self.table.merge(Member { certificate, announcement }) {
            Ok(Merged::Unchanged | Merged::Changed | Merged::Joined { .. }) => {}
            Ok(Merged::Removed) | Err(_) => {
                self.outbox.send(Party::Token(id), path, Body::JoinRefused(JoinRefusal::NameTaken));
                return;
            }
        }
        self.door.used(&id, key);
        self.outbox.changed();
        self.outbox.report(MeshReport::NodeJoined { peer: name });
        self.push_members([key], usize::MAX);
        self.push_tokens([id]);
        self.welcome(id, path, &key);
    }

    fn welcome(&mut self, id: TokenId, path: Path, key: &PeerKey) {
        let Some(member) = self.table.entry(key) else { return };
        let welcome = Welcome {
            certificate: member.certificate.clone(),
            key: self.settings.cluster_key,
            cluster: self.settings.cluster.clone(),
            services: self.services.clone(),
        };
        let to = Party::Token(id);
        if !self.successions.is_empty() {
            self.outbox.send(to, path, Body::Successions(self.successions.clone()));
        }
        self.outbox.send(to, path, Body::Welcome(Box::new(welcome)));
        let all = self.table.members().chain(self.table.removed());
        let all: Vec<PeerKey> = all.map(|m| m.certificate.key).filter(|k| k != key).collect();
        self.sync.queue_members(to, Some(path), all);
    }

    /// What a door of our own invitation says.
    pub(super) fn hear_door(&mut self, door: u8, path: Path, body: Body, now: Now) {
        match body {
            Body::Welcome(welcome) => self.welcomed(*welcome, (door, path), now),
            Body::JoinRefused(why) => {
                let Some(joining) = &mut self.joining else { return };
                if joining.refused(door, why, now.mono) {
                    self.outbox.report(MeshReport::JoinFailed { why });
                }
            }
            Body::Successions(successions) if self.joining.is_some() => {
                self.learn_successions(successions);
            }
            Body::Members(entries) => {
                let ready = self.joining.as_mut().filter(|joining| joining.is_welcomed());
                if let Some(joining) = ready {
                    joining.told(now.mono);
                    self.members(entries, None, now);
                }
            }
            _ => self.refuse(None, path, Refusal::NotAllowed, now.mono),
        }
    }

    fn welcomed(&mut self, welcome: Welcome, door: (u8, Path), now: Now) {
        let own = &welcome.certificate;
        let ours = own.name == self.me.name
            && own.key == self.settings.key
            && own.node_key == self.settings.node_key
            && !own.removed;
        if !ours {
            self.refuse(None, door.1, Refusal::Malformed, now.mono);
            return;
        }
        let Some(joining) = &mut self.joining else { return };
        let certificate = own.clone();
        if joining.welcomed(welcome, door, now.mono) {
            self.me.certificate = Some(certificate);
            self.enter_own();
        }
    }

    pub(super) fn advance_joining(&mut self, now: Now) {
        let Some(said) = self.me.announcement.clone() else { return };
        let tor = self.tor_path && (self.settings.tor_fallback || !self.settings.wireguard);
        let ways = Ways { wireguard: self.settings.wireguard, tor };
        let Some(joining) = &mut self.joining else { return };
        for step in joining.advance(ways, now.mono, &mut self.rng) {
            match step {
                Move::Knock { door, path, attempt, again } => {
                    self.outbox.act(Action::Knock { door, path });
                    self.outbox.report(MeshReport::Knocking { door, path, attempt, again });
                }
                Move::Ask { door, path } => {
                    let request = JoinRequest {
                        name: self.me.name.clone(),
                        key: self.settings.key,
                        node_key: self.settings.node_key,
                        announcement: said.clone(),
                    };
                    self.outbox.send(Party::Door(door), path, Body::Join(Box::new(request)));
                }
                Move::Arrived(welcome) => {
                    self.settings.cluster = welcome.cluster.clone();
                    self.settings.cluster_key = welcome.key;
                    self.services.clone_from(&welcome.services);
                    self.joining = None;
                    let peers = self.table.len().saturating_sub(1);
                    self.outbox.report(MeshReport::Joined { welcome, peers });
                    self.reconcile(now);
                    return;
                }
            }
        }
    }

    /// A member asks for the secrets that its certificate entitles it to.
    pub(super) fn secrets_asked(&mut self, name: &NodeId, key: PeerKey, path: Path, now: Mono) {
        let Some(member) = self.table.of(name) else { return };
        let bootstrap = member.certificate.bootstrap && self.can_certify();
        let publisher = member.certificate.publisher && self.has_master_keys();
        let entitled = member.certificate.bootstrap || member.certificate.publisher;
        let Some(peer) = self.peers.get_mut(name) else { return };
        let rarely = peer.secrets_sent.admits(SECRETS_TO_PEER_MAX, now);
        if !entitled {
            self.refuse(Some(name.clone()), path, Refusal::NotAllowed, now);
        } else if (bootstrap || publisher) && rarely {
            let to = key;
            self.outbox.act(Action::SendSecrets { to, path, bootstrap, publisher });
        }
    }

    /// Asks for the secrets that the own certificate entitles to, one member after the other.
    pub(super) fn advance_wanting(&mut self, now: Mono) {
        let own = self.me.certificate.as_ref();
        let lacks = own.is_some_and(|own| {
            (own.bootstrap && !self.can_certify()) || (own.publisher && !self.has_master_keys())
        });
        if !lacks {
            self.wanting.due = None;
            return;
        }
        if self.wanting.due.is_some_and(|due| due > now) {
            return;
        }
        let able = |name: &&NodeId| {
            let certificate = self.table.of(name).map(|member| &member.certificate);
            certificate.is_some_and(|of| of.bootstrap || of.publisher)
        };
        let able: Vec<NodeId> = self.alive().filter(able).cloned().collect();
        if able.is_empty() {
            // Whoever comes first wakes us.
            self.wanting.due = None;
            return;
        }
        let name = able[self.wanting.turn % able.len()].clone();
        self.wanting.turn = self.wanting.turn.wrapping_add(1);
        self.wanting.pause = WANTED_MAX.min(WANTED_MIN.max(self.wanting.pause * 2));
        self.wanting.due = Some(now + self.wanting.pause);
        self.say(&name, Body::PullSecrets);
    }

    /// Says these invitations to the bootstrap members that are there.
    pub(super) fn push_tokens(&mut self, ids: impl IntoIterator<Item = TokenId> + Clone) {
        let keys: Vec<PeerKey> = self.bootstrap_keys();
        for key in keys {
            self.sync.queue_tokens(Party::Peer(key), ids.clone());
        }
    }

    /// Once a minute, one bootstrap member is asked for what it knows of invitations.
    pub(super) fn advance_tokens(&mut self, now: Mono) {
        if !self.is_bootstrap() {
            return;
        }
        let others: Vec<NodeId> = self.alive().filter(|name| self.invites(name)).cloned().collect();
        if self.sync.tokens_due(!others.is_empty(), now) {
            let other = others[self.rng.below(others.len())].clone();
            self.say(&other, Body::PullTokens);
        }
    }

    /// What waited for its turn goes out.
    pub(super) fn advance_sync(&mut self, now: Mono) {
        let (table, door) = (&self.table, &self.door);
        let waiting = self.sync.advance(now, |key| table.entry(key), |id| door.token(id));
        for (to, path, body) in waiting {
            let name = match to {
                Party::Peer(key) => self.table.name_of(&key),
                Party::Token(_) | Party::Door(_) => None,
            };
            let path = path.or_else(|| name.map(|name| self.watch.path(name)));
            let path = path.unwrap_or_else(|| self.default_path());
            self.outbox.send(to, path, body);
        }
    }

    fn bootstrap_keys(&self) -> Vec<PeerKey> {
        let certificates =
            self.alive().filter_map(|name| self.table.of(name)).map(|member| &member.certificate);
        certificates.filter(|of| of.bootstrap).map(|of| of.key).collect()
    }
}
