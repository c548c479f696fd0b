//! Making the documents that the engine decided on.
//!
//! Holds the master keys and what follows from them per time period, and remembers what was
//! signed, so that a document that comes back can be recognised.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

use crate::engine::{Plan, Returned, Upload};
use crate::hs::descriptor::{self, Content, DescriptorError};
use crate::hs::keys::{BlindedKey, MasterKey};
use crate::hs::revision::RevisionScale;
use crate::ident::{HsId, Revision};
use crate::time::{TimePeriod, Wall};

/// Signed documents that are remembered: some rounds with their retries, for 16 services.
const REMEMBERED_MAX: usize = 1024;

/// Periods whose keys are kept per service: the two in use, and two around a change.
const PERIODS_MAX: usize = 4;

/// The keys and the memory.
pub(super) struct Signer {
    services: BTreeMap<HsId, Keys>,
    /// Digests of what was signed, oldest first.
    signed: VecDeque<[u8; 32]>,
    /// The newest document of each descriptor: one round asks for it eight times.
    newest: BTreeMap<(HsId, TimePeriod), Newest>,
}

struct Keys {
    master: MasterKey,
    periods: BTreeMap<TimePeriod, PeriodKeys>,
}

struct PeriodKeys {
    blinded: BlindedKey,
    scale: RevisionScale,
}

struct Newest {
    signed_at: Wall,
    plan: Arc<Plan>,
    document: Bytes,
}

impl Signer {
    pub(super) fn new(keys: BTreeMap<HsId, MasterKey>) -> Signer {
        let keys = keys.into_iter();
        let services = keys.map(|(id, master)| (id, Keys { master, periods: BTreeMap::new() }));
        Signer { services: services.collect(), signed: VecDeque::new(), newest: BTreeMap::new() }
    }

    /// A key that came later.
    pub(super) fn add(&mut self, master: MasterKey) {
        let keys = Keys { master, periods: BTreeMap::new() };
        self.services.entry(keys.master.id()).or_insert(keys);
    }

    /// The master keys.
    pub(super) fn masters(&self) -> impl Iterator<Item = &MasterKey> {
        self.services.values().map(|keys| &keys.master)
    }

    /// The document for an upload, or why there is none.
    pub(super) fn document(&mut self, upload: &Upload) -> Result<Bytes, String> {
        let at = (upload.service, upload.period);
        if let Some(newest) = self.newest.get(&at)
            && newest.signed_at == upload.signed_at
            && newest.plan == upload.plan
        {
            return Ok(newest.document.clone());
        }
        let keys = self.keys(&upload.service, &upload.period).ok_or("no key for this service")?;
        let content = Content {
            points: upload.plan.points.iter().map(|(_, point)| point.clone()).collect(),
            flow_control: upload.plan.flow_control.clone(),
        };
        let document = descriptor::build(&keys.blinded, &content, upload.signed_at)
            .map_err(|error| error.to_string())?;
        let document = Bytes::from(document);
        self.remember(&document);
        let (signed_at, plan) = (upload.signed_at, Arc::clone(&upload.plan));
        self.newest.retain(|(service, period), _| {
            *service != upload.service || period.next() >= upload.period
        });
        self.newest.insert(at, Newest { signed_at, plan, document: document.clone() });
        Ok(document)
    }

    /// Judges a master descriptor that an HSDir returned.
    pub(super) fn recognise(
        &mut self,
        service: &HsId,
        document: &[u8],
        candidates: &[TimePeriod],
    ) -> Result<Returned, DescriptorError> {
        let outer = descriptor::read_outer(document, service, candidates)?;
        let ours = self.signed.contains(&digest(document));
        let keys = self.keys(service, &outer.period);
        let signed_at = keys.and_then(|keys| keys.scale.second_of(outer.revision));
        Ok(Returned { period: outer.period, signed_at, ours })
    }

    /// The revision counter of a second, for people.
    pub(super) fn revision(
        &mut self,
        service: &HsId,
        period: &TimePeriod,
        second: Wall,
    ) -> Option<Revision> {
        self.keys(service, period).map(|keys| keys.scale.at(second))
    }

    /// The size of the newest document in bytes.
    pub(super) fn size(&self, service: &HsId, period: &TimePeriod) -> Option<usize> {
        self.newest.get(&(*service, *period)).map(|newest| newest.document.len())
    }

    fn keys(&mut self, service: &HsId, period: &TimePeriod) -> Option<&PeriodKeys> {
        let keys = self.services.get_mut(service)?;
        while keys.periods.len() >= PERIODS_MAX && !keys.periods.contains_key(period) {
            keys.periods.pop_first();
        }
        let master = &keys.master;
        Some(keys.periods.entry(*period).or_insert_with(|| {
            let blinded = master.blind(period);
            let scale = RevisionScale::new(&blinded, period);
            PeriodKeys { blinded, scale }
        }))
    }

    fn remember(&mut self, document: &[u8]) {
        if self.signed.len() >= REMEMBERED_MAX {
            self.signed.pop_front();
        }
        self.signed.push_back(digest(document));
    }
}

fn digest(document: &[u8]) -> [u8; 32] {
    Sha256::digest(document).into()
}
