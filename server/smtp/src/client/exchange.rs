//! One transaction under way: which commands follow which replies, and what became of each recipient.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::capabilities::Capabilities;
use super::command::Own;
use super::concern::Concern;
use super::content::{ContentEncoder, ContentError, Framing};
use super::flight::{Awaited, Flight, To};
use super::outcome::{Delivery, Failure, Report, Stage};
use super::response::Response;
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
    cursor: Cursor,
    encoder: Option<ContentEncoder>,
    /// The peer still has a transaction open from before.
    open_before: bool,
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
    /// BDAT in place of DATA.
    bdat: bool,
    /// DATA or BDAT goes out before it is known whether anybody was accepted.
    early: bool,
}

/// The next command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cursor {
    Reset,
    Mail,
    Recipients,
    Content,
    /// None: all were sent, or the rest is pointless.
    Over,
}

/// How to go on after a reply.
pub(super) enum Step {
    Go,
    /// What was about to be sent is pointless.
    Drop,
    Fail(Failure),
}

impl Exchange {
    /// `open_before`: the peer may still have a transaction open, and RSET comes first.
    pub(super) fn new(transaction: Transaction, lmtp: bool, open_before: bool) -> Self {
        let deliveries = vec![None; transaction.recipients.len()];
        Self {
            transaction,
            lmtp,
            deliveries,
            accepted: VecDeque::new(),
            lines: Lines::default(),
            plan: Plan {
                bdat: false,
                early: false,
            },
            cursor: Cursor::Over,
            encoder: None,
            open_before,
            mail_accepted: false,
            content_accepted: false,
        }
    }

    /// Makes the command lines. False if nothing is left to send. `hurried`: DATA need not wait for the replies to RCPT.
    pub(super) fn prepare(&mut self, peer: &Capabilities, bdat_up_to: u64, hurried: bool) -> bool {
        self.transaction.suit(peer);
        let binary = self.transaction.body == Body::BinaryMime;
        let small = self.transaction.size <= bdat_up_to;
        // A large chunk would be sent in vain if all recipients were refused.
        let at_once = peer.chunking && peer.pipelining && small;
        let bdat = at_once || binary;
        self.plan = Plan {
            bdat,
            early: hurried && peer.pipelining && (at_once || !bdat),
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
        if self.lines.rcpt.is_empty() {
            return false;
        }
        self.cursor = match self.open_before {
            true => Cursor::Reset,
            false => Cursor::Mail,
        };
        true
    }

    /// Another content, and other parameters, for the same recipients. MAIL has its turn, and is not sent. Returns its line;
    /// `None` if nothing is left to send.
    pub(super) fn revise(
        &mut self,
        transaction: Transaction,
        peer: &Capabilities,
        bdat_up_to: u64,
        hurried: bool,
    ) -> Option<Bytes> {
        self.transaction = transaction;
        self.lines = Lines::default();
        let worth = self.prepare(peer, bdat_up_to, hurried);
        self.cursor = match worth {
            true => Cursor::Recipients,
            false => Cursor::Over,
        };
        worth.then(|| self.lines.mail.clone())
    }

    /// How many recipients the transaction has.
    pub(super) fn count(&self) -> usize {
        self.transaction.recipients.len()
    }

    /// The next command, where one is due now, and its line.
    pub(super) fn next(&mut self, flight: &Flight) -> Option<(Own, Bytes)> {
        loop {
            match self.cursor {
                Cursor::Reset => {
                    self.cursor = Cursor::Mail;
                    return Some((Own::Rset, Bytes::from_static(b"RSET\r\n")));
                }
                Cursor::Mail => {
                    self.cursor = Cursor::Recipients;
                    return Some((Own::Mail, self.lines.mail.clone()));
                }
                Cursor::Recipients => match self.lines.rcpt.pop_front() {
                    Some((index, line)) => return Some((Own::Rcpt(index), line)),
                    None => self.cursor = Cursor::Content,
                },
                Cursor::Content if !self.plan.early && !flight.is_idle() => return None,
                Cursor::Content => {
                    self.cursor = Cursor::Over;
                    return self.is_worth_content(flight).then(|| self.content_line());
                }
                Cursor::Over => return None,
            }
        }
    }

    /// Whether somebody was accepted, or may still be.
    pub(super) fn is_worth_content(&self, flight: &Flight) -> bool {
        !self.accepted.is_empty() || flight.has_recipients()
    }

    fn content_line(&self) -> (Own, Bytes) {
        match self.plan.bdat {
            true => {
                let line = format!("BDAT {} LAST\r\n", self.transaction.size);
                (Own::Bdat, line.into())
            }
            false => (Own::Data, Bytes::from_static(b"DATA\r\n")),
        }
    }

    /// Recipients that the peer accepted, and that have no final word yet.
    pub(super) fn accepted(&self) -> Vec<usize> {
        self.accepted.iter().copied().collect()
    }

    /// The recipient that the next reply to the content is about: over LMTP each has its own.
    pub(super) fn content_reply_recipient(&self) -> Option<usize> {
        self.accepted.front().copied().filter(|_| self.lmtp)
    }

    /// Whether the next reply to the content leaves nobody waiting for another one.
    pub(super) fn is_last_content_reply(&self) -> bool {
        !self.lmtp || self.accepted.len() <= 1
    }

    /// RCPTs are still to be sent.
    pub(super) fn has_recipients_left(&self) -> bool {
        !self.lines.rcpt.is_empty()
    }

    /// BDAT was said: its octets come at once.
    pub(super) fn begin_chunk(&mut self) {
        self.encoder = Some(ContentEncoder::new(Framing::Counted {
            size: self.transaction.size,
            binary: self.transaction.body == Body::BinaryMime,
        }));
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

    /// Takes a reply: `response`, as an answer would have it taken, in place of `native`.
    pub(super) fn handle_response(
        &mut self,
        awaited: Awaited,
        native: &Response,
        response: Arc<Response>,
        flight: &mut Flight,
    ) -> Step {
        let closes = native.announces_close();
        let stage = awaited.to.stage();
        if awaited.to == To::Own(Own::Mail) {
            // Whatever it is taken for: the peer has a transaction open.
            self.mail_accepted = native.is_positive();
        }
        let refusal = Delivery::Refused {
            stage,
            response: Arc::clone(&response),
        };
        let negative = response.is_temporary() || response.is_permanent();
        let step = match &awaited.to {
            To::Own(Own::Rset) if response.is_positive() => {
                self.open_before = false;
                Step::Go
            }
            // Whether its transaction is forgotten is not known, so no other may follow.
            To::Own(Own::Rset) if negative => {
                return Step::Fail(Failure::Refused { stage, response });
            }
            To::Own(Own::Mail) if response.is_positive() => Step::Go,
            To::Own(Own::Mail) if negative => {
                self.give_up(&refusal);
                Step::Drop
            }
            To::Own(Own::Rcpt(index)) if response.is_positive() || negative => {
                // Who is decided already waits for no content, even if the peer would take it.
                let undecided = matches!(self.deliveries.get(*index), Some(None));
                if response.is_positive() && self.mail_accepted && undecided {
                    self.accepted.push_back(*index);
                } else {
                    set(&mut self.deliveries, *index, refusal.clone());
                }
                Step::Go
            }
            To::Own(Own::Data) if response.code == 354 => self.go_ahead(flight, &response),
            To::Own(Own::Data) if negative => {
                self.give_up(&refusal);
                Step::Drop
            }
            To::Content if negative || response.is_positive() => {
                self.content_reply(&awaited, Arc::clone(&response), &refusal, flight)
            }
            To::Nothing => Step::Go,
            _ => return Step::Fail(Failure::Unexpected { stage, response }),
        };
        if closes && !matches!(step, Step::Fail(_)) {
            self.decide_rest(&refusal);
            return Step::Fail(Failure::Refused { stage, response });
        }
        step
    }

    fn go_ahead(&mut self, flight: &mut Flight, response: &Arc<Response>) -> Step {
        if !self.accepted.is_empty() {
            self.encoder = Some(ContentEncoder::new(Framing::Dots));
            flight.expect(Awaited::alone(To::Content));
            return Step::Go;
        }
        if self.lmtp {
            // RFC 2033 4.2 has no reply for this case, so there is no way back into step.
            return Step::Fail(Failure::Unexpected {
                stage: Stage::Data,
                response: Arc::clone(response),
            });
        }
        // RFC 2920 3.1: DATA went out with the group, and nobody is left to send the content to.
        flight.add(b".\r\n", Awaited::alone(To::Nothing));
        Step::Go
    }

    fn content_reply(
        &mut self,
        awaited: &Awaited,
        response: Arc<Response>,
        refusal: &Delivery,
        flight: &mut Flight,
    ) -> Step {
        let stage = Stage::Content;
        if self.plan.bdat && Concern::is_unknown_command(&response) && !self.accepted.is_empty() {
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
                flight.expect_next(awaited.clone());
            }
        }
        Step::Go
    }

    /// Nothing more is to be sent. Replies may still be outstanding.
    pub(super) fn is_done(&self) -> bool {
        self.encoder.is_none() && self.accepted.is_empty() && self.cursor == Cursor::Over
    }

    pub(super) fn leaves_transaction_open(&self) -> bool {
        self.open_before || (self.mail_accepted && !self.content_accepted)
    }

    /// One recipient is not sent, for this reason.
    pub(super) fn leave_out(&mut self, index: usize, delivery: Delivery) {
        set(&mut self.deliveries, index, delivery);
    }

    /// Nothing more is sent: whoever has no answer gets this one.
    pub(super) fn give_up(&mut self, delivery: &Delivery) {
        self.lines.rcpt.clear();
        self.cursor = Cursor::Over;
        self.decide_rest(delivery);
    }

    /// The recipients that are not sent yet never are: they get this answer, and the content comes next.
    pub(super) fn skip_to_content(&mut self, delivery: &Delivery) {
        for (index, _) in std::mem::take(&mut self.lines.rcpt) {
            set(&mut self.deliveries, index, delivery.clone());
        }
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
                .map(|delivery| delivery.unwrap_or(Delivery::Withheld { stage: Stage::Mail }))
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
