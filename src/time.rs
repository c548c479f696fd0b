//! Time as the engine sees it: plain numbers that somebody else read from a clock, and two rhythms
//! made of them.

mod backoff;
mod bucket;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

pub use self::backoff::Backoff;
pub use self::bucket::Bucket;

/// Monotonic time: the duration since an arbitrary start, never going back.
///
/// The shell takes it from a clock that goes on while the machine is suspended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mono(pub Duration);

/// Wall-clock time: whole seconds since the Unix epoch (UTC).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

/// Both clocks, read at the same moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// The monotonic clock: all timers run on it.
    pub mono: Mono,
    /// The wall clock: what documents and other people see.
    pub wall: Wall,
}

impl Add<Duration> for Mono {
    type Output = Mono;
    fn add(self, rhs: Duration) -> Mono {
        Mono(self.0.saturating_add(rhs))
    }
}

impl Sub<Mono> for Mono {
    type Output = Duration;
    /// The time since `rhs`, zero when `rhs` is later.
    fn sub(self, rhs: Mono) -> Duration {
        self.0.saturating_sub(rhs.0)
    }
}

impl Wall {
    /// The seconds from `earlier` until `self`, negative when `earlier` is later.
    pub fn seconds_since(self, earlier: Wall) -> i64 {
        let (a, b) = (i128::from(self.0), i128::from(earlier.0));
        i64::try_from(a - b).unwrap_or(if a > b { i64::MAX } else { i64::MIN })
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, rhs: Duration) -> Wall {
        Wall(self.0.saturating_add(rhs.as_secs()))
    }
}

/// One time period of the onion-service hash ring (rend-spec-v3, section TIME-PERIODS).
///
/// It starts `number * length` minutes plus `offset_s` seconds after the Unix epoch. The offset is
/// twelve voting rounds, so `number * length` itself is when the shared random protocol run that
/// belongs to the period began; revision counters are counted from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimePeriod {
    /// How many periods have passed since the epoch.
    pub number: u64,
    /// Length in minutes: 1440 on the public network.
    pub length_min: u64,
    /// Twelve voting rounds in seconds: 43,200 on the public network.
    pub offset_s: u64,
}

impl TimePeriod {
    /// When the period starts.
    pub fn start(&self) -> Wall {
        Wall(self.srv_start().0.saturating_add(self.offset_s))
    }

    /// When the period ends, which is the start of the next one.
    pub fn end(&self) -> Wall {
        self.next().start()
    }

    /// When the shared random protocol run of this period began.
    pub fn srv_start(&self) -> Wall {
        Wall(self.number.saturating_mul(self.length_min).saturating_mul(60))
    }

    /// The period after this one.
    pub fn next(&self) -> TimePeriod {
        TimePeriod { number: self.number.saturating_add(1), ..*self }
    }

    /// The period before this one.
    pub fn previous(&self) -> TimePeriod {
        TimePeriod { number: self.number.saturating_sub(1), ..*self }
    }
}

impl fmt::Display for TimePeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// Where a tor stands in the day of the hash ring (rend-spec-v3, section HASHRING).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Window {
    /// From a new shared random value until a new time period: clients use the *first* descriptor.
    SrvToPeriod,
    /// From a new time period until a new shared random value: clients use the *second* one.
    PeriodToSrv,
}

/// The two descriptors that a service keeps at any time, one per time period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// The earlier period, placed with the older shared random value.
    First,
    /// The later period, placed with the newer shared random value.
    Second,
}

impl Slot {
    /// Both, in order.
    pub const BOTH: [Slot; 2] = [Slot::First, Slot::Second];
}

impl Window {
    /// The descriptor that clients fetch in this window.
    pub fn client_facing(self) -> Slot {
        match self {
            Window::SrvToPeriod => Slot::First,
            Window::PeriodToSrv => Slot::Second,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Slot::First => "first",
            Slot::Second => "second",
        })
    }
}
