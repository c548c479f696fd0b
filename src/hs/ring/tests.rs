use super::*;
use crate::hs::curve::tests::hex;
use crate::hs::synthetic::{Network, Relay};

fn ring(network: &Network) -> Ring {
    let (consensus, microdescs) = (network.consensus(), network.microdescs());
    Ring::new(&Consensus::parse(consensus.as_bytes(), microdescs.as_bytes(), false).unwrap())
}

fn repeated(bytes: [u8; 8]) -> Vec<RelayId> {
    bytes.into_iter().map(|byte| RelayId([byte; 20])).collect()
}

/// The network of Onionbalance's ring test: relay i has identities of bytes i.
fn network_of_255() -> Network {
    let relay =
        |i: u8| Relay { rsa: [i; 20], ed25519: [i; 32], flags: "HSDir", protocols: "HSDir=2" };
    let relays = (1..=255).map(relay).collect();
    Network { valid_after: 10_101_010_101, relays, params: "", ..Network::public(0) }
}

/// Onionbalance, `test_v3_hashring.py`.
#[test]
fn the_published_ring_of_255_nodes_holds() {
    let ring = ring(&network_of_255());
    let first = BlindedId(hex("063AEC5E1FD3025098F2DF71EF570B28D94B463FFCCB5EC6A9C061E38F551C6A"));
    let second = BlindedId(hex("5DB624F2D74F103E6E8C6FBCCD074586EF5A5572F90673C00B77DEF94EC11499"));
    assert_eq!(
        ring.responsible(Slot::First, &first),
        repeated([0xD1, 0x2F, 0xB0, 0x3A, 0x5A, 0xDF, 0xF7, 0x34])
    );
    assert_eq!(
        ring.responsible(Slot::Second, &second),
        repeated([0x5D, 0x9A, 0xD1, 0x7A, 0xC3, 0xC6, 0xE9, 0x86])
    );
}

#[test]
fn the_hash_of_a_node_is_sha3() {
    let period = TimePeriod { number: 0x0102_0304_0506_0708, length_min: 1440, offset_s: 0 };
    let (srv, id) = (sha3_256(&[b"srv"]), sha3_256(&[b"id"]));
    let (number, length) = (period.number.to_be_bytes(), period.length_min.to_be_bytes());
    let expected = sha3_256(&[b"node-idx", &id, &srv, &number, &length]);
    let found = NodeHash::new(&srv, &period).of(&id).map(u64::to_be_bytes);
    assert_eq!(found.as_flattened(), expected);
}

#[test]
fn clients_ask_the_first_three_of_each_replica() {
    let ring = ring(&network_of_255());
    let blinded =
        BlindedId(hex("5DB624F2D74F103E6E8C6FBCCD074586EF5A5572F90673C00B77DEF94EC11499"));
    let stored = ring.responsible(Slot::Second, &blinded);
    let expected = [&stored[..3], &stored[4..7]].concat();
    assert_eq!(ring.for_fetch(&blinded), expected);
}

#[test]
fn in_the_first_window_clients_use_the_first_descriptor() {
    let network = network_of_255();
    let network = Network { valid_after: network.valid_after - 12 * 3600, ..network };
    let ring = ring(&network);
    let blinded = BlindedId([7; 32]);
    let stored = ring.responsible(Slot::First, &blinded);
    assert_eq!(ring.for_fetch(&blinded), [&stored[..3], &stored[4..7]].concat());
}

#[test]
fn replicas_never_share_an_hsdir_and_a_small_ring_gives_all_it_has() {
    for count in 1..12 {
        let ring = ring(&Network::public(count));
        for i in 0..20 {
            let mut chosen = ring.responsible(Slot::First, &BlindedId([i; 32]));
            assert_eq!(chosen.len(), usize::try_from(count).unwrap().min(8));
            chosen.sort();
            chosen.dedup();
            assert_eq!(chosen.len(), usize::try_from(count).unwrap().min(8));
        }
    }
}

/// The walk written down a second time, as the specification words it.
#[test]
fn the_walk_agrees_with_a_naive_one() {
    let network = Network::public(60);
    let ring = ring(&network);
    let circle = &ring.second;
    for i in 0..200 {
        let blinded = BlindedId(sha3_256(&[&[i]]));
        let mut expected: Vec<RelayId> = Vec::new();
        for replica in 1..=2 {
            let place = circle.replica_place(&blinded, replica);
            let mut order: Vec<_> = circle.places.clone();
            order.sort_by_key(|(index, _)| (*index < place, *index));
            let fresh = order.iter().map(|(_, relay)| *relay).filter(|r| !expected.contains(r));
            let fresh: Vec<RelayId> = fresh.take(4).collect();
            expected.extend(fresh);
        }
        assert_eq!(ring.responsible(Slot::Second, &blinded), expected);
    }
}
