//! The times of many changes, as percentiles.

use std::fmt;
use std::time::Duration;

/// How long one change took, in the order of its parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    /// Tor's own: from its first `UPLOAD` of the new points to its first `UPLOADED`.
    pub(crate) own_upload: Duration,
    /// Ours: from the moment that counts until the round begins, the debounce of 0.3 s included.
    pub(crate) gather: Duration,
    /// Tor's again: from the round's beginning until the last HSDir has confirmed.
    pub(crate) round: Duration,
    /// Rounds until the new points stood everywhere; the first may only take the old point away.
    pub(crate) rounds: usize,
}

impl Change {
    fn total(&self) -> Duration {
        self.gather + self.round
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [total, gather, round] = [self.total(), self.gather, self.round];
        write!(f, "{total:.2?} = {gather:.2?} until the round + {round:.2?} for 16 HSDirs")?;
        write!(f, " ({} rounds; tor's own upload {:.2?})", self.rounds, self.own_upload)
    }
}

/// The changes of one window.
pub(crate) struct Figures {
    name: &'static str,
    limit: Duration,
    changes: Vec<Change>,
}

impl Figures {
    /// The head of the table that [`Display`](fmt::Display) prints.
    pub(crate) const HEAD: &'static str =
        "                                        p50      p95      max\n";

    /// No changes yet; their 95th percentile is to be within `limit`.
    pub(crate) fn new(name: &'static str, limit: Duration) -> Figures {
        Figures { name, limit, changes: Vec::new() }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// The 95th percentile of the whole time.
    pub(crate) fn p95(&self) -> Duration {
        percentile(self.changes.iter().map(Change::total), 95)
    }

    fn row(
        &self,
        f: &mut fmt::Formatter<'_>,
        what: &str,
        part: impl Fn(&Change) -> Duration,
    ) -> fmt::Result {
        let [p50, p95, max] =
            [50, 95, 100].map(|percent| percentile(self.changes.iter().map(&part), percent));
        let name = self.name;
        writeln!(f, "{name:<14} {what:<28} {p50:>8.2?} {p95:>8.2?} {max:>8.2?}")
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.row(f, "until all HSDirs confirmed", Change::total)?;
        self.row(f, "  until the round begins", |change| change.gather)?;
        self.row(f, "  uploads through tor", |change| change.round)?;
        self.row(f, "tor's own upload, for scale", |change| change.own_upload)
    }
}

/// The smallest value that `percent` of all do not exceed.
fn percentile(values: impl Iterator<Item = Duration>, percent: usize) -> Duration {
    let mut values: Vec<Duration> = values.collect();
    values.sort_unstable();
    let rank = (values.len() * percent).div_ceil(100);
    values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[test]
fn percentiles_are_values_that_were_seen() {
    let seconds = |values: &[u64]| values.iter().copied().map(Duration::from_secs).collect();
    let twenty: Vec<Duration> = seconds(&(1..=20).collect::<Vec<_>>());
    let of = |percent| percentile(twenty.iter().copied(), percent).as_secs();
    assert_eq!([of(50), of(95), of(100)], [10, 19, 20]);
    assert_eq!(percentile(seconds(&[7]).into_iter(), 95).as_secs(), 7);
}
