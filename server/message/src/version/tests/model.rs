//! Edits against plain bytes: the rope must show what they would do to them.

use proptest::prelude::*;

use super::*;
use crate::header::tests::content;

/// An edit in terms of places that exist in any version.
#[derive(Debug, Clone)]
enum Move {
    Insert(prop::sample::Index, u8, String),
    Replace(prop::sample::Index, String),
    Remove(prop::sample::Index),
    Splice(prop::sample::Index, u8, String),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let place = any::<prop::sample::Index>;
    let one = prop_oneof![
        (place(), 0_u8..4, "([a-z][a-z ]{0,4})?").prop_map(|(at, how, v)| Move::Insert(at, how, v)),
        (place(), "([a-z][a-z ]{0,4})?").prop_map(|(at, v)| Move::Replace(at, v)),
        place().prop_map(Move::Remove),
        (place(), 0_u8..5, "[a-z\r\n]{0,5}").prop_map(|(at, n, v)| Move::Splice(at, n, v)),
    ];
    proptest::collection::vec(one, 0..8)
}

/// The message as plain bytes: fields, empty line, body.
#[derive(Debug, Clone)]
struct Naive {
    fields: Vec<(HeaderId, Vec<u8>)>,
    separator: bool,
    body: Vec<u8>,
    edited: bool,
}

impl Naive {
    fn of(version: &Version, content: &[u8]) -> Self {
        let fields = version.headers().iter();
        Self {
            fields: fields.map(|f| (f.id(), f.raw().to_vec())).collect(),
            separator: version.separator > 0,
            body: content[version.body_offset as usize..].to_vec(),
            edited: false,
        }
    }

    fn render(&self) -> Vec<u8> {
        let mut lines: Vec<Vec<u8>> = self.fields.iter().map(|(_, raw)| raw.clone()).collect();
        if self.separator || (self.edited && !self.body.is_empty()) {
            lines.push(b"\r\n".to_vec());
        }
        if !self.body.is_empty() {
            lines.push(self.body.clone());
        }
        let last = lines.len().saturating_sub(1);
        for line in lines.iter_mut().take(last) {
            if !line.ends_with(b"\r\n") {
                line.extend_from_slice(b"\r\n");
            }
        }
        lines.concat()
    }

    /// Does one edit at a time on the bytes, and returns the edits as a sink would send them.
    fn edit(&mut self, moves: &[Move], next_id: u32) -> Vec<Edit> {
        let seen = self.clone();
        let mut edits = Vec::new();
        let mut touched = std::collections::HashSet::new();
        let mut next_id = next_id;
        let (mut seen_end, mut shift) = (0, 0_isize);
        // Inserted fields by slot, to put those of one slot behind each other.
        let mut slots: Vec<(usize, HeaderId, Vec<u8>)> = Vec::new();
        for step in moves {
            match step {
                Move::Insert(at, how, value) => {
                    let n = seen.fields.len();
                    let (place, slot) = match (how, n) {
                        (0, _) | (2 | 3, 0) => (HeaderPlace::First, 0),
                        (1, _) => (HeaderPlace::Last, 2 * n + 1),
                        (2, _) => (
                            HeaderPlace::Before(seen.fields[at.index(n)].0),
                            2 * at.index(n) + 1,
                        ),
                        _ => (
                            HeaderPlace::After(seen.fields[at.index(n)].0),
                            2 * at.index(n) + 2,
                        ),
                    };
                    edits.push(insert(place, "X-New", value));
                    let raw = format!("X-New: {}\r\n", value.trim_matches(' '));
                    slots.push((slot, HeaderId(next_id), raw.into_bytes()));
                    next_id += 1;
                }
                Move::Replace(at, value) if !seen.fields.is_empty() => {
                    let (id, old) = &seen.fields[at.index(seen.fields.len())];
                    if touched.insert(*id) {
                        edits.push(replace(id.0, value));
                        let name = String::from_utf8_lossy(old);
                        let name = name.split(':').next().unwrap().trim_end();
                        let raw = format!("{name}: {}\r\n", value.trim_matches(' '));
                        let field = self.fields.iter_mut().find(|(other, _)| other == id);
                        field.unwrap().1 = raw.into_bytes();
                    }
                }
                Move::Remove(at) if !seen.fields.is_empty() => {
                    let id = seen.fields[at.index(seen.fields.len())].0;
                    if touched.insert(id) {
                        edits.push(Edit::RemoveHeader { id });
                        self.fields.retain(|(other, _)| *other != id);
                    }
                }
                Move::Splice(at, remove, text) => {
                    let from = seen_end + at.index(seen.body.len() - seen_end + 1);
                    let to = (from + usize::from(*remove)).min(seen.body.len());
                    edits.push(Edit::SpliceBody {
                        offset: from as u64,
                        remove: (to - from) as u64,
                        insert: Bytes::from(text.clone()),
                    });
                    let now = from.strict_add_signed(shift);
                    self.body.splice(now..now + (to - from), text.bytes());
                    shift += text.len() as isize - (to - from) as isize;
                    seen_end = to;
                }
                _ => {}
            }
        }
        slots.sort_by_key(|(slot, ..)| *slot);
        let slot_of = |id: HeaderId| seen.fields.iter().position(|(other, _)| *other == id);
        let mut merged = Vec::new();
        let mut slots = slots.into_iter().peekable();
        for (id, raw) in std::mem::take(&mut self.fields) {
            let own = 2 * slot_of(id).unwrap() + 1;
            while let Some((_, id, raw)) = slots.next_if(|(slot, ..)| *slot <= own) {
                merged.push((id, raw));
            }
            merged.push((id, raw));
        }
        merged.extend(slots.map(|(_, id, raw)| (id, raw)));
        self.fields = merged;
        self.edited |= !edits.is_empty();
        edits
    }
}

proptest! {
    #[test]
    fn edits_do_what_they_do_to_plain_bytes(
        content in content(),
        rounds in proptest::collection::vec(moves(), 1..4),
        from: u8,
        length: u8,
    ) {
        let mut version = original(&content);
        let mut naive = Naive::of(&version, &content);
        prop_assert_eq!(read(&version.segments(), &content), content.clone());
        for moves in rounds {
            let edits = naive.edit(&moves, version.next_id);
            version = apply(&version, &edits).unwrap();
            let expected = naive.render();
            prop_assert_eq!(read(&version.segments(), &content), expected.clone());
            prop_assert_eq!(version.size(), Some(expected.len() as u64));
            let body = read(&version.body_segments(0..u64::MAX), &content);
            prop_assert_eq!(&body, &naive.body);
            let from = usize::from(from).min(expected.len());
            let to = (from + usize::from(length)).min(expected.len());
            prop_assert_eq!(
                read(&version.segments_in(from as u64..to as u64), &content),
                &expected[from..to]
            );
            let ids: Vec<_> = version.headers().iter().map(HeaderField::id).collect();
            let expected: Vec<_> = naive.fields.iter().map(|(id, _)| *id).collect();
            prop_assert_eq!(ids, expected);
        }
        let mut out = Writer::new();
        version.encode(&mut out);
        let mut reader = Reader::new(out.into_bytes().into());
        let head = Bytes::copy_from_slice(&content[..version.head_octets() as usize]);
        prop_assert_eq!(Version::decode(&mut reader, &head).unwrap(), version);
        reader.end().unwrap();
    }
}
