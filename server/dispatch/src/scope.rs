//! One session, one message in transport, or the service itself: the plan that it began with, what is known of
//! it, and the places of its bindings.

use std::borrow::Cow;
use std::sync::Arc;

use parking_lot::Mutex;
use postern_proto::v1 as pb;

use crate::dispatcher::Shared;
use crate::event::EventKind;
use crate::facts::Facts;
use crate::later::Later;
use crate::observer::{Record, What};
use crate::outlook::{Outlook, path};
use crate::plan::{Binding, Plan, Stage};
use crate::seat::{Seat, Sent};
use crate::wire::Happening;

/// One scope of instances. Dropping it closes what is open.
pub(crate) struct Scope {
    kind: pb::Scope,
    pub(crate) shared: Arc<Shared>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) server: Arc<str>,
    pub(crate) facts: Mutex<Facts>,
    seats: Mutex<Vec<Arc<Seat>>>,
}

impl Scope {
    /// A scope with the plan that is in force now.
    pub(crate) fn new(kind: pb::Scope, shared: &Arc<Shared>, server: &str, facts: Facts) -> Self {
        Self {
            kind,
            shared: Arc::clone(shared),
            plan: shared.plan.load_full(),
            server: Arc::from(server),
            facts: Mutex::new(facts),
            seats: Mutex::new(Vec::new()),
        }
    }

    /// Who is bound to this event.
    pub(crate) fn stage(&self, event: EventKind) -> Option<Arc<Stage>> {
        self.plan.stage(&self.server, event).cloned()
    }

    /// The place of a binding.
    pub(crate) fn seat(&self, binding: &Arc<Binding>) -> Arc<Seat> {
        let mut seats = self.seats.lock();
        if let Some(seat) = seats
            .iter()
            .find(|seat| Arc::ptr_eq(seat.binding(), binding))
        {
            return Arc::clone(seat);
        }
        let seat = Arc::new(Seat::new(
            self.kind,
            Arc::clone(binding),
            self.shared.pool(&binding.sink),
        ));
        seats.push(Arc::clone(&seat));
        seat
    }

    /// Whether the rule and condition of a binding hold.
    pub(crate) fn fires(
        &self,
        binding: &Binding,
        happening: &Happening,
        attempt: u32,
    ) -> Result<bool, crate::fault::Fault> {
        if binding.rule.is_empty() && binding.condition.is_none() {
            return Ok(true);
        }
        let facts = self.facts.lock();
        let outlook = Outlook {
            server: &self.server,
            facts: &facts,
            happening,
            attempt,
        };
        if !binding.rule.holds(&outlook) {
            return Ok(false);
        }
        binding
            .condition
            .as_ref()
            .map_or(Ok(true), |condition| condition.holds(&outlook))
    }

    /// Tells everybody who is bound to a one-way event. Never waits.
    pub(crate) fn tell(self: &Arc<Self>, happening: Happening) {
        self.tell_at(happening, |binding| self.seat(binding));
    }

    /// As [`Scope::tell`], with the instances of the service itself.
    pub(crate) fn tell_service(self: &Arc<Self>, happening: Happening) {
        self.tell_at(happening, |binding| self.shared.service_seat(binding));
    }

    fn tell_at(
        self: &Arc<Self>,
        happening: Happening,
        seat_of: impl Fn(&Arc<Binding>) -> Arc<Seat>,
    ) {
        let event = happening.event();
        let Some(stage) = self.stage(event) else {
            return;
        };
        let happening = Arc::new(happening);
        for member in &stage.members {
            match self.fires(&member.binding, &happening, 0) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(fault) => {
                    let what = What::Failed {
                        elapsed: std::time::Duration::ZERO,
                        fault: &fault,
                    };
                    self.observe(&happening, Some(&member.binding), "", what);
                    continue;
                }
            }
            let seat = seat_of(&member.binding);
            if seat.pool().is_behind() {
                seat.pool().tell_later(Later::new(self, &seat, &happening));
                continue;
            }
            match seat.send(self, &happening, None) {
                Sent::Told(instance) => {
                    let replica = Arc::clone(instance.stream().replica());
                    self.observe(
                        &happening,
                        Some(&member.binding),
                        replica.name(),
                        What::Told,
                    );
                }
                Sent::Declined | Sent::Asked(_) => {}
                Sent::Full(_) | Sent::Wait(_) => {
                    seat.pool().tell_later(Later::new(self, &seat, &happening))
                }
                Sent::Failed(fault) => {
                    let what = What::Failed {
                        elapsed: std::time::Duration::ZERO,
                        fault: &fault,
                    };
                    self.observe(&happening, Some(&member.binding), "", what);
                }
            }
        }
    }

    /// Whether anybody reads the records of an event.
    pub(crate) fn listens(&self, event: EventKind) -> bool {
        self.shared.observer.listens(event)
    }

    /// Reports what happened. Failures are always reported.
    pub(crate) fn observe(
        &self,
        happening: &Happening,
        binding: Option<&Binding>,
        replica: &str,
        what: What<'_>,
    ) {
        let event = happening.event();
        if !self.listens(event) && !matches!(what, What::Failed { .. }) {
            return;
        }
        let (session, message) = {
            let facts = self.facts.lock();
            (facts.session_id(), facts.message_id())
        };
        self.shared.observer.observe(&Record {
            server: &self.server,
            session,
            message,
            event: Some(event),
            detail: &detail(happening),
            binding: binding.map_or("", |binding| &binding.name),
            sink: binding.map_or("", |binding| &binding.sink.name),
            replica,
            what,
        });
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        for seat in self.seats.get_mut().drain(..) {
            seat.close(pb::CloseReason::Finished);
        }
    }
}

/// What an event is about, for a line of text.
fn detail(happening: &Happening) -> Cow<'_, str> {
    let lossy = |octets: &'_ bytes::Bytes| String::from_utf8_lossy(octets).into_owned();
    match happening {
        Happening::Connect | Happening::Headers(_) | Happening::Message(_) | Happening::Submit => {
            Cow::Borrowed("")
        }
        Happening::Helo(helo) => Cow::Owned(lossy(&helo.name)),
        Happening::Tls(tls) => Cow::Borrowed(&tls.version),
        Happening::Mail(mail) => Cow::Owned(mail.envelope.sender.to_string()),
        Happening::Rcpt(rcpt) => Cow::Borrowed(path(&rcpt.recipient.address)),
        Happening::Data(line) | Happening::Command(line) => Cow::Owned(lossy(&line.verb)),
        Happening::Response(response) => Cow::Owned(response.reply.to_string()),
        Happening::Outcome(_, outcome) => Cow::Borrowed(outcome.fate.name()),
        Happening::Reset(..) => Cow::Borrowed(""),
        Happening::Disconnect(end) => Cow::Borrowed(end.reason.name()),
        Happening::Delivery(_, result) => {
            let to: Vec<String> = result
                .recipients
                .iter()
                .take(3)
                .map(|one| format!("{} {}", path(&one.address), one.status.name()))
                .collect();
            Cow::Owned(to.join(", "))
        }
    }
}
