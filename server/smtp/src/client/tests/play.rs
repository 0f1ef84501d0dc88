//! A session with its caller played: actions are done at once, content is given when wanted.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};

use crate::client::{
    Action, AnswerError, Body, ClientName, CommandAnswer, Config, Delivery, Failure, Protocol,
    Question, Recipient, Report, ResponseAnswer, Session, TlsAnswer, Transaction, Wants,
};

pub(super) struct Play {
    pub(super) session: Session,
    pub(super) now: Instant,
    pub(super) finished: Vec<Report>,
    pub(super) closed: Option<Option<Arc<Failure>>>,
    pub(super) ready: bool,
    pub(super) start_tls: bool,
    /// Given in slices of this many octets.
    pub(super) slice: usize,
    /// The questions that were asked.
    pub(super) asked: Vec<Question>,
    /// Answers to questions that the session did not take; it got the default instead.
    pub(super) unfit: Vec<AnswerError>,
    answers: Option<Box<Answers>>,
    content: Option<Bytes>,
    input: BytesMut,
}

pub(super) type Answers = dyn FnMut(&Question) -> Said;

/// An answer.
pub(super) enum Said {
    Default,
    Command(CommandAnswer),
    Tls(TlsAnswer),
    Response(ResponseAnswer),
}

pub(super) fn config(protocol: Protocol) -> Config {
    Config::new(protocol, ClientName::new("client.test").unwrap())
}

pub(super) fn transaction(recipients: &[&'static str], content: &[u8]) -> Transaction {
    Transaction {
        sender: Bytes::from_static(b"from@client.test"),
        recipients: recipients.iter().map(|r| Recipient::new(*r)).collect(),
        size: content.len() as u64,
        body: Body::SevenBit,
        smtp_utf8: false,
        ret: None,
        envelope_id: None,
        priority: 0,
    }
}

impl Play {
    pub(super) fn new(config: Config) -> Self {
        let now = Instant::now();
        Self {
            session: Session::new(Arc::new(config), false, now),
            now,
            finished: Vec::new(),
            closed: None,
            ready: false,
            start_tls: false,
            slice: usize::MAX,
            asked: Vec::new(),
            unfit: Vec::new(),
            answers: None,
            content: None,
            input: BytesMut::new(),
        }
    }

    /// Answers questions from now on like this.
    pub(super) fn answers(mut self, answers: impl FnMut(&Question) -> Said + 'static) -> Self {
        self.answers = Some(Box::new(answers));
        self
    }

    fn answer(&mut self, question: Question) {
        let said = match &mut self.answers {
            Some(answers) => answers(&question),
            None => Said::Default,
        };
        self.asked.push(question);
        let session = &mut self.session;
        let taken = match said {
            Said::Default => Err(None),
            Said::Command(answer) => session.answer_command(answer, self.now).map_err(Some),
            Said::Tls(answer) => session.answer_tls(answer, self.now).map_err(Some),
            Said::Response(answer) => session.answer_response(answer, self.now).map_err(Some),
        };
        if let Err(unfit) = taken {
            self.unfit.extend(unfit);
            session.proceed_by_default(self.now);
        }
        session.handle_input(&mut self.input, self.now);
    }

    /// The peer says this; the result is what the session sends then.
    pub(super) fn peer(&mut self, octets: impl AsRef<[u8]>) -> Vec<u8> {
        self.input.extend_from_slice(octets.as_ref());
        self.session.handle_input(&mut self.input, self.now);
        self.sent()
    }

    /// As [`peer`](Self::peer), with what is sent as text.
    pub(super) fn hears(&mut self, line: &str) -> String {
        String::from_utf8(self.peer(format!("{line}\r\n"))).unwrap()
    }

    pub(super) fn send(&mut self, transaction: Transaction, content: &[u8]) -> String {
        String::from_utf8(self.send_octets(transaction, content)).unwrap()
    }

    pub(super) fn send_octets(&mut self, transaction: Transaction, content: &[u8]) -> Vec<u8> {
        self.content = Some(Bytes::copy_from_slice(content));
        self.session.send(transaction, self.now).unwrap();
        self.sent()
    }

    pub(super) fn sent(&mut self) -> Vec<u8> {
        let mut sent = Vec::new();
        loop {
            while let Some(action) = self.session.poll_action() {
                match action {
                    Action::Send(octets) => sent.extend_from_slice(&octets),
                    Action::StartTls => self.start_tls = true,
                    Action::Ask(question) => self.answer(question),
                    Action::Ready => self.ready = true,
                    Action::Finished(report) => self.finished.push(report),
                    Action::Close(why) => self.closed = Some(why),
                }
            }
            if self.session.wants() != Wants::Content {
                return sent;
            }
            self.give_content();
        }
    }

    fn give_content(&mut self) {
        match &mut self.content {
            Some(left) if !left.is_empty() => {
                let slice = left.split_to(left.len().min(self.slice));
                self.session.content(slice, self.now);
            }
            Some(_) => {
                self.content = None;
                self.session.content_end(self.now);
            }
            None => panic!("content is wanted, and there is none"),
        }
    }

    /// One word for each recipient of the last transaction.
    pub(super) fn results(&self) -> Vec<String> {
        let report = self.finished.last().unwrap();
        report.recipients.iter().map(word).collect()
    }
}

pub(super) fn word(delivery: &Delivery) -> String {
    match delivery {
        Delivery::Accepted(response) => format!("accepted {}", response.code),
        Delivery::Refused { stage, response } => format!("{} at {stage}", response.code),
        Delivery::Impossible(obstacle) => format!("{obstacle:?}"),
        Delivery::Declined { stage, response } => format!("declined {} at {stage}", response.code),
        Delivery::Withheld { stage } => format!("withheld at {stage}"),
        Delivery::Broken(failure) => format!("broken: {failure}"),
    }
}
