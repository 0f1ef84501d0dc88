//! Bodies: as they come, whole, by range; edits of them; uploads.

use postern_sdk::testing::{Session, Transcript};
use postern_sdk::{
    ContentError, EventKind, Fault, Interest, Message, Sink, Verdict, inbound, sink, v1,
};

const LIMIT: u64 = 64 << 20;
const MESSAGE: Interest<v1::InboundMessage> = inbound::MESSAGE;

fn session<F, T>(
    interest: Interest<v1::InboundMessage>,
    judge: F,
    raw: impl Into<Vec<u8>>,
) -> Session
where
    F: Fn(Message) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Verdict, Fault>> + Send + 'static,
{
    let sink: Sink = sink!().may("body").may("headers").on(interest, judge);
    Session::connect(sink, "192.0.2.1")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message(raw)
}

fn edits(transcript: &Transcript) -> &[v1::Edit] {
    &transcript
        .verdict(EventKind::InboundMessage)
        .as_proto()
        .edits
}

#[test]
fn a_new_body_becomes_the_smallest_splice() {
    let change = async |mut message: Message| {
        let text = String::from_utf8(message.body(LIMIT).await?.to_vec())?;
        message.set_body(text.replace("world", "moon"))?;
        message.headers.set("Subject", "changed")?;
        Ok(Verdict::proceed())
    };
    let raw = "Subject: hello\r\n\r\nHello, world, again.\r\n";
    let transcript = session(MESSAGE.full(), change, raw).play();
    assert_eq!(
        transcript.mail().text(),
        "Subject: changed\r\n\r\nHello, moon, again.\r\n"
    );
    let Some(v1::edit::Kind::SpliceBody(splice)) = &edits(&transcript)[1].kind else {
        panic!("{:?}", edits(&transcript))
    };
    assert_eq!((splice.offset, splice.remove_bytes), (7, 5));
}

#[test]
fn edits_of_a_refused_message_are_dropped() {
    let refuse = async |mut message: Message| {
        message.headers.append("X-Seen", "yes")?;
        Ok(Verdict::reject("Go away"))
    };
    let transcript = session(MESSAGE, refuse, "Subject: hello\r\n\r\n").play();
    assert!(edits(&transcript).is_empty());
    assert_eq!(
        transcript.reply(EventKind::InboundMessage),
        Some((550, "Go away".to_owned()))
    );
    assert!(!transcript.accepted());
}

#[test]
fn a_large_body_comes_under_credit_and_goes_back_in_an_upload() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let turn = async |mut message: Message| {
        let mut turned = message.body(LIMIT).await?.to_vec();
        turned.reverse();
        message.set_body(turned)?;
        Ok(Verdict::proceed())
    };
    let raw = [b"Subject: large\r\n\r\n", body.as_slice()].concat();
    let transcript = session(MESSAGE.full(), turn, raw).chunks_of(40_000).play();
    let turned: Vec<u8> = body.into_iter().rev().collect();
    assert!(transcript.mail().body() == turned);
}

#[test]
fn a_gateway_without_uploads_is_told_what_does_not_fit() {
    let grow = async |mut message: Message| {
        message.set_body(vec![b'x'; 600 << 10])?;
        Ok(Verdict::proceed())
    };
    let transcript = session(MESSAGE.full(), grow, "A: b\r\n\r\nx")
        .limits(|limits| limits.upload_credit_bytes = 0)
        .play();
    let fault = transcript.fault(EventKind::InboundMessage);
    assert!(
        fault
            .detail()
            .contains("614400 octets, and this gateway takes 524288"),
        "{fault:?}"
    );
}

#[test]
fn a_body_is_streamed_to_its_end_and_appended_to() {
    let count = async |mut message: Message| {
        let mut octets = 0;
        while let Some(chunk) = message.next_chunk().await? {
            octets += chunk.len();
        }
        assert_eq!(message.body(LIMIT).await, Err(ContentError::Taken));
        message
            .append_to_body(format!("{octets} octets\r\n"))
            .await?;
        Ok(Verdict::proceed())
    };
    let raw = format!("Subject: x\r\n\r\n{}", "0123456789abcdef".repeat(20_000));
    let transcript = session(MESSAGE.full(), count, raw).chunks_of(1000).play();
    assert!(transcript.mail().body().ends_with(b"cdef320000 octets\r\n"));
}

#[test]
fn a_body_that_is_not_read_need_not_be_sent_to_be_appended_to() {
    let append = async |mut message: Message| {
        message.append_to_body("footer\r\n").await?;
        Ok(Verdict::proceed())
    };
    let raw = format!("Subject: x\r\n\r\n{}", "x".repeat(500_000));
    let transcript = session(MESSAGE.full(), append, raw).play();
    assert!(transcript.mail().body().ends_with(b"xxxfooter\r\n"));
    assert_eq!(transcript.mail().body().len(), 500_008);
}

#[test]
fn ranges_are_read_on_demand() {
    let read = async |mut message: Message| {
        assert_eq!(message.next_chunk().await, Err(ContentError::NotShown));
        assert_eq!(message.read(5, 3).await?, "567");
        assert_eq!(message.read(8, 100).await?, "89");
        assert_eq!(message.read(10, 100).await?, "");
        let whole = message.body(LIMIT).await?;
        Ok(Verdict::proceed().explain(format!("{} octets", whole.len())))
    };
    let transcript = session(MESSAGE.on_demand(), read, "Subject: x\r\n\r\n0123456789").play();
    let verdict = transcript.verdict(EventKind::InboundMessage).as_proto();
    assert_eq!(verdict.explanation, "10 octets");
}

#[test]
fn too_large_a_body_and_a_panic_are_faults_at_once() {
    let small = async |mut message: Message| {
        message.body(3).await?;
        Ok(Verdict::proceed())
    };
    let transcript = session(MESSAGE.full(), small, "A: b\r\n\r\ntoo long").play();
    let fault = transcript.fault(EventKind::InboundMessage);
    assert_eq!(fault.detail(), "the body is larger than 3 octets");

    let panics = async |_: Message| -> Result<Verdict, Fault> { panic!("a bug") };
    let transcript = session(MESSAGE.full(), panics, "A: b\r\n\r\n").play();
    let fault = transcript.fault(EventKind::InboundMessage);
    assert_eq!(fault.detail(), "the handler panicked: a bug");
}

#[test]
fn a_message_that_is_kept_beyond_the_handler_is_a_fault() {
    let keep = async |mut message: Message| {
        message.headers.append("X-Lost", "1")?;
        std::mem::forget(message);
        Ok(Verdict::proceed())
    };
    let transcript = session(MESSAGE, keep, "A: b\r\n\r\n").play();
    let fault = transcript.fault(EventKind::InboundMessage);
    assert!(fault.detail().contains("still held elsewhere"), "{fault:?}");
}

#[test]
fn header_fields_and_texts_are_decoded() {
    let decode = async |mut message: Message| {
        let subject = message
            .headers
            .get("Subject")
            .map(|subject| subject.decoded());
        let texts = message.texts(LIMIT).await?;
        let texts: Vec<_> = texts
            .iter()
            .map(|part| format!("{}{:?}:{}", part.is_html, part.file_name, part.text.trim()))
            .collect();
        Ok(Verdict::proceed().explain(format!(
            "{} {}",
            subject.unwrap_or_default(),
            texts.join(" ")
        )))
    };
    let raw = "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n  =?utf-8?b?IQ==?=\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=x\r\n\r\n\
        --x\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n\
        Gr=FC=DFe\r\n--x\r\nContent-Type: text/plain; name=notes.txt\r\nContent-Disposition: attachment; \
        filename=notes.txt\r\n\r\nnote\r\n--x--\r\n";
    let transcript = session(MESSAGE.full(), decode, raw).play();
    let verdict = transcript.verdict(EventKind::InboundMessage).as_proto();
    assert_eq!(
        verdict.explanation,
        "Grüße! falseNone:Grüße falseSome(\"notes.txt\"):note"
    );
}

#[test]
fn a_client_that_goes_away_cancels_the_handler() {
    let hang = async |mut message: Message| -> Result<Verdict, Fault> {
        message.body(LIMIT).await?;
        panic!("the body never ends")
    };
    let sink = sink!().on(MESSAGE.full(), hang);
    let transcript = Session::connect(sink, "192.0.2.1")
        .mail("a@example.test")
        .rcpt("b@example.test")
        .message_cut(format!("A: b\r\n\r\n{}", "x".repeat(200_000)), 100_000)
        .play();
    assert!(!transcript.accepted());
    assert_eq!(transcript.answers().len(), 0);
}
