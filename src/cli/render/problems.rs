//! The problems at the end of the screen: code, what is wrong, what helps.

use super::text::{Paint, age, clean, wrap};
use crate::status::{Check, Health};

/// Where a hint begins.
const HINT_INDENT: usize = 8;

/// A blank line, the number of problems, and each of them; nothing when there are none.
pub(super) fn lines(checks: &[Check], paint: Paint) -> Vec<String> {
    if checks.is_empty() {
        return Vec::new();
    }
    let plural = if checks.len() == 1 { "" } else { "s" };
    let mut lines = vec![String::new(), format!("{} problem{plural}:", checks.len())];
    for check in checks {
        lines.extend(problem(check, paint));
    }
    lines
}

fn problem(check: &Check, paint: Paint) -> Vec<String> {
    let severity = match check.severity {
        Health::Ok => "INFO",
        Health::Warn => "WARN",
        Health::Crit => "CRIT",
    };
    let code = clean(&check.code);
    let mut message = match &check.subject {
        Some(subject) if !check.message.starts_with(subject) => {
            format!("{}: {}", clean(subject), clean(&check.message))
        }
        _ => clean(&check.message),
    };
    if let Some(since_s) = check.since_s {
        message.push_str(&format!(" (for {})", age(since_s)));
    }
    let indent = 2 + severity.len() + 2 + code.chars().count() + 2;
    let mut lines = wrap(&message, indent);
    let first = lines.first_mut().expect("wrapped text has at least one line");
    let text = first.trim_start();
    *first = format!("  {}  {code}  {text}", paint.by(check.severity, severity));
    lines.extend(check.hints.iter().map(|hint| format!("{:HINT_INDENT$}→ {}", "", clean(hint))));
    lines
}
