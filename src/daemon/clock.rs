//! The only place that reads clocks.

use std::time::{Duration, SystemTime};

use rustix::time::{ClockId, clock_gettime};

use crate::time::{Mono, Now, Wall};

/// Both clocks now. The monotonic one goes on while the machine is suspended (CLOCK_BOOTTIME).
pub(super) fn now() -> Now {
    let boot = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(boot.tv_nsec).unwrap_or(0);
    Now { mono: Mono(Duration::new(seconds, nanos)), wall: wall() }
}

#[expect(clippy::disallowed_methods, reason = "this is the one place")]
fn wall() -> Wall {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Wall(since_epoch.map_or(0, |elapsed| elapsed.as_secs()))
}
