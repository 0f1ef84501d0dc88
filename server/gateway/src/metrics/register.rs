//! Registers metrics, and keeps their names: the page about them is held to what is exported.

use prometheus_client::registry::{Metric, Registry, Unit};

/// What every name begins with.
pub(super) const PREFIX: &str = "postern";

/// A registry, and the names in it.
pub(super) struct Register<'a> {
    registry: &'a mut Registry,
    names: &'a mut Vec<String>,
}

impl<'a> Register<'a> {
    pub(super) fn new(registry: &'a mut Registry, names: &'a mut Vec<String>) -> Self {
        Self { registry, names }
    }

    pub(super) fn add(&mut self, name: &'static str, help: &'static str, metric: impl Metric) {
        self.names.push(format!("{PREFIX}_{name}"));
        self.registry.register(name, help, metric);
    }

    pub(super) fn add_with_unit(
        &mut self,
        name: &'static str,
        help: &'static str,
        unit: Unit,
        metric: impl Metric,
    ) {
        self.names
            .push(format!("{PREFIX}_{name}_{}", unit.as_str()));
        self.registry.register_with_unit(name, help, unit, metric);
    }
}
