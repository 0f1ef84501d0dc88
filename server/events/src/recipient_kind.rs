//! What kind of recipient an address is.

use postern_proto::v1 as pb;

use crate::fault::Fault;

/// What kind of recipient an address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RecipientKind {
    /// In an answer: as the service would say. In an event: not known before it is looked up.
    #[default]
    Unspecified,
    /// One of this service's own.
    Hosted,
    /// Somebody else's, and this client may send there.
    Relayed,
    /// Somebody else's, and this client may not.
    Forbidden,
    /// In one of this service's own domains, and unknown there.
    Unknown,
}

impl RecipientKind {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Hosted => "hosted",
            Self::Relayed => "relayed",
            Self::Forbidden => "forbidden",
            Self::Unknown => "unknown",
        }
    }
}

impl RecipientKind {
    /// The kind that an answer says. One that is not to be taken is refused, not answered for.
    pub(crate) fn answered(kind: i32) -> Result<Self, Fault> {
        match pb::RecipientKind::try_from(kind) {
            Ok(pb::RecipientKind::Unspecified) => Ok(Self::Unspecified),
            Ok(pb::RecipientKind::Hosted) => Ok(Self::Hosted),
            Ok(pb::RecipientKind::Relayed) => Ok(Self::Relayed),
            Ok(pb::RecipientKind::Forbidden | pb::RecipientKind::Unknown) => Err(Fault::protocol(
                "a recipient that is not to be taken is refused, not answered for",
            )),
            Err(_) => Err(Fault::protocol("the kind of recipient is unknown")),
        }
    }
}
