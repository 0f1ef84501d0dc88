//! HTML: its ends, and where it names its charset, by a tokenizer (HTML, 13.2.5).

mod cover;
mod piece;

use std::ops::Range;

use html5gum::{DefaultEmitter, Error, StartTag, State, Token, Tokenizer};

pub(super) use piece::{check_piece, markup, shown, shown_images};

use self::cover::Cover;
use super::Place;
use crate::reason::Reason;

/// Elements whose content is not markup, with how a tokenizer takes it. A reader of mail runs no scripts, so
/// `noscript` is markup.
const RAW: [(&[u8], State); 8] = [
    (b"script", State::ScriptData),
    (b"style", State::RawText),
    (b"xmp", State::RawText),
    (b"iframe", State::RawText),
    (b"noembed", State::RawText),
    (b"noframes", State::RawText),
    (b"title", State::RcData),
    (b"textarea", State::RcData),
];

/// Elements in which an addition would not be shown, or elsewhere than it stands.
const CLOSED: [&[u8]; 15] = [
    b"head",
    b"table",
    b"select",
    b"template",
    b"svg",
    b"math",
    b"object",
    b"noscript",
    b"audio",
    b"video",
    b"canvas",
    b"button",
    b"datalist",
    b"details",
    b"dialog",
];

/// The byte order mark in UTF-8.
const BOM: &[u8] = "\u{feff}".as_bytes();

/// What may stand before the first content of a document.
const HEAD: [&[u8]; 9] = [
    b"html",
    b"head",
    b"meta",
    b"title",
    b"link",
    b"style",
    b"script",
    b"base",
    b"noscript",
];

/// What was found in a document. Offsets are those of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Document {
    /// Where something can be put at the end.
    end: Option<usize>,
    /// Why not.
    end_fault: Option<&'static str>,
    /// Where something can be put at the top.
    top: Option<usize>,
    /// Why not.
    top_fault: Option<&'static str>,
    /// The names of charsets in `meta` and in the XML declaration.
    charsets: Vec<Range<usize>>,
    /// Something names a charset in a way that cannot be followed.
    has_other_charset: bool,
}

impl Document {
    /// Reads a document.
    ///
    /// # Errors
    /// [`Reason::Html`] where it is not certain what a reader takes it for.
    pub(super) fn read(text: &str) -> Result<Self, Reason> {
        let mut scan = Scan::new(text);
        let mut tokenizer =
            Tokenizer::new_with_emitter(text, DefaultEmitter::<usize>::new_with_span());
        while let Some(Ok(token)) = tokenizer.next() {
            match token {
                Token::StartTag(tag) => {
                    if let Some(state) = scan.start_tag(&tag)? {
                        tokenizer.set_state(state);
                    }
                }
                Token::EndTag(tag) => scan.end_tag(&tag.name, tag.span.start, tag.span.end)?,
                Token::String(string) => scan.string(&string, string.span.start),
                Token::Comment(comment) => scan.comment(comment.span.start..comment.span.end),
                Token::Doctype(_) => {}
                Token::Error(error) => scan.error(error.value)?,
            }
        }
        scan.finish()
    }

    /// Where to put an addition.
    ///
    /// # Errors
    /// [`Reason::Html`]
    pub(super) fn at(&self, place: Place) -> Result<usize, Reason> {
        let (found, why) = match place {
            Place::End => (self.end, self.end_fault.unwrap_or("it has no end")),
            Place::Top => (
                self.top.filter(|_| self.top_fault.is_none()),
                self.top_fault.unwrap_or("it has no beginning"),
            ),
        };
        found.ok_or(Reason::Html(why))
    }

    /// The places of the names of charsets in it.
    ///
    /// # Errors
    /// [`Reason::Html`] where one cannot be followed.
    pub(super) fn charsets(&self) -> Result<&[Range<usize>], Reason> {
        match self.has_other_charset {
            true => Err(Reason::Html("it names its charset in a strange way")),
            false => Ok(&self.charsets),
        }
    }
}

/// What is put into the document at its end or top: the operator's HTML on lines of its own.
pub(super) fn insertion(html: &str) -> String {
    let lines: Vec<&str> = html.trim_end().lines().map(str::trim_end).collect();
    format!("\r\n{}\r\n", lines.join("\r\n"))
}

struct Scan<'a> {
    text: &'a str,
    found: Document,
    /// The element whose content is not markup, while it is open.
    raw: Option<Vec<u8>>,
    open: [usize; CLOSED.len()],
    cover: Cover,
    /// Behind the tags of foreign content and the like.
    body_end: Option<(usize, Option<&'static str>)>,
    html_end: Option<(usize, Option<&'static str>)>,
    has_content: bool,
}

impl<'a> Scan<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            found: Document::default(),
            raw: None,
            open: [0; CLOSED.len()],
            cover: Cover::default(),
            body_end: None,
            html_end: None,
            has_content: false,
        }
    }

    fn start_tag(&mut self, tag: &StartTag<usize>) -> Result<Option<State>, Reason> {
        let name: &[u8] = &tag.name;
        self.is_tag(tag.span.start, tag.span.end)?;
        if name == b"frameset" || name == b"plaintext" {
            return Err(Reason::Html("frames, or plain text without end"));
        }
        if name == b"body" {
            // It closes a head that was left open.
            self.close(b"head");
            self.cover.start_tag(tag);
            self.content(tag.span.end);
        } else if !HEAD.contains(&name) {
            self.content(tag.span.start);
        }
        if name == b"meta" {
            self.meta(tag);
        }
        let raw = RAW.iter().find(|(raw, _)| *raw == name);
        let is_foreign = self.is_open(b"svg") || self.is_open(b"math");
        if let Some((_, state)) = raw {
            if is_foreign {
                return Err(Reason::Html("text of its own kind inside of svg or math"));
            }
            self.raw = Some(name.to_vec());
            return Ok(Some(*state));
        }
        // In foreign content, and only there, a slash closes.
        let is_closed = tag.self_closing && (is_foreign || name == b"svg" || name == b"math");
        if let Some(open) = self.counter(name).filter(|_| !is_closed) {
            *open += 1;
        }
        if name != b"body" && !is_closed {
            self.cover.start_tag(tag);
        }
        Ok(None)
    }

    fn end_tag(&mut self, name: &[u8], start: usize, end: usize) -> Result<(), Reason> {
        self.is_tag(start, end)?;
        if self.raw.take_if(|raw| raw == name).is_some() {
            return Ok(());
        }
        match name {
            b"body" => self.body_end = Some((start, self.open_fault())),
            b"html" => self.html_end = Some((start, self.open_fault())),
            _ => {}
        }
        if !HEAD.contains(&name) && name != b"body" {
            self.content(start);
        }
        self.close(name);
        self.cover.end_tag(name);
        Ok(())
    }

    fn string(&mut self, string: &[u8], start: usize) {
        // A byte order mark stays first.
        let mark = match start == 0 && string.starts_with(BOM) {
            true => BOM.len(),
            false => 0,
        };
        let shown = string.get(mark..).unwrap_or_default();
        if self.raw.is_none() && !shown.trim_ascii().is_empty() {
            self.content(start + mark);
        }
    }

    fn comment(&mut self, place: Range<usize>) {
        let text = self.text.get(place.clone()).unwrap_or_default();
        self.cover.comment(text);
        // `<?xml …?>` is a comment to HTML.
        if !text.starts_with("<?xml") {
            return;
        }
        if let Some(at) = text.find("encoding=") {
            self.name_of_charset(place.start + at + "encoding=".len());
        }
    }

    fn error(&mut self, error: Error) -> Result<(), Reason> {
        match error {
            Error::EofInTag
            | Error::EofInComment
            | Error::EofInDoctype
            | Error::EofInCdata
            | Error::EofInScriptHtmlCommentLikeText
            | Error::EofBeforeTagName => Err(Reason::Html("it ends inside of a tag or comment")),
            // `<!-->` and `--!>`: readers older than the standard go on to the next `-->`.
            Error::AbruptClosingOfEmptyComment | Error::IncorrectlyClosedComment => Err(
                Reason::Html("a comment that readers end at different places"),
            ),
            Error::CdataInHtmlContent if self.is_open(b"svg") || self.is_open(b"math") => {
                Err(Reason::Html("text of its own kind inside of svg or math"))
            }
            _ => Ok(()),
        }
    }

    fn finish(mut self) -> Result<Document, Reason> {
        if self.raw.is_some() {
            return Err(Reason::Html("a script, style or the like does not end"));
        }
        self.content(self.text.len());
        let fault = self.open_fault();
        let (end, fault) = self
            .body_end
            .or(self.html_end)
            .unwrap_or((self.text.len(), fault));
        self.found.end_fault = fault;
        self.found.end = fault.is_none().then_some(end);
        Ok(self.found)
    }

    /// The first content of the document.
    fn content(&mut self, at: usize) {
        if !self.has_content {
            // Content in a head that is open ends the head.
            let is_open = self.open_but(b"head");
            self.found.top = Some(at);
            self.found.top_fault = self.fault_of(is_open);
            self.has_content = true;
        }
    }

    fn meta(&mut self, tag: &StartTag<usize>) {
        let attribute = |name: &[u8]| {
            tag.attributes
                .iter()
                .find(|(known, _)| known.as_slice() == name)
                .map(|(_, value)| value)
        };
        let is_type = attribute(b"http-equiv")
            .is_some_and(|value| value.trim_ascii().eq_ignore_ascii_case(b"content-type"));
        if let Some(charset) = attribute(b"charset") {
            let place = self
                .text
                .get(charset.span.start..tag.span.end)
                .unwrap_or_default();
            match place.find('=') {
                Some(at) => self.name_of_charset(charset.span.start + at + 1),
                None => self.found.has_other_charset = true,
            }
        }
        if let Some(content) = attribute(b"content").filter(|_| is_type)
            && content
                .to_ascii_lowercase()
                .windows(7)
                .any(|word| word == b"charset")
        {
            let place = self
                .text
                .get(content.span.start..tag.span.end)
                .unwrap_or_default();
            match place.to_ascii_lowercase().find("charset=") {
                Some(at) => self.name_of_charset(content.span.start + at + "charset=".len()),
                None => self.found.has_other_charset = true,
            }
        }
    }

    /// Notes the name that stands here, in quotes or not.
    fn name_of_charset(&mut self, at: usize) {
        let rest = self.text.get(at..).unwrap_or_default();
        let name = rest.trim_start_matches([' ', '\t', '\r', '\n', '"', '\'']);
        let start = at + rest.len() - name.len();
        let length = name
            .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.:".contains(c)))
            .unwrap_or(name.len());
        match length {
            0 => self.found.has_other_charset = true,
            _ => self.found.charsets.push(start..start + length),
        }
    }

    /// What a tokenizer calls a tag has to look like one.
    fn is_tag(&self, start: usize, end: usize) -> Result<(), Reason> {
        let tag = self.text.get(start..end).unwrap_or_default();
        match tag.starts_with('<') && tag.ends_with('>') {
            true => Ok(()),
            false => Err(Reason::Html("its tags cannot be placed")),
        }
    }

    fn open_fault(&self) -> Option<&'static str> {
        self.fault_of(self.open_but(b""))
    }

    fn fault_of(&self, is_open: bool) -> Option<&'static str> {
        is_open
            .then_some("a table or the like is open there")
            .or_else(|| self.cover.fault())
    }

    /// Whether an element is open in which an addition would not be shown, other than this one.
    fn open_but(&self, but: &[u8]) -> bool {
        let mut pairs = CLOSED.iter().zip(self.open);
        pairs.any(|(known, count)| *known != but && count > 0)
    }

    fn counter(&mut self, name: &[u8]) -> Option<&mut usize> {
        let place = CLOSED.iter().position(|known| *known == name)?;
        self.open.get_mut(place)
    }

    fn close(&mut self, name: &[u8]) {
        if let Some(count) = self.counter(name) {
            *count = count.saturating_sub(1);
        }
    }

    fn is_open(&self, name: &[u8]) -> bool {
        let mut pairs = CLOSED.iter().zip(self.open);
        pairs.any(|(known, count)| *known == name && count > 0)
    }
}

#[cfg(test)]
mod tests;
