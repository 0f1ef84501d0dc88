//! The answer to the stages of an outgoing session: commands around and instead of the service's own.

use bytes::Bytes;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_smtp::client::{Extra, Line};

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::check::limit;
use crate::fault::Fault;

/// Commands that one answer may bring.
const MAX_COMMANDS: usize = 100;
/// Octets of a command line, without its CRLF.
const MAX_COMMAND: usize = 510;

/// Commands of an outgoing session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandsAnswer {
    /// Sent before the service's command.
    pub before: Vec<OutgoingCommand>,
    /// Sent instead of it. Empty and not `drop`: it is sent as it is.
    pub instead: Vec<OutgoingCommand>,
    /// Sent after it.
    pub after: Vec<OutgoingCommand>,
    /// Send no command of the service's at this stage.
    pub drop: bool,
    /// Ask again when these have been answered.
    pub ask_again: bool,
}

impl CommandsAnswer {
    /// Whether the session can do this about a command that is due. Its state depends on its own verbs.
    fn fits(&self, own_verb: &[u8], own_line: &[u8]) -> Result<(), Fault> {
        let refused = |why: &str, line: &[u8]| {
            let verb = verb(line).escape_ascii().to_string();
            Err(Fault::protocol(format!("{verb} {why}")))
        };
        for command in self.before.iter().chain(&self.after) {
            if !is_extra(&command.line) {
                return refused("is said by the service alone", &command.line);
            }
        }
        let is_own = |line: &[u8]| {
            let verb = verb(line);
            verb.eq_ignore_ascii_case(own_verb)
                || (verb.eq_ignore_ascii_case(b"HELO") && own_verb.eq_ignore_ascii_case(b"EHLO"))
        };
        let mut kept = self.instead.is_empty() && !self.drop;
        for command in &self.instead {
            match (is_extra(&command.line), is_own(&command.line)) {
                (true, _) => {}
                (false, true) if !kept => {
                    kept = true;
                    let fixed =
                        is_any_of(own_verb, &[b"RSET", b"DATA", b"BDAT", b"STARTTLS", b"QUIT"]);
                    if fixed && !command.line.eq_ignore_ascii_case(own_line) {
                        return refused("stays as it is, or is left out", own_line);
                    }
                    if command.payload.is_some() {
                        return refused("takes no payload", own_line);
                    }
                }
                (false, true) => return refused("is said once", &command.line),
                (false, false) => {
                    return refused("is said by the service alone", &command.line);
                }
            }
        }
        let is_needed = is_any_of(own_verb, &[b"EHLO", b"HELO", b"LHLO", b"RSET"]);
        if !kept && is_needed {
            return refused("cannot be left out", own_line);
        }
        let is_last = is_any_of(own_verb, &[b"STARTTLS", b"QUIT"]);
        let follows = !self.after.is_empty()
            || self
                .instead
                .last()
                .is_some_and(|last| kept && !is_own(&last.line));
        if is_last && follows {
            return refused("has nothing sent after it", own_line);
        }
        Ok(())
    }

    /// The command that would be sent in the place of the service's own: nothing where it is dropped.
    #[must_use]
    pub fn proposed<'a>(&'a self, native: &'a Bytes) -> Option<&'a Bytes> {
        match self.instead.first() {
            Some(first) => Some(&first.line),
            None if self.drop => None,
            None => Some(native),
        }
    }
}

/// One command of an outgoing session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutgoingCommand {
    /// The line without CRLF.
    pub line: Bytes,
    /// What is sent as it is.
    pub payload: Option<Payload>,
    /// It may be sent together with others (RFC 2920).
    pub may_pipeline: bool,
}

/// Octets that go with a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    /// The octets.
    pub octets: Bytes,
    /// They follow the line at once; else they are sent when the remote answers it with 3xx.
    pub follows: bool,
}

impl TypedAnswer for CommandsAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Commands);

    fn check(answer: AnswerBody, checks: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Commands(own) = answer else {
            return Err(not_the_answer());
        };
        let all = own.before.len() + own.instead.len() + own.after.len();
        limit("commands", all, MAX_COMMANDS)?;
        if own.drop && !own.instead.is_empty() {
            return Err(Fault::protocol(
                "a command is dropped or replaced, not both",
            ));
        }
        if own.ask_again {
            let only_before = own.instead.is_empty() && own.after.is_empty() && !own.drop;
            if own.before.is_empty() || !only_before {
                return Err(Fault::protocol(
                    "ask_again goes with commands in `before`, and with nothing else",
                ));
            }
        }
        let mut list = |commands: Vec<pb::OutgoingCommand>| -> Result<Vec<OutgoingCommand>, Fault> {
            let mut checked = Vec::with_capacity(commands.len());
            for command in commands {
                checked.push(command_line(command, checks)?);
            }
            Ok(checked)
        };
        let checked = CommandsAnswer {
            before: list(own.before)?,
            instead: list(own.instead)?,
            after: list(own.after)?,
            drop: own.drop,
            ask_again: own.ask_again,
        };
        if let Some((verb, line)) = checks.due() {
            checked.fits(verb, line)?;
        }
        Ok(checked)
    }

    /// What stands before and after adds up; on the command itself the last answer counts.
    fn then(mut self, later: Self) -> Self {
        self.before.extend(later.before);
        self.after.extend(later.after);
        if later.drop || !later.instead.is_empty() {
            self.drop = later.drop;
            self.instead = later.instead;
        }
        self.ask_again |= later.ask_again;
        self
    }
}

/// The first word of a line.
fn verb(line: &[u8]) -> &[u8] {
    let end = line.iter().position(|octet| matches!(octet, b' ' | b'\t'));
    line.get(..end.unwrap_or(line.len())).unwrap_or_default()
}

fn is_any_of(verb: &[u8], verbs: &[&[u8]]) -> bool {
    verbs.iter().any(|own| own.eq_ignore_ascii_case(verb))
}

/// Whether others than the session itself may say it.
fn is_extra(line: &Bytes) -> bool {
    Line::new(line.clone()).and_then(Extra::new).is_ok()
}

fn command_line(
    own: pb::OutgoingCommand,
    checks: &mut dyn Checks,
) -> Result<OutgoingCommand, Fault> {
    limit("octets of a command", own.line.len(), MAX_COMMAND)?;
    Line::new(own.line.clone()).map_err(|error| Fault::protocol(error.to_string()))?;
    if verb(&own.line).eq_ignore_ascii_case(b"AUTH") {
        return Err(Fault::protocol(
            "AUTH is said by the service alone, as its route is configured",
        ));
    }
    let payload = match own.payload {
        None => None,
        Some(data) => Some(Payload {
            octets: checks.data(data, "a command")?,
            follows: own.payload_follows,
        }),
    };
    Ok(OutgoingCommand {
        line: own.line,
        payload,
        may_pipeline: own.may_pipeline,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(line: &'static str) -> OutgoingCommand {
        OutgoingCommand {
            line: Bytes::from_static(line.as_bytes()),
            ..OutgoingCommand::default()
        }
    }

    #[test]
    fn what_the_state_of_a_session_depends_on_is_its_own() {
        let none = CommandsAnswer::default;
        let before = |own| CommandsAnswer {
            before: vec![line(own)],
            ..none()
        };
        let after = |own| CommandsAnswer {
            after: vec![line(own)],
            ..none()
        };
        let instead = |own: &[&'static str]| CommandsAnswer {
            instead: own.iter().map(|own| line(own)).collect(),
            ..none()
        };
        let dropped = || CommandsAnswer {
            drop: true,
            ..none()
        };
        let cases = [
            ("MAIL FROM:<a@b>", before("XCLIENT NAME=x"), true),
            ("MAIL FROM:<a@b>", before("RCPT TO:<a@b>"), false),
            ("MAIL FROM:<a@b>", after("XAFTER"), true),
            ("MAIL FROM:<a@b>", after("quit"), false),
            ("MAIL FROM:<a@b>", instead(&["MAIL FROM:<a@b> X=1"]), true),
            (
                "MAIL FROM:<a@b>",
                instead(&["XA", "mail FROM:<a@b>", "XB"]),
                true,
            ),
            (
                "MAIL FROM:<a@b>",
                instead(&["MAIL FROM:<a>", "MAIL FROM:<b>"]),
                false,
            ),
            ("MAIL FROM:<a@b>", instead(&["RCPT TO:<a@b>"]), false),
            ("MAIL FROM:<a@b>", instead(&["XA"]), true),
            ("MAIL FROM:<a@b>", dropped(), true),
            ("EHLO a.test", instead(&["EHLO b.test"]), true),
            ("EHLO a.test", instead(&["HELO b.test"]), true),
            ("EHLO a.test", instead(&["XHELO b.test"]), false),
            ("EHLO a.test", dropped(), false),
            ("LHLO a.test", instead(&["HELO b.test"]), false),
            ("RSET", dropped(), false),
            ("DATA", instead(&["DATA"]), true),
            ("DATA", instead(&["DATA now"]), false),
            ("BDAT 10 LAST", instead(&["BDAT 9 LAST"]), false),
            ("QUIT", dropped(), true),
            ("QUIT", after("XLATE"), false),
            ("STARTTLS", after("XLATE"), false),
            ("XFOO", instead(&["XBAR"]), true),
            ("XFOO", instead(&["DATA"]), false),
        ];
        for (due, answer, fits) in cases {
            let due = due.as_bytes();
            let found = answer.fits(verb(due), due);
            assert_eq!(found.is_ok(), fits, "{answer:?}: {found:?}");
        }
    }

    #[test]
    fn commands_around_add_up_and_the_last_word_on_the_command_counts() {
        let first = CommandsAnswer {
            before: vec![line("XCLIENT")],
            instead: vec![line("EHLO a")],
            ..CommandsAnswer::default()
        };
        let native = Bytes::from_static(b"EHLO own");
        assert_eq!(
            first.proposed(&native).map(|line| &line[..]),
            Some(&b"EHLO a"[..])
        );
        let both = first.clone().then(CommandsAnswer {
            before: vec![line("NOOP")],
            ..CommandsAnswer::default()
        });
        assert_eq!((both.before.len(), both.instead.len()), (2, 1));
        let dropped = both.then(CommandsAnswer {
            drop: true,
            ..CommandsAnswer::default()
        });
        assert_eq!(dropped.proposed(&native), None);
        assert_eq!(CommandsAnswer::default().proposed(&native), Some(&native));
    }
}
