//! Routes and addresses that sinks give. A destination is asked about once; the answer holds for its lifetime, as long as the
//! bindings are those that gave it, and serves all messages that go there.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use parking_lot::Mutex;
use postern_delivery::{Attempted, Destination, Fate, Hop, HopAddress, Host, Hosts};
use postern_events::budget::Budget;
use postern_events::context::DestinationContext;
use postern_events::event::EventKind;
use postern_events::plan::Plan;
use postern_events::ruling::{Cause, Decision, Ruling};
use postern_events::transport::{Resolve, ResolveAnswer, Route, RouteAnswer};
use postern_message::{Message, Recipient};
use postern_smtp::address::ForwardPath;
use postern_smtp::reply::Reply;
use tokio::time::Instant;

use super::decided::{how, words};
use super::hops::{self, Led, Verifier};
use super::settle::{Outcome, draw};
use super::way;
use super::worker::Context;

/// Destinations whose answers are kept. Those beyond are asked about each time.
const MOST: usize = 10_000;
/// How long it holds that an answer could not be had or used. Whoever waits for it does not ask again.
const FAILURE: Duration = Duration::from_secs(30);
/// Destinations of one message that are asked about at the same time.
const SIDE_BY_SIDE: usize = 16;

/// What is known of destinations, on all runtime threads.
#[derive(Default)]
pub(crate) struct Routing {
    routes: Kept<Way>,
    addresses: Kept<Found>,
    verifier: Verifier,
    /// Some destination may have failures to be forgotten.
    failing: AtomicBool,
}

/// What is asked about: a name, for the mail that one virtual server accepted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    server: String,
    name: String,
    mail_exchangers: bool,
}

/// Answers by what they are about. Each is had by one, and the others wait for it.
struct Kept<T> {
    entries: Mutex<HashMap<Key, Arc<Entry<T>>>>,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self {
            entries: Mutex::default(),
        }
    }
}

struct Entry<T> {
    /// Messages that wait for the answer.
    waiting: AtomicU64,
    state: tokio::sync::Mutex<State<T>>,
}

/// What sinks said of something.
struct Answer<T> {
    what: T,
    until: Instant,
    /// The plan whose bindings said so.
    by: Weak<Plan>,
}

impl<T> Answer<T> {
    /// It may still be used, under this plan.
    fn holds(&self, plan: &Weak<Plan>) -> bool {
        self.until > Instant::now() && self.by.ptr_eq(plan)
    }
}

struct State<T> {
    answer: Option<Answer<T>>,
    /// Failed attempts in a row to reach where it led, and the last word.
    failures: u32,
    last: Option<Reply>,
}

/// A message that waits for an answer.
struct Waits<'a>(&'a AtomicU64);

impl<'a> Waits<'a> {
    fn of(waiting: &'a AtomicU64) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> Kept<T> {
    /// The entry of what is asked about. If there is no room for it nothing of it is kept.
    fn entry(&self, key: &Key) -> Arc<Entry<T>> {
        let mut entries = self.entries.lock();
        if let Some(entry) = entries.get(key) {
            return Arc::clone(entry);
        }
        if entries.len() >= MOST {
            let now = Instant::now();
            // One that is locked is in use.
            entries.retain(|_, entry| {
                entry.state.try_lock().map_or(
                    true,
                    |state| matches!(&state.answer, Some(answer) if answer.until > now),
                )
            });
        }
        let entry = Arc::new(Entry {
            waiting: AtomicU64::new(0),
            state: tokio::sync::Mutex::new(State {
                answer: None,
                failures: 0,
                last: None,
            }),
        });
        if entries.len() < MOST {
            entries.insert(key.clone(), Arc::clone(&entry));
        }
        entry
    }
}

/// Where the mail for a domain goes.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Way {
    /// As the configuration says: there, or nowhere.
    Configured(Option<Destination>),
    /// As a sink says.
    Given(Destination, Option<SystemTime>),
    /// It waits, or comes back.
    Not(Attempted),
}

impl Way {
    fn leads_to(&self, destination: &Destination) -> bool {
        match self {
            Self::Configured(Some(own)) | Self::Given(own, _) => own == destination,
            Self::Configured(None) | Self::Not(_) => false,
        }
    }
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Found {
    /// Nothing: it is looked up.
    Nothing,
    /// These hosts; without any the name leads nowhere.
    Hosts(Vec<Host>),
    Not(Attempted),
}

/// The recipients of a message, by where they go.
#[derive(Default)]
pub(crate) struct Sorted {
    pub(crate) groups: BTreeMap<Destination, Vec<usize>>,
    /// Those for whom nothing is configured.
    pub(crate) lost: Vec<usize>,
    /// Those who go nowhere now, and what they come to.
    pub(crate) settled: Vec<(usize, Outcome)>,
}

/// Sorts recipients by destination: where a verdict or an action has sent them, else as the routes have it. Whose way is halted
/// goes nowhere now.
pub(crate) async fn sort(
    context: &Context,
    message: &Message,
    recipients: impl Iterator<Item = (usize, &Recipient)>,
) -> Sorted {
    let core = &context.core;
    let mut sent = Vec::new();
    let others =
        recipients.filter_map(
            |(index, recipient)| match way::ordered(core, message, recipient) {
                Some(way) => {
                    sent.push((index, way));
                    None
                }
                None => Some((index, &recipient.address)),
            },
        );
    let others: Vec<_> = others.collect();
    let mut sorted = by_routes(context, message, others.into_iter()).await;
    for (index, way) in sent {
        match way {
            Ok((destination, not_before)) => {
                sorted.join(destination, not_before, std::iter::once(index), core.now());
            }
            Err(attempted) => sorted.settled.push((index, Outcome::Tried(attempted))),
        }
    }
    way::leave_out_halted(core, message, &mut sorted);
    for members in sorted.groups.values_mut() {
        members.sort_unstable();
    }
    sorted
}

impl Sorted {
    /// These go there, unless nothing does before a time to come.
    fn join(
        &mut self,
        destination: Destination,
        not_before: Option<SystemTime>,
        members: impl Iterator<Item = usize>,
        now: SystemTime,
    ) {
        match not_before {
            Some(until) if until > now => {
                let text = "its route is closed until then".to_owned();
                let status = Attempted::own(Fate::Deferred, 4, 0, text, now).status;
                let waits = Outcome::Waits { until, status };
                self.settled.extend(members.map(|at| (at, waits.clone())));
            }
            _ => self.groups.entry(destination).or_default().extend(members),
        }
    }
}

/// As the configuration says, or as sinks do, where any listens.
async fn by_routes(
    context: &Context,
    message: &Message,
    recipients: impl Iterator<Item = (usize, &ForwardPath)>,
) -> Sorted {
    let judge = &context.judge;
    let server = message.server.as_str();
    let routes = judge.listens(server, EventKind::TransportRoute);
    let resolves = judge.listens(server, EventKind::TransportResolve);
    let table = &context.core.settings.routes;
    if !routes && !resolves {
        let (groups, lost) = table.group(recipients);
        return Sorted {
            groups,
            lost,
            settled: Vec::new(),
        };
    }
    // Recipients of one domain go the same way.
    let mut domains: BTreeMap<Option<String>, (Option<Destination>, Vec<usize>)> = BTreeMap::new();
    for (index, address) in recipients {
        let domain = table.domain(address);
        let (_, members) = domains.entry(domain).or_insert_with(|| {
            let configured = table.find(address);
            (configured.map(|found| found.into_owned()), Vec::new())
        });
        members.push(index);
    }
    let mut sorted = Sorted::default();
    let domains: Vec<_> = domains.into_iter().collect();
    for part in domains.chunks(SIDE_BY_SIDE) {
        let ways = part.iter().map(|(domain, (configured, _))| {
            way(
                context,
                server,
                domain.as_deref(),
                configured.as_ref(),
                routes,
                resolves,
            )
        });
        for (way, (_, (_, members))) in join_all(ways).await.into_iter().zip(part) {
            let members = members.iter().copied();
            let settled = |outcome: Outcome| members.clone().map(move |at| (at, outcome.clone()));
            match way {
                Way::Configured(None) => sorted.lost.extend(members),
                Way::Configured(Some(destination)) => {
                    sorted
                        .groups
                        .entry(destination)
                        .or_default()
                        .extend(members);
                }
                Way::Given(destination, not_before) => {
                    sorted.join(destination, not_before, members, context.core.now());
                }
                Way::Not(attempted) => sorted.settled.extend(settled(Outcome::Tried(attempted))),
            }
        }
    }
    sorted
}

async fn way(
    context: &Context,
    server: &str,
    domain: Option<&str>,
    configured: Option<&Destination>,
    routes: bool,
    resolves: bool,
) -> Way {
    let mut way = Way::Configured(configured.cloned());
    let Some(domain) = domain else { return way };
    if routes {
        way = routed(context, server, domain, configured).await;
    }
    if !resolves {
        return way;
    }
    let (Way::Configured(Some(destination)) | Way::Given(destination, _)) = &mut way else {
        return way;
    };
    let Destination::Hop(hop) = destination else {
        return way;
    };
    match resolved(context, server, domain, hop).await {
        Ok(()) => way,
        Err(attempted) => Way::Not(attempted),
    }
}

/// Asks `transport.route`, unless the answer is known.
async fn routed(
    context: &Context,
    server: &str,
    domain: &str,
    configured: Option<&Destination>,
) -> Way {
    let key = Key {
        server: server.to_owned(),
        name: domain.to_owned(),
        mail_exchangers: false,
    };
    let routing = &context.core.routing;
    let entry = routing.routes.entry(&key);
    let _waits = Waits::of(&entry.waiting);
    let mut state = entry.state.lock().await;
    let now = Instant::now();
    let plan = context.judge.plan();
    let known = state.answer.as_ref();
    if let Some(known) = known.filter(|known| known.holds(&plan)) {
        return known.what.clone();
    }
    let mut destination = DestinationContext::new(Arc::from(server), domain);
    destination.failures = state.failures;
    destination.last_reply.clone_from(&state.last);
    destination.queued = entry.waiting.load(Ordering::Relaxed);
    let event = Route {
        next_hops: configured.map(hops::shown).into_iter().collect(),
    };
    let budget = Budget::starting(now.into_std(), context.core.settings.submit_budget);
    let ruling = context.judge.route(destination, event, &budget).await;
    let (way, lifetime) = ruled(context, domain, configured, &ruling);
    state.answer = Some(Answer {
        what: way.clone(),
        until: Instant::now() + lifetime,
        by: plan,
    });
    way
}

fn ruled(
    context: &Context,
    domain: &str,
    configured: Option<&Destination>,
    ruling: &Ruling<RouteAnswer>,
) -> (Way, Duration) {
    let core = &context.core;
    if let Some(attempted) = put_off(context, domain, ruling) {
        return (Way::Not(attempted), FAILURE);
    }
    let as_configured = || Way::Configured(configured.cloned());
    let Some(answer) = &ruling.answer else {
        let lifetime = match ruling.failures.is_empty() {
            true => RouteAnswer::DEFAULT_LIFETIME,
            false => FAILURE,
        };
        return (as_configured(), lifetime);
    };
    let (table, verifier) = (&core.settings.routes, &core.routing.verifier);
    let way = match hops::lead(&answer.next_hops, domain, configured, table, verifier) {
        Ok(Led::AsConfigured) => as_configured(),
        Ok(Led::To(destination, not_before)) => {
            tracing::info!(domain, %destination, "a sink routes a domain");
            Way::Given(destination, not_before)
        }
        Ok(Led::Nowhere { later }) => {
            let fate = match later {
                true => Fate::Deferred,
                false => Fate::Failed,
            };
            let text = "no route leads to this domain".to_owned();
            Way::Not(Attempted::own(fate, 4, 4, text, core.now()))
        }
        Err(error) => {
            tracing::error!(domain, %error, "the route that a sink gives cannot be used, mail for it waits");
            let text = "its route cannot be used".to_owned();
            let why = Attempted::own(Fate::Deferred, 3, 5, text, core.now());
            return (Way::Not(why), FAILURE);
        }
    };
    (way, answer.lifetime)
}

/// Asks `transport.resolve` where a name of the hop, or of one that follows it, would be looked up. The hop leads to what
/// was found; one of several that leads nowhere is passed over.
///
/// # Errors
/// None of the names leads anywhere, now or ever.
async fn resolved(
    context: &Context,
    server: &str,
    domain: &str,
    hop: &mut Hop,
) -> Result<(), Attempted> {
    let now = context.core.now();
    let mut all = vec![&mut hop.address];
    all.extend(hop.then.iter_mut().map(|next| &mut next.address));
    let mut dead = Vec::new();
    let count = all.len();
    for address in all {
        let Some((name, mail_exchangers)) = asked_about(address) else {
            continue;
        };
        let (name, hosts) = (
            name.to_owned(),
            found(context, server, name, mail_exchangers),
        );
        let hosts = match hosts.await {
            Found::Nothing => continue,
            Found::Hosts(hosts) if !hosts.is_empty() => hosts,
            Found::Hosts(none) => {
                dead.push(no_host(&name, mail_exchangers && name == domain, now));
                none
            }
            Found::Not(attempted) => {
                dead.push(attempted);
                Vec::new()
            }
        };
        point(address, hosts);
    }
    if dead.len() < count {
        return Ok(());
    }
    // What may pass counts before what does not.
    match dead.into_iter().min_by_key(|one| one.fate == Fate::Failed) {
        Some(attempted) => Err(attempted),
        None => Ok(()),
    }
}

/// What is looked up for an address, and whether its mail exchangers are.
fn asked_about(address: &HopAddress) -> Option<(&str, bool)> {
    match address {
        HopAddress::Mx(domain) if !domain.starts_with('[') => Some((domain, true)),
        HopAddress::Tcp(host, _) if host.parse::<IpAddr>().is_err() => Some((host, false)),
        _ => None,
    }
}

/// The address leads to these hosts. Without any it cannot be reached, and the hop behind it has its turn.
fn point(address: &mut HopAddress, hosts: Vec<Host>) {
    let port = match &*address {
        HopAddress::Tcp(_, port) => *port,
        _ => 0,
    };
    let hosts = hosts.into_iter().map(|host| Host {
        port: if host.port == 0 { port } else { host.port },
        ..host
    });
    *address = HopAddress::Hosts(Hosts {
        of: Box::new(address.clone()),
        hosts: hosts.collect(),
    });
}

/// What mail comes to if there is no host of a name. Only a recipient's domain that has none is the recipient's; a next hop
/// that somebody named may have its name again later.
fn no_host(name: &str, is_of_recipient: bool, now: SystemTime) -> Attempted {
    let fate = match is_of_recipient {
        true => Fate::Failed,
        false => Fate::Deferred,
    };
    let text = format!("a sink says that there is no host of the name {name}");
    Attempted::own(fate, 4, 4, text, now)
}

async fn found(context: &Context, server: &str, name: &str, mail_exchangers: bool) -> Found {
    let key = Key {
        server: server.to_owned(),
        name: name.to_owned(),
        mail_exchangers,
    };
    let entry = context.core.routing.addresses.entry(&key);
    let mut state = entry.state.lock().await;
    let now = Instant::now();
    let plan = context.judge.plan();
    let known = state.answer.as_ref();
    if let Some(known) = known.filter(|known| known.holds(&plan)) {
        return known.what.clone();
    }
    let destination = DestinationContext::new(Arc::from(server), name);
    let event = Resolve { mail_exchangers };
    let budget = Budget::starting(now.into_std(), context.core.settings.submit_budget);
    let ruling = context.judge.resolve(destination, event, &budget).await;
    let (found, lifetime) = named(context, name, &ruling);
    state.answer = Some(Answer {
        what: found.clone(),
        until: Instant::now() + lifetime,
        by: plan,
    });
    found
}

fn named(context: &Context, name: &str, ruling: &Ruling<ResolveAnswer>) -> (Found, Duration) {
    if let Some(attempted) = put_off(context, name, ruling) {
        return (Found::Not(attempted), FAILURE);
    }
    let Some(answer) = &ruling.answer else {
        // Whoever has nothing to say is asked at the next attempt again.
        let lifetime = match ruling.failures.is_empty() {
            true => Duration::ZERO,
            false => FAILURE,
        };
        return (Found::Nothing, lifetime);
    };
    let lifetime = answer.lifetime.unwrap_or_default();
    if answer.hosts.is_empty() {
        return (Found::Hosts(Vec::new()), lifetime.min(FAILURE));
    }
    let mut hosts: Vec<_> = answer.hosts.iter().collect();
    // Of equal ones chance has one first.
    let turn = draw(postern_message::MessageId::new(), 0) as usize % hosts.len().max(1);
    hosts.rotate_left(turn);
    hosts.sort_by_key(|host| host.preference);
    let hosts = hosts.into_iter().map(|host| Host {
        name: match host.name.is_empty() {
            true => name.to_owned(),
            false => String::from_utf8_lossy(&host.name).into_owned(),
        },
        addresses: host.addresses.clone(),
        port: host.port,
    });
    (Found::Hosts(hosts.collect()), lifetime)
}

/// What mail comes to whose destination a sink puts off, or cannot be asked about.
fn put_off<A>(context: &Context, name: &str, ruling: &Ruling<A>) -> Option<Attempted> {
    let event = ruling.event.name();
    for failure in &ruling.failures {
        let (binding, fault) = (&*failure.binding, &failure.fault);
        tracing::warn!(destination = name, event, binding, %fault, "a sink failed");
    }
    let (Decision::Tempfail(reply) | Decision::Reject(reply) | Decision::Disconnect(reply)) =
        &ruling.decision
    else {
        return None;
    };
    let mut status = words(reply, context.core.now());
    if let Some(by) = &ruling.by
        && let Cause::Failure(_, fault) = &by.cause
    {
        status.text = format!(
            "{}; the filter {} {}",
            status.text,
            by.binding,
            how(fault.kind)
        );
    }
    Some(Attempted {
        fate: Fate::Deferred,
        status,
    })
}

impl Routing {
    /// What certificates are verified with where a sink says so.
    pub(crate) fn verifier(&self) -> &Verifier {
        &self.verifier
    }

    /// A destination could not be reached: the next message has it asked about again.
    pub(crate) fn failed(&self, destination: &Destination, why: &Attempted) {
        let named = destination.as_named();
        let entries: Vec<_> = self.routes.entries.lock().values().cloned().collect();
        for entry in entries {
            // One that is being asked about will have a new answer.
            let Ok(mut state) = entry.state.try_lock() else {
                continue;
            };
            let leads_there = |answer: &Answer<Way>| answer.what.leads_to(&named);
            if state.answer.as_ref().is_some_and(leads_there) {
                state.answer = None;
                state.failures = state.failures.saturating_add(1);
                self.failing.store(true, Ordering::Relaxed);
                state.last = super::results::reply(&why.status);
            }
        }
    }

    /// A destination was reached.
    pub(crate) fn reached(&self, destination: &Destination) {
        if !self.failing.swap(false, Ordering::Relaxed) {
            return;
        }
        let named = destination.as_named();
        let entries: Vec<_> = self.routes.entries.lock().values().cloned().collect();
        for entry in entries {
            let Ok(mut state) = entry.state.try_lock() else {
                self.failing.store(true, Ordering::Relaxed);
                continue;
            };
            match &state.answer {
                Some(answer) if answer.what.leads_to(&named) => {
                    (state.failures, state.last) = (0, None);
                }
                _ if state.failures > 0 => self.failing.store(true, Ordering::Relaxed),
                _ => {}
            }
        }
    }
}
