//! Edits of the header section of one verdict, applied in their order.
//!
//! Ids and places are those of the version that the sink saw. A place next to a field that an earlier verdict has
//! removed is where that field stood.

use std::collections::HashMap;
use std::sync::Arc;

use super::Version;
use super::apply::next_id;
use crate::field::write_field;
use crate::{
    Edit, EditError, HeaderField, HeaderId, HeaderName, HeaderNames, HeaderPlace, HeaderValue,
};

impl Version {
    /// Applies the header edits to `next`. Returns the octets that they bring in.
    pub(super) fn apply_headers(&self, edits: &[Edit], next: &mut Self) -> Result<u64, EditError> {
        let mut section = Section::of(self);
        for edit in edits {
            match edit {
                Edit::InsertHeader { at, name, value } => section.insert(*at, name, value)?,
                Edit::SetHeader {
                    at,
                    name,
                    value,
                    only_if_missing,
                } => section.set(*at, name, value, *only_if_missing)?,
                Edit::ReplaceHeader { id, name, value } => {
                    section.replace(*id, name.as_ref(), value)?;
                }
                Edit::RemoveHeader { id } => section.remove(*id)?,
                Edit::RemoveHeaders { names } => section.remove_all(names),
                _ => {}
            }
        }
        let inserted = section.inserted;
        section.finish(next);
        Ok(inserted)
    }
}

/// A field that came, in its slot. `None`: it was removed again by the same verdict.
type Added = (usize, Option<HeaderField>);

/// The header section while one verdict is applied to it.
struct Section<'a> {
    version: &'a Version,
    by_id: HashMap<HeaderId, usize>,
    gone: HashMap<HeaderId, Option<HeaderId>>,
    kept: Vec<Option<HeaderField>>,
    touched: Vec<bool>,
    added: Vec<Added>,
    next_id: u32,
    inserted: u64,
}

/// Where a field stands among those that stayed and those that came.
#[derive(Clone, Copy)]
enum Found {
    Kept(usize),
    Added(usize),
}

impl<'a> Section<'a> {
    fn of(version: &'a Version) -> Self {
        let fields = version.headers.iter().enumerate();
        Self {
            by_id: fields.map(|(place, field)| (field.id(), place)).collect(),
            gone: version.gone.iter().copied().collect(),
            kept: version.headers.iter().cloned().map(Some).collect(),
            touched: vec![false; version.headers.len()],
            added: Vec::new(),
            next_id: version.next_id,
            inserted: 0,
            version,
        }
    }

    fn write(
        &mut self,
        id: HeaderId,
        name: &[u8],
        value: &HeaderValue,
    ) -> Result<HeaderField, EditError> {
        let raw = write_field(name, value)?;
        self.inserted += raw.len() as u64;
        HeaderField::new(id, None, raw).ok_or(EditError::NotAField)
    }

    fn insert(
        &mut self,
        at: HeaderPlace,
        name: &HeaderName,
        value: &HeaderValue,
    ) -> Result<(), EditError> {
        let slot = self.slot(at)?;
        let field = self.write(HeaderId(self.next_id), name.as_bytes(), value)?;
        self.next_id = next_id(self.next_id)?;
        self.added.push((slot, Some(field)));
        Ok(())
    }

    fn replace(
        &mut self,
        id: HeaderId,
        name: Option<&HeaderName>,
        value: &HeaderValue,
    ) -> Result<(), EditError> {
        let place = self.claim(id)?;
        let old = self.kept.get(place).and_then(Option::as_ref);
        let old = old.ok_or(EditError::UnknownHeader { id })?;
        let name = name.map_or(old.name(), |name| name.as_bytes()).to_vec();
        let field = self.write(id, &name, value)?;
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = Some(field);
        }
        Ok(())
    }

    fn remove(&mut self, id: HeaderId) -> Result<(), EditError> {
        if self.gone.contains_key(&id) {
            return Ok(());
        }
        let place = self.claim(id)?;
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = None;
        }
        Ok(())
    }

    fn remove_all(&mut self, names: &HeaderNames) {
        let fields = self.kept.iter_mut();
        for field in fields.chain(self.added.iter_mut().map(|(_, field)| field)) {
            if field.as_ref().is_some_and(|own| names.contains(own.name())) {
                *field = None;
            }
        }
    }

    fn set(
        &mut self,
        at: HeaderPlace,
        name: &HeaderName,
        value: &HeaderValue,
        only_if_missing: bool,
    ) -> Result<(), EditError> {
        let Some(first) = self.first(name.as_bytes()) else {
            return self.insert(at, name, value);
        };
        if only_if_missing {
            return Ok(());
        }
        let old = self.field(first).map(HeaderField::id);
        let id = old.unwrap_or(HeaderId(self.next_id));
        self.remove_all(&HeaderNames::Exact(name.clone()));
        let field = self.write(id, name.as_bytes(), value)?;
        let place = match first {
            Found::Kept(place) => self.kept.get_mut(place),
            Found::Added(place) => self.added.get_mut(place).map(|(_, field)| field),
        };
        if let Some(place) = place {
            *place = Some(field);
        }
        Ok(())
    }

    /// The first field of this name, in the order that the section would have.
    fn first(&self, name: &[u8]) -> Option<Found> {
        let is = |field: &Option<HeaderField>| {
            field
                .as_ref()
                .is_some_and(|own| own.name().eq_ignore_ascii_case(name))
        };
        let kept = self.kept.iter().position(is);
        let added = self.added.iter().enumerate();
        let added = added
            .filter(|(_, (_, field))| is(field))
            .min_by_key(|(_, (slot, _))| *slot);
        match (kept, added) {
            (Some(kept), Some((place, (slot, _)))) if *slot <= 2 * kept + 1 => {
                Some(Found::Added(place))
            }
            (Some(kept), _) => Some(Found::Kept(kept)),
            (None, Some((place, _))) => Some(Found::Added(place)),
            (None, None) => None,
        }
    }

    fn field(&self, found: Found) -> Option<&HeaderField> {
        match found {
            Found::Kept(place) => self.kept.get(place).and_then(Option::as_ref),
            Found::Added(place) => self.added.get(place).and_then(|(_, field)| field.as_ref()),
        }
    }

    /// The index of a field that no other edit of the verdict may touch by its id.
    fn claim(&mut self, id: HeaderId) -> Result<usize, EditError> {
        let index = self.by_id.get(&id).copied();
        let index = index.ok_or(EditError::UnknownHeader { id })?;
        match self.touched.get_mut(index) {
            Some(touched) if !*touched => {
                *touched = true;
                Ok(index)
            }
            _ => Err(EditError::HeaderTwice { id }),
        }
    }

    /// Slots are 0 before all, then for field `i` one before (`2i + 1`) and one after it.
    fn slot(&self, place: HeaderPlace) -> Result<usize, EditError> {
        let last = 2 * self.version.headers.len() + 1;
        let (id, after) = match place {
            HeaderPlace::First => return Ok(0),
            HeaderPlace::Last => return Ok(last),
            HeaderPlace::Before(id) => (id, false),
            HeaderPlace::After(id) => (id, true),
        };
        if let Some(index) = self.by_id.get(&id) {
            return Ok(2 * index + if after { 2 } else { 1 });
        }
        // Each step leads to a field behind the one that is gone.
        let mut behind = *self.gone.get(&id).ok_or(EditError::UnknownHeader { id })?;
        for _ in 0..=self.gone.len() {
            let Some(id) = behind else { return Ok(last) };
            if let Some(index) = self.by_id.get(&id) {
                return Ok(2 * index + 1);
            }
            behind = self.gone.get(&id).copied().flatten();
        }
        Ok(last)
    }

    fn finish(mut self, next: &mut Version) {
        let ids: Vec<HeaderId> = self.version.headers.iter().map(HeaderField::id).collect();
        let removed = self
            .kept
            .iter()
            .enumerate()
            .filter(|(_, field)| field.is_none())
            .filter_map(|(place, _)| Some((*ids.get(place)?, ids.get(place + 1).copied())));
        let removed: Vec<_> = removed.collect();
        if !removed.is_empty() {
            Arc::make_mut(&mut next.gone).extend(removed);
        }
        // Stable: several in one slot keep the order of the edits.
        self.added.sort_by_key(|(slot, _)| *slot);
        let mut added = self.added.into_iter().peekable();
        let mut merged = Vec::with_capacity(self.kept.len() + added.len());
        for (index, field) in self.kept.into_iter().enumerate() {
            while let Some((_, new)) = added.next_if(|(slot, _)| *slot <= 2 * index + 1) {
                merged.extend(new);
            }
            merged.extend(field);
        }
        merged.extend(added.filter_map(|(_, new)| new));
        next.headers = Arc::new(merged);
        next.next_id = self.next_id;
    }
}
