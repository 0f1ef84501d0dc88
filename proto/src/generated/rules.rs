// @generated
/// The version of gateways that `published_in` is compared with.
pub const VERSION: u32 = 1;
/// The package on the wire.
pub const PROTOCOL: &str = "postern.v1";
/// A decision, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DecisionKind {
    /// `proceed`.
    Proceed,
    /// `reject`.
    Reject,
    /// `tempfail`.
    Tempfail,
    /// `finish`.
    Finish,
    /// `respond`.
    Respond,
    /// `discard`.
    Discard,
    /// `quarantine`.
    Quarantine,
    /// `hold`.
    Hold,
    /// `postpone`.
    Postpone,
    /// `disconnect`.
    Disconnect,
}
impl DecisionKind {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Proceed,
        Self::Reject,
        Self::Tempfail,
        Self::Finish,
        Self::Respond,
        Self::Discard,
        Self::Quarantine,
        Self::Hold,
        Self::Postpone,
        Self::Disconnect,
    ];
    /// Returns its row.
    pub const fn rule(self) -> &'static DecisionRule {
        &DECISIONS[self as usize]
    }
    /// Returns its name on the wire.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }
    /// Returns the one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
impl From<&decision::Kind> for DecisionKind {
    fn from(kind: &decision::Kind) -> Self {
        match kind {
            decision::Kind::Proceed(_) => Self::Proceed,
            decision::Kind::Reject(_) => Self::Reject,
            decision::Kind::Tempfail(_) => Self::Tempfail,
            decision::Kind::Finish(_) => Self::Finish,
            decision::Kind::Respond(_) => Self::Respond,
            decision::Kind::Discard(_) => Self::Discard,
            decision::Kind::Quarantine(_) => Self::Quarantine,
            decision::Kind::Hold(_) => Self::Hold,
            decision::Kind::Postpone(_) => Self::Postpone,
            decision::Kind::Disconnect(_) => Self::Disconnect,
        }
    }
}
/// The rows, in the order of [`DecisionKind::ALL`].
pub const DECISIONS: &[DecisionRule; 10] = &[
    DecisionRule {
        kind: DecisionKind::Proceed,
        name: "proceed",
        grant: None,
        reply_classes: &[],
        spares: false,
    },
    DecisionRule {
        kind: DecisionKind::Reject,
        name: "reject",
        grant: None,
        reply_classes: &[5],
        spares: false,
    },
    DecisionRule {
        kind: DecisionKind::Tempfail,
        name: "tempfail",
        grant: None,
        reply_classes: &[4],
        spares: false,
    },
    DecisionRule {
        kind: DecisionKind::Finish,
        name: "finish",
        grant: Some("finish"),
        reply_classes: &[],
        spares: true,
    },
    DecisionRule {
        kind: DecisionKind::Respond,
        name: "respond",
        grant: Some("respond"),
        reply_classes: &[2, 4, 5],
        spares: true,
    },
    DecisionRule {
        kind: DecisionKind::Discard,
        name: "discard",
        grant: Some("discard"),
        reply_classes: &[],
        spares: true,
    },
    DecisionRule {
        kind: DecisionKind::Quarantine,
        name: "quarantine",
        grant: Some("quarantine"),
        reply_classes: &[],
        spares: true,
    },
    DecisionRule {
        kind: DecisionKind::Hold,
        name: "hold",
        grant: Some("hold"),
        reply_classes: &[],
        spares: true,
    },
    DecisionRule {
        kind: DecisionKind::Postpone,
        name: "postpone",
        grant: Some("postpone"),
        reply_classes: &[],
        spares: true,
    },
    DecisionRule {
        kind: DecisionKind::Disconnect,
        name: "disconnect",
        grant: None,
        reply_classes: &[4, 5],
        spares: false,
    },
];
/// An edit, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EditKind {
    /// `insert_header`.
    InsertHeader,
    /// `set_header`.
    SetHeader,
    /// `replace_header`.
    ReplaceHeader,
    /// `remove_header`.
    RemoveHeader,
    /// `remove_headers`.
    RemoveHeaders,
    /// `splice_body`.
    SpliceBody,
    /// `replace_body`.
    ReplaceBody,
    /// `add_recipient`.
    AddRecipient,
    /// `remove_recipient`.
    RemoveRecipient,
    /// `rewrite_recipient`.
    RewriteRecipient,
    /// `retain_recipients`.
    RetainRecipients,
    /// `set_sender`.
    SetSender,
    /// `set_parameter`.
    SetParameter,
    /// `redirect`.
    Redirect,
    /// `inject`.
    Inject,
    /// `set_expiry`.
    SetExpiry,
    /// `set_priority`.
    SetPriority,
    /// `set_routing_class`.
    SetRoutingClass,
    /// `set_relay`.
    SetRelay,
    /// `set_authenticated`.
    SetAuthenticated,
}
impl EditKind {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::InsertHeader,
        Self::SetHeader,
        Self::ReplaceHeader,
        Self::RemoveHeader,
        Self::RemoveHeaders,
        Self::SpliceBody,
        Self::ReplaceBody,
        Self::AddRecipient,
        Self::RemoveRecipient,
        Self::RewriteRecipient,
        Self::RetainRecipients,
        Self::SetSender,
        Self::SetParameter,
        Self::Redirect,
        Self::Inject,
        Self::SetExpiry,
        Self::SetPriority,
        Self::SetRoutingClass,
        Self::SetRelay,
        Self::SetAuthenticated,
    ];
    /// Returns its row.
    pub const fn rule(self) -> &'static EditRule {
        &EDITS[self as usize]
    }
    /// Returns its name on the wire.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }
    /// Returns the one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
impl From<&edit::Kind> for EditKind {
    fn from(kind: &edit::Kind) -> Self {
        match kind {
            edit::Kind::InsertHeader(_) => Self::InsertHeader,
            edit::Kind::SetHeader(_) => Self::SetHeader,
            edit::Kind::ReplaceHeader(_) => Self::ReplaceHeader,
            edit::Kind::RemoveHeader(_) => Self::RemoveHeader,
            edit::Kind::RemoveHeaders(_) => Self::RemoveHeaders,
            edit::Kind::SpliceBody(_) => Self::SpliceBody,
            edit::Kind::ReplaceBody(_) => Self::ReplaceBody,
            edit::Kind::AddRecipient(_) => Self::AddRecipient,
            edit::Kind::RemoveRecipient(_) => Self::RemoveRecipient,
            edit::Kind::RewriteRecipient(_) => Self::RewriteRecipient,
            edit::Kind::RetainRecipients(_) => Self::RetainRecipients,
            edit::Kind::SetSender(_) => Self::SetSender,
            edit::Kind::SetParameter(_) => Self::SetParameter,
            edit::Kind::Redirect(_) => Self::Redirect,
            edit::Kind::Inject(_) => Self::Inject,
            edit::Kind::SetExpiry(_) => Self::SetExpiry,
            edit::Kind::SetPriority(_) => Self::SetPriority,
            edit::Kind::SetRoutingClass(_) => Self::SetRoutingClass,
            edit::Kind::SetRelay(_) => Self::SetRelay,
            edit::Kind::SetAuthenticated(_) => Self::SetAuthenticated,
        }
    }
}
/// The rows, in the order of [`EditKind::ALL`].
pub const EDITS: &[EditRule; 20] = &[
    EditRule {
        kind: EditKind::InsertHeader,
        name: "insert_header",
        grant: "headers:NAME",
    },
    EditRule {
        kind: EditKind::SetHeader,
        name: "set_header",
        grant: "headers:NAME",
    },
    EditRule {
        kind: EditKind::ReplaceHeader,
        name: "replace_header",
        grant: "headers:NAME",
    },
    EditRule {
        kind: EditKind::RemoveHeader,
        name: "remove_header",
        grant: "headers:NAME",
    },
    EditRule {
        kind: EditKind::RemoveHeaders,
        name: "remove_headers",
        grant: "headers:NAME",
    },
    EditRule {
        kind: EditKind::SpliceBody,
        name: "splice_body",
        grant: "body",
    },
    EditRule {
        kind: EditKind::ReplaceBody,
        name: "replace_body",
        grant: "body",
    },
    EditRule {
        kind: EditKind::AddRecipient,
        name: "add_recipient",
        grant: "recipients",
    },
    EditRule {
        kind: EditKind::RemoveRecipient,
        name: "remove_recipient",
        grant: "recipients",
    },
    EditRule {
        kind: EditKind::RewriteRecipient,
        name: "rewrite_recipient",
        grant: "recipients",
    },
    EditRule {
        kind: EditKind::RetainRecipients,
        name: "retain_recipients",
        grant: "recipients",
    },
    EditRule {
        kind: EditKind::SetSender,
        name: "set_sender",
        grant: "sender",
    },
    EditRule {
        kind: EditKind::SetParameter,
        name: "set_parameter",
        grant: "parameters",
    },
    EditRule {
        kind: EditKind::Redirect,
        name: "redirect",
        grant: "redirect",
    },
    EditRule {
        kind: EditKind::Inject,
        name: "inject",
        grant: "inject",
    },
    EditRule {
        kind: EditKind::SetExpiry,
        name: "set_expiry",
        grant: "expiry",
    },
    EditRule {
        kind: EditKind::SetPriority,
        name: "set_priority",
        grant: "priority",
    },
    EditRule {
        kind: EditKind::SetRoutingClass,
        name: "set_routing_class",
        grant: "redirect",
    },
    EditRule {
        kind: EditKind::SetRelay,
        name: "set_relay",
        grant: "relay",
    },
    EditRule {
        kind: EditKind::SetAuthenticated,
        name: "set_authenticated",
        grant: "authenticated",
    },
];
/// A typed answer, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnswerKind {
    /// `rcpt`.
    Rcpt,
    /// `response`.
    Response,
    /// `auth`.
    Auth,
    /// `dialogue`.
    Dialogue,
    /// `expansion`.
    Expansion,
    /// `route`.
    Route,
    /// `resolve`.
    Resolve,
    /// `size`.
    Size,
    /// `local_delivery`.
    LocalDelivery,
    /// `dsn`.
    Dsn,
    /// `commands`.
    Commands,
    /// `remote_status`.
    RemoteStatus,
}
impl AnswerKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Rcpt,
        Self::Response,
        Self::Auth,
        Self::Dialogue,
        Self::Expansion,
        Self::Route,
        Self::Resolve,
        Self::Size,
        Self::LocalDelivery,
        Self::Dsn,
        Self::Commands,
        Self::RemoteStatus,
    ];
    /// Returns its row.
    pub const fn rule(self) -> &'static AnswerRule {
        &ANSWERS[self as usize]
    }
    /// Returns its name on the wire.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }
    /// Returns the one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
impl From<&answer::Kind> for AnswerKind {
    fn from(kind: &answer::Kind) -> Self {
        match kind {
            answer::Kind::Rcpt(_) => Self::Rcpt,
            answer::Kind::Response(_) => Self::Response,
            answer::Kind::Auth(_) => Self::Auth,
            answer::Kind::Dialogue(_) => Self::Dialogue,
            answer::Kind::Expansion(_) => Self::Expansion,
            answer::Kind::Route(_) => Self::Route,
            answer::Kind::Resolve(_) => Self::Resolve,
            answer::Kind::Size(_) => Self::Size,
            answer::Kind::LocalDelivery(_) => Self::LocalDelivery,
            answer::Kind::Dsn(_) => Self::Dsn,
            answer::Kind::Commands(_) => Self::Commands,
            answer::Kind::RemoteStatus(_) => Self::RemoteStatus,
        }
    }
}
/// The rows, in the order of [`AnswerKind::ALL`].
pub const ANSWERS: &[AnswerRule; 12] = &[
    AnswerRule {
        kind: AnswerKind::Rcpt,
        name: "rcpt",
        grant: Some("admit"),
        also: &[
            ("next_hop", "redirect"),
            ("recipient_kind:RELAYED", "relay"),
            ("tenant", "tenant"),
        ],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Response,
        name: "response",
        grant: None,
        also: &[("added_lines:ehlo", "ehlo"), ("removed_keywords", "ehlo")],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Auth,
        name: "auth",
        grant: Some("authenticated"),
        also: &[("success.may_relay", "relay"), ("success.tenant", "tenant")],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Dialogue,
        name: "dialogue",
        grant: Some("respond"),
        also: &[],
        only_with: Some(DecisionKind::Respond),
    },
    AnswerRule {
        kind: AnswerKind::Expansion,
        name: "expansion",
        grant: Some("recipients"),
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Route,
        name: "route",
        grant: Some("redirect"),
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Resolve,
        name: "resolve",
        grant: Some("redirect"),
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Size,
        name: "size",
        grant: Some("size"),
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::LocalDelivery,
        name: "local_delivery",
        grant: None,
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Dsn,
        name: "dsn",
        grant: Some("dsn"),
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::Commands,
        name: "commands",
        grant: Some("commands"),
        also: &[],
        only_with: None,
    },
    AnswerRule {
        kind: AnswerKind::RemoteStatus,
        name: "remote_status",
        grant: Some("commands"),
        also: &[],
        only_with: None,
    },
];
/// An action of a sink, without what it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ActionKind {
    /// `change_queued`.
    ChangeQueued,
    /// `inject`.
    Inject,
    /// `reset_routes`.
    ResetRoutes,
    /// `set_link`.
    SetLink,
    /// `look_up`.
    LookUp,
}
impl ActionKind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::ChangeQueued,
        Self::Inject,
        Self::ResetRoutes,
        Self::SetLink,
        Self::LookUp,
    ];
    /// Returns its row.
    pub const fn rule(self) -> &'static ActionRule {
        &ACTIONS[self as usize]
    }
    /// Returns its name on the wire.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }
    /// Returns the one with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}
impl From<&sink_action::Kind> for ActionKind {
    fn from(kind: &sink_action::Kind) -> Self {
        match kind {
            sink_action::Kind::ChangeQueued(_) => Self::ChangeQueued,
            sink_action::Kind::Inject(_) => Self::Inject,
            sink_action::Kind::ResetRoutes(_) => Self::ResetRoutes,
            sink_action::Kind::SetLink(_) => Self::SetLink,
            sink_action::Kind::LookUp(_) => Self::LookUp,
        }
    }
}
/// The rows, in the order of [`ActionKind::ALL`].
pub const ACTIONS: &[ActionRule; 5] = &[
    ActionRule {
        kind: ActionKind::ChangeQueued,
        name: "change_queued",
        grant: "act:queue",
        also: &[
            ("hold_queued", "hold"),
            ("recall_queued", "discard"),
            ("release_queued:quarantined", "quarantine"),
            ("reroute_queued", "redirect"),
        ],
        free: &[],
    },
    ActionRule {
        kind: ActionKind::Inject,
        name: "inject",
        grant: "act:inject",
        also: &[],
        free: &[],
    },
    ActionRule {
        kind: ActionKind::ResetRoutes,
        name: "reset_routes",
        grant: "act:routes",
        also: &[],
        free: &[],
    },
    ActionRule {
        kind: ActionKind::SetLink,
        name: "set_link",
        grant: "act:links",
        also: &[],
        free: &[],
    },
    ActionRule {
        kind: ActionKind::LookUp,
        name: "look_up",
        grant: "act:look",
        also: &[],
        free: &["instance", "bindings"],
    },
];
/// The events, in the order of their numbers.
pub const EVENTS: &[EventRule; 38] = &[
    EventRule {
        kind: EventKind::InboundConnect,
        name: "inbound.connect",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::AtRcpt, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[EditKind::SetRelay],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Session],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(421)),
            (Policy::Reject, Effect::Reply(554)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: Some(EventKind::InboundRcpt),
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundHelo,
        name: "inbound.helo",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::AtRcpt, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[EditKind::SetRelay],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Auth,
                arm: Some("mechanisms"),
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Session],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: Some(EventKind::InboundRcpt),
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundTls,
        name: "inbound.tls",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::AtRcpt, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[EditKind::SetRelay, EditKind::SetAuthenticated],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Session],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(421)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: Some(EventKind::InboundRcpt),
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundAuth,
        name: "inbound.auth",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[EditKind::SetRelay],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Auth,
                arm: Some("challenge"),
            },
            AllowedAnswer {
                kind: AnswerKind::Auth,
                arm: Some("success"),
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Session],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundMail,
        name: "inbound.mail",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::AtRcpt, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event, FinishScope::Message],
        edits: &[
            EditKind::SetSender,
            EditKind::SetParameter,
            EditKind::SetPriority,
            EditKind::SetRelay,
        ],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Session, PropertyScope::Message],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: Some(EventKind::InboundRcpt),
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundRcpt,
        name: "inbound.rcpt",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
            DecisionKind::Discard,
        ],
        finish: &[FinishScope::Event, FinishScope::Message],
        edits: &[EditKind::RewriteRecipient, EditKind::SetParameter],
        edits_asked_recipient_only: true,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Rcpt,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[
            PropertyScope::Session,
            PropertyScope::Message,
            PropertyScope::Recipient,
        ],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundData,
        name: "inbound.data",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event, FinishScope::Message],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[
            PropertyScope::Session,
            PropertyScope::Message,
            PropertyScope::Recipient,
        ],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundHeaders,
        name: "inbound.headers",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Headers),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
            DecisionKind::Discard,
            DecisionKind::Quarantine,
            DecisionKind::Hold,
        ],
        finish: &[FinishScope::Event, FinishScope::Message],
        edits: &[
            EditKind::InsertHeader,
            EditKind::SetHeader,
            EditKind::ReplaceHeader,
            EditKind::RemoveHeader,
            EditKind::RemoveHeaders,
            EditKind::AddRecipient,
            EditKind::RemoveRecipient,
            EditKind::RewriteRecipient,
            EditKind::RetainRecipients,
            EditKind::SetSender,
            EditKind::SetParameter,
            EditKind::Redirect,
            EditKind::SetExpiry,
            EditKind::SetPriority,
            EditKind::SetRoutingClass,
            EditKind::Inject,
        ],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[
            PropertyScope::Session,
            PropertyScope::Message,
            PropertyScope::Recipient,
        ],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundMessage,
        name: "inbound.message",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Message),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
            DecisionKind::Discard,
            DecisionKind::Quarantine,
            DecisionKind::Hold,
        ],
        finish: &[FinishScope::Event, FinishScope::Message],
        edits: &[
            EditKind::InsertHeader,
            EditKind::SetHeader,
            EditKind::ReplaceHeader,
            EditKind::RemoveHeader,
            EditKind::RemoveHeaders,
            EditKind::SpliceBody,
            EditKind::ReplaceBody,
            EditKind::AddRecipient,
            EditKind::RemoveRecipient,
            EditKind::RewriteRecipient,
            EditKind::RetainRecipients,
            EditKind::SetSender,
            EditKind::SetParameter,
            EditKind::Redirect,
            EditKind::SetExpiry,
            EditKind::SetPriority,
            EditKind::SetRoutingClass,
            EditKind::Inject,
        ],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[
            PropertyScope::Session,
            PropertyScope::Message,
            PropertyScope::Recipient,
        ],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundCommand,
        name: "inbound.command",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
            DecisionKind::Respond,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Dialogue,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &["NOOP", "HELP", "VRFY", "EXPN"],
        respond_unknown: true,
        properties: &[PropertyScope::Session],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Reply(451)),
            (Policy::Reject, Effect::Reply(550)),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundResponse,
        name: "inbound.response",
        scope: Scope::InboundSession,
        also_in: &[],
        group: Some(Group::Command),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Response,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Session],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Stands),
            (Policy::Reject, Effect::Stands),
            (Policy::Disconnect, Effect::Reply(421)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundOutcome,
        name: "inbound.outcome",
        scope: Scope::InboundSession,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundReset,
        name: "inbound.reset",
        scope: Scope::InboundSession,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::InboundDisconnect,
        name: "inbound.disconnect",
        scope: Scope::InboundSession,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportSubmit,
        name: "transport.submit",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Discard,
            DecisionKind::Quarantine,
            DecisionKind::Hold,
            DecisionKind::Postpone,
        ],
        finish: &[FinishScope::Event],
        edits: &[
            EditKind::InsertHeader,
            EditKind::SetHeader,
            EditKind::ReplaceHeader,
            EditKind::RemoveHeader,
            EditKind::RemoveHeaders,
            EditKind::SpliceBody,
            EditKind::ReplaceBody,
            EditKind::AddRecipient,
            EditKind::RemoveRecipient,
            EditKind::RewriteRecipient,
            EditKind::RetainRecipients,
            EditKind::SetSender,
            EditKind::SetParameter,
            EditKind::Redirect,
            EditKind::SetExpiry,
            EditKind::SetPriority,
            EditKind::SetRoutingClass,
            EditKind::Inject,
        ],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message, PropertyScope::Recipient],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportPreCategorize,
        name: "transport.pre_categorize",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Discard,
            DecisionKind::Quarantine,
            DecisionKind::Hold,
            DecisionKind::Postpone,
        ],
        finish: &[FinishScope::Event],
        edits: &[
            EditKind::InsertHeader,
            EditKind::SetHeader,
            EditKind::ReplaceHeader,
            EditKind::RemoveHeader,
            EditKind::RemoveHeaders,
            EditKind::SpliceBody,
            EditKind::ReplaceBody,
            EditKind::AddRecipient,
            EditKind::RemoveRecipient,
            EditKind::RewriteRecipient,
            EditKind::RetainRecipients,
            EditKind::SetSender,
            EditKind::SetParameter,
            EditKind::Redirect,
            EditKind::SetExpiry,
            EditKind::SetPriority,
            EditKind::SetRoutingClass,
            EditKind::Inject,
        ],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message, PropertyScope::Recipient],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportCategorize,
        name: "transport.categorize",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Postpone,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Expansion,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message, PropertyScope::Recipient],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportExpand,
        name: "transport.expand",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Postpone,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Expansion,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message, PropertyScope::Recipient],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportPostCategorize,
        name: "transport.post_categorize",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Discard,
            DecisionKind::Quarantine,
            DecisionKind::Hold,
            DecisionKind::Postpone,
        ],
        finish: &[FinishScope::Event],
        edits: &[
            EditKind::InsertHeader,
            EditKind::SetHeader,
            EditKind::ReplaceHeader,
            EditKind::RemoveHeader,
            EditKind::RemoveHeaders,
            EditKind::SpliceBody,
            EditKind::ReplaceBody,
            EditKind::AddRecipient,
            EditKind::RemoveRecipient,
            EditKind::RewriteRecipient,
            EditKind::RetainRecipients,
            EditKind::SetSender,
            EditKind::SetParameter,
            EditKind::Redirect,
            EditKind::SetExpiry,
            EditKind::SetPriority,
            EditKind::SetRoutingClass,
            EditKind::Inject,
        ],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message, PropertyScope::Recipient],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: true,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportRoute,
        name: "transport.route",
        scope: Scope::Destination,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Finish,
            DecisionKind::Tempfail,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Route,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportMaxSize,
        name: "transport.max_size",
        scope: Scope::Transport,
        also_in: &[Scope::InboundSession],
        group: Some(Group::Transport),
        group_in: &[(Scope::InboundSession, Group::Command)],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[DecisionKind::Proceed, DecisionKind::Finish],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Size,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message],
        policies: &[
            (Policy::Continue, Effect::LimitImposed),
            (Policy::Tempfail, Effect::Reply(451)),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 2,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportResolve,
        name: "transport.resolve",
        scope: Scope::Destination,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Finish,
            DecisionKind::Tempfail,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Resolve,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportLocalDelivery,
        name: "transport.local_delivery",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
        ],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::LocalDelivery,
                arm: None,
            },
        ],
        answer_required: true,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: true,
        published_in: 1,
        named_sink_only: true,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::TransportDsn,
        name: "transport.dsn",
        scope: Scope::Transport,
        also_in: &[],
        group: Some(Group::Transport),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Finish,
            DecisionKind::Tempfail,
        ],
        finish: &[FinishScope::Event],
        edits: &[EditKind::Inject],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Dsn,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[PropertyScope::Message, PropertyScope::Recipient],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Hold, Effect::Held),
            (Policy::Quarantine, Effect::Quarantined),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: true,
        published_in: 2,
        named_sink_only: false,
        told_after: true,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundSessionStart,
        name: "outbound.session_start",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Commands,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundMessageStart,
        name: "outbound.message_start",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[
            EditKind::InsertHeader,
            EditKind::SetHeader,
            EditKind::ReplaceHeader,
            EditKind::RemoveHeader,
            EditKind::RemoveHeaders,
            EditKind::SpliceBody,
            EditKind::ReplaceBody,
            EditKind::SetParameter,
        ],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Commands,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: true,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundRecipient,
        name: "outbound.recipient",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Commands,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundBeforeData,
        name: "outbound.before_data",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Commands,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundSessionEnd,
        name: "outbound.session_end",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Commands,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Stands),
            (Policy::Reject, Effect::Stands),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundCommand,
        name: "outbound.command",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::Commands,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Stands),
            (Policy::Reject, Effect::Stands),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundResponse,
        name: "outbound.response",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[
            AllowedAnswer {
                kind: AnswerKind::RemoteStatus,
                arm: None,
            },
        ],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Stands),
            (Policy::Reject, Effect::Stands),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::OutboundTls,
        name: "outbound.tls",
        scope: Scope::OutboundSession,
        also_in: &[],
        group: Some(Group::Outgoing),
        group_in: &[],
        asked: true,
        ask_modes: &[AskMode::AtOnce, AskMode::Told],
        decisions: &[
            DecisionKind::Proceed,
            DecisionKind::Reject,
            DecisionKind::Tempfail,
            DecisionKind::Finish,
            DecisionKind::Disconnect,
        ],
        finish: &[FinishScope::Event],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[
            (Policy::Continue, Effect::Skipped),
            (Policy::Tempfail, Effect::Queued),
            (Policy::Reject, Effect::Bounced),
            (Policy::Disconnect, Effect::SessionEnds),
        ],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::DeliveryResult,
        name: "delivery.result",
        scope: Scope::Delivery,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[DecisionKind::Proceed],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: Some(Group::Transport),
    },
    EventRule {
        kind: EventKind::DeliveryLink,
        name: "delivery.link",
        scope: Scope::Delivery,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[DecisionKind::Proceed],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: Some(Group::Transport),
    },
    EventRule {
        kind: EventKind::DeliveryTrack,
        name: "delivery.track",
        scope: Scope::Delivery,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[DecisionKind::Proceed],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 2,
        named_sink_only: false,
        told_after: false,
        feed_group: Some(Group::Transport),
    },
    EventRule {
        kind: EventKind::ServiceStart,
        name: "service.start",
        scope: Scope::Service,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::ServiceStop,
        name: "service.stop",
        scope: Scope::Service,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 1,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
    EventRule {
        kind: EventKind::ServiceConfig,
        name: "service.config",
        scope: Scope::Service,
        also_in: &[],
        group: None,
        group_in: &[],
        asked: false,
        ask_modes: &[],
        decisions: &[],
        finish: &[],
        edits: &[],
        edits_asked_recipient_only: false,
        answers: &[],
        answer_required: false,
        respond_verbs: &[],
        respond_unknown: false,
        properties: &[],
        policies: &[],
        policies_after_acceptance: &[],
        policies_at_rcpt: None,
        per_recipient: false,
        shows_content: false,
        published_in: 2,
        named_sink_only: false,
        told_after: false,
        feed_group: None,
    },
];
/// Returns which event this is.
pub const fn event_kind(kind: &v1::event::Kind) -> EventKind {
    match kind {
        v1::event::Kind::InboundConnect(_) => EventKind::InboundConnect,
        v1::event::Kind::InboundHelo(_) => EventKind::InboundHelo,
        v1::event::Kind::InboundTls(_) => EventKind::InboundTls,
        v1::event::Kind::InboundAuth(_) => EventKind::InboundAuth,
        v1::event::Kind::InboundMail(_) => EventKind::InboundMail,
        v1::event::Kind::InboundRcpt(_) => EventKind::InboundRcpt,
        v1::event::Kind::InboundData(_) => EventKind::InboundData,
        v1::event::Kind::InboundHeaders(_) => EventKind::InboundHeaders,
        v1::event::Kind::InboundMessage(_) => EventKind::InboundMessage,
        v1::event::Kind::InboundCommand(_) => EventKind::InboundCommand,
        v1::event::Kind::InboundResponse(_) => EventKind::InboundResponse,
        v1::event::Kind::InboundOutcome(_) => EventKind::InboundOutcome,
        v1::event::Kind::InboundReset(_) => EventKind::InboundReset,
        v1::event::Kind::InboundDisconnect(_) => EventKind::InboundDisconnect,
        v1::event::Kind::TransportSubmit(_) => EventKind::TransportSubmit,
        v1::event::Kind::TransportPreCategorize(_) => EventKind::TransportPreCategorize,
        v1::event::Kind::TransportCategorize(_) => EventKind::TransportCategorize,
        v1::event::Kind::TransportExpand(_) => EventKind::TransportExpand,
        v1::event::Kind::TransportPostCategorize(_) => EventKind::TransportPostCategorize,
        v1::event::Kind::TransportRoute(_) => EventKind::TransportRoute,
        v1::event::Kind::TransportMaxSize(_) => EventKind::TransportMaxSize,
        v1::event::Kind::TransportResolve(_) => EventKind::TransportResolve,
        v1::event::Kind::TransportLocalDelivery(_) => EventKind::TransportLocalDelivery,
        v1::event::Kind::TransportDsn(_) => EventKind::TransportDsn,
        v1::event::Kind::OutboundSessionStart(_) => EventKind::OutboundSessionStart,
        v1::event::Kind::OutboundMessageStart(_) => EventKind::OutboundMessageStart,
        v1::event::Kind::OutboundRecipient(_) => EventKind::OutboundRecipient,
        v1::event::Kind::OutboundBeforeData(_) => EventKind::OutboundBeforeData,
        v1::event::Kind::OutboundSessionEnd(_) => EventKind::OutboundSessionEnd,
        v1::event::Kind::OutboundCommand(_) => EventKind::OutboundCommand,
        v1::event::Kind::OutboundResponse(_) => EventKind::OutboundResponse,
        v1::event::Kind::OutboundTls(_) => EventKind::OutboundTls,
        v1::event::Kind::DeliveryResult(_) => EventKind::DeliveryResult,
        v1::event::Kind::DeliveryLink(_) => EventKind::DeliveryLink,
        v1::event::Kind::DeliveryTrack(_) => EventKind::DeliveryTrack,
        v1::event::Kind::ServiceStart(_) => EventKind::ServiceStart,
        v1::event::Kind::ServiceStop(_) => EventKind::ServiceStop,
        v1::event::Kind::ServiceConfig(_) => EventKind::ServiceConfig,
    }
}
/// Words of `reads`. A name in capitals stands for any.
pub const READS: &[&str; 13] = &[
    "session",
    "sender",
    "recipients",
    "headers",
    "headers:NAME",
    "headers:PREFIX*",
    "body",
    "properties",
    "properties:SINK",
    "original",
    "digest",
    "history",
    "credentials",
];
/// Words of `may` and `grants`. A name in capitals stands for any.
pub const GRANTS: &[&str; 30] = &[
    "finish",
    "discard",
    "quarantine",
    "hold",
    "postpone",
    "respond",
    "headers",
    "headers:NAME",
    "headers:PREFIX*",
    "body",
    "sender",
    "recipients",
    "parameters",
    "redirect",
    "expiry",
    "priority",
    "inject",
    "authenticated",
    "relay",
    "admit",
    "tenant",
    "ehlo",
    "dsn",
    "size",
    "commands",
    "act:inject",
    "act:queue",
    "act:routes",
    "act:links",
    "act:look",
];
/// Words of `may` that the gateway of this version has nothing to apply to.
pub const LATER_GRANTS: &[&str; 3] = &["dsn", "size", "act:routes"];
/// Kinds of failure, the words of `on_failure`.
pub const FAULTS: &[&str; 7] = &[
    "unreachable",
    "timeout",
    "overload",
    "protocol",
    "fault",
    "budget",
    "size",
];
/// Header fields that no prefix removes.
pub const NEVER_BY_PREFIX: &[&str; 2] = &["Received", "Return-Path"];
/// Optional parts of the protocol.
pub const FEATURES: &[FeatureRule; 5] = &[
    FeatureRule {
        name: "actions",
        published_in: 1,
    },
    FeatureRule {
        name: "parts",
        published_in: 1,
    },
    FeatureRule {
        name: "settled",
        published_in: 1,
    },
    FeatureRule {
        name: "uploads",
        published_in: 2,
    },
    FeatureRule {
        name: "cache",
        published_in: 4,
    },
];
impl Group {
    /// Returns the time-out of a binding that sets none, in seconds.
    pub const fn default_timeout_seconds(self) -> u64 {
        match self {
            Self::Command => 5,
            Self::Headers => 10,
            Self::Message => 60,
            Self::Outgoing => 10,
            Self::Transport => 60,
        }
    }
}
/// The grant without which `DescribeResponse.ehlo_keywords` must be empty.
pub const DESCRIBE_EHLO_KEYWORDS_GRANT: &str = "ehlo";
/// The grant without which `DescribeResponse.verbs` must be empty.
pub const DESCRIBE_VERBS_GRANT: &str = "respond";
/// Limits of the protocol: octets, counts and seconds.
pub mod bounds {
    /// `content_bytes`.
    pub const CONTENT_BYTES: usize = 262144;
    /// `credit_bytes`.
    pub const CREDIT_BYTES: usize = 16777216;
    /// `delay_seconds`.
    pub const DELAY_SECONDS: usize = 30;
    /// `element_bytes`.
    pub const ELEMENT_BYTES: usize = 524288;
    /// `frame_bytes`.
    pub const FRAME_BYTES: usize = 1048576;
    /// `group`.
    pub const GROUP: usize = 100;
    /// `injection_depth`.
    pub const INJECTION_DEPTH: usize = 8;
    /// `injections`.
    pub const INJECTIONS: usize = 16;
    /// `literal_bytes`.
    pub const LITERAL_BYTES: usize = 524288;
    /// `properties`.
    pub const PROPERTIES: usize = 64;
    /// `read_bytes`.
    pub const READ_BYTES: usize = 1048576;
    /// `reads_waiting`.
    pub const READS_WAITING: usize = 64;
    /// `uploads`.
    pub const UPLOADS: usize = 8;
}
/// Gives a macro all events, in the order of their numbers: of each what it is, its name as a variant, and its
/// number.
#[macro_export]
macro_rules! for_each_event {
    ($of:ident) => {
        $of! {
            #[doc = "`inbound.connect`: a client connected; the banner has not been sent."]
            InboundConnect = 1;
            #[doc = "`inbound.helo`: HELO, EHLO or LHLO."]
            InboundHelo = 2;
            #[doc = "`inbound.tls`: a handshake ended, well or not."]
            InboundTls = 3;
            #[doc = "`inbound.auth`: a step of an AUTH exchange (RFC 4954), before the service looks at its own users."]
            InboundAuth = 4;
            #[doc = "`inbound.mail`: MAIL."]
            InboundMail = 5;
            #[doc = "`inbound.rcpt`: RCPT."]
            InboundRcpt = 6;
            #[doc = "`inbound.data`: DATA, or the first BDAT."]
            InboundData = 7;
            #[doc = "`inbound.headers`: the header section is complete, the body is still arriving."]
            InboundHeaders = 8;
            #[doc = "`inbound.message`: the message."]
            InboundMessage = 9;
            #[doc = "`inbound.command`: any verb, before the typed event and the service's own handling."]
            InboundCommand = 10;
            #[doc = "`inbound.response`: a reply is about to be sent."]
            InboundResponse = 11;
            #[doc = "`inbound.outcome`: one-way; what became of a transaction."]
            InboundOutcome = 12;
            #[doc = "`inbound.reset`: one-way; the client gave a transaction up before its content."]
            InboundReset = 13;
            #[doc = "`inbound.disconnect`: one-way; the session ended."]
            InboundDisconnect = 14;
            #[doc = "`transport.submit`: the message was accepted and is durable."]
            TransportSubmit = 31;
            #[doc = "`transport.pre_categorize`: before recipients are resolved."]
            TransportPreCategorize = 32;
            #[doc = "`transport.categorize`: recipients, and the sender, are to be resolved."]
            TransportCategorize = 33;
            #[doc = "`transport.expand`: one recipient or list is to be resolved."]
            TransportExpand = 34;
            #[doc = "`transport.post_categorize`: all recipients are resolved."]
            TransportPostCategorize = 35;
            #[doc = "`transport.route`: where do the messages of one class for one destination go? Asked when the first one is due and no answer holds any more."]
            TransportRoute = 36;
            #[doc = "`transport.max_size`: a size limit would refuse the message."]
            TransportMaxSize = 37;
            #[doc = "`transport.resolve`: addresses are needed for a name."]
            TransportResolve = 38;
            #[doc = "`transport.local_delivery`: this sink is the mailbox store of these recipients (next hop \"sink:NAME\")."]
            TransportLocalDelivery = 39;
            #[doc = "`transport.dsn`: a notification is about to be made."]
            TransportDsn = 40;
            #[doc = "`outbound.session_start`: before EHLO."]
            OutboundSessionStart = 61;
            #[doc = "`outbound.message_start`: after EHLO and every conversion, before MAIL."]
            OutboundMessageStart = 62;
            #[doc = "`outbound.recipient`: before each RCPT."]
            OutboundRecipient = 63;
            #[doc = "`outbound.before_data`: before DATA or BDAT."]
            OutboundBeforeData = 64;
            #[doc = "`outbound.session_end`: before QUIT."]
            OutboundSessionEnd = 65;
            #[doc = "`outbound.command`: any command but AUTH, before it is sent."]
            OutboundCommand = 66;
            #[doc = "`outbound.response`: the remote answered."]
            OutboundResponse = 67;
            #[doc = "`outbound.tls`: how TLS turned out in this attempt."]
            OutboundTls = 68;
            #[doc = "`delivery.result`: what became of recipients in one attempt."]
            DeliveryResult = 91;
            #[doc = "`delivery.link`: a destination went down or came back."]
            DeliveryLink = 92;
            #[doc = "`delivery.track`: a step in a message's life."]
            DeliveryTrack = 93;
            #[doc = "`service.start`: the gateway started."]
            ServiceStart = 101;
            #[doc = "`service.stop`: the gateway is stopping."]
            ServiceStop = 102;
            #[doc = "`service.config`: another configuration took effect."]
            ServiceConfig = 103;
        }
    };
}
