//! Ends of a message that are none (SMTP smuggling).

use super::bench::{Bench, QUIET, Trouble};
use crate::dialect::{Answer, Ask};
use crate::judge::Seen;
use crate::link::Link;
use crate::text::excerpt;

const DOING: &str = "the mail";

/// What must not end a message, and its name.
const FORMS: [(&[u8], &str); 7] = [
    (b"\n.\n", "LF . LF"),
    (b"\n.\r\n", "LF . CR LF"),
    (b"\r\n.\n", "CR LF . LF"),
    (b"\r.\r", "CR . CR"),
    (b"\r.\r\n", "CR . CR LF"),
    (b"\r\n.\r", "CR LF . CR"),
    (b"\r\n\0.\r\n", "CR LF NUL . CR LF"),
];

pub(super) fn end_of_data(bench: &Bench<'_>) -> Result<Seen, Trouble> {
    let Some(mailbox) = &bench.test.mailbox else {
        return Ok(Seen::Skip("no mailbox for mails was given (--mail-to)".to_owned()));
    };
    let (control, _) = mail(bench, mailbox, b"")?;
    if control != 1 {
        let why = format!("a clean mail gets {control} replies instead of one");
        return Ok(Seen::Unclear(why));
    }
    for (form, name) in FORMS {
        // A command follows, which a server answers if it takes the form for the end.
        let (replies, said) = mail(bench, mailbox, &[form, b"NOOP\r\n"].concat())?;
        if replies > 1 {
            return Ok(Seen::Violation(format!(
                "{name} ends the message: the server answers what follows as a command: {}",
                excerpt(&said)
            )));
        }
    }
    Ok(Seen::Pass("none of the seven forms ends a message".to_owned()))
}

/// Sends a mail with this inside. The number of replies to it, and the replies.
fn mail(bench: &Bench<'_>, mailbox: &str, trick: &[u8]) -> Result<(usize, Vec<u8>), Trouble> {
    let mut link = bench.upgraded()?;
    bench.asked(&mut link, Ask::Inside, "the first command inside TLS")?;
    for command in ["MAIL FROM:<>\r\n", &format!("RCPT TO:<{mailbox}>\r\n"), "DATA\r\n"] {
        let answer = say(bench, &mut link, command.as_bytes())?;
        let meaning = bench.dialect.meaning(Ask::Inside, &answer);
        if !matches!(meaning, Answer::Yes | Answer::More) {
            return Err(Trouble::new(DOING, format!("{command:?}: {}", excerpt(&answer))));
        }
    }
    let head = b"Subject: a test of starttls check\r\n\r\nThis mail may be deleted.\r\n";
    let text = [head, trick, b"\r\n.\r\n"].concat();
    link.send(&text).map_err(|why| Trouble::new(DOING, why))?;
    let mut said = say(bench, &mut link, b"")?;
    said.extend(link.anything(QUIET * 2).unwrap_or_default());
    let replies = said.split(|byte| *byte == b'\n').filter(|line| line.get(3) == Some(&b' '));
    let replies = replies.count();
    bench.leave(link);
    Ok((replies, said))
}

fn say(bench: &Bench<'_>, link: &mut Link, said: &[u8]) -> Result<Vec<u8>, Trouble> {
    link.send(said).map_err(|why| Trouble::new(DOING, why))?;
    bench.hear(link, Ask::Inside, DOING)
}
