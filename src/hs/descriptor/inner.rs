//! The inner layer: the introduction points (rend-spec-v3, section HS-DESC-SECOND-LAYER).

use data_encoding::BASE64;

use super::certificate::{Certificate, Purpose};
use super::error::{CertificateError, CertifiedKey, DescriptorError, Layer};
use super::items::{self, Item, Items, fixed, push_object};
use super::links;
use crate::hs::curve;
use crate::ident::{INTRO_POINTS_MAX, IntroPoint};
use crate::time::Wall;

const POINT: &str = "introduction-point";
const NTOR: &str = "2";

/// The content of the inner layer.
pub(super) struct InnerLayer {
    pub(super) points: Vec<IntroPoint>,
    pub(super) flow_control: Option<String>,
    pub(super) pow: bool,
    pub(super) single_onion: bool,
}

fn malformed(what: &'static str) -> DescriptorError {
    DescriptorError::Malformed { layer: Layer::Inner, what }
}

/// Reads the plaintext and checks every certificate: signed by `signing_key`, good at `now`.
pub(super) fn read(
    plaintext: &[u8],
    signing_key: &[u8; 32],
    now: Wall,
) -> Result<InnerLayer, DescriptorError> {
    let text = std::str::from_utf8(plaintext).map_err(|_| malformed("text"))?;
    let items: Vec<Item<'_>> =
        Items::new(text).collect::<Result<_, _>>().map_err(|_| malformed("a line"))?;
    let begins = |item: &Item<'_>| item.keyword == POINT;
    let (header, points) = items.split_at(items.iter().position(begins).unwrap_or(items.len()));
    let formats = items::unique(header, "create2-formats").ok_or(malformed("create2-formats"))?;
    if !formats.words().any(|format| format == NTOR) {
        return Err(DescriptorError::Unsupported("handshakes other than ntor"));
    }
    let has = |keyword| header.iter().any(|item| item.keyword == keyword);
    if has("intro-auth-required") {
        return Err(DescriptorError::Unsupported("authentication at introduction points"));
    }
    match points.iter().filter(|item| begins(item)).count() {
        0 => return Err(DescriptorError::NoPoints),
        1..=INTRO_POINTS_MAX => {}
        more => return Err(DescriptorError::TooManyPoints(more)),
    }
    let mut read = Vec::with_capacity(INTRO_POINTS_MAX);
    let mut rest = points;
    while let Some((first, after)) = rest.split_first() {
        let (point, next) = after.split_at(after.iter().position(begins).unwrap_or(after.len()));
        read.push(Reader { number: read.len() + 1, signing_key, now }.point(first, point)?);
        rest = next;
    }
    let flow_control = match has("flow-control") {
        true => Some(read_flow_control(header)?),
        false => None,
    };
    let (pow, single_onion) = (has("pow-params"), has("single-onion-service"));
    Ok(InnerLayer { points: read, flow_control, pow, single_onion })
}

fn read_flow_control(header: &[Item<'_>]) -> Result<String, DescriptorError> {
    items::unique(header, "flow-control")
        .map(|item| item.arguments.trim_ascii())
        .filter(|line| is_flow_control(line))
        .map(str::to_owned)
        .ok_or(malformed("flow-control"))
}

/// Whether a text can stand after `flow-control` without breaking the line or hiding data.
pub(super) fn is_flow_control(line: &str) -> bool {
    let printable = |b: u8| b.is_ascii_graphic() || b == b' ';
    (1..=64).contains(&line.len()) && line.bytes().all(printable) && line.trim_ascii() == line
}

/// Reads one introduction point.
struct Reader<'a> {
    number: usize,
    signing_key: &'a [u8; 32],
    now: Wall,
}

impl Reader<'_> {
    fn point(&self, first: &Item<'_>, items: &[Item<'_>]) -> Result<IntroPoint, DescriptorError> {
        let link_specifiers = first
            .words()
            .next()
            .and_then(|word| items::bytes(word).ok())
            .ok_or(self.wrong("link specifiers that are not Base64"))?;
        let relay = links::relay(&link_specifiers).map_err(|what| self.wrong(what))?;
        let onion_key = self.ntor(items, "onion-key")?;
        let enc_key = self.ntor(items, "enc-key")?;
        let auth = self.certificate(items, "auth-key")?;
        let enc = self.certificate(items, "enc-key-cert")?;
        if curve::ed25519_of_x25519(&enc_key) != Some(enc.subject) {
            return Err(self.wrong("a certificate for another encryption key, or a useless key"));
        }
        let point =
            IntroPoint { relay, link_specifiers, onion_key, auth_key: auth.subject, enc_key };
        check_keys(&point).map_err(|what| self.wrong(what))?;
        self.verify(&auth, CertifiedKey::Auth(self.number))?;
        self.verify(&enc, CertifiedKey::Enc(self.number))?;
        Ok(point)
    }

    fn wrong(&self, what: &'static str) -> DescriptorError {
        DescriptorError::Point { number: self.number, what }
    }

    /// The one key of type ntor; keys of other types may stand beside it.
    fn ntor(&self, items: &[Item<'_>], keyword: &str) -> Result<[u8; 32], DescriptorError> {
        let mut keys = items.iter().filter_map(|item| {
            let mut words = item.words();
            (item.keyword == keyword && words.next() == Some("ntor")).then(|| words.next())
        });
        let (first, second) = (keys.next().flatten(), keys.next());
        first
            .filter(|_| second.is_none())
            .and_then(|word| fixed(word).ok())
            .ok_or(self.wrong("no ntor key, several, or one that cannot be read"))
    }

    fn certificate(
        &self,
        items: &[Item<'_>],
        keyword: &str,
    ) -> Result<Certificate, DescriptorError> {
        let (of, purpose) = match keyword {
            "auth-key" => (CertifiedKey::Auth(self.number), Purpose::Auth),
            _ => (CertifiedKey::Enc(self.number), Purpose::Enc),
        };
        let bytes = items::unique(items, keyword)
            .and_then(|item| item.object("ED25519 CERT").ok())
            .ok_or(self.wrong("no readable certificate"))?;
        Certificate::read(&bytes, purpose)
            .map_err(|cause| DescriptorError::Certificate { of, cause })
    }

    fn verify(&self, certificate: &Certificate, of: CertifiedKey) -> Result<(), DescriptorError> {
        let verdict = match certificate.signer == *self.signing_key {
            true => certificate.verify(self.now),
            false => Err(CertificateError::Signature),
        };
        verdict.map_err(|cause| DescriptorError::Certificate { of, cause })
    }
}

/// Checks the keys that need no certificate to be checked: an all-zero one makes old clients exit.
fn check_keys(point: &IntroPoint) -> Result<(), &'static str> {
    if !curve::is_usable_ed25519(&point.auth_key) {
        return Err("an authentication key that is no usable point of the curve");
    }
    if !curve::is_usable_x25519(&point.onion_key) {
        return Err("an onion key that is no usable point of the curve");
    }
    Ok(())
}

/// Checks a point that came as plain values, as strictly as one that was read from a descriptor;
/// the error completes the sentence "the point has …".
pub fn check_point(point: &IntroPoint) -> Result<(), &'static str> {
    if links::relay(&point.link_specifiers)? != point.relay {
        return Err("link specifiers of another relay");
    }
    check_keys(point)?;
    curve::ed25519_of_x25519(&point.enc_key).map(|_| ()).ok_or(USELESS_ENC_KEY)
}

/// What is wrong with an encryption key that has no Ed25519 form.
pub(super) const USELESS_ENC_KEY: &str = "an encryption key that is no usable point of the curve";

/// A point to be written, with its two certificates.
pub(super) struct Certified<'a> {
    pub(super) point: &'a IntroPoint,
    pub(super) auth_key: Vec<u8>,
    pub(super) enc_key: Vec<u8>,
}

/// Writes the plaintext.
pub(super) fn write(points: &[Certified<'_>], flow_control: Option<&str>) -> String {
    let mut text = String::with_capacity(100 + points.len() * 1000);
    text.push_str(&format!("create2-formats {NTOR}\n"));
    if let Some(line) = flow_control {
        text.push_str(&format!("flow-control {line}\n"));
    }
    for Certified { point, auth_key, enc_key } in points {
        text.push_str("introduction-point ");
        BASE64.encode_append(&point.link_specifiers, &mut text);
        text.push_str("\nonion-key ntor ");
        BASE64.encode_append(&point.onion_key, &mut text);
        text.push_str("\nauth-key\n");
        push_object(&mut text, "ED25519 CERT", auth_key);
        text.push_str("\nenc-key ntor ");
        BASE64.encode_append(&point.enc_key, &mut text);
        text.push_str("\nenc-key-cert\n");
        push_object(&mut text, "ED25519 CERT", enc_key);
        text.push('\n');
    }
    text
}
