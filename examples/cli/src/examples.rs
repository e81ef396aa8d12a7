//! Examples for the `--help` of each command.

use crate::outcome::exit_codes_of;

/// Two examples for each command, for its `--help`.
const EXAMPLES: [(&str, [&str; 2]); 8] = [
    (
        "send",
        [
            "starttls send --server smtp://mail.example.org --to you@example.org message.eml",
            "starttls send --mx --from me@example.com --to you@example.org message.eml",
        ],
    ),
    (
        "probe",
        [
            "starttls probe smtp://mail.example.org:25",
            "starttls probe smtps://mail.example.org --json",
        ],
    ),
    (
        "connect",
        [
            "starttls connect smtp://mail.example.org --crlf",
            "starttls connect smtp://mail.example.org --listen 127.0.0.1:1025",
        ],
    ),
    (
        "serve",
        [
            "starttls serve smtp --listen 127.0.0.1:2525 --require-tls --deliver inbox",
            "starttls serve smtp --cert chain.pem --key key.pem --require-tls --backend 127.0.0.1:25",
        ],
    ),
    (
        "policy",
        ["starttls policy example.org", "starttls policy example.org --cache policies --json"],
    ),
    (
        "queue",
        [
            "starttls queue run spool --server smtp://mail.example.org --watch",
            "starttls queue list spool",
        ],
    ),
    (
        "check",
        [
            "starttls check smtp://127.0.0.1:2525 --ca ca.pem --junit report.xml",
            "starttls check smtp://mail.example.org:25 --i-am-allowed --html report.html",
        ],
    ),
    (
        "test-client",
        [
            "starttls test-client smtp -- ./send.py {host} {port} {ca} {user} {password}",
            "starttls test-client smtp -- curl --ssl-reqd --cacert {ca} -X NOOP smtp://{host}:{port}",
        ],
    ),
];

/// The end of a command's `--help`: examples and exit codes, if it has some.
pub(crate) fn help(command: &str, codes: &[u8]) -> String {
    let lines: Vec<_> = EXAMPLES
        .iter()
        .filter(|(name, _)| *name == command)
        .flat_map(|(_, lines)| lines.map(|line| format!("  {line}")))
        .collect();
    let examples = lines.join("\n");
    match codes {
        [] => format!("Examples:\n{examples}"),
        codes => format!("Examples:\n{examples}\n\n{}", exit_codes_of(command, codes)),
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;
    use crate::args::Args;

    #[test]
    fn every_example_parses() {
        let args = Args::command();
        assert_eq!(args.get_subcommands().count(), EXAMPLES.len());
        for (name, lines) in EXAMPLES {
            for line in lines {
                let parsed = Args::try_parse_from(line.split(' '));
                let parsed = parsed.unwrap_or_else(|error| panic!("{line}: {error}"));
                assert_eq!(parsed.command.name(), name, "{line}");
            }
        }
    }

    #[test]
    fn every_help_shows_its_examples() {
        for command in Args::command().get_subcommands_mut() {
            let help = command.render_long_help().to_string();
            let (_, lines) =
                EXAMPLES.iter().find(|(name, _)| *name == command.get_name()).expect("examples");
            assert!(lines.iter().all(|line| help.contains(line)), "{help}");
        }
    }
}
