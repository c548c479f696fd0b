//! Telling those who were removed while they could not hear it.
//!
//! Their keys get no session. When one knocks nevertheless it probably does not know, so it is let
//! in for a moment, gets the certificate that removes it as the answer to whatever it says, and
//! nothing else. Rarely, so that a seized key is no way to keep us busy.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::action::{Action, PeerLink};
use super::Mesh;
use super::refusals::Rarely;
use crate::ident::PeerKey;
use crate::message::{Body, Party, Path};
use crate::time::Mono;

/// How long it may have a session: a handshake that was refused is tried again after 5 s, and a
/// heartbeat follows within as many.
const LASTS: Duration = Duration::from_secs(15);

/// So many answers, as they may get lost.
const ANSWERS_MAX: u8 = 8;

/// Removed members that may have a session now.
const AT_ONCE_MAX: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Parole {
    /// Until when, and the answers that are left.
    running: BTreeMap<PeerKey, (Mono, u8)>,
    given: Rarely<PeerKey>,
}

impl Parole {
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.running.values().map(|(until, _)| *until).min()
    }

    fn give(&mut self, key: PeerKey, now: Mono) -> bool {
        let room = self.running.len() < AT_ONCE_MAX && !self.running.contains_key(&key);
        let given = room && self.given.allows(key, now);
        if given {
            self.running.insert(key, (now + LASTS, ANSWERS_MAX));
        }
        given
    }

    fn answers(&mut self, key: &PeerKey) -> bool {
        let Some((_, left)) = self.running.get_mut(key) else { return false };
        let answers = *left > 0;
        *left = left.saturating_sub(1);
        answers
    }

    fn over(&mut self, now: Mono) -> Vec<PeerKey> {
        let over = self.running.iter().filter(|(_, (until, _))| *until <= now);
        let over: Vec<PeerKey> = over.map(|(key, _)| *key).collect();
        self.running.retain(|_, (until, _)| *until > now);
        over
    }
}

impl Mesh {
    /// Somebody who was removed knocks.
    pub(super) fn removed_knocks(&mut self, key: PeerKey, now: Mono) {
        let entry = self.table.entry(&key).filter(|entry| entry.certificate.removed);
        let Some(name) = entry.map(|entry| entry.certificate.name.clone()) else { return };
        if self.is_member() && self.parole.give(key, now) {
            self.outbox.act(Action::Admit(PeerLink { name, key, announcement: None }));
        }
    }

    /// Somebody who was removed says something: it is told.
    pub(super) fn removed_speaks(&mut self, key: PeerKey, path: Path) {
        let Some(entry) = self.table.entry(&key).cloned() else { return };
        if self.parole.answers(&key) {
            if !self.successions.is_empty() {
                let successions = Body::Successions(self.successions.clone());
                self.outbox.send(Party::Peer(key), path, successions);
            }
            self.outbox.send(Party::Peer(key), path, Body::Members(vec![entry]));
        }
    }

    pub(super) fn advance_parole(&mut self, now: Mono) {
        for key in self.parole.over(now) {
            self.outbox.act(Action::Dismiss { key, banned: true });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::at;
    use super::*;

    #[test]
    fn it_is_short_rare_and_for_few_words() {
        let (mut parole, key) = (Parole::default(), PeerKey([1; 32]));
        assert!(!parole.answers(&key));
        assert!(parole.give(key, at(0.0).mono));
        assert!(!parole.give(key, at(1.0).mono), "it runs already");
        assert_eq!((0..20).filter(|_| parole.answers(&key)).count(), usize::from(ANSWERS_MAX));
        assert_eq!(parole.over(at(14.0).mono), []);
        assert_eq!(parole.over(parole.deadline().unwrap()), [key]);
        assert_eq!(parole.deadline(), None);
        assert!(!parole.give(key, at(60.0).mono), "it had its chance");
        assert!(parole.give(key, at(600.0).mono));
    }

    #[test]
    fn few_have_it_at_once() {
        let mut parole = Parole::default();
        let given = (0..9).filter(|n| parole.give(PeerKey([*n; 32]), at(0.0).mono)).count();
        assert_eq!(given, AT_ONCE_MAX);
    }
}
