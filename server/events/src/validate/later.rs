//! What the protocol has and the gateway of this version cannot apply yet: the sink's failure, by name, never silence.
//!
//! The checks of these verdicts, and what chains make of them, are there; a later version takes its words out here.

use postern_proto::v1 as pb;

use crate::fault::Fault;

/// Refuses a verdict that holds something of a later version.
///
/// # Errors
/// What it holds.
pub(super) fn refuse(verdict: &pb::Verdict) -> Result<(), Fault> {
    let refused = |what: &str| Err(Fault::protocol(format!("{what} not in this version")));
    if !verdict.recipients.is_empty() {
        return refused("decisions for some recipients are");
    }
    if !verdict.forks.is_empty() {
        return refused("forks of a message are");
    }
    Ok(())
}
