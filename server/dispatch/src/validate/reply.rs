//! Replies that sinks want clients to read.

use postern_proto::v1 as wire;
use postern_smtp::reply::{Code, EnhancedCode, Reply, ReplyText};

use crate::event::EventKind;
use crate::fault::Fault;
use crate::table;

use super::Question;

pub(super) fn reject(reply: Option<wire::Reply>, question: &Question<'_>) -> Result<Reply, Fault> {
    let reply = make(reply, Some(550), question)?;
    expect(&reply, "reject", |class| class == 5)?;
    Ok(reply)
}

pub(super) fn tempfail(
    reply: Option<wire::Reply>,
    question: &Question<'_>,
) -> Result<Reply, Fault> {
    let before_commands = matches!(
        question.event,
        EventKind::InboundConnect | EventKind::InboundTls
    );
    let reply = make(
        reply,
        Some(if before_commands { 421 } else { 451 }),
        question,
    )?;
    expect(&reply, "tempfail", |class| class == 4)?;
    if reply.code().value() == 421 && !before_commands {
        return Err(Fault::protocol("421 ends the connection; use disconnect"));
    }
    Ok(reply)
}

pub(super) fn disconnect(
    reply: Option<wire::Reply>,
    question: &Question<'_>,
) -> Result<Reply, Fault> {
    let reply = make(reply, Some(421), question)?;
    expect(&reply, "disconnect", |class| class == 4 || class == 5)?;
    Ok(reply)
}

pub(super) fn respond(reply: Option<wire::Reply>, question: &Question<'_>) -> Result<Reply, Fault> {
    let reply = make(reply, None, question)?;
    if question.event == EventKind::InboundResponse {
        let class = question.reply.map(|own| own.code().class());
        expect(&reply, "respond to this reply", |own| Some(own) == class)?;
    } else {
        if let Some((verb, known)) = question.verb
            && !table::can_be_answered(verb, known)
        {
            return Err(Fault::protocol(format!(
                "respond cannot be decided for {verb}, which has an effect; refuse it, or change its reply at inbound.response"
            )));
        }
        expect(&reply, "respond", |class| class != 3)?;
    }
    Ok(reply)
}

fn expect(reply: &Reply, decision: &str, fits: impl Fn(u8) -> bool) -> Result<(), Fault> {
    if fits(reply.code().class()) {
        Ok(())
    } else {
        Err(Fault::protocol(format!(
            "code {} contradicts {decision}",
            reply.code()
        )))
    }
}

/// Makes the reply. Without one the gateway's own with the code `own` stands, if the decision has one.
fn make(
    reply: Option<wire::Reply>,
    own: Option<u16>,
    question: &Question<'_>,
) -> Result<Reply, Fault> {
    let refused = |error: &dyn std::fmt::Display| Fault::protocol(format!("reply: {error}"));
    let reply = match (reply, own) {
        (Some(reply), _) => reply,
        (None, Some(code)) => wire::Reply {
            code: code.into(),
            ..wire::Reply::default()
        },
        (None, None) => return Err(Fault::protocol("respond needs a reply")),
    };
    let number = u16::try_from(reply.code).map_err(|_| refused(&"the code is out of range"))?;
    let code = Code::new(number).map_err(|error| refused(&error))?;
    let enhanced = match (reply.enhanced_code.as_ref(), code.class()) {
        (b"", 3) => None,
        (b"", class) => {
            let detail = if class == 2 {
                (0, 0)
            } else {
                (7, u16::from(number != 421))
            };
            EnhancedCode::new(class, detail.0, detail.1).ok()
        }
        (text, _) => {
            let text = std::str::from_utf8(text).map_err(|error| refused(&error))?;
            Some(EnhancedCode::parse(text).map_err(|error| refused(&error))?)
        }
    };
    let text = match reply.lines.as_slice() {
        [] => vec![ReplyText::new(default_text(code)).map_err(|error| refused(&error))?],
        lines => lines
            .iter()
            .map(|line| text(line, question.utf8))
            .collect::<Result<_, _>>()?,
    };
    Reply::new(code, enhanced, text).map_err(|error| refused(&error))
}

fn text(line: &[u8], utf8: bool) -> Result<ReplyText, Fault> {
    let line =
        std::str::from_utf8(line).map_err(|_| Fault::protocol("reply: a line is not UTF-8"))?;
    if !utf8 && !line.is_ascii() {
        return Err(Fault::protocol(
            "reply: a line is not ASCII, and the client did not give SMTPUTF8",
        ));
    }
    ReplyText::new(line.to_owned()).map_err(|error| Fault::protocol(format!("reply: {error}")))
}

const fn default_text(code: Code) -> &'static str {
    match (code.class(), code.value()) {
        (2, _) => "Ok",
        (3, _) => "Go on",
        (_, 421) => "Closing the connection",
        (4, _) => "Not now, try again later",
        _ => "Refused by policy",
    }
}
