//! Typed answers: what events ask for, and how what two sinks said combines.
//!
//! For all of them: the last counts, and each sink sees what the former said.

mod expansion;
mod local;
mod outgoing;
mod reply;
mod route;
mod session;

use postern_proto::rules::AnswerKind;

pub use expansion::{Expanded, Expansion, ExpansionAnswer, Members};
pub use local::{DsnAction, DsnAnswer, DsnRuling, LocalDeliveryAnswer, SizeAnswer};
pub use outgoing::{CommandsAnswer, OutgoingCommand, OutgoingStage, Payload, RemoteStatusAnswer};
pub use reply::{DialogueAnswer, Expects, ResponseAnswer};
pub use route::{ResolveAnswer, ResolvedHost, RouteAnswer};
pub use session::{AuthAnswer, AuthSuccess, RcptAnswer, RecipientKind};

/// The answer that one event takes.
pub trait TypedAnswer: Clone + Send + Sync + 'static {
    /// The answer, if it is of this kind.
    fn of(answer: &AnyAnswer) -> Option<&Self>;
    /// The answer, if it is of this kind.
    fn from_any(answer: AnyAnswer) -> Option<Self>;
}

/// Events that ask for nothing beside a decision have this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {}

impl TypedAnswer for NoAnswer {
    fn of(_answer: &AnyAnswer) -> Option<&Self> {
        None
    }

    fn from_any(_answer: AnyAnswer) -> Option<Self> {
        None
    }
}

macro_rules! answers {
    ($($(#[$doc:meta])* $kind:ident($of:ty);)+) => {
        /// An answer of any kind, checked.
        #[derive(Clone, Debug, PartialEq)]
        pub enum AnyAnswer {
            $($(#[$doc])* $kind($of),)+
        }

        impl AnyAnswer {
            /// Which one.
            #[must_use]
            pub const fn kind(&self) -> AnswerKind {
                match self {
                    $(Self::$kind(_) => AnswerKind::$kind,)+
                }
            }

            /// This answer, and then another one to the same question.
            #[must_use]
            pub fn then(self, later: Self) -> Self {
                match (self, later) {
                    $((Self::$kind(own), Self::$kind(later)) => Self::$kind(own.then(later)),)+
                    (_, later) => later,
                }
            }
        }

        $(
            impl TypedAnswer for $of {
                fn of(answer: &AnyAnswer) -> Option<&Self> {
                    match answer {
                        AnyAnswer::$kind(own) => Some(own),
                        _ => None,
                    }
                }

                fn from_any(answer: AnyAnswer) -> Option<Self> {
                    match answer {
                        AnyAnswer::$kind(own) => Some(own),
                        _ => None,
                    }
                }
            }
        )+
    };
}

answers! {
    /// What a recipient is.
    Rcpt(RcptAnswer);
    /// Another reply than the one about to be sent.
    Response(ResponseAnswer);
    /// A step of an AUTH exchange.
    Auth(AuthAnswer);
    /// A step of a dialogue that the sink carries on.
    Dialogue(DialogueAnswer);
    /// What recipients resolve to.
    Expansion(ExpansionAnswer);
    /// Where a destination's mail goes.
    Route(RouteAnswer);
    /// Addresses for a name.
    Resolve(ResolveAnswer);
    /// Whether a size limit is imposed.
    Size(SizeAnswer);
    /// What became of local recipients.
    LocalDelivery(LocalDeliveryAnswer);
    /// How a notification is made.
    Dsn(DsnAnswer);
    /// Commands of an outgoing session.
    Commands(CommandsAnswer);
    /// How a remote reply is taken.
    RemoteStatus(RemoteStatusAnswer);
}
