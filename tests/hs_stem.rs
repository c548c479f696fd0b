//! Python's stem, an implementation that shares no code with ours, reads what we build.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::io::Write as _;
use std::process::{Command, Stdio};

use data_encoding::{BASE64, HEXLOWER};
use rustbalance::hs::descriptor::build;
use rustbalance::hs::revision::RevisionScale;
use rustbalance::hs::{address, keys::MasterKey};
use rustbalance::ident::IntroPoint;
use rustbalance::time::Wall;
use serde_json::{Value, json};

#[path = "support/points.rs"]
mod points;

/// What the script ends with when stem is not installed.
const NOT_INSTALLED: i32 = 77;

/// What stem reads; `None` when it is not installed.
fn read_with_stem(document: &str, master: &MasterKey) -> Option<Value> {
    let python = std::env::var("RUSTBALANCE_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let mut child = Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/check_with_stem.py"))
        .arg(address::onion(&master.id()))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let written = child.stdin.take().unwrap().write_all(document.as_bytes());
    let output = child.wait_with_output().unwrap();
    if output.status.code() == Some(NOT_INSTALLED) {
        return None;
    }
    written.unwrap();
    assert!(output.status.success(), "stem refused the document");
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn expected(point: &IntroPoint) -> Value {
    let mut rest = &point.link_specifiers[1..];
    let mut links = Vec::new();
    while let [kind, length, after @ ..] = rest {
        let (body, next) = after.split_at(usize::from(*length));
        links.push(json!([kind, HEXLOWER.encode(body)]));
        rest = next;
    }
    json!({
        "link_specifiers": links,
        "onion_key": BASE64.encode(&point.onion_key),
        "auth_key": BASE64.encode(&point.auth_key),
        "enc_key": BASE64.encode(&point.enc_key),
    })
}

#[test]
fn stem_reads_the_same_points() {
    let (master, period) = (points::master(), points::PERIOD);
    let blinded = master.blind(&period);
    for count in [1, 8, 20] {
        let content = points::content(count);
        let signed_at = Wall(period.srv_start().0 + 100_000);
        let document = build(&blinded, &content, signed_at).unwrap();
        let Some(mut read) = read_with_stem(&document, &master) else {
            println!("SKIPPED: python3 with stem and cryptography is not installed");
            return;
        };
        assert_eq!(read["revision"], RevisionScale::new(&blinded, &period).at(signed_at).0);
        assert_eq!((&read["lifetime"], &read["formats"]), (&json!(180), &json!([2])));
        let sorted = |values: &mut Vec<Value>| values.sort_by_key(|v| v["auth_key"].to_string());
        let mut wanted: Vec<Value> = content.points.iter().map(expected).collect();
        sorted(&mut wanted);
        sorted(read["points"].as_array_mut().unwrap());
        assert_eq!(read["points"], Value::Array(wanted));
    }
}
