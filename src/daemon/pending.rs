//! Which HSDir still owes which answer.
//!
//! Tor's events name address and HSDir, not our request, so at most one upload and one fetch per
//! pair can be told apart; the engine asks for no more.

use std::collections::BTreeMap;

use crate::engine::{FetchId, UploadId};
use crate::ident::{HsId, RelayId};

/// Whose descriptor at which HSDir.
type Key = (HsId, RelayId);

/// The answers that are waited for.
#[derive(Debug, Default)]
pub(super) struct Pending {
    uploads: BTreeMap<Key, UploadId>,
    fetches: BTreeMap<Key, FetchId>,
}

impl Pending {
    /// An upload begins; an older one to the same HSDir has been given up.
    pub(super) fn upload(&mut self, service: HsId, hsdir: RelayId, id: UploadId) {
        self.uploads.insert((service, hsdir), id);
    }

    /// A fetch begins; an older one from the same HSDir has been given up.
    pub(super) fn fetch(&mut self, address: HsId, hsdir: RelayId, id: FetchId) {
        self.fetches.insert((address, hsdir), id);
    }

    /// The upload that this HSDir has answered.
    pub(super) fn uploaded(&mut self, service: HsId, hsdir: RelayId) -> Option<UploadId> {
        self.uploads.remove(&(service, hsdir))
    }

    /// The fetch that this HSDir has answered.
    pub(super) fn fetched(&mut self, address: HsId, hsdir: RelayId) -> Option<FetchId> {
        self.fetches.remove(&(address, hsdir))
    }

    /// Tor refused the upload itself: nobody will answer it.
    pub(super) fn drop_upload(&mut self, id: UploadId) {
        self.uploads.retain(|_, pending| *pending != id);
    }

    /// Tor refused the fetch itself: nobody will answer it.
    pub(super) fn drop_fetch(&mut self, id: FetchId) {
        self.fetches.retain(|_, pending| *pending != id);
    }

    /// Tor is gone, and with it every answer.
    pub(super) fn clear(&mut self) {
        *self = Pending::default();
    }
}
