//! The answer to `transport.dsn`: how a notification is made.

use std::collections::HashSet;

use bytes::Bytes;
use postern_message::{HeaderName, HeaderValue, RecipientId, Return};
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::check::{MAX_ITEMS, forward_path, limit, lines, reverse_path};
use crate::fault::Fault;

/// Octets of a text in a notification.
const MAX_TEXT: usize = 64 << 10;

/// What a notification tells of a recipient (RFC 3464, section 2.3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DsnAction {
    /// failed
    Failed,
    /// delayed
    Delayed,
    /// delivered
    Delivered,
    /// relayed
    Relayed,
    /// expanded
    Expanded,
}

impl DsnAction {
    /// The word that notifications use.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Delayed => "delayed",
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
        }
    }
}

/// How a notification is made. What a later answer does not say stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DsnAnswer {
    /// What is to differ for some recipients.
    pub rulings: Vec<DsnRuling>,
    /// Text before the human-readable part.
    pub text_before: String,
    /// Text after it.
    pub text_after: String,
    /// Language tag of the texts (RFC 5646).
    pub language: String,
    /// Who gets a copy.
    pub copy_to: Vec<ForwardPath>,
    /// The content returned. `None`: as RET said; `Some(None)`: nothing.
    pub return_content: Option<Option<Return>>,
    /// Header fields beside the gateway's own.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The reporting MTA; empty: the server's hostname.
    pub reporting_mta: Bytes,
    /// Where it goes instead of to the sender.
    pub notify_address: Option<ReversePath>,
    /// Make none and keep the message in quarantine.
    pub quarantine_instead: bool,
    /// The whole notification, instead of the gateway's.
    pub content: Option<Bytes>,
}

/// What a notification says of some recipients; see [`DsnAnswer::on`] for what several come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DsnRuling {
    /// The recipients.
    pub recipients: Vec<RecipientId>,
    /// Say nothing of them, and count them as reported.
    pub suppress: bool,
    /// Another action.
    pub action: Option<DsnAction>,
    /// Another reply to be quoted.
    pub reply: Option<Reply>,
}

impl TypedAnswer for DsnAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Dsn);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Dsn(own) = answer else {
            return Err(not_the_answer());
        };
        for text in [&own.text_before, &own.text_after] {
            limit("octets of a text", text.len(), MAX_TEXT)?;
            if text.contains('\0') {
                return Err(Fault::protocol("a text of a notification has NUL"));
            }
        }
        let is_tag = own.language.len() <= 35
            && own
                .language
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !is_tag {
            return Err(Fault::protocol("the language is no tag (RFC 5646)"));
        }
        let is_name =
            |octets: &[u8]| octets.len() <= 255 && octets.iter().all(u8::is_ascii_graphic);
        if !is_name(&own.reporting_mta) {
            return Err(Fault::protocol("the reporting MTA is no name"));
        }
        limit("copies", own.copy_to.len(), 100)?;
        limit("header fields", own.headers.len(), 100)?;
        limit("rulings", own.rulings.len(), MAX_ITEMS)?;
        let utf8 = checks.utf8();
        let return_content = match pb::ReturnContent::try_from(own.return_content) {
            Ok(pb::ReturnContent::Unspecified) => None,
            Ok(pb::ReturnContent::Full) => Some(Some(postern_message::Return::Full)),
            Ok(pb::ReturnContent::Headers) => Some(Some(postern_message::Return::Headers)),
            Ok(pb::ReturnContent::Nothing) => Some(None),
            Err(_) => return Err(Fault::protocol("what is to be returned is unknown")),
        };
        let mut rulings = Vec::with_capacity(own.rulings.len());
        for ruling in own.rulings {
            rulings.push(dsn_ruling(ruling, checks)?);
        }
        let mut headers = Vec::with_capacity(own.headers.len());
        for field in own.headers {
            headers.push(checks.header(&field.name, &field.value)?);
        }
        let copies = own.copy_to.iter().map(|path| forward_path(path, utf8));
        let notify = own.notify_address.as_ref();
        let notify = notify.map(|path| reverse_path(path, utf8));
        let content = match own.content {
            None => None,
            Some(data) => {
                let content = checks.data(data, "a notification")?;
                lines(&content, "a notification")?;
                Some(content)
            }
        };
        Ok(DsnAnswer {
            rulings,
            copy_to: copies.collect::<Result<_, _>>()?,
            notify_address: notify.transpose()?,
            text_before: own.text_before,
            text_after: own.text_after,
            language: own.language,
            return_content,
            headers,
            reporting_mta: own.reporting_mta,
            quarantine_instead: own.quarantine_instead,
            content,
        })
    }

    fn then(mut self, later: Self) -> Self {
        let text = |own: String, later: String| if later.is_empty() { own } else { later };
        self.rulings.extend(later.rulings);
        self.copy_to.extend(later.copy_to);
        self.headers.extend(later.headers);
        Self {
            text_before: text(self.text_before, later.text_before),
            text_after: text(self.text_after, later.text_after),
            language: text(self.language, later.language),
            return_content: later.return_content.or(self.return_content),
            reporting_mta: if later.reporting_mta.is_empty() {
                self.reporting_mta
            } else {
                later.reporting_mta
            },
            notify_address: later.notify_address.or(self.notify_address),
            quarantine_instead: self.quarantine_instead || later.quarantine_instead,
            content: later.content.or(self.content),
            ..self
        }
    }
}

impl DsnAnswer {
    /// What all rulings say of one recipient together. What a later ruling does not say of action and reply stays; whether
    /// the recipient is mentioned at all is the last one's to say.
    #[must_use]
    pub fn on(&self, recipient: RecipientId) -> DsnRuling {
        let mut whole = DsnRuling {
            recipients: vec![recipient],
            ..DsnRuling::default()
        };
        for ruling in &self.rulings {
            if ruling.recipients.contains(&recipient) {
                whole.suppress = ruling.suppress;
                whole.action = ruling.action.or(whole.action);
                whole.reply = ruling.reply.clone().or(whole.reply);
            }
        }
        whole
    }
}

fn dsn_ruling(own: pb::DsnRuling, checks: &dyn Checks) -> Result<DsnRuling, Fault> {
    let mut seen = HashSet::new();
    let action = match pb::DsnAction::try_from(own.action) {
        Ok(pb::DsnAction::Unspecified) => None,
        Ok(pb::DsnAction::Failed) => Some(DsnAction::Failed),
        Ok(pb::DsnAction::Delayed) => Some(DsnAction::Delayed),
        Ok(pb::DsnAction::Delivered) => Some(DsnAction::Delivered),
        Ok(pb::DsnAction::Relayed) => Some(DsnAction::Relayed),
        Ok(pb::DsnAction::Expanded) => Some(DsnAction::Expanded),
        Err(_) => return Err(Fault::protocol("the action of a notification is unknown")),
    };
    let suppress = match pb::DsnReporting::try_from(own.reporting) {
        Ok(pb::DsnReporting::Unspecified) => false,
        Ok(pb::DsnReporting::Suppressed) => true,
        Err(_) => return Err(Fault::protocol("what is to be reported is unknown")),
    };
    let reply = own.reply;
    let reply = reply.map(|reply| checks.reply(reply, &[2, 4, 5], "a notification"));
    Ok(DsnRuling {
        recipients: checks.recipients(&own.recipient_ids, &mut seen)?,
        suppress,
        action,
        reply: reply.transpose()?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_a_later_answer_on_a_notification_does_not_say_stays() {
        let first = DsnAnswer {
            text_before: "a".to_owned(),
            language: "de".to_owned(),
            return_content: Some(None),
            ..DsnAnswer::default()
        };
        let later = DsnAnswer {
            text_before: "b".to_owned(),
            quarantine_instead: true,
            ..DsnAnswer::default()
        };
        let both = first.then(later);
        assert_eq!(
            (both.text_before.as_str(), both.language.as_str()),
            ("b", "de")
        );
        assert!(both.quarantine_instead);
        assert_eq!(both.return_content, Some(None));
    }

    #[test]
    fn rulings_on_one_recipient_add_up() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let first = DsnAnswer {
            rulings: vec![DsnRuling {
                recipients: vec![a, b],
                suppress: true,
                action: Some(DsnAction::Delayed),
                reply: None,
            }],
            ..DsnAnswer::default()
        };
        let later = DsnAnswer {
            rulings: vec![DsnRuling {
                recipients: vec![b],
                reply: Some(Reply::parse(550, None, "gone").unwrap()),
                ..DsnRuling::default()
            }],
            ..DsnAnswer::default()
        };
        let both = first.then(later);
        assert!(both.on(a).suppress && !both.on(b).suppress);
        assert_eq!(both.on(b).action, Some(DsnAction::Delayed));
        assert_eq!(both.on(b).reply.unwrap().code().value(), 550);
        assert_eq!(both.on(RecipientId::new()).action, None);
    }
}
