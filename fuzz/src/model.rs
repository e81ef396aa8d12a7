//! SMTP before TLS, implemented a second time as plainly as possible, to compare with the grammars.
//!
//! It reads all bytes of the peer at once and knows no buffers, chunks or states.

pub mod parameters;
pub mod receiver;

use starttls::{Kind, Policy, Reason};

/// The longest line, unless another limit is named.
pub const MAX_LINE: usize = 512;
const MAX_LINES: usize = 128;

/// The state of a dialogue after all bytes of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer's turn.
    Waiting,
    /// TLS may start.
    Upgrade,
    /// No TLS, which the policy allows.
    Plaintext(Reason),
    /// Over.
    Failed(Kind),
}

use Outcome::{Failed, Plaintext, Upgrade, Waiting};

const VIOLATION: Outcome = Failed(Kind::Violation);

/// Takes a line of at most `max` bytes off the front.
///
/// # Errors
/// [`Waiting`] for an incomplete one, a violation for one that cannot become a line.
pub fn line<'i>(octets: &mut &'i [u8], max: usize) -> Result<&'i [u8], Outcome> {
    let clean = |line: &[u8]| !line.contains(&b'\r') && !line.contains(&0);
    match octets.iter().take(max).position(|octet| *octet == b'\n') {
        Some(end) => {
            let line = octets[..end].strip_suffix(b"\r").ok_or(VIOLATION)?;
            *octets = &octets[end + 1..];
            clean(line).then_some(line).ok_or(VIOLATION)
        }
        None => {
            let begun = octets.strip_suffix(b"\r").unwrap_or(octets);
            Err(if octets.len() < max && clean(begun) { Waiting } else { VIOLATION })
        }
    }
}

/// The longest line of a reply; only [`MAX_LINE`] bytes of it count.
const MAX_REPLY_LINE: usize = 65_535;

/// Takes a line of a reply off the front, and returns whether it has a proper end.
fn reply_line<'i>(octets: &mut &'i [u8]) -> Result<(&'i [u8], Result<(), Outcome>), Outcome> {
    let mut front = *octets;
    match line(&mut front, MAX_LINE) {
        Err(VIOLATION) if octets.len() >= MAX_LINE => {}
        line => {
            *octets = front;
            return Ok((line?, Ok(())));
        }
    }
    let kept = &octets[..MAX_LINE - 2];
    // A CR may be the end of a line that is too long by one byte.
    let dirty = |octet: &u8| matches!(octet, b'\r' | b'\n' | 0);
    if octets[..MAX_LINE - 1].iter().any(dirty) || matches!(octets[MAX_LINE - 1], b'\n' | 0) {
        return Err(VIOLATION);
    }
    let end = line(octets, MAX_REPLY_LINE).map(drop);
    Ok((kept, end))
}

/// A reply: its code, the texts of its lines, and whether the last line has a proper end.
type Reply<'i> = (u16, Vec<&'i [u8]>, Result<(), Outcome>);

/// Takes a reply off the front.
fn reply<'i>(octets: &mut &'i [u8]) -> Result<Reply<'i>, Outcome> {
    let (mut code, mut texts) = (None, Vec::new());
    loop {
        let (line, end) = reply_line(octets)?;
        let digits = line.get(..3).ok_or(VIOLATION)?;
        let number = core::str::from_utf8(digits).map_err(|_| VIOLATION)?;
        let number: u16 = number.parse().map_err(|_| VIOLATION)?;
        // `parse` would accept a sign.
        if !digits[0].is_ascii_digit() || !(200..600).contains(&number) {
            return Err(VIOLATION);
        }
        if *code.get_or_insert(number) != number {
            return Err(VIOLATION);
        }
        texts.push(line.get(4..).unwrap_or_default());
        match line.get(3) {
            None | Some(b' ') => return Ok((number, texts, end)),
            Some(b'-') if texts.len() < MAX_LINES => end?,
            Some(_) => return Err(VIOLATION),
        }
    }
}

/// The result of a client that waits for its turn, for these bytes of a server.
#[must_use]
pub fn client(mut octets: &[u8], policy: Policy, has_helo: bool) -> Outcome {
    let octets = &mut octets;
    let required = policy == Policy::Required;
    let mut dialogue = || {
        match reply(octets)? {
            (220, _, end) => end?,
            (400..600, ..) => return Err(Failed(Kind::Refused)),
            _ => return Err(VIOLATION),
        }
        let (code, texts, end) = reply(octets)?;
        let starttls = |text: &&[u8]| {
            text.split(|octet| *octet == b' ')
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case(b"STARTTLS"))
        };
        match code {
            250 if texts.iter().skip(1).any(starttls) => end?,
            // A server with a problem, or one that rejects this client, may still support TLS.
            400..500 | 501 | 503..600 => return Err(Failed(Kind::Refused)),
            250 | 500 | 502 if required => return Err(Failed(Kind::NotOffered)),
            500 | 502 if has_helo => {
                end?;
                return Err(match reply(octets)? {
                    (250, _, end) => end.err().unwrap_or(Plaintext(Reason::NotOffered)),
                    (400..600, ..) => Failed(Kind::Refused),
                    _ => VIOLATION,
                });
            }
            250 | 500 | 502 => return Err(end.err().unwrap_or(Plaintext(Reason::NotOffered))),
            _ => return Err(VIOLATION),
        }
        match reply(octets)? {
            (220, _, end) => end.map(|()| Upgrade),
            (421, ..) => Err(Failed(Kind::Refused)),
            (400..600, ..) if required => Err(Failed(Kind::Refused)),
            (400..600, _, end) => Err(end.err().unwrap_or(Plaintext(Reason::Refused))),
            _ => Err(VIOLATION),
        }
    };
    dialogue().unwrap_or_else(|outcome| outcome)
}

/// A server's reaction to a client's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answers with this code, without counting a mistake.
    Fine(u16),
    /// Answers with this code and counts a mistake.
    Mistake(u16),
    /// Asks the caller about the upgrade.
    Asks,
    /// Asks the application about the command.
    Unknown,
    /// The client continues in plaintext.
    SkipsUpgrade,
    /// Closes.
    Foreign,
}

/// A server's configuration and its state of the client.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Whether TLS is required.
    pub required: bool,
    /// Whether TLS is available.
    pub available: bool,
    /// Whether it speaks LMTP.
    pub lmtp: bool,
    /// Whether the client sent its name.
    pub greeted: bool,
}

impl Server {
    /// Evaluates a line, and remembers the client's name.
    pub fn judge(&mut self, line: &[u8]) -> Verdict {
        use Verdict::{Asks, Fine, Foreign, Mistake, SkipsUpgrade, Unknown};

        let line = line.trim_ascii_end().to_ascii_uppercase();
        let end = line.iter().position(|octet| *octet == b' ').unwrap_or(line.len());
        let bare = line[end..].trim_ascii().is_empty();
        let hello: &[u8] = if self.lmtp { b"LHLO" } else { b"EHLO" };
        match &line[..end] {
            verb if verb == hello && bare => Mistake(501),
            verb if verb == hello => {
                self.greeted = true;
                Fine(250)
            }
            b"HELO" if !self.lmtp && bare => Mistake(501),
            b"HELO" if !self.lmtp && self.required => Mistake(530),
            b"HELO" if !self.lmtp => {
                self.greeted = true;
                Fine(250)
            }
            b"EHLO" | b"LHLO" | b"HELO" => Mistake(500),
            b"STARTTLS" if !bare => Mistake(501),
            b"STARTTLS" if !self.greeted => Mistake(503),
            b"STARTTLS" if !self.available => Mistake(454),
            b"STARTTLS" => Asks,
            b"NOOP" => Fine(250),
            b"QUIT" => Fine(221),
            b"GET" | b"HEAD" | b"POST" | b"PUT" | b"DELETE" | b"CONNECT" | b"OPTIONS"
            | b"TRACE" | b"PATCH" | b"PRI" => Foreign,
            _ if self.required => Mistake(530),
            b"RSET" => Fine(250),
            b"VRFY" => Fine(252),
            b"AUTH" => Mistake(538),
            b"MAIL" if self.greeted => SkipsUpgrade,
            b"MAIL" | b"RCPT" | b"DATA" | b"BDAT" => Mistake(503),
            _ => Unknown,
        }
    }
}
