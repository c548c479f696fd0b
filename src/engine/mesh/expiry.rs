//! Members that said goodbye long ago are forgotten, and their names are free again.
//!
//! A goodbye is announced in the incarnation of its second, so the entry itself says when it ends:
//! all nodes forget it at the same moment, and none learns it anew from one whose clock is behind.
//! The dead are not forgotten: whether they return is for the operator to say (`remove`).

use std::time::Duration;

use super::Mesh;
use crate::ident::PeerKey;
use crate::message::Member;
use crate::time::{Mono, Now, Wall};

/// How long a goodbye is remembered: long enough to reach every member that is away for a day.
const GOODBYE_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The table is swept so often at least: wall clocks jump.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);

/// When the table is swept next, and which one was swept last.
#[derive(Debug, Default)]
pub(super) struct Expiry {
    due: Option<Mono>,
    version: Option<u64>,
}

impl Expiry {
    pub(super) fn deadline(&self) -> Option<Mono> {
        self.due
    }
}

/// When an entry is forgotten; `None`: not by itself.
fn ends(entry: &Member) -> Option<Wall> {
    let said = entry.announcement.as_ref().filter(|said| said.left)?;
    Some(Wall(said.incarnation.0) + GOODBYE_KEPT)
}

/// Whether an entry is of no use any more.
pub(super) fn has_expired(entry: &Member, now: Wall) -> bool {
    ends(entry).is_some_and(|end| end <= now)
}

impl Mesh {
    /// Forgets who said goodbye long ago: after every change of the table, and when it is time.
    pub(super) fn advance_expiry(&mut self, now: Now) {
        let swept = self.expiry.version == Some(self.table.version());
        if swept && self.expiry.due.is_some_and(|due| due > now.mono) {
            return;
        }
        let others = || self.table.members().filter(|m| m.certificate.key != self.settings.key);
        let expired: Vec<PeerKey> = others()
            .filter(|entry| has_expired(entry, now.wall))
            .map(|entry| entry.certificate.key)
            .collect();
        let next = others().filter_map(ends).filter(|end| *end > now.wall).min();
        let left = next.map(|end| u64::try_from(end.seconds_since(now.wall)).unwrap_or(0));
        let left = left.map_or(SWEEP_EVERY, Duration::from_secs);
        for key in &expired {
            self.table.forget(key);
        }
        if !expired.is_empty() {
            self.outbox.changed();
        }
        self.expiry = Expiry {
            due: Some(now.mono + left.clamp(Duration::from_secs(1), SWEEP_EVERY)),
            version: Some(self.table.version()),
        };
    }
}
