//! Getting into a cluster with an invitation, before the node runs for the first time.

use crate::config::Config;
use crate::ident::{ClusterKey, HsId, NodeId};
use crate::message::{JoinRefusal, Path};
use crate::wire::Invitation;

use super::StartError;
use super::identity::IdentityError;
use super::report::mesh::join_refusal;

/// How far a newcomer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It knocks at a bootstrap node.
    Knocking {
        /// Its place in the invitation.
        door: u8,
        /// How.
        path: Path,
        /// How often it has tried.
        attempt: u32,
    },
    /// It is in.
    Welcomed {
        /// The cluster's name.
        cluster: NodeId,
    },
    /// It has the keys that its certificate entitles it to, so many master keys among them.
    KeysReceived {
        /// The key that certifies members.
        certifier: bool,
        /// How many.
        master_keys: usize,
    },
    /// It knows so many other nodes.
    Members(usize),
}

/// What a newcomer knows once it is in. Keys, certificate and state are in their files then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The cluster's name.
    pub cluster: NodeId,
    /// The first of the keys that certify; its hash stood in the invitation.
    pub key: ClusterKey,
    /// The master addresses.
    pub services: Vec<HsId>,
    /// The other nodes.
    pub nodes: Vec<NodeId>,
}

/// Why it is not let in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A bootstrap node said no.
    #[error("not let in: {}", join_refusal(*.0))]
    Refused(JoinRefusal),
    /// Nobody answered.
    #[error(
        "no bootstrap node of the invitation answered. Is one of them up, its UDP port open, and \
         this machine's tor running?"
    )]
    NobodyAnswered,
    /// The keys cannot be read or written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system refused what is needed.
    #[error(transparent)]
    Start(#[from] StartError),
    /// This program has no part that knocks.
    #[error("this program cannot join a cluster yet")]
    Unsupported,
}

/// Knocks at the doors of the invitation until one opens, and keeps what it is told in the files of
/// the state directory.
///
/// `config` is a newcomer's (see [`setup::newcomer`](super::setup::newcomer)). Blocks; `progress`
/// is told how far it is.
///
/// # Errors
/// [`JoinError`].
pub fn join(
    config: Config,
    version: &str,
    invitation: Invitation,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Joined, JoinError> {
    let _ = (config, version, invitation, progress);
    Err(JoinError::Unsupported)
}
