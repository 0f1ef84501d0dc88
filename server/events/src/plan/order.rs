//! Which binding must wait for which: the stages of a plan.

use std::sync::Arc;

use crate::event::EventKind;
use crate::fault::{FaultKind, Policy};
use crate::grant::{HeaderSet, Namespaces, Reads};
use crate::table::{self, EditKind};

use super::{Binding, Member, Stage};

/// The namespace of the gateway's own properties.
pub const OWN_NAMESPACE: &str = "postern";

/// The stages of one virtual server, by the events' indices.
pub(super) fn stages(server: &str, bindings: &[Arc<Binding>]) -> Vec<Option<Arc<Stage>>> {
    EventKind::ALL
        .iter()
        .map(|event| stage(server, *event, bindings).map(Arc::new))
        .collect()
}

fn stage(server: &str, event: EventKind, bindings: &[Arc<Binding>]) -> Option<Stage> {
    let mut members: Vec<Member> = Vec::new();
    for binding in bindings {
        let here = binding.servers.is_empty() || binding.servers.iter().any(|own| own == server);
        if !here || !binding.has(event) || binding.rule.impossible_at(event).is_some() {
            continue;
        }
        let reads = ordering_reads(binding, event);
        let after = if binding.side_effects {
            members.len().checked_sub(1)
        } else {
            members
                .iter()
                .rposition(|earlier| touches(&earlier.binding, event, binding, &reads))
        };
        let needs_end = event == EventKind::InboundMessage
            && binding
                .condition
                .as_ref()
                .is_some_and(|condition| condition.reads_size());
        let timeout = binding.timeout(event);
        members.push(Member {
            binding: Arc::clone(binding),
            after,
            needs_end,
            timeout,
        });
    }
    (!members.is_empty()).then_some(Stage { event, members })
}

/// All that decides what the binding would answer, or whether it is asked: what it is shown, what its rule and its
/// condition ask for, and what its own edits refer to.
fn ordering_reads(binding: &Binding, event: EventKind) -> Reads {
    let mut reads = binding.reads.clone();
    let depth = binding.depth(event);
    if !depth.shows_headers() {
        reads.headers = HeaderSet::default();
    }
    reads.body = depth.shows_body() || binding.grants.body;
    reads.sender |= binding.rule.reads_sender() || binding.grants.sender;
    reads.recipients |= binding.rule.reads_recipients() || binding.grants.recipients;
    if let Some(condition) = &binding.condition {
        reads.join(condition.reads());
    }
    reads
}

/// Whether a verdict of `earlier` at this event can change what `later` reads.
fn touches(earlier: &Binding, event: EventKind, later: &Binding, reads: &Reads) -> bool {
    let can = |edit| table::edit_allowed(event, edit);
    let grants = &earlier.grants;
    (can(EditKind::Headers) && grants.headers.meets(&reads.headers))
        || (can(EditKind::Body) && grants.body && reads.body)
        || (can(EditKind::Sender) && grants.sender && reads.sender)
        || ((can(EditKind::Recipients) || can(EditKind::RewriteRecipient))
            && grants.recipients
            && reads.recipients)
        || touches_properties(earlier, event, later, &reads.properties)
}

/// Properties need no grant: each sink writes in its own namespace, which its other bindings are always shown.
fn touches_properties(
    earlier: &Binding,
    event: EventKind,
    later: &Binding,
    reads: &Namespaces,
) -> bool {
    let passes_over = || {
        FaultKind::ALL
            .iter()
            .any(|kind| earlier.on_failure.at(event, *kind) == Policy::Continue)
    };
    Arc::ptr_eq(&earlier.sink, &later.sink)
        || reads.contains(&earlier.sink.name)
        || (reads.contains(OWN_NAMESPACE) && passes_over())
}
