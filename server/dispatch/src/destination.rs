//! One destination, as the transport core sees the dispatcher: nothing of any message.

use std::future::Future;
use std::sync::Arc;

use postern_events::budget::Budget;
use postern_events::context::{Context, DestinationContext};
use postern_events::question::{Event, Question};
use postern_events::ruling::Ruling;
use postern_proto::v1 as pb;

use crate::run::{Begin, Run};
use crate::scope::Scope;
use crate::shared::Shared;

/// Asks about one event of a destination. Its instances end with the answer.
pub(crate) fn ask<E: Event<Context = DestinationContext>>(
    shared: &Arc<Shared>,
    destination: DestinationContext,
    event: E,
    budget: &Budget,
) -> impl Future<Output = Ruling> + Send + use<E> {
    let server = Arc::clone(&destination.server);
    let context = Context::from(destination);
    let scope = Arc::new(Scope::new(pb::Scope::Destination, shared, server, context));
    let begin = Begin {
        budget: Some(*budget),
        ..Begin::default()
    };
    async move {
        let Some(stage) = scope.stage(E::KIND) else {
            return Ruling::proceed(E::KIND);
        };
        let run = Run::new(&scope, stage, vec![Question::new(event)], begin);
        run.ruling(None).await
    }
}
