//! RustBalance keeps one onion address reachable from several machines.
//!
//! Each machine (a *front*) runs its own tor, the application and one RustBalance node. The node
//! reads the introduction points of the fronts, merges them into the v3 descriptor of the *master*
//! address, signs it with the blinded master key and uploads it to every responsible HSDir.
//!
//! # The rooms
//!
//! | room | what it knows | may use |
//! |---|---|---|
//! | [`ident`], [`time`] | vocabulary without logic | `std` |
//! | [`message`] | what nodes say to each other, as plain values | `ident`, `time` |
//! | [`engine`] | every decision: what to gather, merge and publish, and when; who is there | `ident`, `time`, `message` |
//! | [`hs`] | keys, time periods, hash ring, revision counters, descriptors | `ident`, `time` |
//! | [`wire`] | peer frames as bytes, certificates, invitations | `ident`, `time`, `message` |
//! | [`transport`] | sessions with peers: WireGuard over UDP and over onion streams | `wire` and its rooms, addresses of `hs` |
//! | [`control`] | tor's control port | values of `hs`, `ident`, `time` |
//! | [`config`] | the configuration file, parsed once into types that hold its rules | `hs`, `ident`, `time` |
//! | [`status`] | the status document, and the verdict on it | `time` |
//! | [`daemon`] | the shell: clocks, files, sockets; performs what the engine decides | all above |
//! | [`cli`] | one file per command | `daemon`, `config` and all below |
//! | [`telemetry`] | log set-up and redaction | `ident`, `time` |
//!
//! Imports go downward only; `tests/architecture.rs` holds that.

pub mod cli;
pub mod config;
pub mod control;
pub mod daemon;
pub mod engine;
pub mod hs;
pub mod ident;
pub mod message;
pub mod status;
pub mod telemetry;
pub mod time;
pub mod transport;
pub mod wire;
