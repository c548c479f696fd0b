//! An attacker with the program's own sessions and frames against real nodes on loopback.
//!
//! Whatever it says is refused, counted with a reason, named in status and once in the log, while
//! the other nodes' heartbeats go on as if nothing happened.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "../support/yard.rs"]
mod yard;

mod enemy;
mod loot;
mod scene;

mod clocks;
mod datagrams;
mod floods;
mod forgeries;
mod frames;
mod gossip;
mod replays;
mod rosters;
mod secrets;
mod strangers;
mod twins;
