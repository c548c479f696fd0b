//! Whole-engine scenarios in virtual time: a world of HSDirs and one tor around one engine.

mod gathering;
mod mesh_cost;
mod mesh_faults;
mod mesh_joining;
mod mesh_life;
mod mesh_world;
mod publishing;
mod trouble;
mod world;
