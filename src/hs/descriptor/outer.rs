//! The outer layer: what HSDirs see (rend-spec-v3, section HS-DESC-OUTER).

use ed25519_dalek::{Signer, SigningKey};

use super::certificate::{self, Certificate, Purpose};
use super::error::{CertifiedKey, DescriptorError, Layer};
use super::items::{Item, Items, fixed, push_object};
use super::{LIFETIME_MIN, items};
use crate::ident::Revision;

/// What stands before the document in the bytes that are signed.
const SIGNATURE_PREFIX: &[u8] = b"Tor onion service descriptor sig v3";

/// The lifetimes that HSDirs and clients accept, in minutes.
const LIFETIMES_MIN: std::ops::RangeInclusive<u16> = 30..=720;

/// The outer document, its own signature checked; the certificate is not yet.
pub(super) struct OuterLayer {
    pub(super) lifetime_min: u16,
    /// The blinded key vouches for the descriptor signing key.
    pub(super) certificate: Certificate,
    pub(super) revision: Revision,
    pub(super) superencrypted: Vec<u8>,
}

fn malformed(what: &'static str) -> DescriptorError {
    DescriptorError::Malformed { layer: Layer::Outer, what }
}

/// Reads the document and checks that the key in its certificate signed it.
pub(super) fn read(text: &str) -> Result<OuterLayer, DescriptorError> {
    if text.lines().next() != Some("hs-descriptor 3") {
        return Err(DescriptorError::NotADescriptor);
    }
    if !text.contains("\nsignature ") {
        return Err(DescriptorError::Truncated);
    }
    let items: Vec<Item<'_>> =
        Items::new(text).collect::<Result<_, _>>().map_err(|_| malformed("a line"))?;
    let one = |keyword| items::unique(&items, keyword).ok_or(malformed(keyword));
    one("hs-descriptor")?;
    let lifetime_min = number(one("descriptor-lifetime")?)
        .filter(|minutes| LIFETIMES_MIN.contains(minutes))
        .ok_or(malformed("descriptor-lifetime"))?;
    let revision =
        number(one("revision-counter")?).map(Revision).ok_or(malformed("revision-counter"))?;
    let object = |keyword, label| one(keyword)?.object(label).map_err(|_| malformed(keyword));
    let certificate = object("descriptor-signing-key-cert", "ED25519 CERT")?;
    let certificate = Certificate::read(&certificate, Purpose::Signing)
        .map_err(|cause| DescriptorError::Certificate { of: CertifiedKey::Signing, cause })?;
    let superencrypted = object("superencrypted", "MESSAGE")?;
    check_signature(text, one("signature")?, items.last(), &certificate)?;
    Ok(OuterLayer { lifetime_min, certificate, revision, superencrypted })
}

/// The signature must stand last and cover everything before it.
fn check_signature(
    text: &str,
    item: &Item<'_>,
    last: Option<&Item<'_>>,
    certificate: &Certificate,
) -> Result<(), DescriptorError> {
    if last.is_none_or(|last| last.offset != item.offset) {
        return Err(malformed("something after the signature"));
    }
    if item.arguments.len() < 86 {
        return Err(DescriptorError::Truncated);
    }
    let signature = fixed(item.arguments).map_err(|_| malformed("signature"))?;
    let signed = [SIGNATURE_PREFIX, &text.as_bytes()[..item.offset]].concat();
    if certificate::verify(&certificate.subject, &signed, &signature) {
        Ok(())
    } else {
        Err(DescriptorError::Forged)
    }
}

fn number<N: std::str::FromStr>(item: &Item<'_>) -> Option<N> {
    let word = item.words().next()?;
    word.bytes().all(|b| b.is_ascii_digit()).then(|| word.parse().ok()).flatten()
}

/// Writes and signs the document.
pub(super) fn write(
    key: &SigningKey,
    certificate: &[u8],
    revision: Revision,
    superencrypted: &[u8],
) -> String {
    let mut text = String::with_capacity(superencrypted.len() * 11 / 8 + 1000);
    text.push_str(&format!("hs-descriptor 3\ndescriptor-lifetime {LIFETIME_MIN}\n"));
    text.push_str("descriptor-signing-key-cert\n");
    push_object(&mut text, "ED25519 CERT", certificate);
    text.push_str(&format!("\nrevision-counter {revision}\nsuperencrypted\n"));
    push_object(&mut text, "MESSAGE", superencrypted);
    text.push('\n');
    let signature = key.sign(&[SIGNATURE_PREFIX, text.as_bytes()].concat()).to_bytes();
    text.push_str("signature ");
    data_encoding::BASE64_NOPAD.encode_append(&signature, &mut text);
    text.push('\n');
    text
}
