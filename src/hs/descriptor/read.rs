//! Reading a descriptor: through all layers, everything verified on the way.

use super::encryption::{Encryption, Secrets};
use super::error::{CertificateError, CertifiedKey, DescriptorError, Layer};
use super::outer::{self, OuterLayer};
use super::{DOCUMENT_MAX_BYTES, inner, middle};
use crate::hs::curve;
use crate::hs::keys::{NotAnIdentity, blind_point, subcredential};
use crate::ident::{BlindedId, HsId, IntroPoint, Revision};
use crate::time::{TimePeriod, Wall};

/// A descriptor that was read and verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The time period whose blinded key signed it.
    pub period: TimePeriod,
    /// That blinded key.
    pub blinded: BlindedId,
    /// Its revision counter.
    pub revision: Revision,
    /// How long HSDirs keep it, in minutes.
    pub lifetime_min: u16,
    /// When the certificate of its signing key becomes void.
    pub signing_cert_expires: Wall,
    /// Its introduction points, 1 to 20, in its own order.
    pub points: Vec<IntroPoint>,
    /// What stands after `flow-control`, for example `1-2 31`.
    pub flow_control: Option<String>,
    /// Whether it asks clients for proof of work, which cannot be passed on.
    pub pow: bool,
    /// Whether the service says that it does not hide its location.
    pub single_onion: bool,
}

/// What the outer layer alone tells, verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outer {
    /// The time period whose blinded key signed it.
    pub period: TimePeriod,
    /// That blinded key.
    pub blinded: BlindedId,
    /// Its revision counter.
    pub revision: Revision,
}

/// Reads the descriptor of `id` in one of the `candidates`, as a client who knows the address.
///
/// Checked: size, signature, that the blinded key belongs to the address, both layers of
/// encryption, every certificate and its expiry at `now`, every key, 1 to 20 points. White space
/// after the end is passed over.
pub fn read(
    document: &[u8],
    id: &HsId,
    candidates: &[TimePeriod],
    now: Wall,
) -> Result<Received, DescriptorError> {
    let (outer, known) = open(document, id, candidates)?;
    if now >= outer.certificate.expires {
        let cause = CertificateError::Expired(outer.certificate.expires);
        return Err(DescriptorError::Certificate { of: CertifiedKey::Signing, cause });
    }
    let secrets = Secrets {
        blinded: &known.blinded,
        subcredential: &subcredential(id, &known.blinded),
        revision: outer.revision,
    };
    let plaintext = secrets
        .decrypt(Encryption::Superencrypted, &outer.superencrypted)
        .map_err(|_| DescriptorError::Undecryptable(Layer::Middle))?;
    let encrypted = middle::read(&plaintext)?;
    let plaintext = secrets
        .decrypt(Encryption::Encrypted, &encrypted)
        .map_err(|_| DescriptorError::Restricted)?;
    let inner = inner::read(&plaintext, &outer.certificate.subject, now)?;
    Ok(Received {
        period: known.period,
        blinded: known.blinded,
        revision: known.revision,
        lifetime_min: outer.lifetime_min,
        signing_cert_expires: outer.certificate.expires,
        points: inner.points,
        flow_control: inner.flow_control,
        pow: inner.pow,
        single_onion: inner.single_onion,
    })
}

/// Reads the outer layer of the descriptor of `id` in one of the `candidates`.
///
/// Checked: size, signature, and that the blinded key belongs to the address and vouches for the
/// signing key. Expiry is not: this tells what somebody signed, not whether clients accept it.
pub fn read_outer(
    document: &[u8],
    id: &HsId,
    candidates: &[TimePeriod],
) -> Result<Outer, DescriptorError> {
    open(document, id, candidates).map(|(_, known)| known)
}

fn open(
    document: &[u8],
    id: &HsId,
    candidates: &[TimePeriod],
) -> Result<(OuterLayer, Outer), DescriptorError> {
    let document = document.trim_ascii_end();
    if document.len() + 1 >= DOCUMENT_MAX_BYTES {
        return Err(DescriptorError::TooLarge(document.len() + 1));
    }
    let text = std::str::from_utf8(document).map_err(|_| DescriptorError::NotADescriptor)?;
    let outer = outer::read(&format!("{text}\n"))?;
    let signer = BlindedId(outer.certificate.signer);
    let point = curve::identity_point(&id.0).ok_or(NotAnIdentity(*id))?;
    let period = *candidates
        .iter()
        .find(|period| blind_point(id, &point, period) == signer)
        .ok_or(DescriptorError::AnotherService)?;
    match outer.certificate.verify(Wall(0)) {
        Ok(()) => {
            let known = Outer { period, blinded: signer, revision: outer.revision };
            Ok((outer, known))
        }
        Err(cause) => Err(DescriptorError::Certificate { of: CertifiedKey::Signing, cause }),
    }
}
