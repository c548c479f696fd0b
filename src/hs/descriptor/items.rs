//! The line format of Tor's documents: keyword, arguments, and an object in Base64
//! (dir-spec, section "Document meta-format").

use data_encoding::{BASE64, BASE64_NOPAD};

/// One item of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    pub(super) keyword: &'a str,
    /// Everything after the keyword, without the space between.
    pub(super) arguments: &'a str,
    /// Label and lines of the object.
    object: Option<(&'a str, &'a str)>,
    /// Where the item begins.
    pub(super) offset: usize,
}

/// A line or an object that is not well formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl<'a> Item<'a> {
    /// The arguments one by one.
    pub(super) fn words(&self) -> impl Iterator<Item = &'a str> {
        self.arguments.split([' ', '\t']).filter(|word| !word.is_empty())
    }

    /// The bytes of the object, which must have this label.
    pub(super) fn object(&self, label: &str) -> Result<Vec<u8>, Malformed> {
        let (_, lines) = self.object.filter(|(found, _)| *found == label).ok_or(Malformed)?;
        let text: Vec<u8> = lines.bytes().filter(|b| *b != b'\n').collect();
        BASE64.decode(&text).map_err(|_| Malformed)
    }
}

/// The item with this keyword, when there is exactly one.
pub(super) fn unique<'i, 'a>(items: &'i [Item<'a>], keyword: &str) -> Option<&'i Item<'a>> {
    let mut found = items.iter().filter(|item| item.keyword == keyword);
    found.next().filter(|_| found.next().is_none())
}

/// A value of fixed length in Base64, with or without padding.
pub(super) fn fixed<const N: usize>(word: &str) -> Result<[u8; N], Malformed> {
    bytes(word)?.try_into().map_err(|_| Malformed)
}

/// A value in Base64, with or without padding.
pub(super) fn bytes(word: &str) -> Result<Vec<u8>, Malformed> {
    BASE64_NOPAD.decode(word.trim_end_matches('=').as_bytes()).map_err(|_| Malformed)
}

/// The items of a document in a row. A document must end with a line end.
pub(super) struct Items<'a> {
    text: &'a str,
    next: usize,
}

impl<'a> Items<'a> {
    pub(super) fn new(text: &'a str) -> Items<'a> {
        Items { text, next: 0 }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.next..]
    }

    fn line(&mut self) -> Result<&'a str, Malformed> {
        let (line, _) = self.rest().split_once('\n').ok_or(Malformed)?;
        self.next += line.len() + 1;
        Ok(line)
    }

    fn object(&mut self) -> Result<Option<(&'a str, &'a str)>, Malformed> {
        if !self.rest().starts_with("-----BEGIN ") {
            return Ok(None);
        }
        let label = self
            .line()?
            .strip_prefix("-----BEGIN ")
            .and_then(|line| line.strip_suffix("-----"))
            .ok_or(Malformed)?;
        let begin = self.next;
        loop {
            let end = self.next;
            if let Some(line) = self.line()?.strip_prefix("-----END ") {
                let closes = line.strip_suffix("-----") == Some(label);
                let object = (label, &self.text[begin..end]);
                return closes.then_some(Some(object)).ok_or(Malformed);
            }
        }
    }

    fn item(&mut self) -> Result<Item<'a>, Malformed> {
        let offset = self.next;
        let line = self.line()?;
        let (keyword, arguments) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if keyword.is_empty() || keyword.starts_with('-') || !keyword.bytes().all(allowed) {
            return Err(Malformed);
        }
        Ok(Item { keyword, arguments, object: self.object()?, offset })
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<Item<'a>, Malformed>;

    fn next(&mut self) -> Option<Result<Item<'a>, Malformed>> {
        if self.rest().is_empty() {
            return None;
        }
        let item = self.item();
        if item.is_err() {
            self.next = self.text.len();
        }
        Some(item)
    }
}

/// Appends an object: the lines have 64 characters, as C tor breaks them.
pub(super) fn push_object(text: &mut String, label: &str, bytes: &[u8]) {
    for part in ["-----BEGIN ", label, "-----\n"] {
        text.push_str(part);
    }
    for line in bytes.chunks(48) {
        BASE64.encode_append(line, text);
        text.push('\n');
    }
    for part in ["-----END ", label, "-----"] {
        text.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_have_arguments_and_objects() {
        let text = "one a  b\ntwo\n-----BEGIN X Y-----\nAAEC\nAwQ=\n-----END X Y-----\nthree\n";
        let items: Vec<Item<'_>> = Items::new(text).collect::<Result<_, _>>().unwrap();
        assert_eq!(
            items.iter().map(|item| item.keyword).collect::<Vec<_>>(),
            ["one", "two", "three"]
        );
        assert_eq!(items[0].words().collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(items[1].object("X Y"), Ok(vec![0, 1, 2, 3, 4]));
        assert_eq!(items[1].object("Z"), Err(Malformed));
        assert_eq!(&text[items[2].offset..], "three\n");
    }

    #[test]
    fn what_is_cut_or_not_closed_is_malformed() {
        for text in [
            "one",
            "\n",
            "-----BEGIN X-----\n",
            "a\n-----BEGIN X-----\nAA\n",
            " a\n",
            "a\n-----BEGIN X-----\n-----END Y-----\n",
            "k\u{fc}\n",
        ] {
            assert!(Items::new(text).any(|item| item.is_err()), "{text:?}");
        }
    }

    #[test]
    fn objects_come_back() {
        for length in [0, 1, 47, 48, 49, 140] {
            let bytes = vec![7; length];
            let mut text = String::from("k\n");
            push_object(&mut text, "MESSAGE", &bytes);
            assert!(text.lines().all(|line| line.len() <= 64));
            text.push('\n');
            assert_eq!(Items::new(&text).next().unwrap().unwrap().object("MESSAGE"), Ok(bytes));
        }
    }
}
