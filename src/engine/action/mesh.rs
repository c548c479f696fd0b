//! What the engine and the shell say to each other of the mesh beside frames: operators' wishes,
//! what is remembered, whom to keep sessions with.

use crate::ident::{Incarnation, NodeId, PeerKey, TokenId};
use crate::message::{Announcement, Member, Succession, Token};

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
