#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use pb::value::Kind;
use postern_message::RecipientId;

use super::*;

fn refused<T: std::fmt::Debug>(checked: Result<T, Fault>, word: &str) {
    let fault = checked.unwrap_err();
    assert!(fault.detail.contains(word), "{fault} does not say {word:?}");
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

#[test]
fn an_address_is_one_of_its_kind() {
    for text in ["postmaster", "Postmaster", "POSTMASTER"] {
        let path = forward_path(text.as_bytes(), false);
        assert_eq!(path, Ok(ForwardPath::Postmaster), "{text}");
    }
    assert_eq!(reverse_path(b"", false), Ok(ReversePath::Null));
    for text in ["postmaster@x.test", "a@x.test", "\"a b\"@[192.0.2.1]"] {
        for utf8 in [false, true] {
            let forward = forward_path(text.as_bytes(), utf8).unwrap();
            assert_eq!(forward.mailbox().unwrap().as_str(), text);
            let reverse = reverse_path(text.as_bytes(), utf8).unwrap();
            assert_eq!(reverse.mailbox().unwrap().as_str(), text);
        }
    }
    for text in ["", "a", "a@", "@x.test", "a b@x.test", "<a@x.test>"] {
        refused(forward_path(text.as_bytes(), true), "address");
    }
    refused(reverse_path(b"postmaster", true), "address");
    let text = "grün@x.test".as_bytes();
    refused(forward_path(text, false), "address");
    refused(reverse_path(text, false), "address");
    assert!(forward_path(text, true).is_ok() && reverse_path(text, true).is_ok());
}

fn add() -> pb::AddRecipient {
    pb::AddRecipient {
        address: Bytes::from_static(b"n@x.test"),
        ..pb::AddRecipient::default()
    }
}

fn with(parameters: &[(&str, Option<&str>)]) -> Result<NewRecipient, Fault> {
    let parameters = parameters.iter().map(|(keyword, value)| pb::Parameter {
        keyword: bytes(keyword),
        value: value.map(bytes),
    });
    let new = pb::AddRecipient {
        parameters: parameters.collect(),
        ..add()
    };
    new_recipient(&new, false)
}

#[test]
fn a_new_recipient_is_what_was_said_and_nothing_else() {
    let plain = new_recipient(&add(), false).unwrap();
    let address = forward_path(b"n@x.test", false).unwrap();
    assert_eq!(plain, NewRecipient::new(address.clone()));
    let [parent, from] = [RecipientId::new(), RecipientId::new()];
    let whole = pb::AddRecipient {
        parent_recipient_id: bytes_of(parent),
        copy_from_recipient_id: bytes_of(from),
        duplicates: pb::DuplicateHandling::Replace.into(),
        ..add()
    };
    let new = new_recipient(&whole, false).unwrap();
    let expected = NewRecipient {
        parent: Some(parent),
        copy_from: Some(from),
        duplicates: Duplicates::Replace,
        ..NewRecipient::new(address)
    };
    assert_eq!(new, expected);
    for (number, handling) in [
        (pb::DuplicateHandling::Unspecified, Duplicates::Skip),
        (pb::DuplicateHandling::Replace, Duplicates::Replace),
        (pb::DuplicateHandling::Refuse, Duplicates::Refuse),
    ] {
        let own = pb::AddRecipient {
            duplicates: number.into(),
            ..add()
        };
        assert_eq!(new_recipient(&own, false).unwrap().duplicates, handling);
    }
    let own = pb::AddRecipient {
        duplicates: 9,
        ..add()
    };
    refused(new_recipient(&own, false), "duplicates");
    for broken in [
        pb::AddRecipient {
            parent_recipient_id: bytes("short"),
            ..add()
        },
        pb::AddRecipient {
            copy_from_recipient_id: bytes("short"),
            ..add()
        },
    ] {
        refused(new_recipient(&broken, false), "16 octets");
    }
}

fn bytes_of(id: RecipientId) -> Bytes {
    Bytes::copy_from_slice(id.as_bytes())
}

#[test]
fn each_parameter_of_a_new_recipient_is_given_once() {
    let new = with(&[
        ("orcpt", Some("rfc822;a@b")),
        ("NOTIFY", Some("DELAY")),
        ("x-a", None),
        ("X-B", Some("1")),
    ])
    .unwrap();
    assert_eq!(new.orcpt.as_deref(), Some(&b"rfc822;a@b"[..]));
    assert_eq!(new.notify, notify(b"DELAY").ok());
    let others = [(bytes("X-A"), None), (bytes("X-B"), Some(bytes("1")))];
    assert_eq!(new.parameters, others);
    for twice in [
        [("ORCPT", Some("rfc822;a@b")), ("orcpt", Some("rfc822;a@b"))],
        [("NOTIFY", Some("NEVER")), ("notify", Some("NEVER"))],
        [("X-A", None), ("x-a", Some("1"))],
    ] {
        refused(with(&twice), "given twice");
    }
    for of_mail in [("RET", Some("FULL")), ("ENVID", Some("a"))] {
        refused(with(&[of_mail]), "parameters of MAIL");
    }
    let many: Vec<String> = (0..65).map(|n| format!("X-{n}")).collect();
    let many: Vec<_> = many.iter().map(|word| (word.as_str(), None)).collect();
    assert_eq!(with(&many[..64]).unwrap().parameters.len(), 64);
    refused(with(&many), "65 parameters of a recipient");
}

#[test]
fn properties_of_a_new_recipient_are_its_own_and_have_a_value() {
    let property = pb::PropertyEdit {
        key: "k".to_owned(),
        value: Some(pb::Value {
            kind: Some(Kind::Integer(1)),
        }),
        ..pb::PropertyEdit::default()
    };
    let with = |properties: Vec<pb::PropertyEdit>| {
        let new = pb::AddRecipient {
            properties,
            ..add()
        };
        new_recipient(&new, false)
    };
    use pb::PropertyScope as S;
    for (scope, passes) in [
        (S::Unspecified, true),
        (S::Recipient, true),
        (S::Message, false),
        (S::Session, false),
    ] {
        let own = pb::PropertyEdit {
            scope: scope.into(),
            lifetime: pb::PropertyLifetime::Stage.into(),
            ..property.clone()
        };
        let new = with(vec![own]);
        assert_eq!(new.is_ok(), passes, "{scope:?}");
        if let Ok(new) = new {
            let expected = ("k".to_owned(), Value::Int(1), Lifetime::Stage);
            assert_eq!(new.properties, [expected]);
        }
    }
    let of_other = pb::PropertyEdit {
        recipient_id: bytes_of(RecipientId::new()),
        ..property.clone()
    };
    refused(with(vec![of_other]), "its own");
    let unknown = pb::PropertyEdit {
        scope: 9,
        ..property.clone()
    };
    refused(with(vec![unknown]), "its own");
    let none = pb::PropertyEdit {
        value: None,
        ..property.clone()
    };
    refused(with(vec![none]), "no properties yet");
    let odd = pb::PropertyEdit {
        key: "K".to_owned(),
        ..property.clone()
    };
    refused(with(vec![odd]), "key");
    let most = vec![property; MAX_PROPERTY_EDITS + 1];
    assert!(with(most[1..].to_vec()).is_ok());
    refused(with(most), "properties of a recipient");
}

#[test]
fn a_keyword_is_that_of_a_parameter_and_not_one_of_the_gateways_own() {
    let longest = "A".repeat(64);
    for good in ["A", "x-a", "0A", longest.as_str()] {
        let upper = bytes(&good.to_ascii_uppercase());
        let expected = ParameterEdit::Other {
            keyword: upper,
            value: None,
        };
        assert_eq!(parameter(good.as_bytes(), None), Ok(expected));
    }
    let long = "A".repeat(65);
    for bad in ["", "-A", "A B", "A=", "Ä", "A_B", long.as_str()] {
        refused(parameter(bad.as_bytes(), None), "keyword");
    }
    for own in ["SIZE", "body", "Smtputf8", "AUTH", "RRVS"] {
        refused(parameter(own.as_bytes(), None), "the gateway itself");
        refused(parameter(own.as_bytes(), Some(None)), "the gateway itself");
    }
}

#[test]
fn a_value_is_bounded_and_holds_no_equals_sign() {
    let set = |value: &str| parameter(b"X-A", Some(Some(bytes(value))));
    for good in ["1", "a+3Db", &"v".repeat(500)] {
        let expected = ParameterEdit::Other {
            keyword: bytes("X-A"),
            value: Some(Some(bytes(good))),
        };
        assert_eq!(set(good), Ok(expected));
    }
    for bad in ["", "a=b", "a b", "a\r", "ä", &"v".repeat(501)] {
        refused(set(bad), "1 to 500");
    }
    let alone = ParameterEdit::Other {
        keyword: bytes("X-A"),
        value: Some(None),
    };
    assert_eq!(parameter(b"X-A", Some(None)), Ok(alone));
}

#[test]
fn parameters_that_the_service_knows_have_values_of_their_own() {
    let set = |keyword: &str, value: &str| parameter(keyword.as_bytes(), Some(Some(bytes(value))));
    let longest = format!("rfc822;{}", "a".repeat(493));
    for good in ["rfc822;a@b", "x-1;+2B", longest.as_str()] {
        let expected = ParameterEdit::Orcpt(Some(bytes(good)));
        assert_eq!(set("ORCPT", good), Ok(expected));
    }
    let long = format!("rfc822;{}", "a".repeat(494));
    for bad in [
        "",
        "a@b",
        ";a",
        "rfc822;",
        "rf_c;a",
        "rfc822;a b",
        "rfc822;a=b",
        &long,
    ] {
        refused(set("ORCPT", bad), "ORCPT");
    }
    let flags = |success, failure, delay| Notify {
        success,
        failure,
        delay,
    };
    for (text, expected) in [
        ("never", Notify::NEVER),
        ("success", flags(true, false, false)),
        ("FAILURE", flags(false, true, false)),
        ("Delay", flags(false, false, true)),
        ("DELAY,SUCCESS,FAILURE", flags(true, true, true)),
        ("DELAY,DELAY", flags(false, false, true)),
    ] {
        assert_eq!(
            set("NOTIFY", text),
            Ok(ParameterEdit::Notify(Some(expected)))
        );
    }
    for bad in ["", "NEVER,DELAY", "DELAY,", "ALWAYS"] {
        refused(set("NOTIFY", bad), "NOTIFY");
    }
    for (text, expected) in [("full", Return::Full), ("HDRS", Return::Headers)] {
        assert_eq!(set("RET", text), Ok(ParameterEdit::Ret(Some(expected))));
    }
    refused(set("RET", ""), "RET");
    for good in ["a", &"a".repeat(100)] {
        let expected = ParameterEdit::Envid(Some(bytes(good)));
        assert_eq!(set("ENVID", good), Ok(expected));
    }
    for bad in ["", "a b", "a=", &"a".repeat(101)] {
        refused(set("ENVID", bad), "ENVID");
    }
    for (keyword, removed) in [
        ("NOTIFY", ParameterEdit::Notify(None)),
        ("ORCPT", ParameterEdit::Orcpt(None)),
        ("RET", ParameterEdit::Ret(None)),
        ("ENVID", ParameterEdit::Envid(None)),
    ] {
        assert_eq!(parameter(keyword.as_bytes(), None), Ok(removed));
        // A keyword alone is none of their values.
        assert!(parameter(keyword.as_bytes(), Some(None)).is_err());
    }
}

#[test]
fn keys_and_lifetimes_are_those_that_are_known() {
    assert_eq!(key("a-b_c.d"), Ok("a-b_c.d".to_owned()));
    refused(key(""), "key");
    refused(key("A"), "key");
    let stage = pb::PropertyLifetime::Stage.into();
    assert_eq!(lifetime(0), Ok(Lifetime::Kept));
    assert_eq!(lifetime(stage), Ok(Lifetime::Stage));
    refused(lifetime(9), "lifetime");
}

#[test]
fn a_property_has_its_type_and_is_bounded() {
    let of = |kind| property(pb::Value { kind: Some(kind) });
    let most = MAX_PROPERTY_OCTETS;
    let text = |octets: usize| Kind::Text("x".repeat(octets));
    let octets = |octets: usize| Kind::Octets(vec![0; octets].into());
    let list = |items: Vec<String>| Kind::Texts(pb::TextList { items });
    assert_eq!(of(text(most)), Ok(Value::String("x".repeat(most))));
    assert_eq!(of(octets(most)), Ok(Value::Bytes(vec![0; most].into())));
    assert_eq!(of(Kind::Integer(-7)), Ok(Value::Int(-7)));
    assert_eq!(of(Kind::Number(0.5)), Ok(Value::Number(0.5.into())));
    assert_eq!(of(Kind::Flag(true)), Ok(Value::Bool(true)));
    // Each element takes an octet more than its text.
    let fits = vec!["x".repeat(most / 2 - 1), "x".repeat(most / 2 - 1)];
    assert_eq!(of(list(fits.clone())), Ok(Value::Texts(fits)));
    for over in [
        text(most + 1),
        octets(most + 1),
        list(vec!["x".repeat(most / 2 - 1), "x".repeat(most / 2)]),
        list(vec![String::new(); most + 1]),
    ] {
        refused(of(over), "octets of a property");
    }
    refused(property(pb::Value { kind: None }), "unset or unknown");
}
