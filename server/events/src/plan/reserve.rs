//! The time that the chains of one reply need, so that none eats that of the chains still to come.

use std::time::Duration;

use super::{Member, Plan, Stage};
use crate::event::EventKind;

/// The longest that members take one after the other, where each begins when those that it waits for have ended.
pub(crate) fn longest<'a>(members: impl Iterator<Item = (&'a Member, bool)>) -> Duration {
    let mut ends: Vec<Duration> = Vec::new();
    for (member, counts) in members {
        let before = member
            .after
            .and_then(|after| ends.get(..=after))
            .and_then(|ends| ends.iter().max())
            .copied()
            .unwrap_or_default();
        ends.push(if counts {
            before.saturating_add(member.timeout)
        } else {
            before
        });
    }
    ends.into_iter().max().unwrap_or_default()
}

impl Stage {
    /// The longest that its chain takes by the time-outs of its bindings.
    #[must_use]
    pub fn longest(&self) -> Duration {
        longest(self.members.iter().map(|member| (member, true)))
    }
}

impl Plan {
    /// The time that the chains after this one need before the same reply can be sent. `verb`: of the command, at
    /// `inbound.command`. `implicit_tls`: the banner waits for the chain about the handshake too.
    #[must_use]
    pub fn reserve(
        &self,
        server: &str,
        event: EventKind,
        verb: &[u8],
        implicit_tls: bool,
    ) -> Duration {
        let of = |event| {
            let stage = self.stage(server, event);
            stage.map_or(Duration::ZERO, |stage| stage.longest())
        };
        let response = of(EventKind::InboundResponse);
        let typed = match event {
            EventKind::InboundCommand => typed_event(verb).map_or(Duration::ZERO, of),
            EventKind::InboundHeaders => of(EventKind::InboundMessage),
            EventKind::InboundConnect if implicit_tls => of(EventKind::InboundTls),
            _ => Duration::ZERO,
        };
        match event {
            EventKind::InboundResponse => Duration::ZERO,
            // After STARTTLS no reply waits for it.
            EventKind::InboundTls if !implicit_tls => Duration::ZERO,
            _ if event.scope() == postern_proto::v1::Scope::InboundSession => {
                typed.saturating_add(response)
            }
            _ => Duration::ZERO,
        }
    }
}

/// The event that a verb leads to.
fn typed_event(verb: &[u8]) -> Option<EventKind> {
    Some(match verb.to_ascii_uppercase().as_slice() {
        b"HELO" | b"EHLO" | b"LHLO" => EventKind::InboundHelo,
        b"AUTH" => EventKind::InboundAuth,
        b"MAIL" => EventKind::InboundMail,
        b"RCPT" => EventKind::InboundRcpt,
        b"DATA" | b"BDAT" => EventKind::InboundData,
        _ => return None,
    })
}
