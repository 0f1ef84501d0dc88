//! Replies that sinks want clients to read.

use postern_proto::v1 as pb;
use postern_smtp::reply::{Code, EnhancedCode, Reply, ReplyText};

use super::asked::Asked;
use crate::check::limit;
use crate::event::EventKind;
use crate::fault::Fault;

/// Octets of one line of a reply.
const MAX_LINE: usize = 480;
/// Lines of a reply.
const MAX_LINES: usize = 100;

pub(super) fn reject(reply: Option<pb::Reply>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let own = match asked.event() {
        EventKind::InboundConnect => 554,
        _ => 550,
    };
    let reply = make(reply, Some(own), asked)?;
    expect(&reply, "reject", |class| class == 5)?;
    Ok(reply)
}

pub(super) fn tempfail(reply: Option<pb::Reply>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let before_commands = matches!(
        asked.event(),
        EventKind::InboundConnect | EventKind::InboundTls
    );
    let reply = make(reply, Some(if before_commands { 421 } else { 451 }), asked)?;
    expect(&reply, "tempfail", |class| class == 4)?;
    if reply.code().value() == 421 && !before_commands {
        return Err(Fault::protocol("421 ends the connection; use disconnect"));
    }
    Ok(reply)
}

pub(super) fn disconnect(reply: Option<pb::Reply>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let reply = make(reply, Some(421), asked)?;
    expect(&reply, "disconnect", |class| class == 4 || class == 5)?;
    Ok(reply)
}

/// The answer to a command that the service does not act on. With a dialogue its own reply is in the answer.
pub(super) fn respond(
    reply: Option<pb::Reply>,
    has_answer: bool,
    asked: &Asked<'_>,
) -> Result<Option<Reply>, Fault> {
    if !asked.facts().answerable {
        return Err(Fault::protocol(
            "respond is for commands that the service does not act on; this one can only be refused",
        ));
    }
    if reply.is_none() && has_answer {
        return Ok(None);
    }
    let reply = make(reply, None, asked)?;
    expect(&reply, "respond", |class| class != 3)?;
    Ok(Some(reply))
}

/// A reply of any of these classes.
pub(super) fn of_class(
    reply: pb::Reply,
    classes: &[u8],
    what: &str,
    asked: &Asked<'_>,
) -> Result<Reply, Fault> {
    let reply = make(Some(reply), None, asked)?;
    expect(&reply, what, |class| classes.contains(&class))?;
    Ok(reply)
}

fn expect(reply: &Reply, what: &str, fits: impl Fn(u8) -> bool) -> Result<(), Fault> {
    if fits(reply.code().class()) {
        Ok(())
    } else {
        Err(Fault::protocol(format!(
            "code {} contradicts {what}",
            reply.code()
        )))
    }
}

/// Enhanced codes do not go with the banner and with replies to greetings (RFC 2034, section 4).
fn takes_enhanced(asked: &Asked<'_>) -> bool {
    let greets = asked.facts().command.is_some_and(|command| {
        [&b"CONNECT"[..], b"HELO", b"EHLO", b"LHLO"]
            .iter()
            .any(|verb| command.verb.eq_ignore_ascii_case(verb))
    });
    let inbound = asked.event().scope() == pb::Scope::InboundSession;
    !inbound
        || !greets
            && !matches!(
                asked.event(),
                EventKind::InboundConnect | EventKind::InboundHelo
            )
}

/// Makes the reply. Without one the gateway's own with the code `own` stands, if the decision has one.
fn make(reply: Option<pb::Reply>, own: Option<u16>, asked: &Asked<'_>) -> Result<Reply, Fault> {
    let refused = |error: &dyn std::fmt::Display| Fault::protocol(format!("reply: {error}"));
    let reply = match (reply, own) {
        (Some(reply), _) => reply,
        (None, Some(code)) => pb::Reply {
            code: code.into(),
            ..pb::Reply::default()
        },
        (None, None) => return Err(Fault::protocol("respond needs a reply")),
    };
    limit("lines of a reply", reply.lines.len(), MAX_LINES)?;
    let number = u16::try_from(reply.code).map_err(|_| refused(&"the code is out of range"))?;
    let code = Code::new(number).map_err(|error| refused(&error))?;
    let given = match reply.enhanced_code.as_ref() {
        b"" => None,
        text => {
            let text = std::str::from_utf8(text).map_err(|error| refused(&error))?;
            Some(EnhancedCode::parse(text).map_err(|error| refused(&error))?)
        }
    };
    let text = match reply.lines.as_slice() {
        [] => vec![ReplyText::new(default_text(code)).map_err(|error| refused(&error))?],
        lines => lines
            .iter()
            .map(|line| text(line, asked.utf8()))
            .collect::<Result<_, _>>()?,
    };
    // Checked as it was given, also where it is not sent.
    let checked = Reply::new(code, given, text.clone()).map_err(|error| refused(&error))?;
    let none = reply.without_enhanced_code || code.class() == 3 || !takes_enhanced(asked);
    let enhanced = match (none, given) {
        (true, None) => return Ok(checked),
        (true, Some(_)) => None,
        (false, Some(given)) => Some(given),
        (false, None) => fitting(code),
    };
    Reply::new(code, enhanced, text).map_err(|error| refused(&error))
}

/// The enhanced code that goes with a code.
fn fitting(code: Code) -> Option<EnhancedCode> {
    let (subject, detail) = match (code.class(), code.value()) {
        (2, _) => (0, 0),
        (_, 421) => (7, 0),
        _ => (7, 1),
    };
    EnhancedCode::new(code.class(), subject, detail).ok()
}

fn text(line: &[u8], utf8: bool) -> Result<ReplyText, Fault> {
    limit("octets of a line of a reply", line.len(), MAX_LINE)?;
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
