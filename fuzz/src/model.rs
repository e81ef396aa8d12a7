//! SMTP before TLS, a second time and as plainly as possible, to hold the grammars against.
//!
//! It looks at everything the peer said at once and knows nothing of buffers, chunks or states.

pub mod parameters;
pub mod receiver;

use starttls::{Kind, Policy, Reason};

/// The longest line but where another is named.
pub const MAX_LINE: usize = 512;
const MAX_LINES: usize = 128;

/// Where a dialogue stands when the peer has said all it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The peer's turn.
    Waiting,
    /// TLS may start.
    Upgrade,
    /// No TLS, and allowed.
    Plaintext(Reason),
    /// Over.
    Failed(Kind),
}

use Outcome::{Failed, Plaintext, Upgrade, Waiting};

const VIOLATION: Outcome = Failed(Kind::Violation);

/// Takes a line of at most `max` octets off the octets.
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

/// Takes a reply off the octets: its code and the texts of its lines.
fn reply<'i>(octets: &mut &'i [u8]) -> Result<(u16, Vec<&'i [u8]>), Outcome> {
    let (mut code, mut texts) = (None, Vec::new());
    loop {
        let line = line(octets, MAX_LINE)?;
        let digits = line.get(..3).ok_or(VIOLATION)?;
        let number = core::str::from_utf8(digits).map_err(|_| VIOLATION)?;
        let number: u16 = number.parse().map_err(|_| VIOLATION)?;
        // `parse` takes a sign.
        if !digits[0].is_ascii_digit() || !(200..600).contains(&number) {
            return Err(VIOLATION);
        }
        if *code.get_or_insert(number) != number {
            return Err(VIOLATION);
        }
        texts.push(line.get(4..).unwrap_or_default());
        match line.get(3) {
            None | Some(b' ') => return Ok((number, texts)),
            Some(b'-') if texts.len() < MAX_LINES => {}
            Some(_) => return Err(VIOLATION),
        }
    }
}

/// What a client that waits for its turn makes of a server's octets.
#[must_use]
pub fn client(mut octets: &[u8], policy: Policy, has_helo: bool) -> Outcome {
    let octets = &mut octets;
    let required = policy == Policy::Required;
    let mut dialogue = || {
        match reply(octets)?.0 {
            220 => {}
            400..600 => return Err(Failed(Kind::Refused)),
            _ => return Err(VIOLATION),
        }
        let (code, texts) = reply(octets)?;
        let starttls = |text: &&[u8]| {
            text.split(|octet| *octet == b' ')
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case(b"STARTTLS"))
        };
        match code {
            250 if texts.iter().skip(1).any(starttls) => {}
            // A server that has trouble may have TLS all the same.
            400..500 => return Err(Failed(Kind::Refused)),
            250 | 500..600 if required => return Err(Failed(Kind::NotOffered)),
            500..600 if has_helo => {
                return Err(match reply(octets)?.0 {
                    250 => Plaintext(Reason::NotOffered),
                    400..600 => Failed(Kind::Refused),
                    _ => VIOLATION,
                });
            }
            250 | 500..600 => return Err(Plaintext(Reason::NotOffered)),
            _ => return Err(VIOLATION),
        }
        match reply(octets)?.0 {
            220 => Ok(Upgrade),
            421 => Err(Failed(Kind::Refused)),
            400..600 if required => Err(Failed(Kind::Refused)),
            400..600 => Err(Plaintext(Reason::Refused)),
            _ => Err(VIOLATION),
        }
    };
    dialogue().unwrap_or_else(|outcome| outcome)
}

/// What a server makes of a client's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Answers with this code, which is no mistake of the client's.
    Fine(u16),
    /// Answers with this code and counts a mistake.
    Mistake(u16),
    /// Asks the caller about the upgrade.
    Asks,
    /// Asks the application about the command.
    Unknown,
    /// The client goes on in plaintext.
    SkipsUpgrade,
    /// Closes.
    Foreign,
}

/// A server's configuration and what it remembers of the client.
#[derive(Clone, Copy, Debug)]
pub struct Server {
    /// Whether TLS is required.
    pub required: bool,
    /// Whether TLS can be had.
    pub available: bool,
    /// Whether it speaks LMTP.
    pub lmtp: bool,
    /// Whether the client said its name.
    pub greeted: bool,
}

impl Server {
    /// Judges a line, and remembers the client's name.
    pub fn judge(&mut self, line: &[u8]) -> Verdict {
        use Verdict::{Asks, Fine, Foreign, Mistake, SkipsUpgrade, Unknown};

        let line = line.to_ascii_uppercase();
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
