//! `make compare`: the same work by Onionbalance and by this program, in one run on one machine.
//!
//! Both get the same consensus text, the same instance descriptor and the same master key, and
//! their results are compared before their times are: the same HSDirs, the same points. Ends with
//! success only if the promised ratios hold; figures are in `docs/performance.md`.

#![allow(clippy::unwrap_used, reason = "it stops at the first surprise")]

use std::hint::black_box;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use data_encoding::{BASE64, HEXLOWER};
use rustbalance::hs::address;
use rustbalance::hs::consensus::Consensus;
use rustbalance::hs::descriptor::{Content, build, read};
use rustbalance::hs::keys::MasterKey;
use rustbalance::hs::ring::Ring;
use rustbalance::ident::IntroPoint;
use rustbalance::time::{Slot, Wall};
use serde_json::{Value, json};

#[allow(dead_code, reason = "shared with tests that need more of it")]
#[path = "../support/points.rs"]
mod points;
#[path = "../support/synthetic.rs"]
mod synthetic;

const RELAYS: u32 = 9000;
const POINTS: u8 = 20;
const BUILDS: usize = 200;
const RINGS: usize = 40;

/// What is promised: so many times as fast at building, and so long for both rings.
const BUILD_RATIO_MIN: f64 = 25.0;
const RINGS_MAX: Duration = Duration::from_millis(20);

/// Everything that both programs are given.
struct Given {
    consensus: String,
    microdescs: String,
    pem: String,
    master: MasterKey,
    instance: MasterKey,
    content: Content,
    now: Wall,
}

/// The fastest of several runs: what else runs on the machine can only add to it.
#[derive(Clone, Copy)]
struct Fastest(f64);

impl Fastest {
    fn of(seconds: &[f64]) -> Fastest {
        Fastest(seconds.iter().copied().fold(f64::INFINITY, f64::min))
    }

    #[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
    fn time<T>(runs: usize, mut work: impl FnMut() -> T) -> (Fastest, T) {
        let mut result = work();
        let mut seconds = Vec::new();
        for _ in 0..runs {
            let start = std::time::Instant::now();
            result = black_box(work());
            seconds.push(start.elapsed().as_secs_f64());
        }
        (Fastest::of(&seconds), result)
    }

    fn ms(self) -> f64 {
        self.0 * 1000.0
    }
}

fn main() -> ExitCode {
    let Some(python) = std::env::args_os().nth(1) else {
        eprintln!("usage: compare PYTHON, one that has Onionbalance: see `make compare`");
        return ExitCode::FAILURE;
    };
    let given = Given::new();
    let parsed = given.parse();
    let blinded = Slot::BOTH.map(|slot| given.master.blind(&parsed.period(slot)));
    let folder = tempfile::tempdir().unwrap();
    given.write(folder.path(), &blinded.each_ref().map(|key| HEXLOWER.encode(&key.id().0)));
    let theirs = onionbalance(python.as_ref(), folder.path());

    let (ring, hsdirs) = Fastest::time(RINGS, || {
        let ring = Ring::new(&given.parse());
        Slot::BOTH.map(|slot| ring.responsible(slot, &blinded[slot as usize].id()))
    });
    let fingerprints = hsdirs.map(|dirs| dirs.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(json!(fingerprints), theirs["hsdirs"], "both find the same HSDirs");

    let period = parsed.period(Slot::First);
    let (built, document) = Fastest::time(BUILDS, || {
        let blinded = given.master.blind(&period);
        build(&blinded, &given.content, given.now).unwrap()
    });
    let read_back = read(document.as_bytes(), &given.master.id(), &[period], given.now).unwrap();
    assert_eq!(
        json!(auth_keys(&read_back.points)),
        theirs["auth_keys"],
        "both name the same points"
    );

    report(&theirs, [built, ring])
}

impl Given {
    /// Of this hour: Onionbalance looks at the clock itself.
    fn new() -> Given {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap();
        let mut network = synthetic::Network::public(RELAYS);
        network.valid_after = since.as_secs() / 3600 * 3600;
        let prefix = b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
        let key = BASE64.encode(&[&prefix[..], &[7; 32]].concat());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n");
        Given {
            consensus: network.consensus(),
            microdescs: network.microdescs(),
            master: MasterKey::parse(pem.as_bytes()).unwrap(),
            pem,
            instance: points::master(),
            content: points::content(POINTS),
            now: Wall(since.as_secs()),
        }
    }

    fn parse(&self) -> Consensus {
        let (consensus, microdescs) = (self.consensus.as_bytes(), self.microdescs.as_bytes());
        Consensus::parse(consensus, microdescs, false).unwrap()
    }

    fn instance_document(&self, consensus: &Consensus) -> String {
        let blinded = self.instance.blind(&consensus.period(Slot::First));
        build(&blinded, &self.content, self.now).unwrap()
    }

    fn write(&self, folder: &Path, blinded: &[String; 2]) {
        let given = json!({ "blinded": blinded, "instance": address::onion(&self.instance.id()) });
        let files = [
            ("consensus", &self.consensus),
            ("microdescs", &self.microdescs),
            ("master.pem", &self.pem),
            ("instance", &self.instance_document(&self.parse())),
            ("given.json", &given.to_string()),
        ];
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
        }
    }
}

fn onionbalance(python: &Path, folder: &Path) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/compare/with_onionbalance.py");
    let output = Command::new(python).arg(script).arg(folder).output().unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "Onionbalance failed: {complaint}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn auth_keys(points: &[IntroPoint]) -> Vec<String> {
    let mut keys: Vec<_> = points.iter().map(|point| HEXLOWER.encode(&point.auth_key)).collect();
    keys.sort();
    keys
}

fn report(theirs: &Value, ours: [Fastest; 2]) -> ExitCode {
    let seconds =
        |name: &str| -> Vec<f64> { serde_json::from_value(theirs[name].clone()).unwrap() };
    let theirs_in = ["build_s", "ring_s"].map(|name| Fastest::of(&seconds(name)));
    let what = ["build and sign a descriptor of 20 points", "9,000 relays from text to both rings"];
    let version = theirs["version"].as_str().unwrap();
    println!(
        "the fastest of several runs; both found the same HSDirs and published the same points\n"
    );
    println!(
        "{:<42} {:>18} {:>14} {:>8}",
        "",
        format!("Onionbalance {version}"),
        "RustBalance",
        ""
    );
    for ((what, theirs), ours) in what.iter().zip(theirs_in).zip(ours) {
        let ratio = theirs.0 / ours.0;
        println!("{what:<42} {:>15.1} ms {:>11.3} ms {ratio:>6.0} x", theirs.ms(), ours.ms());
    }
    let [built, ring] = ours;
    let ratio = theirs_in[0].0 / built.0;
    let holds = ratio >= BUILD_RATIO_MIN && ring.0 <= RINGS_MAX.as_secs_f64();
    let verdict = if holds { "hold" } else { "do NOT hold" };
    println!(
        "\nthe promises {verdict}: building at least {BUILD_RATIO_MIN:.0} times as fast, \
         both rings within {} ms",
        RINGS_MAX.as_millis()
    );
    if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
