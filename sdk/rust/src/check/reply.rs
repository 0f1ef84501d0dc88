//! Replies that a verdict carries.

use postern_proto::rules::DecisionKind;

use super::{Question, Refusal, limit};
use crate::v1::{self, event};

const LINES: usize = 100;
const LINE_OCTETS: usize = 480;

/// The reply of a decision, whose class it must fit.
pub(super) fn check(
    reply: &v1::Reply,
    decided: DecisionKind,
    question: &Question<'_>,
) -> Result<(), Refusal> {
    let class = well_formed(reply, question)?;
    if !decided.rule().reply_classes.contains(&class) {
        return Err(Refusal::new(format!(
            "code {} contradicts {}",
            reply.code,
            decided.name()
        )));
    }
    let before_commands = matches!(
        question.event,
        v1::EventKind::InboundConnect | v1::EventKind::InboundTls
    );
    if decided == DecisionKind::Tempfail && reply.code == 421 && !before_commands {
        return Err(Refusal::new("421 ends the connection; use disconnect"));
    }
    Ok(())
}

/// The reply of `respond`: for verbs without effect in the service only.
pub(super) fn respond(
    reply: Option<&v1::Reply>,
    question: &Question<'_>,
    answer: Option<&v1::Answer>,
) -> Result<(), Refusal> {
    if let Some(event::Kind::InboundCommand(command)) = question.body
        && command.handling() == v1::CommandHandling::Effective
    {
        let verb = command.command.as_ref().map(|command| &command.verb);
        let verb = verb
            .map(|verb| String::from_utf8_lossy(verb))
            .unwrap_or_default();
        return Err(Refusal::new(format!(
            "{verb} has an effect in the service: it can only be refused"
        )));
    }
    match (reply, answer) {
        (Some(reply), _) => check(reply, DecisionKind::Respond, question),
        (None, Some(_)) => Ok(()),
        (None, None) => Err(Refusal::new("respond needs a reply")),
    }
}

/// Checks the form of a reply and returns the class of its code.
pub(super) fn well_formed(reply: &v1::Reply, question: &Question<'_>) -> Result<u8, Refusal> {
    if !(200..=599).contains(&reply.code) {
        return Err(Refusal::new(format!(
            "reply: code {} is not between 200 and 599",
            reply.code
        )));
    }
    let class = u8::try_from(reply.code / 100).unwrap_or_default();
    if !reply.enhanced_code.is_empty() && !fits(&reply.enhanced_code, class) {
        return Err(Refusal::new(format!(
            "reply: enhanced code {} does not fit code {}",
            String::from_utf8_lossy(&reply.enhanced_code),
            reply.code
        )));
    }
    limit("lines of a reply", reply.lines.len(), LINES)?;
    let utf8 = question
        .picture
        .envelope()
        .is_some_and(|envelope| envelope.smtp_utf8);
    for line in &reply.lines {
        limit("octets of a reply's line", line.len(), LINE_OCTETS)?;
        text(line, utf8)?;
    }
    Ok(class)
}

fn text(line: &[u8], utf8: bool) -> Result<(), Refusal> {
    if line
        .iter()
        .any(|octet| octet.is_ascii_control() && *octet != b'\t')
    {
        return Err(Refusal::new(
            "reply: a line holds CR, LF or another control character",
        ));
    }
    match line.is_ascii() || (utf8 && std::str::from_utf8(line).is_ok()) {
        true => Ok(()),
        false => Err(Refusal::new(
            "reply: a line is not ASCII, and the client did not give SMTPUTF8",
        )),
    }
}

/// Whether an enhanced status code is well formed and of this class (RFC 3463).
fn fits(code: &[u8], class: u8) -> bool {
    let parts: Vec<_> = code.split(|octet| *octet == b'.').collect();
    let number =
        |part: &&[u8]| (1..=3).contains(&part.len()) && part.iter().all(u8::is_ascii_digit);
    matches!(parts.as_slice(), [first, subject, detail]
        if *first == [b'0' + class] && number(subject) && number(detail))
}
