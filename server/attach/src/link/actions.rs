//! What a sink does of its own accord: which actions of an instance are unanswered.

use postern_proto::v1 as pb;
use postern_proto::v1::ActionStatus as Status;
use postern_proto::v1::sink_action::Kind;

/// Actions of one instance that may be unanswered.
const UNANSWERED: usize = 64;

/// Longest idempotency key, in octets.
const KEY_BYTES: usize = 128;

/// Longest reason, in octets.
const REASON_BYTES: usize = 1024;

/// The actions of one instance.
#[derive(Debug, Default)]
pub(crate) struct Actions {
    unanswered: Vec<u64>,
}

impl Actions {
    /// Number of unanswered actions.
    pub(crate) fn count(&self) -> usize {
        self.unanswered.len()
    }

    /// Takes in an action.
    ///
    /// # Errors
    ///
    /// The answer that it gets at once: a wrong action is answered, never a failure of the stream.
    pub(crate) fn begin(
        &mut self,
        action: &pb::SinkAction,
        force: bool,
    ) -> Result<(), pb::ActionResult> {
        let refuse = |status: Status, detail: &str| {
            Err(pb::ActionResult {
                action_id: action.action_id,
                status: status.into(),
                detail: detail.to_owned(),
                ..pb::ActionResult::default()
            })
        };
        if !force {
            return refuse(Status::Invalid, "the feature `actions` is not in force");
        }
        if action.action_id == 0 || self.unanswered.contains(&action.action_id) {
            return refuse(
                Status::Invalid,
                "action_id must be unique in the instance, and not 0",
            );
        }
        let keyless = matches!(action.kind, Some(Kind::LookUp(_)));
        let key = action.idempotency_key.len();
        if key > KEY_BYTES || (key == 0 && !keyless) {
            return refuse(Status::Invalid, "idempotency_key must have 1 to 128 octets");
        }
        if action.reason.len() > REASON_BYTES {
            return refuse(Status::Invalid, "reason must have at most 1024 octets");
        }
        if action.kind.is_none() {
            return refuse(Status::Invalid, "an action of no known kind");
        }
        if self.unanswered.len() >= UNANSWERED {
            let limited = refuse(
                Status::Limited,
                "too many actions of the instance are unanswered",
            );
            return limited.map_err(|result| pb::ActionResult {
                retry_in: Some(prost_types::Duration {
                    seconds: 1,
                    nanos: 0,
                }),
                ..result
            });
        }
        self.unanswered.push(action.action_id);
        Ok(())
    }

    /// Takes a result that is to be sent. Returns whether the sink waits for it.
    pub(crate) fn answer(&mut self, result: &pb::ActionResult) -> bool {
        let Some(place) = self
            .unanswered
            .iter()
            .position(|id| *id == result.action_id)
        else {
            return false;
        };
        if !result.more_follows {
            self.unanswered.swap_remove(place);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(action_id: u64) -> pb::SinkAction {
        pb::SinkAction {
            action_id,
            idempotency_key: "k".into(),
            reason: String::new(),
            kind: Some(Kind::ResetRoutes(pb::ResetRoutes::default())),
        }
    }

    fn status(result: Result<(), pb::ActionResult>) -> Option<Status> {
        result.err().map(|result| result.status())
    }

    #[test]
    fn each_action_is_answered_once() {
        let mut actions = Actions::default();
        assert_eq!(actions.begin(&action(1), true), Ok(()));
        assert_eq!(actions.begin(&action(2), true), Ok(()));
        assert_eq!(actions.count(), 2);
        let result = |action_id, more_follows| pb::ActionResult {
            action_id,
            more_follows,
            ..pb::ActionResult::default()
        };
        assert!(actions.answer(&result(1, true)));
        assert_eq!(actions.count(), 2);
        assert!(actions.answer(&result(1, false)));
        assert!(!actions.answer(&result(1, false)));
        assert_eq!(actions.count(), 1);
        assert_eq!(actions.begin(&action(1), true), Ok(()));
    }

    #[test]
    fn a_wrong_action_is_answered() {
        let mut actions = Actions::default();
        assert_eq!(
            status(actions.begin(&action(1), false)),
            Some(Status::Invalid)
        );
        assert_eq!(
            status(actions.begin(&action(0), true)),
            Some(Status::Invalid)
        );
        let wrong: [fn(&mut pb::SinkAction); 4] = [
            |action| action.idempotency_key = String::new(),
            |action| action.idempotency_key = "k".repeat(129),
            |action| action.reason = "r".repeat(1025),
            |action| action.kind = None,
        ];
        for change in wrong {
            let mut one = action(1);
            change(&mut one);
            assert_eq!(
                status(actions.begin(&one, true)),
                Some(Status::Invalid),
                "{one:?}"
            );
        }
        assert_eq!(actions.count(), 0);
        let mut longest = action(1);
        longest.idempotency_key = "k".repeat(128);
        longest.reason = "r".repeat(1024);
        assert_eq!(actions.begin(&longest, true), Ok(()));
        assert_eq!(
            status(actions.begin(&action(1), true)),
            Some(Status::Invalid)
        );
        let mut look = action(2);
        look.idempotency_key = String::new();
        look.kind = Some(Kind::LookUp(pb::LookUp::default()));
        assert_eq!(actions.begin(&look, true), Ok(()));
    }

    #[test]
    fn unanswered_actions_are_bounded() {
        let mut actions = Actions::default();
        for id in 1..=UNANSWERED as u64 {
            assert_eq!(actions.begin(&action(id), true), Ok(()));
        }
        let limited = actions.begin(&action(1000), true).err();
        assert!(limited.as_ref().is_some_and(|one| one.retry_in.is_some()));
        assert_eq!(limited.map(|one| one.status()), Some(Status::Limited));
        assert_eq!(actions.count(), UNANSWERED);
    }
}
