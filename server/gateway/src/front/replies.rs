//! The replies that the gateway itself makes, beside those of the session machine. `postern config explain` names
//! the same codes.

use std::fmt::Display;

use postern_smtp::reply::{Code, EnhancedCode, Reply, ReplyText};

/// Builds a reply from parts that are known when the program is written, and a text that may hold what a client
/// or an operator wrote.
fn reply(code: u16, (subject, detail): (u16, u16), text: &str) -> Reply {
    let made = Code::new(code).and_then(|code| {
        let enhanced = EnhancedCode::new(code.class(), subject, detail)?;
        Reply::new(code, Some(enhanced), vec![ReplyText::lossy(text)])
    });
    made.expect("codes are constants of this module, and its tests build each reply")
}

/// The server has `connections` sessions.
#[must_use]
pub(super) fn server_full(hostname: &str) -> Reply {
    reply(
        421,
        (3, 2),
        &format!("{hostname} Too many connections, try again later"),
    )
}

/// The client has `connections_per_client` sessions.
#[must_use]
pub(super) fn client_full(hostname: &str) -> Reply {
    reply(
        421,
        (7, 0),
        &format!("{hostname} Too many connections from you, try again later"),
    )
}

/// Only proxies may connect to this listener.
#[must_use]
pub(super) fn not_a_proxy(hostname: &str) -> Reply {
    reply(
        554,
        (7, 1),
        &format!(
            "{hostname} Connections come through a proxy here, and you are none of those that are listed"
        ),
    )
}

/// There is no memory for one more session, of this client or of any.
#[must_use]
pub(super) fn no_memory_for_session(hostname: &str) -> Reply {
    reply(
        421,
        (3, 1),
        &format!("{hostname} No memory for another session, try again later"),
    )
}

/// There is no memory for what the session would hold, of this client or of any.
#[must_use]
pub(super) fn no_memory() -> Reply {
    reply(452, (3, 1), "No memory for this now, try again later")
}

/// There is no memory for TLS (RFC 3207 section 4 has the code).
#[must_use]
pub(super) fn no_memory_for_tls() -> Reply {
    reply(454, (3, 1), "No memory for TLS now, try again later")
}

/// The recipient's domain is ours, the recipient is not known.
#[must_use]
pub(super) fn unknown_recipient() -> Reply {
    reply(550, (1, 1), "No such recipient here")
}

/// The recipient's domain is ours, and no mailbox here can have such an address.
#[must_use]
pub(super) fn no_mailbox() -> Reply {
    reply(550, (1, 1), "No mailbox can have this address here")
}

/// The mailboxes could not be listed since the start.
#[must_use]
pub(super) fn mailboxes_unknown() -> Reply {
    reply(451, (3, 0), "Mailboxes cannot be read, try again later")
}

/// A mailbox would have to be made, and there are too many.
#[must_use]
pub(super) fn too_many_mailboxes() -> Reply {
    reply(452, (2, 2), "No room for another mailbox")
}

/// The recipient's domain is not ours and the client may not relay.
#[must_use]
pub(super) fn relay_denied() -> Reply {
    reply(550, (7, 1), "Relaying denied")
}

/// The client may relay, but nothing leads to that domain.
#[must_use]
pub(super) fn no_route() -> Reply {
    reply(550, (4, 4), "No route to that domain")
}

/// Name or password is wrong, or there is no such user.
#[must_use]
pub(super) fn authentication_failed() -> Reply {
    reply(535, (7, 8), "Authentication credentials invalid")
}

/// Too many authentications of this client, or for this name, have failed.
#[must_use]
pub(super) fn too_many_failures() -> Reply {
    reply(
        454,
        (7, 0),
        "Too many failed authentications, try again later",
    )
}

/// Nothing can be checked now.
#[must_use]
pub(super) fn authentication_busy() -> Reply {
    reply(
        454,
        (7, 0),
        "Temporary authentication failure, try again later",
    )
}

/// The client said what its mechanism does not have.
#[must_use]
pub(super) fn malformed_response(what: &str) -> Reply {
    reply(501, (5, 2), &format!("Malformed response: {what}"))
}

/// The user was removed after it had authenticated.
#[must_use]
pub(super) fn no_user_any_more() -> Reply {
    reply(530, (7, 0), "Authentication required")
}

/// The user may not name this sender (RFC 6409 6.1).
#[must_use]
pub(super) fn not_your_sender() -> Reply {
    reply(550, (7, 1), "You may not send as this sender")
}

/// The user has sent as many messages as it may for now.
#[must_use]
pub(super) fn too_many_messages_an_hour() -> Reply {
    reply(
        450,
        (7, 1),
        "Too many messages within an hour, try again later",
    )
}

/// The user has named as many recipients as it may for now.
#[must_use]
pub(super) fn too_many_recipients_an_hour() -> Reply {
    reply(
        450,
        (7, 1),
        "Too many recipients within an hour, try again later",
    )
}

/// The message has no `From`, and must have one.
#[must_use]
pub(super) fn no_from_field() -> Reply {
    reply(554, (6, 0), "Message refused: it has no From field")
}

/// The disk is full, or nearly.
#[must_use]
pub(super) fn no_space() -> Reply {
    reply(452, (3, 1), "Insufficient storage, try again later")
}

/// The spool failed. The id leads the operator to the log line.
#[must_use]
pub(super) fn storage_failed(id: impl Display) -> Reply {
    reply(
        451,
        (3, 0),
        &format!("Storage failed, try again later ({id})"),
    )
}

/// A sink failed and its failure policy speaks, with the code that the policy gave. The client learns no more than
/// the id.
#[must_use]
pub(super) fn sink_failed(by_policy: &Reply, id: impl Display) -> Reply {
    let text = if by_policy.code().is_permanent() {
        format!("Refused by policy ({id})")
    } else {
        format!("Service unavailable, try again later ({id})")
    };
    Reply::new(
        by_policy.code(),
        by_policy.enhanced(),
        vec![ReplyText::lossy(&text)],
    )
    .unwrap_or_else(|_| reply(451, (7, 1), &text))
}

/// The header section is larger than `header_size`.
#[must_use]
pub(super) fn header_too_large(limit: usize) -> Reply {
    reply(
        552,
        (3, 4),
        &format!("Header section larger than {limit} octets (header_size)"),
    )
}

/// The header section has more fields than `header_count`.
#[must_use]
pub(super) fn header_too_many(limit: usize) -> Reply {
    reply(
        552,
        (3, 4),
        &format!("More than {limit} header fields (header_count)"),
    )
}

/// The message went through too many servers.
#[must_use]
pub(super) fn loop_detected(received: usize) -> Reply {
    reply(
        554,
        (4, 6),
        &format!("Mail loop: {received} Received fields"),
    )
}

/// No recipient is left after the edits of sinks.
#[must_use]
pub(super) fn no_recipients_left() -> Reply {
    reply(554, (5, 0), "No valid recipients")
}

/// The message is on stable storage.
#[must_use]
pub(super) fn queued(id: impl Display) -> Reply {
    reply(250, (0, 0), &format!("Ok: queued as {id}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_can_be_built() {
        let all = [
            server_full("mx.test"),
            client_full("mx.test"),
            no_memory_for_session("mx.test"),
            no_memory(),
            no_memory_for_tls(),
            unknown_recipient(),
            no_mailbox(),
            mailboxes_unknown(),
            too_many_mailboxes(),
            relay_denied(),
            no_route(),
            authentication_failed(),
            too_many_failures(),
            authentication_busy(),
            malformed_response("x"),
            no_user_any_more(),
            not_your_sender(),
            too_many_messages_an_hour(),
            too_many_recipients_an_hour(),
            no_from_field(),
            no_space(),
            storage_failed(1),
            header_too_large(1),
            header_too_many(1),
            loop_detected(101),
            no_recipients_left(),
            queued(1),
        ];
        for reply in all {
            assert_eq!(
                reply.enhanced().map(EnhancedCode::class),
                Some(reply.code().class())
            );
        }
    }

    #[test]
    fn a_failed_sink_shows_its_code_and_an_id_only() {
        let temporary = sink_failed(&reply(451, (7, 1), "timeout of scanner at 10.0.0.7"), "ID");
        assert_eq!(
            temporary,
            reply(451, (7, 1), "Service unavailable, try again later (ID)")
        );
        let permanent = sink_failed(&reply(550, (7, 1), "x"), "ID");
        assert_eq!(permanent.code().value(), 550);
    }
}
