//! What the mesh has decided and not handed out yet, in an order that is safe.
//!
//! First what must be written down, then sessions that are to be kept, then what is said, then
//! sessions that end. Numbers the frames to each receiver.

use std::collections::BTreeMap;

use super::super::action::{Action, MeshReport, Report};
use crate::ident::Incarnation;
use crate::message::{Body, Frame, Party, Path};

/// Receivers whose frames are numbered apart; then all go on from the highest number.
const NUMBERED_MAX: usize = 512;

/// What a node may say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Voice {
    /// Nothing: it has no signed announcement yet, or was removed.
    #[default]
    Silent,
    /// Everything.
    Full,
    /// Answers: it has said goodbye.
    Answers,
}

#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) voice: Voice,
    incarnation: Incarnation,
    numbers: BTreeMap<Party, u64>,
    /// Where a receiver's numbers begin: a number must never fall.
    floor: u64,
    first: Vec<Action>,
    said: Vec<Action>,
    last: Vec<Action>,
    dirty: bool,
}

impl Outbox {
    /// From now on frames are of this incarnation.
    pub(super) fn reborn(&mut self, incarnation: Incarnation) {
        self.incarnation = incarnation;
        self.numbers.clear();
        self.floor = 0;
    }

    pub(super) fn send(&mut self, to: Party, path: Path, body: Body) {
        let allowed = match self.voice {
            Voice::Silent => false,
            Voice::Full => true,
            Voice::Answers => matches!(body, Body::Answer(_) | Body::LeaveSeen | Body::Leave(_)),
        };
        if !allowed {
            return;
        }
        if self.numbers.len() >= NUMBERED_MAX && !self.numbers.contains_key(&to) {
            self.floor = self.numbers.values().copied().max().unwrap_or(0);
            self.numbers.clear();
        }
        let sequence = self.numbers.entry(to).or_insert(self.floor);
        *sequence += 1;
        let frame = Frame { incarnation: self.incarnation, sequence: *sequence, body };
        self.said.push(Action::Send { to, path, frame: Box::new(frame) });
    }

    pub(super) fn report(&mut self, report: MeshReport) {
        self.said.push(Action::Report(Report::Mesh(report)));
    }

    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Admit(_) => self.first.push(action),
            Action::Dismiss { .. } | Action::OpenDoors(_) => self.last.push(action),
            _ => self.said.push(action),
        }
    }

    /// Something changed that must survive a restart.
    pub(super) fn changed(&mut self) {
        self.dirty = true;
    }

    /// Whether something has to be written down first.
    pub(super) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    pub(super) fn take(&mut self) -> impl Iterator<Item = Action> + use<> {
        let first = std::mem::take(&mut self.first);
        first
            .into_iter()
            .chain(std::mem::take(&mut self.said))
            .chain(std::mem::take(&mut self.last))
    }
}
