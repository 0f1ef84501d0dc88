#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use postern_message::{Draft, MessageId, RecipientId};

use super::*;
use crate::context::TRUNK;
use crate::grant::Reads;
use crate::order::Orders;
use crate::route::NextHop;
use crate::testing;

#[test]
fn xtext_is_decoded_and_odd_text_stays() {
    assert_eq!(from_xtext(b"rfc822;a+2Bb@x"), "rfc822;a+b@x");
    assert_eq!(from_xtext(b"a+zz+2"), "a+zz+2");
}

#[test]
fn who_does_not_read_recipients_sees_no_address() {
    let mut one = Recipient::new(ForwardPath::parse(b"<a@x.test>", false).unwrap());
    one.notify = Some(Notify::NEVER);
    one.given = Some(ForwardPath::parse(b"<b@x.test>", false).unwrap());
    let state = pb::RecipientState::Accepted;
    let none = Reads::default();
    let view = View {
        reads: &none,
        sink: "s",
    };
    let least = recipient(&one, state, &[], None, &view);
    assert_eq!(least.recipient_id.len(), 16);
    assert!(least.address.is_empty() && least.notify.is_empty());
    let all = Reads::everything();
    let view = View {
        reads: &all,
        sink: "s",
    };
    let shown = recipient(&one, state, &[], None, &view);
    assert_eq!(shown.address, "a@x.test");
    assert_eq!(shown.given_address, "b@x.test");
    assert_eq!(shown.parameters.len(), 1);
}

fn status(code: Option<u16>) -> Status {
    Status {
        at: std::time::SystemTime::UNIX_EPOCH,
        code,
        enhanced: Some((5, 1, 1)),
        text: "no such\nmailbox".to_owned(),
        remote: None,
    }
}

fn shown(one: &Recipient, raw: &[RawParameter], piece: Option<&Piece>) -> pb::Recipient {
    let all = Reads::everything();
    let state = standing(&one.state);
    recipient(one, state, raw, piece, &testing::view(&all))
}

#[test]
fn how_far_a_delivery_has_come_is_told() {
    use pb::FailureOrigin as O;
    use pb::RecipientState as S;
    let remote = || Status {
        remote: Some("mx.test".to_owned()),
        ..status(Some(550))
    };
    let pending = |attempts, last| RecipientState::Pending {
        attempts,
        due: None,
        last,
    };
    for (state, told, attempts, replied, origin) in [
        (pending(0, None), S::Accepted, 0, false, O::Unspecified),
        (
            pending(3, Some(status(Some(450)))),
            S::Accepted,
            3,
            true,
            O::Unspecified,
        ),
        (
            pending(1, Some(status(None))),
            S::Accepted,
            1,
            false,
            O::Unspecified,
        ),
        (
            RecipientState::Delivered(remote()),
            S::Delivered,
            0,
            true,
            O::Unspecified,
        ),
        (
            RecipientState::Relayed(remote()),
            S::Delivered,
            0,
            true,
            O::Unspecified,
        ),
        (
            RecipientState::Failed(remote()),
            S::Failed,
            0,
            true,
            O::Remote,
        ),
        (
            RecipientState::Failed(status(Some(550))),
            S::Failed,
            0,
            true,
            O::Unspecified,
        ),
        (
            RecipientState::Expired(remote()),
            S::Failed,
            0,
            true,
            O::Expiry,
        ),
        (
            RecipientState::Discarded(status(None)),
            S::Discarded,
            0,
            false,
            O::Unspecified,
        ),
    ] {
        let mut one = Recipient::new(testing::path("a@x.test"));
        one.state = state;
        let seen = shown(&one, &[], None);
        assert_eq!(seen.state(), told, "{one:?}");
        assert_eq!(seen.attempt_count, attempts, "{one:?}");
        assert_eq!(seen.failure_origin(), origin, "{one:?}");
        assert_eq!(seen.last_reply.is_some(), replied, "{one:?}");
    }
    assert_eq!(
        status_reply(&status(Some(550))),
        Some(pb::Reply {
            code: 550,
            enhanced_code: Bytes::from_static(b"5.1.1"),
            lines: vec![
                Bytes::from_static(b"no such"),
                Bytes::from_static(b"mailbox")
            ],
            without_enhanced_code: false,
        })
    );
}

#[test]
fn what_is_kept_of_rcpt_is_said_as_rcpt_would() {
    let word = |word: &'static str| Bytes::from_static(word.as_bytes());
    let notify = |success, failure, delay| Notify {
        success,
        failure,
        delay,
    };
    use pb::Notify as N;
    for (asked, text, numbers) in [
        (Notify::NEVER, "NEVER", vec![N::Never]),
        (notify(true, false, false), "SUCCESS", vec![N::Success]),
        (notify(false, true, false), "FAILURE", vec![N::Failure]),
        (notify(false, false, true), "DELAY", vec![N::Delay]),
        (
            notify(true, true, true),
            "SUCCESS,FAILURE,DELAY",
            vec![N::Success, N::Failure, N::Delay],
        ),
    ] {
        let mut one = Recipient::new(testing::path("a@x.test"));
        one.notify = Some(asked);
        one.orcpt = Some(word("rfc822;o+2Bo@x.test"));
        one.parameters = vec![(word("X-A"), None)];
        one.tenant = "acme".to_owned();
        one.parent = Some(RecipientId::new());
        let seen = shown(&one, &[], None);
        let parameters: Vec<_> = seen
            .parameters
            .iter()
            .map(|own| (own.keyword.clone(), own.value.clone()))
            .collect();
        let expected = [
            (word("NOTIFY"), Some(word(text))),
            (word("ORCPT"), Some(word("rfc822;o+2Bo@x.test"))),
            (word("X-A"), None),
        ];
        assert_eq!(parameters, expected);
        let numbers: Vec<i32> = numbers.into_iter().map(Into::into).collect();
        assert_eq!(seen.notify, numbers);
        assert_eq!(seen.original_recipient, "rfc822;o+o@x.test");
        assert_eq!(seen.tenant, "acme");
        assert_eq!(seen.parent_recipient_id, id(one.parent.unwrap().as_bytes()));
        // As they came, where that is known.
        let raw = [(word("FOO"), Some(word("bar")))];
        let seen = shown(&one, &raw, None);
        assert_eq!(seen.parameters.len(), 1);
        assert_eq!(seen.parameters[0].keyword, "FOO");
    }
    let plain = Recipient::new(testing::path("a@x.test"));
    let seen = shown(&plain, &[], None);
    assert!(seen.parameters.is_empty() && seen.notify.is_empty());
    assert!(seen.original_recipient.is_empty() && seen.given_address.is_empty());
}

#[test]
fn the_first_of_the_hops_that_were_ordered_for_a_recipient_is_shown() {
    let [one, other] = ["a@x.test", "b@x.test"].map(|to| Recipient::new(testing::path(to)));
    let hops = vec![NextHop::to("smtp://first"), NextHop::to("smtp://second")];
    let piece = Piece {
        number: TRUNK,
        id: MessageId::new(),
        draft: Draft::empty(),
        orders: Orders {
            handling: postern_message::Handling {
                next_hops: std::collections::BTreeMap::from([(one.id, hops)]),
                ..Default::default()
            },
            ..Orders::default()
        },
    };
    assert_eq!(shown(&one, &[], Some(&piece)).deliver, "smtp://first");
    assert_eq!(shown(&other, &[], Some(&piece)).deliver, "");
    assert_eq!(shown(&one, &[], None).deliver, "");
}

#[test]
fn an_address_is_shown_as_it_was_written() {
    for (text, octets, read) in [
        ("<A@X.test>", "A@X.test", "A@X.test"),
        ("<Postmaster>", "postmaster", "postmaster"),
    ] {
        let own = ForwardPath::parse(text.as_bytes(), true).unwrap();
        assert_eq!(address(&own), octets);
        assert_eq!(path(&own), read);
    }
}

#[test]
fn each_octet_of_xtext_is_decoded_or_left() {
    for (text, decoded) in [
        (&b""[..], &b""[..]),
        (b"+2B", b"+"),
        (b"+2b+3D", b"+="),
        (b"a+2", b"a+2"),
        (b"+", b"+"),
        (b"a41", b"a41"),
        (b"+FF", b"\xff"),
        (b"++2B", b"++"),
        (b"+\xff\xff", b"+\xff\xff"),
    ] {
        assert_eq!(from_xtext(text), decoded, "{text:?}");
    }
}
