//! What our tor is to do for the mesh: keep our two onion services, and visit those of others.
//!
//! | service | who may come | while |
//! |---|---|---|
//! | coordination | the members, each with its client key | there is another member |
//! | join | newcomers, each with the key of its invitation | an unused invitation is there |
//!
//! Tor forgets all of it with our control connection, so what it was told is kept here and told
//! again. Only differences are told; a service whose clients change is taken down and put up again,
//! because tor knows no other way.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::control::command::{OnionService, Secret};
use crate::control::{Client, RequestError};
use crate::hs::address;
use crate::hs::keys::MasterKey;
use crate::ident::{HsId, PeerKey};
use crate::transport::ONION_PORT;

/// How long nothing more is told after tor has refused something.
const REFUSED_PAUSE: Duration = Duration::from_secs(10);

/// Changes of one moment are told together: a service that comes and goes cannot be found.
const SETTLE: Duration = Duration::from_secs(1);

/// The status of a reply to a wish that is fulfilled already, or of one to end what is not there.
const NOT_THERE: u16 = 552;

/// The name of one of our services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    Coordination,
    Join,
}

/// One thing to tell tor.
#[derive(Debug)]
pub(in crate::daemon) enum Step {
    Up(OnionService),
    Down(HsId),
    Visit(HsId, Secret<32>),
    Avoid(HsId),
}

/// What tor was told, or is to be told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    clients: BTreeMap<Service, BTreeSet<[u8; 32]>>,
    visits: BTreeMap<HsId, [u8; 32]>,
}

/// Both services, and whom we visit.
pub(super) struct Onions {
    keys: BTreeMap<Service, MasterKey>,
    client: [u8; 32],
    target: Option<SocketAddr>,
    members: BTreeMap<PeerKey, Member>,
    newcomers: BTreeSet<[u8; 32]>,
    doors: BTreeMap<HsId, [u8; 32]>,
    told: Wanted,
    /// Something changed since it was last looked at what is to be told.
    stale: bool,
    /// Tor has refused something: nobody knows what it took before.
    unsure: bool,
    under_way: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Member {
    onion: Option<HsId>,
    client_key: Option<[u8; 32]>,
}

impl Onions {
    /// `target`: where streams are accepted; `None`: nobody is to come over Tor.
    pub(super) fn new(
        coordination: MasterKey,
        join: MasterKey,
        client: [u8; 32],
        target: Option<SocketAddr>,
    ) -> Onions {
        Onions {
            keys: BTreeMap::from([(Service::Coordination, coordination), (Service::Join, join)]),
            client,
            target,
            members: BTreeMap::new(),
            newcomers: BTreeSet::new(),
            doors: BTreeMap::new(),
            told: Wanted::default(),
            stale: false,
            unsure: false,
            under_way: false,
        }
    }

    /// The address of the service that lets newcomers in; `None`: nobody is to come over Tor.
    pub(super) fn join_address(&self) -> Option<HsId> {
        self.target.map(|_| self.keys[&Service::Join].id())
    }

    /// A member, with what it announced.
    pub(super) fn admit(
        &mut self,
        key: PeerKey,
        onion: Option<HsId>,
        client_key: Option<[u8; 32]>,
    ) {
        self.stale = true;
        self.members.insert(key, Member { onion, client_key });
    }

    /// Somebody with whom the engine keeps sessions: a member, or a bootstrap node of the
    /// configuration.
    pub(super) fn knows(&self, key: &PeerKey) -> bool {
        self.members.contains_key(key)
    }

    /// A member no more.
    pub(super) fn dismiss(&mut self, key: &PeerKey) {
        self.stale = true;
        self.members.remove(key);
    }

    /// The client keys of the invitations that are good now.
    pub(super) fn expect_newcomers(&mut self, keys: impl Iterator<Item = [u8; 32]>) {
        self.stale = true;
        self.newcomers = keys.collect();
    }

    /// A door of our own invitation, with the secret that opens it.
    pub(super) fn knock_at(&mut self, door: HsId, secret: [u8; 32]) {
        self.stale = true;
        self.doors.insert(door, secret);
    }

    /// Tor has forgotten everything.
    pub(super) fn tor_lost(&mut self) {
        self.told = Wanted::default();
        self.stale = true;
        self.unsure = false;
        self.under_way = false;
    }

    /// What is to be told now, in order; empty while the last telling is under way.
    pub(super) fn steps(&mut self) -> Vec<Step> {
        if self.under_way || !(self.stale || self.unsure) {
            return Vec::new();
        }
        self.stale = false;
        let wanted = self.wanted();
        if wanted == self.told && !self.unsure {
            return Vec::new();
        }
        self.under_way = true;
        let unsure = std::mem::take(&mut self.unsure);
        let mut steps = Vec::new();
        let nobody = BTreeSet::new();
        for (service, key) in &self.keys {
            let clients = wanted.clients.get(service).unwrap_or(&nobody);
            let before = self.told.clients.get(service).unwrap_or(&nobody);
            if clients == before && !unsure {
                continue;
            }
            steps.extend((unsure || !before.is_empty()).then(|| Step::Down(key.id())));
            let Some(target) = self.target.filter(|_| !clients.is_empty()) else { continue };
            steps.push(Step::Up(OnionService {
                key: Secret::new(*key.expanded()),
                port: ONION_PORT,
                target,
                clients: clients.iter().copied().collect(),
            }));
        }
        let gone = self.told.visits.keys().filter(|onion| !wanted.visits.contains_key(onion));
        steps.extend(gone.map(|onion| Step::Avoid(*onion)));
        let known = |at: &HsId, key| !unsure && self.told.visits.get(at) == Some(key);
        let new = wanted.visits.iter().filter(|(at, key)| !known(at, key));
        steps.extend(new.map(|(onion, key)| Step::Visit(*onion, Secret::new(*key))));
        self.told = wanted;
        steps
    }

    /// The telling has ended; after a failure everything is told again.
    pub(super) fn told(&mut self, all: bool) {
        self.under_way = false;
        self.unsure = !all;
    }

    fn wanted(&self) -> Wanted {
        let Some(_) = self.target else { return Wanted::default() };
        let members: BTreeSet<[u8; 32]> =
            self.members.values().filter_map(|member| member.client_key).collect();
        let clients = [(Service::Coordination, members), (Service::Join, self.newcomers.clone())];
        let visits = self.members.values().filter_map(|member| Some((member.onion?, self.client)));
        Wanted {
            clients: clients.into_iter().filter(|(_, clients)| !clients.is_empty()).collect(),
            visits: visits.chain(self.doors.iter().map(|(at, key)| (*at, *key))).collect(),
        }
    }
}

/// Tells tor, one after the other.
///
/// # Errors
/// The first refusal, after a pause.
pub(in crate::daemon) async fn tell(control: Client, steps: Vec<Step>) -> Result<(), RequestError> {
    tokio::time::sleep(SETTLE).await;
    for step in steps {
        let told = match step {
            Step::Up(service) => control.add_onion(service).await.map(drop),
            Step::Down(id) => match control.del_onion(&address::bare(&id)).await {
                Err(RequestError::Refused { status: NOT_THERE, .. }) => Ok(()),
                other => other,
            },
            Step::Visit(id, key) => control.onion_client_auth_add(&address::bare(&id), key).await,
            Step::Avoid(id) => control.onion_client_auth_remove(&address::bare(&id)).await,
        };
        if told.is_err() {
            tokio::time::sleep(REFUSED_PAUSE).await;
            return told;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn onions() -> Onions {
        let key = || MasterKey::generate(&mut rand::rng());
        let target = Some("127.0.0.1:9".parse().unwrap());
        Onions::new(key(), key(), [1; 32], target)
    }

    fn words(steps: &[Step]) -> Vec<String> {
        let word = |step: &Step| match step {
            Step::Up(service) => format!("up for {}", service.clients.len()),
            Step::Down(_) => "down".to_owned(),
            Step::Visit(at, _) => format!("visit {}", at.0[0]),
            Step::Avoid(at) => format!("avoid {}", at.0[0]),
        };
        steps.iter().map(word).collect()
    }

    #[test]
    fn only_differences_are_told_and_one_telling_at_a_time() {
        let mut onions = onions();
        assert!(onions.steps().is_empty());
        onions.admit(PeerKey([2; 32]), Some(HsId([2; 32])), Some([20; 32]));
        assert_eq!(words(&onions.steps()), ["up for 1", "visit 2"]);
        onions.admit(PeerKey([3; 32]), Some(HsId([3; 32])), Some([30; 32]));
        assert!(onions.steps().is_empty(), "the first telling is under way");
        onions.told(true);
        assert_eq!(words(&onions.steps()), ["down", "up for 2", "visit 3"]);
        onions.told(true);
        assert!(onions.steps().is_empty());
        onions.dismiss(&PeerKey([2; 32]));
        assert_eq!(words(&onions.steps()), ["down", "up for 1", "avoid 2"]);
        onions.told(true);
        onions.dismiss(&PeerKey([3; 32]));
        assert_eq!(words(&onions.steps()), ["down", "avoid 3"]);
    }

    #[test]
    fn the_door_for_newcomers_is_there_while_an_invitation_is() {
        let mut onions = onions();
        onions.expect_newcomers([[9; 32]].into_iter());
        assert_eq!(words(&onions.steps()), ["up for 1"]);
        onions.told(true);
        onions.expect_newcomers(std::iter::empty());
        assert_eq!(words(&onions.steps()), ["down"]);
    }

    #[test]
    fn everything_is_told_again_to_a_new_tor_and_after_a_failure() {
        let mut onions = onions();
        onions.admit(PeerKey([2; 32]), Some(HsId([2; 32])), Some([20; 32]));
        onions.steps();
        onions.tor_lost();
        assert_eq!(words(&onions.steps()), ["up for 1", "visit 2"]);
        onions.told(false);
        assert_eq!(words(&onions.steps()), ["down", "up for 1", "down", "visit 2"]);
    }

    #[test]
    fn without_a_place_for_streams_tor_is_told_nothing() {
        let key = || MasterKey::generate(&mut rand::rng());
        let mut onions = Onions::new(key(), key(), [1; 32], None);
        onions.admit(PeerKey([2; 32]), Some(HsId([2; 32])), Some([20; 32]));
        onions.expect_newcomers([[9; 32]].into_iter());
        assert!(onions.steps().is_empty());
        assert_eq!(onions.join_address(), None);
    }
}
