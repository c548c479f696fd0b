//! What the watch saw: heartbeats to send, deaths and returns to tell.

use std::time::Duration;

use super::super::action::MeshReport;
use super::Mesh;
use super::registration::{Missing, Step};
use super::watch::Signal;
use crate::ident::NodeId;
use crate::message::{Body, Door, Heartbeat, Party, Path};
use crate::time::{Mono, Now};

impl Mesh {
    pub(super) fn follow_signals(&mut self, now: Now) {
        for signal in std::mem::take(&mut self.signals) {
            match signal {
                Signal::Beat { peer, path, beat } => self.beat(&peer, path, beat, now),
                Signal::AskSeen { of, about } => self.say(&of, Body::AskSeen(about)),
                Signal::Missed { peer, missed, left } => {
                    self.outbox.report(MeshReport::PeerMissed { peer, missed, left });
                }
                Signal::Alive { peer, away, damped } => {
                    self.appeared(peer, away, damped, now.mono);
                }
                Signal::Dead { peer } => self.died(peer, now.mono),
                Signal::PathChanged { peer, path, silent } => {
                    if path == Path::WireGuard || self.may_have_wireguard(&peer) {
                        self.outbox.report(MeshReport::PathChanged { peer, path, silent });
                    }
                }
                Signal::BeatFailed { peer } => {
                    if let Some(peer) = self.peers.get_mut(&peer) {
                        peer.registration.missed();
                    }
                }
                Signal::Partition => self.outbox.report(MeshReport::Partition),
                Signal::PartitionHealed { after } => {
                    self.outbox.report(MeshReport::PartitionHealed { after });
                }
            }
        }
    }

    /// It says where its WireGuard listens, or was heard over it. Of anybody else nothing better
    /// than Tor is to be expected.
    fn may_have_wireguard(&self, name: &NodeId) -> bool {
        let said = self.table.of(name).and_then(|member| member.announcement.as_ref());
        let heard = self.peers.get(name).is_some_and(|peer| peer.received[0] > 0);
        heard || said.is_some_and(|said| said.endpoint.is_some())
    }

    fn beat(&mut self, name: &NodeId, path: Path, beat: u64, now: Now) {
        let Some(key) = self.table.of(name).map(|member| member.certificate.key) else { return };
        let vitals = self.vitals(now);
        let Some(peer) = self.peers.get_mut(name) else { return };
        peer.beat_sent(beat, now.mono);
        let step = peer.registration.beat(now.mono);
        let news = peer.registration.is_news();
        self.outbox.send(Party::Peer(key), path, Body::Heartbeat(Heartbeat { beat, vitals }));
        if let Step::Present(why) = step {
            self.reregister(name, why, news, path);
        }
    }

    fn appeared(&mut self, name: NodeId, away: Option<Duration>, damped: Duration, now: Mono) {
        let Some(peer) = self.peers.get_mut(&name) else { return };
        let was_dead = peer.died.take().is_some();
        let refetch = std::mem::take(&mut peer.withdrawn);
        if refetch {
            peer.damped_until = Some(now + damped);
        }
        let Some(away) = away.filter(|_| was_dead) else { return };
        if refetch {
            self.say(&name, Body::PullRoster);
        }
        self.outbox.report(MeshReport::PeerRecovered { peer: name, away, refetch, damped });
    }

    fn died(&mut self, name: NodeId, now: Mono) {
        let Some(peer) = self.peers.get_mut(&name) else { return };
        peer.died = Some(now);
        let points = if peer.offering { peer.roster.count() } else { 0 };
        let grace = self.settings.removal_grace;
        self.outbox.report(MeshReport::PeerDead { peer: name.clone(), points, grace });
        let incarnation = self.table.incarnation(&name);
        let others: Vec<NodeId> = self.alive().cloned().collect();
        for other in others {
            self.say(&other, Body::Dead(name.clone(), incarnation));
        }
    }

    /// Fewer members than there should be: ask whoever is there, and knock where nobody is.
    pub(super) fn advance_discovery(&mut self, now: Now) {
        let (there, expected) = (self.alive().count() + 1, self.expected());
        let missing = if self.unknown_doors() > 0 {
            Missing::Unknown
        } else if there < expected {
            Missing::Known
        } else {
            Missing::Nobody
        };
        let Some(round) = self.discovery.advance(missing, now.mono) else { return };
        if round.news {
            self.outbox.report(MeshReport::Discovery { alive: there, expected });
        }
        let others: Vec<NodeId> = self.alive().cloned().collect();
        if !others.is_empty() {
            let other = others[self.rng.below(others.len())].clone();
            self.say(&other, Body::PullMembers);
        }
        if let Some(own) = self.own_entry() {
            self.ask_doors(&own);
        }
    }

    /// Bootstrap nodes of the configuration that are in no entry.
    fn unknown_doors(&self) -> usize {
        let unknown = |door: &&Door| self.table.entry(&door.key).is_none();
        self.settings.doors.iter().filter(unknown).count()
    }

    /// How many nodes there should be, ourselves included.
    pub(super) fn expected(&self) -> usize {
        let known = self.peers.values().filter(|peer| peer.left.is_none()).count() + 1;
        self.settings.expect.unwrap_or(known + self.unknown_doors())
    }
}
