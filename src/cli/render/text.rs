//! Pieces of text for the screen: ages, cells, wrapped lines, colours, and plain ASCII.

use std::fmt::Display;
use std::time::Duration;

use crate::config::show_duration;
use crate::status::Health;

/// Lines are at most this wide, where words allow it.
const WIDTH: usize = 108;

/// Text from the document is cut here: nothing sensible is longer.
const CLEAN_MAX: usize = 600;

/// Colours, or none.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    pub(super) colour: bool,
}

impl Paint {
    /// `text` in the colour of `health`.
    pub(super) fn by(self, health: Health, text: &str) -> String {
        let code = match health {
            Health::Ok => 32,
            Health::Warn => 33,
            Health::Crit => 31,
        };
        match self.colour {
            true => format!("\x1b[1;{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }
}

/// An age or a wait as people say it: exact below three minutes, then in the two largest units.
pub(super) fn age(seconds: u64) -> String {
    let unit_s = match seconds {
        0..180 => 1,
        180..86_400 => 60,
        _ => 3600,
    };
    show_duration(Duration::from_secs(seconds / unit_s * unit_s))
}

/// A number that may not be known.
pub(super) fn or_unknown(number: Option<impl Display>) -> String {
    number.map_or_else(|| "?".to_owned(), |number| number.to_string())
}

/// A number of which zero means that it is not known.
pub(super) fn count(number: u32) -> String {
    or_unknown((number > 0).then_some(number))
}

/// Text from the document without anything that could command the terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().take(CLEAN_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Columns as wide as their widest cell, two blanks between them; the first column is a mark of
/// one character.
pub(super) fn table(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |n: usize| {
        let cells = rows.iter().filter_map(|row| row.get(n));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let mut line = String::new();
        for (n, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match n {
                0 => line.push_str(&format!("{cell:<1} ")),
                _ => line.push_str(&format!("{cell:<width$}  ")),
            }
        }
        line.trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// `text` in lines that all begin with `indent` blanks; at least one line.
pub(super) fn wrap(text: &str, indent: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let width = indent + line.chars().count() + 1 + word.chars().count();
        if !line.is_empty() && width > WIDTH {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines.into_iter().map(|line| format!("{:indent$}{line}", "")).collect()
}

/// The lines as one text, in ASCII unless `unicode`.
pub(super) fn finish(lines: &[String], unicode: bool) -> String {
    let text = lines.join("\n") + "\n";
    if unicode {
        return text;
    }
    let mut ascii = String::new();
    for c in text.chars() {
        match c {
            '●' => ascii.push('+'),
            '▲' => ascii.push('!'),
            '✖' => ascii.push('X'),
            '·' => ascii.push('-'),
            '→' => ascii.push_str("->"),
            '…' => ascii.push_str("..."),
            c if c.is_ascii() => ascii.push(c),
            _ => ascii.push('?'),
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        for (seconds, text) in [
            (0, "0s"),
            (41, "41s"),
            (134, "2m14s"),
            (179, "2m59s"),
            (241, "4m"),
            (3299, "54m"),
            (4325, "1h12m"),
            (90_000, "1d1h"),
        ] {
            assert_eq!(age(seconds), text);
        }
    }

    #[test]
    fn text_of_others_cannot_command_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\n"), "a [2Jb ");
        assert_eq!(clean(&"x".repeat(5000)).len(), CLEAN_MAX);
    }

    #[test]
    fn wrapped_lines_keep_to_the_width() {
        let text = "word ".repeat(60);
        let lines = wrap(&text, 20);
        assert!(lines.len() > 1);
        assert!(lines.iter().all(|line| line.len() <= WIDTH && line.starts_with(&" ".repeat(20))));
        assert_eq!(wrap("", 3), ["   "]);
    }
}
