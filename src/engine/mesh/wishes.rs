//! An operator's wishes: to leave, to remove a member, to revoke an invitation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::action::{Action, MeshReport, Request, RequestError, RequestId};
use super::outbox::Voice;
use super::table::Merged;
use super::{Mesh, PeerState, after};
use crate::ident::{NodeId, PeerKey, TokenId};
use crate::message::{Body, Certificate, Member, Party, Path, Refusal};
use crate::time::{Mono, Now};

/// How long a goodbye waits for everybody to hear it.
const LEAVE_WITHIN: Duration = Duration::from_secs(3);

/// How often it is said to those that have not.
const LEAVE_AGAIN: Duration = Duration::from_millis(500);

/// Removals that wait for their certificate.
const REMOVALS_MAX: usize = 16;

#[derive(Debug, Default)]
pub(super) struct Wishes {
    leaving: Option<Leaving>,
    removals: BTreeMap<PeerKey, RequestId>,
}

#[derive(Debug)]
struct Leaving {
    asked: RequestId,
    told: BTreeSet<NodeId>,
    seen: BTreeSet<NodeId>,
    until: Mono,
    again: Mono,
}

impl Wishes {
    /// The member with this key is being removed.
    pub(super) fn removes(&self, key: &PeerKey) -> bool {
        self.removals.contains_key(key)
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        self.leaving.as_ref().map(|leaving| leaving.until.min(leaving.again))
    }
}

impl Mesh {
    pub(super) fn asked(&mut self, id: RequestId, request: Request, now: Now) {
        let answer = match request {
            Request::Revoke(token) => self.revoke(&token),
            Request::Remove { name, force } => match self.remove(id, &name, force) {
                Ok(()) => return,
                Err(error) => Err(error),
            },
            Request::Leave if self.me.leaving => Ok(()),
            Request::Leave if self.is_member() => {
                self.leave(id, now);
                return;
            }
            Request::Leave => Err(RequestError::NoCluster),
        };
        self.outbox.act(Action::Reply(id, answer));
    }

    fn revoke(&mut self, id: &TokenId) -> Result<(), RequestError> {
        match self.door.revoke(id) {
            None => Err(RequestError::NoSuchToken),
            Some(false) => Err(RequestError::TokenUsed),
            Some(true) => {
                self.outbox.changed();
                self.push_tokens([*id]);
                Ok(())
            }
        }
    }

    fn remove(&mut self, id: RequestId, name: &NodeId, force: bool) -> Result<(), RequestError> {
        if *name == self.me.name {
            return Err(RequestError::Oneself);
        }
        let member = self.table.of(name).ok_or(RequestError::NoSuchMember)?;
        if !self.can_certify() || self.wishes.removals.len() >= REMOVALS_MAX {
            return Err(RequestError::NotBootstrap);
        }
        let gone = self.watch.state(name) == PeerState::Dead || self.has_left(name);
        if !gone && !force {
            return Err(RequestError::NotDead);
        }
        let certificate = Certificate {
            removed: true,
            serial: member.certificate.serial.saturating_add(1),
            signature: [0; 64],
            ..member.certificate.clone()
        };
        self.wishes.removals.insert(certificate.key, id);
        self.certify_removal(certificate);
        Ok(())
    }

    /// The key that was to sign the removal could not be made.
    pub(super) fn removal_failed(&mut self, key: &PeerKey) {
        if let Some(id) = self.wishes.removals.remove(key) {
            self.outbox.act(Action::Reply(id, Err(RequestError::KeyUnkept)));
        }
    }

    /// The certificate that removes a member is signed.
    pub(super) fn removal_certified(&mut self, certificate: Certificate, now: Now) {
        let key = certificate.key;
        let Some(id) = self.wishes.removals.remove(&key) else { return };
        let name = certificate.name.clone();
        let path = self.watch.path(&name);
        let entry = Member { certificate, announcement: None };
        if self.table.merge(entry.clone()) == Ok(Merged::Removed) {
            self.outbox.changed();
            self.outbox.send(Party::Peer(key), path, Body::Members(vec![entry]));
            self.reconcile(now);
            self.push_members([key], usize::MAX);
            self.outbox.report(MeshReport::NodeRemoved { peer: name });
        }
        self.outbox.act(Action::Reply(id, Ok(())));
    }

    fn leave(&mut self, id: RequestId, now: Now) {
        self.me.leaving = true;
        let told = self.alive().cloned().collect();
        let leaving = Leaving {
            asked: id,
            told,
            seen: BTreeSet::new(),
            until: now.mono + LEAVE_WITHIN,
            again: now.mono,
        };
        self.wishes.leaving = Some(leaving);
        self.announce(after(self.me.incarnation, now.wall));
    }

    pub(super) fn leave_seen(&mut self, by: &NodeId) {
        if let Some(leaving) = &mut self.wishes.leaving {
            leaving.seen.insert(by.clone());
        }
    }

    pub(super) fn advance_wishes(&mut self, now: Now) {
        let Some(mut leaving) = self.wishes.leaving.take() else { return };
        if leaving.seen.is_superset(&leaving.told) || leaving.until <= now.mono {
            let (seen, of) = (leaving.seen.len(), leaving.told.len());
            self.outbox.report(MeshReport::Farewell { seen, of });
            self.outbox.act(Action::Reply(leaving.asked, Ok(())));
            self.outbox.voice = Voice::Answers;
            return;
        }
        if leaving.again <= now.mono {
            leaving.again = now.mono + LEAVE_AGAIN;
            let announced = self.me.announcement.as_ref().is_some_and(|said| said.left);
            if let Some(own) = self.own_entry().filter(|_| announced) {
                for name in leaving.told.difference(&leaving.seen) {
                    self.say(name, Body::Leave(Box::new(own.clone())));
                }
            }
        }
        self.wishes.leaving = Some(leaving);
    }

    /// A member says goodbye, perhaps once more.
    pub(super) fn peer_leaves(&mut self, entry: Member, key: PeerKey, path: Path, now: Now) {
        let name = self.table.name_of(&key).cloned();
        let goodbye = entry.announcement.as_ref().is_some_and(|said| said.left);
        if entry.certificate.key != key || !goodbye {
            self.refuse(name, path, Refusal::NotAllowed, now.mono);
            return;
        }
        if self.learn(entry, name.as_ref(), now).is_ok() {
            self.outbox.send(Party::Peer(key), path, Body::LeaveSeen);
            self.reconcile(now);
        }
    }
}
