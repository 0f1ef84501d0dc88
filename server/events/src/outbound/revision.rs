//! Revisions: how the content of a message came to be what it is.

use bytes::Bytes;
use postern_message::HeaderField;
use postern_proto::v1 as pb;
use prost::Message as _;

use crate::encode::PART_BYTES;
use crate::wire::{self, View};

/// A step from one version of the content to the next.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Revision {
    /// Its number. 1: as received, with no changes listed.
    pub number: u32,
    /// The binding whose verdict made it. Empty: the gateway.
    pub made_by: String,
    /// Changes of header fields, in order.
    pub header_changes: Vec<HeaderChange>,
    /// Changes of the body, ascending.
    pub body_changes: Vec<BodyChange>,
    /// SHA-256 of the whole content, if it is known. Only bindings that read `digest` see it.
    pub content_sha256: Option<[u8; 32]>,
}

/// A change of one header field.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderChange {
    /// It was inserted.
    Inserted(HeaderField),
    /// It was removed.
    Removed(HeaderField),
    /// It was replaced.
    Replaced {
        /// The field as it was.
        before: HeaderField,
        /// The field as it became.
        after: HeaderField,
    },
}

/// A change of the body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BodyChange {
    /// First octet, in the body of the revision before.
    pub offset_before: u64,
    /// Octets removed.
    pub removed_bytes: u64,
    /// First octet, in the body of this revision.
    pub offset_after: u64,
    /// Octets inserted.
    pub inserted_bytes: u64,
}

/// Octets of changes after which a revision goes on in another one with the same number: one element of a list is never
/// divided between frames.
const CUT_BYTES: usize = PART_BYTES / 2;

/// Revisions as a binding may see them, those with many changes as several that add up.
pub(super) fn shown(revisions: &[Revision], view: &View<'_>) -> Vec<pb::Revision> {
    if !view.reads.history {
        return Vec::new();
    }
    let mut all = Vec::with_capacity(revisions.len());
    for revision in revisions {
        revision.add_to(&mut all, view);
    }
    all
}

impl Revision {
    fn add_to(&self, all: &mut Vec<pb::Revision>, view: &View<'_>) {
        let digest = self.content_sha256.filter(|_| view.reads.digest);
        let mut open = pb::Revision {
            number: self.number,
            made_by: self.made_by.clone(),
            content_sha256: digest
                .map(|digest| Bytes::copy_from_slice(&digest))
                .unwrap_or_default(),
            ..pb::Revision::default()
        };
        let mut octets = 0;
        let mut make_room = |open: &mut pb::Revision, size: usize| {
            if octets > 0 && octets + size > CUT_BYTES {
                let next = pb::Revision {
                    number: self.number,
                    made_by: self.made_by.clone(),
                    ..pb::Revision::default()
                };
                all.push(std::mem::replace(open, next));
                octets = 0;
            }
            octets += size;
        };
        for change in &self.header_changes {
            if let Some(change) = change.shown(view) {
                make_room(&mut open, change.encoded_len() + 8);
                open.header_changes.push(change);
            }
        }
        let body: &[BodyChange] = if view.reads.body {
            &self.body_changes
        } else {
            &[]
        };
        for change in body {
            let change = change.wire();
            make_room(&mut open, change.encoded_len() + 8);
            open.body_changes.push(change);
        }
        all.push(open);
    }
}

impl HeaderChange {
    /// The change, if the binding reads the field by either of its names.
    fn shown(&self, view: &View<'_>) -> Option<pb::HeaderChange> {
        let (before, after) = match self {
            Self::Inserted(after) => (None, Some(after)),
            Self::Removed(before) => (Some(before), None),
            Self::Replaced { before, after } => (Some(before), Some(after)),
        };
        let read = |field: Option<&HeaderField>| {
            field
                .filter(|field| view.reads.headers.contains(field.name()))
                .map(wire::field)
        };
        let (before, after) = (read(before), read(after));
        (before.is_some() || after.is_some()).then_some(pb::HeaderChange { before, after })
    }
}

impl BodyChange {
    const fn wire(self) -> pb::BodyChange {
        pb::BodyChange {
            offset_before: self.offset_before,
            removed_bytes: self.removed_bytes,
            offset_after: self.offset_after,
            inserted_bytes: self.inserted_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grant::{HeaderSet, Reads};
    use crate::samples;

    fn revision() -> Revision {
        let fields = samples::version().headers().to_vec();
        let change = BodyChange {
            offset_before: 1,
            removed_bytes: 2,
            offset_after: 3,
            inserted_bytes: 4,
        };
        Revision {
            number: 2,
            made_by: "footer".to_owned(),
            header_changes: vec![
                HeaderChange::Inserted(fields[0].clone()),
                HeaderChange::Removed(fields[1].clone()),
                HeaderChange::Replaced {
                    before: fields[0].clone(),
                    after: fields[1].clone(),
                },
            ],
            body_changes: vec![change],
            content_sha256: Some([7; 32]),
        }
    }

    fn seen(revisions: &[Revision], reads: &Reads) -> Vec<pb::Revision> {
        let view = View { reads, sink: "s" };
        shown(revisions, &view)
    }

    #[test]
    fn every_change_is_shown_to_who_reads_it() {
        let version = samples::version();
        let [subject, other] = [0, 1].map(|n: usize| Some(wire::field(&version.headers()[n])));
        let change = |before, after| pb::HeaderChange { before, after };
        let whole = pb::Revision {
            number: 2,
            made_by: "footer".to_owned(),
            header_changes: vec![
                change(None, subject.clone()),
                change(other.clone(), None),
                change(subject.clone(), other),
            ],
            body_changes: vec![pb::BodyChange {
                offset_before: 1,
                removed_bytes: 2,
                offset_after: 3,
                inserted_bytes: 4,
            }],
            content_sha256: Bytes::from_static(&[7; 32]),
        };
        let all = seen(&[revision()], &samples::all());
        assert_eq!(all, std::slice::from_ref(&whole));
        let mut headers = HeaderSet::default();
        assert!(headers.add("Subject"));
        let some = Reads {
            history: true,
            headers,
            ..Reads::default()
        };
        assert_eq!(
            seen(&[revision()], &some),
            [pb::Revision {
                header_changes: vec![change(None, subject.clone()), change(subject, None)],
                body_changes: Vec::new(),
                content_sha256: Bytes::new(),
                ..whole
            }]
        );
        assert!(seen(&[revision()], &Reads::everything()).is_empty());
    }

    #[test]
    fn each_part_of_a_revision_is_filled_and_no_more() {
        let mut long = revision();
        long.header_changes = vec![long.header_changes[1].clone(); 20_000];
        long.body_changes = vec![long.body_changes[0]; 20_000];
        let parts = seen(&[long], &samples::all());
        assert!(parts.len() > 3, "{}", parts.len());
        let sizes: Vec<Vec<usize>> = parts
            .iter()
            .map(|part| {
                let headers = part.header_changes.iter().map(prost::Message::encoded_len);
                let body = part.body_changes.iter().map(prost::Message::encoded_len);
                headers.chain(body).map(|octets| octets + 8).collect()
            })
            .collect();
        for pair in sizes.windows(2) {
            let own: usize = pair[0].iter().sum();
            assert!(own <= CUT_BYTES, "{own}");
            assert!(own + pair[1][0] > CUT_BYTES, "there was room for one more");
        }
    }

    #[test]
    fn a_revision_of_many_changes_goes_on_in_others_of_its_number() {
        let mut long = revision();
        let count = 60_000;
        long.body_changes = vec![long.body_changes[0]; count];
        let parts = seen(&[long], &samples::all());
        assert!(parts.len() > 1, "{}", parts.len());
        for part in &parts {
            assert_eq!((part.number, part.made_by.as_str()), (2, "footer"));
            assert!(part.encoded_len() < PART_BYTES);
        }
        let all: usize = parts.iter().map(|part| part.body_changes.len()).sum();
        assert_eq!(all, count);
        // The digest and the header changes come once.
        let digests = parts.iter().filter(|part| !part.content_sha256.is_empty());
        assert_eq!(digests.count(), 1);
        let headers: usize = parts.iter().map(|part| part.header_changes.len()).sum();
        assert_eq!(headers, 3);
    }
}
