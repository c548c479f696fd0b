use proptest::prelude::*;

use super::*;
use crate::hs::synthetic::Network;

fn parse(network: &Network) -> Result<Consensus, ConsensusError> {
    Consensus::parse(network.consensus().as_bytes(), network.microdescs().as_bytes(), false)
}

fn parse_text(consensus: &str) -> Result<Consensus, ConsensusError> {
    let microdescs = Network::public(9).microdescs();
    Consensus::parse(consensus.as_bytes(), microdescs.as_bytes(), false)
}

#[test]
fn everything_the_ring_needs_is_read() {
    let network = Network::public(9);
    let consensus = parse(&network).unwrap();
    assert_eq!(consensus.valid_after, Wall(network.valid_after));
    assert_eq!(consensus.fresh_until, Wall(network.valid_after + 3600));
    assert_eq!(consensus.valid_until, Wall(network.valid_after + 10_800));
    assert_eq!(consensus.srv(Slot::First), [42; 32]);
    assert_eq!(consensus.srv(Slot::Second), [41; 32]);
    assert_eq!(consensus.window(), Window::PeriodToSrv);
    let expected: Vec<HsDir> = network
        .relays
        .iter()
        .map(|relay| HsDir { relay: RelayId(relay.rsa), ed25519: relay.ed25519 })
        .collect();
    assert_eq!(consensus.hsdirs, expected);
    assert_eq!(consensus.missing_microdescriptors, 0);
}

#[test]
fn only_relays_with_flag_and_protocol_are_hsdirs() {
    let mut network = Network::public(9);
    network.relays[2].flags = "Fast Running Valid";
    network.relays[4].protocols = "Cons=1-2 HSDir=1 Link=1-5";
    network.relays[5].protocols = "HSDir=1,2-3";
    let hsdirs = parse(&network).unwrap().hsdirs;
    let listed = |i: usize| hsdirs.iter().any(|dir| dir.relay.0 == network.relays[i].rsa);
    assert_eq!((listed(2), listed(4), listed(5), hsdirs.len()), (false, false, true, 7));
}

#[test]
fn parameters_have_tor_s_defaults_and_limits() {
    let params = |text| {
        let network = Network { params: text, ..Network::public(9) };
        let params = parse(&network).unwrap().params;
        (params.replicas, params.spread_store, params.spread_fetch, params.interval_min)
    };
    assert_eq!(params(""), (2, 4, 3, 1440));
    assert_eq!(
        params("hsdir_n_replicas=3 hsdir_spread_store=5 hsdir_spread_fetch=6 hsdir_interval=60"),
        (3, 5, 6, 60)
    );
    assert_eq!(
        params("hsdir_n_replicas=99 hsdir_spread_store=999 hsdir_spread_fetch=0 hsdir_interval=1"),
        (16, 128, 1, 30)
    );
    assert_eq!(params("hsdir_n_replicas=-4 hsdir_interval=99999"), (1, 4, 3, 14_400));
}

#[test]
fn a_testing_network_has_periods_of_24_rounds_whatever_the_parameter_says() {
    let network = Network { interval_s: 20, params: "hsdir_interval=77", ..Network::public(9) };
    let (consensus, microdescs) = (network.consensus(), network.microdescs());
    let length = |testing| {
        let read = Consensus::parse(consensus.as_bytes(), microdescs.as_bytes(), testing);
        read.unwrap().period(Slot::First).length_min
    };
    assert_eq!((length(true), length(false)), (8, 77));
    let fast = Network { interval_s: 2, ..network };
    let refused = Consensus::parse(fast.consensus().as_bytes(), fast.microdescs().as_bytes(), true);
    assert_eq!(refused, Err(ConsensusError::VotingTooFast(2)));
}

#[test]
fn without_random_values_the_disaster_values_of_the_periods_stand_in() {
    let network = Network { srv_previous: None, srv_current: None, ..Network::public(9) };
    let consensus = parse(&network).unwrap();
    let expected = |slot| {
        let number = consensus.period(slot).number.to_be_bytes();
        sha3_256(&[b"shared-random-disaster", &1440u64.to_be_bytes(), &number])
    };
    assert_eq!(consensus.srv(Slot::First), expected(Slot::First));
    assert_eq!(consensus.srv(Slot::Second), expected(Slot::Second));
    assert_ne!(consensus.srv(Slot::First), consensus.srv(Slot::Second));
}

#[test]
fn hsdirs_without_microdescriptor_are_counted_until_they_are_too_many() {
    let network = Network::public(10);
    let text = network.consensus();
    let with = |count: usize| {
        let microdescs: String = network.relays.iter().take(count).map(|r| r.microdesc()).collect();
        Consensus::parse(text.as_bytes(), microdescs.as_bytes(), false)
    };
    assert_eq!(with(7).map(|c| (c.hsdirs.len(), c.missing_microdescriptors)), Ok((7, 3)));
    assert_eq!(with(5).map(|c| c.missing_microdescriptors), Ok(5));
    let refused = ConsensusError::MissingMicrodescriptors { missing: 6, hsdirs: 10 };
    assert_eq!(with(4), Err(refused));
    assert!(with(0).is_err());
}

#[test]
fn a_last_microdescriptor_without_line_end_counts() {
    let network = Network::public(3);
    let microdescs = network.microdescs();
    let cut = microdescs.trim_end();
    let consensus = Consensus::parse(network.consensus().as_bytes(), cut.as_bytes(), false);
    assert_eq!(consensus.unwrap().missing_microdescriptors, 0);
}

#[test]
fn each_fault_has_its_own_error() {
    let text = Network::public(9).consensus();
    assert_eq!(parse_text(""), Err(ConsensusError::NotAConsensus));
    assert_eq!(parse_text("250 OK\n"), Err(ConsensusError::NotAConsensus));
    assert_eq!(
        parse_text(&text.replace("3 microdesc", "3 ns")),
        Err(ConsensusError::NotAConsensus)
    );
    assert_eq!(parse_text(&text[..text.len() / 2]), Err(ConsensusError::Truncated));
    assert_eq!(parse_text(&text.replace("directory-footer\n", "")), Err(ConsensusError::Truncated));
    assert_eq!(
        parse_text(&text.replace("fresh-until", "fresh-untill")),
        Err(ConsensusError::MissingTime("fresh-until"))
    );
    assert_eq!(
        parse_text(&text.replace("valid-after 2026", "valid-after 2027")),
        Err(ConsensusError::TimesOutOfOrder)
    );
    assert_eq!(
        parse_text(&text.replace("HSDir ", "")),
        Err(ConsensusError::NoHsDirs { relays: 9 })
    );
    let is_garbage_at = |text: &str, expected| match parse_text(text) {
        Err(ConsensusError::Garbage { line, .. }) => assert_eq!(line, expected),
        other => panic!("{other:?}"),
    };
    is_garbage_at(&text.replace("valid-after 2026-", "valid-after 2026/"), 4);
    is_garbage_at(&text.replace("hsdir_spread_store=4", "hsdir_spread_store=x"), 9);
    is_garbage_at(&text.replace("previous-value 9 ", "previous-value 9 x"), 10);
    is_garbage_at(&text.replacen("\nm ", "\nm x", 1), 14);
    is_garbage_at(&text.replacen("\nr ", "\nr\nr ", 1), 12);
    is_garbage_at(&text.replacen("\nr ", "\ndirectory-footer x\nr ", 1), 12);
}

#[test]
fn duplicate_and_unordered_relays_are_refused() {
    let mut network = Network::public(9);
    network.relays[3].rsa = network.relays[2].rsa;
    let relay = RelayId(network.relays[2].rsa);
    assert_eq!(parse(&network), Err(ConsensusError::DuplicateRelay { relay, line: 33 }));
    let mut network = Network::public(9);
    network.relays.swap(1, 2);
    assert!(matches!(parse(&network), Err(ConsensusError::Garbage { .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_texts_never_panic(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let network = Network::public(4);
        let (mut consensus, mut microdescs) =
            (network.consensus().into_bytes(), network.microdescs().into_bytes());
        for text in [&mut consensus, &mut microdescs] {
            let at = at.index(text.len());
            text[at] = byte;
            if cut {
                text.truncate(at);
            }
        }
        let _ = Consensus::parse(&consensus, network.microdescs().as_bytes(), true);
        let _ = Consensus::parse(network.consensus().as_bytes(), &microdescs, false);
    }
}
