//! Onion services that live as long as our connection to tor, and the keys of their clients
//! (control-spec, sections "ADD_ONION" and "ONION_CLIENT_AUTH_ADD").

use std::fmt;
use std::net::SocketAddr;

use base64ct::{Base64, Encoding};
use data_encoding::BASE32_NOPAD;
use zeroize::Zeroizing;

/// A secret of `N` bytes, which never shows.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<const N: usize>(Zeroizing<[u8; N]>);

impl<const N: usize> Secret<N> {
    /// Hides it.
    pub fn new(bytes: [u8; N]) -> Secret<N> {
        Secret(Zeroizing::new(bytes))
    }

    fn base64(&self) -> Zeroizing<String> {
        Zeroizing::new(Base64::encode_string(&*self.0))
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// A service that tor shall run until our connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnionService {
    /// The expanded secret key: the scalar, then the prefix, as tor keeps it.
    pub key: Secret<64>,
    /// The port that clients name.
    pub port: u16,
    /// Where tor leads its streams.
    pub target: SocketAddr,
    /// The public keys (X25519) of the clients that may come; none: everybody may.
    pub clients: Vec<[u8; 32]>,
}

impl OnionService {
    /// `ADD_ONION` without `Detach`, so that tor drops the service when we are gone.
    pub(super) fn line(&self) -> String {
        let auth = if self.clients.is_empty() { "" } else { ",V3Auth" };
        let mut line = format!(
            "ADD_ONION ED25519-V3:{} Flags=DiscardPK{auth} Port={},{}",
            *self.key.base64(),
            self.port,
            self.target
        );
        for client in &self.clients {
            line += " ClientAuthV3=";
            line += &BASE32_NOPAD.encode(client);
        }
        line
    }
}

/// `ONION_CLIENT_AUTH_ADD`: with this key (X25519) tor may visit `address`.
pub(super) fn client_auth_line(address: &str, key: &Secret<32>) -> String {
    format!("ONION_CLIENT_AUTH_ADD {address} x25519:{}", *key.base64())
}
