//! What goes into the engine and what comes out: past tense in, imperative out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::merge::Plan;
use super::roster::Reading;
use crate::ident::{HsId, Incarnation, NodeId, PeerKey, RelayId, TokenId};
use crate::message::{
    Announcement, Certificate, Frame, JoinRefusal, Member, Party, Path, Refusal, Succession, Token,
    Welcome,
};
use crate::time::{Slot, TimePeriod, Wall, Window};

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

/// Names an operator's wish, so that the answer finds its asker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// What an operator may ask of the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Make an invitation good for nobody.
    Revoke(TokenId),
    /// Remove a member for ever.
    Remove {
        /// Whom.
        name: NodeId,
        /// Although it is not dead.
        force: bool,
    },
    /// Say goodbye to everybody.
    Leave,
}

/// Why a wish is not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestError {
    /// There is no such member.
    NoSuchMember,
    /// There is no such invitation.
    NoSuchToken,
    /// The invitation was used already.
    TokenUsed,
    /// The member is not dead, and nobody forces it.
    NotDead,
    /// This node lacks the key to certify: ask a bootstrap node.
    NotBootstrap,
    /// The new key that certifies, which the removal needs, cannot be kept.
    KeyUnkept,
    /// A node does not remove itself.
    Oneself,
    /// The node is not in a cluster.
    NoCluster,
}

/// What the mesh must remember over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MeshState {
    /// Our own last one.
    pub incarnation: Incarnation,
    /// The keys after the first that certify.
    pub successions: Vec<Succession>,
    /// Everybody, ourselves and the removed ones included: at most twice
    /// [`MEMBERS_MAX`](crate::message::MEMBERS_MAX).
    pub members: Vec<Member>,
    /// The invitations, on a bootstrap node: at most [`TOKENS_MAX`](crate::message::TOKENS_MAX).
    pub tokens: Vec<Token>,
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

/// What the transport must know of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerLink {
    /// Its name, for messages.
    pub name: NodeId,
    /// Its sessions' key.
    pub key: PeerKey,
    /// Its last announcement: addresses and client key. `None`: not heard yet.
    pub announcement: Option<Announcement>,
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

/// What an operator should know. The shell words and logs it.
#[derive(Clone, Debug, PartialEq)]
pub enum Report {
    /// A front offers another set of introduction points than before.
    RosterChanged {
        /// Whose.
        front: NodeId,
        /// How many it offers now.
        points: usize,
    },
    /// A front's descriptor is nowhere to be found any more; its points leave.
    FrontGone {
        /// Whose.
        front: NodeId,
    },
    /// A descriptor was not taken.
    ReadingRefused {
        /// Whose.
        front: NodeId,
        /// What is wrong with it.
        why: String,
    },
    /// The consensus could not be used.
    ConsensusUnusable {
        /// What is wrong with it.
        why: String,
    },
    /// A round of uploads begins.
    PublishStarted {
        /// The master address.
        service: HsId,
        /// Introduction points in the client-facing descriptor now.
        points: usize,
        /// And before; `None`: this node has published nothing yet.
        was: Option<usize>,
        /// Why.
        why: RoundReason,
    },
    /// Every responsible HSDir has confirmed both descriptors.
    PublishConfirmed {
        /// The master address.
        service: HsId,
        /// Confirmed HSDirs of the first and second descriptor.
        confirmed: [usize; 2],
        /// From the start of the round.
        took: Duration,
    },
    /// The quick tries are over and some HSDirs have not confirmed.
    PublishPartial {
        /// The master address.
        service: HsId,
        /// HSDirs that confirmed, both descriptors.
        confirmed: usize,
        /// HSDirs that should have.
        target: usize,
        /// The last cause.
        last: String,
    },
    /// A descriptor has not been confirmed anywhere for long and lapses soon.
    DescriptorLapsing {
        /// The master address.
        service: HsId,
        /// Which one.
        period: TimePeriod,
        /// Since the last confirmed upload.
        age: Duration,
    },
    /// An HSDir holds a validly signed descriptor that this node did not sign.
    RivalDescriptor {
        /// The master address.
        service: HsId,
        /// Where it was found.
        hsdir: RelayId,
        /// When it was signed, by our own scale of revisions.
        signed_at: Wall,
    },
    /// HSDirs refuse what cannot be read back: signing continues that far ahead of the clock.
    SigningAhead {
        /// The master address.
        service: HsId,
        /// How far.
        ahead: Duration,
    },
    /// A front's descriptor asks clients for proof of work, which cannot work for the master.
    PowIgnored {
        /// Whose.
        front: NodeId,
    },
    /// An HSDir did not return what it had confirmed.
    VerifyFailed {
        /// The master address.
        service: HsId,
        /// Which one.
        hsdir: RelayId,
        /// What came instead.
        why: String,
    },
    /// An upload could not even be tried: the document or the command is at fault.
    UploadUnusable {
        /// The master address.
        service: HsId,
        /// What is wrong.
        why: String,
    },
    /// Publishing stopped, or (`None`) goes on.
    Blocked(Option<Blocked>),
    /// Something happened among the nodes.
    Mesh(MeshReport),
}

/// What an operator should know about the mesh.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MeshReport {
    /// A peer did not answer a heartbeat.
    PeerMissed {
        /// Who.
        peer: NodeId,
        /// How many in a row.
        missed: u32,
        /// How many more until it is dead.
        left: u32,
    },
    /// A peer is dead.
    PeerDead {
        /// Who.
        peer: NodeId,
        /// How many introduction points it had offered.
        points: usize,
        /// When they leave unless it returns.
        grace: Duration,
    },
    /// A dead peer came back.
    PeerRecovered {
        /// Who.
        peer: NodeId,
        /// Since it was heard last.
        away: Duration,
        /// Its introduction points had left the descriptor; otherwise they stayed.
        refetch: bool,
        /// It comes and goes: its introduction points wait so long.
        damped: Duration,
    },
    /// A peer's heartbeats go over another path.
    PathChanged {
        /// Whose.
        peer: NodeId,
        /// The new path.
        path: Path,
        /// How long the old one has been silent.
        silent: Duration,
    },
    /// Every peer is out of sight while our own tor works.
    Partition,
    /// At least one peer is in sight again.
    PartitionHealed {
        /// After so long.
        after: Duration,
    },
    /// A node joined.
    NodeJoined {
        /// Who.
        peer: NodeId,
    },
    /// A node said goodbye.
    NodeLeft {
        /// Who.
        peer: NodeId,
    },
    /// A node was removed for ever.
    NodeRemoved {
        /// Who.
        peer: NodeId,
    },
    /// Another key certifies members from now on.
    KeyChanged {
        /// Its number; 0 was the first.
        generation: u32,
    },
    /// A newcomer was not let in.
    JoinRefused {
        /// The name it gave.
        name: NodeId,
        /// Why.
        why: JoinRefusal,
    },
    /// We try to get in.
    Knocking {
        /// Which bootstrap node of the invitation.
        door: u8,
        /// How.
        path: Path,
        /// How often we have tried.
        attempt: u32,
        /// When we try again if nobody answers.
        again: Duration,
    },
    /// We are in: the shell writes down what the welcome says.
    Joined {
        /// What we were told.
        welcome: Box<Welcome>,
        /// How many others there are.
        peers: usize,
    },
    /// We are not let in.
    JoinFailed {
        /// Why.
        why: JoinRefusal,
    },
    /// We presented our membership again.
    Reregistered {
        /// To whom.
        peer: NodeId,
        /// Why.
        why: Reregistration,
    },
    /// A peer cannot take us now.
    PeerBusy {
        /// Who.
        peer: NodeId,
        /// It asked us to wait so long.
        wait: Duration,
    },
    /// Fewer peers than expected: we ask around.
    Discovery {
        /// Seen alive, ourselves included.
        alive: usize,
        /// Expected.
        expected: usize,
    },
    /// A peer's clock is off.
    ClockSkew {
        /// Whose.
        peer: NodeId,
        /// Its clock minus ours.
        ahead_s: i64,
    },
    /// A peer's clock is right again.
    ClockAgrees {
        /// Whose.
        peer: NodeId,
    },
    /// Somebody said that we are dead or gone; we contradict.
    RumourContradicted {
        /// Who said it.
        by: NodeId,
    },
    /// Two members came in with one name or one invitation; the later is refused.
    NameClash {
        /// The name.
        name: NodeId,
    },
    /// Somebody else speaks with our keys: a copy of our state directory runs elsewhere.
    IdentityTwice,
    /// Something from a peer was refused; said once, then counted.
    Refused {
        /// Who; `None`: a stranger.
        peer: Option<NodeId>,
        /// How it came.
        path: Path,
        /// Why.
        reason: Refusal,
    },
    /// We were removed from the cluster.
    WeAreRemoved,
    /// Everybody in sight knows that we go.
    Farewell {
        /// How many do.
        seen: usize,
        /// Of so many.
        of: usize,
    },
}

/// Why a node presents its membership again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reregistration {
    /// The peer does not know us.
    Unknown,
    /// The peer has begun anew.
    Restarted,
    /// It could not be reached.
    Unreachable,
    /// Three failures in a row: through any bootstrap node, from the start.
    Full,
}

/// Why a round of uploads begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RoundReason {
    /// A random 60 to 120 minutes have passed.
    Refresh,
    /// The content changed, and what is published still works.
    Added,
    /// A published point is gone.
    Removed,
    /// Other HSDirs, another period or another shared random value.
    RingChanged,
    /// Tor came back.
    TorReturned,
    /// An HSDir lost or refused it.
    Repair,
    /// The last confirmed upload is old: the descriptor lapses soon.
    Lapsing,
}

/// Why nothing is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocked {
    /// The control connection is down.
    NoTor,
    /// Tor has no usable consensus yet.
    NoConsensus,
    /// The consensus ran out more than a day ago.
    ConsensusExpired,
    /// The clock is before the consensus begins.
    ClockBehind,
    /// The fronts have not been asked yet.
    Gathering,
    /// No front offers an introduction point.
    NoPoints,
    /// Another node publishes, or this one may not.
    Standby,
}
