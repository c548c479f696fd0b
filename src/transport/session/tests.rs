//! Two ends of one session, fed by hand.

use super::*;
use crate::ident::ClusterId;
use crate::transport::inner::inner_address;

const NOW: Mono = Mono(Duration::from_secs(100));

/// The two ends of one session, each without a remote.
fn pair() -> (Session, Session) {
    let identities = [Identity::new([1; 32]), Identity::new([2; 32])];
    let [a, b] = &identities;
    let address = |identity: &Identity| inner_address(ClusterId([3; 16]), identity.key());
    let session = |identity: &Identity, other: &Identity| {
        let terms = Terms {
            identity,
            theirs: other.key(),
            preshared_key: None,
            ends: Ends { ours: address(identity), theirs: address(other) },
            path: Path::Tor,
            index: 7,
            allowance: Bucket::new(4, Duration::from_secs(1)),
        };
        Session::new(terms, NOW)
    };
    (session(a, b), session(b, a))
}

/// Lets both speak until neither has anything to say; returns what `b` and `a` heard.
fn converse(a: &mut Session, b: &mut Session, first: Vec<Vec<u8>>) -> [Vec<Bytes>; 2] {
    let remote = Remote::Stream(1);
    let mut heard = [Vec::new(), Vec::new()];
    let (mut speech, mut turn) = (first, 0);
    while !speech.is_empty() {
        let listener = if turn % 2 == 0 { &mut *b } else { &mut *a };
        let mut answers = Vec::new();
        for datagram in speech {
            let outcome = listener.receive(remote, &datagram, NOW);
            assert_eq!(outcome.refused, None);
            heard[turn % 2].extend(outcome.payload);
            answers.extend(outcome.replies);
        }
        (speech, turn) = (answers, turn + 1);
    }
    heard
}

#[test]
fn what_waits_goes_out_behind_the_handshake_of_a_new_remote() {
    let (mut a, mut b) = pair();
    assert_eq!(a.send(b"one", NOW), Ok(None));
    assert_eq!(a.send(b"two", NOW), Ok(None));
    let first = a.attach(Remote::Stream(1), NOW);
    assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [148]);
    let [heard, none] = converse(&mut a, &mut b, first);
    assert_eq!(heard, [&b"one"[..], b"two"]);
    assert!(none.is_empty());
    assert!(a.is_open() && b.is_open());
    assert_eq!((a.tally.handshakes, b.tally.handshakes), (1, 1));
}

#[test]
fn only_the_newest_payloads_wait() {
    let (mut a, mut b) = pair();
    for number in 0..100 {
        assert_eq!(a.send(&[number], NOW), Ok(None));
    }
    b.allowance = Bucket::new(100, Duration::from_secs(1));
    let first = a.attach(Remote::Stream(1), NOW);
    let [heard, _] = converse(&mut a, &mut b, first);
    let newest: Vec<Bytes> = (68..100).map(|number| Bytes::from(vec![number])).collect();
    assert_eq!(heard, newest);
}

#[test]
fn a_last_word_is_no_silence_and_two_are() {
    let (mut a, mut b) = pair();
    let first = a.attach(Remote::Stream(1), NOW);
    converse(&mut a, &mut b, first);
    assert!(matches!(a.send(b"last word", NOW), Ok(Some(_))));
    let later = NOW + Patience::over(Path::Tor).silence;
    assert_eq!(a.silence(later), Duration::ZERO);
    assert!(a.tick(later).datagram.is_none());
    assert!(matches!(a.send(b"hello?", NOW), Ok(Some(_))));
    assert_eq!(a.silence(later), Patience::over(Path::Tor).silence);
    let ticked = a.tick(later);
    assert!(ticked.forced && ticked.datagram.is_some_and(|datagram| datagram.len() == 148));
}

#[test]
fn a_packet_of_ipv4_is_no_payload() {
    let (mut a, mut b) = pair();
    let first = a.attach(Remote::Stream(1), NOW);
    converse(&mut a, &mut b, first);
    let mut packet = [0; 32];
    (packet[0], packet[3]) = (0x45, 32);
    let datagram = a.encapsulate(&packet).unwrap();
    let outcome = b.receive(Remote::Stream(1), &datagram, NOW);
    assert_eq!((outcome.refused, outcome.payload), (Some(Refusal::Malformed), None));
}

#[test]
fn a_session_takes_less_than_sixteen_kib() {
    println!("a session takes {} bytes", size_of::<Session>());
    assert!(size_of::<Session>() < 16 << 10);
}
