//! The facts as rules and conditions see them.

use postern_message::{Origin, Recipient, Version};
use postern_smtp::address::{DomainOrLiteral, ForwardPath, Mailbox, ReversePath};
use postern_smtp::command::HelloName;

use crate::attributes::{Attribute, AttributeSource, AttributeValue};
use crate::facts::Facts;
use crate::rule::RuleFacts;
use crate::session::{Protocol, TlsInfo};
use crate::wire::Happening;

/// One event, as rules and conditions see it.
pub(crate) struct Outlook<'a> {
    /// The virtual server.
    pub(crate) server: &'a str,
    /// What is known.
    pub(crate) facts: &'a Facts,
    /// What happened.
    pub(crate) happening: &'a Happening,
    /// How often this stage was begun for the message, from 1.
    pub(crate) attempt: u32,
}

impl Outlook<'_> {
    fn sender_path(&self) -> Option<&ReversePath> {
        match self.happening {
            Happening::Mail(mail) => Some(&self.facts.envelope_of(mail).sender),
            _ if self.facts.message_id().is_some() => Some(&self.facts.draft.envelope.sender),
            _ => None,
        }
    }

    /// The recipient that is asked about, as it is now.
    fn recipient(&self) -> Option<&Recipient> {
        match self.happening {
            Happening::Rcpt(rcpt) => Some(
                self.facts
                    .recipient(rcpt.recipient.id)
                    .unwrap_or(&rcpt.recipient),
            ),
            _ => None,
        }
    }

    fn of_session(&self, attribute: Attribute) -> Option<AttributeValue> {
        let session = self.facts.session.as_ref();
        let conduct = session.map(|session| session.conduct).unwrap_or_default();
        let text = |text: &str| AttributeValue::Text(text.to_owned());
        let (client_name, confirmed) =
            session.map_or(("", false), |session| session.reverse_name.name());
        let peer = session.and_then(|session| session.peer);
        Some(match attribute {
            Attribute::SessionId => AttributeValue::Text(
                session
                    .map(|session| session.id.to_string())
                    .unwrap_or_default(),
            ),
            Attribute::SessionServer => text(self.server),
            Attribute::SessionProtocol => text(
                session
                    .map_or(Protocol::Smtp, |session| session.protocol)
                    .name(),
            ),
            Attribute::SessionClientAddress => {
                AttributeValue::Text(peer.map(|peer| peer.ip().to_string()).unwrap_or_default())
            }
            Attribute::SessionClientPort => {
                AttributeValue::count(peer.map_or(0, |peer| peer.port()))
            }
            Attribute::SessionClientName => text(client_name),
            Attribute::SessionClientNameConfirmed => AttributeValue::Bool(confirmed),
            Attribute::SessionMayRelay => {
                AttributeValue::Bool(session.is_some_and(|session| session.may_relay))
            }
            Attribute::SessionAuthenticated => {
                AttributeValue::Bool(session.is_some_and(|session| session.authenticated.is_some()))
            }
            Attribute::SessionTls => {
                AttributeValue::Bool(self.tls().is_some_and(|tls| !tls.version.is_empty()))
            }
            Attribute::SessionTlsVersion => text(self.tls().map_or("", |tls| &tls.version)),
            Attribute::SessionTlsCipher => text(self.tls().map_or("", |tls| &tls.cipher)),
            Attribute::SessionHelo => text(&String::from_utf8_lossy(self.helo_name())),
            Attribute::SessionHeloValid => {
                AttributeValue::Bool(HelloName::parse(self.helo_name()).is_some())
            }
            Attribute::SessionListener => text(session.map_or("", |session| &session.listener)),
            Attribute::SessionTalkedEarly => AttributeValue::Bool(conduct.talked_early),
            Attribute::SessionPipelinedEarly => AttributeValue::Bool(conduct.pipelined_early),
            Attribute::SessionCommandCount => AttributeValue::count(conduct.commands),
            Attribute::SessionErrorCount => AttributeValue::count(conduct.errors),
            Attribute::SessionMessageCount => AttributeValue::count(conduct.messages),
            Attribute::SessionProperties => {
                AttributeValue::properties(&self.facts.draft.session_properties)
            }
            _ => return None,
        })
    }

    /// The name of the greeting that is asked about, else of the session's; empty before there is one.
    fn helo_name(&self) -> &[u8] {
        match (self.happening, &self.facts.session) {
            (Happening::Helo(helo), _) => &helo.name,
            (_, Some(session)) => session.greeting_name(),
            (_, None) => b"",
        }
    }

    /// The handshake that is asked about, else the session's.
    fn tls(&self) -> Option<&TlsInfo> {
        match self.happening {
            Happening::Tls(tls) => Some(tls),
            _ => self.facts.session.as_ref()?.tls.as_ref(),
        }
    }

    fn of_message(&self, attribute: Attribute) -> Option<AttributeValue> {
        let draft = &self.facts.draft;
        let version = || draft.version.as_ref();
        Some(match attribute {
            Attribute::MessageId => AttributeValue::Text(self.facts.message_id()?.to_string()),
            Attribute::MessageSender => AttributeValue::Text(self.sender()?.to_owned()),
            Attribute::MessageSenderDomain => AttributeValue::Text(
                self.sender_path()?
                    .mailbox()
                    .map(domain)
                    .unwrap_or_default(),
            ),
            Attribute::MessageSmtpUtf8 => AttributeValue::Bool(draft.envelope.smtp_utf8),
            Attribute::MessageDeclaredSize => {
                AttributeValue::count(draft.envelope.declared_size.unwrap_or(0))
            }
            Attribute::MessageProperties => AttributeValue::properties(&draft.properties),
            Attribute::MessageRecipients => AttributeValue::Texts(
                self.facts
                    .accepted()
                    .map(|one| path(&one.address).to_owned())
                    .collect(),
            ),
            Attribute::MessageRecipientDomains => AttributeValue::Texts(self.domains()),
            Attribute::MessageRecipientCount => {
                AttributeValue::count(self.facts.accepted().count())
            }
            Attribute::MessageHeaders => AttributeValue::Map(header_map(version()?)),
            Attribute::MessageHeaderCount => AttributeValue::count(version()?.headers().len()),
            Attribute::MessageSize => AttributeValue::count(version()?.size()?),
            Attribute::MessageOrigin => AttributeValue::Text(
                match self.facts.message.as_ref()?.origin {
                    Origin::Smtp => "smtp",
                    Origin::Lmtp => "lmtp",
                    Origin::Dsn => "dsn",
                }
                .to_owned(),
            ),
            Attribute::MessageAttempt => AttributeValue::count(self.attempt),
            _ => return None,
        })
    }

    fn domains(&self) -> Vec<String> {
        let mut domains: Vec<String> = Vec::new();
        for recipient in self.facts.accepted() {
            if let ForwardPath::Mailbox(mailbox) = &recipient.address {
                let domain = domain(mailbox);
                if !domains.contains(&domain) {
                    domains.push(domain);
                }
            }
        }
        domains
    }

    fn of_command(&self, attribute: Attribute) -> Option<AttributeValue> {
        let lossy =
            |octets: &[u8]| AttributeValue::Text(String::from_utf8_lossy(octets).into_owned());
        Some(match (attribute, self.happening) {
            (Attribute::CommandVerb, Happening::Command(line)) => lossy(&line.verb),
            (Attribute::CommandLine, Happening::Command(line)) => lossy(&line.line),
            (Attribute::CommandVerb, Happening::Response(response)) => lossy(&response.verb),
            (Attribute::CommandLine, Happening::Response(_)) => AttributeValue::Text(String::new()),
            (Attribute::ReplyCode, Happening::Response(response)) => {
                AttributeValue::count(response.reply.code().value())
            }
            (Attribute::ReplyText, Happening::Response(response)) => {
                let lines: Vec<&str> = response
                    .reply
                    .text()
                    .iter()
                    .map(|line| line.as_str())
                    .collect();
                AttributeValue::Text(lines.join("\n"))
            }
            _ => return None,
        })
    }

    fn of_recipient(&self, attribute: Attribute) -> Option<AttributeValue> {
        let recipient = self.recipient()?;
        Some(match attribute {
            Attribute::RecipientAddress => {
                AttributeValue::Text(path(&recipient.address).to_owned())
            }
            Attribute::RecipientDomain => AttributeValue::Text(match &recipient.address {
                ForwardPath::Mailbox(mailbox) => domain(mailbox),
                ForwardPath::Postmaster => String::new(),
            }),
            Attribute::RecipientIsLocal => match self.happening {
                Happening::Rcpt(rcpt) => AttributeValue::Bool(rcpt.local_domain),
                _ => return None,
            },
            _ => return None,
        })
    }
}

impl RuleFacts for Outlook<'_> {
    fn helo(&self) -> Option<&str> {
        let name = match self.happening {
            Happening::Helo(helo) => &helo.name[..],
            _ => self
                .facts
                .session
                .as_ref()?
                .greeting
                .as_ref()?
                .name
                .as_ref(),
        };
        Some(std::str::from_utf8(name).unwrap_or_default())
    }

    fn sender(&self) -> Option<&str> {
        Some(match self.sender_path()? {
            ReversePath::Null => "",
            ReversePath::Mailbox(mailbox) => mailbox.as_str(),
        })
    }

    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        match self.recipient() {
            Some(recipient) => visit(path(&recipient.address)),
            None => self
                .facts
                .accepted()
                .any(|recipient| visit(path(&recipient.address))),
        }
    }

    fn verb(&self) -> Option<&str> {
        let verb = match self.happening {
            Happening::Command(line) => &line.verb[..],
            Happening::Response(response) if response.verb == "." => b"EOD",
            Happening::Response(response) => &response.verb[..],
            _ => return None,
        };
        std::str::from_utf8(verb).ok()
    }
}

impl AttributeSource for Outlook<'_> {
    fn value(&self, attribute: Attribute) -> Option<AttributeValue> {
        match attribute.root() {
            "session" => self.of_session(attribute),
            "message" => self.of_message(attribute),
            "recipient" => self.of_recipient(attribute),
            _ => self.of_command(attribute),
        }
    }
}

/// An address without angle brackets.
pub(crate) fn path(path: &ForwardPath) -> &str {
    match path {
        ForwardPath::Postmaster => "postmaster",
        ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
    }
}

fn domain(mailbox: &Mailbox) -> String {
    match mailbox.domain() {
        DomainOrLiteral::Domain(domain) => domain.key().to_owned(),
        literal => literal.to_string(),
    }
}

fn header_map(version: &Version) -> Vec<(String, AttributeValue)> {
    version
        .headers()
        .iter()
        .map(|field| {
            let name = String::from_utf8_lossy(field.name()).to_ascii_lowercase();
            let value = String::from_utf8_lossy(&field.value()).trim().to_owned();
            (name, AttributeValue::Text(value))
        })
        .collect()
}
