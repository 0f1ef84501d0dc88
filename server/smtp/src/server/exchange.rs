//! Command lines whose replies are still to be sent.

use super::action::CloseReason;
use super::body::ContentRefusal;
use super::question::QuestionId;
use super::replies;
use crate::command::{Chunk, HelloKind, Verb};
use crate::parameters::Body;
use crate::reply::Reply;

/// A command line whose reply is still to be sent.
#[derive(Debug)]
pub(super) struct Exchange {
    /// `None` if it was never asked about.
    pub(super) id: Option<QuestionId>,
    /// `None` for the greeting.
    pub(super) verb: Option<Verb>,
    pub(super) effect: Effect,
    /// Whether the session itself would accept it. Otherwise no answer changes the session's state.
    pub(super) acceptable: bool,
    /// What the session itself would reply.
    pub(super) own: Reply,
    /// Close after the reply, whatever it is.
    pub(super) close: Option<CloseReason>,
    /// The reply that will be sent, once the ones before it are.
    pub(super) settled: Option<(Reply, Option<CloseReason>)>,
    /// The client has sent more behind it before it had its reply.
    pub(super) talked_over: bool,
    /// Its verb is nobody's.
    pub(super) unknown: bool,
}

impl Exchange {
    /// Whether a sink or the caller may only refuse it, the accepting reply being the session's own. Also where the
    /// session refuses it itself: the client would take a 2xx for acceptance.
    pub(super) const fn is_refusable_only(&self) -> bool {
        matches!(
            self.verb,
            Some(Verb::Auth | Verb::StartTls | Verb::Data | Verb::Bdat | Verb::Rset | Verb::Quit)
        )
    }

    /// The client has sent more before it was told to: it is not accepted any more, and the session closes.
    pub(super) fn refuse_premature(&mut self) {
        self.acceptable = false;
        self.own = replies::premature();
        self.close = Some(CloseReason::PrematureInput);
    }
}

/// What acceptance of a command changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    Nothing,
    Greeting,
    Hello(HelloKind),
    StartTls,
    Auth,
    Mail { body: Body, smtp_utf8: bool },
    Rcpt,
    Data,
    Chunk(Chunk),
    Rset,
    Quit,
}

/// A mail transaction: from an accepted MAIL to the reply to its content.
#[derive(Debug)]
pub(super) struct Transaction {
    pub(super) body: Body,
    pub(super) smtp_utf8: bool,
    /// Accepted recipients.
    pub(super) recipients: u32,
    /// A RCPT was given, accepted or not.
    pub(super) tried: bool,
    /// What BDAT has brought so far.
    pub(super) chunks: Option<crate::content::ContentCheck>,
    /// Refused by the caller between two chunks: the next one is answered so.
    pub(super) refusal: Option<ContentRefusal>,
}
