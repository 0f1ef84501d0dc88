//! What EHLO offers beyond the session's own: verbs and keywords that others add, and keywords that were taken out of a
//! reply.

use crate::command::Verb;
use crate::parameters::RawParameter;
use crate::reply::ReplyText;

/// The keywords that the session has itself, whether it offers them or not.
const OWN: [&str; 12] = [
    "PIPELINING",
    "8BITMIME",
    "SMTPUTF8",
    "ENHANCEDSTATUSCODES",
    "CHUNKING",
    "BINARYMIME",
    "DSN",
    "SIZE",
    "LIMITS",
    "MT-PRIORITY",
    "STARTTLS",
    "AUTH",
];

/// Whether the session itself has this keyword of EHLO, whether it offers it now or not. Compared without case.
#[must_use]
pub fn is_own_keyword(word: &[u8]) -> bool {
    place(word).is_some()
}

/// Whether the session itself has this verb. Compared without case.
#[must_use]
pub fn is_own_verb(word: &[u8]) -> bool {
    Verb::of(word) != Verb::Other
}

fn place(word: &[u8]) -> Option<usize> {
    OWN.iter()
        .position(|own| own.as_bytes().eq_ignore_ascii_case(word))
}

/// What others add to the service.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Additions {
    /// Verbs that the caller answers.
    pub verbs: Vec<AddedVerb>,
    /// Lines of the reply to EHLO and LHLO: a keyword with its arguments.
    pub keywords: Vec<ReplyText>,
}

/// A verb that the caller answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddedVerb {
    /// The verb in upper case.
    pub name: String,
    /// What HELP says of it.
    pub help: ReplyText,
}

impl Additions {
    /// The verb of this name, compared without case.
    #[must_use]
    pub fn verb(&self, name: &[u8]) -> Option<&AddedVerb> {
        let mut verbs = self.verbs.iter();
        verbs.find(|own| own.name.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Keywords of the session's own that the client was not told of: what belongs to them is refused.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Withdrawn(u16);

impl Withdrawn {
    pub(super) fn add(&mut self, word: &[u8]) {
        if let Some(place) = place(word) {
            self.0 |= 1 << place;
        }
    }

    pub(super) fn has(self, word: &str) -> bool {
        self.0 != 0 && place(word.as_bytes()).is_some_and(|place| self.0 & (1 << place) != 0)
    }

    /// Whether one of these parameters belongs to a keyword that was withdrawn.
    pub(super) fn covers(self, parameters: &[RawParameter]) -> bool {
        self.0 != 0
            && parameters
                .iter()
                .any(|one| extension_of(one).is_some_and(|keyword| self.has(keyword)))
    }
}

/// The keyword that a parameter of MAIL or RCPT belongs to.
fn extension_of(parameter: &RawParameter) -> Option<&'static str> {
    let is_binary = || {
        let value = parameter.value.as_deref().unwrap_or_default();
        value.eq_ignore_ascii_case(b"BINARYMIME")
    };
    Some(match parameter.keyword.to_ascii_uppercase().as_slice() {
        b"SIZE" => "SIZE",
        b"BODY" if is_binary() => "BINARYMIME",
        b"BODY" => "8BITMIME",
        b"SMTPUTF8" => "SMTPUTF8",
        b"RET" | b"ENVID" | b"NOTIFY" | b"ORCPT" => "DSN",
        b"MT-PRIORITY" => "MT-PRIORITY",
        b"AUTH" => "AUTH",
        _ => return None,
    })
}
