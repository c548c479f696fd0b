//! What came in a session, read, and every signature in it checked.
//!
//! Knows the keys that certify. Does not know who is a member or what a sender may say: that is the
//! engine's.

use crate::ident::{ClusterId, ClusterKey};
use crate::message::{Body, Frame, Member, Refusal, Succession, Welcome};
use crate::wire::certify::verify_request;
use crate::wire::{Authority, Content, Standing, Untrusted, cluster_id, decode};

/// Why something that came is not handed on; `None`: it is only not understood here, and nobody's
/// fault.
pub(super) type Dropped = Option<Refusal>;

/// The judge of what comes.
#[derive(Debug)]
pub(super) struct Proof {
    cluster: ClusterId,
    /// `None`: a newcomer, who knows no more than the hash of the first key.
    authority: Option<Authority>,
}

impl Proof {
    /// A member's: the first key stands in its configuration.
    pub(super) fn of_member(
        first: &ClusterKey,
        successions: &[Succession],
    ) -> Result<Proof, Untrusted> {
        let mut authority = Authority::new(first)?;
        for succession in successions {
            authority.learn(succession)?;
        }
        Ok(Proof { cluster: cluster_id(first), authority: Some(authority) })
    }

    /// A newcomer's: the hash stands in its invitation.
    pub(super) fn of_newcomer(cluster: ClusterId) -> Proof {
        Proof { cluster, authority: None }
    }

    /// The keys, once they are known.
    pub(super) fn authority(&self) -> Option<&Authority> {
        self.authority.as_ref()
    }

    /// Takes in the next key that certifies; the keys know it from then on.
    pub(super) fn learn(&mut self, succession: &Succession) -> Result<(), Untrusted> {
        let authority = self.authority.as_mut().expect("whoever certifies knows the keys");
        authority.learn(succession).map(|_| ())
    }

    /// Reads what came. Of those that are not `known` no further keys are learnt: whoever had an
    /// older one could make them.
    pub(super) fn content(&mut self, payload: &[u8], known: bool) -> Result<Content, Dropped> {
        let mut content = decode(payload).map_err(|error| error.refusal())?;
        if let Content::Frame(Frame { body: Body::Successions(_), .. }) = &content
            && !known
        {
            return Err(Some(Refusal::Stranger));
        }
        if let Content::Frame(frame) = &mut content {
            self.check(frame)?;
        }
        Ok(content)
    }

    fn check(&mut self, frame: &mut Frame) -> Result<(), Dropped> {
        match &mut frame.body {
            Body::Members(members) => self.members(members),
            Body::Present(member) | Body::Leave(member) => {
                self.believed(|authority| authority.verify_member(member)).map(|_| ())
            }
            Body::Tokens(tokens) => tokens.iter().try_for_each(|token| {
                self.believed(|authority| authority.verify_token(token)).map(|_| ())
            }),
            Body::Successions(successions) => {
                let authority = self.authority.as_mut().ok_or(None)?;
                successions.iter().try_for_each(|succession| {
                    authority.learn(succession).map(|_| ()).map_err(Untrusted::refusal)
                })
            }
            Body::Join(request) => verify_request(request).map_err(Untrusted::refusal),
            Body::Welcome(welcome) => self.welcome(welcome),
            _ => Ok(()),
        }
    }

    /// Keeps the entries that can be judged here; a forged one condemns the frame.
    fn members(&self, members: &mut Vec<Member>) -> Result<(), Dropped> {
        let (before, mut forged) = (members.len(), None);
        members.retain(|member| {
            let believed = self.believed(|authority| authority.verify_member(member));
            if let Err(Some(refusal)) = believed {
                forged = Some(refusal);
            }
            believed.is_ok()
        });
        match forged {
            Some(refusal) => Err(Some(refusal)),
            None if members.is_empty() && before > 0 => Err(None),
            None => Ok(()),
        }
    }

    fn believed(
        &self,
        verify: impl FnOnce(&Authority) -> Result<Standing, Untrusted>,
    ) -> Result<Standing, Dropped> {
        let authority = self.authority.as_ref().ok_or(None)?;
        verify(authority).map_err(Untrusted::refusal)
    }

    /// The first key comes with the welcome: its hash must be the invitation's.
    fn welcome(&mut self, welcome: &Welcome) -> Result<(), Dropped> {
        if self.authority.is_none() {
            let authority = Authority::invited(self.cluster, &welcome.key);
            self.authority = Some(authority.map_err(Untrusted::refusal)?);
        }
        self.believed(|authority| authority.verify_certificate(&welcome.certificate)).map(|_| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ident::{Incarnation, NodeId, NodeKey, PeerKey, TokenId};
    use crate::message::{Announcement, Certificate};
    use crate::time::Wall;
    use crate::wire::{Certifier, NodeSigner, encode};

    struct Cluster {
        certifier: Certifier,
    }

    impl Cluster {
        fn new() -> Cluster {
            Cluster { certifier: Certifier::generate(&mut rand::rng()) }
        }

        fn certificate(&self, name: &str, node_key: NodeKey) -> Certificate {
            self.certifier.sign_certificate(Certificate {
                name: name.parse().unwrap(),
                key: PeerKey([7; 32]),
                node_key,
                bootstrap: false,
                publisher: false,
                removed: false,
                serial: 1,
                issued: Wall(1),
                token: TokenId([0; 16]),
                generation: 0,
                signature: [0; 64],
            })
        }

        fn member(&self, name: &str) -> Member {
            let signer = NodeSigner::generate(&mut rand::rng());
            let announcement = signer.sign_announcement(announcement(name)).unwrap();
            let certificate = self.certificate(name, signer.key());
            Member { certificate, announcement: Some(announcement) }
        }

        fn proof(&self) -> Proof {
            Proof::of_member(&self.certifier.key(), &[]).unwrap()
        }
    }

    fn announcement(name: &str) -> Announcement {
        Announcement {
            name: name.parse().unwrap(),
            incarnation: Incarnation(1),
            endpoint: None,
            onion: None,
            client_key: None,
            instance: None,
            priority: 100,
            weight: 1,
            spare: false,
            drained: false,
            left: false,
            version: "1".to_owned(),
            signature: [0; 64],
        }
    }

    fn frame(body: Body) -> Vec<u8> {
        encode(&Frame { incarnation: Incarnation(1), sequence: 1, body }).unwrap()
    }

    #[test]
    fn true_entries_are_handed_on_and_one_false_one_condemns_its_frame() {
        let cluster = Cluster::new();
        let stranger = Cluster::new().member("evil");
        let mut proof = cluster.proof();
        let good = frame(Body::Members(vec![cluster.member("a"), cluster.member("b")]));
        assert!(matches!(proof.content(&good, true), Ok(Content::Frame(_))));
        let bad = frame(Body::Members(vec![cluster.member("a"), stranger.clone()]));
        assert_eq!(proof.content(&bad, true).unwrap_err(), Some(Refusal::Forged));
        let bad = frame(Body::Present(Box::new(stranger)));
        assert_eq!(proof.content(&bad, true).unwrap_err(), Some(Refusal::Forged));
    }

    #[test]
    fn nobody_announces_for_another() {
        let cluster = Cluster::new();
        let mut member = cluster.member("a");
        let other = NodeSigner::generate(&mut rand::rng());
        member.announcement = Some(other.sign_announcement(announcement("a")).unwrap());
        let forged = frame(Body::Leave(Box::new(member)));
        assert_eq!(cluster.proof().content(&forged, true).unwrap_err(), Some(Refusal::Forged));
    }

    #[test]
    fn entries_of_a_later_key_are_dropped_without_blame_until_its_succession_is_known() {
        let cluster = Cluster::new();
        let mut proof = cluster.proof();
        let (succession, next) = cluster.certifier.succeed(&mut rand::rng());
        let later = Cluster { certifier: next };
        let members = frame(Body::Members(vec![later.member("b"), cluster.member("a")]));
        let Ok(Content::Frame(kept)) = proof.content(&members, true) else { panic!() };
        assert!(matches!(kept.body, Body::Members(kept) if kept.len() == 1));
        assert!(proof.content(&frame(Body::Successions(vec![succession])), true).is_ok());
        let Ok(Content::Frame(kept)) = proof.content(&members, true) else { panic!() };
        assert!(matches!(kept.body, Body::Members(kept) if kept.len() == 2));
    }

    #[test]
    fn no_further_keys_are_learnt_of_strangers() {
        let cluster = Cluster::new();
        let mut proof = cluster.proof();
        let (succession, _) = cluster.certifier.succeed(&mut rand::rng());
        let frame = frame(Body::Successions(vec![succession]));
        assert_eq!(proof.content(&frame, false).unwrap_err(), Some(Refusal::Stranger));
        assert_eq!(proof.authority().unwrap().newest(), 0);
        assert!(proof.content(&frame, true).is_ok());
        assert_eq!(proof.authority().unwrap().newest(), 1);
    }

    #[test]
    fn a_newcomer_believes_the_cluster_of_its_invitation_only() {
        let (cluster, other) = (Cluster::new(), Cluster::new());
        let mut proof = Proof::of_newcomer(cluster_id(&cluster.certifier.key()));
        let welcome = |from: &Cluster| {
            frame(Body::Welcome(Box::new(Welcome {
                certificate: from.certificate("b", NodeKey([3; 32])),
                key: from.certifier.key(),
                cluster: "yard".parse::<NodeId>().unwrap(),
                services: Vec::new(),
            })))
        };
        let members = frame(Body::Members(vec![cluster.member("a")]));
        assert_eq!(proof.content(&members, true).unwrap_err(), None);
        assert_eq!(proof.content(&welcome(&other), true).unwrap_err(), Some(Refusal::Forged));
        assert!(proof.content(&welcome(&cluster), true).is_ok());
        assert!(proof.content(&members, true).is_ok());
    }

    #[test]
    fn garbage_says_why() {
        let mut proof = Cluster::new().proof();
        assert_eq!(proof.content(&[], true).unwrap_err(), Some(Refusal::Malformed));
        assert_eq!(proof.content(&[1; 300], true).unwrap_err(), Some(Refusal::Malformed));
        assert_eq!(proof.content(&[9; 256], true).unwrap_err(), Some(Refusal::Version));
    }
}
