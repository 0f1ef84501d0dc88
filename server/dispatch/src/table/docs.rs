//! The table as a page of the documentation.

use crate::event::EventKind;
use crate::fault::{FaultKind, Policy};
use crate::verdict::FinishScope;

use super::{
    DecisionKind, EditKind, decision_allowed, edit_allowed, finish_allowed, policy_allowed,
};

/// The text of `docs/decisions-table.md`.
#[must_use]
pub fn render() -> String {
    let mut page = String::from(INTRODUCTION);
    decisions(&mut page);
    edits(&mut page);
    page.push_str(READS);
    policies(&mut page);
    later(&mut page);
    page
}

fn questions() -> impl Iterator<Item = EventKind> {
    EventKind::published().filter(|event| !event.is_one_way())
}

/// A table with an event in each row and `columns` across.
fn grid(page: &mut String, columns: &[String], cell: impl Fn(EventKind, usize) -> &'static str) {
    line(page, &format!("| event | {} |", columns.join(" | ")));
    line(page, &format!("| --- |{}", " --- |".repeat(columns.len())));
    for event in questions() {
        let cells: Vec<&str> = (0..columns.len())
            .map(|column| cell(event, column))
            .collect();
        line(page, &format!("| `{event}` | {} |", cells.join(" | ")));
    }
    page.push('\n');
}

fn decisions(page: &mut String) {
    page.push_str("## Decisions\n\n");
    page.push_str(DECISIONS);
    let columns: Vec<String> = DecisionKind::ALL
        .iter()
        .map(|kind| format!("`{}`", kind.name()))
        .collect();
    grid(page, &columns, |event, column| {
        match DecisionKind::ALL.get(column) {
            Some(kind) if !decision_allowed(event, *kind) => "",
            Some(DecisionKind::Finish) if finish_allowed(event, FinishScope::Message) => {
                "grant; event or message"
            }
            Some(DecisionKind::Finish) => "grant; event",
            Some(DecisionKind::Respond) => respond(event),
            Some(kind) if kind.needs_grant(event) => "grant",
            _ => "yes",
        }
    });
}

fn respond(event: EventKind) -> &'static str {
    match event {
        EventKind::InboundResponse => "same class",
        _ => {
            "grant; 2xx, 4xx, 5xx; NOOP, HELP, VRFY, EXPN and verbs that the service does not know"
        }
    }
}

fn edits(page: &mut String) {
    page.push_str("## Edits\n\n");
    page.push_str(EDITS);
    let columns: Vec<String> = EditKind::ALL
        .iter()
        .map(|kind| match kind.grant() {
            Some(grant) => format!("{} (`{grant}`)", kind.name()),
            None => kind.name().to_owned(),
        })
        .collect();
    grid(page, &columns, |event, column| {
        match EditKind::ALL.get(column) {
            Some(kind) if edit_allowed(event, *kind) => "yes",
            _ => "",
        }
    });
}

fn policies(page: &mut String) {
    page.push_str("## When a sink fails\n\n");
    let kinds: Vec<String> = FaultKind::ALL
        .iter()
        .map(|kind| format!("`{kind}`"))
        .collect();
    line(
        page,
        &format!("The kinds of failure are {}.\n", kinds.join(", ")),
    );
    page.push_str(POLICIES);
    let columns: Vec<String> = Policy::ALL
        .iter()
        .map(|policy| format!("`{policy}`"))
        .collect();
    grid(page, &columns, |event, column| {
        match Policy::ALL.get(column) {
            Some(policy) if policy_allowed(event, *policy) => outcome(event, *policy),
            _ => "refused by `check`",
        }
    });
}

fn outcome(event: EventKind, policy: Policy) -> &'static str {
    let transport = event == EventKind::TransportSubmit;
    let response = event == EventKind::InboundResponse;
    match policy {
        Policy::Continue => "as if not bound",
        Policy::Tempfail | Policy::Reject if response => "the reply stands",
        Policy::Tempfail if transport => "stays queued",
        Policy::Tempfail if matches!(event, EventKind::InboundConnect | EventKind::InboundTls) => {
            "421"
        }
        Policy::Tempfail => "451",
        Policy::Reject if transport => "DSN",
        Policy::Reject => "550",
        Policy::Hold => "250, kept, asked again",
        Policy::Quarantine => "250, kept for a person",
        Policy::Disconnect => "421, connection ends",
    }
}

fn later(page: &mut String) {
    page.push_str(
        "## One-way events\n\nNobody waits for an answer; a verdict is the sink's failure: ",
    );
    let names: Vec<String> = EventKind::published()
        .filter(|event| event.is_one_way())
        .map(|event| format!("`{event}`"))
        .collect();
    line(page, &format!("{}.\n", names.join(", ")));
    page.push_str(LATER);
    let names: Vec<String> = EventKind::ALL
        .iter()
        .filter(|event| !event.is_published())
        .map(|event| format!("`{event}`"))
        .collect();
    line(page, &format!("Events: {}.", names.join(", ")));
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}

const INTRODUCTION: &str = "\
<!-- Made from server/dispatch/src/table.rs; do not edit. -->
# What a verdict may do

One table in the gateway says which decision, which edit and which failure policy an event can have. The gateway
checks every verdict against it, and `postern check` every binding. What is not in it is the sink's failure, and the
binding's failure policy speaks. An unset or unknown decision is a failure too, never consent.

";

const DECISIONS: &str = "\
Where the table says *grant*, the binding's `may` must hold the word; without any, a sink may only object: `reject`,
`tempfail`, `disconnect`. The others keep a message from what the bindings behind would say of it, cost disk and people,
or answer for the service. The first digit of a reply must fit the decision: 4 for `tempfail`, 5 for `reject`, 4 or 5
for `disconnect`. `tempfail` with 421 is for `inbound.connect` and `inbound.tls`; elsewhere `disconnect` closes the
connection.

`respond` answers a command that has no effect in the service. One that has an effect can be refused, and its reply
can be changed afterwards; it is never answered while the service's own handling, with its relay, domain and
recipient checks, is left out. At `inbound.response` a sink may only change the text, or the code within its class.

";

const EDITS: &str = "\
Header grants may name a field or a prefix: `headers:X-*`. `Received` and `Return-Path` are changed only by a binding
whose `may` names them in full. A field is replaced or removed by an id that the binding was shown. At `inbound.rcpt`
only the recipient that is asked about can be rewritten or given properties. Properties need no grant; each sink
writes in a namespace of its own name. All edits of a verdict are applied, or none; edits that cannot be applied, or
whose result is over a limit, are the sink's failure.

";

const READS: &str = "\
## What a binding reads, and for whom it waits

`reads` holds the words `headers`, `headers:NAME`, `headers:PREFIX*`, `body`, `sender`, `recipients`, `properties` and
`properties:SINK`. What it does not name, the sink is not shown. Left out, it is all that the binding's events and its
`body` show, but for the properties of other sinks. The namespace of the gateway's own properties is `postern`.

The outcome is always that of asking one binding after the other. A binding waits only for earlier ones whose `may`
touches what it reads; what its rule and its condition ask for counts as read. A binding that may change the body, the
sender or the recipients waits for earlier ones that may too. Two bindings of one sink go in turn, and so does a sink
that declares side effects.

";

const POLICIES: &str = "\
The client reads that the service is unavailable, and an id; the operator finds under it what happened.
`continue` leaves the property `postern.skipped`. At `inbound.response` what the reply means has
happened: it stands, whatever the policy says, unless that is `disconnect`.

";

const LATER: &str = "\
## Not in this version

The wire has them already; a verdict that holds them is refused, and the fault says so.

Decisions for some recipients only, forks, typed answers, another body as a whole, ESMTP parameters, `redirect`,
expiry, `inject`, `authenticated`, `relay`. The hint `cache_for` is accepted and not used: the sink is asked each time.

";
