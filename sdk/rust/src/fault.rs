//! Why a handler has no verdict.

use std::error::Error;
use std::fmt;

use crate::v1::{self, FaultKind};

/// The longest detail that the protocol takes, in octets.
const DETAIL_MAX: usize = 4096;

/// A failure of the sink. The binding's failure policy decides what it means for the client.
///
/// Any error becomes one by `?`, as [`FaultKind::SinkError`]; therefore it is no [`Error`] itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Fault {
    kind: FaultKind,
    detail: String,
}

impl Fault {
    /// An error in the sink. `detail` is for the operator; no client reads it.
    pub fn error(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::SinkError, detail)
    }

    /// The sink has too much to do; another replica may do better.
    pub fn overload(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Overload, detail)
    }

    /// Something that the sink depends on is not there.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Unavailable, detail)
    }

    /// The sink cannot work with its properties.
    pub fn properties(detail: impl Into<String>) -> Self {
        Self::new(FaultKind::Properties, detail)
    }

    pub(crate) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        let mut end = detail.len().min(DETAIL_MAX);
        while !detail.is_char_boundary(end) {
            end -= 1;
        }
        detail.truncate(end);
        Self { kind, detail }
    }

    /// Which way the sink failed.
    pub fn kind(&self) -> FaultKind {
        self.kind
    }

    /// What the operator is told.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    pub(crate) fn into_proto(self, event_id: u64) -> v1::Fault {
        v1::Fault {
            event_id,
            kind: self.kind.into(),
            detail: self.detail,
        }
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.detail)
    }
}

impl<E: Error> From<E> for Fault {
    fn from(error: E) -> Self {
        let mut detail = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            detail.push_str(": ");
            detail.push_str(&error.to_string());
            cause = error.source();
        }
        Self::error(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_becomes_a_fault_with_its_causes() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot ask the list")]
        struct Outer(#[from] std::io::Error);

        let fault = Fault::from(Outer(std::io::Error::other("no route")));
        assert_eq!(fault.detail(), "cannot ask the list: no route");
        assert_eq!(fault.kind(), FaultKind::SinkError);
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let fault = Fault::error("é".repeat(4000));
        assert_eq!(fault.detail().len(), DETAIL_MAX);
    }
}
