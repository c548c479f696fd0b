//! Who vouches for what: the cluster's keys for its members and invitations, a member's key for what
//! it announces.
//!
//! Every signature is over a context of its own and the exact bytes of the fields before it, so one
//! kind of statement never passes for another. Knows nothing of time: whether an invitation has
//! expired, or an entry signed by an older key still counts, is the caller's question.
//!
//! The first key is in the configuration, and each [`Succession`] is signed by the key before it.
//! Whoever has a key can make its successor: the first successor that a node learns is the one it
//! keeps, and a second one is [`Untrusted::Rival`], which an operator should hear of.

use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::ident::{ClusterId, ClusterKey, NodeKey};
use crate::message::{
    Announcement, Certificate, JoinRequest, Member, Refusal, SUCCESSIONS_MAX, Succession, Token,
};

use super::digest::short_hash;
use super::field::Field as _;
use super::frame::TooLarge;
use super::members::Signed;
use super::writer::Writer;

const CLUSTER_CONTEXT: &str = "rustbalance cluster v1";

/// Why an entry, a record or a key is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untrusted {
    /// The signature is not by the key that it should be by.
    #[error("the signature does not fit")]
    Signature,
    /// Signed by a key that is not known here, so far at least: its succession may come yet.
    #[error("signed by the cluster's key number {found}, and the newest known is {newest}")]
    UnknownGeneration {
        /// Whose number the signature has.
        found: u32,
        /// The newest number known.
        newest: u32,
    },
    /// Certificate and announcement, or request and announcement, are of different nodes.
    #[error("the announcement is another node's")]
    OtherName,
    /// A cluster's first key that is not the one that the invitation is for.
    #[error("the key is another cluster's than the invitation's")]
    OtherCluster,
    /// The bytes are no Ed25519 key, or one that many signatures fit.
    #[error("not a usable Ed25519 key")]
    Key,
    /// A succession that leaves a gap: the ones between must be learnt first.
    #[error("succession {found} does not follow {newest}")]
    Gap {
        /// Its number.
        found: u32,
        /// The newest number known.
        newest: u32,
    },
    /// A second successor of one key. Somebody who should not have that key has used it.
    #[error("a second key has the number {0}: an earlier key of the cluster is in wrong hands")]
    Rival(u32),
    /// More successions than a cluster may have.
    #[error("more than {SUCCESSIONS_MAX} successions")]
    TooMany,
}

impl Untrusted {
    /// As what it is refused; `None`: nothing is wrong with it yet, successions are missing here.
    pub fn refusal(self) -> Option<Refusal> {
        match self {
            Untrusted::UnknownGeneration { .. } | Untrusted::Gap { .. } => None,
            Untrusted::Signature
            | Untrusted::OtherName
            | Untrusted::OtherCluster
            | Untrusted::Key
            | Untrusted::Rival(_)
            | Untrusted::TooMany => Some(Refusal::Forged),
        }
    }
}

/// By which of the cluster's keys a believed entry was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// By the newest that is known.
    Newest,
    /// By an older one. Good for entries that were known before its successor; a new entry with an
    /// old signature may come from whoever the key was changed for.
    Superseded,
}

/// The name of the cluster that began with this key.
pub fn cluster_id(first: &ClusterKey) -> ClusterId {
    ClusterId(short_hash(CLUSTER_CONTEXT, &first.0))
}

/// The keys that certify a cluster's members, from the first to the newest known.
#[derive(Clone, Debug)]
pub struct Authority {
    first: VerifyingKey,
    later: Vec<(Succession, VerifyingKey)>,
}

impl Authority {
    /// The cluster that began with `first`, no successions known.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Key`].
    pub fn new(first: &ClusterKey) -> Result<Authority, Untrusted> {
        Ok(Authority { first: usable(&first.0)?, later: Vec::new() })
    }

    /// The cluster that an invitation is for, from the first key as it came in the welcome.
    ///
    /// # Errors
    ///
    /// [`Untrusted::OtherCluster`] or [`Untrusted::Key`].
    pub fn invited(cluster: ClusterId, first: &ClusterKey) -> Result<Authority, Untrusted> {
        if cluster_id(first) != cluster {
            return Err(Untrusted::OtherCluster);
        }
        Authority::new(first)
    }

    /// The cluster's name.
    pub fn cluster(&self) -> ClusterId {
        cluster_id(&ClusterKey(self.first.to_bytes()))
    }

    /// The number of the newest key known; 0 is the first.
    pub fn newest(&self) -> u32 {
        u32::try_from(self.later.len()).expect("there are at most SUCCESSIONS_MAX")
    }

    /// The newest key known.
    pub fn newest_key(&self) -> ClusterKey {
        let newest = self.later.last().map_or(&self.first, |(_, key)| key);
        ClusterKey(newest.to_bytes())
    }

    /// All successions known, in order.
    pub fn successions(&self) -> impl ExactSizeIterator<Item = &Succession> {
        self.later.iter().map(|(succession, _)| succession)
    }

    /// Takes in the key after the newest; `false`: it was known.
    ///
    /// # Errors
    ///
    /// [`Untrusted`], and nothing changed.
    pub fn learn(&mut self, succession: &Succession) -> Result<bool, Untrusted> {
        let (found, newest) = (succession.generation, self.newest());
        let Some(before) = found.checked_sub(1) else {
            return Err(Untrusted::Signature);
        };
        self.verify(succession, before).map_err(|error| match error {
            Untrusted::UnknownGeneration { .. } => Untrusted::Gap { found, newest },
            other => other,
        })?;
        if found <= newest {
            let (known, _) = &self.later[before as usize];
            return if known.key == succession.key {
                Ok(false)
            } else {
                Err(Untrusted::Rival(found))
            };
        }
        if self.later.len() >= SUCCESSIONS_MAX {
            return Err(Untrusted::TooMany);
        }
        self.later.push((succession.clone(), usable(&succession.key.0)?));
        Ok(true)
    }

    /// Whether the cluster's word on a member is its own.
    ///
    /// # Errors
    ///
    /// [`Untrusted::Signature`] or [`Untrusted::UnknownGeneration`].
    pub fn verify_certificate(&self, certificate: &Certificate) -> Result<Standing, Untrusted> {
        self.verify(certificate, certificate.generation)
    }

    /// Whether a member's entry is what the cluster and the member said.
    ///
    /// # Errors
    ///
    /// As [`Authority::verify_certificate`] and [`verify_announcement`].
    pub fn verify_member(&self, member: &Member) -> Result<Standing, Untrusted> {
        let Member { certificate, announcement } = member;
        let standing = self.verify_certificate(certificate)?;
        if let Some(announcement) = announcement {
            if announcement.name != certificate.name {
                return Err(Untrusted::OtherName);
            }
            verify_announcement(announcement, &certificate.node_key)?;
        }
        Ok(standing)
    }

    /// Whether the record of an invitation is the cluster's. Who used it and whether it was revoked
    /// are not signed.
    ///
    /// # Errors
    ///
    /// As [`Authority::verify_certificate`].
    pub fn verify_token(&self, token: &Token) -> Result<Standing, Untrusted> {
        self.verify(token, token.generation)
    }

    /// The certifier with this number and seed, if it is the cluster's.
    ///
    /// # Errors
    ///
    /// [`Untrusted::UnknownGeneration`], or [`Untrusted::Key`] when the seed is another key's.
    pub fn certifier(&self, generation: u32, seed: &[u8]) -> Result<Certifier, Untrusted> {
        let seed = seed.try_into().map_err(|_| Untrusted::Key)?;
        let certifier = Certifier::from_seed(seed, generation);
        let ours = certifier.key.verifying_key() == *self.key(generation)?;
        ours.then_some(certifier).ok_or(Untrusted::Key)
    }

    fn key(&self, generation: u32) -> Result<&VerifyingKey, Untrusted> {
        let key = match generation {
            0 => Some(&self.first),
            later => self.later.get(later as usize - 1).map(|(_, key)| key),
        };
        let newest = self.newest();
        key.ok_or(Untrusted::UnknownGeneration { found: generation, newest })
    }

    fn verify(&self, statement: &impl Signed, generation: u32) -> Result<Standing, Untrusted> {
        verify(statement, self.key(generation)?)?;
        Ok(if generation == self.newest() { Standing::Newest } else { Standing::Superseded })
    }
}

/// Whether a node announced this of itself.
///
/// # Errors
///
/// [`Untrusted::Key`] or [`Untrusted::Signature`].
pub fn verify_announcement(announcement: &Announcement, key: &NodeKey) -> Result<(), Untrusted> {
    verify(announcement, &usable(&key.0)?)
}

/// Whether a newcomer's first announcement is its own.
///
/// # Errors
///
/// [`Untrusted::OtherName`], or as [`verify_announcement`].
pub fn verify_request(request: &JoinRequest) -> Result<(), Untrusted> {
    if request.announcement.name != request.name {
        return Err(Untrusted::OtherName);
    }
    verify_announcement(&request.announcement, &request.node_key)
}

/// A key that certifies members. Its secret is wiped when dropped and never printed.
#[derive(Clone)]
pub struct Certifier {
    key: SigningKey,
    generation: u32,
}

impl Certifier {
    /// The first key of a new cluster.
    pub fn generate(rng: &mut impl CryptoRng) -> Certifier {
        Certifier { key: fresh_key(rng), generation: 0 }
    }

    /// The key with this number and this RFC 8032 seed.
    pub fn from_seed(seed: &[u8; 32], generation: u32) -> Certifier {
        Certifier { key: SigningKey::from_bytes(seed), generation }
    }

    /// What [`Certifier::from_seed`] takes.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    pub fn key(&self) -> ClusterKey {
        ClusterKey(self.key.verifying_key().to_bytes())
    }

    /// Its number; 0 is the first.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The certificate, signed: generation and signature are filled in.
    pub fn sign_certificate(&self, mut certificate: Certificate) -> Certificate {
        certificate.generation = self.generation;
        certificate.signature = sign(&certificate, &self.key).expect(BOUNDED);
        certificate
    }

    /// The record of an invitation, signed: generation and signature are filled in.
    pub fn sign_token(&self, mut token: Token) -> Token {
        token.generation = self.generation;
        token.signature = sign(&token, &self.key).expect(BOUNDED);
        token
    }

    /// A fresh key in place of this one, and the statement that others learn it by.
    ///
    /// Nodes follow [`SUCCESSIONS_MAX`] times.
    pub fn succeed(&self, rng: &mut impl CryptoRng) -> (Succession, Certifier) {
        let next = Certifier { key: fresh_key(rng), generation: self.generation.saturating_add(1) };
        let succession = self.introduce(next.generation, next.key());
        (succession, next)
    }

    /// The statement that `key` comes after this one.
    pub(super) fn introduce(&self, generation: u32, key: ClusterKey) -> Succession {
        let mut succession = Succession { generation, key, signature: [0; 64] };
        succession.signature = sign(&succession, &self.key).expect(BOUNDED);
        succession
    }
}

impl std::fmt::Debug for Certifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certifier({}, generation {})", self.key(), self.generation)
    }
}

/// The key that signs what a node announces. Its secret is wiped when dropped and never printed.
#[derive(Clone)]
pub struct NodeSigner {
    key: SigningKey,
}

impl NodeSigner {
    /// A fresh key.
    pub fn generate(rng: &mut impl CryptoRng) -> NodeSigner {
        NodeSigner { key: fresh_key(rng) }
    }

    /// The key with this RFC 8032 seed.
    pub fn from_seed(seed: &[u8; 32]) -> NodeSigner {
        NodeSigner { key: SigningKey::from_bytes(seed) }
    }

    /// What [`NodeSigner::from_seed`] takes.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.key.to_bytes())
    }

    /// The public half.
    pub fn key(&self) -> NodeKey {
        NodeKey(self.key.verifying_key().to_bytes())
    }

    /// The announcement, signed.
    ///
    /// # Errors
    ///
    /// [`TooLarge`] when the program's version is too long a text.
    pub fn sign_announcement(
        &self,
        mut announcement: Announcement,
    ) -> Result<Announcement, TooLarge> {
        announcement.signature = sign(&announcement, &self.key)?;
        Ok(announcement)
    }
}

impl std::fmt::Debug for NodeSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NodeSigner({})", self.key())
    }
}

const BOUNDED: &str = "all fields are bounded by their types";

fn fresh_key(rng: &mut impl CryptoRng) -> SigningKey {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *seed);
    SigningKey::from_bytes(&seed)
}

/// A key that is on the curve and not of small order.
fn usable(key: &[u8; 32]) -> Result<VerifyingKey, Untrusted> {
    let key = VerifyingKey::from_bytes(key).ok().filter(|key| !key.is_weak());
    key.ok_or(Untrusted::Key)
}

fn covered<T: Signed>(statement: &T) -> Result<Vec<u8>, TooLarge> {
    let mut to = Writer::new();
    to.put(T::CONTEXT.as_bytes());
    0_u8.write(&mut to);
    statement.write_covered(&mut to);
    to.into_bytes()
}

fn sign(statement: &impl Signed, key: &SigningKey) -> Result<[u8; 64], TooLarge> {
    Ok(key.sign(&covered(statement)?).to_bytes())
}

fn verify(statement: &impl Signed, key: &VerifyingKey) -> Result<(), Untrusted> {
    let covered = covered(statement).map_err(|TooLarge(_)| Untrusted::Signature)?;
    let signature = Signature::from_bytes(statement.signature());
    key.verify_strict(&covered, &signature).map_err(|_| Untrusted::Signature)
}
