//! How long a changed introduction point takes to reach every responsible HSDir.
//!
//! `cargo test --test latency -- --ignored --nocapture` prints the table.
//!
//! One front with its node, on a network whose consensus lets an introduction point live for one
//! introduction only: every visit makes tor drop a point and set up another one, which is what it
//! does on the public network after a day. The rate limit of rounds is lifted, because twenty
//! changes within minutes are not what it is for.

#[path = "../support/day.rs"]
mod day;
mod figures;
mod front;
#[path = "../support/observer.rs"]
#[expect(dead_code, reason = "the end-to-end tests use more of it")]
mod observer;

use std::time::{Duration, Instant};

use day::Day;
use figures::Figures;
use front::Solo;
use rustbalance::time::Window;
use testnet::{Network, Options};

/// Changes per window that are measured.
const CHANGES: usize = 20;

/// From one change to the next, so that a round is over before another begins.
const PAUSE: Duration = Duration::from_secs(4);

/// Nothing is begun so shortly before a boundary, or so shortly after it.
const CLEAR_BEFORE: Duration = Duration::from_secs(30);
const CLEAR_AFTER: Duration = Duration::from_secs(45);

/// Tor launches a limited number of introduction circuits per five minutes: then nothing changes.
const MISSES_MAX: usize = 40;

#[test]
#[ignore = "takes 20 minutes"]
fn a_changed_introduction_point_is_on_all_hsdirs_within_seconds() {
    let options = Options {
        consensus_params: ["hs_intro_min_introduce2=1", "hs_intro_max_introduce2=2"]
            .map(str::to_owned)
            .into(),
        clients: 4,
        ..Options::default()
    };
    let network = Network::start(options, |line| eprintln!("{line}")).unwrap();
    let mut solo = Solo::start(&network).unwrap();
    let mut first = Figures::new("first window", Duration::from_secs(3));
    let mut second = Figures::new("second window", Duration::from_secs(6));
    let mut misses = 0;
    while first.len() < CHANGES || second.len() < CHANGES {
        network.keep_clear_of_boundaries(CLEAR_BEFORE, CLEAR_AFTER);
        let day = Day::of(network.client(0)).unwrap();
        let figures = match day.window {
            Window::SrvToPeriod => &mut first,
            Window::PeriodToSrv => &mut second,
        };
        if figures.len() == CHANGES {
            std::thread::sleep(network.until_boundary());
            continue;
        }
        match solo.change(&day).unwrap() {
            Some(change) => {
                eprintln!("{} {:2}: {change}", figures.name(), figures.len() + 1);
                figures.push(change);
            }
            None => misses += 1,
        }
        assert!(misses < MISSES_MAX, "tor changed nothing {misses} times:\n{}", solo.log());
        std::thread::sleep(PAUSE);
    }
    eprintln!("\n{}{first}{second}({misses} visits changed nothing)", Figures::HEAD);
    for figures in [first, second] {
        assert!(figures.p95() <= figures.limit(), "{figures}");
    }
}

#[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
fn now() -> Instant {
    Instant::now()
}
