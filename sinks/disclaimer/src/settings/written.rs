//! The settings as they are written, and what may be wrong with them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::contradiction;
use super::{
    AddressPattern, Direction, DomainPattern, Exempt, HeaderPattern, PatternError, Repeat,
    Settings, Text,
};
use crate::edit::{self, Dkim, Image, Place};
use crate::template::{Source, Template, TemplateError, property_of};

/// Octets of a text, plain or HTML.
const TEXT_MAX: usize = 64 << 10;
/// Octets of all images.
pub(super) const IMAGES_MAX: usize = 96 << 10;
/// Texts of a binding.
const TEXTS_MAX: usize = 100;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    text: Option<String>,
    html: Option<String>,
    place: Option<WrittenPlace>,
    #[serde(default)]
    texts: Vec<WrittenText>,
    #[serde(default)]
    images: Vec<WrittenImage>,
    #[serde(default)]
    own_domains: Vec<String>,
    language_from: Option<String>,
    #[serde(default)]
    repeat: Repeat,
    #[serde(default)]
    dkim: WrittenDkim,
    #[serde(default)]
    exempt: WrittenExempt,
    #[serde(default = "size_max_bytes")]
    size_max_bytes: u64,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenText {
    name: String,
    direction: Option<Direction>,
    #[serde(default)]
    sender_domains: Vec<String>,
    #[serde(default)]
    recipient_domains: Vec<String>,
    #[serde(default)]
    languages: Vec<String>,
    text: String,
    html: Option<String>,
    #[serde(default)]
    place: WrittenPlace,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenImage {
    cid: String,
    #[serde(rename = "type")]
    kind: String,
    data: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenExempt {
    #[serde(default)]
    headers: Vec<String>,
    #[serde(default)]
    senders: Vec<String>,
    #[serde(default)]
    recipients: Vec<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenPlace {
    #[default]
    End,
    Top,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum WrittenDkim {
    #[default]
    LeaveAlone,
    Keep,
    Remove,
}

pub(super) fn size_max_bytes() -> u64 {
    16 << 20
}

/// A setting that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// There is nothing to add.
    #[error("there is nothing to add: set \"text\", or \"texts\"")]
    NoText,
    /// Something of the text for all others without that text.
    #[error("{0} is set without \"text\", which plain texts get; set it, or remove {0}")]
    Alone(&'static str),
    /// A text is empty or only blank.
    #[error("{0} is empty; write what is to be added")]
    Empty(String),
    /// A text or list is too long.
    #[error("{0} is longer than {1}; shorten it")]
    TooLong(String, String),
    /// A name that traces cannot show.
    #[error(
        "the name {0:?} of a text is not 1 to 60 letters, digits, blanks and punctuation marks; write a shorter one"
    )]
    Name(String),
    /// A text has a control character.
    #[error("{0} has a control character; only line ends and tabs are taken")]
    Control(String),
    /// HTML that cannot stand in a message.
    #[error("{0} cannot stand in a message: {1}")]
    Html(String, &'static str),
    /// A placeholder that cannot be read.
    #[error("{0}: {1}")]
    Template(String, TemplateError),
    /// A pattern that cannot be read.
    #[error("{0}: {1}")]
    Pattern(String, PatternError),
    /// HTML in which a value could become more than text.
    #[error(
        "{0} has a placeholder where its value could become markup; put quotes around the value of the attribute"
    )]
    Unquoted(String),
    /// Settings that leave each other without effect.
    #[error("{0}")]
    Contradiction(String),
    /// Two texts or images of one name.
    #[error("{0} is there twice; give each a name of its own")]
    Twice(String),
    /// A direction without own domains.
    #[error("{0} is set, but \"own_domains\" is empty: direction is told by them, set them")]
    NoOwnDomains(String),
    /// No language.
    #[error("{0}: \"{1}\" is not a language; write de or de-AT")]
    Language(String, String),
    /// No property.
    #[error("\"language_from\": \"{0}\" is not a property; write SINK/KEY")]
    Property(String),
    /// An image that cannot be used.
    #[error("{0} {1}")]
    Image(String, &'static str),
    /// HTML shows an image that is not there.
    #[error("{0} shows cid:{1}, which is not among \"images\"; add it there")]
    NoImage(String, String),
    /// Nothing is ever small enough.
    #[error("\"size_max_bytes\" is 0, so that no message gets a text; write 1 or more")]
    NoSize,
}

impl TryFrom<Written> for Settings {
    type Error = SettingsError;

    fn try_from(written: Written) -> Result<Self, SettingsError> {
        let images = images(&written.images)?;
        let mut texts = Vec::new();
        if written.texts.len() > TEXTS_MAX {
            return Err(SettingsError::TooLong(
                "\"texts\"".to_owned(),
                format!("{TEXTS_MAX} texts"),
            ));
        }
        for text in &written.texts {
            if texts.iter().any(|known: &Text| known.name == text.name) {
                return Err(SettingsError::Twice(format!("the text \"{}\"", text.name)));
            }
            texts.push(of_text(text, &written, &images)?);
        }
        match (&written.text, &written.html) {
            (Some(text), html) => {
                let for_all = WrittenText {
                    name: "text".to_owned(),
                    direction: None,
                    sender_domains: Vec::new(),
                    recipient_domains: Vec::new(),
                    languages: Vec::new(),
                    text: text.clone(),
                    html: html.clone(),
                    place: written.place.unwrap_or_default(),
                };
                if texts.iter().any(|known| known.name == for_all.name) {
                    return Err(SettingsError::Twice("the text \"text\"".to_owned()));
                }
                texts.push(of_text(&for_all, &written, &images)?);
            }
            (None, Some(_)) => return Err(SettingsError::Alone("\"html\"")),
            (None, None) if written.place.is_some() => {
                return Err(SettingsError::Alone("\"place\""));
            }
            (None, None) if texts.is_empty() => return Err(SettingsError::NoText),
            (None, None) => {}
        }
        let is_shown = |image: &&Image| {
            !texts
                .iter()
                .any(|text| text.images.iter().any(|own| own.cid == image.cid))
        };
        if let Some(image) = images.iter().find(is_shown) {
            let name = format!("the image \"{}\"", image.cid);
            return Err(SettingsError::Image(
                name,
                "is shown by no text: its HTML names it as cid:…",
            ));
        }
        let language_from = match &written.language_from {
            None => None,
            Some(name) => {
                let (sink, key) =
                    property_of(name).ok_or_else(|| SettingsError::Property(name.clone()))?;
                Some(Source::Property { sink, key })
            }
        };
        if written.size_max_bytes == 0 {
            return Err(SettingsError::NoSize);
        }
        let settings = Self {
            texts,
            own_domains: domains("\"own_domains\"", &written.own_domains)?,
            language_from,
            repeat: written.repeat,
            dkim: match written.dkim {
                WrittenDkim::LeaveAlone => Dkim::LeaveAlone,
                WrittenDkim::Keep => Dkim::Keep,
                WrittenDkim::Remove => Dkim::Remove,
            },
            exempt: exempt(&written.exempt)?,
            size_max_bytes: written.size_max_bytes,
        };
        contradiction::check(&settings)?;
        Ok(settings)
    }
}

fn of_text(written: &WrittenText, all: &Written, images: &[Image]) -> Result<Text, SettingsError> {
    let name = &written.name;
    let key = |key: &str| match name.as_str() {
        "text" => format!("\"{key}\""),
        name => format!("\"{key}\" of the text \"{name}\""),
    };
    if written.direction.is_some() && all.own_domains.is_empty() {
        return Err(SettingsError::NoOwnDomains(key("direction")));
    }
    is_name(name)?;
    let template = |key: String, text: &str| {
        Template::parse(text).map_err(|error| SettingsError::Template(key, error))
    };
    let plain = written.text.trim_end_matches(['\r', '\n']);
    is_clean(&key("text"), plain)?;
    let text = template(key("text"), plain)?;
    let html = match &written.html {
        Some(html) => {
            is_clean(&key("html"), html)?;
            let read = template(key("html"), html)?;
            html_is_whole(&key("html"), &read)?;
            read
        }
        None => paragraph(&text),
    };
    let languages = written.languages.iter().map(|language| {
        let is_language = (1..=35).contains(&language.len())
            && language
                .split('-')
                .all(|tag| !tag.is_empty() && tag.bytes().all(|o| o.is_ascii_alphanumeric()));
        match is_language {
            true => Ok(language.to_ascii_lowercase()),
            false => Err(SettingsError::Language(key("languages"), language.clone())),
        }
    });
    Ok(Text {
        name: name.clone(),
        direction: written.direction,
        sender_domains: domains(&key("sender_domains"), &written.sender_domains)?,
        recipient_domains: domains(&key("recipient_domains"), &written.recipient_domains)?,
        languages: languages.collect::<Result<_, _>>()?,
        images: shown(&key("html"), &html, images)?,
        text,
        html,
        place: match written.place {
            WrittenPlace::End => Place::End,
            WrittenPlace::Top => Place::Top,
        },
    })
}

/// The HTML can stand in any message, whatever the values of its placeholders are.
fn html_is_whole(key: &str, html: &Template) -> Result<(), SettingsError> {
    let filled = |value: &str| {
        let value = |_: &Source| Some(value.to_owned());
        html.filled(value, escaped).unwrap_or_default()
    };
    let plain = filled("x");
    edit::check_html(&plain).map_err(|why| SettingsError::Html(key.to_owned(), why))?;
    match edit::is_same_markup(&plain, &filled("x y=z /")) {
        true => Ok(()),
        false => Err(SettingsError::Unquoted(key.to_owned())),
    }
}

/// Plain text as HTML: escaped, in a paragraph.
fn paragraph(text: &Template) -> Template {
    let lines = |text: &str| {
        let lines: Vec<String> = text
            .split('\n')
            .map(|line| escaped(line.trim_end_matches('\r')))
            .collect();
        lines.join("<br>\n")
    };
    text.mapped(lines).between("<p>", "</p>")
}

fn is_name(name: &str) -> Result<(), SettingsError> {
    let is_shown = !name.chars().any(char::is_control) && !name.trim().is_empty();
    match is_shown && name.chars().count() <= 60 {
        true => Ok(()),
        false => Err(SettingsError::Name(name.chars().take(60).collect())),
    }
}

/// Text as it stands in HTML, attributes included.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

/// The images that a piece of HTML shows.
fn shown(key: &str, html: &Template, images: &[Image]) -> Result<Vec<Image>, SettingsError> {
    let html = html
        .filled(|_| Some("x".to_owned()), escaped)
        .unwrap_or_default();
    let mut shown: Vec<Image> = Vec::new();
    for cid in edit::shown_images(&html) {
        match images.iter().find(|image| image.cid == cid) {
            Some(image) if shown.contains(image) => {}
            Some(image) => shown.push(image.clone()),
            None => return Err(SettingsError::NoImage(key.to_owned(), cid)),
        }
    }
    Ok(shown)
}

fn images(written: &[WrittenImage]) -> Result<Vec<Image>, SettingsError> {
    let mut images: Vec<Image> = Vec::new();
    let mut octets = 0;
    for image in written {
        let name = format!("the image \"{}\"", image.cid);
        let wrong = |what| Err(SettingsError::Image(name.clone(), what));
        let is_cid = (1..=200).contains(&image.cid.len())
            && image
                .cid
                .bytes()
                .all(|o| o.is_ascii_alphanumeric() || b"@._-+$".contains(&o));
        if !is_cid {
            return wrong("has a cid with other characters than letters, digits and @._-+$");
        }
        let subtype = image.kind.strip_prefix("image/").unwrap_or_default();
        let is_kind = !subtype.is_empty()
            && subtype
                .bytes()
                .all(|o| o.is_ascii_alphanumeric() || b"+.-".contains(&o));
        if !is_kind {
            return wrong("has a type that is none of images, such as image/png");
        }
        let letters: String = image.data.split_whitespace().collect();
        let Ok(data) = STANDARD.decode(letters) else {
            return wrong("has data that is not base64");
        };
        octets += data.len();
        if data.is_empty() || octets > IMAGES_MAX {
            return wrong("is empty, or all images are larger than 96 KiB");
        }
        if images.iter().any(|known| known.cid == image.cid) {
            return Err(SettingsError::Twice(name));
        }
        images.push(Image {
            cid: image.cid.clone(),
            kind: image.kind.clone(),
            octets: data,
        });
    }
    Ok(images)
}

fn is_clean(key: &str, text: &str) -> Result<(), SettingsError> {
    if text.trim().is_empty() {
        return Err(SettingsError::Empty(key.to_owned()));
    }
    if text.len() > TEXT_MAX {
        return Err(SettingsError::TooLong(key.to_owned(), "64 KiB".to_owned()));
    }
    let is_line = |c: char| matches!(c, '\n' | '\t');
    let text = text.replace("\r\n", "\n");
    match text.chars().any(|c| c.is_control() && !is_line(c)) {
        true => Err(SettingsError::Control(key.to_owned())),
        false => Ok(()),
    }
}

fn domains(key: &str, written: &[String]) -> Result<Vec<DomainPattern>, SettingsError> {
    let read = written.iter().map(|text| DomainPattern::parse(text));
    read.collect::<Result<_, _>>()
        .map_err(|error| SettingsError::Pattern(key.to_owned(), error))
}

fn exempt(written: &WrittenExempt) -> Result<Exempt, SettingsError> {
    let addresses = |key: &str, written: &[String]| {
        let read = written.iter().map(|text| AddressPattern::parse(text));
        read.collect::<Result<_, _>>()
            .map_err(|error| SettingsError::Pattern(key.to_owned(), error))
    };
    let headers = written
        .headers
        .iter()
        .map(|text| HeaderPattern::parse(text));
    Ok(Exempt {
        headers: headers
            .collect::<Result<_, _>>()
            .map_err(|error| SettingsError::Pattern("\"exempt.headers\"".to_owned(), error))?,
        senders: addresses("\"exempt.senders\"", &written.senders)?,
        recipients: addresses("\"exempt.recipients\"", &written.recipients)?,
    })
}
