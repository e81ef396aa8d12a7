//! The rows of a table, as `vectors/README.md` describes them.

mod mail;
mod template;

use std::path::{Path, PathBuf};

pub use mail::{Demanded, Dsn, DsnRecipient, Job, Mail, Over, Proof, ScramUser, Sent};
use serde::Deserialize;
use starttls::{Policy, Verification};

use crate::accept::{self, Alternative};
use crate::octets::Octets;
use crate::weight::{self, Level};
use template::Source;

/// An attack or a rule.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Unique in all tables.
    pub id: String,
    /// The promises, rules and classes of `RULES.md` that it tests.
    pub rules: Vec<String>,
    /// Its source, in our words.
    pub source: String,
    /// What it weighs for another implementation.
    pub level: Level,
    /// Who demands it.
    pub clause: String,
    /// What the tested side may do instead.
    pub accept: Vec<Alternative>,
    /// The protocol.
    pub protocol: Protocol,
    /// The side under test.
    pub role: Role,
    /// The policy of the tested side.
    #[serde(default)]
    pub policy: Demand,
    /// Server: whether TLS is available.
    #[serde(default = "yes")]
    pub available: bool,
    /// Server: the limit of mistakes.
    pub max_errors: Option<u8>,
    /// Server: the limit of commands.
    pub max_commands: Option<u16>,
    /// Server: the application's decisions, in order; see `vectors/README.md`.
    #[serde(default)]
    pub decide: Vec<String>,
    /// How the handshake ends.
    #[serde(default)]
    pub tls: Handshake,
    /// The input of each turn, and the output that follows.
    #[serde(default)]
    pub turns: Vec<Turn>,
    /// The events, without lines that are only reported.
    #[serde(default)]
    pub events: Vec<String>,
    /// The end, unless it is an error.
    pub end: Option<String>,
    /// The final error.
    pub error: Option<String>,
    /// The reply sent before closing on an error.
    #[serde(default)]
    pub farewell: Octets,
    /// Server: the bytes that it passes to TLS.
    #[serde(default)]
    pub early: Octets,
    /// The mail that follows.
    pub mail: Option<Mail>,
}

impl Row {
    /// A row outside the tables: input, turn by turn, without expectations.
    #[must_use]
    pub fn of<T: AsRef<[u8]>>(protocol: Protocol, role: Role, policy: Demand, turns: &[T]) -> Self {
        let turn = |input: &T| Turn {
            input: Octets(input.as_ref().to_vec()),
            out: Octets::default(),
            then: Then::Nothing,
        };
        Self {
            id: "sweep".to_string(),
            rules: Vec::new(),
            source: String::new(),
            level: Level::Ours,
            clause: String::new(),
            accept: Vec::new(),
            protocol,
            role,
            policy,
            available: true,
            max_errors: None,
            max_commands: None,
            decide: Vec::new(),
            tls: Handshake::Verified,
            turns: turns.iter().map(turn).collect(),
            events: Vec::new(),
            end: None,
            error: None,
            farewell: Octets::default(),
            early: Octets::default(),
            mail: None,
        }
    }
}

/// The input received before the machine writes, and its output.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Turn {
    /// The input.
    #[serde(default, rename = "in")]
    pub input: Octets,
    /// The complete output that follows.
    #[serde(default)]
    pub out: Octets,
    /// The event after the bytes.
    #[serde(default)]
    pub then: Then,
}

/// The event after the bytes of a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The next turn brings more.
    #[default]
    Nothing,
    /// The peer closes.
    Eof,
    /// The wait for the peer times out.
    Silence,
}

macro_rules! spoken {
    ([] $($module:ident::$Type:ident,)*) => {
        /// The protocol.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Protocol {
            $(
                #[doc = concat!("[`starttls::", stringify!($module), "`].")]
                $Type
            ),*
        }

        impl Protocol {
            /// The module of the core.
            #[must_use]
            pub const fn module(self) -> &'static str {
                match self {
                    $(Self::$Type => stringify!($module)),*
                }
            }

            /// Names and numbers.
            #[must_use]
            pub const fn names(self) -> starttls::Protocol {
                match self {
                    $(Self::$Type => <starttls::$module::$Type as starttls::Roles>::PROTOCOL),*
                }
            }
        }
    };
}
starttls::for_each_protocol!(spoken []);

/// The side under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The side that requests TLS.
    Client,
    /// The side that answers the request.
    Server,
}

/// [`Policy`], for the tables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Demand {
    /// TLS or nothing.
    #[default]
    Required,
    /// TLS if the peer supports it.
    Opportunistic,
}

impl From<Demand> for Policy {
    fn from(demand: Demand) -> Self {
        match demand {
            Demand::Required => Self::Required,
            Demand::Opportunistic => Self::Opportunistic,
        }
    }
}

/// How the handshake ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Handshake {
    /// With a verified peer.
    #[default]
    Verified,
    /// With an unverified peer.
    Unverified,
    /// It fails.
    Fails,
}

impl From<Handshake> for Verification {
    fn from(handshake: Handshake) -> Self {
        match handshake {
            Handshake::Verified => Self::Verified,
            _ => Self::Unverified,
        }
    }
}

const fn yes() -> bool {
    true
}

/// The folder of the tables.
#[must_use]
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors")
}

/// The names of all tables.
///
/// # Panics
/// If the folder cannot be read.
#[must_use]
pub fn names() -> Vec<String> {
    let entries = std::fs::read_dir(folder()).expect("the folder of the tables");
    let names = entries.map(|entry| entry.expect("an entry").file_name().into_string());
    let mut names: Vec<String> = names
        .map(|name| name.expect("a name in UTF-8"))
        .filter(|name| name.ends_with(".toml"))
        .collect();
    names.sort();
    names
}

/// The rows of one table.
///
/// # Panics
/// If it cannot be read, or has an unknown key.
#[must_use]
pub fn rows(name: &str) -> Vec<Row> {
    let row = |row: toml::Table| {
        let id = row.get("id").map(ToString::to_string).unwrap_or_default();
        row.try_into().unwrap_or_else(|error| panic!("{name}: {id}: {error}"))
    };
    expanded(name).into_iter().map(row).collect()
}

/// The rows of one table, with templates expanded.
///
/// # Panics
/// If it, or its template, cannot be read.
#[must_use]
pub fn expanded(name: &str) -> Vec<toml::Table> {
    let read = |path: PathBuf| std::fs::read_to_string(path).expect("a table");
    let template = |template: &str| read(folder().join(format!("templates/{template}.toml")));
    parse(name.trim_end_matches(".toml"), &read(folder().join(name)), template)
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn parse(
    name: &str,
    text: &str,
    template: impl Fn(&str) -> String,
) -> Result<Vec<toml::Table>, String> {
    let parse = |text: &str| toml::from_str::<Source>(text).map_err(|error| error.to_string());
    let table = parse(text)?;
    let mut rows = match &table.template {
        None => table.rows(name),
        Some(named) => {
            let template = parse(&template(named))?;
            table.over(template).rows(name)
        }
    }?;
    for row in &mut rows {
        weigh(row).map_err(|error| format!("{}: {error}", row["id"]))?;
    }
    Ok(rows)
}

/// Adds the weight and the alternatives of a row that does not state them.
fn weigh(row: &mut toml::Table) -> Result<(), String> {
    let weight = weight::of(row)?;
    row.insert("level".to_owned(), weight.level.name().into());
    row.insert("clause".to_owned(), weight.clause.into());
    if !row.contains_key("accept") {
        let words = accept::of(row).into_iter().map(|word| word.name().into());
        row.insert("accept".to_owned(), toml::Value::Array(words.collect()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = r#"
        [[row]]
        id = "a"
        rules = ["I1"]
        source = "b"
        protocol = "smtp"
        role = "client"
        turns = [{ in = "c" }]
        end = "waiting"
    "#;

    fn parse(text: &str) -> Result<Vec<Row>, String> {
        let rows = super::parse("t", text, |_| TEMPLATE.to_owned())?;
        rows.into_iter()
            .map(|row| row.try_into().map_err(|error: toml::de::Error| error.to_string()))
            .collect()
    }

    const TEMPLATE: &str = r#"
        [every]
        role = "server"
        rules = ["I1"]
        [[state]]
        id = "fresh"
        source = "Before"
        said = "${hello}"
        [[state]]
        id = "greeted"
        source = "After"
        rules = ["I2"]
        turns = [{ out = "${hello}" }]
        events = ["x"]
        [[form]]
        id = "plain"
        source = "${how}"
        turns = [{ in = "${table}", out = "c" }]
        events = ["y"]
        end = "waiting"
        [[form]]
        id = "short"
        turns = [{ in = "d" }]
        end = "quit"
    "#;

    #[test]
    fn rows_are_states_with_forms() {
        let table = |more: &str| {
            parse(&format!(
                "template = \"t\"\n{more}\n[every]\nprotocol = \"smtp\"\n[with]\nhello = \"a\"\nhow = \"b\""
            ))
        };
        let rows = table("").expect("rows");
        let ids: Vec<&str> = rows.iter().map(|row| &row.id[..]).collect();
        assert_eq!(ids, ["t-fresh-plain", "t-fresh-short", "t-greeted-plain", "t-greeted-short"]);
        let [fresh, _, greeted, short] = &rows[..] else { panic!("four") };
        assert_eq!((&fresh.source[..], &greeted.source[..]), ("Before: b.", "After: b."));
        assert_eq!(
            (&fresh.turns[0].input.0[..], &fresh.turns[0].out.0[..]),
            (&b"t"[..], &b"ac"[..])
        );
        assert_eq!((greeted.turns.len(), &greeted.turns[0].out.0[..]), (2, &b"a"[..]));
        assert_eq!(
            (&greeted.rules[..], greeted.events.len()),
            (&["I1".into(), "I2".into()][..], 2)
        );
        assert_eq!((&short.source[..], short.end.as_deref()), ("After.", Some("quit")));
        assert_eq!(table("without = [\"short\", \"fresh\"]").map(|rows| rows.len()), Ok(1));
        assert!(table("without = [\"fresch\"]").is_err());
        assert!(parse("template = \"t\"\n[every]\nprotocol = \"smtp\"").is_err(), "no greeting");
    }

    #[test]
    fn a_key_that_nobody_knows_is_an_error() {
        assert!(parse(ROW).is_ok());
        for more in [
            "x = 1",
            "sends = []",
            "over = \"tls\"",
            "[row.mail]\nearly = \"\"",
            "[row.mail]\nturns = [{ put = \"\" }]",
            "[row.mail]\njobs = [\"dance\"]",
            "[row.mail]\njobs = [{ authenticate = { user = \"a\", password = \"b\", as = \"c\" } }]",
            "[row.mail]\nturns = [{ in = [{ hex = \"00\", repeat = \"a\" }] }]",
            "[row.mail]\nturns = [{ then = \"later\" }]",
            "[[rows]]",
        ] {
            assert!(parse(&format!("{ROW}\n{more}\n")).is_err(), "{more}");
        }
        for (known, unknown) in [("smtp", "gopher"), ("client", "proxy"), ("turns", "turn")] {
            assert!(parse(&ROW.replace(known, unknown)).is_err(), "{unknown}");
        }
    }
}
