//! `rules.json` and the proto files say the same.

#![allow(clippy::unwrap_used)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorSet};
use serde_json::Value;

fn sources() -> (FileDescriptorSet, Value) {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let descriptors = protox::compile(["postern/v1/sink.proto"], [&proto]).unwrap();
    let json = fs::read_to_string(proto.join("postern/v1/rules.json")).unwrap();
    (descriptors, serde_json::from_str(&json).unwrap())
}

fn message<'a>(set: &'a FileDescriptorSet, name: &str) -> &'a DescriptorProto {
    set.file
        .iter()
        .filter(|file| file.package() == "postern.v1")
        .flat_map(|file| &file.message_type)
        .find(|message| message.name() == name)
        .unwrap_or_else(|| panic!("no message {name}"))
}

fn enumeration<'a>(set: &'a FileDescriptorSet, name: &str) -> &'a EnumDescriptorProto {
    set.file
        .iter()
        .flat_map(|file| &file.enum_type)
        .find(|found| found.name() == name)
        .unwrap_or_else(|| panic!("no enum {name}"))
}

/// The arms of the first oneof, by name.
fn arms(message: &DescriptorProto) -> BTreeMap<String, i32> {
    message
        .field
        .iter()
        .filter(|field| field.oneof_index == Some(0) && !field.proto3_optional())
        .map(|field| (field.name().to_owned(), field.number()))
        .collect()
}

fn keys(value: &Value) -> BTreeSet<String> {
    value.as_object().unwrap().keys().cloned().collect()
}

fn strings(value: &Value) -> Vec<&str> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|word| word.as_str().unwrap())
        .collect()
}

/// The values of an enum without the first, in lower case and without the prefix.
fn words(set: &FileDescriptorSet, name: &str, prefix: &str) -> BTreeMap<String, i32> {
    enumeration(set, name)
        .value
        .iter()
        .filter(|value| value.number() != 0)
        .map(|value| {
            let word = value.name().strip_prefix(prefix).unwrap();
            (word.to_lowercase(), value.number())
        })
        .collect()
}

#[test]
fn events_have_their_names_and_numbers() {
    let (set, rules) = sources();
    let numbers: BTreeMap<_, _> = rules["events"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, rule)| {
            let number = i32::try_from(rule["number"].as_i64().unwrap()).unwrap();
            (name.replace('.', "_"), number)
        })
        .collect();
    assert_eq!(numbers, words(&set, "EventKind", "EVENT_KIND_"));

    let arms: BTreeMap<_, _> = arms(message(&set, "Event"))
        .into_iter()
        .map(|(name, number)| (name, number - 100))
        .collect();
    assert_eq!(numbers, arms, "the arm of an event is its number plus 100");
}

#[test]
fn decisions_edits_answers_and_actions_are_the_arms_of_their_messages() {
    let (set, rules) = sources();
    for (section, name) in [
        ("decisions", "Decision"),
        ("edits", "Edit"),
        ("answers", "Answer"),
        ("actions", "SinkAction"),
    ] {
        let arms: BTreeSet<_> = arms(message(&set, name)).into_keys().collect();
        assert_eq!(keys(&rules[section]), arms, "{section}");
    }
}

#[test]
fn events_use_only_words_that_exist() {
    let (set, rules) = sources();
    let scopes = words(&set, "Scope", "SCOPE_");
    let asks = words(&set, "AskMode", "ASK_MODE_");
    let finishes = words(&set, "FinishScope", "FINISH_SCOPE_");
    let properties = words(&set, "PropertyScope", "PROPERTY_SCOPE_");
    for (name, rule) in rules["events"].as_object().unwrap() {
        assert!(
            scopes.contains_key(rule["scope"].as_str().unwrap()),
            "{name}"
        );
        if let Some(ask) = rule.get("ask") {
            assert!(
                strings(ask).iter().all(|word| asks.contains_key(*word)),
                "{name}"
            );
        }
        for word in strings(&rule["decisions"]) {
            match word.split_once(':') {
                Some((decision, scope)) => {
                    assert_eq!(decision, "finish", "{name}");
                    assert!(finishes.contains_key(scope), "{name}: {word}");
                }
                None => assert!(rules["decisions"].get(word).is_some(), "{name}: {word}"),
            }
        }
        for word in strings(&rule["edits"]) {
            assert!(rules["edits"].get(word).is_some(), "{name}: {word}");
        }
        for word in strings(&rule["answers"]) {
            let (answer, arm) = word.split_once(':').unwrap_or((word, ""));
            assert!(rules["answers"].get(answer).is_some(), "{name}: {word}");
            if !arm.is_empty() {
                assert_eq!(answer, "auth", "{name}");
                assert!(
                    arms(message(&set, "AuthAnswer")).contains_key(arm),
                    "{name}: {word}"
                );
            }
        }
        for word in strings(&rule["properties"]) {
            assert!(properties.contains_key(word), "{name}: {word}");
        }
        let asked = rule["asked"].as_bool().unwrap();
        assert_eq!(
            asked,
            rule["group"] != "none",
            "{name}: a group is for what is asked"
        );
        assert_eq!(
            asked,
            !keys(&rule["policies"]).is_empty(),
            "{name}: so are policies"
        );
        assert_eq!(asked, rule.get("ask").is_some(), "{name}: and ask modes");
    }
}

#[test]
fn every_grant_that_is_needed_is_a_word_of_the_list() {
    let (_, rules) = sources();
    let listed: BTreeSet<_> = strings(&rules["grants"]).into_iter().collect();
    let mut needed = BTreeSet::new();
    for section in ["decisions", "edits", "answers", "actions"] {
        for rule in rules[section].as_object().unwrap().values() {
            needed.extend(rule.get("grant").and_then(Value::as_str));
            if let Some(also) = rule.get("also") {
                needed.extend(also.as_object().unwrap().values().filter_map(Value::as_str));
            }
        }
    }
    needed.extend(
        rules["describe"]
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_str),
    );
    assert!(
        needed.is_subset(&listed),
        "{:?}",
        needed.difference(&listed)
    );
    // Those of many fields are forms of headers:NAME.
    let unused: Vec<_> = listed.difference(&needed).copied().collect();
    assert_eq!(unused, ["headers", "headers:PREFIX*"]);
}

#[test]
fn parts_of_answers_and_actions_are_fields() {
    let (set, rules) = sources();
    let fields = |name: &str| -> BTreeSet<String> {
        message(&set, name)
            .field
            .iter()
            .map(|field| field.name().to_owned())
            .collect()
    };
    for (answer, name) in [("rcpt", "RcptAnswer"), ("response", "ResponseAnswer")] {
        for part in keys(&rules["answers"][answer]["also"]) {
            let field = part.split(':').next().unwrap();
            assert!(fields(name).contains(field), "{answer}: {part}");
        }
    }
    for part in keys(&rules["answers"]["auth"]["also"]) {
        let (arm, field) = part.split_once('.').unwrap();
        assert_eq!(arm, "success");
        assert!(fields("AuthSuccess").contains(field), "auth: {part}");
    }
    for part in keys(&rules["actions"]["change_queued"]["also"]) {
        let field = part.split(':').next().unwrap();
        assert!(
            fields("ChangeQueued").contains(field),
            "change_queued: {part}"
        );
    }
}

#[test]
fn the_comments_of_describe_name_every_word() {
    let proto = Path::new(env!("CARGO_MANIFEST_DIR")).join("../postern/v1");
    let (_, rules) = sources();
    let describe = fs::read_to_string(proto.join("describe.proto")).unwrap();
    let comment: BTreeSet<&str> = describe
        .lines()
        .filter_map(|line| line.trim().strip_prefix("//"))
        .flat_map(|line| {
            line.split(|letter: char| letter.is_whitespace() || ";,.()`".contains(letter))
        })
        .collect();
    for list in ["reads", "grants"] {
        for word in strings(&rules[list]) {
            assert!(
                comment.contains(word),
                "describe.proto does not tell of {list}: {word}"
            );
        }
    }
    for word in keys(&rules["features"]) {
        assert!(
            comment.contains(word.as_str()),
            "describe.proto does not tell of {word}"
        );
    }
    let instance = fs::read_to_string(proto.join("instance.proto")).unwrap();
    for word in strings(&rules["faults"]) {
        assert!(
            instance.contains(&format!("\"{word}\"")),
            "instance.proto does not tell of {word}"
        );
    }
    for word in keys(&rules["groups"]) {
        assert!(
            instance.contains(&format!("\"{word}\"")),
            "instance.proto does not tell of {word}"
        );
    }
}
