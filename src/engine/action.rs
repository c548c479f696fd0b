//! What goes into the engine and what comes out: past tense in, imperative out.

mod mesh;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::merge::Plan;
use super::roster::Reading;
use crate::ident::{HsId, PeerKey, RelayId, TokenId};
use crate::message::{Announcement, Certificate, Frame, Party, Path, Refusal, Succession, Token};
use crate::time::{Slot, TimePeriod, Wall, Window};

pub use mesh::{MeshState, PeerLink, Request, RequestError, RequestId};
pub use report::{Blocked, MeshReport, Report, Reregistration, RoundReason};

/// What the own tor's consensus says about the hash ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsensusView {
    /// The consensus is valid from here,
    pub valid_after: Wall,
    /// and until here; tor still uses it for a day after that.
    pub valid_until: Wall,
    /// Which descriptor clients fetch.
    pub window: Window,
    /// The period of the first descriptor.
    pub first: TimePeriod,
    /// The period of the second descriptor.
    pub second: TimePeriod,
    /// HSDirs that are not on the rings because tor lacks their microdescriptors.
    pub missing: usize,
    /// For every address that the settings name: where its descriptors lie.
    pub rings: BTreeMap<HsId, Responsible>,
}

impl ConsensusView {
    /// The period of a descriptor.
    pub fn period(&self, slot: Slot) -> TimePeriod {
        match slot {
            Slot::First => self.first,
            Slot::Second => self.second,
        }
    }

    /// The period whose descriptors clients fetch now.
    pub fn current(&self) -> TimePeriod {
        self.period(self.window.client_facing())
    }
}

/// The HSDirs that are responsible for one address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Responsible {
    /// Those that store the first descriptor.
    pub first: Vec<RelayId>,
    /// Those that store the second descriptor.
    pub second: Vec<RelayId>,
    /// Those that clients ask now: a part of the client-facing descriptor's.
    pub fetch: Vec<RelayId>,
}

impl Responsible {
    /// Those that store a descriptor.
    pub fn store(&self, slot: Slot) -> &[RelayId] {
        match slot {
            Slot::First => &self.first,
            Slot::Second => &self.second,
        }
    }
}

/// Names one HSFETCH, so that its answer finds its asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FetchId(pub u64);

/// Names one HSPOST, so that its answer finds its asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UploadId(pub u64);

/// What happened.
#[derive(Clone, Debug)]
pub enum Input {
    /// The control connection stands: authenticated and subscribed.
    TorConnected,
    /// The control connection is gone, whatever the cause.
    TorLost,
    /// Tor has a new consensus (the event; it is read on demand).
    ConsensusArrived,
    /// The consensus was read.
    ConsensusRead(Result<Box<ConsensusView>, String>),
    /// Tor touched the own instance's descriptor, or an introduction circuit of it.
    InstanceTouched,
    /// The instance's descriptor as tor made it last was read from tor itself.
    InstanceRead(Result<Reading, ReadError>),
    /// The relays at which the instance has an established introduction circuit were read.
    IntroCircuitsRead(Result<BTreeSet<RelayId>, String>),
    /// Tor uploaded one of the instance's two descriptors to this HSDir.
    InstanceUploaded(RelayId),
    /// A descriptor was fetched from an HSDir, or was not.
    FetchFinished(FetchId, Result<Fetched, ReadError>),
    /// An upload was answered.
    UploadFinished(UploadId, Result<(), UploadError>),
    /// A frame came in a session; every signature in it holds.
    FrameReceived {
        /// Whom the session is with.
        from: Party,
        /// How it came.
        path: Path,
        /// What came.
        frame: Box<Frame>,
    },
    /// Something was refused before it became a frame.
    FrameRefused {
        /// Whose session, where that is known.
        from: Option<PeerKey>,
        /// How it came.
        path: Path,
        /// Why.
        reason: Refusal,
    },
    /// A session with a peer was established (`up`), or its transport failed: a hint that saves
    /// time, never a proof.
    LinkChanged {
        /// With whom.
        peer: PeerKey,
        /// Over which path.
        path: Path,
        /// It stands.
        up: bool,
    },
    /// Whether peers can be called over Tor: a SOCKS port is known and tor is connected.
    TorPathChanged(bool),
    /// Our own announcement, signed: the answer to [`Action::Announce`].
    Announced(Box<Announcement>),
    /// A certificate that was asked for with [`Action::Certify`], signed.
    Certified(Box<Certificate>),
    /// The cluster has a new key that certifies, introduced by the one before, and it is kept here:
    /// the answer to [`Action::Succeed`]. `None`: it could not be kept.
    Succeeded(Option<Box<Succession>>),
    /// An invitation was made here; its record is signed.
    TokenIssued(Box<Token>),
    /// The secrets that the certificate entitles to are stored.
    SecretsStored,
    /// An operator's wish; it is answered with [`Action::Reply`].
    Asked(RequestId, Request),
    /// A deadline has come.
    Woken,
}

/// What an HSDir returned.
#[derive(Clone, Debug)]
pub enum Fetched {
    /// An instance's descriptor, verified and decrypted.
    Roster(Reading),
    /// A master descriptor, its signature verified.
    Master(Returned),
}

/// A master descriptor that came back from an HSDir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Returned {
    /// The period whose blinded key signed it.
    pub period: TimePeriod,
    /// The last second whose revision is not above this document's: when a publisher that counts
    /// as tor does signed it. A later second is a higher revision, whoever signed this one.
    /// `None`: before the first second of the period.
    pub signed_at: Option<Wall>,
    /// This node signed exactly this document.
    pub ours: bool,
}

/// Why a descriptor could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// There is none (yet): the HSDir or tor has nothing under that name.
    NotFound,
    /// Nobody answered, or something on the way failed.
    Failed(String),
    /// There is one, and it must not be used: forged, malformed, out of bounds.
    Refused(String),
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ReadError::NotFound => f.write_str("no descriptor there"),
            ReadError::Failed(why) => write!(f, "not answered: {why}"),
            ReadError::Refused(why) => write!(f, "refused: {why}"),
        }
    }
}

/// Why an upload did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UploadError {
    /// The HSDir refused the document (400): the revision is not greater than what it has.
    Rejected,
    /// Tor does not know this HSDir (552): its consensus is another one than ours.
    UnknownHsDir,
    /// Something on the way failed, and that was the end of it.
    Failed(String),
    /// No answer in time: the upload may still arrive.
    Unanswered,
    /// The document could not be made or tor refused it: another try is as bad.
    Unusable(String),
}

impl std::fmt::Display for UploadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            UploadError::Rejected => f.write_str("refused (revision not greater)"),
            UploadError::UnknownHsDir => f.write_str("tor does not know this HSDir"),
            UploadError::Failed(why) => f.write_str(why),
            UploadError::Unanswered => f.write_str("no answer in time"),
            UploadError::Unusable(why) => write!(f, "unusable document: {why}"),
        }
    }
}

/// What the shell must do.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "few wait at a time, and admitting is rare")]
pub enum Action {
    /// Read consensus and microdescriptors; answer with [`Input::ConsensusRead`].
    ReadConsensus,
    /// Ask tor for the instance's current descriptor; answer with [`Input::InstanceRead`].
    ReadInstance,
    /// Ask tor for its circuits; answer with [`Input::IntroCircuitsRead`].
    ReadIntroCircuits,
    /// Fetch the descriptor of `address` from one HSDir; answer with [`Input::FetchFinished`].
    Fetch {
        /// Names the answer.
        id: FetchId,
        /// An instance, a backend or a master address.
        address: HsId,
        /// The only HSDir whose answer counts.
        from: RelayId,
    },
    /// Sign and upload a master descriptor; answer with [`Input::UploadFinished`].
    Upload(Upload),
    /// Send a frame.
    Send {
        /// To whom.
        to: Party,
        /// How.
        path: Path,
        /// What.
        frame: Box<Frame>,
    },
    /// Keep sessions with this peer, or take its new addresses.
    Admit(PeerLink),
    /// End the sessions with this peer, and refuse new ones when it is `banned`.
    Dismiss {
        /// Whose.
        key: PeerKey,
        /// It was removed.
        banned: bool,
    },
    /// The invitations by which newcomers may open a session now: all of them, each with the
    /// public key of its session. None: no door is open.
    OpenDoors(Vec<(TokenId, PeerKey)>),
    /// Open a session with a bootstrap node of our invitation, over a fresh circuit when by Tor.
    Knock {
        /// Its place in the list.
        door: u8,
        /// How.
        path: Path,
    },
    /// Sign our announcement; answer with [`Input::Announced`]. Its signature is not filled in.
    Announce(Box<Announcement>),
    /// Sign a certificate; answer with [`Input::Certified`]. Its signature and generation are not
    /// filled in.
    Certify(Box<Certificate>),
    /// Make the key that certifies after ours, keep it, and certify with it from now on; answer with
    /// [`Input::Succeeded`].
    Succeed,
    /// Send the secrets that this member may have.
    SendSecrets {
        /// To whom.
        to: PeerKey,
        /// How.
        path: Path,
        /// The key that certifies members.
        bootstrap: bool,
        /// The master keys.
        publisher: bool,
    },
    /// Write this down before any action that comes after.
    Persist(Box<MeshState>),
    /// Answer an operator's wish.
    Reply(RequestId, Result<(), RequestError>),
    /// Say it to the operator.
    Report(Report),
}

/// One upload to one HSDir.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Names the answer.
    pub id: UploadId,
    /// The master address.
    pub service: HsId,
    /// The period whose blinded key signs.
    pub period: TimePeriod,
    /// The only HSDir that gets it.
    pub to: RelayId,
    /// What the descriptor says.
    pub plan: Arc<Plan>,
    /// The second that makes the revision counter.
    pub signed_at: Wall,
}
