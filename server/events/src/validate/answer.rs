//! Typed answers.

use std::collections::HashSet;
use std::net::IpAddr;

use bytes::Bytes;
use postern_message::RecipientId;
use postern_proto::rules::{AnswerKind, DecisionKind};
use postern_proto::v1 as pb;
use postern_proto::v1::answer::Kind;

use super::address::{forward_path, new_recipient, reverse_path};
use super::edit::Checker;
use super::order::{next_hop, next_hops};
use super::{duration, limit, lines, name_or_empty, recipient_id, reply};
use crate::answer::{
    AnyAnswer, AuthAnswer, AuthSuccess, CommandsAnswer, DialogueAnswer, DsnAction, DsnAnswer,
    DsnRuling, Expanded, Expansion, ExpansionAnswer, Expects, LocalDeliveryAnswer, Members,
    OutgoingCommand, OutgoingStage, Payload, RcptAnswer, RecipientKind, RemoteStatusAnswer,
    ResolveAnswer, ResolvedHost, ResponseAnswer, RouteAnswer, SizeAnswer,
};
use crate::event::EventKind;
use crate::fault::Fault;
use crate::inbound::Response;

/// Octets of a challenge, of an identity, and of a line that is added to a reply.
const MAX_CHALLENGE: usize = 8 << 10;
const MAX_IDENTITY: usize = 255;
const MAX_ADDED_LINE: usize = 480;
/// Elements of the lists of an answer.
const MAX_ITEMS: usize = 10_000;
/// Octets of a command line, without its CRLF.
const MAX_COMMAND: usize = 510;
/// Octets of a text in a notification.
const MAX_TEXT: usize = 64 << 10;

/// Checks an answer: that it is of the kind that the event asks for, goes with the decision, and is granted.
pub(super) fn answer(
    answer: pb::Answer,
    decision: DecisionKind,
    checker: &mut Checker<'_, '_>,
) -> Result<AnyAnswer, Fault> {
    let event = checker.asked.event();
    let kind = answer
        .kind
        .ok_or_else(|| Fault::protocol("the answer is unset or unknown"))?;
    let of = AnswerKind::from(&kind);
    let arm = match &kind {
        Kind::Auth(auth) => match &auth.kind {
            Some(pb::auth_answer::Kind::Challenge(_)) => Some("challenge"),
            Some(pb::auth_answer::Kind::Success(_)) => Some("success"),
            Some(pb::auth_answer::Kind::Mechanisms(_)) => Some("mechanisms"),
            None => None,
        },
        _ => None,
    };
    let is_asked = event
        .rule()
        .answers
        .iter()
        .any(|own| own.kind == of && (own.arm.is_none() || own.arm == arm));
    if !is_asked {
        return Err(Fault::protocol(format!(
            "{} is no answer to {event}",
            arm.unwrap_or(of.name())
        )));
    }
    let goes = match of.rule().only_with {
        Some(only) => decision == only,
        None => {
            matches!(decision, DecisionKind::Proceed | DecisionKind::Finish)
                || event == EventKind::InboundResponse && decision == DecisionKind::Disconnect
        }
    };
    if !goes {
        return Err(Fault::protocol(format!(
            "the answer {} does not go with {}",
            of.name(),
            decision.name()
        )));
    }
    // A recipient's tenant alone needs no more than its own word.
    if of != AnswerKind::Rcpt
        && let Some(grant) = of.rule().grant
    {
        checker.may(grant)?;
    }
    Ok(match kind {
        Kind::Rcpt(own) => AnyAnswer::Rcpt(rcpt(own, checker)?),
        Kind::Response(own) => AnyAnswer::Response(response(own, checker)?),
        Kind::Auth(own) => AnyAnswer::Auth(auth(own, checker)?),
        Kind::Dialogue(own) => AnyAnswer::Dialogue(dialogue(own, checker)?),
        Kind::Expansion(own) => AnyAnswer::Expansion(expansion(own, checker)?),
        Kind::Route(own) => AnyAnswer::Route(route(own)?),
        Kind::Resolve(own) => AnyAnswer::Resolve(resolve(own)?),
        Kind::Size(own) => AnyAnswer::Size(match pb::SizeRuling::try_from(own.ruling) {
            Ok(pb::SizeRuling::Impose) => SizeAnswer::Impose,
            Ok(pb::SizeRuling::Waive) => SizeAnswer::Waive,
            Ok(pb::SizeRuling::Unspecified) | Err(_) => {
                return Err(Fault::protocol(
                    "the ruling on the size is unset or unknown",
                ));
            }
        }),
        Kind::LocalDelivery(own) => AnyAnswer::LocalDelivery(local_delivery(own, checker)?),
        Kind::Dsn(own) => AnyAnswer::Dsn(dsn(own, checker)?),
        Kind::Commands(own) => AnyAnswer::Commands(commands(own, checker)?),
        Kind::RemoteStatus(own) => AnyAnswer::RemoteStatus(remote_status(own, checker)?),
    })
}

fn kind_of_recipient(kind: i32) -> Result<RecipientKind, Fault> {
    match pb::RecipientKind::try_from(kind) {
        Ok(pb::RecipientKind::Unspecified) => Ok(RecipientKind::Unspecified),
        Ok(pb::RecipientKind::Hosted) => Ok(RecipientKind::Hosted),
        Ok(pb::RecipientKind::Relayed) => Ok(RecipientKind::Relayed),
        Ok(pb::RecipientKind::Forbidden | pb::RecipientKind::Unknown) => Err(Fault::protocol(
            "a recipient that is not to be taken is refused, not answered for",
        )),
        Err(_) => Err(Fault::protocol("the kind of recipient is unknown")),
    }
}

fn rcpt(own: pb::RcptAnswer, checker: &Checker<'_, '_>) -> Result<RcptAnswer, Fault> {
    let answer = RcptAnswer {
        recipient_kind: kind_of_recipient(own.recipient_kind)?,
        next_hop: own.next_hop.map(next_hop).transpose()?,
        tenant: name_or_empty(own.tenant, "the tenant")?,
    };
    let admits = answer.recipient_kind != RecipientKind::Unspecified || answer.next_hop.is_some();
    if admits || answer.tenant.is_empty() {
        checker.may("admit")?;
    }
    if answer.recipient_kind == RecipientKind::Relayed {
        checker.may("relay")?;
    }
    if answer.next_hop.is_some() {
        checker.may("redirect")?;
    }
    if !answer.tenant.is_empty() {
        checker.may("tenant")?;
    }
    Ok(answer)
}

fn response(own: pb::ResponseAnswer, checker: &Checker<'_, '_>) -> Result<ResponseAnswer, Fault> {
    let asked = checker.asked;
    let about = asked.question.event().as_any().downcast_ref::<Response>();
    let about = about.ok_or_else(|| Fault::protocol("no reply was asked about"))?;
    let lists = about.lists_extensions();
    let class = about.reply.code().class();
    let reply = own.reply.map(|reply| reply::instead(reply, class, asked));
    limit("lines added to a reply", own.added_lines.len(), 100)?;
    limit("keywords removed", own.removed_keywords.len(), 100)?;
    if lists && !(own.added_lines.is_empty() && own.removed_keywords.is_empty()) {
        checker.may("ehlo")?;
    }
    if !lists && !own.removed_keywords.is_empty() {
        return Err(Fault::protocol(
            "keywords are removed from a reply to EHLO or LHLO only",
        ));
    }
    for line in &own.added_lines {
        limit("octets of an added line", line.len(), MAX_ADDED_LINE)?;
        let is_text = line.iter().all(|b| (0x20..0x7f).contains(b));
        if !is_text {
            return Err(Fault::protocol("an added line is not printable ASCII"));
        }
        if lists {
            let keyword = keyword_of(line)?;
            let said = about.lines(None);
            let has = said.iter().skip(1).any(|own| {
                let word = own.split(|b| *b == b' ').next().unwrap_or_default();
                word.eq_ignore_ascii_case(keyword)
            });
            if has {
                return Err(Fault::protocol(format!(
                    "the service itself offers {}",
                    keyword.escape_ascii()
                )));
            }
        }
    }
    let removed = own.removed_keywords.iter().map(|word| {
        if keyword_of(word)?.len() == word.len() {
            Ok(Bytes::from(word.to_ascii_uppercase()))
        } else {
            Err(Fault::protocol("a keyword is removed without arguments"))
        }
    });
    Ok(ResponseAnswer {
        reply: reply.transpose()?,
        removed_keywords: removed.collect::<Result<_, _>>()?,
        added_lines: own.added_lines,
    })
}

/// The keyword that an EHLO line begins with (RFC 5321, section 4.1.1.1).
fn keyword_of(line: &[u8]) -> Result<&[u8], Fault> {
    let word = line.split(|b| *b == b' ').next().unwrap_or_default();
    let is_keyword = word.first().is_some_and(u8::is_ascii_alphanumeric)
        && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-');
    if is_keyword {
        Ok(word)
    } else {
        Err(Fault::protocol("a line of EHLO begins with a keyword"))
    }
}

fn auth(own: pb::AuthAnswer, checker: &Checker<'_, '_>) -> Result<AuthAnswer, Fault> {
    use pb::auth_answer::Kind;
    match own.kind {
        Some(Kind::Challenge(own)) => {
            limit("octets of a challenge", own.challenge.len(), MAX_CHALLENGE)?;
            Ok(AuthAnswer::Challenge(own.challenge))
        }
        Some(Kind::Success(own)) => {
            if own.identity.is_empty() {
                return Err(Fault::protocol("a success needs an identity"));
            }
            limit("octets of an identity", own.identity.len(), MAX_IDENTITY)?;
            limit(
                "octets of an identity",
                own.authorization_identity.len(),
                MAX_IDENTITY,
            )?;
            if own.may_relay {
                checker.may("relay")?;
            }
            let tenant = name_or_empty(own.tenant, "the tenant")?;
            if !tenant.is_empty() {
                checker.may("tenant")?;
            }
            Ok(AuthAnswer::Success(AuthSuccess {
                identity: own.identity,
                authorization_identity: own.authorization_identity,
                may_relay: own.may_relay,
                tenant,
            }))
        }
        Some(Kind::Mechanisms(own)) => {
            limit("mechanisms", own.names.len(), 32)?;
            let is_name = |name: &Bytes| {
                (1..=20).contains(&name.len())
                    && name.iter().all(|b| {
                        b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_')
                    })
            };
            if !own.names.iter().all(is_name) {
                return Err(Fault::protocol("a mechanism has no such name (RFC 4422)"));
            }
            Ok(AuthAnswer::Mechanisms(own.names))
        }
        None => Err(Fault::protocol("the answer is unset or unknown")),
    }
}

fn dialogue(own: pb::DialogueAnswer, checker: &Checker<'_, '_>) -> Result<DialogueAnswer, Fault> {
    use pb::dialogue_answer::Expects as E;
    let expects = match own.expects {
        None => None,
        Some(E::Line(line)) => Some(Expects::Line(line.max_bytes)),
        Some(E::Octets(octets)) if (1..=512 << 10).contains(&octets.size_bytes) => {
            Some(Expects::Octets(octets.size_bytes))
        }
        Some(E::Octets(_)) => {
            return Err(Fault::protocol(
                "a dialogue asks for 1 to 512 KiB of octets",
            ));
        }
    };
    let classes: &[u8] = if expects.is_some() {
        &[2, 3, 4, 5]
    } else {
        &[2, 4, 5]
    };
    let reply = own.reply;
    let reply = reply.map(|reply| reply::of_class(reply, classes, "the dialogue", checker.asked));
    let reply = reply.transpose()?;
    if reply.is_none() && expects.is_none() {
        return Err(Fault::protocol("a dialogue that is over needs a reply"));
    }
    Ok(DialogueAnswer { reply, expects })
}

fn expansion(
    own: pb::ExpansionAnswer,
    checker: &Checker<'_, '_>,
) -> Result<ExpansionAnswer, Fault> {
    use pb::expansion::Kind;
    limit("expansions", own.expansions.len(), MAX_ITEMS)?;
    let asked = checker.asked;
    let utf8 = asked.utf8();
    let mut answer = ExpansionAnswer::default();
    for item in own.expansions {
        let recipient = if item.recipient_id.is_empty() {
            None
        } else {
            let id = recipient_id(&item.recipient_id)?;
            if !asked.knows(id) {
                return Err(Fault::protocol(format!(
                    "recipient {id} is none of those that were asked about"
                )));
            }
            Some(id)
        };
        let expanded = match item.kind {
            // Not known here.
            None => continue,
            Some(Kind::FinalAddress(own)) => {
                let address = &own.address;
                let address = (!address.is_empty()).then(|| forward_path(address, utf8));
                let recipient_kind = kind_of_recipient(own.recipient_kind)?;
                if recipient_kind == RecipientKind::Relayed {
                    checker.may("relay")?;
                }
                Expanded::Final {
                    address: address.transpose()?,
                    recipient_kind,
                }
            }
            Some(Kind::Members(own)) => Expanded::Members(members(own, utf8)?),
            Some(Kind::Unknown(own)) => {
                let reply = own.reply;
                let reply = reply.map(|reply| reply::of_class(reply, &[5], "unknown", asked));
                Expanded::Unknown(reply.transpose()?)
            }
        };
        let before = answer
            .expansions
            .iter_mut()
            .find(|before| before.recipient == recipient);
        match (before.map(|before| &mut before.expanded), expanded) {
            // Several with the members of one recipient add up.
            (Some(Expanded::Members(before)), Expanded::Members(more)) => {
                before.recipients.extend(more.recipients);
                before.sender = more.sender.or(before.sender.take());
                before.next_page_token = more.next_page_token;
            }
            (Some(_), _) => {
                return Err(Fault::protocol("two expansions contradict each other"));
            }
            (None, expanded) => answer.expansions.push(Expansion {
                recipient,
                expanded,
            }),
        }
    }
    Ok(answer)
}

fn members(own: pb::Members, utf8: bool) -> Result<Members, Fault> {
    limit("members", own.recipients.len(), MAX_ITEMS)?;
    limit("octets of a page token", own.next_page_token.len(), 4 << 10)?;
    let recipients = own.recipients.iter().map(|one| new_recipient(one, utf8));
    let sender = own.reverse_path.as_ref();
    let sender = sender.map(|path| reverse_path(path, utf8));
    Ok(Members {
        recipients: recipients.collect::<Result<_, _>>()?,
        sender: sender.transpose()?,
        next_page_token: own.next_page_token,
    })
}

fn route(own: pb::RouteAnswer) -> Result<RouteAnswer, Fault> {
    let lifetime = match &own.lifetime {
        None => RouteAnswer::DEFAULT_LIFETIME,
        Some(lifetime) => duration(lifetime, "the lifetime")?,
    };
    if lifetime > RouteAnswer::MAX_LIFETIME {
        return Err(Fault::protocol("the lifetime is over a day"));
    }
    Ok(RouteAnswer {
        next_hops: next_hops(own.next_hops)?,
        lifetime,
    })
}

fn resolve(own: pb::ResolveAnswer) -> Result<ResolveAnswer, Fault> {
    limit("hosts", own.hosts.len(), 100)?;
    let lifetime = own.lifetime.as_ref();
    let lifetime = lifetime
        .map(|time| duration(time, "the lifetime"))
        .transpose()?;
    if lifetime.is_some_and(|time| time > RouteAnswer::MAX_LIFETIME) {
        return Err(Fault::protocol("the lifetime is over a day"));
    }
    let hosts = own.hosts.into_iter().map(|host| {
        let name = &host.name;
        if name.len() > 255 || !name.iter().all(u8::is_ascii_graphic) {
            return Err(Fault::protocol("a host has no such name"));
        }
        limit("addresses of a host", host.addresses.len(), 64)?;
        let addresses = host.addresses.iter().map(|text| {
            text.parse::<IpAddr>()
                .map_err(|_| Fault::protocol(format!("{text:?} is no address")))
        });
        let narrow = |value: u32, what: &str| {
            u16::try_from(value)
                .map_err(|_| Fault::protocol(format!("the {what} of a host is out of range")))
        };
        Ok(ResolvedHost {
            addresses: addresses.collect::<Result<_, _>>()?,
            port: narrow(host.port, "port")?,
            preference: narrow(host.preference, "preference")?,
            name: host.name,
        })
    });
    Ok(ResolveAnswer {
        hosts: hosts.collect::<Result<_, _>>()?,
        lifetime,
    })
}

fn local_delivery(
    own: pb::LocalDeliveryAnswer,
    checker: &Checker<'_, '_>,
) -> Result<LocalDeliveryAnswer, Fault> {
    limit("statuses", own.statuses.len(), MAX_ITEMS)?;
    let mut seen: HashSet<RecipientId> = HashSet::new();
    let statuses = own.statuses.into_iter().map(|status| {
        let ids = [status.recipient_id];
        let id = super::group(&ids, checker.asked, &mut seen)?;
        let reply = status
            .reply
            .ok_or_else(|| Fault::protocol("a status needs a reply"))?;
        let reply = reply::of_class(*reply, &[2, 4, 5], "a delivery", checker.asked)?;
        let id = id.first().copied();
        let id = id.ok_or_else(|| Fault::protocol("a status needs a recipient"))?;
        Ok::<_, Fault>((id, reply))
    });
    Ok(LocalDeliveryAnswer {
        statuses: statuses.collect::<Result<_, _>>()?,
    })
}

fn dsn(own: pb::DsnAnswer, checker: &mut Checker<'_, '_>) -> Result<DsnAnswer, Fault> {
    for text in [&own.text_before, &own.text_after] {
        limit("octets of a text", text.len(), MAX_TEXT)?;
        if text.contains('\0') {
            return Err(Fault::protocol("a text of a notification has NUL"));
        }
    }
    let is_tag = own.language.len() <= 35
        && own
            .language
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !is_tag {
        return Err(Fault::protocol("the language is no tag (RFC 5646)"));
    }
    let is_name = |octets: &[u8]| octets.len() <= 255 && octets.iter().all(u8::is_ascii_graphic);
    if !is_name(&own.reporting_mta) {
        return Err(Fault::protocol("the reporting MTA is no name"));
    }
    limit("copies", own.copy_to.len(), 100)?;
    limit("header fields", own.headers.len(), 100)?;
    limit("rulings", own.rulings.len(), MAX_ITEMS)?;
    let utf8 = checker.asked.utf8();
    let return_content = match pb::ReturnContent::try_from(own.return_content) {
        Ok(pb::ReturnContent::Unspecified) => None,
        Ok(pb::ReturnContent::Full) => Some(Some(postern_message::Return::Full)),
        Ok(pb::ReturnContent::Headers) => Some(Some(postern_message::Return::Headers)),
        Ok(pb::ReturnContent::Nothing) => Some(None),
        Err(_) => return Err(Fault::protocol("what is to be returned is unknown")),
    };
    let mut rulings = Vec::with_capacity(own.rulings.len());
    for ruling in own.rulings {
        rulings.push(dsn_ruling(ruling, checker)?);
    }
    let mut headers = Vec::with_capacity(own.headers.len());
    for field in own.headers {
        headers.push(checker.header(&field.name, &field.value)?);
    }
    let copies = own.copy_to.iter().map(|path| forward_path(path, utf8));
    let notify = own.notify_address.as_ref();
    let notify = notify.map(|path| reverse_path(path, utf8));
    let content = match own.content {
        None => None,
        Some(data) => {
            let content = checker.data(data, "a notification")?;
            lines::check(&content, "a notification")?;
            Some(content)
        }
    };
    Ok(DsnAnswer {
        rulings,
        copy_to: copies.collect::<Result<_, _>>()?,
        notify_address: notify.transpose()?,
        text_before: own.text_before,
        text_after: own.text_after,
        language: own.language,
        return_content,
        headers,
        reporting_mta: own.reporting_mta,
        quarantine_instead: own.quarantine_instead,
        content,
    })
}

fn dsn_ruling(own: pb::DsnRuling, checker: &Checker<'_, '_>) -> Result<DsnRuling, Fault> {
    let mut seen = HashSet::new();
    let action = match pb::DsnAction::try_from(own.action) {
        Ok(pb::DsnAction::Unspecified) => None,
        Ok(pb::DsnAction::Failed) => Some(DsnAction::Failed),
        Ok(pb::DsnAction::Delayed) => Some(DsnAction::Delayed),
        Ok(pb::DsnAction::Delivered) => Some(DsnAction::Delivered),
        Ok(pb::DsnAction::Relayed) => Some(DsnAction::Relayed),
        Ok(pb::DsnAction::Expanded) => Some(DsnAction::Expanded),
        Err(_) => return Err(Fault::protocol("the action of a notification is unknown")),
    };
    let suppress = match pb::DsnReporting::try_from(own.reporting) {
        Ok(pb::DsnReporting::Unspecified) => false,
        Ok(pb::DsnReporting::Suppressed) => true,
        Err(_) => return Err(Fault::protocol("what is to be reported is unknown")),
    };
    let reply = own.reply;
    let reply =
        reply.map(|reply| reply::of_class(reply, &[2, 4, 5], "a notification", checker.asked));
    Ok(DsnRuling {
        recipients: super::group(&own.recipient_ids, checker.asked, &mut seen)?,
        suppress,
        action,
        reply: reply.transpose()?,
    })
}

fn commands(
    own: pb::CommandsAnswer,
    checker: &mut Checker<'_, '_>,
) -> Result<CommandsAnswer, Fault> {
    let all = own.before.len() + own.instead.len() + own.after.len();
    limit("commands", all, 100)?;
    if own.drop && !own.instead.is_empty() {
        return Err(Fault::protocol(
            "a command is dropped or replaced, not both",
        ));
    }
    let mut list = |commands: Vec<pb::OutgoingCommand>| -> Result<Vec<OutgoingCommand>, Fault> {
        let mut checked = Vec::with_capacity(commands.len());
        for command in commands {
            checked.push(command_line(command, checker)?);
        }
        Ok(checked)
    };
    Ok(CommandsAnswer {
        before: list(own.before)?,
        instead: list(own.instead)?,
        after: list(own.after)?,
        drop: own.drop,
        ask_again: own.ask_again,
    })
}

fn command_line(
    own: pb::OutgoingCommand,
    checker: &mut Checker<'_, '_>,
) -> Result<OutgoingCommand, Fault> {
    limit("octets of a command", own.line.len(), MAX_COMMAND)?;
    if own.line.is_empty() || own.line.iter().any(|b| matches!(b, b'\r' | b'\n' | 0)) {
        return Err(Fault::protocol(
            "a command is a line without CR, LF and NUL, and not empty",
        ));
    }
    let payload = match own.payload {
        None => None,
        Some(data) => Some(Payload {
            octets: checker.data(data, "a command")?,
            follows: own.payload_follows,
        }),
    };
    Ok(OutgoingCommand {
        line: own.line,
        payload,
        may_pipeline: own.may_pipeline,
    })
}

fn remote_status(
    own: pb::RemoteStatusAnswer,
    checker: &Checker<'_, '_>,
) -> Result<RemoteStatusAnswer, Fault> {
    let reply = own.reply;
    let reply =
        reply.map(|reply| reply::of_class(reply, &[2, 3, 4, 5], "a remote reply", checker.asked));
    let next_stage = match pb::OutgoingStage::try_from(own.next_stage) {
        Ok(pb::OutgoingStage::Unspecified) => None,
        Ok(pb::OutgoingStage::SessionStart) => Some(OutgoingStage::SessionStart),
        Ok(pb::OutgoingStage::MessageStart) => Some(OutgoingStage::MessageStart),
        Ok(pb::OutgoingStage::Recipient) => Some(OutgoingStage::Recipient),
        Ok(pb::OutgoingStage::BeforeData) => Some(OutgoingStage::BeforeData),
        Ok(pb::OutgoingStage::SessionEnd) => Some(OutgoingStage::SessionEnd),
        Err(_) => return Err(Fault::protocol("the next stage is unknown")),
    };
    Ok(RemoteStatusAnswer {
        reply: reply.transpose()?,
        next_stage,
    })
}
