//! Five sinks on which the shape of the SDK was tried.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use postern_sdk::testing::Session;
use postern_sdk::{
    Carried, EventKind, Fault, Mail, Message, Progress, Properties, Rcpt, Sender,
    Session as Client, Sink, State, Verdict, inbound, sink, transport,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

const CONTENT: &str = "Subject: hello\r\n\r\nHello.\r\n";

fn one_message(sink: Sink) -> Session {
    Session::connect(sink, "192.0.2.1")
        .ehlo("client.example.test")
        .mail("a@example.org")
        .rcpt("b@example.test")
        .message(CONTENT)
}

/// 1. A stamp: nothing of the message need be shown.
mod stamp {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Stamp {
        header: String,
    }

    async fn stamp(stamp: Properties<Stamp>, client: Client) -> Verdict {
        Verdict::proceed().set_header(&stamp.header, format!("session={}", client.id()))
    }

    #[test]
    fn it_sets_a_field_by_name() {
        let sink = sink!()
            .may("headers:X-*")
            .on(inbound::MESSAGE.nothing(), stamp);
        let transcript = one_message(sink)
            .properties(&json!({ "header": "X-Trace" }))
            .play();
        assert!(transcript.mail().header("X-Trace")[0].starts_with("session=019a"));
    }
}

/// 2. A disclaimer: reads the body and appends to it.
mod disclaimer {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    struct Footer {
        text: String,
    }

    async fn append(footer: Properties<Footer>, mut message: Message) -> Result<Verdict, Fault> {
        if message.headers.get("Content-Type").is_some() {
            return Ok(Verdict::proceed().reason("left-alone"));
        }
        message
            .append_to_body(format!("{}\r\n", footer.text))
            .await?;
        Ok(Verdict::proceed().reason("added"))
    }

    #[test]
    fn it_appends_its_text() {
        let sink = sink!().may("body").on(transport::SUBMIT.full(), append);
        let transcript = one_message(sink)
            .properties(&json!({ "text": "Confidential." }))
            .play();
        assert_eq!(transcript.mail().body(), b"Hello.\r\nConfidential.\r\n");
    }
}

/// 3. Greylisting at RCPT: the client's network, the sender and the recipient, seen before or not.
mod greylist {
    use super::*;

    #[derive(Default)]
    struct Seen(Mutex<HashSet<(Option<IpAddr>, String, String)>>);

    async fn rcpt(rcpt: Rcpt, sender: Sender, client: Client, seen: Carried<Seen>) -> Verdict {
        let triplet = (
            client.client_ip(),
            sender.to_string(),
            rcpt.address().to_string(),
        );
        match seen.0.lock().unwrap().insert(triplet) {
            true => Verdict::tempfail("Come back later").reason("greylisted"),
            false => Verdict::proceed(),
        }
    }

    #[test]
    fn a_triplet_is_let_in_the_second_time() {
        let sink = sink!()
            .with(Seen::default())
            .side_effects()
            .on(inbound::RCPT, rcpt);
        let transcript = one_message(sink)
            .reset()
            .mail("a@example.org")
            .rcpt("b@example.test")
            .message(CONTENT)
            .play();
        assert_eq!(transcript.mails().len(), 1);
        let first = transcript
            .answers_to(EventKind::InboundRcpt)
            .next()
            .unwrap();
        assert_eq!(first.as_ref().unwrap().as_proto().reason_code, "greylisted");
    }
}

/// 4. A counter for each session, with what it may come to set by the operator.
mod counter {
    use super::*;

    #[derive(Deserialize, JsonSchema)]
    #[serde(default)]
    struct Most {
        recipients: usize,
    }

    impl Default for Most {
        fn default() -> Self {
            Self { recipients: 100 }
        }
    }

    #[derive(Default)]
    struct Count {
        recipients: usize,
    }

    async fn mail(count: State<Count>, mail: Mail) -> Verdict {
        if !mail.is_replayed() {
            count.lock().recipients = 0;
        }
        Verdict::proceed()
    }

    async fn rcpt(count: State<Count>, most: Properties<Most>) -> Verdict {
        let mut count = count.lock();
        count.recipients += 1;
        match count.recipients > most.recipients {
            true => Verdict::reject("Too many recipients").reason("too-many"),
            false => Verdict::proceed(),
        }
    }

    #[test]
    fn the_count_is_kept_between_events() {
        let sink = || sink!().on(inbound::MAIL, mail).on(inbound::RCPT, rcpt);
        let script = |sink| {
            Session::connect(sink, "192.0.2.1")
                .properties(&json!({ "recipients": 2 }))
                .mail("a@example.org")
                .pipelined_rcpts(&["1@example.test", "2@example.test"])
        };
        let transcript = script(sink()).rcpt("3@example.test").play();
        let reply = transcript.reply(EventKind::InboundRcpt);
        assert_eq!(reply, Some((550, "Too many recipients".to_owned())));
        // What was asked is told again where the instance is opened anew, so the count is right there too.
        let transcript = script(sink()).parked().rcpt("3@example.test").play();
        let reply = transcript.reply(EventKind::InboundRcpt);
        assert_eq!(reply, Some((550, "Too many recipients".to_owned())));
    }
}

/// 5. A scanner: takes the body as it comes, refuses before its end, asks for more time.
mod scanner {
    use super::*;

    async fn scan(mut message: Message, progress: Progress) -> Result<Verdict, Fault> {
        let mut octets = 0;
        while let Some(chunk) = message.next_chunk().await? {
            octets += chunk.len();
            if chunk.windows(5).any(|window| window == b"EICAR") {
                return Ok(Verdict::reject("Infected").reason("virus"));
            }
        }
        progress.tell("thinking it over").await;
        tokio::time::sleep(Duration::from_secs(8)).await;
        Ok(Verdict::proceed().explain(format!("{octets} octets")))
    }

    #[test]
    fn it_refuses_before_the_end_and_takes_its_time() {
        let sink = || {
            sink!()
                .reads("original")
                .reads("body")
                .on(inbound::MESSAGE.full(), scan)
        };
        let script = |content: String| {
            Session::connect(sink(), "192.0.2.1")
                .chunks_of(10_000)
                .mail("a@example.org")
                .rcpt("b@example.test")
                .message(content)
                .play()
        };
        let transcript = script(format!("A: b\r\n\r\nEICAR{}", "x".repeat(1_000_000)));
        assert_eq!(
            transcript.reply(EventKind::InboundMessage),
            Some((550, "Infected".to_owned()))
        );
        let transcript = script(format!("A: b\r\n\r\n{}", "x".repeat(1_000_000)));
        let verdict = transcript.verdict(EventKind::InboundMessage).as_proto();
        assert_eq!(verdict.explanation, "1000000 octets");
        assert_eq!(transcript.activities(), ["thinking it over"]);
    }
}
