//! Where a message stands on its way out of the spool.

use std::time::SystemTime;

use bytes::Bytes;
use postern_message::DecodeError;
use postern_message::encoding::{Reader, Writer};

/// The stage of a message. What of it concerns single recipients is in their state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Accepted; the chain of `transport.submit` is to be asked.
    Submit {
        /// The binding to go on from; `None`: from the first.
        from_binding: Option<String>,
        /// How often it was asked again: counted before it is.
        attempts: u32,
        /// The binding whose sink failed: asked again as soon as that sink can be, whatever is due.
        waits_for: Option<String>,
    },
    /// To be delivered.
    Deliver,
    /// Kept by a failure policy, and asked again by itself.
    Held {
        /// The event that is to be asked again, by its dotted name.
        event: String,
        /// The binding to go on from.
        binding: String,
        /// Since when. Kept to the millisecond.
        since: SystemTime,
        /// How often it was asked again: counted before it is.
        attempts: u32,
        /// The binding whose sink failed: asked again as soon as that sink can be, whatever is due.
        waits_for: Option<String>,
    },
    /// Kept until a person acts.
    Quarantined {
        /// The binding that asked for it.
        by: String,
        /// Its explanation.
        why: String,
    },
}

/// The stage's number in the database. They are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Submit = 1,
    Deliver = 2,
    Held = 3,
    Quarantined = 4,
    /// Set aside because something of the message is damaged.
    Damaged = 9,
}

impl Kind {
    pub(crate) fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 => Self::Submit,
            2 => Self::Deliver,
            3 => Self::Held,
            4 => Self::Quarantined,
            9 => Self::Damaged,
            _ => return None,
        })
    }
}

impl Stage {
    /// Accepted, and nobody has been asked about `transport.submit` yet.
    #[must_use]
    pub const fn submit() -> Self {
        Self::Submit {
            from_binding: None,
            attempts: 0,
            waits_for: None,
        }
    }

    /// The binding whose sink failed, if it is asked again as soon as that sink can be.
    #[must_use]
    pub fn waits_for(&self) -> Option<&str> {
        match self {
            Self::Submit { waits_for, .. } | Self::Held { waits_for, .. } => waits_for.as_deref(),
            Self::Deliver | Self::Quarantined { .. } => None,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Submit { .. } => Kind::Submit,
            Self::Deliver => Kind::Deliver,
            Self::Held { .. } => Kind::Held,
            Self::Quarantined { .. } => Kind::Quarantined,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.octet(self.kind() as u8);
        match self {
            Self::Submit {
                from_binding,
                attempts,
                waits_for,
            } => {
                out.option(from_binding.as_deref(), Writer::text);
                out.number(u64::from(*attempts));
                out.option(waits_for.as_deref(), Writer::text);
            }
            Self::Deliver => {}
            Self::Held {
                event,
                binding,
                since,
                attempts,
                waits_for,
            } => {
                out.text(event);
                out.text(binding);
                out.time(*since);
                out.number(u64::from(*attempts));
                out.option(waits_for.as_deref(), Writer::text);
            }
            Self::Quarantined { by, why } => {
                out.text(by);
                out.text(why);
            }
        }
        out.into_bytes()
    }

    pub(crate) fn decode(record: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        let stage = match Kind::of(i64::from(reader.octet()?)) {
            Some(Kind::Submit) => Self::Submit {
                from_binding: reader.option(Reader::text)?,
                attempts: appended(&mut reader, |reader| reader.narrow("attempts"))?,
                waits_for: appended(&mut reader, |reader| reader.option(Reader::text))?,
            },
            Some(Kind::Deliver) => Self::Deliver,
            Some(Kind::Held) => Self::Held {
                event: reader.text()?,
                binding: reader.text()?,
                since: reader.time()?,
                attempts: reader.narrow("attempts")?,
                waits_for: appended(&mut reader, |reader| reader.option(Reader::text))?,
            },
            Some(Kind::Quarantined) => Self::Quarantined {
                by: reader.text()?,
                why: reader.text()?,
            },
            Some(Kind::Damaged) | None => return Err(DecodeError::Value("stage")),
        };
        reader.end()?;
        Ok(stage)
    }
}

/// What records of an earlier program do not have.
fn appended<T: Default>(
    reader: &mut Reader,
    read: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    match reader.is_at_end() {
        true => Ok(T::default()),
        false => read(reader),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn stages_without_what_was_appended_are_read() {
        let mut old = Writer::new();
        old.octet(Kind::Submit as u8);
        old.option(Some("b"), Writer::text);
        let stage = Stage::decode(old.into_bytes().into()).unwrap();
        let expected = Stage::Submit {
            from_binding: Some("b".to_owned()),
            attempts: 0,
            waits_for: None,
        };
        assert_eq!(stage, expected);
        let mut old = Writer::new();
        old.octet(Kind::Held as u8);
        old.text("inbound.message");
        old.text("b");
        old.time(SystemTime::UNIX_EPOCH);
        old.number(7);
        let stage = Stage::decode(old.into_bytes().into()).unwrap();
        assert!(matches!(
            stage,
            Stage::Held {
                attempts: 7,
                waits_for: None,
                ..
            }
        ));
    }
}
