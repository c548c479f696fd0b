//! One descriptor of one service in one time period, and how it stands at each of its HSDirs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::super::action::{RoundReason, UploadError, UploadId};
use super::super::merge::Plan;
use super::super::rng::Rng;
use crate::ident::RelayId;
use crate::time::{Mono, Now, TimePeriod, Wall};

/// The longest first delay of the quick retries; doubled with each further one.
const RETRY_BASE: Duration = Duration::from_secs(2);

/// The slow rhythm after the quick tries, which never gives up.
const SLOW_RETRY_MIN: Duration = Duration::from_secs(10 * 60);
const SLOW_RETRY_MAX: Duration = Duration::from_secs(12 * 60);

/// HSDirs forget a document after 180 minutes: from here on it is urgent.
const LAPSING_AFTER: Duration = Duration::from_secs(150 * 60);

/// Between two urgent rounds for the same descriptor.
const LAPSING_AGAIN: Duration = Duration::from_secs(10 * 60);

/// How far the signing second jumps when HSDirs refuse what cannot be read back.
const REFUSAL_JUMPS_S: [u64; 3] = [60, 600, 3600];

/// So many HSDirs must refuse before the signing second jumps.
const REFUSALS_MIN: usize = 2;

#[derive(Debug)]
pub(super) struct Descriptor {
    pub(super) period: TimePeriod,
    /// The content of the last round; `None` before the first.
    pub(super) plan: Option<Arc<Plan>>,
    pub(super) dirs: BTreeMap<RelayId, Dir>,
    pub(super) refresh_at: Option<Mono>,
    /// The latest second at which anything was signed for this period.
    pub(super) last_signed: Option<Wall>,
    /// The signing second of the current round.
    pub(super) round_signed: Option<Wall>,
    /// A round that is wanted whatever the content.
    pub(super) wanted: Option<RoundReason>,
    /// Since when the content differs from the last round's.
    pub(super) changed_at: Option<Mono>,
    lapsing_at: Option<Mono>,
    jumps: usize,
}

/// How the descriptor stands at one HSDir.
#[derive(Debug, Default)]
pub(super) struct Dir {
    /// It has confirmed the content of the current round.
    pub(super) clean: bool,
    /// Tries in this round.
    pub(super) tries: u32,
    /// The quick tries are over: the next one comes in the slow rhythm.
    pub(super) slow: bool,
    pub(super) next_try: Mono,
    pub(super) in_flight: Option<InFlight>,
    /// Its confirmation may have been meant for an earlier upload: it gets the document once more
    /// then, when that one cannot arrive any more.
    insure_at: Option<Mono>,
    /// It refused the last upload, and no earlier one could be the reason.
    pub(super) refused: bool,
    pub(super) confirmed: Option<Confirmed>,
    pub(super) last_error: Option<String>,
    /// When the confirmed document was fetched back and found equal.
    pub(super) verified_at: Option<Mono>,
    pub(super) verify_tries: u32,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct InFlight {
    pub(super) id: UploadId,
    pub(super) signed_at: Wall,
    pub(super) round_signed: Option<Wall>,
    pub(super) until: Mono,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Confirmed {
    pub(super) signed_at: Wall,
    pub(super) at: Mono,
}

impl Descriptor {
    pub(super) fn new(period: TimePeriod) -> Descriptor {
        Descriptor {
            period,
            plan: None,
            dirs: BTreeMap::new(),
            refresh_at: None,
            last_signed: None,
            round_signed: None,
            wanted: None,
            changed_at: None,
            lapsing_at: None,
            jumps: 0,
        }
    }

    /// The HSDirs that owe an answer.
    pub(super) fn awaited(&self) -> impl Iterator<Item = (RelayId, UploadId)> {
        let owing = |(relay, dir): (&RelayId, &Dir)| Some((*relay, dir.in_flight?.id));
        self.dirs.iter().filter_map(owing)
    }

    /// Takes over the responsible HSDirs; true when there are new ones.
    pub(super) fn set_ring(&mut self, ring: &[RelayId]) -> bool {
        self.dirs.retain(|relay, _| ring.contains(relay));
        let before = self.dirs.len();
        for relay in ring {
            self.dirs.entry(*relay).or_default();
        }
        self.dirs.len() > before
    }

    /// Asks for a round; the most urgent reason stays.
    pub(super) fn want(&mut self, why: RoundReason) {
        self.wanted = self.wanted.max(Some(why));
    }

    /// Begins a round with this content: every HSDir is to get it, signed at one second.
    pub(super) fn open_round(&mut self, plan: Arc<Plan>, now: Now, refresh_in: Duration) {
        self.plan = Some(plan);
        self.wanted = None;
        self.changed_at = None;
        self.refresh_at = Some(now.mono + refresh_in);
        self.round_signed = Some(self.next_second(now.wall));
        for dir in self.dirs.values_mut() {
            dir.clean = false;
            dir.tries = 0;
            dir.slow = false;
            dir.next_try = now.mono;
            dir.refused = false;
            dir.insure_at = None;
        }
    }

    /// The second to sign at: now, but always later than the last one, and never before the
    /// seconds of its period are counted (a clock may be a little behind the consensus).
    pub(super) fn next_second(&mut self, now: Wall) -> Wall {
        let now = now.max(self.period.srv_start());
        let second = self.last_signed.map_or(now, |last| now.max(last + Duration::from_secs(1)));
        self.last_signed = Some(second);
        second
    }

    /// A validly signed document of that second was seen: ours must be later.
    pub(super) fn raise(&mut self, seen: Wall) {
        self.last_signed = self.last_signed.max(Some(seen));
    }

    /// The second for the next upload to `relay`: the round's for a first try, else a fresh one.
    pub(super) fn second_for(&mut self, relay: &RelayId, now: Wall) -> Wall {
        let first_try = self.dirs.get(relay).is_some_and(|dir| dir.tries == 0);
        match self.round_signed {
            Some(second) if first_try => second,
            _ => self.next_second(now),
        }
    }

    /// An upload was confirmed. `doubt` is until when the answer may be that of an earlier one:
    /// then it gets the document once more after that.
    pub(super) fn confirmed(&mut self, relay: &RelayId, now: Mono, doubt: Option<Mono>) {
        let round = self.round_signed;
        let Some(dir) = self.dirs.get_mut(relay) else { return };
        let Some(upload) = dir.in_flight.take() else { return };
        dir.confirmed = Some(Confirmed { signed_at: upload.signed_at, at: now });
        dir.insure_at = doubt;
        dir.clean = upload.round_signed == round;
        dir.last_error = None;
        dir.verified_at = None;
        dir.verify_tries = 0;
        dir.refused = false;
        dir.slow = false;
        if dir.clean {
            dir.tries = 0;
        } else {
            dir.next_try = now;
        }
        self.lapsing_at = None;
        if self.dirs.values().all(|dir| dir.clean) {
            self.jumps = 0;
        }
    }

    /// An HSDir returned a document of ours, perhaps one that it had not confirmed for certain.
    pub(super) fn found(&mut self, relay: &RelayId, signed_at: Option<Wall>, now: Mono) {
        let round = self.round_signed;
        let Some(dir) = self.dirs.get_mut(relay) else { return };
        dir.verified_at = Some(now);
        let Some(signed_at) = signed_at.filter(|at| Some(*at) >= round) else { return };
        dir.insure_at = None;
        if !dir.clean {
            dir.clean = true;
            dir.tries = 0;
            dir.slow = false;
            dir.last_error = None;
            dir.confirmed = Some(Confirmed { signed_at, at: now });
        }
    }

    /// An upload failed. `unresolved`: an earlier one there may still arrive, and be the reason.
    pub(super) fn failed(
        &mut self,
        relay: &RelayId,
        error: &UploadError,
        now: Mono,
        unresolved: bool,
        quick_retries: u32,
        rng: &mut Rng,
    ) {
        let Some(dir) = self.dirs.get_mut(relay) else { return };
        dir.in_flight = None;
        dir.last_error = Some(error.to_string());
        dir.tries += 1;
        dir.refused = *error == UploadError::Rejected && !unresolved;
        if dir.refused {
            dir.verify_tries = 0;
        }
        let quick = dir.tries <= quick_retries
            && !matches!(error, UploadError::Unusable(_) | UploadError::UnknownHsDir);
        dir.slow = !quick;
        dir.next_try = now
            + if quick {
                let most = RETRY_BASE * 2u32.saturating_pow(dir.tries.min(5) - 1);
                rng.between(Duration::ZERO, most)
            } else {
                rng.between(SLOW_RETRY_MIN, SLOW_RETRY_MAX)
            };
    }

    /// Uploads on their way are given up without counting as tries: tor is gone.
    pub(super) fn cut_off(&mut self, now: Mono) {
        for dir in self.dirs.values_mut().filter(|dir| dir.in_flight.is_some()) {
            dir.in_flight = None;
            dir.next_try = now;
        }
    }

    /// An HSDir returned what it should not: it gets the document again, freshly signed.
    pub(super) fn repair(&mut self, relay: &RelayId, why: &str, now: Mono, rng: &mut Rng) {
        let Some(dir) = self.dirs.get_mut(relay) else { return };
        dir.last_error = Some(why.to_owned());
        dir.confirmed = None;
        if dir.clean {
            dir.clean = false;
            dir.tries = 1;
            dir.next_try = now + rng.between(Duration::ZERO, RETRY_BASE);
        }
    }

    /// Two or more HSDirs refuse, and what they hold cannot be read: sign further ahead.
    /// Gives how far.
    pub(super) fn jump_ahead(&mut self, now: Now) -> Option<Duration> {
        let refused = |dir: &&mut Dir| dir.refused && !dir.clean;
        if self.dirs.values_mut().filter(refused).count() < REFUSALS_MIN {
            return None;
        }
        let jump = Duration::from_secs(*REFUSAL_JUMPS_S.get(self.jumps)?);
        self.jumps += 1;
        self.raise(now.wall + jump);
        for dir in self.dirs.values_mut().filter(refused) {
            dir.refused = false;
            dir.next_try = now.mono;
        }
        Some(jump)
    }

    /// Since the last confirmation anywhere, once that is so long that it lapses soon.
    pub(super) fn lapsing(&mut self, now: Mono) -> Option<Duration> {
        let last = self.last_confirmed()?;
        if now < self.lapse_check(last) {
            return None;
        }
        self.lapsing_at = Some(now + LAPSING_AGAIN);
        Some(now - last)
    }

    fn lapse_check(&self, last: Mono) -> Mono {
        self.lapsing_at.unwrap_or(last + LAPSING_AFTER)
    }

    /// When any HSDir confirmed anything last.
    pub(super) fn last_confirmed(&self) -> Option<Mono> {
        self.dirs.values().filter_map(|dir| dir.confirmed).map(|confirmed| confirmed.at).max()
    }

    pub(super) fn confirmed_count(&self) -> usize {
        self.dirs.values().filter(|dir| dir.clean).count()
    }

    /// HSDirs whose confirmation was not certain get the document once more.
    pub(super) fn insure(&mut self, now: Mono) {
        let due = |dir: &&mut Dir| dir.clean && dir.insure_at.is_some_and(|at| at <= now);
        for dir in self.dirs.values_mut().filter(due) {
            dir.insure_at = None;
            dir.clean = false;
            dir.tries = 1;
            dir.next_try = now;
        }
    }

    /// All its timers, those that have run out included.
    pub(super) fn deadlines(&self) -> impl Iterator<Item = Mono> {
        let dirs = self.dirs.values().filter_map(|dir| match dir.in_flight {
            Some(upload) => Some(upload.until),
            None if dir.clean => dir.insure_at,
            None => Some(dir.next_try),
        });
        let lapse = self.last_confirmed().map(|last| self.lapse_check(last));
        dirs.chain(self.refresh_at).chain(lapse)
    }
}
