//! The text of a consensus: times, parameters, random values and the relays with the HSDir flag.

use data_encoding::{BASE64, BASE64_NOPAD};
use memchr::memchr;

use super::schedule::{RUN_ROUNDS, Schedule};
use super::{Consensus, ConsensusError, HsDir, Params, microdesc};
use crate::ident::RelayId;
use crate::time::Wall;

/// A consensus whose HSDirs are known by RSA identity only.
///
/// It borrows nothing: the text can be dropped before the microdescriptors are asked for.
#[derive(Clone, Debug)]
pub struct Listing {
    header: Header,
    schedule: Schedule,
    hsdirs: Vec<Listed>,
}

/// A relay with the HSDir flag and the SHA-256 digest of its microdescriptor.
#[derive(Clone, Copy, Debug)]
struct Listed {
    relay: RelayId,
    digest: [u8; 32],
}

#[derive(Clone, Debug)]
struct Header {
    valid_after: Option<Wall>,
    fresh_until: Option<Wall>,
    valid_until: Option<Wall>,
    srv_previous: Option<[u8; 32]>,
    srv_current: Option<[u8; 32]>,
    params: Params,
}

impl Listing {
    /// Reads the text of a consensus of the microdescriptor flavour.
    ///
    /// `testing_network` says that tor runs with `TestingTorNetwork 1`: then a time period is 24
    /// voting rounds long whatever the parameters say.
    pub fn parse(text: &[u8], testing_network: bool) -> Result<Listing, ConsensusError> {
        let mut lines = Lines { text, next: 0 };
        if lines.next() != Some((0, b"network-status-version 3 microdesc")) {
            return Err(ConsensusError::NotAConsensus);
        }
        if !text.trim_ascii_end().ends_with(b"\n-----END SIGNATURE-----") {
            return Err(ConsensusError::Truncated);
        }
        let (header, first_relay) = read_header(lines)?;
        let schedule = header.schedule(testing_network)?;
        let hsdirs = read_relays(text, first_relay)?;
        Ok(Listing { header, schedule, hsdirs })
    }

    /// Adds the Ed25519 identities from the microdescriptors, matched by digest.
    ///
    /// HSDirs without one are left out and counted, as C tor leaves them out of its ring; an error
    /// when they are more than half.
    pub fn resolve(self, microdescs: &[u8]) -> Result<Consensus, ConsensusError> {
        let mut by_digest: Vec<u32> = (0..).take(self.hsdirs.len()).collect();
        let digest = |index: u32| &self.hsdirs[index as usize].digest;
        by_digest.sort_unstable_by_key(|index| *digest(*index));
        let mut identities = vec![None; self.hsdirs.len()];
        microdesc::for_each_identity(microdescs, |found, identity| {
            let first = by_digest.partition_point(|index| *digest(*index) < found);
            let equal = by_digest[first..].iter().take_while(|index| *digest(**index) == found);
            equal.for_each(|index| identities[*index as usize] = Some(identity));
        });
        let hsdirs: Vec<HsDir> = self
            .hsdirs
            .iter()
            .zip(identities)
            .filter_map(|(listed, id)| Some(HsDir { relay: listed.relay, ed25519: id? }))
            .collect();
        let missing = self.hsdirs.len() - hsdirs.len();
        if missing > hsdirs.len() {
            let hsdirs = self.hsdirs.len();
            return Err(ConsensusError::MissingMicrodescriptors { missing, hsdirs });
        }
        self.header.consensus(self.schedule, hsdirs, missing)
    }
}

impl Header {
    fn times(&self) -> Result<[Wall; 3], ConsensusError> {
        Ok([
            self.valid_after.ok_or(ConsensusError::MissingTime("valid-after"))?,
            self.fresh_until.ok_or(ConsensusError::MissingTime("fresh-until"))?,
            self.valid_until.ok_or(ConsensusError::MissingTime("valid-until"))?,
        ])
    }

    fn schedule(&self, testing_network: bool) -> Result<Schedule, ConsensusError> {
        let [valid_after, fresh_until, valid_until] = self.times()?;
        if valid_after >= fresh_until || fresh_until > valid_until {
            return Err(ConsensusError::TimesOutOfOrder);
        }
        let voting_interval_s = fresh_until.0 - valid_after.0;
        let run_min = voting_interval_s.saturating_mul(RUN_ROUNDS) / 60;
        let length_min = if testing_network { run_min } else { self.params.interval_min };
        if length_min == 0 {
            return Err(ConsensusError::VotingTooFast(voting_interval_s));
        }
        Ok(Schedule { valid_after, voting_interval_s, length_min })
    }

    fn consensus(
        self,
        schedule: Schedule,
        hsdirs: Vec<HsDir>,
        missing_microdescriptors: usize,
    ) -> Result<Consensus, ConsensusError> {
        let [valid_after, fresh_until, valid_until] = self.times()?;
        Ok(Consensus {
            valid_after,
            fresh_until,
            valid_until,
            srv_previous: self.srv_previous,
            srv_current: self.srv_current,
            params: self.params,
            hsdirs,
            missing_microdescriptors,
            schedule,
        })
    }
}

/// The lines of a text with their offsets; a last line without end counts too.
struct Lines<'a> {
    text: &'a [u8],
    next: usize,
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    fn next(&mut self) -> Option<(usize, &'a [u8])> {
        let at = self.next;
        let rest = self.text.get(at..).filter(|rest| !rest.is_empty())?;
        let length = memchr(b'\n', rest).unwrap_or(rest.len());
        self.next = at + length + 1;
        Some((at, &rest[..length]))
    }
}

/// The error of the line that begins at offset `at`.
fn garbage(text: &[u8], at: usize, what: &'static str) -> ConsensusError {
    ConsensusError::Garbage { line: line_number(text, at), what }
}

fn line_number(text: &[u8], at: usize) -> usize {
    memchr::memchr_iter(b'\n', &text[..at]).count() + 1
}

/// Everything before the relays; also where the first relay's entry begins.
fn read_header(lines: Lines<'_>) -> Result<(Header, usize), ConsensusError> {
    let mut header = Header {
        valid_after: None,
        fresh_until: None,
        valid_until: None,
        srv_previous: None,
        srv_current: None,
        params: Params { replicas: 2, spread_store: 4, spread_fetch: 3, interval_min: 1440 },
    };
    let text = lines.text;
    for (at, line) in lines {
        let (keyword, rest) = split(line);
        let time = |rest| read_time(rest).ok_or(garbage(text, at, "a time as YYYY-MM-DD HH:MM:SS"));
        let srv = |rest| read_srv(rest).ok_or(garbage(text, at, "a shared random value"));
        match keyword {
            b"r" | b"directory-footer" => return Ok((header, at)),
            b"valid-after" => header.valid_after = Some(time(rest)?),
            b"fresh-until" => header.fresh_until = Some(time(rest)?),
            b"valid-until" => header.valid_until = Some(time(rest)?),
            b"shared-rand-previous-value" => header.srv_previous = Some(srv(rest)?),
            b"shared-rand-current-value" => header.srv_current = Some(srv(rest)?),
            b"params" => read_params(&mut header.params, rest).ok_or(garbage(
                text,
                at,
                "parameters as name=number",
            ))?,
            _ => {}
        }
    }
    Err(ConsensusError::Truncated)
}

/// The relays with the HSDir flag, from the offset of the first entry on.
fn read_relays(text: &[u8], first: usize) -> Result<Vec<Listed>, ConsensusError> {
    let mut hsdirs = Vec::with_capacity((text.len() - first) / 300);
    let mut relays = 0;
    let mut entry: Option<Entry> = None;
    for (at, line) in (Lines { text, next: first }) {
        match line {
            [b'r', b' ', rest @ ..] => {
                let next = Entry::begin(text, at, rest, entry.as_ref())?;
                hsdirs.extend(entry.replace(next).and_then(|entry| entry.hsdir()));
                relays += 1;
            }
            b"directory-footer" => {
                hsdirs.extend(entry.and_then(|entry| entry.hsdir()));
                return match hsdirs.len() {
                    0 => Err(ConsensusError::NoHsDirs { relays }),
                    _ => Ok(hsdirs),
                };
            }
            _ => {
                let entry =
                    entry.as_mut().ok_or_else(|| garbage(text, at, "an entry of a relay"))?;
                entry.add(line).map_err(|what| garbage(text, at, what))?;
            }
        }
    }
    Err(ConsensusError::Truncated)
}

/// What is known of the relay whose entry is being read.
struct Entry {
    relay: RelayId,
    digest: Option<[u8; 32]>,
    has_flag: bool,
    has_protocol: bool,
}

impl Entry {
    /// An entry from its `r` line; entries must stand in the order of their identities.
    fn begin(
        text: &[u8],
        at: usize,
        line: &[u8],
        before: Option<&Entry>,
    ) -> Result<Entry, ConsensusError> {
        let mut relay = RelayId([0; 20]);
        let (_, rest) = split(line);
        Some(split(rest).0)
            .filter(|id| id.len() == 27 && BASE64_NOPAD.decode_mut(id, &mut relay.0) == Ok(20))
            .ok_or_else(|| garbage(text, at, "a relay's nickname and identity"))?;
        match before {
            Some(before) if before.relay == relay => {
                let line = line_number(text, at);
                Err(ConsensusError::DuplicateRelay { relay, line })
            }
            Some(before) if before.relay > relay => {
                Err(garbage(text, at, "relays in the order of their identities"))
            }
            _ => Ok(Entry { relay, digest: None, has_flag: false, has_protocol: true }),
        }
    }

    /// Takes in a further line of the entry.
    fn add(&mut self, line: &[u8]) -> Result<(), &'static str> {
        match line {
            [b'm', b' ', text @ ..] => {
                let mut digest = [0; 32];
                if text.len() != 43 || BASE64_NOPAD.decode_mut(text, &mut digest) != Ok(32) {
                    return Err("the digest of a microdescriptor");
                }
                self.digest = Some(digest);
            }
            [b's', b' ', flags @ ..] => {
                self.has_flag = word_after(flags, b"HSDir") == Some(b"");
            }
            [b'p', b'r', b' ', protocols @ ..] => {
                self.has_protocol = word_after(protocols, b"HSDir=")
                    .is_some_and(|versions| versions.split(|b| *b == b',').any(includes_two));
            }
            _ => {}
        }
        Ok(())
    }

    /// Only what has the flag, speaks version 3 (`HSDir=2`) and has a microdescriptor.
    fn hsdir(&self) -> Option<Listed> {
        let digest = self.digest.filter(|_| self.has_flag && self.has_protocol)?;
        Some(Listed { relay: self.relay, digest })
    }
}

/// Whether `1-2` or `2` includes 2, the number of HSDir for version 3 descriptors.
fn includes_two(range: &[u8]) -> bool {
    let mut ends = range.splitn(2, |b| *b == b'-').map(read_number);
    match (ends.next().flatten(), ends.next()) {
        (Some(low), Some(Some(high))) => (low..=high).contains(&2),
        (only, None) => only == Some(2),
        _ => false,
    }
}

fn split(line: &[u8]) -> (&[u8], &[u8]) {
    match memchr(b' ', line) {
        Some(space) => (&line[..space], &line[space + 1..]),
        None => (line, b""),
    }
}

/// The rest of the word that begins with `start`, in a line of words.
fn word_after<'a>(line: &'a [u8], start: &[u8]) -> Option<&'a [u8]> {
    let begins = |at: &usize| at.checked_sub(1).is_none_or(|before| line[before] == b' ');
    let at = memchr::memmem::find_iter(line, start).find(begins)?;
    Some(split(&line[at + start.len()..]).0)
}

fn read_number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// `NumReveals Value`, the value with padding.
fn read_srv(text: &[u8]) -> Option<[u8; 32]> {
    let (_, value) = split(text);
    BASE64.decode(value).ok()?.try_into().ok()
}

fn read_params(params: &mut Params, text: &[u8]) -> Option<()> {
    for entry in text.split(|b| *b == b' ').filter(|entry| !entry.is_empty()) {
        let equals = memchr(b'=', entry)?;
        let (name, value) = (&entry[..equals], read_number(&entry[equals + 1..])?);
        let small = |max| u8::try_from(value.clamp(1, max)).expect("at most 128");
        match name {
            b"hsdir_n_replicas" => params.replicas = small(16),
            b"hsdir_spread_store" => params.spread_store = small(128),
            b"hsdir_spread_fetch" => params.spread_fetch = small(128),
            b"hsdir_interval" => {
                params.interval_min = value.clamp(30, 14_400).unsigned_abs();
            }
            _ => {}
        }
    }
    Some(())
}

/// `YYYY-MM-DD HH:MM:SS`, from 1970 on.
fn read_time(text: &[u8]) -> Option<Wall> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b' ', rest @ ..] = text else {
        return None;
    };
    let [h1, h2, b':', n1, n2, b':', s1, s2] = rest else { return None };
    let number = |digits: &[&u8]| {
        digits.iter().try_fold(0, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u64::from(**digit - b'0'))
        })
    };
    let days =
        days_since_epoch(number(&[y1, y2, y3, y4])?, number(&[m1, m2])?, number(&[d1, d2])?)?;
    let (hour, minute, second) = (number(&[h1, h2])?, number(&[n1, n2])?, number(&[s1, s2])?);
    let in_day = hour < 24 && minute < 60 && second < 61;
    in_day.then_some(Wall(days * 86_400 + hour * 3600 + minute * 60 + second))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days_since_epoch(year: u64, month: u64, day: u64) -> Option<u64> {
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    days.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_the_calendar_has_them() {
        for (text, seconds) in [
            ("1970-01-01 00:00:00", 0),
            ("2016-04-13 11:15:01", 1_460_546_101),
            ("2000-02-29 23:59:59", 951_868_799),
            ("2026-11-20 12:00:00", 1_795_176_000),
            ("2100-03-01 00:00:00", 4_107_542_400),
        ] {
            assert_eq!(read_time(text.as_bytes()), Some(Wall(seconds)), "{text}");
        }
        for text in ["", "2016-04-13", "2016-13-01 00:00:00", "2016-04-13 24:00:00", "x"] {
            assert_eq!(read_time(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn words_are_found_only_where_they_begin() {
        let line = b"V2HSDir HSDirs Fast HSDir=1-2 X=2";
        assert_eq!(word_after(line, b"HSDir"), Some(&b"s"[..]));
        assert_eq!(word_after(line, b"HSDir="), Some(&b"1-2"[..]));
        assert_eq!(word_after(line, b"X="), Some(&b"2"[..]));
        assert_eq!(word_after(line, b"2"), None);
    }

    #[test]
    fn protocol_versions_are_ranges_and_lists() {
        let cases: [(&[u8], bool); 6] = [
            (b"2", true),
            (b"1-2", true),
            (b"1", false),
            (b"3-4", false),
            (b"", false),
            (b"2-", false),
        ];
        for (range, expected) in cases {
            assert_eq!(includes_two(range), expected, "{range:?}");
        }
    }
}
