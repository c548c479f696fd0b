//! Reading the consensus from tor, and what it says about the addresses of this cluster.

use std::collections::BTreeMap;

use crate::control::Client;
use crate::engine::{ConsensusView, Responsible};
use crate::hs::consensus::{Consensus, Listing};
use crate::hs::keys::blinded_id;
use crate::hs::ring::Ring;
use crate::ident::HsId;
use crate::time::Slot;

/// Reads consensus and microdescriptors, and finds the HSDirs of every address.
pub(super) async fn read(control: Client, addresses: Vec<HsId>) -> Result<ConsensusView, String> {
    let ask = |error: crate::control::RequestError| error.to_string();
    let testing = control.getconf("TestingTorNetwork").await.map_err(ask)?;
    let testing = testing.iter().any(|(_, value)| value.as_deref() == Some("1"));
    let text = control.getinfo("dir/status-vote/current/consensus-microdesc").await.map_err(ask)?;
    let listing = Listing::parse(&text, testing).map_err(|error| error.to_string())?;
    drop(text);
    let microdescriptors = control.getinfo("md/all").await.map_err(ask)?;
    let consensus = listing.resolve(&microdescriptors).map_err(|error| error.to_string())?;
    drop(microdescriptors);
    view(&consensus, &addresses)
}

fn view(consensus: &Consensus, addresses: &[HsId]) -> Result<ConsensusView, String> {
    let ring = Ring::new(consensus);
    let (first, second) = (consensus.period(Slot::First), consensus.period(Slot::Second));
    let window = consensus.window();
    let responsible = |id: &HsId| -> Result<Responsible, String> {
        let blinded = |period| blinded_id(id, period).map_err(|error| error.to_string());
        let (at_first, at_second) = (blinded(&first)?, blinded(&second)?);
        let facing = match window.client_facing() {
            Slot::First => &at_first,
            Slot::Second => &at_second,
        };
        Ok(Responsible {
            first: ring.responsible(Slot::First, &at_first),
            second: ring.responsible(Slot::Second, &at_second),
            fetch: ring.for_fetch(facing),
        })
    };
    let rings: Result<BTreeMap<_, _>, String> =
        addresses.iter().map(|id| Ok((*id, responsible(id)?))).collect();
    Ok(ConsensusView {
        valid_after: consensus.valid_after,
        valid_until: consensus.valid_until,
        window,
        first,
        second,
        missing: consensus.missing_microdescriptors,
        rings: rings?,
    })
}
