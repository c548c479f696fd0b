//! Durations as people write them: `30`, `0.3`, `"30s"`, `"1h30m"`.

use std::time::Duration;

/// The units, largest first, with their length in milliseconds.
const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// A longer time is a mistake.
const MAX_MS: u64 = 3650 * 86_400_000;

/// A text that is not a duration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a time; write seconds (30, 0.3) or a text such as \"300ms\", \"30s\", \"10m\", \"2h\""
)]
pub struct InvalidDuration;

/// Reads `30` (seconds), `0.3`, `30s`, `1h30m`; to the millisecond, at most ten years.
///
/// # Errors
/// [`InvalidDuration`] for anything else, negative numbers and infinities too.
pub fn parse_duration(text: &str) -> Result<Duration, InvalidDuration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<f64>() {
        return from_seconds(seconds);
    }
    let mut rest = text;
    let mut total_ms = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or(InvalidDuration)?;
        let number: u64 = rest[..digits].parse().map_err(|_| InvalidDuration)?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, unit_ms) =
            UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or(InvalidDuration)?;
        rest = rest[letters..].trim_start();
        let part_ms = number.checked_mul(*unit_ms).ok_or(InvalidDuration)?;
        total_ms = total_ms.checked_add(part_ms).ok_or(InvalidDuration)?;
    }
    match total_ms {
        _ if text.is_empty() => Err(InvalidDuration),
        0..=MAX_MS => Ok(Duration::from_millis(total_ms)),
        _ => Err(InvalidDuration),
    }
}

fn from_seconds(seconds: f64) -> Result<Duration, InvalidDuration> {
    let ms = seconds * 1000.0;
    if !(0.0..=MAX_MS as f64).contains(&ms) {
        return Err(InvalidDuration);
    }
    Ok(Duration::from_millis(ms.round() as u64))
}

/// The shortest exact text: `300ms`, `30s`, `1h30m`, `0s`.
pub fn show_duration(duration: Duration) -> String {
    let mut rest_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    if rest_ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, unit_ms) in UNITS {
        let count = rest_ms / unit_ms;
        rest_ms %= unit_ms;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_units_are_read() {
        for (text, ms) in [
            ("30", 30_000),
            ("0.3", 300),
            ("300ms", 300),
            ("30s", 30_000),
            ("10m", 600_000),
            ("2h", 7_200_000),
            ("1h30m", 5_400_000),
            ("1h 30m", 5_400_000),
            ("1d", 86_400_000),
            ("0", 0),
        ] {
            assert_eq!(parse_duration(text), Ok(Duration::from_millis(ms)), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", " ", "s", "-1", "1x", "1 fortnight", "inf", "NaN", "1h-3m", "99999999999h", "1.5h"]
        {
            assert_eq!(parse_duration(text), Err(InvalidDuration), "{text:?}");
        }
        assert_eq!(parse_duration(&format!("{}h", u64::MAX)), Err(InvalidDuration));
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for ms in [0, 1, 300, 1000, 59_999, 90_061_001] {
            let duration = Duration::from_millis(ms);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        assert_eq!(show_duration(Duration::from_secs(5400)), "1h30m");
    }
}
