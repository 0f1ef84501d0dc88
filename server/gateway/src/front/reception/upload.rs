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

use super::Reception;
use super::content::{Intake, IntakeError};
use super::message::storage_reply;
use crate::front::replies;
use crate::metrics::labels::LimitName;

/// `Received` fields beyond which a message goes round in circles (RFC 5321 section 6.3 wants at least 100).
const RECEIVED_MAX: usize = 100;

/// Content that is arriving.
pub(in crate::front) struct Upload {
    message: MessageId,
    intake: Intake,
    section: Option<HeaderSection>,
    exchange: Option<MessageExchange>,
}

/// Content that has arrived.
pub(in crate::front) struct Arrived {
    pub(in crate::front) message: MessageId,
    pub(in crate::front) body: StoredBody,
    pub(in crate::front) section: HeaderSection,
    /// There if any sink wants the message.
    pub(in crate::front) exchange: Option<MessageExchange>,
}

impl Upload {
    pub(in crate::front) fn new(
        reception: &Reception,
        message: MessageId,
        incoming: Receiving,
    ) -> Self {
        let intake = Intake::new(
            incoming,
            reception.server.limits.header,
            is_wanted(reception),
        );
        Self {
            message,
            intake,
            section: None,
            exchange: None,
        }
    }

    pub(in crate::front) fn size(&self) -> u64 {
        self.intake.size()
    }

    /// Octets of it that are in memory now.
    pub(in crate::front) fn in_memory(&self) -> u64 {
        self.intake.in_memory()
    }

    /// Octets of it that stay in memory, whatever goes to the disk.
    pub(in crate::front) fn kept_in_memory(&self) -> u64 {
        self.intake.kept_in_memory()
    }

    /// Lets what can go to the disk go there.
    ///
    /// # Errors
    /// The reply that refuses the message.
    pub(in crate::front) async fn spill(&mut self, reception: &Reception) -> Result<(), Reply> {
        let spilled = self.intake.spill().await;
        spilled.map_err(|error| storage_reply(reception, self.message, &error))
    }

    /// Takes the next octets. Once sinks have been asked, returns what resolves with an early refusal.
    ///
    /// # Errors
    /// The reply that refuses the message.
    pub(in crate::front) async fn take(
        &mut self,
        reception: &Reception,
        bytes: Bytes,
    ) -> Result<Option<BoxFuture<'static, Ruling>>, Reply> {
        match self.intake.take(bytes).await {
            Ok(None) => Ok(None),
            Ok(Some(section)) => {
                self.begin_exchange(reception, section)?;
                Ok(self
                    .exchange
                    .as_ref()
                    .map(|exchange| Box::pin(exchange.early()) as BoxFuture<'static, Ruling>))
            }
            Err(error) => Err(self.refusal(reception, error)),
        }
    }

    /// All of it has come.
    ///
    /// # Errors
    /// The reply that refuses the message.
    pub(in crate::front) async fn finish(
        mut self,
        reception: &Reception,
    ) -> Result<Arrived, Reply> {
        match self.intake.complete_header().await {
            Ok(None) => {}
            Ok(Some(section)) => self.begin_exchange(reception, section)?,
            Err(error) => return Err(self.refusal(reception, error)),
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
            Err(error) => Err(storage_reply(reception, message, &error)),
        }
    }

    /// Nothing becomes of it.
    pub(in crate::front) fn give_up(self) {
        if let Some(exchange) = self.exchange {
            exchange.cancel();
        }
    }

    /// The header section is complete: from here on sinks can be asked while the body arrives.
    fn begin_exchange(
        &mut self,
        reception: &Reception,
        section: HeaderSection,
    ) -> Result<(), Reply> {
        let received = section
            .fields()
            .iter()
            .filter(|field| field.is("Received"))
            .count();
        if received > RECEIVED_MAX {
            return Err(replies::loop_detected(received));
        }
        if is_wanted(reception) {
            let incoming = IncomingMessage {
                message_id: self.message,
                headers: section.clone(),
                content: self.intake.content(),
            };
            let budget = Budget::starting(Instant::now(), reception.server.message_budget);
            self.exchange = Some(reception.scope.message(incoming, &budget));
        }
        self.section = Some(section);
        Ok(())
    }

    fn refusal(&self, reception: &Reception, error: IntakeError) -> Reply {
        let (limit, reply) = match error {
            IntakeError::Spool(error) => return storage_reply(reception, self.message, &error),
            IntakeError::Header(HeaderError::TooLarge { limit }) => {
                (LimitName::HeaderSize, replies::header_too_large(limit))
            }
            IntakeError::Header(HeaderError::TooMany { limit }) => {
                (LimitName::HeaderCount, replies::header_too_many(limit))
            }
        };
        reception
            .tools
            .metrics
            .count_limit(&reception.server.name, limit);
        reply
    }
}

/// Some sink wants to see messages of this session.
fn is_wanted(reception: &Reception) -> bool {
    reception.scope.wants(EventKind::InboundHeaders)
        || reception.scope.wants(EventKind::InboundMessage)
}
