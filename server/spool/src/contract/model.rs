//! A store against a map in memory: random operations, claims among them, with restarts between them.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;

use std::sync::Arc;

use postern_message::{Message, MessageId, RecipientState};

use super::{Rig, status};
use crate::sample::{content, due, new, read, time};
use crate::{
    Batch, Due, Lease, MessageUpdate, NewMessage, Point, RecipientChange, SpoolError, Stage,
    StageCounts, Store,
};

#[derive(Debug, Clone)]
enum Step {
    Commit {
        size: usize,
        due: Option<u64>,
    },
    Stage {
        which: Index,
        stage: u8,
    },
    Due {
        which: Index,
        due: Option<u64>,
    },
    Progress {
        which: Index,
        recipient: u8,
        attempts: u32,
    },
    Replace {
        which: Index,
    },
    FailAndNotify {
        which: Index,
    },
    Remove {
        which: Index,
    },
    UpdateGone,
    Claim {
        now: u64,
        limit: usize,
    },
    Adopt {
        which: Index,
    },
    Release {
        which: Index,
        not_before: Option<u64>,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let which = any::<Index>;
    let due = || proptest::option::of(0_u64..100);
    let size = prop_oneof![
        8 => 0_usize..3000,
        1 => 32_760_usize..32_780,
        3 => 33_000_usize..150_000,
        1 => 262_140_usize..262_150,
    ];
    prop_oneof![
        5 => (size, due()).prop_map(|(size, due)| Step::Commit { size, due }),
        2 => (which(), 0_u8..6).prop_map(|(which, stage)| Step::Stage { which, stage }),
        2 => (which(), due()).prop_map(|(which, due)| Step::Due { which, due }),
        3 => (which(), 0_u8..2, 0_u32..9).prop_map(|(which, recipient, attempts)| Step::Progress {
            which,
            recipient,
            attempts
        }),
        1 => which().prop_map(|which| Step::Replace { which }),
        1 => which().prop_map(|which| Step::FailAndNotify { which }),
        2 => which().prop_map(|which| Step::Remove { which }),
        1 => Just(Step::UpdateGone),
        4 => (0_u64..100, 1_usize..4).prop_map(|(now, limit)| Step::Claim { now, limit }),
        1 => which().prop_map(|which| Step::Adopt { which }),
        4 => (which(), due()).prop_map(|(which, not_before)| Step::Release { which, not_before }),
        1 => Just(Step::Reopen),
    ]
}

struct Entry {
    message: Message,
    stage: Stage,
    due: Due,
    content: bytes::Bytes,
    /// The claim on it.
    lease: Option<Lease>,
    /// Not to be claimed before, since it was released so.
    not_before: Option<u64>,
    /// It was claimed and given back: it is not new any more.
    worked_on: bool,
}

impl Entry {
    /// From when on it can be claimed.
    fn claimable(&self) -> Option<std::time::SystemTime> {
        match (self.due, self.lease) {
            (Due::At(due), None) => Some(
                self.not_before
                    .map_or(due, |seconds| due.max(time(seconds))),
            ),
            _ => None,
        }
    }
}

fn stage(number: u8) -> Stage {
    match number {
        0 => Stage::At {
            point: Point::Submit,
            from_binding: Some("b".to_owned()),
            attempts: 3,
            waits_for: Some("b".to_owned()),
        },
        1 => Stage::Deliver,
        2 => Stage::Held {
            event: "inbound.message".to_owned(),
            binding: "b".to_owned(),
            since: time(1),
            attempts: 1,
            waits_for: Some("c".to_owned()),
        },
        3 => Stage::Quarantined {
            by: "b".to_owned(),
            why: "w".to_owned(),
            event: "transport.submit".to_owned(),
        },
        4 => Stage::At {
            point: Point::Expand,
            from_binding: None,
            attempts: 2,
            waits_for: Some("c".to_owned()),
        },
        _ => Stage::OnHold {
            was: Box::new(stage(number % 5)),
            by: "uid 0".to_owned(),
            why: "w".to_owned(),
            since: time(1),
        },
    }
}

fn when(due: Option<u64>) -> Due {
    due.map_or(Due::Never, |seconds| Due::At(time(seconds)))
}

/// The store and what should be in it.
struct Pair<'a> {
    rig: &'a dyn Rig,
    spool: Option<Box<dyn Store>>,
    model: BTreeMap<MessageId, Entry>,
    seed: u64,
}

impl Pair<'_> {
    fn spool(&self) -> &dyn Store {
        self.spool.as_deref().unwrap()
    }

    fn pick(&self, which: &Index) -> Option<MessageId> {
        let ids: Vec<_> = self.model.keys().copied().collect();
        (!ids.is_empty()).then(|| ids[which.index(ids.len())])
    }

    async fn fresh(&mut self, size: usize, due: Option<u64>) -> NewMessage {
        self.seed += 1;
        let content = content(size, self.seed);
        let mut new = new(self.spool(), &content).await;
        new.due = when(due);
        let entry = Entry {
            message: (*new.message).clone(),
            stage: new.stage.clone(),
            due: new.due,
            content,
            lease: None,
            not_before: None,
            worked_on: false,
        };
        self.model.insert(entry.message.id, entry);
        new
    }

    async fn update(&mut self, id: MessageId, change: impl FnOnce(&mut Entry, &mut MessageUpdate)) {
        let mut update = MessageUpdate::new(id);
        change(self.model.get_mut(&id).unwrap(), &mut update);
        self.spool().update(update).await.unwrap();
    }

    async fn run(&mut self, step: Step) {
        match step {
            Step::Commit { size, due } => {
                let new = self.fresh(size, due).await;
                self.spool().insert(new).await.unwrap();
            }
            Step::Reopen => {
                drop(self.spool.take());
                self.spool = Some(self.rig.open());
                for entry in self.model.values_mut() {
                    entry.lease = None;
                    entry.not_before = None;
                    entry.worked_on = false;
                }
            }
            Step::Claim { now, limit } => self.claim(now, limit).await,
            Step::Adopt { which } => self.adopt(&which),
            Step::Release { which, not_before } => self.release(&which, not_before),
            Step::UpdateGone => {
                let update = MessageUpdate::new(MessageId::new());
                let result = self.spool().update(update).await;
                assert!(matches!(result, Err(SpoolError::Unknown(_))));
            }
            Step::Remove { which } => {
                if let Some(id) = self.pick(&which) {
                    self.model.remove(&id);
                    self.spool().remove(id).await.unwrap();
                }
            }
            Step::FailAndNotify { which } => {
                if let Some(id) = self.pick(&which) {
                    self.model.remove(&id);
                    let mut update = MessageUpdate::new(id);
                    update.insert = vec![self.fresh(400, Some(1)).await];
                    let batch = Batch {
                        update: vec![update],
                        remove: vec![id],
                        ..Batch::default()
                    };
                    self.spool().commit(batch, &[]).await.unwrap();
                }
            }
            other => self.change(other).await,
        }
    }

    /// The longest due first; each to one holder at a time.
    async fn claim(&mut self, now: u64, limit: usize) {
        let mut expected: Vec<_> = self
            .model
            .iter()
            .filter_map(|(id, entry)| Some((entry.claimable()?, *id)))
            .filter(|(from, _)| *from <= time(now))
            .collect();
        expected.sort_unstable();
        let claimed = self.spool().claim(time(now), limit, "model").await.unwrap();
        assert_eq!(claimed.len(), expected.len().min(limit));
        for claimed in claimed {
            let entry = self.model.get_mut(&claimed.lease.message).unwrap();
            assert!(entry.claimable().is_some_and(|from| from <= time(now)));
            entry.lease = Some(claimed.lease);
            entry.not_before = None;
            entry.worked_on = true;
        }
    }

    fn adopt(&mut self, which: &Index) {
        let Some(id) = self.pick(which) else { return };
        let entry = &self.model[&id];
        let Due::At(due) = entry.due else { return };
        let lease = self.spool().adopt(id, due);
        // One that was worked on is not new, and may be refused.
        let free = entry.lease.is_none();
        assert!(lease.is_none() || free, "it is claimed already");
        assert!(lease.is_some() || !free || entry.worked_on, "it is new");
        if let Some(lease) = lease {
            let entry = self.model.get_mut(&id).unwrap();
            entry.lease = Some(lease);
            entry.not_before = None;
        }
    }

    fn release(&mut self, which: &Index, not_before: Option<u64>) {
        let Some(id) = self.pick(which) else { return };
        let Some(lease) = self.model[&id].lease else {
            return;
        };
        self.spool().release(lease, not_before.map(time));
        // Once more changes nothing.
        self.spool().release(lease, None);
        let entry = self.model.get_mut(&id).unwrap();
        entry.lease = None;
        entry.not_before = not_before;
    }

    async fn change(&mut self, step: Step) {
        let (Step::Stage { which, .. }
        | Step::Due { which, .. }
        | Step::Progress { which, .. }
        | Step::Replace { which }) = &step
        else {
            return;
        };
        let Some(id) = self.pick(which) else {
            return;
        };
        self.update(id, |entry, update| match step {
            Step::Stage { stage: number, .. } => {
                entry.stage = stage(number);
                update.stage = Some(entry.stage.clone());
            }
            Step::Due { due, .. } => {
                entry.due = when(due);
                entry.not_before = None;
                update.due = Some(entry.due);
            }
            Step::Progress {
                recipient,
                attempts,
                ..
            } => {
                let recipient = &mut entry.message.recipients[usize::from(recipient)];
                recipient.state = RecipientState::Pending {
                    attempts,
                    due: Some(time(u64::from(attempts))),
                    last: Some(status("x")),
                };
                update.recipients = vec![RecipientChange {
                    id: recipient.id,
                    state: recipient.state.clone(),
                }];
            }
            _ => {
                entry.message.server.push('x');
                update.message = Some(Arc::new(entry.message.clone()));
            }
        })
        .await;
    }

    async fn check(&self) {
        let spool = self.spool();
        let mut expected: Vec<_> = self
            .model
            .iter()
            .filter_map(|(id, entry)| Some((entry.claimable()?, *id)))
            .collect();
        expected.sort_unstable();
        let next = expected.first().map(|(from, _)| *from);
        assert_eq!(spool.next_due().await.unwrap(), next);
        expected.retain(|(from, _)| *from <= time(50));
        let mut found = due(spool, time(50), 1000).await;
        found.sort_unstable();
        let mut expected: Vec<_> = expected.into_iter().map(|(_, id)| id).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
        let mut counts = StageCounts::default();
        for (id, entry) in &self.model {
            let loaded = spool.load(*id).await.unwrap().unwrap();
            assert_eq!(*loaded.message, entry.message);
            assert_eq!((&loaded.stage, loaded.due), (&entry.stage, entry.due));
            assert_eq!(read(&*loaded.content).await, entry.content);
            *match entry.stage {
                Stage::At {
                    point: Point::Submit,
                    ..
                } => &mut counts.submit,
                Stage::At { .. } => &mut counts.categorize,
                Stage::Deliver => &mut counts.deliver,
                Stage::Held { .. } => &mut counts.held,
                Stage::Quarantined { .. } => &mut counts.quarantined,
                Stage::OnHold { .. } => &mut counts.on_hold,
            } += 1;
        }
        assert_eq!(spool.counts().await.unwrap(), counts);
    }
}

/// Runs random operations on a store and on a map.
pub(crate) fn the_store_is_what_a_map_would_be(rig: &dyn Fn() -> Box<dyn Rig>) {
    let config = ProptestConfig {
        cases: 24,
        max_shrink_iters: 200,
        ..ProptestConfig::default()
    };
    let steps = proptest::collection::vec(step(), 1..40);
    proptest!(config, |(steps in steps)| {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let rig = rig();
            let mut pair = Pair {
                spool: Some(rig.open()),
                rig: &*rig,
                model: BTreeMap::new(),
                seed: 0,
            };
            for step in steps {
                pair.run(step).await;
            }
            pair.check().await;
            pair.run(Step::Reopen).await;
            pair.check().await;
        });
    });
}
