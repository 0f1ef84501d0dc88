//! How a message is handled where verdicts and actions said other than the configuration, and who put it in.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::encoding::{Reader, Writer};
use crate::next_hop::NextHop;
use crate::{DecodeError, MessageId, RecipientId};

/// How one message is handled, where that is not as configured. It is kept with the message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Handling {
    /// Where recipients go that were sent another way, in the order in which to try.
    pub next_hops: BTreeMap<RecipientId, Vec<NextHop>>,
    /// Its routing class, where a verdict set one.
    pub routing_class: Option<String>,
    /// When it expires, from acceptance.
    pub lifetime: Option<Duration>,
    /// When its sender is warned, from acceptance.
    pub warn_after: Option<Duration>,
}

impl Handling {
    /// It is handled as configured.
    #[must_use]
    pub fn is_as_configured(&self) -> bool {
        let Self {
            next_hops,
            routing_class,
            lifetime,
            warn_after,
        } = self;
        next_hops.is_empty()
            && routing_class.is_none()
            && lifetime.is_none()
            && warn_after.is_none()
    }

    /// Where a recipient goes that was sent another way; empty: as configured.
    #[must_use]
    pub fn hops(&self, recipient: RecipientId) -> &[NextHop] {
        self.next_hops.get(&recipient).map_or(&[], Vec::as_slice)
    }

    /// Forgets the way of recipients that are no more.
    pub fn keep_only(&mut self, is_there: impl Fn(RecipientId) -> bool) {
        self.next_hops.retain(|id, _| is_there(*id));
    }

    /// Writes it.
    pub(crate) fn encode(&self, out: &mut Writer) {
        // Most often all recipients go one way: each list of hops is written once.
        let mut ways: Vec<(&Vec<NextHop>, Vec<RecipientId>)> = Vec::new();
        for (id, hops) in &self.next_hops {
            match ways.iter_mut().find(|(known, _)| *known == hops) {
                Some((_, ids)) => ids.push(*id),
                None => ways.push((hops, vec![*id])),
            }
        }
        out.number(ways.len() as u64);
        for (hops, ids) in ways {
            out.number(hops.len() as u64);
            hops.iter().for_each(|hop| hop.encode(out));
            out.number(ids.len() as u64);
            ids.iter().for_each(|id| out.raw(id.as_bytes()));
        }
        out.option(self.routing_class.as_deref(), Writer::text);
        out.option(self.lifetime, Writer::span);
        out.option(self.warn_after, Writer::span);
    }

    /// Reads it.
    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        let mut next_hops = BTreeMap::new();
        for _ in 0..reader.count()? {
            let hops = (0..reader.count()?).map(|_| NextHop::decode(reader));
            let hops: Vec<NextHop> = hops.collect::<Result<_, _>>()?;
            for _ in 0..reader.count()? {
                next_hops.insert(RecipientId::from_bytes(reader.id()?), hops.clone());
            }
        }
        Ok(Self {
            next_hops,
            routing_class: reader.option(Reader::text)?,
            lifetime: reader.option(Reader::span)?,
            warn_after: reader.option(Reader::span)?,
        })
    }
}

/// Who put a message in that no session brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Injected {
    /// The sink.
    pub sink: String,
    /// Its binding.
    pub binding: String,
    /// How many injections led to it, from 1.
    pub depth: u8,
    /// The message that caused it.
    pub parent: Option<MessageId>,
}

impl Injected {
    pub(crate) fn encode(&self, out: &mut Writer) {
        out.text(&self.sink);
        out.text(&self.binding);
        out.octet(self.depth);
        out.option(self.parent, |out, parent| out.raw(parent.as_bytes()));
    }

    pub(crate) fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        Ok(Self {
            sink: reader.text()?,
            binding: reader.text()?,
            depth: reader.octet()?,
            parent: reader.option(|reader| reader.id().map(MessageId::from_bytes))?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_was_ordered_comes_back() {
        let [a, b, c] = [RecipientId::new(), RecipientId::new(), RecipientId::new()];
        let mut far = NextHop::to("smtp://far.test:2525");
        far.name = "far".to_owned();
        far.tls = crate::next_hop::TlsPolicy::Verify;
        far.connect_timeout = Some(Duration::from_secs(3));
        let handling = Handling {
            next_hops: BTreeMap::from([
                (a, vec![NextHop::to("mx"), far.clone()]),
                (b, vec![NextHop::to("local")]),
                (c, vec![NextHop::to("mx"), far]),
            ]),
            routing_class: Some("slow".to_owned()),
            lifetime: Some(Duration::from_secs(3600)),
            warn_after: None,
        };
        for own in [handling, Handling::default()] {
            let mut out = Writer::new();
            own.encode(&mut out);
            let mut reader = Reader::new(out.into_bytes().into());
            assert_eq!(Handling::decode(&mut reader).unwrap(), own);
            assert!(reader.is_at_end());
        }
    }

    #[test]
    fn who_goes_no_more_is_forgotten() {
        let [a, b] = [RecipientId::new(), RecipientId::new()];
        let hops = vec![NextHop::to("mx")];
        let mut handling = Handling {
            next_hops: BTreeMap::from([(a, hops.clone()), (b, hops)]),
            ..Handling::default()
        };
        handling.keep_only(|id| id == a);
        assert_eq!(handling.hops(a).len(), 1);
        assert!(handling.hops(b).is_empty() && !handling.is_as_configured());
    }
}
