//! Replies of SMTP, as a verdict gives them.

use bytes::Bytes;

use crate::v1;

/// A reply to the client: a code, an enhanced code where one is wanted, and lines of text.
///
/// A code that contradicts the decision, or a line with CR, LF or NUL, is refused before the verdict is sent.
/// `From<&str>` makes one with the gateway's own code for the decision that it goes with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    code: Option<u16>,
    enhanced: Bytes,
    lines: Vec<Bytes>,
    without_enhanced_code: bool,
}

impl Reply {
    /// A reply such as `Reply::new(550, "5.7.1", "Not here")`. An empty `enhanced` code leaves the choice to the gateway.
    /// Each line of `text` becomes a line of the reply.
    pub fn new(code: u16, enhanced: &str, text: &str) -> Self {
        Self {
            code: Some(code),
            enhanced: Bytes::copy_from_slice(enhanced.as_bytes()),
            lines: lines(text),
            without_enhanced_code: false,
        }
    }

    /// Sends no enhanced status code, not even the gateway's own.
    pub fn without_enhanced_code(mut self) -> Self {
        self.enhanced = Bytes::new();
        self.without_enhanced_code = true;
        self
    }

    pub(crate) fn into_proto(self, default_code: u16) -> v1::Reply {
        v1::Reply {
            code: u32::from(self.code.unwrap_or(default_code)),
            enhanced_code: self.enhanced,
            lines: self.lines,
            without_enhanced_code: self.without_enhanced_code,
        }
    }
}

impl From<&str> for Reply {
    fn from(text: &str) -> Self {
        Self {
            code: None,
            enhanced: Bytes::new(),
            lines: lines(text),
            without_enhanced_code: false,
        }
    }
}

impl From<String> for Reply {
    fn from(text: String) -> Self {
        text.as_str().into()
    }
}

fn lines(text: &str) -> Vec<Bytes> {
    text.lines()
        .map(|line| Bytes::copy_from_slice(line.as_bytes()))
        .collect()
}
