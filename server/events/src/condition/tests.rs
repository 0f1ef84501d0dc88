#![allow(clippy::unwrap_used)]
use proptest::prelude::*;

use super::*;
use crate::attributes::AttributeValue;
use crate::fault::FaultKind;

/// Every attribute that a test gives, and nothing else.
struct Source(Vec<(Attribute, AttributeValue)>);

impl AttributeSource for Source {
    fn value(&self, attribute: Attribute) -> Option<AttributeValue> {
        self.0
            .iter()
            .find(|(own, _)| *own == attribute)
            .map(|(_, value)| value.clone())
    }
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

fn submit(condition: &str) -> Result<Condition, ConditionError> {
    Condition::compile(condition, &[EventKind::TransportSubmit])
}

#[test]
fn the_example_of_the_design_holds() {
    let condition = submit("session.may_relay && message.size < 10485760").unwrap();
    assert_eq!(
        condition.attributes(),
        [Attribute::SessionMayRelay, Attribute::MessageSize]
    );
    assert!(condition.reads_size());
    let twice = submit("message.size > 1 && message.size < 3").unwrap();
    assert_eq!(twice.attributes(), [Attribute::MessageSize]);
    let source = |size| {
        Source(vec![
            (Attribute::SessionMayRelay, AttributeValue::Bool(true)),
            (Attribute::MessageSize, AttributeValue::Int(size)),
        ])
    };
    assert_eq!(condition.holds(&source(1000)), Ok(true));
    assert_eq!(condition.holds(&source(10_485_760)), Ok(false));
}

#[test]
fn lists_maps_and_methods_work() {
    let condition = submit(
        r#"message.recipients.exists(r, r.endsWith("@example.test")) && "x-spam" in message.headers
           && message.headers["x-spam"].startsWith("yes") && size(message.recipients) == 2"#,
    )
    .unwrap();
    let source = |headers| {
        Source(vec![
            (
                Attribute::MessageRecipients,
                AttributeValue::Texts(vec!["a@b.test".to_owned(), "c@example.test".to_owned()]),
            ),
            (Attribute::MessageHeaders, AttributeValue::Map(headers)),
        ])
    };
    assert_eq!(
        condition.holds(&source(vec![("x-spam".to_owned(), text("yes, 9"))])),
        Ok(true)
    );
    assert_eq!(
        condition.holds(&source(vec![("x-spam".to_owned(), text("no"))])),
        Ok(false)
    );
    assert_eq!(condition.holds(&source(Vec::new())), Ok(false));
}

#[test]
fn properties_are_seen_by_sink_and_key() {
    let mut bag = postern_message::Properties::new();
    let limits = postern_message::PropertyLimits::default();
    bag.set("spam", "score", postern_message::Value::Int(7), &limits)
        .unwrap();
    let condition = submit(r#"message.properties["spam"]["score"] > 5"#).unwrap();
    let source = Source(vec![(
        Attribute::MessageProperties,
        AttributeValue::properties(&bag),
    )]);
    assert_eq!(condition.holds(&source), Ok(true));
}

#[test]
fn an_error_while_evaluating_is_a_fault_and_never_false() {
    let condition = submit(r#"message.headers["subject"] == "x""#).unwrap();
    let source = Source(vec![(
        Attribute::MessageHeaders,
        AttributeValue::Map(Vec::new()),
    )]);
    assert_eq!(condition.holds(&source).unwrap_err().kind, FaultKind::Fault);
    assert_eq!(
        condition.holds(&Source(Vec::new())).unwrap_err().kind,
        FaultKind::Fault
    );
}

#[test]
fn an_attribute_that_is_not_there_is_refused_by_name() {
    let error = submit("session.may_realy").unwrap_err();
    assert!(
        matches!(
            &error,
            ConditionError::UnknownAttribute {
                nearest: Some("session.may_relay"),
                ..
            }
        ),
        "{error}"
    );
    let events = [EventKind::InboundMessage, EventKind::InboundHeaders];
    let error = Condition::compile("message.size > 1", &events).unwrap_err();
    assert!(
        matches!(
            error,
            ConditionError::NotAtEvent {
                attribute: Attribute::MessageSize,
                event: EventKind::InboundHeaders,
                ..
            }
        ),
        "{error}"
    );
    for whole in ["session == session", "nonsense", "session[\"may_relay\"]"] {
        assert!(
            matches!(submit(whole), Err(ConditionError::UnknownAttribute { .. })),
            "{whole}"
        );
    }
}

#[test]
fn what_can_never_work_is_refused_when_it_is_compiled() {
    assert!(matches!(
        submit("message.size"),
        Err(ConditionError::NotBool { .. })
    ));
    assert!(matches!(
        submit("message.size > \"x\""),
        Err(ConditionError::Types { .. })
    ));
    assert!(matches!(
        submit("message.size >"),
        Err(ConditionError::Syntax { .. })
    ));
    assert!(matches!(
        submit("shell(\"x\")"),
        Err(ConditionError::UnknownFunction { .. })
    ));
    assert!(matches!(submit(""), Err(ConditionError::Syntax { .. })));
    let long = format!("message.size > 0 {}", "&& message.size > 0".repeat(400));
    assert!(matches!(submit(&long), Err(ConditionError::TooLong { .. })));
}

#[test]
fn cost_is_bounded() {
    for unbounded in [
        "message.recipients.all(a, message.recipients.exists(b, a == b))",
        "message.recipients.all(a, a in message.recipients)",
        "message.recipients.map(a, message.recipients).size() > 3",
    ] {
        assert!(
            matches!(submit(unbounded), Err(ConditionError::Unbounded { .. })),
            "{unbounded}"
        );
    }
    let nested = format!("{}true{}", "(".repeat(1500), ")".repeat(1500));
    assert!(matches!(
        submit(&nested),
        Err(ConditionError::Syntax { .. })
    ));
    let recipients = (0..1000).map(|n| format!("user{n}@example.test")).collect();
    let condition = submit(r#"message.recipients.all(r, r.endsWith(".test"))"#).unwrap();
    let source = Source(vec![(
        Attribute::MessageRecipients,
        AttributeValue::Texts(recipients),
    )]);
    assert_eq!(condition.holds(&source), Ok(true));
}

/// Values at their edges, whatever a client and sinks may send.
fn edges() -> impl Strategy<Value = (i64, String, Vec<String>)> {
    let number = prop_oneof![
        Just(i64::MIN),
        Just(-1),
        Just(0),
        Just(1),
        Just(i64::MAX),
        any::<i64>()
    ];
    let text = || prop_oneof![Just(String::new()), "\\PC{0,8}", "[0-9.e+-]{1,25}"];
    (number, text(), proptest::collection::vec(text(), 0..4))
}

proptest! {
    #[test]
    fn no_value_makes_evaluation_panic((number, word, list) in edges()) {
        let source = Source(vec![
            (Attribute::MessageSize, AttributeValue::Int(number)),
            (Attribute::MessageSender, AttributeValue::Text(word.clone())),
            (Attribute::MessageRecipients, AttributeValue::Texts(list)),
            (Attribute::MessageHeaders, AttributeValue::Map(vec![(word, text("x"))])),
        ]);
        for condition in [
            "message.size * message.size > message.size + 1",
            "-message.size < message.size - 9223372036854775807",
            "message.size / -1 > 0 || message.size % -1 == 0",
            "1 / message.size > 0 || 1 % message.size > 0",
            "int(message.sender) > 3 || uint(message.sender) > 3u || double(message.sender) > 0.5",
            "uint(message.size) > 3u",
            "int(double(message.size)) == message.size",
            "message.recipients[message.size] == message.sender",
            "message.headers[message.sender] == 'x'",
            "message.recipients.map(r, size(r)).exists(n, n > 3)",
            "message.recipients.filter(r, r.contains(message.sender)).size() > 1",
            "message.recipients.exists_one(r, r == message.sender)",
            "string(message.size) + message.sender == bytes(message.sender) || true",
            "has(message.headers) && message.sender in message.headers",
        ] {
            let _outcome = submit(condition).unwrap().holds(&source).is_ok();
        }
    }

    #[test]
    fn no_text_makes_compilation_panic(text in "[a-z.()\\[\\]{}&|!<>=+*/%?:,'\"0-9 -]{0,40}", any in "\\PC{0,20}") {
        let _outcome = (submit(&text).is_ok(), submit(&any).is_ok());
    }
}

#[test]
fn what_is_shown_is_named_typed_and_bounded() {
    let events = [EventKind::TransportSubmit];
    let shown = |text: &str| Shown::compile("a", text, &events);
    let source = Source(vec![
        (Attribute::MessageSize, AttributeValue::Int(7)),
        (Attribute::MessageSender, text("x@y")),
        (
            Attribute::MessageRecipients,
            AttributeValue::Texts(vec!["r@y".to_owned()]),
        ),
    ]);
    let kind = |text: &str| {
        let value = shown(text).unwrap().value(&source).unwrap();
        assert_eq!(value.name, "a");
        value.value.unwrap().kind.unwrap()
    };
    use postern_proto::v1::value::Kind;
    assert_eq!(kind("message.size"), Kind::Integer(7));
    assert_eq!(kind("message.size > 3"), Kind::Flag(true));
    assert_eq!(kind("message.sender"), Kind::Text("x@y".to_owned()));
    assert_eq!(kind("double(message.size) / 2.0"), Kind::Number(3.5));
    assert!(matches!(kind("message.recipients"), Kind::Texts(list) if list.items == ["r@y"]));
    assert_eq!(kind("bytes(message.sender)"), Kind::Octets("x@y".into()));
    assert!(shown("message.size").unwrap().reads_size());
    assert!(shown("message.recipients").unwrap().reads().recipients);
    assert!(matches!(
        shown("message.headers"),
        Err(ConditionError::NotShown { .. })
    ));
    assert!(matches!(
        shown("command.verb"),
        Err(ConditionError::NotAtEvent { .. })
    ));
    let long = Source(vec![(Attribute::MessageSender, text(&"x".repeat(4097)))]);
    let fault = shown("message.sender").unwrap().value(&long).unwrap_err();
    assert!(fault.detail.contains("4 KiB"), "{fault}");
    let most = Source(vec![(Attribute::MessageSender, text(&"x".repeat(4096)))]);
    assert!(shown("message.sender").unwrap().value(&most).is_ok());
    let list = AttributeValue::Texts(vec!["x".repeat(2049), "y".repeat(2048)]);
    let long = Source(vec![(Attribute::MessageRecipients, list)]);
    let fault = shown("message.recipients")
        .unwrap()
        .value(&long)
        .unwrap_err();
    assert!(fault.detail.contains("4097 octets"), "{fault}");
}

#[test]
fn only_what_is_near_is_thought_to_be_meant() {
    let nearest = |written: &str| match submit(written) {
        Err(ConditionError::UnknownAttribute { nearest, .. }) => nearest,
        _ => panic!("{written} is an attribute"),
    };
    assert_eq!(nearest("message.sizes"), Some("message.size"));
    // One in three may differ, and one more: of `message.size` five.
    assert_eq!(nearest("message.sizexxxxx"), Some("message.size"));
    assert_eq!(nearest("message.sizexxxxxx"), None);
    assert_eq!(nearest("q"), None);
    // At an event only what exists there is.
    let error = Condition::compile("message.size > 1", &[EventKind::InboundHeaders]);
    let Err(ConditionError::NotAtEvent { nearest, .. }) = error else {
        panic!("it is known there");
    };
    assert!(nearest.is_none_or(|near| {
        Attribute::find(near)
            .unwrap()
            .exists_at(EventKind::InboundHeaders)
    }));
}
