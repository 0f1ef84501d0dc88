//! What the machine parsed, in the terms of the message and of the dispatcher.

use std::time::Duration;

use bytes::Bytes;
use postern_events::context::{CommandLine, Conduct, RawParameter};
use postern_events::inbound::{Auth, DisconnectReason, Expects, Handling};
use postern_message::{BodyKind, Envelope, Notify, Recipient, Return};
use postern_smtp::command::{Mail, Rcpt, Verb};
use postern_smtp::parameters::{self, Body, Ret};
use postern_smtp::server::{self, Additions, CloseReason, Counters, TimeoutReason};

use crate::metrics::labels::LimitName;

/// A command line for events.
pub(super) fn command_line(line: &server::CommandLine) -> CommandLine {
    // A verb ends at a blank and nowhere else, as for the machine: what it does not take for a verb is none for sinks either.
    let verb = line.raw.split(|octet| *octet == b' ').next();
    let verb = verb.unwrap_or_default();
    CommandLine {
        verb: Bytes::from(verb.to_ascii_uppercase()),
        line: line.raw.clone(),
        pipelined: line.pipelined,
    }
}

/// What the service itself does about a command. `verb`: what the line begins with; `additions`: what sinks have added.
pub(super) fn handling(line: &server::CommandLine, verb: &[u8], additions: &Additions) -> Handling {
    match line.verb {
        Verb::Noop | Verb::Help | Verb::Vrfy | Verb::Expn => Handling::Inert,
        Verb::Other if additions.verb(verb).is_some() => Handling::Registered,
        Verb::Other => Handling::Unknown,
        _ => Handling::Effective,
    }
}

/// What a sink waits for in a dialogue.
pub(super) fn expects(expects: Expects) -> server::Expects {
    let octets = |count| usize::try_from(count).unwrap_or(usize::MAX);
    match expects {
        Expects::Line(most) => server::Expects::Line(octets(most)),
        Expects::Octets(count) => server::Expects::Octets(octets(count)),
    }
}

/// A step of AUTH.
pub(super) fn auth(step: server::AuthStep, command: CommandLine) -> Auth {
    Auth {
        command,
        mechanism: step.mechanism,
        response: step.response,
        step: step.step,
    }
}

/// Parameters as they came.
pub(super) fn raw_parameters(raw: &[parameters::RawParameter]) -> Vec<RawParameter> {
    raw.iter()
        .map(|parameter| (parameter.keyword.clone(), parameter.value.clone()))
        .collect()
}

/// What MAIL said.
pub(super) fn envelope(mail: Mail) -> Envelope {
    let said = mail.parameters;
    let mut envelope = Envelope::new(mail.sender);
    envelope.smtp_utf8 = said.smtp_utf8;
    envelope.body = match said.body.unwrap_or_default() {
        Body::SevenBit => BodyKind::SevenBit,
        Body::EightBitMime => BodyKind::EightBitMime,
        Body::BinaryMime => BodyKind::BinaryMime,
    };
    envelope.ret = said.ret.map(|ret| match ret {
        Ret::Full => Return::Full,
        Ret::Headers => Return::Headers,
    });
    envelope.envid = said
        .envid
        .map(|envid| Bytes::copy_from_slice(envid.as_str().as_bytes()));
    envelope.declared_size = said.size;
    envelope.priority = said.priority.unwrap_or(0);
    envelope
}

fn value_of(raw: &[parameters::RawParameter], keyword: &[u8]) -> Option<Bytes> {
    let one = raw
        .iter()
        .find(|own| own.keyword.eq_ignore_ascii_case(keyword))?;
    one.value.clone()
}

/// What RCPT said.
pub(super) fn recipient(rcpt: Rcpt) -> Recipient {
    let said = rcpt.parameters;
    let mut recipient = Recipient::new(rcpt.recipient);
    // As it came, which is there already: among the parameters that sinks may ask for.
    recipient.orcpt = said
        .orcpt
        .is_some()
        .then(|| value_of(&said.raw, b"ORCPT"))
        .flatten();
    recipient.notify = said.notify.map(|notify| Notify {
        success: notify.success,
        failure: notify.failure,
        delay: notify.delay,
    });
    recipient
}

/// How the client has behaved so far.
pub(super) fn conduct(counters: &Counters, idle: Duration, connections: u32) -> Conduct {
    Conduct {
        commands: u32::try_from(counters.commands).unwrap_or(u32::MAX),
        errors: counters.refusals,
        syntax_errors: counters.syntax_errors,
        talked_early: counters.early_talker,
        pipelined_early: counters.pipelining_violations > 0,
        idle,
        messages: counters.messages,
        refused_recipients: counters.refused_recipients,
        junk_commands: counters.junk_commands,
        failed_authentications: counters.failed_authentications,
        connections,
    }
}

/// The limit that ended a session, if one did.
pub(super) fn limit_of(reason: &CloseReason) -> Option<LimitName> {
    Some(match reason {
        CloseReason::Timeout(TimeoutReason::Command) => LimitName::CommandTimeout,
        CloseReason::Timeout(TimeoutReason::Data) => LimitName::DataTimeout,
        CloseReason::Timeout(TimeoutReason::BodyRate) => LimitName::BodyRate,
        CloseReason::Errors => LimitName::Errors,
        CloseReason::FailedAuthentications => LimitName::FailuresPerSession,
        CloseReason::JunkCommands => LimitName::JunkCommands,
        CloseReason::Messages => LimitName::MessagesPerSession,
        CloseReason::LineTooLong => LimitName::LineLength,
        CloseReason::Dialogue => LimitName::Dialogue,
        _ => return None,
    })
}

/// Why the session ended, as sinks are told.
pub(super) fn disconnect_reason(reason: &CloseReason) -> DisconnectReason {
    match reason {
        CloseReason::Quit => DisconnectReason::Quit,
        CloseReason::ClientGone => DisconnectReason::ClientGone,
        CloseReason::Timeout(_) => DisconnectReason::Timeout,
        CloseReason::Disconnected | CloseReason::RefusedBody => DisconnectReason::Verdict,
        CloseReason::TlsFailed => DisconnectReason::Tls,
        CloseReason::Shutdown => DisconnectReason::Shutdown,
        _ => DisconnectReason::Limit,
    }
}

#[cfg(test)]
mod tests {
    use postern_smtp::reply::ReplyText;
    use postern_smtp::server::AddedVerb;

    use super::*;

    #[test]
    fn a_verb_is_what_the_machine_takes_for_one() {
        let additions = Additions {
            verbs: vec![AddedVerb {
                name: "XGREET".to_owned(),
                help: ReplyText::lossy("greets"),
            }],
            ..Additions::default()
        };
        for (raw, verb, own) in [
            ("xgreet you", "XGREET", Handling::Registered),
            ("XGREET", "XGREET", Handling::Registered),
            ("XGREET:", "XGREET:", Handling::Unknown),
            ("XGREET\tyou", "XGREET\tYOU", Handling::Unknown),
            ("RCPT:x", "RCPT:X", Handling::Unknown),
            ("RCPT TO:<a@b.test>", "RCPT", Handling::Effective),
        ] {
            let line = server::CommandLine {
                verb: Verb::of(raw.as_bytes()),
                raw: Bytes::from(raw),
                pipelined: false,
                pipelined_wrongly: false,
            };
            let told = command_line(&line);
            assert_eq!(told.verb, verb, "{raw}");
            assert_eq!(handling(&line, &told.verb, &additions), own, "{raw}");
        }
    }
}
