//! A session's context in the form that is stored with a message. It has a version of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use postern_message::encoding::{Reader, Writer};
use postern_message::{DecodeError, Properties, SessionId};

use super::session::{
    AddressSource, Authentication, Client, Conduct, Helo, Protocol, RawParameter, ReverseName,
    SessionContext, Tls,
};

/// The only version so far.
const VERSION: u8 = 1;

impl SessionContext {
    /// The session as it is stored with the message that it brought: of the peer's certificates only its own.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = Writer::new();
        out.octet(VERSION);
        out.raw(self.id.as_bytes());
        out.text(&self.server);
        out.text(&self.hostname);
        out.text(&self.listener);
        out.octet(self.protocol as u8);
        self.client.write(&mut out);
        out.option(self.helo.as_ref(), |out, helo| {
            out.octets(&helo.verb);
            out.octets(&helo.name);
        });
        out.option(self.tls.as_ref(), write_tls);
        out.option(self.authentication.as_ref(), |out, own| {
            out.octets(&own.mechanism);
            out.octets(&own.identity);
            out.octets(&own.authorization_identity);
        });
        out.flag(self.may_relay);
        out.text(&self.tenant);
        out.time(self.started_at);
        self.conduct.write(&mut out);
        self.properties.encode(&mut out);
        out.texts(&self.skipped);
        out.into_bytes().into()
    }

    /// Reads a stored session.
    ///
    /// # Errors
    /// When the record is not that of a session, or of a version that this program does not know.
    pub fn decode(record: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(record.clone());
        match reader.octet()? {
            VERSION => {}
            other => return Err(DecodeError::Format(other)),
        }
        let session = Self {
            id: SessionId::from_bytes(reader.id()?),
            server: Arc::from(reader.text()?),
            hostname: Arc::from(reader.text()?),
            listener: Arc::from(reader.text()?),
            protocol: one_of(&mut reader, &Protocol::ALL, "protocol")?,
            client: Client::read(&mut reader)?,
            helo: reader.option(|reader| {
                Ok(Helo {
                    verb: reader.octets()?,
                    name: reader.octets()?,
                })
            })?,
            tls: reader.option(read_tls)?,
            authentication: reader.option(|reader| {
                Ok(Authentication {
                    mechanism: reader.octets()?,
                    identity: reader.octets()?,
                    authorization_identity: reader.octets()?,
                })
            })?,
            may_relay: reader.flag()?,
            tenant: reader.text()?,
            started_at: reader.time()?,
            conduct: Conduct::read(&mut reader)?,
            properties: Properties::decode(&mut reader)?,
            skipped: reader.texts()?,
        };
        reader.end()?;
        Ok(session)
    }
}

fn one_of<T: Copy>(reader: &mut Reader, all: &[T], what: &'static str) -> Result<T, DecodeError> {
    let number = usize::from(reader.octet()?);
    all.get(number).copied().ok_or(DecodeError::Value(what))
}

impl Client {
    fn write(&self, out: &mut Writer) {
        let address = |out: &mut Writer, address: IpAddr| out.text(&address.to_string());
        out.option(self.address, address);
        out.number(u64::from(self.port));
        out.text(&self.local_address);
        out.number(u64::from(self.local_port));
        out.octet(self.address_source as u8);
        out.option(self.proxy_address, address);
        let (kind, names): (u8, &[String]) = match &self.reverse_name {
            ReverseName::NotAsked => (0, &[]),
            ReverseName::None => (1, &[]),
            ReverseName::Confirmed(names) => (2, names),
            ReverseName::Unconfirmed(names) => (3, names),
            ReverseName::Failed => (4, &[]),
        };
        out.octet(kind);
        out.texts(names);
        out.flag(self.implicit_tls);
        write_parameters(out, &self.xclient);
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let address = |reader: &mut Reader| {
            let text = reader.text()?;
            text.parse().map_err(|_| DecodeError::Value("address"))
        };
        let sources = [
            AddressSource::Connection,
            AddressSource::Proxy,
            AddressSource::Xclient,
        ];
        Ok(Self {
            address: reader.option(address)?,
            port: reader.narrow("port")?,
            local_address: reader.text()?,
            local_port: reader.narrow("port")?,
            address_source: one_of(reader, &sources, "address source")?,
            proxy_address: reader.option(address)?,
            reverse_name: {
                let kind = reader.octet()?;
                let names = reader.texts()?;
                match kind {
                    0 => ReverseName::NotAsked,
                    1 => ReverseName::None,
                    2 => ReverseName::Confirmed(names),
                    3 => ReverseName::Unconfirmed(names),
                    4 => ReverseName::Failed,
                    _ => return Err(DecodeError::Value("reverse name")),
                }
            },
            implicit_tls: reader.flag()?,
            xclient: read_parameters(reader)?,
        })
    }
}

fn write_parameters(out: &mut Writer, parameters: &[RawParameter]) {
    out.number(parameters.len() as u64);
    for (keyword, value) in parameters {
        out.octets(keyword);
        out.option(value.as_deref(), Writer::octets);
    }
}

fn read_parameters(reader: &mut Reader) -> Result<Vec<RawParameter>, DecodeError> {
    let count = reader.count()?;
    (0..count)
        .map(|_| Ok((reader.octets()?, reader.option(Reader::octets)?)))
        .collect()
}

fn write_tls(out: &mut Writer, tls: &Tls) {
    out.text(&tls.version);
    out.text(&tls.cipher);
    out.option(tls.server_name.as_deref(), Writer::text);
    out.option(tls.peer_certificates.first(), |out, leaf| out.octets(leaf));
    out.flag(tls.peer_verified);
    out.text(&tls.failure);
}

fn read_tls(reader: &mut Reader) -> Result<Tls, DecodeError> {
    Ok(Tls {
        version: reader.text()?,
        cipher: reader.text()?,
        server_name: reader.option(Reader::text)?,
        peer_certificates: reader.option(Reader::octets)?.into_iter().collect(),
        peer_verified: reader.flag()?,
        failure: reader.text()?,
    })
}

impl Conduct {
    fn write(&self, out: &mut Writer) {
        for count in [
            self.commands,
            self.errors,
            self.syntax_errors,
            self.messages,
            self.refused_recipients,
            self.junk_commands,
            self.failed_authentications,
            self.connections,
        ] {
            out.number(u64::from(count));
        }
        out.flag(self.talked_early);
        out.flag(self.pipelined_early);
        out.number(u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX));
    }

    fn read(reader: &mut Reader) -> Result<Self, DecodeError> {
        let mut count = || reader.narrow("count");
        Ok(Self {
            commands: count()?,
            errors: count()?,
            syntax_errors: count()?,
            messages: count()?,
            refused_recipients: count()?,
            junk_commands: count()?,
            failed_authentications: count()?,
            connections: count()?,
            talked_early: reader.flag()?,
            pipelined_early: reader.flag()?,
            idle: Duration::from_millis(reader.number()?),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::SystemTime;

    use postern_message::{PropertyLimits, Value};

    use super::*;

    fn full() -> SessionContext {
        let client = Client {
            address: Some("2001:db8::1".parse().unwrap()),
            port: 4711,
            local_address: "192.0.2.1".to_owned(),
            local_port: 25,
            address_source: AddressSource::Xclient,
            proxy_address: Some("127.0.0.1".parse().unwrap()),
            reverse_name: ReverseName::Unconfirmed(vec!["a.example.test".to_owned()]),
            implicit_tls: true,
            xclient: vec![(Bytes::from_static(b"NAME"), None)],
        };
        let mut properties = Properties::new();
        properties
            .set("sink", "k", Value::Int(1), &PropertyLimits::default())
            .unwrap();
        SessionContext {
            listener: Arc::from("[::]:25"),
            protocol: Protocol::Lmtp,
            helo: Some(Helo {
                verb: Bytes::from_static(b"EHLO"),
                name: Bytes::from_static(b"client"),
            }),
            tls: Some(Tls {
                version: "TLSv1.3".to_owned(),
                cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
                server_name: Some("mx.example.test".to_owned()),
                peer_certificates: vec![Bytes::from_static(b"leaf")],
                peer_verified: true,
                failure: String::new(),
            }),
            authentication: Some(Authentication {
                mechanism: Bytes::from_static(b"PLAIN"),
                identity: Bytes::from_static(b"anna"),
                authorization_identity: Bytes::new(),
            }),
            may_relay: true,
            tenant: "t".to_owned(),
            conduct: Conduct {
                commands: 1,
                errors: 2,
                syntax_errors: 3,
                talked_early: true,
                pipelined_early: false,
                idle: Duration::from_millis(5),
                messages: 6,
                refused_recipients: 7,
                junk_commands: 8,
                failed_authentications: 9,
                connections: 10,
            },
            properties,
            skipped: vec!["scanner".to_owned()],
            ..SessionContext::new(
                Arc::from("inbound"),
                Arc::from("mx.example.test"),
                client,
                SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123),
            )
        }
    }

    #[test]
    fn a_stored_session_comes_back_whole() {
        let session = full();
        assert_eq!(SessionContext::decode(&session.encode()).unwrap(), session);
        let plain = SessionContext {
            helo: None,
            tls: None,
            authentication: None,
            client: Client::default(),
            ..full()
        };
        assert_eq!(SessionContext::decode(&plain.encode()).unwrap(), plain);
    }

    #[test]
    fn of_the_certificates_only_the_clients_own_is_stored() {
        let mut session = full();
        let tls = session.tls.as_mut().unwrap();
        tls.peer_certificates.push(Bytes::from_static(b"issuer"));
        let stored = SessionContext::decode(&session.encode()).unwrap();
        let certificates = stored.tls.unwrap().peer_certificates;
        assert_eq!(certificates, [Bytes::from_static(b"leaf")]);
    }

    #[test]
    fn what_is_cut_off_or_newer_is_refused() {
        let record = full().encode();
        for end in 0..record.len() {
            assert!(SessionContext::decode(&record.slice(..end)).is_err());
        }
        let newer = Bytes::from([b"\x02", &record[1..]].concat());
        assert_eq!(SessionContext::decode(&newer), Err(DecodeError::Format(2)));
    }

    #[test]
    fn tls_forgets_what_was_said_in_clear_text() {
        let mut session = full();
        session.secure(Tls::default());
        assert_eq!((session.helo, session.authentication), (None, None));
    }
}
