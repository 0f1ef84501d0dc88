//! `outbound.response`: the remote answered.

use std::borrow::Cow;

use postern_message::RecipientId;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::Reply;

use super::proposed::{of_command, of_remote, sent};
use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A reply of the remote. A sink may take it for another, and say where the session goes on.
#[derive(Clone, Debug)]
pub struct Response {
    /// The command that it answers: the verb `CONNECT` for the banner, `.` for the end of content.
    pub command: CommandLine,
    /// The remote's own reply.
    pub reply: Reply,
    /// The recipient that it is about.
    pub recipient: Option<RecipientId>,
}

impl Response {
    /// The reply after what was answered.
    #[must_use]
    pub fn reply<'a>(&'a self, said: Option<&'a RemoteStatusAnswer>) -> &'a Reply {
        said.and_then(|said| said.reply.as_ref())
            .unwrap_or(&self.reply)
    }
}

impl Response {
    /// Whether the remote's reply may be taken for another one. Nothing that it took upon itself becomes a failure, and
    /// nothing that it refused a success.
    fn may_be_taken_for(&self, taken: &Reply) -> Result<(), Fault> {
        let class = |reply: &Reply| reply.code().value() / 100;
        let (native, other) = (class(&self.reply), class(taken));
        let same_code = self.reply.code() == taken.code();
        let failed = |class| matches!(class, 4 | 5);
        let verb: &[u8] = &self.command.verb;
        let fits = if native == 3 || other == 3 {
            same_code
        } else {
            match verb {
                b"RSET" | b"QUIT" => same_code,
                b"MAIL" | b"RCPT" | b"DATA" | b"BDAT" | b"." | b"STARTTLS" | b"AUTH"
                    if failed(native) =>
                {
                    failed(other)
                }
                b"CONNECT" | b"EHLO" | b"HELO" | b"LHLO" => !failed(native) || failed(other),
                b"MAIL" => !failed(other) || !self.command.pipelined,
                b"STARTTLS" | b"AUTH" => same_code,
                b"RCPT" | b"DATA" | b"BDAT" | b"." => !failed(other),
                _ => true,
            }
        };
        match fits {
            true => Ok(()),
            false => Err(Fault::protocol(format!(
                "{} to {} cannot be taken for {}",
                self.reply.code().value(),
                verb.escape_ascii(),
                taken.code().value()
            ))),
        }
    }
}

impl Event for Response {
    const KIND: EventKind = EventKind::OutboundResponse;
    type Context = OutgoingContext;
    type Answer = RemoteStatusAnswer;

    fn body(
        &self,
        _: &OutgoingContext,
        said: Option<&RemoteStatusAnswer>,
        view: &View<'_>,
    ) -> Kind {
        let reply = self.reply(said);
        let native = (*reply != self.reply).then(|| wire::reply(&self.reply));
        Kind::OutboundResponse(
            pb::OutboundResponse {
                command: Some(sent(&self.command, view.reads)),
                reply: Some(wire::reply(reply)),
                recipient_id: self
                    .recipient
                    .map(|one| wire::id(one.as_bytes()))
                    .unwrap_or_default(),
                native_reply: native,
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        context: &OutgoingContext,
        said: Option<&RemoteStatusAnswer>,
    ) -> Option<AttributeValue> {
        let reply = self.reply(said);
        Some(match attribute {
            Attribute::ReplyCode => AttributeValue::count(reply.code().value()),
            Attribute::ReplyText => {
                let lines: Vec<_> = reply.text().iter().map(|line| line.as_str()).collect();
                AttributeValue::Text(lines.join("\n"))
            }
            _ => {
                return of_command(attribute, &self.command, None)
                    .or_else(|| of_remote(attribute, context));
            }
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            recipient: self.recipient,
            recipients: self.recipient.as_slice(),
            command: Some(&self.command),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(self.reply.to_string())
    }
}

/// How a remote reply is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteStatusAnswer {
    /// Take this for the reply. `None`: as it came.
    pub reply: Option<Reply>,
    /// Go on here, if SMTP allows it.
    pub next_stage: Option<OutgoingStage>,
}

/// Where an outgoing session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutgoingStage {
    /// EHLO.
    SessionStart,
    /// MAIL.
    MessageStart,
    /// The next RCPT.
    Recipient,
    /// DATA or BDAT.
    BeforeData,
    /// QUIT.
    SessionEnd,
}

impl TypedAnswer for RemoteStatusAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::RemoteStatus);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::RemoteStatus(own) = answer else {
            return Err(not_the_answer());
        };
        let reply = own.reply;
        let reply = reply.map(|reply| checks.reply(reply, &[2, 3, 4, 5], "a remote reply"));
        let next_stage = match pb::OutgoingStage::try_from(own.next_stage) {
            Ok(pb::OutgoingStage::Unspecified) => None,
            Ok(pb::OutgoingStage::SessionStart) => Some(OutgoingStage::SessionStart),
            Ok(pb::OutgoingStage::MessageStart) => Some(OutgoingStage::MessageStart),
            Ok(pb::OutgoingStage::Recipient) => Some(OutgoingStage::Recipient),
            Ok(pb::OutgoingStage::BeforeData) => Some(OutgoingStage::BeforeData),
            Ok(pb::OutgoingStage::SessionEnd) => Some(OutgoingStage::SessionEnd),
            Err(_) => return Err(Fault::protocol("the next stage is unknown")),
        };
        let reply = reply.transpose()?;
        if let Some(asked) = checks.event().downcast_ref::<Response>() {
            let taken = reply.as_ref().unwrap_or(&asked.reply);
            asked.may_be_taken_for(taken)?;
            if next_stage.is_some() && asked.command.pipelined {
                return Err(Fault::protocol(
                    "what was sent behind a pipelined command says where the session goes on",
                ));
            }
        }
        Ok(RemoteStatusAnswer { reply, next_stage })
    }

    /// What a later answer does not say stays.
    fn then(self, later: Self) -> Self {
        Self {
            reply: later.reply.or(self.reply),
            next_stage: later.next_stage.or(self.next_stage),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::Bytes;

    use super::super::proposed::tests::{has_attributes, line};
    use super::*;
    use crate::answer::AnyAnswer;
    use crate::samples;

    #[test]
    fn the_reply_is_shown_with_what_was_made_of_it() {
        let id = RecipientId::new();
        let mut event = Response {
            command: line("RCPT", "RCPT TO:<a@example.test>"),
            reply: samples::reply(450, "later\nplease"),
            recipient: Some(id),
        };
        event.command.pipelined = true;
        let context = samples::outgoing().into();
        let native = pb::Reply {
            code: 450,
            lines: vec![Bytes::from_static(b"later"), Bytes::from_static(b"please")],
            ..pb::Reply::default()
        };
        let expected = |reply: pb::Reply, native_reply| {
            Kind::OutboundResponse(
                pb::OutboundResponse {
                    command: Some(pb::Command {
                        verb: Bytes::from_static(b"RCPT"),
                        line: Bytes::from_static(b"RCPT TO:<a@example.test>"),
                        pipelined: true,
                    }),
                    reply: Some(reply),
                    recipient_id: wire::id(id.as_bytes()),
                    native_reply,
                }
                .into(),
            )
        };
        assert_eq!(
            samples::body(event.clone(), None, &context),
            expected(native.clone(), None)
        );
        let said = AnyAnswer::new(RemoteStatusAnswer {
            reply: Some(samples::reply(550, "never")),
            next_stage: None,
        });
        assert_eq!(
            samples::body(event.clone(), Some(said.clone()), &context),
            expected(samples::wire_reply(550, "never"), Some(native))
        );
        has_attributes(&event, "RCPT", "RCPT TO:<a@example.test>");
        let text = AttributeValue::text;
        for (attribute, own, made) in [
            (
                Attribute::ReplyCode,
                AttributeValue::Int(450),
                AttributeValue::Int(550),
            ),
            (Attribute::ReplyText, text("later\nplease"), text("never")),
        ] {
            assert_eq!(samples::attribute(&event, attribute, None, &context), own);
            let seen = samples::attribute(&event, attribute, Some(&said), &context);
            assert_eq!(seen, made);
        }
        assert_eq!(event.facts().recipient, Some(id));
    }

    #[test]
    fn no_success_becomes_a_failure_where_the_remote_may_have_the_mail() {
        let cases: [(&str, bool, u16, u16, bool); 20] = [
            (".", false, 250, 251, true),
            (".", false, 250, 450, false),
            (".", false, 250, 550, false),
            (".", false, 450, 550, true),
            (".", false, 550, 451, true),
            (".", false, 550, 250, false),
            ("RCPT", false, 250, 550, false),
            ("RCPT", false, 550, 450, true),
            ("RCPT", false, 450, 250, false),
            ("DATA", false, 354, 354, true),
            ("DATA", false, 354, 550, false),
            ("DATA", false, 550, 354, false),
            ("MAIL", false, 250, 451, true),
            ("MAIL", true, 250, 451, false),
            ("MAIL", false, 550, 250, false),
            ("EHLO", false, 250, 451, true),
            ("CONNECT", false, 554, 220, false),
            ("RSET", false, 250, 451, false),
            ("STARTTLS", false, 220, 454, false),
            ("XCLIENT", false, 250, 550, true),
        ];
        for (verb, pipelined, native, taken, fits) in cases {
            let mut event = Response {
                command: line(verb, verb),
                reply: samples::reply(native, "native"),
                recipient: None,
            };
            event.command.pipelined = pipelined;
            let found = event.may_be_taken_for(&samples::reply(taken, "taken"));
            assert_eq!(
                found.is_ok(),
                fits,
                "{native} to {verb} as {taken}: {found:?}"
            );
        }
    }

    #[test]
    fn a_line_of_auth_is_not_shown_to_who_does_not_read_credentials() {
        let event = Response {
            command: line("AUTH", "AGEAYg=="),
            reply: samples::reply(235, "welcome"),
            recipient: None,
        };
        let blind = samples::blind_body(event, &samples::outgoing().into());
        let Kind::OutboundResponse(blind) = blind else {
            panic!("{blind:?}");
        };
        assert_eq!(blind.command.unwrap().line, "AUTH");
        assert!(blind.recipient_id.is_empty());
    }
}
