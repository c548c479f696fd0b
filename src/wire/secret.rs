//! Secrets that change hands: the keys that a member's certificate entitles it to.
//!
//! They have frames of their own and never become a value of `message`. Their bytes are wiped when
//! dropped and never printed. Whether a key is the one it is said to be is the key store's to check.

use std::fmt;

use zeroize::Zeroizing;

use crate::ident::{HsId, Incarnation};

use super::field::Field;
use super::frame::{DecodeError, TooLarge, seal};
use super::reader::Reader;
use super::writer::Writer;

/// The number of this kind of frame; those of `message::Body` stay below.
pub(super) const KIND: u8 = 128;

const CLUSTER_KEY: u8 = 1;
const MASTER_KEY: u8 = 2;

/// A secret on its way, with what binds it to its sender as a `message::Frame` is.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// The sender's.
    pub incarnation: Incarnation,
    /// Counts on with the sender's other frames to this receiver.
    pub sequence: u64,
    /// Which key.
    pub what: SecretKind,
    /// The key: as many bytes as [`SecretKind::bytes`] says.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// Which key a [`Secret`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// The seed of the key that certifies members: for those that may let others in.
    ClusterKey {
        /// Which of the cluster's keys: 0 is the first.
        generation: u32,
    },
    /// The expanded master key of an address: for those that may publish.
    MasterKey(HsId),
}

impl SecretKind {
    /// How many bytes such a key has.
    pub fn bytes(self) -> usize {
        match self {
            SecretKind::ClusterKey { .. } => 32,
            SecretKind::MasterKey(_) => 64,
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("what", &self.what).finish_non_exhaustive()
    }
}

impl Field for SecretKind {
    fn write(&self, to: &mut Writer) {
        match self {
            SecretKind::ClusterKey { generation } => (CLUSTER_KEY, *generation).write(to),
            SecretKind::MasterKey(onion) => (MASTER_KEY, *onion).write(to),
        }
    }

    fn read(from: &mut Reader<'_>) -> Result<SecretKind, DecodeError> {
        match u8::read(from)? {
            CLUSTER_KEY => Ok(SecretKind::ClusterKey { generation: Field::read(from)? }),
            MASTER_KEY => Ok(SecretKind::MasterKey(Field::read(from)?)),
            _ => Err(DecodeError::Field("kind of secret")),
        }
    }
}

/// The bytes of a frame with a secret.
///
/// # Errors
///
/// [`TooLarge`] when the key has more bytes than its kind. One that has fewer is refused by its
/// receiver.
pub fn encode_secret(secret: &Secret) -> Result<Zeroizing<Vec<u8>>, TooLarge> {
    let sealed = seal(KIND, secret.incarnation, secret.sequence, |to| {
        secret.what.write(to);
        to.put_prefixed(&secret.bytes, secret.what.bytes(), "secret");
    })?;
    Ok(Zeroizing::new(sealed))
}

/// The key in the body of a frame.
pub(super) fn read(from: &mut Reader<'_>) -> Result<(SecretKind, Zeroizing<Vec<u8>>), DecodeError> {
    let what = SecretKind::read(from)?;
    let bytes = from.take_prefixed(what.bytes(), "secret")?;
    if bytes.len() != what.bytes() {
        return Err(DecodeError::Field("secret"));
    }
    Ok((what, Zeroizing::new(bytes.to_vec())))
}
