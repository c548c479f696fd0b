//! Bringing the documents of the rounds to the HSDirs, and taking their answers.
//!
//! Tor's answer names service and relay, but neither period nor upload. So there is one upload per
//! relay at a time, and after one without an answer the next "yes" may still be meant for it.

use std::time::Duration;

use super::descriptor::{self, Descriptor, InFlight};
use super::{Context, Publisher};
use crate::engine::action::{
    Action, ConsensusView, ReadError, Report, Upload, UploadError, UploadId,
};
use crate::ident::RelayId;
use crate::time::{Mono, TimePeriod};

/// Tor can hold a stalled upload for so long: until then it may still arrive.
const UNRESOLVED: Duration = Duration::from_secs(5 * 60);

impl Publisher {
    /// The relays that owe an answer, and to which upload.
    pub(in crate::engine) fn awaited(&self) -> impl Iterator<Item = (RelayId, UploadId)> {
        self.descriptors.values().flat_map(Descriptor::awaited)
    }

    /// Nobody waits any more for an upload that may still arrive there.
    pub(super) fn leave_unresolved(&mut self, relay: RelayId, now: Mono) {
        self.unresolved.insert(relay, now + UNRESOLVED);
    }

    /// Takes the answer of an upload; false when it is not one of this service's.
    pub(in crate::engine) fn upload_finished(
        &mut self,
        id: UploadId,
        result: &Result<(), UploadError>,
        ctx: &mut Context<'_>,
    ) -> bool {
        let waiting = |(period, descriptor): (&TimePeriod, &Descriptor)| {
            let mut dirs = descriptor.dirs.iter();
            let found = dirs.find(|(_, dir)| dir.in_flight.is_some_and(|upload| upload.id == id));
            found.map(|(relay, _)| (*period, *relay))
        };
        let Some((period, relay)) = self.descriptors.iter().find_map(waiting) else {
            return false;
        };
        self.finish_upload(period, relay, result, ctx);
        true
    }

    fn finish_upload(
        &mut self,
        period: TimePeriod,
        relay: RelayId,
        result: &Result<(), UploadError>,
        ctx: &mut Context<'_>,
    ) {
        let now = ctx.now.mono;
        ctx.lanes.remove(&relay);
        self.unresolved.retain(|_, until| *until > now);
        let doubt = self.unresolved.get(&relay).copied();
        if *result == Err(UploadError::Unanswered) {
            self.leave_unresolved(relay, now);
        }
        let Some(descriptor) = self.descriptors.get_mut(&period) else { return };
        match result {
            Ok(()) => descriptor.confirmed(&relay, now, doubt),
            Err(error) => {
                let retries = ctx.settings.quick_retries;
                descriptor.failed(&relay, error, now, doubt.is_some(), retries, ctx.rng);
                if let UploadError::Unusable(why) = error {
                    let (service, why) = (self.service, why.clone());
                    ctx.report(Report::UploadUnusable { service, why });
                }
            }
        }
    }

    pub(super) fn time_out(&mut self, ctx: &mut Context<'_>) {
        let now = ctx.now.mono;
        let late = |(period, descriptor): (&TimePeriod, &Descriptor)| {
            let dirs = descriptor.dirs.iter();
            let late = dirs.filter(|(_, d)| d.in_flight.is_some_and(|upload| upload.until <= now));
            late.map(|(relay, _)| (*period, *relay)).collect::<Vec<_>>()
        };
        let late: Vec<_> = self.descriptors.iter().flat_map(late).collect();
        for (period, relay) in late {
            self.finish_upload(period, relay, &Err(UploadError::Unanswered), ctx);
        }
        if let Some(fetch) = self.verify.time_out(now) {
            let error = ReadError::Failed("no answer in time".to_owned());
            self.judge(fetch, &Err(error), ctx);
        }
    }

    pub(super) fn start_uploads(&mut self, view: &ConsensusView, ctx: &mut Context<'_>) {
        let now = ctx.now;
        for descriptor in self.descriptors.values_mut() {
            let readable = ctx.settings.verify && descriptor.period == view.current();
            if let Some(ahead) = (!readable).then(|| descriptor.jump_ahead(now)).flatten() {
                let service = self.service;
                ctx.actions.push(Action::Report(Report::SigningAhead { service, ahead }));
            }
            let Some(plan) = descriptor.plan.clone() else { continue };
            let ready = |(relay, dir): (&RelayId, &descriptor::Dir)| {
                let due = !dir.clean && dir.in_flight.is_none() && dir.next_try <= now.mono;
                due.then_some(*relay)
            };
            let ready: Vec<RelayId> = descriptor.dirs.iter().filter_map(ready).collect();
            for relay in ready {
                if ctx.lanes.contains_key(&relay) {
                    continue;
                }
                let id = UploadId(ctx.id());
                ctx.lanes.insert(relay, id);
                let signed_at = descriptor.second_for(&relay, now.wall);
                let upload = InFlight {
                    id,
                    signed_at,
                    round_signed: descriptor.round_signed,
                    until: now.mono + ctx.settings.upload_timeout,
                };
                if let Some(dir) = descriptor.dirs.get_mut(&relay) {
                    dir.in_flight = Some(upload);
                }
                ctx.actions.push(Action::Upload(Upload {
                    id,
                    service: self.service,
                    period: descriptor.period,
                    to: relay,
                    plan: plan.clone(),
                    signed_at,
                }));
            }
        }
    }
}
