//! How long the onion-service mathematics take; figures are in `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "a bench stops at the first surprise")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use rustbalance::hs::consensus::Consensus;
use rustbalance::hs::descriptor::{build, read};
use rustbalance::hs::revision::RevisionScale;
use rustbalance::hs::ring::Ring;
use rustbalance::time::Wall;

#[path = "../tests/support/points.rs"]
mod points;
#[path = "../tests/support/synthetic.rs"]
mod synthetic;

fn signed_at() -> Wall {
    Wall(points::PERIOD.srv_start().0 + 86_399)
}

fn descriptors(c: &mut Criterion) {
    let (master, period) = (points::master(), points::PERIOD);
    let blinded = master.blind(&period);
    for count in [3, 8, 20] {
        let content = points::content(count);
        c.bench_function(&format!("build and sign {count} points"), |b| {
            b.iter(|| build(black_box(&blinded), black_box(&content), signed_at()).unwrap());
        });
        let document = build(&blinded, &content, signed_at()).unwrap();
        let candidates = [period.previous(), period, period.next()];
        let id = master.id();
        c.bench_function(&format!("read and verify {count} points"), |b| {
            let read = || read(document.as_bytes(), &id, &candidates, signed_at());
            b.iter(|| black_box(read()).unwrap());
        });
    }
    c.bench_function("blind the master key", |b| b.iter(|| black_box(master.blind(&period))));
}

fn revisions(c: &mut Criterion) {
    let scale = RevisionScale::new(&points::master().blind(&points::PERIOD), &points::PERIOD);
    let revision = scale.at(signed_at());
    c.bench_function("revision at the end of a day", |b| {
        b.iter(|| black_box(scale.at(black_box(signed_at()))));
    });
    c.bench_function("second of a revision", |b| {
        b.iter(|| black_box(scale.second_of(black_box(revision))));
    });
}

fn ring(c: &mut Criterion) {
    let network = synthetic::Network::public(9000);
    let (consensus, microdescs) = (network.consensus(), network.microdescs());
    let parse = || Consensus::parse(consensus.as_bytes(), microdescs.as_bytes(), false).unwrap();
    c.bench_function("parse the consensus of 9,000 HSDirs", |b| b.iter(|| black_box(parse())));
    c.bench_function("parse it and make both rings", |b| {
        b.iter(|| black_box(Ring::new(&parse())));
    });
    let ring = Ring::new(&parse());
    let blinded = points::master().blind(&points::PERIOD).id();
    c.bench_function("responsible HSDirs", |b| b.iter(|| black_box(ring.for_fetch(&blinded))));
}

criterion_group!(benches, descriptors, revisions, ring);
criterion_main!(benches);
