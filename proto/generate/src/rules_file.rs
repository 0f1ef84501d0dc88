//! `rules.json` as it is written, every word of it known: what each key means stands here.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesFile {
    /// The version of the gateway. What is `published_in` a higher one is in the protocol, and not yet in the gateway.
    pub(crate) version: u32,
    /// The package of the proto files.
    pub(crate) protocol: String,
    /// By the arms of `Decision.kind`.
    pub(crate) decisions: BTreeMap<String, Decision>,
    /// By the arms of `Edit.kind`.
    pub(crate) edits: BTreeMap<String, Edit>,
    /// By the arms of `Answer.kind`.
    pub(crate) answers: BTreeMap<String, Answer>,
    /// By the arms of `SinkAction.kind`.
    pub(crate) actions: BTreeMap<String, Action>,
    /// Kinds of failure: the words of `on_failure`.
    pub(crate) faults: Vec<String>,
    /// The groups that events share a time-out and failure policies in.
    pub(crate) groups: BTreeMap<String, Group>,
    /// Optional parts of the protocol, each with the version of the gateway that has it first.
    pub(crate) features: BTreeMap<String, u32>,
    /// Limits of the protocol. The unit is in the name: octets where it ends in `bytes`, else a count or seconds.
    pub(crate) bounds: BTreeMap<String, u64>,
    /// Header fields that no `remove_headers` by prefix removes.
    pub(crate) never_by_prefix: Vec<String>,
    /// By the dotted names of events.
    pub(crate) events: BTreeMap<String, Event>,
    /// The words of a binding's `reads`. What is written large stands for a name.
    pub(crate) reads: Vec<String>,
    /// The words of a binding's `may`. What is written large stands for a name.
    pub(crate) grants: Vec<String>,
    /// The version of the gateway that does what a grant allows, where it is not the first. Bindings that name a grant of
    /// a later version are refused.
    pub(crate) grants_published_in: BTreeMap<String, u32>,
    /// Fields of `DescribeResponse` that need a grant, each with the grant.
    pub(crate) describe: BTreeMap<String, String>,
}

/// A decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    /// The grant that it needs. Left out: none.
    pub(crate) grant: Option<String>,
    /// First digits that its reply may have. Left out: it has no reply.
    #[serde(default)]
    pub(crate) reply: Vec<u8>,
    /// After it a later binding's refusal does not reach the client any more.
    #[serde(default)]
    pub(crate) spares: bool,
}

/// An edit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    /// The grant that it needs. `headers:NAME`: one for the field that it names.
    pub(crate) grant: String,
}

/// A typed answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    /// The grant that it needs. Left out: none.
    pub(crate) grant: Option<String>,
    /// Further grants for parts of it: a field of the answer, or `field:VALUE`, and the grant. The answer's type checks
    /// these.
    #[serde(default)]
    pub(crate) also: BTreeMap<String, String>,
    /// The one decision that it goes with. Left out: `proceed` and `finish`.
    pub(crate) only_with: Option<String>,
}

/// An action of a sink.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    /// The grant that it needs.
    pub(crate) grant: String,
    /// Further grants for parts of it.
    #[serde(default)]
    pub(crate) also: BTreeMap<String, String>,
    /// Parts that need no grant.
    #[serde(default)]
    pub(crate) free: Vec<String>,
}

/// A group of events that shares a time-out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    /// The time-out of a binding that sets none.
    pub(crate) timeout_seconds: u64,
}

/// An event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    /// Its value in `EventKind`; its arm in `Event.kind` is 100 more.
    pub(crate) number: i32,
    /// What an instance that gets it is about: a value of `Scope`. It is what the event's `Context` is chosen by.
    pub(crate) scope: String,
    /// Other scopes that it happens in too.
    #[serde(default)]
    pub(crate) also_in: Vec<String>,
    /// Whose time-out and failure policies it takes: one of `groups`, or `none` for events that are only told.
    pub(crate) group: String,
    /// The group in one of `also_in`, where it is another.
    #[serde(default)]
    pub(crate) group_in: BTreeMap<String, String>,
    /// A verdict is awaited. False: it is told, one-way; then it has neither `ask` nor policies.
    pub(crate) asked: bool,
    /// When a sink may choose to be asked: values of `AskMode`.
    #[serde(default)]
    pub(crate) ask: Vec<String>,
    /// Decisions that a verdict may hold, of `decisions`. `finish:event` and `finish:message` say how far `finish` goes.
    pub(crate) decisions: Vec<String>,
    /// Edits that a verdict may hold, of `edits`.
    pub(crate) edits: Vec<String>,
    /// `asked_recipient`: edits of recipients may name only the one that is asked about. Left out: any.
    pub(crate) edits_only: Option<String>,
    /// Typed answers that it takes, of `answers`: one, or arms of one (`auth:challenge`).
    pub(crate) answers: Vec<String>,
    /// `proceed` without an answer is refused: there is nothing that the gateway could do by itself.
    #[serde(default)]
    pub(crate) answer_required: bool,
    /// Verbs of the service that `respond` may answer.
    #[serde(default)]
    pub(crate) respond_verbs: Vec<String>,
    /// So may verbs that the service does not know.
    #[serde(default)]
    pub(crate) respond_unknown: bool,
    /// What properties may be set on: values of `PropertyScope`.
    pub(crate) properties: Vec<String>,
    /// Failure policies that a binding may choose, each with what it comes to: the code of a reply, or `skipped`, `held`,
    /// `quarantined`, `queued`, `bounced`, `stands`, `session_ends`, `limit_imposed`. Others are refused by `check`.
    pub(crate) policies: BTreeMap<String, String>,
    /// The event whose policies count where the question waits for RCPT.
    pub(crate) policies_at_rcpt: Option<String>,
    /// What the policies come to once the remote has accepted the content. Left out: the same.
    pub(crate) policies_after_acceptance: Option<BTreeMap<String, String>>,
    /// A verdict may fork the message, and decide otherwise for some recipients.
    pub(crate) per_recipient: bool,
    /// Header fields and body may be shown with it, as deep as the binding says.
    #[serde(default)]
    pub(crate) content: bool,
    /// The first version of the gateway that fires it. Above `version`: bindings to it are refused.
    pub(crate) published_in: u32,
    /// `named_sink`: of all sinks that one is asked which a next hop `sink:NAME` names, and before the gateway's own store
    /// those that none names.
    pub(crate) asked_only: Option<String>,
    /// It is told again, one-way, when what was asked about has been done.
    #[serde(default)]
    pub(crate) told_after: bool,
    /// `feed`: one-way, unless the binding's mode is `feed`; then `proceed` acknowledges it.
    pub(crate) only_as: Option<String>,
    /// The group whose time-out such an acknowledgement has. Goes with `only_as`.
    pub(crate) feed_group: Option<String>,
}

/// Reads the file.
pub(crate) fn parse(json: &str) -> Result<RulesFile, serde_json::Error> {
    serde_json::from_str(json)
}
