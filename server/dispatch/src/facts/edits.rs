//! What verdicts and their absence leave in the facts.

use std::collections::HashMap;

use postern_message::{Edit, EditLimits, PropertyLimits, Recipient, RecipientId, Value};

use crate::event::EventKind;

use super::{Facts, PASSED, SKIPPED};

impl Facts {
    /// These bindings have had their say at an event, and what they edited is kept: where the chain goes on later
    /// from a binding that is not there any more, they are not asked again.
    pub(crate) fn note_passed(&mut self, event: EventKind, bindings: &str) {
        let (namespace, key) = PASSED;
        let text = Value::String(format!("{} {bindings}", event.name()));
        // A bag that is full keeps what it has.
        let _full = self
            .draft
            .properties
            .set(namespace, key, text, &PropertyLimits::default());
    }

    /// The binding had its say at the event when the message was put off.
    pub(crate) fn has_passed(&self, event: EventKind, binding: &str) -> bool {
        let (namespace, key) = PASSED;
        match self.draft.properties.value(namespace, key) {
            Some(Value::String(text)) => {
                let mut words = text.split(' ');
                words.next() == Some(event.name()) && words.any(|word| word == binding)
            }
            _ => false,
        }
    }

    /// Applies the edits of one verdict, all or none.
    pub(crate) fn edit(
        &mut self,
        namespace: &str,
        edits: &[Edit],
        limits: &EditLimits,
    ) -> Result<(), postern_message::EditError> {
        let next = self.draft.apply(namespace, edits, limits)?;
        let before = std::mem::replace(&mut self.draft, next);
        let now = self.tick();
        if before.session_properties != self.draft.session_properties {
            self.session_changed = now;
        }
        if before.envelope != self.draft.envelope || before.properties != self.draft.properties {
            self.transaction_changed = now;
        }
        if before.recipients != self.draft.recipients {
            self.note_recipients(before.recipients, now);
        }
        Ok(())
    }

    /// A binding failed and was passed over.
    pub(crate) fn skipped(&mut self, binding: &str) {
        let now = self.tick();
        let of_message = self.transaction.is_some() || self.message.is_some();
        let bag = if of_message {
            self.transaction_changed = now;
            &mut self.draft.properties
        } else {
            self.session_changed = now;
            &mut self.draft.session_properties
        };
        let (namespace, key) = SKIPPED;
        let text = match bag.value(namespace, key) {
            Some(Value::String(text)) if text.split(',').any(|one| one == binding) => return,
            Some(Value::String(text)) => format!("{text},{binding}"),
            _ => binding.to_owned(),
        };
        // A bag that is full keeps what it has.
        let _full = bag.set(
            namespace,
            key,
            Value::String(text),
            &PropertyLimits::default(),
        );
    }

    pub(super) fn note_recipients(&mut self, before: Vec<Recipient>, now: u64) {
        let known: HashMap<RecipientId, Recipient> =
            before.into_iter().map(|one| (one.id, one)).collect();
        for recipient in &self.draft.recipients {
            if known.get(&recipient.id) != Some(recipient) {
                self.recipient_changed.insert(recipient.id, now);
            }
        }
        let left: std::collections::HashSet<_> =
            self.draft.recipients.iter().map(|one| one.id).collect();
        self.removed.extend(
            known
                .into_values()
                .filter(|one| !left.contains(&one.id))
                .map(|one| (now, one)),
        );
    }
}
