//! Turns the rows of `tests/vectors/*.toml` and the dialogues below into seeds in `fuzz/corpus`.
//! Run it again whenever the rows change: `cargo run --example seeds`.

use std::path::Path;
use std::{env, fs, io};

use toml::{Table, Value};

/// The head of a seed: settings, and calls that feed much, step often and say yes.
const HEAD: usize = 32;
const CALL: u8 = 0xf4;

const LMTP: u8 = 1;
const OPPORTUNISTIC: u8 = 2;
const PLAINTEXT: u8 = 2;
const IMPLICIT: u8 = 8;

/// The targets that read what a client or a server is sent before the upgrade, and behind it.
const CLIENT: [&str; 2] = ["client_engine", "smtp_grammar"];
const SERVER: [&str; 2] = ["server_engine", "smtp_grammar"];
const SESSION: [&str; 2] = ["session", "smtp_grammar"];
const RECEIVER: [&str; 1] = ["receiver"];

const DIALOGUES: [(&[&str], &str); 9] = [
    (&CLIENT, "220 a ESMTP\r\n250-a\r\n250-SIZE 1000\r\n250 STARTTLS\r\n220 2.0.0 go\r\n"),
    (&CLIENT, "220 a\r\n502 5.5.1 what\r\n250 a\r\n"),
    (
        &SESSION,
        "250-a\r\n250-PIPELINING\r\n250 AUTH PLAIN LOGIN\r\n235 2.7.0 in\r\n250 ok\r\n250 ok\r\n\
         550 no\r\n250 ok\r\n354 go\r\n250 2.0.0 queued\r\n250 ok\r\n450 a\r\n550 b\r\n451 c\r\n\
         221 bye\r\n",
    ),
    (&SERVER, "EHLO a\r\nSTARTTLS\r\n"),
    (
        &SERVER,
        "HELO a\r\nNOOP\r\nVRFY b\r\nRSET\r\nAUTH PLAIN AHRpbQB0\r\nHELP\r\nMAIL FROM:<>\r\n",
    ),
    (
        &RECEIVER,
        "EHLO a\r\nMAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<@c,@d:e@f>\r\nRCPT TO:<Postmaster>\r\n\
         DATA\r\na\r\n..b\r\n.\r\nRSET\r\nQUIT\r\n",
    ),
    (
        &RECEIVER,
        "EHLO a\r\nAUTH LOGIN\r\ndGlt\r\nc2VjcmV0\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n\
         BDAT 3\r\na\r\nBDAT 0\r\nBDAT 2 LAST\r\n\r\nBDAT 1 LAST\r\nxQUIT\r\n",
    ),
    (
        &RECEIVER,
        "EHLO a\r\nAUTH PLAIN\r\nAHRpbQBzZWNyZXQ=\r\nMAIL FROM:<\u{e4}@b> SMTPUTF8 RET=HDRS ENVID=a+2Bb \
         SIZE=20 AUTH=<> REQUIRETLS\r\nRCPT TO:<c@d> NOTIFY=SUCCESS,DELAY ORCPT=utf-8;\u{e4}@d\r\n\
         BDAT 2\r\na\nBDAT 1 LAST\r\nxQUIT\r\n",
    ),
    (
        &RECEIVER,
        "EHLO a\r\nAUTH PLAIN AHRpbQBzZWNyZXQ=\r\nMAIL FROM:<>\r\nRCPT TO:<\"a b\"@[IPv6:::1]>\r\n\
         BDAT 21\r\naaaaaaaaaaaaaaaaaaaaaBDAT 0 LAST\r\nAUTH LOGIN =\r\n*\r\nBDAT x\r\n",
    ),
];

fn main() -> io::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = 0;
    for (n, (targets, dialogue)) in DIALOGUES.iter().enumerate() {
        for settings in 0..4 {
            let name = format!("by-hand-{n}-{settings}");
            seeds += write(root, targets, &name, settings, dialogue.as_bytes())?;
        }
    }
    let mut files: Vec<_> =
        fs::read_dir(root.join("../tests/vectors"))?.collect::<io::Result<_>>()?;
    files.sort_by_key(fs::DirEntry::file_name);
    for file in files {
        let path = file.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let in_file = |what: &str| io::Error::other(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(&path)?;
        let table: Table = toml::from_str(&text).map_err(|error| in_file(error.message()))?;
        let rows = table.get("row").and_then(Value::as_array).ok_or_else(|| in_file("no rows"))?;
        for row in rows.iter().filter_map(Value::as_table) {
            seeds += seed(root, row).map_err(|error| in_file(&error.to_string()))?;
        }
    }
    println!("{seeds} seeds in fuzz/corpus");
    Ok(())
}

/// Writes the seeds of one row: of its upgrade, and of the mail behind it.
fn seed(root: &Path, row: &Table) -> io::Result<usize> {
    let text = |key: &str| row.get(key).and_then(Value::as_str);
    let name = text("id").ok_or_else(|| io::Error::other("a row without an id"))?;
    let unknown = || io::Error::other(format!("{name}: protocol or role are not known here"));
    let (protocol, role) = text("protocol").zip(text("role")).ok_or_else(unknown)?;
    let protocol = if protocol == "xmpp-server" { "xmpp" } else { protocol };
    let own = [format!("{protocol}_{role}"), format!("{protocol}_grammar")];
    let [own, grammar] = own.each_ref().map(|name| &name[..]);
    let (own, with_grammar) = ([own], [own, grammar]);
    let (before, behind): (&[&str], &[&str]) = match (protocol, role) {
        ("smtp" | "lmtp", "server") => (&SERVER, &RECEIVER),
        ("smtp" | "lmtp", "client") => (&CLIENT, &SESSION),
        (
            "imap" | "pop3" | "ftp" | "nntp" | "sieve" | "irc" | "nut" | "postgres" | "mysql"
            | "nbd" | "vnc" | "rdp",
            "client" | "server",
        ) => (&own, &[]),
        ("ldap" | "xmpp", "client" | "server") => (&with_grammar, &[]),
        _ => return Err(unknown()),
    };
    let lmtp = if protocol == "lmtp" { LMTP } else { 0 };
    let policy = if text("policy") == Some("opportunistic") { OPPORTUNISTIC } else { 0 };
    let mut seeds = write(root, before, name, lmtp | policy, &received(row)?)?;
    if let Some(mail) = row.get("mail").and_then(Value::as_table) {
        let over = match mail.get("over").and_then(Value::as_str) {
            Some("plaintext") => PLAINTEXT,
            Some("implicit-tls") => IMPLICIT,
            _ => 0,
        };
        let name = format!("{name}-mail");
        seeds += write(root, behind, &name, lmtp | over, &received(mail)?)?;
    }
    Ok(seeds)
}

/// What the peer sends in all turns.
fn received(part: &Table) -> io::Result<Vec<u8>> {
    let mut octets = Vec::new();
    for turn in part.get("turns").and_then(Value::as_array).into_iter().flatten() {
        if let Some(input) = turn.get("in") {
            append(&mut octets, input)
                .ok_or_else(|| io::Error::other(format!("octets of a new form: {input:?}")))?;
        }
    }
    Ok(octets)
}

/// Appends octets in any of the forms of the tables.
fn append(octets: &mut Vec<u8>, value: &Value) -> Option<()> {
    match value {
        Value::String(text) => octets.extend_from_slice(text.as_bytes()),
        Value::Array(parts) => return parts.iter().try_for_each(|part| append(octets, part)),
        Value::Table(part) => match (part.get("hex"), part.get("repeat")) {
            (Some(hex), None) => {
                let digits: String = hex.as_str()?.split_whitespace().collect();
                for at in (0..digits.len()).step_by(2) {
                    octets.push(u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?);
                }
            }
            (None, Some(repeat)) => {
                let times = usize::try_from(part.get("times")?.as_integer()?).ok()?;
                octets.extend_from_slice(repeat.as_str()?.repeat(times).as_bytes());
            }
            _ => return None,
        },
        _ => return None,
    }
    Some(())
}

fn write(
    root: &Path,
    targets: &[&str],
    name: &str,
    settings: u8,
    octets: &[u8],
) -> io::Result<usize> {
    let seed = [&[settings], &[CALL; HEAD - 1][..], octets].concat();
    for target in targets {
        let folder = root.join("corpus").join(target);
        fs::create_dir_all(&folder)?;
        fs::write(folder.join(name), &seed)?;
    }
    Ok(targets.len())
}
