//! The mesh: who belongs to the cluster, who is there, and what is said to whom.

mod view;
mod watch;

pub use self::view::{JoiningView, MeshView, PeerState, PeerView};
