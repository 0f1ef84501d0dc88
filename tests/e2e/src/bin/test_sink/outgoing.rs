//! Events of outgoing sessions: their words for rules and log, and the answers that only they take.

use postern_proto::v1;
use postern_proto::v1::event::Kind as Happened;

/// What a test has sent around the gateway's own command.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Around(v1::CommandsAnswer);

/// How a test has a reply of the remote taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Taken(v1::RemoteStatusAnswer);

/// The event's name: `out-` and the words of the protocol.
pub(crate) fn name(event: &v1::Event) -> Option<&'static str> {
    Some(match event.kind {
        Some(Happened::OutboundSessionStart(_)) => "out-session-start",
        Some(Happened::OutboundMessageStart(_)) => "out-message-start",
        Some(Happened::OutboundRecipient(_)) => "out-recipient",
        Some(Happened::OutboundBeforeData(_)) => "out-before-data",
        Some(Happened::OutboundSessionEnd(_)) => "out-session-end",
        Some(Happened::OutboundCommand(_)) => "out-command",
        Some(Happened::OutboundResponse(_)) => "out-response",
        Some(Happened::OutboundTls(_)) => "out-tls",
        _ => return None,
    })
}

/// The line that is about to be sent, or verb and code of a reply.
pub(crate) fn subject(event: &v1::Event) -> Option<Vec<String>> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let line = |command: &Option<v1::ProposedCommand>| {
        let command = command.clone().unwrap_or_default();
        text(&command.line)
    };
    Some(match &event.kind {
        Some(Happened::OutboundSessionStart(own)) => {
            let remote = own.remote.clone().unwrap_or_default();
            vec![line(&own.command), format!("host={}", text(&remote.host))]
        }
        Some(Happened::OutboundMessageStart(own)) => {
            let remote = own.remote.clone().unwrap_or_default();
            vec![
                line(&own.command),
                format!("recipients={}", own.recipient_ids.len()),
                format!("offers={}", remote.extensions.len()),
                format!("revisions={}", own.revisions.len()),
            ]
        }
        Some(Happened::OutboundRecipient(own)) => vec![line(&own.command)],
        Some(Happened::OutboundBeforeData(own)) => vec![
            line(&own.command),
            format!("recipients={}", own.recipient_ids.len()),
        ],
        Some(Happened::OutboundSessionEnd(own)) => vec![line(&own.command)],
        Some(Happened::OutboundCommand(own)) => vec![line(&own.command)],
        Some(Happened::OutboundResponse(own)) => {
            let command = own.command.clone().unwrap_or_default();
            let code = own.reply.as_ref().map_or(0, |reply| reply.code);
            vec![text(&command.verb), code.to_string()]
        }
        Some(Happened::OutboundTls(own)) => {
            let tls = own.tls.clone().unwrap_or_default();
            vec![
                format!("version={}", tls.version),
                format!("policy={}", own.policy().as_str_name()),
                format!("source={}", own.policy_source),
                format!("failure={}", own.failure),
            ]
        }
        _ => return None,
    })
}

impl Around {
    /// `PLACE=LINE;…` with the places `before`, `instead` and `after`, `drop` and `again`. In a line `~` begins octets that are
    /// sent when the remote invites them, `^` those that follow at once.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut answer = v1::CommandsAnswer::default();
        for part in text.split(';') {
            match part.split_once('=') {
                None if part == "drop" => answer.drop = true,
                None if part == "again" => answer.ask_again = true,
                Some(("before", line)) => answer.before.push(command(line)),
                Some(("instead", line)) => answer.instead.push(command(line)),
                Some(("after", line)) => answer.after.push(command(line)),
                _ => return Err(format!("no such part: {part}")),
            }
        }
        Ok(Self(answer))
    }

    pub(crate) fn answer(&self) -> v1::Answer {
        v1::Answer {
            kind: Some(v1::answer::Kind::Commands(self.0.clone())),
        }
    }
}

fn command(text: &str) -> v1::OutgoingCommand {
    let (line, payload, follows) = match (text.split_once('~'), text.split_once('^')) {
        (Some((line, payload)), _) => (line, Some(payload), false),
        (None, Some((line, payload))) => (line, Some(payload), true),
        (None, None) => (text, None, false),
    };
    v1::OutgoingCommand {
        line: line.to_owned().into(),
        payload: payload.map(|payload| v1::Data {
            kind: Some(v1::data::Kind::Literal(format!("{payload}\r\n").into())),
        }),
        payload_follows: follows,
        may_pipeline: false,
    }
}

impl Taken {
    /// `CODE TEXT`, or one of the stages `message`, `recipient`, `data`, `end`, `session`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let next_stage = match text {
            "session" => v1::OutgoingStage::SessionStart,
            "message" => v1::OutgoingStage::MessageStart,
            "recipient" => v1::OutgoingStage::Recipient,
            "data" => v1::OutgoingStage::BeforeData,
            "end" => v1::OutgoingStage::SessionEnd,
            _ => {
                let (code, words) = text.split_once(' ').ok_or("CODE TEXT is due")?;
                let code = code.parse().map_err(|e| format!("{code}: {e}"))?;
                return Ok(Self(v1::RemoteStatusAnswer {
                    reply: Some(v1::Reply {
                        code,
                        lines: vec![words.to_owned().into()],
                        ..Default::default()
                    }),
                    ..Default::default()
                }));
            }
        };
        Ok(Self(v1::RemoteStatusAnswer {
            next_stage: next_stage.into(),
            ..Default::default()
        }))
    }

    pub(crate) fn answer(&self) -> v1::Answer {
        v1::Answer {
            kind: Some(v1::answer::Kind::RemoteStatus(self.0.clone())),
        }
    }
}
