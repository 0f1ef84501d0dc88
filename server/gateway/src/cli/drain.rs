//! `postern drain`: brings the running gateway to its end.

use std::os::fd::OwnedFd;
use std::time::Duration;

use clap::Args;
use postern_proto::admin::v1::{DrainRequest, GetStatusRequest};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::timeout;

use super::queue::words::{duration, span};
use super::reach::Gate;
use super::{Exit, output};

/// How long the gateway is asked who it is.
const ANSWER: Duration = Duration::from_secs(5);
/// How often it is looked whether the gateway has ended.
const LOOK: Duration = Duration::from_millis(200);
/// What the gateway may take beyond the time that it was given, to close its spool.
const LEEWAY: Duration = Duration::from_secs(60);

/// Arguments of `postern drain`.
#[derive(Debug, Args)]
#[command(after_help = "\
No new connections are taken, idle sessions are told, what runs may finish. The queue stays in the spool, and goes on
with the next start. It is what SIGTERM does, with a time of your own, and returns when the gateway has ended.")]
pub(crate) struct DrainArgs {
    #[command(flatten)]
    gate: Gate,
    /// Time for what runs to finish, such as 5m; left out, 25 s
    #[arg(long, value_name = "TIME", value_parser = duration)]
    within: Option<Duration>,
    /// Return at once
    #[arg(long)]
    no_wait: bool,
}

pub(crate) fn run(args: &DrainArgs) -> Exit {
    args.gate.run(async |mut client| {
        // While it is asked it runs, so the number is its own. One whose spool hangs is ended all the same.
        let status = timeout(ANSWER, client.get_status(GetStatusRequest {})).await;
        let number = match status {
            Ok(Ok(status)) => status.into_inner().process,
            Ok(Err(_)) | Err(_) => 0,
        };
        let process = process(number);
        let within = args.within.and_then(|time| time.try_into().ok());
        let begun = client.drain(DrainRequest { within }).await?.into_inner();
        let left = begun.within.and_then(|time| Duration::try_from(time).ok());
        let within = left.map_or_else(String::new, |time| format!(", within {}", span(time)));
        let printed = output::print(&format!("the gateway is coming to its end{within}\n"));
        if args.no_wait || printed != Exit::Ok {
            return Ok(printed);
        }
        let Some(process) = process else {
            // Its socket closes last of all.
            while client.get_status(GetStatusRequest {}).await.is_ok() {
                tokio::time::sleep(LOOK).await;
            }
            return Ok(output::print("it is not heard any more\n"));
        };
        let most = left.unwrap_or_default().saturating_add(LEEWAY);
        if let Ok(Ok(_)) = timeout(most, process.readable()).await {
            return Ok(output::print("it has ended\n"));
        }
        output::complain(&format!(
            "process {number} still runs after {}; look at its log",
            span(most)
        ));
        Ok(Exit::TempFail)
    })
}

/// The gateway's process, readable once it has ended. `None`: it cannot be watched from here, such as from outside its
/// container.
#[expect(
    deprecated,
    reason = "an owned descriptor stays open as long as it is watched, and what replaces it is unsafe"
)]
fn process(number: u32) -> Option<AsyncFd<OwnedFd>> {
    let number = Pid::from_raw(i32::try_from(number).ok()?)?;
    let process = pidfd_open(number, PidfdFlags::empty()).ok()?;
    AsyncFd::with_interest(process, Interest::READABLE).ok()
}
