//! The text that lets one newcomer in, and the keys that both sides derive from it.
//!
//! Knows the text and the derivations. Whether an invitation is still good is in its record
//! ([`Token`](crate::message::Token)), which the cluster's bootstrap nodes share and which does not
//! tell the secret.
//!
//! The secret itself makes the key of the newcomer's session, which nobody else can have. What the
//! bootstrap nodes must know too, without the secret, is derived from the record's [`TokenId`]:
//! see [`DoorKeys`].

mod text;

use std::fmt;

use rand::CryptoRng;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use crate::ident::{ClusterId, PeerKey, TokenId};
use crate::message::Door;

use super::digest::{hash, short_hash};

pub use text::InvitationError;

/// The most doors an invitation names.
pub const DOORS_MAX: usize = 4;

const SECRET_BYTES: usize = 16;

const ID_CONTEXT: &str = "rustbalance invitation id v1";
const SESSION_CONTEXT: &str = "rustbalance invitation session key v1";
const PRESHARED_CONTEXT: &str = "rustbalance invitation preshared key v1";
const CLIENT_CONTEXT: &str = "rustbalance invitation client authorisation v1";

/// What a newcomer needs to be let in once.
///
/// `Display` writes the whole text, the secret with it: for the operator's eyes, never for a log.
/// `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    cluster: ClusterId,
    secret: Zeroizing<[u8; SECRET_BYTES]>,
    doors: Vec<Door>,
}

impl Invitation {
    /// A fresh one for this cluster.
    ///
    /// # Errors
    ///
    /// [`InvitationError::Doors`] unless there are 1 to [`DOORS_MAX`] doors, each with an endpoint
    /// or an onion service.
    pub fn generate(
        cluster: ClusterId,
        doors: Vec<Door>,
        rng: &mut impl CryptoRng,
    ) -> Result<Invitation, InvitationError> {
        let mut secret = Zeroizing::new([0; SECRET_BYTES]);
        rng.fill_bytes(&mut *secret);
        Invitation::new(cluster, secret, doors)
    }

    fn new(
        cluster: ClusterId,
        secret: Zeroizing<[u8; SECRET_BYTES]>,
        doors: Vec<Door>,
    ) -> Result<Invitation, InvitationError> {
        let leads_somewhere = |door: &Door| door.endpoint.is_some() || door.onion.is_some();
        if !(1..=DOORS_MAX).contains(&doors.len()) || !doors.iter().all(leads_somewhere) {
            return Err(InvitationError::Doors);
        }
        Ok(Invitation { cluster, secret, doors })
    }

    /// Whose it is: to be compared with the cluster's first key.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Where to knock.
    pub fn doors(&self) -> &[Door] {
        &self.doors
    }

    /// The name of its record.
    pub fn token(&self) -> TokenId {
        TokenId(short_hash(ID_CONTEXT, &*self.secret))
    }

    /// The Curve25519 secret of the newcomer's session with a door.
    pub fn session_secret(&self) -> Zeroizing<[u8; 32]> {
        hash(SESSION_CONTEXT, &*self.secret)
    }

    /// The public half of [`Invitation::session_secret`]: stands in the record.
    pub fn session_key(&self) -> PeerKey {
        peer_key(&self.session_secret())
    }

    /// What newcomer and door have in common beside the session's keys.
    pub fn door_keys(&self) -> DoorKeys {
        DoorKeys::of(&self.token())
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation")
            .field("cluster", &self.cluster)
            .field("token", &self.token())
            .finish_non_exhaustive()
    }
}

/// Keys that newcomer and bootstrap nodes share: they keep strangers from the doors.
///
/// They are derived from the name of the invitation, so a node that knows its record can open its
/// door without having issued it. They do not prove that a newcomer was invited: only the session's
/// own key does.
pub struct DoorKeys {
    /// The preshared key of the newcomer's session.
    pub preshared_key: Zeroizing<[u8; 32]>,
    /// The Curve25519 secret with which the newcomer's tor may use the onion service that lets
    /// newcomers in.
    pub client_secret: Zeroizing<[u8; 32]>,
    /// Its public half, for that service.
    pub client_key: [u8; 32],
}

impl DoorKeys {
    /// Those of this invitation.
    pub fn of(token: &TokenId) -> DoorKeys {
        let client_secret = hash(CLIENT_CONTEXT, &token.0);
        let PeerKey(client_key) = peer_key(&client_secret);
        let preshared_key = hash(PRESHARED_CONTEXT, &token.0);
        DoorKeys { preshared_key, client_secret, client_key }
    }
}

impl fmt::Debug for DoorKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DoorKeys").finish_non_exhaustive()
    }
}

/// The public half of a Curve25519 secret, which is clamped for it as WireGuard and tor do.
pub fn peer_key(secret: &[u8; 32]) -> PeerKey {
    PeerKey(PublicKey::from(&StaticSecret::from(*secret)).to_bytes())
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::ident::HsId;
    use crate::wire::testing::CLUSTER;

    fn invitation(seed: u64) -> Invitation {
        let endpoint = Some(([127, 0, 0, 1], 51_820).into());
        let door = Door { key: PeerKey([7; 32]), endpoint, onion: None };
        let mut rng = rand::rngs::StdRng::seed_from_u64(seed);
        Invitation::generate(CLUSTER, vec![door], &mut rng).unwrap()
    }

    /// All that is derived from one invitation.
    fn derived(invitation: &Invitation) -> Vec<Vec<u8>> {
        let keys = invitation.door_keys();
        vec![
            invitation.token().0.to_vec(),
            invitation.session_secret().to_vec(),
            keys.preshared_key.to_vec(),
            keys.client_secret.to_vec(),
            keys.client_key.to_vec(),
        ]
    }

    #[test]
    fn both_sides_derive_the_same_and_nothing_twice() {
        let text = invitation(1).to_string();
        let read: Invitation = text.parse().unwrap();
        assert_eq!(derived(&read), derived(&invitation(1)));
        let mut all = derived(&invitation(1));
        all.extend(derived(&invitation(2)));
        all.iter_mut().for_each(|value| value.truncate(16));
        all.sort();
        all.dedup();
        assert_eq!(all.len(), 10);
    }

    #[test]
    fn a_door_needs_the_record_only() {
        let (invited, door) = (invitation(1).door_keys(), DoorKeys::of(&invitation(1).token()));
        assert_eq!(invited.preshared_key, door.preshared_key);
        assert_eq!(peer_key(&invited.client_secret), PeerKey(door.client_key));
    }

    /// The key pair of RFC 7748, section 6.1.
    #[test]
    fn the_public_half_is_that_of_the_curve() {
        let hex = |text: &[u8]| -> [u8; 32] {
            data_encoding::HEXLOWER.decode(text).unwrap().try_into().unwrap()
        };
        let secret = hex(b"77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
        let public = hex(b"8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        assert_eq!(peer_key(&secret), PeerKey(public));
    }

    /// A difference here means that yesterday's invitations are worth nothing.
    #[test]
    fn text_and_derived_keys_stay_what_they_were() {
        let endpoint = Some(([192, 0, 2, 1], 51_820).into());
        let door = Door { key: PeerKey([7; 32]), endpoint, onion: Some(HsId([8; 32])) };
        let secret = Zeroizing::new([0x5e; SECRET_BYTES]);
        let invitation = Invitation::new(CLUSTER, secret, vec![door]).unwrap();
        let derived = derived(&invitation);
        let hex = derived.iter().map(|bytes| data_encoding::HEXLOWER.encode(bytes));
        let lines: Vec<String> = std::iter::once(invitation.to_string()).chain(hex).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn debugging_does_not_tell_the_secret() {
        let invitation = invitation(1);
        let text = format!("{invitation:?} {:?}", invitation.door_keys());
        let secret = PeerKey(*invitation.session_secret()).to_string();
        let printed = invitation.to_string();
        assert!(!text.contains(&secret) && !text.contains(&printed[8..24]), "{text}");
        assert!(text.contains(&invitation.token().to_string()));
    }
}
