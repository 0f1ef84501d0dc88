//! What a test wants the sink to do, and when.

use postern_proto::v1::RecipientKind;

use crate::outgoing::{Around, Taken};

/// `EVENT[:SUBJECT]=ACTION`.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    event: String,
    subject: String,
    action: Action,
}

/// What to do when an event comes.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// No objection.
    Proceed,
    /// 550, at once; at `message` that is while the content still arrives.
    Reject,
    /// 451, at once.
    Tempfail,
    /// 451 until it is asked for the attempt with this number.
    TempfailBefore(u32),
    /// 250, and dropped.
    Discard,
    /// 250, and kept for a person.
    Quarantine,
    /// 250, and asked again.
    Hold,
    /// Kept, and asked again after so many seconds.
    Postpone(u32),
    /// 421.
    Disconnect,
    /// The chain ends for this event.
    Finish,
    /// The chains end for this message.
    FinishMessage,
    /// This reply, `CODE TEXT`, in place of the service's own handling.
    Respond(u32, String),
    /// Another reply than the one about to be sent, `CODE TEXT`.
    Reply(u32, String),
    /// No objection, after so many milliseconds.
    Delay(u64),
    /// Never an answer.
    Hang,
    /// Never an answer, but the word that it is still at work.
    Progress,
    /// The stream ends.
    Close,
    /// The process ends.
    Crash,
    /// A failure that the sink admits.
    Fault,
    /// It has too much to do.
    Overload,
    /// A verdict without decision.
    Undecided,
    /// A verdict for an event that was never asked.
    OtherEvent,
    /// Two verdicts.
    Twice,
    /// A refusal whose code says something else.
    Contradiction,
    /// A reply text that tries to be two replies.
    Injection,
    /// Verdicts without end.
    Flood,
    /// A header field put in front, with this name and the value `seen`, after 200 ms.
    AddHeader(String),
    /// A property of the message, `KEY=VALUE`.
    Property(String, String),
    /// A property of the session, `KEY=VALUE`.
    SessionProperty(String, String),
    /// This text at the beginning of the body.
    Splice(String),
    /// Another sender.
    SetSender(String),
    /// One more recipient.
    AddRecipient(String),
    /// The recipients whose address contains this are removed.
    RemoveRecipient(String),
    /// The recipient asked about, or the first one, gets this address.
    RewriteRecipient(String),
    /// This recipient in place of all.
    ReplaceRecipients(String),
    /// The only field of this name, `NAME=VALUE`.
    SetHeader(String, String),
    /// No field of this name, or with this prefix and a star.
    RemoveHeaders(String),
    /// The recipient is taken: `hosted` or `relayed`.
    Admit(RecipientKind),
    /// Mail goes to these next hops, for so many seconds.
    Hops(Vec<String>, Option<i64>),
    /// The name leads to these hosts: name, address and port of each.
    Hosts(Vec<(String, String, u16)>),
    /// These mailboxes are kept here, with this reply, `CODE TEXT`.
    Store(u32, String),
    /// Those whose address contains this are kept here; the others are left out of the answer.
    StoreOnly(String),
    /// 451 until it is asked for the attempt with this number, then the mailboxes are kept here.
    StoreFrom(u32),
    /// In an outgoing session: these commands around the gateway's own, see [`Around::parse`].
    Around(Around),
    /// In an outgoing session: the reply is taken so, see [`Taken::parse`].
    Taken(Taken),
    /// The recipient stands for these, by this owner.
    Members(Vec<String>, Option<String>),
    /// The recipient stands for these, each in a part of its own.
    Pages(Vec<String>),
    /// Mail goes to this address; empty: to the recipient's own.
    Final(String),
    /// There is no such recipient.
    Unknown,
    /// This frame, which breaks the protocol, in place of a verdict.
    Breach(Breach),
}

/// A frame that breaks the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Breach {
    /// Done with a message that this instance was never told of.
    DoneWithOther,
    /// Done with nothing.
    DoneUnset,
    /// Ready for an event that the binding does not have.
    ReadyForOther,
    /// Ready behind the verdict.
    LateReady,
    /// A verdict of an instance that was never opened.
    NoInstance,
    /// A frame that says nothing.
    Empty,
}

/// Reads a rule of the command line.
pub(crate) fn parse(text: &str) -> Result<Rule, String> {
    let (what, action) = text.split_once('=').ok_or("EVENT=ACTION is due")?;
    let (event, subject) = what.split_once(':').unwrap_or((what, ""));
    Ok(Rule {
        event: event.to_owned(),
        subject: subject.to_owned(),
        action: parse_action(action)?,
    })
}

fn parse_action(action: &str) -> Result<Action, String> {
    let (name, argument) = action.split_once(':').unwrap_or((action, ""));
    let own = || argument.to_owned();
    let number = || argument.parse().map_err(|e| format!("{argument}: {e}"));
    Ok(match name {
        "proceed" => Action::Proceed,
        "reject" => Action::Reject,
        "tempfail" => Action::Tempfail,
        "tempfail-before" => Action::TempfailBefore(number()?),
        "discard" => Action::Discard,
        "quarantine" => Action::Quarantine,
        "hold" => Action::Hold,
        "disconnect" => Action::Disconnect,
        "finish" => Action::Finish,
        "finish-message" => Action::FinishMessage,
        "respond" => {
            let (code, text) = argument.split_once(' ').ok_or("CODE TEXT is due")?;
            let code = code.parse().map_err(|e| format!("{code}: {e}"))?;
            Action::Respond(code, text.to_owned())
        }
        "reply" => {
            let (code, text) = argument.split_once(' ').ok_or("CODE TEXT is due")?;
            let code = code.parse().map_err(|e| format!("{code}: {e}"))?;
            Action::Reply(code, text.to_owned())
        }
        "delay" => Action::Delay(number()?.into()),
        "hang" => Action::Hang,
        "progress" => Action::Progress,
        "close" => Action::Close,
        "crash" => Action::Crash,
        "fault" => Action::Fault,
        "overload" => Action::Overload,
        "undecided" => Action::Undecided,
        "other-event" => Action::OtherEvent,
        "twice" => Action::Twice,
        "contradiction" => Action::Contradiction,
        "injection" => Action::Injection,
        "flood" => Action::Flood,
        "add-header" => Action::AddHeader(own()),
        "property" => {
            let (key, value) = argument.split_once('=').ok_or("KEY=VALUE is due")?;
            Action::Property(key.to_owned(), value.to_owned())
        }
        "session-property" => {
            let (key, value) = argument.split_once('=').ok_or("KEY=VALUE is due")?;
            Action::SessionProperty(key.to_owned(), value.to_owned())
        }
        "splice" => Action::Splice(own()),
        "set-sender" => Action::SetSender(own()),
        "add-recipient" => Action::AddRecipient(own()),
        "remove-recipient" => Action::RemoveRecipient(own()),
        "rewrite-recipient" => Action::RewriteRecipient(own()),
        "replace-recipients" => Action::ReplaceRecipients(own()),
        "postpone" => Action::Postpone(number()?),
        "set-header" => {
            let (name, value) = argument.split_once('=').ok_or("NAME=VALUE is due")?;
            Action::SetHeader(name.to_owned(), value.to_owned())
        }
        "remove-headers" => Action::RemoveHeaders(own()),
        "admit" => Action::Admit(match argument {
            "hosted" => RecipientKind::Hosted,
            "relayed" => RecipientKind::Relayed,
            _ => return Err("hosted or relayed is due".to_owned()),
        }),
        "hops" => Action::Hops(hops(argument), None),
        "hops-for-1s" => Action::Hops(hops(argument), Some(1)),
        "hosts" => {
            let hosts = argument.split(',').filter(|host| !host.is_empty());
            let host = |host: &str| {
                let words: Vec<&str> = host.split(' ').collect();
                let [name, address, port] = words.as_slice() else {
                    return Err("NAME ADDRESS PORT is due".to_owned());
                };
                let port = port.parse().map_err(|e| format!("{port}: {e}"))?;
                Ok(((*name).to_owned(), (*address).to_owned(), port))
            };
            Action::Hosts(hosts.map(host).collect::<Result<_, _>>()?)
        }
        "store" => {
            let (code, text) = argument.split_once(' ').ok_or("CODE TEXT is due")?;
            let code = code.parse().map_err(|e| format!("{code}: {e}"))?;
            Action::Store(code, text.to_owned())
        }
        "store-only" => Action::StoreOnly(own()),
        "store-from" => Action::StoreFrom(number()?),
        "around" => Action::Around(Around::parse(argument)?),
        "taken" => Action::Taken(Taken::parse(argument)?),
        "members" => {
            let (members, owner) = match argument.split_once(" by ") {
                Some((members, owner)) => (members, Some(owner.to_owned())),
                None => (argument, None),
            };
            Action::Members(members.split(',').map(str::to_owned).collect(), owner)
        }
        "pages" => Action::Pages(argument.split(',').map(str::to_owned).collect()),
        "final" => Action::Final(own()),
        "unknown" => Action::Unknown,
        "done-with-other" => Action::Breach(Breach::DoneWithOther),
        "done-unset" => Action::Breach(Breach::DoneUnset),
        "ready-for-other" => Action::Breach(Breach::ReadyForOther),
        "late-ready" => Action::Breach(Breach::LateReady),
        "no-instance" => Action::Breach(Breach::NoInstance),
        "empty-frame" => Action::Breach(Breach::Empty),
        _ => return Err(format!("no such action: {name}")),
    })
}

fn hops(argument: &str) -> Vec<String> {
    argument.split(',').map(str::to_owned).collect()
}

/// What the first rule says that fits; else no objection.
pub(crate) fn choose(rules: &[Rule], event: &str, detail: &str) -> Action {
    rules
        .iter()
        .find(|rule| rule.event == event && detail.contains(&rule.subject))
        .map_or(Action::Proceed, |rule| rule.action.clone())
}
