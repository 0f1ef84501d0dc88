//! Answers about what recipients resolve to, and where their mail goes.

use std::net::IpAddr;

use postern_proto::v1 as pb;

use super::{MAX_ITEMS, kind_of_recipient};
use crate::answer::{
    Expanded, Expansion, ExpansionAnswer, Members, RecipientKind, ResolveAnswer, ResolvedHost,
    RouteAnswer,
};
use crate::fault::Fault;
use crate::validate::address::{forward_path, new_recipient, reverse_path};
use crate::validate::edit::Checker;
use crate::validate::order::next_hops;
use crate::validate::{duration, limit, recipient_id, reply};

pub(super) fn expansion(
    own: pb::ExpansionAnswer,
    checker: &Checker<'_, '_>,
) -> Result<ExpansionAnswer, Fault> {
    use pb::expansion::Kind;
    limit("expansions", own.expansions.len(), MAX_ITEMS)?;
    let asked = checker.asked;
    let utf8 = asked.utf8();
    let mut answer = ExpansionAnswer::default();
    for item in own.expansions {
        let recipient = if item.recipient_id.is_empty() {
            None
        } else {
            let id = recipient_id(&item.recipient_id)?;
            if !asked.knows(id) {
                return Err(Fault::protocol(format!(
                    "recipient {id} is none of those that were asked about"
                )));
            }
            Some(id)
        };
        let expanded = match item.kind {
            // Not known here.
            None => continue,
            Some(Kind::FinalAddress(own)) => {
                let address = &own.address;
                let address = (!address.is_empty()).then(|| forward_path(address, utf8));
                let recipient_kind = kind_of_recipient(own.recipient_kind)?;
                if recipient_kind == RecipientKind::Relayed {
                    checker.may("relay")?;
                }
                Expanded::Final {
                    address: address.transpose()?,
                    recipient_kind,
                }
            }
            Some(Kind::Members(own)) => Expanded::Members(members(own, utf8)?),
            Some(Kind::Unknown(own)) => {
                let reply = own.reply;
                let reply = reply.map(|reply| reply::of_class(reply, &[5], "unknown", asked));
                Expanded::Unknown(reply.transpose()?)
            }
        };
        let before = answer
            .expansions
            .iter_mut()
            .find(|before| before.recipient == recipient);
        match (before.map(|before| &mut before.expanded), expanded) {
            // Several with the members of one recipient add up.
            (Some(Expanded::Members(before)), Expanded::Members(more)) => {
                before.recipients.extend(more.recipients);
                before.sender = more.sender.or(before.sender.take());
                before.next_page_token = more.next_page_token;
            }
            (Some(_), _) => {
                return Err(Fault::protocol("two expansions contradict each other"));
            }
            (None, expanded) => answer.expansions.push(Expansion {
                recipient,
                expanded,
            }),
        }
    }
    Ok(answer)
}

fn members(own: pb::Members, utf8: bool) -> Result<Members, Fault> {
    limit("members", own.recipients.len(), MAX_ITEMS)?;
    limit("octets of a page token", own.next_page_token.len(), 4 << 10)?;
    let recipients = own.recipients.iter().map(|one| new_recipient(one, utf8));
    let sender = own.reverse_path.as_ref();
    let sender = sender.map(|path| reverse_path(path, utf8));
    Ok(Members {
        recipients: recipients.collect::<Result<_, _>>()?,
        sender: sender.transpose()?,
        next_page_token: own.next_page_token,
    })
}

pub(super) fn route(own: pb::RouteAnswer) -> Result<RouteAnswer, Fault> {
    let lifetime = match &own.lifetime {
        None => RouteAnswer::DEFAULT_LIFETIME,
        Some(lifetime) => duration(lifetime, "the lifetime")?,
    };
    if lifetime > RouteAnswer::MAX_LIFETIME {
        return Err(Fault::protocol("the lifetime is over a day"));
    }
    Ok(RouteAnswer {
        next_hops: next_hops(own.next_hops)?,
        lifetime,
    })
}

pub(super) fn resolve(own: pb::ResolveAnswer) -> Result<ResolveAnswer, Fault> {
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
