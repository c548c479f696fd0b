//! What is being waited for, said again and again: a demo that is silent looks broken.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use serde_json::Value;

/// From one line to the next.
const EVERY: Duration = Duration::from_secs(5);

/// Does `work` and says meanwhile how long it has taken and what `awaited` says now.
pub(crate) fn during<T>(awaited: impl Fn() -> String + Send, work: impl FnOnce() -> T) -> T {
    std::thread::scope(|scope| {
        let (done, ended) = mpsc::channel::<()>();
        scope.spawn(move || {
            let mut seconds = 0;
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                seconds += EVERY.as_secs();
                println!("   {seconds:3} s  waiting for {}", awaited());
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// What a node still lacks, by its status document.
pub(crate) fn of_publishing(status: Option<&Value>) -> String {
    let Some(status) = status else { return "the node's status socket".to_owned() };
    let descriptors: Vec<&Value> = status["services"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|service| service["descriptors"].as_array())
        .flatten()
        .collect();
    if descriptors.is_empty() {
        return "the node to know the fronts and the HSDirs".to_owned();
    }
    let sum = |field: &str| -> u64 { descriptors.iter().filter_map(|d| d[field].as_u64()).sum() };
    let (confirmed, target) = (sum("hsdirs_confirmed"), sum("hsdirs_target"));
    format!("the HSDirs to confirm the descriptor: {confirmed} of {target} so far")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_over_all_descriptors() {
        let status = serde_json::json!({"services": [{"descriptors": [
            {"hsdirs_confirmed": 8, "hsdirs_target": 8},
            {"hsdirs_confirmed": 3, "hsdirs_target": 8},
        ]}]});
        assert!(of_publishing(Some(&status)).contains("11 of 16"));
        let young = serde_json::json!({"services": [{"descriptors": []}]});
        assert!(of_publishing(Some(&young)).contains("fronts and the HSDirs"));
        assert!(of_publishing(None).contains("socket"));
    }
}
