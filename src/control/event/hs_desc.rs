//! `HS_DESC` and `HS_DESC_CONTENT` (control-spec, sections of the same names).

use bytes::Bytes;

use crate::control::words::{self, Words};
use crate::ident::{BlindedId, RelayId};

/// What happened to a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HsDescAction {
    /// `REQUESTED`: an HSDir is being asked for it.
    Requested,
    /// `UPLOAD`: it is on its way to an HSDir.
    Upload,
    /// `RECEIVED`: it came, and was taken.
    Received,
    /// `UPLOADED`: an HSDir has taken it. Names no descriptor id.
    Uploaded,
    /// `IGNORE`: it came, but a better one is known.
    Ignored,
    /// `FAILED`: a request or an upload failed; the reason says which.
    Failed,
    /// `CREATED`: our own tor made a new one.
    Created,
}

/// Why a request or an upload failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HsDescReason {
    /// `BAD_DESC`: what came is not a valid descriptor.
    BadDesc,
    /// `QUERY_REJECTED`: the HSDir refused the request.
    QueryRejected,
    /// `UPLOAD_REJECTED`: the HSDir refused the upload; its revision is not greater, or it is
    /// invalid.
    UploadRejected,
    /// `NOT_FOUND`: the HSDir does not have it.
    NotFound,
    /// `QUERY_NO_HSDIR`: tor found nobody to ask.
    QueryNoHsDir,
    /// `QUERY_RATE_LIMITED`: the HSDirs were asked too recently.
    QueryRateLimited,
    /// `UNEXPECTED`: the HSDir answered something else.
    Unexpected,
    /// A reason that is not known here.
    Other(String),
}

/// Something happened to a descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsDesc {
    /// What.
    pub action: HsDescAction,
    /// Whose: 56 characters without `.onion`; absent when tor says `UNKNOWN`.
    pub address: Option<String>,
    /// How clients are authorised, as tor writes it: `NO_AUTH` or `UNKNOWN`.
    pub auth_type: String,
    /// The HSDir it is about; absent when tor says `UNKNOWN`.
    pub hsdir: Option<RelayId>,
    /// The descriptor id, which is the blinded key.
    pub blinded: Option<BlindedId>,
    /// `REASON=`.
    pub reason: Option<HsDescReason>,
    /// `REPLICA=`.
    pub replica: Option<u32>,
    /// `HSDIR_INDEX=`: where on the ring it was placed.
    pub hsdir_index: Option<[u8; 32]>,
}

/// The text of a fetched descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HsDescContent {
    /// Whose: 56 characters without `.onion`.
    pub address: String,
    /// The descriptor id, which is the blinded key; absent when tor says `UNKNOWN`.
    pub blinded: Option<BlindedId>,
    /// Who sent it; absent when tor says `UNKNOWN`.
    pub hsdir: Option<RelayId>,
    /// The text, each line ended by LF; empty when the fetch failed.
    pub document: Bytes,
}

impl HsDesc {
    /// Reads the words after `HS_DESC`.
    pub(super) fn parse(mut words: Words<'_>) -> Option<HsDesc> {
        let action = match words.next()? {
            "REQUESTED" => HsDescAction::Requested,
            "UPLOAD" => HsDescAction::Upload,
            "RECEIVED" => HsDescAction::Received,
            "UPLOADED" => HsDescAction::Uploaded,
            "IGNORE" => HsDescAction::Ignored,
            "FAILED" => HsDescAction::Failed,
            "CREATED" => HsDescAction::Created,
            _ => return None,
        };
        let address = known(words.next()?, address)?;
        let auth_type = words.next()?.to_owned();
        let hsdir = known(words.next()?, words::relay)?;
        let (blinded, reason, replica, hsdir_index) = (None, None, None, None);
        let mut event =
            HsDesc { action, address, auth_type, hsdir, blinded, reason, replica, hsdir_index };
        for word in words {
            match words::pair(word) {
                Some(("REASON", reason)) => event.reason = Some(HsDescReason::parse(reason)),
                Some(("REPLICA", replica)) => event.replica = Some(replica.parse().ok()?),
                Some(("HSDIR_INDEX", index)) => {
                    event.hsdir_index = Some(words::fixed_hex(index)?);
                }
                Some(_) => {}
                None => event.blinded = known(word, words::blinded)?,
            }
        }
        Some(event)
    }
}

impl HsDescContent {
    /// Reads the words after `HS_DESC_CONTENT`.
    pub(super) fn parse(mut words: Words<'_>, document: Bytes) -> Option<HsDescContent> {
        let address = address(words.next()?)?;
        let blinded = known(words.next()?, words::blinded)?;
        let hsdir = known(words.next()?, words::relay)?;
        let blank = document.iter().all(u8::is_ascii_whitespace);
        let document = if blank { Bytes::new() } else { document };
        Some(HsDescContent { address, blinded, hsdir, document })
    }
}

impl HsDescReason {
    /// Tor's word for it.
    pub fn keyword(&self) -> &str {
        match self {
            HsDescReason::BadDesc => "BAD_DESC",
            HsDescReason::QueryRejected => "QUERY_REJECTED",
            HsDescReason::UploadRejected => "UPLOAD_REJECTED",
            HsDescReason::NotFound => "NOT_FOUND",
            HsDescReason::QueryNoHsDir => "QUERY_NO_HSDIR",
            HsDescReason::QueryRateLimited => "QUERY_RATE_LIMITED",
            HsDescReason::Unexpected => "UNEXPECTED",
            HsDescReason::Other(word) => word,
        }
    }

    fn parse(text: &str) -> HsDescReason {
        match text {
            "BAD_DESC" => HsDescReason::BadDesc,
            "QUERY_REJECTED" => HsDescReason::QueryRejected,
            "UPLOAD_REJECTED" => HsDescReason::UploadRejected,
            "NOT_FOUND" => HsDescReason::NotFound,
            "QUERY_NO_HSDIR" => HsDescReason::QueryNoHsDir,
            "QUERY_RATE_LIMITED" => HsDescReason::QueryRateLimited,
            "UNEXPECTED" => HsDescReason::Unexpected,
            other => HsDescReason::Other(other.to_owned()),
        }
    }
}

/// A field that may be `UNKNOWN`: the outer `None` is a malformed one.
fn known<T>(word: &str, parse: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
    if word == "UNKNOWN" { Some(None) } else { parse(word).map(Some) }
}

fn address(word: &str) -> Option<String> {
    words::is_address(word).then(|| word.to_owned())
}
