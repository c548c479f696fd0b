//! When and where the master descriptors of one service are uploaded.
//!
//! # When do we publish?
//!
//! A *round* signs one document and brings it to every responsible HSDir. A round begins
//!
//! - when the merged content changed: after a short debounce, so that bursts become one round;
//! - when other HSDirs became responsible, or another time period began;
//! - at a random moment 60 to 120 minutes after the last one, for each period on its own;
//! - after tor came back, after a rival's document was found, and when the last confirmed upload
//!   is so old that the HSDirs are about to forget it.
//!
//! Rounds that change something take a token from a [`Bucket`]. Whatever removes a point takes any
//! token; pure additions wait for company while few are left. Empty means later, never lost.
//! Refresh, repair and retries are free.
//!
//! # At one HSDir
//!
//! At most one upload is on its way to a relay, because tor's answer names the relay but not the
//! period. A failed upload is tried again a few times quickly, then slowly, without end.

mod descriptor;
mod readback;
mod uploads;
mod verify;
mod view;

use std::collections::BTreeMap;
use std::time::Duration;

use self::descriptor::Descriptor;
use self::verify::Verify;
pub use self::view::{DescriptorView, HsDirView};
use super::action::{Action, ConsensusView, Report, RoundReason, UploadId};
use super::merge::{Desired, Plan};
use super::rng::Rng;
use super::settings::Settings;
use crate::ident::{HsId, RelayId};
use crate::time::{Bucket, Mono, Now, Slot, TimePeriod};

/// With no more tokens than this, additions wait for company.
const TOKENS_KEPT_FOR_REMOVALS: u32 = 2;

/// How long additions wait then.
const ADDITIONS_WAIT: Duration = Duration::from_secs(30);

/// Between two rounds that answer a rival, so that two publishers do not race each other.
const CONFLICT_SPACING_MIN: Duration = Duration::from_secs(100);
const CONFLICT_SPACING_MAX: Duration = Duration::from_secs(140);

/// Which upload is on its way to which relay, over all services.
pub(super) type Lanes = BTreeMap<RelayId, UploadId>;

/// What a publisher needs from its surroundings for one step.
pub(super) struct Context<'a> {
    pub(super) now: Now,
    pub(super) settings: &'a Settings,
    pub(super) rng: &'a mut Rng,
    pub(super) lanes: &'a mut Lanes,
    pub(super) next_id: &'a mut u64,
    pub(super) actions: &'a mut Vec<Action>,
}

impl Context<'_> {
    fn id(&mut self) -> u64 {
        *self.next_id += 1;
        *self.next_id
    }

    fn report(&mut self, report: Report) {
        self.actions.push(Action::Report(report));
    }
}

/// The publishing state of one service.
#[derive(Debug)]
pub(super) struct Publisher {
    service: HsId,
    descriptors: BTreeMap<TimePeriod, Descriptor>,
    bucket: Bucket,
    verify: Verify,
    /// Relays with an upload that was never answered, and until when it may still arrive.
    unresolved: BTreeMap<RelayId, Mono>,
    /// The rounds under way, until every HSDir has confirmed.
    campaign: Option<Campaign>,
    conflict_until: Option<Mono>,
}

#[derive(Debug)]
struct Campaign {
    started: Mono,
    partial_reported: bool,
}

impl Publisher {
    pub(super) fn new(service: HsId, settings: &Settings) -> Publisher {
        Publisher {
            service,
            descriptors: BTreeMap::new(),
            bucket: Bucket::new(settings.burst, settings.burst_refill),
            verify: Verify::default(),
            unresolved: BTreeMap::new(),
            campaign: None,
            conflict_until: None,
        }
    }

    /// The master address.
    pub(super) fn service(&self) -> &HsId {
        &self.service
    }

    /// What was published for `period` last.
    pub(super) fn plan(&self, period: &TimePeriod) -> Option<&Plan> {
        self.descriptors.get(period)?.plan.as_deref()
    }

    /// Takes over periods and HSDirs of a consensus.
    pub(super) fn consensus_read(&mut self, view: &ConsensusView, now: Mono) {
        let before: Vec<_> = self.awaited().collect();
        self.take_over(view);
        let after: Vec<_> = self.awaited().collect();
        for (relay, _) in before.iter().filter(|upload| !after.contains(upload)) {
            self.leave_unresolved(*relay, now);
        }
    }

    fn take_over(&mut self, view: &ConsensusView) {
        self.descriptors.retain(|period, _| *period == view.first || *period == view.second);
        let Some(ring) = view.rings.get(&self.service) else { return };
        for slot in Slot::BOTH {
            let period = view.period(slot);
            let descriptor =
                self.descriptors.entry(period).or_insert_with(|| Descriptor::new(period));
            if descriptor.set_ring(ring.store(slot)) && descriptor.plan.is_some() {
                descriptor.want(RoundReason::RingChanged);
            }
        }
    }

    pub(super) fn tor_lost(&mut self, now: Mono) {
        self.verify.cut_off();
        self.unresolved.clear();
        self.descriptors.values_mut().for_each(|descriptor| descriptor.cut_off(now));
    }

    pub(super) fn tor_returned(&mut self) {
        for descriptor in self.descriptors.values_mut().filter(|d| d.plan.is_some()) {
            descriptor.want(RoundReason::TorReturned);
        }
    }

    /// Opens rounds, starts uploads and fetch-backs. `desired` is the merged content per period.
    pub(super) fn advance(
        &mut self,
        view: &ConsensusView,
        desired: &BTreeMap<TimePeriod, Desired>,
        ctx: &mut Context<'_>,
    ) {
        self.time_out(ctx);
        for (period, descriptor) in &mut self.descriptors {
            let differs =
                desired.get(period).is_some_and(|d| Some(&d.plan) != descriptor.plan.as_ref());
            match (differs, descriptor.changed_at) {
                (true, None) => descriptor.changed_at = Some(ctx.now.mono),
                (false, Some(_)) => descriptor.changed_at = None,
                _ => {}
            }
        }
        self.check_age(ctx);
        self.open_rounds(view, desired, ctx);
        self.start_uploads(view, ctx);
        self.conclude(ctx);
        if ctx.settings.verify {
            self.start_verify(view, ctx);
        }
    }

    fn check_age(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now.mono;
        for descriptor in self.descriptors.values_mut() {
            descriptor.insure(now);
            if let Some(age) = descriptor.lapsing(now) {
                descriptor.want(RoundReason::Lapsing);
                let (service, period) = (self.service, descriptor.period);
                ctx.actions.push(Action::Report(Report::DescriptorLapsing {
                    service,
                    period,
                    age,
                }));
            }
            if descriptor.refresh_at.is_some_and(|at| at <= now) {
                descriptor.want(RoundReason::Refresh);
            }
        }
    }

    fn open_rounds(
        &mut self,
        view: &ConsensusView,
        desired: &BTreeMap<TimePeriod, Desired>,
        ctx: &mut Context<'_>,
    ) {
        let now = ctx.now.mono;
        let mut opened: Option<RoundReason> = None;
        let mut token_taken = false;
        let current = view.current();
        let was = self.descriptors.get(&current).and_then(|d| d.plan.clone());
        let periods: Vec<TimePeriod> = self.descriptors.keys().copied().collect();
        for period in periods {
            let Some(Desired { plan, removes }) = desired.get(&period) else { continue };
            let Some(why) = self.reason(period, *removes, ctx) else { continue };
            if costs(why) && !token_taken {
                if !self.bucket.take(now) {
                    continue;
                }
                token_taken = true;
            }
            if why == RoundReason::Repair {
                let spacing = ctx.rng.between(CONFLICT_SPACING_MIN, CONFLICT_SPACING_MAX);
                self.conflict_until = Some(now + spacing);
            }
            let refresh = ctx.rng.between(ctx.settings.refresh_min, ctx.settings.refresh_max);
            if let Some(descriptor) = self.descriptors.get_mut(&period) {
                descriptor.open_round(plan.clone(), ctx.now, refresh);
            }
            opened = opened.max(Some(why));
        }
        let Some(why) = opened else { return };
        self.campaign = Some(Campaign { started: now, partial_reported: false });
        let points = desired.get(&current).map_or(0, |desired| desired.plan.points.len());
        let was = was.map(|plan| plan.points.len());
        ctx.report(Report::PublishStarted { service: self.service, points, was, why });
    }

    /// Why this descriptor gets a round now, if it does.
    fn reason(
        &mut self,
        period: TimePeriod,
        removes: bool,
        ctx: &mut Context<'_>,
    ) -> Option<RoundReason> {
        let now = ctx.now.mono;
        let descriptor = self.descriptors.get(&period)?;
        let changed = descriptor.changed_at.map(|since| match &descriptor.plan {
            None => (RoundReason::RingChanged, since),
            Some(_) if removes => (RoundReason::Removed, since + ctx.settings.debounce),
            Some(_) if self.bucket.tokens(now) > TOKENS_KEPT_FOR_REMOVALS => {
                (RoundReason::Added, since + ctx.settings.debounce)
            }
            Some(_) => (RoundReason::Added, since + ADDITIONS_WAIT),
        });
        let changed = changed.filter(|(_, ready)| *ready <= now).map(|(why, _)| why);
        let quiet = self.conflict_until.is_some_and(|until| until > now);
        let wanted = descriptor.wanted.filter(|why| !(*why == RoundReason::Repair && quiet));
        changed.max(wanted)
    }

    /// Says how the rounds under way ended.
    fn conclude(&mut self, ctx: &mut Context<'_>) {
        let Some(campaign) = &mut self.campaign else { return };
        let dirs = || self.descriptors.values().flat_map(|d| d.dirs.values());
        let target = dirs().count();
        let confirmed = dirs().filter(|dir| dir.clean).count();
        if confirmed == target {
            let mut by_slot = self.descriptors.values().map(Descriptor::confirmed_count);
            let confirmed = [by_slot.next().unwrap_or(0), by_slot.next().unwrap_or(0)];
            let took = ctx.now.mono - campaign.started;
            self.campaign = None;
            ctx.report(Report::PublishConfirmed { service: self.service, confirmed, took });
            return;
        }
        let tried = |dir: &descriptor::Dir| dir.clean || (dir.in_flight.is_none() && dir.slow);
        if !campaign.partial_reported && dirs().all(tried) {
            campaign.partial_reported = true;
            let last = dirs().filter(|dir| !dir.clean).find_map(|dir| dir.last_error.clone());
            let last = last.unwrap_or_default();
            let service = self.service;
            ctx.report(Report::PublishPartial { service, confirmed, target, last });
        }
    }

    /// When there is something to do next, after `now`: all before has been done.
    pub(super) fn deadline(
        &self,
        now: Mono,
        settings: &Settings,
        current: Option<TimePeriod>,
    ) -> Option<Mono> {
        let mut next: Vec<Mono> = Vec::new();
        for descriptor in self.descriptors.values() {
            next.extend(descriptor.deadlines());
            if let Some(since) = descriptor.changed_at {
                let waits = [settings.debounce, ADDITIONS_WAIT];
                next.extend(waits.map(|wait| since + wait));
                next.extend(self.bucket.next_token());
            }
            if descriptor.wanted.is_some_and(costs) {
                next.extend(self.bucket.next_token());
            }
            if descriptor.wanted == Some(RoundReason::Repair) {
                next.extend(self.conflict_until);
            }
        }
        if let Some(descriptor) = current.and_then(|period| self.descriptors.get(&period))
            && let Some(due) = descriptor.dirs.values().filter_map(verify::due).min()
            && settings.verify
        {
            next.push(due.max(self.verify.deadline()));
        }
        next.into_iter().filter(|at| *at > now).min()
    }
}

/// Whether a round for this reason takes a token.
fn costs(why: RoundReason) -> bool {
    match why {
        RoundReason::Added | RoundReason::Removed | RoundReason::RingChanged => true,
        RoundReason::Refresh
        | RoundReason::TorReturned
        | RoundReason::Repair
        | RoundReason::Lapsing => false,
    }
}
