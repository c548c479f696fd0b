//! The loop's part for what tor tells of descriptors: whose answer it is, and what it says.

use bytes::Bytes;

use super::Shell;
use crate::control::RequestError;
use crate::control::event::{HsDesc, HsDescAction, HsDescContent, HsDescReason};
use crate::daemon::clock;
use crate::engine::{Fetched, Input, ReadError, Reading, Roster, UploadError};
use crate::hs::address;
use crate::hs::descriptor::{self, DescriptorError};
use crate::ident::{HsId, RelayId};
use crate::time::{Slot, TimePeriod};

impl Shell {
    pub(super) fn on_hs_desc(&mut self, event: &HsDesc) {
        let Some(of) = event.address.as_deref().and_then(|a| address::parse(a).ok()) else {
            return;
        };
        let own = of == self.instance;
        match (event.action, event.hsdir) {
            (HsDescAction::Uploaded, Some(hsdir)) if own => {
                self.tell(Input::InstanceTouched);
                self.tell(Input::InstanceUploaded(hsdir));
            }
            (HsDescAction::Created | HsDescAction::Upload, _) if own => {
                self.tell(Input::InstanceTouched);
            }
            (HsDescAction::Uploaded, Some(hsdir)) => {
                if let Some(id) = self.pending.uploaded(of, hsdir) {
                    self.tell(Input::UploadFinished(id, Ok(())));
                }
            }
            (HsDescAction::Failed, Some(hsdir)) => {
                self.on_failed(of, hsdir, event.reason.as_ref());
            }
            _ => {}
        }
    }

    /// `UNEXPECTED` is the one reason that uploads and fetches share; an upload is likelier then.
    fn on_failed(&mut self, of: HsId, hsdir: RelayId, reason: Option<&HsDescReason>) {
        let why = reason.map_or_else(
            || "failed, tor gives no reason".to_owned(),
            |reason| format!("failed, tor says {}", reason.keyword()),
        );
        let shared = matches!(reason, Some(HsDescReason::Unexpected) | None);
        if shared || reason == Some(&HsDescReason::UploadRejected) {
            if let Some(id) = self.pending.uploaded(of, hsdir) {
                let error = match reason {
                    Some(HsDescReason::UploadRejected) => UploadError::Rejected,
                    _ => UploadError::Failed(why),
                };
                self.tell(Input::UploadFinished(id, Err(error)));
                return;
            }
            if !shared {
                return;
            }
        }
        if let Some(id) = self.pending.fetched(of, hsdir) {
            let error = match reason {
                Some(HsDescReason::NotFound) => ReadError::NotFound,
                Some(HsDescReason::BadDesc) => {
                    ReadError::Refused("tor finds the descriptor invalid".to_owned())
                }
                _ => ReadError::Failed(why),
            };
            self.tell(Input::FetchFinished(id, Err(error)));
        }
    }

    pub(super) fn on_content(&mut self, content: &HsDescContent) {
        let (Ok(of), Some(hsdir)) = (address::parse(&content.address), content.hsdir) else {
            return;
        };
        if content.document.is_empty() {
            return;
        }
        let Some(id) = self.pending.fetched(of, hsdir) else { return };
        let master = self.config.services.iter().any(|service| service.onion == of);
        let candidates = self.candidates();
        let fetched = if master {
            let returned = self.signer.recognise(&of, &content.document, &candidates);
            returned.map(Fetched::Master).map_err(|error| ReadError::Refused(error.to_string()))
        } else {
            let read = read_roster(&content.document, &of, &candidates);
            read.map(Fetched::Roster).map_err(ReadError::from)
        };
        self.tell(Input::FetchFinished(id, fetched));
    }

    pub(super) fn read_instance(
        &self,
        answer: Result<Bytes, RequestError>,
    ) -> Result<Reading, ReadError> {
        match answer {
            Ok(document) => match read_roster(&document, &self.instance, &self.candidates()) {
                Err(Unread::NoPoints) => Err(ReadError::NotFound),
                other => other.map_err(ReadError::from),
            },
            Err(RequestError::Refused { .. }) => Err(ReadError::NotFound),
            Err(other) => Err(ReadError::Failed(other.to_string())),
        }
    }

    /// The periods that an honest descriptor may be of now: a tor may be one ahead or behind.
    fn candidates(&self) -> Vec<TimePeriod> {
        self.view.as_ref().map_or(Vec::new(), |view| {
            let (first, second) = (view.period(Slot::First), view.period(Slot::Second));
            vec![first, second, first.previous(), second.next()]
        })
    }
}

/// Why an instance's descriptor is no roster.
enum Unread {
    NoConsensus,
    /// Before its first introduction circuit stands, tor shows a descriptor without points.
    NoPoints,
    Refused(DescriptorError),
}

impl From<Unread> for ReadError {
    fn from(why: Unread) -> ReadError {
        match why {
            Unread::NoConsensus => ReadError::Failed("no consensus yet".to_owned()),
            Unread::NoPoints => ReadError::Refused(DescriptorError::NoPoints.to_string()),
            Unread::Refused(error) => ReadError::Refused(error.to_string()),
        }
    }
}

fn read_roster(document: &[u8], of: &HsId, candidates: &[TimePeriod]) -> Result<Reading, Unread> {
    if candidates.is_empty() {
        return Err(Unread::NoConsensus);
    }
    let read = match descriptor::read(document, of, candidates, clock::now().wall) {
        Ok(read) => read,
        Err(DescriptorError::NoPoints) => return Err(Unread::NoPoints),
        Err(error) => return Err(Unread::Refused(error)),
    };
    let (revision, pow) = (read.revision, read.pow);
    let roster = Roster::new(read.period, read.points, read.flow_control);
    Ok(Reading { roster: roster.ok_or(Unread::NoPoints)?, revision, pow })
}
