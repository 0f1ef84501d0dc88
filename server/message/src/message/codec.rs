//! A message in the spool's binary form.

use bytes::Bytes;
use postern_smtp::address::{AddressSyntax, ForwardPath, ReversePath};

use super::{Message, Origin};
use crate::encoding::{Reader, Writer};
use crate::{
    BodyKind, DecodeError, Envelope, Handling, Injected, Lifetime, MessageId, Notify, Properties,
    Recipient, RecipientId, RecipientState, Return, SessionId, Status, Value, Version,
};

/// The format that is written.
const FORMAT: u8 = 2;

/// Stands before the state of a recipient that is resolved. No state begins with it.
const RESOLVED: u8 = 0x7f;

impl Message {
    /// The message as a record of the spool. Bytes of the original content are not in it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.octet(FORMAT);
        out.number(self.version.head_octets());
        out.raw(self.id.as_bytes());
        out.option(self.session, |out, session| out.raw(session.as_bytes()));
        out.text(&self.server);
        out.octet(match self.origin {
            Origin::Smtp => 1,
            Origin::Lmtp => 2,
            Origin::Dsn => 3,
            Origin::Sink => 4,
        });
        out.time(self.received_at);
        out.octets(&self.context);
        out.texts(&self.skipped);
        out.texts(&self.passed);
        write_envelope(&mut out, &self.envelope);
        out.number(self.recipients.len() as u64);
        for recipient in &self.recipients {
            write_recipient(&mut out, recipient);
        }
        self.properties.encode(&mut out);
        self.version.encode(&mut out);
        // Records of earlier programs end here, and so do those of most messages.
        if !self.handling.is_as_configured() || self.injected.is_some() || self.walked {
            self.handling.encode(&mut out);
            out.option(self.injected.as_ref(), |out, injected| injected.encode(out));
            if self.walked {
                out.flag(true);
            }
        }
        out.into_bytes()
    }

    /// How many octets of the original content [`Message::decode`] needs.
    ///
    /// # Errors
    /// When the record is not that of a message.
    pub fn head_octets(record: &Bytes) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(record.clone());
        match reader.octet()? {
            FORMAT => reader.number(),
            other => Err(DecodeError::Format(other)),
        }
    }

    /// Reads the recipients of a record alone, as they were when it was written: nothing of the content is needed.
    ///
    /// # Errors
    /// When the record is not that of a message.
    pub fn decode_recipients(record: &Bytes) -> Result<Vec<Recipient>, DecodeError> {
        let mut reader = Reader::new(record.clone());
        match reader.octet()? {
            FORMAT => {}
            other => return Err(DecodeError::Format(other)),
        }
        reader.number()?;
        reader.id()?;
        reader.option(Reader::id)?;
        reader.text()?;
        reader.octet()?;
        reader.time()?;
        reader.octets()?;
        reader.texts()?;
        reader.texts()?;
        read_envelope(&mut reader)?;
        read_recipients(&mut reader)
    }

    /// Reads a record. `head` is the start of the original content, at least
    /// [`Message::head_octets`] of it.
    ///
    /// # Errors
    /// When the record is not that of a message, or does not fit the head.
    pub fn decode(record: &Bytes, head: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record.clone());
        match reader.octet()? {
            FORMAT => {}
            other => return Err(DecodeError::Format(other)),
        }
        reader.number()?;
        let mut message = Self {
            id: MessageId::from_bytes(reader.id()?),
            session: reader.option(|reader| reader.id().map(SessionId::from_bytes))?,
            server: reader.text()?,
            origin: match reader.octet()? {
                1 => Origin::Smtp,
                2 => Origin::Lmtp,
                3 => Origin::Dsn,
                4 => Origin::Sink,
                _ => return Err(DecodeError::Value("origin")),
            },
            received_at: reader.time()?,
            context: reader.octets()?,
            skipped: reader.texts()?,
            passed: reader.texts()?,
            envelope: read_envelope(&mut reader)?,
            recipients: read_recipients(&mut reader)?,
            properties: Properties::decode(&mut reader)?,
            version: Version::decode(&mut reader, head)?,
            handling: Handling::default(),
            injected: None,
            walked: false,
        };
        if !reader.is_at_end() {
            message.handling = Handling::decode(&mut reader)?;
            message.injected = reader.option(Injected::decode)?;
            message.walked = !reader.is_at_end() && reader.flag()?;
        }
        reader.end()?;
        Ok(message)
    }
}

impl RecipientState {
    /// Writes the state.
    pub fn encode(&self, out: &mut Writer) {
        let (kind, status) = match self {
            Self::Pending {
                attempts,
                due,
                last,
            } => {
                out.octet(0);
                out.number(u64::from(*attempts));
                out.option(*due, Writer::time);
                out.option(last.as_ref(), write_status);
                return;
            }
            Self::Delivered(status) => (1, status),
            Self::Relayed(status) => (2, status),
            Self::Failed(status) => (3, status),
            Self::Expired(status) => (4, status),
            Self::Discarded(status) => (5, status),
            Self::Expanded(status) => (6, status),
        };
        out.octet(kind);
        write_status(out, status);
    }

    /// Reads a state.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let kind = reader.octet()?;
        Self::decode_as(kind, reader)
    }

    fn decode_as(kind: u8, reader: &mut Reader) -> Result<Self, DecodeError> {
        let done = match kind {
            0 => {
                return Ok(Self::Pending {
                    attempts: reader.narrow("attempts")?,
                    due: reader.option(Reader::time)?,
                    last: reader.option(read_status)?,
                });
            }
            1 => Self::Delivered,
            2 => Self::Relayed,
            3 => Self::Failed,
            4 => Self::Expired,
            5 => Self::Discarded,
            6 => Self::Expanded,
            _ => return Err(DecodeError::Value("recipient state")),
        };
        read_status(reader).map(done)
    }
}

fn write_status(out: &mut Writer, status: &Status) {
    out.time(status.at);
    out.option(status.code, |out, code| out.number(u64::from(code)));
    out.option(status.enhanced, |out, (class, subject, detail)| {
        out.octet(class);
        out.number(u64::from(subject));
        out.number(u64::from(detail));
    });
    out.text(&status.text);
    out.option(status.remote.as_deref(), Writer::text);
}

fn read_status(reader: &mut Reader) -> Result<Status, DecodeError> {
    Ok(Status {
        at: reader.time()?,
        code: reader.option(|reader| reader.narrow("code"))?,
        enhanced: reader.option(|reader| {
            Ok((
                reader.octet()?,
                reader.narrow("subject")?,
                reader.narrow("detail")?,
            ))
        })?,
        text: reader.text()?,
        remote: reader.option(Reader::text)?,
    })
}

fn write_envelope(out: &mut Writer, envelope: &Envelope) {
    out.text(&envelope.sender.to_string());
    out.option(envelope.given.as_ref(), |out, given| {
        out.text(&given.to_string());
    });
    out.flag(envelope.smtp_utf8);
    out.octet(match envelope.body {
        BodyKind::SevenBit => 0,
        BodyKind::EightBitMime => 1,
        BodyKind::BinaryMime => 2,
    });
    out.option(envelope.ret, |out, ret| out.flag(ret == Return::Full));
    out.option(envelope.envid.as_deref(), Writer::octets);
    out.option(envelope.declared_size, Writer::number);
    out.signed(i64::from(envelope.priority));
    write_parameters(out, &envelope.parameters);
}

fn write_parameters(out: &mut Writer, parameters: &[(Bytes, Option<Bytes>)]) {
    out.number(parameters.len() as u64);
    for (keyword, value) in parameters {
        out.octets(keyword);
        out.option(value.as_deref(), Writer::octets);
    }
}

fn read_parameters(reader: &mut Reader) -> Result<Vec<(Bytes, Option<Bytes>)>, DecodeError> {
    let count = reader.count()?;
    let mut parameters = Vec::new();
    for _ in 0..count {
        parameters.push((reader.octets()?, reader.option(Reader::octets)?));
    }
    Ok(parameters)
}

fn read_sender(reader: &mut Reader) -> Result<ReversePath, DecodeError> {
    ReversePath::parse_with(&reader.octets()?, true, AddressSyntax::Lenient)
        .map_err(|_| DecodeError::Value("sender"))
}

fn read_path(reader: &mut Reader) -> Result<ForwardPath, DecodeError> {
    ForwardPath::parse_with(&reader.octets()?, true, AddressSyntax::Lenient)
        .map_err(|_| DecodeError::Value("recipient"))
}

fn read_envelope(reader: &mut Reader) -> Result<Envelope, DecodeError> {
    Ok(Envelope {
        sender: read_sender(reader)?,
        given: reader.option(read_sender)?,
        smtp_utf8: reader.flag()?,
        body: match reader.octet()? {
            0 => BodyKind::SevenBit,
            1 => BodyKind::EightBitMime,
            2 => BodyKind::BinaryMime,
            _ => return Err(DecodeError::Value("body kind")),
        },
        ret: reader.option(|reader| {
            Ok(if reader.flag()? {
                Return::Full
            } else {
                Return::Headers
            })
        })?,
        envid: reader.option(Reader::octets)?,
        declared_size: reader.option(Reader::number)?,
        priority: i8::try_from(reader.signed()?).map_err(|_| DecodeError::Value("priority"))?,
        parameters: read_parameters(reader)?,
    })
}

fn read_recipients(reader: &mut Reader) -> Result<Vec<Recipient>, DecodeError> {
    let count = reader.count()?;
    let mut recipients = Vec::new();
    for _ in 0..count {
        recipients.push(read_recipient(reader)?);
    }
    Ok(recipients)
}

fn write_recipient(out: &mut Writer, recipient: &Recipient) {
    out.raw(recipient.id.as_bytes());
    out.text(&recipient.address.to_string());
    out.option(recipient.given.as_ref(), |out, given| {
        out.text(&given.to_string());
    });
    out.option(recipient.orcpt.as_deref(), Writer::octets);
    out.option(recipient.notify, |out, notify| {
        out.octet(
            u8::from(notify.success) | u8::from(notify.failure) << 1 | u8::from(notify.delay) << 2,
        );
    });
    write_parameters(out, &recipient.parameters);
    out.option(recipient.parent, |out, parent| out.raw(parent.as_bytes()));
    out.text(&recipient.tenant);
    if recipient.resolved {
        out.octet(RESOLVED);
    }
    recipient.state.encode(out);
    recipient.properties.encode(out);
}

fn read_recipient(reader: &mut Reader) -> Result<Recipient, DecodeError> {
    let mut recipient = Recipient {
        id: RecipientId::from_bytes(reader.id()?),
        address: read_path(reader)?,
        given: reader.option(read_path)?,
        orcpt: reader.option(Reader::octets)?,
        notify: reader.option(|reader| match reader.octet()? {
            bits @ 0..=7 => Ok(Notify {
                success: bits & 1 != 0,
                failure: bits & 2 != 0,
                delay: bits & 4 != 0,
            }),
            _ => Err(DecodeError::Value("notify")),
        })?,
        parameters: read_parameters(reader)?,
        parent: reader.option(|reader| reader.id().map(RecipientId::from_bytes))?,
        tenant: reader.text()?,
        resolved: false,
        state: RecipientState::pending(),
        properties: Properties::new(),
    };
    let mut kind = reader.octet()?;
    if kind == RESOLVED {
        recipient.resolved = true;
        kind = reader.octet()?;
    }
    recipient.state = RecipientState::decode_as(kind, reader)?;
    recipient.properties = Properties::decode(reader)?;
    Ok(recipient)
}

impl Properties {
    /// Writes those that are kept.
    pub fn encode(&self, out: &mut Writer) {
        let kept = || {
            self.entries()
                .filter(|(_, _, _, lifetime)| *lifetime == Lifetime::Kept)
        };
        out.number(kept().count() as u64);
        for (namespace, key, value, _) in kept() {
            out.text(namespace);
            out.text(key);
            match value {
                Value::String(text) => {
                    out.octet(0);
                    out.text(text);
                }
                Value::Bytes(octets) => {
                    out.octet(1);
                    out.octets(octets);
                }
                Value::Int(number) => {
                    out.octet(2);
                    out.signed(*number);
                }
                Value::Bool(flag) => {
                    out.octet(3);
                    out.flag(*flag);
                }
                Value::Number(number) => {
                    out.octet(4);
                    out.raw(&f64::from(*number).to_be_bytes());
                }
                Value::Texts(texts) => {
                    out.octet(5);
                    out.texts(texts);
                }
            }
        }
    }

    /// Reads properties.
    ///
    /// # Errors
    /// When the record is not one of properties.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let count = reader.count()?;
        let mut properties = Self::new();
        for _ in 0..count {
            let namespace = reader.text()?;
            let key = reader.text()?;
            let value = match reader.octet()? {
                0 => Value::String(reader.text()?),
                1 => Value::Bytes(reader.octets()?),
                2 => Value::Int(reader.signed()?),
                3 => Value::Bool(reader.flag()?),
                4 => {
                    let octets = <[u8; 8]>::try_from(reader.raw(8)?.as_ref());
                    let octets = octets.map_err(|_| DecodeError::Short)?;
                    Value::Number(f64::from_be_bytes(octets).into())
                }
                5 => Value::Texts(reader.texts()?),
                _ => return Err(DecodeError::Value("property")),
            };
            properties.put(namespace, key, value);
        }
        Ok(properties)
    }
}
