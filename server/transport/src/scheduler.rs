//! Who is delivered when, over which connection, and from where: one machine without I/O, with time and randomness as
//! arguments.
//!
//! A [`Scheduler`] owns some destinations. It hears what comes for them ([`Scheduler::push`], [`Scheduler::park`]) and how
//! their connections get on, and says by [`Action`]s what is to be done: connections to be opened, given a message, or closed;
//! messages that leave memory, since their destination has had its share of it, and those that are fetched back when it has
//! room again; messages that are put off, since their destination cannot be reached. Whoever runs it does that, and calls
//! [`Scheduler::timeout`] when [`Scheduler::next_timeout`] has come.

mod concurrency;
mod destination;
mod line;
mod manners;
mod pace;
mod rest;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::hash::Hash;
use std::time::Instant;

use self::destination::{Destination, Settled};
pub(crate) use self::line::Tag;
pub(crate) use self::manners::Manners;
#[cfg(test)]
pub(crate) use self::pace::HANDFUL;

/// What a scheduler schedules.
pub(crate) trait Load {
    /// Names a destination.
    type Destination: Clone + Eq + Hash;
    /// A message in memory, with its recipients at the destination.
    type Item;
    /// A message that is not in memory.
    type Name;
    /// Why a destination cannot be reached.
    type Reason: Clone;
}

/// The bounds of one scheduler.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Connections that a destination has at most.
    pub(crate) connections: usize,
    /// Messages in memory for one destination that is at work.
    pub(crate) messages: usize,
    /// Messages in memory for all destinations together that are not at work: unproven, hung or down. Beyond it each of them
    /// has one.
    pub(crate) idle_messages: usize,
    /// Names that wait for room at one destination.
    pub(crate) names: usize,
}

/// A destination of a scheduler, as long as the scheduler knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DestinationId(u64);

/// A connection. Never used twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ConnectionId(u64);

/// What is to be done.
pub(crate) enum Action<L: Load> {
    /// Make a connection, and tell of it by [`Scheduler::opened`] or [`Scheduler::refused`], and at its end by
    /// [`Scheduler::closed`].
    Open {
        destination: L::Destination,
        connection: ConnectionId,
        /// How the destination wants to be spoken to.
        manners: Manners,
    },
    /// Deliver a message over a connection that has nothing to do; [`Scheduler::finished`] tells of it.
    Deliver {
        connection: ConnectionId,
        item: L::Item,
    },
    /// End a connection that has nothing to do.
    Close { connection: ConnectionId },
    /// The destination cannot be reached: these are put off.
    PutOff {
        destination: L::Destination,
        items: Vec<L::Item>,
        why: L::Reason,
    },
    /// There is no room: the message leaves memory, and its name is given to [`Scheduler::park`].
    Park {
        destination: L::Destination,
        tag: Tag,
        item: L::Item,
    },
    /// There is room again: the message is to be read and pushed as one that waited; [`Scheduler::fetched`] ends it, whatever
    /// came of it.
    Fetch {
        destination: DestinationId,
        name: L::Name,
    },
    /// There is no room for the name either: the message is to be found by its due time, later.
    Forget { name: L::Name },
}

/// How much a scheduler has to do with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Destinations that are known.
    pub(crate) destinations: usize,
    /// Connections, those that are being made or ended too.
    pub(crate) connections: usize,
    /// Names that wait for room.
    pub(crate) parked: usize,
}

/// How a message's delivery over a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It has its result, whatever that is.
    Result,
    /// The connection broke, or the destination had enough of it.
    Trouble,
}

/// The machine.
pub(crate) struct Scheduler<L: Load> {
    limits: Limits,
    names: HashMap<L::Destination, DestinationId>,
    destinations: HashMap<DestinationId, Destination<L>>,
    connections: HashMap<ConnectionId, DestinationId>,
    timers: BTreeSet<(Instant, DestinationId)>,
    /// Messages in memory for destinations that are not at work.
    idle_messages: usize,
    /// Names that wait for room, at all destinations.
    parked: usize,
    next: u64,
    actions: VecDeque<Action<L>>,
}

impl<L: Load> Scheduler<L> {
    /// Without any destination.
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            names: HashMap::new(),
            destinations: HashMap::new(),
            connections: HashMap::new(),
            timers: BTreeSet::new(),
            idle_messages: 0,
            parked: 0,
            next: 0,
            actions: VecDeque::new(),
        }
    }

    /// The next thing to be done.
    pub(crate) fn poll(&mut self) -> Option<Action<L>> {
        self.actions.pop_front()
    }

    /// When [`Scheduler::timeout`] is to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A message for a destination. `few`: connections that a new destination begins with. `fetched`: it has waited for room
    /// among the others.
    pub(crate) fn push(
        &mut self,
        destination: &L::Destination,
        few: usize,
        tag: Tag,
        item: L::Item,
        fetched: bool,
        now: Instant,
    ) {
        let id = self.id(destination, few, now);
        self.with(id, now, |one, idle_room, actions| {
            one.push(tag, item, fetched, idle_room, actions, now);
        });
    }

    /// The name of a message that waits for room at a destination.
    pub(crate) fn park(
        &mut self,
        destination: &L::Destination,
        few: usize,
        tag: Tag,
        name: L::Name,
        now: Instant,
    ) {
        let id = self.id(destination, few, now);
        self.with(id, now, |one, _, actions| one.park(tag, name, actions));
    }

    /// Takes out what fits of all that waits, in memory or by name. What a connection has stays there.
    pub(crate) fn withdraw(
        &mut self,
        item: impl Fn(&L::Item) -> bool,
        name: impl Fn(&L::Name) -> bool,
        now: Instant,
    ) -> (Vec<L::Item>, Vec<L::Name>) {
        let (mut items, mut names) = (Vec::new(), Vec::new());
        let all: Vec<_> = self.destinations.keys().copied().collect();
        for id in all {
            self.with(id, now, |one, _, _| {
                one.withdraw(&item, &name, &mut items, &mut names);
            });
        }
        (items, names)
    }

    /// A destination that is left alone since it could not be reached is tried again now.
    pub(crate) fn wake(&mut self, destination: &L::Destination, now: Instant) {
        if let Some(&id) = self.names.get(destination) {
            self.with(id, now, |one, _, _| one.wake());
        }
    }

    /// A fetch has ended: the message was pushed, or it is gone.
    pub(crate) fn fetched(&mut self, destination: DestinationId, now: Instant) {
        self.with(destination, now, |one, _, _| one.fetched());
    }

    /// A connection was made.
    pub(crate) fn opened(&mut self, connection: ConnectionId, now: Instant) {
        self.at(connection, now, |one, actions| {
            one.opened(connection, actions, now);
        });
    }

    /// A connection could not be made, and [`Scheduler::closed`] follows. `why` is for the messages that wait, `later` for those
    /// that come while the destination is left alone. `draw` is a random number.
    pub(crate) fn refused(
        &mut self,
        connection: ConnectionId,
        why: L::Reason,
        later: L::Reason,
        draw: u32,
        now: Instant,
    ) {
        self.at(connection, now, |one, actions| {
            one.refused(connection, why, later, draw, actions, now);
        });
    }

    /// The message that a connection had is done with. `again`: some of it is to be tried once more. `ready`: the connection
    /// can take another one.
    pub(crate) fn finished(
        &mut self,
        connection: ConnectionId,
        end: End,
        again: Option<(Tag, L::Item)>,
        ready: bool,
        now: Instant,
    ) {
        self.at(connection, now, |one, actions| {
            one.finished(connection, end, again, ready, actions, now);
        });
    }

    /// A message that was to be delivered over a connection could not be given to it: it is ending, and
    /// [`Scheduler::closed`] follows.
    pub(crate) fn gave_in_vain(
        &mut self,
        connection: ConnectionId,
        tag: Tag,
        item: L::Item,
        now: Instant,
    ) {
        self.at(connection, now, |one, _| {
            one.gave_in_vain(connection, tag, item)
        });
    }

    /// A connection is no more. `left`: a message that it was given and has not touched.
    pub(crate) fn closed(
        &mut self,
        connection: ConnectionId,
        left: Option<(Tag, L::Item)>,
        now: Instant,
    ) {
        self.at(connection, now, |one, _| one.closed(connection, left));
        self.connections.remove(&connection);
    }

    /// The destination of a connection.
    pub(crate) fn destination(&self, connection: ConnectionId) -> Option<&L::Destination> {
        let id = self.connections.get(&connection)?;
        Some(self.destinations.get(id)?.name())
    }

    /// What is known of how the destination of a connection wants to be spoken to.
    pub(crate) fn manners(&mut self, connection: ConnectionId) -> Option<&mut Manners> {
        let id = self.connections.get(&connection)?;
        Some(self.destinations.get_mut(id)?.manners())
    }

    /// The time of [`Scheduler::next_timeout`] has come.
    pub(crate) fn timeout(&mut self, now: Instant) {
        while let Some(&(at, id)) = self.timers.first() {
            if at > now {
                return;
            }
            self.timers.pop_first();
            if self
                .destinations
                .get(&id)
                .is_some_and(|one| one.is_forgotten(now))
            {
                self.forget(id);
                continue;
            }
            self.with(id, now, |one, idle_room, actions| {
                one.timeout(idle_room, actions, now);
            });
        }
    }

    /// How much it has to do with now.
    pub(crate) fn counts(&self) -> Counts {
        Counts {
            destinations: self.destinations.len(),
            connections: self.connections.len(),
            parked: self.parked,
        }
    }

    fn id(&mut self, destination: &L::Destination, few: usize, now: Instant) -> DestinationId {
        if let Some(id) = self.names.get(destination) {
            return *id;
        }
        let id = DestinationId(self.number());
        let one = Destination::new(destination.clone(), few, self.limits, now);
        self.names.insert(destination.clone(), id);
        self.destinations.insert(id, one);
        id
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn forget(&mut self, id: DestinationId) {
        if let Some(one) = self.destinations.remove(&id) {
            self.names.remove(one.name());
        }
    }

    fn at(
        &mut self,
        connection: ConnectionId,
        now: Instant,
        change: impl FnOnce(&mut Destination<L>, &mut VecDeque<Action<L>>),
    ) {
        if let Some(&id) = self.connections.get(&connection) {
            self.with(id, now, |one, _, actions| change(one, actions));
        }
    }

    /// Changes a destination, and then does for it what follows.
    fn with(
        &mut self,
        id: DestinationId,
        now: Instant,
        change: impl FnOnce(&mut Destination<L>, bool, &mut VecDeque<Action<L>>),
    ) {
        let Some(one) = self.destinations.get_mut(&id) else {
            return;
        };
        let before = one.settled();
        let idle_room = self.idle_messages < self.limits.idle_messages;
        change(one, idle_room, &mut self.actions);
        let mut next = self.next;
        let connections = &mut self.connections;
        let connect = || {
            next += 1;
            connections.insert(ConnectionId(next), id);
            ConnectionId(next)
        };
        let after = one.arrange(id, idle_room, connect, &mut self.actions, now);
        self.next = next;
        self.account(id, before, after);
    }

    fn account(&mut self, id: DestinationId, before: Settled, after: Settled) {
        self.idle_messages =
            (self.idle_messages + after.idle_messages).saturating_sub(before.idle_messages);
        self.parked = (self.parked + after.names).saturating_sub(before.names);
        if let Some(at) = before.timer {
            self.timers.remove(&(at, id));
        }
        if let Some(at) = after.timer {
            self.timers.insert((at, id));
        }
    }
}

#[cfg(test)]
mod tests;
