//! Getting into a cluster with an invitation, before the node runs for the first time.

use std::collections::BTreeMap;

use tokio::sync::mpsc;

use crate::config::{Config, PEERS_MAX};
use crate::control;
use crate::engine::{Engine, MeshReport, MeshView, PeerView};
use crate::ident::{ClusterKey, HsId, NodeId};
use crate::message::{Door, JoinRefusal, Path, Welcome};
use crate::wire::Invitation;

use super::StartError;
use super::identity::IdentityError;
use super::peers::Member;
use super::report::mesh::join_refusal;
use super::shell::Shell;
use super::signer::Signer;

/// How far a newcomer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It knocks at a bootstrap node.
    Knocking {
        /// Its place in the invitation.
        door: u8,
        /// How.
        path: Path,
        /// How often it has tried.
        attempt: u32,
    },
    /// It is in.
    Welcomed {
        /// The cluster's name.
        cluster: NodeId,
    },
    /// It has the keys that its certificate entitles it to, so many master keys among them.
    KeysReceived {
        /// The key that certifies members.
        certifier: bool,
        /// How many.
        master_keys: usize,
    },
    /// It knows so many other nodes.
    Members(usize),
}

/// What a newcomer knows once it is in. Keys, certificate and state are in their files then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined {
    /// The cluster's name.
    pub cluster: NodeId,
    /// The first of the keys that certify; its hash stood in the invitation.
    pub key: ClusterKey,
    /// The master addresses.
    pub services: Vec<HsId>,
    /// The other nodes.
    pub nodes: Vec<NodeId>,
    /// Bootstrap nodes among them, to be asked when the state is lost. At most 8.
    pub doors: Vec<Door>,
}

/// Why it is not let in.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A bootstrap node said no.
    #[error("not let in: {}", join_refusal(*.0))]
    Refused(JoinRefusal),
    /// Nobody answered.
    #[error(
        "no bootstrap node of the invitation answered. Is one of them up, its UDP port open, and \
         this machine's tor running?"
    )]
    NobodyAnswered,
    /// The keys cannot be read or written.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The system refused what is needed.
    #[error(transparent)]
    Start(Box<StartError>),
    /// Somebody ended the program.
    #[error("interrupted")]
    Interrupted,
    /// It is in, and the keys that it may have did not come.
    #[error(
        "let in, but no node that has the keys answered. Start the node nevertheless: it goes on \
         asking"
    )]
    NoKeys(Box<Joined>),
}

/// Knocks at the doors of the invitation until one opens, and keeps what it is told in the files of
/// the state directory.
///
/// `config` is a newcomer's (see [`setup::newcomer`](super::setup::newcomer)). Blocks; `progress`
/// is told how far it is.
///
/// # Errors
/// [`JoinError`].
pub fn join(
    config: Config,
    version: &str,
    invitation: Invitation,
    progress: &mut dyn FnMut(&Progress),
) -> Result<Joined, JoinError> {
    let member = Member::newcomer(&config, invitation)?;
    let runtime = super::runtime()?;
    runtime.block_on(async {
        let instance = super::own_instance(&config).ok();
        let settled = member.settle(&config, instance, false, version).await?;
        let (events_in, events) = mpsc::channel(super::EVENTS_WAITING_MAX);
        let control = control::spawn(super::control_settings(&config), events_in);
        let nobody = HsId([0; 32]);
        let instance = instance.unwrap_or(nobody);
        let settings = super::engine_settings(&config, instance, Some(settled.settings));
        let (engine, signer) = (Engine::new(settings), Signer::new(BTreeMap::new()));
        let mesh = Some((settled.peers, settled.events));
        let version = version.to_owned();
        let shell = Shell::new(config, version, instance, engine, signer, control, mesh);
        let mut keys = None;
        let mut told = |news: &MeshReport| {
            if let MeshReport::Joined { welcome, .. } = news {
                keys = keys_of(welcome);
            }
            tell(news, progress);
        };
        let joined = shell.join(events, &mut told).await?;
        keys.iter().for_each(progress);
        Ok(joined)
    })
}

/// The keys that the certificate entitles to, where there are any.
fn keys_of(welcome: &Welcome) -> Option<Progress> {
    let certificate = &welcome.certificate;
    let master_keys = if certificate.publisher { welcome.services.len() } else { 0 };
    let entitled = certificate.bootstrap || master_keys > 0;
    entitled.then_some(Progress::KeysReceived { certifier: certificate.bootstrap, master_keys })
}

fn tell(news: &MeshReport, progress: &mut dyn FnMut(&Progress)) {
    match news {
        MeshReport::Knocking { door, path, attempt, .. } => {
            progress(&Progress::Knocking { door: *door, path: *path, attempt: *attempt });
        }
        MeshReport::Joined { welcome, peers } => {
            progress(&Progress::Welcomed { cluster: welcome.cluster.clone() });
            progress(&Progress::Members(*peers));
        }
        _ => {}
    }
}

impl From<StartError> for JoinError {
    fn from(error: StartError) -> JoinError {
        JoinError::Start(Box::new(error))
    }
}

impl Joined {
    /// What the welcome and the table say.
    pub(super) fn new(welcome: &Welcome, mesh: Option<&MeshView>) -> Joined {
        let peers = mesh.map_or(&[][..], |mesh| &mesh.peers);
        let door =
            |peer: &PeerView| Door { key: peer.key, endpoint: peer.endpoint, onion: peer.onion };
        let bootstrap = peers.iter().filter(|peer| peer.bootstrap).map(door);
        let reachable = bootstrap.filter(|door| door.endpoint.is_some() || door.onion.is_some());
        Joined {
            cluster: welcome.cluster.clone(),
            key: welcome.key,
            services: welcome.services.clone(),
            nodes: peers.iter().map(|peer| peer.name.clone()).collect(),
            doors: reachable.take(PEERS_MAX).collect(),
        }
    }
}
