//! Ed25519 certificates as descriptors hold them: always with the signing key inside (cert-spec).

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};

use crate::time::Wall;

/// What a certificate is for: its type byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The blinded key vouches for the descriptor signing key.
    Signing = 8,
    /// The descriptor signing key vouches for an introduction point's authentication key.
    Auth = 9,
    /// The descriptor signing key vouches for an introduction point's encryption key.
    Enc = 11,
}

const VERSION: u8 = 1;
const KEY_TYPE_ED25519: u8 = 1;
const EXTENSION_SIGNING_KEY: u8 = 4;
const FLAG_AFFECTS_VALIDATION: u8 = 1;
const SIGNATURE_BYTES: usize = 64;
const ENCODED_BYTES: usize = 140;

/// A certificate that was read; [`Certificate::verify`] says whether it holds.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// The key that is vouched for.
    pub(super) subject: [u8; 32],
    /// The key that claims to vouch.
    pub(super) signer: [u8; 32],
    /// The moment from which it is void.
    pub(super) expires: Wall,
    signed: Vec<u8>,
    signature: [u8; SIGNATURE_BYTES],
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Its bytes cannot be read.
    #[error("is not readable")]
    Malformed,
    /// It is made for another use.
    #[error("is made for another use")]
    Purpose,
    /// It does not hold the key that signed it.
    #[error("does not name the key that signed it")]
    NoSigner,
    /// The signature does not match.
    #[error("has a wrong signature")]
    Signature,
    /// It is void since some time.
    #[error("expired at {seconds} (seconds since 1970): is a clock wrong?", seconds = .0.0)]
    Expired(Wall),
}

impl Certificate {
    /// Reads a certificate of this purpose.
    pub(super) fn read(bytes: &[u8], purpose: Purpose) -> Result<Certificate, CertificateError> {
        let signed_len =
            bytes.len().checked_sub(SIGNATURE_BYTES).ok_or(CertificateError::Malformed)?;
        let (signed, signature) = bytes.split_at(signed_len);
        let [VERSION, kind, e0, e1, e2, e3, KEY_TYPE_ED25519, rest @ ..] = signed else {
            return Err(CertificateError::Malformed);
        };
        if *kind != purpose as u8 {
            return Err(CertificateError::Purpose);
        }
        let (subject, extensions) =
            rest.split_first_chunk::<32>().ok_or(CertificateError::Malformed)?;
        Ok(Certificate {
            subject: *subject,
            signer: read_extensions(extensions)?.ok_or(CertificateError::NoSigner)?,
            expires: Wall(u64::from(u32::from_be_bytes([*e0, *e1, *e2, *e3])) * 3600),
            signed: signed.to_vec(),
            signature: signature.try_into().map_err(|_| CertificateError::Malformed)?,
        })
    }

    /// Checks that it is signed by the key it names and still good at `now`.
    pub(super) fn verify(&self, now: Wall) -> Result<(), CertificateError> {
        verify(&self.signer, &self.signed, &self.signature)
            .then_some(())
            .ok_or(CertificateError::Signature)?;
        if now >= self.expires { Err(CertificateError::Expired(self.expires)) } else { Ok(()) }
    }
}

/// Whether `signature` is that of `key` over `message`, with the equation that C tor checks.
pub(super) fn verify(key: &[u8; 32], message: &[u8], signature: &[u8; 64]) -> bool {
    use ed25519_dalek::Verifier as _;
    let signature = Signature::from_bytes(signature);
    VerifyingKey::from_bytes(key).is_ok_and(|key| key.verify(message, &signature).is_ok())
}

/// The signing key among the extensions. Unknown ones are passed over unless they forbid that.
fn read_extensions(bytes: &[u8]) -> Result<Option<[u8; 32]>, CertificateError> {
    let (count, mut rest) = bytes.split_first().ok_or(CertificateError::Malformed)?;
    let mut signer = None;
    for _ in 0..*count {
        let [l0, l1, kind, flags, after @ ..] = rest else {
            return Err(CertificateError::Malformed);
        };
        let length = usize::from(u16::from_be_bytes([*l0, *l1]));
        let (body, next) = after.split_at_checked(length).ok_or(CertificateError::Malformed)?;
        match *kind {
            EXTENSION_SIGNING_KEY => {
                signer = Some(body.try_into().map_err(|_| CertificateError::Malformed)?);
            }
            _ if flags & FLAG_AFFECTS_VALIDATION != 0 => return Err(CertificateError::Malformed),
            _ => {}
        }
        rest = next;
    }
    if rest.is_empty() { Ok(signer) } else { Err(CertificateError::Malformed) }
}

/// Makes a certificate that `sign` signs and `signer` names; it is void from the first full hour
/// at or after `expires` on, as C tor rounds.
pub(super) fn make(
    purpose: Purpose,
    subject: &[u8; 32],
    expires: Wall,
    signer: &[u8; 32],
    sign: impl FnOnce(&[u8]) -> [u8; 64],
) -> Vec<u8> {
    let hours = u32::try_from(expires.0.div_ceil(3600)).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(ENCODED_BYTES);
    bytes.extend_from_slice(&[VERSION, purpose as u8]);
    bytes.extend_from_slice(&hours.to_be_bytes());
    bytes.push(KEY_TYPE_ED25519);
    bytes.extend_from_slice(subject);
    bytes.extend_from_slice(&[1, 0, 32, EXTENSION_SIGNING_KEY, 0]);
    bytes.extend_from_slice(signer);
    let signature = sign(&bytes);
    bytes.extend_from_slice(&signature);
    bytes
}

/// Makes a certificate that the descriptor signing key signs.
pub(super) fn make_with(
    key: &SigningKey,
    purpose: Purpose,
    subject: &[u8; 32],
    expires: Wall,
) -> Vec<u8> {
    let signer = key.verifying_key().to_bytes();
    make(purpose, subject, expires, &signer, |bytes| key.sign(bytes).to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON: Wall = Wall(1_795_176_000);

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[5; 32])
    }

    fn made() -> Vec<u8> {
        make_with(&key(), Purpose::Auth, &[9; 32], NOON)
    }

    #[test]
    fn a_certificate_comes_back_and_expires_at_the_hour() {
        assert_eq!(made().len(), ENCODED_BYTES);
        let read = Certificate::read(&made(), Purpose::Auth).unwrap();
        assert_eq!((read.subject, read.expires), ([9; 32], NOON));
        assert_eq!(read.signer, key().verifying_key().to_bytes());
        assert_eq!(read.verify(Wall(NOON.0 - 1)), Ok(()));
        assert_eq!(read.verify(NOON), Err(CertificateError::Expired(NOON)));
        let later = make_with(&key(), Purpose::Auth, &[9; 32], Wall(NOON.0 + 1));
        let later = Certificate::read(&later, Purpose::Auth).unwrap();
        assert_eq!(later.expires, Wall(NOON.0 + 3600));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        for at in 0..ENCODED_BYTES {
            let mut bytes = made();
            bytes[at] ^= 1;
            let holds = Certificate::read(&bytes, Purpose::Auth)
                .and_then(|certificate| certificate.verify(Wall(0)));
            assert!(holds.is_err(), "byte {at}");
        }
    }

    #[test]
    fn another_purpose_and_every_cut_are_refused() {
        let other = Certificate::read(&made(), Purpose::Enc).map(|c| c.subject);
        assert_eq!(other, Err(CertificateError::Purpose));
        for length in 0..ENCODED_BYTES {
            assert!(Certificate::read(&made()[..length], Purpose::Auth).is_err());
        }
    }
}
