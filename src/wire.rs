//! What peers say as bytes, and what makes it believable.
//!
//! Knows layouts, bounds, signatures and derivations. Knows no sockets, no sessions, no clock and no
//! decisions: who is a member, what a stranger may say and which of two entries holds is the
//! engine's. `docs/protocol.md` has the layout byte by byte.
//!
//! | module | what it holds |
//! |---|---|
//! | [`frame`] | frames of three fixed sizes, to bytes and back |
//! | [`secret`] | keys that change hands, in frames of their own |
//! | [`record`] | single entries as bytes, for files |
//! | [`certify`] | the keys that certify members, and the proof of what they signed |
//! | [`invitation`] | the text that lets one newcomer in, and the keys derived from it |

mod bodies;
pub mod certify;
mod digest;
mod field;
pub mod frame;
pub mod invitation;
mod members;
mod reader;
pub mod record;
pub mod secret;
mod writer;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use certify::{Authority, Certifier, NodeSigner, Standing, Untrusted, cluster_id};
pub use digest::hash as derive;
pub use frame::{Content, DecodeError, FRAME_BYTES, FRAME_MAX_BYTES, TooLarge, decode, encode};
pub use invitation::{DoorKeys, Invitation, InvitationError, peer_key};
pub use record::Record;
pub use secret::{Secret, SecretKind, encode_secret};
