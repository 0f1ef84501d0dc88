//! A message in transport.

use std::sync::Arc;

use postern_message::{DecodeError, Draft, Message};

use super::session::SessionContext;
use super::working::Working;

/// A message in transport, with the session that brought it.
#[derive(Clone, Debug)]
pub struct MessageContext {
    server: Arc<str>,
    session: Option<SessionContext>,
    message: Arc<Message>,
    working: Working,
    /// How often this stage was begun for the message, from 1.
    pub attempt: u32,
}

impl MessageContext {
    /// A message as it was stored.
    ///
    /// # Errors
    /// The record of its session cannot be read.
    pub fn new(message: Arc<Message>) -> Result<Self, DecodeError> {
        let session = if message.context.is_empty() {
            None
        } else {
            Some(SessionContext::decode(&message.context)?)
        };
        Ok(Self::with_session(message, session))
    }

    /// A message with the session that brought it.
    #[must_use]
    pub fn with_session(message: Arc<Message>, session: Option<SessionContext>) -> Self {
        let mut working = Working::new(message.id, Draft::of(&message));
        working.skipped.clone_from(&message.skipped);
        working.resume(message.handling.clone());
        Self {
            server: Arc::from(message.server.as_str()),
            session,
            working,
            message,
            attempt: 1,
        }
    }

    /// The virtual server that accepted it.
    #[must_use]
    pub const fn server(&self) -> &Arc<str> {
        &self.server
    }

    /// The session that brought it, as it stood when the message was accepted.
    #[must_use]
    pub const fn session(&self) -> Option<&SessionContext> {
        self.session.as_ref()
    }

    /// The message as it was when the stage began.
    #[must_use]
    pub const fn message(&self) -> &Arc<Message> {
        &self.message
    }

    /// The message as it is now.
    #[must_use]
    pub const fn working(&self) -> &Working {
        &self.working
    }

    /// The message as it is now, to be changed.
    pub const fn working_mut(&mut self) -> &mut Working {
        &mut self.working
    }
}
