//! What peers say as bytes, and what makes it believable.
//!
//! Knows layouts, bounds and signatures. Knows no sockets, no sessions, no clock and no
//! decisions: who is a member, what a stranger may say and which of two entries holds is the
//! engine's. `docs/protocol.md` has the layout byte by byte.
//!
//! | module | what it holds |
//! |---|---|
//! | [`frame`] | frames of three fixed sizes, to bytes and back |
//! | [`secret`] | keys that change hands, in frames of their own |
//! | [`record`] | single entries as bytes, for files |
//! | [`certify`] | the keys that certify members, and the proof of what they signed |

mod bodies;
pub mod certify;
mod digest;
mod field;
pub mod frame;
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
pub use frame::{Content, DecodeError, FRAME_BYTES, FRAME_MAX_BYTES, TooLarge, decode, encode};
pub use record::Record;
pub use secret::{Secret, SecretKind, encode_secret};
