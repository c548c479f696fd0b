//! How a network comes up.
//!
//! Authorities and relays first, right after a vote, so that all of them stand in the first
//! consensus. Clients follow when they do: before that they would only retry, at ever longer
//! intervals. Relays have retried by then, so they are started again if they missed the consensus.

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Network, Relay};
use crate::binaries::Binaries;
use crate::client::Client;
use crate::options::Options;
use crate::process::{self, PORT_TAKEN, TorProcess};
use crate::site::Site;
use crate::{authority, clock, ports, torrc};

mod consensus;

const TRIES: usize = 3;
/// From the start of the first tor until the last relay's descriptor is with all authorities.
const ENROLMENT_S: u64 = 7;

pub(super) fn start(options: Options, progress: &mut dyn FnMut(&str)) -> Result<Network> {
    check(&options)?;
    let binaries = Binaries::find()?;
    let began = clock::now();
    let deadline = began + options.deadline;
    let mut tries = 0;
    loop {
        tries += 1;
        match start_once(&options, &binaries, began, deadline, progress) {
            Err(error) if tries < TRIES && error.to_string().contains(PORT_TAKEN) => {
                progress("somebody took one of our ports; starting again with others");
            }
            outcome => return outcome,
        }
    }
}

fn check(options: &Options) -> Result<()> {
    if options.authorities == 0 {
        bail!("a network needs an authority");
    }
    if options.voting_interval_s < 10 || !options.voting_interval_s.is_multiple_of(5) {
        bail!(
            "a voting interval of {} s does not do: 10 or more and a multiple of 5",
            options.voting_interval_s
        );
    }
    Ok(())
}

fn start_once(
    options: &Options,
    binaries: &Binaries,
    began: Instant,
    deadline: Instant,
    progress: &mut dyn FnMut(&str),
) -> Result<Network> {
    let mut site = Site::new(binaries.clone(), options.voting_interval_s)?;
    progress(&format!("tor {}; files in {}", binaries.version, site.directory().display()));
    let plan = Plan::new(options)?;
    site.authorities = plan.make_authority_keys(&site, progress)?;
    let site = Arc::new(site);
    std::thread::sleep(until_good_start(clock::unix_s(), options.voting_interval_s));
    let relays = plan.start_relays(&site, options, progress)?;
    consensus::wait(&relays, deadline, progress)?;
    consensus::renew(&relays)?;
    let clients = plan.start_clients(&site)?;
    progress(&format!("{} clients started", clients.len()));
    wait_bootstrapped(&relays, &clients, deadline, progress)?;
    Ok(Network {
        relays,
        clients,
        options: options.clone(),
        turn: AtomicUsize::new(0),
        fresh: Mutex::new(()),
        took: clock::now() - began,
        site,
    })
}

/// How long to wait so that the relays are known before the next vote.
///
/// A consensus with a part of the relays costs more than these seconds: whoever got it keeps it for
/// another interval or two.
fn until_good_start(now_unix_s: u64, voting_interval_s: u64) -> Duration {
    let lead_s = 2 * torrc::delay_s(voting_interval_s);
    let until_vote_s = voting_interval_s - (now_unix_s + lead_s) % voting_interval_s;
    let wait_s = if until_vote_s < ENROLMENT_S { until_vote_s + 1 } else { 0 };
    Duration::from_secs(wait_s)
}

/// The ports, given out before anything starts.
struct Plan {
    authorities: Vec<(String, u16, u16)>,
    relays: Vec<(String, u16)>,
    clients: Vec<(String, u16)>,
}

impl Plan {
    fn new(options: &Options) -> Result<Plan> {
        let count = 2 * options.authorities + options.relays + options.clients;
        let mut ports = ports::free(count)?.into_iter();
        let mut port = || ports.next().expect("as many were asked for as are used");
        Ok(Plan {
            authorities: (0..options.authorities)
                .map(|i| (format!("authority{i}"), port(), port()))
                .collect(),
            relays: (0..options.relays).map(|i| (format!("relay{i}"), port())).collect(),
            clients: (0..options.clients).map(|i| (format!("client{i}"), port())).collect(),
        })
    }

    fn make_authority_keys(&self, site: &Site, progress: &mut dyn FnMut(&str)) -> Result<String> {
        let lines: Result<String> = std::thread::scope(|scope| {
            let made: Vec<_> = self
                .authorities
                .iter()
                .map(|(name, or_port, dir_port)| {
                    scope.spawn(move || authority::make_keys(site, name, *or_port, *dir_port))
                })
                .collect();
            made.into_iter().map(|it| it.join().expect("making keys does not panic")).collect()
        });
        progress(&format!("keys made for {} authorities", self.authorities.len()));
        lines
    }

    fn start_relays(
        &self,
        site: &Arc<Site>,
        options: &Options,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Vec<Relay>> {
        let mut tors = Vec::new();
        authority::write_bandwidths(site, &[])?;
        for (name, or_port, dir_port) in &self.authorities {
            let tor = TorProcess::new(site, name)?;
            if options.shared_random {
                authority::write_shared_random(site, tor.directory())?;
            }
            let mut text = torrc::common(site, tor.directory());
            text += &torrc::relay(name, *or_port);
            text += &torrc::authority(site, *dir_port, &options.consensus_params);
            tor.launch(&text)?;
            tors.push(tor);
        }
        for (name, or_port) in &self.relays {
            let tor = TorProcess::new(site, name)?;
            tor.launch(&(torrc::common(site, tor.directory()) + &torrc::relay(name, *or_port)))?;
            tors.push(tor);
        }
        let (authorities, others) = (self.authorities.len(), self.relays.len());
        progress(&format!("{authorities} authorities and {others} relays started"));
        let known = |(number, tor): (usize, TorProcess)| {
            tor.wait_control()?;
            Network::relay_of(tor, number < authorities)
        };
        let relays: Vec<Relay> = tors.into_iter().enumerate().map(known).collect::<Result<_>>()?;
        let fingerprints: Vec<&str> = relays.iter().map(Relay::fingerprint).collect();
        authority::write_bandwidths(site, &fingerprints)?;
        Ok(relays)
    }

    fn start_clients(&self, site: &Arc<Site>) -> Result<Vec<Arc<Client>>> {
        let one = |(name, socks_port): &(String, u16)| {
            let tor = TorProcess::new(site, name)?;
            tor.start(&(torrc::common(site, tor.directory()) + &torrc::client(*socks_port)))?;
            Ok(Arc::new(Client::new(tor, *socks_port)))
        };
        self.clients.iter().map(one).collect()
    }
}

fn wait_bootstrapped(
    relays: &[Relay],
    clients: &[Arc<Client>],
    deadline: Instant,
    progress: &mut dyn FnMut(&str),
) -> Result<()> {
    let clients = clients.iter().map(|client| client.tor());
    let all: Vec<&TorProcess> = relays.iter().map(Relay::tor).chain(clients).collect();
    let count = all.len();
    process::wait_all_bootstrapped(&all, deadline, |ready| {
        progress(&format!("{ready} of {count} tors bootstrapped"));
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn start_leaves_time_to_enrol_before_the_vote() {
        for now_s in 1_000..1_060 {
            let start_s = now_s + until_good_start(now_s, 20).as_secs();
            let next_vote_s = (0..).map(|n| n * 20 + 12).find(|vote| *vote > start_s).unwrap();
            assert!(next_vote_s - start_s >= ENROLMENT_S, "from {now_s} starting at {start_s}");
            assert!(start_s - now_s <= ENROLMENT_S, "from {now_s} starting at {start_s}");
        }
    }
}
