//! One transaction under way: which commands follow which replies, and what became of each recipient.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};

use super::capabilities::Capabilities;
use super::content::{ContentEncoder, ContentError, Framing};
use super::outcome::{Delivery, Failure, Report, Stage};
use super::response::Response;
use super::session::Expected;
use super::transaction::{Body, Obstacle, Transaction};

/// A transaction from MAIL to the reply to its content.
#[derive(Debug)]
pub(super) struct Exchange {
    transaction: Transaction,
    lmtp: bool,
    deliveries: Vec<Option<Delivery>>,
    /// Recipients that the peer accepted at RCPT and that have no final word yet, in order.
    accepted: VecDeque<usize>,
    lines: Lines,
    plan: Plan,
    encoder: Option<ContentEncoder>,
    mail_accepted: bool,
    content_accepted: bool,
}

/// The command lines, checked before the first of them is sent.
#[derive(Debug, Default)]
struct Lines {
    mail: Bytes,
    rcpt: VecDeque<(usize, Bytes)>,
}

#[derive(Debug, Clone, Copy)]
struct Plan {
    /// MAIL, all RCPT and what follows go out together.
    pipelined: bool,
    /// BDAT in place of DATA.
    bdat: bool,
    /// The content too goes out before the first reply.
    at_once: bool,
}

/// How to go on after a reply.
pub(super) enum Step {
    Go,
    Fail(Failure),
}

impl Exchange {
    pub(super) fn new(transaction: Transaction, lmtp: bool) -> Self {
        let deliveries = vec![None; transaction.recipients.len()];
        Self {
            transaction,
            lmtp,
            deliveries,
            accepted: VecDeque::new(),
            lines: Lines::default(),
            plan: Plan {
                pipelined: false,
                bdat: false,
                at_once: false,
            },
            encoder: None,
            mail_accepted: false,
            content_accepted: false,
        }
    }

    /// Makes the command lines. False if nothing is left to send.
    pub(super) fn prepare(&mut self, peer: &Capabilities, bdat_up_to: u64) -> bool {
        let binary = self.transaction.body == Body::BinaryMime;
        let small = self.transaction.size <= bdat_up_to;
        let at_once = peer.chunking && peer.pipelining && small;
        self.plan = Plan {
            pipelined: peer.pipelining,
            bdat: at_once || binary,
            at_once,
        };
        let mail = match self.transaction.obstacle(peer) {
            Some(obstacle) => Err(obstacle),
            None => self.transaction.mail_line(peer),
        };
        match mail {
            Ok(line) => self.lines.mail = line,
            Err(obstacle) => {
                self.decide_rest(&Delivery::Impossible(obstacle));
                return false;
            }
        }
        let recipients = self.transaction.recipients.iter().enumerate();
        for (index, recipient) in recipients {
            match self.transaction.rcpt_line(recipient, peer) {
                Ok(line) => self.lines.rcpt.push_back((index, line)),
                Err(obstacle) => set(&mut self.deliveries, index, impossible(obstacle)),
            }
        }
        !self.lines.rcpt.is_empty()
    }

    /// Sends the first command, or the whole group where the peer pipelines.
    pub(super) fn start(&mut self, out: &mut BytesMut, expected: &mut VecDeque<Expected>) {
        out.put_slice(&self.lines.mail);
        expected.push_back(Expected::Mail);
        if !self.plan.pipelined {
            return;
        }
        while self.next_rcpt(out, expected) {}
        if self.plan.at_once || !self.plan.bdat {
            self.begin_content(out, expected);
        }
    }

    fn next_rcpt(&mut self, out: &mut BytesMut, expected: &mut VecDeque<Expected>) -> bool {
        let Some((index, line)) = self.lines.rcpt.pop_front() else {
            return false;
        };
        out.put_slice(&line);
        expected.push_back(Expected::Rcpt(index));
        true
    }

    fn begin_content(&mut self, out: &mut BytesMut, expected: &mut VecDeque<Expected>) {
        if self.plan.bdat {
            let size = self.transaction.size;
            out.put_slice(format!("BDAT {size} LAST\r\n").as_bytes());
            expected.push_back(Expected::Content);
            self.encoder = Some(ContentEncoder::new(Framing::Counted {
                size,
                binary: self.transaction.body == Body::BinaryMime,
            }));
        } else {
            out.put_slice(b"DATA\r\n");
            expected.push_back(Expected::Data);
        }
    }

    pub(super) fn wants_content(&self) -> bool {
        self.encoder.is_some()
    }

    pub(super) fn content(
        &mut self,
        slice: Bytes,
        out: &mut VecDeque<Bytes>,
    ) -> Result<(), ContentError> {
        match &mut self.encoder {
            Some(encoder) => encoder.encode(slice, out),
            None => Ok(()),
        }
    }

    pub(super) fn content_end(&mut self, out: &mut VecDeque<Bytes>) -> Result<(), ContentError> {
        match self.encoder.take() {
            Some(encoder) => encoder.finish(out),
            None => Ok(()),
        }
    }

    /// Takes the reply to the command at the front of `expected`, and removes that when it is answered in full.
    pub(super) fn handle_response(
        &mut self,
        awaited: Expected,
        response: Arc<Response>,
        out: &mut BytesMut,
        expected: &mut VecDeque<Expected>,
    ) -> Step {
        let stage = awaited.stage();
        let closes = response.announces_close();
        let refusal = Delivery::Refused {
            stage,
            response: Arc::clone(&response),
        };
        let negative = response.is_temporary() || response.is_permanent();
        expected.pop_front();
        let step = match awaited {
            Expected::Rset if response.is_positive() => {
                if !self.plan.pipelined {
                    self.start(out, expected);
                }
                Step::Go
            }
            Expected::Mail if response.is_positive() => {
                self.mail_accepted = true;
                self.after_envelope_reply(out, expected)
            }
            Expected::Mail if negative => {
                self.lines.rcpt.clear();
                self.decide_rest(&refusal);
                Step::Go
            }
            Expected::Rcpt(index) if response.is_positive() || negative => {
                if response.is_positive() && self.mail_accepted {
                    self.accepted.push_back(index);
                } else {
                    set(&mut self.deliveries, index, refusal.clone());
                }
                self.after_envelope_reply(out, expected)
            }
            Expected::Data if response.code == 354 => self.go_ahead(out, expected, response),
            Expected::Data if negative => {
                self.decide_rest(&refusal);
                Step::Go
            }
            Expected::Content if negative || response.is_positive() => {
                self.content_reply(response, &refusal, expected)
            }
            Expected::Nothing => Step::Go,
            _ => return Step::Fail(Failure::Unexpected { stage, response }),
        };
        match refusal {
            Delivery::Refused { stage, response } if closes => {
                self.decide_rest(&Delivery::Refused {
                    stage,
                    response: Arc::clone(&response),
                });
                Step::Fail(Failure::Refused { stage, response })
            }
            _ => step,
        }
    }

    /// Without PIPELINING: the next RCPT, or after the last one the content if there is anybody to send it to.
    fn after_envelope_reply(
        &mut self,
        out: &mut BytesMut,
        expected: &mut VecDeque<Expected>,
    ) -> Step {
        let waiting = !expected.is_empty() || self.plan.at_once;
        if !waiting && !self.next_rcpt(out, expected) && !self.accepted.is_empty() {
            self.begin_content(out, expected);
        }
        Step::Go
    }

    fn go_ahead(
        &mut self,
        out: &mut BytesMut,
        expected: &mut VecDeque<Expected>,
        response: Arc<Response>,
    ) -> Step {
        if !self.accepted.is_empty() {
            self.encoder = Some(ContentEncoder::new(Framing::Dots));
            expected.push_back(Expected::Content);
            return Step::Go;
        }
        if self.lmtp {
            // RFC 2033 4.2 has no reply for this case, so there is no way back into step.
            let stage = Stage::Data;
            return Step::Fail(Failure::Unexpected { stage, response });
        }
        // RFC 2920 3.1: DATA went out with the group, and nobody is left to send the content to.
        out.put_slice(b".\r\n");
        expected.push_back(Expected::Nothing);
        Step::Go
    }

    fn content_reply(
        &mut self,
        response: Arc<Response>,
        refusal: &Delivery,
        expected: &mut VecDeque<Expected>,
    ) -> Step {
        let stage = Stage::Content;
        // Binary content has no other way: its refusal stands as it is.
        let replaceable = self.plan.bdat && self.transaction.body != Body::BinaryMime;
        if replaceable && response.is_unknown_command() && !self.accepted.is_empty() {
            return Step::Fail(Failure::ChunkingRefused { response });
        }
        if self.encoder.is_some() {
            // Refused in mid-content: the rest is not worth sending, and there is no way to end it but to close.
            if !response.is_positive() {
                self.decide_rest(refusal);
                return Step::Fail(Failure::Refused { stage, response });
            }
            return Step::Fail(Failure::Unexpected { stage, response });
        }
        let word = if response.is_positive() {
            self.content_accepted = true;
            Delivery::Accepted(response)
        } else {
            refusal.clone()
        };
        if !self.lmtp {
            while let Some(index) = self.accepted.pop_front() {
                set(&mut self.deliveries, index, word.clone());
            }
        } else if let Some(index) = self.accepted.pop_front() {
            set(&mut self.deliveries, index, word);
            if !self.accepted.is_empty() {
                expected.push_front(Expected::Content);
            }
        }
        Step::Go
    }

    /// Nothing more is to be sent. Replies may still be outstanding.
    pub(super) fn is_done(&self) -> bool {
        self.encoder.is_none() && self.accepted.is_empty() && self.lines.rcpt.is_empty()
    }

    pub(super) fn leaves_transaction_open(&self) -> bool {
        self.mail_accepted && !self.content_accepted
    }

    /// The connection ended: whoever has no answer gets this one.
    pub(super) fn break_off(&mut self, failure: &Arc<Failure>) {
        self.decide_rest(&Delivery::Broken(Arc::clone(failure)));
    }

    fn decide_rest(&mut self, delivery: &Delivery) {
        self.accepted.clear();
        for undecided in self.deliveries.iter_mut().filter(|d| d.is_none()) {
            *undecided = Some(delivery.clone());
        }
    }

    /// What became of the recipients, once all are decided.
    pub(super) fn report(&mut self) -> Report {
        let recipients = std::mem::take(&mut self.deliveries);
        Report {
            recipients: recipients
                .into_iter()
                .map(|delivery| delivery.unwrap_or(impossible(Obstacle::Unsendable)))
                .collect(),
        }
    }
}

fn impossible(obstacle: Obstacle) -> Delivery {
    Delivery::Impossible(obstacle)
}

/// The first word on a recipient stands.
fn set(deliveries: &mut [Option<Delivery>], index: usize, delivery: Delivery) {
    if let Some(slot) = deliveries.get_mut(index) {
        slot.get_or_insert(delivery);
    }
}
