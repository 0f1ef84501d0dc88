//! Decoded views of header fields and text parts.

use mail_parser::parsers::MessageStream;
use mail_parser::{HeaderValue, MessageParser, MimeHeaders};

use super::{ContentError, HeaderView, Message};

/// A text of a message, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextPart {
    /// The text, from its charset and transfer encoding.
    pub text: String,
    /// It is HTML.
    pub is_html: bool,
    /// The name of the file that it is meant to be. None: it is shown in the message.
    pub file_name: Option<String>,
}

impl HeaderView<'_> {
    /// The value with encoded words decoded (RFC 2047), unfolded.
    pub fn decoded(&self) -> String {
        let value = [self.raw(), b"\r\n"].concat();
        match MessageStream::new(&value).parse_unstructured() {
            HeaderValue::Text(text) => text.trim().to_owned(),
            _ => self.text(),
        }
    }
}

impl Message {
    /// The texts of the message, decoded: plain text and HTML, those of attached messages not included. At most `limit`
    /// octets of body are taken into memory.
    ///
    /// # Errors
    /// [`ContentError`].
    pub async fn texts(&mut self, limit: u64) -> Result<Vec<TextPart>, ContentError> {
        let raw = self.raw(limit).await?;
        let Some(parsed) = MessageParser::default().parse(&raw[..]) else {
            return Ok(Vec::new());
        };
        let texts = parsed.parts.iter().filter_map(|part| {
            let is_html = part.is_text_html();
            let text = part.text_contents().filter(|_| part.is_text())?;
            Some(TextPart {
                text: text.to_owned(),
                is_html,
                file_name: part.attachment_name().map(str::to_owned),
            })
        });
        Ok(texts.collect())
    }
}
