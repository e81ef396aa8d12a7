//! Tables of all defaults.

use std::collections::BTreeSet;
use std::fmt::{Debug, Write as _};
use std::fs;
use std::path::Path;
use std::time::Duration;

use starttls::{Introduction, Machine as _, Policy, Protocol, Roles, server};

use crate::generated::assert_section;
use crate::page;
use crate::source::constant;

/// A value in readable form.
trait Shown {
    fn shown(&self) -> String;
}

macro_rules! shown {
    ($($number:ty),*) => {$(
        impl Shown for $number {
            fn shown(&self) -> String {
                let digits = self.to_string();
                let groups = digits.as_bytes().rchunks(3).rev();
                let groups: Vec<&str> = groups.filter_map(|group| std::str::from_utf8(group).ok()).collect();
                groups.join(",")
            }
        }
    )*};
}

shown!(u8, u32, u64, usize);

impl Shown for Duration {
    fn shown(&self) -> String {
        match self.as_secs() {
            seconds if seconds % 60 == 0 => format!("{} min", seconds / 60),
            seconds => format!("{seconds} s"),
        }
    }
}

impl Shown for &str {
    fn shown(&self) -> String {
        format!("`{self}`")
    }
}

/// The longest wait of a fresh machine.
fn wait(machine: &impl starttls::Machine) -> String {
    machine.wait().map_or_else(|| "–".to_owned(), |wait| wait.shown())
}

#[test]
fn protocols() {
    let mut table = String::from(
        "| scheme | port | with TLS from the start | port | ALPN id | client waits | server waits |\n|---|---|---|---|---|---|---|\n",
    );
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    macro_rules! rows {
        ([] $($module:ident::$Type:ident,)*) => {$(
            {
                type Of = starttls::$module::$Type;
                let protocol: Protocol = <Of as Roles>::PROTOCOL;
                let names = Introduction::new("host.example.org", [7; 20]);
                let mut client = <Of as Roles>::client(&names, Policy::Required).expect("a name");
                let server = <Of as Roles>::server(&names, server::Config::default()).expect("a name");
                // Where the client speaks first, it waits after that.
                let mut output = [0; 4096];
                while client.wait().is_none() {
                    client.step(&mut &b""[..], &mut output).expect("a request");
                }
                let mut server_waits = server;
                while server_waits.wait().is_none() {
                    server_waits.step(&mut &b""[..], &mut output).expect("a greeting");
                }
                writeln!(
                    table,
                    "| `{}` | {} | {} | {} | {} | {} | {} |",
                    protocol.name,
                    protocol.port,
                    or_none(protocol.implicit_name.map(|name| format!("`{name}`"))),
                    or_none(protocol.implicit_port.map(|port| port.to_string())),
                    or_none(protocol.alpn.map(|id| format!("`{}`", id.escape_ascii()))),
                    wait(&client),
                    wait(&server_waits),
                ).expect("a row");
            }
        )*};
    }
    starttls::for_each_protocol!(rows []);
    assert_section(&page("defaults"), "protocols", &table);
}

/// The value in an `Option`.
fn inner(value: &str) -> &str {
    value.strip_prefix("Some(").and_then(|value| value.strip_suffix(')')).unwrap_or(value)
}

/// The fields of a struct and their values, as its `Debug` shows them.
fn fields(value: &impl Debug) -> Vec<(String, String)> {
    let text = format!("{value:?}");
    let inside = text.split_once(" { ").expect("fields").1.strip_suffix(" }").expect("their end");
    let mut fields = Vec::new();
    let (mut depth, mut start) = (0, 0);
    for (at, c) in inside.char_indices() {
        match c {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            ',' if depth == 0 => {
                fields.push(&inside[start..at]);
                start = at + 2;
            }
            _ => {}
        }
    }
    fields.push(&inside[start..]);
    let split = |field: &str| {
        let (name, value) = field.split_once(": ").expect("a name and a value");
        (name.to_owned(), inner(value).to_owned())
    };
    fields.into_iter().map(split).collect()
}

#[test]
fn settings() {
    let mut table = String::from("| setting | default | meaning |\n|---|---|---|\n");
    let mut add = |of: &str, fields: Vec<(String, String)>, meanings: &[(&str, &str)]| {
        let named: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        let meant: Vec<&str> = meanings.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, meant, "{of}: the fields and the meanings of this test");
        for ((name, value), (_, meaning)) in fields.iter().zip(meanings) {
            writeln!(table, "| `{of}`: `{name}` | {value} | {meaning} |").expect("a row");
        }
    };
    add(
        "Timeouts",
        fields(&starttls_std::Timeouts::new()),
        &[
            ("connect", "The TCP connection, for each address of the host."),
            ("handshake", "The whole TLS handshake."),
            (
                "wait",
                "Each reply; `None` is what the protocol's standard asks for, as above. The shorter one counts.",
            ),
            (
                "total",
                "The whole connection up to the end of the first mail, then each further mail.",
            ),
        ],
    );
    add(
        "server::Config",
        fields(&server::Config::default()),
        &[
            ("policy", "Whether clients may do anything without TLS."),
            ("available", "Whether the server has TLS."),
            ("max_errors", "Mistakes of a client before the connection ends."),
            ("max_commands", "Commands of a client before TLS; one more ends the connection."),
        ],
    );
    add(
        "receiver::Config",
        fields(&starttls::mail::receiver::Config::default()),
        &[
            ("limits", "See the next rows."),
            ("authentication", "Whether clients can log in, or must."),
            ("proof", "How clients log in."),
            ("scram", "Whether clients can log in by SCRAM, and whether it is bound to TLS."),
            ("dsn", "Whether `DSN` is offered (RFC 3461)."),
            ("smtp_utf8", "Whether `SMTPUTF8` is offered (RFC 6531)."),
            ("start_tls", "Whether `STARTTLS` is offered between two mails (RFC 3207 section 4)."),
            ("require_tls", "Whether `REQUIRETLS` is offered (RFC 8689)."),
        ],
    );
    add(
        "receiver::Limits",
        fields(&starttls::mail::receiver::Limits::default()),
        &[
            ("size", "Bytes of one message. The adapters for operating systems set `MAX_MESSAGE`."),
            ("recipients", "Recipients of one mail; the others get 452."),
            ("errors", "Mistakes of a client on one connection."),
            ("commands", "Commands of a client on one connection."),
        ],
    );
    add(
        "Settings",
        fields(&starttls_std::Settings::new("HOST", ())),
        &[
            ("host", "The server, as the caller names it."),
            ("name", "The name that the certificate must have; `None` is the host."),
            ("port", "The TCP port; the same for implicit TLS unless you set 465."),
            (
                "route",
                "How the connection reaches the host: directly, through a proxy, or by a Unix socket.",
            ),
            ("mode", "When TLS starts."),
            ("policy", "Whether mail may leave without TLS, or to an unverified server."),
            ("asks_for_tls", "Whether the client asks for TLS."),
            ("protocol", "The only protocol for which the settings are; a `MailUrl` sets it."),
            ("tls", "The TLS, as the caller gives it."),
            ("login", "The login."),
            ("domain", "The name in EHLO; `None` is the address of this end of the connection."),
            ("line_ends", "What happens to a bare CR or LF in a message."),
            ("timeouts", "See above."),
        ],
    );
    add(
        "PoolSettings",
        fields(&starttls_std::PoolSettings::new()),
        &[
            ("connections", "Connections at the same time; further mails wait."),
            ("mails_per_connection", "Transactions on one connection before it is closed."),
            ("idle", "How long a connection is kept without a mail."),
            ("check_after", "The pause after which a connection is checked before its next mail."),
            ("check_wait", "The reply to that check."),
            ("retries", "Further attempts after a temporary failure."),
            ("backoff", "The pause before the first retry; it doubles with each further one."),
            ("max_backoff", "The longest of these pauses."),
            ("deadline", "From the start of a mail to the start of its last attempt."),
        ],
    );
    add(
        "QueueSettings",
        fields(&starttls_std::queue::QueueSettings::new("HOST")),
        &[
            ("name", "This host, in reports of failures."),
            ("retry", "The pause before the first retry; it doubles with each further one."),
            ("max_retry", "The longest of these pauses."),
            ("give_up", "How long a mail is tried before it fails."),
        ],
    );
    add(
        "starttls_embedded::Settings",
        fields(&starttls_embedded::Settings::new()),
        &[
            ("domain", "The name in EHLO."),
            ("credentials", "The login."),
            ("mode", "When TLS starts."),
            ("policy", "Whether a server may be used that is not verified."),
            ("line_ends", "What happens to a CR or LF that stands alone in a message."),
            (
                "most",
                "The longest wait in milliseconds; the largest number is no limit besides the standard's.",
            ),
        ],
    );
    assert_section(&page("defaults"), "settings", &table);
}

/// Public constants that are names or numbers of a protocol, not defaults.
const NO_DEFAULTS: [&str; 2] = ["::mysql::capability::", "::mysql::SEQUENCE_"];

#[test]
fn constants() {
    let mut rows: Vec<(&str, String)> = Vec::new();
    macro_rules! add {
        ($($constant:path),* $(,)?) => {$(
            let name = stringify!($constant);
            rows.push((name, $constant.shown()));
        )*};
    }
    add!(
        starttls::client::MAX_FRAMES,
        starttls::driver::HANDSHAKE_WAIT,
        starttls::driver::WRITE_WAIT,
        starttls::ftp::MAX_LINE,
        starttls::imap::MAX_FRAME,
        starttls::imap::MAX_TAG,
        starttls::irc::MAX_MESSAGE,
        starttls::ldap::MAX_MESSAGE,
        starttls::mail::MAX_COMMAND,
        starttls::mail::message::MAX_TEXT,
        starttls::mx::MAX_DOMAIN,
        starttls::mx::REFRESH,
        starttls::mx::sts::HOST_LABEL,
        starttls::mx::sts::MAX_AGE,
        starttls::mx::sts::MAX_POLICY,
        starttls::mx::sts::POLICY_PATH,
        starttls::mx::sts::RECORD_LABEL,
        starttls::mysql::MAX_HEADER,
        starttls::mysql::MAX_PACKET,
        starttls::mysql::MAX_RESPONSE,
        starttls::nbd::MAX_OPTION,
        starttls::nbd::MAX_TEXT,
        starttls::nntp::MAX_LINE,
        starttls::nut::MAX_LINE,
        starttls::postgres::MAX_HEADER,
        starttls::postgres::MAX_PACKET,
        starttls::rdp::MAX_CONFIRM,
        starttls::rdp::MAX_REQUEST,
        starttls::sieve::MAX_FRAME,
        starttls::smtp::MAX_DOMAIN,
        starttls::smtp::MAX_LINE,
        starttls::vnc::MAX_MESSAGE,
        starttls::wire::MAX_CUT,
        starttls::xmpp::MAX_ATTRIBUTES,
        starttls::xmpp::MAX_DEPTH,
        starttls::xmpp::MAX_FRAME,
        starttls::xmpp::MAX_JID,
        starttls::xmpp::MAX_HEADER,
        starttls::xmpp::MAX_PREFIX,
        starttls::xmpp::MAX_PREFIXES,
        starttls_std::MAX_MESSAGE,
        starttls_std::SCRAM_ITERATIONS,
        starttls_embedded::MAX_ITERATIONS,
        starttls::pop3::MAX_COMMAND,
        starttls::pop3::MAX_LINE,
        starttls_rustls::HANDSHAKE_WAIT,
        starttls_rustls::MAX_FRAME,
        starttls_rustls::MAX_OUTPUT,
        starttls_rustls::MAX_RECORD,
        starttls_rustls::MIN_ROOM,
        starttls_rustls::RECEIVE,
        starttls_rustls::SEND,
        starttls_rustls::SEND_WAIT,
    );
    let mut table = String::from("| constant | value | meaning |\n|---|---|---|\n");
    for (path, value) in &rows {
        let (module, name) = path.rsplit_once("::").expect("a path");
        let folder = match module.split("::").next().expect("a crate") {
            "starttls" => "core/src",
            "starttls_std" => "adapters/common/src",
            "starttls_embedded" => "adapters/embedded/src",
            "starttls_rustls" => "adapters/rustls/src",
            other => panic!("{other}: where is it?"),
        };
        let module = module.rsplit("::").next().expect("a module");
        writeln!(table, "| `{path}` | {value} | {} |", constant(folder, module, name))
            .expect("a row");
    }
    assert_section(&page("defaults"), "constants", &table);

    // Every constant in the API listings.
    let listed: BTreeSet<String> =
        rows.iter().map(|(path, _)| path.replace("starttls_std::", "starttls_common::")).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("api");
    let mut checked = 0;
    for listing in fs::read_dir(folder).expect("the listings") {
        let listing = fs::read_to_string(listing.expect("a listing").path()).expect("a listing");
        for line in listing.lines() {
            let Some(path) =
                line.strip_prefix("pub const starttls").and_then(|line| line.split(": ").next())
            else {
                continue;
            };
            let (module, _) = path.rsplit_once("::").unwrap_or_default();
            let is_of_a_type = module.rsplit("::").next().is_some_and(|last| {
                last.starts_with(|c: char| c.is_ascii_uppercase()) || last.contains('>')
            });
            if is_of_a_type || NO_DEFAULTS.iter().any(|prefix| path.starts_with(prefix)) {
                continue;
            }
            checked += 1;
            assert!(listed.contains(&format!("starttls{path}")), "defaults.md: no {path}");
        }
    }
    assert!(checked > 30, "{checked} constants");
}
