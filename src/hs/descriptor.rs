//! Version 3 descriptors: reading an instance's, building the master's.
//!
//! The modules mirror the document (rend-spec-v3, section HS-DESC): `outer` is what HSDirs see,
//! `middle` what is behind the first layer of encryption, `inner` the introduction points.
//! `read` and `build` go through all three. Knows nothing of HSDirs, uploads or merging.

mod build;
mod certificate;
mod encryption;
mod error;
mod inner;
mod items;
mod links;
mod middle;
mod outer;
mod read;

pub use build::{BuildError, Content, build};
pub use error::{CertificateError, CertifiedKey, DescriptorError, Layer};
pub use inner::check_point;
pub use read::{Outer, Received, read, read_outer};

use crate::ident::INTRO_POINTS_MAX;

/// Documents must be smaller than this (HS_DESC_MAX_LEN); HSDirs and clients refuse others.
pub const DOCUMENT_MAX_BYTES: usize = 50_000;

/// How long an HSDir keeps a document: what C tor writes, in minutes.
pub const LIFETIME_MIN: u16 = 180;

/// The plaintext of the middle layer is filled with NULs to a multiple of this.
const PADDING_BYTES: usize = 10_000;

/// How long C tor's certificates in a descriptor last.
const CERTIFICATE_LIFETIME_S: u64 = 54 * 60 * 60;

const _: () = assert!(INTRO_POINTS_MAX == 20, "NUM_INTRO_POINT_MAX of rend-spec-v3");

#[cfg(test)]
mod tests;
