//! How long frames and signatures take; figures are in `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rustbalance::ident::{Epoch, HsId, Incarnation, NodeKey, PeerKey, TokenId};
use rustbalance::message::{
    Announcement, Body, Certificate, Frame, Heartbeat, LeaseView, Member, Vitals,
};
use rustbalance::time::Wall;
use rustbalance::wire::{Authority, Certifier, NodeSigner, decode, encode};

fn heartbeat() -> Frame {
    let lease = LeaseView { epoch: Epoch(7), holder: "node-a".parse().unwrap(), left_ms: 9_000 };
    let vitals = Vitals {
        wall: Wall(1_795_000_000),
        points: 6,
        alive: 3,
        tor: true,
        app: Some(true),
        lease: Some(lease),
        signed: vec![(20_777, Wall(1_794_999_000)), (20_778, Wall(1_794_999_000))],
        ..Vitals::default()
    };
    let body = Body::Heartbeat(Heartbeat { beat: 1, vitals });
    Frame { incarnation: Incarnation(1_795_000_000), sequence: 1, body }
}

fn member(certifier: &Certifier) -> Member {
    let node = NodeSigner::from_seed(&[2; 32]);
    let name: rustbalance::ident::NodeId = "node-b".parse().unwrap();
    let certificate = certifier.sign_certificate(Certificate {
        name: name.clone(),
        key: PeerKey([3; 32]),
        node_key: node.key(),
        bootstrap: true,
        publisher: true,
        removed: false,
        serial: 1,
        issued: Wall(1_795_000_000),
        token: TokenId([4; 16]),
        generation: 0,
        signature: [0; 64],
    });
    let announcement = node.sign_announcement(Announcement {
        name,
        incarnation: Incarnation(1_795_000_000),
        endpoint: Some(([127, 0, 0, 1], 51_820).into()),
        onion: Some(HsId([5; 32])),
        client_key: Some([6; 32]),
        instance: Some(HsId([7; 32])),
        priority: 100,
        weight: 1,
        spare: false,
        drained: false,
        left: false,
        version: "0.1.0".to_owned(),
        signature: [0; 64],
    });
    Member { certificate, announcement: Some(announcement.unwrap()) }
}

fn frames(c: &mut Criterion) {
    let frame = heartbeat();
    let bytes = encode(&frame).unwrap();
    c.bench_function("encode a heartbeat", |b| b.iter(|| encode(black_box(&frame)).unwrap()));
    c.bench_function("decode a heartbeat", |b| b.iter(|| decode(black_box(&bytes)).unwrap()));
}

fn signatures(c: &mut Criterion) {
    let certifier = Certifier::from_seed(&[1; 32], 0);
    let authority = Authority::new(&certifier.key()).unwrap();
    let member = member(&certifier);
    c.bench_function("verify a member", |b| {
        b.iter(|| authority.verify_member(black_box(&member)).unwrap());
    });
    let certificate = Certificate { node_key: NodeKey([9; 32]), ..member.certificate };
    c.bench_function("sign a certificate", |b| {
        b.iter(|| certifier.sign_certificate(black_box(&certificate).clone()));
    });
}

criterion_group!(benches, frames, signatures);
criterion_main!(benches);
