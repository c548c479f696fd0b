//! The table of members: what the cluster certifies and what members say of themselves.
//!
//! Knows how two entries are merged, so that all tables become equal whatever order the entries
//! come in. Does not know who is alive, nor whether a signature holds: that was checked before.

use std::collections::BTreeMap;

use super::digest::Digest;
use crate::ident::{Incarnation, NodeId, PeerKey, TokenId};
use crate::message::{Certificate, MEMBERS_MAX, Member};

/// Everybody who is or was a member.
#[derive(Debug, Default)]
pub(super) struct Table {
    members: BTreeMap<NodeId, Member>,
    names: BTreeMap<PeerKey, NodeId>,
    removed: BTreeMap<PeerKey, Member>,
    digest: u64,
    version: u64,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Merged {
    Unchanged,
    Changed,
    /// A new member, and those that had to go because it was there before them.
    Joined {
        evicted: Vec<NodeId>,
    },
    /// It is a member no more.
    Removed,
}

/// Why an entry is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Rejected {
    /// The key was removed before, which is final.
    Removed,
    /// A member that came in earlier has its name, its key or its invitation.
    Clash,
    /// The table is full.
    Full,
}

impl Table {
    /// Takes an entry where it says something new.
    pub(super) fn merge(&mut self, member: Member) -> Result<Merged, Rejected> {
        let certificate = &member.certificate;
        let merged = match self.names.get(&certificate.key) {
            _ if self.removed.contains_key(&certificate.key) => {
                let same = certificate.removed;
                return if same { Ok(Merged::Unchanged) } else { Err(Rejected::Removed) };
            }
            _ if certificate.removed => self.remove(member),
            Some(name) if *name == certificate.name => self.update(member),
            _ => self.insert(member)?,
        };
        if merged != Merged::Unchanged {
            self.version += 1;
            self.digest = self.compute_digest();
        }
        Ok(merged)
    }

    /// Drops a member's entry as if it had never been there.
    pub(super) fn forget(&mut self, key: &PeerKey) {
        if let Some(name) = self.names.remove(key) {
            self.members.remove(&name);
            self.version += 1;
            self.digest = self.compute_digest();
        }
    }

    /// Counts the changes.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// Equal for equal tables.
    pub(super) fn digest(&self) -> u64 {
        self.digest
    }

    pub(super) fn of(&self, name: &NodeId) -> Option<&Member> {
        self.members.get(name)
    }

    /// An entry by its key, a removed one too.
    pub(super) fn entry(&self, key: &PeerKey) -> Option<&Member> {
        let member = self.names.get(key).and_then(|name| self.members.get(name));
        member.or_else(|| self.removed.get(key))
    }

    pub(super) fn name_of(&self, key: &PeerKey) -> Option<&NodeId> {
        self.names.get(key)
    }

    pub(super) fn is_removed(&self, key: &PeerKey) -> bool {
        self.removed.contains_key(key)
    }

    /// The members that were not removed, by name.
    pub(super) fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// Those that were, by key.
    pub(super) fn removed(&self) -> impl Iterator<Item = &Member> {
        self.removed.values()
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS_MAX
    }

    /// The newest incarnation that a member announced.
    pub(super) fn incarnation(&self, name: &NodeId) -> Incarnation {
        let announcement = self.members.get(name).and_then(|member| member.announcement.as_ref());
        announcement.map_or(Incarnation(0), |announcement| announcement.incarnation)
    }

    /// The certificates that stand in the way of this one: of its name, key or invitation.
    pub(super) fn rivals<'a>(
        &'a self,
        certificate: &'a Certificate,
    ) -> impl Iterator<Item = &'a Certificate> {
        let by_invitation = certificate.token != TokenId([0; 16]);
        self.members.values().map(|member| &member.certificate).filter(move |held| {
            held.name == certificate.name
                || held.key == certificate.key
                || (by_invitation && held.token == certificate.token)
        })
    }

    fn insert(&mut self, member: Member) -> Result<Merged, Rejected> {
        let age = |of: &Certificate| (of.issued, of.key, of.name.clone());
        let own = age(&member.certificate);
        if self.rivals(&member.certificate).any(|rival| age(rival) <= own) {
            return Err(Rejected::Clash);
        }
        let evicted: Vec<NodeId> =
            self.rivals(&member.certificate).map(|rival| rival.name.clone()).collect();
        if self.members.len() - evicted.len() >= MEMBERS_MAX {
            return Err(Rejected::Full);
        }
        for name in &evicted {
            self.take_out(name);
        }
        let name = member.certificate.name.clone();
        self.names.insert(member.certificate.key, name.clone());
        self.members.insert(name, member);
        Ok(Merged::Joined { evicted })
    }

    fn update(&mut self, member: Member) -> Merged {
        let Some(held) = self.members.get_mut(&member.certificate.name) else {
            return Merged::Unchanged;
        };
        let mut merged = Merged::Unchanged;
        let rank = |of: &Certificate| (of.serial, of.signature);
        if rank(&member.certificate) > rank(&held.certificate) {
            held.certificate = member.certificate;
            merged = Merged::Changed;
        }
        let newer = match (&member.announcement, &held.announcement) {
            (Some(new), Some(old)) => new.incarnation > old.incarnation,
            (new, _) => new.is_some(),
        };
        if newer {
            held.announcement = member.announcement;
            merged = Merged::Changed;
        }
        merged
    }

    fn remove(&mut self, member: Member) -> Merged {
        if let Some(name) = self.names.get(&member.certificate.key).cloned() {
            self.take_out(&name);
        }
        self.removed.insert(member.certificate.key, Member { announcement: None, ..member });
        if self.removed.len() > MEMBERS_MAX {
            let oldest = self.removed.values().map(|m| &m.certificate);
            let oldest = oldest.min_by_key(|held| (held.issued, held.key)).map(|held| held.key);
            oldest.and_then(|key| self.removed.remove(&key));
        }
        Merged::Removed
    }

    fn take_out(&mut self, name: &NodeId) {
        if let Some(member) = self.members.remove(name) {
            self.names.remove(&member.certificate.key);
        }
    }

    fn compute_digest(&self) -> u64 {
        let entries = self.members.values().chain(self.removed.values());
        let add = |digest: Digest, member: &Member| {
            let of = &member.certificate;
            let incarnation = member.announcement.as_ref().map_or(0, |a| a.incarnation.0);
            let digest = digest.text(of.name.as_str()).bytes(&of.key.0).word(of.serial);
            digest.word(u64::from(of.removed)).word(incarnation)
        };
        entries.fold(Digest::new(), add).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::member;
    use super::*;
    use crate::time::Wall;

    fn key(number: u8) -> PeerKey {
        PeerKey([number; 32])
    }

    fn issued(mut member: Member, at: u64) -> Member {
        member.certificate.issued = Wall(at);
        member
    }

    fn merged(order: &[Member]) -> Table {
        let mut table = Table::default();
        for entry in order {
            let _ = table.merge(entry.clone());
        }
        table
    }

    #[test]
    fn of_two_with_one_name_the_earlier_certified_holds_in_whatever_order_they_come() {
        let (early, late) =
            (issued(member("node-a", 1, 5), 10), issued(member("node-a", 2, 5), 20));
        for order in [[early.clone(), late.clone()], [late.clone(), early.clone()]] {
            let table = merged(&order);
            assert_eq!(table.of(&early.certificate.name), Some(&early));
            assert_eq!(table.name_of(&key(2)), None);
        }
        let mut table = merged(std::slice::from_ref(&early));
        assert_eq!(table.merge(late), Err(Rejected::Clash));
    }

    #[test]
    fn an_invitation_lets_in_one_key_only() {
        let (mut early, mut late) =
            (issued(member("node-a", 1, 5), 10), issued(member("node-b", 2, 5), 20));
        early.certificate.token = TokenId([7; 16]);
        late.certificate.token = TokenId([7; 16]);
        for order in [[early.clone(), late.clone()], [late, early.clone()]] {
            let table = merged(&order);
            assert_eq!(table.members().collect::<Vec<_>>(), [&early]);
        }
    }

    #[test]
    fn a_removed_key_never_comes_back_and_its_name_is_free() {
        let mut gone = member("node-a", 1, 5);
        gone.certificate.removed = true;
        let mut again = member("node-a", 1, 9);
        again.certificate.serial = 9;
        let mut table = merged(&[member("node-a", 1, 5), gone]);
        assert_eq!(table.merge(again), Err(Rejected::Removed));
        assert_eq!(table.len(), 0);
        let next = table.merge(member("node-a", 2, 1));
        assert_eq!(next, Ok(Merged::Joined { evicted: Vec::new() }));
    }

    #[test]
    fn serial_and_incarnation_only_grow() {
        let mut table = merged(&[member("node-a", 1, 5)]);
        assert_eq!(table.merge(member("node-a", 1, 4)), Ok(Merged::Unchanged));
        assert_eq!(table.merge(member("node-a", 1, 6)), Ok(Merged::Changed));
        let mut promoted = member("node-a", 1, 1);
        promoted.certificate.serial = 2;
        promoted.certificate.publisher = !promoted.certificate.publisher;
        assert_eq!(table.merge(promoted.clone()), Ok(Merged::Changed));
        let held = table.of(&promoted.certificate.name).unwrap();
        assert_eq!(held.certificate, promoted.certificate);
        assert_eq!(table.incarnation(&promoted.certificate.name), Incarnation(6));
    }

    #[test]
    fn there_are_no_more_members_than_there_may_be() {
        let mut table = Table::default();
        for number in 0..MEMBERS_MAX {
            let n = u8::try_from(number).unwrap();
            table.merge(member(&format!("node-{n}"), n, 1)).unwrap();
        }
        assert!(table.is_full());
        assert_eq!(table.merge(member("late", 200, 1)), Err(Rejected::Full));
        let gone = |n: u8| {
            let mut member = member("gone", n, 1);
            member.certificate.removed = true;
            member
        };
        (0..=u8::MAX).for_each(|n| assert!(table.merge(gone(n)).is_ok()));
        assert_eq!(table.removed().count(), MEMBERS_MAX);
    }

    proptest::proptest! {
        #[test]
        fn any_order_makes_the_same_table(
            entries in proptest::collection::vec((0u8..4, 0u8..4, 1u64..4, 0u8..9), 0..12),
            turn in 0usize..12,
        ) {
            let entry = |&(name, number, incarnation, gone): &(u8, u8, u64, u8)| {
                let mut entry = member(&format!("node-{name}"), 4 * name + number, incarnation);
                entry.certificate.issued = Wall(u64::from(number));
                entry.certificate.removed = gone == 0;
                entry.certificate.serial = 1 + u64::from(gone == 0);
                entry
            };
            let mut order: Vec<Member> = entries.iter().map(entry).collect();
            let settle = |order: &[Member]| {
                let mut table = merged(order);
                for entry in order {
                    let _ = table.merge(entry.clone());
                }
                table.digest()
            };
            let one = settle(&order);
            let turn = turn.min(order.len());
            order.rotate_left(turn);
            order.reverse();
            proptest::prop_assert_eq!(one, settle(&order));
        }
    }
}
