//! What a content is sent as to one hop, or why it is not.

use std::io;

use postern_delivery::{Attempted, Fate, Fitted, fit, is_damage};
use postern_message::{BodyKind, Way};

use super::core::Core;
use super::job::Job;

/// What came of fitting a content to a way.
pub(crate) enum Fitting {
    /// It goes like this.
    Fits(Fitted),
    /// It does not go, for now or for good.
    Unfit(Attempted),
    /// It is damaged: nobody can have it.
    Damaged(io::Error),
}

/// Fits the content of a message to a way. `weakened`: in another session with the same peer the way may take more.
pub(crate) async fn fit_to(
    core: &Core,
    job: &Job,
    way: Way,
    weakened: bool,
    destination: &str,
) -> Fitting {
    let at = core.now();
    match fit(&job.message, &job.content, way, core.settings.convert).await {
        Ok(Ok(fitted)) => {
            if fitted.is_converted() {
                tracing::info!(id = %job.message.id, destination, "content converted for its way");
            }
            Fitting::Fits(fitted)
        }
        Ok(Err(unfit)) => {
            let fate = if weakened {
                Fate::Deferred
            } else {
                Fate::Failed
            };
            let (subject, detail) = unfit.status();
            Fitting::Unfit(Attempted::own(fate, subject, detail, unfit.to_string(), at))
        }
        Err(error) if is_damage(&error) => Fitting::Damaged(error),
        Err(error) => {
            tracing::error!(id = %job.message.id, %error, "content cannot be read");
            let text = "the message cannot be read just now".to_owned();
            Fitting::Unfit(Attempted::own(Fate::Deferred, 3, 0, text, at))
        }
    }
}

/// Fits the content of a message to a mailbox. One takes whatever came as lines; of binary content lines are made, since the
/// line ends of a mailbox are other ones.
pub(crate) async fn fit_to_mailbox(core: &Core, job: &Job, destination: &str) -> Fitting {
    let way = Way {
        eight_bit: true,
        long_lines: true,
        loose: job.message.envelope.body != BodyKind::BinaryMime,
    };
    fit_to(core, job, way, false, destination).await
}
