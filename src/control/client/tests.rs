//! The client against a scripted tor, in virtual time.

mod bad_tor;
mod fake;
mod life;
