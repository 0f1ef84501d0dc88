//! `postern drain`: brings the running gateway to its end.

use std::time::Duration;

use clap::Args;
use postern_proto::admin::v1::{DrainRequest, GetStatusRequest};

use super::queue::words::{duration, span};
use super::reach::Gate;
use super::{Exit, output};

/// How often it is looked whether the gateway has ended.
const LOOK: Duration = Duration::from_millis(200);

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
        let within = args.within.and_then(|time| time.try_into().ok());
        let begun = client.drain(DrainRequest { within }).await?.into_inner();
        let within = begun.within.and_then(|time| Duration::try_from(time).ok());
        let within = within.map_or_else(String::new, |time| format!(", within {}", span(time)));
        let printed = output::print(&format!("the gateway is coming to its end{within}\n"));
        if args.no_wait || printed != Exit::Ok {
            return Ok(printed);
        }
        // Its socket closes last of all.
        while client.get_status(GetStatusRequest {}).await.is_ok() {
            tokio::time::sleep(LOOK).await;
        }
        Ok(output::print("it has ended\n"))
    })
}
