//! What a connection is told by the worker that owns its destination, and what it tells.

use tokio::sync::mpsc;
use tokio::time::Instant;

use postern_delivery::Attempted;

use super::job::Group;
use super::scheduler::{ConnectionId, End, Manners};

/// A connection's end of its ways to and from the worker.
pub(crate) struct Seat {
    connection: ConnectionId,
    manners: Manners,
    /// At most one: the next group comes when the last one is finished.
    groups: mpsc::Receiver<Given>,
    worker: mpsc::Sender<Told>,
}

/// What a connection is given to deliver.
pub(crate) struct Given {
    pub(crate) group: Group,
    /// How the destination wants to be spoken to, as it is known by now.
    pub(crate) manners: Manners,
}

/// What a connection tells.
pub(crate) struct Told {
    pub(crate) connection: ConnectionId,
    pub(crate) what: What,
}

/// What there is to tell.
pub(crate) enum What {
    /// A session has begun.
    Opened,
    /// None could be had. `lasting`: for a reason that holds for all messages to the destination.
    Refused { why: Attempted, lasting: bool },
    /// A TLS handshake came to this.
    Handshake { succeeded: bool },
    /// BDAT was refused although it is offered.
    BdatRefused,
    /// A group is done with.
    Finished {
        end: End,
        /// Recipients that are to be tried again at once.
        again: Option<Group>,
        /// The connection takes another one.
        ready: bool,
    },
}

impl Seat {
    /// The two ends of a new connection's ways: its own, and what the worker gives it groups by.
    pub(crate) fn new(
        connection: ConnectionId,
        manners: Manners,
        worker: mpsc::Sender<Told>,
    ) -> (Self, mpsc::Sender<Given>) {
        let (give, groups) = mpsc::channel(1);
        let seat = Self {
            connection,
            manners,
            groups,
            worker,
        };
        (seat, give)
    }

    /// Tells the worker. If that has come to its end nobody needs to know.
    pub(crate) async fn tell(&self, what: What) {
        let connection = self.connection;
        if self.worker.send(Told { connection, what }).await.is_err() {
            tracing::debug!("a connection outlives its worker");
        }
    }

    /// The next group; `None`: the connection is to end. May be dropped at any time.
    pub(crate) async fn next(&mut self) -> Option<Group> {
        let Given { group, manners } = self.groups.recv().await?;
        self.manners = manners;
        Some(group)
    }

    /// A group that was given and has not been taken.
    pub(crate) fn left(mut self) -> Option<Group> {
        self.groups.close();
        self.groups.try_recv().ok().map(|given| given.group)
    }

    /// Whether TLS may be tried.
    pub(crate) fn may_encrypt(&self) -> bool {
        self.manners.may_encrypt(Instant::now().into_std())
    }

    /// Whether BDAT may be used.
    pub(crate) fn may_use_bdat(&self) -> bool {
        self.manners.may_use_bdat(Instant::now().into_std())
    }
}
