//! The clocks, read in this one place.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The monotonic clock.
#[expect(clippy::disallowed_methods, reason = "a harness of real processes lives in real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Seconds since the Unix epoch.
#[expect(clippy::disallowed_methods, reason = "a harness of real processes lives in real time")]
pub(crate) fn unix_s() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.expect("the clock stands after 1970").as_secs()
}

/// What is left until `deadline`, zero when it has passed.
pub(crate) fn until(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(now())
}

/// Asks `ready` every `every` until it answers or `deadline` has passed.
pub(crate) fn poll<T>(
    deadline: Instant,
    every: Duration,
    mut ready: impl FnMut() -> Option<T>,
) -> Option<T> {
    loop {
        if let Some(found) = ready() {
            return Some(found);
        }
        let left = until(deadline);
        if left.is_zero() {
            return None;
        }
        std::thread::sleep(every.min(left));
    }
}
