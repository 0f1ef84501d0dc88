//! The file of users: TOML, in which comments and order stay as they are when users come and go.
//!
//! ```toml
//! secret = "…"                      # 32 octets in base64: what stands in for users who do not exist is made from it
//!
//! [[user]]
//! name = "anna@example.test"
//! password = "$argon2id$v=19$m=19456,t=2,p=1$…"
//! scram_sha_256 = "SCRAM-SHA-256$100000:…$…:…"
//! senders = ["anna@example.test", "@example.test"]
//! ```

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use toml_edit::{Array, ArrayOfTables, Document as Parsed, DocumentMut, Item, Table, Value, value};

use crate::name::UserName;
use crate::password::{Cost, HashError, Password, PasswordHash};
use crate::scram::ScramVerifier;
use crate::sender::Sender;
use crate::users::{ITERATIONS, User, Users, UsersError};

const HEAD: &str = "# The users of a submission server. `postern user add` and `remove` write here; \
`senders` may be edited by hand.\n\
# The gateway reads the file again when it changes.\n";

/// A user to be written.
#[derive(Debug)]
pub struct NewUser {
    /// The name.
    pub name: UserName,
    /// The password.
    pub password: Password,
    /// Which senders the user may name.
    pub senders: Vec<Sender>,
    /// What the hash of the password takes.
    pub cost: Cost,
    /// Iterations of the verifier for SCRAM.
    pub iterations: NonZeroU32,
}

impl NewUser {
    /// With the usual cost. Without `senders` those of the name, if it is an address.
    #[must_use]
    pub fn new(name: UserName, password: Password, senders: Vec<Sender>) -> Self {
        let own = Sender::parse(name.as_str()).ok();
        let own = own.filter(|own| matches!(own, Sender::Address(_)));
        Self {
            senders: match senders.is_empty() {
                true => own.into_iter().collect(),
                false => senders,
            },
            name,
            password,
            cost: Cost::default(),
            iterations: ITERATIONS,
        }
    }
}

/// A file of users as it is written.
#[derive(Debug)]
pub struct Document {
    tree: DocumentMut,
    secret: Option<[u8; 32]>,
    users: Vec<User>,
}

impl Document {
    /// Reads a file. An empty one has no users.
    ///
    /// # Errors
    /// [`UsersError`], the first one.
    pub fn parse(text: &str) -> Result<Self, UsersError> {
        let tree = Parsed::parse(text).map_err(|error| UsersError::Form {
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })?;
        let (secret, users) = read(text, &tree)?;
        Ok(Self {
            tree: tree.into_mut(),
            secret,
            users,
        })
    }

    /// Its users. `random` is used where the file has no secret.
    #[must_use]
    pub fn users(&self, random: [u8; 32]) -> Users {
        Users::new(self.users.iter().cloned(), self.secret.unwrap_or(random))
    }

    /// Whether there is such a user.
    #[must_use]
    pub fn has(&self, name: &UserName) -> bool {
        self.users.iter().any(|user| user.name == *name)
    }

    /// Adds a user. The random octets are for salts, and for the secret of a file that has none.
    ///
    /// # Errors
    /// [`HashError`]: the cost is out of bounds.
    pub fn add(
        &mut self,
        new: &NewUser,
        salts: [[u8; 16]; 2],
        random: [u8; 32],
    ) -> Result<(), HashError> {
        let [salt, scram_salt] = salts;
        let user = User {
            name: new.name.clone(),
            password: PasswordHash::make(&new.password, salt, new.cost)?,
            scram: Some(ScramVerifier::make(
                &new.password,
                scram_salt,
                new.iterations,
            )),
            senders: new.senders.clone(),
        };
        if self.secret.is_none() {
            self.secret = Some(random);
            self.tree["secret"] = value(STANDARD.encode(random));
            if self.tree.len() == 1
                && let Some(mut key) = self.tree.key_mut("secret")
            {
                key.leaf_decor_mut().set_prefix(HEAD);
            }
        }
        let mut table = Table::new();
        table["name"] = value(user.name.as_str());
        table["password"] = value(user.password.to_string());
        if let Some(scram) = &user.scram {
            table["scram_sha_256"] = value(scram.to_string());
        }
        let senders: Array = user.senders.iter().map(ToString::to_string).collect();
        table["senders"] = value(senders);
        match self
            .tree
            .get_mut("user")
            .and_then(Item::as_array_of_tables_mut)
        {
            Some(tables) => tables.push(table),
            None => {
                let mut tables = ArrayOfTables::new();
                tables.push(table);
                self.tree["user"] = Item::ArrayOfTables(tables);
            }
        }
        self.users.push(user);
        Ok(())
    }

    /// Removes a user. False if there is none.
    pub fn remove(&mut self, name: &UserName) -> bool {
        let Some(place) = self.users.iter().position(|user| user.name == *name) else {
            return false;
        };
        self.users.remove(place);
        if let Some(tables) = self
            .tree
            .get_mut("user")
            .and_then(Item::as_array_of_tables_mut)
        {
            tables.remove(place);
        }
        true
    }
}

/// The text of the file.
impl std::fmt::Display for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tree.fmt(f)
    }
}

type Read = (Option<[u8; 32]>, Vec<User>);

fn read(text: &str, tree: &Parsed<&str>) -> Result<Read, UsersError> {
    let form = |item: &Item, what: &str| UsersError::Form {
        line: line_at(text, item.span().map_or(0, |span| span.start)),
        what: what.to_owned(),
    };
    let (mut secret, mut users) = (None, Vec::<User>::new());
    for (key, item) in tree.iter() {
        match (key, item) {
            ("secret", item) => {
                let octets = item.as_str().and_then(|own| STANDARD.decode(own).ok());
                let octets = octets.and_then(|own| own.try_into().ok());
                let what = "secret has to be 32 octets in base64; leave it out, and `postern user add` makes one";
                secret = Some(octets.ok_or_else(|| form(item, what))?);
            }
            ("user", Item::ArrayOfTables(tables)) => {
                for table in tables {
                    let user = entry(text, table)?;
                    if users.iter().any(|own| own.name == user.name) {
                        return Err(wrong(text, table, "is there twice"));
                    }
                    users.push(user);
                }
            }
            ("user", item) if item.as_array().is_some_and(Array::is_empty) => {}
            (key, item) => {
                let what = format!("\"{key}\" is not known here; there are secret and [[user]]");
                return Err(form(item, &what));
            }
        }
    }
    Ok((secret, users))
}

fn entry(text: &str, table: &Table) -> Result<User, UsersError> {
    let wrong = |what: &str| wrong(text, table, what);
    for (key, _) in table {
        if !matches!(key, "name" | "password" | "scram_sha_256" | "senders") {
            return Err(wrong(&format!("\"{key}\" is not known")));
        }
    }
    let word = |key: &str| match table.get(key) {
        None => Ok(None),
        Some(item) => item
            .as_str()
            .map(Some)
            .ok_or_else(|| wrong(&format!("{key} has to be text in quotes"))),
    };
    let name = word("name")?.ok_or_else(|| wrong("name is missing"))?;
    let name = UserName::parse(name).map_err(|error| wrong(&error.to_string()))?;
    let password = word("password")?.ok_or_else(|| wrong("password is missing"))?;
    let password = PasswordHash::parse(password)
        .map_err(|error| wrong(&format!("password {error}; `postern user add` makes one")))?;
    let scram = match word("scram_sha_256")? {
        None => None,
        Some(own) => Some(ScramVerifier::parse(own).ok_or_else(|| {
            wrong(
                "scram_sha_256 is no verifier (SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey)",
            )
        })?),
    };
    let senders = match table.get("senders") {
        None => Vec::new(),
        Some(item) => {
            let list = item
                .as_array()
                .ok_or_else(|| wrong("senders has to be a list"))?;
            list.iter()
                .map(|one| sender(one).map_err(|what| wrong(&what)))
                .collect::<Result<_, _>>()?
        }
    };
    Ok(User {
        name,
        password,
        scram,
        senders,
    })
}

fn sender(value: &Value) -> Result<Sender, String> {
    let text = value.as_str().ok_or("senders has to hold text in quotes")?;
    Sender::parse(text).map_err(|error| format!("senders: {error}"))
}

fn wrong(text: &str, table: &Table, what: &str) -> UsersError {
    let name = table.get("name").and_then(Item::as_str).unwrap_or_default();
    UsersError::Entry {
        line: line_at(text, table.span().map_or(0, |span| span.start)),
        name: name.escape_debug().to_string(),
        what: what.to_owned(),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    before.matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn new(name: &str, senders: &[&str]) -> NewUser {
        let senders = senders.iter().map(|own| Sender::parse(own).unwrap());
        let mut new = NewUser::new(
            UserName::parse(name).unwrap(),
            Password::parse(b"secret").unwrap(),
            senders.collect(),
        );
        new.cost = Cost {
            memory: 64,
            passes: 1,
            lanes: 1,
        };
        new.iterations = NonZeroU32::new(4).unwrap();
        new
    }

    fn add(document: &mut Document, name: &str, senders: &[&str]) {
        document
            .add(&new(name, senders), [[1; 16], [2; 16]], [3; 32])
            .unwrap();
    }

    #[test]
    fn what_is_written_is_read() {
        let mut document = Document::parse("").unwrap();
        add(&mut document, "anna@example.test", &[]);
        add(&mut document, "scanner", &["*", "@example.test"]);
        let text = document.to_string();
        assert!(text.starts_with(HEAD), "{text}");
        let read = Document::parse(&text).unwrap();
        assert_eq!(read.secret, Some([3; 32]));
        let users = read.users([0; 32]);
        let shown = users.all().into_iter().map(|user| {
            let senders: Vec<_> = user.senders.iter().map(ToString::to_string).collect();
            format!("{} {}", user.name, senders.join(" "))
        });
        assert_eq!(
            shown.collect::<Vec<_>>(),
            [
                "anna@example.test anna@example.test",
                "scanner * @example.test"
            ]
        );
    }

    #[test]
    fn comments_and_order_stay() {
        let mut document = Document::parse("").unwrap();
        for name in ["a", "b", "c"] {
            add(&mut document, name, &["*"]);
        }
        let text = document.to_string().replace(
            "[[user]]\nname = \"b\"",
            "# The one of the second floor.\n[[user]]\nname = \"b\"",
        );
        let mut document = Document::parse(&text).unwrap();
        assert!(document.remove(&UserName::parse("C").unwrap()));
        assert!(!document.remove(&UserName::parse("c").unwrap()));
        add(&mut document, "d", &[]);
        let text = document.to_string();
        assert!(
            text.contains("# The one of the second floor.\n[[user]]\nname = \"b\""),
            "{text}"
        );
        let places: Vec<_> = ["\"a\"", "\"b\"", "\"d\""]
            .map(|own| text.find(own).unwrap())
            .into();
        assert!(places.is_sorted());
        assert!(document.remove(&UserName::parse("b").unwrap()));
        let read = Document::parse(&document.to_string()).unwrap();
        assert!(read.has(&UserName::parse("d").unwrap()));
        assert!(!read.has(&UserName::parse("b").unwrap()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let mut document = Document::parse("").unwrap();
        add(&mut document, "anna", &["*"]);
        let good = document.to_string();
        for (from, to, said) in [
            ("secret = \"", "secret = \"x", "line 3: secret has to be"),
            (
                "name = \"anna\"",
                "name = 1",
                "line 5: user \"\": name has to be text",
            ),
            (
                "name = \"anna\"",
                "name = \"\"",
                "line 5: user \"\": a name has",
            ),
            (
                "name = \"anna\"\n",
                "",
                "line 5: user \"\": name is missing",
            ),
            (
                "$argon2id$",
                "$2b$",
                "line 5: user \"anna\": password is not an argon2id hash",
            ),
            (
                "m=64",
                "m=999999",
                "line 5: user \"anna\": password asks for more",
            ),
            (
                "SCRAM-SHA-256",
                "SCRAM",
                "line 5: user \"anna\": scram_sha_256",
            ),
            (
                "[\"*\"]",
                "[\"x\"]",
                "line 5: user \"anna\": senders: \"x\" is neither",
            ),
            (
                "[\"*\"]",
                "\"*\"",
                "line 5: user \"anna\": senders has to be a list",
            ),
            (
                "senders =",
                "sender =",
                "line 5: user \"anna\": \"sender\" is not known",
            ),
            ("[[user]]", "[[users]]", "\"users\" is not known here"),
            ("[[user]]", "[[user", "line 5: "),
        ] {
            let text = good.replacen(from, to, 1);
            let error = Document::parse(&text).unwrap_err().to_string();
            assert!(error.contains(said), "{error}, not {said}");
            assert!(!error.contains(",p=1$"), "{error}");
        }
        let twice = format!("{good}\n{}", &good[good.find("[[user]]").unwrap()..]);
        let error = Document::parse(&twice.replacen("anna", "Anna", 1)).unwrap_err();
        assert!(error.to_string().contains("is there twice"), "{error}");
        assert!(Document::parse("user = []").is_ok());
    }
}
