//! Reports: when they are made, and what is in them.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use postern_message::{Notify, Return, Status};
use postern_smtp::address::{ForwardPath, ReversePath};
use postern_spool::Stage;

use super::stage::{Play, Script};
use crate::report::{Built, Kind, Report, Returned, Told};
use postern_delivery::testing::message;
use postern_delivery::testing::peer::Peer;

const NOW: Duration = Duration::from_secs(1_790_000_000);

fn status(text: &str) -> Status {
    Status {
        at: SystemTime::UNIX_EPOCH + NOW,
        code: Some(550),
        enhanced: Some((5, 1, 1)),
        text: text.to_owned(),
        remote: Some("one.test".to_owned()),
    }
}

fn build(recipient: &str, text: &str, headers: &'static [u8]) -> (String, Built) {
    build_of(recipient, text, headers, |_| {})
}

fn build_of(
    recipient: &str,
    text: &str,
    headers: &'static [u8],
    change: impl FnOnce(&mut postern_message::Message),
) -> (String, Built) {
    let content = Bytes::from_static(b"Subject: x\r\n\r\n");
    let mut message = message(&content, &[recipient], SystemTime::UNIX_EPOCH + NOW);
    message.id = "0190c0de-0000-7000-8000-000000000001".parse().unwrap();
    message.envelope.envid = Some(Bytes::from_static(b"QQ+3D1"));
    message.recipients[0].orcpt = Some(Bytes::from_static(b"rfc822;first+2Bone@example.test"));
    change(&mut message);
    let said = status(text);
    let report = Report {
        id: "0190c0de-0000-7000-8000-000000000002".parse().unwrap(),
        hostname: "mx.test",
        kind: Kind::Failed,
        recipients: vec![Told {
            recipient: &message.recipients[0],
            status: &said,
            expired: false,
            until: None,
        }],
        message: &message,
        returned: Returned::Headers(Bytes::from_static(headers)),
        now: SystemTime::UNIX_EPOCH + NOW,
    };
    let built = report.build();
    (String::from_utf8(built.content.to_vec()).unwrap(), built)
}

#[test]
fn a_report_reads_like_this() {
    let (text, built) = build(
        "a@example.test",
        "5.1.1 no such user",
        b"Subject: x\r\nTo: a@example.test\r\n\r\n",
    );
    assert!(!built.eight_bit && !built.smtp_utf8);
    assert_eq!(text.replace("\r\n", "\n"), include_str!("report.txt"));
    assert!(!text.replace("\r\n", "").contains(['\r', '\n']));
}

#[test]
fn what_strangers_wrote_cannot_break_a_report() {
    let evil = format!(
        "no\r\n--=_0190c0de-0000-7000-8000-000000000002--\r\n{}\u{0}\u{e9}",
        "x".repeat(5000)
    );
    let (text, built) = build("a@example.test", &evil, b"Subject: \xe9\rX: y\n\r\n");
    assert!(!built.eight_bit && text.is_ascii());
    assert!(text.contains("Subject: =E9=0DX: y=0A\r\n"), "{text}");
    assert_eq!(
        text.matches("\r\n--=_").count(),
        4,
        "three parts and the end"
    );
    assert!(text.split("\r\n").all(|line| line.len() <= 998));
}

/// Its way is one with SMTPUTF8 only if it goes to such an address: of others nobody knows what it takes.
#[test]
fn internationalized_addresses_are_named_in_seven_bits_to_others() {
    let (text, built) = build("j\u{f6}rg@example.test", "no", b"Subject: \xc3\xa9\r\n\r\n");
    assert!(!built.eight_bit && !built.smtp_utf8 && text.is_ascii());
    assert!(
        text.contains("Content-Type: message/delivery-status\r\n"),
        "{text}"
    );
    assert!(
        text.contains("Final-Recipient: utf-8; j\\x{F6}rg@example.test\r\n"),
        "{text}"
    );
    assert!(text.contains(
        "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    ));
    assert!(text.contains("\r\n<j=C3=B6rg@example.test>\r\n"), "{text}");
}

#[test]
fn reports_to_internationalized_addresses_have_types_of_their_own() {
    let (text, built) = build_of(
        "j\u{f6}rg@example.test",
        "no",
        b"Subject: \xc3\xa9\r\n\r\n",
        |message| {
            message.envelope.sender =
                ReversePath::parse("<fr\u{f6}m@sender.test>".as_bytes(), true).unwrap();
        },
    );
    assert!(built.eight_bit && built.smtp_utf8);
    assert!(text.contains("Content-Type: message/global-delivery-status\r\n"));
    assert!(text.contains("Final-Recipient: utf-8; j\u{f6}rg@example.test\r\n"));
    assert!(text.contains("Content-Type: message/global-headers\r\n"));
}

/// What a sink has made of an address stays here.
#[test]
fn the_address_that_was_used_is_named_and_no_other() {
    let rewritten = |message: &mut postern_message::Message| {
        let secret = ForwardPath::parse(b"<secret.person@inside.test>", false).unwrap();
        let one = &mut message.recipients[0];
        one.given = Some(std::mem::replace(&mut one.address, secret));
    };
    for said in [
        "5.1.1 <Secret.Person@inside.test> is unknown",
        "5.1.1 no such user",
    ] {
        let (text, _) = build_of("a@example.test", said, b"Subject: x\r\n\r\n", rewritten);
        assert!(!text.to_lowercase().contains("secret"), "{text}");
        assert!(
            text.contains("Final-Recipient: rfc822; a@example.test\r\n"),
            "{text}"
        );
        assert!(text.contains("\r\n<a@example.test>\r\n"), "{text}");
        assert_eq!(text.contains("no such user"), !said.contains("Secret"));
        assert!(text.contains("Diagnostic-Code: smtp; 550"), "{text}");
    }
}

/// Thirty kilobytes of recipients are no reason for ten times that to who may not have sent them.
#[tokio::test(start_paused = true)]
async fn a_report_of_many_recipients_is_bounded() {
    for (words, most) in [(60, 99), (0, 100)] {
        let peer = Peer::with(&["PIPELINING"]);
        let refusal = "550 5.1.1 ".to_owned() + &"no such user ".repeat(words);
        peer.says("RCPT TO:<u", &[refusal.as_str(); 1000]);
        let play = Play::new(&peer, Script::default());
        let names: Vec<_> = (0..1000).map(|n| format!("u{n}@example.test")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        play.accept(&names).await;
        play.until_empty().await;
        let taken = peer.taken();
        assert_eq!(taken.len(), 1, "one report for all of them");
        let octets = taken[0].content.len();
        assert!(octets < 36 * 1024, "{octets}");
        let text = String::from_utf8(taken[0].content.clone()).unwrap();
        let named = text.matches("Final-Recipient:").count();
        let more: usize = text
            .split("and to ")
            .nth(1)
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(
            text.contains(&format!("X-Postern-More-Recipients: {more}\r\n")),
            "{text}"
        );
        assert_eq!(named + more, 1000);
        assert!((10..=most).contains(&named), "{named}");
        assert!(words > 0 || named == 100, "{named}");
    }
}

fn refusing() -> Peer {
    let peer = Peer::with(&["PIPELINING"]);
    peer.says("RCPT TO:<bad@", &["550 5.1.1 no such user"]);
    peer
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_reported_with_what_was_asked_back() {
    for (ret, expected) in [
        (None, "text/rfc822-headers"),
        (Some(Return::Full), "message/rfc822"),
    ] {
        let peer = refusing();
        let play = Play::new(&peer, Script::default());
        let stage = Stage::submit();
        play.accept_at(stage, &["good@example.test", "bad@example.test"], |m| {
            m.envelope.ret = ret
        })
        .await;
        play.until_empty().await;
        let taken = peer.taken();
        assert_eq!(taken.len(), 2);
        let report = taken.iter().find(|taken| taken.sender.is_empty()).unwrap();
        let text = String::from_utf8(report.content.clone()).unwrap();
        assert!(
            text.contains(&format!("Content-Type: {expected}\r\n")),
            "{text}"
        );
        assert!(
            text.contains("Final-Recipient: rfc822; bad@example.test") && !text.contains("good@")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_is_told_who_must_or_would_not_be() {
    let changes: [fn(&mut postern_message::Message); 2] = [
        |message| message.envelope.sender = ReversePath::Null,
        |message| message.recipients[0].notify = Some(Notify::NEVER),
    ];
    for change in changes {
        let peer = refusing();
        let play = Play::new(&peer, Script::default());
        play.accept_at(Stage::submit(), &["bad@example.test"], change)
            .await;
        play.until_empty().await;
        assert!(peer.taken().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_given_back() {
    let peer = Peer::with(&[]);
    peer.says("RCPT TO:<a@", &["450 4.2.1 busy"; 100]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@example.test"]).await;
    let took = play.until_empty().await;
    assert!((7200..7300).contains(&took.as_secs()), "{took:?}");
    let taken = peer.taken();
    let text = String::from_utf8(taken[0].content.clone()).unwrap();
    assert!(
        text.contains("Status: 5.4.7") && text.contains("450 4.2.1 busy"),
        "{text}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_report_that_cannot_be_delivered_is_not_reported() {
    let peer = refusing();
    peer.says("RCPT TO:<from@", &["550 gone"]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["bad@example.test"]).await;
    play.until_empty().await;
    assert!(peer.taken().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_recipient_without_a_route_fails() {
    let peer = Peer::with(&[]);
    let play = Play::new(&peer, Script::default());
    play.accept(&["a@nowhere.test"]).await;
    play.until_empty().await;
    let text = String::from_utf8(peer.taken()[0].content.clone()).unwrap();
    assert!(text.contains("Status: 5.4.4"), "{text}");
}

#[test]
fn of_a_delay_each_recipient_has_its_own_end_and_the_text_the_last_one() {
    let content = Bytes::from_static(b"Subject: x\r\n\r\n");
    let both = ["a@example.test", "b@example.org"];
    let message = message(&content, &both, SystemTime::UNIX_EPOCH + NOW);
    let said = status("not now");
    let ends = [
        NOW + Duration::from_secs(2 * 86_400),
        NOW + Duration::from_secs(3600),
    ];
    let told = message.recipients.iter().zip(ends);
    let report = Report {
        id: message.id,
        hostname: "mx.test",
        kind: Kind::Delayed,
        recipients: told
            .map(|(recipient, until)| Told {
                recipient,
                status: &said,
                expired: false,
                until: Some(SystemTime::UNIX_EPOCH + until),
            })
            .collect(),
        message: &message,
        returned: Returned::Headers(Bytes::new()),
        now: SystemTime::UNIX_EPOCH + NOW,
    };
    let text = String::from_utf8(report.build().content.to_vec()).unwrap();
    let until: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("Will-Retry-Until: "))
        .collect();
    assert_eq!(until.len(), 2, "{text}");
    assert_ne!(until[0], until[1]);
    let last = format!("It will be tried again until {}.", until[0]);
    assert!(text.contains(&last), "{text}");
}
