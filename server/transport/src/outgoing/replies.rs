//! Replies of remotes as events have them, replies of sinks as a session has them, and what rulings about replies come to.

use std::sync::Arc;

use bytes::Bytes;
use postern_events::context::CommandLine;
use postern_events::outbound::{OutgoingStage, RemoteStatusAnswer};
use postern_events::ruling::{Decision, Ruling};
use postern_smtp::client::{
    Answered, NextStage, Response, ResponseAnswer, ResponseQuestion, Taking, TlsAnswer,
};
use postern_smtp::reply::{Code, EnhancedCode, MAX_LINES, Reply, ReplyText};

/// How to take a reply. `accepted`: the remote has the message, and nothing refuses it any more.
pub(super) fn response_answer(ruling: Ruling, accepted: bool) -> ResponseAnswer {
    let ruling = ruling.typed::<RemoteStatusAnswer>();
    match ruling.decision {
        Decision::Reject(_) | Decision::Tempfail(_) if accepted => ResponseAnswer::Proceed,
        Decision::Reject(reply) | Decision::Tempfail(reply) => {
            ResponseAnswer::Refuse(Arc::new(response_of(&reply, true)))
        }
        Decision::Disconnect(_) => ResponseAnswer::End,
        _ => match ruling.answer {
            Some(answer) if answer != RemoteStatusAnswer::default() => {
                ResponseAnswer::Take(Taking {
                    response: answer
                        .reply
                        .map(|reply| Arc::new(response_of(&reply, true))),
                    next: answer.next_stage.map(stage_of),
                })
            }
            _ => ResponseAnswer::Proceed,
        },
    }
}

/// What to do about how TLS turned out.
pub(super) fn tls_answer(ruling: &Ruling) -> TlsAnswer {
    match &ruling.decision {
        Decision::Reject(reply) | Decision::Tempfail(reply) => {
            TlsAnswer::Refuse(Arc::new(response_of(reply, false)))
        }
        Decision::Disconnect(_) => TlsAnswer::End,
        _ => TlsAnswer::Proceed,
    }
}

/// The command that a reply is to.
pub(super) fn answered(question: &ResponseQuestion) -> CommandLine {
    let word = |word: &'static [u8]| CommandLine {
        verb: Bytes::from_static(word),
        ..CommandLine::default()
    };
    let command = match &question.to {
        Answered::Connection => word(b"CONNECT"),
        Answered::Content => word(b"."),
        Answered::Command(line) => super::line_of(line.clone()),
    };
    CommandLine {
        pipelined: question.pipelined,
        ..command
    }
}

/// A reply of a remote. What a reply cannot hold is left out.
pub(super) fn reply_of(response: &Response) -> Reply {
    let class = response.code / 100;
    // Second digits that RFC 5321 does not have say no more than the class.
    let code = Code::new(response.code).or_else(|_| Code::new(class * 100 + 50));
    let mut lines: Vec<_> = response.lines.iter().map(|line| &line[..]).collect();
    let prefix = response.enhanced.map(|code| format!("{code}"));
    if let (Some(first), Some(prefix)) = (lines.first_mut(), &prefix) {
        let rest = first.strip_prefix(prefix.as_bytes()).unwrap_or(first);
        *first = rest.strip_prefix(b" ").unwrap_or(rest);
    }
    let text = lines
        .into_iter()
        .take(MAX_LINES)
        .map(|line| ReplyText::lossy(&String::from_utf8_lossy(line)));
    let made = code.and_then(|code| Reply::new(code, response.enhanced, text.collect()));
    made.unwrap_or_else(|_| unclear(class))
}

fn unclear(class: u16) -> Reply {
    let code = Code::new(class.clamp(2, 5) * 100 + 50);
    let reply = code.and_then(|code| Reply::new(code, None, Vec::new()));
    reply.expect("there are codes of all four classes")
}

/// A reply as a session has it. `coded`: with the enhanced code in its text, as a remote says it.
pub(super) fn response_of(reply: &Reply, coded: bool) -> Response {
    let enhanced: Option<EnhancedCode> = reply.enhanced();
    let mut lines: Vec<Bytes> = reply
        .text()
        .iter()
        .map(|line| Bytes::copy_from_slice(line.as_str().as_bytes()))
        .collect();
    if let (true, Some(code)) = (coded, enhanced) {
        let first = lines.first().cloned().unwrap_or_default();
        let text = [format!("{code} ").as_bytes(), &first[..]].concat();
        match lines.first_mut() {
            Some(first) => *first = text.into(),
            None => lines.push(text.into()),
        }
    }
    Response {
        code: reply.code().value(),
        enhanced,
        lines,
    }
}

const fn stage_of(stage: OutgoingStage) -> NextStage {
    match stage {
        OutgoingStage::SessionStart => NextStage::SessionStart,
        OutgoingStage::MessageStart => NextStage::MessageStart,
        OutgoingStage::Recipient => NextStage::Recipient,
        OutgoingStage::BeforeData => NextStage::BeforeData,
        OutgoingStage::SessionEnd => NextStage::SessionEnd,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn response(code: u16, enhanced: Option<(u8, u16, u16)>, lines: &[&'static str]) -> Response {
        Response {
            code,
            enhanced: enhanced.and_then(|(a, b, c)| EnhancedCode::new(a, b, c).ok()),
            lines: lines
                .iter()
                .map(|line| Bytes::from_static(line.as_bytes()))
                .collect(),
        }
    }

    #[test]
    fn replies_go_there_and_back() {
        let native = response(550, Some((5, 1, 1)), &["5.1.1 no such", "user"]);
        let reply = reply_of(&native);
        let text: Vec<_> = reply.text().iter().map(|line| line.as_str()).collect();
        assert_eq!(
            (reply.code().value(), &text[..]),
            (550, &["no such", "user"][..])
        );
        assert_eq!(response_of(&reply, true), native);
        assert_eq!(response_of(&reply, false).lines[0], "no such");
    }

    #[test]
    fn what_no_reply_can_hold_is_made_into_one() {
        for (code, becomes) in [(299, 250), (499, 450), (354, 354)] {
            let odd = response(code, None, &["a\u{1}b"]);
            assert_eq!(reply_of(&odd).code().value(), becomes);
        }
        let many = response(250, None, &["x"; 300]);
        assert_eq!(reply_of(&many).text().len(), MAX_LINES);
    }
}
