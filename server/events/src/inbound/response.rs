//! `inbound.response`: a reply is about to be sent.

use std::borrow::Cow;

use bytes::Bytes;
use postern_message::RecipientId;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;
use postern_smtp::reply::{Reply, ReplyError, ReplyText};
use postern_smtp::server::is_own_keyword;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::check::limit;
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::{Event, EventFacts};
use crate::wire::{self, View};

/// A reply that is about to be sent. A sink may change it, and add to it.
#[derive(Clone, Debug)]
pub struct Response {
    /// The command that it answers: the verb `CONNECT` for the banner, `.` for the end of content.
    pub command: CommandLine,
    /// The service's own reply.
    pub reply: Reply,
    /// The binding that decided. `None`: the service itself.
    pub origin: Option<String>,
    /// The recipient that it answers.
    pub recipient: Option<RecipientId>,
}

impl Response {
    /// It answers EHLO or LHLO: each further line is a keyword with its arguments.
    #[must_use]
    pub fn lists_extensions(&self) -> bool {
        let verb = &self.command.verb;
        (verb.eq_ignore_ascii_case(b"EHLO") || verb.eq_ignore_ascii_case(b"LHLO"))
            && self.reply.code().is_positive()
    }

    /// The reply as the answer wants it sent. Of a list of extensions the code stays.
    ///
    /// # Errors
    /// A line that cannot be sent.
    pub fn replied(&self, said: &ResponseAnswer) -> Result<Reply, ReplyError> {
        let changed = said.reply.as_ref().filter(|_| !self.lists_extensions());
        let base = changed.unwrap_or(&self.reply);
        let lines = self.lines(Some(said)).into_iter();
        let lines = lines
            .map(|line| ReplyText::new(String::from_utf8_lossy(&line).into_owned()))
            .collect::<Result<_, _>>()?;
        Reply::new(base.code(), base.enhanced(), lines)
    }

    /// The reply's lines with what earlier bindings made of it: of a list of extensions only the first line is
    /// replaced, and keywords are taken out.
    #[must_use]
    pub fn lines(&self, said: Option<&ResponseAnswer>) -> Vec<Bytes> {
        let own = || self.reply.text().iter().map(|line| line.as_str());
        let Some(said) = said else {
            return own()
                .map(|line| Bytes::copy_from_slice(line.as_bytes()))
                .collect();
        };
        let octets = |line: &str| Bytes::copy_from_slice(line.as_bytes());
        let replaced = said.reply.as_ref().map(|reply| {
            let lines = reply.text().iter().map(|line| octets(line.as_str()));
            lines.collect::<Vec<_>>()
        });
        let mut lines: Vec<Bytes> = if self.lists_extensions() {
            let first = replaced.and_then(|lines| lines.into_iter().next());
            let first = first.or_else(|| own().next().map(octets));
            let rest = own().skip(1).filter(|line| {
                let keyword = line.split(' ').next().unwrap_or_default();
                let is_removed = |one: &Bytes| one.eq_ignore_ascii_case(keyword.as_bytes());
                !said.removed_keywords.iter().any(is_removed)
            });
            first.into_iter().chain(rest.map(octets)).collect()
        } else {
            replaced.unwrap_or_else(|| own().map(octets).collect())
        };
        lines.extend(said.added_lines.iter().cloned());
        lines
    }
}

impl Event for Response {
    const KIND: EventKind = EventKind::InboundResponse;
    type Context = InboundContext;
    type Answer = ResponseAnswer;

    fn body(&self, _: &InboundContext, said: Option<&ResponseAnswer>, _: &View<'_>) -> Kind {
        let native = wire::reply(&self.reply);
        let reply = said.map(|said| {
            let base = said
                .reply
                .as_ref()
                .map_or_else(|| native.clone(), wire::reply);
            pb::Reply {
                lines: self.lines(Some(said)),
                ..base
            }
        });
        Kind::InboundResponse(
            pb::InboundResponse {
                verb: self.command.verb.clone(),
                native_reply: reply.is_some().then(|| native.clone()),
                reply: Some(reply.unwrap_or(native)),
                origin_binding: self.origin.clone().unwrap_or_default(),
                recipient_id: self
                    .recipient
                    .map(|one| wire::id(one.as_bytes()))
                    .unwrap_or_default(),
            }
            .into(),
        )
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &InboundContext,
        said: Option<&ResponseAnswer>,
    ) -> Option<AttributeValue> {
        let reply = said
            .and_then(|said| said.reply.as_ref())
            .unwrap_or(&self.reply);
        Some(match attribute {
            Attribute::CommandVerb => AttributeValue::lossy(&self.command.verb),
            Attribute::CommandLine => AttributeValue::text(""),
            Attribute::ReplyCode => AttributeValue::count(reply.code().value()),
            Attribute::ReplyText => {
                let lines = self.lines(said);
                let lines: Vec<_> = lines
                    .iter()
                    .map(|line| String::from_utf8_lossy(line))
                    .collect();
                AttributeValue::Text(lines.join("\n"))
            }
            _ => return None,
        })
    }

    fn facts(&self) -> EventFacts<'_> {
        EventFacts {
            command: Some(&self.command),
            ..EventFacts::default()
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(self.reply.to_string())
    }
}

/// Octets of a line that is added to a reply.
const MAX_ADDED_LINE: usize = 480;

/// Another reply than the one about to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResponseAnswer {
    /// Instead of it, with the same first digit. Of a reply to EHLO only the first line is replaced.
    pub reply: Option<Reply>,
    /// Lines put after it; in a reply to EHLO or LHLO keywords with their arguments.
    pub added_lines: Vec<Bytes>,
    /// Keywords taken out of a reply to EHLO or LHLO, upper case. The service then refuses their use.
    pub removed_keywords: Vec<Bytes>,
}

impl TypedAnswer for ResponseAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Response);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Response(own) = answer else {
            return Err(not_the_answer());
        };
        let about = checks
            .event()
            .downcast_ref::<Response>()
            .ok_or_else(|| Fault::protocol("no reply was asked about"))?;
        let lists = about.lists_extensions();
        let class = about.reply.code().class();
        let reply = own
            .reply
            .map(|reply| checks.reply(reply, &[class], "the reply about to be sent"));
        limit("lines added to a reply", own.added_lines.len(), 100)?;
        limit("keywords removed", own.removed_keywords.len(), 100)?;
        if lists && !(own.added_lines.is_empty() && own.removed_keywords.is_empty()) {
            checks.may("ehlo")?;
        }
        if !lists && !own.removed_keywords.is_empty() {
            return Err(Fault::protocol(
                "keywords are removed from a reply to EHLO or LHLO only",
            ));
        }
        for line in &own.added_lines {
            limit("octets of an added line", line.len(), MAX_ADDED_LINE)?;
            let is_text = line.iter().all(|b| (0x20..0x7f).contains(b));
            if !is_text {
                return Err(Fault::protocol("an added line is not printable ASCII"));
            }
            if lists {
                let keyword = keyword_of(line)?;
                let said = about.lines(None);
                let has = said.iter().skip(1).any(|own| {
                    let word = own.split(|b| *b == b' ').next().unwrap_or_default();
                    word.eq_ignore_ascii_case(keyword)
                });
                if has || is_own_keyword(keyword) {
                    return Err(Fault::protocol(format!(
                        "the service itself offers {}",
                        keyword.escape_ascii()
                    )));
                }
            }
        }
        let removed = own.removed_keywords.iter().map(|word| {
            if keyword_of(word)?.len() == word.len() {
                Ok(Bytes::from(word.to_ascii_uppercase()))
            } else {
                Err(Fault::protocol("a keyword is removed without arguments"))
            }
        });
        Ok(ResponseAnswer {
            reply: reply.transpose()?,
            removed_keywords: removed.collect::<Result<_, _>>()?,
            added_lines: own.added_lines,
        })
    }

    /// The last reply counts; lines and keywords add up.
    fn then(mut self, later: Self) -> Self {
        self.reply = later.reply.or(self.reply);
        self.added_lines.extend(later.added_lines);
        self.removed_keywords.extend(later.removed_keywords);
        self
    }
}

/// The keyword that an EHLO line begins with (RFC 5321, section 4.1.1.1).
fn keyword_of(line: &[u8]) -> Result<&[u8], Fault> {
    let word = line.split(|b| *b == b' ').next().unwrap_or_default();
    let is_keyword = word.first().is_some_and(u8::is_ascii_alphanumeric)
        && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if is_keyword {
        Ok(word)
    } else {
        Err(Fault::protocol("a line of EHLO begins with a keyword"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::answer::AnyAnswer;
    use crate::samples;

    #[test]
    fn the_reply_is_shown_with_what_was_made_of_it() {
        let id = RecipientId::new();
        let event = Response {
            command: samples::line("RCPT", "RCPT TO:<a@b>"),
            reply: samples::reply(550, "no"),
            origin: Some("spam".to_owned()),
            recipient: Some(id),
        };
        let context = samples::inbound().into();
        let expected = |reply, native_reply| {
            Kind::InboundResponse(
                pb::InboundResponse {
                    verb: Bytes::from_static(b"RCPT"),
                    reply: Some(reply),
                    native_reply,
                    origin_binding: "spam".to_owned(),
                    recipient_id: wire::id(id.as_bytes()),
                }
                .into(),
            )
        };
        let native = samples::wire_reply(550, "no");
        assert_eq!(
            samples::body(event.clone(), None, &context),
            expected(native.clone(), None)
        );
        let said = AnyAnswer::new(ResponseAnswer {
            reply: Some(samples::reply(554, "never")),
            ..ResponseAnswer::default()
        });
        assert_eq!(
            samples::body(event.clone(), Some(said.clone()), &context),
            expected(samples::wire_reply(554, "never"), Some(native))
        );
        for (attribute, value) in [
            (Attribute::CommandVerb, AttributeValue::text("RCPT")),
            (Attribute::CommandLine, AttributeValue::text("")),
            (Attribute::ReplyCode, AttributeValue::Int(554)),
            (Attribute::ReplyText, AttributeValue::text("never")),
        ] {
            let seen = samples::attribute(&event, attribute, Some(&said), &context);
            assert_eq!(seen, value);
        }
    }

    fn ehlo() -> Response {
        Response {
            command: CommandLine {
                verb: Bytes::from_static(b"EHLO"),
                ..CommandLine::default()
            },
            reply: Reply::parse(250, None, "mx.example.test\nSIZE 100\nCHUNKING").unwrap(),
            origin: None,
            recipient: None,
        }
    }

    #[test]
    fn of_a_reply_to_ehlo_only_the_first_line_is_replaced() {
        let said = ResponseAnswer {
            reply: Some(Reply::parse(250, None, "hello\nand more").unwrap()),
            added_lines: vec![Bytes::from_static(b"X-A 1")],
            removed_keywords: vec![Bytes::from_static(b"SIZE")],
        };
        assert_eq!(ehlo().lines(Some(&said)), ["hello", "CHUNKING", "X-A 1"]);
        assert_eq!(
            ehlo().lines(None),
            ["mx.example.test", "SIZE 100", "CHUNKING"]
        );
        let mut other = ehlo();
        other.command.verb = Bytes::from_static(b"NOOP");
        assert_eq!(other.lines(Some(&said)), ["hello", "and more", "X-A 1"]);
    }

    #[test]
    fn replies_replace_and_lines_add_up() {
        let of = |text: Option<&str>, line: &'static str| ResponseAnswer {
            reply: text.map(|text| Reply::parse(250, None, text).unwrap()),
            added_lines: vec![Bytes::from_static(line.as_bytes())],
            removed_keywords: Vec::new(),
        };
        let both = of(Some("a"), "X-A").then(of(None, "X-B"));
        assert_eq!(both.added_lines, ["X-A", "X-B"]);
        assert_eq!(both.reply, of(Some("a"), "").reply);
        let last = both.then(of(Some("c"), "X-C"));
        assert_eq!(last.reply, of(Some("c"), "").reply);
    }
}
