//! An event in its context, as rules, conditions and attributes see it.

use postern_message::{Origin, Recipient, Version};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::command::HelloName;

use crate::attributes::{Attribute, AttributeSource, AttributeValue, domain};
use crate::context::{Context, tenant_of};
use crate::question::Question;
use crate::rule::RuleFacts;
use crate::wire::path;

/// A question in its context.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// What is known.
    pub context: &'a Context,
    /// What is asked.
    pub question: &'a Question,
}

impl Source<'_> {
    fn sender_path(&self) -> Option<&ReversePath> {
        Some(&self.context.working()?.draft().envelope.sender)
    }

    fn recipient(&self) -> Option<&Recipient> {
        self.context
            .recipient(self.question.event().facts().recipient?)
    }

    fn recipients(&self) -> impl Iterator<Item = &Recipient> {
        let all = self.context.working();
        all.into_iter().flat_map(|own| &own.draft().recipients)
    }

    fn of_session(&self, attribute: Attribute) -> Option<AttributeValue> {
        let id = self.context.session_id();
        if attribute == Attribute::SessionId {
            let id = id.map(|id| id.to_string());
            return Some(AttributeValue::Text(id.unwrap_or_default()));
        }
        let Some(session) = self.context.session() else {
            // Messages that came without a session.
            return Some(match attribute.kind() {
                crate::attributes::AttributeType::Bool => AttributeValue::Bool(false),
                crate::attributes::AttributeType::Int => AttributeValue::Int(0),
                crate::attributes::AttributeType::Properties => AttributeValue::Map(Vec::new()),
                _ if attribute == Attribute::SessionServer => {
                    AttributeValue::text(self.context.server())
                }
                _ => AttributeValue::text(""),
            });
        };
        let text = AttributeValue::text;
        let client = &session.client;
        let (name, confirmed) = client.reverse_name.first();
        let tls = session.tls.as_ref();
        let conduct = &session.conduct;
        Some(match attribute {
            Attribute::SessionServer => text(&session.server),
            Attribute::SessionProtocol => text(session.protocol.name()),
            Attribute::SessionClientAddress => AttributeValue::Text(
                client
                    .address
                    .map(|address| address.to_string())
                    .unwrap_or_default(),
            ),
            Attribute::SessionClientPort => AttributeValue::count(client.port),
            Attribute::SessionClientName => text(name),
            Attribute::SessionClientNameConfirmed => AttributeValue::Bool(confirmed),
            Attribute::SessionMayRelay => AttributeValue::Bool(session.may_relay),
            Attribute::SessionAuthenticated => {
                AttributeValue::Bool(session.authentication.is_some())
            }
            Attribute::SessionIdentity => AttributeValue::lossy(
                session
                    .authentication
                    .as_ref()
                    .map_or(&[][..], |own| &own.identity),
            ),
            Attribute::SessionTenant => text(&session.tenant),
            Attribute::SessionTls => AttributeValue::Bool(tls.is_some()),
            Attribute::SessionTlsVersion => text(tls.map_or("", |tls| &tls.version)),
            Attribute::SessionTlsCipher => text(tls.map_or("", |tls| &tls.cipher)),
            Attribute::SessionHelo => {
                AttributeValue::lossy(session.helo.as_ref().map_or(&[][..], |helo| &helo.name))
            }
            Attribute::SessionHeloValid => AttributeValue::Bool(
                session
                    .helo
                    .as_ref()
                    .is_some_and(|helo| HelloName::parse(&helo.name).is_some()),
            ),
            Attribute::SessionListener => text(&session.listener),
            Attribute::SessionTalkedEarly => AttributeValue::Bool(conduct.talked_early),
            Attribute::SessionPipelinedEarly => AttributeValue::Bool(conduct.pipelined_early),
            Attribute::SessionCommandCount => AttributeValue::count(conduct.commands),
            Attribute::SessionErrorCount => AttributeValue::count(conduct.errors),
            Attribute::SessionSyntaxErrorCount => AttributeValue::count(conduct.syntax_errors),
            Attribute::SessionRefusedRecipientCount => {
                AttributeValue::count(conduct.refused_recipients)
            }
            Attribute::SessionConnectionCount => AttributeValue::count(conduct.connections),
            Attribute::SessionMessageCount => AttributeValue::count(conduct.messages),
            Attribute::SessionProperties => AttributeValue::properties(&session.properties),
            _ => return None,
        })
    }

    fn of_message(&self, attribute: Attribute) -> Option<AttributeValue> {
        let working = self.context.working()?;
        let draft = working.draft();
        let version = || draft.version.as_ref();
        Some(match attribute {
            Attribute::MessageId => AttributeValue::Text(working.piece().id.to_string()),
            Attribute::MessageSender => AttributeValue::text(self.sender()?),
            Attribute::MessageSenderDomain => AttributeValue::Text(
                draft
                    .envelope
                    .sender
                    .mailbox()
                    .map(domain)
                    .unwrap_or_default(),
            ),
            Attribute::MessageSmtpUtf8 => AttributeValue::Bool(draft.envelope.smtp_utf8),
            Attribute::MessageDeclaredSize => {
                AttributeValue::count(draft.envelope.declared_size.unwrap_or(0))
            }
            Attribute::MessagePriority => AttributeValue::Int(draft.envelope.priority.into()),
            Attribute::MessageProperties => AttributeValue::properties(&draft.properties),
            Attribute::MessageRecipients => AttributeValue::Texts(
                draft
                    .recipients
                    .iter()
                    .map(|one| path(&one.address).to_owned())
                    .collect(),
            ),
            Attribute::MessageRecipientDomains => AttributeValue::Texts(self.domains()),
            Attribute::MessageRecipientCount => AttributeValue::count(draft.recipients.len()),
            Attribute::MessageTenant => {
                AttributeValue::text(tenant_of(self.context.session(), &draft.recipients))
            }
            Attribute::MessageHeaders => AttributeValue::Map(header_map(version()?)),
            Attribute::MessageHeaderCount => AttributeValue::count(version()?.headers().len()),
            Attribute::MessageSize => AttributeValue::count(version()?.size()?),
            Attribute::MessageOrigin | Attribute::MessageAttempt => {
                let context = match self.context {
                    Context::Transport(own) => own,
                    Context::Outgoing(own) => own.message.as_ref()?,
                    _ => return None,
                };
                if attribute == Attribute::MessageAttempt {
                    AttributeValue::count(context.attempt)
                } else {
                    AttributeValue::text(match context.message().origin {
                        Origin::Smtp => "smtp",
                        Origin::Lmtp => "lmtp",
                        Origin::Dsn => "dsn",
                        Origin::Sink => "sink",
                    })
                }
            }
            _ => return None,
        })
    }

    fn domains(&self) -> Vec<String> {
        let mut domains: Vec<String> = Vec::new();
        for recipient in self.recipients() {
            if let ForwardPath::Mailbox(mailbox) = &recipient.address {
                let domain = domain(mailbox);
                if !domains.contains(&domain) {
                    domains.push(domain);
                }
            }
        }
        domains
    }

    fn of_destination(&self, attribute: Attribute) -> Option<AttributeValue> {
        let Context::Destination(own) = self.context else {
            return None;
        };
        Some(match attribute {
            Attribute::DestinationDomain => AttributeValue::text(&own.domain),
            Attribute::DestinationRoutingClass => AttributeValue::text(&own.routing_class),
            Attribute::DestinationFailureCount => AttributeValue::count(own.failures),
            Attribute::DestinationQueuedCount => AttributeValue::count(own.queued),
            _ => return None,
        })
    }
}

impl RuleFacts for Source<'_> {
    fn helo(&self) -> Option<&str> {
        let facts = self.question.event().facts();
        let name: &[u8] = match facts.helo {
            Some(name) => name,
            None => &self.context.session()?.helo.as_ref()?.name,
        };
        Some(std::str::from_utf8(name).unwrap_or_default())
    }

    fn sender(&self) -> Option<&str> {
        if let Some(parties) = self.question.event().facts().parties {
            return Some(parties.sender());
        }
        Some(match self.sender_path()? {
            ReversePath::Null => "",
            ReversePath::Mailbox(mailbox) => mailbox.as_str(),
        })
    }

    fn any_recipient(&self, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        let facts = self.question.event().facts();
        match (facts.parties, facts.recipient) {
            (Some(parties), _) => parties.any_recipient(visit),
            (None, Some(_)) => self
                .recipient()
                .is_some_and(|recipient| visit(path(&recipient.address))),
            (None, None) => self
                .recipients()
                .any(|recipient| visit(path(&recipient.address))),
        }
    }

    fn verb(&self) -> Option<&str> {
        let command = self.question.event().facts().command?;
        match &command.verb[..] {
            b"." => Some("EOD"),
            verb => std::str::from_utf8(verb).ok(),
        }
    }

    fn argument(&self) -> Option<&str> {
        let command = self.question.event().facts().command?;
        argument(&command.verb, std::str::from_utf8(&command.line).ok()?)
    }
}

/// What a command line says: the name of EHLO, the address of MAIL or RCPT without angle brackets and source route.
fn argument<'a>(verb: &[u8], line: &'a str) -> Option<&'a str> {
    let (said, rest) = line.trim().split_at_checked(verb.len())?;
    if !said.as_bytes().eq_ignore_ascii_case(verb) {
        return None;
    }
    let rest = rest.trim_start();
    let keyword = match verb.to_ascii_uppercase().as_slice() {
        b"HELO" | b"EHLO" | b"LHLO" => return rest.split_ascii_whitespace().next(),
        b"MAIL" => "FROM",
        b"RCPT" => "TO",
        _ => return None,
    };
    let (own, rest) = rest.split_at_checked(keyword.len())?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    if !own.eq_ignore_ascii_case(keyword) {
        return None;
    }
    let Some(inner) = rest.strip_prefix('<') else {
        return rest.split_ascii_whitespace().next();
    };
    // A quoted local part may hold a bracket.
    let mut quoted = false;
    let mut escaped = false;
    let end = inner.find(|c| {
        let ends = c == '>' && !quoted;
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
        ends
    });
    let path = inner.get(..end?)?;
    match path
        .strip_prefix('@')
        .and_then(|route| route.split_once(':'))
    {
        Some((_, address)) => Some(address),
        None => Some(path),
    }
}

impl AttributeSource for Source<'_> {
    fn value(&self, attribute: Attribute) -> Option<AttributeValue> {
        let (event, said) = (self.question.event(), self.question.said());
        if let Some(own) = event.attribute(attribute, self.context, said) {
            return Some(own);
        }
        match attribute.root() {
            "server" => Some(AttributeValue::text(self.context.server())),
            "destination" => self.of_destination(attribute),
            "session" => self.of_session(attribute),
            "message" => self.of_message(attribute),
            _ => None,
        }
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

#[cfg(test)]
mod tests;
