//! The program against wrong input of every kind: what its operator sees, that it goes on, and
//! that it recovers. The tor is a scripted one.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "../support/fake_tor.rs"]
mod fake_tor;
#[path = "../support/points.rs"]
#[allow(dead_code, reason = "shared with benches that use other parts")]
mod points;
#[path = "../support/site.rs"]
mod site;

mod consensus;
mod control_port;
mod descriptors;
mod foreign;
mod hsdirs;
mod keys;
mod local;
mod redaction;
