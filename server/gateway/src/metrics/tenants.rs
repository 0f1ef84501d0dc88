//! Messages by tenant. Sinks say whose a message is, so only so many tenants are counted by their names.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::labels::OfTenant;
use super::register::Register;

/// So many different tenants are counted by their names, the others as `other`.
const TENANTS: usize = 256;

/// Accepted messages by tenant.
#[derive(Default)]
pub struct Tenants {
    count: Family<OfTenant, Counter>,
    named: Mutex<HashSet<String>>,
}

impl Tenants {
    pub(super) fn register(&self, registry: &mut Register<'_>) {
        registry.add(
            "tenant_messages",
            "Accepted messages by tenant",
            self.count.clone(),
        );
    }

    /// A message of a tenant was accepted. Nothing is counted where there is none.
    pub fn count(&self, server: &Arc<str>, tenant: &str) {
        if tenant.is_empty() {
            return;
        }
        let is_named = {
            let mut named = self.named.lock();
            named.contains(tenant) || named.len() < TENANTS && named.insert(tenant.to_owned())
        };
        let label = OfTenant {
            server: server.into(),
            tenant: if is_named { tenant } else { "other" }.into(),
        };
        self.count.get_or_create(&label).inc();
    }
}
