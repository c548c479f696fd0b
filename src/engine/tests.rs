//! Whole-engine scenarios in virtual time: a world of HSDirs and one tor around one engine.

mod gathering;
mod publishing;
mod trouble;
mod world;
