//! How much memory a node takes: at its peak, while it reads a consensus as large as the public
//! network's, and at rest.
//!
//! Of the program as people run it everything counts; of a test build the code does not, because
//! it is several times as large.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "support/fake_tor.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod fake_tor;
#[path = "support/points.rs"]
#[allow(dead_code, reason = "shared with benches that use other parts")]
mod points;
#[path = "support/site.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod site;

use std::path::{Path, PathBuf};

use fake_tor::synthetic::Network;
use fake_tor::world::network_at;
use site::Site;

/// Relays of the public network, and some more.
const RELAYS: u32 = 9000;

const MIB: u64 = 1 << 20;

/// The program as people run it, when it was built after the one under test; else that one.
fn binary() -> (PathBuf, &'static str) {
    let tested = PathBuf::from(env!("CARGO_BIN_EXE_rustbalance"));
    let built = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified()).ok();
    let release = tested.parent().unwrap().with_file_name("release").join("rustbalance");
    match built(&release) >= built(&tested) {
        true => (release, "release"),
        false => (tested, "test"),
    }
}

/// A node on a network of this size, with everything confirmed. Its tor keeps as many
/// microdescriptors of the past as it has current ones.
fn node(relays: u32) -> (Site, &'static str) {
    let mut site = Site::on(&network_at(3, relays));
    site.tor.world().microdescs = Network::public(2 * relays).microdescs();
    site.reconfigure("request_timeout = 2", "request_timeout = 60");
    let (binary, build) = binary();
    site.binary = binary;
    site.start();
    site.wait_healthy();
    (site, build)
}

/// A figure of `/proc/<pid>/status` in bytes.
fn figure(site: &Site, field: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", site.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_matches([':', ' ', '\t', 'k', 'B']).parse::<u64>().unwrap() * 1024
}

/// What it takes now and took at its peak, in bytes.
fn taken(site: &Site, build: &str) -> (u64, u64) {
    let code = if build == "release" { 0 } else { figure(site, "RssFile") };
    (figure(site, "VmRSS") - code, figure(site, "VmHWM") - code)
}

fn judge(what: &str, build: &str, bytes: u64, limit: u64) {
    let tenths = bytes * 10 / MIB;
    println!("{what}: {}.{} MiB ({build} build)", tenths / 10, tenths % 10);
    assert!(bytes <= limit, "{what}: {bytes} bytes are more than {limit} ({build} build)");
}

#[test]
fn a_consensus_of_9000_relays_takes_at_most_30_mib() {
    let (site, build) = node(RELAYS);
    let (rest, peak) = taken(&site, build);
    judge("peak with 9,000 relays", build, peak, 30 * MIB);
    judge("at rest with 9,000 relays", build, rest, 15 * MIB);
}

#[test]
fn a_node_on_a_small_network_takes_at_most_15_mib() {
    let (site, build) = node(16);
    let (rest, peak) = taken(&site, build);
    judge("peak on a small network", build, peak, 15 * MIB);
    judge("at rest on a small network", build, rest, 15 * MIB);
}
