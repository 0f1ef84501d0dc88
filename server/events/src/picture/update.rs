//! What changed since an instance was told last.

use postern_message::MessageId;
use postern_proto::v1 as pb;

use super::place::Place;
use crate::context::{Context, TransactionContext, Working};
use crate::fault::{Fault, FaultKind};
use crate::plan::Binding;
use crate::question::Question;
use crate::wire::{self, View};

/// What an instance was told, by the clocks of its context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    session: u64,
    message: Option<MessageId>,
    envelope: u64,
    list: u64,
    headers: u64,
}

/// The message that a binding is told of: a transaction once MAIL was accepted, or a message.
fn subject(context: &Context) -> Option<(MessageId, &Working)> {
    match context {
        Context::Inbound(own) => {
            let running = own.transaction().filter(|running| running.has_begun())?;
            Some((running.working().piece().id, running.working()))
        }
        Context::Transport(own) => Some((own.working().piece().id, own.working())),
        Context::Outgoing(own) => {
            let message = own.message.as_ref()?;
            Some((message.working().piece().id, message.working()))
        }
        Context::Destination(_) | Context::Delivery(_) | Context::Service(_) => None,
    }
}

impl Told {
    /// What a snapshot tells: everything but the header section.
    pub(super) fn by_snapshot(context: &Context) -> Self {
        let subject = subject(context);
        let clock = subject.map_or(0, |(_, working)| working.clock());
        Self {
            session: context.session_at(),
            message: subject.map(|(id, _)| id),
            envelope: clock,
            list: clock,
            headers: 0,
        }
    }
}

/// How things stand, as a binding may see them.
pub(super) fn snapshot(context: &Context, binding: &Binding) -> pb::Snapshot {
    let view = binding.view();
    let session = context.session();
    let mut snapshot = pb::Snapshot {
        session: session.map(|session| wire::session(session, &view)),
        conduct: session
            .filter(|_| view.reads.session)
            .map(|session| wire::conduct(&session.conduct)),
        ..pb::Snapshot::default()
    };
    let Some((_, working)) = subject(context) else {
        return snapshot;
    };
    match context {
        Context::Inbound(own) => {
            let running = own.transaction();
            snapshot.transaction = running.map(|running| wire::transaction(running, &view));
        }
        Context::Transport(own) => {
            let shown = working.shown(view.reads.original);
            snapshot.message = Some(wire::message(own, shown, &view));
        }
        Context::Outgoing(own) => {
            let shown = working.shown(view.reads.original);
            let message = own.message.as_deref();
            snapshot.message = message.map(|message| wire::message(message, shown, &view));
        }
        _ => {}
    }
    if view.reads.recipients {
        let all = working.draft().recipients.iter();
        snapshot.recipients = all
            .map(|one| recipient(one, context, working, &view))
            .collect();
    }
    snapshot
}

fn recipient(
    one: &postern_message::Recipient,
    context: &Context,
    working: &Working,
    view: &View<'_>,
) -> pb::Recipient {
    let raw = match context {
        Context::Inbound(own) => own
            .transaction()
            .map_or(&[][..], |running| running.parameters_of(one.id)),
        _ => &[],
    };
    wire::recipient(
        one,
        wire::standing(&one.state),
        raw,
        Some(working.piece()),
        view,
    )
}

/// The event with what changed since `told`, and what is told with it.
pub(super) fn event(
    question: &Question,
    context: &Context,
    binding: &Binding,
    place: Place,
    told: &Told,
) -> Result<(pb::Event, Told), Fault> {
    let view = binding.view();
    let mut told = told.clone();
    let mut event = pb::Event::default();
    let subject = subject(context);
    let now = subject.map(|(id, _)| id);
    if told.message.is_some() && told.message != now {
        event.message_ended = true;
        let keeps_session = !matches!(context, Context::Outgoing(_));
        told = Told {
            session: if keeps_session { told.session } else { 0 },
            ..Told::default()
        };
    }
    let session_at = context.session_at();
    if session_at > told.session
        && let Some(session) = context.session()
    {
        event.session = Some(Box::new(wire::session(session, &view)));
        told.session = session_at;
    }
    if let Context::Inbound(own) = context
        && view.reads.session
    {
        event.conduct = Some(wire::conduct(&own.session().conduct));
    }
    if let Some((id, working)) = subject {
        update(&mut event, &mut told, id, working, context, &view);
        headers(&mut event, &mut told, question, working, binding)?;
    }
    let mut kind = question.event().body(context, question.said(), &view)?;
    if let pb::event::Kind::InboundRcpt(own) = &mut kind {
        own.group_position = place.position;
        own.group_size = place.size;
    }
    event.kind = Some(kind);
    Ok((event, told))
}

fn update(
    event: &mut pb::Event,
    told: &mut Told,
    id: MessageId,
    working: &Working,
    context: &Context,
    view: &View<'_>,
) {
    let is_new = told.message.is_none();
    if is_new || working.envelope_changed_since(told.envelope) {
        let shown = working.shown(view.reads.original);
        match context {
            Context::Inbound(own) => {
                let running: Option<&TransactionContext> = own.transaction();
                let shown = running.map(|running| wire::transaction(running, view));
                event.transaction = shown.map(Box::new);
            }
            Context::Transport(own) => {
                event.message = Some(Box::new(wire::message(own, shown, view)));
            }
            Context::Outgoing(own) => {
                let message = own.message.as_deref();
                let shown = message.map(|message| wire::message(message, shown, view));
                event.message = shown.map(Box::new);
            }
            _ => {}
        }
        told.envelope = working.clock();
    }
    told.message = Some(id);
    if view.reads.recipients {
        let list = working.list_update(told.list);
        if list.replaces_all || !list.changed.is_empty() || !list.removed.is_empty() {
            event.recipients = Some(pb::RecipientsUpdate {
                replaces_all: list.replaces_all,
                removed_ids: list
                    .removed
                    .iter()
                    .map(|id| wire::id(id.as_bytes()))
                    .collect(),
                changed: list
                    .changed
                    .into_iter()
                    .map(|one| recipient(one, context, working, view))
                    .collect(),
            });
        }
    }
    told.list = working.clock();
}

/// The header section, where the event shows it and the instance has another one or none.
fn headers(
    event: &mut pb::Event,
    told: &mut Told,
    question: &Question,
    working: &Working,
    binding: &Binding,
) -> Result<(), Fault> {
    let kind = question.kind();
    let original = binding.reads.original;
    let shows = kind.shows_content() && binding.depth(kind).shows_headers();
    // What was received does not change.
    let is_told = told.headers > 0 && (original || told.headers >= working.headers_at());
    if !shows || working.headers_at() == 0 || is_told {
        return Ok(());
    }
    let Some(version) = working.shown(original) else {
        return Err(Fault::new(
            FaultKind::Fault,
            "the message as it was received is not at hand",
        ));
    };
    event.headers = Some(wire::headers(version, &binding.view()));
    told.headers = working.headers_at();
    Ok(())
}
