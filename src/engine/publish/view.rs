//! How the descriptors of a service stand, for the snapshot.

use std::sync::Arc;
use std::time::Duration;

use super::Publisher;
use super::descriptor::{self, Descriptor};
use crate::engine::merge::Plan;
use crate::ident::RelayId;
use crate::time::{Mono, TimePeriod, Wall};

/// How one descriptor stands, for the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescriptorView {
    /// Its time period.
    pub period: TimePeriod,
    /// The content of the last round.
    pub plan: Option<Arc<Plan>>,
    /// The second that the last round was signed at.
    pub signed_at: Option<Wall>,
    /// Since any HSDir confirmed anything.
    pub confirmed_age: Option<Duration>,
    /// Until it is uploaded again unchanged.
    pub refresh_in: Option<Duration>,
    /// Its HSDirs.
    pub hsdirs: Vec<HsDirView>,
}

/// How one descriptor stands at one HSDir, for the snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsDirView {
    /// Which one.
    pub relay: RelayId,
    /// It has confirmed the content that is wanted now.
    pub confirmed: bool,
    /// An upload is on its way.
    pub uploading: bool,
    /// Failed tries since the round began; an HSDir that lost the document starts with one.
    pub tries: u32,
    /// What the last failed one said.
    pub last_error: Option<String>,
    /// Since its last confirmation, whatever the content.
    pub confirmed_age: Option<Duration>,
    /// Since the document was fetched back and found equal.
    pub verified_age: Option<Duration>,
    /// Until the next try, when one is due.
    pub next_try_in: Option<Duration>,
}

impl Publisher {
    pub(in crate::engine) fn views(&self, now: Mono) -> Vec<DescriptorView> {
        let view = |descriptor: &Descriptor| DescriptorView {
            period: descriptor.period,
            plan: descriptor.plan.clone(),
            signed_at: descriptor.round_signed,
            confirmed_age: descriptor.last_confirmed().map(|at| now - at),
            refresh_in: descriptor.refresh_at.map(|at| at - now),
            hsdirs: hsdir_views(descriptor, now),
        };
        self.descriptors.values().map(view).collect()
    }
}

fn hsdir_views(descriptor: &Descriptor, now: Mono) -> Vec<HsDirView> {
    let current = descriptor.changed_at.is_none();
    let view = |(relay, dir): (&RelayId, &descriptor::Dir)| HsDirView {
        relay: *relay,
        confirmed: dir.clean && current,
        uploading: dir.in_flight.is_some(),
        tries: dir.tries,
        last_error: dir.last_error.clone(),
        confirmed_age: dir.confirmed.map(|confirmed| now - confirmed.at),
        verified_age: dir.verified_at.map(|at| now - at),
        next_try_in: (!dir.clean && dir.in_flight.is_none()).then(|| dir.next_try - now),
    };
    descriptor.dirs.iter().map(view).collect()
}
