//! What is believed and what is not.

use ed25519_dalek::{Signer as _, SigningKey};

use crate::ident::{ClusterKey, HsId, Incarnation, NodeId, NodeKey, PeerKey, TokenId};
use crate::message::{
    Announcement, Certificate, JoinRequest, Refusal, SUCCESSIONS_MAX, Succession, Token,
};
use crate::time::Wall;
use crate::wire::certify::{verify_announcement, verify_request};
use crate::wire::testing::{Signers, large_announcement};
use crate::wire::{Authority, Certifier, NodeSigner, Record as _, Standing, Untrusted, cluster_id};

fn other_name() -> NodeId {
    "other".parse().unwrap()
}

fn authority(signers: &Signers) -> Authority {
    Authority::new(&signers.certifier.key()).unwrap()
}

fn rng() -> rand::rngs::StdRng {
    rand::SeedableRng::seed_from_u64(3)
}

#[test]
fn what_the_cluster_and_the_member_signed_is_believed() {
    let signers = Signers::new();
    let authority = authority(&signers);
    let mut member = signers.member(&signers.certifier);
    assert_eq!(authority.verify_member(&member), Ok(Standing::Newest));
    assert_eq!(authority.verify_certificate(&member.certificate), Ok(Standing::Newest));
    member.announcement = None;
    assert_eq!(authority.verify_member(&member), Ok(Standing::Newest));
    assert_eq!(authority.verify_token(&signers.token()), Ok(Standing::Newest));
}

#[test]
fn a_certificate_with_any_field_changed_is_forged() {
    let signers = Signers::new();
    let authority = authority(&signers);
    let changes: [fn(&mut Certificate); 10] = [
        |certificate| certificate.name = other_name(),
        |certificate| certificate.key = PeerKey([0xff; 32]),
        |certificate| certificate.node_key = NodeSigner::from_seed(&[8; 32]).key(),
        |certificate| certificate.bootstrap ^= true,
        |certificate| certificate.publisher ^= true,
        |certificate| certificate.removed ^= true,
        |certificate| certificate.serial -= 1,
        |certificate| certificate.issued = Wall(0),
        |certificate| certificate.token = TokenId([0xff; 16]),
        |certificate| certificate.signature[0] ^= 1,
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut member = signers.member(&signers.certifier);
        change(&mut member.certificate);
        let refused = authority.verify_certificate(&member.certificate);
        assert_eq!(refused, Err(Untrusted::Signature), "change {place}");
        assert_eq!(refused.unwrap_err().refusal(), Some(Refusal::Forged));
        assert!(authority.verify_member(&member).is_err());
    }
}

#[test]
fn an_announcement_with_any_field_changed_is_forged() {
    let signers = Signers::new();
    let authority = authority(&signers);
    let changes: [fn(&mut Announcement); 12] = [
        |announcement| announcement.incarnation = Incarnation(1),
        |announcement| announcement.endpoint = Some(([127, 0, 0, 1], 1).into()),
        |announcement| announcement.endpoint = None,
        |announcement| announcement.onion = Some(HsId([0xff; 32])),
        |announcement| announcement.client_key = None,
        |announcement| announcement.instance = None,
        |announcement| announcement.priority = 0,
        |announcement| announcement.weight = 1,
        |announcement| announcement.spare ^= true,
        |announcement| announcement.drained ^= true,
        |announcement| announcement.left ^= true,
        |announcement| announcement.version.clear(),
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut member = signers.member(&signers.certifier);
        change(member.announcement.as_mut().unwrap());
        let refused = authority.verify_member(&member);
        assert_eq!(refused, Err(Untrusted::Signature), "change {place}");
    }
}

#[test]
fn the_record_of_an_invitation_with_any_signed_field_changed_is_forged() {
    let signers = Signers::new();
    let authority = authority(&signers);
    let changes: [fn(&mut Token); 8] = [
        |token| token.id = TokenId([0xff; 16]),
        |token| token.key = PeerKey([0xff; 32]),
        |token| token.issuer = other_name(),
        |token| token.invited = None,
        |token| token.bootstrap ^= true,
        |token| token.publisher ^= true,
        |token| token.expires = Wall(0),
        |token| token.signature[63] ^= 1,
    ];
    for (place, change) in changes.into_iter().enumerate() {
        let mut token = signers.token();
        change(&mut token);
        let refused = authority.verify_token(&token);
        assert_eq!(refused, Err(Untrusted::Signature), "change {place}");
    }
    let used = Token { used_by: None, revoked: false, ..signers.token() };
    assert_eq!(authority.verify_token(&used), Ok(Standing::Newest));
}

#[test]
fn nobody_announces_for_another() {
    let signers = Signers::new();
    let authority = authority(&signers);
    let stranger = NodeSigner::from_seed(&[9; 32]);
    let mut member = signers.member(&signers.certifier);
    member.announcement = Some(stranger.sign_announcement(large_announcement()).unwrap());
    assert_eq!(authority.verify_member(&member), Err(Untrusted::Signature));
    let renamed = Announcement { name: other_name(), ..large_announcement() };
    member.announcement = Some(signers.node.sign_announcement(renamed).unwrap());
    assert_eq!(authority.verify_member(&member), Err(Untrusted::OtherName));
}

#[test]
fn another_clusters_word_counts_for_nothing() {
    let signers = Signers::new();
    let elsewhere = Certifier::from_seed(&[0x77; 32], 0);
    let member = signers.member(&elsewhere);
    assert_eq!(authority(&signers).verify_member(&member), Err(Untrusted::Signature));
    assert_eq!(
        authority(&signers).verify_token(&elsewhere.sign_token(signers.token())),
        Err(Untrusted::Signature),
    );
}

#[test]
fn a_signature_in_another_context_is_none() {
    let signers = Signers::new();
    let authority = authority(&signers);
    let key = SigningKey::from_bytes(&signers.certifier.seed());
    let mut certificate = signers.member(&signers.certifier).certificate;
    let mut signed_in = |context: &[u8]| {
        let bytes = certificate.to_bytes().unwrap();
        let covered = bytes.strip_suffix(&certificate.signature).unwrap();
        certificate.signature = key.sign(&[context, covered].concat()).to_bytes();
        authority.verify_certificate(&certificate)
    };
    assert_eq!(signed_in(b"rustbalance certificate v1\0"), Ok(Standing::Newest));
    for context in [&b""[..], b"rustbalance announcement v1\0", b"rustbalance certificate v2\0"] {
        assert_eq!(signed_in(context), Err(Untrusted::Signature));
    }
}

#[test]
fn a_request_to_join_is_the_newcomers_own() {
    let signers = Signers::new();
    let announcement = signers.node.sign_announcement(large_announcement()).unwrap();
    let (name, key) = (announcement.name.clone(), PeerKey([1; 32]));
    let request = JoinRequest { name, key, node_key: signers.node.key(), announcement };
    assert_eq!(verify_request(&request), Ok(()));
    let renamed = JoinRequest { name: other_name(), ..request.clone() };
    assert_eq!(verify_request(&renamed), Err(Untrusted::OtherName));
    let rekeyed = JoinRequest { node_key: NodeSigner::from_seed(&[1; 32]).key(), ..request };
    assert_eq!(verify_request(&rekeyed), Err(Untrusted::Signature));
}

#[test]
fn keys_that_any_signature_fits_are_refused() {
    let identity = std::array::from_fn(|place| u8::from(place == 0));
    for weak in [[0; 32], identity] {
        assert_eq!(Authority::new(&ClusterKey(weak)).unwrap_err(), Untrusted::Key);
        let announcement = large_announcement();
        assert_eq!(verify_announcement(&announcement, &NodeKey(weak)), Err(Untrusted::Key));
    }
}

#[test]
fn each_key_is_introduced_by_the_one_before() {
    let signers = Signers::new();
    let mut authority = authority(&signers);
    let cluster = authority.cluster();
    let old = signers.member(&signers.certifier);
    let (first, second) = signers.certifier.succeed(&mut rng());
    let new = signers.member(&second);
    assert_eq!(
        authority.verify_member(&new),
        Err(Untrusted::UnknownGeneration { found: 1, newest: 0 }),
    );
    assert_eq!(authority.learn(&first), Ok(true));
    assert_eq!(authority.learn(&first), Ok(false));
    assert_eq!(authority.verify_member(&new), Ok(Standing::Newest));
    assert_eq!(authority.verify_member(&old), Ok(Standing::Superseded));
    assert_eq!((authority.newest(), authority.newest_key()), (1, second.key()));
    assert_eq!(authority.successions().collect::<Vec<_>>(), [&first]);
    assert_eq!(authority.cluster(), cluster);
}

#[test]
fn a_key_is_not_introduced_by_anything_else() {
    let signers = Signers::new();
    let mut authority = authority(&signers);
    let (first, second) = signers.certifier.succeed(&mut rng());
    let (next, _) = second.succeed(&mut rng());
    assert_eq!(authority.learn(&next), Err(Untrusted::Gap { found: 2, newest: 0 }));
    let rekeyed = Succession { key: signers.certifier.key(), ..first.clone() };
    assert_eq!(authority.learn(&rekeyed), Err(Untrusted::Signature));
    let renumbered = Succession { generation: 0, ..first.clone() };
    assert_eq!(authority.learn(&renumbered), Err(Untrusted::Signature));
    let stranger = Certifier::from_seed(&[1; 32], 0);
    assert_eq!(authority.learn(&stranger.succeed(&mut rng()).0), Err(Untrusted::Signature));
    assert_eq!(authority.newest(), 0);
    assert_eq!(authority.learn(&first), Ok(true));
    let mut other_rng = <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(4);
    let (rival, _) = signers.certifier.succeed(&mut other_rng);
    assert_eq!(authority.learn(&rival), Err(Untrusted::Rival(1)));
    assert_eq!(authority.newest_key(), second.key());
}

#[test]
fn successions_have_an_end() {
    let signers = Signers::new();
    let mut authority = authority(&signers);
    let mut certifier = signers.certifier.clone();
    for _ in 0..SUCCESSIONS_MAX {
        let (succession, next) = certifier.succeed(&mut rng());
        assert_eq!(authority.learn(&succession), Ok(true));
        certifier = next;
    }
    let (succession, _) = certifier.succeed(&mut rng());
    assert_eq!(authority.learn(&succession), Err(Untrusted::TooMany));
    assert_eq!(authority.newest_key(), certifier.key());
}

#[test]
fn missing_successions_are_nobodys_fault() {
    assert_eq!(Untrusted::UnknownGeneration { found: 2, newest: 1 }.refusal(), None);
    assert_eq!(Untrusted::Gap { found: 2, newest: 0 }.refusal(), None);
    assert_eq!(Untrusted::Rival(1).refusal(), Some(Refusal::Forged));
}

#[test]
fn keys_come_back_from_their_seeds_and_are_never_printed() {
    let certifier = Certifier::generate(&mut rng());
    let again = Certifier::from_seed(&certifier.seed(), certifier.generation());
    assert_eq!(again.key(), certifier.key());
    let node = NodeSigner::generate(&mut rng());
    assert_eq!(NodeSigner::from_seed(&node.seed()).key(), node.key());
    let text = format!("{certifier:?} {node:?}");
    for seed in [certifier.seed(), node.seed()] {
        assert!(!text.contains(&PeerKey(*seed).to_string()), "{text}");
    }
}

#[test]
fn a_newcomer_takes_the_first_key_of_the_cluster_it_was_invited_to_only() {
    let first = Signers::new().certifier.key();
    let other = Certifier::from_seed(&[0x77; 32], 0).key();
    let authority = Authority::invited(cluster_id(&first), &first).unwrap();
    assert_eq!((authority.cluster(), authority.newest_key()), (cluster_id(&first), first));
    let refused = Authority::invited(cluster_id(&first), &other).unwrap_err();
    assert_eq!(refused, Untrusted::OtherCluster);
}

#[test]
fn a_certifying_key_from_a_peer_is_taken_only_if_it_is_the_clusters() {
    let signers = Signers::new();
    let mut authority = authority(&signers);
    let (succession, second) = signers.certifier.succeed(&mut rng());
    let unknown = authority.certifier(1, &*second.seed()).unwrap_err();
    assert_eq!(unknown, Untrusted::UnknownGeneration { found: 1, newest: 0 });
    authority.learn(&succession).unwrap();
    let taken = authority.certifier(1, &*second.seed()).unwrap();
    assert_eq!((taken.key(), taken.generation()), (second.key(), 1));
    for (generation, seed) in [(0, &second.seed()[..]), (1, &[1; 32]), (1, &second.seed()[1..])] {
        assert_eq!(authority.certifier(generation, seed).unwrap_err(), Untrusted::Key);
    }
}
