//! Telling systemd that we are ready, alive and how things are; nothing happens without it.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::time::Mono;

/// How often the loop is asked how things are.
const STATUS_EVERY: Duration = Duration::from_secs(1);

/// What systemd was told.
#[derive(Debug, Default)]
pub(super) struct Notify {
    watchdog: Option<Duration>,
    fed_at: Option<Mono>,
    asked_at: Option<Mono>,
    status: String,
}

impl Notify {
    /// The local socket is open: commands that wait for the service can go on.
    pub(super) fn ready() -> Notify {
        send(&[NotifyState::Ready]);
        let watchdog = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
        Notify { watchdog, fed_at: None, asked_at: None, status: String::new() }
    }

    /// The loop goes round: feeds the watchdog and says how things are, when that is news. Asks for
    /// that at most once a second.
    pub(super) fn turn(&mut self, now: Mono, status: impl FnOnce() -> String) {
        if let Some(interval) = self.watchdog
            && self.fed_at.is_none_or(|at| now - at >= interval / 4)
        {
            send(&[NotifyState::Watchdog]);
            self.fed_at = Some(now);
        }
        if self.asked_at.is_some_and(|at| now - at < STATUS_EVERY) {
            return;
        }
        self.asked_at = Some(now);
        let status = status();
        if self.status != status {
            send(&[NotifyState::Status(&status)]);
            self.status = status;
        }
    }

    pub(super) fn stopping(&self) {
        send(&[NotifyState::Stopping]);
    }
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(event = "notify_failed", "cannot tell systemd: {error}");
    }
}
