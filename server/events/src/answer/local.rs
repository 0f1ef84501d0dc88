//! Answers about size limits, local delivery and notifications.

use bytes::Bytes;
use postern_message::{HeaderName, HeaderValue, RecipientId, Return};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

/// Whether a size limit is imposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeAnswer {
    /// Refuse the message, as the service would.
    Impose,
    /// Let this message pass.
    Waive,
}

impl SizeAnswer {
    pub(crate) fn then(self, later: Self) -> Self {
        later
    }
}

/// What became of local recipients. Who is left out stays queued.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocalDeliveryAnswer {
    /// Each recipient with its reply: 2xx delivered, 4xx later, 5xx failed.
    pub statuses: Vec<(RecipientId, Reply)>,
}

impl LocalDeliveryAnswer {
    pub(crate) fn then(self, later: Self) -> Self {
        later
    }
}

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

impl DsnAnswer {
    pub(crate) fn then(mut self, later: Self) -> Self {
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
        assert_eq!(
            SizeAnswer::Waive.then(SizeAnswer::Impose),
            SizeAnswer::Impose
        );
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
