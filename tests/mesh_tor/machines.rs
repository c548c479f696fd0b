//! Machines of a cluster on the private Tor network: a node made as its operator makes it, and a
//! front with a tor of its own beside it.

use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;
use testnet::{Front, UdpRelay};

use crate::yard::{self, Plan, Yard, entry, now};

/// How the node reaches the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ways {
    /// Over WireGuard, through a relay that can lose datagrams, and over Tor.
    Both,
    TorOnly,
}

/// One machine. Its node and its front have the same name.
pub(crate) struct Machine {
    pub(crate) front: Front,
    machine: yard::Machine,
}

impl Deref for Machine {
    type Target = yard::Machine;

    fn deref(&self) -> &yard::Machine {
        &self.machine
    }
}

impl Machine {
    /// The machine of this front, on which nothing is set up yet.
    ///
    /// Its node says more, has less patience with a tor that went away, and makes as many rounds
    /// as there are changes: a day's worth of them happens here in minutes.
    pub(crate) fn new(yard: &Yard, front: Front, binary: &Path, ways: Ways) -> Machine {
        let plan = Plan::new(front.name())
            .binary(binary)
            .with_tor(&front.control_socket(), front.onion())
            .line("[node]", "log_level = \"debug\"")
            .line("[tor]", "reconnect_max = 1")
            .line("[publish]", "burst = 100");
        let plan = match ways {
            Ways::Both => plan.relayed(),
            Ways::TorOnly => plan.without_wireguard(),
        };
        let machine = yard.machine(plan);
        Machine { front, machine }
    }

    /// Loses all datagrams between both nodes, on whichever way they go.
    pub(crate) fn cut(&self, other: &Machine) {
        for (one, other) in [(self, other), (other, self)] {
            one.relay.as_ref().expect("it has one").block(other.socket);
        }
    }

    /// Carries all datagrams to and from this node again.
    pub(crate) fn heal(&self) {
        self.relay.iter().for_each(UdpRelay::heal);
    }

    /// How this node sees that one, in its status document.
    pub(crate) fn sees(&self, other: &str) -> Value {
        entry(&self.node.status().unwrap(), other)
    }

    /// Waits until this node sees that one so.
    #[track_caller]
    pub(crate) fn wait_peer(
        &self,
        other: &str,
        what: &str,
        within: Duration,
        wanted: impl Fn(&Value) -> bool,
    ) {
        let seen = self.node.wait_status(within, |status| wanted(&entry(status, other)));
        if let Err(error) = seen {
            panic!("{} does not see {other} {what}: {error:#}", self.name);
        }
    }
}

/// It was heard over Tor after that moment.
pub(crate) fn heard_over_tor_since(began: Instant) -> impl Fn(&Value) -> bool {
    move |seen| seen["seen_tor_s"].as_u64().is_some_and(|ago| ago < (now() - began).as_secs())
}

/// It was heard over Tor so lately that the way stands ready.
pub(crate) fn is_warm(seen: &Value) -> bool {
    seen["seen_tor_s"].as_u64().is_some_and(|ago| ago <= 35)
}
