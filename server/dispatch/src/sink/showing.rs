//! Content on its way from the store to the links: what a link wishes is fetched, one piece at a time for each question.

use std::sync::Arc;
use std::time::Instant;

use postern_attach::Wish;
use postern_events::fault::{Fault, FaultKind};
use postern_proto::v1 as pb;

use crate::shown::{Piece, Shown, end, fetch};

use super::command::QuestionKey;
use super::fetching::{Fetched, Showing, What};
use super::task::SinkTask;

impl SinkTask {
    /// A question was asked with this content.
    pub(super) fn begin_showing(&mut self, question: QuestionKey, shown: Arc<Shown>) {
        let ending = Arc::clone(&shown);
        let end = self.fetches.start(async move {
            Fetched {
                question,
                what: What::End(Box::new(end(ending).await)),
            }
        });
        self.questions.show(
            question,
            Showing {
                shown,
                fetching: None,
                end,
            },
        );
        self.show_more(question);
    }

    /// Fetches what the link wishes next, unless something is being fetched. A read does not wait for octets of the body
    /// that have yet to arrive.
    pub(super) fn show_more(&mut self, question: QuestionKey) {
        let Some(open) = self.questions.get_mut(question) else {
            return;
        };
        let (asked, stream) = (open.asked, open.stream);
        let Some(showing) = &mut open.showing else {
            return;
        };
        let Some(stream) = self.streams.touch(stream) else {
            return;
        };
        let wish = stream.link.content_wish(asked);
        match (&showing.fetching, wish) {
            (Some((pushing, Wish::Push { .. })), Wish::Read(_)) => pushing.abort(),
            (Some(_), _) => return,
            (None, _) => {}
        }
        match wish {
            Wish::Push { .. } | Wish::Read(_) => {
                let shown = Arc::clone(&showing.shown);
                let fetching = self.fetches.start(async move {
                    Fetched {
                        question,
                        what: What::Piece(fetch(shown, wish).await),
                    }
                });
                showing.fetching = Some((fetching, wish));
            }
            Wish::Nothing => {}
            Wish::Over => open.showing = None,
        }
    }

    pub(super) fn fetched(&mut self, fetched: Fetched) {
        let Fetched { question, what } = fetched;
        let now = Instant::now();
        let Some(open) = self.questions.get_mut(question) else {
            return;
        };
        let (asked, stream_id) = (open.asked, open.stream);
        let Some(showing) = &mut open.showing else {
            return;
        };
        let Some(stream) = self.streams.touch(stream_id) else {
            return;
        };
        match what {
            What::End(end) => return stream.link.content_complete(now, asked, *end),
            What::Piece(piece) => {
                showing.fetching = None;
                match piece {
                    Piece::Push(octets) => stream.link.push(now, asked, octets),
                    Piece::Read {
                        read_id,
                        octets,
                        ends,
                    } => stream.link.answer_read(now, asked, read_id, octets, ends),
                    Piece::OutOfRange { read_id } => stream.link.refuse_read(now, asked, read_id),
                    // The end was or will be told; there is nothing to push before it.
                    Piece::Nothing => return,
                    Piece::Unreadable(error) => {
                        let text = format!("the message cannot be read: {error}");
                        let fault = Fault::new(FaultKind::Fault, text);
                        return self.fail(question, fault, pb::CancelReason::ClientGone);
                    }
                }
            }
        }
        self.show_more(question);
    }
}
