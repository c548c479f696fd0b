//! Changes of the table and what follows from them: whom to watch, to keep sessions with, to tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::super::action::{Action, MeshReport, PeerLink};
use super::expiry::has_expired;
use super::outbox::Voice;
use super::refusals::Rarely;
use super::table::{Merged, Rejected};
use super::{Mesh, Peer};
use crate::ident::{Incarnation, NodeId, PeerKey, TokenId};
use crate::message::{Announcement, Body, Certificate, Door, Member, Party, Path, Refusal};
use crate::time::{Mono, Now};

/// To so many peers a change that others made is passed on at once; the rest hears of it from
/// them, or sees that its digest differs.
const PASSED_ON_MAX: usize = 8;

/// A session with a peer that left stays so long, so that its goodbye can be answered again.
const LEFT_LINGERS: Duration = Duration::from_secs(10);

/// A certificate that is younger tells of somebody who joined just now.
const JUST_JOINED_S: i64 = 600;

/// No node can have begun anew so often, nor does its clock show so many seconds: whoever says so
/// would have us run out of numbers.
const INCARNATION_MAX: Incarnation = Incarnation(1 << 48);

/// What the transport was told last.
#[derive(Debug, Default)]
pub(super) struct Told {
    links: BTreeMap<PeerKey, PeerLink>,
    banned: BTreeSet<PeerKey>,
    doors: Vec<(TokenId, PeerKey)>,
    /// Of the table whose consequences were drawn, and whether we took part.
    version: Option<(u64, bool)>,
    links_version: Option<(u64, bool)>,
    doors_due: Option<Mono>,
    clashes: Rarely<NodeId>,
    /// When a lingering session ends.
    lingers: Option<Mono>,
}

impl Told {
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.lingers.into_iter().chain(self.doors_due).min()
    }
}

impl Mesh {
    /// Has our announcement signed in this incarnation, or a higher one.
    pub(super) fn announce(&mut self, incarnation: Incarnation) {
        if self.me.signing.is_some_and(|signing| signing >= incarnation) {
            return;
        }
        self.me.signing = Some(incarnation);
        self.outbox.changed();
        let announcement = Announcement {
            name: self.me.name.clone(),
            incarnation,
            left: self.me.leaving,
            signature: [0; 64],
            ..self.settings.announcement.clone()
        };
        self.outbox.act(Action::Announce(Box::new(announcement)));
    }

    /// Our announcement is signed: from now on we speak in its incarnation.
    pub(super) fn announced(&mut self, announcement: Announcement) {
        if self.me.signing != Some(announcement.incarnation) || self.me.removed {
            return;
        }
        self.me.signing = None;
        self.me.incarnation = announcement.incarnation;
        self.rumours.announced(announcement.incarnation);
        self.outbox.reborn(announcement.incarnation);
        if self.outbox.voice == Voice::Silent {
            self.outbox.voice = Voice::Full;
        }
        self.me.announcement = Some(announcement);
        self.outbox.changed();
        self.enter_own();
    }

    /// Brings our own entry into the table and tells everybody.
    pub(super) fn enter_own(&mut self) {
        let Some(own) = self.own_entry() else { return };
        let key = own.certificate.key;
        if self.table.merge(own).is_ok_and(|merged| merged != Merged::Unchanged) {
            self.outbox.changed();
            self.push_members([key], usize::MAX);
        }
    }

    pub(super) fn own_entry(&self) -> Option<Member> {
        let certificate = self.me.certificate.clone()?;
        Some(Member { certificate, announcement: self.me.announcement.clone() })
    }

    /// Takes an entry that somebody said; `by`: who, where that is a member.
    pub(super) fn learn(
        &mut self,
        entry: Member,
        by: Option<&NodeId>,
        now: Now,
    ) -> Result<(), Refusal> {
        if self.is_outdated(&entry.certificate) {
            return Err(Refusal::Forged);
        }
        if entry.certificate.key == self.settings.key {
            self.learn_own(entry, by, now.mono);
            return Ok(());
        }
        if has_expired(&entry, now.wall) {
            return Ok(());
        }
        let certificate = entry.certificate.clone();
        if self.ousts_us(&certificate) {
            self.clash(&certificate.name, now.mono);
            return Err(Refusal::NotAllowed);
        }
        if !self.may_be_news(&entry, now.mono) {
            return Err(Refusal::Flood);
        }
        let was_left = self.has_left(&certificate.name);
        let (name, key) = (certificate.name.clone(), certificate.key);
        match self.table.merge(entry) {
            Ok(Merged::Unchanged) => return Ok(()),
            Ok(Merged::Changed) => {}
            Ok(Merged::Joined { evicted }) => {
                evicted.iter().for_each(|name| self.clash(name, now.mono));
                let young = now.wall.seconds_since(certificate.issued) < JUST_JOINED_S;
                if young && self.is_member() {
                    self.outbox.report(MeshReport::NodeJoined { peer: name.clone() });
                }
            }
            Ok(Merged::Removed) => {
                if self.peers.contains_key(&name) {
                    self.outbox.report(MeshReport::NodeRemoved { peer: name.clone() });
                }
            }
            Err(Rejected::Removed) => return Err(Refusal::Removed),
            Err(Rejected::Clash) => {
                self.clash(&name, now.mono);
                return Err(Refusal::NotAllowed);
            }
            Err(Rejected::Full) => return Err(Refusal::NotAllowed),
        }
        if !was_left && self.has_left(&name) {
            self.outbox.report(MeshReport::NodeLeft { peer: name });
        }
        self.outbox.changed();
        self.push_members([key], PASSED_ON_MAX);
        Ok(())
    }

    /// Whether a member that we know has not said something new of itself too often. A goodbye is
    /// always heard, and undone by no more than that.
    fn may_be_news(&mut self, entry: &Member, now: Mono) -> bool {
        let name = &entry.certificate.name;
        let Some(said) = entry.announcement.as_ref().filter(|said| !said.left) else { return true };
        let news = said.incarnation > self.table.incarnation(name);
        let peer = self.peers.get_mut(name).filter(|_| news);
        peer.is_none_or(|peer| peer.news.admit(now))
    }

    /// What others say of ourselves: the certificate counts, and what we never said is
    /// contradicted.
    fn learn_own(&mut self, entry: Member, by: Option<&NodeId>, now: Mono) {
        if entry.certificate.removed && self.table.merge(entry.clone()).is_ok() {
            self.outbox.changed();
            self.removed();
            return;
        }
        let Some(own) = &self.me.certificate else { return };
        if (entry.certificate.serial, entry.certificate.signature) > (own.serial, own.signature) {
            self.me.certificate = Some(entry.certificate);
            self.enter_own();
        }
        let Some(said) = entry.announcement else { return };
        let own = self.me.announcement.as_ref();
        let other = own.is_some_and(|own| {
            own.incarnation == said.incarnation && own.signature != said.signature
        });
        let strange = other || !self.rumours.made(said.incarnation);
        if strange && self.rumours.strange_word(said.incarnation, now) {
            self.outbox.report(MeshReport::IdentityTwice);
        }
        let newest = self.newest_incarnation();
        let goodbye = said.incarnation == newest && said.left && !self.me.leaving;
        if other || goodbye || said.incarnation > newest {
            self.contradict(said.incarnation, by, now);
        }
    }

    /// Somebody says what we never said, in this incarnation: we say better in a higher one, unless
    /// we did so just now.
    fn contradict(&mut self, rumour: Incarnation, by: Option<&NodeId>, now: Mono) {
        if rumour >= INCARNATION_MAX || !self.rumours.may_contradict(now) {
            return;
        }
        self.announce(Incarnation(rumour.0.saturating_add(1)));
        if let Some(by) = by {
            self.outbox.report(MeshReport::RumourContradicted { by: by.clone() });
        }
    }

    /// Somebody declared us dead.
    pub(super) fn rumoured_dead(&mut self, incarnation: Incarnation, by: &NodeId, now: Mono) {
        if incarnation >= self.newest_incarnation() {
            self.contradict(incarnation, Some(by), now);
        }
    }

    fn newest_incarnation(&self) -> Incarnation {
        self.me.incarnation.max(self.me.signing.unwrap_or_default())
    }

    /// Nobody listens to us any more, and we say nothing.
    pub(super) fn removed(&mut self) {
        if !std::mem::replace(&mut self.me.removed, true) {
            self.outbox.report(MeshReport::WeAreRemoved);
            self.outbox.voice = Voice::Silent;
            self.joining = None;
        }
    }

    /// Says these entries to the peers that are there: to all, or to `max` of them by lot.
    pub(super) fn push_members(
        &mut self,
        keys: impl IntoIterator<Item = PeerKey> + Clone,
        max: usize,
    ) {
        let mut peers: Vec<PeerKey> =
            self.alive().filter_map(|name| Some(self.table.of(name)?.certificate.key)).collect();
        while peers.len() > max {
            let lot = self.rng.below(peers.len());
            peers.swap_remove(lot);
        }
        for peer in peers {
            self.sync.queue_members(Party::Peer(peer), None, keys.clone());
        }
    }

    pub(super) fn has_left(&self, name: &NodeId) -> bool {
        let said = self.table.of(name).and_then(|member| member.announcement.as_ref());
        said.is_some_and(|said| said.left)
    }

    /// Sends to a member over the path that works.
    pub(super) fn say(&mut self, to: &NodeId, body: Body) {
        if let Some(member) = self.table.of(to) {
            self.outbox.send(Party::Peer(member.certificate.key), self.watch.path(to), body);
        }
    }

    /// Brings the watch and the peers in line with the table.
    pub(super) fn reconcile(&mut self, now: Now) {
        let member = self.is_member();
        let version = Some((self.table.version(), member));
        if self.told.version == version {
            return;
        }
        self.told.version = version;
        let table = &self.table;
        let stays = |name: &NodeId| table.of(name).is_some();
        let gone: Vec<NodeId> = self.peers.keys().filter(|name| !stays(name)).cloned().collect();
        for name in gone {
            self.watch.dismiss(&name);
            self.peers.remove(&name);
        }
        if !member {
            return;
        }
        let own = self.own_entry();
        for entry in self.table.members() {
            let name = &entry.certificate.name;
            if *name == self.me.name {
                continue;
            }
            let left = entry.announcement.as_ref().is_some_and(|said| said.left);
            let watched = self.peers.get(name).is_some_and(|peer| peer.left.is_none());
            if left {
                let peer = self.peers.entry(name.clone()).or_default();
                peer.left.get_or_insert(now.mono);
                peer.roster.clear();
                self.watch.dismiss(name);
            } else if !watched {
                self.peers.insert(name.clone(), Peer::default());
                self.watch.admit(name, now.mono);
                // It may never have heard of us, or of where we are now.
                let to = Party::Peer(entry.certificate.key);
                let own = own.iter().cloned().map(Box::new);
                own.for_each(|own| self.outbox.send(to, self.watch.path(name), Body::Present(own)));
            }
        }
    }

    /// Tells the transport what changed since it was told last.
    pub(super) fn tell_links(&mut self, now: Now) {
        self.tell_doors(now);
        let version = Some((self.table.version(), self.is_member() || self.me.leaving));
        let lingered = self.told.lingers.is_some_and(|ends| ends <= now.mono);
        if self.told.links_version == version && !lingered {
            return;
        }
        self.told.links_version = version;
        let wanted = self.wanted_links(now.mono);
        for (key, link) in &wanted {
            if self.told.links.get(key) != Some(link) {
                self.outbox.act(Action::Admit(link.clone()));
            }
        }
        let banned: BTreeSet<PeerKey> = self.table.removed().map(|m| m.certificate.key).collect();
        let ended = self.told.links.keys().filter(|key| !wanted.contains_key(key));
        let ended: Vec<PeerKey> = ended.filter(|key| !banned.contains(key)).copied().collect();
        for key in ended {
            self.outbox.act(Action::Dismiss { key, banned: false });
            self.sync.forget(Party::Peer(key));
        }
        let own = self.settings.key;
        for key in banned.difference(&self.told.banned).filter(|key| **key != own) {
            self.outbox.act(Action::Dismiss { key: *key, banned: true });
            self.sync.forget(Party::Peer(*key));
        }
        self.told.banned = banned;
        self.told.links = wanted;
    }

    fn wanted_links(&mut self, now: Mono) -> BTreeMap<PeerKey, PeerLink> {
        let mut wanted: BTreeMap<PeerKey, PeerLink> = BTreeMap::new();
        self.told.lingers = None;
        if !self.is_member() && !self.me.leaving {
            return wanted;
        }
        for (number, door) in (0..).zip(&self.settings.doors) {
            wanted.extend(self.door_link(number, door).map(|link| (link.key, link)));
        }
        for entry in self.table.members().filter(|m| m.certificate.name != self.me.name) {
            let left = self.peers.get(&entry.certificate.name).and_then(|peer| peer.left);
            if let Some(ends) = left.map(|at| at + LEFT_LINGERS) {
                if ends <= now {
                    continue;
                }
                self.told.lingers = Some(self.told.lingers.map_or(ends, |at| at.min(ends)));
            }
            let link = PeerLink {
                name: entry.certificate.name.clone(),
                key: entry.certificate.key,
                announcement: entry.announcement.clone(),
            };
            wanted.insert(link.key, link);
        }
        wanted
    }

    fn tell_doors(&mut self, now: Now) {
        let open = if self.is_member() && self.can_certify() {
            self.door.open(&self.table, now)
        } else {
            Vec::new()
        };
        self.told.doors_due = self.door.deadline(now).filter(|_| self.is_member());
        if open != self.told.doors {
            self.told.doors.clone_from(&open);
            self.outbox.act(Action::OpenDoors(open));
        }
    }

    /// A bootstrap node of the configuration is somebody to keep a session with before its entry
    /// is known, under a name that stands for its place in the list.
    fn door_link(&self, number: u8, door: &Door) -> Option<PeerLink> {
        let known = door.key == self.settings.key || self.table.entry(&door.key).is_some();
        let name: NodeId = format!("door-{}", number + 1).parse().ok()?;
        let announcement = Announcement {
            name: name.clone(),
            incarnation: Incarnation(0),
            endpoint: door.endpoint,
            onion: door.onion,
            client_key: None,
            instance: None,
            priority: u16::MAX,
            weight: 1,
            spare: false,
            drained: false,
            left: false,
            version: String::new(),
            signature: [0; 64],
        };
        let link = PeerLink { name, key: door.key, announcement: Some(announcement) };
        (!known && self.settings.certificate.is_some()).then_some(link)
    }

    /// Whether the certificate would put us out of our own table.
    fn ousts_us(&self, certificate: &Certificate) -> bool {
        let held = self.table.of(&self.me.name).map(|own| own.certificate.key);
        let own = held == Some(self.settings.key);
        own && self.table.rivals(certificate).any(|rival| rival.name == self.me.name)
    }

    fn clash(&mut self, name: &NodeId, now: Mono) {
        if self.told.clashes.allows(name.clone(), now) {
            self.outbox.report(MeshReport::NameClash { name: name.clone() });
        }
    }

    /// The path to somebody whose liveness is not watched.
    pub(super) fn default_path(&self) -> Path {
        if self.settings.wireguard { Path::WireGuard } else { Path::Tor }
    }
}
