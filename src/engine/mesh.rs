//! The mesh: who belongs to the cluster, who is there, and what is said to whom.
//!
//! Knows entries, keys and names; whether signatures hold was checked before a frame came here,
//! and how frames travel is not known at all. Everything that follows from what is known is
//! recomputed with every input: whom to keep sessions with, which doors are open, whose points
//! may stand in the descriptor.
//!
//! ```text
//!               welcome               leave                everybody knows
//! newcomer ───────────────▶ member ───────────▶ leaving ───────────────────▶ left
//!                             │ certificate says removed
//!                             └───────────────▶ removed
//! ```
//!
//! A node says nothing before its announcement is signed, and a removed one nothing any more.

mod admission;
mod clock;
mod digest;
mod door;
mod expiry;
mod fronts;
mod hearing;
mod joining;
mod members;
mod outbox;
mod parole;
mod peer;
mod pulse;
mod rank;
mod refusals;
mod registration;
mod rosters;
mod rumours;
mod succession;
mod survey;
mod sync;
mod table;
mod view;
mod watch;
mod wishes;

use std::collections::BTreeMap;
use std::time::Duration;

pub use self::view::{JoiningView, MeshView, PeerState, PeerView};

use self::admission::Wanting;
use self::door::DoorKeeper;
use self::expiry::Expiry;
use self::joining::Joining;
use self::members::Told;
use self::outbox::{Outbox, Voice};
use self::parole::Parole;
use self::peer::Peer;
use self::refusals::{Load, Refusals};
use self::registration::Discovery;
use self::rosters::OwnRoster;
use self::rumours::Rumours;
use self::succession::Certifying;
use self::sync::Sync;
use self::table::Table;
use self::watch::{Pace, Signal, Watch};
use self::wishes::Wishes;
use super::action::{Action, Input, MeshReport, MeshState};
use super::merge::Offer;
use super::rng::Rng;
use super::settings::{MeshSettings, Settings};
use crate::ident::{HsId, Incarnation, NodeId};
use crate::message::{
    Announcement, Certificate, MEMBERS_MAX, Member, Path, Refusal, SUCCESSIONS_MAX, Succession,
};
use crate::time::{Mono, Now, TimePeriod, Wall};

/// Whoever is woken so much later than it asked was slow or asleep itself.
const LATE: Duration = Duration::from_millis(500);

/// A node among others.
#[derive(Debug)]
pub(super) struct Mesh {
    settings: MeshSettings,
    services: Vec<HsId>,
    me: Myself,
    table: Table,
    successions: Vec<Succession>,
    certifying: Certifying,
    /// Everybody else who is in the table, those that left included.
    peers: BTreeMap<NodeId, Peer>,
    watch: Watch,
    outbox: Outbox,
    sync: Sync,
    own_roster: OwnRoster,
    door: DoorKeeper,
    joining: Option<Joining>,
    discovery: Discovery,
    expiry: Expiry,
    wanting: Wanting,
    wishes: Wishes,
    refusals: Refusals,
    parole: Parole,
    rumours: Rumours,
    /// Heartbeats of members beyond each one's share.
    load: Load,
    /// Frames of strangers.
    strangers: Load,
    told: Told,
    rng: Rng,
    own: OwnState,
    tor_path: bool,
    began: Option<Mono>,
    /// When points of peers come or go although nothing happens.
    turns_at: Option<Mono>,
    signals: Vec<Signal>,
}

/// What this node is to the cluster.
#[derive(Debug)]
struct Myself {
    name: NodeId,
    certificate: Option<Certificate>,
    /// Signed.
    announcement: Option<Announcement>,
    incarnation: Incarnation,
    /// The incarnation of the announcement that is being signed.
    signing: Option<Incarnation>,
    leaving: bool,
    removed: bool,
}

/// How this node is, beside the mesh.
#[derive(Clone, Copy, Debug, Default)]
struct OwnState {
    /// Tor is connected and has a consensus.
    tor: bool,
    /// Since when nothing but other nodes keeps it from publishing.
    able_since: Option<Mono>,
}

impl Mesh {
    pub(super) fn new(settings: &Settings, mesh: MeshSettings) -> Mesh {
        let mut table = Table::default();
        let own =
            mesh.certificate.clone().map(|certificate| Member { certificate, announcement: None });
        let known = mesh.state.members.iter().take(2 * MEMBERS_MAX).cloned();
        for member in own.into_iter().chain(known.filter(|_| mesh.certificate.is_some())) {
            let rivals_us = table.rivals(&member.certificate).any(|rival| rival.key == mesh.key);
            if member.certificate.key == mesh.key || !rivals_us {
                let _ = table.merge(member);
            }
        }
        let certificate = mesh.certificate.as_ref();
        let own = certificate.and_then(|certificate| table.entry(&certificate.key));
        let own = own.map(|entry| entry.certificate.clone());
        let pace = Pace {
            interval: mesh.heartbeat_interval,
            dead_threshold: mesh.dead_threshold,
            wireguard: mesh.wireguard,
            tor_fallback: mesh.tor_fallback,
        };
        Mesh {
            services: settings.services.clone(),
            me: Myself {
                name: settings.node.clone(),
                certificate: own,
                announcement: None,
                incarnation: mesh.state.incarnation,
                signing: None,
                leaving: false,
                removed: false,
            },
            table,
            certifying: Certifying::with(mesh.certifier),
            successions: mesh.state.successions.iter().take(SUCCESSIONS_MAX).cloned().collect(),
            peers: BTreeMap::new(),
            watch: Watch::new(pace),
            outbox: Outbox::default(),
            sync: Sync::default(),
            own_roster: OwnRoster::default(),
            door: DoorKeeper::new(mesh.state.tokens.clone()),
            joining: None,
            discovery: Discovery::default(),
            expiry: Expiry::default(),
            wanting: Wanting::default(),
            wishes: Wishes::default(),
            refusals: Refusals::default(),
            parole: Parole::default(),
            rumours: Rumours::default(),
            load: Load::default(),
            strangers: Load::default(),
            told: Told::default(),
            rng: Rng::new(settings.seed ^ 0x6d65_7368),
            own: OwnState::default(),
            tor_path: false,
            began: None,
            turns_at: None,
            signals: Vec::new(),
            settings: mesh,
        }
    }

    /// Before anything else: the node begins, or wakes later than the `asked` moment.
    pub(super) fn woke(&mut self, asked: Option<Mono>, now: Now) {
        if self.began.is_none() {
            self.begin(now);
        } else if asked.is_some_and(|asked| now.mono - asked > LATE) {
            self.watch.was_slow(now.mono);
        }
    }

    /// The first incarnation lies above the last one, and above the clock's seconds, so that a
    /// node that lost its state is above its former self too.
    fn begin(&mut self, now: Now) {
        self.began = Some(now.mono);
        let removed = self.me.certificate.as_ref().is_some_and(|own| own.removed);
        if removed {
            self.removed();
            return;
        }
        if self.settings.certificate.is_none() {
            self.joining = Some(Joining::new(self.settings.doors.clone(), now.mono));
        }
        self.announce(after(self.settings.state.incarnation, now.wall));
    }

    /// Takes what happened; what is not of the mesh changes nothing.
    pub(super) fn take(&mut self, input: Input, now: Now) {
        match input {
            Input::FrameReceived { from, path, frame } => self.hear(from, path, *frame, now),
            Input::FrameRefused { from, path, reason } => {
                let name = from.and_then(|key| self.table.name_of(&key)).cloned();
                self.refuse(name, path, reason, now.mono);
                if let Some(key) = from.filter(|_| reason == Refusal::Removed) {
                    self.removed_knocks(key, now.mono);
                }
            }
            Input::LinkChanged { peer, path, up } => {
                if let Some(name) = self.table.name_of(&peer) {
                    self.watch.link_changed(name, path, up, now.mono);
                }
            }
            Input::TorPathChanged(ready) => {
                self.tor_path = ready;
                self.watch.tor_path(ready, now.mono);
            }
            Input::Announced(announcement) => self.announced(*announcement),
            Input::Certified(certificate) => self.certified(*certificate, now),
            Input::Succeeded(succession) => self.succeeded(succession.map(|it| *it)),
            Input::TokenIssued(token) => {
                let id = token.id;
                if self.door.merge(*token, now.wall) {
                    self.outbox.changed();
                    self.push_tokens([id]);
                }
            }
            Input::SecretsStored => self.secrets_stored(),
            Input::Asked(id, request) => self.asked(id, request, now),
            _ => {}
        }
    }

    /// Recomputes everything. `offers`: what this node offers now, each with its period.
    ///
    /// `tor`: it is connected and has a consensus.
    pub(super) fn advance(&mut self, tor: bool, offers: &[(TimePeriod, Offer<'_>)], now: Now) {
        self.own.tor = tor;
        if self.own_roster.update(offers) {
            self.push_roster();
        }
        self.advance_expiry(now);
        self.reconcile(now);
        if self.is_member() {
            self.watch.advance(now.mono, &mut self.rng, &mut self.signals);
            self.follow_signals(now);
        }
        self.advance_fronts(now.mono);
        self.advance_joining(now);
        self.advance_wishes(now);
        self.advance_parole(now.mono);
        if self.is_member() {
            self.advance_discovery(now);
            self.advance_wanting(now.mono);
            self.advance_tokens(now.mono);
            self.advance_certificates();
            self.reconcile(now);
        }
        self.advance_sync(now.mono);
        self.tell_links(now);
    }

    /// What is to be done, what must be written down first.
    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        let persist = self.outbox.take_changed().then(|| Action::Persist(Box::new(self.state())));
        persist.into_iter().chain(self.outbox.take()).collect()
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        if self.me.removed {
            return None;
        }
        let joining = self.joining.as_ref().and_then(Joining::deadline);
        let always = [
            joining.filter(|_| self.me.announcement.is_some()),
            self.wishes.deadline(),
            self.parole.deadline(),
            self.sync.deadline(),
            self.told.deadline(),
            self.turns_at,
        ];
        let member = [
            self.watch.deadline(),
            self.discovery.deadline(),
            self.wanting.deadline(),
            self.expiry.deadline(),
            self.sync.tokens_deadline(),
        ];
        let member = member.into_iter().filter(|_| self.is_member());
        always.into_iter().chain(member).flatten().min()
    }

    fn state(&self) -> MeshState {
        MeshState {
            incarnation: self.me.incarnation.max(self.me.signing.unwrap_or_default()),
            successions: self.successions.clone(),
            members: self.table.members().chain(self.table.removed()).cloned().collect(),
            tokens: self.door.tokens().cloned().collect(),
        }
    }

    /// It has the cluster's word, and takes part.
    fn is_member(&self) -> bool {
        let certified = self.me.certificate.is_some() && self.joining.is_none();
        certified && self.outbox.voice == Voice::Full
    }

    /// It lets others in and compares invitations.
    fn is_bootstrap(&self) -> bool {
        self.me.certificate.as_ref().is_some_and(|own| own.bootstrap)
    }

    fn has_master_keys(&self) -> bool {
        self.settings.has_master_keys || self.wanting.has_master_keys()
    }

    fn refuse(&mut self, peer: Option<NodeId>, path: Path, reason: Refusal, now: Mono) {
        if self.refusals.count(peer.clone(), path, reason, now) {
            self.outbox.report(MeshReport::Refused { peer, path, reason });
        }
    }

    fn is_there(&self, name: &NodeId) -> bool {
        matches!(self.watch.state(name), PeerState::Alive | PeerState::Suspect)
    }

    /// Everybody who is heard, by name.
    fn alive(&self) -> impl Iterator<Item = &NodeId> {
        self.peers.keys().filter(|name| self.is_there(name))
    }
}

/// The incarnation of somebody who begins or ends something: above the last, and above the clock's
/// seconds.
fn after(last: Incarnation, now: Wall) -> Incarnation {
    Incarnation(last.0.saturating_add(1).max(now.0))
}
