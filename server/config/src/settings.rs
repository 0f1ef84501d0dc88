//! The typed configuration: one module for each section of the file.
//!
//! Every table is declared with `section!`, which makes the struct, its reader and its
//! documentation from one piece of text. The doc comment of a field is its reference page:
//! `postern config explain`, the JSON Schema and `docs/configuration.md` are made from it.

pub mod binding;
pub mod delivery;
pub mod route;
pub mod server;
pub mod service;
pub mod sink;

use binding::Binding;
use delivery::{Dns, Domain, DomainAlias, Outbound, Queue};
use route::Route;
use server::Server;
use service::{Admin, Log, Memory, Metrics, Process, Spool};
use sink::Sink;

use crate::kind::{Elements, Sub};
use crate::section::section;

section! {
    /// The whole configuration of one gateway.
    Config at "" {
        /// As whom the gateway runs.
        process: Process as Sub<Process>;
        /// Where messages persist.
        spool: Spool as Sub<Spool>;
        /// What sessions of clients may hold in memory.
        memory: Memory as Sub<Memory>;
        /// Where the operator's commands reach the running gateway.
        admin: Admin as Sub<Admin>;
        /// The metrics and health listener.
        metrics: Metrics as Sub<Metrics>;
        /// Virtual servers, in the order of the files.
        servers named "server": Vec<Server> as Elements<Server>;
        /// Sinks, in the order of the files.
        sinks named "sink": Vec<Sink> as Elements<Sink>;
        /// Bindings, in the order of the files. Bindings of one priority run in this order.
        bindings named "binding": Vec<Binding> as Elements<Binding>;
        /// Domains that are accepted from anybody.
        domains named "domain": Vec<Domain> as Elements<Domain>;
        /// Other names of these domains.
        domain_aliases named "domain_alias": Vec<DomainAlias> as Elements<DomainAlias>;
        /// Delivery of everything that is for no `[[domain]]`, and the times of every delivery.
        outbound: Outbound as Sub<Outbound>;
        /// How mail for some domains goes.
        routes named "route": Vec<Route> as Elements<Route>;
        /// How names are looked up.
        dns: Dns as Sub<Dns>;
        /// How long and how often delivery is tried.
        queue: Queue as Sub<Queue>;
        /// What the log may hold.
        log: Log as Sub<Log>;
    }
    later {
        "trace" => 7;
    }
}

impl Config {
    /// The path of the admin socket, whether or not it is configured.
    #[must_use]
    pub fn admin_socket(&self) -> std::path::PathBuf {
        let configured = self.admin.socket.clone();
        configured.unwrap_or_else(|| self.spool.path.join("admin.sock"))
    }
}
