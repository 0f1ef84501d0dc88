//! Lets go what waited for a sink that is back: at once, the oldest first, and only as fast as the sink keeps up.

use std::collections::VecDeque;
use std::sync::Arc;

use postern_message::MessageId;
use postern_spool::{Due, Filter, Page, SpoolError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::core::Begun;
use super::question::{Asked, count};
use super::slots::Source;
use super::worker::{Context, NO_SLOT, note, take_up};

/// Messages of one sink that are asked about at the same time. It begins with one, and grows by one with each that passes.
const MOST: usize = 16;
/// Names read from the spool in one go.
const PORTION: usize = 256;

/// Lets go what waits for a sink, which this thread may ask. Ends when nothing is left that may go, or the sink fails again.
pub(crate) async fn release(context: Context, sink: Arc<str>) {
    let returns = &context.core.returns;
    loop {
        let went = pass(&context, &sink).await;
        if went > 0 {
            tracing::info!(
                sink = &*sink,
                messages = went,
                "what waited for a sink was asked about again"
            );
        }
        if !returns.goes_on(&sink) {
            return;
        }
    }
}

/// Goes once over what waits. Returns how many messages wait no more.
async fn pass(context: &Context, sink: &Arc<str>) -> usize {
    let core = &context.core;
    let mut line = Line {
        bindings: context.judge.bindings_of(sink),
        names: VecDeque::new(),
        after: None,
        ended: false,
    };
    let (mut went, mut room) = (0, 1);
    let mut stopped = line.bindings.is_empty();
    let mut under_way = JoinSet::new();
    let turn = Arc::new(Semaphore::new(1));
    loop {
        stopped |= context.shutdown.has_begun();
        if !stopped && under_way.len() < room {
            let begun = line.next(context, room - under_way.len()).await;
            let Some(begun) = count(core, begun).await else {
                stopped = true;
                continue;
            };
            for mut one in begun {
                // Each is asked about before the next one is begun, though its content is still to be read.
                one.turn = Arc::clone(&turn).acquire_owned().await.ok();
                let (id, context) = (one.stored.message.id, context.clone());
                under_way.spawn(async move { (id, take_up(context, one).await) });
            }
        }
        match under_way.join_next().await {
            None => return went,
            Some(Ok((id, true))) => {
                core.returns.waits_again(id);
                room = 1;
                // What fails by itself does not keep the others; a sink that is away again does.
                stopped |= !context.judge.is_reachable(sink);
            }
            Some(Ok((id, false))) => {
                core.returns.went(id);
                went += 1;
                room = (room + 1).min(MOST);
            }
            Some(Err(error)) => note(&error),
        }
    }
}

/// The messages that wait, in the order of their arrival.
struct Line {
    bindings: Vec<String>,
    names: VecDeque<MessageId>,
    after: Option<MessageId>,
    ended: bool,
}

impl Line {
    /// The next ones, at most `most`, with their slots.
    async fn next(&mut self, context: &Context, most: usize) -> Vec<Begun> {
        let mut next = Vec::new();
        while next.len() < most {
            if self.names.is_empty() {
                self.read(context).await;
            }
            let Some(id) = self.names.pop_front() else {
                break;
            };
            if context.core.returns.may_go(id) {
                next.extend(self.claim(context, id).await);
            }
        }
        next
    }

    async fn read(&mut self, context: &Context) {
        if self.ended {
            return;
        }
        let filter = Filter {
            waits_for: self.bindings.clone(),
            ..Filter::default()
        };
        let page = Page {
            after: self.after,
            limit: PORTION,
        };
        match context.core.store.list(&filter, page).await {
            Ok(entries) => {
                self.ended = entries.len() < PORTION;
                self.after = entries.last().map(|entry| entry.id).or(self.after);
                self.names.extend(entries.iter().map(|entry| entry.id));
            }
            Err(error) => {
                tracing::error!(%error, "what waits for a sink cannot be listed, it goes by the retry schedule");
                self.ended = true;
            }
        }
    }

    /// `None`: somebody else has it, or it waits no more.
    async fn claim(&self, context: &Context, id: MessageId) -> Option<Begun> {
        let core = &context.core;
        let claimed = match core.store.take(id).await {
            Ok(claimed) => claimed?,
            Err(error) => {
                tracing::error!(%id, %error, "cannot be read");
                return None;
            }
        };
        let slot = loop {
            match core
                .slots
                .try_take(claimed.lease, Source::Spool, claimed.weight)
            {
                Some(slot) => break slot,
                None => sleep(NO_SLOT).await,
            }
        };
        match core.store.load(id).await {
            Ok(Some(stored)) => {
                let waits = stored.stage.waits_for();
                if waits.is_some_and(|binding| self.bindings.iter().any(|own| own == binding)) {
                    return Some(Begun {
                        stored,
                        unrecorded: false,
                        slot: Box::new(slot),
                        waited: false,
                        asked: Asked::Perhaps,
                        early: true,
                        turn: None,
                    });
                }
                // It is due as it was.
                if let Due::At(due) = stored.due {
                    slot.put_off(due);
                }
            }
            Ok(None) | Err(SpoolError::Damaged { .. }) => {}
            Err(error) => tracing::error!(%id, %error, "cannot be read"),
        }
        None
    }
}
