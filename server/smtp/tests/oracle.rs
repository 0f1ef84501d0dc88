//! Our grammar against another implementation of it, the crate smtp-proto.
//!
//! What we accept it accepts, with the same meaning, but for what `is_of_interest` names. The other way round there are
//! differences, and they are ours on purpose: it takes LF and CR CR LF for the end of a line, passes CRs in addresses,
//! drops the quotes of local parts, knows parameters that we do not offer, and takes blanks after `FROM:` and domains
//! that are none. `agreed_differences` shows each.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;

use bytes::{Bytes, BytesMut};
use postern_smtp::address::{AddressSyntax, ForwardPath, Mailbox, ReversePath};
use postern_smtp::command::{Command, Extensions, HelloKind, HelloNames};
use postern_smtp::content::{ContentCheck, ContentFault, ContentLimits};
use postern_smtp::data::DotDecoder;
use postern_smtp::parameters::{Body, Ret};
use proptest::prelude::*;
use smtp_proto::request::receiver::DataReceiver;
use smtp_proto::{
    MAIL_BODY_7BIT, MAIL_BODY_8BITMIME, MAIL_BODY_BINARYMIME, MAIL_RET_FULL, MAIL_RET_HDRS,
    MAIL_SMTPUTF8, RCPT_NOTIFY_DELAY, RCPT_NOTIFY_FAILURE, RCPT_NOTIFY_NEVER, RCPT_NOTIFY_SUCCESS,
    Request,
};

const EXTENSIONS: Extensions = Extensions {
    offered: true,
    smtp_utf8: true,
    priorities: false,
    auth: false,
    hello_names: HelloNames::Valid,
    addresses: AddressSyntax::Strict,
};

fn ours(line: &str) -> Option<Command> {
    Command::parse(&Bytes::copy_from_slice(line.as_bytes()), EXTENSIONS).ok()
}

fn theirs(line: &str) -> Option<Request<String>> {
    let wire = format!("{line}\r\n");
    Request::parse(&mut wire.as_bytes().iter())
        .ok()
        .map(Request::into_owned)
}

/// An address as the oracle gives it: quotes and backslashes dropped.
fn plain(mailbox: Option<&Mailbox>) -> String {
    mailbox.map_or_else(String::new, |mailbox| {
        let domain = mailbox.as_str().get(mailbox.local_part().len()..).unwrap();
        format!("{}{domain}", mailbox.unquoted_local_part())
    })
}

/// Whether both mean the same.
fn same(ours: &Command, theirs: &Request<String>) -> bool {
    match (ours, theirs) {
        (Command::Hello(hello), Request::Ehlo { host }) => {
            hello.kind == HelloKind::Ehlo
                && hello.name.octets().eq_ignore_ascii_case(host.as_bytes())
        }
        (Command::Hello(hello), Request::Helo { host }) => {
            hello.kind == HelloKind::Helo
                && hello.name.octets().eq_ignore_ascii_case(host.as_bytes())
        }
        (Command::Hello(hello), Request::Lhlo { host }) => {
            hello.kind == HelloKind::Lhlo
                && hello.name.octets().eq_ignore_ascii_case(host.as_bytes())
        }
        (Command::Mail(mail), Request::Mail { from }) => {
            let parameters = &mail.parameters;
            let body = match parameters.body {
                None => 0,
                Some(Body::SevenBit) => MAIL_BODY_7BIT,
                Some(Body::EightBitMime) => MAIL_BODY_8BITMIME,
                Some(Body::BinaryMime) => MAIL_BODY_BINARYMIME,
            };
            let ret = match parameters.ret {
                None => 0,
                Some(Ret::Full) => MAIL_RET_FULL,
                Some(Ret::Headers) => MAIL_RET_HDRS,
            };
            let utf8 = if parameters.smtp_utf8 {
                MAIL_SMTPUTF8
            } else {
                0
            };
            plain(mail.sender.mailbox()) == from.address
                && parameters.size.unwrap_or(0) == from.size as u64
                && body | ret | utf8 == from.flags
                && parameters.envid.as_ref().map(|envid| envid.decode())
                    == from.env_id.as_deref().map(Cow::Borrowed)
        }
        (Command::Rcpt(rcpt), Request::Rcpt { to }) => {
            let notify = rcpt.parameters.notify.map_or(0, |notify| {
                let flag = |on: bool, flag: u64| if on { flag } else { 0 };
                flag(notify.success, RCPT_NOTIFY_SUCCESS)
                    | flag(notify.failure, RCPT_NOTIFY_FAILURE)
                    | flag(notify.delay, RCPT_NOTIFY_DELAY)
                    | flag(notify.is_never(), RCPT_NOTIFY_NEVER)
            });
            plain(rcpt.recipient.mailbox()) == to.address
                && notify == to.flags
                && rcpt.parameters.orcpt.is_some() == to.orcpt.is_some()
        }
        (Command::Data, Request::Data)
        | (Command::Rset, Request::Rset)
        | (Command::Quit, Request::Quit)
        | (Command::StartTls, Request::StartTls) => true,
        (
            Command::Bdat(chunk),
            Request::Bdat {
                chunk_size,
                is_last,
            },
        ) => chunk.size == *chunk_size as u64 && chunk.last == *is_last,
        (Command::Noop(_), Request::Noop { .. }) | (Command::Help(_), Request::Help { .. }) => true,
        (Command::Vrfy(argument), Request::Vrfy { value })
        | (Command::Expn(argument), Request::Expn { value }) => {
            // The oracle takes the first word.
            argument.contains(&b' ') || argument == value.as_bytes()
        }
        _ => false,
    }
}

fn local_part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,8}(\\.[a-z0-9]{1,4}){0,2}",
        "\"([a-z @.,:;<>()]|\\\\[\"\\\\a ]){0,8}\"",
    ]
}

fn domain() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9]{1,6}(\\.[a-z0-9]([a-z0-9-]{0,3}[a-z0-9])?){0,2}",
        "[a-z]{1,3}(-[a-z]{1,3}){1,2}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let mailbox =
        (local_part(), domain()).prop_map(|(local, domain)| format!("<{local}@{domain}>"));
    prop_oneof![1 => Just("<>".to_owned()), 1 => Just("<postmaster>".to_owned()), 8 => mailbox]
}

fn mail_parameter() -> impl Strategy<Value = String> {
    prop_oneof![
        "SIZE=[0-9]{1,12}",
        "(BODY|body)=(7BIT|8bitmime|BINARYMIME)",
        Just("SMTPUTF8".to_owned()),
        "RET=(FULL|hdrs)",
        "ENVID=([a-z0-9@.]|\\+2B|\\+3D){1,12}",
    ]
}

fn command() -> impl Strategy<Value = String> {
    let mail = (path(), proptest::collection::vec(mail_parameter(), 0..4))
        .prop_map(|(path, parameters)| format!("MAIL FROM:{path} {}", parameters.join(" ")));
    let rcpt = (
        path(),
        "( NOTIFY=(NEVER|SUCCESS,DELAY|failure))?( ORCPT=rfc822;[a-z]{1,5}@[a-z]{1,5})?",
    )
        .prop_map(|(path, parameters)| format!("rcpt TO:{path}{parameters}"));
    prop_oneof![
        4 => mail,
        4 => rcpt,
        2 => "(EHLO|HELO|LHLO|ehlo) [a-zA-Z0-9]([a-z-]{0,6}[A-Z0-9])?(\\.[a-z0-9]{1,4}){0,2}",
        2 => "BDAT [0-9]{1,15}( LAST| last)?",
        1 => "(DATA|rset|QUIT|STARTTLS|NOOP|HELP)",
        1 => "(VRFY|EXPN) [a-z@.]{1,10}",
    ]
}

/// Commands with some characters changed: mostly nonsense, near to sense.
fn damaged_command() -> impl Strategy<Value = String> {
    let damage = proptest::collection::vec(
        (
            any::<prop::sample::Index>(),
            prop_oneof!["[ -~]", "[\"\\\\<>@:=+ ]"],
        ),
        1..3,
    );
    (command(), damage).prop_map(|(mut line, damage)| {
        for (at, with) in damage {
            let at = at.index(line.len());
            line.replace_range(at..=at, &with);
        }
        line
    })
}

/// What only we take: address literals, the empty quoted local part, other types of ORCPT. Arguments of HELP and NOOP
/// mean nothing, blanks at the end are dropped by both in their own way, and quoted pairs are undone in different ways.
fn is_of_interest(line: &str) -> bool {
    let upper = line.to_ascii_uppercase();
    let orcpt = !upper.contains("ORCPT=") || upper.contains("ORCPT=RFC822;");
    let string = upper.contains('"') && (upper.starts_with("VRFY") || upper.starts_with("EXPN"));
    let idle = upper.starts_with("NOOP") || upper.starts_with("HELP");
    let differs = idle
        || string
        || line.ends_with(' ')
        || line.contains(['\\', '['])
        || line.contains("\"\"");
    orcpt && !differs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn what_we_accept_means_the_same(line in prop_oneof![command(), damaged_command()]) {
        if is_of_interest(&line) && let Some(ours) = ours(&line) {
            let theirs = theirs(&line);
            prop_assert!(theirs.is_some(), "only we accept {line:?}");
            prop_assert!(same(&ours, &theirs.unwrap()), "{line:?} means something else");
        }
    }

    /// So that the above says something: what makes sense is accepted.
    #[test]
    fn sense_is_accepted(line in command()) {
        let null_recipient = line.starts_with("rcpt TO:<>");
        let postmaster_sends = line.starts_with("MAIL FROM:<postmaster>");
        let mut keywords: Vec<String> = line
            .split(' ')
            .map(|word| word.split_once('=').map_or(word, |pair| pair.0).to_ascii_uppercase())
            .filter(|word| ["SIZE", "BODY", "SMTPUTF8", "RET", "ENVID"].contains(&word.as_str()))
            .collect();
        keywords.sort();
        let twice = keywords.windows(2).any(|pair| pair[0] == pair[1]);
        prop_assert_eq!(ours(&line).is_some(), !(null_recipient || postmaster_sends || twice), "{:?}", line);
    }

    #[test]
    fn content_is_the_same(lines in proptest::collection::vec("[.a]{0,3}", 0..6)) {
        // A dot at the very beginning is no end for the oracle: a first line without one.
        let wire = lines.iter().filter(|line| *line != ".").fold("x\r\n".to_owned(), |wire, line| wire + line + "\r\n") + ".\r\n";
        let mut expected = Vec::new();
        prop_assert!(DataReceiver::new().ingest(&mut wire.as_bytes().iter(), &mut expected));
        let mut input = BytesMut::from(wire.as_bytes());
        let decoded = DotDecoder::new().decode(&mut input);
        prop_assert!(decoded.end && input.is_empty());
        prop_assert_eq!(&decoded.content[..], &expected[..]);
        let mut check = ContentCheck::new(ContentLimits { line_length: 1000, size: 1000 }, false);
        prop_assert_eq!(check.check(&decoded.content), Ok(()));
    }
}

#[test]
fn agreed_differences() {
    for line in [
        "MAIL FROM: <a@x.test>",
        "MAIL FROM:<a@-x.test>",
        "MAIL FROM:<a@x_y.test>",
        "MAIL FROM:<a@x.test> BY=10;R",
        "RCPT TO:<a@x.test> RRVS=2014-04-03T23:01:00Z",
        "RCPT TO:<\"a\rb\"@x.test>",
    ] {
        assert!(theirs(line).is_some() && ours(line).is_none(), "{line:?}");
    }
    let sender = ReversePath::parse(br#"<"a b"@x.test>"#, false).unwrap();
    assert_eq!(
        sender.mailbox().unwrap().raw(),
        br#""a b"@x.test"#,
        "quotes stay"
    );
    let recipient = ForwardPath::parse(b"<postMASTER>", false).unwrap();
    assert_eq!(recipient, ForwardPath::Postmaster);
    // CR CR LF ends a line of content there. Here it is a fault, and an address with a CR in it is none.
    let wire = b"a\r\r\n.\r\n";
    assert!(DataReceiver::new().ingest(&mut wire.iter(), &mut Vec::new()));
    let decoded = DotDecoder::new().decode(&mut BytesMut::from(&wire[..]));
    let mut check = ContentCheck::new(
        ContentLimits {
            line_length: 1000,
            size: 1000,
        },
        false,
    );
    assert_eq!(check.check(&decoded.content), Err(ContentFault::BareCr));
}
