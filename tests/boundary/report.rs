//! What was seen, as a table, and which lines of the node's log need an explanation.

use std::fmt::Write as _;
use std::time::Duration;

use rustbalance::time::Window;
use testnet::{Sample, Samples};

/// Counts per stretch between two boundaries, then every fetch that failed.
pub(crate) fn table(samples: &Samples, crossed: &[(Duration, Window)], fronts: &[&str]) -> String {
    let mut text = format!("\n{:<24} {:>7} {:>7}", "stretch", "fetches", "fresh");
    for front in fronts {
        write!(text, " {front:>8}").expect("a string grows");
    }
    text.push_str("  failed    lost  longest outage\n");
    let mut from = Duration::ZERO;
    let mut name = "before".to_owned();
    let ends = crossed.iter().map(|(at, window)| (*at, format!("{window:?} from {at:.0?}")));
    for (until, next) in ends.chain([(Duration::MAX, String::new())]) {
        let within = |sample: &&Sample| sample.at >= from && sample.at < until;
        let part = Samples(samples.0.iter().filter(within).cloned().collect());
        row(&mut text, &name, &part, fronts);
        (from, name) = (until, next);
    }
    row(&mut text, "all", samples, fronts);
    for sample in samples.failed() {
        writeln!(text, "{sample:?}").expect("a string grows");
    }
    text
}

fn row(text: &mut String, name: &str, samples: &Samples, fronts: &[&str]) {
    let fresh = samples.0.iter().filter(|sample| sample.fresh).count();
    let answered = samples.by_front();
    write!(text, "{name:<24} {:>7} {fresh:>7}", samples.0.len()).expect("a string grows");
    for front in fronts {
        let count = answered.get(front).unwrap_or(&0);
        write!(text, " {count:>8}").expect("a string grows");
    }
    let (failed, lost) = (samples.failed().count(), samples.lost().len());
    let outage_s = samples.longest_outage().as_secs_f32();
    writeln!(text, " {failed:>7} {lost:>7}  {outage_s:>12.1} s").expect("a string grows");
}

/// The warnings and errors of a log that `explained` does not name.
pub(crate) fn unexplained<'a>(log: &'a str, explained: &[(&str, &str)]) -> Vec<&'a str> {
    let grave = |line: &&str| line.contains(" WARN ") || line.contains("ERROR ");
    let known = |line: &&str| explained.iter().any(|(text, _)| line.contains(text));
    log.lines().filter(grave).filter(|line| !known(line)).collect()
}
