//! Turns the rows of `tests/vectors/*.toml` and the dialogues below into seeds in `fuzz/corpus`.
//! Run it again whenever the rows change: `cargo run --example seeds`.

use std::path::Path;
use std::{env, fs, io};

use starttls_tests::table::{Demand, Over, Protocol, Role, Row, Turn, names, rows};

/// The head of a seed: settings, and calls that feed large chunks, step often and accept.
const HEAD: usize = 32;
const CALL: u8 = 0xf4;

const LMTP: u8 = 1;
const OPPORTUNISTIC: u8 = 2;
const PLAINTEXT: u8 = 2;
const IMPLICIT: u8 = 8;

/// The targets that read the input of a client or server before the upgrade, and after it.
const CLIENT: [&str; 2] = ["smtp_client", "smtp_grammar"];
const SERVER: [&str; 2] = ["smtp_server", "smtp_grammar"];
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
    for row in names().iter().flat_map(|name| rows(name)) {
        seeds += seed(root, &row)?;
    }
    println!("{seeds} seeds in fuzz/corpus");
    Ok(())
}

/// Writes the seeds of one row: of its upgrade, and of the mail after it.
fn seed(root: &Path, row: &Row) -> io::Result<usize> {
    let role = if row.role == Role::Client { "client" } else { "server" };
    let own = format!("{}_{role}", row.protocol.names().name.replace('-', "_"));
    // LMTP is a parameter of SMTP's grammar.
    let module = if row.protocol == Protocol::Lmtp { "smtp" } else { row.protocol.module() };
    let grammar = format!("{module}_grammar");
    let has_grammar = root.join("fuzz_targets").join(grammar.clone() + ".rs").exists();
    let own = &[&own[..], &grammar][..if has_grammar { 2 } else { 1 }];
    let after = if row.role == Role::Client { &SESSION[..] } else { &RECEIVER };
    let lmtp = if row.protocol == Protocol::Lmtp { LMTP } else { 0 };
    let policy = if row.policy == Demand::Opportunistic { OPPORTUNISTIC } else { 0 };
    let mut seeds = write(root, own, &row.id, lmtp | policy, &received(&row.turns))?;
    if let Some(mail) = &row.mail {
        let over = match mail.over {
            Some(Over::Plaintext) => PLAINTEXT,
            Some(Over::ImplicitTls) => IMPLICIT,
            Some(Over::Tls) | None => 0,
        };
        let name = format!("{}-mail", row.id);
        seeds += write(root, after, &name, lmtp | over, &received(&mail.turns))?;
    }
    Ok(seeds)
}

/// The peer's bytes of all turns.
fn received(turns: &[Turn]) -> Vec<u8> {
    turns.iter().flat_map(|turn| &turn.input.0).copied().collect()
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
