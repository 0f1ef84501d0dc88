//! What an attempt came to for one recipient.

use std::time::SystemTime;

use postern_message::Status;
use postern_smtp::client::{Delivery, Failure, Response, Stage};

use super::connection::OpenError;
use super::maildir::MaildirError;

/// What an attempt came to for one recipient, and in whose words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempted {
    /// What it came to.
    pub fate: Fate,
    /// In these words.
    pub status: Status,
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// In a store that this gateway delivers to itself, or at an LMTP server.
    Delivered,
    /// At the next hop.
    Relayed,
    /// Not now.
    Deferred,
    /// Never.
    Failed,
}

impl Attempted {
    /// Our own words.
    pub fn own(fate: Fate, subject: u16, detail: u16, text: String, at: SystemTime) -> Self {
        let class = match fate {
            Fate::Delivered | Fate::Relayed => 2,
            Fate::Deferred => 4,
            Fate::Failed => 5,
        };
        let status = Status {
            at,
            code: None,
            enhanced: Some((class, subject, detail)),
            text,
            remote: None,
        };
        Self { fate, status }
    }

    /// The result of a transaction with a peer. `None`: the attempt says nothing of the message, since the connection had
    /// carried others before and was lost or closed before this one's content was through, or since the peer does not
    /// have BDAT although it offers it. Try again on another one, without BDAT.
    ///
    /// A recipient fails for good only by what was said of it, of the sender or of the message.
    pub fn from_peer(delivery: &Delivery, peer: &PeerFacts<'_>, at: SystemTime) -> Option<Self> {
        match delivery {
            Delivery::Accepted(response) => {
                let fate = if peer.lmtp {
                    Fate::Delivered
                } else {
                    Fate::Relayed
                };
                Some(Self::said(fate, response, peer.host, at))
            }
            Delivery::Refused { stage, response } => {
                let closing = response.announces_close();
                if peer.reused
                    && closing
                    && matches!(stage, Stage::Mail | Stage::Rset | Stage::Idle)
                {
                    return None;
                }
                let fate = if delivery.is_final() {
                    Fate::Failed
                } else {
                    Fate::Deferred
                };
                Some(Self::said(fate, response, peer.host, at))
            }
            Delivery::Impossible(obstacle) => {
                let fate = if peer.weakened {
                    Fate::Deferred
                } else {
                    Fate::Failed
                };
                let (subject, detail) = obstacle.status();
                Some(Self::own(fate, subject, detail, obstacle.to_string(), at))
            }
            Delivery::Declined { response, .. } => {
                let fate = match delivery.is_final() {
                    true => Fate::Failed,
                    false => Fate::Deferred,
                };
                let mut said = Self::said(fate, response, peer.host, at);
                said.status.remote = None;
                Some(said)
            }
            Delivery::Withheld { stage } => {
                let text = format!("left out of this attempt at {stage}");
                Some(Self::own(Fate::Deferred, 3, 0, text, at))
            }
            Delivery::Broken(failure) => {
                let lost = (peer.reused && is_loss(failure)) || is_without_bdat(failure);
                (!lost).then(|| Self::broken(failure, peer.host, at))
            }
        }
    }

    /// No session with a peer came about.
    pub fn from_open_error(error: &OpenError, at: SystemTime) -> Self {
        match error {
            OpenError::Connect(error) => {
                let fate = if error.is_permanent() {
                    Fate::Failed
                } else {
                    Fate::Deferred
                };
                let (subject, detail) = error.status();
                let mut own = Self::own(fate, subject, detail, error.to_string(), at);
                own.status.code = error.code();
                own
            }
            OpenError::Session { failure, host, .. } => Self::broken(failure, host, at),
            OpenError::Handshake { .. } => Self::own(Fate::Deferred, 7, 5, error.to_string(), at),
        }
    }

    /// The same as a reason why others have to wait: what one attempt found out never fails another message.
    pub fn as_passing(&self) -> Self {
        let mut passing = self.clone();
        passing.fate = Fate::Deferred;
        if let Some((class, _, _)) = &mut passing.status.enhanced {
            *class = 4;
        }
        passing
    }

    /// The result of a delivery to a Maildir.
    pub fn from_maildir(result: &Result<String, MaildirError>, at: SystemTime) -> Self {
        match result {
            Ok(name) => Self::own(Fate::Delivered, 0, 0, format!("delivered as {name}"), at),
            Err(error) => {
                let fate = if error.is_permanent() {
                    Fate::Failed
                } else {
                    Fate::Deferred
                };
                let (subject, detail) = error.status();
                Self::own(fate, subject, detail, error.to_string(), at)
            }
        }
    }

    fn said(fate: Fate, response: &Response, host: &str, at: SystemTime) -> Self {
        let class = (response.code / 100) as u8;
        let enhanced = response.enhanced.map_or((class, 0, 0), |code| {
            (code.class(), code.subject(), code.detail())
        });
        // A code of class 3 has no place in a status; it can only have come where another was due.
        let enhanced = matches!(class, 2 | 4 | 5).then_some(enhanced);
        // What passes must not read as final. The code stays as the peer said it.
        let enhanced = match (fate, enhanced) {
            (Fate::Deferred, Some((_, subject, detail))) => Some((4, subject, detail)),
            (_, enhanced) => enhanced,
        };
        let text = words(response);
        let status = Status {
            at,
            code: Some(response.code),
            enhanced,
            text,
            remote: Some(host.to_owned()),
        };
        Self { fate, status }
    }

    fn broken(failure: &Failure, host: &str, at: SystemTime) -> Self {
        let fate = if failure.is_permanent() {
            Fate::Failed
        } else {
            Fate::Deferred
        };
        match failure {
            // The codes alone: the text may repeat what was said.
            Failure::Refused {
                stage: Stage::Auth,
                response,
            } => {
                let detail = if response.is_permanent() { 8 } else { 0 };
                let text = "the host refused our login".to_owned();
                let mut own = Self::own(fate, 7, detail, text, at);
                own.status.code = Some(response.code);
                own.status.remote = Some(host.to_owned());
                own
            }
            Failure::Refused { response, .. } => {
                let mut said = Self::said(fate, response, host, at);
                said.status.enhanced = Some((4, 3, 2));
                said
            }
            // Whoever declined the session meant the messages that it was opened for.
            Failure::Declined { response, .. } => {
                let fate = match response.is_permanent() {
                    true => Fate::Failed,
                    false => Fate::Deferred,
                };
                let mut said = Self::said(fate, response, host, at);
                said.status.remote = None;
                said
            }
            Failure::Content(_) => Self::own(fate, 6, 0, failure.to_string(), at),
            Failure::TlsNotOffered | Failure::LoginInClear | Failure::LoginNotOffered => {
                Self::own(fate, 7, 4, failure.to_string(), at)
            }
            _ => {
                let mut own = Self::own(fate, 4, 2, failure.to_string(), at);
                own.status.remote = Some(host.to_owned());
                own
            }
        }
    }
}

/// What is known of the peer of a transaction.
#[derive(Debug, Clone, Copy)]
pub struct PeerFacts<'a> {
    /// Its host name.
    pub host: &'a str,
    /// It speaks LMTP: what it accepts is delivered.
    pub lmtp: bool,
    /// The connection had carried other messages before.
    pub reused: bool,
    /// The session is less than the peer may offer: it refused EHLO, or TLS failed. What is missing may be there in
    /// another one.
    pub weakened: bool,
}

/// Whether the peer refused BDAT although it offers CHUNKING.
pub fn is_without_bdat(failure: &Failure) -> bool {
    matches!(failure, Failure::ChunkingRefused { .. })
}

/// Whether the connection broke over it, or the peer said that it has enough: a sign that it is asked for too much.
pub fn is_trouble(delivery: &Delivery) -> bool {
    match delivery {
        Delivery::Refused { response, .. } => response.announces_close(),
        Delivery::Broken(failure) => match &**failure {
            Failure::Refused { response, .. } => response.announces_close(),
            Failure::Disconnected { .. } | Failure::TimedOut { .. } => true,
            _ => false,
        },
        Delivery::Accepted(_)
        | Delivery::Impossible(_)
        | Delivery::Declined { .. }
        | Delivery::Withheld { .. } => false,
    }
}

/// The peer cannot have taken the message, and nothing of it is to blame.
fn is_loss(failure: &Failure) -> bool {
    let before_the_end = |stage: &Stage| !matches!(stage, Stage::ContentReply | Stage::Content);
    match failure {
        Failure::Disconnected { stage } => before_the_end(stage),
        // It is about the message before.
        Failure::Refused {
            stage: Stage::Rset, ..
        } => true,
        Failure::Refused { stage, response } => response.announces_close() && before_the_end(stage),
        _ => false,
    }
}

/// Characters of a reply's text that are kept with a recipient.
const TEXT: usize = 2000;

/// The reply's lines without control characters, one after the other, cut where they are too long.
fn words(response: &Response) -> String {
    let lines = response.lines.iter().map(|line| {
        String::from_utf8_lossy(line)
            .chars()
            .map(|c| if c.is_control() { '?' } else { c })
            .collect::<String>()
    });
    lines
        .collect::<Vec<_>>()
        .join("\n")
        .chars()
        .take(TEXT)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use postern_smtp::client::Obstacle;
    use postern_smtp::reply::EnhancedCode;
    use std::sync::Arc;

    const AT: SystemTime = SystemTime::UNIX_EPOCH;

    fn refused(stage: Stage, code: u16) -> Delivery {
        let response = Response {
            code,
            enhanced: None,
            lines: vec![Bytes::from_static(b"no\x1bt now")],
        };
        Delivery::Refused {
            stage,
            response: Arc::new(response),
        }
    }

    fn facts(reused: bool) -> PeerFacts<'static> {
        PeerFacts {
            host: "mx.test",
            lmtp: false,
            reused,
            weakened: false,
        }
    }

    #[test]
    fn classes_decide_and_words_are_kept_without_controls() {
        let failed = Attempted::from_peer(&refused(Stage::Rcpt, 550), &facts(false), AT);
        let Some(Attempted {
            fate: Fate::Failed,
            status,
        }) = failed
        else {
            panic!("{failed:?}")
        };
        assert_eq!(status.enhanced, Some((5, 0, 0)));
        assert_eq!(status.text, "no?t now");
        let deferred = Attempted::from_peer(&refused(Stage::Rcpt, 450), &facts(false), AT);
        assert_eq!(deferred.map(|a| a.fate), Some(Fate::Deferred));
    }

    #[test]
    fn a_connection_that_ended_between_messages_says_nothing_of_the_next_one() {
        let closed = refused(Stage::Mail, 421);
        assert_eq!(Attempted::from_peer(&closed, &facts(true), AT), None);
        assert!(Attempted::from_peer(&closed, &facts(false), AT).is_some());
        for (stage, told) in [
            (Stage::Mail, false),
            (Stage::Data, false),
            (Stage::ContentReply, true),
        ] {
            let broken = Delivery::Broken(Arc::new(Failure::Disconnected { stage }));
            assert_eq!(
                Attempted::from_peer(&broken, &facts(true), AT).is_some(),
                told,
                "{stage}"
            );
        }
    }

    #[test]
    fn what_is_said_of_host_session_or_command_fails_nobody() {
        let fate = |stage, code, enhanced: Option<(u16, u16)>| {
            let response = Response {
                code,
                enhanced: enhanced
                    .and_then(|(subject, detail)| EnhancedCode::new(5, subject, detail).ok()),
                lines: vec![Bytes::from_static(b"no")],
            };
            let delivery = Delivery::Refused {
                stage,
                response: Arc::new(response),
            };
            let attempted = Attempted::from_peer(&delivery, &facts(false), AT);
            let Some(Attempted { fate, status }) = attempted else {
                panic!("{stage} {code}")
            };
            assert_eq!(status.code, Some(code), "told as it was said");
            let class = status.enhanced.map(|(class, ..)| class);
            assert_eq!(class == Some(5), fate == Fate::Failed, "{stage} {code}");
            fate
        };
        for stage in [Stage::Mail, Stage::Rcpt, Stage::Data, Stage::ContentReply] {
            for code in [500, 502, 503, 504, 521, 530, 534, 535, 538, 555] {
                assert_eq!(fate(stage, code, None), Fate::Deferred, "{stage} {code}");
            }
            assert_eq!(fate(stage, 550, Some((7, 10))), Fate::Deferred, "{stage}");
            for code in [501, 550, 551, 553, 554, 556] {
                assert_eq!(fate(stage, code, None), Fate::Failed, "{stage} {code}");
            }
        }
        for stage in [Stage::Greeting, Stage::Hello, Stage::StartTls, Stage::Rset] {
            assert_eq!(fate(stage, 550, None), Fate::Deferred, "{stage}");
        }
        assert_eq!(fate(Stage::Rcpt, 552, None), Fate::Deferred);
        assert_eq!(fate(Stage::Rcpt, 554, Some((5, 3))), Fate::Deferred);
        assert_eq!(fate(Stage::Rcpt, 552, Some((2, 2))), Fate::Failed);
        assert_eq!(fate(Stage::Mail, 552, Some((3, 4))), Fate::Failed);
    }

    #[test]
    fn what_an_answer_refused_or_left_out_is_not_said_to_be_the_hosts_word() {
        for (code, fate) in [(450, Fate::Deferred), (550, Fate::Failed)] {
            let Delivery::Refused { stage, response } = refused(Stage::Rcpt, code) else {
                panic!("it is a refusal")
            };
            let declined = Delivery::Declined { stage, response };
            let attempted = Attempted::from_peer(&declined, &facts(false), AT);
            assert_eq!(attempted.as_ref().map(|found| found.fate), Some(fate));
            assert_eq!(attempted.and_then(|found| found.status.remote), None);
        }
        let withheld = Delivery::Withheld { stage: Stage::Rcpt };
        let attempted = Attempted::from_peer(&withheld, &facts(false), AT);
        assert_eq!(attempted.map(|found| found.fate), Some(Fate::Deferred));
    }

    #[test]
    fn a_session_that_was_refused_fails_nobody() {
        for (stage, code) in [
            (Stage::Greeting, 521),
            (Stage::Greeting, 554),
            (Stage::Hello, 550),
            (Stage::StartTls, 554),
        ] {
            let Delivery::Refused { stage, response } = refused(stage, code) else {
                panic!("it is a refusal")
            };
            let error = OpenError::Session {
                host: "mx.test".to_owned(),
                address: "192.0.2.1:25".to_owned(),
                failure: Arc::new(Failure::Refused { stage, response }),
            };
            let attempted = Attempted::from_open_error(&error, AT);
            assert_eq!(attempted.fate, Fate::Deferred, "{stage} {code}");
            assert_eq!(attempted.status.code, Some(code));
            assert_eq!(attempted.status.enhanced, Some((4, 3, 2)));
        }
    }

    #[test]
    fn a_reason_that_is_remembered_only_defers() {
        let own = Attempted::own(Fate::Failed, 4, 6, "a loop".to_owned(), AT);
        let passing = own.as_passing();
        assert_eq!(passing.fate, Fate::Deferred);
        assert_eq!(passing.status.enhanced, Some((4, 4, 6)));
        assert_eq!(passing.status.text, "a loop");
    }

    #[test]
    fn what_a_weakened_session_lacks_may_be_there_in_another() {
        let lacking = Delivery::Impossible(Obstacle::NeedsSmtpUtf8);
        let weakened = PeerFacts {
            weakened: true,
            ..facts(false)
        };
        let fate = |facts: &PeerFacts<'_>| {
            Attempted::from_peer(&lacking, facts, AT).map(|attempted| attempted.fate)
        };
        assert_eq!(fate(&weakened), Some(Fate::Deferred));
        assert_eq!(fate(&facts(false)), Some(Fate::Failed));
    }
}
