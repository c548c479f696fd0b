//! One of the two ways to a peer: what was asked over it, and whether answers come back.
//!
//! Knows numbers, tries and round trips of one path; neither the other path nor what a silence
//! means.

use std::time::Duration;

use crate::message::Path;
use crate::time::Mono;

/// How many of the last asks can still be answered late: more than fit into Tor's longest round
/// trip.
const ASKED_MAX: usize = 4;

/// How an ask is repeated on a path, and when it has come to nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rhythm {
    /// Between two tries.
    pub(super) step: Duration,
    /// How many tries there are, the first one included.
    pub(super) tries: u8,
    /// The try that gives reason to ask over the other path too.
    pub(super) worry: u8,
    /// An ask comes to nothing so late, which is before the shortest pulse on this path ends,
    pub(super) overdue: Duration,
    /// or later on a path that has been slow, but not after this.
    pub(super) overdue_max: Duration,
}

impl Rhythm {
    /// Datagrams are lost: four tries in quick succession, so that a loss of 5 % makes one beat in
    /// 10,000 fail. A Tor stream loses nothing unless it breaks: one more try, in case it was
    /// opened anew.
    pub(super) fn of(path: Path, interval: Duration) -> Rhythm {
        let (step, tries, worry, overdue) = match path {
            Path::WireGuard => (interval / 5, 4, 3, interval * 9 / 10),
            Path::Tor => (interval, 2, 2, interval * 9 / 5),
        };
        Rhythm { step, tries, worry, overdue, overdue_max: overdue * 5 / 3 }
    }
}

/// A heartbeat that has not been answered over this path.
#[derive(Clone, Copy, Debug)]
struct Ask {
    number: u64,
    sent: Mono,
    /// When the oldest one was sent that waits with it.
    began: Mono,
    tries: u8,
    rhythm: Rhythm,
    patience: Duration,
    /// When it is tried again.
    again: Option<Mono>,
    /// When it has come to nothing; `None`: it has.
    overdue: Option<Mono>,
}

/// What time did to an ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    /// It is to be sent again; `worrying`: the other path should be asked too.
    Again { number: u64, worrying: bool },
    /// It came to nothing.
    Overdue,
}

/// One path to one peer.
#[derive(Clone, Debug, Default)]
pub(super) struct Lane {
    ask: Option<Ask>,
    /// Numbers and times of the last asks, so that late answers are known.
    asked: [Option<(u64, Mono)>; ASKED_MAX],
    /// When the first ask since the last answer was sent that came to nothing.
    pub(super) failing: Option<Mono>,
    /// When the latest ask that was answered was sent.
    pub(super) proved: Option<Mono>,
    /// When anything came over this path.
    pub(super) heard: Option<Mono>,
    /// The last round trip.
    pub(super) rtt: Option<Duration>,
    /// Heartbeats sent, tries again included.
    pub(super) sent: u64,
}

impl Lane {
    /// A heartbeat is sent. One that waits is given up, but not its time: otherwise a path that is
    /// asked often would never fail.
    pub(super) fn ask(&mut self, number: u64, rhythm: Rhythm, now: Mono) {
        let waiting = self.ask.and_then(|ask| Some((ask.began, ask.overdue?)));
        let slow = self.rtt.unwrap_or_default() * 2;
        let patience = slow.clamp(rhythm.overdue, rhythm.overdue_max);
        let (began, overdue) = waiting.unwrap_or((now, now + patience));
        let (again, overdue) = (Some(now + rhythm.step), Some(overdue));
        let sent = now;
        self.ask = Some(Ask { number, sent, began, tries: 1, rhythm, patience, again, overdue });
        self.asked.rotate_right(1);
        self.asked[0] = Some((number, now));
        self.sent = self.sent.saturating_add(1);
    }

    /// What is due; call it until there is nothing.
    pub(super) fn lapse(&mut self, now: Mono) -> Option<Lapse> {
        let ask = self.ask.as_mut()?;
        if ask.again.is_some_and(|at| at <= now) {
            ask.tries = ask.tries.saturating_add(1);
            ask.again = (ask.tries < ask.rhythm.tries).then_some(now + ask.rhythm.step);
            self.sent = self.sent.saturating_add(1);
            let worrying = ask.tries == ask.rhythm.worry;
            return Some(Lapse::Again { number: ask.number, worrying });
        }
        if ask.overdue.is_some_and(|at| at <= now) {
            ask.overdue = None;
            self.failing.get_or_insert(ask.began);
            return Some(Lapse::Overdue);
        }
        None
    }

    /// An answer came: whether it was to something asked over this path and not answered before.
    pub(super) fn answered(&mut self, number: u64, now: Mono) -> bool {
        let asked = self.asked.iter_mut().find(|a| a.is_some_and(|(n, _)| n == number));
        let Some((_, sent)) = asked.and_then(Option::take) else { return false };
        self.measure(number, now - sent);
        self.proved = self.proved.max(Some(sent));
        if self.failing.is_some_and(|since| since <= sent) {
            self.failing = None;
        }
        match &mut self.ask {
            Some(ask) if ask.number == number => self.ask = None,
            Some(ask) if ask.began <= sent => {
                ask.began = ask.sent;
                ask.overdue = Some(ask.sent + ask.patience);
            }
            _ => {}
        }
        true
    }

    /// After a second try nobody knows which one was answered: such a time weighs little.
    fn measure(&mut self, number: u64, took: Duration) {
        let clear = self.ask.is_none_or(|ask| ask.number != number || ask.tries == 1);
        self.rtt = match self.rtt {
            Some(known) if !clear => Some((known * 7 + took) / 8),
            _ => Some(took),
        };
    }

    /// The transport says that it cannot send: what waits for an answer came to nothing.
    pub(super) fn broke(&mut self) {
        if let Some(ask) = self.ask.take() {
            self.failing.get_or_insert(ask.began);
        }
    }

    /// The transport says that it can send: what waits is sent again at once.
    pub(super) fn mended(&mut self, now: Mono) {
        if let Some(ask) = &mut self.ask {
            ask.again = Some(now);
        }
    }

    /// What was asked proves nothing.
    pub(super) fn forget(&mut self) {
        self.ask = None;
    }

    /// Something waits for an answer.
    pub(super) fn waits(&self) -> bool {
        self.ask.is_some()
    }

    /// When [`lapse`](Self::lapse) has something to say.
    pub(super) fn deadline(&self) -> Option<Mono> {
        let ask = self.ask?;
        [ask.again, ask.overdue].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(2);

    fn at(ms: u64) -> Mono {
        Mono(Duration::from_millis(ms))
    }

    fn asked(path: Path, now: Mono) -> Lane {
        let mut lane = Lane::default();
        lane.ask(7, Rhythm::of(path, INTERVAL), now);
        lane
    }

    #[test]
    fn a_datagram_is_tried_four_times_and_then_comes_to_nothing() {
        let mut lane = asked(Path::WireGuard, at(0));
        assert_eq!(lane.deadline(), Some(at(400)));
        assert_eq!(lane.lapse(at(399)), None);
        for (ms, worrying) in [(400, false), (800, true), (1200, false)] {
            assert_eq!(lane.lapse(at(ms)), Some(Lapse::Again { number: 7, worrying }));
            assert_eq!(lane.lapse(at(ms)), None);
        }
        assert_eq!(lane.deadline(), Some(at(1800)));
        assert_eq!(lane.lapse(at(1800)), Some(Lapse::Overdue));
        assert_eq!((lane.failing, lane.deadline(), lane.sent), (Some(at(0)), None, 4));
    }

    #[test]
    fn the_round_trip_of_a_repeated_ask_weighs_little() {
        let mut lane = asked(Path::WireGuard, at(0));
        assert!(lane.answered(7, at(40)));
        lane.ask(8, Rhythm::of(Path::WireGuard, INTERVAL), at(2000));
        lane.lapse(at(2400));
        assert!(lane.answered(8, at(2440)));
        assert_eq!(lane.rtt, Some(Duration::from_millis((40 * 7 + 440) / 8)));
    }

    #[test]
    fn a_slow_path_gets_more_time() {
        let mut lane = asked(Path::WireGuard, at(0));
        assert!(lane.answered(7, at(1400)));
        lane.ask(8, Rhythm::of(Path::WireGuard, INTERVAL), at(2000));
        assert_eq!(overdue(&mut lane), at(4800));
        lane.answered(8, at(6000));
        lane.ask(9, Rhythm::of(Path::WireGuard, INTERVAL), at(6000));
        assert_eq!(overdue(&mut lane), at(9000));
    }

    #[test]
    fn the_answer_to_an_older_ask_gives_the_newer_one_its_own_time() {
        let mut lane = asked(Path::Tor, at(0));
        lane.ask(8, Rhythm::of(Path::Tor, INTERVAL), at(2000));
        assert!(lane.answered(7, at(2100)));
        assert_eq!(overdue(&mut lane), at(5600));
        assert_eq!(lane.failing, Some(at(2000)));
    }

    /// When what waits comes to nothing.
    fn overdue(lane: &mut Lane) -> Mono {
        loop {
            let next = lane.deadline().unwrap();
            if lane.lapse(next) == Some(Lapse::Overdue) {
                return next;
            }
        }
    }

    #[test]
    fn an_answer_counts_once_and_late_ones_count() {
        let mut lane = asked(Path::Tor, at(0));
        lane.ask(8, Rhythm::of(Path::Tor, INTERVAL), at(2000));
        assert!(lane.answered(7, at(2500)));
        assert!(!lane.answered(7, at(2600)));
        assert!(!lane.answered(9, at(2600)));
        assert_eq!((lane.rtt, lane.proved), (Some(Duration::from_millis(2500)), Some(at(0))));
        assert!(lane.waits());
        assert!(lane.answered(8, at(2700)));
        assert!(!lane.waits());
    }

    #[test]
    fn asking_again_does_not_put_off_failure() {
        let mut lane = asked(Path::Tor, at(0));
        lane.ask(8, Rhythm::of(Path::Tor, INTERVAL), at(2000));
        assert_eq!(lane.lapse(at(3600)), Some(Lapse::Overdue));
        assert_eq!(lane.failing, Some(at(0)));
        assert!(lane.answered(8, at(4500)));
        assert_eq!(lane.failing, None);
    }

    #[test]
    fn the_transports_hints_save_time() {
        let mut lane = asked(Path::Tor, at(0));
        lane.mended(at(100));
        assert_eq!(lane.lapse(at(100)), Some(Lapse::Again { number: 7, worrying: true }));
        lane.broke();
        assert_eq!((lane.failing, lane.deadline()), (Some(at(0)), None));
    }
}
