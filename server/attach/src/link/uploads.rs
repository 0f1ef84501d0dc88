//! Octets that a sink sends ahead of a verdict or an action: which are under way, and their credit.

use std::collections::{BTreeMap, VecDeque};

use postern_proto::v1 as pb;

/// Uploads of an instance that may be unfinished or unused.
const UPLOADS: usize = 8;

/// Refused uploads whose frames may still be under way.
const REFUSED: usize = 64;

/// How an upload stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Upload {
    /// Octets are arriving. Credit that is left.
    Arriving { event_id: u64, credit: u64 },
    /// All of it is here, to be used once.
    Finished { event_id: u64 },
}

impl Upload {
    const fn event_id(self) -> u64 {
        match self {
            Self::Arriving { event_id, .. } | Self::Finished { event_id } => event_id,
        }
    }
}

/// What is to be done with a frame of an upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is handed on.
    Kept,
    /// It belongs to an upload that was refused: dropped.
    Dropped,
    /// It begins an upload that is refused.
    Refused(&'static str),
}

/// The uploads of one instance.
#[derive(Debug, Default)]
pub(crate) struct Uploads {
    known: BTreeMap<u64, Upload>,
    refused: VecDeque<u64>,
}

impl Uploads {
    /// Takes in a frame. `credit` is the first grant, `event_open` whether its event may still use it.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn frame(
        &mut self,
        upload: &pb::Upload,
        credit: u64,
        chunk: usize,
        refusal: Option<&'static str>,
    ) -> Result<Taken, String> {
        let id = upload.upload_id;
        let octets = upload.octets.len();
        if id == 0 {
            return Err("Upload with upload_id 0".to_owned());
        }
        if octets > chunk {
            return Err(format!(
                "Upload of {octets} octets in one frame; {chunk} are allowed"
            ));
        }
        if upload.abandoned && octets > 0 {
            return Err("an abandoned Upload with octets".to_owned());
        }
        let last = upload.finished || upload.abandoned;
        if let Some(place) = self.refused.iter().position(|refused| *refused == id) {
            if last {
                self.refused.remove(place);
            }
            return Ok(Taken::Dropped);
        }
        let left = match self.known.get(&id) {
            Some(Upload::Finished { .. }) => {
                return Err(format!("a frame of upload {id}, which is finished"));
            }
            Some(Upload::Arriving { event_id, .. }) if *event_id != upload.event_id => {
                return Err(format!("upload {id} changes its event"));
            }
            Some(Upload::Arriving { credit, .. }) => *credit,
            None => {
                let refusal = refusal.or((self.known.len() >= UPLOADS)
                    .then_some("too many uploads are unfinished or unused"));
                if let Some(why) = refusal {
                    if !last {
                        self.refuse(id)?;
                    }
                    return Ok(Taken::Refused(why));
                }
                credit
            }
        };
        let Some(left) = left.checked_sub(octets as u64) else {
            return Err(format!("upload {id} exceeds its credit"));
        };
        let event_id = upload.event_id;
        if upload.abandoned {
            self.known.remove(&id);
        } else if upload.finished {
            self.known.insert(id, Upload::Finished { event_id });
        } else {
            let credit = left;
            self.known.insert(id, Upload::Arriving { event_id, credit });
        }
        Ok(Taken::Kept)
    }

    /// More may come of an upload. Returns whether it is under way.
    pub(crate) fn grant(&mut self, id: u64, octets: u64) -> bool {
        match self.known.get_mut(&id) {
            Some(Upload::Arriving { credit, .. }) => {
                *credit = credit.saturating_add(octets);
                true
            }
            Some(Upload::Finished { .. }) | None => false,
        }
    }

    /// The gateway takes no more of an upload. Returns whether the sink must be told.
    pub(crate) fn stop(&mut self, id: u64) -> bool {
        match self.known.remove(&id) {
            Some(Upload::Arriving { .. }) => {
                // More refusals than are remembered end the instance at the next frame.
                self.refused.push_back(id);
                true
            }
            Some(Upload::Finished { .. }) => true,
            None => false,
        }
    }

    /// An action has used an upload, or nothing will.
    pub(crate) fn release(&mut self, id: u64) {
        self.known.remove(&id);
    }

    /// The event is over. Returns its uploads that are still arriving, of which no more is taken.
    pub(crate) fn end_event(&mut self, event_id: u64) -> Vec<u64> {
        let mut arriving = Vec::new();
        self.known.retain(|id, upload| {
            let of_event = upload.event_id() == event_id;
            if of_event && matches!(upload, Upload::Arriving { .. }) {
                arriving.push(*id);
            }
            !of_event
        });
        self.refused.extend(&arriving);
        arriving
    }

    fn refuse(&mut self, id: u64) -> Result<(), String> {
        if self.refused.len() >= REFUSED {
            return Err("frames of too many refused uploads are under way".to_owned());
        }
        self.refused.push_back(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(upload_id: u64, octets: usize) -> pb::Upload {
        pb::Upload {
            upload_id,
            event_id: 5,
            octets: vec![0; octets].into(),
            ..pb::Upload::default()
        }
    }

    fn finished(upload_id: u64) -> pb::Upload {
        pb::Upload {
            finished: true,
            ..frame(upload_id, 0)
        }
    }

    fn take(uploads: &mut Uploads, upload: &pb::Upload) -> Result<Taken, String> {
        uploads.frame(upload, 10, 8, None)
    }

    #[test]
    fn an_upload_stays_within_its_credit() {
        let mut uploads = Uploads::default();
        assert_eq!(take(&mut uploads, &frame(1, 8)), Ok(Taken::Kept));
        assert_eq!(take(&mut uploads, &frame(1, 2)), Ok(Taken::Kept));
        assert!(uploads.grant(1, 3));
        assert_eq!(take(&mut uploads, &frame(1, 3)), Ok(Taken::Kept));
        assert!(take(&mut uploads, &frame(1, 1)).is_err());
        assert!(!uploads.grant(2, 3));
    }

    #[test]
    fn frames_that_are_wrong_are_refused() {
        let mut uploads = Uploads::default();
        assert!(take(&mut uploads, &frame(0, 1)).is_err());
        assert!(take(&mut uploads, &frame(1, 9)).is_err());
        let abandoned = |octets| pb::Upload {
            abandoned: true,
            ..frame(1, octets)
        };
        assert!(take(&mut uploads, &abandoned(1)).is_err());
        assert_eq!(take(&mut uploads, &frame(1, 1)), Ok(Taken::Kept));
        let moved = pb::Upload {
            event_id: 6,
            ..frame(1, 1)
        };
        assert!(take(&mut uploads, &moved).is_err());
        assert_eq!(take(&mut uploads, &abandoned(0)), Ok(Taken::Kept));
        assert!(!uploads.grant(1, 1));
        assert_eq!(take(&mut uploads, &finished(2)), Ok(Taken::Kept));
        assert!(!uploads.grant(2, 1));
        assert!(take(&mut uploads, &frame(2, 0)).is_err());
    }

    #[test]
    fn at_most_eight_are_unfinished_or_unused() {
        let mut uploads = Uploads::default();
        for id in 1..=UPLOADS as u64 {
            assert_eq!(take(&mut uploads, &finished(id)), Ok(Taken::Kept));
        }
        assert!(matches!(
            take(&mut uploads, &frame(20, 1)),
            Ok(Taken::Refused(_))
        ));
        assert_eq!(take(&mut uploads, &frame(20, 1)), Ok(Taken::Dropped));
        assert_eq!(take(&mut uploads, &finished(20)), Ok(Taken::Dropped));
        uploads.release(1);
        assert_eq!(take(&mut uploads, &finished(20)), Ok(Taken::Kept));
    }

    #[test]
    fn a_refused_upload_is_dropped_to_its_end_and_their_number_is_bounded() {
        let mut uploads = Uploads::default();
        let refuse = |uploads: &mut Uploads, upload: &pb::Upload| {
            uploads.frame(upload, 10, 8, Some("not in force"))
        };
        let whole = refuse(&mut uploads, &finished(1));
        assert_eq!(whole, Ok(Taken::Refused("not in force")));
        assert!(uploads.refused.is_empty(), "nothing of it follows");
        for id in 1..=REFUSED as u64 {
            assert_eq!(
                refuse(&mut uploads, &frame(id, 1)),
                Ok(Taken::Refused("not in force"))
            );
        }
        assert!(refuse(&mut uploads, &frame(1000, 1)).is_err());
        assert_eq!(refuse(&mut uploads, &finished(1)), Ok(Taken::Dropped));
        assert_eq!(
            refuse(&mut uploads, &frame(1000, 1)),
            Ok(Taken::Refused("not in force"))
        );
    }

    #[test]
    fn an_event_takes_its_uploads_with_it() {
        let mut uploads = Uploads::default();
        let other = pb::Upload {
            event_id: 6,
            ..frame(3, 1)
        };
        assert_eq!(take(&mut uploads, &frame(1, 1)), Ok(Taken::Kept));
        assert_eq!(take(&mut uploads, &finished(2)), Ok(Taken::Kept));
        assert_eq!(take(&mut uploads, &other), Ok(Taken::Kept));
        assert_eq!(uploads.end_event(5), [1]);
        assert_eq!(take(&mut uploads, &frame(1, 1)), Ok(Taken::Dropped));
        assert_eq!(take(&mut uploads, &other), Ok(Taken::Kept));
        assert!(uploads.stop(3));
        assert!(!uploads.stop(3));
        assert_eq!(take(&mut uploads, &other), Ok(Taken::Dropped));
        assert_eq!(take(&mut uploads, &finished(4)), Ok(Taken::Kept));
        assert!(uploads.stop(4));
    }
}
