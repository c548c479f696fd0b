//! Real processes on loopback, without tor: nodes join, die, freeze, lose each other and return.
//!
//! Every machine is made as an operator makes it, and looked at as an operator looks at it.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "../support/fake_tor.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod fake_tor;
#[path = "../support/kills.rs"]
mod kills;
#[path = "../support/points.rs"]
#[allow(dead_code, reason = "shared with benches that use other parts")]
mod points;
#[path = "../support/site.rs"]
#[allow(dead_code, reason = "shared with tests that use other parts")]
mod site;
#[path = "../support/yard.rs"]
mod yard;

mod blocked;
mod deaths;
mod fronts;
mod frozen;
mod hooks;
mod joining;
mod leaving;
mod measure;
mod state_file;
