//! Where a recipient's mail goes that a verdict or an action has sent elsewhere, and what is halted on its way.

use std::time::{Instant, SystemTime};

use postern_delivery::{Attempted, Destination, Fate};
use postern_message::next_hop::NextHop;
use postern_message::{Message, Recipient, RecipientState};

use super::core::Core;
use super::hops::{self, Led};
use super::routing::Sorted;
use super::settle::Outcome;

/// Where it goes, and nothing before a time if one is given; or what it comes to without going anywhere.
pub(crate) type Way = Result<(Destination, Option<SystemTime>), Attempted>;

/// Where a recipient's mail is sent for this message; `None`: as the routes have it.
pub(crate) fn ordered(core: &Core, message: &Message, recipient: &Recipient) -> Option<Way> {
    let hops = in_turn(message, recipient)?;
    let routes = &core.settings.routes;
    let domain = routes.domain(&recipient.address);
    let failed = |text: &str| Err(without_a_way(Fate::Failed, text, core.now()));
    if domain.is_none() && hops.iter().any(|hop| hop.deliver == "mx") {
        return Some(failed("it has no domain to be looked up"));
    }
    // That whose turn it is, alone: when it puts mail off, the next one has its turn at once.
    let led = hops::lead(
        hops.get(..1).unwrap_or_default(),
        domain.as_deref().unwrap_or_default(),
        routes.find(&recipient.address).as_deref(),
        routes,
        core.routing.verifier(),
    );
    Some(match led {
        Ok(Led::To(destination, not_before)) => Ok((destination, not_before)),
        Ok(Led::AsConfigured) => match routes.own(&recipient.address) {
            Some(own) => Ok((own.into_owned(), None)),
            None => failed("sent to a local delivery that does not have its domain"),
        },
        Ok(Led::Nowhere { later: false }) => failed("the destination is unreachable"),
        Ok(Led::Nowhere { later: true }) => Err(without_a_way(
            Fate::Deferred,
            "the destination is unreachable for now",
            core.now(),
        )),
        Err(unusable) => Err(without_a_way(
            Fate::Deferred,
            &unusable.to_string(),
            core.now(),
        )),
    })
}

/// The destination of a recipient, as far as nobody has to be asked.
pub(crate) fn destination(
    core: &Core,
    message: &Message,
    recipient: &Recipient,
) -> Option<Destination> {
    match ordered(core, message, recipient) {
        Some(way) => way.ok().map(|(destination, _)| destination),
        None => {
            let found = core.settings.routes.find(&recipient.address);
            found.map(std::borrow::Cow::into_owned)
        }
    }
}

/// Takes those out of the groups to whom a sink has halted the way: under the name of the recipient's domain, of the next hop or of
/// the destination.
pub(crate) fn leave_out_halted(core: &Core, message: &Message, sorted: &mut Sorted) {
    if !core.halts.any() {
        return;
    }
    let now = Instant::now();
    let is = |name: &str| core.halts.is_halted(name, &message.server, now);
    for (destination, members) in &mut sorted.groups {
        let all = is(&destination.to_string());
        let halted = members.extract_if(.., |index| {
            let Some(recipient) = message.recipients.get(*index) else {
                return false;
            };
            let hop = in_turn(message, recipient).and_then(|hops| hops.into_iter().next());
            let domain = core.settings.routes.domain(&recipient.address);
            all || domain.as_deref().is_some_and(is) || hop.is_some_and(|hop| is(&hop.name))
        });
        let text = "a sink has halted the way to the destination";
        let why = without_a_way(Fate::Deferred, text, core.now());
        let settled = halted.map(|index| (index, Outcome::Tried(why.clone())));
        sorted.settled.extend(settled);
    }
    sorted.groups.retain(|_, members| !members.is_empty());
}

fn without_a_way(fate: Fate, text: &str, now: SystemTime) -> Attempted {
    Attempted::own(fate, 4, 4, text.to_owned(), now)
}

/// The hops that a recipient's mail was sent to, that first whose turn it is: after each attempt another one.
fn in_turn(message: &Message, recipient: &Recipient) -> Option<Vec<NextHop>> {
    let attempts = match &recipient.state {
        RecipientState::Pending { attempts, .. } => *attempts,
        _ => 0,
    };
    turned(message.handling.hops(recipient.id), attempts)
}

fn turned(hops: &[NextHop], attempts: u32) -> Option<Vec<NextHop>> {
    let place = usize::try_from(attempts)
        .unwrap_or(0)
        .checked_rem(hops.len())?;
    let mut hops = hops.to_vec();
    hops.rotate_left(place);
    Some(hops)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hops_have_their_turn_one_after_the_other() {
        let hops = ["smtp://a", "smtp://b", "smtp://c"].map(NextHop::to);
        let order = |attempts| {
            let hops = turned(&hops, attempts).unwrap_or_default();
            let words: Vec<_> = hops
                .iter()
                .map(|hop| hop.deliver.as_str().to_owned())
                .collect();
            words.join(" ")
        };
        assert_eq!(order(0), "smtp://a smtp://b smtp://c");
        assert_eq!(order(1), "smtp://b smtp://c smtp://a");
        assert_eq!(order(3), order(0));
        assert_eq!(turned(&[], 3), None);
    }
}
