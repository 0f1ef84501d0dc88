//! What a sink wants of an instance: all that its binding says, less what `Ready` and `Done` take away.

use std::collections::VecDeque;

use postern_proto::v1 as pb;

use crate::binding::WireBinding;
use crate::depth::BodyDepth;

/// Messages and transactions that are remembered as told, to tell a late `Done` from a wrong one.
const REMEMBERED: usize = 1024;

/// The id of a message or a transaction.
pub type MessageId = [u8; 16];

/// Whether `Ready` may still come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Narrowing {
    #[default]
    Possible,
    Done,
    TooLate,
}

/// What the sink wants.
#[derive(Debug, Default)]
pub(crate) struct Interest {
    narrowing: Narrowing,
    /// Events that `Ready` left, with their depths. `None`: all of the binding's.
    left: Option<Vec<(i32, Option<BodyDepth>)>>,
    told: VecDeque<MessageId>,
    done_with: VecDeque<MessageId>,
}

impl Interest {
    /// The instance is told of this message or transaction.
    pub(crate) fn tell(&mut self, message: MessageId) {
        if self.told.contains(&message) {
            return;
        }
        if self.told.len() == REMEMBERED {
            self.told.pop_front();
        }
        self.told.push_back(message);
    }

    /// The sink wants this event, about this message.
    pub(crate) fn wants(&self, event: i32, message: Option<MessageId>) -> bool {
        let of_message = message.is_none_or(|message| !self.done_with.contains(&message));
        let of_kind = self
            .left
            .as_ref()
            .is_none_or(|left| left.iter().any(|(one, _)| *one == event));
        of_message && of_kind
    }

    /// The binding's own depth at an event, as the sink narrowed it.
    pub(crate) fn depth(&self, event: i32, own: BodyDepth) -> Option<BodyDepth> {
        let left = self
            .left
            .as_ref()
            .and_then(|left| left.iter().find(|(one, _)| *one == event));
        match left {
            None => Some(own),
            Some((_, Some(narrowed))) if !own.covers(*narrowed) => Some(own),
            Some((_, narrowed)) => *narrowed,
        }
    }

    /// The sink has answered an event: `Ready` comes too late from now on.
    pub(crate) fn answered(&mut self) {
        if self.narrowing == Narrowing::Possible {
            self.narrowing = Narrowing::TooLate;
        }
    }

    /// The sink narrows what it wants.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing has changed then.
    pub(crate) fn ready(&mut self, ready: &pb::Ready, binding: &WireBinding) -> Result<(), String> {
        match self.narrowing {
            Narrowing::Possible => {}
            Narrowing::Done => return Err("a second Ready; it comes once".to_owned()),
            Narrowing::TooLate => {
                return Err("Ready after a verdict; it comes before the first".to_owned());
            }
        }
        let mut left = Vec::with_capacity(ready.events.len().min(64));
        for interest in &ready.events {
            let (event, depth) = narrowed(interest, binding)?;
            if left.iter().any(|(one, _)| *one == event) {
                return Err(format!("Ready names event {event} twice"));
            }
            left.push((event, depth));
        }
        self.narrowing = Narrowing::Done;
        self.left = (!left.is_empty()).then_some(left);
        Ok(())
    }

    /// The sink is done with a message or a transaction.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn done_with(&mut self, message: &[u8]) -> Result<MessageId, String> {
        let Ok(message) = MessageId::try_from(message) else {
            return Err(format!(
                "Done with a message_id of {} octets; it has 16",
                message.len()
            ));
        };
        if !self.told.contains(&message) {
            return Err("Done with a message that the instance was never told of".to_owned());
        }
        if !self.done_with.contains(&message) {
            if self.done_with.len() == REMEMBERED {
                self.done_with.pop_front();
            }
            self.done_with.push_back(message);
        }
        Ok(message)
    }
}

fn narrowed(
    interest: &pb::EventInterest,
    binding: &WireBinding,
) -> Result<(i32, Option<BodyDepth>), String> {
    let event = interest.event;
    let Some(own) = binding.interest(event) else {
        return Err(format!(
            "Ready names event {event}, which is not one of the binding's"
        ));
    };
    if interest.ask != pb::AskMode::Unspecified as i32 && interest.ask != own.ask {
        return Err(format!("Ready changes the ask mode of event {event}"));
    }
    let Some(wanted) = &interest.body else {
        return Ok((event, own.depth));
    };
    let wanted = BodyDepth::from_wire(wanted).map_err(|wrong| format!("Ready names {wrong}"))?;
    match (own.depth, wanted) {
        (_, None) => Ok((event, None)),
        (Some(own), Some(wanted)) if own.covers(wanted) => Ok((event, Some(wanted))),
        _ => Err(format!(
            "Ready names a depth for event {event} that is wider than the binding's"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use postern_proto::v1::EventKind as Wire;

    fn interest(event: Wire, depth: Option<BodyDepth>, ask: pb::AskMode) -> pb::EventInterest {
        pb::EventInterest {
            event: event.into(),
            body: depth.map(BodyDepth::to_wire),
            ask: ask.into(),
        }
    }

    fn binding() -> WireBinding {
        WireBinding::new(
            1,
            &pb::Binding {
                events: vec![
                    interest(Wire::InboundConnect, None, pb::AskMode::AtRcpt),
                    interest(Wire::InboundRcpt, None, pb::AskMode::Unspecified),
                    interest(
                        Wire::InboundMessage,
                        Some(BodyDepth::Prefix(100)),
                        pb::AskMode::AtOnce,
                    ),
                ],
                ..pb::Binding::default()
            },
        )
    }

    fn ready(events: Vec<pb::EventInterest>) -> pb::Ready {
        pb::Ready { events }
    }

    const MESSAGE: i32 = Wire::InboundMessage as i32;
    const RCPT: i32 = Wire::InboundRcpt as i32;

    #[test]
    fn ready_leaves_what_it_names() {
        let mut wants = Interest::default();
        assert!(wants.wants(RCPT, None) && wants.wants(MESSAGE, None));
        let message = interest(
            Wire::InboundMessage,
            Some(BodyDepth::Prefix(10)),
            pb::AskMode::Unspecified,
        );
        assert_eq!(wants.ready(&ready(vec![message]), &binding()), Ok(()));
        assert!(!wants.wants(RCPT, None) && wants.wants(MESSAGE, None));
        assert_eq!(
            wants.depth(MESSAGE, BodyDepth::Prefix(100)),
            Some(BodyDepth::Prefix(10))
        );
    }

    #[test]
    fn ready_without_events_narrows_nothing_and_counts_as_the_one() {
        let mut wants = Interest::default();
        assert_eq!(wants.ready(&ready(vec![]), &binding()), Ok(()));
        assert!(wants.wants(RCPT, None));
        assert_eq!(
            wants.depth(MESSAGE, BodyDepth::Prefix(100)),
            Some(BodyDepth::Prefix(100))
        );
        assert!(wants.ready(&ready(vec![]), &binding()).is_err());
    }

    #[test]
    fn a_depth_that_is_left_out_is_the_bindings_and_nothing_is_none() {
        let mut wants = Interest::default();
        let own = interest(Wire::InboundMessage, None, pb::AskMode::AtOnce);
        assert_eq!(wants.ready(&ready(vec![own]), &binding()), Ok(()));
        assert_eq!(
            wants.depth(MESSAGE, BodyDepth::Prefix(100)),
            Some(BodyDepth::Prefix(100))
        );
        let mut wants = Interest::default();
        let mut none = interest(Wire::InboundMessage, None, pb::AskMode::AtOnce);
        none.body = Some(pb::BodyDepth {
            kind: Some(pb::body_depth::Kind::Nothing(pb::NoContent {})),
        });
        assert_eq!(wants.ready(&ready(vec![none]), &binding()), Ok(()));
        assert_eq!(wants.depth(MESSAGE, BodyDepth::Prefix(100)), None);
        assert_eq!(
            wants.depth(RCPT, BodyDepth::Headers),
            Some(BodyDepth::Headers)
        );
    }

    #[test]
    fn v17_ready_that_is_wrong_is_refused() {
        let at_once = pb::AskMode::AtOnce;
        let unknown = pb::EventInterest {
            event: 999,
            ..pb::EventInterest::default()
        };
        let wrong = [
            vec![unknown],
            vec![interest(Wire::InboundMail, None, at_once)],
            vec![interest(Wire::InboundConnect, None, at_once)],
            vec![interest(
                Wire::InboundMessage,
                Some(BodyDepth::Prefix(101)),
                at_once,
            )],
            vec![interest(
                Wire::InboundMessage,
                Some(BodyDepth::Prefix(0)),
                at_once,
            )],
            vec![interest(
                Wire::InboundMessage,
                Some(BodyDepth::Full),
                at_once,
            )],
            vec![interest(
                Wire::InboundRcpt,
                Some(BodyDepth::Headers),
                pb::AskMode::Unspecified,
            )],
            vec![interest(Wire::InboundMessage, None, at_once); 2],
        ];
        for events in wrong {
            let mut wants = Interest::default();
            assert!(
                wants.ready(&ready(events.clone()), &binding()).is_err(),
                "{events:?}"
            );
            assert!(wants.wants(RCPT, None), "nothing has changed");
        }
        let mut wants = Interest::default();
        wants.answered();
        assert!(wants.ready(&ready(vec![]), &binding()).is_err());
    }

    #[test]
    fn a_verdict_after_ready_does_not_change_what_a_second_ready_is() {
        let mut wants = Interest::default();
        assert_eq!(wants.ready(&ready(vec![]), &binding()), Ok(()));
        wants.answered();
        let second = wants.ready(&ready(vec![]), &binding());
        assert!(second.is_err_and(|wrong| wrong.contains("second")));
    }

    #[test]
    fn v17_done_names_a_message_that_was_told() {
        let mut wants = Interest::default();
        wants.tell([1; 16]);
        wants.tell([2; 16]);
        assert!(wants.done_with(&[1; 15]).is_err());
        assert!(wants.done_with(&[]).is_err());
        assert!(wants.done_with(&[3; 16]).is_err());
        assert_eq!(wants.done_with(&[1; 16]), Ok([1; 16]));
        assert_eq!(wants.done_with(&[1; 16]), Ok([1; 16]));
        assert!(!wants.wants(RCPT, Some([1; 16])));
        assert!(wants.wants(RCPT, Some([2; 16])));
        assert!(wants.wants(RCPT, None));
        assert_eq!(wants.done_with.len(), 1);
    }

    #[test]
    fn memory_of_messages_is_bounded() {
        let mut wants = Interest::default();
        for n in 0..(REMEMBERED as u128 + 5) {
            wants.tell(n.to_be_bytes());
            wants.tell(n.to_be_bytes());
            assert_eq!(wants.done_with(&n.to_be_bytes()), Ok(n.to_be_bytes()));
        }
        assert_eq!(wants.told.len(), REMEMBERED);
        assert_eq!(wants.done_with.len(), REMEMBERED);
        assert!(wants.done_with(&4u128.to_be_bytes()).is_err());
        assert!(wants.done_with(&5u128.to_be_bytes()).is_ok());
    }
}
