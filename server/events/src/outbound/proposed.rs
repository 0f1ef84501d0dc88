//! A command of an outgoing session, as bindings and conditions see it.

use bytes::Bytes;
use postern_proto::v1 as pb;

use super::commands::CommandsAnswer;
use crate::attributes::{Attribute, AttributeValue};
use crate::context::{CommandLine, OutgoingContext};
use crate::grant::Reads;
use crate::wire::View;

/// A command that is about to be sent, with what earlier bindings made of it.
///
/// A line that shows what the binding does not read is cut to its verb: an empty one says that it was dropped.
pub(super) fn proposed(
    native: &CommandLine,
    said: Option<&CommandsAnswer>,
    view: &View<'_>,
) -> pb::ProposedCommand {
    let shown = |line: &Bytes| seen(&native.verb, line, view.reads);
    let own = shown(&native.line);
    let (line, native_line) = match said.map(|said| said.proposed(&native.line)) {
        None => (own, Bytes::new()),
        Some(None) => (Bytes::new(), own),
        Some(Some(line)) => {
            let line = shown(line);
            let is_own = line == own;
            (line, if is_own { Bytes::new() } else { own })
        }
    };
    pb::ProposedCommand { line, native_line }
}

/// The line as a binding may see it. `verb` is that of the step: a line of an AUTH exchange need not begin with it.
fn seen(verb: &[u8], line: &Bytes, reads: &Reads) -> Bytes {
    let end = |from: usize| {
        let rest = line.get(from..).unwrap_or_default();
        let length = rest.iter().position(|&octet| octet == b' ');
        length.map_or(line.len(), |length| from + length)
    };
    let own = end(0);
    let first = line.slice(..own).to_ascii_uppercase();
    let auth: &[u8] = b"AUTH";
    if verb.eq_ignore_ascii_case(auth) || first == auth {
        return match (reads.credentials, first == auth) {
            (true, _) => line.clone(),
            // The mechanism is no secret.
            (false, true) => line.slice(..end((own + 1).min(line.len()))),
            (false, false) => Bytes::from_static(auth),
        };
    }
    let is_read = match first.as_slice() {
        b"MAIL" => reads.sender,
        b"RCPT" | b"VRFY" | b"EXPN" => reads.recipients,
        b"XCLIENT" | b"XFORWARD" => reads.session,
        _ => true,
    };
    if is_read {
        line.clone()
    } else {
        line.slice(..own)
    }
}

/// The whole line; of AUTH only the mechanism, unless the binding reads credentials.
pub(super) fn sent(command: &CommandLine, reads: &Reads) -> pb::Command {
    pb::Command {
        verb: command.verb.clone(),
        line: seen(&command.verb, &command.line, reads),
        pipelined: command.pipelined,
    }
}

/// Attributes of the command.
pub(super) fn of_command(
    attribute: Attribute,
    native: &CommandLine,
    said: Option<&CommandsAnswer>,
) -> Option<AttributeValue> {
    Some(match attribute {
        Attribute::CommandVerb => AttributeValue::lossy(&native.verb),
        Attribute::CommandLine => {
            let reads = Reads::everything();
            let line = match said {
                None => Some(&native.line),
                Some(said) => said.proposed(&native.line),
            };
            let line = line.map(|line| seen(&native.verb, line, &reads));
            AttributeValue::lossy(&line.unwrap_or_default())
        }
        _ => return None,
    })
}

/// Attributes of the remote end.
pub(super) fn of_remote(attribute: Attribute, context: &OutgoingContext) -> Option<AttributeValue> {
    let remote = &context.remote;
    let tls = remote.tls.as_ref();
    Some(match attribute {
        Attribute::RemoteDestination => AttributeValue::lossy(&remote.destination),
        Attribute::RemoteHost => AttributeValue::lossy(&remote.host),
        Attribute::RemoteAddress => AttributeValue::text(&remote.address),
        Attribute::RemotePort => AttributeValue::count(remote.port),
        Attribute::RemoteTls => AttributeValue::Bool(tls.is_some()),
        Attribute::RemoteTlsVersion => AttributeValue::text(tls.map_or("", |tls| &tls.version)),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::commands::OutgoingCommand;
    use super::*;
    use crate::answer::AnyAnswer;
    use crate::event::EventKind;
    use crate::question::AnyEvent;
    use crate::samples;

    /// A native command line.
    pub(in crate::outbound) fn line(verb: &'static str, line: &'static str) -> CommandLine {
        CommandLine {
            verb: Bytes::from_static(verb.as_bytes()),
            line: Bytes::from_static(line.as_bytes()),
            pipelined: false,
        }
    }

    /// An answer that sends this instead.
    pub(in crate::outbound) fn instead(line: &'static str) -> CommandsAnswer {
        CommandsAnswer {
            instead: vec![OutgoingCommand {
                line: Bytes::from_static(line.as_bytes()),
                ..OutgoingCommand::default()
            }],
            ..CommandsAnswer::default()
        }
    }

    /// A command that is not touched.
    pub(in crate::outbound) fn as_is(line: &'static str) -> Option<pb::ProposedCommand> {
        Some(pb::ProposedCommand {
            line: Bytes::from_static(line.as_bytes()),
            native_line: Bytes::new(),
        })
    }

    /// A command that a binding replaced.
    pub(in crate::outbound) fn replaced(
        line: &'static str,
        native: &'static str,
    ) -> Option<pb::ProposedCommand> {
        Some(pb::ProposedCommand {
            line: Bytes::from_static(line.as_bytes()),
            native_line: Bytes::from_static(native.as_bytes()),
        })
    }

    /// Every stage has the attributes of its command and of the remote end.
    pub(in crate::outbound) fn has_attributes(event: &dyn AnyEvent, verb: &str, line: &str) {
        let context = samples::outgoing().into();
        let text = AttributeValue::text;
        for (attribute, value) in [
            (Attribute::CommandVerb, text(verb)),
            (Attribute::CommandLine, text(line)),
        ]
        .into_iter()
        .chain(remote())
        {
            assert_eq!(samples::attribute(event, attribute, None, &context), value);
        }
        // Rules select the command at `outbound.command` and `outbound.response`; stages are no commands to them.
        let kind = event.kind();
        let is_command = matches!(
            kind,
            EventKind::OutboundCommand | EventKind::OutboundResponse
        );
        let command = event.facts().command.map(|command| &command.verb[..]);
        assert_eq!(command, is_command.then_some(verb.as_bytes()), "{kind}");
    }

    /// The attributes of the remote end of [`samples::outgoing`].
    pub(in crate::outbound) fn remote() -> [(Attribute, AttributeValue); 6] {
        let text = AttributeValue::text;
        [
            (Attribute::RemoteDestination, text("example.test")),
            (Attribute::RemoteHost, text("mx.example.test")),
            (Attribute::RemoteAddress, text("192.0.2.25")),
            (Attribute::RemotePort, AttributeValue::Int(25)),
            (Attribute::RemoteTls, AttributeValue::Bool(true)),
            (Attribute::RemoteTlsVersion, text("TLSv1.3")),
        ]
    }

    /// Conditions see a command as it was answered.
    pub(in crate::outbound) fn follows_answers(event: &dyn AnyEvent) {
        let context = samples::outgoing().into();
        let seen = |said: CommandsAnswer| {
            let said = AnyAnswer::new(said);
            samples::attribute(event, Attribute::CommandLine, Some(&said), &context)
        };
        assert_eq!(seen(instead("NOOP")), AttributeValue::text("NOOP"));
        let dropped = CommandsAnswer {
            drop: true,
            ..CommandsAnswer::default()
        };
        assert_eq!(seen(dropped), AttributeValue::text(""));
    }

    #[test]
    fn replaced_dropped_and_untouched_commands_are_told_apart() {
        let reads = samples::all();
        let view = View {
            reads: &reads,
            sink: "s",
        };
        let native = line("EHLO", "EHLO own.test");
        let shown = |said: Option<&CommandsAnswer>| Some(proposed(&native, said, &view));
        assert_eq!(shown(None), as_is("EHLO own.test"));
        let other = instead("EHLO other.test");
        assert_eq!(
            shown(Some(&other)),
            replaced("EHLO other.test", "EHLO own.test")
        );
        let same = instead("EHLO own.test");
        assert_eq!(shown(Some(&same)), as_is("EHLO own.test"));
        let dropped = CommandsAnswer {
            drop: true,
            ..CommandsAnswer::default()
        };
        assert_eq!(shown(Some(&dropped)), replaced("", "EHLO own.test"));
    }

    #[test]
    fn a_line_shows_only_what_is_read() {
        let none = Reads::default();
        let all = Reads::everything();
        let credentials = samples::all();
        let cases = [
            ("MAIL", "MAIL FROM:<a@b>", &none, "MAIL"),
            ("MAIL", "MAIL FROM:<a@b>", &all, "MAIL FROM:<a@b>"),
            ("RCPT", "rcpt TO:<a@b>", &none, "rcpt"),
            ("XCLIENT", "XCLIENT ADDR=::1", &none, "XCLIENT"),
            ("EHLO", "EHLO own.test", &none, "EHLO own.test"),
            ("AUTH", "AUTH PLAIN AGEAYg==", &all, "AUTH PLAIN"),
            ("AUTH", "AUTH LOGIN", &all, "AUTH LOGIN"),
            ("AUTH", "AGEAYg==", &all, "AUTH"),
            // A sink that authenticates by itself at another step.
            ("NOOP", "AUTH PLAIN AGEAYg==", &all, "AUTH PLAIN"),
            (
                "AUTH",
                "AUTH PLAIN AGEAYg==",
                &credentials,
                "AUTH PLAIN AGEAYg==",
            ),
            ("AUTH", "AGEAYg==", &credentials, "AGEAYg=="),
            ("QUIT", "", &none, ""),
        ];
        for (verb, line, reads, expected) in cases {
            let line = Bytes::from_static(line.as_bytes());
            assert_eq!(seen(verb.as_bytes(), &line, reads), expected);
        }
    }
}
