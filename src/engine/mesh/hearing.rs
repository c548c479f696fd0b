//! What others say: who may say what, and what follows from it.
//!
//! | party | may say |
//! |---|---|
//! | member | everything but what newcomers and their doors say to each other |
//! | bootstrap member | also invitations |
//! | stranger | heartbeats (it is told that it is unknown), and what proves that it is a member |
//! | bootstrap node of our configuration | also entries of the table |
//! | newcomer with an invitation | its request |
//! | door of our own invitation | welcome or refusal, entries of the table |
//!
//! Everything else is refused and counted.

use std::time::Duration;

use super::super::action::{MeshReport, Reregistration};
use super::Mesh;
use super::clock::Turn;
use super::registration::Step;
use crate::ident::{Incarnation, NodeId, PeerKey};
use crate::message::{
    Answer, Body, Frame, Heartbeat, Member, Party, Path, Refusal, Token, Verdict, Vitals,
};
use crate::time::{Mono, Now};

/// Frames of one peer within a second: it may have word of every member's death at once.
const FRAMES_OF_PEER_MAX: u32 = 160;

/// Heartbeats of one member within a second that are answered whatever the others do.
const BEATS_OF_PEER_MAX: u32 = 4;

/// Heartbeats beyond that within a second, of all members together; and, counted apart, frames of
/// all strangers.
const FRAMES_MAX: u32 = 64;

/// How long a peer is asked to wait when that is exceeded.
const BUSY_WAIT_S: u16 = 5;

/// The number of no heartbeat: its answer acknowledges something else.
const NO_BEAT: u64 = 0;

impl Mesh {
    pub(super) fn hear(&mut self, from: Party, path: Path, frame: Frame, now: Now) {
        if self.me.removed {
            return;
        }
        match from {
            // What members say before the whole table is here is said again.
            Party::Peer(_) if self.joining.is_some() => {}
            Party::Token(id) => self.hear_newcomer(id, path, frame.body, now),
            Party::Door(door) => self.hear_door(door, path, frame.body, now),
            Party::Peer(key) if self.table.is_removed(&key) => {
                self.refuse(None, path, Refusal::Removed, now.mono);
                self.removed_speaks(key, path);
            }
            Party::Peer(key) => match self.table.name_of(&key).cloned() {
                Some(name) => self.hear_member(&name, key, path, frame, now),
                None => self.hear_stranger(key, path, frame, now),
            },
        }
    }

    fn hear_member(&mut self, name: &NodeId, key: PeerKey, path: Path, frame: Frame, now: Now) {
        if let Err(reason) = self.receive(name, path, &frame, now) {
            self.refuse(Some(name.clone()), path, reason, now.mono);
            self.answer_refused(name, key, path, &frame.body, reason, now);
            return;
        }
        let stamp = (frame.incarnation, frame.sequence);
        match frame.body {
            Body::Heartbeat(heartbeat) => self.heartbeat(name, path, heartbeat, stamp, now),
            Body::Answer(answer) => self.answer(name, path, answer, stamp, now),
            Body::PullMembers => self.table_asked(name, key),
            Body::Members(entries) => self.members(entries, Some(name), now),
            Body::Successions(successions) => self.learn_successions(successions),
            Body::Present(entry) => self.present(*entry, key, path, now),
            Body::PullRoster => self.roster_asked(name, now.mono),
            Body::Roster(part) => self.roster_part(name, path, frame.incarnation, part, now.mono),
            Body::AskSeen(about) => {
                let ago = self.watch.last_heard(&about, now.mono);
                let ago_ms = ago.map(|ago| u32::try_from(ago.as_millis()).unwrap_or(u32::MAX));
                self.say(name, Body::Seen(about, ago_ms));
            }
            Body::Seen(about, ago_ms) => {
                let ago = ago_ms.map(|ago_ms| Duration::from_millis(ago_ms.into()));
                self.watch.seen(&about, name, ago, now.mono);
            }
            Body::Dead(about, incarnation) if about == self.me.name => {
                self.rumoured_dead(incarnation, name, now.mono);
            }
            Body::Dead(about, incarnation) => {
                if incarnation >= self.table.incarnation(&about) {
                    self.watch.rumoured_dead(&about, now.mono);
                }
            }
            Body::Leave(entry) => self.peer_leaves(*entry, key, path, now),
            Body::LeaveSeen => self.leave_seen(name),
            Body::Tokens(tokens) => self.tokens(name, tokens, path, now),
            Body::PullTokens if self.invites(name) => {
                let ids: Vec<_> = self.door.tokens().map(|token| token.id).collect();
                self.sync.queue_tokens(Party::Peer(key), ids);
            }
            Body::PullSecrets => self.secrets_asked(name, key, path, now.mono),
            Body::Lease(_) => {}
            Body::Join(_) | Body::Welcome(_) | Body::JoinRefused(_) | Body::PullTokens => {
                self.refuse(Some(name.clone()), path, Refusal::NotAllowed, now.mono);
            }
        }
    }

    /// A frame of a member counts as a sign of life, unless it is of an earlier one or one of too
    /// many.
    fn receive(
        &mut self,
        name: &NodeId,
        path: Path,
        frame: &Frame,
        now: Now,
    ) -> Result<(), Refusal> {
        let announced = self.table.incarnation(name);
        let Some(peer) = self.peers.get_mut(name) else { return Err(Refusal::Stranger) };
        if !peer.load.admits(FRAMES_OF_PEER_MAX, now.mono) {
            return Err(Refusal::Flood);
        }
        if frame.incarnation < announced.max(peer.incarnation) {
            return Err(Refusal::Stale);
        }
        peer.incarnation = frame.incarnation;
        let count = &mut peer.received[usize::from(path == Path::Tor)];
        *count = count.saturating_add(1);
        self.watch.heard(name, path, now.mono, &mut self.signals);
        self.follow_signals(now);
        Ok(())
    }

    /// Whoever floods is asked to wait. Whoever speaks in an earlier life may have lost its state,
    /// or has a twin: it is told what it said in the later one. Where it said nothing, a rumour of
    /// its death tells it how high to go.
    fn answer_refused(
        &mut self,
        name: &NodeId,
        key: PeerKey,
        path: Path,
        body: &Body,
        reason: Refusal,
        now: Now,
    ) {
        if !matches!(body, Body::Heartbeat(_)) {
            return;
        }
        if reason == Refusal::Stale {
            let heard = self.peers.get(name).map(|peer| peer.incarnation).unwrap_or_default();
            let announced = self.table.of(name).filter(|_| self.table.incarnation(name) >= heard);
            let body = match announced {
                Some(entry) => Body::Members(vec![entry.clone()]),
                None => Body::Dead(name.clone(), heard),
            };
            self.outbox.send(Party::Peer(key), path, body);
        } else {
            self.busy_if_asked(key, path, body, now);
        }
    }

    /// A member asks for everything that we know of members.
    fn table_asked(&mut self, by: &NodeId, key: PeerKey) {
        let all = self.table.members().chain(self.table.removed());
        let all: Vec<PeerKey> = all.map(|member| member.certificate.key).collect();
        self.sync.queue_members(Party::Peer(key), None, all);
        if !self.successions.is_empty() {
            self.say(by, Body::Successions(self.successions.clone()));
        }
    }

    fn hear_stranger(&mut self, key: PeerKey, path: Path, frame: Frame, now: Now) {
        let door = self.settings.doors.iter().any(|door| door.key == key);
        match frame.body {
            _ if !self.strangers.admits(FRAMES_MAX, now.mono) => {
                self.refuse(None, path, Refusal::Flood, now.mono);
                self.busy_if_asked(key, path, &frame.body, now);
            }
            Body::Heartbeat(heartbeat) => {
                self.reply(Party::Peer(key), path, heartbeat.beat, Verdict::Unknown, now);
            }
            Body::Present(entry) => self.present(*entry, key, path, now),
            Body::Members(entries) if door => self.members(entries, None, now),
            Body::Successions(successions) if door => self.learn_successions(successions),
            Body::Answer(_) if door => {}
            _ => self.refuse(None, path, Refusal::Stranger, now.mono),
        }
    }

    fn heartbeat(
        &mut self,
        name: &NodeId,
        path: Path,
        heartbeat: Heartbeat,
        stamp: (Incarnation, u64),
        now: Now,
    ) {
        let Some(member) = self.table.of(name) else { return };
        let key = member.certificate.key;
        let said = member.announcement.as_ref();
        let heard = said.is_some_and(|said| !said.left || said.incarnation >= stamp.0);
        if heard && said.is_some_and(|said| said.left) {
            // It may not know of its goodbye any more, and contradicts it then.
            self.sync.queue_members(Party::Peer(key), Some(path), vec![key]);
        }
        let peer = self.peers.get_mut(name);
        let fair = peer.is_some_and(|peer| peer.beats_heard.admits(BEATS_OF_PEER_MAX, now.mono));
        let verdict = if !fair && !self.load.admits(FRAMES_MAX, now.mono) {
            Verdict::Busy { wait_s: BUSY_WAIT_S }
        } else if heard {
            Verdict::Known
        } else {
            Verdict::Restarted
        };
        self.take_vitals(name, heartbeat.vitals, stamp, now.mono);
        self.reply(Party::Peer(key), path, heartbeat.beat, verdict, now);
    }

    fn answer(
        &mut self,
        name: &NodeId,
        path: Path,
        answer: Answer,
        stamp: (Incarnation, u64),
        now: Now,
    ) {
        let informs = informs(answer.verdict);
        if answer.beat == NO_BEAT {
            if informs {
                self.take_vitals(name, answer.vitals, stamp, now.mono);
            }
            return;
        }
        self.watch.answered(name, path, answer.beat, now.mono, &mut self.signals);
        let Some(peer) = self.peers.get_mut(name) else { return };
        let tolerance = self.settings.clock_tolerance;
        let round_trip = peer.round_trip(answer.beat, now).filter(|_| informs);
        let turn =
            round_trip.and_then(|rtt| peer.clock.compared(answer.vitals.wall, now, rtt, tolerance));
        match (turn, name.clone()) {
            (Some(Turn::Skewed(ahead_s)), peer) => {
                self.outbox.report(MeshReport::ClockSkew { peer, ahead_s });
            }
            (Some(Turn::Agrees), peer) => self.outbox.report(MeshReport::ClockAgrees { peer }),
            (None, _) => {}
        }
        let step = peer.registration.answered(answer.verdict, now.mono);
        let news = peer.registration.is_news();
        if informs {
            self.take_vitals(name, answer.vitals, stamp, now.mono);
        }
        self.follow_signals(now);
        match step {
            Step::Nothing => {}
            Step::Present(why) => self.reregister(name, why, news, path),
            Step::Wait(wait) => {
                self.watch.busy(name, now.mono + wait);
                self.outbox.report(MeshReport::PeerBusy { peer: name.clone(), wait });
            }
        }
    }

    /// Presents our membership to a peer; in full also to a bootstrap node, for all to hear.
    pub(super) fn reregister(
        &mut self,
        name: &NodeId,
        why: Reregistration,
        news: bool,
        path: Path,
    ) {
        let Some(own) = self.own_entry() else { return };
        let Some(key) = self.table.of(name).map(|member| member.certificate.key) else { return };
        self.outbox.send(Party::Peer(key), path, Body::Present(Box::new(own.clone())));
        if why == Reregistration::Full {
            self.ask_through_bootstrap(name, &own);
        }
        if news || why == Reregistration::Full {
            self.outbox.report(MeshReport::Reregistered { peer: name.clone(), why });
        }
    }

    /// Through a living bootstrap member other than `name`, else through the configured doors.
    fn ask_through_bootstrap(&mut self, name: &NodeId, own: &Member) {
        let others: Vec<NodeId> =
            self.alive().filter(|other| *other != name && self.invites(other)).cloned().collect();
        if others.is_empty() {
            self.ask_doors(own);
        } else {
            let other = others[self.rng.below(others.len())].clone();
            self.say(&other, Body::Present(Box::new(own.clone())));
            self.say(&other, Body::PullMembers);
        }
    }

    /// At those bootstrap nodes of the configuration that are not heard.
    pub(super) fn ask_doors(&mut self, own: &Member) {
        let doors: Vec<PeerKey> = self.settings.doors.iter().map(|door| door.key).collect();
        for key in doors.into_iter().filter(|key| *key != self.settings.key) {
            if self.table.is_removed(&key) {
                continue;
            }
            let name = self.table.name_of(&key);
            if name.is_some_and(|name| self.is_there(name)) {
                continue;
            }
            let path = name.map_or(self.default_path(), |name| self.watch.path(name));
            let to = Party::Peer(key);
            self.outbox.send(to, path, Body::Present(Box::new(own.clone())));
            self.outbox.send(to, path, Body::PullMembers);
        }
    }

    /// Somebody proves that it is a member.
    fn present(&mut self, entry: Member, key: PeerKey, path: Path, now: Now) {
        let name = self.table.name_of(&key).cloned();
        if entry.certificate.key != key {
            self.refuse(name, path, Refusal::NotAllowed, now.mono);
            return;
        }
        match self.learn(entry, name.as_ref(), now) {
            Err(reason) => self.refuse(name, path, reason, now.mono),
            Ok(()) => {
                self.reconcile(now);
                self.reply(Party::Peer(key), path, NO_BEAT, Verdict::Known, now);
            }
        }
    }

    /// Entries of the table. Those that we know better are no fault of who says them.
    pub(super) fn members(&mut self, entries: Vec<Member>, by: Option<&NodeId>, now: Now) {
        for entry in entries {
            let _ = self.learn(entry, by, now);
        }
    }

    fn tokens(&mut self, name: &NodeId, tokens: Vec<Token>, path: Path, now: Now) {
        if !self.invites(name) || !self.is_bootstrap() {
            self.refuse(Some(name.clone()), path, Refusal::NotAllowed, now.mono);
            return;
        }
        let mut news = Vec::new();
        for token in tokens {
            let id = token.id;
            if self.door.merge(token, now.wall) {
                news.push(id);
            }
        }
        if !news.is_empty() {
            self.outbox.changed();
            self.push_tokens(news);
        }
    }

    fn take_vitals(&mut self, name: &NodeId, vitals: Vitals, stamp: (Incarnation, u64), now: Mono) {
        let Some(peer) = self.peers.get_mut(name) else { return };
        let differs = vitals.members != self.table.digest();
        let edition = (stamp.0, vitals.roster);
        if !peer.take_vitals(vitals, stamp) {
            return;
        }
        let pull_roster = peer.roster.heard_of(edition, now);
        let interval = self.settings.heartbeat_interval;
        if self.sync.compared(name, differs, interval, now) {
            self.say(name, Body::PullMembers);
        }
        if pull_roster {
            self.say(name, Body::PullRoster);
        }
    }

    fn busy_if_asked(&mut self, key: PeerKey, path: Path, body: &Body, now: Now) {
        if let Body::Heartbeat(heartbeat) = body {
            let verdict = Verdict::Busy { wait_s: BUSY_WAIT_S };
            self.reply(Party::Peer(key), path, heartbeat.beat, verdict, now);
        }
    }

    /// Strangers are not told how this node is, and who is to wait does not need to know.
    fn reply(&mut self, to: Party, path: Path, beat: u64, verdict: Verdict, now: Now) {
        let vitals = if informs(verdict) { self.vitals(now) } else { Vitals::default() };
        self.outbox.send(to, path, Body::Answer(Answer { beat, verdict, vitals }));
    }

    /// How this node is.
    pub(super) fn vitals(&self, now: Now) -> Vitals {
        Vitals {
            wall: now.wall,
            members: self.table.digest(),
            view: self.view_digest(),
            roster: self.own_roster.version(),
            points: self.own_roster.count(),
            alive: u8::try_from(self.alive().count() + 1).unwrap_or(u8::MAX),
            tor: self.own.tor,
            app: None,
            eligible: self.own.able_since.is_some(),
            lease: None,
            signed: Vec::new(),
        }
    }

    /// It is a bootstrap member.
    pub(super) fn invites(&self, name: &NodeId) -> bool {
        self.table.of(name).is_some_and(|member| member.certificate.bootstrap)
    }
}

/// Whether an answer with this verdict says how its sender is.
fn informs(verdict: Verdict) -> bool {
    match verdict {
        Verdict::Known | Verdict::Restarted => true,
        Verdict::Unknown | Verdict::Busy { .. } => false,
    }
}
