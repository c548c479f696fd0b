//! The mesh as status shows it, and the digest by which nodes see whether they agree.

use super::digest::Digest;
use super::joining::Joining;
use super::outbox::Voice;
use super::{Mesh, MeshView, Peer, PeerState, PeerView};
use crate::ident::NodeId;
use crate::message::Member;
use crate::time::Now;

impl Mesh {
    pub(in super::super) fn view(&self, now: Now) -> MeshView {
        let digest = self.view_digest();
        let peers = self.peers.iter().filter_map(|(name, peer)| {
            Some(self.peer_view(name, peer, self.table.of(name)?, digest, now))
        });
        MeshView {
            incarnation: self.me.incarnation,
            joining: self.joining.as_ref().map(|joining: &Joining| joining.view(now.mono)),
            gone: self.me.removed || self.outbox.voice == Voice::Answers,
            view: digest,
            partitioned: self.watch.partitioned(now.mono),
            expected: self.expected(),
            endpoint: self.settings.announcement.endpoint,
            peers: peers.collect(),
            refused: self.refusals.counted(),
            twin: self.rumours.twin(now.mono),
            tokens: self.door.tokens().cloned().collect(),
        }
    }

    /// Equal on all nodes when they agree on names and states.
    ///
    /// Suspicion is a node's own doubt and not yet its word, so a suspect counts as alive.
    pub(super) fn view_digest(&self) -> u64 {
        let states = self.table.members().map(|member| {
            let name = &member.certificate.name;
            let state = if *name == self.me.name { PeerState::Alive } else { self.state_of(name) };
            (name, state)
        });
        let add = |digest: Digest, (name, state): (&NodeId, PeerState)| {
            digest.text(name.as_str()).word(match state {
                PeerState::Joining => 0,
                PeerState::Alive | PeerState::Suspect => 1,
                PeerState::Dead => 2,
                PeerState::Left => 3,
            })
        };
        states.fold(Digest::new(), add).finish()
    }

    fn state_of(&self, name: &NodeId) -> PeerState {
        if self.has_left(name) { PeerState::Left } else { self.watch.state(name) }
    }

    fn peer_view(
        &self,
        name: &NodeId,
        peer: &Peer,
        member: &Member,
        digest: u64,
        now: Now,
    ) -> PeerView {
        let (certificate, said) = (&member.certificate, member.announcement.as_ref());
        let there = self.is_there(name);
        let vitals = peer.vitals.as_ref().filter(|_| there);
        let mut view = PeerView {
            name: name.clone(),
            key: certificate.key,
            endpoint: said.and_then(|said| said.endpoint),
            onion: said.and_then(|said| said.onion),
            state: PeerState::Joining,
            missed: 0,
            last_heard: None,
            heard_over: [None; 2],
            path: None,
            rtt: None,
            vouched_by: None,
            points: u8::try_from(peer.roster.count()).unwrap_or(u8::MAX),
            tor: vitals.map(|vitals| vitals.tor),
            app: vitals.and_then(|vitals| vitals.app),
            clock_ahead_s: peer.clock.ahead_s().filter(|_| there),
            clock_bad: peer.clock.bad(),
            version: said.map(|said| said.version.clone()),
            incarnation: said.map(|said| said.incarnation).unwrap_or_default(),
            bootstrap: certificate.bootstrap,
            publisher: certificate.publisher,
            spare: said.is_some_and(|said| said.spare),
            drained: said.is_some_and(|said| said.drained),
            disagrees: vitals.is_some_and(|vitals| vitals.view != digest),
            damped: None,
            busy: None,
            sent: [0; 2],
            received: peer.received,
            deaths: 0,
        };
        self.watch.fill(&mut view, now.mono);
        view.state = self.state_of(name);
        view
    }
}
