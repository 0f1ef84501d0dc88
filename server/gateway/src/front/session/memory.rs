//! What a session holds in memory, and what it does when there is no more for it.

use postern_smtp::reply::Reply;
use postern_smtp::server::{Ask, Expects, Prospect, Question};

use super::Session;
use super::phase::Phase;
use crate::front::memory::{Reservation, Short};
use crate::front::reception::ruling::Refused;
use crate::front::replies;
use crate::metrics::labels::LimitName;

/// Octets of a session that does nothing: its task, its machine, its connection, what is known of it.
pub(in crate::front) const SESSION: u64 = 12 * 1024;

/// Octets that TLS holds for a connection.
const TLS: u64 = 24 * 1024;

/// Octets of a question that is open: its future, its event, what is remembered of it.
const QUESTION: u64 = 4 * 1024;

/// Octets of an envelope or a recipient beyond what the client wrote.
const ENTRY: u64 = 1024;

/// How often what the client wrote is there: in the address, and in the parameters as they came.
const COPIES: u64 = 2;

/// What a session has to hold beside what can be looked up in it.
pub(super) struct Holding {
    reservation: Reservation,
    /// The envelope with its recipients, those that are asked about included.
    envelope: u64,
    /// Header section and content of the message.
    content: u64,
    /// What a dialogue waits for, or has got and is being asked about.
    awaited: u64,
    /// It has been told of, once.
    told: bool,
}

impl Holding {
    pub(super) const fn new(reservation: Reservation) -> Self {
        Self {
            reservation,
            envelope: 0,
            content: 0,
            awaited: 0,
            told: false,
        }
    }
}

/// What the accepted command would add to the envelope; `None` where that is nothing to speak of.
fn entry(question: &Question) -> Option<u64> {
    let Prospect::Accept(Ask::Mail(_) | Ask::Rcpt(_)) = &question.prospect else {
        return None;
    };
    let line = question.line.as_ref().map_or(0, |line| line.raw.len());
    Some(ENTRY + COPIES * line as u64)
}

impl Session {
    /// Octets that it holds now.
    fn holds(&self) -> u64 {
        let tls = if self.machine.is_tls() { TLS } else { 0 };
        // What a dialogue waits for comes in there first.
        let input = (self.input.len() as u64).max(self.holding.awaited);
        let buffers = input + self.outgoing.octets() as u64;
        let questions = QUESTION * self.asked.len() as u64;
        SESSION + tls + buffers + questions + self.holding.envelope + self.holding.content
    }

    /// Reserves what it holds and `more`.
    fn reserve(&mut self, more: u64) -> Result<(), Short> {
        let octets = self.holds() + more;
        let covered = self.holding.reservation.cover(octets);
        if let Err(short) = covered {
            self.note_shortage(short);
        }
        covered
    }

    fn note_shortage(&mut self, short: Short) {
        let reception = &self.reception;
        let limit = LimitName::from(short);
        reception
            .tools
            .metrics
            .count_limit(&reception.server.name, limit);
        if !std::mem::replace(&mut self.holding.told, true) {
            tracing::info!(
                session = %reception.session, server = %reception.server.name, client = reception.client,
                limit = limit.name(), "no memory left for this client"
            );
        }
    }

    /// Follows what was read and answered. A session that is short of memory reads little at a time.
    pub(super) fn follow_memory(&mut self) {
        if self.reserve(0).is_err() {
            self.wire.read_little();
        }
    }

    /// Sets memory aside for what a command would add. Returns how much.
    ///
    /// # Errors
    /// The reply that refuses the command.
    pub(super) fn reserve_for(&mut self, question: &Question) -> Result<u64, Reply> {
        if let Prospect::Accept(Ask::StartTls) = question.prospect {
            let reserved = self.reserve(TLS);
            return reserved
                .map(|()| 0)
                .map_err(|_| replies::no_memory_for_tls());
        }
        let Some(entry) = entry(question) else {
            return Ok(0);
        };
        self.reserve(QUESTION + entry)
            .map_err(|_| replies::no_memory())?;
        self.holding.envelope += entry;
        Ok(entry)
    }

    /// Sets memory aside for what a dialogue waits for, until the next step of it.
    ///
    /// # Errors
    /// The reply that ends the session: what the client sends is no command.
    pub(super) fn reserve_for_dialogue(&mut self, expects: Expects) -> Result<(), Reply> {
        self.holding.awaited = match expects {
            Expects::Line(_) => 0,
            Expects::Octets(octets) => octets as u64,
        };
        self.reserve(0).map_err(|_| {
            self.holding.awaited = 0;
            replies::no_memory()
        })
    }

    /// The dialogue is over.
    pub(super) fn end_dialogue(&mut self) {
        self.holding.awaited = 0;
    }

    /// What was set aside for a command is not needed: it was refused.
    pub(super) fn give_back(&mut self, entry: u64) {
        self.holding.envelope = self.holding.envelope.saturating_sub(entry);
    }

    /// Follows what has come of the content. Without memory for it, it goes to the disk; a header section that has no room
    /// refuses the message.
    pub(super) async fn follow_content(&mut self) {
        let Phase::Arriving(arriving) = &mut self.phase else {
            return;
        };
        self.holding.content = arriving.upload.in_memory();
        let octets = self.holds();
        let Err(short) = self.holding.reservation.cover_at_ease(octets) else {
            return;
        };
        self.note_shortage(short);
        self.wire.read_little();
        let Phase::Arriving(arriving) = &mut self.phase else {
            return;
        };
        let spilled = arriving.upload.spill(&self.reception).await;
        // What is being written is in memory for a moment yet.
        self.holding.content = arriving.upload.kept_in_memory();
        let refusal = match spilled {
            Err(reply) => Some(reply),
            Ok(()) => self.reserve(0).is_err().then(replies::no_memory),
        };
        if let Some(reply) = refusal {
            self.refuse_content(Refused::by_service(reply));
        }
    }

    /// The transaction is over, and what it held is free.
    pub(super) fn forget_message(&mut self) {
        self.holding.envelope = 0;
        self.holding.content = 0;
    }
}
