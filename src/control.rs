//! Tor's control port: what is said there, and one task that keeps saying it.
//!
//! | file | what it knows |
//! |---|---|
//! | [`codec`] | bytes to replies and events and back, without I/O |
//! | [`command`] | what can be asked of tor |
//! | [`event`] | what tor tells by itself |
//! | [`auth`] | how to be let in |
//! | [`endpoint`] | where the port may be |
//! | [`client`] | the task that owns the connection, and its cheap handle |
//!
//! The room knows the control protocol (control-spec.txt; section names in the documentation are
//! its) and nothing of what the answers are for: no keys, no descriptors, no decisions. Addresses
//! are text of 56 characters, without `.onion`.

pub mod auth;
pub mod client;
pub mod codec;
pub mod command;
pub mod endpoint;
pub mod event;
mod words;

pub use auth::Credentials;
pub use client::{Client, RequestError, Settings, spawn};
pub use codec::Limits;
pub use command::{OnionService, Secret, Topic};
pub use endpoint::Endpoint;
pub use event::Event;
