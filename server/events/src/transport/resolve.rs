//! `transport.resolve`: addresses are needed for a name.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use postern_proto::rules::AnswerKind;
use postern_proto::v1 as pb;
use postern_proto::v1::event::Kind;

use super::route::RouteAnswer;
use crate::answer::{AnswerBody, Checks, TypedAnswer, not_the_answer};
use crate::attributes::{Attribute, AttributeValue};
use crate::check::{duration, limit};
use crate::context::DestinationContext;
use crate::event::EventKind;
use crate::fault::Fault;
use crate::question::Event;
use crate::wire::View;

/// A name whose addresses are needed: that of its context.
#[derive(Clone, Copy, Debug, Default)]
pub struct Resolve {
    /// Mail exchangers are wanted, not the addresses of a host.
    pub mail_exchangers: bool,
}

impl Event for Resolve {
    const KIND: EventKind = EventKind::TransportResolve;
    type Context = DestinationContext;
    type Answer = ResolveAnswer;

    fn body(&self, context: &DestinationContext, _: Option<&ResolveAnswer>, _: &View<'_>) -> Kind {
        Kind::TransportResolve(pb::TransportResolve {
            name: Bytes::copy_from_slice(context.domain.as_bytes()),
            mail_exchangers: self.mail_exchangers,
        })
    }

    fn attribute(
        &self,
        attribute: Attribute,
        _: &DestinationContext,
        _: Option<&ResolveAnswer>,
    ) -> Option<AttributeValue> {
        match attribute {
            Attribute::DestinationMailExchangers => {
                Some(AttributeValue::Bool(self.mail_exchangers))
            }
            _ => None,
        }
    }

    fn detail(&self) -> Cow<'_, str> {
        Cow::Borrowed(if self.mail_exchangers {
            "MX"
        } else {
            "address"
        })
    }
}

/// Addresses for a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolveAnswer {
    /// In the order in which to try. Empty: the name does not exist.
    pub hosts: Vec<ResolvedHost>,
    /// How long it may be kept. `None`: it is used once.
    pub lifetime: Option<Duration>,
}

/// One host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedHost {
    /// Its name, for TLS and the log.
    pub name: Bytes,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Its port. 0: the scheme's own.
    pub port: u16,
    /// Lower first; equal ones in random order.
    pub preference: u16,
}

impl TypedAnswer for ResolveAnswer {
    const KIND: Option<AnswerKind> = Some(AnswerKind::Resolve);

    fn check(answer: AnswerBody, _: &mut dyn Checks) -> Result<Self, Fault> {
        let AnswerBody::Resolve(own) = answer else {
            return Err(not_the_answer());
        };
        limit("hosts", own.hosts.len(), 100)?;
        let lifetime = own.lifetime.as_ref();
        let lifetime = lifetime
            .map(|time| duration(time, "the lifetime"))
            .transpose()?;
        if lifetime.is_some_and(|time| time > RouteAnswer::MAX_LIFETIME) {
            return Err(Fault::protocol("the lifetime is over a day"));
        }
        let hosts = own.hosts.into_iter().map(|host| {
            let name = &host.name;
            if name.len() > 255 || !name.iter().all(u8::is_ascii_graphic) {
                return Err(Fault::protocol("a host has no such name"));
            }
            limit("addresses of a host", host.addresses.len(), 64)?;
            let addresses = host.addresses.iter().map(|text| {
                text.parse::<IpAddr>()
                    .map_err(|_| Fault::protocol(format!("{text:?} is no address")))
            });
            let narrow = |value: u32, what: &str| {
                u16::try_from(value)
                    .map_err(|_| Fault::protocol(format!("the {what} of a host is out of range")))
            };
            Ok(ResolvedHost {
                addresses: addresses.collect::<Result<_, _>>()?,
                port: narrow(host.port, "port")?,
                preference: narrow(host.preference, "preference")?,
                name: host.name,
            })
        });
        Ok(ResolveAnswer {
            hosts: hosts.collect::<Result<_, _>>()?,
            lifetime,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_name_is_that_of_the_destination() {
        let event = Resolve {
            mail_exchangers: true,
        };
        let context = samples::destination().into();
        assert_eq!(
            samples::body(event, None, &context),
            Kind::TransportResolve(pb::TransportResolve {
                name: Bytes::from_static(b"example.test"),
                mail_exchangers: true,
            })
        );
        assert_eq!(
            samples::attribute(&event, Attribute::DestinationMailExchangers, None, &context),
            AttributeValue::Bool(true)
        );
    }

    #[test]
    fn that_a_name_does_not_exist_is_an_answer() {
        let hosts = ResolveAnswer {
            hosts: vec![ResolvedHost::default()],
            lifetime: None,
        };
        assert!(hosts.then(ResolveAnswer::default()).hosts.is_empty());
    }
}
