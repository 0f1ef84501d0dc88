//! What sessions want of the task of a sink, and what it answers.

use std::sync::Arc;
use std::time::Duration;

use postern_attach::{News, Opening, Question, Retry, Tried};
use postern_events::fault::Fault;
use postern_proto::v1 as pb;

use crate::answers::Answers;
use crate::attached::{Attached, Key};
use crate::shown::Shown;

/// The number of a question among all of this process.
pub(crate) type QuestionKey = u64;

/// What a session wants.
pub(crate) enum Command {
    /// Questions of one instance, asked in one go.
    Ask(Box<Ask>),
    /// One-way events of one instance.
    Tell(Box<Tell>),
    /// Nobody waits for the answer any more.
    Cancel {
        key: Key,
        question: QuestionKey,
        reason: pb::CancelReason,
    },
    /// The question has this much time from now on.
    Extend {
        question: QuestionKey,
        remaining: Duration,
    },
    /// What became of a verdict.
    Settle {
        question: QuestionKey,
        settled: Box<pb::Settled>,
    },
    /// The instance is not needed any more.
    Close {
        key: Key,
        /// What waited to be told.
        told: Vec<News>,
        reason: pb::CloseReason,
    },
    /// No new instances; streams end when what is open has ended, at the latest after this time.
    Drain { within: Duration },
}

/// An instance that is to be opened.
pub(crate) struct Begin {
    pub(crate) opening: Opening,
    /// What happened before and is told again.
    pub(crate) replayed: Vec<News>,
    /// Whole bodies may be shown in it: what it shares a connection with may be held up.
    pub(crate) bulky: bool,
    /// Where it was before, if the sink has fallen silent there.
    pub(crate) avoid: Option<Tried>,
}

/// Questions of one instance.
pub(crate) struct Ask {
    pub(crate) attached: Arc<Attached>,
    /// Set with the first that is sent of an instance.
    pub(crate) begin: Option<Box<Begin>>,
    /// Events that are told with the questions, in front of them.
    pub(crate) told: Vec<News>,
    pub(crate) questions: Vec<Asking>,
    /// Being asked has side effects, as the configuration or what was accepted says.
    pub(crate) careful: bool,
    /// The failure after which it is asked again.
    pub(crate) again: Option<Box<Again>>,
}

/// One question.
pub(crate) struct Asking {
    pub(crate) key: QuestionKey,
    pub(crate) question: Question,
    /// The content that goes with it.
    pub(crate) shown: Option<Arc<Shown>>,
    pub(crate) answers: Arc<Answers<Answer>>,
    pub(crate) ticket: Ticket,
}

/// What failed, and where it was tried.
#[derive(Clone)]
pub(crate) struct Again {
    pub(crate) tried: Tried,
    pub(crate) fault: Fault,
    pub(crate) retry: Retry,
}

/// One-way events of one instance.
pub(crate) struct Tell {
    pub(crate) attached: Arc<Attached>,
    pub(crate) begin: Option<Box<Begin>>,
    /// What waited to be told, in front of it.
    pub(crate) told: Vec<News>,
    pub(crate) news: News,
    /// Told for the record: what to report when it was sent, or lost.
    pub(crate) report: Box<dyn FnOnce(Told<'_>) + Send>,
}

/// What became of a one-way event.
pub(crate) enum Told<'a> {
    /// It was sent to this replica. So many before it were lost because the queue was full.
    Sent { replica: &'a str, lost: u64 },
    /// The sink does not want it.
    Declined,
    /// It was not sent.
    Failed(&'a Fault),
}

/// Which question of a chain an answer is to: the place of its member, and how often that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) member: usize,
    pub(crate) attempt: u32,
}

/// What the task of a sink has to say of a question.
pub(crate) struct Answer {
    pub(crate) ticket: Ticket,
    pub(crate) heard: Heard,
}

/// What was heard.
pub(crate) enum Heard {
    /// The verdict. Nothing but its size and form has been checked.
    Verdict(Box<pb::Verdict>),
    /// Still at work.
    Progress { wanted: Option<Duration> },
    /// No verdict will come.
    Failed {
        fault: Fault,
        /// It may be asked again, with this.
        again: Option<Box<Again>>,
    },
    /// The sink does not want the event.
    Declined,
    /// The instance is over: the question was not sent, and may be with a new one.
    Gone,
}
