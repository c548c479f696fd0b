//! What can be said about a configuration file, and how it is shown.

use std::fmt;
use std::path::{Path, PathBuf};

use super::file::FileError;

/// How much a problem matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, but probably not as meant.
    Warning,
}

/// One finding: where, what, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// The line, from 1; `None` when something is missing altogether.
    pub line: Option<u32>,
    /// Section and option, what is wrong, and what to do. One line.
    pub message: String,
}

impl Problem {
    /// An error.
    pub fn error(line: Option<u32>, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Error, line, message: message.into() }
    }

    /// A warning.
    pub fn warning(line: Option<u32>, message: impl Into<String>) -> Problem {
        Problem { severity: Severity::Warning, line, message: message.into() }
    }
}

/// Why a configuration file is refused. Displays as the screen of `rustbalance check`, without a
/// newline at its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", show_problems(path, problems))]
pub struct ConfigErrors {
    /// The file.
    pub path: PathBuf,
    /// Everything that was found, warnings too: errors first, then by line. At least one error.
    pub problems: Vec<Problem>,
    /// What stands in the way.
    pub fault: Fault,
}

/// What kind of trouble a refused configuration has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such file, or what it says is not valid.
    Content,
    /// This user may not read it.
    Permission,
    /// The system failed to read it; it may work another time.
    Io,
}

impl ConfigErrors {
    pub(super) fn new(path: &Path, mut problems: Vec<Problem>) -> ConfigErrors {
        problems.sort();
        ConfigErrors { path: path.to_owned(), problems, fault: Fault::Content }
    }

    pub(super) fn unreadable(path: &Path, error: &FileError) -> ConfigErrors {
        ConfigErrors {
            path: path.to_owned(),
            problems: vec![Problem::error(None, format!("the file {error}"))],
            fault: error.fault(),
        }
    }
}

/// The screen of `rustbalance check` for `problems` of the file at `path`, without a newline at
/// its end: a line with the counts, then one line each.
pub fn show_problems(path: &Path, problems: &[Problem]) -> String {
    Screen { path, problems }.to_string()
}

struct Screen<'a> {
    path: &'a Path,
    problems: &'a [Problem],
}

impl fmt::Display for Screen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let errors = self.problems.iter().filter(|p| p.severity == Severity::Error).count();
        let warnings = self.problems.len() - errors;
        let counts: Vec<String> = [(errors, "error"), (warnings, "warning")]
            .into_iter()
            .filter(|(n, _)| *n > 0)
            .map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
            .collect();
        write!(f, "{}: {}", self.path.display(), counts.join(", "))?;
        let places: Vec<String> = self
            .problems
            .iter()
            .map(|p| p.line.map_or_else(String::new, |line| format!("line {line}")))
            .collect();
        let width = places.iter().map(String::len).max().unwrap_or(0);
        for (problem, place) in self.problems.iter().zip(&places) {
            let word = match problem.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            let gap = if width == 0 { "" } else { "  " };
            write!(f, "\n  {place:<width$}{gap}{word:<7}  {}", problem.message)?;
        }
        Ok(())
    }
}
