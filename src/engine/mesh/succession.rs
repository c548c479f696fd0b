//! The keys that certify, one after the other: who has the newest, and what older ones still count.
//!
//! Whoever was a bootstrap member knows the key that certifies. When one is removed, whoever
//! removes it makes a successor and certifies all others anew with it; the other bootstrap members
//! ask for the new key. What an older key signed counts only as far as it was known before: all
//! else may come from the one for whom the key was changed.

use std::collections::BTreeSet;

use super::super::action::{Action, MeshReport};
use super::Mesh;
use crate::ident::PeerKey;
use crate::message::{Body, Certificate, Member, SUCCESSIONS_MAX, Succession};

/// What this node certifies with.
#[derive(Debug, Default)]
pub(super) struct Certifying {
    /// The number of the key that we have.
    key: Option<u32>,
    /// Removals that wait for the next key.
    removals: Vec<Certificate>,
    /// Members whose certificates are made anew with the key of this number.
    anew: (u32, BTreeSet<PeerKey>),
}

impl Certifying {
    pub(super) fn with(key: Option<u32>) -> Certifying {
        Certifying { key, ..Certifying::default() }
    }
}

impl Mesh {
    /// The number of the newest key.
    fn newest(&self) -> u32 {
        u32::try_from(self.successions.len()).unwrap_or(u32::MAX)
    }

    /// We have the newest key.
    pub(super) fn can_certify(&self) -> bool {
        self.certifying.key == Some(self.newest())
    }

    pub(super) fn secrets_stored(&mut self) {
        let own = self.me.certificate.as_ref();
        if own.is_some_and(|own| own.bootstrap) {
            self.certifying.key = Some(self.newest());
        }
        self.wanting.stored(own);
    }

    /// Has a removal signed; of a bootstrap member with the next key, while there may be one.
    pub(super) fn certify_removal(&mut self, removal: Certificate) {
        if removal.bootstrap && self.successions.len() < SUCCESSIONS_MAX {
            self.certifying.removals.push(removal);
            self.outbox.act(Action::Succeed);
        } else {
            self.outbox.act(Action::Certify(Box::new(removal)));
        }
    }

    /// The next key is kept here, or could not be.
    pub(super) fn succeeded(&mut self, succession: Option<Succession>) {
        let removals = std::mem::take(&mut self.certifying.removals);
        let Some(succession) = succession else {
            removals.iter().for_each(|removal| self.removal_failed(&removal.key));
            return;
        };
        self.certifying.key = Some(succession.generation);
        self.learn_successions(vec![succession]);
        for removal in removals {
            self.outbox.act(Action::Certify(Box::new(removal)));
        }
    }

    pub(super) fn learn_successions(&mut self, successions: Vec<Succession>) {
        let before = self.newest();
        for succession in successions {
            if succession.generation == self.newest() + 1
                && self.successions.len() < SUCCESSIONS_MAX
            {
                self.successions.push(succession);
            }
        }
        let generation = self.newest();
        if generation == before {
            return;
        }
        self.outbox.changed();
        if self.joining.is_none() {
            self.outbox.report(MeshReport::KeyChanged { generation });
        }
        let peers: Vec<_> = self.alive().cloned().collect();
        for peer in peers {
            self.say(&peer, Body::Successions(self.successions.clone()));
        }
    }

    /// Has everybody's certificate made anew that an older key signed.
    pub(super) fn advance_certificates(&mut self) {
        let newest = self.newest();
        if newest == 0 || !self.can_certify() {
            return;
        }
        if self.certifying.anew.0 != newest {
            self.certifying.anew = (newest, BTreeSet::new());
        }
        let known = &self.certifying.anew.1;
        let old = self.table.members().map(|member| &member.certificate).filter(|of| {
            of.generation < newest && !known.contains(&of.key) && !self.wishes.removes(&of.key)
        });
        let anew: Vec<Certificate> = old
            .map(|of| Certificate { serial: of.serial.saturating_add(1), ..of.clone() })
            .collect();
        for certificate in anew {
            self.certifying.anew.1.insert(certificate.key);
            self.outbox.act(Action::Certify(Box::new(certificate)));
        }
    }

    /// A member's certificate was made anew.
    pub(super) fn recertified(&mut self, certificate: Certificate) {
        let key = certificate.key;
        if !self.certifying.anew.1.contains(&key) || self.table.name_of(&key).is_none() {
            return;
        }
        if key == self.settings.key {
            self.me.certificate = Some(certificate.clone());
        }
        if self.table.merge(Member { certificate, announcement: None }).is_ok() {
            self.outbox.changed();
            self.push_members([key], usize::MAX);
        }
    }

    /// An older key signed it, and it says something that we did not know before.
    pub(super) fn is_outdated(&self, certificate: &Certificate) -> bool {
        if certificate.generation >= self.newest() {
            return false;
        }
        let rank = |of: &Certificate| (of.serial, of.signature);
        match self.table.entry(&certificate.key).map(|member| &member.certificate) {
            // Who was removed before stays so where the table was lost.
            None => !certificate.removed,
            Some(held) if held.removed => false,
            Some(held) => {
                let other = held.node_key != certificate.node_key;
                certificate.removed || other || rank(certificate) > rank(held)
            }
        }
    }
}
