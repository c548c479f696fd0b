//! What the peers' rosters mean for the master descriptor, and whether this node makes it.
//!
//! A peer's points may stand in the descriptor while it is there, and for a grace after its
//! death: a node that is gone proves nothing about its tor. Whoever said goodbye or is drained
//! offers nothing.

use std::time::Duration;

use super::super::Action;
use super::super::action::{Blocked, Report};
use super::super::gather::FrontView;
use super::super::merge::Offer;
use super::rank::stands_by;
use super::rosters::{offer, unclaimed};
use super::{Mesh, Peer, PeerState};
use crate::ident::{HsId, Incarnation, NodeId};
use crate::message::{Body, Path, Refusal, RosterPart};
use crate::time::{Mono, TimePeriod};

/// How long the first round waits for word of every peer after the node began.
const SETTLE: Duration = Duration::from_secs(15);

/// Our roster goes to one peer no more often within a second.
const ROSTERS_TO_PEER_MAX: u32 = 2;

impl Mesh {
    /// A part of a peer's roster came.
    pub(super) fn roster_part(
        &mut self,
        name: &NodeId,
        path: Path,
        incarnation: Incarnation,
        part: RosterPart,
        now: Mono,
    ) {
        let Some(peer) = self.peers.get_mut(name) else { return };
        let Some(rosters) = peer.roster.take(incarnation, part) else { return };
        let others = self.peers.iter().filter(|(other, _)| *other != name);
        let others = others.flat_map(|(_, peer)| peer.roster.points());
        let free = unclaimed(&rosters, others.chain(self.own_roster.points()));
        let Some(peer) = self.peers.get_mut(name) else { return };
        if rosters.is_empty() || !free {
            peer.roster.refuse(now);
            self.refuse(Some(name.clone()), path, Refusal::NotAllowed, now);
        } else if peer.roster.accept(rosters, now) {
            let (front, points) = (name.clone(), peer.roster.count());
            self.outbox.act(Action::Report(Report::RosterChanged { front, points }));
        }
    }

    /// A peer asks for our roster.
    pub(super) fn roster_asked(&mut self, by: &NodeId, now: Mono) {
        let Some(peer) = self.peers.get_mut(by) else { return };
        if peer.rosters_sent.admits(ROSTERS_TO_PEER_MAX, now) {
            self.own_roster.parts().into_iter().for_each(|part| self.say(by, Body::Roster(part)));
        }
    }

    /// Our own roster changed: everybody who is there gets it.
    pub(super) fn push_roster(&mut self) {
        let (parts, peers) = (self.own_roster.parts(), self.alive().cloned().collect::<Vec<_>>());
        for peer in peers {
            for part in &parts {
                self.say(&peer, Body::Roster(part.clone()));
            }
        }
    }

    /// Decides anew whose points may stand in the descriptor, and until when that holds.
    pub(super) fn advance_fronts(&mut self, now: Mono) {
        let grace = self.settings.removal_grace;
        let mut turns = Vec::new();
        for (name, peer) in &mut self.peers {
            let said = self.table.of(name).and_then(|member| member.announcement.as_ref());
            let drained = said.is_some_and(|said| said.drained || said.left);
            let grace_ends = peer.died.map(|died| died + grace);
            if grace_ends.is_some_and(|ends| ends <= now) && !peer.withdrawn {
                peer.withdrawn = true;
                peer.roster.clear();
            }
            turns.extend(peer.roster.sweep(grace, now));
            peer.damped_until = peer.damped_until.filter(|until| *until > now);
            turns.extend(peer.damped_until);
            turns.extend(grace_ends.filter(|ends| *ends > now));
            let here = !peer.withdrawn && peer.left.is_none() && peer.damped_until.is_none();
            peer.offering = here && !drained;
        }
        turns.extend(self.settles_at().filter(|at| *at > now));
        self.turns_at = turns.into_iter().min();
    }

    /// What the peers offer for `period`.
    pub(in super::super) fn offers(&self, period: TimePeriod) -> impl Iterator<Item = Offer<'_>> {
        let offering = self.peers.iter().filter(|(_, peer)| peer.offering);
        offering.filter_map(move |(name, peer)| offer(name, &peer.roster, period))
    }

    /// The peers as fronts, for the snapshot: those that offer something or have.
    pub(in super::super) fn fronts(
        &self,
        period: Option<TimePeriod>,
        now: Mono,
    ) -> impl Iterator<Item = FrontView> {
        self.peers.iter().filter(|(_, peer)| peer.roster.is_known()).map(move |(name, peer)| {
            let said = self.table.of(name).and_then(|member| member.announcement.as_ref());
            let named = period.and_then(|period| peer.roster.serving(period));
            let named = named.map(|roster| roster.points().len());
            FrontView {
                name: name.clone(),
                address: said.and_then(|said| said.instance).unwrap_or(HsId([0; 32])),
                backend: false,
                named,
                offered: named.filter(|_| peer.offering),
                age: peer.roster.read_at().map(|at| now - at),
                pow: false,
                last_error: None,
            }
        })
    }

    /// Whether this node publishes, and why not: `blocked` by what is its own, or by others.
    pub(in super::super) fn permits(
        &mut self,
        blocked: Option<Blocked>,
        now: Mono,
    ) -> Result<(), Blocked> {
        let able = blocked.is_none() && self.may_publish();
        if able != self.own.able_since.is_some() {
            self.own.able_since = able.then_some(now);
        }
        let turns = self.turns_at.into_iter().chain(self.heard_at().filter(|at| *at > now));
        self.turns_at = turns.min();
        match blocked {
            Some(blocked) => Err(blocked),
            None if !self.may_publish() => Err(Blocked::Standby),
            None if !self.settled(now) => Err(Blocked::Gathering),
            None if self.stands_by() => Err(Blocked::Standby),
            None => Ok(()),
        }
    }

    /// It is a member that may publish, and has what it needs.
    pub(super) fn may_publish(&self) -> bool {
        let publisher = self.me.certificate.as_ref().is_some_and(|own| own.publisher);
        publisher && self.has_master_keys() && self.is_member() && !self.me.leaving
    }

    /// Somebody else comes first, by the rank rule.
    fn stands_by(&self) -> bool {
        let own = (self.settings.announcement.priority, &self.me.name);
        let eligible = self.peers.iter().filter(|(name, peer)| {
            self.is_there(name) && peer.vitals.as_ref().is_some_and(|vitals| vitals.eligible)
        });
        let rank = |name: &NodeId| {
            let said = self.table.of(name).and_then(|member| member.announcement.as_ref());
            said.map(|said| said.priority)
        };
        stands_by(own, eligible.filter_map(|(name, _)| Some((rank(name)?, name))))
    }

    /// Every peer is known to be there, with its roster, or to be gone; or there was time enough.
    fn settled(&self, now: Mono) -> bool {
        if self.heard_at().is_some_and(|at| at > now) {
            return false;
        }
        let known = |(name, peer): (&NodeId, &Peer)| match self.watch.state(name) {
            PeerState::Joining => peer.left.is_some(),
            PeerState::Alive | PeerState::Suspect => {
                let said = peer.vitals.as_ref().map(|vitals| vitals.roster);
                said.is_some_and(|version| version == 0 || peer.roster.is_known())
            }
            PeerState::Dead | PeerState::Left => true,
        };
        self.settles_at().is_some_and(|at| at <= now) || self.peers.iter().all(known)
    }

    /// Others may have become able in the same moment, and say so with their next beat: when we
    /// would know.
    fn heard_at(&self) -> Option<Mono> {
        let since = self.own.able_since.filter(|_| !self.peers.is_empty())?;
        Some(since + self.settings.heartbeat_interval)
    }

    fn settles_at(&self) -> Option<Mono> {
        self.began.map(|began| began + SETTLE)
    }
}
