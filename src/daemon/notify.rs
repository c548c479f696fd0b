//! Telling systemd that we are ready, alive and how things are; nothing happens without it.

use std::time::Duration;

use sd_notify::NotifyState;

use crate::time::Mono;

/// What systemd was told.
#[derive(Debug, Default)]
pub(super) struct Notify {
    watchdog: Option<Duration>,
    fed_at: Option<Mono>,
    status: String,
}

impl Notify {
    /// The local socket is open: commands that wait for the service can go on.
    pub(super) fn ready() -> Notify {
        send(&[NotifyState::Ready]);
        let watchdog = sd_notify::watchdog_enabled().filter(|interval| !interval.is_zero());
        Notify { watchdog, fed_at: None, status: String::new() }
    }

    /// The loop goes round: feeds the watchdog and says how things are, when that is news.
    pub(super) fn turn(&mut self, now: Mono, status: &str) {
        if let Some(interval) = self.watchdog
            && self.fed_at.is_none_or(|at| now - at >= interval / 4)
        {
            send(&[NotifyState::Watchdog]);
            self.fed_at = Some(now);
        }
        if self.status != status {
            send(&[NotifyState::Status(status)]);
            status.clone_into(&mut self.status);
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
