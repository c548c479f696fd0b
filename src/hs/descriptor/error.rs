//! Why a descriptor cannot be read.

use std::fmt;

pub use super::certificate::CertificateError;
use super::{DOCUMENT_MAX_BYTES, INTRO_POINTS_MAX};
use crate::hs::keys::NotAnIdentity;

/// One of the three documents that lie in each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layer {
    /// What HSDirs see.
    Outer,
    /// What everybody sees who knows the address.
    Middle,
    /// The introduction points.
    Inner,
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Layer::Outer => "outer",
            Layer::Middle => "middle",
            Layer::Inner => "inner",
        })
    }
}

/// Why a document is not the descriptor that was wanted. Points are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DescriptorError {
    /// It has too many bytes.
    #[error("the descriptor has {0} bytes, the limit is below {DOCUMENT_MAX_BYTES}: refused")]
    TooLarge(usize),
    /// It breaks off.
    #[error("the descriptor breaks off before its signature: fetch it again")]
    Truncated,
    /// It is something else.
    #[error("this is no version 3 onion-service descriptor")]
    NotADescriptor,
    /// Something is missing, twice there, or not in its form.
    #[error("the {layer} layer of the descriptor is malformed: {what}")]
    Malformed {
        /// Where.
        layer: Layer,
        /// Which item.
        what: &'static str,
    },
    /// The address in question is none.
    #[error(transparent)]
    NotAnIdentity(#[from] NotAnIdentity),
    /// Its blinded key is not that of the address in any of the time periods in question.
    #[error(
        "the descriptor belongs to another address or time period: compare the address in the \
         configuration and the clocks"
    )]
    AnotherService,
    /// Its own signature is wrong.
    #[error("the descriptor's signature is wrong: it is forged or damaged")]
    Forged,
    /// A certificate in it does not hold.
    #[error("the certificate of the {of} {cause}")]
    Certificate {
        /// The key that it is for.
        of: CertifiedKey,
        /// What is wrong.
        cause: CertificateError,
    },
    /// A layer cannot be decrypted although the signature is right.
    #[error("the {0} layer of the descriptor cannot be decrypted: it was damaged when it was made")]
    Undecryptable(Layer),
    /// The service admits authorised clients only.
    #[error(
        "the descriptor is for authorised clients only: authorise this node, or remove the \
         authorized_clients of the instance"
    )]
    Restricted,
    /// It asks for a thing that a master descriptor cannot pass on.
    #[error("the instance asks for {0}, which is not supported")]
    Unsupported(&'static str),
    /// It names no introduction point.
    #[error("the descriptor names no introduction point: the instance is not reachable yet")]
    NoPoints,
    /// It names more introduction points than clients accept.
    #[error("the descriptor names {0} introduction points, clients accept {INTRO_POINTS_MAX}")]
    TooManyPoints(usize),
    /// An introduction point cannot be used.
    #[error("introduction point {number} has {what}")]
    Point {
        /// Which one.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The key that a certificate in a descriptor vouches for. Points are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertifiedKey {
    /// The descriptor signing key.
    Signing,
    /// The authentication key of an introduction point.
    Auth(usize),
    /// The encryption key of an introduction point.
    Enc(usize),
}

impl fmt::Display for CertifiedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CertifiedKey::Signing => f.write_str("descriptor signing key"),
            CertifiedKey::Auth(number) => {
                write!(f, "authentication key of introduction point {number}")
            }
            CertifiedKey::Enc(number) => write!(f, "encryption key of introduction point {number}"),
        }
    }
}
