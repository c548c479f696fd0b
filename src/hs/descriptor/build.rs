//! Building a master descriptor: byte for byte as C tor 0.4.9 writes one.

use ed25519_dalek::SigningKey;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::certificate::{self, Purpose};
use super::encryption::{Encryption, SALT_BYTES, Secrets};
use super::inner::Certified;
use super::middle::Filler;
use super::{
    CERTIFICATE_LIFETIME_S, DOCUMENT_MAX_BYTES, PADDING_BYTES, inner, links, middle, outer,
};
use crate::hs::curve;
use crate::hs::digest::sha3_256;
use crate::hs::keys::BlindedKey;
use crate::hs::revision::RevisionScale;
use crate::ident::{INTRO_POINTS_MAX, IntroPoint, Revision};
use crate::time::Wall;

/// What a master descriptor says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// The introduction points, 1 to 20; their order is not kept.
    pub points: Vec<IntroPoint>,
    /// What stands after `flow-control`; the line is left out when there is none.
    pub flow_control: Option<String>,
}

/// Why a descriptor was not built. Points are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BuildError {
    /// There is nothing to publish.
    #[error("a descriptor without introduction points would make the service unreachable")]
    NoPoints,
    /// Clients refuse so many.
    #[error("{0} introduction points: clients accept {INTRO_POINTS_MAX}")]
    TooManyPoints(usize),
    /// An introduction point cannot be used by clients.
    #[error("introduction point {number} has {what}: it must not be published")]
    Point {
        /// Which one.
        number: usize,
        /// What is wrong with it.
        what: &'static str,
    },
    /// The `flow-control` line would break the document.
    #[error("the flow-control line {0:?} is not one line of at most 64 printable characters")]
    FlowControl(String),
    /// The moment lies before the counters of the period begin.
    #[error("the clock says a time before period {period} can be published: is it wrong?")]
    TooEarly {
        /// The number of the period.
        period: u64,
    },
    /// HSDirs refuse so large a document; the limits on points keep every document below.
    #[error("the descriptor would have {0} bytes, the limit is below {DOCUMENT_MAX_BYTES}")]
    TooLarge(usize),
}

impl Content {
    fn check(&self) -> Result<(), BuildError> {
        match self.points.len() {
            0 => return Err(BuildError::NoPoints),
            1..=INTRO_POINTS_MAX => {}
            more => return Err(BuildError::TooManyPoints(more)),
        }
        if let Some(line) = self.flow_control.as_ref().filter(|l| !inner::is_flow_control(l)) {
            return Err(BuildError::FlowControl(line.clone()));
        }
        Ok(())
    }
}

/// Builds, encrypts and signs the descriptor of `blinded` as of the second `signed_at`.
///
/// The points must have been read by [`read`](super::read()) or passed
/// [`check_point`](super::check_point).
///
/// Everything that C tor draws by chance once per period (signing key, ephemeral key, client
/// lines) comes from the blinded secret, and the salts from it, the second and the content: every
/// node that holds the key makes the same document from the same input, and nobody else can.
pub fn build(
    blinded: &BlindedKey,
    content: &Content,
    signed_at: Wall,
) -> Result<String, BuildError> {
    content.check()?;
    let period = blinded.period();
    if signed_at < period.srv_start() {
        return Err(BuildError::TooEarly { period: period.number });
    }
    let key = signing_key(blinded);
    let inner = write_inner(blinded, &key, content, signed_at)?;
    let revision = RevisionScale::new(blinded, &period).at(signed_at);
    let superencrypted = encrypt(blinded, &inner, revision, signed_at);
    let signer = blinded.id().0;
    let certificate = certificate::make(
        Purpose::Signing,
        &key.verifying_key().to_bytes(),
        Wall(signed_at.0.saturating_add(CERTIFICATE_LIFETIME_S)),
        &signer,
        |bytes| blinded.sign(bytes),
    );
    let document = outer::write(&key, &certificate, revision, &superencrypted);
    if document.len() < DOCUMENT_MAX_BYTES {
        Ok(document)
    } else {
        Err(BuildError::TooLarge(document.len()))
    }
}

/// The descriptor signing key of a period (KS_hs_desc_sign).
fn signing_key(blinded: &BlindedKey) -> SigningKey {
    let mut seed = Zeroizing::new([0; 32]);
    blinded.derive(b"signing key", &[], &mut *seed);
    SigningKey::from_bytes(&seed)
}

fn write_inner(
    blinded: &BlindedKey,
    key: &SigningKey,
    content: &Content,
    signed_at: Wall,
) -> Result<String, BuildError> {
    let hour = signed_at.0 / 3600 * 3600;
    let expires = Wall(hour.saturating_add(CERTIFICATE_LIFETIME_S));
    let enc_keys: Vec<[u8; 32]> = content.points.iter().map(|point| point.enc_key).collect();
    let enc_keys = curve::ed25519_of_known_x25519(&enc_keys);
    let mut points = Vec::with_capacity(content.points.len());
    for (index, (point, enc_key)) in content.points.iter().zip(enc_keys).enumerate() {
        let wrong = |what| BuildError::Point { number: index + 1, what };
        check(point).map_err(wrong)?;
        let enc_key = enc_key.ok_or(wrong(inner::USELESS_ENC_KEY))?;
        points.push(Certified {
            point,
            auth_key: certificate::make_with(key, Purpose::Auth, &point.auth_key, expires),
            enc_key: certificate::make_with(key, Purpose::Enc, &enc_key, expires),
        });
    }
    shuffle(blinded, &mut points);
    Ok(inner::write(&points, content.flow_control.as_deref()))
}

/// What can be checked at little cost. Whether the keys are points of the curve has been checked
/// by whoever read the point ([`check_point`](super::check_point)): that takes longer than signing.
fn check(point: &IntroPoint) -> Result<(), &'static str> {
    if links::relay(&point.link_specifiers)? != point.relay {
        return Err("link specifiers of another relay");
    }
    if point.auth_key == [0; 32] || point.onion_key == [0; 32] {
        return Err("a key that is all zero");
    }
    Ok(())
}

/// Brings the points into an order that only key holders know, so that it tells nobody which
/// front they come from and does not look sorted; in C tor it is that of a hash table.
fn shuffle(blinded: &BlindedKey, points: &mut [Certified<'_>]) {
    let mut key = Zeroizing::new([0; 32]);
    blinded.derive(b"order of points", &[], &mut *key);
    points.sort_by_cached_key(|certified| sha3_256(&[&*key, &certified.point.auth_key]));
}

/// Both layers of encryption around the inner plaintext.
fn encrypt(blinded: &BlindedKey, inner: &str, revision: Revision, signed_at: Wall) -> Vec<u8> {
    let mut salts = [[0; SALT_BYTES]; 2];
    let (second, digest) = (signed_at.0.to_be_bytes(), Sha256::digest(inner));
    blinded.derive(b"salts", &[&second, &digest], salts.as_flattened_mut());
    let [inner_salt, middle_salt] = salts;
    let id = blinded.id();
    let subcredential = blinded.subcredential();
    let secrets = Secrets { blinded: &id, subcredential: &subcredential, revision };
    let encrypted = secrets.encrypt(Encryption::Encrypted, &inner_salt, inner.as_bytes());
    let mut middle = middle::write(&Filler::new(blinded), &encrypted).into_bytes();
    middle.resize(middle.len().next_multiple_of(PADDING_BYTES), 0);
    secrets.encrypt(Encryption::Superencrypted, &middle_salt, &middle)
}
