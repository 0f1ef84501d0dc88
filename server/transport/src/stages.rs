//! The stages of a message before its delivery, and the walk through them.
//!
//! A message is asked about at each point of its way that concerns anybody, in the order of [`Point::ALL`]; those that concern
//! nobody are passed without a trace. What a stage came to is on stable storage before the next one begins, if it changed
//! anything; what changed nothing is found out again after a crash. Whatever waits for a sink waits at its stage.

use std::time::Instant;

use postern_events::event::EventKind;
use postern_events::transport::PostCategorize;
use postern_message::{Message, RecipientState};
use postern_spool::{Due, MessageUpdate, Point, Stage};

use super::categorizer;
use super::core::{Begun, Core};
use super::decided::Decided;
use super::judge::{About, Judge};
use super::question::{Asked, Question, ask, count, event_of, question};
use super::submit::{TROUBLE, apply, commit, put_off};

/// How the walk ended.
pub(crate) enum Passed {
    /// The message goes on to its delivery.
    On(Begun),
    /// It does not, and that is recorded.
    Settled,
    /// A sink failed, and it is asked about again when that sink can be asked.
    Waits,
}

/// What a point concerns: it is passed where nobody listens to its event, and the service has nothing to do there.
struct Step {
    point: Point,
    /// What the service itself does there.
    concerns: fn(&Core, &Message) -> bool,
}

/// The way of a message.
const STEPS: [Step; 5] = [
    Step::of_sinks(Point::Submit),
    Step::of_sinks(Point::PreCategorize),
    Step::of_sinks(Point::Categorize),
    Step {
        point: Point::Expand,
        concerns: categorizer::concerns,
    },
    Step::of_sinks(Point::PostCategorize),
];

impl Step {
    /// A point at which sinks alone have something to do.
    const fn of_sinks(point: Point) -> Self {
        Self {
            point,
            concerns: |_, _| false,
        }
    }

    fn matters(&self, core: &Core, judge: &dyn Judge, message: &Message) -> bool {
        judge.listens(&message.server, event_of(self.point)) || (self.concerns)(core, message)
    }
}

/// The first stage from this one on that matters to anybody.
pub(super) fn ahead(core: &Core, judge: &dyn Judge, message: &Message, stage: Stage) -> Stage {
    let Stage::At { point, .. } = &stage else {
        return stage;
    };
    let steps = STEPS.iter().filter(|step| step.point >= *point);
    // Asked about once more, recipients are looked up alone that came to it since.
    let is_left = |step: &Step| match step.point {
        Point::Submit => true,
        Point::Expand => message.recipients.iter().any(categorizer::is_open),
        _ => false,
    };
    let matters =
        |step: &&Step| (!message.walked || is_left(step)) && step.matters(core, judge, message);
    match steps.into_iter().find(matters) {
        Some(step) if step.point == *point => stage,
        Some(step) => Stage::at(step.point),
        None => Stage::Deliver,
    }
}

/// Sinks are asked somewhere on the way of a message of this server, and are not to be asked again in vain.
pub(crate) fn are_asked(judge: &dyn Judge, server: &str) -> bool {
    STEPS
        .iter()
        .any(|step| judge.listens(server, event_of(step.point)))
}

/// Takes a message through the stages before its delivery.
pub(crate) async fn pass(core: &Core, worker: usize, judge: &dyn Judge, begun: Begun) -> Passed {
    let mut next = begun;
    // As often as there are stages, and once more for a message that was held at its way in.
    loop {
        let mut begun = next;
        let stage = &begun.stored.stage;
        if matches!(stage, Stage::At { .. }) {
            let ahead = ahead(core, judge, &begun.stored.message, stage.clone());
            begun.passes_to(ahead);
        }
        if question(&begun.stored).is_none() {
            if !begun.stored.stage.is_kept() {
                return Passed::On(begun);
            }
            let mut update = MessageUpdate::new(begun.stored.message.id);
            match &begun.stored.stage {
                // It was to be held for a time, which is over.
                Stage::OnHold { was, by, .. } => {
                    let id = begun.stored.message.id;
                    tracing::info!(%id, by, "message released, its hold is over");
                    update.due = Some(match was.is_kept() {
                        true => Due::Never,
                        false => Due::At(core.now()),
                    });
                    update.stage = Some(Stage::clone(was));
                }
                // It was found due, and would be again.
                _ => update.due = Some(Due::Never),
            }
            commit(core, update).await;
            return Passed::Settled;
        }
        // The number that is asked with is that which was counted.
        let counted = count(core, vec![begun]).await;
        let Some(begun) = counted.and_then(|mut one| one.pop()) else {
            return Passed::Settled;
        };
        let Some(question) = question(&begun.stored) else {
            return Passed::Settled;
        };
        let went = match question.point {
            Some(Point::Expand) => categorizer::expand(core, worker, judge, begun, &question).await,
            Some(Point::Categorize) => {
                categorizer::categorize(core, worker, judge, begun, &question).await
            }
            _ => one(core, worker, judge, begun, &question).await,
        };
        match went {
            Went::On(begun) => next = *begun,
            Went::Settled => return Passed::Settled,
            Went::Waits => return Passed::Waits,
        }
    }
}

/// What a stage came to.
pub(super) enum Went {
    /// The message goes on to the next one.
    On(Box<Begun>),
    /// It does not, and that is recorded.
    Settled,
    /// It waits for a sink.
    Waits,
}

/// One question about the whole message.
async fn one(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    mut begun: Begun,
    question: &Question,
) -> Went {
    let about = match question.event {
        EventKind::TransportSubmit => About::Submit,
        EventKind::TransportPreCategorize => About::PreCategorize,
        EventKind::TransportPostCategorize => About::PostCategorize(came_to(&begun.stored.message)),
        event => About::Inbound(event),
    };
    let asked_at = Instant::now();
    let turn = begun.turn.take();
    let Some(ruled) = ask(core, judge, question, about, &begun.stored, turn).await else {
        put_off(core, &begun.stored, TROUBLE).await;
        return Went::Settled;
    };
    let decided = Decided::of(&begun.stored, question, &ruled.ruling, judge);
    let went = apply(core, worker, judge, begun, question, ruled, &decided).await;
    ended(core, worker, went, &decided, asked_at)
}

/// How a stage ended in which this was decided. `went`: the message, if it goes on.
pub(super) fn ended(
    core: &Core,
    worker: usize,
    went: Option<Begun>,
    decided: &Decided,
    asked_at: Instant,
) -> Went {
    match (went, decided.waits_for()) {
        (Some(begun), _) => Went::On(Box::new(begun)),
        (None, Some(binding)) => {
            // The sink may have come back while that was recorded.
            core.look_again(worker, binding, asked_at);
            Went::Waits
        }
        (None, None) => Went::Settled,
    }
}

/// What the recipients of a message were found to be.
fn came_to(message: &Message) -> PostCategorize {
    let count = |is: fn(&RecipientState) -> bool| {
        let all = message.recipients.iter().filter(|one| is(&one.state));
        u32::try_from(all.count()).unwrap_or(u32::MAX)
    };
    PostCategorize {
        resolved: count(|state| !state.is_done()),
        unresolved: count(|state| matches!(state, RecipientState::Failed(_))),
        expanded: count(|state| matches!(state, RecipientState::Expanded(_))),
        routing_only: false,
    }
}

impl Begun {
    /// Nobody objected where it was, and nothing changed: it is at this stage now, whatever the record says yet. How often it
    /// was asked about holds behind it too, where it starts anew from there.
    pub(super) fn passes_to(&mut self, next: Stage) {
        if next == self.stored.stage {
            return;
        }
        let before = match &self.stored.stage {
            Stage::At { attempts, .. } => *attempts,
            _ => 0,
        };
        self.unrecorded = true;
        self.stored.stage = next;
        if let Stage::At { attempts, .. } = &mut self.stored.stage {
            *attempts = before;
        }
    }

    /// It is at this stage, and the record says so.
    pub(super) fn is_at(&mut self, stage: Stage) {
        self.unrecorded = false;
        self.stored.stage = stage;
        self.asked = Asked::Never;
    }
}
