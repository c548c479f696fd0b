//! What nodes say to each other and about each other, as plain values.
//!
//! `wire` makes bytes of them, `transport` carries the bytes, the engine decides what to say. There
//! is no logic here, and nothing secret: keys that change hands never become a value of this room.

use std::net::SocketAddr;

use crate::ident::{
    ClusterKey, Epoch, HsId, Incarnation, IntroPoint, NodeId, NodeKey, PeerKey, TokenId,
};
use crate::time::{TimePeriod, Wall};

/// The address of a socket: an IP address and a port. Never a host's name: nobody may ask DNS.
pub type Endpoint = SocketAddr;

/// The most members a cluster may have, those that left or are dead included. As many removed ones
/// are remembered beside them.
pub const MEMBERS_MAX: usize = 128;

/// The most invitations that are remembered and open a door.
pub const TOKENS_MAX: usize = 256;

/// The most bytes of a program's version as text.
pub const VERSION_MAX_BYTES: usize = 32;

/// The most introduction points in one [`RosterPart`].
pub const POINTS_PER_PART_MAX: usize = 3;

/// The most entries in one [`Body::Members`].
pub const MEMBERS_PER_FRAME_MAX: usize = 2;

/// The most records in one [`Body::Tokens`].
pub const TOKENS_PER_FRAME_MAX: usize = 3;

/// How frames travel to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// WireGuard over UDP.
    WireGuard,
    /// The same session over an onion stream.
    Tor,
}

impl Path {
    /// Both, the preferred one first.
    pub const BOTH: [Path; 2] = [Path::WireGuard, Path::Tor];

    /// The one that is not `self`.
    pub fn other(self) -> Path {
        match self {
            Path::WireGuard => Path::Tor,
            Path::Tor => Path::WireGuard,
        }
    }
}

/// Whom a session is with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The owner of this key: a member, or a stranger who proved no more than that it has it.
    Peer(PeerKey),
    /// A newcomer who has the secret of this invitation (seen by the node that lets it in).
    Token(TokenId),
    /// The bootstrap node behind one of the addresses of our own invitation (seen by the
    /// newcomer), by its place in the list.
    Door(u8),
}

/// One message with what binds it to its sender.
///
/// Who sent it is known from the session. Replayed datagrams are refused there; `sequence` tells
/// which of two frames that came over different paths is the newer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// The sender's.
    pub incarnation: Incarnation,
    /// Counts the sender's frames to this receiver from 1 on, in this incarnation.
    pub sequence: u64,
    /// What it says.
    pub body: Body,
}

/// What a frame says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// I am here; are you?
    Heartbeat(Heartbeat),
    /// The answer to a heartbeat.
    Answer(Answer),
    /// Send me your table of members.
    PullMembers,
    /// Entries of the table of members, at most [`MEMBERS_PER_FRAME_MAX`].
    Members(Vec<Member>),
    /// The keys that certified the cluster's members one after the other, at most
    /// [`SUCCESSIONS_MAX`]; the first one of all is in the configuration.
    Successions(Vec<Succession>),
    /// The sender's own entry: the answer to [`Verdict::Unknown`] and [`Verdict::Restarted`], and
    /// what a stranger proves its membership with.
    Present(Box<Member>),
    /// Send me your roster.
    PullRoster,
    /// A part of the sender's roster.
    Roster(RosterPart),
    /// When did you last hear this member yourself?
    AskSeen(NodeId),
    /// The answer: so many milliseconds ago, over any path; `None`: not since I started.
    Seen(NodeId, Option<u32>),
    /// I have declared this member dead, in this incarnation. A rumour: nobody has to believe it,
    /// and the one it is about contradicts it.
    Dead(NodeId, Incarnation),
    /// I am going, and this entry says so.
    Leave(Box<Member>),
    /// I know that you are going.
    LeaveSeen,
    /// Let me in (only in a session with [`Party::Token`]).
    Join(Box<JoinRequest>),
    /// You are in. The table of members follows in [`Body::Members`].
    Welcome(Box<Welcome>),
    /// You are not let in.
    JoinRefused(JoinRefusal),
    /// Records of invitations, between bootstrap nodes only, at most [`TOKENS_PER_FRAME_MAX`].
    Tokens(Vec<Token>),
    /// Send me the records of invitations.
    PullTokens,
    /// Send me the secrets that my certificate entitles me to. They come in frames of their own,
    /// which are no values of this room.
    PullSecrets,
    /// The right to publish.
    Lease(Lease),
}

/// The most changes of the certifying key in a cluster's life: it changes when a member that had
/// it is removed.
pub const SUCCESSIONS_MAX: usize = 8;

/// A heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Its number: the answer repeats it. Tries again have the same one.
    pub beat: u64,
    /// How the sender is.
    pub vitals: Vitals,
}

/// The answer to a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The heartbeat's number.
    pub beat: u64,
    /// What it is to whom it came to.
    pub verdict: Verdict,
    /// How the sender of the answer is.
    pub vitals: Vitals,
}

/// What a heartbeat is to the node that it came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// From a member.
    Known,
    /// From nobody it knows: present your membership.
    Unknown,
    /// From a member, but the node has begun anew or lost what it knew: present your membership.
    Restarted,
    /// From a member; come back later.
    Busy {
        /// Not before so many seconds.
        wait_s: u16,
    },
}

/// How a node is, in every heartbeat and answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Its wall clock.
    pub wall: Wall,
    /// A digest of its table of members: entries and keys, not their states.
    pub members: u64,
    /// A digest of names and states as it sees them: equal on all nodes when they agree.
    pub view: u64,
    /// The version of its roster: grows with every change in an incarnation; 0: it has none.
    pub roster: u64,
    /// How many introduction points it offers, both periods together.
    pub points: u8,
    /// Members that it sees alive, itself included.
    pub alive: u8,
    /// Its tor is connected and has a consensus.
    pub tor: bool,
    /// Its application answers; `None`: not checked.
    pub app: Option<bool>,
    /// It may publish: master key at hand and intact, clock not proven wrong.
    pub eligible: bool,
    /// The lease as it knows it.
    pub lease: Option<LeaseView>,
    /// Per period the latest second at which it knows a descriptor to be signed, at most
    /// [`SIGNED_MAX`].
    pub signed: Vec<(u64, Wall)>,
}

/// The most entries of [`Vitals::signed`].
pub const SIGNED_MAX: usize = 3;

/// The lease as one node knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseView {
    /// The reign.
    pub epoch: Epoch,
    /// Who publishes.
    pub holder: NodeId,
    /// For how long, in milliseconds.
    pub left_ms: u32,
}

/// A message about the right to publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Promise me not to follow anybody else for a while. `number` tells renewals apart.
    Ask {
        /// The reign asked for.
        epoch: Epoch,
        /// The answer repeats it.
        number: u64,
    },
    /// The promise.
    Promise {
        /// The reign.
        epoch: Epoch,
        /// From the question.
        number: u64,
    },
    /// No: a promise to another, or a newer reign, stands in the way.
    Refuse {
        /// The newest reign that the sender knows.
        epoch: Epoch,
        /// From the question.
        number: u64,
    },
    /// The holder gives the lease up.
    Release {
        /// The reign that ends.
        epoch: Epoch,
    },
}

/// What a node knows of one member: what the cluster certifies and what the member says itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Signed by the cluster.
    pub certificate: Certificate,
    /// Signed by the member; `None`: it has not said anything yet.
    pub announcement: Option<Announcement>,
}

/// The cluster's word on a member. Nobody is one without.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Unique in the cluster.
    pub name: NodeId,
    /// Its sessions' key.
    pub key: PeerKey,
    /// The key that signs its announcements.
    pub node_key: NodeKey,
    /// It may let others in, and has the key to certify them.
    pub bootstrap: bool,
    /// It may publish, and has the master keys.
    pub publisher: bool,
    /// It is a member no more, for ever: a higher `serial` cannot undo this for the same key.
    pub removed: bool,
    /// Of two certificates for one name and key the higher serial holds.
    pub serial: u64,
    /// When it was made.
    pub issued: Wall,
    /// The invitation by which it came in; zero for the first node.
    pub token: TokenId,
    /// Which of the cluster's keys signed: 0 is the first.
    pub generation: u32,
    /// Over all of the above.
    pub signature: [u8; 64],
}

/// A member's word on itself. Only its owner can make one, and a higher incarnation replaces it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Whose.
    pub name: NodeId,
    /// Of two the higher holds.
    pub incarnation: Incarnation,
    /// Where its WireGuard socket is; `None`: it must knock first, or speaks over Tor only.
    pub endpoint: Option<Endpoint>,
    /// Its coordination onion service.
    pub onion: Option<HsId>,
    /// The key with which it is let into the others' (Curve25519).
    pub client_key: Option<[u8; 32]>,
    /// Its instance's address.
    pub instance: Option<HsId>,
    /// Who publishes first: lower wins.
    pub priority: u16,
    /// Its share of the introduction points: 1 to 100.
    pub weight: u8,
    /// It serves only when others do not.
    pub spare: bool,
    /// It is to leave the descriptor, and stays a member.
    pub drained: bool,
    /// It is going or gone.
    pub left: bool,
    /// Its program's version, at most [`VERSION_MAX_BYTES`].
    pub version: String,
    /// Over all of the above, by its node key.
    pub signature: [u8; 64],
}

/// A new key that certifies members, signed by the one before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Succession {
    /// The new key's number: one more than its signer's.
    pub generation: u32,
    /// The new key.
    pub key: ClusterKey,
    /// By the key before.
    pub signature: [u8; 64],
}

/// What a newcomer asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JoinRequest {
    /// The name it wants.
    pub name: NodeId,
    /// The key of its later sessions.
    pub key: PeerKey,
    /// The key that will sign its announcements.
    pub node_key: NodeKey,
    /// Its first announcement, signed.
    pub announcement: Announcement,
}

/// What a newcomer gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The cluster's word on it.
    pub certificate: Certificate,
    /// The first of the keys that certify; its hash stands in the invitation.
    pub key: ClusterKey,
    /// The cluster's name.
    pub cluster: NodeId,
    /// The master addresses, at most [`SERVICES_MAX`].
    pub services: Vec<HsId>,
}

/// The most master addresses of a cluster.
pub const SERVICES_MAX: usize = 16;

/// Why a newcomer is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinRefusal {
    /// The invitation was used by another node.
    TokenUsed,
    /// Its time is over.
    TokenExpired,
    /// It was revoked.
    TokenRevoked,
    /// The node that issued it may not invite any more.
    InviterGone,
    /// It is for a node of another name.
    OtherName,
    /// Another member has this name.
    NameTaken,
    /// Another member has this key.
    KeyTaken,
    /// There are as many members as there may be.
    Full,
    /// This node cannot let anybody in: it lacks the key to certify.
    NotBootstrap,
    /// The request is not well made: its announcement is of another node or not signed by it.
    Malformed,
}

/// The record of an invitation. The secret itself is only in the token that the newcomer has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Names it.
    pub id: TokenId,
    /// The public key of the session that the newcomer opens with the secret.
    pub key: PeerKey,
    /// Who issued it.
    pub issuer: NodeId,
    /// The only name that it is good for.
    pub invited: Option<NodeId>,
    /// What the newcomer will be allowed: to let others in,
    pub bootstrap: bool,
    /// and to publish.
    pub publisher: bool,
    /// Until when it is good.
    pub expires: Wall,
    /// Which of the cluster's keys signed.
    pub generation: u32,
    /// Over all of the above.
    pub signature: [u8; 64],
    /// Who came in by it.
    pub used_by: Option<PeerKey>,
    /// It is good for nobody any more.
    pub revoked: bool,
}

/// Some introduction points of the sender, all of one time period.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterPart {
    /// As in [`Vitals::roster`].
    pub version: u64,
    /// Counts from 0.
    pub part: u8,
    /// How many parts make the roster: 1 to 14.
    pub parts: u8,
    /// The period whose blinded key signed the points.
    pub period: TimePeriod,
    /// The instance's `flow-control` line without its keyword, at most 64 bytes.
    pub flow_control: Option<String>,
    /// 1 to [`POINTS_PER_PART_MAX`].
    pub points: Vec<IntroPoint>,
}

/// Where a bootstrap node can be reached before its announcement is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Door {
    /// Its key.
    pub key: PeerKey,
    /// Its WireGuard socket.
    pub endpoint: Option<Endpoint>,
    /// The onion service that lets newcomers in, or its coordination service.
    pub onion: Option<HsId>,
}

/// Why a frame or a session was refused. Counted by peer and reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Not authentic: wrong key, garbage, a handshake that does not fit.
    Unauthentic,
    /// Seen before, or too old.
    Replayed,
    /// Not a frame: cut off, too long, a field out of bounds.
    Malformed,
    /// A version that this program does not speak.
    Version,
    /// From somebody who is no member, and nothing that a stranger may say.
    Stranger,
    /// From an earlier life of the sender.
    Stale,
    /// More than a peer may send.
    Flood,
    /// A membership entry, record or key that is not rightly signed.
    Forged,
    /// A member that was removed.
    Removed,
    /// Something that the sender may not say.
    NotAllowed,
}
