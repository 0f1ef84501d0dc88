//! `inbound.auth`: a step of an AUTH exchange (RFC 4954).

use std::borrow::Cow;

use bytes::Bytes;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::AuthAnswer;
use crate::context::{CommandLine, InboundContext};
use crate::event::EventKind;
use crate::question::Event;
use crate::wire::{self, View};

/// A step of an AUTH exchange. Only bindings that read `credentials` see what the client sent.
#[derive(Clone, Debug, Default)]
pub struct Auth {
    /// The line of this step.
    pub command: CommandLine,
    /// The mechanism, upper case.
    pub mechanism: Bytes,
    /// The client's response of this step, decoded. `None`: it sent none.
    pub response: Option<Bytes>,
    /// Number of the step, from 1.
    pub step: u32,
}

impl Event for Auth {
    const KIND: EventKind = EventKind::InboundAuth;
    type Context = InboundContext;
    type Answer = AuthAnswer;

    fn body(&self, _: &InboundContext, _: Option<&AuthAnswer>, view: &View<'_>) -> Kind {
        let shown = view.reads.credentials;
        Kind::InboundAuth(pb::InboundAuth {
            command: Some(wire::command(&self.command, shown)),
            mechanism: self.mechanism.clone(),
            response: self.response.clone().filter(|_| shown),
            step: self.step,
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.mechanism)
    }
}
