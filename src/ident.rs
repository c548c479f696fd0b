//! Names and values that every room speaks of. No logic beyond building and printing them.

use std::fmt;
use std::str::FromStr;

/// The name of a node or of a front: 1 to 32 characters of `a-z`, `0-9` and `-`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(String);

/// What is wrong with a node's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidNodeId;

impl fmt::Display for InvalidNodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name has 1 to 32 characters of a-z, 0-9 and -")
    }
}

impl std::error::Error for InvalidNodeId {}

impl NodeId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for NodeId {
    type Err = InvalidNodeId;
    fn from_str(s: &str) -> Result<NodeId, InvalidNodeId> {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&s.len()) && s.bytes().all(allowed) {
            Ok(NodeId(s.to_owned()))
        } else {
            Err(InvalidNodeId)
        }
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Defines a fixed-size byte value that prints as hexadecimal.
macro_rules! byte_value {
    ($(#[$doc:meta])* $name:ident, $len:literal, $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; $len]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.iter().try_for_each(|b| write!(f, $format, b))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

byte_value! {
    /// The identity key of an onion service (KP_hs_id): what its address encodes.
    ///
    /// `hs::address` turns it into `….onion` text and back.
    HsId, 32, "{:02x}"
}
byte_value! {
    /// The blinded identity key of a service in one time period (KP_hs_blind_id).
    BlindedId, 32, "{:02x}"
}
byte_value! {
    /// The RSA identity fingerprint of a relay, which is how the control port names HSDirs.
    RelayId, 20, "{:02X}"
}

byte_value! {
    /// A node's static key in WireGuard (Curve25519): whom a session is with.
    PeerKey, 32, "{:02x}"
}
byte_value! {
    /// The key with which a node signs what it announces of itself (Ed25519).
    NodeKey, 32, "{:02x}"
}
byte_value! {
    /// The key that certifies the members of a cluster (Ed25519).
    ClusterKey, 32, "{:02x}"
}
byte_value! {
    /// A cluster, by the hash of the key that it began with.
    ClusterId, 16, "{:02x}"
}
byte_value! {
    /// An invitation, by the hash of its secret.
    TokenId, 16, "{:02x}"
}

/// How often a node has begun anew or contradicted a rumour: only its owner raises it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// The number of a publisher's reign.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// The most bytes that the encoded link specifiers of one introduction point may take.
pub const LINK_SPECIFIERS_MAX_BYTES: usize = 200;

/// The most introduction points a descriptor may name: clients refuse more.
pub const INTRO_POINTS_MAX: usize = 20;

/// One introduction point, as plain values (rend-spec-v3, section HS-DESC-SECOND-LAYER).
///
/// Equality is by content, and the order is that of the fields: it means nothing, but is the same
/// on every node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IntroPoint {
    /// The relay, by the RSA identity in its link specifiers.
    pub relay: RelayId,
    /// `introduction-point`: the encoded link specifiers, at most [`LINK_SPECIFIERS_MAX_BYTES`].
    pub link_specifiers: Vec<u8>,
    /// `onion-key ntor`: the relay's ntor key.
    pub onion_key: [u8; 32],
    /// The key in `auth-key`: identifies the introduction circuit to the relay.
    pub auth_key: [u8; 32],
    /// `enc-key ntor`: clients encrypt their introductions to it.
    pub enc_key: [u8; 32],
}

impl fmt::Debug for IntroPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.auth_key;
        write!(f, "IntroPoint({}, auth {a:02x}{b:02x}{c:02x}{d:02x})", self.relay)
    }
}

/// A descriptor's revision counter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
