//! Answers about what recipients resolve to.

use bytes::Bytes;
use postern_message::{NewRecipient, RecipientId};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_smtp::reply::Reply;

use super::RecipientKind;

/// What recipients resolve to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExpansionAnswer {
    /// One for each item that is known; `None` in place of an id is the sender.
    pub expansions: Vec<Expansion>,
}

/// What one item resolves to.
#[derive(Clone, Debug, PartialEq)]
pub struct Expansion {
    /// The recipient that was asked about. `None`: the sender.
    pub recipient: Option<RecipientId>,
    /// What it is.
    pub expanded: Expanded,
}

/// What an address stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Expanded {
    /// An address to deliver to.
    Final {
        /// The address. `None`: as it is.
        address: Option<ForwardPath>,
        /// What kind of recipient it is.
        recipient_kind: RecipientKind,
    },
    /// Others: an alias or a list.
    Members(Members),
    /// There is no such recipient; the reply is for the notification.
    Unknown(Option<Reply>),
}

/// Other addresses in a recipient's place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Members {
    /// The addresses.
    pub recipients: Vec<NewRecipient>,
    /// The sender of what goes to them. `None`: unchanged.
    pub sender: Option<ReversePath>,
    /// More to come: this is handed back. Empty: complete.
    pub next_page_token: Bytes,
}

impl ExpansionAnswer {
    /// Of an item the last answer counts.
    pub(crate) fn then(mut self, later: Self) -> Self {
        self.expansions.retain(|own| {
            later
                .expansions
                .iter()
                .all(|other| other.recipient != own.recipient)
        });
        self.expansions.extend(later.expansions);
        self
    }

    /// What was said of a recipient, or of the sender.
    #[must_use]
    pub fn of_item(&self, recipient: Option<RecipientId>) -> Option<&Expanded> {
        self.expansions
            .iter()
            .find(|own| own.recipient == recipient)
            .map(|own| &own.expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_item_the_last_answer_counts() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let of = |id, expanded| ExpansionAnswer {
            expansions: vec![Expansion {
                recipient: Some(id),
                expanded,
            }],
        };
        let unknown = Expanded::Unknown(None);
        let list = Expanded::Members(Members::default());
        let all = of(a, unknown.clone())
            .then(of(b, list.clone()))
            .then(of(a, list.clone()));
        assert_eq!(all.expansions.len(), 2);
        assert_eq!(all.of_item(Some(a)), Some(&list));
        assert_eq!(all.of_item(None), None);
    }
}
