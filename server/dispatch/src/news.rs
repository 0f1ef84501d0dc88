//! Those that are told of deliveries and of the gateway itself: one instance for each binding, of no single message.

use std::sync::Arc;

use parking_lot::Mutex;
use postern_events::context::{Context, DeliveryContext, ServiceContext};
use postern_events::plan::Plan;
use postern_events::question::{Event, Question};
use postern_proto::v1 as pb;

use crate::scope::Scope;
use crate::shared::Shared;

/// One scope for each plan and virtual server that something was told of.
#[derive(Default)]
pub(crate) struct NewsDesk {
    scopes: Mutex<Vec<Arc<Scope>>>,
    /// The same of the gateway itself: a binding is told once, however many virtual servers it is for.
    service: Mutex<Vec<Arc<Scope>>>,
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

    /// Tells everybody who is bound to an event of the gateway itself, each once. `servers` are all virtual servers; `event`
    /// makes the event for a binding that is for some of them. Never waits.
    pub(crate) fn tell_service<E: Event>(
        &self,
        shared: &Arc<Shared>,
        servers: &[String],
        event: impl Fn(&[String]) -> E,
    ) {
        let plan = shared.plan.load_full();
        for binding in plan.bindings().iter().filter(|own| own.has(E::KIND)) {
            let own = match binding.servers.as_slice() {
                [] => servers,
                some => some,
            };
            let Some(first) = own.first() else { continue };
            let scope = self.service_scope(shared, &plan, first);
            scope.tell_one(binding, &Question::new(event(own)));
        }
    }

    fn service_scope(&self, shared: &Arc<Shared>, plan: &Arc<Plan>, server: &str) -> Arc<Scope> {
        let mut scopes = self.service.lock();
        let found = scopes
            .iter()
            .find(|scope| Arc::ptr_eq(&scope.plan, plan) && *scope.server == *server);
        if let Some(scope) = found {
            return Arc::clone(scope);
        }
        // Of which servers it is told is in the event.
        let context = Context::Service(ServiceContext { server: "".into() });
        let scope = Arc::new(Scope::with_plan(
            pb::Scope::Service,
            shared,
            Arc::clone(plan),
            server.into(),
            context,
        ));
        scopes.push(Arc::clone(&scope));
        scope
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
        for scopes in [&self.scopes, &self.service] {
            let mut scopes = scopes.lock();
            let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut *scopes)
                .into_iter()
                .partition(|scope| Arc::ptr_eq(&scope.plan, plan));
            *scopes = kept;
            drop(scopes);
            drop(gone);
        }
    }
}
