#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::time::{Duration, SystemTime};

use postern_message::{Lifetime, PropertyLimits, Value};

use super::*;
use crate::grant::{Namespaces, Reads};
use crate::testing;

#[test]
fn ids_of_recipients_are_for_those_who_read_recipients() {
    let own = RecipientId::new();
    assert!(ids([&own], &testing::view(&Reads::default())).is_empty());
    let shown = ids([&own], &testing::view(&Reads::everything()));
    assert_eq!(shown, [id(own.as_bytes())]);
    assert_eq!(asked_ids([&own]), shown);
}

#[test]
fn a_sink_sees_its_own_properties_and_those_that_its_binding_reads() {
    let limits = PropertyLimits::default();
    let mut bag = Properties::new();
    for namespace in ["other", "sink", "third"] {
        bag.set(namespace, "k", Value::Bool(true), &limits).unwrap();
    }
    for (properties, expected) in [
        (Namespaces::Own, &["sink"][..]),
        (Namespaces::Of(vec!["other".to_owned()]), &["other", "sink"]),
        (Namespaces::All, &["other", "sink", "third"]),
    ] {
        let reads = Reads {
            properties,
            ..Reads::default()
        };
        let shown = testing::view(&reads).properties(&bag);
        let mut names: Vec<&str> = shown
            .iter()
            .map(|own| own.namespace_name.as_str())
            .collect();
        names.sort_unstable();
        assert_eq!(names, expected);
        assert!(
            testing::view(&reads)
                .properties(&Properties::new())
                .is_empty()
        );
    }
}

#[test]
fn a_property_is_shown_with_its_type_and_its_lifetime() {
    use pb::value::Kind as K;
    let limits = PropertyLimits::default();
    let reads = Reads::default();
    let texts = vec!["a".to_owned(), "b".to_owned()];
    for (value, kind) in [
        (Value::String("x".to_owned()), K::Text("x".to_owned())),
        (Value::Bytes(vec![1].into()), K::Octets(vec![1].into())),
        (Value::Int(-3), K::Integer(-3)),
        (Value::Bool(true), K::Flag(true)),
        (Value::Number(0.5.into()), K::Number(0.5)),
        (
            Value::Texts(texts.clone()),
            K::Texts(pb::TextList { items: texts }),
        ),
    ] {
        for (lifetime, told) in [
            (Lifetime::Kept, pb::PropertyLifetime::Unspecified),
            (Lifetime::Stage, pb::PropertyLifetime::Stage),
        ] {
            let mut bag = Properties::new();
            bag.set_for(lifetime, "sink", "k", value.clone(), &limits)
                .unwrap();
            let expected = pb::Property {
                namespace_name: "sink".to_owned(),
                key: "k".to_owned(),
                value: Some(pb::Value {
                    kind: Some(kind.clone()),
                }),
                lifetime: told.into(),
            };
            assert_eq!(testing::view(&reads).properties(&bag), [expected]);
        }
    }
}

#[test]
fn a_reply_is_shown_with_its_enhanced_code_where_it_has_one() {
    let lines = || vec![Bytes::from_static(b"no"), Bytes::from_static(b"never")];
    for (enhanced, shown) in [(Some("5.7.1"), "5.7.1"), (None, "")] {
        let own = Reply::parse(550, enhanced, "no\nnever").unwrap();
        assert_eq!(
            reply(&own),
            pb::Reply {
                code: 550,
                enhanced_code: Bytes::copy_from_slice(shown.as_bytes()),
                lines: lines(),
                without_enhanced_code: false,
            }
        );
    }
}

#[test]
fn times_are_seconds_and_nanoseconds() {
    let own = span(Duration::new(3, 5));
    assert_eq!((own.seconds, own.nanos), (3, 5));
    assert_eq!(span(Duration::MAX).seconds, i64::MAX);
    let own = moment(SystemTime::UNIX_EPOCH + Duration::new(3, 5));
    assert_eq!((own.seconds, own.nanos), (3, 5));
    let early = moment(SystemTime::UNIX_EPOCH - Duration::from_secs(1));
    assert_eq!((early.seconds, early.nanos), (0, 0));
}
