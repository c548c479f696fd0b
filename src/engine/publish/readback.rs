//! Asking HSDirs for what they confirmed, and what follows from the answer.

use super::descriptor;
use super::verify::{self, Verdict};
use super::{Context, Publisher};
use crate::engine::action::{
    Action, ConsensusView, FetchId, Fetched, ReadError, Report, RoundReason,
};
use crate::ident::RelayId;
use crate::time::{TimePeriod, Wall};

impl Publisher {
    /// Takes the answer of a fetch-back; false when it is not one of this service's.
    pub(in crate::engine) fn fetch_finished(
        &mut self,
        id: FetchId,
        result: &Result<Fetched, ReadError>,
        ctx: &mut Context<'_>,
    ) -> bool {
        let Some(fetch) = self.verify.finish(id) else { return false };
        self.judge(fetch, result, ctx);
        true
    }

    pub(super) fn judge(
        &mut self,
        fetch: verify::InFlight,
        result: &Result<Fetched, ReadError>,
        ctx: &mut Context<'_>,
    ) {
        let (service, hsdir, now) = (self.service, fetch.hsdir, ctx.now.mono);
        let Some(descriptor) = self.descriptors.get_mut(&fetch.period) else { return };
        let last_signed = descriptor.last_signed;
        let Some(dir) = descriptor.dirs.get_mut(&hsdir) else { return };
        dir.refused = false;
        let wrong = match result {
            Ok(Fetched::Master(returned)) => {
                match verify::judge(returned, fetch.period, dir.confirmed, last_signed) {
                    Verdict::Equal => {
                        descriptor.found(&hsdir, returned.signed_at, now);
                        return;
                    }
                    Verdict::OtherPeriod => return,
                    Verdict::Behind => "returns an older document".to_owned(),
                    Verdict::Rival(signed_at) => {
                        dir.clean = false;
                        self.rival(hsdir, fetch.period, signed_at, ctx);
                        return;
                    }
                }
            }
            Ok(Fetched::Roster(_)) | Err(ReadError::Failed(_)) => return,
            Err(ReadError::NotFound) => "does not have it any more".to_owned(),
            Err(ReadError::Refused(why)) => format!("returns a bad document ({why})"),
        };
        if !dir.clean {
            // It was asked because it refused, and confirmed nothing that it could have lost.
            return;
        }
        descriptor.repair(&hsdir, &wrong, now, ctx.rng);
        ctx.report(Report::VerifyFailed { service, hsdir, why: wrong });
    }

    fn rival(
        &mut self,
        hsdir: RelayId,
        period: TimePeriod,
        signed_at: Wall,
        ctx: &mut Context<'_>,
    ) {
        let Some(descriptor) = self.descriptors.get_mut(&period) else { return };
        descriptor.raise(signed_at);
        descriptor.want(RoundReason::Repair);
        ctx.report(Report::RivalDescriptor { service: self.service, hsdir, signed_at });
    }

    pub(super) fn start_verify(&mut self, view: &ConsensusView, ctx: &mut Context<'_>) {
        let now = ctx.now.mono;
        let period = view.current();
        let Some(descriptor) = self.descriptors.get_mut(&period) else { return };
        if !self.verify.free(now) {
            return;
        }
        let ready = |(relay, dir): (&RelayId, &mut descriptor::Dir)| {
            let due = verify::due(dir).is_some_and(|due| due <= now);
            due.then(|| {
                dir.verify_tries += 1;
                *relay
            })
        };
        let Some(hsdir) = descriptor.dirs.iter_mut().find_map(ready) else { return };
        let id = FetchId(ctx.id());
        self.verify.started(id, hsdir, period, now);
        ctx.actions.push(Action::Fetch { id, address: self.service, from: hsdir });
    }
}
