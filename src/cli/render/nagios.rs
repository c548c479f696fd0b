//! One line for a monitoring system: state, summary, and figures with their thresholds as
//! monitoring plugins write them (`label=value;warning;critical`).

use super::sums::Sums;
use super::text::{age, clean, count};
use super::{publisher, verdict};
use crate::status::{DESCRIPTOR_AGE_CRIT_S, DESCRIPTOR_AGE_WARN_S, Health, Status};

/// The line, and the exit code that belongs to it.
pub(in crate::cli) fn nagios(status: &Status) -> (String, u8) {
    let (word, code) = match verdict(status).health() {
        Health::Ok => ("OK", 0),
        Health::Warn => ("WARNING", 1),
        Health::Crit => ("CRITICAL", 2),
    };
    let sums = Sums::of(status);
    let name = status.cluster.as_deref().unwrap_or(&status.node);
    let (there, all, what, label) = match sums.nodes {
        0 => (sums.fronts_serving, sums.fronts, "fronts serving", "fronts_serving"),
        nodes => (sums.nodes_up, nodes, "nodes up", "nodes_up"),
    };
    let mut summary = format!(
        "RUSTBALANCE {word} - {name}: {there}/{all} {what}, {}, descriptor {}",
        publisher(status),
        sums.oldest_s.map_or("not confirmed".to_owned(), age),
    );
    if let Some(check) = status.checks.first() {
        summary.push_str(&format!(", {} {}", check.code, check.subject.as_deref().unwrap_or("")));
    }
    let figures = format!(
        "{label}={there};{all}:;1: descriptor_age={};{DESCRIPTOR_AGE_WARN_S};{DESCRIPTOR_AGE_CRIT_S} \
         hsdirs={};{}:;1: intro_points={}",
        sums.oldest_s.map_or("U".to_owned(), |s| format!("{s}s")),
        sums.hsdirs_confirmed,
        count(sums.hsdirs_target).replace('?', "1"),
        sums.intro_points.map_or("U".to_owned(), |n| n.to_string()),
    );
    // A bar ends the summary.
    let summary = clean(&summary).replace('|', "/");
    (format!("{} | {figures}", summary.trim_end()), code)
}
