//! Making a node ready to run: keys, certificate, configuration and state, for `init` and `join`.
//!
//! Whatever is there already stays. The configuration is written last, so that a node with one is
//! complete; a run that was interrupted can be repeated.

use std::io;
use std::path::{Path, PathBuf};

use super::files;
use super::identity::{IdentityError, KeyDir};
use super::store::Store;
use super::{Joined, MembershipOver, clock};
use crate::config::{Config, ConfigErrors};
use crate::engine::MeshState;
use crate::hs::keys::MasterKey;
use crate::ident::{ClusterKey, HsId, NodeId, TokenId};
use crate::message::{Certificate, Member};
use crate::wire::{Authority, Certifier, NodeSigner, Untrusted};

mod answers;

pub use answers::Answers;

/// The daemon and its group read it, nobody else.
const CONFIG_MODE: u32 = 0o640;

/// Why a node could not be made ready. What was written before stays and is used the next time.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The answers make no valid configuration.
    #[error("{0}")]
    Answers(ConfigErrors),
    /// There is a configuration, and it says something else.
    #[error("{path} is there already and says something else; nothing was changed:\n  {}",
        differences.join("\n  "))]
    Differs {
        /// The configuration.
        path: PathBuf,
        /// What is different, one line each.
        differences: Vec<String>,
    },
    /// There is a configuration, and it cannot be used.
    #[error("{0}\nNothing was changed: correct the file, or move it away")]
    Unusable(ConfigErrors),
    /// The configuration is that of a node which is no member any more.
    #[error(transparent)]
    Over(#[from] MembershipOver),
    /// Keys cannot be read or written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The certificate in the way is of another cluster or another key.
    #[error("{path} is of another cluster, or of other keys ({why}): move it away")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        why: Untrusted,
    },
    /// A file cannot be written.
    #[error("cannot write {path}: {cause}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
}

/// What `init` is told beside the [`Answers`].
#[derive(Debug)]
pub struct NewCluster {
    /// The cluster's name.
    pub name: NodeId,
    /// The key of the public address.
    pub master: MasterKey,
}

/// Whether a configuration stands at `path` already, and says what the answers say.
///
/// `service`: the address, where it is told. `false`: there is none.
///
/// # Errors
/// [`SetupError::Differs`] and [`SetupError::Unusable`]; [`SetupError::Over`] where it says the same
/// and the node has left, or was removed, since.
pub fn is_done(
    path: &Path,
    answers: &Answers,
    cluster: Option<&NodeId>,
    service: Option<&HsId>,
) -> Result<bool, SetupError> {
    if matches!(path.try_exists(), Ok(false)) {
        return Ok(false);
    }
    let config = Config::load(path).map_err(SetupError::Unusable)?.config;
    let mut differences = answers.differences(&config);
    let named = config.cluster.as_ref().map(|cluster| &cluster.name);
    if let (None, _) = (named, cluster) {
        differences.push("[cluster] is missing: this node is alone".to_owned());
    } else if let (Some(named), Some(cluster)) = (named, cluster)
        && named != cluster
    {
        differences.push(format!("[cluster] name is \"{named}\", not \"{cluster}\""));
    }
    if let Some(service) = service
        && !config.services.iter().any(|known| known.onion == *service)
    {
        differences.push("[[service]] onion is another address".to_owned());
    }
    match differences.is_empty() {
        true => still_a_member(&config.node.state_dir).map(|()| true),
        false => Err(SetupError::Differs { path: path.to_owned(), differences }),
    }
}

fn still_a_member(state_dir: &Path) -> Result<(), SetupError> {
    // Keys that are gone are told by whoever needs them.
    let Ok(identity) = KeyDir::new(state_dir).identity() else { return Ok(()) };
    Ok(MembershipOver::of(&Store::new(state_dir).load(), &identity.key())?)
}

/// Makes the first node of a new cluster ready. The configuration must not be there yet.
///
/// # Errors
/// [`SetupError`].
pub fn found(path: &Path, answers: &Answers, new: &NewCluster) -> Result<(), SetupError> {
    let keys = KeyDir::new(&answers.state_dir);
    let services = [(new.master.id(), Some(keys.master_file(&new.master.id())))];
    let text = |key| answers.text(Some((&new.name, key)), &services, &[]);
    parse(path, &text(ClusterKey([0; 32])))?;

    let identity = keys.identity_or_new()?;
    let certifier = match keys.certifier()? {
        Some(certifier) => certifier,
        None => Certifier::generate(&mut rand::rng()),
    };
    keys.keep_certifier(&certifier)?;
    keys.keep_master(&new.master)?;
    let certificate = match keys.certificate()? {
        Some(certificate) => fitting(&keys, certificate, &certifier, &identity.node)?,
        None => {
            let name = answers.name.clone();
            certifier.sign_certificate(own_certificate(name, identity.key(), &identity.node))
        }
    };
    keys.keep_certificate(&certificate)?;
    let state = MeshState {
        members: vec![Member { certificate, announcement: None }],
        ..MeshState::default()
    };
    remember(&answers.state_dir, &state);
    write_config(path, &text(certifier.key()))
}

/// The cluster's own word on its first node; it is not signed yet.
fn own_certificate(name: NodeId, key: crate::ident::PeerKey, node: &NodeSigner) -> Certificate {
    Certificate {
        name,
        key,
        node_key: node.key(),
        bootstrap: true,
        publisher: true,
        removed: false,
        serial: 1,
        issued: clock::now().wall,
        token: TokenId([0; 16]),
        generation: 0,
        signature: [0; 64],
    }
}

/// A certificate that an interrupted run left behind.
fn fitting(
    keys: &KeyDir,
    certificate: Certificate,
    certifier: &Certifier,
    node: &NodeSigner,
) -> Result<Certificate, SetupError> {
    let other = |why| SetupError::Certificate { path: keys.file("member.cert"), why };
    let authority = Authority::new(&certifier.key()).map_err(other)?;
    authority.verify_certificate(&certificate).map_err(other)?;
    match certificate.node_key == node.key() {
        true => Ok(certificate),
        false => Err(other(Untrusted::Key)),
    }
}

/// Written down for the first start; one that remembers more stays.
fn remember(state_dir: &Path, state: &MeshState) {
    let mut store = Store::new(state_dir);
    if store.load() == MeshState::default() {
        store.save(state);
    }
}

/// The configuration with which a newcomer knocks: its cluster is a placeholder.
///
/// # Errors
/// [`SetupError::Answers`].
pub fn newcomer(path: &Path, answers: &Answers) -> Result<Config, SetupError> {
    let placeholder: NodeId = "newcomer".parse().expect("this is a name");
    let text = answers.text(Some((&placeholder, ClusterKey([0; 32]))), &[], &[]);
    parse(path, &text)
}

/// Writes the configuration of a node that was let in.
///
/// # Errors
/// [`SetupError`].
pub fn settle(path: &Path, answers: &Answers, joined: &Joined) -> Result<(), SetupError> {
    let keys = KeyDir::new(&answers.state_dir);
    let key_file = |service: &HsId| {
        let path = keys.master_file(service);
        matches!(path.try_exists(), Ok(true)).then_some(path)
    };
    let services: Vec<_> =
        joined.services.iter().map(|service| (*service, key_file(service))).collect();
    let text = answers.text(Some((&joined.cluster, joined.key)), &services, &joined.doors);
    parse(path, &text)?;
    write_config(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Config, SetupError> {
    Config::parse(text, path).map(|loaded| loaded.config).map_err(SetupError::Answers)
}

fn write_config(path: &Path, text: &str) -> Result<(), SetupError> {
    let unwritable = |cause| SetupError::Unwritable { path: path.to_owned(), cause };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(unwritable)?;
    }
    files::replace(path, text.as_bytes(), CONFIG_MODE).map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::ident::PeerKey;
    use crate::message::{Announcement, Door};

    struct Fixture {
        dir: tempfile::TempDir,
        answers: Answers,
        new: NewCluster,
    }

    fn fixture() -> Fixture {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let answers = Answers {
            endpoint: Some("192.0.2.1:51820".parse().unwrap()),
            ..Answers::new("node-a".parse().unwrap(), state_dir)
        };
        let master = MasterKey::generate(&mut rand::rng());
        let new = NewCluster { name: "newsroom".parse().unwrap(), master };
        Fixture { dir, answers, new }
    }

    impl Fixture {
        fn config(&self) -> PathBuf {
            self.dir.path().join("etc/config.toml")
        }

        fn found(&self) -> Result<(), SetupError> {
            found(&self.config(), &self.answers, &self.new)
        }

        /// Every file with its content.
        fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
            let mut found = BTreeMap::new();
            for dir in ["etc", "state", "state/keys"] {
                for entry in std::fs::read_dir(self.dir.path().join(dir)).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_file() {
                        found.insert(path.clone(), std::fs::read(path).unwrap());
                    }
                }
            }
            found
        }
    }

    #[test]
    fn a_new_cluster_has_one_member_that_it_certifies_itself() {
        let fixture = fixture();
        fixture.found().unwrap();
        let config = Config::load(&fixture.config()).unwrap().config;
        let cluster = config.cluster.unwrap();
        let state = Store::new(&fixture.answers.state_dir).load();
        let [member] = &state.members[..] else { panic!("{state:?}") };
        let authority = Authority::new(&cluster.key).unwrap();
        assert!(authority.verify_member(member).is_ok());
        assert!(member.certificate.bootstrap && member.certificate.publisher);
        assert_eq!(config.services[0].onion, fixture.new.master.id());
        assert!(crate::daemon::keys::load(&config.services).is_ok());
        let mode = std::fs::metadata(fixture.config()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, CONFIG_MODE);
    }

    #[test]
    fn a_second_run_after_an_interrupted_one_changes_no_key() {
        let fixture = fixture();
        fixture.found().unwrap();
        let before = fixture.files();
        std::fs::remove_file(fixture.config()).unwrap();
        fixture.found().unwrap();
        assert_eq!(fixture.files(), before);
    }

    #[test]
    fn the_same_answers_are_done_and_different_ones_are_named() {
        let fixture = fixture();
        let path = fixture.config();
        let done = |answers: &Answers, cluster: &str| {
            is_done(&path, answers, Some(&cluster.parse().unwrap()), None)
        };
        assert!(!done(&fixture.answers, "newsroom").unwrap());
        fixture.found().unwrap();
        assert!(done(&fixture.answers, "newsroom").unwrap());
        let other = Answers {
            name: "node-b".parse().unwrap(),
            endpoint: Some("192.0.2.2:51820".parse().unwrap()),
            wireguard: false,
            ..fixture.answers.clone()
        };
        let text = done(&other, "other").unwrap_err().to_string();
        let text = text.replace(&fixture.dir.path().display().to_string(), "DIR");
        insta::assert_snapshot!(text, @r#"
        DIR/etc/config.toml is there already and says something else; nothing was changed:
          [node] name is "node-a", not "node-b"
          [wireguard] enabled is "true", not "false"
          [wireguard] endpoint is "192.0.2.1:51820", not "192.0.2.2:51820"
          [cluster] name is "newsroom", not "other"
        "#);
    }

    #[test]
    fn a_node_that_has_left_or_was_removed_is_not_done_but_over() {
        let fixture = fixture();
        fixture.found().unwrap();
        let mut store = Store::new(&fixture.answers.state_dir);
        let mut state = store.load();
        let mut after = |change: &dyn Fn(&mut Member)| {
            change(&mut state.members[0]);
            store.save(&state);
            is_done(&fixture.config(), &fixture.answers, None, None)
        };
        let said = |left| {
            let said = Announcement { left, ..crate::daemon::samples::announcement("node-a") };
            move |member: &mut Member| member.announcement = Some(said.clone())
        };
        assert!(after(&said(false)).unwrap());
        assert!(matches!(after(&said(true)), Err(SetupError::Over(MembershipOver::Left))));
        let removed = after(&|member| member.certificate.removed = true);
        assert!(matches!(removed, Err(SetupError::Over(MembershipOver::Removed))));
    }

    #[test]
    fn a_foreign_certificate_in_the_way_is_refused() {
        let (one, two) = (fixture(), fixture());
        one.found().unwrap();
        two.found().unwrap();
        let file = |f: &Fixture| f.answers.state_dir.join("keys/member.cert");
        std::fs::copy(file(&one), file(&two)).unwrap();
        std::fs::remove_file(two.config()).unwrap();
        assert!(matches!(two.found(), Err(SetupError::Certificate { .. })));
        assert!(!two.config().exists());
    }

    #[test]
    fn a_newcomer_that_was_let_in_gets_the_configuration_of_its_cluster() {
        let fixture = fixture();
        let master = &fixture.new.master;
        let draft = newcomer(&fixture.config(), &fixture.answers).unwrap();
        assert_eq!((draft.services.len(), draft.peers.len()), (0, 0));
        KeyDir::new(&fixture.answers.state_dir).keep_master(master).unwrap();
        let joined = Joined {
            cluster: "newsroom".parse().unwrap(),
            key: ClusterKey([3; 32]),
            services: vec![master.id(), HsId(crate::wire::NodeSigner::from_seed(&[1; 32]).key().0)],
            nodes: vec!["node-a".parse().unwrap()],
            doors: vec![Door {
                key: PeerKey([8; 32]),
                endpoint: Some("192.0.2.7:51820".parse().unwrap()),
                onion: None,
            }],
        };
        settle(&fixture.config(), &fixture.answers, &joined).unwrap();
        let config = Config::load(&fixture.config()).unwrap().config;
        assert_eq!(config.cluster.unwrap().key, joined.key);
        assert_eq!(config.peers[0].key, PeerKey([8; 32]));
        assert!(config.services[0].key_file.is_some() && config.services[1].key_file.is_none());
    }
}
