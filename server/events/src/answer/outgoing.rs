//! Answers about the commands of an outgoing session.

use bytes::Bytes;
use postern_smtp::reply::Reply;

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
    /// What stands before and after adds up; on the command itself the last answer counts.
    pub(crate) fn then(mut self, later: Self) -> Self {
        self.before.extend(later.before);
        self.after.extend(later.after);
        if later.drop || !later.instead.is_empty() {
            self.drop = later.drop;
            self.instead = later.instead;
        }
        self.ask_again |= later.ask_again;
        self
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

/// Where an outgoing session goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutgoingStage {
    /// EHLO.
    SessionStart,
    /// MAIL.
    MessageStart,
    /// The next RCPT.
    Recipient,
    /// DATA or BDAT.
    BeforeData,
    /// QUIT.
    SessionEnd,
}

/// How a remote reply is taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RemoteStatusAnswer {
    /// Take this for the reply. `None`: as it came.
    pub reply: Option<Reply>,
    /// Go on here, if SMTP allows it.
    pub next_stage: Option<OutgoingStage>,
}

impl RemoteStatusAnswer {
    /// What a later answer does not say stays.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            reply: later.reply.or(self.reply),
            next_stage: later.next_stage.or(self.next_stage),
        }
    }
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
