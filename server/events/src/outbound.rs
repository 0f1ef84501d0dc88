//! Events of an outgoing session: one file an event.

mod before_data;
mod command;
mod message_start;
mod recipient;
mod response;
mod session_end;
mod session_start;
mod tls;

use bytes::Bytes;
use postern_proto::v1 as pb;

use crate::answer::CommandsAnswer;
use crate::grant::Reads;

pub use before_data::BeforeData;
pub use command::Command;
pub use message_start::{BodyChange, HeaderChange, MessageStart, Revision};
pub use recipient::Recipient;
pub use response::Response;
pub use session_end::SessionEnd;
pub use session_start::SessionStart;
pub use tls::Tls;

/// A command that is about to be sent, with what was said of it. `shown`: the binding reads what is in the line.
fn proposed(native: &Bytes, said: Option<&CommandsAnswer>, shown: bool) -> pb::ProposedCommand {
    if !shown {
        return pb::ProposedCommand::default();
    }
    match said.map(|said| said.proposed(native)) {
        None => pb::ProposedCommand {
            line: native.clone(),
            native_line: Bytes::new(),
        },
        Some(line) if line == Some(native) => pb::ProposedCommand {
            line: native.clone(),
            native_line: Bytes::new(),
        },
        Some(line) => pb::ProposedCommand {
            line: line.cloned().unwrap_or_default(),
            native_line: native.clone(),
        },
    }
}

/// Whether a binding that reads this may see the line of a command.
fn shows(verb: &[u8], reads: &Reads) -> bool {
    match verb.to_ascii_uppercase().as_slice() {
        b"MAIL" => reads.sender,
        b"RCPT" => reads.recipients,
        b"AUTH" => reads.credentials,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::OutgoingCommand;

    #[test]
    fn each_sees_what_the_former_made_of_the_command() {
        let native = Bytes::from_static(b"EHLO own");
        assert_eq!(proposed(&native, None, true).line, native);
        let said = CommandsAnswer {
            instead: vec![OutgoingCommand {
                line: Bytes::from_static(b"EHLO other"),
                ..OutgoingCommand::default()
            }],
            ..CommandsAnswer::default()
        };
        let shown = proposed(&native, Some(&said), true);
        assert_eq!(
            (&shown.line[..], &shown.native_line),
            (&b"EHLO other"[..], &native)
        );
        let dropped = CommandsAnswer {
            drop: true,
            ..CommandsAnswer::default()
        };
        let shown = proposed(&native, Some(&dropped), true);
        assert!(shown.line.is_empty() && shown.native_line == native);
        assert_eq!(
            proposed(&native, Some(&said), false),
            pb::ProposedCommand::default()
        );
    }
}
