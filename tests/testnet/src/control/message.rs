//! One reply or event: lines with a code, some with a body (control-spec, section 2.3).

use anyhow::{Context, Result, bail};

/// One line of a reply or event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// What follows the code and its separator.
    pub text: String,
    /// The body after a `+` line, dots taken away, lines ended by `\n`.
    pub data: Option<String>,
}

/// A whole reply or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The three-digit code of its last line; 650 is an event.
    pub code: u16,
    /// All lines, at least one.
    pub lines: Vec<Line>,
}

impl Message {
    /// The text of the first line.
    pub fn text(&self) -> &str {
        self.lines.first().map_or("", |line| &line.text)
    }

    /// The words of the first line.
    pub fn words(&self) -> Vec<&str> {
        self.text().split(' ').collect()
    }

    /// The body, when the first line has one.
    pub fn data(&self) -> Option<&str> {
        self.lines.first()?.data.as_deref()
    }

    /// Takes the first message of `bytes` and says how long it was; `None` when more must come.
    ///
    /// # Errors
    /// Fails when a line has no code or no known separator.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Message, usize)>> {
        let mut used = 0;
        let mut lines = Vec::new();
        loop {
            let Some(line) = next_line(bytes, &mut used) else { return Ok(None) };
            let text = String::from_utf8_lossy(line);
            let code = text.get(..3).and_then(|digits| digits.parse().ok());
            let code = code.with_context(|| format!("tor sent a line without a code: {text:?}"))?;
            let rest = text.get(4..).unwrap_or_default().to_owned();
            match line.get(3) {
                Some(b'-') => lines.push(Line { text: rest, data: None }),
                Some(b'+') => match next_body(bytes, &mut used) {
                    Some(data) => lines.push(Line { text: rest, data: Some(data) }),
                    None => return Ok(None),
                },
                Some(b' ') => {
                    lines.push(Line { text: rest, data: None });
                    return Ok(Some((Message { code, lines }, used)));
                }
                _ => bail!("tor sent a line that is neither middle nor end: {text:?}"),
            }
        }
    }
}

fn next_line<'a>(bytes: &'a [u8], used: &mut usize) -> Option<&'a [u8]> {
    let rest = &bytes[*used..];
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    *used += end + 1;
    Some(rest[..end].strip_suffix(b"\r").unwrap_or(&rest[..end]))
}

fn next_body(bytes: &[u8], used: &mut usize) -> Option<String> {
    let mut body = Vec::new();
    loop {
        match next_line(bytes, used)? {
            b"." => return Some(String::from_utf8_lossy(&body).into_owned()),
            line => body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line)),
        }
        body.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_is_taken_only_when_it_is_whole() {
        let bytes = b"250+ns/all=\r\nr one\r\n..dot\r\n.\r\n250 OK\r\n650 CIRC 1 BUILT\r\n";
        let first_len = bytes.len() - b"650 CIRC 1 BUILT\r\n".len();
        for len in 0..first_len {
            assert_eq!(Message::parse(&bytes[..len]).unwrap(), None, "at {len} bytes");
        }
        let (message, used) = Message::parse(bytes).unwrap().unwrap();
        assert_eq!((message.code, message.text(), used), (250, "ns/all=", first_len));
        assert_eq!(message.data(), Some("r one\n.dot\n"));
        let (event, _) = Message::parse(&bytes[used..]).unwrap().unwrap();
        assert_eq!((event.code, event.words()), (650, vec!["CIRC", "1", "BUILT"]));
    }

    #[test]
    fn nonsense_is_refused() {
        assert!(Message::parse(b"hello\r\n").is_err());
        assert!(Message::parse(b"250?hello\r\n").is_err());
    }
}
