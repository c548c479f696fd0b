//! Nodes' links joined by a network that the test holds in its hands.

mod floods;
mod life;
mod newcomers;
mod rig;
mod streams;
