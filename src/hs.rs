//! Onion-service mathematics and documents: from bytes to values and back.
//!
//! Knows keys, time periods, the hash ring, revision counters and descriptors, as rend-spec-v3
//! defines them and C tor makes them. Knows no files, no network, no clock and no chance: all of
//! these are arguments, so that every node computes the same from the same input.
//!
//! | module | what it holds |
//! |---|---|
//! | [`address`] | `….onion` text to identity key and back |
//! | [`keys`] | the master key, its file formats, blinding, subcredentials |
//! | [`consensus`] | what tor's consensus says about HSDirs, time periods and random values |
//! | [`ring`] | which HSDirs are responsible |
//! | [`revision`] | revision counters that every node and a plain tor agree on |
//! | [`descriptor`] | reading an instance's descriptor, building the master's |

pub mod address;
pub mod consensus;
mod curve;
pub mod descriptor;
mod digest;
pub mod keys;
pub mod revision;
pub mod ring;

#[cfg(test)]
#[path = "../tests/support/synthetic.rs"]
mod synthetic;
