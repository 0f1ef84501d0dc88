//! Takes command lines out of the input.

use std::time::Instant;

use bytes::{Buf as _, Bytes, BytesMut};
use memchr::memchr;

use super::action::{Action, CloseReason, ReplyTo};
use super::auth::{AUTH_LINE, Dialogue};
use super::exchange::{Effect, Exchange};
use super::question::{Ask, CommandLine, Prospect, Question};
use super::replies;
use super::session::{Session, State};
use crate::command::Verb;
use crate::reply::Reply;

/// First words of HTTP requests. A browser made to talk to us must not get through to the next line.
const HTTP_METHODS: [&[u8]; 10] = [
    b"GET", b"POST", b"HEAD", b"PUT", b"OPTIONS", b"CONNECT", b"DELETE", b"TRACE", b"PATCH", b"PRI",
];

/// What the input has to offer.
pub(super) enum Line {
    /// A line, CRLF taken off.
    Whole(Bytes),
    TooLong,
    /// LF without CR.
    BareLf,
    Incomplete,
}

impl Session {
    /// Takes one command line, if one may be taken now and is complete. Returns whether anything happened.
    pub(super) fn take_command(&mut self, input: &mut BytesMut, now: Instant) -> bool {
        self.held_back = !input.is_empty() && !self.may_take(input);
        if input.is_empty() || self.held_back {
            return false;
        }
        if self.counters.commands == 0
            && input
                .first()
                .is_some_and(|first| !first.is_ascii_alphabetic())
        {
            self.refuse_line(
                Reply::fixed(554, Some((5, 0)), "This is not SMTP"),
                CloseReason::NotSmtp,
            );
            return true;
        }
        match next_line(input, self.command_line(input)) {
            Line::Incomplete => false,
            Line::Whole(line) => {
                self.handle_line(line, !input.is_empty(), now);
                true
            }
            Line::BareLf => {
                self.refuse_bare_lf();
                true
            }
            Line::TooLong => {
                self.state = State::SkipLine { skipped: 0 };
                true
            }
        }
    }

    /// Throws away a line that is too long, up to its CRLF. Returns whether anything was taken.
    pub(super) fn skip_line(&mut self, skipped: usize, input: &mut BytesMut, now: Instant) -> bool {
        let end = memchr::memmem::find(input, b"\r\n").map(|at| at + 2);
        // A CR at the end may belong to the CRLF.
        let keep = usize::from(end.is_none() && input.last() == Some(&b'\r'));
        let length = end.unwrap_or(input.len() - keep);
        let skipped = skipped.saturating_add(length);
        input.advance(length);
        let reply = Reply::fixed(500, Some((5, 6)), "Command line too long");
        if skipped > self.limits.line_length {
            self.refuse_line(reply, CloseReason::LineTooLong);
        } else if end.is_some() {
            self.state = State::ExpectCommand;
            self.counters.commands += 1;
            self.counters.syntax_errors += 1;
            // RCPTs before it may still be open: its reply waits for theirs.
            self.exchanges.push_back(Exchange {
                id: None,
                verb: Some(Verb::Other),
                effect: Effect::Nothing,
                acceptable: false,
                own: reply.clone(),
                close: None,
                settled: Some((reply, None)),
                talked_over: false,
                unknown: false,
            });
            self.flush(now);
        } else {
            self.state = State::SkipLine { skipped };
        }
        length > 0
    }

    pub(super) fn refuse_bare_lf(&mut self) {
        let reply = Reply::fixed(500, Some((5, 2)), "Lines end in CRLF, this one in LF");
        self.refuse_line(reply, CloseReason::BareLf);
    }

    /// What came is no command line, and nothing that follows it is taken for one.
    fn refuse_line(&mut self, reply: Reply, reason: CloseReason) {
        self.counters.commands += 1;
        self.counters.syntax_errors += 1;
        self.refuse_session(reply, reason);
    }

    /// A line may be taken if all before it are answered; RCPT also while other RCPTs wait for their answers, as
    /// long as it is certain that the limit of recipients is not what will refuse it.
    fn may_take(&mut self, input: &BytesMut) -> bool {
        let Some(last) = self.exchanges.back_mut() else {
            return true;
        };
        last.talked_over = true;
        if last.verb == Some(Verb::Data) || last.effect == Effect::StartTls {
            // The client talks before it heard 354, or 220.
            last.refuse_premature();
        }
        if last.verb != Some(Verb::Rcpt) {
            return false;
        }
        let open = self.exchanges.len();
        let recipients = self
            .transaction
            .as_ref()
            .map_or(0, |transaction| transaction.recipients as usize);
        let certain = recipients + open < self.limits.recipients as usize;
        certain
            && open < self.limits.recipients_in_flight
            && self
                .exchanges
                .iter()
                .all(|exchange| exchange.verb == Some(Verb::Rcpt))
            && may_be_rcpt(input)
    }

    /// How long the line may be that the input begins with. AUTH brings a response with it (RFC 4954 4.3).
    fn command_line(&self, input: &[u8]) -> usize {
        let limit = self.limits.command_line;
        if self.offers_auth() && is_auth(input) {
            limit.max(AUTH_LINE)
        } else {
            limit
        }
    }

    fn handle_line(&mut self, line: Bytes, more_input: bool, now: Instant) {
        let verb = Verb::of(&line);
        let word = Verb::word(&line);
        if HTTP_METHODS
            .iter()
            .any(|method| word.eq_ignore_ascii_case(method))
        {
            self.refuse_line(
                Reply::fixed(554, Some((5, 0)), "This is not SMTP"),
                CloseReason::NotSmtp,
            );
            return;
        }
        self.counters.commands += 1;
        if let Some((reply, reason)) = self.exhausted() {
            self.push_reply(ReplyTo::Command(None, verb), reply);
            self.close(reason);
            return;
        }
        self.replies_utf8 = self
            .transaction
            .as_ref()
            .is_some_and(|transaction| transaction.smtp_utf8);
        let pipelined_wrongly =
            more_input && (verb.ends_group() || !(self.may_pipeline() || verb == Verb::Bdat));
        if pipelined_wrongly {
            self.counters.pipelining_violations += 1;
        }
        if is_junk(verb)
            || self.config.additions.verb(word).is_some()
            || (self.hello.is_some() && matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Lhlo))
        {
            self.counters.count_junk();
        }
        let whole = line;
        let line = CommandLine {
            verb,
            raw: self.shown(verb, &whole),
            pipelined: more_input,
            pipelined_wrongly,
        };
        if verb == Verb::Rcpt
            && let Some(transaction) = &mut self.transaction
        {
            transaction.tried = true;
        }
        self.ask_about(line, &whole, more_input);
        self.flush(now);
    }

    /// What may be shown of a line. Of AUTH, in whatever spelling, the mechanism. Nothing of lines behind it that are no
    /// commands: a client that does not wait for challenges sends its name and password there, also where AUTH was refused.
    fn shown(&mut self, verb: Verb, line: &Bytes) -> Bytes {
        if let Some(auth) = auth_without_response(line) {
            self.expects_secrets = true;
            return auth;
        }
        self.expects_secrets &= verb == Verb::Other;
        if self.expects_secrets {
            Bytes::new()
        } else {
            line.clone()
        }
    }

    /// The client was offered to send commands together.
    fn may_pipeline(&self) -> bool {
        self.greeted_extended() && !self.withdrawn.has("PIPELINING")
    }

    /// What no more command is taken after.
    fn exhausted(&self) -> Option<(Reply, CloseReason)> {
        let (status, text, reason) = if self.shutting_down {
            ((3, 2), super::session::SHUTTING_DOWN, CloseReason::Shutdown)
        } else if self.counters.errors >= self.limits.errors {
            ((7, 0), "Too many errors", CloseReason::Errors)
        } else if self.counters.failed_authentications >= self.limits.failed_authentications {
            (
                (7, 0),
                "Too many failed authentications",
                CloseReason::FailedAuthentications,
            )
        } else if self.counters.junk >= self.limits.junk_commands {
            (
                (7, 0),
                "Too many commands that do nothing",
                CloseReason::JunkCommands,
            )
        } else {
            return None;
        };
        Some((replies::closing(&self.config, status, text), reason))
    }

    fn ask_about(&mut self, line: CommandLine, whole: &Bytes, more_input: bool) {
        let verb = line.verb;
        if matches!(verb, Verb::Helo | Verb::Ehlo | Verb::Lhlo) {
            self.mechanisms.clear();
        }
        let judgement = self.judge(verb, whole);
        let id = self.next_question();
        let mut prospect = judgement.prospect;
        // What is no command or breaks the grammar has these codes, and nothing else has (RFC 5321 4.2.4).
        let is_added = self.config.additions.verb(Verb::word(whole)).is_some();
        if let Prospect::Refuse(reply) = &prospect
            && matches!(reply.code().value(), 500 | 501 | 555)
            && !is_added
        {
            self.counters.syntax_errors += 1;
        }
        let mut exchange = Exchange {
            id: Some(id),
            verb: Some(verb),
            effect: judgement.effect,
            acceptable: matches!(prospect, Prospect::Accept(_)),
            own: judgement.own,
            close: judgement.close,
            settled: None,
            talked_over: more_input,
            unknown: verb == Verb::Other && !is_added,
        };
        if let Prospect::Accept(Ask::Auth(step)) = &prospect {
            self.dialogue = Some(Dialogue::begin(step));
        }
        // Octets behind DATA are a body that nobody agreed to; octets behind STARTTLS would be taken for encrypted.
        if more_input && (verb == Verb::Data || judgement.effect == Effect::StartTls) {
            exchange.refuse_premature();
            prospect = Prospect::Refuse(exchange.own.clone());
        }
        self.exchanges.push_back(exchange);
        self.actions.push_back(Action::Ask(Question {
            id,
            line: Some(line),
            prospect,
        }));
    }
}

/// Takes a line of at most `limit` octets out of the input.
pub(super) fn next_line(input: &mut BytesMut, limit: usize) -> Line {
    let Some(lf) = memchr(b'\n', input) else {
        return if input.len() > limit {
            Line::TooLong
        } else {
            Line::Incomplete
        };
    };
    if lf == 0 || input.get(lf - 1) != Some(&b'\r') {
        return Line::BareLf;
    }
    if lf + 1 > limit {
        return Line::TooLong;
    }
    // A copy: what is kept of a line must not keep all that was read with it.
    let line = Bytes::copy_from_slice(input.get(..lf - 1).unwrap_or_default());
    input.advance(lf + 1);
    Line::Whole(line)
}

/// Whether the input begins with AUTH and its argument.
fn is_auth(input: &[u8]) -> bool {
    input
        .get(..5)
        .is_some_and(|start| start.eq_ignore_ascii_case(b"AUTH "))
}

/// AUTH with its mechanism, whatever stands before, between and behind; `None`: the line is another command.
fn auth_without_response(line: &Bytes) -> Option<Bytes> {
    let is_part = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_');
    let blanks = line.iter().take_while(|b| b.is_ascii_whitespace()).count();
    let rest = line.get(blanks..).unwrap_or_default();
    let verb = rest.iter().take_while(|b| is_part(b)).count();
    let (verb, rest) = rest.split_at_checked(verb)?;
    if !verb.eq_ignore_ascii_case(b"AUTH") {
        return None;
    }
    let between = rest.iter().take_while(|b| !is_part(b)).count();
    let name = rest.iter().skip(between).take_while(|b| is_part(b)).count();
    Some(line.slice(..blanks + verb.len() + between + name))
}

/// Whether the input begins, or may come to begin, with RCPT.
fn may_be_rcpt(input: &[u8]) -> bool {
    let length = input.len().min(5);
    let start = input.get(..length).unwrap_or_default();
    start.eq_ignore_ascii_case(b"RCPT ".get(..length).unwrap_or_default())
}

const fn is_junk(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Noop | Verb::Rset | Verb::Vrfy | Verb::Expn | Verb::Help
    )
}
