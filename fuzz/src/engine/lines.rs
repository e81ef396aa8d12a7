//! The engines' targets: the specifics of line-based protocols.

use starttls::{ftp, imap, irc, lmtp, nntp, nut, pop3, sieve, smtp};

use super::{ClientSide, ServerSide};

macro_rules! protocols {
    ($($Type:ty: $request:literal, $yes:expr;
        $asks:expr, $go_ahead:expr, $bye:expr, $own:literal $(, $dictionary:literal)?;)*) => {$(
        impl ClientSide for $Type {
            $(const DICTIONARY: &'static str = $dictionary;)?
            const REQUEST: &'static [u8] = $request;

            fn is_go_ahead(frame: &[u8]) -> bool {
                ($yes)(frame)
            }
        }

        impl ServerSide for $Type {
            const ANSWER: &'static str = $own;

            fn asks(command: &[u8]) -> bool {
                ($asks)(&command.to_ascii_uppercase())
            }

            fn is_go_ahead(reply: &[u8]) -> bool {
                ($go_ahead)(reply)
            }

            fn is_goodbye(reply: &[u8]) -> bool {
                ($bye)(reply)
            }
        }
    )*};
}

protocols! {
    smtp::Smtp:
        b"STARTTLS\r\n",
        |line: &[u8]| line == b"220" || line.starts_with(b"220 ");
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"220 2.0.0 Ready to start TLS\r\n",
        |reply: &[u8]| reply.starts_with(b"221 "),
        "250 2.0.0 The application's own", "smtp";
    lmtp::Lmtp:
        b"STARTTLS\r\n",
        |line: &[u8]| line == b"220" || line.starts_with(b"220 ");
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"220 2.0.0 Ready to start TLS\r\n",
        |reply: &[u8]| reply.starts_with(b"221 "),
        "250 2.0.0 The application's own", "smtp";
    imap::Imap:
        b"BCDEFGHI2 STARTTLS\r\n",
        |line: &[u8]| {
            let status = line.strip_prefix(b"BCDEFGHI2 ").unwrap_or_default();
            let word = status.split(|octet| *octet == b' ').next().unwrap_or_default();
            word.eq_ignore_ascii_case(b"OK")
        };
        |line: &[u8]| {
            let mut words = line.split(|octet| *octet == b' ').skip(1).filter(|w| !w.is_empty());
            words.next() == Some(b"STARTTLS") && words.all(|word| word.trim_ascii().is_empty())
        },
        |reply: &[u8]| reply.ends_with(b" OK Begin TLS now\r\n"),
        |reply: &[u8]| reply.starts_with(b"* BYE Goodbye"),
        "x OK The application's own";
    pop3::Pop3:
        b"STLS\r\n",
        |line: &[u8]| line == b"+OK" || line.starts_with(b"+OK ");
        |line: &[u8]| line.trim_ascii_end() == b"STLS",
        |reply: &[u8]| reply == b"+OK Begin TLS now\r\n",
        |reply: &[u8]| reply.starts_with(b"+OK Goodbye"),
        "+OK The application's own";
    ftp::Ftp:
        b"AUTH TLS\r\n",
        |line: &[u8]| line == b"234" || line.starts_with(b"234 ");
        |line: &[u8]| {
            let mechanism = line.strip_prefix(b"AUTH ").unwrap_or_default().trim_ascii_start();
            mechanism == b"TLS" || mechanism == b"TLS-C"
        },
        |reply: &[u8]| reply == b"234 Begin TLS now\r\n",
        |reply: &[u8]| reply.starts_with(b"221 "),
        "200 The application's own";
    nntp::Nntp:
        b"STARTTLS\r\n",
        |line: &[u8]| line == b"382" || line.starts_with(b"382 ");
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"382 Begin TLS now\r\n",
        |reply: &[u8]| reply.starts_with(b"205 "),
        "200 The application's own";
    sieve::Sieve:
        b"STARTTLS\r\n",
        |line: &[u8]| {
            line.split(|octet| *octet == b' ').next().unwrap_or_default().eq_ignore_ascii_case(b"OK")
        };
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"OK \"Begin TLS now\"\r\n",
        |reply: &[u8]| reply == b"OK \"Goodbye\"\r\n",
        "OK \"The application's own\"";
    irc::Irc:
        b"STARTTLS\r\n",
        |line: &[u8]| words(line).first() == Some(&&b"670"[..]);
        |line: &[u8]| words(line) == [b"STARTTLS"],
        |reply: &[u8]| reply == b":im.example.org 670 * :Begin TLS now\r\n",
        |reply: &[u8]| reply == b"ERROR :Goodbye\r\n",
        ":a 400 * :The application's own";
    nut::Nut:
        b"STARTTLS\n",
        |line: &[u8]| line == b"OK STARTTLS";
        |line: &[u8]| line.trim_ascii_end() == b"STARTTLS",
        |reply: &[u8]| reply == b"OK STARTTLS\n",
        |reply: &[u8]| reply == b"OK Goodbye\n",
        "OK The application's own";
}

/// The words of an IRC message after its tags and its source.
fn words(message: &[u8]) -> Vec<&[u8]> {
    let mut words: Vec<_> =
        message.split(|octet| *octet == b' ').filter(|word| !word.is_empty()).collect();
    for first in [b'@', b':'] {
        if words.first().is_some_and(|word| word.first() == Some(&first)) {
            words.remove(0);
        }
    }
    words
}
