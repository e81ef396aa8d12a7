//! What a row weighs for another implementation, and the source that says so; `vectors/README.md` explains the order.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::rules::RULES;

/// The weight of a row, the lightest first. The last three are those of the cases of `starttls check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// A choice, a limit or a text of this project: no demand on others.
    Ours,
    /// No standard demands it; published attacks do.
    Hardening,
    /// A standard recommends it.
    Should,
    /// A standard demands it, or a published vulnerability is its absence.
    Must,
}

impl Level {
    /// All levels, the lightest first.
    pub const ALL: [Self; 4] = [Self::Ours, Self::Hardening, Self::Should, Self::Must];

    /// The name in tables and on command lines.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Hardening => "hardening",
            Self::Should => "should",
            Self::Must => "must",
        }
    }
}

/// A level and its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// The weight.
    pub level: Level,
    /// The source, as [`is_clause`] describes it.
    pub clause: String,
}

impl Weight {
    /// Reads a weight.
    ///
    /// # Errors
    /// If the level is none of the four, or the clause has another form, or does not fit the level.
    pub fn new(level: &str, clause: &str) -> Result<Self, String> {
        let known = Level::ALL.into_iter().find(|known| known.name() == level);
        let level = known.ok_or_else(|| format!("no level: {level}"))?;
        if !is_clause(clause) {
            return Err(format!("no clause: {clause}"));
        }
        if (level == Level::Ours) != clause.starts_with("ours/") {
            return Err(format!("{clause} cannot be the source of {}", level.name()));
        }
        Ok(Self { level, clause: clause.to_owned() })
    }
}

/// Whether this names a source: a standard and its section, if it has any (`rfc3207/4.2`, `ms-rdpbcgr/2.2.1.1`,
/// `ircv3/tls`), a vulnerability (`cve-2011-0411`), a class of attacks (`class/stripping`) or a kind of choice
/// (`ours/limit`).
#[must_use]
pub fn is_clause(clause: &str) -> bool {
    let is_number = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
    };
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    match clause.split_once('/') {
        Some((standard, section)) if standard.starts_with("rfc") => {
            is_number(&standard[3..]) && is_number(section)
        }
        Some(("ours", kind)) => matches!(kind, "api" | "choice" | "limit" | "policy"),
        Some((standard, section)) => is_word(standard) && (is_word(section) || is_number(section)),
        None => {
            clause.starts_with("cve-2") && is_word(clause)
                || is_number(clause.trim_start_matches("rfc"))
        }
    }
}

/// The weight of an expanded row.
///
/// # Errors
/// If the row names only one of `level` and `clause`, or its rules have no weight.
pub(crate) fn of(row: &Table) -> Result<Weight, String> {
    let text = |key| row.get(key).and_then(Value::as_str);
    match (text("level"), text("clause")) {
        (Some(level), Some(clause)) => return Weight::new(level, clause),
        (None, None) => {}
        _ => return Err("a row has both of `level` and `clause`, or neither".to_owned()),
    }
    if let Some(kind) = choice(row) {
        return Weight::new("ours", &format!("ours/{kind}"));
    }
    let cited = match decisive(row) {
        Some(rule) => vec![rule],
        None => row
            .get("rules")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect(),
    };
    let mut weights = Vec::new();
    for rule in cited {
        weights.extend(RULES.get(rule).ok_or_else(|| format!("no rule {rule}"))?.weight.as_ref());
    }
    // Of equals the first.
    let lightest = weights.into_iter().min_by_key(|weight| weight.level);
    let lightest = lightest.ok_or("no rule gives it a weight: set `level` and `clause`")?;
    let stripped = matches!(&lightest.clause[..], "class/stripping" | "cve-2016-0772");
    if stripped && text("role") == Some("client") && text("policy") == Some("opportunistic") {
        return Weight::new("ours", "ours/policy");
    }
    Ok(lightest.clone())
}

/// The kind of choice, if the row shows one of this project, whatever rules it cites.
fn choice(row: &Table) -> Option<&'static str> {
    let server = row.get("role").and_then(Value::as_str) == Some("server");
    let unverified = |row: &Table| {
        row.get("tls").and_then(Value::as_str) == Some("unverified")
            && row.get("policy").and_then(Value::as_str) == Some("opportunistic")
    };
    let of = |row: &Table| {
        let limits = ["max_errors", "max_commands", "max_recipients", "max_size"];
        if end(row) == "plaintext" || !server && unverified(row) {
            return Some("policy");
        }
        match end(row) {
            "OutOfOrder" | "BareLineEnd" | "LineTooLong" | "NulInMessage" | "NotForwardable"
            | "NoAuth" | "NoMechanism" | "NoEightBitMime" | "NoSmtpUtf8" | "NoDsn"
            | "NoRequireTls" | "NoChunking" | "MessageTooLarge" => Some("api"),
            // A server whose client leaves has nothing to do that others could see.
            "Closed" | "closed" if server => Some("api"),
            "FrameTooLong" | "ReplyTooLong" | "TooManyErrors" | "TooManyCommands"
            | "TooManyIterations" => Some("limit"),
            _ => limits.iter().any(|limit| row.contains_key(*limit)).then_some("limit"),
        }
    };
    let mail = row.get("mail").and_then(Value::as_table);
    // What a client sends once it is inside TLS, and all goes well, is one of many legal dialogues.
    let sends = |mail: &Table| {
        let alone = !row.contains_key("turns") && mail.contains_key("jobs");
        (alone && end(mail) == "done").then_some("choice")
    };
    of(row).or_else(|| mail.and_then(|mail| of(mail).or_else(|| sends(mail))))
}

/// The rule that decides alone, where the outcome leaves no doubt about what is tested.
fn decisive(row: &Table) -> Option<&'static str> {
    let is = |key, word| row.get(key).and_then(Value::as_str) == Some(word);
    let cites = |rule| {
        let rules = row.get("rules").and_then(Value::as_array);
        rules.is_some_and(|rules| rules.iter().any(|cited| cited.as_str() == Some(rule)))
    };
    let server = is("role", "server");
    match end(row) {
        // A client may look past a greeting, or try an older protocol, as long as it gets TLS.
        "NotOffered" | "Refused"
            if !server && !is("policy", "opportunistic") && !cites("I7") && !cites("N4") =>
        {
            Some("N1")
        }
        "PlaintextAfterGoAhead" if server => Some("I3"),
        "PlaintextAfterGoAhead" => Some("I2"),
        "Unverified" => Some("N25"),
        "handshake-failed" => Some("I15"),
        _ => None,
    }
}

/// How a dialogue ends: an end, or an error without its number.
fn end(dialogue: &Table) -> &str {
    let text = |key| dialogue.get(key).and_then(Value::as_str);
    let end = text("end").or_else(|| text("error")).unwrap_or_default();
    end.split('(').next().unwrap_or_default()
}
