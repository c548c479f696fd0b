//! This node's own keys and its certificate, in `keys/` of the state directory.
//!
//! Text files with one line that says what it is and one of base64, for their owner alone. A key is
//! never overwritten: whoever loses one is another node.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use base64ct::{Base64, Encoding as _};
use rand::Rng as _;
use zeroize::Zeroizing;

use super::files;
use super::keys::{KeyFileError, read_secret};
use crate::hs::keys::MasterKey;
use crate::ident::{HsId, PeerKey};
use crate::message::{Certificate, Succession};
use crate::wire::{Certifier, NodeSigner, Record, peer_key};

const WIREGUARD: &str = "wireguard";
const NODE: &str = "node";
const COORDINATION: &str = "coordination";
const CLIENT: &str = "client";
const CLUSTER: &str = "cluster";
const SUCCESSIONS: &str = "successions";

/// Why the node has no identity. None of it mends itself.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read, or others can.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// There is no key where one must be.
    #[error(
        "there is no {path}: without it this node is nobody in its cluster. Bring it back from a \
         backup, or run rustbalance join with a new invitation"
    )]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// The content is not what it should be.
    #[error("{path} is damaged: {what}. Bring it back from a backup")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// It cannot be written.
    #[error("cannot write {path}: {cause}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// A file's first line, and what the second one stands for.
type Content = (String, Zeroizing<Vec<u8>>);

/// The directory with the keys.
#[derive(Clone, Debug)]
pub(super) struct KeyDir {
    path: PathBuf,
}

/// Who this node is. Secrets are wiped when dropped and never printed.
pub(super) struct Identity {
    /// The secret of our sessions (Curve25519).
    pub(super) wireguard: Zeroizing<[u8; 32]>,
    /// What signs our announcements.
    pub(super) node: NodeSigner,
    /// Our coordination onion service.
    pub(super) coordination: MasterKey,
    /// With what we are let into the others' (Curve25519).
    pub(super) client: Zeroizing<[u8; 32]>,
}

impl Identity {
    /// The public half of our sessions' key.
    pub(super) fn key(&self) -> PeerKey {
        peer_key(&self.wireguard)
    }

    /// The public half of the key with which we are let into the others' services.
    pub(super) fn client_key(&self) -> [u8; 32] {
        peer_key(&self.client).0
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({})", self.key())
    }
}

impl KeyDir {
    pub(super) fn new(state_dir: &Path) -> KeyDir {
        KeyDir { path: state_dir.join("keys") }
    }

    /// Where a key is.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The keys of a node that has been in a cluster. Those of which its name in the cluster does
    /// not depend are made anew where they are missing.
    pub(super) fn identity(&self) -> Result<Identity, IdentityError> {
        for name in [WIREGUARD, NODE] {
            let path = self.file(&format!("{name}.key"));
            if matches!(path.try_exists(), Ok(false)) {
                return Err(IdentityError::Missing { path });
            }
        }
        self.identity_or_new()
    }

    /// The keys, those that are missing made anew: for a node that begins.
    pub(super) fn identity_or_new(&self) -> Result<Identity, IdentityError> {
        let fresh = || {
            let mut key = Zeroizing::new([0; 32]);
            rand::rng().fill_bytes(&mut *key);
            key
        };
        let onion = || MasterKey::generate(&mut rand::rng()).to_tor_file();
        let coordination = self.read_or_make(COORDINATION, onion)?;
        Ok(Identity {
            wireguard: self.key_or_new(WIREGUARD, fresh)?,
            node: NodeSigner::from_seed(&*self.key_or_new(NODE, fresh)?),
            coordination: MasterKey::parse(&coordination)
                .map_err(|error| self.damaged(COORDINATION, error.to_string()))?,
            client: self.key_or_new(CLIENT, fresh)?,
        })
    }

    /// The key that certifies members, where this node has it.
    pub(super) fn certifier(&self) -> Result<Option<Certifier>, IdentityError> {
        let Some((header, seed)) = self.read(CLUSTER)? else { return Ok(None) };
        let generation = header.rsplit(' ').next().and_then(|word| word.parse().ok());
        let Some(generation) = generation else {
            return Err(self.damaged(CLUSTER, "its first line names no generation".to_owned()));
        };
        let seed = self.sized(CLUSTER, &seed)?;
        Ok(Some(Certifier::from_seed(&seed, generation)))
    }

    /// Keeps the key that certifies members; a later generation takes the place of the one before.
    pub(super) fn keep_certifier(&self, certifier: &Certifier) -> Result<(), IdentityError> {
        let (generation, seed) = (certifier.generation(), certifier.seed());
        let content = secret_file(&header(CLUSTER, &format!(", generation {generation}")), &*seed);
        match self.certifier()? {
            None => self.create(CLUSTER, &content),
            Some(known) if known.generation() >= generation => Ok(()),
            Some(_) => {
                let path = self.path_of(CLUSTER);
                files::replace(&path, &content, 0o600)
                    .map_err(|cause| IdentityError::Unwritable { path, cause })
            }
        }
    }

    /// The statements by which the keys after the first that certify are known.
    pub(super) fn successions(&self) -> Result<Vec<Succession>, IdentityError> {
        let path = self.file(SUCCESSIONS);
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(Vec::new());
        }
        let damaged = |what: String| IdentityError::Damaged { path: path.clone(), what };
        let content = read_secret(&path, "the cluster's successions")?;
        let text = std::str::from_utf8(&content).map_err(|error| damaged(error.to_string()))?;
        let entry = |line: &str| {
            let bytes = Base64::decode_vec(line).map_err(|error| damaged(error.to_string()))?;
            Succession::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))
        };
        text.lines().skip(1).map(entry).collect()
    }

    /// Keeps them, in the place of those before: without them a later key is nobody's.
    pub(super) fn keep_successions<'a>(
        &self,
        successions: impl Iterator<Item = &'a Succession>,
    ) -> Result<(), IdentityError> {
        let mut content = "# rustbalance successions v1\n".to_owned();
        for succession in successions {
            let bytes = succession.to_bytes().expect("a succession has a fixed size");
            content.push_str(&Base64::encode_string(&bytes));
            content.push('\n');
        }
        self.make_dir()?;
        let path = self.file(SUCCESSIONS);
        files::replace(&path, content.as_bytes(), 0o600)
            .map_err(|cause| IdentityError::Unwritable { path, cause })
    }

    /// Where the master key of an address is kept once it was handed over, in tor's format.
    pub(super) fn master_file(&self, service: &HsId) -> PathBuf {
        self.file(&format!("{}.key", &crate::hs::address::bare(service)[..16]))
    }

    /// Keeps a master key; one that is there already stays.
    pub(super) fn keep_master(&self, key: &MasterKey) -> Result<PathBuf, IdentityError> {
        let path = self.master_file(&key.id());
        self.create_file(&path, &key.to_tor_file())?;
        Ok(path)
    }

    /// The cluster's word on this node, when there is one.
    pub(super) fn certificate(&self) -> Result<Option<Certificate>, IdentityError> {
        let path = self.file("member.cert");
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(None);
        }
        let damaged = |what: String| IdentityError::Damaged { path: path.clone(), what };
        let content = read_secret(&path, "the certificate of this node")?;
        let (_, bytes) = parse(&content).map_err(damaged)?;
        let certificate = Certificate::from_bytes(&bytes);
        certificate.map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Keeps the cluster's word on this node, in the place of an earlier one.
    pub(super) fn keep_certificate(&self, certificate: &Certificate) -> Result<(), IdentityError> {
        let path = self.file("member.cert");
        let bytes = certificate.to_bytes().expect("a certificate's texts are bounded by types");
        let content = secret_file("# rustbalance member certificate v1", &bytes);
        self.make_dir()?;
        files::replace(&path, &content, 0o600)
            .map_err(|cause| IdentityError::Unwritable { path, cause })
    }

    fn key_or_new(
        &self,
        name: &str,
        fresh: impl FnOnce() -> Zeroizing<[u8; 32]>,
    ) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
        let bytes = self.read_or_make(name, || Zeroizing::new(fresh().to_vec()))?;
        self.sized(name, &bytes)
    }

    fn read_or_make(
        &self,
        name: &str,
        fresh: impl FnOnce() -> Zeroizing<Vec<u8>>,
    ) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        if let Some((_, bytes)) = self.read(name)? {
            return Ok(bytes);
        }
        let bytes = fresh();
        self.create(name, &secret_file(&header(name, ""), &bytes))?;
        Ok(bytes)
    }

    /// Header and content; `None`: there is no such file.
    fn read(&self, name: &str) -> Result<Option<Content>, IdentityError> {
        let path = self.path_of(name);
        if matches!(path.try_exists(), Ok(false)) {
            return Ok(None);
        }
        let content = read_secret(&path, &format!("the {name} key"))?;
        let (found, bytes) = parse(&content).map_err(|what| self.damaged(name, what))?;
        match found.starts_with(&header(name, "")) {
            true => Ok(Some((found, bytes))),
            false => Err(self.damaged(name, "its first line is another key's".to_owned())),
        }
    }

    fn create(&self, name: &str, content: &[u8]) -> Result<(), IdentityError> {
        self.create_file(&self.path_of(name), content)
    }

    fn create_file(&self, path: &Path, content: &[u8]) -> Result<(), IdentityError> {
        self.make_dir()?;
        match files::create_private(path, content) {
            Err(cause) if cause.kind() != ErrorKind::AlreadyExists => {
                Err(IdentityError::Unwritable { path: path.to_owned(), cause })
            }
            _ => Ok(()),
        }
    }

    fn make_dir(&self) -> Result<(), IdentityError> {
        files::make_private_dir(&self.path)
            .map_err(|cause| IdentityError::Unwritable { path: self.path.clone(), cause })
    }

    fn path_of(&self, name: &str) -> PathBuf {
        self.file(&format!("{name}.key"))
    }

    fn sized(&self, name: &str, bytes: &[u8]) -> Result<Zeroizing<[u8; 32]>, IdentityError> {
        let mut key = Zeroizing::new([0; 32]);
        if bytes.len() != key.len() {
            return Err(self.damaged(name, format!("it has {} bytes, not 32", bytes.len())));
        }
        key.copy_from_slice(bytes);
        Ok(key)
    }

    fn damaged(&self, name: &str, what: String) -> IdentityError {
        IdentityError::Damaged { path: self.path_of(name), what }
    }
}

fn header(name: &str, more: &str) -> String {
    format!("# rustbalance {name} key v1{more}")
}

fn secret_file(header: &str, bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let text = Zeroizing::new(Base64::encode_string(bytes));
    Zeroizing::new([header.as_bytes(), b"\n", text.as_bytes(), b"\n"].concat())
}

fn parse(content: &[u8]) -> Result<Content, String> {
    let text = std::str::from_utf8(content).map_err(|_| "it is not text".to_owned())?;
    let (header, rest) = text.split_once('\n').ok_or("its second line is missing")?;
    let body = rest.strip_suffix('\n').ok_or("it is cut off")?;
    let bytes = Base64::decode_vec(body).map_err(|_| "its second line is not base64")?;
    Ok((header.to_owned(), Zeroizing::new(bytes)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::daemon::samples;

    struct Fixture {
        _dir: tempfile::TempDir,
        keys: KeyDir,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let keys = KeyDir::new(&dir.path().join("state"));
        Fixture { _dir: dir, keys }
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn keys_are_made_once_for_their_owner_alone_and_stay_the_same() {
        let Fixture { _dir, keys } = fixture();
        assert!(matches!(keys.identity(), Err(IdentityError::Missing { .. })));
        let made = keys.identity_or_new().unwrap();
        let read = keys.identity().unwrap();
        assert_eq!(made.wireguard, read.wireguard);
        assert_eq!(made.node.key(), read.node.key());
        assert_eq!(made.coordination.id(), read.coordination.id());
        assert_eq!(made.client_key(), read.client_key());
        assert_ne!(made.wireguard, made.client);
        assert_eq!(mode(&keys.path), 0o700);
        for name in [WIREGUARD, NODE, COORDINATION, CLIENT] {
            assert_eq!(mode(&keys.path_of(name)), 0o600, "{name}");
        }
        let text = std::fs::read_to_string(keys.path_of(WIREGUARD)).unwrap();
        assert!(text.starts_with("# rustbalance wireguard key v1\n"), "{text}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let Fixture { _dir, keys } = fixture();
        keys.identity_or_new().unwrap();
        let open = std::fs::Permissions::from_mode(0o640);
        std::fs::set_permissions(keys.path_of(NODE), open).unwrap();
        let text = keys.identity().unwrap_err().to_string();
        assert!(text.contains("chmod 0600"), "{text}");
    }

    #[test]
    fn a_key_cut_off_anywhere_is_refused_and_left_as_it_is() {
        let Fixture { _dir, keys } = fixture();
        keys.identity_or_new().unwrap();
        keys.keep_certifier(&Certifier::generate(&mut rand::rng())).unwrap();
        for name in [WIREGUARD, NODE, COORDINATION, CLIENT, CLUSTER] {
            let path = keys.path_of(name);
            let whole = std::fs::read(&path).unwrap();
            for length in 0..whole.len() {
                std::fs::write(&path, &whole[..length]).unwrap();
                let refused = match name {
                    CLUSTER => keys.certifier().is_err(),
                    _ => keys.identity_or_new().is_err(),
                };
                assert!(refused, "{name} {length}");
                assert_eq!(std::fs::read(&path).unwrap(), &whole[..length]);
            }
            std::fs::write(&path, &whole).unwrap();
        }
        assert!(keys.identity().is_ok());
    }

    #[test]
    fn a_file_in_the_place_of_another_is_refused() {
        let Fixture { _dir, keys } = fixture();
        keys.identity_or_new().unwrap();
        std::fs::copy(keys.path_of(CLIENT), keys.path_of(WIREGUARD)).unwrap();
        let text = keys.identity().unwrap_err().to_string();
        assert!(text.contains("first line is another key's"), "{text}");
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("state"), "a file").unwrap();
        let error = KeyDir::new(&dir.path().join("state")).identity_or_new().unwrap_err();
        assert!(error.to_string().contains("state/keys"), "{error}");
    }

    #[test]
    fn only_a_later_key_takes_the_place_of_the_one_that_certifies() {
        let Fixture { _dir, keys } = fixture();
        let first = Certifier::generate(&mut rand::rng());
        let (_, second) = first.succeed(&mut rand::rng());
        assert!(keys.certifier().unwrap().is_none());
        for (kept, wanted) in [(&first, &first), (&second, &second), (&first, &second)] {
            keys.keep_certifier(kept).unwrap();
            let read = keys.certifier().unwrap().unwrap();
            assert_eq!((read.generation(), read.key()), (wanted.generation(), wanted.key()));
        }
        assert_eq!(mode(&keys.path_of(CLUSTER)), 0o600);
    }

    #[test]
    fn the_chain_of_keys_is_kept_whole() {
        let Fixture { _dir, keys } = fixture();
        assert_eq!(keys.successions().unwrap(), []);
        let first = Certifier::generate(&mut rand::rng());
        let (one, second) = first.succeed(&mut rand::rng());
        let (two, _) = second.succeed(&mut rand::rng());
        let chain = [one, two];
        keys.keep_successions(chain[..1].iter()).unwrap();
        keys.keep_successions(chain.iter()).unwrap();
        assert_eq!(keys.successions().unwrap(), chain);
        let path = keys.file(SUCCESSIONS);
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 9]).unwrap();
        assert!(matches!(keys.successions(), Err(IdentityError::Damaged { .. })));
    }

    #[test]
    fn certificate_and_master_key_are_kept() {
        let Fixture { _dir, keys } = fixture();
        assert_eq!(keys.certificate().unwrap(), None);
        let certificate = samples::certificate("node-a");
        keys.keep_certificate(&certificate).unwrap();
        assert_eq!(keys.certificate().unwrap(), Some(certificate));
        let master = MasterKey::generate(&mut rand::rng());
        let path = keys.keep_master(&master).unwrap();
        assert_eq!(keys.keep_master(&master).unwrap(), path);
        let read = MasterKey::parse(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(read.id(), master.id());
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn nothing_secret_is_printed() {
        let Fixture { _dir, keys } = fixture();
        let identity = keys.identity_or_new().unwrap();
        assert_eq!(format!("{identity:?}"), format!("Identity({})", identity.key()));
    }
}
