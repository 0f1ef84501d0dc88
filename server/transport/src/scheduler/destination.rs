//! One destination: what waits for it, its connections, and how it gets on.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::concurrency::Concurrency;
use super::line::{Line, Tag};
use super::manners::Manners;
use super::pace::Pace;
use super::rest::Rest;
use super::{Action, ConnectionId, DestinationId, End, Limits, Load};

/// How long a connection waits for another message.
const IDLE: Duration = Duration::from_secs(5);
/// A destination without anything to do is forgotten after so long.
const FORGOTTEN: Duration = Duration::from_secs(600);
/// Messages that are fetched for one destination at the same time.
const FETCHES: usize = 8;

pub(super) struct Destination<L: Load> {
    name: L::Destination,
    limits: Limits,
    waiting: Line<L::Item>,
    /// Messages that are not in memory and wait for room there.
    parked: Line<L::Name>,
    fetching: usize,
    /// Results whose room is that of what is parked.
    owed: Owed,
    connections: HashMap<ConnectionId, Connection>,
    /// Connections without anything to do, the one last used at the end: it is used first, so that others may end.
    idle: VecDeque<(ConnectionId, Instant)>,
    concurrency: Concurrency,
    pace: Pace,
    rest: Rest,
    /// Why it is left alone.
    why: Option<L::Reason>,
    /// It was reached, and not refused since.
    is_up: bool,
    manners: Manners,
    used_at: Instant,
    settled: Settled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Connection {
    Opening,
    Idle,
    Busy,
    /// It takes no further message.
    Ending,
}

/// Whose turn it is when there is room and messages wait outside for it: half of the room is theirs, and each second place that
/// a result makes. The others are for what comes, which would have to be read again if it left memory.
#[derive(Debug, Clone, Copy, Default)]
struct Owed {
    results: usize,
}

impl Owed {
    fn result(&mut self, nothing_waits: bool) {
        self.results = match nothing_waits {
            true => 0,
            false => (self.results + 1).min(2 * FETCHES),
        };
    }

    fn fetched(&mut self) {
        self.results = self.results.saturating_sub(2);
    }

    /// The room that is for what waits outside, of all.
    fn room(self, all: usize) -> usize {
        match self.results {
            0 | 1 => all.div_ceil(2),
            _ => all,
        }
    }
}

/// What the scheduler keeps of a destination in its own accounts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settled {
    /// Messages in memory, of a destination that is not at work.
    pub(super) idle_messages: usize,
    /// Names that wait for room.
    pub(super) names: usize,
    /// When it is to be looked after.
    pub(super) timer: Option<Instant>,
}

impl<L: Load> Destination<L> {
    pub(super) fn new(name: L::Destination, few: usize, limits: Limits, now: Instant) -> Self {
        Self {
            name,
            limits,
            waiting: Line::default(),
            parked: Line::default(),
            fetching: 0,
            owed: Owed::default(),
            connections: HashMap::new(),
            idle: VecDeque::new(),
            concurrency: Concurrency::new(few, limits.connections),
            pace: Pace::new(now),
            rest: Rest::default(),
            why: None,
            is_up: false,
            manners: Manners::default(),
            used_at: now,
            settled: Settled::default(),
        }
    }

    pub(super) fn name(&self) -> &L::Destination {
        &self.name
    }

    pub(super) fn manners(&mut self) -> &mut Manners {
        &mut self.manners
    }

    /// As of the last [`Destination::arrange`].
    pub(super) fn settled(&self) -> Settled {
        self.settled
    }

    pub(super) fn push(
        &mut self,
        tag: Tag,
        item: L::Item,
        fetched: bool,
        idle_room: bool,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) {
        if let Some(why) = self.left_alone(now) {
            return actions.push_back(Action::PutOff {
                destination: self.name.clone(),
                items: vec![item],
                why,
            });
        }
        // What is being fetched was promised its room, which others may have taken meanwhile.
        let (taken, promised) = match fetched {
            true => (self.in_memory(), FETCHES),
            false => (self.in_memory() + self.fetching, 0),
        };
        if taken >= self.room(idle_room, now) + promised {
            return self.leaves_memory(tag, item, actions);
        }
        self.waiting.push(tag, item);
    }

    fn leaves_memory(&self, tag: Tag, item: L::Item, actions: &mut VecDeque<Action<L>>) {
        actions.push_back(Action::Park {
            destination: self.name.clone(),
            tag,
            item,
        });
    }

    pub(super) fn park(&mut self, tag: Tag, name: L::Name, actions: &mut VecDeque<Action<L>>) {
        if self.parked.len() >= self.limits.names {
            return actions.push_back(Action::Forget { name });
        }
        self.parked.push_by_age(tag, name);
    }

    pub(super) fn withdraw(
        &mut self,
        item: impl Fn(&L::Item) -> bool,
        name: impl Fn(&L::Name) -> bool,
        items: &mut Vec<L::Item>,
        names: &mut Vec<L::Name>,
    ) {
        items.extend(self.waiting.extract(item));
        names.extend(self.parked.extract(name));
    }

    pub(super) fn wake(&mut self) {
        self.rest.end();
        self.why = None;
    }

    pub(super) fn fetched(&mut self) {
        self.fetching = self.fetching.saturating_sub(1);
    }

    pub(super) fn opened(
        &mut self,
        connection: ConnectionId,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) {
        self.is_up = true;
        self.rest.end();
        self.why = None;
        self.pace.moved(now);
        self.is_ready(connection, actions, now);
    }

    /// The connection takes the next message, or waits for one.
    fn is_ready(
        &mut self,
        connection: ConnectionId,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) {
        let Some(state) = self.connections.get_mut(&connection) else {
            return;
        };
        match self.waiting.pop() {
            Some((_, item)) => {
                *state = Connection::Busy;
                actions.push_back(Action::Deliver { connection, item });
            }
            None => {
                *state = Connection::Idle;
                self.idle.push_back((connection, now));
            }
        }
    }

    /// With others at work the destination only gets no more of them; while others are being made they may fare better;
    /// otherwise it is left alone.
    pub(super) fn refused(
        &mut self,
        connection: ConnectionId,
        why: L::Reason,
        later: L::Reason,
        draw: u32,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) {
        self.is_ending(connection);
        let open = self.open();
        if open > 0 {
            return self.concurrency.refused(open, now);
        }
        self.is_up = false;
        self.pace.is_down();
        if self.opening() > 0 {
            return;
        }
        self.rest.begin(draw, now);
        self.why = Some(later);
        let items: Vec<_> = self
            .waiting
            .take_all()
            .into_iter()
            .map(|(_, item)| item)
            .collect();
        if !items.is_empty() {
            actions.push_back(Action::PutOff {
                destination: self.name.clone(),
                items,
                why,
            });
        }
    }

    pub(super) fn finished(
        &mut self,
        connection: ConnectionId,
        end: End,
        again: Option<(Tag, L::Item)>,
        ready: bool,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) {
        if let Some((tag, item)) = again {
            self.waiting.push_first(tag, item);
        }
        match end {
            End::Result => {
                self.pace.moved(now);
                self.owed.result(self.parked.is_empty());
                let all_open = self.open() >= self.concurrency.allowed();
                let waits = !self.waiting.is_empty() || !self.parked.is_empty();
                self.concurrency.result(all_open && waits, now);
            }
            End::Trouble => self.concurrency.troubled(now),
        }
        match ready && self.connections.len() <= self.concurrency.allowed() {
            true => self.is_ready(connection, actions, now),
            false => {
                self.is_ending(connection);
                if ready {
                    actions.push_back(Action::Close { connection });
                }
            }
        }
    }

    fn is_ending(&mut self, connection: ConnectionId) {
        self.idle.retain(|(idle, _)| *idle != connection);
        if let Some(state) = self.connections.get_mut(&connection) {
            *state = Connection::Ending;
        }
    }

    pub(super) fn gave_in_vain(&mut self, connection: ConnectionId, tag: Tag, item: L::Item) {
        self.is_ending(connection);
        self.waiting.push_first(tag, item);
    }

    pub(super) fn closed(&mut self, connection: ConnectionId, left: Option<(Tag, L::Item)>) {
        self.is_ending(connection);
        self.connections.remove(&connection);
        if let Some((tag, item)) = left {
            self.waiting.push_first(tag, item);
        }
    }

    /// Connections that have waited too long end; messages leave the memory of a destination that hangs.
    pub(super) fn timeout(
        &mut self,
        idle_room: bool,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) {
        while let Some(&(connection, since)) = self.idle.front() {
            if now < since + IDLE {
                break;
            }
            self.is_ending(connection);
            actions.push_back(Action::Close { connection });
        }
        while self.in_memory() > self.room(idle_room, now).max(1) {
            let Some((tag, item)) = self.waiting.pop_last() else {
                break;
            };
            self.leaves_memory(tag, item, actions);
        }
    }

    /// Gives messages to connections, and says which are to be made and which messages are to be fetched.
    pub(super) fn arrange(
        &mut self,
        id: DestinationId,
        idle_room: bool,
        mut connect: impl FnMut() -> ConnectionId,
        actions: &mut VecDeque<Action<L>>,
        now: Instant,
    ) -> Settled {
        while !self.waiting.is_empty()
            && let Some((connection, _)) = self.idle.pop_back()
        {
            self.is_ready(connection, actions, now);
        }
        for _ in 0..self.wanted(now) {
            let connection = connect();
            self.connections.insert(connection, Connection::Opening);
            actions.push_back(Action::Open {
                destination: self.name.clone(),
                connection,
                manners: self.manners,
            });
        }
        while self.wants_fetch(idle_room, now)
            && let Some((_, name)) = self.parked.pop()
        {
            self.fetching += 1;
            self.owed.fetched();
            actions.push_back(Action::Fetch {
                destination: id,
                name,
            });
        }
        if !self.is_unused() {
            self.used_at = now;
        }
        self.settled = Settled {
            idle_messages: match self.is_at_work(now) {
                true => 0,
                false => self.in_memory(),
            },
            names: self.parked.len(),
            timer: self.timer(now),
        };
        self.settled
    }

    /// Connections that are to be made.
    fn wanted(&self, now: Instant) -> usize {
        if self.rest.lasts(now) {
            return 0;
        }
        // Whether it answers is found out by one.
        let allowed = match self.is_up {
            true => self.concurrency.allowed(),
            false => 1,
        };
        let opening = self.opening();
        let wanted = self.waiting.len().saturating_sub(opening);
        wanted.min(allowed.saturating_sub(self.connections.len()))
    }

    /// A destination that is left alone has room for all: they hear why, and are put off.
    fn wants_fetch(&self, idle_room: bool, now: Instant) -> bool {
        let coming = self.in_memory() + self.fetching;
        let mine = self.owed.room(self.room(idle_room, now));
        self.fetching < FETCHES && (self.rest.lasts(now) || coming < mine)
    }

    fn left_alone(&self, now: Instant) -> Option<L::Reason> {
        self.why.clone().filter(|_| self.rest.lasts(now))
    }

    fn in_memory(&self) -> usize {
        self.waiting.len() + self.count(Connection::Busy)
    }

    fn opening(&self) -> usize {
        self.count(Connection::Opening)
    }

    /// Connections that are made and in use.
    fn open(&self) -> usize {
        self.idle.len() + self.count(Connection::Busy)
    }

    fn count(&self, state: Connection) -> usize {
        self.connections
            .values()
            .filter(|own| **own == state)
            .count()
    }

    fn room(&self, idle_room: bool, now: Instant) -> usize {
        let room = self.pace.room(now, self.limits.messages, self.open());
        match self.is_at_work(now) || idle_room {
            true => room,
            false => room.min(1),
        }
    }

    fn is_at_work(&self, now: Instant) -> bool {
        self.pace.is_at_work(now)
    }

    fn is_unused(&self) -> bool {
        self.connections.is_empty()
            && self.waiting.is_empty()
            && self.parked.is_empty()
            && self.fetching == 0
    }

    pub(super) fn is_forgotten(&self, now: Instant) -> bool {
        self.is_unused() && now >= self.used_at + FORGOTTEN
    }

    fn timer(&self, now: Instant) -> Option<Instant> {
        let idle = self.idle.front().map(|(_, since)| *since + IDLE);
        let stall = self
            .pace
            .stalls_at()
            .filter(|at| now < *at && self.in_memory() > 0);
        let forgotten = self.is_unused().then(|| self.used_at + FORGOTTEN);
        // What waits is tried once the rest is over.
        let rested = self
            .rest
            .until()
            .filter(|until| now < *until && !self.is_unused());
        [idle, stall, forgotten, rested].into_iter().flatten().min()
    }
}
