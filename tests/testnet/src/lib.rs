//! A private Tor network of real `tor` processes on loopback, for tests, the demo and playbooks.
//!
//! It never speaks to the public network: every tor runs with `TestingTorNetwork`, knows no
//! authorities but our own, and binds and connects on 127.0.0.1 only. It knows nothing of
//! RustBalance but how to start it, so that what it sees is independent of what it tests.
//!
//! ```no_run
//! use std::time::Duration;
//! use testnet::{FrontOptions, Network, Options};
//!
//! # fn main() -> anyhow::Result<()> {
//! let net = Network::start(Options::default(), |line| println!("{line}"))?;
//! let shop = net.add_service("shop", FrontOptions::default())?;
//! let page = net.client(0).get(shop.onion(), "/", Duration::from_secs(60))?;
//! assert_eq!(page.front.as_deref(), Some("shop"));
//! # Ok(())
//! # }
//! ```
//!
//! # The files
//!
//! | file | what it knows |
//! |---|---|
//! | [`network`] | the order in which a network comes up, and who is in it |
//! | [`options`] | how large and how fast it is |
//! | [`process`] | one tor process: kill, freeze, thaw, restart, its log |
//! | [`front`] | a machine with tor, an onion service and a web server |
//! | [`backend`] | that web server |
//! | [`client`] | a tor client that fetches pages and says which front answered |
//! | [`node`] | the program under test, as an operator sees it |
//! | [`ground`] | a directory and a process group that dies with us |
//! | [`udp_relay`] | datagrams between two nodes, which it can lose |
//! | [`watcher`] | a page fetched once a second for as long as it takes |
//! | [`control`] | a small blocking control-port client, for observing |
//! | `site`, `guardian`, `ports`, `binaries`, `authority`, `torrc`, `socks`, `clock` | below |
//!
//! # Nothing is left behind
//!
//! All processes of a network share one process group, led by a small shell that waits for its
//! standard input to close. However the owner ends (drop, panic, abort, SIGKILL), the kernel closes
//! that pipe; the shell then kills the group and removes the directory. `TESTNET_KEEP=1` in the
//! environment keeps the directory.

mod authority;
pub mod backend;
mod binaries;
pub mod client;
mod clock;
pub mod control;
pub mod front;
pub mod ground;
mod guardian;
pub mod network;
pub mod node;
pub mod options;
mod ports;
pub mod process;
mod site;
mod socks;
mod torrc;
pub mod udp_relay;
pub mod watcher;

pub use client::{Client, FetchError, FetchErrorKind, Response};
pub use control::Control;
pub use front::Front;
pub use ground::Ground;
pub use network::{Network, Relay};
pub use node::Node;
pub use options::{FrontOptions, Options};
pub use process::TorProcess;
pub use udp_relay::UdpRelay;
pub use watcher::{Sample, Samples, Watcher};
