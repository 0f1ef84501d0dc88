//! The table as a page of the documentation.

use postern_proto::rules::{
    ActionKind, AnswerKind, DecisionKind, EditKind, Effect, EventRule, FAULTS, FEATURES,
};
use postern_proto::v1 as pb;

use crate::event::EventKind;
use crate::fault::Policy;
use crate::grant::LATER_GRANTS;

/// The text of `docs/decisions-table.md`.
#[must_use]
pub fn render() -> String {
    let mut page = String::from(INTRODUCTION);
    decisions(&mut page);
    edits(&mut page);
    answers(&mut page);
    page.push_str(READS);
    policies(&mut page);
    actions(&mut page);
    later(&mut page);
    page
}

fn questions() -> impl Iterator<Item = EventKind> {
    EventKind::published().filter(|event| !event.is_one_way())
}

/// A table with an event in each row and `columns` across.
fn grid(page: &mut String, columns: &[String], cell: impl Fn(&EventRule, usize) -> String) {
    line(page, &format!("| event | {} |", columns.join(" | ")));
    line(page, &format!("| --- |{}", " --- |".repeat(columns.len())));
    for event in questions() {
        let cells: Vec<String> = (0..columns.len())
            .map(|column| cell(event.rule(), column))
            .collect();
        line(page, &format!("| `{event}` | {} |", cells.join(" | ")));
    }
    page.push('\n');
}

fn words<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn decisions(page: &mut String) {
    page.push_str("## Decisions\n\n");
    page.push_str(DECISIONS);
    let columns: Vec<String> = DecisionKind::ALL
        .iter()
        .map(|kind| format!("`{}`", kind.name()))
        .collect();
    grid(page, &columns, |rule, column| {
        let Some(kind) = DecisionKind::ALL.get(column) else {
            return String::new();
        };
        if !rule.allows(*kind) {
            return String::new();
        }
        match kind {
            DecisionKind::Finish if rule.finish.contains(&pb::FinishScope::Message) => {
                "grant; event or message".to_owned()
            }
            DecisionKind::Finish => "grant; event".to_owned(),
            DecisionKind::Respond => {
                let verbs = words(rule.respond_verbs.iter().copied());
                format!("grant; {verbs} and verbs that the service does not know")
            }
            kind if kind.rule().grant.is_some() => "grant".to_owned(),
            _ => "yes".to_owned(),
        }
    });
    page.push_str("Decisions for some recipients, and forks, are taken at ");
    let events = EventKind::published().filter(|event| event.rule().per_recipient);
    line(page, &format!("{}.\n", words(events.map(EventKind::name))));
}

fn edits(page: &mut String) {
    page.push_str("## Edits\n\n");
    page.push_str(EDITS);
    page.push_str("| edit | grant | events |\n| --- | --- | --- |\n");
    for kind in EditKind::ALL {
        let events = questions().filter(|event| event.rule().allows_edit(kind));
        let events = words(events.map(EventKind::name));
        let grant = kind.rule().grant;
        line(
            page,
            &format!("| `{}` | `{grant}` | {events} |", kind.name()),
        );
    }
    page.push_str("\n| properties of | events |\n| --- | --- |\n");
    for (scope, name) in [
        (pb::PropertyScope::Session, "the session"),
        (pb::PropertyScope::Message, "the message"),
        (pb::PropertyScope::Recipient, "a recipient"),
    ] {
        let events = questions().filter(|event| event.rule().properties.contains(&scope));
        let events = words(events.map(EventKind::name));
        line(page, &format!("| {name} | {events} |"));
    }
    page.push('\n');
}

fn answers(page: &mut String) {
    page.push_str("## Answers\n\n");
    page.push_str(ANSWERS);
    page.push_str("| answer | grant | also | events |\n| --- | --- | --- | --- |\n");
    for kind in AnswerKind::ALL {
        let rule = kind.rule();
        let events = EventKind::ALL.into_iter().filter_map(|event| {
            let mut answers = event.rule().answers.iter();
            let own = answers.find(|own| own.kind == kind)?;
            let arms: Vec<&str> = event
                .rule()
                .answers
                .iter()
                .filter(|own| own.kind == kind)
                .filter_map(|own| own.arm)
                .collect();
            Some(match own.arm {
                Some(_) => format!("`{event}` ({})", arms.join(", ")),
                None => format!("`{event}`"),
            })
        });
        let events: Vec<String> = events.collect();
        let also: Vec<String> = rule
            .also
            .iter()
            .map(|(part, grant)| format!("{part}: `{grant}`"))
            .collect();
        let grant = rule.grant.map(|grant| format!("`{grant}`"));
        line(
            page,
            &format!(
                "| `{}` | {} | {} | {} |",
                kind.name(),
                grant.unwrap_or_default(),
                also.join(", "),
                events.join(", ")
            ),
        );
    }
    page.push('\n');
}

fn policies(page: &mut String) {
    page.push_str("## When a sink fails\n\n");
    line(
        page,
        &format!(
            "The kinds of failure are {}.\n",
            words(FAULTS.iter().copied())
        ),
    );
    page.push_str(POLICIES);
    let columns: Vec<String> = Policy::ALL
        .iter()
        .map(|policy| format!("`{}`", policy.name()))
        .collect();
    grid(page, &columns, |rule, column| {
        let effect = Policy::ALL
            .get(column)
            .and_then(|policy| rule.effect(*policy));
        match effect {
            Some(effect) => outcome(effect),
            None => "refused by `check`".to_owned(),
        }
    });
}

fn outcome(effect: Effect) -> String {
    match effect {
        Effect::Skipped => "as if not bound".to_owned(),
        Effect::Reply(421) => "421, the connection ends".to_owned(),
        Effect::Reply(code) => code.to_string(),
        Effect::Held => "250, kept, asked again".to_owned(),
        Effect::Quarantined => "250, kept for a person".to_owned(),
        Effect::Queued => "stays queued".to_owned(),
        Effect::Bounced => "fails, with a notification".to_owned(),
        Effect::Stands => "the reply stands".to_owned(),
        Effect::SessionEnds => "the session ends".to_owned(),
        Effect::LimitImposed => "the limit is imposed".to_owned(),
    }
}

fn actions(page: &mut String) {
    page.push_str(
        "## Actions of sinks\n\n| action | grant | also | free |\n| --- | --- | --- | --- |\n",
    );
    for kind in ActionKind::ALL {
        let rule = kind.rule();
        let also: Vec<String> = rule
            .also
            .iter()
            .map(|(part, grant)| format!("{part}: `{grant}`"))
            .collect();
        line(
            page,
            &format!(
                "| `{}` | `{}` | {} | {} |",
                kind.name(),
                rule.grant,
                also.join(", "),
                rule.free.join(", ")
            ),
        );
    }
    page.push('\n');
}

fn later(page: &mut String) {
    page.push_str(
        "## One-way events\n\nNobody waits for an answer; a verdict is dropped and counted: ",
    );
    let told = EventKind::published().filter(|event| event.is_one_way());
    line(page, &format!("{}.\n", words(told.map(EventKind::name))));
    page.push_str(LATER);
    let events = EventKind::ALL.into_iter();
    let events = events.filter(|event| !event.is_published());
    line(
        page,
        &format!("- Events: {}.", words(events.map(EventKind::name))),
    );
    let later = words(LATER_GRANTS.iter().copied());
    line(page, &format!("- Grants, with what they allow: {later}."));
    let features = FEATURES
        .iter()
        .filter(|feature| feature.published_in > postern_proto::rules::VERSION);
    let features = words(features.map(|feature| feature.name));
    line(page, &format!("- Features: {features}."));
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

const INTRODUCTION: &str = "\
<!-- Made from proto/postern/v1/rules.json by server/events/examples/make-docs.rs; do not edit. -->
# What a verdict may do

One table, `proto/postern/v1/rules.json`, says which decision, edit, answer and failure policy an event can have, and
which grant each needs. The gateway checks every verdict against it, and `postern check` every binding. What is not in
it is the sink's failure, and the binding's failure policy speaks. An unset or unknown decision is a failure too, never
consent.

";

const DECISIONS: &str = "\
Where the table says *grant*, the binding's `may` must hold the word of the same name. The first digit of a reply must
fit the decision: 4 for `tempfail`, 5 for `reject`, 4 or 5 for `disconnect`, any but 3 for `respond`. `tempfail` with
421 is for `inbound.connect` and `inbound.tls`; elsewhere `disconnect` closes the connection.

While the content of a message is still arriving, a refusal is applied at once if no earlier binding may let the message
be accepted in spite of it: by a grant for `finish`, `discard`, `quarantine` or `hold`, or by the failure policies `hold`
and `quarantine`.

";

const EDITS: &str = "\
Header grants may name a field or a prefix: `headers:X-*`. `Received` and `Return-Path` are changed only by a binding
whose `may` names them in full. A field is edited by an id that the binding was shown, or by its name; a place next to a
field means where it stood, also if an earlier binding has removed it. Values are raw, byte for byte, if they begin with
a blank or hold a CRLF, and text else. Lines of content end in CRLF; a bare CR or LF is refused. At `inbound.rcpt` only
the recipient that is asked about can be edited or given properties. Properties need no grant; each sink writes in a
namespace of its own name, which has its own room: 64 properties and 16 KiB. All edits of a verdict are applied, or none;
edits that cannot be applied, or whose result is over a limit of the server that accepts the message, are the sink's
failure. One recipient must be left: to drop a message is a decision.

";

const ANSWERS: &str = "\
An answer goes with `proceed` or `finish`, a dialogue with `respond`. Several bindings may answer: each sees what the
former said, and the last one counts.

";

const READS: &str = "\
## What a binding reads, and for whom it waits

`reads` holds the words `session`, `sender`, `recipients`, `headers`, `headers:NAME`, `headers:PREFIX*`, `body`,
`properties`, `properties:SINK`, `original`, `digest`, `history` and `credentials`. What it does not name, the sink is
not shown. Left out, it is all that the binding's events and its `body` show, but for the properties of other sinks and
the last four words.

The outcome is always that of asking one binding after the other. A binding waits only for earlier ones whose `may`
touches what it reads; what its rule, its condition and its attributes ask for counts as read. A binding that may change
the body, the sender or the recipients waits for earlier ones that may too. One that reads `original` sees the message as
it was received and waits for no editor. Two bindings of one sink go in turn, and so does a sink that declares side
effects.

";

const POLICIES: &str = "\
The client reads that the service is unavailable, and an id; the operator finds under it what happened. A binding that
is passed over is listed in `skipped_bindings` of session, transaction or message. What is asked together with RCPT has
the policy of `inbound.rcpt`.

";

const LATER: &str = "\
## Not in this version

The protocol has them already; `postern check` refuses a binding that names them. Decisions for some recipients and forks are
refused at the verdict. The hint `cache_for` is accepted and not used: the sink is asked each time.

";
