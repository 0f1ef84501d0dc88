//! Which text a message gets, if any: by its way, its domains, its language, its thread, its exemptions.

use crate::edit::{self, Addition};
use crate::mime::field::{Section, unfolded};
use crate::reason::Reason;
use crate::settings::{Direction, Repeat, Settings, Text, escaped};
use crate::template::{Source, Template};

/// A message as the policy sees it.
#[derive(Clone, Copy)]
pub struct Mail<'a> {
    /// Header section, blank line, body.
    pub message: &'a [u8],
    /// The envelope's sender, empty for the null reverse-path.
    pub sender: &'a str,
    /// The envelope's recipients.
    pub recipients: &'a [String],
    /// A property by sink and key.
    pub property: &'a dyn Fn(&str, &str) -> Option<String>,
}

/// The text that a message gets, with its name in the settings.
///
/// # Errors
/// Why it gets none.
pub fn choose<'s>(settings: &'s Settings, mail: &Mail<'_>) -> Result<(&'s str, Addition), Reason> {
    let header = Section::read(mail.message, 0..mail.message.len())?;
    let seen = Seen { mail, header };
    seen.refuse_exempt(settings)?;
    if settings.repeat == Repeat::NewThreads && (seen.has("References") || seen.has("In-Reply-To"))
    {
        return Err(Reason::Continued);
    }
    let language = seen.language(settings);
    let direction = seen.direction(settings);
    let text = settings
        .texts
        .iter()
        .find(|text| seen.fits(text, direction, language.as_deref()))
        .ok_or(Reason::NoTextFits)?;
    let addition = seen.filled(text)?;
    if settings.repeat == Repeat::UnlessQuoted && is_quoted(mail.message, text) {
        return Err(Reason::Quoted);
    }
    Ok((&text.name, addition))
}

struct Seen<'a, 'm> {
    mail: &'a Mail<'m>,
    header: Section,
}

impl Seen<'_, '_> {
    fn values(&self, name: &str) -> Vec<String> {
        let fields = self.header.all(self.mail.message, name);
        fields
            .map(|field| String::from_utf8_lossy(&unfolded(self.mail.message, field)).into_owned())
            .collect()
    }

    fn has(&self, name: &str) -> bool {
        self.values(name).iter().any(|value| !value.is_empty())
    }

    fn refuse_exempt(&self, settings: &Settings) -> Result<(), Reason> {
        let exempt = &settings.exempt;
        for pattern in &exempt.headers {
            if self
                .values(&pattern.name)
                .iter()
                .any(|value| pattern.fits(value))
            {
                return Err(Reason::Exempt(format!("its field fits {pattern}")));
            }
        }
        if exempt
            .senders
            .iter()
            .any(|pattern| pattern.fits(self.mail.sender))
        {
            return Err(Reason::Exempt("its sender is".to_owned()));
        }
        let is_exempt = |address: &String| exempt.recipients.iter().any(|own| own.fits(address));
        match !self.mail.recipients.is_empty() && self.mail.recipients.iter().all(is_exempt) {
            true => Err(Reason::Exempt("all its recipients are".to_owned())),
            false => Ok(()),
        }
    }

    /// What the message says, else what the property says; lower case.
    fn language(&self, settings: &Settings) -> Option<String> {
        let said = self
            .values("Content-Language")
            .into_iter()
            .find_map(|value| {
                let first = value
                    .split(',')
                    .next()
                    .unwrap_or_default()
                    .trim()
                    .to_owned();
                (!first.is_empty()).then_some(first)
            });
        said.or_else(|| self.value(settings.language_from.as_ref()?))
            .map(|language| language.to_ascii_lowercase())
    }

    fn direction(&self, settings: &Settings) -> Direction {
        let is_own = |address: &str| {
            settings
                .own_domains
                .iter()
                .any(|own| own.fits(domain(address)))
        };
        if !is_own(self.mail.sender) {
            return Direction::Incoming;
        }
        match self.mail.recipients.iter().all(|address| is_own(address)) {
            true => Direction::Internal,
            false => Direction::Outgoing,
        }
    }

    fn fits(&self, text: &Text, direction: Direction, language: Option<&str>) -> bool {
        let sender = domain(self.mail.sender);
        text.direction.is_none_or(|own| own == direction)
            && (text.sender_domains.is_empty()
                || text.sender_domains.iter().any(|own| own.fits(sender)))
            && (text.recipient_domains.is_empty()
                || self.mail.recipients.iter().any(|address| {
                    let mut own = text.recipient_domains.iter();
                    own.any(|own| own.fits(domain(address)))
                }))
            && (text.languages.is_empty()
                || language.is_some_and(|language| {
                    text.languages.iter().any(|range| speaks(range, language))
                }))
    }

    fn filled(&self, text: &Text) -> Result<Addition, Reason> {
        let value = |source: &Source| self.value(source);
        Ok(Addition {
            text: text
                .text
                .filled(value, str::to_owned)
                .map_err(Reason::Placeholder)?,
            html: text
                .html
                .filled(value, escaped)
                .map_err(Reason::Placeholder)?,
            place: text.place,
            images: text.images.clone(),
        })
    }

    fn value(&self, source: &Source) -> Option<String> {
        let sender = self.mail.sender;
        let part = |part: &str| (!part.is_empty()).then(|| part.to_owned());
        match source {
            Source::SenderAddress => part(sender),
            Source::SenderLocal => part(sender.rsplit_once('@').map_or("", |(local, _)| local)),
            Source::SenderDomain => part(domain(sender)),
            Source::Property { sink, key } => (self.mail.property)(sink, key),
        }
    }
}

/// RFC 4647, 3.3.1.
fn speaks(range: &str, language: &str) -> bool {
    language
        .strip_prefix(range)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

fn domain(address: &str) -> &str {
    address.rsplit_once('@').map_or("", |(_, domain)| domain)
}

/// Stands for the values of placeholders, which are others in each message of a thread.
const VALUE: char = '\u{fffc}';
/// Octets that a value may have in a quotation.
const VALUE_MAX: usize = 500;

/// Whether one of the texts of the message has the addition already, quoted or not, wrapped as it may be.
fn is_quoted(message: &[u8], text: &Text) -> bool {
    let unfilled = |template: &Template| {
        let value = |_: &Source| Some(VALUE.to_string());
        template.filled(value, str::to_owned).unwrap_or_default()
    };
    let marks = [
        unfilled(&text.text),
        edit::shown_html(&unfilled(&text.html)),
    ];
    let marks = marks.map(|mark| {
        let pieces = mark.split(VALUE).map(words);
        pieces.filter(|piece| !piece.is_empty()).collect::<Vec<_>>()
    });
    let texts = edit::shown_texts(message);
    texts
        .iter()
        .map(|text| words(text))
        .any(|text| marks.iter().any(|mark| has_in_order(&text, mark)))
}

/// Whether the pieces stand in the text in their order, with no more than a value between two.
fn has_in_order(text: &str, pieces: &[String]) -> bool {
    let Some((first, others)) = pieces.split_first() else {
        return false;
    };
    let mut starts = text.match_indices(first.as_str());
    starts.any(|(at, _)| {
        let mut end = at + first.len();
        others.iter().all(|piece| {
            let rest = text.get(end..).unwrap_or_default();
            // No further than a value reaches: a first piece may be a comma, which stands everywhere.
            let near = begin_of(rest, VALUE_MAX + piece.len());
            let found = near.find(piece.as_str()).filter(|gap| *gap <= VALUE_MAX);
            end += found.map_or(0, |gap| gap + piece.len());
            found.is_some()
        })
    })
}

/// The first octets of a text, and what is left of the character that they end in.
fn begin_of(text: &str, length: usize) -> &str {
    let end = (length..text.len()).find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

/// The words of a text, without marks of quotation.
fn words(text: &str) -> String {
    let lines = text.lines().map(|line| line.trim_start_matches(['>', ' ']));
    let words = lines.flat_map(str::split_whitespace);
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
