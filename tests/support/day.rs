//! Where a client's tor stands in the day of the hash ring, and which HSDirs it holds responsible:
//! computed from its own consensus, without the node.

use anyhow::{Context as _, Result};
use rustbalance::hs::address;
use rustbalance::hs::consensus::Consensus;
use rustbalance::hs::descriptor::Received;
use rustbalance::hs::keys::blinded_id;
use rustbalance::hs::ring::Ring;
use rustbalance::time::{Slot, TimePeriod, Window};
use testnet::{Client, Network};

use crate::observer::Observer;

/// The two periods, and which of them clients are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Day {
    pub(crate) first: TimePeriod,
    pub(crate) second: TimePeriod,
    pub(crate) window: Window,
}

impl Day {
    /// The day of this client's tor.
    ///
    /// # Errors
    /// Fails when its tor does not answer or has no consensus.
    pub(crate) fn of(client: &Client) -> Result<Day> {
        let consensus = consensus(client)?;
        let [first, second] = Slot::BOTH.map(|slot| consensus.period(slot));
        Ok(Day { first, second, window: consensus.window() })
    }

    /// The period whose descriptor clients fetch.
    pub(crate) fn client_facing(&self) -> TimePeriod {
        match self.window.client_facing() {
            Slot::First => self.first,
            Slot::Second => self.second,
        }
    }
}

/// The HSDirs that are responsible for the client-facing descriptor of `onion`, those that clients
/// do not ask included.
///
/// # Errors
/// Fails when the client's tor does not answer, or `onion` is no address.
pub(crate) fn responsible(client: &Client, onion: &str) -> Result<Vec<String>> {
    let consensus = consensus(client)?;
    let slot = consensus.window().client_facing();
    let blinded = blinded_id(&address::parse(onion)?, &consensus.period(slot))?;
    let hsdirs = Ring::new(&consensus).responsible(slot, &blinded);
    Ok(hsdirs.iter().map(ToString::to_string).collect())
}

/// The first client-facing descriptor of `onion` that one of its HSDirs returns to the network's
/// first client.
///
/// # Errors
/// Fails when none does.
pub(crate) fn fetch_any(network: &Network, onion: &str) -> Result<Received> {
    let client = network.client(0);
    let mut observer = Observer::new(client)?;
    let hsdirs = responsible(client, onion)?;
    let mut found = hsdirs.iter().map(|hsdir| observer.fetch(onion, hsdir, network));
    let seen = found.find_map(Result::ok).with_context(|| format!("no HSDir has {onion}"))?;
    Ok(seen.content)
}

fn consensus(client: &Client) -> Result<Consensus> {
    let mut control = client.tor().control()?;
    let text = control.getinfo("dir/status-vote/current/consensus-microdesc")?;
    let microdescs = control.getinfo("md/all")?;
    Ok(Consensus::parse(text.as_bytes(), microdescs.as_bytes(), true)?)
}
