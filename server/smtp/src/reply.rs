//! Replies: codes, enhanced codes, validated text, and their encoding.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, BytesMut};

/// Longest text of one reply line in octets. With code, enhanced code and CRLF it stays within the
/// 512 octets of RFC 5321 4.5.3.1.5.
pub const MAX_TEXT: usize = 496;

/// Most lines that one reply may have.
pub const MAX_LINES: usize = 100;

/// What is wrong with a reply that somebody wants to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// The code is not one of 200 to 599, or its second digit is not 0 to 5.
    #[error("{0} is not an SMTP reply code")]
    Code(u16),
    /// The enhanced code is not `class.subject.detail` with class 2, 4 or 5 (RFC 3463).
    #[error("not an enhanced status code")]
    EnhancedCode,
    /// The class of the enhanced code differs from the first digit of the code.
    #[error("enhanced code {enhanced} does not agree with code {code}")]
    ClassMismatch {
        /// The reply code.
        code: Code,
        /// The enhanced code that contradicts it.
        enhanced: EnhancedCode,
    },
    /// The text holds CR, LF, NUL or another control character.
    #[error("control character {0:?} in reply text")]
    Control(char),
    /// A line of text is longer than [`MAX_TEXT`] octets.
    #[error("reply line of {0} octets is longer than {MAX_TEXT}")]
    LineTooLong(usize),
    /// There are more than [`MAX_LINES`] lines.
    #[error("reply of {0} lines is longer than {MAX_LINES}")]
    TooManyLines(usize),
}

/// A reply code, 200 to 599 (RFC 5321 4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// Checks that `code` can be a reply code: first digit 2 to 5, second digit 0 to 5.
    ///
    /// # Errors
    /// [`ReplyError::Code`] otherwise.
    pub const fn new(code: u16) -> Result<Self, ReplyError> {
        if code >= 200 && code <= 599 && (code / 10) % 10 <= 5 {
            Ok(Self(code))
        } else {
            Err(ReplyError::Code(code))
        }
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// The first digit: 2 done, 3 go on, 4 not now, 5 no.
    #[must_use]
    pub const fn class(self) -> u8 {
        (self.0 / 100) as u8
    }

    /// 2xx.
    #[must_use]
    pub const fn is_positive(self) -> bool {
        self.class() == 2
    }

    /// 3xx.
    #[must_use]
    pub const fn is_intermediate(self) -> bool {
        self.class() == 3
    }

    /// 4xx.
    #[must_use]
    pub const fn is_transient(self) -> bool {
        self.class() == 4
    }

    /// 5xx.
    #[must_use]
    pub const fn is_permanent(self) -> bool {
        self.class() == 5
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// An enhanced status code `class.subject.detail` (RFC 3463): class 2, 4 or 5, the others up to 999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnhancedCode {
    class: u8,
    subject: u16,
    detail: u16,
}

impl EnhancedCode {
    /// Checks and makes an enhanced code.
    ///
    /// # Errors
    /// [`ReplyError::EnhancedCode`] if a part is out of range.
    pub const fn new(class: u8, subject: u16, detail: u16) -> Result<Self, ReplyError> {
        if matches!(class, 2 | 4 | 5) && subject <= 999 && detail <= 999 {
            Ok(Self {
                class,
                subject,
                detail,
            })
        } else {
            Err(ReplyError::EnhancedCode)
        }
    }

    /// Reads `5.7.1`. Leading zeros and signs are refused.
    ///
    /// # Errors
    /// [`ReplyError::EnhancedCode`] if `text` is anything else.
    pub fn parse(text: &str) -> Result<Self, ReplyError> {
        let mut parts = text.split('.').map(|part| {
            let plain = !part.is_empty()
                && part.len() <= 3
                && part.bytes().all(|b| b.is_ascii_digit())
                && (part.len() == 1 || !part.starts_with('0'));
            if plain {
                part.parse::<u16>().ok()
            } else {
                None
            }
        });
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(Some(class)), Some(Some(subject)), Some(Some(detail)), None) => {
                let class = u8::try_from(class).map_err(|_| ReplyError::EnhancedCode)?;
                Self::new(class, subject, detail)
            }
            _ => Err(ReplyError::EnhancedCode),
        }
    }

    /// 2, 4 or 5.
    #[must_use]
    pub const fn class(self) -> u8 {
        self.class
    }

    /// The second part.
    #[must_use]
    pub const fn subject(self) -> u16 {
        self.subject
    }

    /// The third part.
    #[must_use]
    pub const fn detail(self) -> u16 {
        self.detail
    }
}

impl fmt::Display for EnhancedCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.class, self.subject, self.detail)
    }
}

/// One line of reply text: no control characters, at most [`MAX_TEXT`] octets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplyText(Cow<'static, str>);

impl ReplyText {
    /// Checks a line of text.
    ///
    /// # Errors
    /// [`ReplyError::Control`] for CR, LF, NUL and every other control character except HTAB (line
    /// and paragraph separators count as controls), [`ReplyError::LineTooLong`] over [`MAX_TEXT`].
    pub fn new(text: impl Into<Cow<'static, str>>) -> Result<Self, ReplyError> {
        let text = text.into();
        if text.len() > MAX_TEXT {
            return Err(ReplyError::LineTooLong(text.len()));
        }
        match text.chars().find(|&c| !is_printable(c)) {
            Some(control) => Err(ReplyError::Control(control)),
            None => Ok(Self(text)),
        }
    }

    /// A line of our own, known to fit.
    pub(crate) fn fixed(text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        debug_assert!(
            text.len() <= MAX_TEXT && text.chars().all(is_printable),
            "{text:?}"
        );
        Self(text)
    }

    /// Makes a line out of anything: what may not be sent becomes `?`, what is too long is cut.
    #[must_use]
    pub fn lossy(text: &str) -> Self {
        let mut clean = String::with_capacity(text.len().min(MAX_TEXT));
        for c in text.chars().map(|c| if is_printable(c) { c } else { '?' }) {
            if clean.len() + c.len_utf8() > MAX_TEXT {
                break;
            }
            clean.push(c);
        }
        Self(Cow::Owned(clean))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReplyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_printable(c: char) -> bool {
    c == '\t' || !(c.is_control() || matches!(c, '\u{2028}' | '\u{2029}'))
}

/// A reply: code, enhanced code, one or more lines of text. Its parts agree by construction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    code: Code,
    enhanced: Option<EnhancedCode>,
    text: Vec<ReplyText>,
}

impl Reply {
    /// Makes a reply and checks that its parts agree. No text means one empty line.
    ///
    /// # Errors
    /// [`ReplyError::ClassMismatch`], [`ReplyError::TooManyLines`].
    pub fn new(
        code: Code,
        enhanced: Option<EnhancedCode>,
        text: Vec<ReplyText>,
    ) -> Result<Self, ReplyError> {
        if let Some(enhanced) = enhanced
            && enhanced.class() != code.class()
        {
            return Err(ReplyError::ClassMismatch { code, enhanced });
        }
        if text.len() > MAX_LINES {
            return Err(ReplyError::TooManyLines(text.len()));
        }
        Ok(Self {
            code,
            enhanced,
            text,
        })
    }

    /// Makes a reply from plain values, each line of `text` a line of the reply.
    ///
    /// # Errors
    /// Whatever of [`ReplyError`] applies.
    pub fn parse(code: u16, enhanced: Option<&str>, text: &str) -> Result<Self, ReplyError> {
        let enhanced = enhanced.map(EnhancedCode::parse).transpose()?;
        let text = text
            .split('\n')
            .map(|line| ReplyText::new(line.strip_suffix('\r').unwrap_or(line).to_owned()))
            .collect::<Result<_, _>>()?;
        Self::new(Code::new(code)?, enhanced, text)
    }

    /// A reply of our own, whose parts are known when the program is written.
    #[must_use]
    pub(crate) fn fixed(
        code: u16,
        status: Option<(u16, u16)>,
        text: impl Into<Cow<'static, str>>,
    ) -> Self {
        let enhanced = status.map(|(subject, detail)| EnhancedCode {
            class: (code / 100) as u8,
            subject,
            detail,
        });
        Self {
            code: Code(code),
            enhanced,
            text: vec![ReplyText::fixed(text)],
        }
    }

    /// The same reply with more lines of our own.
    #[must_use]
    pub(crate) fn and_lines(mut self, lines: impl IntoIterator<Item = ReplyText>) -> Self {
        self.text.extend(lines);
        self
    }

    /// The code.
    #[must_use]
    pub const fn code(&self) -> Code {
        self.code
    }

    /// The enhanced code, if there is one.
    #[must_use]
    pub const fn enhanced(&self) -> Option<EnhancedCode> {
        self.enhanced
    }

    /// The lines of text.
    #[must_use]
    pub fn text(&self) -> &[ReplyText] {
        &self.text
    }

    /// The same reply with `class.0.0` where it has no enhanced code. 3xx replies have none.
    #[must_use]
    pub fn with_some_enhanced(mut self) -> Self {
        if self.enhanced.is_none() {
            self.enhanced = EnhancedCode::new(self.code.class(), 0, 0).ok();
        }
        self
    }

    /// Appends the reply as it goes over the wire. Every line has the enhanced code and ends in
    /// CRLF, none is longer than 512 octets. Without `utf8` (SMTPUTF8 negotiated by the client)
    /// what is not ASCII becomes `?`.
    pub fn encode(&self, utf8: bool, out: &mut BytesMut) {
        let last = self.text.len().saturating_sub(1);
        if self.text.is_empty() {
            self.encode_line(true, "", utf8, out);
        }
        for (index, line) in self.text.iter().enumerate() {
            self.encode_line(index == last, line.as_str(), utf8, out);
        }
    }

    fn encode_line(&self, last: bool, text: &str, utf8: bool, out: &mut BytesMut) {
        out.reserve(text.len() + 17);
        put_number(self.code.0, out);
        out.put_u8(if last { b' ' } else { b'-' });
        if let Some(enhanced) = self.enhanced {
            put_number(u16::from(enhanced.class), out);
            out.put_u8(b'.');
            put_number(enhanced.subject, out);
            out.put_u8(b'.');
            put_number(enhanced.detail, out);
            out.put_u8(b' ');
        }
        if utf8 || text.is_ascii() {
            out.put_slice(text.as_bytes());
        } else {
            for c in text.chars() {
                out.put_u8(if c.is_ascii() { c as u8 } else { b'?' });
            }
        }
        out.put_slice(b"\r\n");
    }
}

/// The reply as one line for logs: lines joined by a blank and a slash.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.code)?;
        if let Some(enhanced) = self.enhanced {
            write!(f, " {enhanced}")?;
        }
        for (index, line) in self.text.iter().enumerate() {
            write!(f, "{}{line}", if index == 0 { " " } else { " / " })?;
        }
        Ok(())
    }
}

fn put_number(n: u16, out: &mut BytesMut) {
    let digit = |n: u16| b'0' + (n % 10) as u8;
    if n >= 100 {
        out.put_u8(digit(n / 100));
    }
    if n >= 10 {
        out.put_u8(digit(n / 10));
    }
    out.put_u8(digit(n));
}

#[cfg(test)]
mod tests;
