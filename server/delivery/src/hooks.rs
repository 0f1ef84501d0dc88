//! Who is asked about outgoing sessions, and what is known of a session when it is.
//!
//! A session asks before its stages and commands and about replies (`postern_smtp::client::Question`). Who answers is no
//! affair of this crate: a [`Connection`](crate::Connection) hands each question on with what it knows of the remote, writes
//! what was said before meanwhile, and does what the answer says. Without hooks nothing is asked, and nothing waits.

use std::sync::Arc;

use bytes::Bytes;
use postern_message::{AttemptId, Message, Way};
use postern_smtp::client::{
    AnswerError, CommandAnswer, CommandQuestion, Questions, ResponseAnswer, ResponseQuestion,
    TlsAnswer, Transaction,
};
use postern_spool::ReadAt;

use super::content::ContentReader;
use super::fitting::Fitted;
use super::link::BoxFuture;

/// Says who answers for the sessions of one attempt to reach a hop.
pub trait Hooks: Send + Sync {
    /// A session is about to begin, with one host at one address. `None`: nobody wants to be asked.
    fn begin(&self) -> Option<Box<dyn SessionHooks>>;
}

/// Answers the questions of one session.
///
/// The futures own what they need: one may be given up when the connection is.
pub trait SessionHooks: Send {
    /// What is asked; the same for the whole session.
    fn questions(&self) -> Questions;

    /// What to do about a command that is due.
    fn command(
        &mut self,
        question: CommandQuestion,
        remote: &Arc<RemoteEnd>,
    ) -> BoxFuture<'static, CommandReply>;

    /// What to do about how TLS turned out. `failure`: it has to be there and is not, for this reason; the session is over as
    /// it is, and a refusal says with which words. Empty: the session is open.
    fn tls(&mut self, remote: &Arc<RemoteEnd>, failure: String) -> BoxFuture<'static, TlsAnswer>;

    /// How to take a reply.
    fn response(
        &mut self,
        question: ResponseQuestion,
        remote: &Arc<RemoteEnd>,
    ) -> BoxFuture<'static, ResponseAnswer>;

    /// The last answer does not fit what the session can do now; another one was taken in its place.
    fn unfit(&mut self, error: AnswerError);

    /// Who is asked is who would be asked about a session that begins now.
    fn is_current(&self) -> bool;

    /// A message begins: what is asked from now on belongs to it.
    fn begin_message(&mut self, sending: Sending);

    /// The message is over.
    fn end_message(&mut self);
}

/// What to do about a command that is due.
#[derive(Debug)]
pub struct CommandReply {
    /// What to do.
    pub answer: CommandAnswer,
    /// Before MAIL: the message is sent as this in place of what was to be sent.
    pub revised: Option<Revised>,
}

impl From<CommandAnswer> for CommandReply {
    fn from(answer: CommandAnswer) -> Self {
        Self {
            answer,
            revised: None,
        }
    }
}

/// A message with another content, or other parameters, for one transaction.
pub struct Revised {
    /// The same recipients in the same order.
    pub transaction: Transaction,
    /// What is sent.
    pub content: ContentReader,
}

impl std::fmt::Debug for Revised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let transaction = &self.transaction;
        f.debug_tuple("Revised").field(transaction).finish()
    }
}

/// What a transaction is about to send.
#[derive(Clone)]
pub struct Sending {
    /// The message.
    pub message: Arc<Message>,
    /// Its content as it came.
    pub source: Arc<dyn ReadAt>,
    /// The recipients of the transaction, by their places in the message.
    pub recipients: Vec<usize>,
    /// How the content is sent.
    pub fitted: Fitted,
    /// What the peer takes.
    pub way: Way,
    /// The attempt that it belongs to.
    pub attempt: AttemptId,
}

/// The remote end of a session, as far as it is known by now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteEnd {
    /// Its host name, as the configuration or DNS has it.
    pub host: String,
    /// Address and port, or the path of its socket.
    pub address: String,
    /// Our own address and port; empty where there is none.
    pub source_address: String,
    /// TLS, once it is in use.
    pub tls: Option<Secured>,
    /// What its EHLO offers, one line each.
    pub offers: Vec<Bytes>,
}

/// What a handshake agreed upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secured {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// IANA's name of the cipher suite.
    pub cipher: String,
    /// The name that was asked for.
    pub server_name: String,
    /// The peer's certificates, DER, its own first.
    pub certificates: Vec<Bytes>,
    /// They were verified against authorities.
    pub verified: bool,
}
