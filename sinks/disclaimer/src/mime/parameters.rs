//! `Content-Type` and `Content-Disposition`: the value and its parameters, with their places (RFC 2045, 5.1;
//! RFC 2231).

use std::ops::Range;

/// Parameters of a field. RFC 2231 makes a dozen of a long file name; hundreds are an attack on readers.
const LIST_MAX: usize = 100;

/// A field with parameters. Offsets are those of its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameters {
    /// What stands before the first semicolon, lower case: `text/plain`, `attachment`.
    pub(crate) kind: String,
    /// Where it stands.
    pub(crate) kind_place: Range<usize>,
    pub(crate) list: Vec<Parameter>,
    /// Where `; name=value` can be put in.
    pub(crate) append_at: usize,
    /// Where comments stand (RFC 5322, 3.2.2).
    pub(crate) comments: Vec<Range<usize>>,
}

/// One parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parameter {
    /// Lower case, with what RFC 2231 puts behind it (`filename*0*`).
    pub(crate) name: String,
    /// Without quotes.
    pub(crate) value: Vec<u8>,
    /// Where the value stands, quotes included.
    pub(crate) place: Range<usize>,
}

impl Parameters {
    /// Reads a value as it stands in the field, folding included. `None` where readers may differ on it.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let mut reader = Reader {
            value,
            at: 0,
            comments: Vec::new(),
        };
        reader.skip()?;
        let start = reader.at;
        let kind = reader.word(|octet| is_token(octet) || octet == b'/')?;
        let mut append_at = reader.at;
        let kind_place = start..append_at;
        let mut list: Vec<Parameter> = Vec::new();
        loop {
            reader.skip()?;
            match reader.next() {
                None => break,
                Some(b';') => {}
                Some(_) => return None,
            }
            reader.skip()?;
            // A semicolon with nothing behind it is common and read alike everywhere.
            if matches!(reader.peek(), None | Some(b';')) {
                continue;
            }
            let name = text(reader.word(is_token)?);
            reader.skip()?;
            if reader.next() != Some(b'=') {
                return None;
            }
            reader.skip()?;
            let start = reader.at;
            let value = match reader.peek() {
                Some(b'"') => reader.quoted()?,
                _ => reader.word(is_value)?.to_vec(),
            };
            if list.len() == LIST_MAX || list.iter().any(|known| known.name == name) {
                return None;
            }
            append_at = reader.at;
            list.push(Parameter {
                name,
                value,
                place: start..append_at,
            });
        }
        Some(Self {
            kind: text(kind),
            kind_place,
            list,
            append_at,
            comments: reader.comments,
        })
    }

    /// The parameter of this very name, if it is given plainly.
    pub(crate) fn get(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|known| known.name == name)
    }

    /// A parameter of this name is given, plainly or in the extended or continued form of RFC 2231.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.list
            .iter()
            .any(|known| known.name.split('*').next() == Some(name))
    }

    /// It is given in the extended or continued form alone or beside the plain one.
    pub(crate) fn is_extended(&self, name: &str) -> bool {
        self.has(name)
            && self.list.iter().any(|known| {
                known.name.len() > name.len() && known.name.split('*').next() == Some(name)
            })
    }
}

struct Reader<'a> {
    value: &'a [u8],
    at: usize,
    comments: Vec<Range<usize>>,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.value.get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let octet = self.peek()?;
        self.at += 1;
        Some(octet)
    }

    /// White space and comments. `None`: a comment that does not end.
    fn skip(&mut self) -> Option<()> {
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.at += 1,
                Some(b'(') => {
                    let start = self.at;
                    let mut depth = 0_usize;
                    loop {
                        match self.next()? {
                            b'(' => depth += 1,
                            b')' => depth -= 1,
                            b'\\' => self.at += 1,
                            _ => {}
                        }
                        if depth == 0 {
                            break;
                        }
                    }
                    self.comments.push(start..self.at);
                }
                _ => return Some(()),
            }
        }
    }

    /// One octet or more that `is_part` takes.
    fn word(&mut self, is_part: impl Fn(u8) -> bool) -> Option<&'a [u8]> {
        let rest = self.value.get(self.at..)?;
        let length = rest
            .iter()
            .position(|octet| !is_part(*octet))
            .unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).filter(|word| !word.is_empty())
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            match self.next()? {
                b'"' => return Some(out),
                b'\\' => out.push(self.next()?),
                b'\r' | b'\n' => {}
                octet => out.push(octet),
            }
        }
    }
}

/// RFC 2045, 5.1.
fn is_token(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?=".contains(&octet)
}

/// What stands without quotes in practice: `boundary=----=_Part_1` is everywhere.
fn is_value(octet: u8) -> bool {
    octet.is_ascii_graphic() && !b"();\\\"".contains(&octet)
}

fn text(word: &[u8]) -> String {
    String::from_utf8_lossy(word).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn comments_and_quotes_are_told_from_parameters() {
        let value =
            b" Text/Plain (plain; text); Charset=us-ascii (note; odd);\r\n name=\"a;\\\"b\"";
        let read = Parameters::read(value).unwrap();
        assert_eq!(read.kind, "text/plain");
        assert_eq!(read.get("charset").unwrap().value, b"us-ascii");
        assert_eq!(
            &value[read.get("charset").unwrap().place.clone()],
            b"us-ascii"
        );
        assert_eq!(read.get("name").unwrap().value, b"a;\"b");
        assert_eq!(read.comments.len(), 2);
        assert_eq!(read.append_at, value.len());
    }

    #[test]
    fn extended_names_count_as_names() {
        for value in [
            "a; filename=x",
            "a; filename*=utf-8''x",
            "a; FileName*0=x; filename*1*=y",
        ] {
            assert!(
                Parameters::read(value.as_bytes()).unwrap().has("filename"),
                "{value}"
            );
        }
        let plain = Parameters::read(b"a; filename=x; filenames*=y").unwrap();
        assert!(!plain.is_extended("filename"));
        assert!(Parameters::read(b"a; x=1; x*0=2").unwrap().is_extended("x"));
    }

    #[test]
    fn what_readers_take_differently_is_none() {
        for value in [
            "",
            "text/plain charset=utf-8",
            "text/plain; charset=\"utf-8",
            "text/plain; charset=utf-8 latin1",
            "text/plain; charset=a; charset=b",
            "text/plain (open",
            "text/plain; charset",
            "text/plain; =x",
        ] {
            assert_eq!(Parameters::read(value.as_bytes()), None, "{value}");
        }
        assert!(Parameters::read(b"text/plain;").is_some());
        let many = |count: usize| {
            let list: String = (0..count).map(|number| format!(";x{number}=y")).collect();
            Parameters::read(format!("text/plain{list}").as_bytes())
        };
        assert!(many(LIST_MAX).is_some() && many(LIST_MAX + 1).is_none());
    }
}
