//! Those that are told of deliveries: one instance for each binding, of no single message.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_events::context::{Context, DeliveryContext};
use postern_events::plan::Plan;
use postern_events::question::Question;
use postern_proto::v1 as pb;

use crate::scope::Scope;
use crate::shared::Shared;

/// One scope for each plan and virtual server that something was told of.
#[derive(Default)]
pub(crate) struct NewsDesk {
    scopes: Mutex<Vec<Arc<Scope>>>,
}

impl NewsDesk {
    /// Tells everybody who is bound to the event. Never waits.
    pub(crate) fn tell(
        &self,
        shared: &Arc<Shared>,
        plan: &Arc<Plan>,
        server: &Arc<str>,
        question: &Question,
    ) {
        if !plan.wants(server, question.kind()) {
            return;
        }
        let scope = self.scope(shared, plan, server);
        scope.tell(question);
    }

    fn scope(&self, shared: &Arc<Shared>, plan: &Arc<Plan>, server: &Arc<str>) -> Arc<Scope> {
        let mut scopes = self.scopes.lock();
        let found = scopes
            .iter()
            .find(|scope| Arc::ptr_eq(&scope.plan, plan) && scope.server == *server);
        if let Some(scope) = found {
            return Arc::clone(scope);
        }
        let context = Context::Delivery(DeliveryContext {
            server: Arc::clone(server),
        });
        let scope = Arc::new(Scope::with_plan(
            pb::Scope::Delivery,
            shared,
            Arc::clone(plan),
            Arc::clone(server),
            context,
        ));
        scopes.push(Arc::clone(&scope));
        scope
    }

    /// Ends the scopes of plans that are not in force any more.
    pub(crate) fn keep_only(&self, plan: &Arc<Plan>) {
        let mut scopes = self.scopes.lock();
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut *scopes)
            .into_iter()
            .partition(|scope| Arc::ptr_eq(&scope.plan, plan));
        *scopes = kept;
        drop(scopes);
        drop(gone);
    }
}
