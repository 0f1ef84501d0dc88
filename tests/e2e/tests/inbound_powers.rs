//! What sinks may say to a client's commands beyond yes and no: who is to be let in, dialogues of their own, replies of another
//! text, and who somebody is.

#![allow(clippy::unwrap_used, missing_docs)]

use std::io;
use std::process::{Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use postern_e2e::client::Client;
use postern_e2e::gateway::Setup;
use postern_e2e::next_hop::NextHop;
use postern_e2e::programs::program;
use postern_e2e::raw_sink::{Asked, Manners, RawSink, Wire, description, proceed};
use postern_e2e::submission::{PASSWORD, Submission, USER};
use postern_proto::v1;
use postern_proto::v1::answer::Kind as Answered;
use postern_proto::v1::decision::Kind as Decided;
use postern_proto::v1::event::Kind as Happened;
use postern_proto::v1::{EventKind, RecipientKind};

const LIMIT: Duration = Duration::from_secs(30);
const CONTENT: &[u8] =
    b"From: a@example.org\r\nDate: Thu, 26 Nov 2026 12:00:00 +0000\r\nMessage-ID: <x@example.org>\r\n\r\nbody\r\n";

fn binding(name: &str, events: &str, keys: &str) -> String {
    format!("[[binding]]\nname = \"{name}\"\nsink = \"{name}\"\nevents = [{events}]\n{keys}\n")
}

/// Answers a question, with `proceed`.
fn answer(wire: &mut Wire, asked: &Asked, kind: Answered) -> io::Result<()> {
    wire.verdict(asked, |verdict| {
        verdict.answer = Some(Box::new(v1::Answer { kind: Some(kind) }));
    })
}

fn edit(wire: &mut Wire, asked: &Asked, kind: v1::edit::Kind) -> io::Result<()> {
    wire.verdict(asked, |verdict| {
        verdict.edits.push(v1::Edit { kind: Some(kind) });
    })
}

fn reject(wire: &mut Wire, asked: &Asked, text: &'static str) -> io::Result<()> {
    wire.decide(
        asked,
        Decided::Reject(v1::Reject {
            reply: reply(550, text),
        }),
    )
}

fn reply(code: u32, text: &'static str) -> Option<v1::Reply> {
    Some(v1::Reply {
        code,
        lines: vec![text.into()],
        ..Default::default()
    })
}

fn event(asked: &Asked) -> Option<&Happened> {
    asked.question()?.kind.as_ref()
}

/// The recipient that a question is about, as its address.
fn recipient(asked: &Asked) -> Option<String> {
    match event(asked) {
        Some(Happened::InboundRcpt(rcpt)) => {
            let address = &rcpt.recipient.as_ref()?.address;
            Some(String::from_utf8_lossy(address).into_owned())
        }
        _ => None,
    }
}

/// The text that a frame's event shows.
fn shown(frame: &v1::AttachRequest) -> String {
    format!("{:?}", frame.kind)
}

/// A directory of recipients: who is here, who may be sent to, and whose they are.
fn directory() -> RawSink {
    RawSink::answering(|wire, asked| {
        let Some(address) = recipient(asked) else {
            return proceed(wire, asked);
        };
        let (local, domain) = address.split_once('@').unwrap_or_default();
        let kind = match (local, domain) {
            ("known", _) => RecipientKind::Hosted,
            ("friend", _) => RecipientKind::Relayed,
            ("gone", _) => return reject(wire, asked, "moved away"),
            _ => return proceed(wire, asked),
        };
        let tenant = if local == "known" { "acme" } else { "" };
        answer(
            wire,
            asked,
            Answered::Rcpt(v1::RcptAnswer {
                recipient_kind: kind.into(),
                tenant: tenant.to_owned(),
                ..Default::default()
            }),
        )
    })
}

/// A gateway that hosts `example.test`, in which nobody is known, and may send out; clients may relay nowhere.
fn hosting(next_hop: &NextHop) -> Setup {
    let setup = Setup::default();
    std::fs::write(setup.folder().join("recipients"), "nobody\n").unwrap();
    let hop = next_hop.address();
    setup.with(&format!(
        "[[domain]]\nname = \"example.test\"\nrecipients = {{ file = \"recipients\" }}\ndeliver = \"smtp://{hop}\"\n\
         [outbound]\ndeliver = \"smtp://{hop}\""
    ))
}

#[test]
fn a_sink_knows_who_is_here_who_may_be_sent_to_and_whose_they_are() {
    let next_hop = NextHop::start();
    let (directory, later) = (directory(), RawSink::start(proceed));
    let gateway = hosting(&next_hop)
        .with(&directory.table("directory"))
        .with(&binding(
            "directory",
            "\"inbound.rcpt\"",
            "may = [\"admit\", \"relay\", \"tenant\"]\npriority = 1",
        ))
        .with(&later.table("later"))
        .with(&binding(
            "later",
            "\"inbound.rcpt\", \"inbound.message\", \"transport.submit\"",
            "may = []\nbody = \"headers\"\nwhen = 'true'",
        ))
        .with(&later.table("acme"))
        .with(&binding(
            "acme",
            "\"transport.submit\"",
            "may = []\nbody = \"headers\"\nwhen = 'message.tenant == \"acme\"'",
        ))
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    for (to, code, words) in [
        ("known@example.test", 250, ""),
        ("unknown@example.test", 550, "No such recipient here"),
        ("gone@example.test", 550, "moved away"),
        // Of a domain that nothing delivers: the sink's word alone is no place for mail.
        ("known@nowhere.test", 451, "incorrectly configured"),
        ("friend@far.test", 250, ""),
        ("stranger@far.test", 550, "Relaying denied"),
    ] {
        let reply = client.command(&format!("RCPT TO:<{to}>"));
        assert_eq!(reply.code, code, "{to}: {reply:?}");
        assert!(reply.text().contains(words), "{to}: {reply:?}");
    }
    client.expect("DATA", 354);
    client.send(postern_e2e::client::stuffed(CONTENT));
    assert_eq!(client.reply().code, 250);
    let mut arrived: Vec<String> = next_hop
        .wait_for(1, LIMIT)
        .into_iter()
        .flat_map(|message| message.recipients)
        .collect();
    arrived.sort();
    assert_eq!(arrived, ["<friend@far.test>", "<known@example.test>"]);
    // Who comes later sees what was answered, at RCPT and from then on.
    let says = |what: &'static [&'static str]| {
        later.wait(LIMIT, |frames| {
            frames
                .iter()
                .map(shown)
                .find(|text| what.iter().all(|part| text.contains(part)))
        })
    };
    let hosted = format!("recipient_kind: {:?}", RecipientKind::Hosted);
    assert!(says(&["InboundRcpt", "known@example.test"]).contains(&hosted));
    says(&["InboundRcpt", "known@example.test", "tenant: \"acme\""]);
    // Two tenants are no tenant: the message belongs to nobody.
    assert!(!gateway.log().contains("tenant="), "{}", gateway.log());
    // A message whose recipients are all one tenant's is that tenant's.
    client.deliver("a@example.org", &["known@example.test"], CONTENT);
    next_hop.wait_for(2, LIMIT);
    says(&["TransportSubmit", "name: \"acme\""]);
    gateway.wait_for_log("tenant=\"acme\"", LIMIT);
    let counted = "postern_tenant_messages_total{server=\"inbound\",tenant=\"acme\"}";
    assert_eq!(gateway.metric(counted), 1);
}

/// Whether or not anybody is asked about the message itself.
#[test]
fn a_sink_says_by_which_way_a_recipient_is_reached() {
    for later in ["", "\"inbound.message\""] {
        let (usual, elsewhere) = (NextHop::start(), NextHop::start());
        let hop = format!("smtp://{}", elsewhere.address());
        let directory = RawSink::answering(move |wire, asked| match recipient(asked) {
            Some(address) if address.starts_with("moved@") => answer(
                wire,
                asked,
                Answered::Rcpt(v1::RcptAnswer {
                    recipient_kind: RecipientKind::Hosted.into(),
                    next_hop: Some(v1::NextHop {
                        deliver: hop.clone(),
                        ..Default::default()
                    }),
                    ..Default::default()
                }),
            ),
            _ => proceed(wire, asked),
        });
        let other = RawSink::start(proceed);
        let mut setup = hosting(&usual)
            .with(&directory.table("directory"))
            .with(&binding(
                "directory",
                "\"inbound.rcpt\"",
                "may = [\"admit\", \"redirect\"]",
            ));
        if !later.is_empty() {
            setup = setup.with(&other.table("later")).with(&binding(
                "later",
                later,
                "may = []\nbody = \"headers\"",
            ));
        }
        let gateway = setup.start();
        let mut client = Client::ready(gateway.smtp());
        // Also in a domain that the configuration does not have.
        let to = [
            "nobody@example.test",
            "moved@example.test",
            "moved@nowhere.test",
        ];
        let reply = client.deliver("a@example.org", &to, CONTENT);
        assert_eq!(reply.code, 250, "{reply:?}");
        let there = elsewhere.wait_for(1, LIMIT);
        let mut recipients: Vec<_> = there
            .into_iter()
            .flat_map(|message| message.recipients)
            .collect();
        recipients.sort();
        assert_eq!(recipients, ["<moved@example.test>", "<moved@nowhere.test>"]);
        let here = usual.wait_for(1, LIMIT);
        assert_eq!(here[0].recipients, ["<nobody@example.test>"]);
    }
}

#[test]
fn what_is_not_granted_admits_nobody() {
    for (may, known, friend) in [
        ("", 451, 451),
        ("\"tenant\"", 451, 451),
        ("\"admit\"", 451, 451),
        ("\"admit\", \"tenant\"", 250, 451),
        ("\"admit\", \"relay\"", 451, 250),
    ] {
        let next_hop = NextHop::start();
        let directory = directory();
        let gateway = hosting(&next_hop)
            .with(&directory.table("directory"))
            .with(&binding(
                "directory",
                "\"inbound.rcpt\"",
                &format!("may = [{may}]"),
            ))
            .start();
        let mut client = Client::ready(gateway.smtp());
        client.expect("MAIL FROM:<a@example.org>", 250);
        for (to, code) in [("known@example.test", known), ("friend@far.test", friend)] {
            let reply = client.command(&format!("RCPT TO:<{to}>"));
            assert_eq!(reply.code, code, "may = [{may}]: {to}: {reply:?}");
        }
    }
}

/// A group of RCPTs is answered one by one, each with its own word, in the order of the commands.
#[test]
fn each_of_a_pipelined_group_has_its_own_answer() {
    let next_hop = NextHop::start();
    let directory = directory();
    let gateway = hosting(&next_hop)
        .with(&directory.table("directory"))
        .with(&binding(
            "directory",
            "\"inbound.rcpt\"",
            "may = [\"admit\", \"relay\", \"tenant\"]",
        ))
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.send(
        "MAIL FROM:<a@example.org>\r\nRCPT TO:<known@example.test>\r\nRCPT TO:<x@example.test>\r\n\
         RCPT TO:<friend@far.test>\r\nRCPT TO:<y@far.test>\r\nRSET\r\nRCPT TO:<known@example.test>\r\n",
    );
    let codes: Vec<u16> = (0..7).map(|_| client.reply().code).collect();
    assert_eq!(codes, [250, 250, 550, 250, 550, 250, 503]);
}

#[test]
fn a_sink_may_let_a_client_relay_and_say_who_it_is() {
    let next_hop = NextHop::start();
    let relays = RawSink::answering(|wire, asked| match event(asked) {
        Some(Happened::InboundMail(_)) => edit(
            wire,
            asked,
            v1::edit::Kind::SetRelay(v1::SetRelay { may_relay: true }),
        ),
        _ => proceed(wire, asked),
    });
    let gateway = hosting(&next_hop)
        .with(&relays.table("relays"))
        .with(&binding(
            "relays",
            "\"inbound.mail\"",
            "may = [\"relay\"]\nrule = \"MAIL FROM=*@trusted.test\"",
        ))
        .start();
    let mut client = Client::ready(gateway.smtp());
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<x@far.test>", 550);
    client.expect("RSET", 250);
    client.expect("MAIL FROM:<a@trusted.test>", 250);
    client.expect("RCPT TO:<x@far.test>", 250);
    // Of a server where mail needs AUTH: by what the handshake has shown.
    let knows = RawSink::answering(|wire, asked| {
        edit(
            wire,
            asked,
            v1::edit::Kind::SetAuthenticated(v1::SetAuthenticated {
                identity: "device-7".into(),
            }),
        )
    });
    let keys = format!(
        "{}{}",
        knows.table("knows"),
        binding(
            "knows",
            "\"inbound.tls\"",
            "may = [\"authenticated\"]\nservers = [\"submission\"]"
        )
    );
    let submission = Submission::start(&keys, next_hop.address());
    let (mut client, _) = Client::ready(submission.starttls).start_tls("mx.example.test");
    client.expect("AUTH PLAIN", 503);
    client.expect("MAIL FROM:<anybody@example.org>", 250);
    submission
        .gateway
        .wait_for_log("authenticated by a sink", LIMIT);
    assert!(submission.gateway.log().contains("device-7"));
}

/// A sink that adds XTALK: it wants a line, then five octets, and says what it got; `XTALK now` wants the octets at once.
fn talker() -> RawSink {
    let manners = Manners {
        description: Some(v1::DescribeResponse {
            events: vec![v1::EventInterest {
                event: EventKind::InboundCommand.into(),
                ..Default::default()
            }],
            grants: vec!["respond".to_owned(), "ehlo".to_owned()],
            verbs: vec![
                v1::Verb {
                    name: "XTALK".into(),
                    help: "talks with the sink".into(),
                },
                v1::Verb {
                    name: "QUIT".into(),
                    help: "is the service's own".into(),
                },
            ],
            ehlo_keywords: vec!["XTALK 5".into(), "AUTH PLAIN".into()],
            ..description(1)
        }),
        ..Manners::default()
    };
    RawSink::with(manners, |wire, asked| {
        let Some(Happened::InboundCommand(command)) = event(asked) else {
            return proceed(wire, asked);
        };
        let line = command.command.as_ref().map(|own| own.line.clone());
        let line = line.unwrap_or_default();
        if !line.starts_with(b"XTALK") {
            return proceed(wire, asked);
        }
        let go_on = |wire: &mut Wire, reply, expects| {
            wire.verdict(asked, |verdict| {
                verdict.decision = Some(v1::Decision {
                    kind: Some(Decided::Respond(v1::Respond::default())),
                });
                verdict.answer = Some(Box::new(v1::Answer {
                    kind: Some(Answered::Dialogue(v1::DialogueAnswer {
                        reply,
                        expects: Some(expects),
                    })),
                }));
            })
        };
        let a_line = v1::dialogue_answer::Expects::Line(v1::ExpectLine { max_bytes: 20 });
        let octets = v1::dialogue_answer::Expects::Octets(v1::ExpectOctets { size_bytes: 5 });
        match command.dialogue_input.as_deref() {
            None if line.ends_with(b"now") => go_on(wire, None, octets),
            None => go_on(wire, reply(354, "say something"), a_line),
            Some(b"stop") => reject(wire, asked, "as you like"),
            Some(b"proceed") => proceed(wire, asked),
            Some(b"five") => go_on(wire, reply(334, "five octets"), octets),
            Some(said) => {
                let text = format!("heard {}", said.escape_ascii());
                wire.decide(
                    asked,
                    Decided::Respond(v1::Respond {
                        reply: Some(v1::Reply {
                            code: 250,
                            lines: vec![text.into()],
                            ..Default::default()
                        }),
                    }),
                )
            }
        }
    })
}

/// A gateway with that sink, which the operator has accepted with what it adds.
fn talking(sink: &RawSink) -> postern_e2e::gateway::Gateway {
    let setup = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:9")
        .with(&sink.table("talker"))
        .with("[[binding]]\nname = \"talker\"\nsink = \"talker\"\n");
    let output = Command::new(program("postern"))
        .args(["check", "--accept", "talker", "--config"])
        .arg(setup.write())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    for left_out in ["the verb \"QUIT\"", "the EHLO keyword \"AUTH PLAIN\""] {
        assert!(said.contains(left_out), "{said}");
    }
    setup.start()
}

#[test]
fn a_sink_adds_a_verb_and_carries_a_dialogue() {
    let sink = talker();
    let gateway = talking(&sink);
    let mut client = Client::open(gateway.smtp());
    assert_eq!(client.reply().code, 220);
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(ehlo.lines.contains(&"XTALK 5".to_owned()), "{ehlo:?}");
    assert!(!ehlo.text().contains("AUTH"), "{ehlo:?}");
    let help = client.expect("HELP", 214);
    assert!(
        help.text().contains("XTALK talks with the sink"),
        "{help:?}"
    );
    // Commands within are what the client says, and nothing else.
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("XTALK", 354);
    assert!(client.expect("RSET", 250).text().ends_with("heard RSET"));
    client.expect("XTALK", 354);
    client.expect("five", 334);
    client.send("a\r\nbc");
    assert!(client.reply().text().ends_with("heard a\\r\\nbc"));
    client.expect("XTALK", 354);
    let refused = client.expect("stop", 550);
    assert!(refused.text().ends_with("as you like"), "{refused:?}");
    // Within a group, and with octets right behind the command, as the sink wants them.
    client.send(
        "RCPT TO:<a@example.test>\r\nXTALK now\r\nNOOP\nRCPT TO:<b@example.test>\r\nXOTHER\r\nRSET\r\n",
    );
    let replies: Vec<_> = (0..5).map(|_| client.reply()).collect();
    let codes: Vec<u16> = replies.iter().map(|reply| reply.code).collect();
    assert_eq!(codes, [250, 250, 250, 500, 250], "{replies:?}");
    assert!(replies[1].text().ends_with("heard NOOP\\n"), "{replies:?}");
    let registered = format!("handling: {:?}", v1::CommandHandling::Registered);
    let told = sink
        .frames()
        .iter()
        .map(shown)
        .any(|text| text.contains(&registered));
    assert!(told, "the sink hears that the verb is its own");
}

#[test]
fn nothing_in_a_dialogue_is_taken_for_a_command() {
    let sink = talker();
    let gateway = talking(&sink);
    // Said before the sink has told the client to go on.
    let mut client = Client::ready(gateway.smtp());
    client.send("XTALK\r\nMAIL FROM:<a@example.org>\r\nRCPT TO:<b@example.test>\r\n");
    let refused = client.reply();
    assert_eq!(refused.code, 554, "{refused:?}");
    client.expect_closed();
    // Longer than the sink wants.
    let mut client = Client::ready(gateway.smtp());
    client.expect("XTALK", 354);
    client.send(format!(
        "{}\r\nMAIL FROM:<a@example.org>\r\n",
        "x".repeat(21)
    ));
    assert_eq!(client.reply().code, 500);
    client.expect_closed();
    // A sink that breaks the rules in a dialogue: what it would have taken next nobody knows.
    let mut client = Client::ready(gateway.smtp());
    client.expect("XTALK", 354);
    client.send("proceed\r\n");
    assert_eq!(client.reply().code, 451);
    client.send("MAIL FROM:<a@example.org>\r\n");
    client.expect_closed();
    // One that is gone, with octets behind the verb.
    let mut client = Client::ready(gateway.smtp());
    let mut patient = Client::ready(gateway.smtp());
    drop(sink);
    client.send("XTALK now\r\nMAIL FROM:<a@example.org>\r\n");
    assert_eq!(client.reply().code, 451);
    client.expect_closed();
    // The same, with the octets only when the verb has its reply.
    patient.expect("XTALK now", 451);
    patient.send("MAIL FROM:<a@example.org>\r\n");
    patient.expect_closed();
    gateway.wait_for_log("dialogue", LIMIT);
}

#[test]
fn a_reply_is_given_other_words_and_a_greeting_other_keywords() {
    let sink = RawSink::answering(|wire, asked| {
        let Some(Happened::InboundResponse(response)) = event(asked) else {
            return proceed(wire, asked);
        };
        let said = match &response.verb[..] {
            b"EHLO" => v1::ResponseAnswer {
                reply: reply(250, "pleased to meet you"),
                added_lines: vec!["XTHING a".into()],
                removed_keywords: vec!["SIZE".into(), "dsn".into(), "CHUNKING".into()],
            },
            b"NOOP" => v1::ResponseAnswer {
                reply: reply(252, "rather this"),
                added_lines: vec!["and this".into()],
                ..Default::default()
            },
            // The service's own word, whether it offers it now or not: a client would show its password to it.
            b"HELP" => v1::ResponseAnswer {
                removed_keywords: vec!["SIZE".into()],
                ..Default::default()
            },
            b"LHLO" => return proceed(wire, asked),
            _ => return proceed(wire, asked),
        };
        answer(wire, asked, Answered::Response(said))
    });
    let gateway = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:9")
        .with(&sink.table("words"))
        .with(&binding(
            "words",
            "\"inbound.response\"",
            "may = [\"ehlo\"]\non_failure = \"continue\"",
        ))
        .start();
    let mut client = Client::open(gateway.smtp());
    assert_eq!(client.reply().code, 220);
    // Who does not wait for the reply is held to it all the same.
    client.send("EHLO client.example.test\r\nMAIL FROM:<a@example.org> SIZE=10\r\n");
    let ehlo = client.reply();
    assert_eq!(ehlo.code, 250);
    let lines: Vec<&str> = ehlo.lines.iter().map(String::as_str).collect();
    assert_eq!(lines.first(), Some(&"pleased to meet you"), "{ehlo:?}");
    assert_eq!(lines.last(), Some(&"XTHING a"), "{ehlo:?}");
    for gone in ["SIZE", "DSN", "CHUNKING"] {
        assert!(!lines.iter().any(|line| line.starts_with(gone)), "{ehlo:?}");
    }
    assert!(lines.contains(&"PIPELINING"), "{ehlo:?}");
    assert_eq!(client.reply().code, 555, "SIZE was not offered");
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<b@example.test> NOTIFY=NEVER", 555);
    client.expect("RCPT TO:<b@example.test>", 250);
    client.send("BDAT 4 LAST\r\nRSET");
    assert_eq!(client.reply().code, 502);
    let noop = client.expect("NOOP", 252);
    assert!(noop.lines[0].ends_with("rather this"), "{noop:?}");
    assert!(noop.lines[1].ends_with("and this"), "{noop:?}");
    // Nonsense is the sink's failure, and the reply stands.
    client.expect("HELP", 214);
}

#[test]
fn no_sink_makes_clients_show_their_passwords() {
    let sink = RawSink::answering(|wire, asked| {
        answer(
            wire,
            asked,
            Answered::Response(v1::ResponseAnswer {
                added_lines: vec!["AUTH PLAIN".into()],
                ..Default::default()
            }),
        )
    });
    let gateway = Setup::default()
        .domain("example.test", "smtp://127.0.0.1:9")
        .with(&sink.table("words"))
        .with(&binding(
            "words",
            "\"inbound.response\"",
            "may = [\"ehlo\"]\non_failure = \"continue\"\nrule = \"EHLO=*\"",
        ))
        .start();
    let mut client = Client::open(gateway.smtp());
    assert_eq!(client.reply().code, 220);
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(!ehlo.text().contains("AUTH"), "{ehlo:?}");
}

const SECRET: &str = "zuerich-tagliatelle";

/// Knows clients by a token that it asks for.
fn door() -> RawSink {
    RawSink::answering(|wire, asked| match event(asked) {
        Some(Happened::InboundHelo(_)) => {
            let names = vec!["XTOKEN".into()];
            let kind = v1::auth_answer::Kind::Mechanisms(v1::AuthMechanisms { names });
            answer(
                wire,
                asked,
                Answered::Auth(v1::AuthAnswer { kind: Some(kind) }),
            )
        }
        Some(Happened::InboundAuth(auth)) if &auth.mechanism[..] == b"XTOKEN" => {
            let kind = match (auth.step, auth.response.as_deref()) {
                (1, None) => v1::auth_answer::Kind::Challenge(v1::AuthChallenge {
                    challenge: "token?".into(),
                }),
                (_, Some(token)) if token == SECRET.as_bytes() => {
                    v1::auth_answer::Kind::Success(v1::AuthSuccess {
                        identity: "robot@example.org".into(),
                        may_relay: true,
                        tenant: "acme".to_owned(),
                        ..Default::default()
                    })
                }
                _ => return reject(wire, asked, "wrong token"),
            };
            answer(
                wire,
                asked,
                Answered::Auth(v1::AuthAnswer { kind: Some(kind) }),
            )
        }
        _ => proceed(wire, asked),
    })
}

#[test]
fn a_sink_authenticates_clients_beside_the_users_of_the_server() {
    let next_hop = NextHop::start();
    let (door, blind) = (door(), RawSink::answering(proceed));
    let keys = [
        door.table("door"),
        binding(
            "door",
            "\"inbound.helo\", \"inbound.auth\"",
            "may = [\"authenticated\", \"relay\", \"tenant\"]\nreads = [\"session\", \"credentials\"]\nservers = [\"submission\"]",
        ),
        blind.table("blind"),
        binding("blind", "\"inbound.auth\", \"inbound.command\"", "may = []"),
    ];
    let submission = Submission::start(&keys.concat(), next_hop.address());
    let encoded = |text: &str| STANDARD.encode(text);
    let in_tls = || Client::ready(submission.starttls).start_tls("mx.example.test");
    // Not offered where somebody may listen.
    let mut client = Client::open(submission.starttls);
    assert_eq!(client.reply().code, 220);
    let ehlo = client.expect("EHLO client.example.test", 250);
    assert!(!ehlo.text().contains("XTOKEN"), "{ehlo:?}");
    let (mut client, ehlo) = in_tls();
    assert!(
        ehlo.text()
            .contains("AUTH SCRAM-SHA-256 PLAIN LOGIN XTOKEN"),
        "{ehlo:?}"
    );
    // A wrong one, in one go.
    let refused = client.expect(&format!("AUTH XTOKEN {}", encoded("guess")), 535);
    assert!(refused.text().contains("wrong token"), "{refused:?}");
    client.expect("MAIL FROM:<a@example.org>", 530);
    // Given up.
    client.expect("AUTH XTOKEN", 334);
    client.expect("*", 501);
    // And the right one, which the sink asks for.
    let challenge = client.expect("AUTH XTOKEN", 334);
    assert_eq!(challenge.text(), encoded("token?"));
    client.expect(&encoded(SECRET), 235);
    client.expect("AUTH XTOKEN", 503);
    let reply = client.deliver("robot@example.org", &["x@far.test"], CONTENT);
    assert_eq!(reply.code, 250, "{reply:?}");
    next_hop.wait_for(1, LIMIT);
    let log = &submission.gateway;
    log.wait_for_log("tenant=\"acme\"", LIMIT);
    // The users of the file have theirs, and only who says so sees what they say.
    let (mut client, _) = in_tls();
    client.expect(
        &format!(
            "AUTH PLAIN {}",
            encoded(&format!("\0{USER}\0wrong {SECRET}"))
        ),
        535,
    );
    client.expect(
        &format!("AUTH PLAIN {}", encoded(&format!("\0{USER}\0{PASSWORD}"))),
        235,
    );
    let seen = |sink: &RawSink, text: &str| {
        sink.frames()
            .iter()
            .map(shown)
            .any(|own| own.contains(text))
    };
    assert!(seen(&door, SECRET) && seen(&door, PASSWORD));
    assert!(seen(&blind, "InboundAuth"));
    for secret in [SECRET, PASSWORD, &encoded(SECRET)] {
        assert!(!seen(&blind, secret));
        assert!(!log.log().contains(secret), "{}", log.log());
    }
    let counted = |result: &str| {
        log.metric(&format!(
            "postern_authentications_total{{server=\"submission\",mechanism=\"sink\",result=\"{result}\"}}"
        ))
    };
    assert_eq!((counted("ok"), counted("failed")), (1, 1));
}

/// Whoever guesses at a sink is barred as who guesses at the file.
#[test]
fn guessing_at_a_sink_is_bounded() {
    let next_hop = NextHop::start();
    let door = door();
    let keys = [
        "failures_per_client = 2\n".to_owned(),
        door.table("door"),
        binding(
            "door",
            "\"inbound.helo\", \"inbound.auth\"",
            "may = [\"authenticated\", \"relay\", \"tenant\"]\nreads = [\"credentials\"]\nservers = [\"submission\"]",
        ),
    ];
    let submission = Submission::start(&keys.concat(), next_hop.address());
    let guess = |text: &str| format!("AUTH XTOKEN {}", STANDARD.encode(text));
    let (mut client, _) = Client::ready(submission.starttls).start_tls("mx.example.test");
    client.expect(&guess("one"), 535);
    client.expect(&guess("two"), 535);
    let asked = door.asked();
    client.expect(&guess(SECRET), 454);
    assert_eq!(door.asked(), asked, "it was not asked");
}

#[test]
fn over_lmtp_a_sink_says_as_much() {
    let words = RawSink::answering(|wire, asked| match event(asked) {
        Some(Happened::InboundResponse(response)) if &response.verb[..] == b"LHLO" => {
            let said = v1::ResponseAnswer {
                added_lines: vec!["XTHING".into()],
                removed_keywords: vec!["DSN".into()],
                ..Default::default()
            };
            answer(wire, asked, Answered::Response(said))
        }
        _ => proceed(wire, asked),
    });
    let (next_hop, directory) = (NextHop::start(), directory());
    let gateway = hosting(&next_hop)
        .server("protocol = \"lmtp\"")
        .with(&words.table("words"))
        .with(&binding(
            "words",
            "\"inbound.response\"",
            "may = [\"ehlo\"]",
        ))
        .with(&directory.table("directory"))
        .with(&binding(
            "directory",
            "\"inbound.rcpt\"",
            "may = [\"admit\", \"relay\", \"tenant\"]",
        ))
        .start();
    let mut client = Client::open(gateway.smtp());
    assert_eq!(client.reply().code, 220);
    let greeting = client.expect("LHLO client.example.test", 250);
    assert!(
        greeting.lines.contains(&"XTHING".to_owned()),
        "{greeting:?}"
    );
    assert!(!greeting.lines.contains(&"DSN".to_owned()), "{greeting:?}");
    client.expect("MAIL FROM:<a@example.org> RET=HDRS", 555);
    client.expect("MAIL FROM:<a@example.org>", 250);
    client.expect("RCPT TO:<known@example.test>", 250);
    client.expect("RCPT TO:<x@example.test>", 550);
    client.expect("RCPT TO:<friend@far.test>", 250);
    client.expect("DATA", 354);
    client.send(postern_e2e::client::stuffed(CONTENT));
    assert_eq!([client.reply().code, client.reply().code], [250, 250]);
}
