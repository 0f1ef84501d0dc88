//! `postern config show | schema | explain`.

mod shown;

use clap::{Args, Subcommand};
use postern_config::{Origin, Setting, explain, schema};
use serde_json::{Value, json};

use super::{ConfigFile, Exit, output};

/// Arguments of `postern config`.
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    file: ConfigFile,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Every key with its value in effect and where it comes from; secrets as (set)
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// The JSON Schema of a configuration file
    Schema,
    /// What a key means: documentation, type, default, and the SMTP reply that goes with a limit
    Explain {
        /// The key, such as server.limits.recipients, or a section; left out, the sections are listed
        #[arg(default_value = "", hide_default_value = true)]
        key: String,
    },
}

pub(crate) fn run(args: &ConfigArgs) -> Exit {
    match &args.command {
        Command::Show { json } => match args.file.load() {
            Ok(effective) => {
                let settings = shown::settings(&effective);
                output::print(&if *json {
                    format!("{:#}\n", as_json(&settings))
                } else {
                    as_text(&settings)
                })
            }
            Err(exit) => exit,
        },
        Command::Schema => output::print(&format!("{:#}\n", schema())),
        Command::Explain { key } => match explain(key) {
            Ok(page) => output::print(&page),
            Err(line) => {
                output::complain(&line);
                Exit::Usage
            }
        },
    }
}

/// One line for each key: `key = value  # where it comes from`.
fn as_text(settings: &[Setting]) -> String {
    settings
        .iter()
        .map(|setting| {
            let said = format!("{} = {}", setting.key, toml(&setting.value));
            format!("{said:<56}  # {}\n", setting.origin)
        })
        .collect()
}

/// A value as TOML writes it on one line.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(values) => format!(
            "[{}]",
            values.iter().map(toml).collect::<Vec<_>>().join(", ")
        ),
        Value::Object(map) if map.is_empty() => "{}".to_owned(),
        Value::Object(map) => {
            let entries: Vec<_> = map
                .iter()
                .map(|(key, value)| format!("{} = {}", toml_key(key), toml(value)))
                .collect();
            format!("{{ {} }}", entries.join(", "))
        }
        // Texts of JSON are texts of TOML but for one character.
        other => other.to_string().replace('\u{7f}', "\\u007f"),
    }
}

fn toml_key(key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

fn as_json(settings: &[Setting]) -> Value {
    let origin = |origin: &Origin| match origin {
        Origin::File { file, line, column } => {
            json!({ "file": file.display().to_string(), "line": line, "column": column })
        }
        Origin::Environment(variable) => json!({ "variable": &**variable }),
        Origin::Default => json!("default"),
    };
    settings
        .iter()
        .map(|setting| json!({ "key": setting.key, "value": setting.value, "origin": origin(&setting.origin) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_toml() {
        let value = json!({ "text": "a \"b\"\n", "list": [1, 2.5, true], "odd key": {} });
        assert_eq!(
            toml(&value),
            r#"{ list = [1, 2.5, true], "odd key" = {}, text = "a \"b\"\n" }"#
        );
    }

    #[test]
    fn a_line_has_key_value_and_place() {
        let settings = [Setting {
            key: "spool.path".into(),
            value: json!("/x"),
            origin: Origin::Default,
        }];
        assert_eq!(
            as_text(&settings)
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" "),
            "spool.path = \"/x\" # default"
        );
    }
}
