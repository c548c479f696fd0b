//! Takes options out of the parsed TOML, one by one, and remembers which were asked for, so that
//! what is left over can be named as unknown. It knows types, ranges and lines, but no option.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::duration::{InvalidDuration, parse_duration, show_duration};
use super::problem::Problem;

/// How much of a wrong value is repeated in a message, in characters.
const ECHO_MAX: usize = 60;

/// A value and the line it stands on.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) line: Option<u32>,
    pub(super) value: T,
}

/// The whole file.
pub(super) struct Reader<'a> {
    text: &'a str,
    root: &'a DeTable<'a>,
    problems: Vec<Problem>,
    offered: BTreeMap<&'static str, Offer>,
    unknown: Vec<Unknown>,
}

/// A section that exists, as its header is written, and its options.
struct Offer {
    label: String,
    options: Vec<&'static str>,
}

/// An option nobody asked for.
struct Unknown {
    section: &'static str,
    label: String,
    key: String,
    line: Option<u32>,
}

/// One section, or one block of a repeated section.
pub(super) struct Section<'a> {
    name: &'static str,
    label: String,
    text: &'a str,
    table: Option<&'a DeTable<'a>>,
    line: Option<u32>,
    problems: Vec<Problem>,
    asked: Vec<&'static str>,
}

/// The problems of a text that is not TOML; empty when it is.
pub(super) fn syntax_problems(text: &str) -> Vec<Problem> {
    let (_, errors) = DeTable::parse_recoverable(text);
    errors
        .iter()
        .map(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            let message: Vec<&str> = error.message().split_whitespace().collect();
            Problem::error(line, format!("not valid TOML: {}", message.join(" ")))
        })
        .collect()
}

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str, root: &'a DeTable<'a>) -> Reader<'a> {
        Reader { text, root, problems: Vec::new(), offered: BTreeMap::new(), unknown: Vec::new() }
    }

    /// Whether the file has `name` at its top level, in whatever form.
    pub(super) fn has(&self, name: &str) -> bool {
        self.root.contains_key(name)
    }

    /// The section `[name]`; an empty one when the file has none.
    pub(super) fn section(&mut self, name: &'static str) -> Section<'a> {
        let label = format!("[{name}]");
        let found = self.root.get_key_value(name);
        let line = found.map(|(key, _)| line_of(self.text, key.span().start));
        let table = match found.map(|(_, value)| value.get_ref()) {
            None => None,
            Some(DeValue::Table(table)) => Some(table),
            Some(DeValue::Array(_)) => {
                self.problem(line, format!("[[{name}]] exists once: write it as {label}"));
                None
            }
            Some(_) => {
                self.problem(line, format!("{name} is a section: write it as {label}"));
                None
            }
        };
        self.offer(name, &label);
        self.open(name, label, table, line)
    }

    /// The blocks `[[name]]`, in the order of the file; more than `max` are a problem.
    pub(super) fn blocks(&mut self, name: &'static str, max: usize) -> Vec<Section<'a>> {
        let label = format!("[[{name}]]");
        self.offer(name, &label);
        let Some((key, value)) = self.root.get_key_value(name) else { return Vec::new() };
        let line = Some(line_of(self.text, key.span().start));
        let tables: Option<Vec<(Range<usize>, &'a DeTable<'a>)>> = match value.get_ref() {
            DeValue::Array(items) => items
                .iter()
                .map(|item| item.get_ref().as_table().map(|table| (item.span(), table)))
                .collect(),
            _ => None,
        };
        let Some(tables) = tables else {
            self.problem(line, format!("[{name}] may exist several times: write it as {label}"));
            return Vec::new();
        };
        if let Some((span, _)) = tables.get(max) {
            let line = Some(line_of(self.text, span.start));
            self.problem(line, format!("{label}: at most {max} are possible"));
        }
        tables
            .into_iter()
            .take(max)
            .map(|(span, table)| {
                let line = Some(line_of(self.text, span.start));
                self.open(name, label.clone(), Some(table), line)
            })
            .collect()
    }

    fn open(
        &self,
        name: &'static str,
        label: String,
        table: Option<&'a DeTable<'a>>,
        line: Option<u32>,
    ) -> Section<'a> {
        let (problems, asked) = (Vec::new(), Vec::new());
        Section { name, label, text: self.text, table, line, problems, asked }
    }

    fn offer(&mut self, name: &'static str, label: &str) {
        self.offered.insert(name, Offer { label: label.to_owned(), options: Vec::new() });
    }

    /// Takes back a section from which everything was read.
    pub(super) fn close(&mut self, section: Section<'a>) {
        let left = section.table.into_iter().flatten().filter(|(key, _)| {
            let key: &str = key.get_ref();
            !section.asked.contains(&key)
        });
        for (key, _) in left {
            self.unknown.push(Unknown {
                section: section.name,
                label: section.label.clone(),
                key: key.get_ref().to_string(),
                line: Some(line_of(self.text, key.span().start)),
            });
        }
        if let Some(offer) = self.offered.get_mut(section.name) {
            offer.options = section.asked;
        }
        self.problems.extend(section.problems);
    }

    /// Adds an error; `message` names its section itself.
    pub(super) fn problem(&mut self, line: Option<u32>, message: String) {
        self.problems.push(Problem::error(line, message));
    }

    /// All problems, unknown options and sections among them.
    pub(super) fn finish(mut self) -> Vec<Problem> {
        for unknown in std::mem::take(&mut self.unknown) {
            let hint = self.option_hint(&unknown);
            let message = format!("{} {}: no such option{hint}", unknown.label, echo(&unknown.key));
            self.problem(unknown.line, message);
        }
        for (key, value) in self.root {
            let name: &str = key.get_ref();
            if self.offered.contains_key(name) {
                continue;
            }
            let message = self.stranger(name, value);
            self.problem(Some(line_of(self.text, key.span().start)), message);
        }
        self.problems.sort();
        self.problems
    }

    fn option_hint(&self, unknown: &Unknown) -> String {
        let here = self.offered.get(unknown.section).map_or(&[][..], |offer| &offer.options);
        match nearest(&unknown.key, here.iter().copied()) {
            Some(near) => format!(". Did you mean {near}?"),
            None => self.home_of(&unknown.key).unwrap_or_default(),
        }
    }

    /// Says which section has an option `key`, when one does.
    fn home_of(&self, key: &str) -> Option<String> {
        let (_, offer) = self.offered.iter().find(|(_, offer)| offer.options.contains(&key))?;
        Some(format!(" here. It belongs to {}", offer.label))
    }

    /// What to say of `name`, which stands at the top level and is no section of ours.
    fn stranger(&self, name: &str, value: &Spanned<DeValue<'_>>) -> String {
        let hint = match nearest(name, self.offered.keys().copied()) {
            Some(near) => format!(". Did you mean {}?", self.offered[near].label),
            None => String::new(),
        };
        let name = echo(name);
        match value.get_ref() {
            DeValue::Table(_) => format!("[{name}]: no such section{hint}"),
            DeValue::Array(items) if items.iter().any(|item| item.get_ref().is_table()) => {
                format!("[[{name}]]: no such section{hint}")
            }
            _ => {
                let home = self.home_of(&name).unwrap_or_else(|| " outside of a section".into());
                format!("{name}: no such option{home}")
            }
        }
    }
}

impl<'a> Section<'a> {
    /// Whether everything so far was as it should be.
    pub(super) fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// The line of option `key`, or else of the section's header.
    pub(super) fn line_of(&self, key: &str) -> Option<u32> {
        let found = self.table.and_then(|table| table.get_key_value(key));
        found.map(|(key, _)| line_of(self.text, key.span().start)).or(self.line)
    }

    /// Adds an error about option `key`; `rest` follows the option's name.
    pub(super) fn error(&mut self, key: &str, rest: &str) {
        let (line, message) = (self.line_of(key), format!("{} {key}{rest}", self.label));
        self.problems.push(Problem::error(line, message));
    }

    /// Adds a warning about option `key`; `rest` follows the option's name.
    pub(super) fn warning(&mut self, key: &str, rest: &str) {
        let (line, message) = (self.line_of(key), format!("{} {key}{rest}", self.label));
        self.problems.push(Problem::warning(line, message));
    }

    fn take(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        self.table?.get(key)
    }

    /// Says that the value of `key` is not as it must be.
    fn refuse(&mut self, key: &str, value: &Spanned<DeValue<'_>>, reason: &str) {
        let source = self.text.get(value.span()).unwrap_or_default();
        self.error(key, &format!(" = {} {reason}", echo(source)));
    }

    pub(super) fn boolean(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.take(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.refuse(key, value, "must be true or false");
            default
        })
    }

    pub(super) fn integer<T>(
        &mut self,
        key: &'static str,
        default: T,
        range: RangeInclusive<T>,
    ) -> T
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let Some(value) = self.take(key) else { return default };
        let number = as_integer(value.get_ref());
        match number.and_then(|n| T::try_from(n).ok()).filter(|n| range.contains(n)) {
            Some(number) => number,
            None => {
                let (low, high) = range.into_inner();
                let reason = format!("must be a whole number from {low} to {high}");
                self.refuse(key, value, &reason);
                default
            }
        }
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        default: Duration,
        range: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(value) = self.take(key) else { return default };
        match as_duration(value.get_ref()) {
            Ok(duration) if range.contains(&duration) => return duration,
            Ok(_) => {
                let (low, high) = (show_duration(*range.start()), show_duration(*range.end()));
                self.refuse(key, value, &format!("must be between {low} and {high}"));
            }
            Err(error) => self.refuse(key, value, &format!("is {error}")),
        }
        default
    }

    /// One of a few words.
    pub(super) fn word<T: Copy>(
        &mut self,
        key: &'static str,
        default: T,
        words: &[(&str, T)],
    ) -> T {
        let Some(value) = self.take(key) else { return default };
        let text = value.get_ref().as_str();
        if let Some((_, meaning)) = words.iter().find(|(word, _)| Some(*word) == text) {
            return *meaning;
        }
        let all: Vec<String> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
        let near = text.and_then(|text| nearest(text, words.iter().map(|(word, _)| *word)));
        let hint = near.map_or_else(String::new, |near| format!(". Did you mean {near:?}?"));
        self.refuse(key, value, &format!("must be one of {}{hint}", all.join(", ")));
        default
    }

    /// A text in a form of its own; `parse` says what is wrong with a bad one.
    pub(super) fn text<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(key)?;
        let parsed = match value.get_ref().as_str() {
            Some(text) => parse(text),
            None => Err("must be a text in quotes".to_owned()),
        };
        parsed.map_err(|reason| self.refuse(key, value, &reason)).ok()
    }

    /// A list of texts that must be there: 1 to `max`; empty when there is a problem.
    pub(super) fn texts(&mut self, key: &'static str, max: usize) -> Vec<String> {
        let Some(value) = self.take(key) else {
            self.error(key, ": missing, but required");
            return Vec::new();
        };
        let items = value.get_ref().as_array().into_iter().flatten();
        let texts: Option<Vec<String>> =
            items.map(|item| item.get_ref().as_str().map(str::to_owned)).collect();
        match texts.filter(|texts| (1..=max).contains(&texts.len())) {
            Some(texts) => texts,
            None => {
                let reason = format!("must be a list of 1 to {max} texts, such as [\"a\", \"b\"]");
                self.refuse(key, value, &reason);
                Vec::new()
            }
        }
    }

    /// Says that `word` in the list `key` is none of `words`.
    pub(super) fn no_such_word<'w>(
        &mut self,
        key: &str,
        word: &str,
        words: impl Iterator<Item = &'w str> + Clone,
    ) {
        let hint = match nearest(word, words.clone()) {
            Some(near) => format!("Did you mean {near:?}?"),
            None => format!("Known are {}", words.collect::<Vec<_>>().join(", ")),
        };
        self.error(key, &format!(": there is no {:?}. {hint}", echo(word)));
    }

    /// As [`Section::text`], but the option must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<At<T>> {
        if self.table.is_none_or(|table| !table.contains_key(key)) {
            self.asked.push(key);
            self.error(key, ": missing, but required");
            return None;
        }
        let value = self.text(key, parse)?;
        Some(At { line: self.line_of(key), value })
    }
}

fn as_integer(value: &DeValue<'_>) -> Option<i128> {
    let integer = value.as_integer()?;
    i128::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn as_duration(value: &DeValue<'_>) -> Result<Duration, InvalidDuration> {
    match value {
        DeValue::Integer(_) => {
            parse_duration(&as_integer(value).ok_or(InvalidDuration)?.to_string())
        }
        DeValue::Float(float) => parse_duration(float.as_str()),
        DeValue::String(text) => parse_duration(text),
        _ => Err(InvalidDuration),
    }
}

/// The line, from 1, of the byte at `offset`.
fn line_of(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().iter().take(offset);
    let newlines = before.filter(|byte| **byte == b'\n').count();
    u32::try_from(newlines + 1).unwrap_or(u32::MAX)
}

/// The word that was probably meant: at most a third of its letters are different.
fn nearest<'w>(typed: &str, words: impl Iterator<Item = &'w str>) -> Option<&'w str> {
    let distance = |word: &str| strsim::damerau_levenshtein(typed, word);
    let (near, word) = words.map(|word| (distance(word), word)).min()?;
    (near <= (word.chars().count() / 3).max(1)).then_some(word)
}

/// A piece of the file as it may be shown: one line, no control characters, not too long.
fn echo(source: &str) -> String {
    let mut shown: String =
        source.chars().take(ECHO_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if source.chars().count() > ECHO_MAX {
        shown.push_str("...");
    }
    shown
}
