//! Waiting for the first consensus that names everybody.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::clock;
use crate::network::Relay;
use crate::process::TorProcess;

const POLL: Duration = Duration::from_millis(250);
/// What a relay that did see the consensus is given to fetch it.
const FETCH: Duration = Duration::from_millis(1_500);

/// Waits until the consensus of every authority lists every relay as an HSDir.
pub(super) fn wait(
    relays: &[Relay],
    deadline: Instant,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let authorities: Vec<&Relay> = relays.iter().filter(|relay| relay.is_authority()).collect();
    let mut told = 0;
    let complete = clock::poll(deadline, POLL, || {
        if let Some(ended) = relays.iter().find(|relay| !relay.tor().is_running()) {
            return Some(Err(ended.tor().failure("tor ended by itself")));
        }
        let known = authorities.iter().map(|it| hsdirs_known(it.tor())).min().unwrap_or(0);
        if known > told {
            told = known;
            let (voters, all) = (authorities.len(), relays.len());
            progress(&format!("{voters} authorities voted: {known} of {all} HSDirs known"));
        }
        (known == relays.len()).then_some(Ok(()))
    });
    complete.unwrap_or_else(|| {
        let all = relays.len();
        let first = authorities.first().expect("a network has an authority");
        Err(first.tor().failure(&format!("a consensus lists {told} of {all} HSDirs, no more")))
    })
}

/// Starts the relays again that do not fetch that consensus at once.
pub(super) fn renew(relays: &[Relay]) -> Result<()> {
    let waiting = || relays.iter().filter(|it| hsdirs_known(it.tor()) < relays.len());
    let done = clock::poll(clock::now() + FETCH, POLL, || waiting().next().is_none().then_some(()));
    if done.is_some() {
        return Ok(());
    }
    let late: Vec<&Relay> = waiting().filter(|relay| !relay.is_authority()).collect();
    std::thread::scope(|scope| {
        let restarted: Vec<_> =
            late.into_iter().map(|relay| scope.spawn(|| relay.tor().restart())).collect();
        restarted.into_iter().try_for_each(|it| it.join().expect("a restart does not panic"))
    })
}

fn hsdirs_known(tor: &TorProcess) -> usize {
    let listed = tor.control().and_then(|mut control| control.getinfo("ns/all"));
    let listed = listed.unwrap_or_default();
    let flags = listed.lines().filter(|line| line.starts_with("s "));
    flags.filter(|line| line.split(' ').any(|flag| flag == "HSDir")).count()
}
