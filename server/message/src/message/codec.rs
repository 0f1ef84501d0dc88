//! A message in the spool's binary form.

use bytes::Bytes;
use postern_smtp::address::{AddressSyntax, ForwardPath, ReversePath};

use super::{Message, Origin};
use crate::encoding::{Reader, Writer};
use crate::session::Protocol;
use crate::{
    BodyKind, DecodeError, Envelope, MessageId, Notify, Properties, Recipient, RecipientId,
    RecipientState, Return, SessionContext, SessionId, Status, Value, Version,
};

/// The format that is written: with the whole session.
const FORMAT: u8 = 2;

/// The first format, which knew the client but not its session. It is still read.
const FORMAT_WITH_CLIENT: u8 = 1;

impl Message {
    /// The message as a record of the spool. Bytes of the original content are not in it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Writer::new();
        out.octet(FORMAT);
        out.number(self.version.head_octets());
        out.raw(self.id.as_bytes());
        out.option(self.session.as_ref(), |out, session| session.encode(out));
        out.text(&self.server);
        out.octet(match self.origin {
            Origin::Smtp => 1,
            Origin::Lmtp => 2,
            Origin::Dsn => 3,
        });
        out.time(self.received_at);
        write_envelope(&mut out, &self.envelope);
        out.number(self.recipients.len() as u64);
        for recipient in &self.recipients {
            write_recipient(&mut out, recipient);
        }
        write_properties(&mut out, &self.properties);
        write_properties(&mut out, &self.session_properties);
        self.version.encode(&mut out);
        out.into_bytes()
    }

    /// How many octets of the original content [`Message::decode`] needs.
    ///
    /// # Errors
    /// When the record is not that of a message.
    pub fn head_octets(record: &Bytes) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(record.clone());
        match reader.octet()? {
            FORMAT | FORMAT_WITH_CLIENT => reader.number(),
            other => Err(DecodeError::Format(other)),
        }
    }

    /// Reads a record. `head` is the start of the original content, at least
    /// [`Message::head_octets`] of it.
    ///
    /// # Errors
    /// When the record is not that of a message, or does not fit the head.
    pub fn decode(record: &Bytes, head: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record.clone());
        let format = reader.octet()?;
        if !matches!(format, FORMAT | FORMAT_WITH_CLIENT) {
            return Err(DecodeError::Format(format));
        }
        reader.number()?;
        let id = MessageId::from_bytes(reader.id()?);
        let (session_id, session) = if format == FORMAT {
            (None, reader.option(SessionContext::decode)?)
        } else {
            let id = reader.option(|reader| reader.id().map(SessionId::from_bytes))?;
            (id, None)
        };
        let server = reader.text()?;
        let origin = match reader.octet()? {
            1 => Origin::Smtp,
            2 => Origin::Lmtp,
            3 => Origin::Dsn,
            _ => return Err(DecodeError::Value("origin")),
        };
        let received_at = reader.time()?;
        let session = if format == FORMAT {
            session
        } else {
            let protocol = match origin {
                Origin::Lmtp => Protocol::Lmtp,
                Origin::Smtp | Origin::Dsn => Protocol::Smtp,
            };
            SessionContext::decode_first(&mut reader, session_id, protocol, received_at)?
        };
        let message = Self {
            id,
            session,
            server,
            origin,
            received_at,
            envelope: read_envelope(&mut reader)?,
            recipients: {
                let count = reader.count()?;
                let mut recipients = Vec::new();
                for _ in 0..count {
                    recipients.push(read_recipient(&mut reader)?);
                }
                recipients
            },
            properties: read_properties(&mut reader)?,
            session_properties: read_properties(&mut reader)?,
            version: Version::decode(&mut reader, head)?,
        };
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
        };
        out.octet(kind);
        write_status(out, status);
    }

    /// Reads a state.
    ///
    /// # Errors
    /// When it is none.
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let done = match reader.octet()? {
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
    out.flag(envelope.smtp_utf8);
    out.octet(match envelope.body {
        BodyKind::SevenBit => 0,
        BodyKind::EightBitMime => 1,
        BodyKind::BinaryMime => 2,
    });
    out.option(envelope.ret, |out, ret| out.flag(ret == Return::Full));
    out.option(envelope.envid.as_deref(), Writer::octets);
    out.option(envelope.declared_size, Writer::number);
    out.number(envelope.parameters.len() as u64);
    for (keyword, value) in &envelope.parameters {
        out.octets(keyword);
        out.option(value.as_deref(), Writer::octets);
    }
}

fn read_envelope(reader: &mut Reader) -> Result<Envelope, DecodeError> {
    let sender = reader.octets()?;
    Ok(Envelope {
        sender: ReversePath::parse_with(&sender, true, AddressSyntax::Lenient)
            .map_err(|_| DecodeError::Value("sender"))?,
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
        parameters: {
            let count = reader.count()?;
            let mut parameters = Vec::new();
            for _ in 0..count {
                parameters.push((reader.octets()?, reader.option(Reader::octets)?));
            }
            parameters
        },
    })
}

fn write_recipient(out: &mut Writer, recipient: &Recipient) {
    out.raw(recipient.id.as_bytes());
    out.text(&recipient.address.to_string());
    out.option(recipient.orcpt.as_deref(), Writer::octets);
    out.option(recipient.notify, |out, notify| {
        out.octet(
            u8::from(notify.success) | u8::from(notify.failure) << 1 | u8::from(notify.delay) << 2,
        );
    });
    recipient.state.encode(out);
    write_properties(out, &recipient.properties);
}

fn read_recipient(reader: &mut Reader) -> Result<Recipient, DecodeError> {
    let id = RecipientId::from_bytes(reader.id()?);
    let address = reader.octets()?;
    Ok(Recipient {
        id,
        address: ForwardPath::parse_with(&address, true, AddressSyntax::Lenient)
            .map_err(|_| DecodeError::Value("recipient"))?,
        orcpt: reader.option(Reader::octets)?,
        notify: reader.option(|reader| match reader.octet()? {
            bits @ 0..=7 => Ok(Notify {
                success: bits & 1 != 0,
                failure: bits & 2 != 0,
                delay: bits & 4 != 0,
            }),
            _ => Err(DecodeError::Value("notify")),
        })?,
        state: RecipientState::decode(reader)?,
        properties: read_properties(reader)?,
    })
}

fn write_properties(out: &mut Writer, properties: &Properties) {
    out.number(properties.len() as u64);
    for (namespace, key, value) in properties.iter() {
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
        }
    }
}

fn read_properties(reader: &mut Reader) -> Result<Properties, DecodeError> {
    let count = reader.count()?;
    let mut properties = Properties::new();
    for _ in 0..count {
        let namespace = reader.text()?;
        let key = reader.text()?;
        let value = match reader.octet()? {
            0 => Value::String(reader.text()?),
            1 => Value::Bytes(reader.octets()?),
            2 => Value::Int(reader.signed()?),
            3 => Value::Bool(reader.flag()?),
            _ => return Err(DecodeError::Value("property")),
        };
        properties.put(namespace, key, value);
    }
    Ok(properties)
}
