//! A verdict that comes in parts, put together under its bounds.

use postern_proto::v1 as pb;
use postern_proto::v1::answer::Kind as Answer;
use postern_proto::v1::edit::Kind as EditKind;
use prost::Message;

/// Octets of a verdict, all its parts together, whatever `Open.limits` says.
const VERDICT_BYTES: usize = 16 << 20;

/// Edits in a verdict, whatever `Open.limits` says.
const VERDICT_EDITS: usize = 10_000;

/// Octets of literal data in a verdict, whatever `Open.limits` says.
const LITERAL_BYTES: usize = 512 << 10;

/// Bounds of one verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct VerdictBounds {
    octets: usize,
    edits: usize,
    literals: usize,
}

impl VerdictBounds {
    /// The bounds that a sink was told. What is 0 there is as large as the protocol allows.
    pub(crate) fn new(limits: &pb::Limits) -> Self {
        let bound = |told: u32, most: usize| match usize::try_from(told) {
            Ok(told) if told > 0 => told.min(most),
            _ => most,
        };
        Self {
            octets: bound(limits.verdict_bytes, VERDICT_BYTES),
            edits: bound(limits.verdict_edits, VERDICT_EDITS),
            literals: bound(limits.literal_bytes, LITERAL_BYTES),
        }
    }
}

/// What has come of a verdict so far.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// The encodings of the parts, one behind the other: that is how protobuf merges.
    octets: Vec<u8>,
    edits: usize,
    literals: usize,
}

impl Parts {
    /// Octets that are kept.
    pub(crate) fn len(&self) -> usize {
        self.octets.len()
    }

    /// Adds a part.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn add(&mut self, part: &pb::Verdict, bounds: VerdictBounds) -> Result<(), String> {
        if let Some(field) = single_field(part) {
            return Err(format!(
                "verdict_part sets {field}; only lists come in parts"
            ));
        }
        self.count(part, part.encoded_len(), bounds)?;
        // A Vec takes whatever is put in.
        part.encode_raw(&mut self.octets);
        Ok(())
    }

    /// Puts the last frame to the parts.
    ///
    /// # Errors
    ///
    /// What is wrong with the whole.
    pub(crate) fn finish(
        mut self,
        last: pb::Verdict,
        bounds: VerdictBounds,
    ) -> Result<pb::Verdict, String> {
        self.count(&last, last.encoded_len(), bounds)?;
        if self.octets.is_empty() {
            return Ok(last);
        }
        last.encode_raw(&mut self.octets);
        pb::Verdict::decode(self.octets.as_slice())
            .map_err(|error| format!("the parts of the verdict do not merge: {error}"))
    }

    fn count(
        &mut self,
        part: &pb::Verdict,
        octets: usize,
        bounds: VerdictBounds,
    ) -> Result<(), String> {
        if self.octets.len() + octets > bounds.octets {
            return Err(format!("a verdict of more than {} octets", bounds.octets));
        }
        self.edits += edits(part).count();
        if self.edits > bounds.edits {
            return Err(format!("a verdict of more than {} edits", bounds.edits));
        }
        self.literals += literals(part);
        if self.literals > bounds.literals {
            return Err(format!(
                "more than {} octets of literal data in a verdict; upload what is longer",
                bounds.literals
            ));
        }
        Ok(())
    }
}

/// A field that is set and is no list.
fn single_field(part: &pb::Verdict) -> Option<&'static str> {
    let answer = part.answer.as_ref().and_then(|answer| answer.kind.as_ref());
    [
        (part.decision.is_some(), "decision"),
        (!part.reason_code.is_empty(), "reason_code"),
        (!part.explanation.is_empty(), "explanation"),
        (part.delay.is_some(), "delay"),
        (part.cache_for.is_some(), "cache_for"),
        (
            matches!(answer, Some(Answer::Dsn(dsn)) if dsn.content.is_some()),
            "answer.dsn.content",
        ),
    ]
    .into_iter()
    .find(|(set, _)| *set)
    .map(|(_, field)| field)
}

fn edits(verdict: &pb::Verdict) -> impl Iterator<Item = &pb::Edit> {
    let of_forks = verdict.forks.iter().flat_map(|fork| &fork.edits);
    verdict.edits.iter().chain(of_forks)
}

/// Octets of literal data.
fn literals(verdict: &pb::Verdict) -> usize {
    let of_edits = edits(verdict).filter_map(|edit| match &edit.kind {
        Some(EditKind::SpliceBody(splice)) => splice.insert.as_ref(),
        Some(EditKind::ReplaceBody(replace)) => replace.body.as_ref(),
        Some(EditKind::Inject(inject)) => inject.content.as_ref(),
        _ => None,
    });
    let answer = verdict
        .answer
        .as_ref()
        .and_then(|answer| answer.kind.as_ref());
    let dsn = match answer {
        Some(Answer::Dsn(dsn)) => dsn.content.as_ref(),
        _ => None,
    };
    let commands: &[&[pb::OutgoingCommand]] = match answer {
        Some(Answer::Commands(answer)) => &[&answer.before, &answer.instead, &answer.after],
        _ => &[],
    };
    let payloads = commands
        .iter()
        .flat_map(|list| list.iter())
        .filter_map(|command| command.payload.as_ref());
    of_edits.chain(dsn).chain(payloads).map(literal).sum()
}

fn literal(data: &pb::Data) -> usize {
    match &data.kind {
        Some(pb::data::Kind::Literal(octets)) => octets.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(octets: u32, edits: u32, literals: u32) -> VerdictBounds {
        VerdictBounds::new(&pb::Limits {
            verdict_bytes: octets,
            verdict_edits: edits,
            literal_bytes: literals,
            ..pb::Limits::default()
        })
    }

    fn data(octets: usize) -> Option<pb::Data> {
        Some(pb::Data {
            kind: Some(pb::data::Kind::Literal(vec![b'x'; octets].into())),
        })
    }

    fn splice(octets: usize) -> pb::Edit {
        let splice = pb::SpliceBody {
            offset: 0,
            remove_bytes: 0,
            insert: data(octets),
        };
        pb::Edit {
            kind: Some(EditKind::SpliceBody(splice)),
        }
    }

    fn verdict(edits: Vec<pb::Edit>) -> pb::Verdict {
        pb::Verdict {
            event_id: 1,
            edits,
            ..pb::Verdict::default()
        }
    }

    fn proceed(edits: Vec<pb::Edit>) -> pb::Verdict {
        pb::Verdict {
            decision: Some(pb::Decision {
                kind: Some(pb::decision::Kind::Proceed(pb::Proceed {})),
            }),
            ..verdict(edits)
        }
    }

    #[test]
    fn parts_and_last_frame_merge_in_order() {
        let bounds = limits(0, 0, 0);
        let mut parts = Parts::default();
        assert_eq!(
            parts.add(&verdict(vec![splice(1), splice(2)]), bounds),
            Ok(())
        );
        assert_eq!(parts.add(&verdict(vec![splice(3)]), bounds), Ok(()));
        assert!(parts.len() > 0);
        let whole = parts.finish(proceed(vec![splice(4)]), bounds);
        assert_eq!(
            whole,
            Ok(proceed(vec![splice(1), splice(2), splice(3), splice(4)]))
        );
    }

    #[test]
    fn a_list_inside_an_answer_merges_too() {
        let answer = |lines: &[&'static [u8]]| {
            Some(Box::new(pb::Answer {
                kind: Some(Answer::Response(pb::ResponseAnswer {
                    added_lines: lines.iter().map(|line| (*line).into()).collect(),
                    ..pb::ResponseAnswer::default()
                })),
            }))
        };
        let mut part = verdict(vec![]);
        part.answer = answer(&[b"A", b"B"]);
        let mut last = proceed(vec![]);
        last.answer = answer(&[b"C"]);
        let mut parts = Parts::default();
        assert_eq!(parts.add(&part, limits(0, 0, 0)), Ok(()));
        let whole = parts
            .finish(last, limits(0, 0, 0))
            .map(|whole| whole.answer);
        assert_eq!(whole, Ok(answer(&[b"A", b"B", b"C"])));
    }

    #[test]
    fn a_part_holds_lists_alone() {
        let set: [fn(&mut pb::Verdict); 6] = [
            |part| part.decision = Some(pb::Decision::default()),
            |part| part.reason_code = "x".into(),
            |part| part.explanation = "x".into(),
            |part| part.delay = Some(prost_types::Duration::default()),
            |part| part.cache_for = Some(prost_types::Duration::default()),
            |part| {
                part.answer = Some(Box::new(pb::Answer {
                    kind: Some(Answer::Dsn(pb::DsnAnswer {
                        content: data(1),
                        ..pb::DsnAnswer::default()
                    })),
                }));
            },
        ];
        for set in set {
            let mut part = verdict(vec![]);
            set(&mut part);
            assert!(
                Parts::default().add(&part, limits(0, 0, 0)).is_err(),
                "{part:?}"
            );
        }
    }

    #[test]
    fn c15_octets_are_bounded_over_all_parts() {
        let part = verdict(vec![splice(100)]);
        let size = part.encoded_len();
        let bounds = limits(2 * size as u32, 0, 0);
        let mut parts = Parts::default();
        assert_eq!(parts.add(&part, bounds), Ok(()));
        assert_eq!(parts.add(&part, bounds), Ok(()));
        assert_eq!(parts.len(), 2 * size);
        assert!(parts.add(&verdict(vec![]), bounds).is_err());
        assert!(parts.finish(proceed(vec![]), bounds).is_err());
    }

    #[test]
    fn c15_edits_are_bounded_with_those_of_forks() {
        let fork = pb::Fork {
            edits: vec![splice(0)],
            ..pb::Fork::default()
        };
        let mut last = proceed(vec![splice(0), splice(0)]);
        last.forks = vec![fork];
        let exact = Parts::default().finish(last.clone(), limits(0, 3, 0));
        assert!(exact.is_ok());
        assert!(Parts::default().finish(last, limits(0, 2, 0)).is_err());
    }

    #[test]
    fn c15_literals_are_bounded_wherever_they_stand() {
        let commands = |payload| pb::OutgoingCommand {
            payload,
            ..pb::OutgoingCommand::default()
        };
        let edit = |kind| verdict(vec![pb::Edit { kind: Some(kind) }]);
        let answer = |kind| pb::Verdict {
            answer: Some(Box::new(pb::Answer { kind: Some(kind) })),
            ..verdict(vec![])
        };
        let command_answer = |place: usize| {
            let at = |own| {
                if own == place {
                    vec![commands(data(10))]
                } else {
                    vec![]
                }
            };
            answer(Answer::Commands(pb::CommandsAnswer {
                before: at(0),
                instead: at(1),
                after: at(2),
                ..pb::CommandsAnswer::default()
            }))
        };
        let mut forked = verdict(vec![]);
        forked.forks = vec![pb::Fork {
            edits: vec![splice(10)],
            ..pb::Fork::default()
        }];
        let all = [
            verdict(vec![splice(4), splice(6)]),
            forked,
            edit(EditKind::ReplaceBody(pb::ReplaceBody { body: data(10) })),
            edit(EditKind::Inject(Box::new(pb::Inject {
                content: data(10),
                ..pb::Inject::default()
            }))),
            answer(Answer::Dsn(pb::DsnAnswer {
                content: data(10),
                ..pb::DsnAnswer::default()
            })),
            command_answer(0),
            command_answer(1),
            command_answer(2),
        ];
        for whole in all {
            let fits = Parts::default().finish(whole.clone(), limits(0, 0, 10));
            assert_eq!(fits, Ok(whole.clone()));
            assert!(
                Parts::default()
                    .finish(whole.clone(), limits(0, 0, 9))
                    .is_err(),
                "{whole:?}"
            );
        }
        let mut parts = Parts::default();
        assert_eq!(
            parts.add(&verdict(vec![splice(10)]), limits(0, 0, 10)),
            Ok(())
        );
        assert!(
            parts
                .finish(proceed(vec![splice(1)]), limits(0, 0, 10))
                .is_err()
        );
    }

    #[test]
    fn what_a_sink_is_told_never_exceeds_the_protocol() {
        let most = VerdictBounds {
            octets: VERDICT_BYTES,
            edits: VERDICT_EDITS,
            literals: LITERAL_BYTES,
        };
        assert_eq!(limits(0, 0, 0), most);
        assert_eq!(limits(u32::MAX, u32::MAX, u32::MAX), most);
        let less = VerdictBounds {
            octets: 1,
            edits: 2,
            literals: 3,
        };
        assert_eq!(limits(1, 2, 3), less);
    }
}
