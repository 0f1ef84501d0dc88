//! What the session itself would do about a command: grammar, order, limits.

use bytes::Bytes;

use super::action::CloseReason;
use super::config::Protocol;
use super::exchange::Effect;
use super::question::{Ask, Prospect};
use super::replies;
use super::session::Session;
use crate::command::{
    Chunk, Command, CommandError, Extensions, Hello, HelloKind, Mail, Rcpt, Verb,
};
use crate::parameters::Body;
use crate::reply::Reply;

/// The session's own opinion of a command line.
pub(super) struct Judgement {
    pub(super) prospect: Prospect,
    pub(super) effect: Effect,
    pub(super) own: Reply,
    pub(super) close: Option<CloseReason>,
}

impl Judgement {
    pub(super) fn accept(ask: Ask, effect: Effect, own: Reply) -> Self {
        Self {
            prospect: Prospect::Accept(ask),
            effect,
            own,
            close: None,
        }
    }

    pub(super) fn refuse(own: Reply) -> Self {
        Self {
            prospect: Prospect::Refuse(own.clone()),
            effect: Effect::Nothing,
            own,
            close: None,
        }
    }

    fn refuse_and_close(own: Reply, reason: CloseReason) -> Self {
        Self {
            close: Some(reason),
            ..Self::refuse(own)
        }
    }
}

impl Session {
    pub(super) fn judge(&self, verb: Verb, line: &Bytes) -> Judgement {
        if verb != Verb::Bdat
            && let Some(refusal) = self.out_of_order(verb)
        {
            return Judgement::refuse(refusal);
        }
        let extensions = Extensions {
            offered: self.greeted_extended(),
            smtp_utf8: self
                .transaction
                .as_ref()
                .is_some_and(|transaction| transaction.smtp_utf8),
            priorities: self.config.priorities,
            auth: self.has_auth(),
            hello_names: self.config.hello_names,
            addresses: self.config.addresses,
        };
        let command = match Command::parse(line, extensions) {
            Ok(command) => command,
            // How many octets follow cannot be known, and they must not be read as commands.
            Err(error) if verb == Verb::Bdat => {
                return Judgement::refuse_and_close(
                    replies::command_error(error),
                    CloseReason::ChunkUnknown,
                );
            }
            Err(error) => return Judgement::refuse(replies::command_error(error)),
        };
        match command {
            Command::Hello(hello) => self.judge_hello(hello),
            Command::Mail(mail) => self.judge_mail(mail),
            Command::Rcpt(rcpt) => self.judge_rcpt(rcpt),
            Command::Data => self.judge_data(),
            Command::Bdat(chunk) => self.judge_chunk(chunk),
            Command::StartTls => Judgement::accept(
                Ask::StartTls,
                Effect::StartTls,
                Reply::fixed(220, Some((0, 0)), "Ready for TLS"),
            ),
            Command::Rset => Judgement::accept(
                Ask::Rset,
                Effect::Rset,
                Reply::fixed(250, Some((0, 0)), "Forgotten"),
            ),
            Command::Noop(_) => Judgement::accept(
                Ask::Noop,
                Effect::Nothing,
                Reply::fixed(250, Some((0, 0)), "OK"),
            ),
            Command::Quit => Judgement::accept(
                Ask::Quit,
                Effect::Quit,
                Reply::fixed(221, Some((0, 0)), "Bye"),
            ),
            Command::Vrfy(argument) => Judgement::accept(
                Ask::Vrfy(argument),
                Effect::Nothing,
                Reply::fixed(252, Some((0, 0)), "Not verified, send mail to find out"),
            ),
            Command::Help(argument) => {
                let reply = replies::help(&self.config.additions, &argument);
                Judgement::accept(Ask::Help(argument), Effect::Nothing, reply)
            }
            Command::Expn(_) => {
                Judgement::refuse(replies::not_available("EXPN is not available here"))
            }
            Command::Auth(auth) => self.judge_auth(auth),
        }
    }

    /// Order is looked at before grammar, so that a client out of step hears that first.
    fn out_of_order(&self, verb: Verb) -> Option<Reply> {
        let lmtp = self.config.protocol == Protocol::Lmtp;
        let wrong = match verb {
            Verb::Helo | Verb::Ehlo if lmtp => {
                return Some(Reply::fixed(
                    500,
                    Some((5, 1)),
                    "This is LMTP, greet with LHLO",
                ));
            }
            Verb::Lhlo if !lmtp => return Some(replies::command_error(CommandError::UnknownVerb)),
            Verb::StartTls if self.transport.tls => "TLS is active already",
            Verb::StartTls if !self.config.starttls || self.withdrawn.has("STARTTLS") => {
                return Some(replies::not_available("STARTTLS is not available"));
            }
            Verb::Auth if !self.has_auth() || self.withdrawn.has("AUTH") => {
                return Some(replies::not_available("AUTH is not available here"));
            }
            Verb::Mail | Verb::StartTls | Verb::Auth if self.hello.is_none() && lmtp => {
                "Greet with LHLO first"
            }
            Verb::Mail if self.hello.is_none() => "Greet with EHLO first",
            Verb::StartTls | Verb::Auth if !self.greeted_extended() => "Greet with EHLO first",
            Verb::StartTls if self.authenticated => "Not after AUTH",
            Verb::StartTls | Verb::Auth if self.transaction.is_some() => "Not within a transaction",
            Verb::Auth if self.authenticated => "Authenticated already",
            Verb::Auth if !self.offers_auth() => return Some(replies::encryption_required()),
            Verb::Mail if self.lacks_auth() => {
                let tls_first = self.offers_starttls() && !self.offers_auth();
                return Some(replies::authentication_required(tls_first));
            }
            Verb::Mail if self.transaction.is_some() => "A transaction is open already",
            Verb::Rcpt | Verb::Data if self.transaction.is_none() => "MAIL comes first",
            Verb::Rcpt | Verb::Data if self.has_chunks() => "The message has begun with BDAT",
            _ => return None,
        };
        Some(replies::sequence(wrong))
    }

    fn judge_hello(&self, hello: Hello) -> Judgement {
        let reply = replies::hello(hello.kind, &self.config, &self.limits, &self.offered());
        let kind = hello.kind;
        Judgement::accept(Ask::Hello(hello), Effect::Hello(kind), reply)
    }

    fn judge_mail(&self, mail: Mail) -> Judgement {
        if self.counters.transactions >= self.limits.messages_per_session {
            let reply = replies::closing(
                &self.config,
                (7, 0),
                "Too many messages in this session, connect again",
            );
            return Judgement::refuse_and_close(reply, CloseReason::Messages);
        }
        if self.withdrawn.covers(&mail.parameters.raw) {
            return Judgement::refuse(replies::not_offered());
        }
        if mail
            .parameters
            .size
            .is_some_and(|size| size > self.limits.max_message_size)
        {
            return Judgement::refuse(replies::too_large());
        }
        let effect = Effect::Mail {
            body: mail.parameters.body.unwrap_or_default(),
            smtp_utf8: mail.parameters.smtp_utf8,
        };
        Judgement::accept(
            Ask::Mail(mail),
            effect,
            Reply::fixed(250, Some((1, 0)), "Sender OK"),
        )
    }

    fn judge_rcpt(&self, rcpt: Rcpt) -> Judgement {
        if self.withdrawn.covers(&rcpt.parameters.raw) {
            return Judgement::refuse(replies::not_offered());
        }
        let recipients = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.recipients);
        if recipients >= self.limits.recipients {
            return Judgement::refuse(Reply::fixed(452, Some((5, 3)), "Too many recipients"));
        }
        Judgement::accept(
            Ask::Rcpt(rcpt),
            Effect::Rcpt,
            Reply::fixed(250, Some((1, 5)), "Recipient OK"),
        )
    }

    fn judge_data(&self) -> Judgement {
        let Some(transaction) = &self.transaction else {
            return Judgement::refuse(replies::sequence("MAIL comes first"));
        };
        if transaction.body == Body::BinaryMime {
            return Judgement::refuse(replies::sequence("BODY=BINARYMIME needs BDAT"));
        }
        if transaction.recipients == 0 && transaction.tried {
            return Judgement::refuse(Reply::fixed(554, Some((5, 1)), "No valid recipients"));
        }
        if transaction.recipients == 0 {
            return Judgement::refuse(replies::sequence("RCPT comes first"));
        }
        Judgement::accept(
            Ask::Data,
            Effect::Data,
            Reply::fixed(354, None, "End the message with a dot on a line of its own"),
        )
    }

    /// The effect stays even with a refusal: the octets that follow are taken in any case.
    fn judge_chunk(&self, chunk: Chunk) -> Judgement {
        let effect = Effect::Chunk(chunk);
        let refuse = |reply| Judgement {
            effect,
            ..Judgement::refuse(reply)
        };
        if self.withdrawn.has("CHUNKING") {
            return refuse(replies::not_available("BDAT is not available here"));
        }
        let Some(transaction) = self
            .transaction
            .as_ref()
            .filter(|_| self.greeted_extended())
        else {
            return refuse(replies::sequence("MAIL comes first"));
        };
        if let Some(refusal) = &transaction.refusal {
            return Judgement {
                close: refusal.close(),
                ..refuse(refusal.reply.clone())
            };
        }
        if transaction.recipients == 0 && transaction.tried {
            return refuse(Reply::fixed(554, Some((5, 1)), "No valid recipients"));
        }
        if transaction.recipients == 0 {
            return refuse(replies::sequence("RCPT comes first"));
        }
        let so_far = transaction
            .chunks
            .as_ref()
            .map_or(0, crate::content::ContentCheck::size);
        if so_far.saturating_add(chunk.size) > self.limits.max_message_size {
            return refuse(replies::too_large());
        }
        let reply = Reply::fixed(250, Some((0, 0)), format!("{} octets received", chunk.size));
        Judgement::accept(
            Ask::Bdat {
                chunk,
                first: transaction.chunks.is_none(),
            },
            effect,
            reply,
        )
    }

    pub(super) fn greeted_extended(&self) -> bool {
        matches!(self.hello, Some(HelloKind::Ehlo | HelloKind::Lhlo))
    }

    pub(super) fn offers_starttls(&self) -> bool {
        self.config.starttls && !self.transport.tls
    }

    fn has_chunks(&self) -> bool {
        self.transaction
            .as_ref()
            .is_some_and(|transaction| transaction.chunks.is_some())
    }
}
