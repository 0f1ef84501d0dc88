//! A reply on its way to the client, put to the sinks that want a say in it.

use std::future::Future;

use bytes::Bytes;
use postern_events::budget::Budget;
use postern_events::inbound::Response;
use postern_events::inbound::ResponseAnswer;
use postern_smtp::reply::Reply;

use super::Reception;
use super::ruling::{Refused, refusal};

/// A reply as it will be sent.
pub(in crate::front) struct Said {
    pub(in crate::front) reply: Reply,
    /// The connection ends behind it, and why.
    pub(in crate::front) hang_up: Option<Refused>,
    /// Keywords that were taken out of a list of extensions.
    pub(in crate::front) withdrawn: Vec<Bytes>,
}

impl Said {
    /// The service's own reply.
    pub(in crate::front) const fn ours(reply: Reply) -> Self {
        Self {
            reply,
            hang_up: None,
            withdrawn: Vec::new(),
        }
    }
}

/// Asks about a reply.
pub(in crate::front) fn ask(
    reception: &Reception,
    response: Response,
    budget: &Budget,
) -> impl Future<Output = Said> + Send + use<> {
    let session = reception.session;
    let ruling = reception.scope.response(response.clone(), budget);
    async move {
        let ruling = ruling.await;
        if let Some(refused) = refusal(&ruling, &session).filter(|refused| refused.disconnect) {
            return Said {
                reply: refused.reply.clone(),
                hang_up: Some(refused),
                withdrawn: Vec::new(),
            };
        }
        // What the reply means has happened: no failure policy can take it back.
        let answer = ruling.typed::<ResponseAnswer>().answer;
        let changed = answer.as_ref().map(|answer| response.replied(answer));
        let ours = response.reply;
        let reply = match changed {
            Some(Ok(instead)) if may_replace(&ours, &instead) => {
                let withdrawn = answer.map(|answer| answer.removed_keywords);
                return Said {
                    withdrawn: withdrawn.unwrap_or_default(),
                    ..Said::ours(instead)
                };
            }
            Some(Ok(instead)) => {
                tracing::warn!(
                    %session, from = ours.code().value(), to = instead.code().value(),
                    "a sink may not change what a reply means; ours is sent"
                );
                ours
            }
            Some(Err(error)) => {
                tracing::warn!(%session, %error, "a reply as a sink wants it cannot be sent; ours is");
                ours
            }
            None => ours,
        };
        Said::ours(reply)
    }
}

/// The text may change, and the code within its class: by now the machine acts on what the reply means. A 250 that
/// became something else would make the client send again what is durable already.
fn may_replace(ours: &Reply, theirs: &Reply) -> bool {
    let class = ours.code().class();
    class == theirs.code().class() && (class != 3 || ours.code() == theirs.code())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_reply_keeps_its_meaning() {
        let reply = |code, text| Reply::parse(code, None, text).unwrap();
        assert!(may_replace(&reply(250, "ok"), &reply(250, "well done")));
        assert!(may_replace(&reply(550, "no"), &reply(554, "no, really")));
        assert!(!may_replace(&reply(250, "ok"), &reply(451, "later")));
        assert!(!may_replace(&reply(550, "no"), &reply(250, "yes")));
        assert!(!may_replace(&reply(354, "go"), &reply(334, "what")));
    }
}
