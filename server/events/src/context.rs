//! What is known where an event happens: one struct for each kind of scope.

mod codec;
mod destination;
mod inbound;
mod message;
mod outgoing;
mod session;
mod tenant;
mod working;

use std::sync::Arc;

use postern_message::{
    Edit, EditError, EditLimits, MessageId, Properties, Recipient, RecipientId, SessionId, Version,
};

use crate::order::Order;

pub use destination::{DeliveryContext, DestinationContext, ServiceContext};
pub use inbound::{InboundContext, TransactionContext};
pub use message::MessageContext;
pub use outgoing::{Fit, OutgoingContext, Remote};
pub use session::{
    AddressSource, Authentication, Client, CommandLine, Conduct, Helo, Protocol, RawParameter,
    ReverseName, SessionContext, Tls,
};
pub use tenant::tenant_of;
pub use working::{Apart, ForkEdits, Made, Piece, Split, TRUNK, Working};

/// What is known where an event happens.
#[derive(Clone, Debug)]
pub enum Context {
    /// An inbound session, or a message that was held there.
    Inbound(Box<InboundContext>),
    /// A message in transport.
    Transport(Box<MessageContext>),
    /// An outgoing session.
    Outgoing(Box<OutgoingContext>),
    /// A destination.
    Destination(DestinationContext),
    /// What is told of deliveries.
    Delivery(DeliveryContext),
    /// The gateway itself.
    Service(ServiceContext),
}

/// A struct of [`Context`].
pub trait Within: Sized {
    /// The struct in a context, if the context is of its kind.
    fn of(context: &Context) -> Option<&Self>;
}

macro_rules! within {
    ($($kind:ident => $of:ty;)+) => {
        $(
            impl Within for $of {
                fn of(context: &Context) -> Option<&Self> {
                    match context {
                        Context::$kind(own) => Some(own),
                        _ => None,
                    }
                }
            }

            impl From<$of> for Context {
                fn from(own: $of) -> Self {
                    Self::$kind(own.into())
                }
            }
        )+
    };
}

within! {
    Inbound => InboundContext;
    Transport => MessageContext;
    Outgoing => OutgoingContext;
    Destination => DestinationContext;
    Delivery => DeliveryContext;
    Service => ServiceContext;
}

/// For events that happen in more than one kind of scope.
impl Within for Context {
    fn of(context: &Context) -> Option<&Self> {
        Some(context)
    }
}

impl Context {
    /// The virtual server.
    #[must_use]
    pub fn server(&self) -> &Arc<str> {
        match self {
            Self::Inbound(own) => &own.session().server,
            Self::Transport(own) => own.server(),
            Self::Outgoing(own) => &own.server,
            Self::Destination(own) => &own.server,
            Self::Delivery(own) => &own.server,
            Self::Service(own) => &own.server,
        }
    }

    /// The session: the one that is going on, or the one that brought the message.
    #[must_use]
    pub fn session(&self) -> Option<&SessionContext> {
        match self {
            Self::Inbound(own) => Some(own.session()),
            Self::Transport(own) => own.session(),
            Self::Outgoing(own) => own.message.as_ref()?.session(),
            Self::Destination(_) | Self::Delivery(_) | Self::Service(_) => None,
        }
    }

    /// When the session changed last, by the clock of the context. 0: there is none.
    #[must_use]
    pub fn session_at(&self) -> u64 {
        match self {
            Self::Inbound(own) => own.session_at(),
            Self::Transport(own) => u64::from(own.session().is_some()),
            Self::Outgoing(own) => own.session_at(),
            Self::Destination(_) | Self::Delivery(_) | Self::Service(_) => 0,
        }
    }

    /// The message that is judged, if there is one.
    #[must_use]
    pub fn working(&self) -> Option<&Working> {
        match self {
            Self::Inbound(own) => own.transaction().map(TransactionContext::working),
            Self::Transport(own) => Some(own.working()),
            Self::Outgoing(own) => own.message.as_deref().map(MessageContext::working),
            Self::Destination(_) | Self::Delivery(_) | Self::Service(_) => None,
        }
    }

    /// As [`Context::working`], to be changed.
    pub fn working_mut(&mut self) -> Option<&mut Working> {
        match self {
            Self::Inbound(own) => own.working_mut(),
            Self::Transport(own) => Some(own.working_mut()),
            Self::Outgoing(own) => own.message.as_deref_mut().map(MessageContext::working_mut),
            Self::Destination(_) | Self::Delivery(_) | Self::Service(_) => None,
        }
    }

    /// The message that is received, in transport, or sent.
    #[must_use]
    pub fn message_id(&self) -> Option<MessageId> {
        match self {
            Self::Inbound(own) => own.transaction().map(TransactionContext::id),
            Self::Transport(own) => Some(own.message().id),
            Self::Outgoing(own) => own.message.as_ref().map(|message| message.message().id),
            Self::Destination(_) | Self::Delivery(_) | Self::Service(_) => None,
        }
    }

    /// The session's id, also where no more than that is known of it.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        match self {
            Self::Transport(own) => own.message().session,
            Self::Outgoing(own) => own.message.as_ref()?.message().session,
            _ => self.session().map(|session| session.id),
        }
    }

    /// The id that names the trace: the session's, in transport the message's.
    #[must_use]
    pub fn trace_id(&self) -> Option<[u8; 16]> {
        match self {
            Self::Inbound(own) => Some(*own.session().id.as_bytes()),
            _ => self.message_id().map(|id| *id.as_bytes()),
        }
    }

    /// The message is one in transport that this sink put in itself.
    #[must_use]
    pub fn is_injected_by(&self, sink: &str) -> bool {
        let message = match self {
            Self::Transport(own) => Some(own.message()),
            Self::Outgoing(own) => own.message.as_ref().map(|message| message.message()),
            _ => None,
        };
        let injected = message.and_then(|message| message.injected.as_ref());
        injected.is_some_and(|own| own.sink == sink)
    }

    /// How many injections led to the message.
    #[must_use]
    pub fn injection_depth(&self) -> u8 {
        let message = match self {
            Self::Transport(own) => Some(own.message()),
            Self::Outgoing(own) => own.message.as_ref().map(|message| message.message()),
            _ => None,
        };
        let injected = message.and_then(|message| message.injected.as_ref());
        injected.map_or(0, |own| own.depth)
    }

    /// The version of the content as it is now.
    #[must_use]
    pub fn version(&self) -> Option<&Version> {
        self.working()?.draft().version.as_ref()
    }

    /// A recipient as it is now, one that is asked about included.
    #[must_use]
    pub fn recipient(&self, id: RecipientId) -> Option<&Recipient> {
        match self {
            Self::Inbound(own) => own.transaction()?.recipient(id),
            _ => self.working()?.recipient(id),
        }
    }

    /// Applies what a verdict changes, all or none. `of`: only this recipient, whose RCPT is asked about.
    ///
    /// # Errors
    /// The first edit that cannot be applied, or the first limit that the result is over.
    pub fn apply(
        &mut self,
        namespace: &str,
        edits: &[Edit],
        orders: &[Order],
        split: &Split,
        of: Option<RecipientId>,
        limits: &EditLimits,
    ) -> Result<Made, EditError> {
        if let Self::Inbound(own) = self {
            return own.apply(namespace, edits, orders, split, of, limits);
        }
        if let Self::Outgoing(own) = self {
            own.check_fit(edits, limits)?;
        }
        // Only a session that is going on has properties that can be set.
        let mut none = Properties::new();
        match self.working_mut() {
            Some(working) => working.apply(namespace, edits, orders, split, &mut none, limits),
            None => Ok(Made::default()),
        }
    }

    /// Some sink has set a property: what bindings see may differ by their sinks.
    #[must_use]
    pub(crate) fn has_properties(&self) -> bool {
        let of_session = self
            .session()
            .is_some_and(|session| !session.properties.is_empty());
        let pending = match self {
            Self::Inbound(own) => own.transaction().is_some_and(|running| {
                let mut pending = running.pending().iter();
                pending.any(|one| !one.properties.is_empty())
            }),
            _ => false,
        };
        of_session || pending || self.working().is_some_and(Working::has_properties)
    }

    /// A binding failed and was passed over.
    pub fn skip(&mut self, binding: &str) {
        if let Some(working) = self.working_mut() {
            working.skip(binding);
        } else if let Self::Inbound(own) = self {
            own.skip(binding);
        }
    }
}

#[cfg(test)]
mod tests;
