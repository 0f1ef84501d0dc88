//! Answers that concern the client: who is let in, what it reads.

use bytes::Bytes;
use postern_proto::v1 as pb;

use super::kind_of_recipient;
use crate::answer::{
    AuthAnswer, AuthSuccess, DialogueAnswer, Expects, RcptAnswer, RecipientKind, ResponseAnswer,
};
use crate::fault::Fault;
use crate::inbound::Response;
use crate::validate::edit::Checker;
use crate::validate::order::next_hop;
use crate::validate::{limit, name_or_empty, reply};

/// Octets of a challenge, of an identity, and of a line that is added to a reply.
const MAX_CHALLENGE: usize = 8 << 10;
const MAX_IDENTITY: usize = 255;
const MAX_ADDED_LINE: usize = 480;

pub(super) fn rcpt(own: pb::RcptAnswer, checker: &Checker<'_, '_>) -> Result<RcptAnswer, Fault> {
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

pub(super) fn response(
    own: pb::ResponseAnswer,
    checker: &Checker<'_, '_>,
) -> Result<ResponseAnswer, Fault> {
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

pub(super) fn auth(own: pb::AuthAnswer, checker: &Checker<'_, '_>) -> Result<AuthAnswer, Fault> {
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

pub(super) fn dialogue(
    own: pb::DialogueAnswer,
    checker: &Checker<'_, '_>,
) -> Result<DialogueAnswer, Fault> {
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
