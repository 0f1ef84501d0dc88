//! Filters as they are asked for, and as the store takes them.

use std::time::{Duration, SystemTime};

use postern_message::MessageId;
use postern_proto::admin::v1::{Filter as Asked, MessageState};
use postern_spool::{Filter, Pattern, StageKind};
use tonic::Status;

/// Most octets of a text in a filter.
const TEXT: usize = 1000;

/// What the store is asked for.
///
/// # Errors
/// What cannot be asked for.
pub(super) fn filter(asked: &Asked, now: SystemTime) -> Result<Filter, Status> {
    for text in [
        &asked.sender,
        &asked.recipient,
        &asked.destination,
        &asked.reason,
        &asked.binding,
    ] {
        if text.len() > TEXT {
            return Err(Status::invalid_argument("a text of the filter is too long"));
        }
    }
    let pattern = |text: &str| (!text.is_empty()).then(|| Pattern::new(text));
    let received_before = match &asked.older_than {
        Some(age) => Some(before(now, age)?),
        None => None,
    };
    Ok(Filter {
        stage: stage(asked.state)?,
        sender: match asked.sender.as_str() {
            "<>" => Some(Pattern::new("")),
            text => pattern(text),
        },
        recipient: pattern(&asked.recipient),
        destination: pattern(&asked.destination),
        received_before,
        reason: (!asked.reason.is_empty()).then(|| Pattern::containing(&asked.reason)),
        larger_than: (asked.larger_than > 0).then_some(asked.larger_than),
        attempts: (asked.attempts > 0).then_some(asked.attempts),
        kept_by: (!asked.binding.is_empty()).then(|| asked.binding.clone()),
        ..Filter::default()
    })
}

/// Says nothing: all messages fit.
pub(super) fn is_open(filter: &Filter) -> bool {
    *filter == Filter::default()
}

fn before(now: SystemTime, age: &prost_types::Duration) -> Result<SystemTime, Status> {
    let age =
        Duration::try_from(*age).map_err(|_| Status::invalid_argument("older_than is no age"))?;
    Ok(now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH))
}

fn stage(number: i32) -> Result<Option<StageKind>, Status> {
    // A later version's state is not taken for none: nothing would be left out.
    let state = MessageState::try_from(number).map_err(|_| {
        Status::invalid_argument(format!("{number} is no state that this version knows"))
    })?;
    Ok(Some(match state {
        MessageState::Unspecified => return Ok(None),
        MessageState::Submit => StageKind::Submit,
        MessageState::Categorize => StageKind::Categorize,
        MessageState::Deliver => StageKind::Deliver,
        MessageState::Held => StageKind::Held,
        MessageState::Quarantined => StageKind::Quarantined,
        MessageState::OnHold => StageKind::OnHold,
        MessageState::Damaged => StageKind::Damaged,
    }))
}

/// A message's id.
///
/// # Errors
/// When it is none.
pub(super) fn id(text: &str) -> Result<MessageId, Status> {
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(40).collect();
        Status::invalid_argument(format!("{shown:?} is no id of a message"))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_not_said_fits_all() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        assert!(is_open(&filter(&Asked::default(), now).unwrap()));
        let null = Asked {
            sender: "<>".to_owned(),
            ..Asked::default()
        };
        let found = filter(&null, now).unwrap();
        assert_eq!(found.sender, Some(Pattern::new("")));
        let old = Asked {
            older_than: Some(prost_types::Duration {
                seconds: 40,
                nanos: 0,
            }),
            ..Asked::default()
        };
        let found = filter(&old, now).unwrap();
        assert_eq!(
            found.received_before,
            Some(SystemTime::UNIX_EPOCH + Duration::from_secs(60))
        );
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused() {
        let now = SystemTime::UNIX_EPOCH;
        let long = Asked {
            reason: "x".repeat(TEXT + 1),
            ..Asked::default()
        };
        let negative = Asked {
            older_than: Some(prost_types::Duration {
                seconds: -1,
                nanos: 0,
            }),
            ..Asked::default()
        };
        let unknown = Asked {
            state: 4711,
            ..Asked::default()
        };
        for asked in [long, negative, unknown] {
            let refused = filter(&asked, now).unwrap_err();
            assert_eq!(refused.code(), tonic::Code::InvalidArgument);
        }
        assert!(id("x").unwrap_err().message().contains("\"x\""));
    }
}
