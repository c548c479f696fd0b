//! The hash ring: which HSDirs are responsible for a descriptor (rend-spec-v3, section HASHRING).
//!
//! Knows one consensus, and both of its rings: one per descriptor, each with its own time period
//! and random value. Walks as C tor does (`hs_get_responsible_hsdirs`).

use super::consensus::{Consensus, HsDir, Params};
use super::digest::sha3_256;
use crate::ident::{BlindedId, RelayId};
use crate::time::{Slot, TimePeriod, Window};

/// Both rings of one consensus; about 1 MB for 9,000 HSDirs.
#[derive(Clone, Debug)]
pub struct Ring {
    params: Params,
    window: Window,
    first: Circle,
    second: Circle,
}

/// The HSDirs in the order of their places, for one period and one random value.
#[derive(Clone, Debug)]
struct Circle {
    period: TimePeriod,
    places: Vec<(Place, RelayId)>,
}

/// A place on the ring: a SHA3-256 hash as four big-endian numbers, whose order is that of the
/// bytes.
type Place = [u64; 4];

impl Ring {
    /// Places every HSDir of the consensus on both rings.
    pub fn new(consensus: &Consensus) -> Ring {
        let circle =
            |slot| Circle::new(consensus.period(slot), &consensus.srv(slot), &consensus.hsdirs);
        Ring {
            params: consensus.params,
            window: consensus.window(),
            first: circle(Slot::First),
            second: circle(Slot::Second),
        }
    }

    /// The HSDirs to which a descriptor is uploaded, in C tor's order: at most replicas times
    /// `hsdir_spread_store`, each once, fewer when there are not so many.
    ///
    /// `blinded` must be the key of the slot's period.
    pub fn responsible(&self, slot: Slot, blinded: &BlindedId) -> Vec<RelayId> {
        self.circle(slot).walk(blinded, self.params.replicas, self.params.spread_store)
    }

    /// The HSDirs that clients ask now: at most replicas times `hsdir_spread_fetch`.
    ///
    /// `blinded` must be the key of the period that clients are in.
    pub fn for_fetch(&self, blinded: &BlindedId) -> Vec<RelayId> {
        let circle = self.circle(self.window.client_facing());
        circle.walk(blinded, self.params.replicas, self.params.spread_fetch)
    }

    fn circle(&self, slot: Slot) -> &Circle {
        match slot {
            Slot::First => &self.first,
            Slot::Second => &self.second,
        }
    }
}

impl Circle {
    fn new(period: TimePeriod, srv: &[u8; 32], hsdirs: &[HsDir]) -> Circle {
        let hash = NodeHash::new(srv, &period);
        let place = |dir: &HsDir| (hash.of(&dir.ed25519), dir.relay);
        let mut places: Vec<_> = hsdirs.iter().map(place).collect();
        places.sort_unstable();
        Circle { period, places }
    }

    /// From each replica's place onwards, `spread` HSDirs that no earlier replica has taken.
    fn walk(&self, blinded: &BlindedId, replicas: u8, spread: u8) -> Vec<RelayId> {
        let mut chosen = Vec::with_capacity(usize::from(replicas) * usize::from(spread));
        for replica in 1..=replicas {
            let place = self.replica_place(blinded, replica);
            let start = self.places.partition_point(|(index, _)| *index < place);
            let (before, after) = self.places.split_at(start);
            let full = chosen.len() + usize::from(spread);
            for (_, relay) in after.iter().chain(before) {
                if chosen.len() == full {
                    break;
                }
                if !chosen.contains(relay) {
                    chosen.push(*relay);
                }
            }
        }
        chosen
    }

    fn replica_place(&self, blinded: &BlindedId, replica: u8) -> Place {
        let hash = sha3_256(&[
            b"store-at-idx",
            &blinded.0,
            &u64::from(replica).to_be_bytes(),
            &self.period.length_min.to_be_bytes(),
            &self.period.number.to_be_bytes(),
        ]);
        std::array::from_fn(|i| u64::from_be_bytes(hash.as_chunks::<8>().0[i]))
    }
}

/// SHA3-256 of "node-idx", a node's Ed25519 identity, the random value, the number and the length
/// of the period.
///
/// These are eleven words of eight bytes, one block for all nodes alike but for four words: filling
/// those in alone halves the time that a ring takes.
struct NodeHash {
    block: [u64; 25],
}

impl NodeHash {
    fn new(srv: &[u8; 32], period: &TimePeriod) -> NodeHash {
        let mut block = [0; 25];
        block[0] = u64::from_le_bytes(*b"node-idx");
        block[5..9].copy_from_slice(&words(srv));
        block[9] = period.number.swap_bytes();
        block[10] = period.length_min.swap_bytes();
        block[11] = 0x06;
        block[16] = 0x80 << 56;
        NodeHash { block }
    }

    fn of(&self, ed25519: &[u8; 32]) -> Place {
        let mut state = self.block;
        state[1..5].copy_from_slice(&words(ed25519));
        keccak::f1600(&mut state);
        std::array::from_fn(|i| state[i].swap_bytes())
    }
}

/// The words of Keccak's state that 32 bytes fill.
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    std::array::from_fn(|i| u64::from_le_bytes(bytes.as_chunks::<8>().0[i]))
}

#[cfg(test)]
mod tests;
