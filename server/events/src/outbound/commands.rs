//! The answer to the stages of an outgoing session: commands around and instead of the service's own.

use bytes::Bytes;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::check::limit;
use crate::fault::Fault;

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
        limit("commands", all, 100)?;
        if own.drop && !own.instead.is_empty() {
            return Err(Fault::protocol(
                "a command is dropped or replaced, not both",
            ));
        }
        let mut list = |commands: Vec<pb::OutgoingCommand>| -> Result<Vec<OutgoingCommand>, Fault> {
            let mut checked = Vec::with_capacity(commands.len());
            for command in commands {
                checked.push(command_line(command, checks)?);
            }
            Ok(checked)
        };
        Ok(CommandsAnswer {
            before: list(own.before)?,
            instead: list(own.instead)?,
            after: list(own.after)?,
            drop: own.drop,
            ask_again: own.ask_again,
        })
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

fn command_line(
    own: pb::OutgoingCommand,
    checks: &mut dyn Checks,
) -> Result<OutgoingCommand, Fault> {
    limit("octets of a command", own.line.len(), MAX_COMMAND)?;
    if own.line.is_empty() || own.line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Err(Fault::protocol(
            "a command is a line without CR, LF and NUL, and not empty",
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

    #[test]
    fn commands_around_add_up_and_the_last_word_on_the_command_counts() {
        let line = |line: &'static str| OutgoingCommand {
            line: Bytes::from_static(line.as_bytes()),
            ..OutgoingCommand::default()
        };
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
