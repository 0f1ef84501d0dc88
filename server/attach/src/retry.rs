//! Whether a question that failed may be asked again.

/// Whether, and under which condition, the event of a failed question may be asked once more, elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// The failure stands.
    Never,
    /// The sink may have acted on it: only if asking has no side effects, or the sink says that it is repeatable.
    Harmless,
    /// The sink has not acted on it: it never got the question, or declined it.
    Always,
}

impl Retry {
    /// Returns whether a sink to which being asked twice is `harmless` or not may be asked again.
    #[must_use]
    pub const fn allows(self, harmless: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Harmless => harmless,
            Self::Always => true,
        }
    }
}
