//! `postern user`: the file of users of a submission server.

mod file;
mod password;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use postern_auth::{NewUser, Sender, UserName};
use serde::Serialize;

use self::file::{Owner, UserFile};
use super::{ConfigFile, Exit, output};
use crate::accounts;

/// Arguments of `postern user`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  postern user add anna@example.test                          Asks for the password
  postern user add scanner --sender @example.test --password-file ./secret
  postern user remove anna@example.test
  postern user list --json

The file is that of the only [server.submission] in the configuration, of --server, or --users FILE. It is replaced whole,
with its owner, group and mode (never more than 0640, a new one 0600); a running gateway reads it within seconds. Exit codes: 0 well, 1 there is no such user, or there is one
already, 64 usage, 73 the file cannot be written, 74 it cannot be read, 78 the configuration or the file is wrong.")]
pub(crate) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
    #[command(flatten)]
    config: ConfigFile,
    /// The virtual server whose users they are, where there are several for submission
    #[arg(long, value_name = "NAME", global = true)]
    server: Option<String>,
    /// The file of users, whatever the configuration says
    #[arg(long, value_name = "FILE", global = true, conflicts_with = "server")]
    users: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum UserCommand {
    /// Add a user; the password comes from the terminal, from standard input, or from a file
    Add(AddArgs),
    /// Remove a user
    Remove {
        /// The user's name
        name: String,
    },
    /// List the users with the senders that they may name
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct AddArgs {
    /// The user's name, usually a mail address
    name: String,
    /// A sender that the user may name: an address, "@domain" or "*"; may be repeated. Left out: the name, if it is an address
    #[arg(long = "sender", value_name = "SENDER")]
    senders: Vec<String>,
    /// The file whose first line is the password
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Give a user who is there already another password, and the senders if any are named
    #[arg(long)]
    replace: bool,
}

/// A command that did not do what it was to do, told in one line.
struct Failed(Exit, String);

pub(crate) fn run(args: &UserArgs) -> Exit {
    let done = match &args.command {
        UserCommand::Add(add) => args.add(add),
        UserCommand::Remove { name } => args.remove(name),
        UserCommand::List { json } => args.list(*json),
    };
    done.unwrap_or_else(|Failed(exit, line)| {
        if !line.is_empty() {
            output::complain(&line);
        }
        exit
    })
}

impl UserArgs {
    fn add(&self, add: &AddArgs) -> Result<Exit, Failed> {
        let usage = |error: &dyn std::fmt::Display| Failed(Exit::Usage, error.to_string());
        let name = UserName::parse(&add.name).map_err(|error| usage(&error))?;
        let senders: Vec<_> = add
            .senders
            .iter()
            .map(|text| Sender::parse(text))
            .collect::<Result<_, _>>()
            .map_err(|error| usage(&error))?;
        let (file, owner) = self.place()?;
        // Asked before the file is locked: a person takes time.
        let password = password::read(add.password_file.as_deref(), &name)?;
        let mut file = UserFile::open(file, owner)?;
        let mut new = NewUser::new(name, password, senders);
        if file.document.has(&new.name) {
            if !add.replace {
                let line = format!(
                    "{} is there already; --replace gives it another password",
                    new.name
                );
                return Err(Failed(Exit::Failure, line));
            }
            if add.senders.is_empty() {
                new.senders = file.senders(&new.name);
            }
            file.document.remove(&new.name);
        }
        if new.senders.is_empty() {
            let line = format!(
                "\"{}\" is no mail address: name the senders that it may use by --sender",
                new.name
            );
            return Err(Failed(Exit::Usage, line));
        }
        let (mut salts, mut secret) = ([[0; 16]; 2], [0; 32]);
        let [one, other] = &mut salts;
        for octets in [&mut one[..], &mut other[..], &mut secret[..]] {
            aws_lc_rs::rand::fill(octets).map_err(|_| {
                Failed(
                    Exit::Software,
                    "the system gives no random octets".to_owned(),
                )
            })?;
        }
        file.document
            .add(&new, salts, secret)
            .map_err(|error| Failed(Exit::Software, format!("the password {error}")))?;
        file.write()
    }

    fn remove(&self, name: &str) -> Result<Exit, Failed> {
        let name = UserName::parse(name).map_err(|error| Failed(Exit::Usage, error.to_string()))?;
        let (path, owner) = self.place()?;
        let mut file = UserFile::open(path, owner)?;
        if !file.document.remove(&name) {
            return Err(Failed(Exit::Failure, format!("there is no user {name}")));
        }
        file.write()
    }

    fn list(&self, json: bool) -> Result<Exit, Failed> {
        let (path, _) = self.place()?;
        let document = file::read(&path)?;
        let users = document.users([0; 32]);
        let shown: Vec<_> = users
            .all()
            .into_iter()
            .map(|user| Shown {
                name: user.name.to_string(),
                senders: user.senders.iter().map(ToString::to_string).collect(),
                scram: user.scram.is_some(),
            })
            .collect();
        let text = if json {
            serde_json::to_string_pretty(&shown)
                .map_err(|error| Failed(Exit::Software, error.to_string()))?
                + "\n"
        } else {
            let line = |user: &Shown| {
                let scram = if user.scram { "" } else { "  (no SCRAM)" };
                format!("{}  {}{scram}\n", user.name, user.senders.join(" "))
            };
            shown.iter().map(line).collect()
        };
        Ok(output::print(&text))
    }

    /// Where the file is, and whose it is to be if it has to be made.
    fn place(&self) -> Result<(PathBuf, Owner), Failed> {
        if let Some(path) = &self.users {
            return Ok((path.clone(), None));
        }
        let effective = self
            .config
            .load()
            .map_err(|exit| Failed(exit, String::new()))?;
        let config = &effective.config;
        let owner = match &config.process.user {
            Some(user) => {
                let user = accounts::user(user)
                    .map_err(|error| Failed(Exit::Config, error.to_string()))?;
                Some((user.uid, user.gid))
            }
            None => None,
        };
        let all = || {
            let with_users = config.servers.iter();
            with_users.filter_map(|server| Some((&server.name, server.submission.as_ref()?)))
        };
        let mut fits =
            all().filter(|(name, _)| self.server.as_ref().is_none_or(|own| own == *name));
        match (fits.next(), fits.next()) {
            (Some((_, submission)), None) => Ok((submission.users.clone(), owner)),
            (None, _) => Err(Failed(
                Exit::Config,
                "there is no such [[server]] with [server.submission]; or name the file by --users"
                    .to_owned(),
            )),
            (Some((_, first)), Some(_)) if all().all(|(_, own)| own.users == first.users) => {
                Ok((first.users.clone(), owner))
            }
            _ => {
                let names: Vec<_> = all().map(|(name, _)| name.as_str()).collect();
                let line = format!("choose one by --server: {}", names.join(", "));
                Err(Failed(Exit::Usage, line))
            }
        }
    }
}

/// A user as it is listed.
#[derive(Serialize)]
struct Shown {
    name: String,
    senders: Vec<String>,
    scram: bool,
}
