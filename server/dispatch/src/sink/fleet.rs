//! What the fleet says: connections to make, and how the sink's replicas are.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use postern_attach::{Description, FleetEvent};
use postern_events::fault::{Fault, FaultKind};
use postern_events::plan::Binding;

use crate::connection::Connected;
use crate::observer::What;

use super::task::SinkTask;

/// Longest part of a description that is reported, in characters.
const REPORTED: usize = 1024;

impl SinkTask {
    /// Acts on what the fleet says. True if it said something.
    pub(super) fn fleet_events(&mut self) -> bool {
        let mut busy = false;
        while let Some(event) = self.fleet.poll_event() {
            self.fleet_event(event);
            busy = true;
        }
        if busy {
            self.publish_status();
        }
        busy
    }

    fn fleet_event(&mut self, event: FleetEvent) {
        match event {
            FleetEvent::Connect {
                replica,
                name,
                connection,
            } => {
                let target = self.targets.get(&name).cloned();
                self.names.insert(replica, name);
                if let Some(target) = target {
                    self.connections
                        .make(connection, replica, target, &self.sink, &self.settings);
                }
            }
            FleetEvent::Disconnect { connection } => self.connections.drop_one(connection),
            FleetEvent::ReplicaUp {
                name, description, ..
            } => {
                let text = format!(
                    "{} {}",
                    clean(&description.response.name),
                    clean(&description.response.version)
                );
                self.observe("", &name, What::ReplicaUp { description: &text });
            }
            FleetEvent::ReplicaDown {
                name,
                fault,
                retry_in,
                ..
            } => self.observe(
                "",
                &name,
                What::ReplicaDown {
                    fault: &fault,
                    retry_in,
                },
            ),
            FleetEvent::Stalled { name, .. } => self.observe("", &name, What::Stalled),
            FleetEvent::Described {
                name, description, ..
            } => {
                if description.response.side_effects {
                    self.face.cautious.store(true, Ordering::Relaxed);
                }
                self.compare(&name, &description);
            }
            FleetEvent::Reachable => {
                self.observe("", "", What::SinkReachable);
                self.announce();
            }
            FleetEvent::Unreachable { fault } => {
                self.observe("", "", What::SinkUnreachable { fault: &fault });
            }
            FleetEvent::Changed => self.stirred = true,
        }
    }

    /// Why what answered on a new connection is not the sink that was accepted. Whoever it is gets no stream.
    pub(super) fn stranger(&self, connected: &Connected) -> Option<Fault> {
        let plan = self.plan.load();
        let own = |binding: &&Arc<Binding>| binding.sink.name == self.sink.name;
        let mut bindings = plan.bindings().iter().filter(own);
        let stranger = bindings
            .find_map(|binding| binding.stranger(&connected.response.name, connected.user))?
            .to_string();
        let text: String = stranger.chars().take(REPORTED).collect();
        Some(Fault::new(FaultKind::Unreachable, text))
    }

    /// Compares what a sink says of itself with what was accepted and granted.
    fn compare(&self, replica: &str, description: &Description) {
        let plan = self.plan.load();
        let own = |binding: &&Arc<Binding>| binding.sink.name == self.sink.name;
        for binding in plan.bindings().iter().filter(own) {
            for shortfall in binding.shortfalls(&description.response) {
                let text: String = shortfall.to_string().chars().take(REPORTED).collect();
                self.observe(&binding.name, replica, What::AsksForMore { what: &text });
            }
        }
    }
}

/// Text of a sink, fit for a line of log.
fn clean(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(63).collect()
}
