//! `rules.json` as it is written, every word of it known.

use std::collections::BTreeMap;

use serde::Deserialize;

/// The whole file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RulesFile {
    pub(crate) version: u32,
    pub(crate) protocol: String,
    pub(crate) decisions: BTreeMap<String, Decision>,
    pub(crate) edits: BTreeMap<String, Edit>,
    pub(crate) answers: BTreeMap<String, Answer>,
    pub(crate) actions: BTreeMap<String, Action>,
    pub(crate) faults: Vec<String>,
    pub(crate) groups: BTreeMap<String, Group>,
    pub(crate) features: BTreeMap<String, u32>,
    pub(crate) bounds: BTreeMap<String, u64>,
    pub(crate) never_by_prefix: Vec<String>,
    pub(crate) events: BTreeMap<String, Event>,
    pub(crate) reads: Vec<String>,
    pub(crate) grants: Vec<String>,
    pub(crate) describe: BTreeMap<String, String>,
}

/// A decision.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Decision {
    pub(crate) grant: Option<String>,
    #[serde(default)]
    pub(crate) reply: Vec<u8>,
    #[serde(default)]
    pub(crate) spares: bool,
}

/// An edit.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Edit {
    pub(crate) grant: String,
}

/// A typed answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Answer {
    pub(crate) grant: Option<String>,
    #[serde(default)]
    pub(crate) also: BTreeMap<String, String>,
    pub(crate) only_with: Option<String>,
}

/// An action of a sink.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Action {
    pub(crate) grant: String,
    #[serde(default)]
    pub(crate) also: BTreeMap<String, String>,
    #[serde(default)]
    pub(crate) free: Vec<String>,
}

/// A group of events that shares a time-out.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) timeout_seconds: u64,
}

/// An event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) number: i32,
    pub(crate) scope: String,
    #[serde(default)]
    pub(crate) also_in: Vec<String>,
    pub(crate) group: String,
    #[serde(default)]
    pub(crate) group_in: BTreeMap<String, String>,
    pub(crate) asked: bool,
    #[serde(default)]
    pub(crate) ask: Vec<String>,
    pub(crate) decisions: Vec<String>,
    pub(crate) edits: Vec<String>,
    pub(crate) edits_only: Option<String>,
    pub(crate) answers: Vec<String>,
    #[serde(default)]
    pub(crate) answer_required: bool,
    #[serde(default)]
    pub(crate) respond_verbs: Vec<String>,
    #[serde(default)]
    pub(crate) respond_unknown: bool,
    pub(crate) properties: Vec<String>,
    pub(crate) policies: BTreeMap<String, String>,
    pub(crate) policies_at_rcpt: Option<String>,
    pub(crate) policies_after_acceptance: Option<BTreeMap<String, String>>,
    pub(crate) per_recipient: bool,
    pub(crate) published_in: u32,
    pub(crate) asked_only: Option<String>,
    #[serde(default)]
    pub(crate) told_after: bool,
    pub(crate) only_as: Option<String>,
    pub(crate) feed_group: Option<String>,
}

/// Reads the file.
pub(crate) fn parse(json: &str) -> Result<RulesFile, serde_json::Error> {
    serde_json::from_str(json)
}
