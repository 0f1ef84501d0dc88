//! Where a message stands on its way out of the spool.

use std::time::SystemTime;

use bytes::Bytes;
use postern_message::DecodeError;
use postern_message::encoding::{Reader, Writer};

/// A point of a message's way at which sinks are asked about it, in the order of that way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// It was accepted.
    Submit = 1,
    /// Its recipients are about to be resolved.
    PreCategorize = 2,
    /// Its recipients are to be resolved, all together.
    Categorize = 3,
    /// Its recipients are to be resolved, one by one, lists and what is in them among them.
    Expand = 4,
    /// Its recipients are resolved.
    PostCategorize = 5,
}

impl Point {
    /// All of them, in their order.
    pub const ALL: [Self; 5] = [
        Self::Submit,
        Self::PreCategorize,
        Self::Categorize,
        Self::Expand,
        Self::PostCategorize,
    ];

    /// The dotted name of its event.
    #[must_use]
    pub const fn event(self) -> &'static str {
        match self {
            Self::Submit => "transport.submit",
            Self::PreCategorize => "transport.pre_categorize",
            Self::Categorize => "transport.categorize",
            Self::Expand => "transport.expand",
            Self::PostCategorize => "transport.post_categorize",
        }
    }

    /// The point with this event; `None`: the event is of another kind.
    #[must_use]
    pub fn of_event(event: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|point| point.event() == event)
    }

    /// The next one; `None`: what follows is the delivery.
    #[must_use]
    pub fn next(self) -> Option<Self> {
        Self::ALL.into_iter().find(|point| *point > self)
    }

    fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|point| *point as u8 == number)
    }
}

/// The stage of a message. What of it concerns single recipients is in their state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// On its way to its delivery; the sinks of a point are to be asked.
    At {
        /// The point.
        point: Point,
        /// The binding to go on from; `None`: from the first. Empty: from the first that has not had its say, see
        /// `Message::passed`.
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
        /// The event at which it did, by its dotted name. Empty: not known.
        event: String,
    },
    /// Kept by an operator until an operator releases it.
    OnHold {
        /// The stage that it goes on at.
        was: Box<Stage>,
        /// Who holds it.
        by: String,
        /// Why; may be empty.
        why: String,
        /// Since when. Kept to the millisecond.
        since: SystemTime,
    },
}

/// The stage's number in the database. They are part of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Submit = 1,
    Deliver = 2,
    Held = 3,
    Quarantined = 4,
    OnHold = 5,
    /// At any point behind that of the submission.
    Categorize = 6,
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
            5 => Self::OnHold,
            6 => Self::Categorize,
            9 => Self::Damaged,
            _ => return None,
        })
    }
}

impl Stage {
    /// Accepted, and nobody has been asked about `transport.submit` yet.
    #[must_use]
    pub const fn submit() -> Self {
        Self::at(Point::Submit)
    }

    /// Nobody has been asked at this point yet.
    #[must_use]
    pub const fn at(point: Point) -> Self {
        Self::At {
            point,
            from_binding: None,
            attempts: 0,
            waits_for: None,
        }
    }

    /// Nobody has been asked behind this point yet.
    #[must_use]
    pub fn behind(point: Point) -> Self {
        point.next().map_or(Self::Deliver, Self::at)
    }

    /// The binding whose sink failed, if it is asked again as soon as that sink can be.
    #[must_use]
    pub fn waits_for(&self) -> Option<&str> {
        match self {
            Self::At { waits_for, .. } | Self::Held { waits_for, .. } => waits_for.as_deref(),
            Self::Deliver | Self::Quarantined { .. } | Self::OnHold { .. } => None,
        }
    }

    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::At {
                point: Point::Submit,
                ..
            } => Kind::Submit,
            Self::At { .. } => Kind::Categorize,
            Self::Deliver => Kind::Deliver,
            Self::Held { .. } => Kind::Held,
            Self::Quarantined { .. } => Kind::Quarantined,
            Self::OnHold { .. } => Kind::OnHold,
        }
    }

    /// The message stays at it until a person acts: it is never due.
    #[must_use]
    pub const fn is_kept(&self) -> bool {
        matches!(self, Self::Quarantined { .. } | Self::OnHold { .. })
    }

    /// It is in quarantine, or goes back there once nobody holds it.
    #[must_use]
    pub fn is_quarantined(&self) -> bool {
        match self {
            Self::Quarantined { .. } => true,
            Self::OnHold { was, .. } => was.is_quarantined(),
            Self::Held { .. } | Self::At { .. } | Self::Deliver => false,
        }
    }

    /// It was kept because of a sink, and no sink has let it go on yet.
    #[must_use]
    pub fn is_withheld(&self) -> bool {
        match self {
            Self::Held { .. } | Self::Quarantined { .. } => true,
            Self::OnHold { was, .. } => was.is_withheld(),
            Self::At { .. } | Self::Deliver => false,
        }
    }

    /// The binding that keeps it from going on now, and the event at which it does where that is known.
    #[must_use]
    pub fn kept_by(&self) -> Option<(&str, Option<&str>)> {
        match self {
            Self::Held {
                event,
                binding,
                waits_for,
                ..
            } => Some((waits_for.as_deref().unwrap_or(binding), Some(event))),
            Self::Quarantined { by, event, .. } => {
                Some((by, Some(event.as_str()).filter(|event| !event.is_empty())))
            }
            Self::At {
                point,
                waits_for: Some(binding),
                ..
            }
            | Self::At {
                point,
                from_binding: Some(binding),
                ..
            } if !binding.is_empty() => Some((binding, Some(point.event()))),
            Self::OnHold { was, .. } => was.kept_by(),
            Self::At { .. } | Self::Deliver => None,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.octet(self.kind() as u8);
        match self {
            Self::At {
                point,
                from_binding,
                attempts,
                waits_for,
            } => {
                if *point != Point::Submit {
                    out.octet(*point as u8);
                }
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
            Self::Quarantined { by, why, event } => {
                out.text(by);
                out.text(why);
                out.text(event);
            }
            Self::OnHold {
                was,
                by,
                why,
                since,
            } => {
                out.octets(&was.encode());
                out.text(by);
                out.text(why);
                out.time(*since);
            }
        }
        out.into_bytes()
    }

    pub(crate) fn decode(record: Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record);
        let stage = match Kind::of(i64::from(reader.octet()?)) {
            Some(kind @ (Kind::Submit | Kind::Categorize)) => Self::At {
                point: match kind {
                    Kind::Submit => Point::Submit,
                    _ => Point::of(reader.octet()?)
                        .filter(|point| *point != Point::Submit)
                        .ok_or(DecodeError::Value("point"))?,
                },
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
                event: appended(&mut reader, Reader::text)?,
            },
            Some(Kind::OnHold) => {
                let was = reader.octets()?;
                // One within another would be none that was ever written, and as deep as it likes.
                if was.first() == Some(&(Kind::OnHold as u8)) {
                    return Err(DecodeError::Value("stage"));
                }
                Self::OnHold {
                    was: Box::new(Self::decode(was)?),
                    by: reader.text()?,
                    why: reader.text()?,
                    since: reader.time()?,
                }
            }
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
        let expected = Stage::At {
            point: Point::Submit,
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

    #[test]
    fn each_point_is_read_as_it_was_written_and_leads_to_the_next() {
        let mut stage = Stage::submit();
        for point in Point::ALL {
            assert_eq!(stage, Stage::at(point));
            assert_eq!(Point::of_event(point.event()), Some(point));
            let put_off = Stage::At {
                point,
                from_binding: Some("b".to_owned()),
                attempts: 3,
                waits_for: Some("c".to_owned()),
            };
            assert_eq!(Stage::decode(put_off.encode().into()).unwrap(), put_off);
            assert_eq!(put_off.kept_by(), Some(("c", Some(point.event()))));
            stage = Stage::behind(point);
        }
        assert_eq!(stage, Stage::Deliver);
        // A point that no program has written.
        for number in [0, 1, 6] {
            let mut other = Writer::new();
            other.octet(Kind::Categorize as u8);
            other.octet(number);
            other.option(None, Writer::text);
            assert!(
                Stage::decode(other.into_bytes().into()).is_err(),
                "{number}"
            );
        }
    }

    #[test]
    fn what_is_on_hold_knows_what_it_was() {
        let was = Stage::Quarantined {
            by: "scan".to_owned(),
            why: "eicar".to_owned(),
            event: "inbound.message".to_owned(),
        };
        let held = Stage::OnHold {
            was: Box::new(was.clone()),
            by: "uid 0".to_owned(),
            why: "looked at".to_owned(),
            since: SystemTime::UNIX_EPOCH,
        };
        assert_eq!(Stage::decode(held.encode().into()).unwrap(), held);
        assert_eq!(held.kept_by(), Some(("scan", Some("inbound.message"))));
        let twice = Stage::OnHold {
            was: Box::new(held),
            by: String::new(),
            why: String::new(),
            since: SystemTime::UNIX_EPOCH,
        };
        assert!(Stage::decode(twice.encode().into()).is_err());
    }
}
