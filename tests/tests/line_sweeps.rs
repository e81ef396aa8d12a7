//! Every code and every status word at every place, for the line-based protocols other than mail.

use starttls_tests::sweep::{POLICIES, by, last, outcome};
use starttls_tests::table::{Demand, Protocol, Role};

/// A client's reaction to the last of `turns`: its end, or its next command.
fn answer(protocol: Protocol, policy: Demand, turns: &[&str]) -> String {
    match last(&outcome(protocol, Role::Client, policy, turns)) {
        ("waiting", b"") => "goes on".to_string(),
        ("waiting", out) => String::from_utf8_lossy(out).trim_end().to_string(),
        (end, out) => {
            assert!(out.is_empty(), "{end}, and yet it sent something");
            end.to_string()
        }
    }
}

#[test]
fn ftp_codes() {
    let feat = "211-x\r\n AUTH TLS\r\n211 x\r\n";
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        let never = by(policy, "error NotOffered", "plaintext");
        for code in 0..=999 {
            let common = |expected| match code {
                0..=99 | 700.. => "error Syntax",
                421 => "error Closing",
                _ => expected,
            };
            for reply in [
                format!("{code:03} x\r\n"),
                format!("{code:03}\r\n"),
                format!("{code:03}-x\r\n999 y\r\n{code:03} x\r\n"),
            ] {
                let expected = common(match code {
                    120 => "goes on",
                    220 => "FEAT",
                    230 => never,
                    400..=599 => "error Refused",
                    _ => "error UnexpectedReply",
                });
                assert_eq!(answer(Protocol::Ftp, policy, &[&reply]), expected, "{reply:?}");
                let expected = common(match code {
                    211 => never,
                    400..=499 => "error Refused",
                    500..=599 => "AUTH TLS",
                    _ => "error UnexpectedReply",
                });
                let turns = ["220 x\r\n", &reply];
                assert_eq!(answer(Protocol::Ftp, policy, &turns), expected, "FEAT: {reply:?}");
                let expected = common(match code {
                    234 => "upgrade",
                    400..=599 => no,
                    _ => "error UnexpectedReply",
                });
                let turns = ["220 x\r\n", feat, &reply];
                assert_eq!(answer(Protocol::Ftp, policy, &turns), expected, "AUTH: {reply:?}");
            }
            for separator in ["x", "_", ".", "\t", "0", "\u{a0}", "+"] {
                let reply = format!("{code:03}{separator}x\r\n");
                let turns = ["220 x\r\n", feat, &reply];
                assert_eq!(answer(Protocol::Ftp, policy, &turns), "error Syntax", "{reply:?}");
            }
        }
    }
}

#[test]
fn nntp_codes() {
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        for code in 0..=999 {
            for reply in [format!("{code:03} x\r\n"), format!("{code:03}\r\n")] {
                let expected = match code {
                    200 | 201 => "CAPABILITIES",
                    400 => "error Closing",
                    401..=599 => "error Refused",
                    _ => "error UnexpectedReply",
                };
                assert_eq!(answer(Protocol::Nntp, policy, &[&reply]), expected, "{reply:?}");
                let expected = match code {
                    101 => "goes on",
                    400 => "error Closing",
                    480 | 483 | 500..=599 => "STARTTLS",
                    401..=499 => "error Refused",
                    _ => "error UnexpectedReply",
                };
                let turns = ["200 x\r\n", &reply];
                assert_eq!(answer(Protocol::Nntp, policy, &turns), expected, "list: {reply:?}");
                let expected = match code {
                    382 => "upgrade",
                    400 => "error Closing",
                    // The client sent an unlisted command, which the server does not know.
                    500 => by(policy, "error NotOffered", "plaintext"),
                    401..=599 => no,
                    _ => "error UnexpectedReply",
                };
                let turns = ["200 x\r\n", "101 x\r\n.\r\n", &reply];
                assert_eq!(answer(Protocol::Nntp, policy, &turns), expected, "ask: {reply:?}");
            }
            for separator in ["x", "-", ".", "\t", "0", "\u{a0}", "+"] {
                let reply = format!("{code:03}{separator}x\r\n");
                let turns = ["200 x\r\n", "101 x\r\n.\r\n", &reply];
                assert_eq!(answer(Protocol::Nntp, policy, &turns), "error Syntax", "{reply:?}");
            }
        }
    }
}

#[test]
fn irc_numerics() {
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        for code in 0..=999 {
            for reply in [
                format!(":irc.example.org {code:03} * STARTTLS :x\r\n"),
                format!("{code:03} * STARTTLS\r\n"),
                format!("@a=b :irc.example.org {code:03} nick STARTTLS :x\r\n"),
            ] {
                let expected = match code {
                    670 | 691 => "error Unsolicited",
                    410 | 451 => "STARTTLS",
                    _ => "goes on",
                };
                let turns = ["", &reply];
                assert_eq!(answer(Protocol::Irc, policy, &turns), expected, "CAP: {reply:?}");
                let expected = match code {
                    670 => "upgrade",
                    421 | 451 | 691 => no,
                    _ => "goes on",
                };
                let turns = ["", "CAP * LS :\r\n", &reply];
                assert_eq!(answer(Protocol::Irc, policy, &turns), expected, "ask: {reply:?}");
            }
        }
    }
}

/// Status words, and words that are not.
const WORDS: [&str; 36] = [
    "OK", "ok", "Ok", "oK", "NO", "no", "BAD", "bad", "BYE", "bye", "PREAUTH", "preauth", "+OK",
    "+ok", "-ERR", "-err", "+", "-", "+OKAY", "-ERROR", "OKAY", "OK.", "OK:", "NOK", "YES", "ERR",
    "ERROR", "220", "234", "382", "670", "S", "LIST", "\"OK\"", "O K", "",
];

#[test]
fn imap_words() {
    let capabilities = "* CAPABILITY STARTTLS\r\nBCDEFGHI1 OK x\r\n";
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        let never = by(policy, "error NotOffered", "plaintext");
        for word in WORDS {
            for text in ["", " x", " [CAPABILITY IMAP4rev1] x", "  "] {
                let upper = word.to_ascii_uppercase();
                let reply = format!("* {word}{text}\r\n");
                let expected = match &upper[..] {
                    "OK" => "BCDEFGHI1 CAPABILITY",
                    "PREAUTH" => never,
                    "BYE" => "error Closing",
                    _ => "error UnexpectedReply",
                };
                assert_eq!(answer(Protocol::Imap, policy, &[&reply]), expected, "{reply:?}");
                let untagged = if upper == "BYE" { "error Closing" } else { "goes on" };
                for turns in [&["* OK x\r\n", &reply][..], &["* OK x\r\n", capabilities, &reply]] {
                    assert_eq!(answer(Protocol::Imap, policy, turns), untagged, "{reply:?}");
                }
                let reply = format!("BCDEFGHI1 {word}{text}\r\n");
                let expected = match &upper[..] {
                    "OK" | "NO" | "BAD" => never,
                    _ => "error UnexpectedReply",
                };
                let turns = ["* OK x\r\n", &reply];
                assert_eq!(answer(Protocol::Imap, policy, &turns), expected, "{reply:?}");
                let reply = format!("BCDEFGHI2 {word}{text}\r\n");
                let expected = match &upper[..] {
                    "OK" => "upgrade",
                    "NO" | "BAD" => no,
                    _ => "error UnexpectedReply",
                };
                let turns = ["* OK x\r\n", capabilities, &reply];
                assert_eq!(answer(Protocol::Imap, policy, &turns), expected, "{reply:?}");
            }
        }
    }
}

#[test]
fn pop3_words() {
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        let never = by(policy, "error NotOffered", "plaintext");
        for word in WORDS {
            for text in ["", " x", " [SYS/PERM] x", "  "] {
                let reply = format!("{word}{text}\r\n");
                let of = |yes, no| match word {
                    "+OK" => yes,
                    "-ERR" => no,
                    _ => "error UnexpectedReply",
                };
                let expected = of("CAPA", "error Refused");
                assert_eq!(answer(Protocol::Pop3, policy, &[&reply]), expected, "{reply:?}");
                let turns = ["+OK\r\n", &reply];
                let expected = of("goes on", never);
                assert_eq!(answer(Protocol::Pop3, policy, &turns), expected, "CAPA: {reply:?}");
                let turns = ["+OK\r\n", "+OK\r\nSTLS\r\n.\r\n", &reply];
                let expected = of("upgrade", no);
                assert_eq!(answer(Protocol::Pop3, policy, &turns), expected, "STLS: {reply:?}");
            }
        }
    }
}

#[test]
fn sieve_words() {
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        for word in WORDS.iter().filter(|word| !word.starts_with('"')) {
            for text in ["", " \"x\"", " (TRYLATER) \"x\"", " {2}\r\nOK"] {
                let reply = format!("{word}{text}\r\n");
                let of = |yes, no| match &word.to_ascii_uppercase()[..] {
                    "OK" => yes,
                    "NO" => no,
                    "BYE" => "error Closing",
                    _ => "error UnexpectedReply",
                };
                let expected = of("CAPABILITY", "error Refused");
                assert_eq!(answer(Protocol::Sieve, policy, &[&reply]), expected, "{reply:?}");
                let turns = ["\"STARTTLS\"\r\nOK\r\n", &reply];
                let expected = of("upgrade", no);
                assert_eq!(answer(Protocol::Sieve, policy, &turns), expected, "{reply:?}");
            }
        }
    }
}

#[test]
fn nut_words() {
    for policy in POLICIES {
        let no = by(policy, "error Refused", "plaintext");
        for word in WORDS {
            for text in ["", " STARTTLS", " x", " FEATURE-NOT-CONFIGURED"] {
                let reply = format!("{word}{text}\n");
                let expected = match word {
                    "OK" if text == " STARTTLS" => "upgrade",
                    "ERR" => no,
                    _ => "error UnexpectedReply",
                };
                assert_eq!(answer(Protocol::Nut, policy, &["", &reply]), expected, "{reply:?}");
            }
        }
    }
}
