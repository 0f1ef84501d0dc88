//! The transfer encodings as octets go by, and the size of what they come to.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Octets of an encoded line without its CRLF (RFC 2045 6.7, 6.8).
const LINE: usize = 76;
/// Octets that make a line of base64.
const GROUP: usize = 57;
/// White space at the end of a line that is looked at before it is known to be there.
const BLANKS: usize = 1000;

/// Where encoded octets go.
pub(super) trait Out {
    fn put(&mut self, octets: &[u8]);
}

impl Out for Vec<u8> {
    fn put(&mut self, octets: &[u8]) {
        self.extend_from_slice(octets);
    }
}

/// Counts what would be put.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Count(pub(super) u64);

impl Out for Count {
    fn put(&mut self, octets: &[u8]) {
        self.0 += octets.len() as u64;
    }
}

/// How a range of a content is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// Octets to quoted-printable. CRLF stays a line end.
    QuotedPrintable,
    /// Quoted-printable whose lines are too long, or that has octets which it must not have, to the same as it should be.
    QuotedPrintableAgain,
    /// Octets to base64.
    Base64 {
        /// A line end follows: nothing else ends the last line.
        end: bool,
    },
    /// Base64 in other lines.
    Base64Again {
        /// As for [`Scheme::Base64`].
        end: bool,
    },
}

impl Scheme {
    /// The same, and a line end follows.
    pub(super) fn with_line_end(self) -> Self {
        match self {
            Self::Base64 { .. } => Self::Base64 { end: true },
            Self::Base64Again { .. } => Self::Base64Again { end: true },
            quoted => quoted,
        }
    }
}

/// Encodes one range.
#[derive(Debug, Clone)]
pub(super) enum Encoder {
    Quoted(Quoted),
    Base64(Groups),
    Lines(Lines),
}

impl Encoder {
    pub(super) fn new(scheme: Scheme) -> Self {
        match scheme {
            Scheme::QuotedPrintable => Self::Quoted(Quoted::new(false)),
            Scheme::QuotedPrintableAgain => Self::Quoted(Quoted::new(true)),
            Scheme::Base64 { end } => Self::Base64(Groups {
                group: Vec::with_capacity(GROUP),
                begun: false,
                end,
            }),
            Scheme::Base64Again { end } => Self::Lines(Lines {
                column: 0,
                begun: false,
                end,
            }),
        }
    }

    /// A line end follows what is encoded, where the scheme has none of its own.
    pub(super) fn end_line(&mut self) {
        match self {
            Self::Quoted(_) => {}
            Self::Base64(groups) => groups.end = true,
            Self::Lines(lines) => lines.end = true,
        }
    }

    pub(super) fn update(&mut self, octets: &[u8], out: &mut impl Out) {
        match self {
            Self::Quoted(quoted) => octets.iter().for_each(|&octet| quoted.octet(octet, out)),
            Self::Base64(groups) => groups.update(octets, out),
            Self::Lines(lines) => lines.update(octets, out),
        }
    }

    pub(super) fn finish(self, out: &mut impl Out) {
        match self {
            Self::Quoted(quoted) => quoted.finish(out),
            Self::Base64(groups) => groups.finish(out),
            Self::Lines(lines) => lines.finish(out),
        }
    }
}

/// Quoted-printable.
#[derive(Debug, Clone)]
pub(super) struct Quoted {
    /// What comes in is quoted-printable already.
    again: bool,
    column: usize,
    /// The line began behind a soft line break.
    broken: bool,
    /// White space that may turn out to stand at the end of a line.
    blanks: Vec<u8>,
    /// `=` and what follows it, while it is not known what it stands for.
    escape: Vec<u8>,
    after_cr: bool,
}

impl Quoted {
    fn new(again: bool) -> Self {
        Self {
            again,
            column: 0,
            broken: false,
            blanks: Vec::new(),
            escape: Vec::new(),
            after_cr: false,
        }
    }

    fn octet(&mut self, octet: u8, out: &mut impl Out) {
        if std::mem::take(&mut self.after_cr) {
            if octet == b'\n' {
                return self.line_end(out);
            }
            self.inside(out);
            self.token(b"=0D", out);
        }
        match octet {
            b'\r' => self.after_cr = true,
            b' ' | b'\t' => self.blank(octet, out),
            b'=' if self.again => {
                self.inside(out);
                self.escape.push(octet);
            }
            _ if !self.escape.is_empty() => self.escaped(octet, out),
            b'!'..=b'<' | b'>'..=b'~' => {
                self.inside(out);
                self.token(&[octet], out);
            }
            _ => {
                self.inside(out);
                self.token(&quoted(octet), out);
            }
        }
    }

    fn blank(&mut self, octet: u8, out: &mut impl Out) {
        self.give_escape(out);
        // Of several blanks in text only the last one can stand at the end of the line; in quoted-printable all of them can,
        // and then they are nothing.
        if !self.again || self.blanks.len() >= BLANKS {
            self.give_blanks(out);
        }
        self.blanks.push(octet);
    }

    /// The third octet of an escape, or the second.
    fn escaped(&mut self, octet: u8, out: &mut impl Out) {
        if octet.is_ascii_graphic() {
            self.escape.push(octet);
            if self.escape.len() == 3 {
                self.give_escape(out);
            }
        } else {
            self.give_escape(out);
            self.token(&quoted(octet), out);
        }
    }

    /// The line goes on: what was held back stands inside of it.
    fn inside(&mut self, out: &mut impl Out) {
        self.give_escape(out);
        self.give_blanks(out);
    }

    fn give_blanks(&mut self, out: &mut impl Out) {
        let mut blanks = std::mem::take(&mut self.blanks);
        for blank in blanks.drain(..) {
            self.token(&[blank], out);
        }
        self.blanks = blanks;
    }

    fn give_escape(&mut self, out: &mut impl Out) {
        if !self.escape.is_empty() {
            let escape = std::mem::take(&mut self.escape);
            self.token(&escape, out);
        }
    }

    fn line_end(&mut self, out: &mut impl Out) {
        // A soft line break that was there keeps its place: `=` alone before the line end.
        let soft = self.escape == b"=";
        if soft {
            self.escape.clear();
            out.put(b"=");
        }
        self.give_escape(out);
        self.end_blanks(out);
        out.put(b"\r\n");
        self.column = 0;
        self.broken = soft;
    }

    fn end_blanks(&mut self, out: &mut impl Out) {
        if !self.again
            && let Some(last) = self.blanks.pop()
        {
            self.give_blanks(out);
            self.token(&quoted(last), out);
        }
        self.blanks.clear();
    }

    /// Puts what must not be broken. A line that a soft break begins never looks like a boundary.
    fn token(&mut self, token: &[u8], out: &mut impl Out) {
        if self.column + token.len() > LINE - 1 {
            out.put(b"=\r\n");
            self.column = 0;
            self.broken = true;
        }
        let at_start = self.column == 0 && (self.broken || !self.again);
        let token: &[u8] = if at_start && token == b"-" {
            b"=2D"
        } else {
            token
        };
        out.put(token);
        self.column += token.len();
    }

    fn finish(mut self, out: &mut impl Out) {
        if self.after_cr {
            self.inside(out);
            self.token(b"=0D", out);
        }
        self.give_escape(out);
        self.end_blanks(out);
    }
}

fn quoted(octet: u8) -> [u8; 3] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
    [b'=', digit(octet >> 4), digit(octet & 15)]
}

/// Base64 of octets.
#[derive(Debug, Clone)]
pub(super) struct Groups {
    group: Vec<u8>,
    begun: bool,
    end: bool,
}

impl Groups {
    fn update(&mut self, mut octets: &[u8], out: &mut impl Out) {
        while !octets.is_empty() {
            let room = GROUP - self.group.len();
            let (head, rest) = octets.split_at(room.min(octets.len()));
            self.group.extend_from_slice(head);
            octets = rest;
            if self.group.len() == GROUP {
                self.give(out);
            }
        }
    }

    fn give(&mut self, out: &mut impl Out) {
        if std::mem::replace(&mut self.begun, true) {
            out.put(b"\r\n");
        }
        let mut line = [0; LINE];
        // It has room for a whole group.
        let length = STANDARD.encode_slice(&self.group, &mut line).unwrap_or(0);
        out.put(line.get(..length).unwrap_or_default());
        self.group.clear();
    }

    fn finish(mut self, out: &mut impl Out) {
        if !self.group.is_empty() {
            self.give(out);
        }
        if self.begun && self.end {
            out.put(b"\r\n");
        }
    }
}

/// Base64 in lines of 76, whatever lines it had.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    column: usize,
    begun: bool,
    end: bool,
}

/// What counts in base64; everything else is passed over by who decodes it.
pub(super) fn is_base64(octet: u8) -> bool {
    octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=')
}

impl Lines {
    fn update(&mut self, octets: &[u8], out: &mut impl Out) {
        for run in octets.split(|&octet| !is_base64(octet)) {
            self.run(run, out);
        }
    }

    fn run(&mut self, mut run: &[u8], out: &mut impl Out) {
        while !run.is_empty() {
            if self.column == LINE {
                out.put(b"\r\n");
                self.column = 0;
            }
            let (head, rest) = run.split_at((LINE - self.column).min(run.len()));
            out.put(head);
            self.begun = true;
            self.column += head.len();
            run = rest;
        }
    }

    fn finish(self, out: &mut impl Out) {
        if self.begun && self.end {
            out.put(b"\r\n");
        }
    }
}
