//! Header sections: where each field is (RFC 5322, 2.2).

use std::ops::Range;

use memchr::memmem;

use crate::reason::Reason;

/// A field. Offsets are those of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: Range<usize>,
    /// Behind the colon, without the last CRLF.
    pub(crate) value: Range<usize>,
    /// Behind the last CRLF.
    pub(crate) end: usize,
}

/// A header section.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) fields: Vec<Field>,
    /// Where the blank line begins.
    pub(crate) blank: usize,
    /// Where the body begins.
    pub(crate) body: usize,
}

impl Section {
    /// Reads the header section at the beginning of `range`.
    ///
    /// # Errors
    /// [`Reason::Structure`] at a line that is no field, and where the blank line is missing.
    pub(crate) fn read(message: &[u8], range: Range<usize>) -> Result<Self, Reason> {
        let mut fields: Vec<Field> = Vec::new();
        let mut at = range.start;
        while at < range.end {
            let rest = message.get(at..range.end).unwrap_or_default();
            let length = memmem::find(rest, b"\r\n").unwrap_or(rest.len());
            let line = rest.get(..length).unwrap_or_default();
            let next = (at + length + 2).min(range.end);
            match line.first() {
                None => {
                    return Ok(Self {
                        fields,
                        blank: at,
                        body: next,
                    });
                }
                Some(b' ' | b'\t') => {
                    let known = fields.last_mut().filter(|_| !line.trim_ascii().is_empty());
                    let field = known.ok_or(Reason::Structure(
                        "a line of the header is folded onto nothing",
                    ))?;
                    field.value.end = at + length;
                    field.end = next;
                }
                Some(_) => fields.push(field(line, at, next)?),
            }
            at = next;
        }
        Err(Reason::Structure("a header ends without a blank line"))
    }

    /// The only field of this name.
    ///
    /// # Errors
    /// [`Reason::Structure`] where there are several: one reader takes the first, another the last.
    pub(crate) fn only(&self, message: &[u8], name: &str) -> Result<Option<&Field>, Reason> {
        let mut all = self.all(message, name);
        let first = all.next();
        match all.next() {
            None => Ok(first),
            Some(_) => Err(Reason::Structure(
                "a field that may stand once stands twice",
            )),
        }
    }

    /// The fields of this name.
    pub(crate) fn all<'a, 'n>(
        &'a self,
        message: &'n [u8],
        name: &'n str,
    ) -> impl Iterator<Item = &'a Field> + use<'a, 'n> {
        self.fields.iter().filter(move |field| {
            let known = message.get(field.name.clone()).unwrap_or_default();
            known.eq_ignore_ascii_case(name.as_bytes())
        })
    }
}

/// A value without folding and without blanks at both ends.
pub(crate) fn unfolded(message: &[u8], field: &Field) -> Vec<u8> {
    let raw = message.get(field.value.clone()).unwrap_or_default();
    let line: Vec<u8> = raw
        .iter()
        .copied()
        .filter(|octet| !matches!(octet, b'\r' | b'\n'))
        .collect();
    line.trim_ascii().to_vec()
}

fn field(line: &[u8], at: usize, end: usize) -> Result<Field, Reason> {
    let no_field = Reason::Structure("a line of a header is not a field");
    let colon = memchr::memchr(b':', line).ok_or(no_field.clone())?;
    let name = line.get(..colon).unwrap_or_default();
    let exact = name.trim_ascii_end();
    if exact.is_empty() || !exact.iter().all(u8::is_ascii_graphic) {
        return Err(no_field);
    }
    let decides = |prefix: &str| {
        exact
            .get(..prefix.len())
            .is_some_and(|own| own.eq_ignore_ascii_case(prefix.as_bytes()))
    };
    if exact.len() < name.len() && (decides("content-") || decides("mime-")) {
        return Err(Reason::Structure("a blank stands before a colon"));
    }
    Ok(Field {
        name: at..at + exact.len(),
        value: at + colon + 1..at + line.len(),
        end,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn read(octets: &[u8]) -> Result<Section, Reason> {
        Section::read(octets, 0..octets.len())
    }

    #[test]
    fn fields_are_found_with_their_folds() {
        let octets = b"Subject: a\r\n b\r\nTo:c\r\n\r\nbody\r\n";
        let section = read(octets).unwrap();
        assert_eq!(section.fields.len(), 2);
        assert_eq!(&octets[section.body..], b"body\r\n");
        let subject = section.only(octets, "SUBJECT").unwrap().unwrap();
        assert_eq!(unfolded(octets, subject), b"a b");
        assert_eq!(&octets[subject.end..subject.end + 3], b"To:");
    }

    #[test]
    fn what_readers_take_differently_is_an_error() {
        for octets in [
            &b"Subject: a\r\nno field\r\n\r\n"[..],
            b"Subject: a\r\n \r\nTo: b\r\n\r\n",
            b" folded: onto nothing\r\n\r\n",
            b"Subject: no blank line\r\n",
            b"Content-Type : text/plain\r\n\r\n",
            b": no name\r\n\r\n",
        ] {
            let read = read(octets);
            assert!(
                matches!(read, Err(Reason::Structure(_))),
                "{}: {read:?}",
                octets.escape_ascii()
            );
        }
        let twice = b"Content-Type: text/plain\r\ncontent-type: text/html\r\n\r\n";
        assert!(read(twice).unwrap().only(twice, "Content-Type").is_err());
    }
}
