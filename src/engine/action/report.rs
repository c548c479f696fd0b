//! What an operator should know, as values: the shell words and logs them.

use std::time::Duration;

use crate::ident::{HsId, NodeId, RelayId};
use crate::message::{JoinRefusal, Path, Refusal, Welcome};
use crate::time::{TimePeriod, Wall};

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
