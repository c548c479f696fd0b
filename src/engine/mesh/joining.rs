//! A newcomer's way in: it knocks at the doors of its invitation until one lets it in.
//!
//! Doors are tried in turn, WireGuard first and then Tor at each; a round in which nobody
//! answered is followed by a growing, jittered pause. A refusal that would be the same at every
//! door ends it. Knows doors and time; does not know what the cluster looks like behind them.

use std::time::Duration;

use super::super::rng::Rng;
use super::view::JoiningView;
use crate::message::{Door, JoinRefusal, Path, Welcome};
use crate::time::Mono;

/// How long a door is tried over each path.
const TRY_WIREGUARD: Duration = Duration::from_secs(5);
const TRY_TOR: Duration = Duration::from_secs(40);

/// How often the request is said again while a door is tried.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// The pauses between rounds.
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(300);

/// After the welcome: no more entries for so long means that they are all there.
const QUIET: Duration = Duration::from_millis(500);

/// Which doors can be tried how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ways {
    pub(super) wireguard: bool,
    pub(super) tor: bool,
}

#[derive(Debug)]
pub(super) struct Joining {
    doors: Vec<Door>,
    stage: Stage,
    attempts: u32,
    pause: Duration,
}

#[derive(Debug)]
enum Stage {
    /// Nobody is asked until then.
    Pausing(Mono),
    /// These are left of the round, the one that is tried now first.
    Trying { left: Vec<(u8, Path)>, until: Mono, ask: Mono },
    /// Somebody let us in: the table is on its way.
    Welcomed { welcome: Box<Welcome>, door: (u8, Path), quiet: Option<Mono>, ask: Mono },
    /// Nobody will let us in.
    Refused(JoinRefusal),
}

/// What a newcomer does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Move {
    Knock {
        door: u8,
        path: Path,
        attempt: u32,
        again: Duration,
    },
    Ask {
        door: u8,
        path: Path,
    },
    /// The table is there.
    Arrived(Box<Welcome>),
}

impl Joining {
    pub(super) fn new(doors: Vec<Door>, now: Mono) -> Joining {
        Joining { doors, stage: Stage::Pausing(now), attempts: 0, pause: PAUSE_MIN }
    }

    pub(super) fn advance(&mut self, ways: Ways, now: Mono, rng: &mut Rng) -> Vec<Move> {
        let mut moves = Vec::new();
        match &mut self.stage {
            Stage::Pausing(until) if *until <= now => {
                let left = self.round(ways);
                self.next_door(left, now, rng, &mut moves);
            }
            Stage::Trying { left, until, .. } if *until <= now => {
                let left = left.split_off(1);
                self.next_door(left, now, rng, &mut moves);
            }
            Stage::Welcomed { welcome, quiet: Some(quiet), .. } if *quiet <= now => {
                moves.push(Move::Arrived(welcome.clone()));
                return moves;
            }
            _ => {}
        }
        let (door, ask) = match &mut self.stage {
            Stage::Trying { left, ask, .. } => (left.first().copied(), ask),
            Stage::Welcomed { door, ask, quiet: None, .. } => (Some(*door), ask),
            _ => return moves,
        };
        if *ask <= now {
            *ask = now + ASK_EVERY;
            moves.extend(door.map(|(door, path)| Move::Ask { door, path }));
        }
        moves
    }

    /// A door let us in; `false`: one has before.
    pub(super) fn welcomed(&mut self, welcome: Welcome, door: (u8, Path), now: Mono) -> bool {
        if matches!(self.stage, Stage::Welcomed { .. }) {
            return false;
        }
        let welcome = Box::new(welcome);
        self.stage = Stage::Welcomed { welcome, door, quiet: None, ask: now + ASK_EVERY };
        true
    }

    /// Entries of the table came.
    pub(super) fn told(&mut self, now: Mono) {
        if let Stage::Welcomed { quiet, .. } = &mut self.stage {
            *quiet = Some(now + QUIET);
        }
    }

    /// A door refused us; whether that is the end.
    pub(super) fn refused(&mut self, door: u8, why: JoinRefusal, now: Mono) -> bool {
        let Stage::Trying { left, until, .. } = &mut self.stage else { return false };
        match why {
            JoinRefusal::Full | JoinRefusal::NotBootstrap => {
                let current = left.first().is_some_and(|(at, _)| *at == door);
                if current {
                    *until = now;
                }
                false
            }
            _ => {
                self.stage = Stage::Refused(why);
                true
            }
        }
    }

    /// A door has let us in: entries of the table may come from it.
    pub(super) fn is_welcomed(&self) -> bool {
        matches!(self.stage, Stage::Welcomed { .. })
    }

    pub(super) fn view(&self, now: Mono) -> JoiningView {
        let again = match &self.stage {
            Stage::Pausing(until) | Stage::Trying { until, .. } => *until - now,
            Stage::Welcomed { .. } | Stage::Refused(_) => Duration::ZERO,
        };
        let refused = match self.stage {
            Stage::Refused(why) => Some(why),
            _ => None,
        };
        JoiningView { attempts: self.attempts, again, refused }
    }

    pub(super) fn deadline(&self) -> Option<Mono> {
        match &self.stage {
            Stage::Pausing(until) => Some(*until),
            Stage::Trying { until, ask, .. } => Some((*until).min(*ask)),
            Stage::Welcomed { quiet, ask, .. } => Some(quiet.unwrap_or(*ask)),
            Stage::Refused(_) => None,
        }
    }

    fn round(&self, ways: Ways) -> Vec<(u8, Path)> {
        let each = |(number, door): (u8, &Door)| {
            let wireguard = ways.wireguard && door.endpoint.is_some();
            let tor = ways.tor && door.onion.is_some();
            let wireguard = wireguard.then_some((number, Path::WireGuard));
            wireguard.into_iter().chain(tor.then_some((number, Path::Tor)))
        };
        (0..).zip(&self.doors).flat_map(each).collect()
    }

    fn next_door(
        &mut self,
        left: Vec<(u8, Path)>,
        now: Mono,
        rng: &mut Rng,
        moves: &mut Vec<Move>,
    ) {
        let Some(&(door, path)) = left.first() else {
            self.stage = Stage::Pausing(now + rng.around(self.pause));
            self.pause = PAUSE_MAX.min(self.pause * 2);
            return;
        };
        let again = match path {
            Path::WireGuard => TRY_WIREGUARD,
            Path::Tor => TRY_TOR,
        };
        self.attempts = self.attempts.saturating_add(1);
        moves.push(Move::Knock { door, path, attempt: self.attempts, again });
        self.stage = Stage::Trying { left, until: now + again, ask: now };
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{address, at};
    use super::*;
    use crate::ident::PeerKey;

    const BOTH: Ways = Ways { wireguard: true, tor: true };

    fn doors(count: u8) -> Vec<Door> {
        let door = |n: u8| Door {
            key: PeerKey([n; 32]),
            endpoint: Some(([10, 0, 0, n], 1).into()),
            onion: Some(address(n)),
        };
        (0..count).map(door).collect()
    }

    /// The knocks within so many seconds, each with its second.
    fn knocks(joining: &mut Joining, ways: Ways, seconds: f64) -> Vec<(f64, u8, Path)> {
        let (mut rng, mut now, mut knocks) = (Rng::new(1), at(0.0).mono, Vec::new());
        let mut wakes = 0;
        while now <= at(seconds).mono {
            for step in joining.advance(ways, now, &mut rng) {
                if let Move::Knock { door, path, .. } = step {
                    knocks.push((now.0.as_secs_f64(), door, path));
                }
            }
            wakes += 1;
            assert!(wakes < 10_000, "spins");
            let Some(next) = joining.deadline() else { break };
            assert!(next > now);
            now = next;
        }
        knocks
    }

    #[test]
    fn doors_are_tried_in_turn_over_both_paths() {
        let mut joining = Joining::new(doors(2), at(0.0).mono);
        let knocks = knocks(&mut joining, BOTH, 80.0);
        let (wireguard, tor) = (Path::WireGuard, Path::Tor);
        assert_eq!(
            knocks,
            [(0.0, 0, wireguard), (5.0, 0, tor), (45.0, 1, wireguard), (50.0, 1, tor)]
        );
    }

    #[test]
    fn pauses_grow_up_to_five_minutes_and_it_never_gives_up() {
        let mut joining = Joining::new(doors(1), at(0.0).mono);
        let knocks = knocks(&mut joining, Ways { wireguard: true, tor: false }, 7200.0);
        let pauses: Vec<f64> = knocks.windows(2).map(|pair| pair[1].0 - pair[0].0 - 5.0).collect();
        assert!((1.6..=2.4).contains(&pauses[0]), "{pauses:?}");
        assert!(pauses.iter().all(|pause| *pause <= 360.0));
        assert!(pauses.last().is_some_and(|last| *last >= 240.0), "{pauses:?}");
    }

    #[test]
    fn a_final_refusal_ends_it_and_a_full_table_leads_to_the_next_door() {
        let mut joining = Joining::new(doors(2), at(0.0).mono);
        let mut rng = Rng::new(1);
        joining.advance(BOTH, at(0.0).mono, &mut rng);
        assert!(!joining.refused(0, JoinRefusal::Full, at(1.0).mono));
        let moves = joining.advance(BOTH, at(1.0).mono, &mut rng);
        let tor = |step: &Move| matches!(step, Move::Knock { door: 0, path: Path::Tor, .. });
        assert!(moves.iter().any(tor), "{moves:?}");
        assert!(joining.refused(0, JoinRefusal::TokenUsed, at(2.0).mono));
        assert_eq!(joining.deadline(), None);
        assert_eq!(joining.view(at(3.0).mono).refused, Some(JoinRefusal::TokenUsed));
    }
}
