//! What an operator configures under `[binding.properties]`, checked.

mod configured;
mod contradiction;
mod pattern;
mod schema;
mod written;

use crate::edit::{Dkim, Image, Place};
use crate::template::{Source, Template};

pub use configured::Configured;
pub use pattern::{AddressPattern, DomainPattern, HeaderPattern, PatternError};
pub use schema::schema;
pub use written::SettingsError;
pub(crate) use written::escaped;

/// The settings of a binding.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The texts; the first that fits a message is added to it.
    pub texts: Vec<Text>,
    /// Domains that are the operator's own: direction is told by them.
    pub own_domains: Vec<DomainPattern>,
    /// The property that says the language of a message that does not say it itself.
    pub language_from: Option<Source>,
    /// Whether later messages of a thread get it again.
    pub repeat: Repeat,
    /// What becomes of DKIM signatures.
    pub dkim: Dkim,
    /// What gets nothing.
    pub exempt: Exempt,
    /// Bodies above so many octets are left alone.
    pub size_max_bytes: u64,
}

/// A text and whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// Its name in traces.
    pub name: String,
    /// The way the message goes; none: any.
    pub direction: Option<Direction>,
    /// Domains of the sender; none: any.
    pub sender_domains: Vec<DomainPattern>,
    /// Domains of recipients, one of which has to fit; none: any.
    pub recipient_domains: Vec<DomainPattern>,
    /// Languages, lower case (RFC 4647 basic ranges); none: any.
    pub languages: Vec<String>,
    /// For plain text.
    pub text: Template,
    /// For HTML.
    pub html: Template,
    /// At which end.
    pub place: Place,
    /// The images that the HTML shows.
    pub images: Vec<Image>,
}

/// Which way a message goes, by the operator's own domains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From an own domain, to at least one recipient elsewhere.
    Outgoing,
    /// From elsewhere.
    Incoming,
    /// From an own domain to own domains alone.
    Internal,
}

/// Whether later messages of a thread get the text again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// Every message gets it.
    #[default]
    Always,
    /// Only messages that answer none (no References, no In-Reply-To).
    NewThreads,
    /// Only messages whose text does not have it already, quoted from an earlier one.
    UnlessQuoted,
}

/// What gets nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exempt {
    /// Messages with one of these fields.
    pub headers: Vec<HeaderPattern>,
    /// Messages from these.
    pub senders: Vec<AddressPattern>,
    /// Messages all of whose recipients are among these.
    pub recipients: Vec<AddressPattern>,
}

impl Settings {
    /// The words of `reads` without which a message cannot be judged.
    #[must_use]
    pub fn reads(&self) -> Vec<String> {
        // All of them: policies look at any, and the gateway counts them all.
        let mut words = vec!["body".to_owned(), "headers".to_owned()];
        let sources: Vec<&Source> = self
            .texts
            .iter()
            .flat_map(|text| text.text.sources().chain(text.html.sources()))
            .chain(&self.language_from)
            .collect();
        let by_sender = self
            .texts
            .iter()
            .any(|text| text.direction.is_some() || !text.sender_domains.is_empty())
            || !self.exempt.senders.is_empty()
            || sources
                .iter()
                .any(|source| !matches!(source, Source::Property { .. }));
        let by_recipients = self
            .texts
            .iter()
            .any(|text| text.direction.is_some() || !text.recipient_domains.is_empty())
            || !self.exempt.recipients.is_empty();
        if by_sender {
            words.push("sender".to_owned());
        }
        if by_recipients {
            words.push("recipients".to_owned());
        }
        for source in sources {
            if let Source::Property { sink, .. } = source {
                words.push(format!("properties:{sink}"));
            }
        }
        words
    }
}

#[cfg(test)]
mod tests;
