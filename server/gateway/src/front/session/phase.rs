//! How far a session is with its transaction. What belongs to a phase is in it, and ends with it.

use std::future::pending;

use postern_dispatch::content::BoxFuture;
use postern_events::ruling::Ruling;
use postern_message::MessageId;
use postern_smtp::server::QuestionId;

use crate::front::reception::message::{Answered, Judged};
use crate::front::reception::ruling::Refused;
use crate::front::reception::transaction::Transaction;
use crate::front::reception::upload::Upload;

/// How far a session is with its transaction.
#[derive(Default)]
pub(super) enum Phase {
    /// There is none: no MAIL was accepted, or what it began is over, though the client may not have heard of it.
    #[default]
    Idle,
    /// MAIL was accepted; there is no content yet.
    Envelope(Transaction),
    /// Content is arriving.
    Arriving(Box<Arriving>),
    /// The message was refused, and the transaction is over, when all of the content had come: the question about it
    /// follows, and has this answer.
    Refused(Refused),
    /// The verdicts about the whole message are awaited.
    Judging(Judging),
    /// The decision is made, and the client's absence no longer changes it: the message is being kept, or dropped on
    /// record.
    Committing(Committing),
}

/// Content on its way.
pub(super) struct Arriving {
    pub(super) transaction: Transaction,
    pub(super) upload: Upload,
    /// Resolves when the message is to be refused before all of it has come.
    pub(super) early: Option<BoxFuture<'static, Ruling>>,
}

/// A message in the hands of sinks.
pub(super) struct Judging {
    pub(super) transaction: Transaction,
    pub(super) question: QuestionId,
    pub(super) size: u64,
    pub(super) judged: BoxFuture<'static, Judged>,
}

/// A message in the hands of the spool.
pub(super) struct Committing {
    pub(super) transaction: Transaction,
    pub(super) question: QuestionId,
    pub(super) size: u64,
    pub(super) answered: BoxFuture<'static, Answered>,
}

/// What a phase waited for.
pub(super) enum Step {
    /// The message is to be refused before all of it has come.
    Early(Box<Ruling>),
    /// The verdicts are in.
    Judged(Judged),
    /// What the client hears of its message.
    Answered(Answered),
}

impl Phase {
    /// The running transaction.
    pub(super) const fn transaction(&self) -> Option<&Transaction> {
        match self {
            Self::Idle | Self::Refused(_) => None,
            Self::Arriving(arriving) => Some(&arriving.transaction),
            Self::Envelope(transaction)
            | Self::Judging(Judging { transaction, .. })
            | Self::Committing(Committing { transaction, .. }) => Some(transaction),
        }
    }

    /// The id of the running transaction.
    pub(super) fn message_id(&self) -> Option<MessageId> {
        self.transaction().map(Transaction::id)
    }

    /// The client waits for the reply to its message.
    pub(super) const fn is_at_the_end(&self) -> bool {
        matches!(self, Self::Judging(_) | Self::Committing(_))
    }

    /// The decision about the message is made.
    pub(super) const fn is_committing(&self) -> bool {
        matches!(self, Self::Committing(_))
    }

    /// Takes the phase out, and leaves none.
    pub(super) fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// Takes the transaction out, with the octets of its content: nobody is asked about it any more, nothing more of it is
    /// kept.
    pub(super) fn give_up(&mut self) -> Option<(Transaction, u64)> {
        match self.take() {
            Self::Idle | Self::Refused(_) => None,
            Self::Envelope(transaction) => Some((transaction, 0)),
            Self::Arriving(arriving) => {
                let Arriving {
                    transaction,
                    upload,
                    ..
                } = *arriving;
                let size = upload.size();
                upload.give_up();
                Some((transaction, size))
            }
            Self::Judging(Judging {
                transaction, size, ..
            })
            | Self::Committing(Committing {
                transaction, size, ..
            }) => Some((transaction, size)),
        }
    }

    /// Waits for whatever the phase waits for; for ever if that is nothing. Can be given up and called again.
    pub(super) async fn next(&mut self) -> Step {
        match self {
            Self::Arriving(arriving) => match &mut arriving.early {
                Some(early) => Step::Early(Box::new(early.await)),
                None => pending().await,
            },
            Self::Judging(Judging { judged, .. }) => Step::Judged(judged.await),
            Self::Committing(Committing { answered, .. }) => Step::Answered(answered.await),
            Self::Idle | Self::Envelope(_) | Self::Refused(_) => pending().await,
        }
    }
}
