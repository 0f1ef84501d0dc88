//! One message on its way in: its questions, and its content on the way to the sinks.

use std::future::Future;
use std::sync::Arc;

use postern_message::{Draft, HeaderSection, MessageId};

use crate::budget::Budget;
use crate::content::Content;
use crate::verdict::Ruling;

/// A message whose header section is complete.
pub struct IncomingMessage {
    /// Its id: that of MAIL.
    pub message_id: MessageId,
    /// Its header section.
    pub headers: HeaderSection,
    /// Its octets, header section included, as they arrive. [`Content::end`] must become known before
    /// [`MessageExchange::finish`] can answer.
    pub content: Arc<dyn Content>,
}

/// What the bindings made of a message.
#[derive(Clone, Debug)]
pub struct MessageRuling {
    /// What was decided. For `Hold`, `Quarantine` and `Defer`, `by` names the binding to ask from again.
    pub ruling: Ruling,
    /// Envelope, recipients, properties and content with all applied edits. Its version is closed if the content
    /// came whole.
    pub draft: Draft,
}

/// The questions about one incoming message. Dropping it cancels them and ends its content.
pub struct MessageExchange {
    _private: (),
}

impl MessageExchange {
    /// Resolves when a refusal is to be applied before the content is complete. Pending for ever otherwise.
    /// May be called again after being dropped.
    pub fn early(&self) -> impl Future<Output = Ruling> + Send + use<> {
        std::future::pending()
    }

    /// The content is complete: waits for the verdicts within the budget.
    pub fn finish(self, budget: &Budget) -> impl Future<Output = MessageRuling> + Send + use<> {
        let _ = budget;
        async { todo!() }
    }

    /// Gives up: the client is gone, or the content broke a limit.
    pub fn cancel(self) {}
}
