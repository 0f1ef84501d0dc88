//! Finds the parts of a content that goes by, and what has to be done with each.

use super::Obstacle;
use super::composite::Composites;
use super::field::Kind;
use super::header::{Header, Step};
use super::leaf::{End, Found, Leaf};
use super::lines::{Lines, Piece};
use super::plan::{Changes, Plan};
use crate::needs::Way;

/// Parts that are looked at.
const MOST_PARTS: usize = 5000;

/// Looks at a content for a way. Give it all of it in order, in pieces of any
/// size.
#[derive(Debug)]
pub struct Analysis {
    lines: Lines,
    finding: Finding,
    /// Octets so far.
    size: u64,
}

#[derive(Debug)]
struct Finding {
    way: Way,
    /// Parts that hold others, and are open.
    open: Composites,
    state: State,
    parts: usize,
    changes: Changes,
    obstacle: Option<Obstacle>,
}

/// What goes by.
#[derive(Debug)]
enum State {
    /// The header section of a message or a part.
    Header(Box<Header>),
    /// A part that holds no other.
    Leaf(Box<Leaf>),
    /// What must stay as it is, and why.
    Fixed(Obstacle, Found),
}

impl Analysis {
    /// An analysis at the start of a content.
    #[must_use]
    pub fn new(way: Way) -> Self {
        let finding = Finding {
            way,
            open: Composites::default(),
            state: State::Header(Box::new(Header::new(true, Kind::Text))),
            parts: 0,
            changes: Changes::default(),
            obstacle: None,
        };
        Self {
            lines: Lines::default(),
            finding,
            size: 0,
        }
    }

    /// Takes the next octets.
    ///
    /// # Errors
    /// The content cannot be converted; nothing more need be given.
    pub fn feed(&mut self, octets: &[u8]) -> Result<(), Obstacle> {
        self.size += octets.len() as u64;
        let finding = &mut self.finding;
        self.lines.feed(octets, |piece| finding.take(piece));
        finding.so_far()
    }

    /// The content is over: what is to be changed in it. Nothing, if the way takes it as it is.
    ///
    /// # Errors
    /// The content cannot be converted.
    pub fn finish(self) -> Result<Plan, Obstacle> {
        let Self {
            lines,
            mut finding,
            size,
        } = self;
        lines.finish(|piece| finding.take(piece));
        finding.end(End::Content(size));
        finding.so_far()?;
        Ok(finding.changes.into_plan(size))
    }
}

impl Finding {
    fn so_far(&self) -> Result<(), Obstacle> {
        self.obstacle.map_or(Ok(()), Err)
    }

    fn meet(&mut self, obstacle: Obstacle) {
        self.obstacle.get_or_insert(obstacle);
    }

    fn take(&mut self, piece: Piece<'_>) {
        if self.obstacle.is_some() {
            return;
        }
        if let Some(delimiter) = piece.whole().and_then(|line| self.open.delimiter(line)) {
            self.end(End::Delimiter(piece.at));
            self.open.end_inner(delimiter);
            self.state = match delimiter.closes {
                true => State::Fixed(Obstacle::Outside, Found::default()),
                false => self.part(),
            };
            return;
        }
        match &mut self.state {
            State::Leaf(leaf) => leaf.take(piece),
            State::Fixed(_, found) => found.note(piece),
            State::Header(header) => match header.take(piece, self.way, &mut self.changes) {
                Ok(_) if self.changes.are_too_many() => self.meet(Obstacle::TooMany),
                Ok(Step::On) => {}
                Ok(Step::Over { empty_line }) => {
                    let body = piece.at + piece.octets.len() as u64;
                    self.body(empty_line, body);
                }
                Ok(Step::Broken) => {
                    let mut found = Found::default();
                    found.note(piece);
                    self.state = State::Fixed(Obstacle::Malformed, found);
                }
                Err(obstacle) => self.meet(obstacle),
            },
        }
    }

    /// A part begins.
    fn part(&mut self) -> State {
        self.parts += 1;
        if self.parts > MOST_PARTS {
            return State::Fixed(Obstacle::TooMany, Found::default());
        }
        let default = match self.open.innermost() {
            Some(one) if one.digest => Kind::Message,
            _ => Kind::Text,
        };
        State::Header(Box::new(Header::new(false, default)))
    }

    /// A header section is over.
    fn body(&mut self, empty_line: u64, body: u64) {
        let State::Header(header) = &self.state else {
            return;
        };
        let kind = header.kind();
        let fixed = |obstacle| State::Fixed(obstacle, Found::default());
        let label = header.encoding.clone();
        self.state = match kind {
            Kind::Text | Kind::Octets => {
                State::Leaf(Box::new(Leaf::new(header, &kind, empty_line, body)))
            }
            Kind::Protected => fixed(Obstacle::Protected),
            Kind::Unencodable => fixed(Obstacle::Unencodable),
            Kind::Malformed => fixed(Obstacle::Malformed),
            _ if self.open.is_full() => fixed(Obstacle::TooMany),
            Kind::Multipart { boundary, digest } => {
                self.open.open(Some(boundary), digest, label);
                fixed(Obstacle::Outside)
            }
            Kind::Message => {
                self.open.open(None, false, label);
                State::Header(Box::new(Header::new(true, Kind::Text)))
            }
        };
    }

    /// What goes by is over.
    fn end(&mut self, end: End) {
        let state = std::mem::replace(
            &mut self.state,
            State::Fixed(Obstacle::Outside, Found::default()),
        );
        let ended = match state {
            State::Leaf(leaf) => leaf.end(end, self.way, &mut self.changes),
            State::Header(mut header) => header
                .end_field(self.way, &mut self.changes)
                .map(|()| false),
            State::Fixed(_, found) if found.fits(self.way) => Ok(false),
            State::Fixed(obstacle, _) => Err(obstacle),
        };
        match ended {
            Ok(true) => self.open.relabel(self.way.eight_bit, &mut self.changes),
            Ok(false) => {}
            Err(obstacle) => self.meet(obstacle),
        }
    }
}
