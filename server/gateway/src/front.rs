//! The front end: listeners, and the sessions of clients on them.
//!
//! A connection is counted and accepted by one task, handed to the least busy runtime, and lives there in one task
//! around the session machine of `postern-smtp`. Whether its commands and its message are taken is asked of the
//! dispatcher first and then decided by the policy here.

mod accept;
pub mod admission;
pub mod aliases;
pub mod client;
pub mod directory;
mod handshakes;
pub mod inherited;
pub mod listener;
pub mod mailboxes;
pub mod memory;
pub mod policy;
mod proxied;
mod received;
mod reception;
pub mod recipients;
mod replies;
mod session;
pub mod submission;
pub(crate) mod unix_socket;
mod wire;
mod worker;

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postern_config::Config;
use postern_config::settings::delivery::{
    Deliver, Domain as DomainSettings, Recipients as RecipientsSetting,
};
use postern_config::settings::server::{AddressSyntax, EarlyRefusal, HelloNames, Protocol, Server};
use postern_message::HeaderLimits;
use postern_smtp::address::{self, AddressError, Domain, ForwardPath, Mailbox};
use postern_smtp::command;
use postern_smtp::server as machine;

pub use self::accept::{Acceptor, Arrival};
pub use self::worker::{FrontWorker, Onward, Tools};

use self::admission::Admission;
use self::aliases::{AliasError, AliasFile};
use self::directory::{KnownNames, Names};
use self::handshakes::Handshakes;
use self::mailboxes::Mailboxes;
use self::memory::Memory;
use self::policy::{Domains, Policy, Recipients, WaysOut};
use self::recipients::{RecipientFile, RecipientsError};
use self::submission::users_file::{UserFile, UserFileError};
use self::submission::{Checks, Submission};
use crate::runtime::reload::Reload;
use crate::tls::{CertificateFiles, ServerTls, TlsError};

/// A virtual server: one identity, one policy, one set of limits, shared by its sessions on all runtimes.
#[derive(Debug)]
pub struct VirtualServer {
    /// Its name in the configuration.
    pub name: Arc<str>,
    /// The name it gives itself.
    pub hostname: Arc<str>,
    /// What it speaks.
    pub protocol: Protocol,
    /// Who may send to whom.
    pub policy: Policy,
    /// Limits that the shell enforces; the session machine has its own in `machine`.
    pub limits: ShellLimits,
    /// Time for the reply to a command.
    pub command_budget: Duration,
    /// Time for the reply to a message.
    pub message_budget: Duration,
    /// What a server for submission has beside the others.
    pub submission: Option<Submission>,
    /// Certificates, if there are any.
    pub tls: Option<Arc<ServerTls>>,
    handshakes: Handshakes,
    /// Counts its connections.
    pub admission: Arc<Admission>,
    /// What its sessions, and those of the other virtual servers, hold in memory.
    pub memory: Arc<Memory>,
    machines: Machines,
}

/// Where a client is, as far as it has rights by that.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// At this address; `None`: on a Unix socket.
    At(Option<IpAddr>),
    /// Somewhere behind a proxy that does not say where.
    Unknown,
}

impl Standing {
    /// The address, if there is one and it is known.
    const fn address(self) -> Option<IpAddr> {
        match self {
            Self::At(address) => address,
            Self::Unknown => None,
        }
    }

    /// It is on this machine.
    fn is_local(self) -> bool {
        match self {
            Self::At(address) => address.is_none_or(|own| own.to_canonical().is_loopback()),
            Self::Unknown => false,
        }
    }
}

/// What sessions are configured with, by what their clients may do.
#[derive(Debug)]
struct Machines {
    plain: Arc<machine::Config>,
    /// For clients that may set priorities.
    with_priorities: Arc<machine::Config>,
}

/// The limits that are the shell's.
#[derive(Clone, Copy, Debug)]
pub struct ShellLimits {
    /// Of the header section.
    pub header: HeaderLimits,
    /// Time for a TLS handshake.
    pub handshake_timeout: Duration,
    /// Time in which a client has to take a reply.
    pub write_timeout: Duration,
}

/// What keeps the front end from starting. The operator's fault.
#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    /// Certificates of a virtual server.
    #[error("server.{server}.tls: {source}")]
    Tls {
        /// The virtual server.
        server: String,
        /// What is wrong.
        source: TlsError,
    },
    /// The name of a virtual server.
    #[error("server.{server}.hostname: {source}")]
    Hostname {
        /// The virtual server.
        server: String,
        /// What is wrong.
        source: AddressError,
    },
    /// A listener wants TLS, but the server has no certificate.
    #[error("server.{0}.listen: tls = \"implicit\" needs server.{0}.tls with certificate and key")]
    NoCertificate(String),
    /// Users of a virtual server.
    #[error("server.{server}.submission.users: {source}")]
    Users {
        /// The virtual server.
        server: String,
        /// What is wrong.
        source: UserFileError,
    },
    /// Aliases of a domain.
    #[error("domain.{domain}.aliases: {source}")]
    Aliases {
        /// The domain.
        domain: String,
        /// What is wrong.
        source: AliasError,
    },
    /// Who gets the mail of a domain that is for nobody else.
    #[error("domain.{domain}.catch_all: {source}")]
    CatchAll {
        /// The domain.
        domain: String,
        /// What is wrong.
        source: AddressError,
    },
    /// Recipients of a domain.
    #[error("domain.{domain}.recipients: {source}")]
    Recipients {
        /// The domain.
        domain: String,
        /// What is wrong.
        source: RecipientsError,
    },
}

/// All virtual servers of a configuration, and the files that they were made from.
pub struct Front {
    /// In the order of the configuration.
    pub servers: Vec<Arc<VirtualServer>>,
    /// What is to be watched for changes.
    pub files: Vec<Arc<dyn Reload>>,
    /// What all sessions hold in memory.
    pub memory: Arc<Memory>,
    /// What is known of the names of our domains.
    pub names: Arc<KnownNames>,
}

impl Front {
    /// Loads certificates and lists of recipients and makes the virtual servers. Binds nothing.
    ///
    /// # Errors
    /// [`FrontError`]
    pub fn load(config: &Config) -> Result<Self, FrontError> {
        let mut files: Vec<Arc<dyn Reload>> = Vec::new();
        let (domains, names) = load_domains(config, &mut files)?;
        let (domains, names) = (Arc::new(domains), Arc::new(names));
        let memory = Memory::new(config.memory.clients, config.memory.per_client);
        let memory = Arc::new(memory);
        let checks = Arc::new(Checks::default());
        let ways_out = WaysOut::of(config);
        let servers = config
            .servers
            .iter()
            .map(|server| {
                let tls = load_tls(server, &mut files)?;
                let policy = Policy {
                    relay_from: server.relay_from.clone(),
                    proxy_from: server.proxy_from.clone(),
                    priority_from: server.priority_from.clone(),
                    domains: Arc::clone(&domains),
                    names: Arc::clone(&names),
                    ways_out: ways_out.clone(),
                };
                let submission = load_submission(server, &checks, &mut files)?;
                VirtualServer::new(server, policy, tls, submission, Arc::clone(&memory))
                    .map(Arc::new)
            })
            .collect::<Result<_, FrontError>>()?;
        Ok(Self {
            servers,
            files,
            memory,
            names,
        })
    }
}

impl std::fmt::Debug for Front {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Front")
            .field("servers", &self.servers)
            .finish_non_exhaustive()
    }
}

/// The domains, and what is known of their names.
fn load_domains(
    config: &Config,
    files: &mut Vec<Arc<dyn Reload>>,
) -> Result<(Domains, KnownNames), FrontError> {
    let mut loaded: HashMap<&PathBuf, Arc<RecipientFile>> = HashMap::new();
    let mut aliases: HashMap<&PathBuf, Arc<AliasFile>> = HashMap::new();
    let mut domains = Domains::default();
    let mut names = KnownNames::default();
    for domain in &config.domains {
        let recipients = match &domain.recipients {
            RecipientsSetting::Any => Recipients::Any,
            RecipientsSetting::File(path) => Recipients::File(match loaded.get(path) {
                Some(file) => Arc::clone(file),
                None => {
                    let file = RecipientFile::load(path.clone()).map_err(|source| {
                        FrontError::Recipients {
                            domain: domain.name.clone(),
                            source,
                        }
                    })?;
                    let file = Arc::new(file);
                    files.push(Arc::clone(&file) as Arc<dyn Reload>);
                    loaded.insert(path, Arc::clone(&file));
                    file
                }
            }),
        };
        let mailboxes = match &domain.deliver {
            Deliver::Maildir(template) => {
                let listed = matches!(recipients, Recipients::File(_));
                let mailboxes = Mailboxes::load(template.clone(), listed, domain.create);
                Some(Arc::new(mailboxes))
            }
            _ => None,
        };
        files.extend(
            mailboxes
                .iter()
                .map(|all| Arc::clone(all) as Arc<dyn Reload>),
        );
        let own = Names {
            aliases: load_aliases(domain, &mut aliases, files)?,
            separator: domain
                .subaddress
                .as_ref()
                .and_then(|own| own.chars().next()),
            catch_all: catch_all(domain).map_err(|source| FrontError::CatchAll {
                domain: domain.name.clone(),
                source,
            })?,
            recipients: Some(recipients.clone()),
            mailboxes: mailboxes.clone(),
            of: None,
        };
        names.insert(&domain.name, own);
        let others = config.domain_aliases.iter();
        for other in others.filter(|other| other.of == domain.name) {
            let of = Some(domain.name.clone());
            names.insert(
                &other.name,
                Names {
                    of,
                    ..Names::default()
                },
            );
            domains.insert(&other.name, recipients.clone(), mailboxes.clone());
        }
        domains.insert(&domain.name, recipients, mailboxes);
    }
    Ok((domains, names))
}

fn load_aliases<'a>(
    domain: &'a DomainSettings,
    loaded: &mut HashMap<&'a PathBuf, Arc<AliasFile>>,
    files: &mut Vec<Arc<dyn Reload>>,
) -> Result<Option<Arc<AliasFile>>, FrontError> {
    let Some(path) = &domain.aliases else {
        return Ok(None);
    };
    if let Some(file) = loaded.get(path) {
        return Ok(Some(Arc::clone(file)));
    }
    let file = AliasFile::load(path.clone()).map_err(|source| FrontError::Aliases {
        domain: domain.name.clone(),
        source,
    })?;
    let file = Arc::new(file);
    files.push(Arc::clone(&file) as Arc<dyn Reload>);
    loaded.insert(path, Arc::clone(&file));
    Ok(Some(file))
}

/// Who gets the mail of a domain that is for nobody else: a local part of it, or an address.
///
/// # Errors
/// It is neither.
pub fn catch_all(domain: &DomainSettings) -> Result<Option<ForwardPath>, AddressError> {
    let Some(text) = &domain.catch_all else {
        return Ok(None);
    };
    let address = match text.contains('@') {
        true => text.clone(),
        false => format!("{text}@{}", domain.name),
    };
    let mailbox = Mailbox::parse(address.as_bytes(), true)?;
    Ok(Some(ForwardPath::Mailbox(mailbox)))
}

fn load_submission(
    server: &Server,
    checks: &Arc<Checks>,
    files: &mut Vec<Arc<dyn Reload>>,
) -> Result<Option<Submission>, FrontError> {
    let Some(settings) = &server.submission else {
        return Ok(None);
    };
    let users = UserFile::load(settings.users.clone()).map_err(|source| FrontError::Users {
        server: server.name.clone(),
        source,
    })?;
    let users = Arc::new(users);
    files.push(Arc::clone(&users) as Arc<dyn Reload>);
    Ok(Some(Submission::new(settings, users, Arc::clone(checks))))
}

fn load_tls(
    server: &Server,
    files: &mut Vec<Arc<dyn Reload>>,
) -> Result<Option<Arc<ServerTls>>, FrontError> {
    if server.tls.is_empty() {
        return match server.listen.iter().any(|listener| listener.implicit_tls) {
            true => Err(FrontError::NoCertificate(server.name.clone())),
            false => Ok(None),
        };
    }
    let pairs = server
        .tls
        .iter()
        .map(|pair| CertificateFiles {
            cert: pair.cert.clone(),
            key: pair.key.clone(),
        })
        .collect();
    let tls = ServerTls::load(pairs).map_err(|source| FrontError::Tls {
        server: server.name.clone(),
        source,
    })?;
    let tls = Arc::new(tls);
    files.push(Arc::clone(&tls) as Arc<dyn Reload>);
    Ok(Some(tls))
}

impl VirtualServer {
    fn new(
        server: &Server,
        policy: Policy,
        tls: Option<Arc<ServerTls>>,
        submission: Option<Submission>,
        memory: Arc<Memory>,
    ) -> Result<Self, FrontError> {
        let limits = &server.limits;
        let machine = machine_config(server, tls.is_some())?;
        Ok(Self {
            name: server.name.as_str().into(),
            hostname: server.hostname.as_str().into(),
            protocol: server.protocol,
            policy,
            limits: ShellLimits {
                header: HeaderLimits {
                    octets: usize::try_from(limits.header_size).unwrap_or(usize::MAX),
                    count: usize::try_from(limits.header_count).unwrap_or(usize::MAX),
                },
                handshake_timeout: limits.tls_handshake_timeout,
                write_timeout: limits.command_timeout,
            },
            command_budget: server.budgets.command,
            message_budget: server.budgets.message,
            tls,
            handshakes: Handshakes::new(),
            admission: Arc::new(Admission::new(
                limits.connections,
                limits.connections_per_client,
            )),
            memory,
            machines: Machines {
                with_priorities: Arc::new(machine::Config {
                    priorities: true,
                    ..machine.clone()
                }),
                plain: Arc::new(machine),
            },
            submission,
        })
    }

    /// What the session of a client that is there is configured with, and what sinks add to it.
    fn machine(&self, client: Standing, additions: &machine::Additions) -> Arc<machine::Config> {
        let config = match self.policy.may_set_priorities(client.address()) {
            true => &self.machines.with_priorities,
            false => &self.machines.plain,
        };
        let auth = self.submission.as_ref().map(|own| own.auth(client));
        if auth.is_none() && additions.verbs.is_empty() && additions.keywords.is_empty() {
            return Arc::clone(config);
        }
        Arc::new(machine::Config {
            auth,
            additions: additions.clone(),
            ..machine::Config::clone(config)
        })
    }
}

fn machine_config(server: &Server, starttls: bool) -> Result<machine::Config, FrontError> {
    let hostname = Domain::parse(server.hostname.as_bytes(), false).map_err(|source| {
        FrontError::Hostname {
            server: server.name.clone(),
            source,
        }
    })?;
    let protocol = match server.protocol {
        Protocol::Smtp | Protocol::Submission => machine::Protocol::Smtp,
        Protocol::Lmtp => machine::Protocol::Lmtp,
    };
    let limits = &server.limits;
    let line_length = usize::try_from(limits.line_length).unwrap_or(usize::MAX);
    let mut config = machine::Config::new(protocol, hostname);
    config.starttls = starttls;
    config.early_refusal = match server.early_refusal {
        EarlyRefusal::Drain => machine::EarlyRefusal::Drain,
        EarlyRefusal::Close => machine::EarlyRefusal::Close,
    };
    config.hello_names = match server.hello {
        HelloNames::Any => command::HelloNames::Any,
        HelloNames::Strict => command::HelloNames::Valid,
    };
    config.addresses = match server.address_syntax {
        AddressSyntax::Lenient => address::AddressSyntax::Lenient,
        AddressSyntax::Strict => address::AddressSyntax::Strict,
    };
    config.limits = machine::Limits {
        max_message_size: server.max_message_size,
        recipients: limits.recipients,
        messages_per_session: limits.messages_per_session,
        errors: limits.errors,
        failed_authentications: server
            .submission
            .as_ref()
            .map_or(config.limits.failed_authentications, |submission| {
                submission.failures_per_session
            }),
        junk_commands: limits.junk_commands,
        line_length,
        command_timeout: limits.command_timeout,
        data_timeout: limits.data_timeout,
        body_rate_min: limits.body_rate_min,
        ..config.limits
    };
    Ok(config)
}
