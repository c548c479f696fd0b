//! What is still to be said to whom to make all tables equal: paced, so that it drowns nobody.
//!
//! Only keys and ids wait here; the entries are looked up when their turn comes, so nobody is
//! told what is old by then, and what waits is bounded by the tables themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::refusals::Load;
use crate::ident::{NodeId, PeerKey, TokenId};
use crate::message::{
    Body, MEMBERS_PER_FRAME_MAX, Member, Party, Path, TOKENS_PER_FRAME_MAX, Token,
};
use crate::time::Mono;

/// The most frames to one receiver within a second.
const FRAMES_PER_SECOND_MAX: u32 = 16;

/// Tables are asked for no more often than this, and one peer at a time.
const PULL_EVERY: Duration = Duration::from_secs(2);

/// How often bootstrap nodes compare their invitations.
pub(super) const TOKENS_EVERY: Duration = Duration::from_secs(60);

/// What waits, by receiver.
#[derive(Debug, Default)]
pub(super) struct Sync {
    queues: BTreeMap<Party, Queue>,
    pulled: Option<Mono>,
    tokens_due: Option<Mono>,
    /// Whose digest of the table differs from ours, and since when.
    differs: BTreeMap<NodeId, Mono>,
}

#[derive(Debug, Default)]
struct Queue {
    path: Option<Path>,
    members: BTreeSet<PeerKey>,
    tokens: BTreeSet<TokenId>,
    load: Load,
}

impl Sync {
    /// These entries are to be said to a receiver, over `path` or whatever works.
    pub(super) fn queue_members(
        &mut self,
        to: Party,
        path: Option<Path>,
        members: impl IntoIterator<Item = PeerKey>,
    ) {
        let queue = self.queues.entry(to).or_default();
        queue.path = path;
        queue.members.extend(members);
    }

    /// These invitations are.
    pub(super) fn queue_tokens(&mut self, to: Party, tokens: impl IntoIterator<Item = TokenId>) {
        self.queues.entry(to).or_default().tokens.extend(tokens);
    }

    /// A receiver is there no more.
    pub(super) fn forget(&mut self, to: Party) {
        self.queues.remove(&to);
    }

    /// What may be said now, looked up by `member` and `token`.
    pub(super) fn advance<'a>(
        &mut self,
        now: Mono,
        member: impl Fn(&PeerKey) -> Option<&'a Member>,
        token: impl Fn(&TokenId) -> Option<&'a Token>,
    ) -> Vec<(Party, Option<Path>, Body)> {
        let mut bodies = Vec::new();
        for (to, queue) in &mut self.queues {
            while !queue.is_empty() && queue.load.admits(FRAMES_PER_SECOND_MAX, now) {
                bodies.extend(queue.next(&member, &token).map(|body| (*to, queue.path, body)));
            }
        }
        self.queues.retain(|_, queue| !queue.is_empty() || queue.load.renews() > now);
        bodies
    }

    /// A peer's digest came; whether to ask it for its table.
    ///
    /// One that differs for no longer than a beat may only be on its way.
    pub(super) fn compared(
        &mut self,
        peer: &NodeId,
        differs: bool,
        interval: Duration,
        now: Mono,
    ) -> bool {
        if !differs {
            self.differs.remove(peer);
            return false;
        }
        let since = *self.differs.entry(peer.clone()).or_insert(now);
        let late = now - since >= interval / 2;
        let free = self.pulled.is_none_or(|at| now - at >= PULL_EVERY);
        if late && free {
            self.pulled = Some(now);
        }
        late && free
    }

    /// Whether it is time to compare the invitations.
    pub(super) fn tokens_due(&mut self, now: Mono) -> bool {
        let due = *self.tokens_due.get_or_insert(now) <= now;
        if due {
            self.tokens_due = Some(now + TOKENS_EVERY);
        }
        due
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        let waiting = self.queues.values().filter(|queue| !queue.is_empty());
        waiting.map(|queue| queue.load.renews()).chain(self.tokens_due).min()
    }
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.tokens.is_empty()
    }

    fn next<'a>(
        &mut self,
        member: impl Fn(&PeerKey) -> Option<&'a Member>,
        token: impl Fn(&TokenId) -> Option<&'a Token>,
    ) -> Option<Body> {
        if self.members.is_empty() {
            let tokens = pop(&mut self.tokens, TOKENS_PER_FRAME_MAX);
            let tokens: Vec<Token> = tokens.iter().filter_map(token).cloned().collect();
            return (!tokens.is_empty()).then_some(Body::Tokens(tokens));
        }
        let keys = pop(&mut self.members, MEMBERS_PER_FRAME_MAX);
        let members: Vec<Member> = keys.iter().filter_map(member).cloned().collect();
        (!members.is_empty()).then_some(Body::Members(members))
    }
}

fn pop<T: Ord>(from: &mut BTreeSet<T>, max: usize) -> Vec<T> {
    std::iter::from_fn(|| from.pop_first()).take(max).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, front, member};
    use super::*;

    #[test]
    fn a_large_table_is_said_at_a_steady_pace_and_once() {
        let members: Vec<Member> = (0..100).map(|n| member(&format!("n{n}"), n, 1)).collect();
        let of = |key: &PeerKey| members.iter().find(|m| m.certificate.key == *key);
        let mut sync = Sync::default();
        let to = Party::Peer(PeerKey([200; 32]));
        let keys = || members.iter().map(|m| m.certificate.key);
        sync.queue_members(to, None, keys());
        sync.queue_members(to, None, keys());
        let mut said = Vec::new();
        for second in 1..=5 {
            let now = at(f64::from(second)).mono;
            let bodies = sync.advance(now, of, |_| None);
            assert!(bodies.len() <= 16, "{} in a second", bodies.len());
            said.extend(bodies);
            assert!(sync.deadline().is_none_or(|at| at > now));
        }
        let total: usize = said
            .iter()
            .map(|(_, _, body)| match body {
                Body::Members(members) => members.len(),
                other => panic!("{other:?}"),
            })
            .sum();
        assert_eq!(total, 100);
        sync.advance(at(9.0).mono, of, |_| None);
        assert!(sync.queues.is_empty());
    }

    #[test]
    fn a_difference_that_stays_is_asked_about_one_peer_at_a_time() {
        let (a, b) = (front("a"), front("b"));
        let interval = Duration::from_secs(2);
        let mut sync = Sync::default();
        assert!(!sync.compared(&a, true, interval, at(0.0).mono));
        assert!(!sync.compared(&b, true, interval, at(0.0).mono));
        assert!(sync.compared(&a, true, interval, at(2.0).mono));
        assert!(!sync.compared(&b, true, interval, at(2.1).mono));
        assert!(!sync.compared(&a, false, interval, at(3.0).mono));
        assert!(sync.compared(&b, true, interval, at(4.1).mono));
        assert!(!sync.compared(&a, true, interval, at(6.2).mono), "it agreed in between");
    }
}
