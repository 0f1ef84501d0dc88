//! The categorizer: from the addresses that a message came with to those that it goes to.
//!
//! Sinks are asked first, at `transport.categorize` about all recipients together and at `transport.expand` about each. What they
//! do not know the service looks up itself, in its [`Directory`]. [`tree`] has the rules; here is what is asked, looked up
//! and recorded.

mod directory;
mod forks;
mod tree;

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use postern_dispatch::exchange::MessageRuling;
use postern_events::event::EventKind;
use postern_events::ruling::Decision;
use postern_events::transport::{Categorize, Expand, Expanded, ExpansionAnswer, Members};
use postern_message::{Draft, Message, NewRecipient, Recipient, RecipientId, Status};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;
use postern_spool::{Batch, Due, MessageUpdate, Point, Stage, StoredMessage};

use super::core::{Begun, Core};
use super::decided::{Decided, words};
use super::judge::{About, Case, Judge};
use super::notification;
use super::question::{Question, ask, put, show};
use super::stages::{self, Went, ended};
use super::submit::{TROUBLE, apply, defer_all, put_off};

pub use self::directory::{Directory, Empty, Entry};
pub use self::tree::Tally;
pub(super) use self::tree::is_open;
use self::tree::{Found, Resolved, Tree, own_status};

/// Parts of one list that a sink is asked for.
const MOST_PAGES: usize = 10_000;

/// The service itself knows something of a recipient of the message.
pub(super) fn concerns(core: &Core, message: &Message) -> bool {
    let mut open = message.recipients.iter().filter(|one| is_open(one));
    open.any(|one| core.settings.directory.knows(&one.address))
}

/// Asks about all recipients together.
pub(super) async fn categorize(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    mut begun: Begun,
    question: &Question,
) -> Went {
    let message = Arc::clone(&begun.stored.message);
    let open = message.recipients.iter().filter(|one| is_open(one));
    let about = About::Categorize(Categorize {
        recipients: open.map(|one| one.id).collect(),
        sender_too: message.envelope.sender != ReversePath::Null,
    });
    let asked_at = Instant::now();
    let turn = begun.turn.take();
    let Some(mut ruled) = ask(core, judge, question, about, &begun.stored, turn).await else {
        put_off(core, &begun.stored, TROUBLE).await;
        return Went::Settled;
    };
    if !goes_on(&ruled.ruling.decision) {
        let decided = Decided::of(&begun.stored, question, &ruled.ruling, judge);
        let went = apply(core, worker, judge, begun, question, ruled, &decided).await;
        return ended(core, worker, went, &decided, asked_at);
    }
    let is_own = |path: &ForwardPath| core.settings.routes.is_own(path);
    let mut tree = Tree::new(&message, &is_own, core.now());
    let answer = ruled.ruling.clone().typed::<ExpansionAnswer>().answer;
    take_properties(&mut tree, &mut ruled);
    for item in answer.unwrap_or_default().expansions {
        match (item.recipient, item.expanded) {
            (Some(id), expanded) => {
                answered(core, &message, &mut tree, id, expanded);
            }
            (None, Expanded::Final { address, .. }) => {
                if let Some(sender) = address.as_ref().and_then(ForwardPath::mailbox) {
                    tree.sender(ReversePath::Mailbox(sender.clone()));
                }
            }
            // A sender that stands for others, or for nobody, is still the sender.
            (None, _) => {}
        }
    }
    let next = Stage::behind(Point::Categorize);
    settle(
        core,
        worker,
        judge,
        begun,
        tree.finish(),
        next,
        question.held.is_some(),
    )
    .await
}

/// Resolves the recipients one by one, and what came of them: each sink that is asked first, then the service's own directory.
pub(super) async fn expand(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    mut begun: Begun,
    question: &Question,
) -> Went {
    let message = Arc::clone(&begun.stored.message);
    let listens = judge.listens(&message.server, EventKind::TransportExpand);
    let is_own = |path: &ForwardPath| core.settings.routes.is_own(path);
    let mut tree = Tree::new(&message, &is_own, core.now());
    let asked_at = Instant::now();
    let mut waits = None;
    let mut accounted = 0;
    'levels: loop {
        let level = tree.take_level();
        if level.is_empty() {
            break;
        }
        // The sinks are shown what the level before came to.
        let case = match listens {
            true => {
                let stored = with(&begun.stored, tree.message());
                let Some(case) = show(judge, EventKind::TransportExpand, &stored).await else {
                    put_off(core, &begun.stored, TROUBLE).await;
                    return Went::Settled;
                };
                Some(case)
            }
            false => None,
        };
        for id in level {
            let Some(one) = tree.recipient(id).cloned() else {
                continue;
            };
            if let Some(case) = &case {
                let went = ask_about(core, &**case, question, &message, &mut tree, &one).await;
                drop(begun.turn.take());
                if !has_room(&mut begun, &tree, &mut accounted) {
                    return no_room(core, worker, judge, begun).await;
                }
                match went {
                    Asked::Answered => continue,
                    Asked::Unknown => {}
                    Asked::Waits(ruled) => {
                        waits = Some(*ruled);
                        break 'levels;
                    }
                }
            }
            look_up(core, &message, &mut tree, &one);
            if !has_room(&mut begun, &tree, &mut accounted) {
                return no_room(core, worker, judge, begun).await;
            }
        }
    }
    let Some(mut ruled) = waits else {
        let next = Stage::behind(Point::Expand);
        let held = question.held.is_some();
        return settle(core, worker, judge, begun, tree.finish(), next, held).await;
    };
    // What was found out is kept; the rest is asked about again.
    let stage = begun.stored.stage.clone();
    let mut resolved = tree.finish_for_now();
    resolved.changed |= resolved.found;
    let begun = match settle(core, worker, judge, begun, resolved, stage, false).await {
        Went::On(begun) => *begun,
        other => return other,
    };
    ruled.draft = Draft::of(&begun.stored.message);
    ruled.skipped.clone_from(&begun.stored.message.skipped);
    // Each recipient has a chain of its own: only whom an operator lets the message go without is left out of all.
    ruled.passed.clone_from(&begun.stored.message.passed);
    let decided = Decided::of(&begun.stored, question, &ruled.ruling, judge);
    let went = apply(core, worker, judge, begun, question, ruled, &decided).await;
    ended(core, worker, went, &decided, asked_at)
}

/// Recipients take memory as soon as there are more of them.
fn has_room(begun: &mut Begun, tree: &Tree<'_>, accounted: &mut usize) -> bool {
    let more = tree.grown().saturating_sub(*accounted);
    *accounted += more;
    more == 0 || begun.slot.grow(more)
}

/// Without room the message is given back as it was, and taken up again by the retry schedule: until its time is over.
async fn no_room(core: &Core, worker: usize, judge: &dyn Judge, begun: Begun) -> Went {
    let id = begun.stored.message.id;
    tracing::info!(%id, "no room in memory for what its recipients stand for, tried again later");
    let text = "no room in memory for what they stand for".to_owned();
    let status = own_status(4, (3, 1), text, core.now());
    defer_all(core, worker, judge, begun, status, None).await;
    Went::Settled
}

/// What sinks said of a recipient.
enum Asked {
    /// What it is.
    Answered,
    /// It is not known to them.
    Unknown,
    /// It is not decided yet.
    Waits(Box<MessageRuling>),
}

/// Asks the sinks about one recipient, part by part where it is a long list.
async fn ask_about(
    core: &Core,
    case: &dyn Case,
    question: &Question,
    message: &Message,
    tree: &mut Tree<'_>,
    one: &Recipient,
) -> Asked {
    let mut page_token = Bytes::new();
    for _ in 0..MOST_PAGES {
        let about = About::Expand(Expand {
            recipient: one.id,
            is_local: core.settings.routes.is_own(&one.address),
            depth: tree.depth(one.id),
            page_token: page_token.clone(),
        });
        let mut ruled = put(core, case, question, about, message).await;
        take_properties(tree, &mut ruled);
        match &ruled.ruling.decision {
            Decision::Reject(reply) => {
                let binding = ruled.ruling.by.as_ref().map(|by| by.binding.to_string());
                let status = words(reply, core.now());
                failed(
                    core,
                    message,
                    one,
                    binding.as_deref().unwrap_or_default(),
                    &status,
                );
                tree.fail(one.id, status);
                return Asked::Answered;
            }
            decision if goes_on(decision) => {}
            _ => return Asked::Waits(Box::new(ruled)),
        }
        let answer = ruled.ruling.typed::<ExpansionAnswer>().answer;
        let Some(expanded) = answer.unwrap_or_default().take(Some(one.id)) else {
            return Asked::Unknown;
        };
        match &expanded {
            Expanded::Members(members) if !members.next_page_token.is_empty() => {
                page_token = members.next_page_token.clone();
            }
            _ => page_token.clear(),
        }
        answered(core, message, tree, one.id, expanded);
        if page_token.is_empty() || tree.recipient(one.id).is_none() {
            return Asked::Answered;
        }
    }
    let text = format!("its list has more than {MOST_PAGES} parts");
    tree.fail(one.id, own_status(5, (2, 4), text, core.now()));
    Asked::Answered
}

/// Does what a sink said of a recipient.
fn answered(
    core: &Core,
    message: &Message,
    tree: &mut Tree<'_>,
    id: RecipientId,
    expanded: Expanded,
) {
    let Some(one) = tree.recipient(id).cloned() else {
        return;
    };
    match expanded {
        Expanded::Final { address, .. } => tree.is_final(id, address),
        Expanded::Members(members) => {
            let Members {
                recipients,
                sender,
                next_page_token,
                namespace,
            } = members;
            expanded_to(core, message, &one, recipients.len(), &namespace);
            let found = Found {
                recipients,
                sender,
                namespace,
                more: !next_page_token.is_empty(),
            };
            tree.members(id, found);
        }
        Expanded::Unknown(reply) => {
            let status = unknown(reply.as_ref(), core);
            failed(core, message, &one, "", &status);
            tree.fail(id, status);
        }
    }
}

/// Looks a recipient up that no sink knows.
fn look_up(core: &Core, message: &Message, tree: &mut Tree<'_>, one: &Recipient) {
    match core.settings.directory.look_up(&one.address) {
        None => tree.is_final(one.id, None),
        Some(Entry::Other(address)) => tree.is_another(one.id, address),
        Some(Entry::Members { addresses, owner }) => {
            expanded_to(core, message, one, addresses.len(), "");
            let found = Found {
                recipients: addresses.into_iter().map(NewRecipient::new).collect(),
                sender: owner,
                ..Found::default()
            };
            tree.members(one.id, found);
        }
    }
}

/// Commits what recipients were found to be, and goes on at the stage `next`.
async fn settle(
    core: &Core,
    worker: usize,
    judge: &dyn Judge,
    mut begun: Begun,
    resolved: Resolved,
    next: Stage,
    was_held: bool,
) -> Went {
    let Resolved {
        message,
        failures,
        forks,
        changed,
        found: _,
        tally,
    } = resolved;
    let before = &begun.stored.message;
    let next = stages::ahead(core, judge, &message, next);
    if !changed && !was_held {
        // Whoever is resolved is so for this walk; after a crash it is found out again.
        begun.stored.message = Arc::new(message);
        begun.passes_to(next);
        return Went::On(Box::new(begun));
    }
    let (id, now) = (message.id, core.now());
    let (message, content) = (Arc::new(message), Arc::clone(&begun.stored.content));
    let withheld = begun.stored.stage.is_withheld();
    // The report goes to whoever sent the message that is reported on.
    let told = Arc::new(Message {
        envelope: before.envelope.clone(),
        ..Message::clone(&message)
    });
    let report = notification::make(core, &told, &content, withheld, &failures, now).await;
    let report = match report {
        Ok(report) => report,
        Err(error) => {
            tracing::error!(%id, %error, "report cannot be made, tried again later");
            put_off(core, &begun.stored, TROUBLE).await;
            return Went::Settled;
        }
    };
    let branches = match forks::branches(core, &message, &content, forks).await {
        Ok(branches) => branches,
        Err(error) => {
            tracing::error!(%id, %error, "lists with an owner cannot be served, tried again later");
            put_off(core, &begun.stored, TROUBLE).await;
            return Went::Settled;
        }
    };
    let mut batch = Batch {
        insert: branches.iter().map(forks::Branch::new_message).collect(),
        ..Batch::default()
    };
    batch
        .insert
        .extend(report.iter().map(notification::Made::new_message));
    let is_over = message.recipients.iter().all(|one| one.state.is_done());
    match is_over {
        true => batch.remove.push(id),
        false => {
            let mut update = MessageUpdate::new(id);
            update.stage = Some(next.clone());
            update.message = Some(Arc::clone(&message));
            update.due = Some(Due::At(now));
            batch.update.push(update);
        }
    }
    if let Err(error) = core.store.commit(batch, &[begun.slot.lease()]).await {
        tracing::error!(%id, %error, "cannot be recorded");
        if let Some(later) = now.checked_add(TROUBLE) {
            begun.slot.put_off(later);
        }
        return Went::Settled;
    }
    judge.categorized(&message, &tally);
    for branch in &branches {
        tracing::info!(%id, branch = %branch.stored().message.id, "a list with an owner goes out by itself");
    }
    let new = branches.iter().map(forks::Branch::stored);
    let mut left = false;
    for stored in new.chain(report.iter().map(notification::Made::stored)) {
        left |= !core.begin(worker, stored);
    }
    if left {
        core.slots.scan.notify_one();
    }
    if is_over {
        tracing::info!(%id, "no recipient left, removed");
        return Went::Settled;
    }
    begun.stored.message = message;
    begun.is_at(next);
    Went::On(Box::new(begun))
}

/// The decision leaves the recipients to what is known of them.
const fn goes_on(decision: &Decision) -> bool {
    matches!(
        decision,
        Decision::Proceed | Decision::Finish(_) | Decision::Respond(_)
    )
}

/// Takes over what sinks keep on the message, and which failed on it.
fn take_properties(tree: &mut Tree<'_>, ruled: &mut MessageRuling) {
    tree.keep_properties(std::mem::replace(&mut ruled.draft, Draft::empty()));
    tree.skipped(ruled.skipped.clone());
}

fn with(stored: &StoredMessage, message: &Message) -> StoredMessage {
    StoredMessage {
        message: Arc::new(message.clone()),
        ..stored.clone()
    }
}

fn unknown(reply: Option<&Reply>, core: &Core) -> Status {
    match reply {
        Some(reply) => words(reply, core.now()),
        None => own_status(5, (1, 1), "No such recipient here".to_owned(), core.now()),
    }
}

fn shown(core: &Core, address: &ForwardPath) -> String {
    let address = match address {
        ForwardPath::Postmaster => "Postmaster",
        ForwardPath::Mailbox(mailbox) => mailbox.as_str(),
    };
    (core.settings.shown)(address)
}

fn expanded_to(core: &Core, message: &Message, one: &Recipient, members: usize, sink: &str) {
    let to = shown(core, &one.address);
    tracing::info!(id = %message.id, recipient = %one.id, to, members, sink, "recipient expanded");
}

fn failed(core: &Core, message: &Message, one: &Recipient, binding: &str, status: &Status) {
    let to = shown(core, &one.address);
    let reply = status.code;
    tracing::info!(id = %message.id, recipient = %one.id, to, binding, reply, "recipient failed");
}
