//! Answers about the commands of an outgoing session.

use postern_proto::v1 as pb;

use crate::answer::{CommandsAnswer, OutgoingCommand, OutgoingStage, Payload, RemoteStatusAnswer};
use crate::fault::Fault;
use crate::validate::edit::Checker;
use crate::validate::{limit, reply};

/// Octets of a command line, without its CRLF.
const MAX_COMMAND: usize = 510;

pub(super) fn commands(
    own: pb::CommandsAnswer,
    checker: &mut Checker<'_, '_>,
) -> Result<CommandsAnswer, Fault> {
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
            checked.push(command_line(command, checker)?);
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

fn command_line(
    own: pb::OutgoingCommand,
    checker: &mut Checker<'_, '_>,
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
            octets: checker.data(data, "a command")?,
            follows: own.payload_follows,
        }),
    };
    Ok(OutgoingCommand {
        line: own.line,
        payload,
        may_pipeline: own.may_pipeline,
    })
}

pub(super) fn remote_status(
    own: pb::RemoteStatusAnswer,
    checker: &Checker<'_, '_>,
) -> Result<RemoteStatusAnswer, Fault> {
    let reply = own.reply;
    let reply =
        reply.map(|reply| reply::of_class(reply, &[2, 3, 4, 5], "a remote reply", checker.asked));
    let next_stage = match pb::OutgoingStage::try_from(own.next_stage) {
        Ok(pb::OutgoingStage::Unspecified) => None,
        Ok(pb::OutgoingStage::SessionStart) => Some(OutgoingStage::SessionStart),
        Ok(pb::OutgoingStage::MessageStart) => Some(OutgoingStage::MessageStart),
        Ok(pb::OutgoingStage::Recipient) => Some(OutgoingStage::Recipient),
        Ok(pb::OutgoingStage::BeforeData) => Some(OutgoingStage::BeforeData),
        Ok(pb::OutgoingStage::SessionEnd) => Some(OutgoingStage::SessionEnd),
        Err(_) => return Err(Fault::protocol("the next stage is unknown")),
    };
    Ok(RemoteStatusAnswer {
        reply: reply.transpose()?,
        next_stage,
    })
}
