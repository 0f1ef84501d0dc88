//! A verdict that is too long for one frame, in several.

use prost::Message as _;

use crate::v1;

/// Octets at which a part is closed. A frame may have 1 MiB; no single element reaches half of it.
const PART_BYTES: usize = 512 * 1024;

/// The parts to be sent ahead, and the verdict that ends them. Most verdicts are one frame.
pub(super) fn split(mut verdict: v1::Verdict) -> (Vec<v1::Verdict>, v1::Verdict) {
    if verdict.encoded_len() <= PART_BYTES {
        return (Vec::new(), verdict);
    }
    let mut parts = Parts {
        event_id: verdict.event_id,
        done: Vec::new(),
        part: v1::Verdict::default(),
        octets: 0,
    };
    for edit in std::mem::take(&mut verdict.edits) {
        parts.take(edit, |part, edit| part.edits.push(edit));
    }
    for property in std::mem::take(&mut verdict.properties) {
        parts.take(property, |part, property| part.properties.push(property));
    }
    for recipients in std::mem::take(&mut verdict.recipients) {
        parts.take(recipients, |part, decided| part.recipients.push(decided));
    }
    for fork in std::mem::take(&mut verdict.forks) {
        parts.take(fork, |part, fork| part.forks.push(fork));
    }
    if let Some(expansions) = verdict
        .answer
        .as_mut()
        .and_then(|answer| match &mut answer.kind {
            Some(v1::answer::Kind::Expansion(expansion)) => Some(&mut expansion.expansions),
            _ => None,
        })
    {
        for expansion in std::mem::take(expansions) {
            parts.take(expansion, |part, expansion| {
                let answer = part.answer.get_or_insert_with(|| {
                    let kind = v1::answer::Kind::Expansion(v1::ExpansionAnswer::default());
                    v1::Answer { kind: Some(kind) }.into()
                });
                if let Some(v1::answer::Kind::Expansion(answer)) = &mut answer.kind {
                    answer.expansions.push(expansion);
                }
            });
        }
    }
    (parts.finish(), verdict)
}

struct Parts {
    event_id: u64,
    done: Vec<v1::Verdict>,
    part: v1::Verdict,
    octets: usize,
}

impl Parts {
    fn take<T: prost::Message>(&mut self, element: T, put: impl FnOnce(&mut v1::Verdict, T)) {
        let octets = element.encoded_len() + 16;
        if self.octets > 0 && self.octets + octets > PART_BYTES {
            self.close();
        }
        self.octets += octets;
        put(&mut self.part, element);
    }

    fn close(&mut self) {
        self.octets = 0;
        let mut part = std::mem::take(&mut self.part);
        part.event_id = self.event_id;
        self.done.push(part);
    }

    fn finish(mut self) -> Vec<v1::Verdict> {
        if self.octets > 0 {
            self.close();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn parts_merge_back_to_the_verdict_and_none_is_longer_than_a_frame() {
        let edit = |n: usize| v1::Edit {
            kind: Some(v1::edit::Kind::RemoveHeaders(v1::RemoveHeaders {
                name: format!("X-{n}-{}", "x".repeat(60_000)).into(),
            })),
        };
        let verdict = v1::Verdict {
            event_id: 7,
            decision: Some(v1::Decision {
                kind: Some(v1::decision::Kind::Proceed(v1::Proceed {})),
            }),
            edits: (0..40).map(edit).collect(),
            warnings: vec!["one".to_owned()],
            ..Default::default()
        };
        let (parts, last) = split(verdict.clone());
        assert!(parts.len() > 3);
        let mut merged = v1::Verdict::default();
        for part in parts.iter().chain([&last]) {
            assert!(part.encoded_len() <= 1 << 20);
            assert_eq!(part.event_id, 7);
            merged.merge(part.encode_to_vec().as_slice()).unwrap();
        }
        assert_eq!(merged, verdict);
    }
}
