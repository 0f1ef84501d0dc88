//! A world around a scheduler: messages, connections and destinations of which everything is known, on a clock of its own.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant, SystemTime};

use crate::scheduler::{Action, ConnectionId, DestinationId, End, Limits, Load, Scheduler, Tag};

/// Numbers stand for messages and destinations.
pub(super) struct Numbers;

impl Load for Numbers {
    type Destination = u32;
    type Item = u64;
    type Name = u64;
    type Reason = &'static str;
}

pub(super) const LIMITS: Limits = Limits {
    connections: 8,
    messages: 40,
    idle_messages: 60,
    names: 10_000,
};

/// Where a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// With the scheduler, in memory.
    Memory,
    /// On a connection.
    On(ConnectionId),
    /// Told to leave memory; its name comes next.
    Leaving,
    /// With the scheduler, as a name.
    Name,
    /// Being read back.
    Fetched(DestinationId),
    Delivered,
    PutOff(&'static str),
    Forgotten,
}

/// What a connection is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Opening,
    Idle,
    Busy(u64),
    /// Told to end, or at its end by itself.
    Ending,
}

pub(super) struct World {
    pub(super) scheduler: Scheduler<Numbers>,
    pub(super) now: Instant,
    pub(super) messages: BTreeMap<u64, (u32, Tag, Whereabouts)>,
    pub(super) links: BTreeMap<ConnectionId, (u32, Link)>,
    /// In the order of their delivery.
    pub(super) delivered: Vec<u64>,
    pub(super) most_links: HashMap<u32, usize>,
    few: usize,
}

impl World {
    pub(super) fn new(limits: Limits, few: usize) -> Self {
        Self {
            scheduler: Scheduler::new(limits),
            now: Instant::now(),
            messages: BTreeMap::new(),
            links: BTreeMap::new(),
            delivered: Vec::new(),
            most_links: HashMap::new(),
            few,
        }
    }

    pub(super) fn push(&mut self, destination: u32, sender: u64, priority: i8) -> u64 {
        let tag = Tag {
            sender,
            priority,
            since: SystemTime::UNIX_EPOCH + Duration::from_secs(self.messages.len() as u64),
        };
        let message = self.messages.len() as u64;
        self.messages
            .insert(message, (destination, tag, Whereabouts::Memory));
        self.scheduler
            .push(&destination, self.few, tag, message, false, self.now);
        self.act();
        message
    }

    pub(super) fn at(&self, message: u64) -> Whereabouts {
        self.messages[&message].2
    }

    fn set(&mut self, message: u64, from: &[Whereabouts], to: Whereabouts) {
        let place = &mut self.messages.get_mut(&message).unwrap().2;
        let known = from.contains(place);
        assert!(
            known,
            "message {message} is {place:?}, and not one of {from:?}, before {to:?}"
        );
        *place = to;
    }

    /// Takes the actions of the scheduler, and holds each against what is known.
    pub(super) fn act(&mut self) {
        while let Some(action) = self.scheduler.poll() {
            match action {
                Action::Open {
                    destination,
                    connection,
                    ..
                } => {
                    let new = self.links.insert(connection, (destination, Link::Opening));
                    assert_eq!(new, None);
                    let open = self.links_to(destination).count();
                    let most = self.most_links.entry(destination).or_default();
                    *most = open.max(*most);
                }
                Action::Deliver { connection, item } => {
                    let (destination, link) = self.links.get_mut(&connection).unwrap();
                    assert_eq!(*link, Link::Idle, "{connection:?}");
                    *link = Link::Busy(item);
                    assert_eq!(*destination, self.messages[&item].0);
                    self.set(item, &[Whereabouts::Memory], Whereabouts::On(connection));
                }
                Action::Close { connection } => {
                    let (_, link) = self.links.get_mut(&connection).unwrap();
                    assert_eq!(*link, Link::Idle, "{connection:?}");
                    *link = Link::Ending;
                }
                Action::PutOff { items, why, .. } => {
                    for item in items {
                        self.set(item, &[Whereabouts::Memory], Whereabouts::PutOff(why));
                    }
                }
                Action::Park { item, .. } => {
                    self.set(item, &[Whereabouts::Memory], Whereabouts::Leaving);
                }
                Action::Fetch { destination, name } => {
                    self.set(
                        name,
                        &[Whereabouts::Name],
                        Whereabouts::Fetched(destination),
                    );
                }
                Action::Forget { name } => {
                    self.set(name, &[Whereabouts::Name], Whereabouts::Forgotten);
                }
            }
        }
    }

    pub(super) fn links_to(&self, destination: u32) -> impl Iterator<Item = ConnectionId> {
        let own = self.links.iter();
        own.filter(move |(_, (to, _))| *to == destination)
            .map(|(connection, _)| *connection)
    }

    pub(super) fn links_that_are(&self, is: impl Fn(&Link) -> bool) -> Vec<ConnectionId> {
        let own = self.links.iter().filter(|(_, (_, link))| is(link));
        own.map(|(connection, _)| *connection).collect()
    }

    pub(super) fn opened(&mut self, connection: ConnectionId) {
        self.links.get_mut(&connection).unwrap().1 = Link::Idle;
        self.scheduler.opened(connection, self.now);
        self.act();
    }

    /// A connection is refused and at its end.
    pub(super) fn refused(&mut self, connection: ConnectionId, draw: u32) {
        self.links.get_mut(&connection).unwrap().1 = Link::Ending;
        self.scheduler
            .refused(connection, "refused", "was refused", draw, self.now);
        self.act();
        self.closed(connection);
    }

    pub(super) fn closed(&mut self, connection: ConnectionId) {
        let (_, link) = self.links.remove(&connection).unwrap();
        let left = match link {
            Link::Busy(message) => {
                self.set(message, &[Whereabouts::On(connection)], Whereabouts::Memory);
                Some((self.messages[&message].1, message))
            }
            _ => None,
        };
        self.scheduler.closed(connection, left, self.now);
        self.act();
    }

    /// A message has its result, or a connection breaks under it and it is to be tried again.
    pub(super) fn finished(
        &mut self,
        connection: ConnectionId,
        end: End,
        again: bool,
        ready: bool,
    ) {
        let (_, link) = self.links.get_mut(&connection).unwrap();
        let Link::Busy(message) = *link else {
            panic!("{connection:?} has nothing to finish");
        };
        *link = if ready { Link::Idle } else { Link::Ending };
        let tag = self.messages[&message].1;
        let next = match again {
            true => Whereabouts::Memory,
            false => Whereabouts::Delivered,
        };
        self.set(message, &[Whereabouts::On(connection)], next);
        if !again {
            self.delivered.push(message);
        }
        let again = again.then_some((tag, message));
        self.scheduler
            .finished(connection, end, again, ready, self.now);
        self.act();
    }

    /// What was told to leave memory has left it.
    pub(super) fn park(&mut self) {
        for message in self.messages_that_are(|place| *place == Whereabouts::Leaving) {
            let (destination, tag, _) = self.messages[&message];
            self.set(message, &[Whereabouts::Leaving], Whereabouts::Name);
            self.scheduler
                .park(&destination, self.few, tag, message, self.now);
            self.act();
        }
    }

    /// What was to be fetched is in memory again, or is `gone`.
    pub(super) fn fetch(&mut self, message: u64, gone: bool) {
        let (destination, tag, place) = self.messages[&message];
        let Whereabouts::Fetched(id) = place else {
            panic!("{message} is not being fetched");
        };
        self.messages.get_mut(&message).unwrap().2 = match gone {
            true => Whereabouts::Forgotten,
            false => Whereabouts::Memory,
        };
        if !gone {
            self.scheduler
                .push(&destination, self.few, tag, message, true, self.now);
        }
        self.scheduler.fetched(id, self.now);
        self.act();
    }

    pub(super) fn fetch_all(&mut self) {
        for message in self.messages_that_are(|place| matches!(place, Whereabouts::Fetched(_))) {
            self.fetch(message, false);
        }
    }

    pub(super) fn messages_that_are(&self, is: impl Fn(&Whereabouts) -> bool) -> Vec<u64> {
        let own = self.messages.iter().filter(|(_, (_, _, place))| is(place));
        own.map(|(message, _)| *message).collect()
    }

    pub(super) fn in_memory(&self, destination: u32) -> usize {
        let own = self.messages.values().filter(|(to, ..)| *to == destination);
        own.filter(|(_, _, place)| matches!(place, Whereabouts::Memory | Whereabouts::On(_)))
            .count()
    }

    pub(super) fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.scheduler.next_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.scheduler.timeout(self.now);
            self.act();
            self.park();
            let next = self.scheduler.next_timeout();
            assert!(
                next.is_none_or(|next| next > self.now),
                "a timer that stands still"
            );
        }
        self.now = until;
    }

    /// Lets healthy destinations work for a time: each message takes `each` on a connection, whatever the others do. `is_silent`
    /// destinations accept no connection and refuse none.
    pub(super) fn work(
        &mut self,
        time: Duration,
        each: impl Fn(u32) -> Duration,
        is_silent: impl Fn(u32) -> bool,
    ) {
        let until = self.now + time;
        let mut ends: BTreeSet<(Instant, ConnectionId)> = BTreeSet::new();
        let mut known: BTreeSet<ConnectionId> = BTreeSet::new();
        loop {
            self.park();
            self.fetch_all();
            for connection in self.links_that_are(|link| *link == Link::Opening) {
                if !is_silent(self.links[&connection].0) {
                    self.opened(connection);
                }
            }
            for connection in self.links_that_are(|link| *link == Link::Ending) {
                self.closed(connection);
            }
            for connection in self.links_that_are(|link| matches!(link, Link::Busy(_))) {
                let destination = self.links[&connection].0;
                if !is_silent(destination) && known.insert(connection) {
                    ends.insert((self.now + each(destination), connection));
                }
            }
            let next = ends.first().map(|(at, _)| *at);
            let timer = self.scheduler.next_timeout();
            let Some(at) = [next, timer]
                .into_iter()
                .flatten()
                .min()
                .filter(|at| *at <= until)
            else {
                self.now = until;
                return;
            };
            self.now = self.now.max(at);
            if next == Some(at) {
                let (_, connection) = ends.pop_first().unwrap();
                known.remove(&connection);
                self.finished(connection, End::Result, false, true);
            } else {
                self.scheduler.timeout(self.now);
                self.act();
            }
        }
    }
}
