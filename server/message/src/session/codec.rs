//! A session in the spool's binary form. The record has a version of its own, so that it can grow without a new format
//! of the message around it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::{Conduct, Greeting, Protocol, ReverseName, SessionContext, TlsInfo};
use crate::encoding::{Reader, Writer};
use crate::{DecodeError, SessionId};

/// The version that is written.
const VERSION: u8 = 1;

/// A longer certificate is not stored.
const CERTIFICATE_MAX: usize = 64 * 1024;

impl SessionContext {
    /// Writes the record.
    pub(crate) fn encode(&self, out: &mut Writer) {
        let mut record = Writer::new();
        record.octet(VERSION);
        record.raw(self.id.as_bytes());
        record.text(&self.hostname);
        record.text(&self.listener);
        record.octet(match self.protocol {
            Protocol::Smtp => 1,
            Protocol::Lmtp => 2,
        });
        record.option(self.peer, write_address);
        record.option(self.local, write_address);
        write_reverse_name(&mut record, &self.reverse_name);
        record.flag(self.may_relay);
        record.option(self.authenticated.as_deref(), Writer::text);
        record.flag(self.implicit_tls);
        record.option(self.tls.as_ref(), write_tls);
        record.option(self.greeting.as_ref(), |out, greeting| {
            out.octets(&greeting.verb);
            out.octets(&greeting.name);
        });
        write_conduct(&mut record, &self.conduct);
        record.time(self.connected_at);
        out.octets(&record.into_bytes());
    }

    /// Reads the record.
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let mut record = Reader::new(reader.octets()?);
        match record.octet()? {
            VERSION => {}
            other => return Err(DecodeError::Format(other)),
        }
        let session = Self {
            id: SessionId::from_bytes(record.id()?),
            hostname: Arc::from(record.text()?),
            listener: Arc::from(record.text()?),
            protocol: match record.octet()? {
                1 => Protocol::Smtp,
                2 => Protocol::Lmtp,
                _ => return Err(DecodeError::Value("protocol")),
            },
            peer: record.option(read_address)?,
            local: record.option(read_address)?,
            reverse_name: read_reverse_name(&mut record)?,
            may_relay: record.flag()?,
            authenticated: record.option(Reader::text)?,
            implicit_tls: record.flag()?,
            tls: record.option(read_tls)?,
            greeting: record.option(|record| {
                Ok(Greeting {
                    verb: record.octets()?,
                    name: record.octets()?,
                })
            })?,
            conduct: read_conduct(&mut record)?,
            connected_at: record.time()?,
        };
        record.end()?;
        Ok(session)
    }

    /// Reads what records of the first format say of the client; `None` where there was no session. What they do not say
    /// is empty.
    pub(crate) fn decode_first(
        reader: &mut Reader,
        id: Option<SessionId>,
        protocol: Protocol,
        received_at: SystemTime,
    ) -> Result<Option<Self>, DecodeError> {
        let peer = reader.option(read_address)?;
        let local = reader.option(read_address)?;
        let name = reader.octets()?;
        let verb: &'static [u8] = match (reader.flag()?, protocol) {
            (true, Protocol::Lmtp) => b"LHLO",
            (true, Protocol::Smtp) => b"EHLO",
            (false, _) => b"HELO",
        };
        let tls = reader.option(|reader| {
            Ok(TlsInfo {
                version: reader.text()?,
                cipher: reader.text()?,
                server_name: reader.option(Reader::text)?,
                ..TlsInfo::default()
            })
        })?;
        let reverse_name = reader.option(Reader::text)?;
        let confirmed = reader.flag()?;
        let may_relay = reader.flag()?;
        let authenticated = reader.option(Reader::text)?;
        Ok(id.map(|id| Self {
            protocol,
            peer,
            local,
            reverse_name: match reverse_name {
                None => ReverseName::NotAsked,
                Some(name) if confirmed => ReverseName::Confirmed(name),
                Some(name) => ReverseName::Unconfirmed(name),
            },
            may_relay,
            authenticated,
            tls,
            greeting: (!name.is_empty()).then(|| Greeting {
                verb: Bytes::from_static(verb),
                name,
            }),
            ..Self::new(id, received_at)
        }))
    }
}

fn write_address(out: &mut Writer, address: SocketAddr) {
    out.text(&address.to_string());
}

fn read_address(reader: &mut Reader) -> Result<SocketAddr, DecodeError> {
    let text = reader.text()?;
    text.parse().map_err(|_| DecodeError::Value("address"))
}

fn write_reverse_name(out: &mut Writer, name: &ReverseName) {
    match name {
        ReverseName::NotAsked => out.octet(0),
        ReverseName::None => out.octet(1),
        ReverseName::Confirmed(name) => {
            out.octet(2);
            out.text(name);
        }
        ReverseName::Unconfirmed(name) => {
            out.octet(3);
            out.text(name);
        }
        ReverseName::Failed => out.octet(4),
    }
}

fn read_reverse_name(reader: &mut Reader) -> Result<ReverseName, DecodeError> {
    Ok(match reader.octet()? {
        0 => ReverseName::NotAsked,
        1 => ReverseName::None,
        2 => ReverseName::Confirmed(reader.text()?),
        3 => ReverseName::Unconfirmed(reader.text()?),
        4 => ReverseName::Failed,
        _ => return Err(DecodeError::Value("reverse name")),
    })
}

fn write_tls(out: &mut Writer, tls: &TlsInfo) {
    out.text(&tls.version);
    out.text(&tls.cipher);
    out.option(tls.server_name.as_deref(), Writer::text);
    let leaf = tls.peer_certificates.first();
    let leaf = leaf.filter(|leaf| leaf.len() <= CERTIFICATE_MAX);
    out.option(leaf, |out, leaf| out.octets(leaf));
    out.flag(tls.peer_verified);
    out.text(&tls.failure);
}

fn read_tls(reader: &mut Reader) -> Result<TlsInfo, DecodeError> {
    Ok(TlsInfo {
        version: reader.text()?,
        cipher: reader.text()?,
        server_name: reader.option(Reader::text)?,
        peer_certificates: reader.option(Reader::octets)?.into_iter().collect(),
        peer_verified: reader.flag()?,
        failure: reader.text()?,
    })
}

fn write_conduct(out: &mut Writer, conduct: &Conduct) {
    out.number(u64::from(conduct.commands));
    out.number(u64::from(conduct.errors));
    out.number(u64::from(conduct.syntax_errors));
    out.flag(conduct.talked_early);
    out.flag(conduct.pipelined_early);
    out.number(u64::try_from(conduct.idle.as_millis()).unwrap_or(u64::MAX));
    out.number(u64::from(conduct.messages));
    out.number(u64::from(conduct.refused_recipients));
    out.number(u64::from(conduct.junk_commands));
}

fn read_conduct(reader: &mut Reader) -> Result<Conduct, DecodeError> {
    Ok(Conduct {
        commands: reader.narrow("command count")?,
        errors: reader.narrow("error count")?,
        syntax_errors: reader.narrow("syntax error count")?,
        talked_early: reader.flag()?,
        pipelined_early: reader.flag()?,
        idle: Duration::from_millis(reader.number()?),
        messages: reader.narrow("message count")?,
        refused_recipients: reader.narrow("refused recipient count")?,
        junk_commands: reader.narrow("junk command count")?,
    })
}
