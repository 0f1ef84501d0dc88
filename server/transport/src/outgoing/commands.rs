//! What a ruling about a command comes to in the session.

use std::sync::Arc;

use bytes::Bytes;
use postern_events::outbound::{CommandsAnswer, OutgoingCommand};
use postern_events::ruling::{Decision, Ruling};
use postern_smtp::client::{CommandAnswer, Commands, Extra, Line, LineError, OwnLine};

use super::replies::response_of;

/// What to do about a command that is due. `accepted`: the remote has the message, and nothing refuses it any more.
pub(super) fn answer(ruling: Ruling, accepted: bool, native: &Bytes) -> CommandAnswer {
    let ruling = ruling.typed::<CommandsAnswer>();
    match ruling.decision {
        Decision::Reject(_) | Decision::Tempfail(_) if accepted => CommandAnswer::Proceed,
        Decision::Reject(reply) | Decision::Tempfail(reply) => {
            CommandAnswer::Refuse(Arc::new(response_of(&reply, false)))
        }
        Decision::Disconnect(_) => CommandAnswer::End,
        _ => match ruling.answer {
            None => CommandAnswer::Proceed,
            Some(answer) => made_of(answer, native).unwrap_or_else(|error| {
                // The checks of verdicts let nothing of the kind pass.
                tracing::error!(%error, "a command of a sink cannot be sent");
                CommandAnswer::Proceed
            }),
        },
    }
}

fn made_of(answer: CommandsAnswer, native: &Bytes) -> Result<CommandAnswer, LineError> {
    let mut before = extras(answer.before)?;
    if answer.ask_again {
        return Ok(CommandAnswer::First(before));
    }
    let mut after = Vec::new();
    let own = if answer.drop {
        OwnLine::Drop
    } else if answer.instead.is_empty() {
        OwnLine::AsIs
    } else {
        let mut instead = answer.instead.into_iter();
        let mut own = OwnLine::Drop;
        for command in instead.by_ref() {
            match is_extra(&command.line) {
                true => before.push(extra(command)?),
                false => {
                    own = OwnLine::Instead(Line::new(command.line)?);
                    break;
                }
            }
        }
        after = extras(instead.collect())?;
        own
    };
    after.extend(extras(answer.after)?);
    let changed = own != OwnLine::AsIs || !before.is_empty() || !after.is_empty();
    let same = |own: &OwnLine| matches!(own, OwnLine::Instead(line) if line.as_bytes() == native);
    let own = match same(&own) {
        true => OwnLine::AsIs,
        false => own,
    };
    Ok(match changed {
        true => CommandAnswer::Send(Commands { before, own, after }),
        false => CommandAnswer::Proceed,
    })
}

/// Whether others than the session itself may say it.
fn is_extra(line: &Bytes) -> bool {
    Line::new(line.clone()).and_then(Extra::new).is_ok()
}

fn extras(commands: Vec<OutgoingCommand>) -> Result<Vec<Extra>, LineError> {
    commands.into_iter().map(extra).collect()
}

fn extra(command: OutgoingCommand) -> Result<Extra, LineError> {
    let mut extra = Extra::new(Line::new(command.line)?)?;
    if let Some(payload) = command.payload {
        extra = match payload.follows {
            true => extra.with_following(payload.octets)?,
            false => extra.with_invited(payload.octets)?,
        };
    }
    Ok(match command.may_pipeline {
        true => extra.pipelined(),
        false => extra,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use postern_events::answer::AnyAnswer;
    use postern_events::event::EventKind;
    use postern_smtp::reply::Reply;

    use super::*;

    const MAIL: &[u8] = b"MAIL FROM:<a@b.test>";

    fn command(line: &'static str) -> OutgoingCommand {
        OutgoingCommand {
            line: Bytes::from_static(line.as_bytes()),
            ..OutgoingCommand::default()
        }
    }

    fn lines(lines: &[&'static str]) -> Vec<OutgoingCommand> {
        lines.iter().map(|line| command(line)).collect()
    }

    fn made(said: CommandsAnswer) -> CommandAnswer {
        let ruling = Ruling {
            answer: Some(AnyAnswer::new(said)),
            ..Ruling::proceed(EventKind::OutboundMessageStart)
        };
        answer(ruling, false, &Bytes::from_static(MAIL))
    }

    fn extra_of(line: &'static str) -> Extra {
        Extra::new(Line::new(line).unwrap()).unwrap()
    }

    #[test]
    fn what_stands_instead_is_sent_around_the_own_line() {
        let said = made(CommandsAnswer {
            before: lines(&["XA"]),
            instead: lines(&["XB", "MAIL FROM:<a@b.test> X=1", "XC"]),
            after: lines(&["XD"]),
            ..CommandsAnswer::default()
        });
        let expected = Commands {
            before: vec![extra_of("XA"), extra_of("XB")],
            own: OwnLine::Instead(Line::new("MAIL FROM:<a@b.test> X=1").unwrap()),
            after: vec![extra_of("XC"), extra_of("XD")],
        };
        assert_eq!(said, CommandAnswer::Send(expected));
        let nothing = made(CommandsAnswer::default());
        assert_eq!(nothing, CommandAnswer::Proceed);
        let again = made(CommandsAnswer {
            before: lines(&["XA"]),
            ask_again: true,
            ..CommandsAnswer::default()
        });
        assert_eq!(again, CommandAnswer::First(vec![extra_of("XA")]));
    }

    #[test]
    fn what_was_accepted_is_not_refused() {
        let refused = || Ruling {
            decision: Decision::Reject(Reply::parse(550, Some("5.7.1"), "no").unwrap()),
            ..Ruling::proceed(EventKind::OutboundCommand)
        };
        let native = Bytes::from_static(b"QUIT");
        assert_eq!(answer(refused(), true, &native), CommandAnswer::Proceed);
        let CommandAnswer::Refuse(response) = answer(refused(), false, &native) else {
            panic!("not refused");
        };
        assert_eq!((response.code, response.lines.len()), (550, 1));
    }
}
