//! Which binding must wait for which: the stages of a plan.

use std::sync::Arc;

use postern_proto::rules::{AnswerKind, EditKind};

use super::{Ask, Binding, Member, Stage, Stages};
use crate::event::EventKind;
use crate::grant::{HeaderSet, Reads};

/// The stages of one virtual server, by the events' indices.
pub(super) fn stages(server: &str, bindings: &[Arc<Binding>]) -> Vec<Stages> {
    EventKind::ALL
        .into_iter()
        .map(|event| stages_of(server, event, bindings))
        .collect()
}

fn stages_of(server: &str, event: EventKind, bindings: &[Arc<Binding>]) -> Stages {
    let mut stages = Stages::default();
    let mut at_once: Vec<&Arc<Binding>> = Vec::new();
    for binding in bindings {
        let here = binding.servers.is_empty() || binding.servers.iter().any(|own| own == server);
        let Some(bound) = binding.bound(event).filter(|_| here) else {
            continue;
        };
        if binding.rule.impossible_at(event).is_some() {
            continue;
        }
        match bound.ask {
            Ask::AtOnce => at_once.push(binding),
            Ask::AtRcpt => stages.at_rcpt.push(Arc::clone(binding)),
            Ask::Told => stages.told.push(Arc::clone(binding)),
        }
    }
    let mut members = Vec::with_capacity(at_once.len());
    for binding in at_once {
        push(&mut members, binding, event, 0, false);
    }
    if !members.is_empty() {
        stages.at_once = Some(Arc::new(Stage { event, members }));
    }
    stages
}

impl Stage {
    /// A stage whose members are first those that were not asked about earlier events when they happened, in the order
    /// of the events, and then those of `event` itself. Each segment is about one question, by its place.
    /// `speaks_later`: what waited is asked because something else is, and its refusals are the reply to a later RCPT.
    #[must_use]
    pub fn joined(
        waiting: &[(EventKind, Vec<Arc<Binding>>)],
        event: EventKind,
        own: Option<&Self>,
        speaks_later: bool,
    ) -> Self {
        let mut members = Vec::new();
        for (about, (event, bindings)) in waiting.iter().enumerate() {
            for binding in bindings {
                push(&mut members, binding, *event, about, speaks_later);
            }
        }
        for member in own.map_or(&[][..], |own| &own.members) {
            push(&mut members, &member.binding, event, waiting.len(), false);
        }
        Self { event, members }
    }
}

fn push(
    members: &mut Vec<Member>,
    binding: &Arc<Binding>,
    event: EventKind,
    about: usize,
    speaks_later: bool,
) {
    let reads = ordering_reads(binding, event);
    let after = if binding.side_effects {
        members.len().checked_sub(1)
    } else {
        // What a binding is asked in one go it is shown as things stand before its own verdicts.
        members.iter().rposition(|earlier| {
            !Arc::ptr_eq(&earlier.binding, binding) && touches(earlier, event, binding, &reads)
        })
    };
    let reads_size = binding
        .condition
        .as_ref()
        .is_some_and(|condition| condition.reads_size())
        || binding.attributes.iter().any(|shown| shown.reads_size());
    members.push(Member {
        binding: Arc::clone(binding),
        event,
        about,
        after,
        needs_end: event == EventKind::InboundMessage && reads_size,
        timeout: binding.timeout(event),
        spares: binding.may_spare(event),
        speaks_later,
    });
}

/// All that decides what the binding would answer, or whether it is asked: what it is shown, what its rule, its
/// condition and its attributes ask for, and what its own edits refer to.
fn ordering_reads(binding: &Binding, event: EventKind) -> Reads {
    let mut reads = binding.reads.clone();
    let depth = binding.depth(event);
    // What was received is what it was: nobody is waited for.
    if !depth.shows_headers() || reads.original {
        reads.headers = HeaderSet::default();
    }
    reads.body = depth.shows_body() && !reads.original || binding.grants.has("body");
    reads.sender |= binding.rule.reads_sender()
        || binding.grants.has("sender")
        || binding.grants.has("parameters");
    reads.recipients |= binding.rule.reads_recipients() || binding.grants.has("recipients");
    if let Some(condition) = &binding.condition {
        reads.join(condition.reads());
    }
    for shown in &binding.attributes {
        reads.join(shown.reads());
    }
    reads
}

/// Whether a verdict of `earlier` can change what `later` reads at its event.
fn touches(earlier: &Member, event: EventKind, later: &Binding, reads: &Reads) -> bool {
    let grants = &earlier.binding.grants;
    let rule = earlier.event.rule();
    let edits = rule.edits.iter().any(|edit| match edit {
        EditKind::InsertHeader
        | EditKind::SetHeader
        | EditKind::ReplaceHeader
        | EditKind::RemoveHeader
        | EditKind::RemoveHeaders => grants.headers.meets(&reads.headers),
        EditKind::SpliceBody | EditKind::ReplaceBody => grants.has("body") && reads.body,
        EditKind::SetSender => grants.has("sender") && reads.sender,
        EditKind::SetPriority => grants.has("priority") && reads.sender,
        EditKind::AddRecipient
        | EditKind::RemoveRecipient
        | EditKind::RewriteRecipient
        | EditKind::RetainRecipients => grants.has("recipients") && reads.recipients,
        EditKind::SetParameter => grants.has("parameters") && (reads.sender || reads.recipients),
        EditKind::Redirect => grants.has("redirect") && reads.recipients,
        EditKind::SetRelay => grants.has("relay") && reads.session,
        EditKind::SetAuthenticated => grants.has("authenticated") && reads.session,
        // Shown to nobody before the commit, or of no weight for a verdict.
        EditKind::Inject | EditKind::SetExpiry | EditKind::SetRoutingClass => false,
    });
    let same_event = earlier.event == event;
    // Properties need no grant: each sink writes in its own namespace, which its other bindings are always shown.
    edits
        || same_event && answer_touches(earlier, reads)
        || Arc::ptr_eq(&earlier.binding.sink, &later.sink)
        || reads.properties.contains(&earlier.binding.sink.name)
}

/// Each sees what the former answered.
fn answer_touches(earlier: &Member, reads: &Reads) -> bool {
    let grants = &earlier.binding.grants;
    let rule = earlier.event.rule();
    rule.answers.iter().any(|answer| {
        let may = answer
            .kind
            .rule()
            .grant
            .is_none_or(|grant| grants.has(grant));
        match answer.kind {
            AnswerKind::Rcpt => (may || grants.has("tenant")) && reads.recipients,
            // Mechanisms add up and are shown to nobody.
            AnswerKind::Auth => may && answer.arm != Some("mechanisms"),
            // The chain ends with it.
            AnswerKind::Dialogue => false,
            _ => may,
        }
    })
}
