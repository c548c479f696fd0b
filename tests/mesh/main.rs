//! Real processes on loopback, without tor: nodes join, die, freeze, lose each other and return.
//!
//! Every machine is made as an operator makes it, and looked at as an operator looks at it.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "../support/yard.rs"]
mod yard;

mod blocked;
mod deaths;
mod frozen;
mod hooks;
mod joining;
mod leaving;
mod measure;
mod state_file;
