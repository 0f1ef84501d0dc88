//! Why a message keeps its octets.

/// Why a message is left as it is. Its text goes into the trace, its code into metrics and properties.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A change would break the signature of its text (S/MIME, PGP).
    #[error("its text is signed")]
    Signed,
    /// Its text cannot be read.
    #[error("it is encrypted")]
    Encrypted,
    /// It has a DKIM signature, which a change would break.
    #[error("it has a DKIM signature, which a change would break (property \"dkim\")")]
    Dkim,
    /// It is a report of a mail system (RFC 6522).
    #[error("it is a report of a mail system")]
    Report,
    /// It has no text of its own: only files, calendars, other messages.
    #[error("it has no text of its own")]
    NoText,
    /// Its body is larger than the operator's limit.
    #[error("it is larger than {0} octets")]
    TooLarge(u64),
    /// Its structure can be read in more than one way.
    #[error("its structure is not certain: {0}")]
    Structure(&'static str),
    /// Two readers of MIME see different structures.
    #[error("two readers of MIME differ on it: {0}")]
    Readers(&'static str),
    /// A field cannot be written again.
    #[error("the field {0} cannot be written anew")]
    Field(&'static str),
    /// Its text does not keep to its charset.
    #[error("its text is not in {0}, as its label says")]
    Label(String),
    /// Its charset is not one that is edited here.
    #[error("texts in the charset {0} are not edited")]
    Charset(String),
    /// Its transfer encoding is unknown, or its octets do not keep to it.
    #[error("its transfer encoding is not certain: {0}")]
    Transfer(&'static str),
    /// The end or the beginning of its HTML cannot be found.
    #[error("the place in its HTML is not certain: {0}")]
    Html(&'static str),
    /// The change is larger than the gateway takes.
    #[error("the change would be over a limit of the gateway: {0}")]
    Limits(&'static str),
    /// The binding may not do what the change needs.
    #[error("the binding's \"may\" lacks {0}")]
    Grant(String),
    /// The binding is not shown what has to be known.
    #[error("the binding does not show {0}")]
    NotShown(String),
    /// The settings of the binding cannot be used.
    #[error("the settings of the binding cannot be used: {0}")]
    Settings(String),
    /// The gateway would not take the verdict.
    #[error("the gateway would not take the change: {0}")]
    Refused(String),
    /// The operator exempts it.
    #[error("it is exempt: {0}")]
    Exempt(String),
    /// None of the operator's texts is for it.
    #[error("none of the configured texts is for it")]
    NoTextFits,
    /// It belongs to a thread that has begun already.
    #[error("it continues a thread (property \"repeat\")")]
    Continued,
    /// It quotes the text already.
    #[error("it has the text already (property \"repeat\")")]
    Quoted,
    /// A placeholder has no value for it.
    #[error("the placeholder ${{{0}}} has no value for it")]
    Placeholder(String),
    /// The edit itself panicked.
    #[error("the edit failed on it, which is a bug of this sink")]
    Bug,
    /// The edited message did not read as it should.
    #[error("the edited message does not read as it should: {0}")]
    Check(&'static str),
}

impl Reason {
    /// The operator can do something about it, and does not hear of it otherwise.
    #[must_use]
    pub fn is_for_the_operator(&self) -> bool {
        matches!(
            self,
            Self::Settings(_) | Self::Grant(_) | Self::NotShown(_) | Self::Refused(_) | Self::Bug
        )
    }

    /// A code for metrics, `[a-z-]+`.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Signed => "signed",
            Self::Encrypted => "encrypted",
            Self::Dkim => "dkim",
            Self::Report => "report",
            Self::NoText => "no-text",
            Self::TooLarge(_) => "too-large",
            Self::Structure(_) => "structure",
            Self::Readers(_) => "readers-differ",
            Self::Field(_) => "field",
            Self::Label(_) => "label",
            Self::Charset(_) => "charset",
            Self::Transfer(_) => "transfer-encoding",
            Self::Html(_) => "html",
            Self::Limits(_) => "limits",
            Self::Grant(_) => "grant",
            Self::NotShown(_) => "not-shown",
            Self::Settings(_) => "settings",
            Self::Refused(_) => "refused",
            Self::Exempt(_) => "exempt",
            Self::NoTextFits => "no-text-fits",
            Self::Continued => "thread",
            Self::Quoted => "quoted",
            Self::Placeholder(_) => "placeholder",
            Self::Bug => "bug",
            Self::Check(_) => "check",
        }
    }
}
