//! Fetching back what was uploaded: one HSDir at a time, the client-facing descriptor only.
//!
//! Tor can fetch only the current period's descriptor; the other one is confirmed by its upload
//! and verified once its period has come.

use std::time::Duration;

use super::super::action::{FetchId, Returned};
use super::descriptor::{Confirmed, Dir};
use crate::ident::RelayId;
use crate::time::{Mono, TimePeriod, Wall};

/// Between two fetches: they cost a circuit each and are not urgent.
const SPACING: Duration = Duration::from_secs(1);

/// After its upload a document gets so long to settle.
const SETTLE: Duration = Duration::from_secs(1);

/// How long one fetch may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// An HSDir that cannot be asked is asked so often.
pub(super) const TRIES_MAX: u32 = 3;

#[derive(Debug, Default)]
pub(super) struct Verify {
    in_flight: Option<InFlight>,
    next: Mono,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) id: FetchId,
    pub(super) hsdir: RelayId,
    pub(super) period: TimePeriod,
    until: Mono,
}

/// What a returned document says about an HSDir.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds what it confirmed.
    Equal,
    /// It holds one of ours, but an older one, or a foreign one that is older.
    Behind,
    /// Somebody else signed a later one, at this second by our own scale.
    Rival(Wall),
    /// It is of another period: our tor has moved on, nothing is known.
    OtherPeriod,
}

impl Verify {
    /// Whether a fetch may start now.
    pub(super) fn free(&self, now: Mono) -> bool {
        self.in_flight.is_none() && self.next <= now
    }

    pub(super) fn started(&mut self, id: FetchId, hsdir: RelayId, period: TimePeriod, now: Mono) {
        self.in_flight = Some(InFlight { id, hsdir, period, until: now + TIMEOUT });
        self.next = now + SPACING;
    }

    /// Takes back the fetch in flight, when `id` is it.
    pub(super) fn finish(&mut self, id: FetchId) -> Option<InFlight> {
        self.in_flight.take_if(|fetch| fetch.id == id)
    }

    /// Takes back the fetch in flight, when it has taken too long.
    pub(super) fn time_out(&mut self, now: Mono) -> Option<InFlight> {
        self.in_flight.take_if(|fetch| fetch.until <= now)
    }

    pub(super) fn cut_off(&mut self) {
        self.in_flight = None;
    }

    pub(super) fn deadline(&self) -> Mono {
        self.in_flight.map_or(self.next, |fetch| fetch.until)
    }
}

/// When this HSDir should be asked; `None`: it need not be.
pub(super) fn due(dir: &Dir) -> Option<Mono> {
    if dir.in_flight.is_some() || dir.verify_tries >= TRIES_MAX {
        return None;
    }
    let wait = SETTLE + Duration::from_secs(10) * dir.verify_tries;
    match dir.confirmed {
        Some(confirmed) if dir.clean && dir.verified_at.is_none() => Some(confirmed.at + wait),
        _ if dir.refused => Some(Mono::default()),
        _ => None,
    }
}

/// Judges what came back from an HSDir that confirmed `confirmed` last.
pub(super) fn judge(
    returned: &Returned,
    period: TimePeriod,
    confirmed: Option<Confirmed>,
    last_signed: Option<Wall>,
) -> Verdict {
    if returned.period != period {
        return Verdict::OtherPeriod;
    }
    if returned.ours {
        let newest = confirmed.is_none_or(|c| returned.signed_at >= Some(c.signed_at));
        return if newest { Verdict::Equal } else { Verdict::Behind };
    }
    match returned.signed_at {
        Some(second) if Some(second) >= last_signed => Verdict::Rival(second),
        _ => Verdict::Behind,
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::period;
    use super::*;

    fn returned(second: u64, ours: bool) -> Returned {
        Returned { period: period(5), signed_at: Some(Wall(second)), ours }
    }

    #[test]
    fn what_comes_back_is_told_apart() {
        let confirmed = Some(Confirmed { signed_at: Wall(100), at: Mono::default() });
        let judge = |r: &Returned, p: u64| judge(r, period(p), confirmed, Some(Wall(110)));
        assert_eq!(judge(&returned(100, true), 5), Verdict::Equal);
        assert_eq!(judge(&returned(105, true), 5), Verdict::Equal);
        assert_eq!(judge(&returned(99, true), 5), Verdict::Behind);
        assert_eq!(judge(&returned(99, false), 5), Verdict::Behind);
        assert_eq!(judge(&returned(110, false), 5), Verdict::Rival(Wall(110)));
        assert_eq!(judge(&returned(100, true), 6), Verdict::OtherPeriod);
        let before_all = Returned { signed_at: None, ..returned(0, false) };
        assert_eq!(judge(&before_all, 5), Verdict::Behind);
    }
}
