//! What a refusal is about, and so whether it is the last word on a recipient.
//!
//! `docs/delivery.md` has the table that this module implements; a test holds the two together.

use super::outcome::Stage;
use super::response::Response;

/// What a refusal is about.
///
/// Only what is about the mail is final. All else passes: another host, session, command or transaction may do better, and
/// the report that is made when the schedule ends tells what the peer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Concern {
    /// The recipient, the sender or the message: a 5xx that is final.
    Mail,
    /// The moment: a 4xx.
    Moment,
    /// The connection, which the peer closes (421).
    Connection,
    /// The number of recipients in one transaction (RFC 5321 4.5.3.1.10).
    RecipientCount,
    /// The host: it has no mail service (RFC 7504), is not set up, or wants none of our sessions.
    Host,
    /// The session: it lacks the encryption or authentication that the peer wants (RFC 3207, RFC 4954).
    Session,
    /// A command or parameter that the peer does not know, or not now (RFC 5321 4.2.4).
    Command,
}

impl Concern {
    /// What a 4xx or 5xx at this stage is about.
    pub fn of(stage: Stage, response: &Response) -> Self {
        let status = response
            .enhanced
            .map(|code| (code.subject(), code.detail()));
        let too_many = match status {
            Some(status) => status == (5, 3),
            None => matches!(response.code, 452 | 552),
        };
        match stage {
            _ if response.announces_close() => Self::Connection,
            Stage::Rcpt if too_many => Self::RecipientCount,
            _ if !response.is_permanent() => Self::Moment,
            Stage::Greeting
            | Stage::Hello
            | Stage::StartTls
            | Stage::Auth
            | Stage::Idle
            | Stage::Rset
            | Stage::Quit => Self::Host,
            Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Content | Stage::ContentReply => {
                Self::of_transaction(response.code, status)
            }
        }
    }

    fn of_transaction(code: u16, status: Option<(u16, u16)>) -> Self {
        match (code, status) {
            // 3.1 full, 3.2 no network messages, 3.5 set up wrongly.
            (521, _) | (_, Some((3, 1 | 2 | 5))) => Self::Host,
            (520..=539, _) | (_, Some((7, 10 | 11))) => Self::Session,
            (500 | 502..=504 | 555, _) => Self::Command,
            // 501 is about what a command carries, mostly an address, unless it says that it is the command or a parameter.
            (501, Some((5, 1 | 4))) => Self::Command,
            _ => Self::Mail,
        }
    }

    /// Whether the refusal is the last word.
    pub fn is_final(self) -> bool {
        self == Self::Mail
    }

    /// Whether the peer does not know the command that it answers, or says that it has no place.
    pub(super) fn is_unknown_command(response: &Response) -> bool {
        matches!(response.code, 500 | 502 | 503)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;

    use super::*;
    use crate::client::response::{ReplyLimits, ResponseParser};

    const DELIVERY: &str = include_str!("../../../../docs/delivery.md");
    const TRANSACTION: [Stage; 5] = [
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Content,
        Stage::ContentReply,
    ];
    const SESSION: [Stage; 7] = [
        Stage::Greeting,
        Stage::Hello,
        Stage::StartTls,
        Stage::Auth,
        Stage::Idle,
        Stage::Rset,
        Stage::Quit,
    ];

    fn stages(word: &str) -> Vec<Stage> {
        match word {
            "any" => [&SESSION[..], &TRANSACTION[..]].concat(),
            "greeting" => vec![Stage::Greeting],
            "EHLO" => vec![Stage::Hello],
            "STARTTLS" => vec![Stage::StartTls],
            "AUTH" => vec![Stage::Auth],
            "RSET" => vec![Stage::Rset],
            "RCPT" => vec![Stage::Rcpt],
            "content" => vec![Stage::Content, Stage::ContentReply],
            "transaction" => TRANSACTION.to_vec(),
            _ => panic!("no stage: {word}"),
        }
    }

    fn concern(words: &str) -> Concern {
        match words {
            "mail" => Concern::Mail,
            "moment" => Concern::Moment,
            "connection" => Concern::Connection,
            "recipient count" => Concern::RecipientCount,
            "host" => Concern::Host,
            "session" => Concern::Session,
            "command" => Concern::Command,
            _ => panic!("no concern: {words}"),
        }
    }

    fn response(text: &str) -> Response {
        let mut input = BytesMut::from(format!("{text} no\r\n").as_bytes());
        let mut parser = ResponseParser::new(ReplyLimits::default());
        parser.parse(&mut input).unwrap().unwrap()
    }

    #[test]
    fn refusals_mean_what_the_page_says() {
        let (_, table) = DELIVERY.split_once("<!-- checked: refusals -->").unwrap();
        let rows = table.lines().skip_while(|line| !line.starts_with("| ---"));
        let mut checked = 0;
        for row in rows.skip(1).take_while(|line| line.starts_with('|')) {
            let cells: Vec<_> = row.split('|').map(str::trim).collect();
            let &[_, stage, replies, about, so, _] = cells.as_slice() else {
                panic!("{row}")
            };
            let (about, is_final) = (concern(about), so == "failed");
            for stage in stages(stage) {
                for reply in replies.split('`').map(str::trim).filter(|r| !r.is_empty()) {
                    let response = response(reply);
                    let found = Concern::of(stage, &response);
                    assert_eq!(found, about, "{reply} at {stage}");
                    assert_eq!(found.is_final(), is_final, "{reply} at {stage}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 150, "{checked}");
    }

    #[test]
    fn nothing_before_mail_is_final() {
        for stage in SESSION {
            for code in 400..600 {
                let found = Concern::of(stage, &response(&code.to_string()));
                assert!(!found.is_final(), "{code} at {stage}");
            }
        }
    }
}
