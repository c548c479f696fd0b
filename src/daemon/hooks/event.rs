//! What of all that happens is told to hooks, and how.

use serde_json::json;

use crate::config::HookEvent;
use crate::daemon::clock;
use crate::daemon::report::{blocked, mesh};
use crate::engine::{Blocked, MeshReport, Report};
use crate::ident::NodeId;
use crate::status::rfc3339;

/// Something that hooks may be run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::daemon) struct Happening {
    pub(super) event: HookEvent,
    peer: Option<NodeId>,
    message: String,
}

impl Happening {
    pub(in crate::daemon) fn new(event: HookEvent, message: impl Into<String>) -> Happening {
        Happening { event, peer: None, message: message.into() }
    }

    /// Names the peer that it is about.
    pub(in crate::daemon) fn about(self, peer: &NodeId) -> Happening {
        Happening { peer: Some(peer.clone()), ..self }
    }

    /// What a report is to hooks; most are nothing.
    pub(in crate::daemon) fn of(report: &Report) -> Option<Happening> {
        match report {
            Report::PublishConfirmed { confirmed: [first, second], .. } => {
                let message = format!("descriptor confirmed on {} HSDirs", first + second);
                Some(Happening::new(HookEvent::PublishOk, message))
            }
            Report::PublishPartial { confirmed: 0, target, last, .. } => {
                let message =
                    format!("no HSDir of {target} has confirmed the descriptor (last: {last})");
                Some(Happening::new(HookEvent::PublishFailed, message))
            }
            Report::DescriptorLapsing { age, .. } => {
                let minutes = age.as_secs() / 60;
                let message = format!("no HSDir has confirmed a descriptor for {minutes} min");
                Some(Happening::new(HookEvent::PublishFailed, message))
            }
            Report::RivalDescriptor { hsdir, .. } => {
                let message = format!("HSDir {hsdir} holds a descriptor this node did not sign");
                Some(Happening::new(HookEvent::SplitPublisher, message))
            }
            Report::Blocked(Some(why @ (Blocked::ClockBehind | Blocked::ConsensusExpired))) => {
                Some(Happening::new(HookEvent::ClockBad, blocked(*why)))
            }
            Report::Mesh(report) => of_mesh(report),
            _ => None,
        }
    }

    fn severity(&self) -> &'static str {
        match self.event {
            HookEvent::PublishFailed | HookEvent::Partition => "crit",
            HookEvent::PeerDead
            | HookEvent::PublisherLost
            | HookEvent::SplitPublisher
            | HookEvent::TorDown
            | HookEvent::ClockBad
            | HookEvent::AppDown => "warn",
            _ => "info",
        }
    }

    /// As variables of the environment; what is not known is empty.
    pub(super) fn environment(
        &self,
        cluster: Option<&str>,
        node: &str,
    ) -> Vec<(&'static str, String)> {
        vec![
            ("RB_EVENT", self.event.name().to_owned()),
            ("RB_CLUSTER", cluster.unwrap_or_default().to_owned()),
            ("RB_NODE", node.to_owned()),
            ("RB_PEER", self.peer.as_ref().map(NodeId::to_string).unwrap_or_default()),
            ("RB_SEVERITY", self.severity().to_owned()),
        ]
    }

    /// As one line of JSON; what is not known is `null`.
    pub(super) fn input(&self, cluster: Option<&str>, node: &str) -> Vec<u8> {
        let document = json!({
            "event": self.event.name(),
            "cluster": cluster,
            "node": node,
            "peer": self.peer.as_ref().map(NodeId::as_str),
            "severity": self.severity(),
            "at": rfc3339(clock::now().wall),
            "message": self.message,
        });
        format!("{document}\n").into_bytes()
    }
}

fn of_mesh(report: &MeshReport) -> Option<Happening> {
    let (event, peer) = match report {
        MeshReport::PeerMissed { peer, missed: 2, .. } => (HookEvent::PeerSuspect, Some(peer)),
        MeshReport::PeerDead { peer, .. } => (HookEvent::PeerDead, Some(peer)),
        MeshReport::PeerRecovered { peer, .. } => (HookEvent::PeerRecovered, Some(peer)),
        MeshReport::Partition => (HookEvent::Partition, None),
        MeshReport::NodeJoined { peer } => (HookEvent::NodeJoined, Some(peer)),
        MeshReport::NodeLeft { peer } | MeshReport::NodeRemoved { peer } => {
            (HookEvent::NodeLeft, Some(peer))
        }
        MeshReport::ClockSkew { peer, .. } => (HookEvent::ClockBad, Some(peer)),
        _ => return None,
    };
    let message = mesh::lines(report).into_iter().next()?.text;
    let happening = Happening::new(event, message);
    Some(match peer {
        Some(peer) => happening.about(peer),
        None => happening,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ident::HsId;

    fn event(report: &Report) -> Option<(&'static str, &'static str)> {
        Happening::of(report).map(|happening| (happening.event.name(), happening.severity()))
    }

    #[test]
    fn what_an_operator_wants_to_know_is_a_happening() {
        let peer: NodeId = "node-c".parse().unwrap();
        let missed =
            |missed| Report::Mesh(MeshReport::PeerMissed { peer: peer.clone(), missed, left: 1 });
        let partial = |confirmed| Report::PublishPartial {
            service: HsId([1; 32]),
            confirmed,
            target: 16,
            last: "timeout".to_owned(),
        };
        assert_eq!(event(&missed(1)), None);
        assert_eq!(event(&missed(2)), Some(("peer_suspect", "info")));
        assert_eq!(event(&missed(3)), None, "it was told");
        assert_eq!(event(&partial(3)), None);
        assert_eq!(event(&partial(0)), Some(("publish_failed", "crit")));
        assert_eq!(event(&Report::Mesh(MeshReport::Partition)), Some(("partition", "crit")));
        let dead = MeshReport::PeerDead { peer, points: 3, grace: Duration::from_secs(30) };
        let happening = Happening::of(&Report::Mesh(dead)).unwrap();
        let input: serde_json::Value =
            serde_json::from_slice(&happening.input(None, "node-a")).unwrap();
        assert_eq!(
            input["message"].as_str(),
            Some("Peer node-c declared DEAD, removing 3 intro points in 30s unless it returns")
        );
        assert!(input["cluster"].is_null());
    }
}
