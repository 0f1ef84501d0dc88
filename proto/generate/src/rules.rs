//! Const tables out of `rules.json`, in the order of the wire.

use std::{
    collections::BTreeMap,
    error::Error,
    fmt::{Debug, Write as _},
};

use prost_types::{DescriptorProto, FileDescriptorSet};

use crate::rules_file::{Event, RulesFile};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The arms of the oneof `kind` of a message, in the order of their numbers.
pub(crate) fn arms(descriptors: &FileDescriptorSet, message: &str) -> Result<Vec<(String, i32)>> {
    let message = message_named(descriptors, message)?;
    let kind = message
        .oneof_decl
        .iter()
        .position(|oneof| oneof.name() == "kind")
        .and_then(|at| i32::try_from(at).ok())
        .ok_or_else(|| format!("{} has no oneof kind", message.name()))?;
    let mut arms: Vec<_> = message
        .field
        .iter()
        .filter(|field| field.oneof_index == Some(kind))
        .map(|field| (field.name().to_owned(), field.number()))
        .collect();
    arms.sort_by_key(|&(_, number)| number);
    Ok(arms)
}

pub(crate) fn message_named<'a>(
    descriptors: &'a FileDescriptorSet,
    name: &str,
) -> Result<&'a DescriptorProto> {
    descriptors
        .file
        .iter()
        .filter(|file| file.package() == "postern.v1")
        .flat_map(|file| &file.message_type)
        .find(|message| message.name() == name)
        .ok_or_else(|| format!("there is no message {name}").into())
}

pub(crate) fn generate(rules: &RulesFile, descriptors: &FileDescriptorSet) -> Result<String> {
    let mut out = String::new();
    writeln!(
        out,
        "/// The version of gateways that `published_in` is compared with.\npub const VERSION: u32 = {};",
        rules.version
    )?;
    writeln!(
        out,
        "/// The package on the wire.\npub const PROTOCOL: &str = {:?};",
        rules.protocol
    )?;

    let decisions = Kinds::new(descriptors, "Decision", "decision", &rules.decisions)?;
    decisions.write(&mut out, "A decision, without what it carries.", |arm, rule| {
        format!(
            "DecisionRule {{ kind: DecisionKind::{}, name: {arm:?}, grant: {:?}, reply_classes: &{:?}, spares: {} }}",
            camel(arm), rule.grant, rule.reply, rule.spares
        )
    })?;
    let edits = Kinds::new(descriptors, "Edit", "edit", &rules.edits)?;
    edits.write(
        &mut out,
        "An edit, without what it carries.",
        |arm, rule| {
            format!(
                "EditRule {{ kind: EditKind::{}, name: {arm:?}, grant: {:?} }}",
                camel(arm),
                rule.grant
            )
        },
    )?;
    let answers = Kinds::new(descriptors, "Answer", "answer", &rules.answers)?;
    answers.write(&mut out, "A typed answer, without what it carries.", |arm, rule| {
        let only_with = match &rule.only_with {
            Some(decision) => format!("Some(DecisionKind::{})", camel(decision)),
            None => "None".to_owned(),
        };
        format!(
            "AnswerRule {{ kind: AnswerKind::{}, name: {arm:?}, grant: {:?}, also: {}, only_with: {only_with} }}",
            camel(arm), rule.grant, pairs(&rule.also)
        )
    })?;
    let actions = Kinds::new(descriptors, "SinkAction", "sink_action", &rules.actions)?;
    actions.write(&mut out, "An action of a sink, without what it carries.", |arm, rule| {
        format!(
            "ActionRule {{ kind: ActionKind::{}, name: {arm:?}, grant: {:?}, also: {}, free: &{:?} }}",
            camel(arm), rule.grant, pairs(&rule.also), rule.free
        )
    })?;

    events(&mut out, rules, descriptors)?;
    words(&mut out, rules)?;
    let parsed = syn::parse_file(&out)?;
    let tables = prettyplease::unparse(&parsed);
    let events = for_each_event(rules, descriptors)?;
    Ok(format!("// @generated\n{tables}{events}"))
}

/// The arms of a oneof, with their rows.
struct Kinds<'a, R> {
    /// The enum's name without `Kind`: `Decision`.
    name: &'static str,
    module: &'static str,
    rows: Vec<(String, &'a R)>,
}

impl<'a, R> Kinds<'a, R> {
    fn new(
        descriptors: &FileDescriptorSet,
        message: &'static str,
        module: &'static str,
        rules: &'a BTreeMap<String, R>,
    ) -> Result<Self> {
        let mut rows = Vec::new();
        for (arm, _) in arms(descriptors, message)? {
            let rule = rules
                .get(&arm)
                .ok_or_else(|| format!("rules.json says nothing of {message}.{arm}"))?;
            rows.push((arm, rule));
        }
        if let Some(unknown) = rules
            .keys()
            .find(|key| rows.iter().all(|(arm, _)| arm != *key))
        {
            return Err(format!("rules.json has {unknown}, {message} does not").into());
        }
        let name = if message == "SinkAction" {
            "Action"
        } else {
            message
        };
        Ok(Self { name, module, rows })
    }

    fn write(&self, out: &mut String, about: &str, row: impl Fn(&str, &R) -> String) -> Result<()> {
        let Self { name, module, rows } = self;
        let count = rows.len();
        writeln!(
            out,
            "/// {about}\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]\npub enum {name}Kind {{"
        )?;
        for (arm, _) in rows {
            writeln!(out, "/// `{arm}`.\n{},", camel(arm))?;
        }
        writeln!(out, "}}\nimpl {name}Kind {{")?;
        writeln!(out, "/// All of them.\npub const ALL: [Self; {count}] = [")?;
        for (arm, _) in rows {
            writeln!(out, "Self::{},", camel(arm))?;
        }
        writeln!(
            out,
            "];\n/// Returns its row.\npub const fn rule(self) -> &'static {name}Rule {{ &{}S[self as usize] }}",
            name.to_uppercase()
        )?;
        writeln!(
            out,
            "/// Returns its name on the wire.\npub const fn name(self) -> &'static str {{ self.rule().name }}"
        )?;
        writeln!(
            out,
            "/// Returns the one with this name.\npub fn named(name: &str) -> Option<Self> {{ Self::ALL.into_iter().find(|kind| kind.name() == name) }}\n}}"
        )?;
        writeln!(
            out,
            "impl From<&{module}::Kind> for {name}Kind {{ fn from(kind: &{module}::Kind) -> Self {{ match kind {{"
        )?;
        for (arm, _) in rows {
            let arm = camel(arm);
            writeln!(out, "{module}::Kind::{arm}(_) => Self::{arm},")?;
        }
        writeln!(out, "}}}}}}")?;
        writeln!(
            out,
            "/// The rows, in the order of [`{name}Kind::ALL`].\npub const {}S: &[{name}Rule; {count}] = &[",
            name.to_uppercase()
        )?;
        for (arm, rule) in rows {
            writeln!(out, "{},", row(arm, rule))?;
        }
        writeln!(out, "];")?;
        Ok(())
    }
}

fn by_number(rules: &RulesFile) -> Vec<(&String, &Event)> {
    let mut rows: Vec<_> = rules.events.iter().collect();
    rows.sort_by_key(|(_, event)| event.number);
    rows
}

/// The macro that gives all events. It is formatted here: what is within a macro stays as it is.
fn for_each_event(rules: &RulesFile, descriptors: &FileDescriptorSet) -> Result<String> {
    let mut out = String::from(
        "/// Gives a macro all events, in the order of their numbers: of each what it is, its name as a variant, and its\n\
         /// number.\n\
         #[macro_export]\nmacro_rules! for_each_event {\n    ($of:ident) => {\n        $of! {\n",
    );
    for (name, event) in by_number(rules) {
        let variant = camel(&name.replace('.', "_"));
        let about = about(descriptors, &variant, name)?;
        writeln!(out, "            #[doc = {about:?}]")?;
        writeln!(out, "            {variant} = {};", event.number)?;
    }
    out.push_str("        }\n    };\n}\n");
    Ok(out)
}

fn events(out: &mut String, rules: &RulesFile, descriptors: &FileDescriptorSet) -> Result<()> {
    let rows = by_number(rules);
    writeln!(
        out,
        "/// The events, in the order of their numbers.\npub const EVENTS: &[EventRule; {}] = &[",
        rows.len()
    )?;
    for (name, event) in rows {
        writeln!(out, "{},", event_row(name, event)?)?;
    }
    writeln!(out, "];")?;

    writeln!(
        out,
        "/// Returns which event this is.\npub const fn event_kind(kind: &v1::event::Kind) -> EventKind {{ match kind {{"
    )?;
    for (arm, _) in arms(descriptors, "Event")? {
        let arm = camel(&arm);
        writeln!(out, "v1::event::Kind::{arm}(_) => EventKind::{arm},")?;
    }
    writeln!(out, "}}}}")?;
    Ok(())
}

/// The first sentence about an event: the comment on its body says it behind its name.
fn about(descriptors: &FileDescriptorSet, body: &str, event: &str) -> Result<String> {
    let said = comment(descriptors, body)
        .split_whitespace()
        .fold(String::new(), |text, word| {
            if text.is_empty() {
                word.to_owned()
            } else {
                text + " " + word
            }
        });
    let rest = said
        .strip_prefix(event)
        .and_then(|rest| rest.strip_prefix(": "))
        .ok_or_else(|| format!("the comment on {body} does not begin with `{event}: `"))?;
    let sentence = rest.split_once(". ").map_or(rest, |(first, _)| first);
    Ok(format!("`{event}`: {}.", sentence.trim_end_matches('.')))
}

/// The comment on a message.
fn comment<'a>(descriptors: &'a FileDescriptorSet, message: &str) -> &'a str {
    let found = descriptors.file.iter().find_map(|file| {
        let mut messages = file.message_type.iter();
        let place = messages.position(|own| own.name() == message)?;
        // Field 4 of a file's descriptor is its messages.
        let path = [4, i32::try_from(place).ok()?];
        let mut places = file.source_code_info.as_ref()?.location.iter();
        places.find(|own| own.path == path)
    });
    found.map_or("", |place| place.leading_comments())
}

fn event_row(name: &str, event: &Event) -> Result<String> {
    let mut decisions: Vec<&str> = Vec::new();
    let mut finish = Vec::new();
    for decision in &event.decisions {
        let word = match decision.split_once(':') {
            Some((word, scope)) => {
                finish.push(format!("FinishScope::{}", camel(scope)));
                word
            }
            None => decision,
        };
        if !decisions.contains(&word) {
            decisions.push(word);
        }
    }
    let answers = event.answers.iter().map(|answer| {
        let (kind, arm) = match answer.split_once(':') {
            Some((kind, arm)) => (kind, Some(arm)),
            None => (answer.as_str(), None),
        };
        format!(
            "AllowedAnswer {{ kind: AnswerKind::{}, arm: {arm:?} }}",
            camel(kind)
        )
    });
    let group_in = event
        .group_in
        .iter()
        .map(|(scope, group)| format!("(Scope::{}, Group::{})", camel(scope), camel(group)));
    let after = event.policies_after_acceptance.clone().unwrap_or_default();
    Ok(format!(
        "EventRule {{ kind: EventKind::{kind}, name: {name:?}, scope: Scope::{scope}, also_in: {also_in}, \
         group: {group}, group_in: {group_in}, asked: {asked}, ask_modes: {ask_modes}, decisions: {decisions}, \
         finish: {finish}, edits: {edits}, edits_asked_recipient_only: {edits_only}, answers: {answers}, \
         answer_required: {answer_required}, respond_verbs: &{respond_verbs:?}, respond_unknown: {respond_unknown}, \
         properties: {properties}, policies: {policies}, policies_after_acceptance: {after}, \
         policies_at_rcpt: {at_rcpt}, per_recipient: {per_recipient}, shows_content: {shows_content}, published_in: {published_in}, \
         named_sink_only: {asked_only}, told_after: {told_after}, feed_group: {feed_group} }}",
        kind = camel(&name.replace('.', "_")),
        scope = camel(&event.scope),
        also_in = variants("Scope", &event.also_in),
        group = group(&event.group),
        group_in = list(group_in),
        asked = event.asked,
        ask_modes = variants("AskMode", &event.ask),
        decisions = variants("DecisionKind", &decisions),
        finish = list(finish),
        edits = variants("EditKind", &event.edits),
        edits_only = word(event.edits_only.as_deref(), "asked_recipient")?,
        answers = list(answers),
        answer_required = event.answer_required,
        respond_verbs = event.respond_verbs,
        respond_unknown = event.respond_unknown,
        properties = variants("PropertyScope", &event.properties),
        policies = policies(&event.policies)?,
        after = policies(&after)?,
        at_rcpt = match &event.policies_at_rcpt {
            Some(event) => format!("Some(EventKind::{})", camel(&event.replace('.', "_"))),
            None => "None".to_owned(),
        },
        per_recipient = event.per_recipient,
        shows_content = event.content,
        published_in = event.published_in,
        asked_only = word(event.asked_only.as_deref(), "named_sink")?,
        told_after = event.told_after,
        feed_group = match (word(event.only_as.as_deref(), "feed")?, &event.feed_group) {
            (true, Some(name)) => group(name),
            (false, None) => "None".to_owned(),
            _ => return Err(format!("{name}: only_as and feed_group go together").into()),
        },
    ))
}

fn words(out: &mut String, rules: &RulesFile) -> Result<()> {
    let mut constant = |name: &str, about: &str, words: &dyn Debug, count: usize| {
        writeln!(
            out,
            "/// {about}\npub const {name}: &[&str; {count}] = &{words:?};"
        )
    };
    constant(
        "READS",
        "Words of `reads`. A name in capitals stands for any.",
        &rules.reads,
        rules.reads.len(),
    )?;
    constant(
        "GRANTS",
        "Words of `may` and `grants`. A name in capitals stands for any.",
        &rules.grants,
        rules.grants.len(),
    )?;
    for word in rules.grants_published_in.keys() {
        if !rules.grants.contains(word) {
            return Err(format!("grants_published_in has {word}, grants does not").into());
        }
    }
    let is_later = |word: &&String| {
        let published = rules.grants_published_in.get(*word);
        published.is_some_and(|version| *version > rules.version)
    };
    let later: Vec<&String> = rules.grants.iter().filter(is_later).collect();
    constant(
        "LATER_GRANTS",
        "Words of `may` that the gateway of this version has nothing to apply to.",
        &later,
        later.len(),
    )?;
    constant(
        "FAULTS",
        "Kinds of failure, the words of `on_failure`.",
        &rules.faults,
        rules.faults.len(),
    )?;
    constant(
        "NEVER_BY_PREFIX",
        "Header fields that no prefix removes.",
        &rules.never_by_prefix,
        rules.never_by_prefix.len(),
    )?;

    let mut features: Vec<_> = rules.features.iter().collect();
    features.sort_by_key(|(_, version)| **version);
    writeln!(
        out,
        "/// Optional parts of the protocol.\npub const FEATURES: &[FeatureRule; {}] = &[",
        features.len()
    )?;
    for (name, version) in features {
        writeln!(
            out,
            "FeatureRule {{ name: {name:?}, published_in: {version} }},"
        )?;
    }
    writeln!(out, "];")?;

    writeln!(
        out,
        "impl Group {{ /// Returns the time-out of a binding that sets none, in seconds.\npub const fn default_timeout_seconds(self) -> u64 {{ match self {{"
    )?;
    for (name, group) in &rules.groups {
        writeln!(out, "Self::{} => {},", camel(name), group.timeout_seconds)?;
    }
    writeln!(out, "}}}}}}")?;

    for (field, grant) in &rules.describe {
        writeln!(
            out,
            "/// The grant without which `DescribeResponse.{field}` must be empty.\npub const DESCRIBE_{}_GRANT: &str = {grant:?};",
            field.to_uppercase()
        )?;
    }
    writeln!(
        out,
        "/// Limits of the protocol: octets, counts and seconds.\npub mod bounds {{"
    )?;
    for (name, value) in &rules.bounds {
        writeln!(
            out,
            "/// `{name}`.\npub const {}: usize = {value};",
            name.to_uppercase()
        )?;
    }
    writeln!(out, "}}")?;
    Ok(())
}

/// `none` is the group of events that are only told.
fn group(name: &str) -> String {
    if name == "none" {
        "None".to_owned()
    } else {
        format!("Some(Group::{})", camel(name))
    }
}

fn policies(policies: &BTreeMap<String, String>) -> Result<String> {
    let mut rows = Vec::new();
    // In the order of the documentation.
    for policy in [
        "continue",
        "tempfail",
        "reject",
        "hold",
        "quarantine",
        "disconnect",
    ] {
        if let Some(effect) = policies.get(policy) {
            let effect = match effect.parse::<u16>() {
                Ok(code) => format!("Reply({code})"),
                Err(_) => camel(effect),
            };
            rows.push(format!("(Policy::{}, Effect::{effect})", camel(policy)));
        }
    }
    if rows.len() != policies.len() {
        return Err(format!("a policy is unknown: {policies:?}").into());
    }
    Ok(list(rows))
}

/// A field that has one word, or is left out.
fn word(found: Option<&str>, known: &str) -> Result<bool> {
    match found {
        None => Ok(false),
        Some(found) if found == known => Ok(true),
        Some(found) => Err(format!("{found} is not {known}").into()),
    }
}

fn variants<S: AsRef<str>>(of: &str, words: &[S]) -> String {
    list(
        words
            .iter()
            .map(|word| format!("{of}::{}", camel(word.as_ref()))),
    )
}

fn pairs(pairs: &BTreeMap<String, String>) -> String {
    list(pairs.iter().map(|pair| format!("{pair:?}")))
}

fn list(items: impl IntoIterator<Item = String>) -> String {
    format!("&[{}]", items.into_iter().collect::<Vec<_>>().join(", "))
}

/// `remove_headers` as a variant: `RemoveHeaders`.
pub(crate) fn camel(name: &str) -> String {
    name.split('_')
        .flat_map(|part| {
            let mut letters = part.chars();
            let first = letters.next().map(|first| first.to_ascii_uppercase());
            first.into_iter().chain(letters)
        })
        .collect()
}
