//! The place of a RCPT in a pipelined group.

/// A RCPT's place among those that are sent to a binding in one go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// From 1.
    pub position: u32,
    /// How many there are.
    pub size: u32,
}

impl Place {
    /// It stands alone.
    pub const ALONE: Self = Self {
        position: 1,
        size: 1,
    };
}
