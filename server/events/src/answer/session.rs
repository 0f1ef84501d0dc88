//! Answers about who is let in: recipients and authentication.

use bytes::Bytes;

use crate::route::NextHop;

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

/// What a recipient is. It takes the place of the service's own check of domain, relay permission and recipient list,
/// and of nothing else: every other binding can still refuse.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RcptAnswer {
    /// Hosted, relayed, or as the service would say.
    pub recipient_kind: RecipientKind,
    /// Where it goes. `None`: as configured.
    pub next_hop: Option<NextHop>,
    /// The tenant that it belongs to. Empty: unchanged.
    pub tenant: String,
}

impl RcptAnswer {
    /// What a later answer does not say stays.
    pub(crate) fn then(self, later: Self) -> Self {
        Self {
            recipient_kind: match later.recipient_kind {
                RecipientKind::Unspecified => self.recipient_kind,
                kind => kind,
            },
            next_hop: later.next_hop.or(self.next_hop),
            tenant: if later.tenant.is_empty() {
                self.tenant
            } else {
                later.tenant
            },
        }
    }
}

/// A step of an AUTH exchange (RFC 4954).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthAnswer {
    /// Ask the client for more: a 334 with this, before base64.
    Challenge(Bytes),
    /// The client is who it says.
    Success(AuthSuccess),
    /// The mechanisms that EHLO is to offer, upper case, in order of preference.
    Mechanisms(Vec<Bytes>),
}

impl AuthAnswer {
    /// Mechanisms of several sinks add up; of a step the last answer counts.
    pub(crate) fn then(self, later: Self) -> Self {
        match (self, later) {
            (Self::Mechanisms(mut own), Self::Mechanisms(later)) => {
                for name in later {
                    if !own.contains(&name) {
                        own.push(name);
                    }
                }
                Self::Mechanisms(own)
            }
            (_, later) => later,
        }
    }
}

/// A 235 to the client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthSuccess {
    /// The authenticated identity.
    pub identity: Bytes,
    /// The identity that it acts for; empty where it is the same.
    pub authorization_identity: Bytes,
    /// It may relay.
    pub may_relay: bool,
    /// The tenant that the session belongs to; empty where there is none.
    pub tenant: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_on_a_recipient_counts_and_silence_changes_nothing() {
        let first = RcptAnswer {
            recipient_kind: RecipientKind::Hosted,
            next_hop: Some(NextHop::to("lmtp://a")),
            tenant: "a".to_owned(),
        };
        let tenant = RcptAnswer {
            tenant: "b".to_owned(),
            ..RcptAnswer::default()
        };
        let both = first.clone().then(tenant);
        assert_eq!(both.recipient_kind, RecipientKind::Hosted);
        assert_eq!((both.tenant.as_str(), both.next_hop), ("b", first.next_hop));
        let relayed = RcptAnswer {
            recipient_kind: RecipientKind::Relayed,
            ..RcptAnswer::default()
        };
        let both = RcptAnswer::default().then(relayed);
        assert_eq!(both.recipient_kind, RecipientKind::Relayed);
    }

    #[test]
    fn mechanisms_add_up_and_steps_do_not() {
        let names = |names: &[&'static str]| {
            AuthAnswer::Mechanisms(
                names
                    .iter()
                    .map(|name| Bytes::from_static(name.as_bytes()))
                    .collect(),
            )
        };
        assert_eq!(
            names(&["PLAIN"]).then(names(&["LOGIN", "PLAIN"])),
            names(&["PLAIN", "LOGIN"])
        );
        let step = AuthAnswer::Challenge(Bytes::new());
        let success = AuthAnswer::Success(AuthSuccess::default());
        assert_eq!(step.then(success.clone()), success);
    }
}
