//! A message whose content is arriving: stored, its header section checked, shown to sinks.

use std::time::Instant;

use bytes::Bytes;
use postern_dispatch::content::BoxFuture;
use postern_dispatch::exchange::{IncomingMessage, MessageExchange};
use postern_events::budget::Budget;
use postern_events::event::EventKind;
use postern_events::ruling::Ruling;
use postern_message::{HeaderError, HeaderSection, MessageId};
use postern_smtp::reply::Reply;
use postern_spool::{Receiving, StoredBody};

use super::message::storage_reply;
use super::shared::Shared;
use crate::front::content::{Intake, IntakeError};
use crate::front::replies;
use crate::metrics::labels::LimitName;

/// `Received` fields beyond which a message goes round in circles (RFC 5321 section 6.3 wants at least 100).
const RECEIVED_MAX: usize = 100;

/// Content that is arriving.
pub(super) struct Upload {
    message: MessageId,
    intake: Intake,
    section: Option<HeaderSection>,
    exchange: Option<MessageExchange>,
}

/// Content that has arrived.
pub(super) struct Arrived {
    pub(super) message: MessageId,
    pub(super) body: StoredBody,
    pub(super) section: HeaderSection,
    /// There if any sink wants the message.
    pub(super) exchange: Option<MessageExchange>,
}

impl Upload {
    pub(super) fn new(shared: &Shared, message: MessageId, incoming: Receiving) -> Self {
        let intake = Intake::new(incoming, shared.server.limits.header, is_wanted(shared));
        Self {
            message,
            intake,
            section: None,
            exchange: None,
        }
    }

    pub(super) fn size(&self) -> u64 {
        self.intake.size()
    }

    /// Takes the next octets. Once sinks have been asked, returns what resolves with an early refusal.
    ///
    /// # Errors
    /// The reply that refuses the message.
    pub(super) async fn take(
        &mut self,
        shared: &Shared,
        bytes: Bytes,
    ) -> Result<Option<BoxFuture<'static, Ruling>>, Reply> {
        match self.intake.take(bytes).await {
            Ok(None) => Ok(None),
            Ok(Some(section)) => {
                self.begin_exchange(shared, section)?;
                Ok(self
                    .exchange
                    .as_ref()
                    .map(|exchange| Box::pin(exchange.early()) as BoxFuture<'static, Ruling>))
            }
            Err(error) => Err(self.refusal(shared, error)),
        }
    }

    /// All of it has come.
    ///
    /// # Errors
    /// The reply that refuses the message.
    pub(super) async fn finish(mut self, shared: &Shared) -> Result<Arrived, Reply> {
        match self.intake.complete_header().await {
            Ok(None) => {}
            Ok(Some(section)) => self.begin_exchange(shared, section)?,
            Err(error) => return Err(self.refusal(shared, error)),
        }
        let Self {
            message,
            intake,
            section,
            exchange,
        } = self;
        let Some(section) = section else {
            tracing::error!(%message, "content without a header section");
            return Err(replies::storage_failed(message));
        };
        match intake.finish().await {
            Ok(body) => Ok(Arrived {
                message,
                body,
                section,
                exchange,
            }),
            Err(error) => Err(storage_reply(shared, message, &error)),
        }
    }

    /// Nothing becomes of it.
    pub(super) fn give_up(self) {
        if let Some(exchange) = self.exchange {
            exchange.cancel();
        }
    }

    /// The header section is complete: from here on sinks can be asked while the body arrives.
    fn begin_exchange(&mut self, shared: &Shared, section: HeaderSection) -> Result<(), Reply> {
        let received = section
            .fields()
            .iter()
            .filter(|field| field.is("Received"))
            .count();
        if received > RECEIVED_MAX {
            return Err(replies::loop_detected(received));
        }
        if is_wanted(shared) {
            let incoming = IncomingMessage {
                message_id: self.message,
                headers: section.clone(),
                content: self.intake.content(),
            };
            let budget = Budget::starting(Instant::now(), shared.server.message_budget);
            self.exchange = Some(shared.scope.message(incoming, &budget));
        }
        self.section = Some(section);
        Ok(())
    }

    fn refusal(&self, shared: &Shared, error: IntakeError) -> Reply {
        let (limit, reply) = match error {
            IntakeError::Spool(error) => return storage_reply(shared, self.message, &error),
            IntakeError::Header(HeaderError::TooLarge { limit }) => {
                (LimitName::HeaderSize, replies::header_too_large(limit))
            }
            IntakeError::Header(HeaderError::TooMany { limit }) => {
                (LimitName::HeaderCount, replies::header_too_many(limit))
            }
        };
        shared.tools.metrics.count_limit(&shared.server.name, limit);
        reply
    }
}

/// Some sink wants to see messages of this session.
fn is_wanted(shared: &Shared) -> bool {
    shared.scope.wants(EventKind::InboundHeaders) || shared.scope.wants(EventKind::InboundMessage)
}
