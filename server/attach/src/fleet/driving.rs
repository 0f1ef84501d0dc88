//! What time brings: attempts that take too long, probes, and connections that nothing needs.

use std::time::Instant;

use postern_events::fault::{Fault, FaultKind};

use super::connection::{Connection, Stage};
use super::ids::{ConnectionId, ReplicaId};
use super::replica::Replica;
use super::state::{Fleet, FleetEvent};

impl Fleet {
    /// Returns when [`Fleet::handle_timeout`] is to be called, unless something else comes first.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let probes = self
            .replicas
            .iter()
            .filter_map(|replica| replica.probe_at(&self.settings));
        let connections = self.replicas.iter().flat_map(|replica| {
            let unused = self.unused_at(replica);
            replica.connections.iter().filter_map(move |one| {
                attempt_ends(one).or_else(|| unused.filter(|_| is_unused(one)))
            })
        });
        probes.chain(connections).min()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        let late: Vec<ConnectionId> = self
            .replicas
            .iter()
            .flat_map(|replica| &replica.connections)
            .filter(|one| attempt_ends(one).is_some_and(|until| now >= until))
            .map(|one| one.id)
            .collect();
        for connection in late {
            let time = self.settings.connect_timeout;
            let detail = format!("no connection and description within {time:?}");
            self.events.push_back(FleetEvent::Disconnect { connection });
            self.connect_failed(now, connection, Fault::new(FaultKind::Unreachable, detail));
        }
        let due: Vec<ReplicaId> = self
            .replicas
            .iter()
            .filter(|replica| replica.probe_at(&self.settings).is_some_and(|at| now >= at))
            .map(|replica| replica.id)
            .collect();
        for replica in due {
            self.connect(now, replica);
        }
        let unused: Vec<ConnectionId> = self
            .replicas
            .iter()
            .filter_map(|replica| {
                let at = self.unused_at(replica)?;
                (now >= at).then(|| first_unused(replica)).flatten()
            })
            .collect();
        for connection in unused {
            self.disconnect(connection);
        }
    }

    /// When the connection of a replica that has been unused longest is dropped. `None`: none is, or it is the only one.
    fn unused_at(&self, replica: &Replica) -> Option<Instant> {
        let usable = replica.connections.iter().filter(|one| one.is_usable());
        if usable.count() < 2 {
            return None;
        }
        let unused = replica.connections.iter().filter(|one| is_unused(one));
        let since = unused.map(|one| one.unused_since).min()?;
        Some(since + self.settings.unused_after)
    }
}

fn first_unused(replica: &Replica) -> Option<ConnectionId> {
    replica
        .connections
        .iter()
        .filter(|one| is_unused(one))
        .min_by_key(|one| one.unused_since)
        .map(|one| one.id)
}

const fn is_unused(connection: &Connection) -> bool {
    connection.is_usable() && connection.streams == 0
}

const fn attempt_ends(connection: &Connection) -> Option<Instant> {
    match connection.stage {
        Stage::Connecting { until, .. } => Some(until),
        Stage::Ready(_) => None,
    }
}
