//! The compact binary form in which messages and versions are kept in the spool.
//!
//! Numbers are variable-length (seven bits an octet, low ones first), octet strings have their
//! length before them, what may be absent has a 0 or 1 before it. Decoding trusts nothing: every
//! length is checked against what is there, and every error is typed.

use std::time::{Duration, SystemTime};

use bytes::Bytes;

/// Why bytes are not a message or a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end too soon.
    #[error("the record ends too soon")]
    Short,
    /// Bytes are left over.
    #[error("the record has octets after its end")]
    Trailing,
    /// A format that this program does not know.
    #[error("record format {0} is not known")]
    Format(u8),
    /// A value that cannot be.
    #[error("the record has an impossible {0}")]
    Value(&'static str),
}

/// Writes the form.
#[derive(Debug, Default)]
pub struct Writer {
    out: Vec<u8>,
}

impl Writer {
    /// A writer with nothing written.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(512)
    }

    /// A writer for a record of about so many octets, of which there are many.
    #[must_use]
    pub fn with_capacity(octets: usize) -> Self {
        Self {
            out: Vec::with_capacity(octets),
        }
    }

    /// What was written.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.out
    }

    /// One octet.
    pub fn octet(&mut self, octet: u8) {
        self.out.push(octet);
    }

    /// Octets without their length.
    pub fn raw(&mut self, octets: &[u8]) {
        self.out.extend_from_slice(octets);
    }

    /// A number.
    pub fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    /// A number that may be negative.
    pub fn signed(&mut self, value: i64) {
        self.number(((value << 1) ^ (value >> 63)) as u64);
    }

    /// Yes or no.
    pub fn flag(&mut self, value: bool) {
        self.out.push(u8::from(value));
    }

    /// Octets with their length.
    pub fn octets(&mut self, octets: &[u8]) {
        self.number(octets.len() as u64);
        self.raw(octets);
    }

    /// A text.
    pub fn text(&mut self, text: &str) {
        self.octets(text.as_bytes());
    }

    /// A list of texts.
    pub fn texts<T: AsRef<str>>(&mut self, texts: &[T]) {
        self.number(texts.len() as u64);
        for text in texts {
            self.text(text.as_ref());
        }
    }

    /// A time, to the millisecond.
    pub fn time(&mut self, time: SystemTime) {
        self.signed(to_millis(time));
    }

    /// A span of time, to the millisecond.
    pub fn span(&mut self, span: Duration) {
        self.number(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
    }

    /// A value that may be absent.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }
}

/// Reads the form.
#[derive(Debug)]
pub struct Reader {
    rest: Bytes,
}

impl Reader {
    /// A reader at the start of a record. What it returns shares the record's memory.
    #[must_use]
    pub fn new(record: Bytes) -> Self {
        Self { rest: record }
    }

    /// Whether nothing is left: what a later form appended is not there.
    #[must_use]
    pub fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    /// Nothing may be left.
    ///
    /// # Errors
    /// [`DecodeError::Trailing`]
    pub fn end(self) -> Result<(), DecodeError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::Trailing)
        }
    }

    /// One octet.
    ///
    /// # Errors
    /// [`DecodeError::Short`]
    pub fn octet(&mut self) -> Result<u8, DecodeError> {
        let octet = self.rest.first().copied().ok_or(DecodeError::Short)?;
        self.rest = self.rest.slice(1..);
        Ok(octet)
    }

    /// This many octets.
    ///
    /// # Errors
    /// [`DecodeError::Short`]
    pub fn raw(&mut self, octets: usize) -> Result<Bytes, DecodeError> {
        if octets > self.rest.len() {
            return Err(DecodeError::Short);
        }
        Ok(self.rest.split_to(octets))
    }

    /// 16 octets: an id.
    ///
    /// # Errors
    /// [`DecodeError::Short`]
    pub fn id(&mut self) -> Result<[u8; 16], DecodeError> {
        let octets = self.raw(16)?;
        octets
            .as_ref()
            .try_into()
            .map_err(|_| DecodeError::Value("id"))
    }

    /// A number.
    ///
    /// # Errors
    /// [`DecodeError::Short`]; [`DecodeError::Value`] over 64 bits.
    pub fn number(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for (place, &octet) in self.rest.iter().enumerate().take(10) {
            let bits = u64::from(octet & 0x7f);
            if place == 9 && bits > 1 {
                break;
            }
            value |= bits << (7 * place);
            if octet & 0x80 == 0 {
                self.rest = self.rest.slice(place + 1..);
                return Ok(value);
            }
        }
        if self.rest.len() < 10 {
            Err(DecodeError::Short)
        } else {
            Err(DecodeError::Value("number"))
        }
    }

    /// A number that fits into a narrower type.
    ///
    /// # Errors
    /// As [`Reader::number`]; [`DecodeError::Value`] with `what` when it does not fit.
    pub fn narrow<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, DecodeError> {
        T::try_from(self.number()?).map_err(|_| DecodeError::Value(what))
    }

    /// How many elements follow, each of at least one octet: so never more than are there.
    ///
    /// # Errors
    /// As [`Reader::number`]; [`DecodeError::Short`] when so many cannot follow.
    pub fn count(&mut self) -> Result<usize, DecodeError> {
        let count: usize = self.narrow("count")?;
        if count > self.rest.len() {
            return Err(DecodeError::Short);
        }
        Ok(count)
    }

    /// A number that may be negative.
    ///
    /// # Errors
    /// As [`Reader::number`].
    pub fn signed(&mut self) -> Result<i64, DecodeError> {
        let value = self.number()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Yes or no.
    ///
    /// # Errors
    /// [`DecodeError::Short`]; [`DecodeError::Value`] unless it is 0 or 1.
    pub fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.octet()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Value("flag")),
        }
    }

    /// Octets with their length.
    ///
    /// # Errors
    /// [`DecodeError::Short`]
    pub fn octets(&mut self) -> Result<Bytes, DecodeError> {
        let size = self.narrow("length")?;
        self.raw(size)
    }

    /// A text.
    ///
    /// # Errors
    /// [`DecodeError::Short`]; [`DecodeError::Value`] when it is not UTF-8.
    pub fn text(&mut self) -> Result<String, DecodeError> {
        let octets = self.octets()?;
        let text = std::str::from_utf8(&octets).map_err(|_| DecodeError::Value("text"))?;
        Ok(text.to_owned())
    }

    /// A list of texts.
    ///
    /// # Errors
    /// As [`Reader::count`] and [`Reader::text`].
    pub fn texts(&mut self) -> Result<Vec<String>, DecodeError> {
        let count = self.count()?;
        (0..count).map(|_| self.text()).collect()
    }

    /// A time.
    ///
    /// # Errors
    /// As [`Reader::number`]; [`DecodeError::Value`] when no clock shows it.
    pub fn time(&mut self) -> Result<SystemTime, DecodeError> {
        from_millis(self.signed()?).ok_or(DecodeError::Value("time"))
    }

    /// A span of time.
    ///
    /// # Errors
    /// As [`Reader::number`].
    pub fn span(&mut self) -> Result<Duration, DecodeError> {
        self.number().map(Duration::from_millis)
    }

    /// A value that may be absent.
    ///
    /// # Errors
    /// Those of `read`, and of [`Reader::flag`].
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.flag()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// Milliseconds since 1970, rounded down.
#[must_use]
pub fn to_millis(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_millis()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration().as_nanos().div_ceil(1_000_000);
            i64::try_from(before).map_or(i64::MIN, |millis| -millis)
        }
    }
}

/// The time so many milliseconds after 1970, where the system's clock can show it.
#[must_use]
pub fn from_millis(millis: i64) -> Option<SystemTime> {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis >= 0 {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(value: u64, signed: i64, millis in -(1_i64 << 50)..1_i64 << 50) {
            let mut out = Writer::new();
            out.number(value);
            out.signed(signed);
            out.time(from_millis(millis).unwrap());
            let mut reader = Reader::new(out.into_bytes().into());
            prop_assert_eq!(reader.number().unwrap(), value);
            prop_assert_eq!(reader.signed().unwrap(), signed);
            prop_assert_eq!(to_millis(reader.time().unwrap()), millis);
            reader.end().unwrap();
        }
    }

    #[test]
    fn numbers_over_64_bits_are_refused() {
        let mut reader = Reader::new(Bytes::from_static(&[0xff; 12]));
        assert_eq!(reader.number(), Err(DecodeError::Value("number")));
        let mut reader = Reader::new(Bytes::from_static(&[0xff; 3]));
        assert_eq!(reader.number(), Err(DecodeError::Short));
    }

    #[test]
    fn a_count_is_never_more_than_what_is_there() {
        let mut out = Writer::new();
        out.number(1 << 40);
        let mut reader = Reader::new(out.into_bytes().into());
        assert_eq!(reader.count(), Err(DecodeError::Short));
    }
}
