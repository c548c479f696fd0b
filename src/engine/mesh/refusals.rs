//! What was refused: counted by peer, path and reason, and told rarely.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ident::NodeId;
use crate::message::{Path, Refusal};
use crate::time::Mono;

/// The same peer and reason are told again after so long.
const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Names stay in the count for so many peers, paths and reasons; what is beyond is nobody's.
const COUNTED_MAX: usize = 1024;

/// Whose, how it came, why, how often.
pub(super) type Counted = (Option<NodeId>, Path, Refusal, u64);

#[derive(Debug, Default)]
pub(super) struct Refusals {
    counts: BTreeMap<(Option<NodeId>, Path, Refusal), u64>,
    told: BTreeMap<(Option<NodeId>, Refusal), Mono>,
}

impl Refusals {
    /// Counts one; whether it should be told.
    pub(super) fn count(
        &mut self,
        peer: Option<NodeId>,
        path: Path,
        reason: Refusal,
        now: Mono,
    ) -> bool {
        let full = self.counts.len() >= COUNTED_MAX;
        let known = self.counts.contains_key(&(peer.clone(), path, reason));
        let peer = if full && !known { None } else { peer };
        *self.counts.entry((peer.clone(), path, reason)).or_default() += 1;
        let told = self.told.get(&(peer.clone(), reason)).copied();
        let tell = told.is_none_or(|at| now - at >= TOLD_EVERY);
        if tell {
            self.told.insert((peer, reason), now);
        }
        tell
    }

    pub(super) fn counted(&self) -> Vec<Counted> {
        let each = |((peer, path, reason), count): (&(Option<NodeId>, Path, Refusal), &u64)| {
            (peer.clone(), *path, *reason, *count)
        };
        self.counts.iter().map(each).collect()
    }
}

/// How much came within the running second.
#[derive(Clone, Debug, Default)]
pub(super) struct Load {
    since: Mono,
    count: u32,
}

impl Load {
    /// Counts one; whether there are no more than `max` in this second.
    pub(super) fn admits(&mut self, max: u32, now: Mono) -> bool {
        if now - self.since >= Duration::from_secs(1) {
            *self = Load { since: now, count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= max
    }

    /// When the next second begins.
    pub(super) fn renews(&self) -> Mono {
        self.since + Duration::from_secs(1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{at, front};
    use super::*;

    #[test]
    fn all_are_counted_and_one_in_ten_minutes_is_told() {
        let mut refusals = Refusals::default();
        let mut count = |name: Option<&str>, reason, s: f64| {
            refusals.count(name.map(front), Path::Tor, reason, at(s).mono)
        };
        assert!(count(Some("a"), Refusal::Stale, 0.0));
        assert!(!count(Some("a"), Refusal::Stale, 599.0));
        assert!(count(Some("a"), Refusal::Flood, 1.0));
        assert!(count(None, Refusal::Stale, 1.0));
        assert!(count(Some("a"), Refusal::Stale, 600.0));
        let all = refusals.counted();
        assert!(all.contains(&(Some(front("a")), Path::Tor, Refusal::Stale, 3)), "{all:?}");
    }

    #[test]
    fn the_count_is_bounded() {
        let mut refusals = Refusals::default();
        for n in 0..2000 {
            refusals.count(Some(front(&format!("n{n}"))), Path::Tor, Refusal::Stale, at(0.0).mono);
        }
        assert_eq!(refusals.counted().len(), COUNTED_MAX + 1);
    }

    #[test]
    fn a_second_admits_no_more_than_it_may() {
        let mut load = Load::default();
        let admitted = |load: &mut Load, s| (0..9).filter(|_| load.admits(4, at(s).mono)).count();
        assert_eq!(admitted(&mut load, 5.0), 4);
        assert_eq!(admitted(&mut load, 5.9), 0);
        assert_eq!(admitted(&mut load, 6.0), 4);
    }
}
