//! Key files: tor's `hs_ed25519_secret_key` and the PEM file of Onionbalance.

use ed25519_dalek::pkcs8::KeypairBytes;
use zeroize::{Zeroize as _, Zeroizing};

use super::MasterKey;

const SECRET_HEADER: &[u8; 32] = b"== ed25519v1-secret: type0 ==\0\0\0";
const PUBLIC_HEADER: &[u8; 32] = b"== ed25519v1-public: type0 ==\0\0\0";
const FILE_BYTES: usize = 96;

/// Why the content of a file is no master key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// There is nothing in it.
    #[error("the key file is empty: copy hs_ed25519_secret_key or the Onionbalance key again")]
    Empty,
    /// It is tor's public key file.
    #[error("this is the public key: the secret one lies beside it as hs_ed25519_secret_key")]
    Public,
    /// It begins as tor's secret key file but has another length than 96 bytes.
    #[error(
        "tor's secret key file has 96 bytes and this one {0}: the copy is not complete or \
             something was added (text tools append a line end)"
    )]
    Length(usize),
    /// One half is tor's format and the other PEM.
    #[error("the file mixes tor's format and PEM: it must hold one key and nothing else")]
    Mixed,
    /// It is a PEM file that a passphrase locks.
    #[error("the PEM key is encrypted: remove the passphrase, for example with openssl pkey")]
    Encrypted,
    /// It is the RSA key of a version 2 service.
    #[error("this is the RSA key of a version 2 onion service, which the network no longer serves")]
    VersionTwo,
    /// It is PEM, but not a private Ed25519 key.
    #[error("the PEM block {0:?} is not a private Ed25519 key in PKCS#8 (BEGIN PRIVATE KEY)")]
    Label(String),
    /// The PEM block cannot be decoded.
    #[error("the PEM key cannot be read ({0}): copy the file again")]
    Pem(String),
    /// The scalar is zero.
    #[error("the key is all zero: no address can belong to it")]
    Zero,
    /// It begins like no known format.
    #[error(
        "this is no known key format: wanted tor's hs_ed25519_secret_key (96 bytes) or an \
             Onionbalance PEM file"
    )]
    Unknown,
}

impl MasterKey {
    /// Reads the content of a key file in either format and tells them apart by themselves.
    ///
    /// Tor's file: the header and 64 bytes, all kept. Onionbalance's: PKCS#8 PEM with a seed of
    /// 32 bytes. Errors carry nothing of the key.
    pub fn parse(content: &[u8]) -> Result<MasterKey, KeyError> {
        let has_tor_header = find(content, b"== ed25519v1-");
        let has_pem_header = find(content, b"-----BEGIN ");
        match (has_tor_header, has_pem_header) {
            _ if content.iter().all(u8::is_ascii_whitespace) => Err(KeyError::Empty),
            (true, true) => Err(KeyError::Mixed),
            (true, false) => parse_tor(content),
            (false, true) => parse_pem(content),
            (false, false) => Err(KeyError::Unknown),
        }
    }

    /// The content of tor's `hs_ed25519_secret_key` for this key: 96 bytes, wiped when dropped.
    pub fn to_tor_file(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new([&SECRET_HEADER[..], &self.bytes[..]].concat())
    }
}

fn parse_tor(content: &[u8]) -> Result<MasterKey, KeyError> {
    if content.starts_with(PUBLIC_HEADER) {
        return Err(KeyError::Public);
    }
    if !content.starts_with(SECRET_HEADER) {
        return Err(KeyError::Unknown);
    }
    if content.len() != FILE_BYTES {
        return Err(KeyError::Length(content.len()));
    }
    let mut bytes = Zeroizing::new([0; 64]);
    bytes.copy_from_slice(&content[SECRET_HEADER.len()..]);
    MasterKey::from_expanded(bytes).ok_or(KeyError::Zero)
}

fn parse_pem(content: &[u8]) -> Result<MasterKey, KeyError> {
    let text = std::str::from_utf8(content).map_err(|_| KeyError::Mixed)?;
    let (_, after) = text.split_once("-----BEGIN ").ok_or(KeyError::Unknown)?;
    let label = after.split("-----").next().unwrap_or_default();
    let legacy_encryption = after.contains("ENCRYPTED");
    match label {
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        _ if legacy_encryption => return Err(KeyError::Encrypted),
        "RSA PRIVATE KEY" => return Err(KeyError::VersionTwo),
        "PUBLIC KEY" => return Err(KeyError::Public),
        "PRIVATE KEY" => {}
        other => return Err(KeyError::Label(other.chars().take(40).collect())),
    }
    decode_pkcs8(text.trim())
}

fn decode_pkcs8(pem: &str) -> Result<MasterKey, KeyError> {
    use ed25519_dalek::pkcs8::{DecodePrivateKey as _, Error};
    let mut pair = KeypairBytes::from_pkcs8_pem(pem).map_err(|cause| match cause {
        Error::PublicKey(_) => KeyError::Label("PRIVATE KEY (of another algorithm)".to_owned()),
        other => KeyError::Pem(other.to_string()),
    })?;
    let key = MasterKey::from_seed(&pair.secret_key);
    pair.secret_key.zeroize();
    match pair.public_key {
        Some(public) if public.0 != key.id.0 => {
            Err(KeyError::Pem("its public half belongs to another key".to_owned()))
        }
        _ => Ok(key),
    }
}

fn find(content: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(content, needle).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hs::curve::tests::hex;
    use ed25519_dalek::SigningKey;

    /// RFC 8032, section 7.1, test 1.
    const SEED: &str = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    const PEM: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n\
        -----END PRIVATE KEY-----\n";

    fn refusal(content: &[u8]) -> KeyError {
        MasterKey::parse(content).map(|key| key.id()).unwrap_err()
    }

    #[test]
    fn onionbalance_pem_and_tor_file_give_the_same_key() {
        let pem = MasterKey::parse(PEM.as_bytes()).unwrap();
        assert_eq!(pem.id().0, hex::<32>(PUBLIC));
        let tor = MasterKey::parse(&pem.to_tor_file()).unwrap();
        assert_eq!(tor.id(), pem.id());
        assert_eq!(*tor.bytes, *pem.bytes);
        assert_eq!(pem.id().0, SigningKey::from_bytes(&hex(SEED)).verifying_key().to_bytes());
    }

    #[test]
    fn all_64_bytes_are_kept_even_when_the_scalar_is_not_clamped() {
        let mut content = SECRET_HEADER.to_vec();
        content.extend_from_slice(&[0x55; 64]);
        let key = MasterKey::parse(&content).unwrap();
        assert_eq!(*key.to_tor_file(), content);
        let scalar = curve25519_dalek::scalar::Scalar::from_bytes_mod_order([0x55; 32]);
        let point = curve25519_dalek::edwards::EdwardsPoint::mul_base(&scalar);
        assert_eq!(key.id().0, point.compress().to_bytes());
    }

    #[test]
    fn each_wrong_file_is_named() {
        let tor = MasterKey::parse(PEM.as_bytes()).unwrap().to_tor_file();
        assert_eq!(refusal(b""), KeyError::Empty);
        assert_eq!(refusal(b" \n"), KeyError::Empty);
        assert_eq!(refusal(&[PUBLIC_HEADER.as_slice(), &[7; 32]].concat()), KeyError::Public);
        assert_eq!(refusal(&tor[..95]), KeyError::Length(95));
        assert_eq!(refusal(&[&tor[..], b"\n"].concat()), KeyError::Length(97));
        assert_eq!(refusal(&[&tor[..], PEM.as_bytes()].concat()), KeyError::Mixed);
        assert_eq!(refusal(&[SECRET_HEADER.as_slice(), &[0; 64]].concat()), KeyError::Zero);
        assert_eq!(refusal(&[0x42; 96]), KeyError::Unknown);
        assert_eq!(refusal(b"-----BEGIN RSA PRIVATE KEY-----\nMIIC"), KeyError::VersionTwo);
        assert_eq!(refusal(b"-----BEGIN PUBLIC KEY-----\nMCow"), KeyError::Public);
        assert_eq!(refusal(b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIGj"), KeyError::Encrypted);
        assert_eq!(
            refusal(b"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"),
            KeyError::Encrypted
        );
        assert_eq!(
            refusal(b"-----BEGIN OPENSSH PRIVATE KEY-----\nb3Bl"),
            KeyError::Label("OPENSSH PRIVATE KEY".to_owned())
        );
        assert!(matches!(refusal(&PEM.as_bytes()[..70]), KeyError::Pem(_)));
        assert!(matches!(refusal(PEM.replace("MC4C", "MC4!").as_bytes()), KeyError::Pem(_)));
    }

    #[test]
    fn a_generated_key_survives_the_round_trip_and_is_not_printed() {
        let key = MasterKey::generate(&mut rand::rng());
        assert_eq!(MasterKey::parse(&key.to_tor_file()).unwrap().id(), key.id());
        let printed = format!("{key:?}");
        assert_eq!(printed, format!("MasterKey({})", key.id()));
    }
}
