//! What the mesh's side of the shell begins with: keys, certificate, memory and settings.

use std::net::SocketAddr;
use std::path::Path;

use base64ct::{Base64, Encoding as _};
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use super::onions::Onions;
use super::proof::Proof;
use super::{Identity, KeyDir, Peers, Store};
use crate::config::Config;
use crate::daemon::StartError;
use crate::daemon::identity::IdentityError;
use crate::daemon::keys::read_secret;
use crate::engine::{self, MeshState};
use crate::hs::keys::MasterKey;
use crate::ident::{ClusterId, ClusterKey, HsId, Incarnation, PeerKey};
use crate::message::{Announcement, Certificate, Door, VERSION_MAX_BYTES};
use crate::transport::{self, BindError};
use crate::wire::{Authority, Certifier, Invitation, cluster_id, derive};

/// Frames that may wait for the loop.
const EVENTS_WAITING_MAX: usize = 4096;

/// What makes the key of the service for newcomers from that of the coordination service, so that
/// its address outlives a restart without a file of its own.
const JOIN_SERVICE: &str = "rustbalance join service v1";

/// A node of a cluster, or one that wants to be: everything that was read before it starts.
pub(in crate::daemon) struct Member {
    identity: Identity,
    keys: KeyDir,
    store: Store,
    certifier: Option<Certifier>,
    certificate: Option<Certificate>,
    state: MeshState,
    proof: Proof,
    cluster: ClusterId,
    invitation: Option<Invitation>,
    preshared_key: Option<Zeroizing<[u8; 32]>>,
}

/// Why a node that was in a cluster is not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MembershipOver {
    /// It said goodbye.
    #[error(
        "this node has left its cluster. To come back: move its configuration away, then run \
         rustbalance join with a new invitation"
    )]
    Left,
    /// The cluster's word takes it out.
    #[error(
        "this node was removed from its cluster, and its keys are good for nothing any more. To \
         come back: move its configuration away, and wireguard.key and node.key in keys/ of its \
         state directory, then run rustbalance join with a new invitation"
    )]
    Removed,
}

impl MembershipOver {
    /// What the node with this key wrote down of itself.
    pub(in crate::daemon) fn of(state: &MeshState, key: &PeerKey) -> Result<(), MembershipOver> {
        let own = state.members.iter().find(|member| member.certificate.key == *key);
        match own {
            Some(own) if own.certificate.removed => Err(MembershipOver::Removed),
            Some(own) if own.announcement.as_ref().is_some_and(|said| said.left) => {
                Err(MembershipOver::Left)
            }
            _ => Ok(()),
        }
    }
}

/// The mesh's side of the shell, what comes from the peers, and the engine's settings.
pub(in crate::daemon) struct Settled {
    pub(in crate::daemon) peers: Peers,
    pub(in crate::daemon) events: mpsc::Receiver<transport::Event>,
    pub(in crate::daemon) settings: engine::MeshSettings,
}

impl Member {
    /// A node that has been let in.
    pub(in crate::daemon) fn load(config: &Config, key: &ClusterKey) -> Result<Member, StartError> {
        let keys = KeyDir::new(&config.node.state_dir);
        let identity = keys.identity()?;
        let Some(certificate) = keys.certificate()? else {
            return Err(IdentityError::Missing { path: keys.file("member.cert") }.into());
        };
        let store = Store::new(&config.node.state_dir);
        let mut state = store.load();
        let certifier = keys.certifier()?;
        // The statements are kept before the key, and the key before the state.
        let newer = certifier.as_ref().is_some_and(|own| {
            usize::try_from(own.generation()).is_ok_and(|own| own > state.successions.len())
        });
        if newer || state.members.is_empty() {
            state.successions = keys.successions()?;
        }
        let wrong = |why| StartError::Certificate { path: keys.file("member.cert"), why };
        let proof = Proof::of_member(key, &state.successions).map_err(wrong)?;
        let authority = proof.authority().expect("a member knows the first key");
        authority.verify_certificate(&certificate).map_err(wrong)?;
        let ours = certificate.key == identity.key() && certificate.name == config.node.name;
        if !ours {
            return Err(StartError::OtherCertificate {
                path: keys.file("member.cert"),
                found: certificate.name,
            });
        }
        let state = believed(state, authority);
        MembershipOver::of(&state, &identity.key())?;
        Ok(Member {
            cluster: cluster_id(key),
            state,
            certifier,
            certificate: Some(certificate),
            preshared_key: preshared_key(config)?,
            invitation: None,
            identity,
            keys,
            store,
            proof,
        })
    }

    /// A node with an invitation; its keys are made where they are missing.
    pub(in crate::daemon) fn newcomer(
        config: &Config,
        invitation: Invitation,
    ) -> Result<Member, StartError> {
        let keys = KeyDir::new(&config.node.state_dir);
        let store = Store::new(&config.node.state_dir);
        // Above that of an earlier life, in which it may have said goodbye a moment ago.
        let incarnation = store.load().incarnation;
        Ok(Member {
            identity: keys.identity_or_new()?,
            store,
            certifier: None,
            certificate: None,
            state: MeshState { incarnation, ..MeshState::default() },
            proof: Proof::of_newcomer(invitation.cluster()),
            cluster: invitation.cluster(),
            preshared_key: preshared_key(config)?,
            invitation: Some(invitation),
            keys,
        })
    }

    /// The master keys that were handed over to this node, of these services.
    pub(in crate::daemon) fn master_file(&self, service: &HsId) -> std::path::PathBuf {
        self.keys.master_file(service)
    }

    /// Opens the sockets.
    pub(in crate::daemon) async fn settle(
        self,
        config: &Config,
        instance: Option<HsId>,
        has_master_keys: bool,
        version: &str,
    ) -> Result<Settled, StartError> {
        let (events_in, events) = mpsc::channel(EVENTS_WAITING_MAX);
        let tor = config.resilience.tor_fallback_enabled || !config.wireguard.enabled;
        let settings = transport::Settings {
            private_key: self.identity.wireguard.clone(),
            preshared_key: self.preshared_key.clone(),
            cluster: self.cluster,
            listen: config.wireguard.enabled.then_some(config.wireguard.listen),
            stream_port: tor.then_some(config.coordination.stream_port),
            keepalive: config.wireguard.keepalive,
        };
        let transport = transport::bind(settings, events_in).await.map_err(|error| {
            let option = match error {
                BindError::Udp { .. } => "[wireguard] listen",
                BindError::Streams { .. } => "[coordination] stream_port",
            };
            StartError::Socket(anyhow::anyhow!("{error}. Is another program there? Set {option}"))
        })?;
        let join =
            MasterKey::from_seed(&derive(JOIN_SERVICE, self.identity.coordination.expanded()));
        let settings = self.settings(config, instance, has_master_keys, version, &transport);
        let coordination =
            MasterKey::from_expanded(Zeroizing::new(*self.identity.coordination.expanded()));
        let onions = Onions::new(
            coordination.expect("it is a key already"),
            join,
            *self.identity.client,
            transport.stream_port(),
        );
        let peers = Peers {
            transport,
            proof: self.proof,
            identity: self.identity,
            keys: self.keys,
            store: self.store,
            certifier: self.certifier,
            certificate: self.certificate,
            services: config.services.iter().map(|service| service.onion).collect(),
            invitation: self.invitation,
            incarnation: Incarnation::default(),
            onions,
            retried_at: None,
        };
        Ok(Settled { peers, events, settings })
    }

    fn settings(
        &self,
        config: &Config,
        instance: Option<HsId>,
        has_master_keys: bool,
        version: &str,
        transport: &transport::Transport,
    ) -> engine::MeshSettings {
        let tor = transport.stream_port().is_some();
        let name = config.node.name.clone();
        let announcement = Announcement {
            name: name.clone(),
            incarnation: Incarnation::default(),
            endpoint: announced_endpoint(config, transport.local_endpoint()),
            onion: tor.then(|| self.identity.coordination.id()),
            client_key: tor.then(|| self.identity.client_key()),
            instance,
            priority: config.node.priority,
            weight: config.node.weight,
            spare: config.node.spare,
            drained: false,
            left: false,
            version: version.chars().take(VERSION_MAX_BYTES).collect(),
            signature: [0; 64],
        };
        let cluster = config.cluster.as_ref();
        engine::MeshSettings {
            cluster: cluster.map_or(name, |cluster| cluster.name.clone()),
            cluster_key: cluster.map_or(ClusterKey([0; 32]), |cluster| cluster.key),
            key: self.identity.key(),
            node_key: self.identity.node.key(),
            announcement,
            certificate: self.certificate.clone(),
            certifier: self.certifier.as_ref().map(Certifier::generation),
            has_master_keys,
            state: self.state.clone(),
            doors: match &self.invitation {
                Some(invitation) => invitation.doors().to_vec(),
                None => doors(config),
            },
            heartbeat_interval: config.coordination.heartbeat_interval,
            dead_threshold: config.resilience.dead_threshold,
            removal_grace: config.resilience.removal_grace_period,
            wireguard: config.wireguard.enabled,
            tor_fallback: tor,
            clock_tolerance: config.coordination.clock_skew_tolerance,
            expect: cluster.and_then(|cluster| cluster.expect),
        }
    }
}

fn doors(config: &Config) -> Vec<Door> {
    let door = |peer: &crate::config::Peer| Door {
        key: peer.key,
        endpoint: peer.endpoint,
        onion: peer.onion,
    };
    config.peers.iter().map(door).collect()
}

/// What the others are told: what the configuration says, else the socket's own address when it is
/// one that others can send to.
fn announced_endpoint(config: &Config, local: Option<SocketAddr>) -> Option<SocketAddr> {
    let local = local.filter(|address| !address.ip().is_unspecified());
    config.wireguard.endpoint.or(local)
}

/// What was written down, without what is not rightly signed.
fn believed(mut state: MeshState, authority: &Authority) -> MeshState {
    let before = state.members.len() + state.tokens.len();
    state.members.retain(|member| authority.verify_member(member).is_ok());
    state.tokens.retain(|token| authority.verify_token(token).is_ok());
    let dropped = before - state.members.len() - state.tokens.len();
    if dropped > 0 {
        tracing::warn!(
            event = "store_forged",
            "{dropped} entries of mesh.json are not rightly signed and were left out: somebody \
             has changed the file, or it is another cluster's"
        );
    }
    state
}

fn preshared_key(config: &Config) -> Result<Option<Zeroizing<[u8; 32]>>, StartError> {
    let Some(path) = &config.wireguard.preshared_key_file else { return Ok(None) };
    let content = read_secret(path, "the preshared key")?;
    let key = parse_preshared_key(&content).ok_or_else(|| unusable(path))?;
    Ok(Some(key))
}

fn parse_preshared_key(content: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = std::str::from_utf8(content).ok()?.trim();
    let mut key = Zeroizing::new([0; 32]);
    let length = Base64::decode(text, &mut *key).ok()?.len();
    (length == key.len()).then_some(key)
}

fn unusable(path: &Path) -> StartError {
    let path = path.to_owned();
    StartError::Identity(IdentityError::Damaged {
        path,
        what: "a preshared key is 32 bytes in base64, as `wg genpsk` prints them".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preshared_key_is_what_wg_genpsk_prints() {
        let text = Base64::encode_string(&[7; 32]);
        assert_eq!(*parse_preshared_key(format!("{text}\n").as_bytes()).unwrap(), [7; 32]);
        for bad in [&b""[..], b"short", &text.as_bytes()[..40], &[0xff; 44]] {
            assert!(parse_preshared_key(bad).is_none());
        }
    }
}
