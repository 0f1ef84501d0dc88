//! A content made fit for the way that it takes.

use std::io;
use std::sync::Arc;

use postern_message::convert::{Analysis, Obstacle, Plan};
use postern_message::needs::{Needs, Original, Way};
use postern_message::{Message, Version};
use postern_smtp::client::Body;
use postern_spool::ReadAt;

use super::content::ContentReader;

/// How a content is sent to one hop.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// What is changed on the way; `None`: nothing.
    plan: Option<Arc<Plan>>,
    /// What is said of it by `BODY=`.
    pub body: Body,
    /// Octets of what is sent.
    pub size: u64,
}

/// Why a content cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message {need}: {why}")]
pub struct Unfit {
    need: Need,
    why: Why,
}

/// What is in the way first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Need {
    #[error("has binary content, and what it goes to takes only lines of text")]
    Loose,
    #[error("has lines longer than 998 octets, and what it goes to does not take those")]
    LongLines,
    #[error("has 8-bit content, and what it goes to does not offer 8BITMIME")]
    EightBit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Why {
    #[error("{0}")]
    Obstacle(#[from] Obstacle),
    #[error("it is not converted here")]
    TurnedOff,
}

impl Unfit {
    /// Subject and detail of the enhanced status code (RFC 3463 3.7).
    #[must_use]
    pub const fn status(self) -> (u16, u16) {
        match self.why {
            Why::Obstacle(obstacle) => obstacle.status(),
            // Conversion required and prohibited.
            Why::TurnedOff => (6, 2),
        }
    }
}

/// Finds out how the content of `message` is sent over a way; reads it only if something of it may have to be changed. Without
/// `convert` nothing is changed.
///
/// # Errors
/// The store's; inside, why the way cannot take it.
pub async fn fit(
    message: &Message,
    source: &Arc<dyn ReadAt>,
    way: Way,
    convert: bool,
) -> io::Result<Result<Fitted, Unfit>> {
    fit_version(&message.version, source, way, convert).await
}

/// Finds out how a version of a content is sent over a way without a change. Reads it only if something of it may be in the
/// way.
///
/// # Errors
/// The store's; inside, why the way cannot take it.
pub async fn fit_as_it_is(
    version: &Version,
    source: &Arc<dyn ReadAt>,
    way: Way,
) -> io::Result<Result<Fitted, Unfit>> {
    fit_version(version, source, way, false).await
}

async fn fit_version(
    version: &Version,
    source: &Arc<dyn ReadAt>,
    way: Way,
    convert: bool,
) -> io::Result<Result<Fitted, Unfit>> {
    let needs = Needs::at_most(version, &original(source));
    let size = version.size().unwrap_or(0);
    if needs.fits(way) {
        let body = body(needs);
        let plan = None;
        return Ok(Ok(Fitted { plan, body, size }));
    }
    let plan = match analyse(version, source, way).await? {
        Ok(plan) => plan,
        Err(obstacle) => return Ok(Err(unfit(needs, way, Why::Obstacle(obstacle)))),
    };
    if !convert && !plan.is_empty() {
        return Ok(Err(unfit(needs, way, Why::TurnedOff)));
    }
    let body = match way.eight_bit && needs.eight_bit() {
        true => Body::EightBitMime,
        false => Body::SevenBit,
    };
    let size = plan.size();
    let plan = (!plan.is_empty()).then(|| Arc::new(plan));
    Ok(Ok(Fitted { plan, body, size }))
}

impl Fitted {
    /// What is known of the octets of a content that is not changed on the way.
    #[must_use]
    pub fn original(&self, source: &Arc<dyn ReadAt>) -> Original {
        match self.is_converted() {
            true => Original::UNKNOWN,
            false => original(source),
        }
    }

    /// Something is changed on the way.
    #[must_use]
    pub fn is_converted(&self) -> bool {
        self.plan.is_some()
    }

    /// What is sent, from its first octet to its last.
    #[must_use]
    pub fn content(&self, message: &Message, source: &Arc<dyn ReadAt>) -> ContentReader {
        let content = ContentReader::new(&message.version, Arc::clone(source));
        match &self.plan {
            Some(plan) => content.converted(plan),
            None => content,
        }
    }
}

/// What is known of the content as it came.
fn original(source: &Arc<dyn ReadAt>) -> Original {
    source.facts().map_or(Original::UNKNOWN, |facts| Original {
        longest_line: facts.longest_line,
        last_eight_bit: facts.last_eight_bit,
        // A NUL goes as it came: servers pass it on, and nothing of it is cut or split.
        loose: facts.bare_line_end,
    })
}

fn body(needs: Needs) -> Body {
    if needs.binary() {
        Body::BinaryMime
    } else if needs.eight_bit() {
        Body::EightBitMime
    } else {
        Body::SevenBit
    }
}

fn unfit(needs: Needs, way: Way, why: Why) -> Unfit {
    let need = if needs.eight_bit() && !way.eight_bit {
        Need::EightBit
    } else if needs.loose && !way.loose {
        Need::Loose
    } else {
        Need::LongLines
    };
    Unfit { need, why }
}

async fn analyse(
    version: &Version,
    source: &Arc<dyn ReadAt>,
    way: Way,
) -> io::Result<Result<Plan, Obstacle>> {
    let mut content = ContentReader::new(version, Arc::clone(source));
    let mut analysis = Analysis::new(way);
    while let Some(piece) = content.next().await? {
        if let Err(obstacle) = analysis.feed(&piece) {
            return Ok(Err(obstacle));
        }
        // Content in memory is read without a wait: others on this thread have their turn.
        tokio::task::yield_now().await;
    }
    Ok(analysis.finish())
}
