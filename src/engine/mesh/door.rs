//! The way in, seen from inside: invitations, and who may come in by one.
//!
//! Knows the records of invitations and what speaks against a newcomer. Whoever holds a session
//! by an invitation has its secret; what it asks for is all that is left to check.

use std::collections::BTreeMap;
use std::time::Duration;

use super::table::Table;
use crate::ident::{PeerKey, TokenId};
use crate::message::{Certificate, JoinRefusal, JoinRequest, Path, TOKENS_MAX, Token};
use crate::time::{Mono, Now, Wall};

/// A spent invitation opens a session for so long, so that its bearer hears why it is not let in.
const SPENT_FOR: Duration = Duration::from_secs(3600);

/// A record is dropped so long after its invitation ran out.
const KEPT_FOR: Duration = Duration::from_secs(7 * 24 * 3600);

/// Newcomers whose certificates are being signed.
const CERTIFYING_MAX: usize = 4;

/// An unsigned certificate is asked for again after so long.
const CERTIFY_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Default)]
pub(super) struct DoorKeeper {
    tokens: BTreeMap<TokenId, Token>,
    spent: BTreeMap<TokenId, Mono>,
    certifying: BTreeMap<TokenId, Certifying>,
}

/// A newcomer that waits for its certificate.
#[derive(Clone, Debug)]
pub(super) struct Certifying {
    pub(super) request: JoinRequest,
    pub(super) path: Path,
    since: Mono,
}

/// What a newcomer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// This certificate, once it is signed.
    New(Box<Certificate>),
    /// The welcome again, which it did not hear the first time.
    Again,
}

impl DoorKeeper {
    pub(super) fn new(tokens: Vec<Token>) -> DoorKeeper {
        let tokens = tokens.into_iter().take(TOKENS_MAX).map(|token| (token.id, token)).collect();
        DoorKeeper { tokens, ..DoorKeeper::default() }
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = &Token> {
        self.tokens.values()
    }

    pub(super) fn token(&self, id: &TokenId) -> Option<&Token> {
        self.tokens.get(id)
    }

    /// Takes a record; whether it says something new.
    pub(super) fn merge(&mut self, token: Token, wall: Wall) -> bool {
        if let Some(held) = self.tokens.get_mut(&token.id) {
            let used_by = match (held.used_by, token.used_by) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
            let revoked = held.revoked || token.revoked;
            let news = (used_by, revoked) != (held.used_by, held.revoked);
            (held.used_by, held.revoked) = (used_by, revoked);
            return news;
        }
        if token.expires + KEPT_FOR < wall {
            return false;
        }
        if self.tokens.len() >= TOKENS_MAX {
            let dead = |held: &&Token| spent_in_itself(held, wall);
            let oldest = self.tokens.values().filter(dead).min_by_key(|t| (t.expires, t.id));
            let Some(oldest) = oldest.map(|held| held.id) else { return false };
            self.tokens.remove(&oldest);
        }
        self.tokens.insert(token.id, token);
        true
    }

    /// It was used by this key.
    pub(super) fn used(&mut self, id: &TokenId, by: PeerKey) -> bool {
        let Some(token) = self.tokens.get_mut(id) else { return false };
        token.used_by.replace(by) != Some(by)
    }

    /// What the newcomer gets, or the first thing that speaks against it.
    pub(super) fn check(
        &self,
        id: &TokenId,
        request: &JoinRequest,
        table: &Table,
        can_certify: bool,
        wall: Wall,
    ) -> Result<Admission, JoinRefusal> {
        let token = self.tokens.get(id).ok_or(JoinRefusal::TokenRevoked)?;
        let held = table.entry(&request.key).map(|member| &member.certificate);
        let again = |of: &&Certificate| of.token == *id && of.name == request.name && !of.removed;
        if held.filter(again).is_some() {
            return Ok(Admission::Again);
        }
        let by_other = |member: &Certificate| member.token == *id;
        if token.used_by.is_some_and(|by| by != request.key)
            || table.members().map(|member| &member.certificate).any(by_other)
        {
            return Err(JoinRefusal::TokenUsed);
        }
        let inviter = table.of(&token.issuer).filter(|inviter| {
            let left = inviter.announcement.as_ref().is_some_and(|said| said.left);
            inviter.certificate.bootstrap && !left
        });
        let named = |invited| invited != &request.name;
        let same = held.filter(|of| of.name == request.name && !of.removed);
        let refusals = [
            (token.expires <= wall, JoinRefusal::TokenExpired),
            (token.revoked, JoinRefusal::TokenRevoked),
            (inviter.is_none(), JoinRefusal::InviterGone),
            (token.invited.as_ref().is_some_and(named), JoinRefusal::OtherName),
            (same.is_none() && table.of(&request.name).is_some(), JoinRefusal::NameTaken),
            (same.is_none() && held.is_some(), JoinRefusal::KeyTaken),
            (same.is_none() && table.is_full(), JoinRefusal::Full),
            (!can_certify, JoinRefusal::NotBootstrap),
            (request.announcement.name != request.name, JoinRefusal::Malformed),
        ];
        if let Some((_, why)) = refusals.into_iter().find(|(against, _)| *against) {
            return Err(why);
        }
        let serial = same.map_or(1, |of| of.serial.saturating_add(1));
        Ok(Admission::New(Box::new(certificate(token, request, serial, wall))))
    }

    /// Remembers who waits for a certificate; `false`: it waits already, or too many do.
    pub(super) fn certify(
        &mut self,
        id: TokenId,
        request: JoinRequest,
        path: Path,
        now: Mono,
    ) -> bool {
        self.certifying.retain(|_, held| now - held.since < CERTIFY_TIMEOUT);
        if self.certifying.len() >= CERTIFYING_MAX || self.certifying.contains_key(&id) {
            return false;
        }
        self.certifying.insert(id, Certifying { request, path, since: now });
        true
    }

    /// The newcomer whose certificate this is.
    pub(super) fn certified(&mut self, certificate: &Certificate) -> Option<Certifying> {
        let waits = self.certifying.get(&certificate.token)?;
        let same = waits.request.key == certificate.key && !certificate.removed;
        same.then(|| self.certifying.remove(&certificate.token)).flatten()
    }

    /// Makes an invitation good for nobody; `None`: there is no such, `Some(false)`: it was used.
    pub(super) fn revoke(&mut self, id: &TokenId) -> Option<bool> {
        let token = self.tokens.get_mut(id)?;
        let unused = token.used_by.is_none();
        token.revoked |= unused;
        Some(unused)
    }

    /// The invitations by which sessions may be opened now. Records that are long over go.
    pub(super) fn open(&mut self, table: &Table, now: Now) -> Vec<(TokenId, PeerKey)> {
        self.tokens.retain(|_, token| now.wall <= token.expires + KEPT_FOR);
        self.spent.retain(|id, _| self.tokens.contains_key(id));
        let invites = |token: &Token| {
            table.of(&token.issuer).is_some_and(|inviter| inviter.certificate.bootstrap)
        };
        let mut open = Vec::new();
        for token in self.tokens.values() {
            let spent = spent_in_itself(token, now.wall) || !invites(token);
            let since = spent.then(|| *self.spent.entry(token.id).or_insert(now.mono));
            if since.is_none_or(|since| now.mono - since < SPENT_FOR) {
                open.push((token.id, token.key));
            }
        }
        open
    }

    /// When [`open`](Self::open) says something else although nothing happened.
    pub(super) fn deadline(&self, now: Now) -> Option<Mono> {
        let until = |token: &Token| {
            let seconds = u64::try_from(token.expires.seconds_since(now.wall)).ok()?;
            Some(now.mono + Duration::from_secs(seconds.saturating_add(1)))
        };
        let unspent = self.tokens.values().filter(|token| !self.spent.contains_key(&token.id));
        let closing = self.spent.values().map(|since| *since + SPENT_FOR);
        unspent.filter_map(until).chain(closing.filter(|at| *at > now.mono)).min()
    }
}

fn spent_in_itself(token: &Token, wall: Wall) -> bool {
    token.revoked || token.used_by.is_some() || token.expires <= wall
}

fn certificate(token: &Token, request: &JoinRequest, serial: u64, wall: Wall) -> Certificate {
    Certificate {
        name: request.name.clone(),
        key: request.key,
        node_key: request.node_key,
        bootstrap: token.bootstrap,
        publisher: token.publisher,
        removed: false,
        serial,
        issued: wall,
        token: token.id,
        generation: 0,
        signature: [0; 64],
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{announcement, at, front, member};
    use super::*;

    fn token(number: u8) -> Token {
        Token {
            id: TokenId([number; 16]),
            key: PeerKey([number; 32]),
            issuer: front("node-a"),
            invited: None,
            bootstrap: false,
            publisher: true,
            expires: at(100.0).wall,
            generation: 0,
            signature: [1; 64],
            used_by: None,
            revoked: false,
        }
    }

    fn request(name: &str, number: u8) -> JoinRequest {
        let template = member(name, number, 1);
        JoinRequest {
            name: front(name),
            key: template.certificate.key,
            node_key: template.certificate.node_key,
            announcement: announcement(&front(name), 1),
        }
    }

    fn table() -> Table {
        let mut table = Table::default();
        table.merge(member("node-a", 1, 1)).unwrap();
        table
    }

    fn refusal(token: &Token, request: &JoinRequest, table: &Table) -> Option<JoinRefusal> {
        let keeper = DoorKeeper::new(vec![token.clone()]);
        keeper.check(&token.id, request, table, true, at(50.0).wall).err()
    }

    #[test]
    fn a_good_request_gets_what_the_invitation_says() {
        let keeper = DoorKeeper::new(vec![token(7)]);
        let request = request("node-b", 2);
        let admitted = keeper.check(&token(7).id, &request, &table(), true, at(50.0).wall);
        let Ok(Admission::New(certificate)) = admitted else { panic!("{admitted:?}") };
        assert_eq!((certificate.name, certificate.key), (front("node-b"), request.key));
        assert_eq!((certificate.bootstrap, certificate.publisher), (false, true));
        assert_eq!(certificate.issued, at(50.0).wall);
    }

    #[test]
    fn each_thing_that_speaks_against_a_newcomer_has_its_word() {
        let good = || request("node-b", 2);
        let with = |change: &dyn Fn(&mut Token)| {
            let mut token = token(7);
            change(&mut token);
            refusal(&token, &good(), &table())
        };
        assert_eq!(with(&|_| ()), None);
        let other = PeerKey([9; 32]);
        assert_eq!(with(&|t| t.used_by = Some(other)), Some(JoinRefusal::TokenUsed));
        assert_eq!(with(&|t| t.expires = at(50.0).wall), Some(JoinRefusal::TokenExpired));
        assert_eq!(with(&|t| t.expires = at(51.0).wall), None);
        assert_eq!(with(&|t| t.revoked = true), Some(JoinRefusal::TokenRevoked));
        assert_eq!(with(&|t| t.issuer = front("node-x")), Some(JoinRefusal::InviterGone));
        assert_eq!(with(&|t| t.invited = Some(front("node-c"))), Some(JoinRefusal::OtherName));
        let taken = refusal(&token(7), &request("node-a", 2), &table());
        assert_eq!(taken, Some(JoinRefusal::NameTaken));
        let taken = refusal(&token(7), &request("node-b", 1), &table());
        assert_eq!(taken, Some(JoinRefusal::KeyTaken));
        let mut other = good();
        other.announcement.name = front("node-a");
        assert_eq!(refusal(&token(7), &other, &table()), Some(JoinRefusal::Malformed));
        let keeper = DoorKeeper::new(vec![token(7)]);
        let keyless = keeper.check(&token(7).id, &good(), &table(), false, at(50.0).wall);
        assert_eq!(keyless, Err(JoinRefusal::NotBootstrap));
    }

    #[test]
    fn a_full_table_lets_nobody_in_and_a_removed_key_neither() {
        let mut full = Table::default();
        full.merge(member("node-a", 0, 1)).unwrap();
        for n in 1..128 {
            full.merge(member(&format!("n{n}"), n, 1)).unwrap();
        }
        assert_eq!(refusal(&token(7), &request("late", 200), &full), Some(JoinRefusal::Full));
        let mut table = table();
        let mut gone = member("node-b", 2, 1);
        gone.certificate.removed = true;
        table.merge(gone).unwrap();
        let refused = refusal(&token(7), &request("node-b", 2), &table);
        assert_eq!(refused, Some(JoinRefusal::KeyTaken));
    }

    #[test]
    fn the_same_newcomer_is_welcomed_again_and_another_is_not() {
        let mut table = table();
        let mut in_already = member("node-b", 2, 1);
        in_already.certificate.token = token(7).id;
        table.merge(in_already).unwrap();
        let keeper = DoorKeeper::new(vec![token(7)]);
        let ask = |name: &str, n| {
            keeper.check(&token(7).id, &request(name, n), &table, true, at(500.0).wall)
        };
        assert_eq!(ask("node-b", 2), Ok(Admission::Again), "even after it ran out");
        assert_eq!(ask("node-c", 3), Err(JoinRefusal::TokenUsed));
    }

    #[test]
    fn a_spent_invitation_answers_for_a_while_and_then_not_at_all() {
        let mut keeper = DoorKeeper::new(vec![token(7)]);
        let open = vec![(token(7).id, token(7).key)];
        assert_eq!(keeper.open(&table(), at(50.0)), open);
        assert_eq!(keeper.deadline(at(50.0)), Some(at(101.0).mono));
        assert_eq!(keeper.open(&table(), at(101.0)), open);
        assert_eq!(keeper.deadline(at(101.0)), Some(at(3701.0).mono));
        assert_eq!(keeper.open(&table(), at(3701.0)), []);
        assert_eq!(keeper.deadline(at(3701.0)), None);
        assert_eq!(keeper.tokens().count(), 1);
        keeper.open(&table(), at(8.0 * 86_400.0));
        assert_eq!(keeper.tokens().count(), 0);
    }

    #[test]
    fn what_happened_to_an_invitation_is_never_undone() {
        let mut keeper = DoorKeeper::new(vec![token(7)]);
        let wall = at(0.0).wall;
        assert!(!keeper.merge(token(7), wall));
        let used = Token { used_by: Some(PeerKey([5; 32])), ..token(7) };
        assert!(keeper.merge(used, wall));
        assert!(!keeper.merge(token(7), wall));
        assert_eq!(keeper.revoke(&token(7).id), Some(false));
        assert_eq!(keeper.revoke(&token(8).id), None);
        (10..=u8::MAX).for_each(|n| assert!(keeper.merge(token(n), wall)));
        (0..7).for_each(|n| _ = keeper.merge(token(n), wall));
        assert!(keeper.tokens().count() <= TOKENS_MAX);
    }
}
