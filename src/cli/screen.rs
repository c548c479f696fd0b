//! What the terminal can show, and writing to it.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};

use super::exit::Exit;

/// What the reader's terminal can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Screen {
    /// Escape sequences for colours are understood.
    pub(super) colour: bool,
    /// Characters beyond ASCII are understood.
    pub(super) unicode: bool,
}

impl Screen {
    /// What standard output can show: colour on a terminal without `NO_COLOR`, more than ASCII
    /// where the locale says UTF-8.
    pub(super) fn of_stdout() -> Screen {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let colour = io::stdout().is_terminal() && !super::is_set("NO_COLOR") && !dumb;
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].map(std::env::var_os);
        Screen { colour, unicode: is_utf8(locale) }
    }
}

/// Whether the first of these variables that is set and not empty names UTF-8 (locale(7)).
fn is_utf8(variables: [Option<OsString>; 3]) -> bool {
    let first = variables.into_iter().flatten().find(|value| !value.is_empty());
    first.is_some_and(|value| {
        let name = value.to_string_lossy().to_ascii_lowercase();
        name.contains("utf-8") || name.contains("utf8")
    })
}

/// Writes `text` to standard output. A reader that went away is no failure.
pub(super) fn print(text: &str) -> Exit {
    match write(text) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => complain(&format!("cannot write to standard output: {error}"), Exit::Failed),
    }
}

/// Writes `text` to standard output, all of it.
pub(super) fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// Writes a remark for people to standard error, so that standard output holds the answer alone.
pub(super) fn remark(text: &str) {
    // Nobody misses it.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Writes `rustbalance: <message>` to standard error, and gives `exit` back.
pub(super) fn complain(message: &str, exit: Exit) -> Exit {
    // When standard error is gone too, only the exit code is left to tell.
    let _ = writeln!(io::stderr(), "rustbalance: {message}");
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_locale_variable_that_is_set_decides() {
        let locale = |values: [&str; 3]| is_utf8(values.map(|value| Some(value.into())));
        assert!(locale(["", "", "en_GB.UTF-8"]));
        assert!(locale(["C.utf8", "C", "C"]));
        assert!(!locale(["C", "", "en_GB.UTF-8"]));
        assert!(!locale(["", "de_DE.ISO-8859-1", "C.UTF-8"]));
        assert!(!is_utf8([None, None, None]));
    }
}
