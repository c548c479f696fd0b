//! Free TCP ports on loopback.
//!
//! They are taken below the range that the kernel gives to outgoing connections: a port from that
//! range may be in use again by the time a killed tor is restarted on it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Mutex;

use anyhow::{Result, bail};

const LOWEST: u16 = 10_000;
const OUTGOING_DEFAULT: u16 = 32_768;

/// Ports that this process has handed out already.
static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

/// Finds `count` different ports that are free at this moment.
///
/// # Errors
/// Fails when the range holds too few free ones.
pub(crate) fn free(count: usize) -> Result<Vec<u16>> {
    let end = lowest_outgoing().max(LOWEST + 2_000);
    let span = end - LOWEST;
    let offset = (RandomState::new().hash_one(std::process::id()) % u64::from(span)) as u16;
    let mut given = GIVEN.lock().expect("nobody panics while holding it");
    let mut held = Vec::with_capacity(count);
    for step in 0..span {
        if held.len() == count {
            break;
        }
        let port = LOWEST + (u32::from(offset) + u32::from(step)).rem_euclid(span.into()) as u16;
        if !given.contains(&port)
            && let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        {
            held.push((port, listener));
        }
    }
    if held.len() < count {
        bail!("only {} of {count} ports on 127.0.0.1 are free in {LOWEST}..{end}", held.len());
    }
    let ports: Vec<u16> = held.iter().map(|(port, _)| *port).collect();
    given.extend(&ports);
    Ok(ports)
}

fn lowest_outgoing() -> u16 {
    std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(OUTGOING_DEFAULT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_are_different_and_free() {
        let first = free(20).unwrap();
        let second = free(20).unwrap();
        let all: BTreeSet<u16> = first.iter().chain(&second).copied().collect();
        assert_eq!(all.len(), 40);
        for port in first {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        }
    }
}
