//! `transport.max_size`: a size limit would refuse the message.

use std::borrow::Cow;

use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::context::Context;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::Event;
use crate::wire::View;

/// A message that is over a size limit: in transport, or in an inbound session before its 552.
#[derive(Clone, Copy, Debug, Default)]
pub struct MaxSize {
    /// Octets that it has, or that MAIL declared.
    pub size_bytes: u64,
    /// The limit.
    pub limit_bytes: u64,
    /// It is only declared; no content was read yet.
    pub declared_only: bool,
}

impl Event for MaxSize {
    const KIND: EventKind = EventKind::TransportMaxSize;
    type Context = Context;
    type Answer = SizeAnswer;

    fn body(&self, _: &Context, _: Option<&SizeAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportMaxSize(pb::TransportMaxSize {
            size_bytes: self.size_bytes,
            limit_bytes: self.limit_bytes,
            declared_only: self.declared_only,
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &Context,
        _: Option<&SizeAnswer>,
    ) -> Option<AttributeValue> {
        Some(match attribute {
            Attribute::MaxSizeSize => AttributeValue::count(self.size_bytes),
            Attribute::MaxSizeLimit => AttributeValue::count(self.limit_bytes),
            Attribute::MaxSizeDeclaredOnly => AttributeValue::Bool(self.declared_only),
            _ => return None,
        })
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Owned(format!("{} over {}", self.size_bytes, self.limit_bytes))
    }
}

/// Whether a size limit is imposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SizeAnswer {
    /// Refuse the message, as the service would.
    Impose,
    /// Let this message pass.
    Waive,
}

impl TypedAnswer for SizeAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Size);

    fn check(answer: AnswerBody, _: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Size(own) = answer else {
            return Err(not_the_answer());
        };
        match pb::SizeRuling::try_from(own.ruling) {
            Ok(pb::SizeRuling::Impose) => Ok(Self::Impose),
            Ok(pb::SizeRuling::Waive) => Ok(Self::Waive),
            Ok(pb::SizeRuling::Unspecified) | Err(_) => Err(Fault::protocol(
                "the ruling on the size is unset or unknown",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn it_is_asked_in_transport_and_in_an_inbound_session() {
        let event = MaxSize {
            size_bytes: 2000,
            limit_bytes: 1000,
            declared_only: true,
        };
        let contexts: [Context; 2] = [samples::message().into(), samples::inbound().into()];
        for context in &contexts {
            assert_eq!(
                samples::body(event, None, context),
                Kind::TransportMaxSize(pb::TransportMaxSize {
                    size_bytes: 2000,
                    limit_bytes: 1000,
                    declared_only: true,
                })
            );
            for (attribute, value) in [
                (Attribute::MaxSizeSize, AttributeValue::Int(2000)),
                (Attribute::MaxSizeLimit, AttributeValue::Int(1000)),
                (Attribute::MaxSizeDeclaredOnly, AttributeValue::Bool(true)),
            ] {
                assert_eq!(samples::attribute(&event, attribute, None, context), value);
            }
        }
    }

    #[test]
    fn each_ruling_is_known_and_needs_its_grant() {
        let context = samples::message().into();
        let of = |ruling: i32, may: &[&str]| {
            let answer = AnswerBody::Size(pb::SizeAnswer { ruling });
            samples::answered(MaxSize::default(), &context, may, answer)
        };
        let (impose, waive) = (pb::SizeRuling::Impose.into(), pb::SizeRuling::Waive.into());
        assert_eq!(of(impose, &["size"]), Ok(SizeAnswer::Impose));
        assert_eq!(of(waive, &["size"]), Ok(SizeAnswer::Waive));
        assert!(of(waive, &[]).is_err());
        for unknown in [0, 99] {
            assert!(of(unknown, &["size"]).is_err(), "{unknown}");
        }
    }

    #[test]
    fn of_two_answers_the_last_counts() {
        let both = SizeAnswer::Waive.then(SizeAnswer::Impose);
        assert_eq!(both, SizeAnswer::Impose);
    }
}
